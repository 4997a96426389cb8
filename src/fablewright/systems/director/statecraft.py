"""What a faction that runs itself sees of the others, its options with named parts, and how it chooses. Pure.

Nothing is decided by one number alone: each option weighs as much as the sum of its parts, which are named, and chance
decides between those that weigh nearly the same. The parts come from how it stands to the others, from its traits and
its leader's personality, from its power beside theirs, and from what it has promised. All coefficients are our own,
tuned for a handful of wars in ten years among five to eight factions.

Weights are points; an option of 0 or less is never chosen. `policies` has the options of peace, `warcraft` those of
war and the answers to what others did.

What only some know (treasuries, secret treaties, secret reasons) moves a faction, but is not told: each decision is
weighed a second time by what all can see, and that is what all are told of it.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal
from uuid import UUID

from fablewright.core.clock import DAY
from fablewright.core.dice import Dice
from fablewright.systems.director.realms import Bond, Realm, Stage

Matter = Literal["policy", "incident", "war", "call", "treaty", "ultimatum"]
"""What a decision is about: what to do of one's own accord, or an answer to something that others did."""

HEAT: Final = 4.0
"""How far apart (points) two options are when the better one is chosen about three times as often."""
MARGIN: Final = 12.0
"""Options that weigh so much less than the best are not considered."""
TOLD: Final = 6
"""Options that the event of a decision lists: the chosen one and the heaviest others."""
MOST_HEEDED: Final = 9
"""So many others a faction thinks about in one council: enemies, quarrels and neighbours first."""
BINDING: Final = frozenset({"non_aggression", "alliance", "defence_pact", "peace", "ceasefire", "vassalage"})
"""Kinds of treaties that forbid to attack the other party, at least in spirit."""
HIDDEN: Final = frozenset({"spy", "gift"})
"""Acts that only the faction itself is told of: others do not look into its treasury, either."""


# -- what one faction sees -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Other:
    """Another faction, as the one that decides sees it.

    `share` is its part of the military power of both (0..1), `odds` the chance (0..1) that a war against it would be
    won, friends counted; `threat` 0..1 how dangerous it is. `bound` says that a treaty forbids to attack it.
    """

    realm: Realm
    bond: Bond
    near: bool
    share: float
    odds: float
    threat: float
    kinds: frozenset[str]
    talking: bool
    failed: frozenset[str]
    foe_of_friend: bool
    common_foes: int

    @property
    def id(self) -> UUID:
        """Its id."""
        return self.realm.id

    @property
    def bound(self) -> bool:
        """Whether a treaty in force forbids to attack it."""
        return bool(self.kinds & BINDING)

    @property
    def over(self) -> float:
        """By how much it is the stronger one, 0..0.5."""
        return max(0.0, self.share - 0.5)


@dataclass(frozen=True, slots=True)
class Nature:
    """What a faction is like, each around 0 (-0.5..0.5): its traits, tempered by who leads it."""

    aggressive: float
    honourable: float
    mercantile: float
    isolationist: float
    kind: float
    bold: float
    curious: float


def nature(realm: Realm) -> Nature:
    """What a faction is like: a gentle leader holds an aggressive people back, a dutiful one keeps its word."""
    t, ruler = realm.traits, realm.leader
    kind, duty = ruler.agreeableness - 0.5, ruler.conscientiousness - 0.5
    return Nature(
        aggressive=_half(t.aggressive - 0.5 - 0.4 * kind), honourable=_half(t.honourable - 0.5 + 0.4 * duty),
        mercantile=t.mercantile - 0.5, isolationist=_half(t.isolationist - 0.5 - 0.3 * (ruler.extraversion - 0.5)),
        kind=kind, bold=0.5 - ruler.neuroticism, curious=ruler.openness - 0.5,
    )  # fmt: skip


def _half(value: float) -> float:
    return max(-0.5, min(0.5, value))


@dataclass(frozen=True)
class Outlook:
    """What a faction sees when it holds council."""

    stage: Stage
    me: Realm
    nature: Nature
    others: Mapping[UUID, Other]

    @property
    def threat(self) -> float:
        """How dangerous the most dangerous of the others is, 0..1."""
        return max((o.threat for o in self.others.values()), default=0.0)

    @cached_property
    def shown(self) -> "Outlook":
        """The same as all can see it."""
        return outlook(self.stage.shown, self.me.id)


def outlook(stage: Stage, me: UUID) -> Outlook:
    """What a faction sees: those of the others that matter most to it."""
    realm = stage.realms[me]
    others = [stage.realms[i] for i in stage.known.get(me, ()) if i in stage.realms and i != me]
    near = stage.borders.get(me, set())
    quarrels = {i for g in stage.grievances_of.get(me, ()) for i in (g.injured_id, g.accused_id)}

    def weight(other: Realm) -> tuple[float, UUID]:
        bond = stage.bond(me, other.id)
        matters = 100.0 * (bond.status == "war") + 60.0 * (other.id in quarrels) + 25.0 * (other.id in near)
        return -(matters + abs(bond.opinion) + bond.tension), other.id

    heeded = sorted(others, key=weight)[:MOST_HEEDED]
    return Outlook(stage, realm, nature(realm), {o.id: _other(stage, realm, o, o.id in near) for o in heeded})


def _other(stage: Stage, me: Realm, other: Realm, near: bool) -> Other:
    bond = stage.bond(me.id, other.id)
    together = me.military + other.military
    share = other.military / together if together > 0 else 0.5
    fear = min(1.0, other.aggression / 60.0)
    threat = min(
        1.0, share * (bond.tension / 100.0 + fear + max(0.0, -bond.back) / 200.0) * (1.3 if near else 0.7)
    )
    talks = [t for t in stage.talks_of.get(me.id, ()) if other.id in t.parties]
    mine, theirs = stage.own_friends(me.id), stage.friends.get(other.id, set())
    foes = stage.foes.get(me.id, set()) & stage.foes.get(other.id, set())
    return Other(
        realm=other, bond=bond, near=near, share=share, odds=odds(stage, me.id, other.id), threat=threat,
        kinds=frozenset(p.kind for p in stage.pacts_of.get(me.id, ()) if not p.open and other.id in p.parties),
        talking=any(t.open for t in talks), failed=frozenset(t.kind for t in talks if not t.open),
        foe_of_friend=any(stage.bond(i, other.id).status == "war" for i in mine if i not in theirs),
        common_foes=len(foes),
    )  # fmt: skip


def odds(stage: Stage, me: UUID, other: UUID) -> float:
    """The chance, 0..1, that a war would be won: by the square law, with what friends of both may send (a half)."""
    mine, theirs = stage.own_friends(me), stage.friends.get(other, set())
    own = stage.realms[me].military * _fit(stage.realms[me])
    own += 0.25 * sum(stage.realms[i].military for i in mine - theirs - {other} if i in stage.realms)
    foe = stage.realms[other].military * _fit(stage.realms[other])
    foe += 0.5 * sum(stage.realms[i].military for i in theirs - mine - {me} if i in stage.realms)
    a, b = own * own, foe * foe * 1.2  # who defends has the ground
    return a / (a + b) if a + b > 0 else 0.5


def _fit(realm: Realm) -> float:
    """What exhaustion and other wars leave of its strength."""
    return (1 - realm.exhaustion / 200.0) / (1.0 + 0.5 * realm.wars)


# -- options and choice ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Option:
    """Something a faction could do: `act`, towards `target_id`, about something (`about_id`), of a `kind`.

    `parts` are the named reasons whose sum is its weight; `amount` is money or troops; `words` names the reason in a
    phrase, for the sentence that explains the choice.
    """

    act: str
    parts: tuple[tuple[str, float], ...]
    weight: float
    """The sum of its parts, in points."""
    target_id: UUID | None = None
    about_id: UUID | None = None
    kind: str = ""
    amount: int = 0
    place_id: UUID | None = None
    words: str = ""
    event_id: UUID | None = None
    """The event that a grudge comes from."""

    def same_as(self, other: "Option") -> bool:
        """Whether the same would be done, for whatever reasons."""
        mine = self.act, self.target_id, self.about_id, self.kind, self.place_id
        return mine == (other.act, other.target_id, other.about_id, other.kind, other.place_id)


def option(act: str, parts: Mapping[str, float], **fields: object) -> Option:
    """An option with these parts."""
    return Option(act, tuple(parts.items()), math.fsum(parts.values()), **fields)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Weighing:
    """An option that was chosen, out of how many; `told` are those worth telling."""

    option: Option
    told: tuple[Option, ...]
    weighed: int


@dataclass(frozen=True, slots=True)
class Decision:
    """What a faction has decided about a matter: as it weighed, and as all can see it (None: nobody else may know)."""

    faction_id: UUID
    matter: Matter
    weighing: Weighing
    shown: Weighing | None
    answers: UUID | None = None
    """What it answers or looks at: an incident, a war, a treaty, an ultimatum."""

    @property
    def option(self) -> Option:
        """What it does."""
        return self.weighing.option


def choose(options: Sequence[Option], dice: Dice) -> Option | None:
    """One of the options: the heavier the likelier, by the logistic choice of D. McFadden (1974).

    What to do comes before to whom: an act that could be done to many is no likelier for that.
    """
    best = max((o.weight for o in options), default=0.0)
    if best <= 0:
        return None
    able = [o for o in options if o.weight > max(0.0, best - MARGIN)]
    alike = Counter(o.act for o in able)
    return dice.weighted(able, [math.exp((o.weight - best) / HEAT) / alike[o.act] for o in able])


Weigh = Callable[[Outlook], Iterable[Option]]
"""What gives the options there are about a matter."""


def decided(
    view: Outlook, matter: Matter, weigh: Weigh, dice: Dice, answers: UUID | None = None
) -> Decision | None:
    """What a faction decides about a matter; None if nothing is worth doing."""
    options = list(weigh(view))
    chosen = choose(options, dice)
    if chosen is None:
        return None
    return Decision(view.me.id, matter, _weighing(chosen, options), _shown(view, weigh, chosen), answers)


def _weighing(chosen: Option, options: Sequence[Option]) -> Weighing:
    rest = sorted((o for o in options if o is not chosen), key=lambda o: -o.weight)[: TOLD - 1]
    return Weighing(chosen, tuple(sorted([chosen, *rest], key=lambda o: -o.weight)), len(options))


def _shown(view: Outlook, weigh: Weigh, chosen: Option) -> Weighing | None:
    """The same by what all can see; None if what was chosen is not among it."""
    if chosen.act in HIDDEN:
        return None
    options = [o for o in weigh(view.shown) if o.act not in HIDDEN]
    same = next((o for o in options if o.same_as(chosen)), None)
    return None if same is None else _weighing(same, options)


def days(stage: Stage, since: int) -> float:
    """World days from a time until now."""
    return max(0, stage.now - since) / DAY
