"""Journeys between regions: their borders, when they are crossed, where one lands that is stopped. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Final, Literal
from uuid import UUID

from fablewright.core.clock import MINUTE
from fablewright.core.refusal import CONFLICT, NOT_FOUND, Refusal, Refused
from fablewright.systems.regions.rules import (
    NO_ROUTE,
    NO_WAY,
    Barriers,
    Neighbours,
    Route,
    free_way,
)

NOT_TRAVELLING = Refusal(
    "not_travelling", NOT_FOUND, "The character is on no journey. Let it set out first, with `travel.travel`."
)
ALREADY_IN_REGION = Refusal(
    "already_in_region", CONFLICT, "The character is in this region already. Let it walk to a place there."
)
IN_NO_REGION = Refusal(
    "in_no_region",
    CONFLICT,
    "The character is at a place that lies in no region. Let it walk to one that does, or let a game master "
    "say where the place lies, with `regions.define_regions`.",
)
REGION_HAS_NO_PLACE = Refusal(
    "region_has_no_place",
    CONFLICT,
    "There is no place in this region at which to arrive. A game master can say what lies in it, with "
    "`regions.define_regions`.",
)

GATE: Final = "gate"
"""Who comes into a region arrives at a place with this tag, if there is one."""

End = Literal["arrived", "barred", "closed", "cancelled", "placed", "gone"]
"""How a journey ended: at its goal; at a border, by a ban, or because the region beyond is no more; called off; by a
game master who placed the traveller; or because the traveller was deleted."""


@dataclass(frozen=True, slots=True)
class Journey:
    """A journey: over `region_ids`, both ends included, crossing the borders between them at `crossings`.

    Times are world ms. `crossed` says how many borders lie behind; it set out at `from_place_id`.
    """

    id: UUID
    character_id: UUID
    from_place_id: UUID
    to_place_id: UUID
    region_ids: tuple[UUID, ...]
    crossings: tuple[int, ...]
    set_out_at: int
    arrives_at: int
    crossed: int = 0

    @property
    def here(self) -> UUID:
        """The region in which the traveller is."""
        return self.region_ids[self.crossed]

    @property
    def next_border_at(self) -> int | None:
        """When it will cross the next border; None if all lie behind."""
        return self.crossings[self.crossed] if self.crossed < len(self.crossings) else None

    @property
    def beyond(self) -> UUID | None:
        """The region beyond the next border; None if all lie behind."""
        return self.region_ids[self.crossed + 1] if self.crossed < len(self.crossings) else None


def crossings(nearby: Neighbours, way: Route, now: int) -> tuple[int, ...]:
    """When one who sets out at world time `now` (ms) crosses the borders of a way.

    A border lies half way between the middles of its two regions.
    """
    legs = [nearby[one][other] for one, other in pairwise(way.place_ids)]
    ends = list(accumulate(legs))
    arrival = now + max(1, round(way.minutes * MINUTE))
    return tuple(
        min(arrival, now + round((end - leg / 2) * MINUTE)) for leg, end in zip(legs, ends, strict=True)
    )


def way_between(nearby: Neighbours, start: UUID, goal: UUID, barriers: Barriers) -> Route:
    """The quickest way from region to region that no ban bars.

    Refuses `already_in_region`, `no_route`, `barred`.
    """
    if start == goal:
        raise ALREADY_IN_REGION(region_id=str(goal))
    try:
        return free_way(nearby, start, goal, barriers)
    except Refused as refused:
        if refused.refusal is not NO_WAY:
            raise
        raise NO_ROUTE(**refused.facts) from None


def gates(places: Sequence[tuple[UUID, UUID, str, Sequence[str]]]) -> dict[UUID, UUID]:
    """At which place one arrives in each region, from (region, place, name, tags) of all places in them.

    The first by name that is tagged `gate`, else the first by name.
    """
    ordered = sorted(places, key=lambda place: (GATE not in place[3], place[2], place[1]))
    found: dict[UUID, UUID] = {}
    for region_id, place_id, _, _ in ordered:
        found.setdefault(region_id, place_id)
    return found


def crossed(journey: Journey) -> Journey:
    """After its next border."""
    return replace(journey, crossed=journey.crossed + 1)


def landing(journey: Journey, gates_by_region: Mapping[UUID, UUID]) -> UUID:
    """The place at which a traveller ends who cannot go on: in the region where it is.

    If that has no place, in the last region behind it that has one; at least where it set out.
    """
    for step in range(journey.crossed, 0, -1):
        gate = gates_by_region.get(journey.region_ids[step])
        if gate is not None:
            return gate
    return journey.from_place_id
