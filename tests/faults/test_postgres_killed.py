"""PostgreSQL dies under load: the server starts it again, and nothing acknowledged is lost or doubled."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.faults.load import Load, Reader, replayed, settle_in, verify
from tests.faults.processes import ServerProcess, children_of
from tests.support import until

pytestmark = [pytest.mark.fault, pytest.mark.uncounted]


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_killed_postgresql_is_started_again_and_nothing_is_lost(tmp_path: Path, workers: int) -> None:
    with ServerProcess(tmp_path, workers=workers) as server:
        await server.start()
        owner = await settle_in(server.address)
        load, reader = Load([server], owner), Reader([server], owner)
        async with reader.running():
            async with load.running():
                await load.reach(100)
                first = server.postgres()
                assert first is not None
                killed_at = time.monotonic()
                os.kill(first, signal.SIGKILL)

                async def again() -> bool:
                    return server.postgres() not in (None, first)

                await until(again)
                await load.reach(1)
                recovered = time.monotonic() - killed_at
                await load.reach(100)
            assert load.troubles, "the load never noticed"
            await verify(server.database_url(), server.settings(), load, reader)
            await replayed(server, load)
        print(
            f"commands again after {recovered:.2f} s; {dict(load.troubles)}; {len(load.acknowledged)} commands"
        )
        assert recovered < 15
        server.terminate()
        assert await server.ended() == 0
        assert server.postgres() is None
        assert "was started again" in server.said


async def test_a_killed_backend_costs_a_retry_and_nothing_else(tmp_path: Path) -> None:
    """PostgreSQL ends all sessions when one of its processes is killed; the postmaster recovers by itself."""
    with ServerProcess(tmp_path) as server:
        await server.start()
        owner = await settle_in(server.address)
        load, reader = Load([server], owner), Reader([server], owner)
        async with reader.running():
            async with load.running():
                await load.reach(50)
                postmaster = server.postgres()
                assert postmaster is not None
                backends = [
                    pid for pid, said in children_of(postmaster) if "fablewright" in said.split(":")[1]
                ]
                os.kill(backends[-1], signal.SIGKILL)
                await load.reach(100)
            assert server.postgres() == postmaster
            await verify(server.database_url(), server.settings(), load, reader)
