"""What may be asked about characters, and by whom."""

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from fablewright.core.actors import Role, at_least
from fablewright.core.messages import Command
from fablewright.systems.characters.rules import (
    CHARACTER_EXISTS,
    CHARACTER_NEEDS_GAME_MASTER,
    CHARACTER_NOT_FOUND,
    USER_NOT_MEMBER,
    Kind,
    Status,
)

Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00]*$")
]
Description = Annotated[str, StringConstraints(max_length=4000, pattern=r"^[^\x00]*$")]
Share = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]


class Personality(BaseModel):
    """The five factors of personality (OCEAN), each 0..1; 0.5 is average."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    openness: Share = 0.5
    conscientiousness: Share = 0.5
    extraversion: Share = 0.5
    agreeableness: Share = 0.5
    neuroticism: Share = 0.5


class PersonalityChange(BaseModel):
    """New values for some of the five factors, each 0..1; those left out or null stay."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    openness: Share | None = None
    conscientiousness: Share | None = None
    extraversion: Share | None = None
    agreeableness: Share | None = None
    neuroticism: Share | None = None


class CreateCharacter(Command):
    """Bring a character into the world.

    Game masters make any; players make `player` characters that they control themselves.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "Orla Fen",
                    "kind": "npc",
                    "description": "Keeps the ferry and everybody's secrets.",
                    "personality": {"openness": 0.6, "extraversion": 0.8, "agreeableness": 0.7},
                }
            ]
        }
    )
    message_type = "characters.create_character"
    allowed = at_least(Role.PLAYER)
    refusals = (CHARACTER_NEEDS_GAME_MASTER, CHARACTER_EXISTS, USER_NOT_MEMBER)

    id: UUID | None = Field(
        None, description="The id the character shall have; left out, the server makes one."
    )
    name: Name
    kind: Kind = "npc"
    user_id: UUID | None = Field(None, description="The member of the world who will control the character.")
    description: Description = ""
    personality: Personality = Personality()
    energy: Share = 1.0
    status: Status = "active"


class UpdateCharacter(Command):
    """Change some of a character's fields; those left out or null stay as they are.

    Who controls the character may change `description` and `status`; a game master may change all.
    """

    message_type = "characters.update_character"
    allowed = at_least(Role.PLAYER, acts_as=("character_id",))
    refusals = (CHARACTER_NOT_FOUND, CHARACTER_NEEDS_GAME_MASTER, USER_NOT_MEMBER)

    character_id: UUID
    name: Name | None = None
    kind: Kind | None = None
    user_id: UUID | None = None
    release_control: bool = Field(False, description="Take the character from the user who controls it.")
    description: Description | None = None
    personality: PersonalityChange | None = None
    energy: Share | None = None
    status: Status | None = None


class DeleteCharacter(Command):
    """Take a character out of the world for good. What it did stays in the log."""

    message_type = "characters.delete_character"
    allowed = at_least(Role.PLAYER, acts_as=("character_id",))
    refusals = (CHARACTER_NOT_FOUND, CHARACTER_NEEDS_GAME_MASTER)

    character_id: UUID
