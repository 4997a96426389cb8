"""Small stories between two characters: how they start, rise and resolve. Pure.

Apart from `rules.py` since an arc is a noun of its own. Numbers are our own, tuned for play. A quarrel starts
with a clash and spreads to those who hear of it; a feud is a quarrel that grew; a courtship starts with someone
who wants to win a heart; a friendship when two like each other for the first time.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal
from uuid import UUID

from fablewright.core.clock import DAY, elapsed, half_life_factor

Kind = Literal["quarrel", "courtship", "feud", "friendship"]
Stage = Literal["started", "rising", "resolved"]
What = Literal["started", "rose", "changed", "resolved"]

TENSION_HALF_LIFE_MS: Final[Mapping[str, int]] = {
    "quarrel": 2 * DAY, "feud": 8 * DAY, "courtship": 8 * DAY, "friendship": 10 * DAY,
}  # fmt: skip
"""World time in which the tension of an arc in which nothing happens halves."""
QUIET_MS: Final[Mapping[str, int]] = {
    "quarrel": 4 * DAY, "feud": 20 * DAY, "courtship": 12 * DAY, "friendship": 14 * DAY,
}  # fmt: skip
"""After so long without a turn it is over by itself."""
FADED: Final[Mapping[str, str]] = {
    "quarrel": "blew_over", "feud": "burnt_out", "courtship": "faded", "friendship": "drifted_apart",
}  # fmt: skip
MARKS: Final = (0.5, 0.8)
"""Tensions whose crossing counts as a rise worth telling."""
MOST_OF: Final[Mapping[str, int]] = {"quarrel": 2, "feud": 2, "courtship": 1, "friendship": 1}
"""Open arcs of a kind that one character is in as one of the two."""
MOST_PER_CHARACTER: Final = 3
MOST_PER_WORLD: Final = 200
MOST_OTHERS: Final = 6
MOST_TURNS: Final = 40
"""Only the last turns are kept."""

HOSTILE: Final = frozenset({"conflict", "threaten"})
GRUDGES: Final = frozenset({"quarrel", "feud"})
CLASH: Final = 0.2
"""The harm (see `Happening.harm`) from which on a clash begins a quarrel."""
SWAYED: Final = 0.03
"""By how much worse one must think of somebody to take sides against it."""
FEUD_AT: Final = -0.35
"""When both feel no better than this and the quarrel is at its height, it becomes a feud."""


@dataclass(frozen=True, slots=True)
class Feeling:
    """How one felt about the other before and after: strength -1..1; trust and familiarity (after) 0..1."""

    before: float
    after: float
    trust: float = 0.5
    familiarity: float = 0.0


@dataclass(frozen=True, slots=True)
class Happening:
    """An interaction as far as arcs care: `there` is the tie of who began to the other, `back` the reverse.

    - `accepted`: whether the other took it (None where there was nothing to take);
    - `subject_id`: whom it was told about, if something was told;
    - `swayed`: bystanders that think otherwise of somebody now (character, about whom, change of strength);
    - `wishes`: what goals who began has about the other.
    """

    event_id: UUID
    at: int
    initiator_id: UUID
    target_id: UUID
    type: str
    there: Feeling
    back: Feeling
    accepted: bool | None = None
    subject_id: UUID | None = None
    swayed: tuple[tuple[UUID, UUID, float], ...] = ()
    wishes: frozenset[str] = frozenset()

    @property
    def pair(self) -> frozenset[UUID]:
        return frozenset((self.initiator_id, self.target_id))

    @property
    def change(self) -> float:
        """What it did to both ties together."""
        return self.there.after - self.there.before + self.back.after - self.back.before

    @property
    def harm(self) -> float:
        """How much worse they feel about each other, 0..4."""
        return max(0.0, -self.change)

    @property
    def hostile(self) -> bool:
        return self.type in HOSTILE or self.change <= -CLASH / 2

    @property
    def least(self) -> float:
        """The colder of their feelings after it."""
        return min(self.there.after, self.back.after)


@dataclass(frozen=True, slots=True)
class ArcState:
    """An arc; `tension` (0..1) is that of `changed_at`. `sides` says against whom each of the others stands."""

    id: UUID
    kind: Kind
    first_id: UUID
    second_id: UUID
    tension: float
    started_at: int
    changed_at: int
    stage: Stage = "started"
    others: tuple[UUID, ...] = ()
    turns: tuple[UUID, ...] = ()
    sides: Mapping[UUID, UUID] = field(default_factory=dict)
    turned_down: int = 0
    resolved_at: int | None = None
    outcome: str | None = None

    @property
    def pair(self) -> frozenset[UUID]:
        return frozenset((self.first_id, self.second_id))

    def tension_now(self, now: int) -> float:
        """The tension (0..1) at world time `now`: it halves while nothing happens."""
        return self.tension * half_life_factor(elapsed(self.changed_at, now), TENSION_HALF_LIFE_MS[self.kind])


@dataclass(frozen=True, slots=True)
class Change:
    """What became of an arc: `joined_id` was drawn in; `event_id` did it (None: time)."""

    what: What
    arc: ArcState
    event_id: UUID | None = None
    joined_id: UUID | None = None


# -- one arc ---------------------------------------------------------------------------------------------------


def resolved(arc: ArcState, outcome: str, at: int, event_id: UUID | None = None) -> Change:
    """The end of an arc."""
    turns = arc.turns
    if event_id is not None and event_id not in turns[-1:]:
        turns = (*turns, event_id)[-MOST_TURNS:]
    ended = replace(
        arc, stage="resolved", outcome=outcome, resolved_at=at, changed_at=at, turns=turns, tension=arc.tension_now(at)
    )  # fmt: skip
    return Change("resolved", ended, event_id)


def moved(
    arc: ArcState, by: float, h: Happening, joined: UUID | None = None, foe: UUID | None = None
) -> Change:
    """An arc after a turn that changed its tension by `by`, and drew somebody in or not."""
    before = arc.tension_now(h.at)
    tension = min(1.0, max(0.0, before + by))
    others, sides = arc.others, arc.sides
    if joined is not None and foe is not None:
        others, sides = (*others, joined), {**sides, joined: foe}
    rose = joined is not None or (by > 0 and any(arc.tension < mark <= tension for mark in MARKS))
    after = replace(
        arc, tension=tension, changed_at=max(h.at, arc.changed_at), turns=(*arc.turns, h.event_id)[-MOST_TURNS:],
        others=others, sides=sides, stage="rising" if rose else arc.stage,
    )  # fmt: skip
    return Change("rose" if rose else "changed", after, h.event_id, joined)


def faded(arc: ArcState, now: int) -> Change | None:
    """The end of an arc in which nothing has happened for long; None while it is not that long."""
    if elapsed(arc.changed_at, now) < QUIET_MS[arc.kind]:
        return None
    return resolved(arc, FADED[arc.kind], now)


def follow(arc: ArcState, h: Happening) -> list[Change]:
    """What a happening does to an open arc that it concerns; nothing if it does not concern it."""
    if h.pair == arc.pair:
        if arc.kind in GRUDGES:
            turn = _grudge(arc, h)
        else:
            turn = _courtship(arc, h) if arc.kind == "courtship" else _friendship(arc, h)
        if turn.what == "resolved":
            return [turn]
        return [turn, *_joined(turn.arc, h)]
    if arc.kind not in GRUDGES:
        return []
    side = arc.sides.get(h.initiator_id), arc.sides.get(h.target_id)
    if h.hostile and (side[0] == h.target_id or side[1] == h.initiator_id):
        return [moved(arc, 0.12, h)]
    return _joined(arc, h)


def _grudge(arc: ArcState, h: Happening) -> Change:
    """A turn of a quarrel or feud between its two."""
    feud = arc.kind == "feud"
    if h.type == "apology" and h.accepted is not False and not feud:
        return resolved(arc, "made_up", h.at, h.event_id)
    turn = moved(arc, _heat(arc, h), h)
    if h.hostile:
        hate = h.there.after <= FEUD_AT and h.back.after <= FEUD_AT
        if not feud and turn.arc.tension >= MARKS[1] and hate:
            return resolved(turn.arc, "became_feud", h.at, h.event_id)
    elif turn.arc.tension < (0.15 if feud else 0.06):
        return resolved(turn.arc, "reconciled" if feud else "blew_over", h.at, h.event_id)
    return turn


def _heat(arc: ArcState, h: Happening) -> float:
    """By how much a happening between the two changes the tension of a quarrel or feud."""
    if h.hostile:
        return (0.15 if arc.kind == "feud" else 0.2) + 0.5 * h.harm
    if h.accepted is False:
        return 0.06 if h.type == "apology" else 0.0
    if h.type == "apology":
        return -0.4
    if h.change <= 0.0:
        return 0.0
    return -0.25 if h.type == "gift" else -0.06


HEART_WON: Final = 0.5
"""How strongly one must feel to be won."""
WOOING: Final[Mapping[str, float]] = {
    "gift": 0.2,
    "confide": 0.2,
    "praise": 0.14,
    "tease": 0.08,
    "chat": 0.08,
}


def _courtship(arc: ArcState, h: Happening) -> Change:
    """A turn of a courtship: `first` woos `second`, whose heart is in the tie back."""
    back = h.back if h.initiator_id == arc.first_id else h.there
    turned_down = h.initiator_id == arc.first_id and h.accepted is False
    downs = arc.turned_down + turned_down
    arc = replace(arc, turned_down=downs)
    if downs >= 3 or back.after <= -0.1:
        return resolved(arc, "broken_heart", h.at, h.event_id)
    if h.hostile or turned_down:
        return moved(arc, -0.2, h)
    turn = moved(arc, WOOING.get(h.type, 0.05) if h.change > 0.0 else 0.0, h)
    if turn.arc.tension >= 0.6 and back.after >= HEART_WON:
        return resolved(turn.arc, "hearts_won", h.at, h.event_id)
    return turn


def _friendship(arc: ArcState, h: Happening) -> Change:
    if h.hostile and h.least < 0.15:
        return resolved(arc, "fell_out", h.at, h.event_id)
    if h.hostile:
        return moved(arc, -0.2, h)
    turn = moved(arc, 0.04 + min(0.1, max(0.0, h.change)), h)
    if turn.arc.tension >= 0.6 and h.least >= 0.5:
        return resolved(turn.arc, "fast_friends", h.at, h.event_id)
    return turn


def _joined(arc: ArcState, h: Happening) -> list[Change]:
    """Those whom a clash or gossip draws into a quarrel or feud, one change each."""
    if arc.kind not in GRUDGES:
        return []
    drawn: list[tuple[UUID, UUID]] = []
    if h.hostile or h.pair == arc.pair:
        drawn += [(who, about) for who, about, by in h.swayed if by <= -SWAYED]
    teller_is_in = h.initiator_id in arc.pair or h.initiator_id in arc.others
    if h.subject_id in arc.pair and teller_is_in and h.back.trust >= 0.5 and h.accepted is not False:
        assert h.subject_id is not None
        drawn.append((h.target_id, h.subject_id))
    changes = []
    for who, foe in drawn:
        if (
            foe in arc.pair
            and who not in arc.pair
            and who not in arc.others
            and len(arc.others) < MOST_OTHERS
        ):
            changes.append(moved(arc, 0.08, h, who, foe))
            arc = changes[-1].arc
    return changes


# -- all of them -----------------------------------------------------------------------------------------------


def beginning(h: Happening) -> tuple[Kind, float] | None:
    """The kind of arc that a happening could begin between its two, and the tension it begins with."""
    if h.hostile:
        return ("quarrel", min(0.45, 0.2 + 0.5 * h.harm)) if h.harm >= CLASH else None
    if h.accepted is False or h.change <= 0.0:
        return None
    heart = h.back.after  # neither won already nor hopeless
    if "win_heart" in h.wishes and h.type in WOOING and h.there.after > 0.1 and -0.1 < heart < HEART_WON:
        return "courtship", 0.2
    liked_before = min(h.there.before, h.back.before)
    if liked_before < 0.3 <= h.least and min(h.there.familiarity, h.back.familiarity) >= 0.1:
        return "friendship", 0.2
    return None


RIVALS: Final[Mapping[str, frozenset[str]]] = {
    "quarrel": frozenset({"quarrel", "feud"}),
    "feud": frozenset({"feud"}),
    "courtship": frozenset({"courtship", "feud"}),
    "friendship": frozenset({"courtship", "friendship", "feud", "quarrel"}),
}
"""Kinds that may not be open between the same two for one to begin."""


class Board:
    """The open arcs of a world while happenings go over them, in order."""

    def __init__(self, arcs: Iterable[ArcState], new_id: Callable[[], UUID], room: int = MOST_PER_WORLD):
        self._open: dict[UUID, ArcState] = {a.id: a for a in arcs}
        self._new_id = new_id
        self._room = room
        """How many more arcs the world may have."""

    def tell(self, h: Happening) -> list[Change]:
        """What a happening does to arcs: those that are open first, then one that may begin."""
        changes: list[Change] = []
        for arc in [a for a in self._open.values() if _concerns(a, h)]:
            for change in follow(arc, h):
                changes.append(change)
                if change.what == "resolved":
                    self._close(arc.id)
                    if change.arc.outcome == "became_feud":
                        changes += self._begin("feud", 0.6, h)
                else:
                    self._open[arc.id] = change.arc
        begins = beginning(h)
        ended = any(c.what == "resolved" and c.arc.pair == h.pair for c in changes)
        if begins is not None and not ended:
            changes += self._begin(*begins, h)
        return changes

    def _close(self, arc_id: UUID) -> None:
        del self._open[arc_id]
        self._room += 1

    def _begin(self, kind: Kind, tension: float, h: Happening) -> list[Change]:
        if self._room <= 0 or not self._may(kind, h.pair):
            return []
        arc = ArcState(
            self._new_id(), kind, h.initiator_id, h.target_id, tension, h.at, h.at, turns=(h.event_id,)
        )
        self._room -= 1
        changes = [Change("started", arc, h.event_id), *_joined(arc, h)]
        self._open[arc.id] = changes[-1].arc
        return changes

    def _may(self, kind: Kind, pair: frozenset[UUID]) -> bool:
        """Whether neither of the two has too many open arcs, and none that stands in the way."""
        of_each: Counter[UUID] = Counter()
        alike: Counter[UUID] = Counter()
        for arc in self._open.values():
            if arc.pair == pair and arc.kind in RIVALS[kind]:
                return False
            of_each.update(arc.pair)
            if arc.kind == kind:
                alike.update(arc.pair)
        return all(of_each[i] < MOST_PER_CHARACTER and alike[i] < MOST_OF[kind] for i in pair)


def _concerns(arc: ArcState, h: Happening) -> bool:
    return h.initiator_id in arc.pair or h.target_id in arc.pair or h.subject_id in arc.pair


def latest(changes: Sequence[Change]) -> dict[UUID, ArcState]:
    """The arcs that changed, each as it is after the last of the changes."""
    return {change.arc.id: change.arc for change in changes}


def worth_telling(changes: Sequence[Change]) -> list[Change]:
    """Beginnings, rises and ends."""
    return [change for change in changes if change.what != "changed"]
