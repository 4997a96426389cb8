"""What is stored of the relations between factions, and of what is known of their deeds."""

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from fablewright.core.tables import Base
from fablewright.systems.diplomacy.rules import STATUSES


def _of_faction(table: str, column: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["world_id", column], ["factions.world_id", "factions.id"], name=f"fk_{table}_{column}", ondelete="CASCADE"
    )  # fmt: skip


class FactionRelation(Base):
    """What stands between two factions, of which the one with the lower id comes first.

    `tension` is as it was at `tension_at` (world ms); it halves every 60 world days, computed on reading. Until
    `truce_until` neither may go to war with the other. A pair without a row is neutral and at ease. Nothing that
    changes is indexed, so that updates stay on their page.
    """

    __tablename__ = "relations"
    __table_args__ = (
        UniqueConstraint("world_id", "low_id", "high_id"),
        _of_faction("relations", "low_id"),
        _of_faction("relations", "high_id"),
        CheckConstraint("low_id < high_id", name="low_before_high"),
        CheckConstraint("tension BETWEEN 0 AND 100", name="tension_range"),
        CheckConstraint(f"status IN {STATUSES!r}", name="status_known"),
        CheckConstraint("status <> 'war' OR truce_until IS NULL", name="no_war_in_truce"),
        CheckConstraint("status <> 'truce' OR truce_until IS NOT NULL", name="truce_ends"),
        Index("ix_relations_high", "world_id", "high_id", "low_id"),
        {"postgresql_with": {"fillfactor": "80"}},
    )

    world_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    low_id: Mapped[UUID]
    high_id: Mapped[UUID]
    tension: Mapped[float] = mapped_column(server_default=text("0"))
    tension_at: Mapped[int]
    status: Mapped[str] = mapped_column(server_default=text("'neutral'"))
    status_since: Mapped[int]
    truce_until: Mapped[int | None]


class FactionOpinion(Base):
    """A named reason why one faction (`holder_id`) thinks well or badly of another (`about_id`).

    `amount` is as it was at `at` (world ms) and loses half of its size each `half_life_days` (null: never). The
    same key again adds to it, up to `capped` in size. `event_id` is the event that tells of it. One that has
    faded or was dropped has `ended_at`.
    """

    __tablename__ = "opinions"
    __table_args__ = (
        _of_faction("opinions", "holder_id"),
        _of_faction("opinions", "about_id"),
        CheckConstraint("holder_id <> about_id", name="two_factions"),
        CheckConstraint("amount BETWEEN -100 AND 100", name="amount_range"),
        CheckConstraint("capped BETWEEN 0 AND 100", name="capped_range"),
        CheckConstraint("half_life_days IS NULL OR half_life_days > 0", name="half_life_positive"),
        Index(
            "uq_opinions_open", "world_id", "holder_id", "about_id", "key",
            unique=True, postgresql_where=text("ended_at IS NULL"),
        ),
        Index("ix_opinions_about", "world_id", "about_id", "holder_id"),
    )  # fmt: skip

    world_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    holder_id: Mapped[UUID]
    about_id: Mapped[UUID]
    key: Mapped[str]
    reason: Mapped[str]
    amount: Mapped[float]
    event_id: Mapped[UUID | None]
    at: Mapped[int]
    half_life_days: Mapped[float | None]
    capped: Mapped[float] = mapped_column(server_default=text("100"))
    secret: Mapped[bool] = mapped_column(server_default=text("false"))
    ended_at: Mapped[int | None]


class FactionTrust(Base):
    """How far one faction trusts another to keep its word, as it was at `at` (world ms); it drifts to 0.5.

    `shown` is the same without what is secret, for all others to see.
    """

    __tablename__ = "trusts"
    __table_args__ = (
        UniqueConstraint("world_id", "holder_id", "about_id"),
        _of_faction("trusts", "holder_id"),
        _of_faction("trusts", "about_id"),
        CheckConstraint("holder_id <> about_id", name="two_factions"),
        CheckConstraint("trust BETWEEN 0 AND 1 AND shown BETWEEN 0 AND 1", name="trust_range"),
        Index("ix_trusts_about", "world_id", "about_id"),
    )

    world_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    holder_id: Mapped[UUID]
    about_id: Mapped[UUID]
    trust: Mapped[float]
    shown: Mapped[float]
    at: Mapped[int]


class Deed(Base):
    """What a faction (`doer_id`) did that others judge it by, and that characters may tell each other of.

    Its id is the fact that memories of it share. `party_ids` know of it by themselves, as do the `witness_ids`
    (characters) who were there, in `region_id`. `gravity` 0..100 is how much a friend of the victims minds; a
    `pact` is a secret treaty, which nobody minds. `reference_id` is the treaty or war it belongs to.
    """

    __tablename__ = "deeds"
    __table_args__ = (
        _of_faction("deeds", "doer_id"),
        CheckConstraint("kind IN ('breach', 'desertion', 'pact')", name="kind_known"),
        CheckConstraint("gravity BETWEEN 0 AND 100", name="gravity_range"),
        Index("ix_deeds_doer", "world_id", "doer_id", "at"),
        Index("ix_deeds_reference", "world_id", "reference_id"),
    )

    world_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    doer_id: Mapped[UUID]
    victim_ids: Mapped[list[UUID]]
    party_ids: Mapped[list[UUID]]
    witness_ids: Mapped[list[UUID]]
    gravity: Mapped[float]
    words: Mapped[str]
    reference_id: Mapped[UUID]
    region_id: Mapped[UUID | None]
    secret: Mapped[bool]
    event_id: Mapped[UUID]
    at: Mapped[int]


class DeedKnown(Base):
    """That a faction knows of a deed since `at`, how surely (`certainty` 0..1), and by whom.

    `character_id` is the one of its own who saw or heard it; `tellers` is the chain by which it came, first teller
    first. `opinion` is what it has cost the doer in the faction's eyes so far.
    """

    __tablename__ = "deeds_known"
    __table_args__ = (
        UniqueConstraint("world_id", "deed_id", "faction_id"),
        ForeignKeyConstraint(
            ["world_id", "deed_id"], ["deeds.world_id", "deeds.id"], name="fk_deeds_known_deed", ondelete="CASCADE"
        ),
        _of_faction("deeds_known", "faction_id"),
        CheckConstraint("how IN ('party', 'saw', 'told', 'heard')", name="how_known"),
        CheckConstraint("certainty BETWEEN 0 AND 1", name="certainty_range"),
        Index("ix_deeds_known_faction", "world_id", "faction_id", "at"),
    )  # fmt: skip

    world_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    deed_id: Mapped[UUID]
    faction_id: Mapped[UUID]
    how: Mapped[str]
    certainty: Mapped[float]
    character_id: Mapped[UUID | None]
    tellers: Mapped[list[UUID]]
    opinion: Mapped[float]
    event_id: Mapped[UUID]
    at: Mapped[int]
