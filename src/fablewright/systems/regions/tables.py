"""What is stored of places, and of who is where."""

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from fablewright.core.tables import WORLD, Base


class Place(Base):
    """Somewhere characters can be, such as a mill or a market."""

    __tablename__ = "places"
    __table_args__ = (
        UniqueConstraint("world_id", "name"),
        CheckConstraint("char_length(name) BETWEEN 1 AND 200", name="name_length"),
        CheckConstraint("char_length(kind) BETWEEN 1 AND 50", name="kind_length"),
        CheckConstraint("char_length(description) <= 4000", name="description_length"),
    )

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    kind: Mapped[str]
    description: Mapped[str]
    tags: Mapped[list[str]]


class Path(Base):
    """That two places are neighbours: one walks from either to the other in `minutes` of world time.

    Each pair is stored once, the place with the lower id first.
    """

    __tablename__ = "paths"
    __table_args__ = (
        UniqueConstraint("world_id", "low_id", "high_id"),
        ForeignKeyConstraint(
            ["world_id", "low_id"], ["places.world_id", "places.id"], name="fk_paths_low", ondelete="CASCADE"
        ),
        ForeignKeyConstraint(
            ["world_id", "high_id"],
            ["places.world_id", "places.id"],
            name="fk_paths_high",
            ondelete="CASCADE",
        ),
        CheckConstraint("low_id < high_id", name="low_first"),
        CheckConstraint("minutes > 0 AND minutes <= 100000", name="minutes_range"),
        Index("ix_paths_high", "world_id", "high_id"),
    )

    world_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    low_id: Mapped[UUID]
    high_id: Mapped[UUID]
    minutes: Mapped[float]


class Whereabouts(Base):
    """Where a character is: at `place_id`, or on the way from there to `to_id` until `arrives_at` (world ms).

    The id is the character's. `home_id` and `work_id` are where it sleeps and where it works.
    """

    __tablename__ = "whereabouts"
    __table_args__ = (
        *(
            ForeignKeyConstraint(
                ["world_id", column],
                ["places.world_id", "places.id"],
                name=f"fk_whereabouts_{column.removesuffix('_id')}",
            )
            for column in ("place_id", "to_id", "home_id", "work_id")
        ),
        CheckConstraint(
            "(to_id IS NULL) = (arrives_at IS NULL) AND (to_id IS NULL) = (departed_at IS NULL)",
            name="travel_whole",
        ),
        CheckConstraint("to_id IS NULL OR place_id IS NOT NULL", name="travel_from_somewhere"),
        Index("ix_whereabouts_place", "world_id", "place_id", "id"),
        {"postgresql_with": {"fillfactor": "80"}},
    )

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    place_id: Mapped[UUID | None]
    to_id: Mapped[UUID | None]
    departed_at: Mapped[int | None]
    arrives_at: Mapped[int | None]
    home_id: Mapped[UUID | None]
    work_id: Mapped[UUID | None]
