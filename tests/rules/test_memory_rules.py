"""How memories are weighed, merged, retold, thought over and forgotten."""

import string
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fablewright.core.clock import DAY, HOUR, Calendar
from fablewright.core.dice import Dice, derived_uuid
from fablewright.systems.memory import reflections, service
from fablewright.systems.memory.commands import MemoryValue
from fablewright.systems.memory.rules import (
    CAPACITY,
    FLOOR,
    KEPT_SHARE,
    LEAST_CAPACITY,
    MOST_CAPACITY,
    MOST_CERTAIN_HEARSAY,
    RECENCY_HALF_LIFE_MS,
    MemoryKind,
    MemoryState,
    NewMemory,
    capacity_of,
    corroborated,
    forgettable,
    gathered,
    memory_id,
    merged,
    recency,
    remembered,
    retention,
    score,
)
from fablewright.systems.memory.rumours import LEAST_CERTAIN, certainty_after, coloured, retold

ME, MIRA, BEN, TAM, IDA, ORLA = (derived_uuid("person", n) for n in range(6))
NAMES = {ME: "Me", MIRA: "Mira", BEN: "Ben", TAM: "Tam", IDA: "Ida", ORLA: "Orla"}
SHARES = st.floats(0, 1)
SIGNED = st.floats(-1, 1)
TIMES = st.integers(-(10**13), 10**13)


def new(owner: UUID = ME, *, fact: object = "it", kind: MemoryKind = "saw", **fields: Any) -> NewMemory:
    values: dict[str, Any] = {
        "text": "Mira quarrelled with Ben.", "subject_id": MIRA, "about": (MIRA, BEN), "place_id": None, "at": 0,
        "importance": 0.5, "certainty": 1.0, "valence": -0.5, **fields,
    }  # fmt: skip
    return NewMemory(owner, derived_uuid("fact", fact), kind, **values)


def memory(owner: UUID = ME, **fields: Any) -> MemoryState:
    return remembered(new(owner, **fields))


def told(owner: UUID, *tellers: UUID, certainty: float = 0.5, **fields: Any) -> NewMemory:
    return new(owner, kind="told", tellers=tellers, certainty=certainty, **fields)


# -- recall --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age", "expected"),
    [(0, 1.0), (-HOUR, 1.0), (HOUR, 0.995), (RECENCY_HALF_LIFE_MS, 0.5), (2 * RECENCY_HALF_LIFE_MS, 0.25)],
)
def test_recency(age: int, expected: float) -> None:
    assert recency(0, age) == pytest.approx(expected, abs=2e-5)


@given(at=TIMES, now=TIMES, later=st.integers(0, 10**13))
def test_recency_only_falls_and_stays_in_bounds(at: int, now: int, later: int) -> None:
    assert 0 <= recency(at, now + later) <= recency(at, now) <= 1


@given(importance=SHARES, relevance=SHARES, age=st.integers(0, 10**12))
def test_a_score_is_the_product_of_its_parts(importance: float, relevance: float, age: int) -> None:
    got = score(memory(importance=importance), age, relevance)
    fresh, weighty = FLOOR + (1 - FLOOR) * got.recency, FLOOR + (1 - FLOOR) * importance
    assert got.total == pytest.approx(fresh * weighty * relevance)
    assert 0 <= got.total <= 1 and (got.importance, got.relevance) == (importance, relevance)


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ((0.5, 0, 1.0), (0.5, DAY, 1.0)),
        ((0.6, 0, 1.0), (0.5, 0, 1.0)),
        ((0.5, 0, 1.0), (0.5, 0, 0.9)),
        ((1.0, 30 * DAY, 1.0), (0.1, 30 * DAY, 1.0)),
        ((0.5, 365 * DAY, 1.0), (1.0, 0, 0.0)),
    ],
)
def test_each_part_raises_the_score(
    better: tuple[float, int, float], worse: tuple[float, int, float]
) -> None:
    totals = [score(memory(importance=i), age, relevance).total for i, age, relevance in (better, worse)]
    assert totals[0] > totals[1]


# -- hearing again -------------------------------------------------------------------------------------------


@given(a=SHARES, b=SHARES)
def test_corroboration_is_symmetric_and_bounded(a: float, b: float) -> None:
    both = corroborated(a, b)
    assert both == corroborated(b, a)
    assert max(a, b) <= both <= max(a, b, MOST_CERTAIN_HEARSAY)


def test_an_independent_witness_makes_surer() -> None:
    after = merged(remembered(told(ME, MIRA, certainty=0.5)), told(ME, BEN, certainty=0.4))
    assert after.certainty == pytest.approx(0.7)
    assert after.tellers == (MIRA,) and after.heard_from == (MIRA, BEN)


@pytest.mark.parametrize(
    "again",
    [
        pytest.param((MIRA,), id="the same mouth"),
        pytest.param((TAM, MIRA), id="one more between"),
        pytest.param((MIRA, BEN), id="somebody who has it from there"),
    ],
)
def test_who_shares_a_teller_is_no_other_witness(again: tuple[UUID, ...]) -> None:
    before = remembered(told(ME, TAM, MIRA, certainty=0.5))
    assert merged(before, told(ME, *again, certainty=0.4)).certainty == 0.5
    assert merged(before, told(ME, *again, certainty=0.6)).certainty == 0.6


def test_a_second_hearing_by_the_same_witness_counts_once() -> None:
    state = remembered(told(ME, MIRA, certainty=0.3))
    once = merged(state, told(ME, BEN, certainty=0.3))
    assert merged(merged(once, told(ME, BEN, certainty=0.3)), told(ME, MIRA, certainty=0.3)) == once


def test_the_surer_version_is_believed() -> None:
    before = remembered(told(ME, MIRA, certainty=0.3, text="a lie", truth="the truth"))
    after = merged(before, told(ME, BEN, certainty=0.6, text="the truth"))
    assert (after.text, after.truth, after.tellers) == ("the truth", None, (BEN,))
    assert after.id == before.id


def test_what_one_saw_beats_hearsay_both_ways() -> None:
    hearsay, seen = told(ME, MIRA, text="a lie", truth="x"), new(text="seen")
    for first, second in ((hearsay, seen), (seen, hearsay)):
        after = merged(remembered(first), second)
        assert (after.text, after.tellers, after.certainty, after.truth) == ("seen", (), 1.0, None)


@given(
    chains=st.lists(
        st.tuples(st.lists(st.sampled_from([MIRA, BEN, TAM, IDA, ORLA]), max_size=4, unique=True), SHARES), min_size=1
    )
)  # fmt: skip
def test_merging_keeps_the_laws_of_the_table(chains: list[tuple[list[UUID], float]]) -> None:
    states = [remembered(new(kind="told" if t else "saw", tellers=tuple(t), certainty=c)) for t, c in chains]
    (after,) = gathered(states)
    assert (after.kind == "told") == bool(after.tellers)
    assert max(s.certainty for s in states if bool(s.tellers) == bool(after.tellers)) <= after.certainty <= 1
    assert ME not in after.tellers and len(after.heard_from) == len(set(after.heard_from))
    assert set(after.tellers) <= set(after.heard_from) and after.firsthand == (not after.tellers)


# -- rumours -------------------------------------------------------------------------------------------------


@given(certainty=SHARES, trust=SHARES, more=SHARES)
def test_certainty_never_rises_by_retelling(certainty: float, trust: float, more: float) -> None:
    after = certainty_after(certainty, trust)
    assert 0 <= after <= certainty and (after < certainty or certainty < 1e-300)
    assert certainty_after(certainty, max(trust, more)) >= after


@given(
    trusts=st.lists(SHARES, min_size=1, max_size=20), feelings=st.lists(SIGNED, min_size=20, max_size=20),
    lucks=st.lists(st.floats(0, 1, exclude_max=True), min_size=20, max_size=20), quality=SIGNED,
    degree=st.integers(1, 3),
)  # fmt: skip
def test_a_rumour_wears_out_along_its_chain(
    trusts: list[float], feelings: list[float], lucks: list[float], quality: float, degree: int
) -> None:
    people = [derived_uuid("mouth", n) for n in range(21)]
    claim = {"deed": "conflict", "who": str(MIRA), "whom": str(BEN), "degree": degree, "quality": quality}
    state = memory(people[0], claim=claim, valence=quality, text=words(claim))
    for n, (trust, feeling, luck) in enumerate(zip(trusts, feelings, lucks, strict=False)):
        got = retold(
            state, people[n], people[n + 1], teller_feels_about_subject=feeling, listener_trusts_teller=trust,
            now=n, luck=luck, render=words,
        )  # fmt: skip
        if got is None:
            assert certainty_after(state.certainty, trust) < LEAST_CERTAIN
            return
        assert LEAST_CERTAIN <= got.certainty < state.certainty
        assert got.tellers == tuple(people[: n + 1]) and got.character_id not in got.tellers
        assert got.importance <= state.importance and -1 <= got.valence <= 1
        assert got.fact_id == state.fact_id and got.at == n and got.kind == "told"
        assert got.claim is not None and got.claim["degree"] in (1, 2, 3) and -1 <= got.claim["quality"] <= 1
        assert got.text == words(got.claim)
        accurate = got.claim["degree"] == degree
        assert (got.truth is None) == accurate and ("was" in got.claim) == (not accurate)
        if not accurate:
            assert got.truth is not None and got.truth.startswith(f"{degree} ")
        state = remembered(got)
    assert len(state.tellers) <= 14  # 0.85 to the 15th is below the least certainty


def words(claim: Any) -> str:
    return f"{claim['degree']} {NAMES[UUID(claim['who'])]} {claim['deed']} {NAMES[UUID(claim['whom'])]}"


@pytest.mark.parametrize(
    ("degree", "quality", "feeling", "luck", "expected"),
    [
        pytest.param(2, -0.6, -1.0, 0.0, 3, id="an enemy makes more of harm"),
        pytest.param(2, -0.6, 1.0, 0.0, 1, id="a friend makes less of harm"),
        pytest.param(2, 0.6, 1.0, 0.0, 3, id="a friend makes more of good"),
        pytest.param(2, 0.6, -1.0, 0.0, 1, id="an enemy makes less of good"),
        pytest.param(2, -0.6, -1.0, 0.7, 2, id="not every time"),
        pytest.param(2, -0.6, 0.0, 0.0, 2, id="the indifferent change nothing"),
        pytest.param(2, 0.0, -1.0, 0.0, 2, id="what is neither good nor bad stays"),
        pytest.param(3, -0.6, -1.0, 0.0, 3, id="there is an end to exaggeration"),
        pytest.param(1, -0.6, 1.0, 0.0, 1, id="and to excuses"),
    ],
)
def test_tellers_colour_what_they_tell(
    degree: int, quality: float, feeling: float, luck: float, expected: int
) -> None:
    claim = {"deed": "conflict", "who": str(MIRA), "whom": str(BEN), "degree": degree, "quality": quality}
    assert coloured(claim, feeling, luck)["degree"] == expected


@pytest.mark.parametrize(
    "claim", [{}, {"degree": 2}, {"degree": "2", "quality": 1}, {"quality": None, "degree": 1}]
)
def test_what_is_no_full_claim_stays_as_it_is(claim: dict[str, Any]) -> None:
    assert coloured(claim, -1.0, 0.0) == claim


def test_a_rumour_that_comes_back_to_the_truth_is_true_again() -> None:
    claim = {"deed": "conflict", "who": str(MIRA), "whom": str(BEN), "degree": 2, "quality": -0.6}
    options: dict[str, Any] = {"listener_trusts_teller": 1.0, "now": 1, "luck": 0.0, "render": words}
    wrong = retold(memory(claim=claim), ME, TAM, teller_feels_about_subject=-1, **options)
    assert wrong is not None and (wrong.text, wrong.truth) == ("3 Mira conflict Ben", "2 Mira conflict Ben")
    right = retold(remembered(wrong), TAM, IDA, teller_feels_about_subject=1, **options)
    assert right is not None and (right.text, right.truth) == ("2 Mira conflict Ben", None)


def test_where_words_are_the_same_nothing_was_changed() -> None:
    claim = {"deed": "greeting", "who": str(MIRA), "whom": str(BEN), "degree": 1, "quality": 0.2}
    got = retold(
        memory(claim=claim), ME, TAM, teller_feels_about_subject=1, listener_trusts_teller=1, now=1, luck=0,
        render=lambda c: "Mira greeted Ben.",
    )  # fmt: skip
    assert got is not None and (got.truth, got.claim) == (None, claim)


def test_a_lie_stays_a_lie_however_it_is_told() -> None:
    lie = memory(truth="Mira was never there.")
    got = retold(
        lie, ME, TAM, teller_feels_about_subject=0, listener_trusts_teller=1, now=1, luck=0.5, render=words
    )
    assert got is not None and (got.truth, got.text) == ("Mira was never there.", lie.text)


@pytest.mark.parametrize(
    ("state", "listener"),
    [
        pytest.param(memory(), ME, id="oneself"),
        pytest.param(remembered(told(ME, MIRA)), MIRA, id="who told it"),
        pytest.param(remembered(told(ME, BEN, MIRA)), BEN, id="who told who told it"),
        pytest.param(memory(kind="reflection", evidence=(ME,)), TAM, id="a mere opinion"),
        pytest.param(memory(certainty=0.11), TAM, id="hardly to be believed"),
    ],
)
def test_nothing_comes_of_telling(state: MemoryState, listener: UUID) -> None:
    assert (
        retold(state, ME, listener, teller_feels_about_subject=0, listener_trusts_teller=1, now=1, luck=0.5)
        is None
    )


def test_a_secret_stays_one() -> None:
    got = retold(
        memory(secret=True), ME, TAM, teller_feels_about_subject=0, listener_trusts_teller=1, now=1, luck=0.5
    )
    assert got is not None and got.secret


# -- forgetting ----------------------------------------------------------------------------------------------


@given(importance=SHARES, more=SHARES, at=TIMES, now=TIMES, later=st.integers(0, 10**12))
def test_hold_falls_with_age_and_grows_with_weight(
    importance: float, more: float, at: int, now: int, later: int
) -> None:
    state = memory(importance=importance, at=at)
    assert 0 <= retention(state, now + later) <= retention(state, now) <= 1
    assert retention(replace(state, importance=max(importance, more)), now) >= retention(state, now)


@given(st.lists(st.tuples(SHARES, st.integers(0, 100 * DAY)), max_size=60, unique=True), st.integers(20, 60))
def test_forgetting_keeps_the_weightiest(found: list[tuple[float, int]], capacity: int) -> None:
    states = [memory(fact=n, importance=i, at=at) for n, (i, at) in enumerate(found)]
    gone = forgettable(states, 100 * DAY, capacity)
    kept = [s for s in states if s not in gone]
    if len(states) <= capacity:
        assert not gone
        return
    assert len(kept) == int(capacity * KEPT_SHARE)
    assert min(retention(s, 100 * DAY) for s in kept) >= max(retention(s, 100 * DAY) for s in gone)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, CAPACITY), ({"memory_capacity": 500}, 500), ({"memory_capacity": 1}, LEAST_CAPACITY),
        ({"memory_capacity": 10**9}, MOST_CAPACITY), ({"memory_capacity": "many"}, CAPACITY),
        ({"memory_capacity": True}, CAPACITY), ({"memory_capacity": None}, CAPACITY),
    ],
)  # fmt: skip
def test_capacity(settings: dict[str, Any], expected: int) -> None:
    assert capacity_of(settings) == expected


def test_ids_follow_from_world_owner_and_fact() -> None:
    assert memory_id(ME, MIRA) == memory_id(ME, MIRA)
    assert len({memory_id(ME, MIRA), memory_id(MIRA, ME), memory_id(ME, ME)}) == 3


# -- reflections ---------------------------------------------------------------------------------------------

NOW = 40 * DAY


def deed(
    who: UUID, whom: UUID, kind: str, valence: float, day: float, *, degree: int = 2, importance: float = 0.4
) -> MemoryState:
    claim = {"deed": kind, "who": str(who), "whom": str(whom), "degree": degree, "quality": valence}
    return memory(
        fact=(who, whom, kind, day), kind="did" if who == ME else "saw", claim=claim, valence=valence,
        at=int(day * DAY), importance=importance, subject_id=whom if who == ME else who,
    )  # fmt: skip


def hears(about: UUID, valence: float, day: float, *tellers: UUID, who: UUID | None = None) -> MemoryState:
    claim = {
        "deed": "conflict",
        "who": str(who or about),
        "whom": str(ORLA),
        "degree": 2,
        "quality": valence,
    }
    return remembered(
        told(ME, *tellers, fact=(about, day), claim=claim, valence=valence, at=int(day * DAY), subject_id=about),
    )  # fmt: skip


def chats(other: UUID, *days: float) -> list[MemoryState]:
    return [deed(ME, other, "chat", 0.2, day) for day in days]


CASES: dict[str, list[MemoryState]] = {
    "avoids": [*chats(MIRA, 20, 21, 22), deed(MIRA, ME, "conflict", -0.6, 23)],
    "quarrel": [
        deed(MIRA, ME, "conflict", -0.4, 37),
        *(deed(ME, MIRA, "conflict", -0.4, d) for d in (38, 39)),
    ],
    "threatens": [deed(MIRA, ME, "threaten", -0.9, 39)],
    "wronged": [deed(MIRA, ME, "conflict", -0.6, 39, importance=0.8)],
    "remorse": [deed(ME, MIRA, "conflict", -0.6, d) for d in (38, 39)],
    "mended": [deed(MIRA, ME, "conflict", -0.6, 37), deed(MIRA, ME, "apology", 0.4, 38)],
    "relies": [deed(MIRA, ME, "collaboration", 0.5, d) for d in (36, 37, 38)],
    "dear": chats(MIRA, 30, 31, 32, 33, 34, 35),
    "kind": [deed(MIRA, ME, "praise", 0.6, d) for d in (36, 37, 38)],
    "speaks_ill": [hears(ME, -0.5, 39, MIRA, BEN)],
    "ill_repute": [hears(MIRA, -0.5, 38 + n / 10, mouth) for n, mouth in enumerate((BEN, TAM, IDA))],
    "good_repute": [hears(MIRA, 0.5, 38 + n / 10, mouth) for n, mouth in enumerate((BEN, TAM, IDA))],
    "newsbearer": [hears(BEN, 0.0, 38 + n / 10, MIRA) for n in range(5)],
}


@pytest.mark.parametrize("name", list(CASES))
def test_what_is_concluded(name: str) -> None:
    found = reflections.conclude(CASES[name], ME, NOW)
    (conclusion,) = [c for c in found if c.subject_id == MIRA]
    assert conclusion.name == name
    assert 0 < len(conclusion.evidence) <= reflections.MOST_EVIDENCE
    assert set(conclusion.evidence) <= {m.id for m in CASES[name]}
    assert conclusion.weight > 0 and conclusion.since <= NOW


def test_every_rule_has_a_case() -> None:
    assert set(CASES) == set(reflections.NAMES)


@pytest.mark.parametrize(
    "memories",
    [
        pytest.param([], id="nothing"),
        pytest.param(chats(MIRA, 37, 38, 39), id="some talk"),
        pytest.param([deed(MIRA, ME, "conflict", -0.4, 39)], id="one quarrel"),
        pytest.param(
            [*chats(MIRA, 36, 36.5, 37), deed(MIRA, ME, "conflict", -0.4, 39)], id="not yet avoided"
        ),
        pytest.param([deed(MIRA, BEN, "threaten", -0.9, 39)], id="among others"),
        pytest.param([deed(MIRA, ME, "threaten", -0.9, 39, degree=1)], id="half a threat"),
        pytest.param([hears(ME, -0.5, 39, MIRA)], id="said to one's face"),
        pytest.param([hears(MIRA, -0.5, 38 + n / 10, BEN) for n in range(4)], id="one mouth"),
        pytest.param([memory(), memory(fact=2, kind="knows")], id="no deeds"),
        pytest.param(
            [
                memory(fact=n, claim=c, valence=-1)
                for n, c in enumerate([{}, {"who": str(ME)}, {"who": str(ME), "whom": "x"}])
            ],
            id="claims that are none",
        ),
    ],
)
def test_what_is_not_concluded(memories: Sequence[MemoryState]) -> None:
    assert reflections.conclude(memories, ME, NOW) == []


@given(st.lists(st.sampled_from([m for case in CASES.values() for m in case]), max_size=40))
def test_conclusions_are_one_for_each_person_and_rest_on_what_is_remembered(found: list[MemoryState]) -> None:
    memories = gathered(found)
    drawn = reflections.conclude(memories, ME, NOW)
    assert len({c.subject_id for c in drawn}) == len(drawn)
    assert ME not in {c.subject_id for c in drawn}
    assert [c.weight for c in drawn] == sorted((c.weight for c in drawn), reverse=True)
    assert all(set(c.evidence) <= {m.id for m in memories} for c in drawn)
    assert drawn == reflections.conclude(memories[::-1], ME, NOW)


@pytest.mark.parametrize(
    ("at", "now", "expected"),
    [
        (0, 5 * HOUR, "since this morning"),
        (0, -5 * HOUR, "since this morning"),
        (0, 20 * HOUR, "since yesterday"),
        (0, 3 * DAY, "for three days now"),
        (0, 7 * DAY, "since the 1st of Deepwinter"),
        (2 * DAY, 9 * DAY, "since the 3rd of Deepwinter"),
        (11 * DAY, 20 * DAY, "since the 12th of Deepwinter"),
        (7 * 30 * DAY, 8 * 30 * DAY, "since Harvest"),
        (7 * 30 * DAY, 13 * 30 * DAY, "since last Harvest"),
        (7 * 30 * DAY, 30 * 30 * DAY, "since Harvest of year 1"),
    ],
)
def test_since(at: int, now: int, expected: str) -> None:
    assert reflections.since(Calendar(), at, now) == expected


def test_every_conclusion_can_be_said_in_several_ways() -> None:
    sayings = service.sayings()
    assert set(sayings) == set(reflections.NAMES)
    for name, lines in sayings.items():
        assert len(set(lines)) >= 4, name
        for line in lines:
            fields = {field for _, field, _, _ in string.Formatter().parse(line) if field}
            assert "other" in fields and fields <= {"other", "since", "since_"}, line


def test_a_conclusion_in_words() -> None:
    (conclusion,) = reflections.conclude(CASES["avoids"], ME, NOW)
    said = {
        reflections.worded(conclusion, service.sayings(), "Mira", "since Harvest", Dice(n)) for n in range(60)
    }
    assert "Mira has been avoiding me since Harvest." in said
    assert "Since Harvest, Mira has taken another way whenever I come along." in said
    assert len(said) == len(service.sayings()["avoids"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"deed": "No Deed"}, {"degree": 4}, {"degree": "many"}, {"who": "me"}, {"whom": None}, {"quality": 2},
        {"more": 1},
    ],
)  # fmt: skip
def test_a_claim_that_could_not_be_told_is_refused(wrong: dict[str, Any]) -> None:
    good = {
        "deed": "conflict",
        "who": str(ME),
        "whom": str(MIRA),
        "degree": 2,
        "quality": -0.6,
        "place": "the mill",
    }
    memory = {"fact_id": str(BEN), "kind": "saw", "text": "It was so.", "at": 0}
    assert MemoryValue.model_validate({**memory, "claim": good}).claim
    for claim in ({**good, **wrong}, {name: good[name] for name in good if name != "deed"}):
        with pytest.raises(ValidationError):
            MemoryValue.model_validate({**memory, "claim": claim})
