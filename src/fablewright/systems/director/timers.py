"""What the director does when a beat falls due."""

from fablewright.core.system import TimerKind
from fablewright.core.transaction import Timer, Transaction
from fablewright.systems.director import reactions, service


async def fire(tx: Transaction, timers: list[Timer]) -> None:
    """One beat for each timer; it ends the arcs that are over by now."""
    for timer in timers:
        await service.beat(tx, timer, reactions.fade)


BEAT = TimerKind(service.BEAT, fire)
