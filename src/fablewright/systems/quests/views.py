"""What is read of quests: definitions, who is on them, and how far they have come."""

from collections.abc import Collection
from functools import cache, lru_cache
from importlib import resources
from typing import Any, Final
from uuid import UUID

import orjson
from pydantic import Field, TypeAdapter

from fablewright.core.messages import View
from fablewright.systems.quests.rules import (
    ObjectiveState,
    QuestDefinition,
    Stand,
    State,
)
from fablewright.systems.quests.templates import Template

COLUMNS: Final = "q.id, q.key, q.spec::text AS spec, q.template, q.origin_id, q.at, q.removed_at"
TAKING: Final = (
    "t.id, t.quest_id, t.taker_id, t.by_id, t.state, t.outcome, t.course::text AS course, t.offered_at, "
    "t.accepted_at, t.due_at, t.ended_at, t.event_id"
)
# A secret quest is seen by those whom it names, whom it was offered to, and who are on it ($4: what the reader stands
# for; $3: whether the reader sees everything).
SEEN: Final = """
($3 OR NOT (q.spec ->> 'secret')::boolean OR q.spec ->> 'giver_id' = ANY($4::text[])
 OR q.spec -> 'only_for' ?| $4::text[]
 OR EXISTS (SELECT FROM quest_takings t
            WHERE t.world_id = q.world_id AND t.quest_id = q.id AND t.taker_id::text = ANY($4::text[])))
"""
PAGE: Final = f"""
SELECT {COLUMNS} FROM quests q
WHERE q.world_id = $1 AND q.removed_at IS NULL AND ($2::text IS NULL OR q.key > $2) AND {SEEN}
ORDER BY q.key LIMIT $5
"""  # noqa: S608
ONE: Final = f"""
SELECT {COLUMNS} FROM quests q WHERE q.world_id = $1 AND q.key = $2 AND q.removed_at IS NULL AND {SEEN}
"""  # noqa: S608
# $3 are those that a quest may have been taken by: a character and the factions it belongs to.
TAKINGS: Final = f"""
SELECT {TAKING}, q.key, q.spec::text AS spec FROM quest_takings t
JOIN quests q ON q.world_id = t.world_id AND q.id = t.quest_id
WHERE t.world_id = $1 AND t.taker_id = ANY($2::uuid[]) AND ($3::uuid IS NULL OR t.id > $3)
  AND ($4::text IS NULL OR t.state = $4) AND ($5 OR NOT (q.spec ->> 'secret')::boolean)
ORDER BY t.id LIMIT $6
"""  # noqa: S608
TAKERS: Final = f"""
SELECT {TAKING} FROM quest_takings t
WHERE t.world_id = $1 AND t.quest_id = $2 AND ($3::uuid IS NULL OR t.id > $3) ORDER BY t.id LIMIT $4
"""  # noqa: S608
CATALOG: Final = """
SELECT id, spec::text AS spec FROM quests
WHERE world_id = $1 AND id IN (SELECT quest_id FROM quest_takings WHERE world_id = $1 AND state = 'accepted')
ORDER BY id
"""
STANDS: Final = TypeAdapter(dict[str, Stand])


class QuestView(QuestDefinition):
    """A quest of the world."""

    key: str
    template: str | None = Field(None, description="What it was generated from.")
    origin_id: UUID | None = Field(None, description="The event that it comes from.")
    at: int = Field(description="World time (ms) at which it was made.")


class ObjectiveView(View):
    """How far somebody has come in an objective: `current` of `goal`."""

    key: str
    name: str
    state: ObjectiveState
    current: float
    goal: float
    percent: int
    optional: bool
    choice: bool
    opened_at: int
    reached_at: int | None


class TakingView(View):
    """That somebody was offered a quest or is on it, how far they are, and how it ended."""

    id: UUID
    key: str
    name: str
    taker_id: UUID
    by_id: UUID | None = Field(description="The character that accepted it.")
    state: State
    outcome: str | None
    offered_at: int | None
    accepted_at: int | None
    due_at: int | None = Field(description="World time (ms) at which it is over.")
    ended_at: int | None
    event_id: UUID | None = Field(description="The event that tells of its last change.")
    objectives: list[ObjectiveView] = Field(description="Those that were opened or ruled out so far.")


class TemplateView(View):
    """What quests are generated from."""

    key: str
    about: str
    on: list[str] = Field(description="The events that it is made from; empty: by hand only.")
    needs: list[str] = Field(description="The facts that it needs; until when it lasts is said by itself.")


@lru_cache(4096)
def parsed(spec: str) -> QuestDefinition:
    """A definition as it is kept: the same text always says the same."""
    return QuestDefinition.model_validate_json(spec)


@cache
def templates() -> dict[str, Template]:
    """The templates of `data/`, by key."""
    folder = resources.files("fablewright.systems.quests") / "data"
    entries = orjson.loads((folder / "templates.json").read_bytes())
    return {key: Template.model_validate({"key": key, **entry}) for key, entry in entries.items()}


def stands_of(course: str) -> dict[str, Stand]:
    """How far somebody is, as it is kept."""
    return STANDS.validate_json(course)


def quest_view(row: Any) -> QuestView:
    """A quest from a row of `COLUMNS`."""
    definition = parsed(row["spec"])
    fields = {name: getattr(definition, name) for name in QuestDefinition.model_fields}
    return QuestView.model_construct(
        key=row["key"], template=row["template"], origin_id=row["origin_id"], at=row["at"], **fields
    )


def taking_view(row: Any, key: str, definition: QuestDefinition) -> TakingView:
    """Somebody's standing from a row of `TAKING`."""
    stands = stands_of(row["course"])
    fields = {
        name: row[name] for name in TakingView.model_fields if name not in ("key", "name", "objectives")
    }
    return TakingView(
        key=key, name=definition.name, **fields,
        objectives=[
            ObjectiveView(
                key=o.key, name=o.name, state=stand.state, current=stand.current, goal=o.goal,
                percent=max(0, min(100, int(100 * stand.current / o.goal))), optional=o.optional, choice=o.choice,
                opened_at=stand.opened_at, reached_at=stand.reached_at,
            )
            for o in definition.objectives if (stand := stands.get(o.key)) is not None
        ],
    )  # fmt: skip


async def page(
    connection: Any,
    world_id: UUID,
    *,
    all_of_them: bool,
    own: Collection[UUID],
    after: str | None,
    limit: int,
) -> list[QuestView]:
    """Up to `limit` quests by key, after one; secret ones only if one of `own` has to do with them."""
    rows = await connection.fetch(PAGE, world_id, after, all_of_them, [str(id_) for id_ in own], limit)
    return [quest_view(row) for row in rows]


async def one(
    connection: Any, world_id: UUID, key: str, *, all_of_them: bool, own: Collection[UUID]
) -> tuple[UUID, QuestView] | None:
    """The id and view of the quest of a key, if the reader may see it."""
    row = await connection.fetchrow(ONE, world_id, key, all_of_them, [str(id_) for id_ in own])
    return None if row is None else (row["id"], quest_view(row))


async def takings(
    connection: Any,
    world_id: UUID,
    takers: Collection[UUID],
    *,
    state: str | None,
    secret: bool,
    after: UUID | None,
    limit: int,
) -> list[TakingView]:
    """What these were offered and took on, oldest first; secret ones only if `secret`."""
    rows = await connection.fetch(TAKINGS, world_id, list(takers), after, state, secret, limit)
    return [taking_view(row, row["key"], parsed(row["spec"])) for row in rows]


async def takers(
    connection: Any, world_id: UUID, quest_id: UUID, quest: QuestView, *, after: UUID | None, limit: int
) -> list[TakingView]:
    """Who was offered a quest or took it on, oldest first."""
    rows = await connection.fetch(TAKERS, world_id, quest_id, after, limit)
    return [taking_view(row, quest.key, quest) for row in rows]
