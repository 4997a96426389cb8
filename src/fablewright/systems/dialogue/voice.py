"""The voice of a character: what somebody says at a given moment, and how. Pure.

`Voice` is the interface; whoever speaks knows nothing beyond the `Moment`. `GrammarVoice` finds its words in a
grammar (`grammar.py`): it picks a manner, then something to say, then what to add to it, and draws again until it is
something that the listener has not heard lately and that breaks no taboo. The same moment and dice give the same line.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

from fablewright.core.dice import Dice, derived_uuid
from fablewright.systems.dialogue.grammar import Grammar, Manner, Template
from fablewright.systems.dialogue.moments import (
    Line,
    Memento,
    Moment,
    Person,
    Recollection,
    contains,
    formal_name,
    inside,
    known_as,
    led_in,
    manner_of,
    news_tags,
    recollect,
    tags_of,
    takes_tag,
    verbatim,
)  # fmt: skip

__all__ = ["GrammarVoice", "Line", "Memento", "Moment", "Person", "Voice", "line_number"]

REDRAWS: Final = 12
"""How often a line is drawn before the guaranteed one is taken."""
SPOKEN_OF: Final = 10
"""How many of the memories at hand are considered: the best come first."""
HOT: Final = frozenset(("conflict", "threaten"))
"""Types in which nobody talks of the weather."""
_SMALL_TALK: Final = frozenset(("greeting", "chat", "collaboration", "praise", "tease", "gossip"))
"""Types in which one may speak of something else as well."""
_BETWEEN_US: Final = frozenset(("me_by_you", "you_by_me", "third_by_you", "from_you"))
_ALWAYS: Final = frozenset(("type:greeting",))
_YES: Final = frozenset(("decline", "doubt", "defend"))
_NO: Final = frozenset(("accept", "believe"))
"""Intents that are out of the question when something was accepted, and when it was not."""


class Voice(Protocol):
    """What finds the words."""

    def speak(self, moment: Moment, dice: Dice) -> Line:
        """What the speaker says."""
        ...


class GrammarVoice:
    """A voice without a language model: it speaks from a grammar."""

    def __init__(self, grammar: Grammar):
        self.grammar = grammar

    def speak(self, moment: Moment, dice: Dice) -> Line:
        """What the speaker says; the same for the same moment and dice."""
        return _Speaking(self.grammar, moment, dice).line()


def line_number(text: str) -> int:
    """The number (63 bit) of a line, by which listeners remember that they have heard it."""
    return derived_uuid("line", text.casefold()).int & ((1 << 62) - 1)


@dataclass(slots=True)
class _Bit:
    """A part of a line."""

    text: str
    intent: str
    question: str | None = None
    topic: str | None = None
    mentions: tuple[UUID, ...] = ()
    shared: bool = False


class _Speaking:
    """One line in the making."""

    def __init__(self, grammar: Grammar, moment: Moment, dice: Dice):
        self.grammar, self.moment, self.dice = grammar, moment, dice
        self.manner: Manner = manner_of(moment, dice.uniform(-0.12, 0.12))
        self.tags = tags_of(moment, self.manner)
        if moment.telling is not None and moment.part == "answer":
            self.tags |= news_tags(grammar, moment.telling.claim)
        self.loose = moment.speaker.speech.formality < 0.4
        topic = grammar.topics.get(moment.topic or "")
        self.slots = {
            "name": "", "place": inside(moment.place_name or ""),
            "topic": topic.name if topic else moment.topic or "",
            "favourite": moment.speaker.speech.favourite_words[0] if "favourite" in self.tags else "",
        }  # fmt: skip
        self.taboo = contains(moment.speaker.speech.taboos)
        self.told: Recollection | None = None
        if moment.telling is not None and moment.part == "opening":
            self.told = recollect(grammar, moment, moment.telling, dice, self.loose)
            self.told = self.told or verbatim(moment.telling)
        self.recollections = list(self._recollections())

    def line(self) -> Line:
        """Draw lines until one may be said."""
        for _ in range(REDRAWS):
            self.slots["name"] = self._address()
            bits = self._bits()
            text = self._styled(bits)
            if self._may_be_said(text) and not self._echoes(bits):
                return self._line(text, bits)
        return self._last_resort()

    def _line(self, text: str, bits: Sequence[_Bit]) -> Line:
        question = next((bit.question for bit in bits if bit.question), None)
        topic = next((bit.topic for bit in reversed(bits) if bit.topic), None)
        if question is not None:
            topic = self.grammar.questions[question].topic
        mentions = tuple(dict.fromkeys(i for bit in bits for i in bit.mentions))
        held = topic is not None and topic == self.moment.topic
        goes_on = held and (self.moment.part == "answer" or self.moment.turns > 0)
        shared = goes_on or any(bit.shared for bit in bits)
        return Line(text, bits[0].intent, self.manner, topic, question, mentions, shared, line_number(text))

    def _echoes(self, bits: Sequence[_Bit]) -> bool:
        """Whether it repeats what the other has just said."""
        heard = (self.moment.content or "").replace(known_as(self.moment.speaker.name), "")
        name = known_as(self.moment.listener.name)
        return bool(heard) and any(len(b.text) > 12 and b.text.replace(name, "") in heard for b in bits)

    def _may_be_said(self, text: str) -> bool:
        if self.taboo is not None and self.taboo.search(text):
            return False
        return line_number(text) not in self.moment.heard

    def _last_resort(self) -> Line:
        """A line that is certainly new: one of several thousand combinations, none of which means much."""
        told = [self._told_bit(self.told)] if self.told else []
        pools = [self.grammar.pools["fallback", number] for number in "123"]
        size = len(pools[0]) * len(pools[1]) * len(pools[2])
        start, text = self.dice.whole(0, size - 1), ""
        for number in range(size):
            rest, first = divmod((start + number) % size, len(pools[0]))
            third, second = divmod(rest, len(pools[1]))
            parts = [self._fill(pool[at]) for pool, at in zip(pools, (first, second, third), strict=True)]
            text = " ".join([*(bit.text for bit in told), *parts])
            taboo = self.taboo is not None and self.taboo.search(" ".join(parts))
            if not taboo and line_number(text) not in self.moment.heard:
                break
        return self._line(text, [*told, _Bit("", "murmur")])

    # What is said.

    def _bits(self) -> list[_Bit]:
        core = self._core()
        said = sum(bit.text.count(mark) for bit in core for mark in ".?!")
        room = self._room() - max(0, said - 2)
        if not core[-1].question:
            used = {i for bit in core for i in bit.mentions}
            core += self._additions(min(2, room), used, core)
        return core

    def _room(self) -> int:
        """How many things who speaks adds to what is to be said, by how much it talks."""
        m = self.moment
        wants = 1.9 * m.speaker.speech.verbosity + 0.7 * (m.speaker.traits.extraversion - 0.5) - 0.1
        wants += {"warm": 0.25, "plain": 0.0, "cold": -0.45}[self.manner]
        return int(max(0.0, min(wants, 1.0 if m.type in HOT else 2.0) + self.dice.uniform(0.0, 0.75)))

    def _core(self) -> list[_Bit]:
        m = self.moment
        if self.told is not None:
            return [self._told_bit(self.told)]
        if m.part == "answer" and m.type in ("chat", "greeting") and m.tone and self.dice.chance(0.8):
            reply = self._drawn(("tones", m.tone, self.manner), m.tone)
            if reply:
                return [reply]
        if m.pending in self.grammar.questions and m.type not in HOT:
            answered = self._answered(m.pending or "")
            if m.type == "chat":
                return answered
            return [self._lines(), *answered] if m.part == "answer" else [self._lines()]
        if m.type == "chat":
            return self._topical()
        return [self._because() or self._lines()]

    def _lines(self) -> _Bit:
        """Something from the lines of the part and type, by what may be meant."""
        m = self.moment
        kind = m.type if (m.part, m.type) in self.grammar.intents else "any"
        intents = [i for i in self.grammar.intents[m.part, kind] if self._may_mean(i, kind)]
        intents = intents or list(self.grammar.intents[m.part, kind])
        weights = [self._meaning_weight(intent) for intent in intents]
        intent = self.dice.weighted(intents, weights) if len(intents) > 1 else intents[0]
        bit = self._drawn(("lines", m.part, kind, self.manner, intent), intent)
        assert bit is not None, (m.part, kind, intent)
        if intent == "known" and m.telling is not None:
            bit.mentions = tuple(x.memory_id for x in m.memories if x.fact_id == m.telling.fact_id)[:1]
        return bit

    def _may_mean(self, intent: str, kind: str) -> bool:
        m = self.moment
        known = m.telling is not None and any(x.fact_id == m.telling.fact_id for x in m.memories)
        mine = m.telling is not None and m.speaker.id in (m.telling.subject_id, *m.telling.about)
        if intent == "about_me" or (mine and "about_me" in self.grammar.intents[m.part, kind]):
            return mine and intent == "about_me"
        if intent == "known":
            return known
        if intent == "defend" and "good" in self.tags:
            return False
        if intent == "question":
            return m.tone == "question"
        if m.accepted is None:
            return intent != "decline" or self.manner == "cold"
        return intent not in (_YES if m.accepted else _NO)

    def _meaning_weight(self, intent: str) -> float:
        trust, cold = self.moment.trust, self.manner == "cold"
        weights = {
            "believe": 0.1 + trust, "doubt": 1.05 - trust, "defend": 0.45, "known": 6.0, "question": 4.0,
            "accept": 0.1 if cold else 1.0, "decline": 1.0 if cold else 0.1,
        }  # fmt: skip
        return weights.get(intent, 1.0)

    def _because(self) -> _Bit | None:
        """What is to be said, for a reason that lies in a memory."""
        m = self.moment
        for what in self.recollections[:6]:
            if what.good is None:
                continue
            path = ("because", m.part, m.type, f"{what.turn}_{'good' if what.good else 'bad'}")
            if path in self.grammar.pools and self.dice.chance(0.55):
                return self._recalled(path, what, "because")
        return None

    # Topics.

    def _topical(self) -> list[_Bit]:
        m = self.moment
        key = m.topic or self._recognised()
        if key is not None and key not in self.grammar.topics:
            free = self._drawn(("extras", "resume", self.manner), "topic") if m.part == "opening" else None
            return [free or self._lines()]
        changes = m.part == "opening" and self.dice.chance(0.3 * (m.turns - 2))
        if (key is None and m.part == "answer") or (m.tone == "question" and self.dice.chance(0.4)):
            return [self._lines()]
        if key is None or changes:
            return self._begun(self._some_topic(key))
        return self._went_on(key) if m.part == "opening" and m.turns else self._replied(key)

    def _begun(self, key: str) -> list[_Bit]:
        asks = self.dice.chance(0.3 + 0.3 * self.moment.speaker.traits.openness)
        bit = (self._asked(key) if asks else None) or self._said(key)
        hail = self._drawn(("extras", "hail", self.manner), "hail") if self.dice.chance(0.3) else None
        return [hail, bit] if hail else [bit]

    def _went_on(self, key: str) -> list[_Bit]:
        bits = [self._said(key)]
        if "topic" in self.tags and self.dice.chance(0.45):
            resumed = self._drawn(("extras", "resume", self.manner), "resume")
            bits = [resumed, *bits] if resumed else bits
        question = self._asked(key) if self.dice.chance(0.45) else None
        return [*bits[:1], question] if question and len(bits) == 1 else bits

    def _replied(self, key: str) -> list[_Bit]:
        reply = self._drawn(("topics", key, "reply"), "reply", topic=key) if self.dice.chance(0.45) else None
        if reply:
            bits = [reply]
        else:
            ack = self._drawn(("extras", "ack", self.manner), "agree") if self.dice.chance(0.8) else None
            bits = [ack, self._said(key)] if ack else [self._said(key)]
        if self.manner != "cold" and self.dice.chance(0.15 + 0.35 * self.moment.speaker.traits.extraversion):
            question = self._asked(key)
            bits = [bits[0], question] if question else bits
        return bits

    def _answered(self, key: str) -> list[_Bit]:
        question = self.grammar.questions[key]
        answer = self._drawn(("topics", question.topic, "questions", key.split(".")[1], "answers"), "answer")
        if self.manner == "cold" and self.dice.chance(0.25):
            answer = self._drawn(("extras", "dodge", self.manner), "dodge")
        assert answer is not None, key
        answer.topic = question.topic
        if self.moment.part == "opening":
            asked = self._drawn(
                ("extras", "asked", self.manner), "answer", slots={**self.slots, "asked": question.asked}
            )
            return [asked, answer] if asked else [answer]
        if self.moment.type == "chat" and self.manner != "cold" and self.dice.chance(0.3):
            back = self._asked(question.topic)
            return [answer, back] if back else [answer]
        return [answer]

    def _said(self, key: str) -> _Bit:
        return self._drawn(("topics", key, "say"), "topic", topic=key) or self._lines()

    def _asked(self, key: str) -> _Bit | None:
        open_ = [q for q in self.grammar.topics[key].questions if q != self.moment.pending]
        if not open_:
            return None
        number = self.dice.choice(open_)
        bit = self._drawn(("topics", key, "questions", number.split(".")[1], "ask"), "ask", topic=key)
        if bit:
            bit.question = number
        return bit

    def _some_topic(self, but: str | None, suits: str | None = None) -> str:
        """A topic that suits the moment; with `suits`, one of those that have this condition, if there are any."""
        topics = [topic for key, topic in self.grammar.topics.items() if key != but]
        topics = [topic for topic in topics if suits is None or suits in topic.suits] or topics
        weights = [1.0 + 2.5 * len((topic.suits - _ALWAYS) & self.tags) for topic in topics]
        return self.dice.weighted(topics, weights).key

    def _recognised(self) -> str | None:
        """The topic of what was said, by its first word that belongs to one."""
        words = re.findall(r"[a-z]+", (self.moment.content or "")[:400].casefold())
        return next((self.grammar.words[word] for word in words if word in self.grammar.words), None)

    # What is added.

    def _additions(self, room: int, used: set[UUID], core: Sequence[_Bit]) -> list[_Bit]:
        """At most `room` things beside the point, each of another sort."""
        found: list[_Bit] = []
        kinds = {kind: weight for kind, weight in self._kinds(core).items() if weight > 0.0}
        while len(found) < room and kinds:
            kind = self.dice.weighted(list(kinds), list(kinds.values()))
            del kinds[kind]
            bit = self._addition(kind, used, core[-1].topic)
            if bit is not None:
                used.update(bit.mentions)
                found.append(bit)
                if bit.question:
                    break
        return found

    def _kinds(self, core: Sequence[_Bit]) -> dict[str, float]:
        """What might be added, and how likely each is; by what is being said, not all of it is fit."""
        m, traits = self.moment, self.moment.speaker.traits
        if self.told is not None:
            return {}
        if m.type in HOT:
            return {"shared": 1.2, "barb": 1.0}
        shared = 0.2 if any(bit.mentions for bit in core) else 1.4
        if m.type not in _SMALL_TALK:
            return {"shared": shared, "tail": 0.7 * (m.part == "answer"), "nothing": 0.5}
        kinds = {
            "shared": shared, "place": 0.55 if "here" in self.tags or m.place_kind else 0.0, "hour": 0.35,
            "mood": 0.3 + 0.5 * abs(m.speaker.pleasure), "aside": 1.3 * m.speaker.speech.humour**2, "tail": 0.6,
        }  # fmt: skip
        if self.manner == "cold":
            kinds["barb"] = 0.6
        elif m.type in ("greeting", "chat", "gossip", "tease"):
            kinds["gossip"] = 0.7 * m.trust
        if m.type in ("greeting", "chat") and self.manner != "cold":
            kinds["ask"] = 0.3 + 0.5 * traits.extraversion
        if m.part == "answer" and m.turns > 3:
            kinds["close"] = 0.8
        return kinds

    def _addition(self, kind: str, used: set[UUID], topic: str | None) -> _Bit | None:
        if kind in ("shared", "gossip"):
            return self._remembered(kind == "shared", used)
        if kind == "ask":
            light = "type:greeting" if self.moment.type == "greeting" else None
            return self._asked(topic or self._some_topic(None, light))
        bit = self._drawn(("extras", kind, self.manner), kind)
        if bit and kind == "place":
            bit.shared = True
        return bit

    def _remembered(self, shared: bool, used: set[UUID]) -> _Bit | None:
        """A memory, told in passing: one with the listener, or one of other people."""
        options = [
            what for what in self.recollections
            if what.shared == shared and what.memento.memory_id not in used
            and self._timely(what) and (self.moment.type in _SMALL_TALK or what.turn in _BETWEEN_US)
        ]  # fmt: skip
        if not options:
            return None
        what = self.dice.weighted(
            options,
            [(0.4 if "slight" in what.tags else 1.0) / (3 + number) for number, what in enumerate(options)],
        )
        return self._recalled(("share", what.turn), what, "recall" if shared else "gossip")

    def _timely(self, what: Recollection) -> bool:
        """Nobody warms up a quarrel over a present, or kind days in the middle of a quarrel."""
        if what.memento.importance < 0.08 and what.memento.claim is not None:
            return False
        if self.moment.type in HOT or self.manner == "cold":
            return what.good is False or self.dice.chance(0.15)
        kind = self.moment.type in ("gift", "praise", "collaboration") or self.manner == "warm"
        return not (kind and what.shared and what.good is False) or self.dice.chance(0.2)

    # Memories.

    def _told_bit(self, what: Recollection) -> _Bit:
        bit = self._recalled(
            ("tell", what.turn), what, "confide" if self.moment.type == "confide" else "tell"
        )
        if bit is not None:
            return bit
        slots = what.slots()
        text = slots.get("text") or f"{slots['memory'][:1].upper()}{slots['memory'][1:]}."
        return _Bit(text, "tell", mentions=(what.memento.memory_id,), shared=what.shared)

    def _recalled(self, path: tuple[str, ...], what: Recollection, intent: str) -> _Bit | None:
        bit = self._drawn(path, intent, self.tags | what.tags, {**self.slots, **what.slots()})
        if bit is not None:
            bit.mentions, bit.shared = (what.memento.memory_id,), what.shared
        return bit

    def _recollections(self) -> Iterator[Recollection]:
        told = self.moment.telling.fact_id if self.moment.telling else None
        for memento in self.moment.memories[:SPOKEN_OF]:
            if memento.secret or memento.fact_id == told:
                continue
            what = recollect(self.grammar, self.moment, memento, self.dice, self.loose)
            if what is not None and what.turn not in ("text_of_me", "text_from_me"):
                yield what

    # Words.

    def _drawn(
        self, path: tuple[str, ...], intent: str, tags: frozenset[str] | None = None,
        slots: Mapping[str, str] | None = None, topic: str | None = None,
    ) -> _Bit | None:  # fmt: skip
        """A text of the pool at `path`; those with more conditions that hold come first more often."""
        tags = self.tags if tags is None else tags
        pool = self.grammar.pool(path, tags)
        if not pool:
            return None
        template = self.dice.weighted(pool, [each.weight for each in pool])
        text = self.grammar.fill(
            template, tags, self.slots if slots is None else slots, self.dice, self.loose
        )
        return _Bit(text, intent, template.question, topic)

    def _fill(self, template: Template) -> str:
        return self.grammar.fill(template, self.tags, self.slots, self.dice, self.loose)

    def _address(self) -> str:
        """How the speaker addresses the listener: by full name, by name, or by something warmer."""
        m, name = self.moment, self.moment.listener.name
        speech = m.speaker.speech
        if self.manner == "warm" and m.strength > 0.45 and m.familiarity > 0.4 and speech.formality < 0.65:
            for label in ("spouse", "kin", "friend", "close_friend"):
                path = ("rules", f"dear_{label}")
                if label in self.tags and path in self.grammar.pools and self.dice.chance(0.25):
                    return self.grammar.fill(
                        self.dice.choice(self.grammar.pools[path]), self.tags, self.slots, self.dice, False
                    )
        if speech.formality > 0.7 and m.familiarity < 0.7 and not self.tags & {"friend", "kin", "spouse"}:
            return formal_name(name)
        return formal_name(name) if self.manner == "cold" and self.dice.chance(0.3) else known_as(name)

    def _styled(self, bits: Sequence[_Bit]) -> str:
        """The whole line, with a favourite word woven in now and then, and a sigh or a name before it ends."""
        texts = [bit.text for bit in bits if bit.text]
        plain = [n for n, bit in enumerate(bits) if not bit.mentions and takes_tag(bit.text)]
        words = self.moment.speaker.speech.favourite_words
        if words and self.dice.chance(0.2):
            word = self.dice.choice(words)
            if plain and self.dice.chance(0.6):
                texts[plain[-1]] = f"{texts[plain[-1]][:-1]}, {word}."
            elif bits[0].intent != "hail":
                texts[0] = led_in(word, texts[0])
        elif len(texts) == 1 and not bits[0].mentions:
            name = self.slots["name"]
            if plain and name not in texts[0] and self.dice.chance(0.35):
                texts[0] = f"{texts[0][:-1]}, {name}."
            elif self.moment.part == "answer" and self.dice.chance(0.3):
                sigh = self._drawn(("extras", "sigh", self.manner), "sigh")
                texts[0] = f"{sigh.text} {texts[0]}" if sigh else texts[0]
        text = " ".join(texts)
        return text[:1].upper() + _AFTER_STOP.sub(lambda found: found[1] + found[2].upper(), text[1:])


_AFTER_STOP = re.compile(r"([.?!] )(old friend|my friend|dear|my dear|cousin|my heart|love)\b")
