"""Wars against the real database: reasons, allies, battles, peace."""

import asyncio
import uuid
from typing import Any
from uuid import UUID

import orjson
import pytest

from fablewright.core.clock import DAY
from fablewright.core.refusal import Refused
from fablewright.systems.diplomacy.clauses import Defend, SupportInWar
from fablewright.systems.diplomacy.commands import SetRelation
from fablewright.systems.diplomacy.treaty_commands import ImportTreaty
from fablewright.systems.diplomacy.war_commands import (
    AnswerCall,
    AnswerIncident,
    CallToArms,
    DeclareWar,
    EscalateIncident,
    FightBattle,
    MakePeace,
)
from fablewright.systems.factions.commands import DissolveFaction
from fablewright.systems.regions.commands import DefineRegions, RegionValue, SetControl
from tests.support import Person, Server
from tests.systems.test_incidents import advance, found, happened, relation, spying, two


async def region(server: Server, owner: Person, world_id: UUID, name: str, holder: UUID) -> UUID:
    region_id = uuid.uuid4()
    await server.do(
        DefineRegions(regions=[RegionValue(id=region_id, name=name, terrain="plains")]), owner.actor, world_id
    )
    await server.do(SetControl(region_id=region_id, controller_id=holder), owner.actor, world_id)
    return region_id


async def told(server: Server, world_id: UUID, kind: str) -> list[dict[str, Any]]:
    rows = await server.fetch(
        "SELECT data::text AS data FROM events WHERE world_id = $1 AND type = $2 ORDER BY seq", world_id, kind
    )
    return [orjson.loads(row["data"]) for row in rows]


async def holder(server: Server, world_id: UUID, region_id: UUID) -> UUID:
    rows = await server.fetch(
        "SELECT controller_id FROM regions WHERE world_id = $1 AND id = $2", world_id, region_id
    )
    controller: UUID = rows[0]["controller_id"]
    return controller


async def test_from_insult_to_war_to_peace(server: Server) -> None:
    owner, world_id, a, b = await two(server, strength=2000)
    gate = await region(server, owner, world_id, "Gate", b)
    made = await server.do(spying(a, b), owner.actor, world_id)
    with pytest.raises(Refused, match="cause_unfounded"):
        await server.do(
            DeclareWar(attacker_id=a, defender_id=b, cause="incident", cause_id=made.id),
            owner.actor,
            world_id,
        )
    await server.do(AnswerIncident(incident_id=made.id, answer="denial"), owner.actor, world_id)
    await server.do(EscalateIncident(incident_id=made.id), owner.actor, world_id)
    war = await server.do(
        DeclareWar(
            attacker_id=a, defender_id=b, cause="incident", cause_id=made.id, reason="They spied on us."
        ),
        owner.actor,
        world_id,
    )
    assert 0.35 < war.legitimacy < 0.9
    assert sum(part.amount for part in war.legitimacy_parts) == pytest.approx(war.legitimacy)
    assert (await relation(server, world_id, a, b))[1] == "war"
    for _ in range(20):
        war = await server.do(
            FightBattle(war_id=war.id, faction_id=a, enemy_id=b, region_id=gate, enemy_troops=100),
            owner.actor,
            world_id,
        )
        if war.occupations:
            break
    assert await holder(server, world_id, gate) == a
    assert [(o.region_id, o.holder_id, o.occupier_id) for o in war.occupations] == [(gate, b, a)]
    assert war.score > 50 and sum(p.amount for p in war.score_parts) == pytest.approx(war.score)
    strengths = {r["id"]: r["strength"] for r in await server.fetch("SELECT id, strength FROM factions")}
    parties = {p.faction_id: p for p in war.parties}
    for faction in (a, b):
        assert strengths[faction] == pytest.approx(2000 - parties[faction].losses)
    ended = await server.do(MakePeace(war_id=war.id, faction_id=a, keep=[gate]), owner.actor, world_id)
    assert ended.outcome == "attacker"
    assert (await relation(server, world_id, a, b))[1] == "truce"
    assert await holder(server, world_id, gate) == a, "it was kept"
    with pytest.raises(Refused, match="truce_holds"):
        await server.do(DeclareWar(attacker_id=b, defender_id=a), owner.actor, world_id)
    with pytest.raises(Refused, match="war_over"):
        await server.do(FightBattle(war_id=war.id, faction_id=a, enemy_id=b), owner.actor, world_id)
    assert not [f for f in await server.findings() if str(world_id) in f]


async def test_what_is_not_kept_goes_back(server: Server) -> None:
    owner, world_id, a, b = await two(server, strength=500)
    gate = await region(server, owner, world_id, "Gate", b)
    war = await server.do(DeclareWar(attacker_id=a, defender_id=b), owner.actor, world_id)
    for _ in range(20):
        war = await server.do(
            FightBattle(war_id=war.id, faction_id=a, enemy_id=b, region_id=gate, enemy_troops=10),
            owner.actor,
            world_id,
        )
        if war.occupations:
            break
    with pytest.raises(Refused, match="not_of_the_enemy"):
        await server.do(MakePeace(war_id=war.id, faction_id=a, keep=[uuid.uuid4()]), owner.actor, world_id)
    await server.do(MakePeace(war_id=war.id, faction_id=b), owner.actor, world_id)
    assert await holder(server, world_id, gate) == b
    rows = await server.fetch("SELECT faction_id, wars FROM warlike WHERE world_id = $1", world_id)
    assert {row["faction_id"]: row["wars"] for row in rows} == {a: 0, b: 0}


async def test_allies_of_the_defender_are_called_and_may_refuse(server: Server) -> None:
    owner, world_id, a, b = await two(server, strength=100)
    loyal, silent = [
        await found(server, owner, world_id, name, strength=100) for name in ("Cedar", "Dogwood")
    ]
    for ally in (loyal, silent):
        await server.do(
            SetRelation(a_id=b, b_id=ally, status="allied", reason="old friends"), owner.actor, world_id
        )
    war = await server.do(DeclareWar(attacker_id=a, defender_id=b), owner.actor, world_id)
    assert {p.faction_id for p in war.parties if p.state == "called"} == {loyal, silent}
    war = await server.do(AnswerCall(war_id=war.id, faction_id=loyal, come=True), owner.actor, world_id)
    assert (await relation(server, world_id, a, loyal))[1] == "war"
    with pytest.raises(Refused, match="no_call"):
        await server.do(AnswerCall(war_id=war.id, faction_id=loyal, come=False), owner.actor, world_id)
    with pytest.raises(Refused, match="same_side"):
        await server.do(FightBattle(war_id=war.id, faction_id=loyal, enemy_id=b), owner.actor, world_id)
    await advance(server, owner, world_id, 31 * DAY)
    answers = await told(server, world_id, "diplomacy.call_answered")
    assert [(UUID(e["faction_id"]), e["come"], e["silent"]) for e in answers] == [
        (loyal, True, False),
        (silent, False, True),
    ]
    rows = await server.fetch(
        "SELECT about_id, sum(amount) AS amount FROM opinions WHERE world_id = $1 AND holder_id = $2 "
        "AND key = 'call_to_arms' GROUP BY about_id",
        world_id, b,
    )  # fmt: skip
    assert {row["about_id"]: row["amount"] > 0 for row in rows} == {loyal: True, silent: False}
    ended = await server.do(MakePeace(war_id=war.id, faction_id=a), owner.actor, world_id)
    assert {p.state for p in ended.parties} == {"out", "refused"}
    assert (await relation(server, world_id, a, loyal))[1] == "truce"


async def test_who_knows_the_victim_judges(server: Server) -> None:
    owner, world_id, a, b = await two(server)
    friend = await found(server, owner, world_id, "Cedar")
    await server.do(
        SetRelation(a_id=b, b_id=friend, status="friendly", reason="neighbours"), owner.actor, world_id
    )
    await server.do(DeclareWar(attacker_id=a, defender_id=b), owner.actor, world_id)
    rows = await server.fetch(
        "SELECT holder_id, amount, reason FROM opinions WHERE world_id = $1 AND key = 'warmonger'", world_id
    )
    assert [(row["holder_id"], row["reason"]) for row in rows] == [(friend, "fell on Birch")]
    assert rows[0]["amount"] < -10
    assert "factions.reputation_changed" in await happened(server, world_id)


async def test_an_ally_is_called(server: Server) -> None:
    owner, world_id, a, b = await two(server)
    c = await found(server, owner, world_id, "Cedar")
    war = await server.do(DeclareWar(attacker_id=a, defender_id=b), owner.actor, world_id)
    called = CallToArms(war_id=war.id, faction_id=a, ally_id=c)
    await server.do(called, owner.actor, world_id)
    with pytest.raises(Refused, match="already_at_war"):
        await server.do(called, owner.actor, world_id)
    war = await server.do(AnswerCall(war_id=war.id, faction_id=c, come=True), owner.actor, world_id)
    assert {p.faction_id: p.side for p in war.parties} == {a: "attacker", b: "defender", c: "attacker"}


async def test_refusals(server: Server) -> None:
    owner, world_id, a, b = await two(server)
    c = await found(server, owner, world_id, "Cedar")
    war = await server.do(DeclareWar(attacker_id=a, defender_id=b), owner.actor, world_id)
    for command, code in (
        (DeclareWar(attacker_id=a, defender_id=a), "war_with_oneself"),
        (DeclareWar(attacker_id=a, defender_id=b), "already_at_war"),
        (DeclareWar(attacker_id=a, defender_id=uuid.uuid4()), "faction_not_found"),
        *((DeclareWar(attacker_id=a, defender_id=c, cause=cause), "cause_unfounded") for cause in CAUSES),
        (FightBattle(war_id=war.id, faction_id=a, enemy_id=c), "not_at_war"),
        (FightBattle(war_id=war.id, faction_id=a, enemy_id=b), "no_troops"),
        (FightBattle(war_id=uuid.uuid4(), faction_id=a, enemy_id=b), "war_not_found"),
        (MakePeace(war_id=war.id, faction_id=c), "not_a_war_leader"),
        (MakePeace(war_id=uuid.uuid4(), faction_id=a), "war_not_found"),
    ):
        with pytest.raises(Refused) as refused:
            await server.do(command, owner.actor, world_id)
        assert refused.value.code == code, command


CAUSES: Any = (
    "incident", "ultimatum_rejected", "coalition", "reconquest", "defence", "broken_treaty", "ideology",
)  # fmt: skip


async def test_both_declare_at_once(server: Server) -> None:
    owner, world_id, a, b = await two(server)
    results = await asyncio.gather(
        *(
            server.do(DeclareWar(attacker_id=x, defender_id=y), owner.actor, world_id)
            for x, y in ((a, b), (b, a))
        ),
        return_exceptions=True,
    )
    codes = [r.code for r in results if isinstance(r, Refused)]
    assert codes == ["already_at_war"]
    rows = await server.fetch("SELECT count(*) AS many FROM wars WHERE world_id = $1", world_id)
    assert rows[0]["many"] == 1


# -- promises ------------------------------------------------------------------------------------------------


async def pact(server: Server, owner: Person, world_id: UUID, *clauses: Any) -> None:
    """A treaty in force with these clauses."""
    parties = sorted({faction for clause in clauses for faction in clause.factions()})
    made = ImportTreaty(name="Pact", kind="defence_pact", parties=parties, clauses=list(clauses))
    await server.do(made, owner.actor, world_id)


async def test_who_promised_to_come_is_called_and_its_refusal_is_heard_of(server: Server) -> None:
    owner, world_id, a, b = await two(server)
    shield, sword, third = [
        await found(server, owner, world_id, name) for name in ("Cedar", "Dogwood", "Elm")
    ]
    await pact(server, owner, world_id, Defend(protector_id=shield, protected_id=b))
    await pact(server, owner, world_id, Defend(protector_id=third, protected_id=a))
    await pact(server, owner, world_id, SupportInWar(faction_id=sword, ally_id=a, against_id=b))
    await pact(server, owner, world_id, SupportInWar(faction_id=third, ally_id=a, against_id=shield))
    war = await server.do(DeclareWar(attacker_id=a, defender_id=b), owner.actor, world_id)
    assert {p.faction_id: p.side for p in war.parties if p.state == "called"} == {
        shield: "defender", sword: "attacker"
    }, "a promise of defence does not bind to attack, nor one of help against another"  # fmt: skip
    await server.do(AnswerCall(war_id=war.id, faction_id=shield, come=False), owner.actor, world_id)
    await server.do(CallToArms(war_id=war.id, faction_id=b, ally_id=third), owner.actor, world_id)
    await server.do(AnswerCall(war_id=war.id, faction_id=third, come=False), owner.actor, world_id)
    rows = await server.fetch(
        "SELECT about_id, reason FROM opinions WHERE world_id = $1 AND holder_id = $2 AND key = 'call_to_arms'",
        world_id, b,
    )  # fmt: skip
    assert {row["about_id"]: row["reason"] for row in rows} == {
        shield: "broke its word to come when we called", third: "did not come when we called",
    }  # fmt: skip
    rows = await server.fetch("SELECT id, reputation FROM factions WHERE world_id = $1", world_id)
    standing = {row["id"]: row["reputation"] for row in rows}
    assert standing[shield] < standing[third] == 0


async def test_an_alliance_of_words_ends_with_a_refusal(server: Server) -> None:
    owner, world_id, a, b = await two(server)
    ally = await found(server, owner, world_id, "Cedar")
    await server.do(SetRelation(a_id=b, b_id=ally, status="allied"), owner.actor, world_id)
    war = await server.do(DeclareWar(attacker_id=a, defender_id=b), owner.actor, world_id)
    await server.do(AnswerCall(war_id=war.id, faction_id=ally, come=False), owner.actor, world_id)
    assert (await relation(server, world_id, b, ally))[1] == "neutral"


async def test_who_may_not_come_is_excused(server: Server) -> None:
    owner, world_id, a, b = await two(server)
    ally = await found(server, owner, world_id, "Cedar")
    await pact(server, owner, world_id, Defend(protector_id=ally, protected_id=b))
    await server.do(SetRelation(a_id=a, b_id=ally, status="truce"), owner.actor, world_id)
    war = await server.do(DeclareWar(attacker_id=a, defender_id=b), owner.actor, world_id)
    with pytest.raises(Refused, match="truce_holds"):
        await server.do(AnswerCall(war_id=war.id, faction_id=ally, come=True), owner.actor, world_id)
    await server.do(AnswerCall(war_id=war.id, faction_id=ally, come=False), owner.actor, world_id)
    rows = await server.fetch("SELECT reputation FROM factions WHERE id = $1", ally)
    assert rows[0]["reputation"] == 0
    assert await told(server, world_id, "diplomacy.treaty_violated") == []


async def test_allies_that_are_friends_do_not_fight_each_other(server: Server) -> None:
    owner, world_id, a, b = await two(server, strength=100)
    c, d = [await found(server, owner, world_id, name, strength=100) for name in ("Cedar", "Dogwood")]
    await server.do(SetRelation(a_id=c, b_id=d, status="allied"), owner.actor, world_id)
    war = await server.do(DeclareWar(attacker_id=a, defender_id=b), owner.actor, world_id)
    for caller, called in ((a, c), (b, d)):
        await server.do(CallToArms(war_id=war.id, faction_id=caller, ally_id=called), owner.actor, world_id)
        await server.do(AnswerCall(war_id=war.id, faction_id=called, come=True), owner.actor, world_id)
    assert [(await relation(server, world_id, *pair))[1] for pair in ((a, d), (b, c), (c, d))] == [
        "war", "war", "allied"
    ]  # fmt: skip
    with pytest.raises(Refused, match="not_enemies"):
        await server.do(FightBattle(war_id=war.id, faction_id=c, enemy_id=d), owner.actor, world_id)
    assert not [f for f in await server.findings() if str(world_id) in f]


async def test_enemies_do_not_trade(server: Server) -> None:
    owner, world_id, a, b = await two(server)
    ally = await found(server, owner, world_id, "Cedar")
    war = await server.do(DeclareWar(attacker_id=a, defender_id=b), owner.actor, world_id)
    await server.do(CallToArms(war_id=war.id, faction_id=b, ally_id=ally), owner.actor, world_id)
    await server.do(AnswerCall(war_id=war.id, faction_id=ally, come=True), owner.actor, world_id)
    sql = "SELECT from_id, to_id FROM trade_restrictions WHERE world_id = $1 AND lifted_at IS NULL"
    assert {frozenset(row) for row in await server.fetch(sql, world_id)} == {
        frozenset((a, b)),
        frozenset((a, ally)),
    }
    await server.do(MakePeace(war_id=war.id, faction_id=a), owner.actor, world_id)
    assert await server.fetch(sql, world_id) == []


# -- by decree -----------------------------------------------------------------------------------------------


async def test_a_war_that_is_decreed_is_in_the_books(server: Server) -> None:
    owner, world_id, a, b = await two(server)
    await server.do(SetRelation(a_id=a, b_id=b, status="war", reason="an old feud"), owner.actor, world_id)
    (war,) = await told(server, world_id, "diplomacy.war_declared")
    assert (war["cause"], war["reason"]) == ("decree", "an old feud")
    assert not [f for f in await server.findings() if str(world_id) in f]
    await server.do(SetRelation(a_id=a, b_id=b, status="neutral"), owner.actor, world_id)
    (peace,) = await told(server, world_id, "diplomacy.peace_made")
    assert (peace["war_id"], peace["truce_until"]) == (war["war_id"], None)
    assert (await relation(server, world_id, a, b))[1] == "neutral"
    assert not [f for f in await server.findings() if str(world_id) in f]


@pytest.mark.parametrize("leader", [True, False])
async def test_a_faction_that_is_no_more_fights_no_more(server: Server, leader: bool) -> None:
    owner, world_id, a, b = await two(server, strength=500)
    ally, silent = [await found(server, owner, world_id, name) for name in ("Cedar", "Dogwood")]
    gate = await region(server, owner, world_id, "Gate", b)
    war = await server.do(DeclareWar(attacker_id=a, defender_id=b), owner.actor, world_id)
    for called in (ally, silent):
        await server.do(CallToArms(war_id=war.id, faction_id=a, ally_id=called), owner.actor, world_id)
    await server.do(AnswerCall(war_id=war.id, faction_id=ally, come=True), owner.actor, world_id)
    fight = FightBattle(war_id=war.id, faction_id=a, enemy_id=b, region_id=gate, enemy_troops=10)
    while not (await server.do(fight, owner.actor, world_id)).occupations:
        pass
    for gone in (b,) if leader else (ally, silent):
        await server.do(DissolveFaction(faction_id=gone), owner.actor, world_id)
    rows = await server.fetch("SELECT ended_at FROM wars WHERE world_id = $1", world_id)
    assert (rows[0]["ended_at"] is not None) == leader
    assert await holder(server, world_id, gate) == a, "who is no more gets nothing back"
    assert not [f for f in await server.findings() if str(world_id) in f]


async def test_battles_and_peace_at_once_leave_no_troops_out(server: Server) -> None:
    owner, world_id, a, b = await two(server, strength=1000)
    war = await server.do(DeclareWar(attacker_id=a, defender_id=b), owner.actor, world_id)
    commands = [
        *(FightBattle(war_id=war.id, faction_id=x, enemy_id=y, troops=200) for x, y in ((a, b), (b, a)) * 2),
        MakePeace(war_id=war.id, faction_id=a), MakePeace(war_id=war.id, faction_id=b),
    ]  # fmt: skip
    results = await asyncio.gather(
        *(server.do(each, owner.actor, world_id) for each in commands), return_exceptions=True
    )
    refused = [r for r in results if isinstance(r, BaseException)]
    assert refused and all(isinstance(r, Refused) and r.code == "war_over" for r in refused)
    assert len(await told(server, world_id, "diplomacy.peace_made")) == 1
    rows = await server.fetch(
        "SELECT f.strength, p.losses FROM factions f JOIN war_parties p ON p.world_id = f.world_id "
        "AND p.faction_id = f.id WHERE f.world_id = $1",
        world_id,
    )
    assert [row["strength"] + row["losses"] for row in rows] == [pytest.approx(1000)] * 2
    assert not [f for f in await server.findings() if str(world_id) in f]
