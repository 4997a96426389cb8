"""What may be asked about events from outside, and by whom."""

from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, StringConstraints

from fablewright.core.actors import Role, at_least
from fablewright.core.messages import Command, check_free_json
from fablewright.systems.custom_events.rules import (
    EVENT_INVALID,
    EVENT_TYPE_NOT_FOUND,
    EVENT_TYPE_UNKNOWN,
    SCHEMA_INVALID,
    TOO_MANY_EVENT_TYPES,
)

MOST_SCHEMA_BYTES: Final = 16_000
MOST_DATA_BYTES: Final = 16_000
SCHEMA_EXAMPLE: Final[dict[str, JsonValue]] = {
    "type": "object",
    "properties": {
        "quest": {"type": "string", "maxLength": 100},
        "score": {"type": "integer", "minimum": 0},
    },
    "required": ["quest", "score"],
    "additionalProperties": False,
}

EventType = Annotated[
    str,
    StringConstraints(pattern=r"^(game|narrative|user|admin)\.[a-z][a-z0-9_]{0,59}$"),
]
"""`game.`, `narrative.`, `user.` or `admin.` and a word."""
SeenBy = Literal["members", "subject", "game_masters"]


def _storable(value: dict[str, Any], most_bytes: int) -> dict[str, Any]:
    check_free_json(value, most_bytes)
    if _has_nul(value):
        raise ValueError("it may not contain the character U+0000")
    return value


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any("\x00" in key or _has_nul(item) for key, item in value.items())
    return isinstance(value, list) and any(_has_nul(item) for item in value)


Schema = Annotated[dict[str, JsonValue], AfterValidator(lambda value: _storable(value, MOST_SCHEMA_BYTES))]
Data = Annotated[dict[str, JsonValue], AfterValidator(lambda value: _storable(value, MOST_DATA_BYTES))]


class RegisterEventType(Command):
    """Let outside programs send events of a type, with data that fits a JSON Schema; or change such a type.

    What was recorded under an earlier schema stays as it is.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "game.quest_finished",
                    "description": "A quest of the dungeon is done.",
                    "data_schema": SCHEMA_EXAMPLE,
                }
            ]
        }
    )
    message_type = "custom_events.register_event_type"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (SCHEMA_INVALID, TOO_MANY_EVENT_TYPES)

    type: EventType
    data_schema: Schema = Field(
        description="JSON Schema (2020-12) of `data`, of at most 16,000 bytes; formats are checked, references stay "
        "inside it."
    )
    description: Annotated[str, StringConstraints(max_length=1000, pattern=r"^[^\x00]*$")] = ""
    audience: SeenBy = Field(
        "members",
        description="Who may see such events: all members, who stands for the subject, or game masters only.",
    )


class RemoveEventType(Command):
    """Take no more events of a type. Those in the log stay."""

    message_type = "custom_events.remove_event_type"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (EVENT_TYPE_NOT_FOUND,)

    type: EventType


class RecordEvent(Command):
    """Tell the world of something that happened outside, such as in a game server.

    Whatever listens to events hears it like any other: award rules, achievements, boards, sockets, webhooks.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "game.quest_finished",
                    "subject_id": "01890a5d-ac96-774b-bcce-b302099a8057",
                    "data": {"quest": "The drowned bell", "score": 120},
                }
            ]
        }
    )
    message_type = "custom_events.record_event"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (EVENT_TYPE_UNKNOWN, EVENT_INVALID)

    type: EventType
    subject_id: UUID | None = Field(
        None, description="Whom it is about, such as a character: who earns what it is worth."
    )
    data: Data = Field(
        {}, description="What happened, as the type's schema has it; JSON of at most 16,000 bytes."
    )
