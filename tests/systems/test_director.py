"""The director against the real database: beats by advancing the world's clock."""

from typing import Any
from uuid import UUID

from fablewright.core.clock import HOUR, MINUTE
from fablewright.systems.characters.commands import CreateCharacter, Personality, UpdateCharacter
from fablewright.systems.director.commands import ConfigureDirector
from fablewright.systems.worlds.commands import AdvanceWorld, SetClock
from tests.support import Person, Server, until


async def village(server: Server, owner: Person, count: int = 6, **world: Any) -> UUID:
    world_id = await server.world(owner, **world)
    commands = [
        CreateCharacter(id=UUID(int=n + 1), name=f"C{n}", personality=Personality(extraversion=(n % 10) / 10))
        for n in range(count)
    ]
    await server.runtime.engine.execute(commands, owner.actor, world_id)
    return world_id


async def advance(server: Server, owner: Person, world_id: UUID, by_ms: int) -> None:
    await server.do(AdvanceWorld(by_ms=by_ms), owner.actor, world_id)

    async def arrived() -> bool:
        rows = await server.fetch("SELECT advance_id FROM worlds WHERE id = $1", world_id)
        return rows[0]["advance_id"] is None

    await until(arrived, 60)


async def acts(server: Server, world_id: UUID) -> list[Any]:
    return await server.fetch(
        "SELECT at, actor, data ->> 'initiator_id' AS initiator, data ->> 'target_id' AS target,"
        " data ->> 'type' AS type,"
        " data ->> 'content' AS content, data ->> 'answer' AS answer, command ->> 'type' AS command "
        "FROM events WHERE world_id = $1 AND type = 'dialogue.interacted' ORDER BY seq",
        world_id,
    )


async def timers(server: Server, world_id: UUID) -> list[int]:
    rows = await server.fetch("SELECT due_at FROM timers WHERE world_id = $1 ORDER BY due_at", world_id)
    return [row["due_at"] for row in rows]


async def test_beats_fall_due_at_their_pace(server: Server) -> None:
    owner = await server.person()
    world_id = await village(server, owner)
    await server.do(
        ConfigureDirector(enabled=True, beats_per_minute=6, acts_per_beat=2), owner.actor, world_id
    )
    assert await timers(server, world_id) == [10_000]
    await advance(server, owner, world_id, MINUTE)
    told = await acts(server, world_id)
    assert [row["at"] for row in told] == [10_000 * n for n in range(1, 7) for _ in range(2)]
    assert {row["command"] for row in told} == {"dialogue.interact"}
    assert all(row["actor"].startswith("system:") and row["answer"] for row in told)
    for first, second in zip(told[::2], told[1::2], strict=True):
        assert first["initiator"] != second["initiator"]
    assert await timers(server, world_id) == [70_000]


async def test_off_means_nothing_waits(server: Server) -> None:
    owner = await server.person()
    world_id = await village(server, owner)
    await server.do(ConfigureDirector(enabled=True), owner.actor, world_id)
    await server.do(ConfigureDirector(enabled=True, beats_per_minute=1), owner.actor, world_id)
    assert await timers(server, world_id) == [MINUTE]
    await server.do(ConfigureDirector(enabled=False), owner.actor, world_id)
    assert await timers(server, world_id) == []
    await advance(server, owner, world_id, HOUR)
    assert await acts(server, world_id) == []


async def test_a_beat_of_an_older_configuration_does_nothing(server: Server) -> None:
    owner = await server.person()
    world_id = await village(server, owner)
    await server.do(ConfigureDirector(enabled=True, beats_per_minute=1), owner.actor, world_id)
    engine = server.runtime.engine
    async with engine.database.writing() as connection:  # as if one was scheduled while the other was stored
        await connection.exec_driver_sql(
            "UPDATE directors SET version = version + 1 WHERE world_id = $1", (world_id,)
        )
        await connection.commit()
    await advance(server, owner, world_id, 3 * MINUTE)
    assert await acts(server, world_id) == []
    assert await timers(server, world_id) == []


async def test_only_npcs_without_a_user_act(server: Server) -> None:
    owner = await server.person()
    world_id = await village(server, owner, 4)
    player = await server.member(world_id, owner, "player")
    await server.do(UpdateCharacter(character_id=UUID(int=1), user_id=player.id), owner.actor, world_id)
    await server.do(UpdateCharacter(character_id=UUID(int=2), kind="player"), owner.actor, world_id)
    await server.do(UpdateCharacter(character_id=UUID(int=3), status="asleep"), owner.actor, world_id)
    await server.do(CreateCharacter(id=UUID(int=9), name="C9"), owner.actor, world_id)
    await server.do(
        ConfigureDirector(enabled=True, beats_per_minute=20, acts_per_beat=5), owner.actor, world_id
    )
    await advance(server, owner, world_id, MINUTE)
    told = await acts(server, world_id)
    assert len(told) == 40
    assert {row["initiator"] for row in told} == {str(UUID(int=4)), str(UUID(int=9))}
    assert str(UUID(int=3)) not in {row["target"] for row in told}


async def test_the_lonely_and_the_empty_world_do_no_harm(server: Server) -> None:
    owner = await server.person()
    for count in (0, 1):
        world_id = await village(server, owner, count)
        await server.do(ConfigureDirector(enabled=True), owner.actor, world_id)
        await advance(server, owner, world_id, MINUTE)
        assert await acts(server, world_id) == []
        assert await timers(server, world_id) == [MINUTE + 5_000]
        assert await server.fetch("SELECT 1 FROM dead_letters WHERE world_id = $1", world_id) == []


async def test_the_same_seed_gives_the_same_story(server: Server) -> None:
    owner = await server.person()
    stories = []
    for seed in (3, 3, 4):
        world_id = await village(server, owner, seed=seed)
        command = ConfigureDirector(enabled=True, beats_per_minute=30, acts_per_beat=3)
        await server.runtime.engine.execute(command, owner.actor, world_id, key="on")
        await advance(server, owner, world_id, MINUTE)
        stories.append([tuple(row) for row in await acts(server, world_id)])
    assert len(stories[0]) == 90
    assert stories[0] == stories[1] != stories[2]


async def test_it_lives_while_the_clock_runs(server: Server) -> None:
    owner = await server.person()
    world_id = await village(server, owner)
    await server.do(ConfigureDirector(enabled=True, beats_per_minute=600), owner.actor, world_id)
    await server.do(SetClock(rate=50, paused=False), owner.actor, world_id)

    async def alive() -> bool:
        return len(await acts(server, world_id)) >= 5

    await until(alive)
    await server.do(ConfigureDirector(enabled=False), owner.actor, world_id)
    await server.do(SetClock(paused=True), owner.actor, world_id)


async def test_a_crowd_acts_at_full_speed(server: Server) -> None:
    owner = await server.person()
    world_id = await village(server, owner, 1000)
    await server.do(
        ConfigureDirector(enabled=True, beats_per_minute=600, acts_per_beat=1000), owner.actor, world_id
    )
    await advance(server, owner, world_id, 300)
    told = await acts(server, world_id)
    assert len(told) == 3000
    assert len({row["target"] for row in told}) > 500
