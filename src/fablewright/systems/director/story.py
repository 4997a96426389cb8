"""A span of a world's time as readable prose: by day, part of the day and place, with the events it rests on.

Apart from `views.py` since it tells what stands in the log. Which of several phrasings is used depends on the `seq`
alone, so that the same events always read the same.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final
from uuid import UUID

import orjson
from pydantic import BaseModel, Field

from fablewright.core import log
from fablewright.core.clock import DAY, Calendar
from fablewright.core.log import Filter
from fablewright.core.refusal import INVALID, Refusal
from fablewright.systems.director.rules import hour_of
from fablewright.systems.director.why import names_of

STORY_SPAN_INVALID = Refusal(
    "story_span_invalid", INVALID, "A story goes from an earlier to a later time, over 40 world days at most."
)
LONGEST: Final = 40 * DAY
MOST_EVENTS: Final = 2_000
"""Events that one story rests on at most; it then says how far it is complete."""
MOST_WINDOWS: Final = 10
MOST_SENTENCES: Final = 8
"""Sentences of one paragraph; the most telling ones are kept."""
MOST_NAMES: Final = 6
MOST_QUOTE: Final = 140
MOST_SEQS: Final = 50
TYPES: Final = (
    "dialogue.interacted", "director.arc_started", "director.arc_rose", "director.arc_resolved",
    "characters.character_created", "characters.character_deleted",
)  # fmt: skip
MERGED: Final[Mapping[str, str]] = {"greeting": "talk", "chat": "talk", "collaboration": "work"}
WEIGHT: Final[Mapping[str, float]] = {
    "talk": 0.15, "work": 0.2, "tease": 0.3, "praise": 0.3, "ask_for_help": 0.35, "gossip": 0.35, "other": 0.5,
    "label": 0.55, "gift": 0.6, "joined": 0.65, "confide": 0.7, "arc_rose": 0.75, "conflict": 0.8, "apology": 0.85,
    "threaten": 0.9, "event": 0.9, "arc_started": 0.95, "arc_resolved": 1.0,
}  # fmt: skip
"""How telling each kind of sentence is, 0..1."""
QUOTED: Final = frozenset({"conflict", "threaten", "apology", "gift", "confide", "praise"})


@cache
def texts() -> Mapping[str, Any]:
    """The phrases of `data/story.json`."""
    found: Mapping[str, Any] = orjson.loads(
        resources.files(__package__).joinpath("data/story.json").read_bytes()
    )
    return found


class Paragraph(BaseModel):
    """What happened at one place in one part of a day."""

    date: str = Field(examples=["3 Harvest, year 2"])
    part: str = Field(description="night, morning, noon, afternoon or evening.")
    place: str | None = Field(None, description="The name of the place; null for what belongs to none.")
    text: str
    seqs: list[int] = Field(description="The events it rests on, at most 50 of them.")


class StoryView(BaseModel):
    """A span of a world's time as prose. It tells all that you may see up to `complete_to`."""

    from_ms: int = Field(description="World time.")
    to_ms: int = Field(description="World time; excluded.")
    complete_to: int = Field(
        description="World time up to which it tells all; go on from there if it is less."
    )
    up_to: int = Field(description="The last position of the log that was looked at: the next `after`.")
    paragraphs: list[Paragraph]


# -- reading ---------------------------------------------------------------------------------------------------


async def story(
    connection: Any,
    world_id: UUID,
    from_ms: int,
    to_ms: int,
    calendar: Calendar,
    reader: Filter,
    after: int = 0,
) -> StoryView:
    """The story of a span, as far as the reader may know it, from the position `after` of the log on.

    Refuses `story_span_invalid`.
    """
    if not 0 < to_ms - from_ms <= LONGEST:
        raise STORY_SPAN_INVALID(from_ms=from_ms, to_ms=to_ms, longest_ms=LONGEST)
    after = max(after, await _before(connection, world_id, from_ms))
    wanted = Filter(TYPES, (), reader.principals)
    rows: list[Any] = []
    complete_to = from_ms
    for _ in range(MOST_WINDOWS):
        part = await log.read(connection, world_id, after, MOST_EVENTS - len(rows), wanted)
        rows += part.rows
        after = part.up_to
        if after >= part.head or (rows and rows[-1]["at"] >= to_ms):
            complete_to = to_ms
            break
        complete_to = rows[-1]["at"] if rows else from_ms
        if len(rows) >= MOST_EVENTS:
            break
    told = [row for row in rows if from_ms <= row["at"] < to_ms]
    happened = [Happened(row["seq"], row["id"], row["type"], row["at"], row["causation_id"], orjson.loads(row["data"]))
                for row in told]  # fmt: skip
    names = await names_of(connection, world_id, {UUID(i) for h in happened for i in _named(h.data)})
    return StoryView(
        from_ms=from_ms, to_ms=to_ms, complete_to=min(complete_to, to_ms), up_to=after,
        paragraphs=tell(happened, names, calendar),
    )  # fmt: skip


async def _before(connection: Any, world_id: UUID, at: int) -> int:
    """The last position of the log whose event is before a world time: times grow with the positions."""
    low, high = 0, await log.head_of(connection, world_id)
    while low < high:
        middle = (low + high + 1) // 2
        found = await connection.fetchval(
            "SELECT at FROM events WHERE world_id = $1 AND seq = $2", world_id, middle
        )
        if found is not None and found < at:
            low = middle
        else:
            high = middle - 1
    return low


def _named(data: Mapping[str, Any]) -> Iterable[str]:
    """The ids in an event that a sentence may name."""
    for field in ("initiator_id", "target_id", "character_id", "place_id"):
        if data.get(field):
            yield data[field]


# -- telling ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Happened:
    """An event as the story needs it."""

    seq: int
    id: UUID
    type: str
    at: int
    causation_id: UUID
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Sentence:
    """A clause or a whole sentence, where it stands in the order of events, and how telling it is (0..1)."""

    text: str
    seqs: tuple[int, ...]
    weight: float
    whole: bool = False


def tell(happened: Sequence[Happened], names: Mapping[str, str], calendar: Calendar) -> list[Paragraph]:
    """The paragraphs for these events, in the order in which they begin."""
    places = {h.id: h.data.get("place_id") for h in happened if h.type == "dialogue.interacted"}
    groups: dict[tuple[str, str, str | None], list[Happened]] = defaultdict(list)
    for h in happened:
        place = h.data.get("place_id") or places.get(h.causation_id)
        groups[calendar.read(h.at).rsplit(", ", 1)[0], part_of_day(h.at, calendar), place].append(h)
    found = []
    for (date, part, place), members in groups.items():
        name = names.get(place) if place else None
        sentences = _sentences(members, names)
        if sentences:
            seqs = sorted({seq for s in sentences for seq in s.seqs})[:MOST_SEQS]
            found.append(Paragraph(date=date, part=part, place=name, text=_prose(sentences, name), seqs=seqs))
    return found


def part_of_day(world_ms: int, calendar: Calendar) -> str:
    """night, morning, noon, afternoon or evening."""
    hour = hour_of(world_ms, calendar.hours_per_day, calendar.start_hour)
    return str(next(name for end, name in texts()["parts"] if hour < end))


def variant(options: Sequence[str], seq: int) -> str:
    """One of the phrasings, always the same for a position of the log."""
    return options[(seq * 2_654_435_761 >> 8) % len(options)]


def _sentences(members: Sequence[Happened], names: Mapping[str, str]) -> list[Sentence]:
    """What is told of these events: the most telling, in their order."""
    found = [*_together(members, names), *_labels(members, names)]
    deeds: dict[tuple[str, str, str, str], list[Happened]] = defaultdict(list)
    people: dict[str, list[Happened]] = defaultdict(list)
    for h in members:
        if h.type == "dialogue.interacted":
            if h.data["type"] not in MERGED:
                outcome = {True: "yes", False: "no", None: "open"}[h.data.get("accepted")]
                deeds[h.data["type"], outcome, h.data["initiator_id"], h.data["target_id"]].append(h)
        elif h.type.startswith("director.arc_"):
            kind = "joined" if h.data.get("joined_id") else h.type.removeprefix("director.")
            found.append(Sentence(h.data["title"], (h.seq,), WEIGHT[kind], whole=True))
        else:
            people[h.type].append(h)
    found += [_deed(key, done, names) for key, done in deeds.items()]
    for kind, done in people.items():
        who = listed([names.get(h.data["character_id"], h.data.get("name", "somebody")) for h in done])
        seqs = tuple(h.seq for h in done)
        found.append(
            Sentence(variant(texts()["events"][kind], seqs[0]).format(all=who), seqs, WEIGHT["event"])
        )
    found.sort(key=lambda s: (-s.weight, s.seqs))
    return sorted(found[:MOST_SENTENCES], key=lambda s: s.seqs[0])


def _together(members: Sequence[Happened], names: Mapping[str, str]) -> list[Sentence]:
    """Small talk and work, merged: one sentence for each circle of people who had to do with each other."""
    found = []
    for kind in ("talk", "work"):
        pairs: dict[frozenset[str], list[int]] = defaultdict(list)
        for h in members:
            if h.type == "dialogue.interacted" and MERGED.get(h.data["type"]) == kind:
                pairs[frozenset((h.data["initiator_id"], h.data["target_id"]))].append(h.seq)
        for circle in _circles(pairs):
            seqs = sorted(seq for pair, told in pairs.items() if pair <= circle for seq in told)
            who = sorted((names.get(i, "somebody") for i in circle), key=str.casefold)
            if len(who) == 2:
                times = texts()["talk"]["times"]
                often = times.get(str(len(seqs)), times["more"])
                text = variant(texts()[kind]["pair"], seqs[0]).format(a=who[0], b=who[1], times=often)
            else:
                text = variant(texts()[kind]["group"], seqs[0]).format(all=listed(who))
            found.append(Sentence(text, tuple(seqs), WEIGHT[kind] + 0.01 * min(5, len(seqs))))
    return found


def _circles(pairs: Iterable[frozenset[str]]) -> list[frozenset[str]]:
    """The groups into which pairs hang together."""
    circles: list[frozenset[str]] = []
    for pair in pairs:
        joined = [c for c in circles if c & pair]
        circles = [c for c in circles if not c & pair]
        circles.append(frozenset().union(pair, *joined))
    return circles


def listed(names: Sequence[str]) -> str:
    """Names in a row: `Ada, Ben and Cyd`; many are cut short."""
    if len(names) > MOST_NAMES:
        return f"{', '.join(names[: MOST_NAMES - 1])} and {len(names) - MOST_NAMES + 1} others"
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def _deed(key: tuple[str, str, str, str], done: Sequence[Happened], names: Mapping[str, str]) -> Sentence:
    """What one did to the other, once or several times."""
    kind, outcome, initiator, target = key
    phrasings = texts()["deeds"].get(kind, texts()["deeds"]["other"])
    if isinstance(phrasings, Mapping):
        phrasings = phrasings[outcome]
    first = done[0]
    words = {
        "a": names.get(initiator, "somebody"),
        "b": names.get(target, "somebody"),
        "type": kind.replace("_", " "),
    }
    text = variant(phrasings, first.seq).format(**words)
    if len(done) > 1:
        again = texts()["again"]
        text += again.get(str(len(done)), again["more"]).format(n=len(done))
    elif kind in QUOTED and text.startswith(words["a"]):
        text += _quoted(first)
    return Sentence(text, tuple(h.seq for h in done), WEIGHT.get(kind, WEIGHT["other"]))


def _quoted(h: Happened) -> str:
    """What was said, for every other deed, if it is short."""
    content = h.data.get("content") or ""
    if not 0 < len(content) <= MOST_QUOTE or h.seq % 2 or "\n" in content:
        return ""
    return variant(texts()["quote"], h.seq).format(content=content.replace("“", "‘").replace("”", "’"))


def _labels(members: Sequence[Happened], names: Mapping[str, str]) -> list[Sentence]:
    """What people have become to each other: one sentence for what is so in both directions."""
    gained: dict[tuple[str, str, str], int] = {}
    found = []
    for h in members:
        for tie in h.data.get("ties", ()) if h.type == "dialogue.interacted" else ():
            pair = tie["source_id"], tie["target_id"]
            gained.update({(*pair, label): h.seq for label in tie.get("labels_gained", ())})
            found += [
                _label("unlabel", *pair, label, (h.seq,), names) for label in tie.get("labels_lost", ())[:1]
            ]
    for (source, target, label), seq in gained.items():
        back = gained.get((target, source, label))
        if back is None:
            found.append(_label("label", source, target, label, (seq,), names))
        elif source < target:
            found.append(_label("mutual", source, target, label, tuple(sorted({seq, back})), names))
    return found


def _label(
    key: str, source: str, target: str, label: str, seqs: tuple[int, ...], names: Mapping[str, str]
) -> Sentence:
    words = {
        "a": names.get(source, "somebody"), "b": names.get(target, "somebody"),
        "label": texts()["labels"].get(label, label), "labels": texts()["plural"].get(label, label),
    }  # fmt: skip
    return Sentence(variant(texts()[key], seqs[0]).format(**words), seqs, WEIGHT["label"])


THEN: Final = ("", "", "Then ", "", "Later ", "After that ", "")


def _prose(sentences: Sequence[Sentence], place: str | None) -> str:
    """The sentences as a paragraph that begins with the place."""
    lines, begun = [], Counter[str]()
    for number, s in enumerate(sentences):
        text = s.text
        if number == 0 and place and not s.whole:
            text = f"{texts()['place']['at'].format(place=_lowered(place))}, {text}"
        elif number > 0 and not s.whole:
            opener = variant(THEN, s.seqs[0])
            if opener and not begun[opener]:
                begun[opener] += 1
                text = opener + text
        lines.append(text[0].upper() + text[1:] + ("" if text[-1] in ".!?”" else "."))
    return " ".join(lines)


def _lowered(place: str) -> str:
    return place[0].lower() + place[1:] if place.startswith(("The ", "A ", "An ")) else place
