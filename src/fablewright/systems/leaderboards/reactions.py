"""What moves boards when other systems' events happen."""

from typing import Any
from uuid import UUID

import orjson

from fablewright.core.conditions import as_number
from fablewright.core.system import Reaction
from fablewright.core.transaction import EventRecord, Transaction
from fablewright.systems.characters.events import CharacterDeleted, CharacterUpdated
from fablewright.systems.leaderboards import removals, service
from fablewright.systems.leaderboards.events import BoardDefined
from fablewright.systems.leaderboards.rules import MOST_SCORE
from fablewright.systems.leaderboards.service import BoardState, Score


async def heard(tx: Transaction, records: list[EventRecord]) -> list[EventRecord]:
    """Those to which some board of the world listens."""
    if not tx.in_world:
        return []
    boards = await service.DEFINITIONS.of(tx)
    return [record for record in records if boards.listening(record.type)] if boards.by_id else []


async def count(tx: Transaction, records: list[EventRecord]) -> None:
    """Let events count on the boards that listen to them."""
    boards = await service.DEFINITIONS.of(tx)
    # A board counts what happens after it was defined; a list of commands may define it among other things.
    new = (
        {r.event.key for r in tx.events if isinstance(r.event, BoardDefined)}
        if tx.definitions_changed
        else ()
    )
    scores: list[Score] = []
    for record in records:
        listening = [
            b
            for b in boards.listening(record.type)
            if b.key not in new and (record.seq is None or b.since < record.seq)
        ]
        if listening:
            data = orjson.loads(record.data)
            scores += [s for b in listening if (s := _score(b, record, data)) is not None]
    if scores:
        await service.record(tx, scores)  # what does not belong onto a board is none of the event's concern


def _score(board: BoardState, record: EventRecord, data: Any) -> Score | None:
    """What an event means for a board, if anything."""
    if board.holds is not None and not board.holds(data):
        return None
    number = 1 if board.number is None else as_number(board.number(data))
    subject = _subject(board, record, data)
    if number is None or subject is None or not -MOST_SCORE <= number <= MOST_SCORE:
        return None
    if record.type == board.takes_back:
        given_at = as_number(data.get("awarded_at"))
        return Score(board, subject, -float(number), happened_at=int(given_at or 0), takes_back=True)
    # What a dead letter replays has a position in the log, and its time.
    return Score(board, subject, float(number), happened_at=None if record.seq is None else record.at)


def _subject(board: BoardState, record: EventRecord, data: Any) -> UUID | None:
    if board.subject is None:
        return record.about[0] if record.about else None
    value = board.subject(data)
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


async def follow(tx: Transaction, records: list[EventRecord]) -> None:
    """Who is deleted, or loses the tag of a board, leaves the boards of now; a new name is shown on all."""
    deleted: list[UUID] = []
    renamed: list[UUID] = []
    tags: dict[UUID, list[str]] = {}
    for record in records:
        event = record.event
        if isinstance(event, CharacterDeleted):
            deleted.append(event.character_id)
        elif isinstance(event, CharacterUpdated):
            if "name" in event.changed:
                renamed.append(event.character_id)
            if "tags" in event.changed:
                tags[event.character_id] = event.tags
    if deleted:
        await removals.forget_subjects(tx, deleted)
    if tags:
        await removals.retag(tx, tags)
    if renamed:
        await removals.rename(tx, renamed)


COUNT = Reaction("leaderboards.count", ("*",), count, heard)
FOLLOW = Reaction("leaderboards.follow_characters", (CharacterDeleted, CharacterUpdated), follow)
