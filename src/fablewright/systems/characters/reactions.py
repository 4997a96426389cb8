"""What happens to characters when other systems' events happen."""

from fablewright.core.system import Reaction
from fablewright.core.transaction import EventRecord, Transaction
from fablewright.systems.characters import service
from fablewright.systems.characters.events import ControlChanged
from fablewright.systems.worlds.events import MemberLeft, MemberRemoved


async def release_control(tx: Transaction, records: list[EventRecord]) -> None:
    """Who is no longer a member of the world controls nobody in it."""
    causes = {record.event.user_id: record for record in records}  # type: ignore[attr-defined]
    for character_id, user_id in await service.release(tx, list(causes)):
        tx.emit(
            ControlChanged(character_id=character_id, user_id=None, previous_user_id=user_id),
            cause=causes[user_id],
        )


RELEASE_CONTROL = Reaction("characters.release_control", (MemberLeft, MemberRemoved), release_control)
