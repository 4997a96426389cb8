"""What award rules do when their events happen, in the same transaction. A failure never costs the event."""

from typing import Any, Final
from uuid import UUID

import orjson

from fablewright.core.conditions import value_at
from fablewright.core.system import Reaction
from fablewright.core.transaction import EventRecord, Transaction
from fablewright.systems.points.awards import AwardAsk, award_many, defined
from fablewright.systems.points.rules import Rule


async def heard(tx: Transaction, records: list[EventRecord]) -> list[EventRecord]:
    """Those events to which some rule of the world listens."""
    if not tx.in_world:
        return []
    world = await defined(tx)
    return [record for record in records if world.listening(record.type)] if world.rules else []


async def award(tx: Transaction, records: list[EventRecord]) -> None:
    """Award what the rules say; whom a limit stops, or who is no character, gets nothing."""
    world = await defined(tx)
    asks: list[AwardAsk] = []
    for record in records:
        data = orjson.loads(record.data)
        for rule in world.listening(record.type):
            if rule.holds(data) and (who := _subject(rule, data, record)) is not None:
                asks.append(AwardAsk(who, rule.key, data=data, cause=record))
    await award_many(tx, asks)


def _subject(rule: Rule, data: Any, record: EventRecord) -> UUID | None:
    """Who gets it; None if the event names nobody there."""
    if rule.subject is None:
        return record.about[0] if record.about else None
    try:
        return UUID(value_at(data, rule.subject))
    except (ValueError, TypeError, AttributeError):
        return None


AWARD: Final = Reaction("points.award", ("*",), award, heard)
