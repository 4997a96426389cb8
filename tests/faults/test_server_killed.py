"""The server, its parent or a worker is killed without warning: the next one goes on from what was committed."""

import os
import random
import signal
import time
from pathlib import Path

import httpx
import pytest

from tests.faults.load import Load, Reader, call, doctor, fetch, replayed, settle_in, verify
from tests.faults.processes import ServerProcess, gone
from tests.support import until

pytestmark = [pytest.mark.fault, pytest.mark.uncounted]


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_killed_server_is_followed_by_one_that_takes_over(tmp_path: Path, workers: int) -> None:
    """With two workers it is their parent that is killed; they end by themselves."""
    with ServerProcess(tmp_path, workers=workers) as server:
        await server.start()
        owner = await settle_in(server.address)
        load, reader = Load([server], owner), Reader([server], owner)
        async with reader.running():
            async with load.running():
                await load.reach(100)
                postgres, children = server.postgres(), server.workers()
                assert postgres is not None and len(children) == (workers if workers > 1 else 0)
                killed_at = time.monotonic()
                server.kill()

                async def orphans_gone() -> bool:
                    return all(gone(pid) for pid in children)

                await server.start()
                await until(orphans_gone)
                await load.reach(1)
                recovered = time.monotonic() - killed_at
                await load.reach(100)
            assert server.postgres() == postgres, "the orphan was not taken over"
            assert "Took over PostgreSQL" in server.said
            await verify(server.database_url(), server.settings(), load, reader)
            await replayed(server, load)
        print(
            f"commands again after {recovered:.2f} s; {dict(load.troubles)}; {len(load.acknowledged)} commands"
        )
        assert recovered < 60  # on machines that are busy with other things, too
        server.terminate()
        assert await server.ended() == 0
        assert server.postgres() is None


async def test_a_killed_worker_is_replaced_and_the_other_goes_on(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, workers=2) as server:
        await server.start()
        owner = await settle_in(server.address)
        load, reader = Load([server], owner), Reader([server], owner)
        async with reader.running():
            async with load.running():
                await load.reach(60)
                before = server.workers()
                os.kill(random.Random(1).choice(before), signal.SIGKILL)

                async def replaced() -> bool:
                    now = server.workers()
                    return len(now) == 2 and set(now) != set(before)

                await load.reach(60)  # the other one answers meanwhile
                await until(replaced)
                await load.reach(60)
            await verify(server.database_url(), server.settings(), load, reader)
            await replayed(server, load)


async def test_an_advance_goes_on_after_a_kill(tmp_path: Path) -> None:
    """Killed in the middle of a fast-forward with the director on; every beat happens once all the same."""
    with ServerProcess(tmp_path) as server:
        await server.start()
        owner = await settle_in(server.address, characters=12, paused=True)
        director = {"enabled": True, "beats_per_minute": 1, "acts_per_beat": 2}
        command = {"type": "director.configure_director", "payload": director}
        await call(server.address, "POST", f"{owner.path}/commands", command, owner.headers)
        hours = 10
        started = await call(
            server.address, "POST", f"{owner.path}/advance", {"by_ms": hours * 3_600_000}, owner.headers
        )
        advance = f"{owner.path}/advances/{started['result']['id']}"

        async def under_way() -> bool:
            view = await call(server.address, "GET", advance, None, owner.headers)
            return bool(view["timers_fired"] >= 60)

        await until(under_way, 60)
        server.kill()
        await server.start()
        view = await call(server.address, "GET", advance, None, owner.headers)
        assert view["state"] == "running" and 0 < view["progress"] < 1
        began = time.monotonic()

        async def arrived() -> bool:
            view = await call(server.address, "GET", advance, None, owner.headers)
            return bool(view["state"] == "done")

        await until(arrived, 90)
        print(f"arrived {time.monotonic() - began:.1f} s after the restart")
        view = await call(server.address, "GET", advance, None, owner.headers)
        beats = hours * 60
        assert view["timers_fired"] == beats
        url = server.database_url()
        rows = await fetch(
            url,
            "SELECT at, correlation_id, causation_id, type FROM events WHERE world_id = $1 "
            "AND type IN ('dialogue.interacted', 'worlds.advanced') ORDER BY seq",
            owner.world_id,
        )
        acts = [row for row in rows if row["type"] == "dialogue.interacted"]
        times = [row["at"] for row in acts]
        assert times == sorted(times)
        assert all(at % 60_000 == 0 for at in times), "a beat fired at another time than its own"
        assert max(times.count(at) for at in set(times)) <= 2, "a beat happened twice"
        assert len({row["causation_id"] for row in acts}) == len(acts)
        assert [row["type"] for row in rows].count("worlds.advanced") == 1
        assert await doctor(url, server.settings()) == []


async def test_sigterm_lets_what_is_under_way_finish_and_refuses_the_rest(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        await server.start()
        owner = await settle_in(server.address)
        load, reader = Load([server], owner), Reader([server], owner)
        async with reader.running():
            async with load.running():
                await load.reach(100)
                asked_at = time.monotonic()
                server.terminate()
                assert await server.ended() == 0
                ended = time.monotonic() - asked_at
                with pytest.raises(httpx.ConnectError):
                    await call(server.address, "GET", "/health/live")
                assert server.postgres() is None
                await server.start()
                await load.reach(20)
            print(f"ended after {ended:.2f} s; {dict(load.troubles)}; {len(load.acknowledged)} commands")
            assert load.unheard == set(), "a command ran to its end, but was not answered"
            assert "database_unavailable" not in load.troubles
            assert ended < 8
            log = (server.data / "postgres.log").read_text()
            assert "not properly shut down" not in log
            await verify(server.database_url(), server.settings(), load, reader)
