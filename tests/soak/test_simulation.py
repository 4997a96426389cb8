"""Random commands under random faults, from seeds. See `simulation.py`.

`FABLEWRIGHT_SOAK_SEEDS` says how many seeds to try, `FABLEWRIGHT_SOAK_STEPS` how many commands each gives, and
`FABLEWRIGHT_SOAK_FIRST` with which seed to begin.
"""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fablewright.app import installed_systems, migration_folders, open_runtime
from fablewright.core.database import migrate
from fablewright.gateway.runtime import Runtime
from tests.conftest import make_settings
from tests.faults.processes import own_cluster
from tests.soak.simulation import Simulation

pytestmark = pytest.mark.soak

SEEDS = int(os.environ.get("FABLEWRIGHT_SOAK_SEEDS", "3"))
STEPS = int(os.environ.get("FABLEWRIGHT_SOAK_STEPS", "3000"))
FIRST = int(os.environ.get("FABLEWRIGHT_SOAK_FIRST", "1"))


@pytest.fixture(scope="module")
async def nodes(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Runtime, Runtime, str]]:
    """Two nodes on a cluster of their own, both of which fire timers and advance worlds."""
    folder: Path = tmp_path_factory.mktemp("soak")
    settings = make_settings(folder, poll_seconds=0.1, write_connections=8, read_connections=4)
    with own_cluster(folder) as url:
        await migrate(url, settings.database_role, extra=migration_folders(installed_systems()))
        async with open_runtime(settings, url) as first, open_runtime(settings, url) as second:
            yield first, second, url


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
async def test_what_was_acknowledged_is_what_the_log_holds(
    nodes: tuple[Runtime, Runtime, str], seed: int
) -> None:
    first, second, url = nodes
    simulation = Simulation([first, second], url, seed)
    await simulation.run(STEPS)
    print(
        f"seed {seed}: {len(simulation.acknowledged)} acknowledged, {len(simulation.refused)} refused, "
        f"{simulation.replays} replays, {simulation.killed} connections ended, {dict(simulation.retried)}"
    )
    assert simulation.killed and simulation.replays and simulation.retried
