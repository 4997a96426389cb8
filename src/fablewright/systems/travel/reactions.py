"""How journeys end through what happens in lower systems: arrival, a game master's hand, death."""

from uuid import UUID

from fablewright.core.system import Reaction
from fablewright.core.transaction import EventRecord, Transaction
from fablewright.systems.characters.events import CharacterDeleted
from fablewright.systems.regions.events import Arrived, CharactersPlaced
from fablewright.systems.travel import service


async def end_journeys(tx: Transaction, records: list[EventRecord]) -> None:
    """Who has arrived, was placed elsewhere or is no more travels no longer."""
    reached: dict[UUID, EventRecord] = {}
    moved: dict[UUID, EventRecord] = {}
    gone: dict[UUID, EventRecord] = {}
    for record in records:
        event = record.event
        if isinstance(event, Arrived):
            reached[event.character_id] = record
        elif isinstance(event, CharactersPlaced):
            moved |= {placed.character_id: record for placed in event.placements if placed.stopped}
        elif isinstance(event, CharacterDeleted):
            gone[event.character_id] = record
    await service.arrived(tx, reached)
    await service.placed(tx, moved)
    await service.forget(tx, gone)


ENDS = Reaction("travel.end_journeys", (Arrived, CharactersPlaced, CharacterDeleted), end_journeys)
