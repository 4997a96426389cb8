"""The land of the demo world: its powers, what they have signed, and that they move by themselves."""

import pytest

from fablewright.core.clock import DAY
from fablewright.packs.demo import demo_pack
from fablewright.packs.reader import import_pack
from fablewright.systems.director.commands import ConfigureDirector
from fablewright.systems.worlds.commands import AdvanceWorld, SetClock
from tests.support import Server, until

pytestmark = pytest.mark.uncounted


async def test_its_powers_move_while_one_watches(server: Server) -> None:
    owner = await server.person()
    made = await import_pack(server.runtime, owner.actor, demo_pack(server.runtime.systems), seed=3)
    world_id = made.world_id
    await server.do(SetClock(paused=True), owner.actor, world_id)

    held = await server.fetch(
        "SELECT f.name, count(r.id) AS regions FROM factions f LEFT JOIN regions r ON r.world_id = f.world_id "
        "AND r.controller_id = f.id WHERE f.world_id = $1 GROUP BY 1", world_id,
    )  # fmt: skip
    assert len(held) >= 5
    assert all(row["regions"] for row in held), held
    treaties = await server.fetch(
        "SELECT kind, state, secret FROM treaties WHERE world_id = $1 AND agreed_at IS NOT NULL", world_id
    )
    assert ("tribute", "in_force", False) in [tuple(row) for row in treaties]
    assert any(row["secret"] for row in treaties)
    assert {"expired", "terminated"} <= {row["state"] for row in treaties}

    async def arrived() -> bool:
        rows = await server.fetch("SELECT advance_id FROM worlds WHERE id = $1", world_id)
        return rows[0]["advance_id"] is None

    async def advance(days: int, quiet: ConfigureDirector) -> None:
        await server.do(quiet, owner.actor, world_id)
        await server.do(AdvanceWorld(by_ms=days * DAY), owner.actor, world_id)
        await until(arrived, 240)

    await advance(10, ConfigureDirector(enabled=False))
    tolls = await server.fetch(
        "SELECT 1 FROM ledger_transfers t JOIN factions f ON f.world_id = t.world_id AND f.id = t.debit "
        "JOIN factions g ON g.world_id = t.world_id AND g.id = t.credit WHERE t.world_id = $1 AND t.amount = 25 "
        "AND f.name = 'Lamp Council' AND g.name = 'Crown of Harrow'", world_id,
    )  # fmt: skip
    assert len(tolls) == 1, "the toll for a bridge that fell down"
    await advance(11, ConfigureDirector(enabled=True, beats_per_minute=0.01, acts_per_beat=1, council_days=1))
    rows = await server.fetch(
        "SELECT type, count(*) AS many FROM events WHERE world_id = $1 GROUP BY 1", world_id
    )
    many = {row["type"]: row["many"] for row in rows}
    assert many["director.faction_decided"] > 10
    assert many["markets.traded"] == 21
    assert many["diplomacy.incident_occurred"] + many["diplomacy.negotiation_started"] > 3
    told = await server.fetch(
        "SELECT e.type FROM events e JOIN treaties t ON t.world_id = e.world_id AND t.secret "
        "WHERE e.world_id = $1 AND e.audience IS NULL "
        "AND (strpos(e.data::text, t.id::text) > 0 OR strpos(e.data::text, t.name) > 0)", world_id,
    )  # fmt: skip
    assert [row["type"] for row in told] == [], "what is secret stays secret"
    assert await server.fetch("SELECT handler, error FROM dead_letters WHERE world_id = $1", world_id) == []
    assert [finding for finding in await server.findings() if str(world_id) in finding] == []
