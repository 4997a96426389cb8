"""How ties are measured. Pure."""

from dataclasses import dataclass
from math import log1p
from typing import Final

from fablewright.core.refusal import INVALID, NOT_FOUND, Refusal

TRUST_OF_STRANGERS: Final = 0.5
"""Trust (0..1) between characters that have no tie yet; their strength is 0."""

SAME_CHARACTER = Refusal(
    "same_character", INVALID, "A character cannot do this with itself. Name two characters."
)
TIE_CHARACTER_NOT_FOUND = Refusal(
    "character_not_found", NOT_FOUND, "There is no such character in this world. Look it up in the list."
)


@dataclass(frozen=True, slots=True)
class TieState:
    """How one character feels about another: `strength` -1..1 (hate to love), `trust` 0..1.

    `interaction_count` and `last_interaction_at` (world ms, None for never) say how often and when they last
    met.
    """

    strength: float = 0.0
    trust: float = TRUST_OF_STRANGERS
    interaction_count: int = 0
    last_interaction_at: int | None = None


def clamp(value: float, low: float, high: float) -> float:
    """The value, or the nearer end of `low`..`high` if it is outside."""
    return min(high, max(low, value))


def strength_of_weight(weight: float, heaviest: float) -> float:
    """The strength, in (0, 1], of an observed tie with `weight` > 0 in a network whose heaviest tie is given.

    log(1 + weight) / log(1 + heaviest): counts of encounters are skewed, so that each doubling adds about the
    same (the usual damping of raw counts, as with term frequencies).
    """
    return clamp(log1p(weight) / log1p(heaviest), 0.0, 1.0)
