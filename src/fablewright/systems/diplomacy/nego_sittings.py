"""Talks of factions that all run themselves: they sit down once, all tables of a world together, and end there.

Apart from `negotiations`, where each side answers in its own time: here nobody is waited for, so that what all these
tables judge by is read once, they bargain in memory (`bargaining`), and what was said is written with a few statements
for all. Only a treaty that comes of it has statements of its own.

The tables, and all that treaties of theirs may move, were locked by who calls (`nego_states.lock_tables`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from uuid import UUID

import orjson

from fablewright.core.clock import HOUR
from fablewright.core.refusal import Refused
from fablewright.core.transaction import EventRecord, Timer, Transaction
from fablewright.systems.diplomacy import bargaining, nego_states, negotiations, persuasion, treaties
from fablewright.systems.diplomacy.bargaining import Offered, Sitting
from fablewright.systems.diplomacy.nego_events import (
    NegotiationEnded,
    OfferAnswered,
    OfferMade,
    OfferWeighed,
    PartyPersuaded,
)
from fablewright.systems.diplomacy.nego_states import Talks
from fablewright.systems.diplomacy.nego_views import clauses_json, parts_told
from fablewright.systems.diplomacy.negotiations import DEADLINE, TURN
from fablewright.systems.diplomacy.perspectives import Scene, scene
from fablewright.systems.diplomacy.treaty_commands import TreatyFields
from fablewright.systems.relationships import service as relationships

Feelings = Mapping[tuple[UUID, UUID], float]

DAYS: Final = 360
"""For how long a faction that runs itself offers treaties."""
MOST_TABLES: Final = 500
"""Tables of one sitting, so that what is said stays within one commit; the others meet an hour later."""

OPEN: Final = """
SELECT id, kind, topic, secret, offers, deadline_at FROM negotiations
WHERE world_id = $1 AND id = ANY($2::uuid[]) AND state = 'open' ORDER BY id
"""
LAPSE: Final = """
UPDATE negotiation_offers SET state = 'lapsed', ended_at = $3
WHERE world_id = $1 AND negotiation_id = ANY($2::uuid[]) AND state = 'standing'
"""
PUT_ALL: Final = """
INSERT INTO negotiation_offers (world_id, id, negotiation_id, number, from_id, at, clauses, days, mark, state,
                                accepted, ended_at, ended_by_id)
SELECT $1, v.id, v.negotiation_id, v.number, v.from_id, $2, v.clauses, $3, v.mark, v.state, v.accepted, $2,
       v.ended_by_id
FROM unnest($4::uuid[], $5::uuid[], $6::int[], $7::uuid[], $8::jsonb[], $9::uuid[], $10::text[], $11::jsonb[],
            $12::uuid[]) AS v (id, negotiation_id, number, from_id, clauses, mark, state, accepted, ended_by_id)
"""
WRITE_SEATS: Final = """
UPDATE negotiation_parties p SET lean = v.lean, concessions = v.concessions
FROM unnest($2::uuid[], $3::uuid[], $4::float8[], $5::int[]) AS v (negotiation_id, faction_id, lean, concessions)
WHERE p.world_id = $1 AND p.negotiation_id = v.negotiation_id AND p.faction_id = v.faction_id
"""
END_ALL: Final = """
UPDATE negotiations n SET state = v.state, offers = v.offers, ended_at = $2, ended_by_id = v.ended_by_id,
    ended_reason = v.reason, treaty_id = v.treaty_id
FROM unnest($3::uuid[], $4::text[], $5::int[], $6::uuid[], $7::text[], $8::uuid[])
    AS v (id, state, offers, ended_by_id, reason, treaty_id)
WHERE n.world_id = $1 AND n.id = v.id
"""
FORGET: Final = """
DELETE FROM timers WHERE world_id = $1 AND kind = ANY($2::text[]) AND data ->> 'negotiation_id' = ANY($3::text[])
"""


@dataclass(slots=True)
class Held:
    """A sitting that is over: how it went, and what came of it."""

    talks: Talks
    went: Sitting = field(default_factory=Sitting)
    state: str = "walked_out"
    by: UUID | None = None
    reason: str = ""
    treaty_id: UUID | None = None

    @property
    def offers(self) -> list[Offered]:
        """Its offers, in their order."""
        return [said for said in self.went.said if isinstance(said, Offered)]


def among_themselves(seats: Sequence[Any]) -> set[UUID]:
    """Those of the talks with these seats at which all run themselves and still stand."""
    others = {r["negotiation_id"] for r in seats if not r["self_run"] or r["dissolved"]}
    return {r["negotiation_id"] for r in seats} - others


async def sit(tx: Transaction, timers: Mapping[UUID, Timer], seats: Sequence[Any]) -> None:
    """Let the factions at these tables bargain until they agree or see that they will not."""
    if not timers:
        return
    now = sorted(timers)[:MOST_TABLES]
    for late in sorted(timers.keys() - set(now)):
        await tx.schedule(TURN, tx.now + HOUR, timers[late].data)
    tables = {
        r["id"]: Talks(r["id"], r["kind"], r["topic"], r["secret"], r["offers"], r["deadline_at"], {})
        for r in await tx.fetch(OPEN, tx.world_id, now)
    }
    for row in seats:
        if row["negotiation_id"] in tables:
            tables[row["negotiation_id"]].seats[row["faction_id"]] = nego_states.seat_of(row)
    seen = await scene(tx, [talks.seats for talks in tables.values()])
    feelings = await _feelings(tx, seen, tables.values())
    held = [await _sit(tx, talks, seen, feelings, timers[talks.id]) for talks in tables.values()]
    if held:
        await _write(tx, held)


async def _feelings(tx: Transaction, seen: Scene, tables: Iterable[Talks]) -> dict[tuple[UUID, UUID], float]:
    """What those who lead the factions at these tables feel for each other, by (who feels, for whom), -1..1."""
    led = [[seen.factions[i].leader_id for i in talks.seats] for talks in tables]
    pairs = {(a, b) for ids in led for a in ids for b in ids if a is not None and b is not None and a != b}
    found = await relationships.peek(tx, sorted(pairs)) if pairs else {}
    return {pair: tie.now(tx.now).strength for pair, tie in found.items()}


def _persuade(tx: Transaction, talks: Talks, seen: Scene, feelings: Feelings) -> None:
    """Let each who leads a faction speak to the one beside it, if it may hope to move it: a check with dice."""
    ring = list(talks.seats.values())
    for seat, other in zip(ring, [*ring[1:], ring[0]], strict=True):
        leader_id, listener_id = (seen.factions[s.faction_id].leader_id for s in (seat, other))
        speaker = None if leader_id is None else seen.leaders.get(leader_id)
        if speaker is None:
            continue
        listener = None if listener_id is None else seen.leaders.get(listener_id)
        felt = feelings.get((listener.id, speaker.id)) if listener else None
        way = persuasion.best_way(speaker, listener, felt)
        if way is None:
            continue
        approach, parts = way
        tried = persuasion.attempt(tx, parts)
        other.lean = max(-bargaining.MOST_LEAN, min(bargaining.MOST_LEAN, other.lean + tried.lean))
        tx.emit(
            PartyPersuaded(
                **talks.common(speaker.id), faction_id=seat.faction_id, target_id=other.faction_id,
                approach=approach, roll=tried.roll, score=tried.score, needed=persuasion.NEEDED,
                lean=tried.lean, parts=parts,
            )
        )  # fmt: skip


async def _sit(tx: Transaction, talks: Talks, seen: Scene, feelings: Feelings, timer: Timer) -> Held:
    request = negotiations.because_of(tx, timer)
    with tx.acting(request):
        held = Held(talks)
        _persuade(tx, talks, seen, feelings)
        views = seen.views(list(talks.seats), talks.leans())
        held.went = bargaining.sitting(talks.kind, views, UUID(timer.data["faction_id"]), DAYS, talks.offers)
        last = _tell(tx, held) or request.cause
        await _conclude(tx, held, last)
        tx.emit(
            NegotiationEnded(
                **talks.common(), state=held.state, faction_id=held.by, reason=held.reason, treaty_id=held.treaty_id
            ),
            cause=last,
        )  # fmt: skip
    return held


def _tell(tx: Transaction, held: Held) -> EventRecord | None:
    """Tell what was said, each thing caused by the one before it; returns the last one."""
    talks, last = held.talks, None
    made: dict[int, Offered] = {}
    for said in held.went.said:
        if isinstance(said, Offered):
            made[said.number] = said
            stood = made[said.counters].clauses if said.counters else ()
            last = tx.emit(
                OfferMade(
                    **talks.common(), number=said.number, faction_id=said.faction_id, counters=said.counters,
                    clauses=clauses_json(said.clauses), days=DAYS,
                    **negotiations.differences(stood, said.clauses),
                ),
                cause=last,
            )  # fmt: skip
            continue
        found = said.found
        last = tx.emit(
            OfferWeighed(
                negotiation_id=talks.id, faction_id=said.faction_id, number=said.number, utility=found.utility,
                verdict=found.verdict, reasons=list(found.reasons), parts=parts_told(found),
            ),
            cause=last,
        )  # fmt: skip
        if found.verdict != "counter":
            last = tx.emit(
                OfferAnswered(
                    **talks.common(), number=said.number, faction_id=said.faction_id,
                    accepted=found.verdict == "accept",
                ),
                cause=last,
            )  # fmt: skip
    return last


async def _conclude(tx: Transaction, held: Held, cause: EventRecord | None) -> None:
    """Make a treaty of what was agreed; if it cannot be (a sum is not covered), the talks have failed."""
    talks, offer = held.talks, held.went.agreed
    if offer is None:
        held.by, held.reason = held.went.walked, bargaining.NOTHING
        return
    fields = TreatyFields(
        name=negotiations.name_of(talks), kind=talks.kind, parties=list(talks.seats), clauses=list(offer.clauses),
        duration_days=DAYS, secret=negotiations.stays_secret(talks),
    )  # fmt: skip
    try:
        async with tx.savepoint():
            with tx.acting(replace(tx.request, cause=cause)):
                treaty = await treaties.conclude(tx, fields, proposer_id=offer.faction_id)
        held.state, held.treaty_id = "agreed", treaty.id
    except Refused as refused:
        # In general words: all may hear it, and how much there is in a treasury is nobody else's business.
        offer.end, held.by, held.reason = "lapsed", offer.faction_id, refused.refusal.title


async def _write(tx: Transaction, held: list[Held]) -> None:
    """Store how these sittings went."""
    ids = [h.talks.id for h in held]
    if any(h.talks.offers for h in held):
        await tx.execute(LAPSE, tx.world_id, ids, tx.now)
    offers = [(h.talks.id, offer) for h in held for offer in h.offers]
    if offers:
        await tx.execute(
            PUT_ALL, tx.world_id, tx.now, DAYS, [tx.new_id() for _ in offers], [i for i, _ in offers],
            [o.number for _, o in offers], [o.faction_id for _, o in offers],
            [_json(clauses_json(o.clauses)) for _, o in offers], [o.mark for _, o in offers],
            [o.end for _, o in offers], [_json({str(i): None for i in o.accepted}) for _, o in offers],
            [o.ended_by for _, o in offers],
        )  # fmt: skip
    seats = [(h.talks.id, i, h.went.leans[i], h.went.concessions[i]) for h in held for i in h.went.leans]
    await tx.execute(WRITE_SEATS, tx.world_id, *(list(column) for column in zip(*seats, strict=True)))
    await tx.execute(
        END_ALL, tx.world_id, tx.now, ids, [h.state for h in held], [h.talks.offers + len(h.offers) for h in held],
        [h.by for h in held], [h.reason for h in held], [h.treaty_id for h in held],
    )  # fmt: skip
    await tx.execute(FORGET, tx.world_id, [DEADLINE, TURN], [str(i) for i in ids])


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
