"""What may be asked about the weather, and by whom."""

from pydantic import ConfigDict, Field

from fablewright.core.actors import Role, at_least
from fablewright.core.messages import Command
from fablewright_weather.rules import Sky


class SetSky(Command):
    """Say what the sky is like from now on. Afterwards it changes by itself."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"sky": "rain", "hours": 2}]})
    message_type = "weather.set_sky"
    allowed = at_least(Role.GAME_MASTER)

    sky: Sky
    hours: float | None = Field(
        None, gt=0, le=1000, allow_inf_nan=False,
        description="How long it stays so, in hours of world time; by chance if left out.",
    )  # fmt: skip
