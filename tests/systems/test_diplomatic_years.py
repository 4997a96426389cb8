"""Fifty seeded random years of diplomacy, after each of which the invariants hold. See `tests/soak/diplomacy.py`."""

from collections import Counter

import pytest

from fablewright.core.actors import Actor
from fablewright.integration.doctor import examine
from fablewright.systems.worlds.advance import AdvanceWorker
from tests.soak.diplomacy import Years
from tests.systems.conftest import Bench

pytestmark = pytest.mark.uncounted

WORLDS = 10
YEARS = 5


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
    done = given.total() - refused.total()
    assert done > given.total() / 3, refused
    assert {"diplomacy.declare_war", "diplomacy.sign_treaty", "diplomacy.make_peace"} <= given.keys()
