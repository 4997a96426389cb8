"""What happens when a season is over."""

from fablewright.core.system import TimerKind
from fablewright.core.transaction import Timer, Transaction
from fablewright.systems.leaderboards import seasons
from fablewright.systems.leaderboards.service import DEFINITIONS


async def end(tx: Transaction, timers: list[Timer]) -> None:
    """Seasons that are over freeze, and the next ones open."""
    await seasons.end(tx, (await DEFINITIONS.of(tx)).by_id, timers)


async def pay(tx: Transaction, timers: list[Timer]) -> None:
    """The best of a season are rewarded."""
    await seasons.pay(tx, timers)


SEASON_ENDS = TimerKind(seasons.ENDS, end)
SEASON_PAYS = TimerKind(seasons.PAYS, pay)
