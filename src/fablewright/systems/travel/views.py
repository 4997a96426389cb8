"""What is read of journeys."""

from typing import Any, Final
from uuid import UUID

from pydantic import Field

from fablewright.core.messages import View
from fablewright.systems.travel.rules import Journey

JOURNEY: Final = (
    "id, character_id, from_place_id, to_place_id, region_ids, crossings, crossed, set_out_at, arrives_at"
)


class JourneyView(View):
    """A journey that is not over. Times are world ms."""

    id: UUID
    character_id: UUID
    from_place_id: UUID
    to_region_id: UUID
    to_place_id: UUID
    region_ids: list[UUID] = Field(description="The way, both ends included.")
    here_id: UUID = Field(description="The region in which the traveller is.")
    next_border_at: int | None = Field(description="Null if all borders lie behind.")
    set_out_at: int
    arrives_at: int


def journey_of(row: Any) -> Journey:
    """A journey from a row of `JOURNEY`."""
    return Journey(
        row["id"], row["character_id"], row["from_place_id"], row["to_place_id"], tuple(row["region_ids"]),
        tuple(row["crossings"]), row["set_out_at"], row["arrives_at"], row["crossed"],
    )  # fmt: skip


def journey_view(journey: Journey) -> JourneyView:
    """A journey as it is answered."""
    return JourneyView.model_construct(
        id=journey.id, character_id=journey.character_id, from_place_id=journey.from_place_id,
        to_region_id=journey.region_ids[-1], to_place_id=journey.to_place_id,
        region_ids=list(journey.region_ids), here_id=journey.here, next_border_at=journey.next_border_at,
        set_out_at=journey.set_out_at, arrives_at=journey.arrives_at,
    )  # fmt: skip


async def journey(connection: Any, world_id: UUID, character_id: UUID) -> JourneyView | None:
    """The journey on which a character is; None if it is on none."""
    row = await connection.fetchrow(
        f"SELECT {JOURNEY} FROM journeys WHERE world_id = $1 AND character_id = $2 AND ended_at IS NULL",  # noqa: S608
        world_id, character_id,
    )  # fmt: skip
    return None if row is None else journey_view(journey_of(row))


async def list_journeys(
    connection: Any, world_id: UUID, *, after: UUID | None, limit: int
) -> list[JourneyView]:
    """Up to `limit` journeys that are not over, by character, after one."""
    rows = await connection.fetch(
        f"SELECT {JOURNEY} FROM journeys WHERE world_id = $1 AND ended_at IS NULL "  # noqa: S608
        "AND ($2::uuid IS NULL OR character_id > $2) ORDER BY character_id LIMIT $3",
        world_id, after, limit,
    )  # fmt: skip
    return [journey_view(journey_of(row)) for row in rows]
