"""How dialogue stands in a pack: `interactions.yaml` for types, and a file in `texts/` for each grammar."""

import re
from collections.abc import Sequence
from typing import Any, Final

import orjson
from pydantic import ConfigDict

from fablewright.core.messages import Command
from fablewright.core.pack import Form, Ids, Item, PackModel, PackSection, Snapshot
from fablewright.core.refusal import Refused
from fablewright.systems.dialogue import content
from fablewright.systems.dialogue.commands import DefineInteractionType, SetGrammar
from fablewright.systems.dialogue.effects import TypeDefinition

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,49}")
_NAMES: Final = "is no name for it: begin with a small letter, and use only small letters, digits and `_`"


class TextsEntry(PackModel):
    """Texts by which the characters speak, as documented under dialogue."""

    model_config = ConfigDict(frozen=True, extra="allow")


def type_commands(items: Sequence[Item], ids: Ids) -> list[Command]:
    """One command for each type."""
    known = {*content.built_in_types(), *(item.key for item in items)}
    for item in items:
        _check_name(item, ids)
        like = item.value.like
        if like is not None and like not in known:
            ids.mistake(item, "like", f"there is no type {like!r}; there are {', '.join(sorted(known))}")
    if ids.mistakes:
        return []
    return [DefineInteractionType(name=item.key, definition=item.value) for item in items]


def text_commands(items: Sequence[Item], ids: Ids) -> list[Command]:
    """One command for each file of texts; they are checked together, as they will be used."""
    for item in items:
        _check_name(item, ids)
    texts = {item.key: item.value.model_extra or {} for item in items}
    if texts and not ids.mistakes:
        try:
            content.with_own(texts)
        except Refused as refused:
            named = next((item for item in items if item.key == refused.facts.get("file")), None)
            if named is None:
                raise  # not the pack's texts are at fault, but ours
            # Grammars count texts from 0, packs the items of lists from 1.
            steps = str(refused.facts.get("path", "")).split(".")
            path = ".".join(str(int(step) + 1) if step.isdecimal() else step for step in steps)
            ids.mistake(named, path, refused.detail)
    return [] if ids.mistakes else [SetGrammar(name=name, content=text) for name, text in texts.items()]


def _check_name(item: Item, ids: Ids) -> None:
    if not _NAME.fullmatch(item.key):
        ids.mistake(item, "", f"{item.key!r} {_NAMES}")


async def read_types(snapshot: Snapshot) -> list[Item]:
    """The world's own types by name."""
    rows = await snapshot.connection.fetch(content.TYPES, snapshot.world_id)
    return [Item(row["name"], TypeDefinition(**orjson.loads(row["definition"]))) for row in rows]


async def read_texts(snapshot: Snapshot) -> list[Item]:
    """The world's own texts by name."""
    rows = await snapshot.connection.fetch(content.GRAMMARS, snapshot.world_id)
    found: list[tuple[str, dict[str, Any]]] = [(row["name"], orjson.loads(row["content"])) for row in rows]
    return [Item(name, TextsEntry(**texts)) for name, texts in found]


PACK: Final = (
    PackSection(
        "types", ("interactions.yaml",), Form.KEYED, TypeDefinition, type_commands, read_types, top="types"
    ),
    PackSection("texts", ("texts/*.yaml",), Form.DOCUMENT, TextsEntry, text_commands, read_texts),
)
