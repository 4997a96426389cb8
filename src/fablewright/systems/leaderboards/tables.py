"""What is stored of leaderboards.

`standing` is the score, or its negative where less is better: more is always better. Of equal standings the
greater `tie` is better; it falls with each entry, so that who came earlier stands higher.
"""

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
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from fablewright.core.tables import WORLD, Base


class Board(Base):
    """A definition (`commands.BoardSpec`). Its row is the lock of its entries: one writer per board at a time.

    Events up to `since_seq` are from before it counted what it counts: it does not count them when they are replayed.
    """

    __tablename__ = "boards"
    __table_args__ = (
        UniqueConstraint("world_id", "key"),
        CheckConstraint("key ~ '^[a-z][a-z0-9_]{0,59}$'", name="key_form"),
    )

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[str]
    spec: Mapped[dict[str, Any]]
    since_seq: Mapped[int] = mapped_column(server_default=text("0"))


class BoardWindow(Base):
    """A span of world time for which a board is kept: all time, a day, a season, … `version` grows with changes."""

    __tablename__ = "board_windows"
    __table_args__ = (
        ForeignKeyConstraint(["world_id", "board_id"], ["boards.world_id", "boards.id"], ondelete="CASCADE"),
        CheckConstraint("ends_at > starts_at", name="forward"),
        CheckConstraint("entries >= 0", name="entries_not_negative"),
        {"postgresql_with": {"fillfactor": "30"}},
    )

    world_id: Mapped[UUID] = mapped_column(primary_key=True)
    board_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    starts_at: Mapped[int | None]
    ends_at: Mapped[int | None]
    closed: Mapped[bool] = mapped_column(server_default=text("false"))
    entries: Mapped[int] = mapped_column(server_default=text("0"))
    next_tie: Mapped[int] = mapped_column(server_default=text("0"))
    version: Mapped[int] = mapped_column(server_default=text("0"))


class BoardEntry(Base):
    """Where a subject stands on a board in a window. It has no foreign key: it is written with every score.

    No index finds all that a subject has, which every score would pay for: it is looked up window by window.
    """

    __tablename__ = "board_entries"
    __table_args__ = (
        Index("ix_board_entries_rank", "world_id", "board_id", "number", "standing", "tie", unique=True),
        {"postgresql_with": {"fillfactor": "80"}},
    )

    world_id: Mapped[UUID] = mapped_column(primary_key=True)
    board_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    subject_id: Mapped[UUID] = mapped_column(primary_key=True)
    standing: Mapped[float]
    tie: Mapped[int]
    at: Mapped[int]


class BoardRange(Base):
    """How many entries lie between this place (included) and that of the next better range (excluded).

    Ranks are sums of these, and of a count inside one range: exact, however many entries there are.
    """

    __tablename__ = "board_ranges"
    __table_args__ = (
        CheckConstraint("entries >= 0", name="entries_not_negative"),
        {"postgresql_with": {"fillfactor": "50"}},
    )

    world_id: Mapped[UUID] = mapped_column(primary_key=True)
    board_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    from_standing: Mapped[float] = mapped_column(primary_key=True)
    from_tie: Mapped[int] = mapped_column(primary_key=True)
    entries: Mapped[int] = mapped_column(Integer)


class BoardRemoval(Base):
    """That a subject's entries were removed, why, and what they were; while `banned`, new scores are not taken.

    One without a board is a ban from the boards to come: each new board gets its own from it.
    """

    __tablename__ = "board_removals"
    __table_args__ = (
        ForeignKeyConstraint(["world_id", "board_id"], ["boards.world_id", "boards.id"], ondelete="CASCADE"),
        Index("ix_board_removals_subject", "world_id", "board_id", "subject_id"),
    )

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    board_id: Mapped[UUID | None]
    subject_id: Mapped[UUID]
    reason: Mapped[str]
    banned: Mapped[bool]
    entries: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    at: Mapped[int]
