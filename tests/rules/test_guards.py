"""Guards of awards: each limit and its outcomes, when to try again, bursts, outliers, gift circles."""

from collections.abc import Sequence
from itertools import pairwise
from statistics import mean, variance
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from fablewright.core.clock import DAY, HOUR, MINUTE, SECOND, Calendar
from fablewright.systems.points import guards
from fablewright.systems.points.guards import (
    FRESH,
    NO_GUARDS,
    NO_HABIT,
    NO_SIZES,
    ActionMemory,
    Burst,
    Diminishing,
    Distribution,
    Gift,
    GiftCircle,
    Habit,
    Judgement,
    Limits,
    Moment,
    Outlier,
    Window,
    WorldGuards,
)

NOON = 100 * DAY + 12 * HOUR
TEN_A_MINUTE = Window(most=10, ms=MINUTE)
WIDE = Distribution(100, 10.0, 99 * 4.0)
"""A hundred awards of 10 on the average, with a standard deviation of 2."""


def remembering(limits: Limits, tries: Sequence[tuple[int, int]]) -> ActionMemory:
    """The memory after tries at these times, for each of which so much was given."""
    memory = FRESH
    for at, paid in tries:
        memory = guards.remembered(limits, memory, paid, at)
    return memory


def passing(limits: Limits, times: Sequence[int], asked: int = 10) -> list[int]:
    """How much is given at each of these times."""
    memory, given = FRESH, []
    for at in times:
        judged = guards.judge(limits, memory, asked, at)
        memory = guards.remembered(limits, memory, judged.paid, at)
        given.append(judged.paid)
    return given


# -- single limits -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "tries", "now", "guard", "retry_at"),
    [
        ({"cooldown_ms": MINUTE}, [(NOON, 10)], NOON, "cooldown", NOON + MINUTE),
        ({"cooldown_ms": MINUTE}, [(NOON, 10)], NOON + MINUTE - 1, "cooldown", NOON + MINUTE),
        ({"cooldown_ms": MINUTE}, [(NOON, 10)], NOON + MINUTE, None, None),
        ({"cooldown_ms": MINUTE}, [(NOON, 0)], NOON + 1, None, None),  # what was refused does not count
        ({"min_step_ms": SECOND}, [(NOON, 10)], NOON + 400, "min_step", NOON + 400 + SECOND),
        ({"min_step_ms": SECOND}, [(NOON, 0)], NOON + 400, "min_step", NOON + 400 + SECOND),  # but as a step
        ({"min_step_ms": SECOND}, [(NOON, 10)], NOON + SECOND, None, None),
        ({"window": {"most": 2, "ms": MINUTE}}, [(NOON, 10)], NOON, None, None),
        ({"window": {"most": 2, "ms": MINUTE}}, [(NOON, 10), (NOON + 5, 10)], NOON + 9, "window", NOON + MINUTE),
        ({"window": {"most": 2, "ms": MINUTE}}, [(NOON, 10), (NOON + 5, 10)], NOON + MINUTE, None, None),
        ({"most_per_day": 1}, [(NOON, 10)], NOON, "most_per_day", 101 * DAY),
        ({"most_per_day": 1}, [(NOON, 10)], 101 * DAY, None, None),
        ({"amount_per_day": 15}, [(NOON, 10)], NOON, "amount_per_day", 101 * DAY),
        ({"amount_per_day": 20}, [(NOON, 10)], NOON, None, None),
        ({"amount_per_day": 9}, [], NOON, "amount_per_day", None),  # so much is never given
        ({"amount_per_day": 15}, [(NOON, 10)], 101 * DAY, None, None),
    ],
)  # fmt: skip
def test_limits(
    limits: dict[str, Any], tries: list[tuple[int, int]], now: int, guard: str | None, retry_at: int | None
) -> None:
    rule = Limits.model_validate(limits)
    judged = guards.judge(rule, remembering(rule, tries), 10, now)
    assert (judged.guard, judged.retry_at) == (guard, retry_at)
    assert (judged.outcome, judged.given) == (("refuse", 0) if guard else (None, 10))
    if guard:
        assert judged.evidence["now"] == now and judged.evidence["limits"] == [guard]


def test_of_several_limits_the_longest_is_named() -> None:
    rule = Limits(cooldown_ms=HOUR, window=Window(most=1, ms=MINUTE), most_per_day=5)
    judged = guards.judge(rule, remembering(rule, [(NOON, 10)]), 10, NOON + 1)
    assert (judged.guard, judged.retry_at) == ("cooldown", NOON + HOUR)
    assert judged.evidence["limits"] == ["cooldown", "window"]


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [("refuse", ("refuse", 0, 0)), ("reduce", ("reduce", 5, 5)), ("flag", ("flag", 10, 10)),
     ("quarantine", ("quarantine", 10, 0))],
)  # fmt: skip
def test_outcomes(outcome: guards.Outcome, expected: tuple[str, int, int]) -> None:
    rule = Limits(window=Window(most=1, ms=MINUTE), outcome=outcome)
    judged = guards.judge(rule, remembering(rule, [(NOON, 10)]), 10, NOON + 1)
    assert (judged.outcome, judged.given, judged.paid) == expected


def test_reducing_gives_what_the_day_has_left_and_refuses_nothing() -> None:
    rule = Limits(amount_per_day=25, outcome="reduce")
    assert passing(rule, [NOON + n for n in range(4)]) == [10, 10, 5, 0]
    last = guards.judge(rule, remembering(rule, [(NOON, 25)]), 10, NOON)
    assert (last.outcome, last.retry_at) == ("refuse", 101 * DAY)
    both = Limits(cooldown_ms=MINUTE, amount_per_day=13, outcome="reduce")
    assert passing(both, [NOON, NOON + 1, NOON + 2]) == [10, 3, 0]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Diminishing(after=2, factor=0.5), [100, 100, 50, 25, 13, 6, 3, 2, 1, 0, 0]),
        (Diminishing(after=0, factor=0.5, floor=0.2), [50, 25, 20, 20]),
        (Diminishing(after=1, factor=0.9), [100, 90, 81, 73]),
    ],
)
def test_returns_diminish_by_the_day(rule: Diminishing, expected: list[int]) -> None:
    limits = Limits(diminishing=rule)
    times = [NOON + n for n in range(len(expected))]
    assert passing(limits, [*times, 101 * DAY], 100) == [*expected, expected[0]]
    third = guards.judge(limits, remembering(limits, [(NOON, 1)] * (rule.after + 1)), 100, NOON)
    assert (third.outcome, third.guard, third.evidence["today"]) == ("reduce", "diminishing", rule.after + 1)


def test_limits_see_what_is_left_after_diminishing() -> None:
    rule = Limits(diminishing=Diminishing(after=1, factor=0.5), amount_per_day=160)
    assert passing(rule, [NOON + n for n in range(4)], 100) == [100, 50, 0, 0]


def test_real_time_counts_on_its_own_clock() -> None:
    rule = Limits(window=Window(most=1, ms=MINUTE), clock="real")
    standing = Moment(NOON, 1_700_000_000_000, None)
    first = guards.weigh(rule, NO_GUARDS, FRESH, NO_HABIT, NO_SIZES, 10, standing)
    second = guards.weigh(rule, NO_GUARDS, first.memory, NO_HABIT, NO_SIZES, 10, standing)
    assert second.judgement.retry_at == 1_700_000_060_000
    facts = second.judgement.refused(standing).facts
    assert (facts["clock"], facts["retry_after_seconds"]) == ("real", 60)
    later = Moment(NOON, 1_700_000_060_000, None)
    assert guards.weigh(rule, NO_GUARDS, second.memory, NO_HABIT, NO_SIZES, 10, later).judgement.paid == 10


@pytest.mark.parametrize(("rate", "seconds"), [(1.0, 60), (60.0, 1), (None, None), (7.0, 9)])
def test_a_refusal_says_when_in_real_seconds(rate: float | None, seconds: int | None) -> None:
    judged = Judgement(10, 0, "refuse", "window", {"secret": 1}, NOON + MINUTE)
    refused = judged.refused(Moment(NOON, 5, rate))
    assert refused.code == "award_limited"
    facts = {"guard": "window", "retry_at": NOON + MINUTE, "clock": "world"}
    assert refused.facts == facts | ({"retry_after_seconds": seconds} if seconds else {})
    assert "secret" not in str(refused)
    never = Judgement(10, 0, "refuse", "amount_per_day", {}, None).refused(Moment(NOON, 5, rate))
    assert "with less" in never.detail and never.facts["retry_at"] is None


def test_a_rule_that_changes_its_clock_forgets_times_of_the_other() -> None:
    real, world = Limits(cooldown_ms=HOUR, min_step_ms=SECOND, clock="real"), Limits(cooldown_ms=HOUR)
    memory = remembering(real, [(1_700_000_000_000, 10)])
    assert guards.judge(world, memory, 10, NOON).outcome is None
    assert guards.remembered(world, memory, 10, NOON) == ActionMemory((NOON,), None, 100, 1, 10)


def test_commits_may_overtake_the_clock_a_little() -> None:
    rule = Limits(window=Window(most=2, ms=MINUTE), most_per_day=3)
    memory = remembering(rule, [(101 * DAY + 5, 10), (101 * DAY - 5, 10)])
    assert memory == ActionMemory((101 * DAY - 5, 101 * DAY + 5), None, 101, 2, 20)
    judged = guards.judge(rule, memory, 10, 101 * DAY - 1)
    assert (judged.guard, judged.retry_at) == ("window", 101 * DAY - 5 + MINUTE)


def test_memories_stay_small() -> None:
    rule = Limits(window=Window(most=3, ms=HOUR))
    assert remembering(rule, [(NOON + n, 1) for n in range(50)]).times == (NOON + 47, NOON + 48, NOON + 49)
    assert remembering(Limits(most_per_day=5), [(NOON, 1)]) == ActionMemory((), None, 100, 1, 1)
    assert remembering(Limits(cooldown_ms=5), [(NOON, 1), (NOON + 9, 1)]).times == (NOON + 9,)


@pytest.mark.parametrize(
    "fields",
    [{}, {"outcome": "flag"}, {"cooldown_ms": 0}, {"window": {"most": 0, "ms": 1}}, {"most_per_day": 0},
     {"window": {"most": 1_001, "ms": 1}}, {"diminishing": {"after": 0, "factor": 1}}, {"cooldown": 5},
     {"cooldown_ms": 1, "outcome": "scold"}],
)  # fmt: skip
def test_what_no_limits_are(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Limits.model_validate(fields)


# -- what always holds ---------------------------------------------------------------------------------------

spans = st.integers(1, 50)
limit_sets = st.builds(
    Limits, cooldown_ms=st.none() | spans, min_step_ms=st.none() | spans,
    window=st.none() | st.builds(Window, most=st.integers(1, 5), ms=spans),
    most_per_day=st.none() | st.integers(1, 8), amount_per_day=st.integers(10, 100),
    outcome=st.sampled_from(("refuse", "reduce", "flag", "quarantine")),
)  # fmt: skip
moments = st.lists(st.integers(0, 12), max_size=25).map(
    lambda steps: [NOON + sum(steps[: n + 1]) for n in range(len(steps))]
)


@settings(max_examples=150)
@given(limit_sets.map(lambda rule: rule.model_copy(update={"outcome": "refuse"})), moments)
def test_what_is_given_keeps_every_limit(rule: Limits, times: list[int]) -> None:
    paid = passing(rule, times)
    given_at = [at for at, amount in zip(times, paid, strict=True) if amount]
    assert sum(paid) <= (rule.amount_per_day or 0)
    assert rule.most_per_day is None or len(given_at) <= rule.most_per_day
    if rule.cooldown_ms:
        assert all(b - a >= rule.cooldown_ms for a, b in pairwise(given_at))
    if rule.window:
        assert all(
            sum(1 for at in given_at if start <= at < start + rule.window.ms) <= rule.window.most
            for start in given_at
        )


@settings(max_examples=150)
@given(limit_sets, moments)
def test_it_passes_when_it_was_told_to_try_again(rule: Limits, times: list[int]) -> None:
    memory = FRESH
    for at in times:
        judged = guards.judge(rule, memory, 10, at)
        memory = guards.remembered(rule, memory, judged.paid, at)
        if judged.outcome == "refuse":
            assert judged.retry_at is not None and judged.retry_at > at
            assert guards.judge(rule, memory, 10, judged.retry_at).given


@given(st.lists(st.integers(1, 10**9), min_size=2, max_size=40))
def test_running_sums_are_those_of_all(amounts: list[int]) -> None:
    sizes = NO_SIZES
    for amount in amounts:
        sizes = sizes.plus(amount)
    assert sizes.awards == len(amounts)
    assert sizes.mean == pytest.approx(mean(amounts))
    assert sizes.spread / (len(amounts) - 1) == pytest.approx(variance(amounts), rel=1e-6, abs=1e-3)


# -- across actions ------------------------------------------------------------------------------------------


def test_bursts() -> None:
    guard = Burst(most=2, ms=MINUTE, outcome="refuse")
    assert guards.burst(guard, (NOON,), 10, NOON + 1).outcome is None
    judged = guards.burst(guard, (NOON, NOON + 1), 10, NOON + 2)
    assert (judged.guard, judged.given, judged.retry_at) == ("burst", 0, NOON + MINUTE)
    assert guards.burst(guard, (NOON, NOON + 1), 10, NOON + MINUTE).outcome is None
    reducing = guard.model_copy(update={"outcome": "reduce", "reduced": 0.0})
    assert guards.burst(reducing, (NOON, NOON + 1), 10, NOON + 2).outcome == "refuse"


@pytest.mark.parametrize(
    ("own", "everyone", "asked", "whose"),
    [
        (WIDE, WIDE, 18, []),
        (WIDE, WIDE, 19, ["own", "world"]),
        (WIDE, NO_SIZES, 19, ["own"]),
        (NO_SIZES, WIDE, 19, ["world"]),
        (Distribution(29, 10, 0), WIDE, 15, []),  # too few to tell
        (WIDE, WIDE, 1, []),  # small ones are no abuse
        (Distribution(50, 10, 0), NO_SIZES, 14, []),  # all alike: taken as one point wide
        (Distribution(50, 10, 0), NO_SIZES, 15, ["own"]),
        (Distribution(50, 1000, 0), NO_SIZES, 1400, []),  # or a tenth of the mean
        (Distribution(50, 1000, 0), NO_SIZES, 1401, ["own"]),
    ],
)
def test_outliers(own: Distribution, everyone: Distribution, asked: int, whose: list[str]) -> None:
    judged = guards.outlier(Outlier(outcome="quarantine"), own, everyone, asked)
    assert [name for name in ("own", "world") if name in judged.evidence] == whose
    assert judged.outcome == ("quarantine" if whose else None)
    assert judged.paid == (0 if whose else asked)


def test_outliers_are_cut_down_to_the_bound() -> None:
    judged = guards.outlier(Outlier(outcome="reduce"), WIDE, Distribution(100, 8, 99), 40)
    assert (judged.given, judged.evidence["bound"]) == (12, 12)
    assert judged.evidence["own"] == {"awards": 100, "mean": 10, "deviation": 2, "score": 15}
    assert guards.outlier(Outlier(outcome="refuse"), WIDE, WIDE, 40).retry_at is None


def test_days_are_those_of_the_worlds_calendar_or_of_utc() -> None:
    calendar = Calendar(hours_per_day=10, start_hour=6)
    world, real = Limits(most_per_day=1), Limits(most_per_day=1, clock="real")
    moment = Moment(3 * HOUR, 20 * HOUR, 1.0, calendar)
    for limits, tomorrow in ((world, 4 * HOUR), (real, 24 * HOUR)):
        memory = guards.weigh(limits, guards.NO_GUARDS, FRESH, NO_HABIT, NO_SIZES, 10, moment).memory
        again = guards.weigh(limits, guards.NO_GUARDS, memory, NO_HABIT, NO_SIZES, 10, moment).judgement
        assert (again.outcome, again.retry_at) == ("refuse", tomorrow)


@given(st.lists(st.integers(1, 10**6), min_size=2, max_size=30))
def test_what_is_taken_out_of_a_distribution_was_never_in_it(amounts: list[int]) -> None:
    without = NO_SIZES
    for amount in amounts[:-1]:
        without = without.plus(amount)
    again = without.plus(amounts[-1]).minus(amounts[-1])
    assert again.awards == without.awards
    assert (again.mean, again.deviation) == pytest.approx((without.mean, without.deviation), rel=1e-3, abs=1)


def test_all_checks_together() -> None:
    rule = Limits(cooldown_ms=MINUTE, outcome="reduce")
    world = WorldGuards(burst=Burst(most=1, ms=MINUTE, outcome="flag"), outlier=Outlier(outcome="quarantine"))
    moment = Moment(NOON, 0)
    calm = guards.weigh(rule, world, FRESH, NO_HABIT, NO_SIZES, 10, moment)
    assert (calm.judgement, calm.memory.times) == (Judgement(10, 10), (NOON,))
    assert calm.habit == Habit((NOON,), Distribution(1, 10.0, 0.0)) and calm.sizes == calm.habit.sizes
    again = guards.weigh(rule, world, calm.memory, calm.habit, calm.sizes, 10, moment)
    assert (again.judgement.outcome, again.judgement.guard, again.judgement.paid) == ("flag", "burst", 5)
    assert [also["guard"] for also in again.judgement.evidence["also"]] == ["cooldown"]
    assert again.sizes.awards == 2 and again.memory.day_amount == 15
    held = guards.weigh(rule, world, again.memory, again.habit, WIDE, 100, moment)
    assert (held.judgement.outcome, held.judgement.asked, held.judgement.given) == ("quarantine", 100, 50)
    assert (held.habit, held.sizes, held.memory) == (again.habit, WIDE, again.memory)


def test_of_two_refusals_the_later_one_is_told() -> None:
    rule = Limits(cooldown_ms=MINUTE)
    world = WorldGuards(burst=Burst(most=1, ms=HOUR, outcome="refuse"))
    habit = Habit((NOON,))
    judged = guards.weigh(
        rule, world, ActionMemory((NOON,)), habit, NO_SIZES, 10, Moment(NOON + 1, 0)
    ).judgement
    assert (judged.guard, judged.retry_at, judged.paid) == ("burst", NOON + HOUR, 0)


# -- gift circles --------------------------------------------------------------------------------------------

A, B, C, D = (UUID(int=n) for n in range(1, 5))


def gift(giver: UUID, taker: UUID, at: int = NOON) -> Gift:
    return Gift(giver, taker, 5, at, UUID(int=at))


@pytest.mark.parametrize(
    ("gifts", "steps", "way"),
    [
        ([], 4, None),
        ([gift(A, B)], 4, None),
        ([gift(B, C)], 4, None),
        ([gift(B, A)], 2, [(B, A)]),
        ([gift(B, C), gift(C, A)], 4, [(B, C), (C, A)]),
        ([gift(B, C), gift(C, A)], 2, None),  # a longer circle than is looked for
        ([gift(B, C), gift(C, D), gift(D, A), gift(C, A)], 4, [(B, C), (C, A)]),  # the shortest
        ([gift(C, B), gift(B, C), gift(C, D)], 6, None),  # circles of others
    ],
)
def test_circles(gifts: list[Gift], steps: int, way: list[tuple[UUID, UUID]] | None) -> None:
    found = guards.circle(GiftCircle(most_steps=steps), A, B, gifts)
    assert (found and [(g.from_id, g.to_id) for g in found]) == way


def test_a_circle_opens_when_its_oldest_gift_is_too_old() -> None:
    guard = GiftCircle(ms=HOUR, outcome="refuse")
    gifts = [gift(B, A, NOON), gift(B, C, NOON + 9), gift(C, A, NOON + 5)]
    judged = guards.closing(guard, A, B, 7, gifts, NOON + 20)
    assert (judged.outcome, judged.given, judged.retry_at) == ("refuse", 0, NOON + 5 + HOUR)
    assert judged.evidence["way"] == [
        {"from_id": str(B), "to_id": str(A), "amount": 5, "at": NOON, "transfer_id": str(UUID(int=NOON))}
    ]
    assert guards.closing(guard, A, B, 7, gifts, NOON + 5 + HOUR - 1).outcome == "refuse"
    assert guards.closing(guard, A, B, 7, gifts, NOON + 5 + HOUR).outcome is None
    flagged = guards.closing(GiftCircle(ms=HOUR), A, B, 7, gifts, NOON + 20)
    assert (flagged.outcome, flagged.paid) == ("flag", 7)
