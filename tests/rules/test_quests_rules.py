"""What a quest may be, and how a course through it goes: by tables and by search."""

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fablewright.core.clock import DAY
from fablewright.core.conditions import FieldTest, compiled
from fablewright.core.refusal import Refused
from fablewright.systems.diplomacy.ladder import HEARSAY
from fablewright.systems.quests import rules, views
from fablewright.systems.quests.commands import EXAMPLE
from fablewright.systems.quests.rules import Catalog, Course, Need, QuestDefinition

ADA, BEN, QUEST = (UUID(int=n) for n in (1, 2, 9))
WON: dict[str, Any] = {"kind": "count", "on": ["game.won"]}


def objective(key: str = "a", **fields: Any) -> dict[str, Any]:
    return {"key": key, "name": key.title(), **fields}


def quest(*objectives: dict[str, Any], **fields: Any) -> QuestDefinition:
    return QuestDefinition.model_validate(
        {"name": "Quest", "objectives": list(objectives) or [objective(measure=WON)], **fields}
    )


FORK = (
    objective("win", measure=WON, goal=2, opens=["tell", "hush"]),
    objective("tell", choice=True, closes=["hush"], opens=["end"]),
    objective("hush", choice=True, closes=["tell"], outcome="hushed"),
    objective("end"),
)
HUSHED = {"hushed": {"points": 5}}


@pytest.mark.parametrize(
    ("objectives", "fields", "said"),
    [
        ([objective(), objective()], {}, "key of its own"),
        ([objective(opens=["x"])], {}, "names the objective 'x'"),
        ([objective(closes=["a"])], {}, "names the objective 'a'"),
        ([objective(outcome="glory")], {}, "no outcome"),
        (
            [objective(), objective("b", opens=["c"]), objective("c", opens=["b"])],
            {},
            "nothing ever opens b, c",
        ),
        ([objective(optional=True)], {}, "must not be optional"),
        ([objective(goal=2)], {}, "belong to what is counted"),
        ([objective(anyone=True)], {}, "belong to what is counted"),
        ([objective(measure=WON, choice=True)], {}, "no choice"),
        ([objective(measure={**WON, "kind": "streak"})], {}, "streaks"),
        ([objective(measure={**WON, "kind": "distinct", "field": "x"}, goal=201)], {}, "200 different"),
        ([objective()], {"outcomes": {"failed": {}}}, "no success"),
        ([objective()], {"outcomes": {"expired": {"points": 3}}}, "no success"),
        ([objective(measure={"kind": "count", "on": ["progress.x"]})], {}, "cannot be measured"),
        ([objective()], {"days": 0}, "greater than 0"),
        ([], {}, "at least 1"),
    ],
)
def test_definitions_that_make_no_sense_are_refused(
    objectives: list[dict[str, Any]], fields: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        QuestDefinition.model_validate({"name": "Quest", "objectives": objectives, **fields})


def test_the_documented_example_is_a_quest() -> None:
    definition = QuestDefinition.model_validate(EXAMPLE)
    assert rules.first(definition) == ["ask"]
    assert rules.reachable(definition) == {"ask", "tell", "hush"}


def test_a_counted_objective_ends_the_quest_at_its_goal() -> None:
    course = Course.fresh(quest(objective(measure=WON, goal=3)), 10)
    for number in (1, 2):
        course.hit("a", 1.0, 10 + number)
        assert (course.outcome, course.stands["a"].current) == (None, number)
    course.hit("a", 1.0, 13)
    assert course.outcome == "done"
    assert [r.key for r in course.reached] == ["a"]
    assert course.stands["a"].reached_at == 13
    course.hit("a", 1.0, 14)
    assert course.stands["a"].current == 3


def test_what_happened_before_an_objective_opened_does_not_count() -> None:
    course = Course.fresh(quest(objective(measure=WON)), 10)
    course.hit("a", 1.0, 9)
    assert course.stands["a"].current == 0
    course.hit("b", 1.0, 11)
    assert course.outcome is None


@pytest.mark.parametrize(
    ("kind", "amounts", "currents"),
    [
        ("sum", [2.0, -1.0, 3.5], [2.0, 1.0, 4.5]),
        ("best", [2.0, 1.0, 3.0, -4.0], [2.0, 2.0, 3.0, 3.0]),
        ("distinct", ['"x"', '"x"', '"y"'], [1.0, 1.0, 2.0]),
        ("count", [1.0, 1.0], [1.0, 2.0]),
    ],
)
def test_each_kind_counts_in_its_own_way(
    kind: str, amounts: list[float | str], currents: list[float]
) -> None:
    field = {} if kind == "count" else {"field": "n"}
    course = Course.fresh(quest(objective(measure={**WON, "kind": kind, **field}, goal=100)), 0)
    found = []
    for amount in amounts:
        course.hit("a", amount, 1)
        found.append(course.stands["a"].current)
    assert found == currents


def test_a_choice_opens_one_way_and_closes_the_other() -> None:
    course = Course.fresh(quest(*FORK, outcomes=HUSHED), 0)
    assert course.open == ["win"]
    course.hit("win", 1.0, 1)
    course.hit("win", 1.0, 2)
    assert (course.open, course.outcome) == (["tell", "hush"], None)
    course.reach("tell", 3)
    assert course.open == ["end"]
    assert course.reached[-1] == rules.Reached("tell", ["end"], ["hush"])
    course.reach("end", 4)
    assert course.outcome == "done"


def test_the_other_choice_ends_it_otherwise() -> None:
    course = Course.fresh(quest(*FORK, outcomes=HUSHED), 0)
    course.reach("win", 1)
    course.reach("hush", 2)
    assert course.outcome == "hushed"
    assert course.stands["tell"].state == "closed"


def test_what_is_ruled_out_before_it_opens_never_opens() -> None:
    definition = quest(
        objective("a", opens=["c"]), objective("b", closes=["c"]), objective("c"), objective("d")
    )
    course = Course.fresh(definition, 0)
    course.reach("b", 1)
    course.reach("a", 2)
    assert (course.stands["c"].state, course.open) == ("closed", ["d"])


def test_optional_objectives_are_not_waited_for() -> None:
    course = Course.fresh(quest(objective("a"), objective("b", optional=True)), 0)
    course.reach("b", 1)
    assert course.outcome is None
    course.reach("a", 2)
    assert course.outcome == "done"


@given(
    st.lists(
        st.tuples(st.sampled_from(["win", "tell", "hush", "end", "other"]), st.floats(-3, 3)), max_size=40
    )
)
def test_a_course_keeps_its_bounds(hits: list[tuple[str, float]]) -> None:
    """Whatever is counted: what is reached stays so, what is over changes no more, something is open till then."""
    course = Course.fresh(quest(*FORK, outcomes=HUSHED), 0)
    done: set[str] = set()
    for key, amount in hits:
        before = dict(course.stands)
        over = course.outcome
        course.hit(key, amount, 1)
        reached = {k for k, stand in course.stands.items() if stand.state == "reached"}
        assert done <= reached
        done = reached
        if over is not None:
            assert (course.stands, course.outcome) == (before, over)
        assert course.open or course.outcome is not None
        assert len({r.key for r in course.reached}) == len(course.reached)


def test_events_find_the_objectives_that_they_count_for() -> None:
    definition = quest(
        objective("own", measure={**WON, "where": [{"field": "hard", "value": True}]}),
        objective("all", measure={"kind": "sum", "on": ["game.*"], "field": "n"}, goal=9, anyone=True),
        objective("other", measure={**WON, "subject": "helper_ids"}),
    )
    catalog = Catalog([(QUEST, definition)])
    assert [c.key for c in catalog.of("game.lost")] == ["all"]
    assert catalog.of("dialogue.interacted") == ()
    hits = [
        c.hit([ADA, BEN], 7, {"hard": True, "n": 4, "helper_ids": [str(BEN)]}) for c in catalog.of("game.won")
    ]
    assert hits == [
        (QUEST, "own", (ADA,), 1.0, 7), (QUEST, "all", None, 4.0, 7), (QUEST, "other", (BEN,), 1.0, 7),
    ]  # fmt: skip
    assert [c.hit([], 7, {"hard": False, "n": "x"}) for c in catalog.of("game.won")] == [None, None, None]
    assert not catalog.for_factions


def test_deadlines() -> None:
    assert rules.due_at(quest(), 5) is None
    assert rules.due_at(quest(days=2), 5) == 5 + 2 * DAY
    assert rules.due_at(quest(days=2, until=7), 5) == 7
    assert rules.due_at(quest(until=DAY), 5) == DAY


def test_outcomes_that_every_quest_has() -> None:
    definition = quest(outcomes={"done": {"points": 3}, "hushed": {}})
    assert rules.outcome_of(definition, "done").points == 3
    assert not rules.outcome_of(definition, "expired").success
    with pytest.raises(Refused) as error:
        rules.outcome_of(definition, "glory")
    assert error.value.code == "outcome_not_found"
    assert error.value.facts["outcomes"] == ["abandoned", "done", "expired", "failed", "hushed"]


def test_what_is_missing_of_what_is_required() -> None:
    needs = [Need(quest="a"), Need(quest="b", outcome="hushed"), Need(quest="c")]
    assert rules.missing(needs, {("a", "done"), ("b", "done")}) == ["b", "c"]
    assert rules.missing(needs, {("a", "x"), ("b", "hushed"), ("c", "done")}) == []


def test_only_texts_may_change_under_somebody() -> None:
    assert rules.same_course(quest(), quest(description="More"))
    assert not rules.same_course(quest(), quest(objective(measure=WON, goal=2)))
    assert not rules.same_course(quest(), quest(outcomes=HUSHED))


@pytest.mark.parametrize("key", sorted(views.templates()))
def test_every_template_makes_a_quest(key: str) -> None:
    template = views.templates()[key]
    facts: dict[str, Any] = {name: str(UUID(int=n)) for n, name in enumerate(sorted(template.needs()), 1)}
    facts["until"] = 99
    definition = template.filled(facts, {name: name.upper() for name in facts})
    assert "$" not in definition.model_dump_json()
    assert "{" not in definition.name + definition.description
    if template.on:
        assert template.needs() <= {*template.facts, "until", "event_id"}
        assert template.between and set(template.between) <= template.needs()
    assert definition.until == 99


@pytest.mark.parametrize(
    "key", [k for k, t in views.templates().items() if "diplomacy.incident_occurred" in t.on]
)
def test_nothing_is_earned_by_words_alone(key: str) -> None:
    """What a faction merely says of another makes no quest, and to let it be brings nothing."""
    template = views.templates()[key]
    holds = compiled(template.where)
    kind = next(test.value for test in template.where if isinstance(test, FieldTest))
    said = {"kind": kind, "by_id": str(UUID(int=1)), "evidence": HEARSAY}
    assert not holds(said)
    assert holds({**said, "evidence": HEARSAY + 0.1})
    assert holds({**said, "by_id": None})
    assert template.definition["outcomes"]["settled"] == {"name": "Settled without help", "success": False}
