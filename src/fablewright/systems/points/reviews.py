"""What game masters decide about verdicts.

Beside `service.py`, since it stands on awards and verdicts both. Locks are taken in the order of awards: accounts,
holds, standings, what is remembered of actions; the verdict comes last, and decides who of two reviewers was first.
"""

from typing import Any, Final
from uuid import UUID

from fablewright.core.database import array_of
from fablewright.core.transaction import Transaction
from fablewright.systems.ledger import service as ledger
from fablewright.systems.ledger.service import Book, HoldState, TransferState
from fablewright.systems.points import awards, verdicts
from fablewright.systems.points.awards import AwardAsk, Batch, Plan
from fablewright.systems.points.commands import ReviewVerdict
from fablewright.systems.points.events import Adjusted, Given, VerdictReviewed
from fablewright.systems.points.guards import NO_SIZES, Distribution
from fablewright.systems.points.rules import (
    CHARACTER_NOT_FOUND,
    NOTHING_TO_REVERSE,
    POINTS,
    VERDICT_CLOSED,
    VERDICT_NOT_FOUND,
    streak_on,
)
from fablewright.systems.points.verdicts import GIFT, VerdictView

STATES: Final = {"release": "released", "confirm": "confirmed", "forgive": "forgiven"}
REVIEWABLE: Final = {"release": ("open",), "confirm": ("open",), "forgive": ("open", "noted")}
"""What was only noted, such as a refusal, can be forgiven; there is nothing else to decide about it."""

CLOSE: Final = """
UPDATE abuse_verdicts
SET state = $3, reviewed_at = $4, reviewed_by = $5, note = $6, transfer_id = coalesce(transfer_id, $7)
WHERE world_id = $1 AND id = $2 AND state = ANY($8::text[])
"""
UNEARN: Final = "UPDATE standings SET earned = $3, level = $4 WHERE world_id = $1 AND character_id = $2"
FORGET_ACTION: Final = "DELETE FROM action_states WHERE world_id = $1 AND character_id = $2 AND action = $3"
FORGET_BURST: Final = "UPDATE standings SET recent = '{}' WHERE world_id = $1 AND character_id = $2"


async def review_verdict(tx: Transaction, command: ReviewVerdict) -> dict[str, Any]:
    """Release, confirm or forgive. Of two reviews of a verdict the second is refused."""
    found = await verdicts.find(tx.driver, tx.world_id, command.verdict_id)
    if found is None:
        raise VERDICT_NOT_FOUND(verdict_id=str(command.verdict_id))
    if found.state not in REVIEWABLE[command.decision]:
        raise _closed(found)
    if command.reverse and (command.decision != "confirm" or found.transfer_id is None):
        raise NOTHING_TO_REVERSE(verdict_id=str(found.id))
    transfer_id: UUID | None = None
    if found.hold_id is not None:
        transfer_id = await _end_hold(tx, found, give=command.decision != "confirm")
    elif command.reverse:
        transfer_id = await _reverse(tx, found, command.note)
    if command.decision == "forgive":
        await _forget(tx, found)
    closed = await tx.execute(
        CLOSE, tx.world_id, found.id, STATES[command.decision], tx.now, tx.actor.name, command.note, transfer_id,
        list(REVIEWABLE[command.decision]),
    )  # fmt: skip
    if not closed:
        raise _closed(await verdicts.find(tx.driver, tx.world_id, found.id) or found)
    tx.emit(
        VerdictReviewed(
            character_id=found.character_id, verdict_id=found.id, decision=command.decision, note=command.note,
            transfer_id=transfer_id,
        )
    )  # fmt: skip
    return {"verdict_id": found.id, "state": STATES[command.decision], "transfer_id": transfer_id}


def _closed(found: VerdictView) -> Exception:
    return VERDICT_CLOSED(
        f"The verdict is {found.state}.", verdict_id=str(found.id), state=found.state,
        reviewed_by=found.reviewed_by,
    )  # fmt: skip


async def _end_hold(tx: Transaction, found: VerdictView, *, give: bool) -> UUID | None:
    """Give what waits, or let it lapse; nothing if somebody has ended the hold in the ledger meanwhile."""
    assert found.hold_id is not None
    book = await ledger.open_holds(tx, [found.hold_id])
    hold = book.holds.get(found.hold_id)
    if hold is None or hold.state != "open":
        return None
    if not give:
        book.release(hold)
        await ledger.write(tx, book)
        return None
    if hold.kind == GIFT:
        return await _give(tx, book, hold)
    return await _award(tx, book, hold, found.action)


async def _award(tx: Transaction, book: Book, hold: HoldState, action: str) -> UUID | None:
    """Give an award that waits. It counts for the streak and the distributions; limits do not see it."""
    batch = Batch(tx, await awards.defined(tx))
    batch.book = book
    rows = await tx.fetch(awards.STANDINGS, tx.world_id, array_of([hold.credit]))
    batch.standings = {row[0]: awards.standing_of(row) for row in rows}
    standing = batch.standings.get(hold.credit)
    if standing is None:
        raise CHARACTER_NOT_FOUND(character_id=str(hold.credit))
    made = book.post(hold)
    standing.streak = streak_on(standing.streak, standing.streak_day, batch.day)
    standing.streak_day, standing.touched = batch.day, True
    if hold.currency == POINTS:
        standing.sizes = standing.sizes.plus(made.amount)
    await _count(batch, action, made.amount)
    key = None if action.startswith(awards.PLAIN) else action
    ask = AwardAsk(hold.credit, key, currency=hold.currency, reference=hold.reference, guarded=False)
    view = batch.told(
        ask, Plan(None, action, made.amount, hold.currency, hold.reason), standing, made, [], None
    )
    await batch.write()
    return view.transfer_id


async def _count(batch: Batch, action: str, amount: int) -> None:
    """Let the award enter the distribution of its action, if there is one."""
    if batch.world.guards.outlier is None:
        return
    rows = await batch.tx.fetch(awards.STATISTICS, batch.tx.world_id, [action])
    sizes = Distribution(*rows[0][1:]) if rows else NO_SIZES
    batch.counted = frozenset([action] if rows else [])
    batch.statistics = {action: sizes.plus(amount)}


async def _give(tx: Transaction, book: Book, hold: HoldState) -> UUID:
    made = book.post(hold)
    record = tx.emit(
        Given(
            from_id=made.debit, to_id=made.credit, currency=made.currency, amount=made.amount,
            reason=made.reason, reference=made.reference, transfer_id=made.id,
        )
    )  # fmt: skip
    book.told(made, record.id)
    await ledger.write(tx, book)
    return made.id


async def _reverse(tx: Transaction, found: VerdictView, note: str | None) -> UUID:
    """Take back what was given. An award does not count as earned any more; a gift returns to the giver."""
    assert found.transfer_id is not None
    transfer = (await ledger.load_transfers(tx, [found.transfer_id])).get(found.transfer_id)
    if transfer is None or await ledger.reversals(tx, [transfer.id]):
        raise NOTHING_TO_REVERSE("It was reversed already.", verdict_id=str(found.id))
    book = await ledger.open_book(tx, [(owner, transfer.currency) for owner in transfer.owners])
    reason = note or f"Taken back: {transfer.reason}"
    made = book.reverse(transfer, reason=reason)
    for owner in made.owners:
        amount, balance = _side(made, owner)
        record = tx.emit(
            Adjusted(
                character_id=owner, currency=made.currency, amount=amount, reason=reason, balance=balance,
                transfer_id=made.id,
            )
        )  # fmt: skip
        book.told(made, record.id)
    await ledger.write(tx, book)
    if transfer.kind == awards.AWARD and transfer.currency == POINTS:
        await _unearn(tx, transfer.credit, transfer.amount)
    return made.id


async def _unearn(tx: Transaction, character_id: UUID, amount: int) -> None:
    """Let an award count as never earned; the level is that of what is left."""
    world = await awards.defined(tx)
    rows = await tx.fetch(awards.STANDINGS, tx.world_id, array_of([character_id]))
    for row in rows:
        earned = max(0, awards.standing_of(row).earned - amount)
        await tx.execute(UNEARN, tx.world_id, character_id, earned, world.curve.level(earned))


def _side(made: TransferState, owner: UUID) -> tuple[int, int]:
    """By how much a transfer changed the balance of one side, and what it is then."""
    amount, balance = (
        (-made.amount, made.debit_after) if owner == made.debit else (made.amount, made.credit_after)
    )
    assert balance is not None
    return amount, balance


async def _forget(tx: Transaction, found: VerdictView) -> None:
    """Let the character begin anew with what the check had counted."""
    if found.guard == "burst":
        await tx.execute(FORGET_BURST, tx.world_id, found.character_id)
    elif found.guard not in ("outlier", "gift_circle"):
        await tx.execute(FORGET_ACTION, tx.world_id, found.character_id, found.action)
