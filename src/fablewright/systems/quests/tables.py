"""What is stored of quests: their definitions, and who is on them."""

from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from fablewright.core.tables import WORLD, Base


class Quest(Base):
    """A definition (`rules.QuestDefinition`).

    A generated one names its `template`, the event that it comes from (`origin_id`), and whom it lies between: while
    it lasts, its template makes no other between these. Those that were removed stay as history.
    """

    __tablename__ = "quests"
    __table_args__ = (
        CheckConstraint("key ~ '^[a-z][a-z0-9_]{0,59}$'", name="key_form"),
        CheckConstraint("origin_id IS NULL OR template IS NOT NULL", name="origin_of_generated"),
        Index("uq_quests_key", "world_id", "key", unique=True, postgresql_where=text("removed_at IS NULL")),
        Index(
            "uq_quests_origin", "world_id", "origin_id", "template", unique=True,
            postgresql_where=text("origin_id IS NOT NULL"),
        ),
        Index(
            "uq_quests_between", "world_id", "between_ids", "template", unique=True,
            postgresql_where=text("removed_at IS NULL AND between_ids IS NOT NULL"),
        ),
    )  # fmt: skip

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[str]
    spec: Mapped[dict[str, Any]]
    template: Mapped[str | None]
    origin_id: Mapped[UUID | None]
    between_ids: Mapped[list[UUID] | None]
    at: Mapped[int]
    removed_at: Mapped[int | None]


class QuestTaking(Base):
    """That a quest was offered to somebody, or accepted: how far it is (`course`), and how it ended.

    `taker_id` is a character or a faction; it has no foreign key, since factions have none to characters either.
    `by_id` is the character that accepted. The index lets somebody be on a quest once at a time.
    """

    __tablename__ = "quest_takings"
    __table_args__ = (
        ForeignKeyConstraint(["world_id", "quest_id"], ["quests.world_id", "quests.id"], ondelete="CASCADE"),
        CheckConstraint(
            "state IN ('offered', 'accepted', 'finished', 'failed', 'abandoned', 'expired', 'declined')",
            name="state_known",
        ),
        CheckConstraint("(state IN ('offered', 'accepted')) = (ended_at IS NULL)", name="ended_or_not"),
        CheckConstraint("state NOT IN ('accepted', 'finished') OR accepted_at IS NOT NULL", name="accepted_first"),
        Index(
            "uq_quest_takings_open", "world_id", "quest_id", "taker_id", unique=True,
            postgresql_where=text("state IN ('offered', 'accepted')"),
        ),
        Index("ix_quest_takings_taker", "world_id", "taker_id", "id"),
        Index("ix_quest_takings_accepted", "world_id", "quest_id", postgresql_where=text("state = 'accepted'")),
        {"postgresql_with": {"fillfactor": "70"}},
    )  # fmt: skip

    world_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    quest_id: Mapped[UUID]
    taker_id: Mapped[UUID]
    by_id: Mapped[UUID | None]
    state: Mapped[str]
    outcome: Mapped[str | None]
    course: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    offered_at: Mapped[int | None]
    accepted_at: Mapped[int | None]
    due_at: Mapped[int | None]
    ended_at: Mapped[int | None]
    event_id: Mapped[UUID | None]
