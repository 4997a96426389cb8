"""Prices, trade routes and restrictions, without a database."""

from dataclasses import replace
from math import prod
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fablewright.core.clock import DAY
from fablewright.core.refusal import Refused
from fablewright.systems.markets import rules
from fablewright.systems.markets.flows import (
    Flow,
    RouteState,
    earned,
    filed,
    flows,
    incomes,
    restrained,
    settled,
    top,
    traffic,
)
from fablewright.systems.markets.rules import (
    Good,
    Market,
    Restraint,
    Restriction,
    dealt,
    directions,
    price_of,
    price_parts,
)
from fablewright.systems.regions.rules import RegionState

NORTH, SOUTH, WEST = (UUID(int=n) for n in (1, 2, 3))
ASH, OAK, ELM = (UUID(int=n) for n in (11, 12, 13))
GRAIN = Good("grain", "Grain", 10.0, elasticity=0.5, need=1.0)


def region(id_: UUID = NORTH, holder: UUID | None = ASH, **fields: object) -> RegionState:
    kept = {"resources": {"grain": 100.0}, "population": 100_000, "stability": 1.0, "stability_rest": 1.0}
    return RegionState(id_, "Somewhere", controller_id=holder, **{**kept, **fields})  # type: ignore[arg-type]


REGIONS = {
    NORTH: region(NORTH, ASH),
    SOUTH: region(SOUTH, OAK, resources={}),
    WEST: region(WEST, None, resources={}),
}


def market(supply: float = 100.0, demand: float = 100.0, **fields: object) -> Market:
    rest = {"supply_rest": supply, "demand_rest": demand}
    return Market(NORTH, "grain", supply, demand, 0, **{**rest, **fields})  # type: ignore[arg-type]


def route(number: int = 1, **fields: Any) -> RouteState:
    kept = {"from_region": NORTH, "to_region": SOUTH, "good": "grain", "per_day": 20.0}
    return RouteState(UUID(int=1000 + number), **{**kept, **fields})


def rule(kind: str = "embargo", **fields: object) -> Restriction:
    return Restriction("test", Restraint(kind), **fields)  # type: ignore[arg-type]


# -- prices --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("supply", "demand", "holder", "stability", "duty", "price"),
    [
        (100, 100, ASH, 1.0, 0.0, 10.0),  # all is well: the base price
        (25, 100, ASH, 1.0, 0.0, 20.0),  # four times as much is wanted: twice the price
        (100, 25, ASH, 1.0, 0.0, 5.0),
        (1, 1e6, ASH, 1.0, 0.0, 50.0),  # at most five times
        (1e6, 1, ASH, 1.0, 0.0, 2.0),  # at least a fifth
        (100, 100, None, 1.0, 0.0, 11.0),
        (100, 100, ASH, 0.0, 0.0, 15.0),
        (100, 100, ASH, 0.5, 0.0, 12.5),
        (100, 100, ASH, 1.0, 0.25, 12.5),
    ],
)
def test_what_a_price_is_made_of(
    supply: float, demand: float, holder: UUID | None, stability: float, duty: float, price: float
) -> None:
    here = region(holder=holder, stability=stability, stability_rest=stability)
    parts = price_parts(GRAIN, market(supply, demand, duty=duty), here, 0)
    assert price_of(parts) == pytest.approx(price)
    assert [part.what for part in parts] == ["base", "scarcity", "control", "stability", "tariff"]
    assert all(part.reason for part in parts)


amounts = st.floats(rules.LEAST, 1e6)
shares = st.floats(0, 1)


@given(amounts, amounts, shares, shares, st.floats(0, 2), st.floats(0.01, 1e6), st.integers(0, 400 * DAY))
def test_a_price_is_exactly_the_product_of_its_parts_and_bounded(
    supply: float, demand: float, stability: float, duty: float, elasticity: float, base: float, now: int
) -> None:
    good = replace(GRAIN, base_price=base, elasticity=elasticity)
    here = region(holder=None, stability=stability, stability_rest=0.5)
    parts = price_parts(good, market(supply, demand, duty=duty), here, now)
    assert prod(part.factor for part in parts) == price_of(parts)
    assert base / 5 <= price_of(parts) * (1 + 1e-9) and price_of(parts) <= base * 5 * 1.1 * 1.5 * 2 * (
        1 + 1e-9
    )


@given(amounts, amounts, amounts, shares)
def test_more_demand_never_makes_cheaper_nor_more_supply_dearer(
    supply: float, demand: float, more: float, elasticity: float
) -> None:
    good, here = replace(GRAIN, elasticity=elasticity), region()
    price = price_of(price_parts(good, market(supply, demand), here, 0))
    assert price_of(price_parts(good, market(supply, demand + more), here, 0)) >= price
    assert price_of(price_parts(good, market(supply + more, demand), here, 0)) <= price


@given(amounts, amounts, st.integers(0, 10_000 * DAY), st.integers(0, 10_000 * DAY))
def test_a_market_drifts_to_its_rest_and_looking_twice_changes_nothing(
    supply: float, rest: float, first: int, then: int
) -> None:
    start = market(supply, supply_rest=rest)
    early, late = start.on(first), start.on(first + then)
    low, high = min(supply, rest), max(supply, rest)
    assert low * (1 - 1e-9) <= late.supply <= high * (1 + 1e-9)
    assert early.on(first + then).supply == pytest.approx(late.supply, rel=1e-6, abs=1e-6)


def test_a_glut_halves_in_a_month() -> None:
    assert market(300.0, supply_rest=100.0).on(30 * DAY).supply == pytest.approx(200.0)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [(None, 1, True), (10, 11, False), (10, 11.1, True), (10, 8.9, True), (10, 9.5, False)],
)
def test_a_price_is_told_when_it_moves_by_more_than_a_tenth(
    before: float | None, after: float, told: bool
) -> None:
    assert rules.has_moved(before, after) is told


# -- restrictions --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("restriction", "moved", "tariff"),
    [
        (rule(), 0, 0),  # nobody trades with anybody
        (rule(good="iron"), 20, 0),
        (rule(from_id=ASH, to_id=OAK), 0, 0),
        (rule(from_id=OAK, to_id=ASH), 20, 0),  # an embargo has a direction
        (rule(from_id=NORTH), 0, 0),  # regions as well as factions
        (rule(to_id=SOUTH, rate=0.25), 15, 0),
        (rule(to_id=ELM), 20, 0),
        (rule("blockade", to_id=ASH), 0, 0),  # a blockade has none
        (rule("blockade", to_id=NORTH, rate=0.5), 10, 0),
        (rule("blockade", from_id=OAK, to_id=ASH), 0, 0),
        (rule("blockade", from_id=ELM, to_id=ASH), 20, 0),
        (rule("tariff", to_id=OAK, rate=0.1), 20, 0.1),
        (rule("tariff", from_id=OAK, rate=0.1), 20, 0),
    ],
)
def test_what_restrictions_leave_of_a_route(restriction: Restriction, moved: float, tariff: float) -> None:
    (flow,) = flows([route()], REGIONS, [restriction], 0)
    assert [flow.moved, flow.tariff] == pytest.approx([moved, tariff])
    assert (flow.restrained_by == (restriction,)) is (moved < 20 or tariff > 0)


def test_the_owner_of_a_route_stands_on_both_its_sides() -> None:
    owned = route(owner_id=ELM)
    for restriction in (rule(from_id=ELM, to_id=OAK), rule(from_id=ASH, to_id=ELM)):
        assert restrained(owned, REGIONS, filed([restriction])).moved == 0


def test_what_a_faction_carries_within_its_own_regions_only_a_blockade_cuts() -> None:
    regions = {**REGIONS, SOUTH: region(SOUTH, ASH)}
    assert restrained(route(), regions, filed([rule(from_id=ASH)])).moved == 20
    assert restrained(route(), regions, filed([rule("tariff", from_id=ASH)])).tariff == 0
    assert restrained(route(), regions, filed([rule("blockade", to_id=ASH)])).moved == 0
    assert restrained(route(owner_id=OAK), regions, filed([rule(from_id=ASH)])).moved == 0


@pytest.mark.parametrize(
    ("from_at", "until_at", "now", "holds"),
    [(None, None, 5, True), (5, None, 5, True), (6, None, 5, False), (0, 5, 5, False), (0, 6, 5, True)],
)
def test_when_a_restriction_holds(from_at: int | None, until_at: int | None, now: int, holds: bool) -> None:
    assert rule(from_at=from_at, until_at=until_at).holds(now) is holds
    (flow,) = flows([route()], REGIONS, [rule(from_at=from_at, until_at=until_at)], now)
    assert (flow.moved == 0) is holds


def test_both_ways_is_written_for_each_direction_and_a_blockade_once() -> None:
    there, back = directions([rule(from_id=ASH, to_id=OAK, both_ways=True)])
    assert (there.from_id, there.to_id, back.from_id, back.to_id) == (ASH, OAK, OAK, ASH)
    assert len(directions([rule("blockade", to_id=OAK, both_ways=True)])) == 1
    assert len(directions([rule(from_id=ASH)])) == 1


restrictions_ = st.builds(
    Restriction, st.just("test"), st.sampled_from(Restraint), st.sampled_from([None, "grain", "iron"]),
    st.sampled_from([None, ASH, OAK, NORTH]), st.sampled_from([None, ASH, OAK, SOUTH]), shares,
)  # fmt: skip


@given(st.lists(restrictions_, max_size=6), restrictions_)
def test_one_more_restriction_never_lets_more_through_nor_taxes_less(
    some: list[Restriction], more: Restriction
) -> None:
    before, after = (restrained(route(), REGIONS, filed(each)) for each in (some, [*some, more]))
    assert 0 <= after.moved <= before.moved
    assert 0 <= before.tariff <= after.tariff <= 1


# -- flows ---------------------------------------------------------------------------------------------------


def test_no_region_sends_more_than_it_has() -> None:
    found = flows([route(1, per_day=150.0), route(2, to_region=WEST, per_day=50.0)], REGIONS, [], 0)
    assert [flow.moved for flow in found] == pytest.approx([200 / 3, 100 / 3])


@pytest.mark.parametrize(
    ("holder", "moved"),
    [
        (ASH, [20, 80]),  # who holds the region goes first
        (None, [100 / 6, 500 / 6]),  # nobody does: each its part of what there is, however much it wants
        (ELM, [0, 100]),
    ],
)
def test_nobody_takes_all_by_wanting_much(holder: UUID | None, moved: list[float]) -> None:
    lands = {**REGIONS, NORTH: region(NORTH, holder)}
    own, other = route(1, owner_id=ASH, per_day=20), route(2, owner_id=ELM, per_day=1e9, to_region=WEST)
    found = flows([own, other], lands, [], 0)
    assert [flow.moved for flow in found] == pytest.approx(moved)


@pytest.mark.parametrize(
    ("ways", "moved"),
    [
        ([(NORTH, SOUTH, 20), (SOUTH, WEST, 50)], [20, 20]),  # what was brought is sent on
        (
            [(NORTH, SOUTH, 150), (SOUTH, WEST, 150)],
            [100, 100],
        ),  # as much as was really brought, not as was wanted
        ([(SOUTH, WEST, 1e9), (WEST, SOUTH, 1e9)], [0, 0]),  # in a ring goes nothing that nobody has
        ([(SOUTH, WEST, 50), (WEST, NORTH, 1e9)], [0, 0]),  # nor behind a source that has run dry
        ([(NORTH, SOUTH, 1e9), (SOUTH, NORTH, 1e9)], [100, 100]),  # there and back, and no further that day
        ([(NORTH, SOUTH, 60), (SOUTH, WEST, 30), (SOUTH, NORTH, 60)], [60, 20, 40]),
    ],
)
def test_what_is_sent_was_yielded_or_brought(
    ways: list[tuple[UUID, UUID, float]], moved: list[float]
) -> None:
    routes = [
        route(n, from_region=start, to_region=end, per_day=wanted)
        for n, (start, end, wanted) in enumerate(ways)
    ]
    assert [flow.moved for flow in flows(routes, REGIONS, [], 0)] == pytest.approx(moved)


def test_a_route_of_an_unknown_region_carries_nothing() -> None:
    assert flows([route(to_region=UUID(int=99))], REGIONS, [], 0) == []


LANDS = [UUID(int=n) for n in range(1, 6)]
ways_ = st.tuples(st.sampled_from(LANDS), st.sampled_from(LANDS), st.floats(0.001, 1e9))


@given(
    st.lists(ways_.filter(lambda way: way[0] != way[1]), max_size=14),
    st.lists(st.sampled_from([0.0, 0.5, 100.0, 1e6]), min_size=5, max_size=5),
)
def test_whatever_the_ways_no_region_sends_what_it_has_not(
    ways: list[tuple[UUID, UUID, float]], yields: list[float]
) -> None:
    lands = {i: region(i, resources={"grain": has}) for i, has in zip(LANDS, yields, strict=True)}
    routes = [route(n, from_region=a, to_region=b, per_day=wanted) for n, (a, b, wanted) in enumerate(ways)]
    flowing = flows(routes, lands, [], 0)
    assert all(0 <= flow.moved <= flow.route.per_day * (1 + 1e-9) for flow in flowing)
    for (where, _), place in traffic(flowing).items():
        assert place.exports <= (lands[where].resources["grain"] + place.imports) * (1 + 1e-9)
    assert sum(flow.moved for flow in flowing) <= 2 * sum(yields) * (1 + 1e-9)


def test_a_market_settles_where_its_routes_let_it() -> None:
    (flow,) = flows([route()], REGIONS, [rule("tariff", to_id=SOUTH, rate=0.2)], 0)
    places = traffic([flow])
    north = settled(market(), GRAIN, REGIONS[NORTH], places[NORTH, "grain"], 5)
    assert (north.supply, north.supply_rest, north.exports, north.duty) == (100, 80, 20, 0)
    south = rules.resting(GRAIN, REGIONS[SOUTH], 0)
    assert south.supply == rules.LEAST
    after = settled(south, GRAIN, REGIONS[SOUTH], places[SOUTH, "grain"], 5)
    assert [after.supply_rest, after.imports, after.duty] == pytest.approx([20, 20, 0.2])
    assert settled(after, GRAIN, REGIONS[SOUTH], places[SOUTH, "grain"], 9) is after


# -- income --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "tariff", "prices", "gross", "got"),
    [
        ({}, 0, (10, 16), 120, {ASH: 60, OAK: 60}),
        ({"owner_id": ELM, "share": 0.5}, 0, (10, 16), 120, {ASH: 30, OAK: 30, ELM: 60}),
        ({"owner_id": ASH, "share": 0.5}, 0, (10, 16), 120, {ASH: 90, OAK: 30}),
        ({}, 0.1, (10, 16), 120, {ASH: 50, OAK: 70}),
        ({}, 0.9, (10, 16), 120, {OAK: 120}),  # taxed away
        ({}, 0, (16, 10), 10, {ASH: 5, OAK: 5}),  # a twentieth of the value at least
        ({"to_region": WEST}, 0, (10, 16), 120, {ASH: 60}),  # nobody is there to take the rest
        (
            {"owner_id": ELM, "share": 1},
            0,
            (10, 16),
            120,
            {ASH: 12, OAK: 12, ELM: 96},
        ),  # nobody takes all of it
        ({"owner_id": OAK, "share": 1}, 0, (10, 16), 120, {ASH: 12, OAK: 108}),
        ({"owner_id": ELM, "share": 1, "to_region": WEST}, 0, (10, 16), 120, {ASH: 12, ELM: 108}),
    ],
)
def test_what_a_route_earns_and_who_gets_it(
    fields: dict[str, Any], tariff: float, prices: tuple[float, float], gross: float, got: dict[UUID, int]
) -> None:
    one = earned(Flow(route(**fields), 20, tariff), *prices, REGIONS)
    assert one.gross == pytest.approx(gross)
    assert incomes([one]) == got


@given(amounts, shares, st.floats(0.01, 1000), st.floats(0.01, 1000), shares)
def test_no_more_is_paid_than_was_earned(
    moved: float, tariff: float, from_: float, to: float, share: float
) -> None:
    one = earned(Flow(route(owner_id=ELM, share=share), moved, tariff), from_, to, REGIONS)
    assert all(e.amount > 0 for e in one.earnings)
    assert sum(e.amount for e in one.earnings) <= one.gross * (1 + 1e-9)
    assert 0 <= one.duty <= one.gross


@given(st.lists(st.tuples(amounts, shares, shares), max_size=5))
def test_what_is_paid_in_whole_units_is_not_more_than_was_earned(
    days: list[tuple[float, float, float]],
) -> None:
    some = [
        earned(Flow(route(n, owner_id=ELM, share=share), moved, tariff), 10, 16, REGIONS)
        for n, (moved, share, tariff) in enumerate(days)
    ]
    assert sum(incomes(some).values()) <= sum(one.gross for one in some) * (1 + 1e-9)


def test_parts_of_a_unit_are_not_rounded_up() -> None:
    one = earned(Flow(route(owner_id=ELM, share=1 / 3), 0.3), 10, 16, REGIONS)
    assert [each.amount for each in one.earnings] == pytest.approx([0.6, 0.6, 0.6])
    assert incomes([one]) == {}
    assert incomes([one, one, one]) == {ASH: 1, OAK: 1, ELM: 1}


def test_the_best_routes_come_first() -> None:
    some = [earned(Flow(route(n), moved), 10, 16, REGIONS) for n, moved in ((1, 5), (2, 9), (3, 9))]
    assert [one.flow.route.id.int for one in top(some, 2)] == [1002, 1003]


# -- buying and selling --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "units", "buying", "sum_"),
    [(2.5, 2, True, 5), (2.5, 1, True, 3), (2.5, 1, False, 2), (0.2, 1, True, 1), (0.2, 1, False, 0)],
)
def test_money_is_whole_and_rounded_against_who_asks(
    base: float, units: int, buying: bool, sum_: int
) -> None:
    good = replace(GRAIN, base_price=base)
    assert rules.sum_for(good, market(), region(), units, buying=buying) == (base, sum_)


def test_a_tariff_is_on_top_of_what_is_bought_and_taken_of_what_is_sold() -> None:
    assert rules.sum_for(GRAIN, market(), region(), 4, 0.25, buying=True) == (12.5, 50)
    assert rules.sum_for(GRAIN, market(), region(), 4, 0.25, buying=False) == (7.5, 30)
    assert rules.sum_for(GRAIN, market(), region(), 4, 1.0, buying=False) == (0, 0)


@pytest.mark.parametrize(
    ("restriction", "traders", "buys", "sells"),
    [
        (rule(from_id=ASH, to_id=OAK), {OAK}, "barred", 0),  # what is bought goes to who buys
        (rule(from_id=OAK, to_id=ASH), {OAK}, 0, "barred"),  # what is sold comes from who sells
        (rule(from_id=ASH, to_id=OAK), {ELM, OAK}, "barred", 0),  # a character, and the faction it belongs to
        (rule(from_id=ASH, to_id=OAK), {ELM}, 0, 0),
        (rule(from_id=ASH, to_id=OAK, good="iron"), {OAK}, 0, 0),
        (
            rule(from_id=ASH, to_id=OAK, rate=0.5),
            {OAK},
            0,
            0,
        ),  # what is cut in part lets single deals through
        (rule("blockade", from_id=OAK, to_id=ASH), {OAK}, "barred", "barred"),
        (rule("blockade", from_id=OAK, to_id=ASH), {ASH}, 0, 0),  # in its own land one is not at war
        (rule("blockade", to_id=NORTH), {ASH}, "barred", "barred"),  # but cut off
        (rule(from_id=ASH), {ASH}, 0, 0),
        (rule("tariff", from_id=OAK, to_id=ASH, rate=0.2), {OAK}, 0, 0.2),
        (rule("tariff", from_id=ASH, to_id=OAK, rate=0.2), {OAK}, 0.2, 0),
    ],
)
def test_what_restrictions_leave_of_buying_and_selling(
    restriction: Restriction, traders: set[UUID], buys: Any, sells: Any
) -> None:
    found: list[Any] = []
    for buying in (True, False):
        try:
            found.append(dealt([restriction], "grain", region(NORTH, ASH), traders, buying=buying))
        except Refused as refused:
            assert refused.code == "trade_barred" and refused.facts["source"] == "test"
            found.append("barred")
    assert found == [buys, sells]


def test_what_bars_a_deal_is_what_cuts_all_of_it() -> None:
    half, all_ = (
        rule(from_id=ASH, to_id=OAK, rate=0.5),
        replace(rule(from_id=ASH, to_id=OAK), source="sanction:7"),
    )
    with pytest.raises(Refused) as error:
        dealt([half, all_], "grain", region(NORTH, ASH), {OAK}, buying=True)
    assert error.value.facts["source"] == "sanction:7"


def test_in_a_region_that_nobody_holds_who_belongs_to_nobody_is_free() -> None:
    assert dealt([rule(from_id=ASH, to_id=OAK)], "grain", region(NORTH, None), {ELM}, buying=True) == 0


def test_what_is_bought_is_gone_and_what_is_sold_is_there() -> None:
    assert rules.bought(market(), 40, 0).supply == 60
    assert rules.sold(market(), 40, 0).supply == 140
    with pytest.raises(Refused) as error:
        rules.bought(market(), 100, 0)
    assert (error.value.code, error.value.facts) == ("not_enough_on_offer", {"on_offer": 99})


@given(st.lists(st.integers(1, 20), min_size=1, max_size=4), st.lists(st.integers(1, 20), max_size=8))
def test_nobody_earns_by_buying_and_selling_the_same_again(buys: list[int], sells: list[int]) -> None:
    here, left, gain, state = region(), 0, 0, market()
    for units in buys:
        state = rules.bought(state, units, 0)
        gain, left = gain - rules.sum_for(GRAIN, state, here, units, buying=True)[1], left + units
    for wished in [*sells, 10**6]:
        units = min(wished, left)
        state, left = rules.sold(state, units, 0), left - units
        gain += rules.sum_for(GRAIN, state, here, units, buying=False)[1]
    assert left == 0 and gain <= 0
