"""What factions that decide by themselves ask for, how they open, and how a whole sitting of them goes. Pure.

Apart from `evaluator`, which says what one offer is worth: this is about the order in which offers come. At a sitting
nobody is waited for. Each offer is answered by the others in turn; a counter-offer takes its place, a refusal gives
the word back to who made it, who leans a little further each time: a dance of concessions (Raiffa, "The Art and Science
of Negotiation", 1982). It ends with an offer that all accept, or when all have conceded as often as they will.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from uuid import UUID

from fablewright.systems.diplomacy.clauses import (
    AnyClause,
    Defend,
    KeepOut,
    NoAttack,
    OpenBorders,
    Pay,
    ShareInformation,
    SupportInWar,
)
from fablewright.systems.diplomacy.evaluator import (
    ENOUGH,
    PATIENCE,
    Counterpart,
    Evaluation,
    FactionView,
    evaluate,
    fingerprint,
    would_propose,
)
from fablewright.systems.diplomacy.stakes import need_of_money, wealth

MOST_LEAN: Final = 40.0
"""How far talks can move a faction, either way (points)."""
RECIPROCITY: Final = 0.25
"""What a faction gives back of what the other side's offer is better by than the best before."""
MOST_GIVEN_BACK: Final = 3.0
"""The same, at most at once (points)."""
HALF_WAY: Final = 0.5
"""How much of a concession a faction makes when it is answered with another offer instead of a refusal."""
MOST_CONCESSIONS: Final = 4
"""How often it makes a new offer after the last was refused, before it walks out."""
MOST_AT_ONCE: Final = 8
"""Offers of one sitting."""
PERIOD_DAYS: Final = 30
"""How often tribute is asked for."""
WON: Final = 25.0
"""From this war score on one asks for more than peace."""
NOTHING: Final = "nothing was found that would do for all"


# -- what one asks for -------------------------------------------------------------------------------------------


def wishes(kind: str, view: FactionView, other_id: UUID) -> tuple[AnyClause, ...]:
    """What a faction would like to have from another one in a treaty of a kind."""
    me, other = view.id, view.others[other_id]
    quiet = NoAttack(a_id=me, b_id=other_id)
    helps = SupportInWar(faction_id=other_id, ally_id=me)
    sum_ = Pay(
        from_id=other_id, to_id=me, amount=max(1, other.means // 50), currency=view.currency,
        every_days=PERIOD_DAYS,
    )  # fmt: skip
    tribute = (sum_,) if other.means else ()
    guards, guarded = (Defend(protector_id=a, protected_id=b) for a, b in ((other_id, me), (me, other_id)))
    found: tuple[AnyClause, ...]
    match kind:
        case "peace" | "ceasefire":
            found = (quiet, *(spoils(view, other_id) if kind == "peace" else ()))
        case "non_aggression" | "border":
            found = (quiet,)
        case "alliance":
            found = (guards, guarded, helps, SupportInWar(faction_id=me, ally_id=other_id))
        case "defence_pact":
            found = (guards, guarded)
        case "tribute":
            found = (quiet, *tribute)
        case "vassalage" if other.power <= 0.5:
            found = (guarded, helps, *tribute)
        case "vassalage":
            found = (guards, SupportInWar(faction_id=me, ally_id=other_id))
        case "trade":
            found = tuple(OpenBorders(faction_id=a, to_id=b) for a, b in ((other_id, me), (me, other_id)))
        case "military_access":
            found = (OpenBorders(faction_id=other_id, to_id=me),)
        case _:
            found = tuple(
                ShareInformation(faction_id=a, to_id=b) for a, b in ((other_id, me), (me, other_id))
            )
    return found


def spoils(view: FactionView, other_id: UUID) -> tuple[AnyClause, ...]:
    """What who wins a war asks for beside peace, and who loses it offers: what was taken, and money."""
    me, other = view.id, view.others[other_id]
    if other.war <= -WON:
        return tuple(KeepOut(faction_id=me, region_id=r, for_id=other_id) for r in other.given)
    if other.war < WON:
        return ()
    kept = tuple(KeepOut(faction_id=other_id, region_id=r, for_id=me) for r in other.taken)
    amount = int(other.means * other.war / 200)
    paid = Pay(from_id=other_id, to_id=me, amount=max(1, amount), currency=view.currency)
    return (*kept, paid) if amount else kept


def opening(
    view: FactionView, guess: FactionView, wanted: Sequence[AnyClause], days: int | None = 360
) -> tuple[AnyClause, ...]:
    """The offer with which a faction opens: what it wants, with what the other one would ask for it.

    `guess` is how it believes that the other one sees the matter. Empty, if nothing would do for both.
    """
    answer = evaluate(guess, wanted, days)
    offer = tuple(wanted) if answer.verdict == "accept" else answer.counter
    if offer and would_propose(view, offer, days):
        return offer
    return evaluate(view, offer or wanted, days).counter


def opens_with(
    kind: str, views: Mapping[UUID, FactionView], me: UUID, days: int | None
) -> tuple[AnyClause, ...]:
    """The offer with which a faction opens talks about a treaty of a kind; empty, if it knows of none."""
    others = [i for i in views if i != me]
    wanted = list(dict.fromkeys(clause for other in others for clause in wishes(kind, views[me], other)))
    return opening(views[me], guessed(views[others[0]], views[me].others[others[0]]), wanted, days)


def guessed(view: FactionView, known: Counterpart) -> FactionView:
    """How a faction believes that another one sees the matter: as it does, but for what talks have brought it to, and
    with as much money as it is known to have."""
    month = 30 * known.income
    return replace(
        view, lean=0.0, lost=frozenset(), treasury=known.means, wealth=wealth(known.means, month),
        needs={**view.needs, "money": need_of_money(known.means, month)},
    )  # fmt: skip


def given_back(view: FactionView, now: float, best: float) -> float:
    """What a faction leans to since the other side's offer is better than its best before (points, 0 or more).

    Both are utilities, but for what the talks have brought. To go from beyond all measure to what is merely
    unacceptable is no favour: what lacks more than `PATIENCE` counts as lacking that.
    """
    least = ENOUGH - PATIENCE
    better = min(MOST_GIVEN_BACK, RECIPROCITY * max(0.0, max(now, least) - max(best, least)))
    return min(better, MOST_LEAN - view.lean)


def concession(view: FactionView) -> float:
    """By how much a faction leans further when its offer was refused (points)."""
    return min(2.0 + 4.0 * view.leader.agreeableness, MOST_LEAN - view.lean)


# -- a sitting -------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Offered:
    """An offer of a sitting. `counters` is the number of the one whose place it takes; `end` how it ended."""

    number: int
    faction_id: UUID
    clauses: tuple[AnyClause, ...]
    mark: UUID
    counters: int | None = None
    end: str = "lapsed"
    ended_by: UUID | None = None
    accepted: list[UUID] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Answered:
    """What a faction made of an offer, and answered."""

    number: int
    faction_id: UUID
    found: Evaluation


@dataclass(slots=True)
class Sitting:
    """How a sitting went: what was said in order, the offer that all accept (if any), and what it did to each."""

    said: list[Offered | Answered] = field(default_factory=list)
    agreed: Offered | None = None
    leans: dict[UUID, float] = field(default_factory=dict)
    concessions: dict[UUID, int] = field(default_factory=dict)
    walked: UUID | None = None
    """Who saw that it leads nowhere."""


def sitting(
    kind: str, views: Mapping[UUID, FactionView], opener: UUID, days: int | None, number: int = 0
) -> Sitting:
    """Let factions bargain to the end. `number` is how many offers were made before; the opener speaks first."""
    table = _Table(kind, {i: views[i] for i in (opener, *sorted(set(views) - {opener}))}, days, number)
    while table.offer is None or set(table.offer.accepted) != set(table.views):
        if table.offer is not None:
            table.answer(next(i for i in table.views if i not in table.offer.accepted))
        elif not table.speak():
            break
    done = table.done
    if table.offer is not None:
        done.agreed, table.offer.end = table.offer, "accepted"
    else:
        done.walked = table.turns[0]
    done.leans = {i: v.lean for i, v in table.views.items()}
    return done


class _Table:
    """A sitting under way."""

    def __init__(self, kind: str, views: dict[UUID, FactionView], days: int | None, number: int):
        self.kind, self.views, self.days, self.number = kind, views, days, number
        self.last = number + MOST_AT_ONCE
        self.turns = list(views)
        self.offer: Offered | None = None
        self.heard: dict[tuple[UUID, UUID], float] = {}
        """By who answered and whose offers they were: the best utility so far, but for what the talks have brought."""
        self.done = Sitting(concessions=dict.fromkeys(views, 0))

    def speak(self) -> bool:
        """Let those whose turn it is make an offer; False if nobody will."""
        for _ in range(len(self.turns) * MOST_CONCESSIONS):
            me = self.turns[0]
            if self.number >= self.last or self.done.concessions[me] >= MOST_CONCESSIONS:
                return False
            self.done.concessions[me] += 1
            if self.done.concessions[me] > 1:
                self._lean(me, concession(self.views[me]))
            offer = opens_with(self.kind, self.views, me, self.days)
            if offer:
                self._put(me, offer)
                return True
            self.turns.append(self.turns.pop(0))
        return False

    def answer(self, me: UUID) -> None:
        """Let one of the others answer the offer that stands."""
        offer = self.offer
        assert offer is not None
        found = evaluate(self.views[me], offer.clauses, self.days)
        now, best = found.utility - self.views[me].lean, self.heard.get((me, offer.faction_id))
        if best is not None:
            self._lean(me, given_back(self.views[me], now, best))
            self._lean(me, HALF_WAY * concession(self.views[me]))
            found = evaluate(self.views[me], offer.clauses, self.days)
        self.heard[me, offer.faction_id] = now if best is None else max(now, best)
        if found.verdict == "counter" and self.number >= self.last:
            found = replace(found, verdict="refuse", counter=(), changes=())
        self.done.said.append(Answered(offer.number, me, found))
        if found.verdict == "accept":
            offer.accepted.append(me)
        elif found.verdict == "counter":
            self._end("countered", me)
            self._put(me, found.counter, offer.number)
        else:
            self._end("refused", me)
            self.turns.remove(offer.faction_id)
            self.turns.insert(0, offer.faction_id)

    def _put(self, me: UUID, clauses: tuple[AnyClause, ...], counters: int | None = None) -> None:
        self.number += 1
        mark = fingerprint(clauses, self.days)
        self.offer = Offered(self.number, me, clauses, mark, counters, accepted=[me])
        self.done.said.append(self.offer)

    def _end(self, how: str, by: UUID) -> None:
        """The offer is lost: who made it does not make it again."""
        assert self.offer is not None
        self.offer.end, self.offer.ended_by = how, by
        maker = self.views[self.offer.faction_id]
        self.views[maker.id] = replace(maker, lost=frozenset((*maker.lost, self.offer.mark)))
        self.offer = None

    def _lean(self, me: UUID, by: float) -> None:
        self.views[me] = replace(self.views[me], lean=self.views[me].lean + by)
