"""Councils: when factions that run themselves decide, and how what they have decided is done and told.

All that are due together load once (`court`), decide each for itself (`warcraft.council`), and give the commands that
everybody else would give (`envoys`), each caused by the event that tells of the decision.

Locks: regions, memberships, factions, then what each act needs; the acts themselves lock in the order that holds
everywhere, one after the other.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from fablewright.core.dice import Dice
from fablewright.core.messages import Command
from fablewright.core.refusal import Refused
from fablewright.core.transaction import EventRecord, Timer, Transaction
from fablewright.systems.director import chronicle, court, envoys, mishaps, policies, rules, warcraft
from fablewright.systems.director.events import CouncilsMet, FactionDecided, FactionWeighed, WeighedAct
from fablewright.systems.director.realms import Stage
from fablewright.systems.director.service import (
    COUNCIL,
    DIRECTOR,
    EXPECTED,
    SUMMONS,
    by_halves,
    give_up,
    tried,
)
from fablewright.systems.director.statecraft import Decision, Option, Weighing, outlook
from fablewright.systems.factions import service as factions
from fablewright.systems.regions import service as regions

MOST_NAMED: Final = 100
"""Factions that the event of a council names."""
MOST_WEIGHED: Final = 30
"""Options that `weighs` lists."""
LEAST_PART: Final = 0.005
"""Parts that weigh less (points) are not told."""
UNFRIENDLY: Final = frozenset({"war", "raid", "slight"})
ANY_SELF_RUN: Final = """
SELECT EXISTS (SELECT 1 FROM factions WHERE world_id = $1 AND self_run AND dissolved_at IS NULL)
"""
CAUSES: Final = """
SELECT v.n, e.id, e.type, e.at, e.actor, e.causation_id, e.correlation_id
FROM unnest($2::int[], $3::uuid[], $4::uuid[]) AS v (n, about_id, event_id)
LEFT JOIN concerns c ON c.world_id = $1 AND c.id = v.about_id
JOIN events e ON e.world_id = $1 AND e.id = coalesce(c.event_id, v.event_id)
"""
NOTE: Final = """
INSERT INTO concerns (world_id, id, event_id, at)
SELECT $1, v.id, v.event_id, $4 FROM unnest($2::uuid[], $3::uuid[]) AS v (id, event_id) ORDER BY v.id
ON CONFLICT (world_id, id) DO UPDATE SET event_id = excluded.event_id, at = excluded.at
"""
FORGET: Final = "DELETE FROM concerns WHERE world_id = $1 AND id = ANY($2::uuid[])"
REPLAYED: Final = """
SELECT EXISTS (SELECT 1 FROM dead_letters
               WHERE world_id = $1 AND handler = $2 AND payload -> 'timer' ->> 'id' = $3 AND state = 'open')
"""
AWAITED: Final = """
SELECT d.version FROM directors d
WHERE d.world_id = $1 AND d.enabled AND d.council_days IS NOT NULL
  AND EXISTS (SELECT 1 FROM factions f WHERE f.world_id = $1 AND f.id = ANY($2::uuid[]) AND f.self_run)
  AND NOT EXISTS (SELECT 1 FROM timers t WHERE t.world_id = $1 AND t.kind = $3)
"""


async def council(tx: Transaction, timer: Timer) -> None:
    """Let all factions that run themselves hold council, and let the next one fall due.

    One of an older configuration does nothing. What fails is undone and becomes a dead letter; a council for which the
    next one waits already is the replay of one: it raises what fails.
    """
    version = timer.data["version"]
    row = await tx.fetchrow(DIRECTOR, tx.world_id)
    if row is None or not row["enabled"] or row["version"] != version or row["council_days"] is None:
        return
    replayed = bool(await tx.fetchval(EXPECTED, tx.world_id, COUNCIL, version))
    if not replayed:
        due_at = rules.next_council(timer.due_at, tx.now, row["council_days"])
        await tx.schedule(COUNCIL, due_at, {"version": version})
    if await tx.fetchval(ANY_SELF_RUN, tx.world_id):
        await _meet(tx, timer, days=row["council_days"], replayed=replayed)


async def summons(tx: Transaction, timers: Sequence[Timer]) -> None:
    """Let them answer what waits for an answer. That of a dead letter raises what fails."""
    row = await tx.fetchrow(DIRECTOR, tx.world_id)
    if row is None or not row["enabled"] or row["council_days"] is None:
        return
    replayed = bool(await tx.fetchval(REPLAYED, tx.world_id, SUMMONS, str(timers[0].id)))
    await _meet(tx, timers[0], days=0, replayed=replayed)


async def _meet(tx: Transaction, timer: Timer, *, days: float, replayed: bool) -> None:
    """Look, decide, and do it. With `days` 0 (they were summoned) they only answer; else mishaps of these days happen
    afterwards."""
    found, error = await tried(tx, lambda: _decide(tx, answers_only=not days))
    undone: list[Decision] = []
    if found is not None:
        stage, decisions = found
        mischief = [envoys.mishap(m) for m in mishaps.mishaps(stage, tx.dice, days)] if days else []
        met = _met(tx, decisions, bool(mischief), summoned=not days)
        undone, error = await by_halves(tx, decisions, lambda some: _do(tx, stage, some, met))
        _, failed = await tried(tx, lambda: tx.perform(mischief, causes=[met] * len(mischief)))
        error = error or failed
        if any(many >= warcraft.MOST_MATTERS for many in _answered(decisions).values()):
            await _summon(tx, [d.faction_id for d in decisions])
    if error is not None:
        if replayed:
            raise error
        acts = [
            {"faction_id": str(d.faction_id), "act": d.option.act, "target_id": str(d.option.target_id or "")}
            for d in undone
        ]
        await give_up(tx, timer, error, acts)


def _met(
    tx: Transaction, decisions: Sequence[Decision], mischief: bool, *, summoned: bool
) -> EventRecord | None:
    """Tell that councils met; those of which nobody may know are not named. None if there is nothing to tell."""
    ids = sorted({d.faction_id for d in decisions if d.shown is not None})
    if not ids and not mischief:
        return None
    return tx.emit(CouncilsMet(faction_ids=ids[:MOST_NAMED], factions=len(ids), summoned=summoned))


def _answered(decisions: Sequence[Decision]) -> Counter[UUID]:
    """By faction, how many answers it gives."""
    return Counter(d.faction_id for d in decisions if d.matter not in ("policy", "war"))


async def _decide(tx: Transaction, *, answers_only: bool) -> tuple[Stage, list[Decision]]:
    """What everybody decides, in an order that chance gives: answers first, then wars, then what they begin."""
    stage = await court.read_drafts(tx, await court.stage(tx))
    asked = warcraft.asked(stage) if answers_only else stage.realms.keys()
    ids = [realm.id for realm in stage.realms.values() if realm.self_run and realm.id in asked]
    tx.dice.shuffle(ids)
    made: list[Decision] = []
    for faction_id in ids:
        view, dice = outlook(stage, faction_id), Dice(tx.dice.uuid(tx.now))
        made += warcraft.answers(view, dice) if answers_only else warcraft.council(view, dice)
    made.sort(key=lambda d: d.matter == "policy")
    return stage, _without_nonsense(made)


def _without_nonsense(decisions: Sequence[Decision]) -> list[Decision]:
    """Leave out what has lost its sense by what others have decided before: the same talks twice, gifts to enemies."""
    kept: list[Decision] = []
    talks: set[tuple[str, frozenset[UUID]]] = set()
    wars: set[frozenset[UUID]] = set()
    for decision in decisions:
        option = decision.option
        pair = frozenset({decision.faction_id, option.target_id or decision.faction_id})
        if decision.matter == "policy" and pair in wars:
            continue
        if option.act in ("talk", "seek_peace"):
            if (option.kind, pair) in talks:
                continue
            talks.add((option.kind, pair))
        if option.act == "war":
            wars.add(pair)
        kept.append(decision)
    return kept


async def weighs(reader: court.Reader, faction_id: UUID) -> list[WeighedAct]:
    """What a faction would weigh now if it held council, heaviest first; nothing is done."""
    stage = await court.stage(reader)
    if faction_id not in stage.realms:
        return []
    view = outlook(stage, faction_id)
    found = [o for o in policies.policies(view) if o.weight > 0]
    for war in stage.wars:
        found += warcraft.waging(view, war) if faction_id in war.sides else ()
    return [weighed(o) for o in sorted(found, key=lambda o: -o.weight)[:MOST_WEIGHED]]


# -- doing it --------------------------------------------------------------------------------------------------


async def _do(tx: Transaction, stage: Stage, decisions: Sequence[Decision], met: EventRecord | None) -> None:
    """Tell what these decided, and do it.

    Regions, memberships and factions are locked beforehand: the acts, one after the other, would lock them in another
    order than everybody else does.
    """
    if not decisions:
        return
    places = {d.option.place_id for d in decisions if d.option.place_id is not None}
    await regions.regions(tx, sorted(places), lock=True)
    concerned = stage.concerned({i for d in decisions for i in (d.faction_id, d.option.target_id) if i})
    realms = [stage.realms[i] for i in concerned if i in stage.realms]
    await factions.memberships(tx, {who for realm in realms for who in realm.able.values()}, lock=True)
    await factions.load(tx, concerned)
    causes = await _causes(tx, decisions)
    for number, decision in enumerate(decisions):
        told = _tell(tx, stage, decision, causes.get(number, met))
        dice = Dice(tx.dice.uuid(tx.now))
        await _carry_out(tx, told, envoys.commands(stage, decision, dice))


async def _carry_out(tx: Transaction, told: EventRecord, commands: Sequence[Command]) -> None:
    """Give the commands one after the other; what is refused now is told, and what follows is left out."""
    for command in commands:
        done = (await tx.perform([command], causes=[told]))[0]
        if isinstance(done, Refused):
            event = told.event
            assert isinstance(event, FactionDecided)
            tx.amend(told, event.model_copy(update={"refused": done.code}))
            return


async def _causes(tx: Transaction, decisions: Sequence[Decision]) -> dict[int, EventRecord]:
    """By number of the decision, the event that led to it, if there is one."""
    asked = [(n, d.option.about_id or d.answers, _grudge(d)) for n, d in enumerate(decisions)]
    asked = [a for a in asked if a[1] is not None or a[2] is not None]
    rows = await tx.fetch(
        CAUSES, tx.world_id, [a[0] for a in asked], [a[1] for a in asked], [a[2] for a in asked]
    )
    return {row["n"]: _record(row) for row in rows}


def _grudge(decision: Decision) -> UUID | None:
    """The event that a grudge comes from, if it is for that grudge that somebody acts."""
    return decision.option.event_id if decision.option.act in UNFRIENDLY else None


def _record(row: Any) -> EventRecord:
    """An event of the log, as a cause."""
    return EventRecord(
        event=None, id=row["id"], type=row["type"], at=row["at"], actor=row["actor"],  # type: ignore[arg-type]
        causation_id=row["causation_id"], correlation_id=row["correlation_id"], about=[], audience=None, data=b"",
        settled=True,
    )  # fmt: skip


def _tell(tx: Transaction, stage: Stage, decision: Decision, cause: EventRecord | None) -> EventRecord:
    """Tell of a decision what all may know, and what it really weighed if that differs to the faction alone."""
    option, real = decision.option, _fields(stage, decision.faction_id, decision.weighing)
    told = _fields(stage, decision.faction_id, decision.shown) if decision.shown else real
    record = tx.emit(
        FactionDecided(
            **told, matter=decision.matter, act=option.act, target_id=option.target_id, about_id=option.about_id,
            kind=option.kind, secret=decision.shown is None,
        ), cause=cause,
    )  # fmt: skip
    if told != real:
        tx.emit(FactionWeighed(**real), cause=record)
    return record


def _fields(stage: Stage, faction_id: UUID, weighing: Weighing) -> dict[str, Any]:
    return {
        "faction_id": faction_id, "chosen": weighing.told.index(weighing.option),
        "options": [weighed(o) for o in weighing.told], "weighed": weighing.weighed,
        "because": chronicle.because(stage, faction_id, weighing.option),
    }  # fmt: skip


def weighed(option: Option) -> WeighedAct:
    """An option as it is told."""
    return WeighedAct.model_construct(
        act=option.act, target_id=option.target_id, about_id=option.about_id, kind=option.kind,
        weight=round(option.weight, 2),
        parts={name: round(amount, 2) for name, amount in option.parts if abs(amount) >= LEAST_PART},
    )  # fmt: skip


# -- what others do --------------------------------------------------------------------------------------------


async def heed(
    tx: Transaction, noted: Mapping[UUID, UUID], over: Sequence[UUID], awaited: Sequence[UUID]
) -> None:
    """Note the last event about what factions decide on, and summon those from whom an answer is awaited."""
    if noted:
        ids = sorted(noted)
        await tx.execute(NOTE, tx.world_id, ids, [noted[i] for i in ids], tx.now)
    if over:
        await tx.execute(FORGET, tx.world_id, sorted(set(over)))
    if awaited:
        await _summon(tx, awaited)


async def _summon(tx: Transaction, faction_ids: Sequence[UUID]) -> None:
    """Let those of them that run themselves answer in a few days, if no summons waits by now."""
    version = await tx.fetchval(AWAITED, tx.world_id, sorted(set(faction_ids)), SUMMONS)
    if version is not None:
        await tx.schedule(SUMMONS, tx.now + rules.ANSWERS_AFTER, {"version": version})
