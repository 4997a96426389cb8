"""What is so between factions at one moment, as statecraft sees it: values that `court` reads all at once. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final, TypeVar
from uuid import UUID

from fablewright.systems.characters.rules import Traits
from fablewright.systems.diplomacy.rules import Status
from fablewright.systems.factions.rules import FactionTraits

HATES: Final = -45.0
"""Below this opinion a faction counts another one among its foes."""
FULL: Final = 10**12
"""What others take a treasury for that they cannot look into: enough for anything."""


@dataclass(frozen=True, slots=True)
class Land:
    """A region as statecraft sees it."""

    id: UUID
    name: str
    holder_id: UUID | None
    terrain: str = ""
    population: int = 0
    stability: float = 1.0
    neighbours: frozenset[UUID] = frozenset()


@dataclass(frozen=True, slots=True)
class Realm:
    """A faction as all can see it, and what only itself knows (`treasury`).

    `military` and `economic` are its powers, the treasury not counted; `troops` those under arms; `exhaustion` 0..100
    by war, `aggression` (>= 0) is how much it frightens; `wars` in how many it fights.
    """

    id: UUID
    name: str
    self_run: bool = True
    traits: FactionTraits = field(default_factory=FactionTraits)
    leader: Traits = field(default_factory=Traits)
    leader_id: UUID | None = None
    ideology: Mapping[str, float] = field(default_factory=dict)
    military: float = 0.0
    economic: float = 0.0
    troops: float = 0.0
    treasury: int = 0
    currency: str = "points"
    reputation: float = 0.0
    exhaustion: float = 0.0
    aggression: float = 0.0
    wars: int = 0
    able: Mapping[str, UUID] = field(default_factory=dict)
    """Who does what in its name: by act of `factions.rules.ACTS`, a member whose role may."""


@dataclass(frozen=True, slots=True)
class Bond:
    """How a faction stands to another: `opinion` is its own, `back` that of the other one; trust is its own, too.

    `grudge` is the worst it holds against the other, in words, `grudge_event` the event that tells of it; `gifted` what
    is left of the gratitude for gifts. `shown` is what all can see of the two opinions (own, back), if that differs.
    """

    opinion: float = 0.0
    back: float = 0.0
    trust: float = 0.5
    tension: float = 0.0
    status: Status = "neutral"
    truce: bool = False
    grudge: str = ""
    grudge_event: UUID | None = None
    gifted: float = 0.0
    shown: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Grievance:
    """An incident that is not settled. `rung` is its place on the ladder of escalation, 0..5."""

    id: UUID
    kind: str
    injured_id: UUID
    accused_id: UUID
    severity: float
    evidence: float
    state: str
    rung: int
    answer: str | None
    answer_by: int
    at: int
    due: int = 0
    """The reparation that would settle it."""
    legal: tuple[str, ...] = ()
    """The answers that are still open."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """A war that goes on. `score` is that of the attacker, -100..100; `sides` says who fights on which, `called` who
    has been called and not answered, by whom; `taken` are occupied regions with who took them."""

    id: UUID
    name: str
    attacker_id: UUID
    defender_id: UUID
    score: float
    at: int
    legitimacy: float = 0.5
    sides: Mapping[UUID, str] = field(default_factory=dict)
    called: Mapping[UUID, UUID] = field(default_factory=dict)
    asked: frozenset[UUID] = frozenset()
    """All who were ever called."""
    taken: Mapping[UUID, UUID] = field(default_factory=dict)

    def view(self, faction_id: UUID) -> float:
        """The score as one of its parties sees it."""
        return self.score if self.sides.get(faction_id) == "attacker" else -self.score

    def leads(self, faction_id: UUID) -> bool:
        """Whether it may make peace."""
        return faction_id in (self.attacker_id, self.defender_id)

    def foe(self, faction_id: UUID) -> UUID:
        """Who leads the other side."""
        return self.defender_id if self.sides.get(faction_id) == "attacker" else self.attacker_id

    def enemies(self, faction_id: UUID) -> list[UUID]:
        """Those who fight on the other side, by id."""
        mine = self.sides.get(faction_id)
        return sorted(f for f, side in self.sides.items() if side != mine)


@dataclass(frozen=True, slots=True)
class Pact:
    """A treaty in force, or (`open`) one that waits for signatures. `dues` is what each party pays in a month.

    Of a draft, `number` tells which it is, `days` how long it shall hold (None: without an end), and `terms` what its
    clauses are worth (points) to those whose evaluator would accept it: who is missing there does not sign.
    """

    id: UUID
    name: str
    kind: str
    parties: frozenset[UUID]
    dues: Mapping[UUID, float] = field(default_factory=dict)
    defends: frozenset[tuple[UUID, UUID]] = frozenset()
    leaving: frozenset[UUID] = frozenset()
    missing: frozenset[UUID] = frozenset()
    open: bool = False
    secret: bool = False
    number: int = 1
    days: int | None = None
    terms: Mapping[UUID, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Talk:
    """Talks that go on, or (`open` false) that came to nothing of late."""

    kind: str
    parties: frozenset[UUID]
    open: bool
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Embargo:
    """A sanction in force of any kind."""

    id: UUID
    kind: str
    target_id: UUID
    members: frozenset[UUID]
    incident_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Demand:
    """An ultimatum: open, or (`turned_down`) one that was rejected or ran out of late. `evidence` and `severity` are
    those of the incident it is about."""

    id: UUID
    issuer_id: UUID
    target_id: UUID
    threat: str
    sum: int = 0
    turned_down: bool = False
    evidence: float = 0.0
    severity: float = 0.5


@dataclass(frozen=True, slots=True)
class League:
    """A coalition against a faction."""

    id: UUID
    target_id: UUID
    members: frozenset[UUID]


@dataclass
class Stage:
    """All that statecraft knows of a world at one moment (`now`, world ms)."""

    now: int
    realms: Mapping[UUID, Realm]
    bonds: Mapping[tuple[UUID, UUID], Bond] = field(default_factory=dict)
    lands: Mapping[UUID, Land] = field(default_factory=dict)
    grievances: Sequence[Grievance] = ()
    wars: Sequence[Conflict] = ()
    pacts: Sequence[Pact] = ()
    talks: Sequence[Talk] = ()
    sanctions: Sequence[Embargo] = ()
    demands: Sequence[Demand] = ()
    leagues: Sequence[League] = ()
    broken: frozenset[tuple[UUID, UUID]] = frozenset()
    """Who has confirmed breaches of common treaties against whom, as all know: (victim, who broke it)."""
    lost: frozenset[tuple[UUID, UUID]] = frozenset()
    """Who lost regions in a war that another holds now: (loser, holder)."""
    public: bool = False
    """Whether this is only what all can see."""

    @cached_property
    def shown(self) -> "Stage":
        """What all can see of it: no secret treaties, talks or reasons; treasuries are taken for full."""
        return replace(
            self, public=True, realms={i: replace(r, treasury=FULL) for i, r in self.realms.items()},
            bonds={
                pair: replace(b, opinion=b.shown[0], back=b.shown[1], shown=None) if b.shown else b
                for pair, b in self.bonds.items()
            },
            pacts=[p for p in self.pacts if not p.secret], talks=[t for t in self.talks if not t.secret],
        )  # fmt: skip

    @cached_property
    def borders(self) -> dict[UUID, set[UUID]]:
        """By faction, whose regions lie beside its own."""
        found: dict[UUID, set[UUID]] = {}
        for land in self.lands.values():
            for near in land.neighbours:
                other = self.lands[near].holder_id if near in self.lands else None
                if land.holder_id is not None and other is not None and other != land.holder_id:
                    found.setdefault(land.holder_id, set()).add(other)
        return found

    @cached_property
    def held(self) -> dict[UUID, list[Land]]:
        """By faction, the regions it holds."""
        found: dict[UUID, list[Land]] = {}
        for land in self.lands.values():
            if land.holder_id is not None:
                found.setdefault(land.holder_id, []).append(land)
        return found

    @cached_property
    def known(self) -> dict[UUID, set[UUID]]:
        """By faction, the others it has anything to do with."""
        found: dict[UUID, set[UUID]] = {}
        for a, b in self.bonds:
            found.setdefault(a, set()).add(b)
        for a, near in self.borders.items():
            found.setdefault(a, set()).update(near)
        return found

    @cached_property
    def pacts_of(self) -> dict[UUID, list[Pact]]:
        """By faction, its treaties."""
        return _by_member(self.pacts)

    @cached_property
    def talks_of(self) -> dict[UUID, list[Talk]]:
        """By faction, its talks."""
        return _by_member(self.talks)

    @cached_property
    def grievances_of(self) -> dict[UUID, list[Grievance]]:
        """By faction, the incidents in which it is injured or accused."""
        found: dict[UUID, list[Grievance]] = {}
        for each in self.grievances:
            for who in (each.injured_id, each.accused_id):
                found.setdefault(who, []).append(each)
        return found

    @cached_property
    def friends(self) -> dict[UUID, set[UUID]]:
        """By faction, those who would fight for it, as all can see: allies, and who is bound to defend it."""
        found: dict[UUID, set[UUID]] = {}
        for (a, b), bond in self.bonds.items():
            if bond.status == "allied":
                found.setdefault(a, set()).add(b)
        for pact in self.pacts:
            for protector, protected in () if pact.open or pact.secret else pact.defends:
                found.setdefault(protected, set()).add(protector)
        return found

    @cached_property
    def foes(self) -> dict[UUID, set[UUID]]:
        """By faction, those it is at war with, is hostile to, or hates."""
        found: dict[UUID, set[UUID]] = {}
        for (a, b), bond in self.bonds.items():
            if bond.status in ("war", "hostile") or bond.opinion < HATES:
                found.setdefault(a, set()).add(b)
        return found

    @cached_property
    def _secret_friends(self) -> dict[UUID, set[UUID]]:
        found: dict[UUID, set[UUID]] = {}
        for pact in self.pacts:
            for protector, protected in pact.defends if pact.secret and not pact.open else ():
                found.setdefault(protected, set()).add(protector)
        return found

    def own_friends(self, me: UUID) -> set[UUID]:
        """Those who would fight for it, as itself knows: secret friends, too."""
        return self.friends.get(me, set()) | self._secret_friends.get(me, set())

    def concerned(self, ids: Iterable[UUID]) -> set[UUID]:
        """These factions, and all that fight, sign or stand together with one of them."""
        found = set(ids)
        groups = [
            *(p.parties for p in self.pacts), *(frozenset(w.sides) | frozenset(w.called) for w in self.wars),
            *(s.members | {s.target_id} for s in self.sanctions), *(c.members | {c.target_id} for c in self.leagues),
        ]  # fmt: skip
        return found.union(*(group for group in groups if not found.isdisjoint(group)))

    def bond(self, me: UUID, other: UUID) -> Bond:
        """How one stands to another; strangers have nothing between them."""
        return self.bonds.get((me, other), NO_BOND)


NO_BOND: Final = Bond()
T = TypeVar("T", "Pact", "Talk")


def _by_member(items: Iterable[T]) -> dict[UUID, list[T]]:
    found: dict[UUID, list[T]] = {}
    for item in items:
        for who in item.parties:
            found.setdefault(who, []).append(item)
    return found
