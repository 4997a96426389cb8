"""Weather: the sky over a world, which changes by itself.

Nouns: *sky* (clear, cloudy, rain, storm), *turn* (the moment at which the sky may become another one).

Invariants: a world has one sky at most; while it has one, exactly one turn of it waits.
"""

from pathlib import Path

from fablewright.core.system import Handler, System
from fablewright_weather import service
from fablewright_weather.checks import CHECKS
from fablewright_weather.commands import SetSky
from fablewright_weather.events import SkyChanged
from fablewright_weather.router import router
from fablewright_weather.timers import TURN

system = System(
    name="weather",
    handlers=(Handler(SetSky, one=service.set_sky),),
    events=(SkyChanged,),
    timers=(TURN,),
    routers=(router,),
    checks=CHECKS,
    migrations=str(Path(__file__).parent / "migrations"),
)
