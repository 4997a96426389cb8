"""How boards count: scores, places, windows of world time. Pure.

A place is a pair (standing, tie). The standing is the score, or its negative where less is better, so that more is
always better; of equal standings the greater tie is better. Ties fall, one by one, with each change of a board: who
reached a score earlier stands higher.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple
from uuid import UUID

from fablewright.core.clock import Calendar
from fablewright.core.refusal import CONFLICT, INVALID, NOT_FOUND, Refusal

MOST_SCORE: Final = 2.0**53 - 1
"""Scores lie between this and its negative: up to there, sums of whole numbers are exact."""
DAYS_PER_WEEK: Final = 7

Mode = Literal["sum", "best", "latest"]
"""How a new score goes together with the one that stands."""
Order = Literal["descending", "ascending"]
Span = Literal["all_time", "day", "week", "month", "season"]

BOARD_NOT_FOUND = Refusal(
    "board_not_found", NOT_FOUND, "There is no leaderboard with this key. List them to see which there are."
)
BOARD_IN_USE = Refusal(
    "board_in_use", CONFLICT,
    "The board has entries, so what it counts, when, for whom and in which order is fixed. "
    "Define another one under a new key, or remove this one first.",
)  # fmt: skip
TOO_MANY_BOARDS = Refusal(
    "too_many_boards", CONFLICT, "A world has room for so many leaderboards only. Remove one first."
)
NO_SUBMISSIONS = Refusal(
    "board_takes_no_submissions", CONFLICT,
    "This board counts events of the log. Only boards with the metric `submitted` take scores.",
)  # fmt: skip
SUBJECT_NOT_FOUND = Refusal(
    "character_not_found", NOT_FOUND, "There is no such character in this world, or it was deleted."
)
OUT_OF_SCOPE = Refusal(
    "out_of_scope", CONFLICT, "The board is for characters with a certain tag, and this one does not have it."
)
SUBJECT_BANNED = Refusal(
    "subject_banned", CONFLICT, "This character's scores are not taken any more. Lift the ban first."
)
SCORE_OUT_OF_RANGE = Refusal(
    "score_out_of_range", INVALID, "A score may be 9,007,199,254,740,991 at most, above or below zero."
)
WINDOW_NOT_FOUND = Refusal(
    "window_not_found", NOT_FOUND,
    "Nothing was counted in a window of this number. List the board's windows to see which there are.",
)  # fmt: skip
NO_ENTRY = Refusal(
    "no_entry", NOT_FOUND, "The character does not stand on this board in this window: it has no score."
)
NOTHING_TO_REMOVE = Refusal(
    "nothing_to_remove", NOT_FOUND,
    "The character has no entry there. To keep it off the board all the same, send `ban: true`.",
)  # fmt: skip
WINDOW_IN_USE = Refusal(
    "window_in_use", CONFLICT,
    "The window is over, or counts already, so nothing can be put back into it. Restore a board where it is defined.",
)  # fmt: skip
NOT_BANNED = Refusal("not_banned", NOT_FOUND, "The character is not banned there.")


# -- scores and places ---------------------------------------------------------------------------------------


def standing_of(score: float, order: Order) -> float:
    """A score as it is stored: more is better. There is only one zero."""
    return score + 0.0 if order == "descending" else 0.0 - score


def score_of(standing: float, order: Order) -> int | float:
    """A standing as it is answered; whole numbers as such."""
    score = standing if order == "descending" else 0.0 - standing
    return int(score) if score.is_integer() else score


def combined(mode: Mode, before: float | None, standing: float) -> float:
    """The standing after a new one has come; `before` is None for the first."""
    if before is None or mode == "latest":
        return standing
    return before + standing if mode == "sum" else max(before, standing)


class Place(NamedTuple):
    """Where a subject stands. `at` is the world time (ms) at which it got there."""

    standing: float
    tie: int
    at: int


@dataclass(slots=True)
class Sheet:
    """A board in one window, with the places that matter to what is being counted.

    `before` holds the places as they are stored, `after` those that have changed.
    """

    next_tie: int = 0
    before: dict[UUID, Place] = field(default_factory=dict)
    after: dict[UUID, Place] = field(default_factory=dict)

    def place(self, subject: UUID) -> Place | None:
        """Where a subject stands now."""
        return self.after.get(subject) or self.before.get(subject)

    def count(self, subject: UUID, mode: Mode, standing: float, at: int) -> bool:
        """Take a score in; whether the subject stands differently now. Refuses `score_out_of_range`.

        Who keeps its standing keeps its place before those who reach the same later.
        """
        found = self.place(subject)
        after = combined(mode, found.standing if found else None, standing)
        if not -MOST_SCORE <= after <= MOST_SCORE:
            raise SCORE_OUT_OF_RANGE()
        if found is not None and found.standing == after:
            return False
        self.next_tie -= 1
        self.after[subject] = Place(after, self.next_tie, at)
        return True

    @property
    def fresh(self) -> int:
        """How many subjects stand on the sheet for the first time."""
        return sum(subject not in self.before for subject in self.after)


# -- windows -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Window:
    """A span of world time (ms); the start belongs to it, the end does not. All time has neither."""

    number: int
    starts_at: int | None
    ends_at: int | None

    def over(self, now: int) -> bool:
        """Whether world time has left it behind."""
        return self.ends_at is not None and now >= self.ends_at


ALL_TIME: Final = Window(0, None, None)


def calendar_window(span: Span, calendar: Calendar, now: int) -> Window | None:
    """The window of all time, or the day, week or month of the world's calendar; None for seasons.

    Days begin at the calendar's midnight and are numbered from that before world time 0; weeks have seven of
    them, months as many as the calendar says.
    """
    if span == "all_time":
        return ALL_TIME
    if span == "season":
        return None
    days = {"day": 1, "week": DAYS_PER_WEEK, "month": calendar.days_per_month}[span]
    number = calendar.day_number(now) // days
    return Window(number, calendar.day_start(number * days), calendar.day_start((number + 1) * days))


def next_season(last: Window | None, length_ms: int, now: int) -> Window:
    """The season that is open at `now`, which the last one does not reach.

    It begins where the last one ended; where whole seasons passed without anybody there, with the last of them.
    """
    if last is None or last.ends_at is None:
        return Window(1, now, now + length_ms)
    starts = last.ends_at + max(0, now - last.ends_at) // length_ms * length_ms
    return Window(last.number + 1, starts, starts + length_ms)


def window_for(due: Window | None, last: Window | None, length_ms: int, now: int) -> Window:
    """The window in which a score of world time `now` counts.

    `due` is that of the calendar, None for seasons; `last` the newest there is. A season that has not begun yet
    by this command's time was opened by one that was quicker: the score counts for it.
    """
    if due is not None:
        return due
    return next_season(last, length_ms, now) if last is None or last.over(now) else last


# -- rewards -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Prize:
    """What the ranks from `from_rank` to `to_rank`, both included, get."""

    from_rank: int
    to_rank: int
    amount: int = 0
    currency: str = "points"
    title: str | None = None


def last_rank(prizes: Sequence[Prize]) -> int:
    """The last rank that gets anything; 0 if none does."""
    return max((p.to_rank for p in prizes), default=0)
