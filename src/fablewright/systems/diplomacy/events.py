"""What happens to relations between factions, and who may know.

All members may, but for what came of something secret: that is told to those who stand for the two factions.
"""

from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from fablewright.core.messages import MEMBERS, Audience, Event
from fablewright.systems.diplomacy.rules import Status


def _false(value: bool) -> bool:
    return not value


def _absent(value: object) -> bool:
    return value is None


class OpinionChange(BaseModel):
    """One reason why an opinion changed, or a trust: that stands under the key `trust`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    key: str
    amount: float = Field(description="By how much.")
    reason: str
    event_id: UUID | None = Field(
        None, description="The event it comes from, if another.", exclude_if=_absent
    )


class TensionReason(BaseModel):
    """One reason why a tension changed."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    reason: str
    amount: float


class RelationshipChanged(Event):
    """What one faction thinks of another has changed."""

    message_type = "diplomacy.relationship_changed"
    subjects = ("holder_id", "about_id")

    holder_id: UUID = Field(description="Who thinks so.")
    about_id: UUID = Field(description="About whom.")
    opinion_before: float
    opinion: float = Field(description="-100 to 100.")
    trust_before: float
    trust: float = Field(description="0 to 1.")
    changes: list[OpinionChange]
    secret: bool = Field(False, exclude_if=_false)

    def audience(self) -> Audience:
        return Audience.of(self.holder_id, self.about_id) if self.secret else MEMBERS


class TensionChanged(Event):
    """The tension between two factions has changed."""

    message_type = "diplomacy.tension_changed"
    subjects = ("low_id", "high_id")

    low_id: UUID
    high_id: UUID
    before: float
    tension: float = Field(description="0 to 100.")
    reasons: list[TensionReason]
    secret: bool = Field(False, exclude_if=_false)

    def audience(self) -> Audience:
        return Audience.of(self.low_id, self.high_id) if self.secret else MEMBERS


class StatusChanged(Event):
    """Two factions have become something else to each other, such as friendly, or at war."""

    message_type = "diplomacy.status_changed"
    subjects = ("low_id", "high_id")

    low_id: UUID
    high_id: UUID
    before: Status
    status: Status
    reason: str
    truce_until: int | None = Field(
        None, description="World time (ms) before which neither may go to war with the other."
    )

    def audience(self) -> Audience:
        return MEMBERS


Knowing = Literal["party", "saw", "told", "heard"]
"""How a faction knows of a deed: it has part in it, its people saw it, the victim told it, or by rumour."""


class DeedFactor(BaseModel):
    """One of the factors of what a deed costs its doer in a judge's eyes."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    what: str
    factor: float


class DeedHeard(Event):
    """A faction has learned, or learned more surely, what another did, and judges it."""

    message_type = "diplomacy.deed_heard"
    subjects = ("faction_id", "doer_id", "deed_id")

    deed_id: UUID
    faction_id: UUID = Field(description="Who judges.")
    doer_id: UUID
    victim_ids: list[UUID]
    words: str = Field(description="What the doer did, such as `broke the Treaty of Ash`.")
    how: Knowing
    certainty: float = Field(description="How sure of it the faction is, 0 to 1.")
    character_id: UUID | None = Field(description="The one of its people that saw or heard of it.")
    tellers: list[UUID] = Field(description="The characters by whom it came, first teller first.")
    opinion: float = Field(description="By how much it thinks worse of the doer, below 0.")
    parts: list[DeedFactor] = Field(description="The gravity (0 to 100), times these, is that.")
    secret: bool = Field(False, exclude_if=_false)

    def audience(self) -> Audience:
        return Audience.of(self.faction_id) if self.secret else MEMBERS
