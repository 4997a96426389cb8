"""What happens to characters, and who may know. All members may."""

from uuid import UUID

from fablewright.core.messages import MEMBERS, Audience, Event
from fablewright.systems.characters.commands import EmotionValue, GoalValue, Personality, SpeechValue


class _CharacterEvent(Event):
    subjects = ("character_id",)

    character_id: UUID

    def audience(self) -> Audience:
        return MEMBERS


class _Portrayed(_CharacterEvent):
    """All that is known of a character, as it is after the event. What is missing in older events is empty."""

    name: str
    kind: str
    description: str
    personality: Personality
    energy: float
    energy_at: int
    status: str
    emotion: EmotionValue = EmotionValue()
    emotion_at: int = 0
    attributes: dict[str, float] = {}
    skills: dict[str, float] = {}
    tags: list[str] = []
    goals: list[GoalValue] = []
    speech: SpeechValue = SpeechValue()
    portrait_url: str | None = None


class CharacterCreated(_Portrayed):
    """A character came into the world. `energy` (0..1) counts from `energy_at`, `emotion` from `emotion_at`
    (world ms)."""

    message_type = "characters.character_created"

    user_id: UUID | None


class CharacterUpdated(_Portrayed):
    """A character changed: `changed` names the fields, the others hold all values after the change."""

    message_type = "characters.character_updated"

    changed: list[str]


class StatusChanged(_CharacterEvent):
    """A character woke up (`active`), fell asleep or went away. `characters.set_status` alone tells it so; a change
    of many fields is told as `characters.character_updated`."""

    message_type = "characters.status_changed"

    status: str
    previous: str


class CharacterDeleted(_CharacterEvent):
    """A character left the world for good."""

    message_type = "characters.character_deleted"

    name: str


class ControlChanged(_CharacterEvent):
    """Another user, or nobody (null), controls the character from now on."""

    message_type = "characters.control_changed"

    user_id: UUID | None
    previous_user_id: UUID | None
