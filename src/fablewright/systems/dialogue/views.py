"""What is read of a world's types of interaction and texts."""

from typing import Any
from uuid import UUID

import orjson
from pydantic import Field

from fablewright.core.messages import View
from fablewright.systems.dialogue import content
from fablewright.systems.dialogue.effects import TypeDefinition


class InteractionTypeView(View):
    """A type of interaction, and what it does."""

    name: str
    own: bool = Field(False, description="Whether the world defined it; else it is built in.")
    definition: TypeDefinition


class GrammarView(View):
    """Texts of a world's own."""

    name: str
    content: dict[str, Any]


async def types(connection: Any, world_id: UUID) -> list[InteractionTypeView]:
    """All types of a world by name, its own in place of the built-in ones of their names."""
    found = {n: InteractionTypeView(name=n, definition=d) for n, d in content.built_in_types().items()}
    for row in await connection.fetch(content.TYPES, world_id):
        definition = TypeDefinition(**orjson.loads(row["definition"]))
        found[row["name"]] = InteractionTypeView(name=row["name"], own=True, definition=definition)
    return [found[name] for name in sorted(found)]


async def grammar_names(connection: Any, world_id: UUID) -> list[str]:
    """The names of a world's own texts."""
    rows = await connection.fetch("SELECT name FROM grammars WHERE world_id = $1 ORDER BY name", world_id)
    return [row["name"] for row in rows]


async def grammar(connection: Any, world_id: UUID, name: str) -> GrammarView | None:
    """Texts of a world's own; None if there are none of that name."""
    row = await connection.fetchrow(
        "SELECT content::text AS content FROM grammars WHERE world_id = $1 AND name = $2", world_id, name
    )
    return None if row is None else GrammarView(name=name, content=orjson.loads(row["content"]))
