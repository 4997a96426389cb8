"""The database is away for long, or its disk is full: commands say so by name, and all goes on afterwards."""

import asyncio
from pathlib import Path

import pytest

from fablewright.core.embedded import EmbeddedPostgres
from tests.faults.load import Load, Reader, call, settle_in, verify
from tests.faults.processes import ServerProcess
from tests.faults.test_embedded import mounted
from tests.support import http_client, until

pytestmark = [pytest.mark.fault, pytest.mark.uncounted]

BULK = {"type": "worlds.update_world", "payload": {"settings": {"text": "x" * 15_000}}}


async def test_a_database_away_for_long_is_said_by_name_and_found_again(tmp_path: Path) -> None:
    """A PostgreSQL of one's own is stopped and started again; the server lives through it."""
    postgres = EmbeddedPostgres(tmp_path / "cluster")
    try:
        url = postgres.start().url
        with ServerProcess(tmp_path, database_url=url) as server:
            await server.start()
            owner = await settle_in(server.address)
            load, reader = Load([server], owner), Reader([server], owner)
            async with reader.running():
                async with load.running():
                    await load.reach(30)
                    postgres.stop()
                    await refused_by_name(server, load)
                    assert postgres.start().url == url
                    await load.reach(50)
                await verify(url, server.settings(), load, reader)
            await ready_again(server)
            assert "worker_died" not in server.said
            server.terminate()
            assert await server.ended() == 0
    finally:
        postgres.stop()


async def test_a_full_disk_is_said_by_name_and_is_no_end(tmp_path: Path) -> None:
    """The disk of the embedded PostgreSQL, and of the log, fills up; when there is room again, all goes on."""
    with (
        mounted(tmp_path / "small", "size=250m") as folder,
        ServerProcess(folder, log_level="debug") as server,
    ):
        await server.start()
        owner = await settle_in(server.address)
        load, reader = Load([server], owner), Reader([server], owner)
        async with reader.running():
            async with load.running():
                await load.reach(30)
                filler = folder / "filler"
                with pytest.raises(OSError, match="No space left"), filler.open("wb", buffering=0) as file:
                    while True:
                        file.write(bytes(65_536))
                await refused_by_name(server, load)
                filler.unlink()
                await load.reach(30)
            await verify(server.database_url(), server.settings(), load, reader)
        await ready_again(server)
        assert "worker_died" not in server.said
        server.terminate()
        assert await server.ended() == 0


async def refused_by_name(server: ServerProcess, load: Load, many: int = 60) -> None:
    """Give large commands until so many are refused; none may be refused otherwise than for now.

    On a full disk PostgreSQL ends and comes back, and some commands may still find room.
    """
    refused = 0
    async with http_client(base_url=server.address, timeout=30, headers=load.owner.headers) as client:
        async with asyncio.timeout(60):
            while refused < many or load.troubles["database_unavailable"] < many:
                assert not load.bugs, load.bugs[0]
                answer = await client.post(f"{load.owner.path}/commands", json=[BULK] * 20)
                if answer.status_code != 200:
                    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
                    assert int(answer.headers["retry-after"]) >= 1
                    refused += 1
        assert (await client.get("/health/live")).status_code == 200


async def ready_again(server: ServerProcess) -> None:
    """Wait until the server says that it is ready, its doorbell too."""

    async def ready() -> bool:
        async with http_client(base_url=server.address, timeout=30) as client:
            return (await client.get("/health/ready")).status_code == 200

    await until(ready)
    await call(server.address, "GET", "/health/live")
