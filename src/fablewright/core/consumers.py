"""Durable readers of the log, each with a cursor per world; retry with backoff, then dead letters.

- A *transactional* consumer works inside a transaction that also moves its cursor: exactly once.
- A *delivering* one reaches outside, with no transaction open; then its cursor moves: at least once, and the
  event's id lets the receiver recognise a repeat.

One node at a time works on a (consumer, world): a row lock sees to that for the first, a lease for the second.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final
from uuid import UUID

import asyncpg
import structlog

from fablewright.core import leases, log
from fablewright.core.actors import Allowed, system_actor
from fablewright.core.database import DATABASE_UNAVAILABLE, OVERLOADED
from fablewright.core.dice import derived_uuid, jitter, random_uuid
from fablewright.core.engine import CONTENDED, Engine, Scope
from fablewright.core.messages import Command
from fablewright.core.permissions import WORLD_NOT_FOUND
from fablewright.core.reactions import bury, error_text
from fablewright.core.refusal import Refused
from fablewright.core.system import Consumer, Delivery
from fablewright.core.transaction import EventRecord, Request, Transaction

LEASE_SECONDS: Final = 30.0
BACKOFF_SECONDS: Final = 0.5
MAX_BACKOFF_SECONDS: Final = 300.0
WORKERS: Final = 4
DELIVERIES: Final = 32
"""How many consumers work at a time: in transactions, and on deliveries, which may hang for long."""
PASSING: Final = (OVERLOADED, DATABASE_UNAVAILABLE, CONTENDED)

logger = structlog.get_logger(__name__)


class Consume(Command):
    """A consumer takes the next events of the log."""

    message_type = "core.consume"
    allowed: ClassVar[Allowed] = Allowed(system_only=True, while_advancing=True)

    consumer: str


@dataclass(frozen=True, slots=True)
class DeliveryContext:
    """What a delivering consumer gets: where it is, and how results come back as commands."""

    world_id: UUID
    consumer: str
    execute: Callable[..., Awaitable[Any]]
    """`await execute(command, actor, world_id, key=…)`; for async consumers."""


CURSOR: Final = """
SELECT position, attempts, retry_at IS NOT NULL AND retry_at > clock_timestamp() AS waiting
FROM cursors WHERE world_id = $1 AND consumer = $2
"""
FAILED: Final = """
UPDATE cursors SET attempts = attempts + 1, last_error = $3,
       retry_at = clock_timestamp() + make_interval(secs => $4)
WHERE world_id = $1 AND consumer = $2
"""
MOVE: Final = """
UPDATE cursors SET position = $3, attempts = 0, retry_at = NULL, last_error = NULL
WHERE world_id = $1 AND consumer = $2 AND position <= $3
"""
LAGGING: Final = """
SELECT h.world_id, c.consumer FROM world_heads h CROSS JOIN unnest($1::text[]) AS c (consumer)
LEFT JOIN cursors k ON k.world_id = h.world_id AND k.consumer = c.consumer
WHERE h.seq > coalesce(k.position, 0) AND (k.retry_at IS NULL OR k.retry_at <= clock_timestamp())
ORDER BY h.world_id LIMIT 500
"""


class ConsumerWorker:
    """Feeds the consumers of the installed systems. One per process."""

    def __init__(self, engine: Engine):
        self._engine = engine
        self._consumers = {c.name: c for s in engine.systems for c in s.consumers}
        self._owner = random_uuid()
        self._wake = asyncio.Event()
        self._slots = asyncio.Semaphore(WORKERS)
        self._deliveries = asyncio.Semaphore(DELIVERIES)
        self._under_way: dict[tuple[UUID, str], asyncio.Task[None]] = {}
        self._singly_until: dict[tuple[UUID, str], int] = {}
        """Up to where a batch failed: until there, events go one at a time, so that one bad one shows."""

    async def run(self) -> None:
        """Until cancelled."""
        stop_listening = self._engine.doorbell.add(lambda _world, _seq: self._wake.set())
        try:
            while self._consumers:
                self._wake.clear()
                try:
                    await self._look()
                except (Refused, asyncpg.PostgresError) as error:
                    logger.warning("consumers_waiting", error=str(error))
                await self._sleep()
        finally:
            stop_listening()
            for task in self._under_way.values():
                task.cancel()
            await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def _sleep(self) -> None:
        try:
            async with asyncio.timeout(self._engine.settings.poll_seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _look(self) -> None:
        """Begin to feed every lagging consumer that is not being fed yet; none waits for another."""
        async with self._engine.database.reading() as connection:
            rows = await connection.fetch(LAGGING, sorted(self._consumers))
        for row in rows:
            place = (row["world_id"], row["consumer"])
            if place not in self._under_way:
                self._under_way[place] = asyncio.create_task(self._guarded(*place))

    async def _guarded(self, world_id: UUID, name: str) -> None:
        """Feed one consumer until it has caught up or must wait."""
        try:
            delivering = self._consumers[name].delivery is Delivery.DELIVERING
            async with self._deliveries if delivering else self._slots:
                moved = await self.feed(world_id, name)
            if moved:
                self._wake.set()
        except Exception as error:
            logger.error("consumer_not_fed", consumer=name, world=str(world_id), exc_info=error)
        finally:
            del self._under_way[world_id, name]

    async def feed(self, world_id: UUID, name: str) -> bool:
        """Give one consumer the next events of one world; True if its cursor moved."""
        consumer = self._consumers[name]
        await self._ensure_cursor(world_id, name)
        try:
            if consumer.delivery is Delivery.TRANSACTIONAL:
                return await self._feed_transactional(world_id, consumer)
            return await self._feed_delivering(world_id, consumer)
        except Refused as refused:
            if refused.refusal in PASSING or refused.refusal is WORLD_NOT_FOUND:
                return False
            return await self._failed(world_id, consumer, refused)
        except Exception as error:  # noqa: BLE001  one consumer's bug must not stop the others
            return await self._failed(world_id, consumer, error)

    async def _ensure_cursor(self, world_id: UUID, name: str) -> None:
        async with self._engine.database.reading() as connection:
            await connection.execute(
                "INSERT INTO cursors (world_id, consumer) SELECT id, $2 FROM worlds WHERE id = $1 "
                "ON CONFLICT DO NOTHING",
                world_id, name,
            )  # fmt: skip

    def _request(self, consumer: Consumer) -> Request:
        return Request(
            Consume(consumer=consumer.name),
            system_actor(f"consumer:{consumer.name}"),
            random_uuid(),
            random_uuid(),
        )

    def _request_for(self, consumer: Consumer, records: list[EventRecord]) -> Request:
        """The request of what a consumer does with these events, so that its chance and ids repeat."""
        cause = records[0]
        return Request(
            Consume(consumer=consumer.name),
            system_actor(f"consumer:{consumer.name}"),
            derived_uuid(consumer.name, cause.id),
            cause.correlation_id,
        )

    async def _next(
        self, connection: Any, world_id: UUID, consumer: Consumer, cursor: Any
    ) -> tuple[list[Any], int]:
        """The rows that follow, and up to where the log is then read. After a failure, one at a time."""
        singly = cursor["attempts"] or cursor["position"] < self._singly_until.get(
            (world_id, consumer.name), 0
        )
        limit = 1 if singly else consumer.batch
        types = tuple(o if isinstance(o, str) else o.message_type for o in consumer.on)
        part = await log.read(connection, world_id, cursor["position"], limit, log.Filter(types=types))
        return [row for row in part.rows if self._engine.events.get(row["type"])], part.up_to

    def _decoded(self, rows: list[Any]) -> list[EventRecord]:
        records = (log.decode(row, self._engine.events) for row in rows)
        return [record for record in records if record is not None]

    async def _feed_transactional(self, world_id: UUID, consumer: Consumer) -> bool:
        async def work(tx: Transaction) -> bool:
            cursor = await tx.fetchrow(CURSOR + " FOR UPDATE SKIP LOCKED", world_id, consumer.name)
            if cursor is None or cursor["waiting"]:
                return False
            rows, up_to = await self._next(tx.driver, world_id, consumer, cursor)
            if records := self._decoded(rows):
                with tx.acting(self._request_for(consumer, records)):
                    result = consumer.consume(tx, records)
                    if inspect.isawaitable(result):
                        await result
            await tx.execute(MOVE, world_id, consumer.name, up_to)
            return bool(up_to > cursor["position"])

        moved, _ = await self._engine.transact(Scope(world_id), self._request(consumer), work)
        return moved

    async def _feed_delivering(self, world_id: UUID, consumer: Consumer) -> bool:
        name = f"consumer:{consumer.name}:{world_id}"
        async with leases.holding(self._engine.database, name, self._owner, LEASE_SECONDS) as held:
            if not held:
                return False
            async with self._engine.database.reading() as connection:
                cursor = await connection.fetchrow(CURSOR, world_id, consumer.name)
                if cursor is None or cursor["waiting"]:
                    return False
                rows, up_to = await self._next(connection, world_id, consumer, cursor)
            if records := self._decoded(rows):
                await self._deliver(world_id, consumer, records)
            async with self._engine.database.reading() as connection:
                await connection.execute(MOVE, world_id, consumer.name, up_to)
            return bool(up_to > cursor["position"])

    async def _deliver(self, world_id: UUID, consumer: Consumer, records: list[EventRecord]) -> None:
        """Call the consumer, its lease kept alive; a plain function runs in a thread."""
        context = DeliveryContext(world_id, consumer.name, self._engine.execute)
        keeper = asyncio.create_task(self._keep_lease(f"consumer:{consumer.name}:{world_id}"))
        try:
            async with asyncio.timeout(self._engine.settings.delivery_seconds):
                await _call(consumer, context, records)
        finally:
            keeper.cancel()

    async def _keep_lease(self, name: str) -> None:
        while True:
            await asyncio.sleep(LEASE_SECONDS / 3)
            try:
                await leases.take(self._engine.database, name, self._owner, LEASE_SECONDS)
            except (Refused, asyncpg.PostgresError) as error:  # another may now deliver the same, as a repeat
                logger.warning("lease_not_renewed", lease=name, error=str(error))

    async def _failed(self, world_id: UUID, consumer: Consumer, error: Exception) -> bool:
        """Back off; after the last try, keep the event as a dead letter and go on."""
        async with self._engine.database.reading() as connection:
            cursor = await connection.fetchrow(CURSOR, world_id, consumer.name)
            if cursor is None:
                return False
            known = self._singly_until.get((world_id, consumer.name), 0)
            alone = bool(cursor["attempts"]) or cursor["position"] < known
            if not cursor["attempts"]:
                failed, failed_up_to = await self._next(connection, world_id, consumer, cursor)
                self._singly_until[world_id, consumer.name] = failed_up_to
                alone = alone or len(failed) == 1
            rows, up_to = await self._next(connection, world_id, consumer, {**cursor, "attempts": 1})
            tries = cursor["attempts"] + 1
            logger.error(
                "consumer_failed", consumer=consumer.name, world=str(world_id), tries=tries, exc_info=error
            )
            # Of a batch that failed, it is not the first event that is to blame: try it alone first.
            if tries < self._engine.settings.consumer_attempts or not rows or not alone:
                wait = min(MAX_BACKOFF_SECONDS, BACKOFF_SECONDS * 2 ** (tries - 1)) * (0.5 + jitter())
                await connection.execute(FAILED, world_id, consumer.name, error_text(error), wait)
                return False

        async def work(tx: Transaction) -> None:
            position = await tx.fetchval(
                "SELECT position FROM cursors WHERE world_id = $1 AND consumer = $2 FOR UPDATE",
                world_id,
                consumer.name,
            )
            if position != cursor["position"]:  # another node could do it meanwhile
                return
            payload = {"events": [str(rows[0]["id"])]}
            await bury(tx, "consumer", consumer.name, payload, error, attempts=tries)
            await tx.execute(MOVE, world_id, consumer.name, up_to)

        await self._engine.transact(Scope(world_id), self._request(consumer), work)
        return True


async def _call(consumer: Consumer, context: DeliveryContext, records: list[EventRecord]) -> None:
    """Call a delivering consumer, whether it is async or plain."""
    call = getattr(consumer.consume, "__call__", None)  # noqa: B004  an object may be called, too
    if inspect.iscoroutinefunction(consumer.consume) or inspect.iscoroutinefunction(call):
        await consumer.consume(context, records)
        return
    result = await asyncio.to_thread(consumer.consume, context, records)
    if inspect.isawaitable(result):
        await result
