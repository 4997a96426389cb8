"""What may be asked about achievements, and by whom."""

from typing import Annotated, Any, Final, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from fablewright.core.actors import Role, at_least
from fablewright.core.messages import Command
from fablewright.systems.achievements.rules import (
    ACHIEVEMENT_CYCLE,
    ACHIEVEMENT_FEEDS_ITSELF,
    ACHIEVEMENT_IN_USE,
    ACHIEVEMENT_LOCKED,
    ACHIEVEMENT_NOT_FOUND,
    ACHIEVEMENT_NOT_MANUAL,
    ACHIEVEMENT_TOO_DEEP,
    ACHIEVEMENT_UNKNOWN,
    ACHIEVER_NOT_FOUND,
    ALREADY_UNLOCKED,
    MOST_TIERS,
    TIER_NOT_FOUND,
    TOO_MANY_ACHIEVEMENTS,
    AchievementDefinition,
    AchievementKey,
)

MOST_RESTORED: Final = 200
"""Characters' standings in one command, so that its event stays small."""

MOST_STEPS: Final = 10_000
"""Steps, or different values, of one standing."""

EXAMPLE: Final[Any] = {
    "name": "A good talker",
    "description": "Talk to people.",
    "criteria": {"kind": "count", "on": ["dialogue.interacted"], "where": [{"field": "type", "value": "chat"}]},
    "tiers": [
        {"goal": 10, "name": "Bronze", "points": 5},
        {"goal": 100, "name": "Silver", "points": 50, "title": "the Talker"},
    ],
}  # fmt: skip


class DefineAchievement(Command):
    """Make an achievement, or change the one with this key. What was unlocked stays unlocked.

    What others measure already is shared: such counts go on where they are, and what is already reached unlocks.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"key": "good_talker", "definition": EXAMPLE, "backfill": True}]}
    )
    message_type = "achievements.define_achievement"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (
        ACHIEVEMENT_UNKNOWN, ACHIEVEMENT_CYCLE, ACHIEVEMENT_TOO_DEEP, ACHIEVEMENT_FEEDS_ITSELF, TOO_MANY_ACHIEVEMENTS,
    )  # fmt: skip

    key: AchievementKey
    definition: AchievementDefinition
    backfill: bool = Field(
        False, description="Whether what has happened so far counts, too: it is read from the log."
    )


class RemoveAchievement(Command):
    """Take an achievement away, with who unlocked it; rewards stay."""

    message_type = "achievements.remove_achievement"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (ACHIEVEMENT_NOT_FOUND, ACHIEVEMENT_IN_USE)

    key: AchievementKey


class GrantAchievement(Command):
    """Let a character have an achievement of the kind `manual`, up to a tier."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"character_id": "01890a5d-ac96-774b-bcce-b302099a8057", "key": "hero_of_the_day"}]
        }
    )
    message_type = "achievements.grant_achievement"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (
        ACHIEVEMENT_NOT_FOUND, ACHIEVER_NOT_FOUND, ACHIEVEMENT_NOT_MANUAL, ACHIEVEMENT_LOCKED, ALREADY_UNLOCKED,
        TIER_NOT_FOUND,
    )  # fmt: skip

    character_id: UUID
    key: AchievementKey
    tier: int | None = Field(None, ge=1, le=MOST_TIERS, description="Left out: the next one.")


ItemText = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00]*$")]
"""A different value that was seen, as `progress` keeps it."""


class UnlockValue(BaseModel):
    """A step that somebody has unlocked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tier: int = Field(1, ge=1, le=MOST_TIERS)
    repetition: int = Field(1, ge=1, le=2**31 - 1)
    at: int = Field(0, ge=-(2**62), le=2**62, description="World time in ms.")
    earlier: bool = Field(
        False, description="Whether something else was counted then: repetitions come on top of it."
    )


class StandingValue(BaseModel):
    """How far a character has come in an achievement."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    character_id: UUID
    key: AchievementKey
    value: float | None = Field(None, allow_inf_nan=False)
    day: int | None = Field(
        None, ge=-(2**40), le=2**40, description="Of a streak, the last world day that counted."
    )
    items: list[ItemText] = Field(
        [], max_length=MOST_STEPS, description="The different values seen, as they are kept."
    )
    unlocked: list[UnlockValue] = Field([], max_length=MOST_STEPS)


class RestoreStandings(Command):
    """Let characters have come as far as they had in another world, without rewards. For packs of lived worlds."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "standings": [
                        {
                            "character_id": "01890a5d-ac96-774b-bcce-b302099a8057",
                            "key": "hero_of_the_day",
                            "unlocked": [{"tier": 1, "at": 86400000}],
                        }
                    ]
                }
            ]
        }
    )
    message_type = "achievements.restore_standings"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (ACHIEVEMENT_NOT_FOUND, ACHIEVER_NOT_FOUND, TIER_NOT_FOUND)

    standings: list[StandingValue] = Field(min_length=1, max_length=MOST_RESTORED)

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len({(s.character_id, s.key) for s in self.standings}) < len(self.standings):
            raise ValueError("name each achievement of a character once")
        return self
