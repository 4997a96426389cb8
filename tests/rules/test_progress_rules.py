"""What is measured of a batch of events."""

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fablewright.core.clock import DAY, HOUR, Calendar
from fablewright.systems.progress.rules import (
    MOST_NUMBER,
    Measure,
    MeasureSpec,
    Tally,
    Watched,
    current,
    hears,
    item_of,
    measure_id,
    streak,
    subjects_at,
)

WORLD, ADA, BEN, CYN = (UUID(int=n) for n in range(1, 5))


def spec(kind: str = "count", on: list[str] | None = None, **fields: Any) -> MeasureSpec:
    return MeasureSpec.model_validate({"kind": kind, "on": on or ["game.won"], **fields})


def measure(kind: str = "count", **fields: Any) -> Measure:
    made = spec(kind, **fields)
    return Measure.of(measure_id(WORLD, made), made)


def take(measure: Measure, *events: tuple[list[UUID], int, dict[str, Any]]) -> Tally:
    tally = Tally()
    for about, at, data in events:
        tally.take([measure], about, at, data)
    return tally


@pytest.mark.parametrize(
    ("kind", "fields", "says"),
    [
        ("sum", {}, "field"),
        ("best", {}, "field"),
        ("distinct", {}, "field"),
        ("count", {"field": "x"}, "field"),
        ("streak", {"field": "x"}, "field"),
        ("count", {"grace_days": 1}, "grace_days"),
        ("streak", {"grace_days": 366}, "grace_days"),
        ("count", {"on": []}, "on"),
        ("count", {"on": ["*"]}, "on"),
        ("count", {"on": ["achievements.*"]}, "cannot be measured"),
        ("count", {"on": ["achievements.progressed"]}, "cannot be measured"),
        ("count", {"on": ["progress.caught_up"]}, "cannot be measured"),
        ("median", {}, "kind"),
    ],
)
def test_what_cannot_be_measured_is_refused(kind: str, fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        MeasureSpec.model_validate({"kind": kind, "on": ["game.won"], **fields})


def test_equal_measures_have_one_id() -> None:
    where = [{"field": "a", "op": "is", "value": 1}, {"field": "b", "value": "x"}]
    one = spec(on=["game.won", "game.lost"], where=where)
    assert measure_id(WORLD, one) == measure_id(
        WORLD, spec(on=["game.lost", "game.won", "game.won"], where=where[::-1])
    )
    others = [
        measure_id(WORLD, other)
        for other in (
            spec(on=["game.won"], where=where),
            spec(on=["game.won", "game.lost"]),
            spec("streak", on=["game.won", "game.lost"], where=where),
            spec(on=["game.won", "game.lost"], where=where, subject="who"),
            spec("streak", grace_days=1),
            spec("streak"),
            spec("sum", field="x"),
            spec("sum", field="y"),
        )
    ]
    assert len({measure_id(WORLD, one), measure_id(UUID(int=9), one), *others}) == 10


def test_a_type_finds_the_measures_that_listen_to_it() -> None:
    won, game, unlocked = (
        measure(on=["game.won"]),
        measure(on=["game.*"]),
        measure(on=["achievements.unlocked"]),
    )
    watched = Watched([won, game, unlocked])
    assert watched.of("game.won") == (won, game)
    assert watched.of("game.lost") == (game,)
    assert watched.of("gamer.won") == watched.of("points.awarded") == ()
    assert watched.of("achievements.unlocked") == (unlocked,)
    assert not hears(game.spec, "achievements.unlocked")


def test_each_kind_takes_what_it_is_made_of() -> None:
    events: list[tuple[list[UUID], int, dict[str, Any]]] = [
        ([ADA, BEN], 0, {"n": 2, "what": "a"}),
        ([ADA], 1, {"n": -5, "what": "b"}),
        ([BEN], DAY, {"n": 4}),
    ]
    assert next(iter(take(measure(), *events).adds.values())) == {ADA: 2, BEN: 1}
    assert next(iter(take(measure("sum", field="n"), *events).adds.values())) == {ADA: -3, BEN: 4}
    assert next(iter(take(measure("best", field="n"), *events).bests.values())) == {ADA: 2, BEN: 4}
    assert next(iter(take(measure("distinct", field="what"), *events).items.values())) == {
        ADA: {'"a"', '"b"'}
    }
    assert next(iter(take(measure("streak"), *events).days.values())) == {ADA: {0}, BEN: {1}}


def test_streaks_count_the_days_of_the_calendar() -> None:
    streaks, tally = measure("streak"), Tally(Calendar(hours_per_day=10, start_hour=6))
    for hours in (0, 3, 4, 14):  # midnight is four and fourteen hours after the beginning
        tally.take([streaks], [ADA], hours * HOUR, {})
    assert tally.days == {streaks.id: {ADA: {0, 1, 2}}}


def test_what_does_not_fit_is_not_counted() -> None:
    one = measure("sum", field="n", where=[{"field": "ok", "value": True}])
    data = {"n": 1, "ok": True}
    assert not take(one, ([ADA], 0, data)).empty
    for about, bad in (
        ([], data), ([ADA], {**data, "ok": 1}), ([ADA], {"ok": True}), ([ADA], {**data, "n": "1"}),
        ([ADA], {**data, "n": True}), ([ADA], {**data, "n": None}),
    ):  # fmt: skip
        assert take(one, (about, 0, bad)).empty
    assert take(measure("distinct", field="n"), ([ADA], 0, {})).empty


def test_no_number_is_too_large_to_be_summed() -> None:
    tally = take(measure("sum", field="n"), *(([ADA], 0, {"n": 1e308}) for _ in range(3)))
    assert next(iter(tally.adds.values())) == {ADA: 3 * MOST_NUMBER}


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (str(BEN), [BEN]),
        ([str(BEN), str(ADA), str(BEN)], [BEN, ADA]),
        (["x", None, 7, str(CYN)], [CYN]),
        ("not an id, but as long as one would be", []),
        ("z" * 36, []),
        (None, []),
        ({"id": str(BEN)}, []),
    ],
)
def test_whom_a_field_names(value: Any, found: list[UUID]) -> None:
    assert subjects_at({"a": {"who": value}}, "a.who") == found


def test_a_subject_that_is_named_counts_instead_of_the_first() -> None:
    one = measure(subject="who")
    assert next(iter(take(one, ([ADA], 0, {"who": [str(BEN), str(CYN)]})).adds.values())) == {BEN: 1, CYN: 1}
    assert take(one, ([ADA], 0, {})).empty


def test_values_are_told_apart_by_what_they_are() -> None:
    values = ["1", 1, True, 1.5, [1], ["1"], {"a": 1, "b": 2}, "x" * 300, "x" * 301]
    items = [item_of(value) for value in values]
    assert len(set(items)) == len(values)
    assert all(item and len(item) < 200 for item in items)
    assert item_of({"b": 2, "a": 1}) == item_of({"a": 1, "b": 2})
    assert item_of(None) is None


@pytest.mark.parametrize(
    ("value", "last", "day", "grace", "after"),
    [
        (0, None, 5, 0, (1, 5)),
        (3, 5, 6, 0, (4, 6)),
        (3, 5, 5, 0, (3, 5)),
        (3, 5, 4, 0, (3, 5)),
        (3, 5, 7, 0, (1, 7)),
        (3, 5, 7, 1, (4, 7)),
        (3, 5, 8, 1, (1, 8)),
        (3, -1, 0, 0, (4, 0)),
    ],
)
def test_a_streak(value: float, last: int | None, day: int, grace: int, after: tuple[float, int]) -> None:
    assert streak(value, last, day, grace) == after


@given(st.lists(st.integers(-20, 20), min_size=1, max_size=30), st.integers(0, 3))
def test_a_streak_is_the_days_since_the_last_gap(days: list[int], grace: int) -> None:
    value, last = 0.0, None
    for day in sorted(days):
        value, last = streak(value, last, day, grace)
    run = sorted(set(days))
    gaps = [n for n in range(1, len(run)) if run[n] - run[n - 1] > 1 + grace]
    assert value == len(run) - (gaps[-1] if gaps else 0)
    assert last == run[-1]
    assert current(spec("streak", grace_days=grace), value, last, run[-1] + 1 + grace) == value
    assert current(spec("streak", grace_days=grace), value, last, run[-1] + 2 + grace) == 0


def test_only_streaks_pass() -> None:
    assert current(spec(), 7, None, 1_000_000) == 7


@given(
    st.lists(st.tuples(st.sampled_from([ADA, BEN]), st.integers(-5, 5), st.sampled_from("abc")), max_size=30),
    st.integers(0, 30),
)
def test_a_batch_may_be_split_anywhere(events: list[tuple[UUID, int, str]], cut: int) -> None:
    one = measure("sum", field="n")
    whole = [([who], 0, {"n": n}) for who, n, _ in events]
    parts = [take(one, *whole[:cut]), take(one, *whole[cut:])]
    for who in (ADA, BEN):
        expected = sum(n for w, n, _ in events if w == who)
        assert sum(p.adds.get(one.id, {}).get(who, 0) for p in parts) == expected
