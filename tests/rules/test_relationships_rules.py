"""Rules of relationships: ranges, and strength from observed weights."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fablewright.systems.relationships import rules

numbers = st.floats(allow_nan=False, allow_infinity=False)
weights = st.floats(min_value=1e-6, max_value=1e12)


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
