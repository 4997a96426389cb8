"""What is stored of places, of regions and their bans, and of who is where."""

from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
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
        ForeignKeyConstraint(
            ["world_id", "region_id"],
            ["regions.world_id", "regions.id"],
            name="fk_places_region",
            ondelete="SET NULL (region_id)",
        ),
        Index(
            "ix_places_region", "world_id", "region_id", "id", postgresql_where=text("region_id IS NOT NULL")
        ),
    )

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    kind: Mapped[str]
    description: Mapped[str]
    tags: Mapped[list[str]]
    region_id: Mapped[UUID | None]


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


class Region(Base):
    """A part of the world: places lie in it, a faction (`controller_id`, known by its id only) may hold it.

    `stability` is as it was at `stability_at` (world ms); it drifts to `stability_rest` and is computed on
    reading. Who was removed keeps its row.
    """

    __tablename__ = "regions"
    __table_args__ = (
        CheckConstraint("char_length(name) BETWEEN 1 AND 200", name="name_length"),
        CheckConstraint("char_length(terrain) BETWEEN 1 AND 50", name="terrain_length"),
        CheckConstraint("char_length(description) <= 4000", name="description_length"),
        CheckConstraint("stability BETWEEN 0 AND 1 AND stability_rest BETWEEN 0 AND 1", name="stability_range"),
        CheckConstraint("population >= 0", name="population_range"),
        Index(
            "uq_regions_name", "world_id", "name", unique=True, postgresql_where=text("removed_at IS NULL")
        ),
        Index(
            "ix_regions_controller", "world_id", "controller_id",
            postgresql_where=text("removed_at IS NULL AND controller_id IS NOT NULL"),
        ),
    )  # fmt: skip

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    terrain: Mapped[str]
    description: Mapped[str]
    resources: Mapped[dict[str, Any]] = mapped_column(JSONB)
    population: Mapped[int]
    stability: Mapped[float]
    stability_at: Mapped[int]
    stability_rest: Mapped[float]
    controller_id: Mapped[UUID | None]
    tags: Mapped[list[str]]
    removed_at: Mapped[int | None]


class Border(Base):
    """That two regions are neighbours, `minutes` of world time apart. The lower id stands first."""

    __tablename__ = "borders"
    __table_args__ = (
        UniqueConstraint("world_id", "low_id", "high_id"),
        *(
            ForeignKeyConstraint(
                ["world_id", f"{end}_id"], ["regions.world_id", "regions.id"], name=f"fk_borders_{end}",
                ondelete="CASCADE",
            )
            for end in ("low", "high")
        ),
        CheckConstraint("low_id < high_id", name="low_first"),
        CheckConstraint("minutes > 0 AND minutes <= 1000000", name="minutes_range"),
        Index("ix_borders_high", "world_id", "high_id"),
    )  # fmt: skip

    world_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    low_id: Mapped[UUID]
    high_id: Mapped[UUID]
    minutes: Mapped[float]


class MovementBan(Base):
    """That `subject_id` (a character, or what it belongs to; null: everybody) may not come into `region_id`
    (null: into any) from `from_at` until `until_at`, or until it is lifted. `source` says what keeps it."""

    __tablename__ = "movement_bans"
    __table_args__ = (
        ForeignKeyConstraint(
            ["world_id", "region_id"], ["regions.world_id", "regions.id"], name="fk_movement_bans_region",
            ondelete="CASCADE",
        ),
        CheckConstraint("char_length(source) BETWEEN 1 AND 200", name="source_length"),
        CheckConstraint("char_length(reason) <= 500", name="reason_length"),
        CheckConstraint("until_at IS NULL OR until_at > from_at", name="some_time"),
        Index(
            "ix_movement_bans_open", "world_id", "source", "id", postgresql_where=text("lifted_at IS NULL")
        ),
        Index("ix_movement_bans_region", "world_id", "region_id", "id"),
    )  # fmt: skip

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[UUID | None]
    subject_id: Mapped[UUID | None]
    source: Mapped[str]
    reason: Mapped[str]
    from_at: Mapped[int]
    until_at: Mapped[int | None]
    lifted_at: Mapped[int | None]
