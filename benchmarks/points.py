"""Awards over HTTP: single and in lists, with much that listens, for long; beside the same writes done raw."""

import statistics
from collections.abc import Callable
from itertools import count
from uuid import UUID

import orjson

from benchmarks.commands import raw
from benchmarks.http import load, request
from benchmarks.ledger import OPEN_ACCOUNTS, raw_award
from benchmarks.live import resident_mb
from benchmarks.stage import Row, Stage

SECONDS = 6.0
SUBJECTS = 500
BULK = 500
WARM = 20_000
LONG = 200_000


def quest(stage: Stage, name: str, subjects: int = SUBJECTS) -> tuple[UUID, list[UUID]]:
    """A world with an award rule for quests, and characters that earn."""
    world_id = stage.world(name)
    rule = {"amount": 10, "reason": "A quest completed"}
    stage.call("PUT", f"/api/v1/worlds/{world_id}/award-rules/quest_completed", rule)
    return world_id, stage.characters(world_id, subjects)


def awards(stage: Stage, world_id: UUID, ids: list[UUID], *, keyed: bool = False) -> Callable[[int], bytes]:
    """Requests for single awards, to one subject after the other; `keyed` with an Idempotency-Key each."""
    body = orjson.dumps({"action": "quest_completed"})
    made = [
        request("POST", f"/api/v1/worlds/{world_id}/characters/{i}/points/award", stage.token, body)
        for i in ids
    ]
    if not keyed:
        return lambda number: made[number % len(made)]
    numbers = count()

    def with_key(number: int) -> bytes:
        head, rest = made[number % len(made)].split(b"\r\n", 1)
        return b"%b\r\nidempotency-key: bench-%d\r\n%b" % (head, next(numbers), rest)

    return with_key


async def award(stage: Stage) -> list[Row]:
    """Single awards, from 64 connections and from one. Baseline: three writes in a transaction, 8 connections."""
    world_id, ids = quest(stage, "awards")
    make = awards(stage, world_id, ids)
    await load(stage.address, 64, 1, make)
    many = await load(stage.address, 64, SECONDS, make)
    keyed = await load(stage.address, 64, SECONDS, awards(stage, world_id, ids, keyed=True))
    one = await load(stage.address, 1, SECONDS / 2, make)
    baseline_world = stage.world("awards baseline")
    connection = await stage.connect()
    await connection.execute(OPEN_ACCOUNTS, baseline_world, ids)
    await connection.close()
    baseline = await raw(stage, 8, SECONDS, raw_award(baseline_world, ids))
    unordered = await raw(stage, 8, SECONDS, raw_award(baseline_world, ids, ordered=False))
    assert not many.errors and not one.errors and not keyed.errors
    p99, median = many.quantile(0.99) * 1000, statistics.median(one.latencies) * 1000
    return [
        Row(f"single award over HTTP, 64 connections, {SUBJECTS} subjects", f"{many.rate:,.0f}/s, p99 {p99:.0f} ms",
            "≥ 6,000/s, ≥ 1.0 × baseline, p99 < 60 ms",
            f"{baseline:,.0f}/s ({unordered:,.0f}/s with an unordered log)", f"{many.rate / baseline:.2f}",
            many.rate >= max(6_000, baseline) and p99 < 60),
        Row("the same, each with an Idempotency-Key",
            f"{keyed.rate:,.0f}/s, p99 {keyed.quantile(0.99) * 1000:.0f} ms", "—", f"{baseline:,.0f}/s",
            f"{keyed.rate / baseline:.2f}"),
        Row("single award, one caller", f"median {median:.1f} ms", "median < 3 ms", met=median < 3),
    ]  # fmt: skip


async def bulk(stage: Stage) -> list[Row]:
    """Lists of awards over HTTP, 8 connections, one list after the other until everybody got something; and again.

    Baseline: as for single ones.
    """
    world_id, ids = quest(stage, "bulk awards", 8 * BULK)
    lists = [
        orjson.dumps([{"character_id": str(i), "action": "quest_completed"} for i in ids[n : n + BULK]])
        for n in range(0, len(ids), BULK)
    ]
    made = [request("POST", f"/api/v1/worlds/{world_id}/points/awards", stage.token, body) for body in lists]
    await load(stage.address, 8, 1, lambda n: made[n % len(made)])
    got = await load(stage.address, 8, SECONDS, lambda n: made[n % len(made)])
    baseline = await raw(stage, 8, SECONDS / 2, raw_award(world_id, ids))
    assert not got.errors
    rate = got.rate * BULK
    return [
        Row(f"bulk award over HTTP, lists of {BULK}, 8 connections",
            f"{rate:,.0f}/s, p99 {got.quantile(0.99) * 1000:.0f} ms a list", "≥ 20,000/s", f"{baseline:,.0f}/s",
            f"{rate / baseline:.1f}", rate >= 20_000),
    ]  # fmt: skip


async def award_memory(stage: Stage) -> list[Row]:
    """What the server's memory does over 200,000 awards, after the first 20,000."""
    world_id, ids = quest(stage, "many awards")
    make = awards(stage, world_id, ids)
    done = 0
    first = most = 0.0
    while done < WARM + LONG:
        got = await load(stage.address, 64, 2, make)
        assert not got.errors
        done += len(got.latencies)
        now = resident_mb(stage.pid)
        if done < WARM or not first:
            first = now
        most = max(most, now)
    last = resident_mb(stage.pid)
    return [
        Row(f"server memory over {LONG:,} awards", f"{first:.0f} MB before, {last:.0f} MB after, {most:.0f} MB at most",
            "flat: < 10 % more", met=most < first * 1.1),
    ]  # fmt: skip
