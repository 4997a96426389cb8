"""What happens to characters when other systems' events happen."""

from collections.abc import Iterable
from uuid import UUID

from fablewright.core.refusal import Refusal
from fablewright.core.system import Reaction
from fablewright.core.transaction import EventRecord, Transaction
from fablewright.systems.characters import service
from fablewright.systems.characters.events import ControlChanged
from fablewright.systems.characters.rules import CHARACTER_NOT_FOUND, CharacterState
from fablewright.systems.regions import rules as regions
from fablewright.systems.regions.events import CharactersPlaced, WalkBegun
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


async def only_the_living_are_placed(tx: Transaction, records: list[EventRecord]) -> None:
    """Nobody places a character that is unknown or deleted.

    They are locked, so that none is deleted meanwhile; whereabouts are locked already, and come first.
    """
    ids = {i for record in records for i in record.about}
    _all_there(ids, await service.load(tx, ids))


async def only_the_wakeful_walk(tx: Transaction, records: list[EventRecord]) -> None:
    """Nobody sets out who is unknown, asleep or away.

    They are locked, so that none falls asleep or is deleted meanwhile; whereabouts are locked already, and come first.
    """
    ids = {record.event.character_id for record in records}  # type: ignore[attr-defined]
    found = await service.load(tx, ids)
    _all_there(ids, found)
    refusals: dict[str, Refusal] = {"asleep": regions.ASLEEP, "away": regions.NOT_PRESENT}
    for character_id, character in found.items():
        if character.status in refusals:
            raise refusals[character.status](character_id=str(character_id))


def _all_there(ids: Iterable[UUID], found: dict[UUID, CharacterState]) -> None:
    for character_id in sorted(ids):
        if character_id not in found:
            raise CHARACTER_NOT_FOUND(character_id=str(character_id))


PLACED = Reaction("characters.only_the_living_are_placed", (CharactersPlaced,), only_the_living_are_placed)
WALKING = Reaction("characters.only_the_wakeful_walk", (WalkBegun,), only_the_wakeful_walk)
