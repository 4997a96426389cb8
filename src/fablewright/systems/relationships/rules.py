"""How ties are measured, how they drift, how experiences move them, and who suits whom. Pure.

The coefficients are our own, tuned for play, unless a source is named.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import log1p
from typing import Final
from uuid import UUID

from fablewright.core.clock import DAY, elapsed, half_life_factor
from fablewright.core.refusal import INVALID, NOT_FOUND, Refusal
from fablewright.systems.characters.rules import Traits

TRUST_OF_STRANGERS: Final = 0.5
"""Trust (0..1) between characters that have no tie yet; their strength and familiarity are 0."""
FAMILIARITY_SET: Final = 0.3
"""Familiarity (0..1) of a tie that somebody sets without saying how well the two know each other."""

STRENGTH_HALF_LIFE_MS: Final = 14 * DAY
"""World time in which a strength comes half the way back to its resting point."""
TRUST_HALF_LIFE_MS: Final = 21 * DAY
"""The same for trust, which is slower to mend and slower to fade."""
FAMILIARITY_HALF_LIFE_MS: Final = 120 * DAY
"""World time without meeting in which characters half forget each other."""
HABIT_HALF_LIFE_MS: Final = DAY
"""World time in which half of having got used to something is over."""
REASON_HALF_LIFE_MS: Final = 7 * DAY
"""World time in which a reason weighs half as much, when one has to make room for another."""
MOST_HALF_LIVES: Final = 60.0
"""After so many half-lives nothing is left (2 ** -60); PostgreSQL could not compute far smaller numbers."""
STILL: Final = 1e-12
"""A value so near its resting point has arrived."""

RESTING_SHARE: Final = 0.25
"""The part of each change that stays: the resting point moves by it."""
WEAR: Final = 0.5
"""How fast one gets used to things: an effect is divided by 1 + WEAR * heat."""
LEAST_REASON: Final = 0.005
"""Smaller changes are not told as reasons."""
MOST_REASONS: Final = 8
MOST_HABITS: Final = 16
LEAST_HEAT: Final = 0.02
"""Habits that have cooled down so far are forgotten when the tie next moves."""
MOST_LABELS: Final = 10

SAME_CHARACTER = Refusal(
    "same_character", INVALID, "A character cannot do this with itself. Name two characters."
)
TIE_CHARACTER_NOT_FOUND = Refusal(
    "character_not_found", NOT_FOUND, "There is no such character in this world. Look it up in the list."
)
TIE_NOT_FOUND = Refusal(
    "tie_not_found",
    NOT_FOUND,
    "The first of these characters feels nothing about the second yet. Let them meet, or set a tie.",
)
NO_PATH_OF_TRUST = Refusal(
    "no_path_of_trust",
    NOT_FOUND,
    "No chain of characters who trust each other joins these two. Lower `min_trust`, or let them meet.",
)
GRAPH_TOO_LARGE = Refusal(
    "graph_too_large",
    INVALID,
    "That is too much for one answer. Filter by strength, trust or label, or ask for the surroundings of one.",
)
GRAPHML_INVALID = Refusal(
    "graphml_invalid",
    INVALID,
    "The GraphML has a mistake, so nothing was imported. Mend the line it names.",
)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a tie changed at world time `at` (ms), and by how much; `event_id` is the event that tells of it."""

    at: int
    why: str
    strength: float = 0.0
    trust: float = 0.0
    event_id: UUID | None = None

    @property
    def size(self) -> float:
        """The larger of the two changes, >= 0."""
        return max(abs(self.strength), abs(self.trust))

    def text(self) -> str:
        """Such as `+0.12 helped at the mill`; changes that are mostly of trust say so."""
        of_trust = abs(self.trust) > abs(self.strength)
        change = self.trust if of_trust else self.strength
        return f"{'−' if change < 0 else '+'}{abs(change):.2f}{' trust' if of_trust else ''} {self.why}"


@dataclass(frozen=True, slots=True)
class Habit:
    """How used one was, at world time `at` (ms), to something the other does: `heat` >= 0, 1 for each time."""

    at: int
    heat: float

    def now(self, now: int) -> float:
        """The heat that is left at `now`."""
        return self.heat * half_life_factor(elapsed(self.at, now), HABIT_HALF_LIFE_MS)


@dataclass(frozen=True, slots=True)
class TieState:
    """How one character feels about another: `strength` -1..1 (hate to love), `trust` 0..1.

    `interaction_count` and `last_interaction_at` (world ms, None for never) say how often and when they last
    met. `familiarity` (0..1) is how well one knows the other. The three values are as they were at `felt_at`
    (world ms); `now` says what they are later: strength and trust drift to `resting_strength` and
    `resting_trust`, familiarity to 0. `reasons` are the last changes, newest last; `habits` say, by kind of
    interaction, how used one is to it.
    """

    strength: float = 0.0
    trust: float = TRUST_OF_STRANGERS
    interaction_count: int = 0
    last_interaction_at: int | None = None
    familiarity: float = 0.0
    resting_strength: float = 0.0
    resting_trust: float = TRUST_OF_STRANGERS
    felt_at: int = 0
    labels: tuple[str, ...] = ()
    reasons: tuple[Reason, ...] = ()
    habits: Mapping[str, Habit] = field(default_factory=dict)

    def now(self, now: int) -> "TieState":
        """The tie as it is at world time `now` (ms): drifted, and otherwise the same."""
        if now <= self.felt_at:
            return self
        return replace(
            self,
            strength=drifted(self.strength, self.resting_strength, self.felt_at, now, STRENGTH_HALF_LIFE_MS),
            trust=drifted(self.trust, self.resting_trust, self.felt_at, now, TRUST_HALF_LIFE_MS),
            familiarity=drifted(self.familiarity, 0.0, self.felt_at, now, FAMILIARITY_HALF_LIFE_MS),
            felt_at=now,
        )


STRANGERS: Final = TieState()
"""What a character feels about one it does not know."""


def clamp(value: float, low: float, high: float) -> float:
    """The value, or the nearer end of `low`..`high` if it is outside."""
    return min(high, max(low, value))


def drifted(value: float, rest: float, at: int, now: int, half_life_ms: int) -> float:
    """What a value of world time `at` is at `now`: rest + (value - rest) * 2 ** (-t / T); between the two.

    Exponential decay, as in Ebbinghaus's forgetting curve. `views.drifted` is the same in SQL.
    """
    distance = value - rest
    if now <= at or abs(distance) < STILL:
        return value
    return rest + distance * float(2.0 ** -min(MOST_HALF_LIVES, elapsed(at, now) / half_life_ms))


def strength_of_weight(weight: float, heaviest: float) -> float:
    """The strength, in (0, 1], of an observed tie with `weight` > 0 in a network whose heaviest tie is given.

    log(1 + weight) / log(1 + heaviest): counts of encounters are skewed, so that each doubling adds about the
    same (the usual damping of raw counts, as with term frequencies).
    """
    return clamp(log1p(weight) / log1p(heaviest), 0.0, 1.0)


# -- what experiences do -------------------------------------------------------------------------------------


def moved(value: float, change: float, low: float) -> float:
    """The value (`low`..1) after a change, within `low`..1.

    The change counts in proportion to the room that is left, if that is less than 1. So returns diminish: a
    strength creeps up to 1 and never reaches it in a leap.
    """
    room = 1.0 - value if change > 0 else value - low
    return clamp(value + change * min(1.0, room), low, 1.0)


def moved_by(
    tie: TieState, now: int, *, strength: float = 0.0, trust: float = 0.0, familiarity: float = 0.0,
    reason: Reason | None = None, kind: str | None = None, meets: bool = False,
) -> TieState:  # fmt: skip
    """A tie after an experience at world time `now` (ms).

    It drifts to `now`, then the changes are added with diminishing returns (see `moved`); the resting points
    follow by `RESTING_SHARE` of what really changed. `reason` is kept with what really changed as its sizes.
    `kind` is what was done, to which one gets used; `meets` counts an interaction. Labels follow the values.
    """
    before = tie.now(now)
    at = max(now, tie.felt_at)
    new_strength = moved(before.strength, strength, -1.0)
    new_trust = moved(before.trust, trust, 0.0)
    by_strength, by_trust = new_strength - before.strength, new_trust - before.trust
    reasons = tie.reasons
    if reason is not None:
        reasons = with_reason(reasons, replace(reason, strength=by_strength, trust=by_trust))
    last = tie.last_interaction_at
    new_familiarity = moved(before.familiarity, familiarity, 0.0)
    return TieState(
        new_strength, new_trust, tie.interaction_count + meets,
        (at if last is None else max(at, last)) if meets else last,
        new_familiarity,
        clamp(tie.resting_strength + RESTING_SHARE * by_strength, -1.0, 1.0),
        clamp(tie.resting_trust + RESTING_SHARE * by_trust, 0.0, 1.0),
        at, labelled(tie.labels, new_strength, new_trust, new_familiarity), reasons,
        tie.habits if kind is None else heated(tie.habits, kind, at),
    )  # fmt: skip


def with_reason(reasons: tuple[Reason, ...], reason: Reason) -> tuple[Reason, ...]:
    """The reasons with one more, newest last, at most `MOST_REASONS`.

    One that is hardly felt is left out. The same thing again within a day adds to the reason that is there.
    The one that weighs least, by size and age, makes room.
    """
    same = next((r for r in reasons if r.why == reason.why and elapsed(r.at, reason.at) < DAY), None)
    if same is not None:
        reason = replace(
            reason,
            strength=clamp(same.strength + reason.strength, -2.0, 2.0),
            trust=clamp(same.trust + reason.trust, -1.0, 1.0),
        )
        reasons = tuple(r for r in reasons if r is not same)
    if reason.size < LEAST_REASON:
        return reasons
    if len(reasons) >= MOST_REASONS:
        least = min(
            reasons, key=lambda r: r.size * half_life_factor(elapsed(r.at, reason.at), REASON_HALF_LIFE_MS)
        )
        reasons = tuple(r for r in reasons if r is not least)
    return (*reasons, reason)


def heated(habits: Mapping[str, Habit], kind: str, now: int) -> dict[str, Habit]:
    """The habits after one more `kind`: its heat is what is left of it, plus 1. The coolest are forgotten."""
    old = habits.get(kind)
    warm = {k: h for k, h in habits.items() if k != kind and h.now(now) >= LEAST_HEAT}
    while len(warm) >= MOST_HABITS:
        del warm[min(warm, key=lambda k: (warm[k].now(now), k))]
    warm[kind] = Habit(now, 1.0 + (old.now(now) if old else 0.0))
    return warm


def worn(tie: TieState, kind: str, now: int) -> float:
    """What repetition leaves of an effect, in (0, 1]: 1 for something new, 2/3 for the second time in a row."""
    habit = tie.habits.get(kind)
    return 1.0 if habit is None else 1.0 / (1.0 + WEAR * habit.now(now))


def forgiveness(tie: TieState) -> float:
    """How much an attempt to make up counts, 0.25..2; 1 for two strangers. The tie must be of now.

    More the further the strength is below its resting point (a quarrel between friends mends easily) and the
    warmer that resting point, trust and familiarity are; less for every harm, after the first, among the last
    reasons: who hurts again and again is forgiven less.
    """
    wound = clamp(tie.resting_strength - tie.strength, 0.0, 1.0)
    bond = 0.3 * tie.resting_strength + 0.3 * (tie.trust - TRUST_OF_STRANGERS) + 0.2 * tie.familiarity
    harms = sum(1 for r in tie.reasons if r.strength <= -0.05)
    return clamp(1.0 + 0.6 * wound + bond - 0.15 * max(0, harms - 1), 0.25, 2.0)


# -- labels --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Threshold:
    """From where on a label is given, and how far back it is taken again: the gap keeps it from flickering.

    For hostile labels the strength must be at most `strength`, for others at least. Familiarity must be
    reached to gain the label; it is not lost for lack of it.
    """

    strength: float
    kept_strength: float
    trust: float = 0.0
    kept_trust: float = 0.0
    familiarity: float = 0.0

    def holds(self, strength: float, trust: float, familiarity: float, had: bool) -> bool:
        """Whether somebody with these values has the label, having had it before or not."""
        bound = self.kept_strength if had else self.strength
        near = strength <= bound if self.strength < 0 else strength >= bound
        return (
            near
            and trust >= (self.kept_trust if had else self.trust)
            and (had or familiarity >= self.familiarity)
        )


AUTOMATIC_LABELS: Final[Mapping[str, Threshold]] = {
    "friend": Threshold(0.45, 0.3, 0.4, 0.3, 0.15),
    "close_friend": Threshold(0.75, 0.6, 0.65, 0.5, 0.4),
    "confidant": Threshold(0.3, 0.15, 0.8, 0.65, 0.25),
    "rival": Threshold(-0.3, -0.15),
    "enemy": Threshold(-0.65, -0.45),
}
"""Labels that follow the values. All others (kin, mentor, spouse, …) are given, and stay until taken."""


def labelled(labels: Iterable[str], strength: float, trust: float, familiarity: float) -> tuple[str, ...]:
    """The labels of somebody with these values who had `labels`: the given ones, then the automatic ones."""
    had = tuple(dict.fromkeys(labels))
    given = tuple(label for label in had if label not in AUTOMATIC_LABELS)
    return given + tuple(
        label
        for label, threshold in AUTOMATIC_LABELS.items()
        if threshold.holds(strength, trust, familiarity, label in had)
    )


# -- who suits whom ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Compatibility:
    """How well two personalities suit each other: `score` -1..1 is the sum of its named parts."""

    score: float
    parts: tuple[tuple[str, float], ...]


def compatibility(a: Traits, b: Traits) -> Compatibility:
    """How well two personalities suit each other: -1..1, about 0 for two drawn at random. Symmetric.

    - likeness in openness (0.25) and conscientiousness (0.2): similarity attracts (Byrne, "The Attraction
      Paradigm", 1971; Montoya, Horton & Kirchner 2008);
    - agreeableness (0.25) and calm, the reverse of neuroticism (0.15), of both: they content those around them
      (Botwin, Buss & Shackelford 1997);
    - complement in extraversion (0.15): one who leads and one who follows (Kiesler 1983).

    Each part is its weight times a number -1..1. Likeness falls from 1 (equal) by 4 for each unit of
    difference, so that it is 0 at the difference that two average people have. The weights are our own.
    """
    parts = (
        ("likeness in openness", 0.25 * _near(a.openness - b.openness)),
        ("likeness in conscientiousness", 0.2 * _near(a.conscientiousness - b.conscientiousness)),
        ("agreeableness of both", 0.25 * clamp(a.agreeableness + b.agreeableness - 1.0, -1.0, 1.0)),
        ("calm of both", 0.15 * clamp(1.0 - (a.neuroticism + b.neuroticism), -1.0, 1.0)),
        ("complement in extraversion", 0.15 * _near(a.extraversion + b.extraversion - 1.0)),
    )
    return Compatibility(clamp(sum(value for _, value in parts), -1.0, 1.0), parts)


def _near(difference: float) -> float:
    """1 for no difference, 0 for a quarter, -1 for half of the range and more."""
    return clamp(1.0 - 4.0 * abs(difference), -1.0, 1.0)
