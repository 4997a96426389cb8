"""What happens between characters, and who may know: all members, of what is confided only the two."""

from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from fablewright.core.messages import MEMBERS, Audience, Event
from fablewright.systems.dialogue.effects import TypeDefinition


class ToneView(BaseModel):
    """How something was said."""

    label: str = Field(description="thanks, insult, question, promise, apology, threat, praise or neutral.")
    sentiment: float = Field(description="-1 (hostile) to 1 (kind).")
    why: str = Field(description="What shows it.")


class AnswerTone(BaseModel):
    """How the answer was given."""

    intent: str = Field(description="What the answer was meant to do, such as `share_memory`.")
    manner: Literal["warm", "plain", "cold"]


class TieChange(BaseModel):
    """What an interaction did to how `source_id` feels about `target_id`."""

    source_id: UUID
    target_id: UUID
    strength_before: float
    strength_after: float
    trust_before: float
    trust_after: float
    familiarity_after: float
    interaction_count: int
    reason: str
    parts: dict[str, float] = Field(description="base + words, times the factors named `x …`.")
    labels_gained: list[str]
    labels_lost: list[str]


class EmotionView(BaseModel):
    """An emotion: pleasure, arousal and dominance, each -1..1, and the name of their octant."""

    pleasure: float
    arousal: float
    dominance: float
    label: str


class StateChange(BaseModel):
    """What an interaction did to a character: energy 0..1 and emotion, at the time of the event."""

    character_id: UUID
    energy_before: float
    energy_after: float
    emotion_before: EmotionView
    emotion_after: EmotionView
    felt: dict[str, float] = Field(description="The emotions that it stirred, 0..1.")


class BystanderChange(BaseModel):
    """How somebody who saw it, or was told of somebody, feels about `about_id` since."""

    character_id: UUID
    about_id: UUID
    strength_before: float
    strength_after: float
    why: str


class MemoryMade(BaseModel):
    """Something a character remembers since."""

    id: UUID
    character_id: UUID
    fact_id: UUID
    kind: str
    text: str


class Mention(BaseModel):
    """A memory that was spoken of, and by whom."""

    speaker_id: UUID
    memory_id: UUID
    fact_id: UUID
    tellers: list[UUID] = Field(description="By whom the speaker had it, first teller first.")
    part: Literal["content", "answer"]


class Interaction(BaseModel):
    """What happened between two characters."""

    initiator_id: UUID
    target_id: UUID
    type: str
    place_id: UUID | None
    content: str
    tone: ToneView
    answer: str | None = Field(description="What the target answered; null if a user plays it.")
    answer_tone: AnswerTone | None
    accepted: bool | None = Field(description="Whether the target took it well; null if nothing was asked.")
    topic: str | None
    ties: list[TieChange] = Field(description="The initiator's tie first, then the target's.")
    states: list[StateChange] = Field(description="The initiator's first, then the target's.")
    bystanders: list[BystanderChange]
    memories: list[MemoryMade]
    mentions: list[Mention]
    shared: bool = Field(description="Whether the answer refers to something that the two share.")


class Interacted(Interaction, Event):
    """A character said or did something to another, which answered."""

    message_type = "dialogue.interacted"
    subjects = ("initiator_id", "target_id")

    context: dict[str, Any]
    private: bool = Field(False, description="Whether only the two, and game masters, may know of it.")

    def audience(self) -> Audience:
        return Audience.of(self.initiator_id, self.target_id) if self.private else MEMBERS


class InteractionTypeDefined(Event):
    """The world has a type of interaction of its own, or a new version of it."""

    message_type = "dialogue.interaction_type_defined"

    name: str
    definition: TypeDefinition

    def audience(self) -> Audience:
        return MEMBERS


class InteractionTypeRemoved(Event):
    """The world no longer has a type of its own of that name."""

    message_type = "dialogue.interaction_type_removed"

    name: str

    def audience(self) -> Audience:
        return MEMBERS


class GrammarSet(Event):
    """The world's texts of that name are new. The texts themselves stand in the event's command."""

    message_type = "dialogue.grammar_set"

    name: str

    def audience(self) -> Audience:
        return MEMBERS


class GrammarRemoved(Event):
    """The world no longer has texts of that name."""

    message_type = "dialogue.grammar_removed"

    name: str

    def audience(self) -> Audience:
        return MEMBERS
