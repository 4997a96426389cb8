"""Commands and events: their bases and the catalogue that finds them by name. Pure.

A command asks for one thing, in the imperative (`characters.create_character`). An event says what happened,
in the past tense (`characters.character_created`), and who may know of it.
"""

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from fablewright.core.actors import Allowed
from fablewright.core.refusal import Refusal

MOST_DEPTH: Final = 64
"""How deep free JSON values may nest; encoders give up some way beyond."""

_NAME = re.compile(r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$")


class Message(BaseModel):
    """A frozen value that refuses fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class View(BaseModel):
    """What is shown to somebody. What checks and writes it is built when first needed: a server has hundreds."""

    model_config = ConfigDict(defer_build=True)


class Command(Message):
    """Something to do. Subclasses declare:

    - `message_type`: `<system>.<imperative>`;
    - `allowed`: who may give it;
    - `refusals`: the named refusals it may answer with, beyond those of every door;
    - `secret`: True if it carries or returns a password or token, so that it is never kept in a receipt, an
      event or a log line;
    - `unlogged`: fields that the log does not keep, such as a world's seed;
    - `founds_world`: True if it makes a world, inside which the rest of a list then runs.
    """

    message_type: ClassVar[str]
    allowed: ClassVar[Allowed]
    refusals: ClassVar[tuple[Refusal, ...]] = ()
    secret: ClassVar[bool] = False
    unlogged: ClassVar[frozenset[str]] = frozenset()
    founds_world: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Audience:
    """Who may see an event. Owners and game masters of the world see all its events.

    `principals` None means every member. Otherwise a reader sees the event if one of these ids is among what the
    reader stands for: the user itself, the characters it controls, and what systems add (factions, …).
    """

    principals: frozenset[UUID] | None

    @staticmethod
    def of(*ids: UUID) -> "Audience":
        """Those who stand for one of these ids."""
        return Audience(frozenset(ids))


MEMBERS: Final = Audience(None)
GAME_MASTERS: Final = Audience(frozenset())


class Event(Message):
    """Something that happened. Subclasses declare `message_type`, `audience()` and the fields in `subjects`.

    `subjects` names the fields that hold the ids (or lists of ids) of whom the event is about: listeners can
    subscribe to these.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    message_type: ClassVar[str]
    subjects: ClassVar[tuple[str, ...]] = ()
    families: ClassVar[tuple[str, ...]] = ()
    """Prefixes (`game.`) of types that worlds define themselves and that this class carries."""

    @property
    def type_name(self) -> str:
        """Its type in the log."""
        return self.message_type

    def as_json(self) -> bytes:
        """What the log keeps of it."""
        return self.model_dump_json().encode()

    def audience(self) -> Audience:
        """Who may know of this event."""
        raise NotImplementedError(f"{type(self).__name__} does not declare its audience")

    def about(self) -> list[UUID]:
        """The ids of whom this event is about, in the order of `subjects`."""
        ids: list[UUID] = []
        for field in self.subjects:
            value = getattr(self, field)
            if value is not None:
                ids.extend(value if isinstance(value, list | tuple) else [value])
        return ids


M = TypeVar("M", Command, Event)


class CatalogueError(Exception):
    """A system is put together wrongly; the server does not start."""


class Catalogue(Generic[M]):
    """Finds message classes by their type name. Names are unique over all systems."""

    def __init__(self, messages: Iterable[type[M]] = ()):
        self._by_name: dict[str, type[M]] = {}
        self._families: dict[str, type[M]] = {}
        for message in messages:
            self.add(message)

    def add(self, message: type[M]) -> None:
        """Take a message class in. Raises `CatalogueError` for one that is not declared as it must be."""
        name = getattr(message, "message_type", None)
        if name is None or not _NAME.match(name):
            raise CatalogueError(
                f"{message.__name__} needs a message_type like 'system.did_something', not {name!r}"
            )
        if self._by_name.get(name, message) is not message:
            raise CatalogueError(f"two messages are called {name!r}: {message} and {self._by_name[name]}")
        if issubclass(message, Command) and not isinstance(getattr(message, "allowed", None), Allowed):
            raise CatalogueError(f"command {name} does not declare who may give it (`allowed`)")
        if issubclass(message, Event) and message.audience is Event.audience:
            raise CatalogueError(f"event {name} does not declare its audience")
        self._by_name[name] = message
        for family in getattr(message, "families", ()):
            if self._families.setdefault(family, message) is not message:
                raise CatalogueError(f"two messages carry the types {family}*")

    def get(self, name: str) -> type[M] | None:
        """The class of a type of message, also of one that worlds define themselves."""
        return self._by_name.get(name) or self._families.get(name.partition(".")[0] + ".")

    def __iter__(self) -> Any:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    @property
    def names(self) -> list[str]:
        return sorted(self._by_name)


def matches(pattern: str, name: str) -> bool:
    """Whether an event type fits a pattern: `*`, `dialogue.*` or a full name."""
    return pattern in ("*", name) or (pattern.endswith(".*") and name.startswith(pattern[:-1]))


PATTERN: Final = re.compile(r"^(\*|[a-z][a-z0-9_]*\.(\*|[a-z][a-z0-9_]*))$")
"""What a subscription to event types may look like."""


def check_free_json(value: Any, most_bytes: int) -> None:
    """Whether a free value can be kept as JSON and read again as it is. Raises `ValueError`, without the value.

    It may nest to `MOST_DEPTH`, hold whole numbers of 64 bits, finite fractions and text that is Unicode, and
    have `most_bytes` bytes of JSON.
    """
    waiting = [(value, 1)]
    while waiting:
        item, depth = waiting.pop()
        if depth > MOST_DEPTH:
            raise ValueError(f"it may nest {MOST_DEPTH} levels deep at most")
        if isinstance(item, dict):
            waiting += [(key, depth) for key in item]
            waiting += [(child, depth + 1) for child in item.values()]
        elif isinstance(item, list | tuple):
            waiting += [(child, depth + 1) for child in item]
        else:
            _check_scalar(item)
    if len(json.dumps(value, ensure_ascii=False).encode()) > most_bytes:
        raise ValueError(f"it may have {most_bytes} bytes of JSON at most")


def _check_scalar(item: Any) -> None:
    if isinstance(item, str):
        try:
            item.encode()
        except UnicodeEncodeError:
            raise ValueError("its text must be Unicode, without halves of surrogate pairs") from None
    elif isinstance(item, float):
        if not math.isfinite(item):
            raise ValueError("its numbers must be finite")
    elif isinstance(item, int) and not -(2**63) <= item < 2**63:
        raise ValueError("its whole numbers must fit into 64 bits")
