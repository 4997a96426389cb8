"""Reading the log over HTTP: `GET /worlds/{world}/events`."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from fablewright.core import log
from fablewright.core.actors import Role
from fablewright.core.messages import PATTERN
from fablewright.core.refusal import INVALID, Refusal
from fablewright.gateway.api import MEMBER_ROLE, PAGE_TOO_LARGE, Caller, refusals
from fablewright.gateway.runtime import Runtime

router = APIRouter(tags=["events"])
WINDOWS = 10
"""How many windows of the log one request looks through for a rare filter."""

PATTERN_INVALID = Refusal(
    "pattern_invalid", INVALID, "A pattern of event types is `*`, `system.*` or `system.event_type`."
)
AFTER_IN_THE_FUTURE = Refusal(
    "after_in_the_future", INVALID, "The world's log is not that far yet. Go on from a `seq` you have seen."
)


class EventView(BaseModel):
    """An event of the log. `command` stands on a command's first event, for game masters."""

    seq: int
    id: UUID
    type: str = Field(examples=["dialogue.interacted"])
    at: int = Field(description="World time in ms.")
    actor: str
    causation_id: UUID
    correlation_id: UUID
    about: list[UUID]
    recorded_at: str
    data: dict[str, Any]
    command: dict[str, Any] | None = None


class EventsView(BaseModel):
    """Events in order, complete up to `up_to` under the filter asked for; `head` is the newest of all."""

    events: list[EventView]
    up_to: int
    head: int


def check_patterns(types: list[str]) -> tuple[str, ...]:
    """The patterns, if they are such. Refuses `pattern_invalid`."""
    for pattern in types:
        if not PATTERN.match(pattern):
            raise PATTERN_INVALID(f"{pattern[:100]!r} is no pattern of event types.")
    return tuple(sorted(set(types)))


async def reader_filter(
    connection: Any, runtime: Runtime, world_id: UUID, user_id: UUID, role: Role,
    types: tuple[str, ...] = (), about: tuple[UUID, ...] = (),
) -> log.Filter:  # fmt: skip
    """What a member with this role may see of what it asks for."""
    if role >= Role.GAME_MASTER:
        return log.Filter(types, about, None)
    principals = {user_id}
    for system in runtime.systems:
        if system.principals is not None:
            principals |= await system.principals(connection.fetch, world_id, user_id)
    return log.Filter(types, about, frozenset(principals))


@router.get(
    "/worlds/{world_id}/events",
    response_model=EventsView,
    responses=refusals(PATTERN_INVALID, PAGE_TOO_LARGE, AFTER_IN_THE_FUTURE),
)
async def read_events(
    world_id: UUID, caller: Caller,
    after: Annotated[int, Query(ge=0, lt=2**62, description="Events with a larger `seq`.")] = 0,
    limit: Annotated[int, Query(ge=1, description="Most events to return.")] = 100,
    types: Annotated[list[str] | None, Query(max_length=50, description="Patterns such as `dialogue.*`.")] = None,
    about: Annotated[list[UUID] | None, Query(max_length=50, description="Only events about one of these.")] = None,
) -> Response:  # fmt: skip
    """The log from a position on, as far as you may see it."""
    user_id = caller.signed_in()
    most = caller.runtime.settings.max_page
    if limit > most:
        raise PAGE_TOO_LARGE(f"A page holds at most {most} items.", max_page=most)
    patterns = check_patterns(types or [])
    async with caller.runtime.database.reading() as connection:
        role = caller.require(await connection.fetchval(MEMBER_ROLE, world_id, user_id), world_id)
        wanted = await reader_filter(
            connection, caller.runtime, world_id, user_id, role, patterns, tuple(about or ())
        )
        rows: list[Any] = []
        part = log.Slice([], after, after)
        for _ in range(WINDOWS):
            part = await log.read(connection, world_id, part.up_to, limit - len(rows), wanted)
            rows += part.rows
            if len(rows) >= limit or part.up_to >= part.head:
                break
    if after > part.head:
        raise AFTER_IN_THE_FUTURE(f"The log is at {part.head}.", head=part.head)
    events = b",".join(log.encode(row, with_command=wanted.principals is None) for row in rows)
    return Response(
        b'{"events":[%s],"up_to":%d,"head":%d}' % (events, part.up_to, part.head),
        media_type="application/json",
    )
