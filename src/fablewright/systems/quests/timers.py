"""What happens when the time for quests is over."""

from uuid import UUID

from fablewright.core.system import TimerKind
from fablewright.core.transaction import Timer, Transaction
from fablewright.systems.quests import endings, service, takings


async def expire(tx: Transaction, timers: list[Timer]) -> None:
    """Those that are still open expire."""
    await endings.expire(tx, [UUID(timer.data["taking_id"]) for timer in timers])


async def close(tx: Transaction, timers: list[Timer]) -> None:
    """Generated quests whose time is over are taken away."""
    await service.close(tx, [UUID(timer.data["quest_id"]) for timer in timers])


QUEST_IS_DUE = TimerKind(takings.DUE, expire)
QUEST_IS_OVER = TimerKind(service.CLOSES, close)
