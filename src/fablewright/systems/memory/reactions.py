"""What happens to memories when other systems' events happen."""

from fablewright.core.system import Reaction
from fablewright.core.transaction import EventRecord, Transaction
from fablewright.systems.characters.events import CharacterDeleted
from fablewright.systems.memory import service


async def forget_deleted(tx: Transaction, records: list[EventRecord]) -> None:
    """What a deleted character remembered goes with it; what others know of it, and from it, stays."""
    await service.remove(tx, [record.event.character_id for record in records])  # type: ignore[attr-defined]


FORGET_DELETED = Reaction("memory.forget_deleted", (CharacterDeleted,), forget_deleted)
