"""Engines, connections, roles and migrations: the one way to PostgreSQL.

Two pools per process: one for commands, one for reading, so that a hot world cannot starve those who only
look. Both work as a role that owns nothing (`settings.database_role`).
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import structlog
from sqlalchemy import URL, event, make_url
from sqlalchemy.exc import DBAPIError, DisconnectionError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from fablewright.core.refusal import INVALID, UNAVAILABLE, Refusal
from fablewright.settings import Settings

OVERLOADED = Refusal("overloaded", UNAVAILABLE, "The server is too busy right now. Try again in a moment.")
DATABASE_UNAVAILABLE = Refusal(
    "database_unavailable", UNAVAILABLE,
    "The database cannot be reached. Send the command again with the same Idempotency-Key; it runs once.",
)  # fmt: skip

TEXT_NOT_STORABLE = Refusal(
    "text_not_storable", INVALID, "Text cannot contain the character U+0000. Leave it out."
)
NOT_STORABLE = ("22021", "22P05")
"""SQLSTATEs of text that PostgreSQL cannot hold."""

UNABLE_NOW = ("25006", "25P03", "57P01", "57P02", "57P03", "57P05", "58030")
"""SQLSTATEs, besides the classes 08 (connection) and 53 (disk, memory, connections used up), of a server that is
ending, starting, recovering, a standby, has ended an idle session, or cannot use its disk."""
CONNECTION_TROUBLE = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""What connecting, and working on a connection outside the pools, may raise."""

MIGRATION_LOCK = 0x7AB1E
"""Key of the advisory lock under which one process migrates while the others wait."""

log = structlog.get_logger(__name__)
_ROLE_NAME = re.compile(r"^[a-z_][a-z0-9_]{0,62}$")


class DatabaseError(Exception):
    """The database cannot be used as configured; the message says what to do."""


class Database:
    """PostgreSQL as one process of the server sees it."""

    def __init__(self, url: str, settings: Settings):
        self.url = normalized(url)
        self.role = settings.database_role
        if not _ROLE_NAME.match(self.role):
            raise DatabaseError(
                f"FABLEWRIGHT_DATABASE_ROLE must be a plain lower-case name, not {self.role!r}."
            )
        common: dict[str, Any] = {
            "hide_parameters": True,  # errors are logged, and parameters may be secrets
            "pool_timeout": settings.connection_wait_seconds,
            "connect_args": {"server_settings": self._server_settings("fablewright")},
        }
        self.write_engine = create_async_engine(
            self.url, pool_size=settings.write_connections, max_overflow=0, **common
        )
        self.read_engine = create_async_engine(
            self.url, pool_size=settings.read_connections, max_overflow=0,
            isolation_level="AUTOCOMMIT", pool_reset_on_return=None, **common,
        )  # fmt: skip
        for engine in (self.write_engine, self.read_engine):
            event.listen(engine.sync_engine, "checkout", _refuse_closed)

    def _server_settings(self, name: str) -> dict[str, str]:
        return {
            "role": self.role,
            "application_name": name,
            "jit": "off",
            "timezone": "UTC",
            "idle_in_transaction_session_timeout": "60s",
        }

    async def close(self) -> None:
        await self.write_engine.dispose()
        await self.read_engine.dispose()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A connection for one transaction. Only the engine uses it. Refuses `overloaded`, `database_unavailable`."""
        async with _connection(self.write_engine) as connection:
            yield connection

    @asynccontextmanager
    async def reading(self, *, snapshot: bool = False) -> AsyncIterator[Any]:
        """A raw asyncpg connection for reading, each statement on its own, or all on one `snapshot`.

        Refuses `overloaded`, `database_unavailable`.
        """
        async with _connection(self.read_engine) as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert driver is not None
            try:
                if snapshot:
                    async with driver.transaction(isolation="repeatable_read", readonly=True):
                        yield driver
                else:
                    yield driver
            except Exception as error:
                if is_connection_loss(error):
                    raise DATABASE_UNAVAILABLE(retry_after_seconds=1) from error
                if sqlstate_of(error) in NOT_STORABLE:
                    raise TEXT_NOT_STORABLE() from error
                raise

    async def dedicated(self, name: str) -> Any:
        """A raw asyncpg connection of its own, outside the pools, for LISTEN and NOTIFY. The caller closes it."""
        _, arguments = self.read_engine.dialect.create_connect_args(self.url)
        arguments.pop("prepared_statement_cache_size", None)
        return await asyncpg.connect(**arguments, server_settings=self._server_settings(name))


@asynccontextmanager
async def _connection(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    try:
        connection = await engine.connect()
    except PoolTimeout as error:
        raise OVERLOADED(retry_after_seconds=1) from error
    except (*CONNECTION_TROUBLE, SQLAlchemyError) as error:
        log.warning("database_unreachable", error=_in_a_line(error))
        raise DATABASE_UNAVAILABLE(retry_after_seconds=1) from error
    try:
        yield connection
    except asyncpg.InternalClientError:
        await connection.invalidate()  # it would stay in the pool, in a state that nothing gets it out of
        raise
    finally:
        await connection.close()


def _in_a_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def _refuse_closed(dbapi_connection: Any, _record: Any, _proxy: Any) -> None:
    """Let the pool replace a connection that the server has closed. Costs no round trip."""
    if dbapi_connection.driver_connection.is_closed():
        raise DisconnectionError


def normalized(url: str) -> URL:
    """The URL with the asyncpg driver, whichever PostgreSQL scheme it came with."""
    parsed = make_url(url)
    if parsed.get_backend_name() not in ("postgresql", "postgres"):
        raise DatabaseError(
            "FABLEWRIGHT_DATABASE_URL must begin with postgresql://. Only PostgreSQL is supported."
        )
    return parsed.set(drivername="postgresql+asyncpg")


def array_of(values: Sequence[Any]) -> str:
    """Ids, numbers or nulls as the text of a PostgreSQL array, to be sent as `$1::text::uuid[]`.

    On the hottest paths only: the driver would look at each element several times, in Python.
    """
    return "{" + orjson.dumps(values, default=str).decode()[1:-1] + "}"


def texts_of(values: Sequence[str | None]) -> str:
    """Short texts as the text of a PostgreSQL array, as `array_of` does for others."""
    found = orjson.dumps(values).decode()
    if "\\" in found:  # JSON escapes other characters than arrays do
        quoted = (
            "null" if v is None else '"' + v.replace("\\", "\\\\").replace('"', '\\"') + '"' for v in values
        )
        return "{" + ",".join(quoted) + "}"
    return "{" + found[1:-1] + "}"


def sqlstate_of(error: BaseException) -> str | None:
    """The SQLSTATE of a database error, whether SQLAlchemy wrapped it or not."""
    if isinstance(error, DBAPIError):
        return getattr(error.orig, "sqlstate", None)
    return getattr(error, "sqlstate", None) if isinstance(error, asyncpg.PostgresError) else None


def is_id_taken(error: BaseException) -> bool:
    """Whether the id of an event, or of a row that was made from the command's id, is there already."""
    return isinstance(error, asyncpg.UniqueViolationError) and (
        (error.table_name or "").startswith("events")
        or (error.detail or "").startswith("Key (world_id, id)=")
    )


def is_connection_loss(error: BaseException) -> bool:
    """Whether the connection broke or the server cannot work now, rather than the statement being wrong."""
    if isinstance(error, asyncpg.InterfaceError):
        # These two are bugs: two tasks on one connection, and a value that does not fit its parameter.
        return "another operation" not in str(error) and not isinstance(error, asyncpg.DataError)
    if isinstance(error, ConnectionError | TimeoutError | asyncpg.InternalClientError):
        # The last is what asyncpg raises between PostgreSQL's parting words and the end of the connection.
        return True
    if isinstance(error, DBAPIError) and (error.connection_invalidated or isinstance(error.orig, OSError)):
        return True
    state = sqlstate_of(error) or ""
    return state.startswith(("08", "53")) or state in UNABLE_NOW


async def migrate(url: str, role: str, *, extra: Sequence[str] = (), revision: str = "heads") -> None:
    """Bring the schema to `revision`, one process at a time, and let `role` work with it.

    `extra` are the version folders of systems from other packages. Raises `DatabaseError` for a server that is
    too old or a login that may not create the role.
    """
    engine = create_async_engine(normalized(url), isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as lock:
            await _check_server(lock)
            await lock.exec_driver_sql("SELECT pg_advisory_lock($1::bigint)", (MIGRATION_LOCK,))
            try:
                await _upgrade(url, extra, revision)
                await _grant(lock, role)
            finally:
                await lock.exec_driver_sql("SELECT pg_advisory_unlock($1::bigint)", (MIGRATION_LOCK,))
    finally:
        await engine.dispose()


async def _check_server(connection: AsyncConnection) -> None:
    number = int((await connection.exec_driver_sql("SHOW server_version_num")).scalar_one())
    if number < 150_000:
        raise DatabaseError(f"PostgreSQL 15 or newer is needed; this server is {number // 10_000}.")


async def _upgrade(url: str, extra: Sequence[str], revision: str) -> None:
    from alembic import command

    engine = create_async_engine(normalized(url))
    try:
        async with engine.begin() as connection:
            config = migration_config(extra)

            def run(sync_connection: Any) -> None:
                config.attributes["connection"] = sync_connection
                if revision == "base" or revision.startswith("-"):
                    command.downgrade(config, revision)
                else:
                    command.upgrade(config, revision)

            await connection.run_sync(run)
    finally:
        await engine.dispose()


def migration_config(extra: Sequence[str] = ()) -> Any:
    """Alembic's configuration for the history in this package and those of other packages."""
    from alembic.config import Config

    folder = Path(__file__).parent.parent / "migrations"
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.set_main_option("path_separator", "os")
    separator = os.pathsep
    config.set_main_option("version_locations", separator.join([str(folder / "versions"), *extra]))
    return config


async def _grant(connection: AsyncConnection, role: str) -> None:
    """Make the role if need be and let it read and write, but own nothing and change no schema."""
    exists = (await connection.exec_driver_sql("SELECT 1 FROM pg_roles WHERE rolname = $1", (role,))).first()
    try:
        if not exists:
            await connection.exec_driver_sql(f"CREATE ROLE {role} NOLOGIN NOSUPERUSER NOBYPASSRLS")
        member = f"SELECT pg_has_role(current_user, '{role}', 'MEMBER')"
        if not (await connection.exec_driver_sql(member)).scalar_one():
            await connection.exec_driver_sql(f"GRANT {role} TO CURRENT_USER")
    except DBAPIError as error:
        if sqlstate_of(error) in ("42710", "23505", "XX000"):  # another database of this cluster was quicker
            await asyncio.sleep(0.05)
            await connection.exec_driver_sql(f"GRANT {role} TO CURRENT_USER")
        elif sqlstate_of(error) == "42501":
            raise DatabaseError(
                f"The database login may not create the role {role!r}. Let an administrator run "
                f"CREATE ROLE {role} NOLOGIN; GRANT {role} TO <login>; or set FABLEWRIGHT_DATABASE_ROLE."
            ) from error
        else:
            raise
    await connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA public TO {role}")
    for what in ("SELECT, INSERT, UPDATE, DELETE ON ALL TABLES", "USAGE ON ALL SEQUENCES"):
        await connection.exec_driver_sql(f"GRANT {what} IN SCHEMA public TO {role}")
