"""What acts do to people: by tables, and reputations as sums of what is said, by properties."""

from math import fsum
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fablewright.core.clock import DAY
from fablewright.systems.diplomacy import bearing
from fablewright.systems.diplomacy.bearing import BEARINGS, OLDER, Deed, Said

A, B, EVENT = (UUID(int=n) for n in (1, 2, 3))

AMOUNTS = st.floats(-60, 60, allow_nan=False)
SAID = st.lists(st.tuples(st.integers(0, 3_000), AMOUNTS), max_size=40)
"""World days and amounts."""


def told(days_and_amounts: list[tuple[int, float]]) -> tuple[Said, ...]:
    said: tuple[Said, ...] = ()
    for number, (day, amount) in enumerate(sorted(days_and_amounts)):
        said = bearing.with_said(said, Said(day * DAY, amount, f"deed {number}", EVENT))
    return said


@pytest.mark.parametrize(
    ("kind", "likes", "praised"),
    [
        ("signed", True, True), ("broke_word", False, False), ("came_to_help", True, True),
        ("stayed_away", False, False), ("attacked", False, False), ("won", False, True), ("made_peace", True, True),
        ("backed_down", True, False), ("sanctioned", False, None), ("stood_together", True, None),
    ],
)  # fmt: skip
def test_acts_are_liked_and_praised_or_not(kind: str, likes: bool, praised: bool | None) -> None:
    does = bearing.scaled(Deed(kind, A, (B,), "x", EVENT))
    assert (does.strength > 0) == likes
    assert (does.reputation > 0 if does.reputation else None) == praised


@pytest.mark.parametrize("kind", BEARINGS)
def test_a_secret_is_felt_and_not_said_and_weight_scales_both(kind: str) -> None:
    plain, double, secret = (
        bearing.scaled(Deed(kind, A, (B,), "x", EVENT, weight, hidden))
        for weight, hidden in ((1.0, False), (2.0, False), (1.0, True))
    )
    assert (secret.strength, secret.trust, secret.reputation) == (plain.strength, plain.trust, 0.0)
    assert double.strength == 2 * plain.strength and double.reputation == 2 * plain.reputation
    assert -1 <= double.strength <= 1 and -1 <= double.trust <= 1


def test_half_of_a_name_is_forgotten_in_a_year() -> None:
    said = told([(0, 40.0)])
    assert bearing.reputation(said, 365 * DAY) == pytest.approx(20.0)
    assert bearing.reputation((), 5) == 0.0


@given(SAID, st.integers(0, 2_000))
def test_a_reputation_is_the_sum_of_its_parts_and_bounded(said: list[tuple[int, float]], later: int) -> None:
    found = told(said)
    now = max((s.at for s in found), default=0) + later * DAY
    total = bearing.reputation(found, now)
    assert -100 <= total <= 100
    assert fsum(amount for _, amount, _ in bearing.parts(found, now)) == pytest.approx(total, abs=1e-9)


@given(SAID, st.integers(0, 2_000))
def test_nothing_is_lost_when_reasons_make_room(said: list[tuple[int, float]], later: int) -> None:
    found = told(said)
    now = max((day for day, _ in said), default=0) * DAY + later * DAY
    exact = fsum(Said(day * DAY, amount, "x").on(now) for day, amount in said)
    # A sum of older ones that weighs nothing is not kept; each drops less than LEAST.
    assert fsum(s.on(now) for s in found) == pytest.approx(exact, abs=bearing.LEAST * (len(said) + 1))
    assert len(found) <= bearing.MOST_PARTS + 1
    assert sum(s.why == OLDER for s in found) <= 1


def test_what_weighs_least_makes_room_and_the_newest_stays() -> None:
    said = told([(day, 50.0 - day) for day in range(bearing.MOST_PARTS)])
    more = bearing.with_said(said, Said(20 * DAY, 0.1, "a trifle", EVENT))
    assert more[0].why == OLDER and more[-1].why == "a trifle"
    assert "deed 11" not in {s.why for s in more} and "deed 0" in {s.why for s in more}
