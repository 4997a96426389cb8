"""Two server processes on one database: listeners on the other node, doorbells that die, storms of reconnects."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.faults.load import Load, Reader, call, fetch, settle_in, verify
from tests.faults.processes import ServerProcess, own_cluster
from tests.support import http_client

pytestmark = [pytest.mark.fault, pytest.mark.uncounted]

POLL_SECONDS = 0.2
TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = ANY($1)"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[str]:
    with own_cluster(tmp_path) as url:
        yield url


@asynccontextmanager
async def two_nodes(
    folder: Path, database: str, second: str
) -> AsyncIterator[tuple[ServerProcess, ServerProcess]]:
    """Nodes A and B; `second` is the program of B."""
    with (
        ServerProcess(folder, name="a", database_url=database) as a,
        ServerProcess(folder, name="b", program=second, database_url=database) as b,
    ):
        await a.start()
        await b.start()
        yield a, b
        for node in (a, b):
            node.terminate()
            assert await node.ended() == 0


@asynccontextmanager
async def terminating(url: str, *names: str) -> AsyncIterator[list[int]]:
    """End all connections of these names again and again while the block runs; yields the count so far.

    Now after a breath, now after a second: however slow the machine is, some commands live to be committed.
    """
    ended = [0]

    async def terminate() -> None:
        for breath in itertools.cycle((0.02, 0.02, 0.1, 0.02, 0.3, 1.0)):
            ended[0] += len(await fetch(url, TERMINATE, list(names)))
            await asyncio.sleep(breath)

    task = asyncio.create_task(terminate())
    try:
        yield ended
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("program", ["fablewright.cli", "tests.faults.deaf_node"])
async def test_a_dead_doorbell_makes_listeners_late_not_wrong(
    tmp_path: Path, database: str, program: str
) -> None:
    """The doorbell's connections are ended all the time; besides, in one case node B cannot listen at all."""
    began_at = time.monotonic()
    async with two_nodes(tmp_path, database, program) as (a, b):
        owner = await settle_in(a.address)
        load, reader = Load([a], owner, clients=6), Reader([b], owner)
        async with reader.running():
            async with terminating(database, "fablewright doorbell", "fablewright listener") as ended:
                async with load.running():
                    await load.reach(60)
                lates = []
                for number in range(5):
                    began = time.monotonic()
                    command = {"type": "worlds.update_world", "payload": {"name": f"Late {number}"}}
                    answer = await call(a.address, "POST", f"{owner.path}/commands", command, owner.headers)
                    await reader.reach(answer["seq"])
                    lates.append(time.monotonic() - began)
            print(f"late by {max(lates):.2f} s at most; {ended[0]} connections ended")
            assert ended[0] > 3
            assert max(lates) < POLL_SECONDS + 3
            await verify(database, a.settings(), load, reader)
        if program != "fablewright.cli":
            async with http_client(base_url=b.address, timeout=10) as client:
                ready = await client.get("/health/ready")
            assert ready.status_code == 503 and "not listening" in ready.text
            tries = (time.monotonic() - began_at) / POLL_SECONDS
            assert b.said.count("doorbell_deaf") <= tries + 1, "it tries again without taking breath"


async def test_reconnect_storms_over_two_nodes_lose_and_double_nothing(tmp_path: Path, database: str) -> None:
    async with two_nodes(tmp_path, database, "fablewright.cli") as (a, b):
        owner = await settle_in(a.address)
        load = Load([a], owner, clients=8)
        gate = asyncio.Event()
        steady, slow = Reader([b], owner), Reader([b], owner, gate=gate)
        storms = [Reader([a, b] if n % 2 else [b, a], owner, storm=4 + n % 3) for n in range(8)]
        async with AsyncExitStack() as readers:
            for reader in (steady, slow, *storms):
                await readers.enter_async_context(reader.running())
            async with load.running():
                await load.reach(100)
                text = {"type": "worlds.update_world", "payload": {"settings": {"text": "x" * 15_000}}}
                for _ in range(12):
                    await call(a.address, "POST", f"{owner.path}/commands", [text] * 50, owner.headers)
                await load.reach(50)
            gate.set()
            await verify(database, a.settings(), load, steady, slow, *storms)
        assert min(reader.connections for reader in storms) >= 5
        assert steady.connections == 1


async def test_every_connection_ended_again_and_again_loses_nothing(tmp_path: Path, database: str) -> None:
    """Not only doorbells: the pools' connections are ended under load too. No command may become a bug."""
    async with two_nodes(tmp_path, database, "fablewright.cli") as (a, b):
        owner = await settle_in(a.address)
        load, reader = Load([a, b], owner), Reader([b], owner)
        names = ("fablewright", "fablewright doorbell", "fablewright listener")
        async with reader.running():
            async with load.running():
                await load.reach(50)
                async with terminating(database, *names) as ended:
                    await load.reach(60)
                await load.reach(50)
            print(f"{ended[0]} connections ended; {dict(load.troubles)}")
            assert ended[0] > 20
            await verify(database, a.settings(), load, reader)
        for node in (a, b):
            assert "worker_died" not in node.said
            assert "Traceback" not in node.said
