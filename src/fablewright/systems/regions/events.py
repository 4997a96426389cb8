"""What happens to places, regions and those who are there, and who may know. All members may."""

from uuid import UUID

from pydantic import BaseModel

from fablewright.core.messages import MEMBERS, Audience, Event
from fablewright.systems.regions.commands import BorderValue, Membership, PathValue, PlaceValue, RegionValue


class _RegionEvent(Event):
    def audience(self) -> Audience:
        return MEMBERS


class PlacesDefined(_RegionEvent):
    """Places and ways as they are from now on. A way with `minutes` null is there no more."""

    message_type = "regions.places_defined"

    places: list[PlaceValue]
    paths: list[PathValue]


class PlaceRemoved(_RegionEvent):
    """A place is off the map, with its ways (`paths`)."""

    message_type = "regions.place_removed"

    place_id: UUID
    name: str
    paths: list[PathValue]


class Placed(BaseModel):
    """Where a character is, lives and works after it was placed. With `to_id` it is still on its way there."""

    character_id: UUID
    place_id: UUID | None
    home_id: UUID | None
    work_id: UUID | None
    to_id: UUID | None = None
    stopped: bool = False
    """Whether this ended a walk."""


class CharactersPlaced(_RegionEvent):
    """Characters were put at places, or given a home or a place to work, by a game master."""

    message_type = "regions.characters_placed"

    placements: list[Placed]

    def about(self) -> list[UUID]:
        """The characters."""
        return [placed.character_id for placed in self.placements]


class WalkBegun(_RegionEvent):
    """A character set out. It walks over `via` (the places between the two) and arrives at world time
    `arrives_at` (ms), after `minutes`."""

    message_type = "regions.walk_begun"
    subjects = ("character_id",)

    character_id: UUID
    from_id: UUID
    to_id: UUID
    arrives_at: int
    minutes: float
    via: list[UUID]


class Arrived(_RegionEvent):
    """A character has walked from one place to another."""

    message_type = "regions.arrived"
    subjects = ("character_id",)

    character_id: UUID
    place_id: UUID
    from_id: UUID


class RegionsDefined(_RegionEvent):
    """Regions, borders and what lies where, as they are from now on. A border with `minutes` null is no more."""

    message_type = "regions.regions_defined"

    regions: list[RegionValue]
    borders: list[BorderValue]
    places: list[Membership]

    def about(self) -> list[UUID]:
        """The regions."""
        return [region.id for region in self.regions if region.id is not None]


class RegionRemoved(_RegionEvent):
    """A region is off the map, with its `borders`; `place_ids` lie in no region now."""

    message_type = "regions.region_removed"
    subjects = ("region_id",)

    region_id: UUID
    name: str
    controller_id: UUID | None
    place_ids: list[UUID]
    borders: list[BorderValue]


class ControlChanged(_RegionEvent):
    """Another faction holds a region, or nobody does (`controller_id` null)."""

    message_type = "regions.control_changed"
    subjects = ("region_id", "previous", "controller_id")

    region_id: UUID
    previous: UUID | None
    controller_id: UUID | None
    reason: str


class StabilityChanged(_RegionEvent):
    """Something shook or strengthened a region; stability is from 0 to 1."""

    message_type = "regions.stability_changed"
    subjects = ("region_id",)

    region_id: UUID
    before: float
    after: float
    reason: str


class MovementBanned(_RegionEvent):
    """Somebody (`subject_id` null: everybody) may not come into a region (null: into any).

    It holds from `from_at` until `until_at` (world ms; null: until it is lifted). `source` says what keeps it.
    """

    message_type = "regions.movement_banned"
    subjects = ("region_id", "subject_id")

    ban_id: UUID
    region_id: UUID | None
    subject_id: UUID | None
    source: str
    reason: str
    from_at: int
    until_at: int | None


class MovementBanLifted(_RegionEvent):
    """A ban holds no longer."""

    message_type = "regions.movement_ban_lifted"
    subjects = ("region_id", "subject_id")

    ban_id: UUID
    region_id: UUID | None
    subject_id: UUID | None
    source: str
