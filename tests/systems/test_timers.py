"""Timers: live, and while a world is fast-forwarded."""

import asyncio
from collections import Counter
from typing import Any
from uuid import UUID

import orjson
import pytest

from fablewright.core.actors import Actor, system_actor
from fablewright.core.clock import DAY, HOUR
from fablewright.core.dice import random_uuid
from fablewright.core.engine import Scope
from fablewright.core.refusal import Refused
from fablewright.core.timers import FireTimers, TimerWorker
from fablewright.core.transaction import Request, Transaction
from fablewright.systems.worlds.advance import AdvanceWorker
from fablewright.systems.worlds.commands import AdvanceWorld, ReplayDeadLetter, SetClock, StopAdvance
from tests.counter import BROKEN, CALLS, Add, Plan, Touch, broken, pausing
from tests.support import until
from tests.systems.conftest import Bench, OpenBench


async def ticks(bench: Bench, world: UUID) -> list[tuple[int, int]]:
    """(when, how many) for each batch that fired, in order."""
    return [
        (d["now"], d["timers"])
        for e in await bench.log(world, "counter.ticked")
        if (d := orjson.loads(e["data"]))
    ]


async def waiting(bench: Bench, world: UUID) -> int:
    return len(await bench.fetch("SELECT 1 FROM timers WHERE world_id = $1", world))


async def job(bench: Bench, world: UUID) -> Any:
    return (await bench.fetch("SELECT * FROM advances WHERE world_id = $1", world))[0]


async def advance(bench: Bench, world: UUID, owner: Actor, **how: int) -> None:
    """Fast-forward to the end, in this task."""
    started = await bench.do(AdvanceWorld(**how), owner, world)
    await AdvanceWorker(bench.engine).advance(world, started["id"])


async def test_an_advance_fires_in_due_order_at_the_due_time(bench: Bench) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    await bench.do(Plan(at=(500, 100, 300, 300, 300, 901)), owner, world)
    await advance(bench, world, owner, to_ms=900)
    assert await ticks(bench, world) == [(100, 1), (300, 3), (500, 1)]
    assert [e["at"] for e in await bench.log(world, "counter.ticked")] == [100, 300, 500]
    echoes = [orjson.loads(e["data"])["roll"] for e in await bench.log(world, "counter.echoed")]
    assert len(echoes) == len(set(echoes)) == 3  # each reaction has dice of its own
    assert await waiting(bench, world) == 1
    done = await job(bench, world)
    assert (done["state"], done["batches"], done["timers_fired"]) == ("done", 3, 5)
    clock = (await bench.fetch("SELECT anchor_world_ms, advance_id FROM worlds WHERE id = $1", world))[0]
    assert (clock["anchor_world_ms"], clock["advance_id"]) == (900, None)
    [arrived] = await bench.log(world, "worlds.advanced")
    assert (arrived["at"], orjson.loads(arrived["data"])["timers_fired"]) == (900, 5)
    commands = [orjson.loads(e["command"])["type"] for e in await bench.log(world) if e["command"]]
    assert commands == [
        "worlds.create_world", "worlds.advance_world", "core.fire_timers", "core.fire_timers", "core.fire_timers",
    ]  # fmt: skip


async def test_each_batch_of_an_advance_is_its_own_commit(bench: Bench) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    await bench.do(Plan(at=tuple(range(10, 60, 10))), owner, world)
    await advance(bench, world, owner, by_ms=100)
    rows = await bench.fetch(
        "SELECT count(DISTINCT xmin::text) AS n FROM events WHERE world_id = $1 AND type = 'counter.ticked'",
        world,
    )
    assert rows[0]["n"] == 5


async def test_a_timer_in_the_past_is_refused(bench: Bench) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    await advance(bench, world, owner, to_ms=HOUR)
    with pytest.raises(Refused) as refused:
        await bench.do(Plan(at=(HOUR - 1,)), owner, world)
    assert refused.value.code == "timer_in_the_past"
    await bench.do(Plan(at=(HOUR,)), owner, world)


async def test_a_bad_timer_becomes_a_dead_letter_and_its_neighbours_fire(bench: Bench) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    await bench.do([Plan(at=(5, 5)), Plan(at=(5,), tell="ill"), Plan(at=(5, 7))], owner, world)
    with broken("ill"):
        await advance(bench, world, owner, to_ms=10)
    assert sorted(await ticks(bench, world)) == [(5, 1), (5, 1), (5, 1), (7, 1)]
    [letter] = await bench.letters(world)
    assert (letter["source"], letter["handler"]) == ("timer", "counter.tick")
    assert orjson.loads(letter["payload"])["timer"]["due_at"] == 5
    assert len(await bench.marks(world, "tick")) == 4
    BROKEN.add("ill")
    with pytest.raises(Refused) as refused:
        await bench.do(ReplayDeadLetter(dead_letter_id=letter["id"]), owner, world)
    assert refused.value.code == "replay_failed"
    BROKEN.clear()
    await bench.do(ReplayDeadLetter(dead_letter_id=letter["id"]), owner, world)
    assert len(await bench.marks(world, "tick")) == 5
    assert await bench.letters(world) == []


async def test_while_a_world_advances_others_are_refused_and_it_can_be_stopped(
    bench: Bench, open_bench: OpenBench
) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    dues = tuple(range(10, 2010, 10))
    await bench.do(Plan(at=dues), owner, world)
    started = await bench.do(AdvanceWorld(to_ms=3000), owner, world)
    with pausing("tick") as pause:
        working = asyncio.create_task(AdvanceWorker(bench.engine).advance(world, started["id"]))
        await pause.entered.wait()
        for command in (Touch(), Add(), Plan(at=(50,)), SetClock(paused=False), AdvanceWorld(to_ms=5)):
            with pytest.raises(Refused) as refused:
                await bench.do(command, owner, world)
            assert refused.value.code == "world_is_advancing"
        async with open_bench(bench.url, retries=0) as impatient:  # it needs no second try
            stopping = asyncio.create_task(impatient.do(StopAdvance(), owner, world))
            pause.go.set()
            stopped = await stopping
        await working
    fired = await ticks(bench, world)
    assert stopped["at_ms"] == (fired[-1][0] if fired else 0)
    assert (await job(bench, world))["state"] == "stopped"
    assert 0 < len(fired) < 100
    assert len(fired) + await waiting(bench, world) == 200
    with pytest.raises(Refused) as refused:
        await bench.do(StopAdvance(), owner, world)
    assert refused.value.code == "not_advancing"
    await bench.do(Touch(), owner, world)
    await advance(bench, world, owner, to_ms=3000)
    assert await ticks(bench, world) == [(at, 1) for at in dues]


@pytest.mark.parametrize(("how", "code"), [
    ({"to_ms": 0}, "advance_backwards"), ({"to_ms": -5}, "advance_backwards"),
    ({"by_ms": 3_651 * DAY}, "advance_too_far"),
])  # fmt: skip
async def test_where_an_advance_may_go(bench: Bench, how: dict[str, int], code: str) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    with pytest.raises(Refused) as refused:
        await bench.do(AdvanceWorld(**how), owner, world)
    assert refused.value.code == code


async def test_an_advance_goes_on_in_another_process(fresh_url: str, open_bench: OpenBench) -> None:
    async with open_bench(fresh_url, work=True) as first:
        owner = await first.person()
        world = await first.world(owner)
        await first.do(Plan(at=tuple(range(10, 510, 10))), owner, world)
        with pausing("tick", needed=20) as pause:
            pause.go.set()
            await first.do(AdvanceWorld(to_ms=1000), owner, world)
            await pause.entered.wait()
    async with open_bench(fresh_url) as idle:
        halfway = await job(idle, world)
        assert halfway["state"] == "running"
        assert 0 < halfway["timers_fired"] < 50
        assert halfway["timers_fired"] == len(await idle.marks(world, "tick"))
    async with open_bench(fresh_url, work=True) as second, open_bench(fresh_url, work=True):

        async def arrived() -> bool:
            return bool((await job(second, world))["state"] == "done")

        await until(arrived)
        assert await ticks(second, world) == [(at, 1) for at in range(10, 510, 10)]
        assert set(Counter(m["of"] for m in await second.marks(world, "tick")).values()) == {1}
        assert (await job(second, world))["timers_fired"] == 50


async def test_a_long_advance_keeps_no_other_world_waiting(fresh_url: str, open_bench: OpenBench) -> None:
    async with open_bench(fresh_url, work=True) as bench:
        owner = await bench.person()
        slow, quick = await bench.world(owner), await bench.world(owner)
        await bench.do(Plan(at=(10,)), owner, slow)
        with pausing("tick") as pause:
            await bench.do(AdvanceWorld(to_ms=100), owner, slow)
            await pause.entered.wait()
            await bench.do(AdvanceWorld(to_ms=100), owner, quick)

            async def arrived() -> bool:
                return bool((await job(bench, quick))["state"] == "done")

            await until(arrived)
            assert (await job(bench, slow))["state"] == "running"


async def test_timers_fire_live_in_order_and_only_while_the_clock_runs(
    fresh_url: str, open_bench: OpenBench
) -> None:
    async with open_bench(fresh_url, work=True) as bench, open_bench(fresh_url, work=True):
        owner = await bench.person()
        still = await bench.world(owner)
        await bench.do(Plan(at=(0,)), owner, still)
        world = await bench.world(owner, rate=100_000)
        await bench.do(Plan(at=tuple(HOUR + n * HOUR for n in (3, 1, 2, 2, 2))), owner, world)
        await bench.do(SetClock(paused=False), owner, world)

        async def all_fired() -> bool:
            return await waiting(bench, world) == 0

        await until(all_fired)
        fired = await ticks(bench, world)
        assert [many for _, many in fired] == [1, 3, 1]
        dues = [HOUR + n * HOUR for n in (1, 2, 3)]
        assert all(at >= due for (at, _), due in zip(fired, dues, strict=True))
        assert await waiting(bench, still) == 1
        assert set(Counter(m["of"] for m in await bench.marks(world, "tick")).values()) == {1}
        await bench.do(SetClock(paused=False), owner, still)

        async def still_fired() -> bool:
            return await waiting(bench, still) == 0

        await until(still_fired)


async def test_live_a_bad_timer_is_tried_thrice_then_alone(bench: Bench) -> None:
    owner = await bench.person()
    world = await bench.world(owner, rate=100_000)
    await bench.do([Plan(at=(10**6, 10**6)), Plan(at=(10**6,), tell="ill")], owner, world)
    await bench.do(SetClock(paused=False), owner, world)
    worker = TimerWorker(bench.engine)
    with broken("ill"):

        async def settled() -> bool:
            await worker.fire_due(world)
            return await waiting(bench, world) == 0

        CALLS.clear()
        await until(settled)
    assert CALLS["tick"] == 6  # three times together, then each alone
    assert len(await bench.marks(world, "tick")) == 2
    [letter] = await bench.letters(world)
    assert letter["attempts"] == 4


async def test_cancelled_timers_do_not_fire(bench: Bench) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    await bench.do([Plan(at=(5, 6), tell="a"), Plan(at=(5,), tell="b")], owner, world)

    async def work(tx: Transaction) -> int:
        return await tx.cancel_timers("counter.tick", tell="a")

    request = Request(FireTimers(kind="x", due_at=0), system_actor("test"), random_uuid(), random_uuid())
    cancelled, _ = await bench.engine.transact(Scope(world), request, work)
    assert cancelled == 2
    await advance(bench, world, owner, to_ms=10)
    assert await ticks(bench, world) == [(5, 1)]
