"""Trade restrictions: higher systems (sanctions, treaties, wars) write them down here, and markets keep them."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from fablewright.core.transaction import EventRecord, Transaction
from fablewright.systems.markets import rules, trade
from fablewright.systems.markets.commands import MOST_RESTRICTIONS, ImposeRestriction, LiftRestriction
from fablewright.systems.markets.events import RestrictionImposed, RestrictionLifted
from fablewright.systems.markets.rules import Restraint, Restriction

GAME_MASTER: Final = "game_master"
"""The source of restrictions that a game master imposes."""

KEPT: Final = "id, source, kind, good, from_id, to_id, rate"
WRITE: Final = """
INSERT INTO trade_restrictions (world_id, id, source, kind, good, from_id, to_id, rate, reason, from_at, until_at)
SELECT $1, v.* FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::uuid[], $8::float8[],
                           $9::text[], $10::bigint[], $11::bigint[])
    AS v (id, source, kind, good, from_id, to_id, rate, reason, from_at, until_at)
"""
LIFT: Final = f"""
UPDATE trade_restrictions SET lifted_at = $3 WHERE world_id = $1 AND source = $2 AND lifted_at IS NULL
RETURNING {KEPT}
"""  # noqa: S608
LIFT_ONE: Final = """
UPDATE trade_restrictions SET lifted_at = $3 WHERE world_id = $1 AND id = $2 AND lifted_at IS NULL
"""
GET: Final = f"""
SELECT {KEPT} FROM trade_restrictions
WHERE world_id = $1 AND id = $2 AND lifted_at IS NULL AND (until_at IS NULL OR until_at > $3)
"""  # noqa: S608
# The blockades of wars are as many as there are enemies: nobody who fills the world with sanctions can prevent them.
COUNT: Final = """
SELECT count(*) FROM trade_restrictions
WHERE world_id = $1 AND lifted_at IS NULL AND (until_at IS NULL OR until_at > $2)
  AND (kind <> 'blockade' OR source = $3)
"""


async def restrict(
    tx: Transaction, restrictions: Sequence[Restriction], *, cause: EventRecord | None = None
) -> list[UUID]:
    """Impose restrictions, and tell of each; returns their ids. What they cut is cut at once.

    Give them a `source` of your own (`sanction:<id>`), by which `lift` finds them again. One that begins later or ends
    by `until_at` takes effect with the next trade day. Lock accounts of the ledger before. Blockades are not counted
    among those of which a world can have so many, but a game master's.
    Refuses `good_not_found`, `restriction_ends_too_early`, `too_many_restrictions`.
    """
    if not restrictions:
        return []
    goods = await trade.GOODS.of(tx)
    for given in restrictions:
        if given.good is not None and given.good not in goods:
            raise rules.GOOD_NOT_FOUND(good=given.good)
    await trade.lock(tx)
    whole = [_made(tx, each) for each in rules.directions(restrictions)]
    await tx.execute(
        WRITE, tx.world_id, [r.restriction_id for r in whole], [r.source for r in whole], [r.kind for r in whole],
        [r.good for r in whole], [r.from_id for r in whole], [r.to_id for r in whole], [r.rate for r in whole],
        [r.reason for r in whole], [r.from_at for r in whole], [r.until_at for r in whole],
    )  # fmt: skip
    limited = any(r.kind is not Restraint.BLOCKADE or r.source == GAME_MASTER for r in restrictions)
    if limited and await tx.fetchval(COUNT, tx.world_id, tx.now, GAME_MASTER) > MOST_RESTRICTIONS:
        raise rules.TOO_MANY_RESTRICTIONS(most=MOST_RESTRICTIONS)
    for told in whole:
        tx.emit(told, cause=cause)
    await trade.reflow(tx)
    return [told.restriction_id for told in whole]


async def lift(tx: Transaction, source: str, *, cause: EventRecord | None = None) -> int:
    """End all restrictions of a source that are not lifted, and tell of each; returns how many there were."""
    await trade.lock(tx)
    rows = await tx.fetch(LIFT, tx.world_id, source, tx.now)
    for row in sorted(rows, key=lambda r: r["id"]):
        tx.emit(_lifted(row), cause=cause)
    if rows:
        await trade.reflow(tx)
    return len(rows)


async def impose_restriction(tx: Transaction, command: ImposeRestriction) -> dict[str, Any]:
    """A game master's restriction."""
    restriction = Restriction(
        GAME_MASTER, Restraint(command.kind), command.good, command.from_id, command.to_id, command.rate,
        command.reason, tx.now, command.until_at, command.both_ways,
    )  # fmt: skip
    return {"ids": await restrict(tx, [restriction])}


async def lift_restriction(tx: Transaction, command: LiftRestriction) -> None:
    """End a game master's restriction."""
    await trade.lock(tx)
    row = await tx.fetchrow(GET, tx.world_id, command.restriction_id, tx.now)
    if row is None:
        raise rules.RESTRICTION_NOT_FOUND(restriction_id=str(command.restriction_id))
    if row["source"] != GAME_MASTER:
        raise rules.RESTRICTION_OF_ANOTHER(f"{row['source']} keeps it: end that.", source=row["source"])
    await tx.execute(LIFT_ONE, tx.world_id, command.restriction_id, tx.now)
    tx.emit(_lifted(row))
    await trade.reflow(tx)


def _made(tx: Transaction, given: Restriction) -> RestrictionImposed:
    from_at = tx.now if given.from_at is None else given.from_at
    if given.until_at is not None and given.until_at <= max(tx.now, from_at):
        raise rules.RESTRICTION_ENDS_TOO_EARLY(until_at=given.until_at, now=tx.now)
    return RestrictionImposed(
        restriction_id=given.id or tx.new_id(), source=given.source, kind=given.kind.value, good=given.good,
        from_id=given.from_id, to_id=given.to_id, rate=given.rate, reason=given.reason, from_at=from_at,
        until_at=given.until_at,
    )  # fmt: skip


def _lifted(row: Any) -> RestrictionLifted:
    return RestrictionLifted(
        restriction_id=row["id"], source=row["source"], kind=row["kind"], good=row["good"],
        from_id=row["from_id"], to_id=row["to_id"], rate=row["rate"],
    )  # fmt: skip
