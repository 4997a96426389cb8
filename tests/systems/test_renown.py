"""Who learns of a broken treaty, how, and what it makes of that; and what war does to the land."""

from typing import Any
from uuid import UUID

import pytest

from fablewright.systems.characters.commands import CreateCharacter
from fablewright.systems.dialogue.commands import Interact
from fablewright.systems.diplomacy import renown, rules, service
from fablewright.systems.diplomacy.commands import AddOpinion, SetRelation
from fablewright.systems.diplomacy.treaty_commands import RevealTreaty
from fablewright.systems.diplomacy.war_commands import AnswerCall, CallToArms, DeclareWar, MakePeace
from fablewright.systems.director.chronicle import SENTENCES
from fablewright.systems.factions.commands import AddMember, FoundFaction, SetLeader
from fablewright.systems.markets.commands import DefineGoods, GoodValue, SetMarket
from fablewright.systems.memory.commands import PlantMemory
from fablewright.systems.regions.commands import (
    BanMovement,
    BorderValue,
    DefinePlaces,
    DefineRegions,
    Membership,
    PlaceCharacters,
    Placement,
    PlaceValue,
    RegionValue,
    SetControl,
)
from fablewright.systems.relationships.commands import SetTie
from tests.support import Server
from tests.systems.test_relations import inside
from tests.systems.test_treaties import ASH, ELM, HILL, OAK, Court

FIR, YEW, BAY = (UUID(int=n) for n in range(204, 207))
REEVE, FENN, YARA, BRAM = (UUID(int=n) for n in range(311, 315))
VALE, SQUARE = UUID(int=402), UUID(int=501)
OPEN = {"type": "open_borders", "faction_id": ELM, "to_id": ASH}


class Land(Court):
    """Six factions: Elm will break its word to Ash, whose friend Fir is, and whose enemy Oak; somebody of Bay stands
    by, and nobody tells Yew."""

    async def open(self) -> "Land":
        await super().open()
        await self.do([
            FoundFaction(id=faction, name=name) for faction, name in ((FIR, "Fir"), (YEW, "Yew"), (BAY, "Bay"))
        ])  # fmt: skip
        people = {REEVE: ("Reeve", ELM), FENN: ("Fenn", FIR), YARA: ("Yara", YEW), BRAM: ("Bram", BAY)}
        await self.do([CreateCharacter(id=who, name=name) for who, (name, _) in people.items()])
        await self.do([AddMember(faction_id=faction, member_id=who) for who, (_, faction) in people.items()])
        await self.do(SetLeader(faction_id=ELM, member_id=REEVE))
        await self.do(SetLeader(faction_id=ASH, member_id=UUID(int=301)))
        await self.do(SetRelation(a_id=FIR, b_id=ASH, status="friendly"))
        await self.do(AddOpinion(holder_id=FIR, about_id=ASH, key="kin", amount=60, reason="kin"))
        await self.do(SetRelation(a_id=OAK, b_id=ASH, status="hostile"))
        await self.do(AddOpinion(holder_id=OAK, about_id=ASH, key="feud", amount=-60, reason="a feud"))
        await self.do(DefinePlaces(places=[PlaceValue(id=SQUARE, name="Square", kind="square")]))
        await self.do(DefineRegions(
            regions=[RegionValue(id=HILL, name="Hill"), RegionValue(id=VALE, name="Vale")],
            borders=[BorderValue(a_id=HILL, b_id=VALE, minutes=60)],
            places=[Membership(place_id=SQUARE, region_id=HILL)],
        ))  # fmt: skip
        await self.do(SetControl(region_id=HILL, controller_id=ELM))
        await self.do(PlaceCharacters(placements=[Placement(character_id=BRAM, place_id=SQUARE)]))
        return self

    async def breach(self, **fields: Any) -> UUID:
        """Let Elm close its borders to Ash against a treaty; the deed."""
        await self.signed(OPEN, **fields)
        await self.do(BanMovement(region_id=HILL, subject_id=ASH, reason="a quarrel"))
        rows = await self.fetch("SELECT id FROM deeds WHERE world_id = $1 AND kind = 'breach'")
        deed: UUID = rows[0]["id"]
        return deed

    async def thinks(self, *holders: UUID) -> list[float]:
        """What factions think of Elm."""

        async def look(tx: Any) -> list[float]:
            book = await service.peek(tx, tx.world_id, tx.now, [(h, ELM) for h in holders])
            return [book.opinion(h, ELM) for h in holders]

        return await inside(self.server, self.world_id, look)

    async def known(self) -> dict[UUID, tuple[str, float]]:
        rows = await self.fetch("SELECT faction_id, how, certainty FROM deeds_known WHERE world_id = $1")
        return {row["faction_id"]: (row["how"], row["certainty"]) for row in rows}

    async def stability(self, region: UUID) -> float:
        rows = await self.fetch("SELECT stability FROM regions WHERE world_id = $1 AND id = $2", region)
        return float(rows[0]["stability"])

    async def causes(self, kind: str) -> list[str | None]:
        """Of what type the events are that events of this kind are put down to."""
        rows = await self.fetch(
            "SELECT c.type FROM events e LEFT JOIN events c ON c.world_id = e.world_id AND c.id = e.causation_id "
            "WHERE e.world_id = $1 AND e.type = $2 ORDER BY e.seq",
            kind,
        )
        return [row["type"] for row in rows]


@pytest.fixture
async def land(server: Server) -> Land:
    return await Land(server).open()


async def test_a_betrayal_is_judged_by_closeness_and_by_who_knows(land: Land) -> None:
    await land.breach()
    assert await land.known() == {}, "word takes a day"
    await land.advance(1.5)
    assert await land.known() == {FIR: ("told", rules.ENVOYS), BAY: ("saw", 1.0)}
    fir, bay, oak, yew = await land.thinks(FIR, BAY, OAK, YEW)
    assert fir < bay < 0, "a friend of the victim minds more than somebody who stood by"
    assert (oak, yew) == (0, 0), "nobody has told them"
    heard = await land.events("deed_heard")
    assert {UUID(h["faction_id"]): h["how"] for h in heard} == {FIR: "told", BAY: "saw"}
    for h in heard:
        product = rules.GRAVITY["breach"]
        for part in h["parts"]:
            product *= part["factor"]
        assert h["opinion"] == pytest.approx(-product)
        told = SENTENCES["diplomacy.deed_heard"](h, lambda key: {"faction_id": "Fir", "doer_id": "Elm"}[key])
        assert "that Elm broke Treaty of Ash (certainty" in told
    assert set(await land.causes("diplomacy.deed_heard")) == {"diplomacy.treaty_violated"}
    causes = await land.causes("diplomacy.relationship_changed")
    assert causes.count("diplomacy.deed_heard") == 2
    await land.sound()


async def test_a_rumour_brings_it_about_with_who_told_whom(land: Land) -> None:
    deed = await land.breach()
    await land.advance(1.5)
    story = {"text": "Elm broke the Treaty of Ash.", "fact_id": deed, "kind": "told", "about_ids": [REEVE]}
    await land.do(PlantMemory(character_id=YARA, certainty=0.4, tellers=[BRAM, FENN], **story))
    (doubted,) = await land.thinks(YEW)
    (row,) = await land.fetch("SELECT * FROM deeds_known WHERE world_id = $1 AND faction_id = $2", YEW)
    assert (row["how"], row["certainty"], row["character_id"]) == ("heard", 0.4, YARA)
    assert row["tellers"] == [BRAM, FENN]
    other = UUID(int=315)
    await land.do(CreateCharacter(id=other, name="Yorick"))
    await land.do(AddMember(faction_id=YEW, member_id=other))
    await land.do(PlantMemory(character_id=other, certainty=0.3, tellers=[FENN], **story))
    assert await land.thinks(YEW) == [doubted], "who is surer already learns nothing"
    third = UUID(int=316)
    await land.do(CreateCharacter(id=third, name="Ysolde"))
    await land.do(AddMember(faction_id=YEW, member_id=third))
    await land.do(PlantMemory(character_id=third, certainty=0.8, tellers=[FENN], **story))
    (sure,) = await land.thinks(YEW)
    assert sure == pytest.approx(2 * doubted), "twice as sure is twice as bad"
    (row,) = await land.fetch("SELECT opinion FROM deeds_known WHERE world_id = $1 AND faction_id = $2", YEW)
    assert row["opinion"] == pytest.approx(sure)
    await land.sound()


async def test_an_enemy_of_the_victim_trusts_less_but_minds_less_than_a_stranger(land: Land) -> None:
    deed = await land.breach()
    spy = UUID(int=317)
    await land.do(CreateCharacter(id=spy, name="Otto"))
    await land.do(AddMember(faction_id=OAK, member_id=spy))
    fact = {"text": "Elm broke its word.", "fact_id": deed, "kind": "told", "tellers": [BRAM]}
    before = await land.trust(OAK, ELM)
    await land.do(PlantMemory(character_id=spy, **fact))
    (mind,) = await land.thinks(OAK)
    cares = rules.STRANGER_CARES * (1 + rules.closeness(-60, "hostile"))
    assert mind == pytest.approx(-rules.GRAVITY["breach"] * cares, abs=0.1)
    assert -rules.GRAVITY["breach"] * rules.STRANGER_CARES < mind < 0
    assert await land.trust(OAK, ELM) < before


async def test_gossip_carries_it_to_another_faction(land: Land) -> None:
    deed = await land.breach()
    await land.advance(1.5)
    (held,) = await land.fetch(
        "SELECT id, kind FROM memories WHERE world_id = $1 AND fact_id = $2 AND character_id = $3", deed, BRAM
    )
    assert held["kind"] == "saw"
    await land.do(SetTie(source_id=YARA, target_id=BRAM, strength=0.8, trust=1.0))
    await land.do(SetTie(source_id=BRAM, target_id=YARA, strength=0.8, trust=1.0))
    await land.do(PlaceCharacters(placements=[Placement(character_id=YARA, place_id=SQUARE)]))
    await land.do(Interact(initiator_id=BRAM, target_id=YARA, type="gossip", memory_id=held["id"]))
    how, certainty = (await land.known())[YEW]
    assert how == "heard" and 0 < certainty < 1
    assert (await land.thinks(YEW))[0] < 0
    assert (await land.causes("diplomacy.deed_heard"))[-1] == "dialogue.interacted"
    await land.sound()


async def test_a_secret_treaty_comes_out_by_a_rumour(land: Land) -> None:
    treaty_id = await land.signed(OPEN, secret=True)
    await land.advance(1.5)
    (deed,) = await land.fetch("SELECT id, kind, secret FROM deeds WHERE world_id = $1")
    assert (deed["kind"], deed["secret"]) == ("pact", True)
    holders = await land.fetch(
        "SELECT character_id, secret FROM memories WHERE world_id = $1 AND fact_id = $2", deed["id"]
    )
    assert {(h["character_id"], h["secret"]) for h in holders} == {(UUID(int=301), True), (REEVE, True)}
    assert await land.events("treaty_revealed") == []
    told = PlantMemory(
        character_id=YARA, text="Ash and Elm have a secret treaty.", fact_id=deed["id"], kind="told",
        tellers=[REEVE], is_secret=True,
    )  # fmt: skip
    await land.do(told)
    (revealed,) = await land.events("treaty_revealed")
    assert (UUID(revealed["treaty_id"]), revealed["how"]) == (treaty_id, "Yara heard of it")
    (deed,) = await land.fetch("SELECT secret FROM deeds WHERE world_id = $1")
    assert not deed["secret"]
    await land.sound()


async def test_a_secret_breach_is_known_to_its_parties_only(land: Land) -> None:
    await land.breach(secret=True)
    await land.advance(2)
    assert await land.known() == {ELM: ("party", 1.0)}, "Elm knows of the treaty, nobody of the breach"
    assert await land.thinks(FIR, BAY) == [0, 0]
    (treaty,) = await land.fetch("SELECT id FROM treaties WHERE world_id = $1")
    await land.do(RevealTreaty(treaty_id=treaty["id"]))
    await land.advance(1.5)
    fir, bay = await land.thinks(FIR, BAY)
    assert fir < 0 == bay, "once it is out, the friends of the wronged hear of it"
    await land.sound()


async def test_an_ally_that_does_not_come_is_judged(land: Land) -> None:
    await land.do(SetRelation(a_id=ELM, b_id=ASH, status="allied"))
    war = await land.do(DeclareWar(attacker_id=OAK, defender_id=ASH))
    called = await land.fetch("SELECT faction_id FROM war_parties WHERE world_id = $1 AND state = 'called'")
    if ELM not in {row["faction_id"] for row in called}:
        await land.do(CallToArms(war_id=war.id, faction_id=ASH, ally_id=ELM))
    await land.do(AnswerCall(war_id=war.id, faction_id=ELM, come=False))
    await land.advance(1.5)
    assert (await land.known())[FIR] == ("told", rules.ENVOYS)
    assert (await land.thinks(FIR))[0] < 0
    await land.sound()


@pytest.mark.parametrize("excused", [False, True])
async def test_who_promised_nothing_or_is_excused_is_no_deserter(land: Land, excused: bool) -> None:
    if excused:  # an ally of both
        await land.do(SetRelation(a_id=ELM, b_id=ASH, status="allied"))
        await land.do(SetRelation(a_id=ELM, b_id=OAK, status="allied"))
    war = await land.do(DeclareWar(attacker_id=OAK, defender_id=ASH))
    called = await land.fetch("SELECT faction_id FROM war_parties WHERE world_id = $1 AND state = 'called'")
    if ELM not in {row["faction_id"] for row in called}:
        await land.do(CallToArms(war_id=war.id, faction_id=ASH, ally_id=ELM))
    await land.do(AnswerCall(war_id=war.id, faction_id=ELM, come=False))
    await land.advance(1.5)
    assert await land.fetch("SELECT 1 FROM deeds WHERE world_id = $1 AND kind = 'desertion'") == []
    assert await land.thinks(FIR) == [0]


async def test_of_many_deeds_some_wait_their_turn(land: Land, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renown, "MOST_AT_ONCE", 1)
    for name in ("First Pact", "Second Pact", "Third Pact"):
        await land.signed(OPEN, name=name)
    await land.do(BanMovement(region_id=HILL, subject_id=ASH, reason="a quarrel"))
    await land.advance(1.5)
    heard = await land.events("deed_heard")
    assert len({h["deed_id"] for h in heard}) == 3
    assert len(heard) == 6 and {UUID(h["faction_id"]) for h in heard} == {FIR, BAY}


async def test_war_and_peace_shake_the_land(land: Land) -> None:
    await land.do(SetControl(region_id=VALE, controller_id=OAK))
    far = UUID(int=403)
    await land.do(DefineRegions(regions=[RegionValue(id=far, name="Far")]))
    await land.do(SetControl(region_id=far, controller_id=OAK))
    await land.do(DefineGoods(goods=[GoodValue(key="grain", name="Grain", base_price=4)]))
    stock = SetMarket(region_id=HILL, good="grain", supply=100, demand=100)
    calm, price = await land.stability(HILL), (await land.do(stock)).price
    war = await land.do(DeclareWar(attacker_id=OAK, defender_id=ELM))
    await land.advance(0.01)
    hill, vale, back = [await land.stability(region) for region in (HILL, VALE, far)]
    assert hill == pytest.approx(calm + rules.WAR_BEGINS.front, abs=1e-3) == vale
    assert back == pytest.approx(calm + rules.WAR_BEGINS.home, abs=1e-3), "farther from the front"
    assert (await land.do(stock)).price > price, "war makes bread dear"
    assert set(await land.causes("regions.stability_changed")) == {"diplomacy.war_declared"}
    await land.advance(31)
    told = await land.fetch(
        "SELECT data->>'reason' AS why FROM events WHERE world_id = $1 AND type = 'regions.stability_changed'"
    )
    assert [row["why"] for row in told].count(rules.WAR_GOES_ON.reason) == 2
    tired = await land.stability(HILL)
    await land.do(MakePeace(war_id=war.id, faction_id=OAK))
    await land.advance(1)
    assert await land.stability(HILL) > tired
    count = await land.fetch(
        "SELECT count(*) AS n FROM events WHERE world_id = $1 AND type LIKE 'regions.s%'"
    )
    await land.advance(60)
    again = await land.fetch(
        "SELECT count(*) AS n FROM events WHERE world_id = $1 AND type LIKE 'regions.s%'"
    )
    assert again == count, "peace is quiet"
    assert not await land.fetch("SELECT 1 FROM timers WHERE world_id = $1 AND kind = 'diplomacy.war_felt'")
    await land.sound()
