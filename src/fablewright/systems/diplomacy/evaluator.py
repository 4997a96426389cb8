"""What an offer is worth to a faction, why, and what it answers. Pure.

An offer is a list of clauses. Each clause is read as *stakes*: who gives what to whom. What a faction gets counts for
it, what it gives counts against it; both are moved by its needs, by its traits and its leader, and promises by its
trust in who makes them. Of what it gets only so much counts as the giver may be believed to have. How it stands to the
others (opinion, tension, power, what it owes) and what the talks have brought add an amount that is the same whatever
is offered. The utility is the sum of all these parts.

Hence the answers are monotone: a clause in its favour, or more of what it gets, or less of what it gives, never lowers
the utility, and it accepts from `ENOUGH` on. It makes only offers that it would accept itself. 100 points are what it
owns. All coefficients are our own, tuned for play.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from math import ceil, fsum
from typing import Final, Literal, NamedTuple
from uuid import UUID

from fablewright.core.clock import DAY
from fablewright.core.dice import derived_uuid
from fablewright.systems.diplomacy.clauses import MOST_CLAUSES, AnyClause, HandOver, Pay, contradiction
from fablewright.systems.diplomacy.stakes import CUT_OFF, NEEDS, REASONS, WORTH, Stake, roughly, stakes

__all__ = [
    "NEEDS",
    "Counterpart",
    "Evaluation",
    "FactionView",
    "Leader",
    "Part",
    "Temper",
    "evaluate",
    "would_propose",
]

Verdict = Literal["accept", "counter", "refuse"]
Step = Literal["change", "drop", "add"]

PARTS: Final = (
    "terms",
    "need",
    "personality",
    "trust",
    "opinion",
    "tension",
    "power",
    "owed",
    "war",
    "talks",
)
"""What a utility is made of. The first four come from the clauses, the others from who talks with whom."""
ENOUGH: Final = 0.0
"""The utility from which an offer is accepted, and from which a faction would make it."""
PATIENCE: Final = 60.0
"""An offer that lacks more than this is refused without a counter-offer."""
FORGETS_AFTER_MS: Final = 90 * DAY
"""For so long a faction does not make an offer again that it made and lost."""
HORIZON_DAYS: Final = 720
"""For how long a treaty without an end is reckoned, at most."""
STEPS: Final[Mapping[Step, float]] = {"change": 0.0, "drop": 0.5, "add": 1.0}
"""What a change of an offer costs beside what it moves: changing an amount is the least."""
ROUNDING: Final = 1e-9
MOST_TRIED: Final = 32
"""Of how many counter-offers, the smallest first, it looks whether it would make them."""


# -- who judges ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Leader:
    """The personality of who decides: five factors (OCEAN), each 0..1 with 0.5 for the average."""

    openness: float = 0.5
    conscientiousness: float = 0.5
    extraversion: float = 0.5
    agreeableness: float = 0.5
    neuroticism: float = 0.5


@dataclass(frozen=True, slots=True)
class Temper:
    """The traits of a faction, each 0..1."""

    aggressive: float = 0.5
    honourable: float = 0.5
    mercantile: float = 0.5
    isolationist: float = 0.5


@dataclass(frozen=True, slots=True)
class Counterpart:
    """Another faction as the one that judges sees it.

    `opinion` -100..100 of it, `trust` 0..1 in it, `tension` 0..100 between the two; `power` is its share of the power
    of both, 0..1; `owed` -1..1 is what one owes it (below 0: it owes us); `means` is what it could pay at once in our
    currency, `income` what it gets of that in a day, both as far as one knows. At war with it, `war` -100..100 is how
    that stands for us; `taken` are the regions that we took from it, `given` those that it took from us.
    """

    id: UUID
    name: str = "the other side"
    opinion: float = 0.0
    trust: float = 0.5
    tension: float = 0.0
    power: float = 0.5
    owed: float = 0.0
    means: int = 0
    war: float = 0.0
    taken: tuple[UUID, ...] = ()
    given: tuple[UUID, ...] = ()
    income: float = 0.0


@dataclass(frozen=True, slots=True)
class FactionView:
    """A faction that judges an offer, and all it judges by.

    `wealth` (>= 1) is what 100 points are worth in money, `treasury` what it can pay at once. `needs` are 0..1 by name
    (`NEEDS`). `people` says what characters are worth, 0..1, by whose they are and who they are, `lands` the same of
    regions; what is not there is worth nothing to get. `goods` are those that are traded at all. Its leader it never
    hands over. `weariness` 0..100 is what war with one of them has left of it, `lean` what the talks have brought
    (points). `lost` holds `fingerprint`s of offers it made and lost.
    """

    id: UUID
    others: Mapping[UUID, Counterpart]
    temper: Temper = Temper()
    leader: Leader = Leader()
    leader_id: UUID | None = None
    treasury: int = 0
    wealth: float = 1000.0
    currency: str = "points"
    needs: Mapping[str, float] = field(default_factory=dict)
    people: Mapping[tuple[UUID, UUID], float] = field(default_factory=dict)
    lands: Mapping[UUID, float] = field(default_factory=dict)
    goods: Collection[str] = frozenset()
    weariness: float = 0.0
    lean: float = 0.0
    lost: Collection[UUID] = frozenset()


# -- the utility -------------------------------------------------------------------------------------------------


class Part(NamedTuple):
    """A part of a utility: which (`PARTS`), how much (points), and why."""

    what: str
    amount: float
    reason: str


@dataclass(frozen=True, slots=True)
class Change:
    """How a counter-offer differs from the offer: a clause (by its place) is dropped or changed, or one is added."""

    step: Step
    place: int | None
    clause: AnyClause | None
    gain: float
    """By how many points it is better for who counters."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a faction makes of an offer. `utility` is the sum of the parts.

    `reasons` are the heaviest ones, against it if it is refused, else for it; `forbidden` are those that no gain
    outweighs. With the verdict `counter`, `counter` is the offer that would do and `changes` are what differs.
    """

    utility: float
    parts: tuple[Part, ...]
    verdict: Verdict
    reasons: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    counter: tuple[AnyClause, ...] = ()
    changes: tuple[Change, ...] = ()


class _Item(NamedTuple):
    """A clause as one faction sees it: its parts and their sum."""

    value: float
    parts: tuple[Part, ...]


def _leaning(temper: Temper, moved: Mapping[str, float]) -> float:
    return fsum(by * (getattr(temper, trait) - 0.5) for trait, by in moved.items())


def _size(view: FactionView, stake: Stake) -> float:
    """How much of a stake there is, by what its subject is worth. To give up what one knows no worth of costs a little,
    to get it is nothing."""
    unknown = 0.3 if stake.giver == view.id else 0.0
    if stake.kind == "hand_over" and stake.subject is not None:
        return stake.size * 1.4 * view.people.get((stake.giver, stake.subject), unknown)
    if stake.kind == "keep_out" and stake.subject is not None:
        return stake.size * 1.5 * view.lands.get(stake.subject, unknown)
    if stake.kind == "no_trade" and stake.what is not None and stake.what not in view.goods:
        return stake.size * unknown
    return stake.size


def _gets(view: FactionView, stake: Stake) -> bool:
    """Whether a stake is given to the faction."""
    return stake.taker in (None, view.id) and view.id not in (stake.giver, stake.against)


def _believed(view: FactionView, offer: Sequence[AnyClause], days: int) -> list[float]:
    """How much of what each clause gives to the faction counts: of money what the giver can have until then, of other
    things no more than `WORTH` says. Money of others is worth nothing to it."""
    sizes = [0.0] * len(offer)
    left: dict[tuple[UUID, str], float] = {}
    found = [
        (n, stake) for n, clause in enumerate(offer) for stake in stakes(clause, days) if _gets(view, stake)
    ]  # fmt: skip
    for n, stake in sorted(
        found, key=lambda f: f[1].promise
    ):  # first what is paid at once, which counts in full
        size, giver = _size(view, stake), stake.giver
        bounds = {stake.kind: WORTH[stake.kind].most}
        if stake.kind == "pay":
            other = view.others.get(giver)
            if other is None or stake.what != view.currency:
                continue
            bounds = {"pay": other.means + other.income * days}
            if not stake.promise:
                bounds["at once"] = float(other.means)
        sizes[n] = min(size, *(left.setdefault((giver, kind), most) for kind, most in bounds.items()))
        for kind in bounds:
            left[giver, kind] -= sizes[n]
    return sizes


def _items(view: FactionView, offer: Sequence[AnyClause], days: int) -> list[_Item]:
    """What the clauses of an offer are to a faction."""
    return [
        _item(view, clause, days, size)
        for clause, size in zip(offer, _believed(view, offer, days), strict=True)
    ]


def _item(view: FactionView, clause: AnyClause, days: int, size: float) -> _Item:
    """What a clause is to a faction, of which so much counts as a gain. Each factor is above 0, so that gains stay
    gains whatever moves them."""
    parts: list[Part] = []
    for stake in stakes(clause, days):
        worth = WORTH[stake.kind]
        gets, gives = REASONS[stake.kind]
        unit = view.wealth if stake.kind == "pay" else 1.0
        if view.id in (stake.giver, stake.against):
            gives = CUT_OFF if stake.giver != view.id else gives
            base = -worth.cost * _size(view, stake) / unit
            moved = base * max(0.2, 1.0 + _leaning(view.temper, worth.costs))
            parts += (Part("terms", base, gives), Part("personality", moved - base, gives))
        elif _gets(view, stake):
            other = view.others.get(stake.giver)
            base = worth.gain * size / unit * (0.2 + 1.6 * other.power if worth.by_power and other else 1.0)
            needed = base * (1.0 + view.needs.get(worth.need, 0.0))
            moved = needed * max(0.2, 1.0 + _leaning(view.temper, worth.gains))
            trusted = moved * (0.4 + 0.6 * (other.trust if other else 0.5)) if stake.promise else moved
            parts += (
                Part("terms", base, gets), Part("need", needed - base, f"{gets}: need of {worth.need}"),
                Part("personality", moved - needed, gets), Part("trust", trusted - moved, f"{gets}: a promise"),
            )  # fmt: skip
    return _Item(sum(part.amount for part in parts), tuple(p for p in parts if p.amount))


def _worth(view: FactionView, offer: Sequence[AnyClause], days: int) -> float:
    return fsum(item.value for item in _items(view, offer, days))


def standing(view: FactionView) -> tuple[Part, ...]:
    """What a faction brings to the table whatever is offered: parts from those it talks with and from its leader."""
    many = max(1, len(view.others))
    parts: list[Part] = []
    for other in view.others.values():
        parts += (
            Part("opinion", 0.12 * other.opinion / many, f"what we think of {other.name}"),
            Part("tension", -0.1 * other.tension / many, f"tension with {other.name}"),
            Part("power", 16.0 * (other.power - 0.5) / many, f"how strong {other.name} is beside us"),
            Part("owed", 10.0 * other.owed / many, f"what we owe to {other.name}"),
            Part("trust", 6.0 * (other.trust - 0.5) / many, f"our trust in {other.name}"),
            Part("war", -0.25 * other.war / many, f"how the war with {other.name} stands for us"),
        )  # fmt: skip
    kind = 8.0 * (view.leader.agreeableness - 0.5) + 3.0 * (view.leader.openness - 0.5)
    parts += (
        Part("personality", kind - 4.0 * (view.temper.isolationist - 0.5), "the temper of who decides"),
        Part("war", 0.3 * view.weariness, "how weary we are of war"),
        Part("talks", view.lean, "what the talks have brought"),
    )
    return tuple(part for part in parts if part.amount)


def _paid_at_once(view: FactionView, offer: Sequence[AnyClause]) -> int:
    """What the faction would have to pay at the signing."""
    return sum(c.amount for c in offer if isinstance(c, Pay) and _at_once(view, c))


def _at_once(view: FactionView, clause: Pay) -> bool:
    """Whether the faction would have to pay it out of what it has now."""
    return (clause.from_id, clause.currency, clause.every_days) == (view.id, view.currency, None)


def forbidden(view: FactionView, offer: Sequence[AnyClause]) -> tuple[str, ...]:
    """Why the faction cannot or will never do this, whatever it gets for it."""
    found = []
    if (sum_ := _paid_at_once(view, offer)) > view.treasury:
        found.append(f"we cannot pay {sum_}: there are {view.treasury}")
    handed = {c.character_id for c in offer if isinstance(c, HandOver) and c.faction_id == view.id}
    if view.leader_id in handed:
        found.append("we do not hand over who leads us")
    return tuple(found)


def fingerprint(offer: Sequence[AnyClause], days: int | None) -> UUID:
    """The same for offers that say the same, in whatever order."""
    return derived_uuid("offer", days, *sorted(c.model_dump_json() for c in offer))


def horizon(days: int | None) -> int:
    """For how many days a treaty is reckoned."""
    return HORIZON_DAYS if days is None else min(days, HORIZON_DAYS)


# -- the answer --------------------------------------------------------------------------------------------------


def evaluate(view: FactionView, offer: Sequence[AnyClause], days: int | None = 360) -> Evaluation:
    """What the faction makes of an offer for a treaty of so many days (None: without an end), and what it answers."""
    lasts = horizon(days)
    items = _items(view, offer, lasts)
    base = standing(view)
    parts = tuple(part for item in items for part in item.parts) + base
    utility = fsum(part.amount for part in parts)
    never = forbidden(view, offer)
    if utility >= ENOUGH - ROUNDING and not never:
        return Evaluation(utility, parts, "accept", _heaviest(parts, 1))
    changes = _least_change(view, offer, days, items, ENOUGH - utility)
    if changes is None:
        return Evaluation(utility, parts, "refuse", never + _heaviest(parts, -1), never)
    made = changed(offer, changes)
    return Evaluation(utility, parts, "counter", never + _heaviest(parts, -1), never, made, changes)


def would_propose(view: FactionView, offer: Sequence[AnyClause], days: int | None = 360) -> bool:
    """Whether the faction would make this offer: it would accept it, and has not made and lost it of late.

    What it made and lost it still accepts, if another one makes it."""
    if not offer or not acceptable(view, offer, days):
        return False
    return not view.lost or fingerprint(offer, days) not in view.lost


def acceptable(view: FactionView, offer: Sequence[AnyClause], days: int | None = 360) -> bool:
    """Whether the faction would accept this offer."""
    return utility(view, offer, days) >= ENOUGH - ROUNDING and not forbidden(view, offer)


def utility(view: FactionView, offer: Sequence[AnyClause], days: int | None = 360) -> float:
    """What an offer is worth to the faction, without its reasons."""
    parts = [part for item in _items(view, offer, horizon(days)) for part in item.parts]
    return fsum(part.amount for part in (*parts, *standing(view)))


def terms(view: FactionView, offer: Sequence[AnyClause], days: int | None = 360) -> float:
    """What the clauses alone are worth to the faction, whatever it thinks of the others."""
    return _worth(view, offer, horizon(days))


def _heaviest(parts: Sequence[Part], sign: int, most: int = 3) -> tuple[str, ...]:
    """The reasons of the heaviest parts of a sign, heaviest first."""
    found = sorted((p for p in parts if p.amount * sign > 0), key=lambda p: -abs(p.amount))
    return tuple(dict.fromkeys(f"{p.reason} ({p.amount:+.1f})" for p in found[:most]))


def changed(offer: Sequence[AnyClause], changes: Sequence[Change]) -> tuple[AnyClause, ...]:
    """The offer with these changes."""
    at = {change.place: change for change in changes if change.place is not None}
    kept = (at[n].clause if n in at else clause for n, clause in enumerate(offer))
    added = (change.clause for change in changes if change.place is None)
    return tuple(clause for clause in (*kept, *added) if clause is not None)


def keeps_its_point(offer: Sequence[AnyClause], made: Sequence[AnyClause]) -> bool:
    """Whether talks that were about more than money still are: nobody asks to be paid for nothing."""
    before, after = (any(not isinstance(clause, Pay) for clause in clauses) for clauses in (offer, made))
    return after or not before


def _least_change(
    view: FactionView, offer: Sequence[AnyClause], days: int | None, items: Sequence[_Item], lacks: float
) -> tuple[Change, ...] | None:
    """The smallest change of one clause, or of two, after which the faction would accept; None if there is none."""
    if lacks > PATIENCE:
        return None
    single = list(_steps(view, offer, days, items, max(0.0, lacks)))
    for tried in (((step,) for step in single), _pairs(single)):
        fitting = sorted(
            (steps for steps in tried if fsum(s.gain for s in steps) >= lacks - ROUNDING),
            key=lambda steps: sum(s.gain + STEPS[s.step] for s in steps),
        )
        for steps in fitting[:MOST_TRIED]:
            made = changed(offer, steps)
            possible = keeps_its_point(offer, made) and not forbidden(view, made)
            if possible and would_propose(view, made, days):
                return steps
    return None


def _pairs(steps: Sequence[Change]) -> Iterator[tuple[Change, Change]]:
    for one, other in combinations(steps, 2):
        if one.place is None or one.place != other.place:
            yield one, other


def _steps(
    view: FactionView, offer: Sequence[AnyClause], days: int | None, items: Sequence[_Item], lacks: float
) -> Iterator[Change]:
    """The single changes that are good for the faction; of amounts, the least that would do and the most."""
    for place, (clause, item) in enumerate(zip(offer, items, strict=True)):
        if item.value < 0:
            yield Change("drop", place, None, -item.value)
        if isinstance(clause, Pay):
            amounts = _amounts(view, offer, days, place, clause, item.value, lacks)
            yield from (step for step in amounts if step.gain > ROUNDING)
    if len(offer) < MOST_CLAUSES:
        yield from (step for step in _added(view, offer, days, lacks) if step.gain > ROUNDING)


def _amounts(
    view: FactionView, offer: Sequence[AnyClause], days: int | None, place: int, clause: Pay, value: float,
    lacks: float,
) -> Iterator[Change]:  # fmt: skip
    if clause.from_id == view.id:
        least = clause.amount - ceil(lacks / (-value / clause.amount) - ROUNDING)
        others = _paid_at_once(view, offer) - clause.amount
        if _at_once(view, clause) and least > view.treasury - others:
            least = roughly(view.treasury) - others  # all hear of it: nobody reads a treasury in it
        if 0 < least < clause.amount:
            yield _amount(view, offer, days, place, clause, least)
    elif clause.to_id == view.id and (other := view.others.get(clause.from_id)) is not None:
        lasts, often = horizon(days), clause.every_days
        most = other.means
        if often is not None:
            most = int((other.means + other.income * lasts) / max(1, lasts // often))
        wanted = clause.amount + max(1, ceil(lacks / _each(view, clause, lasts) - ROUNDING))
        for amount in dict.fromkeys((min(wanted, most), most)):
            if amount > clause.amount:
                yield _amount(view, offer, days, place, clause, amount)


def _each(view: FactionView, clause: Pay, days: int) -> float:
    """What each unit of a payment to the faction is to it, if it believes in it."""
    (stake,) = stakes(clause, days)
    return _item(view, clause, days, stake.size).value / clause.amount


def _amount(
    view: FactionView, offer: Sequence[AnyClause], days: int | None, place: int, clause: Pay, amount: int
) -> Change:
    asked, lasts = clause.model_copy(update={"amount": amount}), horizon(days)
    made = [*offer[:place], asked, *offer[place + 1 :]]
    return Change("change", place, asked, _worth(view, made, lasts) - _worth(view, offer, lasts))


def _added(view: FactionView, offer: Sequence[AnyClause], days: int | None, lacks: float) -> Iterator[Change]:
    """A payment by each of the others that does not pay us yet: as little as would do, or a tenth more if that was
    asked for and lost."""
    lasts = horizon(days)
    for other in view.others.values():
        if other.means < 1:
            continue
        one = Pay(from_id=other.id, to_id=view.id, amount=1, currency=view.currency)
        if any(contradiction(one, clause) for clause in offer):
            continue
        least = max(1, ceil(lacks / _each(view, one, lasts) - ROUNDING))
        for amount in dict.fromkeys(min(other.means, asked) for asked in (least, least + least // 10 + 1)):
            added = one.model_copy(update={"amount": amount})
            gain = _worth(view, [*offer, added], lasts) - _worth(view, offer, lasts)
            yield Change("add", None, added, gain)
