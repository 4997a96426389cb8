"""Ultimatums and coalitions: what is refused, what a threat does, and what keeping or breaking one's word costs. Pure.

Apart from `rules.py` since threats are a noun of their own. That backing down costs more the louder the threat was is
the idea of audience costs (James Fearon, "Domestic Political Audiences and the Escalation of International Disputes",
1994); that states balance against what threatens them, not against mere power, is Stephen Walt's (*The Origins of
Alliances*, 1987). The numbers are our own, tuned for play.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from fablewright.core.clock import DAY
from fablewright.core.refusal import CONFLICT, INVALID, NOT_FOUND, Refusal

Threat = Literal["war", "sanction", "incident"]
"""What an ultimatum promises if its demands are not met, worst first."""
UltimatumState = Literal["issued", "accepted", "rejected", "expired", "withdrawn"]

ULTIMATUM_NOT_FOUND = Refusal(
    "ultimatum_not_found", NOT_FOUND, "There is no such ultimatum in this world. Look it up in the list."
)
ULTIMATUM_CLOSED = Refusal(
    "ultimatum_closed",
    CONFLICT,
    "The ultimatum is answered, withdrawn, or its time is over. Issue a new one.",
)
ULTIMATUM_TO_ONESELF = Refusal(
    "ultimatum_to_oneself", INVALID, "An ultimatum goes to another faction. Name two different ones."
)
ULTIMATUM_STANDS = Refusal(
    "ultimatum_stands",
    CONFLICT,
    "An ultimatum of the same faction to the same one stands already. Wait for its end, or withdraw it.",
)
DEMANDS_NOTHING = Refusal(
    "demands_nothing",
    INVALID,
    "None of the demands binds the faction they are made to. Demand something of it.",
)
NOT_ITS_INCIDENT = Refusal(
    "not_its_incident",
    CONFLICT,
    "The incident is not one for which this faction holds the target responsible. Name another, or none.",
)
COALITION_NOT_FOUND = Refusal(
    "coalition_not_found", NOT_FOUND, "There is no such coalition in this world. Look it up in the list."
)
COALITION_OVER = Refusal("coalition_over", CONFLICT, "The coalition was dissolved. Form a new one.")
COALITION_STANDS = Refusal(
    "coalition_stands", CONFLICT, "There is a coalition against this faction already. Join that one."
)
COALITION_AGAINST_ONESELF = Refusal(
    "coalition_against_oneself",
    INVALID,
    "A coalition stands against another faction. Name two different ones.",
)
TOO_LITTLE_FEAR = Refusal(
    "too_little_fear",
    CONFLICT,
    "The faction does not frighten enough of its neighbours for a coalition. See who fears it, and how much.",
)
IN_COALITION = Refusal("in_coalition", CONFLICT, "The faction belongs to this coalition already.")
NOT_IN_COALITION = Refusal(
    "not_in_coalition", CONFLICT, "The faction does not belong to this coalition. Join it first."
)
ALLIED_TO_THE_TARGET = Refusal(
    "allied_to_the_target", CONFLICT, "The two are allies. End the alliance before standing against it."
)

ANSWER_DAYS: Final = 10
"""World days that the target of an ultimatum has if nobody says otherwise."""
ACTS_AFTER: Final = 3 * DAY
"""So long after a no, or silence, the promised consequence comes: the last chance to back down (world ms)."""
REVIEW_EVERY: Final = 90 * DAY
"""So often a coalition asks whether it is still needed (world ms)."""
FEAR_STAYS: Final = 10.0
"""Below this fear of the target a member leaves its coalition at the next review."""


@dataclass(frozen=True, slots=True)
class Weight:
    """What a threat weighs.

    `tension` it adds to the pair, `opinion` the target loses of the issuer; `face` is the reputation that the issuer
    loses by backing down before an answer, twice as much after a no.
    """

    tension: float
    opinion: float
    face: float


THREATS: Final[Mapping[str, Weight]] = {
    "war": Weight(15.0, -15.0, 6.0), "sanction": Weight(9.0, -9.0, 3.5), "incident": Weight(5.0, -5.0, 2.0),
}  # fmt: skip

YIELDED_OPINION: Final = -12.0
"""What who yields thinks worse of who forced it."""
YIELDED_FACE: Final = 2.0
"""The reputation it loses."""
YIELDED_TENSION: Final = -10.0
CONTENT_OPINION: Final = 6.0
"""What the issuer thinks better of who yields."""
DEFIED_OPINION: Final = -10.0
DEFIED_TENSION: Final = 8.0
"""What a no (or silence) does to what the issuer thinks of the target, and to their tension."""
EMPTY_TRUST: Final = -0.05
"""What a threat that was taken back does to the trust of the target: the next one counts for less."""
EMPTY_TENSION: Final = -8.0
TOGETHER_OPINION: Final = 15.0
"""What members of a coalition think better of each other."""
AGAINST_OPINION: Final = -12.0
AGAINST_TENSION: Final = 6.0
"""What the target thinks of each member, and what it adds to their tension."""
DESERTED_OPINION: Final = -8.0
DESERTED_TRUST: Final = -0.05
"""What the others think of a member that leaves while it is still afraid."""


def loss_of_face(threat: str, *, answered: bool) -> float:
    """The reputation (>= 0) that backing down costs: twice as much after a no, when all have heard the answer."""
    return THREATS[threat].face * (2 if answered else 1)
