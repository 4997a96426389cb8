"""What the commands about memory do. Higher systems make and find memories through this module.

Locks come in this order: characters (taken by whoever calls), minds, memories, each kind in the order of ids.
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any, Final
from uuid import UUID

import orjson

from fablewright.core.dice import Dice, derived_uuid
from fablewright.core.refusal import Refused
from fablewright.core.transaction import Request, Transaction
from fablewright.systems.characters import service as characters
from fablewright.systems.memory import reflections, rules
from fablewright.systems.memory.commands import ForgetMemory, PlantMemory
from fablewright.systems.memory.events import MemoryForgotten, MemoryPlanted, MemoryReflected
from fablewright.systems.memory.recall import Recalled, recall
from fablewright.systems.memory.rules import MemoryState, NewMemory, memory_id
from fablewright.systems.memory.rumours import retold
from fablewright.systems.memory.views import COLUMNS, MemoryView, state_of, view_of
from fablewright.systems.regions import service as regions

__all__ = [
    "MemoryState", "NewMemory", "Recalled", "known", "load", "memory_id", "recall", "remember", "retold", "scene",
    "tellable",
]  # fmt: skip

Pair = tuple[UUID, UUID]
"""Who speaks, and to whom."""

MOST_TELLABLE: Final = 20
REFLECTED_ON: Final = 60
"""How many of its latest memories a character thinks over."""

# The minds are locked before anything is written: the count must be known before the first row is made.
PUT: Final = """
WITH locked AS MATERIALIZED (
    SELECT id FROM minds WHERE world_id = $1 AND id = ANY($3::uuid[]) ORDER BY id FOR NO KEY UPDATE
), put AS (
    INSERT INTO memories (world_id, id, character_id, fact_id, kind, text, subject_id, about, place_id, at,
                          importance, certainty, valence, secret, tellers, claim, truth, event_id, evidence,
                          heard_from)
    SELECT $1, v.id, v.character_id, v.fact_id, v.kind, v.text, v.subject_id, v.about::uuid[], v.place_id, v.at,
           v.importance, v.certainty, v.valence, v.secret, v.tellers::uuid[], v.claim::jsonb, v.truth, v.event_id,
           v.evidence::uuid[], v.heard_from::uuid[]
    FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::uuid[], $8::text[], $9::uuid[],
                $10::bigint[], $11::float8[], $12::float8[], $13::float8[], $14::bool[], $15::text[], $16::text[],
                $17::text[], $18::uuid[], $19::text[], $20::text[])
         AS v (id, character_id, fact_id, kind, text, subject_id, about, place_id, at, importance, certainty,
               valence, secret, tellers, claim, truth, event_id, evidence, heard_from),
         (SELECT count(*) AS minds FROM locked) AS l
    WHERE l.minds >= 0
    ORDER BY v.character_id, v.fact_id
    ON CONFLICT (world_id, character_id, fact_id) DO NOTHING
    RETURNING id, character_id,
              CASE WHEN kind IN ('did', 'saw', 'told') THEN importance * certainty ELSE 0 END AS weight
), added AS (
    INSERT INTO minds (world_id, id, memories, unreflected)
    SELECT $1, character_id, count(*), sum(weight) FROM put GROUP BY character_id ORDER BY character_id
    ON CONFLICT (world_id, id) DO UPDATE
    SET memories = minds.memories + excluded.memories, unreflected = minds.unreflected + excluded.unreflected
    RETURNING id, memories, unreflected
)
SELECT put.id, put.character_id, added.memories, added.unreflected
FROM put JOIN added ON added.id = put.character_id
"""
LOAD: Final = f"SELECT {COLUMNS} FROM memories m WHERE m.world_id = $1 AND m.id = ANY($2::uuid[])"  # noqa: S608
LOCK: Final = f"{LOAD} ORDER BY m.id FOR NO KEY UPDATE"
CHANGE: Final = """
UPDATE memories m SET kind = v.kind, text = v.text, subject_id = v.subject_id, about = v.about::uuid[],
    place_id = v.place_id, at = v.at, importance = v.importance, certainty = v.certainty, valence = v.valence,
    secret = v.secret, tellers = v.tellers::uuid[], claim = v.claim::jsonb, truth = v.truth,
    event_id = v.event_id, evidence = v.evidence::uuid[], heard_from = v.heard_from::uuid[]
FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::uuid[], $8::text[], $9::uuid[],
            $10::bigint[], $11::float8[], $12::float8[], $13::float8[], $14::bool[], $15::text[], $16::text[],
            $17::text[], $18::uuid[], $19::text[], $20::text[])
     AS v (id, character_id, fact_id, kind, text, subject_id, about, place_id, at, importance, certainty,
           valence, secret, tellers, claim, truth, event_id, evidence, heard_from)
WHERE m.world_id = $1 AND m.id = v.id
"""
HOLDS: Final = """
SELECT character_id, id, at, importance FROM memories WHERE world_id = $1 AND character_id = ANY($2::uuid[])
"""
FORGET: Final = """
WITH gone AS (
    DELETE FROM memories WHERE world_id = $1 AND id = ANY($2::uuid[]) RETURNING character_id
), counted AS (
    SELECT character_id, count(*) AS n FROM gone GROUP BY character_id
)
UPDATE minds SET memories = memories - counted.n FROM counted
WHERE minds.world_id = $1 AND minds.id = counted.character_id
"""
RECENT: Final = f"""
SELECT {COLUMNS}
FROM unnest($2::uuid[]) AS s (id)
CROSS JOIN LATERAL (
    SELECT * FROM memories WHERE world_id = $1 AND character_id = s.id ORDER BY at DESC, id DESC LIMIT {REFLECTED_ON}
) m
"""  # noqa: S608
REFLECTED: Final = """
UPDATE minds SET unreflected = 0, reflected_at = $3 WHERE world_id = $1 AND id = ANY($2::uuid[])
"""
LOCK_MINDS: Final = (
    "SELECT 1 FROM minds WHERE world_id = $1 AND id = ANY($2::uuid[]) ORDER BY id FOR NO KEY UPDATE"
)
SCENE: Final = f"""
SELECT {COLUMNS}, p.n
FROM unnest($2::uuid[], $3::uuid[]) WITH ORDINALITY AS p (speaker_id, other_id, n)
CROSS JOIN LATERAL (
    SELECT *, row_number() OVER (ORDER BY at DESC, id DESC) AS latest,
           row_number() OVER (ORDER BY importance DESC, at DESC, id DESC) AS weightiest
    FROM (
        SELECT * FROM memories
        WHERE world_id = $1 AND character_id = p.speaker_id AND subject_id = p.other_id
        ORDER BY at DESC, id DESC LIMIT {rules.ABOUT_CONSIDERED}
    ) considered
) m
WHERE m.latest <= {rules.ABOUT_LATEST} OR m.weightiest <= {rules.ABOUT_WEIGHTIEST}
UNION ALL
SELECT {COLUMNS}, 0
FROM unnest($4::uuid[]) AS s (speaker_id)
CROSS JOIN LATERAL (
    (SELECT * FROM memories WHERE world_id = $1 AND character_id = s.speaker_id
     ORDER BY at DESC, id DESC LIMIT {rules.LATEST})
    UNION ALL
    (SELECT * FROM memories WHERE world_id = $1 AND character_id = s.speaker_id
     ORDER BY importance DESC, id DESC LIMIT {rules.WEIGHTIEST})
) m
"""  # noqa: S608
TELLABLE: Final = f"""
SELECT {COLUMNS}
FROM unnest($2::uuid[]) AS s (speaker_id)
CROSS JOIN LATERAL (
    (SELECT * FROM (
        SELECT * FROM memories WHERE world_id = $1 AND character_id = s.speaker_id
        ORDER BY at DESC, id DESC LIMIT 4 * $3
     ) latest WHERE subject_id <> character_id AND kind <> 'reflection' ORDER BY at DESC, id DESC LIMIT $3)
    UNION ALL
    (SELECT * FROM (
        SELECT * FROM memories WHERE world_id = $1 AND character_id = s.speaker_id
        ORDER BY importance DESC, id DESC LIMIT 4 * $3
     ) weightiest WHERE subject_id <> character_id AND kind <> 'reflection'
     ORDER BY importance DESC, id DESC LIMIT 2 * $3)
) m
"""  # noqa: S608


# -- for higher systems: finding -----------------------------------------------------------------------------


async def load(tx: Transaction, ids: Iterable[UUID]) -> dict[UUID, MemoryState]:
    """Those of the memories that exist. Not locked."""
    rows = await tx.fetch(LOAD, tx.world_id, sorted(set(ids)))
    return {row["id"]: state_of(row) for row in rows}


async def known(tx: Transaction, pairs: Iterable[tuple[UUID, UUID]]) -> set[tuple[UUID, UUID]]:
    """Those of the pairs (character, fact) for which the character has heard of the fact, or knows it. Not locked."""
    ids = {memory_id(*pair): pair for pair in pairs}
    rows = await tx.fetch(
        "SELECT id FROM memories WHERE world_id = $1 AND id = ANY($2::uuid[])", tx.world_id, list(ids)
    )
    return {ids[row["id"]] for row in rows}


async def scene(tx: Transaction, pairs: Sequence[Pair]) -> dict[Pair, list[MemoryState]]:
    """What comes to each speaker's mind when it meets the other: at most 15 memories, best first. Not locked.

    The latest and weightiest about the other (`subject_id`), and the latest and weightiest of all. One statement
    for all pairs, of which each reads a bounded number of rows, however much its speaker remembers.
    """
    wanted = list(dict.fromkeys(pairs))
    speakers = list(dict.fromkeys(speaker for speaker, _ in wanted))
    rows = await tx.fetch(SCENE, tx.world_id, [s for s, _ in wanted], [o for _, o in wanted], speakers)
    found: dict[Pair, dict[UUID, MemoryState]] = {pair: {} for pair in wanted}
    general: dict[UUID, list[MemoryState]] = defaultdict(list)
    for row in rows:
        state = state_of(row)
        if n := row["n"]:
            found[wanted[n - 1]][state.id] = state
        else:
            general[state.character_id].append(state)
    for pair, memories in found.items():
        memories.update((m.id, m) for m in general[pair[0]])
    return {
        pair: sorted(memories.values(), key=lambda m, other=pair[1]: rules.order_before(m, other, tx.now))  # type: ignore[misc]
        for pair, memories in found.items()
    }


async def tellable(tx: Transaction, character_ids: Iterable[UUID], per: int) -> dict[UUID, list[MemoryState]]:
    """For each character memories about others that it could tell somebody: up to `per` (at most 20) open ones, those
    that come to mind first, and as many secrets, weightiest first.

    Not locked. Reflections are left out; those about whoever will listen are there: the caller knows to whom it is
    speaking.
    """
    per = min(per, MOST_TELLABLE)
    wanted = sorted(set(character_ids))
    found: dict[UUID, dict[UUID, MemoryState]] = {i: {} for i in wanted}
    for row in await tx.fetch(TELLABLE, tx.world_id, wanted, per):
        found[row["character_id"]][row["id"]] = state_of(row)
    return {who: _open_ones(states, tx.now)[:per] + _secrets(states)[:per] for who, states in found.items()}


def _open_ones(states: Mapping[UUID, MemoryState], now: int) -> list[MemoryState]:
    fitting = (m for m in states.values() if not m.secret)
    return sorted(fitting, key=lambda m: (-rules.total(m.at, m.importance, now, 1.0), m.id))


def _secrets(states: Mapping[UUID, MemoryState]) -> list[MemoryState]:
    return sorted((m for m in states.values() if m.secret), key=lambda m: (-m.importance, m.id))


# -- for higher systems: remembering -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Hold:
    """What is read of a memory to decide whether it is forgotten."""

    id: UUID
    at: int
    importance: float


async def remember(
    tx: Transaction, news: Sequence[NewMemory], names: Mapping[UUID, str]
) -> list[MemoryState]:
    """Let characters remember things; returns these memories as they are now, then what was concluded from them.

    The caller has locked the characters (`characters.service.load`), and has emitted the events that the memories
    are of (`event_id`): reflections are put down to these. `names` are those of the characters concerned; others
    are looked up. A fact that a character has already is merged (`rules.merged`). Who is over its capacity forgets.
    """
    if not news:
        return []
    told: dict[UUID, list[NewMemory | MemoryState]] = defaultdict(list)
    for new in news:
        told[memory_id(new.character_id, new.fact_id)].append(new)
    states = {s.id: s for s in rules.gathered(rules.remembered(new) for new in news)}
    made, minds = await _put(tx, states.values())
    states.update(await _hear_again(tx, {i: told[i] for i in told if i not in made}))
    counts = {who: count for who, (count, _) in minds.items()}
    due = sorted(who for who, (_, unreflected) in minds.items() if unreflected >= rules.REFLECT_AFTER)
    concluded = (
        await _reflect(tx, due, {n.character_id: n.event_id for n in news}, names, counts) if due else []
    )
    await _forget_excess(tx, counts)
    return [*states.values(), *concluded]


async def _put(
    tx: Transaction, states: Iterable[MemoryState]
) -> tuple[set[UUID], dict[UUID, tuple[int, float]]]:
    """Store new memories. Which were new, and (memories, unreflected) of the minds that have them."""
    rows = await tx.fetch(PUT, tx.world_id, *_columns(states))
    return {row["id"] for row in rows}, {
        row["character_id"]: (row["memories"], row["unreflected"]) for row in rows
    }


async def _hear_again(
    tx: Transaction, told: Mapping[UUID, Sequence[NewMemory | MemoryState]]
) -> dict[UUID, MemoryState]:
    """Merge tellings into the memories that are there; as they are now."""
    if not told:
        return {}
    before = {row["id"]: state_of(row) for row in await tx.fetch(LOCK, tx.world_id, sorted(told))}
    after = dict(before)
    for identifier, tellings in told.items():
        for new in tellings:
            after[identifier] = rules.merged(after[identifier], new)
    changed = [state for identifier, state in after.items() if state != before[identifier]]
    if changed:
        await tx.execute(CHANGE, tx.world_id, *_columns(changed))
    return after


async def _reflect(
    tx: Transaction, due: Sequence[UUID], events: Mapping[UUID, UUID | None], names: Mapping[UUID, str],
    counts: dict[UUID, int],
) -> list[MemoryState]:  # fmt: skip
    """Let these characters draw conclusions from what they remember of late; `counts` is kept true.

    A new conclusion about somebody takes the place of an older one. The same one again is not drawn.
    """
    recent: dict[UUID, list[MemoryState]] = {who: [] for who in due}
    for row in await tx.fetch(RECENT, tx.world_id, due):
        recent[row["character_id"]].append(state_of(row))
    drawn = [
        (who, conclusion)
        for who, memories in recent.items()
        for conclusion in reflections.conclude(memories, who, tx.now)[: reflections.MOST_CONCLUSIONS]
    ]
    await tx.execute(REFLECTED, tx.world_id, due, tx.now)
    older = {
        memory_id(who, reflections.fact_of(who, name, c.subject_id)): (who, c.subject_id, name)
        for who, c in drawn
        for name in reflections.NAMES
    }
    known = await load(tx, older)
    fresh = {older[i] for i, m in known.items() if tx.now - m.at < reflections.RENEWED_AFTER_MS}
    drawn = [(who, c) for who, c in drawn if (who, c.subject_id, c.name) not in fresh]
    people = await characters.peek(tx, {c.subject_id for _, c in drawn} - set(names))
    called = {**{i: person.name for i, person in people.items()}, **names}
    drawn = [(who, c) for who, c in drawn if c.subject_id in called]
    new = {(who, c.subject_id): c.name for who, c in drawn}
    outdated = [
        i for i, (who, about, name) in older.items() if i in known and new.get((who, about), name) != name
    ]
    if outdated:
        await tx.execute(FORGET, tx.world_id, outdated)
        for identifier in outdated:
            counts[older[identifier][0]] -= 1
    states = [_conclude(tx, who, c, called[c.subject_id], events.get(who)) for who, c in drawn]
    if states:
        made, minds = await _put(tx, states)
        counts.update((who, count) for who, (count, _) in minds.items())
        await _hear_again(tx, {s.id: [s] for s in states if s.id not in made})
    return states


def _conclude(
    tx: Transaction, who: UUID, c: reflections.Conclusion, other: str, event_id: UUID | None
) -> MemoryState:
    """A conclusion as a memory, told to the log as a consequence of the event that set it off."""
    fact_id = reflections.fact_of(who, c.name, c.subject_id)
    when = reflections.since(tx.world.calendar, c.since, tx.now)
    text = reflections.worded(c, sayings(), other, when, Dice(tx.world.seed, fact_id, tx.now))
    identifier = memory_id(who, fact_id)
    event = MemoryReflected(
        character_id=who, memory_id=identifier, conclusion=c.name, text=text, subject_id=c.subject_id,
        evidence=list(c.evidence),
    )  # fmt: skip
    cause = next((r for r in reversed(tx.events) if r.id == event_id), None)
    if cause is None:
        record = tx.emit(event)
    else:
        with tx.reacting(f"memory.reflect:{identifier}", [cause]):
            record = tx.emit(event)
    return MemoryState(
        identifier, who, fact_id, "reflection", text, c.subject_id, (c.subject_id,), None, tx.now,
        importance=min(0.9, 0.5 + 0.1 * c.weight), certainty=min(1.0, 0.5 + 0.1 * len(c.evidence)),
        valence=c.valence, event_id=record.id, evidence=c.evidence,
    )  # fmt: skip


@cache
def sayings() -> reflections.Sayings:
    """The sentences of `data/reflections.json`."""
    found: reflections.Sayings = orjson.loads(
        resources.files(__package__).joinpath("data/reflections.json").read_bytes()
    )
    return found


async def _forget_excess(tx: Transaction, counts: Mapping[UUID, int]) -> None:
    """Empty the minds (locked, with how many memories each has) that are over their capacity."""
    capacity = rules.capacity_of(tx.world.settings)
    full = sorted(who for who, count in counts.items() if count > capacity)
    if not full:
        return
    held: dict[UUID, list[_Hold]] = defaultdict(list)
    for row in await tx.fetch(HOLDS, tx.world_id, full):
        held[row["character_id"]].append(_Hold(row["id"], row["at"], row["importance"]))
    gone = [hold.id for holds in held.values() for hold in rules.forgettable(holds, tx.now, capacity)]
    await tx.execute(FORGET, tx.world_id, gone)


async def remove(tx: Transaction, character_ids: Iterable[UUID]) -> None:
    """Take away all that these characters remember."""
    for table in ("minds", "memories"):
        column = "id" if table == "minds" else "character_id"
        await tx.execute(
            f"DELETE FROM {table} WHERE world_id = $1 AND {column} = ANY($2::uuid[])",  # noqa: S608
            tx.world_id, sorted(set(character_ids)),
        )  # fmt: skip


# -- commands ------------------------------------------------------------------------------------------------


async def plant(tx: Transaction, requests: Sequence[Request]) -> list[MemoryView | Refused]:
    """Give characters something to know; many of these commands cost no more than one."""
    commands: list[PlantMemory] = [request.command for request in requests]  # type: ignore[misc]
    people = {i for c in commands for i in (c.character_id, *c.about_ids, *c.tellers)}
    living = await characters.load(tx, people)
    places = await regions.places(tx, {c.place_id for c in commands if c.place_id is not None})
    results: list[MemoryView | Refused] = []
    news: list[NewMemory] = []
    for request, command in zip(requests, commands, strict=True):
        if (problem := _problem(command, living, places, tx.now)) is not None:
            results.append(problem)
            continue
        fact_id = command.fact_id or derived_uuid("fact", request.id)
        planted = _planted(command, tx.now, fact_id)
        identifier = memory_id(command.character_id, fact_id)
        record = tx.emit(_told_planted(planted, identifier), by=request)
        news.append(replace(planted, event_id=record.id))
        results.append(view_of(rules.remembered(news[-1])))
    await remember(tx, news, {})
    return results


def _problem(
    command: PlantMemory, living: Container[UUID], places: Container[UUID], now: int
) -> Refused | None:
    """What refuses it, if anything."""
    for identifier in (command.character_id, *command.about_ids, *command.tellers):
        if identifier not in living:
            return rules.MEMORY_CHARACTER_NOT_FOUND(character_id=str(identifier))
    if command.place_id is not None and command.place_id not in places:
        return rules.MEMORY_PLACE_NOT_FOUND(place_id=str(command.place_id))
    tellers = command.tellers
    if (command.kind == "told") != bool(tellers) or command.character_id in tellers:
        return rules.TELLERS_INVALID()
    if len(set(tellers)) < len(tellers):
        return rules.TELLERS_INVALID("Nobody stands twice in a chain of tellers.")
    if command.at is not None and command.at > now:
        return rules.MEMORY_IN_THE_FUTURE(now=now)
    return None


def _planted(command: PlantMemory, now: int, fact_id: UUID) -> NewMemory:
    about = tuple(dict.fromkeys(command.about_ids))
    return NewMemory(
        character_id=command.character_id, fact_id=fact_id, kind=command.kind, text=command.text,
        subject_id=about[0] if about else None, about=about, place_id=command.place_id,
        at=now if command.at is None else command.at, importance=command.importance, certainty=command.certainty,
        valence=command.valence, secret=command.is_secret, tellers=tuple(command.tellers),
        claim=None if command.claim is None else command.claim.value(), truth=command.truth,
    )  # fmt: skip


def _told_planted(new: NewMemory, identifier: UUID) -> MemoryPlanted:
    claim = None if new.claim is None else {k: v for k, v in new.claim.items() if k != "was"}
    return MemoryPlanted(
        character_id=new.character_id, memory_id=identifier, fact_id=new.fact_id, kind=new.kind, text=new.text,
        subject_id=new.subject_id, about_ids=list(new.about), place_id=new.place_id, happened_at=new.at,
        importance=new.importance, certainty=new.certainty, valence=new.valence, is_secret=new.secret,
        tellers=list(new.tellers), claim=claim,
    )  # fmt: skip


async def forget(tx: Transaction, command: ForgetMemory) -> None:
    """Take one memory from its character."""
    found = await load(tx, [command.memory_id])
    if command.memory_id not in found:
        raise rules.MEMORY_NOT_FOUND(memory_id=str(command.memory_id))
    state = found[command.memory_id]
    await tx.fetch(LOCK_MINDS, tx.world_id, [state.character_id])
    if not await tx.execute(FORGET, tx.world_id, [state.id]):
        raise rules.MEMORY_NOT_FOUND(memory_id=str(command.memory_id))
    tx.emit(MemoryForgotten(character_id=state.character_id, memory_id=state.id, fact_id=state.fact_id))


# -- helpers -------------------------------------------------------------------------------------------------


def _columns(states: Iterable[MemoryState]) -> list[list[Any]]:
    """The columns of memories in the order in which they are written."""
    rows = [
        (
            s.id, s.character_id, s.fact_id, s.kind, s.text, s.subject_id, _array(s.about), s.place_id, s.at,
            s.importance, s.certainty, s.valence, s.secret, _array(s.tellers),
            None if s.claim is None else orjson.dumps(s.claim).decode(), s.truth, s.event_id, _array(s.evidence),
            _array(s.heard_from),
        )
        for s in states
    ]  # fmt: skip
    return [list(column) for column in zip(*rows, strict=True)]


def _array(ids: Sequence[UUID]) -> str:
    return f"{{{','.join(map(str, ids))}}}"
