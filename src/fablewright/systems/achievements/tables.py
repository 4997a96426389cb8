"""What is stored of achievements: their definitions, and who unlocked what."""

from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from fablewright.core.tables import WORLD, Base


class Achievement(Base):
    """A definition (`rules.AchievementDefinition`). `measure_id` is what `progress` counts for it, if it counts.

    `generation` grows when something else is counted: repetitions unlocked before that are kept, and what is counted
    since comes on top of them.
    """

    __tablename__ = "achievements"
    __table_args__ = (
        UniqueConstraint("world_id", "key"),
        CheckConstraint("key ~ '^[a-z][a-z0-9_]{0,59}$'", name="key_form"),
    )

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[str]
    spec: Mapped[dict[str, Any]]
    measure_id: Mapped[UUID | None]
    generation: Mapped[int] = mapped_column(Integer, server_default=text("1"))


class Unlock(Base):
    """That a character reached a tier (from 1), for the how-manieth time (from 1). The key makes it once.

    `generation` is the achievement's at that time.
    """

    __tablename__ = "achievement_unlocks"
    __table_args__ = (
        ForeignKeyConstraint(
            ["world_id", "achievement_id"], ["achievements.world_id", "achievements.id"], ondelete="CASCADE"
        ),
        ForeignKeyConstraint(
            ["world_id", "character_id"], ["characters.world_id", "characters.id"], ondelete="CASCADE"
        ),
        CheckConstraint("tier >= 1", name="tier_positive"),
        CheckConstraint("repetition >= 1", name="repetition_positive"),
        Index("ix_achievement_unlocks_achievement", "world_id", "achievement_id"),
    )

    world_id: Mapped[UUID] = mapped_column(primary_key=True)
    character_id: Mapped[UUID] = mapped_column(primary_key=True)
    achievement_id: Mapped[UUID] = mapped_column(primary_key=True)
    tier: Mapped[int] = mapped_column(Integer, primary_key=True)
    repetition: Mapped[int] = mapped_column(Integer, primary_key=True)
    at: Mapped[int]
    event_id: Mapped[UUID]
    generation: Mapped[int] = mapped_column(Integer, server_default=text("1"))
