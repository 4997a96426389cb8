"""Ties against the real database."""

import asyncio
import uuid
from typing import Any
from uuid import UUID

import pytest

from fablewright.core.refusal import Refused
from fablewright.systems.characters.commands import CreateCharacter, DeleteCharacter
from fablewright.systems.relationships.commands import SetTie, SetTies, TieValue
from tests.support import Person, Server


async def people(server: Server, owner: Person, world_id: UUID, count: int) -> list[UUID]:
    commands = [CreateCharacter(name=f"C{n:04}") for n in range(count)]
    return [c.id for c in (await server.runtime.engine.execute(commands, owner.actor, world_id)).result]


async def strengths(server: Server, world_id: UUID) -> dict[tuple[UUID, UUID], float]:
    rows = await server.fetch("SELECT source_id, target_id, strength FROM ties WHERE world_id = $1", world_id)
    return {(row["source_id"], row["target_id"]): row["strength"] for row in rows}


async def test_a_tie_is_directed_and_set_again(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    a, b = await people(server, owner, world_id, 2)
    await server.do(SetTie(source_id=a, target_id=b, strength=0.5), owner.actor, world_id)
    await server.do(SetTie(source_id=a, target_id=b, strength=-1, trust=0), owner.actor, world_id)
    assert await strengths(server, world_id) == {(a, b): -1.0}


async def test_refusals_leave_neighbours_alone(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    a, b = await people(server, owner, world_id, 2)
    commands = [
        SetTie(source_id=a, target_id=a, strength=0.1),
        SetTie(source_id=a, target_id=b, strength=0.2),
        SetTie(source_id=a, target_id=uuid.uuid4(), strength=0.3),
        SetTie(source_id=b, target_id=a, strength=0.4),
    ]
    results: list[Any] = await asyncio.gather(
        *(server.do(c, owner.actor, world_id) for c in commands), return_exceptions=True
    )
    codes = [r.code if isinstance(r, Refused) else r.strength for r in results]
    assert codes == ["same_character", 0.2, "character_not_found", 0.4]
    assert await strengths(server, world_id) == {(a, b): 0.2, (b, a): 0.4}


async def test_many_ties_are_set_as_a_whole(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    a, b = await people(server, owner, world_id, 2)
    good = TieValue(source_id=a, target_id=b, strength=0.5)
    bad = TieValue(source_id=a, target_id=uuid.uuid4(), strength=0.5)
    with pytest.raises(Refused, match="character_not_found"):
        await server.do(SetTies(ties=[good, bad]), owner.actor, world_id)
    assert await strengths(server, world_id) == {}
    assert await server.do(SetTies(ties=[good, good]), owner.actor, world_id) == {"ties": 2}
    assert await strengths(server, world_id) == {(a, b): 0.5}


async def test_only_game_masters_set_ties(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    player = await server.member(world_id, owner, "player")
    a, b = await people(server, owner, world_id, 2)
    with pytest.raises(Refused, match="role_too_low"):
        await server.do(SetTie(source_id=a, target_id=b, strength=0.5), player.actor, world_id)


async def test_a_deleted_character_is_forgotten(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    a, b, c = await people(server, owner, world_id, 3)
    ties = [TieValue(source_id=s, target_id=t, strength=0.5) for s, t in ((a, b), (b, a), (b, c))]
    await server.do(SetTies(ties=ties), owner.actor, world_id)
    await server.do(DeleteCharacter(character_id=a), owner.actor, world_id)
    assert list(await strengths(server, world_id)) == [(b, c)]
