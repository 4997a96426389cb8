"""HTTP routes for factions, their members, treasuries and power."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

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
)  # fmt: skip
from fablewright.systems.factions import views
from fablewright.systems.factions.commands import (
    AddMember,
    Amount,
    As,
    ChangeFaction,
    Color,
    Description,
    DissolveFaction,
    FoundFaction,
    GrantTreasury,
    Ideology,
    Key,
    Leave,
    Muster,
    Name,
    Ranks,
    Reason,
    Reference,
    RemoveMember,
    Roles,
    SetLeader,
    SetRank,
    SetStrength,
    SpendTreasury,
    TraitsValue,
    Troops,
    Word,
)
from fablewright.systems.factions.roster import principals
from fablewright.systems.factions.rules import FACTION_NOT_FOUND, MOST_TROOPS
from fablewright.systems.factions.views import FactionDetail, FactionView, MemberView, PowerView, TreasuryView

router = APIRouter(tags=["factions"])


def _body(**example: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [example]})


class FactionPatch(BaseModel):
    """The fields to change; those left out stay. `capital_id: null` takes its seat away."""

    model_config = _body(self_run=True, description="Lords of the burnt vale.")

    name: Name | None = None
    kind: Word | None = None
    description: Description | None = None
    color: Color | None = None
    ideology: Ideology | None = None
    traits: TraitsValue | None = None
    currency: Key | None = None
    roles: Roles | None = None
    ranks: Ranks | None = None
    capital_id: UUID | None = None
    self_run: bool | None = None


class DissolveBody(BaseModel):
    """Why a faction ends, and who inherits."""

    model_config = _body(reason="The line died out.")

    heir_id: UUID | None = None
    reason: Reason = ""
    character_id: As = None


class JoinBody(BaseModel):
    """Who shall join, as what."""

    model_config = _body(member_id="01890a5d-ac96-774b-bcce-b302099a8058", rank="member", role="ambassador")

    member_id: UUID
    rank: Word | None = None
    role: Key | None = None
    character_id: As = None


class RankBody(BaseModel):
    """Another rank or role; what is left out or null stays."""

    model_config = _body(rank="officer", role="spymaster")

    rank: Word | None = None
    role: Key | None = None
    remove_role: bool = False
    character_id: As = None


class ReasonBody(BaseModel):
    """Why."""

    model_config = _body(reason="I have had enough.")

    reason: Reason = ""


class SendAwayBody(ReasonBody):
    """Why somebody is sent away, and by whom."""

    character_id: As = None


class LeaderBody(BaseModel):
    """Who shall lead; null: nobody."""

    model_config = _body(member_id="01890a5d-ac96-774b-bcce-b302099a8058")

    member_id: UUID | None
    character_id: As = None


class GrantBody(BaseModel):
    """What comes in."""

    model_config = _body(amount=500, reason="The harvest tithe.")

    amount: Amount
    currency: Key | None = None
    reason: Reason = ""
    reference: Reference | None = None


class SpendBody(GrantBody):
    """What goes out, and to whom; `to_id` null: to the sink."""

    model_config = _body(amount=40, reason="A new roof for the hall.")

    to_id: UUID | None = None
    character_id: As = None


class StrengthBody(BaseModel):
    """How many troops."""

    model_config = _body(strength=900, reason="A hard winter.")

    strength: Troops
    reason: Reason = ""


class MusterBody(BaseModel):
    """How many troops more."""

    model_config = _body(troops=60, reason="The border is thinly held.")

    troops: int = Field(ge=1, le=MOST_TROOPS)
    reason: Reason = ""
    character_id: As = None


class HistoryView(BaseModel):
    """To what a character belongs and belonged."""

    items: list[MemberView] = Field(description="Newest first, 100 at most.")


# -- factions ------------------------------------------------------------------------------------------------


@router.post("/worlds/{world_id}/factions", status_code=201, responses=refusals(FoundFaction))
async def found_faction(world_id: UUID, body: FoundFaction, caller: Caller) -> Committed[FactionView]:
    """Bring a faction into the world, with its first members. For game masters."""
    return await caller.execute(body, world_id, status=201)  # type: ignore[no-any-return]


@router.get("/worlds/{world_id}/factions", responses=refusals(CURSOR_INVALID, PAGE_TOO_LARGE))
async def list_factions(
    world_id: UUID,
    caller: Caller,
    paging: Paging,
    *,
    kind: Annotated[str | None, Query(max_length=50, description="Only this kind.")] = None,
    dissolved: Annotated[bool, Query(description="Those that are no more, too.")] = False,
) -> Page[FactionView]:
    """The factions of the world, by name."""
    after = position_of(paging, _text, UUID)
    async with caller.reading(world_id) as connection:
        rows = await views.list_page(
            connection, world_id, kind=kind and kind.replace("\x00", ""), dissolved=dissolved,
            after=(after[0], after[1]) if after else None, limit=paging.limit + 1,
        )  # fmt: skip
    return page_of(rows, paging, lambda f: [f.name, str(f.id)])


@router.get("/worlds/{world_id}/factions/{faction_id}", responses=refusals(FACTION_NOT_FOUND))
async def get_faction(world_id: UUID, faction_id: UUID, caller: Caller) -> FactionDetail:
    """One faction, also if it was dissolved. Its treasury is shown to those who stand for it."""
    async with caller.runtime.database.reading() as connection:
        inside = await _stands_for(caller, connection, world_id, faction_id)
        found = await views.one(connection, world_id, faction_id, with_treasury=inside)
    if found is None:
        raise FACTION_NOT_FOUND(faction_id=str(faction_id))
    return found


@router.patch("/worlds/{world_id}/factions/{faction_id}", responses=refusals(ChangeFaction))
async def change_faction(
    world_id: UUID, faction_id: UUID, body: FactionPatch, caller: Caller
) -> Committed[FactionView]:
    """Change a faction. For game masters."""
    homeless = "capital_id" in body.model_fields_set and body.capital_id is None
    command = ChangeFaction(faction_id=faction_id, remove_capital=homeless, **dict(body))
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.post("/worlds/{world_id}/factions/{faction_id}/dissolve", responses=refusals(DissolveFaction))
async def dissolve_faction(
    world_id: UUID, faction_id: UUID, body: DissolveBody, caller: Caller
) -> Committed[None]:
    """End a faction. For its leader and game masters."""
    command = DissolveFaction(faction_id=faction_id, **dict(body))
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.put("/worlds/{world_id}/factions/{faction_id}/leader", responses=refusals(SetLeader))
async def set_leader(world_id: UUID, faction_id: UUID, body: LeaderBody, caller: Caller) -> Committed[None]:
    """Let another member lead. For its leader and game masters."""
    command = SetLeader(faction_id=faction_id, **dict(body))
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.put("/worlds/{world_id}/factions/{faction_id}/strength", responses=refusals(SetStrength))
async def set_strength(
    world_id: UUID, faction_id: UUID, body: StrengthBody, caller: Caller
) -> Committed[FactionView]:
    """Say how many troops a faction has. For game masters."""
    command = SetStrength(faction_id=faction_id, **dict(body))
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.post("/worlds/{world_id}/factions/{faction_id}/muster", responses=refusals(Muster))
async def muster_troops(
    world_id: UUID, faction_id: UUID, body: MusterBody, caller: Caller
) -> Committed[FactionView]:
    """Raise troops, for one unit of the treasury each. For members whose role may, and game masters."""
    command = Muster(faction_id=faction_id, **dict(body))
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.get("/worlds/{world_id}/factions/{faction_id}/power", responses=refusals(FACTION_NOT_FOUND))
async def get_power(world_id: UUID, faction_id: UUID, caller: Caller) -> PowerView:
    """How powerful a faction is, with the parts. Its treasury counts for those who stand for it."""
    async with caller.runtime.database.reading() as connection:
        inside = await _stands_for(caller, connection, world_id, faction_id)
        now = await views.now_of(connection, world_id)
        found = (await views.powers(connection, world_id, [faction_id], now)).get(faction_id)
    if found is None:
        raise FACTION_NOT_FOUND(faction_id=str(faction_id))
    return views.power_view(found, inside)


# -- treasuries ----------------------------------------------------------------------------------------------


@router.post("/worlds/{world_id}/factions/{faction_id}/treasury/grant", responses=refusals(GrantTreasury))
async def grant_treasury(
    world_id: UUID, faction_id: UUID, body: GrantBody, caller: Caller
) -> Committed[TreasuryView]:
    """Let a sum come in from the mint. For game masters."""
    command = GrantTreasury(faction_id=faction_id, **dict(body))
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.post("/worlds/{world_id}/factions/{faction_id}/treasury/spend", responses=refusals(SpendTreasury))
async def spend_treasury(
    world_id: UUID, faction_id: UUID, body: SpendBody, caller: Caller
) -> Committed[TreasuryView]:
    """Spend from a treasury. For members whose role may, and game masters."""
    command = SpendTreasury(faction_id=faction_id, **dict(body))
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


# -- members -------------------------------------------------------------------------------------------------


@router.get(
    "/worlds/{world_id}/factions/{faction_id}/members",
    responses=refusals(FACTION_NOT_FOUND, CURSOR_INVALID, PAGE_TOO_LARGE),
)
async def list_faction_members(
    world_id: UUID,
    faction_id: UUID,
    caller: Caller,
    paging: Paging,
    *,
    past: Annotated[bool, Query(description="Those who left, too.")] = False,
) -> Page[MemberView]:
    """Who belongs to a faction, as what, and what each may do; by membership."""
    after = position_of(paging, UUID)
    async with caller.reading(world_id) as connection:
        found = await views.faction(connection, world_id, faction_id)
        if found is None:
            raise FACTION_NOT_FOUND(faction_id=str(faction_id))
        rows = await views.members(
            connection, world_id, found, past=past, after=after[0] if after else None, limit=paging.limit + 1
        )
    return page_of(rows, paging, lambda m: [str(m.id)])


@router.post(
    "/worlds/{world_id}/factions/{faction_id}/members", status_code=201, responses=refusals(AddMember)
)
async def add_faction_member(
    world_id: UUID, faction_id: UUID, body: JoinBody, caller: Caller
) -> Committed[MemberView]:
    """Let a character join. For members whose role may manage members, and game masters."""
    command = AddMember(faction_id=faction_id, **dict(body))
    return await caller.execute(command, world_id, status=201)  # type: ignore[no-any-return]


@router.patch("/worlds/{world_id}/factions/{faction_id}/members/{member_id}", responses=refusals(SetRank))
async def set_faction_rank(
    world_id: UUID, faction_id: UUID, member_id: UUID, body: RankBody, caller: Caller
) -> Committed[MemberView]:
    """Give a member (by its character's id) another rank or role."""
    command = SetRank(faction_id=faction_id, member_id=member_id, **dict(body))
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.post(
    "/worlds/{world_id}/factions/{faction_id}/members/{member_id}/remove", responses=refusals(RemoveMember)
)
async def remove_faction_member(
    world_id: UUID, faction_id: UUID, member_id: UUID, body: SendAwayBody, caller: Caller
) -> Committed[None]:
    """Send a member (by its character's id) away."""
    command = RemoveMember(faction_id=faction_id, member_id=member_id, **dict(body))
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.get("/worlds/{world_id}/characters/{character_id}/factions", responses=refusals())
async def list_memberships(world_id: UUID, character_id: UUID, caller: Caller) -> HistoryView:
    """To what a character belongs and belonged."""
    async with caller.reading(world_id) as connection:
        return HistoryView(items=await views.history(connection, world_id, character_id))


@router.post("/worlds/{world_id}/characters/{character_id}/factions/leave", responses=refusals(Leave))
async def leave_faction(
    world_id: UUID, character_id: UUID, body: ReasonBody, caller: Caller
) -> Committed[None]:
    """Let a character leave its faction."""
    command = Leave(character_id=character_id, reason=body.reason)
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


# -- helpers -------------------------------------------------------------------------------------------------


async def _stands_for(caller: CallerInfo, connection: Any, world_id: UUID, faction_id: UUID) -> bool:
    """Whether the caller, who must be a member of the world, is a game master or stands for the faction."""
    role = await connection.fetchval(MEMBER_ROLE, world_id, caller.actor.user_id)
    if caller.require(role, world_id) >= Role.GAME_MASTER:
        return True
    return faction_id in await principals(connection.fetch, world_id, caller.signed_in())


def _text(value: Any) -> str:
    if not isinstance(value, str) or "\x00" in value:
        raise TypeError("not a name")
    return value
