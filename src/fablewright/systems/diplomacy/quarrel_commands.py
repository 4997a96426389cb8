"""What may be told of coalitions as they stand: by imports, and by game masters who bring a history in.

Beside `history_commands`, which has the wars. Pure.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from fablewright.core.actors import Role, at_least
from fablewright.core.messages import Command
from fablewright.systems.diplomacy import threats
from fablewright.systems.diplomacy.history_commands import (
    HISTORY_EXISTS,
    HISTORY_UNSOUND,
    Fault,
    within,
)
from fablewright.systems.diplomacy.war_commands import ONE, TWO, WorldMs
from fablewright.systems.factions.rules import FACTION_DISSOLVED, FACTION_NOT_FOUND

MOST_MEMBERS: Final = 500
OF_HISTORY: Final = (HISTORY_UNSOUND, HISTORY_EXISTS, FACTION_NOT_FOUND, FACTION_DISSOLVED)

Fear = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]


class MemberValue(BaseModel):
    """A faction that takes part."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    faction_id: UUID
    since: WorldMs | None = Field(None, description="World ms; left out: from the beginning.")


class CoalitionMemberValue(MemberValue):
    """A faction that belongs to a coalition."""

    fear: Fear = Field(0.0, description="How much it feared the target when it joined.")


# -- coalitions ------------------------------------------------------------------------------------------------


class ImportCoalition(Command):
    """Bring in a coalition that stands. What its members and its target think of each other is not touched."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"target_id": TWO, "members": [{"faction_id": ONE, "fear": 40}], "since": 0}]
        }
    )
    message_type = "diplomacy.import_coalition"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (*OF_HISTORY, threats.COALITION_STANDS)

    id: UUID | None = None
    target_id: UUID
    since: WorldMs | None = Field(None, description="World ms; left out: now.")
    members: list[CoalitionMemberValue] = Field(min_length=1, max_length=MOST_MEMBERS)


def faults_of_coalition(told: ImportCoalition, now: int) -> list[Fault]:
    """What of a coalition, as it is told at world time `now` (ms), cannot have been."""
    return [*within("since", told.since, None, now, now), *_of_members(told, told.members, now)]


# -- helpers -------------------------------------------------------------------------------------------------


def _of_members(told: Any, members: Sequence[MemberValue], now: int) -> Iterator[Fault]:
    """That each stands there once, is not the target, and has not joined before the beginning."""
    seen: set[UUID] = set()
    for number, member in enumerate(members, 1):
        path = f"members.{number}"
        if member.faction_id in seen:
            yield f"{path}.faction", "it stands there already: name it once"
        seen.add(member.faction_id)
        if member.faction_id == told.target_id:
            yield f"{path}.faction", "it is the target: nobody stands against itself"
        yield from within(f"{path}.since", member.since, told.since, now, now)
