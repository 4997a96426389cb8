"""HTTP routes for the director."""

from uuid import UUID

from fastapi import APIRouter

from fablewright.gateway.api import Caller, Committed, refusals
from fablewright.systems.director import views
from fablewright.systems.director.commands import ConfigureDirector
from fablewright.systems.director.views import DirectorView

router = APIRouter(tags=["director"])


@router.get("/worlds/{world_id}/director", responses=refusals())
async def get_director(world_id: UUID, caller: Caller) -> DirectorView:
    """How the npc characters of the world act by themselves."""
    async with caller.reading(world_id) as connection:
        return await views.of_world(connection, world_id)


@router.put("/worlds/{world_id}/director", responses=refusals(ConfigureDirector))
async def configure_director(
    world_id: UUID, body: ConfigureDirector, caller: Caller
) -> Committed[DirectorView]:
    """Let the npc characters act by themselves, at this pace, or stop them. For game masters."""
    return await caller.execute(body, world_id)  # type: ignore[no-any-return]
