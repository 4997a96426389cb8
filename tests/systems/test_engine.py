"""The engine: all or nothing, retries, cancellation, overload."""

import asyncio
from uuid import uuid4

import asyncpg
import orjson
import pytest
from structlog.testing import capture_logs

from fablewright.core.actors import system_actor
from fablewright.core.messages import Command
from fablewright.core.refusal import UNAVAILABLE, Refused
from fablewright.core.transaction import Transaction
from fablewright.systems.worlds.commands import AdvanceWorld, DeleteWorld, SetClock, UpdateWorld
from tests.counter import CALLS, Add, Batch, Plan, Say, Touch, pausing
from tests.support import until
from tests.systems.conftest import Bench, OpenBench


def code_of(error: pytest.ExceptionInfo[Refused]) -> str:
    return error.value.code


# -- all or nothing ------------------------------------------------------------------------------------------


async def test_state_events_and_receipt_are_committed_together(bench: Bench) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    answer = await bench.engine.execute(Touch(n=3), owner, world, key="k-1")
    assert await bench.value(world) == 3
    touched, echoed = (await bench.log(world))[1:]
    assert (touched["type"], echoed["type"]) == ("counter.touched", "counter.echoed")
    assert orjson.loads(touched["command"])["type"] == "counter.touch"
    assert orjson.loads(touched["command"])["payload"]["n"] == 3
    assert echoed["command"] is None
    assert echoed["causation_id"] == touched["id"]
    assert touched["actor"] == echoed["actor"] == owner.name
    assert touched["correlation_id"] == echoed["correlation_id"]
    receipt = (
        await bench.fetch("SELECT key, seq, answer::text AS a FROM receipts WHERE world_id = $1", world)
    )[0]
    assert (receipt["key"], receipt["seq"]) == ("k-1", answer.seq) == ("k-1", 3)
    assert orjson.loads(answer.body)["result"] == orjson.loads(receipt["a"])


@pytest.mark.parametrize("command", [
    Touch(fail="raise"), Touch(fail="refuse"), Touch(tell="guard_refuses"), Touch(tell="guard_raises"),
    Touch(tell="cascade"), Touch(size=70_000), Touch(events=20_001), Touch(n=-1),
    Add(tell="raise"), Add(n=-1), Add(tell="guard_refuses"), Add(tell="guard_raises"), Add(tell="unserializable"),
], ids=lambda c: f"{c.message_type}:{getattr(c, 'fail', '') or c.tell or 'bounds'}")  # fmt: skip
@pytest.mark.parametrize("key", [None, "a-key"])
async def test_what_fails_leaves_nothing(bench: Bench, command: Command, key: str | None) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    before = await bench.state(world)
    with pytest.raises(Exception):  # noqa: B017  refusals and bugs alike
        await bench.engine.execute(command, owner, world, key=key)
    assert await bench.state(world) == before
    await bench.do(Touch(), owner, world, key=key)
    assert await bench.value(world) == 1


@pytest.mark.parametrize(("command", "code"), [
    (Touch(fail="refuse"), "refused_late"), (Touch(tell="guard_refuses"), "guarded"),
    (Add(tell="guard_refuses"), "guarded"),
    (Touch(tell="cascade"), "cascade_too_deep"), (Touch(size=70_000), "event_too_large"),
    (Touch(events=20_001), "too_many_events"), (Add(n=-1), "below_zero"),
])  # fmt: skip
async def test_refusals_have_their_names(bench: Bench, command: Command, code: str) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    with pytest.raises(Refused) as refused:
        await bench.do(command, owner, world)
    assert code_of(refused) == code


async def test_as_many_events_as_allowed_are_taken(bench: Bench, open_bench: OpenBench) -> None:
    async with open_bench(bench.url, max_events_per_commit=10, max_event_bytes=300) as small:
        owner = await small.person()
        world = await small.world(owner)
        await small.do(Touch(events=5, tell="x"), owner, world)  # and five echoes
        assert await small.head(world) == 11
        with pytest.raises(Refused) as refused:
            await small.do(Touch(events=11), owner, world)
        assert code_of(refused) == "too_many_events"
        await small.do(Touch(size=200), owner, world)
        with pytest.raises(Refused) as refused:
            await small.do(Touch(size=300), owner, world)
        assert code_of(refused) == "event_too_large"


async def test_after_a_lost_connection_the_next_command_runs(bench: Bench) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    for _ in range(3):
        with pausing("here") as pause:
            task = asyncio.create_task(bench.do(Touch(pause="here"), owner, world))
            await pause.entered.wait()
            await bench.superuser(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() "
                "AND state = 'idle in transaction' AND $1",
                True,
            )
            pause.go.set()
            with pytest.raises(Refused) as refused:
                await task
        assert code_of(refused) == "database_unavailable"
    await bench.do(Touch(), owner, world)
    assert await bench.value(world) == 1


async def test_a_value_that_the_database_cannot_take_is_a_bug_not_an_outage(bench: Bench) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    with pytest.raises(asyncpg.DataError):
        await bench.do(Touch(n=2**70), owner, world)


async def test_commands_given_inside_are_refused_one_by_one(bench: Bench) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    results = await bench.do(Batch(adds=(2, -5, 1), touches=("a", "no", "b")), owner, world)
    assert results == ["done", "below_zero", "done", "done", "refused_late", "done"]
    assert [await bench.value(world, name) for name in ("main", "a", "no", "b")] == [3, 1, None, 1]
    given = [
        orjson.loads(e["command"])["type"] for e in await bench.log(world, "counter.%ed") if e["command"]
    ]
    assert given == ["counter.add", "counter.add", "counter.touch", "counter.touch"]


# -- retries -------------------------------------------------------------------------------------------------


async def test_a_deadlock_is_retried_and_both_succeed(bench: Bench) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    await bench.do(Touch(names=("a", "b")), owner, world)
    CALLS.clear()
    with pausing("cross", needed=2, meet=True):
        await asyncio.gather(
            bench.do(Touch(names=("a", "b"), pause="cross"), owner, world),
            bench.do(Touch(names=("b", "a"), pause="cross"), owner, world),
        )
    assert CALLS["touch"] == 3
    assert [await bench.value(world, name) for name in "ab"] == [3, 3]


async def test_retries_exhausted_are_contended_and_keep_the_last_error(
    bench: Bench, open_bench: OpenBench
) -> None:
    async with open_bench(bench.url, retries=0) as hasty:
        owner = await hasty.person()
        world = await hasty.world(owner)
        await hasty.do(Touch(names=("a", "b")), owner, world)
        with pausing("cross", needed=2, meet=True), capture_logs() as logs:
            outcomes = await asyncio.gather(
                hasty.do(Touch(names=("a", "b"), pause="cross"), owner, world),
                hasty.do(Touch(names=("b", "a"), pause="cross"), owner, world),
                return_exceptions=True,
            )
        [error] = [o for o in outcomes if isinstance(o, BaseException)]
        assert isinstance(error, Refused)
        assert error.code == "contended"
        assert isinstance(error.__cause__, asyncpg.DeadlockDetectedError)
        assert any("deadlock detected" in entry.get("error", "") for entry in logs)
        assert [await hasty.value(world, name) for name in "ab"] == [2, 2]


async def test_a_clock_set_meanwhile_makes_the_command_run_again(bench: Bench) -> None:
    owner = await bench.person()
    world = await bench.world(owner, paused=False, rate=1)
    CALLS.clear()
    with pausing("clock") as pause:
        task = asyncio.create_task(bench.do(Touch(pause="clock", n=5), owner, world))
        await pause.entered.wait()
        await bench.do(SetClock(paused=True), owner, world)
        pause.go.set()
        await task
    assert CALLS["touch"] == 2
    assert await bench.value(world) == 5
    frozen = (await bench.fetch("SELECT anchor_world_ms AS now FROM worlds WHERE id = $1", world))[0]["now"]
    assert [e["at"] for e in await bench.log(world, "counter.touched")] == [frozen]


# -- cancellation, overload ----------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [Touch(pause="here"), Add(tell="pause")])
async def test_a_cancelled_caller_leaves_nothing_half(bench: Bench, command: Command) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    with pausing("add" if isinstance(command, Add) else "here") as pause:
        task = asyncio.create_task(bench.do(command, owner, world, key="k"))
        await pause.entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await bench.value(world) is None
        pause.go.set()
    replayed = await bench.engine.execute(command, owner, world, key="k")
    assert replayed.replayed
    assert await bench.value(world) == 1
    assert len(await bench.log(world, "counter.%ed")) == 2


async def test_closing_waits_for_what_is_under_way(bench: Bench, open_bench: OpenBench) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    async with open_bench(bench.url) as other:
        with pausing("here") as slow, pausing("add") as hot:
            tasks = [asyncio.create_task(other.do(Touch(names=("slow",), pause="here"), owner, world)),
                     asyncio.create_task(other.do(Add(tell="pause"), owner, world))]  # fmt: skip
            await asyncio.gather(slow.entered.wait(), hot.entered.wait())
            tasks += [asyncio.create_task(other.do(Add(), owner, world)) for _ in range(5)]
            await asyncio.sleep(0)  # these five now wait for the batch under way
            closing = asyncio.create_task(other.engine.close())
            slow.go.set()
            hot.go.set()
            await closing
            assert not other.engine._running
            assert await bench.value(world) == 6
            await asyncio.gather(*tasks)
        last = asyncio.create_task(other.do(Add(), owner, world))
        await asyncio.sleep(0)  # submitted, but its worker has not begun
    await last
    assert await bench.value(world) == 7


async def test_with_all_connections_taken_commands_are_refused_overloaded(
    bench: Bench, open_bench: OpenBench
) -> None:
    async with open_bench(bench.url, write_connections=3, connection_wait_seconds=0.3) as small:
        owner = await small.person()
        worlds = [await small.world(owner) for _ in range(4)]
        with pausing("here", needed=3) as pause:
            holding = [asyncio.create_task(small.do(Touch(pause="here"), owner, w)) for w in worlds[:3]]
            await pause.entered.wait()
            for world in (worlds[3], worlds[0]):  # no connection; and not even through the gate of its world
                with pytest.raises(Refused) as refused:
                    await small.do(Touch(), owner, world)
                assert code_of(refused) == "overloaded"
                assert refused.value.refusal.kind is UNAVAILABLE
                assert refused.value.facts["retry_after_seconds"] > 0
            pause.go.set()
            await asyncio.gather(*holding)
        await small.do(Touch(), owner, worlds[3])


async def test_a_hot_world_does_not_hold_up_another(bench: Bench, open_bench: OpenBench) -> None:
    async with open_bench(bench.url, write_connections=6) as small:
        owner = await small.person()
        hot, calm = await small.world(owner), await small.world(owner)
        with pausing("here", needed=2) as pause:
            names = [(f"c{n}",) for n in range(12)]
            holding = [asyncio.create_task(small.do(Touch(names=n, pause="here"), owner, hot)) for n in names]
            await pause.entered.wait()
            async with asyncio.timeout(5):
                for _ in range(20):
                    await small.do(Touch(), owner, calm)
            assert pause.arrived == 2  # the gate of the hot world: a third of the connections
            pause.go.set()
            await asyncio.gather(*holding)
        assert not small.engine._gates


async def test_hooks_and_doorbell_come_after_the_commit(bench: Bench) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    seen: list[int | None] = []
    rung: list[int] = []

    def hook(tx: Transaction) -> None:
        seen.append(tx.events[-1].seq)

    bench.engine.after_commit.append(hook)
    stop = bench.engine.doorbell.add(lambda w, seq: rung.append(seq) if w == world else None)
    try:
        with pytest.raises(Refused):
            await bench.do(Touch(fail="refuse"), owner, world)
        assert (seen, rung) == ([], [])
        await bench.do(Touch(), owner, world)
        assert (seen, rung) == ([3], [3])
    finally:
        bench.engine.after_commit.remove(hook)
        stop()


async def test_a_world_deleted_meanwhile_is_not_found(bench: Bench) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    await bench.do(Plan(at=(5,)), owner, world)
    with pausing("here") as pause:
        task = asyncio.create_task(bench.do(Say(to=uuid4()), owner, world))
        slow = asyncio.create_task(bench.do(Touch(pause="here"), owner, world))
        await pause.entered.wait()
        await task
        deleting = asyncio.create_task(
            bench.do([SetClock(paused=False), DeleteWorld()], owner, world, key="k")
        )

        async def blocked() -> bool:
            rows = await bench.superuser("SELECT count(*) AS n FROM pg_locks WHERE $1 AND NOT granted", True)
            return bool(rows[0]["n"])

        await until(blocked)
        pause.go.set()
        await asyncio.gather(slow, deleting)
    with pytest.raises(Refused) as refused:
        await bench.do(Touch(), owner, world)
    assert code_of(refused) == "world_not_found"
    for table in ("events", "receipts", "timers", "world_heads", "counters", "world_members"):
        assert not await bench.fetch(f"SELECT 1 FROM {table} WHERE world_id = $1", world)
    audit = await bench.fetch("SELECT type FROM audit_log WHERE about @> $1", [world])
    assert [row["type"] for row in audit] == ["worlds.world_deleted"]


async def test_an_advancing_world_takes_only_what_says_so(bench: Bench) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    await bench.do(AdvanceWorld(by_ms=10), owner, world)  # no worker runs here, so it stays under way
    for asked in (Touch(), Add(), [Touch()]):
        for actor in (owner, system_actor("x")):
            with pytest.raises(Refused) as refused:
                await bench.engine.execute(asked, actor, world)
            assert code_of(refused) == "world_is_advancing"
    await bench.do(UpdateWorld(name="still here"), owner, world)
