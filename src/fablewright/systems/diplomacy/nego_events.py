"""What happens in negotiations, and who may know: all members, or of secret ones the parties alone."""

from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from fablewright.core.messages import MEMBERS, Audience, Event


class PartOfUtility(BaseModel):
    """One of the numbers that a utility is made of."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    what: str
    amount: float
    reason: str


class _OfNegotiation(Event):
    subjects = ("party_ids", "negotiation_id", "by_id")

    negotiation_id: UUID
    party_ids: list[UUID]
    secret: bool
    by_id: UUID | None = Field(None, description="The character who did it, if one did.")

    def audience(self) -> Audience:
        return Audience.of(*self.party_ids) if self.secret else MEMBERS


class NegotiationStarted(_OfNegotiation):
    """Factions sit down to talk about a treaty of a kind, until `deadline_at` (world ms) at the latest."""

    message_type = "diplomacy.negotiation_started"

    faction_id: UUID
    kind: str
    topic: str
    deadline_at: int
    about_id: UUID | None


class _AtTheTable(_OfNegotiation):
    """What only those at the table hear, be the talks secret or not."""

    def audience(self) -> Audience:
        return Audience.of(*self.party_ids)


class OfferMade(_AtTheTable):
    """An offer stands. `counters` is the number of the one whose place it takes, and the lists say what differs:
    `added` and `dropped` clauses, and those that were `changed` as they are now."""

    message_type = "diplomacy.offer_made"

    number: int
    faction_id: UUID
    clauses: list[dict[str, Any]]
    days: int | None
    counters: int | None = None
    added: list[dict[str, Any]] = []
    dropped: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []


class OfferAnswered(_AtTheTable):
    """A party accepted or refused the offer that stood; `reason` if what was agreed could not be done."""

    message_type = "diplomacy.offer_answered"

    number: int
    faction_id: UUID
    accepted: bool
    reason: str = ""


class OfferWeighed(Event):
    """What a faction that decides by itself makes of an offer: its own secret. `utility` is the sum of the parts."""

    message_type = "diplomacy.offer_weighed"
    subjects = ("faction_id", "negotiation_id")

    negotiation_id: UUID
    faction_id: UUID
    number: int
    utility: float
    verdict: str
    reasons: list[str]
    parts: list[PartOfUtility]

    def audience(self) -> Audience:
        return Audience.of(self.faction_id)


class PartyPersuaded(_AtTheTable):
    """A negotiator tried to move another party: `roll` (1..100) and `score` against `needed` gave `lean`, points of
    utility by which that party leans towards agreement from now on (below 0: away from it)."""

    message_type = "diplomacy.party_persuaded"

    faction_id: UUID
    target_id: UUID
    approach: str
    roll: int
    score: float
    needed: float
    lean: float
    parts: list[PartOfUtility]


class NegotiationEnded(_OfNegotiation):
    """The talks are over: `agreed` (on a treaty), `walked_out` (who, and why) or `expired`."""

    message_type = "diplomacy.negotiation_ended"

    state: str
    faction_id: UUID | None = None
    reason: str = ""
    treaty_id: UUID | None = None


EVENTS = (
    NegotiationStarted, OfferMade, OfferAnswered, OfferWeighed, PartyPersuaded, NegotiationEnded,
)  # fmt: skip
