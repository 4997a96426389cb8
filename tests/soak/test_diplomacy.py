"""A thousand random years of diplomacy, from seeds. See `diplomacy.py`.

`FABLEWRIGHT_SOAK_YEARS` says how many, `FABLEWRIGHT_SOAK_FIRST` with which seed to begin; each world lives five years.
"""

import os
from collections import Counter
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest

from fablewright.app import installed_systems, migration_folders, open_runtime
from fablewright.core.actors import Actor
from fablewright.core.database import migrate
from fablewright.integration.doctor import examine
from fablewright.systems.worlds.advance import AdvanceWorker
from tests.conftest import make_settings
from tests.faults.processes import own_cluster
from tests.soak.diplomacy import Years

pytestmark = pytest.mark.soak

YEARS = int(os.environ.get("FABLEWRIGHT_SOAK_YEARS", "1000"))
FIRST = int(os.environ.get("FABLEWRIGHT_SOAK_FIRST", "1"))
OF_A_WORLD = 5
EXAMINED_EVERY = 20
"""Worlds after which all checks look at everything."""
ADD_USER = "INSERT INTO users (id, login, display_name, password_hash) VALUES ($1, $2, 'Somebody', 'x')"
WARS = "SELECT count(*) FROM events WHERE world_id = $1 AND type = 'diplomacy.war_declared'"


async def _sql(url: str, sql: str, *arguments: object) -> None:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    await connection.execute(sql, *arguments)
    await connection.close()


async def test_a_thousand_years(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, write_connections=4, read_connections=4)
    given: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    undeclared: set[str] = set()
    wars = 0
    with own_cluster(tmp_path) as url:
        await migrate(url, settings.database_role, extra=migration_folders(installed_systems()))
        async with open_runtime(settings, url, work=False) as runtime:
            person: UUID = uuid4()
            await _sql(url, ADD_USER, person, f"soak-{person}")
            worker = AdvanceWorker(runtime.engine)
            for number in range(-(-YEARS // OF_A_WORLD)):
                years = Years(runtime, Actor("user:years", person), FIRST + number, worker)
                await years.found()
                for _ in range(OF_A_WORLD):
                    assert await years.year() == []
                given += years.deeds.given
                refused += years.deeds.refused
                undeclared |= years.undeclared
                async with runtime.database.reading() as reader:
                    wars += await reader.fetchval(WARS, years.world_id)
                if number % EXAMINED_EVERY == EXAMINED_EVERY - 1:
                    assert await examine(runtime) == [], f"by seed {FIRST + number}"
            assert await examine(runtime) == []
    print(f"{YEARS} years: {given.total()} commands, {refused.total()} refused, {wars} wars; {dict(given)}")
    assert undeclared == set()
