"""HTTP routes for ultimatums and coalitions, and for who fears whom."""

from typing import Annotated
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
)
from fablewright.systems.diplomacy import threat_views, threats
from fablewright.systems.diplomacy.history_commands import Aggression, Exhaustion, SetWarlike
from fablewright.systems.diplomacy.quarrel_commands import ImportCoalition
from fablewright.systems.diplomacy.threat_views import CoalitionView, UltimatumView, WarlikeView
from fablewright.systems.diplomacy.threats import UltimatumState
from fablewright.systems.diplomacy.views import now_of
from fablewright.systems.diplomacy.war_commands import (
    TWO,
    AnswerUltimatum,
    FormCoalition,
    IssueUltimatum,
    JoinCoalition,
    LeaveCoalition,
    WithdrawUltimatum,
)
from fablewright.systems.diplomacy.war_router import ActingBody
from fablewright.systems.factions.rules import FACTION_NOT_FOUND
from fablewright.systems.factions.views import faction as find_faction

router = APIRouter(tags=["diplomacy"])


# -- ultimatums ------------------------------------------------------------------------------------------------


class UltimatumAnswerBody(ActingBody):
    """Whether the target gives in."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"accept": False}]})

    accept: bool


class WithdrawBody(ActingBody):
    """Who backs down."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{}]})


@router.post("/worlds/{world_id}/ultimatums", responses=refusals(IssueUltimatum))
async def issue_ultimatum(world_id: UUID, body: IssueUltimatum, caller: Caller) -> Committed[UltimatumView]:
    """Demand something until a deadline, and promise what comes otherwise."""
    return await caller.execute(body, world_id)  # type: ignore[no-any-return]


@router.get("/worlds/{world_id}/ultimatums", responses=refusals(CURSOR_INVALID, PAGE_TOO_LARGE))
async def list_ultimatums(
    world_id: UUID,
    caller: Caller,
    paging: Paging,
    faction_id: Annotated[UUID | None, Query(description="Only those of or to this faction.")] = None,
    state: Annotated[UltimatumState | None, Query(description="Only in this state.")] = None,
) -> Page[UltimatumView]:
    """The ultimatums of the world, newest first."""
    after = position_of(paging, UUID)
    async with caller.reading(world_id) as connection:
        rows = await threat_views.list_ultimatums(
            connection, world_id, faction_id=faction_id, state=state, after=after[0] if after else None,
            limit=paging.limit + 1,
        )  # fmt: skip
    return page_of(rows, paging, lambda u: [str(u.id)])


@router.get("/worlds/{world_id}/ultimatums/{ultimatum_id}", responses=refusals(threats.ULTIMATUM_NOT_FOUND))
async def get_ultimatum(world_id: UUID, ultimatum_id: UUID, caller: Caller) -> UltimatumView:
    """One ultimatum, and what came of it."""
    async with caller.reading(world_id) as connection:
        found = await threat_views.ultimatum(connection, world_id, ultimatum_id)
    if found is None:
        raise threats.ULTIMATUM_NOT_FOUND(ultimatum_id=str(ultimatum_id))
    return found


@router.post("/worlds/{world_id}/ultimatums/{ultimatum_id}/answer", responses=refusals(AnswerUltimatum))
async def answer_ultimatum(
    world_id: UUID, ultimatum_id: UUID, body: UltimatumAnswerBody, caller: Caller
) -> Committed[UltimatumView]:
    """Give in, which makes a treaty of the demands, or say no."""
    command = AnswerUltimatum(ultimatum_id=ultimatum_id, **dict(body))
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.post("/worlds/{world_id}/ultimatums/{ultimatum_id}/withdraw", responses=refusals(WithdrawUltimatum))
async def withdraw_ultimatum(
    world_id: UUID, ultimatum_id: UUID, body: WithdrawBody, caller: Caller
) -> Committed[UltimatumView]:
    """Back down."""
    command = WithdrawUltimatum(ultimatum_id=ultimatum_id, **dict(body))
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


# -- coalitions ------------------------------------------------------------------------------------------------


class CoalitionBody(ActingBody):
    """Which faction joins or leaves a coalition."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"faction_id": TWO}]})

    faction_id: UUID


@router.post("/worlds/{world_id}/coalitions", responses=refusals(FormCoalition))
async def form_coalition(world_id: UUID, body: FormCoalition, caller: Caller) -> Committed[CoalitionView]:
    """Stand against a faction whose aggression frightens its neighbours."""
    return await caller.execute(body, world_id)  # type: ignore[no-any-return]


@router.post("/worlds/{world_id}/coalitions/import", status_code=201, responses=refusals(ImportCoalition))
async def import_coalition(world_id: UUID, body: ImportCoalition, caller: Caller) -> Committed[CoalitionView]:
    """Bring in a coalition that stands. For game masters."""
    return await caller.execute(body, world_id, status=201)  # type: ignore[no-any-return]


@router.get("/worlds/{world_id}/coalitions", responses=refusals(CURSOR_INVALID, PAGE_TOO_LARGE))
async def list_coalitions(
    world_id: UUID,
    caller: Caller,
    paging: Paging,
    faction_id: Annotated[UUID | None, Query(description="Only those of or against this faction.")] = None,
    over: Annotated[bool | None, Query(description="Only those that are over, or that are not.")] = None,
) -> Page[CoalitionView]:
    """The coalitions of the world, newest first."""
    after = position_of(paging, UUID)
    async with caller.reading(world_id) as connection:
        rows = await threat_views.list_coalitions(
            connection, world_id, faction_id=faction_id, over=over, after=after[0] if after else None,
            limit=paging.limit + 1,
        )  # fmt: skip
    return page_of(rows, paging, lambda c: [str(c.id)])


@router.get("/worlds/{world_id}/coalitions/{coalition_id}", responses=refusals(threats.COALITION_NOT_FOUND))
async def get_coalition(world_id: UUID, coalition_id: UUID, caller: Caller) -> CoalitionView:
    """One coalition and its members."""
    async with caller.reading(world_id) as connection:
        found = await threat_views.coalition(connection, world_id, coalition_id)
    if found is None:
        raise threats.COALITION_NOT_FOUND(coalition_id=str(coalition_id))
    return found


@router.post("/worlds/{world_id}/coalitions/{coalition_id}/join", responses=refusals(JoinCoalition))
async def join_coalition(
    world_id: UUID, coalition_id: UUID, body: CoalitionBody, caller: Caller
) -> Committed[CoalitionView]:
    """Stand with those who fear the same."""
    command = JoinCoalition(coalition_id=coalition_id, **dict(body))
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.post("/worlds/{world_id}/coalitions/{coalition_id}/leave", responses=refusals(LeaveCoalition))
async def leave_coalition(
    world_id: UUID, coalition_id: UUID, body: CoalitionBody, caller: Caller
) -> Committed[CoalitionView]:
    """Stand with them no more."""
    command = LeaveCoalition(coalition_id=coalition_id, **dict(body))
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


# -- fear ------------------------------------------------------------------------------------------------------


@router.get("/worlds/{world_id}/factions/{faction_id}/warlike", responses=refusals(FACTION_NOT_FOUND))
async def get_warlike(world_id: UUID, faction_id: UUID, caller: Caller) -> WarlikeView:
    """What war has made of a faction: how weary it is, and who fears it, with what that comes from."""
    async with caller.reading(world_id) as connection:
        if await find_faction(connection, world_id, faction_id) is None:
            raise FACTION_NOT_FOUND(faction_id=str(faction_id))
        return await threat_views.warlike(
            connection, world_id, faction_id, await now_of(connection, world_id)
        )


class WarlikeBody(BaseModel):
    """What war has made of a faction."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"exhaustion": 12.5, "aggression": 20}]}
    )

    exhaustion: Exhaustion
    aggression: Aggression


@router.put("/worlds/{world_id}/factions/{faction_id}/warlike", responses=refusals(SetWarlike))
async def set_warlike(
    world_id: UUID, faction_id: UUID, body: WarlikeBody, caller: Caller
) -> Committed[WarlikeView]:
    """Say how weary of war a faction is, and how much it frightens others. For game masters."""
    command = SetWarlike(faction_id=faction_id, **dict(body))
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


ROUTER = router
