"""What is stored of ties."""

from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from fablewright.core.tables import Base


class Tie(Base):
    """How a character (`source_id`) feels about another (`target_id`).

    `strength`, `trust` and `familiarity` are as they were at `felt_at` (world ms); since then they drift towards
    `resting_strength`, `resting_trust` and 0, which is computed on reading. `reasons` holds the last changes with
    their sizes, newest last; `habits`, by interaction type, when it last happened and how used one is to it.

    It has no foreign key to `worlds` of its own: those to the characters bind it to their world. What changes
    with each interaction is not indexed, and pages have room, so that updates stay on their page.
    """

    __tablename__ = "ties"
    __table_args__ = (
        UniqueConstraint("world_id", "source_id", "target_id"),
        ForeignKeyConstraint(
            ["world_id", "source_id"],
            ["characters.world_id", "characters.id"],
            name="fk_ties_source",
            ondelete="CASCADE",
        ),
        ForeignKeyConstraint(
            ["world_id", "target_id"],
            ["characters.world_id", "characters.id"],
            name="fk_ties_target",
            ondelete="CASCADE",
        ),
        CheckConstraint("source_id <> target_id", name="two_characters"),
        CheckConstraint("strength BETWEEN -1 AND 1", name="strength_range"),
        CheckConstraint("trust BETWEEN 0 AND 1", name="trust_range"),
        CheckConstraint("familiarity BETWEEN 0 AND 1", name="familiarity_range"),
        CheckConstraint("resting_strength BETWEEN -1 AND 1", name="resting_strength_range"),
        CheckConstraint("resting_trust BETWEEN 0 AND 1", name="resting_trust_range"),
        CheckConstraint("interaction_count >= 0", name="count_positive"),
        CheckConstraint("(interaction_count = 0) = (last_interaction_at IS NULL)", name="count_has_time"),
        Index("ix_ties_target", "world_id", "target_id", "source_id"),
        {"postgresql_with": {"fillfactor": "70"}},
    )

    world_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    source_id: Mapped[UUID]
    target_id: Mapped[UUID]
    strength: Mapped[float]
    trust: Mapped[float]
    interaction_count: Mapped[int] = mapped_column(server_default=text("0"))
    last_interaction_at: Mapped[int | None]
    familiarity: Mapped[float] = mapped_column(server_default=text("0"))
    resting_strength: Mapped[float] = mapped_column(server_default=text("0"))
    resting_trust: Mapped[float] = mapped_column(server_default=text("0.5"))
    felt_at: Mapped[int] = mapped_column(server_default=text("0"))
    labels: Mapped[list[str]] = mapped_column(server_default=text("'{}'::text[]"))
    reasons: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"))
    habits: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
