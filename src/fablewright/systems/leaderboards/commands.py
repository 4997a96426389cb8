"""What may be asked about leaderboards, and by whom."""

from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from fablewright.core.actors import Role, at_least
from fablewright.core.clock import MINUTE
from fablewright.core.conditions import Conditions, FieldPath
from fablewright.core.messages import Command
from fablewright.systems.leaderboards.rules import (
    BOARD_IN_USE,
    BOARD_NOT_FOUND,
    MOST_SCORE,
    NO_SUBMISSIONS,
    NOT_BANNED,
    NOTHING_TO_REMOVE,
    OUT_OF_SCOPE,
    SCORE_OUT_OF_RANGE,
    SUBJECT_BANNED,
    SUBJECT_NOT_FOUND,
    TOO_MANY_BOARDS,
    WINDOW_IN_USE,
    Mode,
    Order,
    Prize,
    Span,
)

MOST_BOARDS: Final = 200
"""Boards of a world."""
MOST_PRIZES: Final = 50
MOST_PAID: Final = 10_000
"""Ranks that a season may reward."""
MOST_AMOUNT: Final = 2**53
MOST_RESTORED: Final = 500
"""Entries that one command puts back."""

BoardKey = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
Currency = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,29}$")]
EventPattern = Annotated[
    str, StringConstraints(pattern=r"^(\*|[a-z][a-z0-9_]*\.(\*|[a-z][a-z0-9_]*))$", max_length=200)
]
Text = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[^\x00]*$")]
Score = Annotated[float, Field(ge=-MOST_SCORE, le=MOST_SCORE, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PointsEarned(_Part):
    """The sum of what a character was awarded. What it is given, adjusted to or spends does not count."""

    kind: Literal["points_earned"]
    currency: Currency = "points"


class OfEvents(_Part):
    """What a field of events amounts to: its sum, its best value, or the latest; or how many events there were."""

    kind: Literal["sum", "best", "latest", "count"]
    on: EventPattern = Field(description="Which events: a type such as `dialogue.interacted`, or `game.*`.")
    where: Conditions = Field([], description="What must hold for an event to count.")
    field: FieldPath | None = Field(
        None, description="Where in the event's data the score stands; not for `count`."
    )
    subject: FieldPath | None = Field(
        None, description="Where the character's id stands; left out, the first that the event is about."
    )

    @model_validator(mode="after")
    def _field_fits(self) -> Self:
        if (self.field is None) != (self.kind == "count"):
            raise ValueError("sum, best and latest need a field; count takes none")
        return self


class Submitted(_Part):
    """What a game server submits: it sets the score, keeps the best one, or adds to it."""

    kind: Literal["submitted"]
    mode: Literal["set", "best", "add"] = "best"


Metric = Annotated[PointsEarned | OfEvents | Submitted, Field(discriminator="kind")]


class Reward(_Part):
    """What the ranks from `from_rank` to `to_rank` get when a season ends."""

    from_rank: int = Field(ge=1, le=MOST_PAID)
    to_rank: int = Field(ge=1, le=MOST_PAID)
    amount: int = Field(0, ge=0, le=MOST_AMOUNT)
    currency: Currency = "points"
    title: Annotated[Text, Field(min_length=1, max_length=100)] | None = None

    @model_validator(mode="after")
    def _something_for_somebody(self) -> Self:
        if self.to_rank < self.from_rank:
            raise ValueError("to_rank comes after from_rank")
        if not self.amount and self.title is None:
            raise ValueError("a reward has an amount, a title, or both")
        return self


class Season(_Part):
    """How long a season is, and what its best get."""

    length_ms: int = Field(ge=MINUTE, le=2**50, description="World time (ms); the next one follows at once.")
    rewards: list[Reward] = Field([], max_length=MOST_PRIZES)

    @property
    def prizes(self) -> list[Prize]:
        return [Prize(r.from_rank, r.to_rank, r.amount, r.currency, r.title) for r in self.rewards]


class Scope(_Part):
    """Whom a board is for: everybody of the world, or the characters that have a tag when their score comes."""

    kind: Literal["world", "tag"] = "world"
    tag: Annotated[Text, Field(min_length=1, max_length=50)] | None = None

    @model_validator(mode="after")
    def _tag_fits(self) -> Self:
        if (self.tag is None) != (self.kind == "world"):
            raise ValueError("name a tag for the scope `tag`, and none for `world`")
        return self


EXAMPLES: Final[list[Any]] = [
    {
        "name": "Fastest over the ford",
        "metric": {"kind": "submitted", "mode": "best"},
        "order": "ascending",
        "window": "season",
        "season": {
            "length_ms": 2_592_000_000,
            "rewards": [
                {"from_rank": 1, "to_rank": 1, "amount": 500, "title": "Ford Runner"},
                {"from_rank": 2, "to_rank": 10, "amount": 100},
            ],
        },
    },
    {"name": "Most helpful", "metric": {"kind": "points_earned"}, "window": "week"},
]


class BoardSpec(BaseModel):
    """What a leaderboard counts, when, for whom, and what it is called."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra={"examples": EXAMPLES})

    name: Annotated[Text, Field(min_length=1, max_length=200)]
    description: Annotated[Text, Field(max_length=2000)] = ""
    metric: Metric
    window: Span = Field("all_time", description="Days, weeks and months are those of the world's calendar.")
    season: Season | None = Field(None, description="For the window `season`, and only for it.")
    scope: Scope = Scope()
    order: Order = Field("descending", description="`ascending`: less is better.")

    @model_validator(mode="after")
    def _season_fits(self) -> Self:
        if (self.season is None) != (self.window != "season"):
            raise ValueError("a board with the window `season`, and no other, says how its seasons are")
        return self

    @property
    def mode(self) -> Mode:
        """How a new score goes together with the one that stands."""
        metric = self.metric
        if isinstance(metric, Submitted):
            modes: dict[str, Mode] = {"set": "latest", "best": "best", "add": "sum"}
            return modes[metric.mode]
        if isinstance(metric, PointsEarned) or metric.kind == "count":
            return "sum"
        return metric.kind

    @property
    def length_ms(self) -> int:
        """World time (ms) of a season; 0 for boards without."""
        return self.season.length_ms if self.season else 0

    @property
    def prizes(self) -> list[Prize]:
        """What a season pays."""
        return self.season.prizes if self.season else []

    def counts_like(self, other: "BoardSpec") -> bool:
        """Whether entries counted by one of the two are right under the other."""
        same = ("metric", "window", "scope", "order")
        return all(getattr(self, name) == getattr(other, name) for name in same)


class DefineBoard(BoardSpec, Command):
    """Make a leaderboard, or change one. It counts from now on.

    While a board has entries, its names, rewards and the length of its next seasons may change, not what it counts.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [{"key": "helpers", **EXAMPLES[1]}]})
    message_type = "leaderboards.define_board"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (BOARD_IN_USE, TOO_MANY_BOARDS)

    key: BoardKey

    @property
    def spec(self) -> BoardSpec:
        """The definition without its key."""
        return BoardSpec(**{name: getattr(self, name) for name in BoardSpec.model_fields})


class RemoveBoard(Command):
    """Remove a leaderboard with all its entries, those of past windows too."""

    message_type = "leaderboards.remove_board"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (BOARD_NOT_FOUND,)

    key: BoardKey


class SubmitScore(Command):
    """A game server says how a character did. The board decides whether it sets, keeps the best, or adds."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"key": "ford", "subject_id": "01890a5d-ac96-774b-bcce-b302099a8057", "score": 73.4}]
        }
    )
    message_type = "leaderboards.submit_score"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (
        BOARD_NOT_FOUND, NO_SUBMISSIONS, SUBJECT_NOT_FOUND, OUT_OF_SCOPE, SUBJECT_BANNED, SCORE_OUT_OF_RANGE,
    )  # fmt: skip

    key: BoardKey
    subject_id: UUID
    score: Score


class RemoveEntries(Command):
    """Take a cheater off a board, or off all of them. What they had is kept as a trace, with the reason.

    Final standings of seasons and other past windows stay unless `past` says so; rewards that were paid stay paid.
    """

    message_type = "leaderboards.remove_entries"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (BOARD_NOT_FOUND, NOTHING_TO_REMOVE)

    key: BoardKey | None = Field(
        None, description="Which board; null for all of the world, with a ban those to come, too."
    )
    subject_id: UUID
    reason: Annotated[Text, Field(min_length=1, max_length=500)]
    ban: bool = Field(False, description="Take no more scores of this character.")
    past: bool = Field(False, description="Remove it from windows that are over, too.")


class LiftBan(Command):
    """Take a character's scores again. What was removed does not come back."""

    message_type = "leaderboards.lift_ban"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (BOARD_NOT_FOUND, NOT_BANNED)

    key: BoardKey | None = Field(None, description="Which board; null for all of the world.")
    subject_id: UUID


class EntryValue(_Part):
    """A score as it stood."""

    subject_id: UUID
    score: Score
    at: int = Field(description="World time (ms) at which it was reached.")


class RestoreEntries(Command):
    """Put a window of a board back as it was, or a part of it; for a world that is copied.

    Entries come best first, in the order of their ranks; those of a later part stand behind those of an earlier one
    of the same score. A season that is not closed goes on.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "key": "ford",
                    "number": 0,
                    "entries": [
                        {"subject_id": "01890a5d-ac96-774b-bcce-b302099a8057", "score": 73.4, "at": 0}
                    ],
                }
            ]
        }
    )
    message_type = "leaderboards.restore_entries"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (BOARD_NOT_FOUND, SUBJECT_NOT_FOUND, WINDOW_IN_USE)

    key: BoardKey
    number: int = Field(ge=-(2**53), le=2**53)
    starts_at: int | None = Field(None, ge=-(2**53), le=2**53)
    ends_at: int | None = Field(None, ge=-(2**53), le=2**53)
    closed: bool = False
    entries: list[EntryValue] = Field([], max_length=MOST_RESTORED)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if (self.starts_at is None) != (self.ends_at is None):
            raise ValueError("a window has a start and an end, or neither")
        if self.starts_at is not None and self.ends_at is not None and self.ends_at <= self.starts_at:
            raise ValueError("a window ends after its start")
        if len({e.subject_id for e in self.entries}) < len(self.entries):
            raise ValueError("each character stands on a board once")
        return self
