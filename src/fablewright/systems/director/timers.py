"""What the director does when a beat falls due."""

from fablewright.core.system import TimerKind
from fablewright.core.transaction import Timer, Transaction
from fablewright.systems.director import service


async def fire(tx: Transaction, timers: list[Timer]) -> None:
    """One beat for each timer; those of an older configuration do nothing."""
    for timer in timers:
        await service.beat(tx, timer.data["version"], timer.due_at)


BEAT = TimerKind(service.BEAT, fire)
