"""The graph of ties: 1,000 characters and 20,000 ties, each answer over HTTP."""

import json
import random
import statistics
import time
from typing import Any
from uuid import UUID, uuid4

import httpx

from benchmarks.stage import Row, Stage

CHARACTERS, TIES, GROUPS = 1_000, 20_000, 20
TARGET_MS = 100.0
REPEATS = 9

INSERT = """
INSERT INTO ties (world_id, id, source_id, target_id, strength, trust, familiarity, resting_strength, resting_trust,
                  felt_at, labels)
SELECT $1, v.* , v.strength / 2, 0.5, 0, CASE WHEN v.strength > 0.6 THEN '{friend}'::text[] ELSE '{}' END
FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::float8[], $6::float8[], $7::float8[])
    AS v (id, source_id, target_id, strength, trust, familiarity)
"""


async def fill(stage: Stage, world_id: UUID, ids: list[UUID]) -> None:
    """Mutual ties, four in five of them within groups, all of them of some warmth: the hardest for every measure."""
    chance = random.Random(3)
    pairs: set[tuple[int, int]] = set()
    while len(pairs) < TIES:
        one = chance.randrange(CHARACTERS)
        near = chance.random() < 0.8
        other = (
            (one + GROUPS * chance.randrange(CHARACTERS)) % CHARACTERS
            if near
            else chance.randrange(CHARACTERS)
        )
        if one != other:
            pairs |= {(one, other), (other, one)}
    rows = sorted(pairs)[:TIES]
    connection = await stage.connect()
    await connection.execute(
        INSERT, world_id, [uuid4() for _ in rows], [ids[s] for s, _ in rows], [ids[t] for _, t in rows],
        *([chance.uniform(0.05, 1.0) for _ in rows] for _ in range(3)),
    )  # fmt: skip
    await connection.close()


async def answers(stage: Stage) -> list[Row]:
    """The median time of each answer, asked one after the other by one caller."""
    world_id = stage.world("graph", rate=1.0)
    ids = stage.characters(world_id, CHARACTERS)
    await fill(stage, world_id, ids)
    base = f"/worlds/{world_id}"
    paths = {
        "ties, a page of 200 by strength": f"{base}/relationships?min_strength=0.5&limit=200",
        "surroundings of one, depth 1": f"{base}/characters/{ids[0]}/graph",
        "surroundings of one, depth 3": f"{base}/characters/{ids[0]}/graph?depth=3",
        "the whole graph": f"{base}/graph",
        "the graph of friends": f"{base}/graph?label=friend",
        "communities": f"{base}/graph/communities",
        "centrality: pagerank": f"{base}/graph/centrality?measure=pagerank",
        "centrality: betweenness": f"{base}/graph/centrality?measure=betweenness",
        "path of trust": f"{base}/relationships/{ids[0]}/{ids[-1]}/path",
    }
    rows = []
    with httpx.Client(headers={"Authorization": f"Bearer {stage.token}"}, timeout=60) as client:
        for name, path in paths.items():
            took, size = timed(client, stage.address + "/api/v1" + path)
            rows.append(
                Row(f"graph of {CHARACTERS:,} characters, {TIES:,} ties: {name}",
                    f"median {took:.0f} ms, {size / 1000:,.0f} kB", f"< {TARGET_MS:.0f} ms", met=took < TARGET_MS)
            )  # fmt: skip
    return rows


def timed(client: httpx.Client, url: str) -> tuple[float, int]:
    """The median time in ms of some answers, after one to warm up, and the size of one as it is."""
    found: list[float] = []
    size = 0
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        answer = client.get(url)
        found.append((time.perf_counter() - start) * 1000)
        assert answer.status_code == 200, answer.text
        size = len(answer.content)
        check(answer.json())
    return statistics.median(found[1:]), size


def check(answer: Any) -> None:
    """That there is something in an answer."""
    assert len(json.dumps(answer)) > 100
