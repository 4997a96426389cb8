"""An example system, as another package would bring it: counters, with everything that a system can have.

What it does can be directed by tests: `tell` in a command travels in its event and says what reactions and
consumers shall do with it, `BROKEN` what fails for now, `PAUSES` where a command waits for the test.
"""

import asyncio
from collections import Counter as Multiset
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final
from uuid import UUID

from sqlalchemy import BigInteger, Text
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from fablewright.core.actors import ADMINISTRATORS, Allowed, Role, at_least, system_actor
from fablewright.core.consumers import DeliveryContext
from fablewright.core.messages import GAME_MASTERS, MEMBERS, Audience, Command, Event
from fablewright.core.refusal import CONFLICT, Refusal, Refused
from fablewright.core.system import Consumer, Delivery, Handler, Reaction, System, TimerKind
from fablewright.core.transaction import EventRecord, Request, Timer, Transaction

TABLES: Final = """
CREATE TABLE counters (
    world_id uuid NOT NULL REFERENCES worlds ON DELETE CASCADE, name text NOT NULL, value bigint NOT NULL,
    PRIMARY KEY (world_id, name), CONSTRAINT ck_counters_bounded CHECK (value BETWEEN 0 AND 1000000)
);
CREATE TABLE counter_marks (
    world_id uuid NOT NULL REFERENCES worlds ON DELETE CASCADE, n bigint GENERATED ALWAYS AS IDENTITY,
    kind text NOT NULL, of uuid NOT NULL, at bigint NOT NULL, PRIMARY KEY (world_id, n)
);
"""

BELOW_ZERO = Refusal("below_zero", CONFLICT, "A counter cannot go below zero.")
GUARDED = Refusal("guarded", CONFLICT, "The guard refuses this.")
REFUSED_LATE = Refusal("refused_late", CONFLICT, "Refused after writing.")

BROKEN: set[str] = set()
"""What fails now: `handler`, `follow`, `tally`, `post`, `tick`, …"""
DELIVERED: dict[str, list[EventRecord]] = {}
"""What the delivering consumers got, by their name."""
CALLS: Multiset[str] = Multiset()
"""How often a named thing was entered."""


@contextmanager
def broken(*names: str) -> Iterator[None]:
    """Let these things fail inside the block."""
    BROKEN.update(names)
    try:
        yield
    finally:
        BROKEN.difference_update(names)


@dataclass
class Pause:
    """A place in a command where it waits: `entered` tells the test, `go` lets it on (for good)."""

    needed: int = 1
    arrived: int = 0
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def here(self) -> None:
        self.arrived += 1
        if self.arrived >= self.needed:
            self.entered.set()
        await self.go.wait()


PAUSES: dict[str, Pause] = {}


@contextmanager
def pausing(name: str, needed: int = 1, *, meet: bool = False) -> Iterator[Pause]:
    """A pause that commands reach by its name; `meet` lets all go on when `needed` have come."""
    pause = PAUSES[name] = Pause(needed)
    if meet:
        pause.go = pause.entered
    try:
        yield pause
    finally:
        pause.go.set()
        del PAUSES[name]


class CounterBase(DeclarativeBase):
    """The models of this system; apart from ours, so that our migrations know nothing of them."""


class CounterRow(CounterBase):
    __tablename__ = "counters"

    world_id: Mapped[UUID] = mapped_column(PG_UUID(as_uuid=True), primary_key=True)
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    value: Mapped[int] = mapped_column(BigInteger)


# -- commands and events -------------------------------------------------------------------------------------


class Add(Command):
    """Hot: add to a counter."""

    message_type = "counter.add"
    allowed: ClassVar[Allowed] = at_least(Role.PLAYER, acts_as=("character_id",))
    refusals: ClassVar[tuple[Refusal, ...]] = (BELOW_ZERO, GUARDED)

    name: str = "main"
    n: int = 1
    tell: str = ""
    character_id: UUID | None = None


class Touch(Command):
    """Plain: add to several counters in the order given, with all that can go wrong."""

    message_type = "counter.touch"
    allowed: ClassVar[Allowed] = at_least(Role.PLAYER)
    refusals: ClassVar[tuple[Refusal, ...]] = (BELOW_ZERO, REFUSED_LATE)

    names: tuple[str, ...] = ("main",)
    n: int = 1
    tell: str = ""
    pause: str = ""
    fail: str = ""
    events: int = 1
    size: int = 0


class Say(Command):
    """Emit one event for each audience."""

    message_type = "counter.say"
    allowed: ClassVar[Allowed] = at_least(Role.GAME_MASTER)

    to: UUID


class Plan(Command):
    """Schedule timers at these world times."""

    message_type = "counter.plan"
    allowed: ClassVar[Allowed] = at_least(Role.PLAYER)

    at: tuple[int, ...]
    tell: str = ""


class Reveal(Command):
    """Its answer is a secret."""

    message_type = "counter.reveal"
    allowed: ClassVar[Allowed] = at_least(Role.PLAYER)
    secret: ClassVar[bool] = True


class Audit(Command):
    message_type = "counter.audit"
    allowed: ClassVar[Allowed] = ADMINISTRATORS


class Sweep(Command):
    message_type = "counter.sweep"
    allowed: ClassVar[Allowed] = Allowed(system_only=True)


class Batch(Command):
    """Give several commands inside one transaction."""

    message_type = "counter.batch"
    allowed: ClassVar[Allowed] = at_least(Role.PLAYER)

    adds: tuple[int, ...] = ()
    touches: tuple[str, ...] = ()
    says: tuple[UUID, ...] = ()


class MemberEvent(Event):
    def audience(self) -> Audience:
        return MEMBERS


class Added(MemberEvent):
    message_type = "counter.added"

    name: str
    n: int
    tell: str = ""


class Touched(MemberEvent):
    message_type = "counter.touched"

    names: tuple[str, ...]
    tell: str = ""
    filling: str = ""


class Echoed(MemberEvent):
    message_type = "counter.echoed"

    of: UUID
    tell: str = ""
    roll: int = 0


class Ticked(MemberEvent):
    message_type = "counter.ticked"

    timers: int
    now: int
    roll: int


class Noted(Event):
    message_type = "counter.noted"

    def audience(self) -> Audience:
        return GAME_MASTERS


class Whispered(Event):
    message_type = "counter.whispered"
    subjects: ClassVar[tuple[str, ...]] = ("to",)

    to: UUID

    def audience(self) -> Audience:
        return Audience.of(self.to)


# -- what it does --------------------------------------------------------------------------------------------

ADD_ALL: Final = """
INSERT INTO counters (world_id, name, value)
SELECT $1, a.name, a.n FROM unnest($2::text[], $3::bigint[]) AS a (name, n)
ON CONFLICT (world_id, name) DO UPDATE SET value = EXCLUDED.value
"""


async def add(tx: Transaction, requests: Sequence[Request]) -> list[Any]:
    """Add them all with one statement; a request that would take a counter below zero is refused alone."""
    CALLS["add"] += 1
    commands = [(r, r.command) for r in requests if isinstance(r.command, Add)]
    names = sorted({c.name for _, c in commands})
    rows = await tx.fetch(
        "SELECT name, value FROM counters WHERE world_id = $1 AND name = ANY($2::text[]) ORDER BY name "
        "FOR NO KEY UPDATE",
        tx.world_id, names,
    )  # fmt: skip
    values = dict.fromkeys(names, 0) | {row["name"]: row["value"] for row in rows}
    changed: set[str] = set()
    results: list[Any] = []
    for request, command in commands:
        if command.tell == "raise":
            raise RuntimeError("a bug in one of the batch")
        if command.tell == "unserializable":
            results.append(object())
            continue
        if values[command.name] + command.n < 0:
            results.append(BELOW_ZERO(value=values[command.name]))
            continue
        values[command.name] += command.n
        changed.add(command.name)
        if command.tell != "silent":
            tx.emit(Added(name=command.name, n=command.n, tell=command.tell), by=request)
        results.append({"value": values[command.name]})
    await tx.execute(ADD_ALL, tx.world_id, sorted(changed), [values[name] for name in sorted(changed)])
    if any(c.tell == "pause" for _, c in commands) and (pause := PAUSES.get("add")):
        await pause.here()
    return results


async def touch(tx: Transaction, command: Touch) -> dict[str, Any]:
    """Add to each in turn, row by row: the order of locks is the caller's."""
    CALLS["touch"] += 1
    values = []
    for place, name in enumerate(command.names):
        if place and (pause := PAUSES.get(command.pause)):
            await pause.here()
        values.append(await tx.fetchval(
            "INSERT INTO counters VALUES ($1, $2, $3) ON CONFLICT (world_id, name) "
            "DO UPDATE SET value = counters.value + $3 RETURNING value",
            tx.world_id, name, command.n,
        ))  # fmt: skip
    for _ in range(command.events):
        tx.emit(Touched(names=command.names, tell=command.tell, filling="x" * command.size))
    if len(command.names) == 1 and (pause := PAUSES.get(command.pause)):
        await pause.here()
    if command.fail == "raise":
        raise RuntimeError("a bug after writing")
    if command.fail == "refuse":
        raise REFUSED_LATE()
    return {"values": values, "roll": tx.dice.whole(1, 1_000_000), "id": tx.new_id()}


async def say(tx: Transaction, command: Say) -> None:
    tx.emit(Added(name="said", n=0))
    tx.emit(Noted())
    tx.emit(Whispered(to=command.to))


async def plan(tx: Transaction, command: Plan) -> None:
    for at in command.at:
        await tx.schedule("counter.tick", at, {"tell": command.tell})


async def reveal(tx: Transaction, command: Reveal) -> dict[str, str]:
    tx.emit(Noted())
    return {"token": "s3cret"}


async def audit(tx: Transaction, command: Audit) -> None:
    CALLS["audit"] += 1


async def sweep(tx: Transaction, command: Sweep) -> None:
    tx.emit(Noted())


async def batch(tx: Transaction, command: Batch) -> list[str]:
    given: list[Command] = [Add(n=n) for n in command.adds]
    given += [Touch(names=(name,), fail="refuse" if name == "no" else "") for name in command.touches]
    given += [Say(to=to) for to in command.says]
    results = await tx.perform(given)
    if command.says:  # the same as the server itself, which may
        results += await tx.perform([Say(to=to) for to in command.says], actor=system_actor("counter"))
    return [r.code if isinstance(r, Refused) else "done" for r in results]


async def mark(tx: Transaction, kind: str, of: UUID) -> None:
    """Leave a trace that shows a repeat."""
    await tx.execute(
        "INSERT INTO counter_marks (world_id, kind, of, at) VALUES ($1, $2, $3, $4)",
        tx.world_id,
        kind,
        of,
        tx.now,
    )


async def guard(tx: Transaction, records: list[EventRecord]) -> None:
    """Guarding: refuse or raise if told to."""
    for record in records:
        assert isinstance(record.event, Added | Touched | Echoed)
        if record.event.tell == "cascade":
            CALLS["cascade"] += 1
            tx.emit(Echoed(of=record.id, tell="cascade", roll=0), cause=record)
        if isinstance(record.event, Echoed):
            continue
        await mark(tx, "guard", record.id)
        if record.event.tell == "guard_refuses":
            raise GUARDED()
        if record.event.tell == "guard_raises":
            raise RuntimeError("a bug in a guarding reaction")


async def follow(tx: Transaction, records: list[EventRecord]) -> None:
    """Following: leave a mark and an echo, or fail as told, after having written something."""
    for record in records:
        assert isinstance(record.event, Added | Touched | Echoed)
        tell = record.event.tell
        if tell == "cascade" or (isinstance(record.event, Echoed) and tell != "bonus_cascade"):
            continue
        CALLS["follow"] += 1
        await mark(tx, "follow", record.id)
        tx.emit(Echoed(of=record.id, tell=tell, roll=tx.dice.whole(1, 1_000_000)), cause=record)
        if tell == "follow_raises" or f"follow:{tell}" in BROKEN:
            raise RuntimeError("a bug in a \x00 bonus")
        if tell == "follow_breaks_unique":
            await tx.execute("INSERT INTO counters VALUES ($1, 'main', 1)", tx.world_id)
        if tell == "follow_breaks_check":
            tx.session.add(CounterRow(world_id=tx.world_id, name="from a bonus", value=-1))
            await tx.session.flush()


async def tally(tx: Transaction, records: list[EventRecord]) -> None:
    """Transactional: one mark per event."""
    for record in records:
        CALLS["tally"] += 1
        await mark(tx, "tally", record.id)
        if isinstance(record.event, Added) and record.event.tell in BROKEN:
            raise RuntimeError("the tally is broken")
    if pause := PAUSES.get("tally"):
        await pause.here()


def count(tx: Transaction, records: list[EventRecord]) -> None:
    """Transactional and a plain function."""
    for record in records:
        if isinstance(record.event, Added) and record.event.tell == "count":
            tx.emit(Noted())


async def post(context: DeliveryContext, records: list[EventRecord]) -> None:
    """Delivering."""
    CALLS["post"] += 1
    for record in records:
        if isinstance(record.event, Added) and record.event.tell in BROKEN:
            raise ConnectionError("nobody answers")
        DELIVERED.setdefault(context.consumer, []).append(record)
        if pause := PAUSES.get("post"):
            await pause.here()


def post_sync(context: DeliveryContext, records: list[EventRecord]) -> None:
    DELIVERED.setdefault(context.consumer, []).extend(records)


class PostByObject:
    """A consumer that is an object with an async `__call__`."""

    async def __call__(self, context: DeliveryContext, records: list[EventRecord]) -> None:
        DELIVERED.setdefault(context.consumer, []).extend(records)


async def tick(tx: Transaction, timers: list[Timer]) -> None:
    """Fire: a mark per timer, one event per batch."""
    CALLS["tick"] += 1
    for timer in timers:
        await mark(tx, "tick", timer.id)
        if timer.data["tell"] in BROKEN:
            raise RuntimeError("the clockwork is broken")
    if pause := PAUSES.get("tick"):
        await pause.here()
    tx.emit(Ticked(timers=len(timers), now=tx.now, roll=tx.dice.whole(1, 1_000_000)))


async def after_tick(tx: Transaction, records: list[EventRecord]) -> None:
    """A reaction to what a timer did: its chance must repeat too."""
    for record in records:
        tx.emit(Echoed(of=record.id, roll=tx.dice.whole(1, 1_000_000)))


system = System(
    name="counter",
    handlers=(
        Handler(Add, many=add), Handler(Touch, touch), Handler(Say, say), Handler(Plan, plan),
        Handler(Reveal, reveal), Handler(Audit, audit), Handler(Sweep, sweep), Handler(Batch, batch),
    ),
    events=(Added, Touched, Echoed, Ticked, Noted, Whispered),
    guarding=(Reaction("counter.guard", (Added, Touched, Echoed), guard),),
    following=(
        Reaction("counter.follow", (Added, Touched, Echoed), follow),
        Reaction("counter.after_tick", (Ticked,), after_tick),
    ),
    consumers=(
        Consumer("counter.tally", (Added,), tally),
        Consumer("counter.count", ("counter.*",), count),
        Consumer("counter.post", (Added,), post, Delivery.DELIVERING, batch=10),
        Consumer("counter.post_sync", (Added,), post_sync, Delivery.DELIVERING),
        Consumer("counter.post_by_object", (Added,), PostByObject(), Delivery.DELIVERING),
    ),
    timers=(TimerKind("counter.tick", tick),),
)  # fmt: skip
