"""What may be asked about relations between factions, and by whom. Deeds change relations by themselves."""

from collections.abc import Iterable
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from fablewright.core.actors import Role, at_least
from fablewright.core.messages import Command
from fablewright.systems.diplomacy.rules import (
    MOST_MODIFIERS,
    MOST_SET,
    OPINION_HALF_LIFE_DAYS,
    OPINION_NOT_FOUND,
    RELATION_FACTION_NOT_FOUND,
    SAME_FACTION,
    TRUCE_UNTIL_WRONG,
    Status,
)

Tension = Annotated[float, Field(ge=0.0, le=100.0, allow_inf_nan=False)]
Trust = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=-100.0, le=100.0, allow_inf_nan=False)]
HalfLife = Annotated[float, Field(gt=0.0, le=1_000_000.0, allow_inf_nan=False)]
WorldMs = Annotated[int, Field(gt=-(2**52), lt=2**52)]
OpinionKey = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_:.\-]{0,99}$")]
Why = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00]*$")
]

ONE: Final = "01890a5d-ac96-774b-bcce-b302099a8057"
OTHER: Final = "01890a5d-ac96-774b-bcce-b302099a8058"
FIELDS_EXAMPLE: Final[dict[str, Any]] = {
    "status": "hostile", "tension": 40, "trust": 0.3, "reason": "the quarrel about the ford"
}  # fmt: skip
OPINION_EXAMPLE: Final[dict[str, Any]] = {
    "key": "shared_enemy", "amount": 20, "reason": "shared enemy", "half_life_days": 365
}  # fmt: skip


class OpinionFields(BaseModel):
    """A named reason to think well (above 0) or badly of a faction."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra={"examples": [OPINION_EXAMPLE]})

    key: OpinionKey = Field(description="Names the reason; the same key again adds to it.")
    amount: Amount = Field(description="-100 to 100.")
    reason: Why = Field(description="For readers, such as `broke the Treaty of Ash`.")
    half_life_days: HalfLife | None = Field(
        OPINION_HALF_LIFE_DAYS, description="World days in which half of it fades; null for never."
    )
    cap: float = Field(
        100.0, gt=0.0, le=100.0, allow_inf_nan=False, description="How large repetition can make it."
    )
    secret: bool = Field(False, description="Whether only the two factions are told.")


class RelationFields(BaseModel):
    """What shall stand between two factions; what is left out or null stays as it is."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra={"examples": [FIELDS_EXAMPLE]})

    status: Status | None = None
    tension: Tension | None = Field(None, description="0 to 100; it halves every 60 world days.")
    truce_until: WorldMs | None = Field(
        None, description="World time (ms) before which neither may go to war; 180 days from now for a truce."
    )
    trust: Trust | None = Field(None, description="How far the first trusts the second, 0 to 1.")
    trust_back: Trust | None = Field(None, description="How far the second trusts the first, 0 to 1.")
    reason: Why = Field("so it was decided", description="Why, for who asks.")

    @model_validator(mode="after")
    def _no_truce_in_war(self) -> "RelationFields":
        if self.status == "war" and self.truce_until is not None:
            raise ValueError("there is no truce in a war: leave truce_until out")
        return self


Opinions = Annotated[list[OpinionFields], Field(max_length=MOST_MODIFIERS)]


class RelationValue(RelationFields):
    """What shall stand between two factions, with reasons why they think well or badly of each other."""

    a_id: UUID
    b_id: UUID
    opinions: Opinions = Field([], description="What the first thinks of the second.")
    opinions_back: Opinions = Field([], description="What the second thinks of the first.")


class SetRelation(RelationFields, Command):
    """Say what stands between two factions, whatever it was. A war that is set so ends any truce."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"a_id": ONE, "b_id": OTHER, **FIELDS_EXAMPLE}]}
    )
    message_type = "diplomacy.set_relation"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (SAME_FACTION, RELATION_FACTION_NOT_FOUND, TRUCE_UNTIL_WRONG)

    a_id: UUID
    b_id: UUID


class SetRelations(Command):
    """Say many such things at once, with opinions, all or nothing. For imports."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"relations": [{"a_id": ONE, "b_id": OTHER, **FIELDS_EXAMPLE, "opinions": [OPINION_EXAMPLE]}]}
            ]
        }
    )
    message_type = "diplomacy.set_relations"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (SAME_FACTION, RELATION_FACTION_NOT_FOUND, TRUCE_UNTIL_WRONG)

    relations: list[RelationValue] = Field(min_length=1, max_length=MOST_SET)


class AddOpinion(OpinionFields, Command):
    """Give a faction a reason to think well or badly of another; what it had under the same key adds up."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"holder_id": ONE, "about_id": OTHER, **OPINION_EXAMPLE}]}
    )
    message_type = "diplomacy.add_opinion"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (SAME_FACTION, RELATION_FACTION_NOT_FOUND)

    holder_id: UUID = Field(description="Who thinks so.")
    about_id: UUID = Field(description="About whom.")


class DropOpinion(Command):
    """Take a reason out of what a faction thinks of another."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"holder_id": ONE, "about_id": OTHER, "key": "shared_enemy"}]}
    )
    message_type = "diplomacy.drop_opinion"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (SAME_FACTION, RELATION_FACTION_NOT_FOUND, OPINION_NOT_FOUND)

    holder_id: UUID
    about_id: UUID
    key: OpinionKey
    reason: Why = "it is forgotten"


def in_commands(relations: Iterable[RelationValue]) -> list[SetRelations]:
    """Any number of relations as commands, each of them small enough."""
    values = list(relations)
    return [SetRelations(relations=values[n : n + MOST_SET]) for n in range(0, len(values), MOST_SET)]
