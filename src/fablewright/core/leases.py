"""Leases: a job that one process does at a time, for work that cannot sit inside one transaction.

A lease is coordination, not state of a world: it is taken in a statement of its own, and a process that dies
lets it lapse by the database's clock.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from fablewright.core.database import Database

TAKE = """
INSERT INTO leases (name, owner, until) VALUES ($1, $2, clock_timestamp() + make_interval(secs => $3))
ON CONFLICT (name) DO UPDATE SET owner = $2, until = clock_timestamp() + make_interval(secs => $3)
WHERE leases.owner = $2 OR leases.until < clock_timestamp()
RETURNING true
"""


async def take(database: Database, name: str, owner: UUID, seconds: float) -> bool:
    """Take or renew a lease; False if another process holds it."""
    async with database.reading() as connection:
        return bool(await connection.fetchval(TAKE, name, owner, seconds))


async def give_back(database: Database, name: str, owner: UUID) -> None:
    """End a lease early."""
    async with database.reading() as connection:
        await connection.execute("DELETE FROM leases WHERE name = $1 AND owner = $2", name, owner)


@asynccontextmanager
async def holding(database: Database, name: str, owner: UUID, seconds: float) -> AsyncIterator[bool]:
    """Hold a lease for a block; yields False if another process holds it."""
    held = await take(database, name, owner, seconds)
    try:
        yield held
    finally:
        if held:
            await give_back(database, name, owner)
