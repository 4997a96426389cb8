"""Relations between factions: values that decay, opinions with their parts, the status machine, judgements."""

from itertools import pairwise, product
from math import fsum, isclose
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fablewright.core.clock import DAY
from fablewright.core.refusal import Refused
from fablewright.systems.diplomacy.relations import (
    Book,
    Modifier,
    Relation,
    check_move,
    opinion_of,
    opinion_parts,
    ordered,
    trust_moved,
    trust_now,
)
from fablewright.systems.diplomacy.rules import (
    DRIFTING,
    MOST_GRATITUDE,
    MOST_MODIFIERS,
    MOVES,
    STATUSES,
    TRUCE_DAYS,
    WAR_BEGINS,
    WAR_GOES_ON,
    Judge,
    Status,
    closeness,
    drifts_to,
    gratitude,
    judged,
    judged_by_all,
    unrest,
    warmth,
)

A, B = UUID(int=1), UUID(int=2)


def book(relation: Relation | None = None, *modifiers: Modifier, now: int = 0) -> Book:
    """A book of A and B, in which A has these modifiers of its opinion of B."""
    return Book(now, {(A, B): relation or Relation()}, {(A, B): modifiers}, {})


def modifier(amount: float, key: str = "gift", at: int = 0, half_life_days: float | None = 10) -> Modifier:
    return Modifier(UUID(int=9), key, "a gift", amount, at, half_life_days)


# -- values that decay ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "tension"), [(0, 80.0), (60, 40.0), (120, 20.0), (-5, 80.0), (100_000, 0.0)]
)
def test_tension_halves_every_sixty_days(days: int, tension: float) -> None:
    assert Relation(80.0, 0).tension_now(days * DAY) == pytest.approx(tension, abs=1e-9)


@pytest.mark.parametrize(
    ("half_life", "days", "now"), [(10, 10, 20.0), (10, 0, 40.0), (None, 10_000, 40.0), (0.5, 1, 10.0)]
)
def test_a_modifier_fades_by_its_own_half_life(half_life: float | None, days: int, now: float) -> None:
    assert modifier(40, half_life_days=half_life).now(days * DAY) == pytest.approx(now)


@pytest.mark.parametrize(("trust", "days", "now"), [(1.0, 730, 0.75), (0.0, 730, 0.25), (0.5, 9, 0.5)])
def test_trust_drifts_back_to_that_of_strangers(trust: float, days: int, now: float) -> None:
    assert trust_now(trust, 0, days * DAY) == pytest.approx(now)


@pytest.mark.parametrize(
    ("trust", "change", "after"),
    [(0.5, 0.2, 0.6), (0.9, 0.2, 0.92), (0.5, -0.2, 0.3), (0.1, -0.5, 0.0), (1.0, 0.5, 1.0)],
)
def test_trust_is_slow_to_win_and_quick_to_lose(trust: float, change: float, after: float) -> None:
    assert trust_moved(trust, change) == pytest.approx(after)


# -- opinions ------------------------------------------------------------------------------------------------

amounts = st.lists(st.floats(-100, 100), max_size=20)


@given(amounts, st.integers(0, 4_000))
def test_the_parts_of_an_opinion_sum_to_it(given_: list[float], days: int) -> None:
    modifiers = [modifier(amount, f"k{n}", half_life_days=1 + n * 30) for n, amount in enumerate(given_)]
    opinion, parts = opinion_parts(modifiers, days * DAY)
    assert -100 <= opinion <= 100
    assert fsum(part.amount for part in parts) == pytest.approx(opinion, abs=1e-9)
    assert opinion == opinion_of(modifiers, days * DAY)


def test_what_goes_beyond_the_range_is_a_part_of_its_own() -> None:
    opinion, parts = opinion_parts([modifier(80, "a"), modifier(70, "b")], 0)
    assert opinion == 100
    assert [(p.key, p.amount) for p in parts] == [("a", 80), ("b", 70), ("limit", -50)]


def test_parts_read_as_sentences() -> None:
    _, parts = opinion_parts([Modifier(None, "t", "broke the Treaty of Ash", -35, 0)], 0)
    assert parts[0].text() == "−35 broke the Treaty of Ash"


def test_the_same_reason_again_adds_to_what_is_left_within_its_cap() -> None:
    b = book(None, modifier(20), now=10 * DAY)
    assert b.opine(A, B, "gift", 15, "another gift", 10, cap=22) == pytest.approx(12)
    (part,) = b.parts(A, B)
    assert (part.amount, part.reason, part.at) == (22, "another gift", 10 * DAY)
    assert b.opinion(B, A) == 0


def test_a_smaller_cap_takes_nothing_away() -> None:
    b = book(None, modifier(50))
    assert b.opine(A, B, "gift", 10, "one more", cap=20) == 0
    assert b.opinion(A, B) == 50
    assert b.opine(A, B, "gift", -10, "less", cap=20) == -10


def test_the_lightest_reason_makes_room() -> None:
    b = book(None, *(modifier(10 + n, f"k{n}") for n in range(MOST_MODIFIERS)))
    b.opine(A, B, "new", 5, "something new")
    keys = {part.key for part in b.parts(A, B)}
    assert len(keys) <= MOST_MODIFIERS + 1  # the limit may be one
    assert "k0" not in keys
    assert "new" in keys


def test_faded_reasons_are_dropped_when_the_opinion_changes() -> None:
    b = book(None, modifier(20), now=200 * DAY)
    b.opine(A, B, "new", 5, "something new")
    assert [part.key for part in b.parts(A, B)] == ["new"]


def test_a_reason_can_be_dropped() -> None:
    b = book(None, modifier(20))
    assert b.forget(A, B, "gift", "forgotten")
    assert not b.forget(A, B, "gift", "forgotten")
    assert b.opinion(A, B) == 0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(-100, 100), st.integers(0, 300)), max_size=15))
def test_whatever_happens_values_stay_in_range(steps: list[tuple[str, float, int]]) -> None:
    b = book()
    for key, amount, days in steps:
        b.now += days * DAY
        before = b.opinion(A, B)
        change = b.opine(A, B, key, amount, "something")
        assert b.opinion(A, B) == pytest.approx(before + change, abs=0.3)  # what has faded may be dropped
        b.tense(A, B, amount, "something")
        b.trust(A, B, amount / 100, "something")
        b.settle()
        assert -100 <= b.opinion(A, B) <= 100
        assert 0 <= b.tension(A, B) <= 100
        assert 0 <= b.trusted(A, B) <= 1
        assert b.status(A, B) in DRIFTING


# -- status --------------------------------------------------------------------------------------------------

STEPS = [(before, after) for before, after in product(STATUSES, STATUSES) if before != after]


@pytest.mark.parametrize(("before", "after"), STEPS)
def test_every_step_is_legal_or_refused_with_those_that_are(before: Status, after: Status) -> None:
    relation = Relation(status=before, truce_until=5 if before == "truce" else None)
    if after in MOVES[before]:
        check_move(relation, after, 10)
        return
    with pytest.raises(Refused) as refused:
        check_move(relation, after, 10)
    assert refused.value.code == "status_move_illegal"
    assert refused.value.facts == {"from": before, "to": after, "legal": list(MOVES[before])}


def test_what_the_table_of_moves_must_keep() -> None:
    assert set(MOVES) == set(STATUSES)
    assert set(MOVES["war"]) == {"truce"}, "a war ends with a truce only"
    assert "war" not in MOVES["allied"], "allies do not fight before they have parted"
    assert all("truce" not in MOVES[s] for s in STATUSES if s != "war")
    reached: set[Status] = {"neutral"}
    for _ in STATUSES:
        reached |= {after for before in reached for after in MOVES[before]}
    assert reached == set(STATUSES)


@pytest.mark.parametrize("status", ["truce", "hostile", "neutral", "cordial", "friendly"])
def test_no_war_inside_a_truce_whatever_the_status(status: Status) -> None:
    relation = Relation(status=status, truce_until=100)
    with pytest.raises(Refused) as refused:
        check_move(relation, "war", 99)
    assert (refused.value.code, refused.value.facts) == ("truce_holds", {"until": 100})
    check_move(relation, "war", 100)


def test_peace_brings_a_truce_that_holds_half_a_year() -> None:
    b = book(now=DAY)
    assert b.move(A, B, "war", "the ford")
    assert b.move(B, A, "truce", "the peace of the ford")
    assert b.relation(A, B).truce_until == DAY + TRUCE_DAYS * DAY
    refused = b.may_move(A, B, "war")
    assert refused is not None
    assert refused.code == "truce_holds"
    assert b.may_move(A, B, "neutral") is None
    b.move(A, B, "hostile", "bad blood")
    assert b.may_move(A, B, "war") is not None, "the truce holds although the status is another"


def test_a_longer_truce_is_kept_and_a_shorter_one_may_be_agreed() -> None:
    b = book(Relation(status="war"))
    b.move(A, B, "truce", "a ceasefire", truce_days=30)
    assert b.relation(A, B).truce_until == 30 * DAY
    assert not b.move(A, B, "truce", "peace")
    assert b.relation(A, B).truce_until == TRUCE_DAYS * DAY
    b.move(A, B, "truce", "a word", truce_days=1)
    assert b.relation(A, B).truce_until == TRUCE_DAYS * DAY


def test_a_war_ends_what_was_left_of_a_truce() -> None:
    b = book(Relation(status="hostile", truce_until=0), now=10)
    b.move(A, B, "war", "at last")
    assert b.relation(A, B).truce_until is None


@pytest.mark.parametrize(
    ("status", "warm", "after"),
    [
        ("neutral", 0, "neutral"), ("neutral", 24, "neutral"), ("neutral", 25, "cordial"), ("neutral", 55, "friendly"),
        ("cordial", 12, "cordial"), ("cordial", 9, "neutral"), ("cordial", 55, "friendly"), ("cordial", 54, "cordial"),
        ("friendly", 36, "friendly"), ("friendly", 34, "cordial"), ("friendly", 5, "neutral"),
        ("neutral", -39, "neutral"), ("neutral", -40, "hostile"), ("hostile", -21, "hostile"),
        ("hostile", -19, "neutral"), ("hostile", 90, "cordial"),
        ("friendly", -60, "hostile"), ("war", 100, "war"), ("truce", -100, "truce"), ("allied", -100, "allied"),
    ],
)  # fmt: skip
def test_status_follows_the_feelings(status: Status, warm: float, after: Status) -> None:
    assert drifts_to(status, warm) == after


@given(st.sampled_from(sorted(DRIFTING)), st.floats(-150, 100))
def test_status_comes_to_rest(status: Status, warm: float) -> None:
    for _ in range(3):
        there = drifts_to(status, warm)
        assert there == status or there in MOVES[status]
        status = there
    assert drifts_to(status, warm) == status


@given(st.sampled_from(sorted(DRIFTING)), st.lists(st.floats(-150, 100), min_size=2, max_size=5))
def test_warmer_feelings_never_make_a_colder_status(status: Status, warm: list[float]) -> None:
    order = [STATUSES.index(drifts_to(status, w)) for w in sorted(warm)]
    assert all(one <= two for one, two in pairwise(order))


def test_a_book_lets_status_follow_unless_somebody_moved_it() -> None:
    b = book()
    b.opine(A, B, "insult", -90, "an insult")
    b.tense(A, B, 10, "an insult")
    b.settle()
    assert b.status(A, B) == "hostile"
    b = book()
    b.opine(A, B, "insult", -90, "an insult")
    b.move(A, B, "allied", "a wedding")
    b.settle()
    assert b.status(A, B) == "allied"


@pytest.mark.parametrize(("tension", "status"), [(0, "neutral"), (100, "hostile")])
def test_a_truce_that_is_over_leaves_what_they_feel(tension: float, status: Status) -> None:
    b = book(Relation(tension, 0, "truce", 0, 0))
    b.end_truce(A, B)
    assert b.status(A, B) == status


def test_warmth_is_the_mean_of_both_less_half_the_tension() -> None:
    assert warmth(60, 20, 50) == 15


def test_nobody_has_relations_with_itself() -> None:
    assert ordered(B, A) == (A, B)
    with pytest.raises(Refused, match="same_faction"):
        ordered(A, A)
    with pytest.raises(Refused, match="same_faction"):
        book().tense(A, A, 1, "itself")


# -- how others judge ----------------------------------------------------------------------------------------


def test_friends_of_the_victim_mind_most_and_enemies_not_at_all() -> None:
    judges = (Judge(80, "allied", 1.0), Judge(0, "neutral", 1.0), Judge(-100, "war", 1.0))
    friend, stranger, enemy = (judged(judge, 50).opinion for judge in judges)
    assert friend < stranger < enemy == 0
    assert friend == pytest.approx(-50 * (0.3 + 0.6 * 0.9))
    assert stranger == pytest.approx(-15)


def test_who_does_not_know_does_not_judge() -> None:
    unknowing = judged(Judge(80, "allied", 0.0), 50)
    assert (unknowing.opinion, unknowing.trust, unknowing.tension) == (0, 0, 0)


@given(st.floats(-100, 100), st.sampled_from(STATUSES), st.floats(0, 1), st.floats(0, 1), st.floats(0, 100))
def test_judgements_stay_in_range_and_grow_with_certainty(
    opinion: float, status: Status, certainty: float, honourable: float, gravity: float
) -> None:
    some = judged(Judge(opinion, status, certainty, honourable), gravity)
    sure = judged(Judge(opinion, status, 1.0, honourable), gravity)
    assert -100 <= sure.opinion <= some.opinion <= 0
    assert -1 <= sure.trust <= some.trust <= 0
    assert 100 >= sure.tension >= some.tension >= 0
    product_ = 1.0
    for _, factor in some.parts:
        product_ *= factor
    assert some.opinion == pytest.approx(-min(100, gravity * product_))
    assert -1 <= closeness(opinion, status) <= 1


def test_of_several_victims_the_closest_counts() -> None:
    friend, foe = Judge(80, "allied", 1.0), Judge(-80, "war", 1.0)
    assert judged_by_all([foe, friend], 30) == judged(friend, 30) == judged_by_all([friend, foe], 30)
    assert judged(friend, 30).opinion < judged(foe, 30).opinion


@given(st.floats(-100, 100), st.sampled_from(STATUSES), st.floats(0, 1), st.floats(0, 1), st.floats(0, 100))
def test_getting_surer_in_steps_costs_as_much_as_at_once(
    opinion: float, status: Status, first: float, honourable: float, gravity: float
) -> None:
    whole = judged(Judge(opinion, status, 1.0, honourable), gravity)
    steps = [judged(Judge(opinion, status, sure, honourable), gravity) for sure in (first, 1.0 - first)]
    if whole.opinion > -100:
        assert fsum(step.opinion for step in steps) == pytest.approx(whole.opinion, abs=1e-6)
    product = gravity
    for _, factor in whole.parts:
        product *= factor
    assert -whole.opinion == pytest.approx(min(product, 100), abs=1e-9)


def test_the_front_suffers_most_and_who_has_no_war_nothing() -> None:
    mine, front, theirs, third = (UUID(int=n) for n in range(11, 15))
    holders = {mine: A, front: A, theirs: B, third: UUID(int=3)}
    borders = [(mine, front), (theirs, front), (theirs, third)]
    at_war = {A: {B}, B: {A}}
    assert unrest(holders, borders, at_war, WAR_BEGINS) == {
        mine: WAR_BEGINS.home, front: WAR_BEGINS.front, theirs: WAR_BEGINS.front
    }  # fmt: skip
    assert unrest(holders, borders, at_war, WAR_GOES_ON) == {
        front: WAR_GOES_ON.front, theirs: WAR_GOES_ON.front
    }  # fmt: skip
    assert unrest(holders, [], {}, WAR_BEGINS) == {}


# -- gifts ---------------------------------------------------------------------------------------------------


@given(st.floats(0, MOST_GRATITUDE), st.integers(1, 2**53), st.integers(1, 2**53))
def test_gifts_in_pieces_win_what_they_win_at_once(felt: float, one: int, other: int) -> None:
    first = gratitude(felt, one)
    assert 0 <= first <= MOST_GRATITUDE - felt
    pieces = first + gratitude(felt + first, other)
    assert isclose(pieces, gratitude(felt, one + other), abs_tol=1e-9)


def test_who_is_grateful_beyond_measure_is_not_less_so_for_a_gift() -> None:
    assert gratitude(MOST_GRATITUDE + 5, 100) == 0


# -- what is secret ------------------------------------------------------------------------------------------


def test_what_is_secret_stands_apart_from_what_all_see() -> None:
    b = book()
    b.opine(A, B, "open", 10, "a gift")
    b.opine(A, B, "hidden", -30, "a betrayal", secret=True)
    b.trust(A, B, -0.3, "a betrayal", secret=True)
    b.trust(A, B, 0.2, "a promise kept")
    known = b.known(A, B)
    assert (known.opinion, known.opinion_shown) == (-20, 10)
    assert known.trust == pytest.approx(0.2 + 0.2 * 0.8)
    assert known.trust_shown == pytest.approx(0.5 + 0.2 * 0.5)
    assert [(c.key, c.secret) for c in b.feelings[A, B].changes] == [
        ("open", False), ("hidden", True), ("trust", True), ("trust", False),
    ]  # fmt: skip
    shown = [c.amount for c in b.feelings[A, B].changes if c.key == "trust" and not c.secret]
    assert fsum(shown) == pytest.approx(known.trust_shown - 0.5)


def test_a_secret_adds_nothing_to_a_reason_that_all_see() -> None:
    b = book()
    b.opine(A, B, "deed", -10, "a raid")
    b.opine(A, B, "deed", -5, "another, unseen", secret=True)
    assert (b.opinion(A, B), b.known(A, B).opinion_shown) == (-15, -10)
    assert {m.reason for m in b.feelings[A, B].modifiers.values() if not m.secret} == {"a raid"}


def test_what_is_revealed_is_news_to_all_but_the_two() -> None:
    b = book()
    b.opine(A, B, "hidden", -30, "a betrayal", secret=True)
    again = book(None, *b.feelings[A, B].modifiers.values())
    assert again.reveal(A, B, "hidden") and not again.reveal(A, B, "hidden")
    assert again.known(A, B).opinion_shown == again.opinion(A, B) == -30
    (change,) = again.feelings[A, B].changes
    assert (change.amount, change.secret) == (-30, False)


def test_what_makes_room_is_told() -> None:
    b = book(None, *(modifier(1 + n / 100, f"k{n}", half_life_days=None) for n in range(MOST_MODIFIERS)))
    before = b.opinion(A, B)
    b.opine(A, B, "more", 5, "one more")
    assert [c.key for c in b.feelings[A, B].changes] == ["more", "k0"]
    assert fsum(c.amount for c in b.feelings[A, B].changes) == pytest.approx(b.opinion(A, B) - before)
