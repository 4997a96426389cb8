"""By what a world's characters speak and act: the built-in types and texts, and those that the world adds.

They are parsed once per process and version; the version is a number of its own for each change, so that what was
read inside a transaction that rolled back is never taken for what came later.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any, Final
from uuid import UUID

import orjson

from fablewright.core.transaction import Transaction
from fablewright.systems.dialogue.effects import TypeDefinition
from fablewright.systems.dialogue.grammar import Grammar, build
from fablewright.systems.dialogue.stage import Content
from fablewright.systems.dialogue.voice import GrammarVoice

MOST_KEPT: Final = 64
"""Worlds with content of their own that a process keeps parsed."""

VERSION: Final = "SELECT version FROM dialogue_contents WHERE world_id = $1"
TYPES: Final = (
    "SELECT name, definition::text AS definition FROM interaction_types WHERE world_id = $1 ORDER BY name"
)
GRAMMARS: Final = "SELECT name, content::text AS content FROM grammars WHERE world_id = $1 ORDER BY name"
NEW_VERSION: Final = """
INSERT INTO dialogue_contents (world_id, version) VALUES ($1, $2)
ON CONFLICT (world_id) DO UPDATE SET version = excluded.version
"""

_kept: OrderedDict[UUID, tuple[int, Content]] = OrderedDict()


@cache
def built_in() -> Content:
    """The types of `data/interactions.json`, the texts of `data/texts/`, the phrases of `data/tones.json`."""
    return _content(built_in_types(), texts())


@cache
def built_in_types() -> Mapping[str, TypeDefinition]:
    """The types of `data/interactions.json` by name."""
    return {name: TypeDefinition(**values) for name, values in _data("interactions.json").items()}


def tones() -> Mapping[str, Sequence[str]]:
    """The phrases of `data/tones.json` by the tone that they show; the first that is found wins."""
    return _data("tones.json")


@cache
def texts() -> Grammar:
    """The built-in texts, parsed and checked."""
    folder = resources.files(__package__).joinpath("data/texts")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".json")), key=lambda f: f.name)
    return build({file.name: orjson.loads(file.read_bytes()) for file in files})


def with_own(own: Mapping[str, Mapping[str, Any]]) -> Grammar:
    """The built-in texts with a world's own (by name) beside them. Refuses `grammar_invalid`."""
    return build(own, texts()) if own else texts()


def _content(types: Mapping[str, TypeDefinition], grammar: Grammar) -> Content:
    return Content(types, GrammarVoice(grammar), tones())


@cache
def _data(name: str) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(resources.files(__package__).joinpath(f"data/{name}").read_bytes())
    return found


async def of_world(tx: Transaction) -> Content:
    """The content of the transaction's world."""
    version = await tx.fetchval(VERSION, tx.world_id)
    if version is None:
        return built_in()
    kept = _kept.get(tx.world_id)
    if kept is not None and kept[0] == version:
        _kept.move_to_end(tx.world_id)
        return kept[1]
    rows = await tx.fetch(TYPES, tx.world_id)
    own = {row["name"]: TypeDefinition(**orjson.loads(row["definition"])) for row in rows}
    content = _content({**built_in_types(), **own}, with_own(await own_texts(tx)))
    _kept[tx.world_id] = version, content
    while len(_kept) > MOST_KEPT:
        _kept.popitem(last=False)
    return content


async def own_texts(tx: Transaction) -> dict[str, Any]:
    """A world's own texts by name."""
    return {row["name"]: orjson.loads(row["content"]) for row in await tx.fetch(GRAMMARS, tx.world_id)}


async def changed(tx: Transaction) -> None:
    """Say that the world's types or texts changed in this transaction."""
    await tx.execute(NEW_VERSION, tx.world_id, tx.new_id().int & (2**62 - 1))
