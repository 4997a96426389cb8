"""The game of relations between factions: what is refused, which status may follow which, how others judge.

The values themselves, and how they decay, are in `relations`. The coefficients are our own, tuned for play.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from math import expm1
from typing import Final, Literal, get_args
from uuid import UUID

from fablewright.core.refusal import CONFLICT, INVALID, NOT_FOUND, Refusal

Status = Literal["war", "truce", "hostile", "neutral", "cordial", "friendly", "allied"]
STATUSES: Final[tuple[Status, ...]] = get_args(Status)
"""What two factions can be to each other, worst first (a truce is the pause after a war)."""

MOST_TENSION: Final = 100.0
MOST_OPINION: Final = 100.0
TENSION_HALF_LIFE_DAYS: Final = 60.0
"""World days in which half of a tension between two factions is gone."""
OPINION_HALF_LIFE_DAYS: Final = 365.0
"""The same for a modifier of an opinion, if nobody says otherwise."""
TRUST_OF_STRANGERS: Final = 0.5
"""Trust (0..1) between factions that have promised each other nothing yet; all trust drifts back to it."""
TRUST_HALF_LIFE_DAYS: Final = 730.0
"""World days in which a trust comes half the way back."""
TRUCE_DAYS: Final = 180.0
"""World days after a war in which neither may begin another, if the peace does not say otherwise."""
MOST_MODIFIERS: Final = 32
"""Modifiers of one opinion that are kept; the one that weighs least makes room."""
MOST_SET: Final = 200
"""Relations in one `SetRelations`, so that its events stay small."""
MOST_FACTIONS: Final = 1_000
"""Factions whose matrix is shown at once."""

SAME_FACTION = Refusal("same_faction", INVALID, "A faction has no relations with itself. Name two factions.")
RELATION_FACTION_NOT_FOUND = Refusal(
    "faction_not_found", NOT_FOUND, "There is no such faction in this world. Look it up in the list."
)
STATUS_MOVE_ILLEGAL = Refusal(
    "status_move_illegal", CONFLICT,
    "Two factions cannot become this to each other in one step. Take one of the steps in `legal`.",
)  # fmt: skip
TRUCE_HOLDS = Refusal(
    "truce_holds", CONFLICT, "A truce holds between these factions. Wait until the world time in `until`."
)
TRUCE_UNTIL_WRONG = Refusal(
    "truce_until_wrong", INVALID,
    "A truce ends at a world time after now, and there is none while the two are at war. Choose a later "
    "`truce_until`, or leave it out.",
)  # fmt: skip
OPINION_NOT_FOUND = Refusal(
    "opinion_not_found", NOT_FOUND, "The faction holds no such opinion. List the parts of its opinion."
)
DEED_NOT_FOUND = Refusal(
    "deed_not_found",
    NOT_FOUND,
    "There is no such deed in this world, or you do not know of it. List the deeds.",
)
TOO_MANY_RELATIONS = Refusal(
    "too_many_relations", INVALID,
    f"The matrix shows {MOST_FACTIONS} factions at most. Ask for the relations of one faction.",
)  # fmt: skip

MOVES: Final[Mapping[Status, Mapping[Status, str]]] = {
    "war": {"truce": "they have made peace, or agreed to cease fire"},
    "truce": {
        "war": "fighting begins again, once the truce is over",
        "hostile": "the truce has run out and the grudge is left",
        "neutral": "the truce has run out quietly",
        "cordial": "the peace has brought them together",
    },
    "hostile": {
        "war": "war is declared",
        "neutral": "tempers have cooled",
        "cordial": "they have settled what stood between them",
    },
    "neutral": {
        "war": "war is declared",
        "hostile": "a quarrel has broken out",
        "cordial": "they have come to like each other",
        "friendly": "a treaty has made them friends",
        "allied": "an alliance is signed",
    },
    "cordial": {
        "war": "war is declared without warning",
        "hostile": "a quarrel has broken out",
        "neutral": "they have cooled towards each other",
        "friendly": "they have become friends",
        "allied": "an alliance is signed",
    },
    "friendly": {
        "war": "a call to arms, or treachery, sets friends against each other",
        "hostile": "a betrayal has ended the friendship",
        "neutral": "the friendship has ended",
        "cordial": "they have cooled towards each other",
        "allied": "an alliance is signed",
    },
    "allied": {
        "hostile": "a betrayal has ended the alliance",
        "neutral": "the alliance has ended",
        "cordial": "the alliance has ended well",
        "friendly": "the alliance has ended, the friendship has not",
    },
}
"""What two factions that are one thing to each other may become next, and what such a step means."""


def clamp(value: float, low: float, high: float) -> float:
    """The value, or the nearer end of `low`..`high` if it is outside."""
    return min(high, max(low, value))


@dataclass(frozen=True, slots=True)
class Band:
    """How warm two factions must be to become something by themselves, and to stay it."""

    status: Status
    becomes: float
    stays: float


COLDEST: Final = Band("hostile", -40.0, -20.0)
WARM: Final = (Band("friendly", 55.0, 35.0), Band("cordial", 25.0, 10.0))
DRIFTING: Final = frozenset[Status](("hostile", "neutral", "cordial", "friendly"))
"""What follows from feelings alone. War, truce and alliance are made and ended by deeds."""


def warmth(opinion: float, back: float, tension: float) -> float:
    """How warm it is between two factions, -150..100: the mean of both opinions, less half the tension."""
    return (opinion + back) / 2.0 - tension / 2.0


def drifts_to(status: Status, warm: float) -> Status:
    """The status that follows by itself from this warmth; bounds differ for coming and going, so that it is calm."""
    if status not in DRIFTING:
        return status
    if warm <= (COLDEST.stays if status == "hostile" else COLDEST.becomes):
        return "hostile"
    for band in WARM:
        if warm >= (band.stays if status == band.status else band.becomes):
            # Who was hostile a moment ago is not a friend in one step.
            return "cordial" if status == "hostile" else band.status
    if status == "friendly" and warm >= WARM[1].stays:
        return "cordial"
    return "neutral"


def warmer(a: Status, b: Status) -> bool:
    """Whether `a` is better than `b`."""
    return STATUSES.index(a) > STATUSES.index(b)


# -- how others judge ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Judge:
    """A faction that may judge what one did to another.

    `opinion` (-100..100) is what it thinks of the victim, `status` what it is to the victim, `certainty` 0..1 how
    surely it knows of the deed (1 as a witness or if it is public, less by rumour, 0 not at all), `honourable`
    0..1 its trait.
    """

    opinion: float
    status: Status
    certainty: float
    honourable: float = 0.5


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a judge makes of a deed: changes of its opinion of and trust in the doer, and of their tension."""

    opinion: float
    trust: float
    tension: float
    parts: tuple[tuple[str, float], ...]
    """The factors whose product, times the gravity, is the change of the opinion."""


CLOSENESS: Final[Mapping[Status, float]] = {
    "war": -1.0, "truce": -0.5, "hostile": -0.4, "neutral": 0.0, "cordial": 0.3, "friendly": 0.6, "allied": 1.0
}  # fmt: skip
"""How close factions are by their status alone, -1..1."""
STRANGER_CARES: Final = 0.3
"""The part of a betrayal's gravity that one feels who is nothing to the victim."""


def closeness(opinion: float, status: Status) -> float:
    """How close a faction is to another, -1..1: half by its opinion, half by their status."""
    return clamp(opinion / MOST_OPINION / 2.0 + CLOSENESS[status] / 2.0, -1.0, 1.0)


def judged(judge: Judge, gravity: float) -> Judgement:
    """How a faction judges a betrayal of `gravity` 0..100 (what the victim's opinion loses).

    A friend of the victim feels it nearly as the victim does, a stranger a part of it, an enemy of the victim
    less than that, down to nothing for the bitterest. Who loves honour minds more. Trust suffers whoever the victim
    is: who breaks one word breaks another.
    """
    near = closeness(judge.opinion, judge.status)
    cares = max(
        0.0, STRANGER_CARES + (0.9 - STRANGER_CARES) * near if near > 0 else STRANGER_CARES * (1 + near)
    )
    honour = 0.5 + clamp(judge.honourable, 0.0, 1.0)
    certainty = clamp(judge.certainty, 0.0, 1.0)
    weight = cares * honour * certainty
    return Judgement(
        opinion=-clamp(gravity * weight, 0.0, MOST_OPINION),
        trust=-clamp(gravity / MOST_OPINION * 0.3 * honour * certainty, 0.0, 1.0),
        tension=clamp(gravity * max(0.0, near) * certainty * 0.3, 0.0, MOST_TENSION),
        parts=(("how close the victim is", cares), ("how much honour counts", honour), ("how sure it is", certainty)),
    )  # fmt: skip


DeedKind = Literal["breach", "desertion", "pact"]
GRAVITY: Final[Mapping[DeedKind, float]] = {"breach": 30.0, "desertion": 20.0, "pact": 0.0}
"""How much (0..100) a friend of the victims minds a broken treaty, an ally that does not come, a secret treaty."""
ENVOYS: Final = 0.8
"""How surely (0..1) a faction knows what the envoys of its friends tell it."""
SURER: Final = 0.05
"""Who is surer of a deed by less than this judges it no further."""


def judged_by_all(judges: Iterable[Judge], gravity: float) -> Judgement:
    """The hardest of the judgements, where a deed had several victims: one for each as in `judged`."""
    return min((judged(judge, gravity) for judge in judges), key=lambda j: (j.opinion, -j.tension))


# -- gifts ---------------------------------------------------------------------------------------------------

MOST_GRATITUDE: Final = 30.0
"""What all gifts of a faction can win of another's opinion (0..100)."""
GRATITUDE_SCALE: Final = 300.0
"""A gift of so many units wins 63 % of the gratitude that is left to win."""
GRATITUDE_HALF_LIFE_DAYS: Final = 240.0
"""World days in which half of it is forgotten."""


def gratitude(felt: float, amount: int) -> float:
    """How much better a faction thinks of who gives it `amount` (> 0) units, if it is `felt` grateful already.

    The more was given, the less the next gift wins, and what is given in pieces wins no more than at once.
    """
    return max(0.0, MOST_GRATITUDE - felt) * -expm1(-amount / GRATITUDE_SCALE)


# -- what war does to the land -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Unrest:
    """How much the stability (0..1) of a region moves, and where an enemy is across the border."""

    home: float
    front: float
    reason: str


WAR_BEGINS: Final = Unrest(-0.08, -0.16, "war has come")
WAR_GOES_ON: Final = Unrest(0.0, -0.08, "the war goes on")
PEACE_COMES: Final = Unrest(0.1, 0.2, "peace is made")
WAR_WEARS_DAYS: Final = 30
"""World days between two shakes while a war goes on."""


def unrest(
    holders: Mapping[UUID, UUID], borders: Iterable[tuple[UUID, UUID]], enemies: Mapping[UUID, Collection[UUID]],
    moved: Unrest,
) -> dict[UUID, float]:  # fmt: skip
    """By region, how much its stability moves; those where it does not are missing.

    `holders` says who holds each region, `enemies` against whom each of those who fight does.
    """
    front: set[UUID] = set()
    for a, b in borders:
        if a in holders and holders.get(b) in enemies.get(holders[a], ()):
            front |= {a, b}
    deltas = {
        region: moved.front if region in front else moved.home
        for region, holder in holders.items() if holder in enemies
    }  # fmt: skip
    return {region: delta for region, delta in deltas.items() if delta}
