"""The network between server and PostgreSQL fails under 64 writers of points, in the worst moments and for a while."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.load import Reader, replayed
from tests.faults.points import PointsLoad, earners, verify_points
from tests.faults.processes import ServerProcess, own_cluster
from tests.faults.proxy import Loss, Proxy, proxied
from tests.support import until

pytestmark = [pytest.mark.fault, pytest.mark.uncounted]
CUTS = 20


@dataclass
class Stage:
    """A server that reaches its database through a proxy; `url` goes around it."""

    server: ServerProcess
    proxy: Proxy
    url: str

    async def verify(self, load: PointsLoad, reader: Reader) -> None:
        """All that `verify_points` does; and the writers must have noticed that something was wrong."""
        assert load.troubles, "the writers never noticed"
        print(f"{len(load.acknowledged)} done; {dict(load.troubles)}; {len(load.unheard)} unheard")
        await verify_points(self.url, self.server.settings(), load, reader)
        await replayed(self.server, load)


@pytest.fixture(scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    folder: Path = tmp_path_factory.mktemp("cut")
    with own_cluster(folder) as url:
        async with proxied(url) as proxy:
            with ServerProcess(folder, database_url=proxy.url) as server:
                yield Stage(await server.start(), proxy, url)
                server.terminate()
                assert await server.ended() == 0
                assert "worker_died" not in server.said


async def test_connections_cut_in_the_middle_of_transactions(stage: Stage) -> None:
    load = await earners(stage.server)
    reader = Reader([stage.server], load.owner)
    cut = 0
    async with reader.running():
        async with load.running():
            await load.reach(100)
            while cut < CUTS:
                cut += stage.proxy.cut()
                await asyncio.sleep(0)
            await load.reach(100)
        await stage.verify(load, reader)


@pytest.mark.parametrize("loss", [Loss.ASKING, Loss.ANSWER])
async def test_commits_that_are_lost_on_their_way_there_or_back(stage: Stage, loss: Loss) -> None:
    """Nobody can tell one from the other; the same key, sent again, settles it."""
    load = await earners(stage.server)
    reader = Reader([stage.server], load.owner)
    async with reader.running():
        async with load.running():
            await load.reach(100)
            stage.proxy.losing, before = loss, stage.proxy.lost

            async def enough() -> bool:
                return stage.proxy.lost >= before + CUTS

            await until(enough, 60)
            stage.proxy.losing = Loss.NOTHING
            await load.reach(100)
        assert bool(load.unheard) == (loss is Loss.ANSWER), "which of the two was it?"
        await stage.verify(load, reader)


async def test_a_partition_that_heals(stage: Stage) -> None:
    """First what was on its way arrives late; the second time the connections do not outlive it."""
    load = await earners(stage.server)
    reader = Reader([stage.server], load.owner)
    async with reader.running():
        async with load.running():
            for outlived in (True, False):
                await load.reach(100)
                stage.proxy.partition()
                await stalled(load)
                if not outlived:
                    stage.proxy.cut_all()
                stage.proxy.heal()
            await load.reach(100)
        await stage.verify(load, reader)


async def stalled(load: PointsLoad, looks: int = 30) -> None:
    """Wait until nothing has been acknowledged for a while: all writers wait for an answer."""
    same, before = 0, -1

    async def still() -> bool:
        nonlocal same, before
        same = same + 1 if len(load.acknowledged) == before else 0
        before = len(load.acknowledged)
        return same >= looks

    await until(still, 30)
