"""HTTP routes for dialogue."""

from uuid import UUID

from fastapi import APIRouter

from fablewright.gateway.api import Caller, Committed, refusals
from fablewright.systems.dialogue.commands import Interact
from fablewright.systems.dialogue.events import Interaction

router = APIRouter(tags=["dialogue"])


@router.post("/worlds/{world_id}/interactions", status_code=201, responses=refusals(Interact))
async def interact(world_id: UUID, body: Interact, caller: Caller) -> Committed[Interaction]:
    """Let a character say or do something to another, which answers; both come to feel differently.

    Players act as the characters they control, game masters as any.
    """
    return await caller.execute(body, world_id, status=201)  # type: ignore[no-any-return]
