"""`doctor`: runs every system's checks and tells what is wrong."""

from fablewright.core.system import Finding
from fablewright.gateway.runtime import Runtime


async def examine(runtime: Runtime) -> list[Finding]:
    """What the systems' checks find, each on one snapshot of the database."""
    findings: list[Finding] = []
    days = runtime.settings.receipt_days
    async with runtime.database.reading(snapshot=True) as connection:
        for system in runtime.systems:
            for check in system.checks:
                rows = await connection.fetch(check.sql, *([days] if "$1" in check.sql else []))
                findings += [Finding(f"{system.name}: {check.name}", row[0], str(row[1])) for row in rows]
    return findings
