"""Rules of places: quickest ways, setting out, arriving, being put somewhere."""

from itertools import pairwise, permutations
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fablewright.core.clock import HOUR, MINUTE
from fablewright.core.refusal import Refused
from fablewright.systems.regions import rules
from fablewright.systems.regions.commands import (
    DefinePlaces,
    PathValue,
    PlaceCharacters,
    Placement,
    PlaceValue,
)
from fablewright.systems.regions.rules import NOWHERE, PathState, Where

A, B, C, D, E = (UUID(int=n) for n in range(1, 6))
MAP = [
    PathState(A, B, 10), PathState(B, C, 10), PathState(A, C, 25), PathState(C, D, 5),
]  # fmt: skip
NEAR = rules.neighbours(MAP)
WALKING = Where(A, C, 0, 20 * MINUTE, home_id=D)
few = st.integers(0, 6).map(lambda n: UUID(int=n + 1))


@st.composite
def maps(draw: st.DrawFn) -> list[PathState]:
    found = {}
    for one, other in draw(st.lists(st.tuples(few, few), max_size=14)):
        if one != other:
            low, high = sorted((one, other))
            found[low, high] = PathState(low, high, draw(st.integers(1, 100)))
    return list(found.values())


@pytest.mark.parametrize(
    ("start", "goal", "places", "minutes"),
    [
        (A, B, (A, B), 10),
        (A, C, (A, B, C), 20),  # not the direct way, which takes 25
        (C, A, (C, B, A), 20),
        (A, D, (A, B, C, D), 25),
        (A, A, (A,), 0),
    ],
)
def test_the_quickest_way(start: UUID, goal: UUID, places: tuple[UUID, ...], minutes: float) -> None:
    for paths in (MAP, MAP[::-1], NEAR):
        assert rules.route(paths, start, goal) == rules.Route(places, minutes)


def test_of_equally_long_ways_the_one_over_fewer_and_lower_places() -> None:
    direct = [PathState(A, B, 1), PathState(B, D, 1), PathState(A, D, 2)]
    assert rules.route(direct, A, D).place_ids == (A, D)
    two = [PathState(A, C, 1), PathState(C, D, 1), PathState(A, B, 1), PathState(B, D, 1)]
    assert rules.route(two, A, D).place_ids == (A, B, D)


@pytest.mark.parametrize(("start", "goal"), [(A, E), (E, A), (A, UUID(int=9))])
def test_no_way(start: UUID, goal: UUID) -> None:
    with pytest.raises(Refused) as refused:
        rules.route(MAP, start, goal)
    assert refused.value.code == "no_way"
    assert refused.value.facts == {"from_id": str(start), "to_id": str(goal)}


@given(maps(), few, few)
def test_ways_are_ways_and_none_is_quicker(paths: list[PathState], start: UUID, goal: UUID) -> None:
    near = rules.neighbours(paths)
    quickest = _by_trying_all(near, start, goal)
    try:
        way = rules.route(paths, start, goal)
    except Refused:
        assert quickest is None
        return
    assert (way.place_ids[0], way.place_ids[-1]) == (start, goal)
    assert way.minutes == sum(near[a][b] for a, b in pairwise(way.place_ids)) == quickest
    assert rules.route(paths, goal, start).minutes == way.minutes  # there and back take equally long


def _by_trying_all(near: rules.Neighbours, start: UUID, goal: UUID) -> float | None:
    between = [i for i in near if i not in (start, goal)]
    best: float | None = 0.0 if start == goal else None
    for size in range(len(between) + 1):
        for middle in permutations(between, size):
            places = (start, *middle, goal)
            if start != goal and all(b in near.get(a, {}) for a, b in pairwise(places)):
                minutes = sum(near[a][b] for a, b in pairwise(places))
                best = minutes if best is None else min(best, minutes)
    return best


@given(maps(), few, few, few)
def test_no_detour_is_shorter(paths: list[PathState], start: UUID, over: UUID, goal: UUID) -> None:
    try:
        first, second = rules.route(paths, start, over), rules.route(paths, over, goal)
    except Refused:
        return
    assert rules.route(paths, start, goal).minutes <= first.minutes + second.minutes


def test_setting_out_and_arriving() -> None:
    where = Where(A, home_id=D, work_id=B)
    walking, way = rules.begin_walk(where, C, HOUR, NEAR)
    assert walking == Where(A, C, HOUR, HOUR + 20 * MINUTE, D, B)
    assert walking.travelling and not where.travelling
    assert way.place_ids == (A, B, C)
    assert rules.arrive(walking) == Where(C, home_id=D, work_id=B)


def test_the_shortest_walk_takes_time() -> None:
    walking, _ = rules.begin_walk(Where(A), B, 0, rules.neighbours([PathState(A, B, 1e-9)]))
    assert walking.arrives_at == 1


@pytest.mark.parametrize(
    ("where", "goal", "code"),
    [
        (WALKING, B, "already_walking"),
        (WALKING, C, "already_walking"),
        (NOWHERE, A, "no_starting_point"),
        (Where(home_id=A), A, "no_starting_point"),
        (Where(A), A, "already_there"),
        (Where(A), E, "no_way"),
        (Where(E), A, "no_way"),
    ],
)
def test_who_cannot_set_out(where: Where, goal: UUID, code: str) -> None:
    with pytest.raises(Refused) as refused:
        rules.begin_walk(where, goal, 0, NEAR)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("where", "given", "expected"),
    [
        (NOWHERE, {"place_id": A}, Where(A)),
        (NOWHERE, {"home_id": A, "work_id": B}, Where(home_id=A, work_id=B)),
        (Where(A, home_id=D, work_id=B), {}, Where(A, home_id=D, work_id=B)),
        (Where(A, home_id=D, work_id=B), {"home_id": E}, Where(A, home_id=E, work_id=B)),
        (WALKING, {"place_id": B}, Where(B, home_id=D)),
        (WALKING, {"place_id": A}, Where(A, home_id=D)),
        (WALKING, {"work_id": B}, Where(A, C, 0, 20 * MINUTE, D, B)),
    ],
)
def test_being_put(where: Where, given: dict[str, UUID], expected: Where) -> None:
    assert rules.put(where, **given) == expected


def test_what_is_named_twice() -> None:
    mill, road = PlaceValue(id=A, name="Mill"), PathValue(a_id=A, b_id=B, minutes=1)
    for fields in (
        {"places": [mill, PlaceValue(id=A, name="Green")]},
        {"places": [mill, PlaceValue(id=B, name=" Mill ")]},
        {"paths": [road, PathValue(a_id=B, b_id=A, minutes=2)]},
        {},
    ):
        with pytest.raises(ValidationError):
            DefinePlaces(**fields)
    with pytest.raises(ValidationError):
        PlaceCharacters(placements=[Placement(character_id=A), Placement(character_id=A, place_id=B)])
    assert DefinePlaces(places=[mill, PlaceValue(name="Green"), PlaceValue(name="Well")], paths=[road])


@pytest.mark.parametrize("minutes", [0, -1, 100_001, float("inf"), float("nan")])
def test_how_far_places_can_be_apart(minutes: float) -> None:
    with pytest.raises(ValidationError):
        PathValue(a_id=A, b_id=B, minutes=minutes)
