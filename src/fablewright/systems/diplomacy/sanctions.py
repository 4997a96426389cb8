"""What the commands about sanctions do, who breaches them, and when they end by themselves; a noun of its own.

A sanction stands as restrictions that other systems keep and check: `restrictions` writes them.

Locks, in this order: memberships, factions, accounts of the ledger, relations, sanctions, markets.
"""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import orjson

from fablewright.core.clock import DAY
from fablewright.core.system import Handler, Reaction, TimerKind
from fablewright.core.transaction import EventRecord, Timer, Transaction
from fablewright.systems.diplomacy import incidents, ladder, restrictions, war_commands, war_views
from fablewright.systems.diplomacy.events import RelationshipChanged, TensionChanged
from fablewright.systems.diplomacy.relations import Book
from fablewright.systems.diplomacy.service import peek as peek_relations
from fablewright.systems.diplomacy.service import relations_book, write
from fablewright.systems.diplomacy.threats import NOT_IN_COALITION, NOT_ITS_INCIDENT
from fablewright.systems.diplomacy.war_commands import ImposeSanction, JoinSanction, LeaveSanction
from fablewright.systems.diplomacy.war_events import (
    IncidentResolved,
    PeaceMade,
    SanctionImported,
    SanctionImposed,
    SanctionJoined,
    SanctionLeft,
    SanctionLifted,
)
from fablewright.systems.diplomacy.war_views import SANCTION, SanctionView
from fablewright.systems.factions import service as factions
from fablewright.systems.factions.events import Dissolved
from fablewright.systems.ledger import service as ledger

REVIEW: Final = "diplomacy.sanction_review"
"""The kind of timer that ends a sanction whose time is over or whose conditions hold; its data names it."""
REVIEW_EVERY: Final = 30 * DAY
"""So often sanctions with conditions are looked at, since tension and opinion also change by themselves (world ms)."""

HARM: Final = {"tariff": 4.0, "travel_ban": 6.0, "embargo": 8.0, "asset_freeze": 10.0}
"""What a sanction adds to the tension with each member; the target thinks worse of it by twice as much."""

ADD: Final = """
INSERT INTO sanctions (world_id, id, target_id, kind, good, rate, reason, lift_when, incident_id, hold_id, frozen,
                       until_at, by_id, at, coalition_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb, $9, $10, $11, $12, $13, $14, $15)
"""
ADD_MEMBER: Final = """
INSERT INTO sanction_members (world_id, id, sanction_id, faction_id, by_id, joined_at) VALUES ($1, $2, $3, $4, $5, $6)
"""
PART: Final = """
UPDATE sanction_members SET left_at = $4
WHERE world_id = $1 AND sanction_id = $2 AND faction_id = $3 AND left_at IS NULL
"""
SAME: Final = """
SELECT s.id FROM sanctions s
JOIN sanction_members m ON m.world_id = $1 AND m.sanction_id = s.id AND m.faction_id = $2 AND m.left_at IS NULL
WHERE s.world_id = $1 AND s.target_id = $3 AND s.kind = $4 AND s.good IS NOT DISTINCT FROM $5 AND s.lifted_at IS NULL
LIMIT 1
"""
HOLDS: Final = (
    "SELECT hold_id FROM sanctions WHERE world_id = $1 AND id = ANY($2::uuid[]) AND hold_id IS NOT NULL"
)
MEMBERS: Final = """
SELECT faction_id FROM sanction_members WHERE world_id = $1 AND sanction_id = $2 AND left_at IS NULL ORDER BY faction_id
"""
GET: Final = f"SELECT {SANCTION} FROM sanctions s WHERE world_id = $1 AND id = $2"  # noqa: S608
LOCK: Final = f"{GET} FOR NO KEY UPDATE"
CONCERNED: Final = """
SELECT id FROM sanctions
WHERE world_id = $1 AND lifted_at IS NULL AND jsonb_array_length(lift_when) > 0
  AND (target_id = ANY($2::uuid[]) OR incident_id = ANY($2::uuid[])) ORDER BY id
"""
BLOC: Final = """
SELECT m.coalition_id, m.faction_id FROM coalitions c
JOIN coalition_members m ON m.world_id = $1 AND m.coalition_id = c.id AND m.left_at IS NULL
WHERE c.world_id = $1 AND c.target_id = $2 AND c.dissolved_at IS NULL ORDER BY m.faction_id
"""
OF_COALITION: Final = """
SELECT id FROM sanctions WHERE world_id = $1 AND coalition_id = $2 AND lifted_at IS NULL ORDER BY id
"""
OF_FACTION: Final = """
SELECT s.id, s.target_id FROM sanctions s
WHERE s.world_id = $1 AND s.lifted_at IS NULL AND (s.target_id = $2 OR EXISTS (
    SELECT 1 FROM sanction_members m
    WHERE m.world_id = $1 AND m.sanction_id = s.id AND m.faction_id = $2 AND m.left_at IS NULL))
ORDER BY s.id
"""
AT_WAR: Final = """
SELECT 1 FROM relations WHERE world_id = $1 AND status = 'war'
  AND ((low_id = $2 AND high_id = ANY($3::uuid[])) OR (high_id = $2 AND low_id = ANY($3::uuid[])))
"""


# -- commands ------------------------------------------------------------------------------------------------


def check_shape(kind: str, rate: float, good: str | None) -> None:
    """Whether there can be such a sanction. Refuses `sanction_shape`."""
    if (kind == "tariff") != (rate > 0) or (good is not None and kind not in ("embargo", "tariff")):
        raise war_commands.SANCTION_SHAPE(kind=kind, rate=rate, good=good)


async def impose(tx: Transaction, command: ImposeSanction) -> SanctionView:
    """Sanction a faction; it binds at once."""
    await factions.may(tx, command.faction_id, command.character_id, "sanction")
    return await _view(tx, await start(tx, command, by_id=command.character_id))


async def start(
    tx: Transaction, command: ImposeSanction, *, by_id: UUID | None = None, cause: EventRecord | None = None
) -> UUID:
    """Let a sanction hold from now on, also one that comes by itself; its id.

    Refuses what `ImposeSanction` does, but does not ask whether anybody may impose it: the caller has.
    """
    if command.faction_id == command.target_id:
        raise war_commands.SANCTION_ON_ONESELF(faction_id=str(command.faction_id))
    check_shape(command.kind, command.rate, command.good)
    if command.until_at is not None and command.until_at <= tx.now:
        raise war_commands.DEADLINE_IN_THE_PAST(f"It is {tx.now} in the world.", now=tx.now)
    await _check_conditions(tx, command)
    target = (await factions.require(tx, [command.target_id, command.faction_id]))[command.target_id]
    standing = await tx.fetchval(
        SAME, tx.world_id, command.faction_id, command.target_id, command.kind, command.good
    )
    if standing is not None:
        raise war_commands.ALREADY_SANCTIONING(faction_id=str(command.faction_id), sanction_id=str(standing))
    coalition_id, others = await _bloc(tx, command)
    sanction_id = tx.new_id()
    assets, held = None, None
    if command.kind == "asset_freeze":
        assets, held = await restrictions.freeze(tx, sanction_id, target.id, target.currency)
    hold_id, frozen = (held.id, held.amount) if held else (None, 0)
    book = await relations_book(tx, [(member, target.id) for member in (command.faction_id, *others)])
    conditions = [each.model_dump() for each in command.lift_when]
    await tx.execute(
        ADD, tx.world_id, sanction_id, command.target_id, command.kind, command.good, command.rate, command.reason,
        orjson.dumps(conditions).decode(), command.incident_id, hold_id, frozen, command.until_at, by_id, tx.now,
        coalition_id,
    )  # fmt: skip
    told = tx.emit(
        SanctionImposed(
            sanction_id=sanction_id, faction_id=command.faction_id, target_id=command.target_id, kind=command.kind,
            by_id=by_id, coalition_id=coalition_id, good=command.good, rate=command.rate, reason=command.reason,
            until_at=command.until_at, frozen=frozen, lift_when=conditions,
        ),
        cause=cause,
    )  # fmt: skip
    if assets is not None and held is not None:
        assets.told(held, told.id)
        await ledger.write(tx, assets)
    if command.until_at is not None or conditions:
        due = min(tx.now + REVIEW_EVERY, command.until_at or tx.now + REVIEW_EVERY)
        await tx.schedule(REVIEW, due, {"sanction_id": str(sanction_id)})
    row = await tx.fetchrow(GET, tx.world_id, sanction_id)
    await _bind(tx, row, command.faction_id, book, told)
    for other in others:
        await _bind(tx, row, other, book, tx.emit(SanctionJoined(**whom(row, other, None)), cause=told))
    await write(tx, book)
    return sanction_id


async def _check_conditions(tx: Transaction, command: ImposeSanction) -> None:
    """Whether the sanction can end as it is to. Refuses `incident_not_found`, `not_its_incident`, `sanction_shape`."""
    conditions = {each.kind: each.value for each in command.lift_when}
    if conditions.get("tension_below", 1.0) <= 0:
        raise war_commands.SANCTION_SHAPE("No tension is below 0: say below which it shall be.")
    if command.incident_id is not None:
        if (await incidents.peek(tx, command.incident_id))["accused_id"] != command.target_id:
            raise NOT_ITS_INCIDENT(incident_id=str(command.incident_id))
    elif "incident_settled" in conditions:
        raise ladder.INCIDENT_NOT_FOUND("Name the incident whose settlement lifts the sanction.")


async def _bloc(tx: Transaction, command: ImposeSanction) -> tuple[UUID | None, list[UUID]]:
    """The coalition for which a faction imposes a sanction, and its other members. Refuses `not_in_coalition`."""
    if not command.for_coalition:
        return None, []
    rows = await tx.fetch(BLOC, tx.world_id, command.target_id)
    members = [row["faction_id"] for row in rows]
    if command.faction_id not in members:
        raise NOT_IN_COALITION(faction_id=str(command.faction_id), target_id=str(command.target_id))
    return rows[0]["coalition_id"], [member for member in members if member != command.faction_id]


async def join(tx: Transaction, command: JoinSanction) -> SanctionView:
    """Take part in a sanction of others."""
    await factions.may(tx, command.faction_id, command.character_id, "sanction")
    row = await _get(tx, command.sanction_id)
    if row["target_id"] == command.faction_id:
        raise war_commands.SANCTION_ON_ONESELF(faction_id=str(command.faction_id))
    book = await relations_book(tx, [(command.faction_id, row["target_id"])])
    row = await _get(tx, command.sanction_id, LOCK)
    if command.faction_id in await members_of(tx, row["id"]):
        raise war_commands.ALREADY_SANCTIONING(faction_id=str(command.faction_id))
    told = tx.emit(SanctionJoined(**whom(row, command.faction_id, command.character_id)))
    await _bind(tx, row, command.faction_id, book, told)
    await write(tx, book)
    return await _view(tx, row["id"])


async def leave(tx: Transaction, command: LeaveSanction) -> SanctionView:
    """Take part no more; the last to leave lifts it."""
    await factions.may(tx, command.faction_id, command.character_id, "sanction")
    row = await _get(tx, command.sanction_id)
    if not await _part(tx, row["id"], command.faction_id, command.character_id):
        raise war_commands.NOT_IN_SANCTION(faction_id=str(command.faction_id))
    return await _view(tx, row["id"])


async def _part(
    tx: Transaction, sanction_id: UUID, faction_id: UUID, by_id: UUID | None, cause: EventRecord | None = None
) -> bool:
    """Let a member leave a sanction, which the last one ends; False if it takes no part in it now."""
    row, book = await _opened(tx, sanction_id)
    members = [] if row is None else await members_of(tx, sanction_id)
    if faction_id not in members:
        return False
    if members == [faction_id]:
        await _end(tx, row, book, "the last member has left it", by_id, cause)
        return True
    await tx.execute(PART, tx.world_id, sanction_id, faction_id, tx.now)
    told = tx.emit(SanctionLeft(**whom(row, faction_id, by_id)), cause=cause)
    await restrictions.lift(tx, sanction_id, [faction_id], told)
    return True


# -- blocs ---------------------------------------------------------------------------------------------------


async def enlist(
    tx: Transaction, coalition_id: UUID, faction_id: UUID, book: Book, cause: EventRecord
) -> None:
    """Let who has joined a coalition take part in its sanctions; the caller writes the book."""
    for row in await tx.fetch(OF_COALITION, tx.world_id, coalition_id):
        row = await tx.fetchrow(LOCK, tx.world_id, row["id"])  # noqa: PLW2901
        if row["lifted_at"] is None and faction_id not in await members_of(tx, row["id"]):
            told = tx.emit(SanctionJoined(**whom(row, faction_id, None)), cause=cause)
            await _bind(tx, row, faction_id, book, told)


async def discharge(tx: Transaction, coalition_id: UUID, faction_id: UUID, cause: EventRecord) -> None:
    """Let who has left a coalition leave its sanctions."""
    for row in await tx.fetch(OF_COALITION, tx.world_id, coalition_id):
        await _part(tx, row["id"], faction_id, None, cause)


async def dissolved(tx: Transaction, records: list[EventRecord]) -> None:
    """Sanctions on a faction that is no more end, what they froze goes to its heir, and it leaves those of others."""
    for record in records:
        event: Any = record.event
        gone: UUID = event.faction_id
        rows = await tx.fetch(OF_FACTION, tx.world_id, gone)
        await _lock_frozen(tx, [row["id"] for row in rows])
        for row in rows:
            if row["target_id"] == gone:
                await lift(tx, row["id"], "its target is no more", cause=record)
            else:
                await _part(tx, row["id"], gone, None, record)
        faction = (await factions.load(tx, [gone]))[gone]
        await factions.bequeath(tx, faction, event.heir_id, event.by_id)


async def lift(
    tx: Transaction,
    sanction_id: UUID,
    reason: str,
    *,
    by_id: UUID | None = None,
    cause: EventRecord | None = None,
) -> bool:
    """End a sanction and all that stands for it; False if it was over."""
    row, book = await _opened(tx, sanction_id)
    if row is None:
        return False
    await _end(tx, row, book, reason, by_id, cause)
    return True


async def _opened(tx: Transaction, sanction_id: UUID) -> tuple[Any, ledger.Book | None]:
    """A sanction that stands, locked, after the account of what it has frozen; None if it is over."""
    row = await tx.fetchrow(GET, tx.world_id, sanction_id)
    if row is None or row["lifted_at"] is not None:
        return None, None
    book = None if row["hold_id"] is None else await ledger.open_holds(tx, [row["hold_id"]])
    row = await tx.fetchrow(LOCK, tx.world_id, sanction_id)
    return (None, None) if row["lifted_at"] is not None else (row, book)


async def _lock_frozen(tx: Transaction, sanction_ids: Sequence[UUID]) -> None:
    """Lock the accounts of all that these sanctions have frozen, before one of them touches the markets."""
    rows = await tx.fetch(HOLDS, tx.world_id, sanction_ids)
    if rows:
        await ledger.open_holds(tx, [row["hold_id"] for row in rows])


async def _end(
    tx: Transaction, row: Any, book: ledger.Book | None, reason: str, by_id: UUID | None, cause: EventRecord | None
) -> None:  # fmt: skip
    sanction_id = row["id"]
    await tx.execute(
        "UPDATE sanctions SET lifted_at = $3, lift_reason = $4 WHERE world_id = $1 AND id = $2",
        tx.world_id, sanction_id, tx.now, reason,
    )  # fmt: skip
    members = await members_of(tx, sanction_id)
    told = tx.emit(
        SanctionLifted(**whom(row, members[0] if members else None, by_id), reason=reason), cause=cause
    )
    await tx.cancel_timers(REVIEW, sanction_id=str(sanction_id))
    if book is not None:
        held = book.holds.get(row["hold_id"])
        if held is not None and held.state == "open":
            book.release(held)
        await ledger.write(tx, book)
    await restrictions.lift(tx, sanction_id, members, told)


# -- what it binds -------------------------------------------------------------------------------------------


async def _bind(tx: Transaction, row: Any, member: UUID, book: Book, told: EventRecord) -> None:
    """Let a member take part in a sanction, which the two resent; the caller writes the book."""
    target, event = row["target_id"], told.event
    by_id: UUID | None = event.by_id  # type: ignore[attr-defined]
    await tx.execute(ADD_MEMBER, tx.world_id, tx.new_id(), row["id"], member, by_id, tx.now)
    harm = HARM[row["kind"]]
    book.tense(member, target, harm, f"a sanction ({row['kind'].replace('_', ' ')})")
    book.opine(target, member, "sanction", -2 * harm, "sanctioned us", 180, told.id, cap=50)
    await restrictions.impose(tx, row, member, told)


# -- the end -------------------------------------------------------------------------------------------------


async def review(tx: Transaction, timers: Sequence[Timer]) -> None:
    """Sanctions whose time is over or whose conditions hold end; the others are looked at again later."""
    due = sorted({UUID(timer.data["sanction_id"]) for timer in timers})
    await _lock_frozen(tx, due)
    for sanction_id in due:
        row = await tx.fetchrow(GET, tx.world_id, sanction_id)
        if row is None or row["lifted_at"] is not None:
            continue
        if row["until_at"] is not None and row["until_at"] <= tx.now:
            await lift(tx, sanction_id, "its time is over")
        elif not await _lift_if_met(tx, row, None):
            again = min(tx.now + REVIEW_EVERY, row["until_at"] or tx.now + REVIEW_EVERY)
            await tx.schedule(REVIEW, again, {"sanction_id": str(sanction_id)})


async def reconsider(tx: Transaction, records: list[EventRecord]) -> None:
    """After what may fulfil conditions, lift the sanctions whose conditions hold.

    Those that were brought in with it are as they were: they are looked at when their time comes.
    """
    concerned = {about for record in records for about in record.about}
    rows = await tx.fetch(CONCERNED, tx.world_id, sorted(concerned))
    brought = {e.event.sanction_id for e in tx.events if isinstance(e.event, SanctionImported)}
    for row in rows:
        if row["id"] not in brought:
            await _lift_if_met(tx, await tx.fetchrow(GET, tx.world_id, row["id"]), records[-1])


async def _lift_if_met(tx: Transaction, row: Any, cause: EventRecord | None) -> bool:
    conditions = orjson.loads(row["lift_when"])
    members = await members_of(tx, row["id"])
    if not conditions or not members:
        return False
    book = await peek_relations(tx, tx.world_id, tx.now, [(m, row["target_id"]) for m in members])
    for each in conditions:
        if each["kind"] == "tension_below":
            met = all(book.tension(m, row["target_id"]) < each["value"] for m in members)
        elif each["kind"] == "opinion_above":
            met = all(book.opinion(m, row["target_id"]) > each["value"] for m in members)
        elif each["kind"] == "peace":
            met = not await tx.fetchval(AT_WAR, tx.world_id, row["target_id"], members)
        else:
            met = (await incidents.peek(tx, row["incident_id"]))["closed_at"] is not None
        if not met:
            return False
    said = ", ".join(each["kind"].replace("_", " ") for each in conditions)
    return await lift(tx, row["id"], f"its conditions hold: {said}", cause=cause)


# -- helpers -------------------------------------------------------------------------------------------------


async def _get(tx: Transaction, sanction_id: UUID, sql: str = GET) -> Any:
    """A sanction that is not lifted. Refuses `sanction_not_found`, `sanction_lifted`."""
    row = await tx.fetchrow(sql, tx.world_id, sanction_id)
    if row is None:
        raise war_commands.SANCTION_NOT_FOUND(sanction_id=str(sanction_id))
    if row["lifted_at"] is not None:
        raise war_commands.SANCTION_LIFTED(lifted_at=row["lifted_at"])
    return row


async def members_of(tx: Transaction, sanction_id: UUID) -> list[UUID]:
    """The factions that take part in a sanction, by id."""
    return [row["faction_id"] for row in await tx.fetch(MEMBERS, tx.world_id, sanction_id)]


def whom(row: Any, faction_id: UUID | None, by_id: UUID | None) -> dict[str, Any]:
    """The fields that all events of a sanction have."""
    return {
        "sanction_id": row["id"], "faction_id": faction_id, "target_id": row["target_id"], "kind": row["kind"],
        "by_id": by_id,
    }  # fmt: skip


async def _view(tx: Transaction, sanction_id: UUID) -> SanctionView:
    found = await war_views.sanction(tx, tx.world_id, sanction_id)
    assert found is not None
    return found


HANDLERS = (
    Handler(ImposeSanction, one=impose),
    Handler(JoinSanction, one=join),
    Handler(LeaveSanction, one=leave),
)
EVENTS = (SanctionImposed, SanctionJoined, SanctionLeft, SanctionLifted)
KINDS = (TimerKind(REVIEW, review),)
GUARDING = (
    Reaction(
        "diplomacy.sanctions_reconsidered", (IncidentResolved, PeaceMade, TensionChanged, RelationshipChanged),
        reconsider,
    ),
    Reaction("diplomacy.sanctions_of_dissolved", (Dissolved,), dissolved),
)  # fmt: skip
