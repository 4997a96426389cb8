"""Characters against the real database."""

import asyncio
import uuid
from typing import Any
from uuid import UUID

import pytest

from fablewright.core.messages import Command
from fablewright.core.refusal import Refused
from fablewright.systems.characters.commands import (
    CreateCharacter,
    DeleteCharacter,
    Personality,
    UpdateCharacter,
)
from fablewright.systems.worlds.commands import LeaveWorld, RemoveMember
from tests.support import Person, Server


async def refused(server: Server, code: str, command: Command, person: Person, world_id: UUID) -> Refused:
    with pytest.raises(Refused) as error:
        await server.do(command, person.actor, world_id)
    assert error.value.code == code
    return error.value


async def types(server: Server, world_id: UUID) -> list[str]:
    rows = await server.fetch("SELECT type FROM events WHERE world_id = $1 ORDER BY seq", world_id)
    return [row["type"] for row in rows]


async def test_a_thousand_characters_in_one_commit(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    commands = [
        CreateCharacter(name=f"C{n}", personality=Personality(openness=n / 1000)) for n in range(1000)
    ]
    results = (await server.runtime.engine.execute(commands, owner.actor, world_id)).result
    assert [r.name for r in results] == [c.name for c in commands]
    rows = await server.fetch("SELECT name, openness FROM characters WHERE world_id = $1", world_id)
    assert {row["name"]: row["openness"] for row in rows} == {
        c.name: c.personality.openness for c in commands
    }
    assert len({r.id for r in results}) == 1000
    assert (await types(server, world_id)).count("characters.character_created") == 1000


async def test_a_refusal_in_a_list_refuses_the_list(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    same = uuid.uuid4()
    with pytest.raises(Refused) as error:
        await server.runtime.engine.execute(
            [CreateCharacter(id=same, name="A"), CreateCharacter(id=same, name="B")], owner.actor, world_id
        )
    assert (error.value.code, error.value.facts["index"]) == ("character_exists", 1)
    assert await server.fetch("SELECT 1 FROM characters WHERE world_id = $1", world_id) == []


async def test_neighbours_of_a_refused_one_are_made(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    player = await server.member(world_id, owner, "player")
    same = uuid.uuid4()
    asked = [
        server.do(CreateCharacter(id=same, name="first"), owner.actor, world_id),
        server.do(CreateCharacter(id=same, name="second"), owner.actor, world_id),
        server.do(CreateCharacter(name="npc by player"), player.actor, world_id),
        server.do(CreateCharacter(name="hero", kind="player"), player.actor, world_id),
        server.do(CreateCharacter(name="ghost", user_id=uuid.uuid4()), owner.actor, world_id),
    ]
    results: list[Any] = await asyncio.gather(*asked, return_exceptions=True)
    codes = [r.code if isinstance(r, Refused) else r.name for r in results]
    assert codes == ["first", "character_exists", "character_needs_game_master", "hero", "user_not_member"]
    assert results[3].user_id == player.id


async def test_updates_tell_what_changed(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    player = await server.member(world_id, owner, "player")
    made = await server.do(CreateCharacter(name="Ada", energy=0.5), owner.actor, world_id)
    view = await server.do(
        UpdateCharacter(character_id=made.id, name="Ada II", user_id=player.id, status="asleep"),
        owner.actor,
        world_id,
    )
    assert (view.name, view.user_id, view.status, view.energy) == ("Ada II", player.id, "asleep", 0.5)
    rows = await server.fetch(
        "SELECT type, data::text AS data FROM events WHERE world_id = $1 ORDER BY seq DESC LIMIT 2", world_id
    )
    assert [row["type"] for row in rows] == ["characters.control_changed", "characters.character_updated"]
    assert '"changed": ["name", "status"]' in rows[1]["data"]
    before = await types(server, world_id)
    await server.do(UpdateCharacter(character_id=made.id, name="Ada II"), owner.actor, world_id)
    assert await types(server, world_id) == before


async def test_what_a_controller_may_do(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    player = await server.member(world_id, owner, "player")
    hero = await server.do(CreateCharacter(name="Hero", kind="player"), player.actor, world_id)
    lent = await server.do(CreateCharacter(name="Lent", user_id=player.id), owner.actor, world_id)
    other = await server.do(CreateCharacter(name="Other"), owner.actor, world_id)
    await server.do(
        UpdateCharacter(character_id=hero.id, description="Tall", status="away"), player.actor, world_id
    )
    forbidden = "character_needs_game_master"
    await refused(server, forbidden, UpdateCharacter(character_id=hero.id, energy=1), player, world_id)
    await refused(
        server, forbidden, UpdateCharacter(character_id=hero.id, release_control=True), player, world_id
    )
    await refused(server, forbidden, DeleteCharacter(character_id=lent.id), player, world_id)
    await refused(server, "not_your_character", DeleteCharacter(character_id=other.id), player, world_id)
    await server.do(DeleteCharacter(character_id=hero.id), player.actor, world_id)
    await refused(server, "character_not_found", UpdateCharacter(character_id=hero.id), player, world_id)
    await refused(server, "character_not_found", DeleteCharacter(character_id=hero.id), owner, world_id)
    ghost = UpdateCharacter(character_id=other.id, user_id=uuid.uuid4())
    await refused(server, "user_not_member", ghost, owner, world_id)


@pytest.mark.parametrize("leaves", [True, False])
async def test_who_leaves_loses_control(server: Server, leaves: bool) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    player = await server.member(world_id, owner, "player")
    hero = await server.do(CreateCharacter(name="Hero", kind="player"), player.actor, world_id)
    if leaves:
        await server.do(LeaveWorld(), player.actor, world_id)
    else:
        await server.do(RemoveMember(user_id=player.id), owner.actor, world_id)
    rows = await server.fetch(
        "SELECT user_id FROM characters WHERE world_id = $1 AND id = $2", world_id, hero.id
    )
    assert rows[0]["user_id"] is None
    last = await server.fetch(
        "SELECT type, data ->> 'previous_user_id' AS who, causation_id, (SELECT id FROM events WHERE "
        "world_id = $1 AND type LIKE 'worlds.member\\_%' ORDER BY seq DESC LIMIT 1) AS cause "
        "FROM events WHERE world_id = $1 ORDER BY seq DESC LIMIT 1",
        world_id,
    )
    assert (last[0]["type"], last[0]["who"]) == ("characters.control_changed", str(player.id))
    assert last[0]["causation_id"] == last[0]["cause"]


async def test_principals_are_the_controlled_characters(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    player = await server.member(world_id, owner, "player")
    hero = await server.do(CreateCharacter(name="Hero", kind="player"), player.actor, world_id)
    await server.do(CreateCharacter(name="Npc"), owner.actor, world_id)
    system = next(s for s in server.runtime.systems if s.name == "characters")
    assert system.principals is not None
    async with server.runtime.database.reading() as connection:
        assert await system.principals(connection.fetch, world_id, player.id) == {hero.id}


async def test_two_at_once_with_one_id_make_one(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    same = uuid.uuid4()
    lists = [[CreateCharacter(id=same, name=f"Twin {n}")] for n in range(2)]  # lists do not share a commit
    results: list[Any] = await asyncio.gather(
        *(server.runtime.engine.execute(commands, owner.actor, world_id) for commands in lists),
        return_exceptions=True,
    )
    assert sorted(r.code if isinstance(r, Refused) else "made" for r in results) == [
        "character_exists",
        "made",
    ]
