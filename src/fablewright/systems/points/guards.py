"""What keeps awards honest: limits of an action, and checks across actions. Pure.

A *limit* belongs to an award rule (at most ten a minute); a *guard* to the world (bursts, outliers, gift circles).
Either has an outcome: `refuse` (with when it may be tried again), `reduce`, `flag` (given, but to be reviewed) or
`quarantine` (held until a game master decides). What counts against limits is what was given, also if it was reduced
or flagged; what was refused or waits does not. Only `min_step_ms` counts every try.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from math import ceil, sqrt
from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from fablewright.core.clock import DAY, UTC, Calendar
from fablewright.core.refusal import TOO_MANY, Refusal, Refused

Outcome = Literal["refuse", "reduce", "flag", "quarantine"]
Clock = Literal["world", "real"]
SEVERITY: Final[Mapping[Outcome | None, int]] = {
    None: 0, "reduce": 1, "flag": 2, "quarantine": 3, "refuse": 4,
}  # fmt: skip
"""Which of several outcomes an award gets: the greatest. What is flagged may be reduced all the same."""
GIVEN: Final = (None, "flag", "reduce")
"""Outcomes with which an award is given, if perhaps a smaller one."""

MOST_SPAN_MS: Final = 400 * DAY
MOST_IN_WINDOW: Final = 1_000
MOST_STEPS: Final = 6
LEAST_SPREAD: Final = 0.1
"""A distribution counts as at least this much of its mean wide (where all were 10, 11 is not far), and one point."""

Hit = tuple[str, int | None, dict[str, Any]]
Span = Annotated[int, Field(gt=0, le=MOST_SPAN_MS)]
Share = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]

AWARD_LIMITED = Refusal(
    "award_limited", TOO_MANY,
    "A limit stands in the way. `guard` says which. Try again at `retry_at`; where that is null, ask for less.",
)  # fmt: skip


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Window(_Model):
    """At most so many within any span of so many ms (a sliding window, exactly)."""

    most: int = Field(ge=1, le=MOST_IN_WINDOW)
    ms: Span


class Diminishing(_Model):
    """Each day, after so many awards of the action, each further one is worth `factor` of the one before."""

    after: int = Field(ge=0, le=1_000_000, description="How many a day are given whole.")
    factor: float = Field(gt=0, lt=1, allow_inf_nan=False)
    floor: Share = Field(0, description="The least share of an award that is given; 0: down to nothing.")


class Limits(_Model):
    """How often and how much one character may get for one action."""

    cooldown_ms: Span | None = Field(None, description="Least time since the last that was given.")
    min_step_ms: Span | None = Field(None, description="Least time since the last try, given or not.")
    window: Window | None = None
    most_per_day: int | None = Field(None, ge=1, le=10**9, description="How many awards a day.")
    amount_per_day: int | None = Field(None, ge=1, le=2**53, description="How much in all a day.")
    diminishing: Diminishing | None = Field(None, description="Always reduces, whatever the outcome.")
    outcome: Outcome = "refuse"
    reduced: Share = Field(0.5, description="What share is given beyond a limit whose outcome is `reduce`.")
    clock: Clock = Field("world", description="Whose time counts; the days of real time are those of UTC.")

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        kinds = ("cooldown_ms", "min_step_ms", "window", "most_per_day", "amount_per_day", "diminishing")
        if all(getattr(self, kind) is None for kind in kinds):
            raise ValueError("name at least one limit")
        return self


class Burst(_Model):
    """At most so many awards of a character within so many ms, whatever they are for."""

    most: int = Field(ge=1, le=MOST_IN_WINDOW)
    ms: Span
    outcome: Outcome = "flag"
    reduced: Share = 0.5
    clock: Clock = "world"


class Outlier(_Model):
    """An award far above what the character usually gets, or what the world usually gives for the action.

    Far: more than `deviations` standard deviations above the mean of at least `at_least_awards` awards. With `reduce`,
    it is cut down to that bound.
    """

    deviations: float = Field(4, ge=1, le=100, allow_inf_nan=False)
    at_least_awards: int = Field(30, ge=2, le=1_000_000)
    outcome: Outcome = "flag"


class GiftCircle(_Model):
    """A gift that closes a circle: over at most so many gifts of the last so many ms it comes back to the giver."""

    most_steps: int = Field(4, ge=2, le=MOST_STEPS, description="Gifts in the circle, this one included.")
    ms: Span = 7 * DAY
    outcome: Literal["refuse", "flag", "quarantine"] = "flag"


class WorldGuards(_Model):
    """A world's checks across actions; what is null is not checked."""

    burst: Burst | None = None
    outlier: Outlier | None = None
    gift_circle: GiftCircle | None = None


NO_GUARDS: Final = WorldGuards()


# -- what is remembered --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Moment:
    """World time (ms), real time (ms since 1970), how fast the world runs (None while it stands), and its days."""

    world_ms: int
    real_ms: int
    rate: float | None = 1.0
    calendar: Calendar = UTC

    def on(self, clock: Clock) -> int:
        """The time by a clock, ms."""
        return self.world_ms if clock == "world" else self.real_ms

    def days(self, clock: Clock) -> Calendar:
        """Where the days of a clock begin."""
        return self.calendar if clock == "world" else UTC

    def seconds_until(self, clock: Clock, at: int) -> int | None:
        """Whole real seconds until it is `at` by that clock; None while that clock stands."""
        rate = self.rate if clock == "world" else 1.0
        return None if rate is None else max(0, ceil((at - self.on(clock)) / rate / 1000))


@dataclass(frozen=True, slots=True)
class ActionMemory:
    """What a character did of one action: when it was given awards, ascending, as far back as a limit looks; when it
    last tried; and how many and how much it was given on `day`. Times are of the clock of the action's limits."""

    times: tuple[int, ...] = ()
    last_at: int | None = None
    day: int | None = None
    day_count: int = 0
    day_amount: int = 0


FRESH: Final = ActionMemory()


@dataclass(frozen=True, slots=True)
class Distribution:
    """How many awards there were, their mean, and the sum of their squared deviations from it."""

    awards: int = 0
    mean: float = 0.0
    spread: float = 0.0

    def plus(self, amount: int) -> "Distribution":
        """With one award more (Welford 1962, "Note on a method for calculating corrected sums of squares")."""
        awards = self.awards + 1
        away = amount - self.mean
        mean = self.mean + away / awards
        return Distribution(awards, mean, self.spread + away * (amount - mean))

    def minus(self, amount: int) -> "Distribution":
        """Without an award that is in it."""
        if (awards := self.awards - 1) < 1:
            return Distribution()
        mean = (self.awards * self.mean - amount) / awards
        return Distribution(awards, mean, max(0.0, self.spread - (amount - mean) * (amount - self.mean)))

    @property
    def deviation(self) -> float:
        """The standard deviation of the sample, or what `LEAST_SPREAD` says if that is more."""
        sample = sqrt(max(0.0, self.spread) / (self.awards - 1)) if self.awards > 1 else 0.0
        return max(sample, abs(self.mean) * LEAST_SPREAD, 1.0)

    def score(self, amount: int) -> float:
        """How many deviations an amount is above the mean; negative below it."""
        return (amount - self.mean) / self.deviation

    def described(self, amount: int) -> dict[str, float]:
        """What it is like, and where an amount stands in it, as evidence."""
        parts = {"mean": self.mean, "deviation": self.deviation, "score": self.score(amount)}
        return {"awards": self.awards} | {name: round(value, 3) for name, value in parts.items()}


@dataclass(frozen=True, slots=True)
class Habit:
    """What a character gets over all actions: when last, ascending, and how much at a time."""

    recent: tuple[int, ...] = ()
    sizes: Distribution = Distribution()


NO_HABIT: Final = Habit()
NO_SIZES: Final = Distribution()
# -- judgements ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a check says of an award that was asked for.

    `outcome` None: nothing found. `given` is what is paid, or with `quarantine` what is held; 0 if refused. `retry_at`
    is a time by `clock`, None if waiting does not help (then `evidence` says what would).
    """

    asked: int
    given: int
    outcome: Outcome | None = None
    guard: str | None = None
    evidence: dict[str, Any] = field(default_factory=dict)
    retry_at: int | None = None
    clock: Clock = "world"

    @property
    def paid(self) -> int:
        """What the character gets now."""
        return self.given if self.outcome in GIVEN else 0

    def refused(self, moment: Moment) -> Refused:
        """The refusal that it is: `award_limited`, with when to try again. The evidence is for game masters."""
        wait = None if self.retry_at is None else moment.seconds_until(self.clock, self.retry_at)
        when = "with less" if self.retry_at is None else f"at {self.retry_at} ({self.clock} time, ms)"
        return AWARD_LIMITED(
            f"The limit {self.guard!r} stands in the way. It may be tried again {when}.", guard=self.guard,
            retry_at=self.retry_at, clock=self.clock, **({} if wait is None else {"retry_after_seconds": wait}),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Weighed:
    """A judgement over all checks, and what is remembered after it."""

    judgement: Judgement
    memory: ActionMemory
    habit: Habit
    sizes: Distribution


def weigh(
    limits: Limits | None, guards: WorldGuards, memory: ActionMemory, habit: Habit, sizes: Distribution,
    asked: int, moment: Moment,
) -> Weighed:  # fmt: skip
    """Ask all checks about an award of `asked` (> 0), and count it.

    `sizes` are those of the world's awards of this action. Of several findings the severest decides, of equally severe
    ones that which waits longest; the others stand in its evidence under `also`.
    """
    found: list[Judgement] = []
    if limits is not None:
        by_it = moment.on(limits.clock), moment.days(limits.clock)
        found.append(judge(limits, memory, asked, *by_it))
    amount = found[0].given if found and found[0].given else asked
    if guards.burst is not None:
        found.append(burst(guards.burst, habit.recent, amount, moment.on(guards.burst.clock)))
        amount = found[-1].given or amount
    if guards.outlier is not None:
        found.append(outlier(guards.outlier, habit.sizes, sizes, amount))
    paid = (judgement := combined(asked, found)).paid
    if limits is not None:
        memory = remembered(limits, memory, paid, *by_it)
    if paid:
        recent = habit.recent
        if guards.burst is not None:
            recent = _kept(recent, moment.on(guards.burst.clock), guards.burst.most, guards.burst.ms)
        habit, sizes = Habit(recent, habit.sizes.plus(paid)), sizes.plus(paid)
    return Weighed(judgement, memory, habit, sizes)


def combined(asked: int, found: Iterable[Judgement]) -> Judgement:
    """One judgement from several about the same award, each given what the one before left of it."""
    findings = [one for one in found if one.outcome is not None]
    if not findings:
        return Judgement(asked, asked)
    worst = max(findings, key=lambda one: (SEVERITY[one.outcome], _waits(one.retry_at)))
    if len(findings) == 1:
        return replace(worst, asked=asked)
    given = 0 if worst.outcome == "refuse" else min(one.given for one in findings)
    others = [one for one in findings if one is not worst]
    also = [{"guard": one.guard, "outcome": one.outcome, **one.evidence} for one in others]
    return replace(worst, asked=asked, given=given, evidence={**worst.evidence, "also": also})


def judge(limits: Limits, memory: ActionMemory, asked: int, now: int, days: Calendar = UTC) -> Judgement:
    """What the limits of an action say of an award of `asked` (> 0) at `now` (ms, by their clock, with its `days`).

    If several stand in the way, the one that does so longest is named, and `retry_at` is when none does any more.
    """
    memory = _today(_of_this_clock(limits, memory, now), now, days)
    tomorrow = days.day_start((memory.day or 0) + 1)
    amount = _diminished(limits.diminishing, memory, asked)
    hits = _hits(limits, memory, amount or asked, now, tomorrow)
    if amount == 0:
        hits.append(("diminishing", tomorrow, {"today": memory.day_count}))
    if not hits:
        if amount == asked or limits.diminishing is None:
            return Judgement(asked, asked)
        facts = {"today": memory.day_count, **limits.diminishing.model_dump()}
        return Judgement(asked, amount, "reduce", "diminishing", facts, clock=limits.clock)
    guard, retry_at, evidence = max(hits, key=lambda hit: _waits(hit[1]))
    given = {"refuse": 0, "reduce": _reduced(limits, memory, guard, amount)}.get(limits.outcome, amount)
    if limits.min_step_ms is not None and retry_at is not None:
        retry_at = max(retry_at, now + limits.min_step_ms)  # the next try counts from this one
    evidence = {"now": now, **evidence, "limits": sorted(name for name, _, _ in hits)}
    outcome: Outcome = limits.outcome if given else "refuse"
    return Judgement(asked, given, outcome, guard, evidence, retry_at, limits.clock)


def _hits(limits: Limits, memory: ActionMemory, amount: int, now: int, tomorrow: int) -> list[Hit]:
    """What stands in the way: its name, until when (None: always, for so much), and why."""
    hits: list[Hit] = []
    step, cooldown, window = limits.min_step_ms, limits.cooldown_ms, limits.window
    if step is not None and memory.last_at is not None and memory.last_at + step > now:
        hits.append(("min_step", now + step, {"last_at": memory.last_at, "min_step_ms": step}))
    if cooldown is not None and memory.times and memory.times[-1] + cooldown > now:
        facts = {"last_at": memory.times[-1], "cooldown_ms": cooldown}
        hits.append(("cooldown", memory.times[-1] + cooldown, facts))
    if window is not None:
        hits += _over("window", memory.times, window.most, window.ms, now)
    if limits.most_per_day is not None and memory.day_count >= limits.most_per_day:
        facts = {"today": memory.day_count, "most_per_day": limits.most_per_day}
        hits.append(("most_per_day", tomorrow, facts))
    if limits.amount_per_day is not None and amount > _left(limits, memory):
        facts = {"today": memory.day_amount, "amount_per_day": limits.amount_per_day, "amount": amount}
        hits.append(("amount_per_day", None if amount > limits.amount_per_day else tomorrow, facts))
    return hits


def _over(guard: str, times: tuple[int, ...], most: int, ms: int, now: int) -> list[Hit]:
    """Whether one more is over `most` within `ms`, until the earliest of the last `most` is `ms` ago."""
    if len(times) < most or times[-most] + ms <= now:
        return []
    return [(guard, times[-most] + ms, {"most": most, "ms": ms, "times": list(times[-min(most, 20) :])})]


def _diminished(rule: Diminishing | None, memory: ActionMemory, asked: int) -> int:
    if rule is None or memory.day_count < rule.after:
        return asked
    return half_up(asked * max(rule.floor, rule.factor ** (memory.day_count - rule.after + 1)))


def _reduced(limits: Limits, memory: ActionMemory, guard: str, amount: int) -> int:
    given = amount if guard == "amount_per_day" else half_up(amount * limits.reduced)
    return min(given, _left(limits, memory)) if limits.amount_per_day else given


def _left(limits: Limits, memory: ActionMemory) -> int:
    return max(0, (limits.amount_per_day or 0) - memory.day_amount)


def half_up(value: float) -> int:
    """The nearest whole number (>= 0); of two, the greater."""
    return int(value + 0.5)


def _waits(retry_at: int | None) -> float:
    return float("inf") if retry_at is None else retry_at


def burst(guard: Burst, recent: tuple[int, ...], asked: int, now: int) -> Judgement:
    """What the check for bursts says of one more award at `now` (ms, by its clock)."""
    hits = _over("burst", _foreign_removed(recent, now, guard.ms), guard.most, guard.ms, now)
    if not hits:
        return Judgement(asked, asked)
    [(_, retry_at, evidence)] = hits
    given = {"refuse": 0, "reduce": half_up(asked * guard.reduced)}.get(guard.outcome, asked)
    outcome: Outcome = guard.outcome if given else "refuse"
    return Judgement(asked, given, outcome, "burst", {"now": now, **evidence}, retry_at, guard.clock)


def outlier(guard: Outlier, own: Distribution, everyone: Distribution, asked: int) -> Judgement:
    """What the check for outliers says of an award, given the character's own and the world's of this action."""
    far = [
        (whose, sizes) for whose, sizes in (("own", own), ("world", everyone))
        if sizes.awards >= guard.at_least_awards and sizes.score(asked) > guard.deviations
    ]  # fmt: skip
    if not far:
        return Judgement(asked, asked)
    bound = min(int(sizes.mean + guard.deviations * sizes.deviation) for _, sizes in far)
    facts = {"amount": asked, "deviations": guard.deviations, "bound": bound}
    evidence: dict[str, Any] = {whose: sizes.described(asked) for whose, sizes in far} | facts
    given = {"refuse": 0, "reduce": max(0, bound)}.get(guard.outcome, asked)
    return Judgement(asked, given, guard.outcome if given else "refuse", "outlier", evidence)


# -- remembering ---------------------------------------------------------------------------------------------


def remembered(
    limits: Limits, memory: ActionMemory, paid: int, now: int, days: Calendar = UTC
) -> ActionMemory:
    """The memory after a try at `now` (ms, by the limits' clock) for which `paid` was given, 0 if nothing was."""
    memory = _today(_of_this_clock(limits, memory, now), now, days)
    last_at = max(now, memory.last_at or now) if limits.min_step_ms is not None else None
    if not paid:
        return replace(memory, last_at=last_at)
    most, ms = (limits.window.most, limits.window.ms) if limits.window else (1, 0)
    times = _kept(memory.times, now, most, max(ms, limits.cooldown_ms or 0))
    return ActionMemory(times, last_at, memory.day, memory.day_count + 1, memory.day_amount + paid)


def _kept(times: tuple[int, ...], now: int, most: int, ms: int) -> tuple[int, ...]:
    """The times with `now` among them, as far as one who looks back `ms`, at `most` of them, will need them."""
    if not ms:
        return ()
    kept = [t for t in _foreign_removed(times, now, ms) if t + ms > now]
    return tuple(sorted((*kept, now))[-most:])


def _today(memory: ActionMemory, now: int, days: Calendar) -> ActionMemory:
    """The sums of the day of `now`. A commit that read the clock just before midnight counts for the day after it."""
    day = days.day_number(now)
    if memory.day is not None and day <= memory.day <= day + 1:
        return memory
    return replace(memory, day=day, day_count=0, day_amount=0)


def _of_this_clock(limits: Limits, memory: ActionMemory, now: int) -> ActionMemory:
    """Without times of another clock, from before the rule was given this one, which would lie far ahead."""
    span = max(limits.cooldown_ms or 0, limits.min_step_ms or 0, limits.window.ms if limits.window else 0)
    last_at = None if memory.last_at is None or memory.last_at > now + span else memory.last_at
    return replace(memory, times=_foreign_removed(memory.times, now, span), last_at=last_at)


def _foreign_removed(times: tuple[int, ...], now: int, span: int) -> tuple[int, ...]:
    return times if not times or times[-1] <= now + span else tuple(t for t in times if t <= now + span)


@dataclass(frozen=True, slots=True)
class Gift:
    """A gift that was made: who gave to whom, how much, when (world ms), and by which transfer."""

    from_id: UUID
    to_id: UUID
    amount: int
    at: int
    transfer_id: UUID


def circle(guard: GiftCircle, giver: UUID, taker: UUID, gifts: Iterable[Gift]) -> tuple[Gift, ...] | None:
    """The shortest way over `gifts` by which a gift to `taker` came back to `giver`; None if there is none.

    Breadth first; with the new gift it has at most `most_steps`.
    """
    after: dict[UUID, list[Gift]] = {}
    for gift in gifts:
        after.setdefault(gift.from_id, []).append(gift)
    ways: dict[UUID, tuple[Gift, ...]] = {taker: ()}
    edge = [taker]
    for _ in range(guard.most_steps - 1):
        reached: list[UUID] = []
        for who in edge:
            for gift in after.get(who, ()):
                if gift.to_id in ways:
                    continue
                ways[gift.to_id] = (*ways[who], gift)
                if gift.to_id == giver:
                    return ways[giver]
                reached.append(gift.to_id)
        edge = reached
    return None


def closing(
    guard: GiftCircle, giver: UUID, taker: UUID, amount: int, gifts: Iterable[Gift], now: int
) -> Judgement:
    """What the check for circles says of a gift at `now` (world ms), given the earlier ones that may lead back.

    It may be made again when the oldest gift of every circle is too old.
    """
    known = [gift for gift in gifts if gift.at + guard.ms > now]
    way = circle(guard, giver, taker, known)
    if way is None:
        return Judgement(amount, amount)
    oldest = min(gift.at for gift in way)
    while younger := circle(guard, giver, taker, known := [gift for gift in known if gift.at > oldest]):
        oldest = min(gift.at for gift in younger)
    facts = [{name: v if isinstance(v, int) else str(v) for name, v in asdict(g).items()} for g in way]
    given, evidence = 0 if guard.outcome == "refuse" else amount, {"now": now, "ms": guard.ms, "way": facts}
    return Judgement(amount, given, guard.outcome, "gift_circle", evidence, oldest + guard.ms)
