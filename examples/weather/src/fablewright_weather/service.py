"""What setting the sky does, and what happens when it turns."""

from typing import Final

from fablewright.core.clock import HOUR
from fablewright.core.transaction import Transaction
from fablewright_weather import rules
from fablewright_weather.commands import SetSky
from fablewright_weather.events import SkyChanged
from fablewright_weather.tables import Weather
from fablewright_weather.views import WeatherView

TURN: Final = "weather.turn"
"""The kind of timer that lets the sky turn."""


async def set_sky(tx: Transaction, command: SetSky) -> WeatherView:
    """Store the sky and let it turn when its time has come."""
    lasts_ms = rules.lasts_ms(tx.dice) if command.hours is None else round(command.hours * HOUR)
    return await _change(tx, command.sky, lasts_ms)


async def turn(tx: Transaction) -> None:
    """Let the sky become the next one, which may be the same for another while."""
    weather = await tx.session.get(Weather, tx.world_id, with_for_update={"key_share": True})
    if weather is not None:
        await _change(tx, rules.next_sky(weather.sky, tx.dice), rules.lasts_ms(tx.dice))  # type: ignore[arg-type]


async def _change(tx: Transaction, sky: rules.Sky, lasts_ms: int) -> WeatherView:
    # Timers are locked before the sky, as when one fires.
    await tx.cancel_timers(TURN)
    weather = await tx.session.get(Weather, tx.world_id, with_for_update={"key_share": True})
    before = weather.sky if weather else None
    until_ms = tx.now + lasts_ms
    await tx.session.merge(Weather(world_id=tx.world_id, sky=sky, until_ms=until_ms))
    await tx.flush()
    await tx.schedule(TURN, until_ms)
    if sky != before:
        tx.emit(SkyChanged(before=before, sky=sky, until_ms=until_ms))
    return WeatherView(sky=sky, until_ms=until_ms)
