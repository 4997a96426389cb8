"""What an achievement may be, and how far somebody has come in it."""

import json
from dataclasses import asdict
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fablewright.systems.achievements.rules import (
    MOST_AT_ONCE,
    AchievementDefinition,
    Catalog,
    Entry,
    Ladder,
    Standing,
    Watch,
    cycle_from,
    feeds_itself,
    goals_of,
    layers,
    measure_of,
    needed,
)

WON: dict[str, Any] = {"kind": "count", "on": ["game.won"]}
MANUAL = {"kind": "manual"}
BOTH = {"kind": "all_of", "keys": ["b", "a", "b"]}


def achievement(criteria: dict[str, Any], **fields: Any) -> AchievementDefinition:
    return AchievementDefinition.model_validate({"name": "Name", "criteria": criteria, **fields})


def goals(*values: float) -> list[dict[str, float]]:
    return [{"goal": value} for value in values]


@pytest.mark.parametrize(
    ("criteria", "fields", "says"),
    [
        (WON, {}, "needs a `goal`"),
        (WON, {"tiers": goals(2, 2)}, "higher goal"),
        (WON, {"tiers": goals(3, 2)}, "higher goal"),
        (WON, {"tiers": goals(0)}, "greater than 0"),
        (WON, {"tiers": []}, "at least 1"),
        (WON, {"tiers": goals(*range(1, 12))}, "at most 10"),
        (MANUAL, {"tiers": goals(1)}, "belongs to what is counted"),
        (BOTH, {"tiers": [{}, {}]}, "one tier"),
        (BOTH, {"repeatable": True}, "can be repeated"),
        (MANUAL, {"tiers": [{}, {}], "repeatable": True}, "one tier"),
        ({"kind": "streak", "on": ["game.won"]}, {"tiers": goals(1), "repeatable": True}, "can be repeated"),
        ({"kind": "count", "on": ["achievements.unlocked"]}, {"tiers": goals(1)}, "all_of"),
        ({"kind": "all_of", "keys": []}, {}, "at least 1"),
        ({"kind": "median"}, {}, "kind"),
        (MANUAL, {"requires": ["Not a key"]}, "pattern"),
        (MANUAL, {"name": ""}, "name"),
        (MANUAL, {"colour": "red"}, "colour"),
    ],
)
def test_definitions_that_make_no_sense(criteria: dict[str, Any], fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        achievement(criteria, **fields)


def test_every_kind_has_goals_and_what_it_counts() -> None:
    both = achievement(BOTH)
    any_of = achievement({"kind": "any_of", "keys": ["a", "b"]})
    manual = achievement(MANUAL, tiers=[{}, {}, {}])
    counted = achievement(WON, tiers=goals(3, 7.5))
    assert [goals_of(a) for a in (both, any_of, manual, counted)] == [(2,), (1,), (1, 2, 3), (3, 7.5)]
    assert measure_of(manual) is None
    assert measure_of(counted) == counted.criteria
    made = measure_of(both)
    assert made and made == measure_of(any_of)  # which of them one has, whatever is made of it
    assert (made.kind, made.on, made.field) == ("distinct", ["achievements.unlocked"], "key")
    assert needed(achievement(BOTH, requires=["a", "c"])) == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("fields", "feeds"),
    [
        ({}, True),
        ({"repeatable": False}, False),
        ({"tiers": goals(5)}, False),
        ({"criteria": {**WON, "on": ["game.*"]}}, False),
        ({"criteria": {**WON, "on": ["game.*", "ledger.transferred"]}}, True),
    ],
)
def test_what_feeds_itself(fields: dict[str, Any], feeds: bool) -> None:
    whole = {
        "criteria": {"kind": "count", "on": ["points.awarded"]}, "repeatable": True,
        "tiers": [{"goal": 5, "points": 1}], **fields,
    }  # fmt: skip
    assert feeds_itself(achievement(**whole)) is feeds


@pytest.mark.parametrize(
    ("graph", "path"),
    [
        ({"a": ["b"], "b": ["c"], "c": ["a"]}, ["a", "b", "c", "a"]),
        ({"a": ["a"]}, ["a", "a"]),
        ({"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []}, None),
        ({"a": ["b"], "b": ["c"], "c": ["b"]}, None),  # not through a
        ({"a": ["b", "c"], "b": [], "c": ["d"], "d": ["a"]}, ["a", "c", "d", "a"]),
    ],
)
def test_circles_are_found(graph: dict[str, list[str]], path: list[str] | None) -> None:
    assert cycle_from("a", graph) == path


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=20))
def test_a_circle_is_found_if_there_is_one(edges: list[tuple[int, int]]) -> None:
    graph = {str(n): [str(b) for a, b in edges if a == n] for n in range(8)}
    reach, more = {b for a, b in edges if a == 0}, True
    while more:
        found = reach | {b for a, b in edges if a in reach}
        more, reach = found != reach, found
    path = cycle_from("0", graph)
    assert (path is not None) == (0 in reach)
    if path:
        assert path[0] == path[-1] == "0"
        assert all(b in graph[a] for a, b in pairwise(path))


def test_layers_count_those_made_of_others() -> None:
    graph = {"a": [], "b": ["a"], "c": ["b"], "d": ["c", "a"], "e": ["d"]}
    assert layers(graph, set()) == 0
    assert layers(graph, {"c"}) == 1
    assert layers(graph, {"b", "c", "d", "e"}) == 4
    assert layers({str(n): [str(n - 1)] if n else [] for n in range(3_000)}, {"5"}) == 1


def test_the_way_to_the_next_tier() -> None:
    ladder = Ladder((10, 40), repeatable=False)
    assert [ladder.reached(v) for v in (-5, 0, 9, 10, 39.9, 40, 1e9)] == [0, 0, 0, 1, 1, 2, 2]
    assert ladder.standing(3) == Standing(1, 3, 10, 30)
    assert ladder.standing(10) == Standing(2, 10, 40, 25)
    assert ladder.standing(50) == Standing(2, 50, 40, 100)
    assert ladder.standing(-1) == Standing(1, -1, 10, 0)


def test_a_repeatable_one_begins_anew_after_its_last_tier() -> None:
    ladder = Ladder((2, 5), repeatable=True)
    assert [ladder.reached(v) for v in (0, 2, 4, 5, 7, 10, 12.5)] == [0, 1, 1, 2, 3, 4, 5]
    assert ladder.standing(6) == Standing(1, 1, 2, 50)
    assert ladder.standing(12) == Standing(2, 2, 5, 40)
    assert ladder.steps(1, 4) == [(2, 1), (1, 2), (2, 2)]
    assert len(ladder.steps(0, 10_000)) == MOST_AT_ONCE
    assert ladder.steps(3, 3) == ladder.steps(3, 2) == []


LADDERS = st.builds(
    lambda values, again: Ladder(sorted(values), again),
    st.sets(st.integers(1, 500), min_size=1, max_size=4), st.booleans(),
)  # fmt: skip


@given(LADDERS, st.integers(0, 1500), st.integers(0, 300))
def test_marks_grow_with_each_tier_and_percent(ladder: Ladder, value: int, more: int) -> None:
    before, after = float(value), float(value + more)
    assert ladder.mark(before) <= ladder.mark(after)
    if ladder.reached(before) != ladder.reached(after):
        assert ladder.mark(before) < ladder.mark(after)
    elif ladder.mark(before) == ladder.mark(after):
        assert abs(ladder.standing(before).percent - ladder.standing(after).percent) <= 1
    elif ladder.reached(after) != len(ladder.goals):
        assert ladder.standing(before).percent <= ladder.standing(after).percent


@given(st.lists(LADDERS, min_size=1, max_size=5), st.integers(0, 1500), st.integers(0, 300), st.booleans())
def test_a_step_concerns_those_whose_goals_and_marks_it_passes(
    ladders: list[Ladder], value: int, more: int, hidden: bool
) -> None:
    made = achievement(WON, tiers=goals(1), hidden=hidden)
    entries = [Entry(uuid4(), f"k{n}", made, UUID(int=1), ladder) for n, ladder in enumerate(ladders)]
    before, after = float(value), float(value + more)
    watch = Watch(entries)
    steps = [(e.key, n) for e in entries if (n := e.ladder.reached(after)) > e.ladder.reached(before)]
    assert sorted((e.key, n) for e, n in watch.reached(before, after)) == sorted(steps)
    told = {key: json.loads(line) for key, line in watch.told(before, after).items()}
    assert told == {
        e.key: {"key": e.key, **asdict(e.ladder.standing(after))}
        for e in entries if not hidden and e.ladder.mark(before) < e.ladder.mark(after)
    }  # fmt: skip


def test_a_step_back_concerns_nobody() -> None:
    for again in (False, True):
        entry = Entry(uuid4(), "k", achievement(WON, tiers=goals(1)), UUID(int=1), Ladder((10,), again))
        assert Watch([entry]).reached(35, 2) == []
        assert Watch([entry]).told(35, 2) == {}


def test_a_catalog_finds_what_one_has_of_it() -> None:
    one, two = UUID(int=1), UUID(int=2)
    entries = [
        Entry.of(uuid4(), "a", achievement(WON, tiers=goals(1)), one),
        Entry.of(uuid4(), "b", achievement(WON, tiers=goals(2), requires=["a"]), one),
        Entry.of(uuid4(), "c", achievement({"kind": "any_of", "keys": ["a"]}), two),
        Entry.of(uuid4(), "d", achievement(MANUAL), None),
    ]
    catalog = Catalog(entries)
    assert catalog.over(two) and catalog.over(UUID(int=3)) is None
    watch = catalog.over(one)
    assert watch
    assert [(e.key, n) for e, n in watch.reached(0, 1)] == [("a", 1)]
    assert list(watch.told(0, 1)) == ["a", "b"]
    assert {key: [e.key for e in found] for key, found in catalog.dependents.items()} == {"a": ["b"]}
    assert catalog.graph == {"a": [], "b": ["a"], "c": ["a"], "d": []}
    assert catalog.groups == {"c"}
