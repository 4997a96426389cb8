"""Relations between factions: tension, opinions with their parts, trust, status, and what others think. Pure.

Values are kept as they were at a world time and decay on reading. The coefficients are our own, tuned for play.
A `Book` holds the relations that one transaction has locked; it is changed here and written by `service.write`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import fsum
from typing import Final
from uuid import UUID

from fablewright.core.clock import DAY, elapsed
from fablewright.core.refusal import Refused
from fablewright.systems.diplomacy.rules import (
    MOST_MODIFIERS,
    MOST_OPINION,
    MOST_TENSION,
    MOVES,
    OPINION_HALF_LIFE_DAYS,
    SAME_FACTION,
    STATUS_MOVE_ILLEGAL,
    TENSION_HALF_LIFE_DAYS,
    TRUCE_DAYS,
    TRUCE_HOLDS,
    TRUST_HALF_LIFE_DAYS,
    TRUST_OF_STRANGERS,
    Status,
    clamp,
    drifts_to,
    warmth,
)

Pair = tuple[UUID, UUID]
"""Two factions. Of a relation the lower id comes first; of an opinion, who holds it."""

MOST_HALF_LIVES: Final = 60.0
"""After so many half-lives nothing is left (2 ** -60); PostgreSQL could not compute far smaller numbers."""
STILL: Final = 1e-9
"""Smaller changes are none."""
FADED: Final = 0.05
"""A modifier that has decayed so far is dropped when the opinion next changes."""


def left(at: int, now: int, half_life_days: float | None) -> float:
    """What is left, 0..1, at world time `now` (ms) of 1.0 at `at`: 2 ** (-t / T); all of it if T is None."""
    if half_life_days is None:
        return 1.0
    return float(2.0 ** -min(MOST_HALF_LIVES, elapsed(at, now) / (half_life_days * DAY)))


def ordered(a: UUID, b: UUID) -> Pair:
    """The two with the lower id first. Refuses `same_faction`."""
    if a == b:
        raise SAME_FACTION(faction_id=str(a))
    return (a, b) if a < b else (b, a)


# -- the values ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Relation:
    """What stands between two factions: `tension` 0..100 as it was at `tension_at` (world ms), and their status.

    Until `truce_until` (world ms, exclusive) neither may go to war with the other, whatever their status.
    """

    tension: float = 0.0
    tension_at: int = 0
    status: Status = "neutral"
    status_since: int = 0
    truce_until: int | None = None

    def tension_now(self, now: int) -> float:
        """The tension that is left at `now`, 0..100."""
        return self.tension * left(self.tension_at, now, TENSION_HALF_LIFE_DAYS)

    def truce_holds(self, now: int) -> bool:
        """Whether a truce forbids war at `now`."""
        return self.truce_until is not None and now < self.truce_until


@dataclass(frozen=True, slots=True)
class Modifier:
    """A named reason why one faction thinks well (above 0) or badly of another: `amount` as it was at `at`.

    `key` names it (the same thing again adds to it, up to `cap` in size), `reason` says it to readers. It loses
    half of its size each `half_life_days`; None means never. `secret` ones are told to the two factions only.
    """

    id: UUID | None
    key: str
    reason: str
    amount: float
    at: int
    half_life_days: float | None = OPINION_HALF_LIFE_DAYS
    event_id: UUID | None = None
    cap: float = MOST_OPINION
    secret: bool = False

    def now(self, now: int) -> float:
        """What is left of it at `now`, in the sign it had."""
        return self.amount * left(self.at, now, self.half_life_days)


@dataclass(frozen=True, slots=True)
class Part:
    """One of the numbers that an opinion is the sum of."""

    key: str
    amount: float
    reason: str
    at: int | None = None
    event_id: UUID | None = None
    half_life_days: float | None = None
    secret: bool = False

    def text(self) -> str:
        """Such as `-35 broke the Treaty of Ash`, with a real minus sign."""
        return f"{'−' if self.amount < 0 else '+'}{abs(self.amount):.0f} {self.reason}"


def opinion_parts(modifiers: Iterable[Modifier], now: int) -> tuple[float, list[Part]]:
    """An opinion (-100..100) at `now` and the parts it is the sum of, heaviest first.

    What goes beyond the range is taken off by a last part named `limit`.
    """
    parts = [
        Part(m.key, m.now(now), m.reason, m.at, m.event_id, m.half_life_days, m.secret) for m in modifiers
    ]
    parts.sort(key=lambda p: (-abs(p.amount), p.key))
    total = fsum(part.amount for part in parts)
    opinion = clamp(total, -MOST_OPINION, MOST_OPINION)
    if opinion != total:
        parts.append(Part("limit", opinion - total, "no opinion goes beyond this"))
    return opinion, parts


def opinion_of(modifiers: Iterable[Modifier], now: int) -> float:
    """An opinion (-100..100) at `now`: the sum of what is left of its modifiers, within its range."""
    return clamp(fsum(m.now(now) for m in modifiers), -MOST_OPINION, MOST_OPINION)


def trust_now(trust: float, at: int, now: int) -> float:
    """What a trust (0..1) of world time `at` is at `now`: it drifts back to that of strangers."""
    if now <= at:
        return trust
    return TRUST_OF_STRANGERS + (trust - TRUST_OF_STRANGERS) * left(at, now, TRUST_HALF_LIFE_DAYS)


def trust_moved(trust: float, change: float) -> float:
    """A trust (0..1) after a change; gains count in proportion to the distrust that is left, losses in full.

    So trust is slow to win and quick to lose (Slovic, "Perceived risk, trust, and democracy", 1993).
    """
    return clamp(trust + change * (1.0 - trust if change > 0 else 1.0), 0.0, 1.0)


# -- status --------------------------------------------------------------------------------------------------


def check_move(relation: Relation, status: Status, now: int) -> None:
    """Whether two factions may become `status` to each other. Refuses `status_move_illegal`, `truce_holds`."""
    legal = MOVES[relation.status]
    if status not in legal:
        steps = ", ".join(legal)
        raise STATUS_MOVE_ILLEGAL(
            f"From {relation.status} one does not come to {status} in one step, only to {steps}.",
            **{"from": relation.status, "to": status, "legal": list(legal)},
        )
    if status == "war" and relation.truce_holds(now):
        raise TRUCE_HOLDS(
            f"The truce between these factions holds until world time {relation.truce_until}.",
            until=relation.truce_until,
        )


# -- the book ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Change:
    """A change of an opinion (or of a trust, then under the key `trust`) and its reason, for the event.

    A `secret` one is told to the two factions alone.
    """

    key: str
    amount: float
    reason: str
    event_id: UUID | None = None
    secret: bool = False


@dataclass(slots=True)
class Feeling:
    """What one faction thinks of another in a book. `shown` is its trust as all see it, without what is secret."""

    modifiers: dict[str, Modifier] = field(default_factory=dict)
    trust: float = TRUST_OF_STRANGERS
    shown: float = TRUST_OF_STRANGERS
    trust_at: int = 0
    stored_keys: frozenset[str] = frozenset()
    changes: list[Change] = field(default_factory=list)
    changed_keys: set[str] = field(default_factory=set)
    before: "Known | None" = None
    """What it was before the first change, as all see it and as it is."""
    trust_changed: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """An opinion and a trust, with what is secret and (`shown`) as all see them."""

    opinion: float
    trust: float
    opinion_shown: float
    trust_shown: float


@dataclass(slots=True)
class Between:
    """What stands between two factions in a book."""

    relation: Relation
    before: Relation
    reasons: list[tuple[str, float, bool]] = field(default_factory=list)
    """Why the tension changed, by how much, and whether the reason is a secret."""
    status_reason: str = ""
    moved: bool = False


class Book:
    """Relations between factions as one transaction has locked them at world time `now`, and their changes.

    `opine`, `tense`, `trust`, `move` change it; nothing is stored before `service.write`. Pairs that were not
    asked for when it was opened are a bug: they raise KeyError.
    """

    def __init__(
        self, now: int, relations: Mapping[Pair, Relation], modifiers: Mapping[Pair, Sequence[Modifier]],
        trusts: Mapping[Pair, tuple[float, float, int]],
    ):  # fmt: skip
        self.now = now
        self.between = {pair: Between(relation, relation) for pair, relation in relations.items()}
        self.feelings: dict[Pair, Feeling] = {}
        for low, high in relations:
            for pair in ((low, high), (high, low)):
                kept = {m.key: m for m in modifiers.get(pair, ())}
                trust, shown, at = trusts.get(pair, (TRUST_OF_STRANGERS, TRUST_OF_STRANGERS, now))
                self.feelings[pair] = Feeling(kept, trust, shown, at, frozenset(kept))

    # What it says now.

    @property
    def pairs(self) -> list[Pair]:
        """The pairs of factions it holds, lower id first."""
        return list(self.between)

    def relation(self, a: UUID, b: UUID) -> Relation:
        """What stands between two factions."""
        return self.between[ordered(a, b)].relation

    def status(self, a: UUID, b: UUID) -> Status:
        """What two factions are to each other."""
        return self.relation(a, b).status

    def tension(self, a: UUID, b: UUID) -> float:
        """The tension between two factions now, 0..100."""
        return self.relation(a, b).tension_now(self.now)

    def opinion(self, holder: UUID, about: UUID) -> float:
        """What `holder` thinks of `about` now, -100..100."""
        return opinion_of(self.feelings[holder, about].modifiers.values(), self.now)

    def known(self, holder: UUID, about: UUID) -> Known:
        """What `holder` thinks of and how far it trusts `about` now, and what all see of that."""
        feeling = self.feelings[holder, about]
        shown = (m for m in feeling.modifiers.values() if not m.secret)
        return Known(
            self.opinion(holder, about), self.trusted(holder, about), opinion_of(shown, self.now),
            trust_now(feeling.shown, feeling.trust_at, self.now),
        )  # fmt: skip

    def parts(self, holder: UUID, about: UUID) -> list[Part]:
        """The parts of that opinion, heaviest first; they sum to it."""
        return opinion_parts(self.feelings[holder, about].modifiers.values(), self.now)[1]

    def trusted(self, holder: UUID, about: UUID) -> float:
        """How much `holder` trusts `about` now, 0..1."""
        feeling = self.feelings[holder, about]
        return trust_now(feeling.trust, feeling.trust_at, self.now)

    # What changes it.

    def opine(
        self, holder: UUID, about: UUID, key: str, amount: float, reason: str,
        half_life_days: float | None = OPINION_HALF_LIFE_DAYS, event: UUID | None = None, *,
        cap: float = MOST_OPINION, secret: bool = False, keeping: bool = False,
    ) -> float:  # fmt: skip
        """Let `holder` think better (or worse) of `about` by `amount`; returns the change of its opinion.

        What it thought under the same `key` adds up, within `cap` (0..100) in size; the last `reason`, `event`
        and half-life stand for it. `event` None stands for the event that tells of this change. What is secret
        does not add to what all see under a key, but stands beside it; what all are told makes a secret known.
        With `keeping`, what has faded is not dropped.
        """
        feeling, now = self._changing(holder, about), self.now
        before = self.opinion(holder, about)
        old = feeling.modifiers.get(key)
        if secret and old is not None and not old.secret:
            key += ":secret"
            old = feeling.modifiers.get(key)
        worth = 0.0 if old is None else old.now(now)
        # A smaller cap than what is there already takes nothing away.
        bound = max(abs(worth), min(cap, MOST_OPINION))
        new = clamp(worth + amount, -bound, bound)
        if abs(new - worth) < STILL:
            return 0.0
        feeling.modifiers[key] = Modifier(
            None if old is None else old.id, key, reason, new, now, half_life_days, event, cap,
            secret,
        )  # fmt: skip
        feeling.changed_keys.add(key)
        known = 0.0 if old is not None and old.secret and not secret else worth
        feeling.changes.append(Change(key, new - known, reason, event, secret))
        self._make_room(feeling, key, keeping)
        return self.opinion(holder, about) - before

    def reveal(self, holder: UUID, about: UUID, key: str) -> bool:
        """Let all know of a modifier that was secret; whether there was one."""
        old = self.feelings[holder, about].modifiers.get(key)
        if old is None or not old.secret:
            return False
        feeling = self._changing(holder, about)
        feeling.modifiers[key] = replace(old, secret=False)
        feeling.changed_keys.add(key)
        feeling.changes.append(Change(key, old.now(self.now), old.reason, old.event_id))
        return True

    def _changing(self, holder: UUID, about: UUID) -> Feeling:
        """A feeling that is to change: what it was before is kept. Refuses `same_faction`."""
        ordered(holder, about)
        feeling = self.feelings[holder, about]
        if feeling.before is None:
            feeling.before = self.known(holder, about)
        return feeling

    def forget(self, holder: UUID, about: UUID, key: str, reason: str) -> bool:
        """Drop a modifier; whether there was one."""
        if key not in self.feelings[holder, about].modifiers:
            return False
        self._drop(self._changing(holder, about), key, reason)
        return True

    def _drop(self, feeling: Feeling, key: str, reason: str) -> None:
        gone = feeling.modifiers.pop(key)
        feeling.changes.append(Change(key, -gone.now(self.now), reason, secret=gone.secret))

    def _make_room(self, feeling: Feeling, key: str, keeping: bool) -> None:
        """Drop modifiers that have faded (unless `keeping`), and the one that weighs least if there are too many."""
        faded = 0.0 if keeping else FADED
        for other in [k for k, m in feeling.modifiers.items() if k != key and abs(m.now(self.now)) < faded]:
            del feeling.modifiers[other]
        while len(feeling.modifiers) > MOST_MODIFIERS:
            others = (k for k in feeling.modifiers if k != key)
            least = min(others, key=lambda k: (abs(feeling.modifiers[k].now(self.now)), k))
            self._drop(feeling, least, "other things weigh more")

    def trust(self, holder: UUID, about: UUID, change: float, reason: str, *, secret: bool = False) -> float:
        """Let `holder` trust `about` more or less (`change` -1..1, see `trust_moved`); returns the real change."""
        known = self.known(holder, about)
        shown = known.trust_shown if secret else trust_moved(known.trust_shown, change)
        return self._put_trust(holder, about, trust_moved(known.trust, change), shown, reason, secret)

    def set_trust(self, holder: UUID, about: UUID, trust: float, reason: str) -> float:
        """Let `holder` trust `about` so much (0..1) from now on, as all see; returns the change."""
        return self._put_trust(holder, about, trust, trust, reason, False)

    def _put_trust(
        self, holder: UUID, about: UUID, trust: float, shown: float, reason: str, secret: bool
    ) -> float:  # fmt: skip
        known = self.known(holder, about)
        change = trust - known.trust
        told = change if secret else shown - known.trust_shown
        if abs(change) < STILL and abs(told) < STILL:
            return 0.0
        feeling = self._changing(holder, about)
        feeling.trust, feeling.shown, feeling.trust_at = trust, shown, max(self.now, feeling.trust_at)
        feeling.trust_changed = True
        feeling.changes.append(Change("trust", told, reason, secret=secret))
        return change

    def tense(self, a: UUID, b: UUID, delta: float, reason: str, *, secret: bool = False) -> float:
        """Raise (or lower) the tension between two factions; returns the real change."""
        between = self.between[ordered(a, b)]
        before = between.relation.tension_now(self.now)
        after = clamp(before + delta, 0.0, MOST_TENSION)
        if abs(after - before) < STILL:
            return 0.0
        at = max(self.now, between.relation.tension_at)
        between.relation = replace(between.relation, tension=after, tension_at=at)
        between.reasons.append((reason, after - before, secret))
        return after - before

    def may_move(self, a: UUID, b: UUID, status: Status) -> Refused | None:
        """Why two factions cannot become this to each other in one step, or None if they can (or are it)."""
        relation = self.relation(a, b)
        if relation.status == status:
            return None
        try:
            check_move(relation, status, self.now)
        except Refused as refused:
            return refused
        return None

    def move(self, a: UUID, b: UUID, status: Status, reason: str, *, truce_days: float | None = None) -> bool:
        """Let two factions become `status` to each other; False if they are it already.

        A step from war to truce forbids another war for `truce_days` (180 if left out); a later end that stands
        already is kept. Refuses `status_move_illegal`, `truce_holds`.
        """
        between = self.between[ordered(a, b)]
        relation = between.relation
        until = relation.truce_until
        if status == "truce":
            days = TRUCE_DAYS if truce_days is None else truce_days
            until = max(until or self.now, self.now + round(days * DAY))
        if relation.status == status:
            between.relation = replace(relation, truce_until=until)
            return False
        check_move(relation, status, self.now)
        self.put(a, b, status, reason, until)
        return True

    def put(self, a: UUID, b: UUID, status: Status, reason: str, truce_until: int | None) -> None:
        """Set a status without asking whether the step is legal, for game masters and imports.

        A war ends any truce that was left.
        """
        between = self.between[ordered(a, b)]
        changed = between.relation.status != status
        between.relation = replace(
            between.relation, status=status,
            status_since=max(self.now, between.relation.status_since) if changed else between.relation.status_since,
            truce_until=None if status == "war" else truce_until,
        )  # fmt: skip
        between.moved = True
        between.status_reason = reason

    def end_truce(self, a: UUID, b: UUID) -> None:
        """Let a truce that is over become what the feelings make of it: hostile, neutral or cordial."""
        warm = warmth(self.opinion(a, b), self.opinion(b, a), self.tension(a, b))
        status = drifts_to("neutral", warm)
        status = "cordial" if status == "friendly" else status
        self.put(a, b, status, MOVES["truce"][status], None)

    def settle(self) -> None:
        """Let statuses follow the feelings that have changed, where nobody moved them; `service.write` does it."""
        for (a, b), between in self.between.items():
            if between.moved or not (
                between.reasons or self.feelings[a, b].changes or self.feelings[b, a].changes
            ):
                continue
            warm = warmth(self.opinion(a, b), self.opinion(b, a), self.tension(a, b))
            status = drifts_to(between.relation.status, warm)
            if status != between.relation.status and status in MOVES[between.relation.status]:
                meaning = MOVES[between.relation.status][status]
                self.put(a, b, status, meaning, between.relation.truce_until)
