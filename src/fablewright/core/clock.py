"""World time: epoch, rate, pause, advance. Pure, except for the two functions that read the real clock.

World time is a whole number of milliseconds from the world's epoch and may be negative. It is taken from the
database's clock, so that all nodes agree, and from the world's rate. Nothing else in the project may ask what
time it is: an architecture test sees to that.
"""

import time
from dataclasses import dataclass
from typing import Final

SECOND: Final = 1_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR


def wall_seconds() -> float:
    """Seconds since 1970 by this machine's clock, for what leaves the world: tokens, logs, file names."""
    return time.time()


def monotonic() -> float:
    """Seconds from an arbitrary start, for measuring spans of real time."""
    return time.monotonic()


@dataclass(frozen=True, slots=True)
class WorldClock:
    """How a world's time follows real time.

    At real time `anchor_real_ms` (database clock, ms since 1970) it was `anchor_world_ms` in the world. From
    then on world time runs `rate` times as fast as real time (0 < rate <= 100,000), unless `paused`, or
    unless the world is being advanced, when only the advance moves it.
    """

    anchor_world_ms: int
    anchor_real_ms: int
    rate: float = 1.0
    paused: bool = False
    advancing: bool = False

    @property
    def running(self) -> bool:
        return not self.paused and not self.advancing

    def now(self, real_ms: int) -> int:
        """World time at a real time; it never runs backwards, even if the database's clock does."""
        if not self.running:
            return self.anchor_world_ms
        return self.anchor_world_ms + int(max(0, real_ms - self.anchor_real_ms) * self.rate)

    def real_ms_until(self, world_ms: int, real_ms: int) -> float | None:
        """Real milliseconds from `real_ms` until the world reaches `world_ms`; None while the clock stands."""
        if not self.running:
            return None
        return max(0.0, (world_ms - self.now(real_ms)) / self.rate)


@dataclass(frozen=True, slots=True)
class Calendar:
    """Makes world time readable: years of equal months of equal days. World time 0 is `start_hour` o'clock on
    the first day of the first month of `start_year`."""

    months: tuple[str, ...] = (
        "Deepwinter", "Thaw", "Seedtime", "Blossom", "Greening", "Highsun",
        "Haymaking", "Harvest", "Vintage", "Leaffall", "Mist", "Longnight",
    )  # fmt: skip
    days_per_month: int = 30
    hours_per_day: int = 24
    start_year: int = 1
    start_hour: int = 6

    def hour(self, world_ms: int) -> int:
        """Hour of the day, from 0 to `hours_per_day` - 1."""
        return (world_ms // HOUR + self.start_hour) % self.hours_per_day

    @property
    def day_ms(self) -> int:
        """How long a day is."""
        return self.hours_per_day * HOUR

    def day_number(self, world_ms: int) -> int:
        """Which day it is, from 0, the first of `start_year`; below 0 before it. It changes with the date."""
        return (world_ms + self.start_hour * HOUR) // self.day_ms

    def day_start(self, day: int) -> int:
        """World time of a day's midnight, with which it begins."""
        return day * self.day_ms - self.start_hour * HOUR

    def read(self, world_ms: int) -> str:
        """A date such as `3 Harvest, year 2, 14:05`."""
        minutes = world_ms // MINUTE + self.start_hour * 60
        days, minute_of_day = divmod(minutes, self.hours_per_day * 60)
        years, day_of_year = divmod(days, self.days_per_month * len(self.months))
        month, day = divmod(day_of_year, self.days_per_month)
        hour, minute = divmod(minute_of_day, 60)
        return f"{day + 1} {self.months[month]}, year {self.start_year + years}, {hour:02d}:{minute:02d}"


UTC: Final = Calendar(start_hour=0)
"""The days of real time, where ms count from 1970."""


def elapsed(at: int, now: int) -> int:
    """World milliseconds from `at` to `now`, never negative.

    Two commands may read the clock in one order and commit in the other, so a stored time can be a little
    ahead of the reader's; a decay must then not run backwards.
    """
    return max(0, now - at)


def half_life_factor(elapsed_ms: int, half_life_ms: int) -> float:
    """What is left of 1.0 after `elapsed_ms` of exponential decay: 2 ** (-t / T)."""
    return float(2.0 ** (-elapsed_ms / half_life_ms))
