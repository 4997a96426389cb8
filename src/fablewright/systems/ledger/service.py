"""What the commands about accounts do. Higher systems plan on a `Book` that this module opens and writes."""

from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import Final
from uuid import UUID

from fablewright.core.database import array_of, texts_of
from fablewright.core.definitions import Definitions
from fablewright.core.dice import derived_uuid, uuid_of
from fablewright.core.refusal import Refused
from fablewright.core.transaction import Request, Timer, Transaction
from fablewright.systems.ledger import rules, views
from fablewright.systems.ledger.book import (
    MINT,
    SINK,
    WORLD_OWNERS,
    AccountState,
    Book,
    Currency,
    HoldState,
    Key,
    Planned,
    TransferState,
)
from fablewright.systems.ledger.commands import (
    DefineCurrency,
    Hold,
    LimitAccount,
    OpenAccount,
    PostHold,
    ReleaseHold,
    ReverseTransfer,
    Transfer,
    TransferFields,
    TransferLinked,
)
from fablewright.systems.ledger.events import (
    MOST_TOLD,
    AccountLimited,
    AccountOpened,
    CurrencyDefined,
    Held,
    HoldPosted,
    HoldReleased,
    Reversed,
    Transferred,
    TransferTold,
)
from fablewright.systems.ledger.rules import MOST_CURRENCIES, POINTS
from fablewright.systems.ledger.views import (
    HOLD,
    TRANSFER,
    AccountView,
    CurrencyView,
    HoldView,
    LinkedView,
    PostedView,
    TransferView,
)

__all__ = [
    "MINT", "SINK", "AccountState", "Book", "Currency", "HoldState", "Key", "Planned", "TransferState",
    "currencies", "ids_for", "load_holds", "load_transfers", "open_book", "open_holds", "peek_holds",
    "reversals", "write",
]  # fmt: skip

HOLD_EXPIRES: Final = "ledger.hold_expires"
"""The kind of timer that ends a hold; its data names the hold."""

LOAD_ACCOUNTS: Final = """
SELECT a.owner_id, a.currency, a.balance, a.held, a.max_balance
FROM unnest($2::uuid[], $3::text[]) AS v (owner_id, currency)
JOIN ledger_accounts a ON a.world_id = $1 AND a.owner_id = v.owner_id AND a.currency = v.currency
ORDER BY a.owner_id, a.currency FOR NO KEY UPDATE OF a
"""
TRANSFERS_BY_ID: Final = (
    f"SELECT {TRANSFER} FROM ledger_transfers t WHERE t.world_id = $1 AND t.id = ANY($2::uuid[])"  # noqa: S608
)
TRANSFERS_BY_REFERENCE: Final = (
    f"SELECT {TRANSFER} FROM ledger_transfers t WHERE t.world_id = $1 AND t.reference = ANY($2::text[])"  # noqa: S608
)
HOLDS_BY_REFERENCE: Final = (
    f"SELECT {HOLD} FROM ledger_holds h WHERE h.world_id = $1 AND h.reference = ANY($2::text[])"  # noqa: S608
)
HOLDS_BY_ID: Final = (
    f"SELECT {HOLD} FROM ledger_holds h WHERE h.world_id = $1 AND h.id = ANY($2::uuid[]) ORDER BY h.id"  # noqa: S608
)
LOCK_HOLDS: Final = f"{HOLDS_BY_ID} FOR NO KEY UPDATE"
REVERSALS: Final = (
    "SELECT reverses, id FROM ledger_transfers WHERE world_id = $1 AND reverses = ANY($2::uuid[])"
)

# The accounts are locked (`open_book`); a new one that somebody else makes at the same time fails on its key, and the
# engine runs the command again. Transfers get their numbers in the order in which they were planned.
WRITE: Final = """
WITH moved AS (
    UPDATE ledger_accounts a
    SET balance = a.balance + v.delta, held = a.held + v.held, max_balance = v.max_balance
    FROM unnest($2::text::uuid[], $3::text::text[], $4::text::bigint[], $5::text::bigint[], $6::text::bigint[])
         AS v (owner_id, currency, delta, held, max_balance)
    WHERE a.world_id = $1 AND a.owner_id = v.owner_id AND a.currency = v.currency
    RETURNING 1
), opened AS (
    INSERT INTO ledger_accounts (world_id, owner_id, currency, balance, held, max_balance)
    SELECT $1, v.* FROM unnest($7::uuid[], $8::text[], $9::bigint[], $10::bigint[], $11::bigint[])
         AS v (owner_id, currency, balance, held, max_balance)
    ORDER BY v.owner_id, v.currency
), added AS (
    INSERT INTO ledger_transfers (world_id, id, currency, debit, credit, amount, kind, reason, reference, at,
                                  event_id, reverses, hold_id, debit_after, credit_after)
    SELECT $1, v.id, v.currency, v.debit, v.credit, v.amount, v.kind, v.reason, v.reference, $12, v.event_id,
           v.reverses, v.hold_id, v.debit_after, v.credit_after
    FROM unnest($13::text::uuid[], $14::text::text[], $15::text::uuid[], $16::text::uuid[], $17::text::bigint[],
                $18::text::text[], $19::text::text[], $20::text::text[], $21::text::uuid[], $22::text::uuid[],
                $23::text::uuid[], $24::text::bigint[], $25::text::bigint[]) WITH ORDINALITY
         AS v (id, currency, debit, credit, amount, kind, reason, reference, event_id, reverses, hold_id,
               debit_after, credit_after, n)
    ORDER BY v.n
)
SELECT count(*) FROM moved
"""
ADD_HOLDS: Final = """
INSERT INTO ledger_holds (world_id, id, currency, debit, credit, amount, kind, reason, reference, state, posted, at,
                          expires_at, closed_at, event_id)
SELECT $1, v.* FROM unnest($2::uuid[], $3::text[], $4::uuid[], $5::uuid[], $6::bigint[], $7::text[], $8::text[],
                           $9::text[], $10::text[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[],
                           $15::uuid[]) AS v
"""
CLOSE_HOLDS: Final = """
UPDATE ledger_holds h SET state = v.state, posted = v.posted, closed_at = $5
FROM unnest($2::uuid[], $3::text[], $4::bigint[]) AS v (id, state, posted)
WHERE h.world_id = $1 AND h.id = v.id
"""
# A timer that fires at this moment waits for the hold, and finds it closed.
CANCEL_TIMERS: Final = """
DELETE FROM timers WHERE world_id = $1 AND id IN (
    SELECT id FROM timers WHERE world_id = $1 AND id = ANY($2::uuid[]) FOR UPDATE SKIP LOCKED)
"""
ADD_TIMERS: Final = """
INSERT INTO timers (world_id, id, kind, due_at, data, correlation_id)
SELECT $1, v.id, $2, v.due_at, jsonb_build_object('hold_id', v.hold_id), $6
FROM unnest($3::uuid[], $4::bigint[], $5::uuid[]) AS v (id, due_at, hold_id)
"""


# -- for higher systems --------------------------------------------------------------------------------------


async def _load_currencies(tx: Transaction) -> dict[str, Currency]:
    rows = await tx.fetch(
        "SELECT code, name, max_balance, description FROM currencies WHERE world_id = $1 ORDER BY code",
        tx.world_id,
    )
    found = {row["code"]: Currency(*row) for row in rows}
    found.setdefault(POINTS, Currency(POINTS, "Points"))
    return found


_CURRENCIES: Final = Definitions(_load_currencies)


async def currencies(tx: Transaction) -> dict[str, Currency]:
    """The currencies of the world by code, `points` always among them."""
    return await _CURRENCIES.of(tx)


async def open_book(
    tx: Transaction, accounts: Iterable[Key], *, create: bool = False, references: Iterable[str | None] = (),
    new_id: Callable[[], UUID] | None = None,
) -> Book:  # fmt: skip
    """A book of these accounts, locked until the commit in the order of (owner, currency).

    With `create`, those that are missing are made when something is first planned on them. `references` are those
    that will be asked for: what has one of them already is found in `book.earlier` and `book.earlier_holds`. Mint and
    sink may be among the accounts, and need not be.
    """
    wanted = {key for key in accounts if key[0] not in WORLD_OWNERS}
    names = sorted({reference for reference in references if reference is not None})
    known = await _CURRENCIES.of(tx)
    rows = (
        await tx.fetch(LOAD_ACCOUNTS, tx.world_id, [k[0] for k in wanted], [k[1] for k in wanted])
        if wanted
        else []
    )
    earlier: list[TransferState] = []
    holds: list[HoldState] = []
    if names:  # after the locks, so as to see what those wrote for whom this transaction had to wait
        earlier = [TransferState(*row) for row in await tx.fetch(TRANSFERS_BY_REFERENCE, tx.world_id, names)]
        holds = [HoldState(*row) for row in await tx.fetch(HOLDS_BY_REFERENCE, tx.world_id, names)]
    return Book(
        [AccountState(*row) for row in rows], known, new_id=new_id or tx.new_id, now=tx.now,
        missing=wanted if create else (), earlier=earlier, holds=holds,
    )  # fmt: skip


async def open_holds(tx: Transaction, hold_ids: Iterable[UUID], *, more: Iterable[Key] = ()) -> Book:
    """A book of the accounts of these holds (and `more`), with the holds themselves in `book.holds`, all locked.

    Ids that no hold has are not in `book.holds`.
    """
    found = await peek_holds(tx, hold_ids)
    keys = [(owner, hold.currency) for hold in found.values() for owner in (hold.debit, hold.credit)]
    names = [
        hold.reference for hold in found.values()
    ]  # a transfer may have got one of them at the same time
    book = await open_book(tx, [*keys, *more], create=True, references=names)
    for hold in (await load_holds(tx, found)).values():
        book.know(hold)
    return book


async def peek_holds(tx: Transaction, ids: Iterable[UUID]) -> dict[UUID, HoldState]:
    """Those of the holds that exist, not locked: their state may be out of date, the rest never changes."""
    wanted = sorted(set(ids))
    rows = await tx.fetch(HOLDS_BY_ID, tx.world_id, wanted) if wanted else []
    return {row["id"]: HoldState(*row) for row in rows}


async def load_holds(tx: Transaction, ids: Iterable[UUID]) -> dict[UUID, HoldState]:
    """Those of the holds that exist, locked until the commit in the order of their ids. Lock the accounts first."""
    wanted = sorted(set(ids))
    rows = await tx.fetch(LOCK_HOLDS, tx.world_id, wanted) if wanted else []
    return {row["id"]: HoldState(*row) for row in rows}


async def load_transfers(tx: Transaction, ids: Iterable[UUID]) -> dict[UUID, TransferState]:
    """Those of the transfers that exist. They never change."""
    wanted = sorted(set(ids))
    rows = await tx.fetch(TRANSFERS_BY_ID, tx.world_id, wanted) if wanted else []
    return {row["id"]: TransferState(*row) for row in rows}


async def reversals(tx: Transaction, ids: Iterable[UUID]) -> dict[UUID, UUID]:
    """By transfer, the transfer that has reversed it; two at once fail on their key, and one runs again."""
    rows = await tx.fetch(REVERSALS, tx.world_id, sorted(set(ids)))
    return {row["reverses"]: row["id"] for row in rows}


def ids_for(tx: Transaction, request: Request) -> Callable[[], UUID]:
    """A source of ids that come from one request alone, for `Book.new_id`: batch neighbours do not matter.

    They have the layout of UUID version 7, so that new rows lie together in the index.
    """
    numbers = count()
    time = (tx.now & (2**48 - 1)) << 80 | 7 << 76

    def new_id() -> UUID:
        chance = derived_uuid(request.id, "ledger", tx.now, next(numbers)).int
        return uuid_of(time | chance & (2**76 - 1))

    return new_id


async def write(tx: Transaction, book: Book) -> None:
    """Store what was planned: one statement for accounts and transfers, and few more if there are holds.

    `book.told` must have named the event of each transfer and each new hold.
    """
    if book.new_holds or book.closed_holds:
        await _write_holds(tx, book)
    before = book.before
    changed = [
        (state, before[key]) for key, state in book.accounts.items() if key in before and state != before[key]
    ]
    opened = [state for key, state in book.accounts.items() if key not in before]
    planned = list(book.planned.values())
    if not changed and not opened and not planned:
        return
    moved = await tx.fetchval(
        WRITE, tx.world_id,
        array_of([a.owner_id for a, _ in changed]), texts_of([a.currency for a, _ in changed]),
        array_of([a.balance - b.balance for a, b in changed]), array_of([a.held - b.held for a, b in changed]),
        array_of([a.max_balance for a, _ in changed]),
        [a.owner_id for a in opened], [a.currency for a in opened], [a.balance for a in opened],
        [a.held for a in opened], [a.max_balance for a in opened],
        tx.now, array_of([t.id for t in planned]), texts_of([t.currency for t in planned]),
        array_of([t.debit for t in planned]), array_of([t.credit for t in planned]),
        array_of([t.amount for t in planned]), texts_of([t.kind for t in planned]),
        texts_of([t.reason for t in planned]), texts_of([t.reference for t in planned]),
        array_of([book.event_ids[t.id] for t in planned]),
        array_of([t.reverses for t in planned]), array_of([t.hold_id for t in planned]),
        array_of([t.debit_after for t in planned]), array_of([t.credit_after for t in planned]),
    )  # fmt: skip
    if moved != len(changed):
        raise RuntimeError(f"{len(changed)} accounts were to change, {moved} did")


async def _write_holds(tx: Transaction, book: Book) -> None:
    """Holds as they are now, and the timers of those that expire."""
    added = [book.holds[i] for i in sorted(book.new_holds)]
    closed = [book.holds[i] for i in sorted(book.closed_holds) if i not in book.new_holds]
    if added:
        await tx.execute(
            ADD_HOLDS, tx.world_id, [h.id for h in added], [h.currency for h in added], [h.debit for h in added],
            [h.credit for h in added], [h.amount for h in added], [h.kind for h in added],
            [h.reason for h in added], [h.reference for h in added], [h.state for h in added],
            [h.posted for h in added], [h.at for h in added], [h.expires_at for h in added],
            [h.closed_at for h in added], [book.event_ids[h.id] for h in added],
        )  # fmt: skip
    if closed:
        await tx.execute(
            CLOSE_HOLDS, tx.world_id, [h.id for h in closed], [h.state for h in closed],
            [h.posted for h in closed], tx.now,
        )  # fmt: skip
    expiring = [h for h in added if h.state == "open" and h.expires_at is not None]
    if expiring:
        tx.timers_changed = True
        await tx.execute(
            ADD_TIMERS, tx.world_id, HOLD_EXPIRES, [_timer_id(h.id) for h in expiring],
            [h.expires_at for h in expiring], [h.id for h in expiring], tx.request.correlation_id,
        )  # fmt: skip
    if ended := [_timer_id(h.id) for h in closed if h.expires_at is not None and h.state != "expired"]:
        await tx.execute(CANCEL_TIMERS, tx.world_id, ended)


def _timer_id(hold_id: UUID) -> UUID:
    return derived_uuid(HOLD_EXPIRES, hold_id)


# -- commands ------------------------------------------------------------------------------------------------


async def define_currency(tx: Transaction, command: DefineCurrency) -> CurrencyView:
    """Write a currency, new or old."""
    known = await tx.fetch("SELECT code FROM currencies WHERE world_id = $1", tx.world_id)
    if len(known) >= MOST_CURRENCIES and command.code not in {row["code"] for row in known}:
        raise rules.TOO_MANY_CURRENCIES(most=MOST_CURRENCIES)
    await tx.execute(
        "INSERT INTO currencies (world_id, code, name, description, max_balance) VALUES ($1, $2, $3, $4, $5) "
        "ON CONFLICT (world_id, code) DO UPDATE SET name = $3, description = $4, max_balance = $5",
        tx.world_id, command.code, command.name, command.description, command.max_balance,
    )  # fmt: skip
    tx.definitions_changed = True
    tx.emit(CurrencyDefined(**command.model_dump()))
    return views.currency_view(Currency(command.code, command.name, command.max_balance, command.description))


async def open_account(tx: Transaction, command: OpenAccount) -> AccountView:
    """Make an account."""
    book = await open_book(tx, [(command.owner_id, command.currency)])
    account = book.open(command.owner_id, command.currency, command.max_balance)
    await write(tx, book)
    tx.emit(AccountOpened(**command.model_dump()))
    return views.account_view(account)


async def limit_account(tx: Transaction, command: LimitAccount) -> AccountView:
    """Set the limit of an account."""
    book = await open_book(tx, [(command.owner_id, command.currency)])
    account = book.limit(command.owner_id, command.currency, command.max_balance)
    await write(tx, book)
    tx.emit(AccountLimited(**command.model_dump()))
    return views.account_view(account)


async def transfer(tx: Transaction, requests: Sequence[Request]) -> list[TransferView | Refused]:
    """Move sums; many of these commands cost little more than one."""
    commands: list[Transfer] = [request.command for request in requests]  # type: ignore[misc]
    book = await open_book(
        tx, (key for c in commands for key in _keys(c)), references=(c.reference for c in commands)
    )
    results: list[TransferView | Refused] = []
    for request, command in zip(requests, commands, strict=True):
        book.new_id = ids_for(tx, request)
        book.missing = _to_open(book, [command], command.open_accounts)
        try:
            with book.atomic():
                made = _plan(book, command)
                if not made.replayed:
                    event = Transferred(transfers=[TransferTold.of(made)])
                    book.told(made, tx.emit(event, by=request).id)
        except Refused as refused:
            results.append(refused)
            continue
        results.append(views.transfer_view(made, book.event_ids.get(made.id)))
    await write(tx, book)
    return results


async def transfer_linked(tx: Transaction, command: TransferLinked) -> LinkedView:
    """Move several sums, all or none."""
    asked = command.transfers
    book = await open_book(
        tx, (key for t in asked for key in _keys(t)), references=(t.reference for t in asked)
    )
    book.missing = _to_open(book, asked, command.open_accounts)
    made = [_plan(book, t) for t in asked]
    new = [t for t in made if not t.replayed]
    for some in (new[start : start + MOST_TOLD] for start in range(0, len(new), MOST_TOLD)):
        event_id = tx.emit(Transferred(transfers=[TransferTold.of(t) for t in some])).id
        for t in some:
            book.told(t, event_id)
    await write(tx, book)
    return LinkedView.model_construct(
        transfers=[views.transfer_view(t, book.event_ids.get(t.id)) for t in made]
    )


async def hold(tx: Transaction, command: Hold) -> HoldView:
    """Reserve a sum."""
    book = await open_book(tx, _keys(command), references=[command.reference])
    made = book.hold(
        command.debit, command.credit, command.currency, command.amount, kind=command.kind,
        reason=command.reason, reference=command.reference, expires_at=command.expires_at,
    )  # fmt: skip
    if made.replayed:
        return views.hold_view(made)
    event_id = tx.emit(Held.of(made)).id
    book.told(made, event_id)
    await write(tx, book)
    return views.hold_view(made, event_id)


async def post_hold(tx: Transaction, command: PostHold) -> PostedView:
    """Move what a hold reserves."""
    book, held = await _held(tx, command.hold_id)
    made = book.post(held, command.amount)
    event_id = tx.emit(
        HoldPosted(
            hold_id=held.id, debit=held.debit, credit=held.credit, currency=held.currency, amount=made.amount,
            released=held.amount - made.amount, transfer=TransferTold.of(made),
        )
    ).id  # fmt: skip
    book.told(made, event_id)
    await write(tx, book)
    return views.posted_view(book, held, made, event_id)


async def release_hold(tx: Transaction, command: ReleaseHold) -> HoldView:
    """Give back what a hold reserves."""
    book, held = await _held(tx, command.hold_id)
    released = book.release(held)
    tx.emit(HoldReleased.of(released, command.reason))
    await write(tx, book)
    return views.hold_view(released)


async def expire(tx: Transaction, timers: Sequence[Timer]) -> None:
    """Release the holds whose time is over, as far as they are still open."""
    book = await open_holds(tx, (UUID(timer.data["hold_id"]) for timer in timers))
    for held in sorted(book.holds.values(), key=lambda h: h.id):
        if held.state == "open":
            tx.emit(HoldReleased.of(book.release(held, expired=True), ""))
    await write(tx, book)


async def reverse_transfer(tx: Transaction, command: ReverseTransfer) -> TransferView:
    """Take a transfer back."""
    found = (await load_transfers(tx, [command.transfer_id])).get(command.transfer_id)
    if found is None:
        raise rules.TRANSFER_NOT_FOUND(transfer_id=str(command.transfer_id))
    rules.check_own(found.kind)
    book = await open_book(tx, [(found.debit, found.currency), (found.credit, found.currency)])
    by = (await reversals(tx, [found.id])).get(found.id)
    if by is not None:
        raise rules.ALREADY_REVERSED(transfer_id=str(found.id), reversed_by=str(by))
    made = book.reverse(found, reason=command.reason)
    event_id = tx.emit(
        Reversed(
            reverses=found.id, debit=made.debit, credit=made.credit, reason=command.reason,
            transfer=TransferTold.of(made),
        )
    ).id  # fmt: skip
    book.told(made, event_id)
    await write(tx, book)
    return views.transfer_view(made, event_id)


# -- helpers -------------------------------------------------------------------------------------------------


def _keys(asked: TransferFields) -> list[Key]:
    return [(asked.debit, asked.currency), (asked.credit, asked.currency)]


def _to_open(book: Book, asked: Sequence[TransferFields], allowed: bool) -> set[Key]:
    """The accounts that may be made for what is asked."""
    if not allowed:
        return set()
    return {k for t in asked for k in _keys(t) if k not in book.accounts and k[0] not in WORLD_OWNERS}


def _plan(book: Book, asked: TransferFields) -> TransferState:
    return book.transfer(
        asked.debit, asked.credit, asked.currency, asked.amount, kind=asked.kind,
        reason=asked.reason, reference=asked.reference,
    )  # fmt: skip


async def _held(tx: Transaction, hold_id: UUID) -> tuple[Book, HoldState]:
    """A hold and its accounts, locked. Refuses `hold_not_found`, `kept_by_another_system`."""
    book = await open_holds(tx, [hold_id])
    if hold_id not in book.holds:
        raise rules.HOLD_NOT_FOUND(hold_id=str(hold_id))
    rules.check_own(book.holds[hold_id].kind)
    return book, book.holds[hold_id]
