"""The schema: its history equals the models, two may migrate at once, and the server owns nothing."""

import asyncio
import os
import sys
import warnings
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from fablewright.core.database import Database, DatabaseError, migrate, normalized
from fablewright.migrations import metadata
from fablewright.settings import Settings
from tests.systems.conftest import Bench, as_superuser, at_database


@pytest.fixture
async def empty_url(cluster: str) -> AsyncIterator[str]:
    """A database without any table."""
    name = f"empty_{uuid4().hex[:12]}"
    await as_superuser(cluster, f"CREATE DATABASE {name}")
    yield at_database(cluster, name)
    await as_superuser(cluster, f"DROP DATABASE {name} WITH (FORCE)")


async def difference(url: str) -> list[Any]:
    """What the models have and the database has not, and the other way round."""

    def compare(connection: Any) -> list[Any]:
        options = {"compare_type": True, "compare_server_default": True}
        # Of indexes with an operator class it cannot tell; the test below compares these, and CHECK constraints.
        warnings.filterwarnings("ignore", message="Expression #", category=UserWarning)
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata()))

    engine = create_async_engine(normalized(url))
    try:
        async with engine.connect() as connection:
            with warnings.catch_warnings():
                return await connection.run_sync(compare)
    finally:
        await engine.dispose()


async def tables(url: str) -> set[str]:
    rows = await as_superuser(
        url,
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND $1",
        True,
    )
    return {row["relname"] for row in rows}


async def schema(url: str) -> list[tuple[Any, ...]]:
    """Every column, constraint and index of the schema."""
    rows = await as_superuser(
        url,
        "SELECT table_name || '.' || column_name AS what, data_type || is_nullable || coalesce(column_default, '') "
        "AS how FROM information_schema.columns WHERE table_schema = 'public' AND $1 "
        "UNION ALL SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE connamespace = 'public'::regnamespace "
        "UNION ALL SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2",
        True,
    )
    return [tuple(row) for row in rows]


async def test_the_history_gives_what_the_models_say(empty_url: str, settings: Settings) -> None:
    assert len(await difference(empty_url)) > 20  # the comparison does see what is missing
    await migrate(empty_url, settings.database_role)
    assert await difference(empty_url) == []
    await as_superuser(empty_url, "ALTER TABLE worlds DROP COLUMN description")
    assert len(await difference(empty_url)) == 1


async def test_models_made_at_once_give_the_very_same_schema(
    empty_url: str, counter_url: str, settings: Settings
) -> None:
    engine = create_async_engine(normalized(empty_url))
    async with engine.begin() as connection:
        await connection.run_sync(metadata().create_all)
    await engine.dispose()
    made = await schema(empty_url)
    other = ("alembic_version", "counters", "counter_marks", "ck_counters")
    migrated = [row for row in await schema(counter_url) if not any(n in row[0] for n in other)]
    assert [row for row in migrated if row not in made] == [row for row in made if row not in migrated] == []


async def test_down_to_nothing_and_up_again(empty_url: str, settings: Settings) -> None:
    await migrate(empty_url, settings.database_role)
    before = await schema(empty_url)
    await migrate(empty_url, settings.database_role, revision="base")
    assert await tables(empty_url) == {"alembic_version"}
    await migrate(empty_url, settings.database_role)
    assert await schema(empty_url) == before
    await migrate(empty_url, settings.database_role)  # and once more changes nothing
    assert await schema(empty_url) == before


MIGRATE = """
import asyncio, sys
from fablewright.core.database import migrate
asyncio.run(migrate(sys.argv[1], sys.argv[2]))
"""


@pytest.mark.uncounted
async def test_two_processes_migrate_at_once(empty_url: str, cluster: str) -> None:
    role = f"role_{uuid4().hex[:8]}"
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            MIGRATE,
            empty_url,
            role,
            stderr=asyncio.subprocess.PIPE,
            env=dict(os.environ),
        )
        for _ in range(3)
    ]
    for process in processes:
        _, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()
    assert await difference(empty_url) == []
    await as_superuser(empty_url, f"DROP OWNED BY {role}")
    await as_superuser(cluster, f"DROP ROLE {role}")


async def test_a_login_that_may_not_make_the_role_is_told_what_to_do(cluster: str) -> None:
    login, role, name = (f"{what}_{uuid4().hex[:8]}" for what in ("login", "role", "weak"))
    await as_superuser(cluster, f"CREATE ROLE {login} LOGIN PASSWORD 'weak'")
    await as_superuser(cluster, f"CREATE DATABASE {name} OWNER {login}")
    url = make_url(at_database(cluster, name)).set(username=login, password="weak")
    weak = url.render_as_string(hide_password=False)
    try:
        with pytest.raises(DatabaseError) as error:
            await migrate(weak, role)
        assert "CREATE ROLE" in str(error.value)
        advice = str(error.value).split("run ")[1].split("; or set")[0].rstrip(".;")
        await as_superuser(cluster, advice.replace("<login>", login))  # do what it says
        await migrate(weak, role)
        assert await difference(weak) == []
    finally:
        await as_superuser(cluster, f"DROP DATABASE {name} WITH (FORCE)")
        for drop in (role, login):
            await as_superuser(cluster, f"DROP ROLE IF EXISTS {drop}")


async def test_the_server_owns_nothing_and_cannot_change_the_schema(bench: Bench) -> None:
    role = bench.runtime.settings.database_role
    database = bench.runtime.database
    row = (await bench.fetch(
        "SELECT current_user AS me, session_user AS login, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, "
        "rolcanlogin FROM pg_roles WHERE rolname = current_user"
    ))[0]  # fmt: skip
    assert row["me"] == role != row["login"]
    assert not any(
        row[n] for n in ("rolsuper", "rolbypassrls", "rolcreaterole", "rolcreatedb", "rolcanlogin")
    )
    owned = await bench.fetch("SELECT relname FROM pg_class WHERE relowner = current_user::regrole")
    assert owned == []
    async with database.writing() as connection:
        assert (await connection.exec_driver_sql("SELECT current_user")).scalar_one() == role
    listener = await database.dedicated("a test")
    try:
        assert await listener.fetchval("SELECT current_user") == role
    finally:
        await listener.close()
    for statement in (
        "CREATE TABLE mine (id int)", "DROP TABLE events", "ALTER TABLE worlds ADD COLUMN x int", "TRUNCATE events",
        "ALTER TABLE worlds DISABLE ROW LEVEL SECURITY", "CREATE ROLE mine", "CREATE SCHEMA mine",
    ):  # fmt: skip
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await bench.fetch(statement)


async def test_a_database_that_is_no_postgresql_and_a_strange_role_are_refused(settings: Settings) -> None:
    with pytest.raises(DatabaseError, match="postgresql"):
        Database("mysql://localhost/x", settings)
    with pytest.raises(DatabaseError, match="DATABASE_ROLE"):
        Database(
            "postgresql://localhost/x", settings.model_copy(update={"database_role": "a; DROP TABLE worlds"})
        )
