"""Thousands of operations at once, over two nodes: the sum is right to the point, and nobody pays for others."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest

from fablewright.core import engine as core_engine
from fablewright.core.actors import Actor
from fablewright.core.dice import jitter
from fablewright.core.engine import Engine
from fablewright.core.messages import Command
from fablewright.core.refusal import Refused
from fablewright.systems.characters.commands import CreateCharacter
from fablewright.systems.ledger.commands import (
    DefineCurrency,
    Hold,
    PostHold,
    ReleaseHold,
    TransferFields,
    TransferLinked,
)
from fablewright.systems.points.commands import Adjust, Award, Give, Spend
from tests.systems.conftest import Bench, OpenBench, as_superuser

pytestmark = pytest.mark.uncounted

NOT_NOW = {"overloaded", "contended", "queue_full"}
START = 100
BYSTANDERS = 10
FAMILY = 10
"""Characters come in families of so many; gifts stay within them."""


@pytest.fixture
async def nodes(fresh_url: str, open_bench: OpenBench) -> AsyncIterator[tuple[Bench, Bench]]:
    """Two nodes on a database where a deadlock is found soon."""
    name = fresh_url.split("?")[0].rsplit("/", 1)[1]
    await as_superuser(fresh_url, f"ALTER DATABASE {name} SET deadlock_timeout = '20ms'")
    async with open_bench(fresh_url) as one, open_bench(fresh_url) as other:
        yield one, other


@dataclass
class Storm:
    """What is given to a world, and what must come of it."""

    engines: Sequence[Engine]
    owner: Actor
    world_id: UUID
    people: list[UUID]
    balance: Counter[UUID] = field(default_factory=Counter)
    """What the acknowledged operations leave, whatever their order was."""
    outcomes: Counter[str] = field(default_factory=Counter)
    retried: Counter[str] = field(default_factory=Counter)

    async def give(self, commands: Any, chance: random.Random, *, twice: bool = False) -> Any:
        """Run it on one of the nodes, again if the server asks for that; its result, or None if it was refused."""
        key = str(uuid4())
        tries = [self._one(commands, chance.choice(self.engines), key) for _ in range(1 + twice)]
        # One of two may be refused before something else makes room for the other, but there are never two answers.
        answers = [answer for answer in await asyncio.gather(*tries) if answer is not None]
        assert all(answer == answers[0] for answer in answers), commands
        return answers[0] if answers else None

    async def _one(self, commands: Any, engine: Engine, key: str) -> Any:
        while True:
            try:
                answer = await engine.execute(commands, self.owner, self.world_id, key=key)
            except Refused as refused:
                if refused.code not in NOT_NOW:
                    self.outcomes[refused.code] += 1
                    return None
                self.retried[refused.code] += 1
                await asyncio.sleep(0)
            else:
                self.outcomes["done"] += 1
                return answer.body

    async def act(self, number: int) -> None:
        """One operation of a mixed lot."""
        chance = random.Random(f"storm {number}")
        one = chance.choice(self.people)
        family = self.people.index(one) // FAMILY
        other = chance.choice(self.people[family * FAMILY : (family + 1) * FAMILY])
        amount = chance.randint(1, 60)
        kind = chance.choices(["award", "spend", "give", "adjust", "hold", "linked"], [50, 20, 20, 3, 4, 3])[
            0
        ]
        twice = chance.random() < 0.02
        if kind == "hold":
            await self._hold(one, other, amount, chance)
            return
        command: Command
        if kind == "award":
            command, moves = Award(character_id=one, amount=amount, reason="R"), [(one, amount)]
        elif kind == "spend":
            command, moves = Spend(character_id=one, amount=amount, reason="R"), [(one, -amount)]
        elif kind == "give":
            command, moves = Give(from_id=one, to_id=other, amount=amount), [(one, -amount), (other, amount)]
        elif kind == "adjust":
            change = chance.choice([-amount, amount])
            command, moves = Adjust(character_id=one, amount=change, reason="R"), [(one, change)]
        else:
            command, moves = self._linked(one, other, amount)
        if await self.give(command, chance, twice=twice) is not None:
            for who, change in moves:
                self.balance[who] += change

    def _linked(self, one: UUID, other: UUID, amount: int) -> tuple[Command, list[tuple[UUID, int]]]:
        """There and back again, and a fee: none of it happens if the fee cannot be paid."""
        parts = [(one, other, amount), (other, one, amount), (one, "sink", 5)]
        command = TransferLinked(
            transfers=[TransferFields(debit=d, credit=c, currency="points", amount=a) for d, c, a in parts]
        )
        return command, [(one, -5)]

    async def _hold(self, one: UUID, other: UUID, amount: int, chance: random.Random) -> None:
        """Reserve, then post or release; a hold that stands can always be posted."""
        hold_id = await self._reserved(one, other, amount, chance)
        if hold_id is None:
            return
        if chance.random() < 0.5:
            assert await self.give(ReleaseHold(hold_id=hold_id), chance) is not None
            return
        part = chance.randint(1, amount)
        assert await self.give(PostHold(hold_id=hold_id, amount=part), chance) is not None
        self.balance[one] -= part
        self.balance[other] += part

    async def _reserved(self, one: UUID, other: UUID, amount: int, chance: random.Random) -> UUID | None:
        reference = str(uuid4())
        command = Hold(debit=one, credit=other, currency="points", amount=amount, reference=reference)
        if await self.give(command, chance) is None:
            return None
        async with self.engines[0].database.reading() as connection:
            sql = "SELECT id FROM ledger_holds WHERE world_id = $1 AND reference = $2"
            return UUID(str(await connection.fetchval(sql, self.world_id, reference)))


async def brew(nodes: tuple[Bench, Bench], people: int) -> Storm:
    """A world whose people have something to begin with."""
    bench = nodes[0]
    owner = await bench.person()
    world_id = await bench.world(owner)
    ids = [uuid4() for _ in range(people + BYSTANDERS)]
    for start in range(0, len(ids), 50):
        some = ids[start : start + 50]
        await bench.do([CreateCharacter(id=i, name="Somebody") for i in some], owner, world_id)
        await bench.do([Award(character_id=i, amount=START, reason="Start") for i in some], owner, world_id)
    storm = Storm([node.engine for node in nodes], owner, world_id, ids[:people])
    storm.balance.update(dict.fromkeys(ids, START))
    return storm


async def settled(bench: Bench, storm: Storm) -> None:
    """Every balance is what was acknowledged, none was ever below zero, and all adds up."""
    rows = await bench.fetch(
        "SELECT owner_id, balance, held FROM ledger_accounts WHERE world_id = $1", storm.world_id
    )
    assert {row["owner_id"]: row["balance"] for row in rows} == dict(storm.balance)
    assert {row["held"] for row in rows} == {0}
    rows = await bench.fetch(
        "SELECT min(least(debit_after, credit_after)) AS least, "
        "       sum(CASE WHEN debit = $2 THEN amount WHEN credit IN ($2, $3) THEN -amount END) AS left "
        "FROM ledger_transfers WHERE world_id = $1",
        storm.world_id, UUID(int=1), UUID(int=2),
    )  # fmt: skip
    assert rows[0]["least"] >= 0
    assert rows[0]["left"] == sum(storm.balance.values())
    for system in bench.runtime.systems:
        for check in system.checks if system.name in ("ledger", "points") else ():
            days = [bench.runtime.settings.receipt_days] if "$1" in check.sql else []
            assert await bench.fetch(check.sql, *days) == [], check.name


@pytest.mark.parametrize("many", [1_000, 10_000])
async def test_many_at_once_add_up_to_the_point(nodes: tuple[Bench, Bench], many: int) -> None:
    storm = await brew(nodes, people=40)
    await asyncio.gather(*(storm.act(number) for number in range(many)))
    assert set(storm.outcomes) <= {"done", "insufficient_funds", "same_account"}
    assert storm.outcomes["insufficient_funds"] > 0
    await settled(nodes[0], storm)


async def test_the_last_points_are_spent_once(nodes: tuple[Bench, Bench]) -> None:
    """Two nodes race for the same points; the rest is refused by name, and no constraint is ever hit."""
    storm = await brew(nodes, people=5)
    chance = random.Random(1)
    await asyncio.gather(*(
        storm.give(Spend(character_id=who, amount=30, reason="R"), chance) for who in storm.people for _ in range(40)
    ))  # fmt: skip
    assert storm.outcomes == {"done": 15, "insufficient_funds": 185}
    storm.balance.update(dict.fromkeys(storm.people, -90))
    await settled(nodes[0], storm)


async def test_crossing_gifts_that_deadlock_are_tried_again_and_none_is_lost(
    nodes: tuple[Bench, Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lists lock what their commands need one after the other; crosswise, that must deadlock."""
    retries: list[float] = []

    def noted() -> float:
        retries.append(jitter())
        return retries[-1]

    monkeypatch.setattr(core_engine, "jitter", noted)
    storm = await brew(nodes, people=2)
    a, b = storm.people
    c = uuid4()
    bench = nodes[0]
    await bench.do(CreateCharacter(id=c, name="C"), storm.owner, storm.world_id)
    await bench.do(DefineCurrency(code="gold", name="Gold"), storm.owner, storm.world_id)
    chance = random.Random(2)
    lists = [
        [Give(from_id=one, to_id=other, amount=1), Adjust(character_id=c, amount=1, reason="R"),
         Give(from_id=other, to_id=one, amount=1), Award(character_id=one, amount=1, reason="R")]
        if n % 2 else
        [Adjust(character_id=c, amount=1, reason="R"), Give(from_id=one, to_id=other, amount=1),
         Award(character_id=other, amount=1, reason="R"), Give(from_id=other, to_id=one, amount=1)]
        for n, (one, other) in enumerate([(a, b), (a, b), (b, a), (b, a)] * 6)
    ]  # fmt: skip
    answers = await asyncio.gather(*(storm.give(commands, chance) for commands in lists))
    assert all(answer is not None for answer in answers)
    assert retries, "nothing was in the way of anything"
    storm.balance[c] += len(lists)
    storm.balance[a] += len(lists) // 2
    storm.balance[b] += len(lists) // 2
    await settled(bench, storm)
