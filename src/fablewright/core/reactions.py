"""What other systems do in the same transaction when events happen.

A guarding reaction belongs to the truth: if it refuses, the command is refused. A following one is a bonus: it
runs in a savepoint, and its failure becomes a dead letter, never the player's error.
"""

import traceback
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import orjson
import structlog

from fablewright.core.database import is_connection_loss, sqlstate_of
from fablewright.core.messages import matches
from fablewright.core.refusal import CONFLICT, Refusal
from fablewright.core.system import Reaction, System
from fablewright.core.transaction import EventRecord, Transaction

CASCADE_TOO_DEEP = Refusal(
    "cascade_too_deep",
    CONFLICT,
    "What this command sets off goes on for too long, so it was not done at all.",
)

RETRYABLE = frozenset({"40P01", "40001", "23505", "23503"})
"""SQLSTATEs after which the whole command runs again: deadlock, serialization failure, and two at once that a
constraint stopped (the second run sees what the first wrote, and its rules refuse it by name)."""

log = structlog.get_logger(__name__)


class ReactionBook:
    """All reactions of the installed systems, found by event type."""

    def __init__(self, systems: Iterable[System]):
        systems = list(systems)
        self._guarding = [r for s in systems for r in s.guarding]
        self._following = [r for s in systems for r in s.following]
        self._by_type: dict[str, tuple[list[Reaction], list[Reaction]]] = {}

    def of(self, event_type: str) -> tuple[list[Reaction], list[Reaction]]:
        """The guarding and the following reactions to a type of event."""
        found = self._by_type.get(event_type)
        if found is None:
            found = (
                [r for r in self._guarding if listens(r.on, event_type)],
                [r for r in self._following if listens(r.on, event_type)],
            )
            self._by_type[event_type] = found
        return found

    def matching(self, fresh: Sequence[EventRecord]) -> tuple[list[Reaction], list[Reaction]]:
        """Those that some of these events concern, in the order in which the systems stand."""
        types = {record.type for record in fresh}
        guarding = [r for r in self._guarding if any(r in self.of(t)[0] for t in types)]
        following = [r for r in self._following if any(r in self.of(t)[1] for t in types)]
        return guarding, following


@lru_cache(maxsize=16_384)
def listens(on: tuple[Any, ...], event_type: str) -> bool:
    """Whether one of these event classes or patterns covers a type of event."""
    return any(matches(o if isinstance(o, str) else o.message_type, event_type) for o in on)


async def settle(tx: Transaction, book: ReactionBook, done: int = 0, depth: int = 0) -> None:
    """Let the systems react to the events from number `done` on, and to what their reactions emit.

    Refuses `cascade_too_deep` and whatever a guarding reaction refuses.
    """
    while done < len(tx.events):
        fresh = [record for record in tx.events[done:] if not record.settled]
        done = len(tx.events)
        for record in fresh:
            record.settled = True
        guarding, following = book.matching(fresh)
        if not guarding and not following:
            continue
        depth += 1
        if depth > tx.bounds.max_cascade:
            raise CASCADE_TOO_DEEP(max_cascade=tx.bounds.max_cascade, last_event=fresh[-1].type)
        for reaction in guarding:
            await _react(tx, reaction, fresh)
        for reaction in following:
            await _follow(tx, book, reaction, fresh, depth)


async def _react(tx: Transaction, reaction: Reaction, fresh: Sequence[EventRecord]) -> None:
    concerned = [record for record in fresh if listens(reaction.on, record.type)]
    with tx.reacting(reaction.name, concerned):
        await reaction.react(tx, concerned)
        await tx.flush()


async def _follow(
    tx: Transaction, book: ReactionBook, reaction: Reaction, fresh: Sequence[EventRecord], depth: int
) -> None:
    """A bonus, with all that it sets off: whatever it raises must not become the player's error."""
    hears_all = "*" in reaction.on
    concerned = [record for record in fresh if hears_all or listens(reaction.on, record.type)]
    with tx.reacting(reaction.name, concerned):
        try:
            if reaction.choose is not None:
                concerned = await reaction.choose(tx, concerned)
                if not concerned:
                    return
            async with tx.savepoint():
                start = len(tx.events)
                await reaction.react(tx, concerned)
                await settle(tx, book, start, depth)
        except Exception as error:
            if is_connection_loss(error) or (sqlstate_of(error) in RETRYABLE and not tx.last_try):
                raise
            ids = [str(record.id) for record in concerned]
            world = str(tx.world_id) if tx.in_world else None
            log.error("reaction_failed", reaction=reaction.name, world=world, events=ids, exc_info=error)
            if tx.in_world:
                await bury(tx, "reaction", reaction.name, {"events": ids}, error)


def error_text(error: BaseException) -> str:
    """What went wrong, in a form that PostgreSQL can store."""
    text = "".join(traceback.format_exception_only(error)).strip()[:2000]
    return text.encode("utf-8", "replace").decode().replace("\x00", "")


async def bury(
    tx: Transaction,
    source: str,
    handler: str,
    payload: dict[str, Any],
    error: BaseException,
    attempts: int = 1,
) -> None:
    """Keep what could not be done as a dead letter, in this transaction."""
    await tx.execute(
        "INSERT INTO dead_letters (world_id, id, source, handler, payload, error, attempts, at) "
        "VALUES ($1, $2, $3, $4, $5::jsonb, $6, $7, $8)",
        tx.world_id, tx.new_id(), source, handler, orjson.dumps(payload).decode(), error_text(error), attempts, tx.now,
    )  # fmt: skip
