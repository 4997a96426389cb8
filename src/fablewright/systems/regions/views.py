"""What is read of places, and of who is where."""

from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel, Field

from fablewright.systems.regions.commands import PlaceValue
from fablewright.systems.regions.rules import Where

MOST_PRESENT: Final = 200
"""Characters that the page of one place names."""

WHERE: Final = "id, place_id, to_id, departed_at, arrives_at, home_id, work_id"
PLACE: Final = "id, name, kind, description, tags"


class PlaceView(BaseModel):
    """A place."""

    id: UUID
    name: str
    kind: str
    description: str
    tags: list[str]


class NeighbourView(BaseModel):
    """A place to which one can walk without passing through another."""

    id: UUID
    name: str
    kind: str
    minutes: float = Field(description="Minutes of world time on foot.")


class PlaceDetail(PlaceView):
    """A place, where one can go from it, and who is there."""

    neighbours: list[NeighbourView]
    present: list[UUID] = Field(description=f"The characters there, by id; {MOST_PRESENT} at most.")


class WhereView(BaseModel):
    """Where a character is: at `place_id`, or on the way from there to `to_id`."""

    character_id: UUID
    place_id: UUID | None
    to_id: UUID | None = Field(description="Where it walks; null if it is at `place_id`.")
    departed_at: int | None = Field(description="World time in ms; null if it does not walk.")
    arrives_at: int | None = Field(description="World time in ms; null if it does not walk.")
    home_id: UUID | None
    work_id: UUID | None


def where_of(row: Any) -> Where:
    """Whereabouts from a row of `WHERE`."""
    return Where(
        row["place_id"], row["to_id"], row["departed_at"], row["arrives_at"], row["home_id"], row["work_id"]
    )


def where_view(character_id: UUID, where: Where) -> WhereView:
    """Whereabouts as they are answered."""
    return WhereView.model_construct(
        character_id=character_id, place_id=where.place_id, to_id=where.to_id, departed_at=where.departed_at,
        arrives_at=where.arrives_at, home_id=where.home_id, work_id=where.work_id,
    )  # fmt: skip


def place_view(place: PlaceValue) -> PlaceView:
    """A place that was just defined, as it is answered."""
    assert place.id is not None
    return PlaceView.model_construct(
        id=place.id, name=place.name, kind=place.kind, description=place.description, tags=list(place.tags)
    )


async def list_places(
    connection: Any, world_id: UUID, *, kind: str | None, after: tuple[str, UUID] | None, limit: int
) -> list[PlaceView]:
    """Up to `limit` places by (name, id) after a position."""
    rows = await connection.fetch(
        f"SELECT {PLACE} FROM places WHERE world_id = $1 AND ($2::text IS NULL OR kind = $2) "  # noqa: S608
        "AND ($3::text IS NULL OR (name, id) > ($3, $4::uuid)) ORDER BY name, id LIMIT $5",
        world_id, kind, *(after or (None, None)), limit,
    )  # fmt: skip
    return [PlaceView.model_construct(**dict(row)) for row in rows]


async def place(connection: Any, world_id: UUID, place_id: UUID) -> PlaceDetail | None:
    """One place with its neighbours and who is there; None if it is unknown."""
    row = await connection.fetchrow(
        f"SELECT {PLACE} FROM places WHERE world_id = $1 AND id = $2",  # noqa: S608
        world_id, place_id,
    )  # fmt: skip
    if row is None:
        return None
    near = await connection.fetch(
        "SELECT p.id, p.name, p.kind, n.minutes FROM ("
        "SELECT high_id AS id, minutes FROM paths WHERE world_id = $1 AND low_id = $2 UNION ALL "
        "SELECT low_id, minutes FROM paths WHERE world_id = $1 AND high_id = $2) n "
        "JOIN places p ON p.world_id = $1 AND p.id = n.id ORDER BY n.minutes, p.id",
        world_id, place_id,
    )  # fmt: skip
    present = await connection.fetch(
        "SELECT id FROM whereabouts WHERE world_id = $1 AND place_id = $2 AND to_id IS NULL "
        "ORDER BY id LIMIT $3",
        world_id, place_id, MOST_PRESENT,
    )  # fmt: skip
    return PlaceDetail.model_construct(
        **dict(row), neighbours=[NeighbourView.model_construct(**dict(n)) for n in near],
        present=[p["id"] for p in present],
    )  # fmt: skip


async def whereabouts(connection: Any, world_id: UUID, character_id: UUID) -> WhereView | None:
    """Where a character is; None if nobody ever put it anywhere."""
    row = await connection.fetchrow(
        f"SELECT {WHERE} FROM whereabouts WHERE world_id = $1 AND id = $2",  # noqa: S608
        world_id, character_id,
    )  # fmt: skip
    return None if row is None else where_view(character_id, where_of(row))


async def list_whereabouts(
    connection: Any, world_id: UUID, *, after: UUID | None, limit: int
) -> list[WhereView]:
    """Up to `limit` whereabouts by character, after one."""
    rows = await connection.fetch(
        f"SELECT {WHERE} FROM whereabouts WHERE world_id = $1 "  # noqa: S608
        "AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3",
        world_id, after, limit,
    )  # fmt: skip
    return [where_view(row["id"], where_of(row)) for row in rows]
