"""What other programs call sections, fields and words of a pack; the table is `data/names.yaml`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final
from unicodedata import normalize

from fablewright.packs import syntax

_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_JOINT: Final = re.compile(r"\W+")
SUFFIXES: Final = ("_id", "_ids", "_key", "_keys", "_name", "_names", "_ref", "_uuid")
"""Ends of names of columns that refer to something; they say nothing about what."""


@dataclass(frozen=True, slots=True)
class PartOf:
    """A table whose rows are parts of the entries of a section."""

    of: str
    field: str
    by: str | None = None
    to: str | None = None
    key: str | None = None
    take: str | None = None


@dataclass(frozen=True, slots=True)
class Names:
    """The table, turned round: from what something may be called to what it is."""

    sections: Mapping[str, str]
    either: frozenset[str]
    parts: Mapping[str, PartOf]
    fields: Mapping[str, Mapping[str, str]]
    appended: Mapping[str, Mapping[str, str]]
    columns: Mapping[str, frozenset[str]]
    words: Mapping[str, Sequence[str]]

    def field(self, section: str, path: str) -> str | None:
        """The field of a section, as `a.b`, that a column may mean."""
        return self.fields.get(section, {}).get(path)

    def part(self, section: str, field: str) -> PartOf | None:
        """How parts in that field of a section are called, if tables may hold them."""
        return next((p for p in self.parts.values() if (p.of, p.field) == (section, field)), None)


@cache
def names() -> Names:
    """The table of names."""
    text = resources.files(__package__).joinpath("data", "names.yaml").read_text(encoding="utf-8")
    tree = syntax.parse(text)
    raw: dict[str, Any] = tree.plain() if tree is not None else {}
    parts = {
        name: PartOf(**{key: value for key, value in part.items() if key != "names"})
        for part in raw["parts"] for name in part["names"]
    }  # fmt: skip
    words: dict[str, list[str]] = {}
    for word, others in raw["words"].items():
        for other in others:
            words.setdefault(other, []).append(word)
    return Names(
        sections={other: section for section, others in raw["sections"].items() for other in others},
        either=frozenset(raw["either"]),
        parts=parts,
        fields={section: _turned(fields) for section, fields in raw["fields"].items()},
        appended={section: _turned(fields) for section, fields in raw["appended"].items()},
        columns={name: frozenset((name, *others)) for name, others in raw["columns"].items()},
        words=words,
    )


def _turned(fields: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """From aliases to paths; an alias of `a.b` stands inside `a` if that is a part, else beside it."""
    found = {other: path for path, others in fields.items() for other in others if "." not in path}
    for path, others in fields.items():
        if "." in path:
            for other in others:
                found.setdefault(other, path)
                found[f"{path.rpartition('.')[0]}.{other}"] = path
    return found


def plain(name: str) -> str:
    """A name in small letters, words joined by `_`: `factionID`, `Faction Id` and `faction-id` become `faction_id`."""
    return _JOINT.sub("_", _HUMP.sub("_", normalize("NFC", name)).casefold()).strip("_")


def candidates(column: str) -> list[str]:
    """What a column may be called: its plain name, and that without an end such as `_id`."""
    name = plain(column)
    short = [name.removesuffix(end) for end in SUFFIXES if name.endswith(end) and name != end[1:]]
    return [name, *short]
