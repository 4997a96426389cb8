"""An award takes as long in a ledger of ten million transfers as in one of ten thousand.

`FABLEWRIGHT_SOAK_TRANSFERS` says at which sizes to measure. It is the one test that times something: what grows with
a table shows only in time. Two servers are asked in turn, one with the short ledger and one with the long: how fast the
machine happens to be is not what grows.
"""

import os
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from benchmarks.http import load
from benchmarks.ledger import FILLED, fill, vacuum
from benchmarks.points import awards, quest
from benchmarks.stage import Stage, staged

pytestmark = pytest.mark.soak

SHORT = 10_000
SIZES = [int(n) for n in os.environ.get("FABLEWRIGHT_SOAK_TRANSFERS", "1_000_000,10_000_000").split(",")]
ROUNDS = 5
SECONDS = 3.0
MOST = 1.3


@dataclass
class Ledger:
    """A server whose world has a ledger of some length."""

    stage: Stage
    connection: Any
    world_id: UUID
    ids: list[UUID]
    make: Callable[[int], bytes]
    length: int = 0

    @classmethod
    async def begin(cls, stage: Stage) -> "Ledger":
        world_id, ids = quest(stage, "growth")
        return cls(stage, await stage.connect(), world_id, ids, awards(stage, world_id, ids))

    async def grow(self, length: int) -> None:
        await fill(self.connection, self.world_id, self.ids, self.length, length, logged=False)
        self.length = length
        await vacuum(self.stage.database, *FILLED)
        await load(self.stage.address, 64, 2, self.make)

    async def times(self) -> tuple[float, float]:
        """Seconds that an award takes for one caller, and for 64 at once."""
        one = await load(self.stage.address, 1, SECONDS, self.make)
        many = await load(self.stage.address, 64, SECONDS, self.make)
        return statistics.median(one.latencies), 1 / many.rate


async def test_an_award_takes_as_long_in_a_long_ledger() -> None:
    with staged() as first, staged() as second:
        short, long = await Ledger.begin(first), await Ledger.begin(second)
        await short.grow(SHORT)
        for size in SIZES:
            await long.grow(size)
            rounds = [(await short.times(), await long.times()) for _ in range(ROUNDS)]
            alone, shared = (statistics.median(b[n] / a[n] for a, b in rounds) for n in range(2))
            print(
                f"{size:,} transfers, times what {SHORT:,} take: {alone:.2f} alone, {shared:.2f} with 64 at once"
            )
            assert 1 / MOST < alone < MOST and 1 / MOST < shared < MOST
        for ledger in (short, long):
            await ledger.connection.close()
