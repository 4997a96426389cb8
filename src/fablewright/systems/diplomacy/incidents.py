"""What the commands about incidents do; a noun of its own beside relations.

Locks, in this order: memberships, factions, accounts of the ledger, relations, incidents. What an incident is worth
is decided by `ladder`; others who find an incident in what happened report it through `occur`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from fablewright.core.system import Handler, Reaction, TimerKind
from fablewright.core.transaction import EventRecord, Timer, Transaction
from fablewright.systems.diplomacy import ladder, war_views
from fablewright.systems.diplomacy.ladder import LADDER, WEIGHTS, Rung, Step
from fablewright.systems.diplomacy.service import relations_book, write
from fablewright.systems.diplomacy.war_commands import (
    EVENT_NOT_FOUND,
    AnswerIncident,
    EscalateIncident,
    ReportIncident,
    SettleIncident,
)
from fablewright.systems.diplomacy.war_events import (
    IncidentAnswered,
    IncidentEscalated,
    IncidentOccurred,
    IncidentResolved,
)
from fablewright.systems.diplomacy.war_views import INCIDENT, IncidentView
from fablewright.systems.factions import service as factions
from fablewright.systems.factions.events import Dissolved
from fablewright.systems.regions import service as regions
from fablewright.systems.regions.rules import REGION_NOT_FOUND

FADES: Final = "diplomacy.incident_fades"
"""The kind of timer that lets an incident be forgotten; its data names it."""

ADD: Final = """
INSERT INTO incidents (world_id, id, kind, injured_id, accused_id, severity, evidence, description, region_id,
                       event_id, follows_id, state, rung, answer_by, by_id, at, changed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'open', $12, $13, $14, $15, $15)
"""
PEEK: Final = f"SELECT {INCIDENT} FROM incidents WHERE world_id = $1 AND id = $2"  # noqa: S608
LOCK: Final = f"{PEEK} FOR NO KEY UPDATE"
LOCK_ALL: Final = f"""
SELECT {INCIDENT} FROM incidents WHERE world_id = $1 AND id = ANY($2::uuid[]) ORDER BY id FOR NO KEY UPDATE
"""  # noqa: S608
# $4: for whom the audience matters, null for who sees all. A side is a faction, its members, and the regions it holds.
# The sides that the event is about, whom it names first first: an event names who did it before to whom.
EVIDENCE: Final = """
SELECT e.type, ARRAY(
    SELECT side.id FROM unnest($3::uuid[]) AS side (id)
    JOIN unnest(CASE WHEN e.type LIKE 'diplomacy.%' THEN (e.data ->> 'faction_id')::uuid END || e.about)
        WITH ORDINALITY AS named (id, place)
        ON named.id = side.id
        OR EXISTS (SELECT 1 FROM faction_members m WHERE m.world_id = $1 AND m.faction_id = side.id
                   AND m.left_at IS NULL AND m.character_id = named.id)
        OR EXISTS (SELECT 1 FROM regions r WHERE r.world_id = $1 AND r.controller_id = side.id
                   AND r.id = named.id)
    GROUP BY side.id ORDER BY min(named.place)) AS sides
FROM events e
WHERE e.world_id = $1 AND e.id = $2 AND ($4::uuid[] IS NULL OR e.audience IS NULL OR e.audience && $4)
"""
OF_FACTION: Final = """
SELECT id FROM incidents WHERE world_id = $1 AND closed_at IS NULL AND (injured_id = $2 OR accused_id = $2)
"""
CHANGE: Final = """
UPDATE incidents SET state = $3, rung = $4, answer = $5, paid = paid + $6, tried = tried + $7, changed_at = $8,
    closed_at = CASE WHEN $3 IN ('settled', 'faded') THEN $8::bigint END
WHERE world_id = $1 AND id = $2
"""


@dataclass(frozen=True, slots=True)
class Happening:
    """What is to be reported: who did what to whom; see `ReportIncident`."""

    kind: str
    injured_id: UUID
    accused_id: UUID
    severity: float
    evidence: float = 1.0
    description: str = ""
    region_id: UUID | None = None
    event_id: UUID | None = None
    follows_id: UUID | None = None
    by_id: UUID | None = None


# -- for the other files of this system and higher ones ------------------------------------------------------


async def occur(tx: Transaction, happening: Happening, *, cause: EventRecord | None = None) -> UUID:
    """Let an incident happen: tension and opinion follow at once. Returns its id.

    It locks the relation of the two; both must exist (`faction_not_found`).
    """
    step = ladder.occurred(happening.kind, happening.severity, happening.evidence)
    book = await relations_book(tx, [(happening.injured_id, happening.accused_id)])
    incident_id, answer_by = tx.new_id(), tx.now + ladder.ANSWER_WITHIN
    await tx.execute(
        ADD, tx.world_id, incident_id, happening.kind, happening.injured_id, happening.accused_id,
        happening.severity, happening.evidence, happening.description, happening.region_id, happening.event_id,
        happening.follows_id, step.rung, answer_by, happening.by_id, tx.now,
    )  # fmt: skip
    told = tx.emit(
        IncidentOccurred(
            incident_id=incident_id, injured_id=happening.injured_id, accused_id=happening.accused_id,
            kind=happening.kind, by_id=happening.by_id, severity=happening.severity, evidence=happening.evidence,
            description=happening.description, rung=LADDER[step.rung], region_id=happening.region_id,
            event_id=happening.event_id, follows_id=happening.follows_id, answer_by=answer_by,
        ),
        cause=cause,
    )  # fmt: skip
    _feel(book, happening.injured_id, happening.accused_id, happening.kind, step, told.id)
    await write(tx, book)
    await tx.schedule(FADES, tx.now + ladder.FADES_AFTER, {"incident_id": str(incident_id)})
    return incident_id


async def peek(tx: Transaction, incident_id: UUID) -> Any:
    """An incident's row, not locked. Refuses `incident_not_found`."""
    row = await tx.fetchrow(PEEK, tx.world_id, incident_id)
    if row is None:
        raise ladder.INCIDENT_NOT_FOUND(incident_id=str(incident_id))
    return row


async def lock(tx: Transaction, incident_id: UUID) -> Any:
    """An incident's row, locked. Refuses `incident_not_found`."""
    row = await tx.fetchrow(LOCK, tx.world_id, incident_id)
    if row is None:
        raise ladder.INCIDENT_NOT_FOUND(incident_id=str(incident_id))
    return row


async def raise_to(tx: Transaction, row: Any, rung: Rung, by_id: UUID | None, cause: EventRecord) -> None:
    """Let an open incident (its locked row) be at a rung of the ladder at least; hearsay only as far as it goes."""
    place = ladder.highest(LADDER.index(rung), row["evidence"])
    if row["rung"] >= place:
        return
    await _change(tx, row["id"], Step(row["state"], place, 0.0), row["answer"])
    escalated = IncidentEscalated(**_whom(row, by_id), rung=LADDER[place], previous=LADDER[row["rung"]])
    tx.emit(escalated, cause=cause)


async def close(tx: Transaction, incident_id: UUID, how: str, by_id: UUID | None, cause: EventRecord) -> None:
    """Settle an incident by something else that was done; nothing happens if it is closed."""
    row = await lock(tx, incident_id)
    if row["closed_at"] is None:
        await _change(tx, incident_id, Step("settled", 0, 0.0), row["answer"])
        await _resolved(tx, row, "settled", how, by_id, cause)


async def turned_down(tx: Transaction, incident_id: UUID) -> None:
    """Note that a try to settle an incident peacefully has failed: war becomes more of a last resort."""
    await tx.execute(
        "UPDATE incidents SET tried = tried + 1 WHERE world_id = $1 AND id = $2", tx.world_id, incident_id
    )


# -- commands ------------------------------------------------------------------------------------------------


async def report(tx: Transaction, command: ReportIncident) -> IncidentView:
    """Hold a faction responsible."""
    if command.injured_id == command.accused_id:
        raise ladder.INCIDENT_WITH_ONESELF(faction_id=str(command.injured_id))
    await factions.may(tx, command.injured_id, command.character_id, "accuse")
    await factions.require(tx, [command.accused_id], lock=False)
    if command.region_id is not None and not await regions.regions(tx, [command.region_id]):
        raise REGION_NOT_FOUND(region_id=str(command.region_id))
    shown = await _shows(tx, command)
    evidence = command.evidence if shown else min(command.evidence, ladder.HEARSAY)
    fields = {name: getattr(command, name) for name in command.model_fields_set if name != "character_id"}
    happening = Happening(**fields | {"evidence": evidence, "by_id": command.character_id})
    incident_id = await occur(tx, happening)
    return war_views.incident_view(await peek(tx, incident_id), tx.now)


async def _shows(tx: Transaction, command: ReportIncident) -> bool:
    """Whether the evidence counts in full: a deed of the accused to the injured in the log shows it, or who may judge.

    Anybody else's word is hearsay, and what follows from words (an incident, an opinion) shows nothing. An event that
    the member may not know of is not there for it. Refuses `evidence_not_found`.
    """
    who = command.character_id
    if command.event_id is None:
        return who is None
    knows = None if who is None else [i for i in (who, command.injured_id, tx.actor.user_id) if i is not None]
    sides = [command.accused_id, command.injured_id]
    row = await tx.fetchrow(EVIDENCE, tx.world_id, command.event_id, sides, knows)
    if row is None:
        raise EVENT_NOT_FOUND(event_id=str(command.event_id))
    return who is None or (ladder.shows(command.kind, row["type"]) and row["sides"] == sides)


async def answer(tx: Transaction, command: AnswerIncident) -> IncidentView:
    """The accused answers."""
    row = await peek(tx, command.incident_id)
    await factions.may(tx, row["accused_id"], command.character_id, "answer_incident")
    sides = await factions.load(tx, [row["injured_id"], row["accused_id"]])
    step = ladder.answered(war_views.incident_of(row), command.answer, command.amount)
    await _lose_face(tx, row["accused_id"], step)
    if step.accuser_face:
        await factions.judge(tx, row["injured_id"], -step.accuser_face, "accused others without evidence")
    if command.amount:
        await factions.pay(
            tx, row["accused_id"], row["injured_id"], command.amount, kind="diplomacy.reparation",
            reason=f"reparation: {row['kind'].replace('_', ' ')}", by_id=command.character_id,
            currency=sides[row["injured_id"]].currency,
        )  # fmt: skip
    book = await relations_book(tx, [(row["injured_id"], row["accused_id"])])
    row = await tx.fetchrow(LOCK, tx.world_id, command.incident_id)
    step = ladder.answered(war_views.incident_of(row), command.answer, command.amount)
    tried = int(command.answer in ("denial", "retaliation"))
    await _change(tx, row["id"], step, command.answer, paid=command.amount, tried=tried)
    told = tx.emit(
        IncidentAnswered(
            **_whom(row, command.character_id), answer=command.answer, amount=command.amount, rung=LADDER[step.rung]
        )
    )  # fmt: skip
    _feel(book, row["injured_id"], row["accused_id"], row["kind"], step, told.id)
    await write(tx, book)
    if step.state == "settled":
        await _resolved(tx, row, "settled", step.words, command.character_id)
    elif command.answer == "retaliation":
        struck = Happening(
            "retaliation", row["injured_id"], row["accused_id"], row["severity"] / 2, region_id=row["region_id"],
            event_id=told.id, follows_id=row["id"], by_id=command.character_id,
        )  # fmt: skip
        await occur(tx, struck, cause=told)
    return war_views.incident_view(await peek(tx, command.incident_id), tx.now)


async def settle(tx: Transaction, command: SettleIncident) -> IncidentView:
    """The injured lets it be."""
    row = await peek(tx, command.incident_id)
    await factions.may(tx, row["injured_id"], command.character_id, "answer_incident")
    book = await relations_book(tx, [(row["injured_id"], row["accused_id"])])
    row = await tx.fetchrow(LOCK, tx.world_id, command.incident_id)
    step = ladder.settled(war_views.incident_of(row), forgive=command.forgive)
    await _change(tx, row["id"], step, row["answer"])
    told = await _resolved(tx, row, "settled", step.words, command.character_id)
    _feel(book, row["injured_id"], row["accused_id"], row["kind"], step, told.id)
    await write(tx, book)
    return war_views.incident_view(await peek(tx, command.incident_id), tx.now)


async def escalate(tx: Transaction, command: EscalateIncident) -> IncidentView:
    """The injured goes a rung up."""
    row = await peek(tx, command.incident_id)
    await factions.may(tx, row["injured_id"], command.character_id, "accuse")
    await _lose_face(tx, row["injured_id"], ladder.escalated(war_views.incident_of(row), tx.now))
    book = await relations_book(tx, [(row["injured_id"], row["accused_id"])])
    row = await tx.fetchrow(LOCK, tx.world_id, command.incident_id)
    step = ladder.escalated(war_views.incident_of(row), tx.now)
    await _change(tx, row["id"], step, row["answer"])
    told = tx.emit(
        IncidentEscalated(
            **_whom(row, command.character_id), rung=LADDER[step.rung], previous=LADDER[row["rung"]]
        )
    )
    _feel(book, row["injured_id"], row["accused_id"], row["kind"], step, told.id)
    await write(tx, book)
    return war_views.incident_view(await peek(tx, command.incident_id), tx.now)


# -- time ----------------------------------------------------------------------------------------------------


async def fade(tx: Transaction, timers: Sequence[Timer]) -> None:
    """Incidents in which nothing has happened for long are forgotten; the others have more time."""
    rows = await tx.fetch(LOCK_ALL, tx.world_id, sorted({UUID(t.data["incident_id"]) for t in timers}))
    for row in rows:
        if row["closed_at"] is not None:
            continue
        due = row["changed_at"] + ladder.FADES_AFTER
        if due > tx.now:
            await tx.schedule(FADES, due, {"incident_id": str(row["id"])})
            continue
        await _change(tx, row["id"], Step("faded", 0, 0.0), row["answer"])
        await _resolved(tx, row, "faded", "it was forgotten", None)


async def dissolved(tx: Transaction, records: list[EventRecord]) -> None:
    """What lay between a faction that is no more and others is forgotten."""
    for record in records:
        gone: UUID = record.event.faction_id  # type: ignore[attr-defined]
        rows = await tx.fetch(OF_FACTION, tx.world_id, gone)
        for row in await tx.fetch(LOCK_ALL, tx.world_id, [row["id"] for row in rows]):
            await _change(tx, row["id"], Step("faded", 0, 0.0), row["answer"])
            await tx.cancel_timers(FADES, incident_id=str(row["id"]))
            await _resolved(tx, row, "faded", "one of the two is no more", None, record)


# -- helpers -------------------------------------------------------------------------------------------------


def _feel(book: Any, injured: UUID, accused: UUID, kind: str, step: Step, event_id: UUID) -> None:
    weight = WEIGHTS[kind]
    reason = step.words or weight.words
    about = weight.words if step.state == "open" else reason
    if step.tension:
        book.tense(injured, accused, step.tension, reason)
    if step.injured_opinion:
        book.opine(
            injured, accused, f"incident_{kind}", step.injured_opinion, about, weight.half_life_days,
            event_id,
        )  # fmt: skip
    if step.accused_opinion:
        book.opine(
            accused,
            injured,
            f"incident_{kind}",
            step.accused_opinion,
            reason,
            weight.half_life_days,
            event_id,
        )
    if step.trust:
        book.trust(injured, accused, step.trust, reason)


async def _lose_face(tx: Transaction, faction_id: UUID, step: Step) -> None:
    if step.loss_of_face:
        await factions.judge(tx, faction_id, -step.loss_of_face, step.words)


async def _change(
    tx: Transaction, incident_id: UUID, step: Step, answered: str | None, *, paid: int = 0, tried: int = 0
) -> None:
    await tx.execute(CHANGE, tx.world_id, incident_id, step.state, step.rung, answered, paid, tried, tx.now)


async def _resolved(
    tx: Transaction, row: Any, state: str, how: str, by_id: UUID | None, cause: EventRecord | None = None
) -> EventRecord:
    if state != "faded":
        await tx.cancel_timers(FADES, incident_id=str(row["id"]))
    return tx.emit(IncidentResolved(**_whom(row, by_id), state=state, how=how), cause=cause)


def _whom(row: Any, by_id: UUID | None) -> dict[str, Any]:
    return {
        "incident_id": row["id"], "injured_id": row["injured_id"], "accused_id": row["accused_id"],
        "kind": row["kind"], "by_id": by_id,
    }  # fmt: skip


HANDLERS = (
    Handler(ReportIncident, one=report),
    Handler(AnswerIncident, one=answer),
    Handler(SettleIncident, one=settle),
    Handler(EscalateIncident, one=escalate),
)
EVENTS = (IncidentOccurred, IncidentAnswered, IncidentEscalated, IncidentResolved)
KINDS = (TimerKind(FADES, fade),)
GUARDING = (Reaction("diplomacy.incidents_of_dissolved", (Dissolved,), dissolved),)
