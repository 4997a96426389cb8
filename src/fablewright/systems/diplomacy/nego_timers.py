"""How factions that run themselves negotiate, and what falls due: their turns, and the end of talks."""

from dataclasses import replace
from typing import Final
from uuid import UUID

from fablewright.core.refusal import Refused
from fablewright.core.system import Handler, TimerKind
from fablewright.core.transaction import Timer, Transaction
from fablewright.systems.diplomacy import evaluator, negotiations
from fablewright.systems.diplomacy.nego_commands import MOST_OFFERS, Deliberate
from fablewright.systems.diplomacy.nego_events import OfferWeighed
from fablewright.systems.diplomacy.nego_views import Made, parts_told, perspectives
from fablewright.systems.diplomacy.negotiations import DEADLINE, TURN, Offer, Seat, Talks
from fablewright.systems.factions import service as factions

MOST_CONCESSIONS: Final = 4
"""How often it makes a new offer after the last was refused, before it walks out."""
RECIPROCITY: Final = 0.25
"""What a faction gives back of what the other side's offer has become better by (points)."""
DAYS: Final = 360
"""For how long a faction that runs itself offers treaties."""


async def deliberate(tx: Transaction, command: Deliberate) -> Made:
    """Let a faction decide by its evaluator."""
    await factions.may(tx, command.faction_id, command.character_id, "negotiate")
    talks = await negotiations.load(tx, command.negotiation_id, command.faction_id)
    offer = await negotiations.to_answer(tx, talks, command.faction_id)
    return await _decide(tx, talks, offer, talks.seats[command.faction_id])


async def _decide(tx: Transaction, talks: Talks, offer: Offer, seat: Seat) -> Made:
    """What a faction does about an offer: the evaluator says it, and it is told why."""
    me = seat.faction_id
    view = (await perspectives(tx, list(talks.seats), talks.leans(), offer.clauses))[me]
    row = await tx.fetchrow(negotiations.BEFORE, tx.world_id, talks.id, offer.from_id, offer.number)
    if row is not None:
        stood = negotiations.offer_of(row)
        came = (
            evaluator.evaluate(view, offer.clauses, offer.days).utility
            - evaluator.evaluate(view, stood.clauses, stood.days).utility
        )
        seat.lean = min(negotiations.MOST_LEAN, seat.lean + min(3.0, max(0.0, RECIPROCITY * came)))
        view = replace(view, lean=seat.lean)
        await negotiations.write_seat(tx, talks, seat)
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
    if seat.concessions > MOST_CONCESSIONS or talks.offers >= MOST_OFFERS:
        await negotiations.end(tx, talks, "walked_out", me, "nothing was found that would do for all")
        return
    views = await perspectives(tx, list(talks.seats), talks.leans())
    if seat.concessions > 1:
        seat.lean = min(negotiations.MOST_LEAN, seat.lean + 2.0 + 4.0 * views[me].leader.agreeableness)
    await negotiations.write_seat(tx, talks, seat)
    others = [i for i in talks.seats if i != me]
    wanted = [clause for other in others for clause in evaluator.wishes(talks.kind, me, other)]
    guess = replace(views[others[0]], lean=0.0, lost=frozenset())
    offer = evaluator.opening(replace(views[me], lean=seat.lean), guess, wanted, DAYS)
    if offer:
        await negotiations.put(tx, talks, me, None, offer, DAYS)
    else:
        await negotiations.think(tx, talks, [seat])


# -- timers ------------------------------------------------------------------------------------------------------


async def _still_open(tx: Transaction, timer: Timer, faction_id: UUID | None = None) -> Talks | None:
    """The talks a timer is about, locked, if they go on."""
    negotiation_id = UUID(timer.data["negotiation_id"])
    row = await tx.fetchrow(negotiations.LOAD, tx.world_id, negotiation_id)
    if row is None or row["state"] != "open":
        return None
    seats = await tx.fetch(negotiations.SEATS, tx.world_id, negotiation_id)
    return await negotiations.load(tx, negotiation_id, faction_id or seats[0]["faction_id"])


async def take_turns(tx: Transaction, timers: list[Timer]) -> None:
    """Factions that run themselves have their say."""
    for timer in sorted(timers, key=lambda t: (t.data["negotiation_id"], t.data["faction_id"])):
        me = UUID(timer.data["faction_id"])
        talks = await _still_open(tx, timer, me)
        if talks is None:
            continue
        offer = await negotiations.standing(tx, talks)
        if offer is None:
            await _speak(tx, talks, talks.seats[me])
        elif str(me) not in offer.accepted:
            await _answer_by_itself(tx, talks, offer, talks.seats[me])


async def _answer_by_itself(tx: Transaction, talks: Talks, offer: Offer, seat: Seat) -> None:
    """Decide; if what was agreed cannot be signed (a sum that is not covered), refuse."""
    try:
        async with tx.savepoint():
            await _decide(tx, talks, offer, seat)
    except Refused as refused:
        offer.accepted.pop(str(seat.faction_id), None)
        await negotiations.refuse(tx, talks, offer, seat.faction_id, None, refused.detail)


async def expire(tx: Transaction, timers: list[Timer]) -> None:
    """Talks whose time is over end."""
    for timer in timers:
        talks = await _still_open(tx, timer)
        if talks is not None:
            await negotiations.end(tx, talks, "expired", None, "the time is over")


HANDLERS: Final = (Handler(Deliberate, one=deliberate),)
TIMERS: Final = (TimerKind(DEADLINE, expire), TimerKind(TURN, take_turns))
