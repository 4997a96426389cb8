"""HTTP routes for negotiations."""

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
)  # fmt: skip
from fablewright.systems.diplomacy import evaluator, nego_views, perspectives
from fablewright.systems.diplomacy.clauses import CLAUSES, MOST_CLAUSES, MOST_DAYS, Clause
from fablewright.systems.diplomacy.nego_commands import (
    CLAUSES_EXAMPLE,
    NEGOTIATION_NOT_FOUND,
    NO_OFFER_STANDS,
    NOT_AT_THE_TABLE,
    OFFERS_ARE_PRIVATE,
    ONE,
    TWO,
    AnswerOffer,
    Approach,
    Deliberate,
    MakeOffer,
    OpenNegotiation,
    Persuade,
    Text,
    WalkOut,
)
from fablewright.systems.diplomacy.nego_views import EvaluationView, Made, NegotiationView
from fablewright.systems.diplomacy.views import now_of
from fablewright.systems.factions import service as factions

router = APIRouter(tags=["diplomacy"])

ALL: Final = "/worlds/{world_id}/negotiations"
ITEM: Final = ALL + "/{negotiation_id}"


def _example(**values: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [values]})


class _Body(BaseModel):
    character_id: UUID | None = Field(
        None, description="Which member acts; only game masters may leave it out."
    )
    faction_id: UUID = Field(description="In whose name.")


class OfferBody(_Body):
    """An offer: clauses, and for how many world days they shall hold (null: without an end)."""

    model_config = _example(faction_id=ONE, clauses=CLAUSES_EXAMPLE, days=360)

    clauses: list[Clause] = Field(min_length=1, max_length=MOST_CLAUSES)
    days: int | None = Field(None, ge=1, le=MOST_DAYS)


class AnswerBody(_Body):
    """Whether a faction accepts the offer of this number."""

    model_config = _example(faction_id=TWO, number=1, accept=True)

    number: int = Field(ge=1)
    accept: bool


class DeliberateBody(_Body):
    """Which faction shall decide."""

    model_config = _example(faction_id=TWO)


class PersuadeBody(_Body):
    """Whom to move, and how."""

    model_config = _example(faction_id=ONE, other_faction_id=TWO, approach="reason")

    other_faction_id: UUID = Field(description="Which party shall be moved.")
    approach: Approach


class WalkOutBody(_Body):
    """Why a faction leaves."""

    model_config = _example(faction_id=ONE, reason="They mock us.")

    reason: Annotated[Text, Field(max_length=500)] = ""


async def _stands_for(caller: CallerInfo, connection: Any, world_id: UUID) -> set[UUID] | None:
    """The factions the caller may read for; None for game masters, who read all. Refuses as `reading` does."""
    role = caller.require(await connection.fetchval(MEMBER_ROLE, world_id, caller.actor.user_id), world_id)
    if role >= Role.GAME_MASTER:
        return None
    return await factions.principals(connection.fetch, world_id, caller.signed_in())


@router.post(ALL, status_code=201, responses=refusals(OpenNegotiation))
async def open_negotiation(world_id: UUID, body: OpenNegotiation, caller: Caller) -> Committed[Made]:
    """Invite other factions to talks about a treaty."""
    return await caller.execute(body, world_id, status=201)  # type: ignore[no-any-return]


@router.get(ALL, responses=refusals(CURSOR_INVALID, PAGE_TOO_LARGE))
async def list_negotiations(
    world_id: UUID,
    caller: Caller,
    paging: Paging,
    state: Annotated[
        Literal["open", "agreed", "walked_out", "expired"] | None, Query(description="Only these.")
    ] = None,
    faction: Annotated[UUID | None, Query(description="Only those in which this faction takes part.")] = None,
) -> Page[NegotiationView]:
    """Negotiations, the newest first, without their offers."""
    after = position_of(paging, UUID)
    async with caller.runtime.database.reading() as connection:
        own = await _stands_for(caller, connection, world_id)
        rows = await nego_views.listed(
            connection, world_id, own, state=state, faction_id=faction, before=after[0] if after else None,
            limit=paging.limit + 1,
        )  # fmt: skip
    return page_of(rows, paging, lambda n: [str(n.id)])


@router.get(ITEM, responses=refusals(NEGOTIATION_NOT_FOUND))
async def get_negotiation(world_id: UUID, negotiation_id: UUID, caller: Caller) -> NegotiationView:
    """One negotiation; those at the table and game masters see its offers."""
    async with caller.runtime.database.reading() as connection:
        own = await _stands_for(caller, connection, world_id)
        found = await nego_views.negotiation(connection, world_id, negotiation_id, own)
    if found is None:
        raise NEGOTIATION_NOT_FOUND(negotiation_id=str(negotiation_id))
    return found


@router.get(
    ITEM + "/evaluation/{faction_id}",
    responses=refusals(NEGOTIATION_NOT_FOUND, OFFERS_ARE_PRIVATE, NOT_AT_THE_TABLE, NO_OFFER_STANDS),
)
async def evaluate_offer(
    world_id: UUID, negotiation_id: UUID, faction_id: UUID, caller: Caller
) -> EvaluationView:
    """What a faction makes of the offer that stands, and why. For its members and game masters."""
    async with caller.runtime.database.reading() as connection:
        own = await _stands_for(caller, connection, world_id)
        found = await nego_views.negotiation(connection, world_id, negotiation_id, own)
        if found is None:
            raise NEGOTIATION_NOT_FOUND(negotiation_id=str(negotiation_id))
        if own is not None and faction_id not in own:
            raise OFFERS_ARE_PRIVATE(faction_id=str(faction_id))
        if faction_id not in {p.faction_id for p in found.parties}:
            raise NOT_AT_THE_TABLE(faction_id=str(faction_id))
        offer = next((o for o in found.offers if o.state == "standing"), None)
        if offer is None:
            raise NO_OFFER_STANDS()
        reader = perspectives.Reader(world_id, await now_of(connection, world_id), connection)
        clauses = CLAUSES.validate_python(offer.clauses)
        leans = await nego_views.leans(connection, world_id, negotiation_id)
        views = await perspectives.perspectives(reader.as_tx, list(leans), leans, clauses)
    answer = evaluator.evaluate(views[faction_id], clauses, offer.days)
    return nego_views.evaluation_view(faction_id, offer.number, answer)


@router.post(ITEM + "/offers", responses=refusals(MakeOffer))
async def make_offer(
    world_id: UUID, negotiation_id: UUID, body: OfferBody, caller: Caller
) -> Committed[Made]:
    """Put an offer on the table, in the place of the one that stands."""
    command = MakeOffer(negotiation_id=negotiation_id, **dict(body))
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.post(ITEM + "/answer", responses=refusals(AnswerOffer))
async def answer_offer(
    world_id: UUID, negotiation_id: UUID, body: AnswerBody, caller: Caller
) -> Committed[Made]:
    """Accept or refuse the offer that stands. When all have accepted it, it becomes a treaty."""
    command = AnswerOffer(negotiation_id=negotiation_id, **dict(body))
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.post(ITEM + "/deliberate", responses=refusals(Deliberate))
async def deliberate(
    world_id: UUID, negotiation_id: UUID, body: DeliberateBody, caller: Caller
) -> Committed[Made]:
    """Let a faction decide by itself about the offer that stands. For game masters."""
    command = Deliberate(negotiation_id=negotiation_id, **dict(body))
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.post(ITEM + "/persuade", responses=refusals(Persuade))
async def persuade(
    world_id: UUID, negotiation_id: UUID, body: PersuadeBody, caller: Caller
) -> Committed[Made]:
    """Try to move another party by skill, dice and ties."""
    command = Persuade(negotiation_id=negotiation_id, **dict(body))
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.post(ITEM + "/walk-out", responses=refusals(WalkOut))
async def walk_out(
    world_id: UUID, negotiation_id: UUID, body: WalkOutBody, caller: Caller
) -> Committed[Made]:
    """Leave the table: the negotiation ends for all."""
    command = WalkOut(negotiation_id=negotiation_id, **dict(body))
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


ROUTER: Final = router
