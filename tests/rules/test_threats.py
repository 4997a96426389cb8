"""The rules of ultimatums and coalitions, and of the causes that bind and frighten."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fablewright.systems.diplomacy import battle, threats

OPINIONS = st.floats(-100, 100)
TENSIONS = st.floats(0, 100)


def test_every_threat_has_its_weight() -> None:
    assert set(threats.THREATS) == set(get_args(threats.Threat))


def test_the_louder_the_threat_the_more_it_weighs() -> None:
    war, sanction, incident = (threats.THREATS[kind] for kind in ("war", "sanction", "incident"))
    for louder, softer in ((war, sanction), (sanction, incident)):
        assert louder.tension > softer.tension > 0
        assert louder.opinion < softer.opinion < 0
        assert louder.face > softer.face > 0


@pytest.mark.parametrize(
    ("threat", "answered", "face"),
    [
        ("war", False, 6),
        ("war", True, 12),
        ("sanction", False, 3.5),
        ("sanction", True, 7),
        ("incident", True, 4),
    ],
)
def test_backing_down_costs_twice_as_much_after_a_no(threat: str, answered: bool, face: float) -> None:
    assert threats.loss_of_face(threat, answered=answered) == face


def test_giving_in_costs_less_face_than_backing_down_from_war() -> None:
    assert 0 < threats.YIELDED_FACE < threats.loss_of_face("war", answered=False)


@given(st.floats(0, 1000), st.booleans(), OPINIONS, TENSIONS)
def test_fear_is_bounded(aggression: float, near: bool, opinion: float, tension: float) -> None:
    assert 0 <= battle.fear(aggression, near=near, opinion=opinion, tension=tension) <= 100


@given(st.floats(0, 60), OPINIONS, OPINIONS, TENSIONS)
def test_neighbours_fear_more_and_friends_less(
    aggression: float, one: float, other: float, tension: float
) -> None:
    def fear(near: bool, opinion: float) -> float:
        return battle.fear(aggression, near=near, opinion=opinion, tension=tension)

    assert fear(True, one) >= fear(False, one)
    assert fear(True, min(one, other)) >= fear(True, max(one, other))


def test_one_unjust_war_frightens_and_a_second_makes_coalitions() -> None:
    once = battle.aggression(battle.LEGITIMACY["conquest"])

    def fear(aggression: float) -> float:
        return battle.fear(aggression, near=True, opinion=0.0, tension=0.0)

    assert fear(once) < battle.FEAR_JOINS <= fear(2 * once)
    assert threats.FEAR_STAYS < battle.FEAR_JOINS, "who has joined is not sent away at once"
    just = battle.aggression(battle.LEGITIMACY["defence"])
    assert fear(10 * just) < threats.FEAR_STAYS, "who defends its allies frightens nobody"
