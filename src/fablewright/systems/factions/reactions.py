"""What happens to factions when other systems' events happen."""

from fablewright.core.system import Reaction
from fablewright.core.transaction import EventRecord, Transaction
from fablewright.systems.characters.events import CharacterDeleted
from fablewright.systems.factions import members, roster, service
from fablewright.systems.regions.events import ControlChanged, RegionRemoved

FORGET_DELETED = Reaction("factions.forget_deleted", (CharacterDeleted,), members.forget)
"""Who is deleted belongs to nothing any more; where one led, the next in rank follows. Characters are locked
already, and come before memberships and factions."""


async def only_who_stands_holds(tx: Transaction, records: list[EventRecord]) -> None:
    """Regions are held by factions that are there. Refuses `faction_not_found`, `faction_dissolved`.

    Not locked: who takes a region in war holds its lock already, and `doctor` would find what slipped through.
    """
    holders = {r.event.controller_id for r in records if isinstance(r.event, ControlChanged)} - {None}
    await roster.require(tx, [i for i in holders if i is not None], lock=False)


async def lose_capitals(tx: Transaction, records: list[EventRecord]) -> None:
    """A faction whose capital is no more has none."""
    await service.lose_capitals(
        tx, [r.event.region_id for r in records if isinstance(r.event, RegionRemoved)]
    )


UNSEATED = Reaction("factions.lose_capitals", (RegionRemoved,), lose_capitals)
HOLDING = Reaction("factions.only_who_stands_holds", (ControlChanged,), only_who_stands_holds)
