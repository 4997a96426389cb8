"""The clauses of treaties: what each binds whom to, what contradicts it, and which acts break or fulfil it. Pure.

A clause is a typed value. What happens in the world is brought into one form first, an `Act` (`watching` reads it
from an event); each act has a key, and each clause says which keys it listens to. So an act is compared with the
clauses that listen to its key, and with no others.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Annotated, Any, ClassVar, Final, Literal, Self, get_args
from uuid import UUID

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    model_validator,
)

from fablewright.core.refusal import CONFLICT, INVALID, Refusal

MOST_CLAUSES: Final = 20
"""Clauses of a treaty."""
MOST_PAID: Final = 2**53
MOST_DAYS: Final = 3_650

CLAUSE_UNKNOWN = Refusal(
    "clause_unknown", INVALID, "There is no such type of clause. Use one of those listed."
)
CLAUSES_CONTRADICT = Refusal(
    "clauses_contradict", CONFLICT, "Two of the clauses contradict each other. Change or drop one of them."
)
CLAUSE_STRANGERS = Refusal(
    "clause_names_no_party",
    INVALID,
    "A clause binds a faction that is no party. Let it be one, or change the clause.",
)
CLAUSE_WITH_ITSELF = Refusal(
    "clause_with_itself", INVALID, "A clause stands between two factions. Name two different ones."
)

Currency = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,29}$")]
Good = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
Text = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1_000, pattern=r"^[^\x00]*$")
]


# -- what happens --------------------------------------------------------------------------------------------

ActKind = Literal[
    "entered", "attacked", "traded", "barred", "call_refused", "came", "joined", "unpaid", "kept_back"
]  # fmt: skip
"""`entered` a region with people of one's own; `attacked` somebody; `traded` with somebody; `barred` somebody from
one's regions; `call_refused` to an ally; a character `came` into a region, or `joined` a faction. The last two are
found by timers: a sum stayed `unpaid`, a character was `kept_back`."""


MISSED: Final[frozenset[ActKind]] = frozenset(("unpaid", "kept_back"))
"""Acts that no event tells of: timers find them, and they can be made good within the grace."""


@dataclass(frozen=True, slots=True)
class Act:
    """What somebody did, as clauses look at it. `by` is a faction (or, for `came` and `joined`, a character);
    `to` a faction or a region; `good` what was traded; `against` whom somebody was called to fight, and `side` that of
    the war (attacker or defender) it was called to."""

    kind: ActKind
    by: UUID
    to: UUID
    good: str | None = None
    against: UUID | None = None
    side: str | None = None

    @property
    def key(self) -> str:
        """What clauses that care listen to."""
        return watch_key(self.kind, self.by, self.to)


def watch_key(kind: ActKind, by: UUID, to: UUID) -> str:
    """The key of all acts of a kind by somebody towards somebody or something."""
    return f"{kind}:{by}:{to}"


@dataclass(frozen=True, slots=True)
class Breach:
    """That a faction broke a clause, and how, in words that stand alone."""

    faction_id: UUID
    victims: frozenset[UUID]
    text: str


# -- clauses -------------------------------------------------------------------------------------------------


class ClauseBase(BaseModel):
    """What all clauses can be asked. `deeds` are the kinds of acts that break one of this type, each in words."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str
    deeds: ClassVar[Mapping[ActKind, str]] = {}

    def binds(self) -> tuple[UUID, ...]:
        """The factions that owe something by it."""
        return ()

    def serves(self) -> tuple[UUID, ...]:
        """The factions to whom it is owed."""
        return ()

    def factions(self) -> frozenset[UUID]:
        """All factions that must be parties of the treaty."""
        return frozenset((*self.binds(), *self.serves()))

    def ways(self) -> tuple[tuple[UUID, UUID], ...]:
        """Who must not do those deeds to whom (or what)."""
        return ()

    def watches(self) -> tuple[str, ...]:
        """The keys of acts that may break or fulfil it."""
        return tuple(
            watch_key(kind, by, to) for kind in self.deeds if kind not in MISSED for by, to in self.ways()
        )

    def concerns(self, act: Act) -> bool:  # noqa: ARG002
        """Whether an act of the right kind, by and to the right ones, is one that it speaks of."""
        return True

    def broken_by(self, act: Act) -> Breach | None:
        """How an act breaks it, if it does."""
        if act.kind not in self.deeds or (act.by, act.to) not in self.ways() or not self.concerns(act):
            return None
        return Breach(act.by, frozenset(self.serves()) - {act.by}, self.deeds[act.kind])

    def fulfilled_by(self, act: Act) -> bool:  # noqa: ARG002
        """Whether an act does what it asks for, once and for all."""
        return False

    def contradicts(self, other: "ClauseBase") -> str | None:
        """Why both cannot be kept, if so: `contradiction` asks in both orders."""
        return "the same promise stands there twice" if self == other else None

    def says(self, name: "Naming") -> str:
        """The clause as a sentence; `name` gives the names of factions, regions and characters."""
        raise NotImplementedError


Naming = Callable[[UUID], str]
"""Gives a name for an id."""


class _Between(ClauseBase):
    """A clause between two factions."""

    pair: ClassVar[tuple[str, str]]

    @model_validator(mode="after")
    def _two(self) -> Self:
        first, second = (getattr(self, name) for name in self.pair)
        if first == second:
            raise CLAUSE_WITH_ITSELF(
                f"{self.pair[0]} and {self.pair[1]} of a clause {self.type!r} are the same.",
                faction_id=str(first),
            )
        return self

    def binds(self) -> tuple[UUID, ...]:
        return (getattr(self, self.pair[0]),)

    def serves(self) -> tuple[UUID, ...]:
        return (getattr(self, self.pair[1]),)

    def ways(self) -> tuple[tuple[UUID, UUID], ...]:
        return ((getattr(self, self.pair[0]), getattr(self, self.pair[1])),)


class Pay(_Between):
    """`from_id` pays `amount` to `to_id`: once when the treaty comes into force, or every so many days."""

    pair = ("from_id", "to_id")
    deeds = {"unpaid": "a payment was not made"}

    type: Literal["pay"] = "pay"
    from_id: UUID
    to_id: UUID
    amount: int = Field(ge=1, le=MOST_PAID)
    currency: Currency = "points"
    every_days: int | None = Field(None, ge=1, le=MOST_DAYS, description="Left out: once, at the start.")

    def contradicts(self, other: ClauseBase) -> str | None:
        """Two payments between the same two at the same times are one."""
        if not isinstance(other, Pay):
            return None
        if (self.currency, self.every_days) != (other.currency, other.every_days):
            return None
        if (self.from_id, self.to_id) == (other.to_id, other.from_id):
            return "each pays the other in the same currency at the same time; let one pay the difference"
        same = (self.from_id, self.to_id) == (other.from_id, other.to_id)
        return "the same payment stands there twice; join the two" if same else None

    def says(self, name: Naming) -> str:
        often = "once" if self.every_days is None else f"every {self.every_days} days"
        return f"{name(self.from_id)} pays {self.amount} {self.currency} to {name(self.to_id)} {often}."


class KeepOut(ClauseBase):
    """`faction_id` keeps its people out of a region, for the good of `for_id` (left out: of all parties)."""

    deeds = {"entered": "people of theirs entered the region"}

    type: Literal["keep_out"] = "keep_out"
    faction_id: UUID
    region_id: UUID
    for_id: UUID | None = None

    def binds(self) -> tuple[UUID, ...]:
        return (self.faction_id,)

    def serves(self) -> tuple[UUID, ...]:
        return () if self.for_id is None else (self.for_id,)

    def ways(self) -> tuple[tuple[UUID, UUID], ...]:
        return ((self.faction_id, self.region_id),)

    def contradicts(self, other: ClauseBase) -> str | None:
        """Who keeps out of a region cannot hand anybody over there."""
        if not isinstance(other, KeepOut | HandOver):
            return None
        if (self.faction_id, self.region_id) != (other.faction_id, other.region_id):
            return None
        if isinstance(other, HandOver):
            return "who must keep out of the region must bring somebody there"
        return "the same faction is kept out of the same region twice"

    def says(self, name: Naming) -> str:
        return f"{name(self.faction_id)} keeps its people out of {name(self.region_id)}."


class NoTrade(_Between):
    """`faction_id` does not trade with `with_id`: a good, or (left out) anything at all. `with_id` may be no party."""

    pair = ("faction_id", "with_id")
    deeds = {"traded": "they traded with whom they must not"}

    type: Literal["no_trade"] = "no_trade"
    faction_id: UUID
    with_id: UUID
    good: Good | None = None

    def serves(self) -> tuple[UUID, ...]:
        return ()

    def concerns(self, act: Act) -> bool:
        return self.good is None or act.good is None or act.good == self.good

    def contradicts(self, other: ClauseBase) -> str | None:
        """What is forbidden as a whole need not be forbidden in part."""
        if not isinstance(other, NoTrade) or (self.faction_id, self.with_id) != (
            other.faction_id,
            other.with_id,
        ):
            return None
        same = self.good is None or other.good is None or self.good == other.good
        return "the same trade is forbidden twice" if same else None

    def says(self, name: Naming) -> str:
        return f"{name(self.faction_id)} does not trade {self.good or 'anything'} with {name(self.with_id)}."


class Defend(_Between):
    """`protector_id` comes to the aid of `protected_id` when that is attacked."""

    pair = ("protector_id", "protected_id")
    deeds = {
        "call_refused": "they did not come when called",
        "attacked": "they attacked whom they were to protect",
    }

    type: Literal["defend"] = "defend"
    protector_id: UUID
    protected_id: UUID

    def concerns(self, act: Act) -> bool:
        return act.side != "attacker"  # who attacks others has no right to be defended

    def contradicts(self, other: ClauseBase) -> str | None:
        """Who defends a faction cannot support war against it."""
        both = self.protector_id, self.protected_id
        if isinstance(other, SupportInWar) and (other.faction_id, other.against_id) == both:
            return "one cannot defend a faction and support war against it"
        return super().contradicts(other)

    def says(self, name: Naming) -> str:
        return f"{name(self.protector_id)} defends {name(self.protected_id)}."


class HandOver(_Between):
    """`faction_id` hands a character over to `to_id`, within so many days: it has come into a region, or (without
    one) joined that faction."""

    pair = ("faction_id", "to_id")
    deeds = {"kept_back": "they did not hand over in time"}

    type: Literal["hand_over"] = "hand_over"
    faction_id: UUID
    to_id: UUID
    character_id: UUID
    region_id: UUID | None = None
    within_days: int = Field(30, ge=1, le=MOST_DAYS)

    def done(self) -> str:
        """The key of the act by which it is done."""
        if self.region_id is None:
            return watch_key("joined", self.character_id, self.to_id)
        return watch_key("came", self.character_id, self.region_id)

    def watches(self) -> tuple[str, ...]:
        return (*super().watches(), self.done())

    def fulfilled_by(self, act: Act) -> bool:
        return act.key == self.done()

    def contradicts(self, other: ClauseBase) -> str | None:
        """One character is handed over once."""
        if not isinstance(other, HandOver) or other.character_id != self.character_id:
            return None
        return "one character is to be handed over twice"

    def says(self, name: Naming) -> str:
        where = "" if self.region_id is None else f" in {name(self.region_id)}"
        return (
            f"{name(self.faction_id)} hands {name(self.character_id)} over to {name(self.to_id)}{where} "
            f"within {self.within_days} days."
        )


class ShareInformation(_Between):
    """`faction_id` tells `to_id` what it learns. No event shows that it does not; it may be accused of it."""

    pair = ("faction_id", "to_id")

    type: Literal["share_information"] = "share_information"
    faction_id: UUID
    to_id: UUID

    def says(self, name: Naming) -> str:
        return f"{name(self.faction_id)} shares what it knows with {name(self.to_id)}."


class OpenBorders(_Between):
    """`faction_id` lets the people of `to_id` pass through its regions."""

    pair = ("faction_id", "to_id")
    deeds = {"barred": "they closed their borders"}

    type: Literal["open_borders"] = "open_borders"
    faction_id: UUID
    to_id: UUID

    def says(self, name: Naming) -> str:
        return f"{name(self.faction_id)} opens its borders to {name(self.to_id)}."


class NoAttack(_Between):
    """Neither of two factions attacks the other."""

    pair = ("a_id", "b_id")
    deeds = {"attacked": "they attacked whom they had promised not to"}

    type: Literal["no_attack"] = "no_attack"
    a_id: UUID
    b_id: UUID

    def binds(self) -> tuple[UUID, ...]:
        return self.a_id, self.b_id

    def serves(self) -> tuple[UUID, ...]:
        return self.a_id, self.b_id

    def ways(self) -> tuple[tuple[UUID, UUID], ...]:
        return (self.a_id, self.b_id), (self.b_id, self.a_id)

    def contradicts(self, other: ClauseBase) -> str | None:
        """Who keeps peace with a faction cannot support war against it."""
        both = {self.a_id, self.b_id}
        if isinstance(other, NoAttack) and {other.a_id, other.b_id} == both:
            return "the same peace stands there twice"
        if isinstance(other, SupportInWar) and {other.faction_id, other.against_id} == both:
            return "one cannot keep peace with a faction and support war against it"
        return None

    def says(self, name: Naming) -> str:
        return f"{name(self.a_id)} and {name(self.b_id)} do not attack each other."


class SupportInWar(_Between):
    """`faction_id` joins the wars of `ally_id`: against one faction, or (left out) against any."""

    pair = ("faction_id", "ally_id")
    deeds = {"call_refused": "they did not join the war of their ally"}

    type: Literal["support_in_war"] = "support_in_war"
    faction_id: UUID
    ally_id: UUID
    against_id: UUID | None = None

    @model_validator(mode="after")
    def _against_another(self) -> Self:
        if self.against_id in (self.faction_id, self.ally_id):
            raise CLAUSE_WITH_ITSELF("A war is against a third faction.", faction_id=str(self.against_id))
        return self

    def concerns(self, act: Act) -> bool:
        return self.against_id is None or act.against is None or act.against == self.against_id

    def contradicts(self, other: ClauseBase) -> str | None:
        """One cannot support each of two factions against the other."""
        if not isinstance(other, SupportInWar) or other.faction_id != self.faction_id:
            return None
        if (self.against_id, other.against_id) == (other.ally_id, self.ally_id):
            return "one cannot support each of two factions in war against the other"
        return super().contradicts(other)

    def says(self, name: Naming) -> str:
        against = "in any war" if self.against_id is None else f"in war against {name(self.against_id)}"
        return f"{name(self.faction_id)} supports {name(self.ally_id)} {against}."


class Custom(ClauseBase):
    """Anything else, in words. Nothing watches it; who breaks it may be accused."""

    type: Literal["custom"] = "custom"
    text: Text
    faction_id: UUID | None = Field(None, description="Whom it binds; left out, all parties.")

    def binds(self) -> tuple[UUID, ...]:
        return () if self.faction_id is None else (self.faction_id,)

    def says(self, name: Naming) -> str:  # noqa: ARG002
        return self.text


AnyClause = (
    Pay | KeepOut | NoTrade | Defend | HandOver | ShareInformation | OpenBorders | NoAttack | SupportInWar | Custom
)  # fmt: skip
TYPES: Final[dict[str, type[ClauseBase]]] = {
    clause.model_fields["type"].default: clause for clause in get_args(AnyClause)
}
"""The types of clauses by name."""


def _known(value: Any) -> Any:
    """Refuses `clause_unknown`, with what there is."""
    if isinstance(value, Mapping) and isinstance(value.get("type"), str) and value["type"] not in TYPES:
        raise CLAUSE_UNKNOWN(f"{value['type']!r} is no type of clause.", types=sorted(TYPES))
    return value


Clause = Annotated[AnyClause, Field(discriminator="type"), BeforeValidator(_known)]
"""A clause of any type, told apart by `type`."""
CLAUSE: Final[TypeAdapter[AnyClause]] = TypeAdapter(Clause)
CLAUSES: Final[TypeAdapter[list[AnyClause]]] = TypeAdapter(list[Clause])


def contradiction(a: ClauseBase, b: ClauseBase) -> str | None:
    """Why two clauses cannot both be kept, if so."""
    return a.contradicts(b) or b.contradicts(a)


def check(clauses: Sequence[ClauseBase], parties: Iterable[UUID]) -> None:
    """Whether these can be the clauses of a treaty between these factions.

    Refuses `clause_names_no_party`, `clauses_contradict`.
    """
    known = frozenset(parties)
    for number, clause in enumerate(clauses, 1):
        if strangers := clause.factions() - known:
            raise CLAUSE_STRANGERS(
                f"Clause {number} ({clause.type}) names a faction that is no party.",
                clause=number, faction_ids=sorted(map(str, strangers)),
            )  # fmt: skip
    for (i, a), (j, b) in combinations(enumerate(clauses, 1), 2):
        if (why := contradiction(a, b)) is not None:
            raise CLAUSES_CONTRADICT(
                f"Clause {i} ({a.type}) contradicts clause {j} ({b.type}): {why}.", clauses=[i, j]
            )


def victims(breach: Breach, parties: Iterable[UUID]) -> list[UUID]:
    """Whom a breach wrongs: whom it names, or else all other parties."""
    return sorted(breach.victims or (frozenset(parties) - {breach.faction_id}))
