"""What the commands about places and walks do. Higher systems reach all of regions through this module.

Whoever locks whereabouts and characters locks the whereabouts first.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import orjson

from fablewright.core.dice import derived_uuid
from fablewright.core.refusal import Refused
from fablewright.core.transaction import Request, Timer, Transaction
from fablewright.systems.regions import bans, rules
from fablewright.systems.regions.bans import holding, lift, restrict, standing
from fablewright.systems.regions.commands import (
    MOST_PATHS,
    MOST_PLACES,
    DefinePlaces,
    PathValue,
    PlaceCharacters,
    PlaceValue,
    RemovePlace,
    Walk,
)
from fablewright.systems.regions.events import (
    Arrived,
    CharactersPlaced,
    Placed,
    PlaceRemoved,
    PlacesDefined,
    WalkBegun,
)
from fablewright.systems.regions.lands import (
    borders,
    regions,
    regions_of_characters,
    regions_of_places,
    set_control,
    shake,
)
from fablewright.systems.regions.rules import (
    NOWHERE,
    PLACE_NOT_FOUND,
    Ban,
    Barriers,
    BorderState,
    PathState,
    PlaceState,
    RegionState,
    Route,
    Where,
    stability,
)
from fablewright.systems.regions.views import WHERE, WhereView, place_view, where_of, where_view

__all__ = [
    "NOWHERE", "Ban", "Barriers", "BorderState", "PathState", "PlaceState", "RegionState", "Route", "Where",
    "borders", "holding", "lift", "load", "paths", "peek", "places", "present", "regions",
    "regions_of_characters", "regions_of_places", "remove", "restrict", "set_control", "shake", "stability",
    "standing", "stop", "travel",
]  # fmt: skip

ARRIVAL: Final = "regions.arrival"
"""The kind of timer that ends a walk; its data names the character."""

PEEK: Final = f"SELECT {WHERE} FROM whereabouts WHERE world_id = $1 AND id = ANY($2::uuid[]) ORDER BY id"  # noqa: S608
LOAD: Final = f"{PEEK} FOR NO KEY UPDATE"
PRESENT: Final = """
SELECT p.place_id, w.id FROM unnest($2::uuid[]) AS p (place_id)
CROSS JOIN LATERAL (
    (SELECT 0 AS lap, id FROM whereabouts
     WHERE world_id = $1 AND place_id = p.place_id AND to_id IS NULL AND id > $4 ORDER BY id LIMIT $3)
    UNION ALL
    (SELECT 1, id FROM whereabouts
     WHERE world_id = $1 AND place_id = p.place_id AND to_id IS NULL AND id <= $4 ORDER BY id LIMIT $3)
    ORDER BY lap, id LIMIT $3
) w
ORDER BY p.place_id, w.lap, w.id
"""
LAST_ID: Final = UUID(int=2**128 - 1)
WRITE_WHERE: Final = """
INSERT INTO whereabouts (world_id, id, place_id, to_id, departed_at, arrives_at, home_id, work_id)
SELECT $1, v.* FROM unnest(
    $2::uuid[], $3::uuid[], $4::uuid[], $5::bigint[], $6::bigint[], $7::uuid[], $8::uuid[])
    AS v (id, place_id, to_id, departed_at, arrives_at, home_id, work_id)
ORDER BY v.id
ON CONFLICT (world_id, id) DO UPDATE SET
    place_id = excluded.place_id, to_id = excluded.to_id, departed_at = excluded.departed_at,
    arrives_at = excluded.arrives_at, home_id = excluded.home_id, work_id = excluded.work_id
"""
WRITE_PLACES: Final = """
INSERT INTO places (world_id, id, name, kind, description, tags)
SELECT $1, v.id, v.name, v.kind, v.description, ARRAY(SELECT jsonb_array_elements_text(v.tags))
FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::jsonb[])
    AS v (id, name, kind, description, tags)
ORDER BY v.id
ON CONFLICT (world_id, id) DO UPDATE SET
    name = excluded.name, kind = excluded.kind, description = excluded.description, tags = excluded.tags
"""
WRITE_PATHS: Final = """
INSERT INTO paths (world_id, id, low_id, high_id, minutes)
SELECT $1, v.* FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::float8[]) AS v (id, low_id, high_id, minutes)
ORDER BY v.id
ON CONFLICT (world_id, low_id, high_id) DO UPDATE SET minutes = excluded.minutes
"""
USERS: Final = """
SELECT id FROM whereabouts
WHERE world_id = $1 AND $2 IN (place_id, to_id, home_id, work_id) ORDER BY id LIMIT 5
"""


# -- for higher systems --------------------------------------------------------------------------------------


async def load(tx: Transaction, ids: Iterable[UUID]) -> dict[UUID, Where]:
    """Where these characters are, locked until the commit in the order of their ids; the unplaced are missing.

    Lock them before the characters themselves (`characters.service.load`).
    """
    return {row["id"]: where_of(row) for row in await tx.fetch(LOAD, tx.world_id, sorted(set(ids)))}


async def peek(tx: Transaction, ids: Iterable[UUID]) -> dict[UUID, Where]:
    """Where these characters are, not locked; the unplaced are missing."""
    return {row["id"]: where_of(row) for row in await tx.fetch(PEEK, tx.world_id, sorted(set(ids)))}


async def present(
    tx: Transaction, place_ids: Iterable[UUID], most_each: int, start: UUID | None = None
) -> dict[UUID, list[UUID]]:
    """Up to `most_each` characters at each of these places, by id, not locked. Who is on the way is nowhere.

    With `start` those whose ids follow it come first, and after the last the first ones again, so that callers
    who choose it by lot see everybody of a crowd now and then.
    """
    found: dict[UUID, list[UUID]] = {place_id: [] for place_id in place_ids}
    for row in await tx.fetch(PRESENT, tx.world_id, list(found), most_each, start or LAST_ID):
        found[row["place_id"]].append(row["id"])
    return found


async def places(tx: Transaction, ids: Iterable[UUID] | None = None) -> dict[UUID, PlaceState]:
    """The places of the world, or those of these ids, by id; not locked."""
    rows = await tx.fetch(
        "SELECT id, name, kind, description, tags, region_id FROM places "
        "WHERE world_id = $1 AND ($2::uuid[] IS NULL OR id = ANY($2::uuid[])) ORDER BY id",
        tx.world_id, None if ids is None else sorted(set(ids)),
    )  # fmt: skip
    return {
        row["id"]: PlaceState(
            row["id"], row["name"], row["kind"], row["description"], tuple(row["tags"]), row["region_id"]
        )
        for row in rows
    }


async def paths(tx: Transaction) -> list[PathState]:
    """All ways of the world, by their ends; not locked."""
    rows = await tx.fetch(
        "SELECT low_id, high_id, minutes FROM paths WHERE world_id = $1 ORDER BY low_id, high_id", tx.world_id
    )
    return [PathState(row["low_id"], row["high_id"], row["minutes"]) for row in rows]


async def remove(tx: Transaction, character_ids: Iterable[UUID]) -> None:
    """Forget where characters are; what was on the way arrives no more."""
    found = await _stop(tx, character_ids)
    if found:
        await tx.execute(
            "DELETE FROM whereabouts WHERE world_id = $1 AND id = ANY($2::uuid[])", tx.world_id, sorted(found)
        )


# -- places --------------------------------------------------------------------------------------------------


async def define_places(tx: Transaction, command: DefinePlaces) -> dict[str, Any]:
    """Write places and ways, new and old; those that are given an id or a name that exists are changed."""
    given = await _identified(tx, command.places)
    await tx.execute(
        WRITE_PLACES, tx.world_id, [p.id for p in given], [p.name for p in given], [p.kind for p in given],
        [p.description for p in given], [orjson.dumps(p.tags).decode() for p in given],
    )  # fmt: skip
    await _define_paths(tx, command.paths)
    for table, most in (("places", MOST_PLACES), ("paths", MOST_PATHS)):
        count = await tx.fetchval(f"SELECT count(*) FROM {table} WHERE world_id = $1", tx.world_id)  # noqa: S608
        if count > most:
            raise rules.TOO_MANY_PLACES(f"A world can have {most} {table}, not {count}.", most=most)
    tx.emit(PlacesDefined(places=given, paths=command.paths))
    lie_in = await regions_of_places(tx, [place.id for place in given if place.id is not None])
    return {
        "places": [place_view(place, lie_in.get(place.id)) for place in given if place.id is not None],
        "paths": len(command.paths),
    }


async def _identified(tx: Transaction, values: Sequence[PlaceValue]) -> list[PlaceValue]:
    """The places with their ids. Refuses `place_name_taken`."""
    rows = await tx.fetch(
        "SELECT id, name FROM places WHERE world_id = $1 AND (id = ANY($2::uuid[]) OR name = ANY($3::text[])) "
        "ORDER BY id FOR NO KEY UPDATE",
        tx.world_id, [v.id for v in values if v.id is not None], [v.name for v in values],
    )  # fmt: skip
    owners = {row["name"]: row["id"] for row in rows}
    given: dict[UUID, PlaceValue] = {}
    for value in values:
        place_id = value.id or owners.get(value.name) or tx.new_id()
        if owners.get(value.name, place_id) != place_id or place_id in given:
            raise rules.PLACE_NAME_TAKEN(f"Another place is called {value.name!r}.", name=value.name)
        given[place_id] = value.model_copy(update={"id": place_id})
    return list(given.values())


async def _define_paths(tx: Transaction, values: Sequence[PathValue]) -> None:
    """Write or remove ways. Refuses `same_place`, `place_not_found`."""
    for value in values:
        if value.a_id == value.b_id:
            raise rules.SAME_PLACE(place_id=str(value.a_id))
    await _must_exist(tx, [end for value in values for end in (value.a_id, value.b_id)])
    ends = {tuple(sorted((value.a_id, value.b_id))): value.minutes for value in values}
    kept = [(low, high, minutes) for (low, high), minutes in ends.items() if minutes is not None]
    gone = [pair for pair, minutes in ends.items() if minutes is None]
    if kept:
        await tx.execute(
            WRITE_PATHS, tx.world_id, [derived_uuid("path", tx.world_id, low, high) for low, high, _ in kept],
            [k[0] for k in kept], [k[1] for k in kept], [k[2] for k in kept],
        )  # fmt: skip
    if gone:
        await tx.execute(
            "DELETE FROM paths p USING unnest($2::uuid[], $3::uuid[]) AS g (low_id, high_id) "
            "WHERE p.world_id = $1 AND p.low_id = g.low_id AND p.high_id = g.high_id",
            tx.world_id, [g[0] for g in gone], [g[1] for g in gone],
        )  # fmt: skip


async def remove_place(tx: Transaction, command: RemovePlace) -> None:
    """Delete a place that nobody uses. Who sets out for it at the same time is refused, or this is."""
    row = await tx.fetchrow(
        "SELECT name FROM places WHERE world_id = $1 AND id = $2 FOR UPDATE", tx.world_id, command.place_id
    )
    if row is None:
        raise PLACE_NOT_FOUND(place_id=str(command.place_id))
    users = [str(user["id"]) for user in await tx.fetch(USERS, tx.world_id, command.place_id)]
    if users:
        raise rules.PLACE_IN_USE(character_ids=users)
    ways = await tx.fetch(
        "DELETE FROM paths WHERE world_id = $1 AND $2 IN (low_id, high_id) RETURNING low_id, high_id, minutes",
        tx.world_id, command.place_id,
    )  # fmt: skip
    await tx.execute("DELETE FROM places WHERE world_id = $1 AND id = $2", tx.world_id, command.place_id)
    gone = [
        PathValue(a_id=way["low_id"], b_id=way["high_id"], minutes=way["minutes"])
        for way in sorted(ways, key=lambda way: (way["low_id"], way["high_id"]))
    ]
    tx.emit(PlaceRemoved(place_id=command.place_id, name=row["name"], paths=gone))


# -- who is where --------------------------------------------------------------------------------------------


async def place_characters(tx: Transaction, command: PlaceCharacters) -> dict[str, Any]:
    """Put characters at places, and end their walks."""
    placements = command.placements
    await _must_exist(
        tx, [i for p in placements for i in (p.place_id, p.home_id, p.work_id) if i is not None]
    )
    moved = {p.character_id for p in placements if p.place_id is not None}
    before = await _stop(tx, moved) | await load(tx, (p.character_id for p in placements))
    after = {
        p.character_id: rules.put(
            before.get(p.character_id, NOWHERE), place_id=p.place_id, home_id=p.home_id, work_id=p.work_id
        )
        for p in placements
    }
    await _write(tx, after)
    tx.emit(
        CharactersPlaced(
            placements=[
                Placed(
                    character_id=i, place_id=w.place_id, home_id=w.home_id, work_id=w.work_id, to_id=w.to_id,
                    stopped=i in moved and before.get(i, NOWHERE).travelling,
                )
                for i, w in after.items()
            ]
        )
    )  # fmt: skip
    return {"placed": len(after)}


async def walk(tx: Transaction, requests: Sequence[Request]) -> list[WhereView | Refused]:
    """Let characters set out; many of these commands cost little more than one."""
    commands: list[Walk] = [request.command for request in requests]  # type: ignore[misc]
    goals = await _existing(tx, [command.place_id for command in commands])
    nearby = rules.neighbours(await paths(tx))
    barriers = await _barriers(tx, [command.character_id for command in commands])
    now = await load(tx, [command.character_id for command in commands])
    begun: dict[UUID, tuple[Request, Where, Route]] = {}
    results: list[WhereView | Refused] = []
    for request, command in zip(requests, commands, strict=True):
        who = command.character_id
        try:
            if command.place_id not in goals:
                raise PLACE_NOT_FOUND(place_id=str(command.place_id))
            now[who], way = rules.begin_walk(
                now.get(who, NOWHERE), command.place_id, tx.now, nearby, barriers.get(who)
            )
        except Refused as refused:
            results.append(refused)
            continue
        begun[who] = request, now[who], way
        results.append(where_view(who, now[who]))
    await _write(tx, {who: where for who, (_, where, _) in begun.items()})
    for who, (request, where, way) in begun.items():
        await _set_out(tx, request, who, where, way)
    return results


async def _set_out(tx: Transaction, request: Request, who: UUID, where: Where, way: Route) -> None:
    """Tell of a walk, and let it end in its time."""
    assert where.place_id is not None and where.to_id is not None and where.arrives_at is not None
    with tx.acting(request):
        await tx.schedule(ARRIVAL, where.arrives_at, {"character_id": str(who)})
    tx.emit(
        WalkBegun(
            character_id=who, from_id=where.place_id, to_id=where.to_id, arrives_at=where.arrives_at,
            minutes=way.minutes, via=list(way.place_ids[1:-1]),
        ),
        by=request,
    )  # fmt: skip


async def _barriers(tx: Transaction, character_ids: Iterable[UUID]) -> dict[UUID, Barriers]:
    """What bars the ways of these characters; empty if no ban holds in the world."""
    held = await bans.holding(tx)
    if not held:
        return {}
    lie_in = await regions_of_places(tx)
    return {
        who: Barriers(held, lie_in, stands_for)
        for who, stands_for in (await bans.standing(tx, character_ids, held)).items()
    }


async def travel(
    tx: Transaction, request: Request, who: UUID, where: Where, goal: UUID, minutes: float
) -> Where:
    """Let somebody set out for a place far away, in a request of a batch; it arrives as from a walk.

    `where` is where it is, locked, not on the way (`rules.starting_point`). What is on the way there is the
    caller's affair.
    """
    assert where.place_id is not None
    gone = rules.set_out(where, goal, tx.now, minutes)
    await _write(tx, {who: gone})
    await _set_out(tx, request, who, gone, Route((where.place_id, goal), minutes))
    return gone


async def stop(tx: Transaction, places_by_character: Mapping[UUID, UUID]) -> dict[UUID, Where]:
    """End what walks there are, and put these characters at places; returns where they are now.

    Who is not on the way stays where it is, and is missing in the answer. Tells nobody: the caller does.
    """
    before = await _stop(tx, places_by_character)
    after = {
        who: rules.put(where, place_id=places_by_character[who])
        for who, where in before.items() if where.travelling
    }  # fmt: skip
    await _write(tx, after)
    return after


async def arrive(tx: Transaction, timers: Sequence[Timer]) -> None:
    """Let those arrive whose walks end now. A timer of a walk that is no more does nothing."""
    due = {UUID(timer.data["character_id"]): timer.due_at for timer in timers}
    found = await load(tx, due)
    arrived = {who: where for who, where in found.items() if where.arrives_at == due[who]}
    await _write(tx, {who: rules.arrive(where) for who, where in arrived.items()})
    for who, where in arrived.items():
        assert where.place_id is not None and where.to_id is not None
        tx.emit(Arrived(character_id=who, place_id=where.to_id, from_id=where.place_id))


# -- helpers -------------------------------------------------------------------------------------------------


async def _write(tx: Transaction, whereabouts: Mapping[UUID, Where]) -> None:
    if whereabouts:
        found = list(whereabouts.values())
        await tx.execute(
            WRITE_WHERE, tx.world_id, list(whereabouts), [w.place_id for w in found],
            [w.to_id for w in found], [w.departed_at for w in found], [w.arrives_at for w in found],
            [w.home_id for w in found], [w.work_id for w in found],
        )  # fmt: skip


async def _stop(tx: Transaction, character_ids: Iterable[UUID]) -> dict[UUID, Where]:
    """Lock whereabouts, as they were, and cancel the timers of those on the way.

    Timers are locked before whereabouts, as when they fire; only who sets out between the two statements is
    cancelled afterwards.
    """
    ids = set(character_ids)
    cancelled = {who for who, where in (await peek(tx, ids)).items() if where.travelling}
    for who in sorted(cancelled):
        await tx.cancel_timers(ARRIVAL, character_id=str(who))
    found = await load(tx, ids)
    for who in sorted(w for w, where in found.items() if where.travelling and w not in cancelled):
        await tx.cancel_timers(ARRIVAL, character_id=str(who))
    return found


async def _existing(tx: Transaction, place_ids: Iterable[UUID]) -> set[UUID]:
    rows = await tx.fetch(
        "SELECT id FROM places WHERE world_id = $1 AND id = ANY($2::uuid[])",
        tx.world_id,
        sorted(set(place_ids)),
    )
    return {row["id"] for row in rows}


async def _must_exist(tx: Transaction, place_ids: Sequence[UUID]) -> None:
    found = await _existing(tx, place_ids)
    for place_id in place_ids:
        if place_id not in found:
            raise PLACE_NOT_FOUND(place_id=str(place_id))
