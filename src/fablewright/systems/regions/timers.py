"""What happens when a walk ends."""

from fablewright.core.system import TimerKind
from fablewright.core.transaction import Timer, Transaction
from fablewright.systems.regions import service


async def fire(tx: Transaction, timers: list[Timer]) -> None:
    """All who are due at the same time arrive together."""
    await service.arrive(tx, timers)


ARRIVAL = TimerKind(service.ARRIVAL, fire)
