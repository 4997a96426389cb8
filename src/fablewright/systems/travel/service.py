"""What the commands about journeys do.

A journey lies over a walk of `regions`: the whereabouts are on the way from the place where it began to the place where
it ends, and the walk's own timer lets it arrive. What is added are the borders, each with a timer, at which bans are
looked at again.

Locks: whereabouts, then characters, then journeys, each in the order of ids.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from fablewright.core.refusal import Refused
from fablewright.core.transaction import EventRecord, Request, Timer, Transaction
from fablewright.systems.regions import rules as region_rules
from fablewright.systems.regions import service as regions
from fablewright.systems.regions.rules import NOWHERE, REGION_NOT_FOUND, Ban, Barriers, Neighbours, Where
from fablewright.systems.travel import rules
from fablewright.systems.travel.commands import CancelTravel, Travel
from fablewright.systems.travel.events import Arrived, CrossedBorder, SetOut, Stopped
from fablewright.systems.travel.rules import End, Journey
from fablewright.systems.travel.views import JOURNEY, JourneyView, journey_of, journey_view

BORDER: Final = "travel.border"
"""The kind of timer that fires when a traveller comes to a border; its data names the journey."""

OPEN: Final = f"""
SELECT {JOURNEY} FROM journeys
WHERE world_id = $1 AND character_id = ANY($2::uuid[]) AND ended_at IS NULL ORDER BY character_id
"""  # noqa: S608
LOCK: Final = f"{OPEN} FOR NO KEY UPDATE"
BY_ID: Final = "SELECT id, character_id FROM journeys WHERE world_id = $1 AND id = ANY($2::uuid[])"
WRITE: Final = """
INSERT INTO journeys (world_id, id, character_id, from_place_id, to_place_id, region_ids, crossings, crossed,
    set_out_at, arrives_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, $9)
"""
CROSS: Final = """
UPDATE journeys j SET crossed = v.crossed FROM unnest($2::uuid[], $3::bigint[]) AS v (id, crossed)
WHERE j.world_id = $1 AND j.id = v.id
"""
END: Final = "UPDATE journeys SET ended_at = $3, how = $4 WHERE world_id = $1 AND id = ANY($2::uuid[])"


class Map:
    """What is read once for many who set out: regions, borders, gates, bans, and who stands for what."""

    def __init__(self, nearby: Neighbours, lie_in: Mapping[UUID, UUID], gates: Mapping[UUID, UUID],
                 known: set[UUID], bans: Sequence[Ban], standing: Mapping[UUID, set[UUID]]):  # fmt: skip
        self.nearby = nearby
        self.lie_in = lie_in
        self.gates = gates
        self.known = known
        self.bans = bans
        self.standing = standing

    def barriers(self, who: UUID) -> Barriers:
        """What bars somebody's way from region to region."""
        return Barriers(self.bans, {i: i for i in self.known}, self.standing[who])


async def read_map(tx: Transaction, character_ids: Iterable[UUID]) -> Map:
    """The map of the world for these characters; nothing of it is locked."""
    places = await regions.places(tx)
    bans = await regions.holding(tx)
    return Map(
        region_rules.bordering(await regions.borders(tx)),
        {i: place.region_id for i, place in places.items() if place.region_id is not None},
        rules.gates([
            (p.region_id, p.id, p.name, p.tags) for p in places.values() if p.region_id is not None
        ]),
        set(await regions.regions(tx)),
        bans,
        await regions.standing(tx, character_ids, bans),
    )  # fmt: skip


async def travel(tx: Transaction, requests: Sequence[Request]) -> list[JourneyView | Refused]:
    """Let characters set out for other regions."""
    commands: list[Travel] = [request.command for request in requests]  # type: ignore[misc]
    ids = {command.character_id for command in commands}
    world = await read_map(tx, ids)
    now = await regions.load(tx, ids)
    results: list[JourneyView | Refused] = []
    for request, command in zip(requests, commands, strict=True):
        who = command.character_id
        try:
            found = _planned(world, now.get(who, NOWHERE), command)
        except Refused as refused:
            results.append(refused)
            continue
        now[who], journey = await _set_out(tx, request, world, now[who], *found)
        results.append(journey_view(journey))
    return results


def _planned(world: Map, where: Where, command: Travel) -> tuple[region_rules.Route, UUID]:
    """The way that a character will take, and the place at its end."""
    goal = command.to_region_id
    start = region_rules.starting_point(where)
    if goal not in world.known:
        raise REGION_NOT_FOUND(region_id=str(goal))
    home = world.lie_in.get(start)
    if home is None:
        raise rules.IN_NO_REGION(place_id=str(start))
    way = rules.way_between(world.nearby, home, goal, world.barriers(command.character_id))
    gate = world.gates.get(goal)
    if gate is None:
        raise rules.REGION_HAS_NO_PLACE(region_id=str(goal))
    return way, gate


async def _set_out(
    tx: Transaction, request: Request, world: Map, where: Where, way: region_rules.Route, gate: UUID
) -> tuple[Where, Journey]:  # fmt: skip
    """Let one set out, and tell of it."""
    command = request.command
    assert isinstance(command, Travel) and where.place_id is not None
    # One block, so that all ids come from one run of this request's dice, in a batch as alone.
    with tx.acting(request):
        gone = await regions.travel(tx, request, command.character_id, where, gate, way.minutes)
        assert gone.arrives_at is not None
        journey = Journey(
            tx.new_id(), command.character_id, where.place_id, gate, way.place_ids,
            rules.crossings(world.nearby, way, tx.now), tx.now, gone.arrives_at,
        )  # fmt: skip
        await tx.execute(
            WRITE, tx.world_id, journey.id, journey.character_id, journey.from_place_id, gate,
            list(journey.region_ids), list(journey.crossings), tx.now, journey.arrives_at,
        )  # fmt: skip
        await _await_border(tx, journey)
    told = SetOut(
        character_id=journey.character_id, journey_id=journey.id, from_region_id=journey.here,
        to_region_id=command.to_region_id, to_place_id=gate, region_ids=list(journey.region_ids),
        minutes=way.minutes, arrives_at=journey.arrives_at,
    )  # fmt: skip
    tx.emit(told, by=request)
    return gone, journey


async def cancel(tx: Transaction, command: CancelTravel) -> dict[str, Any]:
    """Let a character stay in the region in which it is."""
    who = command.character_id
    peeked = await _journeys(tx, [who], OPEN)
    if who not in peeked:
        raise rules.NOT_TRAVELLING(character_id=str(who))
    # As when it fires, the timer is locked first.
    await tx.cancel_timers(BORDER, journey_id=str(peeked[who].id))
    await regions.load(tx, [who])
    journey = (await _journeys(tx, [who])).get(who)
    if journey is None:
        raise rules.NOT_TRAVELLING(character_id=str(who))
    (told,) = await _stop(tx, {journey: _stopped(journey, "cancelled")})
    return {"character_id": who, "place_id": told.place_id, "region_id": told.region_id}


async def reach_borders(tx: Transaction, timers: Sequence[Timer]) -> None:
    """Let travellers cross borders, or stop there if a ban keeps them out. Timers of ended journeys do nothing."""
    due = {UUID(timer.data["journey_id"]): timer.due_at for timer in timers}
    who = [row["character_id"] for row in await tx.fetch(BY_ID, tx.world_id, sorted(due))]
    await regions.load(tx, who)
    journeys = [
        journey for journey in (await _journeys(tx, who)).values()
        if journey.id in due and journey.next_border_at is not None
        and journey.next_border_at <= due[journey.id]
    ]  # fmt: skip
    bans = await regions.holding(tx)
    standing = await regions.standing(tx, [j.character_id for j in journeys], bans)
    known = set(await regions.regions(tx, {j.beyond for j in journeys if j.beyond is not None}))
    stopped: dict[Journey, Stopped] = {}
    crossing: list[Journey] = []
    for journey in journeys:
        assert journey.beyond is not None
        ban = region_rules.barring(bans, journey.beyond, standing[journey.character_id])
        if journey.beyond not in known:
            stopped[journey] = _stopped(journey, "closed", journey.beyond)
        elif ban is not None:
            stopped[journey] = _stopped(journey, "barred", journey.beyond, ban)
        else:
            crossing.append(rules.crossed(journey))
    await tx.execute(CROSS, tx.world_id, [j.id for j in crossing], [j.crossed for j in crossing])
    for journey in crossing:
        told = CrossedBorder(
            character_id=journey.character_id, journey_id=journey.id,
            from_region_id=journey.region_ids[journey.crossed - 1], region_id=journey.here,
        )  # fmt: skip
        tx.emit(told)
        await _await_border(tx, journey)
    await _stop(tx, stopped)


# -- what lower systems tell ---------------------------------------------------------------------------------


async def arrived(tx: Transaction, records: Mapping[UUID, EventRecord]) -> None:
    """Those of these characters who were on a journey are at its goal."""
    for who, journey in (await _ended(tx, records, "arrived")).items():
        told = Arrived(
            character_id=who, journey_id=journey.id, from_region_id=journey.region_ids[0],
            region_id=journey.region_ids[-1], place_id=journey.to_place_id,
        )  # fmt: skip
        tx.emit(told, cause=records[who])


async def placed(tx: Transaction, records: Mapping[UUID, EventRecord]) -> None:
    """Those of these characters who were on a journey are where a game master put them."""
    ended = await _ended(tx, records, "placed")
    if not ended:
        return
    now = await regions.peek(tx, ended)
    lie_in = await regions.regions_of_places(tx, [w.place_id for w in now.values() if w.place_id is not None])
    for who, journey in ended.items():
        place_id = now[who].place_id
        told = _stopped(journey, "placed").model_copy(
            update={"place_id": place_id, "region_id": lie_in.get(place_id) if place_id else None}
        )
        tx.emit(told, cause=records[who])


async def forget(tx: Transaction, records: Mapping[UUID, EventRecord]) -> None:
    """These characters are no more."""
    await _ended(tx, records, "gone")


# -- helpers -------------------------------------------------------------------------------------------------


async def _journeys(tx: Transaction, ids: Iterable[UUID], sql: str = LOCK) -> dict[UUID, Journey]:
    rows = await tx.fetch(sql, tx.world_id, sorted(set(ids)))
    return {row["character_id"]: journey_of(row) for row in rows}


async def _await_border(tx: Transaction, journey: Journey) -> None:
    if journey.next_border_at is not None:
        await tx.schedule(BORDER, max(tx.now, journey.next_border_at), {"journey_id": str(journey.id)})


def _stopped(
    journey: Journey, why: End, barred: UUID | None = None, ban: Ban | None = None
) -> Stopped:  # fmt: skip
    return Stopped(
        character_id=journey.character_id, journey_id=journey.id, region_id=journey.here, place_id=None,
        to_region_id=journey.region_ids[-1], why=why, barred_region_id=barred,
        source=ban.source if ban else None, reason=ban.reason if ban else "",
    )  # fmt: skip


async def _stop(tx: Transaction, journeys: Mapping[Journey, Stopped]) -> list[Stopped]:
    """End journeys at places of the regions in which they are, and tell of each."""
    if not journeys:
        return []
    places = (await regions.places(tx)).values()
    gates = rules.gates([(p.region_id, p.id, p.name, p.tags) for p in places if p.region_id is not None])
    lie_in = {place.id: place.region_id for place in places}
    ends = {journey: rules.landing(journey, gates) for journey in journeys}
    await regions.stop(tx, {journey.character_id: place for journey, place in ends.items()})
    for why in sorted({told.why for told in journeys.values()}):
        of_it = [journey.id for journey, told in journeys.items() if told.why == why]
        await tx.execute(END, tx.world_id, of_it, tx.now, why)
    tellings = [
        told.model_copy(update={"place_id": ends[journey], "region_id": lie_in.get(ends[journey])})
        for journey, told in journeys.items()
    ]
    for told in tellings:
        tx.emit(told)
    return tellings


async def _ended(tx: Transaction, ids: Collection[UUID], how: End) -> dict[UUID, Journey]:
    """End the journeys of these characters, whose whereabouts are locked, and return those that were open."""
    if not ids:
        return {}
    found = await _journeys(tx, ids)
    if found:
        await tx.execute(END, tx.world_id, [journey.id for journey in found.values()], tx.now, how)
        for journey in found.values():
            await tx.cancel_timers(BORDER, journey_id=str(journey.id))
    return found
