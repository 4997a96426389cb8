"""Commit to WebSocket with a thousand sockets, and what the server needs at rest and with them."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from benchmarks.stage import Row, Stage

SOCKETS = 1_000


def resident_mb(pid: int) -> float:
    """Resident memory of a process in MB (10**6 bytes)."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def cpu_seconds(pid: int) -> float:
    """CPU time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def listeners(stage: Stage, world_id: Any, sockets: int) -> Iterator[subprocess.Popen[str]]:
    config = {"address": stage.address, "world": str(world_id), "token": stage.token, "sockets": sockets}
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.listeners", json.dumps(config)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "ready"
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def write(stage: Stage, world_id: Any, per_second: float, seconds: float) -> int:
    """Commit one event at a time, evenly, at this rate; returns how many."""
    body = {"type": "bench_counter.add", "payload": {"name": "beat", "amount": 1}}
    path = f"{stage.address}/api/v1/worlds/{world_id}/commands"
    sent = 0
    pending: set[asyncio.Task[Any]] = set()
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {stage.token}"}, timeout=30) as client:
        start = time.perf_counter()
        while (now := time.perf_counter()) < start + seconds:
            due = start + sent / per_second
            if due > now:
                await asyncio.sleep(due - now)
            task = asyncio.create_task(client.post(path, json=body))
            pending.add(task)
            task.add_done_callback(pending.discard)
            sent += 1
        await asyncio.gather(*pending)
    return sent


async def flow(stage: Stage, per_second: float, seconds: float) -> tuple[dict[str, Any], int, float, float]:
    """What the sockets saw, how many events there were, server CPU share, and its memory."""
    world_id = stage.world(f"live {per_second}", rate=1)
    with listeners(stage, world_id, SOCKETS) as process:
        await write(stage, world_id, per_second, 2)
        cpu = cpu_seconds(stage.pid)
        start = time.perf_counter()
        sent = await write(stage, world_id, per_second, seconds)
        share = (cpu_seconds(stage.pid) - cpu) / (time.perf_counter() - start)
        memory = resident_mb(stage.pid)
        await asyncio.sleep(1)  # the last frames arrive; a benchmark, no test
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write("stop\n")
        process.stdin.flush()
        seen = json.loads(process.stdout.readline())
    head = stage.call("GET", f"/api/v1/worlds/{world_id}")["seq"]
    assert seen["faults"] == 0, seen["examples"]
    assert seen["last"] == [head], (seen["last"], head)
    return seen, sent, share, memory


async def quiet(stage: Stage) -> list[Row]:
    """Ten events a second to each of a thousand sockets; memory with them."""
    seen, _, share, memory = await flow(stage, 10, 10)
    return [
        Row("commit → WebSocket, 1,000 sockets, 10 events/s to each",
            f"median {seen['median_ms']:.1f} ms, p99 {seen['p99_ms']:.1f} ms, {seen['events']:,} seen, none lost or twice; "
            f"server {share:.0%}, client {seen['client_cpu']:.0%} of a core",
            "median < 10 ms, p99 < 50 ms", met=seen["median_ms"] < 10 and seen["p99_ms"] < 50),
        Row("server memory with 1,000 sockets", f"{memory:.0f} MB", "< 350 MB", met=memory < 350),
    ]  # fmt: skip


async def busy(stage: Stage) -> list[Row]:
    """170 events a second to each of a thousand sockets."""
    seen, _, share, _ = await flow(stage, 170, 10)
    return [
        Row("the same, 170 events/s to each",
            f"median {seen['median_ms']:.0f} ms, p99 {seen['p99_ms']:.0f} ms, {seen['events']:,} seen in "
            f"{seen['frames']:,} frames, none lost or twice; server {share:.0%}, client {seen['client_cpu']:.0%} of a core",
            "p99 < 250 ms", met=seen["p99_ms"] < 250),
    ]  # fmt: skip


async def rest(_stage: Stage) -> list[Row]:
    """What `fablewright serve` needs at rest: the program itself, in a fresh folder."""
    with tempfile.TemporaryDirectory(prefix="fablewright-rest-") as folder:
        serve = [sys.executable, "-m", "fablewright.cli", "serve", "--port", "0"]
        server = await asyncio.create_subprocess_exec(
            *serve, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "FABLEWRIGHT_DATA_DIR": f"{folder}/data"},
        )  # fmt: skip
        assert server.stdout is not None
        while b"is ready" not in await server.stdout.readline():
            assert server.returncode is None
        await asyncio.sleep(3)  # start-up is over
        cpu, start = cpu_seconds(server.pid), time.perf_counter()
        await asyncio.sleep(10)
        share = (cpu_seconds(server.pid) - cpu) / (time.perf_counter() - start)
        memory = resident_mb(server.pid)
        server.terminate()
        await server.wait()
    return [
        Row("server at rest", f"{memory:.0f} MB, {share:.1%} of a core", "< 150 MB, < 3% of a core",
            met=memory < 150 and share < 0.03),
    ]  # fmt: skip
