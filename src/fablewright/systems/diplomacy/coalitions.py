"""What the commands about coalitions do, and how they end when the fear has passed; a noun of its own.

Members are a bloc: they take part in each other's sanctions on the target that are imposed for the coalition, and are
called to arms when it attacks one of them, or one of them attacks it for the coalition.

Locks, in this order: memberships, factions, relations, coalitions, sanctions, markets.
"""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from fablewright.core.system import Handler, Reaction, TimerKind
from fablewright.core.transaction import EventRecord, Timer, Transaction
from fablewright.systems.diplomacy import battle, sanctions, threat_views, threats
from fablewright.systems.diplomacy.relations import Book
from fablewright.systems.diplomacy.service import relations_book, write
from fablewright.systems.diplomacy.threat_views import COALITION, CoalitionView, Fear
from fablewright.systems.diplomacy.war_commands import FormCoalition, JoinCoalition, LeaveCoalition
from fablewright.systems.diplomacy.war_events import (
    CoalitionDissolved,
    CoalitionFormed,
    CoalitionJoined,
    CoalitionLeft,
)
from fablewright.systems.factions import service as factions
from fablewright.systems.factions.events import Dissolved

REVIEW: Final = "diplomacy.coalition_review"
"""The kind of timer that asks whether a coalition is still needed; its data names it."""

ADD: Final = "INSERT INTO coalitions (world_id, id, target_id, by_id, at) VALUES ($1, $2, $3, $4, $5)"
ADD_MEMBER: Final = """
INSERT INTO coalition_members (world_id, id, coalition_id, faction_id, fear, by_id, at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
DROP_MEMBER: Final = """
UPDATE coalition_members SET left_at = $4
WHERE world_id = $1 AND coalition_id = $2 AND faction_id = $3 AND left_at IS NULL
"""
GET: Final = f"SELECT {COALITION} FROM coalitions WHERE world_id = $1 AND id = $2"  # noqa: S608
LOCK: Final = f"{GET} FOR NO KEY UPDATE"
AGAINST: Final = "SELECT id FROM coalitions WHERE world_id = $1 AND target_id = $2 AND dissolved_at IS NULL"
MEMBERS: Final = """
SELECT faction_id, fear FROM coalition_members
WHERE world_id = $1 AND coalition_id = $2 AND left_at IS NULL ORDER BY faction_id
"""
OF_FACTION: Final = """
SELECT c.id, c.target_id FROM coalitions c
WHERE c.world_id = $1 AND c.dissolved_at IS NULL AND (c.target_id = $2 OR EXISTS (
    SELECT 1 FROM coalition_members m
    WHERE m.world_id = $1 AND m.coalition_id = c.id AND m.faction_id = $2 AND m.left_at IS NULL))
ORDER BY c.id
"""
ENEMIES: Final = """
SELECT CASE low_id WHEN $2 THEN high_id ELSE low_id END AS faction_id FROM relations
WHERE world_id = $1 AND status = 'war' AND (low_id = $2 OR high_id = $2)
"""


# -- commands ------------------------------------------------------------------------------------------------


async def form(tx: Transaction, command: FormCoalition) -> CoalitionView:
    """Be the first to stand against a faction that frightens its neighbours."""
    faction_id, target = command.faction_id, command.target_id
    if faction_id == target:
        raise threats.COALITION_AGAINST_ONESELF(faction_id=str(faction_id))
    await factions.may(tx, faction_id, command.character_id, "sign_treaty")
    await factions.require(tx, [faction_id, target])
    book = await relations_book(tx, [(faction_id, target)])
    _check_not_allied(book, faction_id, target)
    if (standing := await tx.fetchval(AGAINST, tx.world_id, target)) is not None:
        raise threats.COALITION_STANDS(coalition_id=str(standing))
    afraid = {
        f.faction_id: f for f in await threat_views.fears(tx, tx.world_id, tx.now, of=[target])
        if f.fear >= battle.FEAR_JOINS
    }  # fmt: skip
    if faction_id not in afraid or len(afraid) < battle.COALITION_OF:
        raise threats.TOO_LITTLE_FEAR(
            frightened=sorted(map(str, afraid)), needed=battle.COALITION_OF, fear=battle.FEAR_JOINS
        )
    own, coalition_id = afraid[faction_id], tx.new_id()
    await tx.execute(ADD, tx.world_id, coalition_id, target, command.character_id, tx.now)
    await _add(tx, coalition_id, faction_id, own.fear, command.character_id)
    told = tx.emit(
        CoalitionFormed(
            coalition_id=coalition_id, target_id=target, faction_id=faction_id, by_id=command.character_id,
            fear=own.fear, aggression=own.aggression, frightened_ids=sorted(set(afraid) - {faction_id}),
        )
    )  # fmt: skip
    _against(book, target, faction_id, told)
    await write(tx, book)
    await tx.schedule(REVIEW, tx.now + threats.REVIEW_EVERY, {"coalition_id": str(coalition_id)})
    return await _view(tx, coalition_id)


async def join(tx: Transaction, command: JoinCoalition) -> CoalitionView:
    """Stand with those who fear the same."""
    faction_id = command.faction_id
    await factions.may(tx, faction_id, command.character_id, "sign_treaty")
    target = (await _get(tx, command.coalition_id))["target_id"]
    if target == faction_id:
        raise threats.COALITION_AGAINST_ONESELF(faction_id=str(faction_id))
    seen = await _members(tx, command.coalition_id)
    await factions.require(tx, [faction_id, target])
    book = await relations_book(
        tx, [(faction_id, target), *((faction_id, m) for m in seen if m != faction_id)]
    )
    await _get(tx, command.coalition_id, LOCK)
    members = await _members(tx, command.coalition_id)
    if faction_id in members:
        raise threats.IN_COALITION(coalition_id=str(command.coalition_id))
    _check_not_allied(book, faction_id, target)
    own = await _fear(tx, faction_id, target)
    if own < threats.FEAR_STAYS:
        raise threats.TOO_LITTLE_FEAR(
            f"The faction fears it by {own:.0f} of the {threats.FEAR_STAYS:.0f} that it takes.", fear=own
        )
    await _add(tx, command.coalition_id, faction_id, own, command.character_id)
    told = tx.emit(
        CoalitionJoined(
            coalition_id=command.coalition_id, target_id=target, faction_id=faction_id, by_id=command.character_id,
            fear=own,
        )
    )  # fmt: skip
    _against(book, target, faction_id, told)
    for member in (m for m in members if m in seen):
        for holder, about in ((member, faction_id), (faction_id, member)):
            book.opine(
                holder, about, f"coalition:{command.coalition_id}", threats.TOGETHER_OPINION,
                "stands with us against a common danger", 360, told.id, cap=threats.TOGETHER_OPINION,
            )  # fmt: skip
    await sanctions.enlist(tx, command.coalition_id, faction_id, book, told)
    await write(tx, book)
    return await _view(tx, command.coalition_id)


async def leave(tx: Transaction, command: LeaveCoalition) -> CoalitionView:
    """Stand with them no more: who is still afraid deserts the others."""
    faction_id = command.faction_id
    await factions.may(tx, faction_id, command.character_id, "sign_treaty")
    row = await _get(tx, command.coalition_id)
    seen = [member for member in await _members(tx, row["id"]) if member != faction_id]
    await factions.require(tx, [faction_id])
    book = await relations_book(tx, [(other, faction_id) for other in seen])
    await _get(tx, row["id"], LOCK)
    members = await _members(tx, row["id"])
    if faction_id not in members:
        raise threats.NOT_IN_COALITION(faction_id=str(faction_id))
    others = [member for member in members if member in seen]
    told = await _drop(tx, row, faction_id, "its own choice", by_id=command.character_id)
    if await _fear(tx, faction_id, row["target_id"]) >= threats.FEAR_STAYS:
        for other in others:
            words = "left us to face the danger alone"
            book.opine(other, faction_id, "deserted", threats.DESERTED_OPINION, words, 360, told.id, cap=30)
            book.trust(other, faction_id, threats.DESERTED_TRUST, words)
    await write(tx, book)
    if len(members) - 1 < battle.COALITION_OF:
        await _dissolve(tx, row, "too few are left", told)
    return await _view(tx, row["id"])


# -- time ----------------------------------------------------------------------------------------------------


async def review(tx: Transaction, timers: Sequence[Timer]) -> None:
    """Members whose fear has passed leave, unless they are at war with the target; too few are no coalition."""
    ids = sorted({UUID(timer.data["coalition_id"]) for timer in timers})
    rows = [
        row for i in ids if (row := await tx.fetchrow(LOCK, tx.world_id, i)) and row["dissolved_at"] is None
    ]
    found = await threat_views.fears(tx, tx.world_id, tx.now, of=[row["target_id"] for row in rows])
    afraid = {(f.faction_id, f.target_id) for f in found if f.fear >= threats.FEAR_STAYS}
    for row in rows:
        members = await _members(tx, row["id"])
        at_war = {r["faction_id"] for r in await tx.fetch(ENEMIES, tx.world_id, row["target_id"])}
        calm = [m for m in members if (m, row["target_id"]) not in afraid and m not in at_war]
        for member in calm:
            await _drop(tx, row, member, "its fear has passed")
        if len(members) - len(calm) < battle.COALITION_OF:
            await _dissolve(tx, row, "the fear has passed" if calm else "nobody has joined")
        else:
            await tx.schedule(REVIEW, tx.now + threats.REVIEW_EVERY, {"coalition_id": str(row["id"])})


async def dissolved(tx: Transaction, records: list[EventRecord]) -> None:
    """Nobody stands against a faction that is no more, or with it."""
    for record in records:
        gone: UUID = record.event.faction_id  # type: ignore[attr-defined]
        for found in await tx.fetch(OF_FACTION, tx.world_id, gone):
            row = await tx.fetchrow(LOCK, tx.world_id, found["id"])
            if row["target_id"] == gone:
                await _dissolve(tx, row, "its target is no more", record)
                continue
            await _drop(tx, row, gone, "it was dissolved", cause=record)
            if len(await _members(tx, row["id"])) < battle.COALITION_OF:
                await _dissolve(tx, row, "too few are left", record)


# -- helpers -------------------------------------------------------------------------------------------------


async def _add(
    tx: Transaction, coalition_id: UUID, faction_id: UUID, fear: float, by_id: UUID | None
) -> None:
    await tx.execute(ADD_MEMBER, tx.world_id, tx.new_id(), coalition_id, faction_id, fear, by_id, tx.now)


async def _drop(
    tx: Transaction, row: Any, faction_id: UUID, reason: str, *, by_id: UUID | None = None,
    cause: EventRecord | None = None,
) -> EventRecord:  # fmt: skip
    """Let a member be out of a coalition, and of its sanctions."""
    await tx.execute(DROP_MEMBER, tx.world_id, row["id"], faction_id, tx.now)
    told = tx.emit(
        CoalitionLeft(
            coalition_id=row["id"],
            target_id=row["target_id"],
            faction_id=faction_id,
            by_id=by_id,
            reason=reason,
        ),
        cause=cause,
    )
    await sanctions.discharge(tx, row["id"], faction_id, told)
    return told


async def _dissolve(tx: Transaction, row: Any, reason: str, cause: EventRecord | None = None) -> None:
    for member in await _members(tx, row["id"]):
        await _drop(tx, row, member, reason, cause=cause)
    await tx.execute(
        "UPDATE coalitions SET dissolved_at = $3 WHERE world_id = $1 AND id = $2",
        tx.world_id,
        row["id"],
        tx.now,
    )
    await tx.cancel_timers(REVIEW, coalition_id=str(row["id"]))
    tx.emit(
        CoalitionDissolved(coalition_id=row["id"], target_id=row["target_id"], reason=reason), cause=cause
    )


def _against(book: Book, target: UUID, member: UUID, told: EventRecord) -> None:
    """What the target makes of one more that stands against it."""
    book.tense(member, target, threats.AGAINST_TENSION, "a coalition")
    words = "stands in a coalition against us"
    book.opine(target, member, "coalition_against", threats.AGAINST_OPINION, words, 360, told.id, cap=30)


def _check_not_allied(book: Book, faction_id: UUID, target: UUID) -> None:
    if book.status(faction_id, target) == "allied":
        raise threats.ALLIED_TO_THE_TARGET(faction_id=str(faction_id), target_id=str(target))


async def _fear(tx: Transaction, faction_id: UUID, target: UUID) -> float:
    found: list[Fear] = await threat_views.fears(tx, tx.world_id, tx.now, of=[target])
    return next((f.fear for f in found if f.faction_id == faction_id), 0.0)


async def _get(tx: Transaction, coalition_id: UUID, sql: str = GET) -> Any:
    """A coalition that stands. Refuses `coalition_not_found`, `coalition_over`."""
    row = await tx.fetchrow(sql, tx.world_id, coalition_id)
    if row is None:
        raise threats.COALITION_NOT_FOUND(coalition_id=str(coalition_id))
    if row["dissolved_at"] is not None:
        raise threats.COALITION_OVER(dissolved_at=row["dissolved_at"])
    return row


async def _members(tx: Transaction, coalition_id: UUID) -> list[UUID]:
    return [row["faction_id"] for row in await tx.fetch(MEMBERS, tx.world_id, coalition_id)]


async def _view(tx: Transaction, coalition_id: UUID) -> CoalitionView:
    found = await threat_views.coalition(tx, tx.world_id, coalition_id)
    assert found is not None
    return found


HANDLERS = (
    Handler(FormCoalition, one=form),
    Handler(JoinCoalition, one=join),
    Handler(LeaveCoalition, one=leave),
)
EVENTS = (CoalitionFormed, CoalitionJoined, CoalitionLeft, CoalitionDissolved)
KINDS = (TimerKind(REVIEW, review),)
GUARDING = (Reaction("diplomacy.coalitions_of_dissolved", (Dissolved,), dissolved),)
