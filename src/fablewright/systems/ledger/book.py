"""The arithmetic of the ledger: accounts in memory, and what is planned for them. Pure.

`service.open_book` loads (and locks) the accounts, a command plans on the book, `service.write` stores what was
planned. A `Refused` from the book has changed nothing in it; what belongs together stands inside `book.atomic()`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from fablewright.systems.ledger import rules
from fablewright.systems.ledger.rules import MOST_AMOUNT

MINT: Final = UUID(int=1)
"""The world's account from which all sums come. Its balance follows from the others and is not stored."""
SINK: Final = UUID(int=2)
"""The world's account to which sums go that are spent. Its balance follows from the others and is not stored."""
WORLD_OWNERS: Final = frozenset((MINT, SINK))

Journal = list[tuple[dict[Any, Any], Any, Any]]
"""What was in which place of which mapping before it was changed."""
Key = tuple[UUID, str]
"""An account: its owner, and the code of its currency."""


@dataclass(frozen=True, slots=True)
class Currency:
    """What a world counts. `max_balance` holds for accounts that have no limit of their own."""

    code: str
    name: str
    max_balance: int | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class AccountState:
    """What an owner has of a currency; open holds reserve `held` of it."""

    owner_id: UUID
    currency: str
    balance: int = 0
    held: int = 0
    max_balance: int | None = None

    @property
    def available(self) -> int:
        """What can be taken from it."""
        return self.balance - self.held


@dataclass(frozen=True, slots=True)
class TransferState:
    """A sum that went from `debit` to `credit`, or is planned to.

    `debit_after` and `credit_after` are the balances it leaves (None for mint and sink). `replayed` says that it
    is an earlier one, found by its reference: it is not written again, and no event tells of it. `event_id` is
    None as long as it is only planned.
    """

    id: UUID
    currency: str
    debit: UUID
    credit: UUID
    amount: int
    kind: str
    reason: str
    reference: str | None
    reverses: UUID | None
    hold_id: UUID | None
    debit_after: int | None
    credit_after: int | None
    at: int | None = None
    event_id: UUID | None = None
    replayed: bool = False

    @property
    def owners(self) -> list[UUID]:
        """Whose accounts it moves, without the world's own."""
        return [owner for owner in (self.debit, self.credit) if owner not in WORLD_OWNERS]


Planned = TransferState
"""A transfer as a book plans it."""


@dataclass(frozen=True, slots=True)
class HoldState:
    """A sum reserved on the account of `debit`, to be posted to `credit`, or released.

    `state` is open, posted, released or expired. A hold of the mint reserves nothing, but waits like any other.
    """

    id: UUID
    currency: str
    debit: UUID
    credit: UUID
    amount: int
    kind: str
    reason: str
    reference: str | None
    state: str = "open"
    posted: int = 0
    at: int | None = None
    expires_at: int | None = None
    closed_at: int | None = None
    event_id: UUID | None = None
    replayed: bool = False

    @property
    def owners(self) -> list[UUID]:
        """Whose accounts it concerns, without the world's own."""
        return [owner for owner in (self.debit, self.credit) if owner not in WORLD_OWNERS]


class Book:
    """Accounts in memory, and what is planned for them.

    - `accounts`: as they are after all that was planned; those in `missing` are made when they are first touched;
    - `earlier`, `earlier_holds`: what already has one of the references at hand;
    - `holds`: the holds at hand, as they are after all that was planned;
    - `new_id` gives the ids of transfers and holds; a batch sets it for each of its requests.
    """

    def __init__(
        self, accounts: Iterable[AccountState], currencies: Mapping[str, Currency], *,
        new_id: Callable[[], UUID], now: int = 0, missing: Iterable[Key] = (),
        earlier: Iterable[TransferState] = (), holds: Iterable[HoldState] = (),
    ):  # fmt: skip
        self.currencies = currencies
        self.new_id = new_id
        self.now = now
        self.before: dict[Key, AccountState] = {(a.owner_id, a.currency): a for a in accounts}
        self.accounts = dict(self.before)
        self.missing = {key for key in missing if key not in self.before and key[0] not in WORLD_OWNERS}
        self.earlier = {t.reference: t for t in earlier if t.reference is not None}
        self.holds: dict[UUID, HoldState] = {}
        self.earlier_holds: dict[str, HoldState] = {}
        for hold in holds:
            self.know(hold)
        self.planned: dict[UUID, TransferState] = {}
        self.new_holds: dict[UUID, None] = {}
        self.closed_holds: dict[UUID, None] = {}
        self.event_ids: dict[UUID, UUID] = {}
        self._journal: Journal | None = None

    def know(self, hold: HoldState) -> None:
        """Take in a hold that is stored already."""
        self.holds[hold.id] = hold
        if hold.reference is not None:
            self.earlier_holds[hold.reference] = hold

    # -- what can be planned ---------------------------------------------------------------------------------

    def transfer(
        self, debit: UUID, credit: UUID, currency: str, amount: int, *, kind: str, reason: str,
        reference: str | None = None, reverses: UUID | None = None, hold_id: UUID | None = None,
    ) -> TransferState:  # fmt: skip
        """Plan a transfer of `amount` (1 .. 2**53), or find the one that has this reference and the same terms.

        Refuses `same_account`, `currency_not_found`, `account_not_found`, `insufficient_funds`,
        `balance_limit`, `reference_reused`.
        """
        if reference is not None:
            found = self._transfer_of(reference, debit, credit, currency, amount, kind, reverses)
            if found is not None:
                return found
        return self._move(debit, credit, currency, amount, 0, kind, reason, reference, reverses, hold_id)

    def reverse(self, transfer: TransferState, *, reason: str, kind: str = "reversal") -> TransferState:
        """Plan the transfer that takes another one back. The caller knows that none has yet.

        Refuses what `transfer` does: who has spent the sum meanwhile cannot give it back.
        """
        return self.transfer(
            transfer.credit, transfer.debit, transfer.currency, transfer.amount, kind=kind, reason=reason,
            reverses=transfer.id,
        )  # fmt: skip

    def hold(
        self, debit: UUID, credit: UUID, currency: str, amount: int, *, kind: str, reason: str,
        reference: str | None = None, expires_at: int | None = None,
    ) -> HoldState:  # fmt: skip
        """Plan to reserve `amount` (1 .. 2**53) on the account of `debit`, or find the hold with this reference.

        When it expires is none of its terms: who asks again later may mean another time by "in an hour".
        Refuses what `transfer` does, but `balance_limit` only when it is posted; and `expires_in_the_past`.
        """
        if reference is not None:
            found = self._hold_of(reference, debit, credit, currency, amount, kind)
            if found is not None:
                return found
        if expires_at is not None and expires_at <= self.now:
            raise rules.EXPIRES_IN_THE_PAST(f"It is {self.now} in the world.", now=self.now)
        self._check_sides(debit, credit, currency)
        payer, payee = self._account(debit, currency), self._account(credit, currency)
        if payer is not None:
            _check_funds(payer, amount)
            self._keep(replace(payer, held=payer.held + amount))
        if payee is not None and (credit, currency) not in self.accounts:
            self._keep(payee)  # so that it is there when the hold is posted
        hold = HoldState(
            self.new_id(), currency, debit, credit, amount, kind, reason, reference, at=self.now,
            expires_at=expires_at,
        )  # fmt: skip
        self._set(self.holds, hold.id, hold)
        self._set(self.new_holds, hold.id, None)
        if reference is not None:
            self._set(self.earlier_holds, reference, hold)
        return hold

    def post(self, hold: HoldState, amount: int | None = None) -> TransferState:
        """Plan the transfer of what a hold reserves, or of a part of it; the rest is released.

        It carries the reference of the hold, unless another transfer got that at the same time.
        Refuses `hold_not_open`, `amount_too_large`, `balance_limit`, `account_not_found`.
        """
        hold = self._open(hold)
        sum_ = hold.amount if amount is None else amount
        if sum_ > hold.amount:
            raise rules.AMOUNT_TOO_LARGE(f"The hold reserves {hold.amount}, not {sum_}.", held=hold.amount)
        reference = None if hold.reference in self.earlier else hold.reference
        made = self._move(
            hold.debit, hold.credit, hold.currency, sum_, hold.amount, hold.kind, hold.reason, reference, None,
            hold.id,
        )  # fmt: skip
        self._close(hold, "posted", sum_)
        return made

    def release(self, hold: HoldState, *, expired: bool = False) -> HoldState:
        """Plan to give back what a hold reserves. Refuses `hold_not_open`; what has expired is released as such."""
        hold = self._open(hold, expired=expired)
        payer = self.accounts.get((hold.debit, hold.currency))
        if payer is not None:
            self._keep(replace(payer, held=payer.held - hold.amount))
        return self._close(hold, "expired" if expired else "released", 0)

    def open(self, owner_id: UUID, currency: str, max_balance: int | None = None) -> AccountState:
        """Plan a new, empty account. Refuses `currency_not_found`, `world_account`, `account_exists`."""
        self._check_currency(currency)
        self._check_owner(owner_id)
        if (owner_id, currency) in self.accounts:
            raise rules.ACCOUNT_EXISTS(owner_id=str(owner_id), currency=currency)
        return self._keep(AccountState(owner_id, currency, 0, 0, max_balance))

    def limit(self, owner_id: UUID, currency: str, max_balance: int | None) -> AccountState:
        """Plan another limit for an account (None: that of the currency). What it holds beyond it, it keeps.

        Refuses `currency_not_found`, `world_account`, `account_not_found`.
        """
        self._check_currency(currency)
        self._check_owner(owner_id)
        account = self._account(owner_id, currency)
        assert account is not None
        return self._keep(replace(account, max_balance=max_balance))

    def told(self, planned: TransferState | HoldState, event_id: UUID) -> None:
        """Name the event that tells of a planned transfer or hold."""
        if not planned.replayed:
            self.event_ids[planned.id] = event_id

    def max_balance(self, account: AccountState) -> int:
        """The most that an account can hold."""
        limit = account.max_balance
        if limit is None:
            limit = self.currencies[account.currency].max_balance
        return MOST_AMOUNT if limit is None else min(limit, MOST_AMOUNT)

    def atomic(self) -> "Linked":
        """All or nothing, as `with book.atomic():`. On an error, what was planned inside is undone."""
        return Linked(self)

    # -- helpers ---------------------------------------------------------------------------------------------

    def _move(
        self, debit: UUID, credit: UUID, currency: str, amount: int, unhold: int, kind: str, reason: str,
        reference: str | None, reverses: UUID | None, hold_id: UUID | None,
    ) -> TransferState:  # fmt: skip
        """Check all, then change all. `unhold` is what a hold had reserved for it."""
        self._check_sides(debit, credit, currency)
        payer, payee = self._account(debit, currency), self._account(credit, currency)
        if payer is not None and not unhold:
            _check_funds(payer, amount)
        if payee is not None and payee.balance + amount > (most := self.max_balance(payee)):
            raise rules.BALANCE_LIMIT(
                f"The account has {payee.balance} {currency} and can hold {most}; {amount} more is too much.",
                owner_id=str(credit), currency=currency, balance=payee.balance, max_balance=most,
            )  # fmt: skip
        debit_after = credit_after = None
        if payer is not None:
            debit_after = payer.balance - amount
            self._keep(AccountState(debit, currency, debit_after, payer.held - unhold, payer.max_balance))
        if payee is not None:
            credit_after = payee.balance + amount
            self._keep(AccountState(credit, currency, credit_after, payee.held, payee.max_balance))
        made = TransferState(
            self.new_id(), currency, debit, credit, amount, kind, reason, reference, reverses, hold_id, debit_after,
            credit_after, self.now,
        )  # fmt: skip
        self._set(self.planned, made.id, made)
        if reference is not None:
            self._set(self.earlier, reference, made)
        return made

    def _transfer_of(
        self,
        reference: str,
        debit: UUID,
        credit: UUID,
        currency: str,
        amount: int,
        kind: str,
        reverses: UUID | None,
    ) -> TransferState | None:
        """The earlier transfer with this reference. Refuses `reference_reused`."""
        found = self.earlier.get(reference)
        if found is None:
            if (held := self.earlier_holds.get(reference)) is not None:
                raise rules.REFERENCE_REUSED(
                    f"A hold has the reference {reference!r}.", reference=reference, hold_id=str(held.id)
                )
            return None
        asked = debit, credit, currency, amount, kind, reverses
        if asked != (found.debit, found.credit, found.currency, found.amount, found.kind, found.reverses):
            raise rules.REFERENCE_REUSED(
                f"Another transfer has the reference {reference!r}.",
                reference=reference,
                transfer_id=str(found.id),
            )
        return replace(found, replayed=True)

    def _hold_of(
        self,
        reference: str,
        debit: UUID,
        credit: UUID,
        currency: str,
        amount: int,
        kind: str,
    ) -> HoldState | None:
        """The earlier hold with this reference. Refuses `reference_reused`."""
        found = self.earlier_holds.get(reference)
        if found is None:
            if (made := self.earlier.get(reference)) is not None:
                raise rules.REFERENCE_REUSED(
                    f"A transfer has the reference {reference!r}.",
                    reference=reference,
                    transfer_id=str(made.id),
                )
            return None
        asked = debit, credit, currency, amount, kind
        if asked != (found.debit, found.credit, found.currency, found.amount, found.kind):
            raise rules.REFERENCE_REUSED(
                f"Another hold has the reference {reference!r}.", reference=reference, hold_id=str(found.id)
            )
        return replace(self.holds.get(found.id, found), replayed=True)

    def _open(self, hold: HoldState, *, expired: bool = False) -> HoldState:
        """The hold as it is now. Refuses `hold_not_open`."""
        hold = self.holds.get(hold.id, hold)
        state = hold.state
        if state == "open" and not expired and hold.expires_at is not None and hold.expires_at <= self.now:
            state = "expired"
        if state != "open":
            raise rules.HOLD_NOT_OPEN(f"The hold is {state}.", hold_id=str(hold.id), state=state)
        return hold

    def _close(self, hold: HoldState, state: str, posted: int) -> HoldState:
        closed = replace(hold, state=state, posted=posted, closed_at=self.now)
        self._set(self.holds, hold.id, closed)
        self._set(self.closed_holds, hold.id, None)
        return closed

    def _check_sides(self, debit: UUID, credit: UUID, currency: str) -> None:
        self._check_currency(currency)
        if debit.int == credit.int:
            raise rules.SAME_ACCOUNT(owner_id=str(debit))

    def _check_currency(self, currency: str) -> None:
        if currency not in self.currencies:
            raise rules.CURRENCY_NOT_FOUND(f"This world has no currency {currency!r}.", currency=currency)

    def _check_owner(self, owner_id: UUID) -> None:
        if owner_id in WORLD_OWNERS:
            raise rules.WORLD_ACCOUNT(owner_id=str(owner_id))

    def _account(self, owner_id: UUID, currency: str) -> AccountState | None:
        """An account; None for mint and sink. Refuses `account_not_found`."""
        if owner_id is MINT or owner_id is SINK:  # awards are most of what there is
            return None
        found = self.accounts.get((owner_id, currency))
        if found is not None:
            return found
        if owner_id in WORLD_OWNERS:
            return None
        if (owner_id, currency) in self.missing:
            return AccountState(owner_id, currency)
        raise rules.ACCOUNT_NOT_FOUND(
            f"{owner_id} has no account of {currency!r}.", owner_id=str(owner_id), currency=currency
        )

    def _keep(self, account: AccountState) -> AccountState:
        self._set(self.accounts, (account.owner_id, account.currency), account)
        return account

    def _set(self, mapping: dict[Any, Any], key: Any, value: Any) -> None:
        if self._journal is not None:
            self._journal.append((mapping, key, mapping.get(key, _NOTHING)))
        mapping[key] = value

    def _begin(self) -> "Journal | None":
        outer, self._journal = self._journal, []
        return outer

    def _end(self, outer: "Journal | None", undo: bool) -> None:
        done, self._journal = self._journal or [], outer
        if not undo:
            if outer is not None:
                outer.extend(done)
            return
        for mapping, key, old in reversed(done):
            if old is _NOTHING:
                del mapping[key]
            else:
                mapping[key] = old


class Linked:
    """What a book plans while this is open, it plans all or not at all."""

    def __init__(self, book: Book):
        self._book = book
        self._outer: Journal | None = None

    def __enter__(self) -> None:
        self._outer = self._book._begin()

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        self._book._end(self._outer, undo=kind is not None)


_NOTHING: Final = object()


def _check_funds(account: AccountState, amount: int) -> None:
    if account.available < amount:
        raise rules.INSUFFICIENT_FUNDS(
            f"{account.available} {account.currency} are available; {amount} are needed.",
            owner_id=str(account.owner_id), currency=account.currency, available=account.available, needed=amount,
        )  # fmt: skip
