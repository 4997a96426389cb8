"""HTTP routes of worlds, their clocks, members and dead letters."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Body, Query
from pydantic import BaseModel, ConfigDict, Field

from fablewright.core.actors import Role
from fablewright.core.permissions import ROLE_TOO_LOW, WORLD_NOT_FOUND
from fablewright.gateway.api import (
    CURSOR_INVALID,
    PAGE_TOO_LARGE,
    Caller,
    Committed,
    Page,
    Paging,
    moment,
    page_of,
    position_of,
    refusals,
)  # fmt: skip
from fablewright.systems.worlds import commands, rules, views
from fablewright.systems.worlds.commands import RoleLabel

router = APIRouter(tags=["worlds"])
WORLD = "/worlds/{world_id}"


PAGED = (CURSOR_INVALID, PAGE_TOO_LARGE)


def _shown(*values: dict[str, Any]) -> Any:
    """Examples of a body, for the documentation."""
    return Body(openapi_examples={f"example {n}": {"value": value} for n, value in enumerate(values, 1)})


class Created(BaseModel):
    """A world that was just made."""

    id: UUID
    name: str


class Changed(BaseModel):
    """Which fields of a world were changed."""

    id: UUID
    changed: list[str]


class ClockView(BaseModel):
    """A world's clock."""

    now: int = Field(description="World time in ms from the world's epoch.")
    rate: float = Field(description="World milliseconds per real millisecond.")
    paused: bool


class Started(BaseModel):
    """A fast-forward that has begun; times are world time in ms."""

    id: UUID
    from_ms: int
    to_ms: int
    state: Literal["running"]


class Stopped(BaseModel):
    """A fast-forward that was stopped; `at_ms` is world time."""

    id: UUID
    state: Literal["stopped"]
    at_ms: int


class Membership(BaseModel):
    """What an account is in a world."""

    user_id: UUID
    role: RoleLabel


class RoleBody(BaseModel):
    """The role to have."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"role": "player"}]})

    role: RoleLabel


NewWorld = Annotated[
    commands.CreateWorld,
    _shown({"name": "The Vale of Ash"}, {"name": "The Vale of Ash", "seed": 7, "rate": 60.0, "paused": True}),
]
WorldPatch = Annotated[
    commands.UpdateWorld, _shown({"name": "The Vale of Embers", "settings": {"snow": True}})
]
ClockPatch = Annotated[commands.SetClock, _shown({"paused": True}, {"rate": 60.0, "paused": False})]
Advance = Annotated[commands.AdvanceWorld, _shown({"by_ms": 3_600_000})]


@router.post(
    "/worlds",
    status_code=201,
    responses=refusals(commands.CreateWorld, ROLE_TOO_LOW, WORLD_NOT_FOUND, world=False),
)
async def create_world(body: NewWorld, caller: Caller) -> Committed[Created]:
    """Make a world. You become its owner."""
    return await caller.execute(body, status=201)  # type: ignore[no-any-return]


@router.get("/worlds", responses=refusals(PAGED, world=False))
async def list_worlds(caller: Caller, paging: Paging) -> Page[views.WorldView]:
    """The worlds you are a member of."""
    user_id = caller.signed_in()
    after = position_of(paging, UUID)
    async with caller.runtime.database.reading() as connection:
        found = await views.worlds_of(
            connection, user_id, caller.actor.most, caller.actor.only_world, after, paging.limit + 1
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
async def update_world(world_id: UUID, body: WorldPatch, caller: Caller) -> Committed[Changed]:
    """Change name, description or settings."""
    return await caller.execute(body, world_id)  # type: ignore[no-any-return]


@router.delete(WORLD, responses=refusals(commands.DeleteWorld))
async def delete_world(world_id: UUID, caller: Caller) -> Committed[None]:
    """Delete the world and all that is in it. It cannot be undone."""
    return await caller.execute(commands.DeleteWorld(), world_id)  # type: ignore[no-any-return]


@router.put(WORLD + "/clock", responses=refusals(commands.SetClock))
async def set_clock(world_id: UUID, body: ClockPatch, caller: Caller) -> Committed[ClockView]:
    """Set the rate of time, pause it or let it run."""
    return await caller.execute(body, world_id)  # type: ignore[no-any-return]


@router.post(WORLD + "/advance", status_code=202, responses=refusals(commands.AdvanceWorld))
async def advance_world(world_id: UUID, body: Advance, caller: Caller) -> Committed[Started]:
    """Fast-forward the world. Watch the job under `/advances/{id}`."""
    return await caller.execute(body, world_id, status=202)  # type: ignore[no-any-return]


@router.delete(WORLD + "/advance", responses=refusals(commands.StopAdvance))
async def stop_advance(world_id: UUID, caller: Caller) -> Committed[Stopped]:
    """Stop the fast-forward where it is."""
    return await caller.execute(commands.StopAdvance(), world_id)  # type: ignore[no-any-return]


@router.get(WORLD + "/advances", responses=refusals(PAGED))
async def list_advances(world_id: UUID, caller: Caller, paging: Paging) -> Page[views.AdvanceView]:
    """The advances of this world, newest first."""
    after = position_of(paging, moment, UUID)
    async with caller.reading(world_id) as connection:
        found = await views.advances(connection, world_id, None, after, paging.limit + 1)
    return page_of(found, paging, lambda a: [a.started_at, a.id])


@router.get(WORLD + "/advances/{advance_id}", responses=refusals(rules.ADVANCE_NOT_FOUND))
async def get_advance(world_id: UUID, advance_id: UUID, caller: Caller) -> views.AdvanceView:
    """How far an advance is."""
    async with caller.reading(world_id) as connection:
        found = await views.advances(connection, world_id, advance_id, None, 1)
    if not found:
        raise rules.ADVANCE_NOT_FOUND()
    return found[0]


@router.get(WORLD + "/members", responses=refusals(PAGED))
async def list_members(world_id: UUID, caller: Caller, paging: Paging) -> Page[views.MemberView]:
    """Who belongs to the world."""
    after = position_of(paging, UUID)
    async with caller.reading(world_id) as connection:
        found = await views.members(connection, world_id, after, paging.limit + 1)
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


@router.get(WORLD + "/dead-letters", responses=refusals(PAGED))
async def list_dead_letters(
    world_id: UUID, caller: Caller, paging: Paging,
    state: Annotated[
        Literal["open", "replayed", "dropped"], Query(description="Only those in this state.")
    ] = "open",
) -> Page[views.DeadLetterView]:  # fmt: skip
    """What could not be done. For game masters."""
    after = position_of(paging, UUID)
    async with caller.reading(world_id, Role.GAME_MASTER) as connection:
        found = await views.dead_letters(connection, world_id, state, after, paging.limit + 1)
    return page_of(found, paging, lambda d: [d.id])


@router.post(WORLD + "/dead-letters/{dead_letter_id}/replay", responses=refusals(commands.ReplayDeadLetter))
async def replay_dead_letter(world_id: UUID, dead_letter_id: UUID, caller: Caller) -> Committed[None]:
    """Do now what failed then."""
    return await caller.execute(commands.ReplayDeadLetter(dead_letter_id=dead_letter_id), world_id)  # type: ignore[no-any-return]


@router.delete(WORLD + "/dead-letters/{dead_letter_id}", responses=refusals(commands.DropDeadLetter))
async def drop_dead_letter(world_id: UUID, dead_letter_id: UUID, caller: Caller) -> Committed[None]:
    """Give up what failed."""
    return await caller.execute(commands.DropDeadLetter(dead_letter_id=dead_letter_id), world_id)  # type: ignore[no-any-return]
