"""How higher systems measure: they use a measure, are told when it moves, and read how far a subject has come.

A system that wants to be told brings `extra={"progress": moved}`, an async function of the transaction and a list of
`Moved`. Values are locked in the order of subject and measure, bests first.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson

from fablewright.core.definitions import Definitions
from fablewright.core.transaction import EventRecord, Transaction
from fablewright.systems.progress.rules import Measure, MeasureSpec, Tally, Watched, item_of, measure_id

__all__ = [
    "LISTENER", "MeasureSpec", "Moved", "Restored", "Value", "count_items", "forget", "lock_head", "measure_id",
    "restore", "stop_using", "use", "values", "values_of",
]  # fmt: skip

LISTENER: Final = "progress"
"""The name in `System.extra` of the function that a system is told by."""

# Counts and sums add up, bests ($6) only rise; rows with a day are streaks ($7, which may leave out $8 days) that go on
# or begin anew. What the bests were before is locked and read first. One row of arrays comes back, which costs far
# less to read than a row for each value.
PUT: Final = """
WITH asked AS MATERIALIZED (
    SELECT * FROM unnest($2::uuid[], $3::uuid[], $4::float8[], $5::bigint[]) AS a (subject_id, measure_id, value, day)
), old AS MATERIALIZED (
    SELECT v.subject_id, v.measure_id, v.value
    FROM asked a
    JOIN measure_values v ON v.world_id = $1 AND v.subject_id = a.subject_id AND v.measure_id = a.measure_id
    WHERE a.measure_id = ANY($6::uuid[])
    ORDER BY v.subject_id, v.measure_id FOR NO KEY UPDATE OF v
), put AS (
    INSERT INTO measure_values AS v (world_id, subject_id, measure_id, value, day)
    SELECT $1, a.subject_id, a.measure_id, a.value, a.day
    FROM asked a LEFT JOIN old ON old.subject_id = a.subject_id AND old.measure_id = a.measure_id
    WHERE old.value IS NULL OR a.value > old.value
    ORDER BY a.subject_id, a.measure_id
    ON CONFLICT (world_id, subject_id, measure_id) DO UPDATE SET
        value = CASE
            WHEN excluded.day IS NOT NULL THEN CASE
                WHEN excluded.day - v.day <= 1 + ($8::bigint[])[array_position($7::uuid[], v.measure_id)]
                THEN v.value + 1 ELSE 1 END
            WHEN v.measure_id = ANY($6::uuid[]) THEN greatest(v.value, excluded.value)
            ELSE v.value + excluded.value END,
        day = excluded.day
    WHERE excluded.day IS NULL OR v.day IS NULL OR v.day < excluded.day
    RETURNING v.subject_id, v.measure_id, v.value
)
SELECT array_agg(put.subject_id), array_agg(put.measure_id), array_agg(put.value), array_agg(old.value)
FROM put LEFT JOIN old ON old.subject_id = put.subject_id AND old.measure_id = put.measure_id
"""
ITEMS: Final = """
INSERT INTO measure_items (world_id, measure_id, subject_id, item)
SELECT $1, a.* FROM unnest($2::uuid[], $3::uuid[], $4::text[]) AS a (measure_id, subject_id, item)
ORDER BY 2, 3, 4
ON CONFLICT DO NOTHING
RETURNING measure_id, subject_id
"""
VALUES: Final = """
SELECT v.subject_id, v.measure_id, v.value, v.day
FROM unnest($2::uuid[], $3::uuid[]) AS a (subject_id, measure_id)
JOIN measure_values v ON v.world_id = $1 AND v.subject_id = a.subject_id AND v.measure_id = a.measure_id
"""
RESTORE: Final = """
INSERT INTO measure_values (world_id, subject_id, measure_id, value, day)
SELECT $1, a.* FROM unnest($2::uuid[], $3::uuid[], $4::float8[], $5::bigint[]) AS a (s, m, value, day) ORDER BY 2, 3
ON CONFLICT (world_id, subject_id, measure_id) DO UPDATE SET value = excluded.value, day = excluded.day
"""


class Moved(NamedTuple):
    """That a subject has come further in a measure: from `before` to `after`.

    `cause` is the last event that counted; None if it was counted from the log, or if the measure settles (then
    `before` is 0).
    """

    subject_id: UUID
    measure_id: UUID
    before: float
    after: float
    cause: EventRecord | None = None


Listener = Callable[[Transaction, list[Moved]], Awaitable[None]]


async def _load(tx: Transaction) -> Watched:
    rows = await tx.fetch(
        "SELECT id, spec::text AS spec, since_seq FROM measures "
        "WHERE world_id = $1 AND state <> 'catching_up' ORDER BY id",
        tx.world_id,
    )
    return Watched(Measure.of(row["id"], spec_of(row["spec"]), row["since_seq"]) for row in rows)


@lru_cache(8192)
def spec_of(text: str) -> MeasureSpec:
    """A spec as it is kept."""
    return MeasureSpec.model_validate_json(text)


LIVE: Final = Definitions(_load)
"""The measures of a world that count what happens."""


@dataclass(frozen=True, slots=True)
class Value:
    """How far a subject has come. A streak has the last world day that counted; see `rules.current`."""

    value: float
    day: int | None = None


@dataclass(frozen=True, slots=True)
class Restored:
    """How far a subject had come in the world that a pack was made of."""

    subject_id: UUID
    measure_id: UUID
    value: float
    day: int | None = None
    items: tuple[str, ...] = ()


# -- for higher systems --------------------------------------------------------------------------------------


async def use(tx: Transaction, system: str, user_id: UUID, spec: MeasureSpec, *, backfill: bool) -> UUID:
    """Measure from now on for a definition of a system, and with `backfill` what has happened so far, too.

    Returns the measure's id. Who uses what others measure already shares it, and is told soon how far each
    subject has come.
    """
    id_ = measure_id(tx.world_id, spec)
    tx.definitions_changed = True
    found = await tx.fetchrow(
        "SELECT state, whole FROM measures WHERE world_id = $1 AND id = $2 FOR UPDATE", tx.world_id, id_
    )
    if found is None:
        await tx.execute(
            "INSERT INTO measures (world_id, id, spec, state, caught_up_to, whole, since_seq) "
            "VALUES ($1, $2, $3::jsonb, CASE WHEN $4 THEN 'catching_up' ELSE 'live' END, "
            "CASE WHEN $4 THEN 0 END, $4, coalesce((SELECT seq FROM world_heads WHERE world_id = $1), 0))",
            tx.world_id, id_, orjson.dumps(spec.model_dump(mode="json")).decode(), backfill,
        )  # fmt: skip
    elif backfill and not found["whole"]:
        await _clear(tx, id_)
        await tx.execute(
            "UPDATE measures SET state = 'catching_up', caught_up_to = 0, settled_to = NULL, whole = true "
            "WHERE world_id = $1 AND id = $2",
            tx.world_id, id_,
        )  # fmt: skip
    elif found["state"] != "catching_up":
        await _settle(tx, [id_])
    await tx.execute(
        "INSERT INTO measure_uses (world_id, measure_id, system, user_id) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT DO NOTHING",
        tx.world_id, id_, system, user_id,
    )  # fmt: skip
    return id_


async def stop_using(tx: Transaction, system: str, user_id: UUID, *, but: UUID | None = None) -> None:
    """End a definition's use of measures (but of one); what nobody uses any more is forgotten."""
    rows = await tx.fetch(
        "DELETE FROM measure_uses WHERE world_id = $1 AND system = $2 AND user_id = $3 "
        "AND measure_id IS DISTINCT FROM $4 RETURNING measure_id",
        tx.world_id, system, user_id, but,
    )  # fmt: skip
    for id_ in sorted(row["measure_id"] for row in rows):
        tx.definitions_changed = True
        await tx.execute(
            "SELECT 1 FROM measures WHERE world_id = $1 AND id = $2 FOR UPDATE", tx.world_id, id_
        )
        used = "SELECT 1 FROM measure_uses WHERE world_id = $1 AND measure_id = $2 LIMIT 1"
        if await tx.fetchval(used, tx.world_id, id_) is None:
            await _clear(tx, id_)
            await tx.execute("DELETE FROM measures WHERE world_id = $1 AND id = $2", tx.world_id, id_)


async def values(
    connection: Any, world_id: UUID, subject_id: UUID, measure_ids: Sequence[UUID]
) -> dict[UUID, Value]:
    """How far a subject has come in these measures, not locked; what never moved is missing."""
    pairs = [(subject_id, measure) for measure in measure_ids]
    return {measure: value for (_, measure), value in (await values_of(connection, world_id, pairs)).items()}


async def values_of(
    connection: Any, world_id: UUID, pairs: Sequence[tuple[UUID, UUID]]
) -> dict[tuple[UUID, UUID], Value]:
    """The same for pairs of subject and measure."""
    if not pairs:
        return {}
    rows = await connection.fetch(VALUES, world_id, *_columns(pairs))
    return {(row["subject_id"], row["measure_id"]): Value(row["value"], row["day"]) for row in rows}


async def forget(tx: Transaction, subject_ids: Iterable[UUID]) -> None:
    """Forget how far these subjects have come."""
    ids = sorted(set(subject_ids))
    for table in ("measure_values", "measure_items"):
        await tx.execute(
            f"DELETE FROM {table} WHERE world_id = $1 AND subject_id = ANY($2::uuid[])",  # noqa: S608
            tx.world_id, ids,
        )  # fmt: skip


async def restore(tx: Transaction, entries: Sequence[Restored]) -> None:
    """Let subjects have come as far as in another world; these measures then count as whole."""
    if not entries:
        return
    await tx.execute(
        RESTORE, tx.world_id, [e.subject_id for e in entries], [e.measure_id for e in entries],
        [e.value for e in entries], [e.day for e in entries],
    )  # fmt: skip
    items = [(e.measure_id, e.subject_id, item) for e in entries for item in e.items]
    if items:
        await tx.fetch(ITEMS, tx.world_id, *_columns(items))
    await _settle(tx, sorted({e.measure_id for e in entries}), whole=True)


async def count_items(tx: Transaction, found: Sequence[tuple[UUID, UUID, str]]) -> None:
    """Let subjects have had these values, too: (subject, measure of different values, value) each.

    Whoever uses the measures is told later, when they settle.
    """
    tally = Tally()
    for subject, measure, value in found:
        items = tally.items.setdefault(measure, {}).setdefault(subject, set())
        items.add(item_of(value) or "")
    if not tally.empty:
        await record(tx, tally)
        await _settle(tx, sorted(tally.items), whole=True)


async def _settle(tx: Transaction, ids: Sequence[UUID], *, whole: bool = False) -> None:
    """Let whoever uses these measures be told how far each subject has come."""
    tx.definitions_changed = True
    await tx.execute(
        "UPDATE measures SET state = 'settling', settled_to = NULL, caught_up_to = NULL, whole = whole OR $3 "
        "WHERE world_id = $1 AND id = ANY($2::uuid[])",
        tx.world_id, ids, whole,
    )  # fmt: skip


async def _clear(tx: Transaction, id_: UUID) -> None:
    """Remove all that was counted of a measure.

    Commits under way may still add to it. Once the head is locked, none that counts it can commit any more, since
    the definitions change with this commit; what those before have left is removed then.
    """
    for first in (True, False):
        for table in ("measure_values", "measure_items"):
            await tx.execute(
                f"DELETE FROM {table} WHERE world_id = $1 AND measure_id = $2",  # noqa: S608
                tx.world_id, id_,
            )  # fmt: skip
        if first:
            await lock_head(tx)


async def lock_head(tx: Transaction) -> int:
    """Let no other commit of this world happen before this one; returns the newest `seq`."""
    sql = "SELECT seq FROM world_heads WHERE world_id = $1 FOR NO KEY UPDATE"
    return int(await tx.fetchval(sql, tx.world_id))


# -- counting ------------------------------------------------------------------------------------------------


Step = tuple[UUID, UUID, float, float]
"""Subject, measure, value before, value after."""


async def record(tx: Transaction, tally: Tally) -> list[Step]:
    """Write what a batch of events does: one step for each value that it changed.

    It is one statement, and one more for each further world day that streaks are made of: a streak that breaks and
    begins anew within the batch comes more than once, in order.
    """
    adds = await _with_items(tx, tally)
    rows: list[tuple[UUID, UUID, float, int | None]] = [
        (subject, measure, number, None)
        for measure, found in adds.items()
        for subject, number in found.items()
        if number
    ]
    rows += [(s, m, number, None) for m, found in tally.bests.items() for s, number in found.items()]
    days: Sequence[int | None] = sorted(
        {day for found in tally.days.values() for own in found.values() for day in own}
    )
    steps: list[Step] = []
    for day in days or [None]:
        asked = rows + [
            (subject, measure, 1.0, day)
            for measure, found in tally.days.items() for subject, own in found.items() if day in own
        ]  # fmt: skip
        rows = []
        if not asked:
            continue
        moved = await tx.fetchrow(
            PUT,
            tx.world_id,
            *_columns(asked),
            list(tally.bests),
            list(tally.graces),
            list(tally.graces.values()),
        )
        for subject, measure, value, before in zip(*(column or () for column in moved), strict=True):
            if measure in adds:
                steps.append((subject, measure, value - adds[measure][subject], value))
            else:
                steps.append(
                    (subject, measure, (before or 0.0) if measure in tally.bests else value - 1, value)
                )
    return steps


async def _with_items(tx: Transaction, tally: Tally) -> dict[UUID, dict[UUID, float]]:
    """What adds up, with the different values that were not seen before."""
    if not tally.items:
        return tally.adds
    adds = dict(tally.adds)
    for row in await tx.fetch(ITEMS, tx.world_id, *_columns(
        (measure, subject, item) for measure, found in tally.items.items()
        for subject, items in found.items() for item in items
    )):  # fmt: skip
        fresh = adds.setdefault(row["measure_id"], {})
        fresh[row["subject_id"]] = fresh.get(row["subject_id"], 0.0) + 1.0
    return adds


def _columns(rows: Iterable[Sequence[Any]]) -> list[list[Any]]:
    """Rows, none of which is missing, as columns."""
    return [list(column) for column in zip(*rows, strict=True)]


async def tell(tx: Transaction, moved: list[Moved]) -> None:
    """Tell every system that listens."""
    if moved:
        for listener in listeners(tx):
            await listener(tx, moved)


def listeners(tx: Transaction) -> list[Listener]:
    """Those who are told of what moved."""
    return [s.extra[LISTENER] for s in tx.systems if LISTENER in s.extra]
