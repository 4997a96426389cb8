"""What characters say: it fits the moment, is never stale, and gives nothing away that they do not know."""

import re
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fablewright.core.clock import DAY, HOUR
from fablewright.core.dice import Dice
from fablewright.systems.characters.rules import Speech, Traits
from fablewright.systems.dialogue.grammar import CONDITIONS, FREE, MOODS, PLACES, TYPES
from fablewright.systems.dialogue.moments import (
    Memento,
    Moment,
    Person,
    age_name,
    formal_name,
    is_refusal,
    known_as,
    led_in,
    manner_of,
    tags_of,
)  # fmt: skip
from fablewright.systems.dialogue.voice import GrammarVoice, Line, line_number
from tests.rules.voices import Village, measure, texts

ME, YOU, THIRD, FOURTH = (UUID(int=n) for n in (1, 2, 3, 4))
NAMES = {ME: "Mira Fenn", YOU: "Yorick Dunn", THIRD: "Thessaly Pike", FOURTH: "Fulbert Oates"}
MIRA, YORICK = Person(ME, NAMES[ME]), Person(YOU, NAMES[YOU])
PLAIN = Moment(MIRA, YORICK, "answer", "greeting", names=NAMES)
VOICE = GrammarVoice(texts())


def memento(number: int = 9, **values: Any) -> Memento:
    return Memento(
        UUID(int=100 + number), UUID(int=200 + number), **{"kind": "saw", "text": "It was so.", **values}
    )


def claim(who: UUID, whom: UUID, deed: str = "gift", **values: Any) -> dict[str, Any]:
    return {
        "deed": deed,
        "who": str(who),
        "whom": str(whom),
        "degree": 1,
        "quality": 0.0,
        "topic": None,
        **values,
    }


def lines(moment: Moment, count: int = 60) -> list[Line]:
    return [VOICE.speak(moment, Dice("line", number)) for number in range(count)]


def test_a_feed_of_two_thousand_lines_is_worth_reading() -> None:
    said = Village(seed=1).said(1_000)
    answers = [each for each in said if each[0].part == "answer"]
    feed, answered = measure(said), measure(answers)
    assert feed.lines == 2_000
    assert feed.heard_before == 0
    assert feed.repeats < 0.02, feed
    assert answered.repeats < 0.03, answered
    assert answered.shared > 0.25, answered
    assert feed.words > 1_700, feed
    assert 8 < feed.length < 30, feed


def test_the_texts_have_thousands_of_words() -> None:
    pools = texts().pools.values()
    words = {
        w.casefold()
        for pool in pools
        for t in pool
        for _, piece in t.pieces
        for w in re.findall(r"[\w']+", piece)
    }
    assert sum(len(pool) for pool in pools) > 3_500
    assert len(words) > 2_500


def test_nobody_is_told_the_same_thing_twice_within_fifty_answers() -> None:
    heard: list[int] = []
    terse = replace(MIRA, speech=Speech(verbosity=0.0))
    for number in range(400):
        moment = replace(PLAIN, speaker=terse, strength=-0.8, heard=frozenset(heard[-50:]))
        line = VOICE.speak(moment, Dice(number))
        assert line.number == line_number(line.text)
        assert line.number not in heard[-50:]
        heard.append(line.number)


class Everything:
    """Has been heard, unless it is among the combinations of the last resort."""

    def __init__(self, *said: int):
        self.said = {*said}
        self.asked = 0

    def __contains__(self, number: object) -> bool:
        self.asked += 1
        return self.asked <= 12 or number in self.said


@given(st.integers(), st.sampled_from(TYPES), st.sampled_from(("opening", "answer")), st.booleans())
def test_when_all_that_was_drawn_is_stale_there_is_still_something_new(
    seed: int, kind: str, part: Any, tells: bool
) -> None:
    telling = memento(text="the well is dry") if tells and part == "opening" else None
    moment = replace(PLAIN, type=kind, part=part, telling=telling, heard=Everything())
    first = VOICE.speak(moment, Dice(seed))
    second = VOICE.speak(replace(moment, heard=Everything(first.number)), Dice(seed))
    assert first.number != second.number
    if telling:
        assert "The well is dry." in first.text and "The well is dry." in second.text


@settings(max_examples=150)
@given(
    st.integers(), st.sampled_from(TYPES), st.sampled_from(("opening", "answer")), st.sampled_from(PLACES),
    st.integers(0, 23), st.floats(-1, 1), st.floats(0, 1), st.sampled_from(MOODS), st.none() | st.booleans(),
    st.sampled_from((None, "weather", "the stolen horse")), st.sampled_from((None, "weather.hold", "nothing.known")),
    st.sampled_from((None, "thanks", "insult", "question", "promise", "apology", "threat", "praise", "neutral")),
)  # fmt: skip
def test_there_is_always_something_to_say_and_the_same_dice_say_the_same(
    seed: int, kind: str, part: Any, place: str, hour: int, strength: float, share: float, mood: str,
    accepted: bool | None, topic: str | None, pending: str | None, tone: str | None,
) -> None:  # fmt: skip
    nature = Traits(share, 1 - share, share, 1 - share, share)
    speaker = replace(
        MIRA, mood=mood, traits=nature, pleasure=strength, arousal=-strength, tags=("trade:miller",),
        speech=Speech(share, 1 - share, share, favourite_words=("by my count",)),
    )  # fmt: skip
    moment = replace(
        PLAIN, speaker=speaker, type=kind, part=part, place_kind=place, place_name="The Ford", hour=hour,
        strength=strength, trust=share, familiarity=share, accepted=accepted, topic=topic, pending=pending,
        turns=3 if topic else 0, tone=tone, labels=("friend", "oath_brother"), content="Will it rain?",
    )  # fmt: skip
    line = VOICE.speak(moment, Dice(seed))
    assert line == VOICE.speak(moment, Dice(seed))
    assert line.text and not re.search(r"[{}#\[\]]|>>|  |\.\.(?!\.)", line.text), line.text
    assert line.text[0].upper() == line.text[0]
    assert not line.mentions
    assert line.pending is None or line.pending in texts().questions
    unknown = [t for t in tags_of(moment, line.manner) if t not in CONDITIONS and not t.startswith(FREE)]
    assert not unknown


def test_a_rival_is_greeted_unlike_a_friend() -> None:
    friend = replace(PLAIN, strength=0.8, trust=0.9, familiarity=0.9, labels=("friend",))
    rival = replace(PLAIN, strength=-0.7, trust=0.1, familiarity=0.9, labels=("rival",))
    assert {line.manner for line in lines(friend)} == {"warm"}
    assert {line.manner for line in lines(rival)} == {"cold"}
    assert not {line.text for line in lines(friend)} & {line.text for line in lines(rival)}


@pytest.mark.parametrize(
    ("warmer", "colder"),
    [
        ({"strength": 0.5}, {"strength": -0.5}),
        ({"trust": 1.0, "strength": 0.2}, {"trust": 0.0, "strength": 0.2}),
        ({"accepted": True, "strength": 0.1}, {"accepted": False, "strength": -0.1}),
        ({"tone": "praise"}, {"tone": "insult"}),
        ({"type": "gift"}, {"type": "threaten"}),
        ({"speaker": replace(MIRA, pleasure=0.9)}, {"speaker": replace(MIRA, pleasure=-0.9)}),
        (
            {"speaker": replace(MIRA, traits=Traits(agreeableness=1.0))},
            {"speaker": replace(MIRA, traits=Traits(agreeableness=0.0))},
        ),
    ],
)  # fmt: skip
def test_manner(warmer: dict[str, Any], colder: dict[str, Any]) -> None:
    order = ("cold", "plain", "warm")
    for luck in (-0.12, 0.0, 0.12):
        high = order.index(manner_of(replace(PLAIN, **warmer), luck))
        low = order.index(manner_of(replace(PLAIN, **colder), luck))
        assert high >= low
    assert manner_of(replace(PLAIN, **warmer), 0.0) != manner_of(replace(PLAIN, **colder), 0.0)


@pytest.mark.parametrize(
    ("who", "whom", "expected"),
    [
        (ME, YOU, "I brought you a gift"), (YOU, ME, "you brought me a gift"),
        (ME, THIRD, "I brought Thessaly a gift"), (THIRD, ME, "Thessaly brought me a gift"),
        (THIRD, YOU, "Thessaly brought you a gift"), (YOU, THIRD, "you brought Thessaly a gift"),
        (THIRD, FOURTH, "Thessaly brought Fulbert a gift"),
    ],
)  # fmt: skip
def test_memories_are_told_from_where_one_stands(who: UUID, whom: UUID, expected: str) -> None:
    told = memento(claim=claim(who, whom), about=(who, whom), subject_id=who)
    said = lines(replace(PLAIN, part="opening", type="gossip", telling=told), 80)
    assert any(expected.casefold() in line.text.casefold() for line in said)
    assert all(line.mentions == (told.memory_id,) for line in said)
    assert all(line.shared == (YOU in (who, whom)) for line in said)


def test_a_refusal_and_a_place_are_part_of_what_happened() -> None:
    told = memento(claim=claim(THIRD, FOURTH, accepted=False, place="The Ford"), about=(THIRD, FOURTH))
    said = [line.text for line in lines(replace(PLAIN, part="opening", type="gossip", telling=told))]
    assert all(re.search("carry it home|tried to give", text) for text in said)
    assert any("at the Ford" in text for text in said)
    assert not is_refusal(texts(), claim(THIRD, FOURTH, "chat", accepted=False))


def test_who_told_it_is_named_and_how_sure_it_is_shows() -> None:
    told = memento(kind="told", tellers=(FOURTH,), claim=claim(THIRD, UUID(int=5)), certainty=0.2)
    moment = replace(
        PLAIN, part="opening", type="gossip", telling=told, names={**NAMES, UUID(int=5): "Ada Lunn"}
    )
    said = [line.text for line in lines(moment)]
    assert all("Fulbert" in text for text in said)
    assert any("I would not swear to it" in text for text in said)


@pytest.mark.parametrize("text", ["the steward takes silver", "The steward takes silver."])
def test_free_texts_are_told_as_they_are(text: str) -> None:
    for subject in (THIRD, ME, YOU, None):
        about = (subject,) if subject else ()
        told = memento(kind="knows", text=text, secret=True, subject_id=subject, about=about)
        for line in lines(replace(PLAIN, part="opening", type="confide", telling=told), 20):
            assert "The steward takes silver." in line.text
            assert line.mentions == (told.memory_id,)


def test_secrets_are_not_for_passing_conversation() -> None:
    secret = memento(text="The moon is a lantern.", secret=True, about=(YOU,))
    for kind in TYPES:
        for line in lines(replace(PLAIN, type=kind, strength=0.5, memories=[secret]), 20):
            assert "lantern" not in line.text or not line.mentions
            assert not line.mentions


def test_nothing_is_said_of_people_whose_names_are_not_known() -> None:
    strange = memento(claim=claim(UUID(int=77), YOU), about=(UUID(int=77), YOU))
    assert all(not line.mentions for line in lines(replace(PLAIN, memories=[strange]), 100))
    told = lines(
        replace(PLAIN, part="opening", type="gossip", telling=replace(strange, text="somebody came")), 5
    )
    assert all("Somebody came." in line.text and line.mentions for line in told)


def test_third_persons_are_named_only_from_memories_that_are_listed() -> None:
    others = {each.name.split()[0] for each in Village().people}
    for moment, line in Village(seed=3).said(300):
        present = {known_as(p.name) for p in (moment.speaker, moment.listener)}
        by_id = {m.memory_id: m for m in (*moment.memories, *([moment.telling] if moment.telling else []))}
        assert {*line.mentions} <= by_id.keys()
        allowed = set(present)
        for m in (by_id[i] for i in line.mentions):
            allowed |= {known_as(moment.names[i]) for i in (*m.about, *m.tellers) if i in moment.names}
        named = others & {*re.findall(r"\w+", line.text)}
        assert named <= allowed, (named - allowed, line.text)


def test_what_is_shared_comes_up_again() -> None:
    mine = [
        memento(n, claim=claim(YOU, ME, deed), about=(YOU, ME))
        for n, deed in enumerate(("gift", "collaboration"))
    ]
    said = lines(replace(PLAIN, strength=0.6, familiarity=0.8, memories=mine), 200)
    assert sum(bool(line.mentions) for line in said) > 50
    assert all(line.shared for line in said if line.mentions)


def test_an_apology_says_what_it_is_for() -> None:
    quarrel = memento(claim=claim(ME, YOU, "conflict"), about=(ME, YOU), age_ms=DAY)
    said = lines(replace(PLAIN, part="opening", type="apology", memories=[quarrel]), 100)
    meant = [line for line in said if line.intent == "because"]
    assert len(meant) > 30
    assert all(re.search("I (had words|quarrelled|fell out|crossed)", line.text) for line in meant)


def test_a_question_gets_its_answer_and_a_topic_is_held() -> None:
    asked = replace(PLAIN, type="chat", topic="weather", pending="weather.hold")
    for line in lines(asked, 30):
        assert (line.topic, line.intent in ("answer", "dodge")) == ("weather", True)
        assert line.shared
    later = replace(asked, part="opening", turns=1)
    assert any("whether the weather would hold" in line.text for line in lines(later))
    held = [
        line.topic for line in lines(replace(PLAIN, part="opening", type="chat", topic="love", turns=1), 50)
    ]
    assert {*held} == {"love"}
    tired = [
        line.topic for line in lines(replace(PLAIN, part="opening", type="chat", topic="love", turns=9), 50)
    ]
    assert tired.count("love") < 10


def test_a_topic_is_recognised_in_what_a_player_says() -> None:
    said = lines(replace(PLAIN, type="chat", content="They have seen ghosts by the mill."), 30)
    assert {line.topic for line in said} == {"dead"}


@pytest.mark.parametrize(("accepted", "out"), [(True, "decline"), (False, "accept")])
@pytest.mark.parametrize("kind", ["apology", "gift", "ask_for_help", "collaboration"])
def test_words_go_with_the_decision(kind: str, accepted: bool, out: str) -> None:
    assert out not in {line.intent for line in lines(replace(PLAIN, type=kind, accepted=accepted))}


def test_news_that_is_known_is_recognised_and_ones_own_name_too() -> None:
    known = memento(text="It is so.", subject_id=THIRD, about=(THIRD,))
    old = lines(
        replace(PLAIN, type="gossip", telling=known, memories=[replace(known, memory_id=UUID(int=5))]), 80
    )
    heard = [line for line in old if line.intent == "known"]
    assert len(heard) > 30
    assert all(line.mentions[:1] == (UUID(int=5),) for line in heard)
    mine = replace(known, about=(ME,))
    assert {line.intent for line in lines(replace(PLAIN, type="gossip", telling=mine))} == {"about_me"}
    good = memento(claim=claim(THIRD, FOURTH), about=(THIRD, FOURTH))
    assert "defend" not in {line.intent for line in lines(replace(PLAIN, type="gossip", telling=good))}


def test_style() -> None:
    loose = replace(MIRA, speech=Speech(formality=0.0, favourite_words=("by my count",)))
    stiff = replace(MIRA, speech=Speech(formality=1.0))
    casual = " ".join(line.text for line in lines(replace(PLAIN, speaker=loose), 300))
    formal = " ".join(line.text for line in lines(replace(PLAIN, speaker=stiff), 300))
    assert casual.count("n't") > 10 and "n't " not in formal
    assert 20 < casual.casefold().count("by my count") < 120
    assert "Yorick Dunn" in formal and "Yorick Dunn" not in casual.replace("Yorick Dunn.", "")
    talks = {v: sum(len(line.text) for line in lines(replace(PLAIN, speaker=replace(MIRA, speech=Speech(verbosity=v)))))
             for v in (0.0, 1.0)}  # fmt: skip
    assert talks[1.0] > 1.4 * talks[0.0]


@pytest.mark.parametrize("taboo", ["good", "day", "you", "Yorick", "I", "the"])
def test_taboos_are_not_spoken(taboo: str) -> None:
    shy = replace(MIRA, speech=Speech(taboos=(taboo, "  ")))
    for line in lines(replace(PLAIN, speaker=shy), 60):
        assert not re.search(rf"\b{taboo}\b", line.text, re.IGNORECASE), line.text


@pytest.mark.parametrize(
    ("name", "known", "formal"),
    [
        ("Tamsin Holloway", "Tamsin", "Tamsin Holloway"), ("Wat", "Wat", "Wat"),
        ("Father Anselm Grey", "Father Anselm", "Father Anselm"), ("Mira of the Ford", "Mira", "Mira"),
        ("The Grey Piper", "The Grey Piper", "The Grey Piper"), ("Character 12", "Character 12", "Character 12"),
        ("Old Hob", "Old Hob", "Old Hob"), ("J. Valjean", "J. Valjean", "J. Valjean"),
    ],
)  # fmt: skip
def test_names(name: str, known: str, formal: str) -> None:
    assert (known_as(name), formal_name(name)) == (known, formal)


@pytest.mark.parametrize(
    ("age", "hour", "expected"),
    [
        (0, 12, "now"), (-5, 12, "now"), (HOUR, 12, "today"), (11 * HOUR, 12, "today"), (13 * HOUR, 12, "yesterday"),
        (2 * HOUR, 1, "yesterday"), (3 * DAY, 12, "days"), (8 * DAY, 12, "week"), (30 * DAY, 12, "month"),
        (200 * DAY, 12, "months"), (2000 * DAY, 12, "years"),
    ],
)  # fmt: skip
def test_ages(age: int, hour: int, expected: str) -> None:
    assert age_name(age, hour) == expected


def test_a_favourite_word_leads_in_only_where_it_can() -> None:
    assert led_in("mark me", "You will see.") == "Mark me, you will see."
    assert led_in("mark me", "I know.") == "Mark me, I know."
    assert led_in("mark me", "Yorick! Come in.") == "Yorick! Come in."
    assert led_in("mark me", '"So."') == '"So."'
