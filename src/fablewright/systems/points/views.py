"""What is read of points, and the models of answers."""

from typing import Any, Final
from uuid import UUID

import orjson
from pydantic import BaseModel, Field

from fablewright.systems.points.commands import DEFAULT_LEVELS, AwardRuleSpec, Levels, LevelTitle
from fablewright.systems.points.events import AwardPart
from fablewright.systems.points.guards import NO_GUARDS, WorldGuards
from fablewright.systems.points.rules import Bonus, PointsWorld


class AwardView(BaseModel):
    """What an award came to."""

    character_id: UUID
    currency: str
    amount: int = Field(description="What the character got; 0 while it waits for a game master.")
    asked: int = Field(description="What the rule or the caller asked for.")
    parts: list[AwardPart] = Field(description="What led from `asked` to `amount`, factor by factor.")
    balance: int
    earned: int = Field(description="What it was awarded of points over its life.")
    level: int
    reference: str | None
    transfer_id: UUID | None = Field(description="Null while it waits.")
    hold_id: UUID | None = Field(None, description="The hold as which it waits for a game master's decision.")
    outcome: str | None = Field(
        None, description="What a check against abuse made of it: reduce, flag or quarantine."
    )
    verdict_id: UUID | None = None
    replayed: bool = Field(False, description="The reference was used before: nothing more was given.")


class AwardsView(BaseModel):
    """What a list of awards came to, in its order."""

    awards: list[AwardView]


# -- what a world defines ------------------------------------------------------------------------------------


SETTINGS: Final = (
    "SELECT levels::text AS levels, guards::text AS guards FROM points_settings WHERE world_id = $1"
)
RULES: Final = "SELECT key, spec::text AS spec FROM award_rules WHERE world_id = $1 ORDER BY key"
BONUSES: Final = (
    "SELECT id, name, multiplier, rules, from_ms, until_ms FROM bonus_events WHERE world_id = $1 "
    "ORDER BY from_ms, id"
)


class PointsSettings(BaseModel):
    """How a world's levels rise, the titles that go with them, and its checks across actions."""

    levels: Levels = DEFAULT_LEVELS
    titles: list[LevelTitle] = []
    guards: WorldGuards | None = Field(WorldGuards(), description="Null: only game masters see them.")


async def settings(connection: Any, world_id: UUID) -> PointsSettings:
    """What a world has configured, or the defaults."""
    row = await connection.fetchrow(SETTINGS, world_id)
    if row is None:
        return PointsSettings()
    stored = orjson.loads(row["levels"])
    return PointsSettings(levels=stored["curve"], titles=stored["titles"], guards=orjson.loads(row["guards"]))


async def points_world(connection: Any, world_id: UUID) -> PointsWorld:
    """All that a world defines about points, ready to be used."""
    configured = await settings(connection, world_id)
    rows = await connection.fetch(RULES, world_id)
    bonuses = await connection.fetch(BONUSES, world_id)
    return PointsWorld(
        rules={
            row["key"]: AwardRuleSpec.model_validate_json(row["spec"]).rule(row["key"]) for row in rows
        },
        bonuses=tuple(
            Bonus(
                b["id"], b["name"], b["multiplier"], None if b["rules"] is None else frozenset(b["rules"]),
                b["from_ms"], b["until_ms"],
            )
            for b in bonuses
        ),
        curve=configured.levels.curve(),
        titles=tuple(sorted((entry.level, entry.title) for entry in configured.titles)),
        guards=configured.guards or NO_GUARDS,
    )  # fmt: skip
