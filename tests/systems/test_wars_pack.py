"""`wars.yaml`: a world at war is written, read again, and is at the same war; mistakes are found in their lines."""

from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from fablewright.core.clock import DAY
from fablewright.core.refusal import Refused
from fablewright.packs.reader import import_pack, read_pack
from fablewright.packs.writer import export_world
from fablewright.systems.diplomacy.clauses import NoAttack
from fablewright.systems.diplomacy.commands import SetRelation
from fablewright.systems.diplomacy.history_commands import (
    MOST_AGGRESSION,
    MOST_LOSSES,
    MOST_NUMBER,
    ImportWar,
    OccupationValue,
    PartyValue,
    SetWarlike,
)
from fablewright.systems.diplomacy.treaty_commands import ProposeTreaty
from fablewright.systems.diplomacy.war_commands import (
    AnswerCall,
    CallToArms,
    DeclareWar,
    FightBattle,
    MakePeace,
)
from fablewright.systems.factions.commands import DissolveFaction
from fablewright.systems.regions.commands import BorderValue, DefineRegions, SetControl
from tests.support import Person, Server
from tests.systems.test_incidents import advance, found, happened, relation, spying, two
from tests.systems.test_wars import blockaded, conquer, holder, region, sign, sound, weaken

TABLES = {
    "wars": "SELECT id, name, attacker_id, defender_id, cause, reason, legitimacy, legitimacy_parts::text, "
    "battle_score, treaty_id, outcome, final_score, final_parts::text, at, ended_at FROM wars "
    "WHERE world_id = $1 ORDER BY id",
    "parties": "SELECT war_id, faction_id, side, state, called_by_id, regions, losses, at, left_at FROM war_parties "
    "WHERE world_id = $1 ORDER BY 1, 2",
    "occupations": "SELECT war_id, region_id, holder_id, occupier_id, at, until_at FROM occupations "
    "WHERE world_id = $1 ORDER BY war_id, id",
    "counts": "SELECT faction_id, wars FROM warlike WHERE world_id = $1 ORDER BY 1",
    "holders": "SELECT id, controller_id FROM regions WHERE world_id = $1 ORDER BY 1",
    "statuses": "SELECT low_id, high_id, status FROM relations WHERE world_id = $1 ORDER BY 1, 2",
    "blockades": "SELECT source FROM trade_restrictions WHERE world_id = $1 AND lifted_at IS NULL ORDER BY 1",
    "timers": "SELECT kind, due_at, data ->> 'war_id', data ->> 'faction_id', data ->> 'again' FROM timers "
    "WHERE world_id = $1 AND kind IN ('diplomacy.war_felt', 'diplomacy.call_lapses') ORDER BY 1, 2, 3, 4",
}
"""What a world at war is, but for numbers that decay."""
SHAKEN = """
SELECT at, data ->> 'region_id' AS region, round((data ->> 'after')::numeric, 6) AS stability FROM events
WHERE world_id = $1 AND type = 'regions.stability_changed' AND data ->> 'reason' = 'the war goes on' AND at > $2
ORDER BY 1, 2
"""


async def books(server: Server, world_id: UUID) -> dict[str, list[tuple[Any, ...]]]:
    return {name: [tuple(row) for row in await server.fetch(sql, world_id)] for name, sql in TABLES.items()}


async def exported(server: Server, world_id: UUID, folder: Path) -> dict[str, str]:
    await export_world(server.runtime, world_id, folder)
    return {str(p.relative_to(folder)): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


async def imported(server: Server, owner: Person, folder: Path) -> UUID:
    pack = read_pack(folder, server.runtime.systems)
    return (await import_pack(server.runtime, owner.actor, pack)).world_id


async def at_war(server: Server) -> tuple[Person, UUID, dict[str, UUID]]:
    """A war of two with an ally who came, one who has not answered, and one who refused; and one that is over."""
    owner, world_id, a, b = await two(server, strength=2000, treasury=900)
    c, d, e, f = [
        await found(server, owner, world_id, name, strength=300)
        for name in ("Cedar", "Dogwood", "Elm", "Fir")
    ]

    async def do(command: Any) -> Any:
        return await server.do(command, owner.actor, world_id)

    lands = {name: await region(server, owner, world_id, name, of) for name, of in
             (("Ford", a), ("Gate", b), ("Hill", b), ("Isle", f))}  # fmt: skip
    await do(
        DefineRegions(regions=[], borders=[BorderValue(a_id=lands["Gate"], b_id=lands["Hill"], minutes=9)])
    )
    old = await do(DeclareWar(attacker_id=a, defender_id=f, reason="Salt."))
    await conquer(server, owner, world_id, old.id, a, f, lands["Isle"])
    keep = {"type": "keep_out", "faction_id": f, "region_id": lands["Isle"], "for_id": a}
    await sign(server, owner, world_id, a, f, clauses=[keep])
    await advance(server, owner, world_id, 7 * DAY)
    for ally in (c, e):
        await do(SetRelation(a_id=b, b_id=ally, status="allied"))
    war = await do(
        DeclareWar(attacker_id=a, defender_id=b, reason="The ford is ours.", name="The War of the Ford")
    )
    await do(AnswerCall(war_id=war.id, faction_id=c, come=True))
    await do(AnswerCall(war_id=war.id, faction_id=e, come=False))
    await advance(server, owner, world_id, 3 * DAY)
    await do(CallToArms(war_id=war.id, faction_id=a, ally_id=d))
    await conquer(server, owner, world_id, war.id, a, b, lands["Gate"])
    await weaken(server, owner, world_id, b, 400)
    await do(FightBattle(war_id=war.id, faction_id=c, enemy_id=a, troops=50))
    await advance(server, owner, world_id, 34 * DAY // 2)
    return owner, world_id, {"a": a, "b": b, "c": c, "d": d, "f": f, "war": war.id, **lands}


async def test_a_world_at_war_is_written_and_read_again(server: Server, tmp_path: Path) -> None:
    owner, world_id, ids = await at_war(server)
    first = await exported(server, world_id, tmp_path / "one")
    copy = await imported(server, owner, tmp_path / "one")
    assert first == await exported(server, copy, tmp_path / "two")
    assert "warlike" in first["factions.yaml"] and "treaty: peace" in first["wars.yaml"]
    before, after = [await books(server, world) for world in (world_id, copy)]
    for name, rows in before.items():
        assert rows and rows == after[name], name
    assert {kind for kind, *_ in before["timers"]} == {"diplomacy.war_felt", "diplomacy.call_lapses"}
    assert {row[3] for row in before["parties"]} == {"called", "fighting", "refused", "out"}
    assert "diplomacy.war_declared" not in await happened(server, copy), "nobody judges it again"
    await sound(server, copy)
    (row,) = await server.fetch("SELECT anchor_world_ms AS now FROM worlds WHERE id = $1", copy)
    for world in (world_id, copy):  # and the war is fought on, and ends, as it would have
        await advance(server, owner, world, 30 * DAY)
        fight = FightBattle(war_id=ids["war"], faction_id=ids["a"], enemy_id=ids["c"], troops=1)
        await server.do(fight, owner.actor, world)
        ended = await server.do(MakePeace(war_id=ids["war"], faction_id=ids["b"]), owner.actor, world)
        assert {p.faction_id: p.state for p in ended.parties}[ids["d"]] == "refused", "silence was a no"
        assert await holder(server, world, ids["Gate"]) == ids["b"]
        assert await holder(server, world, ids["Isle"]) == ids["a"]
        assert (await relation(server, world, ids["a"], ids["c"]))[1] == "truce"
        assert await blockaded(server, world) == []
    shaken = [[tuple(r) for r in await server.fetch(SHAKEN, world, row["now"])] for world in (world_id, copy)]
    assert shaken[0] and shaken[0] == shaken[1], "the war goes on shaking the land, at the same times"
    await sound(server, copy)


async def test_who_is_no_more_stays_behind_with_what_it_did(server: Server, tmp_path: Path) -> None:
    """The wars it led, and what it took or lost; a war of others goes on without it."""
    owner, world_id, ids = await at_war(server)
    await server.do(AnswerCall(war_id=ids["war"], faction_id=ids["d"], come=True), owner.actor, world_id)
    await conquer(server, owner, world_id, ids["war"], ids["d"], ids["b"], ids["Hill"])
    asked = await found(server, owner, world_id, "Gorse")
    await server.do(CallToArms(war_id=ids["war"], faction_id=ids["d"], ally_id=asked), owner.actor, world_id)
    for gone in ("d", "f"):
        await server.do(DissolveFaction(faction_id=ids[gone]), owner.actor, world_id)
    first = await exported(server, world_id, tmp_path / "one")
    copy = await imported(server, owner, tmp_path / "one")
    assert first == await exported(server, copy, tmp_path / "two")
    after = await books(server, copy)
    assert [row[0] for row in after["wars"]] == [ids["war"]]
    assert [(row[1], row[5]) for row in after["occupations"]] == [(ids["Gate"], None)]
    assert ids["d"] not in {row[1] for row in after["parties"]}
    assert (asked, "called", ids["a"]) in {(row[1], row[3], row[4]) for row in after["parties"]}
    await sound(server, copy)


HAND = {
    "world.yaml": "name: Fordwick\npaused: true\nbegins_at: 8640000000\n",
    "factions.yaml": "factions:\n  ash: {name: Ash, warlike: {exhaustion: 40.5, aggression: 30}}\n"
    "  birch: {name: Birch}\n  cedar: {name: Cedar}\n",
    "relations.yaml": "relations:\n  - {from: ash, to: birch, status: war}\n  - {from: cedar, to: ash, status: war}\n",
    "wars.yaml": "wars:\n  ford: {attacker: ash, defender: birch, cause: conquest, legitimacy: 0.05, since: 0}\n",
}


async def test_who_is_at_war_without_one_gets_it_by_decree(server: Server, tmp_path: Path) -> None:
    for name, text in HAND.items():
        (tmp_path / name).write_text(text)
    owner = await server.person()
    world_id = await imported(server, owner, tmp_path)
    wars = await server.fetch("SELECT name, cause, at FROM wars WHERE world_id = $1 ORDER BY at", world_id)
    assert [(row["cause"], row["at"]) for row in wars] == [("conquest", 0), ("decree", 100 * DAY)]
    assert wars[0]["name"] == "War of Ash on Birch"
    assert len(await blockaded(server, world_id)) == 2
    rows = await server.fetch(
        "SELECT exhaustion, aggression, wars FROM warlike WHERE world_id = $1 ORDER BY exhaustion DESC",
        world_id,
    )
    assert [tuple(row) for row in rows] == [(40.5, 30.0, 2), (0.0, 0.0, 1), (0.0, 0.0, 1)]
    felt = await server.fetch(
        "SELECT due_at FROM timers WHERE world_id = $1 AND kind = 'diplomacy.war_felt' AND data ? 'again' ORDER BY 1",
        world_id,
    )
    assert [row["due_at"] for row in felt] == [120 * DAY, 130 * DAY]
    await sound(server, world_id)


# -- by game masters -----------------------------------------------------------------------------------------


async def test_a_game_master_brings_wars_in(server: Server) -> None:
    owner, world_id, a, b = await two(server)
    c = await found(server, owner, world_id, "Cedar")
    gate = await region(server, owner, world_id, "Gate", a)
    await server.do(SetRelation(a_id=a, b_id=b, status="truce"), owner.actor, world_id)
    await advance(server, owner, world_id, 40 * DAY)
    await region(server, owner, world_id, "Hill", c)
    ally = PartyValue(faction_id=c, side="attacker", state="called", called_by_id=a)
    taken = OccupationValue(region_id=gate, holder_id=b, occupier_id=a, since=5 * DAY)
    told = ImportWar(
        attacker_id=a, defender_id=b, since=0, battle_score=9.0, parties=[ally], occupations=[taken]
    )
    war = await server.do(told, owner.actor, world_id)
    assert (war.score, {p.faction_id: p.state for p in war.parties}) == (
        59.0, {a: "fighting", b: "fighting", c: "called"}
    )  # fmt: skip
    assert {p.faction_id: p.regions for p in war.parties} == {a: 0, b: 1, c: 1}, "as it was before"
    assert (await relation(server, world_id, a, b))[1] == "war"
    past = ImportWar(attacker_id=c, defender_id=b, since=0, ended_at=DAY, outcome="attacker", score=60.0)
    ended = await server.do(past, owner.actor, world_id)
    assert (ended.outcome, ended.score, [p.amount for p in ended.score_parts]) == ("attacker", 60.0, [60.0])
    assert {(p.state, p.left_at, p.regions) for p in ended.parties} == {("out", DAY, 0)}
    assert len(await blockaded(server, world_id)) == 1, "what is over leaves no trace"
    await advance(server, owner, world_id, 1)
    answers = await server.fetch(
        "SELECT state FROM war_parties WHERE world_id = $1 AND faction_id = $2 AND war_id = $3",
        world_id,
        c,
        war.id,
    )
    assert answers[0]["state"] == "refused", "its time to answer was over long ago"
    for said in ({"aggression": 30}, {"exhaustion": 50}, {}):
        weary = await server.do(SetWarlike(faction_id=a, **said), owner.actor, world_id)
    assert (weary.exhaustion, weary.aggression, weary.wars) == (50.0, 30.0, 1)
    await sound(server, world_id)


async def test_enemies_who_never_met_need_no_relation_and_allies_part_before_they_fight(
    server: Server,
) -> None:
    owner, world_id, a, b = await two(server, strength=100)
    c, d = [await found(server, owner, world_id, name, strength=100) for name in ("Cedar", "Dogwood")]
    await server.do(SetRelation(a_id=a, b_id=b, status="allied"), owner.actor, world_id)
    parties = [PartyValue(faction_id=c, side="attacker"), PartyValue(faction_id=d, side="defender")]
    war = await server.do(ImportWar(attacker_id=a, defender_id=b, parties=parties), owner.actor, world_id)
    rows = await server.fetch("SELECT status FROM relations WHERE world_id = $1", world_id)
    assert [row["status"] for row in rows] == ["war"] * 3
    assert sorted(map(sorted, await blockaded(server, world_id))) == sorted(
        map(sorted, ({a, b}, {c, b}, {a, d}))
    )
    fight = FightBattle(war_id=war.id, faction_id=c, enemy_id=b)
    await server.do(fight, owner.actor, world_id)
    e = await found(server, owner, world_id, "Elm")
    for status in ("war", "neutral"):
        await server.do(SetRelation(a_id=e, b_id=b, status=status), owner.actor, world_id)
    other = ImportWar(attacker_id=d, defender_id=b, parties=[PartyValue(faction_id=e, side="attacker")])
    await server.do(other, owner.actor, world_id)
    assert (await relation(server, world_id, b, e))[1] == "neutral", "what they are was said"
    await sound(server, world_id)


async def test_what_was_let_go_since_is_nobodys(server: Server) -> None:
    owner, world_id, a, b = await two(server)
    gate, _ = [await region(server, owner, world_id, name, a) for name in ("Gate", "Hill")]
    await server.do(SetControl(region_id=gate, controller_id=None), owner.actor, world_id)
    taken = OccupationValue(region_id=gate, holder_id=b, occupier_id=a)
    told = ImportWar(attacker_id=a, defender_id=b, occupations=[taken])
    war = await server.do(told, owner.actor, world_id)
    assert {p.faction_id: p.regions for p in war.parties} == {a: 1, b: 1} and war.score == 50.0
    assert await holder(server, world_id, gate) is None


async def test_what_has_grown_past_what_may_be_told_is_written_as_the_most(
    server: Server, tmp_path: Path
) -> None:
    owner, world_id, a, b = await two(server, strength=100)
    await server.do(SetWarlike(faction_id=a, aggression=MOST_AGGRESSION), owner.actor, world_id)
    parties = [PartyValue(faction_id=i, losses=MOST_LOSSES) for i in (a, b)]
    told = ImportWar(attacker_id=a, defender_id=b, parties=parties, battle_score=MOST_NUMBER)
    war = await server.do(told, owner.actor, world_id)
    await weaken(server, owner, world_id, b)
    await server.do(FightBattle(war_id=war.id, faction_id=a, enemy_id=b), owner.actor, world_id)
    c = await found(server, owner, world_id, "Cedar")
    await server.do(DeclareWar(attacker_id=a, defender_id=c), owner.actor, world_id)
    first = await exported(server, world_id, tmp_path / "one")
    copy = await imported(server, owner, tmp_path / "one")
    assert first == await exported(server, copy, tmp_path / "two")
    assert f"losses: {MOST_LOSSES}" in first["wars.yaml"]


async def test_what_the_world_contradicts_is_refused(server: Server) -> None:
    owner, world_id, a, b = await two(server, strength=100)
    c, gone = [await found(server, owner, world_id, name) for name in ("Cedar", "Dogwood")]
    await server.do(DissolveFaction(faction_id=gone), owner.actor, world_id)
    gate = await region(server, owner, world_id, "Gate", b)
    war = await server.do(DeclareWar(attacker_id=a, defender_id=b), owner.actor, world_id)
    await conquer(server, owner, world_id, war.id, a, b, gate)

    def took(region_id: UUID, occupier: UUID) -> dict[str, Any]:
        return {"occupations": [OccupationValue(region_id=region_id, holder_id=b, occupier_id=occupier)]}

    insult = await server.do(spying(b, a), owner.actor, world_id)
    pact = await server.do(
        ProposeTreaty(
            faction_id=a, name="Pact", parties=[a, b], clauses=[NoAttack(a_id=a, b_id=b)], secret=True
        ),
        owner.actor,
        world_id,
    )
    past = OccupationValue(region_id=uuid4(), holder_id=a, occupier_id=b, since=0, until=0)

    def called(by: UUID) -> dict[str, Any]:
        return {"parties": [PartyValue(faction_id=b, side="attacker", state="called", called_by_id=by)]}

    for fields, code, says in (
        (
            {"cause": "incident", "cause_id": insult.id},
            "history_unsound",
            "cause_id: it is nothing that gives",
        ),
        ({"attacker_id": b, "defender_id": a, "cause_id": insult.id}, "history_unsound", "cause_id: "),
        (
            {"ended_at": 0, "since": 0, "treaty_id": pact["id"]},
            "history_unsound",
            "treaty_id: it is no treaty",
        ),
        ({"ended_at": 0, "since": 0, "treaty_id": uuid4()}, "history_unsound", "treaty_id: it is no treaty"),
        ({"since": 0, "occupations": [past]}, "region_not_found", ""),
        (called(b), "history_unsound", "parties.0.called_by_id: that does not fight on its side"),
        (called(c), "history_unsound", "parties.0.called_by_id: that does not fight on its side"),
        ({"attacker_id": b, "defender_id": a}, "already_at_war", "lead a war"),
        ({"id": war.id}, "history_exists", "this id"),
        ({"since": DAY}, "history_unsound", "since: that is to come"),
        ({"defender_id": uuid4()}, "faction_not_found", ""),
        ({"defender_id": gone}, "faction_dissolved", ""),
        (
            {"parties": [PartyValue(faction_id=uuid4(), side="attacker", state="refused")]},
            "faction_not_found",
            "",
        ),
        (took(uuid4(), a), "region_not_found", ""),
        (took(gate, c), "history_unsound", "occupations.0.occupier_id: another faction holds"),
        (took(gate, a), "history_unsound", "occupations.0.region_id: it is occupied in another war"),
    ):
        command = ImportWar(**{"attacker_id": a, "defender_id": c, **fields})
        with pytest.raises(Refused) as refused:
            await server.do(command, owner.actor, world_id)
        assert refused.value.code == code and says in refused.value.detail, fields
