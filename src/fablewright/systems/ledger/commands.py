"""What may be asked of the ledger, and by whom: game masters, and the systems that act for them."""

from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)

from fablewright.core.actors import Role, at_least
from fablewright.core.messages import Command
from fablewright.systems.ledger.book import MINT, SINK
from fablewright.systems.ledger.rules import (
    ACCOUNT_EXISTS,
    ACCOUNT_NOT_FOUND,
    ALREADY_REVERSED,
    AMOUNT_TOO_LARGE,
    BALANCE_LIMIT,
    CURRENCY_NOT_FOUND,
    EXPIRES_IN_THE_PAST,
    HOLD_NOT_FOUND,
    HOLD_NOT_OPEN,
    INSUFFICIENT_FUNDS,
    KEPT_BY_ANOTHER_SYSTEM,
    MOST_AMOUNT,
    REFERENCE_REUSED,
    SAME_ACCOUNT,
    TOO_MANY_CURRENCIES,
    TRANSFER_NOT_FOUND,
    WORLD_ACCOUNT,
)

MOST_LINKED: Final = 100
"""Transfers in one `TransferLinked`."""

Code = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,29}$")]
"""What a currency is called in requests: `points`, `gold`."""
Amount = Annotated[int, Field(ge=1, le=MOST_AMOUNT)]
Limit = Annotated[int, Field(ge=0, le=MOST_AMOUNT)]


def _from_word(value: Any) -> Any:
    return WORDS.get(value, value) if isinstance(value, str) else value


def _to_word(owner_id: UUID) -> str:
    return "mint" if owner_id == MINT else "sink" if owner_id == SINK else str(owner_id)


WORDS: Final = {"mint": MINT, "sink": SINK}
Side = Annotated[
    UUID,
    BeforeValidator(_from_word),
    PlainSerializer(_to_word, when_used="json"),
    WithJsonSchema({"anyOf": [{"type": "string", "enum": [*WORDS]}, {"type": "string", "format": "uuid"}]}),
]
"""Whose account: that of an owner (a character, a faction, …), or one of the world's own, written `mint` and `sink`."""
Kind = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,49}$")]
"""What a transfer or hold is. Kinds with a dot, such as `points.award`, are those that another system keeps."""
Reason = Annotated[str, StringConstraints(strip_whitespace=True, max_length=300, pattern=r"^[^\x00]*$")]
WhyRequired = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300, pattern=r"^[^\x00]*$")
]
Reference = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
WorldMs = Annotated[int, Field(gt=-(2**52), lt=2**52)]

ONE: Final = "01890a5d-ac96-774b-bcce-b302099a8057"
TWO: Final = "01890a5d-ac96-774b-bcce-b302099a8058"


def _example(**fields: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [fields]})


class CurrencyFields(BaseModel):
    """What a currency is like."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [{"name": "Gold", "description": "Coins of the realm.", "max_balance": 100_000}]
        },
    )

    name: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=r"^[^\x00]*$")
    ]
    description: Annotated[str, StringConstraints(max_length=1000, pattern=r"^[^\x00]*$")] = ""
    max_balance: Amount | None = Field(
        None, description="The most that an account without a limit of its own can hold; null for no limit."
    )


class DefineCurrency(CurrencyFields, Command):
    """Let the world count something in whole numbers, or change how it is called and limited."""

    model_config = _example(code="gold", name="Gold", description="Coins of the realm.", max_balance=100_000)
    message_type = "ledger.define_currency"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (TOO_MANY_CURRENCIES,)

    code: Code


class OpenAccount(Command):
    """Give an owner an account of a currency, empty."""

    model_config = _example(owner_id=ONE, currency="gold")
    message_type = "ledger.open_account"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (CURRENCY_NOT_FOUND, ACCOUNT_EXISTS, WORLD_ACCOUNT)

    owner_id: UUID
    currency: Code
    max_balance: Limit | None = Field(
        None, description="The most it can hold; null for the currency's limit."
    )


class LimitAccount(Command):
    """Set the most that an account can hold. What it has beyond that it keeps."""

    model_config = _example(owner_id=ONE, currency="gold", max_balance=500)
    message_type = "ledger.limit_account"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (CURRENCY_NOT_FOUND, ACCOUNT_NOT_FOUND, WORLD_ACCOUNT)

    owner_id: UUID
    currency: Code
    max_balance: Limit | None = Field(description="Null for the currency's limit.")


class TransferFields(BaseModel):
    """A sum, from where to where, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    debit: Side = Field(description="Whose account it is taken from: an owner's id, `mint` or `sink`.")
    credit: Side = Field(description="Whose account it is added to: an owner's id, `mint` or `sink`.")
    currency: Code
    amount: Amount
    kind: Kind = Field("transfer", description="Any word, such as `gift`, `fee`, `wages`.")
    reason: Reason = ""
    reference: Reference | None = Field(
        None,
        description="Sent again with the same terms, it finds the earlier one instead of making another.",
    )


class Transfer(TransferFields, Command):
    """Move a sum from one account to another. It stands for good: a mistake is reversed by another transfer."""

    model_config = _example(
        debit="mint", credit=ONE, currency="points", amount=25, kind="grant", reason="Welcome."
    )
    message_type = "ledger.transfer"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (
        CURRENCY_NOT_FOUND, ACCOUNT_NOT_FOUND, SAME_ACCOUNT, INSUFFICIENT_FUNDS, BALANCE_LIMIT, REFERENCE_REUSED,
    )  # fmt: skip

    open_accounts: bool = Field(False, description="Open the accounts that are missing, rather than refuse.")


class TransferLinked(Command):
    """Move several sums, in this order, all or none."""

    model_config = _example(
        transfers=[
            {"debit": ONE, "credit": TWO, "currency": "points", "amount": 5, "reason": "The blue vase."},
            {"debit": TWO, "credit": "sink", "currency": "points", "amount": 1, "kind": "fee"},
        ]
    )
    message_type = "ledger.transfer_linked"
    allowed = at_least(Role.GAME_MASTER)
    refusals = Transfer.refusals

    transfers: list[TransferFields] = Field(min_length=1, max_length=MOST_LINKED)
    open_accounts: bool = Field(False, description="Open the accounts that are missing, rather than refuse.")


class Hold(TransferFields, Command):
    """Reserve a sum on the account of `debit`, to be posted to `credit` in whole or in part, or released."""

    model_config = _example(
        debit=ONE, credit="sink", currency="points", amount=5, kind="bid", reason="The blue vase."
    )
    message_type = "ledger.hold"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (
        CURRENCY_NOT_FOUND, ACCOUNT_NOT_FOUND, SAME_ACCOUNT, INSUFFICIENT_FUNDS, REFERENCE_REUSED, EXPIRES_IN_THE_PAST,
    )  # fmt: skip

    expires_at: WorldMs | None = Field(
        None,
        description="World time (ms) at which it is released by itself; null: it waits until it is closed.",
    )


class PostHold(Command):
    """Move what a hold reserves, or a part of it; the rest is released."""

    model_config = _example(hold_id=ONE, amount=3)
    message_type = "ledger.post_hold"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (HOLD_NOT_FOUND, KEPT_BY_ANOTHER_SYSTEM, HOLD_NOT_OPEN, AMOUNT_TOO_LARGE, BALANCE_LIMIT)

    hold_id: UUID
    amount: Amount | None = Field(None, description="How much of it; null for all.")


class ReleaseHold(Command):
    """Give back what a hold reserves."""

    model_config = _example(hold_id=ONE, reason="Outbid.")
    message_type = "ledger.release_hold"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (HOLD_NOT_FOUND, KEPT_BY_ANOTHER_SYSTEM, HOLD_NOT_OPEN)

    hold_id: UUID
    reason: Reason = ""


class ReverseTransfer(Command):
    """Take a transfer back with another one that names it."""

    model_config = _example(transfer_id=ONE, reason="Granted twice.")
    message_type = "ledger.reverse_transfer"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (
        TRANSFER_NOT_FOUND, KEPT_BY_ANOTHER_SYSTEM, ALREADY_REVERSED, INSUFFICIENT_FUNDS, BALANCE_LIMIT,
    )  # fmt: skip

    transfer_id: UUID
    reason: WhyRequired
