"""What is stored of incidents, ultimatums, sanctions, wars and coalitions.

Factions, treaties and events are known by their ids only. Times are world ms; `by_id` is the character who did it, null
for a game master or the server. Nothing is deleted: what is over says since when.
"""

from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from fablewright.core.tables import WORLD, Base


class Incident(Base):
    """Something between two factions that one of them takes ill; `rung` is its place on `ladder.LADDER`."""

    __tablename__ = "incidents"
    __table_args__ = (
        CheckConstraint("injured_id <> accused_id", name="two_factions"),
        CheckConstraint("severity BETWEEN 0 AND 1 AND evidence BETWEEN 0 AND 1", name="shares"),
        CheckConstraint("state IN ('open', 'answered', 'settled', 'faded')", name="state_known"),
        CheckConstraint("(closed_at IS NULL) = (state IN ('open', 'answered'))", name="closed_has_time"),
        CheckConstraint("rung BETWEEN 0 AND 6 AND paid >= 0", name="ranges"),
        Index("ix_incidents_injured", "world_id", "injured_id", "id"),
        Index("ix_incidents_accused", "world_id", "accused_id", "id"),
        Index(
            "ix_incidents_open", "world_id", "injured_id", "accused_id",
            postgresql_where=text("closed_at IS NULL"),
        ),
    )  # fmt: skip

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    injured_id: Mapped[UUID]
    accused_id: Mapped[UUID]
    severity: Mapped[float]
    evidence: Mapped[float]
    description: Mapped[str]
    region_id: Mapped[UUID | None]
    event_id: Mapped[UUID | None]
    follows_id: Mapped[UUID | None]
    state: Mapped[str]
    rung: Mapped[int]
    answer: Mapped[str | None]
    paid: Mapped[int] = mapped_column(server_default=text("0"))
    tried: Mapped[int] = mapped_column(server_default=text("0"))
    answer_by: Mapped[int]
    by_id: Mapped[UUID | None]
    at: Mapped[int]
    changed_at: Mapped[int]
    closed_at: Mapped[int | None]


class Ultimatum(Base):
    """Demands of one faction to another, with a deadline and a consequence that comes by itself.

    After a no or silence the consequence comes at `acts_at`; then that is null, and `outcome_id` names what came of it
    (the war, sanction or incident), or `outcome` says why nothing did.
    """

    __tablename__ = "ultimatums"
    __table_args__ = (
        CheckConstraint("issuer_id <> target_id", name="two_factions"),
        CheckConstraint(
            "state IN ('issued', 'accepted', 'rejected', 'expired', 'withdrawn')", name="state_known"
        ),
        CheckConstraint("(closed_at IS NULL) = (state = 'issued')", name="closed_has_time"),
        CheckConstraint("deadline > at", name="forward"),
        CheckConstraint("acts_at IS NULL OR state IN ('rejected', 'expired')", name="acts_after_no"),
        Index("ix_ultimatums_issuer", "world_id", "issuer_id", "id"),
        Index("ix_ultimatums_target", "world_id", "target_id", "id"),
        Index(
            "uq_ultimatums_open", "world_id", "issuer_id", "target_id", unique=True,
            postgresql_where=text("closed_at IS NULL"),
        ),
    )  # fmt: skip

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    issuer_id: Mapped[UUID]
    target_id: Mapped[UUID]
    demands: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    consequence: Mapped[dict[str, Any]] = mapped_column(JSONB)
    text: Mapped[str]
    state: Mapped[str]
    duration_days: Mapped[int | None]
    incident_id: Mapped[UUID | None]
    treaty_id: Mapped[UUID | None]
    deadline: Mapped[int]
    acts_at: Mapped[int | None]
    outcome: Mapped[str | None]
    outcome_id: Mapped[UUID | None]
    by_id: Mapped[UUID | None]
    answered_by_id: Mapped[UUID | None]
    at: Mapped[int]
    closed_at: Mapped[int | None]


class Sanction(Base):
    """What a bloc does to a faction short of war; it stands as restrictions with the source `sanction:<id>`."""

    __tablename__ = "sanctions"
    __table_args__ = (
        CheckConstraint("kind IN ('embargo', 'tariff', 'asset_freeze', 'travel_ban')", name="kind_known"),
        CheckConstraint("rate BETWEEN 0 AND 1", name="rate_range"),
        CheckConstraint("(frozen = 0 OR kind = 'asset_freeze') AND frozen >= 0", name="frozen_assets"),
        Index("ix_sanctions_target", "world_id", "target_id", "id"),
        Index("ix_sanctions_open", "world_id", "id", postgresql_where=text("lifted_at IS NULL")),
    )

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    target_id: Mapped[UUID]
    kind: Mapped[str]
    good: Mapped[str | None]
    rate: Mapped[float]
    reason: Mapped[str]
    lift_when: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    incident_id: Mapped[UUID | None]
    coalition_id: Mapped[UUID | None]
    hold_id: Mapped[UUID | None]
    frozen: Mapped[int] = mapped_column(server_default=text("0"))
    until_at: Mapped[int | None]
    by_id: Mapped[UUID | None]
    at: Mapped[int]
    lifted_at: Mapped[int | None]
    lift_reason: Mapped[str | None]


class SanctionMember(Base):
    """That a faction takes part in a sanction, or did; who joins again has another row."""

    __tablename__ = "sanction_members"
    __table_args__ = (
        ForeignKeyConstraint(
            ["world_id", "sanction_id"], ["sanctions.world_id", "sanctions.id"], ondelete="CASCADE"
        ),
        Index(
            "uq_sanction_members_open", "world_id", "sanction_id", "faction_id", unique=True,
            postgresql_where=text("left_at IS NULL"),
        ),
        Index("ix_sanction_members_sanction", "world_id", "sanction_id", "joined_at"),
        Index("ix_sanction_members_faction", "world_id", "faction_id", "sanction_id"),
    )  # fmt: skip

    world_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    sanction_id: Mapped[UUID]
    faction_id: Mapped[UUID]
    by_id: Mapped[UUID | None]
    joined_at: Mapped[int]
    left_at: Mapped[int | None]


class SanctionBreach(Base):
    """That a member did what its own sanction forbids; `event_id` is the evidence."""

    __tablename__ = "sanction_breaches"
    __table_args__ = (
        ForeignKeyConstraint(
            ["world_id", "sanction_id"], ["sanctions.world_id", "sanctions.id"], ondelete="CASCADE"
        ),
        Index("uq_sanction_breaches", "world_id", "sanction_id", "faction_id", "event_id", unique=True),
    )

    world_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    sanction_id: Mapped[UUID]
    faction_id: Mapped[UUID]
    event_id: Mapped[UUID]
    words: Mapped[str]
    at: Mapped[int]


class War(Base):
    """A war between two sides, each led by the faction that it began with; `final_score` is what it ended with."""

    __tablename__ = "wars"
    __table_args__ = (
        CheckConstraint("attacker_id <> defender_id", name="two_factions"),
        CheckConstraint("legitimacy BETWEEN 0 AND 1", name="legitimacy_range"),
        CheckConstraint(
            "num_nulls(ended_at, outcome, final_score, final_parts) IN (0, 4)", name="ended_has_outcome"
        ),
        Index("ix_wars_attacker", "world_id", "attacker_id", "id"),
        Index("ix_wars_defender", "world_id", "defender_id", "id"),
        Index("ix_wars_open", "world_id", "id", postgresql_where=text("ended_at IS NULL")),
    )

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    attacker_id: Mapped[UUID]
    defender_id: Mapped[UUID]
    cause: Mapped[str]
    cause_id: Mapped[UUID | None]
    reason: Mapped[str]
    legitimacy: Mapped[float]
    legitimacy_parts: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    battle_score: Mapped[float] = mapped_column(server_default=text("0"))
    treaty_id: Mapped[UUID | None]
    outcome: Mapped[str | None]
    final_score: Mapped[float | None]
    final_parts: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB)
    by_id: Mapped[UUID | None]
    at: Mapped[int]
    ended_at: Mapped[int | None]


class WarParty(Base):
    """A faction in a war: called, come, refused or gone. `regions` it held when the war began for it."""

    __tablename__ = "war_parties"
    __table_args__ = (
        ForeignKeyConstraint(["world_id", "war_id"], ["wars.world_id", "wars.id"], ondelete="CASCADE"),
        CheckConstraint("side IN ('attacker', 'defender')", name="side_known"),
        CheckConstraint("state IN ('called', 'fighting', 'refused', 'out')", name="state_known"),
        CheckConstraint("(left_at IS NOT NULL) = (state = 'out')", name="out_has_time"),
        Index("ix_war_parties_faction", "world_id", "faction_id", "war_id"),
    )

    world_id: Mapped[UUID] = mapped_column(primary_key=True)
    war_id: Mapped[UUID] = mapped_column(primary_key=True)
    faction_id: Mapped[UUID] = mapped_column(primary_key=True)
    side: Mapped[str]
    state: Mapped[str]
    called_by_id: Mapped[UUID | None]
    regions: Mapped[int] = mapped_column(server_default=text("0"))
    losses: Mapped[float] = mapped_column(server_default=text("0"))
    at: Mapped[int]
    left_at: Mapped[int | None]


class WarBattle(Base):
    """A battle that was fought; `score` is what it adds to the war score, from the view of the war's attacker."""

    __tablename__ = "war_battles"
    __table_args__ = (
        ForeignKeyConstraint(["world_id", "war_id"], ["wars.world_id", "wars.id"], ondelete="CASCADE"),
        CheckConstraint("winner IN ('attacker', 'defender', 'draw')", name="winner_known"),
        Index("ix_war_battles_war", "world_id", "war_id", "id"),
    )

    world_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    war_id: Mapped[UUID]
    attacker_id: Mapped[UUID]
    defender_id: Mapped[UUID]
    region_id: Mapped[UUID | None]
    attacker_troops: Mapped[float]
    defender_troops: Mapped[float]
    attacker_losses: Mapped[float]
    defender_losses: Mapped[float]
    winner: Mapped[str]
    rounds: Mapped[int]
    score: Mapped[float]
    parts: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    by_id: Mapped[UUID | None]
    at: Mapped[int]


class Occupation(Base):
    """That a region was taken in a war from `holder_id`; until peace, or until it is retaken."""

    __tablename__ = "occupations"
    __table_args__ = (
        ForeignKeyConstraint(["world_id", "war_id"], ["wars.world_id", "wars.id"], ondelete="CASCADE"),
        Index(
            "uq_occupations_region", "world_id", "region_id", unique=True,
            postgresql_where=text("until_at IS NULL"),
        ),
        Index("ix_occupations_war", "world_id", "war_id", "id"),
    )  # fmt: skip

    world_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    war_id: Mapped[UUID]
    region_id: Mapped[UUID]
    holder_id: Mapped[UUID]
    occupier_id: Mapped[UUID]
    at: Mapped[int]
    until_at: Mapped[int | None]


class Warlike(Base):
    """What war has made of a faction: `exhaustion` 0..100 and how much its `aggression` frightens others.

    Each is as it was at its time and computed on reading; `wars` is in how many it is now.
    """

    __tablename__ = "warlike"
    __table_args__ = (
        CheckConstraint("exhaustion BETWEEN 0 AND 100 AND aggression >= 0 AND wars >= 0", name="ranges"),
    )

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    faction_id: Mapped[UUID] = mapped_column(primary_key=True)
    exhaustion: Mapped[float] = mapped_column(server_default=text("0"))
    exhaustion_at: Mapped[int]
    aggression: Mapped[float] = mapped_column(server_default=text("0"))
    aggression_at: Mapped[int]
    wars: Mapped[int] = mapped_column(server_default=text("0"))


class Coalition(Base):
    """Factions that stand together against one whose aggression frightens them."""

    __tablename__ = "coalitions"
    __table_args__ = (
        Index(
            "uq_coalitions_target", "world_id", "target_id", unique=True,
            postgresql_where=text("dissolved_at IS NULL"),
        ),
    )  # fmt: skip

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    target_id: Mapped[UUID]
    by_id: Mapped[UUID | None]
    at: Mapped[int]
    dissolved_at: Mapped[int | None]


class CoalitionMember(Base):
    """That a faction belongs to a coalition, or did; `fear` (0..100) as it was when it joined."""

    __tablename__ = "coalition_members"
    __table_args__ = (
        ForeignKeyConstraint(
            ["world_id", "coalition_id"], ["coalitions.world_id", "coalitions.id"], ondelete="CASCADE"
        ),
        Index(
            "uq_coalition_members_open", "world_id", "coalition_id", "faction_id", unique=True,
            postgresql_where=text("left_at IS NULL"),
        ),
        Index("ix_coalition_members_coalition", "world_id", "coalition_id", "at"),
        Index("ix_coalition_members_faction", "world_id", "faction_id", "coalition_id"),
    )  # fmt: skip

    world_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    coalition_id: Mapped[UUID]
    faction_id: Mapped[UUID]
    fear: Mapped[float]
    by_id: Mapped[UUID | None]
    at: Mapped[int]
    left_at: Mapped[int | None]
