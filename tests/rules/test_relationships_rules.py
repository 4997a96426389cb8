"""Rules of relationships: ranges, drift, what experiences do, labels, compatibility."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fablewright.core.clock import DAY
from fablewright.systems.characters.rules import Traits
from fablewright.systems.relationships import rules
from fablewright.systems.relationships.rules import Habit, Reason, TieState

numbers = st.floats(allow_nan=False, allow_infinity=False)
weights = st.floats(min_value=1e-6, max_value=1e12)
strengths = st.floats(-1, 1)
shares = st.floats(0, 1)
times = st.integers(-(2**52), 2**52)
spans = st.integers(0, 400 * DAY)
kinds = st.sampled_from(["chat", "gift", "conflict", "praise"])
reasons = st.builds(
    Reason, times, st.sampled_from(["helped", "insulted me", "chatted"]), st.floats(-2, 2), strengths
)
habits = st.dictionaries(kinds, st.builds(Habit, times, st.floats(0, 100)))
ties = st.builds(
    TieState, strengths, shares, st.just(0), st.none(), shares, strengths, shares, times,
    st.lists(st.sampled_from(["kin", *rules.AUTOMATIC_LABELS]), unique=True).map(tuple),
    st.lists(reasons, max_size=8).map(tuple), habits,
)  # fmt: skip
traits = st.builds(Traits, shares, shares, shares, shares, shares)


@pytest.mark.parametrize(
    ("value", "low", "high", "expected"), [(0.3, -1, 1, 0.3), (-2, -1, 1, -1), (2, -1, 1, 1), (1, 0, 1, 1)]
)
def test_clamp(value: float, low: float, high: float, expected: float) -> None:
    assert rules.clamp(value, low, high) == expected


@given(numbers)
def test_clamp_stays_within(value: float) -> None:
    assert -1.0 <= rules.clamp(value, -1.0, 1.0) <= 1.0


@pytest.mark.parametrize(
    ("weight", "heaviest", "expected"), [(31, 31, 1.0), (1, 31, 0.2), (3, 31, 0.4), (7, 31, 0.6)]
)
def test_each_doubling_adds_the_same(weight: float, heaviest: float, expected: float) -> None:
    assert rules.strength_of_weight(weight, heaviest) == pytest.approx(expected)


@given(weights, weights)
def test_strength_of_weight_is_positive_and_grows_with_weight(one: float, other: float) -> None:
    light, heavy = sorted((one, other))
    assert 0.0 < rules.strength_of_weight(light, heavy) <= rules.strength_of_weight(heavy, heavy) == 1.0


# -- drift ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "strength", "trust", "familiarity"),
    [
        (0, 0.8, 1.0, 1.0),
        (14, 0.5, 0.5 + 0.5 * 2 ** (-14 / 21), 2 ** (-14 / 120)),
        (21, 0.2 + 0.6 * 2**-1.5, 0.75, 2 ** (-21 / 120)),
        (28, 0.35, 0.5 + 0.5 * 2 ** (-28 / 21), 2 ** (-28 / 120)),
        (120, 0.2 + 0.6 * 2 ** (-120 / 14), 0.5 + 0.5 * 2 ** (-120 / 21), 0.5),
        (1_000_000, 0.2, 0.5, 0.0),
    ],
)
def test_a_tie_drifts(days: int, strength: float, trust: float, familiarity: float) -> None:
    tie = TieState(
        0.8, 1.0, 3, 5, 1.0, 0.2, 0.5, 1000, ("kin",), (Reason(1, "x", 0.1),), {"chat": Habit(0, 1)}
    )
    later = tie.now(1000 + days * DAY)
    assert (later.strength, later.trust, later.familiarity) == pytest.approx((strength, trust, familiarity))
    kept = (
        "interaction_count",
        "last_interaction_at",
        "resting_strength",
        "resting_trust",
        "labels",
        "reasons",
    )
    assert all(getattr(later, name) == getattr(tie, name) for name in (*kept, "habits"))


def test_nothing_drifts_backwards_in_time() -> None:
    tie = TieState(0.8, 1.0, felt_at=1000)
    assert tie.now(999) is tie


@given(ties, spans, spans)
def test_drift_comes_nearer_to_the_resting_point_and_never_passes_it(
    tie: TieState, one: int, more: int
) -> None:
    sooner, later = tie.now(tie.felt_at + one), tie.now(tie.felt_at + one + more)
    for value, rest in (
        ("strength", tie.resting_strength),
        ("trust", tie.resting_trust),
        ("familiarity", 0.0),
    ):
        start, a, b = getattr(tie, value), getattr(sooner, value), getattr(later, value)
        assert abs(b - rest) <= abs(a - rest) + 1e-12 <= abs(start - rest) + 2e-12
        assert min(start, rest) - 1e-12 <= b <= max(start, rest) + 1e-12


@given(ties)
def test_what_was_just_felt_is_exactly_so(tie: TieState) -> None:
    assert rules.drifted(tie.strength, tie.resting_strength, tie.felt_at, tie.felt_at, DAY) == tie.strength


@given(ties, spans, spans)
def test_drift_in_two_steps_is_drift_in_one(tie: TieState, one: int, more: int) -> None:
    once = tie.now(tie.felt_at + one + more)
    twice = tie.now(tie.felt_at + one).now(tie.felt_at + one + more)
    assert (once.strength, once.trust, once.familiarity) == pytest.approx(
        (twice.strength, twice.trust, twice.familiarity), abs=1e-9
    )


# -- what experiences do -------------------------------------------------------------------------------------


def test_a_change_and_what_stays_of_it() -> None:
    event = UUID(int=7)
    before = TieState(0.0, 0.5, 2, 10, 0.5, 0.0, 0.5, 1000)
    after = rules.moved_by(
        before, 2000, strength=0.12, trust=0.1, familiarity=0.1, meets=True, kind="chat",
        reason=Reason(2000, "helped at the mill", event_id=event),
    )  # fmt: skip
    assert after.strength == pytest.approx(0.12) and after.trust == pytest.approx(0.55)
    assert after.familiarity == pytest.approx(0.55)
    assert after.resting_strength == pytest.approx(0.03) and after.resting_trust == pytest.approx(0.5125)
    assert (after.interaction_count, after.last_interaction_at, after.felt_at) == (3, 2000, 2000)
    (reason,) = after.reasons
    assert (reason.why, reason.event_id) == ("helped at the mill", event)
    assert (reason.strength, reason.trust) == pytest.approx((0.12, 0.05))
    assert after.habits == {"chat": Habit(2000, 1.0)}


def test_hearsay_is_no_meeting() -> None:
    after = rules.moved_by(TieState(felt_at=5), 9, strength=-0.1, reason=Reason(9, "heard of a theft"))
    assert (after.interaction_count, after.last_interaction_at, after.habits) == (0, None, {})


def test_the_clock_of_another_commit_may_be_ahead() -> None:
    before = TieState(0.5, 0.5, 1, 900, 0.5, 0.5, 0.5, 1000)
    after = rules.moved_by(before, 950, strength=0.1, meets=True)
    assert (after.felt_at, after.last_interaction_at, after.interaction_count) == (1000, 1000, 2)


def test_returns_diminish_near_the_ends_only() -> None:
    assert rules.moved(-0.9, 0.2, -1.0) == pytest.approx(-0.7)
    assert rules.moved(0.9, 0.2, -1.0) == pytest.approx(0.92)
    assert rules.moved(-0.9, -0.2, -1.0) == pytest.approx(-0.92)
    assert rules.moved(0.1, -0.2, 0.0) == pytest.approx(0.08)


@given(
    ties, st.lists(st.tuples(spans, numbers, numbers, st.floats(0, 1e9), st.booleans(), kinds), max_size=12)
)
def test_no_experience_leaves_the_ranges(tie: TieState, lived: list[Any]) -> None:
    now = tie.felt_at
    for span, strength, trust, familiarity, meets, kind in lived:
        now += span
        count = tie.interaction_count
        tie = rules.moved_by(
            tie, now, strength=strength, trust=trust, familiarity=familiarity, kind=kind, meets=meets,
            reason=Reason(now, kind),
        )  # fmt: skip
        assert -1.0 <= tie.strength <= 1.0 and -1.0 <= tie.resting_strength <= 1.0
        assert 0.0 <= tie.trust <= 1.0 and 0.0 <= tie.resting_trust <= 1.0
        assert 0.0 <= tie.familiarity <= 1.0
        assert tie.interaction_count == count + meets and tie.felt_at == now
        assert (tie.interaction_count == 0) == (tie.last_interaction_at is None)
        assert len(tie.reasons) <= rules.MOST_REASONS and len(tie.habits) <= rules.MOST_HABITS
        assert all(abs(r.strength) <= 2 and abs(r.trust) <= 1 for r in tie.reasons)
        assert 0.0 < rules.worn(tie, kind, now) <= 1.0 and 0.25 <= rules.forgiveness(tie) <= 2.0


@given(ties, st.floats(0, 1), st.floats(0, 1))
def test_kindness_never_lowers_and_harm_never_raises(tie: TieState, strength: float, trust: float) -> None:
    better = rules.moved_by(tie, tie.felt_at, strength=strength, trust=trust)
    worse = rules.moved_by(tie, tie.felt_at, strength=-strength, trust=-trust)
    assert worse.strength <= tie.strength <= better.strength
    assert worse.trust <= tie.trust <= better.trust
    assert worse.resting_strength <= tie.resting_strength <= better.resting_strength


# -- reasons -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("strength", "trust", "text"),
    [
        (0.12, 0.05, "+0.12 helped at the mill"),
        (-0.3, -0.1, "−0.30 helped at the mill"),
        (0.01, 0.2, "+0.20 trust helped at the mill"),
        (0.0, -0.2, "−0.20 trust helped at the mill"),
    ],
)
def test_reasons_in_words(strength: float, trust: float, text: str) -> None:
    assert Reason(0, "helped at the mill", strength, trust).text() == text


def test_small_reasons_are_left_out_and_the_same_within_a_day_are_one() -> None:
    assert rules.with_reason((), Reason(0, "nodded", 0.004, -0.004)) == ()
    first = Reason(0, "chatted", 0.1, 0.0, UUID(int=1))
    other = Reason(5, "lied", -0.2)
    again = Reason(DAY - 1, "chatted", 0.05, 0.01, UUID(int=2))
    lied, chatted = rules.with_reason((first, other), again)
    assert lied is other and (chatted.at, chatted.event_id) == (DAY - 1, UUID(int=2))
    assert (chatted.strength, chatted.trust) == pytest.approx((0.15, 0.01))
    assert len(rules.with_reason((first,), replace(again, at=DAY))) == 2
    assert rules.with_reason((first,), Reason(1, "chatted", -0.099)) == ()


def test_the_weightiest_reasons_stay() -> None:
    insult = Reason(0, "insulted me before the council", -0.5)
    told = (insult, *(Reason(n, f"chat {n}", 0.02 + n / 1000) for n in range(1, 8)))
    for n in range(8, 20):
        told = rules.with_reason(told, Reason(n, f"chat {n}", 0.02 + n / 1000))
    assert len(told) == rules.MOST_REASONS and told[0] is insult
    assert [r.at for r in told] == sorted(r.at for r in told)


# -- habits and forgiveness ----------------------------------------------------------------------------------


def test_repetition_wears_off_and_recovers() -> None:
    tie = TieState()
    left = []
    for _ in range(4):
        left.append(rules.worn(tie, "praise", 0))
        tie = rules.moved_by(tie, 0, strength=0.1, kind="praise")
    assert left == pytest.approx([1.0, 2 / 3, 0.5, 0.4])
    assert rules.worn(tie, "gift", 0) == 1.0
    assert rules.worn(tie, "praise", DAY) == pytest.approx(0.5)
    assert rules.worn(tie, "praise", 40 * DAY) == pytest.approx(1.0)


@given(ties, kinds, spans, spans)
def test_what_repetition_leaves_only_grows_with_time(tie: TieState, kind: str, one: int, more: int) -> None:
    now = max([tie.felt_at, *(h.at for h in tie.habits.values())])
    assert 0 < rules.worn(tie, kind, now + one) <= rules.worn(tie, kind, now + one + more) <= 1


def test_old_and_too_many_habits_are_forgotten() -> None:
    old = {"chat": Habit(0, 1.0), "gift": Habit(9 * DAY, 1.0)}
    assert set(rules.heated(old, "tease", 10 * DAY)) == {"gift", "tease"}
    many = {f"k{n:02}": Habit(0, 1.0 + n) for n in range(rules.MOST_HABITS)}
    warm = rules.heated(many, "new", 0)
    assert len(warm) == rules.MOST_HABITS and "k00" not in warm and "new" in warm


def test_friends_forgive_a_quarrel_and_nobody_forgives_the_tenth() -> None:
    assert rules.forgiveness(TieState()) == pytest.approx(1.0)
    friends = TieState(-0.2, 0.6, familiarity=0.8, resting_strength=0.6)
    assert rules.forgiveness(friends) > 1.5
    harms = tuple(Reason(n, f"insult {n}", -0.2) for n in range(8))
    assert rules.forgiveness(replace(friends, reasons=harms[:1])) == rules.forgiveness(friends)
    assert rules.forgiveness(replace(friends, reasons=harms)) < 1.0
    assert rules.forgiveness(TieState(-0.9, 0.1, resting_strength=-0.9, reasons=harms)) == 0.25


# -- labels --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("had", "strength", "trust", "familiarity", "expected"),
    [
        ((), 0.44, 0.9, 0.9, ("confidant",)),
        ((), 0.45, 0.5, 0.14, ()),
        ((), 0.45, 0.5, 0.15, ("friend",)),
        ((), 0.45, 0.39, 0.5, ()),
        (("friend",), 0.3, 0.3, 0.0, ("friend",)),
        (("friend",), 0.29, 0.5, 0.5, ()),
        ((), 0.75, 0.65, 0.4, ("friend", "close_friend")),
        (("friend", "close_friend"), 0.6, 0.5, 0.1, ("friend", "close_friend")),
        (("friend", "close_friend"), 0.59, 0.5, 0.1, ("friend",)),
        ((), -0.29, 0.5, 0.0, ()),
        ((), -0.3, 0.5, 0.0, ("rival",)),
        (("rival",), -0.15, 0.5, 0.0, ("rival",)),
        (("rival",), -0.14, 0.5, 0.0, ()),
        ((), -0.65, 0.0, 0.0, ("rival", "enemy")),
        (("enemy",), -0.45, 0.0, 0.0, ("rival", "enemy")),
        (("enemy", "rival"), -0.44, 0.0, 0.0, ("rival",)),
        (("mentor", "enemy", "kin"), 0.9, 0.9, 0.9, ("mentor", "kin", "friend", "close_friend", "confidant")),
        (("kin", "kin"), 0.0, 0.5, 0.0, ("kin",)),
    ],
)
def test_labels(
    had: tuple[str, ...], strength: float, trust: float, familiarity: float, expected: tuple[str, ...]
) -> None:
    assert rules.labelled(had, strength, trust, familiarity) == expected


@given(ties)
def test_labels_are_settled_at_once(tie: TieState) -> None:
    values = (tie.strength, tie.trust, tie.familiarity)
    once = rules.labelled(tie.labels, *values)
    assert rules.labelled(once, *values) == once
    assert not {"friend", "rival"} <= set(once) and ("kin" in once) == ("kin" in tie.labels)


def test_labels_follow_what_happens() -> None:
    tie = TieState(0.4, 0.5, familiarity=0.3, resting_strength=0.4, labels=("kin",))
    friend = rules.moved_by(tie, 0, strength=0.2)
    assert friend.labels == ("kin", "friend")
    assert rules.moved_by(friend, 0, strength=-0.1).labels == ("kin", "friend")
    assert rules.moved_by(friend, 0, strength=-1.5).labels[:1] == ("kin",)
    assert "friend" not in rules.moved_by(friend, 0, strength=-0.6).labels


# -- compatibility -------------------------------------------------------------------------------------------


def test_compatibility_of_likes_and_opposites() -> None:
    kind = Traits(0.7, 0.6, 0.5, 1.0, 0.0)
    assert rules.compatibility(kind, kind).score == pytest.approx(1.0)
    mean, neat = Traits(0.0, 0.0, 1.0, 0.0, 1.0), Traits(1.0, 1.0, 1.0, 0.0, 1.0)
    assert rules.compatibility(mean, neat).score == pytest.approx(-1.0)
    leads, follows = replace(kind, extraversion=0.9), replace(kind, extraversion=0.1)
    assert rules.compatibility(leads, follows).score > rules.compatibility(leads, leads).score


@given(traits, traits)
def test_compatibility_is_symmetric_and_the_sum_of_its_parts(a: Traits, b: Traits) -> None:
    found = rules.compatibility(a, b)
    assert found == rules.compatibility(b, a)
    assert -1.0 <= found.score <= 1.0
    assert found.score == pytest.approx(sum(value for _, value in found.parts))
    assert all(abs(value) <= 0.25 for _, value in found.parts)
    assert len({name for name, _ in found.parts}) == 5
