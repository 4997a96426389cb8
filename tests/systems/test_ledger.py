"""Accounts, transfers and holds against the real database."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from fablewright.core.actors import system_actor
from fablewright.core.clock import MINUTE
from fablewright.core.dice import random_uuid
from fablewright.core.engine import Scope
from fablewright.core.messages import Command
from fablewright.core.refusal import Refused
from fablewright.core.timers import FireTimers
from fablewright.core.transaction import Request, Transaction
from fablewright.systems.ledger import service, views
from fablewright.systems.ledger.book import MINT, SINK, Currency
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
from fablewright.systems.ledger.views import IntegrityReport
from fablewright.systems.worlds.commands import AdvanceWorld, DeleteWorld
from tests.support import Person, Server, until

ADA, BEN, CYN = (UUID(int=n) for n in range(101, 104))
GOLD = "gold"


def grant(owner: UUID, amount: int, **fields: Any) -> Transfer:
    return Transfer(
        **{"debit": "mint", "credit": owner, "currency": GOLD, "amount": amount, "kind": "grant", **fields}
    )


def gift(debit: Any, credit: Any, amount: int, **fields: Any) -> Transfer:
    return Transfer(
        **{"debit": debit, "credit": credit, "currency": GOLD, "amount": amount, "kind": "gift", **fields}
    )


class Bank:
    """A world with gold: Ada has 100, Ben 5, Cyn no account. Its clock stands still."""

    def __init__(self, server: Server):
        self.server = server

    async def open(self) -> "Bank":
        self.owner = await self.server.person()
        self.world_id = await self.server.world(self.owner)
        await self.do(DefineCurrency(code=GOLD, name="Gold"))
        await self.do(grant(ADA, 100, open_accounts=True))
        await self.do(grant(BEN, 5, open_accounts=True))
        return self

    async def do(self, command: Command | list[Command], who: Person | None = None, **options: Any) -> Any:
        actor = (who or self.owner).actor
        return (await self.server.runtime.engine.execute(command, actor, self.world_id, **options)).result

    async def refused(self, code: str, command: Command | list[Command]) -> Refused:
        with pytest.raises(Refused) as error:
            await self.do(command)
        assert error.value.code == code
        return error.value

    async def together(self, commands: list[Command]) -> list[Any]:
        """What each of many commands at once is answered, or refused."""
        return await asyncio.gather(*(self.do(command) for command in commands), return_exceptions=True)

    async def fetch(self, sql: str, *args: Any) -> list[Any]:
        return await self.server.fetch(sql, self.world_id, *args)

    async def has(self, currency: str = GOLD) -> dict[UUID, tuple[int, int]]:
        """Balance and held sum of every owner."""
        rows = await self.fetch(
            "SELECT owner_id, balance, held FROM ledger_accounts WHERE world_id = $1 AND currency = $2 ORDER BY 1",
            currency,
        )
        return {row["owner_id"]: (row["balance"], row["held"]) for row in rows}

    async def count(self, table: str) -> int:
        return int((await self.fetch(f"SELECT count(*) AS n FROM {table} WHERE world_id = $1"))[0]["n"])

    async def events(self, pattern: str = "ledger.%") -> list[Any]:
        rows = await self.fetch(
            "SELECT id, type, about, audience, data::text AS data FROM events "
            "WHERE world_id = $1 AND type LIKE $2 ORDER BY seq",
            pattern,
        )
        return [{**dict(row), "data": orjson.loads(row["data"])} for row in rows]

    async def inside(self, work: Callable[[Transaction], Coroutine[Any, Any, Any]]) -> Any:
        """What a function of the service answers inside a transaction."""
        asked = FireTimers(kind=service.HOLD_EXPIRES, due_at=0)
        request = Request(asked, system_actor("test"), random_uuid(), random_uuid())
        return (await self.server.runtime.engine.transact(Scope(self.world_id), request, work))[0]

    async def report(self) -> IntegrityReport:
        async with self.server.runtime.database.reading(snapshot=True) as connection:
            return await views.integrity(connection, self.world_id)

    async def true(self) -> None:
        """Nothing is wrong, by the report and by the doctor."""
        report = await self.report()
        assert report.faults == []
        assert all(currency.sum == 0 for currency in report.currencies)
        assert [f for f in await self.server.findings() if str(self.world_id) in f] == []


@pytest.fixture
async def bank(server: Server) -> Bank:
    return await Bank(server).open()


# -- transfers -----------------------------------------------------------------------------------------------


async def test_a_transfer_is_kept_told_and_answered(bank: Bank) -> None:
    made = await bank.do(gift(ADA, BEN, 30, reason="thanks", reference="r-1"))
    assert (made.debit_after, made.credit_after, made.replayed) == (70, 35, False)
    assert await bank.has() == {ADA: (70, 0), BEN: (35, 0)}
    [row] = await bank.fetch("SELECT * FROM ledger_transfers WHERE world_id = $1 AND kind = 'gift'")
    told = (await bank.events("ledger.transferred"))[-1]
    assert (row["id"], row["event_id"]) == (made.id, told["id"])
    assert (row["debit"], row["credit"], row["amount"], row["reason"], row["reference"], row["at"]) == (
        ADA, BEN, 30, "thanks", "r-1", 0,
    )  # fmt: skip
    assert set(told["about"]) == set(told["audience"]) == {ADA, BEN}
    assert told["data"]["transfers"][0] == {
        "transfer_id": str(made.id),
        "currency": GOLD,
        "debit": str(ADA),
        "credit": str(BEN),
        "amount": 30,
        "kind": "gift",
        "reason": "thanks",
        "reference": "r-1",
    }  # fmt: skip  without what the two have now: one does not learn the other's balance
    await bank.true()


@pytest.mark.parametrize(
    "reason",
    ['He said: "no"', "a\\b", "{x,y}", "NULL", "two\nlines\tand a tab", "Grüße – größer", "\x01\u2028x"],
)
async def test_any_reason_is_kept_as_it_was_given(bank: Bank, reason: str) -> None:
    made = await bank.do(gift(ADA, BEN, 1, reason=reason, reference=f"r {reason}"))
    [row] = await bank.fetch(
        "SELECT reason, reference FROM ledger_transfers WHERE world_id = $1 AND id = $2", made.id
    )
    assert (row["reason"], row["reference"]) == (reason, f"r {reason}")
    assert (await bank.do(gift(ADA, BEN, 1, reference=f"r {reason}"))).replayed


async def test_refusals_are_named_and_change_nothing(bank: Bank) -> None:
    events = len(await bank.events())
    refused = await bank.refused("insufficient_funds", gift(BEN, ADA, 6))
    assert (refused.facts["available"], refused.facts["needed"]) == (5, 6)
    await bank.refused("account_not_found", gift(ADA, CYN, 1))
    await bank.refused("same_account", gift("mint", "mint", 1))
    await bank.refused("currency_not_found", gift(ADA, BEN, 1, currency="silver"))
    await bank.refused("insufficient_funds", gift(CYN, ADA, 1, open_accounts=True))
    assert await bank.has() == {ADA: (100, 0), BEN: (5, 0)}
    assert len(await bank.events()) == events
    await bank.true()


async def test_every_world_counts_points(bank: Bank) -> None:
    await bank.do(grant(ADA, 3, currency="points", open_accounts=True))
    assert await bank.has("points") == {ADA: (3, 0)}
    await bank.do(DefineCurrency(code="points", name="Glory", max_balance=5))
    refused = await bank.refused("balance_limit", grant(ADA, 3, currency="points"))
    assert refused.facts["max_balance"] == 5
    found = await bank.inside(service.currencies)
    assert found["points"] == Currency("points", "Glory", 5)


async def test_a_currency_changed_meanwhile_binds_everybody(bank: Bank) -> None:
    """What another node keeps of the currencies is never older than the commit it decides on."""
    await bank.do(grant(ADA, 1))
    await bank.do(DefineCurrency(code=GOLD, name="Gold", max_balance=101))
    await bank.refused("balance_limit", grant(ADA, 1))


async def test_many_at_once_move_every_sum_once(bank: Bank) -> None:
    asked: list[Command] = [*(gift(ADA, BEN, 1) for _ in range(60)), *(gift(BEN, ADA, 2) for _ in range(60))]
    answers = await bank.together(asked + [grant(CYN, 1, open_accounts=True) for _ in range(40)])
    done = [a for a in answers if not isinstance(a, BaseException)]
    assert all(isinstance(a, Refused) and a.code == "insufficient_funds" for a in answers if a not in done)
    ada = 100 - sum(a.debit == ADA for a in done) + 2 * sum(a.credit == ADA for a in done)
    assert await bank.has() == {ADA: (ada, 0), BEN: (105 - ada, 0), CYN: (40, 0)}
    await bank.true()


async def test_the_last_coin_is_spent_once(bank: Bank) -> None:
    answers = await bank.together([gift(BEN, "sink", 5) for _ in range(10)])
    assert sum(not isinstance(a, BaseException) for a in answers) == 1
    assert (await bank.has())[BEN] == (0, 0)
    await bank.true()


async def test_an_account_is_made_once_by_many(bank: Bank) -> None:
    """From two command types, so that they are not in one batch."""
    linked = TransferLinked(
        transfers=[TransferFields(debit=MINT, credit=CYN, currency=GOLD, amount=1)], open_accounts=True
    )
    answers = await bank.together([linked, grant(CYN, 1, open_accounts=True)] * 5)
    assert [a for a in answers if isinstance(a, BaseException)] == []
    assert (await bank.has())[CYN] == (10, 0)
    await bank.true()


async def test_ids_do_not_depend_on_batch_neighbours(bank: Bank) -> None:
    keys = [f"k{n}" for n in range(5)]
    made = await asyncio.gather(*(bank.do(gift(ADA, BEN, 1), key=key) for key in keys))
    assert len({t.id for t in made}) == 5
    execute = bank.server.runtime.engine.execute
    again = [await execute(gift(ADA, BEN, 1), bank.owner.actor, bank.world_id, key=key) for key in keys]
    assert [str(t.id) for t in made] == [orjson.loads(a.body)["result"]["id"] for a in again]
    assert (await bank.has())[BEN] == (10, 0)


async def test_a_key_whose_receipt_is_gone_names_another_transfer(bank: Bank) -> None:
    first = await bank.do(gift(ADA, BEN, 1), key="k")
    await bank.inside(
        lambda tx: tx.execute("DELETE FROM receipts WHERE world_id = $1 AND key = 'k'", tx.world_id)
    )
    second = await bank.do(gift(ADA, BEN, 1), key="k")
    assert second.id != first.id
    assert (await bank.has())[BEN] == (7, 0)
    await bank.true()


# -- references ----------------------------------------------------------------------------------------------


async def test_a_reference_is_used_once(bank: Bank) -> None:
    first = await bank.do(gift(ADA, BEN, 30, reference="r-1"))
    events = len(await bank.events())
    again = await bank.do(gift(ADA, BEN, 30, reference="r-1"))
    assert (again.id, again.event_id, again.replayed) == (first.id, first.event_id, True)
    assert len(await bank.events()) == events
    refused = await bank.refused("reference_reused", gift(ADA, BEN, 31, reference="r-1"))
    assert refused.facts["transfer_id"] == str(first.id)
    await bank.refused(
        "reference_reused", Hold(debit=ADA, credit=BEN, currency=GOLD, amount=30, reference="r-1")
    )
    assert await bank.has() == {ADA: (70, 0), BEN: (35, 0)}
    await bank.true()


async def test_a_repeat_in_the_same_batch_names_the_event(bank: Bank) -> None:
    command = gift(ADA, BEN, 30, reference="r-1")

    async def work(tx: Transaction) -> Any:
        requests = [Request(command, bank.owner.actor, random_uuid(), random_uuid()) for _ in range(2)]
        return await service.transfer(tx, requests)

    first, again = await bank.inside(work)
    assert (again.id, again.replayed) == (first.id, True)
    assert again.event_id == first.event_id is not None
    [row] = await bank.fetch(
        "SELECT event_id FROM ledger_transfers WHERE world_id = $1 AND reference = 'r-1'"
    )
    assert row["event_id"] == first.event_id


async def test_a_hold_whose_reference_a_transfer_got_at_the_same_time_is_posted(bank: Bank) -> None:
    """They concern other accounts, so that neither waits for the other, nor sees it."""
    opened = [asyncio.Event(), asyncio.Event()]

    def work(turn: int, plan: Callable[[Any], Any], owner: UUID) -> Callable[[Transaction], Any]:
        async def run(tx: Transaction) -> Any:
            book = await service.open_book(tx, [(owner, GOLD)], references=["r"])
            opened[turn].set()
            await opened[1 - turn].wait()
            made = plan(book)
            book.told(made, random_uuid())
            await service.write(tx, book)
            return made.id

        return run

    terms: dict[str, Any] = {"kind": "fee", "reason": "", "reference": "r"}
    hold_id, transfer_id = await asyncio.gather(
        bank.inside(work(0, lambda book: book.hold(ADA, SINK, GOLD, 10, **terms), ADA)),
        bank.inside(work(1, lambda book: book.transfer(BEN, SINK, GOLD, 5, **terms), BEN)),
    )
    posted = await bank.do(PostHold(hold_id=hold_id))
    assert (posted.transfer.amount, posted.transfer.hold_id, posted.transfer.reference) == (10, hold_id, None)
    assert posted.transfer.id != transfer_id
    assert await bank.has() == {ADA: (90, 0), BEN: (0, 0)}
    assert (await bank.report()).faults == []


async def test_a_reference_is_used_once_by_many(bank: Bank) -> None:
    linked = TransferLinked(
        transfers=[TransferFields(debit=ADA, credit=BEN, currency=GOLD, amount=1, kind="gift", reference="r")]
    )
    answers = await bank.together([gift(ADA, BEN, 1, reference="r"), linked] * 6)
    assert [a for a in answers if isinstance(a, BaseException)] == []
    assert await bank.has() == {ADA: (99, 0), BEN: (6, 0)}
    assert await bank.count("ledger_transfers") == 3
    await bank.true()


# -- linked --------------------------------------------------------------------------------------------------


async def test_linked_transfers_are_made_all_or_none(bank: Bank) -> None:
    parts = [
        TransferFields(debit=ADA, credit=CYN, currency=GOLD, amount=40),
        TransferFields(debit=CYN, credit=BEN, currency=GOLD, amount=39),
        TransferFields(debit=CYN, credit=SINK, currency=GOLD, amount=1, kind="fee"),
    ]
    made = await bank.do(TransferLinked(transfers=parts, open_accounts=True))
    assert [t.debit_after for t in made.transfers] == [60, 1, 0]
    assert len({t.event_id for t in made.transfers}) == 1
    assert await bank.has() == {ADA: (60, 0), BEN: (44, 0), CYN: (0, 0)}
    told = (await bank.events("ledger.transferred"))[-1]
    assert (len(told["data"]["transfers"]), set(told["audience"])) == (3, {ADA, BEN, CYN})
    rows = await bank.fetch(
        "SELECT amount FROM ledger_transfers WHERE world_id = $1 ORDER BY number DESC LIMIT 3"
    )
    assert [row["amount"] for row in rows] == [1, 39, 40]

    await bank.refused("insufficient_funds", TransferLinked(transfers=[*parts[:1], *parts[:1]]))
    assert await bank.has() == {ADA: (60, 0), BEN: (44, 0), CYN: (0, 0)}
    await bank.true()


async def test_linked_transfers_that_were_made_before_are_not_made_again(bank: Bank) -> None:
    parts = [
        TransferFields(debit=ADA, credit=BEN, currency=GOLD, amount=n, reference=f"r-{n}") for n in (1, 2)
    ]
    first = await bank.do(TransferLinked(transfers=parts[:1]))
    both = await bank.do(TransferLinked(transfers=parts))
    assert [t.replayed for t in both.transfers] == [True, False]
    assert both.transfers[0].event_id == first.transfers[0].event_id
    events = len(await bank.events())
    assert all(t.replayed for t in (await bank.do(TransferLinked(transfers=parts))).transfers)
    assert (len(await bank.events()), (await bank.has())[BEN]) == (events, (8, 0))


async def test_a_hundred_with_the_longest_texts_are_told_by_several_events(bank: Bank) -> None:
    """Each text is as long in the log as it can be: a control character is written with six."""
    parts = [
        TransferFields(
            debit=ADA, credit=BEN, currency=GOLD, amount=1, kind="k" * 50, reason="x" + "\x01" * 298 + "x",
            reference=f"{n:03}" + "\x01" * 197,
        )
        for n in range(100)
    ]  # fmt: skip
    made = (await bank.do(TransferLinked(transfers=parts))).transfers
    told = (await bank.events("ledger.transferred"))[2:]
    assert [t["transfer_id"] for e in told for t in e["data"]["transfers"]] == [str(t.id) for t in made]
    by_transfer = {t["transfer_id"]: e["id"] for e in told for t in e["data"]["transfers"]}
    assert {str(t.id): t.event_id for t in made} == by_transfer
    rows = await bank.fetch(
        "SELECT id::text AS id, event_id FROM ledger_transfers WHERE world_id = $1 AND reference IS NOT NULL"
    )
    assert {row["id"]: row["event_id"] for row in rows} == by_transfer
    commands = await bank.fetch(
        "SELECT command IS NULL AS bare FROM events WHERE world_id = $1 AND type = 'ledger.transferred' ORDER BY seq"
    )
    assert [row["bare"] for row in commands[2:]] == [False] + [True] * (len(told) - 1)
    assert await bank.has() == {ADA: (0, 0), BEN: (105, 0)}
    await bank.true()


# -- reversals -----------------------------------------------------------------------------------------------


async def test_a_transfer_is_reversed_once(bank: Bank) -> None:
    made = await bank.do(gift(ADA, BEN, 30, reference="r-1"))
    answers = await bank.together([ReverseTransfer(transfer_id=made.id, reason="twice")] * 4)
    [back] = [a for a in answers if not isinstance(a, BaseException)]
    assert {a.code for a in answers if isinstance(a, Refused)} == {"already_reversed"}
    assert (back.reverses, back.debit, back.credit, back.kind) == (made.id, BEN, ADA, "reversal")
    assert await bank.has() == {ADA: (100, 0), BEN: (5, 0)}
    [told] = await bank.events("ledger.reversed")
    assert (told["data"]["reverses"], told["data"]["reason"], told["id"]) == (
        str(made.id),
        "twice",
        back.event_id,
    )
    assert set(told["about"]) == {ADA, BEN}
    await bank.refused("transfer_not_found", ReverseTransfer(transfer_id=ADA, reason="x"))
    spent = await bank.do(grant(BEN, 10))
    await bank.do(gift(BEN, "sink", 6))
    await bank.refused("insufficient_funds", ReverseTransfer(transfer_id=spent.id, reason="x"))
    await bank.do(ReverseTransfer(transfer_id=back.id, reason="It was right after all."))
    assert (await bank.has())[ADA] == (70, 0)
    await bank.true()


@pytest.mark.parametrize("sql", ["UPDATE ledger_transfers SET amount = 1", "DELETE FROM ledger_transfers"])
async def test_the_database_changes_no_transfer(bank: Bank, sql: str) -> None:
    with pytest.raises(asyncpg.RaiseError, match="never changed"):
        await bank.inside(lambda tx: tx.execute(f"{sql} WHERE world_id = $1", tx.world_id))


@pytest.mark.parametrize("change", ["balance = -1", "held = balance + 1", "held = -1"])
async def test_the_database_keeps_no_impossible_balance(bank: Bank, change: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await bank.inside(
            lambda tx: tx.execute(f"UPDATE ledger_accounts SET {change} WHERE world_id = $1", tx.world_id)
        )


# -- accounts and limits -------------------------------------------------------------------------------------


async def test_accounts_are_opened_and_limited(bank: Bank) -> None:
    opened = await bank.do(OpenAccount(owner_id=CYN, currency=GOLD, max_balance=10))
    assert (opened.balance, opened.max_balance) == (0, 10)
    await bank.refused("account_exists", OpenAccount(owner_id=CYN, currency=GOLD))
    await bank.refused("world_account", OpenAccount(owner_id=MINT, currency=GOLD))
    await bank.refused("currency_not_found", OpenAccount(owner_id=CYN, currency="silver"))
    await bank.refused("balance_limit", gift(ADA, CYN, 11))
    await bank.do(LimitAccount(owner_id=CYN, currency=GOLD, max_balance=None))
    await bank.do(gift(ADA, CYN, 11))
    limited = await bank.do(LimitAccount(owner_id=CYN, currency=GOLD, max_balance=3))
    assert (limited.balance, limited.max_balance) == (11, 3)
    await bank.refused("balance_limit", gift(ADA, CYN, 1))
    await bank.refused("account_not_found", LimitAccount(owner_id=CYN, currency="points", max_balance=1))
    kinds = [e["type"] for e in await bank.events() if e["type"].startswith("ledger.account")]
    assert kinds == ["ledger.account_opened", "ledger.account_limited", "ledger.account_limited"]
    await bank.true()


# -- holds ---------------------------------------------------------------------------------------------------


def bid(amount: int, **fields: Any) -> Hold:
    return Hold(**{"debit": ADA, "credit": BEN, "currency": GOLD, "amount": amount, "kind": "bid", **fields})


async def test_a_hold_is_posted_in_part(bank: Bank) -> None:
    held = await bank.do(bid(60, reason="the blue vase", reference="h-1"))
    assert (held.state, await bank.has()) == ("open", {ADA: (100, 60), BEN: (5, 0)})
    assert (await bank.do(bid(60, reference="h-1"))).id == held.id
    await bank.refused("insufficient_funds", gift(ADA, BEN, 41))
    await bank.refused("amount_too_large", PostHold(hold_id=held.id, amount=61))
    posted = await bank.do(PostHold(hold_id=held.id, amount=25))
    assert (posted.hold.state, posted.hold.posted, posted.transfer.amount) == ("posted", 25, 25)
    assert (posted.transfer.hold_id, posted.transfer.reference) == (held.id, "h-1")
    assert await bank.has() == {ADA: (75, 0), BEN: (30, 0)}
    for again in (PostHold(hold_id=held.id), ReleaseHold(hold_id=held.id)):
        refused = await bank.refused("hold_not_open", again)
        assert refused.facts["state"] == "posted"
    await bank.refused("hold_not_found", PostHold(hold_id=ADA))
    told = [e["data"] for e in await bank.events("ledger.h%")]
    assert (told[0]["hold_id"], told[0]["amount"]) == (str(held.id), 60)
    assert (told[1]["amount"], told[1]["released"], told[1]["transfer"]["amount"]) == (25, 35, 25)
    await bank.true()


async def test_a_hold_is_closed_once(bank: Bank) -> None:
    held = await bank.do(bid(100))
    answers = await bank.together(
        [PostHold(hold_id=held.id), ReleaseHold(hold_id=held.id, reason="Outbid.")] * 5
    )
    assert sum(not isinstance(a, BaseException) for a in answers) == 1
    assert {a.code for a in answers if isinstance(a, Refused)} == {"hold_not_open"}
    assert sum(balance for balance, _ in (await bank.has()).values()) == 105
    await bank.true()


async def test_no_more_is_held_than_there_is(bank: Bank) -> None:
    answers = await bank.together([bid(30) for _ in range(8)] + [gift(ADA, BEN, 30) for _ in range(8)])
    done = sum(not isinstance(a, BaseException) for a in answers)
    ada = (await bank.has())[ADA]
    assert done == 3
    assert 0 <= ada[0] - ada[1] == 10
    await bank.true()


async def test_a_hold_of_the_mint_waits(bank: Bank) -> None:
    held = await bank.do(Hold(debit=MINT, credit=BEN, currency=GOLD, amount=7, kind="award"))
    other = await bank.do(Hold(debit=MINT, credit=BEN, currency=GOLD, amount=7, kind="award"))
    assert await bank.has() == {ADA: (100, 0), BEN: (5, 0)}
    await bank.do(PostHold(hold_id=held.id))
    released = await bank.do(ReleaseHold(hold_id=other.id, reason="No."))
    assert (released.state, (await bank.has())[BEN]) == ("released", (12, 0))
    assert (await bank.events("ledger.hold_released"))[-1]["data"]["reason"] == "No."
    await bank.true()


async def advance(bank: Bank, minutes: int) -> None:
    await bank.do(AdvanceWorld(by_ms=minutes * MINUTE))

    async def there() -> bool:
        rows = await bank.fetch("SELECT advance_id FROM worlds WHERE id = $1")
        return rows[0]["advance_id"] is None

    await until(there, 60)


async def test_holds_expire_in_world_time(bank: Bank) -> None:
    await bank.refused("expires_in_the_past", bid(10, expires_at=0))
    soon = await bank.do(bid(10, expires_at=5 * MINUTE))
    posted = await bank.do(bid(20, expires_at=5 * MINUTE))
    later = await bank.do(bid(30, expires_at=50 * MINUTE))
    await bank.do(PostHold(hold_id=posted.id))
    assert await bank.count("timers") == 2
    await bank.true()
    await advance(bank, 10)
    rows = await bank.fetch("SELECT id, state, closed_at FROM ledger_holds WHERE world_id = $1")
    states = {row["id"]: (row["state"], row["closed_at"]) for row in rows}
    assert states == {
        soon.id: ("expired", 5 * MINUTE), posted.id: ("posted", 0), later.id: ("open", None),
    }  # fmt: skip
    assert await bank.has() == {ADA: (80, 30), BEN: (25, 0)}
    [told] = await bank.events("ledger.hold_released")
    assert (told["data"]["expired"], told["data"]["hold_id"]) == (True, str(soon.id))
    refused = await bank.refused("hold_not_open", PostHold(hold_id=soon.id))
    assert refused.facts["state"] == "expired"
    await bank.true()


async def test_what_is_over_is_not_posted_before_its_timer_fires(bank: Bank) -> None:
    held = await bank.do(bid(10, expires_at=5 * MINUTE))
    await bank.inside(
        lambda tx: tx.execute(
            "UPDATE ledger_holds SET expires_at = 0 WHERE world_id = $1 AND id = $2", tx.world_id, held.id
        )
    )
    refused = await bank.refused("hold_not_open", PostHold(hold_id=held.id))
    assert refused.facts["state"] == "expired"


# -- for other systems ---------------------------------------------------------------------------------------


async def test_a_book_is_opened_planned_and_written(bank: Bank) -> None:
    async def work(tx: Transaction) -> Any:
        book = await service.open_book(
            tx, [(ADA, GOLD), (CYN, GOLD), (CYN, "points"), (MINT, GOLD)], create=True, references=["a", None]
        )
        assert set(book.accounts) == {(ADA, GOLD)}
        with pytest.raises(Refused), book.atomic():
            book.transfer(ADA, CYN, GOLD, 1, kind="award", reason="")
            book.transfer(ADA, CYN, GOLD, 1_000, kind="award", reason="")
        event_id = random_uuid()
        book.told(book.transfer(MINT, CYN, GOLD, 9, kind="award", reason="", reference="a"), event_id)
        held = book.hold(CYN, SINK, GOLD, 4, kind="fee", reason="", expires_at=tx.now + 1)
        book.told(held, event_id)
        await service.write(tx, book)
        later = await service.open_book(tx, [(CYN, GOLD)], references=["a"])
        assert later.transfer(MINT, CYN, GOLD, 9, kind="award", reason="", reference="a").replayed
        return held.id

    hold_id = await bank.inside(work)
    assert await bank.has() == {ADA: (100, 0), BEN: (5, 0), CYN: (9, 4)}
    assert await bank.has("points") == {}
    assert set(await bank.inside(lambda tx: service.load_holds(tx, [hold_id, ADA]))) == {hold_id}
    posted = await bank.do(PostHold(hold_id=hold_id, amount=1))
    assert posted.transfer.credit == SINK
    assert set(await bank.inside(lambda tx: service.load_transfers(tx, [posted.transfer.id, ADA]))) == {
        posted.transfer.id
    }
    assert await bank.inside(lambda tx: service.reversals(tx, [posted.transfer.id])) == {}
    assert (await bank.report()).faults == []
    assert await bank.count("timers") == 0


async def test_a_hold_made_and_posted_in_one_transaction(bank: Bank) -> None:
    async def work(tx: Transaction) -> None:
        book = await service.open_book(tx, [(ADA, GOLD), (BEN, GOLD)])
        held = book.hold(ADA, BEN, GOLD, 10, kind="bid", reason="", expires_at=tx.now + 5)
        for planned in (held, book.post(held, 4)):
            book.told(planned, random_uuid())
        await service.write(tx, book)

    await bank.inside(work)
    assert (await bank.has(), await bank.count("timers")) == ({ADA: (96, 0), BEN: (9, 0)}, 0)
    assert (await bank.report()).faults == []


async def test_what_another_system_keeps_is_left_to_it(bank: Bank) -> None:
    """Their kinds have a dot, which no command can ask for."""

    async def work(tx: Transaction) -> Any:
        book = await service.open_book(tx, [(ADA, GOLD), (BEN, GOLD)])
        made = book.transfer(MINT, ADA, GOLD, 9, kind="points.award", reason="")
        held = book.hold(ADA, BEN, GOLD, 4, kind="points.gift", reason="")
        for planned in (made, held):
            book.told(planned, random_uuid())
        await service.write(tx, book)
        return made.id, held.id

    transfer_id, hold_id = await bank.inside(work)
    for command in (
        ReverseTransfer(transfer_id=transfer_id, reason="x"), PostHold(hold_id=hold_id), ReleaseHold(hold_id=hold_id),
    ):  # fmt: skip
        refused = await bank.refused("kept_by_another_system", command)
        assert refused.facts["system"] == "points"
    assert await bank.has() == {ADA: (109, 4), BEN: (5, 0)}
    for kind in ("points.award", ".", "a."):
        for made in (partial(gift, ADA, BEN, 1, kind=kind), partial(bid, 1, kind=kind)):
            with pytest.raises(ValidationError):
                made()


async def test_holds_of_the_mint_are_told_to_game_masters(bank: Bank) -> None:
    held = await bank.do(Hold(debit=MINT, credit=BEN, currency=GOLD, amount=7, kind="award"))
    await bank.do(ReleaseHold(hold_id=held.id))
    other = await bank.do(Hold(debit=MINT, credit=BEN, currency=GOLD, amount=7, kind="award"))
    await bank.do(PostHold(hold_id=other.id))
    await bank.do(bid(1))
    told = {(e["type"], tuple(sorted(e["audience"]))) for e in await bank.events("ledger.h%")}
    assert told == {
        ("ledger.held", ()), ("ledger.hold_released", ()), ("ledger.hold_posted", (BEN,)),
        ("ledger.held", (ADA, BEN)),
    }  # fmt: skip


# -- integrity -----------------------------------------------------------------------------------------------


async def test_the_report_adds_everything_up(bank: Bank) -> None:
    await bank.do(gift(ADA, "sink", 15))
    await bank.do(bid(20))
    report = await bank.report()
    assert report.ok
    [gold] = [c for c in report.currencies if c.currency == GOLD]
    assert (gold.accounts, gold.held, gold.mint, gold.sink, gold.sum) == (90, 20, -105, 15, 0)
    assert (gold.owners, gold.transfers) == (2, 3)


BREAK = [
    ("UPDATE ledger_accounts SET balance = balance + 1 WHERE world_id = $1 AND owner_id = $2",
     {"every_balance_equals_its_transfers", "every_statement_ends_at_its_balance", "every_sum_is_zero"}),
    ("DELETE FROM ledger_accounts WHERE world_id = $1 AND owner_id = $2",
     {"every_balance_equals_its_transfers", "what_is_held_is_what_open_holds_reserve", "every_sum_is_zero"}),
    ("UPDATE ledger_accounts SET held = held - 1 WHERE world_id = $1 AND owner_id = $2",
     {"what_is_held_is_what_open_holds_reserve"}),
    ("UPDATE ledger_holds SET state = 'posted', posted = 3, closed_at = 0 WHERE world_id = $1 AND debit = $2",
     {"every_hold_equals_its_transfer", "what_is_held_is_what_open_holds_reserve"}),
    ("INSERT INTO ledger_transfers (world_id, id, currency, debit, credit, amount, kind, reason, at, event_id, "
     "reverses, debit_after) VALUES ($1, gen_random_uuid(), 'gold', $2, '00000000-0000-0000-0000-000000000002', 1, "
     "'x', '', 0, gen_random_uuid(), gen_random_uuid(), 99)",
     {"every_balance_equals_its_transfers", "every_statement_ends_at_its_balance",
      "every_reversal_mirrors_its_transfer", "every_transfer_is_in_the_log", "every_sum_is_zero"}),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "names"), BREAK)
async def test_the_report_finds_what_is_wrong(bank: Bank, sql: str, names: set[str]) -> None:
    await bank.do(bid(20))
    assert await bank.inside(lambda tx: tx.execute(sql, tx.world_id, ADA)) == 1
    report = await bank.report()
    assert not report.ok
    found = {fault.split(":")[0].removeprefix("ledger.") for fault in report.faults}
    assert found == names - {"every_transfer_is_in_the_log"}
    doctor = [f for f in await bank.server.findings() if str(bank.world_id) in f]
    assert {f.split(":")[1].removeprefix(" ledger.") for f in doctor} == names
    await bank.do(DeleteWorld())


async def test_a_world_is_deleted_with_its_ledger(bank: Bank) -> None:
    await bank.do(bid(20, expires_at=1_000))
    await bank.do(DeleteWorld())
    for table in ("currencies", "ledger_accounts", "ledger_transfers", "ledger_holds"):
        assert await bank.count(table) == 0


# -- any story -----------------------------------------------------------------------------------------------


OWNERS: list[Any] = [ADA, BEN, CYN, "mint", "sink"]
STORIES = st.lists(
    st.tuples(
        st.sampled_from(["transfer", "transfer", "linked", "hold", "post", "release", "reverse"]),
        st.sampled_from(OWNERS), st.sampled_from(OWNERS), st.integers(1, 90), st.integers(0, 5),
    ),
    min_size=4, max_size=14,
)  # fmt: skip


@given(story=STORIES)
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_story_makes_it_lie(bank: Bank, story: list[tuple[Any, ...]]) -> None:
    for what, debit, credit, amount, n in story:
        fields = {"debit": debit, "credit": credit, "currency": GOLD, "amount": amount}
        holds = await bank.fetch("SELECT id FROM ledger_holds WHERE world_id = $1 ORDER BY id DESC LIMIT 6")
        made = await bank.fetch(
            "SELECT id FROM ledger_transfers WHERE world_id = $1 ORDER BY number DESC LIMIT 6"
        )
        command: Command
        match what:
            case "transfer":
                command = Transfer(**fields, open_accounts=True)
            case "linked":
                parts = [
                    TransferFields(**fields),
                    TransferFields(**{**fields, "debit": credit, "credit": "sink"}),
                ]
                command = TransferLinked(transfers=parts, open_accounts=True)
            case "hold":
                command = Hold(**fields)
            case "reverse":
                command = ReverseTransfer(transfer_id=made[min(n, len(made) - 1)]["id"], reason="x")
            case _ if not holds:
                continue
            case "post":
                command = PostHold(hold_id=holds[min(n, len(holds) - 1)]["id"], amount=amount)
            case _:
                command = ReleaseHold(hold_id=holds[min(n, len(holds) - 1)]["id"])
        try:
            await bank.do(command)
        except Refused:
            continue
    report = await bank.report()
    assert report.faults == []
