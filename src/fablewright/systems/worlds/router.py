"""HTTP routes of worlds, their clocks, members and dead letters."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel

from fablewright.core.actors import Role
from fablewright.core.permissions import WORLD_NOT_FOUND
from fablewright.gateway.api import Caller, Committed, Page, Paging, page_of, refusals
from fablewright.systems.worlds import commands, rules, views
from fablewright.systems.worlds.commands import RoleLabel

router = APIRouter(tags=["worlds"])
WORLD = "/worlds/{world_id}"


class Created(BaseModel):
    id: UUID
    name: str


class Changed(BaseModel):
    id: UUID
    changed: list[str]


class ClockView(BaseModel):
    now: int
    rate: float
    paused: bool


class Started(BaseModel):
    id: UUID
    from_ms: int
    to_ms: int
    state: Literal["running"]


class Stopped(BaseModel):
    id: UUID
    state: Literal["stopped"]
    at_ms: int


class Membership(BaseModel):
    user_id: UUID
    role: RoleLabel


class RoleBody(BaseModel):
    role: RoleLabel


@router.post("/worlds", status_code=201, responses=refusals(commands.CreateWorld, world=False))
async def create_world(body: commands.CreateWorld, caller: Caller) -> Committed[Created]:
    """Make a world. You become its owner."""
    return await caller.execute(body, status=201)  # type: ignore[no-any-return]


@router.get("/worlds", responses=refusals(world=False))
async def list_worlds(caller: Caller, paging: Paging) -> Page[views.WorldView]:
    """The worlds you are a member of."""
    user_id = caller.signed_in()
    async with caller.runtime.database.reading() as connection:
        found = await views.worlds_of(
            connection, user_id, caller.actor.most, caller.actor.only_world, paging.after, paging.limit + 1
        )
    return page_of(found, paging, lambda w: [w.id])


@router.get(WORLD, responses=refusals())
async def get_world(world_id: UUID, caller: Caller) -> views.WorldView:
    """One world, with its time and its newest `seq`."""
    async with caller.reading(world_id) as connection:
        found = await views.world(connection, world_id, caller.signed_in(), caller.actor.most)
    if found is None:
        raise WORLD_NOT_FOUND()
    return found


@router.patch(WORLD, responses=refusals(commands.UpdateWorld))
async def update_world(world_id: UUID, body: commands.UpdateWorld, caller: Caller) -> Committed[Changed]:
    """Change name, description or settings."""
    return await caller.execute(body, world_id)  # type: ignore[no-any-return]


@router.delete(WORLD, responses=refusals(commands.DeleteWorld))
async def delete_world(world_id: UUID, caller: Caller) -> Committed[None]:
    """Delete the world and all that is in it. It cannot be undone."""
    return await caller.execute(commands.DeleteWorld(), world_id)  # type: ignore[no-any-return]


@router.put(WORLD + "/clock", responses=refusals(commands.SetClock))
async def set_clock(world_id: UUID, body: commands.SetClock, caller: Caller) -> Committed[ClockView]:
    """Set the rate of time, pause it or let it run."""
    return await caller.execute(body, world_id)  # type: ignore[no-any-return]


@router.post(WORLD + "/advance", status_code=202, responses=refusals(commands.AdvanceWorld))
async def advance_world(world_id: UUID, body: commands.AdvanceWorld, caller: Caller) -> Committed[Started]:
    """Fast-forward the world. Watch the job under `/advances/{id}`."""
    return await caller.execute(body, world_id, status=202)  # type: ignore[no-any-return]


@router.delete(WORLD + "/advance", responses=refusals(commands.StopAdvance))
async def stop_advance(world_id: UUID, caller: Caller) -> Committed[Stopped]:
    """Stop the fast-forward where it is."""
    return await caller.execute(commands.StopAdvance(), world_id)  # type: ignore[no-any-return]


@router.get(WORLD + "/advances", responses=refusals())
async def list_advances(world_id: UUID, caller: Caller, paging: Paging) -> Page[views.AdvanceView]:
    """The advances of this world, newest first."""
    async with caller.reading(world_id) as connection:
        found = await views.advances(connection, world_id, None, paging.after, paging.limit + 1)
    return page_of(found, paging, lambda a: [a.started_at, a.id])


@router.get(WORLD + "/advances/{advance_id}", responses=refusals(rules.ADVANCE_NOT_FOUND))
async def get_advance(world_id: UUID, advance_id: UUID, caller: Caller) -> views.AdvanceView:
    """How far an advance is."""
    async with caller.reading(world_id) as connection:
        found = await views.advances(connection, world_id, advance_id, None, 1)
    if not found:
        raise rules.ADVANCE_NOT_FOUND()
    return found[0]


@router.get(WORLD + "/members", responses=refusals())
async def list_members(world_id: UUID, caller: Caller, paging: Paging) -> Page[views.MemberView]:
    """Who belongs to the world."""
    async with caller.reading(world_id) as connection:
        found = await views.members(connection, world_id, paging.after, paging.limit + 1)
    return page_of(found, paging, lambda m: [m.user_id])


@router.put(WORLD + "/members/{user_id}", responses=refusals(commands.SetMember))
async def set_member(world_id: UUID, user_id: UUID, body: RoleBody, caller: Caller) -> Committed[Membership]:
    """Make an account a member, or give it another role."""
    command = commands.SetMember(user_id=user_id, role=body.role)
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.delete(WORLD + "/members/{user_id}", responses=refusals(commands.RemoveMember))
async def remove_member(world_id: UUID, user_id: UUID, caller: Caller) -> Committed[None]:
    """Take an account out of the world."""
    return await caller.execute(commands.RemoveMember(user_id=user_id), world_id)  # type: ignore[no-any-return]


@router.post(WORLD + "/leave", responses=refusals(commands.LeaveWorld))
async def leave_world(world_id: UUID, caller: Caller) -> Committed[None]:
    """Leave the world."""
    return await caller.execute(commands.LeaveWorld(), world_id)  # type: ignore[no-any-return]


@router.get(WORLD + "/dead-letters", responses=refusals())
async def list_dead_letters(
    world_id: UUID, caller: Caller, paging: Paging,
    state: Annotated[Literal["open", "replayed", "dropped"], Query()] = "open",
) -> Page[views.DeadLetterView]:  # fmt: skip
    """What could not be done. For game masters."""
    async with caller.reading(world_id, Role.GAME_MASTER) as connection:
        found = await views.dead_letters(connection, world_id, state, paging.after, paging.limit + 1)
    return page_of(found, paging, lambda d: [d.id])


@router.post(WORLD + "/dead-letters/{dead_letter_id}/replay", responses=refusals(commands.ReplayDeadLetter))
async def replay_dead_letter(world_id: UUID, dead_letter_id: UUID, caller: Caller) -> Committed[None]:
    """Do now what failed then."""
    return await caller.execute(commands.ReplayDeadLetter(dead_letter_id=dead_letter_id), world_id)  # type: ignore[no-any-return]


@router.delete(WORLD + "/dead-letters/{dead_letter_id}", responses=refusals(commands.DropDeadLetter))
async def drop_dead_letter(world_id: UUID, dead_letter_id: UUID, caller: Caller) -> Committed[None]:
    """Give up what failed."""
    return await caller.execute(commands.DropDeadLetter(dead_letter_id=dead_letter_id), world_id)  # type: ignore[no-any-return]
