"""Rules of regions: stability, routes over borders, and who is kept out of what."""

from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fablewright.core.clock import DAY, HOUR
from fablewright.core.refusal import Refused
from fablewright.systems.regions import rules
from fablewright.systems.regions.commands import BorderValue, DefineRegions, Membership, RegionValue
from fablewright.systems.regions.rules import Ban, Barriers, BorderState, PathState, RegionState, Where

A, B, C, D, E = (UUID(int=n) for n in range(1, 6))
NORTH, SOUTH, EAST = (UUID(int=n) for n in range(11, 14))
ADA, FACTION = UUID(int=101), UUID(int=201)
LIE_IN = {A: NORTH, B: SOUTH, C: EAST, D: NORTH}
"""E lies in no region."""
NEAR = rules.neighbours(
    [PathState(A, B, 10), PathState(B, C, 10), PathState(A, E, 20), PathState(C, E, 20), PathState(A, D, 1)]
)
share = st.floats(0, 1)
few = st.integers(1, 7).map(lambda n: UUID(int=n))
lands = st.one_of(st.none(), st.sampled_from([NORTH, SOUTH, EAST]))


@pytest.mark.parametrize(
    ("value", "at", "now", "rest", "expected"),
    [
        (0.3, 0, 0, 0.7, 0.3),
        (0.3, 0, 30 * DAY, 0.7, 0.5),
        (0.3, 0, 60 * DAY, 0.7, 0.6),
        (1.0, 5 * DAY, 35 * DAY, 0.5, 0.75),
        (0.3, 5 * DAY, 0, 0.7, 0.3),  # a reader whose clock is a little behind
    ],
)
def test_stability_drifts_to_its_rest(value: float, at: int, now: int, rest: float, expected: float) -> None:
    assert rules.stability(value, at, now, rest) == pytest.approx(expected)


@given(share, share, st.integers(0, 10_000 * DAY), st.floats(-2, 2))
def test_stability_stays_between_0_and_1(value: float, rest: float, now: int, delta: float) -> None:
    region = RegionState(A, "A", stability=value, stability_rest=rest)
    calm = region.stability_now(now)
    assert min(value, rest) - 1e-9 <= calm <= max(value, rest) + 1e-9
    shaken = rules.shaken(region, delta, now)
    assert 0 <= shaken.stability <= 1
    assert (shaken.stability - calm) * delta >= -1e-9
    assert shaken.stability_now(now) == pytest.approx(shaken.stability)


@given(share, share, st.integers(0, 400 * DAY), st.integers(0, 400 * DAY))
def test_stability_forgets_the_same_however_often_it_is_read(
    value: float, rest: float, first: int, second: int
) -> None:
    between = rules.stability(value, 0, first, rest)
    stepwise = rules.stability(between, first, first + second, rest)
    assert stepwise == pytest.approx(rules.stability(value, 0, first + second, rest))


def test_the_quickest_route_over_borders() -> None:
    near = rules.bordering([BorderState(A, B, 60), BorderState(B, C, 60), BorderState(A, C, 200)])
    assert rules.region_route(near, A, C) == rules.Route((A, B, C), 120)
    assert rules.region_route(near, A, A) == rules.Route((A,), 0)
    with pytest.raises(Refused) as refused:
        rules.region_route(near, A, D)
    assert refused.value.code == "no_route"
    assert refused.value.facts == {"from_id": str(A), "to_id": str(D)}


@pytest.mark.parametrize(
    ("ban", "now", "holds"),
    [
        (Ban(None, None, "x"), 5, True),
        (Ban(None, None, "x", from_at=5), 5, True),
        (Ban(None, None, "x", from_at=6), 5, False),
        (Ban(None, None, "x", from_at=0, until_at=5), 5, False),
        (Ban(None, None, "x", from_at=0, until_at=6), 5, True),
    ],
)
def test_when_a_ban_holds(ban: Ban, now: int, holds: bool) -> None:
    assert ban.holds(now) is holds


@pytest.mark.parametrize(
    ("ban", "out"),
    [
        (Ban(SOUTH, None, "x"), True),
        (Ban(None, None, "x"), True),
        (Ban(SOUTH, ADA, "x"), True),
        (Ban(SOUTH, FACTION, "x"), True),
        (Ban(None, FACTION, "x"), True),
        (Ban(NORTH, None, "x"), False),
        (Ban(SOUTH, EAST, "x"), False),
        (Ban(NORTH, ADA, "x"), False),
    ],
)
def test_whom_a_ban_keeps_out(ban: Ban, out: bool) -> None:
    assert ban.keeps_out(SOUTH, {ADA, FACTION}) is out
    assert rules.barring([Ban(EAST, None, "y"), ban], SOUTH, {ADA, FACTION}) == (ban if out else None)


@pytest.mark.parametrize(
    ("bans", "goal", "places"),
    [
        ([], C, (A, B, C)),
        ([Ban(SOUTH, UUID(int=9), "x")], C, (A, B, C)),  # about somebody else
        ([Ban(SOUTH, None, "x")], C, (A, E, C)),  # round about
        ([Ban(NORTH, None, "x")], C, (A, B, C)),  # who is inside may leave
        ([Ban(NORTH, None, "x")], D, (A, D)),  # and walk about inside
        ([Ban(None, None, "x")], D, (A, D)),
        ([Ban(None, None, "x")], E, (A, E)),  # what lies in no region is open to all
    ],
)
def test_the_way_that_is_free(bans: list[Ban], goal: UUID, places: tuple[UUID, ...]) -> None:
    assert rules.free_way(NEAR, A, goal, Barriers(bans, LIE_IN, {ADA})).place_ids == places


@pytest.mark.parametrize(
    ("bans", "goal", "region", "source"),
    [
        ([Ban(SOUTH, ADA, "sanction:1", "Toll unpaid", 0, 9)], B, SOUTH, "sanction:1"),
        ([Ban(EAST, None, "treaty:1")], C, EAST, "treaty:1"),
        ([Ban(None, FACTION, "war:1")], C, SOUTH, "war:1"),
        ([Ban(SOUTH, None, "a"), Ban(EAST, None, "b")], C, SOUTH, "a"),
    ],
)
def test_what_is_barred(bans: list[Ban], goal: UUID, region: UUID, source: str) -> None:
    with pytest.raises(Refused) as refused:
        rules.free_way(NEAR, A, goal, Barriers(bans, LIE_IN, {ADA, FACTION}))
    assert refused.value.code == "barred"
    assert (refused.value.facts["region_id"], refused.value.facts["source"]) == (str(region), source)
    assert source in refused.value.detail


def test_a_walk_is_barred_before_it_begins() -> None:
    barriers = Barriers([Ban(SOUTH, None, "x")], LIE_IN, {ADA})
    with pytest.raises(Refused) as refused:
        rules.begin_walk(Where(A), B, 0, NEAR, barriers)
    assert refused.value.code == "barred"
    walking, way = rules.begin_walk(Where(A), C, 0, NEAR, barriers)
    assert (way.place_ids, walking.arrives_at) == ((A, E, C), 40 * 60_000)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[rules.Neighbours, Barriers]:
    paths = {}
    for one, other in draw(st.lists(st.tuples(few, few), max_size=14)):
        if one != other:
            low, high = sorted((one, other))
            paths[low, high] = PathState(low, high, draw(st.integers(1, 100)))
    lie_in = {place: region for n in range(1, 8) if (region := draw(lands)) for place in [UUID(int=n)]}
    bans = [
        Ban(draw(lands), draw(st.sampled_from([None, ADA, FACTION, A])), "x")
        for _ in range(draw(st.integers(0, 3)))
    ]
    return rules.neighbours(paths.values()), Barriers(bans, lie_in, {ADA, FACTION})


@given(worlds(), few, few)
def test_a_free_way_enters_no_barred_region(
    world: tuple[rules.Neighbours, Barriers], start: UUID, goal: UUID
) -> None:
    near, barriers = world
    try:
        way = rules.free_way(near, start, goal, barriers)
    except Refused as refused:
        if refused.code == "barred":  # then the quickest way does come into a barred region
            assert rules.first_barred(rules.route(near, start, goal).place_ids, barriers) is not None
        return
    assert rules.first_barred(way.place_ids, barriers) is None
    assert (way.place_ids[0], way.place_ids[-1]) == (start, goal)
    assert way.minutes == sum(near[a][b] for a, b in pairwise(way.place_ids))
    assert way.minutes >= rules.route(near, start, goal).minutes


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"regions": [RegionValue(id=A, name="x"), RegionValue(id=A, name="y")]},
        {"regions": [RegionValue(name="x"), RegionValue(name=" x ")]},
        {"borders": [BorderValue(a_id=A, b_id=B, minutes=1), BorderValue(a_id=B, b_id=A, minutes=2)]},
        {"places": [Membership(place_id=A, region_id=B), Membership(place_id=A, region_id=None)]},
    ],
)
def test_what_is_named_twice_or_not_at_all(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        DefineRegions(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"stability": 1.1}, {"stability_rest": -0.1}, {"population": -1}, {"resources": {"iron": -1}},
        {"resources": {"Iron ore": 1}}, {"resources": {"iron": float("inf")}}, {"terrain": ""},
    ],
)  # fmt: skip
def test_what_no_region_can_be(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        RegionValue(name="x", **fields)


def test_an_hour_is_not_much() -> None:
    assert rules.stability(0.0, 0, HOUR, 1.0) < 0.001
