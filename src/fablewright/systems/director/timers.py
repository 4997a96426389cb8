"""What the director does when a beat or a council falls due."""

from fablewright.core.system import TimerKind
from fablewright.core.transaction import Timer, Transaction
from fablewright.systems.director import councils, reactions, service


async def fire(tx: Transaction, timers: list[Timer]) -> None:
    """One beat for each timer; it ends the arcs that are over by now."""
    for timer in timers:
        await service.beat(tx, timer, reactions.fade)


async def convene(tx: Transaction, timers: list[Timer]) -> None:
    """Factions that run themselves hold council."""
    for timer in timers:
        await councils.council(tx, timer)


async def summon(tx: Transaction, timers: list[Timer]) -> None:
    """They answer what waits for an answer."""
    await councils.summons(tx, timers)


BEAT = TimerKind(service.BEAT, fire)
COUNCIL = TimerKind(service.COUNCIL, convene)
SUMMONS = TimerKind(service.SUMMONS, summon)
