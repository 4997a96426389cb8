"""Commands over HTTP: interactions, and a hot command that batches; each beside the same SQL done raw."""

import asyncio
import json
import random
import statistics
import time
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

from benchmarks import counter
from benchmarks.http import load, request
from benchmarks.stage import Row, Stage
from fablewright.core import log
from fablewright.core.clock import Calendar
from fablewright.core.database import array_of, texts_of
from fablewright.core.transaction import OPEN_WORLD
from fablewright.systems.characters import service as characters
from fablewright.systems.dialogue import content, scene
from fablewright.systems.memory import service as memory
from fablewright.systems.memory.rules import NewMemory
from fablewright.systems.regions import service as regions
from fablewright.systems.relationships import service as ties

SECONDS = 6.0


async def raw(
    stage: Stage, connections: int, seconds: float, operation: Callable[[Any], Awaitable[None]]
) -> float:
    """Operations per second of `operation(connection)` over that many connections, without the server."""
    opened = [await stage.connect() for _ in range(connections)]
    count = 0
    stop_at = time.perf_counter() + seconds

    async def work(connection: Any) -> None:
        nonlocal count
        while time.perf_counter() < stop_at:
            await operation(connection)
            count += 1

    start = time.perf_counter()
    await asyncio.gather(*(work(connection) for connection in opened))
    rate = count / (time.perf_counter() - start)
    for connection in opened:
        await connection.close()
    return rate


async def append(connection: Any, world_id: UUID, event_type: str, data: str, about: str) -> None:
    """The server's last statement, for one event."""
    event_id, command_id = uuid4(), uuid4()
    version = await connection.fetchval("SELECT base_version FROM world_heads WHERE world_id = $1", world_id)
    await connection.fetchval(
        log.APPEND, world_id, 1, 0, version, array_of([event_id]), texts_of([event_type]), array_of([0]), texts_of(["raw"]),
        array_of([command_id]), array_of([command_id]), [about], [None], [data], ["{}"], [], [], [], [], world_id, 0,
    )  # fmt: skip


def interact_body(pair: list[UUID], number: int) -> bytes:
    kind = ("chat", "praise", "conflict", "tease", "ask_for_help", "gift")[number % 6]
    body = {
        "initiator_id": str(pair[0]),
        "target_id": str(pair[1]),
        "type": kind,
        "content": "Good day to you.",
    }
    return json.dumps(body).encode()


class _Raw:
    """As much of a transaction as the services need to load and store: a raw connection, without engine or rules."""

    def __init__(self, connection: Any, world_id: UUID):
        self.fetch, self.execute, self.fetchrow = connection.fetch, connection.execute, connection.fetchrow
        self.emit = lambda *_event, **_more: SimpleNamespace(id=uuid4())
        self.events: list[Any] = []
        self.world_id, self.now, self.world = (
            world_id,
            0,
            SimpleNamespace(settings={}, calendar=Calendar(), seed=1),
        )


async def _statements(tx: Any, a: UUID, b: UUID) -> None:
    """What an interaction of two reads and writes."""
    await regions.load(tx, [a, b])
    await tx.fetchrow(content.VERSION, tx.world_id)
    await memory.scene(tx, [(a, b), (b, a)])
    await tx.fetch(scene.TALKS, tx.world_id, [a], [b])
    people = await characters.load(tx, [a, b])
    known = await ties.load(tx, [(a, b), (b, a)])
    await tx.fetch(scene.HEARD, tx.world_id, [a, b])
    await characters.write_states(tx, [(c.id, 0.5, 0, c.emotion) for c in people.values()])
    await ties.write(tx, {pair: known.get(pair, ties.TieState()) for pair in ((a, b), (b, a))})
    heard = json.dumps(list(range(60)))
    await tx.execute(scene.WRITE_HEARD, tx.world_id, [a, b], [heard, heard])
    await tx.execute(scene.WRITE_TALKS, tx.world_id, [uuid4()], [a], [b], ["weather"], [1], [0], ["{}"])
    fact = uuid4()
    news = [
        NewMemory(
            who, fact, "saw", "A talked with B.", other, (other,), None, 0, 0.01, 1.0, 0.2, event_id=uuid4()
        )
        for who, other in ((a, b), (b, a))
    ]
    await memory.remember(tx, news, {})


async def interactions(stage: Stage) -> list[Row]:
    """Interactions over HTTP, with 32 connections and with one; and the same statements raw."""
    # So fast a world that nobody tires, and that nothing is too soon.
    world_id = stage.world("interactions", rate=100_000)
    ids = stage.characters(world_id, 300)
    chance = random.Random(1)
    path = f"/api/v1/worlds/{world_id}/interactions"

    def make(number: int) -> bytes:
        return request("POST", path, stage.token, interact_body(chance.sample(ids, 2), number))

    await load(stage.address, 32, 1, make)
    many = await load(stage.address, 32, SECONDS, make)
    one = await load(stage.address, 1, SECONDS / 2, make)
    data = json.dumps({"content": "Good day to you.", "answer": "And to you.", "filler": "x" * 2_500})

    async def operation(connection: Any) -> None:
        a, b = sorted(chance.sample(ids, 2))
        async with connection.transaction():
            await connection.fetchrow(OPEN_WORLD, world_id)
            await _statements(_Raw(connection, world_id), a, b)
            await append(connection, world_id, "raw.interacted", data, f"{{{a},{b}}}")

    baseline = await raw(stage, 32, SECONDS, operation)
    median = statistics.median(one.latencies) * 1000
    assert not many.errors and not one.errors
    return [
        Row("interaction over HTTP, 32 connections, one world",
            f"{many.rate:,.0f}/s, p99 {many.quantile(0.99) * 1000:.0f} ms", "≥ 250/s",
            f"{baseline:,.0f}/s", f"{many.rate / baseline:.2f}", many.rate >= 250),
        Row("the same, one caller", f"median {median:.1f} ms", "median < 12 ms", met=median < 12),
    ]  # fmt: skip


async def batched(stage: Stage) -> list[Row]:
    """A hot command over HTTP, 64 connections: its commits are shared. Baseline: one transaction each."""
    world_id = stage.world("batched")
    path = f"/api/v1/worlds/{world_id}/commands"
    body = json.dumps({"type": "bench_counter.add", "payload": {"name": "gold", "amount": 1}}).encode()
    message = request("POST", path, stage.token, body)
    await load(stage.address, 64, 1, lambda _n: message)
    got = await load(stage.address, 64, SECONDS, lambda _n: message)
    baseline_world = stage.world("batched baseline")

    async def operation(connection: Any) -> None:
        async with connection.transaction():
            await connection.fetchrow(OPEN_WORLD, baseline_world)
            value = await connection.fetchval(counter.BASELINE_ADD, baseline_world, "gold", 1)
            await append(
                connection, baseline_world, "raw.added", json.dumps({"name": "gold", "value": value}), "{}"
            )

    baseline = await raw(stage, 64, SECONDS, operation)
    assert not got.errors
    return [
        Row("batched hot command over HTTP, 64 connections",
            f"{got.rate:,.0f}/s, p99 {got.quantile(0.99) * 1000:.0f} ms", "≥ 5,000/s, ≥ 1.0 × baseline",
            f"{baseline:,.0f}/s", f"{got.rate / baseline:.2f}", got.rate >= 5_000 and got.rate >= baseline),
    ]  # fmt: skip


async def reading(stage: Stage) -> list[Row]:
    """One character over HTTP, token checked, 32 connections. Baseline: the same statement raw."""
    from fablewright.systems.characters import views

    world_id = stage.world("reading")
    ids = stage.characters(world_id, 200)
    user_id = UUID(stage.call("GET", "/api/v1/account")["id"])
    messages = [request("GET", f"/api/v1/worlds/{world_id}/characters/{i}", stage.token) for i in ids]
    await load(stage.address, 32, 1, lambda n: messages[n % len(messages)])
    got = await load(stage.address, 32, SECONDS, lambda n: messages[n % len(messages)])

    async def operation(connection: Any) -> None:
        await connection.fetchrow(views.ONE, world_id, user_id, random.choice(ids))

    baseline = await raw(stage, 32, SECONDS / 2, operation)
    assert not got.errors
    return [
        Row("read one character, token checked, 32 connections",
            f"{got.rate:,.0f}/s, p99 {got.quantile(0.99) * 1000:.0f} ms", "≥ 3,000/s",
            f"{baseline:,.0f}/s", f"{got.rate / baseline:.2f}", got.rate >= 3_000),
    ]  # fmt: skip
