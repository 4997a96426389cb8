"""What may be asked about ties, and by whom."""

from typing import Annotated, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from fablewright.core.actors import Role, at_least
from fablewright.core.messages import Command
from fablewright.systems.relationships.rules import (
    SAME_CHARACTER,
    TIE_CHARACTER_NOT_FOUND,
    TRUST_OF_STRANGERS,
)

Strength = Annotated[float, Field(ge=-1.0, le=1.0, allow_inf_nan=False)]
Trust = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]

MOST_TIES: Final = 300
"""Ties in one `SetTies`, so that its event stays small."""


class TieValue(BaseModel):
    """How one character shall feel about another."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source_id: UUID
    target_id: UUID
    strength: Strength = Field(description="-1 (hate) to 1 (love).")
    trust: Trust = TRUST_OF_STRANGERS


class SetTie(Command):
    """Say how one character feels about another; what they have been through together stays counted."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "source_id": "01890a5d-ac96-774b-bcce-b302099a8057",
                    "target_id": "01890a5d-ac96-774b-bcce-b302099a8058",
                    "strength": -0.4,
                    "trust": 0.2,
                }
            ]
        }
    )
    message_type = "relationships.set_tie"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (SAME_CHARACTER, TIE_CHARACTER_NOT_FOUND)

    source_id: UUID
    target_id: UUID
    strength: Strength = Field(description="-1 (hate) to 1 (love).")
    trust: Trust = TRUST_OF_STRANGERS


class SetTies(Command):
    """Say many such things at once, all or nothing, with one event. For imports."""

    message_type = "relationships.set_ties"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (SAME_CHARACTER, TIE_CHARACTER_NOT_FOUND)

    ties: list[TieValue] = Field(min_length=1, max_length=MOST_TIES)
