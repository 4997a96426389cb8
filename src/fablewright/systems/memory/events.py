"""What happens to memories, and who may know: who controls the character, and game masters.

What an interaction leaves in somebody's memory is told by `dialogue.interacted`.
"""

from typing import Any
from uuid import UUID

from fablewright.core.messages import Audience, Event


class _MemoryEvent(Event):
    subjects = ("character_id",)

    character_id: UUID
    memory_id: UUID

    def audience(self) -> Audience:
        return Audience.of(self.character_id)


class MemoryPlanted(_MemoryEvent):
    """A character knows or remembers something from now on.

    Whether it is true stands in the command, which only game masters see.
    """

    message_type = "memory.planted"

    fact_id: UUID
    kind: str
    text: str
    subject_id: UUID | None
    about_ids: list[UUID]
    place_id: UUID | None
    happened_at: int
    importance: float
    certainty: float
    valence: float
    is_secret: bool
    tellers: list[UUID]
    claim: dict[str, Any] | None


class MemoryForgotten(_MemoryEvent):
    """A game master let a character forget something. What it forgets by itself is not told."""

    message_type = "memory.forgotten"

    fact_id: UUID


class MemoryReflected(_MemoryEvent):
    """A character drew a conclusion from what it remembers (`evidence` names these memories)."""

    message_type = "memory.reflected"

    conclusion: str
    text: str
    subject_id: UUID
    evidence: list[UUID]


class MemoriesRestored(Event):
    """A character has memories back; the command holds them."""

    message_type = "memory.restored"
    subjects = ("character_id",)

    character_id: UUID
    count: int
    memory_ids: list[UUID] = []

    def audience(self) -> Audience:
        return Audience.of(self.character_id)
