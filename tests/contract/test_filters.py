"""The live feed decides in memory who gets an event, the log in SQL: both must decide alike."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fablewright.core import log
from fablewright.core.messages import PATTERN
from fablewright.gateway.live import admits
from tests.support import Server

IDS = tuple(UUID(int=n) for n in range(1, 5))
TYPES = ("dialogue.interacted", "dialogue.inter_cted", "dialogue.a", "dialogues.a", "dialog.a", "d_alogue.a",
         "worlds.member_set", "worlds.member_left", "worlds.member")  # fmt: skip
PATTERNS = ("*", *TYPES, *(f"{t.split('.', maxsplit=1)[0]}.*" for t in TYPES), "nothing.*", "nothing.at_all")

ids = st.lists(st.sampled_from(IDS), max_size=3).map(tuple)
filters = st.builds(
    log.Filter,
    st.lists(st.sampled_from(PATTERNS), max_size=3).map(tuple),
    ids,
    st.none() | st.frozensets(st.sampled_from(IDS), max_size=3),
)
events = st.lists(st.tuples(st.sampled_from(TYPES), ids, st.none() | ids), min_size=1, max_size=6)


@dataclass
class Place:
    """A world and a connection that may write its log as it likes; nothing is kept."""

    connection: Any
    world_id: UUID


@pytest.fixture
async def place(server: Server) -> AsyncIterator[Place]:
    world_id = await server.world(await server.person())
    connection = await asyncpg.connect(server.url.replace("+asyncpg", ""))
    try:
        yield Place(connection, world_id)
    finally:
        await connection.close()


def test_the_patterns_are_such() -> None:
    assert all(PATTERN.match(pattern) for pattern in PATTERNS)


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(filters, events)
@example(log.Filter(), [("worlds.member", (), ())])
@example(log.Filter((), (), frozenset()), [("worlds.member", (), ()), ("worlds.member", (), None)])
@example(log.Filter(("d_alogue.*",)), [("dialogue.a", (), None), ("d_alogue.a", (), None)])
@example(
    log.Filter(("dialogue.*",)), [("dialogues.a", (), None), ("dialog.a", (), None), ("dialogue.a", (), None)]
)
@example(log.Filter(("*", "nothing.*")), [("dialogue.a", (), None)])
async def test_memory_and_sql_decide_alike(
    place: Place, wanted: log.Filter, listed: list[tuple[str, tuple[UUID, ...], tuple[UUID, ...] | None]]
) -> None:
    transaction = place.connection.transaction()
    await transaction.start()
    try:
        await place.connection.execute("DELETE FROM events WHERE world_id = $1", place.world_id)
        await place.connection.executemany(
            "INSERT INTO events (world_id, seq, id, type, at, actor, causation_id, correlation_id, about, audience, "
            "data) VALUES ($1, $2, $3, $4, 0, 'system:test', $3, $3, $5, $6, '{}')",
            [
                (
                    place.world_id,
                    seq,
                    uuid.uuid4(),
                    kind,
                    list(about),
                    None if audience is None else list(audience),
                )
                for seq, (kind, about, audience) in enumerate(listed, 1)
            ],
        )
        await place.connection.execute(
            "UPDATE world_heads SET seq = $2 WHERE world_id = $1", place.world_id, len(listed)
        )
        everything = await log.read(place.connection, place.world_id, 0, 100, log.Filter())
        by_sql = await log.read(place.connection, place.world_id, 0, 100, wanted)
        newest = await log.newest(place.connection, place.world_id, 100, wanted)
    finally:
        await transaction.rollback()
    assert len(everything.rows) == len(listed)
    by_memory = [row["seq"] for row in everything.rows if admits(wanted, row)]
    assert [row["seq"] for row in by_sql.rows] == by_memory
    assert [row["seq"] for row in newest] == by_memory
