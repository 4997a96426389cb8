"""Negotiations as they are stored and locked: who sits at the table, and the offer that stands.

Locks, in this order: factions, accounts, relations, treaties, negotiations. An acceptance may conclude a treaty, which
moves all of these; so whoever may accept locks what belongs to the table first (`lock_tables`). Whoever sits there does
not change, so that it is read freely.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Final
from uuid import UUID

import orjson

from fablewright.core.transaction import Transaction
from fablewright.systems.diplomacy.clauses import CLAUSES, AnyClause
from fablewright.systems.diplomacy.nego_commands import (
    NEGOTIATION_NOT_FOUND,
    NEGOTIATION_OVER,
    NO_OFFER_STANDS,
    NOT_AT_THE_TABLE,
    OWN_OFFER,
)
from fablewright.systems.diplomacy.service import relations_book
from fablewright.systems.factions import service as factions
from fablewright.systems.ledger import service as ledger


@dataclass(slots=True)
class Seat:
    """A faction at the table; see `NegotiationParty`."""

    faction_id: UUID
    name: str
    self_run: bool
    dissolved: bool = False
    lean: float = 0.0
    concessions: int = 0
    tried: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Talks:
    """An open negotiation, locked."""

    id: UUID
    kind: str
    topic: str
    secret: bool
    offers: int
    deadline_at: int
    seats: dict[UUID, Seat]

    @property
    def alone(self) -> bool:
        """Whether all who sit there run themselves, so that nobody need be waited for."""
        return all(seat.self_run for seat in self.seats.values())

    @property
    def gone(self) -> list[UUID]:
        """Those at the table who are no more."""
        return [seat.faction_id for seat in self.seats.values() if seat.dissolved]

    def common(self, by_id: UUID | None = None) -> dict[str, Any]:
        """The fields that all its events have."""
        return {
            "negotiation_id": self.id,
            "party_ids": list(self.seats),
            "secret": self.secret,
            "by_id": by_id,
        }

    def leans(self) -> dict[UUID, float]:
        """What the talks have brought, by faction."""
        return {seat.faction_id: seat.lean for seat in self.seats.values()}


@dataclass(slots=True)
class Offer:
    """An offer that stands, or stood."""

    id: UUID
    number: int
    from_id: UUID
    clauses: list[AnyClause]
    days: int | None
    mark: UUID
    accepted: dict[str, str | None]


LOAD: Final = """
SELECT id, kind, topic, secret, state, offers, deadline_at FROM negotiations
WHERE world_id = $1 AND id = $2 FOR NO KEY UPDATE
"""
LOCK: Final = """
SELECT id FROM negotiations WHERE world_id = $1 AND id = ANY($2::uuid[]) ORDER BY id FOR NO KEY UPDATE
"""
_SEATS: Final = """
SELECT p.negotiation_id, p.faction_id, f.name, f.self_run, f.dissolved_at IS NOT NULL AS dissolved, p.lean,
       p.concessions, p.tried::text AS tried
FROM negotiation_parties p JOIN factions f ON f.world_id = p.world_id AND f.id = p.faction_id
WHERE p.world_id = $1"""
SEATS: Final = f"{_SEATS} AND p.negotiation_id = $2 ORDER BY p.faction_id"
SEATS_OF: Final = f"{_SEATS} AND p.negotiation_id = ANY($2::uuid[]) ORDER BY p.negotiation_id, p.faction_id"
_OFFER: Final = """
SELECT id, number, from_id, clauses::text AS clauses, days, mark, accepted::text AS accepted
FROM negotiation_offers WHERE world_id = $1 AND negotiation_id = $2"""
STANDING: Final = f"{_OFFER} AND state = 'standing'"
CURRENCIES: Final = """
SELECT p.negotiation_id, f.currency FROM negotiation_parties p
JOIN factions f ON f.world_id = p.world_id AND f.id = p.faction_id
WHERE p.world_id = $1 AND p.negotiation_id = ANY($2::uuid[])
UNION SELECT o.negotiation_id, c ->> 'currency' FROM negotiation_offers o, jsonb_array_elements(o.clauses) AS c
WHERE o.world_id = $1 AND o.negotiation_id = ANY($2::uuid[]) AND o.state = 'standing' AND c ->> 'type' = 'pay'
"""
EARLIER: Final = f"{_OFFER} AND from_id = $3 AND number < $4 ORDER BY number"
WRITE_SEAT: Final = """
UPDATE negotiation_parties SET lean = $4, concessions = $5, tried = $6::jsonb
WHERE world_id = $1 AND negotiation_id = $2 AND faction_id = $3
"""


async def load(tx: Transaction, negotiation_id: UUID, faction_id: UUID) -> Talks:
    """Refuses `negotiation_not_found`, `negotiation_over`, `not_at_the_table`."""
    row = await tx.fetchrow(LOAD, tx.world_id, negotiation_id)
    if row is None:
        raise NEGOTIATION_NOT_FOUND(negotiation_id=str(negotiation_id))
    seats = {r["faction_id"]: seat_of(r) for r in await tx.fetch(SEATS, tx.world_id, negotiation_id)}
    if faction_id not in seats:
        refusal = NEGOTIATION_NOT_FOUND if row["secret"] else NOT_AT_THE_TABLE
        raise refusal(negotiation_id=str(negotiation_id), faction_id=str(faction_id))
    if row["state"] != "open":
        raise NEGOTIATION_OVER(f"The negotiation has ended: {row['state']}.", state=row["state"])
    return Talks(
        row["id"], row["kind"], row["topic"], row["secret"], row["offers"], row["deadline_at"], seats
    )


async def lock_tables(tx: Transaction, ids: Iterable[UUID]) -> list[Any]:
    """Lock what a treaty would move that comes of these talks, and then the talks; the seats at all these tables.

    All at once, each kind in the order of its ids: who locked one table after the other would wait for somebody who
    waits for it.
    """
    wanted = sorted(set(ids))
    rows: list[Any] = await tx.fetch(SEATS_OF, tx.world_id, wanted)
    seats: dict[UUID, list[UUID]] = {}
    for row in rows:
        seats.setdefault(row["negotiation_id"], []).append(row["faction_id"])
    await factions.load(tx, {row["faction_id"] for row in rows})
    money = await tx.fetch(CURRENCIES, tx.world_id, wanted)
    await ledger.open_book(tx, {(i, m["currency"]) for m in money for i in seats[m["negotiation_id"]]})
    await relations_book(tx, {pair for table in seats.values() for pair in combinations(table, 2)})
    await tx.fetch(LOCK, tx.world_id, wanted)
    return rows


def seat_of(row: Any) -> Seat:
    """A seat from a row of `SEATS`."""
    return Seat(
        row["faction_id"], row["name"], row["self_run"], row["dissolved"], row["lean"], row["concessions"],
        orjson.loads(row["tried"]),
    )  # fmt: skip


async def standing(tx: Transaction, talks: Talks) -> Offer | None:
    """The offer that stands, if one does."""
    row = await tx.fetchrow(STANDING, tx.world_id, talks.id)
    return None if row is None else offer_of(row)


def offer_of(row: Any) -> Offer:
    """An offer from a row of `STANDING`."""
    return Offer(
        row["id"], row["number"], row["from_id"], CLAUSES.validate_json(row["clauses"]), row["days"], row["mark"],
        orjson.loads(row["accepted"]),
    )  # fmt: skip


async def write_seat(tx: Transaction, talks: Talks, seat: Seat) -> None:
    """Store what the talks have brought a faction to."""
    await tx.execute(
        WRITE_SEAT, tx.world_id, talks.id, seat.faction_id, seat.lean, seat.concessions,
        orjson.dumps(seat.tried).decode(),
    )  # fmt: skip


async def to_answer(tx: Transaction, talks: Talks, faction_id: UUID) -> Offer:
    """The offer that a faction has to answer. Refuses `no_offer_stands`, `own_offer`."""
    offer = await standing(tx, talks)
    if offer is None:
        raise NO_OFFER_STANDS()
    if str(faction_id) in offer.accepted:
        raise OWN_OFFER(number=offer.number)
    return offer
