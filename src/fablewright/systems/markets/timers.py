"""What happens when a world day of trade is over."""

from fablewright.core.system import TimerKind
from fablewright.core.transaction import Timer, Transaction
from fablewright.systems.markets import trade


async def fire(tx: Transaction, timers: list[Timer]) -> None:
    """All routes of the world trade together."""
    await trade.trade_day(tx, timers)


DAY = TimerKind(trade.TRADE_DAY, fire)
