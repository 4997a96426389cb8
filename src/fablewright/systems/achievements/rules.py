"""What an achievement is, how far somebody has come in it, and which may build on which. Pure."""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ulp
from typing import Annotated, Final, Literal, NamedTuple, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from fablewright.core.conditions import FieldTest
from fablewright.core.refusal import CONFLICT, INVALID, NOT_FOUND, Refusal
from fablewright.systems.progress.rules import UNLOCKED, UNMEASURED, MeasureSpec

MOST_TIERS: Final = 10
MOST_ACHIEVEMENTS: Final = 1_000
"""Achievements of a world."""
MOST_KEYS: Final = 50
MOST_LEVELS: Final = 4
"""How many layers of achievements made of achievements: each is one more round in the commit that unlocks them."""
MOST_AT_ONCE: Final = 100
"""Steps of a repeatable achievement that unlock in one commit; the others wait for the next event that counts."""
MOST_GOAL: Final = 2.0**53
MOST_POINTS: Final = 2**53

ACHIEVEMENT_NOT_FOUND = Refusal(
    "achievement_not_found",
    NOT_FOUND,
    "There is no such achievement in this world. Look it up in the list.",
)
ACHIEVEMENT_UNKNOWN = Refusal(
    "achievement_unknown",
    INVALID,
    "It names an achievement that the world does not have. Define that one first.",
)
ACHIEVEMENT_CYCLE = Refusal(
    "achievement_cycle",
    CONFLICT,
    "It would need itself, through the others named in `path`. Break the circle.",
)
ACHIEVEMENT_TOO_DEEP = Refusal(
    "achievement_too_deep",
    CONFLICT,
    f"Achievements made of others may stand in {MOST_LEVELS} layers at most. Name the ones below instead.",
)
ACHIEVEMENT_FEEDS_ITSELF = Refusal(
    "achievement_feeds_itself", INVALID,
    "A repeatable achievement that counts points cannot reward with points: each reward would bring the next.",
)  # fmt: skip
ACHIEVEMENT_IN_USE = Refusal(
    "achievement_in_use",
    CONFLICT,
    "Other achievements need this one. Change or remove those in `keys` first.",
)
TOO_MANY_ACHIEVEMENTS = Refusal(
    "too_many_achievements", CONFLICT, f"A world can have {MOST_ACHIEVEMENTS} achievements. Remove some."
)
ACHIEVEMENT_NOT_MANUAL = Refusal(
    "achievement_not_manual",
    CONFLICT,
    "This achievement is reached by what it counts. Only those of the kind `manual` are granted.",
)
ACHIEVEMENT_LOCKED = Refusal(
    "achievement_locked",
    CONFLICT,
    "The character lacks achievements that this one requires; `missing` names them.",
)
ALREADY_UNLOCKED = Refusal("already_unlocked", CONFLICT, "The character has it already.")
TIER_NOT_FOUND = Refusal("tier_not_found", INVALID, "The achievement has no such tier. Count them from 1.")
ACHIEVER_NOT_FOUND = Refusal(
    "character_not_found", NOT_FOUND, "There is no such character in this world. Look it up in the list."
)

AchievementKey = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
Line = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=r"^[^\x00-\x1f]*$"),
]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AllOf(_Value):
    """Reached by having unlocked all of these."""

    kind: Literal["all_of"]
    keys: list[AchievementKey] = Field(min_length=1, max_length=MOST_KEYS)


class AnyOf(_Value):
    """Reached by having unlocked one of these."""

    kind: Literal["any_of"]
    keys: list[AchievementKey] = Field(min_length=1, max_length=MOST_KEYS)


class Manual(_Value):
    """Reached by being granted."""

    kind: Literal["manual"]


Criteria = Annotated[MeasureSpec | AllOf | AnyOf | Manual, Field(discriminator="kind")]


class Tier(_Value):
    """A step of an achievement, and what it brings."""

    goal: float | None = Field(
        None, gt=0, le=MOST_GOAL, allow_inf_nan=False,
        description="How far one must come; for what is counted, and only there.",
    )  # fmt: skip
    name: Line | None = Field(None, description="Such as `Bronze`.")
    points: int = Field(0, ge=0, le=MOST_POINTS, description="What it is worth, in the currency.")
    title: Line | None = Field(None, description="The title that it grants.")


class AchievementDefinition(_Value):
    """An achievement, as data."""

    name: Line
    description: Annotated[str, StringConstraints(max_length=1000, pattern=r"^[^\x00]*$")] = ""
    icon: Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00-\x1f]*$")] = ""
    hidden: bool = Field(False, description="Whether players see it only once they have it.")
    criteria: Criteria = Field(description="How it is reached.")
    tiers: list[Tier] = Field([Tier()], min_length=1, max_length=MOST_TIERS)
    requires: list[AchievementKey] = Field(
        [], max_length=MOST_KEYS, description="What one must have unlocked before; until then it is locked."
    )
    repeatable: bool = Field(False, description="Whether one can reach it again and again.")
    currency: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,59}$")] = "points"

    @model_validator(mode="after")
    def _tiers_fit(self) -> Self:
        goals = [tier.goal for tier in self.tiers]
        if isinstance(self.criteria, MeasureSpec):
            if any(goal is None for goal in goals):
                raise ValueError("each tier of what is counted needs a `goal`")
            if any((a or 0) >= (b or 0) for a, b in pairwise(goals)):
                raise ValueError("each tier needs a higher goal than the one before")
            if any(pattern.startswith(UNMEASURED) for pattern in self.criteria.on):
                raise ValueError("achievements are not counted: name them with `all_of` or `any_of`")
        elif any(goal is not None for goal in goals):
            raise ValueError("a `goal` belongs to what is counted")
        elif isinstance(self.criteria, AllOf | AnyOf) and len(self.tiers) > 1:
            raise ValueError("what is made of other achievements has one tier")
        return self

    @model_validator(mode="after")
    def _repeats_fit(self) -> Self:
        if self.repeatable and self.criteria.kind not in ("count", "sum", "manual"):
            raise ValueError("only count, sum and manual can be repeated")
        if self.repeatable and self.criteria.kind == "manual" and len(self.tiers) > 1:
            raise ValueError("what is granted repeatedly has one tier")
        return self


def goals_of(definition: AchievementDefinition) -> tuple[float, ...]:
    """The goal of each tier."""
    criteria = definition.criteria
    if isinstance(criteria, AllOf):
        return (float(len(set(criteria.keys))),)
    if isinstance(criteria, AnyOf):
        return (1.0,)
    if isinstance(criteria, Manual):
        return tuple(float(n) for n in range(1, len(definition.tiers) + 1))
    return tuple(float(tier.goal or 0) for tier in definition.tiers)


def measure_of(definition: AchievementDefinition) -> MeasureSpec | None:
    """What is measured for it; None if it is granted.

    What is made of others counts which of them were unlocked, so that it is kept like anything else.
    """
    criteria = definition.criteria
    if isinstance(criteria, AllOf | AnyOf):
        keys: list[str | int | float | bool | None] = [*sorted(set(criteria.keys))]
        where = [FieldTest(field="key", op="one_of", value=keys)]
        return MeasureSpec(kind="distinct", on=[UNLOCKED], where=where, field="key")
    return criteria if isinstance(criteria, MeasureSpec) else None


def feeds_itself(definition: AchievementDefinition) -> bool:
    """Whether its rewards would be counted for it, again and again."""
    criteria = definition.criteria
    return (
        definition.repeatable
        and isinstance(criteria, MeasureSpec)
        and any(tier.points for tier in definition.tiers)
        and any(pattern.startswith(("points.", "ledger.")) for pattern in criteria.on)
    )


def needed(definition: AchievementDefinition) -> list[str]:
    """The achievements that this one names."""
    criteria = definition.criteria
    own = criteria.keys if isinstance(criteria, AllOf | AnyOf) else []
    return list(dict.fromkeys([*own, *definition.requires]))


# -- which build on which ------------------------------------------------------------------------------------


def cycle_from(start: str, graph: Mapping[str, Sequence[str]]) -> list[str] | None:
    """A way from `start` back to itself along what each needs; None if there is none."""
    path, waiting, seen = [start], [list(graph.get(start, ()))], {start}
    while waiting:
        if not waiting[-1]:
            waiting.pop()
            path.pop()
            continue
        key = waiting[-1].pop()
        if key == start:
            return [*path, start]
        if key not in seen:
            seen.add(key)
            path.append(key)
            waiting.append(list(graph.get(key, ())))
    return None


def layers(graph: Mapping[str, Sequence[str]], groups: Collection[str]) -> int:
    """How many achievements made of others (`groups`) stand upon each other at most. `graph` has no cycles."""
    depth: dict[str, int] = {}
    for first in graph:
        stack = [first]
        while stack:
            key = stack[-1]
            below = graph.get(key, ())
            missing = [k for k in below if k not in depth]
            if missing:
                stack += missing
                continue
            depth[key] = (key in groups) + max((depth[k] for k in below), default=0)
            stack.pop()
    return max(depth.values(), default=0)


# -- how far -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Standing:
    """How far somebody has come towards the next tier; at the end, in the last one."""

    tier: int
    current: float
    goal: float
    percent: int


class Rung(NamedTuple):
    """What is told of who has passed a mark: a line of JSON up to its two numbers, and the goal of the tier."""

    start: str
    middle: str
    goal: float

    @staticmethod
    def of(key: str, tier: int, goal: float) -> "Rung":
        """The rung of an achievement on the way to a tier."""
        return Rung(f'{{"key":"{key}","tier":{tier},"current":', f',"goal":{goal!r},"percent":', goal)


def written(rungs: Mapping[str, Rung], current: float) -> dict[str, str]:
    """An `events.ProgressLine` as JSON for each of these rungs, under its key."""
    come, hundred = repr(current), 100 * current
    return {
        key: f"{start}{come}{middle}{int(hundred / goal) if current < goal else 100}}}"
        for key, (start, middle, goal) in rungs.items()
    }


class Ladder:
    """The steps of an achievement: its tiers and, if it is repeatable, these again and again."""

    def __init__(self, goals: Sequence[float], repeatable: bool):
        self.goals = tuple(goals)
        self.repeatable = repeatable
        marks, before = set(goals), 0.0
        for goal in goals:
            marks.update(m for percent in range(1, 100) if before < (m := goal * percent / 100) < goal)
            before = goal
        self.marks = sorted(marks)

    def reached(self, value: float) -> int:
        """How many steps are behind somebody who has come this far."""
        rounds, rest = self._rounds(value)
        return rounds * len(self.goals) + bisect_right(self.goals, rest)

    def mark(self, value: float) -> int:
        """A number that grows with each step and each whole percent on the way to it."""
        rounds, rest = self._rounds(value)
        return rounds * len(self.marks) + bisect_right(self.marks, rest)

    def standing(self, value: float) -> Standing:
        """How far it is to the next tier."""
        _, rest = self._rounds(value)
        tier = min(bisect_right(self.goals, rest), len(self.goals) - 1)
        goal = self.goals[tier]
        return Standing(tier + 1, rest, goal, max(0, min(100, int(100 * rest / goal))))

    def rung(self, key: str, mark: float) -> Rung:
        """What is told of who has passed a mark last, under the key of the achievement."""
        at = self.standing(mark)
        return Rung.of(key, at.tier, at.goal)

    def steps(self, after: int, reached: int) -> list[tuple[int, int]]:
        """The (tier, repetition) of the steps after one and up to another, as many as go at once."""
        many = len(self.goals)
        return [(n % many + 1, n // many + 1) for n in range(after, min(reached, after + MOST_AT_ONCE))]

    def _rounds(self, value: float) -> tuple[int, float]:
        if not self.repeatable or value < self.goals[-1]:
            return 0, value
        rounds = int(value // self.goals[-1])
        return rounds, value - rounds * self.goals[-1]


def ladder_of(definition: AchievementDefinition) -> Ladder:
    """The steps of an achievement."""
    return Ladder(goals_of(definition), definition.repeatable)


@dataclass(frozen=True, slots=True)
class Entry:
    """An achievement of a world, ready for use."""

    id: UUID
    key: str
    definition: AchievementDefinition
    measure_id: UUID | None
    ladder: Ladder
    generation: int = 1

    @staticmethod
    def of(id_: UUID, key: str, definition: AchievementDefinition, measure_id: UUID | None) -> "Entry":
        """An achievement with its ladder."""
        return Entry(id_, key, definition, measure_id, ladder_of(definition))

    @property
    def source(self) -> str:
        """How a reward names it: a hidden one without its key."""
        return f"achievement:{self.id if self.definition.hidden else self.key}"


class Watch:
    """The achievements over one measure, and quickly which of them a step concerns.

    The goals of all that are not repeatable lie in one sorted row, each with its owner, and so do the marks of those
    that may be told of: a step concerns those whose goals or marks it passes, however many others there are.
    """

    def __init__(self, entries: Iterable[Entry]):
        entries = tuple(entries)
        self._sums = any(entry.definition.criteria.kind == "sum" for entry in entries)
        self._repeatable = tuple(entry for entry in entries if entry.ladder.repeatable)
        once = [entry for entry in entries if not entry.ladder.repeatable]
        goals = sorted((goal, n) for n, entry in enumerate(once) for goal in entry.ladder.goals)
        self._goals = [goal for goal, _ in goals]
        self._winners = [once[n] for _, n in goals]
        marks = sorted(
            (mark, n)
            for n, entry in enumerate(once)
            if not entry.definition.hidden
            for mark in entry.ladder.marks
        )
        self._marks = [mark for mark, _ in marks]
        self._keys = [once[n].key for _, n in marks]
        self._rungs = [once[n].ladder.rung(once[n].key, mark) for mark, n in marks]

    def reached(self, before: float, after: float) -> list[tuple[Entry, int]]:
        """Those with a step between the two, and how many steps are behind somebody who has come to `after`.

        What a sum was before is known up to rounding: one that may lie there comes again rather than not at all.
        """
        if self._sums:
            before -= ulp(max(abs(before), abs(after)))
        first, last = bisect_right(self._goals, before), bisect_right(self._goals, after)
        passed = {entry.key: entry for entry in self._winners[first:last]}.values() if last > first else ()
        found = [(entry, entry.ladder.reached(after)) for entry in passed]
        for entry in self._repeatable:
            steps = entry.ladder.reached(after)
            if steps and steps > entry.ladder.reached(before):
                found.append((entry, steps))
        return found

    def told(self, before: float, after: float) -> dict[str, str]:
        """Lines, by key, of those that are not hidden and have a tier or a whole percent between the two."""
        first, last = bisect_right(self._marks, before), bisect_right(self._marks, after)
        lines: dict[str, str] = {}
        if last > first:  # of each, the last mark counts
            lines = written(dict(zip(self._keys[first:last], self._rungs[first:last], strict=True)), after)
        for entry in self._repeatable:
            ladder = entry.ladder
            if not entry.definition.hidden and ladder.mark(before) < ladder.mark(after):
                at = ladder.standing(after)
                lines |= written({entry.key: Rung.of(entry.key, at.tier, at.goal)}, at.current)
        return lines


class Catalog:
    """All achievements of a world, found by what one has of them."""

    def __init__(self, entries: Iterable[Entry]):
        self.by_key = {entry.key: entry for entry in entries}
        self.by_id = {entry.id: entry for entry in self.by_key.values()}
        self._over: dict[UUID, list[Entry]] = {}
        self._watches: dict[UUID, Watch] = {}
        self.dependents: dict[str, list[Entry]] = {}
        """Those that require an achievement."""
        for entry in self.by_key.values():
            if entry.measure_id is not None:
                self._over.setdefault(entry.measure_id, []).append(entry)
            for key in entry.definition.requires:
                self.dependents.setdefault(key, []).append(entry)

    def over(self, measure_id: UUID) -> Watch | None:
        """The achievements over a measure; None if there are none."""
        found = self._watches.get(measure_id)
        if found is None and measure_id in self._over:
            found = self._watches[measure_id] = Watch(self._over[measure_id])
        return found

    def naming(self, keys: Collection[str]) -> list[Entry]:
        """Those that are made of some of these."""
        return [
            entry for entry in self.by_key.values()
            if isinstance(entry.definition.criteria, AllOf | AnyOf)
            and not set(keys).isdisjoint(entry.definition.criteria.keys)
        ]  # fmt: skip

    def hides(self, key: str) -> bool:
        """Whether there is such an achievement, and it is hidden."""
        entry = self.by_key.get(key)
        return entry is not None and entry.definition.hidden

    @property
    def groups(self) -> set[str]:
        """Those that are made of others."""
        return {key for key, e in self.by_key.items() if isinstance(e.definition.criteria, AllOf | AnyOf)}

    @property
    def graph(self) -> dict[str, list[str]]:
        """What each achievement names."""
        return {key: needed(entry.definition) for key, entry in self.by_key.items()}
