"""What configuring the director does, and what happens in a beat."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final, TypeVar
from uuid import UUID

import orjson
import structlog

from fablewright.core.clock import HOUR
from fablewright.core.database import is_connection_loss, sqlstate_of
from fablewright.core.messages import Command
from fablewright.core.reactions import RETRYABLE, ReactionBook, bury, settle
from fablewright.core.transaction import Timer, Transaction
from fablewright.systems.characters import service as characters
from fablewright.systems.characters.commands import SetStatus
from fablewright.systems.characters.service import CharacterState
from fablewright.systems.dialogue import service as dialogue
from fablewright.systems.director import options, rules, scene, why
from fablewright.systems.director.commands import ConfigureDirector
from fablewright.systems.director.events import Chose, Configured, Weighed
from fablewright.systems.director.options import PARTS, Leanings, Option, Situation
from fablewright.systems.director.rules import Npc
from fablewright.systems.director.scene import Company, People
from fablewright.systems.director.views import DirectorView
from fablewright.systems.regions import service as regions
from fablewright.systems.regions.commands import Walk
from fablewright.systems.regions.service import NOWHERE, Where

T = TypeVar("T")

BEAT: Final = "director.beat"
"""The kind of timer that makes a beat."""
COUNCIL: Final = "director.council"
"""The kind of timer at which all factions that run themselves hold council."""
SUMMONS: Final = "director.summons"
"""The kind of timer at which they answer what waits for an answer."""
ORDER: Final = ("wake", "interact", "walk", "sleep")
"""In which order the acts of one beat are done: nobody walks off or falls asleep before it is spoken to."""
MOST_TRIES: Final = 24
"""How often the acts of a beat are tried, all together and then by halves, if one of them fails."""
MOST_TOLD_UNDONE: Final = 20
"""Acts that a dead letter names."""

CONFIGURE: Final = """
INSERT INTO directors AS d (world_id, enabled, beats_per_minute, acts_per_beat, council_days)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (world_id) DO UPDATE
SET enabled = $2, beats_per_minute = $3, acts_per_beat = $4, council_days = $5, version = d.version + 1
RETURNING version
"""
DIRECTOR: Final = (
    "SELECT enabled, beats_per_minute, acts_per_beat, council_days, version FROM directors "
    "WHERE world_id = $1 FOR SHARE"
)
EXPECTED: Final = """
SELECT EXISTS (SELECT 1 FROM timers WHERE world_id = $1 AND kind = $2 AND (data ->> 'version')::int = $3)
"""

log = structlog.get_logger(__name__)


@cache
def table() -> Leanings:
    """The tables of `data/leanings.json`."""
    return options.leanings(
        orjson.loads(resources.files(__package__).joinpath("data/leanings.json").read_bytes())
    )


async def configure(tx: Transaction, command: ConfigureDirector) -> DirectorView:
    """Store the configuration and let the first beat fall due one interval from now, or none at all.

    Timers are locked before the director, as when a beat fires. A beat that is scheduled between the two
    statements has an old version and will do nothing.
    """
    for kind in (BEAT, COUNCIL, SUMMONS):
        await tx.cancel_timers(kind)
    version = await tx.fetchval(
        CONFIGURE, tx.world_id, command.enabled, command.beats_per_minute, command.acts_per_beat,
        command.council_days,
    )  # fmt: skip
    if command.enabled:
        due_at = tx.now + rules.interval_ms(command.beats_per_minute)
        await tx.schedule(BEAT, due_at, {"version": version})
    if command.enabled and command.council_days is not None:
        first = min(rules.FIRST_COUNCIL, rules.council_ms(command.council_days))
        await tx.schedule(COUNCIL, tx.now + first, {"version": version})
    values = command.model_dump()
    tx.emit(Configured(**values))
    return DirectorView(**values)


# -- a beat ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Decision:
    """What somebody is about to do, out of how many options, and those worth telling."""

    npc: Npc
    option: Option
    told: Sequence[Option]
    weighed: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done in a beat, in order, and what is needed to tell of it."""

    people: People
    decisions: Sequence[Decision]
    names: Mapping[UUID, str]
    places: Mapping[UUID, Any]


async def beat(tx: Transaction, timer: Timer, fade: Callable[[Transaction], Awaitable[None]]) -> None:
    """Let some characters act, and let the next beat fall due when there is something to do.

    Last, `fade` ends the arcs that are over: arcs are locked after characters. A beat of an older configuration does
    nothing.

    The next beat is certain before anything is tried: what fails is undone and becomes a dead letter, and the
    world goes on. What is read to choose is not locked: the acts lock and check what they touch, and one that has
    become impossible is left out. The director's row is shared with those who rouse it (`rouse`). A beat for which
    the next one waits already is the replay of a dead letter: it raises what fails.
    """
    version = timer.data["version"]
    row = await tx.fetchrow(DIRECTOR, tx.world_id)
    if row is None or not row["enabled"] or row["version"] != version:
        return
    replayed = bool(await tx.fetchval(EXPECTED, tx.world_id, BEAT, version))
    following = None
    if not replayed:
        due_at = rules.next_beat(timer.due_at, tx.now, row["beats_per_minute"])
        following = await tx.schedule(BEAT, due_at, {"version": version})
    hour = hour_now(tx)
    plan, error = await tried(tx, lambda: _plan(tx, row["acts_per_beat"], hour))
    undone: Sequence[Decision] = ()
    if plan is not None:
        undone, error = await _carry_out(tx, plan, hour)
    _, unfaded = await tried(tx, lambda: fade(tx))
    error = error or unfaded
    if error is not None:
        if replayed:
            raise error
        await give_up(tx, timer, error, [_act(decision) for decision in undone])
    if plan is not None and following is not None and not plan.people.awake and not plan.people.walking:
        await _put_off(tx, plan.people, following, hour)


async def tried(tx: Transaction, work: Callable[[], Awaitable[T]]) -> tuple[T | None, Exception | None]:
    """Do something and all that it sets off, or nothing of it: what it returned, or what went wrong.

    Raises what the engine runs the whole transaction again for.
    """
    try:
        async with tx.savepoint():
            start = len(tx.events)
            result = await work()
            await settle(tx, ReactionBook(tx.systems), start)
        return result, None
    except Exception as error:
        if is_connection_loss(error) or (sqlstate_of(error) in RETRYABLE and not tx.last_try):
            raise
        return None, error


def _act(decision: Decision) -> dict[str, str]:
    option = decision.option
    return {
        "actor_id": str(decision.npc.id),
        "act": option.type or option.act,
        "with_id": str(option.with_id or ""),
    }


async def give_up(tx: Transaction, timer: Timer, error: Exception, undone: Sequence[dict[str, str]]) -> None:
    """Keep what a beat or a council could not do as a dead letter."""
    acts = list(undone[:MOST_TOLD_UNDONE])
    failed = f"{timer.kind.rpartition('.')[2]}_failed"
    log.error(failed, world=str(tx.world_id), due_at=timer.due_at, acts=acts, exc_info=error)
    letter = {"id": str(timer.id), "kind": timer.kind, "due_at": timer.due_at, "data": timer.data,
              "correlation_id": str(timer.correlation_id)}  # fmt: skip
    await bury(tx, "timer", timer.kind, {"timer": letter, "acts": acts}, error)


async def _put_off(tx: Transaction, people: People, following: Timer, hour: float) -> None:
    """Nobody is awake: let the following beat wait until somebody may wake, or for as long as there is nobody.

    The lock waits for those who just made or woke somebody (`rouse`), and makes later ones see what is done here.
    """
    await tx.fetchval("SELECT 1 FROM directors WHERE world_id = $1 FOR NO KEY UPDATE", tx.world_id)
    if await characters.self_acting(tx, 1):
        return
    await tx.execute("DELETE FROM timers WHERE world_id = $1 AND id = $2", tx.world_id, following.id)
    hours = tx.world.calendar.hours_per_day
    waits = [rules.ms_until_rising(npc.traits, hour, hours) for npc in people.asleep.values()]
    if people.more_asleep:
        waits.append(round((rules.EARLIEST_RISING - hour) % 24.0 / 24.0 * hours * HOUR))
    if waits:
        await tx.schedule(BEAT, max(following.due_at, tx.now + min(waits)), following.data)


async def rouse(tx: Transaction) -> None:
    """Somebody may be awake who was not: if the director is on and its next beat was put off, bring it back."""
    row = await tx.fetchrow(DIRECTOR, tx.world_id)
    if row is None or not row["enabled"]:
        return
    due_at = tx.now + rules.interval_ms(row["beats_per_minute"])
    if await _waits(tx, due_at):
        return
    # Two that rouse it at once: the second waits here, and then sees what the first has done.
    await tx.fetchval("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"{BEAT} {tx.world_id}")
    if not await _waits(tx, due_at):
        await tx.cancel_timers(BEAT)
        await tx.schedule(BEAT, due_at, {"version": row["version"]})


async def _waits(tx: Transaction, until: int) -> bool:
    """Whether a beat falls due until then."""
    return bool(
        await tx.fetchval(
            "SELECT EXISTS (SELECT 1 FROM timers WHERE world_id = $1 AND kind = $2 AND due_at <= $3)",
            tx.world_id, BEAT, until,
        )
    )  # fmt: skip


def hour_now(tx: Transaction) -> float:
    """The time of day in the world, 0..24."""
    calendar = tx.world.calendar
    return rules.hour_of(tx.now, calendar.hours_per_day, calendar.start_hour)


async def _plan(tx: Transaction, acts: int, hour: float) -> Plan:
    """Let those whose turn it is choose."""
    people = await scene.people(tx, acts, hour)
    actors = rules.choose_actors(list(people.awake.values()), acts, tx.dice)
    chosen = {actor.id for actor in actors}
    late = [
        npc for npc in people.awake.values()
        if npc.id not in chosen and rules.sleepiness(npc.traits, hour) >= 1.0
    ][: scene.MOST_ABED]  # fmt: skip
    around = await scene.company(tx, actors, late, people.awake) if actors else None
    decisions = [_waking(tx, npc, hour) for npc in people.asleep.values()]
    if around is not None:
        table_ = await _table(tx)
        engaged: set[frozenset[UUID]] = set()
        decisions += [_choose(tx, npc, around, engaged, table_, hour) for npc in actors]
        decisions += [_to_bed(tx, npc, around, hour) for npc in late]
    acting = [d for d in decisions if d is not None and d.option.act != "rest"]
    acting.sort(key=lambda d: ORDER.index(d.option.act))
    names, places = (around.names, around.geography.places) if around else ({}, {})
    return Plan(people, acting, names, places)


async def _carry_out(tx: Transaction, plan: Plan, hour: float) -> tuple[list[Decision], Exception | None]:
    """Do what was chosen; returns what could not be done, and what went wrong first."""
    return await by_halves(tx, plan.decisions, lambda some: _do(tx, plan, some, hour))


async def by_halves(
    tx: Transaction, all_: Sequence[T], do: Callable[[Sequence[T]], Awaitable[None]]
) -> tuple[list[T], Exception | None]:
    """Do something for all; returns those for whom it could not be done, and what went wrong first.

    If all together fail, they are tried by halves, so that a bad one does not keep the others from theirs.
    """
    waiting, undone, tries = [all_], list[T](), 0
    first: Exception | None = None
    while waiting:
        some = waiting.pop()
        _, error = await tried(tx, lambda some=some: do(some))  # type: ignore[misc]
        tries += 1
        first = first or error
        if error is not None and len(some) > 1 and tries < MOST_TRIES:
            half = len(some) // 2
            waiting += [some[half:], some[:half]]
        elif error is not None:
            undone += some
    return undone, first


async def _do(tx: Transaction, plan: Plan, decisions: Sequence[Decision], hour: float) -> None:
    """Tell what these chose, and do it.

    Everybody concerned is locked beforehand, whereabouts before characters: the acts, one kind after the other,
    would lock them in another order than everybody else does.
    """
    ids = {d.npc.id for d in decisions} | {
        d.option.with_id for d in decisions if d.option.with_id is not None
    }
    where = await regions.load(tx, ids)
    now = await characters.load(tx, ids)
    acting = [d for d in decisions if _may_still(d, now.get(d.npc.id), where.get(d.npc.id, NOWHERE))]
    records = [tx.emit(_told(tx, d, plan.names, plan.places, hour)) for d in acting]
    await tx.perform([_command(d) for d in acting], causes=records)


def _may_still(decision: Decision, npc: CharacterState | None, where: Where) -> bool:
    """Whether somebody is still as it was when it chose: awake and there, or asleep."""
    if npc is None:
        return False
    if decision.option.act == "wake":
        return npc.status == "asleep"
    return npc.status == "active" and not where.travelling


async def _table(tx: Transaction) -> Leanings:
    """The tables, for the types that this world has."""
    types = await dialogue.types(tx)
    if types.keys() == {leaning.type for leaning in table().types}:
        return table()
    return options.with_own_types(table(), {name: d.like for name, d in types.items()})


def _choose(
    tx: Transaction, npc: Npc, around: Company, engaged: set[frozenset[UUID]], leanings: Leanings, hour: float
) -> Decision | None:
    """What an awake character does next; two who have already to do with each other in this beat are left alone."""
    day = rules.rhythm(npc.traits, hour)
    place = around.geography.places.get(npc.place_id) if npc.place_id else None
    situation = Situation(
        tx.now, day, place.kind if place else None, around.plots[npc.id], around.tales.get(npc.id, ())
    )
    stance = options.stance(npc, situation, leanings)
    found: list[Option] = []
    for known in around.partners[npc.id]:
        if frozenset((npc.id, known.id)) not in engaged:
            found += options.dealings(stance, known)
    found += _moves(npc, around, day, hour)
    decision = _decided(tx, npc, [*found, options.rest(npc, day)])
    if decision is not None and decision.option.with_id is not None:
        engaged.add(frozenset((npc.id, decision.option.with_id)))
    return decision


def _moves(npc: Npc, around: Company, day: rules.Rhythm, hour: float) -> list[Option]:
    spots = around.spots[npc.id]
    here = spots[0] if spots and spots[0].id == npc.place_id else None
    reachable = {spot.id for spot in spots}
    home = npc.home_id if npc.home_id in reachable else npc.place_id
    return [*options.walks(npc, here, spots, day, hour), *options.nights(npc, home, day)]


def _to_bed(tx: Transaction, npc: Npc, around: Company, hour: float) -> Decision | None:
    """What somebody does for whom it is past bedtime."""
    return _decided(tx, npc, _moves(npc, around, rules.rhythm(npc.traits, hour), hour))


def _waking(tx: Transaction, npc: Npc, hour: float) -> Decision | None:
    return _decided(tx, npc, options.waking(npc, hour))


def _decided(tx: Transaction, npc: Npc, found: Sequence[Option]) -> Decision | None:
    chosen = options.choose(found, tx.dice)
    return None if chosen is None else Decision(npc, chosen, options.told(found, chosen), len(found))


def _command(decision: Decision) -> Command:
    """The act itself, as the command that everybody else would give."""
    npc, option = decision.npc, decision.option
    if option.act == "interact":
        assert option.with_id is not None and option.type is not None
        return dialogue.interaction(npc.id, option.with_id, option.type, memory_id=option.memory_id)
    if option.act == "walk":
        assert option.to_id is not None
        return Walk(character_id=npc.id, place_id=option.to_id)
    return SetStatus(character_id=npc.id, status="asleep" if option.act == "sleep" else "active")


def _told(
    tx: Transaction, decision: Decision, names: Mapping[UUID, str], places: Mapping[UUID, Any], hour: float
) -> Chose:
    option, npc = decision.option, decision.npc
    return Chose(
        actor_id=npc.id, act=option.act, type=option.type, with_id=option.with_id, to_id=option.to_id,
        chosen=decision.told.index(option), weighed=decision.weighed,
        options=[_weighed(o) for o in decision.told],
        because=why.because(npc, option, names, places, tx.now, hour), arc_id=option.arc_id,
    )  # fmt: skip


def _weighed(option: Option) -> Weighed:
    return Weighed.model_construct(
        act=option.act, type=option.type, with_id=option.with_id, to_id=option.to_id, memory_id=option.memory_id,
        weight=round(option.weight, 3),
        parts={n: round(v, 3) for n, v in zip(PARTS, option.parts, strict=True) if abs(v) >= 0.0005},
    )  # fmt: skip
