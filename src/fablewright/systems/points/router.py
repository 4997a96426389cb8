"""HTTP routes for points, award rules, bonus events and verdicts."""

from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fablewright.core.actors import Role
from fablewright.core.permissions import WORLD_NOT_FOUND
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
    runtime_of,
)  # fmt: skip
from fablewright.gateway.commands import MALFORMED, path_uuid, validation_refused
from fablewright.systems.points import verdicts, views
from fablewright.systems.points.commands import (
    MOST_AT_ONCE,
    ORLA,
    Adjust,
    AdjustFields,
    Award,
    AwardFields,
    AwardItem,
    AwardMany,
    AwardRuleSpec,
    ConfigurePoints,
    Decision,
    DefineAwardRule,
    EndBonus,
    Give,
    GiveFields,
    GrantTitle,
    Key,
    Reason,
    RemoveAwardRule,
    ReverseAward,
    ReviewVerdict,
    RevokeTitle,
    Spend,
    SpendFields,
    StartBonus,
    Title,
)
from fablewright.systems.points.rules import CHARACTER_NOT_FOUND, RULE_NOT_FOUND, VERDICT_NOT_FOUND
from fablewright.systems.points.verdicts import VerdictView
from fablewright.systems.points.views import (
    AwardsView,
    AwardView,
    BonusView,
    PaymentView,
    PointsSettings,
    PointsView,
    ReversedView,
    ReviewedView,
    RuleView,
    TitleAnswer,
)

router = APIRouter(tags=["points"])
T = TypeVar("T")

CHARACTER = "/worlds/{world_id}/characters/{character_id}"
RuleKey = Annotated[Key, Path(description="The key of an award rule.")]


# -- awards, past FastAPI's machinery ------------------------------------------------------------------------

AWARD_BODY: TypeAdapter[AwardFields] = TypeAdapter(AwardFields)
AWARD_LIST: TypeAdapter[list[AwardItem]] = TypeAdapter(list[AwardItem])


def _read(adapter: TypeAdapter[T], body: bytes) -> T:
    """A body as a value. Refuses `malformed_json`, `validation_failed`."""
    try:
        return adapter.validate_json(body)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False, include_input=False)
        if errors[0]["type"] == "json_invalid":
            raise MALFORMED("The body is not JSON.") from error
        raise validation_refused(errors) from error


async def award(request: Request) -> Response:
    """Award to one character."""
    caller = CallerInfo(request, runtime_of(request), request.scope["state"]["actor"])
    caller.signed_in()
    world_id = path_uuid(request.path_params["world_id"], WORLD_NOT_FOUND)
    character_id = path_uuid(request.path_params["character_id"], CHARACTER_NOT_FOUND)
    body = _read(AWARD_BODY, await request.body())
    command = Award.model_construct(None, character_id=character_id, **body.__dict__)
    response: Response = await caller.execute(command, world_id)
    return response


async def award_many(request: Request) -> Response:
    """Award a list, as a whole."""
    caller = CallerInfo(request, runtime_of(request), request.scope["state"]["actor"])
    caller.signed_in()
    world_id = path_uuid(request.path_params["world_id"], WORLD_NOT_FOUND)
    awards = _read(AWARD_LIST, await request.body())
    if not 1 <= len(awards) <= MOST_AT_ONCE:
        raise validation_refused([
            {"loc": (), "msg": f"a list holds 1 to {MOST_AT_ONCE} awards", "type": "list_length"}
        ])  # fmt: skip
    response: Response = await caller.execute(AwardMany.model_construct(None, awards=awards), world_id)
    return response


award_route = Route(CHARACTER + "/points/award", award, methods=["POST"])
award_many_route = Route("/worlds/{world_id}/points/awards", award_many, methods=["POST"])


# -- one character -------------------------------------------------------------------------------------------


@router.get(CHARACTER + "/points", responses=refusals(CHARACTER_NOT_FOUND))
async def get_points(world_id: UUID, character_id: UUID, caller: Caller) -> PointsView:
    """What a character has earned, its level, titles and streak; its balances for who controls it."""
    user_id = caller.signed_in()
    async with caller.runtime.database.reading() as connection:
        role = caller.require(await connection.fetchval(MEMBER_ROLE, world_id, user_id), world_id)
        sees = None if role >= Role.GAME_MASTER else user_id
        found = await views.points(connection, world_id, character_id, sees)
    if found is None:
        raise CHARACTER_NOT_FOUND(character_id=str(character_id))
    return found


@router.post(CHARACTER + "/points/spend", responses=refusals(Spend))
async def spend(
    world_id: UUID, character_id: UUID, body: SpendFields, caller: Caller
) -> Committed[PaymentView]:
    """Let a character spend what it has."""
    command = Spend(character_id=character_id, **dict(body))
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.post(CHARACTER + "/points/give", responses=refusals(Give))
async def give(
    world_id: UUID, character_id: UUID, body: GiveFields, caller: Caller
) -> Committed[PaymentView]:
    """Let a character give another one of what it has."""
    command = Give(from_id=character_id, **dict(body))
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.post(CHARACTER + "/points/adjust", responses=refusals(Adjust))
async def adjust(
    world_id: UUID, character_id: UUID, body: AdjustFields, caller: Caller
) -> Committed[PaymentView]:
    """Put a character's balance right, with a reason. For game masters."""
    command = Adjust(character_id=character_id, **dict(body))
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.post("/worlds/{world_id}/points/reverse", responses=refusals(ReverseAward))
async def reverse_award(world_id: UUID, body: ReverseAward, caller: Caller) -> Committed[ReversedView]:
    """Take an award or a gift back, with a reason. For game masters."""
    return await caller.execute(body, world_id)  # type: ignore[no-any-return]


class TitleBody(BaseModel):
    """Which title."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"title": "Keeper of the Ferry"}]}
    )

    title: Title


@router.post(CHARACTER + "/titles", responses=refusals(GrantTitle))
async def grant_title(
    world_id: UUID, character_id: UUID, body: TitleBody, caller: Caller
) -> Committed[TitleAnswer]:
    """Grant a character a title. For game masters."""
    command = GrantTitle(character_id=character_id, title=body.title)
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.post(CHARACTER + "/titles/revoke", responses=refusals(RevokeTitle))
async def revoke_title(
    world_id: UUID, character_id: UUID, body: TitleBody, caller: Caller
) -> Committed[None]:
    """Take a granted title from a character. For game masters."""
    command = RevokeTitle(character_id=character_id, title=body.title)
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


# -- what a world defines ------------------------------------------------------------------------------------


@router.get("/worlds/{world_id}/award-rules", responses=refusals(CURSOR_INVALID, PAGE_TOO_LARGE))
async def list_award_rules(world_id: UUID, caller: Caller, paging: Paging) -> Page[RuleView]:
    """What actions and events are worth, by key."""
    after = position_of(paging, _text)
    async with caller.reading(world_id) as connection:
        rows = await views.list_rules(
            connection, world_id, after=after[0] if after else None, limit=paging.limit + 1
        )
    return page_of(rows, paging, lambda rule: [rule.key])


@router.get("/worlds/{world_id}/award-rules/{rule_key}", responses=refusals(RULE_NOT_FOUND))
async def get_award_rule(world_id: UUID, rule_key: RuleKey, caller: Caller) -> RuleView:
    """One award rule."""
    async with caller.reading(world_id) as connection:
        found = await views.rule(connection, world_id, rule_key)
    if found is None:
        raise RULE_NOT_FOUND(f"There is no award rule {rule_key!r}.", key=rule_key)
    return found


@router.put("/worlds/{world_id}/award-rules/{rule_key}", responses=refusals(DefineAwardRule))
async def define_award_rule(
    world_id: UUID, rule_key: RuleKey, body: AwardRuleSpec, caller: Caller
) -> Committed[RuleView]:
    """Make an award rule, or change it. For game masters."""
    command = DefineAwardRule(key=rule_key, rule=body)
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.delete("/worlds/{world_id}/award-rules/{rule_key}", responses=refusals(RemoveAwardRule))
async def remove_award_rule(world_id: UUID, rule_key: RuleKey, caller: Caller) -> Committed[None]:
    """Remove an award rule. For game masters."""
    return await caller.execute(RemoveAwardRule(key=rule_key), world_id)  # type: ignore[no-any-return]


class BonusesView(BaseModel):
    """The bonus events of a world, by their beginning."""

    items: list[BonusView]


@router.get("/worlds/{world_id}/points/bonuses", responses=refusals())
async def list_bonuses(world_id: UUID, caller: Caller) -> BonusesView:
    """The bonus events, those that are over too."""
    async with caller.reading(world_id) as connection:
        return BonusesView(items=await views.bonuses(connection, world_id))


@router.post("/worlds/{world_id}/points/bonuses", status_code=201, responses=refusals(StartBonus))
async def start_bonus(world_id: UUID, body: StartBonus, caller: Caller) -> Committed[BonusView]:
    """Multiply awards for a time. For game masters."""
    return await caller.execute(body, world_id, status=201)  # type: ignore[no-any-return]


@router.delete("/worlds/{world_id}/points/bonuses/{bonus_id}", responses=refusals(EndBonus))
async def end_bonus(world_id: UUID, bonus_id: UUID, caller: Caller) -> Committed[None]:
    """End a bonus event now. For game masters."""
    return await caller.execute(EndBonus(bonus_id=bonus_id), world_id)  # type: ignore[no-any-return]


@router.get("/worlds/{world_id}/points/settings", responses=refusals())
async def get_settings(world_id: UUID, caller: Caller) -> PointsSettings:
    """How levels rise, and their titles; for game masters the checks across actions, too."""
    user_id = caller.signed_in()
    async with caller.runtime.database.reading() as connection:
        role = caller.require(await connection.fetchval(MEMBER_ROLE, world_id, user_id), world_id)
        found = await views.settings(connection, world_id)
    return found if role >= Role.GAME_MASTER else found.model_copy(update={"guards": None})


@router.put("/worlds/{world_id}/points/settings", responses=refusals(ConfigurePoints))
async def configure_points(
    world_id: UUID, body: ConfigurePoints, caller: Caller
) -> Committed[PointsSettings]:
    """Choose levels, titles and checks across actions; what is left out stays. For game masters."""
    return await caller.execute(body, world_id)  # type: ignore[no-any-return]


# -- verdicts ------------------------------------------------------------------------------------------------


class ReviewBody(BaseModel):
    """What is decided."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"decision": "forgive", "note": "It was a feast."}]}
    )

    decision: Decision
    note: Reason | None = None
    reverse: bool = False


@router.get("/worlds/{world_id}/points/verdicts", responses=refusals(CURSOR_INVALID, PAGE_TOO_LARGE))
async def list_verdicts(
    world_id: UUID,
    caller: Caller,
    paging: Paging,
    *,
    state: Annotated[verdicts.State | None, Query(description="`open` ones wait for a game master.")] = None,
    character_id: Annotated[UUID | None, Query(description="Only this character's.")] = None,
) -> Page[VerdictView]:
    """What the checks against abuse found, the newest first. For game masters."""
    after = position_of(paging, _whole, UUID)
    async with caller.reading(world_id, Role.GAME_MASTER) as connection:
        rows = await verdicts.list_page(
            connection, world_id, state=state, character_id=character_id, after=after, limit=paging.limit + 1
        )
    return page_of(rows, paging, lambda verdict: [verdict.at, str(verdict.id)])


@router.get("/worlds/{world_id}/points/verdicts/{verdict_id}", responses=refusals(VERDICT_NOT_FOUND))
async def get_verdict(world_id: UUID, verdict_id: UUID, caller: Caller) -> VerdictView:
    """One verdict with its evidence. For game masters."""
    async with caller.reading(world_id, Role.GAME_MASTER) as connection:
        found = await verdicts.find(connection, world_id, verdict_id)
    if found is None:
        raise VERDICT_NOT_FOUND(verdict_id=str(verdict_id))
    return found


@router.post("/worlds/{world_id}/points/verdicts/{verdict_id}/review", responses=refusals(ReviewVerdict))
async def review_verdict(
    world_id: UUID, verdict_id: UUID, body: ReviewBody, caller: Caller
) -> Committed[ReviewedView]:
    """Release, confirm or forgive what a check found. For game masters."""
    command = ReviewVerdict(verdict_id=verdict_id, **dict(body))
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


# -- how the plain routes are documented ---------------------------------------------------------------------


def _text(value: Any) -> str:
    if not isinstance(value, str) or "\x00" in value:
        raise TypeError("not a key")
    return value


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not -(2**63) <= value < 2**63:
        raise TypeError("not a time")
    return value


def _inlined(schema: Any, defs: dict[str, Any] | None = None) -> Any:
    """A schema with its definitions in their places."""
    if isinstance(schema, list):
        return [_inlined(item, defs) for item in schema]
    if not isinstance(schema, dict):
        return schema
    defs = schema.get("$defs", {}) if defs is None else defs
    if "$ref" in schema:
        return _inlined(defs[schema["$ref"].rpartition("/")[2]], defs)
    return {name: _inlined(value, defs) for name, value in schema.items() if name != "$defs"}


def _documented(
    name: str, summary: str, description: str, body: dict[str, Any], answer: Any, *parameters: str
) -> dict[str, Any]:
    """An operation of the OpenAPI document that takes and gives JSON."""
    return {
        "post": {
            "tags": ["points"], "operationId": name, "summary": summary, "description": description,
            "parameters": [
                {"name": p, "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}
                for p in parameters
            ],
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": body, "examples": {"example": {"value": body["examples"][0]}},
                    }
                },
            },
            "responses": {
                "200": {
                    "description": "Successful Response",
                    "content": {"application/json": {"schema": _inlined(answer.model_json_schema())}},
                },
                **{str(status): response for status, response in refusals(Award).items()},
            },
        }
    }  # fmt: skip


_AWARDS: dict[str, Any] = {
    "type": "array", "minItems": 1, "maxItems": MOST_AT_ONCE, "items": _inlined(AwardItem.model_json_schema()),
    "examples": [[{"character_id": ORLA, "amount": 25, "reason": "Won the race"}]],
}  # fmt: skip
OPENAPI = {
    CHARACTER + "/points/award": _documented(
        "award", "Award", "Award points or another currency: by a rule, or an amount with a reason. For game masters.",
        _inlined(AwardFields.model_json_schema()), Committed[AwardView], "world_id", "character_id",
    ),
    "/worlds/{world_id}/points/awards": _documented(
        "award_many", "Award Many", f"Award up to {MOST_AT_ONCE} times, all of it or nothing. For game masters.",
        _AWARDS, Committed[AwardsView], "world_id",
    ),
}  # fmt: skip
"""What the plain routes look like in the OpenAPI document; `app` merges it."""
