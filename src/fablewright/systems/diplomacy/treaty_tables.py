"""What is stored of treaties: who made them, their clauses, what is watched, and breaches.

Factions, characters, regions and events are known by their ids only. Times are world ms; `by_id` is the character who
did it, null for a game master or the server. Nothing is deleted but watches, which follow from the clauses in force.
"""

from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from fablewright.core.tables import WORLD, Base

STATES = (
    "draft", "signed_partly", "signed", "in_force", "suspended", "expired", "terminated", "withdrawn", "broken",
    "rejected",
)  # fmt: skip
VIOLATION_STATES = ("suspected", "in_grace", "confirmed", "mended", "unfounded")


class Treaty(Base):
    """What factions agree on. `agreed_at` is when the last of them signed; `closed_at` ends it for whatever reason.

    `draft` counts what it was to say: 1, and one more with each change before all have signed.
    """

    __tablename__ = "treaties"
    __table_args__ = (
        CheckConstraint(f"state IN {STATES}", name="state_known"),
        CheckConstraint(
            "(closed_at IS NULL) = (state IN ('draft', 'signed_partly', 'signed', 'in_force', 'suspended'))",
            name="closed_has_time",
        ),
        CheckConstraint("ends_at > starts_at", name="forward"),
        CheckConstraint("on_breach IN ('note', 'suspend', 'break')", name="on_breach_known"),
        CheckConstraint("notice_ms >= 0 AND grace_ms >= 0 AND duration_ms > 0", name="spans"),
        Index("ix_treaties_state", "world_id", "state", "id"),
        Index("ix_treaties_at", "world_id", "at", "id"),
    )

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    kind: Mapped[str]
    text: Mapped[str] = mapped_column(server_default="")
    state: Mapped[str]
    secret: Mapped[bool]
    starts_at: Mapped[int | None]
    duration_ms: Mapped[int | None]
    ends_at: Mapped[int | None]
    renews: Mapped[bool]
    notice_ms: Mapped[int]
    grace_ms: Mapped[int]
    on_breach: Mapped[str]
    draft: Mapped[int] = mapped_column(server_default="1")
    proposer_id: Mapped[UUID | None]
    by_id: Mapped[UUID | None]
    at: Mapped[int]
    agreed_at: Mapped[int | None]
    closed_at: Mapped[int | None]
    reason: Mapped[str] = mapped_column(server_default="")


class TreatyParty(Base):
    """A faction that is to sign a treaty, or has. `agrees` is the change of the treaty that it agrees to."""

    __tablename__ = "treaty_parties"
    __table_args__ = (
        ForeignKeyConstraint(
            ["world_id", "treaty_id"], ["treaties.world_id", "treaties.id"], ondelete="CASCADE"
        ),
        CheckConstraint("agrees IN ('terminate', 'suspend', 'resume', 'renew')", name="agrees_known"),
        Index("ix_treaty_parties_faction", "world_id", "faction_id", "treaty_id"),
    )

    world_id: Mapped[UUID] = mapped_column(primary_key=True)
    treaty_id: Mapped[UUID] = mapped_column(primary_key=True)
    faction_id: Mapped[UUID] = mapped_column(primary_key=True)
    signed_by: Mapped[UUID | None]
    signed_at: Mapped[int | None]
    agrees: Mapped[str | None]
    leaves_at: Mapped[int | None]
    withdrawn_at: Mapped[int | None]


class TreatyClause(Base):
    """A clause; `due_at` is when it is executed next, `done_at` when it was fulfilled for good, `kept_at` when it was
    last rewarded with trust."""

    __tablename__ = "treaty_clauses"
    __table_args__ = (
        ForeignKeyConstraint(
            ["world_id", "treaty_id"], ["treaties.world_id", "treaties.id"], ondelete="CASCADE"
        ),
        Index("ix_treaty_clauses_treaty", "world_id", "treaty_id", "number", unique=True),
        Index("ix_treaty_clauses_due", "world_id", "due_at", postgresql_where=text("due_at IS NOT NULL")),
    )

    world_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    treaty_id: Mapped[UUID]
    number: Mapped[int]
    type: Mapped[str]
    terms: Mapped[dict[str, Any]] = mapped_column(JSONB)
    due_at: Mapped[int | None]
    done_at: Mapped[int | None]
    kept_at: Mapped[int | None]
    ended_at: Mapped[int | None]


class TreatyWatch(Base):
    """That a clause in force listens to acts with this key."""

    __tablename__ = "treaty_watches"
    __table_args__ = (
        ForeignKeyConstraint(
            ["world_id", "clause_id"], ["treaty_clauses.world_id", "treaty_clauses.id"], ondelete="CASCADE"
        ),
        # Not by the world first: then no plan, also one made while there were few, looks a key up by it.
        Index("ix_treaty_watches_clause", "clause_id", "world_id"),
    )

    world_id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    clause_id: Mapped[UUID] = mapped_column(primary_key=True)


class TreatyViolation(Base):
    """That a faction broke a clause, or is said to have. `event_id` is the evidence."""

    __tablename__ = "treaty_violations"
    __table_args__ = (
        ForeignKeyConstraint(
            ["world_id", "treaty_id"], ["treaties.world_id", "treaties.id"], ondelete="CASCADE"
        ),
        CheckConstraint(f"state IN {VIOLATION_STATES}", name="state_known"),
        CheckConstraint("(grace_until IS NOT NULL) OR state <> 'in_grace'", name="grace_has_end"),
        Index("ix_treaty_violations_clause", "world_id", "clause_id", "faction_id", "at"),
        Index("ix_treaty_violations_treaty", "world_id", "treaty_id", "id"),
    )

    world_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    treaty_id: Mapped[UUID]
    clause_id: Mapped[UUID]
    faction_id: Mapped[UUID]
    kind: Mapped[str]
    text: Mapped[str]
    state: Mapped[str]
    event_id: Mapped[UUID | None]
    reference: Mapped[str | None]
    accuser_id: Mapped[UUID | None]
    by_id: Mapped[UUID | None]
    grace_until: Mapped[int | None]
    at: Mapped[int]
    closed_at: Mapped[int | None]
