"""`execute`: permission, receipt, transaction, retry, commit, ring. The only commit in the project.

command ─> allowed? ─> key claimed? ─> handler (load, decide, write, emit) ─> reactions
        ─> one statement: head + events + receipt ─> COMMIT ─> doorbell
"""

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final, TypeVar
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from fablewright.core import log, receipts
from fablewright.core.actors import Actor, Role
from fablewright.core.answers import Answer, Ask, Done, answer_of, body_json, in_list, replayed
from fablewright.core.batching import Batcher
from fablewright.core.database import (
    DATABASE_UNAVAILABLE,
    NOT_STORABLE,
    OVERLOADED,
    TEXT_NOT_STORABLE,
    Database,
    is_connection_loss,
    is_id_taken,
    sqlstate_of,
)  # fmt: skip
from fablewright.core.dice import derived_uuid, jitter, random_uuid
from fablewright.core.doorbell import Doorbell
from fablewright.core.gates import Gates
from fablewright.core.messages import Catalogue, CatalogueError, Command, Event
from fablewright.core.permissions import (
    NOT_YOUR_CHARACTER,
    ROLE_TOO_LOW,
    SIGN_IN_FIRST,
    WORLD_IS_ADVANCING,
    WORLD_NOT_FOUND,
    Controls,
    check_actor,
    check_place,
    refused_each,
)  # fmt: skip
from fablewright.core.reactions import CASCADE_TOO_DEEP, RETRYABLE, ReactionBook, settle
from fablewright.core.receipts import KEY_INVALID, KEY_NOT_SUPPORTED, KEY_REUSED, NO_WORLD, Kept
from fablewright.core.refusal import (
    CONFLICT,
    INVALID,
    Refusal,
    Refused,
)
from fablewright.core.system import Handler, System
from fablewright.core.transaction import (
    ENTER_WORLD,
    EVENT_TOO_LARGE,
    LOCK_WORLD,
    REAL_TIME,
    TOO_MANY_EVENTS,
    Bounds,
    EventRecord,
    Request,
    Transaction,
    result_json,
    world_state,
)  # fmt: skip
from fablewright.settings import Settings

TOO_MANY_COMMANDS = Refusal("too_many_commands", INVALID, "The list holds too many commands. Split it.")
COMMAND_UNKNOWN = Refusal(
    "command_unknown", INVALID, "No installed system knows this command. See the OpenAPI document."
)
CONTENDED = Refusal("contended", CONFLICT, "Too many others changed the same things at once. Send it again.")

COMMON_REFUSALS: Final = (
    SIGN_IN_FIRST, OVERLOADED, DATABASE_UNAVAILABLE, CONTENDED, TEXT_NOT_STORABLE, KEY_INVALID, KEY_REUSED,
    KEY_NOT_SUPPORTED,
)  # fmt: skip
"""What any command may be refused with."""

WORLD_REFUSALS: Final = (
    WORLD_NOT_FOUND, ROLE_TOO_LOW, NOT_YOUR_CHARACTER, WORLD_IS_ADVANCING, EVENT_TOO_LARGE, TOO_MANY_EVENTS,
    CASCADE_TOO_DEEP,
)  # fmt: skip
"""What any command in a world may be refused with, besides."""

logger = structlog.get_logger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Scope:
    """Where and when a transaction runs: in which world, and at which time if not at the clock's."""

    world_id: UUID | None
    at: int | None = None


@dataclass(slots=True)
class Engine:
    """Runs commands. One per process."""

    database: Database
    systems: Sequence[System]
    doorbell: Doorbell
    settings: Settings
    commands: Catalogue[Command] = field(init=False)
    events: Catalogue[Event] = field(init=False)
    reactions: ReactionBook = field(init=False)
    after_commit: list[Callable[[Transaction], None]] = field(init=False, default_factory=list)
    """Called after each commit of this process; quick, and never raising."""
    _handlers: dict[str, Handler] = field(init=False)
    _controls: Controls | None = field(init=False, default=None)
    _gates: Gates = field(init=False)
    _batcher: Batcher[Ask, Answer] = field(init=False)
    _running: set[asyncio.Task[Any]] = field(init=False, default_factory=set)
    _bounds: Bounds = field(init=False)

    def __post_init__(self) -> None:
        handlers = [h for s in self.systems for h in s.handlers]
        self.commands = Catalogue(h.command for h in handlers)
        self.events = Catalogue(e for s in self.systems for e in s.events)
        self._handlers = {h.command.message_type: h for h in handlers}
        if len(self._handlers) != len(handlers):
            raise CatalogueError("a command has two handlers")
        self.reactions = ReactionBook(self.systems)
        self._controls = next((s.controls for s in self.systems if s.controls), None)
        s = self.settings
        self._gates = Gates(max(1, s.write_connections // 3), s.connection_wait_seconds)
        self._bounds = Bounds(s.max_event_bytes, s.max_events_per_commit, s.max_cascade)
        self._batcher = Batcher(self._run_batch, s.max_batch, s.max_queue, s.batch_beside_from)

    async def close(self) -> None:
        """Wait for what is under way."""
        while self._running or self._batcher.busy:
            await self._batcher.idle()
            await asyncio.gather(*self._running, return_exceptions=True)

    async def execute(
        self, command: Command | Sequence[Command], actor: Actor, world_id: UUID | None = None, *,
        key: str | None = None, correlation_id: UUID | None = None,
    ) -> Answer:  # fmt: skip
        """Run a command, or a list as a whole, once per key; returns when it is committed.

        Once begun it runs to its end even if the caller is cancelled. Raises `Refused` (nothing was changed),
        or the error of a bug (nothing was changed either).
        """
        is_list = not isinstance(command, Command)
        commands: list[Command] = list(command) if is_list else [command]  # type: ignore[list-item, arg-type]
        ask = self._ask(commands, actor, world_id, is_list, key, correlation_id)
        handler = self._handler(commands[0]) if commands else None
        if handler is not None and handler.many and not is_list and world_id is not None:
            return await self._batcher.submit((world_id, commands[0].message_type), ask, _deduplicator(ask))
        return await self._shielded(self._run_ask(Scope(world_id), ask))

    async def transact(
        self, scope: Scope, request: Request, work: Callable[[Transaction], Awaitable[T]]
    ) -> tuple[T, Transaction]:
        """Do the server's own work (timers, consumers, the advance) as one transaction, with its reactions."""

        async def whole(tx: Transaction) -> T:
            result = await work(tx)
            await settle(tx, self.reactions)
            return result

        return await self._shielded(self._with_retries(scope, [request], whole, lambda _tx, _result: []))

    # -- what came through a door ----------------------------------------------------------------------------

    def _ask(
        self, commands: Sequence[Command], actor: Actor, world_id: UUID | None, is_list: bool,
        key: str | None, correlation_id: UUID | None,
    ) -> Ask:  # fmt: skip
        founding = bool(commands) and commands[0].founds_world
        for index, command in enumerate(commands):
            try:
                check_actor(command, actor, world_id)
                self._handler(command)
                check_place(command, world_id, founding=founding, first=index == 0)
            except Refused as refused:
                raise in_list(refused, index) if is_list else refused from None
        claim = receipts.claim_for(commands, actor.name, key, is_list=is_list) if key is not None else None
        base = derived_uuid(actor.name, key) if key is not None else random_uuid()
        requests = [
            Request(c, actor, derived_uuid(base, n) if is_list else base, correlation_id or base)
            for n, c in enumerate(commands)
        ]
        return Ask(requests, actor, is_list, claim)

    def _handler(self, command: Command) -> Handler:
        handler = self._handlers.get(command.message_type)
        if handler is None:
            raise COMMAND_UNKNOWN(f"No installed system knows the command {command.message_type}.")
        return handler

    async def _run_ask(self, scope: Scope, ask: Ask) -> Answer:
        """One ask, one transaction: any refusal refuses it all."""
        if not ask.requests:
            return Answer(b'{"results":[],"seq":null}', None, [])
        replay: list[receipts.Replay] = []

        async def whole(tx: Transaction) -> Any:
            replay.clear()
            if ask.claim is not None:
                found = await receipts.claim(tx, tx.receipt_world, [ask.claim])
                if found:
                    replay.extend(found.values())
                    return None
            for index, refused in (await refused_each(tx, ask.requests, self._controls)).items():
                raise in_list(refused, index) if ask.is_list else refused
            results = await self._dispatch(tx, ask.requests, is_list=ask.is_list)
            await settle(tx, self.reactions)
            return results if ask.is_list else results[0]

        answer = b""

        def kept(tx: Transaction, result: Any) -> list[Kept]:
            nonlocal answer
            if replay:
                return []
            answer = result_json(result)
            return [Kept(ask.claim.actor, ask.claim.key, len(tx.events), answer)] if ask.claim else []

        result, tx = await self._with_retries(scope, ask.requests, whole, kept)
        if replay:
            return replayed(replay[0], ask.is_list)
        seq = tx.events[-1].seq if tx.events and tx.in_world else None
        return Answer(body_json(answer, seq, ask.is_list), seq, result)

    async def _run_batch(self, place: tuple[UUID, str], asks: list[Ask]) -> list[Answer | BaseException]:
        """Many single hot commands of one type in one transaction, each with its own answer."""
        world_id, _ = place
        outcome: list[Answer | Refused | Done] = []

        async def whole(tx: Transaction) -> None:
            outcome[:] = await self._answer_each(tx, asks)
            await settle(tx, self.reactions)

        def kept(_tx: Transaction, _result: None) -> list[Kept]:
            return [
                Kept(ask.claim.actor, ask.claim.key, o.last, o.answer)
                for ask, o in zip(asks, outcome, strict=True)
                if isinstance(o, Done) and ask.claim is not None
            ]

        requests = [ask.requests[0] for ask in asks]
        try:
            _, tx = await self._shielded(self._with_retries(Scope(world_id), requests, whole, kept))
        except Exception as error:  # noqa: BLE001  handed to each caller, or split up below
            if len(asks) == 1 or not _may_be_one_ask(error):
                return [error] * len(asks)
            # One member made the whole fail (a bug, or a reaction that refuses it): find it by running alone.
            return [(await self._run_batch(place, [ask]))[0] for ask in asks]
        base = tx.events[0].seq - 1 if tx.events and tx.events[0].seq else None
        return [answer_of(o, base) for o in outcome]

    async def _answer_each(self, tx: Transaction, asks: list[Ask]) -> list[Answer | Refused | Done]:
        """For each ask its replay, its refusal, or what it did."""
        outcome: list[Any] = [None] * len(asks)
        claims = [ask.claim for ask in asks if ask.claim is not None]
        replays = await receipts.claim(tx, tx.receipt_world, claims) if claims else {}
        todo = []
        for index, ask in enumerate(asks):
            replay = replays.get((ask.claim.actor, ask.claim.key)) if ask.claim else None
            if replay is not None:
                outcome[index] = KEY_REUSED() if receipts.reused(replay) else replayed(replay, False)
            else:
                todo.append(index)
        for index, refused in (
            await refused_each(tx, [asks[i].requests[0] for i in todo], self._controls)
        ).items():
            outcome[todo[index]] = refused
        todo = [i for i in todo if outcome[i] is None]
        requests = [asks[i].requests[0] for i in todo]
        results = await self._many(tx, requests) if requests else []
        last = {record.causation_id: number for number, record in enumerate(tx.events, 1)}
        refused_claims = [asks[i].claim for i in range(len(asks)) if isinstance(outcome[i], Refused)]
        for index, request, result in zip(todo, requests, results, strict=True):
            if isinstance(result, Refused):
                outcome[index] = result
                refused_claims.append(asks[index].claim)
            else:
                outcome[index] = Done(result, result_json(result), last.get(request.id, 0))
        released = [c for c in refused_claims if c is not None and (c.actor, c.key) not in replays]
        if released:  # refusals are not stored: give their keys free again
            await tx.execute(
                "DELETE FROM receipts WHERE world_id = $1 AND (actor, key) IN "
                "(SELECT * FROM unnest($2::text[], $3::text[]))",
                tx.receipt_world, [c.actor for c in released], [c.key for c in released],
            )  # fmt: skip
        return outcome

    # -- doing it --------------------------------------------------------------------------------------------

    async def _dispatch(self, tx: Transaction, requests: list[Request], *, is_list: bool) -> list[Any]:
        """Hand each request to its handler, neighbours of one hot type together. Any refusal refuses them all."""
        results: list[Any] = []
        try:
            for _, group in groupby(requests, key=lambda r: r.command.message_type):
                members = list(group)
                handler = self._handler(members[0].command)
                if handler.command.allowed.role is not None and not tx.in_world:
                    raise WORLD_NOT_FOUND("The world was deleted by a command before this one.")
                if handler.many:
                    for result in await self._many(tx, members):
                        if isinstance(result, Refused):
                            raise result
                        results.append(result)
                    continue
                assert handler.one is not None
                for request in members:
                    with tx.acting(request):
                        results.append(await handler.one(tx, request.command))
        except Refused as refused:
            raise in_list(refused, len(results)) if is_list else refused from refused.__cause__
        await tx.flush()
        return results

    async def _many(self, tx: Transaction, requests: list[Request]) -> Sequence[Any]:
        handler = self._handler(requests[0].command)
        assert handler.many is not None
        results = await handler.many(tx, requests)
        if len(results) != len(requests):
            raise RuntimeError(
                f"{handler.command.message_type} answered {len(results)} of {len(requests)} requests"
            )
        return results

    async def _perform(
        self, tx: Transaction, commands: Sequence[Command], actor: Actor, causes: Sequence[EventRecord | None]
    ) -> list[Any]:
        """`Transaction.perform`: commands that a handler, timer or reaction gives."""
        results: list[Any] = []
        given = zip(commands, causes, strict=True)
        for _, group in groupby(given, key=lambda g: g[0].message_type):
            requests = [tx.sub_request(command, actor, cause) for command, cause in group]
            refused = await self._refused_inside(tx, requests)
            allowed = [request for index, request in enumerate(requests) if index not in refused]
            done = iter(await self._perform_alike(tx, allowed) if allowed else ())
            results.extend(refused[i] if i in refused else next(done) for i in range(len(requests)))
        return results

    async def _refused_inside(self, tx: Transaction, requests: list[Request]) -> dict[int, Refused]:
        """Those of the commands given inside a transaction that their actor may not give."""
        refused: dict[int, Refused] = {}
        world_id = tx.world_id if tx.in_world else None
        for index, request in enumerate(requests):
            try:
                check_actor(request.command, request.actor, world_id)
            except Refused as problem:
                refused[index] = problem
        return refused or await refused_each(tx, requests, self._controls)

    async def _perform_alike(self, tx: Transaction, requests: list[Request]) -> Sequence[Any]:
        """Commands of one type, each with its result or its refusal."""
        handler = self._handler(requests[0].command)
        if handler.many:
            return await self._many(tx, requests)
        assert handler.one is not None
        results: list[Any] = []
        for request in requests:
            try:
                async with tx.savepoint():
                    with tx.acting(request):
                        results.append(await handler.one(tx, request.command))
            except Refused as refused:
                results.append(refused)
        return results

    # -- the transaction -------------------------------------------------------------------------------------

    async def _shielded(self, work: Coroutine[Any, Any, T]) -> T:
        """Run to the end even if the caller is cancelled."""
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def _with_retries(
        self, scope: Scope, requests: list[Request], whole: Callable[[Transaction], Awaitable[T]],
        kept: Callable[[Transaction, T], list[Kept]],
    ) -> tuple[T, Transaction]:  # fmt: skip
        """One transaction, again after deadlocks, serialization failures, and when the clock was set meanwhile."""
        attempt = 0
        recorded = [request.recorded for request in requests]
        while True:
            for request, was in zip(requests, recorded, strict=True):
                request.recorded, request.emitted = was, 0
            try:
                async with self._gates.of(scope.world_id or NO_WORLD):
                    return await self._once(scope, requests, whole, kept, attempt >= self.settings.retries)
            except Refused:
                raise
            except Exception as error:
                if is_connection_loss(error):
                    raise DATABASE_UNAVAILABLE(retry_after_seconds=1) from error
                if sqlstate_of(error) in NOT_STORABLE:
                    raise TEXT_NOT_STORABLE() from error
                retry = isinstance(error, log.ClockMoved) or sqlstate_of(error) in RETRYABLE
                if not retry:
                    raise
                if attempt >= self.settings.retries:
                    if sqlstate_of(error) in ("23505", "23503"):
                        raise
                    logger.warning("contended", error="".join(traceback.format_exception_only(error)).strip())
                    raise CONTENDED(retry_after_seconds=1) from error
                attempt += 1
                # A key from before its receipt was purged names another command now.
                if is_id_taken(error):
                    for request in requests:
                        request.id = random_uuid()
            await asyncio.sleep(0.002 * 2 ** min(attempt, 6) * jitter())

    async def _once(
        self, scope: Scope, requests: list[Request], whole: Callable[[Transaction], Awaitable[T]],
        kept: Callable[[Transaction, T], list[Kept]], last_try: bool,
    ) -> tuple[T, Transaction]:  # fmt: skip
        async with self.database.writing() as connection:
            tx = await self._open(connection, scope, requests)
            tx.last_try = last_try
            result = await whole(tx)
            await tx.flush()
            keep = kept(tx, result)
            if tx.in_world:
                await log.append(tx, keep, tx.receipt_world)
            else:
                await log.append_audit(tx)
                await receipts.keep_without_world(tx, keep)
            await connection.commit()
        for hook in self.after_commit:
            hook(tx)
        if tx.events and tx.in_world:
            self.doorbell.ring(tx.world_id, tx.events[-1].seq or 0)
        elif scope.world_id is not None and (tx.clock_changed or not tx.in_world):
            self.doorbell.ring(scope.world_id, 0)  # its clock was set, or it is gone
        return result, tx

    async def _open(self, connection: AsyncConnection, scope: Scope, requests: list[Request]) -> Transaction:
        """Begin: read the world, its clock, the roles of those who ask and the database's time.

        Refuses `world_not_found`.
        """
        request = requests[0]
        members: dict[UUID, Role | None] = {r.actor.user_id: None for r in requests if r.actor.user_id}
        if scope.world_id is None:
            row = (await connection.exec_driver_sql(REAL_TIME)).mappings().one()
            world, now = None, row["real_ms"]
        else:
            asked = scope.world_id, list(members)
            found = (await connection.exec_driver_sql(ENTER_WORLD, asked)).mappings().first()
            if found is not None and found["advance_id"] and request.command.allowed.while_advancing:
                # The advance moves the clock with each of its steps, which lock the world, too: without this
                # lock, the clock would have moved again and again before this command could commit.
                await connection.exec_driver_sql(LOCK_WORLD, (scope.world_id,))
                found = (await connection.exec_driver_sql(ENTER_WORLD, asked)).mappings().first()
            if found is None:
                raise WORLD_NOT_FOUND(world_id=str(scope.world_id))
            row, world = found, world_state(found)
            if world.advance_id and request.actor.is_system and not request.command.allowed.while_advancing:
                raise WORLD_IS_ADVANCING(advance_id=str(world.advance_id))
            now = scope.at if scope.at is not None else world.clock.now(row["real_ms"])
            members |= zip(row["members"], map(Role, row["roles"]), strict=True)
        driver = (await connection.get_raw_connection()).driver_connection
        tx = Transaction(
            connection, driver, request, now=now, real_ms=row["real_ms"], world=world, bounds=self._bounds
        )
        if world:
            tx.members = members
        tx.performer = self._perform
        tx.systems = self.systems
        return tx


def _may_be_one_ask(error: Exception) -> bool:
    """Whether a batch may have failed because of one member."""
    if not isinstance(error, Refused):
        return True
    return error.refusal not in (OVERLOADED, DATABASE_UNAVAILABLE, CONTENDED, WORLD_NOT_FOUND)


def _deduplicator(ask: Ask) -> Any:
    """Two asks under one key must not share a transaction: the second is to see the first's receipt."""
    return None if ask.claim is None else (ask.claim.actor, ask.claim.key)
