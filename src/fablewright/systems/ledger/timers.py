"""What happens when the time of a hold is over."""

from fablewright.core.system import TimerKind
from fablewright.core.transaction import Timer, Transaction
from fablewright.systems.ledger import service


async def fire(tx: Transaction, timers: list[Timer]) -> None:
    """All holds that expire at the same time are released together."""
    await service.expire(tx, timers)


EXPIRY = TimerKind(service.HOLD_EXPIRES, fire)
