"""The state of a world's trade, what changes flow through it, and the trade day.

Whoever changes a market or what flows (routes, restrictions, the trade day) locks the world's head row first, and
reads markets, routes and restrictions after that: they have no locks of their own. The head comes after accounts of
the ledger: whoever pays opens its book before.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from uuid import UUID

from fablewright.core.clock import DAY
from fablewright.core.definitions import Definitions
from fablewright.core.refusal import Refused
from fablewright.core.transaction import Timer, Transaction
from fablewright.systems.ledger import service as ledger
from fablewright.systems.markets import flows, rules
from fablewright.systems.markets.events import IncomeTold, PriceChanged, PriceTold, RouteTold, Traded
from fablewright.systems.markets.flows import Earned, Flow, Place, RouteState
from fablewright.systems.markets.rules import Good, Market, Restriction, price_of, price_parts
from fablewright.systems.markets.views import GOOD, MARKET, OPEN_ROUTES, market_of, route_of
from fablewright.systems.regions import service as regions
from fablewright.systems.regions.rules import RegionState

TRADE_DAY: Final = "markets.trade_day"
"""The kind of timer that moves all routes of a world; its data names the day. Each world that has goods has one."""
MOST_TOLD: Final = 100
"""Routes, incomes or prices in one event."""

LOCK_HEAD: Final = "SELECT day FROM market_heads WHERE world_id = $1 FOR NO KEY UPDATE"
ADD_HEAD: Final = "INSERT INTO market_heads (world_id, day) VALUES ($1, $2) ON CONFLICT DO NOTHING"
SET_DAY: Final = "UPDATE market_heads SET day = $2 WHERE world_id = $1"
GOODS_OF: Final = f"SELECT {GOOD} FROM goods WHERE world_id = $1 ORDER BY key"  # noqa: S608
LOAD_MARKETS: Final = f"SELECT {MARKET} FROM market_goods WHERE world_id = $1"  # noqa: S608
LOAD_MARKET: Final = f"{LOAD_MARKETS} AND region_id = $2 AND good = $3"
WRITE_MARKETS: Final = """
INSERT INTO market_goods (world_id, region_id, good, supply, demand, at, supply_rest, demand_rest, imports, exports,
                          duty, told_price)
SELECT $1, v.* FROM unnest($2::uuid[], $3::text[], $4::float8[], $5::float8[], $6::bigint[], $7::float8[],
                           $8::float8[], $9::float8[], $10::float8[], $11::float8[], $12::float8[])
    AS v (region_id, good, supply, demand, at, supply_rest, demand_rest, imports, exports, duty, told_price)
ORDER BY v.region_id, v.good
ON CONFLICT (world_id, region_id, good) DO UPDATE SET
    supply = excluded.supply, demand = excluded.demand, at = excluded.at, supply_rest = excluded.supply_rest,
    demand_rest = excluded.demand_rest, imports = excluded.imports, exports = excluded.exports,
    duty = excluded.duty, told_price = excluded.told_price
"""
WRITE_FLOWS: Final = """
UPDATE trade_routes r SET moved = v.moved, tariff = v.tariff
FROM unnest($2::uuid[], $3::float8[], $4::float8[]) AS v (id, moved, tariff)
WHERE r.world_id = $1 AND r.id = v.id
"""
PAYEES: Final = """
WITH ways AS (SELECT owner_id, from_region, to_region FROM trade_routes WHERE world_id = $1 AND closed_at IS NULL)
SELECT id, currency FROM factions
WHERE world_id = $1 AND dissolved_at IS NULL AND (
    id IN (SELECT owner_id FROM ways) OR id IN (
        SELECT controller_id FROM regions WHERE world_id = $1
        AND id IN (SELECT from_region FROM ways UNION SELECT to_region FROM ways)))
"""
HOLDING: Final = """
SELECT id, source, kind, good, from_id, to_id, rate, reason, from_at, until_at FROM trade_restrictions
WHERE world_id = $1 AND lifted_at IS NULL AND from_at <= $2 AND (until_at IS NULL OR until_at > $2) ORDER BY id
"""


async def _load_goods(tx: Transaction) -> dict[str, Good]:
    return {row["key"]: Good(*row) for row in await tx.fetch(GOODS_OF, tx.world_id)}


GOODS: Final = Definitions(_load_goods)
"""The goods of each world, by key."""


@dataclass(slots=True)
class Scene:
    """All of a world's trade at one moment, locked until the commit."""

    now: int
    goods: Mapping[str, Good]
    regions: Mapping[UUID, RegionState]
    routes: dict[UUID, RouteState]
    stored: dict[UUID, tuple[float, float]]
    """What is stored of each route: what it carries, and the tariff."""
    restrictions: list[Restriction]
    markets: dict[Place, Market]
    prices: dict[Place, float] = field(default_factory=dict)
    """Those that were asked for: thousands of routes share some hundred markets."""

    def price(self, place: Place) -> float:
        """What a good costs in a region now. The region and the good are known."""
        if place not in self.prices:
            region, good = self.regions[place[0]], self.goods[place[1]]
            market = self.markets.get(place) or rules.resting(good, region, self.now)
            self.prices[place] = price_of(price_parts(good, market, region, self.now))
        return self.prices[place]


async def lock(tx: Transaction) -> None:
    """Lock the world's head row. A world without goods has none, and nothing to trade."""
    await tx.fetchval(LOCK_HEAD, tx.world_id)


async def holding(tx: Transaction) -> list[Restriction]:
    """The restrictions that hold now, by id."""
    return [
        Restriction(
            row["source"], rules.Restraint(row["kind"]), row["good"], row["from_id"], row["to_id"], row["rate"],
            row["reason"], row["from_at"], row["until_at"], False, row["id"],
        )
        for row in await tx.fetch(HOLDING, tx.world_id, tx.now)
    ]  # fmt: skip


async def scene(tx: Transaction) -> Scene:
    """The trade of the world, with its head locked."""
    await lock(tx)
    lands = await regions.regions(tx)
    rows = await tx.fetch(OPEN_ROUTES, tx.world_id)
    held = await holding(tx)
    found = await tx.fetch(LOAD_MARKETS, tx.world_id)
    return Scene(
        tx.now, await GOODS.of(tx), lands, {r["id"]: route_of(r) for r in rows},
        {r["id"]: (r["moved"], r["tariff"]) for r in rows}, held,
        {(r["region_id"], r["good"]): market_of(r) for r in found},
    )  # fmt: skip


async def load_market(tx: Transaction, good: Good, region: RegionState) -> Market:
    """One market. Lock the head before."""
    row = await tx.fetchrow(LOAD_MARKET, tx.world_id, region.id, good.key)
    return rules.resting(good, region, tx.now) if row is None else market_of(row)


async def write_markets(tx: Transaction, changed: Sequence[Market]) -> None:
    """Store markets as they are now."""
    if changed:
        await tx.execute(
            WRITE_MARKETS, tx.world_id, [m.region_id for m in changed], [m.good for m in changed],
            [m.supply for m in changed], [m.demand for m in changed], [m.at for m in changed],
            [m.supply_rest for m in changed], [m.demand_rest for m in changed], [m.imports for m in changed],
            [m.exports for m in changed], [m.duty for m in changed], [m.told_price for m in changed],
        )  # fmt: skip


def flow(scene: Scene) -> tuple[list[Flow], list[Market]]:
    """What all routes carry now, and the markets that change by it; the scene has them as they will be."""
    flowing = flows.flows(scene.routes.values(), scene.regions, scene.restrictions, scene.now)
    traffic = flows.traffic(flowing)
    changed = []
    for place in sorted({*scene.markets, *traffic}):
        region, good = scene.regions.get(place[0]), scene.goods.get(place[1])
        if region is None or good is None:
            continue
        before = scene.markets.get(place)
        after = flows.settled(
            before or rules.resting(good, region, scene.now), good, region, traffic.get(place), scene.now
        )
        scene.markets[place] = after
        scene.prices.pop(place, None)
        if after is not before:
            changed.append(after)
    return flowing, changed


async def write_flows(tx: Transaction, scene: Scene, flowing: Iterable[Flow]) -> None:
    """Store what routes carry, where that has changed."""
    stale = [f for f in flowing if scene.stored.get(f.route.id) != (f.moved, f.tariff)]
    if stale:
        await tx.execute(
            WRITE_FLOWS, tx.world_id, [f.route.id for f in stale], [f.moved for f in stale],
            [f.tariff for f in stale],
        )  # fmt: skip


async def reflow(tx: Transaction) -> None:
    """After routes or restrictions have changed: let markets drift to where they rest from now on."""
    at_hand = await scene(tx)
    flowing, changed = flow(at_hand)
    await write_markets(tx, changed)
    await write_flows(tx, at_hand, flowing)


# -- the trade day -------------------------------------------------------------------------------------------


async def start(tx: Transaction) -> None:
    """Let a world trade from its next day on, if it does not yet."""
    made = await tx.execute(ADD_HEAD, tx.world_id, tx.now // DAY)
    if made:
        await _next(tx, tx.now // DAY + 1)


async def _next(tx: Transaction, day: int) -> None:
    await tx.schedule(TRADE_DAY, max(day * DAY, tx.now), {"day": day})


async def trade_day(tx: Transaction, timers: Sequence[Timer]) -> None:
    """Move all routes of the world for a day: income to treasuries, drift of markets, and what to tell of it."""
    day = max(int(timer.data["day"]) for timer in timers)
    found = await _currencies(tx)
    book = await ledger.open_book(tx, found.items(), create=True) if found else None
    # Who was dissolved while this waited for an account has none to be paid into.
    currencies = dict(found.items() & (await _currencies(tx)).items()) if found else {}
    at_hand = await scene(tx)
    flowing, changed = flow(at_hand)
    made = [_earned(at_hand, each) for each in flowing if each.moved > 0]
    told, changes = _told_prices(at_hand)
    await write_markets(tx, list({(m.region_id, m.good): m for m in [*changed, *told]}.values()))
    await write_flows(tx, at_hand, flowing)
    if made or any(each.restrained_by for each in flowing):
        _tell(tx, day, made, sum(bool(f.restrained_by) for f in flowing), currencies, book)
    for start in range(0, len(changes), MOST_TOLD):
        tx.emit(PriceChanged(day=day, changes=changes[start : start + MOST_TOLD]))
    if book is not None:
        await ledger.write(tx, book)
    await tx.execute(SET_DAY, tx.world_id, day)
    await _next(tx, day + 1)


async def _currencies(tx: Transaction) -> dict[UUID, str]:
    """The currency of each faction that may earn something on the routes of the world."""
    return {row["id"]: row["currency"] for row in await tx.fetch(PAYEES, tx.world_id)}


def _earned(at_hand: Scene, each: Flow) -> Earned:
    route = each.route
    return flows.earned(
        each, at_hand.price((route.from_region, route.good)), at_hand.price((route.to_region, route.good)),
        at_hand.regions,
    )  # fmt: skip


def _told_prices(at_hand: Scene) -> tuple[list[Market], list[PriceTold]]:
    """The markets whose prices are told now, and what is told of them."""
    told, changes = [], []
    for place, market in sorted(at_hand.markets.items()):
        if place[0] not in at_hand.regions or place[1] not in at_hand.goods:
            continue
        price = at_hand.price(place)
        if rules.has_moved(market.told_price, price):
            told.append(replace(market, told_price=price))
            if market.told_price is not None:
                changes.append(
                    PriceTold(region_id=place[0], good=place[1], before=market.told_price, price=price)
                )
    return told, changes


def _tell(
    tx: Transaction, day: int, made: Sequence[Earned], restrained: int, currencies: Mapping[UUID, str],
    book: ledger.Book | None,
) -> None:  # fmt: skip
    """Plan the incomes and tell of the day; the first event names the best routes.

    Who is not among `currencies` was dissolved, or began to trade while this waited for the lock, and gets nothing.
    """
    paid: list[tuple[IncomeTold, ledger.TransferState | None]] = []
    for faction_id, amount in flows.incomes(made).items():
        currency = currencies.get(faction_id)
        if currency is None or book is None:
            continue
        transfer, unpaid = None, None
        try:
            transfer = book.transfer(
                ledger.MINT, faction_id, currency, amount, kind="markets.income", reason=f"Trade of day {day}."
            )  # fmt: skip
        except Refused as refused:
            unpaid = refused.code
        told = IncomeTold(faction_id=faction_id, amount=amount, currency=currency, unpaid=unpaid)
        paid.append((told, transfer))
    routes = [
        RouteTold(
            route_id=e.flow.route.id, good=e.flow.route.good, moved=e.flow.moved, income=e.gross, duty=e.duty
        )
        for e in flows.top(made, MOST_TOLD)
    ]
    for start in range(0, max(1, len(paid)), MOST_TOLD):
        some = paid[start : start + MOST_TOLD]
        event = Traded(
            day=day, total=sum(e.gross for e in made), count=len(made), restrained=restrained,
            routes=routes if start == 0 else [], incomes=[told for told, _ in some],
        )  # fmt: skip
        record = tx.emit(event)
        for _, transfer in some:
            if transfer is not None and book is not None:
                book.told(transfer, record.id)
