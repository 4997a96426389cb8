"""What happens when travellers come to a border."""

from fablewright.core.system import TimerKind
from fablewright.core.transaction import Timer, Transaction
from fablewright.systems.travel import service


async def fire(tx: Transaction, timers: list[Timer]) -> None:
    """All who are at a border at the same time cross it together, or are stopped."""
    await service.reach_borders(tx, timers)


BORDER = TimerKind(service.BORDER, fire)
