"""Treaties against the real database: signing, payments, breaches, ends, and two at once."""

import asyncio
from typing import Any
from uuid import UUID

import orjson
import pytest

from fablewright.core.clock import DAY
from fablewright.core.messages import Command
from fablewright.core.refusal import Refused
from fablewright.systems.characters.commands import CreateCharacter
from fablewright.systems.diplomacy.commands import SetRelation
from fablewright.systems.diplomacy.treaty_commands import (
    AccuseOfBreach,
    ChangeDraft,
    ImportTreaty,
    ProposeTreaty,
    RejectTreaty,
    RenewTreaty,
    RevealTreaty,
    SignTreaty,
    SuspendTreaty,
    TerminateTreaty,
    WithdrawFromTreaty,
)
from fablewright.systems.diplomacy.war_commands import DeclareWar
from fablewright.systems.factions.commands import (
    AddMember,
    DissolveFaction,
    FoundFaction,
    GrantTreasury,
)
from fablewright.systems.markets.commands import DefineGoods, GoodValue
from fablewright.systems.regions.commands import BanMovement, DefineRegions, RegionValue, SetControl
from fablewright.systems.worlds.commands import AdvanceWorld, SetClock
from tests.support import Person, Server, until

ASH, ELM, OAK = (UUID(int=n) for n in range(201, 204))
AMB, SERF = UUID(int=301), UUID(int=302)
HILL = UUID(int=401)


class Court:
    """A world with three factions, an ambassador and a serf of the first; its clock stands still."""

    def __init__(self, server: Server):
        self.server = server

    async def open(self) -> "Court":
        self.owner = await self.server.person()
        self.world_id = await self.server.world(self.owner)
        await self.do(SetClock(paused=True))
        await self.do([CreateCharacter(id=AMB, name="Ida"), CreateCharacter(id=SERF, name="Sam")])
        for faction, name in ((ASH, "Ash"), (ELM, "Elm"), (OAK, "Oak")):
            await self.do(FoundFaction(id=faction, name=name))
        await self.do(AddMember(faction_id=ASH, member_id=AMB, role="ambassador"))
        await self.do(AddMember(faction_id=ASH, member_id=SERF))
        return self

    async def do(self, command: Command | list[Command], who: Person | None = None) -> Any:
        answer = await self.server.runtime.engine.execute(command, (who or self.owner).actor, self.world_id)
        return answer.result

    async def refused(self, code: str, command: Command) -> Refused:
        with pytest.raises(Refused) as error:
            await self.do(command)
        assert error.value.code == code
        return error.value

    async def propose(self, *clauses: dict[str, Any], parties: Any = (ASH, ELM), **fields: Any) -> UUID:
        given = {
            "name": "Treaty of Ash",
            "parties": list(parties),
            "clauses": list(clauses),
            "faction_id": parties[0],
        }
        return UUID((await self.do(ProposeTreaty(**{**given, **fields})))["id"])

    async def sign(self, treaty_id: UUID, *parties: UUID) -> Any:
        for party in parties:
            done = await self.do(SignTreaty(treaty_id=treaty_id, faction_id=party))
        return done

    async def signed(self, *clauses: dict[str, Any], parties: Any = (ASH, ELM), **fields: Any) -> UUID:
        treaty_id = await self.propose(*clauses, parties=parties, **fields)
        await self.sign(treaty_id, *parties)
        return treaty_id

    async def fetch(self, sql: str, *args: Any) -> list[Any]:
        return await self.server.fetch(sql, self.world_id, *args)

    async def state(self, treaty_id: UUID) -> str:
        rows = await self.fetch("SELECT state FROM treaties WHERE world_id = $1 AND id = $2", treaty_id)
        return str(rows[0]["state"])

    async def events(self, kind: str) -> list[Any]:
        rows = await self.fetch(
            "SELECT data::text AS data FROM events WHERE world_id = $1 AND type = $2 ORDER BY seq",
            f"diplomacy.{kind}",
        )
        return [orjson.loads(row["data"]) for row in rows]

    async def violations(self) -> list[tuple[str, str, UUID]]:
        rows = await self.fetch(
            "SELECT kind, state, faction_id FROM treaty_violations WHERE world_id = $1 ORDER BY at, id"
        )
        return [tuple(row) for row in rows]

    async def treasury(self, faction: UUID) -> int:
        rows = await self.fetch(
            "SELECT balance FROM ledger_accounts WHERE world_id = $1 AND owner_id = $2", faction
        )
        return int(rows[0]["balance"]) if rows else 0

    async def trust(self, holder: UUID, about: UUID) -> float:
        rows = await self.fetch(
            "SELECT trust FROM trusts WHERE world_id = $1 AND holder_id = $2 AND about_id = $3", holder, about
        )
        return float(rows[0]["trust"]) if rows else 0.5

    async def advance(self, days: float) -> None:
        await self.do(AdvanceWorld(by_ms=int(days * DAY)))

        async def there() -> bool:
            return (await self.fetch("SELECT advance_id FROM worlds WHERE id = $1"))[0]["advance_id"] is None

        await until(there, 60)

    async def sound(self) -> None:
        assert [f for f in await self.server.findings() if str(self.world_id) in f] == []


@pytest.fixture
async def court(server: Server) -> Court:
    return await Court(server).open()


def pays(amount: int, every_days: int | None = None, **fields: Any) -> dict[str, Any]:
    return {"type": "pay", "from_id": ASH, "to_id": ELM, "amount": amount, "every_days": every_days, **fields}


PEACE = {"type": "no_attack", "a_id": ASH, "b_id": ELM}


# -- signing -------------------------------------------------------------------------------------------------


async def test_a_treaty_is_in_force_when_all_have_signed(court: Court) -> None:
    treaty = await court.propose(PEACE, duration_days=100)
    assert await court.state(treaty) == "draft"
    first = await court.sign(treaty, ASH)
    assert (first["state"], first["missing"]) == ("signed_partly", [str(ELM)])
    assert (await court.sign(treaty, ELM))["state"] == "in_force"
    (told,) = await court.events("treaty_in_force")
    assert told["ends_at"] - told["starts_at"] == 100 * DAY
    await court.sound()


async def test_an_ambassador_may_sign_and_a_serf_may_not(court: Court) -> None:
    treaty = await court.propose(PEACE)
    refused = await court.refused(
        "role_may_not", SignTreaty(treaty_id=treaty, faction_id=ASH, character_id=SERF)
    )
    assert "ambassador" in str(refused.facts)
    await court.refused("not_a_member", SignTreaty(treaty_id=treaty, faction_id=ELM, character_id=AMB))
    await court.do(SignTreaty(treaty_id=treaty, faction_id=ASH, character_id=AMB))


async def test_what_is_wrong_is_refused_by_name(court: Court) -> None:
    with pytest.raises(Refused, match="treaty_with_oneself"):
        await court.propose(parties=(ASH, ASH))
    with pytest.raises(Refused, match="clause_unknown"):
        await court.propose({"type": "sing"})
    with pytest.raises(Refused, match="clauses_contradict"):
        await court.propose(pays(5), pays(5, from_id=ELM, to_id=ASH))
    with pytest.raises(Refused, match="clause_names_no_party"):
        await court.propose(pays(5, to_id=OAK))
    with pytest.raises(Refused, match="dates_wrong"):
        await court.propose(PEACE, starts_at=-DAY)
    with pytest.raises(Refused, match="not_a_party"):
        await court.propose(PEACE, faction_id=OAK)
    with pytest.raises(Refused, match="faction_not_found"):
        await court.propose(parties=(ASH, UUID(int=9)))
    treaty = await court.propose(PEACE)
    await court.refused("not_a_party", SignTreaty(treaty_id=treaty, faction_id=OAK))
    await court.refused("treaty_not_found", SignTreaty(treaty_id=UUID(int=9), faction_id=ASH))
    await court.sign(treaty, ASH)
    await court.refused("already_signed", SignTreaty(treaty_id=treaty, faction_id=ASH))
    await court.do(RejectTreaty(treaty_id=treaty, faction_id=ELM, reason="no"))
    await court.refused("treaty_not_open", SignTreaty(treaty_id=treaty, faction_id=ELM))
    await court.sound()


async def test_a_changed_draft_must_be_signed_anew(court: Court) -> None:
    treaty = await court.propose(PEACE)
    await court.sign(treaty, ASH)
    change = {"name": "Second", "parties": [ASH, ELM, OAK], "clauses": [PEACE]}
    done = await court.do(ChangeDraft(treaty_id=treaty, faction_id=ELM, **change))
    assert (done["state"], len(done["missing"])) == ("draft", 3)
    await court.sign(treaty, ASH, ELM, OAK)
    assert await court.state(treaty) == "in_force"


async def test_two_sign_at_once(court: Court) -> None:
    for _ in range(3):
        treaty = await court.propose(PEACE)
        await asyncio.gather(*(court.sign(treaty, who) for who in (ASH, ELM)))
        assert await court.state(treaty) == "in_force"
    again = await court.propose(PEACE)
    done = await asyncio.gather(*(court.sign(again, ASH) for _ in range(2)), return_exceptions=True)
    assert sorted(isinstance(d, Refused) and d.code == "already_signed" for d in done) == [False, True]
    assert len(await court.events("treaty_in_force")) == 3
    await court.sound()


async def test_a_peace_ends_a_war_in_a_truce(court: Court) -> None:
    await court.do(SetRelation(a_id=ASH, b_id=ELM, status="war"))
    await court.signed(PEACE, kind="peace")
    rows = await court.fetch("SELECT status FROM relations WHERE world_id = $1 AND low_id = $2", ASH)
    assert rows[0]["status"] == "truce"


# -- payments ------------------------------------------------------------------------------------------------


async def test_what_is_due_at_once_is_paid_or_the_treaty_is_not_signed(court: Court) -> None:
    treaty = await court.propose(pays(50))
    await court.sign(treaty, ASH)
    await court.refused("amount_not_covered", SignTreaty(treaty_id=treaty, faction_id=ELM))
    assert await court.state(treaty) == "signed_partly"
    await court.do(GrantTreasury(faction_id=ASH, amount=60, reason="taxes"))
    await court.sign(treaty, ELM)
    assert (await court.treasury(ASH), await court.treasury(ELM)) == (10, 50)
    await court.sound()


async def test_tribute_is_paid_every_month_until_it_is_not(court: Court) -> None:
    await court.do(GrantTreasury(faction_id=ASH, amount=75, reason="taxes"))
    trust = await court.trust(ELM, ASH)
    treaty = await court.signed(pays(30, 30), name="Tribute", grace_days=5)
    await court.advance(65)
    assert (await court.treasury(ASH), await court.treasury(ELM)) == (15, 60)
    assert await court.trust(ELM, ASH) > trust
    await court.advance(27)  # the third is not covered
    assert await court.violations() == [("unpaid", "in_grace", ASH)]
    await court.do(GrantTreasury(faction_id=ASH, amount=20, reason="taxes"))
    await court.advance(5)
    assert await court.violations() == [("unpaid", "mended", ASH)]
    assert await court.treasury(ELM) == 90
    trust = await court.trust(ELM, ASH)
    await court.advance(30)
    assert [v[1] for v in await court.violations()] == ["mended", "confirmed"]
    assert await court.trust(ELM, ASH) < trust
    assert await court.state(treaty) == "in_force"
    await court.sound()


async def test_payments_that_are_due_together_are_one_batch(court: Court) -> None:
    await court.do(GrantTreasury(faction_id=ASH, amount=1000, reason="taxes"))
    for n in range(1, 6):
        await court.signed(pays(n, 30), name=f"T {n}")
    await court.advance(31)
    assert await court.treasury(ELM) == 15
    rows = await court.fetch(
        "SELECT count(DISTINCT correlation_id) AS n FROM events WHERE world_id = $1 "
        "AND type = 'factions.treasury_moved' AND data->>'kind' = 'diplomacy.treaty'"
    )
    assert rows[0]["n"] == 1
    timers = await court.fetch(
        "SELECT count(*) AS n FROM timers WHERE world_id = $1 AND kind = 'diplomacy.treaty_dues'"
    )
    assert timers[0]["n"] == 1
    await court.sound()


# -- breaches ------------------------------------------------------------------------------------------------


async def test_an_attack_breaks_the_promise_not_to(court: Court) -> None:
    treaty = await court.signed(PEACE, on_breach="break")
    trust = await court.trust(ELM, ASH)
    await court.do(DeclareWar(attacker_id=ASH, defender_id=ELM, cause="conquest"))
    assert await court.violations() == [("attacked", "confirmed", ASH)]
    assert await court.state(treaty) == "broken"
    assert await court.trust(ELM, ASH) < trust
    (told,) = await court.events("treaty_violated")
    rows = await court.fetch(
        "SELECT type FROM events WHERE world_id = $1 AND id = $2", UUID(told["event_id"])
    )
    assert rows[0]["type"] == "diplomacy.war_declared"
    await court.sound()


async def test_forbidden_trade_is_cut_as_long_as_it_is_forbidden(court: Court) -> None:
    async def cut() -> list[tuple[UUID, UUID]]:
        rows = await court.fetch(
            "SELECT from_id, to_id FROM trade_restrictions WHERE world_id = $1 AND lifted_at IS NULL "
            "AND source LIKE 'treaty:%' ORDER BY 1"
        )
        return [tuple(row) for row in rows]

    both = [(ASH, OAK), (OAK, ASH)]
    await court.do(DefineGoods(goods=[GoodValue(key="salt", name="Salt", base_price=4)]))
    clause = {"type": "no_trade", "faction_id": ASH, "with_id": OAK, "good": "salt"}
    treaty = await court.signed(clause)
    for resume, after in ((False, []), (True, both)):
        assert await cut() == (both if not resume else [])
        for who in (ASH, ELM):
            await court.do(SuspendTreaty(treaty_id=treaty, faction_id=who, resume=resume))
        assert await cut() == after
    for who in (ASH, ELM):
        await court.do(TerminateTreaty(treaty_id=treaty, faction_id=who))
    assert await cut() == []
    await court.signed({**clause, "good": "moonbeams"})
    hidden = await court.signed(clause, secret=True, duration_days=5)
    assert await cut() == []
    await court.do(RevealTreaty(treaty_id=hidden))
    assert await cut() == both
    await court.advance(6)
    assert await cut() == []
    await court.sound()


async def test_closed_borders_break_the_promise_to_open_them(court: Court) -> None:
    await court.do(DefineRegions(regions=[RegionValue(id=HILL, name="Hill", terrain="hills")]))
    await court.do(SetControl(region_id=HILL, controller_id=ELM))
    await court.signed({"type": "open_borders", "faction_id": ELM, "to_id": ASH})
    await court.do(BanMovement(region_id=HILL, subject_id=OAK, reason="a quarrel"))
    assert await court.violations() == []
    await court.do(BanMovement(region_id=HILL, subject_id=ASH, reason="a quarrel"))
    assert await court.violations() == [("barred", "confirmed", ELM)]


async def test_who_is_handed_over_in_time_is_a_promise_kept(court: Court) -> None:
    await court.do(CreateCharacter(id=UUID(int=303), name="Spy"))
    clause = {
        "type": "hand_over",
        "faction_id": ASH,
        "to_id": ELM,
        "character_id": UUID(int=303),
        "within_days": 10,
    }
    treaty = await court.signed(clause, grace_days=5)
    await court.advance(12)
    assert await court.violations() == [("kept_back", "in_grace", ASH)]
    await court.do(AddMember(faction_id=ELM, member_id=UUID(int=303)))
    assert await court.violations() == [("kept_back", "mended", ASH)]
    await court.advance(10)
    assert await court.violations() == [("kept_back", "mended", ASH)]
    assert len(await court.events("treaty_clause_fulfilled")) == 1
    assert await court.state(treaty) == "in_force"
    await court.sound()


async def test_an_unfounded_accusation_costs_reputation(court: Court) -> None:
    treaty = await court.signed(PEACE)
    done = await court.do(AccuseOfBreach(treaty_id=treaty, faction_id=ASH, accused_id=ELM, clause=1))
    assert done == {"founded": False}
    assert await court.violations() == [("accused", "unfounded", ELM)]
    rows = await court.fetch("SELECT reputation FROM factions WHERE world_id = $1 AND id = $2", ASH)
    assert rows[0]["reputation"] < 0
    await court.refused(
        "clause_not_found", AccuseOfBreach(treaty_id=treaty, faction_id=ASH, accused_id=ELM, clause=2)
    )


# -- changes and ends ----------------------------------------------------------------------------------------


async def test_treaties_end_when_their_time_is_over_or_go_on(court: Court) -> None:
    short = await court.signed(PEACE, duration_days=10)
    renewing = await court.signed(PEACE, duration_days=10, renews=True)
    later = await court.signed(PEACE, duration_days=10)
    for who in (ASH, ELM):
        await court.do(RenewTreaty(treaty_id=later, faction_id=who))
    await court.advance(15)
    assert [await court.state(t) for t in (short, renewing, later)] == ["expired", "in_force", "in_force"]
    await court.advance(10)
    assert [await court.state(t) for t in (short, renewing, later)] == ["expired", "in_force", "expired"]
    await court.sound()


async def test_a_treaty_may_begin_later(court: Court) -> None:
    rows = await court.fetch("SELECT anchor_world_ms FROM worlds WHERE id = $1")
    treaty = await court.signed(PEACE, starts_at=rows[0]["anchor_world_ms"] + 5 * DAY)
    assert await court.state(treaty) == "signed"
    await court.advance(6)
    assert await court.state(treaty) == "in_force"
    await court.sound()


async def test_all_must_agree_to_suspend_resume_and_terminate(court: Court) -> None:
    treaty = await court.signed(PEACE)
    for command, after in (
        (SuspendTreaty, "suspended"), ((lambda **f: SuspendTreaty(resume=True, **f)), "in_force"),
        (TerminateTreaty, "terminated"),
    ):  # fmt: skip
        before = await court.state(treaty)
        await court.do(command(treaty_id=treaty, faction_id=ASH))
        assert await court.state(treaty) == before
        await court.do(command(treaty_id=treaty, faction_id=ELM))
        assert await court.state(treaty) == after
        await court.sound()


async def test_who_withdraws_is_bound_until_its_notice_is_over(court: Court) -> None:
    treaty = await court.signed(PEACE, parties=(ASH, ELM, OAK), notice_days=20)
    await court.do(WithdrawFromTreaty(treaty_id=treaty, faction_id=ASH))
    await court.advance(10)
    assert await court.events("treaty_party_withdrawn") == []
    await court.advance(11)
    assert len(await court.events("treaty_party_withdrawn")) == 1
    assert await court.state(treaty) == "in_force"  # two are left
    await court.refused("not_a_party", WithdrawFromTreaty(treaty_id=treaty, faction_id=ASH))
    assert await court.fetch("SELECT key FROM treaty_watches WHERE world_id = $1") == []
    await court.sound()


async def status(court: Court, a: UUID, b: UUID) -> str:
    rows = await court.fetch(
        "SELECT status FROM relations WHERE world_id = $1 AND low_id = $2 AND high_id = $3", *sorted((a, b))
    )
    return str(rows[0]["status"]) if rows else "neutral"


@pytest.mark.parametrize("ended_by", ["agreement", "withdrawal", "time"])
async def test_allies_are_allies_as_long_as_an_alliance_binds_them(court: Court, ended_by: str) -> None:
    all_three = (ASH, ELM, OAK)
    days = 5 if ended_by == "time" else None
    treaty = await court.signed(kind="alliance", parties=all_three, notice_days=2, duration_days=days)
    other = await court.signed(kind="alliance", parties=(ASH, OAK))
    assert {await status(court, a, b) for a, b in ((ASH, ELM), (ELM, OAK), (ASH, OAK))} == {"allied"}
    if ended_by == "agreement":
        for who in all_three:
            await court.do(TerminateTreaty(treaty_id=treaty, faction_id=who))
    elif ended_by == "withdrawal":
        await court.do(WithdrawFromTreaty(treaty_id=treaty, faction_id=ELM))
        assert await status(court, ASH, ELM) == "allied"
        await court.advance(3)
    else:
        await court.advance(6)
    assert await status(court, ASH, ELM) == "neutral"
    assert await status(court, ELM, OAK) == "neutral"
    assert await status(court, ASH, OAK) == "allied"
    for who in (ASH, OAK):
        await court.do(TerminateTreaty(treaty_id=other, faction_id=who))
    ended = "allied" if ended_by == "withdrawal" else "cordial"
    assert await status(court, ASH, OAK) == ended  # those who stay are allies still
    await court.sound()


async def test_a_dissolved_faction_leaves(court: Court) -> None:
    treaty, open_one = await court.signed(PEACE), await court.propose(PEACE)
    await court.do(DissolveFaction(faction_id=ELM))
    assert [await court.state(t) for t in (treaty, open_one)] == ["withdrawn", "terminated"]
    await court.sound()


async def test_history_is_imported_and_played_forward(court: Court) -> None:
    await court.do(GrantTreasury(faction_id=ASH, amount=100, reason="taxes"))
    base = {"parties": [ASH, ELM], "starts_at": -100 * DAY}
    over = await court.do(ImportTreaty(name="Old", duration_days=50, clauses=[pays(5)], **base))
    cut = await court.do(ImportTreaty(name="Cut", closed_at=-90 * DAY, clauses=[PEACE], **base))
    runs = await court.do(ImportTreaty(name="New", duration_days=150, clauses=[pays(5, 10)], **base))
    assert [t["state"] for t in (over, cut, runs)] == ["expired", "terminated", "in_force"]
    assert await court.treasury(ELM) == 0
    await court.advance(11)
    assert await court.treasury(ELM) == 5
    await court.sound()


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({"ends_at": -50 * DAY}, "expired"),
        ({"ends_at": 50 * DAY}, "in_force"),
        ({"duration_days": 10, "renews": True}, "in_force"),
        ({"duration_days": 10, "ends_at": 20 * DAY}, "in_force"),
        ({"closed_at": -5 * DAY, "outcome": "broken", "reason": "the raid"}, "broken"),
        ({"suspended": True}, "suspended"),
        ({"starts_at": 40 * DAY}, "signed"),
    ],
)
async def test_a_treaty_is_imported_as_what_it_has_become(
    court: Court, fields: dict[str, Any], state: str
) -> None:
    given = {"name": "Old", "parties": [ASH, ELM], "clauses": [PEACE, pays(5, 10)], "starts_at": -101 * DAY}
    done = await court.do(ImportTreaty(**{**given, **fields}))
    assert done["state"] == state
    (row,) = await court.fetch("SELECT * FROM treaties WHERE world_id = $1")
    assert row["state"] == state
    if fields.get("renews"):
        assert 0 < row["ends_at"] <= 10 * DAY and (row["ends_at"] - row["starts_at"]) % (10 * DAY) == 0
    await court.advance(41)
    await court.sound()
    assert (
        await court.fetch("SELECT 1 FROM opinions WHERE world_id = $1 AND amount > 0") == []
        or state == "signed"
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"starts_at": 5, "ends_at": 4}, {"closed_at": -5}, {"starts_at": -5, "closed_at": -6},
        {"starts_at": -5, "closed_at": 10**12}, {"starts_at": 7, "ends_at": 7},
    ],
)  # fmt: skip
async def test_history_has_an_order(court: Court, fields: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="dates_wrong"):
        await court.do(ImportTreaty(name="x", parties=[ASH, ELM], **fields))


async def test_a_secret_treaty_is_told_to_its_parties_alone(court: Court) -> None:
    treaty = await court.signed(PEACE, secret=True)
    rows = await court.fetch(
        "SELECT DISTINCT audience FROM events WHERE world_id = $1 AND type LIKE 'diplomacy.treaty%'"
    )
    assert [sorted(row["audience"]) for row in rows] == [[ASH, ELM]]
    await court.do(RevealTreaty(treaty_id=treaty))
    await court.refused("treaty_not_open", RevealTreaty(treaty_id=treaty))
