"""What the commands about goods, markets and trade routes do. Higher systems reach markets through this module.

A sanction, a treaty or a war calls `restrict` with a source of its own, and `lift` with that source when it is over.

Locks: factions, accounts of the ledger, the head of the world's trade.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from fablewright.core.transaction import Transaction
from fablewright.systems.characters.service import is_game_master
from fablewright.systems.factions import service as factions
from fablewright.systems.ledger import service as ledger
from fablewright.systems.ledger.rules import CURRENCY_NOT_FOUND
from fablewright.systems.markets import rules, trade
from fablewright.systems.markets.commands import (
    MOST_GOODS,
    MOST_ROUTES,
    MOST_ROUTES_OF_ONE,
    CloseRoute,
    DefineGoods,
    OpenRoute,
    SetMarket,
)
from fablewright.systems.markets.events import GoodsDefined, MarketSet, RouteClosed, RouteOpened
from fablewright.systems.markets.flows import RouteState
from fablewright.systems.markets.restraints import lift, restrict
from fablewright.systems.markets.rules import (
    Good,
    Market,
    Restraint,
    Restriction,
    price_of,
    price_parts,
)
from fablewright.systems.markets.views import PriceView, good_value, price_view
from fablewright.systems.regions import service as regions
from fablewright.systems.regions.rules import REGION_NOT_FOUND, RegionState

__all__ = [
    "Good", "Market", "Restraint", "Restriction", "RouteState", "close_routes", "lift", "restrict", "routes",
]  # fmt: skip

TRADE: Final = "trade"
"""The act for which a faction's role must allow a character to open and close its routes."""

WRITE_GOODS: Final = """
INSERT INTO goods (world_id, key, name, base_price, elasticity, need, description, currency)
SELECT $1, v.* FROM unnest($2::text[], $3::text[], $4::float8[], $5::float8[], $6::float8[], $7::text[], $8::text[])
    AS v (key, name, base_price, elasticity, need, description, currency)
ON CONFLICT (world_id, key) DO UPDATE SET
    name = excluded.name, base_price = excluded.base_price, elasticity = excluded.elasticity, need = excluded.need,
    description = excluded.description, currency = excluded.currency
"""
ADD_ROUTE: Final = """
INSERT INTO trade_routes (world_id, id, from_region, to_region, good, per_day, owner_id, share, by_id, opened_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (world_id, from_region, to_region, good, owner_id) WHERE closed_at IS NULL DO NOTHING
"""
MANY_ROUTES: Final = """
SELECT count(*) AS all, count(*) FILTER (WHERE owner_id = $2) AS own
FROM trade_routes WHERE world_id = $1 AND closed_at IS NULL
"""
OWNER: Final = "SELECT owner_id FROM trade_routes WHERE world_id = $1 AND id = $2"
CLOSE_ROUTES: Final = """
UPDATE trade_routes SET closed_at = $3, closed_reason = $4, moved = 0, tariff = 0
WHERE world_id = $1 AND id = ANY($2::uuid[]) AND closed_at IS NULL
RETURNING id, from_region, to_region, good, owner_id
"""
LEAVE_STOCKS: Final = "DELETE FROM market_stocks WHERE world_id = $1 AND owner_id = $2"
INHERIT_STOCKS: Final = f"""
WITH left_ AS ({LEAVE_STOCKS} RETURNING good, units)
INSERT INTO market_stocks AS s (world_id, owner_id, good, units) SELECT $1, $3, good, units FROM left_
ON CONFLICT (world_id, owner_id, good) DO UPDATE SET units = s.units + excluded.units
"""  # noqa: S608
ROUTES_OF: Final = """
SELECT id, from_region, to_region, good, per_day, owner_id, share FROM trade_routes
WHERE world_id = $1 AND closed_at IS NULL
  AND (owner_id = ANY($2::uuid[]) OR from_region = ANY($2::uuid[]) OR to_region = ANY($2::uuid[])) ORDER BY id
"""


# -- for higher systems --------------------------------------------------------------------------------------


async def routes(tx: Transaction, ids: Iterable[UUID]) -> list[RouteState]:
    """The open routes that these factions own or that begin or end in these regions, by id; not locked."""
    return [RouteState(*row) for row in await tx.fetch(ROUTES_OF, tx.world_id, sorted(set(ids)))]


async def close_routes(tx: Transaction, route_ids: Iterable[UUID], reason: str) -> int:
    """End routes, and tell of each; those that are closed already stay so. Returns how many there were."""
    return await _close(tx, sorted(set(route_ids)), reason, None)


# -- goods and markets ---------------------------------------------------------------------------------------


async def define_goods(tx: Transaction, command: DefineGoods) -> dict[str, Any]:
    """Write goods, new and old. With the first ones the world's trade begins."""
    known = await trade.GOODS.of(tx)
    if len({*known, *(good.key for good in command.goods)}) > MOST_GOODS:
        raise rules.TOO_MANY_GOODS(most=MOST_GOODS)
    given, currencies = command.goods, await ledger.currencies(tx)
    for good in given:
        if good.currency not in currencies:
            raise CURRENCY_NOT_FOUND(currency=good.currency)
    await tx.execute(
        WRITE_GOODS, tx.world_id, [g.key for g in given], [g.name for g in given], [g.base_price for g in given],
        [g.elasticity for g in given], [g.need for g in given], [g.description for g in given],
        [g.currency for g in given],
    )  # fmt: skip
    tx.definitions_changed = True
    await trade.start(tx)
    tx.emit(GoodsDefined(goods=given))
    return {"goods": [good_value(good) for good in (await trade.GOODS.of(tx)).values()]}


async def set_market(tx: Transaction, command: SetMarket) -> PriceView:
    """Say how much there is and how much is wanted now."""
    good = await good_of(tx, command.good)
    region = (await regions_of(tx, [command.region_id]))[command.region_id]
    await trade.lock(tx)
    before = (await trade.load_market(tx, good, region)).on(tx.now)
    after = replace(
        before, supply=max(rules.LEAST, command.supply or before.supply),
        demand=max(rules.LEAST, command.demand or before.demand),
    )  # fmt: skip
    price = price_of(price_parts(good, after, region, tx.now))
    await trade.write_markets(tx, [replace(after, told_price=price)])
    tx.emit(
        MarketSet(region_id=region.id, good=good.key, supply=after.supply, demand=after.demand, price=price)
    )
    return price_view(good, after, region, tx.now)


async def forget(tx: Transaction, region_ids: Iterable[UUID]) -> None:
    """Nothing comes to the markets of regions that are no more, nor leaves them."""
    await trade.lock(tx)
    await tx.execute(
        "UPDATE market_goods SET imports = 0, exports = 0, duty = 0 "
        "WHERE world_id = $1 AND region_id = ANY($2::uuid[])",
        tx.world_id, sorted(set(region_ids)),
    )  # fmt: skip


async def inherit(tx: Transaction, owner_id: UUID, heir_id: UUID | None) -> None:
    """What a faction that is no more has in stock goes to its heir; without one it is gone."""
    await trade.lock(tx)
    if heir_id is None:
        await tx.execute(LEAVE_STOCKS, tx.world_id, owner_id)
    else:
        await tx.execute(INHERIT_STOCKS, tx.world_id, owner_id, heir_id)


# -- routes --------------------------------------------------------------------------------------------------


async def open_route(tx: Transaction, command: OpenRoute) -> dict[str, Any]:
    """Begin to trade a good from one region to another."""
    if command.from_region == command.to_region:
        raise rules.SAME_MARKET()
    await _check_trader(tx, command.faction_id, command.character_id)
    good = await good_of(tx, command.good)
    lands = await regions_of(tx, [command.from_region, command.to_region])
    held_by = {region.controller_id for region in lands.values()}
    if (
        command.character_id is not None
        and command.faction_id is not None
        and command.faction_id not in held_by
    ):
        raise rules.NO_FOOTHOLD(faction_id=str(command.faction_id))
    await trade.lock(tx)
    many = await tx.fetchrow(MANY_ROUTES, tx.world_id, command.faction_id)
    if many["all"] >= MOST_ROUTES:
        raise rules.TOO_MANY_ROUTES(most=MOST_ROUTES)
    if command.character_id is not None and many["own"] >= MOST_ROUTES_OF_ONE:
        raise rules.TOO_MANY_ROUTES("The faction has as many routes as it can open.", most=MOST_ROUTES_OF_ONE)
    route_id = tx.new_id()
    made = await tx.execute(
        ADD_ROUTE, tx.world_id, route_id, command.from_region, command.to_region, good.key, command.per_day,
        command.faction_id, command.share, command.character_id, tx.now,
    )  # fmt: skip
    if not made:
        raise rules.ROUTE_EXISTS(good=good.key)
    tx.emit(
        RouteOpened(
            route_id=route_id, owner_id=command.faction_id, from_region=command.from_region,
            to_region=command.to_region, good=good.key, per_day=command.per_day, share=command.share,
            by_id=command.character_id,
        )
    )  # fmt: skip
    await trade.reflow(tx)
    moved = await tx.fetchval(
        "SELECT moved FROM trade_routes WHERE world_id = $1 AND id = $2", tx.world_id, route_id
    )
    return {"id": route_id, "moved": moved}


async def close_route(tx: Transaction, command: CloseRoute) -> None:
    """End a trade route."""
    row = await tx.fetchrow(OWNER, tx.world_id, command.route_id)
    if row is None:
        raise rules.ROUTE_NOT_FOUND(route_id=str(command.route_id))
    await _check_trader(tx, row["owner_id"], command.character_id)
    if not await _close(tx, [command.route_id], command.reason, command.character_id):
        raise rules.ROUTE_CLOSED(route_id=str(command.route_id))


async def _close(tx: Transaction, route_ids: list[UUID], reason: str, by_id: UUID | None) -> int:
    if not route_ids:
        return 0
    await trade.lock(tx)
    rows = await tx.fetch(CLOSE_ROUTES, tx.world_id, route_ids, tx.now, reason)
    for row in sorted(rows, key=lambda r: r["id"]):
        tx.emit(
            RouteClosed(
                route_id=row["id"], owner_id=row["owner_id"], from_region=row["from_region"],
                to_region=row["to_region"], good=row["good"], reason=reason, by_id=by_id,
            )
        )  # fmt: skip
    if rows:
        await trade.reflow(tx)
    return len(rows)


async def _check_trader(tx: Transaction, faction_id: UUID | None, character_id: UUID | None) -> None:
    """Whether whoever asks may trade for this faction; for none only game masters may."""
    if faction_id is not None:
        await factions.may(tx, faction_id, character_id, TRADE)
    elif not is_game_master(tx.request):
        raise rules.ACT_FOR_WHOM()


# -- helpers -------------------------------------------------------------------------------------------------


async def good_of(tx: Transaction, key: str) -> Good:
    """A good of the world. Refuses `good_not_found`."""
    found = (await trade.GOODS.of(tx)).get(key)
    if found is None:
        raise rules.GOOD_NOT_FOUND(good=key)
    return found


async def regions_of(tx: Transaction, ids: Iterable[UUID]) -> dict[UUID, RegionState]:
    """These regions. Refuses `region_not_found`."""
    wanted = list(ids)
    found = await regions.regions(tx, wanted)
    for region_id in wanted:
        if region_id not in found:
            raise REGION_NOT_FOUND(region_id=str(region_id))
    return found
