"""The director at full speed, and reading a long log."""

import asyncio
import json
import sys
import time

from benchmarks.population import beside, populate
from benchmarks.stage import Row, Stage
from fablewright.core import log
from fablewright.core.clock import HOUR

EVENTS = 200_000


async def director(stage: Stage) -> list[Row]:
    """A thousand characters with places, ties and memories, sixty acts a beat, fast-forwarded."""
    rate, done, elapsed = await _lived(stage, 1_000, acts=60, hours=4)
    return [
        Row("director at full depth, 1,000 characters",
            f"{rate:,.0f} interactions/s ({done:,} in {elapsed:.1f} s)", "≥ 250/s", met=rate >= 250),
    ]  # fmt: skip


async def ten_thousand(stage: Stage) -> list[Row]:
    """Ten thousand characters, one world day, four acts for each."""
    rate, done, elapsed = await _lived(stage, 10_000, acts=28, hours=24)
    return [
        Row("10,000 characters, one world day, 4 acts each",
            f"{elapsed:.0f} s, {rate:,.0f} interactions/s ({done:,})", "runs", met=done > 0),
    ]  # fmt: skip


async def _lived(stage: Stage, many: int, *, acts: int, hours: int) -> tuple[float, int, float]:
    """Interactions per second, how many, and seconds, of a world that lives for some hours, from eight o'clock."""
    world_id = stage.world("director", paused=True)
    async with beside(stage) as (runtime, owner):
        await populate(runtime, owner, world_id, many, ties=12)
    base = f"/api/v1/worlds/{world_id}"
    await _advance(stage, base, 2 * HOUR)
    stage.call("PUT", base + "/director", {"enabled": True, "beats_per_minute": 1, "acts_per_beat": acts})
    start = time.perf_counter()
    await _advance(stage, base, hours * HOUR)
    elapsed = time.perf_counter() - start
    connection = await stage.connect()
    done = await connection.fetchval(
        "SELECT count(*) FROM events WHERE world_id = $1 AND type = 'dialogue.interacted'", world_id
    )
    rows = await connection.fetch(
        "SELECT type, count(*) AS n FROM events WHERE world_id = $1 GROUP BY type ORDER BY n DESC LIMIT 9",
        world_id,
    )
    await connection.close()
    print(", ".join(f"{row['type']} {row['n']:,}" for row in rows), file=sys.stderr)
    return done / elapsed, done, elapsed


async def _advance(stage: Stage, base: str, by_ms: int) -> None:
    job = stage.call("POST", base + "/advance", {"by_ms": by_ms}, 202)["result"]["id"]
    while stage.call("GET", f"{base}/advances/{job}")["state"] == "running":
        await asyncio.sleep(0.2)


FILL = """
INSERT INTO events (world_id, seq, id, type, at, actor, causation_id, correlation_id, about, audience, data)
SELECT $1, n, gen_random_uuid(), CASE n % 4 WHEN 0 THEN 'bench.other' ELSE 'dialogue.interacted' END, n, 'system:bench',
       gen_random_uuid(), gen_random_uuid(), ARRAY[gen_random_uuid(), gen_random_uuid()],
       CASE n % 10 WHEN 0 THEN ARRAY[]::uuid[] END, $2::jsonb
FROM generate_series($3::bigint, $4::bigint) AS n
"""


async def reading_log(stage: Stage) -> list[Row]:
    """A long log, filtered by type and audience, read in pages and encoded. Baseline: the same rows fetched raw."""
    world_id = stage.world("log", paused=True)
    connection = await stage.connect()
    data = json.dumps(
        {"content": "Good day to you.", "answer": "And to you, friend of the mill.", "strength": 0.25}
    )
    await connection.execute(FILL, world_id, data, 2, EVENTS)
    await connection.execute("UPDATE world_heads SET seq = $2 WHERE world_id = $1", world_id, EVENTS)
    wanted = log.Filter(types=("dialogue.*",), principals=frozenset({world_id}))
    many = size = 0
    start = time.perf_counter()
    async for rows in log.read_all(connection, world_id, wanted):
        many += len(rows)
        size += sum(len(log.encode(row, with_command=False)) for row in rows)
    rate = many / (time.perf_counter() - start)
    condition, values = wanted.where(2)
    start = time.perf_counter()
    fetched = await connection.fetch(
        f"SELECT {log.COLUMNS} FROM events WHERE world_id = $1{condition} ORDER BY seq", world_id, *values
    )
    baseline = len(fetched) / (time.perf_counter() - start)
    await connection.close()
    assert len(fetched) == many
    return [
        Row("reading the log, filtered", f"{rate:,.0f} events/s", "≥ 50,000/s", f"{baseline:,.0f}/s (fetched, not encoded)",
            f"{rate / baseline:.2f}", rate >= 50_000),
    ]  # fmt: skip
