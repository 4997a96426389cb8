"""How the ledger stands in a pack: `currencies.yaml`, and what each character has.

Balances come in again as transfers from the mint, of the kind `opening`. Open holds do not: what they reserve is
part of the balance.
"""

import re
from collections.abc import Sequence
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from fablewright.core.messages import Command
from fablewright.core.pack import Form, Ids, Item, PackAddition, PackModel, PackSection, Snapshot, chunks
from fablewright.systems.ledger.book import MINT
from fablewright.systems.ledger.commands import (
    MOST_LINKED,
    Amount,
    Code,
    DefineCurrency,
    Limit,
    OpenAccount,
    TransferFields,
    TransferLinked,
)
from fablewright.systems.ledger.rules import POINTS

OPENING: Final = "opening"
"""The kind of the transfers that bring in what a pack says that characters have."""


class CurrencyEntry(PackModel):
    """Something the world counts in whole numbers; its key is its code."""

    name: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=r"^[^\x00]*$")
    ]
    description: Annotated[str, StringConstraints(max_length=1000, pattern=r"^[^\x00]*$")] = ""
    max_balance: Amount | None = Field(None, description="The most that an account can hold.")


class BalanceFields(PackModel):
    """What a character has, and can have at most, by currency."""

    balances: dict[Code, Amount] = Field({}, description="Such as `gold: 12`.")
    balance_limits: dict[Code, Limit] = Field({}, description="Where it differs from that of the currency.")


def currency_commands(items: Sequence[Item], ids: Ids) -> list[Command]:
    """The currencies."""
    made: list[Command] = []
    for item in items:
        if re.fullmatch(r"[a-z][a-z0-9_]{0,29}", item.key):
            made.append(DefineCurrency(code=item.key, **item.value.model_dump()))
        else:
            ids.mistake(item, "", "a currency's key is its code: small letters, digits and _, 30 at most")
    return made


def balance_commands(items: Sequence[Item], ids: Ids) -> list[Command]:
    """Accounts with limits of their own, then what everybody has."""
    limited: list[Command] = []
    openings: list[TransferFields] = []
    for item in items:
        owner = ids.of("characters", item.key)
        for field, values in (
            ("balances", item.value.balances),
            ("balance_limits", item.value.balance_limits),
        ):
            for code in values:
                if not _is_known(code, ids):
                    ids.mistake(item, f"{field}.{code}", "currencies.yaml has no such currency: add it there")
        limits = item.value.balance_limits
        for code, most in limits.items():
            limited.append(OpenAccount(owner_id=owner, currency=code, max_balance=most))
        for code, amount in item.value.balances.items():
            if amount > limits.get(code, amount):
                ids.mistake(item, f"balances.{code}", f"it can have {limits[code]} at most")
            openings.append(
                TransferFields(debit=MINT, credit=owner, currency=code, amount=amount, kind=OPENING)
            )
    grouped = chunks(openings, MOST_LINKED)
    return [*limited, *(TransferLinked(transfers=group, open_accounts=True) for group in grouped)]


def _is_known(code: str, ids: Ids) -> bool:
    try:
        ids.of("currencies", code)
    except ValueError:
        return code == POINTS
    return True


async def read_currencies(snapshot: Snapshot) -> list[Item]:
    """The currencies by code."""
    rows = await snapshot.connection.fetch(
        "SELECT code, name, description, max_balance FROM currencies WHERE world_id = $1 ORDER BY code",
        snapshot.world_id,
    )
    return [
        Item(
            r["code"],
            CurrencyEntry(name=r["name"], description=r["description"], max_balance=r["max_balance"]),
        )
        for r in rows
    ]


async def read_balances(snapshot: Snapshot) -> list[Item]:
    """What the characters of the pack have. A balance beyond its limit raises that limit in the pack."""
    keys = snapshot.keys
    rows = await snapshot.connection.fetch(
        "SELECT a.owner_id, a.currency, a.balance, a.max_balance, c.max_balance AS most FROM ledger_accounts a "
        "LEFT JOIN currencies c ON c.world_id = a.world_id AND c.code = a.currency "
        "WHERE a.world_id = $1 ORDER BY a.owner_id, a.currency",
        snapshot.world_id,
    )
    found: dict[str, BalanceFields] = {}
    for row in rows:
        if not keys.has("characters", row["owner_id"]):
            continue
        fields = found.setdefault(keys.of("characters", row["owner_id"]), BalanceFields())
        if row["balance"]:
            fields.balances[row["currency"]] = row["balance"]
        own, most = row["max_balance"], row["most"]
        if own is not None or (most is not None and row["balance"] > most):
            fields.balance_limits[row["currency"]] = max(row["balance"], own or 0)
    return [Item(key, fields) for key, fields in found.items() if fields != BalanceFields()]


PACK: Final = (
    PackSection(
        "currencies", ("currencies.yaml",), Form.KEYED, CurrencyEntry, currency_commands, read_currencies,
        top="currencies",
    ),
    PackAddition("characters", BalanceFields, balance_commands, read_balances),
)  # fmt: skip
