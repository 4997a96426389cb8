"""Negotiations: sessions, offers and counter-offers, and when factions that run themselves have their say.

What is locked, and in which order, says `nego_states`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import orjson

from fablewright.core.actors import system_actor
from fablewright.core.clock import DAY, HOUR
from fablewright.core.dice import derived_uuid
from fablewright.core.messages import Event
from fablewright.core.refusal import Refused
from fablewright.core.system import Check, Handler
from fablewright.core.transaction import EventRecord, Request, Timer, Transaction
from fablewright.systems.diplomacy import clauses, evaluator, treaties
from fablewright.systems.diplomacy.clauses import AnyClause
from fablewright.systems.diplomacy.nego_commands import (
    MOST_OFFERS,
    MOST_TALKS,
    NEGOTIATES_WITH_ITSELF,
    NO_OFFER_STANDS,
    OFFER_REPEATED,
    TOO_MANY_OFFERS,
    TOO_MANY_TALKS,
    AnswerOffer,
    MakeOffer,
    OpenNegotiation,
    WalkOut,
)
from fablewright.systems.diplomacy.nego_events import (
    NegotiationEnded,
    NegotiationStarted,
    OfferAnswered,
    OfferMade,
)
from fablewright.systems.diplomacy.nego_states import (
    Offer,
    Seat,
    Talks,
    load,
    lock_tables,
    standing,
    to_answer,
)
from fablewright.systems.diplomacy.nego_views import Made, clauses_json
from fablewright.systems.diplomacy.peace import KINDS_OF_PEACE
from fablewright.systems.diplomacy.treaty_commands import ProposeTreaty, SignTreaty
from fablewright.systems.factions import service as factions
from fablewright.systems.factions.rules import NOT_A_MEMBER, ROLE_MAY_NOT

DEADLINE: Final = "diplomacy.negotiation_deadline"
TURN: Final = "diplomacy.negotiation_turn"
"""Timers: the talks end; a faction that runs itself has its say."""
THINKS_HOURS: Final = (4, 36)
"""World hours after which such a faction answers, at least and at most."""

TITLES: Final[Mapping[str, str]] = {
    "peace": "Peace", "ceasefire": "Ceasefire", "non_aggression": "Pact of non-aggression", "alliance": "Alliance",
    "defence_pact": "Defence pact", "trade": "Trade treaty", "tribute": "Tribute treaty", "vassalage": "Homage",
    "border": "Border treaty", "military_access": "Right of passage", "custom": "Agreement",
}  # fmt: skip
"""What treaties of a kind are called, if the talks had no topic."""


TALKING: Final = """
SELECT b.faction_id FROM negotiations n
JOIN negotiation_parties a ON a.world_id = $1 AND a.negotiation_id = n.id AND a.faction_id = $2
JOIN negotiation_parties b ON b.world_id = $1 AND b.negotiation_id = n.id AND b.faction_id = ANY($3::uuid[])
WHERE n.world_id = $1 AND n.state = 'open' GROUP BY b.faction_id HAVING count(*) >= $4 ORDER BY b.faction_id LIMIT 1
"""
BEGIN: Final = """
WITH session AS (
    INSERT INTO negotiations (world_id, id, kind, topic, secret, opened_at, opened_by_id, deadline_at, about_id)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
)
INSERT INTO negotiation_parties (world_id, id, negotiation_id, faction_id)
SELECT $1, v.id, $2, v.faction_id FROM unnest($10::uuid[], $11::uuid[]) AS v (id, faction_id)
"""
PUT: Final = """
INSERT INTO negotiation_offers
    (world_id, id, negotiation_id, number, from_id, by_id, at, clauses, days, mark, accepted)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb, $9, $10, $11::jsonb)
"""
END_OFFER: Final = """
UPDATE negotiation_offers SET state = $3, ended_at = $4, ended_by_id = $5
WHERE world_id = $1 AND negotiation_id = $2 AND state = 'standing'
"""
END: Final = """
UPDATE negotiations SET state = $3, ended_at = $4, ended_by_id = $5, ended_reason = $6, treaty_id = $7
WHERE world_id = $1 AND id = $2
"""


# -- commands ----------------------------------------------------------------------------------------------------


async def open_negotiation(tx: Transaction, command: OpenNegotiation) -> Made:
    """Sit down. Factions that run themselves will have their say in some hours."""
    if command.faction_id in command.with_ids:
        raise NEGOTIATES_WITH_ITSELF(faction_id=str(command.faction_id))
    await factions.may(tx, command.faction_id, command.character_id, "negotiate")
    found = await factions.require(tx, [command.faction_id, *command.with_ids], lock=False)
    many = await tx.fetchval(TALKING, tx.world_id, command.faction_id, command.with_ids, MOST_TALKS)
    if many is not None:
        raise TOO_MANY_TALKS(most=MOST_TALKS, faction_id=str(many))
    deadline = tx.now + command.deadline_days * DAY
    talks = Talks(
        tx.new_id(), command.kind, command.topic, command.in_secret, 0, deadline,
        {i: Seat(i, found[i].name, found[i].self_run) for i in sorted(found)},
    )  # fmt: skip
    await tx.execute(
        BEGIN, tx.world_id, talks.id, talks.kind, talks.topic, talks.secret, tx.now, command.character_id,
        deadline, command.about_id, [tx.new_id() for _ in found], list(talks.seats),
    )  # fmt: skip
    await tx.schedule(DEADLINE, deadline, {"negotiation_id": str(talks.id)})
    told = tx.emit(
        NegotiationStarted(
            **talks.common(command.character_id), faction_id=command.faction_id, kind=talks.kind,
            topic=talks.topic, deadline_at=deadline, about_id=command.about_id,
        )
    )  # fmt: skip
    first = talks.seats[command.faction_id]
    await think(tx, talks, [first] if first.self_run else [], told)
    return Made(id=talks.id, state="open")


async def make_offer(tx: Transaction, command: MakeOffer) -> Made:
    """Put an offer on the table."""
    await factions.may(tx, command.faction_id, command.character_id, "negotiate")
    talks = await load(tx, command.negotiation_id, command.faction_id)
    await put(tx, talks, command.faction_id, command.character_id, command.clauses, command.days)
    return Made(id=talks.id, state="open", offer=talks.offers)


async def answer_offer(tx: Transaction, command: AnswerOffer) -> Made:
    """Accept or refuse the offer that stands."""
    await factions.may(tx, command.faction_id, command.character_id, "negotiate")
    if command.accept:
        await lock_tables(tx, [command.negotiation_id])
    talks = await load(tx, command.negotiation_id, command.faction_id)
    offer = await to_answer(tx, talks, command.faction_id)
    if offer.number != command.number:
        raise NO_OFFER_STANDS(f"Offer {offer.number} stands, not {command.number}.", number=offer.number)
    if command.accept:
        return await accept(tx, talks, offer, command.faction_id, command.character_id)
    return await refuse(tx, talks, offer, command.faction_id, command.character_id)


async def walk_out(tx: Transaction, command: WalkOut) -> Made:
    """End the talks for all."""
    await factions.may(tx, command.faction_id, command.character_id, "negotiate")
    talks = await load(tx, command.negotiation_id, command.faction_id)
    await end(tx, talks, "walked_out", command.faction_id, command.reason, by_id=command.character_id)
    return Made(id=talks.id, state="walked_out")


# -- offers ------------------------------------------------------------------------------------------------------


async def put(
    tx: Transaction, talks: Talks, faction_id: UUID, by_id: UUID | None, offer: Sequence[AnyClause],
    days: int | None,
) -> None:  # fmt: skip
    """Put an offer on the table for a faction; those who run themselves will think about it.

    Refuses `clause_names_no_party`, `clause_names_nobody`, `clauses_contradict`, `too_many_offers`,
    `offer_repeated`.
    """
    clauses.check(offer, talks.seats)
    await treaties.check_named(tx, offer)
    if talks.offers >= MOST_OFFERS:
        raise TOO_MANY_OFFERS(most=MOST_OFFERS)
    stood = await standing(tx, talks)
    mark = evaluator.fingerprint(offer, days)
    if stood is not None:
        if stood.mark == mark:
            raise OFFER_REPEATED(number=stood.number)
        state = "withdrawn" if stood.from_id == faction_id else "countered"
        await tx.execute(END_OFFER, tx.world_id, talks.id, state, tx.now, faction_id)
    talks.offers += 1
    accepted = {str(faction_id): None if by_id is None else str(by_id)}
    await tx.execute(
        PUT, tx.world_id, tx.new_id(), talks.id, talks.offers, faction_id, by_id, tx.now,
        orjson.dumps(clauses_json(offer)).decode(), days, mark, orjson.dumps(accepted).decode(),
    )  # fmt: skip
    await tx.execute(
        "UPDATE negotiations SET offers = $3 WHERE world_id = $1 AND id = $2",
        tx.world_id, talks.id, talks.offers,
    )  # fmt: skip
    told = tx.emit(
        OfferMade(
            **talks.common(by_id), number=talks.offers, faction_id=faction_id, clauses=clauses_json(offer),
            days=days, counters=stood.number if stood else None,
            **differences(stood.clauses if stood else [], offer),
        )
    )  # fmt: skip
    await think(
        tx, talks, [s for s in talks.seats.values() if s.self_run and s.faction_id != faction_id], told
    )


def differences(before: Sequence[AnyClause], after: Sequence[AnyClause]) -> dict[str, list[dict[str, Any]]]:
    """Which clauses were added and dropped, and which of the same type changed; none for a first offer."""
    if not before:
        return {"added": [], "dropped": [], "changed": []}
    new = [c for c in after if c not in before]
    gone = [c for c in before if c not in after]
    types = [c.type for c in gone]
    moved = []
    for clause in list(new):
        if clause.type in types:
            gone.pop(types.index(clause.type))
            types.remove(clause.type)
            new.remove(clause)
            moved.append(clause)
    return {"added": clauses_json(new), "dropped": clauses_json(gone), "changed": clauses_json(moved)}


async def accept(tx: Transaction, talks: Talks, offer: Offer, faction_id: UUID, by_id: UUID | None) -> Made:
    """Let a faction accept an offer; the last one makes it a treaty. Refuses what signing does."""
    offer.accepted[str(faction_id)] = None if by_id is None else str(by_id)
    told = tx.emit(
        OfferAnswered(**talks.common(by_id), number=offer.number, faction_id=faction_id, accepted=True)
    )
    await tx.execute(
        "UPDATE negotiation_offers SET accepted = $3::jsonb WHERE world_id = $1 AND id = $2",
        tx.world_id, offer.id, orjson.dumps(offer.accepted).decode(),
    )  # fmt: skip
    if len(offer.accepted) < len(talks.seats):
        return Made(id=talks.id, state="open", offer=offer.number, verdict="accept")
    treaty_id = await _conclude(tx, talks, offer, told)
    await end(tx, talks, "agreed", None, "", treaty_id=treaty_id, by_id=by_id)
    return Made(id=talks.id, state="agreed", offer=offer.number, verdict="accept", treaty_id=treaty_id)


def name_of(talks: Talks) -> str:
    """What a treaty that comes of these talks is called."""
    *names, last = (seat.name for seat in talks.seats.values())
    return (talks.topic or f"{TITLES[talks.kind]} of {', '.join(names)} and {last}")[:200]


def stays_secret(talks: Talks) -> bool:
    """Whether the treaty is as secret as the talks were: who makes peace lays down its arms before all."""
    return talks.secret and talks.kind not in KINDS_OF_PEACE


async def _conclude(tx: Transaction, talks: Talks, offer: Offer, cause: EventRecord) -> UUID:
    """Draft the treaty and sign it for those who agreed.

    Who negotiates but may not sign, or has left its faction since, leaves that to others.
    """
    treaty_id = tx.new_id()
    signers = {UUID(f): None if c is None else UUID(c) for f, c in offer.accepted.items()}
    draft = ProposeTreaty(
        id=treaty_id, name=name_of(talks), kind=talks.kind, parties=list(signers), clauses=offer.clauses,
        duration_days=offer.days, secret=stays_secret(talks), faction_id=offer.from_id,
    )  # fmt: skip
    signing = [SignTreaty(treaty_id=treaty_id, faction_id=f, character_id=c) for f, c in signers.items()]
    causes = [cause] * (1 + len(signing))
    for done in await tx.perform([draft, *signing], actor=system_actor("diplomacy"), causes=causes):
        if isinstance(done, Refused) and done.refusal not in (ROLE_MAY_NOT, NOT_A_MEMBER):
            raise done
    return treaty_id


async def refuse(
    tx: Transaction, talks: Talks, offer: Offer, faction_id: UUID, by_id: UUID | None, reason: str = ""
) -> Made:
    """Let a faction refuse an offer; who made it has the word again."""
    await tx.execute(END_OFFER, tx.world_id, talks.id, "refused", tx.now, faction_id)
    told = tx.emit(
        OfferAnswered(
            **talks.common(by_id), number=offer.number, faction_id=faction_id, accepted=False, reason=reason
        )
    )
    maker = talks.seats[offer.from_id]
    await think(tx, talks, [maker] if maker.self_run else [], told)
    return Made(id=talks.id, state="open", verdict="refuse")


async def end(
    tx: Transaction, talks: Talks, state: str, faction_id: UUID | None, reason: str, *,
    treaty_id: UUID | None = None, by_id: UUID | None = None,
) -> None:  # fmt: skip
    """End talks: `agreed`, `walked_out` (`faction_id` says who did) or `expired`."""
    offer_state = "accepted" if state == "agreed" else "lapsed"
    await tx.execute(END_OFFER, tx.world_id, talks.id, offer_state, tx.now, faction_id)
    await tx.execute(END, tx.world_id, talks.id, state, tx.now, faction_id, reason, treaty_id)
    for kind in (DEADLINE, TURN):
        await tx.cancel_timers(kind, negotiation_id=str(talks.id))
    tx.emit(
        NegotiationEnded(
            **talks.common(by_id), state=state, faction_id=faction_id, reason=reason, treaty_id=treaty_id
        )
    )


# -- factions that run themselves --------------------------------------------------------------------------------


async def think(tx: Transaction, talks: Talks, seats: Sequence[Seat], cause: EventRecord) -> None:
    """Let these factions have their say in some hours, if the talks last so long.

    Where all run themselves they meet at the midnight after the next, together with all others of the world who do.
    """
    for seat in seats:
        if talks.alone:
            calendar = tx.world.calendar
            due = min(calendar.day_start(calendar.day_number(tx.now) + 2), talks.deadline_at - 1)
        else:
            due = tx.now + tx.dice.whole(*THINKS_HOURS) * HOUR
        data = {"negotiation_id": str(talks.id), "faction_id": str(seat.faction_id)}
        if talks.offers:
            await tx.cancel_timers(TURN, **data)
        if due < talks.deadline_at:
            await tx.schedule(TURN, due, {**data, "cause": str(cause.id)})


def because_of(tx: Transaction, timer: Timer) -> Request:
    """The request under which a faction has its turn: what comes of it is put down to the event it had to think about.

    Of that event only what an envelope needs is known here.
    """
    mine, request = derived_uuid(timer.kind, timer.id), tx.request
    correlation = timer.correlation_id or request.correlation_id
    before = EventRecord(
        Event.model_construct(), UUID(timer.data["cause"]), timer.kind, tx.now, tx.actor.name, mine, correlation,
        [], None, b"",
    )  # fmt: skip
    return Request(request.command, tx.actor, mine, correlation, recorded=request.recorded, cause=before)


HANDLERS: Final = (
    Handler(OpenNegotiation, one=open_negotiation),
    Handler(MakeOffer, one=make_offer),
    Handler(AnswerOffer, one=answer_offer),
    Handler(WalkOut, one=walk_out),
)
CHECKS: Final = (
    Check(
        "diplomacy.open_talks_have_a_deadline",
        """SELECT n.world_id, 'negotiation ' || n.id || ' is open and ' || count(t.id) || ' timers will end it'
           FROM negotiations n
           LEFT JOIN timers t ON t.world_id = n.world_id AND t.kind = 'diplomacy.negotiation_deadline'
                AND t.data ->> 'negotiation_id' = n.id::text
           WHERE n.state = 'open' GROUP BY n.world_id, n.id HAVING count(t.id) <> 1""",
    ),
    Check(
        "diplomacy.ended_talks_have_no_offer",
        """SELECT n.world_id, 'negotiation ' || n.id || ' has ended, but offer ' || o.number || ' stands'
           FROM negotiations n
           JOIN negotiation_offers o ON o.world_id = n.world_id AND o.negotiation_id = n.id
           WHERE n.state <> 'open' AND o.state = 'standing'""",
    ),
    Check(
        "diplomacy.agreed_talks_have_their_treaty",
        """SELECT n.world_id, 'negotiation ' || n.id || ' is agreed, but without an accepted offer or a treaty'
           FROM negotiations n
           LEFT JOIN negotiation_offers o
                ON o.world_id = n.world_id AND o.negotiation_id = n.id AND o.state = 'accepted'
           LEFT JOIN treaties t ON t.world_id = n.world_id AND t.id = n.treaty_id
           WHERE n.state = 'agreed' AND (o.id IS NULL OR t.id IS NULL)""",
    ),
)
