"""What characters spend and give: their own references, and what nobody learns of others by it."""

from typing import Any
from uuid import UUID

import orjson
import pytest

from fablewright.core.messages import Command
from fablewright.core.refusal import Refused
from fablewright.systems.characters.commands import CreateCharacter, UpdateCharacter
from fablewright.systems.ledger.commands import LimitAccount, OpenAccount
from fablewright.systems.points.commands import Award, ConfigurePoints, Give, ReviewVerdict, Spend
from fablewright.systems.points.guards import WorldGuards
from tests.support import Person, Server

ADA, BEN = UUID(int=301), UUID(int=302)


class Market:
    """A world in which Ada and Ben have 100 points each, and a player of their own."""

    def __init__(self, server: Server):
        self.server = server

    async def open(self) -> "Market":
        self.owner = await self.server.person()
        self.world_id = await self.server.world(self.owner)
        self.players = []
        for who in (ADA, BEN):
            await self.do(CreateCharacter(id=who, name=f"Somebody {who.int}"))
            person = await self.server.member(self.world_id, self.owner, "player")
            await self.do(UpdateCharacter(character_id=who, user_id=person.id))
            await self.do(Award(character_id=who, amount=100, reason="Pay"))
            self.players.append(person)
        return self

    async def do(self, command: Command, who: Person | None = None) -> Any:
        return await self.server.do(command, (who or self.owner).actor, self.world_id)

    async def refused(self, code: str, command: Command, who: Person | None = None) -> Refused:
        with pytest.raises(Refused) as caught:
            await self.do(command, who)
        assert caught.value.code == code
        return caught.value

    async def told(self, kind: str) -> list[dict[str, Any]]:
        rows = await self.server.fetch(
            "SELECT data::text AS data FROM events WHERE world_id = $1 AND type = $2 ORDER BY seq",
            self.world_id, kind,
        )  # fmt: skip
        return [orjson.loads(row["data"]) for row in rows]

    async def has(self, who: UUID) -> int:
        rows = await self.server.fetch(
            "SELECT balance FROM ledger_accounts WHERE world_id = $1 AND owner_id = $2", self.world_id, who
        )
        return int(rows[0]["balance"])


@pytest.fixture
async def market(server: Server) -> Market:
    return await Market(server).open()


async def test_an_award_tells_nobody_what_the_character_has(market: Market) -> None:
    told = await market.told("points.awarded")
    assert len(told) == 2 and all("balance" not in data for data in told)


@pytest.mark.parametrize("opened", [True, False])
async def test_who_gives_too_much_does_not_learn_what_the_other_has(market: Market, opened: bool) -> None:
    if opened:
        await market.do(LimitAccount(owner_id=BEN, currency="points", max_balance=123))
        given = Give(from_id=ADA, to_id=BEN, amount=50)
    else:
        other = UUID(int=303)
        await market.do(CreateCharacter(id=other, name="Poor"))
        await market.do(OpenAccount(owner_id=other, currency="points", max_balance=23))
        given = Give(from_id=ADA, to_id=other, amount=50)
    master = await market.refused("balance_limit", given)
    assert master.facts["max_balance"] in (123, 23) and master.facts["balance"] in (100, 0)
    refused = await market.refused("balance_limit", given, market.players[0])
    assert refused.facts == {"owner_id": str(given.to_id), "currency": "points"}
    assert refused.detail == refused.refusal.title
    await market.do(
        ConfigurePoints(guards=WorldGuards.model_validate({"gift_circle": {"outcome": "refuse"}}))
    )
    await market.do(Give(from_id=BEN, to_id=ADA, amount=1))
    if opened:  # what would close a circle is tried first
        refused = await market.refused("balance_limit", given, market.players[0])
        assert set(refused.facts) == {"owner_id", "currency"}


async def test_what_somebody_else_calls_a_payment_blocks_nobody(market: Market) -> None:
    ada, ben = market.players
    word = f"achievement:first_steps:{BEN}"
    paid = await market.do(Spend(character_id=ADA, amount=1, reason="x", reference=word), ada)
    given = await market.do(Give(from_id=BEN, to_id=ADA, amount=2, reference=word), ben)
    reward = await market.do(Award(character_id=BEN, amount=5, reason="x", reference=word))
    assert {paid.reference, given.reference, reward.reference} == {word}
    assert {e["reference"] for kind in ("spent", "given") for e in await market.told(f"points.{kind}")} == {
        word
    }
    assert (await market.has(ADA), await market.has(BEN)) == (101, 103)

    again = await market.do(Spend(character_id=ADA, amount=1, reason="x", reference=word), ada)
    assert (again.replayed, again.transfer_id, again.reference) == (True, paid.transfer_id, word)
    again = await market.do(Give(from_id=BEN, to_id=ADA, amount=2, reference=word), ben)
    assert (again.replayed, again.transfer_id, again.reference) == (True, given.transfer_id, word)
    for command, who in (
        (Spend(character_id=ADA, amount=2, reason="x", reference=word), ada),
        (Give(from_id=ADA, to_id=BEN, amount=1, reference=word), ada),
        (Give(from_id=BEN, to_id=ADA, amount=3, reference=word), ben),
    ):
        refused = await market.refused("reference_reused", command, who)
        assert refused.facts["reference"] == word
        assert f"{word!r}" in refused.detail and str(command.message_type) and str(ADA) not in refused.detail
    assert (await market.has(ADA), await market.has(BEN)) == (101, 103)


async def test_a_gift_that_waits_keeps_the_word_it_was_sent_with(market: Market) -> None:
    await market.do(
        ConfigurePoints(guards=WorldGuards.model_validate({"gift_circle": {"outcome": "quarantine"}}))
    )
    await market.do(Give(from_id=ADA, to_id=BEN, amount=4))
    back = Give(from_id=BEN, to_id=ADA, amount=3, reference="back-1")
    waits = await market.do(back, market.players[1])
    again = await market.do(back, market.players[1])
    assert (waits.reference, again.reference, again.hold_id) == ("back-1", "back-1", waits.hold_id)
    assert again.replayed and waits.transfer_id is None
    assert [e["reference"] for e in await market.told("ledger.held")] == ["back-1"]
    rows = await market.server.fetch("SELECT id FROM abuse_verdicts WHERE world_id = $1", market.world_id)
    await market.do(ReviewVerdict(verdict_id=rows[0]["id"], decision="release"))
    assert (await market.told("points.given"))[-1]["reference"] == "back-1"
    again = await market.do(back, market.players[1])
    assert again.replayed and again.reference == "back-1" and again.transfer_id is not None
