"""Fifty seeded random years of diplomacy, after each of which the invariants hold. See `tests/soak/diplomacy.py`."""

from collections import Counter

import pytest

from fablewright.core.actors import Actor
from fablewright.integration.doctor import examine
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


async def test_fifty_random_years(bench: Bench) -> None:
    person = await bench.person()
    worker = AdvanceWorker(bench.engine)
    given: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    undeclared: set[str] = set()
    worlds = set()
    for seed in range(WORLDS):
        years = Years(bench.runtime, Actor("user:years", person.user_id), seed, worker)
        await years.found()
        for _ in range(YEARS):
            assert await years.year() == []
        undeclared |= years.undeclared
        worlds.add(years.world_id)
        given += years.deeds.given
        refused += years.deeds.refused
    assert [f for f in await examine(bench.runtime) if f.world_id in worlds] == []
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
