"""What can be measured of a subject, and how a batch of events moves it. Pure."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from json.encoder import encode_basestring
from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from fablewright.core.clock import UTC, Calendar
from fablewright.core.conditions import Conditions, FieldPath, Holds, compiled, reader, value_at
from fablewright.core.dice import derived_uuid
from fablewright.core.messages import matches

Kind = Literal["count", "sum", "best", "distinct", "streak"]
EventPattern = Annotated[
    str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*\.(\*|[a-z][a-z0-9_]*)$", max_length=120)
]
"""A type of event, or all of a system: `dialogue.interacted`, `game.*`."""

MOST_TYPES: Final = 20
MOST_NUMBER: Final = 2.0**53
"""What one event adds or reaches at most, so that no sum grows beyond what can be stored."""
LONG_ITEM: Final = 200
"""From this many characters on, a distinct value is kept as a hash."""
UNMEASURED: Final = ("achievements.", "progress.")
"""What follows from measures is not measured, or it would go round in circles."""
UNLOCKED: Final = "achievements.unlocked"
"""The exception, for what is made of other achievements; their graph is checked for cycles."""


class MeasureSpec(BaseModel):
    """What is measured of each subject."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind = Field(
        description="count: how many events; sum, best: of a number in them; distinct: how many different values of a "
        "field; streak: on how many world days in a row."
    )
    on: list[EventPattern] = Field(
        min_length=1, max_length=MOST_TYPES, description="The types of event that count."
    )
    where: Conditions = Field([], description="What must hold of an event's data, all of it.")
    field: FieldPath | None = Field(None, description="The field that sum, best and distinct look at.")
    subject: FieldPath | None = Field(
        None,
        description="The field with the id, or list of ids, of whom it counts for; else whom it is about first.",
    )
    grace_days: int = Field(0, ge=0, le=365, description="How many days a streak may leave out at a time.")

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if (self.field is not None) != (self.kind in ("sum", "best", "distinct")):
            raise ValueError("`field` belongs to sum, best and distinct, and to these only")
        if self.grace_days and self.kind != "streak":
            raise ValueError("`grace_days` belongs to streaks")
        for pattern in self.on:
            if pattern.startswith(UNMEASURED) and pattern != UNLOCKED:
                raise ValueError(f"{pattern}: what follows from measures cannot be measured")
        return self


def measure_id(world_id: UUID, spec: MeasureSpec) -> UUID:
    """The id of a measure in a world. Specs that measure the same have the same id."""
    value = spec.model_dump(mode="json", exclude_defaults=True)
    value["on"] = sorted(set(spec.on))
    value["where"] = sorted(_canonical(c) for c in spec.model_dump(mode="json")["where"])
    return derived_uuid("measure", world_id, _canonical(value))


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure as it is used: its spec with a compiled condition, and a quick way to its field."""

    id: UUID
    spec: MeasureSpec
    holds: Holds
    read: Callable[[Mapping[str, Any]], Any]
    since: int = 0
    """It counts the log from after this event on."""

    @staticmethod
    def of(id_: UUID, spec: MeasureSpec, since: int = 0) -> "Measure":
        """A measure, ready to count."""
        return Measure(id_, spec, compiled(spec.where), reader(spec.field or ""), since)


class Watched:
    """The measures of a world by the type of event that they listen to. Other types cost one look-up."""

    def __init__(self, measures: Iterable[Measure]):
        self.measures = tuple(measures)
        self.by_id = {measure.id: measure for measure in self.measures}
        self._by_type: dict[str, tuple[Measure, ...]] = {}

    def of(self, event_type: str) -> tuple[Measure, ...]:
        """Those that listen to a type of event."""
        found = self._by_type.get(event_type)
        if found is None:
            found = self._by_type[event_type] = tuple(m for m in self.measures if hears(m.spec, event_type))
        return found


def hears(spec: MeasureSpec, event_type: str) -> bool:
    """Whether a measure listens to a type of event."""
    if event_type.startswith(UNMEASURED):
        return event_type == UNLOCKED and UNLOCKED in spec.on
    return any(matches(pattern, event_type) for pattern in spec.on)


@dataclass(slots=True)
class Tally:
    """What a batch of events does to each subject, by measure. Days are those of the world's calendar."""

    calendar: Calendar = UTC
    adds: dict[UUID, dict[UUID, float]] = field(default_factory=dict)
    """Counts and sums."""
    bests: dict[UUID, dict[UUID, float]] = field(default_factory=dict)
    items: dict[UUID, dict[UUID, set[str]]] = field(default_factory=dict)
    days: dict[UUID, dict[UUID, set[int]]] = field(default_factory=dict)
    """World days on which something happened that a streak is made of."""
    graces: dict[UUID, int] = field(default_factory=dict)
    """How many days each of these streaks may leave out."""

    @property
    def empty(self) -> bool:
        return not (self.adds or self.bests or self.items or self.days)

    def take(self, measures: Sequence[Measure], about: Sequence[UUID], at: int, data: Any) -> set[UUID]:
        """Count one event; returns the subjects that it counted for."""
        counted: set[UUID] = set()
        first = about[:1]
        for measure in measures:
            if measure.holds(data):
                path = measure.spec.subject
                subjects = first if path is None else subjects_at(data, path)
                if subjects:
                    self._add(measure, subjects, at, data)
                    counted.update(subjects)
        return counted

    def _add(self, measure: Measure, subjects: Sequence[UUID], at: int, data: Any) -> None:
        spec = measure.spec
        kind = spec.kind
        if kind == "streak":
            self.graces[measure.id] = spec.grace_days
            day = self.calendar.day_number(at)
            days = self.days.setdefault(measure.id, {})
            for subject in subjects:
                days.setdefault(subject, set()).add(day)
        elif kind == "distinct":
            item = item_of(measure.read(data))
            if item is not None:
                items = self.items.setdefault(measure.id, {})
                for subject in subjects:
                    items.setdefault(subject, set()).add(item)
        else:
            number = 1.0 if kind == "count" else number_of(measure.read(data))
            if number is None:
                return
            of = self.bests if kind == "best" else self.adds
            numbers = of.get(measure.id)
            if numbers is None:
                numbers = of[measure.id] = {}
            for subject in subjects:
                before = numbers.get(subject)
                if before is None:
                    numbers[subject] = number
                else:
                    numbers[subject] = max(before, number) if kind == "best" else before + number


def number_of(value: Any) -> float | None:
    """A value as a number that can be summed; None if it is none. Truth values are no numbers."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if -MOST_NUMBER <= value <= MOST_NUMBER:
        return float(value)
    return MOST_NUMBER if value > 0 else -MOST_NUMBER


def subjects_at(data: Mapping[str, Any], path: str) -> list[UUID]:
    """The ids that stand at a path, one or a list of them; what is no id is left out."""
    value = value_at(data, path)
    ids: dict[UUID, None] = {}
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, str) and len(item) == 36:
            try:
                ids[UUID(item)] = None
            except ValueError:
                continue
    return list(ids)


def item_of(value: Any) -> str | None:
    """How a value is told from others; None for what is not there."""
    if value is None:
        return None
    text = encode_basestring(value) if isinstance(value, str) else _canonical(value)
    return text if len(text) < LONG_ITEM else "#" + derived_uuid(text).hex


def streak(value: float, last: int | None, day: int, grace: int) -> tuple[float, int]:
    """A streak and its last day after something happened on a day. An earlier day changes nothing.

    The statement `service.STREAK` does the same.
    """
    if last is not None and day <= last:
        return value, last
    return (value + 1 if last is not None and day - last <= 1 + grace else 1.0), day


def current(spec: MeasureSpec, value: float, last: int | None, today: int) -> float:
    """What a value is worth on a day: a streak that was left too long is none any more."""
    if spec.kind == "streak" and last is not None and today - last > 1 + spec.grace_days:
        return 0.0
    return value
