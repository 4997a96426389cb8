"""What happens to characters, and who may know. All members may."""

from uuid import UUID

from fablewright.core.messages import MEMBERS, Audience, Event
from fablewright.systems.characters.commands import Personality


class _CharacterEvent(Event):
    subjects = ("character_id",)

    character_id: UUID

    def audience(self) -> Audience:
        return MEMBERS


class CharacterCreated(_CharacterEvent):
    """A character came into the world. `energy` (0..1) counts from `energy_at` (world ms)."""

    message_type = "characters.character_created"

    name: str
    kind: str
    user_id: UUID | None
    description: str
    personality: Personality
    energy: float
    energy_at: int
    status: str


class CharacterUpdated(_CharacterEvent):
    """A character changed: `changed` names the fields, the others hold all values after the change."""

    message_type = "characters.character_updated"

    changed: list[str]
    name: str
    kind: str
    description: str
    personality: Personality
    energy: float
    energy_at: int
    status: str


class CharacterDeleted(_CharacterEvent):
    """A character left the world for good."""

    message_type = "characters.character_deleted"

    name: str


class ControlChanged(_CharacterEvent):
    """Another user, or nobody (null), controls the character from now on."""

    message_type = "characters.control_changed"

    user_id: UUID | None
    previous_user_id: UUID | None
