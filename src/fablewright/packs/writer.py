"""Writing a pack: a world, as it is at one moment, becomes a folder of YAML files."""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from fablewright.core.clock import WorldClock
from fablewright.core.pack import Form, Item, Keys, Snapshot
from fablewright.core.refusal import CONFLICT, INVALID, NOT_FOUND, Refusal, Refused
from fablewright.core.system import System
from fablewright.core.transaction import OPEN_WORLD
from fablewright.gateway.runtime import Runtime
from fablewright.packs.faults import PACK_INVALID
from fablewright.packs.reader import read_pack
from fablewright.packs.schemas import FOLDER, header, schemas_of
from fablewright.packs.sections import Section, sections_of
from fablewright.packs.syntax import dump

FOLDER_NOT_EMPTY = Refusal(
    "folder_not_empty",
    CONFLICT,
    "There is something in this folder already. Name another one, or use --force to replace a pack.",
)
FOLDER_HOLDS_OTHERS = Refusal(
    "folder_holds_others",
    CONFLICT,
    "The folder holds more than a pack, and all of it would be replaced. Name another one.",
)
FOLDER_MISSING = Refusal(
    "folder_missing", INVALID, "The folder that shall hold the pack's folder does not exist. Make it first."
)
EXPORT_NOT_FOUND = Refusal("world_not_found", NOT_FOUND, "There is no such world.")
WORLD_TOO_LARGE = Refusal(
    "world_too_large_for_a_pack", INVALID,
    "The world does not fit into a pack that could be imported again. Use a database backup to move it.",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote."""

    folder: Path
    name: str
    now: int
    """World time (ms) of the world that was written."""
    counts: Mapping[str, int]


async def export_world(
    runtime: Runtime, world_id: UUID, folder: Path, *, force: bool = False, with_seed: bool = False
) -> Exported:
    """Write a world into a folder that does not exist yet or is empty.

    All of it is of one moment. The folder appears as a whole or not at all: it is written beside its place, read
    again as an import would, and then renamed. With `force` it takes the place of a pack. Refuses
    `folder_not_empty`, `folder_holds_others`, `folder_missing`, `world_not_found`, `world_too_large_for_a_pack`.
    """
    folder = _checked(folder, runtime.systems, force=force)
    name, now, items = await _read_world(runtime, world_id, with_seed=with_seed)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        new = temporary / "new"
        _write(new, runtime.systems, items)
        _check_written(new, runtime.systems)
        _put_in_place(new, folder, temporary / "old")
    finally:
        shutil.rmtree(temporary)
    return Exported(folder, name, now, {k: len(v) for k, v in items.items() if v})


def _checked(folder: Path, systems: Sequence[System], *, force: bool) -> Path:
    """The absolute path of a folder that an export may make or replace."""
    folder = folder.absolute()
    if not folder.parent.is_dir():
        raise FOLDER_MISSING(f"{folder.parent} does not exist. Make it first.")
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise FOLDER_HOLDS_OTHERS(f"{folder} is no folder. Name another one.")
    inside = [path for path in folder.rglob("*") if not path.is_dir()] if folder.exists() else []
    if not inside:
        return folder
    if not force:
        raise FOLDER_NOT_EMPTY(f"{folder} is not empty. Name another folder, or use --force.")
    sections = sections_of(systems)
    for path in inside:
        name = path.relative_to(folder).as_posix()
        if not any(s.holds(name) for s in sections) and not name.startswith(f"{FOLDER}/"):
            raise FOLDER_HOLDS_OTHERS(
                f"{folder} holds {name}, which is no part of a pack. Move it away first."
            )
    return folder


async def _read_world(
    runtime: Runtime, world_id: UUID, *, with_seed: bool
) -> tuple[str, int, dict[str, list[Item]]]:
    """Name and time of a world, and the entries of all sections, with what other systems add to them."""
    async with runtime.database.reading(snapshot=True) as connection:
        row = await connection.fetchrow(OPEN_WORLD, world_id)
        if row is None:
            raise EXPORT_NOT_FOUND(world_id=str(world_id))
        clock = WorldClock(
            row["anchor_world_ms"], row["anchor_real_ms"], row["rate"], row["paused"],
            row["advance_id"] is not None,
        )  # fmt: skip
        snapshot = Snapshot(connection, world_id, clock.now(row["real_ms"]), Keys(), with_seed)
        sections = sections_of(runtime.systems)
        items = {section.name: await section.own.read(snapshot) for section in sections}
        for section in sections:
            for addition in section.additions:
                added = {item.key: item.value for item in await addition.read(snapshot)}
                items[section.name] = [
                    _joined(item, added.get(item.key)) for item in items[section.name]
                ]  # fmt: skip
    plain = {
        name: [Item(item.key, _plain(item.value), item.file) for item in found]
        for name, found in items.items()
    }
    return row["name"], snapshot.now, plain


def _plain(value: Any) -> dict[str, Any]:
    """An entry as it is written: what is at its default is left out."""
    if isinstance(value, dict):
        return value
    found: dict[str, Any] = value.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return found


def _joined(item: Item, added: Any) -> Item:
    if added is None:
        return item
    return Item(item.key, {**_plain(item.value), **_plain(added)}, item.file)


def _write(folder: Path, systems: Sequence[System], items: Mapping[str, list[Item]]) -> None:
    """Write the files of a pack and the schemas that its editors use."""
    for section in sections_of(systems):
        for file, value in _files(section, items[section.name]).items():
            path = folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(header(section, file) + dump(value), encoding="utf-8", newline="\n")
    (folder / FOLDER).mkdir()
    for name, text in schemas_of(systems).items():
        (folder / FOLDER / name).write_text(text, encoding="utf-8", newline="\n")


def _files(section: Section, items: Sequence[Item]) -> dict[str, dict[str, Any]]:
    """What stands in which file of a section."""
    own = section.own
    if own.form is Form.DOCUMENT:
        named = "*" in own.files[0]
        return {section.file_for(item.key if named else ""): item.value for item in items}
    files: dict[str, dict[str, Any]] = {}
    for item in items:
        value = files.setdefault(section.file_for(item.file), {})
        if own.form is Form.KEYED:
            value.setdefault(own.top, {})[item.key] = item.value
        else:
            value.setdefault(own.top, []).append(item.value)
    return files


def _check_written(folder: Path, systems: Sequence[System]) -> None:
    """Read what was written as an import would: an export that cannot be imported is none."""
    try:
        read_pack(folder, systems)
    except Refused as refused:
        if refused.refusal is PACK_INVALID:
            raise WORLD_TOO_LARGE(f"It could not be imported again: {refused.detail}") from refused
        raise


def _put_in_place(new: Path, folder: Path, old: Path) -> None:
    """Let the folder appear; what was there before goes as a whole."""
    if folder.exists():
        folder.replace(old)
    new.replace(folder)
