"""What may be asked about places, regions, bans and who is where, and by whom."""

from typing import Annotated, Final, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from fablewright.core.actors import Role, at_least
from fablewright.core.messages import Command
from fablewright.systems.regions.rules import (
    ALREADY_THERE,
    ALREADY_WALKING,
    ASLEEP,
    BAN_ENDS_TOO_EARLY,
    BAN_NOT_FOUND,
    BAN_OF_ANOTHER,
    BARRED,
    CHARACTER_NOT_FOUND,
    HOLDER_DISSOLVED,
    HOLDER_NOT_FOUND,
    NO_STARTING_POINT,
    NO_WAY,
    NOT_PRESENT,
    PLACE_IN_USE,
    PLACE_NAME_TAKEN,
    PLACE_NOT_FOUND,
    REGION_NAME_TAKEN,
    REGION_NOT_FOUND,
    SAME_PLACE,
    SAME_REGION,
    TOO_MANY_BANS,
    TOO_MANY_PLACES,
    TOO_MANY_REGIONS,
)

MOST_AT_ONCE: Final = 200
"""Places, ways or characters in one command, so that its event stays small."""
MOST_TAGS: Final = 20
MOST_PLACES: Final = 5_000
"""Places of a world."""
MOST_PATHS: Final = 20_000
"""Ways of a world: whoever sets out looks at all of them."""
MOST_REGIONS: Final = 2_000
"""Regions of a world."""
MOST_BORDERS: Final = 10_000
"""Borders of a world: who travels looks at all of them."""
MOST_BANS: Final = 5_000
"""Bans of a world that are not lifted: who sets out looks at all of them."""
MOST_RESOURCES: Final = 30

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
        NOT_PRESENT, BARRED,
    )  # fmt: skip

    character_id: UUID
    place_id: UUID = Field(description="Where it shall go.")


# -- regions -------------------------------------------------------------------------------------------------

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00]*$")
]
Good = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,49}$")]
PerDay = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500, pattern=r"^[^\x00]*$")]
ONE: Final = "01890a5d-ac96-774b-bcce-b302099a8101"
TWO: Final = "01890a5d-ac96-774b-bcce-b302099a8102"


class RegionValue(BaseModel):
    """A region as it shall be. What is left out gets its default, except for what may be null: that stays."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: UUID | None = Field(
        None, description="Left out: the region of this name, or if there is none, a new one."
    )
    name: Name
    terrain: Tag = Field(
        "plain", description="Any word, such as plain, forest, hills, mountains, coast, marsh."
    )
    description: Annotated[str, StringConstraints(max_length=4000, pattern=r"^[^\x00]*$")] = ""
    resources: dict[Good, PerDay] = Field(
        {}, max_length=MOST_RESOURCES, description="Units of each good that it brings forth per world day."
    )
    population: Annotated[int, Field(ge=0, le=10**9)] = Field(
        0, description="How many people live there, beside the characters."
    )
    stability: Share | None = Field(
        None,
        description="From 0 (chaos) to 1 (order), now; null: as it is, for a new region `stability_rest`.",
    )
    stability_rest: Share = Field(0.7, description="Where its stability drifts to when nothing shakes it.")
    tags: list[Tag] = Field([], max_length=MOST_TAGS)


class BorderValue(BaseModel):
    """That two regions are neighbours, and how long the journey from one to the other takes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    a_id: UUID
    b_id: UUID
    minutes: Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)] | None = Field(
        description="Minutes of world time, the same both ways; null: they are no neighbours any more."
    )


class Membership(BaseModel):
    """In which region a place lies."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    place_id: UUID
    region_id: UUID | None = Field(description="Null: in none.")


class DefineRegions(Command):
    """Make regions, their borders and what lies in them, or change those that exist; all of it or nothing.

    What is not named stays. A border of a region that this command makes needs the region's `id`.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "regions": [
                        {
                            "id": ONE, "name": "Ashvale", "terrain": "hills", "population": 1200,
                            "resources": {"iron": 40, "grain": 10},
                        },
                        {"id": TWO, "name": "The Fens", "terrain": "marsh", "stability_rest": 0.5},
                    ],
                    "borders": [{"a_id": ONE, "b_id": TWO, "minutes": 960}],
                }
            ]
        }
    )  # fmt: skip
    message_type = "regions.define_regions"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (REGION_NOT_FOUND, REGION_NAME_TAKEN, SAME_REGION, TOO_MANY_REGIONS, PLACE_NOT_FOUND)

    regions: list[RegionValue] = Field([], max_length=MOST_AT_ONCE)
    borders: list[BorderValue] = Field([], max_length=MOST_AT_ONCE)
    places: list[Membership] = Field([], max_length=MOST_AT_ONCE)

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        for what, given in (
            ("id", [region.id for region in self.regions if region.id is not None]),
            ("name", [region.name for region in self.regions]),
            ("pair of regions", [frozenset((b.a_id, b.b_id)) for b in self.borders]),
            ("place", [lies.place_id for lies in self.places]),
        ):
            if len(set(given)) < len(given):
                raise ValueError(f"name each {what} once")
        if not (self.regions or self.borders or self.places):
            raise ValueError("name regions, borders or places")
        return self


class RemoveRegion(Command):
    """Take a region off the map, with its borders. Its places stay, in no region; its history stays, too."""

    message_type = "regions.remove_region"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (REGION_NOT_FOUND,)

    region_id: UUID


class SetControl(Command):
    """Say which faction holds a region."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"region_id": ONE, "controller_id": None, "reason": "Given up"}]}
    )
    message_type = "regions.set_control"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (REGION_NOT_FOUND, HOLDER_NOT_FOUND, HOLDER_DISSOLVED)

    region_id: UUID
    controller_id: UUID | None = Field(description="The id of a faction; null: nobody holds it.")
    reason: Reason = ""


class BanMovement(Command):
    """Keep a character, a faction's members or everybody out of a region, or of every region but their own."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"region_id": ONE, "subject_id": None, "reason": "Plague", "until_at": None}]
        }
    )
    message_type = "regions.ban_movement"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (REGION_NOT_FOUND, BAN_ENDS_TOO_EARLY, TOO_MANY_BANS)

    region_id: UUID | None = Field(None, description="Which region; null: any.")
    subject_id: UUID | None = Field(
        None, description="A character, or what characters belong to, such as a faction; null: everybody."
    )
    reason: Reason = ""
    until_at: int | None = Field(
        None, ge=-(2**62), le=2**62, description="World time (ms) when it ends; null: when it is lifted."
    )


class LiftBan(Command):
    """End a ban that a game master imposed. One that a sanction or treaty keeps ends with that."""

    message_type = "regions.lift_ban"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (BAN_NOT_FOUND, BAN_OF_ANOTHER)

    ban_id: UUID
