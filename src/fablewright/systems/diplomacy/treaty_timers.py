"""What happens to treaties when time comes: sums are paid, treaties begin and end, grace is over.

All clauses that are due together are one batch: one load, one book of the ledger, one book of relations. Locks, in this
order: the parties, accounts, relations, treaties.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final
from uuid import UUID

from fablewright.core.clock import DAY
from fablewright.core.refusal import Refused
from fablewright.core.system import Check, TimerKind
from fablewright.core.transaction import Timer, Transaction
from fablewright.systems.diplomacy.clauses import (
    CLAUSE,
    MISSED,
    TYPES,
    Act,
    ActKind,
    Breach,
    ClauseBase,
    HandOver,
    Pay,
    victims,
)
from fablewright.systems.diplomacy.relations import Pair
from fablewright.systems.diplomacy.service import relations_book
from fablewright.systems.diplomacy.service import write as write_relations
from fablewright.systems.diplomacy.treaties import (
    ENDS,
    LAPSES,
    LEAVES,
    PAYMENTS,
    STARTS,
    begin,
    next_due,
    pay_at_once,
    payment,
    set_timers,
)
from fablewright.systems.diplomacy.treaty_changes import book_of, close, leave, prolong
from fablewright.systems.diplomacy.treaty_events import TreatyExpired
from fablewright.systems.diplomacy.treaty_states import LIVE, OPEN, ClauseState, TreatyState, get, load, save
from fablewright.systems.diplomacy.watching import FULFILLED, GRACE_ENDS, Found, Kept, mend, settle
from fablewright.systems.factions import service as factions
from fablewright.systems.factions.service import Payment
from fablewright.systems.regions import service as regions

MOST_AT_ONCE: Final = 1_000
"""Clauses, and payments, that one batch executes; more follow at once."""
KEPT_EVERY: Final = 90 * DAY
"""How often payments that are kept add to trust (world ms)."""
KEPT_FOR: Final = 30 * DAY
"""How long a treaty must have been in force that earns trust by having been kept to its end (world ms)."""

# A clause binds until its treaty ends, or a party that it names leaves; what falls due on that very day still does.
DUE: Final = """
SELECT c.id, c.treaty_id, c.terms::text AS terms, c.due_at, c.kept_at, t.name, t.secret, p.parties, p.until
FROM treaty_clauses c JOIN treaties t ON t.world_id = c.world_id AND t.id = c.treaty_id
CROSS JOIN LATERAL (
    SELECT array_agg(faction_id) AS parties,
           least($2::bigint, t.ends_at, min(leaves_at) FILTER (WHERE withdrawn_at IS NULL AND faction_id::text
                 IN (c.terms ->> 'from_id', c.terms ->> 'to_id', c.terms ->> 'faction_id'))) AS until
    FROM treaty_parties WHERE world_id = $1 AND treaty_id = t.id
) p
WHERE c.world_id = $1 AND c.due_at <= $2 AND c.due_at <= p.until AND c.ended_at IS NULL AND c.done_at IS NULL
  AND t.state = 'in_force'
ORDER BY c.due_at, c.id LIMIT $3
"""
DONE: Final = """
UPDATE treaty_clauses c SET due_at = v.next_at, kept_at = v.kept_at
FROM unnest($2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[]) AS v (id, due_at, next_at, kept_at)
WHERE c.world_id = $1 AND c.id = v.id AND c.due_at = v.due_at
"""
IN_GRACE: Final = """
SELECT id, treaty_id, clause_id, faction_id, kind, text, reference, event_id FROM treaty_violations
WHERE world_id = $1 AND id = ANY($2::uuid[]) AND state = 'in_grace' ORDER BY id
"""


def _ids(timers: Sequence[Timer], name: str) -> list[UUID]:
    return [UUID(timer.data[name]) for timer in timers]


def _missed(row: Any, clause: Pay | HandOver, reference: str | None = None) -> Found:
    """The breach of a clause (by its row) that is due and was not done."""
    kind: ActKind = "unpaid" if isinstance(clause, Pay) else "kept_back"
    breach = clause.broken_by(Act(kind, *clause.ways()[0]))
    assert breach is not None
    return Found(row["treaty_id"], row["id"], breach, kind, None, reference)


def _dates(tx: Transaction, row: Any, clause: Pay) -> list[int]:
    """When a sum was due since it was paid last (world ms): once, or more often if nobody ran the world."""
    dates = [row["due_at"]]
    while clause.every_days and len(dates) < MOST_AT_ONCE:
        if (after := next_due(tx, dates[-1], clause.every_days)) > row["until"]:
            break
        dates.append(after)
    return dates


async def _handed_over(tx: Transaction, clauses: Mapping[UUID, ClauseBase]) -> set[UUID]:
    """By which of these clauses somebody was to be handed over, and is where it should be.

    It may have come there while the clause did not bind: before it began, or while it rested.
    """
    asked = {id_: clause for id_, clause in clauses.items() if isinstance(clause, HandOver)}
    if not asked:
        return set()
    who = {clause.character_id for clause in asked.values()}
    belongs, stays = await factions.allegiance(tx, who), await regions.regions_of_characters(tx, who)
    return {
        id_ for id_, c in asked.items()
        if (c.to_id in belongs.get(c.character_id, ()) if c.region_id is None
            else stays.get(c.character_id) == c.region_id)
    }  # fmt: skip


async def execute(tx: Transaction, timers: list[Timer]) -> None:
    """Execute all clauses that are due: sums are paid; what was not handed over is a breach."""
    rows = {row["id"]: row for row in await tx.fetch(DUE, tx.world_id, tx.now, MOST_AT_ONCE)}
    if not rows:
        return
    await factions.load(tx, {party for row in rows.values() for party in row["parties"]})
    asked = {id_: CLAUSE.validate_json(row["terms"]) for id_, row in rows.items()}
    paid = await _pay(tx, rows, {id_: c for id_, c in asked.items() if isinstance(c, Pay)})
    there = await _handed_over(tx, asked)
    found = paid.missed + [
        _missed(rows[id_], c) for id_, c in asked.items() if isinstance(c, HandOver) and id_ not in there
    ]
    nexts = [paid.nexts.get(id_) for id_ in rows]
    kept = [tx.now if id_ in paid.kept else row["kept_at"] for id_, row in rows.items()]
    await tx.execute(DONE, tx.world_id, list(rows), [r["due_at"] for r in rows.values()], nexts, kept)
    await set_timers(tx, {at for at in nexts if at is not None})
    if len(rows) == MOST_AT_ONCE:
        await tx.schedule(PAYMENTS, tx.now)
    await settle(
        tx, found, so_already={i: rows[i]["treaty_id"] for i in there}, kept=list(paid.kept.values())
    )


@dataclass(frozen=True, slots=True)
class _Paid:
    """What came of payments, by clause: what could not be paid, what earns trust, and what is due when next."""

    missed: list[Found]
    kept: dict[UUID, Kept]
    nexts: dict[UUID, int | None]


async def _pay(tx: Transaction, rows: Mapping[UUID, Any], clauses: Mapping[UUID, Pay]) -> _Paid:
    """Pay what is due by these clauses, date after date; how often each was due while nobody ran the world."""
    dates = sorted((at, id_) for id_, c in clauses.items() for at in _dates(tx, rows[id_], c))
    paying, late = dates[:MOST_AT_ONCE], dates[MOST_AT_ONCE:]
    made = await factions.pay_all(
        tx, [payment(clauses[id_], id_, rows[id_]["name"], at) for at, id_ in paying]
    )
    done = _Paid([], {}, {})
    for (at, id_), result in zip(paying, made, strict=True):
        row, clause = rows[id_], clauses[id_]
        # From when it was due, not from now.
        done.nexts[id_] = next_due(tx, at, clause.every_days) if clause.every_days else None
        if isinstance(result, Refused):
            done.missed.append(_missed(row, clause, f"treaty:{id_}:{at}"))
        elif row["kept_at"] is None or tx.now - row["kept_at"] >= KEPT_EVERY:
            done.kept[id_] = Kept(clause.to_id, clause.from_id, row["name"], row["secret"])
    done.nexts.update({id_: at for at, id_ in reversed(late)})
    return done


async def grace_ends(tx: Transaction, timers: list[Timer]) -> None:
    """Sums are asked for once more, all together; what is still not done is a breach for good.

    Also if the treaty rests or has ended by now: nobody gets out of a breach so.
    """
    rows = await tx.fetch(IN_GRACE, tx.world_id, _ids(timers, "violation_id"))
    treaties = await load(tx, {row["treaty_id"] for row in rows}, lock=False)
    await factions.load(tx, {party for treaty in treaties.values() for party in treaty.parties})
    states = {c.id: c for treaty in treaties.values() for c in treaty.clauses}
    owed: dict[UUID, Payment] = {}
    for row in rows:
        clause = states[row["clause_id"]].clause
        if isinstance(clause, Pay) and row["reference"] is not None:
            due_at = int(row["reference"].rsplit(":", 1)[1])
            owed[row["id"]] = payment(clause, row["clause_id"], treaties[row["treaty_id"]].name, due_at)
    made = await factions.pay_all(tx, list(owed.values())) if owed else []
    paid = {id_ for id_, result in zip(owed, made, strict=True) if not isinstance(result, Refused)}
    asked = {row["clause_id"]: states[row["clause_id"]].clause for row in rows}
    there = await _handed_over(tx, asked)
    found: list[Found] = []
    done: dict[UUID, UUID] = {}
    for row in rows:
        state = states[row["clause_id"]]
        if state.id in there:
            done[state.id] = row["treaty_id"]
        if row["id"] in paid or state.id in there:
            await mend(tx, treaties[row["treaty_id"]], state, row["id"])
            continue
        breach = Breach(
            row["faction_id"], frozenset(state.clause.serves()) - {row["faction_id"]}, row["text"]
        )
        found.append(Found(
            row["treaty_id"], state.id, breach, row["kind"], row["event_id"], row["reference"], violation_id=row["id"]
        ))  # fmt: skip
    await settle(tx, found, so_already=done)


async def start(tx: Transaction, timers: list[Timer]) -> None:
    """Treaties that were signed before begin. One whose sums cannot all be paid now does not, and none is paid."""
    ids = sorted(set(_ids(timers, "treaty_id")))
    seen = await load(tx, ids, lock=False)
    await factions.load(tx, {party for treaty in seen.values() for party in treaty.parties})
    for treaty_id in ids:
        while (await get(tx, treaty_id, lock=False)).state == "signed":
            try:
                async with tx.savepoint():
                    await _start(tx, treaty_id)
            except _MovedOnError:  # what was paid is paid back, and it is looked at again
                continue


class _MovedOnError(Exception):
    """Somebody has left a treaty since its sums were paid: who does so locks no faction."""


async def _start(tx: Transaction, treaty_id: UUID) -> None:
    """Pay what is due at the start of a treaty and let it begin, or close it."""
    seen = await get(tx, treaty_id, lock=False)
    covered = True
    try:
        async with tx.savepoint():
            await pay_at_once(tx, seen)
    except Refused:
        covered = False
    book = await relations_book(tx, combinations(seen.members, 2))
    treaty = await get(tx, treaty_id)
    if (treaty.state, treaty.members) != (seen.state, seen.members):
        raise _MovedOnError
    if covered:
        await begin(tx, treaty, book)
    else:
        await close(tx, treaty, "terminated", "a sum that was due at its start was not covered")
    await save(tx, treaty)


async def end(tx: Transaction, timers: list[Timer]) -> None:
    """Treaties whose time is over go on if they renew by themselves, and end otherwise."""
    ids = _ids(timers, "treaty_id")
    seen = (await load(tx, ids, lock=False)).values()
    book = await relations_book(tx, {pair for treaty in seen for pair in combinations(treaty.members, 2)})
    rows = await tx.fetch(BROKEN_BY, tx.world_id, ids)
    breakers = {(row["treaty_id"], row["faction_id"]) for row in rows}
    for treaty in (await load(tx, ids)).values():
        if treaty.state not in LIVE or treaty.ends_at is None or treaty.ends_at > tx.now:
            continue
        if treaty.renews:
            await prolong(tx, treaty)
        else:
            kept = _kept(tx, treaty)
            await close(tx, treaty, "expired", "its time is over", TreatyExpired, book=book)
            for holder, about in kept:
                if (treaty.id, about) not in breakers:
                    words = f"kept {treaty.name} to its end"
                    book.trust(holder, about, FULFILLED, words, secret=treaty.secret)
        await save(tx, treaty)
    await write_relations(tx, book)


def _kept(tx: Transaction, treaty: TreatyState) -> list[Pair]:
    """Who (second) was bound towards whom for long enough, by what can be broken, until a treaty ends now."""
    if treaty.state != "in_force" or treaty.starts_at is None or tx.now - treaty.starts_at < KEPT_FOR:
        return []
    return sorted({pair for c in treaty.clauses if c.binding for pair in _promised(c, treaty.members)})


def _promised(state: ClauseState, members: Sequence[UUID]) -> list[Pair]:
    """By a clause that acts can break: to whom (first) who (second) has promised it."""
    clause = state.clause
    if not clause.deeds:
        return []
    return [
        (holder, about) for about in clause.binds()
        for holder in victims(Breach(about, frozenset(clause.serves()) - {about}, ""), members)
    ]  # fmt: skip


async def go(tx: Transaction, timers: list[Timer]) -> None:
    """Parties whose notice is over leave."""
    going = {(UUID(t.data["treaty_id"]), UUID(t.data["faction_id"])) for t in timers}
    ids = {treaty_id for treaty_id, _ in going}
    book = await book_of(tx, (await load(tx, ids, lock=False)).values())
    for treaty in (await load(tx, ids)).values():
        for party in list(treaty.parties.values()):
            if (
                (treaty.id, party.faction_id) in going
                and party.withdrawn_at is None
                and treaty.closed_at is None
            ):
                await leave(tx, treaty, party, book)
        await save(tx, treaty)
    await write_relations(tx, book)


async def lapse(tx: Transaction, timers: list[Timer]) -> None:
    """Drafts that not all have signed in a year are closed; one that was changed since has a timer of its own."""
    due = {(UUID(t.data["treaty_id"]), t.data["draft"]) for t in timers}
    for treaty in (await load(tx, {treaty_id for treaty_id, _ in due})).values():
        if treaty.state in OPEN and (treaty.id, treaty.draft) in due:
            await close(tx, treaty, "expired", "not all have signed it in time", TreatyExpired)
            await save(tx, treaty)


BROKEN_BY: Final = """
SELECT DISTINCT treaty_id, faction_id FROM treaty_violations
WHERE world_id = $1 AND treaty_id = ANY($2::uuid[]) AND state IN ('confirmed', 'in_grace')
"""
UNSIGNED: Final = """
SELECT t.world_id, 'treaty ' || t.id || ' is ' || t.state || ', and ' || count(*) || ' parties have not signed'
FROM treaties t JOIN treaty_parties p ON p.world_id = t.world_id AND p.treaty_id = t.id
WHERE t.state IN ('signed', 'in_force', 'suspended') AND p.signed_at IS NULL GROUP BY t.world_id, t.id, t.state
"""
WATCHED: Final = """
SELECT w.world_id, 'clause ' || w.clause_id || ' is watched, but its treaty is ' || t.state
FROM treaty_watches w JOIN treaty_clauses c ON c.world_id = w.world_id AND c.id = w.clause_id
JOIN treaties t ON t.world_id = c.world_id AND t.id = c.treaty_id WHERE t.state <> 'in_force'
"""
WATCHFUL: Final = sorted(
    name for name, clause in TYPES.items() if clause.deeds.keys() - MISSED or clause is HandOver
)
"""Types of clauses that listen to events."""
UNWATCHED: Final = f"""
SELECT c.world_id, 'clause ' || c.id || ' (' || c.type || ') binds, and nothing is watched for it'
FROM treaty_clauses c JOIN treaties t ON t.world_id = c.world_id AND t.id = c.treaty_id AND t.state = 'in_force'
WHERE c.ended_at IS NULL AND c.done_at IS NULL AND c.type IN ({", ".join(f"'{name}'" for name in WATCHFUL)})
  AND NOT EXISTS (SELECT 1 FROM treaty_watches w WHERE w.world_id = c.world_id AND w.clause_id = c.id)
"""  # noqa: S608  fixed texts only
PATIENT: Final = f"""
SELECT v.world_id, 'violation ' || v.id || ' is in grace until ' || v.grace_until || ', and no timer ends that'
FROM treaty_violations v
WHERE v.state = 'in_grace' AND NOT EXISTS (
    SELECT 1 FROM timers t WHERE t.world_id = v.world_id AND t.kind = '{GRACE_ENDS}'
      AND t.data @> jsonb_build_object('violation_id', v.id))
"""  # noqa: S608  fixed texts only
TIMED: Final = f"""
SELECT c.world_id, 'clause ' || c.id || ' is due at ' || c.due_at || ', and no timer executes it'
FROM treaty_clauses c
WHERE c.due_at IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM timers t JOIN worlds w ON w.id = t.world_id
    WHERE t.world_id = c.world_id AND t.kind = '{PAYMENTS}' AND t.due_at >= c.due_at
      AND (t.due_at = c.due_at OR t.due_at <= w.anchor_world_ms + CASE WHEN w.paused THEN 0 ELSE
           w.rate * (extract(epoch FROM clock_timestamp()) * 1000 - w.anchor_real_ms) END))
"""  # noqa: S608  fixed texts only

CHECKS = (
    Check("diplomacy.every_treaty_in_force_is_signed", UNSIGNED),
    Check("diplomacy.only_treaties_in_force_are_watched", WATCHED),
    Check("diplomacy.every_clause_that_listens_is_watched", UNWATCHED),
    Check("diplomacy.every_clause_that_is_due_has_its_timer", TIMED),
    Check("diplomacy.every_breach_in_grace_has_its_timer", PATIENT),
)
TIMERS = (
    TimerKind(PAYMENTS, execute), TimerKind(STARTS, start), TimerKind(ENDS, end), TimerKind(LEAVES, go),
    TimerKind(GRACE_ENDS, grace_ends), TimerKind(LAPSES, lapse),
)  # fmt: skip
