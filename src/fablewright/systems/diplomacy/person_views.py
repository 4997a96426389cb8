"""What is read of the people of diplomacy."""

from typing import Any, Final
from uuid import UUID

from pydantic import Field

from fablewright.core.messages import View
from fablewright.systems.characters.views import ALIVE, CLOCK, world_now
from fablewright.systems.diplomacy import bearing
from fablewright.systems.diplomacy.persons import said_of

REPUTATION: Final = f"""
SELECT c.id, r.said::text AS said FROM characters c
LEFT JOIN reputations r ON r.world_id = c.world_id AND r.id = c.id
WHERE c.world_id = $1 AND c.id = $2 AND {ALIVE}
"""  # noqa: S608  fixed texts only


class SaidView(View):
    """Something that is said of a character, as far as it counts now."""

    why: str = Field(description="`limit` is what lies beyond -100 or 100.")
    amount: float
    event_id: UUID | None


class ReputationView(View):
    """What the world thinks of a character for its diplomatic acts; half of it is forgotten in 365 world days."""

    character_id: UUID
    reputation: float = Field(description="-100 to 100, the sum of the parts.")
    parts: list[SaidView]


async def reputation(connection: Any, world_id: UUID, character_id: UUID) -> ReputationView | None:
    """The reputation of a character; None if there is no such character."""
    row = await connection.fetchrow(REPUTATION, world_id, character_id)
    if row is None:
        return None
    now = world_now(await connection.fetchrow(CLOCK, world_id))
    said = () if row["said"] is None else said_of(row["said"])
    return ReputationView(
        character_id=character_id, reputation=bearing.reputation(said, now),
        parts=[SaidView(why=w, amount=a, event_id=e) for w, a, e in bearing.parts(said, now)],
    )  # fmt: skip
