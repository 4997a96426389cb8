"""`fablewright watch`: the live feed of a world of a running server, by WebSocket."""

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit

import typer
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

from fablewright.cli.client import Client
from fablewright.cli.failures import Failure
from fablewright.cli.signals import end_in_order, end_undisturbed
from fablewright.cli.story import Story
from fablewright.cli.terminal import out, say
from fablewright.core.clock import Calendar, wall_seconds

RENEW_BEFORE_SECONDS = 30.0
FIRST_WAIT_SECONDS = 0.5
MOST_WAIT_SECONDS = 10.0
MOST_FRAME_BYTES = 64 * 2**20


def watch_world(
    url: str, world: str, *, token: str | None, login: str | None, after: int | None, follow: bool = True
) -> None:
    """Tell what happens in a world, named by id or name, until a signal asks us to end.

    Without `follow` it ends when all that has happened is told.
    """
    end_in_order()
    try:
        client = Client(url, token)
        if token is None:
            login = login or typer.prompt("Login")
            client.log_in(login, typer.prompt("Password", hide_input=True))
        asyncio.run(_Watcher(client, _find(client, world), after, follow).run())
    except KeyboardInterrupt:
        return
    finally:
        end_undisturbed()


def _find(client: Client, world: str) -> dict[str, Any]:
    mine = client.everything("/worlds")
    found = [w for w in mine if world in (w["id"], w["name"])]
    if len(found) != 1:
        known = ", ".join(f"{w['name']} ({w['id']})" for w in mine[:5]) or "none"
        raise Failure(f"{len(found) or 'No'} worlds of yours are called {world!r}. Yours are: {known}.")
    return found[0]


class _AllTold(Exception):
    """Nothing more is asked for."""


class _Watcher:
    """Follows one world over as many connections as it takes; each goes on where the last one ended."""

    def __init__(self, client: Client, world: dict[str, Any], after: int | None, follow: bool):
        self._client = client
        self._world = world["id"]
        self._after = after if follow or after is not None else 0
        self._goes_on = follow
        characters = client.everything(f"/worlds/{self._world}/characters")
        places = client.everything(f"/worlds/{self._world}/places")
        boards = client.everything(f"/worlds/{self._world}/leaderboards")
        powers = [
            *client.everything(f"/worlds/{self._world}/factions"), *client.everything(f"/worlds/{self._world}/regions")
        ]  # fmt: skip
        names = {named["id"]: named["name"] for named in (*characters, *places, *powers)}
        names |= {board["key"]: board["name"] for board in boards}
        calendar = world.get("calendar")
        self._story = Story(Calendar(**calendar) if calendar else Calendar(), names)
        self._renew_at = float("inf")

    async def run(self) -> None:
        """Until cancelled, or all is told. Raises `Failure` if the server refuses us."""
        wait = FIRST_WAIT_SECONDS
        while True:
            began = wall_seconds()
            try:
                async with self._connect() as connection:
                    await self._follow(connection)
            except _AllTold:
                return
            except (ConnectionClosed, InvalidHandshake, InvalidMessage, OSError) as error:
                say(f"The connection is gone ({type(error).__name__}); trying again in {wait:g} s.")
            wait = FIRST_WAIT_SECONDS if wall_seconds() - began > MOST_WAIT_SECONDS else wait
            await asyncio.sleep(wait)
            wait = min(MOST_WAIT_SECONDS, 2 * wait)

    def _connect(self) -> connect:
        address = urlsplit(self._client.url)
        scheme = "wss" if address.scheme == "https" else "ws"
        return connect(
            f"{scheme}://{address.netloc}{address.path}/ws/worlds/{self._world}",
            additional_headers={"Authorization": f"Bearer {self._client.token}"}, max_size=MOST_FRAME_BYTES,
        )  # fmt: skip

    async def _follow(self, connection: ClientConnection) -> None:
        subscribe = (
            {"type": "subscribe"} if self._after is None else {"type": "subscribe", "after": self._after}
        )
        await connection.send(json.dumps(subscribe))
        while True:
            try:
                async with asyncio.timeout(max(0.0, min(self._renew_at - wall_seconds(), 3600.0))):
                    message = json.loads(await connection.recv())
            except TimeoutError:
                if wall_seconds() >= self._renew_at:
                    await self._renew(connection)
                continue
            self._hear(message)

    async def _renew(self, connection: ClientConnection) -> None:
        self._renew_at = float("inf")
        if await asyncio.to_thread(self._client.renew):
            await connection.send(json.dumps({"type": "auth", "token": self._client.token}))

    def _hear(self, message: dict[str, Any]) -> None:
        if message["type"] == "authenticated" and message["valid_until"] is not None:
            self._renew_at = message["valid_until"] - RENEW_BEFORE_SECONDS
        elif message["type"] == "subscribed":
            self._after = message["after"]
        elif message["type"] == "live":
            self._after = message["up_to"]
            if not self._goes_on:
                raise _AllTold
            say(f"Live from event {self._after} on. Ctrl-C ends it.")
        elif message["type"] == "events":
            for event in message["events"]:
                for line in self._story.tell(event):
                    out.print(line)
            self._after = message["up_to"]
        elif message["type"] == "refused" and message["problem"]["status"] not in (429, 503):
            raise Failure(f"{message['problem']['detail']} [{message['problem']['code']}]")
