"""What the core stores: worlds and their heads, the log, receipts, cursors, dead letters, timers.

`events` and `receipts` have no foreign key to `worlds`: every append updates the world's head in the same
statement, which proves that the world exists, and a foreign key would take a key-share lock per event.
Deleting a world deletes them by hand (`worlds.service`).
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Text,
    UniqueConstraint,
    text,
)  # fmt: skip
from sqlalchemy.dialects.postgresql import JSON, JSONB, TIMESTAMP
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

WORLD = "worlds.id"
REAL_NOW = text("clock_timestamp()")


class Base(DeclarativeBase):
    """Base of every table, also those of systems from other packages."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {
        UUID: PG_UUID(as_uuid=True),
        int: BigInteger,
        str: Text,
        float: Double,
        bool: Boolean,
        bytes: LargeBinary,
        datetime: TIMESTAMP(timezone=True),
        dict[str, Any]: JSONB,
        list[int]: ARRAY(BigInteger),
        list[UUID]: ARRAY(PG_UUID(as_uuid=True)),
        list[str]: ARRAY(Text),
    }


class World(Base):
    """A world, its secret seed and its clock (see `core.clock.WorldClock`)."""

    __tablename__ = "worlds"
    __table_args__ = (
        CheckConstraint("char_length(name) BETWEEN 1 AND 200", name="name_length"),
        CheckConstraint("rate > 0 AND rate <= 100000", name="rate_range"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    description: Mapped[str] = mapped_column(server_default="")
    seed: Mapped[int]
    settings: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    calendar: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    owner_id: Mapped[UUID | None] = mapped_column(index=True)
    anchor_world_ms: Mapped[int] = mapped_column(server_default=text("0"))
    anchor_real_ms: Mapped[int]
    rate: Mapped[float] = mapped_column(server_default=text("1"))
    paused: Mapped[bool] = mapped_column(server_default=text("false"))
    advance_id: Mapped[UUID | None]
    advance_to: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(server_default=REAL_NOW)


class WorldHead(Base):
    """The newest `seq` of a world, and versions of what commands read unlocked.

    `base_version` grows with its clock, with who may do what, and with what its systems define as data: a command
    that began under an older version cannot commit; the engine runs it again. `definitions` grows with the last
    of these only, so that what was read of definitions can be kept (`core.definitions`).
    """

    __tablename__ = "world_heads"
    __table_args__ = {"postgresql_with": {"fillfactor": "40"}}

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(server_default=text("0"))
    base_version: Mapped[int] = mapped_column(server_default=text("0"))
    definitions: Mapped[int] = mapped_column(server_default=text("0"))


class WorldMember(Base):
    """Who belongs to a world, and as what (`core.actors.Role`)."""

    __tablename__ = "world_members"
    __table_args__ = (CheckConstraint("role BETWEEN 1 AND 4", name="role_range"),)

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(primary_key=True, index=True)
    role: Mapped[int] = mapped_column(SmallInteger)
    joined_at: Mapped[datetime] = mapped_column(server_default=REAL_NOW)


class LoggedEvent(Base):
    """One event of a world's log. Rows are only ever added."""

    __tablename__ = "events"
    __table_args__ = (
        UniqueConstraint("world_id", "id"),
        CheckConstraint("seq > 0", name="seq_positive"),
    )

    world_id: Mapped[UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[UUID]
    type: Mapped[str]
    at: Mapped[int]
    actor: Mapped[str]
    causation_id: Mapped[UUID]
    correlation_id: Mapped[UUID]
    about: Mapped[list[UUID]]
    audience: Mapped[list[UUID] | None]
    data: Mapped[dict[str, Any]]
    command: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    recorded_at: Mapped[datetime] = mapped_column(server_default=REAL_NOW)


class AuditEntry(Base):
    """What happened outside worlds: accounts, keys, logins. Ids only, no personal data."""

    __tablename__ = "audit_log"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    type: Mapped[str]
    actor: Mapped[str]
    correlation_id: Mapped[UUID]
    about: Mapped[list[UUID]]
    data: Mapped[dict[str, Any]]
    recorded_at: Mapped[datetime] = mapped_column(server_default=REAL_NOW, index=True)


class Receipt(Base):
    """That a keyed command ran, and what it answered. World-less commands use the nil UUID as world."""

    __tablename__ = "receipts"

    world_id: Mapped[UUID] = mapped_column(primary_key=True)
    actor: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    body_hash: Mapped[bytes]
    seq: Mapped[int | None]
    answer: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(server_default=REAL_NOW, index=True)


class Cursor(Base):
    """How far a consumer has read a world's log, and how it fares."""

    __tablename__ = "cursors"

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    consumer: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(server_default=text("0"))
    attempts: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    retry_at: Mapped[datetime | None]
    last_error: Mapped[str | None]


class DeadLetter(Base):
    """What a following reaction, a consumer or a timer could not do, kept until replayed or dropped.

    `payload` names the events by id (`{"events": [...]}`) or holds the timer that failed (`{"timer": {...}}`).
    """

    __tablename__ = "dead_letters"
    __table_args__ = (
        CheckConstraint("source IN ('reaction', 'consumer', 'timer')", name="source_known"),
        CheckConstraint("state IN ('open', 'replayed', 'dropped')", name="state_known"),
        Index("ix_dead_letters_open", "world_id", "id", postgresql_where=text("state = 'open'")),
    )

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    source: Mapped[str]
    handler: Mapped[str]
    payload: Mapped[dict[str, Any]]
    error: Mapped[str]
    attempts: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(server_default="open")
    at: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(server_default=REAL_NOW)


class ScheduledTimer(Base):
    """Something that falls due in world time."""

    __tablename__ = "timers"
    __table_args__ = (Index("ix_timers_due", "world_id", "due_at", "kind", "id"),)

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    due_at: Mapped[int]
    data: Mapped[dict[str, Any]]
    correlation_id: Mapped[UUID]


class Advance(Base):
    """A fast-forward of a world, as a job: where from, where to, how far it came."""

    __tablename__ = "advances"
    __table_args__ = (
        CheckConstraint("state IN ('running', 'done', 'stopped')", name="state_known"),
        CheckConstraint("to_ms >= from_ms", name="forward"),
        Index("ix_advances_running", "world_id", unique=True, postgresql_where=text("state = 'running'")),
    )

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    from_ms: Mapped[int]
    to_ms: Mapped[int]
    reached_ms: Mapped[int]
    batches: Mapped[int] = mapped_column(server_default=text("0"))
    timers_fired: Mapped[int] = mapped_column(server_default=text("0"))
    state: Mapped[str] = mapped_column(server_default="running")
    started_at: Mapped[datetime] = mapped_column(server_default=REAL_NOW)
    finished_at: Mapped[datetime | None]


class Lease(Base):
    """Which process does a job that one process does at a time; it lapses by the database's clock."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[UUID]
    until: Mapped[datetime]
