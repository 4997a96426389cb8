"""What happens to ties when other systems' events happen."""

from fablewright.core.system import Reaction
from fablewright.core.transaction import EventRecord, Transaction
from fablewright.systems.characters.events import CharacterDeleted
from fablewright.systems.relationships import service


async def forget_deleted(tx: Transaction, records: list[EventRecord]) -> None:
    """A deleted character's ties are removed; the log still tells of them."""
    await service.forget(tx, [record.event.character_id for record in records])  # type: ignore[attr-defined]


FORGET_DELETED = Reaction("relationships.forget_deleted", (CharacterDeleted,), forget_deleted)
