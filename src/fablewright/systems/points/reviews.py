"""What game masters decide about verdicts.

Beside `service.py`, since it stands on awards and verdicts both. Locks are taken in the order of awards: accounts,
holds, standings, what is remembered of actions; the verdict comes last, and decides who of two reviewers was first.
"""

from typing import Final
from uuid import UUID

from fablewright.core.database import array_of
from fablewright.core.transaction import Transaction
from fablewright.systems.ledger import service as ledger
from fablewright.systems.ledger.events import HoldReleased
from fablewright.systems.ledger.rules import (
    ALREADY_REVERSED,
    HOLD_NOT_FOUND,
    TRANSFER_NOT_FOUND,
    sent_reference,
)
from fablewright.systems.ledger.service import Book, HoldState, TransferState
from fablewright.systems.points import awards, standings, verdicts
from fablewright.systems.points.awards import AwardAsk, Batch, Plan
from fablewright.systems.points.commands import ReverseAward, ReviewVerdict
from fablewright.systems.points.events import Adjusted, AwardPart, Given, Reversed, VerdictReviewed
from fablewright.systems.points.guards import NO_SIZES, Distribution
from fablewright.systems.points.rules import (
    CHARACTER_NOT_FOUND,
    NO_AWARD,
    NOTHING_TO_REVERSE,
    POINTS,
    VERDICT_CLOSED,
    VERDICT_NOT_FOUND,
    streak_day_on,
    streak_on,
)
from fablewright.systems.points.verdicts import GIFT_KIND, VerdictView
from fablewright.systems.points.views import ReversedView, ReviewedView

STATES: Final[dict[str, verdicts.State]] = {
    "release": "released",
    "confirm": "confirmed",
    "forgive": "forgiven",
}
REVIEWABLE: Final = {"release": ("open",), "confirm": ("open",), "forgive": ("open", "noted")}
"""What was only noted, such as a refusal, can be forgiven; there is nothing else to decide about it."""

CLOSE: Final = """
UPDATE abuse_verdicts
SET state = $3, reviewed_at = $4, reviewed_by = $5, note = $6, transfer_id = coalesce(transfer_id, $7)
WHERE world_id = $1 AND id = $2 AND state = ANY($8::text[])
"""
UNEARN: Final = """
UPDATE standings SET earned = $3, level = $4, awards = $5, mean = $6, spread = $7
WHERE world_id = $1 AND character_id = $2
"""
FORGET_ACTION: Final = "DELETE FROM action_states WHERE world_id = $1 AND character_id = $2 AND action = $3"
FORGET_BURST: Final = "UPDATE standings SET recent = '{}' WHERE world_id = $1 AND character_id = $2"


REVERSAL: Final = "points.reversal"
"""The kind of the transfers that take awards and gifts back."""


async def review_verdict(tx: Transaction, command: ReviewVerdict) -> ReviewedView:
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
        give = command.decision != "confirm"
        transfer_id = await _end_hold(tx, found, give=give, note=command.note)
    elif command.reverse:
        transfer_id = await _take_back(tx, found, command.note)
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
    return ReviewedView(verdict_id=found.id, state=STATES[command.decision], transfer_id=transfer_id)


def _closed(found: VerdictView) -> Exception:
    return VERDICT_CLOSED(
        f"The verdict is {found.state}.", verdict_id=str(found.id), state=found.state,
        reviewed_by=found.reviewed_by,
    )  # fmt: skip


async def _end_hold(tx: Transaction, found: VerdictView, *, give: bool, note: str | None) -> UUID | None:
    """Give what waits, or let it lapse. Refuses `hold_not_open`."""
    assert found.hold_id is not None
    book = await ledger.open_holds(tx, [found.hold_id])
    hold = book.holds.get(found.hold_id)
    if hold is None:
        raise HOLD_NOT_FOUND(hold_id=str(found.hold_id))
    if hold.state != "open":
        now = await verdicts.find(tx.driver, tx.world_id, found.id)
        if now is not None and now.state != "open":
            raise _closed(now)
    if not give:
        book.release(hold)
        if hold.kind == GIFT_KIND:  # what a giver has reserved, it shall know to be its own again
            tx.emit(
                HoldReleased(
                    hold_id=hold.id, debit=hold.debit, credit=hold.credit, currency=hold.currency,
                    amount=hold.amount, expired=False, reason=note or "",
                )
            )  # fmt: skip
        await ledger.write(tx, book)
        return None
    if hold.kind == GIFT_KIND:
        return await _give(tx, book, hold)
    return await _award(tx, book, hold, found)


async def _award(tx: Transaction, book: Book, hold: HoldState, found: VerdictView) -> UUID | None:
    """Give an award that waits. It counts for the streak and the distributions; limits do not see it."""
    batch = Batch(tx, await awards.defined(tx))
    batch.book = book
    rows = await tx.fetch(standings.STANDINGS, tx.world_id, array_of([hold.credit]))
    batch.standings = {row[0]: standings.standing_of(row) for row in rows}
    standing = batch.standings.get(hold.credit)
    if standing is None:
        raise CHARACTER_NOT_FOUND(character_id=str(hold.credit))
    made, action = book.post(hold), found.action
    standing.streak = streak_on(standing.streak, standing.streak_day, batch.day)
    standing.streak_day, standing.touched = streak_day_on(standing.streak_day, batch.day), True
    if hold.currency == POINTS:
        standing.sizes = standing.sizes.plus(made.amount)
    await _count(batch, action, made.amount)
    key = None if action.startswith(awards.PLAIN) else action
    ask = AwardAsk(hold.credit, key, currency=hold.currency, reference=hold.reference, guarded=False)
    less = made.amount < found.asked
    parts = [AwardPart(what="limit", factor=made.amount / found.asked)] if less else []
    plan = Plan(None, action, found.asked, hold.currency, hold.reason)
    view = batch.told(ask, plan, standing, made, parts)
    await batch.write()
    return view.transfer_id


async def _count(batch: Batch, action: str, amount: int) -> None:
    """Let the award enter the distribution of its action, if there is one."""
    if batch.world.guards.outlier is None:
        return
    rows = await batch.tx.fetch(standings.STATISTICS, batch.tx.world_id, [action])
    sizes = Distribution(*rows[0][1:]) if rows else NO_SIZES
    batch.counted = frozenset([action] if rows else [])
    batch.statistics = {action: sizes.plus(amount)}


async def _give(tx: Transaction, book: Book, hold: HoldState) -> UUID:
    made = book.post(hold)
    record = tx.emit(
        Given(
            from_id=made.debit, to_id=made.credit, currency=made.currency, amount=made.amount,
            reason=made.reason, reference=sent_reference(made.debit, made.reference), transfer_id=made.id,
        )
    )  # fmt: skip
    book.told(made, record.id)
    await ledger.write(tx, book)
    return made.id


async def reverse_award(tx: Transaction, command: ReverseAward) -> ReversedView:
    """Take an award or a gift back. Of two at once the second is refused."""
    transfer = (await ledger.load_transfers(tx, [command.transfer_id])).get(command.transfer_id)
    if transfer is None:
        raise TRANSFER_NOT_FOUND(transfer_id=str(command.transfer_id))
    if transfer.kind not in (awards.AWARD, GIFT_KIND):
        raise NO_AWARD(
            f"It is of the kind {transfer.kind!r}.", transfer_id=str(transfer.id), kind=transfer.kind
        )
    return await _reverse(tx, transfer, command.reason)


async def _take_back(tx: Transaction, found: VerdictView, note: str | None) -> UUID:
    """Take back what was given in spite of a finding; it leaves the distributions, too."""
    assert found.transfer_id is not None
    transfer = (await ledger.load_transfers(tx, [found.transfer_id])).get(found.transfer_id)
    if transfer is None or await ledger.reversals(tx, [transfer.id]):
        raise NOTHING_TO_REVERSE("It was reversed already.", verdict_id=str(found.id))
    view = await _reverse(tx, transfer, note or f"Taken back: {transfer.reason}", found.action)
    return view.transfer_id


async def _reverse(
    tx: Transaction, transfer: TransferState, reason: str, counted: str | None = None
) -> ReversedView:
    """Plan, tell and write a reversal. An award does not count as earned any more; a gift returns to the giver.

    `counted` is the action in whose distributions it is.
    """
    book = await ledger.open_book(tx, [(owner, transfer.currency) for owner in transfer.owners])
    by = (await ledger.reversals(tx, [transfer.id])).get(transfer.id)
    if by is not None:
        raise ALREADY_REVERSED(transfer_id=str(transfer.id), reversed_by=str(by))
    made = book.reverse(transfer, reason=reason, kind=REVERSAL)
    who = transfer.credit
    earned, level = await _unearn(tx, transfer, counted)
    if transfer.kind == awards.AWARD:
        told = Reversed(
            character_id=who, currency=made.currency, amount=made.amount, reason=reason, earned=earned, level=level,
            reference=transfer.reference, awarded_at=transfer.at or 0, reverses=transfer.id, transfer_id=made.id,
        )  # fmt: skip
        book.told(made, tx.emit(told).id)
    for owner in () if transfer.kind == awards.AWARD else made.owners:
        amount, balance = _side(made, owner)
        adjusted = Adjusted(
            character_id=owner, currency=made.currency, amount=amount, reason=reason, balance=balance,
            transfer_id=made.id,
        )  # fmt: skip
        book.told(made, tx.emit(adjusted).id)
    await ledger.write(tx, book)
    return ReversedView(
        character_id=who, currency=made.currency, amount=made.amount, balance=book.accounts[who, made.currency].balance,
        earned=earned, level=level, reverses=transfer.id, transfer_id=made.id,
    )  # fmt: skip


async def _unearn(tx: Transaction, transfer: TransferState, counted: str | None) -> tuple[int, int]:
    """Let an award of points count as never earned; the level is that of what is left. Returns both."""
    curve = (await awards.defined(tx)).curve
    rows = await tx.fetch(standings.STANDINGS, tx.world_id, array_of([transfer.credit]))
    standing = standings.standing_of(rows[0]) if rows else standings.Standing(False)
    if transfer.kind != awards.AWARD or transfer.currency != POINTS:
        return standing.earned, standing.level
    earned = max(0, standing.earned - transfer.amount)
    sizes = standing.sizes if counted is None else standing.sizes.minus(transfer.amount)
    if standing.there:
        await tx.execute(
            UNEARN, tx.world_id, transfer.credit, earned, curve.level(earned), sizes.awards, sizes.mean,
            sizes.spread,
        )  # fmt: skip
    if counted is not None:
        rows = await tx.fetch(standings.STATISTICS, tx.world_id, [counted])
        sizes = Distribution(*rows[0][1:]).minus(transfer.amount) if rows else NO_SIZES
        await tx.execute(
            standings.CHANGE_STATISTICS, tx.world_id, [counted], [sizes.awards], [sizes.mean], [sizes.spread]
        )
    return earned, curve.level(earned)


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
