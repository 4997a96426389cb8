"""Brings in coalitions as they stand.

Apart from the files where they are made in the game: here nobody thinks worse of anybody for them.
Locks: factions.
"""

from typing import Any, Final

from fablewright.core.system import Handler
from fablewright.core.transaction import Transaction
from fablewright.systems.diplomacy import coalitions, threat_views, threats
from fablewright.systems.diplomacy.history_commands import HISTORY_EXISTS, refuse_first
from fablewright.systems.diplomacy.quarrel_commands import ImportCoalition, faults_of_coalition
from fablewright.systems.diplomacy.threat_views import CoalitionView
from fablewright.systems.diplomacy.war_events import CoalitionImported
from fablewright.systems.factions import service as factions

TAKEN: Final = "SELECT 1 FROM {table} WHERE world_id = $1 AND id = $2"


# -- coalitions ------------------------------------------------------------------------------------------------


async def import_coalition(tx: Transaction, command: ImportCoalition) -> CoalitionView:
    """Bring in a coalition; it is reviewed when it would have been."""
    refuse_first(faults_of_coalition(command, tx.now))
    target, members = command.target_id, [m.faction_id for m in command.members]
    await factions.require(tx, [target, *members])
    if (standing := await tx.fetchval(coalitions.AGAINST, tx.world_id, target)) is not None:
        raise threats.COALITION_STANDS(coalition_id=str(standing))
    coalition_id = await _new_id(tx, "coalitions", command)
    since = _since(tx, command)
    await tx.execute(coalitions.ADD, tx.world_id, coalition_id, target, None, since)
    for member in command.members:
        joined = since if member.since is None else member.since
        await tx.execute(
            coalitions.ADD_MEMBER, tx.world_id, tx.new_id(), coalition_id, member.faction_id, member.fear, None, joined
        )  # fmt: skip
    due = _next(since, threats.REVIEW_EVERY, tx.now)
    await tx.schedule(coalitions.REVIEW, due, {"coalition_id": str(coalition_id)})
    tx.emit(
        CoalitionImported(
            coalition_id=coalition_id, target_id=target, member_ids=sorted(members), since=since
        )
    )
    found = await threat_views.coalition(tx, tx.world_id, coalition_id)
    assert found is not None
    return found


# -- helpers -------------------------------------------------------------------------------------------------


async def _new_id(tx: Transaction, table: str, command: Any) -> Any:
    """The id that is told, or a new one. Refuses `history_exists`."""
    if command.id is not None and await tx.fetchval(TAKEN.format(table=table), tx.world_id, command.id):
        raise HISTORY_EXISTS(id=str(command.id))
    return command.id or tx.new_id()


def _since(tx: Transaction, command: Any) -> int:
    since: int | None = command.since
    return tx.now if since is None else since


def _next(since: int, every: int, now: int) -> int:
    """When after `now` something is due that has been every so often since then (world ms)."""
    return since + ((now - since) // every + 1) * every


HANDLERS = (Handler(ImportCoalition, one=import_coalition),)
EVENTS = (CoalitionImported,)
