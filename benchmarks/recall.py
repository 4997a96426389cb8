"""Recall from the 10,000 memories of one character, with 200,000 memories of others in the table."""

import gc
import random
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from benchmarks.stage import Row, Stage
from fablewright.systems.memory import recall as recalling

OTHERS, EACH, OWN = 400, 500, 10_000
ROUNDS = 60
NOW = 10**9

DEEDS = ("talked with", "quarrelled with", "helped", "gossiped with", "thanked", "praised")
PLACES = ("mill", "market", "tavern", "temple", "bridge", "ford")
MATTERS = ("the harvest", "flour", "the price of salt", "old times", "the weather", "a lost ring", "taxes")

QUESTIONS = {
    "a rare word": "dragon", "a frequent word": "mill", "several words": "quarrelled at the mill about flour",
    "words of nearly all": "talked quarrelled helped gossiped thanked praised", "no words": None,
}  # fmt: skip

FILL = """
INSERT INTO memories (world_id, id, character_id, fact_id, kind, text, subject_id, about, at, importance, certainty,
                      valence, secret, tellers, claim, evidence, heard_from)
SELECT $1, gen_random_uuid(), v.owner, gen_random_uuid(), 'did', v.text, v.other, ARRAY[v.other], v.at, v.importance,
       1, 0.2, false, '{}', jsonb_build_object('deed', 'chat', 'who', v.owner, 'whom', v.other, 'degree', 1), '{}', '{}'
FROM unnest($2::uuid[], $3::text[], $4::uuid[], $5::bigint[], $6::float8[]) AS v (owner, text, other, at, importance)
"""
MINDS = """
INSERT INTO minds (world_id, id, memories) SELECT world_id, character_id, count(*) FROM memories
WHERE world_id = $1 GROUP BY world_id, character_id
"""


async def fill(connection: Any, world_id: UUID, ids: list[UUID]) -> None:
    """Memories for the first `OTHERS` + 1 of these characters; the first one has `OWN` of them."""
    chance = random.Random(1)

    def text() -> str:
        dragon = " and the dragon" if chance.random() < 0.001 else ""
        return (
            f"I {chance.choice(DEEDS)} C {chance.randrange(OTHERS)} at the {chance.choice(PLACES)} about "
            f"{chance.choice(MATTERS)}{dragon}, and of word{chance.randrange(3_000)}."
        )

    for owner, many in [(ids[0], OWN), *((owner, EACH) for owner in ids[1 : OTHERS + 1])]:
        circle = chance.sample(ids, 20)
        await connection.execute(
            FILL, world_id, [owner] * many, [text() for _ in range(many)], [chance.choice(circle) for _ in range(many)],
            [chance.randrange(NOW) for _ in range(many)], [chance.random() ** 2 for _ in range(many)],
        )  # fmt: skip
    await connection.execute(MINDS, world_id)


async def measured(operation: Callable[[], Awaitable[Any]]) -> tuple[float, float]:
    """Median and worst of some rounds, in ms, after two to warm up."""
    times = []
    for _ in range(ROUNDS + 2):
        start = time.perf_counter()
        await operation()
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times[2:]), max(times[2:])


async def recall(stage: Stage) -> list[Row]:
    """Each kind of question, as the server recalls; and the same SQL raw."""
    world_id = stage.world("recall")
    ids = stage.characters(world_id, OTHERS + 1)
    connection = await stage.connect()
    await fill(connection, world_id, ids)
    gc.collect()
    gc.freeze()  # as the server does when it has started
    rows = []
    for what, query in QUESTIONS.items():

        async def ask(query: str | None = query) -> Any:
            return await recalling.recall(connection, world_id, ids[0], query, None, NOW, 20)

        async def raw(query: str | None = query) -> Any:
            if query is None:
                return await connection.fetch(recalling.LATEST_AND_WEIGHTIEST, world_id, ids[0])
            return await connection.fetch(recalling.SEARCH, query, f"'owner:{world_id}{ids[0]}'", None)

        found = len(await ask())
        (median, worst), (baseline, _) = await measured(ask), await measured(raw)
        rows.append(
            Row(
                f"recall from 10,000 memories, {what}: best {found}", f"{median:.1f} ms, worst {worst:.1f} ms",
                "< 10 ms", f"{baseline:.1f} ms", f"{median / baseline:.2f}", median < 10,
            )
        )  # fmt: skip
    await connection.close()
    return rows
