"""HTTP routes of characters, ties, dialogue and the director."""

import uuid
from typing import Any
from uuid import UUID

import pytest

from fablewright.systems.characters.commands import CreateCharacter
from fablewright.systems.characters.views import CharacterView
from fablewright.systems.dialogue.events import Interaction
from fablewright.systems.relationships.commands import SetTies, TieValue
from fablewright.systems.relationships.views import GraphView
from tests.support import Person, Server


class Scene:
    """A world with an owner, a player, an observer and a stranger."""

    def __init__(self, server: Server):
        self.server = server

    async def open(self) -> "Scene":
        self.owner = await self.server.person()
        self.world_id = await self.server.world(self.owner)
        self.player = await self.server.member(self.world_id, self.owner, "player")
        self.observer = await self.server.member(self.world_id, self.owner, "observer")
        self.stranger = await self.server.person()
        return self

    async def call(self, method: str, path: str, who: Person | None, **options: Any) -> Any:
        headers = {**(who.headers if who else {}), **options.pop("headers", {})}
        url = f"/api/v1/worlds/{self.world_id}{path}"
        return await self.server.client.request(method, url, headers=headers, **options)

    async def ok(self, method: str, path: str, who: Person, **options: Any) -> Any:
        answer = await self.call(method, path, who, **options)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    async def refused(
        self, status: int, code: str, method: str, path: str, who: Person | None, **options: Any
    ) -> Any:
        answer = await self.call(method, path, who, **options)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        return answer.json()

    async def characters(self, *names: str) -> list[UUID]:
        commands = [CreateCharacter(name=name) for name in names]
        answer = await self.server.runtime.engine.execute(commands, self.owner.actor, self.world_id)
        return [c.id for c in answer.result]


@pytest.fixture
async def scene(server: Server) -> Scene:
    return await Scene(server).open()


async def test_the_life_of_a_character(scene: Scene) -> None:
    body = {"name": "  Orla ", "personality": {"openness": 0.9}, "energy": 0.5}
    answer = await scene.call("POST", "/characters", scene.owner, json=body)
    assert answer.status_code == 201
    made = answer.json()["result"]
    assert (made["name"], made["personality"]["openness"], made["personality"]["neuroticism"]) == (
        "Orla",
        0.9,
        0.5,
    )
    path = f"/characters/{made['id']}"
    for who in (scene.owner, scene.player, scene.observer):
        found = await scene.ok("GET", path, who)
        assert found == made
        CharacterView.model_validate(found)
    changed = await scene.ok(
        "PATCH", path, scene.owner, json={"status": "asleep", "user_id": str(scene.player.id)}
    )
    assert (changed["result"]["status"], changed["result"]["user_id"]) == ("asleep", str(scene.player.id))
    assert (await scene.ok("PATCH", path, scene.player, json={"status": "active"}))["result"][
        "status"
    ] == "active"
    bolder = await scene.ok("PATCH", path, scene.owner, json={"personality": {"extraversion": 1}})
    assert bolder["result"]["personality"] == {**made["personality"], "extraversion": 1.0}
    released = await scene.ok("PATCH", path, scene.owner, json={"user_id": None})
    assert released["result"]["user_id"] is None
    await scene.ok("DELETE", path, scene.owner)
    await scene.refused(404, "character_not_found", "GET", path, scene.owner)
    assert (await scene.ok("GET", "/characters", scene.owner))["items"] == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "   "},
        {"name": "x" * 201},
        {"name": "nul\x00"},
        {"name": 7},
        {"name": "A", "kind": "god"},
        {"name": "A", "energy": 1.1},
        {"name": "A", "personality": {"openness": -0.1}},
        {"name": "A", "personality": {"bravery": 0.1}},
        {"name": "A", "description": "x" * 4001},
        {"name": "A", "user_id": "me"},
        {"name": "A", "skills": {"rowing": 101}},
        {"name": "A", "skills": {"": 1}},
        {"name": "A", "attributes": {"luck": "much"}},
        {"name": "A", "attributes": {f"n{n}": 1 for n in range(51)}},
        {"name": "A", "emotion": {"pleasure": 1.1}},
        {"name": "A", "tags": ["x" * 51]},
        {"name": "A", "goals": [{"kind": "rule", "text": "All."}]},
        {"name": "A", "goals": [{"kind": "free", "text": ""}]},
        {"name": "A", "speech": {"formality": 2}},
        {"name": "A", "speech": {"taboos": ["x"] * 21}},
        {"name": "A", "portrait_url": "javascript:alert(1)"},
        {"name": "A", "portrait_url": ""},
        {"name": "A", "unknown": 1},
    ],
)
async def test_wrong_characters_are_refused(scene: Scene, body: dict[str, Any]) -> None:
    answer = await scene.call("POST", "/characters", scene.owner, json=body)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("name", [b'"\\ud800"', b'"\\u0000"', b"1e999", b'"' + b"x" * 300 + b'"'])
async def test_text_that_cannot_be_stored_is_refused(scene: Scene, name: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    (a,) = await scene.characters("A")
    ids = b'"initiator_id":"%b","target_id":"%b","type":"chat"' % (
        str(a).encode(),
        str(uuid.uuid4()).encode(),
    )
    for path, content in (
        ("/characters", b'{"name":%b}' % name),
        ("/interactions", b'{%b,"content":"Hm","context":{"k":%b}}' % (ids, name)),
    ):
        answer = await scene.call("POST", path, scene.owner, content=content, headers=headers)
        assert answer.status_code in (404, 422), answer.text
        assert answer.json()["code"] in ("validation_failed", "character_not_found"), answer.text


async def test_who_may(scene: Scene) -> None:
    (npc,) = await scene.characters("Npc")
    path = f"/characters/{npc}"
    await scene.refused(401, "not_signed_in", "GET", path, None)
    await scene.refused(404, "world_not_found", "GET", path, scene.stranger)
    await scene.refused(404, "world_not_found", "POST", "/characters", scene.stranger, json={"name": "A"})
    await scene.refused(404, "world_not_found", "GET", "/characters", scene.stranger)
    await scene.refused(404, "world_not_found", "GET", "/relationships", scene.stranger)
    await scene.refused(404, "world_not_found", "GET", "/director", scene.stranger)
    hero = {"name": "Hero", "kind": "player"}
    await scene.refused(403, "role_too_low", "POST", "/characters", scene.observer, json=hero)
    await scene.refused(
        403, "character_needs_game_master", "POST", "/characters", scene.player, json={"name": "A"}
    )
    await scene.refused(403, "not_your_character", "PATCH", path, scene.player, json={"status": "away"})
    await scene.refused(403, "role_too_low", "PUT", "/director", scene.player, json={"enabled": True})
    other = uuid.uuid4()
    await scene.refused(
        403, "role_too_low", "PUT", f"/relationships/{npc}/{other}", scene.player, json={"strength": 1}
    )
    made = await scene.ok("POST", "/characters", scene.player, json=hero)
    assert made["result"]["user_id"] == str(scene.player.id)


@pytest.mark.parametrize("bad", ["nonsense", "00000000-0000-0000-0000-000000000000"])
async def test_unknown_ids_name_nothing(scene: Scene, bad: str) -> None:
    await scene.refused(404, "character_not_found", "GET", f"/characters/{bad}", scene.owner)


async def test_lists_search_and_pages(scene: Scene) -> None:
    await scene.characters("Berta", "anna", "Anna", "100% Carl", "Dora_x")
    everyone, cursor = [], None
    while True:
        query = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = await scene.ok("GET", "/characters", scene.observer, params=query)
        everyone += [item["name"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert sorted(everyone) == sorted(["Berta", "anna", "Anna", "100% Carl", "Dora_x"])

    async def names(**query: Any) -> set[str]:
        page = await scene.ok("GET", "/characters", scene.observer, params=query)
        return {item["name"] for item in page["items"]}

    assert await names(q="NN") == {"anna", "Anna"}
    assert await names(q="%") == {"100% Carl"}
    assert await names(q="_") == {"Dora_x"}
    assert await names(prefix="b") == {"Berta"}
    assert await names(prefix="er") == set()
    assert await names(kind="player") == set()
    assert await names(q="a\x00nna") == {"anna", "Anna"}


@pytest.mark.parametrize(
    "cursor", ["x", "bnVsbA", "WzFd", "WyJhIiwiYiJd", "WyJcdTAwMDAiLCAiYiJd", "W251bGwsIG51bGxd"]
)
@pytest.mark.parametrize("path", ["/characters", "/relationships"])
async def test_forged_cursors_are_refused(scene: Scene, path: str, cursor: str) -> None:
    await scene.refused(422, "cursor_invalid", "GET", path, scene.owner, params={"cursor": cursor})


async def test_pages_are_bounded(scene: Scene) -> None:
    await scene.refused(422, "page_too_large", "GET", "/characters", scene.owner, params={"limit": 100_000})


async def test_ties_and_graph(scene: Scene) -> None:
    a, b, c = await scene.characters("A", "B", "C")
    await scene.ok("PUT", f"/relationships/{a}/{b}", scene.owner, json={"strength": 0.5})
    set_again = await scene.ok(
        "PUT", f"/relationships/{a}/{b}", scene.owner, json={"strength": -0.5, "trust": 0.1}
    )
    told = {"source_id": str(a), "target_id": str(b), "strength": -0.5, "trust": 0.1, "labels": ["rival"]}
    assert told.items() <= set_again["result"].items()
    more = [
        TieValue(source_id=b, target_id=c, strength=0.9),
        TieValue(source_id=c, target_id=a, strength=0.1),
    ]
    await scene.server.do(SetTies(ties=more), scene.owner.actor, scene.world_id)

    async def pairs(path: str, **query: Any) -> set[tuple[str, str]]:
        page = await scene.ok("GET", path, scene.observer, params=query)
        return {(t["source_id"], t["target_id"]) for t in page["items"]}

    ab, bc, ca = (str(a), str(b)), (str(b), str(c)), (str(c), str(a))
    assert await pairs("/relationships") == {ab, bc, ca}
    assert await pairs("/relationships", source=str(a)) == {ab}
    assert await pairs("/relationships", target=str(a)) == {ca}
    assert await pairs("/relationships", min_strength=0) == {bc, ca}
    assert await pairs(f"/characters/{a}/relationships") == {ab, ca}
    first = await scene.ok("GET", "/relationships", scene.observer, params={"limit": 2})
    rest = await scene.ok("GET", "/relationships", scene.observer, params={"cursor": first["next_cursor"]})
    assert (len(first["items"]), len(rest["items"]), rest["next_cursor"]) == (2, 1, None)
    graph = GraphView.model_validate(await scene.ok("GET", f"/characters/{a}/graph", scene.observer))
    assert (graph.nodes[0].name, graph.nodes[0].depth) == ("A", 0)
    assert (len(graph.nodes), len(graph.ties), graph.truncated) == (3, 3, False)
    await scene.refused(404, "character_not_found", "GET", f"/characters/{uuid.uuid4()}/graph", scene.owner)
    for depth in (0, 4):
        answer = await scene.call("GET", f"/characters/{a}/graph", scene.owner, params={"depth": depth})
        assert answer.status_code == 422
    for body in ({}, {"strength": 1.1}, {"strength": 0, "trust": -0.1}, {"strength": "NaN"}):
        answer = await scene.call("PUT", f"/relationships/{a}/{b}", scene.owner, json=body)
        assert answer.status_code == 422
    await scene.refused(
        422, "same_character", "PUT", f"/relationships/{a}/{a}", scene.owner, json={"strength": 0}
    )


def chat(initiator: Any, target: Any, **fields: Any) -> dict[str, Any]:
    return {
        "initiator_id": str(initiator),
        "target_id": str(target),
        "type": "chat",
        "content": "Hello",
        **fields,
    }


async def test_interactions(scene: Scene) -> None:
    a, b = await scene.characters("A", "B")
    hero = (await scene.ok("POST", "/characters", scene.player, json={"name": "H", "kind": "player"}))[
        "result"
    ]["id"]
    answer = await scene.call(
        "POST", "/interactions", scene.player, json=chat(hero, a, context={"mood": ["calm"]})
    )
    assert answer.status_code == 201
    told = Interaction.model_validate(answer.json()["result"])
    assert told.answer and len(told.ties) == len(told.states) == 2
    assert answer.json()["seq"] > 0
    await scene.refused(403, "not_your_character", "POST", "/interactions", scene.player, json=chat(a, b))
    await scene.refused(403, "role_too_low", "POST", "/interactions", scene.observer, json=chat(a, b))
    await scene.refused(404, "world_not_found", "POST", "/interactions", scene.stranger, json=chat(a, b))
    await scene.refused(422, "same_character", "POST", "/interactions", scene.owner, json=chat(a, a))
    await scene.refused(
        404, "character_not_found", "POST", "/interactions", scene.owner, json=chat(a, uuid.uuid4())
    )
    await scene.ok("PATCH", f"/characters/{b}", scene.owner, json={"status": "away"})
    await scene.refused(409, "not_present", "POST", "/interactions", scene.owner, json=chat(a, b))
    await scene.ok("PATCH", f"/characters/{a}", scene.owner, json={"energy": 0})
    problem = await scene.refused(409, "too_tired", "POST", "/interactions", scene.owner, json=chat(a, hero))
    assert (problem["energy"], problem["needed"]) == (0.0, 0.01)


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "dance"},
        {"content": ""},
        {"content": "x" * 2001},
        {"content": "nul\x00"},
        {"context": {"text": "x" * 4001}},
        {"context": {"deep": [{"nul": "\x00"}]}},
        {"context": []},
        {"initiator_id": "me"},
        {"extra": 1},
    ],
)
async def test_wrong_interactions_are_refused(scene: Scene, fields: dict[str, Any]) -> None:
    a, b = await scene.characters("A", "B")
    answer = await scene.call("POST", "/interactions", scene.owner, json=chat(a, b, **fields))
    assert answer.status_code == 422, answer.text


async def test_an_interaction_runs_once_per_key(scene: Scene) -> None:
    a, b = await scene.characters("A", "B")
    answers = [
        await scene.call(
            "POST", "/interactions", scene.owner, json=chat(a, b), headers={"Idempotency-Key": "k"}
        )
        for _ in range(2)
    ]
    assert answers[0].json() == answers[1].json()
    assert [a.headers.get("idempotency-replayed") for a in answers] == [None, "true"]


async def test_the_director(scene: Scene) -> None:
    off = {"enabled": False, "beats_per_minute": 12.0, "acts_per_beat": 1, "council_days": 30.0}
    assert await scene.ok("GET", "/director", scene.observer) == off
    on = {"enabled": True, "beats_per_minute": 0.5, "acts_per_beat": 3, "council_days": 7.5}
    assert (await scene.ok("PUT", "/director", scene.owner, json=on))["result"] == on
    assert await scene.ok("GET", "/director", scene.observer) == on
    for body in (
        {}, {"enabled": True, "beats_per_minute": 0}, {"enabled": True, "beats_per_minute": 601},
        {"enabled": True, "acts_per_beat": 0}, {"enabled": True, "acts_per_beat": 1001}, {"enabled": "maybe"},
        {"enabled": True, "council_days": 0}, {"enabled": True, "council_days": 10_000},
    ):  # fmt: skip
        assert (await scene.call("PUT", "/director", scene.owner, json=body)).status_code == 422


async def test_the_plain_route_is_documented(scene: Scene) -> None:
    document = (await scene.server.client.get("/openapi.json")).json()
    item = document["paths"]["/api/v1/worlds/{world_id}/characters/{character_id}"]
    assert {"get", "patch", "delete"} <= set(item)
    assert (
        "character_not_found"
        in item["get"]["responses"]["404"]["content"]["application/problem+json"]["examples"]
    )
    assert "CharacterView" in document["components"]["schemas"]


async def test_the_checks_find_nothing(scene: Scene) -> None:
    a, b = await scene.characters("A", "B")
    await scene.ok("POST", "/interactions", scene.owner, json=chat(a, b))
    await scene.ok("PUT", "/director", scene.owner, json={"enabled": True})
    found = [f for f in await scene.server.findings() if str(scene.world_id) in f]
    assert found == []
