"""How markets stand in a pack: `markets.yaml`, with goods, routes, what moved markets, and restrictions; and stocks."""

from collections.abc import Sequence
from typing import Annotated, Final
from uuid import UUID

from pydantic import Field

from fablewright.core.messages import Command
from fablewright.core.pack import (
    Form,
    Ids,
    Item,
    PackAddition,
    PackModel,
    PackSection,
    Ref,
    Snapshot,
    chunks,
)
from fablewright.systems.markets.commands import (
    MOST_AT_ONCE,
    DefineGoods,
    GoodFields,
    GoodKey,
    GoodValue,
    ImposeRestriction,
    OpenRoute,
    PerDay,
    Reason,
    RestraintKind,
    SetMarket,
    SetStock,
    Share,
    Stock,
    WorldMs,
)
from fablewright.systems.markets.restraints import GAME_MASTER
from fablewright.systems.markets.views import (
    MARKET,
    OPEN_ROUTES,
    RESTRICTION,
    good_value,
    goods,
    market_of,
    route_of,
)

RegionKey = Annotated[str, Ref("regions")]
FactionKey = Annotated[str, Ref("factions", or_id=True)]
SideKey = Annotated[str, Field(max_length=100, description="A region or a faction, by its key or id.")]


class RouteEntry(PackModel):
    """A trade route."""

    start: RegionKey = Field(description="The region from which it leads.")
    end: RegionKey = Field(description="The region to which it leads.")
    good: GoodKey
    per_day: PerDay
    faction: FactionKey | None = Field(None, description="Who trades on it; left out: nobody's merchants.")
    share: Share = Field(0.5, description="What the faction keeps of what the route earns.")


class MarketEntry(PackModel):
    """How much of a good a region offers and wants when the world begins."""

    region: RegionKey
    good: GoodKey
    supply: PerDay | None = None
    demand: PerDay | None = None


class RestrictionEntry(PackModel):
    """Trade that a game master cuts or taxes."""

    kind: RestraintKind
    good: GoodKey | None = None
    start: SideKey | None = None
    end: SideKey | None = None
    rate: Share = 1.0
    reason: Reason = ""
    until: WorldMs | None = Field(
        None, description="World time (ms) when it ends; left out, when it is lifted."
    )


class MarketsEntry(PackModel):
    """The trade of a world."""

    goods: dict[GoodKey, GoodFields] = {}
    routes: list[RouteEntry] = []
    markets: list[MarketEntry] = Field([], description="Those that are not as their regions make them.")
    restrictions: list[RestrictionEntry] = []


def commands(items: Sequence[Item], ids: Ids) -> list[Command]:
    """Goods first, then routes and restrictions, then how full the markets are."""
    made: list[Command] = []
    for item in items:
        entry: MarketsEntry = item.value
        _check(item, entry, ids)
        if ids.mistakes:
            continue
        given = [GoodValue(key=key, **dict(fields)) for key, fields in entry.goods.items()]
        made += [DefineGoods(goods=group) for group in chunks(given, MOST_AT_ONCE)]
        made += [
            OpenRoute(
                from_region=ids.of("regions", r.start), to_region=ids.of("regions", r.end), good=r.good,
                per_day=r.per_day, share=r.share, faction_id=ids.maybe("factions", r.faction),
            )
            for r in entry.routes
        ]  # fmt: skip
        made += [
            ImposeRestriction(
                kind=r.kind, good=r.good, from_id=_side(ids, r.start), to_id=_side(ids, r.end), rate=r.rate,
                reason=r.reason, until_at=r.until,
            )
            for r in entry.restrictions if r.until is None or r.until > ids.now
        ]  # fmt: skip
        made += [
            SetMarket(region_id=ids.of("regions", m.region), good=m.good, supply=m.supply, demand=m.demand)
            for m in entry.markets
        ]
    return [] if ids.mistakes else made


def _check(item: Item, entry: MarketsEntry, ids: Ids) -> None:
    """Say what in the entry names no good or leads nowhere."""
    wanted = [(f"routes.{number}", route.good) for number, route in enumerate(entry.routes, 1)]
    wanted += [(f"markets.{number}", market.good) for number, market in enumerate(entry.markets, 1)]
    wanted += [
        (f"restrictions.{n}", r.good) for n, r in enumerate(entry.restrictions, 1) if r.good is not None
    ]
    for where, good in wanted:
        if good not in entry.goods:
            ids.mistake(item, f"{where}.good", f"there is no good {good!r} among the goods")
    for number, route in enumerate(entry.routes, 1):
        if route.start == route.end:
            ids.mistake(item, f"routes.{number}.end", "a route leads from one region to another: name two")
    for number, restriction in enumerate(entry.restrictions, 1):
        for end in ("start", "end"):
            try:
                _side(ids, getattr(restriction, end))
            except ValueError:
                ids.mistake(
                    item, f"restrictions.{number}.{end}", "it names no region and no faction of the pack"
                )


def _side(ids: Ids, key: str | None) -> UUID | None:
    """A region, or else a faction. Raises `ValueError` for a key of neither."""
    if key is None:
        return None
    try:
        return ids.of("regions", key)
    except ValueError:
        return ids.of("factions", key)


async def read(snapshot: Snapshot) -> list[Item]:
    """The trade of the world; nothing if it has no goods."""
    fetch, world_id, keys = snapshot.connection.fetch, snapshot.world_id, snapshot.keys
    known = await goods(snapshot.connection, world_id)
    if not known:
        return []
    routes = [route_of(row) for row in await fetch(OPEN_ROUTES, world_id)]
    rows = await fetch(
        f"SELECT {MARKET} FROM market_goods WHERE world_id = $1 ORDER BY region_id, good",  # noqa: S608
        world_id,
    )
    markets = [market_of(row).on(snapshot.now) for row in rows]
    held = await fetch(
        f"SELECT {RESTRICTION} FROM trade_restrictions WHERE world_id = $1 AND lifted_at IS NULL "  # noqa: S608
        "AND source = $2 AND (until_at IS NULL OR until_at > $3) ORDER BY id",
        world_id, GAME_MASTER, snapshot.now,
    )  # fmt: skip

    def side(id_: UUID | None) -> str | None:
        return None if id_ is None else keys.maybe("regions", id_) or keys.of("factions", id_)

    entry = MarketsEntry(
        goods={
            key: GoodFields(**good_value(good).model_dump(exclude={"key"})) for key, good in known.items()
        },
        routes=sorted((
            RouteEntry(
                start=keys.of("regions", r.from_region), end=keys.of("regions", r.to_region), good=r.good,
                per_day=r.per_day, share=r.share,
                faction=None if r.owner_id is None else keys.of("factions", r.owner_id),
            )
            for r in routes
        ), key=lambda r: (r.start, r.end, r.good, r.faction or "")),
        markets=[
            MarketEntry(region=keys.of("regions", m.region_id), good=m.good, supply=m.supply, demand=m.demand)
            for m in markets if keys.has("regions", m.region_id)
        ],
        restrictions=sorted((
            RestrictionEntry(
                kind=r["kind"], good=r["good"], start=side(r["from_id"]), end=side(r["to_id"]), rate=r["rate"],
                reason=r["reason"], until=r["until_at"],
            )
            for r in held
        ), key=lambda r: r.model_dump_json()),
    )  # fmt: skip
    return [Item("markets", entry)]


# -- stocks --------------------------------------------------------------------------------------------------


class StockEntry(PackModel):
    """What a character or a faction has of each good."""

    stock: dict[GoodKey, Stock] = Field({}, description="Such as `grain: 12`.")


def stocks_of(kind: str) -> PackAddition:
    """The stocks of characters, or of factions."""

    def commands(items: Sequence[Item], ids: Ids) -> list[Command]:
        known = {good for item in ids.entries("markets") for good in item.value.goods}
        made: list[Command] = []
        for item in items:
            for good, units in item.value.stock.items():
                if good not in known:
                    ids.mistake(item, f"stock.{good}", "markets.yaml has no such good: add it there")
                made.append(SetStock(owner_id=ids.of(kind, item.key), good=good, units=units))
        return made

    async def read(snapshot: Snapshot) -> list[Item]:
        rows = await snapshot.connection.fetch(
            "SELECT owner_id, good, units FROM market_stocks WHERE world_id = $1 AND units > 0 "
            "ORDER BY owner_id, good",
            snapshot.world_id,
        )
        found: dict[str, StockEntry] = {}
        for row in rows:
            if snapshot.keys.has(kind, row["owner_id"]):
                entry = found.setdefault(snapshot.keys.of(kind, row["owner_id"]), StockEntry())
                entry.stock[row["good"]] = row["units"]
        return [Item(key, entry) for key, entry in found.items()]

    return PackAddition(kind, StockEntry, commands, read)


PACK: Final = (
    PackSection("markets", ("markets.yaml",), Form.DOCUMENT, MarketsEntry, commands, read),
    stocks_of("characters"),
    stocks_of("factions"),
)
