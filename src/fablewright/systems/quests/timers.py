"""What happens when the time for quests is over."""

from uuid import UUID

from fablewright.core.system import TimerKind
from fablewright.core.transaction import Timer, Transaction
from fablewright.systems.quests import takings


async def over(tx: Transaction, timers: list[Timer]) -> None:
    """Those that are still open expire."""
    await takings.expire(tx, [UUID(timer.data["taking_id"]) for timer in timers])


QUEST_IS_DUE = TimerKind(takings.DUE, over)
