"""Memories over HTTP: what comes to mind, where it came from, and who may look."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.api.helpers import characters, is_problem
from tests.support import Person, Server


async def plant(
    server: Server, owner: Person, world: str, who: str, text: str, **fields: Any
) -> dict[str, Any]:
    body = {"character_id": who, "text": text, **fields}
    answer = await server.client.post(world + "/memories", json=body, headers=owner.headers)
    assert answer.status_code == 201, answer.text
    result: dict[str, Any] = answer.json()["result"]
    return result


async def get(server: Server, person: Person, path: str, **query: Any) -> Any:
    return await server.client.get(path, params=query, headers=person.headers)


@pytest.fixture
async def player(server: Server, owner: Person, world: str) -> Person:
    return await server.member(UUID(world.rsplit("/", 1)[1]), owner, "player")


async def played(server: Server, player: Person, world: str) -> str:
    """A character of the player's own."""
    body = {"name": "Mine", "kind": "player"}
    answer = await server.client.post(world + "/characters", json=body, headers=player.headers)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["result"]["id"])


async def test_what_comes_to_mind(server: Server, owner: Person, world: str) -> None:
    a, b, c = await characters(server, owner, world, 3)
    await plant(server, owner, world, a, "Mira sold the mill.", about_ids=[b], importance=0.9)
    await plant(server, owner, world, a, "Ida sings at the mill.", about_ids=[c], importance=0.2)
    await plant(server, owner, world, a, "The bridge is out.", importance=0.5)
    path = f"{world}/characters/{a}/memories"
    everything = (await get(server, owner, path)).json()["items"]
    assert [i["memory"]["text"][:3] for i in everything] == ["Mir", "The", "Ida"]
    found = (await get(server, owner, path, q="mills")).json()["items"]
    assert [i["memory"]["text"][:3] for i in found] == ["Mir", "Ida"]
    assert found[0]["score"] == {
        "recency": 1.0, "importance": 0.9, "relevance": 1.0, "total": pytest.approx(0.91),
    }  # fmt: skip
    assert len((await get(server, owner, path, q="mills", limit=1)).json()["items"]) == 1
    (of_c,) = (await get(server, owner, path, about=c)).json()["items"]
    assert of_c["memory"]["subject_id"] == c
    assert (await get(server, owner, path, q="\x00")).status_code == 200
    for query in ({"limit": 0}, {"limit": 101}, {"about": "x"}, {"q": "x" * 501}):
        assert (await get(server, owner, path, **query)).status_code == 422


async def test_where_a_memory_came_from(server: Server, owner: Person, world: str) -> None:
    a, b, c, d = await characters(server, owner, world, 4)
    fact = str(uuid4())
    await plant(server, owner, world, b, "Ben took the ring.", about_ids=[d], fact_id=fact, kind="saw")
    rumour = await plant(
        server, owner, world, a, "Ben took everything.", about_ids=[d], fact_id=fact, kind="told",
        tellers=[b, c], certainty=0.4, truth="Ben took the ring.",
    )  # fmt: skip
    found = (await get(server, owner, f"{world}/memories/{rumour['id']}")).json()
    assert [p["name"] for p in found["chain"]] == ["N 001", "N 002"]
    assert found["heard_from"] == {"id": c, "name": "N 002"} and found["subject"]["name"] == "N 003"
    assert (found["accurate"], found["truth"]) == (False, "Ben took the ring.")
    assert found["owner"]["name"] == "N 000" and found["memory"]["text"] == "Ben took everything."
    versions = {v["teller"]["id"]: v["memory"] and v["memory"]["text"] for v in found["versions"]}
    assert versions == {b: "Ben took the ring.", c: None}
    first = (
        await get(server, owner, f"{world}/memories/{versions and found['versions'][0]['memory']['id']}")
    ).json()
    assert (first["accurate"], first["chain"], first["heard_from"]) == (True, [], None)


async def test_a_player_sees_what_its_character_knows_and_no_more(
    server: Server, owner: Person, world: str, player: Person
) -> None:
    (npc,) = await characters(server, owner, world, 1)
    mine = await played(server, player, world)
    claim = {"deed": "conflict", "who": npc, "whom": mine, "degree": 3, "was": 1, "quality": -0.5}
    wrong = await plant(
        server, owner, world, mine, "They fought.", about_ids=[npc], kind="told", tellers=[npc], certainty=0.5,
        truth="They only had words.", claim=claim,
    )  # fmt: skip
    await plant(server, owner, world, npc, "A secret.", is_secret=True)
    listed = await get(server, player, f"{world}/characters/{mine}/memories")
    one = await get(server, player, f"{world}/memories/{wrong['id']}")
    events = await get(server, player, f"{world}/events", type="memory.*")
    for answer in (listed, one, events):
        assert answer.status_code == 200
        assert "They fought." in answer.text
        assert (
            "only had words" not in answer.text
            and '"was"' not in answer.text
            and "secret." not in answer.text
        )
    found = one.json()
    assert (found["accurate"], found["truth"], found["versions"]) == (None, None, [])
    assert found["heard_from"]["id"] == npc


async def test_minds_are_private(server: Server, owner: Person, world: str, player: Person) -> None:
    (npc,) = await characters(server, owner, world, 1)
    secret = await plant(server, owner, world, npc, "A secret.")
    world_id = UUID(world.rsplit("/", 1)[1])
    observer = await server.member(world_id, owner, "observer")
    stranger = await server.person()
    paths = [f"{world}/characters/{npc}/memories", f"{world}/memories/{secret['id']}"]
    missing = [f"{world}/characters/{uuid4()}/memories", f"{world}/memories/{uuid4()}"]
    for path in (*paths, *missing):
        is_problem(await get(server, player, path), 403, "memories_are_private")
        is_problem(await get(server, observer, path), 403, "memories_are_private")
        is_problem(await get(server, stranger, path), 404, "world_not_found")
        is_problem(await server.client.get(path), 401, "not_signed_in")
    is_problem(await get(server, owner, missing[0]), 404, "character_not_found")
    is_problem(await get(server, owner, missing[1]), 404, "memory_not_found")
    game_master = await server.member(world_id, owner, "game_master")
    assert (await get(server, game_master, paths[1])).json()["memory"]["text"] == "A secret."


async def test_a_player_who_lost_its_character_lost_its_memories(
    server: Server, owner: Person, world: str, player: Person
) -> None:
    mine = await played(server, player, world)
    path = f"{world}/characters/{mine}/memories"
    assert (await get(server, player, path)).status_code == 200
    answer = await server.client.patch(
        f"{world}/characters/{mine}", json={"user_id": None}, headers=owner.headers
    )
    assert answer.status_code == 200, answer.text
    is_problem(await get(server, player, path), 403, "memories_are_private")


async def test_only_game_masters_plant_and_forget(
    server: Server, owner: Person, world: str, player: Person
) -> None:
    mine = await played(server, player, world)
    body = {"character_id": mine, "text": "I am rich."}
    refused = await server.client.post(world + "/memories", json=body, headers=player.headers)
    is_problem(refused, 403, "role_too_low")
    made = await plant(server, owner, world, mine, "I am rich.")
    path = f"{world}/memories/{made['id']}"
    is_problem(await server.client.delete(path, headers=player.headers), 403, "role_too_low")
    assert (await server.client.delete(path, headers=owner.headers)).status_code == 200
    is_problem(await server.client.delete(path, headers=owner.headers), 404, "memory_not_found")


@pytest.mark.parametrize(
    "fields",
    [
        {"text": ""}, {"text": "x\x00"}, {"text": "x" * 2001}, {"importance": 1.1}, {"certainty": -0.1},
        {"valence": 2}, {"at": 2**63}, {"kind": "reflection"}, {"about_ids": ["x"]}, {"unknown": 1},
        {"claim": {"deed": "Conflict!", "who": str(uuid4()), "whom": str(uuid4())}}, {"tellers": [str(uuid4())] * 17},
    ],
)  # fmt: skip
async def test_what_is_no_memory(server: Server, owner: Person, world: str, fields: dict[str, Any]) -> None:
    (a,) = await characters(server, owner, world, 1)
    body = {"character_id": a, "text": "x", **fields}
    answer = await server.client.post(world + "/memories", json=body, headers=owner.headers)
    is_problem(answer, 422, "validation_failed")
