"""`fablewright` on a database where nobody can LISTEN, as behind some connection poolers."""

from typing import Any

import asyncpg

from fablewright.cli import main
from fablewright.core.database import Database

connect = Database.dedicated


class Deaf:
    """A connection on which LISTEN is refused."""

    def __init__(self, connection: Any):
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def add_listener(self, _channel: str, _callback: Any) -> None:
        raise asyncpg.FeatureNotSupportedError("LISTEN is not supported here")


async def deaf(self: Database, name: str) -> Any:
    """A connection of its own that cannot listen."""
    return Deaf(await connect(self, name))


if __name__ == "__main__":
    Database.dedicated = deaf  # type: ignore[method-assign]
    main()
