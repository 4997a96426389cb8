"""Negotiations over HTTP: by members through their characters, and who may see what."""

from typing import Any
from uuid import UUID

import pytest

from fablewright.systems.characters.commands import CreateCharacter
from fablewright.systems.factions.commands import FoundFaction, MemberValue
from tests.support import Person, Server

FAIR = {"type": "custom", "text": "A fair each spring."}


class House:
    """A world with two factions. A user plays Ada, who leads Ash, another plays Eve, who leads Ford; Ben is the
    general of Ash, and a third user plays nobody."""

    def __init__(self, server: Server):
        self.server = server

    async def open(self) -> "House":
        self.owner = await self.server.person()
        self.world_id = await self.server.world(self.owner)
        self.ada_user, self.eve_user, self.other = [
            await self.server.member(self.world_id, self.owner, "player") for _ in range(3)
        ]
        cast = (("Ada", self.ada_user), ("Ben", self.ada_user), ("Eve", self.eve_user))
        self.ada, self.ben, self.eve = [
            (await self.do(CreateCharacter(name=name, kind="player", user_id=who.id))).id
            for name, who in cast
        ]
        general = [MemberValue(character_id=self.ben, role="general")]
        self.ash = (
            await self.do(FoundFaction(name="Ash", leader_id=self.ada, members=general, treasury=500))
        ).id
        self.ford = (await self.do(FoundFaction(name="Ford", leader_id=self.eve, treasury=500))).id
        return self

    async def do(self, command: Any) -> Any:
        return await self.server.do(command, self.owner.actor, self.world_id)

    async def call(self, method: str, path: str, who: Person, body: Any = None) -> Any:
        url = f"/api/v1/worlds/{self.world_id}/negotiations{path}"
        return await self.server.client.request(method, url, headers=who.headers, json=body)

    async def ok(self, method: str, path: str, who: Person, body: Any = None) -> Any:
        answer = await self.call(method, path, who, body)
        assert answer.is_success, answer.text
        return answer.json()

    async def refused(
        self, status: int, code: str, method: str, path: str, who: Person, body: Any = None
    ) -> None:
        answer = await self.call(method, path, who, body)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text

    def by(self, faction: str, **fields: Any) -> dict[str, Any]:
        """A body in the name of a faction, by who leads it."""
        faction_id, character_id = {"ash": (self.ash, self.ada), "ford": (self.ford, self.eve)}[faction]
        return {"faction_id": str(faction_id), "character_id": str(character_id), **fields}

    async def talks(self, **fields: Any) -> UUID:
        body = self.by("ash", with_ids=[str(self.ford)], kind="trade", **fields)
        made = await self.ok("POST", "", self.ada_user, body)
        return UUID(made["result"]["id"])


@pytest.fixture
async def house(server: Server) -> House:
    return await House(server).open()


async def test_two_users_bargain_and_sign(house: House) -> None:
    talks = await house.talks(topic="Salt for timber")
    pay = {"type": "pay", "from_id": str(house.ash), "to_id": str(house.ford), "amount": 40}
    offer = house.by("ash", clauses=[FAIR, pay], days=90)
    assert (await house.ok("POST", f"/{talks}/offers", house.ada_user, offer))["result"]["offer"] == 1
    counter = house.by("ford", clauses=[FAIR, {**pay, "amount": 60}], days=90)
    await house.ok("POST", f"/{talks}/offers", house.eve_user, counter)
    answer = house.by("ash", number=2, accept=True)
    made = (await house.ok("POST", f"/{talks}/answer", house.ada_user, answer))["result"]
    assert made["state"] == "agreed"
    seen = await house.ok("GET", f"/{talks}", house.eve_user)
    assert (seen["state"], seen["treaty_id"]) == ("agreed", made["treaty_id"])
    assert [(o["number"], o["state"]) for o in seen["offers"]] == [(1, "countered"), (2, "accepted")]
    assert seen["offers"][1]["clauses"][1]["amount"] == 60
    url = f"/api/v1/worlds/{house.world_id}/treaties/{made['treaty_id']}"
    treaty = (await house.server.client.get(url, headers=house.ada_user.headers)).json()
    assert (treaty["name"], treaty["state"]) == ("Salt for timber", "in_force")


async def test_who_is_not_at_the_table_sees_no_offers(house: House) -> None:
    talks = await house.talks()
    await house.ok("POST", f"/{talks}/offers", house.ada_user, house.by("ash", clauses=[FAIR]))
    for who, seen in ((house.ada_user, 1), (house.eve_user, 1), (house.owner, 1), (house.other, 0)):
        assert len((await house.ok("GET", f"/{talks}", who))["offers"]) == seen
    evaluation = f"/{talks}/evaluation/{house.ford}"
    found = await house.ok("GET", evaluation, house.eve_user)
    assert (found["verdict"], found["number"]) == ("accept", 1)
    assert found["utility"] == pytest.approx(sum(part["amount"] for part in found["parts"]))
    assert (await house.ok("GET", evaluation, house.owner)) == found
    for who in (house.ada_user, house.other):
        await house.refused(403, "offers_are_private", "GET", evaluation, who)


async def test_secret_talks_are_there_for_the_parties_alone(house: House) -> None:
    talks = await house.talks(in_secret=True)
    for who, seen in ((house.eve_user, [str(talks)]), (house.owner, [str(talks)]), (house.other, [])):
        assert [n["id"] for n in (await house.ok("GET", "", who))["items"]] == seen
    for path in (f"/{talks}", f"/{talks}/evaluation/{house.ash}"):
        await house.refused(404, "negotiation_not_found", "GET", path, house.other)


async def test_the_list_is_filtered_and_comes_in_pages(house: House) -> None:
    ids = [str(await house.talks(topic=f"No. {n}")) for n in range(3)]
    await house.ok("POST", f"/{ids[0]}/walk-out", house.eve_user, house.by("ford", reason="They mock us."))
    first = await house.ok("GET", "?limit=2", house.other)
    rest = await house.ok("GET", f"?limit=2&cursor={first['next_cursor']}", house.other)
    assert [n["id"] for n in (*first["items"], *rest["items"])] == sorted(ids, reverse=True)
    over = (await house.ok("GET", "?state=walked_out", house.other))["items"]
    assert [(n["id"], n["ended_reason"], n["ended_by_id"]) for n in over] == [
        (ids[0], "They mock us.", str(house.ford))
    ]
    assert not (await house.ok("GET", f"?faction={house.world_id}", house.other))["items"]


async def test_persuasion_and_deliberation(house: House) -> None:
    talks = await house.talks()
    await house.ok("POST", f"/{talks}/offers", house.ada_user, house.by("ash", clauses=[FAIR]))
    charm = house.by("ash", other_faction_id=str(house.ford), approach="charm")
    made = (await house.ok("POST", f"/{talks}/persuade", house.ada_user, charm))["result"]
    assert -6 <= made["lean"] <= 8
    await house.refused(409, "approach_spent", "POST", f"/{talks}/persuade", house.ada_user, charm)
    decide = {"faction_id": str(house.ford)}
    await house.refused(403, "role_too_low", "POST", f"/{talks}/deliberate", house.eve_user, decide)
    made = (await house.ok("POST", f"/{talks}/deliberate", house.owner, decide))["result"]
    assert made["verdict"] in ("accept", "counter")


async def test_refusals_have_names(house: House) -> None:
    talks = await house.talks()
    ash, ford = house.by("ash", clauses=[FAIR]), house.by("ford")
    to_ford = house.by("ash", with_ids=[str(house.ford)], kind="trade")
    nobody = "01890a5d-ac96-774b-bcce-b302099a8099"
    cases: list[tuple[int, str, str, Person, Any]] = [
        (403, "not_your_character", f"/{talks}/offers", house.eve_user, ash),
        (409, "not_a_member", f"/{talks}/offers", house.ada_user, {**ash, "faction_id": str(house.ford)}),
        (403, "role_may_not", f"/{talks}/offers", house.ada_user, {**ash, "character_id": str(house.ben)}),
        (422, "name_who_acts", f"/{talks}/walk-out", house.ada_user, {"faction_id": str(house.ash)}),
        (404, "negotiation_not_found", f"/{nobody}/walk-out", house.eve_user, ford),
        (409, "no_offer_stands", f"/{talks}/answer", house.eve_user, {**ford, "number": 1, "accept": True}),
        (422, "clause_unknown", f"/{talks}/offers", house.ada_user, {**ash, "clauses": [{"type": "song"}]}),
        (422, "negotiates_with_itself", "", house.ada_user, {**to_ford, "with_ids": [str(house.ash)]}),
        (404, "faction_not_found", "", house.ada_user, {**to_ford, "with_ids": [nobody]}),
    ]
    for status, code, path, who, body in cases:
        await house.refused(status, code, "POST", path, who, body)
    await house.refused(404, "negotiation_not_found", "GET", f"/{nobody}", house.owner)
    await house.refused(409, "no_offer_stands", "GET", f"/{talks}/evaluation/{house.ash}", house.owner)
    await house.refused(409, "not_at_the_table", "GET", f"/{talks}/evaluation/{nobody}", house.owner)
