"""The server under test, as a process of its own: `python -m benchmarks.server FOLDER`.

It is what `fablewright serve` runs (uvicorn, embedded PostgreSQL with its durable settings), with the counter
system besides. It prints its address and the database's URL as one JSON line when it is ready.
"""

import asyncio
import gc
import json
import socket
import sys
from pathlib import Path

import asyncpg
import uvicorn

from benchmarks import counter
from fablewright.app import create_app, installed_systems, migration_folders
from fablewright.core.database import migrate, normalized
from fablewright.core.embedded import EmbeddedPostgres
from fablewright.gateway import logs
from fablewright.gateway.wire import HttpProtocol
from fablewright.settings import Settings


def main() -> None:
    settings = Settings(
        _env_file=None, data_dir=Path(sys.argv[1]), rate_limit_per_minute=0, address_limit_per_minute=0,
        log_level="warning",
    )  # fmt: skip
    logs.configure(settings)
    with EmbeddedPostgres(settings.data_dir) as postgres:
        url = postgres.running.url
        systems = [*installed_systems(), counter.system]
        asyncio.run(prepare(url, settings))
        app = create_app(settings, url, systems)
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen(2048)
        config = uvicorn.Config(
            app, log_level="error", ws="websockets-sansio", ws_per_message_deflate=False, proxy_headers=False, server_header=False, loop="uvloop",
            http=HttpProtocol, access_log=False, timeout_graceful_shutdown=1,
        )  # fmt: skip
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        print(
            json.dumps({"address": address, "database": url, "postgres_pid": postgres.running.pid}),
            flush=True,
        )
        _Server(config).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Tunes the collector of garbage as `fablewright serve` does."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 10, 10)


async def prepare(url: str, settings: Settings) -> None:
    await migrate(url, settings.database_role, extra=migration_folders(installed_systems()))
    parsed = normalized(url)
    connection = await asyncpg.connect(
        user=parsed.username,
        password=parsed.password,
        database=parsed.database,
        host=str(parsed.query["host"]),
    )
    await connection.execute(counter.TABLE)
    await connection.execute(f"GRANT ALL ON bench_counters TO {settings.database_role}")
    await connection.close()


if __name__ == "__main__":
    main()
