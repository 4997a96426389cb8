"""Reading a pack: a folder of YAML files becomes the commands that make its world, or a list of all its faults."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID

from pydantic import ValidationError

from fablewright.core.actors import Actor
from fablewright.core.messages import Command
from fablewright.core.pack import Form, Ids, Item, entry_id
from fablewright.core.refusal import Refused
from fablewright.core.system import System
from fablewright.gateway.runtime import Runtime
from fablewright.packs import syntax
from fablewright.packs.faults import PACK_INVALID, Faults, locate, of_validation
from fablewright.packs.sections import WORLD, Part, Section, parts_in_order, sections_of
from fablewright.packs.syntax import Node, SyntaxFault

MOST_FILES: Final = 20_000
MOST_BYTES: Final = 512 * 1024 * 1024
"""All files together."""


class Source(NamedTuple):
    """A place in a pack: line 0 is the file as a whole."""

    file: str
    line: int
    field: str


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack that was read and found without a fault."""

    commands: tuple[Command, ...]
    """What makes its world; the first one founds it."""
    sources: tuple[Source, ...]
    """For each command, where in the pack it came from."""
    counts: Mapping[str, int]
    """How many entries each section has."""

    @property
    def name(self) -> str:
        """The name of its world."""
        return str(getattr(self.commands[0], "name", ""))


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import made."""

    world_id: UUID
    name: str
    counts: Mapping[str, int]
    seq: int | None


@dataclass(slots=True)
class PackFile:
    """One file of a pack: its path inside it, its section, and what stands in it."""

    name: str
    section: Section
    tree: Node
    value: Any = None


@dataclass(slots=True)
class _Reading:
    """A pack while it is read."""

    folder: Path
    systems: Sequence[System]
    faults: Faults = field(default_factory=Faults)
    files: list[PackFile] = field(default_factory=list)
    trees: dict[tuple[str, str], Node] = field(default_factory=dict)
    """What stands in them, by section and file."""
    broken: set[str] = field(default_factory=set)
    """Sections whose keys cannot be known, since a file of theirs cannot be read."""


def read_pack(folder: Path, systems: Sequence[System]) -> Pack:
    """Read and check a whole pack. Refuses `pack_invalid` with every fault in it, up to 20 (`facts["faults"]`)."""
    reading = _Reading(folder, systems)
    _collect(reading, sections_of(systems))
    return _checked(reading)


def read_trees(
    files: Sequence[PackFile], systems: Sequence[System], faults: Faults, broken: Iterable[str] = ()
) -> Pack:
    """Check what was made of other formats, as `read_pack` checks files of its own.

    `faults` holds what was found wrong before; `broken` are the sections of which entries are missing for it.
    """
    reading = _Reading(Path(), systems, faults, list(files), broken=set(broken))
    reading.trees = {(file.section.name, file.name): file.tree for file in files}
    return _checked(reading)


def _checked(reading: _Reading) -> Pack:
    known = _keys(reading, sections_of(reading.systems))
    items = _validate(reading, known)
    reading.faults.refuse_if_any()
    commands, sources = _commands(reading, items, known)
    reading.faults.refuse_if_any()
    counts = {name: len(found) for name, found in items.items() if found}
    return Pack(tuple(commands), tuple(sources), counts)


async def import_pack(
    runtime: Runtime, owner: Actor, pack: Pack, *, name: str | None = None, seed: int | None = None,
    world_id: UUID | None = None,
) -> Imported:  # fmt: skip
    """Make the world of a pack, all in one commit; `owner` will own it.

    `name` and `seed` stand in for those of the pack. What the world itself refuses (as `grammar_invalid`) is
    refused as `pack_invalid` with the file it came of, and nothing is made.
    """
    commands = founding(pack, name=name, seed=seed, world_id=world_id)
    try:
        answer = await runtime.engine.execute(commands, owner)
    except Refused as refused:
        index: int = refused.facts.get("index", 0)
        if not index:
            raise
        faults = Faults()
        faults.add(*pack.sources[index], f"{refused.detail} ({refused.code})")
        raise PACK_INVALID(
            str(faults.found[0]), **{**refused.facts, **faults.refusal().facts, "cause": refused.code}
        ) from refused
    made = answer.result[0]
    return Imported(made["id"], made["name"], pack.counts, answer.seq)


def founding(
    pack: Pack, *, name: str | None = None, seed: int | None = None, world_id: UUID | None = None
) -> list[Command]:
    """The commands that make the world of a pack, with another name, seed or id than it says."""
    given = {"name": name, "seed": seed, "id": world_id}
    first = pack.commands[0].model_copy(update={k: v for k, v in given.items() if v is not None})
    # What is given here is checked as the rest was.
    return [type(first).model_validate(first.model_dump()), *pack.commands[1:]]


def most_events(pack: Pack) -> int:
    """More events than the import of a pack causes: some for each command and each item of its lists.

    One pair of enemies, an item of the relations, has a change of status, tension, opinions, trust, and a blockade.
    What bans of travel cause is bounded by how many there may be.
    """
    items = sum(len(value) for command in pack.commands for _, value in command if isinstance(value, list))
    return 10_000 + 4 * len(pack.commands) + 8 * items


# Files.


def _collect(reading: _Reading, sections: Sequence[Section]) -> None:
    """Find and parse the files of a pack."""
    faults, total = reading.faults, 0
    if not reading.folder.is_dir():
        faults.add(
            reading.folder.name, 0, "", "there is no such folder: name the folder that holds world.yaml"
        )
    for number, path in enumerate(_yaml_files(reading.folder)):
        name = path.relative_to(reading.folder).as_posix()
        section = next((s for s in sections if s.holds(name)), None)
        if section is None:
            faults.add(name, 0, "", _no_section(name, sections))
            continue
        try:
            if number >= MOST_FILES:
                raise SyntaxFault(0, f"a pack has at most {MOST_FILES:,} files: put more into one")
            text, total = _text(path, total)
            tree = syntax.parse(text)
            if tree is None or tree.value is None:
                raise SyntaxFault(0, f"it is empty: {_how_it_begins(section)}, or remove the file")
            reading.files.append(PackFile(name, section, tree))
            reading.trees[section.name, name] = tree
        except SyntaxFault as fault:
            faults.add(name, fault.line, "", fault.message)
            reading.broken.add(section.name)
    missing = [s for s in sections if s.own.required and not any(s.holds(f) for f in _names(reading))]
    for section in missing:
        if section.name not in reading.broken and reading.folder.is_dir():
            faults.add(section.own.files[0], 0, "", f"it is missing: make it; {_how_it_begins(section)}")


def _names(reading: _Reading) -> list[str]:
    return [file.name for file in reading.files]


def _yaml_files(folder: Path) -> list[Path]:
    """The YAML files of a pack, in the order of their names; hidden files and folders are none of it."""
    found = [path for path in folder.rglob("*") if path.suffix in (".yaml", ".yml")]
    inside = [
        path for path in found if not any(p.startswith(".") for p in path.relative_to(folder).parts)
    ]  # fmt: skip
    return sorted(inside, key=lambda path: path.relative_to(folder).as_posix())


def _text(path: Path, total: int) -> tuple[str, int]:
    """The text of a file, and how many bytes were read with it so far."""
    if path.is_symlink() or not path.is_file():
        raise SyntaxFault(0, "it is no ordinary file: put the file itself here")
    size = path.stat().st_size
    if size > syntax.MOST_BYTES:
        raise SyntaxFault(0, f"it has more than {syntax.MOST_BYTES // 2**20} MiB: split it")
    if total + size > MOST_BYTES:
        raise SyntaxFault(0, f"with it the pack has more than {MOST_BYTES // 2**20} MiB: make it smaller")
    raw = path.read_bytes()
    try:
        return raw.decode("utf-8-sig"), total + size
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise SyntaxFault(line, "it is not in UTF-8: save it as UTF-8") from error


def _no_section(name: str, sections: Sequence[Section]) -> str:
    if name.endswith(".yml"):
        return f"files of packs end with .yaml: call it {name.removesuffix('.yml')}.yaml"
    patterns = [pattern for section in sections for pattern in section.own.files]
    near = get_close_matches(name, patterns, 1)
    advice = f"Did you mean {near[0]!r}?" if near else f"Known are {', '.join(patterns)}."
    return f"no installed system reads such a file. {advice}"


def _how_it_begins(section: Section) -> str:
    return "begin with `name:`" if section.own.form is Form.DOCUMENT else f"begin with `{section.own.top}:`"


# Keys, values, commands.


def _keys(reading: _Reading, sections: Sequence[Section]) -> dict[str, dict[str, UUID]]:
    """The ids of all entries that have keys, by section; found before values are checked, which refer to them."""
    known: dict[str, dict[str, UUID]] = {}
    for section in sections:
        if section.own.form is Form.KEYED and section.name not in reading.broken:
            known[section.name] = {}
            where: dict[Any, str] = {}
            for file in reading.files:
                if file.section.name == section.name:
                    _keys_of_file(reading, file, known[section.name], where)
        if section.name in reading.broken:
            known.pop(section.name, None)
    return known


def _keys_of_file(reading: _Reading, file: PackFile, known: dict[str, UUID], where: dict[Any, str]) -> None:
    found = file.tree.child(file.section.own.top)
    entries = found[1].value if found is not None else None
    if not isinstance(entries, dict):
        reading.broken.add(file.section.name)
        return
    for key, (line, node) in entries.items():
        path = f"{file.section.own.top}.{key}"
        if key in known:
            reading.faults.add(
                file.name, line, path, f"the key stands in {where[key]} already: choose another"
            )
            continue
        own = node.child("id")
        id_ = _id(own[1].value) if own is not None else None
        known[key] = id_ or entry_id(file.section.name, key)
        where[key] = f"{file.name}, line {line}"
        if known[key] in where:
            at, what = (own[0], f"{path}.id") if own is not None else (line, path)
            reading.faults.add(
                file.name, at, what, f"{where[known[key]]} has this id already: choose another"
            )
        where[known[key]] = where[key]


def _id(value: Any) -> UUID | None:
    try:
        return UUID(str(value))
    except ValueError:
        return None  # the model says so, with its line


def _validate(reading: _Reading, known: Mapping[str, Any]) -> dict[str, list[Item]]:
    """The checked entries of each section, in the order of the files."""
    items: dict[str, list[Item]] = {}
    for file in reading.files:
        try:
            file.value = file.section.model.model_validate(file.tree.plain(), context=known)
        except ValidationError as error:
            of_validation(reading.faults, file.name, file.tree, error, file.section.model)
        else:
            items.setdefault(file.section.name, []).extend(_items(file))
    return items


def _items(file: PackFile) -> list[Item]:
    own = file.section.own
    if own.form is Form.DOCUMENT:
        return [Item(Path(file.name).stem, file.value, file.name)]
    inner = getattr(file.value, own.top)
    entries = inner.items() if isinstance(inner, dict) else enumerate(inner, 1)
    return [Item(str(key), value, file.name) for key, value in entries]


def _commands(
    reading: _Reading, items: Mapping[str, list[Item]], known: Mapping[str, Mapping[str, UUID]]
) -> tuple[list[Command], list[Source]]:
    """What all parts make of their entries, and where in the pack each command came from."""
    commands: list[Command] = []
    sources: list[Source] = []
    begins_at = next((item.value.begins_at for item in items.get(WORLD, ())), 0)
    for part in parts_in_order(reading.systems):
        ids = Ids(known, begins_at, items)
        found = items.get(part.section.name, [])
        try:
            made = part.makes.commands(found, ids)
        except ValidationError as error:
            said = "; ".join(f"{e['loc']}: {e['msg']}" for e in error.errors(include_url=False)[:3])
            reading.faults.add(*_source(reading, part, found, 0, 0), f"it makes no command: {said}")
            continue
        for item, path, message in ids.mistakes:
            reading.faults.add(*_where(reading, part.section, item, path), message)
        sources += [_source(reading, part, found, number, len(made)) for number in range(len(made))]
        commands += made
    return commands, sources


def _source(reading: _Reading, part: Part, items: Sequence[Item], number: int, of: int) -> Source:
    """Where a command came from: exact if there is one command per entry, else the first file of its section."""
    if of == len(items) and items:
        return _where(reading, part.section, items[number], "")
    return Source(items[0].file if items else part.section.own.files[0], 0, "")


def _where(reading: _Reading, section: Section, item: Item, path: str) -> Source:
    """File, line and full path of a field of an entry."""
    own = section.own
    tree = node = reading.trees[section.name, item.file]
    steps: list[Any] = []
    start = [] if own.form is Form.DOCUMENT else [own.top, item.key]
    for step in [*start, *path.split(".")]:
        # Only items of lists are counted: keys may be digits, too.
        steps.append(int(step) - 1 if isinstance(node.value, list) and step.isdecimal() else step)
        found = node.child(steps[-1])
        node = node if found is None else found[1]
    return Source(item.file, *locate(tree, steps))
