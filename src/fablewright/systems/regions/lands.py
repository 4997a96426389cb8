"""Regions: what the commands about them do, and what higher systems ask and tell of them.

Locks: regions come after characters and before factions, in the order of their ids.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import orjson

from fablewright.core.dice import derived_uuid
from fablewright.core.transaction import EventRecord, Transaction
from fablewright.systems.regions import rules
from fablewright.systems.regions.commands import (
    MOST_BORDERS,
    MOST_REGIONS,
    BorderValue,
    DefineRegions,
    Membership,
    RegionValue,
    RemoveRegion,
    SetControl,
)
from fablewright.systems.regions.events import ControlChanged, RegionRemoved, RegionsDefined, StabilityChanged
from fablewright.systems.regions.rules import BorderState, RegionState
from fablewright.systems.regions.views import REGION, region_of, region_view

PEEK: Final = f"""
SELECT {REGION} FROM regions
WHERE world_id = $1 AND removed_at IS NULL AND ($2::uuid[] IS NULL OR id = ANY($2::uuid[])) ORDER BY id
"""  # noqa: S608
LOAD: Final = f"{PEEK} FOR NO KEY UPDATE"
WRITE: Final = """
INSERT INTO regions (world_id, id, name, terrain, description, resources, population, stability, stability_at,
    stability_rest, tags)
SELECT $1, v.id, v.name, v.terrain, v.description, v.resources, v.population, v.stability, $9, v.rest,
    ARRAY(SELECT jsonb_array_elements_text(v.tags))
FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::jsonb[], $7::bigint[], $8::float8[],
    $10::float8[], $11::jsonb[])
    AS v (id, name, terrain, description, resources, population, stability, rest, tags)
ORDER BY v.id
ON CONFLICT (world_id, id) DO UPDATE SET
    name = excluded.name, terrain = excluded.terrain, description = excluded.description,
    resources = excluded.resources, population = excluded.population, stability = excluded.stability,
    stability_at = excluded.stability_at, stability_rest = excluded.stability_rest, tags = excluded.tags
"""
WRITE_BORDERS: Final = """
INSERT INTO borders (world_id, id, low_id, high_id, minutes)
SELECT $1, v.* FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::float8[]) AS v (id, low_id, high_id, minutes)
ORDER BY v.id
ON CONFLICT (world_id, low_id, high_id) DO UPDATE SET minutes = excluded.minutes
"""


# -- for higher systems --------------------------------------------------------------------------------------


async def regions(
    tx: Transaction, ids: Iterable[UUID] | None = None, *, lock: bool = False
) -> dict[UUID, RegionState]:  # fmt: skip
    """The regions of the world that are not removed, or those of these ids, by id."""
    wanted = None if ids is None else sorted(set(ids))
    return {r["id"]: region_of(r) for r in await tx.fetch(LOAD if lock else PEEK, tx.world_id, wanted)}


async def borders(tx: Transaction) -> list[BorderState]:
    """All borders of the world, by their ends; not locked."""
    rows = await tx.fetch(
        "SELECT low_id, high_id, minutes FROM borders WHERE world_id = $1 ORDER BY low_id, high_id",
        tx.world_id,
    )
    return [BorderState(row["low_id"], row["high_id"], row["minutes"]) for row in rows]


async def regions_of_places(
    tx: Transaction, place_ids: Iterable[UUID] | None = None
) -> dict[UUID, UUID]:  # fmt: skip
    """In which region each of these places lies (None: all of the world); those in none are missing."""
    rows = await tx.fetch(
        "SELECT id, region_id FROM places WHERE world_id = $1 AND region_id IS NOT NULL "
        "AND ($2::uuid[] IS NULL OR id = ANY($2::uuid[]))",
        tx.world_id, None if place_ids is None else sorted(set(place_ids)),
    )  # fmt: skip
    return {row["id"]: row["region_id"] for row in rows}


async def regions_of_characters(tx: Transaction, character_ids: Iterable[UUID]) -> dict[UUID, UUID]:
    """In which region each of these characters is (on the way: which it set out from); others are missing."""
    rows = await tx.fetch(
        "SELECT w.id, p.region_id FROM whereabouts w "
        "JOIN places p ON p.world_id = w.world_id AND p.id = w.place_id "
        "WHERE w.world_id = $1 AND w.id = ANY($2::uuid[]) AND p.region_id IS NOT NULL",
        tx.world_id, sorted(set(character_ids)),
    )  # fmt: skip
    return {row["id"]: row["region_id"] for row in rows}


async def set_control(
    tx: Transaction, region_id: UUID, controller_id: UUID | None, *, reason: str = "",
    cause: EventRecord | None = None,
) -> RegionState:  # fmt: skip
    """Let a faction hold a region (None: nobody), and tell of it if that is new. Refuses `region_not_found`.

    Returns the region as it was before.
    """
    region = (await regions(tx, [region_id], lock=True)).get(region_id)
    if region is None:
        raise rules.REGION_NOT_FOUND(region_id=str(region_id))
    if region.controller_id != controller_id:
        await tx.execute(
            "UPDATE regions SET controller_id = $3 WHERE world_id = $1 AND id = $2",
            tx.world_id, region_id, controller_id,
        )  # fmt: skip
        told = ControlChanged(
            region_id=region_id, previous=region.controller_id, controller_id=controller_id, reason=reason
        )
        tx.emit(told, cause=cause)
    return region


async def shake(
    tx: Transaction, deltas: Mapping[UUID, float], reason: str, *, cause: EventRecord | None = None
) -> dict[UUID, float]:
    """Move the stability of regions (by -1..1 each), and tell of each that moved; returns what it is now.

    Regions that are no more are passed over.
    """
    found = await regions(tx, deltas, lock=True)
    after = {i: rules.shaken(region, deltas[i], tx.now) for i, region in found.items()}
    moved = {i: r for i, r in after.items() if r.stability != found[i].stability_now(tx.now)}
    if moved:
        await tx.execute(
            "UPDATE regions r SET stability = v.stability, stability_at = v.at "
            "FROM unnest($2::uuid[], $3::float8[], $4::bigint[]) AS v (id, stability, at) "
            "WHERE r.world_id = $1 AND r.id = v.id",
            tx.world_id, list(moved), [r.stability for r in moved.values()],
            [r.stability_at for r in moved.values()],
        )  # fmt: skip
    for region_id, region in moved.items():
        before = found[region_id].stability_now(tx.now)
        told = StabilityChanged(region_id=region_id, before=before, after=region.stability, reason=reason)
        tx.emit(told, cause=cause)
    return {i: region.stability for i, region in after.items()}


# -- commands ------------------------------------------------------------------------------------------------


async def define_regions(tx: Transaction, command: DefineRegions) -> dict[str, Any]:
    """Write regions, borders and what lies where; what has an id or a name that exists is changed."""
    given, before = await _identified(tx, command.regions)
    after = [_as_defined(value, before.get(region_id), tx.now) for region_id, value in given.items()]
    await tx.execute(
        WRITE, tx.world_id, [r.id for r in after], [r.name for r in after], [r.terrain for r in after],
        [r.description for r in after], [orjson.dumps(dict(r.resources)).decode() for r in after],
        [r.population for r in after], [r.stability for r in after], tx.now,
        [r.stability_rest for r in after], [orjson.dumps(list(r.tags)).decode() for r in after],
    )  # fmt: skip
    await _define_borders(tx, command.borders)
    await _define_members(tx, command.places)
    for table, most, alive in (
        ("regions", MOST_REGIONS, "AND removed_at IS NULL"), ("borders", MOST_BORDERS, ""),
    ):  # fmt: skip
        count = await tx.fetchval(f"SELECT count(*) FROM {table} WHERE world_id = $1 {alive}", tx.world_id)  # noqa: S608
        if count > most:
            raise rules.TOO_MANY_REGIONS(f"A world can have {most} {table}, not {count}.", most=most)
    tx.emit(RegionsDefined(regions=list(given.values()), borders=command.borders, places=command.places))
    return {
        "regions": [region_view(region, tx.now) for region in after], "borders": len(command.borders),
        "places": len(command.places),
    }  # fmt: skip


async def remove_region(tx: Transaction, command: RemoveRegion) -> None:
    """Take a region off the map; its places lie in none, and its row stays."""
    region = (await regions(tx, [command.region_id], lock=True)).get(command.region_id)
    if region is None:
        raise rules.REGION_NOT_FOUND(region_id=str(command.region_id))
    await tx.execute(
        "UPDATE regions SET removed_at = $3 WHERE world_id = $1 AND id = $2", tx.world_id, region.id, tx.now
    )
    borders = await tx.fetch(
        "DELETE FROM borders WHERE world_id = $1 AND $2 IN (low_id, high_id) RETURNING low_id, high_id, minutes",
        tx.world_id, region.id,
    )  # fmt: skip
    places = await tx.fetch(
        "UPDATE places SET region_id = NULL WHERE world_id = $1 AND region_id = $2 RETURNING id",
        tx.world_id, region.id,
    )  # fmt: skip
    told = RegionRemoved(
        region_id=region.id, name=region.name, controller_id=region.controller_id,
        place_ids=sorted(row["id"] for row in places),
        borders=[
            BorderValue(a_id=row["low_id"], b_id=row["high_id"], minutes=row["minutes"])
            for row in sorted(borders, key=lambda row: (row["low_id"], row["high_id"]))
        ],
    )  # fmt: skip
    tx.emit(told)


async def change_control(tx: Transaction, command: SetControl) -> dict[str, Any]:
    """What a game master says about who holds a region."""
    before = await set_control(tx, command.region_id, command.controller_id, reason=command.reason)
    return {
        "region_id": before.id, "previous": before.controller_id, "controller_id": command.controller_id,
    }  # fmt: skip


# -- helpers -------------------------------------------------------------------------------------------------


async def _identified(
    tx: Transaction, values: Sequence[RegionValue]
) -> tuple[dict[UUID, RegionValue], dict[UUID, RegionState]]:
    """The regions with their ids, and as they were. Refuses `region_name_taken`, `region_not_found`."""
    rows = await tx.fetch(
        f"SELECT {REGION}, removed_at FROM regions WHERE world_id = $1 AND "  # noqa: S608
        "(id = ANY($2::uuid[]) OR (name = ANY($3::text[]) AND removed_at IS NULL)) ORDER BY id FOR NO KEY UPDATE",
        tx.world_id, [v.id for v in values if v.id is not None], [v.name for v in values],
    )  # fmt: skip
    owners = {row["name"]: row["id"] for row in rows if row["removed_at"] is None}
    removed = {row["id"] for row in rows if row["removed_at"] is not None}
    given: dict[UUID, RegionValue] = {}
    for value in values:
        region_id = value.id or owners.get(value.name) or tx.new_id()
        if region_id in removed:
            raise rules.REGION_NOT_FOUND(
                "This region was removed. Leave out the id to make a new one.", region_id=str(region_id)
            )
        if owners.get(value.name, region_id) != region_id or region_id in given:
            raise rules.REGION_NAME_TAKEN(f"Another region is called {value.name!r}.", name=value.name)
        given[region_id] = value.model_copy(update={"id": region_id})
    return given, {row["id"]: region_of(row) for row in rows}


def _as_defined(value: RegionValue, before: RegionState | None, now: int) -> RegionState:
    """A region as a game master wants it; who holds it stays."""
    assert value.id is not None
    stability = value.stability
    if stability is None:
        stability = value.stability_rest if before is None else before.stability_now(now)
    return RegionState(
        value.id, value.name, value.terrain, value.description, value.resources, value.population, stability,
        now, value.stability_rest, before.controller_id if before else None, tuple(value.tags),
    )  # fmt: skip


async def _define_borders(tx: Transaction, values: Sequence[BorderValue]) -> None:
    """Write or remove borders. Refuses `same_region`, `region_not_found`."""
    for value in values:
        if value.a_id == value.b_id:
            raise rules.SAME_REGION(region_id=str(value.a_id))
    await _must_exist(tx, [end for value in values for end in (value.a_id, value.b_id)])
    ends = {tuple(sorted((value.a_id, value.b_id))): value.minutes for value in values}
    kept = [(low, high, minutes) for (low, high), minutes in ends.items() if minutes is not None]
    gone = [pair for pair, minutes in ends.items() if minutes is None]
    if kept:
        await tx.execute(
            WRITE_BORDERS, tx.world_id,
            [derived_uuid("border", tx.world_id, low, high) for low, high, _ in kept],
            [k[0] for k in kept], [k[1] for k in kept], [k[2] for k in kept],
        )  # fmt: skip
    if gone:
        await tx.execute(
            "DELETE FROM borders b USING unnest($2::uuid[], $3::uuid[]) AS g (low_id, high_id) "
            "WHERE b.world_id = $1 AND b.low_id = g.low_id AND b.high_id = g.high_id",
            tx.world_id, [g[0] for g in gone], [g[1] for g in gone],
        )  # fmt: skip


async def _define_members(tx: Transaction, values: Sequence[Membership]) -> None:
    """Say in which regions places lie. Refuses `region_not_found`, `place_not_found`."""
    await _must_exist(tx, [value.region_id for value in values if value.region_id is not None])
    if not values:
        return
    ordered = sorted(values, key=lambda value: value.place_id)
    rows = await tx.fetch(
        "SELECT id FROM places WHERE world_id = $1 AND id = ANY($2::uuid[]) ORDER BY id FOR NO KEY UPDATE",
        tx.world_id, [value.place_id for value in ordered],
    )  # fmt: skip
    found = {row["id"] for row in rows}
    for value in ordered:
        if value.place_id not in found:
            raise rules.PLACE_NOT_FOUND(place_id=str(value.place_id))
    await tx.execute(
        "UPDATE places p SET region_id = v.region_id FROM unnest($2::uuid[], $3::uuid[]) AS v (id, region_id) "
        "WHERE p.world_id = $1 AND p.id = v.id",
        tx.world_id, [value.place_id for value in ordered], [value.region_id for value in ordered],
    )  # fmt: skip


async def _must_exist(tx: Transaction, region_ids: Sequence[UUID]) -> None:
    found = await tx.fetch(
        "SELECT id FROM regions WHERE world_id = $1 AND id = ANY($2::uuid[]) AND removed_at IS NULL "
        "ORDER BY id FOR SHARE",
        tx.world_id, sorted(set(region_ids)),
    )  # fmt: skip
    known = {row["id"] for row in found}
    for region_id in region_ids:
        if region_id not in known:
            raise rules.REGION_NOT_FOUND(region_id=str(region_id))
