"""HTTP routes for quests, and for who is on them."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter
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
from fablewright.systems.quests import views
from fablewright.systems.quests.commands import (
    EXAMPLE,
    MOST_OFFERED,
    SOMEBODY,
    AbandonQuest,
    AcceptQuest,
    ChooseObjective,
    DeclineQuest,
    DefineQuest,
    EndQuest,
    GenerateQuest,
    OfferQuest,
    ReachObjective,
    RemoveQuest,
)
from fablewright.systems.quests.rules import (
    DONE,
    QUEST_NOT_FOUND,
    TAKER_NOT_FOUND,
    QuestDefinition,
    QuestKey,
    State,
)
from fablewright.systems.quests.views import QuestView, TakingView, TemplateView

router = APIRouter(tags=["quests"])

OWN = """
SELECT c.id AS own, m.faction_id FROM characters c
LEFT JOIN faction_members m ON m.world_id = c.world_id AND m.character_id = c.id AND m.left_at IS NULL
WHERE c.world_id = $1 AND c.user_id = $2 AND c.deleted_at IS NULL
"""
"""What a user stands for: the characters it controls, and the factions they belong to."""
GROUPS = """
SELECT m.faction_id FROM faction_members m WHERE m.world_id = $1 AND m.character_id = $2 AND m.left_at IS NULL
"""
CHARACTER = "SELECT 1 FROM characters WHERE world_id = $1 AND id = $2 AND deleted_at IS NULL"


class DefinitionBody(QuestDefinition):
    """A quest, as data."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra={"examples": [EXAMPLE]})


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class OfferBody(_Body):
    """To whom it is offered."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"taker_ids": [SOMEBODY]}]})

    taker_ids: list[UUID] = Field(min_length=1, max_length=MOST_OFFERED)


class ActBody(_Body):
    """Who acts, and for which faction, if the quest is for factions."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"character_id": SOMEBODY}]})

    character_id: UUID
    faction_id: UUID | None = None


class ChoiceBody(ActBody):
    """Who decides, and for what."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"character_id": SOMEBODY, "objective": "tell"}]}
    )

    objective: QuestKey


class ReachBody(_Body):
    """Who has reached what."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"taker_id": SOMEBODY, "objective": "ask"}]}
    )

    taker_id: UUID
    objective: QuestKey


class EndBody(_Body):
    """For whom it ends, and how."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"taker_id": SOMEBODY, "outcome": "done"}]}
    )

    taker_id: UUID
    outcome: QuestKey = DONE


class DefinedAnswer(BaseModel):
    """Where the definition is kept."""

    key: str
    id: UUID


class OfferedAnswer(BaseModel):
    """To how many it was offered."""

    offered: int


class AcceptedAnswer(BaseModel):
    """What is to be done first, and by when (world ms)."""

    taking_id: UUID
    due_at: int | None
    open: list[str]


class StepAnswer(BaseModel):
    """What is open now, or how the quest ended."""

    open: list[str]
    outcome: str | None


@router.get("/worlds/{world_id}/quests", responses=refusals(CURSOR_INVALID, PAGE_TOO_LARGE))
async def list_quests(world_id: UUID, caller: Caller, paging: Paging) -> Page[QuestView]:
    """The quests of the world, by key. Of secret ones, players see those that their characters have to do with."""
    after = position_of(paging, _key)
    async with caller.reading(world_id) as connection:
        role, own = await _sight(connection, world_id, caller)
        rows = await views.page(
            connection, world_id, all_of_them=role >= Role.GAME_MASTER, own=own, after=after[0] if after else None,
            limit=paging.limit + 1,
        )  # fmt: skip
    return page_of(rows, paging, lambda quest: [quest.key])


@router.get("/worlds/{world_id}/quest-templates", responses=refusals())
async def list_quest_templates(world_id: UUID, caller: Caller) -> list[TemplateView]:
    """What quests are generated from, when something happens or by hand. For game masters."""
    async with caller.reading(world_id, Role.GAME_MASTER):
        return [
            TemplateView(key=t.key, about=t.about, on=t.on, needs=sorted(t.needs() - {"until"}))
            for _, t in sorted(views.templates().items())
        ]


@router.post("/worlds/{world_id}/quests", status_code=201, responses=refusals(GenerateQuest))
async def generate_quest(world_id: UUID, body: GenerateQuest, caller: Caller) -> Committed[DefinedAnswer]:
    """Make a quest from a template and facts. For game masters."""
    return await caller.execute(body, world_id, status=201)  # type: ignore[no-any-return]


@router.get("/worlds/{world_id}/quests/{quest_key}", responses=refusals(QUEST_NOT_FOUND))
async def get_quest(world_id: UUID, quest_key: QuestKey, caller: Caller) -> QuestView:
    """One quest."""
    async with caller.reading(world_id) as connection:
        return (await _seen(connection, world_id, quest_key, caller))[1]


@router.put("/worlds/{world_id}/quests/{quest_key}", responses=refusals(DefineQuest))
async def define_quest(
    world_id: UUID, quest_key: QuestKey, body: DefinitionBody, caller: Caller
) -> Committed[DefinedAnswer]:
    """Make a quest or change it. For game masters."""
    command = DefineQuest(key=quest_key, definition=body)
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.delete("/worlds/{world_id}/quests/{quest_key}", responses=refusals(RemoveQuest))
async def remove_quest(world_id: UUID, quest_key: QuestKey, caller: Caller) -> Committed[None]:
    """Take a quest away; who is on it fails, without consequences. For game masters."""
    return await caller.execute(RemoveQuest(key=quest_key), world_id)  # type: ignore[no-any-return]


@router.get(
    "/worlds/{world_id}/quests/{quest_key}/takers",
    responses=refusals(QUEST_NOT_FOUND, CURSOR_INVALID, PAGE_TOO_LARGE),
)
async def list_quest_takers(
    world_id: UUID, quest_key: QuestKey, caller: Caller, paging: Paging
) -> Page[TakingView]:
    """Who was offered a quest or took it on, how far they are, and how it ended; oldest first."""
    after = position_of(paging, UUID)
    async with caller.reading(world_id) as connection:
        quest_id, quest = await _seen(connection, world_id, quest_key, caller)
        rows = await views.takers(
            connection, world_id, quest_id, quest, after=after[0] if after else None, limit=paging.limit + 1
        )
    return page_of(rows, paging, lambda taking: [str(taking.id)])


@router.post("/worlds/{world_id}/quests/{quest_key}/offer", responses=refusals(OfferQuest))
async def offer_quest(
    world_id: UUID, quest_key: QuestKey, body: OfferBody, caller: Caller
) -> Committed[OfferedAnswer]:
    """Offer a quest to characters or factions. For game masters."""
    command = OfferQuest(key=quest_key, taker_ids=body.taker_ids)
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.post("/worlds/{world_id}/quests/{quest_key}/accept", responses=refusals(AcceptQuest))
async def accept_quest(
    world_id: UUID, quest_key: QuestKey, body: ActBody, caller: Caller
) -> Committed[AcceptedAnswer]:
    """Take a quest on, as a character or for its faction."""
    command = AcceptQuest(key=quest_key, **body.model_dump())
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.post("/worlds/{world_id}/quests/{quest_key}/decline", responses=refusals(DeclineQuest))
async def decline_quest(
    world_id: UUID, quest_key: QuestKey, body: ActBody, caller: Caller
) -> Committed[None]:
    """Say no to a quest that was offered."""
    command = DeclineQuest(key=quest_key, **body.model_dump())
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.post("/worlds/{world_id}/quests/{quest_key}/abandon", responses=refusals(AbandonQuest))
async def abandon_quest(
    world_id: UUID, quest_key: QuestKey, body: ActBody, caller: Caller
) -> Committed[None]:
    """Give a quest up."""
    command = AbandonQuest(key=quest_key, **body.model_dump())
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.post("/worlds/{world_id}/quests/{quest_key}/choose", responses=refusals(ChooseObjective))
async def choose_objective(
    world_id: UUID, quest_key: QuestKey, body: ChoiceBody, caller: Caller
) -> Committed[StepAnswer]:
    """Make a choice of a quest."""
    command = ChooseObjective(key=quest_key, **body.model_dump())
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.post("/worlds/{world_id}/quests/{quest_key}/reach", responses=refusals(ReachObjective))
async def reach_objective(
    world_id: UUID, quest_key: QuestKey, body: ReachBody, caller: Caller
) -> Committed[StepAnswer]:
    """Say that somebody has reached an objective. For game masters."""
    command = ReachObjective(key=quest_key, **body.model_dump())
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.post("/worlds/{world_id}/quests/{quest_key}/end", responses=refusals(EndQuest))
async def end_quest(world_id: UUID, quest_key: QuestKey, body: EndBody, caller: Caller) -> Committed[None]:
    """Let a quest end for somebody. For game masters."""
    command = EndQuest(key=quest_key, **body.model_dump())
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.get(
    "/worlds/{world_id}/characters/{character_id}/quests",
    responses=refusals(TAKER_NOT_FOUND, CURSOR_INVALID, PAGE_TOO_LARGE),
)
async def list_character_quests(
    world_id: UUID, character_id: UUID, caller: Caller, paging: Paging, state: State | None = None
) -> Page[TakingView]:
    """What a character and its faction were offered and took on: `current` of `goal` for each objective."""
    after = position_of(paging, UUID)
    async with caller.reading(world_id) as connection:
        role, own = await _sight(connection, world_id, caller)
        if await connection.fetchval(CHARACTER, world_id, character_id) is None:
            raise TAKER_NOT_FOUND(taker_id=str(character_id))
        groups = [row["faction_id"] for row in await connection.fetch(GROUPS, world_id, character_id)]
        rows = await views.takings(
            connection, world_id, [character_id, *groups], state=state,
            secret=role >= Role.GAME_MASTER or character_id in own, after=after[0] if after else None,
            limit=paging.limit + 1,
        )  # fmt: skip
    return page_of(rows, paging, lambda taking: [str(taking.id)])


async def _sight(connection: Any, world_id: UUID, caller: CallerInfo) -> tuple[Role, set[UUID]]:
    """The caller's role, and what the caller stands for."""
    user_id = caller.actor.user_id
    role = caller.require(await connection.fetchval(MEMBER_ROLE, world_id, user_id), world_id)
    if role >= Role.GAME_MASTER or role < Role.PLAYER:
        return role, set()
    rows = await connection.fetch(OWN, world_id, user_id)
    return role, {id_ for row in rows for id_ in (row["own"], row["faction_id"]) if id_ is not None}


async def _seen(connection: Any, world_id: UUID, key: str, caller: CallerInfo) -> tuple[UUID, QuestView]:
    """A quest that the caller may see, with its id. Refuses `quest_not_found`."""
    role, own = await _sight(connection, world_id, caller)
    found = await views.one(connection, world_id, key, all_of_them=role >= Role.GAME_MASTER, own=own)
    if found is None:
        raise QUEST_NOT_FOUND(key=key)
    return found


def _key(value: Any) -> str:
    if not isinstance(value, str) or "\x00" in value:
        raise TypeError("not a key")
    return value
