"""Tokens and passwords appear nowhere: not in logs, receipts, events, the audit log or any other table."""

import io
import logging
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import orjson
import pytest
import structlog
from fastapi import APIRouter
from pydantic import SecretStr
from sqlalchemy.exc import DBAPIError
from starlette.requests import Request
from websockets.asyncio.client import connect

from fablewright.app import create_app, installed_systems
from fablewright.core.system import System
from fablewright.gateway.logs import processors
from tests.api.helpers import node
from tests.conftest import make_settings, serving
from tests.support import Server

FIRST, SECOND, WRONG = (f"{name} sentinel {uuid4().hex}" for name in ("first", "second", "wrong"))


@pytest.fixture(params=[True, False], ids=["production", "development"])
def lines(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """All that is logged, at the lowest level, by the project and by the libraries."""
    text = io.StringIO()
    before = structlog.get_config()
    structlog.configure(
        processors=processors(production=request.param), wrapper_class=structlog.make_filtering_bound_logger(0),
        logger_factory=structlog.PrintLoggerFactory(text),
    )  # fmt: skip
    handler = logging.StreamHandler(text)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    client = logging.getLogger("websockets.client")  # the test's own, which says what it sends
    client.setLevel(logging.WARNING)
    try:
        yield text
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        client.setLevel(logging.NOTSET)
        structlog.configure(**before)


def clumsy() -> System:
    """A system with a bug where secrets are at hand: in variables, in headers, in the body."""
    router = APIRouter()

    @router.post("/clumsy")
    async def fail(request: Request) -> None:
        body = await request.body()
        password = SecretStr(body.decode())
        token = request.headers["authorization"]
        raise RuntimeError(f"a bug with {len(token)} and {password}")

    return System(name="clumsy", routers=(router,))


async def live_through(client: httpx.AsyncClient) -> list[str]:
    """Everything that has to do with secrets, right and wrong; returns the secrets."""
    secrets = [FIRST, SECOND, WRONG]

    async def ask(method: str, path: str, token: str | None = None, **body: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return await client.request(method, "/api/v1" + path, json=body or None, headers=headers)

    login = f"s-{uuid4().hex}"
    made = await ask("POST", "/auth/register", login=login, password=FIRST, display_name="S")
    assert made.status_code == 201
    await ask("POST", "/auth/register", login=login, password=FIRST, display_name="S")
    await ask("POST", "/auth/register", login=[FIRST], password=[FIRST], display_name={FIRST: FIRST})
    assert (await ask("POST", "/auth/login", login=login, password=WRONG)).status_code == 401
    tokens = (await ask("POST", "/auth/login", login=login, password=FIRST)).json()
    fresh = (await ask("POST", "/auth/refresh", refresh_token=tokens["refresh_token"])).json()
    token = fresh["access_token"]
    made = await ask("POST", "/account/api-keys", token, name="bot", scopes=["manage"])
    key = made.json()["key"]
    secrets += [tokens["access_token"], tokens["refresh_token"], token, fresh["refresh_token"], key]
    world = (await ask("POST", "/worlds", key, name="x")).json()["result"]["id"]
    await client.patch(
        f"/api/v1/worlds/{world}",
        json={"name": "y"},
        headers={"Authorization": f"Bearer {key}", "Idempotency-Key": "k"},
    )
    change = {"old_password": FIRST, "new_password": SECOND}
    for body in ({**change, "old_password": WRONG}, {**change, "new_password": login}, change):
        await ask("POST", "/account/password", token, **body)
    clumsy_answer = await ask("POST", "/clumsy", token, password=SECOND)
    assert clumsy_answer.status_code == 500
    assert not [s for s in secrets if s in clumsy_answer.text]
    await client.post(
        "/api/v1/auth/login", content=f'{{"password":"{SECOND}"', headers={"Content-Type": "application/json"}
    )
    await ask("POST", "/auth/refresh", refresh_token=tokens["refresh_token"])  # used before: ends the session
    assert (await ask("GET", "/account", token)).status_code == 401
    await ask("GET", "/account", token + "x")
    last = (await ask("POST", "/auth/login", login=login, password=SECOND)).json()
    secrets += [last["access_token"], last["refresh_token"]]
    await ask("DELETE", f"/worlds/{world}", key)
    await ask("DELETE", "/account", last["access_token"], password=WRONG)
    assert (await ask("DELETE", "/account", last["access_token"], password=SECOND)).status_code == 204
    return secrets


async def test_secrets_are_neither_logged_nor_kept(server: Server, lines: io.StringIO) -> None:
    async with node(server, [*installed_systems(), clumsy()], log_level="debug") as client:
        secrets = await live_through(client)
    text = lines.getvalue()
    assert "a bug with" in text and "/auth/login" in text  # it was listened to
    assert [s for s in secrets if s in text] == []
    assert await places(server, secrets) == []


async def places(server: Server, secrets: list[str]) -> list[str]:
    """Tables of the database in which one of the secrets stands."""
    connection = await asyncpg.connect(server.url.replace("+asyncpg", ""))
    try:
        tables = [
            row[0]
            for row in await connection.fetch(
                "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
            )
        ]
        assert {"users", "sessions", "receipts", "events", "audit_log", "dead_letters"} <= set(tables)
        found = []
        for table in tables:
            for secret in secrets:
                if await connection.fetchval(
                    f"SELECT 1 FROM {table} t WHERE strpos(t::text, $1) > 0 LIMIT 1", secret
                ):
                    found.append(table)
        return found
    finally:
        await connection.close()


async def test_errors_of_the_database_do_not_show_its_parameters(server: Server) -> None:
    for engine in (server.runtime.database.write_engine, server.runtime.database.read_engine):
        async with engine.connect() as connection:
            with pytest.raises(DBAPIError) as raised:
                await connection.exec_driver_sql("SELECT length($1::text) / 0", (FIRST,))
            assert "division by zero" in str(raised.value)
            assert FIRST not in str(raised.value)


async def test_the_search_would_find_what_is_kept(server: Server) -> None:
    person = await server.person()
    assert await places(server, [person.login]) == ["users"]


def auth(token: str) -> str:
    return orjson.dumps({"type": "auth", "token": token}).decode()


def wrong_command(token: str) -> str:
    return orjson.dumps(
        {"type": "command", "id": "\0", "command": {"type": token, "payload": token}}
    ).decode()


async def test_sockets_do_not_log_tokens_either(server: Server, lines: io.StringIO) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    folder = server.runtime.settings.data_dir
    app = create_app(make_settings(folder, log_level="debug"), server.url)
    async with serving(app) as url:
        address = f"{url.replace('http', 'ws')}/ws/worlds/{world_id}"
        for token in (owner.token, owner.token + "x", f"{owner.token}\u0000"):
            async with connect(address, compression=None) as socket:
                with suppress(Exception):
                    await socket.send(auth(token))
                    await socket.recv()
                    await socket.send(wrong_command(token))
                    await socket.recv()
        with suppress(Exception):
            async with connect(address, compression=None, additional_headers=owner.headers) as socket:
                await socket.recv()
    half = owner.token[len(owner.token) // 2 :]  # long lines may be cut
    assert owner.token not in lines.getvalue() and half not in lines.getvalue()
