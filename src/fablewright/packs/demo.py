"""The demo world: a village with its grudges and its hopes, and the powers around it, that live by themselves.

Its pack is in `data/lanternwick`.
"""

from collections.abc import Sequence
from importlib import resources
from typing import Final
from uuid import UUID

from fablewright.core.actors import Actor
from fablewright.core.dice import derived_uuid
from fablewright.core.messages import Command
from fablewright.core.refusal import Refused
from fablewright.core.system import System
from fablewright.gateway.runtime import Runtime
from fablewright.packs.reader import Pack, founding, import_pack, read_pack
from fablewright.systems import (
    achievements,
    characters,
    dialogue,
    diplomacy,
    director,
    factions,
    leaderboards,
    ledger,
    markets,
    memory,
    points,
    quests,
    regions,
    relationships,
    worlds,
)

DEMO: Final = "lanternwick"
SYSTEMS: Final[tuple[System, ...]] = (
    worlds.system, ledger.system, regions.system, characters.system, relationships.system, memory.system,
    factions.system, points.system, markets.system, dialogue.system, diplomacy.system, quests.system,
    achievements.system, leaderboards.system, director.system,
)  # fmt: skip
"""The systems to which its content belongs."""


def demo_world_id(owner: Actor) -> UUID:
    """The id of the demo world of an owner: always the same, so that there is never a second one."""
    return derived_uuid("demo", owner.user_id)


def demo_pack(systems: Sequence[System] = SYSTEMS) -> Pack:
    """The pack of the demo world, read and checked."""
    with resources.as_file(resources.files(__package__).joinpath("data", DEMO)) as folder:
        return read_pack(folder, systems)


def demo_commands(world_id: UUID) -> list[Command]:
    """The commands that make the demo world under an id."""
    return founding(demo_pack(), world_id=world_id)


async def ensure_demo(runtime: Runtime, owner: Actor) -> UUID:
    """Make the demo world of `owner` unless it is there already; returns its id.

    Its id belongs to the owner, so two that ask at once make one world: the other's is refused as taken.
    """
    world_id = demo_world_id(owner)
    async with runtime.database.reading() as connection:
        if await connection.fetchval("SELECT true FROM worlds WHERE id = $1", world_id):
            return world_id
    try:
        await import_pack(runtime, owner, demo_pack(runtime.systems), world_id=world_id)
    except Refused as refused:
        if refused.code != "world_id_taken":
            raise
    return world_id
