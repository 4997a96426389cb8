"""The demo world: a village of an evening, with its grudges and its hopes, that lives by itself."""

from importlib import resources
from typing import Any
from uuid import UUID

import orjson

from fablewright.core.actors import Actor
from fablewright.core.dice import derived_uuid
from fablewright.core.messages import Command
from fablewright.core.refusal import Refused
from fablewright.gateway.runtime import Runtime
from fablewright.systems.characters.commands import CreateCharacter, Personality
from fablewright.systems.director.commands import ConfigureDirector
from fablewright.systems.relationships.commands import SetTies, TieValue
from fablewright.systems.worlds.commands import CreateWorld


def demo_world_id(owner: Actor) -> UUID:
    """The id of the demo world of an owner: always the same, so that there is never a second one."""
    return derived_uuid("demo", owner.user_id)


def content() -> dict[str, Any]:
    """What `data/demo.json` holds: `world`, `director`, `characters` by key, and `ties` between keys."""
    found: dict[str, Any] = orjson.loads(resources.files(__package__).joinpath("data/demo.json").read_bytes())
    return found


def demo_commands(world_id: UUID) -> list[Command]:
    """The commands that make the demo world."""
    data = content()
    ids = {key: derived_uuid("demo", "character", key) for key in data["characters"]}
    characters = [
        CreateCharacter(
            id=ids[key],
            name=c["name"],
            description=c["description"],
            personality=Personality(**c["personality"]),
        )
        for key, c in data["characters"].items()
    ]
    ties = [
        TieValue(source_id=ids[source], target_id=ids[target], strength=strength, trust=trust)
        for source, target, strength, trust in data["ties"]
    ]
    world = CreateWorld(id=world_id, **data["world"])
    return [world, *characters, SetTies(ties=ties), ConfigureDirector(enabled=True, **data["director"])]


async def ensure_demo(runtime: Runtime, owner: Actor) -> UUID:
    """Make the demo world of `owner` unless it is there already; returns its id.

    Its id belongs to the owner, so two that ask at once make one world: the other's is refused as taken.
    """
    world_id = demo_world_id(owner)
    async with runtime.database.reading() as connection:
        if await connection.fetchval("SELECT true FROM worlds WHERE id = $1", world_id):
            return world_id
    try:
        await runtime.engine.execute(demo_commands(world_id), owner)
    except Refused as refused:
        if refused.code != "world_id_taken":
            raise
    return world_id
