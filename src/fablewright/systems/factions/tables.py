"""What is stored of factions and their members."""

from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from fablewright.core.tables import WORLD, Base


class Faction(Base):
    """A power of the world: a realm, a guild, a cult. Who was dissolved keeps its row.

    `reputation` is as it was at `reputation_at` (world ms); it fades towards 0, which is computed on reading.
    `roles` says, for each diplomatic role, what it may do; `ranks` come highest first. What it owns is an account
    of the ledger with the faction's id as its owner.
    """

    __tablename__ = "factions"
    __table_args__ = (
        CheckConstraint("char_length(name) BETWEEN 1 AND 200", name="name_length"),
        CheckConstraint("char_length(kind) BETWEEN 1 AND 50", name="kind_length"),
        CheckConstraint("char_length(description) <= 4000", name="description_length"),
        CheckConstraint("color ~ '^#[0-9a-f]{6}$'", name="color_form"),
        CheckConstraint("reputation BETWEEN -100 AND 100", name="reputation_range"),
        CheckConstraint("strength >= 0", name="strength_range"),
        CheckConstraint("cardinality(ranks) BETWEEN 1 AND 20", name="ranks_number"),
        CheckConstraint("dissolved_at IS NULL OR leader_id IS NULL", name="dissolved_has_no_leader"),
        ForeignKeyConstraint(
            ["world_id", "leader_id"], ["characters.world_id", "characters.id"], name="fk_factions_leader",
            ondelete="SET NULL (leader_id)",
        ),
        ForeignKeyConstraint(
            ["world_id", "capital_id"], ["regions.world_id", "regions.id"], name="fk_factions_capital",
            ondelete="SET NULL (capital_id)",
        ),
        Index(
            "uq_factions_name", "world_id", "name", unique=True, postgresql_where=text("dissolved_at IS NULL")
        ),
        Index("ix_factions_leader", "world_id", "leader_id"),
        Index("ix_factions_capital", "world_id", "capital_id"),
        {"postgresql_with": {"fillfactor": "70"}},
    )  # fmt: skip

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    kind: Mapped[str]
    description: Mapped[str]
    color: Mapped[str]
    leader_id: Mapped[UUID | None]
    ideology: Mapped[dict[str, Any]] = mapped_column(JSONB)
    traits: Mapped[dict[str, Any]] = mapped_column(JSONB)
    currency: Mapped[str]
    roles: Mapped[dict[str, Any]] = mapped_column(JSONB)
    ranks: Mapped[list[str]]
    capital_id: Mapped[UUID | None]
    self_run: Mapped[bool]
    reputation: Mapped[float]
    reputation_at: Mapped[int]
    strength: Mapped[float]
    founded_at: Mapped[int]
    dissolved_at: Mapped[int | None]


class FactionMember(Base):
    """That a character belonged to a faction, with a rank and perhaps a diplomatic role, from `joined_at` on.

    With `left_at` null it still does. A character belongs to one faction at a time.
    """

    __tablename__ = "faction_members"
    __table_args__ = (
        ForeignKeyConstraint(
            ["world_id", "faction_id"], ["factions.world_id", "factions.id"], name="fk_faction_members_faction",
            ondelete="CASCADE",
        ),
        ForeignKeyConstraint(
            ["world_id", "character_id"], ["characters.world_id", "characters.id"],
            name="fk_faction_members_character", ondelete="CASCADE",
        ),
        CheckConstraint("char_length(rank) BETWEEN 1 AND 50", name="rank_length"),
        Index(
            "uq_faction_members_character", "world_id", "character_id", unique=True,
            postgresql_where=text("left_at IS NULL"),
        ),
        Index("ix_faction_members_faction", "world_id", "faction_id", "character_id"),
        Index("ix_faction_members_history", "world_id", "character_id", "joined_at"),
    )  # fmt: skip

    world_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    faction_id: Mapped[UUID]
    character_id: Mapped[UUID]
    rank: Mapped[str]
    role: Mapped[str | None]
    joined_at: Mapped[int]
    left_at: Mapped[int | None]
