"""The log: gap-free and in commit order, complete for every reader, and the same for the same commands."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from fablewright.core import log
from fablewright.core.actors import Actor
from fablewright.systems.worlds.advance import AdvanceWorker
from fablewright.systems.worlds.commands import AdvanceWorld, DeleteWorld
from tests.counter import Add, Batch, Plan, Say, Touch
from tests.counter_process import write
from tests.systems.conftest import Bench

MANY = 300


async def tail(bench: Bench, world: UUID, total: asyncio.Future[int]) -> list[int]:
    """Follow the log to its end as a client would, and fail on a gap, a repeat or a step back."""
    seen: list[int] = [0]
    while not (total.done() and seen[-1] >= total.result()):
        async with bench.runtime.database.reading() as connection:
            part = await log.read(connection, world, seen[-1], 7, log.Filter())
        seqs = [row["seq"] for row in part.rows]
        assert seqs == list(range(seen[-1] + 1, seen[-1] + 1 + len(seqs)))
        assert part.up_to == max(seen[-1], *seqs, 0) <= part.head
        seen.extend(seqs)
        await asyncio.sleep(0)
    return seen[1:]


@pytest.mark.uncounted
async def test_many_writers_in_two_processes_leave_no_gap(bench: Bench, folder: Path) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    assert owner.user_id is not None
    total: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    readers = [asyncio.create_task(tail(bench, world, total)) for _ in range(2)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.counter_process", bench.url, str(folder / "data"), str(world),
        str(owner.user_id), str(MANY), stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip
    assert process.stdout is not None
    ours: list[int] = []
    while process.returncode is None:  # as long as the other writes, so do we
        ours += await write(bench.engine, world, owner.user_id, 64)
    theirs = [int(seq) for seq in (await process.stdout.read()).split()]
    assert await process.wait() == 0
    assert len(theirs) == MANY
    head = await bench.head(world)
    total.set_result(head)
    for seen in await asyncio.gather(*readers):
        assert seen == list(range(1, head + 1))
    assert min(theirs) < max(ours)
    assert min(ours) < max(theirs)  # they did write at the same time
    values = await bench.fetch("SELECT sum(value) AS n FROM counters WHERE world_id = $1", world)
    assert values[0]["n"] == MANY + len(ours)
    assert head == 1 + 2 * (MANY + len(ours))  # and one echo each
    order = await bench.fetch("SELECT seq, recorded_at FROM events WHERE world_id = $1 ORDER BY seq", world)
    assert [row["seq"] for row in order] == list(range(1, head + 1))


# -- reading -------------------------------------------------------------------------------------------------


async def read(
    bench: Bench, world: UUID, after: int = 0, limit: int = 100, **how: Any
) -> tuple[list[str], int]:
    async with bench.runtime.database.reading() as connection:
        part = await log.read(connection, world, after, limit, log.Filter(**how))
    return [row["type"].split(".")[1] for row in part.rows], part.up_to


async def test_audiences_types_and_subjects_are_filtered(bench: Bench) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    one, other = uuid4(), uuid4()
    await bench.do(Say(to=one), owner, world)  # 2 added, 3 noted, 4 whispered, 5 echoed
    everything = ["world_created", "added", "noted", "whispered", "echoed"]
    assert await read(bench, world) == (everything, 5)
    assert await read(bench, world, principals=frozenset()) == (["world_created", "added", "echoed"], 5)
    assert await read(bench, world, principals=frozenset({other})) == (
        ["world_created", "added", "echoed"],
        5,
    )
    assert await read(bench, world, principals=frozenset({one, other})) == (
        ["world_created", "added", "whispered", "echoed"], 5,
    )  # fmt: skip
    assert await read(bench, world, about=(one,)) == (["whispered"], 5)
    assert await read(bench, world, about=(other,)) == ([], 5)
    assert await read(bench, world, types=("counter.noted", "worlds.*")) == (["world_created", "noted"], 5)
    assert await read(bench, world, types=("*",)) == (everything, 5)
    assert await read(bench, world, types=("count.*", "counter_.*", "counter.add")) == ([], 5)
    assert await read(bench, world, types=("counter.*",), principals=frozenset(), limit=1) == (["added"], 2)
    assert await read(bench, world, after=2, limit=2) == (["noted", "whispered"], 4)
    assert await read(bench, world, after=5) == ([], 5)
    assert await read(bench, world, after=99) == ([], 99)
    assert await read(bench, uuid4()) == ([], 0)


async def test_a_rare_filter_reads_window_by_window(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "WINDOW", 10)
    owner = await bench.person()
    world = await bench.world(owner)
    await bench.do([Touch(tell="x") for _ in range(12)], owner, world)
    assert await read(bench, world, types=("counter.noted",)) == ([], 10)
    assert await read(bench, world, after=20, types=("counter.noted",)) == ([], 25)
    found: list[int] = []
    async with bench.runtime.database.reading() as connection:
        async for rows in log.read_all(connection, world, log.Filter(types=("counter.touched",))):
            found += [row["seq"] for row in rows]
        newest = await log.newest(connection, world, 3, log.Filter())
    assert found == list(range(2, 14))
    assert [row["seq"] for row in newest] == [23, 24, 25]


async def test_reading_all_ends_when_the_world_is_deleted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "WINDOW", 2)
    owner = await bench.person()
    world = await bench.world(owner)
    await bench.do([Touch() for _ in range(5)], owner, world)
    async with asyncio.timeout(5), bench.runtime.database.reading() as connection:
        parts = log.read_all(connection, world, log.Filter())
        assert [row["seq"] for row in await anext(parts)] == [1, 2]
        await bench.do(DeleteWorld(), owner, world)
        assert [rows async for rows in parts] == [[]]


async def test_events_survive_encoding_and_decoding(bench: Bench) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    await bench.do(Say(to=(someone := uuid4())), owner, world)
    async with bench.runtime.database.reading() as connection:
        rows = (await log.read(connection, world, 0, 10, log.Filter())).rows
    for row in rows:
        record = log.decode(row, bench.engine.events)
        assert record is not None
        shown = orjson.loads(log.encode(row, with_command=True))
        assert (shown["seq"], shown["id"], shown["data"]) == (
            row["seq"],
            str(record.id),
            orjson.loads(record.data),
        )
        assert "command" not in orjson.loads(log.encode(row, with_command=False))
    assert orjson.loads(log.encode(rows[3], with_command=False))["about"] == [str(someone)]
    await bench.superuser(
        "UPDATE events SET type = 'gone.away' WHERE world_id = $1 AND seq = 2 RETURNING 1", world
    )
    async with bench.runtime.database.reading() as connection:
        rows = (await log.read(connection, world, 1, 1, log.Filter())).rows
    assert log.decode(rows[0], bench.engine.events) is None


# -- the same commands give the same world -------------------------------------------------------------------


async def play(bench: Bench, owner: Actor) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """A little history, and all that is left of it, without what names the world or the real time."""
    world = await bench.world(owner, seed=42)
    steps: list[Any] = [
        Touch(n=3), [Add(n=2), Touch(tell="x"), Add(n=1)], Plan(at=(100, 200, 200)), Batch(adds=(1, 2), touches=("a",)),
        Touch(tell="follow_raises"),
    ]  # fmt: skip
    for number, step in enumerate(steps):
        await bench.do(step, owner, world, key=f"step {number}")
    hot = [bench.do(Add(n=n), owner, world, key=f"hot {n}") for n in range(10)]
    await asyncio.gather(*hot)
    started = (await bench.do(AdvanceWorld(to_ms=1000), owner, world, key="advance"))["id"]
    await AdvanceWorker(bench.engine).advance(world, started)
    events = [tuple(e) for e in await bench.log(world)]
    letters = await bench.fetch(
        "SELECT id, source, payload::text, at FROM dead_letters WHERE world_id = $1", world
    )
    marks = await bench.fetch("SELECT kind, of, at FROM counter_marks WHERE world_id = $1 ORDER BY n", world)
    counters = await bench.fetch("SELECT name, value FROM counters WHERE world_id = $1 ORDER BY name", world)
    return [e[:9] for e in events[1:]], [tuple(row) for row in (*letters, *marks, *counters)]


async def test_the_same_commands_with_the_same_seed_give_the_same_world(bench: Bench) -> None:
    owner = await bench.person()
    first = await play(bench, owner)
    assert len(first[0]) > 30
    for _ in range(2):
        again = await play(bench, owner)
        assert again == first
