"""What a character concludes from what it remembers, by rules. Pure.

A reflection is a short sentence about one other person, with the memories it was drawn from. The rules look at
deeds: memories with a claim (see `rumours`). How good a deed was is the memory's valence. That weight of experience
sets reflection off, and that reflections cite their evidence, is Park et al. 2023, section 4.2; the rules and their
thresholds are our own, tuned for play.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from fablewright.core.clock import DAY, Calendar, elapsed
from fablewright.core.dice import Dice, derived_uuid
from fablewright.systems.memory.rules import MemoryState

MOST_CONCLUSIONS: Final = 2
"""Conclusions that a character draws at a time, each about somebody else."""
MOST_EVIDENCE: Final = 8
"""Memories that one conclusion names: the weightiest ones."""
RENEWED_AFTER_MS: Final = 10 * DAY
"""World time before which the same conclusion about the same person is not drawn again."""
RECENT_MS: Final = 12 * DAY
"""What is older (world time) does not show how things stand now."""
APART_MS: Final = 4 * DAY
"""Who used to meet and has not for so long after a quarrel is being avoided."""

GOOD: Final = 0.15
BAD: Final = -0.15
"""Deeds with a valence beyond these were good or bad ones."""

HELPFUL: Final = frozenset({"collaboration", "gift", "ask_for_help", "confide"})
KIND: Final = frozenset({"praise", "gift"})
UUID_TEXT: Final = re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
SMALL_NUMBERS: Final = ("no", "one", "two", "three", "four", "five", "six")

Sayings = Mapping[str, Sequence[str]]
"""For each conclusion the sentences that say it, with `{other}`, `{since}` and `{since_}` (a capital first)."""


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What somebody concludes about `subject_id`, and from which memories; see `RULES` for the names.

    `since` is the world time from when it is so, `weight` (> 0) says how much speaks for it.
    """

    name: str
    subject_id: UUID
    since: int
    weight: float
    valence: float
    evidence: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class Past:
    """What one character remembers that concerns one other: what both did to each other, oldest first
    (`deeds`), what was told about the other (`hearsay`), and what came from it (`told_by`)."""

    me: UUID
    other: UUID
    now: int
    deeds: tuple[MemoryState, ...]
    hearsay: tuple[MemoryState, ...]
    told_by: tuple[MemoryState, ...]

    def recent(self, condition: Callable[[MemoryState], bool]) -> list[MemoryState]:
        """The deeds of late for which something is so."""
        return [m for m in self.deeds if elapsed(m.at, self.now) <= RECENT_MS and condition(m)]

    def by_other(self, memory: MemoryState) -> bool:
        """Whether it was the other who did it."""
        return _doer(memory) == str(self.other)


def _doer(memory: MemoryState) -> str:
    return str((memory.claim or {}).get("who"))


def _deed(memory: MemoryState) -> str:
    return str((memory.claim or {}).get("deed"))


def good(memory: MemoryState) -> bool:
    """Whether it was a good deed."""
    return memory.valence > GOOD


def bad(memory: MemoryState) -> bool:
    """Whether it was a bad deed."""
    return memory.valence < BAD


def _found(name: str, past: Past, since: int, valence: float, evidence: Sequence[MemoryState]) -> Conclusion:
    weight = sum((0.2 + abs(m.valence)) * m.importance * m.certainty for m in evidence)
    best = sorted(evidence, key=lambda m: (-m.importance, -m.at, m.id))[:MOST_EVIDENCE]
    return Conclusion(name, past.other, since, weight, valence, tuple(m.id for m in best))


# -- the rules -----------------------------------------------------------------------------------------------


def avoids(past: Past) -> Conclusion | None:
    """They met often, quarrelled, and have not met for days."""
    wounds = [m for m in past.deeds if m.valence <= -0.3]
    if not wounds or len(past.deeds) < 3:
        return None
    last = past.deeds[-1]
    before = [m for m in past.deeds if elapsed(m.at, last.at) <= RECENT_MS]
    apart = elapsed(last.at, past.now)
    if (
        apart < APART_MS
        or apart > 3 * RECENT_MS
        or len(before) < 3
        or elapsed(wounds[-1].at, last.at) > APART_MS
    ):
        return None
    return _found(
        "avoids", past, last.at, -0.5, [*wounds[-3:], *(m for m in before[-2:] if m not in wounds[-3:])]
    )


def quarrel(past: Past) -> Conclusion | None:
    """At least three bad deeds of late, and no more good ones than that."""
    wounds = past.recent(bad)
    if len(wounds) < 3 or len(past.recent(good)) > len(wounds):
        return None
    return _found("quarrel", past, wounds[0].at, -0.7, wounds)


def threatens(past: Past) -> Conclusion | None:
    """The other threatened, twice or in earnest."""
    threats = past.recent(lambda m: _deed(m) == "threaten" and past.by_other(m))
    if len(threats) < 2 and not any((m.claim or {}).get("degree") in (2, 3) for m in threats):
        return None
    return _found("threatens", past, threats[0].at, -0.8, threats)


def wronged(past: Past) -> Conclusion | None:
    """The other did something that weighs heavily."""
    wounds = [m for m in past.deeds if m.valence <= -0.5 and m.importance >= 0.6 and past.by_other(m)]
    if not wounds or _made_up(past, wounds[-1].at):
        return None
    return _found("wronged", past, wounds[0].at, -0.6, wounds)


def remorse(past: Past) -> Conclusion | None:
    """One did bad things to the other at least twice of late, and got none back."""
    mine = past.recent(lambda m: bad(m) and not past.by_other(m))
    if len(mine) < 2 or past.recent(lambda m: bad(m) and past.by_other(m)):
        return None
    return _found("remorse", past, mine[0].at, -0.3, mine)


def mended(past: Past) -> Conclusion | None:
    """A quarrel, then an apology taken or two good deeds, and nothing bad since."""
    wounds = past.recent(lambda m: m.valence <= -0.3)
    if not wounds or not _made_up(past, wounds[-1].at):
        return None
    after = [m for m in past.deeds if m.at > wounds[-1].at and good(m)]
    return _found("mended", past, after[0].at, 0.5, [*wounds[-2:], *after])


def _made_up(past: Past, since: int) -> bool:
    after = [m for m in past.deeds if m.at > since and good(m)]
    return len(after) >= 2 or any(_deed(m) == "apology" for m in after)


def relies(past: Past) -> Conclusion | None:
    """Help, gifts or trust from the other at least three times, and nothing bad of late."""
    helped = [m for m in past.deeds if _deed(m) in HELPFUL and m.valence >= 0.25]
    if len(helped) < 3 or past.recent(bad):
        return None
    return _found("relies", past, helped[0].at, 0.6, helped)


def dear(past: Past) -> Conclusion | None:
    """Many good deeds over more than a day, and hardly a bad one."""
    fine = [m for m in past.deeds if good(m)]
    wounds = [m for m in past.deeds if bad(m)]
    if len(fine) < 6 or 5 * len(wounds) > len(fine) or elapsed(fine[0].at, fine[-1].at) < DAY:
        return None
    return _found("dear", past, fine[0].at, 0.8, fine)


def kind(past: Past) -> Conclusion | None:
    """Praise or gifts from the other at least three times."""
    favours = [m for m in past.deeds if _deed(m) in KIND and good(m) and past.by_other(m)]
    return _found("kind", past, favours[0].at, 0.5, favours) if len(favours) >= 3 else None


def speaks_ill(past: Past) -> Conclusion | None:
    """Something bad about oneself is going round that began with the other."""
    slander = [
        m for m in past.told_by
        if bad(m) and len(m.tellers) > 1 and m.tellers[0] == past.other and _doer(m) == str(past.me)
    ]  # fmt: skip
    return _found("speaks_ill", past, slander[0].at, -0.6, slander) if slander else None


def ill_repute(past: Past) -> Conclusion | None:
    """Bad things about the other from at least three mouths."""
    return _repute(past, "ill_repute", bad, -0.4)


def good_repute(past: Past) -> Conclusion | None:
    """Good things about the other from at least three mouths."""
    return _repute(past, "good_repute", good, 0.4)


def _repute(past: Past, name: str, said: Callable[[MemoryState], bool], valence: float) -> Conclusion | None:
    heard = [m for m in past.hearsay if elapsed(m.at, past.now) <= RECENT_MS]
    fitting = [m for m in heard if said(m)]
    if len({m.tellers[-1] for m in fitting}) < 3 or 3 * len(fitting) < 2 * len(heard):
        return None
    return _found(name, past, fitting[0].at, valence, fitting)


def newsbearer(past: Past) -> Conclusion | None:
    """At least five pieces of news from the other, of late."""
    news = [m for m in past.told_by if m.tellers[-1] == past.other and elapsed(m.at, past.now) <= RECENT_MS]
    return _found("newsbearer", past, news[0].at, 0.1, news) if len(news) >= 5 else None


RULES: Final[tuple[Callable[[Past], Conclusion | None], ...]] = (
    threatens, speaks_ill, avoids, quarrel, mended, wronged, remorse, dear, relies, kind, ill_repute, good_repute,
    newsbearer,
)  # fmt: skip
"""In the order in which one goes before another about the same person."""
NAMES: Final = tuple(rule.__name__ for rule in RULES)


def conclude(memories: Iterable[MemoryState], me: UUID, now: int) -> list[Conclusion]:
    """What a character concludes from what it remembers of late, weightiest first: one about each other person.

    Bounded by the memories given. What has changed a character's mind most comes first.
    """
    found: list[Conclusion] = []
    for past in _pasts(sorted(memories, key=lambda m: (m.at, m.id)), me, now):
        first = next(filter(None, (rule(past) for rule in RULES)), None)
        if first is not None:
            found.append(first)
    return sorted(found, key=lambda c: (-c.weight, c.subject_id))


def _pasts(memories: Sequence[MemoryState], me: UUID, now: int) -> list[Past]:
    deeds: dict[UUID, list[MemoryState]] = defaultdict(list)
    hearsay: dict[UUID, list[MemoryState]] = defaultdict(list)
    told_by: dict[UUID, list[MemoryState]] = defaultdict(list)
    for m in memories:
        if m.tellers:
            for teller in {m.tellers[0], m.tellers[-1]}:
                told_by[teller].append(m)
            if m.subject_id is not None:
                hearsay[m.subject_id].append(m)
        elif m.claim is not None and (other := _other(m.claim, me)) is not None:
            deeds[other].append(m)
    others = sorted({*deeds, *hearsay, *told_by} - {me})
    return [
        Past(me, o, now, tuple(deeds.get(o, ())), tuple(hearsay.get(o, ())), tuple(told_by.get(o, ()))) for o in others
    ]  # fmt: skip


def _other(claim: Mapping[str, Any], me: UUID) -> UUID | None:
    """With whom the deed was, if it was one's own; None too for claims that are not as they should be."""
    parties = {str(claim.get("who")), str(claim.get("whom"))}
    others = parties - {str(me)}
    if len(others) != 1 or len(parties) != 2 or not UUID_TEXT.match(other := others.pop()):
        return None
    return UUID(other)


# -- into words ----------------------------------------------------------------------------------------------


def fact_of(character_id: UUID, name: str, subject_id: UUID) -> UUID:
    """The fact that a conclusion is: one for each character, conclusion and subject."""
    return derived_uuid("reflection", character_id, name, subject_id)


def since(calendar: Calendar, at: int, now: int) -> str:
    """How one says since when something is so: `since yesterday`, `for three days now`, `since Harvest`."""
    (year, month, of_month, day), today = _date(calendar, at), _date(calendar, now)
    days = max(0, today[3] - day)
    if days < len(SMALL_NUMBERS):
        return (
            ("since this morning", "since yesterday")[days]
            if days < 2
            else f"for {SMALL_NUMBERS[days]} days now"
        )
    name = calendar.months[month]
    if (year, month) == today[:2]:
        return f"since the {_ordinal(of_month)} of {name}"
    if today[0] - year < 2:
        return f"since {name}" if year == today[0] else f"since last {name}"
    return f"since {name} of year {calendar.start_year + year}"


def _date(calendar: Calendar, at: int) -> tuple[int, int, int, int]:
    """Year from 0, month from 0, day of the month from 1, and the day in all."""
    day = (at // (DAY // 24) + calendar.start_hour) // calendar.hours_per_day
    year, of_year = divmod(day, calendar.days_per_month * len(calendar.months))
    month, of_month = divmod(of_year, calendar.days_per_month)
    return year, month, of_month + 1, day


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def worded(conclusion: Conclusion, sayings: Sayings, other: str, since_when: str, dice: Dice) -> str:
    """The conclusion as a sentence, about somebody called `other`."""
    saying = dice.choice(sayings[conclusion.name])
    return saying.format(other=other, since=since_when, since_=since_when[:1].upper() + since_when[1:])
