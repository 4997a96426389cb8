"""What public treaties forbid their parties to trade is cut on the markets at once, for as long as it is forbidden.

Apart from `treaties`, as `peace` is: it hears what becomes of treaties and writes it down into markets, which keep it.
A secret treaty cuts nothing, since all would see it; its clauses are watched like all others.
"""

from typing import Final
from uuid import UUID

from fablewright.core.messages import Event
from fablewright.core.refusal import Refused
from fablewright.core.system import Reaction
from fablewright.core.transaction import EventRecord, Transaction
from fablewright.systems.diplomacy.clauses import NoTrade
from fablewright.systems.diplomacy.treaty_events import (
    PartyWithdrawn,
    TreatyEvent,
    TreatyExpired,
    TreatyInForce,
    TreatyResumed,
    TreatyRevealed,
    TreatySuspended,
    TreatyTerminated,
)
from fablewright.systems.diplomacy.treaty_states import load
from fablewright.systems.markets import service as markets
from fablewright.systems.markets.rules import GOOD_NOT_FOUND, Restraint, Restriction

HEARD: Final[tuple[type[Event], ...]] = (
    TreatyInForce, TreatySuspended, TreatyResumed, TreatyExpired, TreatyTerminated, PartyWithdrawn, TreatyRevealed,
)  # fmt: skip
STANDING: Final = """
SELECT DISTINCT source FROM trade_restrictions
WHERE world_id = $1 AND source = ANY($2::text[]) AND lifted_at IS NULL
"""


def source(clause_id: UUID) -> str:
    """What keeps the restriction that a clause imposes."""
    return f"treaty:{clause_id}"


async def bind(tx: Transaction, records: list[EventRecord]) -> None:
    """Cut the trade that clauses forbid now, and let go on what they do not any more."""
    causes = {r.event.treaty_id: r for r in records if isinstance(r.event, TreatyEvent)}
    treaties = await load(tx, causes, lock=False)
    clauses = [
        (treaty, clause, clause.clause) for treaty in treaties.values() for clause in treaty.clauses
        if isinstance(clause.clause, NoTrade)
    ]  # fmt: skip
    if not clauses:
        return
    rows = await tx.fetch(STANDING, tx.world_id, [source(clause.id) for _, clause, _ in clauses])
    standing = {row["source"] for row in rows}
    for treaty, clause, terms in clauses:
        name, binds = source(clause.id), treaty.state == "in_force" and clause.binding and not treaty.secret
        if binds and name not in standing:
            cut = Restriction(
                name, Restraint.EMBARGO, terms.good, terms.faction_id, terms.with_id, 1.0, treaty.name[:200],
                both_ways=True,
            )  # fmt: skip
            await _cut(tx, cut, causes[treaty.id])
        elif not binds and name in standing:
            await markets.lift(tx, name, cause=causes[treaty.id])


async def _cut(tx: Transaction, cut: Restriction, cause: EventRecord) -> None:
    try:
        await markets.restrict(tx, [cut], cause=cause)
    except Refused as refused:
        if refused.code != GOOD_NOT_FOUND.code:  # of what nobody trades in, nothing is to be cut
            raise


GUARDING: Final = (Reaction("diplomacy.bind_trade", tuple(event.message_type for event in HEARD), bind),)
"""What treaties forbid is forbidden in the commit that brings them into force."""
