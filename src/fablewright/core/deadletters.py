"""Dead letters: what a following reaction, a consumer or a timer could not do. Listed, replayed, dropped."""

import inspect
from typing import Any
from uuid import UUID

import orjson

from fablewright.core import log
from fablewright.core.database import is_connection_loss, sqlstate_of
from fablewright.core.messages import Catalogue, Event
from fablewright.core.reactions import RETRYABLE
from fablewright.core.refusal import (
    DEAD_LETTER_NOT_FOUND,
    DELIVERY_CANNOT_BE_REPLAYED,
    REPLAY_FAILED,
    REPLAY_IMPOSSIBLE,
    Refused,
)  # fmt: skip
from fablewright.core.system import Delivery
from fablewright.core.transaction import EventRecord, Timer, Transaction

COLUMNS = "id, source, handler, payload::text AS payload, error, attempts, state, at, created_at"


async def lock_open(tx: Transaction, letter_id: UUID) -> Any:
    """An open letter, locked. Refuses `dead_letter_not_found`."""
    row = await tx.fetchrow(
        f"SELECT {COLUMNS} FROM dead_letters WHERE world_id = $1 AND id = $2 AND state = 'open' FOR UPDATE",  # noqa: S608
        tx.world_id, letter_id,
    )  # fmt: skip
    if row is None:
        raise DEAD_LETTER_NOT_FOUND()
    return row


async def close(tx: Transaction, letter_id: UUID, state: str) -> None:
    """Mark a letter `replayed` or `dropped`."""
    await tx.execute(
        "UPDATE dead_letters SET state = $3 WHERE world_id = $1 AND id = $2", tx.world_id, letter_id, state
    )


async def replay(tx: Transaction, letter: Any) -> None:
    """Do now what failed then. Refuses `replay_failed`, `replay_impossible`, `delivery_cannot_be_replayed`."""
    payload = orjson.loads(letter["payload"])
    try:
        async with tx.savepoint():
            if letter["source"] == "timer":
                await _replay_timer(tx, payload["timer"])
            else:
                await _replay_events(tx, letter, payload["events"])
    except Refused as refused:
        if refused.refusal in (REPLAY_IMPOSSIBLE, DELIVERY_CANNOT_BE_REPLAYED):
            raise
        raise REPLAY_FAILED(str(refused)) from refused
    except Exception as error:
        if is_connection_loss(error) or (sqlstate_of(error) in RETRYABLE and not tx.last_try):
            raise
        raise REPLAY_FAILED(f"It failed again: {error!r}"[:500]) from error


async def _replay_timer(tx: Transaction, data: dict[str, Any]) -> None:
    kind = next((k for s in tx.systems for k in s.timers if k.kind == data["kind"]), None)
    if kind is None:
        raise REPLAY_IMPOSSIBLE(f"No installed system knows timers of kind {data['kind']}.")
    await kind.fire(
        tx, [Timer(UUID(data["id"]), data["kind"], data["due_at"], data["data"], tx.request.correlation_id)]
    )


async def _replay_events(tx: Transaction, letter: Any, ids: list[str]) -> None:
    records = await events_by_id(tx, [UUID(i) for i in ids])
    if not records:
        raise REPLAY_IMPOSSIBLE("No installed system knows these events any more.")
    name = letter["handler"]
    for system in tx.systems:
        for reaction in system.following:
            if letter["source"] == "reaction" and reaction.name == name:
                with tx.reacting(name, records):
                    await reaction.react(tx, records)
                return
        for consumer in system.consumers:
            if letter["source"] == "consumer" and consumer.name == name:
                if consumer.delivery is Delivery.DELIVERING:
                    raise DELIVERY_CANNOT_BE_REPLAYED()
                result = consumer.consume(tx, records)
                if inspect.isawaitable(result):
                    await result
                return
    raise REPLAY_IMPOSSIBLE(f"No installed system has a {letter['source']} called {name}.")


async def events_by_id(tx: Transaction, ids: list[UUID]) -> list[EventRecord]:
    """Events of this world's log by id, in order."""
    catalogue: Catalogue[Event] = Catalogue(e for s in tx.systems for e in s.events)
    rows = await tx.fetch(
        f"SELECT {log.COLUMNS} FROM events WHERE world_id = $1 AND id = ANY($2::uuid[]) ORDER BY seq",  # noqa: S608
        tx.world_id, ids,
    )  # fmt: skip
    return [record for row in rows if (record := log.decode(row, catalogue)) is not None]
