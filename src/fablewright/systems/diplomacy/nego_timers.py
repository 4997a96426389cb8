"""How factions that run themselves negotiate, and what falls due: their turns, and the end of talks."""

from dataclasses import replace
from typing import Final
from uuid import UUID

from fablewright.core.refusal import Refused
from fablewright.core.system import Handler, TimerKind
from fablewright.core.transaction import Timer, Transaction
from fablewright.systems.diplomacy import bargaining, evaluator, nego_sittings, nego_states, negotiations
from fablewright.systems.diplomacy.nego_commands import MOST_OFFERS, Deliberate
from fablewright.systems.diplomacy.nego_events import OfferWeighed
from fablewright.systems.diplomacy.nego_sittings import DAYS
from fablewright.systems.diplomacy.nego_states import Offer, Seat, Talks
from fablewright.systems.diplomacy.nego_views import Made, parts_told
from fablewright.systems.diplomacy.negotiations import DEADLINE, TURN
from fablewright.systems.diplomacy.perspectives import perspectives
from fablewright.systems.factions import service as factions


async def deliberate(tx: Transaction, command: Deliberate) -> Made:
    """Let a faction decide by its evaluator."""
    await factions.may(tx, command.faction_id, command.character_id, "negotiate")
    await nego_states.lock_tables(tx, [command.negotiation_id])
    talks = await nego_states.load(tx, command.negotiation_id, command.faction_id)
    offer = await nego_states.to_answer(tx, talks, command.faction_id)
    return await _decide(tx, talks, offer, talks.seats[command.faction_id])


async def _decide(tx: Transaction, talks: Talks, offer: Offer, seat: Seat) -> Made:
    """What a faction does about an offer: the evaluator says it, and it is told why."""
    me = seat.faction_id
    view = (await perspectives(tx, list(talks.seats), talks.leans(), offer.clauses))[me]
    rows = await tx.fetch(nego_states.EARLIER, tx.world_id, talks.id, offer.from_id, offer.number)
    if rows:
        calm = replace(view, lean=0.0)
        now, *before = (
            evaluator.utility(calm, o.clauses, o.days) for o in (offer, *map(nego_states.offer_of, rows))
        )
        seat.lean += bargaining.given_back(view, now, max(before))
        view = replace(view, lean=seat.lean)
        await nego_states.write_seat(tx, talks, seat)
    found = evaluator.evaluate(view, offer.clauses, offer.days)
    tx.emit(
        OfferWeighed(
            negotiation_id=talks.id, faction_id=me, number=offer.number, utility=found.utility,
            verdict=found.verdict, reasons=list(found.reasons), parts=parts_told(found),
        )
    )  # fmt: skip
    if found.verdict == "accept":
        return await negotiations.accept(tx, talks, offer, me, None)
    if found.verdict == "counter" and talks.offers < MOST_OFFERS:
        await negotiations.put(tx, talks, me, None, found.counter, offer.days)
        return Made(id=talks.id, state="open", offer=talks.offers, verdict="counter")
    return await negotiations.refuse(tx, talks, offer, me, None)


async def _speak(tx: Transaction, talks: Talks, seat: Seat) -> None:
    """Make a first offer, or a new one after the last was refused, conceding something; at last walk out."""
    me = seat.faction_id
    seat.concessions += 1
    if seat.concessions > bargaining.MOST_CONCESSIONS or talks.offers >= MOST_OFFERS:
        await negotiations.end(tx, talks, "walked_out", me, bargaining.NOTHING)
        return
    views = await perspectives(tx, list(talks.seats), talks.leans())
    if seat.concessions > 1:
        seat.lean += bargaining.concession(views[me])
        views[me] = replace(views[me], lean=seat.lean)
    await nego_states.write_seat(tx, talks, seat)
    offer = bargaining.opens_with(talks.kind, views, me, DAYS)
    if offer:
        await negotiations.put(tx, talks, me, None, offer, DAYS)
    else:
        await negotiations.end(tx, talks, "walked_out", me, bargaining.NOTHING)


# -- timers ------------------------------------------------------------------------------------------------------


async def _still_open(tx: Transaction, timer: Timer, faction_id: UUID | None = None) -> Talks | None:
    """The talks a timer is about, locked, if they go on."""
    negotiation_id = UUID(timer.data["negotiation_id"])
    row = await tx.fetchrow(nego_states.LOAD, tx.world_id, negotiation_id)
    if row is None or row["state"] != "open":
        return None
    seats = await tx.fetch(nego_states.SEATS, tx.world_id, negotiation_id)
    return await nego_states.load(tx, negotiation_id, faction_id or seats[0]["faction_id"])


async def take_turns(tx: Transaction, timers: list[Timer]) -> None:
    """Factions that run themselves have their say; those that are among themselves sit down together."""
    asked = {UUID(timer.data["negotiation_id"]): timer for timer in reversed(timers)}
    seats = await nego_states.lock_tables(tx, asked)
    alone = nego_sittings.among_themselves(seats)
    await nego_sittings.sit(tx, {i: asked[i] for i in sorted(alone)}, seats)
    for timer in sorted(timers, key=lambda t: (t.data["negotiation_id"], t.data["faction_id"])):
        if UUID(timer.data["negotiation_id"]) not in alone:
            with tx.acting(negotiations.because_of(tx, timer)):
                await _take_turn(tx, timer)


async def _take_turn(tx: Transaction, timer: Timer) -> None:
    me = UUID(timer.data["faction_id"])
    talks = await _still_open(tx, timer, me)
    if talks is None or not talks.seats[me].self_run:  # somebody may have taken it over since
        return
    if talks.gone:
        await negotiations.end(tx, talks, "walked_out", talks.gone[0], "it is no more")
        return
    offer = await nego_states.standing(tx, talks)
    if offer is None:
        await _speak(tx, talks, talks.seats[me])
    elif str(me) not in offer.accepted:
        await _answer_by_itself(tx, talks, offer, talks.seats[me])


async def _answer_by_itself(tx: Transaction, talks: Talks, offer: Offer, seat: Seat) -> None:
    """Decide; if what was agreed cannot be signed (a sum that is not covered), refuse.

    Why is told in general words: how much there is in a treasury is nobody else's business.
    """
    try:
        async with tx.savepoint():
            await _decide(tx, talks, offer, seat)
    except Refused as refused:
        offer.accepted.pop(str(seat.faction_id), None)
        await negotiations.refuse(tx, talks, offer, seat.faction_id, None, refused.refusal.title)


async def expire(tx: Transaction, timers: list[Timer]) -> None:
    """Talks whose time is over end."""
    for timer in sorted(timers, key=lambda t: str(t.data["negotiation_id"])):
        talks = await _still_open(tx, timer)
        if talks is not None:
            await negotiations.end(tx, talks, "expired", None, "the time is over")


HANDLERS: Final = (Handler(Deliberate, one=deliberate),)
TIMERS: Final = (TimerKind(DEADLINE, expire), TimerKind(TURN, take_turns))
