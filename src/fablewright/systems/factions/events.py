"""What happens to factions, and who may know. All members of the world may, but what goes through a treasury."""

from typing import ClassVar
from uuid import UUID

from pydantic import BaseModel

from fablewright.core.messages import MEMBERS, Audience, Event
from fablewright.systems.ledger.book import WORLD_OWNERS


class TraitsTold(BaseModel):
    """How a faction tends to act, each 0..1."""

    aggressive: float
    honourable: float
    mercantile: float
    isolationist: float


class MemberTold(BaseModel):
    """Who belongs to a faction, as what."""

    character_id: UUID
    rank: str
    role: str | None


class _FactionEvent(Event):
    subjects: ClassVar[tuple[str, ...]] = ("faction_id",)

    faction_id: UUID

    def audience(self) -> Audience:
        return MEMBERS


class _Portrayed(_FactionEvent):
    """All that is known of a faction, as it is after the event. Who leads it and what it has is told elsewhere."""

    name: str
    kind: str
    description: str
    color: str
    ideology: dict[str, float]
    traits: TraitsTold
    currency: str
    roles: dict[str, list[str]]
    ranks: list[str]
    capital_id: UUID | None
    self_run: bool


class Founded(_Portrayed):
    """A faction came into the world, with its first members. `founded_at` (world ms) may be long past."""

    message_type = "factions.founded"
    subjects = ("faction_id", "leader_id")

    leader_id: UUID | None
    members: list[MemberTold]
    reputation: float
    strength: float
    founded_at: int

    def about(self) -> list[UUID]:
        """The faction, and those who belong to it."""
        return [self.faction_id, *(member.character_id for member in self.members)]


class Changed(_Portrayed):
    """A faction changed: `changed` names the fields, the others hold all values after the change."""

    message_type = "factions.changed"

    changed: list[str]


class Dissolved(_FactionEvent):
    """A faction is no more; its members are free. What it held went to `heir_id`, its treasury else to the sink."""

    message_type = "factions.dissolved"
    subjects = ("faction_id", "heir_id")

    name: str
    reason: str
    heir_id: UUID | None
    by_id: UUID | None


class _MemberEvent(_FactionEvent):
    subjects = ("faction_id", "character_id")

    character_id: UUID


class MemberJoined(_MemberEvent):
    """A character belongs to a faction from now on. `by_id` let it in; null: a game master."""

    message_type = "factions.member_joined"

    rank: str
    role: str | None
    by_id: UUID | None


class MemberLeft(_MemberEvent):
    """A character does not belong to a faction any more: it left by itself, was sent away by `by_id` (null: a game
    master), or died."""

    message_type = "factions.member_left"

    rank: str
    role: str | None
    cause: str
    """left, removed, died or dissolved."""
    reason: str
    by_id: UUID | None


class RankChanged(_MemberEvent):
    """A member has another rank, another role, or both."""

    message_type = "factions.rank_changed"

    rank: str
    role: str | None
    previous_rank: str
    previous_role: str | None
    by_id: UUID | None


class LeaderChanged(_FactionEvent):
    """Another member leads the faction; null: nobody does."""

    message_type = "factions.leader_changed"
    subjects = ("faction_id", "leader_id", "previous_id")

    leader_id: UUID | None
    previous_id: UUID | None
    cause: str
    """named, left, removed or died: how it came about."""


class TreasuryMoved(Event):
    """A sum went out of a treasury, or into one. Only the two sides (and game masters) know."""

    message_type = "factions.treasury_moved"
    subjects = ("from_id", "to_id")

    transfer_id: UUID
    from_id: UUID
    to_id: UUID
    currency: str
    amount: int
    kind: str
    reason: str
    reference: str | None
    by_id: UUID | None

    def audience(self) -> Audience:
        return Audience.of(*self.about())

    def about(self) -> list[UUID]:
        """Who paid and who was paid, without the world's own accounts."""
        return [side for side in (self.from_id, self.to_id) if side not in WORLD_OWNERS]


class ReputationChanged(_FactionEvent):
    """The world thinks better or worse of a faction: by `delta`, so that it stands at `reputation` (-100..100)."""

    message_type = "factions.reputation_changed"

    reputation: float
    previous: float
    delta: float
    reason: str


class StrengthChanged(_FactionEvent):
    """A faction has more or fewer troops. `by_id` mustered them; null for other causes."""

    message_type = "factions.strength_changed"

    strength: float
    previous: float
    reason: str
    by_id: UUID | None = None
