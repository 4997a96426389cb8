"""Feelings: where they come from, how they are pushed, how they settle, and what they are called."""

from itertools import product
from math import dist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fablewright.core.clock import HOUR
from fablewright.systems.characters import emotions
from fablewright.systems.characters.emotions import EMOTION_HALF_LIFE_MS, OCC, Pad
from fablewright.systems.characters.rules import Traits

signed = st.floats(-1, 1)
pads = st.builds(Pad, signed, signed, signed)
personalities = st.builds(Traits, *([st.floats(0, 1)] * 5))
times = st.integers(-(10**13), 10**13)
felt = st.lists(st.tuples(st.sampled_from(sorted(OCC)), st.floats(0, 1)), max_size=8)


def parts(pad: Pad) -> tuple[float, float, float]:
    return pad.pleasure, pad.arousal, pad.dominance


def distance(one: Pad, other: Pad) -> float:
    return dist(parts(one), parts(other))


def in_range(pad: Pad) -> bool:
    return all(-1 <= part <= 1 for part in parts(pad))


@pytest.mark.parametrize(
    ("traits", "expected"),
    [
        (Traits(), (0, 0, 0)),
        (Traits(openness=1), (0, 0.15, 0.25)),
        (Traits(conscientiousness=1), (0, 0, 0.17)),
        (Traits(extraversion=1), (0.21, 0, 0.60)),
        (Traits(agreeableness=1), (0.59, 0.30, -0.32)),
        (Traits(neuroticism=1), (-0.19, 0.57, 0)),  # the opposite of emotional stability
        (Traits(neuroticism=0), (0.19, -0.57, 0)),
        (Traits(0, 0, 0, 0, 1), (-0.99, 0.12, -0.70)),
        (Traits(1, 1, 1, 0, 0), (-0.19, -0.72, 1.0)),  # 1.34, cut off
    ],
)
def test_baselines(traits: Traits, expected: tuple[float, float, float]) -> None:
    assert parts(emotions.baseline(traits)) == pytest.approx(expected)


@given(personalities)
def test_baselines_stay_in_range_and_mirror(traits: Traits) -> None:
    base = emotions.baseline(traits)
    assert in_range(base)
    mirrored = emotions.baseline(Traits(*(1 - getattr(traits, t) for t in Traits.__slots__)))
    assert parts(mirrored) == pytest.approx(tuple(-part for part in parts(base)))


@given(personalities, st.floats(0, 1))
def test_more_agreeable_is_more_pleasant_and_more_neurotic_is_more_aroused(
    traits: Traits, more: float
) -> None:
    base = emotions.baseline(traits)
    kinder = emotions.baseline(Traits(
        traits.openness, traits.conscientiousness, traits.extraversion, max(more, traits.agreeableness),
        traits.neuroticism,
    ))  # fmt: skip
    edgier = emotions.baseline(Traits(
        traits.openness, traits.conscientiousness, traits.extraversion, traits.agreeableness,
        max(more, traits.neuroticism),
    ))  # fmt: skip
    assert kinder.pleasure >= base.pleasure
    assert edgier.arousal >= base.arousal
    assert edgier.pleasure <= base.pleasure


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        (0, 0.8),
        (2, 0.5),
        (4, 0.35),
        (6, 0.275),
        (1000, 0.2),
        (-5, 0.8),
    ],  # before it was felt, it is as it was
)
def test_feelings_settle_by_half_lives(hours: int, expected: float) -> None:
    base = Pad(0.2, 0.2, 0.2)
    settled = emotions.settled(Pad(0.8, 0.8, 0.8), 0, hours * HOUR, base)
    assert parts(settled) == pytest.approx((expected,) * 3)
    assert EMOTION_HALF_LIFE_MS == 2 * HOUR


@given(pads, pads, times, times, times)
def test_settling_is_monotone_and_stays_between(pad: Pad, base: Pad, at: int, one: int, other: int) -> None:
    sooner, later = sorted((one, other))
    first, second = (emotions.settled(pad, at, now, base) for now in (sooner, later))
    assert in_range(first) and in_range(second)
    assert distance(second, base) <= distance(first, base) + 1e-12 <= distance(pad, base) + 2e-12


@given(pads, pads, st.integers(0, 10**9), st.integers(0, 10**9))
def test_settling_in_two_steps_is_settling_in_one(pad: Pad, base: Pad, first: int, second: int) -> None:
    halfway = emotions.settled(pad, 0, first, base)
    there = emotions.settled(halfway, first, first + second, base)
    assert parts(there) == pytest.approx(parts(emotions.settled(pad, 0, first + second, base)), abs=1e-9)


def test_every_emotion_of_the_table_is_known() -> None:
    assert len(OCC) == 24
    assert all(in_range(pad) for pad in OCC.values())
    pleasant = {
        "admiration", "gloating", "gratification", "gratitude", "happy_for", "hope", "joy", "liking", "love",
        "pride", "relief", "satisfaction",
    }  # fmt: skip
    assert {emotion for emotion, pad in OCC.items() if pad.pleasure > 0} == pleasant


@pytest.mark.parametrize(
    ("emotion", "octant"),
    [  # the octants that Gebhard's table gives beside the numbers
        ("admiration", "dependent"), ("anger", "hostile"), ("disliking", "hostile"), ("disappointment", "anxious"),
        ("distress", "bored"), ("fear", "anxious"), ("fears_confirmed", "bored"), ("gloating", "docile"),
        ("gratification", "exuberant"), ("gratitude", "dependent"), ("happy_for", "exuberant"),
        ("hate", "hostile"), ("hope", "dependent"), ("joy", "exuberant"), ("liking", "dependent"),
        ("love", "exuberant"), ("pity", "bored"), ("pride", "exuberant"), ("relief", "relaxed"),
        ("remorse", "anxious"), ("reproach", "disdainful"), ("resentment", "bored"), ("satisfaction", "relaxed"),
        ("shame", "anxious"),
    ],
)  # fmt: skip
def test_emotions_lie_where_alma_puts_them(emotion: str, octant: str) -> None:
    assert emotions.label(OCC[emotion]) == octant


@pytest.mark.parametrize(
    ("start", "felt", "traits", "expected"),
    [
        (Pad(), [], Traits(), (0, 0, 0)),
        (Pad(), [("joy", 1.0)], Traits(), (0.4, 0.2, 0.1)),
        (Pad(), [("joy", 0.5)], Traits(), (0.2, 0.1, 0.05)),
        (Pad(0.5, 0, 0), [("joy", 1.0)], Traits(), (0.7, 0.2, 0.1)),  # half of the room is left
        (Pad(1, 1, 1), [("joy", 1.0)], Traits(), (1, 1, 1)),
        (Pad(0.5, 0, 0), [("distress", 1.0)], Traits(), (0.1, -0.2, -0.5)),  # back counts in full
        (Pad(), [("distress", 1.0)], Traits(neuroticism=1), (-0.56, -0.28, -0.7)),
        (Pad(), [("distress", 1.0)], Traits(neuroticism=0), (-0.24, -0.12, -0.3)),
        (Pad(), [("joy", 1.0)], Traits(extraversion=1), (0.52, 0.26, 0.13)),
        (Pad(), [("joy", 1.0)], Traits(neuroticism=1), (0.4, 0.2, 0.1)),
        (Pad(), [("pride", 1.0), ("shame", 1.0)], Traits(), (0.1, 0.4, -0.3)),
    ],
)
def test_appraisals(
    start: Pad, felt: list[tuple[str, float]], traits: Traits, expected: tuple[float, float, float]
) -> None:
    assert parts(emotions.appraise(start, felt, traits)) == pytest.approx(expected)


@given(pads, felt, personalities)
def test_appraisals_stay_in_range_in_any_order(
    start: Pad, felt: list[tuple[str, float]], traits: Traits
) -> None:
    once = emotions.appraise(start, felt, traits)
    assert in_range(once)
    assert parts(emotions.appraise(start, felt[::-1], traits)) == pytest.approx(parts(once), abs=1e-9)


@given(pads, st.sampled_from(sorted(OCC)), st.floats(0, 1), st.floats(0, 1), personalities)
def test_the_stronger_an_emotion_the_further_it_pushes_its_way(
    start: Pad, emotion: str, one: float, other: float, traits: Traits
) -> None:
    weak, strong = (emotions.appraise(start, [(emotion, i)], traits) for i in sorted((one, other)))
    for before, less, more, pull in zip(
        parts(start), parts(weak), parts(strong), parts(OCC[emotion]), strict=True
    ):
        sign = 1 if pull > 0 else -1
        assert sign * before <= sign * less + 1e-12
        assert sign * less <= sign * more + 1e-12


def test_words_that_are_no_emotions() -> None:
    with pytest.raises(KeyError):
        emotions.appraise(Pad(), [("hunger", 1.0)], Traits())


@given(st.sampled_from(sorted(OCC)), personalities)
def test_nobody_is_deaf_to_an_emotion(emotion: str, traits: Traits) -> None:
    assert 0.6 <= emotions.responsiveness(emotion, traits) <= 1.4


@pytest.mark.parametrize(
    ("pad", "word"),
    [
        (Pad(), "neutral"),
        (Pad(0.1, 0, 0), "neutral"),
        (Pad(0.11, 0, 0), "exuberant"),
        (Pad(1, 1, 1), "exuberant"),
        (Pad(1, 1, -1), "dependent"),
        (Pad(1, -1, 1), "relaxed"),
        (Pad(1, -1, -1), "docile"),
        (Pad(-1, -1, -1), "bored"),
        (Pad(-1, -1, 1), "disdainful"),
        (Pad(-1, 1, -1), "anxious"),
        (Pad(-1, 1, 1), "hostile"),
    ],
)
def test_labels(pad: Pad, word: str) -> None:
    assert emotions.label(pad) == word
    assert word in emotions.LABELS


def test_each_eighth_has_a_word_of_its_own() -> None:
    words = {emotions.label(Pad(*corner)) for corner in product((-0.5, 0.5), repeat=3)}
    assert words == set(emotions.LABELS) - {"neutral"}


@pytest.mark.parametrize(
    ("pad", "size"), [(Pad(), 0), (Pad(1, 1, 1), 1), (Pad(-1, 1, -1), 1), (Pad(-1, 0, 0), 3**-0.5)]
)
def test_intensities(pad: Pad, size: float) -> None:
    assert emotions.intensity(pad) == pytest.approx(size)


@given(pads)
def test_intensity_and_label_agree(pad: Pad) -> None:
    assert 0 <= emotions.intensity(pad) <= 1
    assert (emotions.label(pad) == "neutral") == (distance(pad, Pad()) <= emotions.NEUTRAL_WITHIN)
