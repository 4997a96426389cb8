"""What is stored of ties."""

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from fablewright.core.tables import Base


class Tie(Base):
    """How a character (`source_id`) feels about another (`target_id`).

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
