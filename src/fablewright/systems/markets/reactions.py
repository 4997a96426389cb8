"""What markets do when factions end or regions are no more: their routes close."""

from uuid import UUID

from fablewright.core.system import Reaction
from fablewright.core.transaction import EventRecord, Transaction
from fablewright.systems.factions.events import Dissolved
from fablewright.systems.markets import service
from fablewright.systems.regions.events import RegionRemoved


async def close(tx: Transaction, events: list[EventRecord]) -> None:
    """Routes of factions that were dissolved, and to or from regions that were removed, are closed."""
    gone: dict[UUID, str] = {}
    for record in events:
        if isinstance(record.event, Dissolved):
            gone[record.event.faction_id] = "Its faction was dissolved."
        elif isinstance(record.event, RegionRemoved):
            gone[record.event.region_id] = "One of its ends is no more."
    for subject, reason in sorted(gone.items()):
        found = await service.routes(tx, [subject])
        await service.close_routes(tx, [route.id for route in found], reason)
    removed = [r.event.region_id for r in events if isinstance(r.event, RegionRemoved)]
    if removed:
        await service.forget(tx, removed)


CLOSE = Reaction("markets.close", (Dissolved, RegionRemoved), close)
