"""What is read of places, of regions and bans, and of who is where."""

from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

import orjson
from pydantic import Field

from fablewright.core.clock import WorldClock
from fablewright.core.messages import View
from fablewright.systems.regions.commands import PlaceValue
from fablewright.systems.regions.rules import RegionState, Where

MOST_PRESENT: Final = 200
"""Characters that the page of one place names."""

WHERE: Final = "id, place_id, to_id, departed_at, arrives_at, home_id, work_id"
PLACE: Final = "id, name, kind, description, tags, region_id"
REGION: Final = (
    "id, name, terrain, description, resources::text AS resources, population, stability, stability_at, "
    "stability_rest, controller_id, tags"
)


class PlaceView(View):
    """A place."""

    id: UUID
    name: str
    kind: str
    description: str
    tags: list[str]
    region_id: UUID | None = Field(description="The region in which it lies.")


class NeighbourView(View):
    """A place to which one can walk without passing through another."""

    id: UUID
    name: str
    kind: str
    minutes: float = Field(description="Minutes of world time on foot.")


class PlaceDetail(PlaceView):
    """A place, where one can go from it, and who is there."""

    neighbours: list[NeighbourView]
    present: list[UUID] = Field(description=f"The characters there, by id; {MOST_PRESENT} at most.")


class WhereView(View):
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


def place_view(place: PlaceValue, region_id: UUID | None) -> PlaceView:
    """A place that was just defined, as it is answered."""
    assert place.id is not None
    return PlaceView.model_construct(
        id=place.id, name=place.name, kind=place.kind, description=place.description, tags=list(place.tags),
        region_id=region_id,
    )  # fmt: skip


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


CLOCK: Final = """
SELECT anchor_world_ms, anchor_real_ms, rate, paused, advance_id IS NOT NULL AS advancing,
       (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS real_ms
FROM worlds WHERE id = $1
"""


async def now_of(connection: Any, world_id: UUID) -> int:
    """What time it is in a world (ms)."""
    row = await connection.fetchrow(CLOCK, world_id)
    clock = WorldClock(
        row["anchor_world_ms"], row["anchor_real_ms"], row["rate"], row["paused"], row["advancing"]
    )
    return clock.now(row["real_ms"])


# -- regions -------------------------------------------------------------------------------------------------


class RegionView(View):
    """A region as it is now."""

    id: UUID
    name: str
    terrain: str
    description: str
    resources: dict[str, float] = Field(description="Units of each good that it brings forth per world day.")
    population: int
    stability: float = Field(description="Now; from 0 (chaos) to 1 (order).")
    stability_rest: float = Field(description="Where its stability drifts to.")
    controller_id: UUID | None = Field(description="The faction that holds it.")
    tags: list[str]


class BorderingView(View):
    """A region next to another one."""

    id: UUID
    name: str
    terrain: str
    controller_id: UUID | None
    minutes: float = Field(description="Minutes of world time from the one to the other.")


class LyingView(View):
    """A place that lies in a region."""

    id: UUID
    name: str
    kind: str


class BanView(View):
    """That somebody may not come into a region."""

    id: UUID
    region_id: UUID | None = Field(description="Null: any region.")
    subject_id: UUID | None = Field(
        description="A character, or what characters belong to, such as a faction; null: everybody."
    )
    source: str = Field(description="What keeps it: `game_master`, or such as `sanction:<id>`.")
    reason: str
    from_at: int = Field(description="World time in ms.")
    until_at: int | None = Field(description="World time in ms; null: until it is lifted.")
    lifted_at: int | None = Field(description="World time in ms; null: it was not lifted.")


class RegionDetail(RegionView):
    """A region, what lies in it, what borders on it, and the bans that hold now."""

    neighbours: list[BorderingView]
    places: list[LyingView] = Field(description=f"By name; {MOST_PRESENT} at most.")
    bans: list[BanView] = Field(description=f"Those of this region and of all; {MOST_PRESENT} at most.")


def region_of(row: Any) -> RegionState:
    """A region from a row of `REGION`."""
    return RegionState(
        row["id"], row["name"], row["terrain"], row["description"], orjson.loads(row["resources"]),
        row["population"], row["stability"], row["stability_at"], row["stability_rest"],
        row["controller_id"], tuple(row["tags"]),
    )  # fmt: skip


def region_view(region: RegionState, now: int) -> RegionView:
    """A region as it is at world time `now`."""
    return RegionView.model_construct(**_shown(region, now))


def _shown(region: RegionState, now: int) -> dict[str, Any]:
    return {
        "id": region.id, "name": region.name, "terrain": region.terrain, "description": region.description,
        "resources": dict(region.resources), "population": region.population,
        "stability": region.stability_now(now), "stability_rest": region.stability_rest,
        "controller_id": region.controller_id, "tags": list(region.tags),
    }  # fmt: skip


async def held(
    connection: Any, world_id: UUID, controller_ids: Iterable[UUID] | None = None
) -> dict[UUID, list[RegionState]]:
    """The regions that each of these factions holds (None: that any holds), by id. Who holds none is missing."""
    rows = await connection.fetch(
        f"SELECT {REGION} FROM regions WHERE world_id = $1 AND removed_at IS NULL "  # noqa: S608
        "AND controller_id IS NOT NULL AND ($2::uuid[] IS NULL OR controller_id = ANY($2::uuid[])) ORDER BY id",
        world_id, None if controller_ids is None else sorted(set(controller_ids)),
    )  # fmt: skip
    found: dict[UUID, list[RegionState]] = {}
    for row in rows:
        found.setdefault(row["controller_id"], []).append(region_of(row))
    return found


async def list_regions(
    connection: Any, world_id: UUID, *, controller_id: UUID | None,
    after: tuple[str, UUID] | None, limit: int,
) -> list[RegionView]:  # fmt: skip
    """Up to `limit` regions by (name, id) after a position, as they are now."""
    now = await now_of(connection, world_id)
    rows = await connection.fetch(
        f"SELECT {REGION} FROM regions WHERE world_id = $1 AND removed_at IS NULL "  # noqa: S608
        "AND ($2::uuid IS NULL OR controller_id = $2) "
        "AND ($3::text IS NULL OR (name, id) > ($3, $4::uuid)) ORDER BY name, id LIMIT $5",
        world_id, controller_id, *(after or (None, None)), limit,
    )  # fmt: skip
    return [region_view(region_of(row), now) for row in rows]


async def region(connection: Any, world_id: UUID, region_id: UUID) -> RegionDetail | None:
    """One region with its neighbours, places and bans as it is now; None if it is unknown or was removed."""
    row = await connection.fetchrow(
        f"SELECT {REGION} FROM regions WHERE world_id = $1 AND id = $2 AND removed_at IS NULL",  # noqa: S608
        world_id, region_id,
    )  # fmt: skip
    if row is None:
        return None
    now = await now_of(connection, world_id)
    near = await connection.fetch(
        "SELECT r.id, r.name, r.terrain, r.controller_id, n.minutes FROM ("
        "SELECT high_id AS id, minutes FROM borders WHERE world_id = $1 AND low_id = $2 UNION ALL "
        "SELECT low_id, minutes FROM borders WHERE world_id = $1 AND high_id = $2) n "
        "JOIN regions r ON r.world_id = $1 AND r.id = n.id ORDER BY n.minutes, r.id",
        world_id, region_id,
    )  # fmt: skip
    lying = await connection.fetch(
        "SELECT id, name, kind FROM places WHERE world_id = $1 AND region_id = $2 ORDER BY name LIMIT $3",
        world_id, region_id, MOST_PRESENT,
    )  # fmt: skip
    bans = await list_bans(
        connection,
        world_id,
        region_id=region_id,
        source=None,
        over=False,
        after=None,
        limit=MOST_PRESENT,
    )
    return RegionDetail.model_construct(
        **_shown(region_of(row), now), bans=bans,
        neighbours=[BorderingView.model_construct(**dict(n)) for n in near],
        places=[LyingView.model_construct(**dict(place)) for place in lying],
    )  # fmt: skip


async def list_bans(
    connection: Any, world_id: UUID, *, region_id: UUID | None, source: str | None, over: bool,
    after: UUID | None, limit: int,
) -> list[BanView]:  # fmt: skip
    """Up to `limit` bans by id: those that hold or will, or with `over` also those that held once."""
    now = await now_of(connection, world_id)
    rows = await connection.fetch(
        "SELECT id, region_id, subject_id, source, reason, from_at, until_at, lifted_at FROM movement_bans "
        "WHERE world_id = $1 AND ($2::uuid IS NULL OR region_id = $2 OR region_id IS NULL) "
        "AND ($3::text IS NULL OR source = $3) "
        "AND ($4 OR (lifted_at IS NULL AND (until_at IS NULL OR until_at > $5))) "
        "AND ($6::uuid IS NULL OR id > $6) ORDER BY id LIMIT $7",
        world_id, region_id, source, over, now, after, limit,
    )  # fmt: skip
    return [BanView.model_construct(**dict(row)) for row in rows]


async def routes(connection: Any, world_id: UUID) -> dict[UUID, dict[UUID, float]]:
    """All borders of the world, arranged for finding ways: for each region its neighbours and the minutes."""
    rows = await connection.fetch(
        "SELECT low_id, high_id, minutes FROM borders WHERE world_id = $1", world_id
    )
    found: dict[UUID, dict[UUID, float]] = {}
    for row in rows:
        found.setdefault(row["low_id"], {})[row["high_id"]] = row["minutes"]
        found.setdefault(row["high_id"], {})[row["low_id"]] = row["minutes"]
    return found
