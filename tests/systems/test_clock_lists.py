"""Lists of clock commands: each sees what the one before it did, though they share a transaction."""

import pytest

from fablewright.core.refusal import Refused
from fablewright.systems.worlds.commands import AdvanceWorld, SetClock, StopAdvance
from tests.support import Server

CLOCK = "SELECT rate, paused, advance_id FROM worlds WHERE id = $1"


async def test_a_second_setting_keeps_the_first(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    answer = await server.do([SetClock(rate=50.0), SetClock(paused=False)], owner.actor, world_id)  # type: ignore[arg-type]
    assert [(clock["rate"], clock["paused"]) for clock in answer] == [(50.0, True), (50.0, False)]
    assert tuple((await server.fetch(CLOCK, world_id))[0]) == (50.0, False, None)


async def test_one_advance_at_a_time(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    for second in (AdvanceWorld(by_ms=5), SetClock(rate=2.0)):
        with pytest.raises(Refused) as refused:
            await server.do([AdvanceWorld(by_ms=1_000), second], owner.actor, world_id)  # type: ignore[arg-type]
        assert (refused.value.code, refused.value.facts["index"]) == ("world_is_advancing", 1)
    assert tuple((await server.fetch(CLOCK, world_id))[0]) == (1.0, True, None)


async def test_an_advance_can_be_stopped_at_once(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    answer = await server.do([AdvanceWorld(by_ms=1_000), StopAdvance()], owner.actor, world_id)  # type: ignore[arg-type]
    assert answer[1]["state"] == "stopped"
    rows = await server.fetch("SELECT state FROM advances WHERE world_id = $1", world_id)
    assert [row["state"] for row in rows] == ["stopped"]
