"""HTTP routes for treaties."""

from typing import Annotated, Any, Final, Literal
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
)
from fablewright.gateway.events import reader_filter
from fablewright.systems.diplomacy import treaty_views
from fablewright.systems.diplomacy.clauses import MOST_CLAUSES
from fablewright.systems.diplomacy.treaty_commands import (
    ASH,
    ELM,
    TERMS_EXAMPLE,
    TREATY_NOT_FOUND,
    AccuseOfBreach,
    ChangeDraft,
    ImportTreaty,
    ProposeTreaty,
    RejectTreaty,
    RenewTreaty,
    RevealTreaty,
    SignTreaty,
    SpyOnFaction,
    SuspendTreaty,
    TerminateTreaty,
    TreatyFields,
    TreatyKind,
    Why,
    WithdrawFromTreaty,
)
from fablewright.systems.diplomacy.treaty_views import AccusationMade, SpyMade, TreatyMade, TreatyView
from fablewright.systems.diplomacy.views import TimelineView, timeline
from fablewright.systems.factions import service as factions

router = APIRouter(tags=["diplomacy"])

ALL: Final = "/worlds/{world_id}/treaties"
ITEM: Final = ALL + "/{treaty_id}"

State = Literal[
    "draft", "signed_partly", "signed", "in_force", "suspended", "expired", "terminated", "withdrawn", "broken",
    "rejected",
]  # fmt: skip


def _example(**values: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [values]})


class PartyBody(BaseModel):
    """For which party, and as which character."""

    model_config = _example(faction_id=ASH)

    faction_id: UUID = Field(description="For which party.")
    character_id: UUID | None = Field(
        None, description="As which member you act; only game masters may leave it out."
    )


class SignBody(PartyBody):
    """For which party, as which character, and which draft was read."""

    model_config = _example(faction_id=ASH, draft=1)

    draft: int | None = Field(None, ge=1, description="Refused if the draft was changed since this one.")


class DraftBody(TreatyFields):
    """What the draft is to say from now on."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra={"examples": [{**TERMS_EXAMPLE, "faction_id": ASH}]}
    )

    faction_id: UUID = Field(description="For which party.")
    character_id: UUID | None = None


class RejectBody(PartyBody):
    """Why a party will not sign."""

    model_config = _example(faction_id=ASH, reason="The tribute is too high.")

    reason: Why = ""


class SuspendBody(PartyBody):
    """Whether the treaty shall rest or go on."""

    model_config = _example(faction_id=ASH, resume=False)

    resume: bool = False


class AccuseBody(PartyBody):
    """Whom a party accuses of breaking which clause, and which event shows it."""

    model_config = _example(faction_id=ASH, accused_id=ELM, clause=1)

    accused_id: UUID
    clause: int = Field(ge=1, le=MOST_CLAUSES, description="Number of the clause, from 1.")
    event_id: UUID | None = None


class SpyBody(BaseModel):
    """On whom to spy, and as which character."""

    model_config = _example(target_id=ELM)

    target_id: UUID
    character_id: UUID | None = Field(
        None, description="As which member you act; only game masters may leave it out."
    )


class RevealBody(BaseModel):
    """How a secret came to light."""

    model_config = _example(how="A spy copied it.")

    how: Why = "it came to light"


async def _entered(caller: CallerInfo, connection: Any, world_id: UUID) -> tuple[set[UUID] | None, Role]:
    """The factions the caller stands for (None for game masters, who see all), and its role.

    Refuses as `reading` does.
    """
    role = caller.require(await connection.fetchval(MEMBER_ROLE, world_id, caller.actor.user_id), world_id)
    if role >= Role.GAME_MASTER:
        return None, role
    return await factions.principals(connection.fetch, world_id, caller.signed_in()), role


# -- reading -------------------------------------------------------------------------------------------------


@router.get(ALL, responses=refusals(CURSOR_INVALID, PAGE_TOO_LARGE))
async def list_treaties(
    world_id: UUID,
    caller: Caller,
    paging: Paging,
    faction: Annotated[UUID | None, Query(description="Only those to which this faction is a party.")] = None,
    other: Annotated[UUID | None, Query(description="Only those to which this one is a party, too.")] = None,
    state: Annotated[State | None, Query(description="Only those in this state.")] = None,
    kind: Annotated[TreatyKind | None, Query(description="Only those of this kind.")] = None,
    is_open: Annotated[
        bool | None, Query(alias="open", description="Only those that have not ended, or only those that have.")
    ] = None,
) -> Page[TreatyView]:  # fmt: skip
    """The treaties that you may know of, past ones too, the newest first."""
    after = position_of(paging, int, UUID)
    async with caller.runtime.database.reading() as connection:
        own, _ = await _entered(caller, connection, world_id)
        rows = await treaty_views.listed(
            connection, world_id, own, between=[f for f in (faction, other) if f is not None], state=state,
            kind=kind, open_=is_open, after=(after[0], after[1]) if after else None, limit=paging.limit + 1,
        )  # fmt: skip
    return page_of(rows, paging, lambda t: [t.at, str(t.id)])


@router.get(ITEM, responses=refusals(TREATY_NOT_FOUND))
async def get_treaty(world_id: UUID, treaty_id: UUID, caller: Caller) -> TreatyView:
    """One treaty: its parties, its clauses in words, and how it was broken."""
    async with caller.runtime.database.reading() as connection:
        own, _ = await _entered(caller, connection, world_id)
        found = await treaty_views.treaty(connection, world_id, treaty_id, own)
    if found is None:
        raise TREATY_NOT_FOUND(treaty_id=str(treaty_id))
    return found


@router.get(ITEM + "/timeline", responses=refusals(TREATY_NOT_FOUND))
async def get_treaty_timeline(
    world_id: UUID, treaty_id: UUID, caller: Caller,
    before: Annotated[int | None, Query(ge=1, lt=2**62, description="Only what has a smaller `seq`.")] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="Most items to return.")] = 50,
) -> TimelineView:  # fmt: skip
    """What happened to a treaty, newest first, as far as you may see it."""
    async with caller.runtime.database.reading() as connection:
        own, role = await _entered(caller, connection, world_id)
        if await treaty_views.treaty(connection, world_id, treaty_id, own) is None:
            raise TREATY_NOT_FOUND(treaty_id=str(treaty_id))
        wanted = await reader_filter(connection, caller.runtime, world_id, caller.signed_in(), role)
        return await timeline(connection, world_id, (treaty_id,), wanted, before, limit)


# -- acts ----------------------------------------------------------------------------------------------------


@router.post(ALL, status_code=201, responses=refusals(ProposeTreaty))
async def propose_treaty(world_id: UUID, body: ProposeTreaty, caller: Caller) -> Committed[TreatyMade]:
    """Draft a treaty for others to sign."""
    return await caller.execute(body, world_id, status=201)  # type: ignore[no-any-return]


@router.post(ALL + "/import", status_code=201, responses=refusals(ImportTreaty))
async def import_treaty(world_id: UUID, body: ImportTreaty, caller: Caller) -> Committed[TreatyMade]:
    """Bring in a treaty with its history, also one that is over. For game masters."""
    return await caller.execute(body, world_id, status=201)  # type: ignore[no-any-return]


@router.put(ITEM, responses=refusals(ChangeDraft))
async def change_draft(
    world_id: UUID, treaty_id: UUID, body: DraftBody, caller: Caller
) -> Committed[TreatyMade]:
    """Say anew what a draft says. Signatures given so far are void."""
    command = ChangeDraft(treaty_id=treaty_id, **dict(body))
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.post(ITEM + "/sign", responses=refusals(SignTreaty))
async def sign_treaty(
    world_id: UUID, treaty_id: UUID, body: SignBody, caller: Caller
) -> Committed[TreatyMade]:
    """Sign for a party. With the last signature the treaty comes into force."""
    command = SignTreaty(treaty_id=treaty_id, **dict(body))
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.post(ITEM + "/reject", responses=refusals(RejectTreaty))
async def reject_treaty(
    world_id: UUID, treaty_id: UUID, body: RejectBody, caller: Caller
) -> Committed[TreatyMade]:
    """Refuse to sign, or take back a draft."""
    command = RejectTreaty(treaty_id=treaty_id, **dict(body))
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.post(ITEM + "/withdraw", responses=refusals(WithdrawFromTreaty))
async def withdraw_from_treaty(
    world_id: UUID, treaty_id: UUID, body: PartyBody, caller: Caller
) -> Committed[TreatyMade]:
    """Leave a treaty, when its notice is over."""
    command = WithdrawFromTreaty(treaty_id=treaty_id, **dict(body))
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.post(ITEM + "/suspend", responses=refusals(SuspendTreaty))
async def suspend_treaty(
    world_id: UUID, treaty_id: UUID, body: SuspendBody, caller: Caller
) -> Committed[TreatyMade]:
    """Agree to let a treaty rest, or (`resume`) go on."""
    command = SuspendTreaty(treaty_id=treaty_id, **dict(body))
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.post(ITEM + "/terminate", responses=refusals(TerminateTreaty))
async def terminate_treaty(
    world_id: UUID, treaty_id: UUID, body: PartyBody, caller: Caller
) -> Committed[TreatyMade]:
    """Agree to end a treaty."""
    command = TerminateTreaty(treaty_id=treaty_id, **dict(body))
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.post(ITEM + "/renew", responses=refusals(RenewTreaty))
async def renew_treaty(
    world_id: UUID, treaty_id: UUID, body: PartyBody, caller: Caller
) -> Committed[TreatyMade]:
    """Agree to let a treaty run for its duration once more."""
    command = RenewTreaty(treaty_id=treaty_id, **dict(body))
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.post(ITEM + "/accuse", responses=refusals(AccuseOfBreach))
async def accuse_of_breach(
    world_id: UUID, treaty_id: UUID, body: AccuseBody, caller: Caller
) -> Committed[AccusationMade]:
    """Accuse another party of breaking a clause. The log says whether it is founded."""
    command = AccuseOfBreach(treaty_id=treaty_id, **dict(body))
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.post(ITEM + "/reveal", responses=refusals(RevealTreaty))
async def reveal_treaty(
    world_id: UUID, treaty_id: UUID, body: RevealBody, caller: Caller
) -> Committed[TreatyMade]:
    """Let all know of a secret treaty. For game masters."""
    command = RevealTreaty(treaty_id=treaty_id, **dict(body))
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.post("/worlds/{world_id}/factions/{faction_id}/spy", responses=refusals(SpyOnFaction))
async def spy_on_faction(
    world_id: UUID, faction_id: UUID, body: SpyBody, caller: Caller
) -> Committed[SpyMade]:
    """Look for what another faction has agreed on in secret."""
    command = SpyOnFaction(faction_id=faction_id, **dict(body))
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


ROUTER: Final = router
