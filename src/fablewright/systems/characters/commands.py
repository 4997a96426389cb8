"""What may be asked about characters, and by whom."""

from typing import Annotated, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from fablewright.core.actors import Role, at_least
from fablewright.core.messages import Command
from fablewright.systems.characters.rules import (
    CHARACTER_EXISTS,
    CHARACTER_NEEDS_GAME_MASTER,
    CHARACTER_NOT_FOUND,
    USER_NOT_MEMBER,
    GoalKind,
    Kind,
    Status,
)

MOST_NUMBERS: Final = 50
"""Attributes, and likewise skills, of one character."""
MOST_TAGS: Final = 30
MOST_GOALS: Final = 10
MOST_FAVOURITE_WORDS: Final = 10
MOST_TABOOS: Final = 20

Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00]*$")
]
Description = Annotated[str, StringConstraints(max_length=4000, pattern=r"^[^\x00]*$")]
Word = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50, pattern=r"^[^\x00-\x1f]*$")
]
Share = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
Signed = Annotated[float, Field(ge=-1.0, le=1.0, allow_inf_nan=False)]
Attribute = Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]
Skill = Annotated[float, Field(ge=0.0, le=100.0, allow_inf_nan=False)]
Attributes = Annotated[dict[Word, Attribute], Field(max_length=MOST_NUMBERS)]
Skills = Annotated[dict[Word, Skill], Field(max_length=MOST_NUMBERS)]
Tags = Annotated[list[Word], Field(max_length=MOST_TAGS)]
PortraitUrl = Annotated[str, StringConstraints(max_length=2000, pattern=r"^https?://[^\s\x00-\x1f]+$")]


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


class EmotionValue(BaseModel):
    """A feeling: pleasure, arousal and dominance (PAD), each -1..1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pleasure: Signed = 0.0
    arousal: Signed = 0.0
    dominance: Signed = 0.0


class SpeechValue(BaseModel):
    """How a character talks; the measures are 0..1, with 0.5 for the average."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    formality: Share = 0.5
    verbosity: Share = 0.5
    humour: Share = 0.5
    favourite_words: list[Word] = Field([], max_length=MOST_FAVOURITE_WORDS, description="Said more often.")
    taboos: list[Word] = Field([], max_length=MOST_TABOOS, description="Never said.")


class SpeechChange(BaseModel):
    """New values for some of `speech`; those left out or null stay."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    formality: Share | None = None
    verbosity: Share | None = None
    humour: Share | None = None
    favourite_words: list[Word] | None = Field(None, max_length=MOST_FAVOURITE_WORDS)
    taboos: list[Word] | None = Field(None, max_length=MOST_TABOOS)


class GoalValue(BaseModel):
    """Something a character wants. The director acts on every kind but `free`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: GoalKind
    text: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300, pattern=r"^[^\x00]*$")
    ]
    about_id: UUID | None = Field(None, description="The character it is about, if any.")


Goals = Annotated[list[GoalValue], Field(max_length=MOST_GOALS)]


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
                    "skills": {"rowing": 80},
                    "tags": ["ferry"],
                    "goals": [{"kind": "free", "text": "See the sea once."}],
                    "speech": {"formality": 0.2, "favourite_words": ["aye"]},
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
    emotion: EmotionValue | None = Field(
        None, description="What it feels now; left out, what its personality feels when nothing happens."
    )
    attributes: Attributes = Field({}, description="Numbers of the world's own choosing.")
    skills: Skills = Field({}, description="What it can do, each 0 to 100.")
    tags: Tags = []
    goals: Goals = []
    speech: SpeechValue = SpeechValue()
    portrait_url: PortraitUrl | None = None


class UpdateCharacter(Command):
    """Change some of a character's fields; those left out or null stay as they are.

    Who controls the character may change `description`, `status`, `portrait_url` and `speech`; a game master may
    change all. `attributes`, `skills`, `tags` and `goals` are replaced as a whole.
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
    emotion: EmotionValue | None = None
    attributes: Attributes | None = None
    skills: Skills | None = None
    tags: Tags | None = None
    goals: Goals | None = None
    speech: SpeechChange | None = None
    portrait_url: PortraitUrl | None = None
    remove_portrait: bool = Field(False, description="Have no portrait any more.")


class SetStatus(Command):
    """Let a character wake up (`active`), fall asleep or go away. What it is already, stays without an event."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"character_id": "01890a5d-ac96-774b-bcce-b302099a8057", "status": "asleep"}]
        }
    )
    message_type = "characters.set_status"
    allowed = at_least(Role.PLAYER, acts_as=("character_id",))
    refusals = (CHARACTER_NOT_FOUND,)

    character_id: UUID
    status: Status


class DeleteCharacter(Command):
    """Take a character out of the world for good. What it did stays in the log."""

    message_type = "characters.delete_character"
    allowed = at_least(Role.PLAYER, acts_as=("character_id",))
    refusals = (CHARACTER_NOT_FOUND, CHARACTER_NEEDS_GAME_MASTER)

    character_id: UUID
