"""How places stand in a pack: `places.yaml`, and where each character is, lives and works."""

from collections.abc import Sequence
from typing import Annotated, Final
from uuid import UUID

from pydantic import Field, StringConstraints

from fablewright.core.messages import Command
from fablewright.core.pack import Form, Ids, Item, PackAddition, PackModel, PackSection, Ref, Snapshot, chunks
from fablewright.systems.regions.commands import (
    MOST_AT_ONCE,
    MOST_TAGS,
    DefinePlaces,
    PathValue,
    PlaceCharacters,
    Placement,
    PlaceValue,
    Tag,
)

PlaceKey = Annotated[str, Ref("places")]
Minutes = Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)]


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
    PackAddition("characters", WhereFields, where_commands, read_where),
)
