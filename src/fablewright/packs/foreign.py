"""Worlds out of other programs: a folder of JSON files, one type of entity per file, or an SQLite file with tables
of the same names."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from fablewright.core.refusal import INVALID, Refusal
from fablewright.core.system import System
from fablewright.packs.faults import Faults
from fablewright.packs.fitting import Unmapped, date_of
from fablewright.packs.mapping import Mapper
from fablewright.packs.reader import Pack, read_trees
from fablewright.packs.sections import sections_of
from fablewright.packs.tables import is_json_folder, is_sqlite, read_tables

IMPORT_UNMAPPED = Refusal(
    "import_unmapped",
    INVALID,
    "Something in the data has no place in a world, so nothing was made. Rename it, or import with --leave-out.",
)
EPOCH_INVALID = Refusal(
    "epoch_invalid", INVALID, "The date of world time 0 must look like 1012-03-01 or 1012-03-01T06:00:00."
)
MOST_TOLD: Final = 100
"""Things without a place that are told one by one."""


@dataclass(frozen=True, slots=True)
class Foreign:
    """A world of another program, read and checked, and what of it has no place here."""

    pack: Pack
    unmapped: tuple[Unmapped, ...]

    def refuse_unmapped(self) -> None:
        """Refuses `import_unmapped` if anything would be left out."""
        if self.unmapped:
            lines = self.lines()
            raise IMPORT_UNMAPPED("\n".join(lines), count=len(self.unmapped), unmapped=lines)

    def lines(self) -> list[str]:
        """What has no place, a line for each."""
        return told(self.unmapped)


def told(unmapped: Sequence[Unmapped]) -> list[str]:
    """A line for each thing without a place."""
    more = len(unmapped) - MOST_TOLD
    return [str(one) for one in unmapped[:MOST_TOLD]] + ([f"and {more} more"] if more > 0 else [])


def is_foreign(path: Path) -> bool:
    """Whether a path is such a folder or file."""
    return is_json_folder(path) if path.is_dir() else is_sqlite(path)


def read_foreign(path: Path, systems: Sequence[System], *, epoch: str | None = None) -> Foreign:
    """Read and check all of it.

    `epoch`: the real date (ISO 8601) that world time 0 stands for, if the data has real dates. Refuses
    `pack_invalid` with every fault, up to 20, and (`facts["unmapped"]`) with what has no place; `epoch_invalid`.
    """
    zero: datetime | None = None
    if epoch is not None:
        zero = date_of(epoch)
        if zero is None:
            raise EPOCH_INVALID(epoch=epoch)
    faults, sections = Faults(), sections_of(systems)
    mapped = Mapper(sections, faults, zero).map(read_tables(path, faults), path)
    broken = {section.name for section in sections} if faults.found else set()
    try:
        pack = read_trees(mapped.files, systems, faults, broken)
    except Exception as refused:
        if getattr(refused, "code", "") == "pack_invalid":
            refused.facts["unmapped"] = told(mapped.unmapped)  # type: ignore[attr-defined]
        raise
    return Foreign(pack, tuple(mapped.unmapped))
