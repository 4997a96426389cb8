"""What interactions do, which tone they have, and who may do what with whom."""

import uuid
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fablewright.core.clock import DAY, MINUTE, SECOND, Calendar
from fablewright.core.refusal import Refused
from fablewright.systems.characters.emotions import OCC, Pad
from fablewright.systems.characters.rules import Traits
from fablewright.systems.dialogue import content, effects, rules
from fablewright.systems.dialogue.effects import TONES, Effects, Tone, TypeDefinition
from fablewright.systems.dialogue.rules import Standing
from fablewright.systems.dialogue.sentiment import sentiment
from fablewright.systems.regions.rules import Where
from fablewright.systems.relationships.rules import Habit, TieState, moved_by

TYPES = content.built_in_types()
LEXICON = content.tones()
PLAIN = Tone("neutral", 0.0, "")
AVERAGE = Traits()
SHARES = st.floats(0, 1)
SIGNED = st.floats(-1, 1)
TRAITS = st.builds(Traits, SHARES, SHARES, SHARES, SHARES, SHARES)
PADS = st.builds(Pad, SIGNED, SIGNED, SIGNED)
TIES = st.builds(
    TieState, strength=SIGNED, trust=SHARES, familiarity=SHARES, resting_strength=SIGNED, resting_trust=SHARES
)
KINDS = st.sampled_from(sorted(TYPES))
TONE = st.builds(Tone, st.sampled_from(sorted(TONES)), SIGNED, st.just(""))


def felt(kind: str, **values: Any) -> effects.Change:
    defaults: dict[str, Any] = {
        "tie": TieState(), "traits": AVERAGE, "other": AVERAGE, "emotion": Pad(), "accepted": True,
        "began": False, "luck": 1.0, "now": 0,
    }  # fmt: skip
    tone = values.pop("tone", PLAIN)
    return effects.felt(kind, TYPES[kind], tone, **{**defaults, **values})


# -- the table -----------------------------------------------------------------------------------------------


def test_the_table_has_the_types_that_the_texts_know() -> None:
    assert set(TYPES) == {
        "greeting", "chat", "collaboration", "conflict", "apology", "gift", "gossip", "confide", "threaten",
        "ask_for_help", "praise", "tease",
    }  # fmt: skip
    assert {name for name, d in TYPES.items() if d.tells} == {"gossip", "confide"}
    assert {name for name, d in TYPES.items() if d.hostile} == {"conflict", "threaten"}


@pytest.mark.parametrize(
    "values",
    [
        {"effects": {"strength": 0.31}},
        {"effects": {"strength": float("nan")}},
        {"feels": {"target": {"bliss": 0.5}}},
        {"feels": {"target": {"joy": 1.5}}},
        {"hostile": True, "refused": {"strength": -0.1}},
        {"deeds": []},
        {"deeds": ["a\x00b"]},
        {"energy": 2},
        {"cooldown_seconds": -1},
        {"unknown": 1},
    ],
)
def test_a_definition_out_of_bounds_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TypeDefinition(**values)


# -- tones ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Thank you for the bread.", "thanks"),
        ("Thanks!", "thanks"),
        ("You fool, you let the goat out.", "insult"),
        ("Where were you last night?", "question"),
        ("I promise I will be there.", "promise"),
        ("I’m sorry about the jug.", "apology"),
        ("You’ll regret that.", "threat"),
        ("Well done, that is fine work.", "praise"),
        ("It rained on the hay.", "neutral"),
        ("The foolish fiddler played on.", "neutral"),
        ("", "neutral"),
    ],
)
def test_a_tone_is_recognised_with_the_reason(text: str, label: str) -> None:
    tone = effects.recognise(text, sentiment(text), LEXICON)
    assert tone.label == label
    assert tone.why


def test_an_insult_among_warm_words_is_banter() -> None:
    text = "You wonderful old fool, I love you, you make me so happy!"
    assert effects.recognise(text, sentiment(text), LEXICON).label != "insult"


def test_sentiment_has_a_direction() -> None:
    kind, hostile = "What a lovely, wonderful gift!", "I hate this horrible, disgusting place."
    assert sentiment(kind) > 0.5 > -0.5 > sentiment(hostile)


@given(st.text(max_size=300), SIGNED)
def test_every_text_has_a_tone(text: str, feeling: float) -> None:
    tone = effects.recognise(text, feeling, LEXICON)
    assert tone.label in TONES
    assert tone.sentiment == feeling


# -- what it does to a tie -----------------------------------------------------------------------------------


@given(KINDS, TONE, TIES, TRAITS, TRAITS, PADS, st.sampled_from([None, True, False]), st.booleans(),
       st.floats(0.75, 1.25))  # fmt: skip
def test_no_change_is_larger_than_the_most(
    kind: str, tone: Tone, tie: TieState, traits: Traits, other: Traits, emotion: Pad, accepted: bool | None,
    began: bool, luck: float,
) -> None:  # fmt: skip
    change = felt(
        kind, tone=tone, tie=tie, traits=traits, other=other, emotion=emotion, accepted=accepted, began=began,
        luck=luck,
    )  # fmt: skip
    assert abs(change.strength) <= effects.MOST_CHANGE
    assert abs(change.trust) <= effects.MOST_CHANGE
    assert 0 <= change.familiarity <= 0.3
    after = moved_by(
        tie,
        0,
        strength=change.strength,
        trust=change.trust,
        familiarity=change.familiarity,
        kind=kind,
        meets=True,
    )
    assert -1 <= after.strength <= 1
    assert 0 <= after.trust <= 1


@given(KINDS, TONE, TRAITS, st.floats(0.75, 1.25))
def test_the_parts_make_up_the_change(kind: str, tone: Tone, traits: Traits, luck: float) -> None:
    change = felt(kind, tone=tone, traits=traits, luck=luck)
    product = change.parts["base"] + change.parts["words"]
    for name, part in change.parts.items():
        product *= part if name.startswith("x ") else 1.0
    assert change.strength == pytest.approx(min(0.3, max(-0.3, product)))


def test_directions() -> None:
    kindness, harm = felt("praise").strength, felt("conflict").strength
    assert kindness > 0 > harm
    # The agreeable warm more to kindness, the neurotic are hurt more.
    assert felt("praise", traits=Traits(agreeableness=0.9)).strength > kindness
    assert felt("conflict", traits=Traits(neuroticism=0.9)).strength < harm
    # Good mood makes kindness count more and harm less.
    assert felt("praise", emotion=Pad(0.8, 0, 0)).strength > kindness
    assert felt("conflict", emotion=Pad(0.8, 0, 0)).strength > harm
    # Warm words help, insults hurt, and neither moves who speaks them.
    assert felt("chat", tone=Tone("neutral", 0.8, "")).strength > felt("chat").strength
    assert felt("chat", tone=Tone("insult", -0.5, "")).strength < 0
    assert felt("chat", tone=Tone("insult", -0.5, ""), began=True) == felt("chat", began=True)
    # A refusal hurts who asked.
    assert (
        felt("ask_for_help", began=True, accepted=False).strength
        < 0
        < felt("ask_for_help", began=True).strength
    )
    # One's own doing moves less.
    assert 0 < felt("praise", began=True).strength < kindness


def test_kindness_between_the_compatible_counts_more() -> None:
    warm, cold = Traits(agreeableness=0.9), Traits(agreeableness=0.1, neuroticism=0.9)
    assert felt("praise", other=warm).strength > felt("praise", other=cold).strength
    assert felt("conflict", other=warm).strength > felt("conflict", other=cold).strength


def test_returns_diminish_with_repetition_and_recover() -> None:
    tie = TieState()
    gains = []
    for _ in range(5):
        change = felt("praise", tie=tie)
        gains.append(change.strength)
        tie = moved_by(tie, 0, strength=change.strength, kind="praise", meets=True)
    assert gains == sorted(gains, reverse=True)
    assert gains[-1] < 0.4 * gains[0]
    assert felt("praise", tie=tie.now(5 * DAY), now=5 * DAY).strength > gains[1]


def test_an_apology_mends_more_between_old_friends() -> None:
    friends = TieState(strength=-0.2, resting_strength=0.6, familiarity=0.8, trust=0.5)
    foes = replace(friends, resting_strength=-0.6)
    assert felt("apology", tie=friends).strength > felt("apology", tie=foes).strength > 0
    chances = [effects.willing(TYPES["apology"], tie, AVERAGE, Pad()) for tie in (foes, friends)]
    assert chances == sorted(chances)


@given(KINDS, TIES, TRAITS, PADS)
def test_willingness_is_a_probability(kind: str, tie: TieState, traits: Traits, emotion: Pad) -> None:
    assert 0 <= effects.willing(TYPES[kind], tie, traits, emotion) <= 1


@given(st.floats(-1, 0.9), TRAITS, PADS)
def test_who_likes_the_other_is_more_willing(strength: float, traits: Traits, emotion: Pad) -> None:
    d = TYPES["ask_for_help"]
    colder = effects.willing(d, TieState(strength=strength), traits, emotion)
    assert effects.willing(d, TieState(strength=strength + 0.1), traits, emotion) > colder


# -- bystanders, emotions, memory ----------------------------------------------------------------------------


@given(KINDS, st.floats(-0.3, 0.3), SIGNED, SIGNED)
def test_bystanders_change_their_minds_a_little(kind: str, harm: float, actor: float, other: float) -> None:
    assert abs(effects.witnessed(TYPES[kind], harm, actor, other)) <= 0.1


def test_balance() -> None:
    quarrel = TYPES["conflict"]
    assert effects.witnessed(quarrel, -0.2, 0.0, 0.8) < 0 < effects.witnessed(quarrel, -0.2, 0.0, -0.8)
    assert effects.witnessed(TYPES["chat"], 0.2, 0.0, 0.8) == 0


@given(SHARES, SIGNED, SHARES)
def test_hearsay_moves_a_little_and_in_its_direction(
    certainty: float, valence: float, importance: float
) -> None:
    change = effects.believed(certainty, valence, importance)
    assert abs(change) <= 0.08
    assert change * valence >= 0


@given(KINDS, TONE, st.booleans(), st.sampled_from([None, True, False]), st.floats(-0.3, 0.3), SHARES)
def test_emotions_stay_in_range(
    kind: str, tone: Tone, began: bool, accepted: bool | None, change: float, fresh: float
) -> None:
    stirred = effects.stirred(TYPES[kind], tone, began=began, accepted=accepted, change=change, fresh=fresh)
    assert set(stirred) <= set(OCC)
    assert all(0 <= intensity <= 1 for intensity in stirred.values())


@given(st.floats(-0.3, 0.3), st.integers(1, 3))
def test_a_degree_is_one_of_the_deeds(change: float, deeds: int) -> None:
    assert 1 <= effects.degree(change, deeds) <= deeds


@given(KINDS, st.floats(-0.3, 0.3), TONE, st.booleans())
def test_importance_is_in_range_and_first_meetings_stay(
    kind: str, change: float, tone: Tone, first: bool
) -> None:
    importance = effects.importance_of(TYPES[kind], change, tone, first=first)
    assert 0 <= importance <= 1
    assert importance <= effects.importance_of(TYPES[kind], change, tone, first=True)


# -- may they? -----------------------------------------------------------------------------------------------

A = Standing(uuid.UUID(int=1), "Orla", "active", 1.0)
B = Standing(uuid.UUID(int=2), "Wat", "active", 1.0)
MILL, INN = uuid.UUID(int=11), uuid.UUID(int=12)
AT_MILL, AT_INN = Where(place_id=MILL), Where(place_id=INN)
WALKING = Where(place_id=MILL, to_id=INN, departed_at=0, arrives_at=5 * MINUTE)
HATED = TieState(strength=-0.9)


def refusal(kind: str, a: Standing | None, b: Standing | None, **ties: TieState) -> Refused | None:
    ids = (A.id, A.id if a is b else B.id)
    values = {"there": TieState(), "back": TieState(), **ties}
    try:
        rules.check(kind, TYPES[kind], a, b, ids, now=10 * SECOND, calendar=Calendar(), **values)
    except Refused as refused:
        return refused
    return None


@pytest.mark.parametrize(
    ("kind", "a", "b", "ties", "code"),
    [
        ("chat", A, B, {}, None),
        ("chat", A, A, {}, "same_character"),
        ("chat", None, B, {}, "character_not_found"),
        ("chat", A, None, {}, "character_not_found"),
        ("chat", replace(A, status="asleep"), B, {}, "asleep"),
        ("chat", A, replace(B, status="asleep"), {}, "asleep"),
        ("chat", A, replace(B, status="away"), {}, "not_present"),
        ("chat", A, replace(B, where=WALKING), {}, "on_the_way"),
        ("chat", replace(A, where=AT_MILL), replace(B, where=AT_INN), {}, "elsewhere"),
        ("chat", replace(A, where=AT_MILL), B, {}, "elsewhere"),
        ("chat", replace(A, where=AT_MILL), replace(B, where=AT_MILL), {}, None),
        ("chat", replace(A, energy=0.009), B, {}, "too_tired"),
        ("chat", A, replace(B, energy=0.0), {}, None),
        ("chat", A, B, {"back": HATED}, "estranged"),
        ("chat", A, B, {"there": HATED}, None),
        ("apology", A, B, {"back": HATED}, None),
        ("conflict", A, B, {"back": HATED}, None),
        ("greeting", A, B, {"there": TieState(habits={"greeting": Habit(0, 1.0)})}, "too_soon"),
        ("greeting", A, B, {"back": TieState(habits={"greeting": Habit(0, 1.0)})}, None),
        ("praise", A, B, {"there": TieState(habits={"greeting": Habit(0, 1.0)})}, None),
        ("chat", A, B, {"there": TieState(habits={"chat": Habit(10 * SECOND, 9.0)})}, None),
    ],
)  # fmt: skip
def test_each_refusal(
    kind: str, a: Standing | None, b: Standing | None, ties: dict[str, TieState], code: str | None
) -> None:
    refused = refusal(kind, a, b, **ties)
    assert (refused.code if refused else None) == code


def test_who_came_too_soon_is_told_when_to_try_again() -> None:
    refused = refusal("greeting", A, B, there=TieState(habits={"greeting": Habit(0, 1.0)}))
    assert refused is not None
    assert refused.facts["retry_at"] == 60 * SECOND
    rules.check(  # at that time it is not refused
        "greeting", TYPES["greeting"], A, B, (A.id, B.id), there=TieState(habits={"greeting": Habit(0, 1.0)}),
        back=TieState(), now=60 * SECOND, calendar=Calendar(),
    )  # fmt: skip


def test_an_unknown_type_is_refused_with_what_there_is() -> None:
    with pytest.raises(Refused, match="chat") as refused:
        rules.definition_of("waltz", TYPES)
    assert refused.value.code == "interaction_type_unknown"


def test_defaults_are_a_mild_type() -> None:
    mild = TypeDefinition(effects=Effects(strength=0.01))
    assert effects.felt(
        "nod", mild, PLAIN, tie=TieState(), traits=AVERAGE, other=AVERAGE, emotion=Pad(), accepted=None,
        began=False, luck=1.0, now=0,
    ).strength == pytest.approx(0.01, rel=0.3)  # fmt: skip
