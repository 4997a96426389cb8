"""Entities as other programs keep them: a folder of JSON files, or an SQLite file, read into tables of rows."""

import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from fablewright.packs.faults import Faults
from fablewright.packs.json_text import parse_json
from fablewright.packs.syntax import MOST_BYTES, MOST_NODES, Node, SyntaxFault

MOST_TOTAL: Final = 512 * 1024 * 1024
"""Bytes of all files together."""
MOST_FILES: Final = 1_000
MOST_TABLES: Final = 500
MOST_LETTERS: Final = 1_000_000
"""In one cell of a database."""
MAGIC: Final = b"SQLite format 3\x00"
"""How an SQLite file begins."""


class Place(int):
    """A line of a file, or a row of a table, that knows which it is."""

    file: str
    unit: str

    def __new__(cls, number: int, file: str, unit: str = "line") -> Self:
        place = super().__new__(cls, number)
        place.file, place.unit = file, unit
        return place


@dataclass(slots=True)
class Row:
    """One entity. `key` is the name under which a mapping holds it."""

    node: Node
    key: str | None = None


@dataclass(slots=True)
class Table:
    """All entities of a type: `name` is what the file or the table is called."""

    name: str
    file: str
    rows: list[Row] = field(default_factory=list)
    whole: Node | None = None
    """The object that the file is, if it is no list."""


def is_sqlite(path: Path) -> bool:
    """Whether a file is an SQLite database."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def is_json_folder(folder: Path) -> bool:
    """Whether a folder holds JSON files and no pack."""
    return not any(folder.glob("world.y*ml")) and any(folder.glob("*.json"))


def read_tables(path: Path, faults: Faults) -> list[Table]:
    """The tables of a folder of JSON files or of an SQLite file, in the order of their names."""
    return list(_of_folder(path, faults) if path.is_dir() else _of_sqlite(path, faults))


# JSON.


def _of_folder(folder: Path, faults: Faults) -> Iterator[Table]:
    total = 0
    for number, path in enumerate(sorted(folder.glob("*.json"))):
        try:
            if number >= MOST_FILES:
                raise SyntaxFault(0, f"a folder has at most {MOST_FILES:,} files: put more into one")
            text = _text(path, total)
            total += len(text)
            node = parse_json(text)
        except SyntaxFault as fault:
            faults.add(path.name, fault.line, "", fault.message)
        else:
            _placed(node, path.name)
            yield _table(path.stem, path.name, node)


def _text(path: Path, total: int) -> str:
    if path.is_symlink() or not path.is_file():
        raise SyntaxFault(0, "it is no ordinary file: put the file itself here")
    size = path.stat().st_size
    if size > MOST_BYTES or total + size > MOST_TOTAL:
        raise SyntaxFault(
            0,
            f"a file has at most {MOST_BYTES // 2**20} MiB, all together {MOST_TOTAL // 2**20} MiB: make it smaller",
        )
    raw = path.read_bytes()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise SyntaxFault(line, "it is not in UTF-8: save it as UTF-8") from error


def _placed(node: Node, file: str) -> None:
    """Let all lines of a tree know their file."""
    node.line = Place(node.line, file)
    if isinstance(node.value, dict):
        for key, (line, inner) in node.value.items():
            _placed(inner, file)
            node.value[key] = (Place(line, file), inner)
    elif isinstance(node.value, list):
        for inner in node.value:
            _placed(inner, file)


def _table(name: str, file: str, node: Node) -> Table:
    """The rows of a file: a list of objects, objects by their keys, or either under a word at the top."""
    if isinstance(node.value, dict) and len(node.value) == 1:
        ((top, (_, inner)),) = node.value.items()
        if top.casefold() == name.casefold() and isinstance(inner.value, dict | list):
            node = inner
    if isinstance(node.value, list):
        return Table(name, file, [Row(item) for item in node.value])
    if not isinstance(node.value, dict):
        return Table(name, file, [Row(node)])
    if all(isinstance(inner.value, dict) for _, inner in node.value.values()):
        return Table(name, file, [Row(inner, key) for key, (_, inner) in node.value.items()], node)
    return Table(name, file, [Row(node)], node)


# SQLite.


def _of_sqlite(path: Path, faults: Faults) -> Iterator[Table]:
    """Ordinary tables only: what views or virtual tables would run is none of the data."""
    if path.stat().st_size > MOST_TOTAL:
        faults.add(path.name, 0, "", f"it has more than {MOST_TOTAL // 2**20} MiB: make it smaller")
        return
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            database.execute("PRAGMA query_only = ON")
            database.execute("PRAGMA trusted_schema = OFF")
            database.execute("PRAGMA cell_size_check = ON")
            names = database.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' "
                "AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name LIMIT ?",
                (MOST_TABLES + 1,),
            ).fetchall()
            if len(names) > MOST_TABLES:
                faults.add(
                    path.name, 0, "", f"it has more than {MOST_TABLES} tables: import a copy with fewer"
                )
                return
            left = MOST_NODES
            for (name,) in names:
                table = _read(database, path.name, name, left, faults)
                left -= sum(len(row.node.value) for row in table.rows)
                yield table
    except sqlite3.Error as error:
        faults.add(path.name, 0, "", f"it cannot be read as an SQLite file ({error}): mend or export it anew")
    except UnicodeDecodeError:
        faults.add(path.name, 0, "", "it holds text that is not in UTF-8: export it anew")


def _read(database: sqlite3.Connection, file: str, name: str, most: int, faults: Faults) -> Table:
    table = Table(name, f"{file}, table {name}")
    quoted = name.replace('"', '""')
    found = database.execute(f'SELECT * FROM "{quoted}"')  # noqa: S608  a name out of the file, quoted
    columns = [column[0] for column in found.description]
    for number, cells in enumerate(found, 1):
        if number * len(columns) > most:
            faults.add(table.file, 0, "", f"all tables hold more than {MOST_NODES:,} values: split the file")
            break
        place = Place(number, table.file, "row")
        fields = {}
        for column, cell in zip(columns, cells, strict=True):
            if _check(cell, column, place, faults):
                fields[column] = (place, Node(cell, place))
        table.rows.append(Row(Node(fields, place)))
    return table


def _check(cell: Any, column: str, place: Place, faults: Faults) -> bool:
    """Whether a cell holds something that a world can hold; says so if not."""
    said = None
    if isinstance(cell, bytes):
        said = "it holds bytes: export them as text"
    elif isinstance(cell, float) and not math.isfinite(cell):
        said = "it must be a finite number"
    elif isinstance(cell, str) and len(cell) > MOST_LETTERS:
        said = f"it has more than {MOST_LETTERS:,} letters: shorten it"
    elif isinstance(cell, str) and "\x00" in cell:
        said = "the text holds U+0000: leave that out"
    if said is not None:
        faults.add(place.file, place, column, said)
    return said is None
