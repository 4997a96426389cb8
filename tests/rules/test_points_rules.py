"""Amounts, multipliers, levels, streaks and reasons: tables and properties."""

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from fablewright.systems.points import rules
from fablewright.systems.points.commands import (
    AwardFields,
    AwardRuleSpec,
    ConfigurePoints,
    Levels,
    PowerLevels,
    TableLevels,
)
from fablewright.systems.points.rules import Bonus, Curve, PointsWorld

LEVELS: TypeAdapter[Levels] = TypeAdapter(Levels)


def rule(**spec: Any) -> rules.Rule:
    return AwardRuleSpec(**{"amount": 10, **spec}).rule("quest")


def bonus(multiplier: float, keys: set[str] | None = None, until: int = 100) -> Bonus:
    return Bonus(UUID(int=1), "Fair", multiplier, None if keys is None else frozenset(keys), 0, until)


# -- levels --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("curve", "earned", "level"),
    [
        ({"kind": "linear", "base": 100, "max_level": 5}, 0, 1),
        ({"kind": "linear", "base": 100, "max_level": 5}, 99, 1),
        ({"kind": "linear", "base": 100, "max_level": 5}, 100, 2),
        ({"kind": "linear", "base": 100, "max_level": 5}, 10_000, 5),
        ({"kind": "linear", "base": 100, "max_level": 1}, 10_000, 1),
        ({"kind": "power", "base": 100, "exponent": 2}, 399, 2),
        ({"kind": "power", "base": 100, "exponent": 2}, 400, 3),
        ({"kind": "table", "thresholds": [10, 500]}, 9, 1),
        ({"kind": "table", "thresholds": [10, 500]}, 10, 2),
        ({"kind": "table", "thresholds": [10, 500]}, 10**15, 3),
        ({"kind": "table", "thresholds": []}, 10**15, 1),
    ],
)
def test_levels(curve: dict[str, Any], earned: int, level: int) -> None:
    assert LEVELS.validate_python(curve).curve().level(earned) == level


@given(
    base=st.integers(1, 10**6),
    exponent=st.floats(1, 5),
    most=st.integers(2, 200),
    earned=st.integers(0, 2**60),
)
def test_a_level_begins_where_it_says(base: int, exponent: float, most: int, earned: int) -> None:
    curve = PowerLevels(kind="power", base=base, exponent=exponent, max_level=most).curve()
    assert list(curve.thresholds) == sorted(curve.thresholds) and len(curve.thresholds) == most - 1
    level = curve.level(earned)
    begins, ends = curve.starts_at(level), curve.starts_at(level + 1)
    assert begins is not None and begins <= earned
    assert (ends is None and level == most) or (ends is not None and earned < ends)


def test_the_default_curve_is_as_documented() -> None:
    curve = rules.DEFAULT_CURVE
    assert (curve.starts_at(2), curve.starts_at(10), curve.starts_at(100)) == (100, 2_700, 98_504)
    assert curve.starts_at(101) is None


def test_titles_last_until_the_next() -> None:
    world = PointsWorld(titles=((3, "Warden"), (7, "Lord")), curve=Curve())
    assert [world.title(n) for n in (1, 2, 3, 6, 7, 99)] == [None, None, "Warden", "Warden", "Lord", "Lord"]


# -- amounts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "level", "streak", "bonuses", "amount", "parts"),
    [
        ({}, 9, 9, [], 10, []),
        ({"multipliers": [{"kind": "level", "per_level": 0.1, "max": 2}]}, 1, 0, [], 10, []),
        ({"multipliers": [{"kind": "level", "per_level": 0.1, "max": 2}]}, 4, 0, [], 13, [("level", 1.3)]),
        ({"multipliers": [{"kind": "level", "per_level": 0.1, "max": 2}]}, 99, 0, [], 20, [("level", 2.0)]),
        ({"multipliers": [{"kind": "streak", "per_day": 0.5, "max": 3}]}, 1, 3, [], 20, [("streak", 2.0)]),
        ({}, 1, 1, [bonus(2)], 20, [("bonus: Fair", 2)]),
        ({}, 1, 1, [bonus(2, {"quest"}), bonus(3, {"other"})], 20, [("bonus: Fair", 2)]),
        ({}, 1, 1, [bonus(2, until=50)], 10, []),
        ({}, 1, 1, [bonus(0.01)], 1, [("bonus: Fair", 0.01)]),
        ({"most_per_award": 15}, 1, 1, [bonus(2)], 15, [("bonus: Fair", 2), ("cap", 0.75)]),
        ({"most_per_award": 4}, 1, 1, [], 4, [("cap", 0.4)]),
        ({"amount": 10**12}, 1, 1, [bonus(100)], 10**12, [("bonus: Fair", 100)]),
    ],
)
def test_multipliers(
    spec: dict[str, Any], level: int, streak: int, bonuses: list[Bonus], amount: int, parts: list[Any]
) -> None:
    asked = rule(**spec)
    got, found = rules.multiplied(asked, asked.amount or 0, level, streak, bonuses, 50)
    assert got == amount
    assert [(p.what, pytest.approx(p.factor)) for p in found] == parts


@given(
    base=st.integers(1, 10**12), level=st.integers(1, 1000), streak=st.integers(0, 10**6),
    factor=st.floats(0.001, 100), cap=st.integers(1, 10**12),
)  # fmt: skip
def test_an_award_is_at_least_one_and_at_most_its_cap(
    base: int, level: int, streak: int, factor: float, cap: int
) -> None:
    asked = rule(
        amount=base, most_per_award=cap,
        multipliers=[{"kind": "level", "per_level": 0.7}, {"kind": "streak", "per_day": 3, "max": 50}],
    )  # fmt: skip
    amount, _ = rules.multiplied(asked, base, level, streak, [bonus(factor)], 0)
    assert 1 <= amount <= cap


@pytest.mark.parametrize(
    ("data", "base"),
    [
        ({"loot": {"gold": 7}}, 7), ({"loot": {"gold": 7.9}}, 7), ({"loot": {"gold": 0}}, None),
        ({"loot": {"gold": -3}}, None), ({"loot": {"gold": True}}, None), ({"loot": {"gold": "7"}}, None),
        ({"loot": {}}, None), ({}, None), ({"loot": {"gold": 1e300}}, 10**12), ({"loot": {"gold": 0.5}}, None),
    ],
)  # fmt: skip
def test_amounts_from_data(data: dict[str, Any], base: int | None) -> None:
    assert rule(amount=None, amount_field="loot.gold").base(data) == base


# -- streaks, reasons, patterns ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("streak", "last", "day", "after", "now"),
    [
        (0, None, 5, 1, 0), (3, 5, 5, 3, 3), (3, 4, 5, 4, 3), (3, 3, 5, 1, 0), (3, 6, 5, 3, 3), (0, 5, 5, 1, 0),
        (2, -1, 0, 3, 2),
    ],
)  # fmt: skip
def test_streaks(streak: int, last: int | None, day: int, after: int, now: int) -> None:
    assert rules.streak_on(streak, last, day) == after
    assert rules.streak_now(streak, last, day) == now


@pytest.mark.parametrize(
    ("template", "data", "reason"),
    [
        ("Plain", {}, "Plain"),
        ("Finished {quest}", {"quest": "the well"}, "Finished the well"),
        ("{a.b} of {n}", {"a": {"b": "3"}, "n": 4}, "3 of 4"),
        ("{gone}", {}, "{gone}"),
        ("Said {text}", {"text": "a\x00b"}, "Said ab"),
        ("{list}!", {"list": [1]}, "!"),
        ("{not closed", {"not": 1}, "{not closed"),
        ("{text}", {"text": "x" * 999}, "x" * 300),
        ("{again}", {"again": "{again}"}, "{again}"),
    ],
)
def test_reasons(template: str, data: dict[str, Any], reason: str) -> None:
    assert rules.reason_of(template)(data) == reason


@pytest.mark.parametrize(
    ("pattern", "loops"),
    [
        ("*", True), ("points.*", True), ("points.awarded", True), ("ledger.transferred", True), ("game.*", False),
        ("achievements.progressed", True), ("achievements.*", True), ("leaderboards.*", True),
        ("dialogue.interacted", False), ("achievements.unlocked", False), ("progress.*", True),
    ],
)  # fmt: skip
def test_rules_that_would_loop(pattern: str, loops: bool) -> None:
    assert rules.loops(pattern) is loops


def test_listening_finds_rules_by_pattern() -> None:
    specs = {
        "a": {"on": "game.*"},
        "b": {"on": "game.won"},
        "c": {},
        "d": {"on": "game.won", "enabled": False},
    }
    world = PointsWorld(
        rules={key: AwardRuleSpec(amount=1, **spec).rule(key) for key, spec in specs.items()}  # type: ignore[arg-type]
    )
    assert [r.key for r in world.listening("game.won")] == ["a", "b"]
    assert [r.key for r in world.listening("game.lost")] == ["a"]
    assert world.listening("games.won") == () == world.listening("game.won.twice")[2:]


# -- what may be asked ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {}, {"action": "a", "amount": 1}, {"amount": 1}, {"amount": 0, "reason": "x"}, {"amount": 1, "reason": " "},
        {"amount": 10**12 + 1, "reason": "x"}, {"amount": 1.5, "reason": "x"}, {"action": "A"},
        {"amount": 1, "reason": "a\x00"}, {"action": "a", "data": {"x": "y" * 5_000}}, {"action": "a", "other": 1},
        {"amount": 1, "reason": "x", "reference": ""}, {"amount": 1, "reason": "x", "currency": "Gold"},
    ],
)  # fmt: skip
def test_awards_that_cannot_be_asked_for(body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AwardFields(**body)


@pytest.mark.parametrize(
    "spec",
    [
        {}, {"amount": 1, "amount_field": "x"}, {"amount": 1, "on": "Game"},
        {"amount": 1, "multipliers": [{"kind": "x"}]},
        {"amount": 1, "multipliers": [{"kind": "level", "per_level": float("nan")}]}, {"amount": 1, "subject": "a..b"},
    ],
)  # fmt: skip
def test_rules_that_cannot_be_made(spec: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AwardRuleSpec(**spec)


def test_curves_and_titles_are_in_order() -> None:
    with pytest.raises(ValidationError, match="above the one before"):
        TableLevels(kind="table", thresholds=[5, 5])
    with pytest.raises(ValidationError, match="each level once"):
        ConfigurePoints(titles=[{"level": 1, "title": "a"}, {"level": 1, "title": "b"}])
