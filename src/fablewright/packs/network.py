"""Import of a social network: a CSV file of weighted ties becomes a world of characters, in one commit.

The file has a header with the columns `source`, `target` and `weight` (others are ignored) and one line per
undirected tie: two different names and a positive number, such as how often the two were seen together.
"""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Final
from uuid import UUID

from fablewright.core.actors import Actor
from fablewright.core.dice import Dice, derived_uuid, random_seed
from fablewright.core.messages import Command
from fablewright.core.refusal import INVALID, Refusal
from fablewright.gateway.runtime import Runtime
from fablewright.systems.characters.commands import CreateCharacter, Personality
from fablewright.systems.relationships.commands import MOST_TIES, SetTies, TieValue
from fablewright.systems.relationships.rules import strength_of_weight
from fablewright.systems.worlds.commands import CreateWorld

NETWORK_INVALID = Refusal(
    "network_invalid",
    INVALID,
    "The network file has a mistake, so nothing was imported. Mend the line it names.",
)

COLUMNS: Final = ("source", "target", "weight")
MOST_ROWS: Final = 100_000
MOST_NAME: Final = 200
IMPORTED_TRUST: Final = 0.5
"""Trust (0..1) of imported ties: a network says how often people meet, not how far they trust."""

Progress = Callable[[int, int], None]
"""Is told how many characters and ties are done, and how many there are."""


@dataclass(frozen=True, slots=True)
class Row:
    """An undirected tie of a network: two names and a weight > 0."""

    source: str
    target: str
    weight: float


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import made."""

    world_id: UUID
    characters: int
    ties: int
    """Directed ties: two for each row."""
    seq: int | None


def read_network(path: Path) -> list[Row]:
    """The rows of a file in UTF-8. Refuses `network_invalid`."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NETWORK_INVALID(f"{path.name}: not UTF-8 at byte {error.start}.", file=path.name) from error
    return parse_network(text, path.name)


def parse_network(text: str, file: str = "network.csv") -> list[Row]:
    """The rows of a network, all checked. Pure.

    Refuses `network_invalid` with `file`, `line` and `field` for: a missing column, a row with too few or too
    many cells, an empty or too long name, a weight that is no positive number, a tie of a character with
    itself, a tie that was already given (in either direction), no rows, more than 100,000 rows.
    """
    rows: list[Row] = []
    seen: dict[tuple[str, str], int] = {}
    for line, row in _rows(text, file):
        if len(rows) == MOST_ROWS:
            raise _mistake(file, line, "", f"there are more than {MOST_ROWS:,} rows")
        if row.source == row.target:
            raise _mistake(file, line, "target", f"{row.source!r} has a tie with itself")
        pair = min(row.source, row.target), max(row.source, row.target)
        if pair in seen:
            raise _mistake(
                file,
                line,
                "target",
                f"the tie of {row.source!r} and {row.target!r} stands in line {seen[pair]} already",
            )
        seen[pair] = line
        rows.append(row)
    if not rows:
        raise _mistake(file, 1, "", "there are no ties in it")
    return rows


def _rows(text: str, file: str) -> Iterator[tuple[int, Row]]:
    """Each row with its line, its cells checked one by one."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [cell.strip().lower() for cell in next(reader, [])]
        for column in COLUMNS:
            if header.count(column) != 1:
                raise _mistake(file, 1, column, f"the header needs one column {column!r}")
        places = [header.index(column) for column in COLUMNS]
        for cells in reader:
            if not cells:
                continue
            line = reader.line_num
            if len(cells) != len(header):
                raise _mistake(file, line, "", f"it has {len(cells)} cells, the header {len(header)}")
            source, target, weight = (cells[place].strip() for place in places)
            yield line, Row(
                _name(source, file, line, "source"), _name(target, file, line, "target"),
                _weight(weight, file, line),
            )  # fmt: skip
    except csv.Error as error:
        raise _mistake(file, reader.line_num, "", f"it is no CSV ({error})") from error


def _name(cell: str, file: str, line: int, field: str) -> str:
    if not cell:
        raise _mistake(file, line, field, "the name is empty")
    if len(cell) > MOST_NAME or "\x00" in cell:
        raise _mistake(file, line, field, f"a name has at most {MOST_NAME} letters, and no U+0000")
    return cell


def _weight(cell: str, file: str, line: int) -> float:
    try:
        weight = float(cell)
    except ValueError:
        weight = -1.0
    if not isfinite(weight) or weight <= 0:
        raise _mistake(file, line, "weight", f"{cell[:50]!r} is no positive number")
    return weight


def _mistake(file: str, line: int, field: str, what: str) -> Exception:
    where = f"{file}, line {line}" + (f", {field}" if field else "")
    return NETWORK_INVALID(f"{where}: {what}. Nothing was imported.", file=file, line=line, field=field)


def character_id(name: str) -> UUID:
    """The id, within its world, of the character that a name of a network becomes."""
    return derived_uuid("network", "character", name)


def personality(seed: int, name: str) -> Personality:
    """The personality that a name has in a world with this seed: five numbers around 0.5, within 0..1."""
    dice = Dice(seed, "personality", name)
    traits = ("openness", "conscientiousness", "extraversion", "agreeableness", "neuroticism")
    return Personality(**{trait: min(1.0, max(0.0, dice.gauss(0.5, 0.2))) for trait in traits})


def network_commands(
    name: str, rows: Sequence[Row], seed: int, progress: Progress | None = None
) -> list[Command]:
    """The commands that make a world of a network: the world, its characters by first mention, its ties."""
    names = list(dict.fromkeys(n for row in rows for n in (row.source, row.target)))
    total = len(names) + 2 * len(rows)
    report = progress or (lambda _done, _total: None)
    commands: list[Command] = [CreateWorld(name=name, seed=seed)]
    report(0, total)
    commands += [CreateCharacter(id=character_id(n), name=n, personality=personality(seed, n)) for n in names]
    report(len(names), total)
    heaviest = max(row.weight for row in rows)
    ties = [
        TieValue(
            source_id=character_id(source), target_id=character_id(target),
            strength=strength_of_weight(row.weight, heaviest), trust=IMPORTED_TRUST,
        )
        for row in rows
        for source, target in ((row.source, row.target), (row.target, row.source))
    ]  # fmt: skip
    commands += [SetTies(ties=ties[n : n + MOST_TIES]) for n in range(0, len(ties), MOST_TIES)]
    return commands


async def import_network(
    runtime: Runtime, actor: Actor, name: str, rows: Sequence[Row], *,
    seed: int | None = None, progress: Progress | None = None,
) -> Imported:  # fmt: skip
    """Make a world of a network, all in one commit; `actor` will own it.

    Each tie is made both ways: strength in (0, 1] by the logarithm of its weight
    (`relationships.rules.strength_of_weight`), trust 0.5. Personalities come from the world's seed (random if
    None), so that the same file and seed make the same people. `progress` is told (done, total) as characters
    and ties are prepared, and when they are committed.
    """
    seed = random_seed() if seed is None else seed
    commands = network_commands(name, rows, seed, progress)
    answer = await runtime.engine.execute(commands, actor)
    characters = sum(isinstance(command, CreateCharacter) for command in commands)
    if progress is not None:
        progress(characters + 2 * len(rows), characters + 2 * len(rows))
    return Imported(answer.result[0]["id"], characters, 2 * len(rows), answer.seq)
