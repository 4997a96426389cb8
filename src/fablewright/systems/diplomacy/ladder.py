"""Incidents between factions: what they weigh, how they may be answered, and how they escalate. Pure.

Apart from `rules.py` since a ladder is a noun of its own. The ladder follows the idea of Herman Kahn (*On Escalation*,
1965) and of Friedrich Glasl's stages of conflict: each step makes the next one easier, and each has its way back. Its
steps and numbers are our own, tuned for play.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from fablewright.core.clock import DAY
from fablewright.core.refusal import CONFLICT, INVALID, NOT_FOUND, Refusal

IncidentKind = Literal[
    "border_clash", "insult", "spying", "trade_dispute", "assassination", "refugee_crisis", "broken_promise",
    "retaliation",
]  # fmt: skip
Answer = Literal["apology", "reparation", "denial", "retaliation"]
IncidentStage = Literal["open", "answered", "settled", "faded"]
Rung = Literal["friction", "protest", "recall", "sanctions", "ultimatum", "show_of_force", "war"]

KINDS: Final[tuple[str, ...]] = get_args(IncidentKind)
ANSWERS: Final[tuple[str, ...]] = get_args(Answer)
LADDER: Final[tuple[Rung, ...]] = get_args(Rung)
"""From words to war. Nothing but a declaration of war reaches the last."""
TOP: Final = len(LADDER) - 2
"""The highest rung that an incident reaches by itself: from there, only a declaration leads on."""

INCIDENT_NOT_FOUND = Refusal(
    "incident_not_found", NOT_FOUND, "There is no such incident in this world. Look it up in the list."
)
INCIDENT_CLOSED = Refusal(
    "incident_closed", CONFLICT, "The incident is settled or forgotten. Report a new one if there is cause."
)
ANSWER_ILLEGAL = Refusal(
    "answer_illegal", CONFLICT, "This answer is not open any more. Choose one of those that `legal` lists."
)
SETTLEMENT_ILLEGAL = Refusal(
    "settlement_illegal",
    CONFLICT,
    "Nothing was offered that would settle it. Wait for an apology or for reparation, or forgive it.",
)
LADDER_AT_TOP = Refusal(
    "ladder_at_top",
    CONFLICT,
    "It has gone as far as it can short of war. Declare war, settle it, or let it be.",
)
TOO_EARLY_TO_ESCALATE = Refusal(
    "too_early_to_escalate",
    CONFLICT,
    "The other side has not answered and still has time. Wait for its answer, or until `until`.",
)
REPARATION_TOO_SMALL = Refusal(
    "reparation_too_small", CONFLICT, "This is less than the injury weighs. Offer at least `least`."
)
REPARATION_MISPLACED = Refusal(
    "reparation_misplaced", INVALID, "Only the answer `reparation` pays something. Leave the amount at 0."
)
INCIDENT_WITH_ONESELF = Refusal(
    "incident_with_oneself", INVALID, "An incident lies between two factions. Name two different ones."
)

ANSWER_WITHIN: Final = 10 * DAY
"""So long the accused has for its answer before silence may be escalated (world ms)."""
FADES_AFTER: Final = 360 * DAY
"""An incident in which nothing happens for so long is forgotten (world ms)."""


@dataclass(frozen=True, slots=True)
class Weight:
    """What the worst incident of a kind does: `tension` to both, `opinion` of the injured, `reparation` due."""

    tension: float
    opinion: float
    reparation: int
    half_life_days: int
    words: str


WEIGHTS: Final[Mapping[str, Weight]] = {
    "border_clash": Weight(35, -30, 400, 180, "clashed at our border"),
    "insult": Weight(12, -18, 80, 90, "insulted us"),
    "spying": Weight(25, -30, 300, 180, "spied on us"),
    "trade_dispute": Weight(15, -15, 300, 120, "wronged us in trade"),
    "assassination": Weight(60, -70, 1500, 720, "murdered one of ours"),
    "refugee_crisis": Weight(18, -12, 250, 150, "drove its people over our border"),
    "broken_promise": Weight(30, -40, 500, 360, "broke its word to us"),
    "retaliation": Weight(25, -20, 250, 120, "took revenge on us"),
}
"""By kind, at severity 1."""
LEGAL: Final[Mapping[str, tuple[Answer, ...]]] = {
    "open": ("apology", "reparation", "denial", "retaliation"),
    "answered": ("apology", "reparation", "retaliation"),
    "settled": (),
    "faded": (),
}
"""Who has answered may still do better or worse, but not say again that it was not there."""
HEARSAY: Final = 0.4
"""The evidence (0..1) of a report that names no event which shows it, at most."""
MOST_OF_HEARSAY: Final = LADDER.index("sanctions") - 1
"""Mere words begin below `sanctions`, and no ultimatum lifts them higher at once."""
SHOWING: Final = frozenset(
    {
        "diplomacy.battle_fought", "diplomacy.region_occupied", "diplomacy.sanction_imposed",
        "diplomacy.treaty_violated", "diplomacy.ultimatum_issued", "diplomacy.war_declared",
    }
)  # fmt: skip
"""What this system tells of that is a deed, not what somebody says or feels: of its events, only these are evidence."""
APOLOGY_SUFFICES: Final = 0.5
"""Up to this severity words can settle it; beyond, something must be paid."""


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident as rules see it: `rung` is its place on `LADDER`."""

    kind: str
    severity: float
    evidence: float
    state: str = "open"
    rung: int = 0
    answer: str | None = None
    paid: int = 0
    answer_by: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of an incident, and what it does to the two.

    `tension` is added to the tension of the pair; `injured_opinion` to what the injured thinks of the accused,
    `accused_opinion` the other way round, `trust` to the trust of the injured; `loss_of_face` (>= 0) is taken from
    the reputation of whoever acts, `accuser_face` from that of the injured.
    """

    state: str
    rung: int
    tension: float
    injured_opinion: float = 0.0
    accused_opinion: float = 0.0
    trust: float = 0.0
    loss_of_face: float = 0.0
    words: str = ""
    accuser_face: float = 0.0


def weight(kind: str, severity: float) -> float:
    """The share 0..1 of a kind's weight: it grows with the severity, a small one hurts a little more than its size."""
    return math.pow(min(1.0, max(0.0, severity)), 0.8)


def tension_of(kind: str, severity: float) -> float:
    """What an incident adds to the tension (0..100) of the pair."""
    return round(WEIGHTS[kind].tension * weight(kind, severity), 4)


def opinion_of(kind: str, severity: float, evidence: float) -> float:
    """What the injured thinks worse of the accused (<= 0): half of it for a mere suspicion, all of it with proof."""
    return round(WEIGHTS[kind].opinion * weight(kind, severity) * (0.5 + 0.5 * evidence), 4)


def reparation_due(kind: str, severity: float, rung: int = 0) -> int:
    """What would make it good, in the treasury's currency: each rung makes it dearer by a fifth."""
    return max(1, round(WEIGHTS[kind].reparation * weight(kind, severity) * (1 + 0.2 * rung)))


def first_rung(kind: str, severity: float, evidence: float) -> int:
    """Where an incident begins: a murder does not begin with friction, nor hearsay with a reason for war."""
    tension = tension_of(kind, severity)
    rung = 0 if tension < 10 else 1 if tension < 25 else 2 if tension < 40 else 3
    return highest(rung, evidence)


def highest(rung: int, evidence: float) -> int:
    """A rung, or the one below it that an incident reaches without being escalated, if it is mere hearsay."""
    return rung if evidence > HEARSAY else min(rung, MOST_OF_HEARSAY)


def shows(kind: str, event_type: str) -> bool:
    """Whether an event of a type can show an incident of a kind: a deed can, and what is said between two an insult."""
    if event_type.startswith("dialogue."):
        return kind == "insult"
    return event_type in SHOWING or not event_type.startswith("diplomacy.")


def occurred(kind: str, severity: float, evidence: float) -> Step:
    """What an incident does at once."""
    return Step(
        "open", first_rung(kind, severity, evidence), tension_of(kind, severity),
        injured_opinion=opinion_of(kind, severity, evidence), trust=-0.2 * weight(kind, severity) * evidence,
        words=WEIGHTS[kind].words,
    )  # fmt: skip


def legal_answers(incident: Incident) -> tuple[Answer, ...]:
    """How the accused may answer now, none twice."""
    return tuple(answer for answer in LEGAL[incident.state] if answer != incident.answer)


def answered(incident: Incident, answer: str, amount: int = 0) -> Step:
    """What an answer does.

    - an apology eases, less the worse the deed was, and loses a little face;
    - reparation of at least `reparation_due` settles it by itself;
    - a denial eases where evidence is thin, which costs the accuser face, and insults where it is plain;
    - retaliation leads a rung up and is a new injury, of which a new incident tells.

    Refuses `incident_closed`, `answer_illegal`, `reparation_too_small`, `reparation_misplaced`.
    """
    _check_open(incident)
    legal = legal_answers(incident)
    if answer not in legal:
        raise ANSWER_ILLEGAL(f"After {incident.answer or 'this'}, {answer} is not open.", legal=list(legal))
    if amount and answer != "reparation":
        raise REPARATION_MISPLACED()
    share = weight(incident.kind, incident.severity)
    tension = tension_of(incident.kind, incident.severity)
    opinion = opinion_of(incident.kind, incident.severity, incident.evidence)
    if answer == "apology":
        return Step(
            "answered", incident.rung, -0.3 * tension * (1 - 0.5 * share), injured_opinion=-0.25 * opinion,
            loss_of_face=2 * share, words="apologised",
        )  # fmt: skip
    if answer == "reparation":
        least = reparation_due(incident.kind, incident.severity, incident.rung)
        if amount < least:
            raise REPARATION_TOO_SMALL(f"{amount} is less than the {least} that are due.", least=least)
        return Step(
            "settled", 0, -0.7 * tension, injured_opinion=-0.6 * opinion, trust=0.05, words="made it good"
        )
    if answer == "denial":
        plain = incident.evidence - 0.5
        return Step(
            "answered", incident.rung, 0.4 * tension * plain, injured_opinion=0.3 * opinion * max(0.0, plain) * 2,
            trust=-0.1 * max(0.0, plain) * 2, loss_of_face=6 * max(0.0, plain), words="denied it",
            accuser_face=6 * max(0.0, -plain),
        )  # fmt: skip
    return Step(
        "answered", min(TOP, incident.rung + 1), 0.5 * tension, injured_opinion=0.5 * opinion,
        accused_opinion=0.25 * opinion, words="struck back",
    )  # fmt: skip


def settled(incident: Incident, *, forgive: bool) -> Step:
    """The injured lets it be: because of what was offered, or (`forgive`) of its own grace.

    Words settle what weighs up to `APOLOGY_SUFFICES`. Forgiving always may, and the other remembers it kindly.
    Refuses `incident_closed`, `settlement_illegal`.
    """
    _check_open(incident)
    tension = tension_of(incident.kind, incident.severity)
    opinion = opinion_of(incident.kind, incident.severity, incident.evidence)
    if forgive:
        return Step("settled", 0, -0.4 * tension, accused_opinion=-0.3 * opinion, words="forgave it")
    if incident.answer != "apology" or incident.severity > APOLOGY_SUFFICES:
        raise SETTLEMENT_ILLEGAL(answer=incident.answer, severity=incident.severity)
    return Step(
        "settled", 0, -0.3 * tension, injured_opinion=-0.25 * opinion, accused_opinion=4.0,
        words="took the apology",
    )  # fmt: skip


def escalated(incident: Incident, now: int) -> Step:
    """The injured goes a rung up: at once when it was answered with scorn, else when the time to answer is over.

    Refuses `incident_closed`, `ladder_at_top`, `too_early_to_escalate`.
    """
    _check_open(incident)
    if incident.rung >= TOP:
        raise LADDER_AT_TOP(rung=LADDER[incident.rung])
    if incident.answer is None and now < incident.answer_by:
        raise TOO_EARLY_TO_ESCALATE(until=incident.answer_by)
    scorned = incident.answer in ("denial", "retaliation")
    share = weight(incident.kind, incident.severity)
    return Step(
        incident.state, incident.rung + 1, 4 + 6 * share, accused_opinion=-4 - 6 * share,
        loss_of_face=0.0 if scorned or incident.answer is None else 3 * (1 - share),
        words=f"went on to {LADDER[incident.rung + 1].replace('_', ' ')}",
    )  # fmt: skip


def casus_belli(incident: Incident) -> bool:
    """Whether one may go to war for it with reason: it is open, and at least at the rung of sanctions."""
    return incident.state in ("open", "answered") and incident.rung >= LADDER.index("sanctions")


def _check_open(incident: Incident) -> None:
    if incident.state not in ("open", "answered"):
        raise INCIDENT_CLOSED(state=incident.state)
