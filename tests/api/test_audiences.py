"""An event reaches its audience and nobody else, by the log, the dashboard and the WebSocket."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import orjson
import pytest
from websockets.asyncio.client import connect

from fablewright.app import installed_systems, open_runtime
from fablewright.core.actors import Role, at_least
from fablewright.core.messages import GAME_MASTERS, MEMBERS, Audience, Command, Event
from fablewright.core.system import Handler, System
from fablewright.gateway.runtime import Runtime
from fablewright.systems.characters.commands import CreateCharacter, UpdateCharacter
from tests.conftest import make_settings
from tests.support import Person, Server


class Whispered(Event):
    """Something was said that only some may hear."""

    message_type = "whispers.whispered"

    text: str
    to: list[UUID] | None

    def audience(self) -> Audience:
        if self.to is None:
            return MEMBERS
        return Audience.of(*self.to) if self.to else GAME_MASTERS


class Whisper(Command):
    """Say something to some: to all members if `to` is null, to game masters if it is empty."""

    message_type = "whispers.whisper"
    allowed = at_least(Role.GAME_MASTER)

    text: str
    to: list[UUID] | None = None


async def whisper(tx: Any, command: Whisper) -> None:
    tx.emit(Whispered(text=command.text, to=command.to))


@pytest.fixture
async def whispering(server: Server) -> AsyncIterator[Runtime]:
    """A node that knows a system whose events have audiences."""
    system = System(name="whispers", handlers=(Handler(Whisper, whisper),), events=(Whispered,))
    settings = make_settings(server.runtime.settings.data_dir)
    async with open_runtime(settings, server.url, [*installed_systems(), system], work=False) as runtime:
        yield runtime


class Hall:
    """A world with a game master, two players of whom one has a character, and an observer."""

    def __init__(self, server: Server, runtime: Runtime):
        self.server = server
        self.runtime = runtime

    async def open(self) -> "Hall":
        self.owner = await self.server.person()
        self.world_id = await self.server.world(self.owner)
        self.people = {"owner": self.owner}
        for name, role in (
            ("master", "game_master"), ("player", "player"), ("other", "player"), ("observer", "observer"),
        ):  # fmt: skip
            self.people[name] = await self.server.member(self.world_id, self.owner, role)
        hero = await self.server.do(
            CreateCharacter(name="Hero", kind="player", user_id=self.people["player"].id), self.owner.actor,
            self.world_id,
        )  # fmt: skip
        self.hero: UUID = hero.id
        return self

    async def say(self, text: str, *to: UUID, members: bool = False) -> int:
        command = Whisper(text=text, to=None if members else list(to))
        answer = await self.runtime.engine.execute(command, self.owner.actor, self.world_id)
        assert answer.seq is not None
        return answer.seq

    async def say_all(self) -> int:
        """Something to each kind of audience; the last position."""
        await self.say("to masters")
        await self.say("to player", self.people["player"].id)
        await self.say("to hero", self.hero)
        await self.say("to other and hero", self.people["other"].id, self.hero)
        await self.say("to nobody here", UUID(int=1))
        return await self.say("to members", members=True)

    async def get(self, who: Person, path: str) -> Any:
        answer = await self.server.client.get(f"/api/v1/worlds/{self.world_id}{path}", headers=who.headers)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
async def hall(server: Server, whispering: Runtime) -> Hall:
    return await Hall(server, whispering).open()


EVERYTHING = [
    "to masters", "to player", "to hero", "to other and hero", "to nobody here", "to members",
]  # fmt: skip
HEARD = {
    "owner": EVERYTHING, "master": EVERYTHING,
    "player": ["to player", "to hero", "to other and hero", "to members"],
    "other": ["to other and hero", "to members"], "observer": ["to members"],
}  # fmt: skip


def texts(events: list[dict[str, Any]]) -> list[str]:
    return [e["data"]["text"] for e in events if e["type"] == "whispers.whispered"]


async def test_the_log_and_the_dashboard_show_each_what_is_theirs(hall: Hall) -> None:
    last = await hall.say_all()
    for who, heard in HEARD.items():
        part = await hall.get(hall.people[who], "/events")
        assert (texts(part["events"]), part["up_to"], part["head"]) == (heard, last, last), who
        shown = await hall.get(hall.people[who], "/dashboard")
        assert texts(shown["recent"]) == heard, who
        part = await hall.get(hall.people[who], "/events?types=whispers.*&limit=1")
        assert texts(part["events"]) == heard[:1], who


@pytest.mark.parametrize("live", [True, False])
async def test_sockets_hear_what_is_theirs(hall: Hall, live_url: str, live: bool) -> None:
    address = f"{live_url.replace('http', 'ws')}/ws/worlds/{hall.world_id}"
    for who, heard in HEARD.items():
        last = 0 if live else await hall.say_all()
        async with connect(address, compression=None, additional_headers=hall.people[who].headers) as socket:
            start = (await hall.get(hall.owner, "/events"))["head"] if live else last - 6
            await socket.send(orjson.dumps({"type": "subscribe", "after": start}).decode())
            found: list[dict[str, Any]] = []
            position = -1
            while position < (last or start):
                message = orjson.loads(await socket.recv())
                if message["type"] == "live" and live and not last:
                    last = await hall.say_all()
                found += message.get("events", [])
                position = message.get("up_to", position)
        assert texts(found) == heard, who


async def test_who_gains_and_loses_a_character_hears_from_then_to_then(hall: Hall) -> None:
    """What one may see is asked at the time of reading: the past of a character comes with it, and goes with it."""
    other = hall.people["other"]
    await hall.say("to hero", hall.hero)
    assert texts((await hall.get(other, "/events"))["events"]) == []
    for user_id, heard in ((other.id, ["to hero"]), (hall.people["player"].id, [])):
        await hall.server.do(
            UpdateCharacter(character_id=hall.hero, user_id=user_id), hall.owner.actor, hall.world_id
        )
        assert texts((await hall.get(other, "/events"))["events"]) == heard
