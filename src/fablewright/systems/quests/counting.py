"""How what happens counts for those who are on quests."""

from collections.abc import Sequence
from typing import Any, Final

import orjson

from fablewright.core.definitions import Definitions
from fablewright.core.transaction import EventRecord, Transaction
from fablewright.systems.factions import service as factions
from fablewright.systems.quests import views
from fablewright.systems.quests.endings import Ending, ended, move
from fablewright.systems.quests.rules import Catalog, Hit
from fablewright.systems.quests.takings import CONCERNED, Taking
from fablewright.systems.quests.views import parsed


async def _load(tx: Transaction) -> Catalog:
    rows = await tx.fetch(views.CATALOG, tx.world_id)
    return Catalog((row["id"], parsed(row["spec"])) for row in rows)


CATALOG: Final = Definitions(_load)
"""The quests of a world that somebody is on, and perhaps some that somebody was on when it was last read."""


async def count(tx: Transaction, records: Sequence[EventRecord]) -> None:
    """Count events for those who are on quests, in the order in which they happened."""
    catalog = await CATALOG.of(tx)
    hits: list[tuple[Hit, EventRecord]] = []
    for record in records:
        listening = catalog.of(record.type)
        data: dict[str, Any] = orjson.loads(record.data) if listening else {}
        for counted in listening:
            hit = counted.hit(record.about, record.at, data)
            if hit is not None:
                hits.append((hit, record))
    if not hits:
        return
    subjects = {who for hit, _ in hits for who in hit.subjects or ()}
    groups = await factions.allegiance(tx, subjects) if catalog.for_factions and subjects else {}

    def step(takings: Sequence[Taking]) -> list[Ending]:
        for hit, record in hits:
            whom = None if hit.subjects is None else {
                taker for who in hit.subjects for taker in (who, *groups.get(who, ()))
            }  # fmt: skip
            for taking in takings:
                if taking.quest.id == hit.quest_id and (whom is None or taking.taker_id in whom):
                    before = len(taking.course.reached)
                    taking.course.hit(hit.key, hit.amount, hit.at)
                    if len(taking.course.reached) > before:
                        taking.cause = record
        return ended(takings)

    quest_ids = sorted({hit.quest_id for hit, _ in hits})
    anyone = sorted({hit.quest_id for hit, _ in hits if hit.subjects is None})
    await move(tx, step, CONCERNED, quest_ids, sorted(subjects.union(*groups.values())), anyone)
