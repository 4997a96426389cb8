"""The log: append as the last statement before COMMIT, and read by position, type, subject and audience."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from fablewright.core.database import array_of, texts_of
from fablewright.core.messages import Catalogue, Event
from fablewright.core.receipts import Kept
from fablewright.core.transaction import EventRecord, Transaction

WINDOW: Final = 20_000
"""How many log positions one statement looks at, so that a rare filter does not scan a whole log at once."""


class ClockMoved(Exception):
    """The world's clock was set between the command's start and its end; the command must run again."""


# One statement updates the head, adds the events and completes the receipts: while it waits for the head,
# nothing else of this transaction is left to do but COMMIT, so the hot row is held as briefly as can be.
APPEND: Final = """
WITH head AS (
    UPDATE world_heads SET seq = seq + $2, base_version = base_version + $3,
                           definitions = definitions + $20
    WHERE world_id = $1 AND base_version = $4
    RETURNING seq - $2 AS base
), added AS (
    INSERT INTO events (world_id, seq, id, type, at, actor, causation_id, correlation_id,
                        about, audience, data, command)
    SELECT $1, head.base + e.n, e.id, e.type, e.at, e.actor, e.causation_id, e.correlation_id,
           e.about::uuid[], e.audience::uuid[], e.data::jsonb, e.command::json
    FROM head, unnest($5::text::uuid[], $6::text::text[], $7::text::bigint[], $8::text::text[], $9::text::uuid[],
                      $10::text::uuid[], $11::text[], $12::text[], $13::text[], $14::text[]) WITH ORDINALITY
         AS e (id, type, at, actor, causation_id, correlation_id, about, audience, data, command, n)
), kept AS (
    UPDATE receipts r SET seq = head.base + nullif(k.last, 0), answer = k.answer::json
    FROM head, unnest($15::text[], $16::text[], $17::bigint[], $18::text[]) AS k (actor, key, last, answer)
    WHERE r.world_id = $19 AND r.actor = k.actor AND r.key = k.key
)
SELECT base FROM head
"""


async def append(tx: Transaction, kept: Sequence[Kept], receipt_world: UUID) -> int | None:
    """Write the transaction's events and receipts; returns the `seq` before its first event.

    Returns None if there is nothing to write. Raises `ClockMoved`.
    """
    events = tx.events
    if not events and not kept and not tx.base_changed:
        return None
    base = await tx.fetchval(
        APPEND, tx.world_id, len(events), int(tx.base_changed), tx.world.base_version,
        array_of([e.id for e in events]), texts_of([e.type for e in events]), array_of([e.at for e in events]),
        texts_of([e.actor for e in events]), array_of([e.causation_id for e in events]),
        array_of([e.correlation_id for e in events]),
        [array_of(e.about) for e in events],
        [None if e.audience is None else array_of(sorted(e.audience)) for e in events],
        [e.data.decode() for e in events], [e.command.decode() if e.command else None for e in events],
        [k.actor for k in kept], [k.key for k in kept], [k.last for k in kept], [k.answer.decode() for k in kept],
        receipt_world, int(tx.definitions_changed),
    )  # fmt: skip
    if base is None:
        raise ClockMoved
    for number, record in enumerate(events, int(base) + 1):
        record.seq = number
    return int(base)


async def append_audit(tx: Transaction) -> None:
    """Add the events of an account command to the audit log."""
    if tx.events:
        await tx.executemany(
            "INSERT INTO audit_log (id, type, actor, correlation_id, about, data) "
            "VALUES ($1, $2, $3, $4, $5, $6::jsonb)",
            [(e.id, e.type, e.actor, e.correlation_id, e.about, e.data.decode()) for e in tx.events],
        )


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events a reader wants and may see.

    - `types`: patterns (`*`, `dialogue.*`, full names); empty for all;
    - `about`: ids one of which an event must be about; empty for all;
    - `principals`: what the reader stands for; None for those who see everything (game masters).
    """

    types: tuple[str, ...] = ()
    about: tuple[UUID, ...] = ()
    principals: frozenset[UUID] | None = None

    def where(self, first: int) -> tuple[str, list[Any]]:
        """SQL conditions on `events`, with parameters numbered from `first`."""
        conditions, values = [], []

        def parameter(value: Any) -> str:
            values.append(value)
            return f"${first + len(values) - 1}"

        if self.types and "*" not in self.types:
            exact = [t for t in self.types if not t.endswith("*")]
            prefixes = [t[:-1].replace("_", r"\_") + "%" for t in self.types if t.endswith("*")]
            parts = []
            if exact:
                parts.append(f"type = ANY({parameter(exact)}::text[])")
            if prefixes:
                parts.append(f"type LIKE ANY({parameter(prefixes)}::text[])")
            conditions.append(f"({' OR '.join(parts)})")
        if self.about:
            conditions.append(f"about && {parameter(list(self.about))}::uuid[]")
        if self.principals is not None:
            conditions.append(
                f"(audience IS NULL OR audience && {parameter(sorted(self.principals))}::uuid[])"
            )
        return "".join(f" AND {c}" for c in conditions), values


@dataclass(frozen=True, slots=True)
class Slice:
    """Part of a log: the rows that fit a filter, complete up to `up_to`; `head` is the newest `seq`."""

    rows: list[Any]
    up_to: int
    head: int


COLUMNS: Final = (
    "seq, id, type, at, actor, causation_id, correlation_id, about, audience, data::text AS data, "
    "command::text AS command, recorded_at"
)


async def head_of(connection: Any, world_id: UUID) -> int:
    """The newest `seq` of a world; 0 for one without events."""
    return int(await connection.fetchval("SELECT seq FROM world_heads WHERE world_id = $1", world_id) or 0)


async def read(
    connection: Any, world_id: UUID, after: int, limit: int, wanted: Filter, *, until: int | None = None
) -> Slice:
    """At most `limit` events with `after` < `seq` <= `until`, in order, from at most one window of the log."""
    head = await head_of(connection, world_id)
    end = min(head, after + WINDOW, head if until is None else until)
    if end <= after:
        return Slice([], after, head)
    condition, values = wanted.where(5)
    rows = await connection.fetch(
        f"SELECT {COLUMNS} FROM events WHERE world_id = $1 AND seq > $2 AND seq <= $3{condition} "  # noqa: S608
        "ORDER BY seq LIMIT $4",
        world_id, after, end, limit, *values,
    )  # fmt: skip
    return Slice(rows, rows[-1]["seq"] if len(rows) == limit else end, head)


async def read_all(
    connection: Any, world_id: UUID, wanted: Filter, after: int = 0
) -> AsyncIterator[list[Any]]:
    """The whole log in lists of rows, as far as it goes when the reading starts."""
    end = await head_of(connection, world_id)
    while after < end:
        part = await read(connection, world_id, after, 1_000, wanted)
        yield [row for row in part.rows if row["seq"] <= end]
        if part.up_to == after:  # the world was deleted meanwhile
            return
        after = part.up_to


def encode(row: Any, *, with_command: bool) -> bytes:
    """An event of the log as JSON. The command is for those who see everything."""
    about = ",".join(f'"{i}"' for i in row["about"])
    command = f',"command":{row["command"]}' if with_command and row["command"] else ""
    return (
        f'{{"seq":{row["seq"]},"id":"{row["id"]}","type":"{row["type"]}","at":{row["at"]},'
        f'"actor":"{row["actor"]}","causation_id":"{row["causation_id"]}",'
        f'"correlation_id":"{row["correlation_id"]}","about":[{about}],'
        f'"recorded_at":"{row["recorded_at"].isoformat()}","data":{row["data"]}{command}}}'
    ).encode()


def decode(row: Any, catalogue: Catalogue[Event]) -> EventRecord | None:
    """An event of the log as a value; None for a type that no installed system knows any more."""
    kind = catalogue.get(row["type"])
    if kind is None:
        return None
    data = row["data"].encode()
    return EventRecord(
        event=kind.model_validate_json(data), id=row["id"], type=row["type"], at=row["at"], actor=row["actor"],
        causation_id=row["causation_id"], correlation_id=row["correlation_id"], about=list(row["about"]),
        audience=None if row["audience"] is None else frozenset(row["audience"]), data=data,
        command=row["command"].encode() if row["command"] else None, seq=row["seq"],
    )  # fmt: skip


async def newest(connection: Any, world_id: UUID, many: int, wanted: Filter) -> list[Any]:
    """The newest events that fit the filter, oldest first, from the last window of the log."""
    head = await head_of(connection, world_id)
    condition, values = wanted.where(5)
    rows = await connection.fetch(
        f"SELECT {COLUMNS} FROM events WHERE world_id = $1 AND seq > $2 AND seq <= $3{condition} "  # noqa: S608
        "ORDER BY seq DESC LIMIT $4",
        world_id, head - WINDOW, head, many, *values,
    )  # fmt: skip
    return list(reversed(rows))
