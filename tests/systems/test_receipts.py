"""Receipts: a keyed command runs once, and is answered again from what it answered."""

import asyncio

import orjson
import pytest

from fablewright.core.housekeeping import tidy
from fablewright.core.messages import Command
from fablewright.core.refusal import Refused
from fablewright.systems.worlds.commands import CreateWorld, DeleteWorld
from tests.counter import Add, Reveal, Touch
from tests.systems.conftest import Bench, OpenBench


@pytest.mark.parametrize(
    "command", [Touch(n=5), Add(n=5), [Touch(n=2), Add(n=3)]], ids=["one", "hot", "list"]
)
async def test_many_identical_keyed_commands_run_once(
    bench: Bench, open_bench: OpenBench, command: Command | list[Command]
) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    async with open_bench(bench.url) as other:  # half of them through another process's engine
        asks = [(bench, other)[i % 2].engine.execute(command, owner, world, key="once") for i in range(20)]
        answers = await asyncio.gather(*asks)
    assert await bench.value(world) == 5
    assert len({answer.body for answer in answers}) == 1
    assert sum(not answer.replayed for answer in answers) == 1
    assert len({answer.seq for answer in answers}) == 1
    rows = await bench.fetch("SELECT 1 FROM receipts WHERE world_id = $1", world)
    assert len(rows) == 1


@pytest.mark.parametrize(("first", "second"), [
    (Touch(n=1), Touch(n=2)), (Add(n=1), Add(n=2)), (Touch(n=1), Add(n=1)), (Touch(n=1), [Touch(n=1), Touch(n=1)]),
])  # fmt: skip
async def test_the_same_key_for_something_else_is_refused(
    bench: Bench, first: Command, second: Command | list[Command]
) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    await bench.do(first, owner, world, key="k")
    before = await bench.state(world)
    with pytest.raises(Refused) as refused:
        await bench.do(second, owner, world, key="k")
    assert refused.value.code == "idempotency_key_reused"
    assert await bench.state(world) == before


async def test_a_key_belongs_to_one_actor_and_one_world(bench: Bench) -> None:
    owner = await bench.person()
    world, elsewhere = await bench.world(owner), await bench.world(owner)
    player = await bench.member(world, owner, "player")
    for actor, place in ((owner, world), (player, world), (owner, elsewhere)):
        assert not (await bench.engine.execute(Touch(), actor, place, key="k")).replayed
    assert (await bench.value(world), await bench.value(elsewhere)) == (2, 1)


@pytest.mark.parametrize("command", [Touch(n=-1, names=("a",)), Add(n=-1)])
async def test_a_refusal_is_not_kept(bench: Bench, command: Command) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    for _ in range(2):
        with pytest.raises(Exception):  # noqa: B017
            await bench.do(command, owner, world, key="k")
        assert not await bench.fetch("SELECT 1 FROM receipts WHERE world_id = $1", world)
    await bench.do(Add(n=1), owner, world, key="k")
    assert await bench.value(world) == 1


@pytest.mark.parametrize("command", [Reveal(), [Touch(), Reveal()]])
async def test_a_secret_command_takes_no_key(bench: Bench, command: Command | list[Command]) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    with pytest.raises(Refused) as refused:
        await bench.do(command, owner, world, key="k")
    assert refused.value.code == "idempotency_not_supported"
    assert not await bench.fetch("SELECT 1 FROM receipts WHERE world_id = $1", world)


async def test_a_secret_is_in_no_event(bench: Bench) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    assert await bench.do(Reveal(), owner, world) == {"token": "s3cret"}
    row = (await bench.log(world, "counter.noted"))[0]
    assert orjson.loads(row["command"])["payload"] == {}
    assert "s3cret" not in row["data"] + row["command"]


@pytest.mark.parametrize("key", ["", "x" * 201, "tab\t", "naïve"])
async def test_a_key_is_short_printable_ascii(bench: Bench, key: str) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    with pytest.raises(Refused) as refused:
        await bench.do(Touch(), owner, world, key=key)
    assert refused.value.code == "idempotency_key_invalid"


async def test_founding_and_deleting_a_world_under_a_key(bench: Bench) -> None:
    owner = await bench.person()
    found = CreateWorld(name="Founded", paused=True)
    answers = [await bench.engine.execute([found, Touch()], owner, key="same") for _ in range(2)]
    assert answers[0].body == answers[1].body
    kept = await bench.fetch("SELECT answer::text AS a FROM receipts WHERE actor = $1", owner.name)
    world = orjson.loads(answers[0].body)["results"][0]["id"]
    await bench.do(DeleteWorld(), owner, world, key="same")
    after = await bench.fetch("SELECT answer::text AS a FROM receipts WHERE actor = $1", owner.name)
    assert [row["a"] for row in after] == [row["a"] for row in kept]  # another world's key of the same name


async def test_a_replay_is_answered_even_if_the_right_is_gone(bench: Bench) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    player = await bench.member(world, owner, "player")
    first = await bench.engine.execute(Touch(), player, world, key="k")
    await bench.superuser("DELETE FROM world_members WHERE user_id = $1 RETURNING 1", player.user_id)
    again = await bench.engine.execute(Touch(), player, world, key="k")
    assert again.body == first.body
    with pytest.raises(Refused):
        await bench.do(Touch(), player, world, key="new")


async def test_the_same_command_under_the_same_key_is_the_same_request(bench: Bench) -> None:
    owner = await bench.person()
    one, two = await bench.world(owner), await bench.world(owner)
    results = [await bench.do(Touch(), owner, world, key="k") for world in (one, two)]
    assert results[0] == results[1]  # its dice and ids come from seed, actor and key
    assert (await bench.do(Touch(), owner, one, key="l"))["roll"] != results[0]["roll"]


async def test_old_receipts_are_tidied_away(bench: Bench) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    for key in ("old", "new"):
        await bench.do(Touch(), owner, world, key=key)
    await bench.superuser(
        "UPDATE receipts SET created_at = created_at - interval '8 days' "
        "WHERE world_id = $1 AND key = 'old' RETURNING 1",
        world,
    )
    assert await tidy(bench.engine) >= 1
    rows = await bench.fetch("SELECT key FROM receipts WHERE world_id = $1", world)
    assert [row["key"] for row in rows] == ["new"]
    again = await bench.engine.execute(Touch(), owner, world, key="old")
    assert not again.replayed
    assert await bench.value(world) == 3
