"""Those who listen to points break, or cannot listen: nobody's points are the worse for it."""

from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest

from tests.faults.load import Reader, fetch
from tests.faults.points import earners, verify_points
from tests.faults.processes import ServerProcess, own_cluster
from tests.faults.raising_node import POISON
from tests.faults.test_two_nodes import terminating, two_nodes
from tests.support import until

pytestmark = [pytest.mark.fault, pytest.mark.uncounted]

AWARDED = "SELECT id, data ->> 'reason' AS reason FROM events WHERE world_id = $1 AND type = 'points.awarded'"
HEARD = "SELECT (data ->> 'of')::uuid AS of FROM events WHERE world_id = $1 AND type = $2"
LETTERS = "SELECT handler, payload::text AS payload FROM dead_letters WHERE world_id = $1"
BEHIND = """
SELECT 1 FROM world_heads h JOIN cursors c USING (world_id)
WHERE world_id = $1 AND consumer LIKE 'raising.%' AND position < seq
"""


async def test_points_of_two_nodes_with_a_dead_doorbell(tmp_path: Path) -> None:
    """Node B cannot listen, and the doorbells' connections die all the time; both nodes take awards."""
    with own_cluster(tmp_path) as url:
        async with two_nodes(tmp_path, url, "tests.faults.deaf_node") as (a, b):
            load = await earners(a)
            load.servers.append(b)
            readers = Reader([a], load.owner), Reader([b], load.owner)
            async with readers[0].running(), readers[1].running():
                async with (
                    terminating(url, "fablewright doorbell", "fablewright listener") as ended,
                    load.running(),
                ):
                    await load.reach(250)
                assert ended[0] > 3
                await verify_points(url, a.settings(), load, *readers)


async def test_points_go_on_while_consumers_and_reactions_raise(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, program="tests.faults.raising_node", consumer_attempts="1") as server:
        await server.start()
        load = await earners(server)
        async with load.running():
            await load.reach(150)
        url, world_id = server.database_url(), load.owner.world_id

        async def caught_up() -> bool:
            return not await fetch(url, BEHIND, world_id)

        await until(caught_up, 60)
        await verify_points(url, server.settings(), load)
        awarded = {row["id"]: row["reason"] for row in await fetch(url, AWARDED, world_id)}
        poisoned = {i for i, reason in awarded.items() if reason.endswith(POISON)}
        assert 0 < len(poisoned) < len(awarded)
        letters = await fetch(url, LETTERS, world_id)
        assert _named(letters, "raising.count") == _named(letters, "raising.post") == poisoned
        counted = [row["of"] for row in await fetch(url, HEARD, world_id, "raising.counted")]
        assert sorted(counted) == sorted(awarded.keys() - poisoned)
        # A reaction hears of a batch as a whole: each was heard of, or stands in a letter, to be heard of again.
        cheered = [row["of"] for row in await fetch(url, HEARD, world_id, "raising.cheered")]
        unheard = _named(letters, "raising.cheer")
        assert poisoned <= unheard
        assert sorted(cheered) == sorted(awarded.keys() - unheard)


def _named(letters: list[Any], handler: str) -> set[UUID]:
    """The events that the letters of a handler name."""
    found = [orjson.loads(row["payload"])["events"] for row in letters if row["handler"] == handler]
    return {UUID(event) for events in found for event in events}
