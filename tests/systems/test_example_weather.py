"""A system from another package: found by its entry point, with routes, timers and tables of its own."""

import uuid
from pathlib import Path
from typing import Any

import asyncpg
import fablewright_weather
import pytest
from fablewright_weather import rules
from fablewright_weather.commands import SetSky

from fablewright.app import installed_systems, migration_folders
from fablewright.core.clock import HOUR
from fablewright.core.database import migrate
from fablewright.core.dice import Dice
from fablewright.core.refusal import Refused
from fablewright.settings import Settings
from fablewright.systems.worlds.commands import AdvanceWorld
from tests.support import Server, until

WEATHER_FOLDER = str(fablewright_weather.system.migrations)

LATER_REVISION = '''
"""What a later version of the server might bring."""
import sqlalchemy as sa
from alembic import op

revision = "later_0004"
down_revision = "0004"
branch_labels = None
depends_on = None

def upgrade():
    op.create_table("later", sa.Column("id", sa.Integer(), primary_key=True))
'''


def test_the_system_is_found_by_its_entry_point() -> None:
    systems = installed_systems()
    assert fablewright_weather.system in systems
    assert WEATHER_FOLDER in migration_folders(systems)


@pytest.mark.parametrize("sky", rules.NEXT)
def test_every_sky_is_followed_by_one_that_may_follow(sky: rules.Sky) -> None:
    seen = {rules.next_sky(sky, Dice("sky", sky, n)) for n in range(200)}
    assert seen == set(rules.NEXT[sky])
    assert rules.SHORTEST_MS <= rules.lasts_ms(Dice("lasts", sky)) <= rules.LONGEST_MS


async def test_a_game_master_sets_the_sky_and_members_see_it(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    player = await server.member(world_id, owner, "player")
    path = f"/api/v1/worlds/{world_id}/weather"

    missing = await server.client.get(path, headers=player.headers)
    assert (missing.status_code, missing.json()["code"]) == (404, "no_weather")
    refused = await server.client.put(path, json={"sky": "rain"}, headers=player.headers)
    assert (refused.status_code, refused.json()["code"]) == (403, "role_too_low")

    answer = await server.client.put(path, json={"sky": "rain", "hours": 2}, headers=owner.headers)
    assert answer.status_code == 200, answer.text
    assert answer.json()["result"] == {"sky": "rain", "until_ms": 2 * HOUR}
    seen = await server.client.get(path, headers=player.headers)
    assert seen.json() == {"sky": "rain", "until_ms": 2 * HOUR}
    events = await server.client.get(
        f"/api/v1/worlds/{world_id}/events", params={"types": "weather.*"}, headers=player.headers
    )
    assert [e["data"] for e in events.json()["events"]] == [
        {"before": None, "sky": "rain", "until_ms": 2 * HOUR}
    ]


async def test_the_sky_turns_by_itself_and_the_same_in_a_world_with_the_same_seed(server: Server) -> None:
    told = []
    for _ in range(2):
        owner = await server.person()
        world_id = await server.world(owner, seed=11)
        await server.do(SetSky(sky="storm", hours=1), owner.actor, world_id)
        await server.do(AdvanceWorld(by_ms=48 * HOUR), owner.actor, world_id)

        async def arrived(world_id: uuid.UUID = world_id) -> bool:
            rows = await server.fetch("SELECT advance_id FROM worlds WHERE id = $1", world_id)
            return rows[0]["advance_id"] is None

        await until(arrived)
        rows = await server.fetch(
            "SELECT at, data ->> 'sky' AS sky FROM events WHERE world_id = $1 AND type = 'weather.sky_changed' "
            "ORDER BY seq",
            world_id,
        )
        told.append([(row["at"], row["sky"]) for row in rows])
    assert [sky for _, sky in told[0]][:2] == ["storm", "rain"]
    assert told[0][1][0] == HOUR
    assert len(told[0]) > 5
    waiting = await server.fetch("SELECT count(*) FROM timers WHERE world_id = $1", world_id)
    assert waiting[0]["count"] == 1
    assert [finding for finding in await server.findings() if str(world_id) in finding] == []


async def test_a_sky_that_nobody_knows_is_refused(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    body = {"type": "weather.set_sky", "payload": {"sky": "green"}}
    answer = await server.client.post(f"/api/v1/worlds/{world_id}/commands", json=body, headers=owner.headers)
    assert answer.json()["code"] == "validation_failed"
    with pytest.raises(Refused, match="world_not_found"):
        await server.do(SetSky(sky="clear"), owner.actor, uuid.uuid4())


# The schema's history, with a branch of another package.


async def fresh_database(cluster: str) -> str:
    """URL of a new, empty database."""
    name = f"weather_{uuid.uuid4().hex[:12]}"
    connection = await asyncpg.connect(cluster.replace("+asyncpg", ""))
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
    return cluster.replace("/fablewright?", f"/{name}?")


async def look(url: str) -> tuple[set[str], set[str]]:
    """The tables of interest that exist, and the revisions noted."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        tables: list[Any] = await connection.fetch(
            "SELECT tablename FROM pg_tables WHERE tablename IN ('worlds', 'weather', 'later')"
        )
        revisions: list[Any] = await connection.fetch("SELECT version_num FROM alembic_version")
        return {row[0] for row in tables}, {row[0] for row in revisions}
    finally:
        await connection.close()


async def test_the_whole_history_runs_from_empty_and_again(cluster: str, settings: Settings) -> None:
    url = await fresh_database(cluster)
    for _ in range(2):
        await migrate(url, settings.database_role, extra=[WEATHER_FOLDER])
        assert (await look(url))[0] == {"worlds", "weather"}


async def test_the_package_may_come_later_and_the_server_grow_afterwards(
    cluster: str, settings: Settings, tmp_path: Path
) -> None:
    url = await fresh_database(cluster)
    await migrate(url, settings.database_role)
    assert (await look(url))[0] == {"worlds"}
    await migrate(url, settings.database_role, extra=[WEATHER_FOLDER])
    assert (await look(url))[0] == {"worlds", "weather"}
    (tmp_path / "later_0004.py").write_text(LATER_REVISION)
    for _ in range(2):
        await migrate(url, settings.database_role, extra=[WEATHER_FOLDER, str(tmp_path)])
        tables, revisions = await look(url)
        assert tables == {"worlds", "weather", "later"}
        assert revisions == {"weather_0001", "later_0004"}
