"""Brings in incidents, coalitions and sanctions as they stand.

Apart from the files where they are made in the game: here nobody thinks worse of anybody for them.
Locks, in this order: factions, accounts of the ledger, markets.
"""

from typing import Any, Final

import orjson

from fablewright.core.system import Handler
from fablewright.core.transaction import Transaction
from fablewright.systems.diplomacy import (
    coalitions,
    incidents,
    ladder,
    restrictions,
    sanctions,
    threat_views,
    threats,
    war_views,
)
from fablewright.systems.diplomacy.history_commands import HISTORY_EXISTS, refuse_first
from fablewright.systems.diplomacy.quarrel_commands import (
    ImportCoalition,
    ImportIncident,
    ImportSanction,
    faults_of_coalition,
    faults_of_incident,
    faults_of_sanction,
)
from fablewright.systems.diplomacy.threat_views import CoalitionView
from fablewright.systems.diplomacy.war_commands import ALREADY_SANCTIONING
from fablewright.systems.diplomacy.war_events import CoalitionImported, IncidentImported, SanctionImported
from fablewright.systems.diplomacy.war_views import IncidentView, SanctionView
from fablewright.systems.factions import service as factions
from fablewright.systems.factions.rules import check_stands
from fablewright.systems.ledger import service as ledger
from fablewright.systems.regions import service as regions
from fablewright.systems.regions.rules import REGION_NOT_FOUND

TAKEN: Final = "SELECT 1 FROM {table} WHERE world_id = $1 AND id = $2"
ADD_INCIDENT: Final = """
INSERT INTO incidents (world_id, id, kind, injured_id, accused_id, severity, evidence, description, region_id,
                       follows_id, state, rung, answer, paid, tried, answer_by, at, changed_at, closed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
"""


# -- incidents -------------------------------------------------------------------------------------------------


async def import_incident(tx: Transaction, command: ImportIncident) -> IncidentView:
    """Bring in an incident; one that is open fades when it would have."""
    refuse_first(faults_of_incident(command, tx.now))
    open_ = command.closed_at is None
    sides = await factions.load(tx, [command.injured_id, command.accused_id])
    for faction_id in (command.injured_id, command.accused_id):
        if open_ or faction_id not in sides:
            check_stands(sides.get(faction_id), faction_id)
    if open_ and command.region_id is not None and not await regions.regions(tx, [command.region_id]):
        raise REGION_NOT_FOUND(region_id=str(command.region_id))
    incident_id, since = await _new_id(tx, "incidents", command), _since(tx, command)
    changed = next(at for at in (command.closed_at, command.changed_at, since) if at is not None)
    answer_by = since + ladder.ANSWER_WITHIN if command.answer_by is None else command.answer_by
    await tx.execute(
        ADD_INCIDENT, tx.world_id, incident_id, command.kind, command.injured_id, command.accused_id,
        command.severity, command.evidence, command.description, command.region_id, command.follows_id, command.state,
        command.place(), command.answer, command.paid, command.tried, answer_by, since, changed, command.closed_at,
    )  # fmt: skip
    if open_:
        due = max(tx.now, changed + ladder.FADES_AFTER)
        await tx.schedule(incidents.FADES, due, {"incident_id": str(incident_id)})
    tx.emit(
        IncidentImported(
            incident_id=incident_id, injured_id=command.injured_id, accused_id=command.accused_id,
            kind=command.kind, by_id=None, severity=command.severity, evidence=command.evidence,
            description=command.description, state=command.state, rung=ladder.LADDER[command.place()], since=since,
        )
    )  # fmt: skip
    return war_views.incident_view(await incidents.peek(tx, incident_id), tx.now)


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


# -- sanctions -------------------------------------------------------------------------------------------------


async def import_sanction(tx: Transaction, command: ImportSanction) -> SanctionView:
    """Bring in a sanction; its restrictions are written, what it has frozen is held, and it ends when it would have."""
    refuse_first(faults_of_sanction(command, tx.now))
    target, members = command.target_id, sorted(m.faction_id for m in command.members)
    treasury = (await factions.require(tx, [target, *members]))[target].currency
    await _check_origin(tx, command)
    if command.id is None:
        await _check_new(tx, command)
    sanction_id, since = await _new_id(tx, "sanctions", command), _since(tx, command)
    assets, held = None, None
    if command.kind == "asset_freeze":
        assets, held = await restrictions.freeze(
            tx, sanction_id, target, command.currency or treasury, command.frozen
        )
    hold_id, frozen = (held.id, held.amount) if held else (None, 0)
    conditions = [each.model_dump() for each in command.lift_when]
    await tx.execute(
        sanctions.ADD, tx.world_id, sanction_id, target, command.kind, command.good, command.rate, command.reason,
        orjson.dumps(conditions).decode(), command.incident_id, hold_id, frozen,
        command.until_at, None, since, command.coalition_id,
    )  # fmt: skip
    told = tx.emit(
        SanctionImported(
            sanction_id=sanction_id, target_id=target, member_ids=members, kind=command.kind, good=command.good,
            rate=command.rate, reason=command.reason, frozen=frozen, lift_when=conditions, since=since,
            until_at=command.until_at, incident_id=command.incident_id, coalition_id=command.coalition_id,
        )
    )  # fmt: skip
    if assets is not None and held is not None:
        assets.told(held, told.id)
        await ledger.write(tx, assets)
    if command.until_at is not None or conditions:
        due = _next(since, sanctions.REVIEW_EVERY, tx.now)
        due = due if command.until_at is None else min(due, command.until_at)
        await tx.schedule(sanctions.REVIEW, due, {"sanction_id": str(sanction_id)})
    row = await tx.fetchrow(sanctions.GET, tx.world_id, sanction_id)
    for member in sorted(command.members, key=lambda m: m.faction_id):
        joined = since if member.since is None else member.since
        await tx.execute(
            sanctions.ADD_MEMBER, tx.world_id, tx.new_id(), sanction_id, member.faction_id, None, joined
        )
        await restrictions.impose(tx, row, member.faction_id, told)
    found = await war_views.sanction(tx, tx.world_id, sanction_id)
    assert found is not None
    return found


async def _check_origin(tx: Transaction, command: ImportSanction) -> None:
    """Refuses `incident_not_found`, `not_its_incident`, `coalition_not_found`, `coalition_over`."""
    if command.incident_id is not None:
        row = await incidents.peek(tx, command.incident_id)
        if row["accused_id"] != command.target_id:
            raise threats.NOT_ITS_INCIDENT(incident_id=str(command.incident_id))
    if command.coalition_id is not None:
        row = await tx.fetchrow(coalitions.GET, tx.world_id, command.coalition_id)
        if row is None or row["target_id"] != command.target_id:
            raise threats.COALITION_NOT_FOUND(coalition_id=str(command.coalition_id))
        if row["dissolved_at"] is not None:
            raise threats.COALITION_OVER(dissolved_at=row["dissolved_at"])


async def _check_new(tx: Transaction, command: ImportSanction) -> None:
    """Refuses `already_sanctioning`, as imposing it would.

    Not asked of one that has an id: who joins a sanction of others beside its own takes part in two, also in packs.
    """
    for member in command.members:
        same = (member.faction_id, command.target_id, command.kind, command.good)
        if (standing := await tx.fetchval(sanctions.SAME, tx.world_id, *same)) is not None:
            raise ALREADY_SANCTIONING(faction_id=str(member.faction_id), sanction_id=str(standing))


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


HANDLERS = (
    Handler(ImportIncident, one=import_incident),
    Handler(ImportCoalition, one=import_coalition),
    Handler(ImportSanction, one=import_sanction),
)
EVENTS = (IncidentImported, CoalitionImported, SanctionImported)
