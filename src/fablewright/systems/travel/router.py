"""HTTP routes for journeys."""

from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from fablewright.gateway.api import (
    CURSOR_INVALID,
    PAGE_TOO_LARGE,
    Caller,
    Committed,
    Page,
    Paging,
    page_of,
    position_of,
    refusals,
)  # fmt: skip
from fablewright.systems.travel import views
from fablewright.systems.travel.commands import CancelTravel, Travel
from fablewright.systems.travel.rules import NOT_TRAVELLING
from fablewright.systems.travel.views import JourneyView

router = APIRouter(tags=["travel"])


class TravelBody(BaseModel):
    """Where to go."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"to_region_id": "01890a5d-ac96-774b-bcce-b302099a8102"}]},
    )

    to_region_id: UUID


class StoppedAnswer(BaseModel):
    """Where a character is after its journey was called off."""

    character_id: UUID
    place_id: UUID
    region_id: UUID


@router.get("/worlds/{world_id}/journeys", responses=refusals(CURSOR_INVALID, PAGE_TOO_LARGE))
async def list_journeys(world_id: UUID, caller: Caller, paging: Paging) -> Page[JourneyView]:
    """Who is on a journey, by character."""
    after = position_of(paging, UUID)
    async with caller.reading(world_id) as connection:
        rows = await views.list_journeys(
            connection, world_id, after=after[0] if after else None, limit=paging.limit + 1
        )
    return page_of(rows, paging, lambda j: [str(j.character_id)])


@router.get("/worlds/{world_id}/characters/{character_id}/journey", responses=refusals(NOT_TRAVELLING))
async def get_journey(world_id: UUID, character_id: UUID, caller: Caller) -> JourneyView:
    """Where a character is travelling, where it is now, and when it arrives."""
    async with caller.reading(world_id) as connection:
        found = await views.journey(connection, world_id, character_id)
    if found is None:
        raise NOT_TRAVELLING(character_id=str(character_id))
    return found


@router.post("/worlds/{world_id}/characters/{character_id}/journey", responses=refusals(Travel))
async def travel(
    world_id: UUID, character_id: UUID, body: TravelBody, caller: Caller
) -> Committed[JourneyView]:
    """Let a character set out for another region. It arrives when the world's time has come."""
    command = Travel(character_id=character_id, to_region_id=body.to_region_id)
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.delete("/worlds/{world_id}/characters/{character_id}/journey", responses=refusals(CancelTravel))
async def cancel_travel(world_id: UUID, character_id: UUID, caller: Caller) -> Committed[StoppedAnswer]:
    """Call a journey off: the character stays in the region in which it is."""
    return await caller.execute(CancelTravel(character_id=character_id), world_id)  # type: ignore[no-any-return]
