"""Gratitude: what a faction gives another of its own accord is remembered.

Apart from `service`, since it hears what goes through treasuries. A gift is what a member lets its faction pay to
another faction; what a treaty demands, what is plundered and what game masters move earn no thanks. Locks: accounts of
the ledger, relations.
"""

from typing import Final

from fablewright.core.system import Reaction
from fablewright.core.transaction import EventRecord, Transaction
from fablewright.systems.diplomacy.rules import GRATITUDE_HALF_LIFE_DAYS, MOST_GRATITUDE, gratitude
from fablewright.systems.diplomacy.service import relations_book, write
from fablewright.systems.factions import service as factions
from fablewright.systems.factions.events import TreasuryMoved

GIFT: Final = "gift"
"""The key of the opinion that gifts win."""
SPENT: Final = "factions.spend"
"""The kind of transfer by which gifts are given."""


async def thank(tx: Transaction, records: list[EventRecord]) -> None:
    """Let factions think better of those who gave them something. Only the two know of it, as of the gift."""
    given = [
        (record, record.event) for record in records
        if isinstance(record.event, TreasuryMoved) and record.event.kind == SPENT and record.event.by_id is not None
    ]  # fmt: skip
    if not given:
        return
    known = await factions.load(tx, (side for _, e in given for side in (e.from_id, e.to_id)), lock=False)
    given = [(record, e) for record, e in given if {e.from_id, e.to_id} <= known.keys()]
    book = await relations_book(tx, [(e.from_id, e.to_id) for _, e in given])
    for _, e in given:
        felt = sum(part.amount for part in book.parts(e.to_id, e.from_id) if part.key == GIFT)
        book.opine(
            e.to_id, e.from_id, GIFT, gratitude(felt, e.amount), "sent us gifts", GRATITUDE_HALF_LIFE_DAYS,
            cap=MOST_GRATITUDE, secret=True,
        )  # fmt: skip
    await write(tx, book, causes={(e.from_id, e.to_id): record for record, e in given})


GUARDING: Final = (Reaction("diplomacy.thank_for_gifts", (TreasuryMoved,), thank),)
