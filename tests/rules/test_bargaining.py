"""How factions bargain: what they ask for, and how a sitting goes. By tables and by properties."""

from dataclasses import replace
from typing import get_args
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fablewright.systems.diplomacy import bargaining
from fablewright.systems.diplomacy.bargaining import Answered, Offered, Sitting, sitting, wishes
from fablewright.systems.diplomacy.clauses import Pay, check
from fablewright.systems.diplomacy.evaluator import Counterpart, FactionView, Leader, Temper, acceptable
from fablewright.systems.diplomacy.treaty_commands import TreatyKind

ASH, OAK, ELM, MARCH = (UUID(int=n) for n in (1, 2, 3, 21))
KINDS = get_args(TreatyKind)


def seat(me: UUID, *others: UUID, **values: object) -> FactionView:
    """A faction that is average in all, and what differs in how it sees the others."""
    of = {k: values.pop(k) for k in ("opinion", "tension", "war", "taken", "given", "power") if k in values}
    seen = {i: Counterpart(i, str(i.int), means=1_000, **of) for i in others}  # type: ignore[arg-type]
    return FactionView(me, seen, **{"treasury": 1_000, **values})  # type: ignore[arg-type]


def pair(
    ash: dict[str, object] | None = None, oak: dict[str, object] | None = None
) -> dict[UUID, FactionView]:
    return {ASH: seat(ASH, OAK, **(ash or {})), OAK: seat(OAK, ASH, **(oak or {}))}


def offers(went: Sitting) -> list[Offered]:
    return [said for said in went.said if isinstance(said, Offered)]


def types(offer: Offered | None) -> list[str]:
    return [] if offer is None else [clause.type for clause in offer.clauses]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_wished_for_can_stand_in_a_treaty(kind: str) -> None:
    for power in (0.2, 0.8):
        found = wishes(kind, seat(ASH, OAK, power=power, war=60.0, taken=(MARCH,)), OAK)
        assert found
        check(found, (ASH, OAK))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "vassalage"])
def test_strangers_without_quarrel_come_to_terms(kind: str) -> None:
    went = sitting(kind, pair(), ASH, 360)
    assert went.agreed is not None and set(went.agreed.accepted) == {ASH, OAK}


@pytest.mark.parametrize("kind", ["military_access", "tribute", "peace"])
def test_an_opening_does_not_tell_what_is_in_the_others_treasury(kind: str) -> None:
    """What one asks of somebody, and offers for it, depends on what one knows."""
    found = set()
    for treasury in (1_000, 1_234, 1_999):
        views = pair(
            {"war": 60.0, "taken": (MARCH,)},
            {"treasury": treasury, "wealth": 2.0 * treasury, "opinion": -40.0},
        )
        found.add(bargaining.opens_with(kind, views, ASH, 360))
    assert len(found) == 1


def test_a_good_offer_is_accepted_at_once() -> None:
    went = sitting("non_aggression", pair(), ASH, 360)
    assert [type(said) for said in went.said] == [Offered, Answered]
    assert types(went.agreed) == ["no_attack"]


def test_those_who_hate_each_other_walk_out() -> None:
    hate: dict[str, object] = {"opinion": -100.0, "tension": 100.0, "leader": Leader(agreeableness=0.0)}
    went = sitting("alliance", pair(hate, hate), ASH, 360)
    assert went.agreed is None and went.walked in (ASH, OAK)
    assert all(offer.end in ("refused", "countered") for offer in offers(went))


def test_one_who_hesitates_is_paid() -> None:
    went = sitting("military_access", pair({"opinion": 30.0}, {"opinion": -30.0}), ASH, 360)
    assert went.agreed is not None
    assert [(c.from_id, c.to_id) for c in went.agreed.clauses if isinstance(c, Pay)] == [(ASH, OAK)]


def test_who_has_won_keeps_what_it_took_and_is_paid() -> None:
    winner: dict[str, object] = {"war": 60.0, "taken": (MARCH,)}
    loser: dict[str, object] = {"war": -60.0, "given": (MARCH,), "weariness": 40.0, "needs": {"peace": 1.0}}
    went = sitting("peace", pair(winner, loser), ASH, 360)
    assert types(went.agreed) == ["no_attack", "keep_out", "pay"]
    begged = sitting("peace", pair(loser, winner), ASH, 360)
    assert types(begged.agreed)[:2] == ["no_attack", "keep_out"]
    truce = sitting("ceasefire", pair(loser, winner), ASH, 360)
    assert "keep_out" not in types(truce.agreed)


def test_the_weak_become_vassals_when_they_are_afraid() -> None:
    strong: dict[str, object] = {"power": 0.2, "tension": 50.0}
    weak: dict[str, object] = {"power": 0.8, "tension": 50.0}
    afraid = weak | {"needs": {"security": 1.0}}
    calm, fearful = (sitting("vassalage", pair(strong, w), ASH, 360) for w in (weak, afraid))
    assert "defend" in types(fearful.agreed) and len(offers(fearful)) < len(offers(calm))


def test_three_agree_or_none_does() -> None:
    table = {me: seat(me, *({ASH, OAK, ELM} - {me}), opinion=60.0) for me in (ASH, OAK, ELM)}
    went = sitting("alliance", table, OAK, 360)
    assert went.agreed is not None and set(went.agreed.accepted) == {ASH, OAK, ELM}
    table[ELM] = seat(ELM, ASH, OAK, opinion=-100.0, tension=100.0, lean=-40.0)
    assert sitting("alliance", table, OAK, 360).agreed is None


@pytest.mark.parametrize(
    ("now", "best", "lean", "by"),
    [
        (-10.0, -20.0, 0.0, 2.5),
        (-10.0, -30.0, 0.0, bargaining.MOST_GIVEN_BACK),
        (-20.0, -10.0, 0.0, 0.0),
        (-1e6, -1e9, 0.0, 0.0),
        (-56.0, -1e9, 0.0, 1.0),
        (-10.0, -20.0, 39.0, 1.0),
    ],
)
def test_what_is_better_than_the_best_is_met(now: float, best: float, lean: float, by: float) -> None:
    """But not from beyond all measure to what is merely unacceptable, nor the same twice."""
    assert bargaining.given_back(seat(ASH, OAK, lean=lean), now, best) == pytest.approx(by)


SHARE = st.floats(0, 1)


@st.composite
def tables(draw: st.DrawFn) -> dict[UUID, FactionView]:
    """Two or three factions of any temper, in any relation."""
    ids = (ASH, OAK, ELM)[: draw(st.integers(2, 3))]
    return {
        me: FactionView(
            me,
            {
                i: Counterpart(
                    i, str(i.int), draw(st.floats(-100, 100)), draw(SHARE), draw(st.floats(0, 100)), draw(SHARE),
                    draw(st.floats(-1, 1)), draw(st.integers(0, 5_000)), draw(st.floats(-100, 100)),
                )
                for i in ids if i != me
            },
            Temper(draw(SHARE), draw(SHARE), draw(SHARE), draw(SHARE)), Leader(draw(SHARE), agreeableness=draw(SHARE)),
            treasury=draw(st.integers(0, 5_000)), wealth=draw(st.floats(100, 10_000)),
            weariness=draw(st.floats(0, 100)), lean=draw(st.floats(-40, 40)),
        )
        for me in ids
    }  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(tables(), st.sampled_from(KINDS), st.integers(0, 50))
def test_a_sitting_ends_and_is_fair(table: dict[UUID, FactionView], kind: str, before: int) -> None:
    went = sitting(kind, table, ASH, 360, before)
    made = offers(went)
    assert [offer.number for offer in made] == list(range(before + 1, before + 1 + len(made)))
    assert len(made) <= bargaining.MOST_AT_ONCE
    for offer in made:
        check(offer.clauses, table)
    by_maker = [(offer.faction_id, offer.mark) for offer in made]
    assert len(set(by_maker)) == len(by_maker), "an offer was made again"
    assert all(abs(lean) <= bargaining.MOST_LEAN + 1e-9 for lean in went.leans.values())
    assert all(went.leans[i] >= table[i].lean for i in table)
    assert set(went.leans) == set(went.concessions) == set(table)
    if went.agreed is not None:
        assert set(went.agreed.accepted) == set(table) and went.agreed.end == "accepted"
        for me, view in table.items():
            assert acceptable(replace(view, lean=went.leans[me]), went.agreed.clauses, 360)
    else:
        assert went.walked in table and not any(offer.end == "accepted" for offer in made)


@settings(max_examples=50, deadline=None)
@given(tables(), st.sampled_from(KINDS))
def test_the_same_sitting_goes_the_same_way(table: dict[UUID, FactionView], kind: str) -> None:
    assert sitting(kind, table, ASH, 360) == sitting(kind, table, ASH, 360)
