"""Factions against the real database: members, roles, leaders, treasuries, power, and who may what."""

import asyncio
from typing import Any
from uuid import UUID

import orjson
import pytest

from fablewright.core.actors import system_actor
from fablewright.core.clock import DAY
from fablewright.core.dice import random_uuid
from fablewright.core.engine import Scope
from fablewright.core.messages import Command
from fablewright.core.refusal import Refused
from fablewright.core.timers import FireTimers
from fablewright.core.transaction import Request, Transaction
from fablewright.systems.characters.commands import CreateCharacter, DeleteCharacter, UpdateCharacter
from fablewright.systems.factions import service
from fablewright.systems.factions.commands import (
    AddMember,
    ChangeFaction,
    DissolveFaction,
    FoundFaction,
    GrantTreasury,
    Leave,
    MemberValue,
    Muster,
    RemoveMember,
    SetLeader,
    SetRank,
    SetStrength,
    SpendTreasury,
)
from fablewright.systems.factions.service import Payment
from fablewright.systems.ledger.book import MINT
from fablewright.systems.ledger.commands import DefineCurrency
from fablewright.systems.regions.commands import DefineRegions, RegionValue, RemoveRegion, SetControl
from fablewright.systems.worlds.commands import AdvanceWorld
from tests.support import Person, Server, until

ADA, BEN, CYN, DOT, EVE, FAY = (UUID(int=n) for n in range(101, 107))
ASH, FORD = UUID(int=501), UUID(int=502)
VALE, FENS = UUID(int=301), UUID(int=302)
NOBODY = UUID(int=9)
RANKS = ["lord", "knight", "squire"]


class Realm:
    """A world with six characters, two regions and two factions, whose clock stands still.

    House Ash: Ada leads, Ben (knight) is its ambassador, Cyn (knight) its general, Dot a squire. The Ford Guild: Eve
    leads it. Fay belongs to nothing.
    """

    def __init__(self, server: Server):
        self.server = server

    async def open(self) -> "Realm":
        self.owner = await self.server.person()
        self.world_id = await self.server.world(self.owner)
        names = ((ADA, "Ada"), (BEN, "Ben"), (CYN, "Cyn"), (DOT, "Dot"), (EVE, "Eve"), (FAY, "Fay"))
        regions = [
            RegionValue(id=VALE, name="Vale", resources={"iron": 4, "wool": 6}, population=5_000, stability=0.5,
                        stability_rest=0.5),
            RegionValue(id=FENS, name="Fens"),
        ]  # fmt: skip
        ash = [
            MemberValue(character_id=BEN, rank="knight", role="ambassador"),
            MemberValue(character_id=CYN, rank="knight", role="general"),
            MemberValue(character_id=DOT),
        ]
        await self.do([
            *(CreateCharacter(id=who, name=name) for who, name in names),
            DefineRegions(regions=regions),
            FoundFaction(
                id=ASH, name="House Ash", leader_id=ADA, members=ash, ranks=RANKS, treasury=1_000, strength=200,
                capital_id=VALE, ideology={"crown": 0.8},
            ),
            FoundFaction(id=FORD, name="The Ford Guild", kind="guild", leader_id=EVE),
            SetControl(region_id=VALE, controller_id=ASH),
        ])  # fmt: skip
        return self

    async def do(self, command: Command | list[Command], who: Person | None = None) -> Any:
        answer = await self.server.runtime.engine.execute(command, (who or self.owner).actor, self.world_id)
        return answer.result

    async def refused(
        self, code: str, command: Command | list[Command], who: Person | None = None
    ) -> Refused:
        before = await self.state()
        with pytest.raises(Refused) as error:
            await self.do(command, who)
        assert error.value.code == code
        assert await self.state() == before
        return error.value

    async def state(self) -> list[Any]:
        """All that a refused command must leave as it is."""
        return [
            await self.fetch("SELECT seq FROM world_heads WHERE world_id = $1"),
            await self.fetch("SELECT * FROM factions WHERE world_id = $1 ORDER BY id"),
            await self.fetch("SELECT * FROM faction_members WHERE world_id = $1 ORDER BY id"),
            await self.fetch("SELECT * FROM ledger_accounts WHERE world_id = $1 ORDER BY owner_id, currency"),
        ]

    async def fetch(self, sql: str, *args: Any) -> list[Any]:
        return await self.server.fetch(sql, self.world_id, *args)

    async def player(self, *characters: UUID) -> Person:
        """Somebody new who controls these characters."""
        person = await self.server.member(self.world_id, self.owner, "player")
        await self.do([UpdateCharacter(character_id=who, user_id=person.id) for who in characters])
        return person

    async def read(self, call: Any) -> Any:
        """What a function of the service answers inside a transaction."""
        request = Request(
            FireTimers(kind="ledger.hold_expires", due_at=0),
            system_actor("test"),
            random_uuid(),
            random_uuid(),
        )

        async def work(tx: Transaction) -> Any:
            return await call(tx)

        return (await self.server.runtime.engine.transact(Scope(self.world_id), request, work))[0]

    async def events(self, pattern: str = "factions.%") -> list[tuple[str, dict[str, Any]]]:
        rows = await self.fetch(
            "SELECT type, data::text AS data FROM events WHERE world_id = $1 AND type LIKE $2 ORDER BY seq",
            pattern,
        )
        return [(row["type"].removeprefix("factions."), orjson.loads(row["data"])) for row in rows]

    async def told(self, after: int) -> list[tuple[str, dict[str, Any]]]:
        """The factions' events after the first so many."""
        return (await self.events())[after:]

    async def get(self, path: str, who: Person | None = None, status: int = 200) -> Any:
        answer = await self.server.client.get(
            f"/api/v1/worlds/{self.world_id}/{path}", headers=(who or self.owner).headers
        )
        assert answer.status_code == status, answer.text
        return answer.json()

    async def belongs(self) -> dict[UUID, tuple[UUID, str, str | None]]:
        """By character, its faction, rank and role."""
        rows = await self.fetch(
            "SELECT character_id, faction_id, rank, role FROM faction_members WHERE world_id = $1 AND left_at IS NULL"
        )
        return {row["character_id"]: (row["faction_id"], row["rank"], row["role"]) for row in rows}

    async def leader(self, faction_id: UUID = ASH) -> UUID | None:
        rows = await self.fetch("SELECT leader_id FROM factions WHERE world_id = $1 AND id = $2", faction_id)
        found: UUID | None = rows[0]["leader_id"]
        return found

    async def treasury(self, faction_id: UUID = ASH) -> int:
        return int((await self.get(f"factions/{faction_id}"))["treasury"])

    async def sound(self) -> None:
        """The checks of the doctor find nothing wrong in this world."""
        assert [f for f in await self.server.findings() if str(self.world_id) in f] == []


@pytest.fixture
async def realm(server: Server) -> Realm:
    return await Realm(server).open()


# -- founding, changing, dissolving --------------------------------------------------------------------------


async def test_a_faction_is_founded_whole(realm: Realm) -> None:
    assert await realm.belongs() == {
        ADA: (ASH, "lord", "ruler"), BEN: (ASH, "knight", "ambassador"), CYN: (ASH, "knight", "general"),
        DOT: (ASH, "squire", None), EVE: (FORD, "leader", "ruler"),
    }  # fmt: skip
    found = await realm.get(f"factions/{ASH}")
    assert (found["leader_id"], found["treasury"], found["members"]) == (str(ADA), 1_000, 4)
    assert (found["region_ids"], found["capital_id"]) == ([str(VALE)], str(VALE))
    types = [kind for kind, _ in await realm.events()]
    assert types == ["founded", "treasury_moved", "founded"]
    founded = (await realm.events())[0][1]
    assert founded["members"][0]["character_id"] in {str(ADA), str(BEN)}
    assert len(founded["members"]) == 4
    await realm.sound()


REFUSED: list[tuple[str, Command]] = [
    ("faction_exists", FoundFaction(id=ASH, name="Other")),
    ("faction_name_taken", FoundFaction(name="House Ash")),
    ("region_not_found", FoundFaction(name="x", capital_id=NOBODY)),
    ("currency_not_found", FoundFaction(name="x", currency="salt")),
    ("character_not_found", FoundFaction(name="x", leader_id=NOBODY)),
    ("already_a_member", FoundFaction(name="x", leader_id=BEN)),
    ("rank_unknown", FoundFaction(name="x", members=[MemberValue(character_id=FAY, rank="duke")])),
    ("role_unknown", FoundFaction(name="x", members=[MemberValue(character_id=FAY, role="cook")])),
    ("role_is_the_leaders", FoundFaction(name="x", members=[MemberValue(character_id=FAY, role="ruler")])),
    ("role_is_the_leaders", FoundFaction(
        name="x", leader_id=FAY, members=[MemberValue(character_id=FAY, role="general")])),
    ("faction_not_found", ChangeFaction(faction_id=NOBODY, name="x")),
    ("faction_name_taken", ChangeFaction(faction_id=FORD, name="House Ash")),
    ("rank_in_use", ChangeFaction(faction_id=ASH, ranks=["lord", "squire"])),
    ("rank_in_use", ChangeFaction(faction_id=ASH, roles={"envoy": ["negotiate"]})),
    ("region_not_found", ChangeFaction(faction_id=ASH, capital_id=NOBODY)),
    ("currency_not_found", ChangeFaction(faction_id=ASH, currency="salt")),
    ("faction_not_found", DissolveFaction(faction_id=NOBODY)),
    ("faction_not_found", DissolveFaction(faction_id=ASH, heir_id=NOBODY)),
    ("heir_is_itself", DissolveFaction(faction_id=ASH, heir_id=ASH)),
    ("faction_not_found", AddMember(faction_id=NOBODY, member_id=FAY)),
    ("character_not_found", AddMember(faction_id=ASH, member_id=NOBODY)),
    ("already_a_member", AddMember(faction_id=FORD, member_id=BEN)),
    ("already_a_member", AddMember(faction_id=ASH, member_id=BEN)),
    ("rank_unknown", AddMember(faction_id=ASH, member_id=FAY, rank="duke")),
    ("role_unknown", AddMember(faction_id=ASH, member_id=FAY, role="cook")),
    ("role_is_the_leaders", AddMember(faction_id=ASH, member_id=FAY, role="ruler")),
    ("not_a_member", RemoveMember(faction_id=ASH, member_id=EVE)),
    ("not_a_member", SetRank(faction_id=ASH, member_id=FAY, rank="knight")),
    ("rank_unknown", SetRank(faction_id=ASH, member_id=BEN, rank="duke")),
    ("role_is_the_leaders", SetRank(faction_id=ASH, member_id=BEN, role="ruler")),
    ("role_is_the_leaders", SetRank(faction_id=ASH, member_id=ADA, remove_role=True)),
    ("not_a_member", SetLeader(faction_id=ASH, member_id=EVE)),
    ("not_a_member", Leave(character_id=FAY)),
    ("faction_not_found", GrantTreasury(faction_id=NOBODY, amount=1)),
    ("insufficient_funds", SpendTreasury(faction_id=ASH, amount=1_001)),
    ("payee_not_found", SpendTreasury(faction_id=ASH, to_id=NOBODY, amount=1)),
    ("same_account", SpendTreasury(faction_id=ASH, to_id=ASH, amount=1)),
    ("faction_not_found", SetStrength(faction_id=NOBODY, strength=1)),
    ("faction_not_found", Muster(faction_id=NOBODY, troops=1)),
    ("insufficient_funds", Muster(faction_id=ASH, troops=1_001)),
    ("too_many_troops", Muster(faction_id=ASH, troops=10**9)),
]  # fmt: skip


async def test_what_is_refused_changes_nothing(realm: Realm) -> None:
    for code, command in REFUSED:
        await realm.refused(code, command)


async def test_a_faction_changes_and_tells_what(realm: Realm) -> None:
    change = ChangeFaction(faction_id=ASH, name="House Ember", self_run=True, roles={
        "ambassador": ["negotiate"], "general": ["fight"]
    }, remove_capital=True)  # fmt: skip
    answer = await realm.do(change)
    assert (answer.name, answer.capital_id, answer.roles["ambassador"]) == (
        "House Ember",
        None,
        ["negotiate"],
    )
    kind, data = (await realm.events())[-1]
    assert (kind, data["changed"]) == ("changed", ["name", "roles", "capital_id", "self_run"])
    await realm.do(change)  # no news
    assert len(await realm.events()) == 4
    await realm.refused("role_may_not", SpendTreasury(faction_id=ASH, amount=1, character_id=BEN))
    await realm.do(FoundFaction(name="House Ash"))  # the name is free again
    await realm.sound()


async def test_the_dissolved_are_remembered_and_do_nothing(realm: Realm) -> None:
    await realm.do(DissolveFaction(faction_id=ASH, heir_id=FORD, reason="The line died out."))
    told = await realm.told(3)
    assert [kind for kind, _ in told] == ["dissolved", *["member_left"] * 4, "treasury_moved"]
    assert {data["cause"] for kind, data in told if kind == "member_left"} == {"dissolved"}
    assert await realm.treasury(FORD) == 1_000
    heir = await realm.get(f"factions/{FORD}")
    assert heir["region_ids"] == [str(VALE)]
    found = await realm.get(f"factions/{ASH}")
    assert (found["leader_id"], found["members"], found["treasury"]) == (None, 0, 0)
    assert found["dissolved_at"] is not None
    assert [f["id"] for f in (await realm.get("factions"))["items"]] == [str(FORD)]
    assert len((await realm.get("factions?dissolved=true"))["items"]) == 2
    history = (await realm.get(f"characters/{BEN}/factions"))["items"]
    assert [(m["role"], m["may"], m["left_at"] is None) for m in history] == [("ambassador", [], False)]
    for command in (
        DissolveFaction(faction_id=ASH), AddMember(faction_id=ASH, member_id=FAY),
        GrantTreasury(faction_id=ASH, amount=1), SetStrength(faction_id=ASH, strength=1),
        ChangeFaction(faction_id=ASH, name="x"), SetLeader(faction_id=ASH, member_id=None),
        DissolveFaction(faction_id=FORD, heir_id=ASH), SpendTreasury(faction_id=ASH, amount=1),
    ):  # fmt: skip
        await realm.refused("faction_dissolved", command)
    await realm.refused("payee_not_found", SpendTreasury(faction_id=FORD, to_id=ASH, amount=1))
    await realm.do([FoundFaction(name="House Ash"), AddMember(faction_id=FORD, member_id=BEN)])
    await realm.sound()


async def test_without_an_heir_the_treasury_is_gone_and_nobody_holds_the_land(realm: Realm) -> None:
    ada = await realm.player(ADA)
    await realm.do(DissolveFaction(faction_id=ASH, character_id=ADA), ada)
    rows = await realm.fetch("SELECT controller_id FROM regions WHERE world_id = $1 AND id = $2", VALE)
    assert rows[0]["controller_id"] is None
    assert (await realm.told(3))[-1][1]["kind"] == "factions.dissolved"
    await realm.sound()


async def test_what_is_spent_while_a_faction_is_dissolved_is_not_inherited(realm: Realm) -> None:
    async with realm.server.runtime.database.reading() as other, other.transaction():
        await other.execute(
            "UPDATE ledger_accounts SET balance = balance WHERE world_id = $1 AND owner_id = $2",
            realm.world_id, ASH,
        )  # fmt: skip
        spend = asyncio.create_task(realm.do(SpendTreasury(faction_id=ASH, amount=600)))
        await until(lambda: blocked(realm, other))
        going = asyncio.create_task(realm.do(DissolveFaction(faction_id=ASH, heir_id=FORD)))
        await until(lambda: blocked(realm, other, 2))
    await asyncio.gather(spend, going)
    assert await realm.treasury(FORD) == 400
    await realm.sound()


async def blocked(realm: Realm, holder: Any, many: int = 1) -> bool:
    """Whether so many wait for this connection, or for one that waits for it."""
    sql = """WITH RECURSIVE behind (pid) AS (
                 SELECT $1::int
                 UNION SELECT l.pid FROM behind b, pg_locks l
                 WHERE NOT l.granted AND b.pid = ANY(pg_blocking_pids(l.pid)))
             SELECT count(*) - 1 AS n FROM behind"""
    return bool((await realm.server.fetch(sql, holder.get_server_pid()))[0]["n"] >= many)


async def test_a_faction_whose_capital_is_gone_has_none_and_can_be_changed(realm: Realm) -> None:
    await realm.do(RemoveRegion(region_id=VALE))
    kind, data = (await realm.events())[-1]
    assert (kind, data["changed"], data["capital_id"]) == ("changed", ["capital_id"], None)
    assert (await realm.do(ChangeFaction(faction_id=ASH, self_run=True))).capital_id is None
    await realm.sound()


# -- members -------------------------------------------------------------------------------------------------


async def test_members_join_rise_and_leave(realm: Realm) -> None:
    joined = await realm.do(AddMember(faction_id=ASH, member_id=FAY, role="spymaster", character_id=ADA))
    assert (joined.rank, joined.role, joined.may) == ("squire", "spymaster", ["accuse", "spy"])
    await realm.do(SetRank(faction_id=ASH, member_id=FAY, rank="knight", remove_role=True))
    await realm.do(SetRank(faction_id=ASH, member_id=FAY, rank="knight"))  # no news
    await realm.do(RemoveMember(faction_id=ASH, member_id=FAY, reason="Theft.", character_id=ADA))
    await realm.do(Leave(character_id=BEN, reason="Had enough."))
    told = await realm.told(3)
    assert [kind for kind, _ in told] == ["member_joined", "rank_changed", "member_left", "member_left"]
    assert told[0][1]["by_id"] == str(ADA)
    assert (told[1][1]["previous_rank"], told[1][1]["previous_role"]) == ("squire", "spymaster")
    assert (told[2][1]["cause"], told[2][1]["reason"], told[2][1]["by_id"]) == ("removed", "Theft.", str(ADA))
    assert (told[3][1]["cause"], told[3][1]["character_id"]) == ("left", str(BEN))
    assert set(await realm.belongs()) == {ADA, CYN, DOT, EVE}
    await realm.do(AddMember(faction_id=FORD, member_id=BEN))
    assert await realm.read(lambda tx: service.allegiance(tx, [ADA, BEN, FAY])) == {ADA: {ASH}, BEN: {FORD}}
    page = await realm.get(f"factions/{ASH}/members?past=true")
    assert len(page["items"]) == 5
    await realm.sound()


async def test_those_who_manage_stand_above_those_they_manage(realm: Realm) -> None:
    await realm.do(ChangeFaction(faction_id=ASH, roles={
        "marshal": ["manage_members"], "ambassador": [], "general": []
    }))  # fmt: skip
    await realm.do(SetRank(faction_id=ASH, member_id=CYN, role="marshal"))
    await realm.do(AddMember(faction_id=ASH, member_id=FAY, rank="squire", character_id=CYN))
    for command in (
        SetRank(faction_id=ASH, member_id=FAY, rank="knight", character_id=CYN),
        SetRank(faction_id=ASH, member_id=CYN, rank="lord", character_id=CYN),
        RemoveMember(faction_id=ASH, member_id=BEN, character_id=CYN),
        RemoveMember(faction_id=ASH, member_id=ADA, character_id=CYN),
    ):
        await realm.refused("rank_too_low", command)
    await realm.do(RemoveMember(faction_id=ASH, member_id=FAY, character_id=CYN))
    await realm.refused(
        "rank_too_low", AddMember(faction_id=ASH, member_id=FAY, rank="lord", character_id=CYN)
    )
    await realm.do(SetRank(faction_id=ASH, member_id=ADA, rank="squire", character_id=ADA))  # who leads may


async def test_nobody_stands_above_the_leader_whatever_its_rank(realm: Realm) -> None:
    await realm.do([
        SetRank(faction_id=ASH, member_id=BEN, rank="lord"),
        ChangeFaction(faction_id=ASH, roles={"ambassador": ["manage_members"], "general": []}),
        SetLeader(faction_id=ASH, member_id=CYN),
    ])  # fmt: skip
    for command in (
        RemoveMember(faction_id=ASH, member_id=CYN, character_id=BEN),
        SetRank(faction_id=ASH, member_id=CYN, rank="squire", character_id=BEN),
    ):
        await realm.refused("rank_too_low", command)
    await realm.do(RemoveMember(faction_id=ASH, member_id=DOT, character_id=BEN))


async def test_players_act_through_their_characters_only(realm: Realm) -> None:
    ada, ben, eve = await realm.player(ADA), await realm.player(BEN), await realm.player(EVE)
    spend = {"faction_id": ASH, "amount": 10, "to_id": FORD}
    wrong: list[tuple[str, Person, Command]] = [
        ("name_who_acts", ada, SpendTreasury(**spend)),
        ("not_your_character", ben, SpendTreasury(**spend, character_id=ADA)),
        ("role_may_not", ben, SpendTreasury(**spend, character_id=BEN)),
        ("not_a_member", eve, SpendTreasury(**spend, character_id=EVE)),
        ("role_may_not", ben, AddMember(faction_id=ASH, member_id=FAY, character_id=BEN)),
        ("not_a_member", eve, AddMember(faction_id=ASH, member_id=FAY, character_id=EVE)),
        ("role_may_not", ben, RemoveMember(faction_id=ASH, member_id=DOT, character_id=BEN)),
        ("name_who_acts", ben, RemoveMember(faction_id=ASH, member_id=DOT)),
        ("only_the_leader", ben, SetLeader(faction_id=ASH, member_id=BEN, character_id=BEN)),
        ("not_a_member", eve, SetLeader(faction_id=ASH, member_id=BEN, character_id=EVE)),
        ("name_who_acts", ada, SetLeader(faction_id=ASH, member_id=BEN)),
        ("name_who_acts", ada, SetLeader(faction_id=ASH, member_id=None, character_id=ADA)),
        ("only_the_leader", ben, DissolveFaction(faction_id=ASH, character_id=BEN)),
        ("not_a_member", eve, DissolveFaction(faction_id=ASH, character_id=EVE)),
        ("name_who_acts", ada, DissolveFaction(faction_id=ASH)),
        ("not_your_character", ada, Leave(character_id=BEN)),
        ("role_too_low", ada, FoundFaction(name="x")),
        ("role_too_low", ada, ChangeFaction(faction_id=ASH, name="x")),
        ("role_too_low", ada, GrantTreasury(faction_id=ASH, amount=1)),
        ("role_too_low", ada, SetStrength(faction_id=ASH, strength=1)),
    ]
    for code, who, command in wrong:
        await realm.refused(code, command, who)
    error = await realm.refused("role_may_not", SpendTreasury(**spend, character_id=BEN), ben)
    assert error.facts == {"role": "ambassador", "act": "spend_treasury", "roles": ["ruler"]}
    answer = await realm.do(SpendTreasury(**spend, character_id=ADA), ada)
    assert (answer.balance_after, await realm.treasury(FORD)) == (990, 10)


# -- leaders -------------------------------------------------------------------------------------------------


async def test_a_leader_hands_over(realm: Realm) -> None:
    ada = await realm.player(ADA)
    await realm.do(SetLeader(faction_id=ASH, member_id=DOT, character_id=ADA), ada)
    belongs = await realm.belongs()
    assert (belongs[DOT], belongs[ADA]) == ((ASH, "squire", "ruler"), (ASH, "lord", None))
    await realm.refused("only_the_leader", SetLeader(faction_id=ASH, member_id=ADA, character_id=ADA), ada)
    await realm.do(SetLeader(faction_id=ASH, member_id=DOT))  # no news
    await realm.do(SetLeader(faction_id=ASH, member_id=None))
    told = [data for kind, data in await realm.told(3) if kind == "leader_changed"]
    assert [(t["leader_id"], t["previous_id"]) for t in told] == [(str(DOT), str(ADA)), (None, str(DOT))]
    assert all(role != "ruler" for _, _, role in (await realm.belongs()).values() if _ != "leader")
    await realm.sound()


@pytest.mark.parametrize(
    ("going", "cause"),
    [
        (DeleteCharacter(character_id=ADA), "died"), (Leave(character_id=ADA), "left"),
        (RemoveMember(faction_id=ASH, member_id=ADA), "removed"),
    ],
)  # fmt: skip
async def test_when_the_leader_goes_the_next_in_rank_leads(realm: Realm, going: Command, cause: str) -> None:
    await realm.do(going)
    told = await realm.told(3)
    assert [(kind, data["cause"]) for kind, data in told] == [
        ("member_left", cause),
        ("leader_changed", cause),
    ]
    assert await realm.leader() == BEN  # a knight, like Cyn, who joined at the same moment with a higher id
    assert (await realm.belongs())[BEN] == (ASH, "knight", "ruler")
    await realm.sound()


@pytest.mark.parametrize(
    "going",
    [
        DeleteCharacter(character_id=ADA), Leave(character_id=ADA), RemoveMember(faction_id=ASH, member_id=ADA),
    ],
)  # fmt: skip
async def test_who_may_follow_a_leader_is_locked_before_the_faction(realm: Realm, going: Command) -> None:
    async with realm.server.runtime.database.reading() as other, other.transaction():
        await other.execute(
            "SELECT 1 FROM faction_members WHERE world_id = $1 AND character_id = $2 FOR NO KEY UPDATE",
            realm.world_id, DOT,
        )  # fmt: skip
        gone = asyncio.create_task(realm.do(going))
        await until(lambda: blocked(realm, other))
        await other.execute(
            "SELECT 1 FROM factions WHERE world_id = $1 FOR NO KEY UPDATE NOWAIT", realm.world_id
        )
    await gone
    assert await realm.leader() == BEN


async def test_the_last_one_out_leaves_nobody_in_charge(realm: Realm) -> None:
    await realm.do([DeleteCharacter(character_id=EVE), DeleteCharacter(character_id=DOT)])
    assert await realm.leader(FORD) is None
    assert await realm.leader(ASH) == ADA
    assert set(await realm.belongs()) == {ADA, BEN, CYN}
    await realm.sound()


# -- treasuries ----------------------------------------------------------------------------------------------


async def test_sums_come_and_go_through_the_ledger(realm: Realm) -> None:
    grant = GrantTreasury(faction_id=ASH, amount=500, reason="Tithe.", reference="tithe-1")
    assert [(await realm.do(grant)).replayed for _ in range(2)] == [False, True]
    assert await realm.treasury() == 1_500
    await realm.do(SpendTreasury(faction_id=ASH, amount=200, reason="Roof."))
    await realm.do(SpendTreasury(faction_id=ASH, amount=300, to_id=FAY, reason="Alms.", character_id=ADA))
    told = [data for kind, data in await realm.told(3) if kind == "treasury_moved"]
    assert [(t["amount"], t["kind"], t["by_id"]) for t in told] == [
        (500, "factions.grant", None), (200, "factions.spend", None), (300, "factions.spend", str(ADA)),
    ]  # fmt: skip
    rows = await realm.fetch("SELECT balance FROM ledger_accounts WHERE world_id = $1 AND owner_id = $2", FAY)
    assert [row["balance"] for row in rows] == [300]
    await realm.sound()


async def test_references_of_players_are_in_nobodys_way(realm: Realm) -> None:
    ada = await realm.player(ADA)
    spend = SpendTreasury(faction_id=ASH, amount=1, reference="treaty:7:0", character_id=ADA)
    assert [(await realm.do(spend, ada)).replayed for _ in range(2)] == [False, True]
    assert (await realm.events())[-1][1]["reference"] == "treaty:7:0"
    other = spend.model_copy(update={"amount": 2})
    assert (await realm.refused("reference_reused", other, ada)).facts["reference"] == "treaty:7:0"
    due = Payment(ASH, FORD, 700, "diplomacy.treaty", "Tribute.", "treaty:7:0")
    [paid] = await realm.read(lambda tx: service.pay_all(tx, [due]))
    assert not isinstance(paid, Refused) and not paid.replayed
    assert await realm.treasury(FORD) == 700
    await realm.sound()


async def test_a_refusal_does_not_tell_what_others_have(realm: Realm) -> None:
    ada = await realm.player(ADA)
    await realm.do(DefineCurrency(code="gold", name="Gold", max_balance=100))
    await realm.do([GrantTreasury(faction_id=who, amount=60, currency="gold") for who in (ASH, FORD)])
    for command in (
        SpendTreasury(faction_id=ASH, to_id=FORD, amount=50, currency="gold", character_id=ADA),
        DissolveFaction(faction_id=ASH, heir_id=FORD, character_id=ADA),
    ):
        told = await realm.refused("balance_limit", command, ada)
        assert told.facts == {"owner_id": str(FORD), "currency": "gold"} and "60" not in str(told.detail)
        assert (await realm.refused("balance_limit", command)).facts["balance"] == 60


async def test_troops_are_paid_for_and_come_on_top(realm: Realm) -> None:
    """Of what a battle has left, in the same transaction, too: nobody who fell comes back."""
    raised = Muster(faction_id=ASH, troops=60, reason="Thin ranks.", character_id=CYN)
    said = await realm.do([SetStrength(faction_id=ASH, strength=50, reason="A battle."), raised])
    assert said[1].strength == 110
    assert await realm.treasury() == 940
    (_, paid), (_, told) = (await realm.events())[-2:]
    assert (paid["kind"], paid["amount"], paid["by_id"]) == ("factions.muster", 60, str(CYN))
    assert (told["previous"], told["strength"], told["by_id"]) == (50, 110, str(CYN))
    await realm.refused("role_may_not", Muster(faction_id=ASH, troops=1, character_id=BEN))
    await realm.sound()


async def test_what_came_in_another_currency_is_spent_and_inherited(realm: Realm) -> None:
    await realm.do(
        [DefineCurrency(code="gold", name="Gold"), ChangeFaction(faction_id=FORD, currency="gold")]
    )
    await realm.do(
        [GrantTreasury(faction_id=FORD, amount=90), ChangeFaction(faction_id=FORD, currency="points")]
    )
    await realm.refused("insufficient_funds", SpendTreasury(faction_id=FORD, amount=90))
    await realm.refused("currency_not_found", SpendTreasury(faction_id=FORD, amount=1, currency="salt"))
    spend = SpendTreasury(faction_id=FORD, to_id=ASH, amount=30, currency="gold", character_id=EVE)
    await realm.do(spend, await realm.player(EVE))
    found = await realm.get(f"factions/{ASH}")
    assert (found["treasury"], found["accounts"]) == (1_000, {"gold": 30, "points": 1_000})
    outsider = await realm.get(f"factions/{ASH}", await realm.player())
    assert (outsider["treasury"], outsider["accounts"]) == (None, None)
    await realm.do(DissolveFaction(faction_id=ASH, heir_id=FORD))
    assert (await realm.get(f"factions/{FORD}"))["accounts"] == {"gold": 90, "points": 1_000}
    assert set((await realm.get(f"factions/{ASH}"))["accounts"].values()) == {0}
    await realm.sound()


async def test_payments_together_refuse_each_other_nothing(realm: Realm) -> None:
    await realm.do(DefineCurrency(code="gold", name="Gold"))
    payments = [
        Payment(ASH, FORD, 700, "factions.tribute", "First.", "due-1"),
        Payment(ASH, FORD, 700, "factions.tribute", "Too much."),
        Payment(FORD, ASH, 100, "factions.tribute", "Out of what just came."),
        Payment(ASH, FORD, 700, "factions.tribute", "Again.", "due-1"),
        Payment(MINT, FORD, 5, "factions.gift", "Other coin.", currency="gold"),
        Payment(FAY, NOBODY, 5, "factions.gift", "In which coin?"),
    ]
    made = await realm.read(lambda tx: service.pay_all(tx, payments))
    codes = [m.code if isinstance(m, Refused) else m.replayed for m in made]
    assert codes == [False, "insufficient_funds", False, True, False, "faction_not_found"]
    assert (await realm.treasury(), await realm.treasury(FORD)) == (400, 600)
    assert await realm.read(lambda tx: service.balances(tx, [ASH, FORD])) == {ASH: 400, FORD: 600}
    assert len(await realm.told(3)) == 3
    await realm.sound()


async def test_treasuries_are_shown_to_those_who_stand_for_them(realm: Realm) -> None:
    ben, eve = await realm.player(BEN), await realm.player(EVE)
    for who, seen in ((ben, 1_000), (eve, None)):
        assert (await realm.get(f"factions/{ASH}", who))["treasury"] == seen
        power = await realm.get(f"factions/{ASH}/power", who)
        assert power["complete"] is (seen is not None)
        assert ("treasury" in [part["what"] for part in power["parts"]]) is (seen is not None)
        assert power["economic"] == sum(p["amount"] for p in power["parts"] if p["kind"] == "economic")
        events = (await realm.get("events?types=factions.treasury_moved", who))["events"]
        assert len(events) == (0 if seen is None else 1)
    await realm.do(Leave(character_id=BEN))
    assert (await realm.get(f"factions/{ASH}", ben))["treasury"] is None
    assert (await realm.get("events?types=factions.treasury_moved", ben))["events"] == []


# -- reputation, strength, power -----------------------------------------------------------------------------


async def test_a_name_is_made_and_fades(realm: Realm) -> None:
    judged = {ASH: (-40.0, "broke a treaty"), FORD: (0.0, "nothing"), NOBODY: (5.0, "who?")}
    assert await realm.read(lambda tx: service.judge_all(tx, judged)) == {ASH: -40.0, FORD: 0.0}
    kind, data = (await realm.events())[-1]
    assert (kind, data["reputation"], data["delta"], data["reason"]) == (
        "reputation_changed", -40.0, -40.0, "broke a treaty"
    )  # fmt: skip
    await realm.do(AdvanceWorld(by_ms=365 * DAY))

    async def there() -> bool:
        return (await realm.fetch("SELECT advance_id FROM worlds WHERE id = $1"))[0]["advance_id"] is None

    await until(there, 60)
    assert (await realm.get(f"factions/{ASH}"))["reputation"] == -20.0
    assert await realm.read(lambda tx: service.judge(tx, ASH, -200, "broke it again")) == -100.0
    assert (await realm.events())[-1][1]["delta"] == -80.0


async def test_power_lists_what_it_is_made_of(realm: Realm) -> None:
    power = await realm.get(f"factions/{ASH}/power")
    assert [(p["what"], round(p["amount"], 6)) for p in power["parts"]] == [
        ("troops", 200), ("levy", 25), ("yield", 150), ("treasury", 50)
    ]  # fmt: skip
    assert (round(power["military"], 6), round(power["economic"], 6)) == (225, 200)
    await realm.do(SetStrength(faction_id=ASH, strength=90, reason="A hard winter."))
    await realm.do(SetStrength(faction_id=ASH, strength=90))  # no news
    found = await realm.read(lambda tx: service.powers(tx, realm.world_id, [ASH, FORD, NOBODY], tx.now))
    assert round(found[ASH].military, 6) == 115
    assert (found[FORD].military, found[FORD].economic, set(found)) == (0, 0, {ASH, FORD})
    assert [data["previous"] for kind, data in await realm.told(3) if kind == "strength_changed"] == [200]
    await realm.read(lambda tx: service.strengthen(tx, {ASH: -5.0, FORD: 10.0}, "battle"))
    assert (await realm.get(f"factions/{ASH}"))["strength"] == 0
    await realm.get(f"factions/{NOBODY}/power", status=404)


# -- two at once ---------------------------------------------------------------------------------------------


async def _both(realm: Realm, *commands: Command) -> list[str]:
    """Run commands at the same time; what each came to."""
    answers = await asyncio.gather(*(realm.do(c) for c in commands), return_exceptions=True)
    for answer in answers:
        assert not isinstance(answer, BaseException) or isinstance(answer, Refused), answer
    return sorted(answer.code if isinstance(answer, Refused) else "done" for answer in answers)


async def test_nobody_joins_two_factions_at_once(realm: Realm) -> None:
    came = await _both(
        realm, AddMember(faction_id=ASH, member_id=FAY), AddMember(faction_id=FORD, member_id=FAY)
    )
    assert came == ["already_a_member", "done"]
    await realm.sound()


async def test_nothing_is_spent_twice(realm: Realm) -> None:
    spend = SpendTreasury(faction_id=ASH, amount=600)
    assert await _both(realm, spend, spend, spend) == ["done", "insufficient_funds", "insufficient_funds"]
    assert await realm.treasury() == 400


async def test_all_may_go_at_once(realm: Realm) -> None:
    came = await _both(
        realm, Leave(character_id=ADA), Leave(character_id=BEN), DeleteCharacter(character_id=CYN),
        SetLeader(faction_id=ASH, member_id=DOT), DissolveFaction(faction_id=FORD, heir_id=ASH),
    )  # fmt: skip
    assert came == ["done"] * 5
    assert await realm.leader() == DOT
    await realm.sound()


async def test_two_of_one_name_are_not_founded_at_once(realm: Realm) -> None:
    came = await _both(realm, FoundFaction(name="The Reeds"), FoundFaction(name="The Reeds"))
    assert came == ["done", "faction_name_taken"]
