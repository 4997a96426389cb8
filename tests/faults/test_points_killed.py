"""PostgreSQL or the server dies under 64 writers of points: what was acknowledged is there once, to the point."""

import os
import signal
from pathlib import Path

import pytest

from tests.faults.load import Reader, replayed
from tests.faults.points import earners, same_reference_again, verify_points
from tests.faults.processes import ServerProcess
from tests.support import until

pytestmark = [pytest.mark.fault, pytest.mark.uncounted]


async def test_points_survive_a_killed_postgresql(tmp_path: Path) -> None:
    """Twice in a row: the second time while the writers catch up with what they could not say."""
    with ServerProcess(tmp_path) as server:
        await server.start()
        load = await earners(server)
        reader = Reader([server], load.owner)
        async with reader.running():
            async with load.running():
                for _ in range(2):
                    await load.reach(150)
                    postgres = server.postgres()
                    assert postgres is not None
                    os.kill(postgres, signal.SIGKILL)

                    async def again(gone: int = postgres) -> bool:
                        return server.postgres() not in (None, gone)

                    await until(again)
                await load.reach(150)
            assert load.troubles, "the writers never noticed"
            print(f"{len(load.acknowledged)} done; {dict(load.troubles)}; {len(load.unheard)} unheard")
            await verify_points(server.database_url(), server.settings(), load, reader)
            await replayed(server, load)
            await same_reference_again(server, load)
            await verify_points(server.database_url(), server.settings(), load)


async def test_points_survive_a_killed_server(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        await server.start()
        load = await earners(server)
        reader = Reader([server], load.owner)
        async with reader.running():
            async with load.running():
                await load.reach(150)
                server.kill()
                await server.start()
                await load.reach(150)
            assert load.troubles, "the writers never noticed"
            print(f"{len(load.acknowledged)} done; {dict(load.troubles)}; {len(load.unheard)} unheard")
            await verify_points(server.database_url(), server.settings(), load, reader)
            await replayed(server, load)
