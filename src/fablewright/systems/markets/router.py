"""HTTP routes for goods, prices, trade routes, restrictions and stocks."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict

from fablewright.core.actors import Role
from fablewright.gateway.api import (
    CURSOR_INVALID,
    MEMBER_ROLE,
    PAGE_TOO_LARGE,
    Caller,
    Committed,
    Page,
    Paging,
    page_of,
    position_of,
    refusals,
)
from fablewright.gateway.events import reader_filter
from fablewright.systems.ledger.rules import ACCOUNT_IS_PRIVATE
from fablewright.systems.markets import views
from fablewright.systems.markets.commands import (
    Buy,
    CloseRoute,
    DefineGoods,
    GoodValue,
    ImposeRestriction,
    LiftRestriction,
    OpenRoute,
    PerDay,
    Reason,
    Sell,
    SetMarket,
    SetStock,
    Stock,
)
from fablewright.systems.markets.rules import ROUTE_NOT_FOUND
from fablewright.systems.markets.views import (
    DealView,
    MarketView,
    PricesView,
    PriceView,
    RestrictionView,
    RouteView,
    StockView,
)
from fablewright.systems.regions.rules import REGION_NOT_FOUND

router = APIRouter(tags=["markets"])

PathGood = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_]{0,59}$")]


class GoodsView(BaseModel):
    """All goods of a world, by key."""

    goods: list[GoodValue]


class StocksView(BaseModel):
    """What somebody has of each good."""

    items: list[StockView]


class RouteAnswer(BaseModel):
    """The id of a new route, and what it carries per day as things are."""

    id: UUID
    moved: float


class RestrictionAnswer(BaseModel):
    """The ids of what was imposed: two if it binds both ways."""

    ids: list[UUID]


class StockBody(BaseModel):
    """How much there is of it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"units": 12}]})

    units: Stock


class MarketBody(BaseModel):
    """How much there is and how much is wanted."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"supply": 20, "demand": 80}]})

    supply: PerDay | None = None
    demand: PerDay | None = None


class CloseBody(BaseModel):
    """Who closes a route, and why."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"reason": "The pass is snowed up."}]}
    )

    character_id: UUID | None = None
    reason: Reason = ""


# -- goods and prices ----------------------------------------------------------------------------------------


@router.put("/worlds/{world_id}/markets/goods", responses=refusals(DefineGoods))
async def define_goods(world_id: UUID, body: DefineGoods, caller: Caller) -> Committed[GoodsView]:
    """Make goods, or change those with these keys. For game masters."""
    return await caller.execute(body, world_id)  # type: ignore[no-any-return]


@router.get("/worlds/{world_id}/markets/goods", responses=refusals())
async def list_goods(world_id: UUID, caller: Caller) -> GoodsView:
    """The goods of the world, by key."""
    async with caller.reading(world_id) as connection:
        found = await views.goods(connection, world_id)
    return GoodsView(goods=[views.good_value(good) for good in found.values()])


@router.get("/worlds/{world_id}/markets", responses=refusals(CURSOR_INVALID, PAGE_TOO_LARGE))
async def list_markets(world_id: UUID, caller: Caller, paging: Paging) -> Page[PricesView]:
    """What each good costs in each region now; regions by name."""
    after = position_of(paging, _text, UUID)
    async with caller.reading(world_id) as connection:
        rows = await views.list_prices(
            connection, world_id, after=(after[0], after[1]) if after else None, limit=paging.limit + 1
        )
    return page_of(rows, paging, lambda m: [m.name, str(m.region_id)])


@router.get("/worlds/{world_id}/markets/regions/{region_id}", responses=refusals(REGION_NOT_FOUND))
async def get_market(world_id: UUID, region_id: UUID, caller: Caller) -> MarketView:
    """The market of a region: what each good costs, and the parts of which the price is made."""
    async with caller.reading(world_id) as connection:
        found = await views.market(connection, world_id, region_id)
    if found is None:
        raise REGION_NOT_FOUND(region_id=str(region_id))
    return found


@router.put("/worlds/{world_id}/markets/regions/{region_id}/goods/{good}", responses=refusals(SetMarket))
async def set_market(
    world_id: UUID, region_id: UUID, good: PathGood, body: MarketBody, caller: Caller
) -> Committed[PriceView]:
    """Say how much of a good a region offers and wants now. For game masters."""
    command = SetMarket(region_id=region_id, good=good, supply=body.supply, demand=body.demand)
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


# -- routes --------------------------------------------------------------------------------------------------


@router.get("/worlds/{world_id}/markets/routes", responses=refusals(CURSOR_INVALID, PAGE_TOO_LARGE))
async def list_routes(
    world_id: UUID,
    caller: Caller,
    paging: Paging,
    *,
    owner_id: Annotated[UUID | None, Query(description="Only those of this faction.")] = None,
    region_id: Annotated[UUID | None, Query(description="Only those from or to this region.")] = None,
    good: Annotated[str | None, Query(max_length=60, description="Only those of this good.")] = None,
    closed: Annotated[bool, Query(description="Also those that were closed.")] = False,
) -> Page[RouteView]:
    """Trade routes, and what they carry and earn."""
    after = position_of(paging, UUID)
    async with caller.reading(world_id) as connection:
        rows = await views.list_routes(
            connection, world_id, owner_id=owner_id, region_id=region_id, good=good and good.replace("\x00", ""),
            closed=closed, after=after[0] if after else None, limit=paging.limit + 1,
        )  # fmt: skip
    return page_of(rows, paging, lambda route: [str(route.id)])


@router.post("/worlds/{world_id}/markets/routes", status_code=201, responses=refusals(OpenRoute))
async def open_route(world_id: UUID, body: OpenRoute, caller: Caller) -> Committed[RouteAnswer]:
    """Let a good be traded from one region to another. For game masters, and for factions' traders."""
    return await caller.execute(body, world_id, status=201)  # type: ignore[no-any-return]


@router.get("/worlds/{world_id}/markets/routes/{route_id}", responses=refusals(ROUTE_NOT_FOUND))
async def get_trade_route(world_id: UUID, route_id: UUID, caller: Caller) -> RouteView:
    """One trade route, also one that was closed."""
    async with caller.reading(world_id) as connection:
        rows = await views.list_routes(connection, world_id, closed=True, only=route_id, limit=1)
    if not rows:
        raise ROUTE_NOT_FOUND(route_id=str(route_id))
    return rows[0]


@router.post("/worlds/{world_id}/markets/routes/{route_id}/close", responses=refusals(CloseRoute))
async def close_route(world_id: UUID, route_id: UUID, body: CloseBody, caller: Caller) -> Committed[None]:
    """End a trade route. For game masters, and for the traders of its faction."""
    command = CloseRoute(route_id=route_id, character_id=body.character_id, reason=body.reason)
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


# -- restrictions --------------------------------------------------------------------------------------------


@router.get("/worlds/{world_id}/markets/restrictions", responses=refusals(CURSOR_INVALID, PAGE_TOO_LARGE))
async def list_restrictions(
    world_id: UUID,
    caller: Caller,
    paging: Paging,
    *,
    subject_id: Annotated[UUID | None, Query(description="Only those of this region or faction.")] = None,
    source: Annotated[str | None, Query(max_length=200, description="Only those of this source.")] = None,
    over: Annotated[bool, Query(description="Also those that were lifted or have run out.")] = False,
) -> Page[RestrictionView]:
    """What cuts or taxes trade."""
    after = position_of(paging, UUID)
    async with caller.reading(world_id) as connection:
        rows = await views.list_restrictions(
            connection, world_id, subject_id=subject_id, source=source and source.replace("\x00", ""), over=over,
            after=after[0] if after else None, limit=paging.limit + 1,
        )  # fmt: skip
    return page_of(rows, paging, lambda restriction: [str(restriction.id)])


@router.post(
    "/worlds/{world_id}/markets/restrictions", status_code=201, responses=refusals(ImposeRestriction)
)
async def impose_restriction(
    world_id: UUID, body: ImposeRestriction, caller: Caller
) -> Committed[RestrictionAnswer]:
    """Cut or tax trade. For game masters."""
    return await caller.execute(body, world_id, status=201)  # type: ignore[no-any-return]


@router.delete(
    "/worlds/{world_id}/markets/restrictions/{restriction_id}", responses=refusals(LiftRestriction)
)
async def lift_restriction(world_id: UUID, restriction_id: UUID, caller: Caller) -> Committed[None]:
    """End a restriction that a game master imposed. For game masters."""
    command = LiftRestriction(restriction_id=restriction_id)
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


# -- buying and selling --------------------------------------------------------------------------------------


@router.post("/worlds/{world_id}/markets/buy", responses=refusals(Buy))
async def buy(world_id: UUID, body: Buy, caller: Caller) -> Committed[DealView]:
    """Buy a good on the market of a region, as a character, for itself or for its faction."""
    return await caller.execute(body, world_id)  # type: ignore[no-any-return]


@router.post("/worlds/{world_id}/markets/sell", responses=refusals(Sell))
async def sell(world_id: UUID, body: Sell, caller: Caller) -> Committed[DealView]:
    """Sell a good of a stock on the market of a region, as a character, for itself or for its faction."""
    return await caller.execute(body, world_id)  # type: ignore[no-any-return]


@router.get("/worlds/{world_id}/markets/stocks/{owner_id}", responses=refusals(ACCOUNT_IS_PRIVATE))
async def list_stock(world_id: UUID, owner_id: UUID, caller: Caller) -> StocksView:
    """What somebody has of each good. For game masters, and for who stands for the owner."""
    user_id = caller.signed_in()
    async with caller.runtime.database.reading() as connection:
        role = caller.require(
            await connection.fetchval(MEMBER_ROLE, world_id, user_id), world_id, Role.OBSERVER
        )
        mine = (await reader_filter(connection, caller.runtime, world_id, user_id, role)).principals
        if mine is not None and owner_id not in mine:
            raise ACCOUNT_IS_PRIVATE()
        return StocksView(items=await views.stocks(connection, world_id, owner_id))


@router.put("/worlds/{world_id}/markets/stocks/{owner_id}/{good}", responses=refusals(SetStock))
async def set_stock(
    world_id: UUID, owner_id: UUID, good: PathGood, body: StockBody, caller: Caller
) -> Committed[StockView]:
    """Say how much of a good a character or a faction has now. For game masters."""
    command = SetStock(owner_id=owner_id, good=good, units=body.units)
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


def _text(value: Any) -> str:
    if not isinstance(value, str) or "\x00" in value:
        raise TypeError("not a name")
    return value
