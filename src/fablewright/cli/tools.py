"""What commands share that work on the database: a runtime for the while, and finding things by name."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar
from uuid import UUID

from fablewright.cli.databases import any_database, tool_runtime
from fablewright.cli.failures import Failure
from fablewright.gateway.runtime import Runtime
from fablewright.settings import Settings
from fablewright.systems.accounts import views
from fablewright.systems.accounts.views import Profile

T = TypeVar("T")


def with_runtime(settings: Settings, work: Callable[[Runtime], Awaitable[T]]) -> T:
    """Do some work with a runtime over whichever database the settings mean; returns its result."""

    async def whole(url: str) -> T:
        async with tool_runtime(settings, url) as runtime:
            return await work(runtime)

    with any_database(settings) as url:
        from fablewright.cli import loggers

        loggers.configure(settings)
        return asyncio.run(whole(url))


async def user_named(runtime: Runtime, login: str) -> Profile:
    """The account with this login. Raises `Failure`."""
    async with runtime.database.reading() as connection:
        profile = await views.find_user(connection, login)
    if profile is None:
        raise Failure(f"No account has the login {login!r}. `fablewright user list` shows them.")
    return profile


async def world_named(runtime: Runtime, world: str) -> tuple[UUID, str]:
    """Id and name of the world with this id or name. Raises `Failure` unless there is exactly one."""
    async with runtime.database.reading() as connection:
        rows = await connection.fetch(
            "SELECT id, name FROM worlds WHERE id::text = $1 OR name = $2 LIMIT 3", world.lower(), world
        )
    if len(rows) != 1:
        many = "No world has" if not rows else "Several worlds have"
        raise Failure(f"{many} the id or name {world!r}. `fablewright world list` shows them.")
    return rows[0]["id"], rows[0]["name"]
