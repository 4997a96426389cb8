"""Load on a server that is about to break, a reader that watches it, and the comparison afterwards.

Every command carries an Idempotency-Key. After a broken connection or an answer that says "not now", it is sent
again with the same key until there is an answer. What was acknowledged must then stand in the log exactly once.
"""

import asyncio
import random
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, WebSocketException

from fablewright.app import open_runtime
from fablewright.core.dice import derived_uuid
from fablewright.integration.doctor import examine
from fablewright.settings import Settings
from tests.faults.processes import ServerProcess
from tests.support import PASSWORD, http_client, until

API = "/api/v1"
RETRY_SECONDS = 0.03
PATIENCE_SECONDS = 60.0
NOT_NOW = {"contended", "overloaded", "database_unavailable", "queue_full", "world_is_advancing"}


@dataclass
class Owner:
    """An account and a world of its own."""

    id: UUID
    token: str
    world_id: UUID
    characters: list[UUID] = field(default_factory=list)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    @property
    def path(self) -> str:
        return f"{API}/worlds/{self.world_id}"


async def call(address: str, method: str, path: str, body: Any = None, headers: Any = None) -> Any:
    """One request that must succeed; its JSON."""
    async with http_client(base_url=address, timeout=30) as client:
        answer = await client.request(method, path, json=body, headers=headers)
    assert answer.status_code < 300, answer.text
    return answer.json() if answer.content else None


async def settle_in(address: str, characters: int = 8, **world: Any) -> Owner:
    """Register, log in, make a world and some npc characters in it."""
    login = f"p-{uuid.uuid4().hex[:16]}"
    body = {"login": login, "password": PASSWORD, "display_name": "Somebody"}
    profile = await call(address, "POST", f"{API}/auth/register", body)
    tokens = await call(address, "POST", f"{API}/auth/login", {"login": login, "password": PASSWORD})
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    fields = {"name": "A world in trouble", "seed": 7, "rate": 10_000.0, **world}
    made = await call(address, "POST", f"{API}/worlds", fields, headers)
    owner = Owner(UUID(profile["id"]), tokens["access_token"], UUID(made["result"]["id"]))
    commands = [
        {"type": "characters.create_character", "payload": {"name": f"First {n}"}} for n in range(characters)
    ]
    if commands:
        answer = await call(address, "POST", f"{owner.path}/commands", commands, headers)
        owner.characters = [UUID(result["id"]) for result in answer["results"]]
    return owner


@dataclass
class Load:
    """Clients that give commands to a server, whatever happens to it."""

    servers: list[ServerProcess]
    owner: Owner
    clients: int = 16
    seed: int = 1
    acknowledged: dict[str, dict[str, Any]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    given_up: set[str] = field(default_factory=set)
    bugs: list[str] = field(default_factory=list)
    troubles: Counter[str] = field(default_factory=Counter)
    unheard: set[str] = field(default_factory=set)
    """Commands that ran, but whose first answer was lost: only the second sending was answered."""
    retry_after_missing: int = 0
    sent: dict[str, Any] = field(default_factory=dict)
    patience: float = PATIENCE_SECONDS
    pause: float = RETRY_SECONDS
    """How long (s) a client waits before it sends again."""
    _stopping: bool = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Give commands while the block runs; then bring those under way to an answer."""
        tasks = [asyncio.create_task(self._client(number)) for number in range(self.clients)]
        try:
            yield
            self._stopping = True
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def reach(self, more: int, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until so many more commands are acknowledged."""
        wanted = len(self.acknowledged) + more

        async def enough() -> bool:
            assert not self.bugs, self.bugs[0]
            return len(self.acknowledged) >= wanted

        await until(enough, seconds)

    async def _client(self, number: int) -> None:
        chance = random.Random(f"{self.seed} {number}")
        count = 0
        limits = httpx.Limits(max_keepalive_connections=1)
        async with http_client(timeout=10, limits=limits, headers=self.owner.headers) as client:
            while not self._stopping:
                key = f"{self.seed}-{number}-{count}"
                count += 1
                self.sent[key] = self._command(key, chance)
                await self.give(client, key)

    def _command(self, key: str, chance: random.Random) -> dict[str, Any]:
        if chance.random() < 0.4 or len(self.owner.characters) < 2:
            return {"type": "characters.create_character", "payload": {"name": key}}
        one, other = chance.sample(self.owner.characters, 2)
        kind = chance.choice(["greeting", "chat", "collaboration", "conflict"])
        values = {"initiator_id": str(one), "target_id": str(other), "type": kind, "content": key}
        return {"type": "dialogue.interact", "payload": values}

    async def give(self, client: httpx.AsyncClient, key: str) -> None:
        """Send one command until there is an answer to it."""
        async with asyncio.timeout(self.patience):
            attempt = 0
            while not await self._try(client, key, attempt):
                attempt += 1
                if self._stopping and not any(server.lives for server in self.servers):
                    self.given_up.add(key)
                    return
                await asyncio.sleep(self.pause)

    async def _try(self, client: httpx.AsyncClient, key: str, attempt: int) -> bool:
        server = self.servers[(hash(key) + attempt) % len(self.servers)]
        try:
            answer = await self._post(client, server, key)
        except httpx.TransportError as error:
            self.troubles[type(error).__name__] += 1
            return False
        body = answer.json()
        if answer.status_code < 300:
            self.acknowledged[key] = body
            if "idempotency-replayed" in answer.headers:
                self.unheard.add(key)
            return True
        code = body["code"]
        if code in NOT_NOW:
            self.troubles[code] += 1
            self.retry_after_missing += code == "database_unavailable" and "retry-after" not in answer.headers
            return False
        if answer.status_code >= 500:
            self.bugs.append(f"{key}: {answer.status_code} {answer.text}")
        self.refused[key] = code
        return True

    async def _post(self, client: httpx.AsyncClient, server: ServerProcess, key: str) -> httpx.Response:
        """Send it once."""
        return await client.post(
            f"{server.address}{self.owner.path}/commands",
            json=self.sent[key],
            headers={"Idempotency-Key": key},
        )


@dataclass
class Reader:
    """A WebSocket client that reconnects with the last `up_to` whenever it loses the connection."""

    servers: list[ServerProcess]
    owner: Owner
    storm: int | None = None
    """If given, it drops the connection after so many frames, and goes to the next server."""
    gate: asyncio.Event | None = None
    """If given, nothing is read before it is set: a reader that is far too slow."""
    position: int = 0
    events: list[dict[str, Any]] = field(default_factory=list, repr=False)
    connections: int = 0
    trouble: str = ""
    """How the last connection ended."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._read())
        try:
            yield
        finally:
            task.cancel()
            results = await asyncio.gather(task, return_exceptions=True)
            if not isinstance(results[0], asyncio.CancelledError):
                raise AssertionError(f"the reader ended by itself: {results[0]!r}")

    async def reach(self, seq: int, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until it has seen the log up to `seq`."""

        async def there() -> bool:
            return self.position >= seq

        try:
            await until(there, seconds)
        except TimeoutError:
            raise AssertionError(
                f"a reader (storm {self.storm}) is at {self.position} of {seq} after {self.connections} connections"
            ) from None

    async def _read(self) -> None:
        while True:
            server = self.servers[self.connections % len(self.servers)]
            url = f"{server.address.replace('http', 'ws')}/ws/worlds/{self.owner.world_id}"
            self.connections += 1
            try:
                async with connect(
                    url, compression=None, max_size=None, max_queue=2, open_timeout=5, close_timeout=1,
                    additional_headers=self.owner.headers,
                ) as socket:  # fmt: skip
                    await self._converse(socket)
            except (OSError, WebSocketException, InvalidHandshake, TimeoutError) as error:
                self.trouble = repr(error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _converse(self, socket: ClientConnection) -> None:
        frames = 0
        await socket.send(orjson.dumps({"type": "subscribe", "after": self.position}).decode())
        while self.storm is None or frames < self.storm:
            if self.gate is not None:
                await self.gate.wait()
            message = orjson.loads(await socket.recv())
            if message["type"] == "refused":
                assert message["problem"]["code"] in NOT_NOW, message
                self.trouble = message["problem"]["code"]
                return
            if message["type"] != "events":
                continue
            frames += 1
            for event in message["events"]:
                assert event["seq"] == len(self.events) + 1, (event["seq"], len(self.events))
                self.events.append(event)
            assert message["up_to"] == len(self.events)
            self.position = message["up_to"]
        socket.transport.abort()  # no farewell: the connection is just gone


async def doctor(url: str, settings: Settings) -> list[str]:
    """What the doctor finds in a database."""
    async with open_runtime(settings, url, work=False) as runtime:
        return [f"{f.check}: {f.text} ({f.world_id})" for f in await examine(runtime)]


async def fetch(url: str, sql: str, *arguments: Any) -> list[Any]:
    """Rows of a statement, as the superuser, over a connection of its own."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        return list(await connection.fetch(sql, *arguments))
    finally:
        await connection.close()


async def verify(url: str, settings: Settings, load: Load, *readers: Reader) -> list[Any]:
    """Compare what was acknowledged with what the database holds, and with what readers saw; the log's rows."""
    owner = load.owner
    assert not load.bugs, load.bugs[0]
    assert load.retry_after_missing == 0
    rows = await fetch(
        url,
        "SELECT seq, id, type, correlation_id, command::text AS command, data ->> 'name' AS name "
        "FROM events WHERE world_id = $1 ORDER BY seq",
        owner.world_id,
    )
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
    first = [(UUID(orjson.loads(row["command"])["id"]), row) for row in rows if row["command"]]
    ran = Counter(command_id for command_id, _ in first)
    place = dict(first)
    for key, body in load.acknowledged.items():
        command_id = derived_uuid(f"user:{owner.id}", key)
        assert ran[command_id] == 1, f"{key} was acknowledged and ran {ran[command_id]} times"
        assert place[command_id]["seq"] <= body["seq"]
        assert rows[body["seq"] - 1]["correlation_id"] == place[command_id]["correlation_id"], key
    for key in load.refused:
        assert derived_uuid(f"user:{owner.id}", key) not in ran, f"{key} was refused and ran"
    for key in load.given_up:
        assert ran[derived_uuid(f"user:{owner.id}", key)] <= 1, key
    await _verify_characters(url, load)
    for reader in readers:
        await reader.reach(len(rows))
        assert [UUID(event["id"]) for event in reader.events] == [row["id"] for row in rows]
    assert await doctor(url, settings) == []
    return rows


async def _verify_characters(url: str, load: Load) -> None:
    """Every character that was acknowledged is there once, and none that was not asked for."""
    found = await fetch(
        url, "SELECT name, count(*) AS many FROM characters WHERE world_id = $1 GROUP BY name", load.owner.world_id
    )  # fmt: skip
    many = {row["name"]: row["many"] for row in found if not row["name"].startswith("First ")}
    made = {k for k in load.acknowledged if load.sent[k]["type"] == "characters.create_character"}
    assert set(many.values()) <= {1}
    assert made <= many.keys() <= made | load.given_up


async def replayed(server: ServerProcess, load: Load, many: int = 5) -> None:
    """Some of the acknowledged commands, sent again, get the same answer and do nothing."""
    keys = sorted(load.acknowledged)[:: max(1, len(load.acknowledged) // many)]
    async with http_client(base_url=server.address, headers=load.owner.headers, timeout=30) as client:
        for key in keys:
            answer = await client.post(
                f"{load.owner.path}/commands", json=load.sent[key], headers={"Idempotency-Key": key}
            )
            assert answer.headers["idempotency-replayed"] == "true"
            assert answer.json() == load.acknowledged[key]
