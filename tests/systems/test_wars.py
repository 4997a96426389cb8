"""Wars against the real database: reasons, allies, battles, peace."""

import asyncio
import uuid
from typing import Any
from uuid import UUID

import orjson
import pytest
from sqlalchemy import text

from fablewright.core.clock import DAY
from fablewright.core.refusal import Refused
from fablewright.systems.diplomacy import battle
from fablewright.systems.diplomacy.clauses import Defend, NoAttack, SupportInWar
from fablewright.systems.diplomacy.commands import SetRelation
from fablewright.systems.diplomacy.treaty_commands import ImportTreaty, ProposeTreaty, SignTreaty
from fablewright.systems.diplomacy.war_commands import (
    AnswerCall,
    AnswerIncident,
    CallToArms,
    DeclareWar,
    EscalateIncident,
    FightBattle,
    MakePeace,
)
from fablewright.systems.factions.commands import DissolveFaction, SetStrength
from fablewright.systems.regions.commands import DefineRegions, RegionValue, RemoveRegion, SetControl
from tests.support import Person, Server, until
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


async def weaken(
    server: Server, owner: Person, world_id: UUID, faction_id: UUID, strength: float = 10
) -> None:
    await server.do(SetStrength(faction_id=faction_id, strength=strength), owner.actor, world_id)


async def conquer(
    server: Server, owner: Person, world_id: UUID, war_id: UUID, taker: UUID, loser: UUID, region_id: UUID
) -> None:
    """Let one take a region from another that is too weak to keep it."""
    await weaken(server, owner, world_id, loser)
    fight = FightBattle(war_id=war_id, faction_id=taker, enemy_id=loser, region_id=region_id)
    await server.do(fight, owner.actor, world_id)
    assert await holder(server, world_id, region_id) == taker


async def in_turn(
    server: Server, owner: Person, world_id: UUID, faction_id: UUID, *commands: Any
) -> list[Any]:
    """Give commands that all need a faction somebody else has locked: they have read, and wait, in this order."""
    async with server.runtime.database.writing() as other:
        await other.execute(
            text("SELECT 1 FROM factions WHERE id = :id FOR NO KEY UPDATE"), {"id": faction_id}
        )
        given = []
        for many, command in enumerate(commands, 1):
            given.append(asyncio.ensure_future(server.do(command, owner.actor, world_id)))

            async def waiting(many: int = many) -> bool:
                rows = await server.fetch("SELECT count(*) AS many FROM pg_locks WHERE NOT granted")
                return rows[0]["many"] >= many  # type: ignore[no-any-return]

            await until(waiting)
        await other.rollback()
    return list(await asyncio.gather(*given, return_exceptions=True))


async def blockaded(server: Server, world_id: UUID) -> list[set[UUID]]:
    """The pairs that war keeps from trading, each once for each war that does."""
    rows = await server.fetch(
        "SELECT from_id, to_id FROM trade_restrictions WHERE world_id = $1 AND lifted_at IS NULL "
        "AND kind = 'blockade'",
        world_id,
    )
    return [{row["from_id"], row["to_id"]} for row in rows]


async def truce_until(server: Server, world_id: UUID, a: UUID, b: UUID) -> int | None:
    low, high = sorted((a, b))
    rows = await server.fetch(
        "SELECT truce_until FROM relations WHERE world_id = $1 AND low_id = $2 AND high_id = $3 AND status = 'truce'",
        world_id, low, high,
    )  # fmt: skip
    return rows[0]["truce_until"] if rows else None


async def sign(
    server: Server, owner: Person, world_id: UUID, a: UUID, b: UUID, *, last: bool = True, **fields: Any
) -> SignTreaty:
    """Let two make peace by a treaty, and return the last signature of it."""
    terms = {
        "name": "Peace",
        "kind": "peace",
        "parties": [a, b],
        "clauses": [NoAttack(a_id=a, b_id=b)],
        **fields,
    }
    treaty = await server.do(ProposeTreaty(faction_id=a, **terms), owner.actor, world_id)
    await server.do(SignTreaty(treaty_id=treaty["id"], faction_id=a), owner.actor, world_id)
    signature = SignTreaty(treaty_id=treaty["id"], faction_id=b)
    if last:
        await server.do(signature, owner.actor, world_id)
    return signature


async def aggression(server: Server, world_id: UUID, faction_id: UUID) -> float:
    rows = await server.fetch(
        "SELECT aggression FROM warlike WHERE world_id = $1 AND faction_id = $2", world_id, faction_id
    )
    return float(rows[0]["aggression"])


async def sound(server: Server, world_id: UUID) -> None:
    assert not [f for f in await server.findings() if str(world_id) in f]


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
    await weaken(server, owner, world_id, b, 100)
    fight = FightBattle(war_id=war.id, faction_id=a, enemy_id=b, region_id=gate)
    war = await server.do(fight, owner.actor, world_id)
    assert await holder(server, world_id, gate) == a
    assert [(o.region_id, o.holder_id, o.occupier_id) for o in war.occupations] == [(gate, b, a)]
    assert war.score > 50 and sum(p.amount for p in war.score_parts) == pytest.approx(war.score)
    strengths = {r["id"]: r["strength"] for r in await server.fetch("SELECT id, strength FROM factions")}
    parties = {p.faction_id: p for p in war.parties}
    for faction, before in ((a, 2000), (b, 100)):
        assert strengths[faction] == pytest.approx(before - parties[faction].losses)
    ended = await server.do(MakePeace(war_id=war.id, faction_id=a, keep=[gate]), owner.actor, world_id)
    assert (ended.outcome, ended.score) == ("attacker", pytest.approx(war.score)), "it stays as it ended"
    assert sum(p.amount for p in ended.score_parts) == pytest.approx(ended.score)
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
    await conquer(server, owner, world_id, war.id, a, b, gate)
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


async def pact(server: Server, owner: Person, world_id: UUID, *clauses: Any, secret: bool = False) -> None:
    """A treaty in force with these clauses."""
    parties = sorted({faction for clause in clauses for faction in clause.factions()})
    made = ImportTreaty(
        name="Pact", kind="defence_pact", parties=parties, clauses=list(clauses), secret=secret
    )
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
    enemies = [{a, b}, {a, d}, {b, c}]
    assert sorted(map(sorted, await blockaded(server, world_id))) == sorted(map(sorted, enemies))
    await sound(server, world_id)

    # They trade, until they are at war with each other after all.
    await server.do(SetRelation(a_id=c, b_id=d, status="war"), owner.actor, world_id)
    assert {c, d} in await blockaded(server, world_id)
    await sound(server, world_id)
    short = SetRelation(a_id=c, b_id=d, status="truce", truce_until=10 * DAY)
    await server.do(short, owner.actor, world_id)
    assert {c, d} not in await blockaded(server, world_id)
    await sound(server, world_id)

    # How long the war of others makes a truce hold is not for those who had one of their own.
    await sign(server, owner, world_id, a, b)
    assert await truce_until(server, world_id, c, d) == 10 * DAY
    assert await truce_until(server, world_id, a, d) is not None
    await sound(server, world_id)


async def test_enemies_do_not_trade(server: Server) -> None:
    owner, world_id, a, b = await two(server)
    ally = await found(server, owner, world_id, "Cedar")
    war = await server.do(DeclareWar(attacker_id=a, defender_id=b), owner.actor, world_id)
    await server.do(CallToArms(war_id=war.id, faction_id=b, ally_id=ally), owner.actor, world_id)
    await server.do(AnswerCall(war_id=war.id, faction_id=ally, come=True), owner.actor, world_id)
    pairs = await blockaded(server, world_id)
    assert len(pairs) == 2 and {a, b} in pairs and {a, ally} in pairs
    await server.do(MakePeace(war_id=war.id, faction_id=a), owner.actor, world_id)
    assert await blockaded(server, world_id) == []


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
    await conquer(server, owner, world_id, war.id, a, b, gate)
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


# -- at the same time ----------------------------------------------------------------------------------------


async def test_who_comes_while_peace_is_made_is_at_peace(server: Server) -> None:
    owner, world_id, a, b = await two(server, strength=100)
    ally = await found(server, owner, world_id, "Cedar", strength=100)
    war = await server.do(DeclareWar(attacker_id=a, defender_id=b), owner.actor, world_id)
    await server.do(CallToArms(war_id=war.id, faction_id=b, ally_id=ally), owner.actor, world_id)
    results = await in_turn(
        server, owner, world_id, a, AnswerCall(war_id=war.id, faction_id=ally, come=True),
        MakePeace(war_id=war.id, faction_id=a),
    )  # fmt: skip
    assert not [r for r in results if isinstance(r, BaseException)], results
    assert (await relation(server, world_id, a, ally))[1] == "truce"
    await sound(server, world_id)


async def campaign(server: Server) -> tuple[Person, UUID, UUID, list[UUID]]:
    """A war of the third of four factions (by id, as they are locked) on the first; all others are called.

    The second is called by the third, which leads the attackers, the last by the first.
    """
    owner, world_id, *ids = await two(server, strength=100)
    ids += [await found(server, owner, world_id, name, strength=100) for name in ("Cedar", "Dogwood")]
    d, e, a, j = sorted(ids)
    war = await server.do(DeclareWar(attacker_id=a, defender_id=d), owner.actor, world_id)
    for caller, called in ((a, e), (d, j)):
        await server.do(CallToArms(war_id=war.id, faction_id=caller, ally_id=called), owner.actor, world_id)
    return owner, world_id, war.id, [a, d, e, j]


async def test_who_comes_while_another_leaves_does_not_fight_it(server: Server) -> None:
    owner, world_id, war_id, (a, d, e, j) = await campaign(server)
    await server.do(AnswerCall(war_id=war_id, faction_id=e, come=True), owner.actor, world_id)
    signature = await sign(server, owner, world_id, d, e, last=False)
    results = await in_turn(
        server, owner, world_id, d, signature, AnswerCall(war_id=war_id, faction_id=j, come=True)
    )
    assert not [r for r in results if isinstance(r, BaseException)], results
    assert len(await told(server, world_id, "diplomacy.war_declared")) == 1
    assert {frozenset(pair) for pair in await blockaded(server, world_id)} == {
        frozenset((a, d)), frozenset((a, j))
    }  # fmt: skip
    await sound(server, world_id)


async def test_who_come_at_once_to_opposite_sides_are_enemies(server: Server) -> None:
    owner, world_id, war_id, (_, d, e, j) = await campaign(server)
    come = [AnswerCall(war_id=war_id, faction_id=i, come=True) for i in (e, j)]
    results = await in_turn(server, owner, world_id, d, *come)
    assert not [r for r in results if isinstance(r, BaseException)], results
    assert (await relation(server, world_id, e, j))[1] == "war"
    assert {e, j} in await blockaded(server, world_id)
    await sound(server, world_id)


async def test_what_is_taken_while_peace_is_made_goes_back(server: Server) -> None:
    owner, world_id, a, b = await two(server, strength=500)
    gate = await region(server, owner, world_id, "Gate", b)
    war = await server.do(DeclareWar(attacker_id=a, defender_id=b), owner.actor, world_id)
    await weaken(server, owner, world_id, b)
    results = await in_turn(
        server, owner, world_id, a, FightBattle(war_id=war.id, faction_id=a, enemy_id=b, region_id=gate),
        MakePeace(war_id=war.id, faction_id=a),
    )  # fmt: skip
    assert not [r for r in results if isinstance(r, BaseException)], results
    assert len(await told(server, world_id, "diplomacy.region_occupied")) == 1
    assert await holder(server, world_id, gate) == b
    await sound(server, world_id)


# -- what nobody may -----------------------------------------------------------------------------------------


async def test_an_enemy_comes_with_all_it_has(server: Server) -> None:
    owner, world_id, a, b = await two(server, strength=10_000)
    gate = await region(server, owner, world_id, "Gate", b)
    await weaken(server, owner, world_id, a)
    war = await server.do(DeclareWar(attacker_id=a, defender_id=b), owner.actor, world_id)
    fight = FightBattle(war_id=war.id, faction_id=a, enemy_id=b, region_id=gate)
    war = await server.do(fight, owner.actor, world_id)
    assert [(each.defender_troops, each.winner) for each in war.battles] == [(10_000, "defender")]
    assert await holder(server, world_id, gate) == b


async def test_a_cause_is_what_it_names(server: Server) -> None:
    owner, world_id, a, b = await two(server, strength=500)
    gate = await region(server, owner, world_id, "Gate", b)
    war = await server.do(
        DeclareWar(attacker_id=a, defender_id=b, cause_id=uuid.uuid4()), owner.actor, world_id
    )
    assert war.cause_id is None, "conquest has no cause but itself"
    await conquer(server, owner, world_id, war.id, a, b, gate)
    await server.do(MakePeace(war_id=war.id, faction_id=a, keep=[gate]), owner.actor, world_id)
    await advance(server, owner, world_id, 600 * DAY)
    other = DeclareWar(attacker_id=b, defender_id=a, cause="reconquest", cause_id=uuid.uuid4())
    with pytest.raises(Refused, match="cause_unfounded"):
        await server.do(other, owner.actor, world_id)
    again = await server.do(other.model_copy(update={"cause_id": None}), owner.actor, world_id)
    assert again.cause_id == gate


async def test_who_refused_is_not_asked_again(server: Server) -> None:
    owner, world_id, a, b = await two(server)
    c = await found(server, owner, world_id, "Cedar")
    war = await server.do(DeclareWar(attacker_id=a, defender_id=b), owner.actor, world_id)
    called = CallToArms(war_id=war.id, faction_id=a, ally_id=c)
    await server.do(called, owner.actor, world_id)
    await server.do(AnswerCall(war_id=war.id, faction_id=c, come=False), owner.actor, world_id)
    with pytest.raises(Refused, match="already_at_war"):
        await server.do(called, owner.actor, world_id)


# -- secrets, and who has left -------------------------------------------------------------------------------


async def test_what_was_promised_in_secret_stays_one(server: Server) -> None:
    owner, world_id, a, b = await two(server)
    shield = await found(server, owner, world_id, "Cedar")
    clause = Defend(protector_id=shield, protected_id=b)
    secret = ImportTreaty(
        name="Pact", kind="defence_pact", parties=[b, shield], clauses=[clause], secret=True
    )
    await server.do(secret, owner.actor, world_id)
    war = await server.do(DeclareWar(attacker_id=a, defender_id=b), owner.actor, world_id)
    assert {p.faction_id for p in war.parties} == {a, b}, "nobody is called for all to see"
    rows = await server.fetch(
        "SELECT audience FROM events WHERE world_id = $1 AND type = 'diplomacy.promise_recalled'", world_id
    )
    assert [sorted(row["audience"]) for row in rows] == [sorted((b, shield))]
    await server.do(CallToArms(war_id=war.id, faction_id=b, ally_id=shield), owner.actor, world_id)
    await server.do(AnswerCall(war_id=war.id, faction_id=shield, come=False), owner.actor, world_id)
    (answered,) = await told(server, world_id, "diplomacy.call_answered")
    assert answered["bound"] is False
    rows = await server.fetch(
        "SELECT secret, reason FROM opinions WHERE world_id = $1 AND holder_id = $2 AND about_id = $3 "
        "AND reason LIKE 'broke its word%'",
        world_id, b, shield,
    )  # fmt: skip
    assert [row["secret"] for row in rows] == [True]
    rows = await server.fetch(
        "SELECT audience, data::text AS data FROM events WHERE world_id = $1 AND about @> ARRAY[$2::uuid]",
        world_id, shield,
    )  # fmt: skip
    public = [row["data"] for row in rows if row["audience"] is None]
    assert public and not [data for data in public if "broke its word" in data or "Pact" in data]
    rows = await server.fetch("SELECT reputation FROM factions WHERE id = $1", shield)
    assert rows[0]["reputation"] == 0


async def test_who_made_its_own_peace_trades_with_all_its_enemies(server: Server) -> None:
    owner, world_id, a, d = await two(server)
    i, j = [await found(server, owner, world_id, name) for name in ("Cedar", "Dogwood")]
    war = await server.do(DeclareWar(attacker_id=a, defender_id=d), owner.actor, world_id)
    for caller, called in ((d, i), (a, j)):
        await server.do(CallToArms(war_id=war.id, faction_id=caller, ally_id=called), owner.actor, world_id)
        await server.do(AnswerCall(war_id=war.id, faction_id=called, come=True), owner.actor, world_id)
    await sign(server, owner, world_id, a, i)
    assert len(await told(server, world_id, "diplomacy.war_party_left")) == 1
    assert {frozenset(pair) for pair in await blockaded(server, world_id)} == {
        frozenset((a, d)), frozenset((d, j))
    }  # fmt: skip
    await sound(server, world_id)


async def test_what_is_retaken_is_not_given_to_a_faction_that_is_no_more(server: Server) -> None:
    owner, world_id, a, d = await two(server, strength=1000)
    h = await found(server, owner, world_id, "Cedar", strength=1000)
    mill = await region(server, owner, world_id, "Mill", h)
    war = await server.do(DeclareWar(attacker_id=a, defender_id=d), owner.actor, world_id)
    await server.do(CallToArms(war_id=war.id, faction_id=d, ally_id=h), owner.actor, world_id)
    await server.do(AnswerCall(war_id=war.id, faction_id=h, come=True), owner.actor, world_id)
    await conquer(server, owner, world_id, war.id, a, h, mill)
    await server.do(DissolveFaction(faction_id=h), owner.actor, world_id)
    await conquer(server, owner, world_id, war.id, d, a, mill)
    await sound(server, world_id)
    await server.do(MakePeace(war_id=war.id, faction_id=a), owner.actor, world_id)
    assert await holder(server, world_id, mill) == d
    await sound(server, world_id)


# -- what becomes of what was taken --------------------------------------------------------------------------


async def test_what_a_game_master_takes_off_the_map_or_gives_away_is_not_occupied(server: Server) -> None:
    owner, world_id, a, b = await two(server, strength=1000)
    other = await found(server, owner, world_id, "Cedar")
    fens, mill, gate = [await region(server, owner, world_id, name, b) for name in ("Fens", "Mill", "Gate")]
    war = await server.do(DeclareWar(attacker_id=a, defender_id=b), owner.actor, world_id)
    for land in (fens, mill, gate):
        await conquer(server, owner, world_id, war.id, a, b, land)
    await server.do(RemoveRegion(region_id=fens), owner.actor, world_id)
    await server.do(SetControl(region_id=mill, controller_id=other), owner.actor, world_id)
    await sound(server, world_id)
    await sign(server, owner, world_id, a, b)
    assert len(await told(server, world_id, "diplomacy.peace_made")) == 1
    assert [await holder(server, world_id, land) for land in (mill, gate)] == [other, b]
    await sound(server, world_id)


async def test_who_inherits_what_was_taken_keeps_it(server: Server) -> None:
    owner, world_id, a, b = await two(server, strength=1000)
    heir = await found(server, owner, world_id, "Cedar")
    gate = await region(server, owner, world_id, "Gate", b)
    war = await server.do(DeclareWar(attacker_id=a, defender_id=b), owner.actor, world_id)
    await conquer(server, owner, world_id, war.id, a, b, gate)
    await server.do(DissolveFaction(faction_id=a, heir_id=heir), owner.actor, world_id)
    assert await holder(server, world_id, gate) == heir
    back = DeclareWar(attacker_id=b, defender_id=heir, cause="reconquest")
    assert (await server.do(back, owner.actor, world_id)).cause_id == gate
    await sound(server, world_id)


async def test_regions_signed_away_by_an_ally_frighten_as_others_do(server: Server) -> None:
    owner, world_id, a, d = await two(server, strength=1000)
    i = await found(server, owner, world_id, "Cedar")
    lands = [await region(server, owner, world_id, name, i) for name in ("Fens", "Mill")]
    war = await server.do(DeclareWar(attacker_id=a, defender_id=d), owner.actor, world_id)
    await server.do(CallToArms(war_id=war.id, faction_id=d, ally_id=i), owner.actor, world_id)
    await server.do(AnswerCall(war_id=war.id, faction_id=i, come=True), owner.actor, world_id)
    for land in lands:
        await conquer(server, owner, world_id, war.id, a, i, land)
    before = await aggression(server, world_id, a)
    await sign(server, owner, world_id, a, i, kind="ceasefire")
    assert await aggression(server, world_id, a) == before + 12
    assert [await holder(server, world_id, land) for land in lands] == [a, a]


async def test_a_secret_peace_holds_as_long_as_an_open_one(server: Server) -> None:
    owner, world_id, a, b = await two(server, strength=1000)
    gate = await region(server, owner, world_id, "Gate", b)
    war = await server.do(DeclareWar(attacker_id=a, defender_id=b), owner.actor, world_id)
    await conquer(server, owner, world_id, war.id, a, b, gate)
    await sign(server, owner, world_id, a, b, secret=True)
    (peace,) = await told(server, world_id, "diplomacy.peace_made")
    assert peace["treaty_id"] is None and peace["score"] > 50
    assert await truce_until(server, world_id, a, b) == peace["truce_until"] == (
        battle.truce_days(peace["score"]) * DAY
    )  # fmt: skip


@pytest.mark.parametrize("secret", [True, False])
async def test_what_was_broken_in_secret_is_no_cause(server: Server, secret: bool) -> None:
    owner, world_id, a, b = await two(server)
    await pact(server, owner, world_id, Defend(protector_id=b, protected_id=a), secret=secret)
    async with server.runtime.database.writing() as hand:
        await hand.execute(
            text(
                "INSERT INTO treaty_violations (world_id, id, treaty_id, clause_id, faction_id, kind, text, state, at) "
                "SELECT c.world_id, c.id, c.treaty_id, c.id, :b, 'defend', 'x', 'confirmed', 0 "
                "FROM treaty_clauses c WHERE c.world_id = :world"
            ),
            {"b": b, "world": world_id},
        )
        await hand.commit()
    declare = DeclareWar(attacker_id=a, defender_id=b, cause="broken_treaty")
    if secret:
        with pytest.raises(Refused, match="cause_unfounded"):
            await server.do(declare, owner.actor, world_id)
    else:
        assert (await server.do(declare, owner.actor, world_id)).cause_id is not None


async def test_who_came_of_its_own_will_was_not_attacked(server: Server) -> None:
    owner, world_id, a, b = await two(server)
    ally, shield = [await found(server, owner, world_id, name) for name in ("Cedar", "Dogwood")]
    await pact(server, owner, world_id, Defend(protector_id=shield, protected_id=ally))
    war = await server.do(DeclareWar(attacker_id=a, defender_id=b), owner.actor, world_id)
    await server.do(CallToArms(war_id=war.id, faction_id=b, ally_id=ally), owner.actor, world_id)
    await server.do(AnswerCall(war_id=war.id, faction_id=ally, come=True), owner.actor, world_id)
    await server.do(CallToArms(war_id=war.id, faction_id=ally, ally_id=shield), owner.actor, world_id)
    await server.do(AnswerCall(war_id=war.id, faction_id=shield, come=False), owner.actor, world_id)
    assert [e["bound"] for e in await told(server, world_id, "diplomacy.call_answered")] == [False, False]
