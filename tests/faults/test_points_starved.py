"""PostgreSQL has no disk left, or no memory: awards are refused by name for now, and none is lost or doubled."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.faults.load import Reader
from tests.faults.points import PointsLoad, earners, verify_points
from tests.faults.processes import ServerProcess, children_of
from tests.faults.test_database_away import BULK, ready_again, refused_by_name
from tests.faults.test_embedded import mounted
from tests.support import http_client

pytestmark = [pytest.mark.fault, pytest.mark.uncounted]


async def test_points_on_a_full_disk(tmp_path: Path) -> None:
    with mounted(tmp_path / "small", "size=250m") as folder, ServerProcess(folder) as server:
        await server.start()
        load = await earners(server)
        reader = Reader([server], load.owner)
        async with reader.running():
            async with load.running():
                await load.reach(100)
                filler = folder / "filler"
                with pytest.raises(OSError, match="No space left"), filler.open("wb", buffering=0) as file:
                    while True:
                        file.write(bytes(65_536))
                await refused_by_name(server, load, many=20)
                filler.unlink()
                await load.reach(100)
            print(f"{len(load.acknowledged)} done; {dict(load.troubles)}; {len(load.unheard)} unheard")
            await verify_points(server.database_url(), server.settings(), load, reader)
        await ready_again(server)
        assert "worker_died" not in server.said


async def test_points_while_postgresql_is_short_of_memory(tmp_path: Path) -> None:
    """Its sessions cannot grow any more: what needs more memory is refused for now, the rest goes on."""
    with ServerProcess(tmp_path) as server:
        await server.start()
        load = await earners(server)
        reader = Reader([server], load.owner)
        async with reader.running():
            async with load.running():
                await load.reach(100)
                with starved(server):
                    await short_of_memory(server, load)
                await load.reach(100)
            print(f"{len(load.acknowledged)} done; {dict(load.troubles)}; {len(load.unheard)} unheard")
            await verify_points(server.database_url(), server.settings(), load, reader)
        await ready_again(server)
        assert "worker_died" not in server.said
        assert "out of memory" in (server.data / "postgres.log").read_text()


@contextmanager
def starved(server: ServerProcess) -> Iterator[None]:
    """Let the sessions of its PostgreSQL get no more memory, and less than they have once they give some back."""
    postgres = server.postgres()
    assert postgres is not None
    sessions = [
        psutil.Process(pid) for pid, said in children_of(postgres) if "fablewright" in said.split(":")[1]
    ]
    assert sessions
    for session in sessions:
        limit_memory(session, str(session.memory_info().vms * 9 // 10))
    try:
        yield
    finally:
        for session in sessions:
            if session.is_running():
                limit_memory(session, "unlimited")


def limit_memory(process: psutil.Process, size: str) -> None:
    """Set how much address space a process may have; as its own user, which may."""
    program = shutil.which("prlimit")
    if program is None:
        pytest.skip("intended: this system has no prlimit")
    ids = {"user": process.uids().real, "group": process.gids().real} if os.geteuid() == 0 else {}
    subprocess.run([program, f"--pid={process.pid}", f"--as={size}:unlimited"], check=True, **ids)


async def short_of_memory(server: ServerProcess, load: PointsLoad, many: int = 5) -> None:
    """Give large commands until so many are refused; none may be refused otherwise than for now."""
    refused = 0
    async with http_client(base_url=server.address, timeout=30, headers=load.owner.headers) as client:
        async with asyncio.timeout(60):
            while refused < many:
                assert not load.bugs, load.bugs[0]
                answer = await client.post(f"{load.owner.path}/commands", json=[BULK] * 30)
                if answer.status_code != 200:
                    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
                    refused += 1
