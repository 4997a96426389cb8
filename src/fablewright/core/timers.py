"""What falls due in world time, and the worker that fires it while the clock runs.

All timers of one kind that are due at the same time fire as one batch, in one transaction that also removes
them: each fires once, on one node. What cannot be fired becomes a dead letter.
"""

import asyncio
from typing import ClassVar, Final
from uuid import UUID

import asyncpg
import orjson
import structlog

from fablewright.core.actors import Allowed, system_actor
from fablewright.core.clock import monotonic
from fablewright.core.database import DATABASE_UNAVAILABLE, OVERLOADED
from fablewright.core.dice import derived_uuid, random_uuid
from fablewright.core.engine import CONTENDED, Engine, Scope
from fablewright.core.messages import Command
from fablewright.core.permissions import WORLD_IS_ADVANCING, WORLD_NOT_FOUND
from fablewright.core.reactions import bury
from fablewright.core.refusal import Refused
from fablewright.core.transaction import Request, Timer, Transaction

TRIES: Final = 3
MAX_BATCH: Final = 1_000
BATCHES_PER_TURN: Final = 20
"""How many batches of one world fire before another world has its turn."""

PASSING: Final = (OVERLOADED, DATABASE_UNAVAILABLE, CONTENDED, WORLD_IS_ADVANCING, WORLD_NOT_FOUND)
"""Refusals that say nothing about the timer; it is fired later."""

log = structlog.get_logger(__name__)


class FireTimers(Command):
    """The server fires timers of a kind that are due."""

    message_type = "core.fire_timers"
    allowed: ClassVar[Allowed] = Allowed(system_only=True)

    kind: str
    due_at: int


class FireTimersInAdvance(FireTimers):
    """The same, while the world is being fast-forwarded."""

    allowed: ClassVar[Allowed] = Allowed(system_only=True, while_advancing=True)


NEXT_DUE: Final = """
SELECT w.id AS world_id, t.due_at, t.kind,
       greatest(0, (t.due_at - w.anchor_world_ms) / w.rate
                   - (floor(extract(epoch FROM clock_timestamp()) * 1000) - w.anchor_real_ms)) AS wait_ms
FROM worlds w CROSS JOIN LATERAL (
    SELECT due_at, kind FROM timers WHERE world_id = w.id AND kind = ANY($1::text[])
    ORDER BY due_at, kind LIMIT 1
) t
WHERE NOT w.paused AND w.advance_id IS NULL
ORDER BY wait_ms LIMIT 100
"""


async def take_due(tx: Transaction, kind: str, due_at: int, most: int = MAX_BATCH) -> list[Timer]:
    """Remove and return the timers of a kind that are due at a time, in the order of their ids."""
    rows = await tx.fetch(
        "SELECT id, data::text AS data, correlation_id FROM timers "
        "WHERE world_id = $1 AND due_at = $2 AND kind = $3 ORDER BY id LIMIT $4 FOR UPDATE SKIP LOCKED",
        tx.world_id, due_at, kind, most,
    )  # fmt: skip
    timers = [Timer(r["id"], kind, due_at, orjson.loads(r["data"]), r["correlation_id"]) for r in rows]
    if timers:
        await tx.execute(
            "DELETE FROM timers WHERE world_id = $1 AND id = ANY($2::uuid[])",
            tx.world_id,
            [t.id for t in timers],
        )
    return timers


async def fire(tx: Transaction, command: FireTimers, timers: list[Timer]) -> None:
    """Let the system of these timers act. What it does has an id derived from them, so chance repeats."""
    kind = next(k for s in tx.systems for k in s.timers if k.kind == command.kind)
    correlation = timers[0].correlation_id or tx.request.id
    request = Request(
        command, tx.actor, derived_uuid(command.kind, command.due_at, timers[0].id), correlation
    )
    with tx.acting(request):
        await kind.fire(tx, timers)


async def bury_next(tx: Transaction, kind: str, due_at: int, error: BaseException) -> int:
    """Turn the next timer, which cannot be fired, into a dead letter; returns how many there were (0 or 1)."""
    timers = await take_due(tx, kind, due_at, 1)
    for timer in timers:
        letter = {
            "timer": {"id": str(timer.id), "kind": kind, "due_at": due_at, "data": timer.data,
                      "correlation_id": str(timer.correlation_id)}
        }  # fmt: skip
        cause = derived_uuid("dead letter", kind, due_at, timer.id)
        with tx.acting(Request(tx.request.command, tx.actor, cause, tx.request.correlation_id)):
            await bury(tx, "timer", kind, letter, error, attempts=TRIES + 1)
    return len(timers)


class TimerWorker:
    """Fires what falls due in worlds whose clock runs. One per process; several share the work safely."""

    def __init__(self, engine: Engine):
        self._engine = engine
        self._kinds = sorted({k.kind for s in engine.systems for k in s.timers})
        self._wake = asyncio.Event()
        self._failures: dict[tuple[UUID, str, int], int] = {}
        self._not_before: dict[UUID, float] = {}
        engine.after_commit.append(self._after_commit)

    def _after_commit(self, tx: Transaction) -> None:
        if tx.timers_changed or tx.clock_changed:
            self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._wake.clear()
            try:
                wait = await self._turn()
            except (Refused, asyncpg.PostgresError) as error:
                log.warning("timers_waiting", error=str(error))
                wait = self._engine.settings.poll_seconds
            if wait > 0:
                try:
                    async with asyncio.timeout(min(wait, self._engine.settings.poll_seconds)):
                        await self._wake.wait()
                except TimeoutError:
                    continue

    async def _turn(self) -> float:
        """Fire what is due; returns seconds until more is."""
        if not self._kinds:
            return self._engine.settings.poll_seconds
        async with self._engine.database.reading() as connection:
            rows = await connection.fetch(NEXT_DUE, self._kinds)
        wait = self._engine.settings.poll_seconds
        for row in rows:
            if self._not_before.get(row["world_id"], 0) > monotonic():
                continue
            if row["wait_ms"] > 0:
                wait = min(wait, float(row["wait_ms"]) / 1000 + 0.001)
                continue
            # Nothing fired: it failed, or another node has it; look again a little later.
            wait = 0 if await self.fire_due(row["world_id"]) else min(wait, 0.05)
        return wait

    async def fire_due(self, world_id: UUID) -> int:
        """Fire what is due in a world, in order; returns how many timers."""
        fired = 0
        for _ in range(BATCHES_PER_TURN):
            async with self._engine.database.reading() as connection:
                row = await connection.fetchrow(
                    f"SELECT * FROM ({NEXT_DUE}) due WHERE world_id = $2 AND wait_ms = 0",  # noqa: S608
                    self._kinds, world_id,
                )  # fmt: skip
            if row is None:
                break
            many = await self._fire_batch(world_id, row["kind"], row["due_at"])
            fired += many
            if not many:
                break
        return fired

    async def _fire_batch(self, world_id: UUID, kind: str, due_at: int) -> int:
        command = FireTimers(kind=kind, due_at=due_at)
        self._not_before.pop(world_id, None)
        try:
            fired = await self._fire(world_id, command, MAX_BATCH)
        except Exception as error:  # noqa: BLE001  a failing timer must not stop the others
            return await self._failed(world_id, command, error)
        self._failures.pop((world_id, kind, due_at), None)
        return fired

    async def _fire(self, world_id: UUID, command: FireTimers, most: int) -> int:
        async def work(tx: Transaction) -> int:
            if not tx.world.clock.running:  # stopped since we looked: nothing happens while time stands still
                return 0
            timers = await take_due(tx, command.kind, command.due_at, most)
            if timers:
                await fire(tx, command, timers)
            return len(timers)

        fired, _ = await self._engine.transact(Scope(world_id), self._request(command), work)
        return fired

    def _request(self, command: FireTimers) -> Request:
        return Request(command, system_actor("timer"), random_uuid(), random_uuid())

    async def _failed(self, world_id: UUID, command: FireTimers, error: Exception) -> int:
        """Try again a little later; after some tries, one by one. Returns how many timers are dealt with."""
        place = (world_id, command.kind, command.due_at)
        if isinstance(error, Refused) and error.refusal in PASSING:
            self._not_before[world_id] = monotonic() + 0.2
            return 0
        self._failures[place] = self._failures.get(place, 0) + 1
        log.error(
            "timer_failed",
            kind=command.kind,
            world=str(world_id),
            tries=self._failures[place],
            exc_info=error,
        )
        if self._failures[place] < TRIES:
            self._not_before[world_id] = monotonic() + 0.1 * 2 ** self._failures[place]
            return 0
        del self._failures[place]
        return await self._fire_singly(world_id, command)

    async def _fire_singly(self, world_id: UUID, command: FireTimers) -> int:
        """Fire those of a failing batch alone, so that only the bad ones become dead letters."""
        done = 0
        while True:
            try:
                many = await self._fire(world_id, command, 1)
            except Exception as error:
                if isinstance(error, Refused) and error.refusal in PASSING:
                    return done
                log.error("timer_given_up", kind=command.kind, world=str(world_id), exc_info=error)
                many = await self._bury(world_id, command, error)
            done += many
            if not many:
                return done

    async def _bury(self, world_id: UUID, command: FireTimers, error: Exception) -> int:
        async def work(tx: Transaction) -> int:
            return await bury_next(tx, command.kind, command.due_at, error)

        buried, _ = await self._engine.transact(Scope(world_id), self._request(command), work)
        return buried
