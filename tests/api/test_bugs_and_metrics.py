"""When something breaks: bugs, clients that go away, health without a database, and what the metrics count."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from structlog.testing import capture_logs

from fablewright.app import installed_systems
from fablewright.core.actors import Role, at_least
from fablewright.core.messages import Command
from fablewright.core.system import Handler, System
from fablewright.gateway.logs import add_request
from tests.api.helpers import characters, is_problem, node
from tests.support import Person, Server, until


class Break(Command):
    """Something with a bug."""

    message_type = "broken.break_it"
    allowed = at_least(Role.OBSERVER)


async def break_it(tx: Any, command: Break) -> None:
    raise RuntimeError("hunter2 stands in the error")


def broken_system() -> System:
    """A system whose every part has a bug."""
    router = APIRouter()

    @router.get("/worlds/{world_id}/broken")
    async def plain(world_id: UUID) -> None:
        raise RuntimeError("hunter2 stands in the error")

    async def hot(request: Request) -> Response:
        raise RuntimeError("hunter2 stands in the error")

    async def late(request: Request) -> Response:
        class Late(Response):
            async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
                await send({"type": "http.response.start", "status": 200, "headers": []})
                raise RuntimeError("hunter2 stands in the error")

        return Late()

    routes = (
        Route("/hot/{world_id}", hot, methods=["GET"]),
        Route("/late/{world_id}", late, methods=["GET"]),
    )
    return System(name="broken", handlers=(Handler(Break, break_it),), routers=(router, *routes))


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/worlds/{}/broken"), ("GET", "/hot/{}"), ("GET", "/late/{}"), ("POST", "/worlds/{}/commands")],
)
async def test_a_bug_is_said_and_found_in_the_log_but_not_told(
    server: Server, owner: Person, world: str, method: str, path: str
) -> None:
    world_id = world.rsplit("/", 1)[-1]
    async with node(server, [*installed_systems(), broken_system()]) as client:
        with capture_logs(processors=[add_request]) as lines:
            answer = await client.request(
                method, "/api/v1" + path.format(world_id), headers=owner.headers,
                json={"type": "broken.break_it"} if method == "POST" else None,
            )  # fmt: skip
        problem = is_problem(answer, 500, "internal_error")
        assert "hunter2" not in answer.text and "RuntimeError" not in answer.text
        assert answer.headers["x-content-type-options"] == "nosniff"
        (line,) = [line for line in lines if line["event"] == "bug"]
        assert line["error_id"] == problem["error_id"] == answer.headers["x-correlation-id"]
        assert isinstance(line["exc_info"], RuntimeError)
        assert (line["actor"], line["correlation_id"]) == (owner.actor.name, problem["error_id"])
        assert line["world"] == (world_id if "worlds" in path else None)
        assert line["log_level"] == "error"
        assert 'status="500"' in (await client.get("/metrics")).text


async def test_who_goes_away_while_sending_is_no_bug(server: Server, owner: Person, world: str) -> None:
    headers = [
        (k.lower().encode(), v.encode())
        for k, v in {**owner.headers, "Content-Type": "application/json"}.items()
    ]
    scope = {
        "type": "http", "method": "POST", "path": world + "/commands", "headers": headers, "query_string": b"",
        "client": ("127.0.0.1", 5), "server": ("test", 80), "scheme": "http", "http_version": "1.1",
        "root_path": "", "raw_path": b"",
    }  # fmt: skip
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    with capture_logs() as lines:
        await asyncio.wait_for(server.app(scope, receive, send), 10)
    assert (sent, lines) == ([], [])


# -- health, metrics -----------------------------------------------------------------------------------------


async def test_ready_and_live(server: Server) -> None:
    assert (await server.client.get("/health/live")).json() == {"status": "live"}
    await until(lambda: listening(server))
    answer = await server.client.get("/health/ready")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready", "problems": []})


async def listening(server: Server) -> bool:
    return server.runtime.engine.doorbell.listening


async def test_without_a_database_it_lives_but_is_not_ready(server: Server) -> None:
    away = Server(server.app, server.runtime, server.client, "postgresql://nobody@127.0.0.1:1/nothing")
    async with node(away, connection_wait_seconds=1, poll_seconds=60) as client:
        known = (await server.person()).headers
        for headers in ({}, known):
            assert (await client.get("/health/live", headers=headers)).status_code == 200
        answer = await client.get("/health/ready", headers=known)
        assert (answer.status_code, answer.json()["status"]) == (503, "not ready")
        assert any(problem.startswith("database:") for problem in answer.json()["problems"])
        assert answer.headers["content-type"] == "application/json"
        assert (await client.get("/metrics")).status_code == 200
        assert (await client.get("/openapi.json")).status_code == 200
        person = await server.person()
        problem = is_problem(
            await client.get("/api/v1/account", headers=person.headers), 503, "database_unavailable"
        )
        assert "127.0.0.1" not in str(problem)


async def metric(server: Server, name: str) -> float:
    text = (await server.client.get("/metrics")).text
    return next(float(line.split(" ")[1]) for line in text.splitlines() if line.startswith(name + " "))


async def test_metrics_count_what_happens_and_name_no_world(
    server: Server, owner: Person, world: str
) -> None:
    commits, events = [await metric(server, f"fablewright_{n}_total") for n in ("commits", "events")]
    await characters(server, owner, world, 3)
    await server.client.patch(world, json={}, headers=owner.headers)  # changes nothing, so no event
    await server.client.patch(world, json={"name": "x"}, headers=owner.headers)
    log = (await server.client.get(world + "/events?after=1", headers=owner.headers)).json()
    assert await metric(server, "fablewright_events_total") - events >= len(log["events"]) >= 4
    assert await metric(server, "fablewright_commits_total") - commits >= 2
    answer = await server.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "/api/v1/worlds/{world_id}" in answer.text
    for secret in (world.rsplit("/", 1)[-1], str(owner.id), owner.token):
        assert secret not in answer.text
