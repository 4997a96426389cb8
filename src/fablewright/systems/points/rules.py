"""What points are worth: amounts, multipliers, levels, streaks, and what refuses them. Pure."""

import re
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from fablewright.core.conditions import Holds, number_at, value_at
from fablewright.core.messages import matches
from fablewright.core.refusal import CONFLICT, INVALID, NOT_FOUND, Refusal
from fablewright.systems.points.guards import NO_GUARDS, Limits, WorldGuards

POINTS: Final = "points"
"""The currency that levels follow."""
MOST_AWARD: Final = 10**12
"""The most that one award gives, after all multipliers."""
MOST_EARNED: Final = 2**60
"""Beyond this, what is earned is no longer counted."""
MOST_REASON: Final = 300
MOST_RULES: Final = 1_000
MOST_BONUSES: Final = 200
MOST_LEVEL: Final = 1_000
LOOPING: Final = (
    "points.",
    "ledger.",
    "progress.",
    "achievements.progressed",
    "achievements.*",
    "leaderboards.*",
)
"""What awards bring about themselves; a rule that listened to it would award for its own awards."""

CHARACTER_NOT_FOUND = Refusal(
    "character_not_found", NOT_FOUND, "There is no such character in this world. Look it up in the list."
)
RULE_NOT_FOUND = Refusal(
    "award_rule_not_found", NOT_FOUND, "There is no such award rule. Look it up in the list, or define it."
)
RULE_DISABLED = Refusal(
    "award_rule_disabled", CONFLICT, "This award rule is switched off. Enable it, or award an amount instead."
)
RULE_WOULD_LOOP = Refusal(
    "rule_would_loop", INVALID,
    "A rule cannot listen to what awards themselves bring about, nor to everything. Name another type of event.",
)  # fmt: skip
RULE_LISTENS = Refusal(
    "award_rule_listens", CONFLICT,
    "This rule awards by itself when its event happens. Name a rule without `on`, or send the event.",
)  # fmt: skip
TOO_MANY_RULES = Refusal(
    "too_many_award_rules", CONFLICT, "The world has as many award rules as it can have. Remove some first."
)
TOO_MANY_BONUSES = Refusal(
    "too_many_bonuses", CONFLICT,
    "The world has as many bonus events as it can have. End some that are over first.",
)  # fmt: skip
NO_AMOUNT = Refusal(
    "no_amount", INVALID,
    "The rule takes its amount from the data, and there is no number above 0. Send one in that field.",
)  # fmt: skip
BONUS_NOT_FOUND = Refusal(
    "bonus_not_found", NOT_FOUND, "There is no such bonus event. Look it up in the list of those to come."
)
BONUS_NEVER = Refusal(
    "bonus_never", INVALID, "The bonus would end before it begins, or is over already. Choose a later end."
)
TITLE_NOT_FOUND = Refusal(
    "title_not_found", NOT_FOUND, "The character was granted no such title. Look at what it has."
)
VERDICT_NOT_FOUND = Refusal(
    "verdict_not_found", NOT_FOUND, "There is no such verdict. Look it up in the queue."
)
VERDICT_CLOSED = Refusal("verdict_closed", CONFLICT, "This verdict is decided already. Look at its `state`.")
NOTHING_TO_REVERSE = Refusal(
    "nothing_to_reverse", CONFLICT, "Nothing was given that could be taken back. Confirm it without `reverse`."
)  # fmt: skip
NO_AWARD = Refusal(
    "not_an_award",
    CONFLICT,
    "This transfer is neither an award nor a gift. Reverse it in the ledger, or adjust.",
)
CONDITIONS_NOT_MET = Refusal(
    "conditions_not_met", CONFLICT,
    "The data is not as the rule's conditions want it. Look at its `where`.",
)  # fmt: skip
ADJUSTED_BY_NOTHING = Refusal(
    "adjusted_by_nothing", INVALID, "An adjustment of 0 changes nothing. Send another amount."
)


# -- levels --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Curve:
    """From how much earned on one is on which level: `thresholds` are those of levels 2, 3, …, ascending."""

    thresholds: tuple[int, ...] = ()

    def level(self, earned: int) -> int:
        """The level of who has earned so much; 1 at 0."""
        return 1 + bisect_right(self.thresholds, earned)

    def starts_at(self, level: int) -> int | None:
        """What must be earned for a level; None if there is no such level."""
        if level <= 1:
            return 0
        return self.thresholds[level - 2] if level - 2 < len(self.thresholds) else None


def linear(base: int, max_level: int) -> Curve:
    """Each level takes `base` more: level n begins at base · (n - 1)."""
    return Curve(tuple(base * n for n in range(1, max_level)))


def power(base: int, exponent: float, max_level: int) -> Curve:
    """Level n begins at base · (n - 1) ^ exponent, rounded; exponents above 1 make each level take longer."""
    found = [min(MOST_EARNED, round(base * n**exponent)) for n in range(1, max_level)]
    return Curve(tuple(max(at, n) for n, at in enumerate(found, 1)))


DEFAULT_CURVE: Final = power(100, 1.5, 100)


# -- what is defined -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Multiplier:
    """That awards grow with the character's level or its streak: 1 + `per_step` for each after the first."""

    kind: str
    per_step: float
    most: float

    def factor(self, steps: int) -> float:
        """For a level or a streak, at least 1."""
        return min(self.most, 1.0 + self.per_step * max(0, steps - 1))


@dataclass(frozen=True, slots=True)
class Bonus:
    """A time in which awards are multiplied: those of all rules (`rules` None), or of some."""

    id: UUID
    name: str
    multiplier: float
    rules: frozenset[str] | None
    from_ms: int
    until_ms: int

    def holds(self, rule: str, now: int) -> bool:
        """Whether it counts for this rule now."""
        return self.from_ms <= now < self.until_ms and (self.rules is None or rule in self.rules)


@dataclass(frozen=True, slots=True)
class Rule:
    """An award rule, ready to be used."""

    key: str
    on: str | None
    holds: Holds
    subject: str | None
    amount: int | None
    amount_field: str | None
    currency: str
    multipliers: tuple[Multiplier, ...]
    most_per_award: int | None
    reason: Callable[[Mapping[str, Any]], str]
    limits: Limits | None
    enabled: bool

    def base(self, data: Mapping[str, Any]) -> int | None:
        """What it is worth before anything else; None if the data has no number above 0 in its place."""
        if self.amount is not None:
            return self.amount
        assert self.amount_field is not None
        found = number_at(data, self.amount_field)
        if found is None or not found >= 1:
            return None
        return int(min(found, MOST_AWARD))


@dataclass(frozen=True, slots=True)
class PointsWorld:
    """All that a world defines about points."""

    rules: Mapping[str, Rule] = field(default_factory=dict)
    bonuses: tuple[Bonus, ...] = ()
    curve: Curve = DEFAULT_CURVE
    titles: tuple[tuple[int, str], ...] = ()
    """From which level on one has which title, ascending."""
    guards: WorldGuards = NO_GUARDS
    _heard: dict[str, tuple[Rule, ...]] = field(default_factory=dict)

    def listening(self, event_type: str) -> tuple[Rule, ...]:
        """The rules that listen to a type of event, by key."""
        found = self._heard.get(event_type)
        if found is None:
            found = tuple(
                r for r in self.rules.values() if r.enabled and r.on is not None and matches(r.on, event_type)
            )
            if len(self._heard) < 10_000:
                self._heard[event_type] = found
        return found

    def title(self, level: int) -> str | None:
        """The title that goes with a level, if the world has titles for levels."""
        at = bisect_right(self.titles, level, key=lambda entry: entry[0])
        return self.titles[at - 1][1] if at else None


def loops(pattern: str) -> bool:
    """Whether a rule that listened to this would award for its own awards."""
    return pattern == "*" or pattern.startswith(LOOPING)


# -- one award -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Part:
    """Something that made an award larger or smaller, and by which factor."""

    what: str
    factor: float


def multiplied(
    rule: Rule, base: int, level: int, streak: int, bonuses: Sequence[Bonus], now: int
) -> tuple[int, list[Part]]:
    """The amount after level, streak, bonus events and cap, and how it came about. At least 1."""
    parts: list[Part] = []
    for multiplier in rule.multipliers:
        factor = multiplier.factor(level if multiplier.kind == "level" else streak)
        if factor != 1.0:
            parts.append(Part(multiplier.kind, factor))
    for bonus in bonuses:
        if bonus.holds(rule.key, now):
            parts.append(Part(f"bonus: {bonus.name}", bonus.multiplier))
    amount = base
    if parts:
        product = float(base)
        for part in parts:
            product *= part.factor
        # The sum of tenths and fifths is seldom exact; 30.000000000000004 shall be 30, and 29.999999999999996 too.
        amount = max(1, int(min(product, MOST_AWARD) + 1e-6))
    cap = min(rule.most_per_award or MOST_AWARD, MOST_AWARD)
    if amount > cap:
        parts.append(Part("cap", cap / amount))
        amount = cap
    return amount, parts


def streak_day_on(last_day: int | None, day: int) -> int:
    """The last day of a streak after an award on `day`. A commit that read the clock just before midnight, but comes
    after one of the new day, does not set it back."""
    return last_day if last_day is not None and last_day == day + 1 else day


def streak_on(streak: int, last_day: int | None, day: int) -> int:
    """How many world days in a row there was an award, with one on `day`."""
    if last_day is None or day > last_day + 1:
        return 1
    return streak + 1 if day == last_day + 1 else max(1, streak)


def streak_now(streak: int, last_day: int | None, day: int) -> int:
    """The streak as it stands on `day`: it is lost once a whole day passed without an award."""
    return streak if last_day is not None and day <= last_day + 1 else 0


_FIELD: Final = re.compile(r"\{([A-Za-z_][\w-]*(?:\.[\w-]+)*)\}")


def reason_of(template: str) -> Callable[[Mapping[str, Any]], str]:
    """What makes the reason of an award from a template: `{quest}` stands for that field of the data."""
    if not _FIELD.search(template):
        return lambda _data: template

    def filled(data: Mapping[str, Any]) -> str:
        text = _FIELD.sub(lambda match: _word(value_at(data, match[1])), template)
        return text.replace("\x00", "").strip()[:MOST_REASON] or template

    return filled


def _word(value: Any) -> str:
    if isinstance(value, str):
        return value[:MOST_REASON]
    return "" if value is None or isinstance(value, dict | list) else str(value)
