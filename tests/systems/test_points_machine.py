"""Points as a state machine: whatever is done in whatever order, the ledger adds up after every step.

The model is a few dictionaries. After each step the database must hold what the model holds, and the doctor must
find nothing. A step that the model refuses must be refused by the same name, and change nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar
from uuid import UUID, uuid4

import orjson
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from fablewright.core.clock import DAY
from fablewright.core.messages import Command
from fablewright.core.refusal import Refused
from fablewright.systems.characters.commands import CreateCharacter
from fablewright.systems.leaderboards.commands import DefineBoard
from fablewright.systems.ledger.book import MINT, SINK
from fablewright.systems.ledger.commands import (
    DefineCurrency,
    Hold,
    OpenAccount,
    PostHold,
    ReleaseHold,
    ReverseTransfer,
)
from fablewright.systems.points.commands import Adjust, Award, DefineAwardRule, Give, ReviewVerdict, Spend
from fablewright.systems.worlds.commands import AdvanceWorld
from tests.support import Person, Server, until

pytestmark = pytest.mark.uncounted

CHECKED = ("ledger", "points", "leaderboards")
MOST_GOLD = 120
LIMITS = {"points": 10**15, "gold": MOST_GOLD}
SEASON = 10 * DAY
PRIZES = (50, 20)
RATION = 15
RATIONS, SPAN = 2, 3 * DAY
"""So many rations within so much world time; further ones wait for a game master."""
WHO = st.integers(0, 3)
CURRENCY = st.sampled_from(["points", "points", "gold"])
AMOUNT = st.integers(1, 80)
REFERENCE = st.sampled_from([None, None, None, "first", "second"])

Key = tuple[UUID, str]


@dataclass
class Model:
    """What must be true."""

    people: list[UUID]
    balance: dict[Key, int]
    held: dict[Key, int]
    earned: dict[UUID, int]
    holds: dict[UUID, "Held"] = field(default_factory=dict)
    references: dict[tuple[UUID | None, str], tuple[Any, ...]] = field(default_factory=dict)
    """What a reference stands for; payments have those of who pays."""
    reversed: set[UUID] = field(default_factory=set)
    season: dict[UUID, tuple[int, int]] = field(default_factory=dict)
    """Of this season, by character: the score, and which change of the board it was."""
    given: dict[UUID, list[int]] = field(default_factory=dict)
    """When each was given its rations."""
    waiting: dict[UUID, UUID] = field(default_factory=dict)
    """By verdict, whose ration waits."""
    changes: int = 0
    now: int = 0
    season_ends: int = 0

    def available(self, key: Key) -> int:
        return self.balance[key] - self.held[key]

    def wrong(
        self, debit: UUID, credit: UUID, currency: str, amount: int, *, of_hold: bool = False
    ) -> set[str]:
        """Why a sum cannot go from one to the other: the names of the refusals that would be right."""
        found = set()
        if debit == credit:
            found.add("same_account")
        if debit in self.people and not of_hold and self.available((debit, currency)) < amount:
            found.add("insufficient_funds")
        if credit in self.people and self.balance[credit, currency] + amount > LIMITS[currency]:
            found.add("balance_limit")
        return found

    def move(self, debit: UUID, credit: UUID, currency: str, amount: int) -> None:
        for owner, change in ((debit, -amount), (credit, amount)):
            if owner in self.people:
                self.balance[owner, currency] += change

    def earn(self, who: UUID, currency: str, amount: int) -> None:
        """What an award does besides."""
        if currency == "points":
            self.earned[who] += amount
            self.changes += 1
            self.season[who] = (self.season.get(who, (0, 0))[0] + amount, self.changes)

    def end_season(self) -> None:
        """The best two are paid, and the next season begins; a board does not count what it paid itself."""
        best = sorted(self.season, key=lambda who: (-self.season[who][0], self.season[who][1]))
        self.season = {}
        for who, prize in zip(best, PRIZES, strict=False):
            self.move(MINT, who, "points", prize)
            self.earned[who] += prize
        self.season_ends += SEASON


@dataclass
class Held:
    """A hold."""

    debit: UUID
    credit: UUID
    currency: str
    amount: int
    expires_at: int | None = None
    open: bool = True


class Points(RuleBasedStateMachine):
    """See the module."""

    server: ClassVar[Server]
    owner: ClassVar[Person]
    run_on_loop: ClassVar[Callable[[Coroutine[Any, Any, Any]], Any]]

    @initialize()
    def found(self) -> None:
        """A world with four characters, two currencies, and a board with seasons."""
        self.world_id = self.wait(self.server.world(self.owner))
        people = [UUID(int=number) for number in range(101, 105)]
        accounts = [(who, currency) for who in people for currency in LIMITS]
        season = {"length_ms": SEASON, "rewards": [
            {"from_rank": n, "to_rank": n, "amount": prize} for n, prize in enumerate(PRIZES, 1)
        ]}  # fmt: skip
        board = {"key": "most", "name": "Most", "metric": {"kind": "points_earned"}, "window": "season"}
        self.do([
            *(CreateCharacter(id=who, name=f"C {n}") for n, who in enumerate(people)),
            DefineCurrency(code="gold", name="Gold", max_balance=MOST_GOLD),
            *(OpenAccount(owner_id=who, currency=currency) for who, currency in accounts),
            DefineBoard.model_validate({**board, "season": season}),
            DefineAwardRule.model_validate({"key": "ration", "rule": {
                "amount": RATION, "limits": {"window": {"most": RATIONS, "ms": SPAN}, "outcome": "quarantine"},
            }}),
        ])  # fmt: skip
        self.model = Model(
            people, dict.fromkeys(accounts, 0), dict.fromkeys(accounts, 0), dict.fromkeys(people, 0)
        )
        self.model.now = int(self.select("SELECT anchor_world_ms AS now FROM worlds WHERE id = $1")[0]["now"])
        self.model.season_ends = self.model.now + SEASON

    # -- doing -----------------------------------------------------------------------------------------------

    def wait(self, work: Awaitable[Any]) -> Any:
        return type(self).run_on_loop(work)  # type: ignore[arg-type]

    def do(self, command: Command | list[Command], *, key: str | None = None) -> bytes:
        engine = self.server.runtime.engine
        answer = self.wait(engine.execute(command, self.owner.actor, self.world_id, key=key))
        return answer.body  # type: ignore[no-any-return]

    def select(self, sql: str) -> list[Any]:
        return self.wait(self.server.fetch(sql, self.world_id))  # type: ignore[no-any-return]

    @contextmanager
    def allowed(self, wrong: set[str]) -> Iterator[None]:
        """The block gives a command, which must be refused with one of these names, or done if there are none."""
        if not wrong:
            yield
            return
        with pytest.raises(Refused) as refused:
            yield
        assert refused.value.code in wrong

    def transfer(
        self, command: Command, debit: UUID, credit: UUID, amount: int, *, twice: bool = False
    ) -> bool:
        """Give a command that moves a sum; whether it moved. With `twice` under one key, again."""
        currency, reference = command.currency, command.reference  # type: ignore[attr-defined]
        word = (debit if isinstance(command, (Spend, Give)) else None, reference)
        terms = (type(command), debit, credit, currency, amount)
        if word in self.model.references:
            if self.model.references[word] == terms:
                self.do(command)
            else:
                with self.allowed({"reference_reused", *self.model.wrong(debit, credit, currency, amount)}):
                    self.do(command)
            return False
        wrong = self.model.wrong(debit, credit, currency, amount)
        key = str(uuid4())
        with self.allowed(wrong):
            first = self.do(command, key=key)
            assert not twice or self.do(command, key=key) == first
        if wrong:
            return False
        self.model.move(debit, credit, currency, amount)
        if reference is not None:
            self.model.references[word] = terms
        return True

    # -- points ----------------------------------------------------------------------------------------------

    @rule(who=WHO, currency=CURRENCY, amount=AMOUNT, reference=REFERENCE, twice=st.booleans())
    def award(self, who: int, currency: str, amount: int, reference: str | None, twice: bool) -> None:
        person = self.model.people[who]
        command = Award(
            character_id=person, amount=amount, currency=currency, reason="R", reference=reference
        )
        if self.transfer(command, MINT, person, amount, twice=twice):
            self.model.earn(person, currency, amount)

    @rule(who=WHO, currency=CURRENCY, amount=AMOUNT, reference=REFERENCE, twice=st.booleans())
    def spend(self, who: int, currency: str, amount: int, reference: str | None, twice: bool) -> None:
        person = self.model.people[who]
        command = Spend(
            character_id=person, amount=amount, currency=currency, reason="R", reference=reference
        )
        self.transfer(command, person, SINK, amount, twice=twice)

    @rule(who=WHO, whom=WHO, currency=CURRENCY, amount=AMOUNT, reference=REFERENCE)
    def give(self, who: int, whom: int, currency: str, amount: int, reference: str | None) -> None:
        one, other = self.model.people[who], self.model.people[whom]
        command = Give(from_id=one, to_id=other, amount=amount, currency=currency, reference=reference)
        self.transfer(command, one, other, amount)

    @rule(who=WHO, currency=CURRENCY, amount=st.integers(-60, 60).filter(bool))
    def adjust(self, who: int, currency: str, amount: int) -> None:
        person = self.model.people[who]
        command = Adjust(character_id=person, amount=amount, currency=currency, reason="Put right")
        debit, credit = (MINT, person) if amount > 0 else (person, MINT)
        self.transfer(command, debit, credit, abs(amount))

    @rule(who=WHO)
    def award_by_rule(self, who: int) -> None:
        """One too many within the span is held, and a verdict waits to be reviewed."""
        model, person = self.model, self.model.people[who]
        times = model.given.setdefault(person, [])
        over = len(times) >= RATIONS and times[-RATIONS] + SPAN > model.now
        result = orjson.loads(self.do(Award(character_id=person, action="ration")))["result"]
        assert (result["outcome"], result["amount"]) == (("quarantine", 0) if over else (None, RATION))
        if over:
            model.waiting[UUID(result["verdict_id"])] = person
            return
        times.append(model.now)
        model.move(MINT, person, "points", RATION)
        model.earn(person, "points", RATION)

    @precondition(lambda self: self.model.waiting)
    @rule(which=st.integers(0), decision=st.sampled_from(["release", "confirm", "forgive"]))
    def review(self, which: int, decision: Any) -> None:
        model = self.model
        verdict_id = list(model.waiting)[which % len(model.waiting)]
        person = model.waiting.pop(verdict_id)
        self.do(ReviewVerdict(verdict_id=verdict_id, decision=decision))
        if decision != "confirm":
            model.move(MINT, person, "points", RATION)
            model.earn(person, "points", RATION)
        if decision == "forgive":
            model.given[person] = []
        with self.allowed({"verdict_closed"}):
            self.do(ReviewVerdict(verdict_id=verdict_id, decision=decision))

    # -- holds and reversals ---------------------------------------------------------------------------------

    @rule(
        who=WHO, whom=WHO | st.none(), currency=CURRENCY, amount=AMOUNT, days=st.integers(1, 12) | st.none()
    )
    def hold(self, who: int, whom: int | None, currency: str, amount: int, days: int | None) -> None:
        model = self.model
        debit = model.people[who]
        credit = SINK if whom is None else model.people[whom]
        expires = None if days is None else model.now + days * DAY
        command = Hold(
            debit=debit, credit="sink" if whom is None else credit, currency=currency, amount=amount,
            expires_at=expires,
        )  # fmt: skip
        wrong = model.wrong(debit, credit, currency, amount) - {"balance_limit"}
        before = {row["id"] for row in self.select("SELECT id FROM ledger_holds WHERE world_id = $1")}
        with self.allowed(wrong):
            self.do(command)
        if not wrong:
            rows = self.select("SELECT id FROM ledger_holds WHERE world_id = $1")
            [new] = {row["id"] for row in rows} - before
            model.holds[new] = Held(debit, credit, currency, amount, expires)
            model.held[debit, currency] += amount

    @precondition(lambda self: self.model.holds)
    @rule(which=st.integers(0), part=st.integers(1, 90) | st.none())
    def post(self, which: int, part: int | None) -> None:
        model = self.model
        hold_id = list(model.holds)[which % len(model.holds)]
        hold = model.holds[hold_id]
        amount = hold.amount if part is None else part
        wrong = model.wrong(hold.debit, hold.credit, hold.currency, amount, of_hold=True)
        if not hold.open:
            wrong = {"hold_not_open"}
        elif amount > hold.amount:
            wrong.add("amount_too_large")
        with self.allowed(wrong):
            self.do(PostHold(hold_id=hold_id, amount=part))
        if not wrong:
            self._close(hold)
            model.move(hold.debit, hold.credit, hold.currency, amount)

    @precondition(lambda self: self.model.holds)
    @rule(which=st.integers(0))
    def release(self, which: int) -> None:
        hold_id = list(self.model.holds)[which % len(self.model.holds)]
        hold = self.model.holds[hold_id]
        with self.allowed(set() if hold.open else {"hold_not_open"}):
            self.do(ReleaseHold(hold_id=hold_id))
        if hold.open:
            self._close(hold)

    def _close(self, hold: Held) -> None:
        hold.open = False
        self.model.held[hold.debit, hold.currency] -= hold.amount

    @rule(which=st.integers(0))
    def reverse(self, which: int) -> None:
        rows = self.select(
            "SELECT id, debit, credit, currency, amount, kind FROM ledger_transfers WHERE world_id = $1 ORDER BY number"
        )
        if not rows:
            return
        row = rows[which % len(rows)]
        wrong = self.model.wrong(row["credit"], row["debit"], row["currency"], row["amount"])
        if row["id"] in self.model.reversed:
            wrong = {"already_reversed"}
        if "." in row["kind"]:
            wrong = {"kept_by_another_system"}
        with self.allowed(wrong):
            self.do(ReverseTransfer(transfer_id=row["id"], reason="A mistake"))
        if not wrong:
            self.model.reversed.add(row["id"])
            self.model.move(row["credit"], row["debit"], row["currency"], row["amount"])

    # -- time ------------------------------------------------------------------------------------------------

    @rule(days=st.integers(1, 13))
    def pass_time(self, days: int) -> None:
        """Holds expire and seasons end on the way, in their order."""
        model = self.model
        self.do(AdvanceWorld(by_ms=days * DAY))

        async def arrived() -> bool:
            rows = await self.server.fetch(
                "SELECT 1 FROM worlds WHERE id = $1 AND advance_id IS NULL", self.world_id
            )
            return bool(rows)

        self.wait(until(arrived))
        model.now += days * DAY
        for hold in model.holds.values():
            if hold.open and hold.expires_at is not None and hold.expires_at <= model.now:
                self._close(hold)
        while model.season_ends <= model.now:
            model.end_season()

    # -- what must hold --------------------------------------------------------------------------------------

    @invariant()
    def the_database_holds_what_the_model_holds(self) -> None:
        model = self.model
        rows = self.select(
            "SELECT owner_id, currency, balance, held FROM ledger_accounts WHERE world_id = $1"
        )
        assert {(r["owner_id"], r["currency"]): r["balance"] for r in rows} == model.balance
        assert {(r["owner_id"], r["currency"]): r["held"] for r in rows} == model.held
        rows = self.select("SELECT character_id, earned FROM standings WHERE world_id = $1")
        earned = dict.fromkeys(model.people, 0) | {row["character_id"]: row["earned"] for row in rows}
        assert earned == model.earned
        rows = self.select(
            "SELECT subject_id, standing FROM board_entries e JOIN board_windows w USING (world_id, board_id, number) "
            "WHERE world_id = $1 AND NOT closed ORDER BY standing DESC, tie DESC"
        )
        best = sorted(model.season, key=lambda who: (-model.season[who][0], model.season[who][1]))
        assert [(r["subject_id"], r["standing"]) for r in rows] == [
            (who, model.season[who][0]) for who in best
        ]

    @invariant()
    def the_doctor_finds_nothing(self) -> None:
        assert self.wait(findings(self.server, self.world_id)) == []


async def findings(server: Server, world_id: UUID) -> list[str]:
    """What the checks of the systems concerned find in a world."""
    found = []
    async with server.runtime.database.reading(snapshot=True) as connection:
        for system in server.runtime.systems:
            for check in system.checks if system.name in CHECKED else ():
                arguments = [server.runtime.settings.receipt_days] if "$1" in check.sql else []
                rows = await connection.fetch(check.sql, *arguments)
                found += [f"{check.name}: {row[1]}" for row in rows if row[0] == world_id]
    return found


async def test_points_add_up_after_every_step(server: Server) -> None:
    loop = asyncio.get_running_loop()

    def run_on_loop(work: Coroutine[Any, Any, Any]) -> Any:
        done: Future[Any] = asyncio.run_coroutine_threadsafe(work, loop)
        return done.result(60)

    machine = type("Machine", (Points,), {
        "server": server, "owner": await server.person(), "run_on_loop": staticmethod(run_on_loop),
    })  # fmt: skip
    modest = settings(max_examples=20, stateful_step_count=30, deadline=None)
    await asyncio.to_thread(run_state_machine_as_test, machine, settings=modest)
