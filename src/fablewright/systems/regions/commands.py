"""What may be asked about places and who is where, and by whom."""

from typing import Annotated, Final, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from fablewright.core.actors import Role, at_least
from fablewright.core.messages import Command
from fablewright.systems.regions.rules import (
    ALREADY_THERE,
    ALREADY_WALKING,
    ASLEEP,
    CHARACTER_NOT_FOUND,
    NO_STARTING_POINT,
    NO_WAY,
    NOT_PRESENT,
    PLACE_IN_USE,
    PLACE_NAME_TAKEN,
    PLACE_NOT_FOUND,
    SAME_PLACE,
    TOO_MANY_PLACES,
)

MOST_AT_ONCE: Final = 200
"""Places, ways or characters in one command, so that its event stays small."""
MOST_TAGS: Final = 20
MOST_PLACES: Final = 5_000
"""Places of a world."""
MOST_PATHS: Final = 20_000
"""Ways of a world: whoever sets out looks at all of them."""

Tag = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50, pattern=r"^[^\x00-\x1f]*$")
]


class PlaceValue(BaseModel):
    """A place as it shall be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: UUID | None = Field(
        None, description="Left out: the place of this name, or if there is none, a new one."
    )
    name: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00]*$")
    ]
    kind: Tag = Field(
        "square",
        description="Any word. The director knows home, work, tavern, market, temple, hall, wild, road, square.",
    )
    description: Annotated[str, StringConstraints(max_length=4000, pattern=r"^[^\x00]*$")] = ""
    tags: list[Tag] = Field([], max_length=MOST_TAGS)


class PathValue(BaseModel):
    """That two places are neighbours, and how far apart."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    a_id: UUID
    b_id: UUID
    minutes: Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)] | None = Field(
        description="Minutes of world time on foot, the same both ways; null: they are no neighbours any more."
    )


class DefinePlaces(Command):
    """Make places and the ways between them, or change those that exist; all of it or nothing.

    What is not named stays. A way to a place that this command makes needs the place's `id`.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "places": [
                        {"id": "01890a5d-ac96-774b-bcce-b302099a8001", "name": "The Mill", "kind": "work"},
                        {"id": "01890a5d-ac96-774b-bcce-b302099a8002", "name": "The Green"},
                    ],
                    "paths": [
                        {
                            "a_id": "01890a5d-ac96-774b-bcce-b302099a8001",
                            "b_id": "01890a5d-ac96-774b-bcce-b302099a8002",
                            "minutes": 12,
                        }
                    ],
                }
            ]
        }
    )
    message_type = "regions.define_places"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (PLACE_NOT_FOUND, PLACE_NAME_TAKEN, SAME_PLACE, TOO_MANY_PLACES)

    places: list[PlaceValue] = Field([], max_length=MOST_AT_ONCE)
    paths: list[PathValue] = Field([], max_length=MOST_AT_ONCE)

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        ids = [place.id for place in self.places if place.id is not None]
        names = [place.name for place in self.places]
        pairs = [frozenset((path.a_id, path.b_id)) for path in self.paths]
        for what, given in (("id", ids), ("name", names), ("pair of places", pairs)):
            if len(set(given)) < len(given):
                raise ValueError(f"name each {what} once")
        if not self.places and not self.paths:
            raise ValueError("name places or paths")
        return self


class RemovePlace(Command):
    """Take a place off the map, with its ways. Not while somebody is there, heads for it, lives or works there."""

    message_type = "regions.remove_place"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (PLACE_NOT_FOUND, PLACE_IN_USE)

    place_id: UUID


class Placement(BaseModel):
    """Where a character shall be, sleep and work; what is left out or null stays as it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    character_id: UUID
    place_id: UUID | None = Field(None, description="It is there at once, and ends any walk.")
    home_id: UUID | None = None
    work_id: UUID | None = None


class PlaceCharacters(Command):
    """Put characters at places at once, and say where they live and work; all of it or nothing."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "placements": [
                        {
                            "character_id": "01890a5d-ac96-774b-bcce-b302099a8057",
                            "place_id": "01890a5d-ac96-774b-bcce-b302099a8002",
                            "work_id": "01890a5d-ac96-774b-bcce-b302099a8001",
                        }
                    ]
                }
            ]
        }
    )
    message_type = "regions.place_characters"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (PLACE_NOT_FOUND, CHARACTER_NOT_FOUND)

    placements: list[Placement] = Field(min_length=1, max_length=MOST_AT_ONCE)

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len({p.character_id for p in self.placements}) < len(self.placements):
            raise ValueError("name each character once")
        return self


class Walk(Command):
    """Let a character set out for a place, by the quickest way. It arrives when the world's time has come."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "character_id": "01890a5d-ac96-774b-bcce-b302099a8057",
                    "place_id": "01890a5d-ac96-774b-bcce-b302099a8001",
                }
            ]
        }
    )
    message_type = "regions.walk"
    allowed = at_least(Role.PLAYER, acts_as=("character_id",))
    refusals = (
        PLACE_NOT_FOUND, NO_WAY, ALREADY_THERE, ALREADY_WALKING, NO_STARTING_POINT, CHARACTER_NOT_FOUND, ASLEEP,
        NOT_PRESENT,
    )  # fmt: skip

    character_id: UUID
    place_id: UUID = Field(description="Where it shall go.")
