"""Rules of dialogue: who may interact, and what it does to energy, strength and trust."""

from dataclasses import replace
from typing import get_args
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fablewright.core.clock import HOUR
from fablewright.core.dice import Dice
from fablewright.core.refusal import Refused
from fablewright.systems.dialogue import rules
from fablewright.systems.dialogue.rules import EFFECTS, Feeling, InteractionType, Person
from fablewright.systems.dialogue.service import answers

A, B = UUID(int=1), UUID(int=2)
ANNA = Person(A, "Anna", True, False, 1.0, 0.5, 0.5, 0.5)
BERT = replace(ANNA, id=B, name="Bert")
NEUTRAL = Feeling(0.0, 0.5, 0, None)
TYPES: tuple[InteractionType, ...] = get_args(InteractionType)

shares = st.floats(0, 1)
people = st.builds(
    Person, st.just(A), st.just("A"), st.just(True), st.booleans(), shares, shares, shares, shares
)
feelings = st.builds(
    Feeling, st.floats(-1, 1), shares, st.integers(0, 1000), st.none() | st.integers(-HOUR, HOUR)
)


@pytest.mark.parametrize(
    ("initiator", "target", "ids", "code"),
    [
        (ANNA, ANNA, (A, A), "same_character"),
        (None, None, (A, A), "same_character"),
        (None, BERT, (A, B), "character_not_found"),
        (ANNA, None, (A, B), "character_not_found"),
        (replace(ANNA, active=False), BERT, (A, B), "not_present"),
        (ANNA, replace(BERT, active=False), (A, B), "not_present"),
        (replace(ANNA, energy=0.029), BERT, (A, B), "too_tired"),
    ],
)
def test_refusals(initiator: Person | None, target: Person | None, ids: tuple[UUID, UUID], code: str) -> None:
    with pytest.raises(Refused) as refused:
        rules.check("collaboration", initiator, target, ids)
    assert refused.value.code == code


@pytest.mark.parametrize("kind", TYPES)
def test_just_enough_energy_will_do_and_the_other_may_be_exhausted(kind: InteractionType) -> None:
    rules.check(kind, replace(ANNA, energy=EFFECTS[kind].energy), replace(BERT, energy=0.0), (A, B))


@pytest.mark.parametrize(
    ("kind", "direction"), [("greeting", 1), ("chat", 1), ("collaboration", 1), ("conflict", -1)]
)
def test_both_feelings_move_the_way_of_the_type(kind: InteractionType, direction: int) -> None:
    outcome = rules.interact(kind, ANNA, BERT, (NEUTRAL, NEUTRAL), 5, dice=Dice(1), answers=answers())
    for tie in (outcome.initiator_tie, outcome.target_tie):
        assert tie.strength * direction > 0
        assert (tie.trust - 0.5) * direction > 0
        assert (tie.interaction_count, tie.last_interaction_at) == (1, 5)
    cost = EFFECTS[kind].energy
    assert outcome.initiator_energy == pytest.approx(1 - cost)
    assert outcome.target_energy == pytest.approx(1 - 0.4 * cost)
    assert outcome.answer


@pytest.mark.parametrize(
    ("name", "weaker", "stronger", "kind"),
    [
        ("agreeable warm to kindness", {"agreeableness": 0.1}, {"agreeableness": 0.9}, "chat"),
        ("neurotic take harm", {"neuroticism": 0.1}, {"neuroticism": 0.9}, "conflict"),
        ("agreeable forgive", {"agreeableness": 0.9}, {"agreeableness": 0.1}, "conflict"),
    ],
)
def test_personality(
    name: str, weaker: dict[str, float], stronger: dict[str, float], kind: InteractionType
) -> None:
    less = rules.felt(kind, replace(ANNA, **weaker), NEUTRAL, 0, 1.0)  # type: ignore[arg-type]
    more = rules.felt(kind, replace(ANNA, **stronger), NEUTRAL, 0, 1.0)  # type: ignore[arg-type]
    assert abs(more.strength) > abs(less.strength), name


@pytest.mark.parametrize(
    ("last", "now", "expected"),
    [(None, 0, 1.0), (0, 0, 0.25), (0, HOUR // 2, 0.625), (0, HOUR, 1.0), (9, 0, 0.25)],
)
def test_novelty(last: int | None, now: int, expected: float) -> None:
    assert rules.novelty(last, now) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("strength", "agreeableness", "expected"),
    [(0.8, 0.5, "warm"), (0.0, 0.5, "plain"), (-0.8, 0.5, "cold"), (0.0, 1.0, "warm"), (-0.1, 0.0, "cold")],
)
def test_tone(strength: float, agreeableness: float, expected: str) -> None:
    assert (
        rules.tone(replace(BERT, agreeableness=agreeableness), replace(NEUTRAL, strength=strength), 0.0)
        == expected
    )


def test_the_server_puts_no_words_into_the_mouth_of_a_user() -> None:
    outcome = rules.interact(
        "chat", ANNA, replace(BERT, played=True), (NEUTRAL, NEUTRAL), 0, dice=Dice(1), answers=answers()
    )
    assert outcome.answer is None


def test_every_line_can_be_said() -> None:
    assert set(answers()) == {*TYPES, "aside"}
    for tones in answers().values():
        assert set(tones) == {"warm", "plain", "cold"}
        assert all(len(lines) >= 3 for lines in tones.values())


@given(
    st.sampled_from(TYPES), people, people, feelings, feelings, st.integers(-HOUR, 2 * HOUR), st.integers()
)
def test_ranges_hold_and_changes_are_bounded(
    kind: InteractionType, one: Person, other: Person, there: Feeling, back: Feeling, now: int, seed: int
) -> None:
    outcome = rules.interact(kind, one, other, (there, back), now, dice=Dice(seed), answers=answers())
    assert 0.0 <= outcome.initiator_energy <= one.energy
    assert 0.0 <= outcome.target_energy <= other.energy
    for before, after in ((there, outcome.initiator_tie), (back, outcome.target_tie)):
        assert -1.0 <= after.strength <= 1.0
        assert 0.0 <= after.trust <= 1.0
        assert abs(after.strength - before.strength) <= rules.MOST_CHANGE + 1e-12
        assert abs(after.trust - before.trust) <= rules.MOST_CHANGE + 1e-12
        assert after.interaction_count == before.interaction_count + 1
        assert after.last_interaction_at is not None and after.last_interaction_at >= now


@given(st.floats(0, 0.98), st.floats(0, 1))
def test_returns_diminish(strength: float, share: float) -> None:
    nearer = strength + (1 - strength) * share
    assert rules.moved(nearer, 0.05, -1.0) - nearer <= rules.moved(strength, 0.05, -1.0) - strength + 1e-12


@given(people, people, st.integers())
def test_the_same_dice_give_the_same_outcome(one: Person, other: Person, seed: int) -> None:
    first, second = (
        rules.interact("chat", one, other, (NEUTRAL, NEUTRAL), 0, dice=Dice(seed), answers=answers())
        for _ in range(2)
    )
    assert first == second
