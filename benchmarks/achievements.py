"""Awards to which two hundred achievements and ten boards listen, and what their check costs inside."""

import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

from benchmarks.commands import raw
from benchmarks.http import load
from benchmarks.ledger import raw_award
from benchmarks.points import SECONDS, awards, quest
from benchmarks.stage import Row, Stage
from fablewright.app import BUILT_IN, open_runtime
from fablewright.core.actors import Actor
from fablewright.core.transaction import EventRecord, Transaction
from fablewright.settings import Settings
from fablewright.systems import progress
from fablewright.systems.points.commands import Award

PER_MEASURE = 10
BOARDS = 10
CHECKS = 400
AWARDED = ["points.awarded"]


def measures() -> list[dict[str, Any]]:
    """Twenty different measures of awards, which all of ours move."""
    found: list[dict[str, Any]] = []
    for least in range(5):
        where = [{"field": "amount", "op": "at_least", "value": least}]
        found += [
            {"kind": "count", "on": AWARDED, "where": where},
            {"kind": "sum", "on": AWARDED, "where": where, "field": "amount"},
            {"kind": "best", "on": AWARDED, "where": where, "field": "earned"},
            {"kind": "streak", "on": AWARDED, "where": where} if least else
            {"kind": "distinct", "on": AWARDED, "field": "reason"},
        ]  # fmt: skip
    return found


def define(stage: Stage, world_id: UUID) -> None:
    """Two hundred achievements over twenty measures, and ten boards."""
    commands = []
    for number, criteria in enumerate(measures()):
        for goal in range(PER_MEASURE):
            tiers = [{"goal": (goal + 1) * 10 ** (tier + 2)} for tier in range(3)]
            definition = {"name": f"A {number} {goal}", "criteria": criteria, "tiers": tiers}
            values = {"key": f"a_{number}_{goal}", "definition": definition}
            commands.append({"type": "achievements.define_achievement", "payload": values})
    for number in range(BOARDS):
        field = {"kind": ("sum", "best", "latest")[number % 3], "on": "points.awarded", "field": "amount"}
        metric = {"kind": "points_earned"} if number < 4 else field
        window = ("all_time", "day", "week", "month")[number % 4]
        values = {"key": f"b_{number}", "name": f"B {number}", "metric": metric, "window": window}
        commands.append({"type": "leaderboards.define_board", "payload": values})
    for start in range(0, len(commands), 50):
        stage.call("POST", f"/api/v1/worlds/{world_id}/commands", commands[start : start + 50])


async def listened(stage: Stage) -> list[Row]:
    """Single awards over HTTP, 64 connections, with all of them listening."""
    world_id, ids = quest(stage, "listened to")
    define(stage, world_id)
    make = awards(stage, world_id, ids)
    await load(stage.address, 64, 1, make)
    got = await load(stage.address, 64, SECONDS, make)
    connection = await stage.connect()
    awarded, moved = [
        await connection.fetchval(sql, world_id) for sql in (
            "SELECT count(*) FROM events WHERE world_id = $1 AND type = 'points.awarded'",
            "SELECT sum(value) FROM measure_values WHERE world_id = $1 AND measure_id = (SELECT id FROM measures "
            "WHERE world_id = $1 AND spec ->> 'kind' = 'count' ORDER BY id LIMIT 1)",
        )
    ]  # fmt: skip
    lost = await connection.fetchval("SELECT count(*) FROM dead_letters WHERE world_id = $1", world_id)
    await connection.close()
    baseline = await raw(stage, 8, SECONDS / 2, raw_award(world_id, ids))
    assert not got.errors and awarded == moved and not lost, (got.errors, awarded, moved, lost)
    return [
        Row("award with 200 achievements over 20 measures and 10 boards listening",
            f"{got.rate:,.0f}/s, p99 {got.quantile(0.99) * 1000:.0f} ms", "≥ 2,000/s", f"{baseline:,.0f}/s",
            f"{got.rate / baseline:.2f}", got.rate >= 2_000),
    ]  # fmt: skip


async def check(stage: Stage) -> list[Row]:
    """How long the check of one event takes inside its transaction, with all of them listening."""
    world_id, ids = quest(stage, "checked")
    define(stage, world_id)
    times: list[float] = []
    [reaction] = [r for r in progress.system.following if r.name == "progress.count"]

    async def timed(tx: Transaction, records: list[EventRecord]) -> None:
        start = time.perf_counter()
        await reaction.react(tx, records)
        times.append((time.perf_counter() - start) * 1000)

    following = tuple(replace(r, react=timed) if r is reaction else r for r in progress.system.following)
    systems = [replace(s, following=following) if s is progress.system else s for s in BUILT_IN]
    user_id = UUID(stage.call("GET", "/api/v1/account")["id"])
    settings = Settings(
        _env_file=None, data_dir=Path("unused"), signing_key="a signing key that is only for benchmarks"
    )
    async with open_runtime(settings, stage.database, systems, work=False) as runtime:
        owner = Actor(f"user:{user_id}", user_id)
        for number in range(CHECKS + 50):
            command = Award(character_id=ids[number % len(ids)], action="quest_completed")
            await runtime.engine.execute(command, owner, world_id)
    kept = sorted(times[50:])
    median, p99 = statistics.median(kept), kept[int(len(kept) * 0.99)]
    return [
        Row("achievement check for one event, inside the transaction, the same listening",
            f"median {median:.2f} ms, p99 {p99:.1f} ms", "median < 1 ms", met=median < 1),
    ]  # fmt: skip
