"""What the commands about achievements do, and what follows when somebody has come further.

A row in `achievement_unlocks` decides who unlocked what: it can be added once, on whatever node.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, NamedTuple
from uuid import UUID

from fablewright.core.definitions import Definitions
from fablewright.core.refusal import Refused
from fablewright.core.transaction import EventRecord, Transaction
from fablewright.systems.achievements import rules
from fablewright.systems.achievements.commands import (
    DefineAchievement,
    GrantAchievement,
    RemoveAchievement,
    RestoreStandings,
)
from fablewright.systems.achievements.events import (
    Defined,
    Progressed,
    Removed,
    StandingsRestored,
    Unlocked,
)
from fablewright.systems.achievements.rules import AchievementDefinition, AllOf, AnyOf, Catalog, Entry, Manual
from fablewright.systems.achievements.views import load_catalog
from fablewright.systems.points import service as points
from fablewright.systems.progress import service as progress
from fablewright.systems.progress.service import Moved, Restored

SYSTEM: Final = "achievements"
MOST_LINES: Final = 300
"""Achievements in one event about progress, so that it stays small; what is told of is told as it moves."""

LIVING: Final = """
SELECT id FROM characters WHERE world_id = $1 AND id = ANY($2::uuid[]) AND deleted_at IS NULL
"""
ONE_AT_A_TIME: Final = """
SELECT pg_advisory_xact_lock(lock) FROM (
    SELECT DISTINCT hashtextextended($1::text || c.id::text, 20) AS lock FROM unnest($2::uuid[]) AS c (id) ORDER BY 1
) locks
"""
# $4 are the generations of the achievements: what was unlocked before is the base that repetitions come on top of.
STEPS: Final = """
SELECT u.character_id, u.achievement_id, max(u.repetition::bigint * 100 + u.tier) AS last,
       coalesce(max(u.repetition) FILTER (WHERE u.generation < g.generation), 0) AS base
FROM unnest($3::uuid[], $4::int[]) AS g (id, generation)
JOIN achievement_unlocks u ON u.world_id = $1 AND u.achievement_id = g.id
WHERE u.character_id = ANY($2::uuid[]) GROUP BY 1, 2
"""
UNLOCK: Final = """
INSERT INTO achievement_unlocks (world_id, character_id, achievement_id, tier, repetition, at, generation, event_id)
SELECT $1, v.*, $2 FROM unnest($3::uuid[], $4::uuid[], $5::int[], $6::int[], $7::bigint[], $8::int[])
    AS v (character_id, achievement_id, tier, repetition, at, generation)
ORDER BY 2, 3, 5, 4
ON CONFLICT DO NOTHING RETURNING character_id, achievement_id, tier, repetition
"""
NAME_EVENTS: Final = """
UPDATE achievement_unlocks u SET event_id = v.event_id
FROM unnest($2::uuid[], $3::uuid[], $4::int[], $5::int[], $6::uuid[])
    AS v (character_id, achievement_id, tier, repetition, event_id)
WHERE u.world_id = $1 AND u.character_id = v.character_id AND u.achievement_id = v.achievement_id
  AND u.tier = v.tier AND u.repetition = v.repetition
"""
WRITE: Final = """
INSERT INTO achievements AS a (world_id, id, key, spec, measure_id) VALUES ($1, $2, $3, $4::jsonb, $5)
ON CONFLICT (world_id, id) DO UPDATE SET spec = excluded.spec, measure_id = excluded.measure_id,
    generation = a.generation + (a.measure_id IS DISTINCT FROM excluded.measure_id)::int
"""
# What characters have of what some achievements ($2, $3: their measures, and keys of which they are made) are made of,
# and is not counted for these yet.
UNCOUNTED: Final = """
SELECT DISTINCT n.measure_id, u.character_id, n.key
FROM unnest($2::uuid[], $3::text[]) AS n (measure_id, key)
JOIN achievements a ON a.world_id = $1 AND a.key = n.key
JOIN achievement_unlocks u ON u.world_id = $1 AND u.achievement_id = a.id
JOIN characters c ON c.world_id = $1 AND c.id = u.character_id AND c.deleted_at IS NULL
WHERE NOT EXISTS (
    SELECT FROM measure_items i
    WHERE i.world_id = $1 AND i.measure_id = n.measure_id AND i.subject_id = u.character_id
      AND i.item = '"' || n.key || '"')
"""
NO_EVENT: Final = UUID(int=0)

Pair = tuple[UUID, UUID]
"""A character and an achievement."""


async def _load(tx: Transaction) -> Catalog:
    return await load_catalog(tx, tx.world_id)


CATALOG: Final = Definitions(_load)
"""The achievements of a world."""


class Had(NamedTuple):
    """The last step that a character has unlocked, and the repetitions it had before something else was counted."""

    repetition: int
    tier: int
    base: int

    @staticmethod
    def of(last: int, base: int) -> "Had":
        """From a row of `STEPS`."""
        repetition, tier = divmod(last, 100)
        return Had(repetition, tier, base)

    def since(self, entry: Entry) -> int:
        """How many steps it has unlocked of an achievement, of a repeatable one since then."""
        if not entry.definition.repeatable:
            return (self.repetition - 1) * len(entry.definition.tiers) + self.tier
        if self.repetition <= self.base:
            return 0
        return (self.repetition - 1 - self.base) * len(entry.definition.tiers) + self.tier


NONE: Final = Had(1, 0, 0)


@dataclass(frozen=True, slots=True)
class Win:
    """A step that a character has just unlocked."""

    character_id: UUID
    entry: Entry
    tier: int
    repetition: int

    @property
    def what(self) -> rules.Tier:
        return self.entry.definition.tiers[self.tier - 1]

    @property
    def first(self) -> bool:
        """Whether the character has the achievement since this step."""
        return self.tier == 1 and self.repetition == 1


# -- definitions ---------------------------------------------------------------------------------------------


async def define(tx: Transaction, command: DefineAchievement) -> dict[str, Any]:
    """Write a definition, and let what it needs be measured."""
    key, definition = command.key, command.definition
    catalog = await CATALOG.of(tx)
    _check(catalog, key, definition)
    # A removed one with the same key was another one: what it rewarded does not count here.
    known = catalog.by_key.get(key)
    id_ = tx.new_id() if known is None else known.id
    spec = rules.measure_of(definition)
    made_of = definition.criteria.keys if isinstance(definition.criteria, AllOf | AnyOf) else []
    measure_id = None
    if spec is not None:
        measure_id = await progress.use(tx, SYSTEM, id_, spec, backfill=command.backfill and not made_of)
    if measure_id is not None and made_of:
        await _count_what_there_is(tx, [(measure_id, k) for k in dict.fromkeys(made_of)], complete=True)
    await progress.stop_using(tx, SYSTEM, id_, but=measure_id)
    await tx.execute(WRITE, tx.world_id, id_, key, definition.model_dump_json(), measure_id)
    tx.definitions_changed = True
    named = any(catalog.hides(k) for k in rules.needed(definition))
    tx.emit(
        Defined(
            key=key, hidden=definition.hidden, definition=definition, backfill=command.backfill, names_hidden=named
        )
    )  # fmt: skip
    return {"key": key, "id": id_, "measure_id": measure_id}


async def _count_what_there_is(
    tx: Transaction, named: Sequence[tuple[UUID, str]], *, complete: bool = False
) -> None:
    """Count for what is made of others what characters have of these; `named` are its measure and the others' keys.

    It looks at who has them, not at the log. To be `complete` it looks once more when no other commit can happen
    before this one.
    """
    if not named:
        return
    for last in (False, True) if complete else (True,):
        if complete and last:
            await progress.lock_head(tx)
        rows = await tx.fetch(UNCOUNTED, tx.world_id, *_columns(named))
        await progress.count_items(tx, [(row["character_id"], row["measure_id"], row["key"]) for row in rows])


def _check(catalog: Catalog, key: str, definition: AchievementDefinition) -> None:
    """Refuses what does not fit in with the others."""
    graph, groups = catalog.graph, catalog.groups
    graph[key] = rules.needed(definition)
    unknown = [k for k in graph[key] if k not in graph]
    if unknown:
        raise rules.ACHIEVEMENT_UNKNOWN(f"There is no achievement {unknown[0]!r}.", keys=unknown)
    path = rules.cycle_from(key, graph)
    if path is not None:
        raise rules.ACHIEVEMENT_CYCLE(f"It would need itself: {' > '.join(path)}.", path=path)
    groups.discard(key)
    if definition.criteria.kind in ("all_of", "any_of"):
        groups.add(key)
    if rules.layers(graph, groups) > rules.MOST_LEVELS:
        raise rules.ACHIEVEMENT_TOO_DEEP(most=rules.MOST_LEVELS)
    if rules.feeds_itself(definition):
        raise rules.ACHIEVEMENT_FEEDS_ITSELF()
    if len(graph) > rules.MOST_ACHIEVEMENTS:
        raise rules.TOO_MANY_ACHIEVEMENTS(most=rules.MOST_ACHIEVEMENTS)


async def remove(tx: Transaction, command: RemoveAchievement) -> None:
    """Delete a definition that no other needs, and who unlocked it."""
    catalog = await CATALOG.of(tx)
    entry = _entry(catalog, command.key)
    users = sorted(key for key, named in catalog.graph.items() if command.key in named)
    if users:
        raise rules.ACHIEVEMENT_IN_USE(f"It is needed by {', '.join(users)}.", keys=users)
    await progress.stop_using(tx, SYSTEM, entry.id)
    await tx.execute("DELETE FROM achievements WHERE world_id = $1 AND id = $2", tx.world_id, entry.id)
    tx.definitions_changed = True
    tx.emit(Removed(key=entry.key, hidden=entry.definition.hidden))


def _entry(catalog: Catalog, key: str) -> Entry:
    entry = catalog.by_key.get(key)
    if entry is None:
        raise rules.ACHIEVEMENT_NOT_FOUND(key=key)
    return entry


# -- by hand -------------------------------------------------------------------------------------------------


async def grant(tx: Transaction, command: GrantAchievement) -> dict[str, Any]:
    """Let a character have what is granted by hand."""
    catalog = await CATALOG.of(tx)
    entry = _entry(catalog, command.key)
    if not isinstance(entry.definition.criteria, Manual):
        raise rules.ACHIEVEMENT_NOT_MANUAL(key=entry.key)
    tiers = len(entry.definition.tiers)
    if (command.tier or 1) > tiers:
        raise rules.TIER_NOT_FOUND(f"{entry.key} has {tiers} tiers.", tiers=tiers)
    pair = command.character_id, entry.id
    if not await _living(tx, [command.character_id]):
        raise rules.ACHIEVER_NOT_FOUND(character_id=str(command.character_id))
    await tx.execute(ONE_AT_A_TIME, str(tx.world_id), [command.character_id])
    missing = (await _missing(tx, catalog, [pair])).get(pair)
    if missing:
        raise rules.ACHIEVEMENT_LOCKED(f"It requires {', '.join(missing)} first.", missing=missing)
    last = (await _steps(tx, catalog, [pair])).get(pair, NONE).since(entry)
    wanted = last + 1 if entry.definition.repeatable or command.tier is None else command.tier
    if wanted <= last or (wanted > tiers and not entry.definition.repeatable):
        raise rules.ALREADY_UNLOCKED(key=entry.key)
    wins = await _unlock(tx, catalog, {pair: wanted}, {})
    own = [win for win in wins if win.entry is entry]
    return {"unlocked": [{"tier": win.tier, "repetition": win.repetition} for win in own]}


async def restore(tx: Transaction, command: RestoreStandings) -> dict[str, int]:
    """Write how far characters had come in another world; nobody is rewarded again."""
    catalog = await CATALOG.of(tx)
    standings = command.standings
    entries = [_entry(catalog, standing.key) for standing in standings]
    ids = {standing.character_id for standing in standings}
    gone = ids - set(await _living(tx, ids))
    if gone:
        raise rules.ACHIEVER_NOT_FOUND(character_id=str(min(gone)))
    rows = []
    for standing, entry in zip(standings, entries, strict=True):
        for unlock in standing.unlocked:
            if unlock.tier > len(entry.definition.tiers):
                raise rules.TIER_NOT_FOUND(key=entry.key, tiers=len(entry.definition.tiers))
            generation = entry.generation - unlock.earlier
            rows.append(
                (standing.character_id, entry.id, unlock.tier, unlock.repetition, unlock.at, generation)
            )
    event = tx.emit(StandingsRestored(character_ids=sorted(ids), standings=len(standings)))
    if rows:
        await tx.fetch(UNLOCK, tx.world_id, event.id, *_columns(rows))
    await progress.restore(tx, [
        Restored(s.character_id, e.measure_id, s.value, s.day, tuple(s.items))
        for s, e in zip(standings, entries, strict=True)
        if s.value is not None and e.measure_id is not None
        and not isinstance(e.definition.criteria, AllOf | AnyOf)
    ])  # fmt: skip
    keys = {standing.key for standing in standings if standing.unlocked}
    await _count_what_there_is(tx, sorted({
        (e.measure_id, k) for e in catalog.naming(keys) if e.measure_id is not None
        for k in getattr(e.definition.criteria, "keys", ()) if k in keys
    }))  # fmt: skip
    return {"restored": len(standings)}


# -- what follows --------------------------------------------------------------------------------------------


async def moved(tx: Transaction, steps: list[Moved]) -> None:
    """Unlock what was reached by these steps, and tell how far everybody is who crossed a whole percent."""
    catalog = await CATALOG.of(tx)
    reached: dict[Pair, int] = {}
    lines: dict[UUID, dict[str, str]] = {}
    causes: dict[UUID, EventRecord] = {}
    for subject, measure_id, before, after, cause in steps:
        watch = catalog.over(measure_id)
        if watch is None:
            continue
        for entry, n in watch.reached(before, after):
            pair = subject, entry.id
            reached[pair] = max(n, reached.get(pair, 0))
        if cause is not None:  # what comes from the log is not told
            causes[subject] = cause
            if told := watch.told(before, after):
                lines.setdefault(subject, {}).update(told)
    if not reached and not lines:
        return
    living = set(await _living(tx, {pair[0] for pair in reached} | set(lines)))
    _tell(tx, {who: told for who, told in lines.items() if who in living}, causes)
    reached = {pair: n for pair, n in reached.items() if pair[0] in living}
    if reached:
        await _unlock(tx, catalog, reached, causes)


def _tell(tx: Transaction, lines: Mapping[UUID, dict[str, str]], causes: Mapping[UUID, EventRecord]) -> None:
    """Tell of progress, at most once per character and commit: what comes later is added to the first."""
    told = {r.about[0]: r for r in tx.events if r.type == Progressed.message_type}
    for who, own in lines.items():
        record = told.get(who)
        if record is None:
            tx.emit(Progressed.told(who, _bounded(own)), cause=causes.get(who))
        else:
            assert isinstance(record.event, Progressed)
            tx.amend(record, Progressed.told(who, _bounded({**record.event.lines, **own})))


def _bounded(lines: dict[str, str]) -> dict[str, str]:
    return lines if len(lines) <= MOST_LINES else dict(islice(lines.items(), MOST_LINES))


async def _unlock(
    tx: Transaction, catalog: Catalog, reached: Mapping[Pair, int], causes: Mapping[UUID, EventRecord]
) -> list[Win]:
    """Unlock for each pair the steps up to a number, reward them, and unlock what waited for them.

    Returns those that were not there before.
    """
    wins: list[Win] = []
    while reached:
        fresh = await _insert(tx, catalog, await _allowed(tx, catalog, reached))
        if not fresh:
            break
        await _reward(tx, fresh, causes)
        wins += fresh
        reached = await _waiting(tx, catalog, fresh)
    return wins


async def _allowed(tx: Transaction, catalog: Catalog, reached: Mapping[Pair, int]) -> dict[Pair, int]:
    """Without those whose requirements are not met.

    Where achievements require each other, one commit at a time unlocks for a character: of two that unlock
    two requirements at once, the second must see the first.
    """
    bound = [
        pair for pair in reached
        if (entry := catalog.by_id[pair[1]]).definition.requires or entry.key in catalog.dependents
    ]  # fmt: skip
    if not bound:
        return dict(reached)
    await tx.execute(ONE_AT_A_TIME, str(tx.world_id), list({pair[0] for pair in bound}))
    missing = await _missing(tx, catalog, bound)
    return {pair: n for pair, n in reached.items() if not missing.get(pair)}


async def _missing(tx: Transaction, catalog: Catalog, pairs: Collection[Pair]) -> dict[Pair, list[str]]:
    """The keys of what each pair's character lacks to unlock its achievement."""
    needs = {pair: catalog.by_id[pair[1]].definition.requires for pair in pairs}
    required = {catalog.by_key[key].id for keys in needs.values() for key in keys}
    if not required:
        return {}
    has = await _steps(tx, catalog, [(pair[0], id_) for pair in pairs for id_ in required])
    return {
        pair: [key for key in keys if (pair[0], catalog.by_key[key].id) not in has]
        for pair, keys in needs.items()
    }


async def _steps(tx: Transaction, catalog: Catalog, pairs: Collection[Pair]) -> dict[Pair, Had]:
    """What of these achievements these characters have unlocked; without those that have none."""
    ids = list({p[1] for p in pairs})
    rows = await tx.fetch(
        STEPS, tx.world_id, list({p[0] for p in pairs}), ids, [catalog.by_id[id_].generation for id_ in ids]
    )
    return {(row["character_id"], row["achievement_id"]): Had.of(row["last"], row["base"]) for row in rows}


async def _insert(tx: Transaction, catalog: Catalog, reached: Mapping[Pair, int]) -> list[Win]:
    """Add the rows of what was reached; returns those that were not there."""
    repeated = [pair for pair in reached if catalog.by_id[pair[1]].definition.repeatable]
    last = await _steps(tx, catalog, repeated) if repeated else {}
    rows = []
    for pair, n in reached.items():
        entry, had = catalog.by_id[pair[1]], last.get(pair, NONE)
        rows += [
            (*pair, tier, had.base + repetition, tx.now, entry.generation)
            for tier, repetition in entry.ladder.steps(had.since(entry), n)
        ]
    if not rows:
        return []
    found = await tx.fetch(UNLOCK, tx.world_id, NO_EVENT, *_columns(rows))
    wins = [Win(row[0], catalog.by_id[row[1]], row[2], row[3]) for row in found]
    return sorted(wins, key=lambda win: (win.character_id, win.entry.key, win.repetition, win.tier))


async def _reward(tx: Transaction, wins: Sequence[Win], causes: Mapping[UUID, EventRecord]) -> None:
    """Give points and titles for what was unlocked, and tell of it."""
    paid = [win for win in wins if win.what.points]
    results = await points.award_many(tx, [
        points.AwardAsk(
            character_id=win.character_id, amount=win.what.points, currency=win.entry.definition.currency,
            reason=_reason(win), cause=causes.get(win.character_id), guarded=False,
            reference=f"achievement:{win.entry.id}:{win.tier}:{win.repetition}:{win.character_id}",
        )
        for win in paid
    ]) if paid else []  # fmt: skip
    given = {id(win): result for win, result in zip(paid, results, strict=True)}
    records = [_tell_unlocked(tx, win, given.get(id(win)), causes.get(win.character_id)) for win in wins]
    titled = [(w.character_id, w.what.title, w.entry.source) for w in wins if w.what.title]
    if titled:
        await points.grant_titles(tx, titled)
    await tx.execute(NAME_EVENTS, tx.world_id, *_columns(
        (w.character_id, w.entry.id, w.tier, w.repetition, record.id)
        for w, record in zip(wins, records, strict=True)
    ))  # fmt: skip


def _reason(win: Win) -> str:
    """The achievement, with its tier if there are several; a hidden one is not named, since all may read of awards."""
    if win.entry.definition.hidden:
        return "An achievement"
    name = win.entry.definition.name
    tier = f" ({win.what.name or win.tier})" if len(win.entry.definition.tiers) > 1 else ""
    return f"Achievement: {name}{tier}"


def _tell_unlocked(tx: Transaction, win: Win, result: Any, cause: EventRecord | None) -> EventRecord:
    """`result` is what came of its award, if it had one."""
    definition, what = win.entry.definition, win.what
    refused = result if isinstance(result, Refused) else None
    paid = result is not None and refused is None and not result.replayed
    return tx.emit(
        Unlocked(
            character_id=win.character_id, key=win.entry.key, name=definition.name, tier=win.tier,
            tier_name=what.name, repetition=win.repetition, points=what.points if paid else 0,
            currency=definition.currency, title=what.title, hidden=definition.hidden,
            reward_refused=refused.code if refused else None,
        ),
        cause=cause,
    )  # fmt: skip


async def _waiting(tx: Transaction, catalog: Catalog, wins: Sequence[Win]) -> dict[Pair, int]:
    """What those who have just got a requirement had reached already."""
    pairs = {
        (win.character_id, entry.id): entry
        for win in wins if win.first for entry in catalog.dependents.get(win.entry.key, ())
    }  # fmt: skip
    asked = [(pair[0], entry.measure_id) for pair, entry in pairs.items() if entry.measure_id is not None]
    values = await progress.values_of(tx, tx.world_id, asked)
    reached = {}
    for pair, entry in pairs.items():
        value = values.get((pair[0], entry.measure_id)) if entry.measure_id is not None else None
        if value is not None and (steps := entry.ladder.reached(value.value)):
            reached[pair] = steps
    return reached


# -- helpers -------------------------------------------------------------------------------------------------


async def _living(tx: Transaction, ids: Iterable[UUID]) -> list[UUID]:
    """Those of these subjects that are characters of the world, and not deleted."""
    return [row["id"] for row in await tx.fetch(LIVING, tx.world_id, list(ids))]


def _columns(rows: Iterable[Sequence[Any]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]
