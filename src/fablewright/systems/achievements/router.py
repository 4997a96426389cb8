"""HTTP routes for achievements, and for how far characters have come."""

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
    Committed,
    Page,
    Paging,
    page_of,
    position_of,
    refusals,
)  # fmt: skip
from fablewright.systems.achievements import views
from fablewright.systems.achievements.commands import (
    EXAMPLE,
    DefineAchievement,
    GrantAchievement,
    RemoveAchievement,
)
from fablewright.systems.achievements.rules import (
    ACHIEVEMENT_NOT_FOUND,
    ACHIEVER_NOT_FOUND,
    MOST_TIERS,
    AchievementDefinition,
    AchievementKey,
)
from fablewright.systems.achievements.views import AchievementView, BackfillView, StandingView

router = APIRouter(tags=["achievements"])


class DefinitionBody(AchievementDefinition):
    """An achievement, as data."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra={"examples": [EXAMPLE]})


class DefinedAnswer(BaseModel):
    """Where the definition is kept."""

    key: str
    id: UUID
    measure_id: UUID | None = Field(description="What is measured for it; null for what is granted.")


class GrantBody(BaseModel):
    """Up to which tier."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"tier": 1}]})

    tier: int | None = Field(None, ge=1, le=MOST_TIERS, description="Left out: the next one.")


class Step(BaseModel):
    """A step that was unlocked."""

    tier: int
    repetition: int


class GrantedAnswer(BaseModel):
    """What the character has since."""

    unlocked: list[Step]


@router.get("/worlds/{world_id}/achievements", responses=refusals(CURSOR_INVALID, PAGE_TOO_LARGE))
async def list_achievements(world_id: UUID, caller: Caller, paging: Paging) -> Page[AchievementView]:
    """The achievements of the world, by key. Players see hidden ones once one of their characters has them."""
    after = position_of(paging, _key)
    async with caller.reading(world_id) as connection:
        role = caller.require(
            await connection.fetchval(MEMBER_ROLE, world_id, caller.actor.user_id), world_id
        )
        rows = await views.page(
            connection, world_id, all_of_them=role >= Role.GAME_MASTER, user_id=caller.actor.user_id,
            after=after[0] if after else None, limit=paging.limit + 1,
        )  # fmt: skip
        secret = await _secret(connection, world_id, caller, role)
    return page_of([views.view_of(row, secret) for row in rows], paging, lambda a: [a.key])


@router.get("/worlds/{world_id}/achievements/{achievement_key}", responses=refusals(ACHIEVEMENT_NOT_FOUND))
async def get_achievement(world_id: UUID, achievement_key: AchievementKey, caller: Caller) -> AchievementView:
    """One achievement. Players find a hidden one once one of their characters has it."""
    async with caller.reading(world_id) as connection:
        role = caller.require(
            await connection.fetchval(MEMBER_ROLE, world_id, caller.actor.user_id), world_id
        )
        found = await views.one(
            connection, world_id, achievement_key, all_of_them=role >= Role.GAME_MASTER,
            user_id=caller.actor.user_id,
        )  # fmt: skip
        secret = await _secret(connection, world_id, caller, role)
    if found is None:
        raise ACHIEVEMENT_NOT_FOUND(key=achievement_key)
    return views.view_of(found, secret)


@router.put("/worlds/{world_id}/achievements/{achievement_key}", responses=refusals(DefineAchievement))
async def define_achievement(
    world_id: UUID, achievement_key: AchievementKey, body: DefinitionBody, caller: Caller, *,
    backfill: Annotated[bool, Query(description="Whether what has happened so far counts, too.")] = False,
) -> Committed[DefinedAnswer]:  # fmt: skip
    """Make an achievement or change it. What was unlocked stays unlocked. For game masters."""
    command = DefineAchievement(key=achievement_key, definition=body, backfill=backfill)
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.delete("/worlds/{world_id}/achievements/{achievement_key}", responses=refusals(RemoveAchievement))
async def remove_achievement(
    world_id: UUID, achievement_key: AchievementKey, caller: Caller
) -> Committed[None]:
    """Take an achievement away that no other needs, with who unlocked it. For game masters."""
    return await caller.execute(RemoveAchievement(key=achievement_key), world_id)  # type: ignore[no-any-return]


@router.get(
    "/worlds/{world_id}/achievements/{achievement_key}/backfill", responses=refusals(ACHIEVEMENT_NOT_FOUND)
)
async def get_backfill(world_id: UUID, achievement_key: AchievementKey, caller: Caller) -> BackfillView:
    """How far the log was counted for an achievement. For game masters."""
    async with caller.reading(world_id, Role.GAME_MASTER) as connection:
        found = await views.backfill(connection, world_id, achievement_key)
    if found is None:
        raise ACHIEVEMENT_NOT_FOUND(key=achievement_key)
    return found


@router.get(
    "/worlds/{world_id}/characters/{character_id}/achievements",
    responses=refusals(ACHIEVER_NOT_FOUND, CURSOR_INVALID, PAGE_TOO_LARGE),
)
async def list_standings(
    world_id: UUID, character_id: UUID, caller: Caller, paging: Paging
) -> Page[StandingView]:
    """How far a character has come in each achievement, by key.

    Hidden ones that it has not unlocked are shown to game masters only, those that it has also to who controls it.
    """
    after = position_of(paging, _key)
    caller.signed_in()
    async with caller.runtime.database.reading() as connection:
        row = await connection.fetchrow(views.ACCESS, world_id, caller.actor.user_id, character_id)
        role = caller.require(row and row["role"], world_id)
        if row["id"] is None:
            raise ACHIEVER_NOT_FOUND(character_id=str(character_id))
        own = row["user_id"] == caller.actor.user_id and role >= Role.PLAYER
        rows = await views.standings(
            connection, world_id, character_id, views.today(row), see=_sight(role, own=own),
            after=after[0] if after else None, limit=paging.limit + 1,
        )  # fmt: skip
    return page_of(rows, paging, lambda s: [s.key])


@router.post(
    "/worlds/{world_id}/characters/{character_id}/achievements/{achievement_key}/grant",
    responses=refusals(GrantAchievement),
)
async def grant_achievement(
    world_id: UUID, character_id: UUID, achievement_key: AchievementKey, body: GrantBody, caller: Caller
) -> Committed[GrantedAnswer]:
    """Let a character have an achievement of the kind `manual`. For game masters."""
    command = GrantAchievement(character_id=character_id, key=achievement_key, tier=body.tier)
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


async def _secret(connection: Any, world_id: UUID, caller: Any, role: Role) -> set[str]:
    """The achievements that the caller may not know of, though others name them."""
    if role >= Role.GAME_MASTER:
        return set()
    return await views.secret_keys(connection, world_id, caller.actor.user_id)


def _sight(role: Role, *, own: bool) -> views.Sight:
    """What of the hidden ones somebody may see."""
    if role >= Role.GAME_MASTER:
        return "all"
    return "unlocked" if own else "none"


def _key(value: Any) -> str:
    if not isinstance(value, str) or "\x00" in value:
        raise TypeError("not a key")
    return value
