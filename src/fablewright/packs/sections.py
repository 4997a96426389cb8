"""Which sections a pack has with the systems at hand, and the models of their files."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, Final

from pydantic import BaseModel, create_model

from fablewright.core.messages import CatalogueError
from fablewright.core.pack import EXTRA, Form, Key, PackAddition, PackModel, PackSection
from fablewright.core.system import System

WORLD: Final = "world"
"""The section whose one entry makes the world."""


@dataclass(frozen=True)
class Section:
    """A section with what other systems add to its entries."""

    own: PackSection
    additions: tuple[PackAddition, ...]

    @property
    def name(self) -> str:
        return self.own.name

    @cached_property
    def entry(self) -> type[BaseModel]:
        """The model of a whole entry."""
        if not self.additions:
            return self.own.entry
        bases = (self.own.entry, *(addition.entry for addition in self.additions))
        names = [name for base in bases for name in base.model_fields]
        if len(set(names)) != len(names):
            raise CatalogueError(f"two systems add a field of the same name to {self.name}: {sorted(names)}")
        # The last base's fields come first in a class, so the order is turned round.
        return create_model(
            self.own.entry.__name__, __base__=tuple(reversed(bases)), __doc__=self.own.entry.__doc__
        )

    @cached_property
    def model(self) -> type[BaseModel]:
        """The model of a whole file."""
        if self.own.form is Form.DOCUMENT:
            return self.entry
        inner: Any = dict[Key, self.entry] if self.own.form is Form.KEYED else list[self.entry]  # type: ignore[name-defined]
        fields: dict[str, Any] = {self.own.top: (inner, ...)}
        return create_model(
            f"{self.name.capitalize()}File", __base__=PackModel, __doc__=f"The {self.name} of a world.",
            **fields,
        )  # fmt: skip

    def holds(self, file: str) -> bool:
        """Whether a file, named by its path inside the pack, belongs to this section."""
        return any(
            fnmatchcase(file, pattern) and file.count("/") == pattern.count("/") for pattern in self.own.files
        )

    def file_for(self, name: str) -> str:
        """The file into which an export writes entries that want a file of this name (or none)."""
        patterns = [p for p in self.own.files if ("*" in p) == bool(name)] or list(self.own.files)
        return patterns[0].replace("*", name or self.name)


@dataclass(frozen=True)
class Part:
    """A section or an addition that makes commands, in the order of its system."""

    section: Section
    makes: PackSection | PackAddition


def sections_of(systems: Sequence[System]) -> list[Section]:
    """The sections of all systems, in their order. Raises `CatalogueError` for parts that do not fit together."""
    parts = [part for system in systems for part in system.extra.get(EXTRA, ())]
    own = [part for part in parts if isinstance(part, PackSection)]
    additions = [part for part in parts if isinstance(part, PackAddition)]
    names = [section.name for section in own]
    if len(set(names)) != len(names):
        raise CatalogueError(f"two sections of packs have the same name: {sorted(names)}")
    for addition in additions:
        if addition.to not in names:
            raise CatalogueError(f"no section of packs is called {addition.to!r}, to which a system adds")
    return [Section(s, tuple(a for a in additions if a.to == s.name)) for s in own]


def parts_in_order(systems: Sequence[System]) -> list[Part]:
    """What makes commands, in the order in which they run.

    The world comes first. Then each system's parts in the order of the systems, but an addition never before the
    section that it adds to.
    """
    sections = {section.name: section for section in sections_of(systems)}
    place = {
        part.name: number
        for number, system in enumerate(systems)
        for part in system.extra.get(EXTRA, ())
        if isinstance(part, PackSection)
    }
    ordered: list[tuple[int, int, Part]] = []
    for number, system in enumerate(systems):
        for part in system.extra.get(EXTRA, ()):
            of = part.name if isinstance(part, PackSection) else part.to
            rank = -1 if of == WORLD and isinstance(part, PackSection) else max(number, place[of])
            ordered.append((rank, isinstance(part, PackAddition), Part(sections[of], part)))
    return [part for _, _, part in sorted(ordered, key=lambda entry: entry[:2])]
