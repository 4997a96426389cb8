"""What the weather does when a turn falls due."""

from fablewright.core.system import TimerKind
from fablewright.core.transaction import Timer, Transaction
from fablewright_weather import service


async def fire(tx: Transaction, timers: list[Timer]) -> None:
    """Let the sky turn, once however many turns are due."""
    if timers:
        await service.turn(tx)


TURN = TimerKind(service.TURN, fire)
