"""What must be tidied now and then: receipts past their time, leases that lapsed long ago."""

import asyncio
from typing import Any, Final

import asyncpg
import structlog

from fablewright.core import receipts
from fablewright.core.refusal import Refused

INTERVAL_SECONDS: Final = 3_600.0

log = structlog.get_logger(__name__)


async def keep_house(engine: Any) -> None:
    """Tidy every hour, until cancelled. Several processes may do so at once."""
    while True:
        try:
            await tidy(engine)
        except (Refused, asyncpg.PostgresError) as error:
            log.warning("housekeeping_waits", error=str(error))
        await asyncio.sleep(INTERVAL_SECONDS)


async def tidy(engine: Any) -> int:
    """Delete what is past its time; returns how many receipts."""
    async with engine.database.reading() as connection:
        await connection.execute("DELETE FROM leases WHERE until < clock_timestamp() - interval '1 day'")
        return await receipts.purge(connection, engine.settings.receipt_days)
