"""What may be asked about points, and by whom."""

from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    model_validator,
)
from pydantic.config import JsonDict

from fablewright.core.actors import Role, at_least
from fablewright.core.conditions import Conditions, FieldPath, compiled
from fablewright.core.messages import PATTERN, Command, check_free_json
from fablewright.systems.ledger import rules as ledger
from fablewright.systems.points import rules
from fablewright.systems.points.guards import AWARD_LIMITED, Limits, WorldGuards

MOST_AT_ONCE: Final = 500
"""Awards of one list."""
MOST_RESTORED: Final = 200
MOST_DATA_BYTES: Final = 4_000

Key = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
Currency = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,29}$")]
Amount = Annotated[int, Field(ge=1, le=rules.MOST_AWARD)]
Threshold = Annotated[int, Field(ge=1, le=rules.MOST_EARNED)]
TEXT: Final = r"^[^\x00]*$"
Reason = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=rules.MOST_REASON, pattern=TEXT)
]
Reference = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=TEXT)]
ONE_LINE: Final = r"^[^\x00-\x1f]*$"
Title = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=ONE_LINE)
]
Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=ONE_LINE)
]
Pattern = Annotated[str, StringConstraints(pattern=PATTERN.pattern, max_length=200)]
WorldMs = Annotated[int, Field(ge=-(2**62), le=2**62)]
Factor = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]
UNPAYABLE: Final = (ledger.INSUFFICIENT_FUNDS, ledger.BALANCE_LIMIT)
Decision = Literal["release", "confirm", "forgive"]

ORLA: Final = "01890a5d-ac96-774b-bcce-b302099a8057"
BRAM: Final = "01890a5d-ac96-774b-bcce-b302099a8058"


def _small(data: dict[str, Any]) -> dict[str, Any]:
    """The data, if its JSON is small and PostgreSQL can hold it."""
    if data:
        check_free_json(data, MOST_DATA_BYTES)
    return data


Data = Annotated[dict[str, JsonValue], AfterValidator(_small)]


def _example(**values: JsonValue) -> ConfigDict:
    """The configuration of a model that documents how it is sent."""
    return ConfigDict(frozen=True, extra="forbid", json_schema_extra={"examples": [values]})


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


# -- what a world defines ------------------------------------------------------------------------------------


class ByLevel(_Model):
    """Awards grow with the character's level: 1 + `per_level` for each level above the first, at most `max`."""

    kind: Literal["level"]
    per_level: float = Field(gt=0, le=10, allow_inf_nan=False)
    max: float = Field(2.0, gt=1, le=100, allow_inf_nan=False)


class ByStreak(_Model):
    """Awards grow with the world days in a row on which there was one: 1 + `per_day` for each after the first."""

    kind: Literal["streak"]
    per_day: float = Field(gt=0, le=10, allow_inf_nan=False)
    max: float = Field(2.0, gt=1, le=100, allow_inf_nan=False)


AnyMultiplier = Annotated[ByLevel | ByStreak, Field(discriminator="kind")]


RULE_EXAMPLE: Final[JsonDict] = {
    "amount": 50, "reason": "Finished {quest}", "multipliers": [{"kind": "streak", "per_day": 0.1, "max": 2}],
    "limits": {"window": {"most": 10, "ms": 60_000}},
}  # fmt: skip


class AwardRuleSpec(_Model):
    """What an action, or an event that fits a pattern and a condition, is worth."""

    model_config = _example(**RULE_EXAMPLE)

    on: Pattern | None = Field(
        None,
        description="Type of event, such as `dialogue.interacted` or `game.*`, that awards by itself; null: an action "
        "that only `points.award` names.",
    )
    where: Conditions = Field([], description="What the data of the event (or of the award) must be like.")
    subject: FieldPath | None = Field(
        None, description="Where in an event its character stands; null: the first one the event is about."
    )
    amount: Amount | None = None
    amount_field: FieldPath | None = Field(None, description="Where in the data the amount stands instead.")
    currency: Currency = "points"
    multipliers: list[AnyMultiplier] = Field([], max_length=4)
    most_per_award: Amount | None = Field(None, description="The cap after all multipliers.")
    reason: Reason | None = Field(
        None, description="A text in which `{quest}` stands for that field of the data. Null: the rule's key."
    )
    limits: Limits | None = None
    enabled: bool = True

    @model_validator(mode="after")
    def _one_amount(self) -> Self:
        if (self.amount is None) == (self.amount_field is None):
            raise ValueError("say `amount` or `amount_field`")
        return self

    def rule(self, key: str) -> rules.Rule:
        """The rule, ready to be used."""
        multipliers = [
            rules.Multiplier("level", m.per_level, m.max) if isinstance(m, ByLevel)
            else rules.Multiplier("streak", m.per_day, m.max)
            for m in self.multipliers
        ]  # fmt: skip
        return rules.Rule(
            key, self.on, compiled(self.where), self.subject, self.amount, self.amount_field, self.currency,
            tuple(multipliers), self.most_per_award, rules.reason_of(self.reason or key.replace("_", " ")), self.limits,
            self.enabled,
        )  # fmt: skip


class LinearLevels(_Model):
    """Each level takes `base` more than the one before took."""

    kind: Literal["linear"]
    base: int = Field(ge=1, le=10**12)
    max_level: int = Field(100, ge=1, le=rules.MOST_LEVEL)

    def curve(self) -> rules.Curve:
        """From how much earned on one is on which level."""
        return rules.linear(self.base, self.max_level)


class PowerLevels(_Model):
    """Level n begins at base · (n - 1) ^ exponent."""

    kind: Literal["power"]
    base: int = Field(ge=1, le=10**12)
    exponent: float = Field(ge=1, le=5, allow_inf_nan=False)
    max_level: int = Field(100, ge=1, le=rules.MOST_LEVEL)

    def curve(self) -> rules.Curve:
        """From how much earned on one is on which level."""
        return rules.power(self.base, self.exponent, self.max_level)


class TableLevels(_Model):
    """Levels 2, 3, … begin at these amounts."""

    kind: Literal["table"]
    thresholds: list[Threshold] = Field(max_length=rules.MOST_LEVEL - 1)

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if any(b <= a for a, b in zip(self.thresholds, self.thresholds[1:], strict=False)):
            raise ValueError("each threshold must be above the one before")
        return self

    def curve(self) -> rules.Curve:
        """From how much earned on one is on which level."""
        return rules.Curve(tuple(self.thresholds))


Levels = Annotated[LinearLevels | PowerLevels | TableLevels, Field(discriminator="kind")]
DEFAULT_LEVELS: Final = PowerLevels(kind="power", base=100, exponent=1.5, max_level=100)
"""Where nothing is configured: level 2 at 100, level 10 at 2,700, level 100 at 98,504."""


class LevelTitle(_Model):
    """What those who reached a level are called, until a higher title takes its place."""

    level: int = Field(ge=1, le=rules.MOST_LEVEL)
    title: Title


class DefineAwardRule(Command):
    """Make an award rule, or change the one of that key. It counts from this commit on."""

    model_config = _example(key="quest_completed", rule=RULE_EXAMPLE)
    message_type = "points.define_award_rule"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (rules.RULE_WOULD_LOOP, rules.TOO_MANY_RULES, ledger.CURRENCY_NOT_FOUND)

    key: Key
    rule: AwardRuleSpec


class RemoveAwardRule(Command):
    """Remove an award rule. What was awarded by it stays."""

    message_type = "points.remove_award_rule"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (rules.RULE_NOT_FOUND,)

    key: Key


class StartBonus(Command):
    """Multiply awards for a time, such as twice the points on a feast day."""

    model_config = _example(name="Harvest fair", multiplier=2, until_ms=4_102_444_800_000, rules=None)
    message_type = "points.start_bonus"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (rules.BONUS_NEVER, rules.RULE_NOT_FOUND, rules.TOO_MANY_BONUSES)

    name: Name
    multiplier: Factor
    rules: list[Key] | None = Field(
        None, min_length=1, max_length=rules.MOST_BONUSES, description="Keys of rules; null: all of them."
    )
    from_ms: WorldMs | None = Field(None, description="World time; null: from now on.")
    until_ms: WorldMs = Field(description="World time at which it is over.")


class EndBonus(Command):
    """End a bonus event now, or take back one that has not begun."""

    message_type = "points.end_bonus"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (rules.BONUS_NOT_FOUND,)

    bonus_id: UUID


class ConfigurePoints(Command):
    """Choose how levels rise, which titles go with them, and which checks across actions are made.

    What is left out or null stays as it is. Everybody's level is what the new curve says, without an event for each.
    """

    model_config = _example(
        levels={"kind": "power", "base": 100, "exponent": 1.5, "max_level": 50},
        titles=[{"level": 1, "title": "Newcomer"}, {"level": 10, "title": "Warden"}],
        guards={"burst": {"most": 60, "ms": 60_000, "outcome": "flag"}},
    )
    message_type = "points.configure_points"
    allowed = at_least(Role.GAME_MASTER)

    levels: Levels | None = None
    titles: list[LevelTitle] | None = Field(None, max_length=200)
    guards: WorldGuards | None = None

    @model_validator(mode="after")
    def _each_level_once(self) -> Self:
        levels = [entry.level for entry in self.titles or ()]
        if len(set(levels)) < len(levels):
            raise ValueError("name each level once in `titles`")
        return self


# -- awards --------------------------------------------------------------------------------------------------


class AwardFields(BaseModel):
    """What is awarded: by a rule (`action`), or an `amount` with a `reason`."""

    model_config = _example(amount=25, reason="Found the lost ring", reference="ring-1")

    action: Key | None = Field(None, description="The key of an award rule.")
    amount: Amount | None = Field(None, description="How much, if no rule says so.")
    currency: Currency = Field("points", description="Of what; a rule says it itself.")
    reason: Reason | None = Field(None, description="Shown in the statement. A rule has a text of its own.")
    reference: Reference | None = Field(
        None, description="What it is for, once: the same reference again gives nothing more."
    )
    data: Data = Field(default_factory=dict, description="What rules look at; JSON of at most 4,000 bytes.")

    @model_validator(mode="after")
    def _by_rule_or_amount(self) -> Self:
        if (self.action is None) == (self.amount is None):
            raise ValueError("say `action` or `amount`")
        if self.action is None and self.reason is None:
            raise ValueError("an amount without a rule needs a `reason`")
        return self


AWARD_REFUSALS: Final = (
    rules.CHARACTER_NOT_FOUND, rules.RULE_NOT_FOUND, rules.RULE_DISABLED, rules.RULE_LISTENS,
    rules.CONDITIONS_NOT_MET, rules.NO_AMOUNT, ledger.CURRENCY_NOT_FOUND, ledger.BALANCE_LIMIT,
    ledger.REFERENCE_REUSED, AWARD_LIMITED,
)  # fmt: skip


class Award(AwardFields, Command):
    """Award points or another currency to a character: by a rule, or an amount with a reason."""

    model_config = _example(character_id=ORLA, amount=25, reason="Found the lost ring")
    message_type = "points.award"
    allowed = at_least(Role.GAME_MASTER)
    refusals = AWARD_REFUSALS

    character_id: UUID


class AwardItem(AwardFields):
    """One award of a list."""

    character_id: UUID


class AwardMany(Command):
    """Award up to 500 times at once, all of it or nothing; the refusal's `index` says which stood in the way."""

    model_config = _example(awards=[{"character_id": ORLA, "amount": 25, "reason": "Won the race"}])
    message_type = "points.award_many"
    allowed = at_least(Role.GAME_MASTER)
    refusals = AWARD_REFUSALS

    awards: list[AwardItem] = Field(min_length=1, max_length=MOST_AT_ONCE)


class SpendFields(_Model):
    """What is spent."""

    model_config = _example(amount=5, reason="A lantern", reference="lantern-7")

    amount: Amount
    currency: Currency = "points"
    reason: Reason
    reference: Reference | None = None


class Spend(SpendFields, Command):
    """Let a character spend what it has; it goes to the world's sink."""

    model_config = _example(character_id=ORLA, amount=5, reason="A lantern")
    message_type = "points.spend"
    allowed = at_least(Role.PLAYER, acts_as=("character_id",))
    refusals = (
        rules.CHARACTER_NOT_FOUND, ledger.CURRENCY_NOT_FOUND, ledger.INSUFFICIENT_FUNDS, ledger.REFERENCE_REUSED,
    )  # fmt: skip

    character_id: UUID


class GiveFields(SpendFields):
    """What is given, and to whom."""

    model_config = _example(to_id=BRAM, amount=5, reason="For your help")

    to_id: UUID
    reason: Reason = "A gift"


class Give(GiveFields, Command):
    """Let a character give another one of what it has."""

    model_config = _example(from_id=ORLA, to_id=BRAM, amount=5, reason="For your help")
    message_type = "points.give"
    allowed = at_least(Role.PLAYER, acts_as=("from_id",))
    refusals = (
        rules.CHARACTER_NOT_FOUND, ledger.CURRENCY_NOT_FOUND, ledger.INSUFFICIENT_FUNDS, ledger.BALANCE_LIMIT,
        ledger.SAME_ACCOUNT, ledger.REFERENCE_REUSED, AWARD_LIMITED,
    )  # fmt: skip

    from_id: UUID


class AdjustFields(_Model):
    """By how much a balance is put right, and why."""

    model_config = _example(amount=-10, reason="Counted twice by mistake")

    amount: int = Field(ge=-rules.MOST_AWARD, le=rules.MOST_AWARD, description="Below 0: it is taken.")
    currency: Currency = "points"
    reason: Reason
    reference: Reference | None = None


class Adjust(AdjustFields, Command):
    """Put a character's balance right, with a reason. What it has earned, and its level, stay."""

    model_config = _example(character_id=ORLA, amount=-10, reason="Counted twice by mistake")
    message_type = "points.adjust"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (
        rules.ADJUSTED_BY_NOTHING, rules.CHARACTER_NOT_FOUND, ledger.CURRENCY_NOT_FOUND,
        ledger.INSUFFICIENT_FUNDS, ledger.BALANCE_LIMIT, ledger.REFERENCE_REUSED,
    )  # fmt: skip

    character_id: UUID


class ReverseAward(Command):
    """Take an award or a gift back: it does not count as earned any more. Who has spent it cannot give it back."""

    model_config = _example(transfer_id=ORLA, reason="The race was not run to its end")
    message_type = "points.reverse_award"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (ledger.TRANSFER_NOT_FOUND, rules.NO_AWARD, ledger.ALREADY_REVERSED, *UNPAYABLE)

    transfer_id: UUID = Field(
        description="The transfer of an award or a gift, as its answer and event name it."
    )
    reason: Reason


class GrantTitle(Command):
    """Grant a character a title. One that it has already stays as it is."""

    model_config = _example(character_id=ORLA, title="Keeper of the Ferry")
    message_type = "points.grant_title"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (rules.CHARACTER_NOT_FOUND,)

    character_id: UUID
    title: Title
    source: Name = "game master"


class RevokeTitle(Command):
    """Take a granted title from a character."""

    message_type = "points.revoke_title"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (rules.TITLE_NOT_FOUND,)

    character_id: UUID
    title: Title


class TitleValue(_Model):
    """A title, and by what it was granted."""

    title: Title
    source: Name = "game master"


class StandingValue(_Model):
    """What a character had earned elsewhere or before."""

    character_id: UUID
    earned: int = Field(0, ge=0, le=rules.MOST_EARNED)
    streak: int = Field(0, ge=0, le=10**6)
    streak_day: int | None = Field(None, ge=-(2**40), le=2**40, description="World day of its last award.")
    titles: list[TitleValue] = Field([], max_length=200)


class RestoreStandings(Command):
    """Set what characters have earned, as a pack of a lived world tells it. Balances are the ledger's."""

    model_config = _example(standings=[{"character_id": ORLA, "earned": 1200, "streak": 3}])
    message_type = "points.restore_standings"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (rules.CHARACTER_NOT_FOUND,)

    standings: list[StandingValue] = Field(min_length=1, max_length=MOST_RESTORED)

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len({s.character_id for s in self.standings}) < len(self.standings):
            raise ValueError("name each character once")
        return self


class ReviewVerdict(Command):
    """Decide what a check against abuse has found.

    `release` gives a held award after all; `confirm` lets it lapse, or (with `reverse`) takes back one that was
    given; `forgive` gives it and forgets what the character did of that action.
    """

    model_config = _example(verdict_id=ORLA, decision="forgive", note="Two players share the account.")
    message_type = "points.review_verdict"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (
        rules.VERDICT_NOT_FOUND, rules.VERDICT_CLOSED, rules.NOTHING_TO_REVERSE, rules.CHARACTER_NOT_FOUND,
        ledger.HOLD_NOT_FOUND, ledger.HOLD_NOT_OPEN, ledger.ALREADY_REVERSED, *UNPAYABLE,
    )  # fmt: skip

    verdict_id: UUID
    decision: Decision
    note: Reason | None = None
    reverse: bool = Field(False, description="With `confirm`: take back what was given.")
