"""Why something happened: the sentence for a choice, and the chain of causes behind any event.

Apart from `views.py` since it reads the log, not the director's tables.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any, Final
from uuid import UUID

import orjson
from pydantic import BaseModel, Field

from fablewright.core import log
from fablewright.core.clock import DAY, HOUR, MINUTE, elapsed
from fablewright.core.log import Filter
from fablewright.core.refusal import NOT_FOUND, Refusal
from fablewright.systems.director import chronicle, tellings
from fablewright.systems.director.options import PARTS, Option
from fablewright.systems.director.rules import Npc

EVENT_NOT_FOUND = Refusal(
    "event_not_found", NOT_FOUND, "There is no event with this `seq` that you may see. Look it up in the log."
)
MOST_CAUSES: Final = 60
"""How far back a chain of causes is followed."""
COMMAND_WITHIN: Final = 25_000
"""How many positions before an event the first event of its command is looked for."""
LEAST_PART: Final = 0.02
MOST_REASONS: Final = 3


@cache
def phrases() -> Mapping[str, Any]:
    """The words of `data/because.json`."""
    found: Mapping[str, Any] = orjson.loads(
        resources.files(__package__).joinpath("data/because.json").read_bytes()
    )
    return found


# -- the sentence for a choice ---------------------------------------------------------------------------------


def because(
    npc: Npc, option: Option, names: Mapping[UUID, str], places: Mapping[UUID, Any], now: int, hour: float
) -> str:
    """One sentence that says why somebody chose this: its weightiest parts with their sizes."""
    words = {
        "other": names.get(option.with_id, "somebody") if option.with_id else "somebody",
        "place": _place(option.to_id, places), "here": _place(npc.place_id, places),
        "lonely": span(elapsed(npc.company_at or now, now)), "apart": span(elapsed(option.met_at or now, now)),
        "type": option.type or option.act,
    }  # fmt: skip
    acts = phrases()["acts"]
    kind = option.type if option.act == "interact" else option.act
    deed = acts.get(kind, acts["interact"]).format(**words)
    parts = sorted(zip(PARTS, option.parts, strict=True), key=lambda part: -part[1])
    told = [(name, value) for name, value in parts if value >= LEAST_PART][:MOST_REASONS]
    reasons = [
        f"{_reason(name, npc, option, now, hour).format(**words)} ({value:.2f})" for name, value in told
    ]
    return f"{npc.name} {deed}{_joined(npc.name, reasons)}."


def _place(place_id: UUID | None, places: Mapping[UUID, Any]) -> str:
    place = places.get(place_id) if place_id else None
    return place.name if place else "another place"


def _joined(name: str, reasons: Sequence[str]) -> str:
    if not reasons:
        return " for no particular reason"
    first = reasons[0] if reasons[0].startswith(("it was", "the ")) else f"{name} {reasons[0]}"
    if len(reasons) == 1:
        return f" because {first}"
    return f" because {first}{''.join(', ' + r for r in reasons[1:-1])} and {reasons[-1]}"


def span(ms: int) -> str:
    """A span of world time in words: `half a day`."""
    for least, words in (
        (3 * DAY, f"{ms // DAY} days"), (2 * DAY, "two days"), (DAY, "a day"), (10 * HOUR, "half a day"),
        (2 * HOUR, f"{ms // HOUR} hours"), (HOUR, "an hour"), (20 * MINUTE, "a while"),
    ):  # fmt: skip
        if ms >= least:
            return words
    return "a moment"


def _reason(part: str, npc: Npc, option: Option, now: int, hour: float) -> str:
    """The phrase for a part, with its slots open."""
    if part == "tie":
        return _tie(option)
    if part == "need":
        return str(phrases()["need"][_need(npc, option, now)])
    find = {
        "mood": _mood,
        "novelty": _novelty,
        "goal": _goal,
        "place": _where,
        "arc": _arc,
    }.get(part)
    known: Mapping[str, str] = phrases()[part]
    return known[_when(option, hour) if find is None else find(npc, option)]


def _novelty(_: Npc, option: Option) -> str:
    return "tale" if option.memory_id else "strange"


def _where(npc: Npc, option: Option) -> str:
    if option.with_id is None:
        return "near"
    return "here" if npc.place_id else "nowhere"


def _arc(_: Npc, option: Option) -> str:
    return option.arc_kind if option.arc_kind is not None and option.arc_kind in phrases()["arc"] else "other"


def _when(option: Option, hour: float) -> str:
    if option.act in ("sleep", "wake"):
        return option.act
    times = ((5.0, "night"), (10.0, "morning"), (17.0, "day"), (22.0, "evening"), (24.0, "night"))
    return next(name for end, name in times if hour < end)


def _need(npc: Npc, option: Option, now: int) -> str:
    if option.act == "wake":
        return "rested"
    if option.act in ("sleep", "rest") or option.type == "ask_for_help":
        return "tired"
    if npc.needs.esteem > npc.needs.company:
        return "esteem"
    long = npc.company_at is not None and elapsed(npc.company_at, now) >= 2 * HOUR
    return "company" if long else "lonely"


def _tie(option: Option) -> str:
    strength, familiarity = option.feeling
    if option.type == "greeting" and strength < 0.25 and (option.met_at is not None or familiarity < 0.05):
        return str(phrases()["apart_new" if option.met_at is None else "apart"])
    if familiarity < 0.1 and abs(strength) < 0.1:
        return str(phrases()["stranger"])
    return str(next(words for least, words in phrases()["tie"] if strength >= least))


def _mood(npc: Npc, _: Option) -> str:
    if npc.pleasure > 0.1:
        return "cheer"
    if npc.pleasure < -0.1:
        return "anger" if npc.arousal > 0.0 else "gloom"
    return "lively" if npc.arousal > 0.1 else "calm"


def _goal(npc: Npc, option: Option) -> str:
    if option.act == "walk":
        return "sought"
    if option.memory_id is not None and any(
        w.kind == "ruin" and w.about_id != option.with_id for w in npc.goals
    ):
        return "gossip"
    for wish in npc.goals:
        if wish.about_id == option.with_id and wish.kind in phrases()["goal"]:
            return wish.kind
    return next((w.kind for w in npc.goals if w.about_id is None and w.kind in phrases()["goal"]), "other")


# -- the chain of causes ---------------------------------------------------------------------------------------


class Cause(BaseModel):
    """A link of the chain: an event that the reader may see, or the command behind it."""

    kind: str = Field(description="`event`, `command` (somebody gave it), `timer` (it fell due) or `hidden`.")
    seq: int | None = Field(None, description="Of events: the position in the log.")
    id: UUID
    type: str | None = Field(None, description="Of the event or command.")
    at: int | None = Field(None, description="World time in ms.")
    actor: str | None = None
    sentence: str


class WhyView(BaseModel):
    """Why an event happened. `options`, `chosen` and `because` tell the choice behind it, if there was one."""

    seq: int
    type: str
    sentence: str
    because: str | None = Field(None, description="One sentence: what weighed most.")
    choice_seq: int | None = Field(None, description="Where in the log the choice stands.")
    chosen: int | None = Field(None, description="Which of the options it was, counted from 0.")
    options: list[dict[str, Any]] = Field([], description="The options weighed, each with its parts.")
    causes: list[Cause] = Field(description="From the event's own cause back to where it began.")
    complete: bool = Field(description="Whether the chain reaches its beginning.")


async def why(connection: Any, world_id: UUID, seq: int, reader: Filter) -> WhyView:
    """Why the event at `seq` happened, as far as the reader may know. Refuses `event_not_found`."""
    found = await log.read(connection, world_id, seq - 1, 1, reader, until=seq)
    if not found.rows:
        raise EVENT_NOT_FOUND(seq=seq)
    event = found.rows[0]
    rows = [event]
    while len(rows) <= MOST_CAUSES:
        cause = await _by_id(connection, world_id, rows[-1]["causation_id"], reader)
        if cause is None:
            break
        rows.append(cause)
    names = await _names(connection, world_id, rows)
    causes = [_of_event(row, names) for row in rows[1:]]
    complete = len(rows) <= MOST_CAUSES
    if complete:
        causes.append(await _beginning(connection, world_id, rows[-1], reader))
        complete = causes[-1].kind != "hidden"
    view = WhyView(
        seq=event["seq"], type=event["type"], sentence=sentence(event["type"], orjson.loads(event["data"]), names),
        causes=causes, complete=complete,
    )  # fmt: skip
    choice = next((row for row in rows if row["type"] in CHOICES), None)
    if choice is None:
        return view
    data = orjson.loads(choice["data"])
    return view.model_copy(update={
        "because": data["because"], "choice_seq": choice["seq"], "chosen": data["chosen"], "options": data["options"],
    })  # fmt: skip


async def _by_id(connection: Any, world_id: UUID, event_id: UUID, reader: Filter) -> Any:
    condition, values = reader.where(3)
    return await connection.fetchrow(
        f"SELECT {log.COLUMNS} FROM events WHERE world_id = $1 AND id = $2{condition}",  # noqa: S608
        world_id, event_id, *values,
    )  # fmt: skip


async def _beginning(connection: Any, world_id: UUID, row: Any, reader: Filter) -> Cause:
    """What the first event of a chain came of: a command, told by the first event that carries it."""
    carrier = row
    if not row["command"]:
        condition, values = reader.where(5)
        carrier = await connection.fetchrow(
            f"SELECT {log.COLUMNS} FROM events WHERE world_id = $1 AND seq BETWEEN $2 AND $3 "  # noqa: S608
            f"AND command ->> 'id' = $4{condition} ORDER BY seq LIMIT 1",
            world_id, row["seq"] - COMMAND_WITHIN, row["seq"], str(row["causation_id"]), *values,
        )  # fmt: skip
    command = orjson.loads(carrier["command"]) if carrier else None
    if command is None or command["id"] != str(row["causation_id"]):
        return Cause(
            kind="hidden", id=row["causation_id"], sentence="It came of something that is not to be seen."
        )
    actor, name = command["actor"], command["type"]
    values_ = {"id": row["causation_id"], "type": name, "at": row["at"], "actor": actor}
    if name.startswith("core.fire_timers"):
        return Cause(
            kind="timer", sentence=f"The world's clock: {command['payload']['kind']} fell due.", **values_
        )
    who = (
        "The server"
        if actor.startswith("system:")
        else "A user"
        if actor.startswith("user:")
        else "A program"
    )
    return Cause(kind="command", sentence=f"{who} gave the command {name}.", **values_)


def _of_event(row: Any, names: Mapping[str, str]) -> Cause:
    return Cause(
        kind="event", seq=row["seq"], id=row["id"], type=row["type"], at=row["at"], actor=row["actor"],
        sentence=sentence(row["type"], orjson.loads(row["data"]), names),
    )  # fmt: skip


NAMED: Final = (
    "initiator_id",
    "character_id",
    "actor_id",
    "with_id",
    "source_id",
    "place_id",
    *chronicle.NAMED,
    *tellings.NAMED,
)
CHOICES: Final = frozenset({"director.chose", "director.faction_decided"})
"""Events that tell the options that were weighed."""


async def _names(connection: Any, world_id: UUID, rows: Sequence[Any]) -> dict[str, str]:
    """The names of the characters and places that these events name in their main fields, by id."""
    data = [orjson.loads(row["data"]) for row in rows]
    ids = {UUID(d[field]) for d in data for field in NAMED if isinstance(d.get(field), str)}
    return await names_of(connection, world_id, ids)


async def names_of(connection: Any, world_id: UUID, ids: set[UUID]) -> dict[str, str]:
    """The names of characters, factions, regions and places, also of those that are no more, by id as text."""
    rows = await connection.fetch(
        "SELECT id, name FROM characters WHERE world_id = $1 AND id = ANY($2::uuid[]) "
        "UNION ALL SELECT id, name FROM places WHERE world_id = $1 AND id = ANY($2::uuid[]) "
        "UNION ALL SELECT id, name FROM factions WHERE world_id = $1 AND id = ANY($2::uuid[]) "
        "UNION ALL SELECT id, name FROM regions WHERE world_id = $1 AND id = ANY($2::uuid[])",
        world_id, sorted(ids),
    )  # fmt: skip
    return {str(row["id"]): row["name"] for row in rows}


def sentence(kind: str, data: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """An event in a sentence."""

    def name(field: str) -> str:
        return names.get(str(data.get(field)), "somebody")

    tell = SENTENCES.get(kind) or (_arc_title if kind.startswith("director.arc_") else None)
    return f"{kind.replace('.', ': ').replace('_', ' ')}." if tell is None else tell(data, name)


Naming = Callable[[str], str]


def _interacted(data: Mapping[str, Any], name: Naming) -> str:
    acts = phrases()["acts"]
    deed = acts.get(data["type"], acts["interact"]).format(other=name("target_id"), type=data["type"])
    return f"{name('initiator_id')} {deed}."


def _status(data: Mapping[str, Any], name: Naming) -> str:
    states = {"asleep": "fell asleep", "active": "woke up", "away": "went away"}
    return f"{name('character_id')} {states.get(data['status'], data['status'])}."


def _arc_title(data: Mapping[str, Any], _: Naming) -> str:
    return str(data["title"])


SENTENCES: Final[Mapping[str, Callable[[Mapping[str, Any], Naming], str]]] = {
    **chronicle.SENTENCES,
    **tellings.SENTENCES,
    "dialogue.interacted": _interacted,
    "director.chose": lambda data, _: str(data["because"]),
    "characters.status_changed": _status,
}
