"""What is read of the weather."""

from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from fablewright_weather.rules import Sky


class WeatherView(BaseModel):
    """The sky over a world."""

    sky: Sky
    until_ms: int = Field(description="World time (ms) at which it may turn.")


async def of_world(connection: Any, world_id: UUID) -> WeatherView | None:
    """The sky over a world; None if it was never set."""
    row = await connection.fetchrow("SELECT sky, until_ms FROM weather WHERE world_id = $1", world_id)
    return WeatherView(**row) if row else None
