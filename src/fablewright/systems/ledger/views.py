"""What is read of the ledger."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from pydantic import Field

from fablewright.core.messages import View
from fablewright.systems.ledger.book import (
    MINT,
    AccountState,
    Book,
    Currency,
    HoldState,
    TransferState,
)
from fablewright.systems.ledger.checks import FAULTS, SUMS, of_world
from fablewright.systems.ledger.commands import Side
from fablewright.systems.ledger.rules import POINTS

TRANSFER: Final = (
    "t.id, t.currency, t.debit, t.credit, t.amount, t.kind, t.reason, t.reference, t.reverses, t.hold_id, "
    "t.debit_after, t.credit_after, t.at, t.event_id"
)
"""The columns of a transfer, in the order of the fields of `TransferState`."""
HOLD: Final = (
    "h.id, h.currency, h.debit, h.credit, h.amount, h.kind, h.reason, h.reference, h.state, h.posted, h.at, "
    "h.expires_at, h.closed_at, h.event_id"
)
"""The columns of a hold, in the order of the fields of `HoldState`."""

MOST_NAMED: Final = 100
"""Faults that an integrity report names, of each kind."""


class CurrencyView(View):
    """Something that the world counts in whole numbers."""

    code: str
    name: str
    description: str
    max_balance: int | None = Field(description="The most an account can hold, unless it has its own limit.")


class AccountView(View):
    """What an owner has of a currency. `available` is the balance without what open holds reserve."""

    owner_id: UUID
    currency: str
    balance: int
    held: int
    available: int
    max_balance: int | None = Field(description="Its own limit; null: that of the currency.")


class TransferView(View):
    """A sum that went from one account to another."""

    id: UUID
    currency: str
    debit: Side
    credit: Side
    amount: int
    kind: str
    reason: str
    reference: str | None
    at: int = Field(description="World time, ms.")
    event_id: UUID = Field(description="The event that tells of it.")
    reverses: UUID | None = Field(description="The transfer that it takes back.")
    hold_id: UUID | None = Field(description="The hold that it was posted from.")
    debit_after: int | None = Field(
        description="The balance it left; null for mint and sink, and if it is not shown to the reader."
    )
    credit_after: int | None = Field(description="Likewise.")
    replayed: bool = Field(False, description="Whether it is an earlier one, found by its reference.")


class TransferDetail(TransferView):
    """A transfer, and the one that has taken it back."""

    reversed_by: UUID | None


class LinkedView(View):
    """Transfers that were made together."""

    transfers: list[TransferView]


class HoldView(View):
    """A sum that is or was reserved."""

    id: UUID
    currency: str
    debit: Side
    credit: Side
    amount: int
    kind: str
    reason: str
    reference: str | None
    state: str = Field(description="open, posted, released or expired.")
    posted: int = Field(description="How much of it went to `credit`.")
    at: int = Field(description="World time, ms.")
    expires_at: int | None
    closed_at: int | None
    event_id: UUID
    replayed: bool = Field(False, description="Whether it is an earlier one, found by its reference.")


class PostedView(View):
    """The hold as it is now, and the transfer that was made of it."""

    hold: HoldView
    transfer: TransferView


class StatementLine(View):
    """A transfer as one of its two accounts sees it."""

    transfer_id: UUID
    number: int = Field(description="Grows from line to line; of no other meaning.")
    at: int = Field(description="World time, ms.")
    amount: int = Field(description="Above zero: it came; below zero: it went.")
    balance_after: int | None = Field(description="Null for mint and sink.")
    other: Side = Field(description="The account at the other side.")
    kind: str
    reason: str
    reference: str | None
    event_id: UUID
    reverses: UUID | None
    hold_id: UUID | None


class CurrencyReport(View):
    """What there is of a currency. The sum of `accounts`, `mint` and `sink` is zero."""

    currency: str
    accounts: int = Field(description="The sum of all balances.")
    held: int
    mint: int = Field(description="Balance of the mint: what it has given, below zero.")
    sink: int = Field(description="Balance of the sink: what was spent.")
    sum: int = Field(description="Of the three; zero.")
    owners: int = Field(description="How many accounts there are.")
    transfers: int


class IntegrityReport(View):
    """Whether the ledger is true to itself: `faults` names what is not."""

    ok: bool
    currencies: list[CurrencyReport]
    faults: list[str] = Field(description=f"{MOST_NAMED} of each kind at most.")


# -- states as they are answered -----------------------------------------------------------------------------


def currency_view(currency: Currency) -> CurrencyView:
    """A currency as it is answered."""
    return CurrencyView(
        code=currency.code,
        name=currency.name,
        description=currency.description,
        max_balance=currency.max_balance,
    )


def account_view(account: AccountState) -> AccountView:
    """An account as it is answered."""
    return AccountView.model_construct(
        owner_id=account.owner_id, currency=account.currency, balance=account.balance, held=account.held,
        available=account.available, max_balance=account.max_balance,
    )  # fmt: skip


def transfer_view(transfer: TransferState, event_id: UUID | None = None) -> TransferView:
    """A transfer as it is answered; one that was just planned with the event that tells of it."""
    return TransferView.model_construct(**_transfer_fields(transfer, event_id))


def _transfer_fields(transfer: TransferState, event_id: UUID | None) -> dict[str, Any]:
    return {
        "id": transfer.id, "currency": transfer.currency, "debit": transfer.debit,
        "credit": transfer.credit, "amount": transfer.amount, "kind": transfer.kind,
        "reason": transfer.reason, "reference": transfer.reference, "at": transfer.at,
        "event_id": transfer.event_id or event_id, "reverses": transfer.reverses, "hold_id": transfer.hold_id,
        "debit_after": transfer.debit_after, "credit_after": transfer.credit_after, "replayed": transfer.replayed,
    }  # fmt: skip


def hold_view(hold: HoldState, event_id: UUID | None = None) -> HoldView:
    """A hold as it is answered; one that was just planned with the event that tells of it."""
    fields: dict[str, Any] = {"at": hold.at, "event_id": hold.event_id or event_id}
    return HoldView.model_construct(
        id=hold.id, currency=hold.currency, debit=hold.debit, credit=hold.credit,
        amount=hold.amount, kind=hold.kind, reason=hold.reason, reference=hold.reference, state=hold.state,
        posted=hold.posted, expires_at=hold.expires_at, closed_at=hold.closed_at, replayed=hold.replayed, **fields,
    )  # fmt: skip


def posted_view(book: Book, hold: HoldState, made: TransferState, event_id: UUID) -> PostedView:
    """What came of posting a hold, as it is answered."""
    return PostedView.model_construct(
        hold=hold_view(book.holds[hold.id]), transfer=transfer_view(made, event_id)
    )


# -- reading -------------------------------------------------------------------------------------------------


async def currencies(connection: Any, world_id: UUID) -> list[CurrencyView]:
    """The currencies of a world by code, `points` always among them."""
    rows = await connection.fetch(
        "SELECT code, name, description, max_balance FROM currencies WHERE world_id = $1", world_id
    )
    found = {row["code"]: CurrencyView(**dict(row)) for row in rows}
    found.setdefault(POINTS, CurrencyView(code=POINTS, name="Points", description="", max_balance=None))
    return [found[code] for code in sorted(found)]


async def accounts(
    connection: Any, world_id: UUID, owner_ids: Sequence[UUID], currency: str | None = None
) -> list[AccountView]:
    """The accounts of these owners, by owner and currency; those of mint and sink are none."""
    rows = await connection.fetch(
        "SELECT owner_id, currency, balance, held, max_balance FROM ledger_accounts WHERE world_id = $1 "
        "AND owner_id = ANY($2::uuid[]) AND ($3::text IS NULL OR currency = $3) ORDER BY owner_id, currency",
        world_id, list(owner_ids), currency,
    )  # fmt: skip
    return [account_view(AccountState(*row)) for row in rows]


# Newest first from both sides of the transfers, each by its index.
STATEMENT: Final = f"""
SELECT * FROM (
    (SELECT t.number, false AS came, {TRANSFER} FROM ledger_transfers t
     WHERE t.world_id = $1 AND t.debit = $2 AND t.currency = $3 AND t.number < $4
     ORDER BY t.number DESC LIMIT $5)
    UNION ALL
    (SELECT t.number, true AS came, {TRANSFER} FROM ledger_transfers t
     WHERE t.world_id = $1 AND t.credit = $2 AND t.currency = $3 AND t.number < $4
     ORDER BY t.number DESC LIMIT $5)
) s ORDER BY number DESC LIMIT $5
"""  # noqa: S608  fixed texts only


async def statement(
    connection: Any, world_id: UUID, owner_id: UUID, currency: str, *, before: int | None, limit: int,
    for_masters: bool = True,
) -> list[StatementLine]:  # fmt: skip
    """Up to `limit` transfers of an account, newest first, from before a number.

    That a sum waited at the mint is only shown to game masters.
    """
    rows = await connection.fetch(
        STATEMENT, world_id, owner_id, currency, 2**63 - 1 if before is None else before, limit
    )
    return [_line(row, for_masters) for row in rows]


def _line(row: Any, for_masters: bool) -> StatementLine:
    came, waited = row["came"], row["hold_id"] if for_masters or row["debit"] != MINT else None
    return StatementLine.model_construct(
        transfer_id=row["id"], number=row["number"], at=row["at"], amount=row["amount"] if came else -row["amount"],
        balance_after=row["credit_after"] if came else row["debit_after"],
        other=row["debit"] if came else row["credit"], kind=row["kind"], reason=row["reason"],
        reference=row["reference"], event_id=row["event_id"], reverses=row["reverses"], hold_id=waited,
    )  # fmt: skip


_HOLDS_WHERE: Final = (
    "h.world_id = $1 AND ($2::text IS NULL OR h.currency = $2) AND ($3::text IS NULL OR h.state = $3) "
    f"AND ($4::uuid IS NULL OR h.id < $4) AND ($6 OR h.debit <> '{MINT}')"
)
HOLDS: Final = f"SELECT {HOLD} FROM ledger_holds h WHERE {_HOLDS_WHERE} ORDER BY h.id DESC LIMIT $5"  # noqa: S608
HOLDS_OF_OWNER: Final = f"""
SELECT * FROM (
    (SELECT {HOLD} FROM ledger_holds h WHERE {_HOLDS_WHERE} AND h.debit = $7 ORDER BY h.id DESC LIMIT $5)
    UNION ALL
    (SELECT {HOLD} FROM ledger_holds h WHERE {_HOLDS_WHERE} AND h.credit = $7 ORDER BY h.id DESC LIMIT $5)
) h ORDER BY id DESC LIMIT $5
"""  # noqa: S608  fixed texts only


async def holds(
    connection: Any, world_id: UUID, *, owner_id: UUID | None, currency: str | None, state: str | None,
    before: UUID | None, limit: int, for_masters: bool = True,
) -> list[HoldView]:  # fmt: skip
    """Up to `limit` holds of an owner (on either side) or of all, newest first, from before an id.

    What waits at the mint is nobody's yet: it is only shown to game masters.
    """
    sql, more = (HOLDS, ()) if owner_id is None else (HOLDS_OF_OWNER, (owner_id,))
    rows = await connection.fetch(sql, world_id, currency, state, before, limit, for_masters, *more)
    return [hold_view(HoldState(*row)) for row in rows]


async def hold(connection: Any, world_id: UUID, hold_id: UUID) -> HoldState | None:
    """One hold; None if there is none such."""
    row = await connection.fetchrow(
        f"SELECT {HOLD} FROM ledger_holds h WHERE h.world_id = $1 AND h.id = $2",  # noqa: S608
        world_id, hold_id,
    )  # fmt: skip
    return None if row is None else HoldState(*row)


async def transfer(
    connection: Any, world_id: UUID, transfer_id: UUID
) -> tuple[TransferState, UUID | None] | None:
    """One transfer, and which one has reversed it; None if there is none such."""
    row = await connection.fetchrow(
        f"SELECT {TRANSFER}, (SELECT r.id FROM ledger_transfers r WHERE r.world_id = $1 AND r.reverses = $2) "  # noqa: S608
        "FROM ledger_transfers t WHERE t.world_id = $1 AND t.id = $2",
        world_id, transfer_id,
    )  # fmt: skip
    if row is None:
        return None
    *fields, reversed_by = row
    return TransferState(*fields), reversed_by


def transfer_detail(
    transfer: TransferState, reversed_by: UUID | None, mine: frozenset[UUID] | None = None
) -> TransferDetail:
    """A transfer with what became of it, as it is answered to who stands for `mine` (None: to game masters).

    Who stands for one side is not shown what the other has.
    """
    fields = _transfer_fields(transfer, None)
    if mine is not None:
        for side, after in (("debit", "debit_after"), ("credit", "credit_after")):
            if fields[side] not in mine:
                fields[after] = None
        if transfer.debit == MINT:
            fields["hold_id"] = None
    return TransferDetail.model_construct(**fields, reversed_by=reversed_by)


async def integrity(connection: Any, world_id: UUID) -> IntegrityReport:
    """Whether the ledger of a world is true to itself. The connection must be on a snapshot."""
    reports = [
        CurrencyReport(
            currency=row["currency"], accounts=int(row["accounts"]), held=int(row["held"]), mint=int(row["mint"]),
            sink=int(row["sink"]), sum=int(row["accounts"] + row["mint"] + row["sink"]), owners=int(row["owners"]),
            transfers=int(row["lines"]),
        )
        for row in await connection.fetch(of_world(SUMS), world_id)
    ]  # fmt: skip
    faults = [
        f"ledger.every_sum_is_zero: the sum of all {report.currency} is {report.sum}, not zero"
        for report in reports
        if report.sum
    ]
    for name, sql in FAULTS:
        rows = await connection.fetch(f"{of_world(sql)} LIMIT {MOST_NAMED}", world_id)
        faults += [f"{name}: {row[1]}" for row in rows]
    return IntegrityReport(ok=not faults, currencies=reports, faults=faults)
