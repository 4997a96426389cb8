"""A real social network as a world: the characters of Les Misérables by the chapters they share (Knuth, 1993).

The file is not part of the project; `FABLEWRIGHT_TEST_DATA` names the folder that has it.
"""

import hashlib
import os
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest

from fablewright.core.clock import DAY
from fablewright.packs.network import Row, character_id, import_network, network_commands, read_network
from fablewright.systems.director.commands import ConfigureDirector
from fablewright.systems.relationships import graph
from fablewright.systems.relationships.commands import SetTies
from fablewright.systems.relationships.views import EVERYTHING
from fablewright.systems.worlds.commands import AdvanceWorld, SetClock
from tests.support import Person, Server, until

pytestmark = pytest.mark.uncounted

SEED = 1862
BEATS_PER_MINUTE = 0.1

# Ids of an advance are made from dice and world time, so they are the same in both worlds. What differs by design
# is what names a world or an account: the world's own id, and the user who owns it.
STATE = (
    "SELECT id, name, kind, openness, conscientiousness, extraversion, agreeableness, neuroticism, energy, energy_at, "
    "status, deleted_at IS NULL FROM characters WHERE world_id = $1 ORDER BY id",
    "SELECT source_id, target_id, strength, trust, familiarity, resting_strength, resting_trust, felt_at, labels, "
    "interaction_count, last_interaction_at, reasons::text, habits::text FROM ties "
    "WHERE world_id = $1 ORDER BY source_id, target_id",
    "SELECT kind, due_at, data::text FROM timers WHERE world_id = $1 ORDER BY due_at, kind, id",
    "SELECT seq, type, at, about, data::text FROM events WHERE world_id = $1 ORDER BY seq",
)


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    folder = os.environ.get("FABLEWRIGHT_TEST_DATA")
    if folder is None:
        pytest.skip("intended: FABLEWRIGHT_TEST_DATA names no folder with lesmis-edges.csv")
    return read_network(Path(folder) / "lesmis-edges.csv")


async def live(
    server: Server,
    owner: Person,
    rows: Sequence[Row],
    seed: int,
    days: int = 1,
    beats: float = BEATS_PER_MINUTE,
) -> UUID:
    """A world of the network whose characters have acted by themselves for some days of world time.

    It is founded and stopped in one commit, so its time is exactly 0. The commands after that have keys, from
    which their ids and so their chance are made: the same in each world, since keys count within a world and the
    storyteller's name is always the same.
    """
    commands = [*network_commands("Paris", rows, seed), SetClock(paused=True)]
    made = await server.runtime.engine.execute(commands, owner.actor)
    world_id = UUID(str(made.result[0]["id"]))
    director = ConfigureDirector(enabled=True, beats_per_minute=beats, acts_per_beat=5)
    await server.do(director, owner.storyteller, world_id, key="director")
    await server.do(AdvanceWorld(to_ms=days * DAY), owner.storyteller, world_id, key="advance")
    await arrived(server, world_id)
    return world_id


async def arrived(server: Server, world_id: UUID) -> None:
    """Wait until the world stands still."""

    async def standing() -> bool:
        found = await server.fetch("SELECT advance_id IS NULL FROM worlds WHERE id = $1", world_id)
        return bool(found[0][0])

    await until(standing, 300)


async def state_hash(server: Server, world_id: UUID, *, names: Sequence[UUID] = ()) -> str:
    """A hash over characters, ties, timers and events, with the ids in `names` replaced by their places."""
    digest = hashlib.sha256()
    for sql in STATE:
        for row in await server.fetch(sql, world_id):
            line = orjson.dumps(
                [str(value) if isinstance(value, UUID) else value for value in row], default=str
            )
            for number, name in enumerate((world_id, *names)):
                line = line.replace(str(name).encode(), b"name %d" % number)
            digest.update(line + b"\n")
    return digest.hexdigest()


async def test_a_day_among_les_miserables(server: Server, rows: list[Row]) -> None:
    owner = await server.person()
    world_id = await live(server, owner, rows, SEED)
    count = (
        "SELECT (SELECT count(*) FROM characters WHERE world_id = $1) AS characters, "
        "(SELECT count(*) FROM events WHERE world_id = $1 AND type = 'dialogue.interacted') AS acts, "
        "(SELECT count(*) FROM dead_letters WHERE world_id = $1) AS dead"
    )
    found: Any = (await server.fetch(count, world_id))[0]
    assert found["characters"] == 77
    assert found["dead"] == 0
    assert found["acts"] > 300
    assert not [line for line in await server.findings() if str(world_id) in line]
    valjean = await server.fetch("SELECT name FROM characters WHERE id = $1", character_id("Valjean"))
    assert valjean and valjean[0]["name"] == "Valjean"


async def test_the_network_is_imported_whole(server: Server, rows: list[Row]) -> None:
    owner = await server.person()
    done = await import_network(server.runtime, owner.actor, "Paris", rows, seed=SEED)
    assert (done.characters, done.ties, 2 * len(rows)) == (77, 508, 508)
    ties = await server.fetch("SELECT count(*) FROM ties WHERE world_id = $1", done.world_id)
    assert ties[0][0] == 508


async def test_the_same_seed_and_commands_give_the_same_world(server: Server, rows: list[Row]) -> None:
    owner = await server.person()
    hashes = [
        await state_hash(server, await live(server, owner, rows, seed), names=[owner.id])
        for seed in (SEED, SEED, SEED + 1)
    ]
    assert hashes[0] == hashes[1]
    assert hashes[0] != hashes[2]


async def test_the_graph_of_les_miserables(server: Server, rows: list[Row]) -> None:
    """Valjean stands in the middle; the people fall into circles, as they do for others who looked at this network
    (Newman & Girvan 2004 find modularity 0.54 in it without weights)."""
    owner = await server.person()
    done = await import_network(server.runtime, owner.actor, "Paris", rows, seed=SEED)
    async with server.runtime.database.reading() as connection:
        found = await graph.load(connection, done.world_id, EVERYTHING)
    for measure in graph.MEASURES:
        first = graph.centrality(found, measure, 1)["characters"][0]
        assert first["name"] == "Valjean", measure
    parted = graph.communities(found)
    assert parted["modularity"] > 0.5
    assert sum(c["size"] for c in parted["communities"]) == 77
    circle = next(c for c in parted["communities"] if "Enjolras" in [m["name"] for m in c["members"]])
    assert {"Courfeyrac", "Combeferre", "Gavroche"} <= {m["name"] for m in circle["members"]}
    path = graph.path_of_trust(found, character_id("Napoleon"), character_id("Gavroche"))
    assert path["steps"][0]["target_name"] == "Myriel" and path["trust"] == 0.5 ** len(path["steps"])


def ranks(values: Sequence[float]) -> list[float]:
    """The rank of each value, the mean of their ranks for equal ones."""
    order = sorted(range(len(values)), key=values.__getitem__)
    found = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end + 1 < len(order) and values[order[end + 1]] == values[order[start]]:
            end += 1
        for place in order[start : end + 1]:
            found[place] = (start + end) / 2
        start = end + 1
    return found


async def test_what_was_strong_stays_among_the_stronger_for_a_month(
    server: Server, rows: list[Row], record_testsuite_property: Callable[[str, object], None]
) -> None:
    """Spearman's rank correlation of the strengths at import and after a month of world time."""
    owner = await server.person()
    world_id = await live(server, owner, rows, SEED, days=30, beats=0.015)
    imported = {
        (tie.source_id, tie.target_id): tie.strength
        for command in network_commands("Paris", rows, SEED) if isinstance(command, SetTies)
        for tie in command.ties
    }  # fmt: skip
    found = {
        (row["source_id"], row["target_id"]): row["strength"]
        for row in await server.fetch(
            "SELECT source_id, target_id, strength FROM ties WHERE world_id = $1", world_id
        )
    }
    acts = await server.fetch(
        "SELECT count(*) AS n FROM events WHERE world_id = $1 AND type = 'dialogue.interacted'", world_id
    )
    assert acts[0]["n"] > 1_500
    assert len(found) > len(imported) == 508
    correlation = statistics.correlation(
        ranks(list(imported.values())), ranks([found[pair] for pair in imported])
    )
    record_testsuite_property("les_miserables_rank_correlation", round(correlation, 3))
    print(f"rank correlation {correlation:.3f} after {acts[0]['n']} interactions")
    assert correlation > 0.5
    assert [line for line in await server.findings() if str(world_id) in line] == []
