"""What is stored of journeys."""

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from fablewright.core.tables import WORLD, Base

OPEN = text("ended_at IS NULL")


class JourneyRow(Base):
    """A journey; one that is over keeps its row, with `ended_at` (world ms) and how it ended.

    The character's whereabouts are on the way from `from_place_id` to `to_place_id` as long as it lasts.
    """

    __tablename__ = "journeys"
    __table_args__ = (
        ForeignKeyConstraint(
            ["world_id", "character_id"], ["characters.world_id", "characters.id"],
            name="fk_journeys_character", ondelete="CASCADE",
        ),
        CheckConstraint("cardinality(region_ids) = cardinality(crossings) + 1", name="way_whole"),
        CheckConstraint("crossed BETWEEN 0 AND cardinality(crossings)", name="crossed_range"),
        CheckConstraint("arrives_at > set_out_at", name="takes_time"),
        CheckConstraint("(ended_at IS NULL) = (how IS NULL)", name="end_whole"),
        CheckConstraint(
            "how IN ('arrived', 'barred', 'closed', 'cancelled', 'placed', 'gone')", name="how_known"
        ),
        Index("uq_journeys_open", "world_id", "character_id", unique=True, postgresql_where=OPEN),
        Index("ix_journeys_character", "world_id", "character_id", "id"),
    )  # fmt: skip

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    character_id: Mapped[UUID]
    from_place_id: Mapped[UUID]
    to_place_id: Mapped[UUID]
    region_ids: Mapped[list[UUID]]
    crossings: Mapped[list[int]]
    crossed: Mapped[int]
    set_out_at: Mapped[int]
    arrives_at: Mapped[int]
    ended_at: Mapped[int | None]
    how: Mapped[str | None]
