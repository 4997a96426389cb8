"""One function per command: load, decide, write, emit."""

from typing import Any
from uuid import UUID

import orjson

from fablewright.core import deadletters
from fablewright.core.actors import Role
from fablewright.core.clock import Calendar, WorldClock
from fablewright.core.dice import random_seed
from fablewright.core.permissions import WORLD_IS_ADVANCING
from fablewright.core.transaction import Transaction, WorldState
from fablewright.systems.worlds import commands, events, rules

UNBOUND_TABLES = """
WITH RECURSIVE bound AS (
    SELECT 'worlds'::regclass::oid AS id
    UNION
    SELECT key.conrelid FROM pg_constraint key JOIN bound ON bound.id = key.confrelid
    WHERE key.contype = 'f' AND key.confdeltype = 'c' AND EXISTS (
        SELECT FROM pg_attribute a
        WHERE a.attrelid = key.conrelid AND a.attnum = ANY(key.conkey) AND a.attname = 'world_id'
    )
)
SELECT t.oid::regclass::text AS name
FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attname = 'world_id' AND NOT a.attisdropped
WHERE t.relkind IN ('r', 'p') AND t.oid NOT IN (SELECT id FROM bound)
  AND t.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'worlds'::regclass)
ORDER BY 1
"""
"""Tables whose rows belong to a world without a chain of foreign keys that deletes them with it.

The database is asked, not the models: which of these a process has loaded is an accident.
"""


async def create_world(tx: Transaction, command: commands.CreateWorld) -> dict[str, Any]:
    """Make the world, its head and its owner; the rest of the transaction runs inside it."""
    world_id = command.id or tx.dice.uuid(tx.real_ms)
    seed = command.seed if command.seed is not None else random_seed()
    calendar = command.calendar.model_dump() if command.calendar else {}
    owner = tx.actor.user_id
    added = await tx.fetchval(
        "INSERT INTO worlds (id, name, description, seed, settings, calendar, owner_id, anchor_real_ms, rate, "
        "paused, anchor_world_ms) VALUES ($1, $2, $3, $4, $5::jsonb, $6::jsonb, $7, $8, $9, $10, $11) "
        "ON CONFLICT DO NOTHING RETURNING true",
        world_id, command.name, command.description, seed, orjson.dumps(command.settings).decode(),
        orjson.dumps(calendar).decode(), owner, tx.real_ms, command.rate, command.paused,
        command.begins_at,
    )  # fmt: skip
    if not added:
        raise rules.WORLD_ID_TAKEN()
    await tx.execute("INSERT INTO world_heads (world_id) VALUES ($1)", world_id)
    if owner is not None:
        await _write_member(tx, world_id, owner, Role.OWNER)
    clock = WorldClock(command.begins_at, tx.real_ms, command.rate, command.paused)
    tx.enter_world(WorldState(
        world_id, command.name, seed, command.settings, owner, clock, Calendar(**calendar), 0
    ))  # fmt: skip
    tx.emit(events.WorldCreated(name=command.name, rate=command.rate, paused=command.paused))
    return {"id": world_id, "name": command.name}


async def update_world(tx: Transaction, command: commands.UpdateWorld) -> dict[str, Any]:
    """Write what is given."""
    changes = command.model_dump(exclude_none=True)
    await tx.execute(
        "UPDATE worlds SET name = coalesce($2, name), description = coalesce($3, description), "
        "settings = coalesce($4::jsonb, settings) WHERE id = $1",
        tx.world_id, command.name, command.description,
        None if command.settings is None else orjson.dumps(command.settings).decode(),
    )  # fmt: skip
    tx.emit(events.WorldUpdated(changed=sorted(changes)))
    return {"id": tx.world_id, "changed": sorted(changes)}


async def delete_world(tx: Transaction, command: commands.DeleteWorld) -> None:
    """Delete the world; what has no foreign key to it by hand."""
    world_id = tx.world_id
    # The world and its head first: that waits for commands under way, and no later one can append any more.
    await tx.execute("DELETE FROM worlds WHERE id = $1", world_id)
    for table in await tx.fetch(UNBOUND_TABLES):
        await tx.execute(f"DELETE FROM {table['name']} WHERE world_id = $1", world_id)  # noqa: S608
    tx.leave_world()
    tx.emit(events.WorldDeleted(world_id=world_id))


async def _lock_clock(tx: Transaction, *, may_advance: bool) -> tuple[WorldClock, UUID | None]:
    """The clock and the advance under way as they are now, locked.

    An earlier command of the same list may have changed them since the transaction began. Refuses
    `world_is_advancing`, unless `may_advance`.
    """
    row = await tx.fetchrow(
        "SELECT anchor_world_ms, anchor_real_ms, rate, paused, advance_id FROM worlds WHERE id = $1 "
        "FOR NO KEY UPDATE",
        tx.world_id,
    )
    if row["advance_id"] is not None and not may_advance:
        raise WORLD_IS_ADVANCING(advance_id=str(row["advance_id"]))
    clock = WorldClock(
        row["anchor_world_ms"],
        row["anchor_real_ms"],
        row["rate"],
        row["paused"],
        row["advance_id"] is not None,
    )
    return clock, row["advance_id"]


async def set_clock(tx: Transaction, command: commands.SetClock) -> dict[str, Any]:
    """Let time go on from now with another rate or pause."""
    before, _ = await _lock_clock(tx, may_advance=False)
    clock = rules.new_clock(before, tx.now, tx.real_ms, rate=command.rate, paused=command.paused)
    await tx.execute(
        "UPDATE worlds SET anchor_world_ms = $2, anchor_real_ms = $3, rate = $4, paused = $5 WHERE id = $1",
        tx.world_id, clock.anchor_world_ms, clock.anchor_real_ms, clock.rate, clock.paused,
    )  # fmt: skip
    tx.clock_changed = True
    tx.emit(events.ClockSet(rate=clock.rate, paused=clock.paused))
    return {"now": tx.now, "rate": clock.rate, "paused": clock.paused}


async def advance_world(tx: Transaction, command: commands.AdvanceWorld) -> dict[str, Any]:
    """Begin the job; `advance.AdvanceWorker` does it."""
    await _lock_clock(tx, may_advance=False)
    target = rules.advance_target(tx.now, by_ms=command.by_ms, to_ms=command.to_ms)
    advance_id = tx.new_id()
    await tx.execute(
        "INSERT INTO advances (world_id, id, from_ms, to_ms, reached_ms) VALUES ($1, $2, $3, $4, $3)",
        tx.world_id, advance_id, tx.now, target,
    )  # fmt: skip
    await tx.execute(
        "UPDATE worlds SET advance_id = $2, advance_to = $3, anchor_world_ms = $4, anchor_real_ms = $5 WHERE id = $1",
        tx.world_id, advance_id, target, tx.now, tx.real_ms,
    )  # fmt: skip
    tx.clock_changed = True
    tx.emit(events.AdvanceStarted(advance_id=advance_id, from_ms=tx.now, to_ms=target))
    return {"id": advance_id, "from_ms": tx.now, "to_ms": target, "state": "running"}


async def stop_advance(tx: Transaction, command: commands.StopAdvance) -> dict[str, Any]:
    """End the job where it is."""
    _, advance_id = await _lock_clock(tx, may_advance=True)
    if advance_id is None:
        raise rules.NOT_ADVANCING()
    await end_advance(tx, advance_id, tx.now, "stopped")
    tx.emit(events.AdvanceStopped(advance_id=advance_id, at_ms=tx.now))
    return {"id": advance_id, "state": "stopped", "at_ms": tx.now}


async def end_advance(tx: Transaction, advance_id: UUID, at: int, state: str) -> None:
    """Let the clock run on from `at`."""
    await tx.execute(
        "UPDATE worlds SET advance_id = NULL, advance_to = NULL, anchor_world_ms = $2, anchor_real_ms = $3 "
        "WHERE id = $1",
        tx.world_id, at, tx.real_ms,
    )  # fmt: skip
    await tx.execute(
        "UPDATE advances SET state = $3, reached_ms = $4, finished_at = clock_timestamp() "
        "WHERE world_id = $1 AND id = $2",
        tx.world_id, advance_id, state, at,
    )  # fmt: skip
    tx.clock_changed = True


async def set_member(tx: Transaction, command: commands.SetMember) -> dict[str, Any]:
    """Add a member or change a role."""
    known = await tx.fetchval("SELECT true FROM users WHERE id = $1", command.user_id)
    if not known:
        raise rules.USER_NOT_FOUND()
    role = Role.from_label(command.role)
    theirs, owners = await _lock_members(tx, command.user_id)
    rules.check_role_change(tx.role, theirs, role, owners=owners)
    await _write_member(tx, tx.world_id, command.user_id, role)
    await _fix_owner(tx)
    tx.emit(events.MemberSet(user_id=command.user_id, role=role.label))
    return {"user_id": command.user_id, "role": role.label}


async def remove_member(tx: Transaction, command: commands.RemoveMember) -> None:
    """Take a member out."""
    theirs, owners = await _lock_members(tx, command.user_id)
    if theirs is None:
        raise rules.MEMBER_NOT_FOUND()
    rules.check_role_change(tx.role, theirs, None, owners=owners)
    await _delete_member(tx, command.user_id)
    tx.emit(events.MemberRemoved(user_id=command.user_id))


async def leave_world(tx: Transaction, command: commands.LeaveWorld) -> None:
    """Let the actor go."""
    assert tx.actor.user_id is not None
    theirs, owners = await _lock_members(tx, tx.actor.user_id)
    rules.check_role_change(None, theirs, None, owners=owners)
    await _delete_member(tx, tx.actor.user_id)
    tx.emit(events.MemberLeft(user_id=tx.actor.user_id))


async def replay_dead_letter(tx: Transaction, command: commands.ReplayDeadLetter) -> None:
    """Do what failed, and close the letter."""
    letter = await deadletters.lock_open(tx, command.dead_letter_id)
    await deadletters.replay(tx, letter)
    await deadletters.close(tx, command.dead_letter_id, "replayed")
    tx.emit(events.DeadLetterReplayed(dead_letter_id=command.dead_letter_id))


async def drop_dead_letter(tx: Transaction, command: commands.DropDeadLetter) -> None:
    """Close the letter."""
    await deadletters.lock_open(tx, command.dead_letter_id)
    await deadletters.close(tx, command.dead_letter_id, "dropped")
    tx.emit(events.DeadLetterDropped(dead_letter_id=command.dead_letter_id))


async def _lock_members(tx: Transaction, user_id: UUID) -> tuple[Role | None, int]:
    """The role of one member, and how many owners there are; the members are locked in order."""
    rows = await tx.fetch(
        "SELECT user_id, role FROM world_members WHERE world_id = $1 AND (user_id = $2 OR role = $3) "
        "ORDER BY user_id FOR UPDATE",
        tx.world_id, user_id, int(Role.OWNER),
    )  # fmt: skip
    theirs = next((Role(r["role"]) for r in rows if r["user_id"] == user_id), None)
    return theirs, sum(r["role"] == Role.OWNER for r in rows)


async def _write_member(tx: Transaction, world_id: UUID, user_id: UUID, role: Role) -> None:
    tx.rights_changed = True
    await tx.execute(
        "INSERT INTO world_members (world_id, user_id, role) VALUES ($1, $2, $3) "
        "ON CONFLICT (world_id, user_id) DO UPDATE SET role = $3",
        world_id, user_id, int(role),
    )  # fmt: skip


async def _delete_member(tx: Transaction, user_id: UUID) -> None:
    tx.rights_changed = True
    await tx.execute("DELETE FROM world_members WHERE world_id = $1 AND user_id = $2", tx.world_id, user_id)
    await _fix_owner(tx)


async def _fix_owner(tx: Transaction) -> None:
    """Keep `worlds.owner_id` on a member who is an owner."""
    await tx.execute(
        "UPDATE worlds w SET owner_id = (SELECT user_id FROM world_members m WHERE m.world_id = w.id AND role = $2 "
        "ORDER BY joined_at, user_id LIMIT 1) WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM world_members m "
        "WHERE m.world_id = w.id AND m.user_id = w.owner_id AND m.role = $2)",
        tx.world_id, int(Role.OWNER),
    )  # fmt: skip
