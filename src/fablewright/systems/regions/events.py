"""What happens to places and to those who are there, and who may know. All members may."""

from uuid import UUID

from pydantic import BaseModel

from fablewright.core.messages import MEMBERS, Audience, Event
from fablewright.systems.regions.commands import PathValue, PlaceValue


class _RegionEvent(Event):
    def audience(self) -> Audience:
        return MEMBERS


class PlacesDefined(_RegionEvent):
    """Places and ways as they are from now on. A way with `minutes` null is there no more."""

    message_type = "regions.places_defined"

    places: list[PlaceValue]
    paths: list[PathValue]


class PlaceRemoved(_RegionEvent):
    """A place is off the map, with its ways."""

    message_type = "regions.place_removed"

    place_id: UUID
    name: str


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
