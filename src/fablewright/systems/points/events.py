"""What happens to points, and who may know."""

from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from fablewright.core.messages import GAME_MASTERS, MEMBERS, Audience, Event
from fablewright.systems.points.commands import AwardRuleSpec, Levels, LevelTitle
from fablewright.systems.points.guards import WorldGuards


class AwardPart(BaseModel):
    """Something that made an award larger or smaller, and by which factor."""

    model_config = ConfigDict(frozen=True)

    what: str
    factor: float


class _OfCharacter(Event):
    subjects = ("character_id",)

    character_id: UUID


class Awarded(_OfCharacter):
    """A character was awarded `amount` of a currency. The rule or the caller asked for `asked`; `parts` lead from
    there to `amount`. `earned` is what it was awarded over its life; what it has now is nobody else's business."""

    message_type = "points.awarded"

    currency: str
    amount: int
    asked: int
    action: str | None
    reason: str
    parts: list[AwardPart] = []
    earned: int
    reference: str | None = None
    transfer_id: UUID

    def audience(self) -> Audience:
        return MEMBERS


class _Private(_OfCharacter):
    """The character, who controls it, and game masters know of it."""

    currency: str
    amount: int
    reason: str
    balance: int
    reference: str | None = None
    transfer_id: UUID

    def audience(self) -> Audience:
        return Audience.of(self.character_id)


class Spent(_Private):
    """A character spent `amount` of a currency; `balance` is what it has left."""

    message_type = "points.spent"


class Adjusted(_Private):
    """A game master gave a character `amount` (or took it, below 0), for a reason."""

    message_type = "points.adjusted"


class Given(Event):
    """A character gave another one `amount` of a currency."""

    message_type = "points.given"
    subjects = ("from_id", "to_id")

    from_id: UUID
    to_id: UUID
    currency: str
    amount: int
    reason: str
    reference: str | None = None
    transfer_id: UUID

    def audience(self) -> Audience:
        return Audience.of(self.from_id, self.to_id)


class Reversed(_OfCharacter):
    """An award was taken back by a game master: it does not count as earned any more. `earned` and `level` are what is
    left; `awarded_at` is when it was given (world ms), `reference` what it was for, `reverses` its transfer."""

    message_type = "points.reversed"

    currency: str
    amount: int
    reason: str
    earned: int
    level: int
    reference: str | None
    awarded_at: int
    reverses: UUID
    transfer_id: UUID

    def audience(self) -> Audience:
        return MEMBERS


class LevelReached(_OfCharacter):
    """A character has earned enough for a level; `title` is the one that goes with it, if any."""

    message_type = "points.level_reached"

    level: int
    previous: int
    title: str | None
    earned: int

    def audience(self) -> Audience:
        return MEMBERS


class _Title(_OfCharacter):
    title: str
    source: str

    def audience(self) -> Audience:
        return MEMBERS


class TitleGranted(_Title):
    """A character was granted a title; `source` says by what, such as `achievement:first_steps`."""

    message_type = "points.title_granted"


class TitleRevoked(_Title):
    """A title was taken from a character."""

    message_type = "points.title_revoked"


class _ForMasters(Event):
    def audience(self) -> Audience:
        return GAME_MASTERS


class _ForAll(Event):
    def audience(self) -> Audience:
        return MEMBERS


class RuleDefined(_ForAll):
    """An award rule was made or changed."""

    message_type = "points.rule_defined"

    key: str
    rule: AwardRuleSpec


class RuleRemoved(_ForAll):
    """An award rule was removed."""

    message_type = "points.rule_removed"

    key: str


class Configured(_ForMasters):
    """The world's levels, titles and guards are these from now on. Everybody's level is what the new curve says."""

    message_type = "points.configured"

    levels: Levels
    titles: list[LevelTitle]
    guards: WorldGuards


class BonusStarted(_ForAll):
    """From `from_ms` until `until_ms` (world ms) awards are multiplied; of all rules, or of those named."""

    message_type = "points.bonus_started"

    bonus_id: UUID
    name: str
    multiplier: float
    rules: list[str] | None
    from_ms: int
    until_ms: int


class BonusEnded(_ForAll):
    """A bonus was ended by a game master. One that ends by its time is not told again."""

    message_type = "points.bonus_ended"

    bonus_id: UUID
    name: str


class StandingsRestored(_ForMasters):
    """What characters had earned was set as it was in another world or at another time."""

    message_type = "points.standings_restored"
    subjects = ("character_ids",)

    character_ids: list[UUID]


class AbuseSuspected(_OfCharacter):
    """A check against abuse has found something: what was asked for and given, and on what evidence."""

    message_type = "points.abuse_suspected"

    verdict_id: UUID
    action: str
    guard: str
    outcome: str
    evidence: dict[str, Any]
    asked: int
    given: int
    hold_id: UUID | None = None
    transfer_id: UUID | None = None

    def audience(self) -> Audience:
        return GAME_MASTERS


class VerdictReviewed(_OfCharacter):
    """A game master decided on a verdict: `release`, `confirm` or `forgive`. `transfer_id` is what that gave or
    took."""

    message_type = "points.verdict_reviewed"

    verdict_id: UUID
    decision: str
    note: str | None
    transfer_id: UUID | None = None

    def audience(self) -> Audience:
        return GAME_MASTERS
