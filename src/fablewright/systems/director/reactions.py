"""What the director makes of what happens: needs and arcs after interactions, and beats when somebody wakes."""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any, Final
from uuid import UUID

import orjson

from fablewright.core.system import Reaction
from fablewright.core.transaction import EventRecord, Transaction
from fablewright.systems.characters.events import (
    CharacterCreated,
    CharacterDeleted,
    CharacterUpdated,
    ControlChanged,
    StatusChanged,
)
from fablewright.systems.characters.rules import Traits
from fablewright.systems.dialogue.events import Interacted
from fablewright.systems.diplomacy import treaty_events as treaties
from fablewright.systems.diplomacy import war_events as wars
from fablewright.systems.director import arcs, councils, rules
from fablewright.systems.director.arcs import ArcState, Board, Change, Feeling, Happening
from fablewright.systems.director.events import ArcResolved, ArcRose, ArcStarted
from fablewright.systems.director.rules import Needs
from fablewright.systems.director.scene import ARC, arc_of
from fablewright.systems.director.service import rouse

MOST_FADING: Final = 50
"""Arcs that one beat ends because nothing has happened in them for long."""

# The characters are locked by the interaction that this reacts to, so their needs cannot change meanwhile.
PEOPLE: Final = """
SELECT c.id, c.name, c.openness, c.conscientiousness, c.extraversion, c.agreeableness, c.neuroticism,
       c.goals::text AS goals, n.company, n.esteem, n.at
FROM directors d JOIN characters c ON c.world_id = d.world_id AND c.id = ANY($2::uuid[])
LEFT JOIN needs n ON n.world_id = c.world_id AND n.id = c.id
WHERE d.world_id = $1 AND d.enabled ORDER BY c.id
"""
WRITE_NEEDS: Final = """
INSERT INTO needs (world_id, id, company, esteem, at)
SELECT $1, v.* FROM unnest($2::uuid[], $3::float8[], $4::float8[], $5::bigint[]) AS v (id, company, esteem, at)
ORDER BY v.id
ON CONFLICT (world_id, id) DO UPDATE SET company = excluded.company, esteem = excluded.esteem, at = excluded.at
"""
# Locked, in the order of their ids: an arc that one batch ends must not be written open again by another.
OPEN: Final = f"""
SELECT {ARC} FROM arcs WHERE world_id = $1 AND resolved_at IS NULL
     AND (first_id = ANY($2::uuid[]) OR second_id = ANY($2::uuid[]))
ORDER BY id FOR NO KEY UPDATE
"""  # noqa: S608
QUIET: Final = f"""
SELECT {ARC} FROM arcs WHERE world_id = $1 AND resolved_at IS NULL AND changed_at <= $2 - (
    SELECT v.ms FROM unnest($3::text[], $4::bigint[]) AS v (kind, ms) WHERE v.kind = arcs.kind)
ORDER BY id LIMIT $5 FOR NO KEY UPDATE SKIP LOCKED
"""  # noqa: S608
WRITE_ARCS: Final = """
INSERT INTO arcs (world_id, id, kind, stage, first_id, second_id, others, tension, turns, started_at, changed_at,
                  resolved_at, outcome, data)
SELECT $1, v.id, v.kind, v.stage, v.first_id, v.second_id, v.others::uuid[], v.tension, v.turns::uuid[], v.started_at,
       v.changed_at, v.resolved_at, v.outcome, v.data::jsonb
FROM unnest($2::uuid[], $3::text[], $4::text[], $5::uuid[], $6::uuid[], $7::text[], $8::float8[], $9::text[],
            $10::bigint[], $11::bigint[], $12::bigint[], $13::text[], $14::text[])
     AS v (id, kind, stage, first_id, second_id, others, tension, turns, started_at, changed_at, resolved_at, outcome,
           data)
ORDER BY v.id
ON CONFLICT (world_id, id) DO UPDATE SET
    stage = excluded.stage, others = excluded.others, tension = excluded.tension, turns = excluded.turns,
    changed_at = excluded.changed_at, resolved_at = excluded.resolved_at, outcome = excluded.outcome,
    data = excluded.data
"""


@cache
def titles() -> Mapping[str, Mapping[str, Sequence[str]]]:
    """The sentences of `data/arcs.json`."""
    found: Mapping[str, Mapping[str, Sequence[str]]] = orjson.loads(
        resources.files(__package__).joinpath("data/arcs.json").read_bytes()
    )
    return found


# -- after interactions ----------------------------------------------------------------------------------------


async def follow(tx: Transaction, records: list[EventRecord]) -> None:
    """Keep needs and arcs up with what happened between characters; nothing while the director is off."""
    told = [record for record in records if isinstance(record.event, Interacted)]
    ids = sorted({i for r in told for i in (r.event.initiator_id, r.event.target_id)})  # type: ignore[attr-defined]
    rows = {row["id"]: row for row in await tx.fetch(PEOPLE, tx.world_id, ids)}
    if not rows:
        return
    await _needs(tx, told, rows)
    await _arcs(tx, told, rows)


async def _needs(tx: Transaction, told: Sequence[EventRecord], rows: Mapping[UUID, Any]) -> None:
    """What everybody lacks after these interactions, with one statement."""
    lacks: dict[UUID, Needs] = {}
    for who, row in rows.items():
        before = (
            rules.first_needs(tx.now)
            if row["at"] is None
            else Needs(row["company"], row["esteem"], row["at"])
        )
        lacks[who] = before.now(tx.now, _traits(row))
    for record in told:
        event: Interacted = record.event  # type: ignore[assignment]
        for who, began in ((event.initiator_id, True), (event.target_id, False)):
            if who in lacks:
                lacks[who] = rules.met(lacks[who], event.type, began, turned_down=event.accepted is False)
    await tx.execute(
        WRITE_NEEDS, tx.world_id, list(lacks), [n.company for n in lacks.values()],
        [n.esteem for n in lacks.values()], [n.at for n in lacks.values()],
    )  # fmt: skip


def _traits(row: Any) -> Traits:
    return Traits(
        row["openness"],
        row["conscientiousness"],
        row["extraversion"],
        row["agreeableness"],
        row["neuroticism"],
    )


async def _arcs(tx: Transaction, told: Sequence[EventRecord], rows: Mapping[UUID, Any]) -> None:
    """Let these interactions go over the open arcs, store those that changed and tell what is worth telling."""
    happenings = [_happening(record, rows) for record in told]
    subjects = {h.subject_id for h in happenings if h.subject_id is not None}
    found = [arc_of(row) for row in await tx.fetch(OPEN, tx.world_id, sorted(subjects | rows.keys()))]
    room = 0
    if any(arcs.beginning(h) for h in happenings):
        room = arcs.MOST_PER_WORLD - await tx.fetchval(
            "SELECT count(*) FROM arcs WHERE world_id = $1 AND resolved_at IS NULL", tx.world_id
        )
    # What is over by now, but not yet ended by a beat, must not go on.
    changes = [change for arc in found if (change := arcs.faded(arc, tx.now)) is not None]
    over = {change.arc.id for change in changes}
    board = Board([arc for arc in found if arc.id not in over], tx.new_id, room)
    causes = {record.id: record for record in told}
    for happening in happenings:
        changes += board.tell(happening)
    await _write(tx, arcs.latest(changes).values())
    await _tell(tx, changes, causes, {i: row["name"] for i, row in rows.items()})


def _happening(record: EventRecord, rows: Mapping[UUID, Any]) -> Happening:
    event: Interacted = record.event  # type: ignore[assignment]
    there, back = event.ties[0], event.ties[1]
    swayed = tuple(
        (b.character_id, b.about_id, b.strength_after - b.strength_before) for b in event.bystanders
    )
    heard = [about for who, about, by in swayed if who == event.target_id and by < 0.0]
    goals = orjson.loads(rows[event.initiator_id]["goals"]) if event.initiator_id in rows else []
    wishes = frozenset(g["kind"] for g in goals if g.get("about_id") == str(event.target_id))
    return Happening(
        record.id, record.at, event.initiator_id, event.target_id, event.type,
        Feeling(there.strength_before, there.strength_after, there.trust_after, there.familiarity_after),
        Feeling(back.strength_before, back.strength_after, back.trust_after, back.familiarity_after),
        event.accepted, heard[0] if heard else None, swayed, wishes,
    )  # fmt: skip


async def _write(tx: Transaction, states: Any) -> None:
    """Store arcs, new and changed, with one statement."""
    arcs_: list[ArcState] = sorted(states, key=lambda a: a.id)
    if not arcs_:
        return
    data = [
        {"sides": {str(who): str(foe) for who, foe in a.sides.items()}, "turned_down": a.turned_down}
        for a in arcs_
    ]
    await tx.execute(
        WRITE_ARCS, tx.world_id, [a.id for a in arcs_], [a.kind for a in arcs_], [a.stage for a in arcs_],
        [a.first_id for a in arcs_], [a.second_id for a in arcs_], [_ids(a.others) for a in arcs_],
        [a.tension for a in arcs_], [_ids(a.turns) for a in arcs_], [a.started_at for a in arcs_],
        [a.changed_at for a in arcs_], [a.resolved_at for a in arcs_], [a.outcome for a in arcs_],
        [orjson.dumps(d).decode() for d in data],
    )  # fmt: skip


def _ids(ids: Sequence[UUID]) -> str:
    return "{" + ",".join(map(str, ids)) + "}"


async def _tell(
    tx: Transaction, changes: Sequence[Change], causes: Mapping[UUID, EventRecord], names: Mapping[UUID, str]
) -> None:
    """One event for each beginning, rise and end, put down to the interaction that did it."""
    worth = arcs.worth_telling(changes)
    missing = {i for c in worth for i in (*c.arc.pair, *c.arc.others)} - names.keys()
    if missing:
        rows = await tx.fetch(
            "SELECT id, name FROM characters WHERE world_id = $1 AND id = ANY($2::uuid[])",
            tx.world_id,
            sorted(missing),
        )
        names = {**names, **{row["id"]: row["name"] for row in rows}}
    for change in worth:
        arc, cause = change.arc, causes.get(change.event_id) if change.event_id else None
        values = {
            "arc_id": arc.id, "kind": arc.kind, "title": title(change, names), "first_id": arc.first_id,
            "second_id": arc.second_id, "others": list(arc.others), "tension": round(arc.tension, 4),
        }  # fmt: skip
        if change.what == "started":
            tx.emit(ArcStarted(**values), cause=cause)
        elif change.what == "rose":
            tx.emit(ArcRose(**values, joined_id=change.joined_id), cause=cause)
        else:
            tx.emit(ArcResolved(**values, outcome=arc.outcome or ""), cause=cause)


def title(change: Change, names: Mapping[UUID, str]) -> str:
    """The sentence for what became of an arc; which of several depends on the arc alone."""
    arc, key = change.arc, change.what
    if change.joined_id is not None:
        key = "joined"  # type: ignore[assignment]
    elif change.what == "resolved":
        key = arc.outcome  # type: ignore[assignment]
    sentences = titles()[arc.kind][key]
    foe = arc.sides.get(change.joined_id) if change.joined_id else None
    return sentences[(arc.id.int + len(arc.turns)) % len(sentences)].format(
        first=names.get(arc.first_id, "somebody"), second=names.get(arc.second_id, "somebody"),
        joined=names.get(change.joined_id, "somebody") if change.joined_id else "",
        foe=names.get(foe, "somebody") if foe else "",
    )  # fmt: skip


async def fade(tx: Transaction) -> None:
    """End arcs in which nothing has happened for long."""
    rows = await tx.fetch(
        QUIET, tx.world_id, tx.now, list(arcs.QUIET_MS), list(arcs.QUIET_MS.values()), MOST_FADING
    )
    changes = [change for row in rows if (change := arcs.faded(arc_of(row), tx.now)) is not None]
    await _write(tx, [change.arc for change in changes])
    await _tell(tx, changes, {}, {})


# -- when somebody comes, wakes or goes ------------------------------------------------------------------------


async def wake(tx: Transaction, records: list[EventRecord]) -> None:
    """Bring the beats back if somebody who acts by itself may be awake now, or may wake in the morning."""
    if any(_may_act(record.event) for record in records):
        await rouse(tx)


def _may_act(event: Any) -> bool:
    if isinstance(event, CharacterCreated):
        return event.kind == "npc" and event.user_id is None
    if isinstance(event, StatusChanged):
        return event.status in ("active", "asleep")
    if isinstance(event, CharacterUpdated):
        return event.kind == "npc" and bool({"status", "kind"} & set(event.changed))
    return isinstance(event, ControlChanged) and event.user_id is None


async def cut_short(tx: Transaction, records: list[EventRecord]) -> None:
    """A character is gone: its arcs end, and it lacks nothing any more."""
    ids = sorted(record.event.character_id for record in records)  # type: ignore[attr-defined]
    await tx.execute("DELETE FROM needs WHERE world_id = $1 AND id = ANY($2::uuid[])", tx.world_id, ids)
    rows = await tx.fetch(
        f"SELECT {ARC} FROM arcs WHERE world_id = $1 AND resolved_at IS NULL "  # noqa: S608
        "AND (first_id = ANY($2::uuid[]) OR second_id = ANY($2::uuid[])) ORDER BY id FOR NO KEY UPDATE",
        tx.world_id, ids,
    )  # fmt: skip
    changes = [arcs.resolved(arc_of(row), "cut_short", tx.now) for row in rows]
    await _write(tx, [change.arc for change in changes])
    await _tell(tx, changes, {}, {})


# -- what factions decide on ------------------------------------------------------------------------------------

CONCERNS: Final = (
    wars.IncidentOccurred, wars.IncidentAnswered, wars.IncidentEscalated, wars.IncidentResolved, wars.UltimatumIssued,
    wars.UltimatumAnswered, wars.UltimatumExpired, wars.UltimatumWithdrawn, wars.WarDeclared, wars.AllyCalled,
    wars.BattleFought, wars.PeaceMade, wars.SanctionImposed, wars.CoalitionFormed, treaties.TreatyDrafted,
    treaties.TreatyInForce, treaties.TreatyViolated,
)  # fmt: skip


async def heed(tx: Transaction, records: list[EventRecord]) -> None:
    """Keep the last event about each thing that factions decide on, and let those answer who are asked something."""
    noted: dict[UUID, UUID] = {}
    over: list[UUID] = []
    awaited: list[UUID] = []
    agreed = {r.event.treaty_id for r in records if isinstance(r.event, treaties.TreatyInForce)}
    for record in records:
        event: Any = record.event
        subject = _subject(event)
        if isinstance(event, wars.IncidentResolved | wars.PeaceMade | wars.UltimatumWithdrawn):
            over.append(subject)
            noted.pop(subject, None)
            continue
        noted[subject] = record.id
        if isinstance(event, wars.IncidentOccurred):
            awaited.append(event.accused_id)
        elif isinstance(event, wars.AllyCalled):
            awaited.append(event.ally_id)
        elif isinstance(event, wars.UltimatumIssued):
            awaited.append(event.target_id)
        elif isinstance(event, treaties.TreatyDrafted) and event.treaty_id not in agreed:
            awaited += [party for party in event.party_ids if party != event.faction_id]
    await councils.heed(tx, noted, over, awaited)


def _subject(event: Any) -> UUID:
    """What an event is about: the thing that has a history of its own."""
    for name in ("ultimatum_id", "incident_id", "war_id", "sanction_id", "coalition_id", "treaty_id"):
        if name in type(event).model_fields and getattr(event, name) is not None:
            subject: UUID = getattr(event, name)
            return subject
    raise TypeError(f"{event.type_name} is about nothing that factions decide on")


GUARDING = (
    Reaction("director.wake", (CharacterCreated, CharacterUpdated, StatusChanged, ControlChanged), wake),
    Reaction("director.cut_short", (CharacterDeleted,), cut_short),
)
FOLLOWING = (
    Reaction("director.follow", (Interacted,), follow),
    Reaction("director.heed", CONCERNS, heed),
)
