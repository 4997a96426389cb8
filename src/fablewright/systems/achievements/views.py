"""What is read of achievements: definitions, who has come how far, and how far a backfill is."""

from collections.abc import Collection
from functools import lru_cache
from typing import Any, Final, Literal
from uuid import UUID

import orjson
from pydantic import Field

from fablewright.core.clock import Calendar
from fablewright.core.messages import View
from fablewright.systems.achievements.rules import (
    AchievementDefinition,
    AllOf,
    AnyOf,
    Catalog,
    Entry,
    Ladder,
    Manual,
    ladder_of,
    measure_of,
)
from fablewright.systems.characters.views import world_now
from fablewright.systems.progress import service as progress
from fablewright.systems.progress.rules import current

Sight = Literal["none", "unlocked", "all"]
"""Which hidden achievements of a character somebody may see."""

MOST_UNLOCKS: Final = 20
"""Steps of one achievement that a standing names: the last ones."""

COLUMNS: Final = "id, key, spec::text AS spec, measure_id, generation"
# Membership, who controls the character, and the world's clock, in one statement.
ACCESS: Final = """
SELECT m.role, c.id, c.user_id, w.calendar::text AS calendar, w.anchor_world_ms, w.anchor_real_ms, w.rate, w.paused,
       w.advance_id IS NOT NULL AS advancing, (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS real_ms
FROM world_members m
JOIN worlds w ON w.id = m.world_id
LEFT JOIN characters c ON c.world_id = m.world_id AND c.deleted_at IS NULL AND c.id = $3
WHERE m.world_id = $1 AND m.user_id = $2
"""
PAGE: Final = f"""
SELECT {COLUMNS} FROM achievements a
WHERE a.world_id = $1 AND ($2::text IS NULL OR a.key > $2) AND ($3 OR NOT (a.spec ->> 'hidden')::boolean OR EXISTS (
    SELECT FROM achievement_unlocks u
    JOIN characters c ON c.world_id = u.world_id AND c.id = u.character_id AND c.deleted_at IS NULL
    WHERE u.world_id = $1 AND u.achievement_id = a.id AND c.user_id = $4))
ORDER BY a.key LIMIT $5
"""  # noqa: S608
UNKNOWN: Final = """
SELECT a.key FROM achievements a
WHERE a.world_id = $1 AND (a.spec ->> 'hidden')::boolean AND NOT EXISTS (
    SELECT FROM achievement_unlocks u
    JOIN characters c ON c.world_id = u.world_id AND c.id = u.character_id AND c.deleted_at IS NULL
    WHERE u.world_id = $1 AND u.achievement_id = a.id AND c.user_id = $2)
"""
UNLOCKS: Final = """
SELECT achievement_id, tier, repetition, at, event_id FROM achievement_unlocks
WHERE world_id = $1 AND character_id = $2 AND achievement_id = ANY($3::uuid[]) ORDER BY repetition, tier
"""
BACKFILL: Final = """
SELECT m.state, m.caught_up_to, h.seq AS head FROM achievements a
JOIN world_heads h ON h.world_id = a.world_id
LEFT JOIN measures m ON m.world_id = a.world_id AND m.id = a.measure_id
WHERE a.world_id = $1 AND a.key = $2
"""


class AchievementView(AchievementDefinition):
    """An achievement of the world."""

    key: str


class UnlockView(View):
    """A step that was unlocked."""

    tier: int
    name: str | None
    repetition: int
    at: int = Field(description="World time in ms.")
    event_id: UUID = Field(description="The event that tells of it.")


class StandingView(View):
    """How far a character has come in an achievement: `current` of `goal` to the next tier."""

    key: str
    name: str
    description: str
    icon: str
    hidden: bool
    tier: int = Field(description="The next tier, or the last one if all are reached.")
    tier_name: str | None
    tiers: int = Field(description="How many tiers it has.")
    current: float
    goal: float
    percent: int
    missing: list[str] = Field(
        description="What it requires and the character lacks; until then it is locked."
    )
    steps: int = Field(description="How many steps are unlocked: tiers, over all repetitions.")
    unlocked: list[UnlockView] = Field(description=f"The last {MOST_UNLOCKS} of them.")


class BackfillView(View):
    """How far the log was counted for an achievement."""

    state: Literal["catching_up", "settling", "live"] = Field(
        description="catching_up: it reads the log; settling: it counts, and unlocks what was reached; live: done."
    )
    up_to: int = Field(description="The position in the log that it has counted to.")
    head: int = Field(description="The newest position of the log.")
    percent: int


def entry_of(row: Any) -> Entry:
    """An achievement from a row of `COLUMNS`."""
    definition, ladder = _parsed(row["spec"])
    return Entry(row["id"], row["key"], definition, row["measure_id"], ladder, row["generation"])


@lru_cache(4096)
def _parsed(spec: str) -> tuple[AchievementDefinition, Ladder]:
    """A definition as it is kept: the same text always says the same."""
    definition = AchievementDefinition.model_validate_json(spec)
    return definition, ladder_of(definition)


def view_of(entry: Entry, secret: Collection[str] = ()) -> AchievementView:
    """An achievement as it is answered, without the secret ones that it names."""
    definition = entry.definition
    fields = {name: getattr(definition, name) for name in AchievementDefinition.model_fields}
    if secret:
        fields["requires"] = [key for key in definition.requires if key not in secret]
        if isinstance(definition.criteria, AllOf | AnyOf):
            keys = [key for key in definition.criteria.keys if key not in secret]
            fields["criteria"] = definition.criteria.model_copy(update={"keys": keys})
    return AchievementView.model_construct(key=entry.key, **fields)


async def secret_keys(connection: Any, world_id: UUID, user_id: UUID | None) -> set[str]:
    """The hidden achievements that no character of a user has."""
    return {row["key"] for row in await connection.fetch(UNKNOWN, world_id, user_id)}


async def load_catalog(connection: Any, world_id: UUID) -> Catalog:
    """All achievements of a world."""
    rows = await connection.fetch(
        f"SELECT {COLUMNS} FROM achievements WHERE world_id = $1 ORDER BY key",  # noqa: S608
        world_id,
    )
    return Catalog(entry_of(row) for row in rows)


async def page(
    connection: Any, world_id: UUID, *, all_of_them: bool, user_id: UUID | None, after: str | None, limit: int
) -> list[Entry]:
    """Up to `limit` achievements by key, after one; hidden ones only if a character of the user has them."""
    return [
        entry_of(row) for row in await connection.fetch(PAGE, world_id, after, all_of_them, user_id, limit)
    ]


async def one(
    connection: Any, world_id: UUID, key: str, *, all_of_them: bool, user_id: UUID | None
) -> Entry | None:
    """The achievement of a key, if the user may see it."""
    sql = PAGE.replace("($2::text IS NULL OR a.key > $2)", "a.key = $2::text")
    row = await connection.fetchrow(sql, world_id, key, all_of_them, user_id, 1)
    return None if row is None else entry_of(row)


def today(row: Any) -> int:
    """Which world day it is, from a row of `ACCESS`."""
    return Calendar(**orjson.loads(row["calendar"])).day_number(world_now(row))


async def standings(
    connection: Any,
    world_id: UUID,
    character_id: UUID,
    today: int,
    *,
    see: Sight,
    after: str | None,
    limit: int,
) -> list[StandingView]:
    """How far a character has come in up to `limit` achievements by key, after one.

    `see` says which of the hidden ones come, too.
    """
    catalog = await load_catalog(connection, world_id)
    entries = sorted(catalog.by_key.values(), key=lambda entry: entry.key)
    named = {catalog.by_key[k].id for e in entries for k in e.definition.requires if k in catalog.by_key}
    rows = await connection.fetch(
        UNLOCKS, world_id, character_id, sorted({entry.id for entry in entries} | named)
    )
    unlocks: dict[UUID, list[Any]] = {}
    for row in rows:
        unlocks.setdefault(row["achievement_id"], []).append(row)
    shown = [
        e for e in entries
        if (after is None or e.key > after)
        and (not e.definition.hidden or see == "all" or (see == "unlocked" and e.id in unlocks))
    ][:limit]  # fmt: skip
    ids = [entry.measure_id for entry in shown if entry.measure_id is not None]
    values = await progress.values(connection, world_id, character_id, ids)
    # What is hidden and lacking is not named.
    has = {
        key for key, entry in catalog.by_key.items()
        if entry.id in unlocks or (entry.definition.hidden and see != "all")
    }  # fmt: skip
    return [
        _standing(entry, values.get(entry.measure_id) if entry.measure_id else None, unlocks.get(entry.id, []),
                  [key for key in entry.definition.requires if key not in has], today)
        for entry in shown
    ]  # fmt: skip


def _standing(
    entry: Entry, value: progress.Value | None, unlocks: list[Any], missing: list[str], today: int
) -> StandingView:
    definition = entry.definition
    if isinstance(definition.criteria, Manual):
        come = float(len(unlocks))
    else:
        spec = measure_of(definition)
        come = current(spec, value.value, value.day, today) if spec and value else 0.0
    at = entry.ladder.standing(come)
    tiers = definition.tiers
    return StandingView(
        key=entry.key, name=definition.name, description=definition.description, icon=definition.icon,
        hidden=definition.hidden, tier=at.tier, tier_name=tiers[at.tier - 1].name, tiers=len(tiers),
        current=at.current, goal=at.goal, percent=at.percent, missing=missing, steps=len(unlocks),
        unlocked=[
            UnlockView(
                tier=row["tier"], name=tiers[row["tier"] - 1].name if row["tier"] <= len(tiers) else None,
                repetition=row["repetition"], at=row["at"], event_id=row["event_id"],
            )
            for row in unlocks[-MOST_UNLOCKS:]
        ],
    )  # fmt: skip


async def backfill(connection: Any, world_id: UUID, key: str) -> BackfillView | None:
    """How far the log was counted for an achievement; None if there is none such."""
    row = await connection.fetchrow(BACKFILL, world_id, key)
    if row is None:
        return None
    state, head = row["state"] or "live", row["head"]
    up_to = row["caught_up_to"] if state == "catching_up" else head
    return BackfillView(state=state, up_to=up_to, head=head, percent=100 * up_to // head if head else 100)
