"""Worlds: clock, advance, members."""

from uuid import UUID

import pytest

from fablewright.core.clock import HOUR
from fablewright.core.refusal import Refused
from fablewright.systems.worlds.commands import AdvanceWorld, LeaveWorld, RemoveMember, SetClock, SetMember
from tests.support import Server, until


async def test_a_world_is_made_with_head_owner_and_first_event(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    rows = await server.fetch("SELECT seq, type, command::text FROM events WHERE world_id = $1", world_id)
    assert [(row["seq"], row["type"]) for row in rows] == [(1, "worlds.world_created")]
    assert "worlds.create_world" in rows[0]["command"]
    heads = await server.fetch("SELECT seq FROM world_heads WHERE world_id = $1", world_id)
    assert heads[0]["seq"] == 1


async def test_advance_moves_the_clock(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    await server.do(AdvanceWorld(by_ms=HOUR), owner.actor, world_id)

    async def arrived() -> bool:
        rows = await server.fetch("SELECT anchor_world_ms, advance_id FROM worlds WHERE id = $1", world_id)
        return bool(rows[0]["advance_id"] is None and rows[0]["anchor_world_ms"] == HOUR)

    await until(arrived)
