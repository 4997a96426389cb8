"""Reactions: guarding ones belong to the truth, following ones become dead letters."""

from collections.abc import Sequence
from uuid import UUID

import orjson
import pytest

from fablewright.core.actors import Actor
from fablewright.core.messages import Command
from fablewright.core.refusal import Refused
from fablewright.systems.worlds.commands import DropDeadLetter, ReplayDeadLetter
from tests.counter import CALLS, Add, Touch, broken
from tests.systems.conftest import Bench

FAILURES: Sequence[str] = ("follow_raises", "follow_breaks_unique", "follow_breaks_check")


@pytest.mark.parametrize("tell", FAILURES)
@pytest.mark.parametrize("kind", [Touch, Add])
async def test_a_failing_bonus_becomes_a_dead_letter_not_the_players_error(
    bench: Bench, tell: str, kind: type[Command]
) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    answer = await bench.engine.execute(kind(n=7, tell=tell), owner, world, key="k")  # type: ignore[call-arg]
    assert await bench.value(world) == 7
    events = await bench.log(world, "counter.%")
    assert [e["type"] for e in events] == [
        kind.message_type.replace(".add", ".added").replace(".touch", ".touched")
    ]
    assert answer.seq == events[0]["seq"] == await bench.head(world)
    assert len(await bench.marks(world, "guard")) == 1
    assert await bench.marks(world, "follow") == []  # what it had written is undone
    [letter] = await bench.letters(world)
    assert (letter["source"], letter["handler"]) == ("reaction", "counter.follow")
    assert orjson.loads(letter["payload"]) == {"events": [str(events[0]["id"])]}
    assert "\x00" not in letter["error"]
    assert ("bug in a" in letter["error"]) == (tell == "follow_raises")


async def test_a_failing_bonus_in_a_list_harms_nothing_else(bench: Bench) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    await bench.do([Touch(), Add(tell="follow_raises"), Touch()], owner, world)
    assert await bench.value(world) == 3
    assert len(await bench.letters(world)) == 1


@pytest.mark.parametrize("tell", ["guard_refuses", "guard_raises"])
@pytest.mark.parametrize("kind", [Touch, Add])
async def test_a_guarding_reaction_that_fails_fails_the_command(
    bench: Bench, tell: str, kind: type[Command]
) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    before = await bench.state(world)
    with pytest.raises(Refused if tell == "guard_refuses" else RuntimeError):
        await bench.do(kind(tell=tell), owner, world)  # type: ignore[call-arg]
    assert await bench.state(world) == before


async def test_a_cascade_is_bounded(bench: Bench) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    before = await bench.state(world)
    CALLS.clear()
    with pytest.raises(Refused) as refused:
        await bench.do(Touch(tell="cascade"), owner, world)
    assert refused.value.code == "cascade_too_deep"
    assert CALLS["cascade"] == bench.runtime.settings.max_cascade
    assert await bench.state(world) == before


async def test_what_a_bonus_sets_off_is_part_of_the_bonus(bench: Bench) -> None:
    """A cascade that goes too deep behind a following reaction costs its last bonus, not the command."""
    owner = await bench.person()
    world = await bench.world(owner)
    await bench.do(Touch(tell="bonus_cascade"), owner, world)
    [letter] = await bench.letters(world)
    assert "cascade_too_deep" in letter["error"]
    types = [record["type"] for record in await bench.log(world)]
    assert types[1:] == ["counter.touched"] + ["counter.echoed"] * (bench.runtime.settings.max_cascade - 1)


async def letter_for(bench: Bench, world: UUID, owner: Actor, tell: str) -> UUID:
    with broken(f"follow:{tell}"):
        await bench.do(Touch(tell=tell), owner, world)
    [letter] = await bench.letters(world)
    return UUID(str(letter["id"]))


async def test_a_dead_letter_is_replayed_once_mended(bench: Bench) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    player = await bench.member(world, owner, "player")
    with broken("follow:ill"):
        await bench.do(Touch(tell="ill"), player, world)
        [letter] = await bench.letters(world)
        before = await bench.state(world)
        with pytest.raises(Refused) as refused:
            await bench.do(ReplayDeadLetter(dead_letter_id=letter["id"]), owner, world)
        assert refused.value.code == "replay_failed"
        assert await bench.state(world) == before
    await bench.do(ReplayDeadLetter(dead_letter_id=letter["id"]), owner, world)
    touched, echoed, replayed = (await bench.log(world))[-3:]
    assert [e["type"] for e in (touched, echoed, replayed)] == [
        "counter.touched", "counter.echoed", "worlds.dead_letter_replayed",
    ]  # fmt: skip
    assert (echoed["causation_id"], echoed["actor"]) == (touched["id"], player.name)
    assert orjson.loads(replayed["command"])["actor"] == owner.name
    assert len(await bench.marks(world, "follow")) == 1
    assert await bench.letters(world) == []
    with pytest.raises(Refused) as refused:
        await bench.do(ReplayDeadLetter(dead_letter_id=letter["id"]), owner, world)
    assert refused.value.code == "dead_letter_not_found"


async def test_a_dead_letter_is_dropped(bench: Bench) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    letter_id = await letter_for(bench, world, owner, "ill")
    player = await bench.member(world, owner, "player")
    for command in (DropDeadLetter(dead_letter_id=letter_id), ReplayDeadLetter(dead_letter_id=letter_id)):
        with pytest.raises(Refused) as refused:
            await bench.do(command, player, world)
        assert refused.value.code == "role_too_low"
    await bench.do(DropDeadLetter(dead_letter_id=letter_id), owner, world)
    assert len(await bench.letters(world, "dropped")) == 1
    with pytest.raises(Refused):
        await bench.do(DropDeadLetter(dead_letter_id=letter_id), owner, world)
    assert await bench.marks(world, "follow") == []


async def test_a_letter_of_something_uninstalled_cannot_be_replayed(bench: Bench) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    letter_id = await letter_for(bench, world, owner, "ill")
    await bench.superuser(
        "UPDATE dead_letters SET handler = 'gone.away' WHERE id = $1 RETURNING 1", letter_id
    )
    with pytest.raises(Refused) as refused:
        await bench.do(ReplayDeadLetter(dead_letter_id=letter_id), owner, world)
    assert refused.value.code == "replay_impossible"
