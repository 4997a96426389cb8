"""Relations between factions over HTTP."""

import uuid
from typing import Any
from uuid import UUID

import pytest

from fablewright.core.clock import DAY
from fablewright.systems.diplomacy.clauses import Defend, NoAttack
from fablewright.systems.diplomacy.commands import SetRelation
from fablewright.systems.diplomacy.treaty_commands import ProposeTreaty, SignTreaty
from fablewright.systems.diplomacy.war_commands import AnswerCall, DeclareWar
from fablewright.systems.factions.commands import FoundFaction
from tests.api.helpers import is_problem
from tests.support import Person, Server
from tests.systems.test_relations import later, realms


async def pair(server: Server) -> tuple[Person, str, UUID, UUID]:
    """A game master, the path of their world's relations, and two factions, the one with the lower id first."""
    owner = await server.person()
    world_id = await server.world(owner)
    a, b = await realms(server, world_id, 2)
    return owner, f"/api/v1/worlds/{world_id}/relations", a, b


async def call(server: Server, person: Person, method: str, url: str, **more: Any) -> Any:
    """What a call answers, if it succeeds."""
    answer = await server.client.request(method, url, headers=person.headers, **more)
    assert answer.status_code < 300, answer.text
    return answer.json()


async def test_an_opinion_is_read_as_a_list_of_reasons(server: Server) -> None:
    owner, url, a, b = await pair(server)
    for key, amount, reason in (("enemy", 20, "shared enemy"), ("ash", -35, "broke the Treaty of Ash")):
        body = {"key": key, "amount": amount, "reason": reason}
        await call(server, owner, "POST", f"{url}/{a}/{b}/opinions", json=body)
    found = await call(server, owner, "GET", f"{url}/{a}/{b}")
    forth, back = found["feelings"]
    assert [part["text"] for part in forth["parts"]] == ["−35 broke the Treaty of Ash", "+20 shared enemy"]
    assert (forth["opinion"], back["opinion"], back["parts"]) == (-15, 0, [])
    assert found["warmth"] == -7.5
    assert {move["status"] for move in found["moves"]} == {"war", "hostile", "cordial", "friendly", "allied"}
    turned = await call(server, owner, "GET", f"{url}/{b}/{a}")
    assert turned["feelings"][1] == forth
    await call(server, owner, "DELETE", f"{url}/{a}/{b}/opinions/ash")
    assert (await call(server, owner, "GET", f"{url}/{a}/{b}"))["feelings"][0]["opinion"] == 20


async def test_a_relation_is_set_and_stands_in_the_matrix(server: Server) -> None:
    owner, url, a, b = await pair(server)
    assert (await call(server, owner, "GET", url))["relations"] == []
    body = {"status": "war", "tension": 80, "trust": 0.1, "reason": "the ford"}
    done = await call(server, owner, "PUT", f"{url}/{b}/{a}", json=body)
    assert done["result"]["status"] == "war"
    assert done["result"]["moves"] == [
        {"status": "truce", "meaning": "they have made peace, or agreed to cease fire", "from_ms": None}
    ]
    found = await call(server, owner, "GET", url)
    assert [faction["name"] for faction in found["factions"]] == ["F1", "F2"]
    (row,) = found["relations"]
    assert row == {
        "low_id": str(a), "high_id": str(b), "status": "war", "tension": 80, "opinion": 0, "opinion_back": 0,
        "trust": 0.5, "trust_back": pytest.approx(0.1), "truce_until": None,
    }  # fmt: skip
    assert (await call(server, owner, "GET", url, params={"faction": str(a)}))["relations"] == [row]


async def test_a_truce_says_from_when_war_is_possible(server: Server) -> None:
    owner, url, a, b = await pair(server)
    done = (await call(server, owner, "PUT", f"{url}/{a}/{b}", json={"status": "truce"}))["result"]
    moves = {move["status"]: move["from_ms"] for move in done["moves"]}
    assert moves == {"war": done["truce_until"], "hostile": None, "neutral": None, "cordial": None}


async def test_the_timeline_of_a_pair_comes_newest_first_in_pages(server: Server) -> None:
    owner, url, a, b = await pair(server)
    for n in range(3):
        await call(server, owner, "PUT", f"{url}/{a}/{b}", json={"tension": 10 + n, "reason": f"quarrel {n}"})
    first = await call(server, owner, "GET", f"{url}/{b}/{a}/timeline", params={"limit": 2})
    assert [item["data"]["tension"] for item in first["items"]] == [12, 11]
    rest = await call(
        server, owner, "GET", f"{url}/{a}/{b}/timeline", params={"before": first["next_before"]}
    )
    assert [item["data"]["reasons"][0]["reason"] for item in rest["items"]] == ["quarrel 0"]
    assert rest["next_before"] is None


async def test_secrets_stay_between_the_two(server: Server) -> None:
    owner, url, a, b = await pair(server)
    world_id = UUID(url.split("/")[4])
    player = await server.member(world_id, owner, "player")
    body = {"key": "spy", "amount": -40, "reason": "a spy was caught", "secret": True}
    await call(server, owner, "POST", f"{url}/{a}/{b}/opinions", json=body)
    seen = await call(server, player, "GET", f"{url}/{a}/{b}")
    assert (seen["feelings"][0]["opinion"], seen["feelings"][0]["parts"]) == (0, [])
    assert (await call(server, player, "GET", url))["relations"][0]["opinion"] == 0
    assert (await call(server, player, "GET", f"{url}/{a}/{b}/timeline"))["items"] == []
    assert len((await call(server, owner, "GET", f"{url}/{a}/{b}/timeline"))["items"]) == 1


async def test_refusals_have_names(server: Server) -> None:
    owner, url, a, b = await pair(server)
    player = await server.member(UUID(url.split("/")[4]), owner, "player")
    stranger = await server.person()
    cases: list[tuple[Person, str, str, Any, int, str]] = [
        (owner, "GET", f"{url}/{a}/{a}", None, 422, "same_faction"),
        (owner, "GET", f"{url}/{a}/{uuid.uuid4()}", None, 404, "faction_not_found"),
        (owner, "GET", f"{url}/{a}/{uuid.uuid4()}/timeline", None, 404, "faction_not_found"),
        (owner, "GET", f"{url}?faction={uuid.uuid4()}", None, 404, "faction_not_found"),
        (owner, "PUT", f"{url}/{a}/{b}", {"status": "war", "truce_until": 5}, 422, "validation_failed"),
        (owner, "PUT", f"{url}/{a}/{b}", {"status": "truce", "truce_until": -5}, 422, "truce_until_wrong"),
        (owner, "PUT", f"{url}/{a}/{b}", {"status": "smitten"}, 422, "validation_failed"),
        (owner, "PUT", f"{url}/{a}/{b}", {"tension": 101}, 422, "validation_failed"),
        (owner, "DELETE", f"{url}/{a}/{b}/opinions/none", None, 404, "opinion_not_found"),
        (owner, "GET", f"{url.removesuffix('relations')}deeds/{uuid.uuid4()}", None, 404, "deed_not_found"),
        (player, "PUT", f"{url}/{a}/{b}", {"tension": 1}, 403, "role_too_low"),
        (stranger, "GET", url, None, 404, "world_not_found"),
        (stranger, "GET", f"{url}/{a}/{b}", None, 404, "world_not_found"),
    ]
    for person, method, path, body, status, code in cases:
        answer = await server.client.request(method, path, headers=person.headers, json=body)
        is_problem(answer, status, code)


async def test_deeds_are_listed_with_who_knows_of_them(server: Server) -> None:
    owner, url, a, b = await pair(server)
    world_id = UUID(url.split("/")[4])
    player = await server.member(world_id, owner, "player")
    deeds = url.removesuffix("relations") + "deeds"
    c = (await server.do(FoundFaction(name="F3"), owner.actor, world_id)).id
    told = SetRelation(a_id=b, b_id=c, status="friendly")
    await server.do(told, owner.actor, world_id)

    async def sign(name: str, clause: NoAttack | Defend, secret: bool) -> None:
        pact = ProposeTreaty(name=name, parties=[a, b], faction_id=a, secret=secret, clauses=[clause])
        made = await server.do(pact, owner.actor, world_id)
        for party in (a, b):
            await server.do(SignTreaty(treaty_id=made["id"], faction_id=party), owner.actor, world_id)

    await sign("The Shield", Defend(protector_id=b, protected_id=a), secret=False)
    await later(server, owner, world_id, DAY)
    war = await server.do(DeclareWar(attacker_id=c, defender_id=a), owner.actor, world_id)
    await server.do(AnswerCall(war_id=war.id, faction_id=b, come=False), owner.actor, world_id)
    await later(server, owner, world_id, DAY)
    await sign("The Pact", NoAttack(a_id=a, b_id=b), secret=True)
    await later(server, owner, world_id, 2 * DAY)
    seen = await call(server, owner, "GET", deeds)
    pact, *others = seen["items"]
    assert pact["kind"] == "pact" and {deed["kind"] for deed in others} == {"breach", "desertion"}
    page = await call(server, owner, "GET", deeds, params={"limit": 1})
    rest = await call(server, owner, "GET", deeds, params={"limit": 2, "cursor": page["next_cursor"]})
    assert page["items"] + rest["items"] == seen["items"]
    left = next(deed for deed in others if deed["kind"] == "desertion")
    assert (left["doer_id"], left["victim_ids"], left["reference_id"]) == (str(b), [str(a)], str(war.id))
    assert [(k["faction_id"], k["how"], k["tellers"]) for k in left["known_by"]] == [(str(c), "party", [])]
    assert await call(server, owner, "GET", f"{deeds}/{left['id']}") == left
    assert (await call(server, owner, "GET", deeds, params={"doer": str(c)}))["items"] == []
    assert (await call(server, player, "GET", deeds))["items"] == others, "the pact is a secret"
    hidden = await server.client.get(f"{deeds}/{pact['id']}", headers=player.headers)
    is_problem(hidden, 404, "deed_not_found")
