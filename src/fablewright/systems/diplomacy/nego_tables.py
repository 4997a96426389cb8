"""What is stored of negotiations: sessions, who takes part, and their offers. Nothing is deleted."""

from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from fablewright.core.tables import WORLD, Base

SESSION = ["negotiations.world_id", "negotiations.id"]


class Negotiation(Base):
    """Talks of factions about a treaty of a kind. They end by `deadline_at` (world ms) at the latest.

    `offers` is how many were made, `treaty_id` what came of it, `ended_by_id` the faction that ended it.
    """

    __tablename__ = "negotiations"
    __table_args__ = (
        CheckConstraint("state IN ('open', 'agreed', 'walked_out', 'expired')", name="state_known"),
        CheckConstraint("(state = 'open') = (ended_at IS NULL)", name="ended_has_time"),
        CheckConstraint("deadline_at > opened_at", name="forward"),
        CheckConstraint("treaty_id IS NULL OR state = 'agreed'", name="treaty_of_agreement"),
        CheckConstraint("offers >= 0", name="offers_counted"),
        Index("ix_negotiations_state", "world_id", "state", "id"),
    )

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    topic: Mapped[str]
    secret: Mapped[bool]
    state: Mapped[str] = mapped_column(server_default=text("'open'"))
    offers: Mapped[int] = mapped_column(server_default=text("0"))
    opened_at: Mapped[int]
    opened_by_id: Mapped[UUID | None]
    deadline_at: Mapped[int]
    about_id: Mapped[UUID | None]
    ended_at: Mapped[int | None]
    ended_by_id: Mapped[UUID | None]
    ended_reason: Mapped[str] = mapped_column(server_default=text("''"))
    treaty_id: Mapped[UUID | None]


class NegotiationParty(Base):
    """That a faction takes part in a negotiation. `lean` is what the talks have brought the others with it (points
    of utility), `concessions` how often it has met them."""

    __tablename__ = "negotiation_parties"
    __table_args__ = (
        ForeignKeyConstraint(
            ["world_id", "negotiation_id"], SESSION, name="fk_negotiation_parties_session", ondelete="CASCADE"
        ),
        ForeignKeyConstraint(
            ["world_id", "faction_id"], ["factions.world_id", "factions.id"],
            name="fk_negotiation_parties_faction", ondelete="CASCADE",
        ),
        UniqueConstraint("world_id", "negotiation_id", "faction_id"),
        CheckConstraint("lean BETWEEN -40 AND 40", name="lean_range"),
        CheckConstraint("concessions >= 0", name="concessions_counted"),
        Index("ix_negotiation_parties_faction", "world_id", "faction_id", "negotiation_id"),
    )  # fmt: skip

    world_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    negotiation_id: Mapped[UUID]
    faction_id: Mapped[UUID]
    lean: Mapped[float] = mapped_column(server_default=text("0"))
    concessions: Mapped[int] = mapped_column(server_default=text("0"))
    tried: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    """By approach, the number of the offer before which it was last tried on this faction."""


class NegotiationOffer(Base):
    """An offer of a negotiation: clauses for a treaty of `days` days (null: without an end).

    `accepted` holds, by faction that agrees to it (who makes it among them), who did so; `mark` is its
    `evaluator.fingerprint`. Of the offers of a negotiation one stands at most.
    """

    __tablename__ = "negotiation_offers"
    __table_args__ = (
        ForeignKeyConstraint(
            ["world_id", "negotiation_id"], SESSION, name="fk_negotiation_offers_session", ondelete="CASCADE"
        ),
        UniqueConstraint("world_id", "negotiation_id", "number"),
        CheckConstraint("number >= 1", name="number_from_one"),
        CheckConstraint(
            "state IN ('standing', 'accepted', 'refused', 'countered', 'withdrawn', 'lapsed')", name="state_known"
        ),
        CheckConstraint("(state = 'standing') = (ended_at IS NULL)", name="ended_has_time"),
        Index(
            "uq_negotiation_offers_standing", "world_id", "negotiation_id", unique=True,
            postgresql_where=text("state = 'standing'"),
        ),
        Index("ix_negotiation_offers_lost", "world_id", "from_id", "ended_at"),
    )  # fmt: skip

    world_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    negotiation_id: Mapped[UUID]
    number: Mapped[int]
    from_id: Mapped[UUID]
    by_id: Mapped[UUID | None]
    at: Mapped[int]
    clauses: Mapped[list[Any]] = mapped_column(JSONB)
    days: Mapped[int | None]
    mark: Mapped[UUID]
    state: Mapped[str] = mapped_column(server_default=text("'standing'"))
    accepted: Mapped[dict[str, Any]] = mapped_column(JSONB)
    ended_at: Mapped[int | None]
    ended_by_id: Mapped[UUID | None]
