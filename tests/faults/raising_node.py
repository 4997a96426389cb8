"""`fablewright` with a system that breaks on some of the points it hears of: consumers of both kinds, a reaction."""

from typing import Any
from uuid import UUID

from fablewright import app
from fablewright.cli import main
from fablewright.core.consumers import DeliveryContext
from fablewright.core.messages import MEMBERS, Audience, Event
from fablewright.core.system import Consumer, Delivery, Reaction, System
from fablewright.core.transaction import EventRecord, Transaction

POISON = "5-1"
"""What the reasons of those awards end with on which everything breaks."""


class Counted(Event):
    """An award was counted by the consumer that breaks on others."""

    message_type = "raising.counted"

    of: UUID

    def audience(self) -> Audience:
        return MEMBERS


class Cheered(Counted):
    """An award was heard of by the reaction that breaks on others."""

    message_type = "raising.cheered"


def poisoned(record: EventRecord) -> bool:
    """Whether this one breaks those who hear of it."""
    event: Any = record.event
    return str(event.reason).endswith(POISON)


async def count(tx: Transaction, records: list[EventRecord]) -> None:
    """Transactional: counts, and breaks."""
    for record in records:
        tx.emit(Counted(of=record.id))
        if poisoned(record):
            raise RuntimeError("a bug in a consumer")


def post(_context: DeliveryContext, records: list[EventRecord]) -> None:
    """Delivering: breaks."""
    if any(poisoned(record) for record in records):
        raise ConnectionError("nobody answers")


async def cheer(tx: Transaction, records: list[EventRecord]) -> None:
    """Following: writes something, and breaks."""
    for record in records:
        tx.emit(Cheered(of=record.id), cause=record)
    if any(poisoned(record) for record in records):
        raise RuntimeError("a bug in a reaction")


AWARDS = ("points.awarded",)
system = System(
    name="raising",
    events=(Counted, Cheered),
    consumers=(
        Consumer("raising.count", AWARDS, count),
        Consumer("raising.post", AWARDS, post, Delivery.DELIVERING),
    ),
    following=(Reaction("raising.cheer", AWARDS, cheer),),
)

if __name__ == "__main__":
    app.BUILT_IN = (*app.BUILT_IN, system)
    main()
