"""What is read of characters."""

from typing import Any, Final, Literal
from uuid import UUID

import orjson
from pydantic import BaseModel, Field

from fablewright.core.clock import WorldClock
from fablewright.systems.characters.commands import Personality
from fablewright.systems.characters.rules import CharacterState, Traits, energy_now

COLUMNS: Final = (
    "id, name, kind, user_id, description, openness, conscientiousness, extraversion, agreeableness, "
    "neuroticism, energy, energy_at, status"
)
TRAITS: Final = ("openness", "conscientiousness", "extraversion", "agreeableness", "neuroticism")


class CharacterView(BaseModel):
    """A character as it is now."""

    id: UUID
    name: str
    kind: Literal["player", "npc"]
    user_id: UUID | None = Field(description="Who controls it; null if it acts by itself or not at all.")
    description: str
    personality: Personality
    energy: float = Field(description="0 (exhausted) to 1 (rested), at the time of this answer.")
    status: Literal["active", "asleep", "away"]


def state_of(row: Any) -> CharacterState:
    """A character from a row of `COLUMNS`."""
    return CharacterState(
        row["id"], row["name"], row["kind"], row["user_id"], row["description"],
        Traits(*(row[trait] for trait in TRAITS)), row["energy"], row["energy_at"], row["status"],
    )  # fmt: skip


def personality_of(traits: Traits) -> Personality:
    """Traits as they are answered."""
    return Personality.model_construct(**{trait: getattr(traits, trait) for trait in TRAITS})


def view_of(state: CharacterState, now: int) -> CharacterView:
    """A character as it is answered at world time `now`."""
    return CharacterView.model_construct(
        id=state.id, name=state.name, kind=state.kind, user_id=state.user_id, description=state.description,
        personality=personality_of(state.traits), energy=state.energy_now(now), status=state.status,
    )  # fmt: skip


# Membership, world clock and character in one statement: this is the busiest read of all.
ONE: Final = """
SELECT m.role, w.anchor_world_ms, w.anchor_real_ms, w.rate, w.paused, w.advance_id IS NOT NULL AS advancing,
       (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS real_ms,
       c.id, c.name, c.kind, c.user_id, c.description, c.openness, c.conscientiousness, c.extraversion,
       c.agreeableness, c.neuroticism, c.energy, c.energy_at, c.status
FROM world_members m
JOIN worlds w ON w.id = m.world_id
LEFT JOIN characters c ON c.world_id = m.world_id AND c.id = $3 AND c.deleted_at IS NULL
WHERE m.world_id = $1 AND m.user_id = $2
"""
CLOCK: Final = """
SELECT anchor_world_ms, anchor_real_ms, rate, paused, advance_id IS NOT NULL AS advancing,
       (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS real_ms
FROM worlds WHERE id = $1
"""


def world_now(row: Any) -> int:
    """World time (ms) from a row with the columns of `CLOCK`."""
    clock = WorldClock(
        row["anchor_world_ms"], row["anchor_real_ms"], row["rate"], row["paused"], row["advancing"]
    )
    return clock.now(row["real_ms"])


def encode_one(row: Any) -> bytes:
    """The JSON of a `CharacterView` straight from a row of `ONE`."""
    return orjson.dumps(
        {
            "id": str(row["id"]), "name": row["name"], "kind": row["kind"],
            "user_id": None if row["user_id"] is None else str(row["user_id"]),
            "description": row["description"],
            "personality": {trait: row[trait] for trait in TRAITS},
            "energy": energy_now(row["energy"], row["energy_at"], world_now(row)),
            "status": row["status"],
        }
    )  # fmt: skip


async def list_page(
    connection: Any, world_id: UUID, *, q: str | None, prefix: str | None, kind: str | None,
    after: tuple[str, UUID] | None, limit: int,
) -> list[CharacterView]:  # fmt: skip
    """Up to `limit` living characters by (name, id) after a position.

    `q` must occur in the name, `prefix` must begin it, in any case of letters.
    """
    conditions, values = ["world_id = $1", "deleted_at IS NULL"], [world_id]

    def add(condition: str, *parameters: Any) -> None:
        values.extend(parameters)
        first = len(values) - len(parameters) + 1
        conditions.append(condition.format(*(f"${first + n}" for n in range(len(parameters)))))

    if q:
        add("name ILIKE {}", f"%{_escaped(q)}%")
    if prefix:
        add("lower(name) LIKE lower({}::text)", f"{_escaped(prefix)}%")
    if kind:
        add("kind = {}", kind)
    if after:
        add("(name, id) > ({}, {})", *after)
    rows = await connection.fetch(
        f"SELECT {COLUMNS} FROM characters WHERE {' AND '.join(conditions)} "  # noqa: S608  fixed texts only
        f"ORDER BY name, id LIMIT {int(limit)}",
        *values,
    )
    now = world_now(await connection.fetchrow(CLOCK, world_id))
    return [view_of(state_of(row), now) for row in rows]


def _escaped(text: str) -> str:
    """The text with the wildcards of LIKE taken literally."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
