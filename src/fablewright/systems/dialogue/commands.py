"""What may be asked about dialogue, and by whom."""

from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, StringConstraints

from fablewright.core.actors import Role, at_least
from fablewright.core.messages import Command, check_free_json
from fablewright.systems.dialogue.rules import (
    CHARACTER_NOT_FOUND,
    NOT_PRESENT,
    SAME_CHARACTER,
    TOO_TIRED,
    InteractionType,
)

MOST_CONTEXT_BYTES: Final = 4_000


def _small(context: dict[str, Any]) -> dict[str, Any]:
    """The context, if its JSON is small and PostgreSQL can hold it."""
    if not context:
        return context
    check_free_json(context, MOST_CONTEXT_BYTES)
    if _has_nul(context):
        raise ValueError("the context may not contain the character U+0000")
    return context


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any("\x00" in key or _has_nul(item) for key, item in value.items())
    return isinstance(value, list) and any(_has_nul(item) for item in value)


Content = Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=r"^[^\x00]*$")]
Context = Annotated[dict[str, JsonValue], AfterValidator(_small)]


class Interact(Command):
    """Let one character say or do something to another, which answers."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "initiator_id": "01890a5d-ac96-774b-bcce-b302099a8057",
                    "target_id": "01890a5d-ac96-774b-bcce-b302099a8058",
                    "type": "chat",
                    "content": "Have you heard what the miller says about the bridge?",
                    "context": {"place": "market"},
                }
            ]
        }
    )
    message_type = "dialogue.interact"
    allowed = at_least(Role.PLAYER, acts_as=("initiator_id",))
    refusals = (SAME_CHARACTER, CHARACTER_NOT_FOUND, NOT_PRESENT, TOO_TIRED)

    initiator_id: UUID
    target_id: UUID
    type: InteractionType
    content: Content
    context: Context = Field({}, description="Anything else that belongs to it; JSON of at most 4,000 bytes.")
