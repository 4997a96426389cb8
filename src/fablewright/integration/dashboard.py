"""`GET /worlds/{world}/dashboard`: one look at a world, all from one snapshot."""

from typing import Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from fablewright.core import log
from fablewright.core.actors import Role
from fablewright.core.permissions import WORLD_NOT_FOUND
from fablewright.gateway.api import MEMBER_ROLE, Caller, refusals
from fablewright.gateway.events import reader_filter
from fablewright.systems.worlds import views

router = APIRouter(tags=["dashboard"])
RECENT = 20


class Dashboard(BaseModel):
    """A world at one `seq`."""

    world: views.WorldView
    characters: int = Field(description="Characters that are not deleted.")
    relationships: int
    interactions: int = Field(description="Interactions so far.")
    members: int
    timers: int | None = Field(description="Timers waiting; for game masters.")
    open_dead_letters: int | None = Field(description="For game masters.")
    recent: list[dict[str, Any]] = Field(
        description="The newest events that the caller may see, newest last."
    )


COUNTS = """
SELECT (SELECT count(*) FROM characters WHERE world_id = $1 AND deleted_at IS NULL) AS characters,
       (SELECT count(*) FROM ties WHERE world_id = $1) AS relationships,
       (SELECT coalesce(sum(interaction_count), 0)::bigint FROM ties WHERE world_id = $1) / 2 AS interactions,
       (SELECT count(*) FROM world_members WHERE world_id = $1) AS members,
       (SELECT count(*) FROM timers WHERE world_id = $1) AS timers,
       (SELECT count(*) FROM dead_letters WHERE world_id = $1 AND state = 'open') AS open_dead_letters
"""


@router.get("/worlds/{world_id}/dashboard", response_model=Dashboard, responses=refusals())
async def dashboard(world_id: UUID, caller: Caller) -> Response:
    """Numbers and newest events of a world, consistent at `world.seq`."""
    user_id = caller.signed_in()
    async with caller.runtime.database.reading(snapshot=True) as connection:
        role = caller.require(await connection.fetchval(MEMBER_ROLE, world_id, user_id), world_id)
        world = await views.world(connection, world_id, user_id, caller.actor.most)
        if world is None:
            raise WORLD_NOT_FOUND()
        counts = await connection.fetchrow(COUNTS, world_id)
        wanted = await reader_filter(connection, caller.runtime, world_id, user_id, role)
        recent = await log.newest(connection, world_id, RECENT, wanted)
    events = b",".join(log.encode(row, with_command=wanted.principals is None) for row in recent)
    if role < Role.GAME_MASTER:
        counts = {**counts, "timers": None, "open_dead_letters": None}
    head = orjson.dumps({"world": world.model_dump(mode="json"), **counts})
    return Response(head[:-1] + b',"recent":[' + events + b"]}", media_type="application/json")
