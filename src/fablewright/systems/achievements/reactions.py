"""What happens to progress when other systems' events happen."""

from fablewright.core.system import Reaction
from fablewright.core.transaction import EventRecord, Transaction
from fablewright.systems.characters.events import CharacterDeleted
from fablewright.systems.progress import service as progress


async def forget_deleted(tx: Transaction, records: list[EventRecord]) -> None:
    """How far a deleted character had come is forgotten; what it had unlocked is kept."""
    await progress.forget(tx, [record.event.character_id for record in records])  # type: ignore[attr-defined]


FORGET_DELETED = Reaction("achievements.forget_deleted", (CharacterDeleted,), forget_deleted)
