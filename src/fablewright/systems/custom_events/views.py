"""What is read of types of events."""

from typing import Any, Final
from uuid import UUID

import orjson
from pydantic import ConfigDict, Field

from fablewright.core.messages import View
from fablewright.systems.custom_events.commands import SCHEMA_EXAMPLE, SeenBy

COLUMNS: Final = "type, description, audience, schema::text AS schema"


class EventTypeView(View):
    """A type of event that outside programs may send."""

    model_config = ConfigDict(json_schema_extra={"examples": [{
        "type": "game.quest_finished", "description": "A quest of the dungeon is done.", "audience": "members",
        "data_schema": SCHEMA_EXAMPLE,
    }]})  # fmt: skip

    type: str
    description: str
    audience: SeenBy
    data_schema: dict[str, Any]


class Recorded(View):
    """An event from outside, as it stands in the log."""

    event_id: UUID
    type: str
    at: int = Field(description="World time in ms.")


def type_view(row: Any) -> EventTypeView:
    """A type from a row of `COLUMNS`."""
    return EventTypeView.model_construct(
        type=row["type"], description=row["description"], audience=row["audience"],
        data_schema=orjson.loads(row["schema"]),
    )  # fmt: skip


async def list_types(
    connection: Any, world_id: UUID, *, after: str | None = None, limit: int | None = None
) -> list[EventTypeView]:
    """Up to `limit` types by name, after one."""
    rows = await connection.fetch(
        f"SELECT {COLUMNS} FROM custom_event_types WHERE world_id = $1 AND ($2::text IS NULL OR type > $2) "  # noqa: S608
        "ORDER BY type LIMIT $3",
        world_id, after, limit,
    )  # fmt: skip
    return [type_view(row) for row in rows]


async def one_type(connection: Any, world_id: UUID, name: str) -> EventTypeView | None:
    """A type by its name."""
    row = await connection.fetchrow(
        f"SELECT {COLUMNS} FROM custom_event_types WHERE world_id = $1 AND type = $2",  # noqa: S608
        world_id, name,
    )  # fmt: skip
    return None if row is None else type_view(row)
