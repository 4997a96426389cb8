"""HTTP routes for places, and for who is where."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
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
from fablewright.systems.regions import views
from fablewright.systems.regions.commands import DefinePlaces, PlaceCharacters, RemovePlace, Walk
from fablewright.systems.regions.rules import NO_WHEREABOUTS, PLACE_NOT_FOUND
from fablewright.systems.regions.views import PlaceDetail, PlaceView, WhereView

router = APIRouter(tags=["regions"])


class PlacesDefinedAnswer(BaseModel):
    """The places with their ids, and how many ways were defined or removed."""

    places: list[PlaceView]
    paths: int


class PlacedAnswer(BaseModel):
    """How many characters were placed."""

    placed: int


class WalkBody(BaseModel):
    """Where to go."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"place_id": "01890a5d-ac96-774b-bcce-b302099a8001"}]},
    )

    place_id: UUID


@router.put("/worlds/{world_id}/places", responses=refusals(DefinePlaces))
async def define_places(world_id: UUID, body: DefinePlaces, caller: Caller) -> Committed[PlacesDefinedAnswer]:
    """Make places and the ways between them, or change those that exist. For game masters."""
    return await caller.execute(body, world_id)  # type: ignore[no-any-return]


@router.get("/worlds/{world_id}/places", responses=refusals(CURSOR_INVALID, PAGE_TOO_LARGE))
async def list_places(
    world_id: UUID,
    caller: Caller,
    paging: Paging,
    kind: Annotated[str | None, Query(max_length=50, description="Only this kind.")] = None,
) -> Page[PlaceView]:
    """The places of the world, by name."""
    after = position_of(paging, _text, UUID)
    async with caller.reading(world_id) as connection:
        rows = await views.list_places(
            connection, world_id, kind=kind and kind.replace("\x00", ""),
            after=(after[0], after[1]) if after else None, limit=paging.limit + 1,
        )  # fmt: skip
    return page_of(rows, paging, lambda p: [p.name, str(p.id)])


@router.get("/worlds/{world_id}/places/{place_id}", responses=refusals(PLACE_NOT_FOUND))
async def get_place(world_id: UUID, place_id: UUID, caller: Caller) -> PlaceDetail:
    """One place, where one can go from it, and who is there."""
    async with caller.reading(world_id) as connection:
        found = await views.place(connection, world_id, place_id)
    if found is None:
        raise PLACE_NOT_FOUND(place_id=str(place_id))
    return found


@router.delete("/worlds/{world_id}/places/{place_id}", responses=refusals(RemovePlace))
async def remove_place(world_id: UUID, place_id: UUID, caller: Caller) -> Committed[None]:
    """Take a place off the map that nobody uses. For game masters."""
    return await caller.execute(RemovePlace(place_id=place_id), world_id)  # type: ignore[no-any-return]


@router.get("/worlds/{world_id}/whereabouts", responses=refusals(CURSOR_INVALID, PAGE_TOO_LARGE))
async def list_whereabouts(world_id: UUID, caller: Caller, paging: Paging) -> Page[WhereView]:
    """Where everybody is, by character."""
    after = position_of(paging, UUID)
    async with caller.reading(world_id) as connection:
        rows = await views.list_whereabouts(
            connection, world_id, after=after[0] if after else None, limit=paging.limit + 1
        )
    return page_of(rows, paging, lambda w: [str(w.character_id)])


@router.put("/worlds/{world_id}/whereabouts", responses=refusals(PlaceCharacters))
async def place_characters(world_id: UUID, body: PlaceCharacters, caller: Caller) -> Committed[PlacedAnswer]:
    """Put characters at places at once, and say where they live and work. For game masters."""
    return await caller.execute(body, world_id)  # type: ignore[no-any-return]


@router.get("/worlds/{world_id}/characters/{character_id}/whereabouts", responses=refusals(NO_WHEREABOUTS))
async def get_whereabouts(world_id: UUID, character_id: UUID, caller: Caller) -> WhereView:
    """Where a character is, or where it walks and when it will be there."""
    async with caller.reading(world_id) as connection:
        found = await views.whereabouts(connection, world_id, character_id)
    if found is None:
        raise NO_WHEREABOUTS(character_id=str(character_id))
    return found


@router.post("/worlds/{world_id}/characters/{character_id}/walk", responses=refusals(Walk))
async def walk(world_id: UUID, character_id: UUID, body: WalkBody, caller: Caller) -> Committed[WhereView]:
    """Let a character set out for a place. It arrives when the world's time has come."""
    command = Walk(character_id=character_id, place_id=body.place_id)
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


def _text(value: Any) -> str:
    if not isinstance(value, str) or "\x00" in value:
        raise TypeError("not a name")
    return value
