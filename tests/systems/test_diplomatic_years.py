"""Fifty seeded random years of diplomacy, after each of which the invariants hold. See `tests/soak/diplomacy.py`."""

from collections import Counter
from pathlib import Path
from uuid import UUID

import pytest

from fablewright.core.actors import Actor
from fablewright.integration.doctor import examine
from fablewright.packs.reader import import_pack, read_pack
from fablewright.packs.writer import export_world
from fablewright.systems.worlds.advance import AdvanceWorker
from tests.conftest import POSTGRES_VERSION
from tests.soak.diplomacy import Years
from tests.systems.conftest import Bench

pytestmark = pytest.mark.uncounted

NEWEST = POSTGRES_VERSION == 18
WORLDS = 10 if NEWEST else 2
"""On the oldest PostgreSQL ten years, to ask it what diplomacy asks."""
YEARS = 5
RARE = {"diplomacy.form_coalition"}
"""Commands that may be refused each time that they are tried in these years: so much fear comes seldom by chance."""
HAPPENS = {
    "diplomacy.war_declared": 10, "diplomacy.battle_fought": 10, "diplomacy.peace_made": 5,
    "diplomacy.treaty_signed": 20, "diplomacy.treaty_in_force": 10, "diplomacy.treaty_violated": 5,
    "diplomacy.incident_resolved": 10, "diplomacy.sanction_imposed": 5, "quests.defined": 10,
}  # fmt: skip
"""What comes about at least so often: invariants of what never happens would hold for nothing."""


HANDED_ON = 5
"""Each so many-th world is exported and imported at its end."""


async def handed_on(bench: Bench, actor: Actor, world_id: UUID, folder: Path) -> UUID:
    """A world made of the export of another; its own export has the same bytes."""
    texts = []
    for name in ("one", "two"):
        await export_world(bench.runtime, world_id, folder / name)
        texts.append({path.name: path.read_text() for path in (folder / name).glob("*.yaml")})
        if name == "one":
            pack = read_pack(folder / name, bench.runtime.systems)
            world_id = (await import_pack(bench.runtime, actor, pack)).world_id
    assert texts[0] == texts[1]
    assert {"incidents.yaml", "treaties.yaml", "relations.yaml"} <= texts[0].keys()
    return world_id


async def test_fifty_random_years(bench: Bench, tmp_path: Path) -> None:
    person = await bench.person()
    worker = AdvanceWorker(bench.engine)
    given: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    undeclared: set[str] = set()
    worlds, copies = set(), set()
    for seed in range(WORLDS):
        years = Years(bench.runtime, Actor("user:years", person.user_id), seed, worker)
        await years.found()
        for _ in range(YEARS):
            assert await years.year() == []
        undeclared |= years.undeclared
        worlds.add(years.world_id)
        if seed % HANDED_ON == 0:
            (tmp_path / str(seed)).mkdir()
            copies.add(await handed_on(bench, years.actor, years.world_id, tmp_path / str(seed)))
        given += years.deeds.given
        refused += years.deeds.refused
    assert [f for f in await examine(bench.runtime) if f.world_id in worlds | copies] == []
    assert undeclared == set()
    if not NEWEST:  # too few years for all that shall come about
        return
    done = given.total() - refused.total()
    assert done > given.total() / 3, refused
    rows = await bench.fetch(
        "SELECT type, count(*) AS n FROM events WHERE world_id = ANY($1::uuid[]) AND type = ANY($2) GROUP BY type",
        list(worlds), list(HAPPENS),
    )  # fmt: skip
    told = {row["type"]: row["n"] for row in rows}
    assert {kind: told.get(kind, 0) for kind, least in HAPPENS.items() if told.get(kind, 0) < least} == {}
    for refusal, times in refused.items():
        given[refusal.split()[0]] -= times
    assert {kind for kind, times in given.items() if not times} <= RARE
