"""The counter system over databases of its own, and ways to look into them."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
import structlog
from sqlalchemy import make_url

from fablewright.app import BUILT_IN, open_runtime
from fablewright.core.actors import Actor
from fablewright.core.database import migrate
from fablewright.core.engine import Engine
from fablewright.core.messages import Command
from fablewright.gateway.runtime import Runtime
from fablewright.settings import Settings
from fablewright.systems.worlds.commands import CreateWorld, SetMember
from tests import counter
from tests.conftest import make_settings

SYSTEMS = (*BUILT_IN, counter.system)
TEMPLATE = "counter_template"


def at_database(url: str, name: str) -> str:
    """The URL of another database of the same cluster."""
    return make_url(url).set(database=name).render_as_string(hide_password=False)


async def as_superuser(url: str, sql: str, *args: Any) -> list[Any]:
    """Run a statement with the cluster's own login."""
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(plain)
    try:
        return list(await connection.fetch(sql, *args)) if args else [await connection.execute(sql)]
    finally:
        await connection.close()


@dataclass
class Bench:
    """One process with the counter system, and who is in it."""

    runtime: Runtime
    url: str

    @property
    def engine(self) -> Engine:
        return self.runtime.engine

    async def person(self) -> Actor:
        """An account, without the cost of a password."""
        user_id = uuid4()
        await self.superuser(
            "INSERT INTO users (id, login, display_name, password_hash) VALUES ($1, $2, 'Somebody', 'x') RETURNING 1",
            user_id, f"p-{user_id.hex[:16]}",
        )  # fmt: skip
        return Actor(f"user:{user_id}", user_id)

    async def world(self, owner: Actor, **fields: Any) -> UUID:
        """A world whose clock stands still unless `paused=False`."""
        result = await self.do(
            CreateWorld(**{"name": "A test world", "seed": 7, "paused": True, **fields}), owner
        )
        return UUID(str(result["id"]))

    async def member(self, world_id: UUID, owner: Actor, role: str) -> Actor:
        """Someone new with a role."""
        person = await self.person()
        await self.do(SetMember(user_id=person.user_id, role=role), owner, world_id)
        return person

    async def do(self, command: Any, actor: Actor, world_id: UUID | None = None, **options: Any) -> Any:
        """Run a command or a list; returns its result."""
        return (await self.engine.execute(command, actor, world_id, **options)).result

    async def fetch(self, sql: str, *args: Any) -> list[Any]:
        async with self.runtime.database.reading() as connection:
            return list(await connection.fetch(sql, *args))

    async def superuser(self, sql: str, *args: Any) -> list[Any]:
        return await as_superuser(self.url, sql, *args)

    async def log(self, world_id: UUID, pattern: str = "%") -> list[Any]:
        """The events of a world whose type is LIKE a pattern."""
        return await self.fetch(
            "SELECT seq, id, type, at, actor, causation_id, correlation_id, audience, data::text AS data, "
            "command::text AS command FROM events WHERE world_id = $1 AND type LIKE $2 ORDER BY seq",
            world_id, pattern,
        )  # fmt: skip

    async def head(self, world_id: UUID) -> int:
        return int((await self.fetch("SELECT seq FROM world_heads WHERE world_id = $1", world_id))[0]["seq"])

    async def value(self, world_id: UUID, name: str = "main") -> int | None:
        rows = await self.fetch(
            "SELECT value FROM counters WHERE world_id = $1 AND name = $2", world_id, name
        )
        return int(rows[0]["value"]) if rows else None

    async def marks(self, world_id: UUID, kind: str) -> list[Any]:
        return await self.fetch(
            "SELECT of, at FROM counter_marks WHERE world_id = $1 AND kind = $2 ORDER BY n", world_id, kind
        )

    async def letters(self, world_id: UUID, state: str = "open") -> list[Any]:
        return await self.fetch(
            "SELECT id, source, handler, payload::text AS payload, error, attempts FROM dead_letters "
            "WHERE world_id = $1 AND state = $2 ORDER BY id",
            world_id, state,
        )  # fmt: skip

    async def state(self, world_id: UUID) -> tuple[Any, ...]:
        """All that a command may change, to see that it changed nothing."""
        head = await self.head(world_id)
        events = await self.fetch("SELECT count(*) AS n FROM events WHERE world_id = $1", world_id)
        counters = await self.fetch(
            "SELECT name, value FROM counters WHERE world_id = $1 ORDER BY name", world_id
        )
        rest = [
            (await self.fetch(f"SELECT count(*) AS n FROM {table} WHERE world_id = $1", world_id))[0]["n"]
            for table in ("counter_marks", "receipts", "dead_letters", "timers")
        ]
        return head, events[0]["n"], [tuple(c) for c in counters], rest


@pytest.fixture(autouse=True, scope="session")
def plain_logs() -> Iterator[None]:
    """Logs without decorated tracebacks, which take seconds each."""
    structlog.configure(processors=[structlog.processors.KeyValueRenderer()])
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
async def counter_template(cluster: str, settings: Settings) -> str:
    """A migrated database with the counter system's tables, to be copied."""
    await as_superuser(cluster, f"CREATE DATABASE {TEMPLATE}")
    url = at_database(cluster, TEMPLATE)
    await migrate(url, settings.database_role)
    await as_superuser(
        url,
        counter.TABLES
        + f"GRANT SELECT, INSERT, UPDATE, DELETE ON counters, counter_marks TO {settings.database_role}",
    )
    return url


@pytest.fixture(scope="session")
async def counter_url(cluster: str, counter_template: str) -> str:
    """The database that most tests share; nothing works in it by itself."""
    await as_superuser(cluster, f"CREATE DATABASE counter_shared TEMPLATE {TEMPLATE}")
    return at_database(cluster, "counter_shared")


@pytest.fixture
async def fresh_url(cluster: str, counter_template: str) -> AsyncIterator[str]:
    """A database of this test alone, for tests in which workers run."""
    name = f"counter_{uuid4().hex[:12]}"
    await as_superuser(cluster, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    yield at_database(cluster, name)
    await as_superuser(cluster, f"DROP DATABASE {name} WITH (FORCE)")


OpenBench = Callable[..., AbstractAsyncContextManager[Bench]]


@pytest.fixture(scope="session")
def open_bench(folder: Path) -> OpenBench:
    """`open_bench(url, work=False, **settings)`: one more process's worth of server, in this process."""

    @asynccontextmanager
    async def opened(url: str, *, work: bool = False, **values: object) -> AsyncIterator[Bench]:
        settings = make_settings(folder / "data", **values)
        async with open_runtime(settings, url, SYSTEMS, work=work) as runtime:
            yield Bench(runtime, url)

    return opened


@pytest.fixture(scope="session")
async def bench(counter_url: str, open_bench: OpenBench) -> AsyncIterator[Bench]:
    """The counter system without workers: tests feed consumers and fire timers themselves."""
    async with open_bench(counter_url) as opened:
        yield opened


@pytest.fixture(autouse=True)
def nothing_broken() -> None:
    """Each test starts with everything whole."""
    counter.BROKEN.clear()
    counter.PAUSES.clear()
    counter.DELIVERED.clear()
    counter.CALLS.clear()


def commands_of(n: int) -> list[Command]:
    return [counter.Add(n=1) for _ in range(n)]
