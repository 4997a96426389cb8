"""Leaderboards: a board of a million, scores that are submitted, and the best of a board that all look at."""

import random
import statistics
from typing import Any
from uuid import UUID, uuid4

import orjson

from benchmarks.commands import raw
from benchmarks.http import load, request
from benchmarks.ledger import vacuum
from benchmarks.stage import Row, Stage
from fablewright.systems.leaderboards.ranks import IN_NEW_RANGE, TOP

ENTRIES = 1_000_000
SECONDS = 6.0
ASKED = 300
CHECKED = 25
TOP_MANY = 100
SUBJECTS = 500

# Many share a score, so that ranks hang on who came earlier.
FILL = """
INSERT INTO board_entries (world_id, board_id, number, subject_id, standing, tie, at)
SELECT $1, $2, 0, gen_random_uuid(), floor(random() ^ 2 * 200000), -n, n
FROM generate_series((SELECT 1 - next_tie FROM board_windows WHERE world_id = $1 AND board_id = $2),
                     $3::bigint) AS n
"""
COUNTED = """
UPDATE board_windows SET entries = $3::bigint, next_tie = -$3::bigint, version = version + 1 WHERE world_id = $1 AND board_id = $2
"""
RANGES = """
WITH gone AS (DELETE FROM board_ranges WHERE world_id = $1 AND board_id = $2)
INSERT INTO board_ranges (world_id, board_id, number, from_standing, from_tie, entries)
SELECT $1, $2, 0, standing, tie, many FROM (
    SELECT standing, tie, n, count(*) OVER (PARTITION BY n / $3::bigint) AS many,
           row_number() OVER (PARTITION BY n / $3 ORDER BY standing, tie) AS first
    FROM (SELECT standing, tie, row_number() OVER (ORDER BY standing, tie) - 1 AS n
          FROM board_entries WHERE world_id = $1 AND board_id = $2) AS e
) AS r WHERE first = 1 AND n > 0
"""
WORST_RANGE = """
INSERT INTO board_ranges (world_id, board_id, number, from_standing, from_tie, entries)
VALUES ($1, $2, 0, '-Infinity', -9223372036854775808, $3)
"""
RANK = """
SELECT 1 + count(*) FROM board_entries o, board_entries e
WHERE e.world_id = $1 AND e.board_id = $2 AND e.subject_id = $3 AND o.world_id = $1 AND o.board_id = $2
  AND (o.standing, o.tie) > (e.standing, e.tie)
"""


def board(stage: Stage, name: str, **metric: Any) -> tuple[UUID, list[UUID], str]:
    """A world with a board, characters, and the board's address."""
    world_id = stage.world(name)
    path = f"/api/v1/worlds/{world_id}/leaderboards/best"
    stage.call("PUT", path, {"name": "Best", "metric": {"kind": "submitted", **metric}})
    return world_id, stage.characters(world_id, SUBJECTS), path


def score(stage: Stage, path: str, subject_id: UUID, value: float) -> bytes:
    """The request that submits a score."""
    return request(
        "POST", path + "/scores", stage.token, orjson.dumps({"subject_id": subject_id, "score": value})
    )


async def million(stage: Stage) -> list[Row]:
    """Asked by one caller while scores come in between, so that nothing kept can answer. Baseline: counting rows."""
    world_id, ids, path = board(stage, "a million", mode="best")
    stage.call("POST", path + "/scores", {"subject_id": str(ids[0]), "score": 1})
    connection = await stage.connect()
    board_id = await connection.fetchval("SELECT id FROM boards WHERE world_id = $1", world_id)
    await connection.execute(FILL, world_id, board_id, ENTRIES)
    await connection.execute(COUNTED, world_id, board_id, ENTRIES)
    await connection.execute(RANGES, world_id, board_id, IN_NEW_RANGE)
    await connection.execute(WORST_RANGE, world_id, board_id, IN_NEW_RANGE)
    await vacuum(stage.database, "board_entries", "board_ranges", "board_windows")
    some = await connection.fetch(
        "SELECT subject_id FROM board_entries WHERE world_id = $1 ORDER BY subject_id LIMIT $2",
        world_id,
        ASKED,
    )
    subjects = [row["subject_id"] for row in some]
    questions = {
        f"top {TOP_MANY}": [f"{path}?limit={TOP_MANY}"] * ASKED,
        "my rank": [f"{path}/rank/{i}" for i in subjects],
        "around me": [f"{path}/around/{i}" for i in subjects],
    }
    rows = []
    for what, paths in questions.items():
        messages = [request("GET", p, stage.token) for p in paths]
        chance = random.Random(what)

        def make(number: int, messages: list[bytes] = messages, chance: random.Random = chance) -> bytes:
            if number % 2:
                return score(stage, path, chance.choice(ids), chance.random() * 200_000)
            return messages[number // 2 % len(messages)]

        got = await load(stage.address, 1, SECONDS / 2, make)
        assert not got.errors
        median = statistics.median(got.latencies[1::2]) * 1000
        rows.append(
            Row(f"board of {ENTRIES:,} entries: {what}, over HTTP", f"median {median:.1f} ms", "< 5 ms, exact",
                met=median < 5)
        )  # fmt: skip
    baseline = await exact(stage, connection, world_id, board_id, path, subjects[:CHECKED])
    rows[1].baseline = f"{baseline:.0f} ms (counting rows)"
    await connection.close()
    return rows


async def exact(
    stage: Stage, connection: Any, world_id: UUID, board_id: UUID, path: str, subjects: list[UUID]
) -> float:
    """Compare answers with counts of rows; the median time (ms) of such a count."""
    times = []
    clock = "SELECT extract(epoch FROM clock_timestamp())::float8 * 1000"
    for subject_id in subjects:
        before = await connection.fetchval(clock)
        rank = await connection.fetchval(RANK, world_id, board_id, subject_id)
        times.append(await connection.fetchval(clock) - before)
        told = stage.call("GET", f"{path}/rank/{subject_id}")
        assert told["rank"] == rank, (told, rank)
        around = stage.call("GET", f"{path}/around/{subject_id}?span=3")["entries"]
        assert [e["rank"] for e in around if e["subject_id"] == str(subject_id)] == [rank]
        assert [e["rank"] for e in around] == list(range(around[0]["rank"], around[0]["rank"] + len(around)))
    top = stage.call("GET", f"{path}?limit={TOP_MANY}")["entries"]
    best = await connection.fetch(
        "SELECT subject_id FROM board_entries WHERE world_id = $1 AND board_id = $2 "
        "ORDER BY standing DESC, tie DESC LIMIT $3", world_id, board_id, TOP_MANY,
    )  # fmt: skip
    assert [e["subject_id"] for e in top] == [str(row["subject_id"]) for row in best]
    return float(statistics.median(times))


UPSERT = """
INSERT INTO board_entries (world_id, board_id, number, subject_id, standing, tie, at)
VALUES ($1, $2, 0, $3, $4, nextval('ledger_transfers_number_seq'), 0)
ON CONFLICT (world_id, board_id, number, subject_id) DO UPDATE SET standing = excluded.standing, tie = excluded.tie
WHERE board_entries.standing < excluded.standing
"""
EVENT = """
WITH head AS (UPDATE world_heads SET seq = seq + 1 WHERE world_id = $1 RETURNING seq)
INSERT INTO events (world_id, seq, id, type, at, actor, causation_id, correlation_id, about, data)
SELECT $1, seq, $2, 'raw.score', 0, 'raw', $3, $3, ARRAY[$4::uuid], $5::jsonb FROM head
"""


async def submissions(stage: Stage) -> list[Row]:
    """Scores over HTTP, 64 connections. Baseline: entry and event in a transaction each, 8 connections."""
    _, ids, path = board(stage, "submissions", mode="best")
    chance = random.Random(1)
    made = [score(stage, path, chance.choice(ids), round(chance.random() * 1e6)) for _ in range(20_000)]
    await load(stage.address, 64, 1, lambda n: made[n % len(made)])
    got = await load(stage.address, 64, SECONDS, lambda n: made[n % len(made)])
    other = stage.world("submissions baseline")
    board_id = uuid4()

    async def operation(connection: Any) -> None:
        subject, value = chance.choice(ids), chance.random() * 1e6
        async with connection.transaction():
            await connection.execute(UPSERT, other, board_id, subject, value)
            data = orjson.dumps({"subject_id": subject, "score": value}).decode()
            await connection.execute(EVENT, other, uuid4(), uuid4(), subject, data)

    baseline = await raw(stage, 8, SECONDS / 2, operation)
    assert not got.errors
    return [
        Row("score submissions over HTTP, 64 connections",
            f"{got.rate:,.0f}/s, p99 {got.quantile(0.99) * 1000:.0f} ms", "≥ 6,000/s", f"{baseline:,.0f}/s",
            f"{got.rate / baseline:.2f}", got.rate >= 6_000),
    ]  # fmt: skip


async def top(stage: Stage) -> list[Row]:
    """The best hundred over HTTP, 32 connections; unchanged, and while scores come in. Baseline: the query raw."""
    world_id, ids, path = board(stage, "top", mode="best")
    entries = [{"subject_id": str(i), "score": n, "at": 0} for n, i in enumerate(ids)]
    values = {"key": "best", "number": 0, "entries": entries}
    restore = {"type": "leaderboards.restore_entries", "payload": values}
    stage.call("POST", f"/api/v1/worlds/{world_id}/commands", restore)
    message = request("GET", f"{path}?limit={TOP_MANY}", stage.token)
    await load(stage.address, 32, 1, lambda _n: message)
    got = await load(stage.address, 32, SECONDS, lambda _n: message)
    chance = random.Random(1)

    def mixed(number: int) -> bytes:
        """One score for every hundred looks."""
        return message if number % 100 else score(stage, path, chance.choice(ids), 1_000 + number)

    moving = await load(stage.address, 32, SECONDS, mixed)
    setup = await stage.connect()
    board_id = await setup.fetchval("SELECT id FROM boards WHERE world_id = $1", world_id)
    await setup.close()

    async def operation(connection: Any) -> None:
        await connection.fetch(TOP, world_id, board_id, 0, TOP_MANY)

    baseline = await raw(stage, 32, SECONDS / 2, operation)
    assert not got.errors and not moving.errors
    return [
        Row(f"top {TOP_MANY} of a board over HTTP, 32 connections",
            f"{got.rate:,.0f}/s, p99 {got.quantile(0.99) * 1000:.0f} ms", "≥ 4,000/s", f"{baseline:,.0f}/s",
            f"{got.rate / baseline:.2f}", got.rate >= 4_000),
        Row("the same, with a score for every hundred looks",
            f"{moving.rate:,.0f}/s, p99 {moving.quantile(0.99) * 1000:.0f} ms", "—", f"{baseline:,.0f}/s",
            f"{moving.rate / baseline:.2f}"),
    ]  # fmt: skip
