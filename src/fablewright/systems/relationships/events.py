"""What happens to ties, and who may know. All members may.

What an interaction does to ties is told by `dialogue.interacted`.
"""

from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from fablewright.core.messages import MEMBERS, Audience, Event
from fablewright.systems.relationships.commands import HabitValue, ReasonValue
from fablewright.systems.relationships.rules import FAMILIARITY_SET


def _absent(value: Any) -> bool:
    return value is None


def _usual(value: float) -> bool:
    return value == FAMILIARITY_SET


class TieTold(BaseModel):
    """How one character feels about another from now on, said as shortly as possible: events have a limit."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    source_id: UUID
    target_id: UUID
    strength: float
    trust: float
    familiarity: float = Field(FAMILIARITY_SET, exclude_if=_usual)
    resting_strength: float | None = Field(
        None, description="Left out if it is the strength.", exclude_if=_absent
    )
    resting_trust: float | None = Field(None, description="Left out if it is the trust.", exclude_if=_absent)
    labels: list[str] = Field(default_factory=list, exclude_if=lambda labels: not labels)
    reasons: list[ReasonValue] | None = Field(
        None, description="Left out if they stay as they were.", exclude_if=_absent
    )
    interaction_count: int | None = Field(
        None, description="Of both directions; left out if it stays as it was.", exclude_if=_absent
    )
    last_interaction_at: int | None = Field(None, exclude_if=_absent)
    habits: dict[str, HabitValue] | None = Field(
        None, description="Left out if they stay as they were.", exclude_if=_absent
    )


class TieSet(TieTold, Event):
    """A game master said how one character feels about another."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    message_type = "relationships.tie_set"
    subjects = ("source_id", "target_id")

    def audience(self) -> Audience:
        return MEMBERS


class TiesSet(Event):
    """A game master or an import said how many characters feel about each other."""

    message_type = "relationships.ties_set"

    ties: list[TieTold]

    def audience(self) -> Audience:
        return MEMBERS

    def about(self) -> list[UUID]:
        """All characters of these ties, each once, in the order in which they appear."""
        return list(dict.fromkeys(i for tie in self.ties for i in (tie.source_id, tie.target_id)))
