"""What a faction is, who may act for it, how its name fades and what makes its power. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import fsum
from typing import Final, Literal, get_args
from uuid import UUID

from fablewright.core.clock import DAY, elapsed, half_life_factor
from fablewright.core.refusal import CONFLICT, FORBIDDEN, INVALID, NOT_FOUND, Refusal

Act = Literal[
    "sign_treaty", "propose_treaty", "negotiate", "accuse", "answer_incident", "issue_ultimatum",
    "answer_ultimatum", "sanction", "declare_war", "fight", "make_peace", "manage_members", "spend_treasury",
    "spy", "trade", "muster",
]  # fmt: skip
ACTS: Final[tuple[str, ...]] = get_args(Act)
"""What can be done in a faction's name. Each role is a list of these."""
RULER: Final = "ruler"
"""The role of the leader, and of nobody else."""
DEFAULT_ROLES: Final[Mapping[str, tuple[str, ...]]] = {
    RULER: ACTS,
    "ambassador": (
        "sign_treaty", "propose_treaty", "negotiate", "answer_incident", "answer_ultimatum", "trade",
    ),
    "general": ("declare_war", "fight", "muster"),
    "spymaster": ("accuse", "spy"),
}  # fmt: skip
"""The diplomatic roles of a faction that does not define its own."""
DEFAULT_RANKS: Final = ("leader", "officer", "member")

REPUTATION_HALF_LIFE: Final = 365 * DAY
"""In this time (world ms) half of a name, good or bad, is forgotten. Our choice: long enough that a betrayal is
remembered for some years, and short enough that nobody is bound by it for ever."""
MOST_REPUTATION: Final = 100.0
LEVY: Final = 0.01
"""Which part of a region's people can be called to arms when it is quiet. Our choice, near what pre-modern realms
could field."""
TRADE_DAYS: Final = 30
"""For how many days' yield of its regions a faction's economic power counts."""
TREASURY_WEIGHT: Final = 0.05
"""What a unit in the treasury counts beside a unit of goods."""
TROOP_COST: Final = 1
"""What arms and pay of one new soldier cost, in units of the faction's own currency."""
MOST_TROOPS: Final = 10**9
"""Troops that a faction can have."""

FACTION_NOT_FOUND = Refusal(
    "faction_not_found", NOT_FOUND, "There is no such faction in this world. Look it up in the list of factions."
)  # fmt: skip
FACTION_DISSOLVED = Refusal(
    "faction_dissolved", CONFLICT, "The faction was dissolved: its past can be read, but it does nothing any more."
)  # fmt: skip
FACTION_EXISTS = Refusal(
    "faction_exists", CONFLICT, "A faction with this id was already founded. Send another id, or none."
)
FACTION_NAME_TAKEN = Refusal(
    "faction_name_taken", CONFLICT, "Another faction has this name. Choose another one, or rename that one first."
)  # fmt: skip
TOO_MANY_FACTIONS = Refusal(
    "too_many_factions", CONFLICT, "The world has as many factions as it can have. Dissolve one first."
)
NOT_A_MEMBER = Refusal(
    "not_a_member", CONFLICT, "The character does not belong to this faction. Let it join first, or ask a member."
)  # fmt: skip
ROLE_MAY_NOT = Refusal(
    "role_may_not", FORBIDDEN,
    "The character's role in its faction does not allow this. Ask a member with one of the `roles` that may.",
)  # fmt: skip
NAME_WHO_ACTS = Refusal(
    "name_who_acts", INVALID,
    "Say as which character you act for the faction. Only a game master may act for it without one.",
)  # fmt: skip
ALREADY_A_MEMBER = Refusal(
    "already_a_member", CONFLICT, "The character belongs to a faction already. It must leave that one first."
)
RANK_UNKNOWN = Refusal(
    "rank_unknown", INVALID, "The faction has no such rank. Use one of its `ranks`, or change them first."
)
ROLE_UNKNOWN = Refusal(
    "role_unknown", INVALID, "The faction has no such role. Use one of its `roles`, or define it first."
)
ROLE_IS_THE_LEADERS = Refusal(
    "role_is_the_leaders", CONFLICT,
    "Only the leader is the ruler, and always is. Make another member the leader with `factions.set_leader`.",
)  # fmt: skip
RANK_TOO_LOW = Refusal(
    "rank_too_low", FORBIDDEN,
    "Members manage only those of a lower rank than theirs, and give only lower ranks. Ask the leader.",
)  # fmt: skip
ONLY_THE_LEADER = Refusal(
    "only_the_leader", FORBIDDEN, "Only the leader of the faction may do this. Ask the leader, or a game master."
)  # fmt: skip
RANK_IN_USE = Refusal(
    "rank_in_use", CONFLICT, "Members have a rank or role that would be gone. Give them another one first."
)
REGION_NOT_FOUND = Refusal(
    "region_not_found", NOT_FOUND, "There is no such region in this world. Look it up in the list of regions."
)
TOO_MANY_TROOPS = Refusal("too_many_troops", CONFLICT, "No faction can have so many troops. Muster fewer.")
PAYEE_NOT_FOUND = Refusal(
    "payee_not_found", NOT_FOUND, "Nobody has this id. Name a faction or a living character, or leave it out."
)
HEIR_IS_ITSELF = Refusal(
    "heir_is_itself", INVALID, "A faction that is dissolved cannot inherit from itself. Name another one, or none."
)  # fmt: skip
CHARACTER_NOT_FOUND = Refusal(
    "character_not_found", NOT_FOUND, "There is no such character in this world. Look it up in the list."
)


@dataclass(frozen=True, slots=True)
class FactionTraits:
    """How a faction tends to act, each 0..1 with 0.5 for the average."""

    aggressive: float = 0.5
    honourable: float = 0.5
    mercantile: float = 0.5
    isolationist: float = 0.5


@dataclass(frozen=True, slots=True)
class Faction:
    """A faction as the rules of this and higher systems find it.

    `ideology` are its stands on axes of the world's own choosing (-1..1); `roles` says what each diplomatic role may
    do, `ranks` come highest first; `self_run` says that it acts by itself, without a user. `reputation` (-100..100) is
    as it was at `reputation_at`; see `reputation_now`. `strength` (>= 0) is the number of its troops.
    """

    id: UUID
    name: str
    kind: str = "realm"
    description: str = ""
    color: str = "#808080"
    leader_id: UUID | None = None
    ideology: Mapping[str, float] = field(default_factory=dict)
    traits: FactionTraits = FactionTraits()
    currency: str = "points"
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: dict(DEFAULT_ROLES))
    ranks: tuple[str, ...] = DEFAULT_RANKS
    capital_id: UUID | None = None
    self_run: bool = False
    reputation: float = 0.0
    reputation_at: int = 0
    strength: float = 0.0
    founded_at: int = 0
    dissolved_at: int | None = None

    def reputation_now(self, now: int) -> float:
        """Its reputation (-100..100) at world time `now` (ms)."""
        return reputation(self.reputation, self.reputation_at, now)

    def may(self, role: str | None, act: str) -> bool:
        """Whether a role may do this in its name."""
        return role is not None and act in self.roles.get(role, ())

    def roles_that_may(self, act: str) -> list[str]:
        """The roles that may do this, by name."""
        return sorted(role for role in self.roles if self.may(role, act))


@dataclass(frozen=True, slots=True)
class Member:
    """A character's open membership of a faction. `id` is that of the membership."""

    id: UUID
    faction_id: UUID
    character_id: UUID
    rank: str
    role: str | None = None
    joined_at: int = 0


# -- who may act ---------------------------------------------------------------------------------------------


def check_stands(faction: Faction | None, faction_id: UUID) -> Faction:
    """The faction, if there is one that was not dissolved. Refuses `faction_not_found`, `faction_dissolved`."""
    if faction is None:
        raise FACTION_NOT_FOUND(faction_id=str(faction_id))
    if faction.dissolved_at is not None:
        raise FACTION_DISSOLVED(
            f"{faction.name} was dissolved: its past can be read, but it does nothing any more.",
            faction_id=str(faction_id), dissolved_at=faction.dissolved_at,
        )  # fmt: skip
    return faction


def check_belongs(faction: Faction, member: Member | None, character_id: UUID) -> Member:
    """The member, if the character belongs to this faction. Refuses `not_a_member`."""
    if member is None or member.faction_id != faction.id:
        raise NOT_A_MEMBER(
            f"The character does not belong to {faction.name}.",
            character_id=str(character_id), faction_id=str(faction.id),
        )  # fmt: skip
    return member


def check_may(faction: Faction, member: Member | None, character_id: UUID, act: str) -> None:
    """Whether a character may do this in the faction's name. Refuses `not_a_member`, `role_may_not`."""
    member = check_belongs(faction, member, character_id)
    if not faction.may(member.role, act):
        able = faction.roles_that_may(act)
        raise ROLE_MAY_NOT(
            f"{'Who has no role' if member.role is None else f'The role {member.role!r}'} in {faction.name} "
            f"may not {act.replace('_', ' ')}. {', '.join(able) or 'Nobody'} may.",
            role=member.role, act=act, roles=able,
        )  # fmt: skip


def check_rank(faction: Faction, rank: str) -> None:
    """Whether the faction has this rank. Refuses `rank_unknown`."""
    if rank not in faction.ranks:
        raise RANK_UNKNOWN(
            f"{faction.name} has no rank {rank!r}, but {', '.join(faction.ranks)}.",
            rank=rank, ranks=list(faction.ranks),
        )  # fmt: skip


def check_role(faction: Faction, role: str | None) -> None:
    """Whether a member who is not the leader may have this role. Refuses `role_unknown`, `role_is_the_leaders`."""
    if role is None:
        return
    if role not in faction.roles:
        raise ROLE_UNKNOWN(
            f"{faction.name} has no role {role!r}, but {', '.join(sorted(faction.roles))}.",
            role=role, roles=sorted(faction.roles),
        )  # fmt: skip
    if role == RULER:
        raise ROLE_IS_THE_LEADERS()


def check_above(faction: Faction, by: Member, *ranks: str, whom: UUID | None = None) -> None:
    """Whether one who manages members stands above all these ranks, and above the member `whom`.

    The leader stands above all, and nobody above the leader, whatever rank it has. Refuses `rank_too_low`.
    """
    if by.character_id == faction.leader_id:
        return
    if whom is not None and whom == faction.leader_id:
        raise RANK_TOO_LOW("Nobody stands above the leader.", rank=by.rank, wanted=RULER)
    own = faction.ranks.index(by.rank)
    for rank in ranks:
        if faction.ranks.index(rank) <= own:
            raise RANK_TOO_LOW(
                f"A member of the rank {by.rank!r} does not decide on the rank {rank!r}.",
                rank=by.rank,
                wanted=rank,
            )


def check_hands_out(faction: Faction, by: Member, role: str | None) -> None:
    """Whether one who manages members may give this role: it hands out only what it may do itself.

    The leader gives any. Refuses `role_may_not`.
    """
    if role is None or by.character_id == faction.leader_id:
        return
    for act in faction.roles[role]:
        check_may(faction, by, by.character_id, act)


def check_leader(faction: Faction, character_id: UUID) -> None:
    """Whether this character leads the faction. Refuses `only_the_leader`."""
    if faction.leader_id != character_id:
        raise ONLY_THE_LEADER(
            f"Only the leader of {faction.name} may do this.",
            leader_id=None if faction.leader_id is None else str(faction.leader_id),
        )


def check_vocabulary(faction: Faction, members: Iterable[Member]) -> None:
    """Whether a changed faction still has the ranks and roles of its members. Refuses `rank_in_use`."""
    for member in members:
        if member.rank not in faction.ranks:
            raise RANK_IN_USE(
                f"A member has the rank {member.rank!r}.", character_id=str(member.character_id)
            )
        if member.role is not None and member.role not in faction.roles:
            raise RANK_IN_USE(
                f"A member has the role {member.role!r}.", character_id=str(member.character_id)
            )


def complete_roles(roles: Mapping[str, Sequence[str]] | None) -> dict[str, tuple[str, ...]]:
    """Roles as they are kept: acts in one order, and a ruler who may do all unless said otherwise."""
    chosen = DEFAULT_ROLES if roles is None else {RULER: ACTS, **roles}
    return {role: tuple(act for act in ACTS if act in acts) for role, acts in sorted(chosen.items())}


def successor(faction: Faction, members: Iterable[Member]) -> Member | None:
    """Who follows a leader that is gone: the highest rank; of these who has a role, then who joined first."""
    order = {rank: place for place, rank in enumerate(faction.ranks)}
    return min(
        members,
        key=lambda m: (order.get(m.rank, len(order)), m.role is None, m.joined_at, m.character_id),
        default=None,
    )


# -- reputation ----------------------------------------------------------------------------------------------


def reputation(value: float, at: int, now: int) -> float:
    """What a reputation of `value` (-100..100) at world time `at` has become at `now`: half of it is forgotten in
    `REPUTATION_HALF_LIFE`."""
    return value * half_life_factor(elapsed(at, now), REPUTATION_HALF_LIFE)


def judged(faction: Faction, delta: float, now: int) -> Faction:
    """A faction after the world has thought `delta` better (or worse) of it; it stays within -100..100."""
    moved = faction.reputation_now(now) + delta
    moved = max(-MOST_REPUTATION, min(MOST_REPUTATION, moved))
    return replace(faction, reputation=moved, reputation_at=max(now, faction.reputation_at))


# -- troops --------------------------------------------------------------------------------------------------


def mustered(faction: Faction, troops: int) -> Faction:
    """A faction with so many troops (> 0) more. Refuses `too_many_troops`."""
    if faction.strength + troops > MOST_TROOPS:
        raise TOO_MANY_TROOPS(most=MOST_TROOPS, strength=faction.strength)
    return replace(faction, strength=faction.strength + troops)


# -- power ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Holding:
    """A region that a faction holds, as far as power goes: units of goods per day, people, stability (0..1) now."""

    region_id: UUID
    name: str
    goods: float
    population: int
    stability: float


@dataclass(frozen=True, slots=True)
class PowerPart:
    """Something that adds `amount` to a faction's military or economic power."""

    kind: Literal["military", "economic"]
    what: Literal["troops", "levy", "yield", "treasury"]
    amount: float
    reason: str
    region_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Power:
    """What a faction can do to others: in arms and in goods. Each is exactly the sum of its parts."""

    faction_id: UUID
    parts: tuple[PowerPart, ...] = ()

    @property
    def military(self) -> float:
        """How strong it is in arms (about as many troops)."""
        return fsum(part.amount for part in self.parts if part.kind == "military")

    @property
    def economic(self) -> float:
        """How strong it is in goods (about as many units)."""
        return fsum(part.amount for part in self.parts if part.kind == "economic")

    def without_treasury(self) -> "Power":
        """What everybody can see of it."""
        return replace(self, parts=tuple(part for part in self.parts if part.what != "treasury"))


def power(faction_id: UUID, strength: float, holdings: Sequence[Holding], treasury: int) -> Power:
    """The power of a faction with `strength` troops, these regions, and `treasury` units of its currency."""
    parts: list[PowerPart] = []
    if strength > 0:
        parts.append(PowerPart("military", "troops", strength, f"{strength:,.0f} troops under arms"))
    for held in sorted(holdings, key=lambda h: h.region_id):
        calm = f"at stability {held.stability:.2f}"
        if levy := held.population * LEVY * held.stability:
            reason = f"levies among the {held.population:,} people of {held.name} {calm}"
            parts.append(PowerPart("military", "levy", levy, reason, held.region_id))
        if goods := held.goods * TRADE_DAYS * held.stability:
            reason = f"{TRADE_DAYS} days' yield of {held.name} {calm}"
            parts.append(PowerPart("economic", "yield", goods, reason, held.region_id))
    if treasury > 0:
        reason = f"{treasury:,} in the treasury"
        parts.append(PowerPart("economic", "treasury", treasury * TREASURY_WEIGHT, reason))
    return Power(faction_id, tuple(parts))
