"""HTTP routes for events from outside and their types."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter
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
)  # fmt: skip
from fablewright.systems.custom_events import views
from fablewright.systems.custom_events.commands import (
    SCHEMA_EXAMPLE,
    EventType,
    RecordEvent,
    RegisterEventType,
    RemoveEventType,
    Schema,
    SeenBy,
)
from fablewright.systems.custom_events.rules import EVENT_TYPE_NOT_FOUND
from fablewright.systems.custom_events.views import EventTypeView, Recorded

router = APIRouter(tags=["events"])


class EventTypeBody(BaseModel):
    """What events of a type are like."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"description": "A quest of the dungeon is done.", "data_schema": SCHEMA_EXAMPLE}]
        },
    )

    data_schema: Schema
    description: str = Field("", max_length=1000, pattern=r"^[^\x00]*$")
    audience: SeenBy = "members"


@router.post("/worlds/{world_id}/events", status_code=201, responses=refusals(RecordEvent))
async def record_event(world_id: UUID, body: RecordEvent, caller: Caller) -> Committed[Recorded]:
    """Tell the world of something that happened outside. For game masters, such as a game server's key."""
    return await caller.execute(body, world_id, status=201)  # type: ignore[no-any-return]


@router.get("/worlds/{world_id}/event-types", responses=refusals(CURSOR_INVALID, PAGE_TOO_LARGE))
async def list_event_types(world_id: UUID, caller: Caller, paging: Paging) -> Page[EventTypeView]:
    """The types of events that outside programs may send, by name."""
    after = position_of(paging, _text)
    async with caller.reading(world_id) as connection:
        rows = await views.list_types(
            connection, world_id, after=after[0] if after else None, limit=paging.limit + 1
        )
    return page_of(rows, paging, lambda t: [t.type])


@router.get("/worlds/{world_id}/event-types/{event_type}", responses=refusals(EVENT_TYPE_NOT_FOUND))
async def get_event_type(world_id: UUID, event_type: EventType, caller: Caller) -> EventTypeView:
    """A type of events, with its schema."""
    async with caller.reading(world_id) as connection:
        found = await views.one_type(connection, world_id, event_type)
    if found is None:
        raise EVENT_TYPE_NOT_FOUND(type=event_type)
    return found


@router.put("/worlds/{world_id}/event-types/{event_type}", responses=refusals(RegisterEventType))
async def register_event_type(
    world_id: UUID, event_type: EventType, body: EventTypeBody, caller: Caller
) -> Committed[EventTypeView]:
    """Let outside programs send events of a type, or change such a type. For game masters."""
    command = RegisterEventType(type=event_type, **body.model_dump())
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.delete("/worlds/{world_id}/event-types/{event_type}", responses=refusals(RemoveEventType))
async def remove_event_type(world_id: UUID, event_type: EventType, caller: Caller) -> Committed[None]:
    """Take no more events of a type. For game masters."""
    return await caller.execute(RemoveEventType(type=event_type), world_id)  # type: ignore[no-any-return]


def _text(value: Any) -> str:
    if not isinstance(value, str) or "\x00" in value:
        raise TypeError("not a type")
    return value
