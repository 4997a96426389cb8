"""What is stored of goods, markets, trade routes, restrictions and stocks.

Factions are known by their ids only. A region or a good that is no longer used keeps its rows.
"""

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from fablewright.core.tables import WORLD, Base


def _good(table: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["world_id", "good"], ["goods.world_id", "goods.key"], name=f"fk_{table}_good", ondelete="CASCADE"
    )


def _region(table: str, column: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["world_id", column], ["regions.world_id", "regions.id"], name=f"fk_{table}_{column}",
        ondelete="CASCADE",
    )  # fmt: skip


class MarketHead(Base):
    """That a world trades. Its row is the lock of what changes flows: routes, restrictions, the trade day."""

    __tablename__ = "market_heads"

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    day: Mapped[int]
    """The last world day on which routes have traded."""


class Good(Base):
    """What is traded (`rules.Good`)."""

    __tablename__ = "goods"
    __table_args__ = (
        CheckConstraint("key ~ '^[a-z][a-z0-9_]{0,59}$'", name="key_form"),
        CheckConstraint("char_length(name) BETWEEN 1 AND 200", name="name_length"),
        CheckConstraint("char_length(description) <= 2000", name="description_length"),
        CheckConstraint("base_price > 0 AND base_price <= 1e9", name="base_price_range"),
        CheckConstraint("elasticity BETWEEN 0 AND 2", name="elasticity_range"),
        CheckConstraint("need BETWEEN 0 AND 1e6", name="need_range"),
        CheckConstraint("currency ~ '^[a-z][a-z0-9_]{0,29}$'", name="currency_form"),
    )

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    description: Mapped[str]
    base_price: Mapped[float]
    elasticity: Mapped[float]
    need: Mapped[float]
    currency: Mapped[str] = mapped_column(server_default=text("'points'"))


class MarketGood(Base):
    """A good in a region that something has moved (`rules.Market`): supply and demand as they were at `at`.

    A market without a row is as the region's yield and people make it.
    """

    __tablename__ = "market_goods"
    __table_args__ = (
        _region("market_goods", "region_id"),
        _good("market_goods"),
        CheckConstraint("supply > 0 AND demand > 0 AND supply_rest > 0 AND demand_rest > 0", name="some"),
        CheckConstraint("imports >= 0 AND exports >= 0 AND duty >= 0", name="not_negative"),
        {"postgresql_with": {"fillfactor": "70"}},
    )

    world_id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[UUID] = mapped_column(primary_key=True)
    good: Mapped[str] = mapped_column(primary_key=True)
    supply: Mapped[float]
    demand: Mapped[float]
    at: Mapped[int]
    supply_rest: Mapped[float]
    demand_rest: Mapped[float]
    imports: Mapped[float] = mapped_column(server_default=text("0"))
    exports: Mapped[float] = mapped_column(server_default=text("0"))
    duty: Mapped[float] = mapped_column(server_default=text("0"))
    told_price: Mapped[float | None]


class TradeRoute(Base):
    """A way on which a good is traded (`rules.RouteState`), from `opened_at` until `closed_at`."""

    __tablename__ = "trade_routes"
    __table_args__ = (
        _region("trade_routes", "from_region"),
        _region("trade_routes", "to_region"),
        _good("trade_routes"),
        CheckConstraint("from_region <> to_region", name="two_regions"),
        CheckConstraint("per_day > 0 AND per_day <= 1e9", name="per_day_range"),
        CheckConstraint("share BETWEEN 0 AND 1", name="share_range"),
        CheckConstraint("closed_at >= opened_at", name="closed_later"),
        Index(
            "uq_trade_routes_open", "world_id", "from_region", "to_region", "good", "owner_id", unique=True,
            postgresql_where=text("closed_at IS NULL"), postgresql_nulls_not_distinct=True,
        ),
        Index("ix_trade_routes_owner", "world_id", "owner_id", "id"),
    )  # fmt: skip

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    from_region: Mapped[UUID]
    to_region: Mapped[UUID]
    good: Mapped[str]
    per_day: Mapped[float]
    owner_id: Mapped[UUID | None]
    share: Mapped[float]
    by_id: Mapped[UUID | None]
    """The character that opened it."""
    opened_at: Mapped[int]
    closed_at: Mapped[int | None]
    closed_reason: Mapped[str | None]
    moved: Mapped[float] = mapped_column(server_default=text("0"))
    """What it carries per day under the restrictions of the last change or trade day."""
    tariff: Mapped[float] = mapped_column(server_default=text("0"))


class TradeRestriction(Base):
    """That trade is cut or taxed (`rules.Restriction`), until `until_at` or until it is lifted."""

    __tablename__ = "trade_restrictions"
    __table_args__ = (
        _good("trade_restrictions"),
        CheckConstraint("kind IN ('embargo', 'tariff', 'blockade')", name="kind_known"),
        CheckConstraint("rate BETWEEN 0 AND 1", name="rate_range"),
        CheckConstraint("char_length(source) BETWEEN 1 AND 200", name="source_length"),
        CheckConstraint("char_length(reason) <= 500", name="reason_length"),
        CheckConstraint("until_at IS NULL OR until_at > from_at", name="some_time"),
        Index(
            "ix_trade_restrictions_open", "world_id", "source", "id",
            postgresql_where=text("lifted_at IS NULL"),
        ),
    )  # fmt: skip

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    source: Mapped[str]
    kind: Mapped[str]
    good: Mapped[str | None]
    from_id: Mapped[UUID | None]
    to_id: Mapped[UUID | None]
    rate: Mapped[float]
    reason: Mapped[str]
    from_at: Mapped[int]
    until_at: Mapped[int | None]
    lifted_at: Mapped[int | None]


class MarketStock(Base):
    """How many units of a good a character or a faction has bought and not sold again."""

    __tablename__ = "market_stocks"
    __table_args__ = (
        _good("market_stocks"),
        CheckConstraint("units >= 0", name="units_not_negative"),
    )

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    owner_id: Mapped[UUID] = mapped_column(primary_key=True)
    good: Mapped[str] = mapped_column(primary_key=True)
    units: Mapped[int]
