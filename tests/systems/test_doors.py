"""Who may give which command, and lists of commands."""

import asyncio
from uuid import uuid4

import orjson
import pytest

from fablewright.core.actors import ANONYMOUS, Actor, Role, system_actor
from fablewright.core.messages import Command
from fablewright.core.refusal import Refused
from fablewright.systems.worlds.commands import CreateWorld, DeleteWorld, RemoveMember, UpdateWorld
from tests.counter import Add, Audit, Batch, Say, Sweep, Touch, pausing
from tests.systems.conftest import Bench


def code_of(error: pytest.ExceptionInfo[Refused]) -> str:
    return error.value.code


# -- who may -------------------------------------------------------------------------------------------------


async def test_who_may_give_what(bench: Bench) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    observer, player, master = [
        await bench.member(world, owner, r) for r in ("observer", "player", "game_master")
    ]
    stranger = await bench.person()
    bound = Actor("key:1", owner.user_id, only_world=uuid4())
    capped = Actor("key:2", owner.user_id, most=Role.PLAYER)
    administrator = Actor(stranger.name, stranger.user_id, administrator=True)
    someone = uuid4()
    table: list[tuple[Command, Actor, str | None]] = [
        (Touch(), observer, "role_too_low"), (Touch(), player, None), (Touch(), master, None), (Touch(), owner, None),
        (Touch(), stranger, "world_not_found"), (Touch(), ANONYMOUS, "not_signed_in"),
        (Touch(), bound, "world_not_found"),
        (Touch(), capped, None), (Say(to=someone), capped, "role_too_low"), (Say(to=someone), player, "role_too_low"),
        (Say(to=someone), master, None), (Touch(), system_actor("x"), None),
        (Touch(), administrator, "world_not_found"),
        (Add(), observer, "role_too_low"), (Add(), stranger, "world_not_found"), (Add(), player, None),
        (Add(character_id=someone), player, "not_your_character"), (Add(character_id=someone), master, None),
        (Add(character_id=someone), capped, "not_your_character"), (Add(character_id=someone), system_actor("x"), None),
        (Sweep(), owner, "system_only"), (Sweep(), administrator, "system_only"), (Sweep(), system_actor("x"), None),
        (CreateWorld(name="x"), owner, "command_not_for_worlds"), (DeleteWorld(), master, "role_too_low"),
    ]  # fmt: skip
    for command, actor, code in table:
        if code is None:
            await bench.engine.execute(command, actor, world)
            continue
        before = await bench.state(world)
        for asked in (command, [Touch(), command]):
            with pytest.raises(Refused) as refused:
                await bench.engine.execute(asked, actor, world)
            if asked is command:
                assert code_of(refused) == code, (command, actor)
        assert await bench.state(world) == before
    with pytest.raises(Refused) as refused:
        await bench.do(Audit(), owner)
    assert code_of(refused) == "administrators_only"
    await bench.do(Audit(), administrator)
    for world_id in (None, uuid4()):
        with pytest.raises(Refused) as refused:
            await bench.do(Touch(), owner, world_id)
        assert code_of(refused) == "world_not_found"


# -- lists ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("commands", "code", "index"), [
    ([Touch(), Add(n=5), Touch(fail="refuse")], "refused_late", 2),
    ([Add(), Add(), Add(n=-5), Touch()], "below_zero", 2),
    ([Touch(), Say(to=uuid4())], "role_too_low", 1),
    ([Touch(), Add(character_id=uuid4())], "not_your_character", 1),
    ([Touch(), Sweep()], "system_only", 1),
])  # fmt: skip
async def test_a_list_is_refused_as_a_whole_and_says_which(
    bench: Bench, commands: list[Command], code: str, index: int
) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    player = await bench.member(world, owner, "player")
    before = await bench.state(world)
    with pytest.raises(Refused) as refused:
        await bench.do(commands, player, world)
    assert (code_of(refused), refused.value.facts["index"]) == (code, index)
    assert await bench.state(world) == before


async def test_a_list_commits_as_a_whole(bench: Bench) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    answer = await bench.engine.execute([Touch(n=2), Add(n=3), Add(n=-4), Touch(n=10)], owner, world)
    assert [r.get("value", r.get("values")) for r in answer.result] == [[2], 5, 1, [11]]
    assert await bench.value(world) == 11
    assert answer.seq == await bench.head(world)
    assert orjson.loads(answer.body)["results"][2] == {"value": 1}
    assert len({e["causation_id"] for e in await bench.log(world, "counter.%ed") if e["command"]}) == 4
    empty = await bench.engine.execute([], owner, world)
    assert orjson.loads(empty.body) == {"results": [], "seq": None}


async def test_a_list_that_founds_a_world_goes_on_inside_it(bench: Bench) -> None:
    owner = await bench.person()
    answer = await bench.engine.execute(
        [CreateWorld(name="New", seed=1, paused=True), Touch(n=4), Add(n=5)], owner
    )
    world = answer.result[0]["id"]
    assert await bench.value(world) == 9
    assert [e["seq"] for e in await bench.log(world)] == list(range(1, await bench.head(world) + 1))
    with pytest.raises(Refused) as refused:
        await bench.do([CreateWorld(id=(lost := uuid4()), name="Lost"), Touch(), Touch(fail="refuse")], owner)
    assert refused.value.facts["index"] == 2
    assert not await bench.fetch("SELECT 1 FROM worlds WHERE id = $1", lost)
    assert not await bench.fetch("SELECT 1 FROM events WHERE world_id = $1", lost)


async def test_only_the_first_of_a_list_may_found_a_world(bench: Bench) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    for commands in ([CreateWorld(name="A"), CreateWorld(name="B")], [Audit(), CreateWorld(name="A")],
                     [CreateWorld(name="A"), Audit()]):  # fmt: skip
        with pytest.raises(Refused) as refused:
            await bench.do(commands, Actor(owner.name, owner.user_id, administrator=True))
        assert (code_of(refused), refused.value.facts["index"]) == ("command_not_for_worlds", 1)
    with pytest.raises(Refused) as refused:
        await bench.do([DeleteWorld(), Touch()], owner, world)
    assert (code_of(refused), refused.value.facts["index"]) == ("world_not_found", 1)
    capped = Actor("key:1", owner.user_id, most=Role.PLAYER)
    with pytest.raises(Refused) as refused:
        await bench.do([CreateWorld(name="A"), Touch(), UpdateWorld(name="B")], capped)
    assert (code_of(refused), refused.value.facts["index"]) == ("role_too_low", 0)


async def test_a_command_gives_others_only_as_far_as_its_actor_may(bench: Bench) -> None:
    """`tx.perform` is a door like any other; a system that may more says so by its own name."""
    owner = await bench.person()
    world = await bench.world(owner)
    player = await bench.member(world, owner, "player")
    assert await bench.do(Batch(says=(uuid4(),)), player, world) == ["role_too_low", "done"]
    assert await bench.do(Batch(says=(uuid4(),)), owner, world) == ["done", "done"]


async def test_a_key_makes_worlds_only_if_it_may_manage(bench: Bench) -> None:
    owner = await bench.person()
    with pytest.raises(Refused) as refused:
        await bench.do(CreateWorld(name="A"), Actor("key:1", owner.user_id, most=Role.OBSERVER))
    assert code_of(refused) == "role_too_low"


async def test_who_loses_a_role_meanwhile_does_not_act_with_it(bench: Bench) -> None:
    """A command under way when its actor's membership ends is run again, and then refused."""
    owner = await bench.person()
    world = await bench.world(owner)
    player = await bench.member(world, owner, "player")
    with pausing("here", needed=1) as pause:
        touching = asyncio.create_task(bench.do(Touch(pause="here"), player, world))
        await pause.entered.wait()
        await bench.do(RemoveMember(user_id=player.user_id), owner, world)
        pause.go.set()
        with pytest.raises(Refused) as refused:
            await touching
    assert code_of(refused) == "world_not_found"
