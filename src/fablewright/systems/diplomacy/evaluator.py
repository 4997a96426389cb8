"""What an offer is worth to a faction, why, and what it answers. Pure.

An offer is a list of clauses. Each clause is read as *stakes*: who gives what to whom. What a faction gets counts for
it, what it gives counts against it; both are moved by its needs, by its traits and its leader, and promises by its
trust in who makes them. How it stands to the others (opinion, tension, power, what it owes) and what the talks have
brought add an amount that is the same whatever is offered. The utility is the sum of all these parts.

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
from fablewright.systems.diplomacy.clauses import (
    MOST_CLAUSES,
    AnyClause,
    Defend,
    HandOver,
    KeepOut,
    NoAttack,
    NoTrade,
    OpenBorders,
    Pay,
    ShareInformation,
    SupportInWar,
    contradiction,
)

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
    of both, 0..1; `owed` -1..1 is what one owes it (below 0: it owes us); `means` is what it could pay at once. At war
    with it, `war` -100..100 is how that stands for us; `taken` are the regions that we took from it, `given` those that
    it took from us.
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


@dataclass(frozen=True, slots=True)
class FactionView:
    """A faction that judges an offer, and all it judges by.

    `wealth` (>= 1) is what 100 points are worth in money, `treasury` what it can pay at once. `needs` are 0..1 by name
    (`NEEDS`). `people` and `lands` say what characters and regions are worth to it, 0..1; its leader it never hands
    over. `weariness` 0..100 is what war with one of them has left of it, `lean` what the talks have brought (points).
    `lost` holds `fingerprint`s of offers it made and lost.
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
    people: Mapping[UUID, float] = field(default_factory=dict)
    lands: Mapping[UUID, float] = field(default_factory=dict)
    weariness: float = 0.0
    lean: float = 0.0
    lost: Collection[UUID] = frozenset()


NEEDS: Final = ("money", "security", "peace", "trade", "knowledge", "land", "aid")
"""What a faction can be short of."""


# -- what clauses are about --------------------------------------------------------------------------------------


class Stake(NamedTuple):
    """Something that `giver` gives to `taker` (None: to all the others) by a clause: how much of it, and for how
    long. `subject` is the character or region that it is about."""

    kind: str
    giver: UUID
    taker: UUID | None
    size: float = 1.0
    subject: UUID | None = None
    promise: bool = True
    """Whether one must trust in it; what happens at the signing is none."""


@dataclass(frozen=True, slots=True)
class Worth:
    """What a kind of stake is worth: to who gets it and to who gives it (points), the need that it meets, how traits
    of the giver (`costs`) and of the taker (`gains`) move it, around 0.5, and whether the power of the other side
    does."""

    gain: float
    cost: float
    need: str
    costs: Mapping[str, float] = field(default_factory=dict)
    gains: Mapping[str, float] = field(default_factory=dict)
    by_power: bool = False


WORTH: Final[Mapping[str, Worth]] = {
    "pay": Worth(100.0, 100.0, "money", {"mercantile": 0.3}, {"mercantile": 0.3}),
    "keep_out": Worth(8.0, 7.0, "security", {"aggressive": 0.8}, {"isolationist": 0.4}, by_power=True),
    "no_trade": Worth(6.0, 9.0, "trade", {"mercantile": 0.8}, {}),
    "defend": Worth(16.0, 13.0, "security", {"isolationist": 0.8, "aggressive": -0.4}, {}, by_power=True),
    "hand_over": Worth(14.0, 18.0, "knowledge", {"honourable": 0.6}, {"aggressive": 0.4}),
    "share_information": Worth(5.0, 4.0, "knowledge", {"isolationist": 0.6}, {}),
    "open_borders": Worth(6.0, 5.0, "trade", {"isolationist": 1.0}, {"mercantile": 0.6}),
    "no_attack": Worth(11.0, 6.0, "peace", {"aggressive": 1.2}, {"aggressive": -0.6}, by_power=True),
    "support_in_war": Worth(18.0, 15.0, "aid", {"isolationist": 0.8, "aggressive": -0.6}, {}, by_power=True),
}
"""By kind of stake. Money is per share of one's wealth; what cannot be weighed (custom text) is not listed."""
REASONS: Final[Mapping[str, tuple[str, str]]] = {
    "pay": ("money we get", "money we pay"),
    "keep_out": ("their troops stay out", "our troops stay out"),
    "no_trade": ("trade they give up", "trade we give up"),
    "defend": ("they defend us", "we defend them"),
    "hand_over": ("someone is handed over to us", "we hand someone over"),
    "share_information": ("what they tell us", "what we tell them"),
    "open_borders": ("their borders are open to us", "our borders are open to them"),
    "no_attack": ("they do not attack us", "we do not attack them"),
    "support_in_war": ("their help in war", "our help in war"),
}
"""In words: what the taker gets and what the giver gives."""


def stakes(clause: AnyClause, days: int) -> tuple[Stake, ...]:
    """What a clause of a treaty of so many days gives to whom; nothing for what cannot be weighed."""
    found: tuple[Stake, ...] = ()
    match clause:
        case Pay():
            often = clause.every_days
            paid = float(clause.amount * (1 if often is None else max(1, days // often)))
            found = (Stake("pay", clause.from_id, clause.to_id, paid, None, often is not None),)
        case KeepOut():
            found = (Stake("keep_out", clause.faction_id, clause.for_id, 1.0, clause.region_id),)
        case NoTrade():
            found = (Stake("no_trade", clause.faction_id, None, 1.0 if clause.good is None else 0.5),)
        case Defend():
            found = (Stake("defend", clause.protector_id, clause.protected_id),)
        case HandOver():
            found = (Stake("hand_over", clause.faction_id, clause.to_id, 1.0, clause.character_id),)
        case ShareInformation() | OpenBorders():
            found = (Stake(clause.type, clause.faction_id, clause.to_id),)
        case NoAttack():
            a, b = clause.a_id, clause.b_id
            found = (Stake("no_attack", a, b), Stake("no_attack", b, a))
        case SupportInWar():
            size = 1.0 if clause.against_id is None else 0.7
            found = (Stake("support_in_war", clause.faction_id, clause.ally_id, size),)
        case _:
            pass  # words, which bind only by honour
    return found


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


def _value_of_subject(view: FactionView, stake: Stake) -> float:
    if stake.subject is None:
        return 1.0
    if stake.kind == "hand_over":
        return 0.5 + view.people.get(stake.subject, 0.3)
    return 0.5 + view.lands.get(stake.subject, 0.5)


def _item(view: FactionView, clause: AnyClause, days: int) -> _Item:
    """What a clause is to a faction. Each factor is above 0, so that gains stay gains whatever moves them."""
    parts: list[Part] = []
    for stake in stakes(clause, days):
        worth = WORTH[stake.kind]
        gets, gives = REASONS[stake.kind]
        size = stake.size / view.wealth if stake.kind == "pay" else stake.size
        size *= _value_of_subject(view, stake)
        if stake.giver == view.id:
            base = -worth.cost * size
            moved = base * max(0.2, 1.0 + _leaning(view.temper, worth.costs))
            parts += (Part("terms", base, gives), Part("personality", moved - base, gives))
        elif stake.taker in (None, view.id):
            other = view.others.get(stake.giver)
            base = worth.gain * size * (0.2 + 1.6 * other.power if worth.by_power and other else 1.0)
            needed = base * (1.0 + view.needs.get(worth.need, 0.0))
            moved = needed * max(0.2, 1.0 + _leaning(view.temper, worth.gains))
            trusted = moved * (0.4 + 0.6 * (other.trust if other else 0.5)) if stake.promise else moved
            parts += (
                Part("terms", base, gets), Part("need", needed - base, f"{gets}: need of {worth.need}"),
                Part("personality", moved - needed, gets), Part("trust", trusted - moved, f"{gets}: a promise"),
            )  # fmt: skip
    return _Item(sum(part.amount for part in parts), tuple(p for p in parts if p.amount))


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
    return sum(
        c.amount for c in offer if isinstance(c, Pay) and c.from_id == view.id and c.currency == view.currency
    )


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
    items = [_item(view, clause, lasts) for clause in offer]
    base = standing(view)
    parts = tuple(part for item in items for part in item.parts) + base
    utility = fsum(part.amount for part in parts)
    never = forbidden(view, offer)
    if utility >= ENOUGH - ROUNDING and not never:
        return Evaluation(utility, parts, "accept", _heaviest(parts, 1))
    changes = _least_change(view, offer, days, items, utility)
    if changes is None:
        return Evaluation(utility, parts, "refuse", never + _heaviest(parts, -1), never)
    made = changed(offer, changes)
    return Evaluation(utility, parts, "counter", never + _heaviest(parts, -1), never, made, changes)


def would_propose(view: FactionView, offer: Sequence[AnyClause], days: int | None = 360) -> bool:
    """Whether the faction would make this offer: it would accept it, and has not made and lost it of late."""
    if not offer or not acceptable(view, offer, days):
        return False
    return not view.lost or fingerprint(offer, days) not in view.lost


def acceptable(view: FactionView, offer: Sequence[AnyClause], days: int | None = 360) -> bool:
    """Whether the faction would accept this offer."""
    lasts = horizon(days)
    parts = [part for clause in offer for part in _item(view, clause, lasts).parts]
    utility = fsum(part.amount for part in (*parts, *standing(view)))
    return utility >= ENOUGH - ROUNDING and not forbidden(view, offer)


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
    view: FactionView, offer: Sequence[AnyClause], days: int | None, items: Sequence[_Item], utility: float
) -> tuple[Change, ...] | None:
    """The smallest change of one clause, or of two, after which the faction would accept; None if there is none."""
    lacks = ENOUGH - utility
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
            yield from _amounts(view, offer, days, place, clause, item, lacks)
    if len(offer) < MOST_CLAUSES:
        yield from _added(view, offer, days, lacks)


def _amounts(
    view: FactionView, offer: Sequence[AnyClause], days: int | None, place: int, clause: Pay, item: _Item,
    lacks: float,
) -> Iterator[Change]:  # fmt: skip
    each = item.value / clause.amount
    if each < 0:  # we pay
        others = _paid_at_once(view, offer) - clause.amount
        least = min(clause.amount - ceil(lacks / -each - ROUNDING), view.treasury - others)
        if 0 < least < clause.amount:
            yield _amount(place, clause, least, each)
    elif each > 0:
        other = view.others.get(clause.from_id)
        most = other.means if other else 0
        wanted = clause.amount + max(1, ceil(lacks / each - ROUNDING))
        for amount in dict.fromkeys((min(wanted, most), most)):
            if amount > clause.amount:
                yield _amount(place, clause, amount, each)


def _amount(place: int, clause: Pay, amount: int, each: float) -> Change:
    return Change(
        "change",
        place,
        clause.model_copy(update={"amount": amount}),
        each * (amount - clause.amount),
    )


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
        each = _item(view, one, lasts).value
        least = max(1, ceil(lacks / each - ROUNDING))
        for amount in dict.fromkeys(min(other.means, asked) for asked in (least, least + least // 10 + 1)):
            yield Change("add", None, one.model_copy(update={"amount": amount}), each * amount)
