"""Worlds: clock, advance, members, deletion."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import ValidationError

from fablewright.core.actors import Actor, Role
from fablewright.core.clock import HOUR
from fablewright.core.refusal import Refused
from fablewright.systems.worlds import checks, views
from fablewright.systems.worlds.advance import AdvanceWorker
from fablewright.systems.worlds.commands import (
    AdvanceWorld,
    CalendarSettings,
    CreateWorld,
    DeleteWorld,
    LeaveWorld,
    RemoveMember,
    SetClock,
    SetMember,
    UpdateWorld,
)  # fmt: skip
from fablewright.systems.worlds.service import UNBOUND_TABLES
from tests.counter import Plan, Touch, broken
from tests.support import Server, until
from tests.systems.conftest import Bench, OpenBench


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


# -- over a database where nothing works by itself -----------------------------------------------------------


async def roles(bench: Bench, world: UUID) -> dict[UUID, str]:
    async with bench.runtime.database.reading() as connection:
        return {m.user_id: m.role for m in await views.members(connection, world, None, 100)}


async def shown(bench: Bench, world: UUID, owner: Actor) -> views.WorldView:
    assert owner.user_id is not None
    async with bench.runtime.database.reading() as connection:
        found = await views.world(connection, world, owner.user_id, Role.OWNER)
    assert found is not None
    return found


def set_role(actor: Actor, role: str) -> SetMember:
    return SetMember(user_id=actor.user_id, role=role)


async def refusal_of(bench: Bench, command: Any, actor: Actor, world: UUID | None) -> str:
    with pytest.raises(Refused) as refused:
        await bench.do(command, actor, world)
    return refused.value.code


async def test_members_come_change_and_go(bench: Bench) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    master, player = [await bench.member(world, owner, role) for role in ("game_master", "player")]
    guest = await bench.person()
    await bench.do(set_role(guest, "observer"), master, world)
    await bench.do(set_role(guest, "player"), master, world)
    assert list((await roles(bench, world)).values()).count("player") == 2
    assert await refusal_of(bench, set_role(guest, "game_master"), master, world) == "role_above_yours"
    assert await refusal_of(bench, set_role(owner, "player"), master, world) == "role_above_yours"
    assert await refusal_of(bench, set_role(guest, "observer"), player, world) == "role_too_low"
    assert await refusal_of(bench, RemoveMember(user_id=uuid4()), owner, world) == "member_not_found"
    assert (
        await refusal_of(bench, SetMember(user_id=uuid4(), role="player"), owner, world) == "user_not_found"
    )
    await bench.do(RemoveMember(user_id=guest.user_id), master, world)
    await bench.do(LeaveWorld(), player, world)
    assert await refusal_of(bench, Touch(), player, world) == "world_not_found"
    assert set((await roles(bench, world)).values()) == {"owner", "game_master"}
    kinds = [e["type"].split(".")[1] for e in await bench.log(world, "worlds.member%")]
    assert kinds == ["member_set"] * 4 + ["member_removed", "member_left"]


async def test_a_world_keeps_an_owner(bench: Bench) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    for command in (LeaveWorld(), set_role(owner, "player"), RemoveMember(user_id=owner.user_id)):
        assert await refusal_of(bench, command, owner, world) == "last_owner"
    owners = [owner, *[await bench.member(world, owner, "owner") for _ in range(7)]]
    leaving = (bench.do(LeaveWorld(), someone, world) for someone in owners)  # all at once: one must stay
    outcomes = await asyncio.gather(*leaving, return_exceptions=True)
    assert [type(o) for o in outcomes if o] == [Refused]
    [(left, role)] = (await roles(bench, world)).items()
    assert role == "owner"
    row = (await bench.fetch("SELECT owner_id FROM worlds WHERE id = $1", world))[0]
    assert row["owner_id"] == left


async def test_a_world_is_changed_where_something_is_given(bench: Bench) -> None:
    owner = await bench.person()
    world = await bench.world(owner, description="old", settings={"a": 1})
    await bench.do(UpdateWorld(name="New"), owner, world)
    seen = await shown(bench, world, owner)
    assert (seen.name, seen.description, seen.settings) == ("New", "old", {"a": 1})
    await bench.do(UpdateWorld(settings={}, description=""), owner, world)
    seen = await shown(bench, world, owner)
    assert (seen.name, seen.description, seen.settings) == ("New", "", {})
    assert not hasattr(seen, "seed")


async def test_a_world_id_is_taken_once(bench: Bench) -> None:
    owner = await bench.person()
    command = CreateWorld(id=uuid4(), name="x")
    outcomes = await asyncio.gather(*(bench.do(command, owner) for _ in range(5)), return_exceptions=True)
    codes = [o.code for o in outcomes if isinstance(o, Refused)]
    assert codes == ["world_id_taken"] * 4


async def test_the_seed_is_in_no_event(bench: Bench) -> None:
    owner = await bench.person()
    world = await bench.world(owner, seed=123_456_789)
    for event in await bench.log(world):
        assert "123456789" not in event["data"] + (event["command"] or "")


async def test_the_clock_runs_stops_and_does_not_jump(bench: Bench) -> None:
    owner = await bench.person()
    world = await bench.world(owner, paused=False, rate=1000)
    first = (await shown(bench, world, owner)).now
    stopped = (await bench.do(SetClock(paused=True), owner, world))["now"]
    assert first <= stopped
    assert (await shown(bench, world, owner)).now == stopped
    faster = await bench.do(SetClock(rate=5000), owner, world)
    assert faster == {"now": stopped, "rate": 5000, "paused": True}
    running = await bench.do(SetClock(paused=False), owner, world)
    assert (running["now"], running["rate"]) == (stopped, 5000)

    async def later() -> bool:
        return bool((await shown(bench, world, owner)).now > stopped)

    await until(later)
    await bench.do(Touch(), owner, world)
    times = [e["at"] for e in await bench.log(world)]
    assert times == sorted(times)


async def test_the_date_follows_the_worlds_calendar(bench: Bench) -> None:
    owner = await bench.person()
    calendar = CalendarSettings(
        months=("Only",), days_per_month=2, hours_per_day=10, start_year=5, start_hour=0
    )
    world = await bench.world(owner, calendar=calendar)
    started = await bench.do(AdvanceWorld(to_ms=31 * HOUR), owner, world)
    assert (await shown(bench, world, owner)).advance_id == started["id"]
    await AdvanceWorker(bench.engine).advance(world, started["id"])
    assert (await shown(bench, world, owner)).date == "2 Only, year 6, 01:00"


async def test_how_far_an_advance_is(bench: Bench) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    await bench.do(Plan(at=(250,)), owner, world)
    started = await bench.do(AdvanceWorld(to_ms=1000), owner, world)

    async def view() -> views.AdvanceView:
        async with bench.runtime.database.reading() as connection:
            return (await views.advances(connection, world, started["id"], None, 1))[0]

    assert ((await view()).progress, (await view()).state) == (0.0, "running")
    worker = AdvanceWorker(bench.engine)
    assert await worker._step(world, started["id"])
    halfway = await view()
    assert (halfway.now_ms, halfway.progress, halfway.batches, halfway.timers_fired) == (250, 0.25, 1, 1)
    await worker.advance(world, started["id"])
    done = await view()
    assert (done.now_ms, done.progress, done.state) == (1000, 1.0, "done")
    assert done.finished_at is not None


@pytest.mark.parametrize("wrong", [
    {}, {"by_ms": 1, "to_ms": 1}, {"by_ms": 0}, {"by_ms": -1}, {"by_ms": 2**52}, {"to_ms": 2**60},
])  # fmt: skip
def test_an_advance_names_one_goal(wrong: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        AdvanceWorld(**wrong)


async def test_tables_without_a_way_to_their_world_are_known(bench: Bench) -> None:
    found = {row["name"] for row in await bench.fetch(UNBOUND_TABLES)}
    unbound = {"events", "receipts", "ledger_transfers", "measure_values", "board_entries", "board_ranges"}
    assert unbound <= found
    assert not found & {"worlds", "ties", "characters", "standings", "measure_uses", "audit_log"}


async def test_a_deleted_world_leaves_nothing(bench: Bench) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    await bench.do([Touch(), Plan(at=(5,)), Touch(tell="follow_raises")], owner, world, key="k")
    await bench.member(world, owner, "player")
    await bench.do(AdvanceWorld(to_ms=10), owner, world)
    assert (
        await refusal_of(bench, DeleteWorld(), await bench.member(world, owner, "game_master"), world)
        == "role_too_low"
    )
    await bench.do(DeleteWorld(), owner, world)
    tables = await bench.fetch(
        "SELECT table_name AS name FROM information_schema.columns WHERE table_schema = 'public' "
        "AND column_name = 'world_id'"
    )
    assert len(tables) > 8
    for table in tables:
        assert not await bench.fetch(f"SELECT 1 FROM {table['name']} WHERE world_id = $1", world), table[
            "name"
        ]
    assert await refusal_of(bench, DeleteWorld(), owner, world) == "world_not_found"


async def test_dead_letters_are_listed_page_by_page(bench: Bench) -> None:
    owner = await bench.person()
    world = await bench.world(owner)
    with broken("nothing"):
        await bench.do([Touch(tell="follow_raises")], owner, world)
        await bench.do([Touch(tell="follow_raises")], owner, world)
    async with bench.runtime.database.reading() as connection:
        first = await views.dead_letters(connection, world, "open", None, 1)
        rest = await views.dead_letters(connection, world, "open", [first[0].id], 10)
        assert await views.dead_letters(connection, world, "dropped", None, 10) == []
    assert [len(first), len(rest)] == [1, 1]
    assert first[0].id < rest[0].id
    assert (first[0].source, first[0].handler, first[0].state) == ("reaction", "counter.follow", "open")


async def test_the_checks_find_what_is_wrong_and_only_that(fresh_url: str, open_bench: OpenBench) -> None:
    async with open_bench(fresh_url) as bench:
        owner = await bench.person()
        world = await bench.world(owner)
        await bench.do([Touch(), Plan(at=(5,))], owner, world, key="k")

        async def findings() -> set[str]:
            return {
                check.name
                for check in checks.CHECKS
                if await bench.fetch(check.sql, *([7] if "$1" in check.sql else []))
            }

        assert await findings() == set()
        harms = {
            "DELETE FROM events WHERE seq = 2": "the log has no gap",
            "UPDATE receipts SET answer = NULL": "every receipt has its answer",
            "UPDATE receipts SET created_at = created_at - interval '31 days'": "receipts are not kept past",
            "UPDATE worlds SET advance_id = id": "a world is advancing if and only if",
            "INSERT INTO cursors (world_id, consumer, position) SELECT id, 'x', 99 FROM worlds": "no cursor is ahead",
            "UPDATE world_members SET role = 1": "every world has an owner",
            "UPDATE events SET at = 99": "no event is from the world's future",
            "INSERT INTO worlds (id, name, seed, anchor_real_ms) VALUES (gen_random_uuid(), 'x', 1, 0)":
                "every world has a head",
            "DELETE FROM worlds": "no event without its world",
        }  # fmt: skip
        for harm, check in harms.items():
            assert not any(name.startswith(check) for name in await findings())
            await bench.superuser(harm)
            assert any(name.startswith(check) for name in await findings()), check
        assert len(harms) == len(checks.CHECKS)
