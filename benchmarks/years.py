"""Ten world years of many factions: treaties pay and end, factions that run themselves act each quarter."""

import asyncio
import random
import sys
import time
from typing import Any
from uuid import UUID

from benchmarks.population import beside, chunks
from benchmarks.stage import Row, Stage
from fablewright.core.clock import DAY
from fablewright.core.messages import Command
from fablewright.systems.diplomacy.treaty_commands import ImportTreaty
from fablewright.systems.director.commands import ConfigureDirector
from fablewright.systems.factions.commands import FoundFaction, TraitsValue
from fablewright.systems.regions.commands import BorderValue, DefineRegions, RegionValue, SetControl

FACTIONS = 200
TREATIES = 2_000
PAYING = TREATIES // 4
YEARS = 10
QUARTER = 90
AT_ONCE = 100
"""Commands that are given together while the world is made."""
MOST_SECONDS = 120
LEAST_RATE = 500

COUNTS = """
SELECT split_part(type, '.', 1) AS system, type, count(*) AS n FROM events WHERE world_id = $1 AND seq > $2
GROUP BY type ORDER BY n DESC
"""


async def years(stage: Stage) -> list[Row]:
    """Two hundred factions, two thousand treaties (a quarter with monthly payments), ten years fast-forward."""
    world_id = stage.world("years", paused=True)
    async with beside(stage) as (runtime, owner):
        for some in chunks(commands(), AT_ONCE):
            await runtime.engine.execute(some, owner, world_id)
    connection = await stage.connect()
    head = await connection.fetchval("SELECT seq FROM world_heads WHERE world_id = $1", world_id)
    start = time.perf_counter()
    await _advance(stage, f"/api/v1/worlds/{world_id}", YEARS * 365 * DAY)
    elapsed = time.perf_counter() - start
    counts = await connection.fetch(COUNTS, world_id, head)
    letters = await connection.fetchval("SELECT count(*) FROM dead_letters WHERE world_id = $1", world_id)
    await connection.close()
    print(", ".join(f"{row['type']} {row['n']:,}" for row in counts), file=sys.stderr)
    assert letters == 0
    done = sum(row["n"] for row in counts)
    wars = next((row["n"] for row in counts if row["type"] == "diplomacy.war_declared"), 0)
    return [
        Row(
            f"{FACTIONS} factions, {TREATIES:,} treaties, {YEARS} world years fast-forward",
            f"{elapsed:.0f} s, {done / elapsed:,.0f} events/s ({done:,}; {wars} wars)",
            f"< {MOST_SECONDS} s, ≥ {LEAST_RATE} events/s",
            met=elapsed < MOST_SECONDS and done / elapsed >= LEAST_RATE,
        )
    ]  # fmt: skip


def commands() -> list[Command]:
    """What makes the world."""
    chance = random.Random(5)
    factions = [UUID(int=(1 << 100) + n) for n in range(FACTIONS)]
    lands = [UUID(int=(1 << 101) + n) for n in range(FACTIONS)]
    made: list[Command] = [
        DefineRegions(regions=[RegionValue(id=land, name=f"Land {n}") for n, land in enumerate(lands)])
    ]
    # A torus of lands, so that each has four neighbours.
    pairs = {
        (min(a, b), max(a, b))
        for n, a in enumerate(lands)
        for b in (lands[(n + 1) % FACTIONS], lands[(n + 14) % FACTIONS])
    }
    borders = [BorderValue(a_id=a, b_id=b, minutes=600) for a, b in sorted(pairs)]
    made += [DefineRegions(borders=some) for some in chunks(borders, 200)]
    made += [
        FoundFaction(
            id=faction, name=f"House {n}", treasury=50_000, strength=chance.uniform(200, 2_000), self_run=True,
            traits=TraitsValue(
                aggressive=chance.random(), honourable=chance.random(), mercantile=chance.random(),
                isolationist=chance.random(),
            ),
        )
        for n, faction in enumerate(factions)
    ]  # fmt: skip
    made += [SetControl(region_id=land, controller_id=f) for land, f in zip(lands, factions, strict=True)]
    made += [_treaty(chance, n, *chance.sample(factions, 2)) for n in range(TREATIES)]
    made.append(ConfigureDirector(enabled=True, council_days=QUARTER))
    return made


def _treaty(chance: random.Random, number: int, a: UUID, b: UUID) -> Command:
    clauses: list[Any] = [{"type": "no_attack", "a_id": a, "b_id": b}]
    kind: Any = chance.choice(("non_aggression", "trade", "custom"))
    if number < PAYING:
        kind = "tribute"
        clauses.append({"type": "pay", "from_id": a, "to_id": b, "amount": 10, "every_days": 30})
    elif number % 3 == 0:
        clauses.append({"type": "open_borders", "faction_id": a, "to_id": b})
    return ImportTreaty(
        name=f"Treaty {number}", kind=kind, parties=[a, b], clauses=clauses, starts_at=-chance.randint(1, 2_000) * DAY,
        duration_days=None if number < PAYING else chance.randint(2_100, 8_000), renews=number % 2 == 0,
    )  # fmt: skip


async def _advance(stage: Stage, base: str, by_ms: int) -> None:
    job = stage.call("POST", base + "/advance", {"by_ms": by_ms}, 202)["result"]["id"]
    while stage.call("GET", f"{base}/advances/{job}")["state"] == "running":
        await asyncio.sleep(0.2)
