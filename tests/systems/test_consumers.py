"""Consumers: durable cursors, exactly once or at least once, backoff, dead letters."""

import asyncio
from collections import Counter
from uuid import UUID

import orjson
import pytest

from fablewright.core.actors import Actor
from fablewright.core.consumers import ConsumerWorker
from fablewright.core.refusal import Refused
from fablewright.systems.worlds.commands import DeleteWorld, ReplayDeadLetter
from tests.counter import BROKEN, CALLS, DELIVERED, Add, Touch, broken, pausing
from tests.support import until
from tests.systems.conftest import Bench, OpenBench


async def cursor(bench: Bench, world: UUID, name: str) -> tuple[int, int]:
    rows = await bench.fetch(
        "SELECT position, attempts FROM cursors WHERE world_id = $1 AND consumer = $2",
        world,
        f"counter.{name}",
    )
    return (rows[0]["position"], rows[0]["attempts"]) if rows else (0, 0)


async def waited(bench: Bench, world: UUID) -> None:
    """Let the backoff be over."""
    await bench.superuser("UPDATE cursors SET retry_at = NULL WHERE world_id = $1 RETURNING 1", world)


async def scene(bench: Bench, tells: list[str]) -> tuple[Actor, UUID]:
    owner = await bench.person()
    world = await bench.world(owner)
    await bench.do([Add(tell=tell) for tell in tells], owner, world)
    return owner, world


async def test_a_transactional_consumer_does_each_event_once_and_in_order(bench: Bench) -> None:
    owner, world = await scene(bench, [""] * 5)
    worker = ConsumerWorker(bench.engine)
    assert await worker.feed(world, "counter.tally")
    assert not await worker.feed(world, "counter.tally")
    added = [e["id"] for e in await bench.log(world, "counter.added")]
    assert [m["of"] for m in await bench.marks(world, "tally")] == added
    await bench.do(Add(), owner, world)
    assert await worker.feed(world, "counter.tally")
    assert len(await bench.marks(world, "tally")) == 6
    assert await cursor(bench, world, "tally") == (await bench.head(world), 0)


async def test_effects_and_cursor_are_undone_together(bench: Bench) -> None:
    _, world = await scene(bench, ["", "", "ill", ""])
    worker = ConsumerWorker(bench.engine)
    with broken("ill"):
        assert not await worker.feed(world, "counter.tally")
    assert await bench.marks(world, "tally") == []
    assert await cursor(bench, world, "tally") == (0, 1)
    assert not await worker.feed(world, "counter.tally")  # it waits a little first
    await waited(bench, world)
    while await worker.feed(world, "counter.tally"):
        pass
    added = [e["id"] for e in await bench.log(world, "counter.added")]
    assert [m["of"] for m in await bench.marks(world, "tally")] == added


async def test_what_fails_for_good_becomes_a_dead_letter_and_the_rest_goes_on(bench: Bench) -> None:
    owner, world = await scene(bench, [""] * 30 + ["ill"] + [""] * 5)
    worker = ConsumerWorker(bench.engine)
    failures = 0
    with broken("ill"):
        for _ in range(100):
            before = await cursor(bench, world, "tally")
            if not await worker.feed(world, "counter.tally"):
                failures += before[1] < (await cursor(bench, world, "tally"))[1]
                await waited(bench, world)
            if (await cursor(bench, world, "tally"))[0] == await bench.head(world):
                break
        assert failures == 5  # the batch, then four tries of the event itself; not one for each before it
    [letter] = await bench.letters(world)
    bad = (await bench.log(world, "counter.added"))[30]
    assert (letter["source"], letter["handler"], letter["attempts"]) == ("consumer", "counter.tally", 5)
    assert orjson.loads(letter["payload"]) == {"events": [str(bad["id"])]}
    assert len(await bench.marks(world, "tally")) == 35
    BROKEN.add("ill")
    with pytest.raises(Refused) as refused:
        await bench.do(ReplayDeadLetter(dead_letter_id=letter["id"]), owner, world)
    assert refused.value.code == "replay_failed"
    BROKEN.clear()
    await bench.do(ReplayDeadLetter(dead_letter_id=letter["id"]), owner, world)
    assert Counter(m["of"] for m in await bench.marks(world, "tally"))[bad["id"]] == 1


async def test_two_workers_on_one_log_work_one_at_a_time(bench: Bench, open_bench: OpenBench) -> None:
    _, world = await scene(bench, [""] * 50)
    async with open_bench(bench.url) as other:
        workers = [ConsumerWorker(bench.engine), ConsumerWorker(other.engine)]

        async def feed(worker: ConsumerWorker, name: str) -> None:
            while (await cursor(bench, world, name))[0] < await bench.head(world):
                await worker.feed(world, f"counter.{name}")

        for name in ("tally", "post"):
            await asyncio.gather(*(feed(worker, name) for worker in workers))
    added = [e["id"] for e in await bench.log(world, "counter.added")]
    assert [m["of"] for m in await bench.marks(world, "tally")] == added
    assert [r.id for r in DELIVERED["counter.post"]] == added


@pytest.mark.parametrize("name", ["post", "tally"])
async def test_a_worker_holds_off_others_until_it_is_done(
    bench: Bench, open_bench: OpenBench, name: str
) -> None:
    _, world = await scene(bench, ["", ""])
    async with open_bench(bench.url) as other:
        with pausing(name) as pause:
            first = asyncio.create_task(ConsumerWorker(bench.engine).feed(world, f"counter.{name}"))
            await pause.entered.wait()
            assert not await ConsumerWorker(other.engine).feed(world, f"counter.{name}")
            assert pause.arrived == 1
            pause.go.set()
            assert await first
    assert len(DELIVERED["counter.post"] if name == "post" else await bench.marks(world, "tally")) == 2


async def test_a_delivery_is_repeated_until_its_cursor_moves(bench: Bench) -> None:
    _, world = await scene(bench, ["", "ill", ""])
    worker = ConsumerWorker(bench.engine)
    with broken("ill"):
        assert not await worker.feed(world, "counter.post")
        await waited(bench, world)
        assert await worker.feed(world, "counter.post")
        assert await cursor(bench, world, "post") == ((await bench.log(world, "counter.added"))[0]["seq"], 0)
    while await worker.feed(world, "counter.post"):
        pass
    added = [e["id"] for e in await bench.log(world, "counter.added")]
    assert Counter(r.id for r in DELIVERED["counter.post"]) == {added[0]: 2, added[1]: 1, added[2]: 1}


async def test_a_dead_delivery_cannot_be_replayed_inside_a_transaction(
    bench: Bench, open_bench: OpenBench
) -> None:
    async with open_bench(bench.url, consumer_attempts=1) as hasty:
        owner, world = await scene(hasty, ["ill"])
        with broken("ill"):
            assert await ConsumerWorker(hasty.engine).feed(world, "counter.post")
        [letter] = await hasty.letters(world)
        with pytest.raises(Refused) as refused:
            await hasty.do(ReplayDeadLetter(dead_letter_id=letter["id"]), owner, world)
        assert refused.value.code == "delivery_cannot_be_replayed"


@pytest.mark.parametrize("name", ["post", "post_sync", "post_by_object"])
async def test_async_plain_and_callable_consumers_all_get_their_events(bench: Bench, name: str) -> None:
    _, world = await scene(bench, ["", ""])
    assert await ConsumerWorker(bench.engine).feed(world, f"counter.{name}")
    assert len(DELIVERED[f"counter.{name}"]) == 2


async def test_a_plain_transactional_consumer_emits(bench: Bench) -> None:
    _, world = await scene(bench, ["count", "", "count"])
    assert await ConsumerWorker(bench.engine).feed(world, "counter.count")
    noted = await bench.log(world, "counter.noted")
    assert [e["actor"] for e in noted] == ["system:consumer:counter.count"] * 2
    assert orjson.loads(noted[0]["command"])["type"] == "core.consume"
    assert noted[0]["correlation_id"] == (await bench.log(world, "counter.added"))[0]["correlation_id"]


async def test_a_filter_moves_the_cursor_past_what_it_leaves_out(bench: Bench) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    await bench.do(Touch(), owner, world)
    assert await ConsumerWorker(bench.engine).feed(world, "counter.tally")
    assert await cursor(bench, world, "tally") == (await bench.head(world), 0)
    assert CALLS["tally"] == 0


async def test_events_of_an_unknown_type_are_passed_over(bench: Bench) -> None:
    _, world = await scene(bench, ["", "", ""])
    await bench.superuser(
        "UPDATE events SET type = 'counter.renamed' WHERE world_id = $1 AND seq = "
        "(SELECT min(seq) + 1 FROM events WHERE world_id = $1 AND type = 'counter.added') RETURNING 1",
        world,
    )
    assert await ConsumerWorker(bench.engine).feed(world, "counter.count")
    assert await cursor(bench, world, "count") == (await bench.head(world), 0)


async def test_a_deleted_world_stops_no_worker(bench: Bench) -> None:
    owner, world = await scene(bench, ["", ""])
    with pausing("post") as pause:
        feeding = asyncio.create_task(ConsumerWorker(bench.engine).feed(world, "counter.post"))
        await pause.entered.wait()
        await bench.do(DeleteWorld(), owner, world)
        pause.go.set()
        await feeding
    assert not await ConsumerWorker(bench.engine).feed(world, "counter.tally")


async def test_the_worker_feeds_all_by_itself(fresh_url: str, open_bench: OpenBench) -> None:
    async with open_bench(fresh_url, work=True, consumer_attempts=2) as bench:
        with broken("ill"):
            _, world = await scene(bench, ["", "ill", ""])
            _, other = await scene(bench, ["", ""])

            async def done() -> bool:
                rows = await bench.fetch(
                    "SELECT 1 FROM world_heads h WHERE 5 = (SELECT count(*) FROM cursors c "
                    "WHERE c.world_id = h.world_id AND c.position = h.seq)"
                )
                return len(rows) == 2

            await until(done, 30)
        assert len(await bench.marks(world, "tally")) == 2
        assert len(await bench.marks(other, "tally")) == 2
        assert sorted(letter["handler"] for letter in await bench.letters(world)) == [
            "counter.post",
            "counter.tally",
        ]
        assert len(DELIVERED["counter.post_sync"]) == 5
