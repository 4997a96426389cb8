"""What happens to treaties, and who may know: all members, or of secret ones the parties only."""

from typing import Any, ClassVar
from uuid import UUID

from pydantic import Field

from fablewright.core.messages import MEMBERS, Audience, Event


class TreatyEvent(Event):
    """About a treaty; `state` is that after it."""

    subjects: ClassVar[tuple[str, ...]] = ("treaty_id", "party_ids", "by_id")

    treaty_id: UUID
    name: str
    kind: str
    party_ids: list[UUID]
    secret: bool
    state: str
    by_id: UUID | None = Field(
        None, description="The character who did it; null for a game master or the server."
    )

    def audience(self) -> Audience:
        return Audience.of(*self.party_ids) if self.secret else MEMBERS


class TreatyDrafted(TreatyEvent):
    """A faction proposes a treaty, or changes its draft, which takes back all signatures."""

    message_type = "diplomacy.treaty_drafted"

    faction_id: UUID | None
    clauses: list[dict[str, Any]]
    text: str
    changed: bool = False
    draft: int = Field(1, description="The number of the draft; see it to sign what you have read.")
    starts_at: int | None = Field(None, description="World ms; null: when all have signed.")
    duration_days: float | None = Field(None, description="World days; null: for good.")
    renews: bool = False
    notice_days: float = 0
    grace_days: float = 0
    on_breach: str = "note"


class TreatySigned(TreatyEvent):
    """A party has signed; `missing` have not yet."""

    message_type = "diplomacy.treaty_signed"

    faction_id: UUID
    missing: list[UUID]


class TreatyRejected(TreatyEvent):
    """A party will not sign: the draft is closed."""

    message_type = "diplomacy.treaty_rejected"

    faction_id: UUID
    reason: str


class TreatyInForce(TreatyEvent):
    """All have signed and it has begun: its clauses bind from now on, until `ends_at` (world ms; null: for good)."""

    message_type = "diplomacy.treaty_in_force"

    starts_at: int
    ends_at: int | None
    clauses: list[dict[str, Any]]
    imported: bool = Field(
        False, description="Whether it is history that was brought in, which moves nobody."
    )


class TreatyAgreed(TreatyEvent):
    """A party agrees to terminate, suspend, resume or renew; `missing` have not yet."""

    message_type = "diplomacy.treaty_change_agreed"

    faction_id: UUID
    change: str
    missing: list[UUID]


class TreatySuspended(TreatyEvent):
    """Its clauses do not bind for now."""

    message_type = "diplomacy.treaty_suspended"

    reason: str


class TreatyResumed(TreatyEvent):
    """Its clauses bind again."""

    message_type = "diplomacy.treaty_resumed"


class TreatyRenewed(TreatyEvent):
    """It was to end, and goes on until `ends_at` (world ms)."""

    message_type = "diplomacy.treaty_renewed"

    ends_at: int | None


class TreatyExpired(TreatyEvent):
    """Its time is over."""

    message_type = "diplomacy.treaty_expired"


class TreatyTerminated(TreatyEvent):
    """It ended before its time: by agreement, because too few parties are left, or because it was broken."""

    message_type = "diplomacy.treaty_terminated"

    reason: str


class WithdrawalAnnounced(TreatyEvent):
    """A party will leave the treaty at `leaves_at` (world ms)."""

    message_type = "diplomacy.treaty_withdrawal_announced"

    faction_id: UUID
    leaves_at: int


class PartyWithdrawn(TreatyEvent):
    """A party has left the treaty."""

    message_type = "diplomacy.treaty_party_withdrawn"

    faction_id: UUID


class _OfViolation(TreatyEvent):
    violation_id: UUID
    clause_id: UUID
    clause: int
    faction_id: UUID
    text: str


class TreatyViolated(_OfViolation):
    """A party broke a clause. `event_id` is the evidence; with `grace_until` it may still be mended."""

    message_type = "diplomacy.treaty_violated"

    event_id: UUID | None
    victim_ids: list[UUID]
    confirmed: bool
    grace_until: int | None


class ViolationMended(_OfViolation):
    """What was owed was done within the grace."""

    message_type = "diplomacy.treaty_violation_mended"


class BreachAlleged(_OfViolation):
    """A party accuses another of a breach. Whether it is `founded` was found in the log."""

    message_type = "diplomacy.treaty_breach_alleged"

    accuser_id: UUID
    founded: bool


class ClauseFulfilled(TreatyEvent):
    """What a clause asked for was done, once and for all."""

    message_type = "diplomacy.treaty_clause_fulfilled"

    clause_id: UUID
    clause: int


class TreatyRevealed(TreatyEvent):
    """A secret treaty is known to all from now on."""

    message_type = "diplomacy.treaty_revealed"

    clauses: list[dict[str, Any]]
    how: str


class SpyReturned(Event):
    """A faction has spied on another. `treaty_id` is what was found; who was `caught` is an incident, too."""

    message_type = "diplomacy.spied"
    subjects = ("faction_id", "target_id", "by_id")

    faction_id: UUID
    target_id: UUID
    by_id: UUID | None
    roll: int
    skill: float
    score: float
    needed: float
    treaty_id: UUID | None
    caught: bool

    def audience(self) -> Audience:
        return Audience.of(self.faction_id)


EVENTS = (
    TreatyDrafted, TreatySigned, TreatyRejected, TreatyInForce, TreatyAgreed, TreatySuspended, TreatyResumed,
    TreatyRenewed, TreatyExpired, TreatyTerminated, WithdrawalAnnounced, PartyWithdrawn, TreatyViolated,
    ViolationMended, BreachAlleged, ClauseFulfilled, TreatyRevealed, SpyReturned,
)  # fmt: skip
"""What this part of the system tells of."""
