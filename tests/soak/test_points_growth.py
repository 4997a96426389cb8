"""An award takes as long in a ledger of ten million transfers as in one of ten thousand.

`FABLEWRIGHT_SOAK_TRANSFERS` says at which sizes to measure. It is the one test that times something: what grows with
a table shows only in time.
"""

import os
import statistics

import pytest

from benchmarks.http import load
from benchmarks.ledger import FILLED, fill, vacuum
from benchmarks.points import awards, quest
from benchmarks.stage import staged

pytestmark = pytest.mark.soak

SIZES = [
    int(n) for n in os.environ.get("FABLEWRIGHT_SOAK_TRANSFERS", "10_000,1_000_000,10_000_000").split(",")
]
ROUNDS = 5
SECONDS = 3.0
MOST = 1.3


async def test_an_award_takes_as_long_in_a_long_ledger() -> None:
    single: dict[int, float] = {}
    shared: dict[int, float] = {}
    with staged() as stage:
        world_id, ids = quest(stage, "growth")
        make = awards(stage, world_id, ids)
        connection = await stage.connect()
        first = 0
        for size in SIZES:
            await fill(connection, world_id, ids, first, size, logged=False)
            first = size
            await vacuum(stage.database, *FILLED)
            await load(stage.address, 64, 2, make)
            one, many = [], []
            for _ in range(ROUNDS):
                one.append(statistics.median((await load(stage.address, 1, SECONDS, make)).latencies))
                many.append(1 / (await load(stage.address, 64, SECONDS, make)).rate)
            # The best of the rounds: what else the machine does is not what grows.
            single[size], shared[size] = min(one), min(many)
            print(
                f"{size:,} transfers: {single[size] * 1000:.2f} ms alone, {1 / shared[size]:,.0f}/s with 64 at once"
            )
        await connection.close()
    for times in (single, shared):
        assert max(times.values()) < MOST * min(times.values()), times
