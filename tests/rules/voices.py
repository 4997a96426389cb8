"""A small world for the voice: people, ties, what they remember, and what they go on to say to each other."""

import re
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from uuid import UUID

import orjson

from fablewright.core.clock import DAY
from fablewright.core.dice import Dice, derived_uuid
from fablewright.systems.characters.rules import Speech, Traits
from fablewright.systems.dialogue.grammar import PLACES, TYPES, Grammar, build
from fablewright.systems.dialogue.moments import Memento, Moment, Person
from fablewright.systems.dialogue.voice import GrammarVoice, Line

FIRST = re.findall(
    r"\w+",
    """Anna Bert Cilla Dorn Elsbeth Fenn Gisela Harrow Ines Jost Kaspar Lene Marta Nils Oda Peer Quentin Rosa Sven
    Tilda Ulf Vera Wim Xenia Yorick Zita Agnes Bruno Clara Dietmar Emil Frida Georg Hedda Ivo Judith""",
)
LAST = ("Ashby", "Birch", "Crane", "Dunn", "Elder", "Frost")
FAVOURITES = (
    "mark me",
    "by the tide",
    "as it stands",
    "luck willing",
    "strictly speaking",
    "between friends",
)
MOODS = (
    ("exuberant", 0.5, 0.4), ("relaxed", 0.4, -0.3), ("neutral", 0.0, 0.0), ("anxious", -0.4, 0.4),
    ("bored", -0.3, -0.4), ("hostile", -0.5, 0.5), ("docile", 0.2, -0.2), ("disdainful", -0.3, -0.1),
    ("dependent", 0.3, 0.3), ("neutral", 0.1, 0.0),
)  # fmt: skip
LABELS = ((), (), (), ("friend",), ("rival",), ("kin",), ("enemy",), ("mentor",), ("spouse",), ("confidant",))
HARSH = frozenset(("conflict", "threaten", "tease"))
WEIGHTS = {"chat": 9, "greeting": 5, "gossip": 4, "collaboration": 2, "conflict": 3, "confide": 2, "apology": 2,
           "gift": 2, "threaten": 1, "ask_for_help": 2, "praise": 2, "tease": 2}  # fmt: skip
SECRETS = (
    "The reeve weighs with two sets of stones.",
    "there is a second key to the granary",
    "Somebody lights a lamp in the empty house on every seventh night.",
)


@cache
def texts() -> Grammar:
    """The built-in texts."""
    folder = resources.files("fablewright.systems.dialogue").joinpath("data/texts")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".json")), key=lambda f: f.name)
    return build({file.name: orjson.loads(file.read_bytes()) for file in files})


def person(number: int) -> Person:
    """One of 36, each with a nature and a way of speaking of its own."""
    dice = Dice("person", number)
    mood, pleasure, arousal = dice.choice(MOODS)
    return Person(
        id=derived_uuid("voice", number), name=f"{FIRST[number]} {LAST[number % 6]}",
        traits=Traits(*(dice.uniform() for _ in range(5))), mood=mood, pleasure=pleasure, arousal=arousal,
        speech=Speech(
            dice.uniform(), dice.uniform(), dice.uniform(),
            favourite_words=(dice.choice(FAVOURITES),) if number % 2 else (),
            taboos=("devil", "grave") if number % 5 == 0 else (),
        ),
    )  # fmt: skip


@dataclass
class Village:
    """Thirty-six who talk to each other for a while; everything is chosen by dice."""

    seed: int = 1
    people: list[Person] = field(default_factory=lambda: [person(number) for number in range(36)])
    memories: dict[UUID, list[Memento]] = field(default_factory=dict)
    heard: dict[UUID, deque[int]] = field(default_factory=dict)
    talks: dict[frozenset[UUID], tuple[str | None, int, str | None, UUID | None]] = field(
        default_factory=dict
    )

    def __post_init__(self) -> None:
        self.voice = GrammarVoice(texts())
        self.names = {each.id: each.name for each in self.people}
        for each in self.people:
            self.memories[each.id] = list(self._past(each))
            self.heard[each.id] = deque(maxlen=50)

    def _past(self, who: Person) -> Iterator[Memento]:
        dice = Dice("past", self.seed, who.id)
        for number in range(60):
            other, third = dice.choice(self.people), dice.choice(self.people)
            if len({who.id, other.id, third.id}) < 3:
                continue
            did, to = dice.choice(((who, other), (other, who), (other, third)))
            yield self.memento(dice, did, to, dice.choice(TYPES), number, who, dice.choice(self.people))

    def memento(
        self, dice: Dice, did: Person, to: Person, deed: str, number: int, who: Person, teller: Person
    ) -> Memento:
        """What `who` remembers of a deed, in some cases from a teller."""
        fact = derived_uuid("fact", did.id, to.id, deed, number)
        told = who.id not in (did.id, to.id) and teller.id not in (who.id, did.id, to.id) and dice.chance(0.5)
        claim = None if dice.chance(0.08) else {
            "deed": deed, "who": str(did.id), "whom": str(to.id), "degree": dice.whole(1, 3),
            "quality": -0.6 if deed in HARSH else 0.5, "topic": dice.choice((None, "weather", "work")),
            "accepted": dice.choice((None, None, None, True, False)), "place": dice.choice((None, "The Mill")),
        }  # fmt: skip
        return Memento(
            memory_id=derived_uuid("memory", who.id, fact), fact_id=fact, kind="told" if told else "saw",
            text=f"{did.name} {deed} {to.name}." if claim else dice.choice(SECRETS), subject_id=did.id,
            about=(did.id, to.id) if claim else (did.id,), tellers=(teller.id,) if told else (),
            certainty=dice.uniform(0.2), importance=dice.uniform(), age_ms=int(dice.uniform(0, 40) ** 2 / 20 * DAY),
            claim=claim,
        )  # fmt: skip

    def exchange(self, number: int) -> Iterator[tuple[Moment, Line]]:
        """An opening and its answer, as the dialogue system would have them."""
        dice = Dice("exchange", self.seed, number)
        one, other = dice.choice(self.people), dice.choice(self.people)
        while other is one:
            other = dice.choice(self.people)
        kind = dice.weighted(list(WEIGHTS), list(WEIGHTS.values()))
        key = frozenset((one.id, other.id))
        topic, turns, pending, by = self.talks.get(key, (None, 0, None, None))
        accepted = dice.chance(0.6) if kind in ("apology", "gift", "ask_for_help", "collaboration") else None
        opening, first = self._line(
            number, dice, one, other, "opening", kind, topic, turns, pending if by == other.id else None, None
        )
        yield opening, first
        answer, second = self._line(
            number,
            dice,
            other,
            one,
            "answer",
            kind,
            first.topic,
            turns,
            first.pending,
            accepted,
            opening.telling,
        )
        yield answer, second
        self.talks[key] = (second.topic, turns + 1 if second.topic else 0, second.pending, other.id)

    def _line(
        self, number: int, dice: Dice, one: Person, other: Person, part: str, kind: str, topic: str | None, turns: int,
        pending: str | None, accepted: bool | None, told: Memento | None = None,
        content: str | None = None,
    ) -> tuple[Moment, Line]:  # fmt: skip
        tie = Dice("tie", self.seed, one.id, other.id)
        labels = tie.choice(LABELS)
        strength = tie.uniform(-0.9, 0.2) if {"rival", "enemy"} & {*labels} else tie.uniform(-0.3, 0.9)
        mine, scene = self.memories[one.id], Dice("scene", self.seed, number)
        at_hand = sorted(
            mine, key=lambda m: (other.id not in m.about and other.id not in m.tellers, m.memory_id)
        )
        thirds = [m for m in mine if other.id not in m.about and other.id not in m.tellers]
        telling = (
            dice.choice(thirds) if kind in ("gossip", "confide") and part == "opening" and thirds else told
        )
        moment = Moment(
            speaker=one, listener=other, part=part, type=kind, accepted=accepted, strength=strength,  # type: ignore[arg-type]
            trust=tie.uniform(), familiarity=tie.uniform(), labels=labels, place_kind=scene.choice(PLACES),
            place_name=scene.choice(("The Half Bridge", "Old Ferry", None)), hour=scene.whole(0, 23), topic=topic,
            turns=turns, pending=pending, memories=at_hand[:12], telling=telling, names=self.names,
            heard=frozenset(self.heard[other.id]), content=content,
        )  # fmt: skip
        line = self.voice.speak(moment, dice)
        self.heard[other.id].append(line.number)
        return moment, line

    def said(self, exchanges: int) -> list[tuple[Moment, Line]]:
        """Everything that is said in so many exchanges."""
        return [each for number in range(exchanges) for each in self.exchange(number)]


@dataclass(frozen=True)
class Measures:
    """What a feed of lines is like; shares are 0..1."""

    lines: int
    repeats: float
    """The share of lines that were said before, word for word, by anyone."""
    heard_before: int
    """Lines that their listener had among the last 50 that it heard."""
    shared: float
    words: int
    """Distinct words."""
    length: float
    """Mean words of a line."""


def measure(said: list[tuple[Moment, Line]]) -> Measures:
    """Measure a feed."""
    lines = [line for _, line in said]
    texts_ = Counter(line.text for line in lines)
    words = [word.strip(".,!?:;\"'").casefold() for line in lines for word in line.text.split()]
    return Measures(
        lines=len(lines), repeats=sum(n - 1 for n in texts_.values()) / len(lines),
        heard_before=sum(line.number in moment.heard for moment, line in said),
        shared=sum(line.shared for line in lines) / len(lines), words=len({*words}), length=len(words) / len(lines),
    )  # fmt: skip
