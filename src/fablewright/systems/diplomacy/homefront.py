"""What war and peace do to the land: regions lose stability, at the front most, and prices follow it.

Apart from `wars`, since regions are locked before factions: it all happens by timers, right after the event. A war goes
on shaking the land, which would else calm down; peace is a relief.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from fablewright.core import log
from fablewright.core.clock import DAY
from fablewright.core.messages import Catalogue, Event
from fablewright.core.system import Reaction, TimerKind
from fablewright.core.transaction import EventRecord, Timer, Transaction
from fablewright.systems.diplomacy.rules import (
    PEACE_COMES,
    WAR_BEGINS,
    WAR_GOES_ON,
    WAR_WEARS_DAYS,
    unrest,
)
from fablewright.systems.diplomacy.war_events import CallAnswered, PeaceMade, WarDeclared, WarImported
from fablewright.systems.regions import service as regions

WAR_FELT: Final = "diplomacy.war_felt"
"""Timers of this kind shake the land of those who fight: when a war begins or spreads, while it lasts, at its end."""

FELT: Final = (WarDeclared, WarImported, CallAnswered, PeaceMade)
TOLD: Final[Catalogue[Event]] = Catalogue(FELT)
WEARS: Final = WAR_WEARS_DAYS * DAY

SIDES: Final = """
SELECT p.war_id, p.faction_id, p.side, w.ended_at FROM war_parties p
JOIN wars w ON w.world_id = p.world_id AND w.id = p.war_id
WHERE p.world_id = $1 AND p.war_id = ANY($2::uuid[])
  AND (p.state = 'fighting' OR (w.ended_at IS NOT NULL AND p.left_at = w.ended_at))
ORDER BY p.war_id, p.faction_id
"""
HELD: Final = """
SELECT id, controller_id FROM regions
WHERE world_id = $1 AND controller_id = ANY($2::uuid[]) AND removed_at IS NULL ORDER BY id
"""
EVENTS_OF: Final = f"SELECT {log.COLUMNS} FROM events WHERE world_id = $1 AND id = ANY($2::uuid[])"  # noqa: S608


async def concerns(tx: Transaction, records: list[EventRecord]) -> list[EventRecord]:
    """Those of the events that bring war or peace to somebody's land."""
    return [r for r in records if _concerns(r.event)]


def _concerns(event: Event) -> bool:
    if isinstance(event, CallAnswered):
        return event.come
    return not isinstance(event, WarImported) or event.ended_at is None


async def feel(tx: Transaction, records: list[EventRecord]) -> None:
    """Let the land feel it, as soon as this is committed."""
    for record in records:
        event = record.event
        assert isinstance(event, FELT)
        data = {"war_id": str(event.war_id), "event_id": str(record.id)}
        if isinstance(event, WarImported):  # what it has done to the land so far, the land shows
            due = event.since + ((tx.now - event.since) // WEARS + 1) * WEARS
            await tx.schedule(WAR_FELT, due, {**data, "again": True})
            continue
        if isinstance(event, CallAnswered):
            data["faction_id"] = str(event.faction_id)
        elif isinstance(event, PeaceMade):
            await tx.cancel_timers(WAR_FELT, war_id=str(event.war_id))
        await tx.schedule(WAR_FELT, tx.now, data)
        if isinstance(event, WarDeclared):
            await tx.schedule(WAR_FELT, tx.now + WEARS, {**data, "again": True})


async def shake(tx: Transaction, timers: list[Timer]) -> None:
    """Shake the land that wars touch; a war that goes on will do so again."""
    wars = sorted({UUID(timer.data["war_id"]) for timer in timers})
    sides: dict[UUID, dict[UUID, str]] = defaultdict(dict)
    over: set[UUID] = set()
    for row in await tx.fetch(SIDES, tx.world_id, wars):
        sides[row["war_id"]][row["faction_id"]] = row["side"]
        if row["ended_at"] is not None:
            over.add(row["war_id"])
    fighters = sorted({faction_id for war in sides.values() for faction_id in war})
    holders = {r["id"]: r["controller_id"] for r in await tx.fetch(HELD, tx.world_id, fighters)}
    borders = [(b.low_id, b.high_id) for b in await regions.borders(tx)] if holders else []
    events = await _events(tx, timers)
    for timer in timers:
        war_id = UUID(timer.data["war_id"])
        cause = events.get(UUID(timer.data["event_id"]))
        again, ended = bool(timer.data.get("again")), war_id in over
        peace = cause is not None and isinstance(cause.event, PeaceMade)
        if ended and not peace:
            continue
        moved = PEACE_COMES if peace else WAR_GOES_ON if again else WAR_BEGINS
        deltas = unrest(holders, borders, _enemies(sides[war_id]), moved)
        if "faction_id" in timer.data:
            deltas = {r: d for r, d in deltas.items() if holders[r] == UUID(timer.data["faction_id"])}
        await regions.shake(tx, deltas, moved.reason, cause=cause)
        if again:
            await tx.schedule(WAR_FELT, tx.now + WEARS, timer.data)


def _enemies(sides: Mapping[UUID, str]) -> dict[UUID, set[UUID]]:
    """Against whom each party of a war fights."""
    return {a: {b for b, other in sides.items() if other != side} for a, side in sides.items()}


async def _events(tx: Transaction, timers: list[Timer]) -> dict[UUID, EventRecord]:
    ids = sorted({UUID(timer.data["event_id"]) for timer in timers})
    rows: list[Any] = await tx.fetch(EVENTS_OF, tx.world_id, ids)
    return {row["id"]: record for row in rows if (record := log.decode(row, TOLD)) is not None}


FOLLOWING = (Reaction("diplomacy.war_is_felt", FELT, feel, choose=concerns),)
TIMERS = (TimerKind(WAR_FELT, shake),)
