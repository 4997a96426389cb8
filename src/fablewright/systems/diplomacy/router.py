"""HTTP routes for relations between factions."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response

from fablewright.core.actors import Role
from fablewright.gateway.api import (
    CURSOR_INVALID,
    MEMBER_ROLE,
    PAGE_TOO_LARGE,
    Caller,
    CallerInfo,
    Committed,
    Page,
    Paging,
    page_of,
    position_of,
    refusals,
)
from fablewright.gateway.events import reader_filter
from fablewright.systems.diplomacy import service, views
from fablewright.systems.diplomacy.commands import (
    AddOpinion,
    DropOpinion,
    OpinionFields,
    OpinionKey,
    RelationFields,
    SetRelation,
)
from fablewright.systems.diplomacy.matrix import matrix
from fablewright.systems.diplomacy.relations import ordered
from fablewright.systems.diplomacy.rules import (
    DEED_NOT_FOUND,
    RELATION_FACTION_NOT_FOUND,
    SAME_FACTION,
    TOO_MANY_RELATIONS,
)
from fablewright.systems.diplomacy.views import (
    EVERYTHING,
    DeedView,
    MatrixView,
    RelationView,
    Sees,
    TimelineView,
)
from fablewright.systems.factions import service as factions

router = APIRouter(tags=["diplomacy"])

RELATIONS = "/worlds/{world_id}/relations"
PAIR = RELATIONS + "/{faction_id}/{other_faction_id}"


async def _entered(caller: CallerInfo, connection: Any, world_id: UUID) -> tuple[Sees, Role]:
    """What the caller may see in this world, and its role there. Refuses as `reading` does."""
    role = caller.require(await connection.fetchval(MEMBER_ROLE, world_id, caller.actor.user_id), world_id)
    if role >= Role.GAME_MASTER:
        return EVERYTHING, role
    own = await factions.principals(connection.fetch, world_id, caller.signed_in())
    return Sees(own), role


@router.get(
    RELATIONS, response_model=MatrixView, responses=refusals(RELATION_FACTION_NOT_FOUND, TOO_MANY_RELATIONS)
)
async def get_relations(
    world_id: UUID,
    caller: Caller,
    faction: Annotated[UUID | None, Query(description="Only the relations of this faction.")] = None,
) -> Response:
    """What all factions of a world are to each other."""
    async with caller.runtime.database.reading() as connection:
        sees, _ = await _entered(caller, connection, world_id)
        if faction is not None:
            await views.check_factions(connection, world_id, faction)
        now = await views.now_of(connection, world_id)
        body = await matrix(caller.runtime.database, connection, world_id, now, sees, faction)
    return Response(body, media_type="application/json")


@router.get(PAIR, responses=refusals(SAME_FACTION, RELATION_FACTION_NOT_FOUND))
async def get_relation(
    world_id: UUID, faction_id: UUID, other_faction_id: UUID, caller: Caller
) -> RelationView:
    """What stands between two factions, with the reasons why they think of each other as they do."""
    async with caller.runtime.database.reading() as connection:
        sees, _ = await _entered(caller, connection, world_id)
        ordered(faction_id, other_faction_id)
        await views.check_factions(connection, world_id, faction_id, other_faction_id)
        now = await views.now_of(connection, world_id)
        book = await service.peek(connection, world_id, now, [(faction_id, other_faction_id)])
    return views.relation_view(book, faction_id, other_faction_id, sees=sees)


@router.put(PAIR, responses=refusals(SetRelation))
async def set_relation(
    world_id: UUID, faction_id: UUID, other_faction_id: UUID, body: RelationFields, caller: Caller
) -> Committed[RelationView]:
    """Say what stands between two factions, whatever it was. For game masters."""
    command = SetRelation(a_id=faction_id, b_id=other_faction_id, **body.model_dump())
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.get(PAIR + "/timeline", responses=refusals(SAME_FACTION, RELATION_FACTION_NOT_FOUND))
async def get_timeline(
    world_id: UUID, faction_id: UUID, other_faction_id: UUID, caller: Caller,
    before: Annotated[int | None, Query(ge=1, lt=2**62, description="Only what has a smaller `seq`.")] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="Most items to return.")] = 50,
) -> TimelineView:  # fmt: skip
    """What happened between two factions, newest first, as far as you may see it."""
    async with caller.runtime.database.reading() as connection:
        _, role = await _entered(caller, connection, world_id)
        ordered(faction_id, other_faction_id)
        await views.check_factions(connection, world_id, faction_id, other_faction_id)
        wanted = await reader_filter(connection, caller.runtime, world_id, caller.signed_in(), role)
        return await views.timeline(
            connection, world_id, (faction_id, other_faction_id), wanted, before, limit
        )


@router.post(PAIR + "/opinions", status_code=201, responses=refusals(AddOpinion))
async def add_opinion(
    world_id: UUID, faction_id: UUID, other_faction_id: UUID, body: OpinionFields, caller: Caller
) -> Committed[RelationView]:
    """Give the first faction a reason to think well or badly of the second. For game masters."""
    command = AddOpinion(holder_id=faction_id, about_id=other_faction_id, **body.model_dump())
    return await caller.execute(command, world_id, status=201)  # type: ignore[no-any-return]


@router.delete(PAIR + "/opinions/{opinion_key}", responses=refusals(DropOpinion))
async def drop_opinion(
    world_id: UUID, faction_id: UUID, other_faction_id: UUID, opinion_key: OpinionKey, caller: Caller
) -> Committed[RelationView]:
    """Take a reason out of what the first faction thinks of the second. For game masters."""
    command = DropOpinion(holder_id=faction_id, about_id=other_faction_id, key=opinion_key)
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.get("/worlds/{world_id}/deeds", responses=refusals(CURSOR_INVALID, PAGE_TOO_LARGE))
async def list_deeds(
    world_id: UUID, caller: Caller, paging: Paging,
    doer: Annotated[UUID | None, Query(description="Only what this faction did.")] = None,
) -> Page[DeedView]:  # fmt: skip
    """Broken treaties and the like, newest first: who knows of them, and who told whom."""
    after = position_of(paging, UUID)
    async with caller.runtime.database.reading() as connection:
        sees, _ = await _entered(caller, connection, world_id)
        found = await views.deeds(
            connection,
            world_id,
            sees,
            doer_id=doer,
            before=after[0] if after else None,
            limit=paging.limit + 1,
        )
    return page_of(found, paging, lambda deed: [str(deed.id)])


@router.get("/worlds/{world_id}/deeds/{deed_id}", responses=refusals(DEED_NOT_FOUND))
async def get_deed(world_id: UUID, deed_id: UUID, caller: Caller) -> DeedView:
    """One deed: who knows of it, and who told whom."""
    async with caller.runtime.database.reading() as connection:
        sees, _ = await _entered(caller, connection, world_id)
        found = await views.deeds(connection, world_id, sees, deed_id=deed_id)
    if not found:
        raise DEED_NOT_FOUND(deed_id=str(deed_id))
    return found[0]
