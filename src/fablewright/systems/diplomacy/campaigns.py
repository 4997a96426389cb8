"""Battles and what they take; beside `wars`, where wars begin and end, since both are nouns of their own.

Locks, in this order: memberships, regions, factions, wars with their parties, what war made of factions.
"""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import orjson

from fablewright.core.system import Handler
from fablewright.core.transaction import EventRecord, Transaction
from fablewright.systems.diplomacy import battle, war_views
from fablewright.systems.diplomacy.service import peek as peek_relations
from fablewright.systems.diplomacy.war_commands import FightBattle
from fablewright.systems.diplomacy.war_events import BattleFought, PartTold, RegionOccupied
from fablewright.systems.diplomacy.war_views import WAR, WarDetail
from fablewright.systems.factions import service as factions
from fablewright.systems.factions.rules import Faction
from fablewright.systems.regions import service as regions

LOCK: Final = f"SELECT {WAR} FROM wars WHERE world_id = $1 AND id = $2 FOR NO KEY UPDATE"  # noqa: S608
WARLIKE: Final = """
SELECT exhaustion, exhaustion_at, aggression, aggression_at, wars FROM warlike
WHERE world_id = $1 AND faction_id = $2 FOR NO KEY UPDATE
"""
WRITE_WARLIKE: Final = """
INSERT INTO warlike (world_id, faction_id, exhaustion, exhaustion_at, aggression, aggression_at, wars)
VALUES ($1, $2, $3, $7, $4, $5, $6)
ON CONFLICT (world_id, faction_id) DO UPDATE SET
    exhaustion = excluded.exhaustion, exhaustion_at = excluded.exhaustion_at,
    aggression = excluded.aggression, aggression_at = excluded.aggression_at, wars = excluded.wars
"""
ADD_BATTLE: Final = """
INSERT INTO war_battles (world_id, id, war_id, attacker_id, defender_id, region_id, attacker_troops, defender_troops,
                         attacker_losses, defender_losses, winner, rounds, score, parts, by_id, at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14::jsonb, $15, $16)
"""


# -- battles -------------------------------------------------------------------------------------------------


async def fight(tx: Transaction, command: FightBattle) -> WarDetail:
    """Seek battle."""
    await factions.may(tx, command.faction_id, command.character_id, "fight")
    lands = await regions.regions(tx, [command.region_id], lock=True) if command.region_id else {}
    land = lands.get(command.region_id) if command.region_id else None
    sides = await factions.require(tx, [command.faction_id, command.enemy_id])
    war, parties = await locked(tx, command.war_id)
    mine, theirs = party_of(parties, command.faction_id), party_of(parties, command.enemy_id)
    if mine["side"] == theirs["side"]:
        raise battle.SAME_SIDE(side=mine["side"])
    if command.region_id is not None and (land is None or land.controller_id != command.enemy_id):
        raise battle.NOT_OF_THE_ENEMY(region_id=str(command.region_id), enemy_id=str(command.enemy_id))
    us, them = sides[command.faction_id], sides[command.enemy_id]
    known = await peek_relations(tx, tx.world_id, tx.now, [(us.id, them.id)])
    if known.status(us.id, them.id) != "war":
        raise battle.NOT_ENEMIES(status=known.status(us.id, them.id))
    troops = min(us.strength, command.troops or us.strength)
    if troops <= 0:
        raise battle.NO_TROOPS(faction_id=str(us.id))
    fought = battle.fight(
        tx.dice, _host(us, troops, mine, tx.now), _host(them, them.strength, theirs, tx.now),
        land.terrain if land else "",
    )  # fmt: skip
    sign = 1 if mine["side"] == "attacker" else -1
    battle_id = tx.new_id()
    await tx.execute(
        ADD_BATTLE, tx.world_id, battle_id, war["id"], us.id, them.id, command.region_id, troops, them.strength,
        fought.attacker_losses, fought.defender_losses, fought.winner, fought.rounds, sign * fought.score,
        json_parts(fought.parts), command.character_id, tx.now,
    )  # fmt: skip
    await tx.execute(
        "UPDATE wars SET battle_score = battle_score + $3 WHERE world_id = $1 AND id = $2",
        tx.world_id, war["id"], sign * fought.score,
    )  # fmt: skip
    winner = {"attacker": us.id, "defender": them.id}.get(fought.winner)
    told = tx.emit(
        BattleFought(
            war_id=war["id"], faction_id=us.id, by_id=command.character_id, battle_id=battle_id, enemy_id=them.id,
            region_id=command.region_id, troops=troops, enemy_troops=them.strength, losses=fought.attacker_losses,
            enemy_losses=fought.defender_losses, winner_id=winner, rounds=fought.rounds, score=sign * fought.score,
            parts=told_parts(fought.parts),
        )
    )  # fmt: skip
    await _bury(tx, war["id"], [(us, fought.attacker_losses), (them, fought.defender_losses)])
    if land is not None:
        taken = fought.winner == "attacker"
        await regions.shake(tx, {land.id: -0.2 if taken else -0.1}, "battle", cause=told)
        if taken:
            await _occupy(tx, war["id"], parties, us.id, them.id, land.id, command.character_id, told)
    return await view(tx, war["id"])


def _host(faction: Faction, troops: float, party: Any, now: int) -> battle.Host:
    quality = 1 + 0.2 * (faction.traits.aggressive - 0.5)
    return battle.Host(troops, quality, battle.morale(war_views.exhaustion_of(party, now)))


async def _bury(tx: Transaction, war_id: UUID, losses: Sequence[tuple[Faction, float]]) -> None:
    """Take the fallen from the strength of both."""
    left = {faction.id: faction.strength - lost for faction, lost in losses}
    await factions.strengthen(tx, left, "losses in battle")
    for faction, lost in sorted(losses, key=lambda item: item[0].id):
        await tx.execute(
            "UPDATE war_parties SET losses = losses + $4 WHERE world_id = $1 AND war_id = $2 AND faction_id = $3",
            tx.world_id, war_id, faction.id, lost,
        )  # fmt: skip
        await weary(tx, faction.id, losses=lost, strength=faction.strength)


async def _occupy(
    tx: Transaction, war_id: UUID, parties: dict[UUID, Any], taker: UUID, loser: UUID, region_id: UUID,
    by_id: UUID | None, cause: EventRecord,
) -> None:  # fmt: skip
    """A region changes hands: taken from its holder, or freed for the one that held it before and fights beside it.

    Its rightful holder stays the one from whom it was taken first, were it in another war.
    """
    before = await tx.fetchrow(
        "UPDATE occupations SET until_at = $3 WHERE world_id = $1 AND region_id = $2 AND until_at IS NULL "
        "RETURNING holder_id",
        tx.world_id, region_id, tx.now,
    )  # fmt: skip
    holder = loser if before is None else before["holder_id"]
    beside = parties.get(holder)
    freed = (
        before is not None and beside is not None and beside["state"] == "fighting"
        and beside["side"] == parties[taker]["side"]
    )  # fmt: skip
    if not freed:
        await tx.execute(
            "INSERT INTO occupations (world_id, id, war_id, region_id, holder_id, occupier_id, at) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7)",
            tx.world_id, tx.new_id(), war_id, region_id, holder, taker, tx.now,
        )  # fmt: skip
        await weary(tx, loser, regions=1)
    await regions.set_control(
        tx,
        region_id,
        holder if freed else taker,
        reason="freed in war" if freed else "taken in war",
        cause=cause,
    )
    tx.emit(
        RegionOccupied(war_id=war_id, faction_id=taker, by_id=by_id, region_id=region_id, holder_id=holder),
        cause=cause,
    )


# -- what others of this system use ----------------------------------------------------------------------


async def weary(
    tx: Transaction, faction_id: UUID, *, wars: int = 0, losses: float = 0.0, strength: float = 0.0,
    regions: int = 0, aggression: float = 0.0,
) -> None:  # fmt: skip
    """Write what war does to a faction: it comes into a war (`wars` 1) or out of one, loses, or frightens."""
    row = await tx.fetchrow(WARLIKE, tx.world_id, faction_id)
    many = row["wars"] if row else 0
    tired = (
        battle.exhaustion_now(row["exhaustion"], row["exhaustion_at"], tx.now, at_war=many > 0)
        if row
        else 0.0
    )
    tired = battle.exhausted(tired, losses=losses, strength=strength, regions=regions)
    frightens = battle.aggression_now(row["aggression"], row["aggression_at"], tx.now) if row else 0.0
    await tx.execute(
        WRITE_WARLIKE,
        tx.world_id,
        faction_id,
        tired,
        frightens + aggression,
        tx.now,
        max(0, many + wars),
        tx.now,
    )


async def locked(tx: Transaction, war_id: UUID) -> tuple[Any, dict[UUID, Any]]:
    """A war that goes on, locked, and its parties. Refuses `war_not_found`, `war_over`."""
    war = await tx.fetchrow(LOCK, tx.world_id, war_id)
    if war is None:
        raise battle.WAR_NOT_FOUND(war_id=str(war_id))
    if war["ended_at"] is not None:
        raise battle.WAR_OVER(war_id=str(war_id), ended_at=war["ended_at"])
    return war, {p["faction_id"]: p for p in await tx.fetch(war_views.PARTIES, tx.world_id, [war_id])}


def party_of(parties: dict[UUID, Any], faction_id: UUID) -> Any:
    """The row of a faction that fights in a war. Refuses `not_at_war`."""
    found = parties.get(faction_id)
    if found is None or found["state"] != "fighting":
        raise battle.NOT_AT_WAR(faction_id=str(faction_id))
    return found


def told_parts(parts: Sequence[battle.Part]) -> list[PartTold]:
    """Parts as events tell them."""
    return [PartTold(what=part.what, amount=part.amount) for part in parts]


def json_parts(parts: Sequence[battle.Part]) -> str:
    """Parts as they are stored."""
    return orjson.dumps([{"what": part.what, "amount": part.amount} for part in parts]).decode()


async def view(tx: Transaction, war_id: UUID) -> WarDetail:
    """A war as a command answers with it."""
    found = await war_views.war(tx, tx.world_id, war_id, tx.now)
    assert found is not None
    return found


HANDLERS = (Handler(FightBattle, one=fight),)
EVENTS = (BattleFought, RegionOccupied)
