"""What markets do when factions end, or regions are no more or yield something else."""

from uuid import UUID

from fablewright.core.system import Reaction
from fablewright.core.transaction import EventRecord, Transaction
from fablewright.systems.factions.events import Dissolved
from fablewright.systems.markets import service, trade
from fablewright.systems.regions.events import RegionRemoved, RegionsDefined


async def close(tx: Transaction, events: list[EventRecord]) -> None:
    """Routes of factions that were dissolved, and to or from regions that were removed, are closed.

    What such a faction has in stock goes to its heir, as its money does.
    """
    gone: dict[UUID, str] = {}
    for record in events:
        if isinstance(record.event, Dissolved):
            gone[record.event.faction_id] = "Its faction was dissolved."
            await service.inherit(tx, record.event.faction_id, record.event.heir_id)
        elif isinstance(record.event, RegionRemoved):
            gone[record.event.region_id] = "One of its ends is no more."
    for subject, reason in sorted(gone.items()):
        found = await service.routes(tx, [subject])
        await service.close_routes(tx, [route.id for route in found], reason)
    removed = [r.event.region_id for r in events if isinstance(r.event, RegionRemoved)]
    if removed:
        await service.forget(tx, removed)


async def adapt(tx: Transaction, events: list[EventRecord]) -> None:
    """Routes carry at once what regions have now."""
    changed = any(isinstance(record.event, RegionsDefined) and record.event.regions for record in events)
    if changed and await trade.GOODS.of(tx):
        await trade.reflow(tx)


CLOSE = Reaction("markets.close", (Dissolved, RegionRemoved), close)
ADAPT = Reaction("markets.adapt", (RegionsDefined,), adapt)
