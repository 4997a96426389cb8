"""The WebSocket: order, no gap, no repeat; audiences; commands; reconnecting; slow readers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from fablewright.systems.characters.commands import CreateCharacter
from fablewright.systems.worlds.commands import DeleteWorld, RemoveMember, SetMember, UpdateWorld
from tests.support import Person, Server


@asynccontextmanager
async def opened(live_url: str, world_id: UUID, person: Person | None) -> AsyncIterator[ClientConnection]:
    """A socket, authenticated if a person is given."""
    url = f"{live_url.replace('http', 'ws')}/ws/worlds/{world_id}"
    async with connect(url, compression=None, max_size=None) as socket:
        if person is not None:
            await say(socket, type="auth", token=person.token)
            assert (await hear(socket))["type"] == "authenticated"
        yield socket


async def say(socket: ClientConnection, **message: Any) -> None:
    await socket.send(orjson.dumps(message).decode())


async def hear(socket: ClientConnection, seconds: float = 15) -> dict[str, Any]:
    async with asyncio.timeout(seconds):
        message: dict[str, Any] = orjson.loads(await socket.recv())
        return message


async def events_until(socket: ClientConnection, seq: int) -> list[dict[str, Any]]:
    """The events that arrive until one has this `seq` or a frame is complete up to it."""
    found: list[dict[str, Any]] = []
    while True:
        message = await hear(socket)
        if message["type"] == "events":
            found += message["events"]
            if message["up_to"] >= seq:
                return found


async def rename(server: Server, owner: Person, world_id: UUID, name: str) -> int:
    answer = await server.runtime.engine.execute(UpdateWorld(name=name), owner.actor, world_id)
    assert answer.seq is not None
    return answer.seq


async def test_history_then_live_without_gap_or_repeat(server: Server, live_url: str) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    for number in range(30):
        await rename(server, owner, world_id, f"before {number}")
    async with opened(live_url, world_id, owner) as socket:
        await say(socket, type="subscribe", after=0)
        assert (await hear(socket)) == {"type": "subscribed", "after": 0}
        writing = asyncio.gather(*(rename(server, owner, world_id, f"after {n}") for n in range(60)))
        found = await events_until(socket, 91)
        await writing
    assert [event["seq"] for event in found] == list(range(1, 92))


async def test_live_is_said_once_and_an_event_comes_at_once(server: Server, live_url: str) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    async with opened(live_url, world_id, owner) as socket:
        await say(socket, type="subscribe")
        assert (await hear(socket))["type"] == "subscribed"
        assert (await hear(socket)) == {"type": "live", "up_to": 1}
        seq = await rename(server, owner, world_id, "new")
        frame = await hear(socket)
    assert frame["up_to"] == seq == 2
    assert [e["type"] for e in frame["events"]] == ["worlds.world_updated"]
    assert frame["events"][0]["command"]["payload"]["name"] == "new"


async def test_filters_by_type_and_subject(server: Server, live_url: str) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    person = await server.person()
    async with opened(live_url, world_id, owner) as socket:
        await say(socket, type="subscribe", after=0, types=["worlds.member_*"])
        assert (await hear(socket))["problem"]["code"] == "pattern_invalid"
        await say(socket, type="subscribe", after=0, types=["worlds.member_set"], about=[str(person.id)])
        assert (await hear(socket))["type"] == "subscribed"
        await rename(server, owner, world_id, "unwanted")
        await server.do(SetMember(user_id=person.id, role="player"), owner.actor, world_id)
        found = await events_until(socket, 3)
    assert [(e["seq"], e["type"]) for e in found] == [(3, "worlds.member_set")]


async def test_players_do_not_see_commands_and_a_removed_member_is_shown_out(
    server: Server, live_url: str
) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    player = await server.member(world_id, owner, "player")
    async with opened(live_url, world_id, player) as socket:
        await say(socket, type="subscribe", after=0)
        await rename(server, owner, world_id, "seen")
        found = await events_until(socket, 3)
        assert all("command" not in event for event in found)
        await server.do(RemoveMember(user_id=player.id), owner.actor, world_id)
        await rename(server, owner, world_id, "not seen any more")
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                message = await hear(socket)
                assert message["type"] in ("live", "events", "refused")
                assert all(e["seq"] <= 4 for e in message.get("events", []))
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 4404


async def test_a_deleted_world_closes_its_sockets(server: Server, live_url: str) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    async with opened(live_url, world_id, owner) as socket:
        await say(socket, type="subscribe")
        assert (await hear(socket))["type"] == "subscribed"
        assert (await hear(socket))["type"] == "live"
        await server.do(DeleteWorld(), owner.actor, world_id)
        with pytest.raises(ConnectionClosed):
            while True:
                await hear(socket)


async def test_commands_answer_with_the_callers_id_and_run_once(server: Server, live_url: str) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    async with opened(live_url, world_id, owner) as socket:
        command = {"type": "worlds.update_world", "payload": {"name": "by socket"}}
        await say(socket, type="command", id="a-1", command=command)
        first = await hear(socket)
        assert (first["type"], first["id"], first["seq"], first["replayed"]) == ("result", "a-1", 2, False)
        await say(socket, type="command", id="a-1", command=command)
        again = await hear(socket)
        assert (again["seq"], again["replayed"]) == (2, True)
        await say(socket, type="command", id="a-2", command={"type": "worlds.no_such"})
        refused = await hear(socket)
        assert (refused["type"], refused["id"], refused["problem"]["code"]) == (
            "refused",
            "a-2",
            "command_unknown",
        )
        await say(socket, type="ping")
        assert (await hear(socket)) == {"type": "pong"}


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("no json", "malformed_json"),
        ('{"type":"subscribe"}', "not_signed_in"),
        ('{"type":"auth","token":"nonsense"}', "token_invalid"),
        ('{"type":"dance"}', "validation_failed"),
        ("[]", "validation_failed"),
    ],
)
async def test_who_does_not_authenticate_is_refused(
    server: Server, live_url: str, message: str, code: str
) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    async with opened(live_url, world_id, None) as socket:
        await socket.send(message)
        assert (await hear(socket))["problem"]["code"] == code
        with pytest.raises(ConnectionClosed):
            await hear(socket)


async def test_a_strangers_world_is_not_there(server: Server, live_url: str) -> None:
    world_id = await server.world(await server.person())
    stranger = await server.person()
    async with opened(live_url, world_id, None) as socket:
        await say(socket, type="auth", token=stranger.token)
        assert (await hear(socket))["problem"]["code"] == "world_not_found"


async def test_the_header_authenticates_too(server: Server, live_url: str) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    url = f"{live_url.replace('http', 'ws')}/ws/worlds/{world_id}"
    async with connect(url, additional_headers=owner.headers, compression=None) as socket:
        assert (await hear(socket))["role"] == "owner"


async def test_a_reconnect_storm_misses_nothing(server: Server, live_url: str) -> None:
    """Twenty clients that drop their socket after every frame still see each event once, in order."""
    owner = await server.person()
    world_id = await server.world(owner)
    last = 101

    async def client() -> list[int]:
        seen: list[int] = []
        position = 0
        while position < last:
            async with opened(live_url, world_id, owner) as socket:
                await say(socket, type="subscribe", after=position)
                while True:
                    message = await hear(socket)
                    if message["type"] == "events":
                        seen += [event["seq"] for event in message["events"]]
                        position = message["up_to"]
                        break
        return seen

    async def writer() -> None:
        for number in range(100):
            await rename(server, owner, world_id, f"name {number}")

    results = await asyncio.gather(writer(), *(client() for _ in range(20)))
    for seen in results[1:]:
        assert seen == list(range(1, last + 1))


async def test_a_slow_reader_is_fed_from_the_log(server: Server, live_url: str) -> None:
    """A client that does not read for long gets everything later, and the server does not hold it in memory."""
    owner = await server.person()
    world_id = await server.world(owner)
    url = f"{live_url.replace('http', 'ws')}/ws/worlds/{world_id}"
    async with connect(url, compression=None, max_queue=1, max_size=None) as socket:
        await say(socket, type="auth", token=owner.token)
        await hear(socket)
        await say(socket, type="subscribe", after=0)
        await hear(socket)
        big = {"text": "x" * 15_000}
        for _ in range(600):
            await server.runtime.engine.execute(UpdateWorld(settings=big), owner.actor, world_id)
        found = await events_until(socket, 601)
    assert [event["seq"] for event in found] == list(range(1, 602))


async def test_a_player_sees_what_becomes_theirs(server: Server, live_url: str) -> None:
    """Rights are asked again when a character comes under the reader's control."""
    owner = await server.person()
    world_id = await server.world(owner)
    player = await server.member(world_id, owner, "player")
    async with opened(live_url, world_id, player) as socket:
        await say(socket, type="subscribe")
        await hear(socket)
        await server.do(CreateCharacter(name="Ilse", kind="player", user_id=player.id), owner.actor, world_id)
        seq = await rename(server, owner, world_id, "later")
        found = await events_until(socket, seq)
    assert [e["seq"] for e in found] == [3, 4, 5]
