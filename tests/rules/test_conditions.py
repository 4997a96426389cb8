"""Conditions on the data of events."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from fablewright.core.conditions import Conditions, compiled, number_at, value_at

DATA: dict[str, Any] = {
    "type": "collaboration", "accepted": True, "count": 3, "none": None, "change": {"strength": -0.25},
    "items": ["rope", {"name": "lamp", "lit": False}], "text": "the mill",
}  # fmt: skip
PARSE = TypeAdapter[Any](Conditions)


def holds(*conditions: dict[str, Any], data: dict[str, Any] = DATA) -> bool:
    return compiled(PARSE.validate_python(list(conditions)))(data)


@pytest.mark.parametrize(
    ("field", "op", "value", "expected"),
    [
        ("type", "is", "collaboration", True),
        ("type", "is", "conflict", False),
        ("type", "is_not", "conflict", True),
        ("type", "one_of", ["conflict", "collaboration"], True),
        ("type", "one_of", ["conflict"], False),
        ("type", "one_of", "collaboration", True),
        ("accepted", "is", True, True),
        ("accepted", "is", 1, False),  # a truth value is no number
        ("count", "is", 3.0, True),
        ("count", "is", True, False),
        ("count", "at_least", 3, True),
        ("count", "at_least", 4, False),
        ("count", "at_most", 3, True),
        ("count", "above", 3, False),
        ("count", "below", 3.5, True),
        ("accepted", "at_least", 0, False),
        ("type", "above", "a", True),
        ("type", "above", 1, False),
        ("none", "is", None, True),
        ("missing", "is", None, True),
        ("missing", "at_most", 5, False),
        ("missing", "exists", None, False),
        ("missing", "exists", False, True),
        ("count", "exists", True, True),
        ("count", "exists", None, True),
        ("change.strength", "below", 0, True),
        ("change.nothing.deeper", "is", None, True),
        ("items.0", "is", "rope", True),
        ("items.1.name", "is", "lamp", True),
        ("items.7", "exists", False, True),
        ("items", "contains", "rope", True),
        ("items", "contains", "sword", False),
        ("text", "contains", "mill", True),
        ("text", "contains", 3, False),
        ("count", "contains", 3, False),
    ],
)
def test_one_condition(field: str, op: str, value: Any, expected: bool) -> None:
    assert holds({"field": field, "op": op, "value": value}) is expected


def test_a_list_asks_for_all_and_any_of_for_one() -> None:
    good, bad = {"field": "count", "value": 3}, {"field": "count", "value": 4}
    assert holds()
    assert holds(good, {"field": "type", "value": "collaboration"})
    assert not holds(good, bad)
    assert holds({"any_of": [bad, good]})
    assert not holds({"any_of": [bad, bad]})
    assert not holds({"any_of": [bad, good]}, bad)


@pytest.mark.parametrize(
    "conditions",
    [
        [{"field": "", "value": 1}], [{"field": "a..b", "value": 1}], [{"field": "a", "op": "like", "value": 1}],
        [{"field": "a", "value": {"b": 1}}], [{"any_of": []}], [{"field": "a", "value": 1, "also": 2}],
        [{"field": "a", "value": 1}] * 21,
    ],
)  # fmt: skip
def test_what_is_no_condition_is_refused(conditions: list[dict[str, Any]]) -> None:
    with pytest.raises(ValidationError):
        PARSE.validate_python(conditions)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=8,
)


@given(
    data=st.dictionaries(st.sampled_from("abc"), JSON),
    path=st.sampled_from(["a", "a.b", "a.0", "b.a.1", "c.b"]),
    op=st.sampled_from(["is", "is_not", "at_least", "at_most", "above", "below", "contains", "exists"]),
    value=st.none() | st.booleans() | st.integers() | st.text(max_size=5),
)
def test_any_data_has_an_answer(data: dict[str, Any], path: str, op: str, value: Any) -> None:
    answer = holds({"field": path, "op": op, "value": value}, data=data)
    opposite = {"is": "is_not", "is_not": "is"}.get(op)
    if opposite:
        assert holds({"field": path, "op": opposite, "value": value}, data=data) is not answer
    number = number_at(data, path)
    assert number is None or (number == value_at(data, path) and not isinstance(number, bool))
