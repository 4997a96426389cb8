"""Diplomatic acts and the people who do them, against the real database: ties, reputations, secrets, and why."""

from typing import Any
from uuid import UUID

import orjson
import pytest

from fablewright.core.clock import DAY, HOUR
from fablewright.core.messages import Command
from fablewright.systems.characters.commands import CreateCharacter, DeleteCharacter
from fablewright.systems.diplomacy.nego_commands import OpenNegotiation, Persuade
from fablewright.systems.diplomacy.treaty_commands import ImportTreaty, ProposeTreaty, SignTreaty
from fablewright.systems.diplomacy.war_commands import (
    AnswerIncident,
    DeclareWar,
    FightBattle,
    IssueUltimatum,
    MakePeace,
    ReportIncident,
    SettleIncident,
    WithdrawUltimatum,
)
from fablewright.systems.factions.commands import FoundFaction, MemberValue
from fablewright.systems.worlds.commands import AdvanceWorld
from tests.support import Person, Server, until

ADA, BEN, EVE, FAY = PEOPLE = [UUID(int=n) for n in range(101, 105)]
ASH, FORD = UUID(int=501), UUID(int=502)


class Court:
    """Ada leads Ash, and Ben is its ambassador; Eve leads Ford, and Fay is its ambassador."""

    def __init__(self, server: Server):
        self.server = server

    async def open(self) -> "Court":
        self.owner: Person = await self.server.person()
        self.world_id = await self.server.world(self.owner)
        for who, name in zip(PEOPLE, ("Ada", "Ben", "Eve", "Fay"), strict=True):
            await self.do(CreateCharacter(id=who, name=name))
        for faction, name, leader, envoy in ((ASH, "Ash", ADA, BEN), (FORD, "Ford", EVE, FAY)):
            members = [MemberValue(character_id=envoy, role="ambassador")]
            await self.do(
                FoundFaction(
                    id=faction, name=name, leader_id=leader, members=members, strength=500, treasury=500
                )
            )
        return self

    async def do(self, command: Command) -> Any:
        return await self.server.do(command, self.owner.actor, self.world_id)

    async def later(self, days: float = 1 / 24) -> list[Any]:
        """Let time go by; what was told of people since, in order."""
        ((before,),) = await self.fetch("SELECT seq FROM world_heads WHERE world_id = $1")
        await self.do(AdvanceWorld(by_ms=int(days * DAY) + 1))

        async def arrived() -> bool:
            return (await self.fetch("SELECT advance_id FROM worlds WHERE id = $1"))[0]["advance_id"] is None

        await until(arrived, 60)
        rows = await self.fetch(
            "SELECT id, causation_id, audience, data::text AS data FROM events "
            "WHERE world_id = $1 AND seq > $2 AND type = 'diplomacy.persons_moved' ORDER BY seq",
            before,
        )
        return [{**dict(row), **orjson.loads(row["data"])} for row in rows]

    async def fetch(self, sql: str, *args: Any) -> list[Any]:
        return await self.server.fetch(sql, self.world_id, *args)

    async def tie(self, source: UUID, target: UUID) -> Any:
        rows = await self.fetch(
            "SELECT strength, trust, reasons::text AS reasons FROM ties "
            "WHERE world_id = $1 AND source_id = $2 AND target_id = $3",
            source, target,
        )  # fmt: skip
        return rows[0] if rows else None

    async def reputation(self, who: UUID) -> Any:
        path = f"/api/v1/worlds/{self.world_id}/characters/{who}/reputation"
        answer = await self.server.client.get(path, headers=self.owner.headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def sign(self, **fields: Any) -> UUID:
        """A treaty that Ben and Fay sign."""
        made = await self.do(
            ProposeTreaty(**{"name": "The Fair", "parties": [ASH, FORD], "faction_id": ASH, **fields})
        )
        treaty_id = UUID(str(made["id"] if isinstance(made, dict) else made.id))
        for faction, who in ((ASH, BEN), (FORD, FAY)):
            await self.do(SignTreaty(treaty_id=treaty_id, faction_id=faction, character_id=who))
        return treaty_id


@pytest.fixture
async def court(server: Server) -> Court:
    return await Court(server).open()


async def test_who_signs_together_comes_to_like_each_other(court: Court) -> None:
    await court.sign()
    assert await court.tie(BEN, FAY) is None  # not before the hour is full
    told = await court.later()
    assert {(t["character_id"], t["ties"][0]["source_id"]) for t in told} == {
        (str(BEN), str(FAY)), (str(FAY), str(BEN)),
    }  # fmt: skip
    (in_force,) = await court.fetch(
        "SELECT id FROM events WHERE world_id = $1 AND type = 'diplomacy.treaty_in_force'"
    )
    assert {t["causation_id"] for t in told} == {in_force["id"]}
    for one, other in ((BEN, FAY), (FAY, BEN)):
        tie = await court.tie(one, other)
        assert tie["strength"] > 0 and tie["trust"] > 0.5
        (reason,) = orjson.loads(tie["reasons"])
        assert (reason["why"], reason["event"]) == ("signed The Fair", str(in_force["id"]))
    assert await court.tie(ADA, EVE) is None  # they did not sign
    name = await court.reputation(BEN)
    assert name["reputation"] == pytest.approx(sum(p["amount"] for p in name["parts"])) != 0
    assert name["parts"][0]["why"] == "signed The Fair"
    assert (await court.reputation(ADA))["reputation"] == 0
    assert [f for f in await court.server.findings() if str(court.world_id) in f] == []


async def test_a_secret_is_felt_by_those_who_share_it_and_said_by_nobody(court: Court) -> None:
    await court.sign(secret=True)
    told = await court.later()
    assert len(told) == 2
    assert all(set(t["audience"]) == {ASH, FORD} and t["reputation"] is None for t in told)
    assert (await court.tie(BEN, FAY))["strength"] > 0
    assert (await court.reputation(BEN))["parts"] == []


async def test_where_nobody_signed_the_leaders_stand_for_it_and_nobody_likes_a_tribute(court: Court) -> None:
    await court.do(ImportTreaty(name="History", kind="trade", parties=[ASH, FORD], starts_at=-DAY))
    for name, kind in (("Old Peace", "peace"), ("The Tithe", "tribute")):
        made = await court.do(ProposeTreaty(name=name, kind=kind, parties=[ASH, FORD], faction_id=ASH))
        for who in (ASH, FORD):
            await court.do(SignTreaty(treaty_id=UUID(made["id"]), faction_id=who))
    told = await court.later()
    assert {(t["character_id"], t["words"]) for t in told} == {
        (str(ADA), "signed Old Peace"), (str(EVE), "signed Old Peace"),
    }  # fmt: skip


async def test_from_insult_to_forgiveness(court: Court) -> None:
    """Who leads the accused answers for it; an apology and a pardon mend what can be mended."""
    insult = ReportIncident(kind="insult", injured_id=FORD, accused_id=ASH, severity=0.5, evidence=1.0)
    incident = (await court.do(insult)).id
    (wronged,) = await court.later()
    assert (wronged["character_id"], wronged["kind"]) == (str(ADA), "wronged")
    cold = (await court.tie(EVE, ADA))["strength"]
    assert cold < 0 > (await court.reputation(ADA))["reputation"]
    await court.do(AnswerIncident(incident_id=incident, answer="apology", character_id=BEN))
    await court.do(SettleIncident(incident_id=incident, character_id=FAY))
    kinds = {t["kind"]: t["character_id"] for t in await court.later()}
    assert kinds == {"apologised": str(BEN), "forgave": str(FAY)}
    assert (await court.tie(EVE, BEN))["strength"] > 0 and (await court.tie(ADA, FAY))["strength"] > 0


async def test_a_war_without_a_reason_is_remembered_against_who_began_it(court: Court) -> None:
    war = (await court.do(DeclareWar(attacker_id=ASH, defender_id=FORD))).id
    assert [t["kind"] for t in await court.later()] == ["attacked"]
    before = (await court.reputation(ADA))["reputation"]
    assert before < -2 and (await court.tie(EVE, ADA))["trust"] < 0.3
    await court.do(FightBattle(war_id=war, faction_id=ASH, enemy_id=FORD))
    await court.do(MakePeace(war_id=war, faction_id=ASH))
    told = [t["kind"] for t in await court.later()]
    assert sorted(set(told) - {"won"}) == ["made_peace"] and told.count("made_peace") == 2
    assert (await court.reputation(ADA))["reputation"] > before
    faded = (await court.reputation(ADA))["reputation"]
    await court.later(365)
    assert (await court.reputation(ADA))["reputation"] == pytest.approx(faded / 2, rel=0.05)


async def test_acts_of_an_hour_tell_together_and_backing_down_costs_a_name(court: Court) -> None:
    threat = IssueUltimatum(
        faction_id=ASH, target_id=FORD, demands=[{"type": "pay", "from_id": FORD, "to_id": ASH, "amount": 5}],
        consequence={"kind": "war"},
    )  # fmt: skip
    ultimatum = (await court.do(threat)).id
    await court.do(WithdrawUltimatum(ultimatum_id=ultimatum))
    rows = await court.fetch("SELECT due_at FROM timers WHERE world_id = $1 AND kind = 'diplomacy.acts_tell'")
    assert [row["due_at"] for row in rows] == [HOUR, HOUR]
    assert [t["kind"] for t in await court.later()] == ["threatened", "backed_down"]
    assert [p["why"] for p in (await court.reputation(ADA))["parts"]] == [
        "sent an ultimatum", "backed down from an ultimatum",
    ]  # fmt: skip


async def test_a_bad_name_is_no_help_at_the_table_but_for_threats(court: Court) -> None:
    await court.do(DeclareWar(attacker_id=ASH, defender_id=FORD))
    await court.later()
    talks = (await court.do(OpenNegotiation(faction_id=ASH, with_ids=[FORD], kind="peace"))).id
    for approach, helps in (("reason", False), ("intimidate", True)):
        await court.do(
            Persuade(
                negotiation_id=talks,
                faction_id=ASH,
                character_id=ADA,
                other_faction_id=FORD,
                approach=approach,
            )
        )
        rows = await court.fetch(
            "SELECT data::text AS data FROM events WHERE world_id = $1 AND type = 'diplomacy.party_persuaded' "
            "ORDER BY seq DESC LIMIT 1"
        )
        parts = {p["what"]: p["amount"] for p in orjson.loads(rows[0]["data"])["parts"]}
        assert (parts["name"] > 0) == helps and "tie" in parts


async def test_the_dead_feel_nothing_and_nobody_speaks_of_the_unknown(court: Court) -> None:
    await court.sign()
    await court.do(DeleteCharacter(character_id=FAY))
    assert await court.later() == []
    path = f"/api/v1/worlds/{court.world_id}/characters/{FAY}/reputation"
    answer = await court.server.client.get(path, headers=court.owner.headers)
    assert (answer.status_code, answer.json()["code"]) == (404, "character_not_found")
    assert [f for f in await court.server.findings() if str(court.world_id) in f] == []
