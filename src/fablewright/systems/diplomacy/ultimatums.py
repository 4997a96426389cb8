"""What the commands about ultimatums do, and the consequence that comes by itself; a noun of its own.

Accepted demands are a treaty in force. After a no or silence the promised consequence comes some days later, as war,
sanction or incident, unless the issuer backs down before.

Locks, in this order: memberships, factions, accounts of the ledger, relations, treaties, incidents, ultimatums, wars.
"""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import orjson

from fablewright.core.clock import DAY
from fablewright.core.refusal import Refused
from fablewright.core.system import Handler, Reaction, TimerKind
from fablewright.core.transaction import EventRecord, Timer, Transaction
from fablewright.systems.diplomacy import (
    battle,
    clauses,
    incidents,
    ladder,
    sanctions,
    threat_views,
    threats,
    treaties,
    wars,
)
from fablewright.systems.diplomacy.incidents import Happening
from fablewright.systems.diplomacy.relations import Book
from fablewright.systems.diplomacy.service import relations_book, write
from fablewright.systems.diplomacy.threat_views import ULTIMATUM, UltimatumView
from fablewright.systems.diplomacy.treaty_commands import TreatyFields
from fablewright.systems.diplomacy.war_commands import (
    DEADLINE_IN_THE_PAST,
    AnswerUltimatum,
    Consequence,
    ImposeSanction,
    IssueUltimatum,
    WithdrawUltimatum,
)
from fablewright.systems.diplomacy.war_events import (
    UltimatumAnswered,
    UltimatumCarriedOut,
    UltimatumExpired,
    UltimatumIssued,
    UltimatumWithdrawn,
)
from fablewright.systems.factions import service as factions
from fablewright.systems.factions.events import Dissolved

DUE: Final = "diplomacy.ultimatum_due"
"""The kind of timer at the deadline; its data names the ultimatum."""
ACTS: Final = "diplomacy.ultimatum_acts"
"""The kind of timer at which the promised consequence comes."""
EVENTS_BEFORE: Final = """
SELECT id, type, at, actor, causation_id, correlation_id FROM events WHERE world_id = $1 AND id = ANY($2::uuid[])
"""

ADD: Final = """
INSERT INTO ultimatums (world_id, id, issuer_id, target_id, demands, consequence, text, state, duration_days,
                        incident_id, deadline, by_id, at)
VALUES ($1, $2, $3, $4, $5::jsonb, $6::jsonb, $7, 'issued', $8, $9, $10, $11, $12)
"""
GET: Final = f"SELECT {ULTIMATUM} FROM ultimatums WHERE world_id = $1 AND id = $2"  # noqa: S608
LOCK: Final = f"{GET} FOR NO KEY UPDATE"
STANDS: Final = """
SELECT id FROM ultimatums WHERE world_id = $1 AND issuer_id = $2 AND target_id = $3 AND closed_at IS NULL
"""
CLOSE: Final = """
UPDATE ultimatums SET state = $3, treaty_id = $4, answered_by_id = $5, acts_at = $6, closed_at = coalesce(closed_at, $7)
WHERE world_id = $1 AND id = $2
"""
DONE: Final = """
UPDATE ultimatums SET acts_at = NULL, outcome_id = $3, outcome = $4 WHERE world_id = $1 AND id = $2
"""
OF_DISSOLVED: Final = """
SELECT id FROM ultimatums
WHERE world_id = $1 AND (issuer_id = $2 OR target_id = $2) AND (closed_at IS NULL OR acts_at IS NOT NULL) ORDER BY id
"""


# -- issuing -------------------------------------------------------------------------------------------------


async def issue(tx: Transaction, command: IssueUltimatum) -> UltimatumView:
    """Demand something, and promise what comes otherwise."""
    issuer, target, threat = command.faction_id, command.target_id, command.consequence
    if issuer == target:
        raise threats.ULTIMATUM_TO_ONESELF(faction_id=str(issuer))
    deadline = tx.now + threats.ANSWER_DAYS * DAY if command.deadline is None else command.deadline
    if deadline <= tx.now:
        raise DEADLINE_IN_THE_PAST(f"It is {tx.now} in the world.", now=tx.now)
    clauses.check(command.demands, (issuer, target))
    if not any(target in (demand.binds() or (target,)) for demand in command.demands):
        raise threats.DEMANDS_NOTHING(target_id=str(target))
    if threat.kind == "sanction":
        sanctions.check_shape(threat.sanction, threat.rate, threat.good)
    await factions.may(tx, issuer, command.character_id, "issue_ultimatum")
    await factions.require(tx, [issuer, target])
    book = await relations_book(tx, [(issuer, target)])
    if threat.kind == "war":
        _check_may_war(book, issuer, target)
    incident = await _incident(tx, command)
    if (standing := await tx.fetchval(STANDS, tx.world_id, issuer, target)) is not None:
        raise threats.ULTIMATUM_STANDS(ultimatum_id=str(standing))
    ultimatum_id = tx.new_id()
    demands = [demand.model_dump(mode="json") for demand in command.demands]
    promised = threat.model_dump(mode="json")
    await tx.execute(
        ADD, tx.world_id, ultimatum_id, issuer, target, orjson.dumps(demands).decode(),
        orjson.dumps(promised).decode(), command.text, command.duration_days, command.incident_id, deadline,
        command.character_id, tx.now,
    )  # fmt: skip
    told = tx.emit(
        UltimatumIssued(
            ultimatum_id=ultimatum_id, issuer_id=issuer, target_id=target, by_id=command.character_id, demands=demands,
            consequence=promised, text=command.text, deadline=deadline, incident_id=command.incident_id,
        )
    )  # fmt: skip
    weight = threats.THREATS[threat.kind]
    book.tense(issuer, target, weight.tension, "an ultimatum")
    book.opine(target, issuer, "ultimatum", weight.opinion, "threatened us", 180, told.id, cap=40)
    await write(tx, book)
    if incident is not None:
        await incidents.raise_to(tx, incident, "ultimatum", command.character_id, told)
    await tx.schedule(DUE, deadline, {"ultimatum_id": str(ultimatum_id), "event_id": str(told.id)})
    return await _view(tx, ultimatum_id)


def _check_may_war(book: Book, issuer: UUID, target: UUID) -> None:
    """Whether one may threaten with war here. Refuses `already_at_war`, `status_move_illegal`, `truce_holds`."""
    if book.status(issuer, target) == "war":
        raise battle.ALREADY_AT_WAR(attacker_id=str(issuer), defender_id=str(target))
    if (refused := book.may_move(issuer, target, "war")) is not None:
        raise refused


async def _incident(tx: Transaction, command: IssueUltimatum) -> Any:
    """The open incident that the ultimatum is about, if any, locked.

    Refuses `incident_not_found`, `incident_closed`, `not_its_incident`.
    """
    if command.incident_id is None:
        return None
    row = await incidents.lock(tx, command.incident_id)
    if (row["injured_id"], row["accused_id"]) != (command.faction_id, command.target_id):
        raise threats.NOT_ITS_INCIDENT(incident_id=str(row["id"]))
    if row["closed_at"] is not None:
        raise ladder.INCIDENT_CLOSED(state=row["state"])
    return row


# -- answers -------------------------------------------------------------------------------------------------


async def answer(tx: Transaction, command: AnswerUltimatum) -> UltimatumView:
    """Give in, or say no."""
    row = await _get(tx, command.ultimatum_id)
    await factions.may(tx, row["target_id"], command.character_id, "answer_ultimatum")
    if row["state"] != "issued":
        raise threats.ULTIMATUM_CLOSED(state=row["state"])
    await (_accept if command.accept else _reject)(tx, row, command.character_id)
    return await _view(tx, row["id"])


async def _accept(tx: Transaction, row: Any, by_id: UUID | None) -> None:
    """The demands become a treaty in force."""
    issuer, target = row["issuer_id"], row["target_id"]
    names = await factions.require(tx, [issuer, target])
    asked = TreatyFields(
        name=f"Demands of {names[issuer].name} on {names[target].name}"[:200], text=row["text"],
        parties=[issuer, target], clauses=orjson.loads(row["demands"]), duration_days=row["duration_days"],
    )  # fmt: skip
    await factions.judge(tx, target, -threats.YIELDED_FACE, f"gave in to {names[issuer].name}")
    treaty = await treaties.conclude(tx, asked, proposer_id=issuer, by_id=by_id)
    book = await relations_book(tx, [(issuer, target)])
    await _lock_issued(tx, row["id"])
    await _close(tx, row, "accepted", treaty_id=treaty.id, answered_by=by_id)
    told = tx.emit(UltimatumAnswered(**_whom(row, by_id), accepted=True, treaty_id=treaty.id))
    book.tense(issuer, target, threats.YIELDED_TENSION, "the demands were met")
    book.opine(
        target, issuer, "forced", threats.YIELDED_OPINION, "forced us to give in", 360, told.id, cap=50
    )
    book.opine(issuer, target, "yielded", threats.CONTENT_OPINION, "saw reason", 180, told.id, cap=20)
    await write(tx, book)
    if row["incident_id"] is not None:
        await incidents.close(tx, row["incident_id"], "the demands were met", by_id, told)


async def _reject(tx: Transaction, row: Any, by_id: UUID | None) -> None:
    """The target says no: the consequence comes some days later."""
    issuer, target = row["issuer_id"], row["target_id"]
    await factions.load(tx, [issuer, target])
    book = await relations_book(tx, [(issuer, target)])
    await _lock_issued(tx, row["id"])
    told = tx.emit(UltimatumAnswered(**_whom(row, by_id), accepted=False, treaty_id=None))
    await _defied(tx, row, book, "rejected", told, by_id)


async def _defied(
    tx: Transaction, row: Any, book: Book, state: str, told: EventRecord, by_id: UUID | None
) -> None:
    issuer, target = row["issuer_id"], row["target_id"]
    words = "rejected our demands" if state == "rejected" else "did not even answer our demands"
    acts_at = tx.now + threats.ACTS_AFTER
    await _close(tx, row, state, answered_by=by_id, acts_at=acts_at)
    await tx.schedule(ACTS, acts_at, {"ultimatum_id": str(row["id"]), "event_id": str(told.id)})
    book.tense(issuer, target, threats.DEFIED_TENSION, "an ultimatum was defied")
    book.opine(issuer, target, "defied", threats.DEFIED_OPINION, words, 180, told.id, cap=30)
    await write(tx, book)
    if row["incident_id"] is not None:
        await incidents.turned_down(tx, row["incident_id"])


async def withdraw(tx: Transaction, command: WithdrawUltimatum) -> UltimatumView:
    """Back down."""
    row = await _get(tx, command.ultimatum_id)
    issuer, target = row["issuer_id"], row["target_id"]
    await factions.may(tx, issuer, command.character_id, "issue_ultimatum")
    if not _pending(row):
        raise threats.ULTIMATUM_CLOSED(state=row["state"])
    answered = row["state"] != "issued"
    face = threats.loss_of_face(orjson.loads(row["consequence"])["kind"], answered=answered)
    await factions.judge(tx, issuer, -face, "backed down from an ultimatum")
    book = await relations_book(tx, [(issuer, target)])
    now = await tx.fetchrow(LOCK, tx.world_id, row["id"])
    if (now["state"], now["acts_at"]) != (row["state"], row["acts_at"]):
        raise threats.ULTIMATUM_CLOSED(state=now["state"])
    await _close(tx, row, "withdrawn", answered_by=row["answered_by_id"])
    tx.emit(UltimatumWithdrawn(**_whom(row, command.character_id), face=face))
    book.tense(issuer, target, threats.EMPTY_TENSION, "an ultimatum was withdrawn")
    book.trust(target, issuer, threats.EMPTY_TRUST, "threatened and backed down")
    await write(tx, book)
    return await _view(tx, row["id"])


# -- time ----------------------------------------------------------------------------------------------------


async def expire(tx: Transaction, timers: list[Timer]) -> None:
    """Silence until the deadline is a no."""
    before = await _before(tx, timers)
    for row in await _rows(tx, timers):
        if row["state"] != "issued":
            continue
        book = await relations_book(tx, [(row["issuer_id"], row["target_id"])])
        told = tx.emit(UltimatumExpired(**_whom(row, None)), cause=before.get(row["id"]))
        await _defied(tx, row, book, "expired", told, None)


async def act(tx: Transaction, timers: list[Timer]) -> None:
    """What was promised comes, each for itself: one that cannot come any more says why."""
    before = await _before(tx, timers)
    for row in await _rows(tx, timers):
        if row["acts_at"] is None:
            continue
        promised = Consequence(**orjson.loads(row["consequence"]))
        # What follows names this event as its cause; it says what came of it once that is known.
        event = UltimatumCarriedOut(**_whom(row, None), kind=promised.kind, outcome_id=None, reason="")
        told = tx.emit(event, cause=before.get(row["id"]))
        outcome_id, reason = None, ""
        try:
            async with tx.savepoint():
                outcome_id = await _do(tx, row, promised, told)
        except Refused as refused:
            reason = refused.detail
        tx.amend(told, event.model_copy(update={"outcome_id": outcome_id, "reason": reason}))
        await tx.execute(DONE, tx.world_id, row["id"], outcome_id, reason or None)


async def _before(tx: Transaction, timers: list[Timer]) -> dict[UUID, EventRecord]:
    """By ultimatum, the event that led to what falls due now: it was issued, or defied."""
    events = {t.data["event_id"]: UUID(t.data["ultimatum_id"]) for t in timers if "event_id" in t.data}
    rows = await tx.fetch(EVENTS_BEFORE, tx.world_id, sorted(events))
    return {
        events[str(r["id"])]: EventRecord(
            event=None, id=r["id"], type=r["type"], at=r["at"], actor=r["actor"],  # type: ignore[arg-type]
            causation_id=r["causation_id"], correlation_id=r["correlation_id"], about=[], audience=None, data=b"",
            settled=True,
        )
        for r in rows
    }  # fmt: skip


async def _do(tx: Transaction, row: Any, promised: Consequence, told: EventRecord) -> UUID:
    """Let the consequence come; the id of the war, sanction or incident."""
    issuer, target = row["issuer_id"], row["target_id"]
    words = row["text"] or "our demands were not met"
    if promised.kind == "war":
        war = await wars.wage(
            tx,
            issuer,
            target,
            "ultimatum_rejected",
            row["id"],
            reason=words,
            by_id=row["by_id"],
            cause_event=told,
        )
        return war.id
    if promised.kind == "sanction":
        asked = ImposeSanction(
            faction_id=issuer, target_id=target, kind=promised.sanction, good=promised.good, rate=promised.rate,
            reason=f"ultimatum: {words}"[:500], incident_id=row["incident_id"],
        )  # fmt: skip
        return await sanctions.start(tx, asked, by_id=row["by_id"], cause=told)
    about = row["incident_id"]
    happened = Happening(
        promised.incident, issuer, target, promised.severity,
        evidence=ladder.HEARSAY if about is None else (await incidents.peek(tx, about))["evidence"],
        description=words, event_id=told.id, follows_id=about, by_id=row["by_id"],
    )  # fmt: skip
    return await incidents.occur(tx, happened, cause=told)


async def dissolved(tx: Transaction, records: list[EventRecord]) -> None:
    """Nobody demands anything of a faction that is no more, nor does that of others."""
    for record in records:
        gone: UUID = record.event.faction_id  # type: ignore[attr-defined]
        for found in await tx.fetch(OF_DISSOLVED, tx.world_id, gone):
            row = await tx.fetchrow(LOCK, tx.world_id, found["id"])
            await _close(tx, row, "withdrawn", answered_by=row["answered_by_id"])
            tx.emit(UltimatumWithdrawn(**_whom(row, None), face=0.0), cause=record)


# -- helpers -------------------------------------------------------------------------------------------------


async def _get(tx: Transaction, ultimatum_id: UUID) -> Any:
    """An ultimatum's row, not locked. Refuses `ultimatum_not_found`."""
    row = await tx.fetchrow(GET, tx.world_id, ultimatum_id)
    if row is None:
        raise threats.ULTIMATUM_NOT_FOUND(ultimatum_id=str(ultimatum_id))
    return row


async def _lock_issued(tx: Transaction, ultimatum_id: UUID) -> None:
    """Lock an ultimatum that waits for an answer. Refuses `ultimatum_closed`."""
    row = await tx.fetchrow(LOCK, tx.world_id, ultimatum_id)
    if row["state"] != "issued":
        raise threats.ULTIMATUM_CLOSED(state=row["state"])


async def _rows(tx: Transaction, timers: Sequence[Timer]) -> list[Any]:
    """The ultimatums of these timers, as they stay until the commit: whoever changes one locks its factions first."""
    ids = sorted({UUID(timer.data["ultimatum_id"]) for timer in timers})
    sides = [(await _get(tx, i)) for i in ids]
    await factions.load(tx, {side for row in sides for side in (row["issuer_id"], row["target_id"])})
    return [await _get(tx, i) for i in ids]


def _pending(row: Any) -> bool:
    """Whether it waits for an answer or its consequence is still to come."""
    return row["state"] == "issued" or row["acts_at"] is not None


async def _close(
    tx: Transaction, row: Any, state: str, *, treaty_id: UUID | None = None, answered_by: UUID | None = None,
    acts_at: int | None = None,
) -> None:  # fmt: skip
    await tx.execute(CLOSE, tx.world_id, row["id"], state, treaty_id, answered_by, acts_at, tx.now)
    for kind in (DUE, ACTS):
        await tx.cancel_timers(kind, ultimatum_id=str(row["id"]))


def _whom(row: Any, by_id: UUID | None) -> dict[str, Any]:
    return {
        "ultimatum_id": row["id"], "issuer_id": row["issuer_id"], "target_id": row["target_id"], "by_id": by_id
    }  # fmt: skip


async def _view(tx: Transaction, ultimatum_id: UUID) -> UltimatumView:
    found = await threat_views.ultimatum(tx, tx.world_id, ultimatum_id)
    assert found is not None
    return found


HANDLERS = (
    Handler(IssueUltimatum, one=issue),
    Handler(AnswerUltimatum, one=answer),
    Handler(WithdrawUltimatum, one=withdraw),
)
EVENTS = (UltimatumIssued, UltimatumAnswered, UltimatumExpired, UltimatumWithdrawn, UltimatumCarriedOut)
KINDS = (TimerKind(DUE, expire), TimerKind(ACTS, act))
GUARDING = (Reaction("diplomacy.ultimatums_of_dissolved", (Dissolved,), dissolved),)
