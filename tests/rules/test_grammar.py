"""The format of texts: what it can say, and that whatever is wrong is refused by name and place."""

# ruff: noqa: E501  tables of texts are easier to read with a row per line

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fablewright.core.dice import Dice
from fablewright.core.refusal import Refused
from fablewright.systems.dialogue.grammar import TYPES, Grammar, build, contracted
from tests.rules.voices import texts

HAILS: Any = {"extras": {"hail": {"warm": ["Ahoy, {name}!"]}}}
TOPIC: Any = {
    "name": "the moon", "words": ["moon"], "say": ["It is full."], "reply": ["So it is."],
    "questions": {"full": {"asked": "whether it was full", "ask": ["Is it full?"], "answers": ["Yes.", "[cold] Look up."]}},
}  # fmt: skip
DEED: Any = {
    "sign": "good",
    "1": ["toasted {whom}"],
    "2": ["drank with {whom}"],
    "3": ["drank all night with {whom}"],
}
OWN: Any = {m: {"shout": ["Ahoy!"]} for m in ("warm", "plain", "cold")}


def said(
    grammar: Grammar, path: tuple[str, ...], tags: set[str], slots: dict[str, str], loose: bool = False
) -> set[str]:
    found = set()
    for number in range(300):
        template = Dice("draw", number).choice(grammar.pool(path, tags))
        found.add(grammar.fill(template, tags, slots, Dice("fill", number), loose))
    return found


def test_a_worlds_texts_are_added_to_the_built_in_ones() -> None:
    path = ("extras", "hail", "warm")
    grammar = build({"own": HAILS}, texts())
    assert len(grammar.pools[path]) == len(texts().pools[path]) + 1
    assert "Ahoy, Ann!" in said(grammar, path, {"warm"}, {"name": "Ann"})
    assert grammar.pools["extras", "hail", "cold"] == texts().pools["extras", "hail", "cold"]


def test_a_file_can_take_the_place_of_what_it_names() -> None:
    own: Any = {"replace": True, "extras": {"hail": {"warm": ["Ahoy!", "Hoy!"]}}}
    grammar = build({"own": own}, texts())
    assert said(grammar, ("extras", "hail", "warm"), {"warm"}, {}) == {"Ahoy!", "Hoy!"}
    assert grammar.pools["extras", "hail", "cold"] == texts().pools["extras", "hail", "cold"]


def test_what_a_world_can_add() -> None:
    own: Any = {
        "topics": {"moon": TOPIC}, "deeds": {"toast": DEED}, "rules": {"moonlit": ["pale", "[night] silver"]},
        "lines": {"answer": {"hail_ship": OWN}, "opening": {"greeting": {"any": {"greet": ["A #moonlit# night. >>moon.full"]}}}},
    }  # fmt: skip
    grammar = build({"own": own}, texts())
    assert grammar.words["moon"] == "moon"
    assert grammar.questions["moon.full"].asked == "whether it was full"
    assert grammar.intents["answer", "hail_ship"] == ("shout",)
    assert grammar.signs["toast"] == "good"
    greetings = ("lines", "opening", "greeting", "cold", "greet")
    last = grammar.pools[greetings][-1]
    assert last.question == "moon.full"
    assert {grammar.fill(last, {"night"}, {}, Dice(n), False) for n in range(50)} == {
        "A pale night.",
        "A silver night.",
    }
    assert {grammar.fill(last, set(), {}, Dice(n), False) for n in range(50)} == {"A pale night."}


@pytest.mark.parametrize(
    ("content", "at", "fault"),
    [
        ([], "", "mapping"),
        ({"verses": {}}, "verses", "not known here"),
        ({"extras": {"hail": {"lukewarm": ["Hm."]}}}, "extras.hail.lukewarm", "not known here"),
        ({"extras": {"hail": {"warm": "Hm."}}}, "extras.hail.warm", "list"),
        ({"extras": {"hail": {"warm": ["Hm.", ""]}}}, "extras.hail.warm.1", "not empty"),
        ({"extras": {"hail": {"warm": ["[night]"]}}}, "extras.hail.warm.0", "nothing to say"),
        ({"extras": {"hail": {"warm": ["Hm, {nmae}."]}}}, "extras.hail.warm.0", "no slot {nmae}"),
        ({"extras": {"hail": {"warm": ["{memory}."]}}}, "extras.hail.warm.0", "no slot {memory}"),
        ({"extras": {"hail": {"warm": ["Hm, {name."]}}}, "extras.hail.warm.0", "left over"),
        ({"extras": {"hail": {"warm": ["Hm #bird."]}}}, "extras.hail.warm.0", "left over"),
        ({"extras": {"hail": {"warm": ["Here at {place}."]}}}, "extras.hail.warm.0", "needs the condition here"),
        ({"extras": {"hail": {"warm": ["So, {topic}."]}}}, "extras.hail.warm.0", "needs the condition topic"),
        ({"extras": {"hail": {"warm": ["[nihgt] Hm."]}}}, "extras.hail.warm.0", "no condition 'nihgt'"),
        ({"extras": {"hail": {"warm": ["[night|nihgt] Hm."]}}}, "extras.hail.warm.0", "no condition 'nihgt'"),
        ({"extras": {"hail": {"warm": ["[!at:] Hm."]}}}, "extras.hail.warm.0", "no condition 'at:'"),
        ({"extras": {"hail": {"warm": ["A #brid#."]}}}, "extras.hail.warm", "no rule #brid#"),
        ({"extras": {"hail": {"warm": ["Hm? >>moon.full"]}}}, "extras.hail.warm", "no question 'moon.full'"),
        ({"rules": {"bird": ["a #Bird#"]}}, "rules.bird", "leads back to itself"),
        ({"rules": {"a_one": ["#b_two#"], "b_two": ["#a_one#"]}}, "rules.a_one", "leads back to itself"),
        ({"rules": {"bird": ["[night] an owl"]}}, "rules.bird", "without conditions"),
        ({"rules": {"Bird": ["an owl"]}}, "rules.Bird", "a-z"),
        ({"topics": {"moon": {"name": "the moon"}}}, "topics.moon", "to `say` and to `reply`"),
        ({"topics": {"moon": {**TOPIC, "suits": ["tides"]}}}, "topics.moon.suits", "no condition 'tides'"),
        ({"topics": {"moon": {**TOPIC, "questions": {"full": {"ask": ["Is it?"]}}}}}, "topics.moon.questions.full", "asked"),
        ({"topics": {"moon": {**TOPIC, "questions": {"full": {"ask": ["Is it?"], "asked": "if", "answers": ["[warm] Yes."]}}}}},
         "topics.moon.questions.full.answers", "plain manner"),
        ({"deeds": {"toast": {**DEED, "sign": "merry"}}}, "deeds.toast.sign", "`even`"),
        ({"deeds": {"toast": {"sign": "good", "1": ["toasted {whom}"]}}}, "deeds.toast", "degrees 1, 2 and 3"),
        ({"deeds": {"toast": {**DEED, "2": ["toasted {name}"]}}}, "deeds.toast.2.0", "no slot {name}"),
        ({"replace": True, "lines": {"answer": {"gift": {"cold": {"accept": ["Hm."]}}}}}, "lines.answer.gift.cold.accept", "too few"),
        ({"lines": {"answer": {"hail_ship": {"warm": {"shout": ["Ahoy!"]}}}}}, "lines.answer.hail_ship.plain.shout", "too few"),
        ({"lines": {"reply": {}}}, "lines.reply", "not known here"),
        ({"because": {"opening": {"gift": {"me_by_nobody_good": ["{Memory}."]}}}}, "because.opening.gift.me_by_nobody_good", "not known"),
        ({"tell": {"me_by_you": ["{Other} did."]}}, "tell.me_by_you.0", "no slot {other}"),
    ],
)  # fmt: skip
def test_refusals(content: Any, at: str, fault: str) -> None:
    with pytest.raises(Refused) as refused:
        build({"own.yaml": content}, texts())
    assert refused.value.code == "grammar_invalid"
    assert (refused.value.facts["file"], refused.value.facts["path"]) == ("own.yaml", at)
    assert fault in refused.value.detail


def test_a_grammar_of_nothing_is_refused() -> None:
    with pytest.raises(Refused) as refused:
        build({})
    assert refused.value.code == "grammar_invalid"


def test_checking_changes_nothing_of_what_is_built_upon() -> None:
    before = dict(texts().pools)
    content = copy.deepcopy(HAILS)
    build({"own": content}, texts())
    assert content == HAILS
    assert dict(texts().pools) == before


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I do not know.", "I don't know."), ("I cannot, and I will not.", "I can't, and I won't."),
        ("It is late. That is all.", "It's late. That's all."), ("So it is.", "So it is."), ("Yes, it is.", "Yes, it is."),
        ("I am if you are.", "I am if you are."), ("You are late, and I am tired.", "You're late, and I'm tired."),
        ("I will come.", "I'll come."), ("He could not have.", "He couldn't have."), ("Not that I mind.", "Not that I mind."),
        ("There is bread, but there is no salt.", "There's bread, but there's no salt."),
    ],
)  # fmt: skip
def test_contractions(text: str, expected: str) -> None:
    assert contracted(text) == expected


@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        grammar = build({"own": {"extras": {"hail": {"warm": [text]}}}}, texts())
    except Refused as refused:
        assert refused.code == "grammar_invalid"
        return
    template = grammar.pools["extras", "hail", "warm"][-1]
    assert not any(mark in grammar.fill(template, set(), {"name": "Ann"}, Dice(1), True) for mark in "{}#")


@pytest.mark.parametrize("kind", TYPES)
def test_every_type_has_words_of_its_own(kind: str) -> None:
    for part in ("opening", "answer"):
        for intent in texts().intents[part, kind]:
            for manner in ("warm", "plain", "cold"):
                assert len(texts().pools["lines", part, kind, manner, intent]) >= 5


def test_no_text_is_written_twice_in_one_place() -> None:
    for path, pool in texts().pools.items():
        written = [template.pieces for template in pool]
        assert len(written) == len({*written}), path
