"""What worlds define is read once, and exactly as long as it is true."""

import asyncio
from typing import ClassVar
from uuid import UUID, uuid4

from fablewright.core import definitions
from fablewright.core.actors import system_actor
from fablewright.core.definitions import Definitions
from fablewright.core.engine import Scope
from fablewright.core.messages import Audience, Catalogue, CatalogueError, Event
from fablewright.core.timers import FireTimers
from fablewright.core.transaction import Request, Transaction
from tests.support import Server


class Kept:
    """Definitions whose loads are counted: what is loaded is the world's description."""

    def __init__(self) -> None:
        self.loads = 0
        self.definitions = Definitions(self.load)

    async def load(self, tx: Transaction) -> str:
        self.loads += 1
        return str(await tx.fetchval("SELECT description FROM worlds WHERE id = $1", tx.world_id))

    async def read(self, server: Server, world_id: UUID) -> str:
        return await act(server, world_id, self.definitions.of)

    async def define(self, server: Server, world_id: UUID, value: str) -> str:
        """Define anew; returns what the same transaction then reads."""

        async def work(tx: Transaction) -> str:
            await tx.execute("UPDATE worlds SET description = $2 WHERE id = $1", tx.world_id, value)
            tx.definitions_changed = True
            return await self.definitions.of(tx)

        return await act(server, world_id, work)


async def act(server: Server, world_id: UUID, work) -> str:  # type: ignore[no-untyped-def]
    request = Request(FireTimers(kind="test", due_at=0), system_actor("test"), uuid4(), uuid4())
    result, _ = await server.runtime.engine.transact(Scope(world_id), request, work)
    return str(result)


async def test_they_are_loaded_once_and_again_after_a_change(server: Server) -> None:
    owner, kept = await server.person(), Kept()
    one, two = await server.world(owner), await server.world(owner)
    assert await kept.define(server, one, "a") == "a"
    assert kept.loads == 1  # in its own transaction, which keeps nothing: it may yet be undone
    for _ in range(3):
        assert await kept.read(server, one) == "a"
    assert kept.loads == 2
    assert await kept.read(server, two) == ""
    await kept.define(server, one, "b")
    loads = kept.loads
    assert await kept.read(server, one) == "b"
    assert await kept.read(server, two) == ""
    assert kept.loads == loads + 1


async def test_what_began_before_a_change_runs_again(server: Server) -> None:
    owner, kept = await server.person(), Kept()
    world_id = await server.world(owner)
    await kept.define(server, world_id, "a")
    seen: list[str] = []
    began, go = asyncio.Event(), asyncio.Event()

    async def work(tx: Transaction) -> str:
        seen.append(await kept.definitions.of(tx))
        if len(seen) == 1:
            began.set()
            await go.wait()
        tx.rights_changed = True  # it writes something, so that it must commit
        return seen[-1]

    slow = asyncio.create_task(act(server, world_id, work))
    await began.wait()
    await kept.define(server, world_id, "b")
    go.set()
    assert await slow == "b"
    assert seen == ["a", "b"]


async def test_only_the_worlds_asked_for_last_are_kept(server: Server, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(definitions, "MOST_WORLDS", 2)
    owner, kept = await server.person(), Kept()
    worlds = [await server.world(owner) for _ in range(3)]
    for world_id in (worlds[0], worlds[1], worlds[0], worlds[2], worlds[0]):
        await kept.read(server, world_id)
    assert kept.loads == 3
    await kept.read(server, worlds[1])
    assert kept.loads == 4


def test_a_family_of_types_has_one_class() -> None:
    class Family(Event):
        message_type = "outside.told"
        families: ClassVar[tuple[str, ...]] = ("game.", "user.")

        def audience(self) -> Audience:
            return Audience(None)

    class Other(Family):
        message_type = "outside.other"
        families = ("user.",)

    catalogue = Catalogue[Event]([Family])
    assert catalogue.get("game.won") is catalogue.get("user.x") is catalogue.get("outside.told") is Family
    assert catalogue.get("gamer.won") is None
    try:
        catalogue.add(Other)
    except CatalogueError as error:
        assert "user.*" in str(error)
    else:
        raise AssertionError("two classes carry one family")
