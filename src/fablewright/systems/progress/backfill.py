"""The worker that lets measures catch up with the past, in chunks; a process that dies leaves the rest to any other.

Each chunk is one transaction: it counts a piece of the log, notes how far it came, and tells who listens. The
last one locks the world's head, counts what is left, and lets the measures count by themselves from there. The
definitions change with it, so that every commit that began before runs again and is counted: each event once.

Then the measures settle: who listens is told once how far each subject has come.

What fails does not stop others: those measures go on one by one, in smaller chunks if there was too much to tell, and
each waits longer after each failure.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final
from uuid import UUID

import asyncpg
import orjson
import structlog

from fablewright.core import log as world_log
from fablewright.core.actors import Allowed, system_actor
from fablewright.core.clock import monotonic
from fablewright.core.database import is_connection_loss
from fablewright.core.dice import derived_uuid
from fablewright.core.engine import Engine, Scope
from fablewright.core.log import ClockMoved, Filter
from fablewright.core.messages import Command
from fablewright.core.refusal import Refused
from fablewright.core.transaction import TOO_MANY_EVENTS, Request, Transaction
from fablewright.systems.progress import service
from fablewright.systems.progress.events import CaughtUp
from fablewright.systems.progress.rules import Measure, Tally, Watched
from fablewright.systems.progress.service import Moved, Step, spec_of

CHUNK: Final = 1_000
"""Events, or subjects, of one transaction."""
LONGEST_PAUSE: Final = 60.0
"""Seconds between two tries, at most, in a world where it fails."""

BEHIND: Final = "SELECT DISTINCT world_id FROM measures WHERE state <> 'live'"
NEXT: Final = """
SELECT id, spec::text AS spec, state, caught_up_to, settled_to FROM measures
WHERE world_id = $1 AND state <> 'live' ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
"""
DEFINITIONS: Final = "SELECT definitions FROM world_heads WHERE world_id = $1"
SUBJECTS: Final = """
SELECT subject_id, value FROM measure_values
WHERE world_id = $1 AND measure_id = $2 AND ($3::uuid IS NULL OR subject_id > $3) ORDER BY subject_id LIMIT $4
"""

log = structlog.get_logger(__name__)


class CatchUp(Command):
    """The server lets measures of a world catch up by one chunk."""

    message_type = "progress.catch_up"
    allowed: ClassVar[Allowed] = Allowed(system_only=True, while_advancing=True)

    measure_ids: list[UUID]
    after: str


@dataclass(slots=True)
class Trouble:
    """A measure that failed: it goes alone, `size` events or subjects at a time, and not before some moment."""

    size: int
    failures: int = 0
    not_before: float = 0.0


class Backfill:
    """Lets the measures of all worlds catch up. One per process; several share the work safely."""

    def __init__(self, engine: Engine):
        self._engine = engine
        self._wake = asyncio.Event()
        self._failures: dict[UUID, int] = {}
        self._not_before: dict[UUID, float] = {}
        self._troubles: dict[UUID, Trouble] = {}
        engine.after_commit.append(self._after_commit)

    def _after_commit(self, tx: Transaction) -> None:
        if tx.definitions_changed:
            self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._wake.clear()
            try:
                busy = await self._turn()
            except (Refused, asyncpg.PostgresError) as error:
                log.warning("backfill_waiting", error=str(error))
                busy = False
            if not busy:
                try:
                    async with asyncio.timeout(self._engine.settings.poll_seconds):
                        await self._wake.wait()
                except TimeoutError:
                    continue

    async def _turn(self) -> bool:
        """One chunk in each world that is behind; whether there is more to do."""
        async with self._engine.database.reading() as connection:
            rows = await connection.fetch(BEHIND)
        busy = False
        for row in rows:
            world_id = row["world_id"]
            if self._not_before.get(world_id, 0) > monotonic():
                continue
            try:
                done, error = await self._attempt(world_id)
                busy = busy or done
                self._failures.pop(world_id, None)
                if error is not None:
                    log.error("backfill_of_measure_failed", world=str(world_id), exc_info=error)
            except Exception as error:  # one world must not stop the others
                failures = self._failures[world_id] = self._failures.get(world_id, 0) + 1
                self._not_before[world_id] = monotonic() + min(LONGEST_PAUSE, 0.1 * 2 ** min(failures, 10))
                log.error("backfill_failed", world=str(world_id), failures=failures, exc_info=error)
        return busy

    async def step(self, world_id: UUID) -> bool:
        """One chunk of the measures of a world that are least far; whether something was done."""
        done, error = await self._attempt(world_id)
        if error is not None:
            raise error
        return done

    async def _attempt(self, world_id: UUID) -> tuple[bool, Exception | None]:
        """The same, with what went wrong with one measure that now has to wait, so that others can go on."""
        chosen: list[UUID] = []
        size = CHUNK
        request = Request(
            CatchUp(measure_ids=[], after=""), system_actor("progress"), derived_uuid("catch up", world_id),
            derived_uuid("catch up", world_id),
        )  # fmt: skip

        async def work(tx: Transaction) -> bool:
            nonlocal size
            rows = await tx.fetch(NEXT, tx.world_id)
            if rows and await tx.fetchval(DEFINITIONS, tx.world_id) != tx.world.definitions:
                raise ClockMoved  # who uses these measures would not be known
            rows = [row for row in rows if not self._waits(row["id"])]
            behind = [row for row in rows if row["state"] == "catching_up"]
            if behind:
                position = min(row["caught_up_to"] for row in behind)
                group = [row for row in behind if row["caught_up_to"] == position]
                alone = [row for row in group if row["id"] in self._troubles]
                group = alone[:1] or group
            else:
                position, group = rows[0]["settled_to"] if rows else None, rows[:1]
            chosen[:] = [row["id"] for row in group]
            size = min([CHUNK, *(t.size for i in chosen if (t := self._troubles.get(i)) is not None)])
            if group:
                with tx.acting(_request(tx, group, position)):
                    await (_catch_up(tx, group, position, size) if behind else _settle(tx, group[0], size))
            return bool(group)

        try:
            done, _ = await self._engine.transact(Scope(world_id), request, work)
        except Exception as error:
            if not chosen or is_connection_loss(error):
                raise
            return True, self._trouble(chosen, size, error)
        for id_ in chosen:
            self._better(id_, size)
        return done, None

    def _waits(self, measure_id: UUID) -> bool:
        trouble = self._troubles.get(measure_id)
        return trouble is not None and trouble.not_before > monotonic()

    def _trouble(self, chosen: Sequence[UUID], size: int, error: Exception) -> Exception | None:
        """Note what failed; returns the error if the one measure concerned can only wait."""
        if len(chosen) > 1:
            for id_ in chosen:
                self._troubles[id_] = Trouble(size)
            return None
        trouble = self._troubles.setdefault(chosen[0], Trouble(size))
        if isinstance(error, Refused) and error.refusal is TOO_MANY_EVENTS and size > 1:
            trouble.size = size // 2
            return None
        trouble.failures += 1
        trouble.not_before = monotonic() + min(LONGEST_PAUSE, 0.1 * 2 ** min(trouble.failures, 10))
        return error

    def _better(self, measure_id: UUID, size: int) -> None:
        trouble = self._troubles.get(measure_id)
        if trouble is not None:
            trouble.size, trouble.failures = 2 * size, 0
            if trouble.size > CHUNK:
                del self._troubles[measure_id]


def _request(tx: Transaction, rows: list[Any], position: object) -> Request:
    """What a chunk does has an id derived from its measures and from where it begins."""
    ids = [row["id"] for row in rows]
    command = CatchUp(measure_ids=ids[:100], after=str(position))
    id_ = derived_uuid(tx.request.id, position, *ids)
    return Request(command, tx.actor, id_, tx.request.correlation_id)


async def _catch_up(tx: Transaction, group: list[Any], position: int, size: int) -> None:
    """Count a piece of the log for these measures, and if it was the last one, let them go on by themselves."""
    watched = Watched(Measure.of(row["id"], spec_of(row["spec"])) for row in group)
    ids = [row["id"] for row in group]
    wanted = Filter(types=tuple({pattern for m in watched.measures for pattern in m.spec.on}))
    part = await world_log.read(tx.driver, tx.world_id, position, size, wanted)
    steps = await service.record(tx, _tally(tx, watched, part.rows))
    await service.tell(tx, [Moved(s, m, b, a) for s, m, b, a in steps])
    up_to, arrived = part.up_to, False
    if up_to >= part.head:
        head = await service.lock_head(tx)
        rest = await world_log.read(tx.driver, tx.world_id, up_to, CHUNK, wanted)
        arrived = rest.up_to >= head
        if arrived:
            # Who listens may wait for what others hold that wait for the head: they are told when it settles, save
            # of streaks that ended meanwhile.
            steps = await service.record(tx, _tally(tx, watched, rest.rows))
            await service.tell(tx, [Moved(s, m, b, a) for s, m, b, a in _superseded(steps)])
            up_to = head
    await tx.execute(
        "UPDATE measures SET state = CASE WHEN $4 THEN 'settling' ELSE state END, "
        "caught_up_to = CASE WHEN $4 THEN NULL ELSE $3::bigint END, "
        "since_seq = CASE WHEN $4 THEN $3::bigint ELSE since_seq END "
        "WHERE world_id = $1 AND id = ANY($2::uuid[])",
        tx.world_id, ids, up_to, arrived,
    )  # fmt: skip
    if arrived:
        tx.definitions_changed = True
        tx.emit(CaughtUp(measure_ids=ids, up_to=up_to))


def _tally(tx: Transaction, watched: Watched, rows: list[Any]) -> Tally:
    tally = Tally(tx.world.calendar)
    for row in rows:
        measures = watched.of(row["type"])
        if measures:
            tally.take(measures, row["about"], row["at"], orjson.loads(row["data"]))
    return tally


def _superseded(steps: list[Step]) -> list[Step]:
    """Those after which the same value changed once more."""
    last = {(step[0], step[1]): number for number, step in enumerate(steps)}
    return [step for number, step in enumerate(steps) if last[step[0], step[1]] != number]


async def _settle(tx: Transaction, row: Any, size: int) -> None:
    """Tell who listens how far the next subjects have come, and after the last one be done."""
    rows = await tx.fetch(SUBJECTS, tx.world_id, row["id"], row["settled_to"], size)
    done = len(rows) < size
    await service.tell(tx, [Moved(r["subject_id"], row["id"], 0.0, r["value"]) for r in rows])
    await tx.execute(
        "UPDATE measures SET state = CASE WHEN $4 THEN 'live' ELSE state END, settled_to = $3 "
        "WHERE world_id = $1 AND id = $2",
        tx.world_id, row["id"], None if done else rows[-1]["subject_id"], done,
    )  # fmt: skip


async def run(engine: Engine) -> None:
    """The worker, as the system brings it."""
    await Backfill(engine).run()
