"""Awards, spending, gifts, levels and rules against the real database."""

import asyncio
from typing import Any
from uuid import UUID

import orjson
import pytest

from fablewright.core.clock import DAY
from fablewright.core.refusal import Refused
from fablewright.systems.characters.commands import CreateCharacter, DeleteCharacter, SetStatus
from fablewright.systems.points.commands import (
    Adjust,
    Award,
    AwardItem,
    AwardMany,
    AwardRuleSpec,
    ConfigurePoints,
    DefineAwardRule,
    EndBonus,
    Give,
    GrantTitle,
    LevelTitle,
    LinearLevels,
    RemoveAwardRule,
    RestoreStandings,
    RevokeTitle,
    Spend,
    StandingValue,
    StartBonus,
    TableLevels,
    TitleValue,
)
from fablewright.systems.worlds.commands import AdvanceWorld
from tests.support import Person, Server, until

ADA, BEN, CYN = (UUID(int=n) for n in range(101, 104))


class Fair:
    """A world with three characters, whose clock stands still."""

    def __init__(self, server: Server):
        self.server = server

    async def open(self) -> "Fair":
        self.owner = await self.server.person()
        self.world_id = await self.server.world(self.owner)
        for who, name in ((ADA, "Ada"), (BEN, "Ben"), (CYN, "Cyn")):
            await self.do(CreateCharacter(id=who, name=name))
        return self

    async def do(self, command: Any, by: Person | None = None, **options: Any) -> Any:
        return await self.server.do(command, (by or self.owner).actor, self.world_id, **options)

    async def refused(self, command: Any, by: Person | None = None) -> Refused:
        with pytest.raises(Refused) as caught:
            await self.do(command, by)
        return caught.value

    async def rule(self, key: str, **spec: Any) -> None:
        await self.do(DefineAwardRule(key=key, rule=AwardRuleSpec(**spec)))

    async def balance(self, who: UUID, currency: str = "points") -> int:
        rows = await self.server.fetch(
            "SELECT balance FROM ledger_accounts WHERE world_id = $1 AND owner_id = $2 AND currency = $3",
            self.world_id, who, currency,
        )  # fmt: skip
        return int(rows[0]["balance"]) if rows else 0

    async def standing(self, who: UUID) -> dict[str, Any]:
        rows = await self.server.fetch(
            "SELECT earned, level, streak, awards FROM standings WHERE world_id = $1 AND character_id = $2",
            self.world_id, who,
        )  # fmt: skip
        return dict(rows[0]) if rows else {}

    async def told(self, kind: str) -> list[dict[str, Any]]:
        rows = await self.server.fetch(
            "SELECT data::text AS data FROM events WHERE world_id = $1 AND type = $2 ORDER BY seq",
            self.world_id,
            kind,
        )
        return [orjson.loads(row["data"]) for row in rows]

    async def letters(self) -> int:
        rows = await self.server.fetch(
            "SELECT count(*) AS n FROM dead_letters WHERE world_id = $1", self.world_id
        )
        return int(rows[0]["n"])

    async def whole(self) -> None:
        """Nothing is wrong in this world, and no reaction has failed."""
        assert [f for f in await self.server.findings() if str(self.world_id) in f] == []
        assert await self.letters() == 0


@pytest.fixture
async def fair(server: Server) -> Fair:
    return await Fair(server).open()


async def test_an_award_is_a_transfer_an_event_and_a_standing(fair: Fair) -> None:
    first = await fair.do(Award(character_id=ADA, amount=25, reason="Found the ring"))
    assert (first.amount, first.balance, first.earned, first.level, first.parts) == (25, 25, 25, 1, [])
    [told] = await fair.told("points.awarded")
    assert told["transfer_id"] == str(first.transfer_id)
    assert (told["amount"], told["reason"], told["balance"], told["earned"]) == (25, "Found the ring", 25, 25)
    [transfer] = await fair.server.fetch(
        "SELECT t.amount, t.kind, e.type FROM ledger_transfers t JOIN events e ON e.world_id = t.world_id "
        "AND e.id = t.event_id WHERE t.world_id = $1", fair.world_id,
    )  # fmt: skip
    assert tuple(transfer) == (25, "award", "points.awarded")
    assert await fair.standing(ADA) == {"earned": 25, "level": 1, "streak": 1, "awards": 1}
    await fair.whole()


async def test_many_at_once_each_get_their_own(fair: Fair) -> None:
    commands = [Award(character_id=(ADA, BEN)[n % 2], amount=n + 1, reason="x") for n in range(60)]
    strangers = [Award(character_id=UUID(int=999), amount=1, reason="x") for _ in range(3)]
    results = await asyncio.gather(*(fair.do(c) for c in commands + strangers), return_exceptions=True)
    assert [r.code for r in results[60:]] == ["character_not_found"] * 3  # type: ignore[union-attr]
    assert await fair.balance(ADA) == sum(range(1, 60, 2))
    assert await fair.balance(BEN) == sum(range(2, 61, 2))
    assert [r.amount for r in results[:60]] == list(range(1, 61))  # type: ignore[union-attr]
    assert (await fair.standing(ADA))["earned"] == await fair.balance(ADA)
    await fair.whole()
