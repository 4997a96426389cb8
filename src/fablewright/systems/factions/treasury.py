"""What goes into treasuries and out of them. A treasury is an account of the ledger whose owner is the faction."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from fablewright.core.refusal import Refused
from fablewright.core.transaction import Transaction
from fablewright.systems.characters import service as characters
from fablewright.systems.factions import roster, views
from fablewright.systems.factions.commands import GrantTreasury, SpendTreasury
from fablewright.systems.factions.events import TreasuryMoved
from fablewright.systems.factions.rules import FACTION_NOT_FOUND, PAYEE_NOT_FOUND, Faction
from fablewright.systems.factions.views import TreasuryView
from fablewright.systems.ledger import service as ledger
from fablewright.systems.ledger.rules import for_payer, kept_reference, sent_reference
from fablewright.systems.ledger.service import TransferState

CURRENCIES: Final = "SELECT id, currency FROM factions WHERE world_id = $1 AND id = ANY($2::uuid[])"

OWNED: Final = "SELECT currency FROM ledger_accounts WHERE world_id = $1 AND owner_id = $2 ORDER BY currency"


@dataclass(frozen=True, slots=True)
class Payment:
    """A sum to go from one side to another: factions, characters, `ledger.MINT` or `ledger.SINK`.

    `currency` None is that of the payer, if that is a faction, else that of the payee. `kind` begins with the name
    of the system that pays (`factions.grant`). A payment whose `reference` was paid already is not paid again.
    `by_id` is the character who does it.
    """

    from_id: UUID
    to_id: UUID
    amount: int
    kind: str
    reason: str
    reference: str | None = None
    currency: str | None = None
    by_id: UUID | None = None


async def pay(
    tx: Transaction, from_id: UUID, to_id: UUID, amount: int, *, kind: str, reason: str,
    reference: str | None = None, currency: str | None = None, by_id: UUID | None = None,
) -> TransferState:  # fmt: skip
    """Move a sum, and tell the two sides; see `Payment`.

    Refuses what `ledger.Book.transfer` does: `insufficient_funds`, `balance_limit`, `same_account`, …, and
    `faction_not_found` if no side is a faction and no currency is named. What the other side has, only game masters
    are told.
    """
    payment = Payment(from_id, to_id, amount, kind, reason, reference, currency, by_id)
    return _made(tx, payment, (await pay_all(tx, [payment]))[0])


def _made(tx: Transaction, payment: Payment, made: TransferState | Refused) -> TransferState:
    """The transfer, or the refusal as it is told to who asks."""
    if isinstance(made, Refused):
        sent = sent_reference(payment.from_id, payment.reference)
        raise for_payer(made, sent, knows_all=characters.is_game_master(tx.request))
    return made


async def pay_all(tx: Transaction, payments: Sequence[Payment]) -> list[TransferState | Refused]:
    """Move many sums with one book, in this order, each by itself: what refuses one leaves the others.

    The accounts are locked, in their order, until the commit; lock factions before.
    """
    sides = {side for p in payments if p.currency is None for side in (p.from_id, p.to_id)}
    rows = await tx.fetch(CURRENCIES, tx.world_id, sorted(sides)) if sides else []
    own = {row["id"]: row["currency"] for row in rows}
    currencies = [p.currency or own.get(p.from_id) or own.get(p.to_id) for p in payments]
    keys = {
        (side, code)
        for p, code in zip(payments, currencies, strict=True) if code is not None
        for side in (p.from_id, p.to_id)
    }  # fmt: skip
    book = await ledger.open_book(tx, keys, create=True, references=[p.reference for p in payments])
    results: list[TransferState | Refused] = []
    for payment, code in zip(payments, currencies, strict=True):
        if code is None:
            results.append(FACTION_NOT_FOUND(faction_id=str(payment.from_id)))
            continue
        try:
            made = book.transfer(
                payment.from_id, payment.to_id, code, payment.amount, kind=payment.kind,
                reason=payment.reason, reference=payment.reference,
            )  # fmt: skip
        except Refused as refused:
            results.append(refused)
            continue
        if not made.replayed:
            book.told(made, tx.emit(_told(made, payment)).id)
        results.append(made)
    await ledger.write(tx, book)
    return results


def _told(made: TransferState, payment: Payment) -> TreasuryMoved:
    return TreasuryMoved(
        transfer_id=made.id, from_id=made.debit, to_id=made.credit, currency=made.currency, amount=made.amount,
        kind=made.kind, reason=made.reason, reference=sent_reference(made.debit, made.reference),
        by_id=payment.by_id,
    )  # fmt: skip


async def balances(tx: Transaction, faction_ids: Sequence[UUID]) -> dict[UUID, int]:
    """What these factions can spend of their own currency, not locked."""
    return await views.treasuries(tx, tx.world_id, faction_ids)


# -- commands ------------------------------------------------------------------------------------------------


async def grant(tx: Transaction, command: GrantTreasury) -> TreasuryView:
    """Let a sum come in from the mint."""
    faction = (await roster.require(tx, [command.faction_id], lock=False))[command.faction_id]
    made = await pay(
        tx, ledger.MINT, faction.id, command.amount, kind="factions.grant", reason=command.reason,
        reference=command.reference, currency=command.currency or faction.currency,
    )  # fmt: skip
    return _answer(made, faction.id)


async def spend(tx: Transaction, command: SpendTreasury) -> TreasuryView:
    """Let a sum go to another faction, to a character, or to the sink."""
    to_id = command.to_id
    living = await characters.load(tx, [] if to_id is None else [to_id])
    faction = await roster.may(tx, command.faction_id, command.character_id, "spend_treasury")
    if to_id is not None and to_id not in living:
        payee = (await roster.load(tx, [to_id], lock=False)).get(to_id)
        if payee is None or payee.dissolved_at is not None:
            raise PAYEE_NOT_FOUND(to_id=str(to_id))
    made = await pay(
        tx, faction.id, to_id or ledger.SINK, command.amount, kind="factions.spend", reason=command.reason,
        reference=kept_reference(faction.id, command.reference), currency=command.currency or faction.currency,
        by_id=command.character_id,
    )  # fmt: skip
    return _answer(made, faction.id)


async def bequeath(tx: Transaction, faction: Faction, heir_id: UUID | None, by_id: UUID | None) -> None:
    """Let all that a faction can spend, of every currency, go to its heir, or else to the sink."""
    to_id = heir_id or ledger.SINK
    codes = [row["currency"] for row in await tx.fetch(OWNED, tx.world_id, faction.id)]
    book = await ledger.open_book(
        tx, [(who, code) for who in (faction.id, to_id) for code in codes], create=True
    )
    payments = [
        Payment(
            faction.id, to_id, has, "factions.dissolved", f"{faction.name} was dissolved.", currency=code,
            by_id=by_id,
        )
        for code in codes if (has := book.accounts[faction.id, code].available) > 0
    ]  # fmt: skip
    for payment, made in zip(payments, await pay_all(tx, payments), strict=True):
        _made(tx, payment, made)


def _answer(made: TransferState, faction_id: UUID) -> TreasuryView:
    after = made.debit_after if made.debit == faction_id else made.credit_after
    return TreasuryView(
        transfer_id=made.id, currency=made.currency, amount=made.amount, balance_after=after or 0,
        replayed=made.replayed,
    )  # fmt: skip
