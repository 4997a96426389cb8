"""Brings in wars as they stand, or as they ended, and what war has made of factions.

Apart from `wars`, where they are declared and ended in the game: here nobody judges, is called, or takes fright.
Locks, in this order: regions, factions, relations, wars, what war made of factions, markets.
"""

from collections import Counter
from typing import Any, Final
from uuid import UUID

from fablewright.core.system import Handler
from fablewright.core.transaction import Transaction
from fablewright.systems.diplomacy import battle, threat_views, wars
from fablewright.systems.diplomacy.campaigns import WARLIKE, WRITE_WARLIKE, json_parts, view, weary
from fablewright.systems.diplomacy.history_commands import (
    HISTORY_EXISTS,
    ImportWar,
    PartValue,
    PartyValue,
    SetWarlike,
    faults,
    refuse_first,
)
from fablewright.systems.diplomacy.relations import Pair, ordered
from fablewright.systems.diplomacy.rules import MOVES
from fablewright.systems.diplomacy.service import relations_book, write
from fablewright.systems.diplomacy.threat_views import WarlikeView
from fablewright.systems.diplomacy.war_events import WarImported, WarlikeSet
from fablewright.systems.diplomacy.war_views import WarDetail, exhaustion_of
from fablewright.systems.factions import service as factions
from fablewright.systems.factions.rules import Faction, check_stands
from fablewright.systems.regions import service as regions
from fablewright.systems.regions.rules import REGION_NOT_FOUND

ADD: Final = """
INSERT INTO wars (world_id, id, name, attacker_id, defender_id, cause, reason, legitimacy, legitimacy_parts,
                  battle_score, at, ended_at, outcome, final_score, final_parts, treaty_id, cause_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::jsonb, $10, $11, $12, $13, $14, $15::jsonb, $16, $17)
ON CONFLICT (world_id, id) DO NOTHING
"""
ADD_PARTY: Final = """
INSERT INTO war_parties (world_id, war_id, faction_id, side, state, called_by_id, losses, at, left_at, regions)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, coalesce($10, greatest(0, $11 + (
    SELECT count(*) FROM regions WHERE world_id = $1 AND controller_id = $3 AND removed_at IS NULL))))
"""
ADD_OCCUPATION: Final = """
INSERT INTO occupations (world_id, id, war_id, region_id, holder_id, occupier_id, at, until_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
LED_BY: Final = """
SELECT id FROM wars WHERE world_id = $1 AND ended_at IS NULL
AND least(attacker_id, defender_id) = least($2::uuid, $3::uuid)
AND greatest(attacker_id, defender_id) = greatest($2::uuid, $3::uuid)
"""
CAUSE: Final = """
SELECT 1 FROM (
    SELECT 'incident' AS cause FROM incidents
    WHERE world_id = $1 AND id = $2 AND injured_id = $4 AND accused_id = $5
    UNION ALL SELECT 'ultimatum_rejected' FROM ultimatums
    WHERE world_id = $1 AND id = $2 AND issuer_id = $4 AND target_id = $5
    UNION ALL SELECT 'coalition' FROM coalitions WHERE world_id = $1 AND id = $2 AND target_id = $5
    UNION ALL SELECT 'broken_treaty' FROM treaties WHERE world_id = $1 AND id = $2 AND NOT secret
    UNION ALL SELECT 'reconquest' FROM regions WHERE world_id = $1 AND id = $2
    UNION ALL SELECT 'defence' FROM wars WHERE world_id = $1 AND id = $2
) AS found WHERE cause = $3
"""
TREATY: Final = "SELECT 1 FROM treaties WHERE world_id = $1 AND id = $2 AND NOT secret"
KNOWN: Final = "SELECT id FROM regions WHERE world_id = $1 AND id = ANY($2::uuid[])"
MET: Final = """
SELECT r.low_id, r.high_id, r.status FROM unnest($2::uuid[], $3::uuid[]) AS v (low_id, high_id)
JOIN relations r ON r.world_id = $1 AND r.low_id = v.low_id AND r.high_id = v.high_id
"""
OCCUPIED: Final = """
SELECT region_id FROM occupations WHERE world_id = $1 AND region_id = ANY($2::uuid[]) AND until_at IS NULL
"""


async def import_war(tx: Transaction, command: ImportWar) -> WarDetail:
    """Bring in a war. One that goes on has what it needs for that: statuses, blockades and timers."""
    refuse_first(faults(command, tx.now))
    held = await _lock_lands(tx, command)
    sides = await _factions(tx, command)
    await _check_names(tx, command)
    war_id = command.id or tx.new_id()
    foes: list[Pair] = []
    if command.ended_at is None:
        foes = await _at_war(tx, command)
    name = command.name or (f"War of {sides[command.attacker_id].name} on {sides[command.defender_id].name}")
    await _write(tx, command, war_id, name, held)
    told = tx.emit(
        WarImported(
            war_id=war_id, name=name, attacker_id=command.attacker_id, defender_id=command.defender_id,
            cause=command.cause, cause_id=command.cause_id, reason=command.reason,
            legitimacy=command.legitimacy, since=command.begun(tx.now), ended_at=command.ended_at,
            outcome=_outcome(command),
        )
    )  # fmt: skip
    for faction_id in dict.fromkeys(attacker for attacker, _ in foes):
        await wars.blockade(tx, war_id, faction_id, [d for a, d in foes if a == faction_id], told)
    return await view(tx, war_id)


def _enemies(command: ImportWar) -> list[Pair]:
    """Who fights on other sides of a war, attackers first."""
    fighting = [p for p in command.told_parties() if p.state == "fighting"]
    return [
        (a.faction_id, b.faction_id) for a in fighting for b in fighting
        if (a.side, b.side) == ("attacker", "defender")
    ]  # fmt: skip


async def _lock_lands(tx: Transaction, command: ImportWar) -> set[UUID]:
    """The regions that are occupied, locked; those of them that their occupiers hold, and not nobody.

    Refuses `region_not_found`, `history_unsound`.
    """
    standing = {o.region_id: o.occupier_id for o in command.occupations if o.until is None}
    lands = await regions.regions(tx, standing, lock=True)
    taken = {row["region_id"] for row in await tx.fetch(OCCUPIED, tx.world_id, list(standing))}
    known = {
        row["id"] for row in await tx.fetch(KNOWN, tx.world_id, [o.region_id for o in command.occupations])
    }
    for number, o in enumerate(command.occupations):
        if o.region_id not in (known if o.until is not None else lands):
            raise REGION_NOT_FOUND(region_id=str(o.region_id))
        if o.until is not None:
            continue
        if lands[o.region_id].controller_id not in (o.occupier_id, None):
            refuse_first([(f"occupations.{number}.occupier_id", "another faction holds the region")])
        if o.region_id in taken:
            refuse_first([(f"occupations.{number}.region_id", "it is occupied in another war")])
    return {id_ for id_ in standing if lands[id_].controller_id is not None}


async def _factions(tx: Transaction, command: ImportWar) -> dict[UUID, Faction]:
    """All that the war names, locked. Refuses `faction_not_found`; of who is in it now, `faction_dissolved`."""
    named = {o.holder_id for o in command.occupations} | {o.occupier_id for o in command.occupations}
    parties = command.told_parties()
    now = {p.faction_id for p in parties if p.state in ("called", "fighting")}
    named |= {p.faction_id for p in parties} | {p.called_by_id for p in parties if p.called_by_id}
    found = await factions.load(tx, named)
    for faction_id in sorted(named):
        if faction_id not in found or (command.ended_at is None and faction_id in now):
            check_stands(found.get(faction_id), faction_id)
    return found


async def _check_names(tx: Transaction, command: ImportWar) -> None:
    """That what gave the cause, and the treaty that ended it, are there for all to see. Refuses `history_unsound`."""
    pair = (command.attacker_id, command.defender_id)
    if command.cause_id is not None and not await tx.fetchval(
        CAUSE, tx.world_id, command.cause_id, command.cause, *pair
    ):
        refuse_first([("cause_id", "it is nothing that gives this cause against the defender: leave it out")])
    if command.treaty_id is not None and not await tx.fetchval(TREATY, tx.world_id, command.treaty_id):
        refuse_first([("treaty_id", "it is no treaty of which all may know: leave it out")])


async def _at_war(tx: Transaction, command: ImportWar) -> list[Pair]:
    """Let its leaders be at war, and who fights with the other leader, if they never met.

    The pairs of its enemies who are at war, locked. Refuses `already_at_war`.
    """
    attacker, defender = leaders = (command.attacker_id, command.defender_id)
    enemies = {ordered(*pair): pair for pair in _enemies(command)}
    lows, highs = [low for low, _ in enemies], [high for _, high in enemies]
    met = {(r["low_id"], r["high_id"]): r["status"] for r in await tx.fetch(MET, tx.world_id, lows, highs)}
    strangers = [pair for key, pair in enemies.items() if key not in met and {*pair} & {*leaders}]
    # Two of many allies who never met need no relation for this.
    pairs = [*strangers, *(pair for key, pair in enemies.items() if met.get(key) == "war" or pair == leaders)]
    book = await relations_book(tx, pairs)
    if (led := await tx.fetchval(LED_BY, tx.world_id, attacker, defender)) is not None:
        raise battle.ALREADY_AT_WAR("These two lead a war against each other already.", war_id=str(led))
    if book.status(attacker, defender) == "allied":  # from there no step leads to war
        book.put(attacker, defender, "neutral", MOVES["allied"]["neutral"], None)
        await write(tx, book)
        book = await relations_book(tx, pairs)
    if book.status(attacker, defender) != "war":
        book.put(attacker, defender, "war", command.reason[:200] or "they were at war before", None)
    for pair in strangers:
        if book.status(*pair) == "neutral":
            book.put(*pair, "war", "came to the aid of an ally", None)
    await write(tx, book)
    return [pair for pair in dict.fromkeys(pairs) if book.status(*pair) == "war"]


async def _write(tx: Transaction, command: ImportWar, war_id: UUID, name: str, held: set[UUID]) -> None:
    """Store a war with its parties and what was taken."""
    begun, over = command.begun(tx.now), command.ended_at
    score = command.score or 0.0
    added = await tx.execute(
        ADD, tx.world_id, war_id, name, command.attacker_id, command.defender_id, command.cause, command.reason,
        command.legitimacy, _parts(command.legitimacy_parts, command.cause, command.legitimacy),
        command.battle_score, begun, over, _outcome(command), None if over is None else score,
        None if over is None else _parts(command.score_parts, "battles", score), command.treaty_id,
        command.cause_id,
    )  # fmt: skip
    if not added:
        raise HISTORY_EXISTS(id=str(war_id))
    standing = [o for o in command.occupations if o.until is None]
    lost = Counter(o.holder_id for o in standing)
    lost.subtract(o.occupier_id for o in standing if o.region_id in held)
    for party in sorted(command.told_parties(), key=lambda p: p.faction_id):
        await _add_party(tx, war_id, party, begun, over, lost[party.faction_id])
    for o in command.occupations:
        at = begun if o.since is None else o.since
        await tx.execute(
            ADD_OCCUPATION, tx.world_id, tx.dice.uuid(at), war_id, o.region_id, o.holder_id, o.occupier_id, at, o.until
        )  # fmt: skip


async def _add_party(
    tx: Transaction, war_id: UUID, party: PartyValue, begun: int, over: int | None, lost: int
) -> None:
    """Store a party, of whose regions the war has `lost` it so many. Who fights counts it, who is called has time."""
    since = begun if party.since is None else party.since
    fights = party.state == "fighting"
    state, left_at = ("out", over) if fights and over is not None else (party.state, party.left_at)
    held = party.regions if over is None else party.regions or 0
    await tx.execute(
        ADD_PARTY, tx.world_id, war_id, party.faction_id, party.side, state, party.called_by_id, party.losses, since,
        left_at, held, lost,
    )  # fmt: skip
    if state == "fighting":
        await weary(tx, party.faction_id, wars=1)
    elif state == "called":
        await tx.schedule(
            wars.CALL_LAPSES, max(tx.now, since + wars.CALL_WITHIN),
            {"war_id": str(war_id), "faction_id": str(party.faction_id)},
        )  # fmt: skip


def _outcome(command: ImportWar) -> str | None:
    return None if command.ended_at is None else command.outcome or "draw"


def _parts(parts: list[PartValue], what: str, value: float) -> str:
    """Parts as they are stored; a number of which none are told is its own."""
    return json_parts([battle.Part(p.what, p.amount) for p in parts] or [battle.Part(what, value)])


async def set_warlike(tx: Transaction, command: SetWarlike) -> WarlikeView:
    """Say what war has made of a faction; in how many it is, is counted."""
    faction_id = command.faction_id
    await factions.require(tx, [faction_id])
    row: Any = await tx.fetchrow(WARLIKE, tx.world_id, faction_id)
    tired, dread = command.exhaustion, command.aggression
    if tired is None:
        tired = exhaustion_of(row, tx.now) if row else 0.0
    if dread is None:
        dread = battle.aggression_now(row["aggression"], row["aggression_at"], tx.now) if row else 0.0
    await tx.execute(
        WRITE_WARLIKE, tx.world_id, faction_id, tired, dread, tx.now, row["wars"] if row else 0, tx.now
    )
    tx.emit(WarlikeSet(faction_id=faction_id, exhaustion=tired, aggression=dread))
    return await threat_views.warlike(tx, tx.world_id, faction_id, tx.now)


HANDLERS = (Handler(ImportWar, one=import_war), Handler(SetWarlike, one=set_warlike))
EVENTS = (WarImported, WarlikeSet)
