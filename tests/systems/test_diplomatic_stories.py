"""Whole stories of diplomacy, played by users through characters: acts by who may, consequences by themselves.

A realm of three factions, each run by a user of its own with a ruler, an ambassador, a general and a spymaster.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import orjson
import pytest

from fablewright.core.clock import DAY
from fablewright.core.messages import Command
from fablewright.core.refusal import Refused
from fablewright.systems.characters.commands import CreateCharacter
from fablewright.systems.dialogue.commands import Interact
from fablewright.systems.diplomacy.clauses import Defend, NoAttack, Pay
from fablewright.systems.diplomacy.nego_commands import AnswerOffer, MakeOffer, OpenNegotiation
from fablewright.systems.diplomacy.treaty_commands import ProposeTreaty, SignTreaty
from fablewright.systems.diplomacy.war_commands import (
    AnswerCall,
    AnswerIncident,
    DeclareWar,
    EscalateIncident,
    FightBattle,
    ImposeSanction,
    JoinSanction,
    LiftCondition,
    ReportIncident,
    SettleIncident,
)
from fablewright.systems.factions.commands import (
    FoundFaction,
    GrantTreasury,
    MemberValue,
    SetStrength,
    SpendTreasury,
)
from fablewright.systems.markets.commands import DefineGoods, GoodValue, OpenRoute
from fablewright.systems.quests.commands import AcceptQuest, ChooseObjective, EndQuest
from fablewright.systems.regions.commands import BorderValue, DefineRegions, RegionValue, SetControl
from fablewright.systems.worlds.commands import AdvanceWorld
from tests.support import Person, Server, until

ASH, BIRCH, CEDAR = (UUID(int=n) for n in (7001, 7002, 7003))
NAMES: Final = {ASH: "Ash", BIRCH: "Birch", CEDAR: "Cedar"}
ROLES: Final = ("ruler", "ambassador", "general", "spymaster")
HOME: Final = {faction: UUID(int=faction.int + 100) for faction in NAMES}
"""The region that each holds; all border on each other."""


def member(faction: UUID, role: str) -> UUID:
    """The character with this role in a faction."""
    return UUID(int=faction.int * 10 + ROLES.index(role))


@dataclass
class Realm:
    """The world of a story, whose clock stands unless days pass."""

    server: Server
    owner: Person
    world_id: UUID
    users: dict[UUID, Person]

    @classmethod
    async def found(cls, server: Server, *, strength: float = 1_000, treasury: int = 1_000) -> "Realm":
        owner = await server.person()
        world_id = await server.world(owner)
        users = {faction: await server.member(world_id, owner, "player") for faction in NAMES}
        realm = cls(server, owner, world_id, users)
        people = [
            CreateCharacter(
                id=member(faction, role), name=f"{role.title()} of {name}", user_id=users[faction].id
            )
            for faction, name in NAMES.items() for role in ROLES
        ]  # fmt: skip
        regions = [
            RegionValue(id=HOME[f], name=f"{name}land", terrain="plains", resources={"salt": 20})
            for f, name in NAMES.items()
        ]
        pairs = ((ASH, BIRCH), (BIRCH, CEDAR), (ASH, CEDAR))
        borders = [BorderValue(a_id=HOME[a], b_id=HOME[b], minutes=600) for a, b in pairs]
        founding = [
            FoundFaction(
                id=faction, name=name, strength=strength, treasury=treasury, leader_id=member(faction, "ruler"),
                members=[
                    MemberValue(character_id=member(faction, role), role=role) for role in ROLES[1:]
                ],
            )
            for faction, name in NAMES.items()
        ]  # fmt: skip
        await realm.do([
            *people, DefineRegions(regions=regions, borders=borders), *founding,
            *(SetControl(region_id=HOME[f], controller_id=f) for f in NAMES),
        ])  # fmt: skip
        return realm

    async def do(self, command: Command | list[Command]) -> Any:
        """As the world's owner."""
        answer = await self.server.runtime.engine.execute(command, self.owner.actor, self.world_id)
        return answer.result

    async def act(self, faction: UUID, role: str, command: Callable[..., Command], /, **fields: Any) -> Any:
        """As a user, through the member of a faction with this role."""
        made = command(character_id=member(faction, role), **fields)
        return await self.server.do(made, self.users[faction].actor, self.world_id)

    async def refused(
        self, code: str, faction: UUID, role: str, command: Callable[..., Command], /, **fields: Any
    ) -> None:
        with pytest.raises(Refused) as refused:
            await self.act(faction, role, command, **fields)
        assert refused.value.code == code

    async def talk(self, faction: UUID, role: str, listener: UUID) -> None:
        """Let a member chat with somebody."""
        said = Interact(
            initiator_id=member(faction, role), target_id=listener, type="chat", content="What did you see?"
        )
        await self.server.do(said, self.users[faction].actor, self.world_id)

    async def days(self, days: float) -> None:
        """Let time pass, and all that falls due happen."""
        await self.do(AdvanceWorld(by_ms=round(days * DAY)))

        async def there() -> bool:
            rows = await self.fetch("SELECT advance_id FROM worlds WHERE id = $1")
            return rows[0]["advance_id"] is None

        await until(there, 60)

    async def fetch(self, sql: str, *args: Any) -> list[Any]:
        return await self.server.fetch(sql, self.world_id, *args)

    async def told(self, kind: str) -> list[dict[str, Any]]:
        """What events of a type say, in order."""
        rows = await self.fetch(
            "SELECT data::text AS data FROM events WHERE world_id = $1 AND type = $2 ORDER BY seq", kind
        )
        return [orjson.loads(row["data"]) for row in rows]

    async def get(self, path: str, user: UUID | None = None) -> Any:
        """What a user (or the owner) reads."""
        person = self.owner if user is None else self.users[user]
        answer = await self.server.client.get(f"/api/v1/worlds/{self.world_id}{path}", headers=person.headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def status(self, a: UUID, b: UUID) -> str:
        return str((await self.get(f"/relations/{a}/{b}"))["status"])

    async def tension(self, a: UUID, b: UUID) -> float:
        return float((await self.get(f"/relations/{a}/{b}"))["tension"])

    async def why(self, kind: str, user: UUID | None = None) -> list[str]:
        """The types of the causes of the last event of a type, back to its root, as a user may read them."""
        rows = await self.fetch(
            "SELECT seq FROM events WHERE world_id = $1 AND type = $2 ORDER BY seq DESC LIMIT 1", kind
        )
        found = await self.get(f"/why/{rows[0]['seq']}", user)
        assert found["complete"], found
        return [cause["type"] for cause in found["causes"]]

    async def opinion(self, holder: UUID, about: UUID) -> list[str]:
        """The parts of an opinion as they are read; they sum to it."""
        feeling = (await self.get(f"/relations/{holder}/{about}"))["feelings"][0]
        assert sum(part["amount"] for part in feeling["parts"]) == pytest.approx(feeling["opinion"])
        return [part["reason"] for part in feeling["parts"]]

    async def trust(self, holder: UUID, about: UUID) -> float:
        return float((await self.get(f"/relations/{holder}/{about}"))["feelings"][0]["trust"])

    async def ally(self, a: UUID, b: UUID, **fields: Any) -> UUID:
        """Let two factions promise to defend each other: their ambassadors sign."""
        terms = [Defend(protector_id=a, protected_id=b), Defend(protector_id=b, protected_id=a)]
        made = await self.act(
            a, "ambassador", ProposeTreaty, faction_id=a, name="Oath of the Ford", kind="alliance",
            parties=[a, b], clauses=terms, **fields,
        )  # fmt: skip
        treaty_id = UUID(made["id"])
        for party in (a, b):
            await self.act(party, "ambassador", SignTreaty, treaty_id=treaty_id, faction_id=party)
        return treaty_id

    async def treasury(self, faction: UUID) -> int:
        rows = await self.fetch(
            "SELECT balance FROM ledger_accounts WHERE world_id = $1 AND owner_id = $2", faction
        )
        return int(rows[0]["balance"])

    async def carried(self) -> float:
        """How many units a day the one trade route carries."""
        rows = await self.fetch("SELECT moved FROM trade_routes WHERE world_id = $1")
        return float(rows[0]["moved"])

    async def sound(self) -> None:
        """The checks find nothing, and nothing failed on the way."""
        assert [f for f in await self.server.findings() if str(self.world_id) in f] == []
        assert await self.fetch("SELECT handler, error FROM dead_letters WHERE world_id = $1") == []


@pytest.fixture
async def realm(server: Server) -> Realm:
    return await Realm.found(server)


# -- from insult to war to peace -----------------------------------------------------------------------------


async def test_from_insult_to_war_to_peace(realm: Realm) -> None:
    await realm.ally(BIRCH, CEDAR)
    await realm.do(SetStrength(faction_id=ASH, strength=6_000))

    # An envoy of Birch mocks the ruler of Ash; Birch laughs it off, and Ash climbs the ladder.
    await realm.talk(BIRCH, "ambassador", member(ASH, "ruler"))
    (heard,) = await realm.fetch("SELECT id FROM events WHERE world_id = $1 AND type = 'dialogue.interacted'")
    insult = {
        "kind": "insult", "injured_id": ASH, "accused_id": BIRCH, "severity": 0.9, "evidence": 0.9,
        "event_id": heard["id"],
    }  # fmt: skip
    await realm.refused("role_may_not", ASH, "general", ReportIncident, **insult)
    incident = await realm.act(ASH, "spymaster", ReportIncident, **insult)
    war: dict[str, Any] = {
        "attacker_id": ASH, "defender_id": BIRCH, "cause": "incident", "cause_id": incident.id,
        "reason": "They mocked us, and mocked us again when we asked for a word of regret.",
    }  # fmt: skip
    await realm.refused("cause_unfounded", ASH, "general", DeclareWar, **war)
    await realm.act(BIRCH, "ambassador", AnswerIncident, incident_id=incident.id, answer="denial")
    rungs = [
        (await realm.act(ASH, "spymaster", EscalateIncident, incident_id=incident.id)).rung for _ in range(2)
    ]
    assert rungs == ["recall", "sanctions"]
    calm = await realm.tension(ASH, BIRCH)

    # War: the ally of the victim is called and comes.
    await realm.refused("role_may_not", ASH, "ambassador", DeclareWar, **war)
    declared = await realm.act(ASH, "general", DeclareWar, **war)
    assert 0.2 < declared.legitimacy < 0.8
    assert await realm.tension(ASH, BIRCH) > calm
    (called,) = await realm.told("diplomacy.ally_called")
    assert (called["ally_id"], called["against_id"]) == (str(CEDAR), str(ASH))
    await realm.act(CEDAR, "general", AnswerCall, war_id=declared.id, faction_id=CEDAR, come=True)
    assert [await realm.status(ASH, other) for other in (BIRCH, CEDAR)] == ["war", "war"]
    assert "declared war on us" in await realm.opinion(BIRCH, ASH)

    # Battles, until the land of Birch is taken; war makes weary.
    fight = {"war_id": declared.id, "faction_id": ASH, "enemy_id": BIRCH, "region_id": HOME[BIRCH]}
    for _ in range(20):
        await realm.days(10)
        standing = await realm.act(ASH, "general", FightBattle, **fight)
        if standing.occupations:
            break
    assert [(o.holder_id, o.occupier_id) for o in standing.occupations] == [(BIRCH, ASH)]
    assert standing.score > 25
    assert await realm.why("regions.control_changed") == ["diplomacy.battle_fought", "diplomacy.fight_battle"]

    # Birch sues for peace: it pays, gets its land back, and a truce holds.
    talks = await realm.act(
        BIRCH, "ambassador", OpenNegotiation, faction_id=BIRCH, with_ids=[ASH], kind="peace", about_id=declared.id,
        topic="Peace of the Ford",
    )  # fmt: skip

    # The talks open a quest: who sounds people out brings the two nearer to each other at the table.
    parley = (await realm.told("quests.defined"))[-1]
    assert (parley["template"], parley["name"]) == ("at_the_table", "Bring Ash and Birch together")
    await realm.act(CEDAR, "ruler", AcceptQuest, key=parley["key"])
    for listener in (member(ASH, "ruler"), member(ASH, "general"), member(BIRCH, "ruler")):
        await realm.talk(CEDAR, "ruler", listener)
    assert [(e["holder"], e["amount"]) for e in (await realm.told("quests.finished"))[-1]["talks"]] == [
        (str(ASH), 5), (str(BIRCH), 5)
    ]  # fmt: skip
    rows = await realm.fetch("SELECT lean FROM negotiation_parties WHERE world_id = $1")
    assert [row["lean"] for row in rows] == [5, 5]
    await realm.act(
        BIRCH, "ambassador", MakeOffer, negotiation_id=talks.id, faction_id=BIRCH, days=720,
        clauses=[Pay(from_id=BIRCH, to_id=ASH, amount=300), NoAttack(a_id=ASH, b_id=BIRCH)],
    )  # fmt: skip
    agreed = await realm.act(
        ASH, "ruler", AnswerOffer, negotiation_id=talks.id, faction_id=ASH, number=1, accept=True
    )
    assert agreed.state == "agreed"
    (peace,) = await realm.told("diplomacy.peace_made")
    assert (peace["outcome"], peace["treaty_id"]) == ("attacker", str(agreed.treaty_id))
    assert [await realm.status(ASH, other) for other in (BIRCH, CEDAR)] == ["truce", "truce"]
    assert (await realm.treasury(ASH), await realm.treasury(BIRCH)) == (1_300, 700)
    rows = await realm.fetch("SELECT controller_id FROM regions WHERE world_id = $1 AND id = $2", HOME[BIRCH])
    assert rows[0]["controller_id"] == BIRCH
    assert (await realm.told("quests.defined"))[-1]["template"] == "keep_the_peace"
    causes = await realm.why("diplomacy.peace_made", ASH)
    assert causes[-1] == "diplomacy.answer_offer"
    war.update(cause="conquest", cause_id=None)
    await realm.refused("truce_holds", ASH, "general", DeclareWar, **war)
    await realm.sound()

    # The truce runs out into what is felt.
    await realm.days(800)
    assert await realm.status(ASH, BIRCH) in ("hostile", "neutral", "cordial")
    moments = (await realm.get(f"/relations/{ASH}/{BIRCH}/timeline?limit=200"))["items"]
    told = [m["type"] for m in reversed(moments)]
    order = [told.index(f"diplomacy.{kind}") for kind in (
        "incident_occurred", "incident_answered", "incident_escalated", "war_declared", "battle_fought", "peace_made",
    )]  # fmt: skip
    assert order == sorted(order)
    await realm.sound()


# -- a tribute unpaid ----------------------------------------------------------------------------------------


async def test_a_tribute_unpaid(realm: Realm) -> None:
    made = await realm.act(
        ASH, "ambassador", ProposeTreaty, faction_id=ASH, name="Treaty of Ash", kind="tribute", grace_days=5,
        parties=[ASH, BIRCH], clauses=[Pay(from_id=BIRCH, to_id=ASH, amount=400, every_days=30)],
    )  # fmt: skip
    treaty_id = UUID(made["id"])
    for party in (ASH, BIRCH):
        await realm.act(party, "ambassador", SignTreaty, treaty_id=treaty_id, faction_id=party)
    trust = await realm.trust(ASH, BIRCH)
    await realm.days(65)
    assert (await realm.treasury(ASH), await realm.treasury(BIRCH)) == (1_800, 200)
    kept = await realm.trust(ASH, BIRCH)
    assert kept > trust

    # The third is not covered: after the grace it is a breach, which nobody had to report.
    await realm.days(27)
    assert [(v["confirmed"], v["text"]) for v in await realm.told("diplomacy.treaty_violated")] == [
        (False, "a payment was not made")
    ]
    await realm.days(6)
    violated = (await realm.told("diplomacy.treaty_violated"))[-1]
    assert (violated["confirmed"], violated["faction_id"]) == (True, str(BIRCH))
    assert await realm.trust(ASH, BIRCH) < trust
    assert "broke Treaty of Ash" in await realm.opinion(ASH, BIRCH)
    assert (await realm.why("diplomacy.treaty_violated"))[-1].startswith("core.fire_timers")

    # Ash makes an incident of it, with the event as evidence, and freezes what Birch has until it is settled.
    rows = await realm.fetch(
        "SELECT id FROM events WHERE world_id = $1 AND type = 'diplomacy.treaty_violated' ORDER BY seq DESC LIMIT 1"
    )
    incident = await realm.act(
        ASH, "spymaster", ReportIncident, kind="broken_promise", injured_id=ASH, accused_id=BIRCH, severity=0.4,
        event_id=rows[0]["id"],
    )  # fmt: skip
    (quest,) = await realm.told("quests.defined")
    assert quest["template"] == "mend_a_promise"
    await realm.act(
        ASH, "ruler", ImposeSanction, faction_id=ASH, target_id=BIRCH, kind="asset_freeze", reason="tribute unpaid",
        incident_id=incident.id, lift_when=[LiftCondition(kind="incident_settled")],
    )  # fmt: skip
    spend: dict[str, Any] = {"faction_id": BIRCH, "amount": 150, "reason": "bread"}
    await realm.refused("insufficient_funds", BIRCH, "ruler", SpendTreasury, **spend)

    # A good harvest: Birch makes it good, which ends the freeze, and pays on.
    await realm.do(GrantTreasury(faction_id=BIRCH, amount=2_000, reason="harvest"))
    answer = {"incident_id": incident.id, "answer": "reparation", "amount": incident.reparation_due}
    settled = await realm.act(BIRCH, "ambassador", AnswerIncident, **answer)
    assert settled.state == "settled"
    assert len(await realm.told("diplomacy.sanction_lifted")) == 1
    causes = await realm.why("diplomacy.sanction_lifted")
    assert causes == ["diplomacy.incident_resolved", "diplomacy.answer_incident"]
    await realm.act(BIRCH, "ruler", SpendTreasury, **spend)
    before = await realm.treasury(ASH)
    await realm.days(30)
    assert await realm.treasury(ASH) == before + 400
    await realm.sound()


# -- an ally called who refuses ------------------------------------------------------------------------------


async def test_an_ally_called_who_refuses(realm: Realm) -> None:
    treaty_id = await realm.ally(BIRCH, CEDAR, on_breach="break")
    assert await realm.status(BIRCH, CEDAR) == "allied"
    trust = await realm.trust(BIRCH, CEDAR)
    war = await realm.act(
        ASH, "general", DeclareWar, attacker_id=ASH, defender_id=BIRCH, reason="We want the ford."
    )
    await realm.refused(
        "role_may_not", CEDAR, "ambassador", AnswerCall, war_id=war.id, faction_id=CEDAR, come=False
    )
    await realm.act(CEDAR, "ruler", AnswerCall, war_id=war.id, faction_id=CEDAR, come=False)
    (answered,) = await realm.told("diplomacy.call_answered")
    assert (answered["come"], answered["silent"]) == (False, False)

    # The oath is broken by that, and ends; its victim and the world remember.
    (violated,) = await realm.told("diplomacy.treaty_violated")
    assert (violated["treaty_id"], violated["faction_id"]) == (str(treaty_id), str(CEDAR))
    causes = await realm.why("diplomacy.treaty_violated")
    assert causes == ["diplomacy.call_answered", "diplomacy.answer_call"]
    rows = await realm.fetch("SELECT state FROM treaties WHERE world_id = $1 AND id = $2", treaty_id)
    assert rows[0]["state"] == "broken"
    assert await realm.trust(BIRCH, CEDAR) < trust - 0.25
    assert "broke Oath of the Ford" in await realm.opinion(BIRCH, CEDAR)
    rows = await realm.fetch("SELECT reputation FROM factions WHERE world_id = $1 AND id = $2", CEDAR)
    assert rows[0]["reputation"] < 0
    assert await realm.status(ASH, CEDAR) != "war"
    assert await realm.status(BIRCH, CEDAR) != "allied", "a broken oath allies nobody"
    await realm.sound()


# -- an embargo breached and lifted --------------------------------------------------------------------------


async def test_an_embargo_breached_and_lifted(realm: Realm) -> None:
    await realm.do(DefineGoods(goods=[GoodValue(key="salt", name="Salt", base_price=10)]))
    route = {"from_region": HOME[BIRCH], "to_region": HOME[CEDAR], "good": "salt", "per_day": 5}
    dispute = {"kind": "trade_dispute", "injured_id": ASH, "accused_id": BIRCH, "severity": 0.4}
    incident = await realm.act(ASH, "spymaster", ReportIncident, **dispute)
    sanction = await realm.act(
        ASH, "ruler", ImposeSanction, faction_id=ASH, target_id=BIRCH, kind="embargo", good="salt",
        reason="false weights", incident_id=incident.id, lift_when=[LiftCondition(kind="incident_settled")],
    )  # fmt: skip
    await realm.act(CEDAR, "ruler", JoinSanction, sanction_id=sanction.id, faction_id=CEDAR)
    trust = await realm.trust(ASH, CEDAR)

    # Cedar trades with Birch all the same. It is seen, and Ash trusts it less; the embargo lets nothing through.
    await realm.act(CEDAR, "ambassador", OpenRoute, faction_id=CEDAR, **route)
    (breached,) = await realm.told("diplomacy.sanction_breached")
    assert (breached["faction_id"], breached["target_id"]) == (str(CEDAR), str(BIRCH))
    assert await realm.why("diplomacy.sanction_breached") == ["markets.route_opened", "markets.open_route"]
    assert await realm.trust(ASH, CEDAR) < trust
    assert "broke our common sanction" in await realm.opinion(ASH, CEDAR)
    await realm.days(3)
    assert await realm.carried() == 0

    # An apology is taken: the quarrel is settled, the embargo ends by itself, and trade flows.
    await realm.act(BIRCH, "ambassador", AnswerIncident, incident_id=incident.id, answer="apology")
    await realm.act(ASH, "ambassador", SettleIncident, incident_id=incident.id)
    (lifted,) = await realm.told("diplomacy.sanction_lifted")
    assert lifted["reason"] == "its conditions hold: incident settled"
    await realm.days(3)
    assert await realm.carried() > 0
    await realm.sound()


# -- a quest that averts a war -------------------------------------------------------------------------------


async def test_a_quest_that_averts_a_war(realm: Realm) -> None:
    clash: dict[str, Any] = {
        "kind": "border_clash", "injured_id": ASH, "accused_id": BIRCH, "severity": 0.5, "region_id": HOME[ASH],
    }  # fmt: skip
    # Everybody saw it, so a game master reports it: the mere word of Ash would open no quest.
    incident = await realm.do(ReportIncident(**clash))
    (spawned,) = await realm.told("quests.defined")
    rows = await realm.fetch(
        "SELECT id FROM events WHERE world_id = $1 AND type = 'diplomacy.incident_occurred'"
    )
    assert (spawned["template"], spawned["origin_id"]) == ("settle_the_border", str(rows[0]["id"]))
    assert await realm.why("quests.defined") == ["diplomacy.incident_occurred", "diplomacy.report_incident"]
    await realm.days(11)
    for _ in range(2):
        await realm.act(ASH, "spymaster", EscalateIncident, incident_id=incident.id)
    sanction = await realm.act(
        ASH, "ruler", ImposeSanction, faction_id=ASH, target_id=BIRCH, kind="tariff", rate=0.3,
        reason="until the border is quiet", lift_when=[LiftCondition(kind="tension_below", value=35)],
    )  # fmt: skip
    tension = await realm.tension(ASH, BIRCH)
    assert tension > 35

    # The ambassador of Birch takes the quest, hears three people out, and speaks of a misunderstanding.
    envoy = member(BIRCH, "ambassador")
    await realm.refused("quest_not_for_them", CEDAR, "ruler", AcceptQuest, key=spawned["key"])
    await realm.act(BIRCH, "ambassador", AcceptQuest, key=spawned["key"])
    for role in ("ruler", "general", "spymaster"):
        await realm.talk(BIRCH, "ambassador", member(ASH, role))
    await realm.act(BIRCH, "ambassador", ChooseObjective, key=spawned["key"], objective="conciliate")
    (finished,) = await realm.told("quests.finished")
    assert (finished["outcome"], finished["taker_id"]) == ("conciliated", str(envoy))
    eased = await realm.tension(ASH, BIRCH)
    assert eased == pytest.approx(tension - 12)
    causes = await realm.why("diplomacy.tension_changed")
    assert causes[-1] == "quests.choose_objective"

    # That is enough for an apology to be taken: the tariff falls, and there is no reason for war any more.
    await realm.act(BIRCH, "ambassador", AnswerIncident, incident_id=incident.id, answer="apology")
    settled = await realm.act(ASH, "ambassador", SettleIncident, incident_id=incident.id)
    assert settled.state == "settled"
    (lifted,) = await realm.told("diplomacy.sanction_lifted")
    assert lifted["sanction_id"] == str(sanction.id)
    war = {"attacker_id": ASH, "defender_id": BIRCH, "cause": "incident", "cause_id": incident.id}
    await realm.refused("cause_unfounded", ASH, "general", DeclareWar, **war)
    assert await realm.told("diplomacy.war_declared") == []
    await realm.sound()


# -- a quarrel that nobody earns by --------------------------------------------------------------------------


async def test_nobody_earns_by_quarrels_of_their_own_making(realm: Realm) -> None:
    insult: dict[str, Any] = {"kind": "insult", "injured_id": ASH, "accused_id": BIRCH, "severity": 0.2}
    for _ in range(3):
        said = await realm.act(ASH, "spymaster", ReportIncident, **insult)
        await realm.act(ASH, "ruler", SettleIncident, incident_id=said.id, forgive=True)
    assert await realm.told("quests.defined") == []

    # What all saw opens a quest; more of the same between the two opens no other while that one lasts.
    seen = await realm.do(ReportIncident(**insult))
    (opened,) = await realm.told("quests.defined")
    await realm.act(ASH, "ruler", AcceptQuest, key=opened["key"])
    await realm.act(ASH, "ruler", SettleIncident, incident_id=seen.id, forgive=True)
    (failed,) = await realm.told("quests.failed")
    assert (failed["outcome"], failed["points"]) == ("settled", 0)
    for injured, accused in ((ASH, BIRCH), (BIRCH, ASH)):
        await realm.do(ReportIncident(**insult | {"injured_id": injured, "accused_id": accused}))
    assert len(await realm.told("quests.defined")) == 1
    await realm.do(ReportIncident(**insult | {"accused_id": CEDAR}))
    assert len(await realm.told("quests.defined")) == 2

    # Two who finish it change minds as much as one.
    for role in ("ambassador", "general"):
        await realm.act(ASH, role, AcceptQuest, key=opened["key"])
        await realm.do(EndQuest(key=opened["key"], taker_id=member(ASH, role)))
    feeling = (await realm.get(f"/relations/{ASH}/{BIRCH}"))["feelings"][0]
    (part,) = [part for part in feeling["parts"] if part["reason"].startswith("quest: ")]
    assert part["amount"] == pytest.approx(5)

    # In time they are gone, and the next quarrel may open one.
    await realm.days(61)
    assert (await realm.get("/quests"))["items"] == []
    await realm.do(ReportIncident(**insult))
    assert len((await realm.get("/quests"))["items"]) == 1
    await realm.sound()
