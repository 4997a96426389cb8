"""What is stored of characters."""

from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from fablewright.core.tables import WORLD, Base

LIVING = text("deleted_at IS NULL")


class Character(Base):
    """A character of a world.

    `energy` is what was left at `energy_at` (world ms), and `pleasure`, `arousal` and `dominance` how it felt at
    `emotion_at`; what they are now is computed on reading. Deleted ones
    keep their row (`deleted_at`, world ms), since the log and other systems name them. Neither energy,
    nor emotion, nor status is indexed, and pages have room, so that the many updates stay on their page.
    """

    __tablename__ = "characters"
    __table_args__ = (
        CheckConstraint("char_length(name) BETWEEN 1 AND 200", name="name_length"),
        CheckConstraint("char_length(description) <= 4000", name="description_length"),
        CheckConstraint("kind IN ('player', 'npc')", name="kind_known"),
        CheckConstraint("status IN ('active', 'asleep', 'away')", name="status_known"),
        CheckConstraint("openness BETWEEN 0 AND 1", name="openness_range"),
        CheckConstraint("conscientiousness BETWEEN 0 AND 1", name="conscientiousness_range"),
        CheckConstraint("extraversion BETWEEN 0 AND 1", name="extraversion_range"),
        CheckConstraint("agreeableness BETWEEN 0 AND 1", name="agreeableness_range"),
        CheckConstraint("neuroticism BETWEEN 0 AND 1", name="neuroticism_range"),
        CheckConstraint("energy BETWEEN 0 AND 1", name="energy_range"),
        CheckConstraint("pleasure BETWEEN -1 AND 1", name="pleasure_range"),
        CheckConstraint("arousal BETWEEN -1 AND 1", name="arousal_range"),
        CheckConstraint("dominance BETWEEN -1 AND 1", name="dominance_range"),
        Index("ix_characters_name", "world_id", "name", "id", postgresql_where=LIVING),
        Index(
            "ix_characters_name_prefix",
            "world_id",
            text("lower(name) text_pattern_ops"),
            postgresql_where=LIVING,
        ),
        Index("ix_characters_user", "user_id", "world_id", postgresql_where=text("user_id IS NOT NULL")),
        {"postgresql_with": {"fillfactor": "70"}},
    )

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    kind: Mapped[str]
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    description: Mapped[str]
    openness: Mapped[float]
    conscientiousness: Mapped[float]
    extraversion: Mapped[float]
    agreeableness: Mapped[float]
    neuroticism: Mapped[float]
    energy: Mapped[float]
    energy_at: Mapped[int]
    status: Mapped[str]
    deleted_at: Mapped[int | None]
    pleasure: Mapped[float] = mapped_column(server_default=text("0"))
    arousal: Mapped[float] = mapped_column(server_default=text("0"))
    dominance: Mapped[float] = mapped_column(server_default=text("0"))
    emotion_at: Mapped[int] = mapped_column(server_default=text("0"))
    attributes: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    skills: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    tags: Mapped[list[str]] = mapped_column(server_default=text("'{}'::text[]"))
    goals: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"))
    portrait_url: Mapped[str | None]
    speech: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
