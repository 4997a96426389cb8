"""What is read of worlds: queries and response models."""

from dataclasses import asdict
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import orjson
from pydantic import Field

from fablewright.core.actors import Role
from fablewright.core.clock import Calendar, WorldClock
from fablewright.core.messages import View
from fablewright.systems.worlds.commands import CalendarSettings, RoleLabel


class WorldView(View):
    """A world as its members see it. Its seed stays secret."""

    id: UUID
    name: str
    description: str
    settings: dict[str, Any]
    owner_id: UUID | None
    role: RoleLabel = Field(description="The caller's role.")
    seq: int = Field(description="Position of the newest event.")
    now: int = Field(description="World time in ms from the world's epoch.")
    date: str = Field(
        description="World time by the world's calendar.", examples=["3 Harvest, year 2, 14:05"]
    )
    calendar: CalendarSettings
    rate: float
    paused: bool
    advance_id: UUID | None = Field(description="The advance under way, if any.")
    created_at: datetime


class AdvanceView(View):
    """A fast-forward and how far it is."""

    id: UUID
    from_ms: int
    to_ms: int
    now_ms: int = Field(description="How far it is.")
    progress: float = Field(ge=0, le=1)
    batches: int
    timers_fired: int
    state: Literal["running", "done", "stopped"]
    started_at: datetime
    finished_at: datetime | None


class MemberView(View):
    """A member of a world."""

    user_id: UUID
    role: RoleLabel
    joined_at: datetime


class DeadLetterView(View):
    """What a following reaction, a consumer or a timer could not do."""

    id: UUID
    source: Literal["reaction", "consumer", "timer"]
    handler: str
    payload: dict[str, Any]
    error: str
    attempts: int
    state: Literal["open", "replayed", "dropped"]
    at: int
    created_at: datetime


WORLDS = """
SELECT w.id, w.name, w.description, w.settings::text AS settings, w.calendar::text AS calendar, w.owner_id, m.role,
       h.seq, w.anchor_world_ms, w.anchor_real_ms, w.rate, w.paused, w.advance_id, w.created_at,
       (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS real_ms
FROM world_members m JOIN worlds w ON w.id = m.world_id JOIN world_heads h ON h.world_id = w.id
WHERE m.user_id = $1
"""


def world_view(row: Any, most: Role) -> WorldView:
    """A world from a row of `WORLDS`; an API key's role is capped by `most`."""
    clock = WorldClock(
        row["anchor_world_ms"],
        row["anchor_real_ms"],
        row["rate"],
        row["paused"],
        row["advance_id"] is not None,
    )
    now = clock.now(row["real_ms"])
    calendar = Calendar(**orjson.loads(row["calendar"]))
    return WorldView.model_validate({
        **{k: row[k] for k in ("id", "name", "description", "owner_id", "seq", "rate", "paused", "advance_id")},
        "calendar": asdict(calendar),
        "created_at": row["created_at"], "settings": orjson.loads(row["settings"]),
        "role": min(Role(row["role"]), most).label, "now": now,
        "date": calendar.read(now),
    })  # fmt: skip


async def world(connection: Any, world_id: UUID, user_id: UUID, most: Role) -> WorldView | None:
    """One world of a member."""
    row = await connection.fetchrow(WORLDS + " AND w.id = $2", user_id, world_id)
    return None if row is None else world_view(row, most)


async def worlds_of(
    connection: Any, user_id: UUID, most: Role, only: UUID | None, after: list[Any] | None, limit: int
) -> list[WorldView]:
    """A user's worlds by id; `only` narrows to the world an API key is bound to."""
    rows = await connection.fetch(
        WORLDS + " AND ($2::uuid IS NULL OR w.id = $2) AND ($3::uuid IS NULL OR w.id > $3) ORDER BY w.id LIMIT $4",
        user_id, only, after[0] if after else None, limit,
    )  # fmt: skip
    return [world_view(row, most) for row in rows]


async def advances(
    connection: Any, world_id: UUID, advance_id: UUID | None, after: list[Any] | None, limit: int
) -> list[AdvanceView]:
    """The advances of a world, newest first, or the one with an id."""
    rows = await connection.fetch(
        "SELECT a.* FROM advances a "
        "WHERE a.world_id = $1 AND ($2::uuid IS NULL OR a.id = $2) "
        "AND ($3::timestamptz IS NULL OR (a.started_at, a.id) < ($3, $4::uuid)) "
        "ORDER BY a.started_at DESC, a.id DESC LIMIT $5",
        world_id, advance_id, after[0] if after else None, after[1] if after else None, limit,
    )  # fmt: skip
    return [_advance_view(row) for row in rows]


def _advance_view(row: Any) -> AdvanceView:
    span = row["to_ms"] - row["from_ms"]
    progress = (row["reached_ms"] - row["from_ms"]) / span if span else 1.0
    return AdvanceView.model_validate({**row, "now_ms": row["reached_ms"], "progress": progress})


async def members(connection: Any, world_id: UUID, after: list[Any] | None, limit: int) -> list[MemberView]:
    """The members of a world by user id."""
    rows = await connection.fetch(
        "SELECT user_id, role, joined_at FROM world_members WHERE world_id = $1 "
        "AND ($2::uuid IS NULL OR user_id > $2) ORDER BY user_id LIMIT $3",
        world_id, after[0] if after else None, limit,
    )  # fmt: skip
    return [MemberView.model_validate({**r, "role": Role(r["role"]).label}) for r in rows]


async def dead_letters(
    connection: Any, world_id: UUID, state: str, after: list[Any] | None, limit: int
) -> list[DeadLetterView]:
    """The dead letters of a world in one state, by id."""
    rows = await connection.fetch(
        "SELECT id, source, handler, payload::text AS payload, error, attempts, state, at, created_at "
        "FROM dead_letters WHERE world_id = $1 AND state = $2 AND ($3::uuid IS NULL OR id > $3) ORDER BY id LIMIT $4",
        world_id, state, after[0] if after else None, limit,
    )  # fmt: skip
    return [DeadLetterView.model_validate({**r, "payload": orjson.loads(r["payload"])}) for r in rows]
