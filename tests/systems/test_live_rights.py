"""The WebSocket where rights change, credentials end, or the feed is behind its reader."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from fablewright.app import create_app
from fablewright.gateway import limits, live, socket
from fablewright.systems.worlds.commands import RemoveMember
from tests.conftest import make_settings, serving
from tests.support import Server
from tests.systems.test_live import events_until, hear, opened, rename, say


async def test_a_reader_ahead_of_its_feed_gets_nothing_twice(
    server: Server, live_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    pass_on, go = live.Feed._pass_on, asyncio.Event()

    async def late(feed: live.Feed) -> None:
        await go.wait()
        await pass_on(feed)

    async with opened(live_url, world_id, owner) as first:
        await say(first, type="subscribe")
        assert [(await hear(first))["type"], (await hear(first))["type"]] == ["subscribed", "live"]
        monkeypatch.setattr(live.Feed, "_pass_on", late)
        for number in range(5):
            await rename(server, owner, world_id, f"name {number}")
        async with opened(live_url, world_id, owner) as second:
            await say(second, type="subscribe", after=6)
            assert (await hear(second)) == {"type": "subscribed", "after": 6}
            go.set()
            assert (await hear(second)) == {"type": "live", "up_to": 6}
            seq = await rename(server, owner, world_id, "the next one")
            assert [event["seq"] for event in await events_until(second, seq)] == [7]


async def test_who_is_removed_while_catching_up_sees_nothing_more(
    server: Server, live_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    master = await server.member(world_id, owner, "game_master")
    send_page, inside, go = socket.Socket._send_page, asyncio.Event(), asyncio.Event()

    async def slow(reader: socket.Socket, feed: live.Feed) -> None:
        inside.set()
        await go.wait()
        await send_page(reader, feed)

    async with opened(live_url, world_id, owner) as witness:
        await say(witness, type="subscribe")
        monkeypatch.setattr(socket.Socket, "_send_page", slow)
        async with opened(live_url, world_id, master) as reader:
            await say(reader, type="subscribe", after=0)
            await hear(reader)
            await inside.wait()
            await server.do(RemoveMember(user_id=master.id), owner.actor, world_id)
            removed = await rename(server, owner, world_id, "a secret")
            go.set()
            await events_until(witness, removed)
            seen = await heard_to_the_end(reader)
    assert all(event["seq"] < removed for event in seen)


async def test_a_revoked_key_and_a_logged_out_session_end_their_sockets(
    server: Server, live_url: str
) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    made = await server.client.post(
        "/api/v1/account/api-keys", json={"name": "game", "scopes": ["manage"]}, headers=owner.headers
    )
    key: Any = SimpleNamespace(token=made.json()["key"])
    async with opened(live_url, world_id, key) as by_key, opened(live_url, world_id, owner) as by_token:
        path = f"/api/v1/account/api-keys/{made.json()['id']}"
        assert (await server.client.delete(path, headers=owner.headers)).status_code == 204
        assert (await server.client.post("/api/v1/auth/logout", headers=owner.headers)).status_code == 204
        for ended in (by_key, by_token):
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    await hear(ended, 20)
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 4401


async def test_a_wrong_message_does_not_cost_the_subscription(server: Server, live_url: str) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    async with opened(live_url, world_id, owner) as reader:
        await say(reader, type="subscribe")
        assert [(await hear(reader))["type"], (await hear(reader))["type"]] == ["subscribed", "live"]
        await say(reader, type="command", id="mine", command={"type": "x"}, extra=1)
        refused = await hear(reader)
        assert (refused["type"], refused["id"]) == ("refused", "mine")
        assert refused["problem"]["code"] == "validation_failed"
        seq = await rename(server, owner, world_id, "still told")
        assert [event["seq"] for event in await events_until(reader, seq)] == [seq]


async def test_large_events_are_cut_into_frames(server: Server, live_url: str) -> None:
    encoded = [(seq, b"x" * 50_000) for seq in range(1, 8)]
    frames = live.events_frames(encoded, 9)
    assert [frame.up_to for frame in frames] == [2, 4, 6, 9]
    assert live.events_frames([], 9) == []


async def heard_to_the_end(reader: Any) -> list[dict[str, Any]]:
    """The events that arrive until the server closes the socket."""
    seen: list[dict[str, Any]] = []
    with pytest.raises(ConnectionClosed):
        while True:
            seen += (await hear(reader)).get("events", [])
    return seen


async def test_guessing_tokens_over_sockets_has_its_price(
    server: Server, folder: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "monotonic", lambda: 0.0)  # however slow the machine is
    world_id = await server.world(await server.person())
    app = create_app(make_settings(folder / "data", address_limit_per_minute=12), database_url)
    codes = []
    async with serving(app) as url:
        for _ in range(4):
            async with opened(url, world_id, None) as guesser:
                await say(guesser, type="auth", token="a guess")
                codes.append((await hear(guesser))["problem"]["code"])
    assert codes == ["token_invalid", "token_invalid", "rate_limited", "rate_limited"]
