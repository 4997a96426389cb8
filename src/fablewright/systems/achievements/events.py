"""What happens to achievements, and who may know."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import PrivateAttr

from fablewright.core.messages import GAME_MASTERS, MEMBERS, Audience, Event
from fablewright.systems.achievements.rules import AchievementDefinition


class _OfDefinition(Event):
    key: str
    hidden: bool = False

    def audience(self) -> Audience:
        """Hidden ones are nobody's business but game masters'."""
        return GAME_MASTERS if self.hidden else MEMBERS


class Defined(_OfDefinition):
    """There is a new achievement, or a new version of one."""

    message_type = "achievements.defined"

    definition: AchievementDefinition
    backfill: bool
    names_hidden: bool = False

    def audience(self) -> Audience:
        """One that names hidden ones would tell of them."""
        return GAME_MASTERS if self.names_hidden else super().audience()


class Removed(_OfDefinition):
    """There is an achievement less."""

    message_type = "achievements.removed"


@dataclass(slots=True)
class ProgressLine:
    """How far a character is on the way to a tier."""

    key: str
    tier: int
    current: float
    goal: float
    percent: int


class Progressed(Event):
    """A character reached a tier or another whole percent of achievements; told once per commit at most."""

    message_type = "achievements.progressed"
    subjects = ("character_id",)

    character_id: UUID
    achievements: list[ProgressLine]

    _lines: Mapping[str, str] = PrivateAttr({})

    @classmethod
    def told(cls, character_id: UUID, lines: Mapping[str, str]) -> "Progressed":
        """The event with lines that are JSON already, by the key of their achievement.

        An award may move hundreds of achievements, so that nothing else is made of them until somebody asks.
        """
        event = cls.model_construct(character_id=character_id)  # type: ignore[call-arg]
        event._lines = lines
        return event

    def __getattr__(self, name: str) -> Any:
        """`achievements` of an event that was given lines, once it is asked for."""
        if name != "achievements":
            return super().__getattr__(name)  # type: ignore[misc]
        found = [ProgressLine(**json.loads(line)) for line in self._lines.values()]
        self.__dict__["achievements"] = found
        return found

    @property
    def lines(self) -> Mapping[str, str]:
        """What `told` was given."""
        return self._lines

    def as_json(self) -> bytes:
        """What the log keeps of it."""
        if not self._lines:
            return super().as_json()
        lines = ",".join(self._lines.values())
        return f'{{"character_id":"{self.character_id}","achievements":[{lines}]}}'.encode()

    def audience(self) -> Audience:
        return Audience.of(self.character_id)


class Unlocked(Event):
    """A character unlocked a tier of an achievement. `points` and `title` are what it was given for it;
    `reward_refused` says why it was not given points that it should have had."""

    message_type = "achievements.unlocked"
    subjects = ("character_id",)

    character_id: UUID
    key: str
    name: str
    tier: int
    tier_name: str | None
    repetition: int
    points: int
    currency: str
    title: str | None
    hidden: bool = False
    reward_refused: str | None = None

    def audience(self) -> Audience:
        """That there is a hidden one, only who has it may know."""
        return Audience.of(self.character_id) if self.hidden else MEMBERS


class StandingsRestored(Event):
    """Characters have come as far as they had in the world that a pack was made of."""

    message_type = "achievements.standings_restored"
    subjects = ("character_ids",)

    character_ids: list[UUID]
    standings: int

    def audience(self) -> Audience:
        return GAME_MASTERS
