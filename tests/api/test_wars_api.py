"""Incidents, ultimatums, sanctions, wars and coalitions over HTTP: as members act, and as all may read."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest

from fablewright.core.clock import DAY
from fablewright.systems.characters.commands import CreateCharacter
from fablewright.systems.factions.commands import FoundFaction, MemberValue
from fablewright.systems.regions.commands import DefineRegions, RegionValue, SetControl
from tests.api.helpers import is_problem
from tests.support import Person, Server

ROLES = ("ruler", "ambassador", "general", "spymaster")


@dataclass
class Two:
    """Two factions, each run by a user through four characters."""

    server: Server
    owner: Person
    world_id: UUID
    ash: UUID
    birch: UUID
    users: dict[UUID, Person]
    people: dict[tuple[UUID, str], UUID]

    async def ask(self, person: Person, method: str, path: str, **more: Any) -> Any:
        url = f"/api/v1/worlds/{self.world_id}{path}"
        return await self.server.client.request(method, url, headers=person.headers, **more)

    async def act(self, faction: UUID, role: str, path: str, **body: Any) -> Any:
        """What acting through the member with a role comes to."""
        body["character_id"] = str(self.people[faction, role])
        return await self.ask(self.users[faction], "POST", path, json=body)

    async def done(self, faction: UUID, role: str, path: str, **body: Any) -> Any:
        answer = await self.act(faction, role, path, **body)
        assert answer.status_code == 200, answer.text
        return answer.json()["result"]

    async def get(self, path: str, **params: Any) -> Any:
        answer = await self.ask(self.users[self.birch], "GET", path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
async def two(server: Server) -> Two:
    owner = await server.person()
    world_id = await server.world(owner)
    ids, people, users = {}, {}, {}
    for name in ("Ash", "Birch"):
        user, ids[name] = await server.member(world_id, owner, "player"), uuid4()
        users[ids[name]] = user
        for role in ROLES:
            made = CreateCharacter(id=uuid4(), name=f"{role} of {name}", user_id=user.id)
            people[ids[name], role] = (await server.do(made, owner.actor, world_id)).id
        founding = FoundFaction(
            id=ids[name], name=name, strength=900, treasury=1_000, leader_id=people[ids[name], "ruler"],
            members=[MemberValue(character_id=people[ids[name], role], role=role) for role in ROLES[1:]],
        )  # fmt: skip
        await server.do(founding, owner.actor, world_id)
    return Two(server, owner, world_id, ids["Ash"], ids["Birch"], users, people)


async def test_an_incident_from_report_to_settlement(two: Two) -> None:
    report = {"kind": "insult", "injured_id": str(two.ash), "accused_id": str(two.birch), "severity": 0.5}
    is_problem(await two.act(two.ash, "general", "/incidents", **report), 403, "role_may_not")
    made = await two.done(two.ash, "spymaster", "/incidents", **report, description="They laughed.")
    assert (made["state"], made["evidence"], made["rung"]) == ("open", 0.4, "friction"), "hearsay"
    path = f"/incidents/{made['id']}"
    is_problem(await two.act(two.ash, "ambassador", f"{path}/answer", answer="apology"), 409, "not_a_member")
    is_problem(await two.act(two.ash, "spymaster", f"{path}/escalate"), 409, "too_early_to_escalate")
    answered = await two.done(two.birch, "ambassador", f"{path}/answer", answer="apology")
    assert answered["legal_answers"] == ["reparation", "retaliation"]
    settled = await two.done(two.ash, "ambassador", f"{path}/settle")
    assert settled["state"] == "settled"
    is_problem(await two.act(two.ash, "ambassador", f"{path}/settle"), 409, "incident_closed")
    assert (await two.get(path))["closed_at"] is not None
    assert [i["id"] for i in (await two.get("/incidents", state="settled"))["items"]] == [made["id"]]
    assert (await two.get("/incidents", state="open"))["items"] == []
    assert (await two.get("/incidents", faction_id=str(uuid4())))["items"] == []
    unknown = await two.ask(two.owner, "GET", f"/incidents/{uuid4()}")
    is_problem(unknown, 404, "incident_not_found")


async def test_an_ultimatum_is_answered_by_its_target(two: Two) -> None:
    demand: dict[str, Any] = {
        "faction_id": str(two.ash), "target_id": str(two.birch), "consequence": {"kind": "war"}, "text": "Pay.",
        "demands": [{"type": "pay", "from_id": str(two.birch), "to_id": str(two.ash), "amount": 50}],
    }  # fmt: skip
    is_problem(await two.act(two.ash, "ambassador", "/ultimatums", **demand), 403, "role_may_not")
    unknown = demand | {"demands": [{"type": "dance"}]}
    is_problem(await two.act(two.ash, "ruler", "/ultimatums", **unknown), 422, "clause_unknown")
    made = await two.done(two.ash, "ruler", "/ultimatums", **demand)
    path = f"/ultimatums/{made['id']}"
    is_problem(await two.act(two.ash, "ruler", f"{path}/answer", accept=True), 409, "not_a_member")
    answered = await two.done(two.birch, "ambassador", f"{path}/answer", accept=True)
    assert answered["state"] == "accepted" and answered["treaty_id"] is not None
    is_problem(await two.act(two.ash, "ruler", f"{path}/withdraw"), 409, "ultimatum_closed")
    (listed,) = (await two.get("/ultimatums", faction_id=str(two.birch)))["items"]
    assert listed == await two.get(path)
    assert (await two.get("/ultimatums", state="issued"))["items"] == []
    is_problem(await two.ask(two.owner, "GET", f"/ultimatums/{uuid4()}"), 404, "ultimatum_not_found")


async def test_a_war_from_declaration_to_white_peace(two: Two) -> None:
    gate = uuid4()
    for command in (
        DefineRegions(regions=[RegionValue(id=gate, name="Gate")]),
        SetControl(region_id=gate, controller_id=two.birch),
    ):
        await two.server.do(command, two.owner.actor, two.world_id)
    war = {"attacker_id": str(two.ash), "defender_id": str(two.birch)}
    is_problem(await two.act(two.ash, "ambassador", "/wars", **war), 403, "role_may_not")
    made = await two.done(two.ash, "general", "/wars", **war, reason="The river is ours.")
    assert sum(part["amount"] for part in made["legitimacy_parts"]) == pytest.approx(made["legitimacy"])
    path = f"/wars/{made['id']}"
    fight = {
        "faction_id": str(two.ash),
        "enemy_id": str(two.birch),
        "region_id": str(gate),
    }
    fought = await two.done(two.ash, "general", f"{path}/battles", **fight)
    assert len(fought["battles"]) == 1
    assert sum(part["amount"] for part in fought["score_parts"]) == pytest.approx(fought["score"])
    alone = await two.act(two.ash, "ruler", f"{path}/peace", faction_id=str(two.ash))
    is_problem(alone, 422, "name_who_acts")
    (listed,) = (await two.get("/wars", over=False, faction_id=str(two.birch)))["items"]
    assert (listed["id"], listed["outcome"]) == (made["id"], None)
    weary = await two.get(f"/factions/{two.ash}/warlike")
    assert weary["wars"] == 1 and weary["aggression"] > 10
    assert [fear["faction_id"] for fear in weary["feared_by"]] == [str(two.birch)]
    ended = await two.ask(two.owner, "POST", f"{path}/peace", json={"faction_id": str(two.ash)})
    assert ended.status_code == 200
    assert (await two.get("/wars", over=False))["items"] == []
    assert (await two.get(path))["ended_at"] is not None
    is_problem(await two.ask(two.owner, "GET", f"/wars/{uuid4()}"), 404, "war_not_found")
    is_problem(await two.ask(two.owner, "GET", f"/factions/{uuid4()}/warlike"), 404, "faction_not_found")


async def test_sanctions_and_coalitions_are_read(two: Two) -> None:
    tariff = {
        "faction_id": str(two.ash), "target_id": str(two.birch), "kind": "tariff", "rate": 0.2, "reason": "Tolls",
        "until_at": 10 * DAY,
    }  # fmt: skip
    is_problem(await two.act(two.ash, "general", "/sanctions", **tariff), 403, "role_may_not")
    made = await two.done(two.ash, "ruler", "/sanctions", **tariff)
    path = f"/sanctions/{made['id']}"
    assert await two.get(path) == made
    assert [s["id"] for s in (await two.get("/sanctions", lifted=False))["items"]] == [made["id"]]
    is_problem(
        await two.act(two.birch, "ruler", f"{path}/join", faction_id=str(two.birch)),
        422,
        "sanction_on_oneself",
    )
    await two.done(two.ash, "ruler", f"{path}/leave", faction_id=str(two.ash))
    assert (await two.get("/sanctions", lifted=False))["items"] == []
    is_problem(await two.ask(two.owner, "GET", f"/sanctions/{uuid4()}"), 404, "sanction_not_found")
    alone = await two.act(
        two.ash, "ambassador", "/coalitions", faction_id=str(two.ash), target_id=str(two.birch)
    )
    is_problem(alone, 409, "too_little_fear")
    assert (await two.get("/coalitions", over=False))["items"] == []
    is_problem(await two.ask(two.owner, "GET", f"/coalitions/{uuid4()}"), 404, "coalition_not_found")


async def test_lists_come_in_pages(two: Two) -> None:
    report = {"kind": "insult", "injured_id": str(two.ash), "accused_id": str(two.birch), "severity": 0.1}
    ids = {(await two.done(two.ash, "spymaster", "/incidents", **report))["id"] for _ in range(3)}
    first = await two.get("/incidents", limit=2)
    rest = await two.get("/incidents", limit=2, cursor=first["next_cursor"])
    assert len(first["items"]) == 2 and rest["next_cursor"] is None
    assert {i["id"] for page in (first, rest) for i in page["items"]} == ids
