"""What may be asked about dialogue, and by whom."""

from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, StringConstraints

from fablewright.core.actors import Role, at_least
from fablewright.core.messages import Command, check_free_json
from fablewright.systems.dialogue.effects import DUEL, TypeDefinition
from fablewright.systems.dialogue.grammar import GRAMMAR_INVALID
from fablewright.systems.dialogue.rules import (
    ASLEEP,
    CHARACTER_NOT_FOUND,
    ELSEWHERE,
    ESTRANGED,
    GRAMMAR_NOT_FOUND,
    MEMORY_NOT_FOUND,
    NOT_PRESENT,
    NOTHING_TO_TELL,
    ON_THE_WAY,
    SAME_CHARACTER,
    TOO_SOON,
    TOO_TIRED,
    TYPE_LIKE_UNKNOWN,
    TYPE_NOT_FOUND,
    TYPE_TELLS_NOTHING,
    TYPE_UNKNOWN,
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


MOST_GRAMMAR_BYTES: Final = 60_000


def _storable(content: dict[str, Any]) -> dict[str, Any]:
    """The texts, if they are small enough for one event and PostgreSQL can hold them."""
    check_free_json(content, MOST_GRAMMAR_BYTES)
    if _has_nul(content):
        raise ValueError("the texts may not contain the character U+0000")
    return content


Content = Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=r"^[^\x00]*$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,49}$")]
Texts = Annotated[dict[str, JsonValue], AfterValidator(_storable)]
Context = Annotated[dict[str, JsonValue], AfterValidator(_small)]


class Interact(Command):
    """Let one character say or do something to another, which answers if nobody plays it.

    Without `content` the initiator finds its own words. Types that tell something (`gossip`, `confide`) pass on
    the memory named by `memory_id`, or the one that fits best; with `content` alone, they pass on what it says.
    """

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
    refusals = (
        SAME_CHARACTER, CHARACTER_NOT_FOUND, ASLEEP, NOT_PRESENT, ON_THE_WAY, ELSEWHERE, TOO_TIRED, ESTRANGED, TOO_SOON,
        TYPE_UNKNOWN, TYPE_TELLS_NOTHING, MEMORY_NOT_FOUND,
        NOTHING_TO_TELL,
    )  # fmt: skip

    initiator_id: UUID
    target_id: UUID
    type: Name = Field(description="A built-in type, such as `chat` or `gossip`, or one of the world's own.")
    content: Content | None = None
    memory_id: UUID | None = Field(None, description="What it is about: a memory of the initiator's own.")
    topic: Annotated[str, StringConstraints(min_length=1, max_length=50)] | None = Field(
        None, description="What to talk of, such as `weather`; left out, what the two are at."
    )
    context: Context = Field({}, description="Anything else that belongs to it; JSON of at most 4,000 bytes.")


class DefineInteractionType(Command):
    """Give the world a type of interaction of its own, or its own version of a built-in one."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "duel", "definition": DUEL}]})
    message_type = "dialogue.define_interaction_type"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (TYPE_LIKE_UNKNOWN,)

    name: Name
    definition: TypeDefinition


class RemoveInteractionType(Command):
    """Take one of the world's own types away; a built-in one of that name counts again."""

    message_type = "dialogue.remove_interaction_type"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (TYPE_NOT_FOUND,)

    name: Name


class SetGrammar(Command):
    """Add texts to those by which the characters of this world speak, or change those of that name."""

    message_type = "dialogue.set_grammar"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (GRAMMAR_INVALID,)

    name: Name
    content: Texts = Field(description="Texts as documented; JSON of at most 60,000 bytes.")


class RemoveGrammar(Command):
    """Take texts of the world's own away."""

    message_type = "dialogue.remove_grammar"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (GRAMMAR_NOT_FOUND,)

    name: Name
