"""Who acts: beats, the rhythm of the day, needs, and the urge to act. Pure.

All coefficients are our own, tuned for play; where a direction follows research, its source is named.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from fablewright.core.clock import DAY, HOUR, MINUTE, elapsed, half_life_factor
from fablewright.core.dice import Dice
from fablewright.systems.characters.rules import Traits

ENERGY_TO_ACT: Final = 0.1
"""Who has less energy (0..1) begins nothing with others."""

# -- when -----------------------------------------------------------------------------------------------------


def interval_ms(beats_per_minute: float) -> int:
    """World milliseconds from one beat to the next, at least 1."""
    return max(1, round(MINUTE / beats_per_minute))


FIRST_COUNCIL: Final = DAY
"""So long after the director was set, the first council is held at the latest (world ms)."""
ANSWERS_AFTER: Final = 3 * DAY
"""So long they take for an answer to what was done to them, at least (world ms)."""


def council_ms(council_days: float) -> int:
    """World milliseconds from one council to the next."""
    return round(council_days * DAY)


def next_council(due_at: int, now: int, council_days: float) -> int:
    """When the council after the one due at `due_at` is held; those missed are not made up for."""
    due = due_at + council_ms(council_days)
    return due if due > now else now + council_ms(council_days)


def next_beat(due_at: int, now: int, beats_per_minute: float) -> int:
    """When the beat after the one due at `due_at` falls due (world ms).

    Never before `now`: beats missed while the world stood or the server was slow are not made up for.
    """
    return max(due_at + interval_ms(beats_per_minute), now)


def hour_of(world_ms: int, hours_per_day: int = 24, start_hour: int = 6) -> float:
    """The time of day as on a clock of 24 hours, 0 <= h < 24, whatever the hours of the world's own day."""
    own = (world_ms / HOUR + start_hour) % hours_per_day
    return (own * 24.0 / hours_per_day) % 24.0


def lateness(traits: Traits) -> float:
    """How much of an evening type someone is, 0..1: less with conscientiousness, more with extraversion.

    The directions, not the sizes, follow Tsaousis (2010), "Circadian preferences and personality traits: a
    meta-analysis", European Journal of Personality 24.
    """
    return 0.6 * (1.0 - traits.conscientiousness) + 0.4 * traits.extraversion


def bedtime(traits: Traits) -> float:
    """The hour at which someone grows sleepy, 21.5..24."""
    return 21.5 + 2.5 * lateness(traits)


def rising(traits: Traits) -> float:
    """The hour at which someone wakes, 5.5..7.5."""
    return EARLIEST_RISING + 2.0 * lateness(traits)


EARLIEST_RISING: Final = 5.5
SLEEPY_HOURS: Final = 2.0
"""From bedtime to the hour at which nobody stays up."""
TOO_LATE_HOURS: Final = (2.5, 1.0)
"""Before rising: from when on, and by when, it is not worth while any more to go to bed."""


def abed(traits: Traits, hour: float) -> bool:
    """Whether it is someone's time to be in bed (hour 0..24): from bedtime until rising."""
    return not rising(traits) <= hour < bedtime(traits)


def sleepiness(traits: Traits, hour: float) -> float:
    """How much the hour (0..24) calls those who are up to bed, 0..1.

    It grows over two hours from bedtime, and ends in the last hours before rising: who was up all night stays up.
    """
    if not abed(traits, hour):
        return 0.0
    left = (rising(traits) - hour) % 24.0
    begin, end = TOO_LATE_HOURS
    return min(1.0, ((hour - bedtime(traits)) % 24.0) / SLEEPY_HOURS, max(0.0, (left - end) / (begin - end)))


def ms_until_rising(traits: Traits, hour: float, hours_per_day: int = 24) -> int:
    """World milliseconds until someone who sleeps may wake; 0 by day."""
    if not abed(traits, hour):
        return 0
    return round(((rising(traits) - hour) % 24.0) / 24.0 * hours_per_day * HOUR)


def slope(hour: float, begins: float, full: float, fades: float, ends: float) -> float:
    """0..1: rises from `begins` to `full` and falls from `fades` to `ends` (hours in this order, 0..24)."""
    if not begins < hour < ends:
        return 0.0
    if hour < full:
        return (hour - begins) / (full - begins)
    return 1.0 if hour <= fades else (ends - hour) / (ends - fades)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """What the hour inclines someone to, each 0..1."""

    sleep: float
    work: float
    home: float
    leisure: float
    worship: float


def rhythm(traits: Traits, hour: float) -> Rhythm:
    """The inclinations of an hour (0..24): work by day, company in the evening, home in between, bed at night."""
    return Rhythm(
        sleep=sleepiness(traits, hour),
        work=slope(hour, 6.5, 8.0, 16.5, 18.5) * (0.55 + 0.45 * traits.conscientiousness),
        home=max(slope(hour, 4.0, 5.5, 6.5, 7.5), slope(hour, 19.0, 22.0, 23.9, 24.0)),
        leisure=max(
            slope(hour, 16.5, 18.5, 20.5, 24.0), 0.45 * slope(hour, 11.5, 12.0, 13.0, 13.5)
        ) * (0.35 + 0.65 * traits.extraversion),
        worship=max(slope(hour, 6.0, 7.0, 7.5, 8.5), slope(hour, 17.0, 17.5, 18.5, 19.0))
        * (0.15 + 0.35 * traits.agreeableness),
    )  # fmt: skip


# -- needs ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Needs:
    """What someone lacked at `at` (world ms): company and esteem, each 0 (sated) to 1."""

    company: float
    esteem: float
    at: int

    def now(self, now: int, traits: Traits) -> "Needs":
        """The same at world time `now`: what is not lacked yet halves again and again, so that lack nears 1."""
        passed = elapsed(self.at, now)
        return Needs(
            1.0 - (1.0 - self.company) * half_life_factor(passed, company_half_life_ms(traits)),
            1.0 - (1.0 - self.esteem) * half_life_factor(passed, esteem_half_life_ms(traits)),
            max(self.at, now),
        )


FIRST_COMPANY: Final = 0.4
FIRST_ESTEEM: Final = 0.3


def first_needs(now: int) -> Needs:
    """What someone lacks of whom nothing is known yet."""
    return Needs(FIRST_COMPANY, FIRST_ESTEEM, now)


def company_half_life_ms(traits: Traits) -> int:
    """World time in which company wears off by half: 4 hours for the most extraverted, 16 for the least."""
    return round((16.0 - 12.0 * traits.extraversion) * HOUR)


def esteem_half_life_ms(traits: Traits) -> int:
    """World time in which esteem wears off by half: 18 hours for the most neurotic, 48 for the least."""
    return round((48.0 - 30.0 * traits.neuroticism) * HOUR)


COMPANY_OF: Final[Mapping[str, float]] = {
    "greeting": 0.05, "chat": 0.2, "collaboration": 0.25, "gossip": 0.22, "confide": 0.35, "ask_for_help": 0.15,
    "praise": 0.15, "tease": 0.15, "gift": 0.2, "apology": 0.15, "conflict": 0.05, "threaten": 0.02,
}  # fmt: skip
"""The share of the lack of company that an interaction takes from both."""
ESTEEM_OF: Final[Mapping[str, tuple[float, float]]] = {
    "praise": (0.03, 0.35), "gift": (0.1, 0.25), "ask_for_help": (0.0, 0.15), "collaboration": (0.12, 0.12),
    "confide": (0.05, 0.15), "gossip": (0.05, 0.02), "apology": (-0.05, 0.2), "conflict": (-0.05, -0.2),
    "threaten": (0.08, -0.3), "tease": (0.04, -0.08),
}  # fmt: skip
"""The share of the lack of esteem that it takes from who begins and from the other; below 0 it adds to it."""


def met(needs: Needs, kind: str, began: bool, *, turned_down: bool = False) -> Needs:
    """What someone lacks after an interaction of a type; `needs` are those of that moment. Each stays 0..1.

    Who began and was turned down has had half the company, and lacks esteem the more.
    """
    company = COMPANY_OF.get(kind, 0.15) * (0.5 if turned_down else 1.0)
    esteem = ESTEEM_OF.get(kind, (0.0, 0.0))[0 if began else 1]
    if turned_down and began:
        esteem = -0.15
    lack = needs.esteem * (1.0 - esteem) if esteem >= 0 else needs.esteem - esteem * (1.0 - needs.esteem)
    return Needs(needs.company * (1.0 - company), lack, needs.at)


# -- who ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wish:
    """A goal of a character: its kind, and whom it is about."""

    kind: str
    about_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Npc:
    """A character that acts by itself, as it is now; energy 0..1, emotion (PAD) -1..1 each."""

    id: UUID
    name: str
    traits: Traits
    energy: float
    pleasure: float = 0.0
    arousal: float = 0.0
    dominance: float = 0.0
    needs: Needs = Needs(FIRST_COMPANY, FIRST_ESTEEM, 0)
    goals: tuple[Wish, ...] = ()
    place_id: UUID | None = None
    home_id: UUID | None = None
    work_id: UUID | None = None
    company_at: int | None = None
    """When it last had to do with anybody (world ms), as far as that is known."""


def urge(npc: Npc) -> float:
    """How likely someone is to act, 0..1, by what it lacks, energy, extraversion and arousal."""
    drive = 0.35 * npc.needs.company + 0.15 * npc.needs.esteem + 0.15 * npc.traits.extraversion
    return (0.15 + drive + 0.1 * max(0.0, npc.arousal) + 0.1 * bool(npc.goals)) * (0.2 + 0.8 * npc.energy)


def choose_actors(npcs: Sequence[Npc], acts: int, dice: Dice) -> list[Npc]:
    """Up to `acts` of them, each at most once, with chances in proportion to their urge to act.

    Weighted sampling without replacement by the keys u ** (1 / weight) (Efraimidis & Spirakis, 2006).
    """
    keyed = [(dice.uniform() ** (1.0 / urge(npc)), npc) for npc in npcs]
    keyed.sort(key=lambda item: (-item[0], item[1].id))
    return [npc for _, npc in keyed[:acts]]
