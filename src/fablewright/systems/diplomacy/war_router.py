"""HTTP routes for incidents, ultimatums, sanctions, wars and coalitions."""

from typing import Annotated, Literal
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
)
from fablewright.systems.diplomacy import battle, ladder, war_commands, war_views
from fablewright.systems.diplomacy.history_commands import ImportWar
from fablewright.systems.diplomacy.ladder import Answer
from fablewright.systems.diplomacy.quarrel_commands import ImportIncident, ImportSanction
from fablewright.systems.diplomacy.views import now_of
from fablewright.systems.diplomacy.war_commands import (
    ANOTHER_REASON,
    TWO,
    AnswerCall,
    AnswerIncident,
    CallToArms,
    DeclareWar,
    EscalateIncident,
    FightBattle,
    ImposeSanction,
    JoinSanction,
    LeaveSanction,
    MakePeace,
    Money,
    ReportIncident,
    SettleIncident,
)
from fablewright.systems.diplomacy.war_views import IncidentView, SanctionView, WarDetail, WarView

router = APIRouter(tags=["diplomacy"])


class ActingBody(BaseModel):
    """What a member does in its faction's name."""

    model_config = ConfigDict(extra="forbid")

    character_id: UUID | None = Field(
        None, description="Which member acts; only game masters may leave it out."
    )


# -- incidents -------------------------------------------------------------------------------------------------


class AnswerBody(ActingBody):
    """How the accused answers."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"answer": "reparation", "amount": 250}]}
    )

    answer: Answer
    amount: Money = 0


class SettleBody(ActingBody):
    """Whether the injured forgives without an apology."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"forgive": True}]})

    forgive: bool = False


class EscalateBody(ActingBody):
    """Who goes on."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{}]})


@router.post("/worlds/{world_id}/incidents", responses=refusals(ReportIncident))
async def report_incident(world_id: UUID, body: ReportIncident, caller: Caller) -> Committed[IncidentView]:
    """Hold a faction responsible for something done to another."""
    return await caller.execute(body, world_id)  # type: ignore[no-any-return]


@router.post("/worlds/{world_id}/incidents/import", status_code=201, responses=refusals(ImportIncident))
async def import_incident(world_id: UUID, body: ImportIncident, caller: Caller) -> Committed[IncidentView]:
    """Bring in an incident as it stands, or one that is over. For game masters."""
    return await caller.execute(body, world_id, status=201)  # type: ignore[no-any-return]


@router.get("/worlds/{world_id}/incidents", responses=refusals(CURSOR_INVALID, PAGE_TOO_LARGE))
async def list_incidents(
    world_id: UUID,
    caller: Caller,
    paging: Paging,
    faction_id: Annotated[UUID | None, Query(description="Only those that concern this faction.")] = None,
    state: Annotated[
        Literal["open", "answered", "settled", "faded"] | None, Query(description="Only in this state.")
    ] = None,
) -> Page[IncidentView]:
    """The incidents of the world, newest first."""
    after = position_of(paging, UUID)
    async with caller.reading(world_id) as connection:
        rows = await war_views.list_incidents(
            connection, world_id, await now_of(connection, world_id), faction_id=faction_id, state=state,
            after=after[0] if after else None, limit=paging.limit + 1,
        )  # fmt: skip
    return page_of(rows, paging, lambda i: [str(i.id)])


@router.get("/worlds/{world_id}/incidents/{incident_id}", responses=refusals(ladder.INCIDENT_NOT_FOUND))
async def get_incident(world_id: UUID, incident_id: UUID, caller: Caller) -> IncidentView:
    """One incident, and how it may be answered now."""
    async with caller.reading(world_id) as connection:
        now = await now_of(connection, world_id)
        found = await war_views.incident(connection, world_id, incident_id, now)
    if found is None:
        raise ladder.INCIDENT_NOT_FOUND(incident_id=str(incident_id))
    return found


@router.post("/worlds/{world_id}/incidents/{incident_id}/answer", responses=refusals(AnswerIncident))
async def answer_incident(
    world_id: UUID, incident_id: UUID, body: AnswerBody, caller: Caller
) -> Committed[IncidentView]:
    """Apologise, pay, deny or strike back."""
    command = AnswerIncident(incident_id=incident_id, **dict(body))
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.post("/worlds/{world_id}/incidents/{incident_id}/settle", responses=refusals(SettleIncident))
async def settle_incident(
    world_id: UUID, incident_id: UUID, body: SettleBody, caller: Caller
) -> Committed[IncidentView]:
    """Take the apology, or forgive."""
    command = SettleIncident(incident_id=incident_id, **dict(body))
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.post("/worlds/{world_id}/incidents/{incident_id}/escalate", responses=refusals(EscalateIncident))
async def escalate_incident(
    world_id: UUID, incident_id: UUID, body: EscalateBody, caller: Caller
) -> Committed[IncidentView]:
    """Go a rung up the ladder."""
    command = EscalateIncident(incident_id=incident_id, **dict(body))
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


# -- wars ------------------------------------------------------------------------------------------------------


class _WarBody(ActingBody):
    faction_id: UUID = Field(description="Which party acts.")


class CallBody(_WarBody):
    """Whom a party calls to arms."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"faction_id": TWO, "ally_id": ANOTHER_REASON}]}
    )

    ally_id: UUID


class CallAnswerBody(_WarBody):
    """Whether a faction that was called comes."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"faction_id": TWO, "come": True}]}
    )

    come: bool


class BattleBody(_WarBody):
    """With whom to fight, where, and with how many."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"faction_id": TWO, "enemy_id": ANOTHER_REASON, "troops": 800}]},
    )

    enemy_id: UUID
    region_id: UUID | None = None
    troops: float | None = Field(None, gt=0, le=1e9, allow_inf_nan=False)


class PeaceBody(_WarBody):
    """How the war ends."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"faction_id": TWO}]})

    agreed_by: UUID | None = None
    keep: list[UUID] = Field([], max_length=200)


@router.post("/worlds/{world_id}/wars", responses=refusals(DeclareWar))
async def declare_war(world_id: UUID, body: DeclareWar, caller: Caller) -> Committed[WarDetail]:
    """Go to war."""
    return await caller.execute(body, world_id)  # type: ignore[no-any-return]


@router.post("/worlds/{world_id}/wars/import", status_code=201, responses=refusals(ImportWar))
async def import_war(world_id: UUID, body: ImportWar, caller: Caller) -> Committed[WarDetail]:
    """Bring in a war as it stands, or one that is over. For game masters."""
    return await caller.execute(body, world_id, status=201)  # type: ignore[no-any-return]


@router.get("/worlds/{world_id}/wars", responses=refusals(CURSOR_INVALID, PAGE_TOO_LARGE))
async def list_wars(
    world_id: UUID,
    caller: Caller,
    paging: Paging,
    faction_id: Annotated[UUID | None, Query(description="Only those this faction is a party of.")] = None,
    over: Annotated[bool | None, Query(description="Only those that are over, or that are not.")] = None,
) -> Page[WarView]:
    """The wars of the world, newest first, and how each stands."""
    after = position_of(paging, UUID)
    async with caller.reading(world_id) as connection:
        rows = await war_views.list_wars(
            connection, world_id, await now_of(connection, world_id), faction_id=faction_id, over=over,
            after=after[0] if after else None, limit=paging.limit + 1,
        )  # fmt: skip
    return page_of(rows, paging, lambda w: [str(w.id)])


@router.get("/worlds/{world_id}/wars/{war_id}", responses=refusals(battle.WAR_NOT_FOUND))
async def get_war(world_id: UUID, war_id: UUID, caller: Caller) -> WarDetail:
    """One war with its parties, battles and what was taken."""
    async with caller.reading(world_id) as connection:
        found = await war_views.war(connection, world_id, war_id, await now_of(connection, world_id))
    if found is None:
        raise battle.WAR_NOT_FOUND(war_id=str(war_id))
    return found


@router.post("/worlds/{world_id}/wars/{war_id}/calls", responses=refusals(CallToArms))
async def call_to_arms(world_id: UUID, war_id: UUID, body: CallBody, caller: Caller) -> Committed[WarDetail]:
    """Ask a faction to fight on one's side."""
    return await caller.execute(CallToArms(war_id=war_id, **dict(body)), world_id)  # type: ignore[no-any-return]


@router.post("/worlds/{world_id}/wars/{war_id}/calls/answer", responses=refusals(AnswerCall))
async def answer_call(
    world_id: UUID, war_id: UUID, body: CallAnswerBody, caller: Caller
) -> Committed[WarDetail]:
    """Come when called, or refuse."""
    return await caller.execute(AnswerCall(war_id=war_id, **dict(body)), world_id)  # type: ignore[no-any-return]


@router.post("/worlds/{world_id}/wars/{war_id}/battles", responses=refusals(FightBattle))
async def fight_battle(
    world_id: UUID, war_id: UUID, body: BattleBody, caller: Caller
) -> Committed[WarDetail]:
    """Seek battle with an enemy."""
    return await caller.execute(FightBattle(war_id=war_id, **dict(body)), world_id)  # type: ignore[no-any-return]


@router.post("/worlds/{world_id}/wars/{war_id}/peace", responses=refusals(MakePeace))
async def make_peace(world_id: UUID, war_id: UUID, body: PeaceBody, caller: Caller) -> Committed[WarDetail]:
    """End a war."""
    return await caller.execute(MakePeace(war_id=war_id, **dict(body)), world_id)  # type: ignore[no-any-return]


# -- sanctions -------------------------------------------------------------------------------------------------


class MemberBody(ActingBody):
    """Which faction joins or leaves a sanction."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"faction_id": TWO}]})

    faction_id: UUID


@router.post("/worlds/{world_id}/sanctions", responses=refusals(ImposeSanction))
async def impose_sanction(world_id: UUID, body: ImposeSanction, caller: Caller) -> Committed[SanctionView]:
    """Sanction a faction; it binds markets, ledger and travel at once."""
    return await caller.execute(body, world_id)  # type: ignore[no-any-return]


@router.post("/worlds/{world_id}/sanctions/import", status_code=201, responses=refusals(ImportSanction))
async def import_sanction(world_id: UUID, body: ImportSanction, caller: Caller) -> Committed[SanctionView]:
    """Bring in a sanction that is in force. For game masters."""
    return await caller.execute(body, world_id, status=201)  # type: ignore[no-any-return]


@router.get("/worlds/{world_id}/sanctions", responses=refusals(CURSOR_INVALID, PAGE_TOO_LARGE))
async def list_sanctions(
    world_id: UUID,
    caller: Caller,
    paging: Paging,
    faction_id: Annotated[UUID | None, Query(description="Only those of or by this faction.")] = None,
    lifted: Annotated[
        bool | None, Query(description="Only those that were lifted, or that were not.")
    ] = None,
) -> Page[SanctionView]:
    """The sanctions of the world, newest first."""
    after = position_of(paging, UUID)
    async with caller.reading(world_id) as connection:
        rows = await war_views.list_sanctions(
            connection, world_id, faction_id=faction_id, lifted=lifted, after=after[0] if after else None,
            limit=paging.limit + 1,
        )  # fmt: skip
    return page_of(rows, paging, lambda s: [str(s.id)])


@router.get("/worlds/{world_id}/sanctions/{sanction_id}", responses=refusals(war_commands.SANCTION_NOT_FOUND))
async def get_sanction(world_id: UUID, sanction_id: UUID, caller: Caller) -> SanctionView:
    """One sanction, who takes part, and who breached it."""
    async with caller.reading(world_id) as connection:
        found = await war_views.sanction(connection, world_id, sanction_id)
    if found is None:
        raise war_commands.SANCTION_NOT_FOUND(sanction_id=str(sanction_id))
    return found


@router.post("/worlds/{world_id}/sanctions/{sanction_id}/join", responses=refusals(JoinSanction))
async def join_sanction(
    world_id: UUID, sanction_id: UUID, body: MemberBody, caller: Caller
) -> Committed[SanctionView]:
    """Take part in a sanction of others."""
    command = JoinSanction(sanction_id=sanction_id, **dict(body))
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.post("/worlds/{world_id}/sanctions/{sanction_id}/leave", responses=refusals(LeaveSanction))
async def leave_sanction(
    world_id: UUID, sanction_id: UUID, body: MemberBody, caller: Caller
) -> Committed[SanctionView]:
    """Take part no more; the last to leave lifts it."""
    command = LeaveSanction(sanction_id=sanction_id, **dict(body))
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


ROUTER = router
