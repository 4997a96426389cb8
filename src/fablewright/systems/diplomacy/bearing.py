"""What diplomatic acts do to the people who do them: to ties with those concerned, and to their own reputation. Pure.

Apart from `relations.py` since that is between factions; here kings and envoys come to like each other, or not. That
those who bargain and sign together come to like each other follows Homans (*The Human Group*, 1950): who interacts
with others for a common end comes to like them. The numbers are our own, tuned for play.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import fsum
from typing import Final
from uuid import UUID

from fablewright.core.clock import DAY, elapsed, half_life_factor

REPUTATION_HALF_LIFE: Final = 365 * DAY
"""In this time (world ms) half of what people said of somebody is forgotten, as with factions."""
MOST_REPUTATION: Final = 100.0
MOST_PARTS: Final = 12
"""Reasons of a reputation that are kept one by one; those that weigh least by now are kept as one sum."""
OLDER: Final = "what was said before"
LEAST: Final = 0.05
"""A reason that weighs less is not told any more."""


@dataclass(frozen=True, slots=True)
class Bearing:
    """What an act does: how far the other feels and trusts otherwise (`strength` -1..1, `trust`), how much more the
    two know each other, and by how much (-100..100) the world thinks otherwise of who did it."""

    strength: float = 0.0
    trust: float = 0.0
    familiarity: float = 0.05
    reputation: float = 0.0


BEARINGS: Final[Mapping[str, Bearing]] = {
    "signed": Bearing(0.06, 0.05, 0.1, 0.5),
    "broke_word": Bearing(-0.25, -0.3, 0.05, -6.0),
    "made_good": Bearing(0.04, 0.08, 0.05, 0.5),
    "accused_falsely": Bearing(-0.15, -0.1, 0.05, -2.0),
    "wronged": Bearing(-0.2, -0.1, 0.05, -1.0),
    "apologised": Bearing(0.08, 0.05, 0.05, 0.5),
    "paid": Bearing(0.1, 0.1, 0.05, 1.0),
    "denied": Bearing(-0.05, -0.08, 0.05, 0.0),
    "struck_back": Bearing(-0.2, -0.1, 0.05, -1.0),
    "forgave": Bearing(0.12, 0.08, 0.05, 1.0),
    "threatened": Bearing(-0.15, -0.05, 0.05, -0.5),
    "backed_down": Bearing(0.03, -0.05, 0.05, -3.0),
    "sanctioned": Bearing(-0.1, -0.03, 0.05, 0.0),
    "attacked": Bearing(-0.35, -0.3, 0.05, -8.0),
    "came_to_help": Bearing(0.2, 0.2, 0.1, 2.0),
    "stayed_away": Bearing(-0.2, -0.25, 0.05, -3.0),
    "won": Bearing(-0.03, 0.0, 0.05, 2.0),
    "made_peace": Bearing(0.1, 0.05, 0.1, 2.0),
    "left_the_table": Bearing(-0.05, -0.02, 0.05, -0.5),
    "stood_together": Bearing(0.06, 0.05, 0.1, 0.0),
    "stood_against": Bearing(-0.1, -0.05, 0.05, 0.0),
}
"""By kind of act."""


@dataclass(frozen=True, slots=True)
class Deed:
    """Somebody (`doer`) did something of a kind to others, all of them characters.

    `weight` (>= 0) scales what it does, `words` say it of the doer (`broke the Treaty of Ash`), `event_id` is the event
    that tells of it. What is `secret` changes no reputation.
    """

    kind: str
    doer: UUID
    others: tuple[UUID, ...]
    words: str
    event_id: UUID
    weight: float = 1.0
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """A reason of a reputation: `amount` (-100..100) as it was at world time `at` (ms), and how it came about."""

    at: int
    amount: float
    why: str
    event_id: UUID | None = None

    def on(self, now: int) -> float:
        """What of it is left at world time `now`."""
        return self.amount * half_life_factor(elapsed(self.at, now), REPUTATION_HALF_LIFE)


def reputation(said: Iterable[Said], now: int) -> float:
    """What the world thinks of somebody (-100..100) at world time `now`: the sum of what is left of what was said."""
    return max(-MOST_REPUTATION, min(MOST_REPUTATION, fsum(s.on(now) for s in said)))


def parts(said: Sequence[Said], now: int) -> list[tuple[str, float, UUID | None]]:
    """The reasons with what is left of them at `now`, oldest first; they sum to the reputation.

    What lies beyond the ends of the range stands there as `limit`.
    """
    found = [(s.why, s.on(now), s.event_id) for s in said]
    over = reputation(said, now) - fsum(amount for _, amount, _ in found)
    return found if over == 0.0 else [*found, ("limit", over, None)]


def with_said(said: Sequence[Said], more: Said) -> tuple[Said, ...]:
    """The reasons and one more, newest last: at most `MOST_PARTS`, and before them the sum of what made room.

    What weighs least by now makes room. All fade alike, so the sum stays exact.
    """
    found = [*said, more]
    if len(found) <= MOST_PARTS:
        return tuple(found)
    now = max(s.at for s in found)
    older = [s for s in found if s.why == OLDER and s.event_id is None]
    single = [s for s in found if s not in older and s is not more]
    least = min(single, key=lambda s: abs(s.on(now)))
    gone = [*older, least]
    summed = Said(now, fsum(s.on(now) for s in gone), OLDER)
    kept = [s for s in found if s not in gone]
    return (summed, *kept) if abs(summed.amount) >= LEAST else tuple(kept)


def scaled(deed: Deed) -> Bearing:
    """What this deed does to each of the others, and to the reputation of who did it."""
    bearing = BEARINGS[deed.kind]
    return replace(
        bearing, strength=bearing.strength * deed.weight, trust=bearing.trust * deed.weight,
        reputation=0.0 if deed.secret else bearing.reputation * deed.weight,
    )  # fmt: skip
