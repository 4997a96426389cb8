"""Who may act for a faction, who leads it, how its name fades and what its power is made of."""

from dataclasses import replace
from math import fsum, isclose
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fablewright.core.clock import DAY
from fablewright.core.refusal import Refused
from fablewright.systems.factions import rules
from fablewright.systems.factions.commands import FoundFaction, MemberValue, TraitsValue
from fablewright.systems.factions.rules import (
    ACTS,
    DEFAULT_ROLES,
    REPUTATION_HALF_LIFE,
    RULER,
    Faction,
    Holding,
    Member,
)

LORD, KNIGHT, SQUIRE, STRANGER = (UUID(int=n) for n in range(1, 5))
ASH = Faction(UUID(int=100), "House Ash", ranks=("lord", "knight", "squire"), leader_id=LORD)
SHARES = st.floats(0, 1)


def member(who: UUID, rank: str, role: str | None = None, joined_at: int = 0) -> Member:
    return Member(UUID(int=who.int + 1000), ASH.id, who, rank, role, joined_at)


# -- who may act ---------------------------------------------------------------------------------------------

NOT_THEIRS = {
    "ambassador": {
        "accuse", "issue_ultimatum", "sanction", "declare_war", "fight", "make_peace", "manage_members",
        "spend_treasury", "spy", "muster",
    },
    "general": set(ACTS) - {"fight", "declare_war", "muster"},
    "spymaster": set(ACTS) - {"accuse", "spy"},
    None: set(ACTS),
    RULER: set(),
}  # fmt: skip


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("role", NOT_THEIRS)
def test_each_role_may_do_what_is_its_own_and_nothing_else(role: str | None, act: str) -> None:
    who = member(KNIGHT, "knight", role)
    if act not in NOT_THEIRS[role]:
        rules.check_may(ASH, who, KNIGHT, act)
        return
    with pytest.raises(Refused) as error:
        rules.check_may(ASH, who, KNIGHT, act)
    assert error.value.code == "role_may_not"
    able = {r for r, acts in DEFAULT_ROLES.items() if act in acts}
    assert error.value.facts == {"role": role, "act": act, "roles": sorted(able)}


@pytest.mark.parametrize(
    "who",
    [None, replace(member(KNIGHT, "knight", RULER), faction_id=UUID(int=101))],
    ids=["nobody's", "another's"],
)
def test_who_does_not_belong_to_it_may_nothing(who: Member | None) -> None:
    with pytest.raises(Refused) as error:
        rules.check_may(ASH, who, KNIGHT, "spy")
    assert error.value.code == "not_a_member"


def test_a_faction_says_itself_what_its_roles_may() -> None:
    free = replace(ASH, roles=rules.complete_roles({"envoy": ["spy", "negotiate"], RULER: ["fight"]}))
    assert free.roles == {"envoy": ("negotiate", "spy"), RULER: ("fight",)}
    rules.check_may(free, member(KNIGHT, "knight", "envoy"), KNIGHT, "spy")
    with pytest.raises(Refused, match="role_may_not"):
        rules.check_may(free, member(LORD, "lord", RULER), LORD, "spy")
    assert rules.complete_roles({"envoy": []})[RULER] == ACTS
    assert rules.complete_roles(None) == {role: tuple(acts) for role, acts in DEFAULT_ROLES.items()}


@pytest.mark.parametrize(
    ("faction", "code"),
    [(None, "faction_not_found"), (replace(ASH, dissolved_at=5, leader_id=None), "faction_dissolved")],
)
def test_there_must_be_such_a_faction(faction: Faction | None, code: str) -> None:
    with pytest.raises(Refused) as error:
        rules.check_stands(faction, ASH.id)
    assert error.value.code == code
    assert rules.check_stands(ASH, ASH.id) is ASH


CHECKS: list[tuple[str, Any]] = [
    ("rank_unknown", lambda: rules.check_rank(ASH, "duke")),
    ("role_unknown", lambda: rules.check_role(ASH, "cook")),
    ("role_is_the_leaders", lambda: rules.check_role(ASH, RULER)),
    ("rank_too_low", lambda: rules.check_above(ASH, member(KNIGHT, "knight"), "squire", "knight")),
    ("rank_too_low", lambda: rules.check_above(ASH, member(KNIGHT, "knight"), "lord")),
    ("only_the_leader", lambda: rules.check_leader(ASH, KNIGHT)),
    ("only_the_leader", lambda: rules.check_leader(replace(ASH, leader_id=None), KNIGHT)),
    ("rank_in_use", lambda: rules.check_vocabulary(ASH, [member(KNIGHT, "baron")])),
    ("rank_in_use", lambda: rules.check_vocabulary(ASH, [member(KNIGHT, "knight", "cook")])),
    ("too_many_troops", lambda: rules.mustered(replace(ASH, strength=rules.MOST_TROOPS - 4), 5)),
]


@pytest.mark.parametrize(("code", "check"), CHECKS)
def test_each_refusal_has_its_name(code: str, check: Any) -> None:
    with pytest.raises(Refused) as error:
        check()
    assert error.value.code == code


def test_what_is_in_order_is_not_refused() -> None:
    rules.check_rank(ASH, "squire")
    rules.check_role(ASH, None)
    rules.check_role(ASH, "general")
    rules.check_above(ASH, member(KNIGHT, "knight"), "squire")
    rules.check_above(
        ASH, member(LORD, "squire", RULER), "lord"
    )  # who leads stands above all, whatever its rank
    rules.check_leader(ASH, LORD)
    rules.check_vocabulary(ASH, [member(KNIGHT, "knight", "general"), member(SQUIRE, "squire")])


# -- who follows ---------------------------------------------------------------------------------------------

SUCCESSIONS: list[tuple[list[Member], UUID | None]] = [
    ([], None),
    ([member(SQUIRE, "squire", "general"), member(KNIGHT, "knight")], KNIGHT),
    ([member(SQUIRE, "knight", joined_at=1), member(KNIGHT, "knight", "spymaster", joined_at=9)], KNIGHT),
    ([member(SQUIRE, "knight", joined_at=1), member(KNIGHT, "knight", joined_at=9)], SQUIRE),
    ([member(STRANGER, "knight"), member(KNIGHT, "knight")], KNIGHT),
]


@pytest.mark.parametrize(("left", "expected"), SUCCESSIONS)
def test_rank_then_role_then_time_say_who_follows(left: list[Member], expected: UUID | None) -> None:
    for order in (left, left[::-1]):
        heir = rules.successor(ASH, order)
        assert (None if heir is None else heir.character_id) == expected


# -- reputation ----------------------------------------------------------------------------------------------


@given(st.floats(-100, 100), st.floats(-1000, 1000), st.integers(0, 10**12), st.integers(0, 10**12))
def test_a_name_stays_in_bounds_and_fades_towards_nothing(
    value: float, delta: float, first: int, later: int
) -> None:
    faction = rules.judged(replace(ASH, reputation=value, reputation_at=0), delta, first)
    assert -100 <= faction.reputation <= 100
    then = faction.reputation_now(first + later)
    assert abs(then) <= abs(faction.reputation)
    assert then * faction.reputation >= 0
    assert (faction.reputation - value * 2 ** (-first / REPUTATION_HALF_LIFE)) * delta >= -1e-9


def test_half_of_a_name_is_forgotten_in_a_year() -> None:
    faction = rules.judged(ASH, -40, 0)
    assert faction.reputation_now(365 * DAY) == -20
    assert rules.judged(faction, 5, 365 * DAY).reputation == -15
    assert faction.reputation_now(-DAY) == -40  # never before its time


# -- power ---------------------------------------------------------------------------------------------------

HOLDINGS = st.lists(
    st.builds(
        Holding, region_id=st.uuids(), name=st.just("Vale"), goods=st.floats(0, 1e6),
        population=st.integers(0, 10**7), stability=SHARES,
    ), max_size=8,
)  # fmt: skip


@given(st.floats(0, 1e6), HOLDINGS, st.integers(0, 10**12))
def test_power_is_the_sum_of_its_parts(strength: float, held: list[Holding], treasury: int) -> None:
    power = rules.power(ASH.id, strength, held, treasury)
    for kind, value in (("military", power.military), ("economic", power.economic)):
        assert value == fsum(part.amount for part in power.parts if part.kind == kind)
    assert all(part.amount > 0 and part.reason for part in power.parts)
    assert power.without_treasury().military == power.military
    assert power.without_treasury().economic <= power.economic


@given(st.floats(0, 1e6), HOLDINGS, st.integers(0, 10**12), SHARES)
def test_more_of_anything_is_never_less_power(
    strength: float, held: list[Holding], treasury: int, calm: float
) -> None:
    less = rules.power(ASH.id, strength, held, treasury)
    richer = rules.power(
        ASH.id, strength + 1, [*held, Holding(UUID(int=7), "Fens", 3, 100, calm)], treasury + 1
    )
    assert richer.military > less.military
    assert richer.economic > less.economic


def test_power_counts_what_is_held_when_it_is_quiet() -> None:
    vale = Holding(UUID(int=7), "Vale", goods=10, population=5_000, stability=0.5)
    power = rules.power(ASH.id, 200, [vale], 1_000)
    assert [(p.kind, p.what, p.region_id) for p in power.parts] == [
        ("military", "troops", None), ("military", "levy", vale.region_id), ("economic", "yield", vale.region_id),
        ("economic", "treasury", None),
    ]  # fmt: skip
    assert isclose(power.military, 200 + 25)
    assert isclose(power.economic, 150 + 50)
    assert rules.power(ASH.id, 0, [replace(vale, stability=0)], 0).parts == ()
    assert "5,000 people of Vale at stability 0.50" in power.parts[1].reason


# -- what is no sense at all ---------------------------------------------------------------------------------

NONSENSE: list[dict[str, Any]] = [
    {"name": " "}, {"name": "x", "color": "red"}, {"name": "x", "ideology": {"crown": 1.1}},
    {"name": "x", "ideology": {f"a{n}": 0.0 for n in range(9)}}, {"name": "x", "ranks": []},
    {"name": "x", "ranks": ["lord", "lord"]}, {"name": "x", "roles": {"envoy": ["cook"]}},
    {"name": "x", "roles": {"envoy": ["spy", "spy"]}}, {"name": "x", "roles": {"An Envoy": []}},
    {"name": "x", "treasury": -1}, {"name": "x", "strength": float("inf")}, {"name": "x", "reputation": 101},
    {"name": "x", "members": [MemberValue(character_id=LORD), MemberValue(character_id=LORD)]},
]  # fmt: skip


@pytest.mark.parametrize("fields", NONSENSE)
def test_nonsense_is_not_even_a_command(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FoundFaction(**fields)


def test_traits_are_shares() -> None:
    with pytest.raises(ValidationError):
        TraitsValue(aggressive=1.5)
