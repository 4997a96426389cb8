"""War in numbers: reasons, battles, score, exhaustion."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fablewright.core.clock import DAY
from fablewright.core.dice import Dice
from fablewright.systems.diplomacy import battle
from fablewright.systems.diplomacy.battle import CAUSES, Host

UNIT = st.floats(0, 1)
TROOPS = st.floats(1, 100_000)


@pytest.mark.parametrize(
    ("cause", "facts", "expected"),
    [
        ("conquest", {}, 0.05),
        ("defence", {}, 0.95),
        ("defence", {"strength_ratio": 9.0}, 0.95),
        ("conquest", {"strength_ratio": 9.0}, 0.0),
        ("reconquest", {"tension": 50.0}, 0.65),
        ("incident", {"severity": 0.5, "rung": 0.5}, 0.35),
        ("incident", {"severity": 0.5, "rung": 0.5, "evidence": 0.0}, 0.14),
        ("incident", {"severity": 1.0, "rung": 1.0, "tension": 100.0, "tried": 9}, 0.9),
        ("coalition", {"tension": 100.0, "tried": 4}, 1.0),
        ("broken_treaty", {}, 0.75),
        ("ultimatum_rejected", {}, 0.5),
        ("ultimatum_rejected", {"evidence": 0.0}, 0.2),
        ("ultimatum_rejected", {"evidence": 0.4, "severity": 1.0}, 0.2),
        ("incident", {"evidence": 0.4, "severity": 1.0, "rung": 0.5}, 0.14),
        ("incident", {"evidence": 0.6, "severity": 1.0, "rung": 0.5}, 0.356),
    ],
)
def test_how_just_a_war_seems(cause: str, facts: dict[str, float], expected: float) -> None:
    assert battle.legitimacy(cause, **facts).value == pytest.approx(expected)  # type: ignore[arg-type]


@given(st.sampled_from(CAUSES), UNIT, UNIT, UNIT, st.floats(0, 100), st.integers(0, 9), st.floats(0, 50))
def test_parts_of_legitimacy_add_up(
    cause: str, evidence: float, severity: float, rung: float, tension: float, tried: int, ratio: float
) -> None:
    made = battle.legitimacy(
        cause,
        evidence=evidence,
        severity=severity,
        rung=rung,
        tension=tension,
        tried=tried,
        strength_ratio=ratio,
    )
    assert 0 <= made.value <= 1
    assert math.isclose(sum(p.amount for p in made.parts), made.value, abs_tol=1e-9)
    more = battle.legitimacy(
        cause, evidence=1.0, severity=severity, rung=rung, tension=tension, tried=tried, strength_ratio=ratio
    )
    assert more.value >= made.value, "proof never makes a cause less just"


@given(UNIT, UNIT, st.floats(-1, 1))
def test_the_less_just_the_worse_they_think(one: float, two: float, closeness: float) -> None:
    low, high = sorted((one, two))
    assert -100 <= battle.judgement(low, closeness) <= battle.judgement(high, closeness) <= 0
    assert battle.reputation_of(low) <= battle.reputation_of(high) <= 0
    assert battle.aggression(low) >= battle.aggression(high) >= 0


@given(
    st.integers(0, 2**31),
    TROOPS,
    TROOPS,
    st.floats(0.5, 2),
    st.floats(0.5, 2),
    st.sampled_from(["", "hills"]),
)
def test_nobody_loses_more_than_came(
    seed: int, one: float, two: float, quality: float, morale: float, terrain: str
) -> None:
    fought = battle.fight(Dice(seed), Host(one, quality, morale), Host(two), terrain)
    assert 0 <= fought.attacker_losses <= one and 0 <= fought.defender_losses <= two
    assert 1 <= fought.rounds <= battle.MOST_ROUNDS
    assert (fought.score > 0) == (fought.winner == "attacker") and (fought.score < 0) == (
        fought.winner == "defender"
    )
    assert abs(fought.score) <= 10
    assert battle.fight(Dice(seed), Host(one, quality, morale), Host(two), terrain) == fought


def test_numbers_count_squared_and_ground_helps() -> None:
    def wins(attacker: float, defender: float, terrain: str = "") -> int:
        return sum(
            battle.fight(Dice("battle", n), Host(attacker), Host(defender), terrain).winner == "attacker"
            for n in range(100)
        )

    assert wins(2000, 1000) >= 99
    assert wins(1000, 2000) <= 1
    assert wins(1000, 1000) < 50, "the defender has its ground"
    assert wins(1200, 1000, "mountains") < wins(1200, 1000)


def test_lanchester_square_law() -> None:
    """Without luck, a A^2 - d D^2 stays as it is, to what steps of rounds allow."""

    class Even(Dice):
        def gauss(self, mean: float, deviation: float) -> float:
            return mean

    fought = battle.fight(Even(1), Host(1500), Host(1000))
    before = 1500.0**2 - 1.1 * 1000.0**2
    after = (1500 - fought.attacker_losses) ** 2 - 1.1 * (1000 - fought.defender_losses) ** 2
    assert after == pytest.approx(before, rel=0.05)


@pytest.mark.parametrize(
    ("attacker", "defender", "winner"), [(100, 0, "attacker"), (0, 100, "defender"), (0, 0, "draw")]
)
def test_who_does_not_come_loses(attacker: float, defender: float, winner: str) -> None:
    fought = battle.fight(Dice(1), Host(attacker), Host(defender))
    assert (fought.winner, fought.rounds, fought.attacker_losses, fought.defender_losses) == (winner, 0, 0, 0)


@given(
    st.floats(-500, 500), st.integers(0, 20), st.integers(0, 20), st.integers(0, 20), st.integers(0, 20),
    st.floats(0, 100), st.floats(0, 100),
)  # fmt: skip
def test_the_score_is_the_sum_of_its_parts(
    battles: float, taken: int, enemy: int, lost: int, own: int, tired: float, enemy_tired: float
) -> None:
    score = battle.war_score(battles, taken, enemy, lost, own, tired, enemy_tired)
    assert -100 <= score.value <= 100
    assert math.isclose(sum(p.amount for p in score.parts), score.value, abs_tol=1e-9)
    mirrored = battle.war_score(-battles, lost, own, taken, enemy, enemy_tired, tired)
    assert math.isclose(mirrored.value, -score.value, abs_tol=1e-9)


def test_exhaustion_grows_in_war_and_fades_in_peace() -> None:
    assert battle.exhaustion_now(10, 0, 100 * DAY, at_war=True) == 15
    assert battle.exhaustion_now(10, 0, 120 * DAY, at_war=False) == pytest.approx(5)
    assert battle.exhaustion_now(99, 0, 10_000 * DAY, at_war=True) == 100
    assert battle.exhausted(10, losses=50, strength=100) == 40
    assert battle.exhausted(10, regions=2) == 26
    assert battle.exhausted(10, losses=1) == 10
    assert (battle.morale(0), battle.morale(100)) == (1, 0.5)


@pytest.mark.parametrize(("score", "days"), [(0, 180), (100, 540), (-100, 540), (1e9, 540)])
def test_truces(score: float, days: int) -> None:
    assert battle.truce_days(score) == days


def test_neighbours_and_enemies_fear_more() -> None:
    near = battle.fear(30, near=True, opinion=0, tension=0)
    assert (
        battle.fear(30, near=False, opinion=0, tension=0)
        < near
        < battle.fear(30, near=True, opinion=-50, tension=0)
    )
    assert battle.fear(30, near=True, opinion=80, tension=0) < near
    assert battle.fear(1e6, near=True, opinion=-100, tension=100) == 100
