"""The ledger: what an award costs raw, a ledger of any length made in no time, and how long its check takes."""

import statistics
import time
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import orjson

from benchmarks.stage import Row, Stage
from fablewright.core.database import normalized
from fablewright.systems.ledger.book import MINT
from fablewright.systems.ledger.checks import CHECKS

TRANSFERS = 1_000_000
ROUNDS = 3

# -- one award, raw: balance, transfer, event ----------------------------------------------------------------

BALANCE = """
UPDATE ledger_accounts SET balance = balance + $3 WHERE world_id = $1 AND owner_id = $2 AND currency = 'points'
RETURNING balance
"""
TRANSFER = """
INSERT INTO ledger_transfers (world_id, id, currency, debit, credit, amount, kind, reason, at, event_id, credit_after)
VALUES ($1, $2, 'points', $3, $4, $5, 'points.award', 'Raw', 0, $6, $7)
"""
EVENT = """
WITH head AS (UPDATE world_heads SET seq = seq + 1 WHERE world_id = $1 RETURNING seq)
INSERT INTO events (world_id, seq, id, type, at, actor, causation_id, correlation_id, about, data)
SELECT $1, seq, $2, 'points.awarded', 0, 'raw', $3, $3, ARRAY[$4::uuid], $5::jsonb FROM head
"""
UNORDERED_EVENT = """
INSERT INTO events (world_id, seq, id, type, at, actor, causation_id, correlation_id, about, data)
VALUES ($1, $6, $2, 'points.awarded', 0, 'raw', $3, $3, ARRAY[$4::uuid], $5::jsonb)
"""
OPEN_ACCOUNTS = """
INSERT INTO ledger_accounts (world_id, owner_id, currency) SELECT $1, unnest($2::uuid[]), 'points'
ON CONFLICT DO NOTHING
"""


def raw_award(world_id: UUID, ids: list[UUID], *, ordered: bool = True) -> Callable[[Any], Awaitable[None]]:
    """One transaction per award with the three writes of the server, and nothing else.

    With `ordered` the events have one gap-free sequence in commit order, as the server's have; without, no two
    awards wait for each other, and the log promises less.
    """
    numbers = count(1_000_000_000)

    async def award(connection: Any) -> None:
        number = next(numbers)
        owner = ids[number % len(ids)]
        event_id, cause = uuid4(), uuid4()
        async with connection.transaction():
            balance = await connection.fetchval(BALANCE, world_id, owner, 10)
            await connection.execute(TRANSFER, world_id, uuid4(), MINT, owner, 10, event_id, balance)
            data = {"character_id": owner, "currency": "points", "amount": 10, "asked": 10, "action": None,
                    "reason": "Raw", "balance": balance}  # fmt: skip
            event = (world_id, event_id, cause, owner, orjson.dumps(data).decode())
            if ordered:
                await connection.execute(EVENT, *event)
            else:
                await connection.execute(UNORDERED_EVENT, *event, number)

    return award


# -- a long ledger -------------------------------------------------------------------------------------------

# In each round everybody is awarded 10, but in every fifth, in which everybody gives the next one 1 in turn.
FILL = """
INSERT INTO ledger_transfers (world_id, id, currency, debit, credit, amount, kind, reason, at, event_id,
                              debit_after, credit_after)
SELECT $1, gen_random_uuid(), 'points', CASE WHEN gives THEN ($2::uuid[])[i + 1] ELSE $3 END,
       CASE WHEN gives THEN ($2::uuid[])[(i + 1) % many + 1] ELSE ($2::uuid[])[i + 1] END,
       CASE WHEN gives THEN 1 ELSE 10 END, CASE WHEN gives THEN 'points.gift' ELSE 'points.award' END, 'Filled', n,
       gen_random_uuid(), CASE WHEN gives THEN base - (i = 0)::int END,
       CASE WHEN NOT gives THEN base + 10 WHEN i = many - 1 THEN base ELSE base + 1 END
FROM (SELECT n, n % many AS i, many, (n / many) % 5 = 4 AS gives, 10 * (n / many - n / many / 5) AS base
      FROM generate_series($4::bigint, $5::bigint - 1) AS n, (SELECT cardinality($2::uuid[])::bigint AS many) AS m
     ) AS s ORDER BY n
"""
SETTLE = """
UPDATE ledger_accounts a SET balance = a.balance + s.amount
FROM (SELECT owner, sum(amount) AS amount FROM (
          SELECT credit AS owner, amount FROM ledger_transfers WHERE world_id = $1 AND number > $2
          UNION ALL SELECT debit, -amount FROM ledger_transfers WHERE world_id = $1 AND number > $2) AS b
      GROUP BY owner) AS s
WHERE a.world_id = $1 AND a.owner_id = s.owner AND a.currency = 'points'
"""
LOG = """
INSERT INTO events (world_id, seq, id, type, at, actor, causation_id, correlation_id, about, data)
SELECT $1, $2 + row_number() OVER (ORDER BY number), event_id, 'points.awarded', at, 'filled', event_id, event_id,
       ARRAY[credit], jsonb_build_object('amount', amount)
FROM ledger_transfers WHERE world_id = $1 AND number > $3
"""
CHUNK = 250_000
FILLED = ("ledger_transfers", "ledger_accounts", "events")


async def fill(
    connection: Any, world_id: UUID, ids: list[UUID], first: int, last: int, *, logged: bool = True
) -> None:
    """Add the transfers `first` up to `last` (in whole rounds of all owners) of a ledger that began with nothing.

    With `logged`, each has its event.
    """
    assert first % len(ids) == 0 and last % len(ids) == 0
    await connection.execute(OPEN_ACCOUNTS, world_id, ids)
    before = await connection.fetchval("SELECT coalesce(max(number), 0) FROM ledger_transfers")
    for start in range(first, last, CHUNK):
        await connection.execute(FILL, world_id, ids, MINT, start, min(last, start + CHUNK))
    await connection.execute(SETTLE, world_id, before)
    if logged:
        head = await connection.fetchval("SELECT seq FROM world_heads WHERE world_id = $1", world_id)
        await connection.execute(LOG, world_id, head, before)
        await connection.execute(
            "UPDATE world_heads SET seq = seq + $2 WHERE world_id = $1", world_id, last - first
        )


async def vacuum(database: str, *tables: str) -> None:
    """Do at once what autovacuum does within a minute."""
    url = normalized(database)
    connection = await asyncpg.connect(
        user=url.username, password=url.password, database=url.database, host=str(url.query["host"])
    )
    for table in tables:
        await connection.execute(f"VACUUM ANALYZE {table}", timeout=600)
    await connection.execute("CHECKPOINT", timeout=600)
    await connection.close()


async def integrity(stage: Stage) -> list[Row]:
    """The report of a world's ledger of a million transfers, and all that the doctor checks of it.

    Baseline: one sum over the table.
    """
    world_id = stage.world("integrity")
    ids = stage.characters(world_id, 500)
    connection = await stage.connect()
    await fill(connection, world_id, ids, 0, TRANSFERS)
    await vacuum(stage.database, *FILLED)
    path = f"/api/v1/worlds/{world_id}/ledger/integrity"
    times, raw = [], []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        report = stage.call("GET", path)
        times.append(time.perf_counter() - start)
        start = time.perf_counter()
        await connection.fetch("SELECT currency, sum(amount) FROM ledger_transfers GROUP BY 1")
        raw.append(time.perf_counter() - start)
    assert not report["faults"], report
    start = time.perf_counter()
    for check in CHECKS:
        assert await connection.fetch(check.sql) == [], check.name
    doctor = time.perf_counter() - start
    await connection.close()
    median, baseline = statistics.median(times), statistics.median(raw)
    return [
        Row(f"ledger integrity report over {TRANSFERS:,} transfers",
            f"{median:.1f} s; all that the doctor checks of it {doctor:.1f} s", "< 5 s",
            f"{baseline:.2f} s (one sum)", f"{median / baseline:.1f}", median < 5),
    ]  # fmt: skip
