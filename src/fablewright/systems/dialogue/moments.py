"""What a moment means for who speaks in it, and memories put into words. Pure.

`Moment` and its parts are all that a voice gets to know (`voice.py`); they live here with what follows from them
before any words are found: the manner, the conditions that texts may depend on, what everybody is called, and the
recollections that can be spoken of.
"""

import re
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, Literal
from uuid import UUID

from fablewright.core.clock import DAY, HOUR
from fablewright.core.dice import Dice
from fablewright.systems.characters.rules import Speech, Traits
from fablewright.systems.dialogue.grammar import AGES, LABELS, Grammar, Manner

Part = Literal["opening", "answer"]

_MAKES_COLDER: Final[Mapping[str, float]] = {
    "insult": -0.4, "threat": -0.5, "thanks": 0.1, "praise": 0.12, "apology": 0.05, "promise": 0.05,
}  # fmt: skip
_TYPE_BENDS: Final[Mapping[str, float]] = {
    "conflict": -0.35, "threaten": -0.5, "gift": 0.15, "praise": 0.2, "confide": 0.1, "tease": -0.05,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Memento:
    """A memory as a voice needs it; `about` and `tellers` are ids, `age_ms` world time since it happened.

    `place_name` is where it happened, if known.
    """

    memory_id: UUID
    fact_id: UUID
    kind: str
    text: str
    subject_id: UUID | None = None
    about: tuple[UUID, ...] = ()
    tellers: tuple[UUID, ...] = ()
    certainty: float = 1.0
    importance: float = 0.5
    valence: float = 0.0
    age_ms: int = 0
    claim: Mapping[str, Any] | None = None
    secret: bool = False
    place_name: str | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """Who speaks or listens: traits 0..1, mood a label with its PAD values (-1..1)."""

    id: UUID
    name: str
    traits: Traits = field(default_factory=Traits)
    mood: str = "neutral"
    pleasure: float = 0.0
    arousal: float = 0.0
    dominance: float = 0.0
    speech: Speech = field(default_factory=Speech)
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Moment:
    """Everything that who speaks may know.

    `tone` and `sentiment` (-1..1) are of what was said to the speaker, as is `content`; `accepted` whether the
    speaker agrees to it, where that is the question. `strength` -1..1, `trust` and `familiarity` 0..1 and `labels` are
    what the speaker feels about the listener, and what the listener is to it. `hour` is 0..23. `topic` has been held
    for `turns` turns, `pending` is a question (`Line.pending`) of the listener's that waits for an answer. `memories`
    are the speaker's, best first. `telling` must be told in an opening; in an answer it is what was just told.
    `names` are those of whoever appears in the memories; `heard` are numbers of lines that the listener has heard.
    """

    speaker: Person
    listener: Person
    part: Part
    type: str
    tone: str | None = None
    sentiment: float = 0.0
    accepted: bool | None = None
    strength: float = 0.0
    trust: float = 0.5
    familiarity: float = 0.0
    labels: tuple[str, ...] = ()
    place_name: str | None = None
    place_kind: str | None = None
    place_tags: tuple[str, ...] = ()
    hour: int = 12
    topic: str | None = None
    turns: int = 0
    pending: str | None = None
    memories: Sequence[Memento] = ()
    telling: Memento | None = None
    names: Mapping[UUID, str] = field(default_factory=dict)
    heard: Container[int] = ()
    content: str | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """What is said, what is meant by it (`intent`), and how.

    `topic` is what it is about, None if about nothing that goes on; `pending` the question it ends in; `mentions` the
    memories that it speaks of; `shared` whether it refers to what both share: a memory, a topic held, the place.
    """

    text: str
    intent: str
    manner: Manner
    topic: str | None
    pending: str | None
    mentions: tuple[UUID, ...]
    shared: bool
    number: int


@dataclass(frozen=True, slots=True)
class Recollection:
    """A memento that can be put into words: how it stands to the two, and what gives the slots that it fills.

    `slots` is called when the memento comes up, since most of what one remembers does not.
    """

    memento: Memento
    turn: str
    good: bool | None
    shared: bool
    tags: frozenset[str]
    slots: Callable[[], Mapping[str, str]]


_TITLES: Final = frozenset(
    re.findall(
        r"\w+",
        """sir lady lord father mother brother sister master mistress captain doctor dame old young aunt uncle widow
        king queen prince princess duke count baron countess abbot bishop judge mayor monsieur madame mademoiselle
        mr mrs miss mme mlle m dr saint st big little long black red white blind grey gray goodman goodwife the""",
    )
)


@lru_cache(maxsize=65_536)
def known_as(name: str) -> str:
    """What somebody is called among people who know each other: the first name, with a title that goes before it."""
    words = name.split()
    if len(words) < 2 or any(character.isdigit() for character in name):
        return name
    if words[0].casefold().rstrip(".") in _TITLES:
        return name if words[0].casefold() == "the" else " ".join(words[:2])
    return words[0] if len(words[0]) > 1 and words[0].isalpha() else name


def formal_name(name: str) -> str:
    """What somebody is called with due distance: the full name, if it is short and plain, else as known."""
    words = name.split()
    plain = len(words) <= 2 and all(word[:1].isupper() for word in words)
    return name if plain and len(name) <= 24 else known_as(name)


def age_name(age_ms: int, hour: int) -> str:
    """Which age word fits something `age_ms` ago, if it is `hour` o'clock now."""
    hours = max(0, age_ms) / HOUR
    if hours < 0.5:
        return "now"
    days = max(0, age_ms - hour * HOUR) / DAY
    for name, most in zip(AGES[1:], (0.0, 1.0, 4.5, 10.0, 45.0, 400.0), strict=False):
        if days <= most:
            return name
    return "years"


def manner_of(moment: Moment, luck: float) -> Manner:
    """How somebody talks now, from what it feels about the other, its nature, mood, and what was said.

    strength + 0.4 x (trust - 0.5) + 0.6 x (agreeableness - 0.5) + 0.35 x pleasure + what the type, the tone and the
    sentiment add + `luck` (the mood of the moment). Above 0.25 it is warm, below -0.2 cold. Who agrees is a step
    friendlier, who refuses a step less so. Our own, tuned for play.
    """
    who = moment.speaker
    value = moment.strength + 0.4 * (moment.trust - 0.5) + 0.6 * (who.traits.agreeableness - 0.5)
    value += 0.35 * who.pleasure + _TYPE_BENDS.get(moment.type, 0.0) + luck
    if moment.part == "answer":
        value += _MAKES_COLDER.get(moment.tone or "", 0.0) + 0.15 * moment.sentiment
    if moment.accepted is not None:
        value += 0.2 if moment.accepted else -0.2
    if value > 0.25:
        return "warm"
    return "cold" if value < -0.2 else "plain"


def tags_of(moment: Moment, manner: Manner) -> frozenset[str]:
    """The conditions of texts that hold at this moment."""
    m, who = moment, moment.speaker
    tags = {manner, m.part, f"type:{m.type}", *_hour_tags(m.hour), *_tie_tags(m), *_nature_tags(who)}
    tags.add(who.mood)
    tags.update(tag if tag in LABELS else f"is:{tag}" for tag in m.labels)
    tags.update(f"is:{tag}" for tag in m.labels)
    tags.update(f"tag:{tag.rpartition(':')[2]}" for tag in who.tags)
    if m.place_kind:
        tags.update((m.place_kind, f"at:{m.place_kind}"))
    tags.update(f"at:{tag}" for tag in m.place_tags)
    tags.add("here" if m.place_name else "nowhere")
    if m.topic:
        tags.update(("topic", f"topic:{m.topic}"))
    if m.tone:
        tags.add(f"said:{m.tone}")
    if m.accepted is not None:
        tags.add("yes" if m.accepted else "no")
    if m.turns >= 2:
        tags.add("again")
    if m.turns >= 4:
        tags.add("long")
    return frozenset(tags)


def _hour_tags(hour: int) -> tuple[str, ...]:
    names = ((5, "night"), (11, "morning"), (14, "noon"), (18, "afternoon"), (22, "evening"), (24, "night"))
    name = next(name for until, name in names if hour % 24 < until)
    return (name, "dark") if hour < 6 or hour >= 20 else (name,)


def _banded(value: float, low: tuple[float, str], high: tuple[float, str]) -> list[str]:
    return [low[1]] if value < low[0] else [high[1]] if value > high[0] else []


def _tie_tags(m: Moment) -> list[str]:
    tags = _banded(m.trust, (0.35, "distrusted"), (0.65, "trusted"))
    tags += _banded(m.strength, (-0.15, "disliked"), (0.15, "liked"))
    tags += _banded(m.strength, (-0.5, "hated"), (0.55, "loved"))
    tags += ["stranger"] if m.familiarity < 0.1 else ["familiar"] if m.familiarity > 0.6 else ["known"]
    return tags


def _nature_tags(who: Person) -> list[str]:
    traits, speech = who.traits, who.speech
    tags = _banded(traits.openness, (0.3, "closed"), (0.7, "open"))
    tags += _banded(traits.conscientiousness, (0.3, "careless"), (0.7, "dutiful"))
    tags += _banded(traits.extraversion, (0.3, "shy"), (0.7, "outgoing"))
    tags += _banded(traits.agreeableness, (0.3, "hard"), (0.7, "kind"))
    tags += _banded(traits.neuroticism, (0.3, "steady"), (0.7, "nervous"))
    tags += _banded(speech.formality, (0.4, "loose"), (0.65, "formal"))
    tags += _banded(speech.humour, (0.3, "earnest"), (0.6, "wry"))
    tags += _banded(speech.verbosity, (0.3, "laconic"), (0.65, "talkative"))
    tags += _banded(who.pleasure, (-0.25, "low"), (0.25, "glad"))
    tags += _banded(who.arousal, (-0.25, "calm"), (0.25, "stirred"))
    return [*tags, "favourite"] if speech.favourite_words else tags


def contains(words: Sequence[str]) -> re.Pattern[str] | None:
    """A pattern that finds any of these words in a text, None if there are none."""
    return _contains(tuple(word.strip() for word in words if word.strip()))


@lru_cache(maxsize=4_096)
def _contains(words: tuple[str, ...]) -> re.Pattern[str] | None:
    if not words:
        return None
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, words))})(?!\w)", re.IGNORECASE)


def recollect(
    grammar: Grammar, moment: Moment, memento: Memento, dice: Dice, loose: bool
) -> Recollection | None:
    """What can be said of a memento to the listener, or None if it names somebody whose name is not known."""
    me, you = moment.speaker.id, moment.listener.id
    claim = memento.claim
    tags = _memory_tags(memento)
    teller = memento.tellers[-1] if memento.tellers else None
    teller_known = teller is not None and teller in moment.names

    def slots(**more: str) -> Mapping[str, str]:
        age = dice.choice(grammar.pools["ages", age_name(memento.age_ms, moment.hour)])
        who = {"teller": known_as(moment.names[teller])} if teller is not None and teller_known else {}
        return {"age": grammar.fill(age, frozenset(), {}, dice, loose), **who, **more}

    if claim is None or str(claim.get("deed")) not in grammar.signs:
        shared = you in memento.about and memento.kind != "reflection"
        return Recollection(
            memento,
            _text_turn(memento, me, you, teller_known),
            memento.valence >= 0,
            shared,
            tags,
            lambda: slots(text=_sentence(memento.text)),
        )
    who, whom, deed = UUID(str(claim["who"])), UUID(str(claim["whom"])), str(claim["deed"])
    sides = {me: "me", you: "you"}
    if any(i not in sides and i not in moment.names for i in (who, whom)) or who == whom:
        return None
    refused = is_refusal(grammar, claim)
    quality = float(claim.get("quality") or 0.0)
    good = None if grammar.signs[deed] == "even" or refused else grammar.signs[deed] == "good"
    if good is not None and abs(quality) >= 0.05:
        good = quality > 0
    third = next((i for i in (who, whom) if i not in sides), None)
    other = known_as(moment.names[third]) if third is not None else ""
    turn = f"{sides.get(whom, 'third')}_by_{sides.get(who, 'third')}"
    if you == teller and you not in (who, whom):
        turn = "from_you"
    elif teller is not None and me not in (who, whom):
        turn = "told" if teller_known else "hearsay"
    elif refused:
        turn = "refused"
    if good is not None:
        tags |= {"good" if good else "bad"}
    tags |= {f"deed:{deed}"}
    return Recollection(
        memento, turn, good, you in (who, whom, teller), tags,
        lambda: slots(other=other, memory=_clause(grammar, moment, memento, claim, dice, loose)),
    )  # fmt: skip


def verbatim(memento: Memento) -> Recollection:
    """A memento in the words that it is remembered in."""
    return Recollection(
        memento, "text", None, False, _memory_tags(memento), lambda: {"text": _sentence(memento.text)}
    )


def _text_turn(memento: Memento, me: UUID, you: UUID, teller_known: bool) -> str:
    if memento.kind == "reflection":
        return "reflection" if you not in memento.about else "text_from_me"
    if me == memento.subject_id and not memento.tellers:
        return "text_of_me"
    if memento.tellers and memento.tellers[-1] == you:
        return "text_from_you"
    if you in memento.about:
        return "text_of_you"
    return "text_told" if memento.tellers and teller_known else "text"


def _memory_tags(memento: Memento) -> frozenset[str]:
    tags = {memento.kind} & {"did", "saw", "knows", "told"}
    tags.update(_banded(memento.certainty, (0.5, "unsure"), (0.85, "sure")))
    tags.update(["fresh"] if memento.age_ms < DAY else ["old"] if memento.age_ms > 30 * DAY else [])
    tags.add("slight" if memento.importance < 0.25 else "weighty")
    if memento.tellers:
        tags.add("told")
    return frozenset(tags)


def _clause(
    grammar: Grammar, moment: Moment, memento: Memento, claim: Mapping[str, Any], dice: Dice, loose: bool
) -> str:
    """A claim as a clause, as the speaker would say it to the listener: "you brought me a gift at the mill"."""
    words = {moment.speaker.id: ("I", "me", "my"), moment.listener.id: ("you", "you", "your")}

    def said(who: UUID) -> tuple[str, str, str]:
        if who in words:
            return words[who]
        name = known_as(moment.names[who])
        return name, name, f"{name}'" if name.endswith("s") else f"{name}'s"

    who, whom = said(UUID(str(claim["who"]))), said(UUID(str(claim["whom"])))
    topic = str(claim.get("topic") or "")
    refused = is_refusal(grammar, claim)
    tags = frozenset(
        ("topic", "no") if topic and refused else ("topic",) if topic else ("no",) if refused else ()
    )
    slots = {
        "whom": whom[1], "whose": whom[2], "own": who[2] if who[0] in ("I", "you") else "their",
        "topic": grammar.topics[topic].name if topic in grammar.topics else topic,
    }  # fmt: skip
    path = ("deeds", str(claim["deed"]), str(min(3, max(1, int(claim.get("degree") or 1)))))
    pool = grammar.pool(path, tags)
    if refused:
        pool = [template for template in pool if "no" in template.need] or pool
    text = grammar.fill(dice.choice(pool or list(grammar.pools[path])), tags, slots, dice, loose)
    place = memento.place_name or str(claim.get("place") or "")
    at = f" at {inside(place)}" if place and dice.chance(0.4) else ""
    return f"{who[0]} {text}{at}"


def is_refusal(grammar: Grammar, claim: Mapping[str, Any]) -> bool:
    """Whether a claim is of something that was turned down, and that can be told as such."""
    pool = grammar.pools.get(("deeds", str(claim.get("deed")), "1"), ())
    return claim.get("accepted") is False and any("no" in template.need for template in pool)


def news_tags(grammar: Grammar, claim: Mapping[str, Any] | None) -> frozenset[str]:
    """Whether what was just told is `good` or `bad`, if one can say."""
    if claim is None or claim.get("deed") not in grammar.signs or is_refusal(grammar, claim):
        return frozenset()
    return frozenset((grammar.signs[str(claim["deed"])],)) & {"good", "bad"}


def inside(place: str) -> str:
    """The name of a place within a sentence."""
    return f"the {place[4:]}" if place.startswith("The ") else place


def _sentence(text: str) -> str:
    """A free text as a sentence: with a capital and a full stop."""
    text = " ".join(text.split())
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?", '"', "…")) else ".")


_MAY_BE_SMALL: Final = frozenset(
    re.findall(
        r"\w+",
        """all always are as at better come did do every everyone for from give good half have he how if in
        is it keep leave let look my never no nobody not nothing on once one only people say she so some
        somebody take that the there they this to we well what when where who whoever yes you""",
    )
)
"""Words that do not keep their capital when something is put before them."""


def led_in(word: str, text: str) -> str:
    """The text with a favourite word before it, if it begins in a way that allows for it."""
    first = re.match(r"\w+", text)
    if first is None:
        return text
    lead = word[:1].upper() + word[1:]
    if first[0].casefold() in _MAY_BE_SMALL:
        return f"{lead}, {text[:1].lower()}{text[1:]}"
    return f"{lead}, {text}" if first[0] == "I" else text


def takes_tag(text: str) -> bool:
    """Whether a favourite word can follow: at the end of a short plain sentence."""
    last = re.split(r"(?<=[.?!]) ", text)[-1]
    return last.endswith(".") and 12 < len(last) < 70 and '"' not in last and ", " not in last[-24:]
