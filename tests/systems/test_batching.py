"""Batching: what waits while a commit is under way goes together, and nobody pays for a neighbour."""

import asyncio
from uuid import UUID

import orjson
import pytest

from fablewright.core.actors import Actor
from fablewright.core.batching import Batcher
from fablewright.core.refusal import Refused
from tests.counter import CALLS, Add, Touch, pausing
from tests.systems.conftest import Bench, OpenBench


async def together(bench: Bench, world: UUID, asks: list[tuple[Actor, Add, str | None]]) -> list[object]:
    """Give these while another commit of their kind is under way; returns answers and errors in order."""
    system_owner = (await bench.fetch("SELECT owner_id FROM worlds WHERE id = $1", world))[0]["owner_id"]
    first = Actor(f"user:{system_owner}", system_owner)
    with pausing("add") as pause:
        ahead = asyncio.create_task(bench.do(Add(name="ahead", tell="pause"), first, world))
        await pause.entered.wait()
        tasks = [asyncio.create_task(bench.engine.execute(c, a, world, key=k)) for a, c, k in asks]
        await asyncio.sleep(0)  # each has submitted
        CALLS.clear()
        pause.go.set()
        await ahead
        return await asyncio.gather(*tasks, return_exceptions=True)


async def commits(bench: Bench, world: UUID) -> list[int]:
    """How many `counter.added` events each commit holds, in order."""
    rows = await bench.fetch(
        "SELECT count(*) AS n FROM events WHERE world_id = $1 AND type = 'counter.added' "
        "GROUP BY xmin ORDER BY min(seq)",
        world,
    )
    return [row["n"] for row in rows]


def code(outcome: object) -> str:
    assert isinstance(outcome, Refused), outcome
    return outcome.code


async def test_what_waits_commits_together_each_with_its_own_answer(bench: Bench) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    people = [await bench.member(world, owner, "player") for _ in range(3)]
    outcomes = await together(bench, world, [(people[i % 3], Add(n=i), None) for i in range(30)])
    assert [o.result["value"] for o in outcomes] == [sum(range(i + 1)) for i in range(30)]  # type: ignore[attr-defined]
    assert CALLS["add"] == 1
    assert await commits(bench, world) == [1, 30]
    events = {e["seq"]: e for e in await bench.log(world, "counter.added")}
    for i, outcome in enumerate(outcomes):
        event = events[outcome.seq]  # type: ignore[attr-defined]
        assert event["actor"] == people[i % 3].name
        assert orjson.loads(event["data"])["n"] == i
        assert orjson.loads(event["command"])["payload"]["n"] == i
    echoes = await bench.log(world, "counter.echoed")
    assert len(echoes) == 31
    causes = {e["id"]: e for e in events.values()}
    for echo in echoes:  # what reactions emit is put down to the one it reacts to
        assert echo["command"] is None
        assert echo["actor"] == causes[echo["causation_id"]]["actor"]
        assert echo["correlation_id"] == causes[echo["causation_id"]]["correlation_id"]


async def test_a_refusal_fails_no_neighbour_and_leaves_no_trace(bench: Bench) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    observer = await bench.member(world, owner, "observer")
    stranger = await bench.person()
    asks: list[tuple[Actor, Add, str | None]] = [
        (observer, Add(n=100), "a"), (owner, Add(n=1), "b"), (owner, Add(n=-50), "c"), (stranger, Add(n=100), None),
        (owner, Add(n=2), None),
    ]  # fmt: skip
    outcomes = await together(bench, world, asks)
    assert [code(outcomes[i]) for i in (0, 2, 3)] == ["role_too_low", "below_zero", "world_not_found"]
    assert await bench.value(world) == 3
    assert await commits(bench, world) == [1, 2]
    given = [
        orjson.loads(e["command"])["payload"]["n"]
        for e in await bench.log(world, "counter.%")
        if e["command"]
    ]
    assert given == [1, 1, 2]
    assert {e["actor"] for e in await bench.log(world, "counter.%")} == {owner.name}
    receipts = await bench.fetch("SELECT key FROM receipts WHERE world_id = $1", world)
    assert [row["key"] for row in receipts] == ["b"]


@pytest.mark.parametrize(("tell", "error"), [
    ("raise", RuntimeError), ("guard_raises", RuntimeError), ("guard_refuses", Refused), ("unserializable", Exception),
])  # fmt: skip
async def test_one_that_makes_the_batch_fail_fails_alone(
    bench: Bench, tell: str, error: type[Exception]
) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    asks: list[tuple[Actor, Add, str | None]] = [
        (owner, Add(tell=tell if i == 3 else ""), f"k{i}") for i in range(6)
    ]
    outcomes = await together(bench, world, asks)
    assert isinstance(outcomes.pop(3), error)
    assert [o.result["value"] for o in outcomes] == [1, 2, 3, 4, 5]  # type: ignore[attr-defined]
    assert await bench.value(world) == 5
    receipts = await bench.fetch("SELECT key FROM receipts WHERE world_id = $1 ORDER BY key", world)
    assert [row["key"] for row in receipts] == ["k0", "k1", "k2", "k4", "k5"]
    assert len(await bench.log(world, "counter.added")) == 6


async def test_a_key_twice_in_a_batch_runs_once(bench: Bench) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    asks: list[tuple[Actor, Add, str | None]] = [
        (owner, Add(n=1), "k"), (owner, Add(n=1), "k"), (owner, Add(n=2), "k"), (owner, Add(n=5), "other"),
    ]  # fmt: skip
    one, same, reused, other = await together(bench, world, asks)
    assert one.body == same.body  # type: ignore[attr-defined]
    assert (one.replayed, same.replayed) == (False, True)  # type: ignore[attr-defined]
    assert code(reused) == "idempotency_key_reused"
    assert other.result == {"value": 6}  # type: ignore[attr-defined]
    assert await bench.value(world) == 6


async def test_a_silent_one_has_no_seq_and_its_replay_says_the_same(bench: Bench) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    first = await bench.engine.execute(Add(tell="silent"), owner, world, key="k")
    again = await bench.engine.execute(Add(tell="silent"), owner, world, key="k")
    assert orjson.loads(first.body) == orjson.loads(again.body) == {"result": {"value": 1}, "seq": None}


async def test_cancelled_while_waiting_is_done_all_the_same(bench: Bench) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    with pausing("add") as pause:
        ahead = asyncio.create_task(bench.do(Add(tell="pause"), owner, world))
        await pause.entered.wait()
        tasks = [asyncio.create_task(bench.do(Add(), owner, world)) for _ in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        pause.go.set()
        outcomes = await asyncio.gather(ahead, *tasks, return_exceptions=True)
    assert [type(o) for o in outcomes] == [dict, dict, asyncio.CancelledError, dict]
    assert await bench.value(world) == 4


async def test_a_full_queue_refuses(bench: Bench, open_bench: OpenBench) -> None:
    async with open_bench(bench.url, max_queue=3, max_batch=2) as small:
        owner = await small.person()
        world = await small.world(owner)
        elsewhere = await small.world(owner)
        outcomes = await together(small, world, [(owner, Add(), None) for _ in range(5)])
        assert [code(o) for o in outcomes[3:]] == ["queue_full", "queue_full"]
        assert await small.value(world) == 3
        assert await commits(small, world) == [1, 2, 1]  # max_batch
        assert not small.engine._batcher._queues
        await small.do(Add(), owner, elsewhere)


async def test_a_hot_and_a_plain_command_on_one_row_both_count(bench: Bench) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    await asyncio.gather(*(bench.do(c, owner, world) for _ in range(20) for c in (Add(), Touch())))
    assert await bench.value(world) == 40
    assert [e["seq"] for e in await bench.log(world)] == list(range(1, 82))


async def test_the_batcher_outlives_a_run_that_raises() -> None:
    runs: list[list[int]] = []

    async def run(place: tuple[UUID, str], asks: list[int]) -> list[int | BaseException]:
        runs.append(asks)
        await asyncio.sleep(0)
        if 13 in asks:
            raise RuntimeError("unlucky")
        return [a * 2 for a in asks]

    batcher: Batcher[int, int] = Batcher(run, 4, 100, 100)
    place = (UUID(int=1), "x.y")
    outcomes = await asyncio.gather(
        *(batcher.submit(place, n) for n in (1, 2, 13, 3, 4, 5)), return_exceptions=True
    )
    assert [o for o in outcomes if not isinstance(o, RuntimeError)] == [8, 10]
    assert await batcher.submit(place, 7) == 14
    assert runs == [[1, 2, 13, 3], [4, 5], [7]]
    await batcher.idle()
    assert not batcher.busy


async def test_a_second_batch_begins_beside_one_in_flight_if_enough_wait() -> None:
    runs: list[list[int]] = []
    gates = [asyncio.Event() for _ in range(8)]

    async def run(place: tuple[UUID, str], asks: list[int]) -> list[int | BaseException]:
        runs.append(asks)
        await gates[len(runs) - 1].wait()
        return list(asks)

    batcher: Batcher[int, int] = Batcher(run, 100, 100, 3)
    place = (UUID(int=1), "x.y")
    asked: list[asyncio.Task[int]] = []

    async def ask(*numbers: int) -> None:
        asked.extend(asyncio.create_task(batcher.submit(place, n)) for n in numbers)
        for _ in range(5):
            await asyncio.sleep(0)

    await ask(1, 2, 3, 4)
    await ask(5, 6)
    assert runs == [[1, 2, 3, 4]]  # too few wait
    await ask(7)
    assert runs == [[1, 2, 3, 4]]  # fewer than are in flight
    await ask(8)
    assert runs == [[1, 2, 3, 4], [5, 6, 7, 8]]
    await ask(*range(9, 20))
    assert len(runs) == 2  # never a third
    gates[1].set()
    await ask()
    assert runs[2] == list(range(9, 20))
    await ask(20)
    gates[0].set()
    await ask()
    assert len(runs) == 3  # one that waits goes with the next
    for gate in gates:
        gate.set()
    assert await asyncio.gather(*asked) == list(range(1, 21))
    assert runs[3:] == [[20]]
    await batcher.idle()
    assert not batcher.busy and not batcher._queues
