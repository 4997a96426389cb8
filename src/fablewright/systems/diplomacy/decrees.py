"""What becomes of wars when a game master says what two factions are, and when a faction or a region is no more.

Apart from `wars` since nobody declares or makes peace here. It stands last among the parts of this system: what a peace
treaty has ended by then is over.
"""

from typing import Any, Final
from uuid import UUID

from fablewright.core.system import Reaction
from fablewright.core.transaction import EventRecord, Transaction
from fablewright.systems.diplomacy import battle, war_views, wars
from fablewright.systems.diplomacy.campaigns import json_parts, told_parts, weary
from fablewright.systems.diplomacy.events import StatusChanged
from fablewright.systems.diplomacy.service import relations_book, write
from fablewright.systems.diplomacy.war_events import WarDeclared, WarPartyLeft
from fablewright.systems.factions import service as factions
from fablewright.systems.factions.events import Dissolved
from fablewright.systems.regions.events import ControlChanged, RegionRemoved

FAIR_AS_DECREED: Final = battle.Legitimacy(battle.FAIR, (battle.Part("decree", battle.FAIR),))
"""Of a war that nobody declared nobody knows how just it is."""

AGAINST: Final = """
SELECT w.id, w.attacker_id = ANY($4::uuid[]) AND w.defender_id = ANY($4::uuid[]) AS led, EXISTS (
    SELECT 1 FROM trade_restrictions r
    WHERE r.world_id = $1 AND r.source = 'war:' || w.id || ':' || $2 || ':' || $3 AND r.lifted_at IS NULL) AS blockaded
FROM wars w
JOIN war_parties a ON a.world_id = $1 AND a.war_id = w.id AND a.faction_id = $2 AND a.state = 'fighting'
JOIN war_parties b ON b.world_id = $1 AND b.war_id = w.id AND b.faction_id = $3 AND b.state = 'fighting'
WHERE w.world_id = $1 AND w.ended_at IS NULL AND a.side <> b.side ORDER BY w.id
"""
STATUS: Final = "SELECT status FROM relations WHERE world_id = $1 AND low_id = $2 AND high_id = $3"
PARTY_IN: Final = """
SELECT p.war_id, p.faction_id, p.side, p.state, w.attacker_id, w.defender_id
FROM war_parties p JOIN wars w ON w.world_id = p.world_id AND w.id = p.war_id AND w.ended_at IS NULL
WHERE p.world_id = $1 AND p.faction_id = $2 AND p.state IN ('called', 'fighting') ORDER BY p.war_id
"""
SET_PARTY: Final = """
UPDATE war_parties SET state = $4, left_at = $5 WHERE world_id = $1 AND war_id = $2 AND faction_id = $3
"""
TAKEN_OVER: Final = """
UPDATE occupations o SET until_at = $4 FROM unnest($2::uuid[], $3::uuid[]) AS v (region_id, holder_id)
WHERE o.world_id = $1 AND o.region_id = v.region_id AND o.until_at IS NULL
  AND o.occupier_id IS DISTINCT FROM v.holder_id
"""


async def follow(tx: Transaction, records: list[EventRecord]) -> None:
    """Let every war between two leaders be one in the books, and every such war in the books be one.

    Those who fight on other sides of a war without being at war with each other trade.
    """
    seen: dict[tuple[UUID, UUID], EventRecord] = {}
    for record in records:
        event = record.event
        if isinstance(event, StatusChanged) and "war" in (event.before, event.status):
            seen[event.low_id, event.high_id] = record
    for (low, high), record in seen.items():
        status = await tx.fetchval(STATUS, tx.world_id, low, high)
        fought = await tx.fetch(AGAINST, tx.world_id, low, high, [low, high])
        for war in fought:
            if status == "war" and not war["blockaded"]:
                await wars.blockade(tx, war["id"], low, [high], record)
            elif status != "war" and war["led"]:
                await wars.end(tx, war["id"], cause=record)
            elif status != "war" and war["blockaded"]:
                await wars.unblock(tx, war["id"], [(low, high)], record)
        if status == "war" and not fought:
            await _adopt(tx, low, high, record)


async def _adopt(tx: Transaction, attacker_id: UUID, defender_id: UUID, record: EventRecord) -> None:
    """Let a war be in the books that a game master said there is. Who began it is not known."""
    sides = await factions.load(tx, [attacker_id, defender_id], lock=False)
    event: Any = record.event
    war_id, just = tx.new_id(), FAIR_AS_DECREED
    name = f"War of {sides[attacker_id].name} and {sides[defender_id].name}"
    await tx.execute(
        wars.ADD, tx.world_id, war_id, name, attacker_id, defender_id, "decree", None, event.reason, just.value,
        json_parts(just.parts), None, tx.now,
    )  # fmt: skip
    for faction_id, side in ((attacker_id, "attacker"), (defender_id, "defender")):
        await tx.execute(wars.ADD_PARTY, tx.world_id, war_id, faction_id, side, "fighting", None, tx.now)
        await weary(tx, faction_id, wars=1)
    told = tx.emit(
        WarDeclared(
            war_id=war_id, name=name, attacker_id=attacker_id, defender_id=defender_id, cause="decree", cause_id=None,
            reason=event.reason, legitimacy=just.value, parts=told_parts(just.parts), by_id=None,
        ),
        cause=record,
    )  # fmt: skip
    await wars.blockade(tx, war_id, attacker_id, [defender_id], told)


async def dissolved(tx: Transaction, records: list[EventRecord]) -> None:
    """A war ends when one of its leaders is no more; others that are no more leave it."""
    for record in records:
        gone: UUID = record.event.faction_id  # type: ignore[attr-defined]
        for row in await tx.fetch(PARTY_IN, tx.world_id, gone):
            if gone in (row["attacker_id"], row["defender_id"]):
                await wars.end(tx, row["war_id"], cause=record)
            elif row["state"] == "called":
                await tx.execute(SET_PARTY, tx.world_id, row["war_id"], gone, "refused", None)
                await tx.cancel_timers(wars.CALL_LAPSES, war_id=str(row["war_id"]), faction_id=str(gone))
            else:
                await _leave(tx, row, record)


async def _leave(tx: Transaction, row: Any, record: EventRecord) -> None:
    parties = await tx.fetch(war_views.PARTIES, tx.world_id, [row["war_id"]])
    enemies = [p["faction_id"] for p in parties if p["state"] == "fighting" and p["side"] != row["side"]]
    book = await relations_book(tx, [(row["faction_id"], enemy) for enemy in enemies])
    for enemy in enemies:
        if book.status(row["faction_id"], enemy) == "war":
            book.move(row["faction_id"], enemy, "truce", "there is nobody left to fight")
    await write(tx, book)
    await tx.execute(SET_PARTY, tx.world_id, row["war_id"], row["faction_id"], "out", tx.now)
    told = tx.emit(
        WarPartyLeft(
            war_id=row["war_id"], faction_id=row["faction_id"], by_id=None, side=row["side"],
            reason="it was dissolved", treaty_id=None,
        ),
        cause=record,
    )  # fmt: skip
    await weary(tx, row["faction_id"], wars=-1)
    await wars.unblock(tx, row["war_id"], [(row["faction_id"], enemy) for enemy in enemies], told)


async def taken_over(tx: Transaction, records: list[EventRecord]) -> None:
    """What somebody else was given, or is no more, nobody occupies any longer."""
    lands: list[UUID] = []
    holders: list[UUID | None] = []
    for record in records:
        event = record.event
        if isinstance(event, RegionRemoved) or (isinstance(event, ControlChanged) and event.controller_id):
            lands.append(event.region_id)
            holders.append(None if isinstance(event, RegionRemoved) else event.controller_id)
    if lands:
        await tx.execute(TAKEN_OVER, tx.world_id, lands, holders, tx.now)


GUARDING = (
    Reaction("diplomacy.lands_taken_over", (ControlChanged, RegionRemoved), taken_over),
    Reaction("diplomacy.wars_as_decreed", (StatusChanged,), follow),
    Reaction("diplomacy.wars_of_dissolved", (Dissolved,), dissolved),
)
"""Wars belong to the truth about what two factions are."""
