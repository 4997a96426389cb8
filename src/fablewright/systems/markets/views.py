"""What is read of goods, prices, trade routes, restrictions and stocks."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from pydantic import Field

from fablewright.core.messages import View
from fablewright.systems.markets import flows, rules
from fablewright.systems.markets.commands import GoodValue
from fablewright.systems.markets.flows import RouteState
from fablewright.systems.markets.rules import Good, Market, price_of, price_parts
from fablewright.systems.regions.rules import RegionState
from fablewright.systems.regions.views import REGION, now_of, region_of

GOOD: Final = "key, name, base_price, elasticity, need, description, currency"
"""The columns of a `Good`, in the order of its fields."""
MARKET: Final = (
    "region_id, good, supply, demand, at, supply_rest, demand_rest, imports, exports, duty, told_price"
)
"""The columns of a `Market`, in the order of its fields."""
ROUTE: Final = (
    "id, from_region, to_region, good, per_day, owner_id, share, by_id, opened_at, closed_at, closed_reason, moved, "
    "tariff"
)
OPEN_ROUTES: Final = f"SELECT {ROUTE} FROM trade_routes WHERE world_id = $1 AND closed_at IS NULL ORDER BY id"  # noqa: S608
RESTRICTION: Final = "id, source, kind, good, from_id, to_id, rate, reason, from_at, until_at, lifted_at"


class PartView(View):
    """A factor of a price."""

    what: str = Field(description="base, scarcity, control, stability or tariff.")
    factor: float
    reason: str


class PriceView(View):
    """What a good costs in a region now, and why."""

    good: str
    name: str
    price: float = Field(description="The product of the factors of `parts`, in their order.")
    parts: list[PartView]
    supply: float = Field(description="Units per world day on offer now.")
    demand: float = Field(description="Units per world day wanted now.")
    supply_rest: float = Field(description="Where the supply drifts to.")
    demand_rest: float = Field(description="Where the demand drifts to.")
    imports: float = Field(description="Units per world day that routes bring.")
    exports: float = Field(description="Units per world day that routes take away.")


class MarketView(View):
    """The market of a region: all goods of the world, by key."""

    region_id: UUID
    name: str
    controller_id: UUID | None
    goods: list[PriceView]


class PricesView(View):
    """What each good costs in a region now."""

    region_id: UUID
    name: str
    prices: dict[str, float]


class RouteView(View):
    """A trade route, and what it carries and earns a day as things are."""

    id: UUID
    from_region: UUID
    to_region: UUID
    good: str
    per_day: float = Field(description="What it would carry if there were enough and nothing restrained it.")
    moved: float = Field(description="What it carries per day.")
    tariff: float = Field(description="The share of the value that is taxed.")
    income: float = Field(description="What it earns per day at the prices of now, before it is divided.")
    owner_id: UUID | None
    share: float
    by_id: UUID | None
    opened_at: int
    closed_at: int | None
    closed_reason: str | None


class RestrictionView(View):
    """That trade is cut or taxed."""

    id: UUID
    source: str = Field(description="What keeps it: `game_master`, or such as `sanction:<id>`.")
    kind: str
    good: str | None
    from_id: UUID | None
    to_id: UUID | None
    rate: float
    reason: str
    from_at: int = Field(description="World time in ms.")
    until_at: int | None = Field(description="World time in ms; null: until it is lifted.")
    lifted_at: int | None = Field(description="World time in ms; null: it was not lifted.")


class StockView(View):
    """How many units of a good somebody has."""

    good: str
    units: int


class DealView(View):
    """What was bought or sold."""

    good: str
    units: int
    unit_price: float = Field(description="With the tariff.")
    tariff: float = Field(description="The share of the price that restrictions add to it, or take of it.")
    sum: int
    currency: str
    stock: int = Field(description="What the owner has of it now.")


def market_of(row: Any) -> Market:
    """A market from a row of `MARKET`."""
    return Market(
        row["region_id"], row["good"], row["supply"], row["demand"], row["at"], row["supply_rest"],
        row["demand_rest"], row["imports"], row["exports"], row["duty"], row["told_price"],
    )  # fmt: skip


def route_of(row: Any) -> RouteState:
    """A route from a row of `ROUTE`."""
    return RouteState(
        row["id"], row["from_region"], row["to_region"], row["good"], row["per_day"], row["owner_id"], row["share"]
    )  # fmt: skip


def good_value(good: Good) -> GoodValue:
    """A good as commands and answers have it."""
    return GoodValue(
        key=good.key, name=good.name, base_price=good.base_price, elasticity=good.elasticity, need=good.need,
        description=good.description, currency=good.currency,
    )  # fmt: skip


def price_view(good: Good, market: Market, region: RegionState, now: int) -> PriceView:
    """The price of a good in a region at world time `now`."""
    parts = price_parts(good, market, region, now)
    here = market.on(now)
    return PriceView(
        good=good.key, name=good.name, price=price_of(parts),
        parts=[PartView(what=p.what, factor=p.factor, reason=p.reason) for p in parts],
        supply=here.supply, demand=here.demand, supply_rest=here.supply_rest, demand_rest=here.demand_rest,
        imports=here.imports, exports=here.exports,
    )  # fmt: skip


# -- reading -------------------------------------------------------------------------------------------------


async def goods(connection: Any, world_id: UUID) -> dict[str, Good]:
    """The goods of a world, by key."""
    rows = await connection.fetch(f"SELECT {GOOD} FROM goods WHERE world_id = $1 ORDER BY key", world_id)  # noqa: S608
    return {row["key"]: Good(*row) for row in rows}


async def _markets(
    connection: Any, world_id: UUID, region_ids: Sequence[UUID]
) -> dict[tuple[UUID, str], Market]:
    rows = await connection.fetch(
        f"SELECT {MARKET} FROM market_goods WHERE world_id = $1 AND region_id = ANY($2::uuid[])",  # noqa: S608
        world_id, region_ids,
    )  # fmt: skip
    return {(row["region_id"], row["good"]): market_of(row) for row in rows}


async def market(connection: Any, world_id: UUID, region_id: UUID) -> MarketView | None:
    """The market of a region with all parts of its prices; None if the region is unknown or was removed."""
    row = await connection.fetchrow(
        f"SELECT {REGION} FROM regions WHERE world_id = $1 AND id = $2 AND removed_at IS NULL",  # noqa: S608
        world_id, region_id,
    )  # fmt: skip
    if row is None:
        return None
    region, now = region_of(row), await now_of(connection, world_id)
    known, found = await goods(connection, world_id), await _markets(connection, world_id, [region_id])
    return MarketView(
        region_id=region.id, name=region.name, controller_id=region.controller_id,
        goods=[
            price_view(good, found.get((region.id, key)) or rules.resting(good, region, now), region, now)
            for key, good in known.items()
        ],
    )  # fmt: skip


async def list_prices(
    connection: Any, world_id: UUID, *, after: tuple[str, UUID] | None, limit: int
) -> list[PricesView]:
    """What goods cost, for up to `limit` regions by (name, id) after a position."""
    now = await now_of(connection, world_id)
    rows = await connection.fetch(
        f"SELECT {REGION} FROM regions WHERE world_id = $1 AND removed_at IS NULL "  # noqa: S608
        "AND ($2::text IS NULL OR (name, id) > ($2, $3::uuid)) ORDER BY name, id LIMIT $4",
        world_id, *(after or (None, None)), limit,
    )  # fmt: skip
    regions = [region_of(row) for row in rows]
    known = await goods(connection, world_id)
    found = await _markets(connection, world_id, [region.id for region in regions])

    def price(region: RegionState, good: Good) -> float:
        here = found.get((region.id, good.key)) or rules.resting(good, region, now)
        return price_of(price_parts(good, here, region, now))

    return [
        PricesView(
            region_id=region.id, name=region.name, prices={key: price(region, g) for key, g in known.items()}
        )
        for region in regions
    ]


async def list_routes(
    connection: Any, world_id: UUID, *, owner_id: UUID | None = None, region_id: UUID | None = None,
    good: str | None = None, closed: bool = False, only: UUID | None = None, after: UUID | None = None, limit: int,
) -> list[RouteView]:  # fmt: skip
    """Up to `limit` routes by id; with `closed` also those that have ended. `only` is the id of the one wanted."""
    rows = await connection.fetch(
        f"SELECT {ROUTE} FROM trade_routes WHERE world_id = $1 "  # noqa: S608
        "AND ($2::uuid IS NULL OR owner_id = $2) AND ($3::uuid IS NULL OR $3 IN (from_region, to_region)) "
        "AND ($4::text IS NULL OR good = $4) AND ($5 OR closed_at IS NULL) AND ($6::uuid IS NULL OR id = $6) "
        "AND ($7::uuid IS NULL OR id > $7) ORDER BY id LIMIT $8",
        world_id, owner_id, region_id, good, closed, only, after, limit,
    )  # fmt: skip
    if not rows:
        return []
    ends = sorted({row[end] for row in rows for end in ("from_region", "to_region")})
    lands = {
        row["id"]: region_of(row)
        for row in await connection.fetch(
            f"SELECT {REGION} FROM regions WHERE world_id = $1 AND id = ANY($2::uuid[])",  # noqa: S608
            world_id, ends,
        )
    }  # fmt: skip
    now, known = await now_of(connection, world_id), await goods(connection, world_id)
    found = await _markets(connection, world_id, ends)

    def price(region_id: UUID, key: str) -> float:
        region, traded = lands[region_id], known[key]
        here = found.get((region_id, key)) or rules.resting(traded, region, now)
        return price_of(price_parts(traded, here, region, now))

    made = []
    for row in rows:
        carried = flows.Flow(
            route_of(row), 0.0 if row["closed_at"] is not None else row["moved"], row["tariff"]
        )
        ends_cost = price(row["from_region"], row["good"]), price(row["to_region"], row["good"])
        income = flows.earned(carried, *ends_cost, lands).gross
        made.append(RouteView.model_construct(**{**dict(row), "moved": carried.moved, "income": income}))
    return made


async def list_restrictions(
    connection: Any, world_id: UUID, *, subject_id: UUID | None, source: str | None, over: bool,
    after: UUID | None, limit: int,
) -> list[RestrictionView]:  # fmt: skip
    """Up to `limit` restrictions by id: those that hold or will, or with `over` also those that held once."""
    now = await now_of(connection, world_id)
    rows = await connection.fetch(
        f"SELECT {RESTRICTION} FROM trade_restrictions WHERE world_id = $1 "  # noqa: S608
        "AND ($2::uuid IS NULL OR $2 IN (from_id, to_id)) AND ($3::text IS NULL OR source = $3) "
        "AND ($4 OR (lifted_at IS NULL AND (until_at IS NULL OR until_at > $5))) "
        "AND ($6::uuid IS NULL OR id > $6) ORDER BY id LIMIT $7",
        world_id, subject_id, source, over, now, after, limit,
    )  # fmt: skip
    return [RestrictionView.model_construct(**dict(row)) for row in rows]


async def stocks(connection: Any, world_id: UUID, owner_id: UUID) -> list[StockView]:
    """What somebody has of each good, by key."""
    rows = await connection.fetch(
        "SELECT good, units FROM market_stocks WHERE world_id = $1 AND owner_id = $2 AND units > 0 ORDER BY good",
        world_id, owner_id,
    )  # fmt: skip
    return [StockView.model_construct(**dict(row)) for row in rows]
