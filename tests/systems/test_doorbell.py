"""The doorbell: dead or alive, listeners are late at most, never wrong."""

import asyncio
from contextlib import suppress
from uuid import UUID

from fablewright.core import log
from tests.counter import Touch
from tests.support import until
from tests.systems.conftest import Bench, OpenBench


class Listener:
    """Follows a world by its doorbell alone, as the live feed does."""

    def __init__(self, bench: Bench, world: UUID):
        self.bench, self.world = bench, world
        self.seen: list[int] = []
        self.rings: list[int] = []
        self.rung = asyncio.Event()
        self.stop = bench.engine.doorbell.add(self._hear)

    def _hear(self, world: UUID, seq: int) -> None:
        if world == self.world:
            self.rings.append(seq)
            self.rung.set()

    async def follow(self, to: int) -> None:
        """Read on at each ring until `to` is reached; fails when it takes too long."""
        async with asyncio.timeout(15):
            while not self.seen or self.seen[-1] < to:
                await self.rung.wait()
                self.rung.clear()
                async with self.bench.runtime.database.reading() as connection:
                    after = self.seen[-1] if self.seen else 0
                    self.seen += [
                        r["seq"]
                        for r in (await log.read(connection, self.world, after, 100, log.Filter())).rows
                    ]


async def listening(bench: Bench) -> None:
    async def ears() -> bool:
        return bench.engine.doorbell.listening

    await until(ears)


async def test_it_rings_in_this_process_and_in_others_without_polling(
    bench: Bench, open_bench: OpenBench
) -> None:
    async with open_bench(bench.url, poll_seconds=60) as one, open_bench(bench.url, poll_seconds=60) as two:
        await listening(two)
        owner = await one.person()
        world = await one.world(owner)
        here, there = Listener(one, world), Listener(two, world)
        await one.do(Touch(), owner, world)
        assert here.rings == [3]  # before the command returned
        await there.follow(3)
        assert there.rings[-1] == 3
        there.stop()
        await one.do(Touch(), owner, world)
        await here.follow(5)
        assert there.rings[-1] == 3


async def test_rings_are_gathered(bench: Bench, open_bench: OpenBench) -> None:
    async with (
        open_bench(bench.url, poll_seconds=60, doorbell_ms=200) as one,
        open_bench(bench.url, poll_seconds=60) as two,
    ):
        await listening(two)
        owner = await one.person()
        worlds = [await one.world(owner) for _ in range(3)]
        listeners = [Listener(two, world) for world in worlds]
        for _ in range(10):
            await asyncio.gather(*(one.do(Touch(), owner, world) for world in worlds))
        await asyncio.gather(*(listener.follow(21) for listener in listeners))
        assert all(len(listener.rings) < 10 for listener in listeners)


async def test_a_deaf_listener_is_late_not_wrong(bench: Bench, open_bench: OpenBench) -> None:
    async with open_bench(bench.url, poll_seconds=0.1) as deaf:
        owner = await bench.person()
        world = await bench.world(owner)
        for task in deaf.engine.doorbell._tasks:
            if task.get_name() == "doorbell-listen":
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        assert not deaf.engine.doorbell.listening
        listener = Listener(deaf, world)
        for _ in range(5):
            await bench.do(Touch(), owner, world)
        await listener.follow(11)
        assert listener.seen == list(range(1, 12))


async def test_a_doorbell_whose_connections_are_cut_comes_back(bench: Bench, open_bench: OpenBench) -> None:
    async with open_bench(bench.url, poll_seconds=0.1) as cut:
        await listening(cut)
        owner = await cut.person()
        world = await cut.world(owner)
        listener = Listener(bench, world)
        here = Listener(cut, world)
        for round_ in range(1, 4):
            await bench.superuser(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE $1 AND "
                "application_name LIKE 'fablewright %' AND datname = current_database()",
                True,
            )
            await cut.do(Touch(), owner, world)
            await bench.do(Touch(), owner, world)
            head = 1 + 4 * round_
            await asyncio.gather(listener.follow(head), here.follow(head))
            assert listener.seen == here.seen == list(range(1, head + 1))
            await listening(cut)


async def test_someone_elses_nonsense_on_the_channel_harms_nobody(
    bench: Bench, open_bench: OpenBench
) -> None:
    async with open_bench(bench.url, poll_seconds=60) as two:
        await listening(two)
        owner = await bench.person()
        world = await bench.world(owner)
        listener = Listener(two, world)
        for payload in ("", "not json", "[]", "{}", '["x", ["no uuid", 1]]', '["x", 7]'):
            await bench.superuser("SELECT pg_notify('fablewright_doorbell', $1)", payload)
        await bench.do(Touch(), owner, world)
        await listener.follow(3)
        assert listener.seen == [1, 2, 3]
