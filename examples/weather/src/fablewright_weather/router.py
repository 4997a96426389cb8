"""HTTP routes of the weather."""

from uuid import UUID

from fastapi import APIRouter

from fablewright.core.refusal import NOT_FOUND, Refusal
from fablewright.gateway.api import Caller, Committed, refusals
from fablewright_weather import views
from fablewright_weather.commands import SetSky
from fablewright_weather.views import WeatherView

router = APIRouter(tags=["weather"])
NO_WEATHER = Refusal(
    "no_weather", NOT_FOUND, "This world has no weather yet. A game master sets the first sky."
)


@router.get("/worlds/{world_id}/weather", responses=refusals(NO_WEATHER))
async def get_weather(world_id: UUID, caller: Caller) -> WeatherView:
    """What the sky is like."""
    async with caller.reading(world_id) as connection:
        found = await views.of_world(connection, world_id)
    if found is None:
        raise NO_WEATHER()
    return found


@router.put("/worlds/{world_id}/weather", responses=refusals(SetSky))
async def set_weather(world_id: UUID, body: SetSky, caller: Caller) -> Committed[WeatherView]:
    """Say what the sky is like. For game masters."""
    return await caller.execute(body, world_id)  # type: ignore[no-any-return]
