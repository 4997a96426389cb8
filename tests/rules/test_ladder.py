"""The ladder of incidents: each answer, each way up and down, each refusal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fablewright.core.clock import DAY
from fablewright.core.refusal import Refused
from fablewright.systems.diplomacy import ladder
from fablewright.systems.diplomacy.ladder import ANSWERS, KINDS, LADDER, TOP, Incident

UNIT = st.floats(0, 1)


def incident(**values: object) -> Incident:
    return Incident(**{"kind": "spying", "severity": 0.4, "evidence": 1.0, "answer_by": 10 * DAY, **values})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "severity", "rung", "tension"),
    [
        ("insult", 0.3, "friction", 4.5801),
        ("insult", 1.0, "protest", 12.0),
        ("spying", 1.0, "recall", 25.0),
        ("border_clash", 1.0, "recall", 35.0),
        ("assassination", 1.0, "sanctions", 60.0),
        ("refugee_crisis", 0.0, "friction", 0.0),
    ],
)
def test_where_it_begins(kind: str, severity: float, rung: str, tension: float) -> None:
    step = ladder.occurred(kind, severity, 1.0)
    assert (LADDER[step.rung], step.tension, step.state) == (rung, tension, "open")


def test_hearsay_is_no_reason_for_war() -> None:
    step = ladder.occurred("assassination", 1.0, ladder.HEARSAY)
    assert LADDER[step.rung] == "recall"


@pytest.mark.parametrize(
    ("before", "answer", "amount", "code"),
    [
        (incident(state="settled"), "apology", 0, "incident_closed"),
        (incident(state="faded"), "denial", 0, "incident_closed"),
        (incident(state="answered", answer="denial"), "denial", 0, "answer_illegal"),
        (incident(state="answered", answer="apology"), "denial", 0, "answer_illegal"),
        (incident(state="answered", answer="apology"), "apology", 0, "answer_illegal"),
        (incident(), "apology", 5, "reparation_misplaced"),
        (incident(), "reparation", 0, "reparation_too_small"),
        (incident(rung=3), "reparation", ladder.reparation_due("spying", 0.4), "reparation_too_small"),
    ],
)
def test_answers_refused(before: Incident, answer: str, amount: int, code: str) -> None:
    with pytest.raises(Refused) as refused:
        ladder.answered(before, answer, amount)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("answer", "state", "rung", "eases"),
    [
        ("apology", "answered", 1, True),
        ("reparation", "settled", 0, True),
        ("denial", "answered", 1, False),
        ("retaliation", "answered", 2, False),
    ],
)
def test_what_answers_do(answer: str, state: str, rung: int, eases: bool) -> None:
    step = ladder.answered(incident(rung=1), answer, 10_000 if answer == "reparation" else 0)
    assert (step.state, step.rung, step.tension < 0) == (state, rung, eases)


def test_a_denial_without_evidence_eases() -> None:
    assert ladder.answered(incident(evidence=0.1), "denial").tension < 0
    assert ladder.answered(incident(evidence=0.1), "denial").loss_of_face == 0
    assert ladder.answered(incident(evidence=0.9), "denial").loss_of_face > 0


def test_settling() -> None:
    apologised = incident(state="answered", answer="apology")
    assert ladder.settled(apologised, forgive=False).state == "settled"
    assert ladder.settled(incident(), forgive=True).accused_opinion > 0
    for refused in (incident(), incident(state="answered", answer="denial"),
                    incident(severity=0.8, state="answered", answer="apology")):  # fmt: skip
        with pytest.raises(Refused, match="settlement_illegal"):
            ladder.settled(refused, forgive=False)
    with pytest.raises(Refused, match="incident_closed"):
        ladder.settled(incident(state="settled"), forgive=True)


def test_escalating() -> None:
    with pytest.raises(Refused, match="too_early_to_escalate"):
        ladder.escalated(incident(), 9 * DAY)
    assert ladder.escalated(incident(), 10 * DAY).rung == 1
    assert ladder.escalated(incident(state="answered", answer="denial"), 0).rung == 1
    assert ladder.escalated(incident(state="answered", answer="denial"), 0).loss_of_face == 0
    assert ladder.escalated(incident(state="answered", answer="apology"), 0).loss_of_face > 0
    with pytest.raises(Refused, match="ladder_at_top"):
        ladder.escalated(incident(rung=TOP), 10 * DAY)


def test_only_open_and_high_incidents_are_a_reason_for_war() -> None:
    assert not ladder.casus_belli(incident(rung=2))
    assert ladder.casus_belli(incident(rung=3))
    assert not ladder.casus_belli(incident(rung=3, state="settled"))


@given(st.sampled_from(KINDS), UNIT, UNIT, UNIT)
def test_worse_weighs_more(kind: str, one: float, two: float, evidence: float) -> None:
    low, high = sorted((one, two))
    mild, bad = ladder.occurred(kind, low, evidence), ladder.occurred(kind, high, evidence)
    assert mild.tension <= bad.tension <= 100 and mild.rung <= bad.rung <= TOP
    assert -100 <= bad.injured_opinion <= mild.injured_opinion <= 0
    assert ladder.reparation_due(kind, low) <= ladder.reparation_due(kind, high)


@given(st.data(), st.sampled_from(KINDS), UNIT, UNIT)
def test_any_path_stays_on_the_ladder(
    data: st.DataObject, kind: str, severity: float, evidence: float
) -> None:
    step = ladder.occurred(kind, severity, evidence)
    state = Incident(kind, severity, evidence, step.state, step.rung)
    answer: str | None = None
    for _ in range(data.draw(st.integers(0, 8))):
        move = data.draw(st.sampled_from((*ANSWERS, "settle", "forgive", "escalate")))
        try:
            if move == "escalate":
                step = ladder.escalated(state, 0)
            elif move in ("settle", "forgive"):
                step = ladder.settled(state, forgive=move == "forgive")
            else:
                step = ladder.answered(state, move, 10_000 if move == "reparation" else 0)
                answer = move
        except Refused:
            continue
        assert 0 <= step.rung <= TOP and step.state in ("open", "answered", "settled")
        assert state.state in ("open", "answered"), "nothing leads on from the end"
        assert step.state == "settled" or step.rung >= state.rung
        state = Incident(kind, severity, evidence, step.state, step.rung, answer)
