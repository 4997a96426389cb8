"""The director at full speed, and reading a long log."""

import asyncio
import json
import time

from benchmarks.stage import Row, Stage
from fablewright.core import log
from fablewright.core.clock import HOUR

EVENTS = 200_000


async def director(stage: Stage) -> list[Row]:
    """A thousand characters, a hundred acts a beat, fast-forwarded."""
    world_id = stage.world("director", paused=True)
    stage.characters(world_id, 1_000)
    base = f"/api/v1/worlds/{world_id}"
    stage.call("PUT", base + "/director", {"enabled": True, "beats_per_minute": 1, "acts_per_beat": 60})
    start = time.perf_counter()
    job = stage.call("POST", base + "/advance", {"by_ms": 2 * HOUR}, 202)["result"]["id"]
    while stage.call("GET", f"{base}/advances/{job}")["state"] == "running":
        await asyncio.sleep(0.2)
    elapsed = time.perf_counter() - start
    connection = await stage.connect()
    done = await connection.fetchval(
        "SELECT count(*) FROM events WHERE world_id = $1 AND type = 'dialogue.interacted'", world_id
    )
    await connection.close()
    rate = done / elapsed
    return [
        Row("director at full speed, 1,000 characters", f"{rate:,.0f} interactions/s ({done:,} in {elapsed:.1f} s)",
            "≥ 300/s", met=rate >= 300),
    ]  # fmt: skip


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
