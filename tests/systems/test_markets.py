"""Markets, routes, trade days, restrictions and deals against the real database."""

import asyncio
from math import prod
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest
from pydantic import ValidationError

from fablewright.core.actors import system_actor
from fablewright.core.clock import DAY
from fablewright.core.dice import random_uuid
from fablewright.core.engine import Scope
from fablewright.core.messages import Command
from fablewright.core.refusal import Refused
from fablewright.core.timers import FireTimers
from fablewright.core.transaction import Request, Transaction
from fablewright.systems.characters.commands import CreateCharacter
from fablewright.systems.factions.commands import AddMember, DissolveFaction, FoundFaction, GrantTreasury
from fablewright.systems.ledger.commands import DefineCurrency, Transfer
from fablewright.systems.markets import restraints, service, views
from fablewright.systems.markets.commands import (
    Buy,
    CloseRoute,
    DefineGoods,
    GoodValue,
    ImposeRestriction,
    LiftRestriction,
    OpenRoute,
    Sell,
    SetMarket,
    SetStock,
)
from fablewright.systems.markets.rules import Restraint, Restriction
from fablewright.systems.regions.commands import DefineRegions, RegionValue, RemoveRegion, SetControl
from fablewright.systems.worlds.commands import AdvanceWorld
from tests.support import Person, Server, until
from tests.systems.test_wars_pack import exported, imported

NORTH, SOUTH, WEST = (UUID(int=n) for n in (1, 2, 3))
ADA, BEN, CYN = (UUID(int=n) for n in range(101, 104))
ASH, OAK = (UUID(int=n) for n in (201, 202))
REGIONS = [
    RegionValue(id=NORTH, name="North", resources={"grain": 100}, population=20_000, stability_rest=1),
    RegionValue(id=SOUTH, name="South", population=50_000, stability_rest=1),
    RegionValue(id=WEST, name="West", population=50_000, stability_rest=1),
]
GOODS = [
    GoodValue(key="grain", name="Grain", base_price=10),
    GoodValue(key="iron", name="Iron", base_price=40, elasticity=1, need=0.1),
]


class Trade:
    """Two factions that hold a region each, one of which has grain; the clock stands still."""

    def __init__(self, server: Server):
        self.server = server

    async def open(self) -> "Trade":
        self.owner = await self.server.person()
        self.world_id = await self.server.world(self.owner)
        self.player = await self.server.member(self.world_id, self.owner, "player")
        await self.do(DefineCurrency(code="gold", name="Gold"))
        await self.do(DefineRegions(regions=REGIONS))
        for who, name in ((ADA, "Ada"), (BEN, "Ben"), (CYN, "Cyn")):
            await self.do(CreateCharacter(id=who, name=name, user_id=self.player.id))
        await self.do(FoundFaction(id=ASH, name="Ash", leader_id=ADA, currency="gold"))
        await self.do(FoundFaction(id=OAK, name="Oak", leader_id=BEN))
        await self.do(AddMember(faction_id=ASH, member_id=CYN))
        await self.do(SetControl(region_id=NORTH, controller_id=ASH))
        await self.do(SetControl(region_id=SOUTH, controller_id=OAK))
        await self.do(DefineGoods(goods=GOODS))
        return self

    async def do(self, command: Command | list[Command], who: Person | None = None) -> Any:
        answer = await self.server.runtime.engine.execute(command, (who or self.owner).actor, self.world_id)
        return answer.result

    async def refused(self, code: str, command: Command, who: Person | None = None) -> Refused:
        with pytest.raises(Refused) as error:
            await self.do(command, who)
        assert error.value.code == code
        return error.value

    async def route(self, who: Person | None = None, **fields: Any) -> UUID:
        kept = {"from_region": NORTH, "to_region": SOUTH, "good": "grain", "per_day": 20}
        return UUID(str((await self.do(OpenRoute(**{**kept, **fields}), who))["id"]))

    async def days(self, many: float) -> None:
        await self.do(AdvanceWorld(by_ms=round(many * DAY)))

        async def there() -> bool:
            rows = await self.fetch("SELECT advance_id FROM worlds WHERE id = $1")
            return rows[0]["advance_id"] is None

        await until(there, 60)

    async def fetch(self, sql: str, *args: Any) -> list[Any]:
        return await self.server.fetch(sql, self.world_id, *args)

    async def events(self, pattern: str = "markets.%") -> list[Any]:
        rows = await self.fetch(
            "SELECT id, type, at, actor, about, audience, data::text AS data FROM events "
            "WHERE world_id = $1 AND type LIKE $2 ORDER BY seq",
            pattern,
        )
        return [{**dict(row), "data": orjson.loads(row["data"])} for row in rows]

    async def types(self) -> list[str]:
        return [event["type"].removeprefix("markets.") for event in await self.events()]

    async def balance(self, owner: UUID, currency: str = "points") -> int:
        rows = await self.fetch(
            "SELECT balance FROM ledger_accounts WHERE world_id = $1 AND owner_id = $2 AND currency = $3",
            owner, currency,
        )  # fmt: skip
        return rows[0]["balance"] if rows else 0

    async def price(self, region_id: UUID, good: str = "grain") -> views.PriceView:
        async with self.server.runtime.database.reading() as connection:
            market = await views.market(connection, self.world_id, region_id)
        assert market is not None
        return next(each for each in market.goods if each.good == good)

    async def carried(self) -> dict[UUID, float]:
        rows = await self.fetch("SELECT id, moved FROM trade_routes WHERE world_id = $1 ORDER BY id")
        return {row["id"]: row["moved"] for row in rows}

    async def inside(self, call: Any) -> Any:
        """What a function of the services does inside a transaction."""
        command = FireTimers(kind="markets.trade_day", due_at=0)
        request = Request(command, system_actor("test"), random_uuid(), random_uuid())

        async def work(tx: Transaction) -> Any:
            return await call(tx)

        return (await self.server.runtime.engine.transact(Scope(self.world_id), request, work))[0]

    async def fine(self) -> None:
        """Nothing is wrong with this world, its ledger included."""
        assert [f for f in await self.server.findings() if str(self.world_id) in f] == []


@pytest.fixture
async def trade(server: Server) -> Trade:
    return await Trade(server).open()


# -- goods and prices ----------------------------------------------------------------------------------------


async def test_prices_come_from_what_regions_yield_and_need(trade: Trade) -> None:
    north, south = await trade.price(NORTH), await trade.price(SOUTH)
    assert [north.supply, north.demand] == pytest.approx([100, 20])
    assert [south.supply, south.demand] == pytest.approx([0.01, 50])
    assert north.price < 10 < south.price == pytest.approx(50)  # nothing is there: five times the base price
    for each in (north, south, await trade.price(WEST)):
        assert prod(part.factor for part in each.parts) == each.price
    assert (await trade.price(WEST)).parts[2].factor == 1.1  # nobody keeps the roads
    await trade.fine()


async def test_goods_are_changed_by_their_keys(trade: Trade) -> None:
    await trade.do(DefineGoods(goods=[GoodValue(key="grain", name="Rye", base_price=20)]))
    assert (await trade.price(SOUTH)).name == "Rye"
    assert (await trade.price(SOUTH)).price == pytest.approx(100)
    strange = GoodValue(key="rum", name="Rum", base_price=1, currency="shells")
    await trade.refused("currency_not_found", DefineGoods(goods=[strange]))
    many = [GoodValue(key=f"g{n}", name="G", base_price=1) for n in range(100)]
    await trade.do(DefineGoods(goods=many))
    more = [GoodValue(key=f"h{n}", name="G", base_price=1) for n in range(99)]
    await trade.refused("too_many_goods", DefineGoods(goods=more))
    await trade.refused("role_too_low", DefineGoods(goods=GOODS), trade.player)


async def test_a_market_that_was_set_drifts_back(trade: Trade) -> None:
    said = await trade.do(SetMarket(region_id=NORTH, good="grain", supply=20))
    assert (said.supply, said.demand, said.price) == (20, 20, pytest.approx(10))
    await trade.days(30)
    assert (await trade.price(NORTH)).supply == pytest.approx(60, rel=0.01)
    await trade.refused("good_not_found", SetMarket(region_id=NORTH, good="salt", supply=1))
    await trade.refused("region_not_found", SetMarket(region_id=ASH, good="grain", supply=1))
    (told,) = await trade.events("markets.market_set")
    assert told["data"]["price"] == pytest.approx(10) and told["about"] == [NORTH]


# -- routes and trade days -----------------------------------------------------------------------------------


async def test_a_route_earns_every_day_for_its_faction_and_those_who_hold_its_ends(trade: Trade) -> None:
    route = await trade.route(faction_id=ASH)
    assert await trade.carried() == {route: 20}
    await trade.days(1)
    (traded,) = await trade.events("markets.traded")
    data = traded["data"]
    assert (data["count"], data["restrained"], data["day"]) == (1, 0, 1)
    assert data["routes"][0]["moved"] == 20
    paid = {UUID(i["faction_id"]): (i["amount"], i["currency"]) for i in data["incomes"]}
    assert paid == {
        ASH: (await trade.balance(ASH, "gold"), "gold"),
        OAK: (await trade.balance(OAK), "points"),
    }
    assert paid[ASH][0] == pytest.approx(data["total"] * 0.75, abs=1)
    assert paid[OAK][0] == pytest.approx(data["total"] * 0.25, abs=1)
    moved = await trade.fetch("SELECT kind, event_id FROM ledger_transfers WHERE world_id = $1")
    assert {(row["kind"], row["event_id"]) for row in moved} == {("markets.income", traded["id"])}
    await trade.fine()


async def test_trade_evens_prices_out_and_tells_when_they_move(trade: Trade) -> None:
    before = await trade.price(NORTH), await trade.price(SOUTH)
    await trade.route(per_day=60)
    await trade.days(60)
    north, south = await trade.price(NORTH), await trade.price(SOUTH)
    assert north.price > before[0].price * 1.2 and south.price < before[1].price / 2
    assert (north.exports, south.imports, south.supply_rest) == (60, 60, 60)
    told = await trade.events("markets.price_changed")
    assert 0 < len(told) < 60
    for event in told:
        for change in event["data"]["changes"]:
            assert abs(change["price"] - change["before"]) > change["before"] / 10
    days = [event["data"]["day"] for event in told]
    assert len(set(days)) == len(days)
    await trade.fine()


async def test_there_is_one_timer_per_world_whatever_happens(trade: Trade) -> None:
    await trade.do(DefineGoods(goods=GOODS))
    await trade.route()
    await trade.route(good="iron")
    await trade.days(3.5)
    rows = await trade.fetch("SELECT kind, due_at FROM timers WHERE world_id = $1")
    assert [(row["kind"], row["due_at"] % DAY) for row in rows] == [("markets.trade_day", 0)]
    assert [e["data"]["day"] for e in await trade.events("markets.traded")] == [1, 2, 3]


async def test_a_world_without_routes_trades_in_silence(trade: Trade) -> None:
    before = len(await trade.events())
    await trade.days(5)
    assert len(await trade.events()) == before


async def test_what_a_ledger_refuses_is_told_and_stops_nobody(trade: Trade) -> None:
    await trade.route(per_day=60)
    await trade.do(DefineCurrency(code="gold", name="Gold", max_balance=1))
    await trade.days(1)
    (traded,) = await trade.events("markets.traded")
    unpaid = {UUID(i["faction_id"]): i["unpaid"] for i in traded["data"]["incomes"]}
    assert unpaid == {ASH: "balance_limit", OAK: None}
    assert (await trade.balance(ASH, "gold"), await trade.balance(OAK)) != (0, 0)
    await trade.fine()


async def test_routes_are_refused_by_name(trade: Trade) -> None:
    def route(**fields: Any) -> OpenRoute:
        kept = {"from_region": NORTH, "to_region": SOUTH, "good": "grain", "per_day": 20}
        return OpenRoute(**{**kept, **fields})

    await trade.refused("same_market", route(to_region=NORTH))
    await trade.refused("good_not_found", route(good="salt"))
    await trade.refused("region_not_found", route(to_region=ADA))
    await trade.refused("faction_not_found", route(faction_id=NORTH))
    await trade.refused("act_for_whom", route(), trade.player)
    await trade.refused("name_who_acts", route(faction_id=ASH), trade.player)
    await trade.refused("not_a_member", route(faction_id=ASH, character_id=BEN), trade.player)
    await trade.refused("role_may_not", route(faction_id=ASH, character_id=CYN), trade.player)
    mine = {"faction_id": ASH, "character_id": ADA}
    await trade.refused("no_foothold", route(from_region=SOUTH, to_region=WEST, **mine), trade.player)
    stranger = await trade.server.member(trade.world_id, trade.owner, "player")
    await trade.refused("not_your_character", route(**mine), stranger)
    opened = await trade.route(trade.player, **mine)
    await trade.refused("route_exists", route(**mine), trade.player)
    await trade.refused("role_may_not", CloseRoute(route_id=opened, character_id=CYN), trade.player)
    await trade.do(CloseRoute(route_id=opened, character_id=ADA, reason="Snow."), trade.player)
    await trade.refused("route_closed", CloseRoute(route_id=opened))
    await trade.refused("route_not_found", CloseRoute(route_id=ADA))
    assert (await trade.price(SOUTH)).imports == 0
    await trade.route(trade.player, **mine)  # what was closed can be opened anew
    assert (await trade.types())[-3:] == ["route_opened", "route_closed", "route_opened"]
    await trade.fine()


async def test_a_faction_does_not_take_all_routes_of_the_world(
    trade: Trade, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MOST_ROUTES_OF_ONE", 1)
    mine = {"faction_id": ASH, "character_id": ADA}
    await trade.route(trade.player, **mine)
    more = OpenRoute(from_region=NORTH, to_region=WEST, good="grain", per_day=1, **mine)
    assert (await trade.refused("too_many_routes", more, trade.player)).facts["most"] == 1
    await trade.route(trade.player, faction_id=OAK, character_id=BEN)
    await trade.route(faction_id=ASH, to_region=WEST)  # a game master opens any


async def test_what_nobody_has_is_not_traded_in_a_ring(trade: Trade) -> None:
    mine = {"faction_id": ASH, "character_id": ADA, "good": "iron", "per_day": 1e9, "share": 1}
    there = await trade.route(trade.player, **mine, from_region=NORTH, to_region=WEST)
    back = await trade.route(trade.player, **mine, from_region=WEST, to_region=NORTH)
    assert await trade.carried() == {there: 0, back: 0}
    await trade.days(1)
    assert await trade.balance(ASH, "gold") == 0
    await trade.fine()


async def test_the_doctor_sees_goods_that_come_from_nowhere(trade: Trade) -> None:
    async def faults(north: tuple[float, float], west: tuple[float, float]) -> set[str]:
        async def spoil(tx: Transaction) -> None:
            for where, (imports, exports) in ((NORTH, north), (WEST, west)):
                await tx.execute(
                    "UPDATE market_goods SET imports = $3, exports = $4 "
                    "WHERE world_id = $1 AND region_id = $2 AND good = 'grain'",
                    tx.world_id, where, imports, exports,
                )  # fmt: skip

        await trade.inside(spoil)
        return {f.split(": ")[1] for f in await trade.server.findings() if str(trade.world_id) in f}

    await trade.route(to_region=WEST)
    assert await faults((0, 20), (20, 0)) == set()
    assert await faults((0, 100), (100, 0)) == set()
    assert await faults((0, 101), (101, 0)) == {"markets.no_region_sends_more_than_it_has"}
    assert await faults((0, 20), (20, 21)) == {
        "markets.no_region_sends_more_than_it_has", "markets.what_leaves_comes_somewhere",
    }  # fmt: skip
    assert await faults((150, 150), (150, 150)) == {"markets.nothing_is_carried_more_than_twice_a_day"}


async def test_what_a_region_yields_from_now_on_is_carried_from_now_on(trade: Trade) -> None:
    route = await trade.route()
    dry = RegionValue(id=NORTH, name="North", resources={"grain": 5}, population=20_000, stability_rest=1)
    await trade.do(DefineRegions(regions=[dry]))
    assert await trade.carried() == {route: 5}
    assert (await trade.price(SOUTH)).imports == 5
    await trade.fine()


async def test_two_who_open_the_same_route_at_once_open_it_once(trade: Trade) -> None:
    async def opened() -> bool:
        try:
            await trade.route()
        except Refused as refused:
            assert refused.code == "route_exists"
            return False
        return True

    assert sorted(await asyncio.gather(*(opened() for _ in range(4)))) == [False, False, False, True]
    assert len(await trade.carried()) == 1


async def test_routes_end_with_their_faction_and_their_region(trade: Trade) -> None:
    first, second = await trade.route(faction_id=ASH), await trade.route(good="iron")
    await trade.do(DissolveFaction(faction_id=ASH))
    assert [e["data"]["route_id"] for e in await trade.events("markets.route_closed")] == [str(first)]
    await trade.do(SetControl(region_id=SOUTH, controller_id=None))
    await trade.do(RemoveRegion(region_id=SOUTH))
    closed = [e["data"]["route_id"] for e in await trade.events("markets.route_closed")]
    assert closed == [str(first), str(second)]
    await trade.days(1)
    gone = await trade.fetch("SELECT imports FROM market_goods WHERE world_id = $1 AND region_id = $2", SOUTH)
    assert {row["imports"] for row in gone} == {0}  # its markets stay as they were, without trade
    await trade.fine()


async def test_what_a_faction_has_in_stock_goes_to_its_heir(trade: Trade) -> None:
    for who in (OAK, ASH):
        await trade.do(GrantTreasury(faction_id=who, amount=10_000))
        await trade.do(Buy(faction_id=who, region_id=NORTH, good="grain", units=3))
    await trade.do(DissolveFaction(faction_id=ASH, heir_id=OAK))
    stocks = "SELECT owner_id, units FROM market_stocks WHERE world_id = $1"
    assert [tuple(row) for row in await trade.fetch(stocks)] == [(OAK, 6)]
    await trade.fine()
    await trade.do(DissolveFaction(faction_id=OAK))
    assert await trade.fetch(stocks) == []
    await trade.fine()


async def test_a_trade_day_that_waited_pays_nobody_who_was_dissolved(trade: Trade) -> None:
    """The dissolution has the treasury when the day comes to pay into it."""
    await trade.route(trade.player, faction_id=ASH, character_id=ADA)
    await trade.do(GrantTreasury(faction_id=ASH, amount=5))
    async with trade.server.runtime.database.reading() as other, other.transaction():
        await other.execute(
            "UPDATE ledger_accounts SET balance = 0 WHERE world_id = $1 AND owner_id = $2",
            trade.world_id,
            ASH,
        )
        await other.execute(
            "UPDATE factions SET dissolved_at = 0, leader_id = NULL WHERE world_id = $1 AND id = $2",
            trade.world_id, ASH,
        )  # fmt: skip
        passing = asyncio.create_task(trade.days(1))

        async def waits() -> bool:
            sql = "SELECT count(*) AS n FROM pg_locks WHERE NOT granted AND $1 = ANY(pg_blocking_pids(pid))"
            return bool((await trade.server.fetch(sql, other.get_server_pid()))[0]["n"])

        await until(waits)
    await passing
    [traded] = [e["data"] for e in await trade.events("markets.traded")]
    assert str(ASH) not in [told["faction_id"] for told in traded["incomes"]]
    assert await trade.balance(ASH, "gold") == 0


# -- restrictions --------------------------------------------------------------------------------------------


async def test_a_sanction_cuts_trade_at_once_and_lifting_it_mends_it(trade: Trade) -> None:
    route = await trade.route(faction_id=ASH)
    embargo = Restriction("sanction:1", Restraint.EMBARGO, from_id=ASH, to_id=OAK, both_ways=True)
    ids = await trade.inside(lambda tx: service.restrict(tx, [embargo]))
    assert len(ids) == 2
    assert (await trade.carried())[route] == 0
    assert (await trade.price(SOUTH)).imports == 0
    await trade.days(1)
    (traded,) = await trade.events("markets.traded")
    assert (traded["data"]["count"], traded["data"]["restrained"], traded["data"]["total"]) == (0, 1, 0)
    assert await trade.balance(ASH, "gold") == 0
    assert await trade.inside(lambda tx: service.lift(tx, "sanction:1")) == 2
    assert await trade.inside(lambda tx: service.lift(tx, "sanction:1")) == 0
    assert (await trade.carried())[route] == 20
    await trade.days(1)
    assert await trade.balance(ASH, "gold") > 0
    assert (await trade.types()).count("restriction_imposed") == 2
    assert (await trade.types()).count("restriction_lifted") == 2
    await trade.fine()


async def test_a_tariff_makes_dear_and_fills_the_coffers_of_who_takes_it(trade: Trade) -> None:
    await trade.route(faction_id=ASH)
    await trade.days(90)
    free = await trade.price(SOUTH)
    await trade.do(ImposeRestriction(kind="tariff", to_id=OAK, rate=0.25))
    taxed = await trade.price(SOUTH)
    assert taxed.parts[-1].factor == pytest.approx(1.25)
    assert taxed.price == pytest.approx(free.price * 1.25, rel=1e-3)
    before = await trade.balance(OAK), await trade.balance(ASH, "gold")
    await trade.days(1)
    (*_, traded) = await trade.events("markets.traded")
    assert traded["data"]["routes"][0]["duty"] > 0
    assert await trade.balance(OAK) - before[0] > 0 and await trade.balance(ASH, "gold") > before[1]
    await trade.fine()


async def test_a_restriction_ends_in_its_time(trade: Trade) -> None:
    route = await trade.route()
    await trade.do(ImposeRestriction(kind="blockade", to_id=SOUTH, until_at=DAY + 1))
    await trade.days(1)
    assert (await trade.carried())[route] == 0
    await trade.days(1)
    assert (await trade.carried())[route] == 20


async def test_restrictions_are_refused_by_name(trade: Trade, monkeypatch: pytest.MonkeyPatch) -> None:
    await trade.refused("good_not_found", ImposeRestriction(kind="embargo", good="salt"))
    await trade.refused("restriction_ends_too_early", ImposeRestriction(kind="embargo", until_at=0))
    await trade.refused("role_too_low", ImposeRestriction(kind="embargo"), trade.player)
    await trade.refused("restriction_not_found", LiftRestriction(restriction_id=ADA))
    sanction = Restriction("sanction:1", Restraint.EMBARGO)
    (kept,) = await trade.inside(lambda tx: service.restrict(tx, [sanction]))
    error = await trade.refused("restriction_of_another", LiftRestriction(restriction_id=kept))
    assert error.facts == {"source": "sanction:1"}
    monkeypatch.setattr(restraints, "MOST_RESTRICTIONS", 1)
    await trade.refused("too_many_restrictions", ImposeRestriction(kind="embargo"))
    await trade.refused("too_many_restrictions", ImposeRestriction(kind="blockade"))
    war = Restriction("feud:1", Restraint.BLOCKADE, from_id=ASH, to_id=OAK)
    await trade.inside(lambda tx: service.restrict(tx, [war]))  # however many there are, a war blockades
    monkeypatch.undo()
    (mine,) = (await trade.do(ImposeRestriction(kind="embargo")))["ids"]
    await trade.do(LiftRestriction(restriction_id=mine))
    await trade.refused("restriction_not_found", LiftRestriction(restriction_id=mine))


# -- buying and selling --------------------------------------------------------------------------------------


async def test_a_character_buys_and_sells(trade: Trade) -> None:
    await trade.do(Transfer(debit="mint", credit=ADA, currency="points", amount=1000, open_accounts=True))
    deal = {"character_id": ADA, "region_id": NORTH, "good": "grain"}
    before = await trade.price(NORTH)
    bought = await trade.do(Buy(**deal, units=50), trade.player)
    assert (bought.stock, await trade.balance(ADA)) == (50, 1000 - bought.sum)
    assert bought.unit_price > before.price
    assert (await trade.price(NORTH)).supply == pytest.approx(50)
    sold = await trade.do(Sell(**deal, units=50), trade.player)
    assert sold.stock == 0 and sold.sum <= bought.sum
    (one, two) = [e for e in await trade.events() if e["type"] in ("markets.bought", "markets.sold")]
    assert one["audience"] == two["audience"] == [ADA]
    assert one["data"]["sum"] == bought.sum
    await trade.fine()


async def test_a_faction_buys_through_who_may_spend(trade: Trade) -> None:
    deal = {"faction_id": ASH, "region_id": NORTH, "good": "grain", "units": 5}
    await trade.do(Transfer(debit="mint", credit=ASH, currency="gold", amount=500, open_accounts=True))
    await trade.refused("role_may_not", Buy(**deal, character_id=CYN), trade.player)
    await trade.refused("name_who_acts", Buy(**deal), trade.player)
    bought = await trade.do(Buy(**deal, character_id=ADA), trade.player)
    assert (bought.currency, await trade.balance(ASH, "gold")) == ("gold", 500 - bought.sum)
    await trade.fine()


async def test_deals_are_refused_by_name(trade: Trade) -> None:
    deal = {"character_id": ADA, "region_id": NORTH, "good": "grain"}
    await trade.refused("account_not_found", Buy(**deal, units=1), trade.player)
    await trade.do(Transfer(debit="mint", credit=ADA, currency="points", amount=30, open_accounts=True))
    await trade.refused("insufficient_funds", Buy(**deal, units=50), trade.player)
    await trade.refused("not_enough_on_offer", Buy(**deal, units=100), trade.player)
    await trade.refused("price_moved", Buy(**deal, units=3, at_most=5), trade.player)
    await trade.refused("not_enough_in_stock", Sell(**deal, units=1), trade.player)
    await trade.refused("good_not_found", Buy(**{**deal, "good": "salt"}, units=1), trade.player)
    await trade.refused("character_not_found", Buy(**{**deal, "character_id": NORTH}, units=1))
    await trade.do(Buy(**deal, units=2), trade.player)
    await trade.refused("price_moved", Sell(**deal, units=2, at_least_sum=1000), trade.player)
    assert (await trade.fetch("SELECT units FROM market_stocks WHERE world_id = $1"))[0]["units"] == 2


async def test_people_deal_in_the_currency_of_the_good(trade: Trade) -> None:
    await trade.do(DefineGoods(goods=[GoodValue(key="grain", name="Grain", base_price=10, currency="gold")]))
    for currency in ("gold", "points"):
        await trade.do(
            Transfer(debit="mint", credit=ADA, currency=currency, amount=900, open_accounts=True)
        )  # fmt: skip
    deal = {"character_id": ADA, "region_id": NORTH, "good": "grain", "units": 10}
    bought = await trade.do(Buy(**deal), trade.player)
    assert (bought.currency, await trade.balance(ADA, "gold")) == ("gold", 900 - bought.sum)
    sold = await trade.do(Sell(**deal), trade.player)
    assert (sold.currency, await trade.balance(ADA)) == ("gold", 900)
    with pytest.raises(ValidationError):  # nobody chooses it
        Sell.model_validate({**deal, "currency": "points"})
    await trade.fine()


async def test_what_is_forbidden_to_routes_is_forbidden_to_buying_and_selling(trade: Trade) -> None:
    for who in (BEN, ADA):
        await trade.do(Transfer(debit="mint", credit=who, currency="points", amount=900, open_accounts=True))
    ben = {"character_id": BEN, "region_id": NORTH, "good": "grain"}
    await trade.do(Buy(**ben, units=5), trade.player)
    embargo = Restriction("sanction:1", Restraint.EMBARGO, from_id=ASH, to_id=OAK, both_ways=True)
    await trade.inside(lambda tx: service.restrict(tx, [embargo]))
    error = await trade.refused("trade_barred", Buy(**ben, units=1), trade.player)
    assert error.facts == {"source": "sanction:1", "kind": "embargo", "reason": ""}
    await trade.refused("trade_barred", Sell(**ben, units=1), trade.player)
    await trade.refused("trade_barred", Buy(faction_id=OAK, region_id=NORTH, good="grain", units=1))
    await trade.do(Buy(**{**ben, "character_id": ADA}, units=1), trade.player)  # one of the region's own
    await trade.inside(lambda tx: service.lift(tx, "sanction:1"))
    await trade.do(Sell(**ben, units=1), trade.player)
    free = (await trade.do(Sell(**ben, units=1), trade.player)).unit_price
    await trade.do(ImposeRestriction(kind="tariff", from_id=OAK, to_id=ASH, rate=0.5))
    taxed = await trade.do(Sell(**ben, units=1), trade.player)
    assert taxed.tariff == 0.5 and taxed.unit_price == pytest.approx(free / 2, rel=0.05)
    (*_, told) = await trade.events("markets.sold")
    assert (told["data"]["tariff"], told["data"]["unit_price"]) == (0.5, taxed.unit_price)
    await trade.fine()


async def test_game_masters_say_what_somebody_has(trade: Trade) -> None:
    for owner, units in ((ADA, 7), (ASH, 5), (ADA, 9)):
        told = await trade.do(SetStock(owner_id=owner, good="grain", units=units))
        assert (told.good, told.units) == ("grain", units)
    sold = await trade.do(Sell(character_id=ADA, region_id=NORTH, good="grain", units=4), trade.player)
    assert sold.stock == 5
    events = [e for e in await trade.events() if e["type"] == "markets.stock_set"]
    assert [(e["audience"], e["data"]["units"]) for e in events] == [([ADA], 7), ([ASH], 5), ([ADA], 9)]
    await trade.refused("role_too_low", SetStock(owner_id=ADA, good="grain", units=99), trade.player)
    await trade.refused("good_not_found", SetStock(owner_id=ADA, good="salt", units=1))
    await trade.refused("owner_not_found", SetStock(owner_id=NORTH, good="grain", units=1))
    await trade.do(DissolveFaction(faction_id=ASH))
    await trade.refused("owner_not_found", SetStock(owner_id=ASH, good="grain", units=1))
    await trade.fine()


async def test_what_somebody_has_comes_through_an_export_and_an_import(trade: Trade, tmp_path: Path) -> None:
    await trade.do([
        SetStock(owner_id=ADA, good="grain", units=7), SetStock(owner_id=ASH, good="iron", units=5),
        SetStock(owner_id=BEN, good="iron", units=0),
    ])  # fmt: skip
    files = await exported(trade.server, trade.world_id, tmp_path / "one")
    copy = await imported(trade.server, trade.owner, tmp_path / "one")
    had = "SELECT count(*) AS n, sum(units) AS units FROM market_stocks WHERE world_id = $1"
    assert [tuple(row) for row in await trade.server.fetch(had, copy)] == [(2, 12)]
    assert await exported(trade.server, copy, tmp_path / "two") == files


async def test_two_who_buy_at_once_both_drive_the_price_up(trade: Trade) -> None:
    for who in (ADA, BEN):
        await trade.do(Transfer(debit="mint", credit=who, currency="points", amount=900, open_accounts=True))
    deals = [Buy(character_id=who, region_id=NORTH, good="grain", units=30) for who in (ADA, BEN)]
    one, two = await asyncio.gather(*(trade.do(deal, trade.player) for deal in deals))
    assert one.unit_price != two.unit_price
    assert (await trade.price(NORTH)).supply == pytest.approx(40)
