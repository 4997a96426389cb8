"""What happens on journeys, and who may know. All members may."""

from typing import ClassVar
from uuid import UUID

from fablewright.core.messages import MEMBERS, Audience, Event
from fablewright.systems.travel.rules import End


class _TravelEvent(Event):
    subjects: ClassVar[tuple[str, ...]] = ("character_id",)

    character_id: UUID
    journey_id: UUID

    def audience(self) -> Audience:
        return MEMBERS


class SetOut(_TravelEvent):
    """A character set out for another region, over `region_ids` (both ends included).

    It arrives at `to_place_id` at world time `arrives_at` (ms), after `minutes`.
    """

    message_type = "travel.set_out"

    from_region_id: UUID
    to_region_id: UUID
    to_place_id: UUID
    region_ids: list[UUID]
    minutes: float
    arrives_at: int


class CrossedBorder(_TravelEvent):
    """A traveller came from one region into the next."""

    message_type = "travel.crossed_border"
    subjects = ("character_id", "region_id")

    from_region_id: UUID
    region_id: UUID


class Arrived(_TravelEvent):
    """A traveller reached the region for which it had set out, and is at a place there."""

    message_type = "travel.arrived"
    subjects = ("character_id", "region_id")

    from_region_id: UUID
    region_id: UUID
    place_id: UUID


class Stopped(_TravelEvent):
    """A journey ended before its goal; the traveller is at `place_id` in `region_id` (null: in none).

    `why` is `barred` (a ban keeps it out of `barred_region_id`; `source` keeps the ban), `closed` (that region is no
    more), `cancelled` (it was called off) or `placed` (a game master put it elsewhere).
    """

    message_type = "travel.stopped"
    subjects = ("character_id", "barred_region_id")

    region_id: UUID | None
    place_id: UUID | None
    to_region_id: UUID
    why: End
    barred_region_id: UUID | None = None
    source: str | None = None
    reason: str = ""
