"""What is read of factions, their members and their power."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from fablewright.systems.factions.rules import Holding, Power, power
from fablewright.systems.regions.rules import stability

OWNED: Final = """
SELECT f.id, f.strength, coalesce(a.balance - a.held, 0) AS treasury
FROM factions f
LEFT JOIN ledger_accounts a ON a.world_id = f.world_id AND a.owner_id = f.id AND a.currency = f.currency
WHERE f.world_id = $1 AND f.id = ANY($2::uuid[]) ORDER BY f.id
"""
HELD: Final = """
SELECT r.controller_id, r.id, r.name, r.population, r.stability, r.stability_at, r.stability_rest,
       (SELECT coalesce(sum(v::float8), 0) FROM jsonb_each_text(r.resources) AS e (k, v)) AS goods
FROM regions r
WHERE r.world_id = $1 AND r.controller_id = ANY($2::uuid[]) AND r.removed_at IS NULL ORDER BY r.id
"""


async def powers(connection: Any, world_id: UUID, ids: Sequence[UUID], now: int) -> dict[UUID, Power]:
    """How powerful these factions are at world time `now` (ms), with the parts; unknown ones are missing.

    `connection` is a raw one, or a transaction; nothing is locked.
    """
    wanted = sorted(set(ids))
    held: dict[UUID, list[Holding]] = {}
    for row in await connection.fetch(HELD, world_id, wanted):
        calm = stability(row["stability"], row["stability_at"], now, row["stability_rest"])
        holding = Holding(row["id"], row["name"], row["goods"], row["population"], calm)
        held.setdefault(row["controller_id"], []).append(holding)
    rows = await connection.fetch(OWNED, world_id, wanted)
    return {
        row["id"]: power(row["id"], row["strength"], held.get(row["id"], []), row["treasury"]) for row in rows
    }


async def treasuries(connection: Any, world_id: UUID, ids: Sequence[UUID]) -> dict[UUID, int]:
    """What these factions can spend of their own currency; unknown ones are missing."""
    rows = await connection.fetch(OWNED, world_id, sorted(set(ids)))
    return {row["id"]: row["treasury"] for row in rows}
