"""Movement bans: who may not come into which region. Higher systems write them down, and regions check them.

What a character belongs to (a faction) is known above: a system that knows brings `extra={"allegiance": f}`, an
async function of the transaction and a list of characters that returns, for each, the ids it belongs to.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from fablewright.core.transaction import EventRecord, Transaction
from fablewright.systems.regions import rules
from fablewright.systems.regions.commands import MOST_BANS, BanMovement, LiftBan
from fablewright.systems.regions.events import MovementBanLifted, MovementBanned
from fablewright.systems.regions.rules import Ban

ALLEGIANCE: Final = "allegiance"
"""The name in `System.extra` of the function that tells what characters belong to."""

BAN: Final = "id, region_id, subject_id, source, reason, from_at, until_at"
HOLDING: Final = f"""
SELECT {BAN} FROM movement_bans
WHERE world_id = $1 AND lifted_at IS NULL AND from_at <= $2 AND (until_at IS NULL OR until_at > $2) ORDER BY id
"""  # noqa: S608
WRITE: Final = """
INSERT INTO movement_bans (world_id, id, region_id, subject_id, source, reason, from_at, until_at)
SELECT $1, v.* FROM unnest(
    $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::bigint[], $8::bigint[])
    AS v (id, region_id, subject_id, source, reason, from_at, until_at)
"""
LIFT: Final = f"""
UPDATE movement_bans SET lifted_at = $3
WHERE world_id = $1 AND source = $2 AND lifted_at IS NULL AND ($4::uuid[] IS NULL OR region_id = ANY($4))
RETURNING {BAN}
"""  # noqa: S608
COUNT: Final = """
SELECT count(*) FROM movement_bans
WHERE world_id = $1 AND lifted_at IS NULL AND (until_at IS NULL OR until_at > $2)
"""


async def restrict(
    tx: Transaction, bans: Sequence[Ban], *, cause: EventRecord | None = None
) -> list[UUID]:  # fmt: skip
    """Impose bans, and tell of each; returns their ids. Refuses `region_not_found`, `ban_ends_too_early`,
    `too_many_bans`.

    Give them a `source` of your own (`sanction:<id>`), by which `lift` finds them again.
    """
    await _must_be_there(tx, {ban.region_id for ban in bans if ban.region_id is not None})
    whole = [_made(tx, ban) for ban in bans]
    if not whole:
        return []
    await tx.execute(
        WRITE, tx.world_id, [b.ban_id for b in whole], [b.region_id for b in whole],
        [b.subject_id for b in whole], [b.source for b in whole], [b.reason for b in whole],
        [b.from_at for b in whole], [b.until_at for b in whole],
    )  # fmt: skip
    if await tx.fetchval(COUNT, tx.world_id, tx.now) > MOST_BANS:
        raise rules.TOO_MANY_BANS(most=MOST_BANS)
    for told in whole:
        tx.emit(told, cause=cause)
    return [told.ban_id for told in whole]


async def lift(
    tx: Transaction, source: str, *, regions: Iterable[UUID] | None = None, cause: EventRecord | None = None
) -> int:
    """End all bans of a source that are not lifted, or those in some regions; tell of each, return how many."""
    rows = await tx.fetch(LIFT, tx.world_id, source, tx.now, None if regions is None else sorted(regions))
    for row in sorted(rows, key=lambda r: r["id"]):
        tx.emit(_lifted(row), cause=cause)
    return len(rows)


async def holding(tx: Transaction) -> list[Ban]:
    """The bans that hold now, by id; not locked."""
    return [ban_of(row) for row in await tx.fetch(HOLDING, tx.world_id, tx.now)]


async def standing(
    tx: Transaction, character_ids: Iterable[UUID], bans: Sequence[Ban]
) -> Mapping[UUID, set[UUID]]:  # fmt: skip
    """What each of these characters stands for: itself, and what it belongs to.

    Who belongs to what is asked only if one of the bans is about somebody.
    """
    found = {who: {who} for who in character_ids}
    if any(ban.subject_id is not None for ban in bans):
        for system in tx.systems:
            if ALLEGIANCE in system.extra:
                for who, groups in (await system.extra[ALLEGIANCE](tx, sorted(found))).items():
                    found[who] |= groups
    return found


async def ban_movement(tx: Transaction, command: BanMovement) -> dict[str, Any]:
    """A game master's ban."""
    ban = Ban(
        command.region_id,
        command.subject_id,
        rules.GAME_MASTERS_BAN,
        command.reason,
        tx.now,
        command.until_at,
    )
    (ban_id,) = await restrict(tx, [ban])
    return {"id": ban_id}


async def lift_ban(tx: Transaction, command: LiftBan) -> None:
    """End a game master's ban."""
    row = await tx.fetchrow(
        f"SELECT {BAN} FROM movement_bans WHERE world_id = $1 AND id = $2 AND lifted_at IS NULL "  # noqa: S608
        "AND (until_at IS NULL OR until_at > $3) FOR NO KEY UPDATE",
        tx.world_id, command.ban_id, tx.now,
    )  # fmt: skip
    if row is None:
        raise rules.BAN_NOT_FOUND(ban_id=str(command.ban_id))
    if row["source"] != rules.GAME_MASTERS_BAN:
        raise rules.BAN_OF_ANOTHER(f"{row['source']} keeps this ban: end that.", source=row["source"])
    await tx.execute(
        "UPDATE movement_bans SET lifted_at = $3 WHERE world_id = $1 AND id = $2",
        tx.world_id, command.ban_id, tx.now,
    )  # fmt: skip
    tx.emit(_lifted(row))


def ban_of(row: Any) -> Ban:
    """A ban from a row of `BAN`."""
    return Ban(
        row["region_id"], row["subject_id"], row["source"], row["reason"], row["from_at"], row["until_at"],
        row["id"],
    )  # fmt: skip


def _made(tx: Transaction, ban: Ban) -> MovementBanned:
    from_at = tx.now if ban.from_at is None else ban.from_at
    if ban.until_at is not None and ban.until_at <= max(tx.now, from_at):
        raise rules.BAN_ENDS_TOO_EARLY(until_at=ban.until_at, now=tx.now)
    return MovementBanned(
        ban_id=ban.id or tx.new_id(), region_id=ban.region_id, subject_id=ban.subject_id, source=ban.source,
        reason=ban.reason, from_at=from_at, until_at=ban.until_at,
    )  # fmt: skip


def _lifted(row: Any) -> MovementBanLifted:
    return MovementBanLifted(
        ban_id=row["id"], region_id=row["region_id"], subject_id=row["subject_id"], source=row["source"]
    )


async def _must_be_there(tx: Transaction, region_ids: set[UUID]) -> None:
    rows = await tx.fetch(
        "SELECT id FROM regions WHERE world_id = $1 AND id = ANY($2::uuid[]) AND removed_at IS NULL",
        tx.world_id, sorted(region_ids),
    )  # fmt: skip
    for region_id in sorted(region_ids - {row["id"] for row in rows}):
        raise rules.REGION_NOT_FOUND(region_id=str(region_id))
