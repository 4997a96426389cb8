"""Worlds: what everything else lives in.

Nouns: world, clock, advance (fast-forward), member, dead letter.

Invariants: a world has a head, an owner among its members, and a gap-free log; its time never runs backwards;
while it is being advanced, only the advance moves it and other commands are refused `world_is_advancing`.
The tables are the core's (`core.tables`), since the engine itself works with them.
"""

from typing import Any
from uuid import UUID

from fablewright.core.actors import Actor, Role
from fablewright.core.system import Handler, System
from fablewright.systems.accounts.rules import OWNS_WORLDS
from fablewright.systems.worlds import advance, checks, commands, events, service
from fablewright.systems.worlds.pack import PACK
from fablewright.systems.worlds.router import router

MEMBERSHIPS = """
SELECT m.world_id, m.role = $2 AND NOT EXISTS (
    SELECT 1 FROM world_members o WHERE o.world_id = m.world_id AND o.user_id <> $1 AND o.role = $2) AS only_owner
FROM world_members m WHERE m.user_id = $1
"""


async def leave_all_worlds(runtime: Any, user_id: UUID) -> None:
    """Take an account out of every world, as commands, before it is erased. Refuses `owns_worlds`."""
    async with runtime.database.reading() as connection:
        rows = await connection.fetch(MEMBERSHIPS, user_id, int(Role.OWNER))
    owned = [str(row["world_id"]) for row in rows if row["only_owner"]]
    if owned:
        raise OWNS_WORLDS(worlds=owned)
    for row in rows:
        await runtime.engine.execute(
            commands.LeaveWorld(), Actor(f"user:{user_id}", user_id), row["world_id"]
        )


system = System(
    name="worlds",
    handlers=(
        Handler(commands.CreateWorld, service.create_world),
        Handler(commands.UpdateWorld, service.update_world),
        Handler(commands.DeleteWorld, service.delete_world),
        Handler(commands.SetClock, service.set_clock),
        Handler(commands.AdvanceWorld, service.advance_world),
        Handler(commands.StopAdvance, service.stop_advance),
        Handler(commands.SetMember, service.set_member),
        Handler(commands.RemoveMember, service.remove_member),
        Handler(commands.LeaveWorld, service.leave_world),
        Handler(commands.ReplayDeadLetter, service.replay_dead_letter),
        Handler(commands.DropDeadLetter, service.drop_dead_letter),
    ),
    events=(
        events.WorldCreated, events.WorldUpdated, events.WorldDeleted, events.ClockSet, events.AdvanceStarted,
        events.Advanced, events.AdvanceStopped, events.MemberSet, events.MemberRemoved, events.MemberLeft,
        events.DeadLetterReplayed, events.DeadLetterDropped,
    ),
    routers=(router,),
    workers=(advance.run,),
    checks=checks.CHECKS,
    principals_change_on=("worlds.member_set", "worlds.member_removed", "worlds.member_left"),
    extra={"before_erase": leave_all_worlds, "pack": PACK},
)  # fmt: skip
