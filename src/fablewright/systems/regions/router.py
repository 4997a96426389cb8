"""HTTP routes for places, for regions and bans, and for who is where."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

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
from fablewright.systems.regions import rules, views
from fablewright.systems.regions.commands import (
    BanMovement,
    DefinePlaces,
    DefineRegions,
    LiftBan,
    PlaceCharacters,
    Reason,
    RemovePlace,
    RemoveRegion,
    SetControl,
    Walk,
)
from fablewright.systems.regions.rules import NO_ROUTE, NO_WHEREABOUTS, PLACE_NOT_FOUND, REGION_NOT_FOUND
from fablewright.systems.regions.views import (
    BanView,
    PlaceDetail,
    PlaceView,
    RegionDetail,
    RegionView,
    WhereView,
)

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


class RegionsDefinedAnswer(BaseModel):
    """The regions as they are now, and how many borders and memberships of places were defined."""

    regions: list[RegionView]
    borders: int
    places: int


class ControlBody(BaseModel):
    """Who holds a region from now on."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"controller_id": "01890a5d-ac96-774b-bcce-b302099a9001", "reason": "Taken"}]
        },
    )

    controller_id: UUID | None
    reason: Reason = ""


class ControlAnswer(BaseModel):
    """Who held a region, and who holds it now."""

    region_id: UUID
    previous: UUID | None
    controller_id: UUID | None


class BanAnswer(BaseModel):
    """The id of a ban, by which it can be lifted."""

    id: UUID


class RouteView(BaseModel):
    """The quickest way between two regions, if no ban bars it."""

    region_ids: list[UUID] = Field(description="Both ends included.")
    minutes: float = Field(description="Minutes of world time.")


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


# -- regions -------------------------------------------------------------------------------------------------


@router.put("/worlds/{world_id}/regions", responses=refusals(DefineRegions))
async def define_regions(
    world_id: UUID, body: DefineRegions, caller: Caller
) -> Committed[RegionsDefinedAnswer]:
    """Make regions, their borders and what lies in them, or change those that exist. For game masters."""
    return await caller.execute(body, world_id)  # type: ignore[no-any-return]


@router.get("/worlds/{world_id}/regions", responses=refusals(CURSOR_INVALID, PAGE_TOO_LARGE))
async def list_regions(
    world_id: UUID,
    caller: Caller,
    paging: Paging,
    controller_id: Annotated[UUID | None, Query(description="Only those that this faction holds.")] = None,
) -> Page[RegionView]:
    """The regions of the world as they are now, by name."""
    after = position_of(paging, _text, UUID)
    async with caller.reading(world_id) as connection:
        rows = await views.list_regions(
            connection, world_id, controller_id=controller_id,
            after=(after[0], after[1]) if after else None, limit=paging.limit + 1,
        )  # fmt: skip
    return page_of(rows, paging, lambda r: [r.name, str(r.id)])


@router.get("/worlds/{world_id}/regions/{region_id}", responses=refusals(REGION_NOT_FOUND))
async def get_region(world_id: UUID, region_id: UUID, caller: Caller) -> RegionDetail:
    """One region as it is now: who holds it, what lies in it, what borders on it, who may not come in."""
    async with caller.reading(world_id) as connection:
        found = await views.region(connection, world_id, region_id)
    if found is None:
        raise REGION_NOT_FOUND(region_id=str(region_id))
    return found


@router.get("/worlds/{world_id}/regions/{region_id}/routes", responses=refusals(NO_ROUTE))
async def get_route(
    world_id: UUID,
    region_id: UUID,
    caller: Caller,
    to: Annotated[UUID, Query(description="The region to go to.")],
) -> RouteView:
    """The quickest way to another region, and how long it takes. Bans are not looked at."""
    async with caller.reading(world_id) as connection:
        way = rules.region_route(await views.routes(connection, world_id), region_id, to)
    return RouteView(region_ids=list(way.place_ids), minutes=way.minutes)


@router.delete("/worlds/{world_id}/regions/{region_id}", responses=refusals(RemoveRegion))
async def remove_region(world_id: UUID, region_id: UUID, caller: Caller) -> Committed[None]:
    """Take a region off the map, with its borders; its places stay. For game masters."""
    return await caller.execute(RemoveRegion(region_id=region_id), world_id)  # type: ignore[no-any-return]


@router.put("/worlds/{world_id}/regions/{region_id}/control", responses=refusals(SetControl))
async def set_control(
    world_id: UUID, region_id: UUID, body: ControlBody, caller: Caller
) -> Committed[ControlAnswer]:
    """Say which faction holds a region. For game masters."""
    command = SetControl(region_id=region_id, **dict(body))
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.get("/worlds/{world_id}/movement-bans", responses=refusals(CURSOR_INVALID, PAGE_TOO_LARGE))
async def list_bans(
    world_id: UUID,
    caller: Caller,
    paging: Paging,
    region_id: Annotated[UUID | None, Query(description="Only those that keep out of this region.")] = None,
    source: Annotated[str | None, Query(max_length=200, description="Only those of this source.")] = None,
    over: Annotated[bool, Query(description="Also those that were lifted or have run out.")] = False,
) -> Page[BanView]:
    """Who may not come into which regions."""
    after = position_of(paging, UUID)
    async with caller.reading(world_id) as connection:
        rows = await views.list_bans(
            connection, world_id, region_id=region_id, source=source and source.replace("\x00", ""), over=over,
            after=after[0] if after else None, limit=paging.limit + 1,
        )  # fmt: skip
    return page_of(rows, paging, lambda ban: [str(ban.id)])


@router.post("/worlds/{world_id}/movement-bans", responses=refusals(BanMovement))
async def ban_movement(world_id: UUID, body: BanMovement, caller: Caller) -> Committed[BanAnswer]:
    """Keep a character, a faction's members or everybody out of a region. For game masters."""
    return await caller.execute(body, world_id)  # type: ignore[no-any-return]


@router.delete("/worlds/{world_id}/movement-bans/{ban_id}", responses=refusals(LiftBan))
async def lift_movement_ban(world_id: UUID, ban_id: UUID, caller: Caller) -> Committed[None]:
    """End a ban that a game master imposed. For game masters."""
    return await caller.execute(LiftBan(ban_id=ban_id), world_id)  # type: ignore[no-any-return]


def _text(value: Any) -> str:
    if not isinstance(value, str) or "\x00" in value:
        raise TypeError("not a name")
    return value
