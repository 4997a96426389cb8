"""How places and regions stand in a pack: `places.yaml`, `regions.yaml`, and where each character is."""

from collections.abc import Sequence
from typing import Annotated, Final
from uuid import UUID

from pydantic import Field, StringConstraints

from fablewright.core.messages import Command
from fablewright.core.pack import Form, Ids, Item, PackAddition, PackModel, PackSection, Ref, Snapshot, chunks
from fablewright.systems.regions.commands import (
    MOST_AT_ONCE,
    MOST_RESOURCES,
    MOST_TAGS,
    BanMovement,
    BorderValue,
    DefinePlaces,
    DefineRegions,
    Good,
    Membership,
    Name,
    PathValue,
    PerDay,
    PlaceCharacters,
    Placement,
    PlaceValue,
    Reason,
    RegionValue,
    Share,
    Tag,
)
from fablewright.systems.regions.rules import GAME_MASTERS_BAN
from fablewright.systems.regions.views import REGION, region_of

PlaceKey = Annotated[str, Ref("places")]
RegionKey = Annotated[str, Ref("regions")]
Minutes = Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)]
JourneyMinutes = Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)]


class PlaceEntry(PackModel):
    """A place. A way leads in both directions, and is written with either of its ends."""

    id: UUID | None = Field(None, description="Its id in the world; left out, it follows from the key.")
    name: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00]*$")
    ]
    kind: Tag = Field(
        "square",
        description="Any word, such as home, work, tavern, market, temple, hall, wild, road, square.",
    )
    description: Annotated[str, StringConstraints(max_length=4000, pattern=r"^[^\x00]*$")] = ""
    tags: list[Tag] = Field([], max_length=MOST_TAGS)
    ways: dict[PlaceKey, Minutes] = Field({}, description="Neighbours, with the minutes on foot.")


class BanEntry(PackModel):
    """That nobody may come into a region. What bars some only (a sanction, a treaty) is written by what keeps it."""

    reason: Reason = ""
    until: int | None = Field(None, description="World time (ms) when it ends; left out, when it is lifted.")


class RegionEntry(PackModel):
    """A region. A border is written with either of its ends."""

    id: UUID | None = Field(None, description="Its id in the world; left out, it follows from the key.")
    name: Name
    terrain: Tag = Field("plain", description="Any word, such as plain, forest, hills, mountains, coast.")
    description: Annotated[str, StringConstraints(max_length=4000, pattern=r"^[^\x00]*$")] = ""
    resources: dict[Good, PerDay] = Field(
        {}, max_length=MOST_RESOURCES, description="Units of each good per world day."
    )
    population: Annotated[int, Field(ge=0, le=10**9)] = 0
    stability: Share | None = Field(None, description="When the world begins; left out, `stability_rest`.")
    stability_rest: Share = Field(0.7, description="Where its stability drifts to.")
    tags: list[Tag] = Field([], max_length=MOST_TAGS)
    borders: dict[RegionKey, JourneyMinutes] = Field(
        {}, description="Neighbours, with the minutes of a journey."
    )
    places: list[PlaceKey] = Field([], description="The places that lie in it.")
    closed: list[BanEntry] = Field([], max_length=20, description="Bans that keep everybody out.")


class WhereFields(PackModel):
    """Where a character is, lives and works."""

    home: PlaceKey | None = Field(None, description="The place where it sleeps.")
    work: PlaceKey | None = Field(None, description="The place where it works.")
    place: PlaceKey | None = Field(None, description="Where it is when the world begins.")


def place_commands(items: Sequence[Item], ids: Ids) -> list[Command]:
    """The places first, then the ways between them."""
    names: dict[str, str] = {}
    for item in items:
        if item.value.name in names:
            ids.mistake(item, "name", f"the place {names[item.value.name]!r} has this name already")
        names.setdefault(item.value.name, item.key)
    paths = _paths(items, ids)
    if ids.mistakes:
        return []
    places = [
        PlaceValue(
            id=ids.of("places", item.key), name=item.value.name, kind=item.value.kind,
            description=item.value.description, tags=item.value.tags,
        )
        for item in items
    ]  # fmt: skip
    made: list[Command] = [DefinePlaces(places=group) for group in chunks(places, MOST_AT_ONCE)]
    return [*made, *(DefinePlaces(paths=group) for group in chunks(paths, MOST_AT_ONCE))]


def _paths(items: Sequence[Item], ids: Ids) -> list[PathValue]:
    """Each way once; who writes it with both ends must say the same minutes."""
    found: dict[frozenset[str], float] = {}
    for item in items:
        for key, minutes in item.value.ways.items():
            pair = frozenset((item.key, key))
            if key == item.key:
                ids.mistake(item, f"ways.{key}", "a way leads from one place to another: name another place")
            elif found.setdefault(pair, minutes) != minutes:
                ids.mistake(
                    item, f"ways.{key}", f"{key!r} says {found[pair]:g} minutes: write the way only once"
                )
    pairs = [(sorted(ids.of("places", key) for key in pair), minutes) for pair, minutes in found.items()]
    return [PathValue(a_id=p[0], b_id=p[1], minutes=minutes) for p, minutes in pairs if len(p) == 2]


def region_commands(items: Sequence[Item], ids: Ids) -> list[Command]:
    """The regions first, then their borders, then what lies in them, then their bans."""
    names: dict[str, str] = {}
    lies: dict[str, str] = {}
    for item in items:
        if names.setdefault(item.value.name, item.key) != item.key:
            ids.mistake(item, "name", f"the region {names[item.value.name]!r} has this name already")
        for number, place in enumerate(item.value.places, 1):
            if lies.setdefault(place, item.key) != item.key:
                ids.mistake(item, f"places.{number}", f"{place!r} lies in {lies[place]!r} already")
        for number, ban in enumerate(item.value.closed, 1):
            if ban.until is not None and ban.until <= ids.now:
                ids.mistake(
                    item, f"closed.{number}.until", "it is over when the world begins: leave the ban out"
                )
    borders = _borders(items, ids)
    if ids.mistakes:
        return []
    regions = [
        RegionValue(
            id=ids.of("regions", item.key),
            **{name: getattr(item.value, name) for name in REGION_FIELDS},
        )
        for item in items
    ]
    members = [
        Membership(place_id=ids.of("places", place), region_id=ids.of("regions", region))
        for place, region in lies.items()
    ]
    made: list[Command] = [DefineRegions(regions=group) for group in chunks(regions, MOST_AT_ONCE)]
    made += [DefineRegions(borders=group) for group in chunks(borders, MOST_AT_ONCE)]
    made += [DefineRegions(places=group) for group in chunks(members, MOST_AT_ONCE)]
    made += [
        BanMovement(region_id=ids.of("regions", item.key), reason=ban.reason, until_at=ban.until)
        for item in items for ban in item.value.closed
    ]  # fmt: skip
    return made


REGION_FIELDS: Final = (
    "name", "terrain", "description", "resources", "population", "stability", "stability_rest", "tags",
)  # fmt: skip


def _borders(items: Sequence[Item], ids: Ids) -> list[BorderValue]:
    """Each border once; who writes it with both ends must say the same minutes."""
    found: dict[frozenset[str], float] = {}
    for item in items:
        for key, minutes in item.value.borders.items():
            pair = frozenset((item.key, key))
            if key == item.key:
                ids.mistake(item, f"borders.{key}", "a border lies between two regions: name another region")
            elif found.setdefault(pair, minutes) != minutes:
                ids.mistake(
                    item,
                    f"borders.{key}",
                    f"{key!r} says {found[pair]:g} minutes: write the border only once",
                )
    pairs = [(sorted(ids.of("regions", key) for key in pair), minutes) for pair, minutes in found.items()]
    return [BorderValue(a_id=p[0], b_id=p[1], minutes=minutes) for p, minutes in pairs if len(p) == 2]


def where_commands(items: Sequence[Item], ids: Ids) -> list[Command]:
    """Put the characters where they are."""
    placements = [
        Placement(
            character_id=ids.of("characters", item.key),
            place_id=ids.maybe("places", item.value.place),
            home_id=ids.maybe("places", item.value.home),
            work_id=ids.maybe("places", item.value.work),
        )
        for item in items
        if item.value.place or item.value.home or item.value.work
    ]
    return [PlaceCharacters(placements=group) for group in chunks(placements, MOST_AT_ONCE)]


async def read_places(snapshot: Snapshot) -> list[Item]:
    """The places by key; each way stands with the end whose key comes first."""
    keys = snapshot.keys
    rows = await snapshot.connection.fetch(
        "SELECT id, name, kind, description, tags FROM places WHERE world_id = $1", snapshot.world_id
    )
    keys.name("places", [(row["id"], row["name"]) for row in rows])
    ways: dict[str, dict[str, float]] = {}
    for path in await snapshot.connection.fetch(
        "SELECT low_id, high_id, minutes FROM paths WHERE world_id = $1", snapshot.world_id
    ):
        first, second = sorted((keys.of("places", path["low_id"]), keys.of("places", path["high_id"])))
        ways.setdefault(first, {})[second] = path["minutes"]
    items = []
    for row in rows:
        key = keys.of("places", row["id"])
        entry = PlaceEntry(
            id=keys.id_to_write("places", row["id"]), name=row["name"], kind=row["kind"],
            description=row["description"], tags=row["tags"], ways=dict(sorted(ways.get(key, {}).items())),
        )  # fmt: skip
        items.append(Item(key, entry))
    return sorted(items, key=lambda item: item.key)


async def read_regions(snapshot: Snapshot) -> list[Item]:
    """The regions that were not removed, by key, as they are now."""
    keys = snapshot.keys
    rows = await snapshot.connection.fetch(
        f"SELECT {REGION} FROM regions WHERE world_id = $1 AND removed_at IS NULL",  # noqa: S608
        snapshot.world_id,
    )
    keys.name("regions", [(row["id"], row["name"]) for row in rows])
    borders: dict[str, dict[str, float]] = {}
    for border in await snapshot.connection.fetch(
        "SELECT low_id, high_id, minutes FROM borders WHERE world_id = $1", snapshot.world_id
    ):
        first, second = sorted((keys.of("regions", border["low_id"]), keys.of("regions", border["high_id"])))
        borders.setdefault(first, {})[second] = border["minutes"]
    places: dict[UUID, list[str]] = {}
    for place in await snapshot.connection.fetch(
        "SELECT id, region_id FROM places WHERE world_id = $1 AND region_id IS NOT NULL", snapshot.world_id
    ):
        places.setdefault(place["region_id"], []).append(keys.of("places", place["id"]))
    closed = await _closed(snapshot)
    items = []
    for row in rows:
        key, region = keys.of("regions", row["id"]), region_of(row)
        stability = region.stability_now(snapshot.now)
        entry = RegionEntry(
            id=keys.id_to_write("regions", region.id), name=region.name, terrain=region.terrain,
            description=region.description, resources=dict(sorted(region.resources.items())),
            population=region.population, stability=None if stability == region.stability_rest else stability,
            stability_rest=region.stability_rest, tags=list(region.tags),
            borders=dict(sorted(borders.get(key, {}).items())), places=sorted(places.get(region.id, [])),
            closed=closed.get(region.id, []),
        )  # fmt: skip
        items.append(Item(key, entry))
    return sorted(items, key=lambda item: item.key)


async def _closed(snapshot: Snapshot) -> dict[UUID, list[BanEntry]]:
    """The bans of game masters that keep everybody out of one region."""
    found: dict[UUID, list[BanEntry]] = {}
    for row in await snapshot.connection.fetch(
        "SELECT region_id, reason, until_at FROM movement_bans WHERE world_id = $1 AND source = $3 "
        "AND region_id IS NOT NULL AND subject_id IS NULL AND lifted_at IS NULL "
        "AND (until_at IS NULL OR until_at > $2) ORDER BY region_id, from_at, id",
        snapshot.world_id, snapshot.now, GAME_MASTERS_BAN,
    ):  # fmt: skip
        found.setdefault(row["region_id"], []).append(BanEntry(reason=row["reason"], until=row["until_at"]))
    return found


async def read_where(snapshot: Snapshot) -> list[Item]:
    """Where characters are. Who is on the way counts as still at the place it left."""
    keys = snapshot.keys
    rows = await snapshot.connection.fetch(
        "SELECT id, place_id, home_id, work_id FROM whereabouts WHERE world_id = $1", snapshot.world_id
    )
    return [
        Item(
            keys.of("characters", row["id"]),
            WhereFields(
                home=keys.maybe("places", row["home_id"]),
                work=keys.maybe("places", row["work_id"]),
                place=keys.maybe("places", row["place_id"]),
            ),
        )
        for row in rows
        if keys.has("characters", row["id"])
    ]


PACK: Final = (
    PackSection(
        "places", ("places.yaml",), Form.KEYED, PlaceEntry, place_commands, read_places, top="places"
    ),
    PackSection(
        "regions", ("regions.yaml",), Form.KEYED, RegionEntry, region_commands, read_regions, top="regions"
    ),
    PackAddition("characters", WhereFields, where_commands, read_where),
)
