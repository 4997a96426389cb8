"""Clauses: what each binds whom to, what breaks and fulfils it, what contradicts what."""

from itertools import permutations
from typing import Any, get_args
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fablewright.core.refusal import Refused
from fablewright.systems.diplomacy.clauses import (
    CLAUSE,
    CLAUSES,
    MISSED,
    TYPES,
    Act,
    ActKind,
    AnyClause,
    Breach,
    check,
    contradiction,
    victims,
)

A, B, C, D = (UUID(int=n) for n in range(1, 5))
HILL, FORD = UUID(int=11), UUID(int=12)
SPY = UUID(int=21)
NAMES = {A: "Ash", B: "Birch", C: "Cedar", HILL: "the Hill", SPY: "Sly"}

PAY = {"type": "pay", "from_id": A, "to_id": B, "amount": 30, "every_days": 30}
KEEP_OUT = {"type": "keep_out", "faction_id": A, "region_id": HILL}
NO_TRADE = {"type": "no_trade", "faction_id": A, "with_id": C}
DEFEND = {"type": "defend", "protector_id": A, "protected_id": B}
HAND_OVER = {"type": "hand_over", "faction_id": A, "to_id": B, "character_id": SPY}
SHARE = {"type": "share_information", "faction_id": A, "to_id": B}
OPEN = {"type": "open_borders", "faction_id": A, "to_id": B}
NO_ATTACK = {"type": "no_attack", "a_id": A, "b_id": B}
SUPPORT = {"type": "support_in_war", "faction_id": A, "ally_id": B}
CUSTOM = {"type": "custom", "text": "They feast together."}
ALL = (PAY, KEEP_OUT, NO_TRADE, DEFEND, HAND_OVER, SHARE, OPEN, NO_ATTACK, SUPPORT, CUSTOM)


def made(given_: dict[str, Any], **changes: Any) -> AnyClause:
    return CLAUSE.validate_python({**given_, **changes})


def test_every_type_is_here() -> None:
    assert {c["type"] for c in ALL} == TYPES.keys()


# -- what breaks them ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("clause", "act", "broken_by", "wronged"),
    [
        (made(PAY), Act("unpaid", A, B), A, {B}),
        (made(PAY), Act("unpaid", B, A), None, None),
        (made(KEEP_OUT), Act("entered", A, HILL), A, set()),
        (made(KEEP_OUT, for_id=B), Act("entered", A, HILL), A, {B}),
        (made(KEEP_OUT), Act("entered", B, HILL), None, None),
        (made(KEEP_OUT), Act("entered", A, FORD), None, None),
        (made(NO_TRADE), Act("traded", A, C), A, set()),
        (made(NO_TRADE, good="salt"), Act("traded", A, C, good="salt"), A, set()),
        (made(NO_TRADE, good="salt"), Act("traded", A, C, good="iron"), None, None),
        (made(NO_TRADE), Act("traded", C, A), None, None),
        (made(DEFEND), Act("call_refused", A, B, against=C, side="defender"), A, {B}),
        (made(DEFEND), Act("call_refused", A, B, against=C, side="attacker"), None, None),
        (made(DEFEND), Act("attacked", A, B), A, {B}),
        (made(DEFEND), Act("attacked", B, A), None, None),
        (made(DEFEND), Act("attacked", C, B), None, None),
        (made(HAND_OVER), Act("kept_back", A, B), A, {B}),
        (made(OPEN), Act("barred", A, B), A, {B}),
        (made(OPEN), Act("barred", A, C), None, None),
        (made(OPEN), Act("barred", B, A), None, None),
        (made(NO_ATTACK), Act("attacked", A, B), A, {B}),
        (made(NO_ATTACK), Act("attacked", B, A), B, {A}),
        (made(NO_ATTACK), Act("attacked", A, C), None, None),
        (made(SUPPORT), Act("call_refused", A, B, against=C, side="attacker"), A, {B}),
        (made(SUPPORT, against_id=D), Act("call_refused", A, B, against=C), None, None),
        (made(SUPPORT, against_id=C), Act("call_refused", A, B, against=C), A, {B}),
        (made(SHARE), Act("traded", A, B), None, None),
        (made(CUSTOM), Act("attacked", A, B), None, None),
    ],
)
def test_what_breaks_a_clause(
    clause: AnyClause, act: Act, broken_by: UUID | None, wronged: set[UUID] | None
) -> None:
    breach = clause.broken_by(act)
    assert (breach and breach.faction_id, breach and set(breach.victims)) == (broken_by, wronged)
    if breach is not None:
        listens = act.key in clause.watches()
        assert listens != (act.kind in MISSED), (
            "it listens to the acts that break it, but for those that timers find"
        )
        assert breach.text


@pytest.mark.parametrize(
    ("clause", "act"),
    [
        (made(HAND_OVER), Act("joined", SPY, B)),
        (made(HAND_OVER, region_id=HILL), Act("came", SPY, HILL)),
    ],
)
def test_what_fulfils_a_clause(clause: AnyClause, act: Act) -> None:
    assert clause.fulfilled_by(act) and act.key in clause.watches()
    assert clause.broken_by(act) is None
    assert not clause.fulfilled_by(Act(act.kind, act.by, C))
    assert [c for c in (made(c) for c in ALL) if c.fulfilled_by(act)] == (
        [made(HAND_OVER)] if act.to == B else []
    )


def test_whom_a_breach_wrongs() -> None:
    assert victims(Breach(A, frozenset(), ""), [C, A, B]) == [B, C]
    assert victims(Breach(A, frozenset((C,)), ""), [A, B, C]) == [C]


# -- what contradicts what -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b", "contradict"),
    [
        (PAY, {**PAY, "from_id": B, "to_id": A}, True),
        (PAY, {**PAY, "amount": 5}, True),
        (PAY, {**PAY, "every_days": 7}, False),
        (PAY, {**PAY, "currency": "gold"}, False),
        (PAY, {**PAY, "to_id": C}, False),
        (KEEP_OUT, {**KEEP_OUT, "for_id": B}, True),
        (KEEP_OUT, {**KEEP_OUT, "region_id": FORD}, False),
        (KEEP_OUT, {**KEEP_OUT, "faction_id": B}, False),
        (KEEP_OUT, {**HAND_OVER, "region_id": HILL}, True),
        (KEEP_OUT, {**HAND_OVER, "region_id": FORD}, False),
        (NO_TRADE, {**NO_TRADE, "good": "salt"}, True),
        ({**NO_TRADE, "good": "iron"}, {**NO_TRADE, "good": "salt"}, False),
        (NO_TRADE, {**NO_TRADE, "with_id": B}, False),
        (DEFEND, {**SUPPORT, "against_id": B, "ally_id": C}, True),
        (DEFEND, {**SUPPORT, "against_id": C}, False),
        (DEFEND, {**DEFEND, "protector_id": B, "protected_id": A}, False),
        (HAND_OVER, {**HAND_OVER, "to_id": C}, True),
        (HAND_OVER, {**HAND_OVER, "character_id": UUID(int=22)}, False),
        (NO_ATTACK, {**NO_ATTACK, "a_id": B, "b_id": A}, True),
        (NO_ATTACK, {**NO_ATTACK, "b_id": C}, False),
        (NO_ATTACK, {**SUPPORT, "ally_id": C, "against_id": B}, True),
        (NO_ATTACK, {**SUPPORT, "ally_id": C}, False),
        (SUPPORT, {**SUPPORT, "ally_id": C, "against_id": B}, False),
        ({**SUPPORT, "against_id": C}, {**SUPPORT, "ally_id": C, "against_id": B}, True),
        *((clause, clause, True) for clause in ALL),
    ],
)
def test_what_contradicts_what(a: dict[str, Any], b: dict[str, Any], contradict: bool) -> None:
    for first, second in ((a, b), (b, a)):
        assert (contradiction(made(first), made(second)) is not None) is contradict


def test_one_of_each_can_stand_together() -> None:
    check([made(c) for c in ALL], [A, B])


@pytest.mark.parametrize(
    ("clauses", "code", "facts"),
    [
        ([PAY, {**PAY, "to_id": C}], "clause_names_no_party", {"clause": 2, "faction_ids": [str(C)]}),
        ([{**KEEP_OUT, "for_id": D}], "clause_names_no_party", {"clause": 1}),
        ([CUSTOM, NO_ATTACK, {**NO_ATTACK, "a_id": B, "b_id": A}], "clauses_contradict", {"clauses": [2, 3]}),
    ],
)
def test_clauses_that_no_treaty_can_have(
    clauses: list[dict[str, Any]], code: str, facts: dict[str, Any]
) -> None:
    with pytest.raises(Refused) as refused:
        check([made(c) for c in clauses], [A, B])
    assert refused.value.code == code and facts.items() <= refused.value.facts.items()


def test_with_whom_one_does_not_trade_may_be_no_party() -> None:
    check([made(NO_TRADE), made(SUPPORT, against_id=D)], [A, B])


# -- what is no clause ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_", "code"),
    [
        ({"type": "sing"}, "clause_unknown"), ({**PAY, "to_id": A}, "clause_with_itself"),
        ({**NO_ATTACK, "b_id": A}, "clause_with_itself"), ({**SUPPORT, "against_id": B}, "clause_with_itself"),
    ],
)  # fmt: skip
def test_clauses_refused(given_: dict[str, Any], code: str) -> None:
    with pytest.raises(Refused) as refused:
        CLAUSES.validate_python([given_])
    assert refused.value.code == code


@pytest.mark.parametrize(
    "given_",
    [
        {**PAY, "amount": 0}, {**PAY, "amount": 2**53 + 1}, {**PAY, "every_days": 0}, {**PAY, "currency": "Gold!"},
        {**PAY, "why": "x"}, {"amount": 3}, {"type": 5}, {**CUSTOM, "text": " "}, {**NO_TRADE, "good": "S"},
        {**HAND_OVER, "within_days": 0}, {"type": "pay"},
    ],
)  # fmt: skip
def test_what_is_no_clause(given_: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CLAUSE.validate_python(given_)


@pytest.mark.parametrize("given_", ALL)
def test_a_clause_is_stored_and_read_again_and_said_in_words(given_: dict[str, Any]) -> None:
    clause = made(given_)
    assert CLAUSE.validate_json(clause.model_dump_json()) == clause
    text = clause.says(lambda id_: NAMES[id_])
    assert text.endswith(".") and str(A) not in text
    assert all(NAMES[f] in text for f in clause.factions())


# -- whatever happens ----------------------------------------------------------------------------------------

FACTIONS = st.sampled_from((A, B, C))
TWO = st.sampled_from(list(permutations((A, B, C), 2)))
ACTS = st.builds(
    Act,
    st.sampled_from(get_args(ActKind)),
    st.sampled_from((A, B, C, SPY)), st.sampled_from((A, B, C, HILL, FORD)), st.sampled_from((None, "salt", "iron")),
    st.sampled_from((None, C, D)), st.sampled_from((None, "attacker", "defender")),
)  # fmt: skip


@st.composite
def any_clause(draw: st.DrawFn) -> AnyClause:
    one, two = draw(TWO)
    given_ = dict(draw(st.sampled_from(ALL)))
    swap = {A: one, B: two}
    return made({k: swap.get(v, v) if isinstance(v, UUID) and v in (A, B) else v for k, v in given_.items()} | (
        {"with_id": two} if given_["type"] == "no_trade" else {}))  # fmt: skip


@given(any_clause(), ACTS)
def test_whoever_breaks_a_clause_is_bound_by_it_and_heard(clause: AnyClause, act: Act) -> None:
    breach = clause.broken_by(act)
    if breach is None:
        return
    assert breach.faction_id in clause.binds()
    assert breach.faction_id not in breach.victims and breach.victims <= set(clause.serves())
    assert act.key in clause.watches()


@given(any_clause(), any_clause())
def test_contradiction_knows_no_order(a: AnyClause, b: AnyClause) -> None:
    assert (contradiction(a, b) is None) == (contradiction(b, a) is None)
    assert contradiction(a, a) is not None


@given(st.lists(any_clause(), max_size=6))
def test_what_is_checked_names_only_parties(clauses: list[AnyClause]) -> None:
    try:
        check(clauses, [A, B])
    except Refused as refused:
        assert refused.code in ("clause_names_no_party", "clauses_contradict")
    else:
        assert all(c.factions() <= {A, B} for c in clauses)
