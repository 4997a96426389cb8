"""HTTP routes for memories."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query

from fablewright.core.actors import Role
from fablewright.core.refusal import Refusal
from fablewright.gateway.api import Caller, CallerInfo, Committed, refusals
from fablewright.systems.characters.views import world_now
from fablewright.systems.memory import views
from fablewright.systems.memory.commands import ForgetMemory, PlantMemory
from fablewright.systems.memory.recall import MOST_RECALLED, Recalled, recall
from fablewright.systems.memory.rules import (
    MEMORIES_ARE_PRIVATE,
    MEMORY_CHARACTER_NOT_FOUND,
    MEMORY_NOT_FOUND,
)
from fablewright.systems.memory.views import (
    MemoryView,
    ProvenanceView,
    RecalledView,
    RecallView,
    ScoreView,
    view_of,
)

router = APIRouter(tags=["memory"])


@router.post("/worlds/{world_id}/memories", status_code=201, responses=refusals(PlantMemory))
async def plant_memory(world_id: UUID, body: PlantMemory, caller: Caller) -> Committed[MemoryView]:
    """Give a character something to know, true or not. For game masters."""
    return await caller.execute(body, world_id, status=201)  # type: ignore[no-any-return]


@router.delete("/worlds/{world_id}/memories/{memory_id}", responses=refusals(ForgetMemory))
async def forget_memory(world_id: UUID, memory_id: UUID, caller: Caller) -> Committed[None]:
    """Let a character forget something. For game masters."""
    return await caller.execute(ForgetMemory(memory_id=memory_id), world_id)  # type: ignore[no-any-return]


@router.get(
    "/worlds/{world_id}/characters/{character_id}/memories",
    responses=refusals(MEMORY_CHARACTER_NOT_FOUND, MEMORIES_ARE_PRIVATE),
)
async def recall_memories(
    world_id: UUID, character_id: UUID, caller: Caller, *,
    q: Annotated[str | None, Query(max_length=500, description="What to think of, in English words.")] = None,
    about: Annotated[UUID | None, Query(description="Only what is about this character.")] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_RECALLED, description="Most memories to return.")] = 20,
) -> RecallView:  # fmt: skip
    """What comes to the character's mind, best first: recency x importance x relevance to `q`.

    For game masters, and for the user who controls the character.
    """
    async with _reading(
        caller, world_id, views.ACCESS_TO_CHARACTER, character_id, MEMORY_CHARACTER_NOT_FOUND
    ) as (connection, row, _):
        words = q.replace("\x00", " ").strip() if q else None
        found = await recall(connection, world_id, character_id, words or None, about, world_now(row), limit)
    return RecallView(items=[_recalled(one) for one in found])


@router.get(
    "/worlds/{world_id}/memories/{memory_id}", responses=refusals(MEMORY_NOT_FOUND, MEMORIES_ARE_PRIVATE)
)
async def get_memory(world_id: UUID, memory_id: UUID, caller: Caller) -> ProvenanceView:
    """One memory and where it came from: its tellers by name and, for game masters, whether it is so.

    For game masters, and for the user who controls the character.
    """
    async with _reading(caller, world_id, views.ACCESS_TO_MEMORY, memory_id, MEMORY_NOT_FOUND) as (
        connection, _, role,
    ):  # fmt: skip
        found = await views.provenance(
            connection, world_id, memory_id, behind_the_scenes=role >= Role.GAME_MASTER
        )
    if found is None:
        raise MEMORY_NOT_FOUND(memory_id=str(memory_id))
    return found


@asynccontextmanager
async def _reading(
    caller: CallerInfo, world_id: UUID, access: str, identifier: UUID, missing: Refusal
) -> AsyncIterator[tuple[Any, Any, Role]]:
    """A reading connection, the row of `access` and the caller's role, if the caller may look into that mind.

    Whoever may not look into minds at all is not told which there are.
    """
    caller.signed_in()
    async with caller.runtime.database.reading() as connection:
        row = await connection.fetchrow(access, world_id, caller.actor.user_id, identifier)
        role = caller.require(row and row["role"], world_id)
        if row["id"] is None and role >= Role.GAME_MASTER:
            raise missing(id=str(identifier))
        if role < Role.GAME_MASTER and (role < Role.PLAYER or row["user_id"] != caller.actor.user_id):
            raise MEMORIES_ARE_PRIVATE()
        yield connection, row, role


def _recalled(one: Recalled) -> RecalledView:
    parts = one.score
    return RecalledView(
        memory=view_of(one.memory),
        score=ScoreView(
            recency=parts.recency, importance=parts.importance, relevance=parts.relevance, total=parts.total
        ),
    )
