"""Counts what happens. It follows: whatever goes wrong here becomes a dead letter, never the player's error."""

from typing import Final
from uuid import UUID

import orjson
from asyncpg.pgproto.pgproto import UUID as quick  # equal to others, but hashed and compared in C

from fablewright.core.system import Reaction
from fablewright.core.transaction import EventRecord, Transaction
from fablewright.systems.progress import service
from fablewright.systems.progress.rules import Tally


async def heard(tx: Transaction, records: list[EventRecord]) -> list[EventRecord]:
    """Those that some measure of the world listens to."""
    if not tx.in_world:
        return []
    watched = await service.LIVE.of(tx)
    return [record for record in records if watched.of(record.type)] if watched.measures else []


async def count(tx: Transaction, records: list[EventRecord]) -> None:
    """Move the measures that these events count for, all in a few statements, and tell who listens."""
    watched = await service.LIVE.of(tx)
    tally = Tally(tx.world.calendar)
    causes: dict[UUID, EventRecord] = {}
    for record in records:
        measures = watched.of(record.type)
        if record.seq is not None:  # it comes from the log once more
            measures = tuple(m for m in measures if m.since < record.seq)
        if measures:
            about = [quick(record.about[0].bytes)] if record.about else []
            for subject in tally.take(measures, about, record.at, orjson.loads(record.data)):
                causes[subject] = record
    if not tally.empty:
        steps = await service.record(tx, tally)
        await service.tell(tx, [service.Moved(s, m, b, a, causes[s]) for s, m, b, a in steps])


COUNT: Final = Reaction("progress.count", ("*",), count, heard)
