"""How types of events stand in a pack: `event_types.yaml`."""

from collections.abc import Sequence
from typing import Annotated, Final

from pydantic import StringConstraints

from fablewright.core.messages import Command
from fablewright.core.pack import Form, Ids, Item, PackModel, PackSection, Snapshot
from fablewright.core.refusal import Refused
from fablewright.systems.custom_events import views
from fablewright.systems.custom_events.commands import EventType, RegisterEventType, Schema, SeenBy
from fablewright.systems.custom_events.service import compiled


class EventTypeEntry(PackModel):
    """A type of event that outside programs may send, with the JSON Schema of its data."""

    type: EventType
    description: Annotated[str, StringConstraints(max_length=1000, pattern=r"^[^\x00]*$")] = ""
    audience: SeenBy = "members"
    data_schema: Schema


def type_commands(items: Sequence[Item], ids: Ids) -> list[Command]:
    """One command for each type; each schema is checked here, so that its fault has a line."""
    seen: set[str] = set()
    for item in items:
        if item.value.type in seen:
            ids.mistake(item, "type", f"{item.value.type} is written twice: write it once")
        seen.add(item.value.type)
        try:
            compiled(item.value.data_schema)
        except Refused as refused:
            ids.mistake(item, str(refused.facts["path"]), str(refused.facts["message"]))
    return [] if ids.mistakes else [RegisterEventType(**item.value.model_dump()) for item in items]


async def read_types(snapshot: Snapshot) -> list[Item]:
    """The types by name."""
    found = await views.list_types(snapshot.connection, snapshot.world_id)
    return [Item(str(n), EventTypeEntry(**view.model_dump())) for n, view in enumerate(found, 1)]


PACK: Final = (
    PackSection(
        "event_types", ("event_types.yaml",), Form.LISTED, EventTypeEntry, type_commands, read_types,
        top="event_types",
    ),
)  # fmt: skip
