"""What is read of the director."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from fablewright.systems.director.commands import ConfigureDirector


class DirectorView(BaseModel):
    """How the npc characters of a world act by themselves."""

    enabled: bool
    beats_per_minute: float = Field(description="Beats per minute of world time, 0.01 to 600.")
    acts_per_beat: int = Field(description="How many characters act in a beat, 1 to 1,000.")
    council_days: float | None = Field(
        30.0, description="World days between the councils of factions that run themselves; null for none."
    )


class ArcView(BaseModel):
    """A small story between two characters; `first_id` began it. Times are world ms."""

    id: UUID
    kind: str = Field(description="quarrel, feud, courtship or friendship.")
    stage: str = Field(description="started, rising or resolved.")
    first_id: UUID
    second_id: UUID
    others: list[UUID] = Field(description="Those who were drawn in.")
    tension: float = Field(description="0..1, as it was at `changed_at`.")
    turns: list[UUID] = Field(description="Events that moved it, the last ones.")
    started_at: int
    changed_at: int
    resolved_at: int | None
    outcome: str | None


async def of_world(connection: Any, world_id: UUID) -> DirectorView:
    """The director of a world; one that was never set is off."""
    row = await connection.fetchrow(
        "SELECT enabled, beats_per_minute, acts_per_beat, council_days FROM directors WHERE world_id = $1",
        world_id,
    )
    return DirectorView(**(dict(row) if row else ConfigureDirector(enabled=False).model_dump()))


async def arcs(
    connection: Any, world_id: UUID, state: str, after: Sequence[Any] | None, limit: int
) -> list[ArcView]:
    """Arcs in the order of their beginning, newest first, after a position (started_at, id)."""
    at, arc_id = after or (None, None)
    rows = await connection.fetch(
        "SELECT id, kind, stage, first_id, second_id, others, tension, turns, started_at, changed_at, resolved_at, "
        "outcome FROM arcs WHERE world_id = $1 AND ($2 = 'all' OR (resolved_at IS NULL) = ($2 = 'open')) "
        "AND ($3::bigint IS NULL OR (started_at, id) < ($3, $4::uuid)) ORDER BY started_at DESC, id DESC LIMIT $5",
        world_id, state, at, arc_id, limit,
    )  # fmt: skip
    return [ArcView(**dict(row)) for row in rows]
