"""What may be asked about ties, and by whom."""

from collections.abc import Iterable
from typing import Annotated, Final
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from fablewright.core.actors import Role, at_least
from fablewright.core.messages import Command
from fablewright.systems.relationships.rules import (
    FAMILIARITY_SET,
    MOST_HABITS,
    MOST_LABELS,
    MOST_REASONS,
    SAME_CHARACTER,
    TIE_CHARACTER_NOT_FOUND,
    TRUST_OF_STRANGERS,
)

Strength = Annotated[float, Field(ge=-1.0, le=1.0, allow_inf_nan=False)]
Trust = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
WorldMs = Annotated[int, Field(gt=-(2**52), lt=2**52)]
Label = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,29}$")]
Kind = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,49}$")]
Why = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00]*$")
]

MOST_TIES: Final = 300
"""Ties in one `SetTies`, so that its event stays small."""
MOST_BYTES: Final = 32_000
"""Bytes of JSON that `in_commands` lets one `SetTies` have, for the same reason."""


def _no_item_twice(labels: list[str]) -> list[str]:
    return list(dict.fromkeys(labels))


Labels = Annotated[list[Label], Field(max_length=MOST_LABELS), AfterValidator(_no_item_twice)]


class ReasonValue(BaseModel):
    """Why a tie changed, when (world ms) and by how much."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: WorldMs
    why: Why = Field(description="Such as `helped at the mill`.")
    strength: float = Field(0.0, ge=-2.0, le=2.0, allow_inf_nan=False)
    trust: float = Field(0.0, ge=-1.0, le=1.0, allow_inf_nan=False)
    event_id: UUID | None = Field(None, description="The event that tells of it.")


class HabitValue(BaseModel):
    """How used one was to something at world time `at` (ms): about how often it was done lately."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: WorldMs
    heat: float = Field(ge=0.0, le=1000.0, allow_inf_nan=False)


def _absent(value: object) -> bool:
    return value is None


class Feelings(BaseModel):
    """How one character shall feel about another; what is left out or null stays as it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    strength: Strength = Field(description="-1 (hate) to 1 (love).")
    trust: Trust = Field(TRUST_OF_STRANGERS, description="0 to 1.")
    familiarity: Trust | None = Field(
        None,
        description=f"How well it knows the other, 0 to 1; {FAMILIARITY_SET} for a new tie.",
        exclude_if=_absent,
    )
    resting_strength: Strength | None = Field(
        None, description="To where the strength drifts; left out, it stays where it is.", exclude_if=_absent
    )
    resting_trust: Trust | None = Field(
        None, description="To where the trust drifts; left out, it stays where it is.", exclude_if=_absent
    )
    labels: Labels | None = Field(
        None,
        description="Such as kin, mentor, spouse. Some (friend, close_friend, confidant, rival, enemy) follow "
        "the values by themselves.",
        exclude_if=_absent,
    )
    reasons: Annotated[list[ReasonValue], Field(max_length=MOST_REASONS)] | None = Field(
        None, description="Why it feels so, newest last.", exclude_if=_absent
    )
    interaction_count: Annotated[int, Field(ge=0, lt=2**31)] | None = Field(
        None, description="How often they met; it then counts for both of them.", exclude_if=_absent
    )
    last_interaction_at: WorldMs | None = Field(
        None, description="When they last met (world ms), if `interaction_count` is sent.", exclude_if=_absent
    )
    habits: Annotated[dict[Kind, HabitValue], Field(max_length=MOST_HABITS)] | None = Field(
        None, description="By type of interaction, how used it is to it.", exclude_if=_absent
    )

    @model_validator(mode="after")
    def _met_when_counted(self) -> "Feelings":
        if self.last_interaction_at is not None and not self.interaction_count:
            raise ValueError("last_interaction_at needs an interaction_count of at least 1")
        return self


class TieValue(Feelings):
    """How one character shall feel about another; what is left out or null stays as it is."""

    source_id: UUID
    target_id: UUID


class SetTie(Feelings, Command):
    """Say how one character feels about another; what they have been through together stays counted.

    Left to themselves, the values then stay as they are, unless resting points are sent.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "source_id": "01890a5d-ac96-774b-bcce-b302099a8057",
                    "target_id": "01890a5d-ac96-774b-bcce-b302099a8058",
                    "strength": -0.4,
                    "trust": 0.2,
                    "labels": ["kin"],
                }
            ]
        }
    )
    message_type = "relationships.set_tie"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (SAME_CHARACTER, TIE_CHARACTER_NOT_FOUND)

    source_id: UUID
    target_id: UUID


class SetTies(Command):
    """Say many such things at once, all or nothing, with one event. For imports."""

    message_type = "relationships.set_ties"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (SAME_CHARACTER, TIE_CHARACTER_NOT_FOUND)

    ties: list[TieValue] = Field(min_length=1, max_length=MOST_TIES)


def in_commands(ties: Iterable[TieValue]) -> list[SetTies]:
    """Any number of ties as commands, each of them small enough for its event."""
    groups: list[list[TieValue]] = []
    size = 0
    for tie in ties:
        # What is left out is told in the event all the same.
        more = len(tie.model_dump_json()) + 160
        if not groups or len(groups[-1]) == MOST_TIES or size + more > MOST_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(tie)
        size += more
    return [SetTies(ties=group) for group in groups]
