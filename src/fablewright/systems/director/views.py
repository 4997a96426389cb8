"""What is read of the director."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import orjson
from pydantic import Field

from fablewright.core import log
from fablewright.core.log import Filter
from fablewright.core.messages import View
from fablewright.systems.director.commands import ConfigureDirector
from fablewright.systems.director.events import FactionWeighed, WeighedAct

WINDOWS: Final = 25
"""How many windows of the log are looked through for decisions, newest first."""


class DirectorView(View):
    """How the npc characters of a world act by themselves."""

    enabled: bool
    beats_per_minute: float = Field(description="Beats per minute of world time, 0.01 to 600.")
    acts_per_beat: int = Field(description="How many characters act in a beat, 1 to 1,000.")
    council_days: float | None = Field(
        30.0, description="World days between the councils of factions that run themselves; null for none."
    )


class ArcView(View):
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


class DecisionView(View):
    """A decision of a faction: what it weighed, what it chose and why. `at` is world ms."""

    seq: int = Field(description="Where in the log it stands; `GET …/why/{seq}` tells what led to it.")
    at: int
    matter: str
    act: str
    target_id: UUID | None
    about_id: UUID | None
    kind: str
    chosen: int
    options: list[WeighedAct]
    weighed: int
    because: str
    refused: str | None


class ReasoningView(View):
    """Why a faction did what it did. `now` is what it would weigh at this moment, for those who stand for it."""

    faction_id: UUID
    self_run: bool
    decisions: list[DecisionView] = Field(description="The latest first.")
    up_to: int = Field(description="The log was looked through back to this `seq`.")
    now: list[WeighedAct] | None = Field(
        description="Heaviest first; null for those who do not stand for it."
    )


async def decisions(
    connection: Any, world_id: UUID, faction_id: UUID, reader: Filter, before: int | None, limit: int, *, real: bool
) -> tuple[list[DecisionView], int]:  # fmt: skip
    """The latest decisions that a reader asks for and may see, newest first, and back to which `seq` was looked.

    With `real` they tell what was really weighed, not what all can see of it.
    """
    end = await log.head_of(connection, world_id) + 1 if before is None else before
    condition, values = reader.where(6)
    found: list[DecisionView] = []
    for _ in range(WINDOWS):
        if end <= 1 or len(found) >= limit:
            break
        start = max(1, end - log.WINDOW)
        rows = await connection.fetch(
            f"SELECT seq, id, at, data::text AS data FROM events WHERE world_id = $1 AND seq >= $2 AND seq < $3 "  # noqa: S608
            f"AND data ->> 'faction_id' = $5{condition} ORDER BY seq DESC LIMIT $4",
            world_id, start, end, limit - len(found), str(faction_id), *values,
        )  # fmt: skip
        weighed = await _weighed(connection, world_id, rows) if real else {}
        found += [_decision(r, weighed.get(r["id"], {})) for r in rows]
        end = found[-1].seq if len(found) >= limit else start
    return found, end


async def _weighed(connection: Any, world_id: UUID, rows: Sequence[Any]) -> dict[UUID, dict[str, Any]]:
    """By id of the decision, what was really weighed, if that differs; it stands next in the log."""
    found = await connection.fetch(
        "SELECT causation_id, data::text AS data FROM events WHERE world_id = $1 AND seq = ANY($2::bigint[]) "
        "AND type = $3", world_id, [r["seq"] + 1 for r in rows], FactionWeighed.message_type,
    )  # fmt: skip
    return {r["causation_id"]: orjson.loads(r["data"]) for r in found}


def _decision(row: Any, weighed: dict[str, Any]) -> DecisionView:
    data = {**orjson.loads(row["data"]), **weighed, "seq": row["seq"], "at": row["at"]}
    return DecisionView(**{name: data.get(name) for name in DecisionView.model_fields})
