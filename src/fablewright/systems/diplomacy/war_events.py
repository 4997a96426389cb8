"""What happens in incidents, ultimatums, sanctions and wars. All members of a world may know, but of a secret."""

from typing import Any, ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from fablewright.core.messages import MEMBERS, Audience, Event


class _Open(Event):
    def audience(self) -> Audience:
        return MEMBERS


class PartTold(BaseModel):
    """One of the numbers that another is made of."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    what: str
    amount: float


# -- incidents -------------------------------------------------------------------------------------------------


class _OfIncident(_Open):
    subjects = ("injured_id", "accused_id", "incident_id", "by_id")

    incident_id: UUID
    injured_id: UUID
    accused_id: UUID
    kind: str
    by_id: UUID | None = Field(description="The character who did it; null for a game master or the server.")


class IncidentOccurred(_OfIncident):
    """A faction holds another responsible for something. `follows_id` is the incident it answers, if any."""

    message_type = "diplomacy.incident_occurred"

    severity: float
    evidence: float
    description: str
    rung: str
    region_id: UUID | None
    event_id: UUID | None
    follows_id: UUID | None
    answer_by: int


class IncidentAnswered(_OfIncident):
    """The accused has answered. `amount` was paid as reparation."""

    message_type = "diplomacy.incident_answered"

    answer: str
    amount: int
    rung: str


class IncidentEscalated(_OfIncident):
    """The injured went a rung up the ladder."""

    message_type = "diplomacy.incident_escalated"

    rung: str
    previous: str


class IncidentResolved(_OfIncident):
    """An incident is over: `settled` by reparation, apology or grace, or `faded`."""

    message_type = "diplomacy.incident_resolved"

    state: str
    how: str


class IncidentImported(_OfIncident):
    """An incident that had occurred before was brought in, as it stands or as it ended."""

    message_type = "diplomacy.incident_imported"

    severity: float
    evidence: float
    description: str
    state: str
    rung: str
    since: int


# -- wars ------------------------------------------------------------------------------------------------------


class WarDeclared(_Open):
    """A war began. `legitimacy` (0..1) is how just it seems to others, with its parts."""

    message_type = "diplomacy.war_declared"
    subjects = ("attacker_id", "defender_id", "war_id", "by_id")

    war_id: UUID
    name: str
    attacker_id: UUID
    defender_id: UUID
    cause: str
    cause_id: UUID | None
    reason: str
    legitimacy: float
    parts: list[PartTold]
    by_id: UUID | None


class WarImported(_Open):
    """A war that was begun before was brought in, as it stands or as it ended. Its story is in the command."""

    message_type = "diplomacy.war_imported"
    subjects = ("attacker_id", "defender_id", "war_id")

    war_id: UUID
    name: str
    attacker_id: UUID
    defender_id: UUID
    cause: str
    cause_id: UUID | None
    reason: str
    legitimacy: float
    since: int
    ended_at: int | None
    outcome: str | None


class WarlikeSet(_Open):
    """A game master said how weary of war a faction is (0..100), and how much its aggression frightens others."""

    message_type = "diplomacy.warlike_set"
    subjects = ("faction_id",)

    faction_id: UUID
    exhaustion: float
    aggression: float


class _OfWar(_Open):
    subjects: ClassVar[tuple[str, ...]] = ("faction_id", "war_id", "by_id")

    war_id: UUID
    faction_id: UUID
    by_id: UUID | None


class AllyCalled(_OfWar):
    """A party of a war asks a faction to fight on its side."""

    message_type = "diplomacy.ally_called"
    subjects = ("faction_id", "ally_id", "war_id", "by_id")

    ally_id: UUID
    against_id: UUID = Field(description="Who leads the enemies.")
    side: str
    answer_by: int


class PromiseRecalled(_OfWar):
    """War has come to whom a faction promised help in secret. Only the two know; the one may call the other."""

    message_type = "diplomacy.promise_recalled"
    subjects = ("faction_id", "ally_id", "war_id")

    ally_id: UUID = Field(description="To whom it was promised.")
    against_id: UUID = Field(description="Who leads the enemies.")

    def audience(self) -> Audience:
        return Audience.of(self.faction_id, self.ally_id)


class CallAnswered(_OfWar):
    """A faction that was called has come, or refused."""

    message_type = "diplomacy.call_answered"
    subjects = ("faction_id", "caller_id", "war_id", "by_id")

    caller_id: UUID | None
    against_id: UUID = Field(description="Who leads the enemies.")
    come: bool
    side: str
    silent: bool = Field(False, description="Whether the time to answer ran out.")
    bound: bool = Field(True, description="Whether it had promised to come, and all know of that.")
    excused: bool = Field(
        False, description="Whether a truce or an alliance with the enemy kept it from coming."
    )


class BattleFought(_OfWar):
    """A battle: losses are troops, `score` what it adds to the war score from the view of the war's attacker."""

    message_type = "diplomacy.battle_fought"
    subjects = ("faction_id", "enemy_id", "war_id", "region_id", "by_id")

    battle_id: UUID
    enemy_id: UUID
    region_id: UUID | None
    troops: float
    enemy_troops: float
    losses: float
    enemy_losses: float
    winner_id: UUID | None = Field(description="Null for a draw.")
    rounds: int
    score: float
    parts: list[PartTold]


class RegionOccupied(_OfWar):
    """A region was taken in a war."""

    message_type = "diplomacy.region_occupied"
    subjects = ("faction_id", "holder_id", "region_id", "war_id", "by_id")

    region_id: UUID
    holder_id: UUID


class PeaceMade(_OfWar):
    """A war is over. `score` is how it stood for the attacker; until `truce_until` a truce holds."""

    message_type = "diplomacy.peace_made"
    subjects = ("attacker_id", "defender_id", "war_id", "by_id")

    attacker_id: UUID
    defender_id: UUID
    outcome: str
    score: float
    kept: list[UUID]
    treaty_id: UUID | None
    truce_until: int | None


class WarPartyLeft(_OfWar):
    """A faction that does not lead the war has left it by a peace of its own, or because it is no more."""

    message_type = "diplomacy.war_party_left"

    side: str
    reason: str
    treaty_id: UUID | None


# -- sanctions -------------------------------------------------------------------------------------------------


class _OfSanction(_Open):
    subjects = ("faction_id", "target_id", "sanction_id", "by_id")

    sanction_id: UUID
    faction_id: UUID | None
    target_id: UUID
    kind: str
    by_id: UUID | None


class SanctionImposed(_OfSanction):
    """A faction sanctions another, alone or for its coalition."""

    message_type = "diplomacy.sanction_imposed"

    coalition_id: UUID | None = None

    good: str | None
    rate: float
    reason: str
    until_at: int | None
    frozen: int
    lift_when: list[dict[str, Any]]


class SanctionJoined(_OfSanction):
    """A faction takes part in a sanction of others."""

    message_type = "diplomacy.sanction_joined"


class SanctionLeft(_OfSanction):
    """A faction takes part in a sanction no more."""

    message_type = "diplomacy.sanction_left"


class SanctionBreached(_OfSanction):
    """A member did what the sanction forbids; `event_id` is the evidence."""

    message_type = "diplomacy.sanction_breached"

    event_id: UUID
    words: str


class SanctionLifted(_OfSanction):
    """A sanction is over."""

    message_type = "diplomacy.sanction_lifted"

    reason: str


class SanctionImported(_Open):
    """A sanction that was in force before was brought in."""

    message_type = "diplomacy.sanction_imported"
    subjects = ("target_id", "member_ids", "sanction_id")

    sanction_id: UUID
    target_id: UUID
    member_ids: list[UUID]
    kind: str
    good: str | None
    rate: float
    reason: str
    frozen: int
    lift_when: list[dict[str, Any]]
    since: int
    until_at: int | None
    incident_id: UUID | None
    coalition_id: UUID | None


# -- ultimatums ------------------------------------------------------------------------------------------------


class _OfUltimatum(_Open):
    subjects = ("issuer_id", "target_id", "ultimatum_id", "by_id")

    ultimatum_id: UUID
    issuer_id: UUID
    target_id: UUID
    by_id: UUID | None


class UltimatumIssued(_OfUltimatum):
    """A faction demands something until a deadline, and says what comes otherwise."""

    message_type = "diplomacy.ultimatum_issued"

    demands: list[dict[str, Any]]
    consequence: dict[str, Any]
    text: str
    deadline: int
    incident_id: UUID | None


class UltimatumAnswered(_OfUltimatum):
    """The target has accepted, which makes the demands a treaty, or rejected."""

    message_type = "diplomacy.ultimatum_answered"

    accepted: bool
    treaty_id: UUID | None


class UltimatumExpired(_OfUltimatum):
    """The deadline is over without an answer."""

    message_type = "diplomacy.ultimatum_expired"


class UltimatumWithdrawn(_OfUltimatum):
    """The issuer has backed down, and lost this much reputation."""

    message_type = "diplomacy.ultimatum_withdrawn"

    face: float


class UltimatumCarriedOut(_OfUltimatum):
    """The promised consequence has come (`outcome_id` is the war, sanction or incident), or could not: `reason`."""

    message_type = "diplomacy.ultimatum_carried_out"

    kind: str
    outcome_id: UUID | None
    reason: str


# -- coalitions ------------------------------------------------------------------------------------------------


class _OfCoalition(_Open):
    subjects: ClassVar[tuple[str, ...]] = ("target_id", "faction_id", "coalition_id", "by_id")

    coalition_id: UUID
    target_id: UUID
    faction_id: UUID
    by_id: UUID | None


class CoalitionFormed(_OfCoalition):
    """A faction stands against one that frightens it; `frightened_ids` are the others that have reason to join."""

    message_type = "diplomacy.coalition_formed"
    subjects = ("target_id", "faction_id", "frightened_ids", "coalition_id", "by_id")

    fear: float
    aggression: float = Field(description="How much the target's deeds frighten its neighbours.")
    frightened_ids: list[UUID]


class CoalitionJoined(_OfCoalition):
    """A faction joined a coalition."""

    message_type = "diplomacy.coalition_joined"

    fear: float


class CoalitionLeft(_OfCoalition):
    """A faction left a coalition: `reason` is its choice, or that the fear has passed."""

    message_type = "diplomacy.coalition_left"

    reason: str


class CoalitionImported(_Open):
    """A coalition that stood before was brought in."""

    message_type = "diplomacy.coalition_imported"
    subjects = ("target_id", "member_ids", "coalition_id")

    coalition_id: UUID
    target_id: UUID
    member_ids: list[UUID]
    since: int


class CoalitionDissolved(_Open):
    """A coalition is over."""

    message_type = "diplomacy.coalition_dissolved"
    subjects = ("target_id", "coalition_id")

    coalition_id: UUID
    target_id: UUID
    reason: str
