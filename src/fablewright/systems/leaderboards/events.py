"""What happens to leaderboards, and who may know.

What moves a board because an event counts for it is told by that event alone.
"""

from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from fablewright.core.messages import GAME_MASTERS, MEMBERS, Audience, Event


class _BoardEvent(Event):
    key: str

    def audience(self) -> Audience:
        return MEMBERS


class BoardDefined(_BoardEvent):
    """A leaderboard was made or changed; `spec` is its whole definition."""

    message_type = "leaderboards.board_defined"

    spec: dict[str, Any]


class BoardRemoved(_BoardEvent):
    """A leaderboard was removed, with its entries."""

    message_type = "leaderboards.board_removed"


class ScoreSubmitted(_BoardEvent):
    """A game server submitted a score. `standing` is the character's score after it, in the window `number`."""

    message_type = "leaderboards.score_submitted"
    subjects = ("subject_id",)

    subject_id: UUID
    score: float
    standing: float
    improved: bool = Field(description="Whether the character stands differently than before.")
    number: int


class TopEntry(BaseModel):
    """One of the best of a season."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    rank: int
    subject_id: UUID
    score: float


class SeasonEnded(_BoardEvent):
    """A season is over and its standings are final; `top` are its ten best."""

    message_type = "leaderboards.season_ended"

    number: int
    entries: int
    top: list[TopEntry]

    def about(self) -> list[UUID]:
        """The best, in their order."""
        return [entry.subject_id for entry in self.top]


class RewardTold(BaseModel):
    """What a rank was given. `refused` is the code if it could not be, such as `balance_limit`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    rank: int
    subject_id: UUID
    amount: int
    currency: str
    title: str | None
    refused: str | None = None


class SeasonRewarded(_BoardEvent):
    """The best of a season were rewarded. Many ranks are told in several events."""

    message_type = "leaderboards.season_rewarded"

    number: int
    rewards: list[RewardTold]

    def about(self) -> list[UUID]:
        """Who was rewarded, each once."""
        return list(dict.fromkeys(reward.subject_id for reward in self.rewards))


class SeasonOpened(_BoardEvent):
    """A season began; it lasts from `starts_at` to `ends_at` (world ms)."""

    message_type = "leaderboards.season_opened"

    number: int
    starts_at: int
    ends_at: int


class RemovedEntry(BaseModel):
    """What a character had on a board."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    key: str
    number: int
    rank: int
    score: float
    at: int


class EntriesRemoved(Event):
    """A character was taken off boards. For game masters, and for who controls the character."""

    message_type = "leaderboards.entries_removed"
    subjects = ("subject_id",)

    subject_id: UUID
    reason: str
    banned: list[str] = Field(description="The boards on which its scores are not taken any more.")
    entries: list[RemovedEntry]

    def audience(self) -> Audience:
        return Audience.of(self.subject_id)


class BanLifted(Event):
    """A character's scores are taken again."""

    message_type = "leaderboards.ban_lifted"
    subjects = ("subject_id",)

    subject_id: UUID
    keys: list[str]

    def audience(self) -> Audience:
        return Audience.of(self.subject_id)


class EntriesRestored(_BoardEvent):
    """Entries of a copied world were put back."""

    message_type = "leaderboards.entries_restored"

    number: int
    entries: int
    starts_at: int | None
    ends_at: int | None
    closed: bool

    def audience(self) -> Audience:
        return GAME_MASTERS
