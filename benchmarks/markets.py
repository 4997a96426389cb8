"""Trade on very many routes: what a world day of it costs, and what a change of routes does."""

import asyncio
import random
import statistics
import time
from typing import Any
from uuid import UUID, uuid4

from benchmarks.population import beside, chunks
from benchmarks.stage import Row, Stage
from fablewright.core.clock import DAY
from fablewright.core.messages import Command
from fablewright.systems.factions.commands import FoundFaction
from fablewright.systems.markets.commands import DefineGoods, GoodValue, ImposeRestriction
from fablewright.systems.regions.commands import DefineRegions, RegionValue, SetControl

REGIONS, FACTIONS, GOODS, ROUTES, RESTRICTIONS = 200, 50, 20, 4_990, 50
DAYS, CHANGES = 30, 5
AT_ONCE = 100

ADD_ROUTES = """
INSERT INTO trade_routes (world_id, id, from_region, to_region, good, per_day, owner_id, share, opened_at)
SELECT $1, v.*, 0.5, 0 FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::float8[], $7::uuid[]) AS v
"""


async def trade_days(stage: Stage) -> list[Row]:
    """A month of trade on all routes that a world can have, and the time that opening one more takes."""
    world_id = stage.world("markets", paused=True)
    chance = random.Random(5)
    regions = [UUID(int=(1 << 100) + n) for n in range(REGIONS)]
    factions = [UUID(int=(1 << 101) + n) for n in range(FACTIONS)]
    async with beside(stage) as (runtime, owner):
        for some in chunks(_commands(chance, regions, factions), AT_ONCE):
            await runtime.engine.execute(some, owner, world_id)
    ways: set[tuple[UUID, UUID, str]] = set()
    while len(ways) < ROUTES:
        ways.add((*chance.sample(regions, 2), f"good_{chance.randrange(GOODS)}"))  # type: ignore[arg-type]
    connection = await stage.connect()
    await connection.execute(
        ADD_ROUTES, world_id, [uuid4() for _ in ways], [w[0] for w in ways], [w[1] for w in ways],
        [w[2] for w in ways], [chance.uniform(1, 20) for _ in ways], [chance.choice(factions) for _ in ways],
    )  # fmt: skip
    base, took = f"/api/v1/worlds/{world_id}", []
    for n in range(CHANGES):
        body = {
            "from_region": str(regions[n]), "to_region": str(regions[-n - 1]), "good": f"good_{n}", "per_day": 5,
        }  # fmt: skip
        start = time.perf_counter()
        stage.call("POST", f"{base}/markets/routes", body, 201)
        took.append(time.perf_counter() - start)
    start = time.perf_counter()
    await _advance(stage, base, DAYS * DAY)
    elapsed = time.perf_counter() - start
    days = await connection.fetchval(
        "SELECT count(DISTINCT (data ->> 'day')::int) FROM events WHERE world_id = $1 AND type = 'markets.traded'",
        world_id,
    )
    await connection.close()
    assert days == DAYS
    known = f"{ROUTES + CHANGES:,} routes of {FACTIONS} factions, {RESTRICTIONS} restrictions"
    return [
        Row(f"a world day of trade, {known}", f"{1000 * elapsed / DAYS:.0f} ms", "runs"),
        Row("opening one more", f"median {1000 * statistics.median(took):.0f} ms", "runs"),
    ]


def _commands(chance: random.Random, regions: list[UUID], factions: list[UUID]) -> list[Command]:
    """Lands that yield some goods each, who holds them, and what is restricted."""
    goods = [f"good_{n}" for n in range(GOODS)]
    lands = [
        RegionValue(
            id=region, name=f"Land {n}", population=20_000,
            resources={good: chance.uniform(10, 90) for good in chance.sample(goods, 6)},
        )
        for n, region in enumerate(regions)
    ]  # fmt: skip
    made: list[Command] = [DefineRegions(regions=some) for some in chunks(lands, 100)]
    made.append(
        DefineGoods(
            goods=[GoodValue(key=good, name=good, base_price=chance.uniform(2, 40)) for good in goods]
        )
    )
    made += [FoundFaction(id=faction, name=f"House {n}") for n, faction in enumerate(factions)]
    made += [
        SetControl(region_id=region, controller_id=factions[n % FACTIONS]) for n, region in enumerate(regions)
    ]
    for n in range(RESTRICTIONS):
        a, b = chance.sample(factions, 2)
        kind: Any = ("embargo", "tariff", "blockade")[n % 3]
        made.append(ImposeRestriction(kind=kind, from_id=a, to_id=b, rate=0.2 if kind == "tariff" else 1))
    return made


async def _advance(stage: Stage, base: str, by_ms: int) -> None:
    job = stage.call("POST", base + "/advance", {"by_ms": by_ms}, 202)["result"]["id"]
    while stage.call("GET", f"{base}/advances/{job}")["state"] == "running":
        await asyncio.sleep(0.05)
