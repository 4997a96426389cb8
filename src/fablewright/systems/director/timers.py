"""What the director does when a beat falls due."""

from fablewright.core.system import TimerKind
from fablewright.core.transaction import Timer, Transaction
from fablewright.systems.director import reactions, service


async def fire(tx: Transaction, timers: list[Timer]) -> None:
    """One beat for each timer; those of an older configuration do nothing. Arcs that are over by now end."""
    for timer in timers:
        if await service.beat(tx, timer.data["version"], timer.due_at):
            await reactions.fade(tx)


BEAT = TimerKind(service.BEAT, fire)
