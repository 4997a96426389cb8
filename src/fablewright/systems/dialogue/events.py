"""What happens between characters, and who may know. All members may."""

from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from fablewright.core.messages import MEMBERS, Audience, Event


class TieChange(BaseModel):
    """What an interaction did to how `source_id` feels about `target_id`."""

    source_id: UUID
    target_id: UUID
    strength_before: float
    strength_after: float
    trust_before: float
    trust_after: float
    interaction_count: int


class EnergyChange(BaseModel):
    """What an interaction cost a character; 0..1, at the time of the event."""

    character_id: UUID
    before: float
    after: float


class Interaction(BaseModel):
    """What happened between two characters."""

    initiator_id: UUID
    target_id: UUID
    type: str
    answer: str | None = Field(description="What the target answered; null if a user plays it.")
    ties: list[TieChange] = Field(description="The initiator's tie first, then the target's.")
    energies: list[EnergyChange] = Field(description="The initiator's first, then the target's.")


class Interacted(Interaction, Event):
    """A character said or did something to another, which answered."""

    message_type = "dialogue.interacted"
    subjects = ("initiator_id", "target_id")

    content: str
    context: dict[str, Any]

    def audience(self) -> Audience:
        return MEMBERS
