"""What happens when a truce runs out."""

from fablewright.core.system import TimerKind
from fablewright.core.transaction import Timer, Transaction
from fablewright.systems.diplomacy import service


async def fire(tx: Transaction, timers: list[Timer]) -> None:
    """All truces that run out at the same time end together."""
    await service.end_truces(tx, timers)


TRUCES = TimerKind(service.TRUCE_ENDS, fire)
