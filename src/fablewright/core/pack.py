"""How a system's content looks in a pack: a world as a folder of YAML files.

A system brings, as `extra["pack"]`, a tuple of sections and additions. A **section** has files of its own
(`places.yaml`), an **addition** adds fields to the entries of another system's section (a home and a workplace to
each character). Both turn entries into commands (import) and read entries from a world (export). `packs` does
the rest: YAML, lines, keys, references, schemas, folders.

The model of an entry is a `PackModel`. Where it names an entry of a section by its key, the field is a
`Annotated[str, Ref("characters")]`, so that a key that names nobody is found with its file and line.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import StrEnum
from typing import Annotated, Any, Final, TypeVar
from unicodedata import combining, normalize
from uuid import UUID

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, StringConstraints, ValidationInfo
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from fablewright.core.dice import derived_uuid
from fablewright.core.messages import Command

EXTRA: Final = "pack"
"""The name in `System.extra` under which a system keeps its parts of a pack."""

Key = Annotated[str, StringConstraints(pattern=r"^[^\W_][\w-]*$", max_length=100)]
"""What an entry is called inside a pack: letters, digits, `_` and `-`."""

M = TypeVar("M", bound=BaseModel)


class PackModel(BaseModel):
    """Part of a file of a pack. It refuses fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Form(StrEnum):
    """How the entries of a section lie in its files."""

    DOCUMENT = "document"
    """A file is one entry; its key is the file's name."""
    KEYED = "keyed"
    """Under one word at the top stands a mapping of keys to entries: `places: {mill: …}`."""
    LISTED = "listed"
    """Under one word at the top stands a list of entries: `ties: [{…}]`."""


@dataclass(frozen=True, slots=True)
class Ref:
    """Says that a text is the key of an entry of the section `kind`.

    With `or_id`, it may also be the id of something that is not in the pack, such as a character who is gone.
    """

    kind: str
    or_id: bool = False

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_after_validator_function(self._check, handler(source))

    def _check(self, key: str, info: ValidationInfo) -> str:
        known = info.context.get(self.kind) if info.context else None
        if known is None or key in known or (self.or_id and is_id(key)):
            return key
        near = get_close_matches(key, known, 1)
        raise PydanticCustomError(
            "names_nothing",
            "it names none of the {kind}: {key}. {advice}",
            {"kind": self.kind, "key": repr(key), "advice": _advice(near, self.kind)},
        )


def _advice(near: Sequence[str], kind: str) -> str:
    return f"Did you mean {near[0]!r}?" if near else f"Write the key of one of the {kind}, or add it there."


def is_id(text: str) -> bool:
    """Whether a text is the id of something rather than a key."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of a section.

    When read: its key (in a list, its number from 1), its value, and its file. When written: `file` is the name
    of the file it belongs into, without folder and ending, for sections that have a folder.
    """

    key: str
    value: Any
    file: str = ""


class Ids:
    """The ids that keys stand for while a pack is read, and a place to say what is wrong with an entry."""

    def __init__(
        self, known: Mapping[str, Mapping[str, UUID]], now: int = 0,
        items: Mapping[str, Sequence[Item]] | None = None,
    ):  # fmt: skip
        self._known = known
        self._items = items or {}
        self.now = now
        """World time (ms) at which the world begins."""
        self.mistakes: list[tuple[Item, str, str]] = []

    def of(self, kind: str, key: str) -> UUID:
        """The id of an entry; a key that is an id already stands for itself."""
        found = self._known.get(kind, {}).get(key)
        return found if found is not None else UUID(key)

    def maybe(self, kind: str, key: str | None) -> UUID | None:
        """The id of an entry, if there is a key."""
        return None if key is None else self.of(kind, key)

    def entries(self, section: str) -> Sequence[Item]:
        """The checked entries of another section, with which one's own must agree."""
        return self._items.get(section, ())

    def mistake(self, item: Item, path: str, message: str) -> None:
        """Say what is wrong with a field of an entry (`path` as in `ways.ford`); nothing will be made then."""
        self.mistakes.append((item, path, message))


@dataclass(slots=True)
class Keys:
    """The keys that ids get while a world is written."""

    _known: dict[str, dict[UUID, str]] = field(default_factory=dict)

    def name(self, kind: str, entries: Iterable[tuple[UUID, str]]) -> None:
        """Give keys to the entries of a section, made from their names.

        Pairs of id and name come in any order; the same pairs always get the same keys. Whose id was derived
        from a key that its name suggests gets that key again.
        """
        taken: set[str] = set()
        keys = self._known.setdefault(kind, {})
        later: list[tuple[UUID, str]] = []
        for id_, name in sorted(entries, key=lambda e: (e[1], e[0])):
            found = next((c for c in _suggested(name) if entry_id(kind, c) == id_ and c not in taken), None)
            if found is None:
                later.append((id_, name))
            else:
                keys[id_] = found
                taken.add(found)
        for id_, name in later:
            base = slug(name) or kind
            key, number = base, 1
            while key in taken:
                number += 1
                key = f"{base}_{number}"
            keys[id_] = key
            taken.add(key)

    def of(self, kind: str, id_: UUID) -> str:
        """The key of an entry; what has none is named by its id."""
        return self._known.get(kind, {}).get(id_) or str(id_)

    def maybe(self, kind: str, id_: UUID | None) -> str | None:
        """The key of an entry that is in the pack, else None."""
        return None if id_ is None else self._known.get(kind, {}).get(id_)

    def has(self, kind: str, id_: UUID | None) -> bool:
        """Whether something is in the pack."""
        return id_ is not None and id_ in self._known.get(kind, {})

    def id_to_write(self, kind: str, id_: UUID) -> UUID | None:
        """The id as an entry must say it: None if it follows from the key."""
        return None if entry_id(kind, self.of(kind, id_)) == id_ else id_


def _suggested(name: str) -> list[str]:
    whole = slug(name)
    return [whole, *whole.split("_")] if whole else []


def slug(name: str) -> str:
    """A key made of a name: `Orla Fen` becomes `orla_fen`. Empty if nothing in it can stand in a key."""
    plain = "".join(c for c in normalize("NFKD", name.casefold()) if not combining(c))
    words = "".join(c if c.isalpha() or c.isdecimal() else " " for c in normalize("NFC", plain)).split()
    return "_".join(words)[:80].rstrip("_")


def entry_id(kind: str, key: str) -> UUID:
    """The id, within its world, of an entry that does not say its own."""
    return derived_uuid("pack", kind, key)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A world as an export sees it: one unchanging moment of it."""

    connection: Any
    """A raw connection inside one REPEATABLE READ transaction."""
    world_id: UUID
    now: int
    """World time, ms."""
    keys: Keys
    with_seed: bool = False
    """Whether the world's secret seed shall be written, too."""


MakeCommands = Callable[[Sequence[Item], Ids], list[Command]]
ReadItems = Callable[[Snapshot], Awaitable[list[Item]]]


@dataclass(frozen=True, slots=True)
class PackSection:
    """Files of a pack, and what they mean.

    - `files`: names or patterns (`texts/*.yaml`). An export writes into the first one without a `*`, or, if there
      is none (or the items name their files), into the folder of the first one with it;
    - `top`: the word at the top of each file, for keyed and listed entries;
    - `entry`: the model of an entry. In a keyed section it may have a field `id`;
    - `commands` makes what was read; it may be given no items, and then makes nothing;
    - `read` finds the entries in a world, in their final order, and names those that others refer to with
      `snapshot.keys.name(section, …)`. What is at its default is left out of the file.
    """

    name: str
    files: tuple[str, ...]
    form: Form
    entry: type[BaseModel]
    commands: MakeCommands
    read: ReadItems
    top: str = ""
    required: bool = False


@dataclass(frozen=True, slots=True)
class PackAddition:
    """Fields that a system adds to the entries of the section `to`, in the same files.

    `commands` gets the whole entries; `read` returns those that have something to add, by key. Its commands come
    after those of the section.
    """

    to: str
    entry: type[PackModel]
    commands: MakeCommands
    read: ReadItems


def chunks(values: Sequence[M], most: int, most_bytes: int = 32_000) -> list[list[M]]:
    """Values in order, in groups of at most `most` and about `most_bytes` of JSON, so that events stay small."""
    groups: list[list[M]] = []
    size = most_bytes
    for value in values:
        own = len(value.model_dump_json().encode())
        if size + own > most_bytes or len(groups[-1]) >= most:
            groups.append([])
            size = 0
        groups[-1].append(value)
        size += own
    return groups
