"""HTTP routes for the people of diplomacy."""

from uuid import UUID

from fastapi import APIRouter

from fablewright.gateway.api import Caller, refusals
from fablewright.systems.characters.service import CHARACTER_NOT_FOUND
from fablewright.systems.diplomacy import person_views
from fablewright.systems.diplomacy.person_views import ReputationView

router = APIRouter(tags=["diplomacy"])


@router.get(
    "/worlds/{world_id}/characters/{character_id}/reputation", responses=refusals(CHARACTER_NOT_FOUND)
)
async def get_reputation(world_id: UUID, character_id: UUID, caller: Caller) -> ReputationView:
    """What the world thinks of a character for its diplomatic acts, and why."""
    async with caller.reading(world_id) as connection:
        found = await person_views.reputation(connection, world_id, character_id)
    if found is None:
        raise CHARACTER_NOT_FOUND(character_id=str(character_id))
    return found


ROUTER = router
