"""The matrix of all relations of a world; apart from `views`, since it keeps what it has read.

A hundred factions have thousands of pairs with tens of thousands of reasons, of which hardly any change between two
readings. So each process keeps the pairs it has read, reads in the log which have changed since, and those anew: what
is shown is exact, on every node. Values are kept as they were at a time, and decay to now in one pass. As long as
nothing changes, an answer is given again for a world minute: it says of which time it is, and little fades meanwhile.
"""

import math
from asyncio import Lock
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID
from weakref import WeakKeyDictionary

import orjson

from fablewright.core.clock import DAY, MINUTE
from fablewright.core.log import head_of
from fablewright.systems.diplomacy.relations import MOST_HALF_LIVES, Pair, left, ordered
from fablewright.systems.diplomacy.rules import (
    MOST_FACTIONS,
    MOST_OPINION,
    TENSION_HALF_LIFE_DAYS,
    TOO_MANY_RELATIONS,
    TRUST_HALF_LIFE_DAYS,
    TRUST_OF_STRANGERS,
)
from fablewright.systems.diplomacy.views import Sees

MOST_WORLDS: Final = 50
"""Of how many worlds a process keeps the relations: those asked for last."""
MOST_KEPT: Final = 50_000
"""Worlds with more pairs than this are read anew each time."""
TOLD_FOR: Final = MINUTE
"""World time for which an answer is given again."""
MOST_TOLD: Final = 4
"""How many answers of a world are kept: for readers of different factions, or about different ones."""
MOST_BEHIND: Final = 10_000
"""Who is further behind the log than this (positions) reads all anew, which is then cheaper."""

FACTIONS: Final = f"""
SELECT id, name, color FROM factions WHERE world_id = $1 AND dissolved_at IS NULL
ORDER BY name, id LIMIT {MOST_FACTIONS + 1}
"""  # noqa: S608  fixed texts only
CHANGED: Final = """
SELECT DISTINCT coalesce(data ->> 'low_id', data ->> 'holder_id')::uuid AS a,
                coalesce(data ->> 'high_id', data ->> 'about_id')::uuid AS b
FROM events
WHERE world_id = $1 AND seq > $2 AND seq <= $3
  AND type IN ('diplomacy.relationship_changed', 'diplomacy.tension_changed', 'diplomacy.status_changed')
"""
# PostgreSQL's `least` passes over nulls: what never fades is told apart first.
LEFT: Final = (
    f"CASE WHEN o.half_life_days IS NULL THEN 1 ELSE power(2.0::float8, -least({MOST_HALF_LIVES}, "
    f"greatest(0, $2::bigint - o.at)::float8 / (o.half_life_days * {DAY}))) END"
)
# Reasons that fade alike are one number: the sum of what is left of them fades as each does.
SUMS: Final = f"""
SELECT o.holder_id, o.about_id, o.half_life_days, o.secret,
       sum(o.amount * {LEFT}) AS amount
FROM {{source}}
WHERE o.world_id = $1 AND o.ended_at IS NULL
GROUP BY o.holder_id, o.about_id, o.half_life_days, o.secret
"""  # noqa: S608  fixed texts only
WANTED: Final = "unnest($3::uuid[], $4::uuid[]) AS p (a, b) JOIN {table} ON {on}"
PAIRS: Final = (
    "SELECT r.low_id, r.high_id, r.status, r.tension, r.tension_at FROM {source} WHERE r.world_id = $1"
)
TRUSTS: Final = "SELECT t.holder_id, t.about_id, t.trust, t.shown, t.at FROM {source} WHERE t.world_id = $1"
TRUCES: Final = """
SELECT low_id, high_id, truce_until FROM relations WHERE world_id = $1 AND truce_until IS NOT NULL
"""
"""Read each time: a longer truce is no event."""

SIDES: Final = 4
"""Sums of reasons for opinions: of the first about the second, back, and the same of what is secret."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """A pair as it was at `at` (world ms), its values in two arrays, and how it is shown."""

    low: UUID
    high: UUID
    at: int
    numbers: Any
    """Tension, and trust beyond that of strangers: as all see it, there and back, then the same with what is secret."""
    sums: Any
    """In rows: one of `SIDES`, a half-life (world days; infinite: never), and what reasons that fade so come to."""
    shown: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Told:
    """An answer, and what it was made of beside the pairs."""

    at: int
    factions: list[dict[str, Any]]
    truces: Mapping[Pair, int]
    body: bytes


@dataclass(slots=True)
class _World:
    """The relations of a world as they were when the log had come to `seq`."""

    lock: Lock = field(default_factory=Lock)
    seq: int = -1
    pairs: dict[Pair, _Kept] = field(default_factory=dict)
    told: OrderedDict[Any, _Told] = field(default_factory=OrderedDict)
    """What was answered of these pairs, by about whom and to whom; the latest last."""


_KEPT: Final["WeakKeyDictionary[Any, OrderedDict[UUID, _World]]"] = WeakKeyDictionary()


async def matrix(
    database: Any, connection: Any, world_id: UUID, now: int, sees: Sees, faction_id: UUID | None = None
) -> bytes:
    """The JSON of a `MatrixView`: of all factions, or of the relations of one. Refuses `too_many_relations`."""
    factions = await connection.fetch(FACTIONS, world_id)
    if len(factions) > MOST_FACTIONS and faction_id is None:
        raise TOO_MANY_RELATIONS(most=MOST_FACTIONS)
    listed = [{"id": str(row["id"]), "name": row["name"], "color": row["color"]} for row in factions]
    world, reader = _world(database, world_id), (faction_id, sees.own)
    async with world.lock:
        await _follow(connection, world_id, now, world)
        truces = {
            (r["low_id"], r["high_id"]): r["truce_until"] for r in await connection.fetch(TRUCES, world_id)
        }
        told = world.told.pop(reader, None)
        still = told is not None and 0 <= now - told.at <= TOLD_FOR
        if told is None or not still or (told.factions, told.truces) != (listed, truces):
            # By their texts: each of these knows its hash, which an id makes anew.
            standing = {faction["id"] for faction in listed}
            pairs = [
                p for p in world.pairs.values()
                if p.shown["low_id"] in standing and p.shown["high_id"] in standing
                and (faction_id is None or faction_id in (p.low, p.high))
            ]  # fmt: skip
            entries = _shown(pairs, now, sees)
            for pair, until in truces.items():
                if pair in world.pairs:
                    world.pairs[pair].shown["truce_until"] = until
            body = orjson.dumps({"at": now, "factions": listed, "relations": entries})
            told = _Told(now, listed, truces, body)
        world.told[reader] = told
        if len(world.told) > MOST_TOLD:
            world.told.popitem(last=False)
        if len(world.pairs) > MOST_KEPT:
            world.seq, world.pairs = -1, {}
    return told.body


def _world(database: Any, world_id: UUID) -> _World:
    worlds = _KEPT.setdefault(database, OrderedDict())
    if world_id not in worlds and len(worlds) >= MOST_WORLDS:
        worlds.popitem(last=False)
    world = worlds.setdefault(world_id, _World())
    worlds.move_to_end(world_id)
    return world


async def _follow(connection: Any, world_id: UUID, now: int, world: _World) -> None:
    """Bring what is kept up to the log. The head is read first: what is read after it is at least as new."""
    head = await head_of(connection, world_id)
    if world.seq < 0 or not 0 <= head - world.seq <= MOST_BEHIND:
        world.pairs = await _load(connection, world_id, now, None)
        world.told.clear()
    elif head > world.seq:
        rows = await connection.fetch(CHANGED, world_id, world.seq, head)
        if rows:
            changed = sorted({ordered(row["a"], row["b"]) for row in rows})
            world.pairs.update(await _load(connection, world_id, now, changed))
            world.told.clear()
    world.seq = head


async def _load(connection: Any, world_id: UUID, now: int, pairs: list[Pair] | None) -> dict[Pair, _Kept]:
    """These pairs, or all that have a relation, as they are now."""
    if pairs is None:
        ends: tuple[list[UUID], ...] = ()
        relations, opinions, trusts = "relations r", "opinions o", "trusts t"
    else:
        both = [*pairs, *((b, a) for a, b in pairs)]
        ends = [a for a, _ in both], [b for _, b in both]
        relations = WANTED.format(table="relations r", on="r.low_id = p.a AND r.high_id = p.b")
        opinions = WANTED.format(table="opinions o", on="o.holder_id = p.a AND o.about_id = p.b")
        trusts = WANTED.format(table="trusts t", on="t.holder_id = p.a AND t.about_id = p.b")
    # One order of parameters for all: the second is needed by the sums only, the ends by what is not all.
    more = " AND $2::bigint IS NOT NULL"
    numbers: dict[Pair, list[float]] = {}
    sums: dict[Pair, list[tuple[int, float, float]]] = {}
    shown: dict[Pair, dict[str, Any]] = {}
    for row in await connection.fetch(PAIRS.format(source=relations) + more, world_id, now, *ends):
        low, high = pair = row["low_id"], row["high_id"]
        tension = row["tension"] * left(row["tension_at"], now, TENSION_HALF_LIFE_DAYS)
        numbers[pair], sums[pair] = [tension, 0.0, 0.0, 0.0, 0.0], []
        shown[pair] = {"low_id": str(low), "high_id": str(high), "status": row["status"]}
    for row in await connection.fetch(SUMS.format(source=opinions), world_id, now, *ends):
        pair = ordered(row["holder_id"], row["about_id"])
        if pair in shown:
            side = (row["holder_id"] != pair[0]) + 2 * row["secret"]
            sums[pair].append((side, row["half_life_days"] or math.inf, row["amount"]))
    for row in await connection.fetch(TRUSTS.format(source=trusts) + more, world_id, now, *ends):
        pair = ordered(row["holder_id"], row["about_id"])
        if pair in shown:
            side, fade = 1 + (row["holder_id"] != pair[0]), left(row["at"], now, TRUST_HALF_LIFE_DAYS)
            numbers[pair][side] = (row["shown"] - TRUST_OF_STRANGERS) * fade
            numbers[pair][side + 2] = (row["trust"] - TRUST_OF_STRANGERS) * fade
    import numpy as np  # by who asks for a matrix, since it takes a while to load

    return {
        pair: _Kept(*pair, now, np.array(numbers[pair]), np.array(sums[pair]).reshape(-1, 3), shown[pair])
        for pair in shown
    }


def _shown(pairs: Sequence[_Kept], now: int, sees: Sees) -> list[dict[str, Any]]:
    """The pairs in short, without truces. The dicts are kept: write them down before the next reading."""
    if not pairs:
        return []
    import numpy as np

    def fading(days: Any, half_life_days: Any) -> Any:
        """`relations.left` for each of many."""
        return np.exp2(-np.minimum(MOST_HALF_LIVES, days / half_life_days))

    # Columns of all pairs: thousands of them cost as much as a few dozen would one by one.
    many = len(pairs)
    secrets = np.array(sees.own is None or [sees.of(p.low, p.high) for p in pairs])
    days = np.maximum(0, now - np.fromiter((p.at for p in pairs), np.int64, many)) / DAY
    tension, *trusts = np.concatenate([p.numbers for p in pairs]).reshape(many, -1).T
    side, half_life_days, amount = np.concatenate([p.sums for p in pairs]).T
    number = np.repeat(np.arange(many), [len(p.sums) for p in pairs])
    amount = amount * fading(days[number], half_life_days)
    sums = np.bincount(side.astype(np.int64) * many + number, amount, SIDES * many).reshape(SIDES, many)
    opinions: Any = np.clip(sums[:2] + np.where(secrets, sums[2:], 0.0), -MOST_OPINION, MOST_OPINION)
    opinions = opinions.round(2) + 0.0  # which is what -0.0 becomes
    beyond = np.where(secrets, trusts[2:], trusts[:2]) * fading(days, TRUST_HALF_LIFE_DAYS)
    trust = (TRUST_OF_STRANGERS + beyond).round(3)
    tension = (tension * fading(days, TENSION_HALF_LIFE_DAYS)).round(2)
    entries = [p.shown for p in pairs]
    columns = {
        "tension": tension, "trust": trust[0], "trust_back": trust[1], "opinion": opinions[0],
        "opinion_back": opinions[1],
    }  # fmt: skip
    for name, column in columns.items():
        for shown, value in zip(entries, column.tolist(), strict=True):
            shown[name] = value
    for shown in entries:
        shown["truce_until"] = None
    return entries
