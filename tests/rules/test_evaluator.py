"""What offers are worth: by tables, and by properties (the better is never refused where the worse was accepted)."""

from dataclasses import replace
from math import fsum, isclose, isfinite
from uuid import UUID

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fablewright.systems.diplomacy import evaluator
from fablewright.systems.diplomacy.bargaining import opening
from fablewright.systems.diplomacy.clauses import (
    MOST_CLAUSES,
    AnyClause,
    Custom,
    Defend,
    HandOver,
    KeepOut,
    NoAttack,
    NoTrade,
    OpenBorders,
    Pay,
    ShareInformation,
    SupportInWar,
)
from fablewright.systems.diplomacy.evaluator import (
    Counterpart,
    FactionView,
    Leader,
    Temper,
    acceptable,
    changed,
    evaluate,
    fingerprint,
    would_propose,
)

ASH, OAK, ELM = (UUID(int=n) for n in (1, 2, 3))
LEADER, SPY, MARCH = (UUID(int=n) for n in (11, 12, 21))


def view(**values: object) -> FactionView:
    """Ash, which talks with Oak."""
    of_oak = ("opinion", "trust", "tension", "power", "owed", "means", "income")
    oak = {k: values.pop(k) for k in of_oak if k in values}
    other = Counterpart(OAK, "Oak", **{"means": 10_000, **oak})  # type: ignore[arg-type]
    return FactionView(ASH, {OAK: other}, **{"treasury": 500, "leader_id": LEADER, **values})  # type: ignore[arg-type]


def gives(amount: int, every_days: int | None = None) -> Pay:
    return Pay(from_id=ASH, to_id=OAK, amount=amount, every_days=every_days)


def gets(amount: int, every_days: int | None = None) -> Pay:
    return Pay(from_id=OAK, to_id=ASH, amount=amount, every_days=every_days)


# -- tables ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offer", "verdict"),
    [
        ([gets(10)], "accept"),
        ([gives(10)], "refuse"),
        ([gets(10), gives(5, 30)], "counter"),
        ([NoAttack(a_id=ASH, b_id=OAK)], "accept"),
        ([Defend(protector_id=OAK, protected_id=ASH)], "accept"),
        ([Defend(protector_id=ASH, protected_id=OAK)], "counter"),
        ([OpenBorders(faction_id=OAK, to_id=ASH), OpenBorders(faction_id=ASH, to_id=OAK)], "counter"),
        ([Custom(text="We shall be friends.")], "accept"),
        ([HandOver(faction_id=ASH, to_id=OAK, character_id=LEADER)], "refuse"),
        ([HandOver(faction_id=ASH, to_id=OAK, character_id=LEADER), NoAttack(a_id=ASH, b_id=OAK)], "counter"),
        ([gives(501), gets(5_000, 30)], "counter"),
        ([gives(490), Defend(protector_id=OAK, protected_id=ASH), gives(400, 30)], "refuse"),
    ],
)
def test_a_faction_that_is_average_in_all(offer: list[AnyClause], verdict: str) -> None:
    assert evaluate(view(), offer).verdict == verdict


@pytest.mark.parametrize(
    ("what", "better", "worse"),
    [
        ("opinion", {"opinion": 50.0}, {"opinion": -50.0}),
        ("tension", {"tension": 0.0}, {"tension": 80.0}),
        ("power", {"power": 0.9}, {"power": 0.1}),
        ("owed", {"owed": 1.0}, {"owed": -1.0}),
        ("trust", {"trust": 0.9}, {"trust": 0.1}),
        ("personality", {"leader": Leader(agreeableness=0.9)}, {"leader": Leader(agreeableness=0.1)}),
        ("talks", {"lean": 5.0}, {"lean": -5.0}),
        ("need", {"needs": {"security": 1.0}}, {}),
        ("personality", {"temper": Temper(isolationist=0.1)}, {"temper": Temper(isolationist=0.9)}),
    ],
)
def test_what_moves_the_utility(what: str, better: dict[str, object], worse: dict[str, object]) -> None:
    offer: list[AnyClause] = [Defend(protector_id=OAK, protected_id=ASH), gives(10)]
    good, bad = evaluate(view(**better), offer), evaluate(view(**worse), offer)
    assert good.utility > bad.utility

    def of(e: evaluator.Evaluation) -> float:
        return fsum(part.amount for part in e.parts if part.what == what)

    assert of(good) > of(bad)


def test_reasons_are_words_with_numbers() -> None:
    found = evaluate(view(opinion=-80, tension=90), [gives(300), ShareInformation(faction_id=ASH, to_id=OAK)])
    assert found.verdict == "refuse"
    assert found.reasons[0] == "money we pay (-30.0)"
    assert "what we think of Oak (-9.6)" in found.reasons


def test_what_is_never_done_names_why() -> None:
    cannot = evaluate(view(), [gives(501), gets(5_000, 30)])
    assert cannot.forbidden == ("we cannot pay 501: there are 500",)
    assert cannot.counter[0] == gives(500)
    peace = NoAttack(a_id=ASH, b_id=OAK)
    never = evaluate(view(), [HandOver(faction_id=ASH, to_id=OAK, character_id=LEADER), gets(9_000), peace])
    assert never.forbidden == ("we do not hand over who leads us",)
    assert never.counter == (gets(9_000), peace)


def test_nobody_asks_to_be_paid_for_nothing() -> None:
    asked: list[AnyClause] = [Defend(protector_id=ASH, protected_id=OAK), gives(10)]
    me = view(means=50, opinion=-30)
    assert acceptable(me, [gets(50)]) and evaluate(me, asked).verdict == "refuse"


def test_the_counter_asks_for_the_least_amount_that_would_do() -> None:
    me = view(opinion=-50)
    found = evaluate(me, [Defend(protector_id=ASH, protected_id=OAK), gets(10)])
    assert [(c.step, c.place) for c in found.changes] == [("change", 1)]
    (_, asked) = found.counter
    assert isinstance(asked, Pay) and asked.amount == 190  # 13 + 6 points of 10 money each
    less = [found.counter[0], gets(asked.amount - 1)]
    assert not acceptable(me, less) and acceptable(me, found.counter)


def test_two_changes_where_one_would_not_do() -> None:
    me = view(means=50, opinion=-40)
    offer: list[AnyClause] = [
        gets(50),
        Defend(protector_id=ASH, protected_id=OAK),
        SupportInWar(faction_id=ASH, ally_id=OAK),
        NoTrade(faction_id=OAK, with_id=ELM),
    ]
    found = evaluate(me, offer)
    assert found.verdict == "counter" and {c.step for c in found.changes} == {"drop"}
    assert acceptable(me, found.counter)


def test_an_offer_that_was_lost_is_not_made_again() -> None:
    me = view()
    offer = [Defend(protector_id=ASH, protected_id=OAK)]
    first = evaluate(me, offer)
    then = replace(me, lost=frozenset({fingerprint(first.counter, 360)}))
    second = evaluate(then, offer)
    assert not would_propose(then, first.counter) and acceptable(then, first.counter)
    assert second.verdict == "counter" and second.counter != first.counter


def test_a_fingerprint_knows_no_order_and_all_else() -> None:
    a, b = gets(5), gives(5, 30)
    assert fingerprint([a, b], 30) == fingerprint([b, a], 30)
    assert len({fingerprint(o, d) for o, d in (([a], 30), ([a], None), ([b], 30), ([a, b], 30))}) == 4


def test_an_opening_offers_what_the_other_one_would_ask_for() -> None:
    me = view(needs={"security": 1.0}, power=0.9, treasury=9_000, wealth=9_000.0)
    ash = Counterpart(ASH, "Ash", power=0.1, means=9_000)
    guess = FactionView(OAK, {ASH: ash}, Temper(), treasury=100)
    offer = opening(me, guess, [Defend(protector_id=OAK, protected_id=ASH)])
    assert any(isinstance(c, Pay) and c.from_id == ASH for c in offer)
    assert would_propose(me, offer) and acceptable(guess, offer)


def shells(amount: int) -> Pay:
    return Pay(from_id=OAK, to_id=ASH, amount=amount, currency="shells")


def regions(many: int) -> list[AnyClause]:
    return [KeepOut(faction_id=OAK, region_id=UUID(int=1_000 + n)) for n in range(many)]


def people(many: int) -> list[AnyClause]:
    return [HandOver(faction_id=OAK, to_id=ASH, character_id=UUID(int=1_000 + n)) for n in range(many)]


@pytest.mark.parametrize(
    ("asked", "bait", "hostile"),
    [
        (700, regions(19), False),
        (700, people(19), False),
        (700, [NoTrade(faction_id=OAK, with_id=UUID(int=1_000 + n)) for n in range(19)], False),
        (
            700,
            [SupportInWar(faction_id=OAK, ally_id=ASH, against_id=UUID(int=1_000 + n)) for n in range(19)],
            False,
        ),
        (900, [gets(10**9, 30)], True),
        (900, [gets(10**9, days) for days in range(1, 20)], True),
        (900, [gets(10**9)], True),
        (900, [shells(10**6)], True),
    ],
)
def test_nobody_is_bought_with_nothing(asked: int, bait: list[AnyClause], hostile: bool) -> None:
    """Promises without end, of what one has not, and in money of one's own are no price."""
    feelings: dict[str, object] = {"opinion": -80.0, "trust": 0.1} if hostile else {}
    me = view(means=0, treasury=1_000, **feelings)
    dear: list[AnyClause] = [gives(asked), *([SupportInWar(faction_id=ASH, ally_id=OAK)] if hostile else [])]
    assert evaluate(me, dear).verdict == "refuse"
    assert evaluate(me, [*dear, *bait]).verdict != "accept"


def test_what_is_promised_counts_as_far_as_it_can_be_kept() -> None:
    me = view(means=100, income=2.0, trust=1.0)

    def worth(*offer: AnyClause) -> float:
        return evaluate(me, offer).utility - evaluate(me, []).utility

    assert worth(gets(100)) == worth(gets(5_000)) == pytest.approx(10.0)
    assert worth(gets(10, 30)) == pytest.approx(12.0)
    assert worth(gets(900, 30)) == worth(gets(700, 30), gets(80)) == pytest.approx((100 + 2 * 360) / 10)
    assert worth(shells(50)) == 0


def test_trade_that_is_cut_off_from_me_is_no_gift() -> None:
    against_me, against_elm = (NoTrade(faction_id=OAK, with_id=i) for i in (ASH, ELM))
    found = evaluate(view(), [against_me])
    assert found.utility == pytest.approx(-9.0) and found.reasons == ("trade they cut us off from (-9.0)",)
    assert evaluate(view(), [against_elm]).utility > 0


def test_goods_that_nobody_trades_are_worth_nothing_and_all_together_one_trade() -> None:
    many = [NoTrade(faction_id=OAK, with_id=ELM, good=f"good_{n}") for n in range(6)]
    me = view(goods={clause.good for clause in many})
    whole = evaluate(me, [NoTrade(faction_id=OAK, with_id=ELM)]).utility
    assert evaluate(view(), many).utility == 0
    assert evaluate(me, many[:1]).utility == pytest.approx(whole / 2)
    assert evaluate(me, many).utility == pytest.approx(whole) and whole > 0


def test_who_has_an_income_and_an_empty_chest_can_promise_tribute() -> None:
    me = view(treasury=50, wealth=9_000.0, power=0.9)
    tribute: list[AnyClause] = [gives(100, 30), Defend(protector_id=OAK, protected_id=ASH)]
    assert evaluate(me, tribute).verdict == "accept"
    assert evaluate(me, [gives(100), *tribute]).forbidden == ("we cannot pay 100: there are 50",)


@pytest.mark.parametrize(("also", "asked"), [(0, 500), (37, 463), (600, None)])
def test_no_counter_offer_tells_what_is_in_the_treasury(also: int, asked: int | None) -> None:
    """What can be paid is told to all at the table as roughly as they know it."""
    me = view(treasury=537, wealth=3_000.0, power=0.9, opinion=100.0)
    to_elm = [Pay(from_id=ASH, to_id=ELM, amount=also)] if also else []
    found = evaluate(me, [gives(1_200), *to_elm, Defend(protector_id=OAK, protected_id=ASH)])
    changed_to = [c.clause.amount for c in found.changes if c.place == 0 and isinstance(c.clause, Pay)]
    assert found.forbidden and changed_to == ([asked] if asked else [])


def test_who_asks_for_tribute_asks_for_what_can_be_paid() -> None:
    me = view(means=100, income=2.0, opinion=-100.0)
    found = evaluate(me, [gets(1, 30)])
    (asked,) = found.counter
    assert isinstance(asked, Pay) and 1 < asked.amount <= (100 + 2 * 360) / 12
    assert found.utility + found.changes[0].gain == pytest.approx(evaluate(me, found.counter).utility)


@pytest.mark.parametrize(
    ("known", "unknown"),
    [
        (people(1)[0].model_copy(update={"character_id": SPY}), people(1)[0]),
        (KeepOut(faction_id=OAK, region_id=MARCH), regions(1)[0]),
    ],
)
def test_it_counts_whose_it_is(known: AnyClause, unknown: AnyClause) -> None:
    """Land that is mine, and people who are theirs to hand over."""
    me = view(people={(OAK, SPY): 0.9, (ELM, UUID(int=1_000)): 0.9}, lands={MARCH: 0.9})
    assert evaluate(me, [known]).utility > evaluate(me, [unknown]).utility + 5


def test_it_accepts_what_it_offered_in_vain() -> None:
    offer = [NoAttack(a_id=ASH, b_id=OAK)]
    me = view(lost=frozenset({fingerprint(offer, 360)}))
    assert not would_propose(me, offer) and evaluate(me, offer).verdict == "accept"


# -- properties ------------------------------------------------------------------------------------------------

SHARE = st.floats(0, 1)
VIEWS = st.builds(
    FactionView,
    st.just(ASH),
    st.fixed_dictionaries({
        OAK: st.builds(
            Counterpart, st.just(OAK), st.just("Oak"), st.floats(-100, 100), SHARE, st.floats(0, 100), SHARE,
            st.floats(-1, 1), st.integers(0, 5_000), income=st.floats(0, 100),
        )
    }),
    st.builds(Temper, SHARE, SHARE, SHARE, SHARE),
    st.builds(Leader, SHARE, SHARE, SHARE, SHARE, SHARE),
    st.just(LEADER),
    st.integers(0, 2_000),
    st.floats(1, 10_000),
    needs=st.dictionaries(st.sampled_from(evaluator.NEEDS), SHARE),
    people=st.dictionaries(st.sampled_from([(ASH, SPY), (OAK, SPY)]), SHARE),
    lands=st.dictionaries(st.just(MARCH), SHARE),
    goods=st.frozensets(st.just("salt")),
    lean=st.floats(-10, 10),
)  # fmt: skip
AMOUNTS, PERIODS = st.integers(1, 1_000), st.one_of(st.none(), st.integers(1, 400))
GOOD: st.SearchStrategy[AnyClause] = st.one_of(
    st.builds(gets, AMOUNTS, PERIODS),
    st.just(KeepOut(faction_id=OAK, region_id=MARCH)),
    st.just(Defend(protector_id=OAK, protected_id=ASH)),
    st.just(HandOver(faction_id=OAK, to_id=ASH, character_id=SPY)),
    st.just(ShareInformation(faction_id=OAK, to_id=ASH)),
    st.just(OpenBorders(faction_id=OAK, to_id=ASH)),
    st.just(SupportInWar(faction_id=OAK, ally_id=ASH)),
    st.just(NoTrade(faction_id=OAK, with_id=ELM, good="salt")),
)
"""Clauses by which Ash only gets."""
BAD: st.SearchStrategy[AnyClause] = st.one_of(
    st.builds(gives, AMOUNTS, PERIODS),
    st.just(KeepOut(faction_id=ASH, region_id=MARCH)),
    st.just(Defend(protector_id=ASH, protected_id=OAK)),
    st.sampled_from([HandOver(faction_id=ASH, to_id=OAK, character_id=c) for c in (SPY, LEADER)]),
    st.just(NoTrade(faction_id=ASH, with_id=ELM)),
    st.just(NoTrade(faction_id=OAK, with_id=ASH)),
    st.just(SupportInWar(faction_id=ASH, ally_id=OAK, against_id=ELM)),
)
"""Clauses by which Ash only gives."""
OFFERS = st.lists(st.one_of(GOOD, BAD, st.just(NoAttack(a_id=ASH, b_id=OAK))), min_size=1, max_size=6)
DAYS = st.one_of(st.none(), st.integers(1, 2_000))


@given(VIEWS, OFFERS, DAYS)
def test_the_parts_sum_to_the_utility(me: FactionView, offer: list[AnyClause], days: int | None) -> None:
    found = evaluate(me, offer, days)
    assert isclose(fsum(p.amount for p in found.parts), found.utility, abs_tol=1e-9)
    assert {p.what for p in found.parts} <= set(evaluator.PARTS)


@given(VIEWS, OFFERS, GOOD, DAYS)
def test_more_that_is_good_is_never_refused(
    me: FactionView, offer: list[AnyClause], more: AnyClause, days: int | None
) -> None:
    better = evaluate(me, [*offer, more], days)
    worse = evaluate(me, offer, days)
    assert better.utility >= worse.utility - 1e-9
    assert worse.verdict != "accept" or better.verdict == "accept"


@given(VIEWS, OFFERS, BAD, DAYS)
def test_less_that_is_bad_is_never_refused(
    me: FactionView, offer: list[AnyClause], less: AnyClause, days: int | None
) -> None:
    assert not acceptable(me, [*offer, less], days) or acceptable(me, offer, days)


@given(VIEWS, OFFERS, st.integers(0, 1_000), st.data())
def test_better_amounts_are_never_refused(
    me: FactionView, offer: list[AnyClause], by: int, data: st.DataObject
) -> None:
    places = [n for n, clause in enumerate(offer) if isinstance(clause, Pay)]
    assume(places)
    place = data.draw(st.sampled_from(places))
    pay = offer[place]
    assert isinstance(pay, Pay)
    amount = pay.amount + by if pay.to_id == ASH else max(1, pay.amount - by)
    better = [*offer[:place], pay.model_copy(update={"amount": amount}), *offer[place + 1 :]]
    assert not acceptable(me, offer) or acceptable(me, better)


@settings(max_examples=200)
@given(VIEWS, OFFERS, DAYS, st.booleans())
def test_it_accepts_and_counters_with_what_it_would_propose(
    me: FactionView, offer: list[AnyClause], days: int | None, lost: bool
) -> None:
    """But for what it made and lost: that it does not make again, and still accepts from others."""
    before, me = me, replace(me, lost=frozenset({fingerprint(offer, days)} if lost else ()))
    found = evaluate(me, offer, days)
    assert (found.verdict == "accept") == would_propose(before, offer, days) == acceptable(me, offer, days)
    assert would_propose(me, offer, days) == (not lost and found.verdict == "accept")
    if found.verdict == "counter":
        assert would_propose(me, found.counter, days)
        assert evaluate(me, found.counter, days).verdict == "accept"
        assert found.counter == changed(offer, found.changes) and found.counter != tuple(offer)
    else:
        assert not found.counter and not found.changes


@settings(max_examples=200)
@given(VIEWS, OFFERS)
def test_no_dropped_clause_alone_would_have_been_less(me: FactionView, offer: list[AnyClause]) -> None:
    found = evaluate(me, offer)
    assume(found.verdict == "counter")
    took = evaluate(me, found.counter).utility - found.utility
    for place in range(len(offer)):
        without = [*offer[:place], *offer[place + 1 :]]
        if evaluator.keeps_its_point(offer, without) and would_propose(me, without):
            gain = evaluate(me, without).utility - found.utility
            assert gain <= 0 or took <= gain + 1.0 + 1e-6


@given(VIEWS, OFFERS, DAYS)
def test_what_was_lost_is_never_offered(me: FactionView, offer: list[AnyClause], days: int | None) -> None:
    first = evaluate(me, offer, days)
    assume(first.verdict == "counter")
    lost = fingerprint(first.counter, days)
    again = evaluate(replace(me, lost=frozenset({lost})), offer, days)
    assert not again.counter or fingerprint(again.counter, days) != lost


@given(VIEWS, OFFERS, DAYS)
def test_a_counter_offer_is_bounded(me: FactionView, offer: list[AnyClause], days: int | None) -> None:
    """Two changes at most, of which none asks for what the other has not or promises what one has not."""
    found = evaluate(me, offer, days)
    assert all(isfinite(part.amount) for part in found.parts) and len(found.reasons) <= 3 + len(
        found.forbidden
    )
    assert len(found.changes) <= 2 and len(found.counter) <= MOST_CLAUSES
    for change in found.changes:
        assert change.gain > 0
        if isinstance(change.clause, Pay) and change.clause.to_id == ASH:
            oak, often = me.others[OAK], change.clause.every_days
            times = 1 if often is None else max(1, evaluator.horizon(days) // often)
            later = 0 if often is None else oak.income * evaluator.horizon(days)
            assert change.clause.amount * times <= oak.means + later + 1e-6
        elif isinstance(change.clause, Pay) and change.clause.every_days is None:
            assert change.clause.amount <= me.treasury
