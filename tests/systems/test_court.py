"""Factions that hold council, against the real database: years of a small land by advancing its clock."""

from typing import Any
from uuid import UUID

from fablewright.core.clock import DAY
from fablewright.core.dice import derived_uuid
from fablewright.systems.characters.commands import CreateCharacter, Personality
from fablewright.systems.director.commands import ConfigureDirector
from fablewright.systems.factions.commands import FoundFaction, TraitsValue
from fablewright.systems.regions.commands import BorderValue, DefineRegions, RegionValue, SetControl
from fablewright.systems.worlds.commands import AdvanceWorld
from tests.support import Person, Server, until

# Aggressive, honourable, mercantile, isolationist; troops; treasury.
REALMS: dict[str, tuple[float, float, float, float, int, int]] = {
    "Ashmark": (0.9, 0.3, 0.3, 0.4, 900, 4000),
    "Birchholm": (0.3, 0.8, 0.6, 0.4, 700, 5000),
    "Cedarfell": (0.6, 0.5, 0.5, 0.6, 800, 3000),
    "Dunmere": (0.2, 0.7, 0.9, 0.2, 500, 9000),
    "Elmgard": (0.7, 0.6, 0.2, 0.5, 850, 2500),
    "Fenwick": (0.4, 0.4, 0.5, 0.8, 600, 3500),
}
NAMES = list(REALMS)


def of(name: str, what: str = "faction") -> UUID:
    """The id of a faction, or of its leader or region."""
    return derived_uuid("court", what, name)


async def land(server: Server, owner: Person, *, self_run: bool = True, **world: Any) -> UUID:
    """Six factions in a ring, each with a leader and two regions, the second of which lies in the middle."""
    world_id = await server.world(owner, **world)
    leaders = [
        CreateCharacter(
            id=of(name, "leader"), name=f"The lord of {name}", status="away",
            personality=Personality(agreeableness=round(0.9 - 0.7 * values[0], 2), conscientiousness=values[1]),
        )
        for name, values in REALMS.items()
    ]  # fmt: skip
    await server.runtime.engine.execute(leaders, owner.storyteller, world_id, key="leaders")
    await server.runtime.engine.execute(
        [
            FoundFaction(
                id=of(name), name=name, leader_id=of(name, "leader"), self_run=self_run, strength=troops,
                treasury=treasury, traits=TraitsValue(aggressive=a, honourable=h, mercantile=m, isolationist=i),
            )
            for name, (a, h, m, i, troops, treasury) in REALMS.items()
        ],
        owner.storyteller, world_id, key="factions",
    )  # fmt: skip
    await _regions(server, owner, world_id)
    return world_id


async def _regions(server: Server, owner: Person, world_id: UUID) -> None:
    regions = [
        RegionValue(id=of(name, what), name=f"{name} {what}", terrain="plain", population=20_000, resources={"grain": 20})
        for name in NAMES for what in ("vale", "march")
    ]  # fmt: skip
    pairs = [(of(n, "vale"), of(n, "march")) for n in NAMES]
    for here, there in zip(NAMES, NAMES[1:] + NAMES[:1], strict=True):
        pairs += [(of(here, "vale"), of(there, "vale")), (of(here, "march"), of(there, "march"))]
    borders = [BorderValue(a_id=a, b_id=b, minutes=600) for a, b in pairs]
    await server.do(DefineRegions(regions=regions, borders=borders), owner.actor, world_id)
    for name in NAMES:
        for what in ("vale", "march"):
            await server.do(SetControl(region_id=of(name, what), controller_id=of(name)), owner.actor, world_id)


async def council(server: Server, owner: Person, world_id: UUID, days: float | None = 30) -> None:
    """Let the councils begin; the first meets after a day."""
    command = ConfigureDirector(enabled=True, beats_per_minute=0.01, council_days=days)
    await server.runtime.engine.execute(command, owner.storyteller, world_id, key=f"on {days}")


async def advance(server: Server, owner: Person, world_id: UUID, by_ms: int) -> None:
    """Fast-forward, and wait until that is done."""
    await server.do(AdvanceWorld(by_ms=by_ms), owner.actor, world_id)

    async def arrived() -> bool:
        rows = await server.fetch("SELECT advance_id FROM worlds WHERE id = $1", world_id)
        return rows[0]["advance_id"] is None

    await until(arrived, 300)


async def counts(server: Server, world_id: UUID) -> dict[str, int]:
    """How many events of each type there are."""
    rows = await server.fetch(
        "SELECT type, count(*) AS n FROM events WHERE world_id = $1 GROUP BY type ORDER BY type", world_id
    )
    return {row["type"]: row["n"] for row in rows}


async def test_a_year(server: Server) -> None:
    owner = await server.person()
    world_id = await land(server, owner)
    await council(server, owner, world_id)
    await advance(server, owner, world_id, 360 * DAY)
    found = await counts(server, world_id)
    assert found["director.faction_decided"] > 20
    letters = await server.fetch("SELECT handler, error FROM dead_letters WHERE world_id = $1", world_id)
    assert [tuple(letter) for letter in letters] == []
