"""What is stored of points: rules, standings, and what the checks against abuse know."""

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


def _character() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["world_id", "character_id"], ["characters.world_id", "characters.id"], ondelete="CASCADE"
    )


KEY_FORM = "key ~ '^[a-z][a-z0-9_]{0,59}$'"


class PointsSettings(Base):
    """How a world's levels rise, and which checks across actions it makes."""

    __tablename__ = "points_settings"

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    levels: Mapped[dict[str, Any]]
    guards: Mapped[dict[str, Any]]


class AwardRule(Base):
    """What an action, or an event that fits a pattern, is worth (`commands.AwardRuleSpec`)."""

    __tablename__ = "award_rules"
    __table_args__ = (UniqueConstraint("world_id", "key"), CheckConstraint(KEY_FORM, name="key_form"))

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[str]
    spec: Mapped[dict[str, Any]]


class BonusEvent(Base):
    """A time (world ms) in which awards are multiplied; of all rules, or of those whose keys it names."""

    __tablename__ = "bonus_events"
    __table_args__ = (
        CheckConstraint("multiplier > 0 AND multiplier <= 100", name="multiplier_range"),
        CheckConstraint("until_ms > from_ms", name="forward"),
    )

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    multiplier: Mapped[float]
    rules: Mapped[list[str] | None]
    from_ms: Mapped[int]
    until_ms: Mapped[int]


class Standing(Base):
    """What a character has earned over its life, and what follows from it.

    `earned` counts only what was awarded, never what was given by others; `recent` are the world times of its last
    awards; `awards`, `mean` and `spread` (the sum of squared deviations) describe the sizes of its awards.
    Pages have room, so that updates stay on their page.
    """

    __tablename__ = "standings"
    __table_args__ = (
        _character(),
        CheckConstraint("earned >= 0", name="earned_not_negative"),
        CheckConstraint("level >= 1", name="level_range"),
        CheckConstraint("streak >= 0", name="streak_not_negative"),
        {"postgresql_with": {"fillfactor": "50"}},
    )

    world_id: Mapped[UUID] = mapped_column(primary_key=True)
    character_id: Mapped[UUID] = mapped_column(primary_key=True)
    earned: Mapped[int] = mapped_column(server_default=text("0"))
    level: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    streak: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    streak_day: Mapped[int | None]
    recent: Mapped[list[int]] = mapped_column(server_default=text("'{}'::bigint[]"))
    awards: Mapped[int] = mapped_column(server_default=text("0"))
    mean: Mapped[float] = mapped_column(server_default=text("0"))
    spread: Mapped[float] = mapped_column(server_default=text("0"))


class CharacterTitle(Base):
    """A title that a character was granted, such as by an achievement."""

    __tablename__ = "character_titles"
    __table_args__ = (_character(),)

    world_id: Mapped[UUID] = mapped_column(primary_key=True)
    character_id: Mapped[UUID] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(primary_key=True)
    source: Mapped[str]
    at: Mapped[int]


class ActionState(Base):
    """What a character did of one limited action: the times within the longest window, and today's sums."""

    __tablename__ = "action_states"
    __table_args__ = (_character(), {"postgresql_with": {"fillfactor": "50"}})

    world_id: Mapped[UUID] = mapped_column(primary_key=True)
    character_id: Mapped[UUID] = mapped_column(primary_key=True)
    action: Mapped[str] = mapped_column(primary_key=True)
    times: Mapped[list[int]] = mapped_column(server_default=text("'{}'::bigint[]"))
    last_at: Mapped[int | None]
    day: Mapped[int | None]
    day_count: Mapped[int] = mapped_column(server_default=text("0"))
    day_amount: Mapped[int] = mapped_column(server_default=text("0"))


class ActionStatistic(Base):
    """The sizes of a world's awards of one action: how many, their mean, the sum of squared deviations."""

    __tablename__ = "action_statistics"
    __table_args__ = ({"postgresql_with": {"fillfactor": "30"}},)

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    action: Mapped[str] = mapped_column(primary_key=True)
    awards: Mapped[int]
    mean: Mapped[float]
    spread: Mapped[float]


class Verdict(Base):
    """What a check against abuse found, with its evidence, and what came of it.

    Refusals of one check, action and character on one world day share a row, and so do reductions: `times` counts
    them, the evidence is that of the last, and `at` is the time of the first.
    """

    __tablename__ = "abuse_verdicts"
    __table_args__ = (
        _character(),
        CheckConstraint("outcome IN ('refuse', 'reduce', 'flag', 'quarantine')", name="outcome_known"),
        CheckConstraint(
            "state IN ('noted', 'open', 'released', 'confirmed', 'forgiven')", name="state_known"
        ),
        CheckConstraint("(state IN ('noted', 'open')) = (reviewed_at IS NULL)", name="reviewed_has_time"),
        CheckConstraint("times > 0", name="times_positive"),
        Index("ix_abuse_verdicts_at", "world_id", "at", "id"),
        Index("ix_abuse_verdicts_open", "world_id", "at", "id", postgresql_where=text("state = 'open'")),
        Index("ix_abuse_verdicts_character", "world_id", "character_id", "at", "id"),
    )  # fmt: skip

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    character_id: Mapped[UUID]
    action: Mapped[str]
    guard: Mapped[str]
    outcome: Mapped[str]
    evidence: Mapped[dict[str, Any]]
    asked: Mapped[int]
    given: Mapped[int]
    hold_id: Mapped[UUID | None]
    transfer_id: Mapped[UUID | None]
    state: Mapped[str]
    times: Mapped[int] = mapped_column(server_default=text("1"))
    at: Mapped[int]
    reviewed_at: Mapped[int | None]
    reviewed_by: Mapped[str | None]
    note: Mapped[str | None]
