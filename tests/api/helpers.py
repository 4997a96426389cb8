"""What the tests of the API share: problems, characters, and nodes with settings of their own."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from fablewright.app import Application, create_app
from fablewright.core.system import System
from tests.conftest import make_settings
from tests.support import Person, Server, http_client


@asynccontextmanager
async def node(
    server: Server, systems: Sequence[System] | None = None, *, address: str = "127.0.0.1", **settings: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of another node; `address` is where its requests come from."""
    folder: Path = server.runtime.settings.data_dir
    app = create_app(make_settings(folder, **settings), server.url, systems)
    async with app.router.lifespan_context(app), client_of(app, address) as client:
        yield client


@asynccontextmanager
async def client_of(app: Application, address: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client in this process."""
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False, client=(address, 40_000))
    async with http_client(transport=transport, base_url="http://test") as client:
        yield client


def is_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem that an answer is, with this status and code."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), (
        answer.text
    )
    problem: dict[str, Any] = answer.json()
    assert (problem["status"], problem["code"]) == (status, code), problem
    assert problem["type"] == f"urn:fablewright:refusal:{code}"
    assert problem["title"] and problem["detail"]
    return problem


async def characters(server: Server, owner: Person, world: str, many: int) -> list[str]:
    """Make characters; their ids."""
    made = [{"type": "characters.create_character", "payload": {"name": f"N {n:03}"}} for n in range(many)]
    answer = await server.client.post(world + "/commands", json=made, headers=owner.headers)
    assert answer.status_code == 200, answer.text
    return [result["id"] for result in answer.json()["results"]]
