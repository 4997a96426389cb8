"""The matrix of all relations of a world; apart from `views`, since it keeps what it has read.

A hundred factions have thousands of pairs with tens of thousands of reasons, of which hardly any change between two
readings. So each process keeps the pairs it has read, reads in the log which have changed since, and those anew: what
is shown is exact, on every node. Values are kept as they were at a time, and decay to now in one pass. As long as
nothing changes, an answer is given again for a world minute: it says of which time it is, and little fades meanwhile.
"""

from asyncio import Lock
from collections import OrderedDict
from collections.abc import Iterable, Mapping
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
    clamp,
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

BEST: Final = 2 * MOST_OPINION
"""The best opinion, counted from the worst."""
WORST: Final = int(MOST_OPINION * 100)
"""Hundredths from the worst opinion to none."""

Sum = tuple[float | None, float]
"""What reasons that fade with one half-life (world days; None: never) come to."""


@dataclass(slots=True)
class _Kept:
    """A pair as it was at `at` (world ms), and how it is shown."""

    low: UUID
    high: UUID
    at: int
    tension: float
    shown: dict[str, Any]
    trust: tuple[float, float] = (0.0, 0.0)
    back: tuple[float, float] = (0.0, 0.0)
    """What there is of trust beyond that of strangers: as all see it, and with what is secret."""
    open: tuple[list[Sum], list[Sum]] = field(default_factory=lambda: ([], []))
    """What the reasons that are no secret come to, of the first about the second and back."""
    secret: tuple[list[Sum], list[Sum]] = field(default_factory=lambda: ([], []))


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
    names = {row["id"]: str(row["id"]) for row in factions}
    listed = [{"id": names[row["id"]], "name": row["name"], "color": row["color"]} for row in factions]
    world, reader = _world(database, world_id), (faction_id, sees.own)
    async with world.lock:
        await _follow(connection, world_id, now, world)
        truces = {
            (r["low_id"], r["high_id"]): r["truce_until"] for r in await connection.fetch(TRUCES, world_id)
        }
        told = world.told.pop(reader, None)
        still = told is not None and 0 <= now - told.at <= TOLD_FOR
        if told is None or not still or (told.factions, told.truces) != (listed, truces):
            pairs: Iterable[_Kept] = world.pairs.values()
            if faction_id is not None:
                pairs = [p for p in pairs if faction_id in (p.low, p.high)]
            entries = _shown([p for p in pairs if p.low in names and p.high in names], now, sees, truces)
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
    found: dict[Pair, _Kept] = {}
    for row in await connection.fetch(PAIRS.format(source=relations) + more, world_id, now, *ends):
        low, high = row["low_id"], row["high_id"]
        tension = row["tension"] * left(row["tension_at"], now, TENSION_HALF_LIFE_DAYS)
        shown = {"low_id": str(low), "high_id": str(high), "status": row["status"]}
        found[low, high] = _Kept(low, high, now, tension, shown)
    for row in await connection.fetch(SUMS.format(source=opinions), world_id, now, *ends):
        kept = found.get(pair := ordered(row["holder_id"], row["about_id"]))
        if kept is not None:
            sides = kept.secret if row["secret"] else kept.open
            sides[row["holder_id"] != pair[0]].append((row["half_life_days"], row["amount"]))
    for row in await connection.fetch(TRUSTS.format(source=trusts) + more, world_id, now, *ends):
        kept = found.get(pair := ordered(row["holder_id"], row["about_id"]))
        fade = left(row["at"], now, TRUST_HALF_LIFE_DAYS)
        beyond = (row["shown"] - TRUST_OF_STRANGERS) * fade, (row["trust"] - TRUST_OF_STRANGERS) * fade
        if kept is not None and row["holder_id"] == pair[0]:
            kept.trust = beyond
        elif kept is not None:
            kept.back = beyond
    return found


def _shown(
    pairs: Iterable[_Kept], now: int, sees: Sees, truces: Mapping[Pair, int]
) -> list[dict[str, Any]]:  # fmt: skip
    """The pairs in short. The dicts are kept and used again: write them down before the next reading."""
    entries: list[dict[str, Any]] = []
    fading: dict[int, tuple[_Fading, float, float]] = {}
    for p in pairs:
        found = fading.get(p.at)
        if found is None:
            fade = _Fading(p.at, now)
            found = fading[p.at] = fade, fade[TENSION_HALF_LIFE_DAYS], fade[TRUST_HALF_LIFE_DAYS]
        fade, tension, trust = found
        shown = p.shown
        # Written out for each value: it is done for each of thousands of pairs. `int(x + 0.5)` rounds what is positive.
        shown["tension"] = int(p.tension * tension * 100.0 + 0.5) / 100.0
        sees_all = sees.of(p.low, p.high)
        shown["trust"] = int((TRUST_OF_STRANGERS + p.trust[sees_all] * trust) * 1000.0 + 0.5) / 1000.0
        shown["trust_back"] = int((TRUST_OF_STRANGERS + p.back[sees_all] * trust) * 1000.0 + 0.5) / 1000.0
        forth, back = p.open
        if sees_all and (p.secret[0] or p.secret[1]):
            forth, back = [*forth, *p.secret[0]], [*back, *p.secret[1]]
        total = MOST_OPINION  # counted from the worst, so that it is positive
        for half_life_days, amount in forth:
            total += amount * fade[half_life_days]
        total = total if 0.0 <= total <= BEST else clamp(total, 0.0, BEST)
        shown["opinion"] = (int(total * 100.0 + 0.5) - WORST) / 100.0
        total = MOST_OPINION
        for half_life_days, amount in back:
            total += amount * fade[half_life_days]
        total = total if 0.0 <= total <= BEST else clamp(total, 0.0, BEST)
        shown["opinion_back"] = (int(total * 100.0 + 0.5) - WORST) / 100.0
        shown["truce_until"] = truces.get((p.low, p.high)) if truces else None
        entries.append(shown)
    return entries


class _Fading(dict[float | None, float]):
    """What is left now of 1.0 at a time, by half-life, each computed once."""

    def __init__(self, at: int, now: int):
        super().__init__()
        self._span = at, now

    def __missing__(self, half_life_days: float | None) -> float:
        value = self[half_life_days] = left(*self._span, half_life_days)
        return value
