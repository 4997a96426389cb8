"""The doorbell: "world W is at seq N". It carries no data and may be lost; then listeners are late, never wrong.

It rings in this process at once, and in the others through PostgreSQL's NOTIFY on a connection of its own,
gathered over some milliseconds. Each process also looks at the heads now and then, once for all its listeners.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

import asyncpg
import orjson
import structlog

from fablewright.core.clock import monotonic
from fablewright.core.database import CONNECTION_TROUBLE, Database
from fablewright.core.dice import random_token
from fablewright.core.refusal import Refused

CHANNEL = "fablewright_doorbell"
PAYLOAD_WORLDS = 100
"""Worlds in one NOTIFY; its payload may hold 8,000 bytes."""

log = structlog.get_logger(__name__)
Listener = Callable[[UUID, int], None]


class Doorbell:
    """Tells listeners in this process, and in all others on the same database, that a world has moved."""

    def __init__(self, database: Database, *, gather_ms: int = 3, poll_seconds: float = 1.0):
        self._database = database
        self._gather = gather_ms / 1000
        self._poll = poll_seconds
        self._listeners: set[Listener] = set()
        self._pending: dict[UUID, int] = {}
        self._heads: dict[UUID, int] = {}
        self._ring_wanted = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._me = random_token(6)
        self.listening = False

    async def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._announce_forever(), name="doorbell-announce"),
            asyncio.create_task(self._listen_forever(), name="doorbell-listen"),
            asyncio.create_task(self._poll_forever(), name="doorbell-poll"),
        ]

    async def stop(self) -> None:
        """Ring and listen no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    def add(self, listener: Listener) -> Callable[[], None]:
        """Call `listener(world_id, seq)` at every ring; returns how to stop. It must be quick and not raise."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def ring(self, world_id: UUID, seq: int) -> None:
        """Tell everyone; for after the commit."""
        self._tell(world_id, seq)
        self._pending[world_id] = max(seq, self._pending.get(world_id, 0))
        self._ring_wanted.set()

    def _tell(self, world_id: UUID, seq: int) -> None:
        if seq > self._heads.get(world_id, 0):
            self._heads[world_id] = seq
        for listener in tuple(self._listeners):
            listener(world_id, seq)

    async def _announce_forever(self) -> None:
        connection: Any = None
        try:
            while True:
                await self._ring_wanted.wait()
                await asyncio.sleep(self._gather)
                self._ring_wanted.clear()
                rings, self._pending = self._pending, {}
                try:
                    if connection is None or connection.is_closed():
                        connection = await self._database.dedicated("fablewright doorbell")
                    await self._notify(connection, rings)
                except CONNECTION_TROUBLE as error:
                    # Law 3: a lost ring makes others late, not wrong; they look at the heads themselves.
                    log.warning("doorbell_lost", error=str(error), rings=len(rings))
                    await asyncio.sleep(self._poll)
        finally:
            if connection is not None:
                await connection.close()

    async def _notify(self, connection: Any, rings: dict[UUID, int]) -> None:
        items = [(str(world), seq) for world, seq in rings.items()]
        for start in range(0, len(items), PAYLOAD_WORLDS):
            payload = orjson.dumps([self._me, *items[start : start + PAYLOAD_WORLDS]]).decode()
            await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, payload)

    async def _listen_forever(self) -> None:
        """Listen, and begin anew when the connection is lost, but no more often than we look at the heads."""
        while True:
            began = monotonic()
            try:
                await self._listen()
            except CONNECTION_TROUBLE as error:
                log.warning("doorbell_deaf", error=str(error))
            await asyncio.sleep(max(0.0, began + self._poll - monotonic()))

    async def _listen(self) -> None:
        """Until the connection is lost."""
        connection = await self._database.dedicated("fablewright listener")
        closed = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _connection: closed.set())
            await connection.add_listener(CHANNEL, self._heard)
            self.listening = True
            await closed.wait()
        finally:
            self.listening = False
            with suppress(*CONNECTION_TROUBLE):
                await connection.close()

    def _heard(self, _connection: Any, _pid: int, _channel: str, payload: str) -> None:
        sender, *rings = orjson.loads(payload)
        if sender == self._me:
            return
        for world, seq in rings:
            self._tell(UUID(world), seq)

    async def _poll_forever(self) -> None:
        """Find the rings that were missed, by looking at all heads that moved."""
        while True:
            await asyncio.sleep(self._poll)
            if not self._listeners:
                continue
            try:
                async with self._database.reading() as connection:
                    rows = await connection.fetch("SELECT world_id, seq FROM world_heads")
            except (Refused, asyncpg.PostgresError) as error:
                log.warning("doorbell_poll_failed", error=str(error))
                continue
            seen = {row["world_id"]: row["seq"] for row in rows}
            for world_id, seq in seen.items():
                if seq > self._heads.get(world_id, -1):
                    self._tell(world_id, seq)
            self._heads = {w: max(s, self._heads.get(w, 0)) for w, s in seen.items()}
