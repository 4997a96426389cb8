"""What the commands about ties do. Higher systems load and change ties through this module."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

import orjson

from fablewright.core.dice import derived_uuid
from fablewright.core.refusal import Refused
from fablewright.core.transaction import Request, Transaction
from fablewright.systems.characters import service as characters
from fablewright.systems.characters.views import ALIVE
from fablewright.systems.relationships import rules, views
from fablewright.systems.relationships.commands import Feelings, SetTie, SetTies
from fablewright.systems.relationships.events import TieSet, TiesSet, TieTold
from fablewright.systems.relationships.rules import (
    SAME_CHARACTER,
    STRANGERS,
    TIE_CHARACTER_NOT_FOUND,
    Habit,
    Reason,
    TieState,
)

__all__ = ["Acquaintance", "Pair", "TieState", "acquaintances", "felt_by", "load", "peek", "write"]

Pair = tuple[UUID, UUID]
"""Who feels something (source), and about whom (target)."""

COLUMNS: Final = (
    "t.source_id, t.target_id, t.strength, t.trust, t.interaction_count, t.last_interaction_at, "
    "t.familiarity, t.resting_strength, t.resting_trust, t.felt_at, t.labels, "
    "t.reasons::text AS reasons, t.habits::text AS habits"
)
PEEK: Final = f"""
SELECT {COLUMNS}
FROM unnest($2::uuid[], $3::uuid[]) AS p (source_id, target_id)
JOIN ties t ON t.world_id = $1 AND t.source_id = p.source_id AND t.target_id = p.target_id
ORDER BY t.id
"""  # noqa: S608  fixed texts only
LOAD: Final = f"{PEEK} FOR NO KEY UPDATE OF t"
FELT_BY: Final = f"""
SELECT {COLUMNS} FROM ties t
WHERE t.world_id = $1 AND t.source_id = ANY($2::uuid[]) AND t.target_id = ANY($3::uuid[])
ORDER BY t.source_id, t.target_id
"""  # noqa: S608  fixed texts only
WRITE: Final = """
INSERT INTO ties (world_id, id, source_id, target_id, strength, trust, interaction_count, last_interaction_at,
                  familiarity, resting_strength, resting_trust, felt_at, labels, reasons, habits)
SELECT $1, v.id, v.source_id, v.target_id, v.strength, v.trust, v.interaction_count, v.last_interaction_at,
       v.familiarity, v.resting_strength, v.resting_trust, v.felt_at, string_to_array(v.labels, ','),
       v.reasons::jsonb, v.habits::jsonb
FROM unnest(
    $2::uuid[], $3::uuid[], $4::uuid[], $5::float8[], $6::float8[], $7::bigint[], $8::bigint[], $9::float8[],
    $10::float8[], $11::float8[], $12::bigint[], $13::text[], $14::text[], $15::text[])
    AS v (id, source_id, target_id, strength, trust, interaction_count, last_interaction_at, familiarity,
          resting_strength, resting_trust, felt_at, labels, reasons, habits)
ON CONFLICT (world_id, source_id, target_id) DO UPDATE SET
    strength = excluded.strength, trust = excluded.trust,
    interaction_count = excluded.interaction_count, last_interaction_at = excluded.last_interaction_at,
    familiarity = excluded.familiarity, resting_strength = excluded.resting_strength,
    resting_trust = excluded.resting_trust, felt_at = excluded.felt_at, labels = excluded.labels,
    reasons = excluded.reasons, habits = excluded.habits
"""
KNOWN: Final = (
    "target_id, strength, trust, familiarity, resting_strength, resting_trust, felt_at, labels, "
    "interaction_count, last_interaction_at"
)
# From a place in the order of ids that differs from time to time, so that everybody has a turn although few
# rows are read; the second part goes on from the beginning.
# The LIMIT keeps the planner from joining all characters, as it would while its statistics are young.
ACQUAINTANCES: Final = f"""
SELECT a.id AS source_id, c.id, c.name, t.*
FROM unnest($2::uuid[], $3::uuid[]) WITH ORDINALITY AS a (id, start, n)
CROSS JOIN LATERAL (
    (SELECT {KNOWN} FROM ties
     WHERE world_id = $1 AND source_id = a.id AND target_id >= a.start ORDER BY target_id LIMIT $4)
    UNION ALL
    (SELECT {KNOWN} FROM ties
     WHERE world_id = $1 AND source_id = a.id AND target_id < a.start ORDER BY target_id LIMIT $4)
) t
CROSS JOIN LATERAL (
    SELECT id, name FROM characters
    WHERE world_id = $1 AND id = t.target_id AND status = 'active' AND {ALIVE} LIMIT 1
) c
ORDER BY a.n, t.target_id < a.start, t.target_id
"""  # noqa: S608  fixed texts only


# -- for higher systems --------------------------------------------------------------------------------------


async def load(tx: Transaction, pairs: Iterable[Pair]) -> dict[Pair, TieState]:
    """Those of the ties that exist, locked until the commit in the order of their ids, as they were written.

    Lock the characters first (`characters.service.load`): whoever holds both characters of a missing tie may
    make it. `TieState.now` gives the values of now.
    """
    return await _fetch_pairs(tx, LOAD, pairs)


async def peek(tx: Transaction, pairs: Iterable[Pair]) -> dict[Pair, TieState]:
    """Those of the ties that exist, not locked: for what may be a little out of date."""
    return await _fetch_pairs(tx, PEEK, pairs)


async def felt_by(
    tx: Transaction, source_ids: Iterable[UUID], target_ids: Iterable[UUID]
) -> dict[Pair, TieState]:
    """All ties from any of the sources to any of the targets, not locked."""
    rows = await tx.fetch(FELT_BY, tx.world_id, sorted(set(source_ids)), sorted(set(target_ids)))
    return {(row["source_id"], row["target_id"]): state_of(row) for row in rows}


async def write(tx: Transaction, ties: Mapping[Pair, TieState]) -> None:
    """Store ties, old and new, with one statement. `load` must have locked them."""
    if not ties:
        return
    pairs, states = list(ties), list(ties.values())
    await tx.execute(
        WRITE, tx.world_id, [derived_uuid("tie", tx.world_id, *pair) for pair in pairs],
        [s for s, _ in pairs], [t for _, t in pairs], [s.strength for s in states], [s.trust for s in states],
        [s.interaction_count for s in states], [s.last_interaction_at for s in states],
        [s.familiarity for s in states], [s.resting_strength for s in states],
        [s.resting_trust for s in states], [s.felt_at for s in states], [",".join(s.labels) for s in states],
        [_reasons_json(s.reasons) for s in states], [_habits_json(s.habits) for s in states],
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Acquaintance:
    """An active character that another one knows, and how it feels about it now; see `TieState`."""

    id: UUID
    name: str
    strength: float
    trust: float
    last_interaction_at: int | None
    familiarity: float = 0.0
    labels: tuple[str, ...] = ()
    interaction_count: int = 0


async def acquaintances(
    tx: Transaction, starts: Sequence[tuple[UUID, UUID]], most: int
) -> dict[UUID, list[Acquaintance]]:
    """For each (character, place in the order of ids) up to `most` active characters it knows. Not locked.

    They are those that follow that place, so that a character with a thousand ties costs no more than one
    with ten.
    """
    rows = await tx.fetch(
        ACQUAINTANCES, tx.world_id, [who for who, _ in starts], [start for _, start in starts], most
    )
    found: dict[UUID, list[Acquaintance]] = {who: [] for who, _ in starts}
    for row in rows:
        known = found[row["source_id"]]
        if len(known) < most:
            known.append(_acquaintance(row, tx.now))
    return found


def _acquaintance(row: Any, now: int) -> Acquaintance:
    at = row["felt_at"]
    return Acquaintance(
        row["id"], row["name"],
        rules.drifted(row["strength"], row["resting_strength"], at, now, rules.STRENGTH_HALF_LIFE_MS),
        rules.drifted(row["trust"], row["resting_trust"], at, now, rules.TRUST_HALF_LIFE_MS),
        row["last_interaction_at"],
        rules.drifted(row["familiarity"], 0.0, at, now, rules.FAMILIARITY_HALF_LIFE_MS),
        tuple(row["labels"]), row["interaction_count"],
    )  # fmt: skip


async def forget(tx: Transaction, character_ids: Sequence[UUID]) -> None:
    """Remove every tie from and to these characters."""
    await tx.execute(
        "DELETE FROM ties "
        "WHERE world_id = $1 AND (source_id = ANY($2::uuid[]) OR target_id = ANY($2::uuid[]))",
        tx.world_id, list(character_ids),
    )  # fmt: skip


# -- rows ----------------------------------------------------------------------------------------------------


async def _fetch_pairs(tx: Transaction, sql: str, pairs: Iterable[Pair]) -> dict[Pair, TieState]:
    wanted = sorted(set(pairs))
    rows = await tx.fetch(sql, tx.world_id, [s for s, _ in wanted], [t for _, t in wanted])
    return {(row["source_id"], row["target_id"]): state_of(row) for row in rows}


def state_of(row: Any) -> TieState:
    """A tie from a row of `COLUMNS`."""
    return TieState(
        row["strength"], row["trust"], row["interaction_count"], row["last_interaction_at"],
        row["familiarity"], row["resting_strength"], row["resting_trust"], row["felt_at"],
        tuple(row["labels"]), views.reasons_of(row["reasons"]), _habits_of(row["habits"]),
    )  # fmt: skip


def _reasons_json(reasons: Sequence[Reason]) -> str:
    return orjson.dumps(
        [
            {"at": r.at, "why": r.why, "strength": r.strength, "trust": r.trust, "event": r.event_id}
            for r in reasons
        ]
    ).decode()


def _habits_of(text: str) -> dict[str, Habit]:
    return {kind: Habit(at, heat) for kind, (at, heat) in orjson.loads(text).items()}


def _habits_json(habits: Mapping[str, Habit]) -> str:
    return orjson.dumps({kind: (habit.at, habit.heat) for kind, habit in habits.items()}).decode()


# -- commands ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wish:
    """What a command wants of one tie."""

    pair: Pair
    feelings: Feelings


async def set_tie(tx: Transaction, requests: Sequence[Request]) -> list[views.TieView | Refused]:
    """Say how characters feel about each other; many of these commands cost no more than one."""
    commands: list[SetTie] = [request.command for request in requests]  # type: ignore[misc]
    groups = [[Wish((c.source_id, c.target_id), c)] for c in commands]
    results: list[views.TieView | Refused] = []
    for request, group, done in zip(requests, groups, await _set(tx, groups), strict=True):
        if isinstance(done, Refused):
            results.append(done)
            continue
        tx.emit(TieSet(**_told(group[0], done[0]).model_dump()), by=request)
        results.append(views.view_of(group[0].pair, done[0]))
    return results


async def set_ties(tx: Transaction, requests: Sequence[Request]) -> list[dict[str, int] | Refused]:
    """Say how many characters feel about each other; each command as a whole or not at all."""
    commands: list[SetTies] = [request.command for request in requests]  # type: ignore[misc]
    groups = [[Wish((t.source_id, t.target_id), t) for t in command.ties] for command in commands]
    results: list[dict[str, int] | Refused] = []
    for request, group, done in zip(requests, groups, await _set(tx, groups), strict=True):
        if isinstance(done, Refused):
            results.append(done)
            continue
        ties = [_told(wish, state) for wish, state in zip(group, done, strict=True)]
        tx.emit(TiesSet(ties=ties), by=request)
        results.append({"ties": len(group)})
    return results


async def _set(tx: Transaction, groups: Sequence[Sequence[Wish]]) -> list[list[TieState] | Refused]:
    """Write groups of ties, each group as a whole or not at all; how they are, or what refuses the group."""
    pairs = [wish.pair for group in groups for wish in group]
    living = await characters.load(tx, (i for pair in pairs for i in pair))
    # What they have been through together is kept with both of their ties.
    counted = [wish.pair for group in groups for wish in group if wish.feelings.interaction_count is not None]
    before = await load(tx, [*pairs, *((target, source) for source, target in counted)])
    after: dict[Pair, TieState] = {}
    done: list[list[TieState] | Refused] = []
    for group in groups:
        problem = next(filter(None, (_problem(wish.pair, living) for wish in group)), None)
        if problem is not None:
            done.append(problem)
            continue
        for wish in group:
            _grant(wish, before, after, tx.now)
        done.append([after[wish.pair] for wish in group])
    await write(tx, after)
    return done


def _grant(wish: Wish, before: Mapping[Pair, TieState], after: dict[Pair, TieState], now: int) -> None:
    """Put what is wished for into `after`."""
    state = _wished(after.get(wish.pair) or before.get(wish.pair), wish.feelings, now)
    after[wish.pair] = state
    if wish.feelings.interaction_count is None:
        return
    back = (wish.pair[1], wish.pair[0])
    opposite = after.get(back) or before.get(back)
    if opposite is not None or state.interaction_count:
        after[back] = replace(
            opposite or replace(STRANGERS, felt_at=now),
            interaction_count=state.interaction_count, last_interaction_at=state.last_interaction_at,
        )  # fmt: skip


def _wished(old: TieState | None, f: Feelings, now: int) -> TieState:
    """A tie as it shall be; what is not said stays as it is now."""
    tie = (old or replace(STRANGERS, familiarity=rules.FAMILIARITY_SET, felt_at=now)).now(now)
    familiarity = tie.familiarity if f.familiarity is None else f.familiarity
    count, last = tie.interaction_count, tie.last_interaction_at
    if f.interaction_count is not None:
        count = f.interaction_count
        last = None if count == 0 else now if f.last_interaction_at is None else f.last_interaction_at
    return TieState(
        f.strength, f.trust, count, last, familiarity,
        f.strength if f.resting_strength is None else f.resting_strength,
        f.trust if f.resting_trust is None else f.resting_trust,
        tie.felt_at,
        rules.labelled(tie.labels if f.labels is None else f.labels, f.strength, f.trust, familiarity),
        tie.reasons
        if f.reasons is None
        else tuple(Reason(r.at, r.why, r.strength, r.trust, r.event_id) for r in f.reasons),
        tie.habits if f.habits is None else {kind: Habit(h.at, h.heat) for kind, h in f.habits.items()},
    )  # fmt: skip


def _told(wish: Wish, state: TieState) -> TieTold:
    """What the log is told: all that is not as it was, or as one would expect."""
    f = wish.feelings
    return TieTold.model_construct(
        source_id=wish.pair[0], target_id=wish.pair[1], strength=state.strength, trust=state.trust,
        familiarity=state.familiarity,
        resting_strength=None if state.resting_strength == state.strength else state.resting_strength,
        resting_trust=None if state.resting_trust == state.trust else state.resting_trust,
        labels=list(state.labels), reasons=f.reasons, habits=f.habits,
        interaction_count=None if f.interaction_count is None else state.interaction_count,
        last_interaction_at=None if f.interaction_count is None else state.last_interaction_at,
    )  # fmt: skip


def _problem(pair: Pair, living: Mapping[UUID, characters.CharacterState]) -> Refused | None:
    if pair[0] == pair[1]:
        return SAME_CHARACTER()
    missing = next((i for i in pair if i not in living), None)
    return None if missing is None else TIE_CHARACTER_NOT_FOUND(character_id=str(missing))
