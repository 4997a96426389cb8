"""What happens on the ledger, and who may know: game masters, and those whose accounts are concerned."""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from pydantic import BaseModel

from fablewright.core.messages import GAME_MASTERS, MEMBERS, Audience, Event
from fablewright.systems.ledger.book import MINT, WORLD_OWNERS, HoldState, TransferState

MOST_TOLD: Final = 16
"""Transfers in one event. With the longest texts, each has 3,400 bytes, and the event less than the 64 KiB it may."""


def _owners(sides: Iterable[UUID]) -> list[UUID]:
    """Each owner once, in order, without the world's own accounts."""
    return [owner for owner in dict.fromkeys(sides) if owner not in WORLD_OWNERS]


class TransferTold(BaseModel):
    """A transfer as events tell of it, to both sides: so without the balances it left.

    Mint and sink are the owners ending in 1 and 2.
    """

    transfer_id: UUID
    currency: str
    debit: UUID
    credit: UUID
    amount: int
    kind: str
    reason: str
    reference: str | None = None

    @classmethod
    def of(cls, transfer: TransferState) -> "TransferTold":
        """What is told of a transfer."""
        return cls.model_construct(
            transfer_id=transfer.id, currency=transfer.currency, debit=transfer.debit, credit=transfer.credit,
            amount=transfer.amount, kind=transfer.kind, reason=transfer.reason, reference=transfer.reference,
        )  # fmt: skip


class CurrencyDefined(Event):
    """The world counts something, from now on like this."""

    message_type = "ledger.currency_defined"

    code: str
    name: str
    description: str
    max_balance: int | None

    def audience(self) -> Audience:
        """Everybody sees the currencies."""
        return MEMBERS


class _AccountEvent(Event):
    subjects = ("owner_id",)

    owner_id: UUID
    currency: str
    max_balance: int | None

    def audience(self) -> Audience:
        return Audience.of(self.owner_id)


class AccountOpened(_AccountEvent):
    """An owner has an account, still empty. Accounts that a transfer opens are told of by the transfer."""

    message_type = "ledger.account_opened"


class AccountLimited(_AccountEvent):
    """An account can hold no more than this; null: than its currency allows."""

    message_type = "ledger.account_limited"


class Transferred(Event):
    """Sums went from account to account, all of these together; more than 16 are told by several events."""

    message_type = "ledger.transferred"

    transfers: list[TransferTold]

    def about(self) -> list[UUID]:
        """The owners of the accounts."""
        return _owners(side for t in self.transfers for side in (t.debit, t.credit))

    def audience(self) -> Audience:
        """Those who stand for one of the owners."""
        return Audience.of(*self.about())


class _SidesEvent(Event):
    debit: UUID
    credit: UUID

    def about(self) -> list[UUID]:
        """The owners of the accounts."""
        return _owners((self.debit, self.credit))

    def audience(self) -> Audience:
        """Those who stand for one of the owners."""
        return Audience.of(*self.about())


class _HoldEvent(_SidesEvent):
    def audience(self) -> Audience:
        """Those who stand for one of the owners. What waits at the mint is nobody's yet: game masters know of it."""
        return GAME_MASTERS if self.debit == MINT else super().audience()


class Held(_HoldEvent):
    """A sum is reserved."""

    message_type = "ledger.held"

    hold_id: UUID
    currency: str
    amount: int
    kind: str
    reason: str
    reference: str | None
    expires_at: int | None

    @classmethod
    def of(cls, hold: HoldState) -> "Held":
        """What is told of a hold."""
        return cls.model_construct(
            hold_id=hold.id, debit=hold.debit, credit=hold.credit, currency=hold.currency, amount=hold.amount,
            kind=hold.kind, reason=hold.reason, reference=hold.reference, expires_at=hold.expires_at,
        )  # fmt: skip


class HoldPosted(_SidesEvent):
    """What was reserved went where it was to go, or `amount` of it; `released` is the rest."""

    message_type = "ledger.hold_posted"

    hold_id: UUID
    currency: str
    amount: int
    released: int
    transfer: TransferTold


class HoldReleased(_HoldEvent):
    """What was reserved is available again, since its time was over (`expired`), or for a reason."""

    message_type = "ledger.hold_released"

    hold_id: UUID
    currency: str
    amount: int
    expired: bool
    reason: str

    @classmethod
    def of(cls, hold: HoldState, reason: str) -> "HoldReleased":
        """What is told of a hold that was released, or has expired."""
        return cls.model_construct(
            hold_id=hold.id, debit=hold.debit, credit=hold.credit, currency=hold.currency, amount=hold.amount,
            expired=hold.state == "expired", reason=reason,
        )  # fmt: skip


class Reversed(_SidesEvent):
    """A transfer was taken back by another one; `debit` is who gives back."""

    message_type = "ledger.reversed"

    reverses: UUID
    reason: str
    transfer: TransferTold
