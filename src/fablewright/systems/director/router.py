"""HTTP routes for the director: its configuration, the story of a world, why something happened, arcs."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query

from fablewright.core.clock import DAY, Calendar
from fablewright.core.permissions import WORLD_NOT_FOUND
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
)
from fablewright.gateway.events import reader_filter
from fablewright.systems.director import councils, court, views
from fablewright.systems.director import story as stories
from fablewright.systems.director import why as reasons
from fablewright.systems.director.commands import ConfigureDirector
from fablewright.systems.director.events import FactionDecided
from fablewright.systems.director.views import ArcView, DirectorView, ReasoningView
from fablewright.systems.factions import views as factions
from fablewright.systems.factions.rules import FACTION_NOT_FOUND
from fablewright.systems.worlds import views as worlds

router = APIRouter(tags=["director"])
WORLD_MS = "World time in ms from the world's epoch."


@router.get("/worlds/{world_id}/director", responses=refusals())
async def get_director(world_id: UUID, caller: Caller) -> DirectorView:
    """How the npc characters of the world act by themselves."""
    async with caller.reading(world_id) as connection:
        return await views.of_world(connection, world_id)


@router.put("/worlds/{world_id}/director", responses=refusals(ConfigureDirector))
async def configure_director(
    world_id: UUID, body: ConfigureDirector, caller: Caller
) -> Committed[DirectorView]:
    """Let the npc characters act by themselves, at this pace, or stop them. For game masters."""
    return await caller.execute(body, world_id)  # type: ignore[no-any-return]


@router.get("/worlds/{world_id}/why/{seq}", responses=refusals(reasons.EVENT_NOT_FOUND))
async def get_why(
    world_id: UUID, seq: Annotated[int, Path(ge=1, lt=2**62)], caller: Caller
) -> reasons.WhyView:
    """Why something happened: its chain of causes, and the options that were weighed if it was a choice."""
    user_id = caller.signed_in()
    async with caller.runtime.database.reading() as connection:
        role = caller.require(await connection.fetchval(MEMBER_ROLE, world_id, user_id), world_id)
        reader = await reader_filter(connection, caller.runtime, world_id, user_id, role)
        return await reasons.why(connection, world_id, seq, reader)


@router.get("/worlds/{world_id}/factions/{faction_id}/reasoning", responses=refusals(FACTION_NOT_FOUND))
async def get_reasoning(
    world_id: UUID, faction_id: UUID, caller: Caller,
    before: Annotated[int | None, Query(ge=1, lt=2**62, description="Only decisions with a smaller `seq`.")] = None,
    limit: Annotated[int, Query(ge=1, le=100, description="Most decisions to return.")] = 20,
) -> ReasoningView:  # fmt: skip
    """Why a faction that runs itself did what it did: the options it weighed, with the parts of their weights.

    Game masters and those who stand for the faction also see what it would weigh now, its secret decisions, and what
    treasury and secrets weighed; all others see what the options weigh by what all can know.
    """
    user_id = caller.signed_in()
    async with caller.runtime.database.reading() as connection:
        role = caller.require(await connection.fetchval(MEMBER_ROLE, world_id, user_id), world_id)
        faction = await factions.faction(connection, world_id, faction_id)
        if faction is None:
            raise FACTION_NOT_FOUND(faction_id=str(faction_id))
        reader = await reader_filter(
            connection, caller.runtime, world_id, user_id, role, (FactionDecided.message_type,), (faction_id,)
        )
        stands = reader.principals is None or faction_id in reader.principals
        found, up_to = await views.decisions(
            connection, world_id, faction_id, reader, before, limit, real=stands
        )
        now = None
        if stands:
            at = await factions.now_of(connection, world_id)
            now = await councils.weighs(court.Connected(world_id, at, connection), faction_id)
    return ReasoningView(
        faction_id=faction_id, self_run=faction.self_run, decisions=found, up_to=up_to, now=now
    )


@router.get("/worlds/{world_id}/story", responses=refusals(stories.STORY_SPAN_INVALID))
async def get_story(
    world_id: UUID, caller: Caller,
    from_ms: Annotated[
        int | None,
        Query(alias="from", ge=-(2**53), lt=2**53, description=f"{WORLD_MS} Left out, a world day before `to`."),
    ] = None,
    to_ms: Annotated[
        int | None, Query(alias="to", ge=-(2**53), lt=2**53, description=f"{WORLD_MS} Left out, now.")
    ] = None,
    after: Annotated[
        int, Query(ge=0, lt=2**62, description="`up_to` of the part before, if it was not complete.")
    ] = 0,
) -> stories.StoryView:  # fmt: skip
    """A span of the world's time as prose, with the positions in the log that it rests on."""
    user_id = caller.signed_in()
    async with caller.runtime.database.reading() as connection:
        role = caller.require(await connection.fetchval(MEMBER_ROLE, world_id, user_id), world_id)
        reader = await reader_filter(connection, caller.runtime, world_id, user_id, role)
        world = await worlds.world(connection, world_id, user_id, caller.actor.most)
        if world is None:
            raise WORLD_NOT_FOUND()
        until = world.now + 1 if to_ms is None else to_ms
        since = until - DAY if from_ms is None else from_ms
        calendar = Calendar(**world.calendar.model_dump())
        return await stories.story(connection, world_id, since, until, calendar, reader, after)


@router.get("/worlds/{world_id}/arcs", responses=refusals(CURSOR_INVALID, PAGE_TOO_LARGE))
async def list_arcs(
    world_id: UUID, caller: Caller, paging: Paging,
    state: Annotated[Literal["open", "resolved", "all"], Query(description="Only those in this state.")] = "open",
) -> Page[ArcView]:  # fmt: skip
    """The small stories of the world, newest first."""
    after = position_of(paging, _world_ms, UUID)
    async with caller.reading(world_id) as connection:
        found = await views.arcs(connection, world_id, state, after, paging.limit + 1)
    return page_of(found, paging, lambda a: [a.started_at, a.id])


def _world_ms(value: object) -> int:
    """A world time from a cursor. Raises `ValueError`, `TypeError`."""
    if not isinstance(value, int) or not -(2**62) <= value < 2**62:
        raise ValueError("not a time")
    return value
