"""Conditions on the data of events, as definitions write them: award rules, achievements, boards, quests. Pure.

A condition looks at one field of an event: `{"field": "type", "op": "is", "value": "collaboration"}`. A list of them
holds if all do; `{"any_of": [...]}` if one does. A field is a path through objects and lists: `change.strength`,
`items.0`. What is not there is null, and no comparison of size holds for it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

FieldPath = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][\w-]*(\.[\w-]+)*$", max_length=200)]
"""Where in an event's data a value stands, such as `change.strength`."""
Scalar = str | int | float | bool | None
Op = Literal["is", "is_not", "at_least", "at_most", "above", "below", "one_of", "contains", "exists"]

MOST_CONDITIONS: Final = 20
Holds = Callable[[Mapping[str, Any]], bool]


class FieldTest(BaseModel):
    """What one field of an event must be like."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    field: FieldPath
    op: Op = "is"
    value: Scalar | list[Scalar] = Field(
        None, description="With what it is compared; a list for `one_of`; true or false for `exists`."
    )


class AnyOf(BaseModel):
    """One of these must hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    any_of: list[FieldTest] = Field(min_length=1, max_length=MOST_CONDITIONS)


Condition = FieldTest | AnyOf
Conditions = Annotated[list[Condition], Field(max_length=MOST_CONDITIONS)]
"""What must hold, all of it; an empty list always does."""


def value_at(data: Any, path: str) -> Any:
    """The value at a path; None if there is none."""
    for part in path.split("."):
        if type(data) is dict or isinstance(data, Mapping):  # JSON brings the first, which is quickly asked
            data = data.get(part)
        elif isinstance(data, list) and part.isdigit() and int(part) < len(data):
            data = data[int(part)]
        else:
            return None
    return data


def number_at(data: Any, path: str) -> int | float | None:
    """The number at a path; None if there is none. Truth values are no numbers."""
    return as_number(value_at(data, path))


def reader(path: str) -> Callable[[Any], Any]:
    """`value_at` for one path in the data of many events."""
    if "." in path:
        return lambda data: value_at(data, path)
    return lambda data: data.get(path)


def as_number(value: Any) -> int | float | None:
    """A value if it is a number. Truth values are none."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def compiled(conditions: Sequence[Condition]) -> Holds:
    """A function that says of an event's data whether all conditions hold."""
    tests = [_any(c) if isinstance(c, AnyOf) else _test(c) for c in conditions]
    if not tests:
        return lambda _data: True
    if len(tests) == 1:
        return tests[0]
    return lambda data: all(test(data) for test in tests)


def _any(condition: AnyOf) -> Holds:
    tests = [_test(c) for c in condition.any_of]
    return lambda data: any(test(data) for test in tests)


def _test(test: FieldTest) -> Holds:
    read, wanted, fits = reader(test.field), test.value, _FITS[test.op]
    return lambda data: fits(read(data), wanted)


def _same(value: Any, wanted: Any) -> bool:
    """Equal, and not merely as Python has it, for which 1 is True."""
    return bool(value == wanted) and isinstance(value, bool) == isinstance(wanted, bool)


def _contains(value: Any, wanted: Any) -> bool:
    if isinstance(value, str):
        return isinstance(wanted, str) and wanted in value
    return isinstance(value, list) and any(_same(item, wanted) for item in value)


def _size(value: Any, wanted: Any) -> int | None:
    """How a value stands to another of its kind: -1, 0, 1; None if they cannot be compared."""
    for kind in (str, (int, float)):
        if isinstance(value, kind) and isinstance(wanted, kind) and not isinstance(value, bool):
            return (value > wanted) - (value < wanted)  # type: ignore[operator]
    return None


def _one_of(value: Any, wanted: Any) -> bool:
    return any(_same(value, option) for option in (wanted if isinstance(wanted, list) else [wanted]))


_FITS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "is": _same,
    "is_not": lambda value, wanted: not _same(value, wanted),
    "one_of": _one_of,
    "contains": _contains,
    "exists": lambda value, wanted: (value is not None) is (wanted is not False),
    "at_least": lambda value, wanted: _size(value, wanted) in (0, 1),
    "at_most": lambda value, wanted: _size(value, wanted) in (0, -1),
    "above": lambda value, wanted: _size(value, wanted) == 1,
    "below": lambda value, wanted: _size(value, wanted) == -1,
}
"""For each way to compare: whether a value fits what is wanted."""
