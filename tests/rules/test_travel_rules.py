"""Rules of journeys: when borders are crossed, and where one lands who is stopped."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fablewright.core.clock import MINUTE
from fablewright.core.refusal import Refused
from fablewright.systems.regions.rules import Ban, Barriers, BorderState, Route, bordering
from fablewright.systems.travel import rules
from fablewright.systems.travel.rules import Journey

A, B, C, D = (UUID(int=n) for n in range(1, 5))
HOME, MILL, INN, GATE = (UUID(int=n) for n in range(11, 15))
NEAR = bordering(
    [BorderState(A, B, 60), BorderState(B, C, 100), BorderState(A, D, 100), BorderState(C, D, 100)]
)
EVERYWHERE = {i: i for i in (A, B, C, D)}
JOURNEY = Journey(UUID(int=21), UUID(int=101), HOME, GATE, (A, B, C), (30, 110), 0, 160)


def test_borders_lie_half_way() -> None:
    way = Route((A, B, C), 160)
    assert rules.crossings(NEAR, way, 5) == (5 + 30 * MINUTE, 5 + 110 * MINUTE)


@given(st.lists(st.floats(1e-9, 1e6), min_size=1, max_size=8), st.integers(-(10**12), 10**12))
def test_borders_are_crossed_in_order_and_before_arrival(legs: list[float], now: int) -> None:
    regions = [UUID(int=n) for n in range(1, len(legs) + 2)]
    near = bordering([BorderState(a, b, m) for a, b, m in zip(regions[:-1], regions[1:], legs, strict=True)])
    way = Route(tuple(regions), sum(legs))
    times = rules.crossings(near, way, now)
    assert len(times) == len(legs)
    assert list(times) == sorted(times)
    assert now <= times[0] and times[-1] <= now + max(1, round(way.minutes * MINUTE))


@pytest.mark.parametrize(
    ("bans", "goal", "way"),
    [
        ([], B, (A, B)),
        ([], C, (A, B, C)),
        ([Ban(B, None, "x")], C, (A, D, C)),
        ([Ban(A, None, "x")], C, (A, B, C)),
        ([Ban(B, UUID(int=9), "x")], C, (A, B, C)),
    ],
)
def test_the_way_between_regions(bans: list[Ban], goal: UUID, way: tuple[UUID, ...]) -> None:
    assert rules.way_between(NEAR, A, goal, Barriers(bans, EVERYWHERE, {UUID(int=101)})).place_ids == way


@pytest.mark.parametrize(
    ("bans", "goal", "code"),
    [
        ([], A, "already_in_region"),
        ([], UUID(int=99), "no_route"),
        ([Ban(B, None, "x")], B, "barred"),
        ([Ban(None, UUID(int=101), "x")], C, "barred"),
        ([Ban(B, None, "x"), Ban(D, None, "y")], C, "barred"),
    ],
)
def test_where_no_way_leads(bans: list[Ban], goal: UUID, code: str) -> None:
    with pytest.raises(Refused) as refused:
        rules.way_between(NEAR, A, goal, Barriers(bans, EVERYWHERE, {UUID(int=101)}))
    assert refused.value.code == code


def test_gates() -> None:
    places = [
        (A, MILL, "Mill", []), (A, INN, "Inn", ["warm"]), (B, HOME, "Home", []), (B, GATE, "Wall", ["gate"]),
    ]  # fmt: skip
    assert rules.gates(places) == {A: INN, B: GATE}
    assert rules.gates([]) == {}


@pytest.mark.parametrize(
    ("crossed", "gates", "place"),
    [
        (0, {A: MILL, B: INN}, HOME),  # not the gate of the region where it set out, but where it was
        (1, {A: MILL, B: INN}, INN),
        (1, {A: MILL, C: GATE}, HOME),  # B has no place: back where it came from
        (2, {B: INN}, INN),
        (2, {B: INN, C: GATE}, GATE),
        (2, {}, HOME),
    ],
)
def test_where_the_stopped_land(crossed: int, gates: dict[UUID, UUID], place: UUID) -> None:
    journey = JOURNEY
    for _ in range(crossed):
        journey = rules.crossed(journey)
    assert rules.landing(journey, gates) == place


def test_where_a_traveller_is() -> None:
    half = rules.crossed(JOURNEY)
    there = rules.crossed(half)
    assert [(j.here, j.beyond, j.next_border_at) for j in (JOURNEY, half, there)] == [
        (A, B, 30), (B, C, 110), (C, None, None)
    ]  # fmt: skip
