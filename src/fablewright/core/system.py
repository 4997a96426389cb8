"""`System`: everything one system brings to the server, as a value."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

from fablewright.core.messages import Command, Event
from fablewright.core.transaction import EventRecord, Request, Timer, Transaction

HandleOne = Callable[[Transaction, Any], Awaitable[Any]]
HandleMany = Callable[[Transaction, Sequence[Request]], Awaitable[Sequence[Any]]]


@dataclass(frozen=True, slots=True)
class Handler:
    """Who does a command: one at a time, or (for hot commands) many in one set-based transaction.

    `many` gets the requests in the order of their arrival and returns one result each, in that order. A result
    that is a `Refused` refuses that request alone; such a request must not have changed or emitted anything.
    It emits with `tx.emit(event, by=request)`.
    """

    command: type[Command]
    one: HandleOne | None = None
    many: HandleMany | None = None

    def __post_init__(self) -> None:
        if (self.one is None) == (self.many is None):
            raise TypeError(
                f"the handler of {self.command.message_type} needs exactly one of `one` and `many`"
            )


React = Callable[[Transaction, list[EventRecord]], Awaitable[None]]
Choose = Callable[[Transaction, list[EventRecord]], Awaitable[list[EventRecord]]]


@dataclass(frozen=True, slots=True)
class Reaction:
    """What a system does, in the same transaction, when events of these types happen.

    `on` holds event classes or patterns such as `diplomacy.*`. A following reaction that fails leaves a dead
    letter in its world; for events of accounts, which have no world, it leaves an error in the server's log.

    A following one that listens to much and cares for little brings `choose`, which returns those events that
    concern it: for none of them there is no savepoint, so that a commit nobody cares for pays nothing. It may only
    read, best from what is kept (`core.definitions`).
    """

    name: str
    on: tuple[type[Event] | str, ...]
    react: React
    choose: Choose | None = None


class Delivery(StrEnum):
    """How a consumer's work relates to its cursor."""

    TRANSACTIONAL = "transactional"
    """Effects and cursor in one commit: exactly once. `consume(tx, events)`."""
    DELIVERING = "delivering"
    """To the outside, no transaction: at least once, each event with its id. `consume(context, events)`."""


@dataclass(frozen=True, slots=True)
class Consumer:
    """A durable reader of every world's log. `consume` may be a plain or an async function.

    A transactional one gets a `Transaction` (a plain function may only emit and read from it); a delivering one
    gets a `DeliveryContext`, and a plain function runs in a thread.
    """

    name: str
    on: tuple[type[Event] | str, ...]
    consume: Callable[[Any, list[EventRecord]], Any]
    delivery: Delivery = Delivery.TRANSACTIONAL
    batch: int = 100


@dataclass(frozen=True, slots=True)
class TimerKind:
    """What happens when timers of a kind fall due. All that are due at the same time come as one list."""

    kind: str
    fire: Callable[[Transaction, list[Timer]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something a check found wrong."""

    check: str
    world_id: UUID | None
    text: str


@dataclass(frozen=True, slots=True)
class Check:
    """An invariant, for `doctor`: `sql` returns a row (world_id, text) for each place where it is broken.

    `$1` in it stands for the setting `receipt_days`.
    """

    name: str
    sql: str


@dataclass(frozen=True, slots=True)
class System:
    """One system: its messages, handlers, reactions, consumers, timers, routes, checks.

    - `routers`: FastAPI routers or Starlette routes; `app` mounts them under `/api/v1`;
    - `guarding` reactions refuse the command if they refuse; `following` ones become dead letters;
    - `workers` run as long as the server does; each gets the engine;
    - `controls(tx, user_id, character_ids)` returns those of the ids that the user may act as (one system
      brings it);
    - `principals(fetch, world_id, user_id)` returns what else a user stands for in event audiences;
      `principals_change_on` are the event types after which that must be asked again;
    - `migrations` is the folder of Alembic versions of a system from another package.
    """

    name: str
    handlers: tuple[Handler, ...] = ()
    events: tuple[type[Event], ...] = ()
    guarding: tuple[Reaction, ...] = ()
    following: tuple[Reaction, ...] = ()
    consumers: tuple[Consumer, ...] = ()
    timers: tuple[TimerKind, ...] = ()
    routers: tuple[Any, ...] = ()
    checks: tuple[Check, ...] = ()
    workers: tuple[Callable[[Any], Awaitable[None]], ...] = ()
    controls: Callable[[Transaction, UUID, Sequence[UUID]], Awaitable[set[UUID]]] | None = None
    principals: Callable[[Callable[..., Awaitable[Any]], UUID, UUID], Awaitable[set[UUID]]] | None = None
    principals_change_on: tuple[str, ...] = ()
    migrations: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    """Values that a higher package reads by name, such as how a system's content is packed."""
