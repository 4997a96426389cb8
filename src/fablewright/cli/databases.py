"""Where a command finds its database: a server of one's own by URL, or the embedded one.

A server owns the embedded database: it starts and stops it. A tool that runs beside a server attaches to the
running one instead.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from fablewright.cli.signals import undisturbed
from fablewright.cli.terminal import say
from fablewright.core.embedded import DataFolderLocked, EmbeddedPostgres
from fablewright.core.keeper import kept_alive
from fablewright.settings import Settings

if TYPE_CHECKING:
    from fablewright.gateway.runtime import Runtime

CONNECTIONS_BESIDE_POOLS = 4
"""Connections of a process that are not in its pools: doorbell, listener, and some to spare."""
CONNECTIONS_BY_DEFAULT = 200


@contextmanager
def owned_database(settings: Settings, *, workers: int = 1) -> Iterator[str]:
    """URL of the database to serve from; the embedded one runs as long as the context. Not yet migrated."""
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    per_worker = settings.write_connections + settings.read_connections + CONNECTIONS_BESIDE_POOLS
    most = max(CONNECTIONS_BY_DEFAULT, workers * per_worker + 20)
    postgres = EmbeddedPostgres(
        settings.data_dir, version=settings.embedded_version, settings={"max_connections": str(most)},
        on_message=say,
    )  # fmt: skip
    try:
        # PostgreSQL starts while this thread imports the application: both take about as long.
        with ThreadPoolExecutor(1) as pool:
            starting = pool.submit(postgres.start)
            _import_application()
            url = starting.result().url
        with kept_alive(postgres, say):
            yield url
    finally:
        with undisturbed():
            postgres.stop()


def _import_application() -> None:
    import fablewright.app  # noqa: F401


@contextmanager
def any_database(settings: Settings) -> Iterator[str]:
    """URL of the database for a tool: by URL, a running server's, or one started for the while.

    The last is migrated; with the others their servers do that.
    """
    try:
        with owned_database(settings) as url:
            if settings.database_url is None:
                migrate(url, settings)
            yield url
            return
    except DataFolderLocked:
        running = EmbeddedPostgres.attach(settings.data_dir, version=settings.embedded_version)
    yield running.url


def migrate(url: str, settings: Settings, revision: str = "heads") -> None:
    """Bring the schema of the core and of every installed system to a revision."""
    from fablewright.app import installed_systems, migration_folders
    from fablewright.core import database

    extra = migration_folders(installed_systems())
    asyncio.run(database.migrate(url, settings.database_role, extra=extra, revision=revision))


@asynccontextmanager
async def tool_runtime(settings: Settings, url: str) -> AsyncIterator["Runtime"]:
    """A process of the server that gives commands but does no work of its own."""
    from fablewright.app import open_runtime

    async with open_runtime(settings, url, work=False) as runtime:
        yield runtime
