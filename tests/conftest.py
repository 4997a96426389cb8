"""One database cluster and one server per test process; each test makes its own world in it."""

import asyncio
import os
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import pytest
import uvicorn
from fastapi import FastAPI
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from fablewright.app import create_app, installed_systems, migration_folders
from fablewright.core.database import migrate
from fablewright.core.embedded import EmbeddedPostgres
from fablewright.gateway import logs
from fablewright.gateway.wire import HttpProtocol
from fablewright.settings import Settings
from fablewright.systems.accounts.passwords import PasswordHasher
from tests.support import Server, http_client

# No test is timed, not even by Hypothesis; in CI the same examples come every time.
hypothesis.settings.register_profile("suite", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("suite")

TOGETHER = ("tests/api/test_story_api.py", "tests/faults/test_points_cut.py")
"""Files whose tests share something dear, and so run in one process; all others go to whoever is free."""
POSTGRES_VERSION = int(os.environ.get("FABLEWRIGHT_TEST_POSTGRES", "18"))


class Dealing(LoadScopeScheduling):  # type: ignore[misc]
    """How tests are dealt out to processes. The groups of pytest-xdist 3.8 are not seen by pytest 9.2."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return file if file in TOGETHER else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Dealing:
    return Dealing(config, log)


def make_settings(folder: Path, **values: object) -> Settings:
    """Settings for tests: no limits in the way, quick polls."""
    defaults: dict[str, object] = {
        "data_dir": folder, "signing_key": "a signing key that is only for tests", "rate_limit_per_minute": 0,
        "address_limit_per_minute": 0, "poll_seconds": 0.2, "log_level": "warning", "frame_interval_ms": 20,
    }  # fmt: skip
    return Settings(_env_file=None, **{**defaults, **values})  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="fablewright-test-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def cluster(folder: Path) -> Iterator[str]:
    """URL of a PostgreSQL cluster of this test process."""
    with EmbeddedPostgres(folder / "data", version=POSTGRES_VERSION) as postgres:
        yield postgres.running.url


@pytest.fixture(scope="session")
async def database_url(cluster: str, settings: Settings) -> str:
    """URL of a migrated database."""
    await migrate(cluster, settings.database_role, extra=migration_folders(installed_systems()))
    return cluster


@pytest.fixture(scope="session")
def settings(folder: Path) -> Settings:
    made = make_settings(folder / "data")
    logs.configure(made)
    return made


@pytest.fixture(scope="session")
async def server(settings: Settings, database_url: str) -> AsyncIterator[Server]:
    """A whole server in this process."""
    app = create_app(settings, database_url)
    async with app.router.lifespan_context(app):
        app.state.runtime.parts["accounts"].hasher = PasswordHasher(passes=1, memory_kib=64)
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with http_client(transport=transport, base_url="http://test") as client:
            yield Server(app, app.state.runtime, client, database_url)


@pytest.fixture(scope="session")
async def live_url(settings: Settings, database_url: str) -> AsyncIterator[str]:
    """Address of a real uvicorn in this process: a second node on the same database."""
    app = create_app(settings, database_url)
    async with serving(app) as url:
        yield url


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[str]:
    """A real uvicorn on a free loopback port, for as long as the block lasts."""
    # asyncio sends small packets at once only over sockets that say that they are TCP.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, http=HttpProtocol, ws="websockets-sansio", ws_per_message_deflate=False, proxy_headers=False,
        server_header=False, log_level="error", lifespan="on", timeout_graceful_shutdown=2, ws_max_size=1_048_576,
    )  # fmt: skip
    node = uvicorn.Server(config)
    task = asyncio.create_task(node.serve(sockets=[listener]))
    while not node.started:
        assert not task.done(), task
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        node.should_exit = True
        await task
        listener.close()
