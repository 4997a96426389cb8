"""What is stored of the director."""

from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from fablewright.core.tables import WORLD, Base


class Director(Base):
    """The director of a world. There is one at most, so the world's id alone is its key.

    Each configuration has a new `version`; a beat or council scheduled for an older one does nothing. Without
    `council_days`, factions that run themselves hold no councils.
    """

    __tablename__ = "directors"
    __table_args__ = (
        CheckConstraint("beats_per_minute BETWEEN 0.01 AND 600", name="beats_range"),
        CheckConstraint("acts_per_beat BETWEEN 1 AND 1000", name="acts_range"),
        CheckConstraint("council_days BETWEEN 0.1 AND 3650", name="council_range"),
    )

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    enabled: Mapped[bool]
    beats_per_minute: Mapped[float]
    acts_per_beat: Mapped[int]
    council_days: Mapped[float | None]
    version: Mapped[int] = mapped_column(server_default=text("1"))


class Needs(Base):
    """What a character lacked at `at` (world ms), each 0 (sated) to 1; the lack grows, computed on reading. The
    id is the character's."""

    __tablename__ = "needs"
    __table_args__ = (
        ForeignKeyConstraint(
            ["world_id", "id"],
            ["characters.world_id", "characters.id"],
            name="fk_needs_character",
            ondelete="CASCADE",
        ),
        CheckConstraint("company BETWEEN 0 AND 1", name="company_range"),
        CheckConstraint("esteem BETWEEN 0 AND 1", name="esteem_range"),
        {"postgresql_with": {"fillfactor": "70"}},
    )

    world_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    company: Mapped[float]
    esteem: Mapped[float]
    at: Mapped[int]


class Arc(Base):
    """A small story between two characters (`first_id` began it) that starts, rises and resolves.

    `tension` is 0..1, `others` are those who were drawn in, `turns` what happened in it so far (seq is not known
    when it is written, so by event id), `outcome` how it ended.
    """

    __tablename__ = "arcs"
    __table_args__ = (
        CheckConstraint("kind IN ('quarrel', 'courtship', 'feud', 'friendship')", name="kind_known"),
        CheckConstraint("stage IN ('started', 'rising', 'resolved')", name="stage_known"),
        CheckConstraint("(stage = 'resolved') = (resolved_at IS NOT NULL)", name="resolved_has_time"),
        CheckConstraint("tension BETWEEN 0 AND 1", name="tension_range"),
        Index(
            "ix_arcs_open", "world_id", "first_id", "second_id", postgresql_where=text("resolved_at IS NULL")
        ),
        Index("ix_arcs_started", "world_id", "started_at", "id"),
    )

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    stage: Mapped[str]
    first_id: Mapped[UUID]
    second_id: Mapped[UUID]
    others: Mapped[list[UUID]]
    tension: Mapped[float]
    turns: Mapped[list[UUID]]
    started_at: Mapped[int]
    changed_at: Mapped[int]
    resolved_at: Mapped[int | None]
    outcome: Mapped[str | None]
    data: Mapped[dict[str, Any]]


class Concern(Base):
    """The last event about something that factions decide on (an incident, a war, a treaty, an ultimatum: the id).

    What a faction decides about it has this event as its cause, so that a war can be followed back to where it began.
    """

    __tablename__ = "concerns"

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    event_id: Mapped[UUID]
    at: Mapped[int]
