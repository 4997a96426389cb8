"""`POST …/events` and `…/event-types`."""

from typing import Any
from uuid import uuid4

import orjson
import pytest
from websockets.asyncio.client import connect

from fablewright.systems.custom_events.commands import SCHEMA_EXAMPLE
from tests.api.test_life_api import Scene
from tests.support import Server

KIND = "game.quest_finished"
TOLD = {"type": KIND, "data": {"quest": "The drowned bell", "score": 120}}


@pytest.fixture
async def scene(server: Server) -> Scene:
    scene = await Scene(server).open()
    await scene.ok("PUT", f"/event-types/{KIND}", scene.owner, json={"data_schema": SCHEMA_EXAMPLE})
    return scene


async def test_an_event_is_told_and_read_again(scene: Scene) -> None:
    who = str(uuid4())
    made = await scene.ok("POST", "/events", scene.owner, json={**TOLD, "subject_id": who})
    for query in (f"types={KIND}", "types=game.*", f"about={who}"):
        read = await scene.ok("GET", f"/events?{query}", scene.player)
        (event,) = read["events"]
        assert (event["seq"], event["id"], event["type"]) == (made["seq"], made["result"]["event_id"], KIND)
        assert event["data"]["data"] == TOLD["data"]
    assert (await scene.ok("GET", "/events?types=user.*", scene.player))["events"] == []


async def test_only_game_masters_tell(scene: Scene) -> None:
    await scene.refused(403, "role_too_low", "POST", "/events", scene.player, json=TOLD)
    await scene.refused(404, "world_not_found", "POST", "/events", scene.stranger, json=TOLD)
    await scene.refused(
        403, "role_too_low", "PUT", f"/event-types/{KIND}", scene.player, json={"data_schema": SCHEMA_EXAMPLE}
    )


@pytest.mark.parametrize(("body", "code"), [
    ({**TOLD, "data": {"quest": "x", "score": -1}}, "event_invalid"), ({**TOLD, "data": {}}, "event_invalid"),
    ({"type": "game.lost"}, "event_type_unknown"), ({"type": "points.awarded"}, "validation_failed"),
    ({**TOLD, "data": [1]}, "validation_failed"), ({**TOLD, "more": 1}, "validation_failed"),
    ({**TOLD, "data": {"quest": "x" * 17_000, "score": 1}}, "validation_failed"),
])  # fmt: skip
async def test_what_is_wrong_is_told(scene: Scene, body: dict[str, Any], code: str) -> None:
    await scene.refused(422, code, "POST", "/events", scene.owner, json=body)


async def test_the_path_of_the_fault_is_told(scene: Scene) -> None:
    body = {**TOLD, "data": {"quest": 3, "score": "high"}}
    problem = await scene.refused(422, "event_invalid", "POST", "/events", scene.owner, json=body)
    assert {error["path"] for error in problem["errors"]} == {"data.quest", "data.score"}


async def test_types_are_listed_read_and_removed(scene: Scene) -> None:
    body = {"data_schema": {}, "description": "Morning.", "audience": "game_masters"}
    await scene.ok("PUT", "/event-types/narrative.dawn", scene.owner, json=body)
    first = await scene.ok("GET", "/event-types?limit=1", scene.player)
    assert [t["type"] for t in first["items"]] == [KIND]
    rest = await scene.ok("GET", f"/event-types?cursor={first['next_cursor']}", scene.player)
    assert rest["items"] == [{"type": "narrative.dawn", **body}]
    shown = await scene.ok("GET", f"/event-types/{KIND}", scene.player)
    assert shown["data_schema"] == SCHEMA_EXAMPLE
    await scene.ok("DELETE", f"/event-types/{KIND}", scene.owner)
    await scene.refused(404, "event_type_not_found", "GET", f"/event-types/{KIND}", scene.owner)
    await scene.refused(404, "event_type_not_found", "DELETE", f"/event-types/{KIND}", scene.owner)
    await scene.refused(422, "event_type_unknown", "POST", "/events", scene.owner, json=TOLD)


@pytest.mark.parametrize(("schema", "path"), [
    ({"properties": {"a": {"$ref": "https://example.org/secret"}}}, "data_schema.properties.a.$ref"),
    ({"properties": {"a": {"type": "whole"}}}, "data_schema.properties.a.type"),
])  # fmt: skip
async def test_the_path_of_a_bad_schema_is_told(scene: Scene, schema: dict[str, Any], path: str) -> None:
    body = {"data_schema": schema}
    problem = await scene.refused(422, "schema_invalid", "PUT", "/event-types/game.x", scene.owner, json=body)
    assert problem["path"] == path


async def test_the_generic_door_takes_it(scene: Scene) -> None:
    listed = [
        {"type": "custom_events.register_event_type", "payload": {"type": "admin.noted", "data_schema": {}}},
        {"type": "custom_events.record_event", "payload": {"type": "admin.noted", "data": {"a": [1, None]}}},
    ]
    done = await scene.ok("POST", "/commands", scene.owner, json=listed)
    assert done["results"][1]["type"] == "admin.noted"


async def test_sockets_hear_what_they_may(scene: Scene, live_url: str) -> None:
    body = {"data_schema": {}, "audience": "game_masters"}
    await scene.ok("PUT", "/event-types/admin.noted", scene.owner, json=body)
    address = f"{live_url.replace('http', 'ws')}/ws/worlds/{scene.world_id}"
    async with connect(address, compression=None) as socket:
        for message in (
            {"type": "auth", "token": scene.player.token},
            {"type": "subscribe", "types": ["game.*", "admin.*"]},
        ):
            await socket.send(orjson.dumps(message).decode())
            await socket.recv()
        await scene.ok("POST", "/events", scene.owner, json={"type": "admin.noted"})
        made = await scene.ok("POST", "/events", scene.owner, json=TOLD)
        while "events" not in (heard := orjson.loads(await socket.recv())):
            pass
    assert [event["seq"] for event in heard["events"]] == [made["seq"]]
