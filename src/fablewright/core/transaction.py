"""What a handler holds while it decides and writes: world, actor, time, chance, the database, and `emit`."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import orjson
from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from fablewright.core.actors import Actor, Role
from fablewright.core.clock import Calendar, WorldClock
from fablewright.core.dice import Dice, derived_uuid, text_of
from fablewright.core.messages import Command, Event
from fablewright.core.refusal import INVALID, TOO_LARGE, Refusal

EVENT_TOO_LARGE = Refusal(
    "event_too_large",
    TOO_LARGE,
    "An event of this command would be too large. Send less text or fewer items.",
)
TOO_MANY_EVENTS = Refusal(
    "too_many_events", TOO_LARGE, "The command would cause too many events at once. Split it."
)
TIMER_IN_THE_PAST = Refusal(
    "timer_in_the_past", INVALID, "A timer cannot be due before now. Choose a later time."
)

JSON_VALUE: TypeAdapter[Any] = TypeAdapter(Any)


@dataclass(frozen=True, slots=True)
class WorldState:
    """A world as a command finds it."""

    id: UUID
    name: str
    seed: int
    settings: dict[str, Any]
    owner_id: UUID | None
    clock: WorldClock
    calendar: Calendar
    base_version: int
    advance_id: UUID | None = None
    advance_to: int | None = None
    definitions: int = 0
    """Version of what the world's systems define as data; see `core.definitions`."""


_WORLD: Final = """
w.id, w.name, w.seed, w.settings::text AS settings, w.calendar::text AS calendar, w.owner_id,
w.anchor_world_ms, w.anchor_real_ms, w.rate, w.paused, w.advance_id, w.advance_to, h.base_version, h.definitions,
(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS real_ms
"""
_OPENED: Final = "FROM worlds w JOIN world_heads h ON h.world_id = w.id WHERE w.id = $1"
_THEIRS: Final = (
    "FROM world_members m WHERE m.world_id = $1 AND m.user_id = ANY($2::uuid[]) ORDER BY m.user_id"
)
OPEN_WORLD: Final = f"SELECT {_WORLD} {_OPENED}"
ENTER_WORLD: Final = f"""
SELECT {_WORLD}, ARRAY(SELECT m.user_id {_THEIRS}) AS members, ARRAY(SELECT m.role {_THEIRS}) AS roles {_OPENED}
"""
"""The same, and which of some users ($2) are members, in which roles."""
LOCK_WORLD: Final = "SELECT 1 FROM worlds WHERE id = $1 FOR NO KEY UPDATE"
REAL_TIME: Final = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS real_ms"


def world_state(row: Any) -> WorldState:
    """A world from a row of `OPEN_WORLD`."""
    clock = WorldClock(
        row["anchor_world_ms"],
        row["anchor_real_ms"],
        row["rate"],
        row["paused"],
        row["advance_id"] is not None,
    )
    return WorldState(
        row["id"], row["name"], row["seed"], orjson.loads(row["settings"]), row["owner_id"], clock,
        Calendar(**orjson.loads(row["calendar"])), row["base_version"], row["advance_id"], row["advance_to"],
        row["definitions"],
    )  # fmt: skip


@dataclass(slots=True)
class Request:
    """One command on its way through the engine: what is asked, by whom, under which id."""

    command: Command
    actor: Actor
    id: UUID
    correlation_id: UUID
    role: Role | None = None
    recorded: bool = False
    """Whether an event of the log already carries this command."""
    cause: "EventRecord | None" = None
    """The event that brought it about, if a system gave it inside a transaction because of one."""
    emitted: int = 0
    """How many events it has emitted; their ids come from it, so that batch neighbours do not matter."""


@dataclass(slots=True)
class EventRecord:
    """An event with its envelope, as it stands in the log. `seq` is None until it is committed."""

    event: Event
    id: UUID
    type: str
    at: int
    actor: str
    causation_id: UUID
    correlation_id: UUID
    about: list[UUID]
    audience: frozenset[UUID] | None
    data: bytes
    command: bytes | None = None
    seq: int | None = None
    settled: bool = False
    """Whether the reactions to it have been called."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limits of one transaction; see the settings of the same names."""

    max_event_bytes: int = 65_536
    max_events: int = 20_000
    max_cascade: int = 8


@dataclass(slots=True)
class Timer:
    """Something that falls due at `due_at` (world time, ms)."""

    id: UUID
    kind: str
    due_at: int
    data: dict[str, Any] = field(default_factory=dict)
    correlation_id: UUID | None = None


class Transaction:
    """One command's unit of work. Only the engine begins and commits it.

    - `session`: SQLAlchemy session, for ORM work;
    - `fetch`, `fetchrow`, `execute`, `executemany`: prepared SQL with `$1` parameters on the same connection
      and transaction, for hot paths (it flushes nothing: flush the session before mixing the two);
    - `now`: world time in ms (real ms since 1970 outside worlds), the same throughout;
    - `dice`: chance keyed by the world's seed and the command's id.
    """

    def __init__(
        self, connection: AsyncConnection, driver: Any, request: Request, *, now: int, real_ms: int,
        world: WorldState | None, bounds: Bounds,
    ):  # fmt: skip
        self.connection = connection
        self.request = request
        self.now = now
        self.real_ms = real_ms
        self.bounds = bounds
        self.events: list[EventRecord] = []
        self.clock_changed = False
        """Set it when the world's clock was set: workers wake, and `base_changed` follows."""
        self.rights_changed = False
        """Set it when somebody's role or control of a character changed: `base_changed` follows."""
        self.definitions_changed = False
        """Set it when award rules, boards or other definitions changed: `base_changed` follows."""
        self.dice = Dice(world.seed if world else "", request.id)
        self.receipt_world = world.id if world else UUID(int=0)
        self.systems: Sequence[Any] = ()
        self.timers_changed = False
        self.members: dict[UUID, Role | None] = {}
        """The roles of those who asked, as they were when this began; None for strangers."""
        self.performer: (
            Callable[
                [Transaction, Sequence[Command], Actor, Sequence[EventRecord | None]], Awaitable[list[Any]]
            ]
            | None
        ) = None
        self._world = world
        self._driver = driver
        self._session: AsyncSession | None = None
        self._savepoints = 0
        self._cause: EventRecord | None = None
        self._performed = 0
        self._askers: dict[str, Request] = {}
        self._amended: list[tuple[EventRecord, Event, bytes]] = []
        self.last_try = False
        """Whether the engine will not run the command again."""

    @property
    def world(self) -> WorldState:
        """The world this command acts on. Account commands have none: asking is a bug."""
        if self._world is None:
            raise RuntimeError(f"{self.request.command.message_type} runs outside worlds")
        return self._world

    @property
    def world_id(self) -> UUID:
        return self.world.id

    @property
    def in_world(self) -> bool:
        return self._world is not None

    @property
    def actor(self) -> Actor:
        return self.request.actor

    @property
    def role(self) -> Role | None:
        """The actor's role in this world; None for strangers and for the server itself."""
        return self.request.role

    @property
    def base_changed(self) -> bool:
        """Whether this commit changes what other commands have read unlocked, so that they must run again."""
        return self.clock_changed or self.rights_changed or self.definitions_changed

    @property
    def session(self) -> AsyncSession:
        if self._session is None:
            # Inside a savepoint, a failed flush must roll back to it, not the whole transaction.
            mode: Any = "create_savepoint" if self._savepoints else "conditional_savepoint"
            self._session = AsyncSession(
                self.connection, expire_on_commit=False, autoflush=True, join_transaction_mode=mode
            )
        return self._session

    async def flush(self) -> None:
        """Write what the session holds back."""
        if self._session is not None:
            await self._session.flush()

    @property
    def driver(self) -> Any:
        """The raw asyncpg connection of this transaction, for the core's own readers."""
        return self._driver

    async def fetch(self, sql: str, *args: Any) -> list[Any]:
        """Rows of a prepared statement."""
        return list(await self._driver.fetch(sql, *args))

    async def fetchrow(self, sql: str, *args: Any) -> Any:
        """The first row, or None."""
        return await self._driver.fetchrow(sql, *args)

    async def fetchval(self, sql: str, *args: Any) -> Any:
        """The first column of the first row, or None."""
        return await self._driver.fetchval(sql, *args)

    async def execute(self, sql: str, *args: Any) -> int:
        """Run a statement; returns how many rows it touched."""
        status = str(await self._driver.execute(sql, *args))
        count = status.rsplit(" ", 1)[-1]
        return int(count) if count.isdigit() else 0

    async def executemany(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement once per row, in one round trip."""
        await self._driver.executemany(sql, rows)

    def new_id(self) -> UUID:
        """A new id made from dice and world time."""
        return self.dice.uuid(self.now)

    def enter_world(self, world: WorldState) -> None:
        """Go on inside a world that this transaction has just made."""
        self._world = world
        self.dice = Dice(world.seed, self.request.id)
        self.now = world.clock.now(self.real_ms)

    def leave_world(self) -> None:
        """Go on outside worlds, after deleting the one this transaction was in; events go to the audit log."""
        self._world = None
        self.clock_changed = False
        self.events.clear()

    def emit(
        self, event: Event, *, by: Request | None = None, cause: EventRecord | None = None
    ) -> EventRecord:
        """Add an event to the log, as part of this commit.

        `by` says for which request of a batch; `cause` which event brought it about, if not the one being
        reacted to. What a reaction emits is put down to the actor of what it reacts to, and carries no command:
        in a batch, the request at hand may be somebody else's, or refused.
        Refuses `event_too_large`, `too_many_events`.
        """
        request = by or self.request
        cause = cause or self._cause or request.cause
        reacting = self._cause is not None and by is None
        data = event.as_json()
        if len(data) > self.bounds.max_event_bytes:
            raise EVENT_TOO_LARGE(
                f"The event {event.type_name} would have {len(data)} bytes, "
                f"more than {self.bounds.max_event_bytes}.",
                max_bytes=self.bounds.max_event_bytes,
            )
        if len(self.events) >= self.bounds.max_events:
            raise TOO_MANY_EVENTS(max_events=self.bounds.max_events)
        record = EventRecord(
            event=event,
            id=self.dice.uuid(self.now) if by is None else derived_uuid(by.id, by.emitted),
            type=event.type_name,
            at=self.now,
            actor=cause.actor if cause and reacting else request.actor.name,
            causation_id=cause.id if cause else request.id,
            correlation_id=cause.correlation_id if cause and by is None else request.correlation_id,
            about=event.about(),
            audience=event.audience().principals,
            data=data,
            command=None if request.recorded or reacting else command_json(request),
        )
        if not reacting:
            request.recorded = True
            self._askers[request.actor.name] = request
        request.emitted += 1
        self.events.append(record)
        return record

    def amend(self, record: EventRecord, event: Event) -> None:
        """Let an event of this commit say more. If the savepoint at hand is undone, it says again what it said."""
        self._amended.append((record, record.event, record.data))
        record.event, record.data = event, event.as_json()

    async def schedule(self, kind: str, due_at: int, data: Mapping[str, Any] | None = None) -> Timer:
        """Let a timer of this kind fall due at `due_at` (world ms, not before now). Refuses `timer_in_the_past`."""
        if due_at < self.now:
            raise TIMER_IN_THE_PAST(f"{kind} would be due at {due_at}, but it is {self.now}.", now=self.now)
        timer = Timer(self.new_id(), kind, due_at, dict(data or {}), self.request.correlation_id)
        self.timers_changed = True
        await self.execute(
            "INSERT INTO timers (world_id, id, kind, due_at, data, correlation_id) VALUES ($1, $2, $3, $4, $5, $6)",
            self.world_id, timer.id, kind, due_at, orjson.dumps(timer.data).decode(), timer.correlation_id,
        )  # fmt: skip
        return timer

    async def cancel_timers(self, kind: str, **data: Any) -> int:
        """Remove the waiting timers of a kind whose data holds these values; returns how many."""
        return await self.execute(
            "DELETE FROM timers WHERE world_id = $1 AND kind = $2 AND data @> $3::jsonb",
            self.world_id, kind, orjson.dumps(data).decode(),
        )  # fmt: skip

    async def perform(
        self, commands: Sequence[Command], *, actor: Actor | None = None,
        causes: Sequence["EventRecord | None"] | None = None,
    ) -> list[Any]:  # fmt: skip
        """Run commands inside this transaction, through the engine's door: they are allowed or refused as ever.

        `causes` names, for each command, the event of this transaction that brought it about.
        They run as this transaction's actor, or as `actor`: a system that may do what the player may not says
        so with `system_actor("its name")`. Each has an id derived from what caused it. Returns, in order, each
        one's result, or the `Refused` with which it was refused; a refused one changed nothing.
        """
        assert self.performer is not None
        return await self.performer(self, commands, actor or self.actor, causes or [None] * len(commands))

    def sub_request(self, command: Command, actor: Actor, cause: "EventRecord | None" = None) -> Request:
        """The request for a command that this transaction gives itself."""
        self._performed += 1
        return Request(
            command, actor, derived_uuid(self.request.id, self._performed), self.request.correlation_id,
            cause=cause,
        )  # fmt: skip

    @contextmanager
    def acting(self, request: Request) -> Iterator[None]:
        """Let `request` be the one being handled: its actor, its dice, its causation."""
        before = self.request, self.dice, self._cause
        self.request, self._cause = request, None
        if request.id != before[0].id:
            self.dice = Dice(self._world.seed if self._world else "", request.id)
        try:
            yield
        finally:
            self.request, self.dice, self._cause = before

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """All or nothing inside the transaction: on an error, writes and events from here on are undone.

        `session` is another one inside.
        """
        await self.flush()
        await self.execute("SAVEPOINT inner_work")
        events, recorded, amended = len(self.events), self.request.recorded, len(self._amended)
        changed = self.clock_changed, self.rights_changed, self.definitions_changed
        outer, self._session = self._session, None
        self._savepoints += 1
        try:
            yield
            if self._session is not None:
                await self._session.commit()  # flushes, and releases its own savepoint
        except BaseException:
            del self.events[events:]
            while len(self._amended) > amended:
                record, event, data = self._amended.pop()
                record.event, record.data = event, data
            self.request.recorded = recorded
            self.clock_changed, self.rights_changed, self.definitions_changed = changed
            if self._session is not None:
                await self._session.close()
            await self.execute("ROLLBACK TO SAVEPOINT inner_work")
            await self.execute("RELEASE SAVEPOINT inner_work")
            raise
        finally:
            self._session = outer
            self._savepoints -= 1
        await self.execute("RELEASE SAVEPOINT inner_work")

    @contextmanager
    def reacting(self, name: str, causes: Sequence[EventRecord]) -> Iterator[None]:
        """Let the reaction `name` act on these events: its actor, chance and causation come from the last one."""
        last = causes[-1]
        asker = self._askers.get(last.actor, self.request)
        before = self.request, self.dice, self._cause
        self.request = Request(
            asker.command,
            asker.actor,
            derived_uuid(name, last.id),
            last.correlation_id,
            asker.role,
            recorded=True,
        )
        self.dice = Dice(self._world.seed if self._world else "", self.request.id)
        self._cause = last
        try:
            yield
        finally:
            self.request, self.dice, self._cause = before


def command_json(request: Request) -> bytes:
    """The command as the log keeps it. Secret commands leave only their type."""
    command = request.command
    payload = (
        b"{}" if type(command).secret else command.model_dump_json(exclude=set(command.unlogged)).encode()
    )
    return b'{"id":"%s","type":"%s","payload":%s,"actor":%s}' % (
        text_of(request.id).encode(), command.message_type.encode(), payload, orjson.dumps(request.actor.name),
    )  # fmt: skip


def result_json(result: Any) -> bytes:
    """A handler's result as JSON: None, a Pydantic model, or plain values."""
    if result is None:
        return b"null"
    return JSON_VALUE.dump_json(result)
