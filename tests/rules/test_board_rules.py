"""How boards count: scores, places, windows, rewards."""

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fablewright.core.clock import DAY, HOUR, Calendar
from fablewright.core.refusal import Refused
from fablewright.systems.leaderboards import rules
from fablewright.systems.leaderboards.commands import BoardSpec, DefineBoard, RestoreEntries
from fablewright.systems.leaderboards.rules import (
    MOST_SCORE,
    Mode,
    Order,
    Place,
    Prize,
    Sheet,
    Span,
    Window,
    combined,
    score_of,
    standing_of,
)

A, B, C = (UUID(int=n) for n in (1, 2, 3))
MODES: list[Mode] = ["sum", "best", "latest"]
ORDERS: list[Order] = ["descending", "ascending"]
SCORES = st.floats(-MOST_SCORE, MOST_SCORE, allow_nan=False)


@pytest.mark.parametrize(
    ("mode", "before", "standing", "after"),
    [
        ("sum", None, 3, 3), ("sum", 4, 3, 7), ("sum", 4, -3, 1), ("best", None, -3, -3), ("best", 4, 3, 4),
        ("best", 3, 4, 4), ("latest", None, 3, 3), ("latest", 4, 3, 3),
    ],
)  # fmt: skip
def test_scores_go_together(mode: Mode, before: float | None, standing: float, after: float) -> None:
    assert combined(mode, before, standing) == after


@given(score=SCORES, order=st.sampled_from(ORDERS))
def test_a_score_comes_back_as_it_was(score: float, order: Order) -> None:
    assert score_of(standing_of(score, order), order) == score


@given(one=SCORES, two=SCORES)
def test_where_less_is_better_the_order_is_turned_round(one: float, two: float) -> None:
    assert (standing_of(one, "ascending") > standing_of(two, "ascending")) == (one < two)


def test_there_is_one_zero_and_whole_numbers_are_whole() -> None:
    for order in ORDERS:
        assert str(standing_of(-0.0, order)) == str(standing_of(0.0, order)) == "0.0"
        assert str(score_of(0.0, order)) == "0"
    assert isinstance(score_of(3.0, "ascending"), int)
    assert score_of(2.5, "ascending") == -2.5


# -- sheets --------------------------------------------------------------------------------------------------


def test_who_reaches_a_score_earlier_has_the_greater_tie() -> None:
    sheet = Sheet(next_tie=-7)
    assert sheet.count(A, "best", 5, 10)
    assert sheet.count(B, "best", 5, 11)
    assert not sheet.count(A, "best", 5, 12)
    assert not sheet.count(A, "best", 4, 12)
    assert sheet.after == {A: Place(5, -8, 10), B: Place(5, -9, 11)}
    assert (sheet.next_tie, sheet.fresh) == (-9, 2)


def test_what_was_stored_counts_on() -> None:
    sheet = Sheet(0, {A: Place(5, -1, 0)})
    assert sheet.count(A, "sum", 2, 9)
    assert (sheet.place(A), sheet.fresh) == (Place(7, -1, 9), 0)
    assert not sheet.count(A, "sum", 0, 10)
    assert sheet.place(C) is None


def test_a_sum_beyond_what_can_be_counted_exactly_is_refused_and_changes_nothing() -> None:
    sheet = Sheet(0, {A: Place(MOST_SCORE, -1, 0)})
    with pytest.raises(Refused) as error:
        sheet.count(A, "sum", 1, 1)
    assert error.value.code == "score_out_of_range"
    assert sheet.after == {}
    assert sheet.next_tie == 0


@given(
    scores=st.lists(st.tuples(st.sampled_from([A, B, C]), st.integers(-3, 3))),
    cut=st.integers(0, 20), mode=st.sampled_from(MODES),
)  # fmt: skip
def test_a_batch_counts_as_its_scores_would_one_by_one(
    scores: list[tuple[UUID, int]], cut: int, mode: Mode
) -> None:
    whole, first = Sheet(), Sheet()
    for subject, score in scores:
        whole.count(subject, mode, score, 0)
    for subject, score in scores[:cut]:
        first.count(subject, mode, score, 0)
    then = Sheet(first.next_tie, dict(first.after))
    for subject, score in scores[cut:]:
        then.count(subject, mode, score, 0)
    assert then.before | then.after == whole.after
    assert first.fresh + then.fresh == whole.fresh


# -- windows -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("span", "now", "number", "starts", "ends"),
    [
        ("day", 0, 0, -6 * HOUR, 18 * HOUR), ("day", 18 * HOUR, 1, 18 * HOUR, 42 * HOUR),
        ("day", -6 * HOUR - 1, -1, -30 * HOUR, -6 * HOUR), ("week", 0, 0, -6 * HOUR, 7 * DAY - 6 * HOUR),
        ("week", 8 * DAY, 1, 7 * DAY - 6 * HOUR, 14 * DAY - 6 * HOUR),
        ("month", 29 * DAY, 0, -6 * HOUR, 30 * DAY - 6 * HOUR),
        ("month", 61 * DAY, 2, 60 * DAY - 6 * HOUR, 90 * DAY - 6 * HOUR), ("all_time", 10**15, 0, None, None),
    ],
)  # fmt: skip
def test_windows_of_the_calendar(
    span: Span, now: int, number: int, starts: int | None, ends: int | None
) -> None:
    assert rules.calendar_window(span, Calendar(), now) == Window(number, starts, ends)


def test_a_calendar_of_its_own_has_days_and_months_of_its_own() -> None:
    short = Calendar(months=("One",), days_per_month=10, hours_per_day=20, start_hour=0)
    assert rules.calendar_window("day", short, 45 * HOUR) == Window(2, 40 * HOUR, 60 * HOUR)
    assert rules.calendar_window("month", short, 45 * HOUR) == Window(0, 0, 200 * HOUR)
    assert rules.calendar_window("season", short, 0) is None


@given(now=st.integers(-(2**50), 2**50), span=st.sampled_from(["day", "week", "month"]))
def test_each_moment_lies_in_one_window_and_the_next_begins_where_it_ends(now: int, span: Span) -> None:
    window = rules.calendar_window(span, Calendar(), now)
    assert window is not None and window.starts_at is not None and window.ends_at is not None
    assert window.starts_at <= now < window.ends_at
    after = rules.calendar_window(span, Calendar(), window.ends_at)
    assert after is not None
    assert (after.number, after.starts_at) == (window.number + 1, window.ends_at)


@pytest.mark.parametrize(
    ("last", "now", "expected"),
    [
        (None, 7, Window(1, 7, 17)), (Window(1, 0, 10), 10, Window(2, 10, 20)),
        (Window(1, 0, 10), 19, Window(2, 10, 20)),
        (Window(1, 0, 10), 20, Window(2, 20, 30)), (Window(4, 0, 10), 47, Window(5, 40, 50)),
    ],
)  # fmt: skip
def test_a_season_begins_where_the_last_ended_even_if_nobody_was_there(
    last: Window | None, now: int, expected: Window
) -> None:
    assert rules.next_season(last, 10, now) == expected


def test_a_score_counts_for_the_season_that_its_time_lies_in() -> None:
    first, second = Window(1, 0, 10), Window(2, 10, 20)
    assert rules.window_for(None, first, 10, 9) == first
    assert rules.window_for(None, first, 10, 10) == second
    # Another was quicker to end the season: the score, a moment older, counts for the one that is open.
    assert rules.window_for(None, second, 10, 9) == second
    assert rules.window_for(rules.ALL_TIME, None, 0, 9) == rules.ALL_TIME


def test_the_last_rank_that_gets_something() -> None:
    assert rules.last_rank([Prize(1, 3, 5), Prize(2, 2, 7)]) == 3
    assert rules.last_rank([]) == 0


# -- definitions ---------------------------------------------------------------------------------------------

SUM = {"kind": "sum", "on": "game.score", "field": "points"}
SEASON = {"length_ms": DAY, "rewards": []}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"metric": {"kind": "sum", "on": "game.score"}}, "need a field"),
        ({"metric": {"kind": "count", "on": "game.score", "field": "x"}}, "takes none"),
        ({"metric": {"kind": "median"}}, "median"),
        ({"metric": {**SUM, "on": "Game"}}, "pattern"),
        ({"metric": SUM, "window": "season"}, "how its seasons are"),
        ({"metric": SUM, "season": SEASON}, "how its seasons are"),
        ({"metric": SUM, "scope": {"kind": "tag"}}, "name a tag"),
        ({"metric": SUM, "scope": {"tag": "guild"}}, "none for"),
        ({"metric": SUM, "window": "season", "season": {"length_ms": 5}}, "greater than or equal"),
        (
            {"metric": SUM, "window": "season", "season": {**SEASON, "rewards": [
                {"from_rank": 3, "to_rank": 2, "amount": 1}]}}, "to_rank comes after",
        ),
        (
            {"metric": SUM, "window": "season", "season": {**SEASON, "rewards": [
                {"from_rank": 1, "to_rank": 2}]}}, "an amount, a title, or both",
        ),
    ],
)  # fmt: skip
def test_a_definition_that_makes_no_sense_says_why(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        BoardSpec(name="Board", **fields)


@pytest.mark.parametrize("key", ["", "Ford", "1st", "a-b", "x" * 61])
def test_keys_have_a_form(key: str) -> None:
    with pytest.raises(ValidationError):
        DefineBoard(key=key, name="Board", metric=SUM)


@pytest.mark.parametrize(
    ("metric", "mode"),
    [
        (SUM, "sum"), ({**SUM, "kind": "best"}, "best"), ({**SUM, "kind": "latest"}, "latest"),
        ({"kind": "count", "on": "*"}, "sum"), ({"kind": "points_earned"}, "sum"),
        ({"kind": "submitted", "mode": "set"}, "latest"), ({"kind": "submitted"}, "best"),
        ({"kind": "submitted", "mode": "add"}, "sum"),
    ],
)  # fmt: skip
def test_metrics_say_how_scores_go_together(metric: dict[str, Any], mode: Mode) -> None:
    assert BoardSpec(name="Board", metric=metric).mode == mode


def test_names_may_change_while_what_counts_stays() -> None:
    spec = BoardSpec(name="Board", metric=SUM)
    assert spec.counts_like(BoardSpec(name="Other", description="New.", metric=SUM))
    assert not spec.counts_like(BoardSpec(name="Board", metric=SUM, order="ascending"))


@pytest.mark.parametrize(
    "fields",
    [
        {"starts_at": 1}, {"starts_at": 2, "ends_at": 2},
        {"entries": [{"subject_id": A, "score": 1, "at": 0}, {"subject_id": A, "score": 2, "at": 0}]},
    ],
)  # fmt: skip
def test_a_window_that_cannot_have_been_is_not_put_back(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RestoreEntries(key="ford", number=1, **fields)
