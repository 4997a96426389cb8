"""HTTP routes for currencies, accounts, transfers and holds."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from fablewright.core.actors import Role
from fablewright.gateway.api import (
    CURSOR_INVALID,
    MEMBER_ROLE,
    PAGE_TOO_LARGE,
    Caller,
    CallerInfo,
    Committed,
    Page,
    Paging,
    page_of,
    position_of,
    refusals,
)  # fmt: skip
from fablewright.gateway.events import reader_filter
from fablewright.systems.ledger import views
from fablewright.systems.ledger.book import MINT
from fablewright.systems.ledger.commands import (
    Amount,
    Code,
    CurrencyFields,
    DefineCurrency,
    Hold,
    Limit,
    LimitAccount,
    OpenAccount,
    PostHold,
    Reason,
    ReleaseHold,
    ReverseTransfer,
    Side,
    Transfer,
    TransferLinked,
    WhyRequired,
)
from fablewright.systems.ledger.rules import (
    ACCOUNT_IS_PRIVATE,
    ACCOUNT_NOT_FOUND,
    HOLD_NOT_FOUND,
    TRANSFER_NOT_FOUND,
)
from fablewright.systems.ledger.views import (
    AccountView,
    CurrencyView,
    HoldView,
    IntegrityReport,
    LinkedView,
    PostedView,
    StatementLine,
    TransferDetail,
    TransferView,
)

router = APIRouter(tags=["ledger"])

CurrencyCode = Annotated[Code, Path(description="What the currency is called: `points`, `gold`.")]
Owner = Annotated[Side, Path(description="The owner's id, or `mint` or `sink`.")]


class CurrenciesView(BaseModel):
    """The currencies of a world, by code."""

    items: list[CurrencyView]


class AccountsView(BaseModel):
    """The accounts of an owner, by currency."""

    items: list[AccountView]


def _body(**example: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [example]})


class LimitBody(BaseModel):
    """The most that an account can hold."""

    model_config = _body(max_balance=500)

    max_balance: Limit | None = Field(description="Null for the currency's limit.")


class PostBody(BaseModel):
    """How much of a hold to post."""

    model_config = _body(amount=3)

    amount: Amount | None = Field(None, description="Null for all of it.")


class ReleaseBody(BaseModel):
    """Why a hold is released."""

    model_config = _body(reason="Outbid.")

    reason: Reason = ""


class ReverseBody(BaseModel):
    """Why a transfer is taken back."""

    model_config = _body(reason="Granted twice.")

    reason: WhyRequired


# -- currencies ----------------------------------------------------------------------------------------------


@router.get("/worlds/{world_id}/ledger/currencies", responses=refusals())
async def list_currencies(world_id: UUID, caller: Caller) -> CurrenciesView:
    """What the world counts; `points` is always there."""
    async with caller.reading(world_id) as connection:
        return CurrenciesView(items=await views.currencies(connection, world_id))


@router.put("/worlds/{world_id}/ledger/currencies/{code}", responses=refusals(DefineCurrency))
async def define_currency(
    world_id: UUID, code: CurrencyCode, body: CurrencyFields, caller: Caller
) -> Committed[CurrencyView]:
    """Define a currency, or change how it is called and limited. For game masters."""
    command = DefineCurrency(code=code, **body.model_dump())
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


# -- accounts ------------------------------------------------------------------------------------------------


@router.post("/worlds/{world_id}/ledger/accounts", status_code=201, responses=refusals(OpenAccount))
async def open_account(world_id: UUID, body: OpenAccount, caller: Caller) -> Committed[AccountView]:
    """Give an owner an account. For game masters."""
    return await caller.execute(body, world_id, status=201)  # type: ignore[no-any-return]


@router.get("/worlds/{world_id}/ledger/accounts/{owner_id}", responses=refusals(ACCOUNT_IS_PRIVATE))
async def list_accounts(world_id: UUID, owner_id: Owner, caller: Caller) -> AccountsView:
    """What an owner has of each currency. For game masters, and for who controls the owner."""
    async with _reading(caller, world_id, [owner_id]) as (connection, _):
        return AccountsView(items=await views.accounts(connection, world_id, [owner_id]))


@router.get(
    "/worlds/{world_id}/ledger/accounts/{owner_id}/{currency}",
    responses=refusals(ACCOUNT_IS_PRIVATE, ACCOUNT_NOT_FOUND),
)
async def get_balance(world_id: UUID, owner_id: Owner, currency: CurrencyCode, caller: Caller) -> AccountView:
    """What an owner has of a currency. For game masters, and for who controls the owner."""
    async with _reading(caller, world_id, [owner_id]) as (connection, _):
        found = await views.accounts(connection, world_id, [owner_id], currency)
    if not found:
        raise ACCOUNT_NOT_FOUND(owner_id=str(owner_id), currency=currency)
    return found[0]


@router.put(
    "/worlds/{world_id}/ledger/accounts/{owner_id}/{currency}/limit", responses=refusals(LimitAccount)
)
async def limit_account(
    world_id: UUID, owner_id: Owner, currency: CurrencyCode, body: LimitBody, caller: Caller
) -> Committed[AccountView]:
    """Set the most that an account can hold. For game masters."""
    command = LimitAccount(owner_id=owner_id, currency=currency, max_balance=body.max_balance)
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.get(
    "/worlds/{world_id}/ledger/accounts/{owner_id}/{currency}/statement",
    responses=refusals(ACCOUNT_IS_PRIVATE, CURSOR_INVALID, PAGE_TOO_LARGE),
)
async def read_statement(
    world_id: UUID, owner_id: Owner, currency: CurrencyCode, caller: Caller, paging: Paging
) -> Page[StatementLine]:
    """The transfers of an account, newest first. For game masters, and for who controls the owner."""
    after = position_of(paging, _number)
    async with _reading(caller, world_id, [owner_id]) as (connection, mine):
        rows = await views.statement(
            connection, world_id, owner_id, currency,
            before=after[0] if after else None, limit=paging.limit + 1, for_masters=mine is None,
        )  # fmt: skip
    return page_of(rows, paging, lambda line: [line.number])


# -- transfers -----------------------------------------------------------------------------------------------


@router.post("/worlds/{world_id}/ledger/transfers", status_code=201, responses=refusals(Transfer))
async def make_transfer(world_id: UUID, body: Transfer, caller: Caller) -> Committed[TransferView]:
    """Move a sum from one account to another. For game masters."""
    return await caller.execute(body, world_id, status=201)  # type: ignore[no-any-return]


@router.post(
    "/worlds/{world_id}/ledger/transfers/linked", status_code=201, responses=refusals(TransferLinked)
)
async def make_linked_transfers(
    world_id: UUID, body: TransferLinked, caller: Caller
) -> Committed[LinkedView]:
    """Move several sums, all or none. For game masters."""
    return await caller.execute(body, world_id, status=201)  # type: ignore[no-any-return]


@router.get(
    "/worlds/{world_id}/ledger/transfers/{transfer_id}",
    responses=refusals(TRANSFER_NOT_FOUND, ACCOUNT_IS_PRIVATE),
)
async def get_transfer(world_id: UUID, transfer_id: UUID, caller: Caller) -> TransferDetail:
    """One transfer, and which one has taken it back. For game masters, and for who controls one of its owners; these
    are not shown what the other side has."""
    async with _looking(caller, world_id) as (connection, mine):
        found = await views.transfer(connection, world_id, transfer_id)
        _see(mine, found[0].owners if found else [])
    if found is None:
        raise TRANSFER_NOT_FOUND(transfer_id=str(transfer_id))
    return views.transfer_detail(*found, mine)


@router.post(
    "/worlds/{world_id}/ledger/transfers/{transfer_id}/reverse",
    status_code=201,
    responses=refusals(ReverseTransfer),
)
async def reverse_transfer(
    world_id: UUID, transfer_id: UUID, body: ReverseBody, caller: Caller
) -> Committed[TransferView]:
    """Take a transfer back with another one. For game masters."""
    command = ReverseTransfer(transfer_id=transfer_id, reason=body.reason)
    return await caller.execute(command, world_id, status=201)  # type: ignore[no-any-return]


# -- holds ---------------------------------------------------------------------------------------------------


@router.post("/worlds/{world_id}/ledger/holds", status_code=201, responses=refusals(Hold))
async def make_hold(world_id: UUID, body: Hold, caller: Caller) -> Committed[HoldView]:
    """Reserve a sum. For game masters."""
    return await caller.execute(body, world_id, status=201)  # type: ignore[no-any-return]


@router.get(
    "/worlds/{world_id}/ledger/holds",
    responses=refusals(ACCOUNT_IS_PRIVATE, CURSOR_INVALID, PAGE_TOO_LARGE),
)
async def list_holds(
    world_id: UUID,
    caller: Caller,
    paging: Paging,
    *,
    owner_id: Annotated[UUID | None, Query(description="Only those from or to this owner.")] = None,
    currency: Annotated[Code | None, Query(description="Only those of this currency.")] = None,
    state: Annotated[
        Literal["open", "posted", "released", "expired"] | None,
        Query(description="Only those in this state."),
    ] = None,
) -> Page[HoldView]:
    """What is or was reserved, newest first. For game masters; for others those of an owner whom they control, without
    what waits at the mint."""
    after = position_of(paging, UUID)
    async with _reading(caller, world_id, [] if owner_id is None else [owner_id]) as (connection, mine):
        rows = await views.holds(
            connection, world_id, owner_id=owner_id, currency=currency, state=state,
            before=after[0] if after else None, limit=paging.limit + 1, for_masters=mine is None,
        )  # fmt: skip
    return page_of(rows, paging, lambda hold: [str(hold.id)])


@router.get(
    "/worlds/{world_id}/ledger/holds/{hold_id}", responses=refusals(HOLD_NOT_FOUND, ACCOUNT_IS_PRIVATE)
)
async def get_hold(world_id: UUID, hold_id: UUID, caller: Caller) -> HoldView:
    """One hold. For game masters, and for who controls one of its owners; what waits at the mint only for the first."""
    async with _looking(caller, world_id) as (connection, mine):
        found = await views.hold(connection, world_id, hold_id)
        _see(mine, found.owners if found and found.debit != MINT else [])
    if found is None:
        raise HOLD_NOT_FOUND(hold_id=str(hold_id))
    return views.hold_view(found)


@router.post("/worlds/{world_id}/ledger/holds/{hold_id}/post", responses=refusals(PostHold))
async def post_hold(world_id: UUID, hold_id: UUID, body: PostBody, caller: Caller) -> Committed[PostedView]:
    """Move what a hold reserves, or a part of it; the rest is released. For game masters."""
    return await caller.execute(PostHold(hold_id=hold_id, amount=body.amount), world_id)  # type: ignore[no-any-return]


@router.post("/worlds/{world_id}/ledger/holds/{hold_id}/release", responses=refusals(ReleaseHold))
async def release_hold(
    world_id: UUID, hold_id: UUID, body: ReleaseBody, caller: Caller
) -> Committed[HoldView]:
    """Give back what a hold reserves. For game masters."""
    return await caller.execute(ReleaseHold(hold_id=hold_id, reason=body.reason), world_id)  # type: ignore[no-any-return]


# -- integrity -----------------------------------------------------------------------------------------------


@router.get("/worlds/{world_id}/ledger/integrity", responses=refusals())
async def check_integrity(world_id: UUID, caller: Caller) -> IntegrityReport:
    """Whether every balance equals its transfers and all sums are zero, at one moment. For game masters."""
    async with caller.reading(world_id, Role.GAME_MASTER):
        pass
    async with caller.runtime.database.reading(snapshot=True) as connection:
        return await views.integrity(connection, world_id)


# -- helpers -------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _looking(caller: CallerInfo, world_id: UUID) -> AsyncIterator[tuple[Any, frozenset[UUID] | None]]:
    """A reading connection, and for whom the caller stands; None for those who see everything."""
    user_id = caller.signed_in()
    async with caller.runtime.database.reading() as connection:
        role = caller.require(await connection.fetchval(MEMBER_ROLE, world_id, user_id), world_id)
        wanted = await reader_filter(connection, caller.runtime, world_id, user_id, role)
        yield connection, wanted.principals


@asynccontextmanager
async def _reading(
    caller: CallerInfo, world_id: UUID, owners: Iterable[UUID]
) -> AsyncIterator[tuple[Any, frozenset[UUID] | None]]:
    """As `_looking`, if the caller may look into the accounts of one of these owners."""
    async with _looking(caller, world_id) as (connection, mine):
        _see(mine, owners)
        yield connection, mine


def _see(mine: frozenset[UUID] | None, owners: Iterable[UUID]) -> None:
    """Refuses `account_is_private` to who stands for none of the owners, also if there is nothing to see."""
    if mine is not None and mine.isdisjoint(owners):
        raise ACCOUNT_IS_PRIVATE()


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise TypeError("not a number of a line")
    return value
