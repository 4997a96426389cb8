"""What configuring the director does, and what happens in a beat."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final
from uuid import UUID

import orjson

from fablewright.core.clock import HOUR
from fablewright.core.messages import Command
from fablewright.core.transaction import Transaction
from fablewright.systems.characters import service as characters
from fablewright.systems.characters.commands import SetStatus
from fablewright.systems.dialogue import service as dialogue
from fablewright.systems.director import options, rules, scene, why
from fablewright.systems.director.commands import ConfigureDirector
from fablewright.systems.director.events import Chose, Configured, Weighed
from fablewright.systems.director.options import PARTS, Leanings, Option, Situation
from fablewright.systems.director.rules import Npc
from fablewright.systems.director.scene import Company, People
from fablewright.systems.director.views import DirectorView
from fablewright.systems.regions.commands import Walk

BEAT: Final = "director.beat"
"""The kind of timer that makes a beat."""
ORDER: Final = ("wake", "interact", "walk", "sleep")
"""In which order the acts of one beat are done: nobody walks off or falls asleep before it is spoken to."""

CONFIGURE: Final = """
INSERT INTO directors AS d (world_id, enabled, beats_per_minute, acts_per_beat) VALUES ($1, $2, $3, $4)
ON CONFLICT (world_id) DO UPDATE
SET enabled = $2, beats_per_minute = $3, acts_per_beat = $4, version = d.version + 1
RETURNING version
"""
DIRECTOR: Final = (
    "SELECT enabled, beats_per_minute, acts_per_beat, version FROM directors WHERE world_id = $1 FOR SHARE"
)


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
    await tx.cancel_timers(BEAT)
    version = await tx.fetchval(
        CONFIGURE, tx.world_id, command.enabled, command.beats_per_minute, command.acts_per_beat
    )
    if command.enabled:
        due_at = tx.now + rules.interval_ms(command.beats_per_minute)
        await tx.schedule(BEAT, due_at, {"version": version})
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


async def beat(tx: Transaction, version: int, due_at: int) -> bool:
    """Let some characters act, and let the next beat fall due when there is something to do.

    What it reads to choose is not locked: the acts themselves lock and check what they touch, and one that has
    become impossible is left out. The director's row is shared with those who rouse it (`rouse`).
    Returns whether it was a beat at all, not one of an older configuration.
    """
    row = await tx.fetchrow(DIRECTOR, tx.world_id)
    if row is None or not row["enabled"] or row["version"] != version:
        return False
    hour = hour_now(tx)
    people = await scene.people(tx, row["acts_per_beat"], hour)
    await _act(tx, people, row["acts_per_beat"], hour)
    following = rules.next_beat(due_at, tx.now, row["beats_per_minute"])
    if people.awake or people.walking:
        await tx.schedule(BEAT, following, {"version": version})
    else:
        await _put_off(tx, people, following, version, hour)
    return True


async def _put_off(tx: Transaction, people: People, following: int, version: int, hour: float) -> None:
    """Nobody is awake: wait until somebody may wake, or for as long as there is nobody.

    The lock waits for those who just made or woke somebody (`rouse`), and makes later ones see what is done here.
    """
    await tx.fetchval("SELECT 1 FROM directors WHERE world_id = $1 FOR NO KEY UPDATE", tx.world_id)
    if await characters.self_acting(tx, 1):
        await tx.schedule(BEAT, following, {"version": version})
        return
    hours = tx.world.calendar.hours_per_day
    waits = [rules.ms_until_rising(npc.traits, hour, hours) for npc in people.asleep.values()]
    if people.more_asleep:
        waits.append(round((rules.EARLIEST_RISING - hour) % 24.0 / 24.0 * hours * HOUR))
    if waits:
        await tx.schedule(BEAT, max(following, tx.now + min(waits)), {"version": version})


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


async def _act(tx: Transaction, people: People, acts: int, hour: float) -> None:
    """Let those whose turn it is choose, tell what they chose, and do it."""
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
    records = [tx.emit(_told(tx, d, names, places, hour)) for d in acting]
    await tx.perform([_command(d) for d in acting], causes=records)


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
