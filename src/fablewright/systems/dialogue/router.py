"""HTTP routes for dialogue."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from fablewright.gateway.api import Caller, Committed, refusals
from fablewright.systems.dialogue import views
from fablewright.systems.dialogue.commands import (
    DefineInteractionType,
    Interact,
    Name,
    RemoveGrammar,
    RemoveInteractionType,
    SetGrammar,
    Texts,
)
from fablewright.systems.dialogue.effects import TypeDefinition
from fablewright.systems.dialogue.events import Interaction
from fablewright.systems.dialogue.rules import GRAMMAR_NOT_FOUND
from fablewright.systems.dialogue.views import GrammarView, InteractionTypeView

router = APIRouter(tags=["dialogue"])


class TextsBody(BaseModel):
    """Texts by which the characters of a world shall speak."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"content": {"extras": {"place": {"plain": ["[here] They say {place} was a temple once."]}}}}
            ]
        },
    )

    content: Texts


@router.post("/worlds/{world_id}/interactions", status_code=201, responses=refusals(Interact))
async def interact(world_id: UUID, body: Interact, caller: Caller) -> Committed[Interaction]:
    """Let a character say or do something to another, which answers; both come to feel differently.

    Players act as the characters they control, game masters as any.
    """
    return await caller.execute(body, world_id, status=201)  # type: ignore[no-any-return]


@router.get("/worlds/{world_id}/interaction-types", responses=refusals())
async def list_interaction_types(world_id: UUID, caller: Caller) -> list[InteractionTypeView]:
    """What characters of this world can do to each other, and what each type does."""
    async with caller.reading(world_id) as connection:
        return await views.types(connection, world_id)


@router.put("/worlds/{world_id}/interaction-types/{type_name}", responses=refusals(DefineInteractionType))
async def define_interaction_type(
    world_id: UUID, type_name: Name, body: TypeDefinition, caller: Caller
) -> Committed[InteractionTypeView]:
    """Give the world a type of its own, or its own version of a built-in one. For game masters."""
    command = DefineInteractionType(name=type_name, definition=body)
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.delete("/worlds/{world_id}/interaction-types/{type_name}", responses=refusals(RemoveInteractionType))
async def remove_interaction_type(world_id: UUID, type_name: Name, caller: Caller) -> Committed[None]:
    """Take one of the world's own types away. For game masters."""
    return await caller.execute(RemoveInteractionType(name=type_name), world_id)  # type: ignore[no-any-return]


@router.get("/worlds/{world_id}/texts", responses=refusals())
async def list_texts(world_id: UUID, caller: Caller) -> list[str]:
    """The names of the texts that the world has beside the built-in ones."""
    async with caller.reading(world_id) as connection:
        return await views.grammar_names(connection, world_id)


@router.get("/worlds/{world_id}/texts/{texts_name}", responses=refusals(GRAMMAR_NOT_FOUND))
async def get_texts(world_id: UUID, texts_name: Name, caller: Caller) -> GrammarView:
    """Texts of the world's own."""
    async with caller.reading(world_id) as connection:
        found = await views.grammar(connection, world_id, texts_name)
    if found is None:
        raise GRAMMAR_NOT_FOUND(name=texts_name)
    return found


@router.put("/worlds/{world_id}/texts/{texts_name}", responses=refusals(SetGrammar))
async def set_texts(
    world_id: UUID, texts_name: Name, body: TextsBody, caller: Caller
) -> Committed[dict[str, Any]]:
    """Add texts by which the characters of this world speak, or change them. For game masters."""
    return await caller.execute(SetGrammar(name=texts_name, content=body.content), world_id)  # type: ignore[no-any-return]


@router.delete("/worlds/{world_id}/texts/{texts_name}", responses=refusals(RemoveGrammar))
async def remove_texts(world_id: UUID, texts_name: Name, caller: Caller) -> Committed[None]:
    """Take texts of the world's own away. For game masters."""
    return await caller.execute(RemoveGrammar(name=texts_name), world_id)  # type: ignore[no-any-return]
