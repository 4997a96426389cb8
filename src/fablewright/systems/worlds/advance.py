"""Fast-forward: the worker that takes a world to a later time, batch by batch.

Every batch is one transaction: the timers of one kind that are due at the same time fire with `now` = their
due time, and the clock moves there. A process that dies leaves the world between two batches; any process
goes on from there.
"""

import asyncio
from typing import ClassVar, Final
from uuid import UUID

import asyncpg
import structlog

from fablewright.core import leases
from fablewright.core.actors import Allowed, system_actor
from fablewright.core.clock import monotonic
from fablewright.core.database import DATABASE_UNAVAILABLE, OVERLOADED
from fablewright.core.dice import derived_uuid, random_uuid
from fablewright.core.engine import CONTENDED, Engine, Scope
from fablewright.core.messages import Command
from fablewright.core.refusal import Refused
from fablewright.core.timers import MAX_BATCH, TRIES, FireTimersInAdvance, bury_next, fire, take_due
from fablewright.core.transaction import Request, Transaction
from fablewright.systems.worlds import events, service

LEASE_SECONDS: Final = 3.0
"""After a process has died, another one goes on with its advances after this long at most.

One that holds a lease for longer than it lasts does no harm: the world's row lets one batch happen at a time.
"""
PASSING: Final = (OVERLOADED, DATABASE_UNAVAILABLE, CONTENDED)

log = structlog.get_logger(__name__)


class AdvanceStep(Command):
    """The server advances a world by one batch of timers, or to the end."""

    message_type = "worlds.advance_step"
    allowed: ClassVar[Allowed] = Allowed(system_only=True, while_advancing=True)

    advance_id: UUID


class AdvanceWorker:
    """Does the advances of all worlds; one process at a time works on each."""

    def __init__(self, engine: Engine):
        self._engine = engine
        self._owner = random_uuid()
        self._kinds = sorted({k.kind for s in engine.systems for k in s.timers})
        self._wake = asyncio.Event()
        self._jobs: dict[UUID, asyncio.Task[None]] = {}
        self._place: dict[UUID, tuple[str, int] | None] = {}
        engine.after_commit.append(self._after_commit)

    def _after_commit(self, tx: Transaction) -> None:
        if tx.clock_changed:
            self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                self._wake.clear()
                try:
                    await self._begin_jobs()
                except (Refused, asyncpg.PostgresError) as error:
                    log.warning("advance_waiting", error=str(error))
                try:
                    async with asyncio.timeout(self._engine.settings.poll_seconds):
                        await self._wake.wait()
                except TimeoutError:
                    continue
        finally:
            for job in self._jobs.values():
                job.cancel()
            await asyncio.gather(*self._jobs.values(), return_exceptions=True)

    async def _begin_jobs(self) -> None:
        """A task for each advance that has none: a long one keeps no other waiting."""
        async with self._engine.database.reading() as connection:
            rows = await connection.fetch("SELECT id, advance_id FROM worlds WHERE advance_id IS NOT NULL")
        for row in rows:
            if row["advance_id"] not in self._jobs:
                self._jobs[row["advance_id"]] = asyncio.create_task(self._job(row["id"], row["advance_id"]))

    async def _job(self, world_id: UUID, advance_id: UUID) -> None:
        try:
            await self.advance(world_id, advance_id)
        except (Refused, asyncpg.PostgresError) as error:
            log.warning("advance_waiting", world=str(world_id), error=str(error))
        except Exception as error:
            log.error("advance_failed", world=str(world_id), exc_info=error)
        finally:
            self._jobs.pop(advance_id, None)
            self._place.pop(world_id, None)

    async def advance(self, world_id: UUID, advance_id: UUID) -> None:
        """Take one world as far as it goes, unless another process does."""
        name = f"advance:{advance_id}"
        async with leases.holding(self._engine.database, name, self._owner, LEASE_SECONDS) as mine:
            held, taken_at = mine, monotonic()
            while held and await self._step_with_tries(world_id, advance_id):
                if monotonic() - taken_at > LEASE_SECONDS / 3:
                    held = await leases.take(self._engine.database, name, self._owner, LEASE_SECONDS)
                    taken_at = monotonic()

    async def _step_with_tries(self, world_id: UUID, advance_id: UUID) -> bool:
        """One batch; True while there is more to do. After some failures its timers become dead letters."""
        for tries in range(1, TRIES + 1):
            try:
                return await self._step(world_id, advance_id)
            except Exception as error:
                place = self._place.get(world_id)
                if place is None or (isinstance(error, Refused) and error.refusal in PASSING):
                    raise
                log.error("timer_failed", world=str(world_id), kind=place[0], tries=tries, exc_info=error)
        assert place is not None
        return await self._singly(world_id, advance_id, place)

    async def _singly(self, world_id: UUID, advance_id: UUID, place: tuple[str, int]) -> bool:
        """Fire those of a failing batch alone, so that only the bad ones become dead letters."""
        more = True
        while more:
            try:
                more = await self._step(world_id, advance_id, place)
            except Exception as error:
                if isinstance(error, Refused) and error.refusal in PASSING:
                    raise
                log.error("timer_given_up", world=str(world_id), kind=place[0], exc_info=error)
                more = await self._step(world_id, advance_id, place, error)
        return True

    async def _step(
        self,
        world_id: UUID,
        advance_id: UUID,
        alone: tuple[str, int] | None = None,
        failure: Exception | None = None,
    ) -> bool:
        """One batch, or to the end; with `alone`, one timer of that kind and time (or, given up, none)."""
        request = Request(
            AdvanceStep(advance_id=advance_id),
            system_actor("advance"),
            derived_uuid("advance", advance_id),
            advance_id,
            recorded=True,
        )

        async def work(tx: Transaction) -> bool:
            to_ms = await tx.fetchval(
                "SELECT advance_to FROM worlds WHERE id = $1 AND advance_id = $2 FOR NO KEY UPDATE",
                world_id, advance_id,
            )  # fmt: skip
            if to_ms is None:
                return False
            due = await tx.fetchrow(
                "SELECT due_at, kind FROM timers WHERE world_id = $1 AND due_at <= $2 AND kind = ANY($3::text[]) "
                "ORDER BY due_at, kind LIMIT 1",
                world_id, to_ms, self._kinds,
            )  # fmt: skip
            self._place[world_id] = place = (due["kind"], due["due_at"]) if due else None
            if alone not in (None, place):
                return False
            if place is None:
                await self._arrive(tx, advance_id, to_ms)
                return False
            await self._fire(tx, advance_id, place, MAX_BATCH if alone is None else 1, failure)
            return True

        more, _ = await self._engine.transact(Scope(world_id), request, work)
        return more

    async def _fire(
        self, tx: Transaction, advance_id: UUID, place: tuple[str, int], most: int, failure: Exception | None
    ) -> None:
        kind, due_at = place
        tx.now = max(tx.now, due_at)
        fired = 0
        if failure is not None:
            await bury_next(tx, kind, due_at, failure)
        else:
            timers = await take_due(tx, kind, due_at, most)
            fired = len(timers)
            if timers:
                await fire(tx, FireTimersInAdvance(kind=kind, due_at=due_at), timers)
        await tx.execute("UPDATE worlds SET anchor_world_ms = $2 WHERE id = $1", tx.world_id, tx.now)
        await tx.execute(
            "UPDATE advances SET batches = batches + 1, timers_fired = timers_fired + $3, reached_ms = $4 "
            "WHERE world_id = $1 AND id = $2",
            tx.world_id, advance_id, fired, tx.now,
        )  # fmt: skip
        tx.clock_changed = True

    async def _arrive(self, tx: Transaction, advance_id: UUID, to_ms: int) -> None:
        tx.now = max(tx.now, to_ms)
        row = await tx.fetchrow(
            "SELECT from_ms, timers_fired FROM advances WHERE world_id = $1 AND id = $2",
            tx.world_id,
            advance_id,
        )
        await service.end_advance(tx, advance_id, tx.now, "done")
        tx.emit(events.Advanced(
            advance_id=advance_id, from_ms=row["from_ms"], to_ms=tx.now, timers_fired=row["timers_fired"]
        ))  # fmt: skip


async def run(engine: Engine) -> None:
    """The worker, as a system brings it."""
    await AdvanceWorker(engine).run()
