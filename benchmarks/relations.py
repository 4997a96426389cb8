"""Relations of a hundred factions: the matrix of all pairs over HTTP, one pair with its reasons, and raw."""

import random
import statistics
import time
from typing import Any
from uuid import UUID, uuid4

import httpx

from benchmarks.graph import timed
from benchmarks.stage import Row, Stage
from fablewright.systems.diplomacy.matrix import FACTIONS, PAIRS
from fablewright.systems.diplomacy.rules import STATUSES

MANY, REASONS = 100, 3
TARGET_MS = 20.0
REPEATS = 21

RELATIONS = """
INSERT INTO relations (world_id, id, low_id, high_id, tension, tension_at, status, status_since, truce_until)
SELECT $1, v.id, v.low_id, v.high_id, v.tension, 0, v.status, 0, CASE WHEN v.status = 'truce' THEN 1e12::bigint END
FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::float8[], $6::text[]) AS v (id, low_id, high_id, tension, status)
"""
OPINIONS = """
INSERT INTO opinions (world_id, id, holder_id, about_id, key, reason, amount, event_id, at, half_life_days)
SELECT $1, v.id, v.holder_id, v.about_id, 'reason_' || v.n, 'a reason of theirs', v.amount, NULL, 0, 365
FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::int[], $6::float8[]) AS v (id, holder_id, about_id, n, amount)
"""
TRUSTS = """
INSERT INTO trusts (world_id, id, holder_id, about_id, trust, shown, at)
SELECT $1, v.id, v.holder_id, v.about_id, v.trust, v.trust, 0
FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::float8[]) AS v (id, holder_id, about_id, trust)
"""


async def fill(stage: Stage, world_id: UUID) -> list[UUID]:
    """A hundred factions of which all know each other, with reasons and trust in both directions."""
    chance = random.Random(5)
    commands = [{"type": "factions.found_faction", "payload": {"name": f"F {n}"}} for n in range(MANY)]
    answer = stage.call("POST", f"/api/v1/worlds/{world_id}/commands", commands)
    ids = sorted(UUID(result["id"]) for result in answer["results"])
    pairs = [(a, b) for n, a in enumerate(ids) for b in ids[n + 1 :]]
    both = pairs + [(b, a) for a, b in pairs]
    reasons = [(pair, n) for pair in both for n in range(REASONS)]
    connection = await stage.connect()
    await connection.execute(
        RELATIONS, world_id, [uuid4() for _ in pairs], [a for a, _ in pairs], [b for _, b in pairs],
        [chance.uniform(0, 100) for _ in pairs], [chance.choice(STATUSES) for _ in pairs],
    )  # fmt: skip
    await connection.execute(
        OPINIONS, world_id, [uuid4() for _ in reasons], [a for (a, _), _ in reasons], [b for (_, b), _ in reasons],
        [n for _, n in reasons], [chance.uniform(-40, 40) for _ in reasons],
    )  # fmt: skip
    await connection.execute(
        TRUSTS, world_id, [uuid4() for _ in both], [a for a, _ in both], [b for _, b in both],
        [chance.random() for _ in both],
    )  # fmt: skip
    await connection.execute("ANALYZE relations, opinions, trusts")
    await connection.close()
    return ids


async def matrix(stage: Stage) -> list[Row]:
    """The median time of the matrix, asked one after the other by one caller. Baseline: the rows of the pairs alone.

    The clock runs so fast that each answer is computed anew; at last it stands, and the same answer is given again.
    """
    world_id = stage.world("relations", rate=20_000.0)
    ids = await fill(stage, world_id)
    url = f"{stage.address}/api/v1/worlds/{world_id}/relations"
    with httpx.Client(headers={"Authorization": f"Bearer {stage.token}"}, timeout=60) as client:
        took, size = timed(client, url)
        assert len(client.get(url).json()["relations"]) == MANY * (MANY - 1) // 2
        one, _ = timed(client, f"{url}/{ids[0]}/{ids[1]}")
        of_one, _ = timed(client, f"{url}?faction={ids[0]}")
        stage.call("PUT", f"/api/v1/worlds/{world_id}/clock", {"paused": True}, 200)
        again, _ = timed(client, url)
    baseline = await statements(stage, world_id)
    known = f"{MANY} factions, all {MANY * (MANY - 1) // 2:,} pairs with {2 * REASONS} reasons each"
    return [
        Row(f"matrix of {known}", f"median {took:.1f} ms, {size / 1000:,.0f} kB", f"< {TARGET_MS:.0f} ms",
            f"{baseline:.1f} ms", f"{baseline / took:.2f}", took < TARGET_MS),
        Row("the same, asked again within a world minute", f"median {again:.1f} ms", f"< {TARGET_MS:.0f} ms",
            met=again < TARGET_MS),
        Row("the same, one faction's relations", f"median {of_one:.1f} ms", f"< {TARGET_MS:.0f} ms",
            met=of_one < TARGET_MS),
        Row("the same, one pair with its reasons", f"median {one:.1f} ms", f"< {TARGET_MS:.0f} ms",
            met=one < TARGET_MS),
    ]  # fmt: skip


async def statements(stage: Stage, world_id: UUID) -> float:
    """The median time in ms of reading all factions and pairs, without reasons and trust, and without the server."""
    connection = await stage.connect()
    found: list[float] = []
    rows: list[Any] = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        await connection.fetch(FACTIONS, world_id)
        rows = await connection.fetch(PAIRS.format(source="relations r"), world_id)
        found.append((time.perf_counter() - start) * 1000)
    await connection.close()
    assert rows
    return statistics.median(found)
