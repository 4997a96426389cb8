"""Negotiations against the real database: offers, answers, persuasion, deadlines, and answers by themselves."""

import asyncio
import re
from typing import Any
from uuid import UUID

import orjson
import pytest

from fablewright.core.clock import DAY
from fablewright.core.engine import Scope
from fablewright.core.messages import Command
from fablewright.core.refusal import Refused
from fablewright.core.transaction import Request, Timer, Transaction
from fablewright.systems.characters.commands import CreateCharacter, UpdateCharacter
from fablewright.systems.diplomacy import (
    bargaining,
    evaluator,
    nego_timers,
    negotiations,
    perspectives,
    persuasion,
)
from fablewright.systems.diplomacy.clauses import (
    AnyClause,
    Custom,
    Defend,
    HandOver,
    KeepOut,
    NoTrade,
    OpenBorders,
    Pay,
    SupportInWar,
)
from fablewright.systems.diplomacy.commands import SetRelation
from fablewright.systems.diplomacy.nego_commands import (
    AnswerOffer,
    Deliberate,
    MakeOffer,
    OpenNegotiation,
    Persuade,
    WalkOut,
)
from fablewright.systems.diplomacy.treaty_commands import AMOUNT_NOT_COVERED, SignTreaty
from fablewright.systems.factions.commands import (
    ChangeFaction,
    DissolveFaction,
    FoundFaction,
    GrantTreasury,
    MemberValue,
    RemoveMember,
)
from fablewright.systems.ledger.commands import DefineCurrency, Transfer
from fablewright.systems.markets.commands import DefineGoods, GoodValue
from fablewright.systems.worlds.commands import AdvanceWorld
from tests.support import Person, Server, until

ADA, BEN, CYN, EVE, FAY = (UUID(int=n) for n in range(101, 106))
ASH, FORD, MOOR, DALE = (UUID(int=n) for n in range(501, 505))


class Table:
    """A world with three factions. Ada leads Ash (Ben its ambassador, Cyn its general), Eve leads Ford, and Fay leads
    Moor, which runs itself."""

    def __init__(self, server: Server):
        self.server = server

    async def open(self) -> "Table":
        self.owner = await self.server.person()
        self.world_id = await self.server.world(self.owner)
        names = ((ADA, "Ada"), (BEN, "Ben"), (CYN, "Cyn"), (EVE, "Eve"), (FAY, "Fay"))
        ash = [
            MemberValue(character_id=BEN, role="ambassador"),
            MemberValue(character_id=CYN, role="general"),
        ]
        await self.do([
            *(CreateCharacter(id=who, name=name) for who, name in names),
            FoundFaction(id=ASH, name="Ash", leader_id=ADA, members=ash, treasury=1_000),
            FoundFaction(id=FORD, name="Ford", leader_id=EVE, treasury=1_000),
            FoundFaction(id=MOOR, name="Moor", leader_id=FAY, treasury=1_000, self_run=True),
        ])  # fmt: skip
        return self

    async def do(self, command: Command | list[Command], who: Person | None = None) -> Any:
        answer = await self.server.runtime.engine.execute(command, (who or self.owner).actor, self.world_id)
        return answer.result

    async def refused(self, code: str, command: Command, who: Person | None = None) -> Refused:
        before = await self.fetch("SELECT seq FROM world_heads WHERE world_id = $1")
        with pytest.raises(Refused) as error:
            await self.do(command, who)
        assert error.value.code == code
        assert await self.fetch("SELECT seq FROM world_heads WHERE world_id = $1") == before
        return error.value

    async def fetch(self, sql: str, *args: Any) -> list[Any]:
        return await self.server.fetch(sql, self.world_id, *args)

    async def talks(self, other: UUID = FORD, **fields: Any) -> UUID:
        command = OpenNegotiation(**{"faction_id": ASH, "with_ids": [other], "kind": "trade", **fields})
        return (await self.do(command)).id  # type: ignore[no-any-return]

    async def offer(
        self, talks: UUID, *clauses: AnyClause, by: UUID = ASH, who: Person | None = None, **fields: Any
    ) -> Any:
        values: dict[str, Any] = {"days": 360, **fields}
        command = MakeOffer(negotiation_id=talks, faction_id=by, clauses=list(clauses), **values)
        return await self.do(command, who)

    async def events(self, name: str) -> list[dict[str, Any]]:
        rows = await self.fetch(
            "SELECT data::text AS data FROM events WHERE world_id = $1 AND type = $2 ORDER BY seq",
            f"diplomacy.{name}",
        )
        return [orjson.loads(row["data"]) for row in rows]

    async def advance(self, by_ms: int) -> None:
        await self.do(AdvanceWorld(by_ms=by_ms))

        async def arrived() -> bool:
            rows = await self.fetch("SELECT advance_id FROM worlds WHERE id = $1")
            return rows[0]["advance_id"] is None

        await until(arrived)

    async def state(self, talks: UUID) -> str:
        rows = await self.fetch("SELECT state FROM negotiations WHERE world_id = $1 AND id = $2", talks)
        return str(rows[0]["state"])

    async def player(self, *characters: UUID) -> Person:
        person = await self.server.member(self.world_id, self.owner, "player")
        await self.do([UpdateCharacter(character_id=who, user_id=person.id) for who in characters])
        return person


@pytest.fixture
async def table(server: Server) -> Table:
    return await Table(server).open()


FAIR = Custom(text="A fair each spring.")


def pays(amount: int, a: UUID = ASH, b: UUID = FORD) -> Pay:
    return Pay(from_id=a, to_id=b, amount=amount)


# -- the table ---------------------------------------------------------------------------------------------------


async def test_what_all_accept_becomes_a_treaty_in_force(table: Table) -> None:
    talks = await table.talks(topic="Salt for timber")
    await table.offer(talks, pays(100), FAIR)
    made = await table.do(AnswerOffer(negotiation_id=talks, faction_id=FORD, number=1, accept=True))
    assert made.state == "agreed" and made.treaty_id
    treaty = (
        await table.fetch(
            "SELECT name, kind, state FROM treaties WHERE world_id = $1 AND id = $2", made.treaty_id
        )
    )[0]
    assert tuple(treaty) == ("Salt for timber", "trade", "in_force")
    (ended,) = await table.events("negotiation_ended")
    assert (ended["state"], ended["treaty_id"]) == ("agreed", str(made.treaty_id))
    await table.refused("negotiation_over", WalkOut(negotiation_id=talks, faction_id=ASH))
    left = await table.fetch(
        "SELECT 1 FROM timers WHERE world_id = $1 AND kind LIKE 'diplomacy.negotiation%'"
    )
    assert not left


async def test_counter_offers_say_what_differs(table: Table) -> None:
    talks = await table.talks()
    await table.offer(talks, pays(100), FAIR)
    borders = OpenBorders(faction_id=ASH, to_id=FORD)
    await table.offer(talks, pays(150), borders, by=FORD)
    told = (await table.events("offer_made"))[1]
    assert told["counters"] == 1
    assert [c["type"] for c in told["added"]] == ["open_borders"]
    assert [c["type"] for c in told["dropped"]] == ["custom"]
    assert [c["amount"] for c in told["changed"]] == [150]
    rows = await table.fetch(
        "SELECT number, state FROM negotiation_offers WHERE world_id = $1 AND negotiation_id = $2 ORDER BY number",
        talks,
    )
    assert [tuple(r) for r in rows] == [(1, "countered"), (2, "standing")]
    await table.offer(talks, pays(140), borders, by=FORD)
    rows = await table.fetch("SELECT state FROM negotiation_offers WHERE world_id = $1 AND number = 2")
    assert rows[0]["state"] == "withdrawn"


async def test_refusals_of_the_table(table: Table) -> None:
    talks = await table.talks()

    def answer(by: UUID = FORD, number: int = 1) -> AnswerOffer:
        return AnswerOffer(negotiation_id=talks, faction_id=by, number=number, accept=True)

    await table.refused("no_offer_stands", answer())
    await table.refused(
        "negotiates_with_itself", OpenNegotiation(faction_id=ASH, with_ids=[ASH], kind="trade")
    )
    await table.refused(
        "faction_not_found", OpenNegotiation(faction_id=ASH, with_ids=[UUID(int=1)], kind="trade")
    )
    await table.offer(talks, FAIR)
    await table.refused("own_offer", answer(ASH))
    await table.refused("no_offer_stands", answer(number=2))
    await table.refused("not_at_the_table", answer(MOOR))
    same = MakeOffer(negotiation_id=talks, faction_id=FORD, clauses=[FAIR], days=360)
    await table.refused("offer_repeated", same)
    strange = MakeOffer(negotiation_id=talks, faction_id=FORD, clauses=[pays(1, ASH, MOOR)])
    await table.refused("clause_names_no_party", strange)
    both = MakeOffer(negotiation_id=talks, faction_id=FORD, clauses=[pays(1), pays(1, FORD, ASH)])
    await table.refused("clauses_contradict", both)
    unknown = WalkOut(negotiation_id=UUID(int=1), faction_id=ASH)
    await table.refused("negotiation_not_found", unknown)
    secret = await table.talks(in_secret=True)
    await table.refused("negotiation_not_found", WalkOut(negotiation_id=secret, faction_id=MOOR))


async def test_only_who_may_negotiate_does(table: Table) -> None:
    talks = await table.talks()
    ben, cyn = await table.player(BEN), await table.player(CYN)

    def out(as_id: UUID | None) -> WalkOut:
        return WalkOut(negotiation_id=talks, faction_id=ASH, character_id=as_id)

    await table.refused("role_may_not", out(CYN), cyn)
    await table.refused("not_your_character", out(BEN), cyn)
    await table.refused("name_who_acts", out(None), ben)
    await table.refused("not_a_member", WalkOut(negotiation_id=talks, faction_id=FORD, character_id=BEN), ben)
    await table.do(out(BEN), ben)
    (ended,) = await table.events("negotiation_ended")
    assert (ended["state"], ended["faction_id"], ended["by_id"]) == ("walked_out", str(ASH), str(BEN))


async def test_who_may_not_sign_accepts_without_signing(table: Table) -> None:
    """Who may only negotiate may accept; the treaty waits for somebody of its faction whose role may sign."""
    await table.do(ChangeFaction(faction_id=ASH, roles={"ambassador": ["negotiate"], "general": ["fight"]}))
    talks = await table.talks()
    await table.offer(talks, FAIR, by=FORD)
    yes = AnswerOffer(negotiation_id=talks, faction_id=ASH, character_id=BEN, number=1, accept=True)
    made = await table.do(yes)
    assert made.state == "agreed"
    treaty = "SELECT state FROM treaties WHERE world_id = $1 AND id = $2"
    assert (await table.fetch(treaty, made.treaty_id))[0]["state"] == "signed_partly"
    await table.do(SignTreaty(treaty_id=made.treaty_id, faction_id=ASH, character_id=ADA))
    assert (await table.fetch(treaty, made.treaty_id))[0]["state"] == "in_force"


async def test_who_has_left_its_faction_leaves_the_signature_to_others(table: Table) -> None:
    """An offer stands, whoever made it: the last to answer is not told that somebody else is no member."""
    talks = await table.talks()
    made_by_ben = MakeOffer(negotiation_id=talks, faction_id=ASH, character_id=BEN, clauses=[FAIR], days=360)
    await table.do(made_by_ben)
    await table.do(RemoveMember(faction_id=ASH, member_id=BEN))
    made = await table.do(AnswerOffer(negotiation_id=talks, faction_id=FORD, number=1, accept=True))
    assert made.state == "agreed"
    treaty = "SELECT state FROM treaties WHERE world_id = $1 AND id = $2"
    assert (await table.fetch(treaty, made.treaty_id))[0]["state"] == "signed_partly"
    await table.do(SignTreaty(treaty_id=made.treaty_id, faction_id=ASH, character_id=ADA))
    assert (await table.fetch(treaty, made.treaty_id))[0]["state"] == "in_force"


@pytest.mark.parametrize(
    "clause",
    [
        KeepOut(faction_id=ASH, region_id=UUID(int=9)),
        HandOver(faction_id=ASH, to_id=FORD, character_id=UUID(int=9)),
        NoTrade(faction_id=ASH, with_id=UUID(int=9)),
        SupportInWar(faction_id=ASH, ally_id=FORD, against_id=UUID(int=9)),
    ],
)
async def test_nobody_offers_what_is_not_there(table: Table, clause: AnyClause) -> None:
    talks = await table.talks()
    refused = await table.refused(
        "clause_names_nobody", MakeOffer(negotiation_id=talks, faction_id=ASH, clauses=[FAIR, clause])
    )
    assert refused.facts["ids"] == [str(UUID(int=9))]


async def test_who_is_no_more_is_named_by_no_offer(table: Table) -> None:
    await table.do([FoundFaction(id=DALE, name="Dale"), DissolveFaction(faction_id=DALE)])
    talks = await table.talks()
    for clause in (
        NoTrade(faction_id=ASH, with_id=DALE),
        SupportInWar(faction_id=ASH, ally_id=FORD, against_id=DALE),
    ):
        offer = MakeOffer(negotiation_id=talks, faction_id=ASH, clauses=[clause])
        await table.refused("clause_names_nobody", offer)


async def test_two_hold_so_many_talks_at_once(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(negotiations, "MOST_TALKS", 2)
    first, _ = await table.talks(), await table.talks(with_ids=[FORD, MOOR])
    more = OpenNegotiation(faction_id=FORD, with_ids=[MOOR, ASH], kind="trade")
    refused = await table.refused("too_many_talks", more)
    assert refused.facts["faction_id"] == str(ASH)
    await table.do(WalkOut(negotiation_id=first, faction_id=FORD))
    await table.do(more)


@pytest.mark.parametrize(("kind", "secret"), [("trade", True), ("peace", False), ("ceasefire", False)])
async def test_of_secret_talks_comes_a_secret_treaty_unless_it_is_peace(
    table: Table, kind: str, secret: bool
) -> None:
    talks = await table.talks(kind=kind, in_secret=True)
    await table.offer(talks, FAIR)
    await table.do(AnswerOffer(negotiation_id=talks, faction_id=FORD, number=1, accept=True))
    (row,) = await table.fetch("SELECT secret FROM treaties WHERE world_id = $1")
    assert row["secret"] is secret


async def test_what_cannot_be_paid_is_not_agreed(table: Table) -> None:
    talks = await table.talks()
    await table.offer(talks, pays(5_000))
    accept = AnswerOffer(negotiation_id=talks, faction_id=FORD, number=1, accept=True)
    await table.refused("amount_not_covered", accept)
    assert await table.state(talks) == "open"


async def test_the_deadline_ends_the_talks(table: Table) -> None:
    talks = await table.talks(deadline_days=2)
    await table.offer(talks, FAIR)
    await table.advance(2 * DAY)
    assert await table.state(talks) == "expired"
    (ended,) = await table.events("negotiation_ended")
    assert ended["state"] == "expired"
    rows = await table.fetch("SELECT state FROM negotiation_offers WHERE world_id = $1")
    assert [r["state"] for r in rows] == ["lapsed"]


async def test_secret_talks_are_heard_by_the_parties(table: Table) -> None:
    await table.talks(in_secret=True)
    await table.talks(MOOR)
    rows = await table.fetch(
        "SELECT audience FROM events WHERE world_id = $1 AND type = 'diplomacy.negotiation_started' ORDER BY seq"
    )
    assert set(rows[0]["audience"]) == {ASH, FORD} and rows[1]["audience"] is None


@pytest.mark.parametrize("others", [(FORD, DALE), (FORD, FORD)])
async def test_the_last_two_answer_at_once(table: Table, others: tuple[UUID, UUID]) -> None:
    """Two parties, or two users of one: there is one treaty, and who came too late is told so."""
    await table.do(FoundFaction(id=DALE, name="Dale"))
    talks = await table.talks(with_ids=sorted(set(others)))
    await table.offer(talks, FAIR)
    answers = await asyncio.gather(
        *(table.do(AnswerOffer(negotiation_id=talks, faction_id=i, number=1, accept=True)) for i in others),
        return_exceptions=True,
    )
    states = sorted(a.code if isinstance(a, Refused) else a.state for a in answers)  # type: ignore[union-attr]
    assert states == (["agreed", "open"] if DALE in others else ["agreed", "negotiation_over"])
    assert len(await table.fetch("SELECT 1 FROM treaties WHERE world_id = $1 AND state = 'in_force'")) == 1


async def test_an_answer_and_a_counter_offer_at_once(table: Table) -> None:
    """Whichever comes first holds: an agreement, or the counter-offer that made the answer late."""
    talks = await table.talks(with_ids=[FORD, MOOR])
    await table.offer(talks, FAIR)
    counter = MakeOffer(negotiation_id=talks, faction_id=MOOR, clauses=[FAIR, pays(10)], days=360)
    yes = AnswerOffer(negotiation_id=talks, faction_id=FORD, number=1, accept=True)
    done: Any = await asyncio.gather(table.do(counter), table.do(yes), return_exceptions=True)
    answered = done[1]
    assert done[0].offer == 2
    assert answered.code == "no_offer_stands" if isinstance(answered, Refused) else answered.state == "open"
    (standing,) = await table.fetch(
        "SELECT number, accepted::text AS accepted FROM negotiation_offers WHERE world_id = $1 AND state = 'standing'"
    )
    assert standing["number"] == 2 and list(orjson.loads(standing["accepted"])) == [str(MOOR)]


def locks(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[UUID]]:
    """The tables in which rows are locked from now on, in their order, and what the first statement named."""
    found: dict[str, set[UUID]] = {}

    def seen(sql: str, args: Any) -> None:
        for name in re.findall(r"(?:FROM|JOIN) (factions|ledger_accounts|relations|negotiations)\b", sql)[:1]:
            if "FOR NO KEY UPDATE" in sql:
                found.setdefault(name, {i for arg in args if isinstance(arg, list) for i in arg})

    async def fetch(self: Transaction, sql: str, *args: Any) -> list[Any]:
        seen(sql, args)
        return list(await self.driver.fetch(sql, *args))

    async def fetchrow(self: Transaction, sql: str, *args: Any) -> Any:
        seen(sql, args)
        return await self.driver.fetchrow(sql, *args)

    monkeypatch.setattr(Transaction, "fetch", fetch)
    monkeypatch.setattr(Transaction, "fetchrow", fetchrow)
    return found


IN_ORDER = ["factions", "ledger_accounts", "relations", "negotiations"]


async def test_an_answer_locks_what_a_treaty_moves_before_the_table(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So does who persuades, or pays for a quest and then sways the talks: nobody waits for somebody who waits."""
    talks = await table.talks()
    await table.offer(talks, pays(10))
    with monkeypatch.context() as patched:
        found = locks(patched)
        await table.do(AnswerOffer(negotiation_id=talks, faction_id=FORD, number=1, accept=True))
    assert list(found) == IN_ORDER


async def test_turns_lock_all_tables_at_once(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables with users among them, and those of factions that run themselves: each kind of row in one go."""
    fen = UUID(int=504)
    await table.do(FoundFaction(id=fen, name="Fen", treasury=500, self_run=True))
    tables = [await table.talks(i, faction_id=MOOR, kind="non_aggression") for i in (ASH, FORD, fen)]
    due = "SELECT id, kind, due_at, data::text AS data, correlation_id FROM timers WHERE world_id = $1 AND kind = $2"
    timers = [
        Timer(r["id"], r["kind"], r["due_at"], orjson.loads(r["data"]), r["correlation_id"])
        for r in await table.fetch(due, negotiations.TURN)
    ]
    assert len(timers) == len(tables)
    with monkeypatch.context() as patched:
        found = locks(patched)
        await transact(table, lambda tx: nego_timers.take_turns(tx, timers))
    assert list(found) == IN_ORDER
    assert found["factions"] == {ASH, FORD, MOOR, fen} and found["negotiations"] == set(tables)
    assert found["relations"] == found["factions"]


# -- what a faction knows of the others ------------------------------------------------------------------------


async def transact(table: Table, work: Any) -> Any:
    request = Request(AdvanceWorld(by_ms=1), table.owner.actor, UUID(int=1), UUID(int=2))
    result, _ = await table.server.runtime.engine.transact(Scope(table.world_id), request, work)
    return result


async def test_nobody_reads_the_treasury_of_another_in_an_evaluation(table: Table) -> None:
    """Neither by what its power is said to be, nor by what it is believed to be able to pay."""

    async def seen(tx: Transaction) -> Any:
        return (await perspectives.perspectives(tx, [ASH, FORD], {}))[ASH]

    before = await transact(table, seen)
    assert before.others[FORD].means == 1_000
    await table.do(GrantTreasury(faction_id=FORD, amount=999, reason="a find"))
    assert await transact(table, seen) == before
    await table.do(GrantTreasury(faction_id=ASH, amount=1, reason="a find"))
    assert (await transact(table, seen)).treasury == 1_001


async def test_money_is_counted_in_ones_own_currency(table: Table) -> None:
    await table.do(DefineCurrency(code="shells", name="Shells"))
    await table.do(FoundFaction(id=DALE, name="Dale", currency="shells", treasury=5_000))
    await table.do(
        Transfer(debit="mint", credit=DALE, currency="points", amount=70, kind="test", open_accounts=True)
    )

    async def seen(tx: Transaction) -> Any:
        return await perspectives.perspectives(tx, [ASH, DALE], {})

    views = await transact(table, seen)
    assert (views[ASH].others[DALE].means, views[DALE].others[ASH].means) == (70, 0)
    assert (views[DALE].treasury, views[DALE].currency) == (5_000, "shells")
    shells = Pay(from_id=DALE, to_id=ASH, amount=4_000, currency="shells")
    assert evaluator.evaluate(views[ASH], [shells, pays(100, ASH, DALE)]).verdict != "accept"


async def test_who_cannot_pay_is_refused_in_general_words(table: Table) -> None:
    """How much there is in a treasury is nobody else's business."""
    talks = await table.talks(MOOR)
    await table.offer(talks, pays(5_000, ASH, MOOR))
    await table.advance(2 * DAY)
    (told,) = await table.events("offer_answered")
    assert (told["faction_id"], told["accepted"]) == (str(MOOR), False)
    assert told["reason"] == AMOUNT_NOT_COVERED.title


# -- persuasion --------------------------------------------------------------------------------------------------


async def test_persuasion_moves_what_a_party_leans_to_by_skill_and_dice(table: Table) -> None:
    await table.do(UpdateCharacter(character_id=BEN, skills={"rhetoric": 100}))
    talks = await table.talks()
    reason = Persuade(
        negotiation_id=talks, faction_id=ASH, character_id=BEN, other_faction_id=FORD, approach="reason"
    )
    made = await table.do(reason)
    (told,) = await table.events("party_persuaded")
    assert told["score"] == pytest.approx(0.5 * told["roll"] + sum(p["amount"] for p in told["parts"]))
    assert told["lean"] == pytest.approx(max(-6.0, min(8.0, (told["score"] - 50) / 5))) == made.lean
    assert {p["what"]: p["amount"] for p in told["parts"]}["skill"] == 50
    rows = await table.fetch(
        "SELECT lean FROM negotiation_parties WHERE world_id = $1 AND faction_id = $2", FORD
    )
    assert rows[0]["lean"] == pytest.approx(made.lean)
    await table.refused("approach_spent", reason)
    await table.offer(talks, FAIR)
    await table.do(reason)


async def test_a_threat_that_fails_is_resented(table: Table) -> None:
    await table.do(UpdateCharacter(character_id=BEN, skills={"intimidation": 0, "menace": 0, "command": 0}))
    talks = await table.talks()
    threat = Persuade(
        negotiation_id=talks, faction_id=ASH, character_id=BEN, other_faction_id=FORD, approach="intimidate"
    )
    made = await table.do(threat)
    assert made.lean < 0
    (felt,) = await table.events("relationship_changed")
    assert (felt["holder_id"], felt["about_id"], felt["opinion"]) == (str(FORD), str(ASH), -4.0)


async def test_what_happens_outside_moves_all_talks_of_two(table: Table) -> None:
    """Once for each of the others at the table, within the bounds; talks that are over stay as they were."""
    both, old, apart = [await table.talks(with_ids=ids) for ids in ([FORD, MOOR], [FORD], [FORD])]
    await table.do(WalkOut(negotiation_id=old, faction_id=ASH))

    async def work(tx: Transaction) -> int:
        return await persuasion.sway(
            tx, [(ASH, FORD, 3.0), (ASH, MOOR, 2.0), (FORD, ASH, -99.0), (MOOR, MOOR, 0.0)]
        )

    request = Request(AdvanceWorld(by_ms=1), table.owner.actor, UUID(int=1), UUID(int=2))
    many, _ = await table.server.runtime.engine.transact(Scope(table.world_id), request, work)
    assert many == 2
    rows = await table.fetch(
        "SELECT negotiation_id, faction_id, lean FROM negotiation_parties WHERE world_id = $1"
    )
    leans = {(r["negotiation_id"], r["faction_id"]): r["lean"] for r in rows if r["lean"]}
    assert leans == {(both, ASH): 5.0, (apart, ASH): 3.0, (both, FORD): -40.0, (apart, FORD): -40.0}


# -- factions that run themselves ----------------------------------------------------------------------------


async def test_a_faction_that_runs_itself_counters_and_is_accepted(table: Table) -> None:
    talks = await table.talks(MOOR, kind="defence_pact")
    await table.offer(talks, Defend(protector_id=MOOR, protected_id=ASH))
    await table.advance(2 * DAY)
    (weighed,) = await table.events("offer_weighed")
    assert weighed["verdict"] == "counter"
    assert weighed["utility"] == pytest.approx(sum(p["amount"] for p in weighed["parts"]))
    counter = (await table.events("offer_made"))[1]
    assert counter["faction_id"] == str(MOOR) and [c["type"] for c in counter["added"]] == ["pay"]
    made = await table.do(AnswerOffer(negotiation_id=talks, faction_id=ASH, number=2, accept=True))
    assert made.state == "agreed"


async def test_what_is_persuaded_can_be_accepted(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persuasion, "attempt", lambda *_: persuasion.Attempt(80, 75.0, 5.0))
    talks = await table.talks(MOOR)
    asks = [pays(20, MOOR, ASH)]
    await table.offer(talks, *asks)
    before = await table.do(Deliberate(negotiation_id=talks, faction_id=MOOR))
    assert before.verdict == "refuse"
    ways = ("reason", "charm", "bargain")
    gained = [
        (
            await table.do(
                Persuade(
                    negotiation_id=talks,
                    faction_id=ASH,
                    character_id=BEN,
                    other_faction_id=MOOR,
                    approach=way,
                )
            )
        ).lean
        for way in ways
    ]
    assert gained == [5.0] * 3
    await table.offer(talks, *asks)
    made = await table.do(Deliberate(negotiation_id=talks, faction_id=MOOR))
    assert (made.verdict, made.state) == ("accept", "agreed")


async def test_nobody_is_pumped_by_turns_of_bad_and_worse_offers(table: Table) -> None:
    talks = await table.talks(MOOR)
    for amount in (10**9, 10**8, 900, 600, 900, 600, 900, 600):
        await table.offer(talks, pays(amount, MOOR, ASH))
        made = await table.do(Deliberate(negotiation_id=talks, faction_id=MOOR))
        assert made.verdict != "accept"
    (seat,) = await table.fetch(
        "SELECT lean FROM negotiation_parties WHERE world_id = $1 AND faction_id = $2", MOOR
    )
    assert seat["lean"] <= bargaining.MOST_GIVEN_BACK


async def test_who_was_taken_over_by_a_user_does_not_sign_by_itself(table: Table) -> None:
    talks = await table.talks(MOOR)
    await table.offer(talks, pays(900, ASH, MOOR))
    await table.do(ChangeFaction(faction_id=MOOR, self_run=False))
    await table.advance(3 * DAY)
    assert await table.state(talks) == "open" and not await table.events("offer_weighed")


async def test_goods_that_no_market_knows_are_no_price(table: Table) -> None:
    await table.do(DefineGoods(goods=[GoodValue(key="salt", name="Salt", base_price=4)]))
    offer = [NoTrade(faction_id=ASH, with_id=FORD, good=good) for good in ("salt", "moonbeams")]

    async def work(tx: Transaction) -> Any:
        return (await perspectives.perspectives(tx, [ASH, MOOR], {}, offer))[MOOR]

    request = Request(AdvanceWorld(by_ms=1), table.owner.actor, UUID(int=1), UUID(int=2))
    view, _ = await table.server.runtime.engine.transact(Scope(table.world_id), request, work)
    salt, moonbeams = (evaluator.terms(view, [clause]) for clause in offer)
    assert salt > moonbeams == 0


async def test_hatred_refuses_with_reasons(table: Table) -> None:
    await table.do(SetRelation(a_id=ASH, b_id=MOOR, tension=100))
    talks = await table.talks(MOOR)
    await table.offer(talks, pays(900, MOOR, ASH))
    made = await table.do(Deliberate(negotiation_id=talks, faction_id=MOOR))
    assert made.verdict == "refuse"
    (weighed,) = await table.events("offer_weighed")
    assert any("tension" in reason for reason in weighed["reasons"])


async def test_two_that_run_themselves_come_to_an_end(table: Table) -> None:
    other = UUID(int=504)
    await table.do(FoundFaction(id=other, name="Fen", treasury=500, self_run=True))
    talks = await table.talks(other, faction_id=MOOR, kind="non_aggression")
    await table.advance(20 * DAY)
    assert await table.state(talks) == "agreed"
    (ended,) = await table.events("negotiation_ended")
    assert ended["treaty_id"] is not None


async def test_no_offer_is_made_again_that_was_lost(table: Table) -> None:
    talks = await table.talks(ASH, faction_id=MOOR, deadline_days=60)
    for _ in range(8):
        await table.advance(2 * DAY)
        rows = await table.fetch(
            "SELECT number FROM negotiation_offers WHERE world_id = $1 AND state = 'standing'"
        )
        if rows:
            number = rows[0]["number"]
            await table.do(AnswerOffer(negotiation_id=talks, faction_id=ASH, number=number, accept=False))
    assert await table.state(talks) == "walked_out"
    rows = await table.fetch("SELECT mark FROM negotiation_offers WHERE world_id = $1")
    assert rows and len({r["mark"] for r in rows}) == len(rows)
