"""Who breaches a sanction that it takes part in; apart from `sanctions`, which says what binds whom."""

from typing import Any, Final
from uuid import UUID

from fablewright.core.system import Reaction
from fablewright.core.transaction import EventRecord, Transaction
from fablewright.systems.diplomacy.sanctions import members_of, whom
from fablewright.systems.diplomacy.service import relations_book, write
from fablewright.systems.diplomacy.war_events import (
    SanctionBreached,
    SanctionImported,
    SanctionImposed,
    SanctionJoined,
)
from fablewright.systems.markets.events import RouteOpened

BREACH_OPINION: Final = -12.0
BREACH_TRUST: Final = -0.1
BREACHED: Final = "broke our common sanction"

BROKEN: Final = """
SELECT s.id, s.target_id, s.kind, m.faction_id
FROM sanctions s JOIN sanction_members m ON m.world_id = $1 AND m.sanction_id = s.id AND m.left_at IS NULL
WHERE s.world_id = $1 AND s.lifted_at IS NULL AND s.kind = 'embargo' AND m.faction_id = $2
  AND (s.good IS NULL OR s.good = $4)
  AND EXISTS (SELECT 1 FROM regions r
              WHERE r.world_id = $1 AND r.id = ANY($3::uuid[]) AND r.controller_id = s.target_id)
ORDER BY s.id
"""


async def watch(tx: Transaction, records: list[EventRecord]) -> None:
    """See members open routes to or from whom they have an embargo on; buying and selling there is refused.

    Who opened one before it took part, in the same commit, as when a world is brought in, has breached nothing.
    """
    order, since = {record.id: n for n, record in enumerate(tx.events)}, _since(tx)
    for record in records:
        event: Any = record.event
        if event.owner_id is None:
            continue
        ends = [event.from_region, event.to_region]
        for row in await tx.fetch(BROKEN, tx.world_id, event.owner_id, ends, event.good):
            if since.get((row["id"], row["faction_id"]), -1) < order[record.id]:
                await _breached(tx, row, record, f"opened a route for {event.good}")


def _since(tx: Transaction) -> dict[tuple[UUID, UUID], int]:
    """After how many events of this commit factions came to take part in sanctions (sanction, member) by it."""
    since: dict[tuple[UUID, UUID], int] = {}
    for n, record in enumerate(tx.events):
        event = record.event
        if isinstance(event, SanctionImported):
            since |= {(event.sanction_id, member): n for member in event.member_ids}
        elif isinstance(event, (SanctionImposed, SanctionJoined)) and event.faction_id is not None:
            since[event.sanction_id, event.faction_id] = n
    return since


async def _breached(tx: Transaction, row: Any, record: EventRecord, words: str) -> None:
    added = await tx.execute(
        "INSERT INTO sanction_breaches (world_id, id, sanction_id, faction_id, event_id, words, at) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
        tx.world_id, tx.new_id(), row["id"], row["faction_id"], record.id, words, tx.now,
    )  # fmt: skip
    if not added:
        return
    others = [m for m in await members_of(tx, row["id"]) if m != row["faction_id"]]
    told = tx.emit(
        SanctionBreached(**whom(row, row["faction_id"], None), event_id=record.id, words=words), cause=record
    )
    book = await relations_book(tx, [(other, row["faction_id"]) for other in others])
    for other in others:
        book.opine(
            other, row["faction_id"], "sanction_breach", BREACH_OPINION, BREACHED, 180, told.id, cap=50
        )  # fmt: skip
        book.trust(other, row["faction_id"], BREACH_TRUST, BREACHED)
    await write(tx, book)


EVENTS = (SanctionBreached,)
GUARDING = (Reaction("diplomacy.sanctions_watch", (RouteOpened,), watch),)
"""A breach belongs to the truth: it is seen in the transaction in which it happens."""
