"""Brings in treaties with their history: what they have become since they started follows from their dates.

Apart from `treaties`, where they are drafted and signed in the game.
"""

from typing import Any

from fablewright.core.clock import DAY
from fablewright.core.system import Handler
from fablewright.core.transaction import Transaction
from fablewright.systems.diplomacy.clauses import ClauseBase, HandOver, Pay
from fablewright.systems.diplomacy.treaties import STARTS, bind, check_terms, draft, pause
from fablewright.systems.diplomacy.treaty_commands import DATES_WRONG, ImportTreaty
from fablewright.systems.diplomacy.treaty_events import TreatyExpired, TreatyTerminated
from fablewright.systems.diplomacy.treaty_states import TreatyState, answer, save, tell


async def import_treaty(tx: Transaction, command: ImportTreaty) -> dict[str, Any]:
    """Bring in a treaty with its history. What was due once before now counts as done.

    What the parties think of each other and owe for it is not touched: a history of their relations says that.
    """
    start = tx.now if command.starts_at is None else command.starts_at
    await check_terms(tx, command, over=_ended(tx, command, start))
    if command.closed_at is not None and command.closed_at > tx.now:
        raise DATES_WRONG("It has ended, but not yet.", now=tx.now)
    if command.ends_at is not None and command.ends_at <= start:
        raise DATES_WRONG("It ends before it starts.", now=tx.now)
    span = None if command.ends_at is None else command.ends_at - start
    treaty = await draft(tx, command, None, None, command.id, span)
    for party in treaty.parties.values():
        party.signed_at = min(start, tx.now)
    treaty.state, treaty.agreed_at = "signed", min(start, tx.now)
    if start > tx.now:
        await tx.schedule(STARTS, start, {"treaty_id": str(treaty.id)})
    else:
        await _resume(tx, treaty, command, start)
    await save(tx, treaty)
    return answer(treaty)


def _end_of(command: ImportTreaty, start: int) -> int | None:
    """When an imported treaty that does not renew itself ends (world ms), if ever."""
    if command.ends_at is not None or command.duration_days is None:
        return command.ends_at
    return start + command.duration_days * DAY


def _ended(tx: Transaction, command: ImportTreaty, start: int) -> bool:
    """Whether an imported treaty is over."""
    end = _end_of(command, start)
    return command.closed_at is not None or (end is not None and end <= tx.now and not command.renews)


async def _resume(tx: Transaction, treaty: TreatyState, command: ImportTreaty, start: int) -> None:
    """Let an imported treaty be what it has become since it started."""
    treaty.starts_at, treaty.ends_at = start, _end_of(command, start)
    if treaty.ends_at is not None and treaty.duration_ms is not None and treaty.renews:
        terms = max(0, tx.now - treaty.ends_at) // treaty.duration_ms + (treaty.ends_at <= tx.now)
        treaty.ends_at += terms * treaty.duration_ms if command.closed_at is None else 0
    for clause in treaty.clauses:
        once = _done_in(clause.clause)
        if once is not None and start + once <= tx.now:
            clause.done_at = start + once
    over = command.closed_at if command.closed_at is not None else treaty.ends_at
    if over is None or over > tx.now:
        await bind(tx, treaty, imported=True)
        if command.suspended:
            pause(tx, treaty, command.reason)
        return
    treaty.state = "expired" if command.closed_at is None else command.outcome
    treaty.closed_at, treaty.reason = over, command.reason
    for clause in treaty.clauses:
        clause.ended_at = over
    if treaty.state == "expired":
        tell(tx, TreatyExpired, treaty)
    else:
        tell(tx, TreatyTerminated, treaty, reason=command.reason)


def _done_in(clause: ClauseBase) -> int | None:
    """In what time (world ms) a clause is fulfilled for good; None for one that goes on."""
    if isinstance(clause, Pay) and clause.every_days is None:
        return 0
    return clause.within_days * DAY if isinstance(clause, HandOver) else None


HANDLERS = (Handler(ImportTreaty, one=import_treaty),)
"""Who brings treaties in."""
