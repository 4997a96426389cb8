"""What stands for sanctions in the systems that they concern: restrictions, bans, and a hold.

Apart from `sanctions`, where they begin and end: embargoes and tariffs are kept by `markets`, travel bans by `regions`,
frozen assets by the `ledger`. Each member's have the source `sanction:<id>:<faction>`.
"""

from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

from fablewright.core.system import Reaction
from fablewright.core.transaction import EventRecord, Transaction
from fablewright.systems.ledger import service as ledger
from fablewright.systems.markets import service as markets
from fablewright.systems.markets.rules import Restraint, Restriction
from fablewright.systems.regions import service as regions
from fablewright.systems.regions.events import ControlChanged

FREEZE: Final = "diplomacy.asset_freeze"

TRAVEL_BANS: Final = """
SELECT s.id, s.target_id, s.reason, m.faction_id FROM sanctions s
JOIN sanction_members m ON m.world_id = $1 AND m.sanction_id = s.id AND m.left_at IS NULL
WHERE s.world_id = $1 AND s.lifted_at IS NULL AND s.kind = 'travel_ban' AND m.faction_id = ANY($2::uuid[])
ORDER BY s.id, m.faction_id
"""
HELD: Final = "SELECT id FROM regions WHERE world_id = $1 AND controller_id = $2 AND removed_at IS NULL"
CLOSED: Final = (
    "SELECT region_id FROM movement_bans WHERE world_id = $1 AND source = $2 AND lifted_at IS NULL"
)


def source(sanction_id: UUID, member_id: UUID) -> str:
    """By which name the restrictions of a member of a sanction stand in other systems."""
    return f"sanction:{sanction_id}:{member_id}"


async def impose(tx: Transaction, row: Any, member: UUID, told: EventRecord) -> None:
    """Let a member's part of a sanction (its row) hold in the system that it concerns."""
    target, name, reason = row["target_id"], source(row["id"], member), f"sanction: {row['reason']}"[:200]
    if row["kind"] == "travel_ban":
        await _bar(tx, row, member, told)
    elif row["kind"] == "embargo":
        cut = Restriction(name, Restraint.EMBARGO, row["good"], member, target, 1.0, reason, both_ways=True)
        await markets.restrict(tx, [cut], cause=told)
    elif row["kind"] == "tariff":
        tax = Restriction(name, Restraint.TARIFF, row["good"], target, member, row["rate"], reason)
        await markets.restrict(tx, [tax], cause=told)


async def _bar(tx: Transaction, row: Any, member: UUID, told: EventRecord) -> None:
    """Keep the people of the target out of what a member holds now, and no longer out of what it does not."""
    name, reason = source(row["id"], member), f"sanction: {row['reason']}"[:200]
    held = {r["id"] for r in await tx.fetch(HELD, tx.world_id, member)}
    closed = {r["region_id"] for r in await tx.fetch(CLOSED, tx.world_id, name)}
    if closed - held:
        await regions.lift(tx, name, regions=closed - held, cause=told)
    bans = [regions.Ban(region_id, row["target_id"], name, reason) for region_id in sorted(held - closed)]
    await regions.restrict(tx, bans, cause=told)


async def redraw(tx: Transaction, records: list[EventRecord]) -> None:
    """Travel bans go with the regions: what a member takes is closed, what it loses is open."""
    changed = [event for r in records if isinstance(event := r.event, ControlChanged)]
    members = {i for event in changed for i in (event.previous, event.controller_id) if i is not None}
    for row in await tx.fetch(TRAVEL_BANS, tx.world_id, sorted(members)):
        await _bar(tx, row, row["faction_id"], records[-1])


async def lift(tx: Transaction, sanction_id: UUID, members: Iterable[UUID], told: EventRecord) -> None:
    """Let nothing stand any more for these members of a sanction."""
    for member in members:
        await regions.lift(tx, source(sanction_id, member), cause=told)
        await markets.lift(tx, source(sanction_id, member), cause=told)


async def freeze(
    tx: Transaction, sanction_id: UUID, target: UUID, currency: str, amount: int | None = None
) -> tuple[ledger.Book, ledger.HoldState | None]:
    """Plan to reserve all that a treasury can spend now, or so much of it. What comes in later is free.

    Refuses `insufficient_funds` if it has less.
    """
    book = await ledger.open_book(tx, [(target, currency), (ledger.SINK, currency)], create=True)
    if amount is None:
        account = book.accounts.get((target, currency))
        amount = 0 if account is None else account.available
    if amount <= 0:
        return book, None
    held = book.hold(
        target, ledger.SINK, currency, amount, kind=FREEZE, reason="assets frozen by a sanction",
        reference=f"sanction:{sanction_id}",
    )  # fmt: skip
    return book, held


GUARDING = (Reaction("diplomacy.travel_bans_redrawn", (ControlChanged,), redraw),)
"""A ban on the people of a faction goes with the regions of who bans them."""
