"""Texts as data: the format of the grammars that voices speak from, how they are checked, merged, filled in. Pure.

A grammar is made of files (mappings, as JSON gives them). Their sections are `lines`, `extras`, `tones`, `because`,
`share`, `tell`, `deeds`, `ages`, `topics`, `rules` and `fallback`; `docs/systems/dialogue-texts.md` tells how to write
them. Every leaf is a list of templates such as

    [friend night] You too, {name}? #Owls# and fools. >>sleep.why

with conditions in brackets (all must hold; `a|b` is either, `!a` is not), slots in braces, rules in hashes, and the
question it asks after `>>`. A slot or a rule with a capital begins with one when filled in. Whatever is wrong is found
when a grammar is built, never when somebody speaks.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final, Literal

from fablewright.core.dice import Dice
from fablewright.core.refusal import INVALID, Refusal, Refused

Manner = Literal["warm", "plain", "cold"]
Path = tuple[str, ...]

GRAMMAR_INVALID = Refusal(
    "grammar_invalid",
    INVALID,
    "A text of this grammar cannot be spoken. Mend what is named, and send it again.",
)

PARTS: Final = ("opening", "answer")
MANNERS: Final[tuple[Manner, ...]] = ("warm", "plain", "cold")
TYPES: Final = (
    "greeting", "chat", "collaboration", "conflict", "apology", "gift", "gossip", "confide", "threaten",
    "ask_for_help", "praise", "tease",
)  # fmt: skip
TONES: Final = ("thanks", "insult", "question", "promise", "apology", "threat", "praise", "neutral")
MOODS: Final = (
    "exuberant", "dependent", "relaxed", "docile", "bored", "disdainful", "anxious", "hostile", "neutral",
)  # fmt: skip
PLACES: Final = ("home", "work", "tavern", "market", "temple", "hall", "wild", "road", "square")
LABELS: Final = ("friend", "close_friend", "rival", "enemy", "kin", "mentor", "confidant", "spouse")
EXTRAS: Final = (
    "hail", "ack", "resume", "asked", "dodge", "place", "hour", "mood", "aside", "tail", "barb", "close", "sigh",
)  # fmt: skip
TURNS: Final = (
    "me_by_you", "you_by_me", "me_by_third", "third_by_me", "you_by_third", "third_by_you", "third_by_third",
)  # fmt: skip
"""Who did it, seen from who speaks: `me_by_you` is what the listener did to the speaker."""
TOLD: Final = (
    "refused", "told", "hearsay", "from_you", "text", "text_told", "text_of_me", "text_of_you", "text_from_you",
    "reflection",
)  # fmt: skip
AGES: Final = ("now", "today", "yesterday", "days", "week", "month", "months", "years")

CONDITIONS: Final = frozenset(
    (
        *MANNERS, *MOODS, *LABELS, *PLACES,
        *(f"said:{tone}" for tone in TONES),
        "glad", "low", "stirred", "calm",
        "formal", "loose", "wry", "earnest", "talkative", "laconic",
        "stranger", "known", "familiar", "loved", "liked", "disliked", "hated", "trusted", "distrusted",
        "open", "closed", "dutiful", "careless", "outgoing", "shy", "kind", "hard", "nervous", "steady",
        "morning", "noon", "afternoon", "evening", "night", "dark", "here", "nowhere",
        "yes", "no", "topic", "again", "long", "opening", "answer", "favourite",
        "good", "bad", "did", "saw", "knows", "told", "unsure", "sure", "fresh", "old", "slight", "weighty",
    )
)  # fmt: skip
"""Everything a text may depend on, beside what begins with one of `FREE`."""
FREE: Final = ("at:", "is:", "tag:", "topic:", "type:", "deed:")
"""Kinds of place, labels, tags, topics and types are a world's own words."""

_GUARANTEES: Final[Mapping[str, frozenset[str]]] = {
    "place": frozenset(("here",)),
    "topic": frozenset(("topic",)),
    "favourite": frozenset(("favourite",)),
}
"""Slots that are only there under a condition, which a template that uses them must name."""
_SLOTS: Final = frozenset(("name", *_GUARANTEES))
_MEMORY: Final = frozenset(("memory", "age"))
_LEAST: Final = 5
"""How many unconditional variants everything that must be said has at least."""

_TEMPLATE = re.compile(r"(?:\[([^\]]*)\]\s*)?(.*?)(?:\s*>>\s*([a-z_]+\.[a-z_]+))?\s*", re.DOTALL)
_PIECE = re.compile(r"\{([A-Za-z_]+)\}|#([A-Za-z_]+)#")
_KEY = re.compile(r"[a-z][a-z0-9_]{0,49}")
_NOT = re.compile(
    r"\b(do|does|did|is|are|was|were|would|could|should|has|have|had|must|need) not\b(?!e)", re.IGNORECASE
)
_STARTS = re.compile(
    r"(?:(?<=^)|(?<=[.!?;:,] )|(?<=\band )|(?<=\bbut ))"
    r"(I am|I will|(?:It|That|There|What|it|that|there|what) is|(?:You|We|They|you|we|they) (?:are|will))"
    r"(?= (?!if\b|when\b|and\b|or\b|but\b|as\b|than\b|to\b)[a-z])"
)
_SHORT: Final = {"am": "'m", "will": "'ll", "is": "'s", "are": "'re"}

_TEXT, _SLOT, _SLOT_CAPITAL, _RULE, _RULE_CAPITAL = range(5)
Piece = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Template:
    """A text with slots: when it may be said, what it is made of, and the question that it asks, if any.

    `loose` are the pieces with contractions, for speakers of little formality.
    """

    need: frozenset[str]
    bar: frozenset[str]
    either: tuple[frozenset[str], ...]
    pieces: tuple[Piece, ...]
    loose: tuple[Piece, ...]
    question: str | None
    weight: float

    def fits(self, tags: AbstractSet[str]) -> bool:
        """Whether its conditions hold."""
        return (
            self.need <= tags
            and self.bar.isdisjoint(tags)
            and all(not group.isdisjoint(tags) for group in self.either)
        )


@dataclass(frozen=True, slots=True)
class Topic:
    """Something to talk about: its name within a sentence, the words it is known by, the conditions that bring it
    to mind, and the keys of its questions."""

    key: str
    name: str
    words: tuple[str, ...]
    suits: frozenset[str]
    questions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """A question: `key` is `<topic>.<name>`; `asked` fits after "You asked me"."""

    key: str
    topic: str
    asked: str


@dataclass(frozen=True, slots=True)
class Grammar:
    """Texts by path, such as `("lines", "answer", "gift", "warm", "accept")`; made by `build`, checked."""

    pools: Mapping[Path, tuple[Template, ...]]
    topics: Mapping[str, Topic]
    questions: Mapping[str, Question]
    signs: Mapping[str, str]
    """By type of deed, whether it is `good`, `bad` or neither (`even`) to have it done to oneself."""
    intents: Mapping[tuple[str, str], tuple[str, ...]]
    """What may be meant by a part of a type."""
    words: Mapping[str, str]
    """The topic that a word belongs to."""

    def pool(self, path: Path, tags: AbstractSet[str]) -> list[Template]:
        """The templates at a path whose conditions hold."""
        return [template for template in self.pools.get(path, ()) if template.fits(tags)]

    def fill(
        self, template: Template, tags: AbstractSet[str], slots: Mapping[str, str], dice: Dice, loose: bool
    ) -> str:
        """The text with its slots and rules filled in."""
        out: list[str] = []
        for kind, value in template.loose if loose else template.pieces:
            if kind == _TEXT:
                out.append(value)
                continue
            if kind in (_SLOT, _SLOT_CAPITAL):
                text = slots[value]
            else:
                text = self.fill(dice.choice(self.pool(("rules", value), tags)), tags, slots, dice, loose)
            out.append(text[:1].upper() + text[1:] if kind in (_SLOT_CAPITAL, _RULE_CAPITAL) else text)
        return "".join(out)


def build(files: Mapping[str, Mapping[str, Any]], base: Grammar | None = None) -> Grammar:
    """A grammar from files by name, added to `base` (a world's own texts to the built-in ones).

    A file with `"replace": true` takes the place of what `base` has at the paths that it names.
    Refuses `grammar_invalid` with the file and the path of the first fault.
    """
    reader = _Reader(base)
    for name, content in files.items():
        reader.file(name, content)
    return reader.grammar()


def invalid(file: str, path: str, fault: str) -> Refused:
    """The refusal of a text: the file, the path within it, and what is wrong."""
    return GRAMMAR_INVALID(f"{file}: {path}: {fault}", file=file, path=path)


def contracted(text: str) -> str:
    """The text as somebody of little formality would say it: "do not" becomes "don't"."""
    text = _NOT.sub(lambda found: f"{found[1]}n't", text)
    text = re.sub(r"\b([Ww])ill not\b", r"\1on't", text)
    text = re.sub(r"\b([Cc])annot\b", r"\1an't", text)
    return _STARTS.sub(lambda found: found[1].split()[0] + _SHORT[found[1].split()[1]], text)


def _pieces(text: str) -> tuple[Piece, ...]:
    pieces: list[Piece] = []
    at = 0
    for found in _PIECE.finditer(text):
        if found.start() > at:
            pieces.append((_TEXT, text[at : found.start()]))
        name = found[1] or found[2]
        kind = (_SLOT if found[1] else _RULE) + name[0].isupper()
        pieces.append((kind, name[0].lower() + name[1:]))
        at = found.end()
    if at < len(text):
        pieces.append((_TEXT, text[at:]))
    return tuple(pieces)


class _Reader:
    """Reads files into pools, and remembers where each text stood to name it if it is at fault."""

    def __init__(self, base: Grammar | None):
        self.pools: dict[Path, tuple[Template, ...]] = dict(base.pools) if base else {}
        self.topics: dict[str, Topic] = dict(base.topics) if base else {}
        self.questions: dict[str, Question] = dict(base.questions) if base else {}
        self.signs: dict[str, str] = dict(base.signs) if base else {}
        self.at: dict[Path, str] = {}
        self.name = "grammar"
        self.replace = False

    def fault(self, path: Iterable[str], what: str) -> Refused:
        """The refusal of what stands at `path` in the file being read."""
        return invalid(self.name, ".".join(path), what)

    def file(self, name: str, content: Mapping[str, Any]) -> None:
        """Read one file."""
        self.name, self.replace = name, isinstance(content, Mapping) and content.get("replace") is True
        sections = {
            "lines": self._lines, "extras": self._extras, "tones": self._extras, "because": self._because,
            "share": self._frames, "tell": self._frames, "deeds": self._deeds, "ages": self._ages,
            "topics": self._topics, "rules": self._rules, "fallback": self._fallback,
        }  # fmt: skip
        for section, value in self._mapping((), content, (*sections, "replace", "about")):
            if section in sections:
                sections[section]((section,), value)

    def grammar(self) -> Grammar:
        """What was read, after the checks that need all of it."""
        self._check_rules()
        for path, pool in self.pools.items():
            for template in pool:
                if template.question is not None and template.question not in self.questions:
                    self.name = self.at.get(path, "built-in texts")
                    raise self.fault(path, f"there is no question {template.question!r}")
        intents: dict[tuple[str, str], list[str]] = {}
        for path in self.pools:
            if path[0] == "lines":
                found = intents.setdefault((path[1], path[2]), [])
                if path[4] not in found:
                    found.append(path[4])
        self._check_enough(intents)
        return Grammar(
            pools=self.pools, topics=self.topics, questions=self.questions, signs=self.signs,
            intents={key: tuple(value) for key, value in intents.items()},
            words={word: topic.key for topic in self.topics.values() for word in topic.words},
        )  # fmt: skip

    # Sections.

    def _lines(self, path: Path, value: Any) -> None:
        for part, kinds in self._mapping(path, value, PARTS):
            for kind, manners in self._mapping((*path, part), kinds):
                for manner, intents in self._mapping((*path, part, kind), manners, (*MANNERS, "any")):
                    here = (*path, part, kind, manner)
                    for intent, texts in self._mapping(here, intents):
                        self._mannered((*path, part, kind), manner, (intent,), texts)

    def _extras(self, path: Path, value: Any) -> None:
        known = EXTRAS if path == ("extras",) else TONES
        for kind, manners in self._mapping(path, value, known):
            slots = _SLOTS | {"asked"} if kind == "asked" else _SLOTS
            for manner, texts in self._mapping((*path, kind), manners, (*MANNERS, "any")):
                self._mannered((*path, kind), manner, (), texts, slots)

    def _because(self, path: Path, value: Any) -> None:
        turns = tuple(f"{turn}_{sign}" for turn in TURNS for sign in ("good", "bad"))
        for part, kinds in self._mapping(path, value, PARTS):
            for kind, frames in self._mapping((*path, part), kinds):
                for turn, texts in self._mapping((*path, part, kind), frames, turns):
                    self._pool((*path, part, kind, turn), texts, _SLOTS | _MEMORY | _others(turn))

    def _frames(self, path: Path, value: Any) -> None:
        for turn, texts in self._mapping(path, value, (*TURNS, *TOLD)):
            self._pool((*path, turn), texts, _SLOTS | _frame_slots(turn))

    def _deeds(self, path: Path, value: Any) -> None:
        for deed, degrees in self._mapping(path, value):
            for degree, texts in self._mapping((*path, deed), degrees, ("sign", "1", "2", "3")):
                if degree == "sign":
                    if texts not in ("good", "bad", "even"):
                        raise self.fault((*path, deed, degree), "a sign is `good`, `bad` or `even`")
                    self.signs[deed] = texts
                else:
                    self._pool((*path, deed, degree), texts, frozenset(("whom", "whose", "own", "topic")))
            if deed not in self.signs or any((*path, deed, degree) not in self.pools for degree in "123"):
                raise self.fault((*path, deed), "a deed has a sign and texts for the degrees 1, 2 and 3")

    def _ages(self, path: Path, value: Any) -> None:
        for age, texts in self._mapping(path, value, AGES):
            self._pool((*path, age), texts, frozenset())

    def _rules(self, path: Path, value: Any) -> None:
        for rule, texts in self._mapping(path, value):
            self._pool((*path, rule), texts, frozenset(("name",)))
            if all(t.need or t.bar or t.either for t in self.pools[(*path, rule)]):
                raise self.fault((*path, rule), "a rule needs at least one text without conditions")

    def _fallback(self, path: Path, value: Any) -> None:
        for number, texts in self._mapping(path, value, ("1", "2", "3")):
            self._pool((*path, number), texts, frozenset())

    def _topics(self, path: Path, value: Any) -> None:
        for key, topic in self._mapping(path, value):
            here = (*path, key)
            known = self.topics.get(key)
            parts = dict(self._mapping(here, topic, ("name", "words", "suits", "say", "reply", "questions")))
            if known is None and not {"name", "say", "reply"} <= parts.keys():
                raise self.fault(here, "a topic has a `name`, and texts to `say` and to `reply`")
            for part in ("say", "reply"):
                if part in parts:
                    self._pool((*here, part), parts[part], _SLOTS)
            asked = self._questions((*here, "questions"), key, parts.get("questions", {}))
            words = tuple(self._strings((*here, "words"), parts.get("words", [])))
            suits = frozenset(self._strings((*here, "suits"), parts.get("suits", [])))
            for condition in suits:
                self._condition((*here, "suits"), condition)
            self.topics[key] = Topic(
                key, str(parts.get("name", known.name if known else key)),
                (known.words if known else ()) + words,
                (known.suits if known else frozenset()) | suits,
                tuple(dict.fromkeys((known.questions if known else ()) + asked)),
            )  # fmt: skip

    def _questions(self, path: Path, topic: str, value: Any) -> tuple[str, ...]:
        for key, question in self._mapping(path, value):
            here = (*path, key)
            parts = dict(self._mapping(here, question, ("ask", "asked", "answers")))
            number = f"{topic}.{key}"
            if number not in self.questions:
                if not isinstance(parts.get("asked"), str) or not {"ask", "answers"} <= parts.keys():
                    raise self.fault(here, "a question has texts to `ask`, a clause `asked`, and `answers`")
                self.questions[number] = Question(number, topic, parts["asked"])
            for part in ("ask", "answers"):
                if part in parts:
                    self._pool((*path, key, part), parts[part], _SLOTS)
            for manner in MANNERS:
                tags = {manner}
                if not any(t.fits(tags) for t in self.pools.get((*here, "answers"), ())):
                    raise self.fault((*here, "answers"), f"nothing can be answered in a {manner} manner")
        return tuple(f"{topic}.{key}" for key in value)

    # Leaves.

    def _mapping(
        self, path: Path, value: Any, allowed: Sequence[str] | None = None
    ) -> Iterator[tuple[str, Any]]:
        if not isinstance(value, Mapping):
            raise self.fault(path, "here stands a mapping")
        for key, inner in value.items():
            if allowed is not None and key not in allowed:
                raise self.fault((*path, str(key)), f"not known here; known are {', '.join(allowed)}")
            if allowed is None and not (isinstance(key, str) and _KEY.fullmatch(key)):
                raise self.fault((*path, str(key)), "names are of a-z, 0-9 and _, and begin with a letter")
            yield key, inner

    def _strings(self, path: Path, value: Any) -> Iterator[str]:
        if not isinstance(value, list | tuple):
            raise self.fault(path, "here stands a list of texts")
        for number, text in enumerate(value):
            if not isinstance(text, str) or not text.strip():
                raise self.fault((*path, str(number)), "here stands a text, not empty")
            yield text

    def _mannered(
        self, path: Path, manner: str, rest: Path, texts: Any, slots: frozenset[str] = _SLOTS
    ) -> None:
        for each in MANNERS if manner == "any" else (manner,):
            self._pool((*path, each, *rest), texts, slots)

    def _pool(self, path: Path, texts: Any, slots: frozenset[str]) -> None:
        found = tuple(
            self._template((*path, str(number)), text, slots)
            for number, text in enumerate(self._strings(path, texts))
        )
        before = () if self.replace and path not in self.at else self.pools.get(path, ())
        self.pools[path] = before + found
        self.at[path] = self.name

    def _template(self, path: Path, text: str, slots: frozenset[str]) -> Template:
        found = _TEMPLATE.fullmatch(text)
        if found is None or not found[2]:
            raise self.fault(path, "there is nothing to say")
        need, bar, either = self._conditions(path, found[1] or "")
        pieces = _pieces(found[2])
        for kind, value in pieces:
            if kind == _TEXT and any(mark in value for mark in "{}#[]"):
                raise self.fault(path, f"a brace, a hash or a bracket is left over in {value!r}")
            if kind in (_SLOT, _SLOT_CAPITAL):
                if value not in slots:
                    raise self.fault(
                        path, f"there is no slot {{{value}}} here; there are {', '.join(sorted(slots))}"
                    )
                needed = _GUARANTEES.get(value, frozenset())
                if not needed <= need:
                    raise self.fault(path, f"{{{value}}} needs the condition {', '.join(needed)}")
        return Template(
            need, bar, either, pieces, _pieces(contracted(found[2])), found[3],
            1.0 + 1.5 * len(need - {*MANNERS, "told", "good", "bad"}) + 0.75 * len(either),
        )  # fmt: skip

    def _conditions(
        self, path: Path, text: str
    ) -> tuple[frozenset[str], frozenset[str], tuple[frozenset[str], ...]]:
        need, bar, either = set(), set(), []
        for word in text.replace(",", " ").split():
            if word.startswith("!"):
                bar.add(self._condition(path, word[1:]))
            elif "|" in word:
                either.append(frozenset(self._condition(path, part) for part in word.split("|")))
            else:
                need.add(self._condition(path, word))
        return frozenset(need), frozenset(bar), tuple(either)

    def _condition(self, path: Path, word: str) -> str:
        if word not in CONDITIONS and not (word.startswith(FREE) and not word.endswith(":")):
            raise self.fault(path, f"there is no condition {word!r}")
        return word

    # Checks of the whole.

    def _check_rules(self) -> None:
        rules = {path[1] for path in self.pools if path[0] == "rules"}
        uses: dict[str, set[str]] = {}
        for path, pool in self.pools.items():
            used = {value for t in pool for kind, value in t.pieces if kind in (_RULE, _RULE_CAPITAL)}
            self.name = self.at.get(path, "built-in texts")
            for rule in sorted(used - rules):
                raise self.fault(path, f"there is no rule #{rule}#")
            if path[0] == "rules":
                uses[path[1]] = used
        done: set[str] = set()
        while ready := {rule for rule, used in uses.items() if rule not in done and used <= done}:
            done |= ready
        for rule in sorted(uses.keys() - done):
            self.name = self.at.get(("rules", rule), "built-in texts")
            raise self.fault(("rules", rule), f"#{rule}# leads back to itself")

    def _check_enough(self, intents: Mapping[tuple[str, str], Sequence[str]]) -> None:
        for part in PARTS:
            for kind in (*TYPES, "any"):
                if not intents.get((part, kind)):
                    raise invalid("grammar", f"lines.{part}.{kind}", "there is nothing to say")
        for (part, kind), meant in intents.items():
            for intent in meant:
                for manner in MANNERS:
                    path = ("lines", part, kind, manner, intent)
                    self._enough(path, _LEAST if kind in (*TYPES, "any") else 1)
        for number in "123":
            self._enough(("fallback", number), 10)
        for age in AGES:
            self._enough(("ages", age), 1)
        for extra in EXTRAS:
            for manner in MANNERS:
                self._enough(("extras", extra, manner), 0 if extra in ("place", "hour", "mood") else 2)
        for frame in (*TURNS, *TOLD):
            self._enough(("tell", frame), 2)
            self._enough(("share", frame), 0)

    def _enough(self, path: Path, least: int) -> None:
        always = [t for t in self.pools.get(path, ()) if not (t.need or t.bar or t.either)]
        if len(always) < least:
            self.name = next((name for at, name in self.at.items() if at[:3] == path[:3]), "grammar")
            raise self.fault(
                path, f"{len(always)} variants without conditions are too few; it takes at least {least}"
            )


def _others(turn: str) -> frozenset[str]:
    return frozenset(("other",)) if "third" in turn else frozenset()


def _frame_slots(turn: str) -> frozenset[str]:
    if turn in (*TURNS, "refused"):
        return _MEMORY | _others(turn)
    if turn in ("told", "hearsay", "from_you"):
        return _MEMORY | ({"teller"} if turn == "told" else frozenset())
    return frozenset(("text", "age")) | ({"teller"} if turn == "text_told" else frozenset())
