"""A system with one hot command, `bench_counter.add`: the simplest thing that batching can do."""

from collections.abc import Sequence
from typing import Any, ClassVar
from uuid import UUID

from fablewright.core.actors import Allowed, Role, at_least
from fablewright.core.messages import MEMBERS, Audience, Command, Event
from fablewright.core.system import Handler, System
from fablewright.core.transaction import Request, Transaction

TABLE = """
CREATE TABLE IF NOT EXISTS bench_counters (
    world_id uuid NOT NULL, id text NOT NULL, value bigint NOT NULL, PRIMARY KEY (world_id, id)
) WITH (fillfactor = 50)
"""


class Add(Command):
    """Add to a counter."""

    message_type = "bench_counter.add"
    allowed: ClassVar[Allowed] = at_least(Role.PLAYER)

    name: str
    amount: int


class Added(Event):
    message_type = "bench_counter.added"

    name: str
    amount: int
    value: int

    def audience(self) -> Audience:
        return MEMBERS


UPSERT = """
INSERT INTO bench_counters (world_id, id, value) SELECT $1, c.id, c.value FROM unnest($2::text[], $3::bigint[]) AS c (id, value)
ON CONFLICT (world_id, id) DO UPDATE SET value = bench_counters.value + excluded.value
RETURNING id, value
"""


async def add_many(tx: Transaction, requests: Sequence[Request]) -> list[Any]:
    """One statement for all; each request is told the value as of its turn."""
    sums: dict[str, int] = {}
    for request in requests:
        command: Add = request.command  # type: ignore[assignment]
        sums[command.name] = sums.get(command.name, 0) + command.amount
    names = sorted(sums)
    rows = await tx.fetch(UPSERT, tx.world_id, names, [sums[name] for name in names])
    running = {row["id"]: row["value"] - sums[row["id"]] for row in rows}
    results = []
    for request in requests:
        command = request.command  # type: ignore[assignment]
        running[command.name] += command.amount
        tx.emit(Added(name=command.name, amount=command.amount, value=running[command.name]), by=request)
        results.append({"value": running[command.name]})
    return results


system = System(name="bench_counter", handlers=(Handler(Add, many=add_many),), events=(Added,))

BASELINE_ADD = """
INSERT INTO bench_counters (world_id, id, value) VALUES ($1, $2, $3)
ON CONFLICT (world_id, id) DO UPDATE SET value = bench_counters.value + excluded.value RETURNING value
"""
Ids = dict[str, UUID]
