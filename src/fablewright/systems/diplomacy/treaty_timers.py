"""What happens to treaties when time comes: sums are paid, treaties begin and end, grace is over.

All clauses that are due together are one batch: one load, one book of the ledger, one book of relations. Locks, in this
order: the parties, accounts, relations, treaties.
"""

from collections.abc import Sequence
from itertools import combinations, permutations
from typing import Final
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
    Breach,
    ClauseBase,
    HandOver,
    Pay,
)
from fablewright.systems.diplomacy.service import relations_book
from fablewright.systems.diplomacy.service import write as write_relations
from fablewright.systems.diplomacy.treaties import (
    ENDS,
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
from fablewright.systems.diplomacy.treaty_states import LIVE, get, load, save
from fablewright.systems.diplomacy.watching import FULFILLED, GRACE_ENDS, Found, Kept, mend, settle
from fablewright.systems.factions import service as factions
from fablewright.systems.factions.service import Payment

MOST_AT_ONCE: Final = 1_000
"""Clauses that one batch executes; more follow at once."""
KEPT_EVERY: Final = 90 * DAY
"""How often payments that are kept add to trust (world ms)."""

DUE: Final = """
SELECT c.id, c.treaty_id, c.terms::text AS terms, c.due_at, c.kept_at, t.name, t.secret,
       array(SELECT p.faction_id FROM treaty_parties p WHERE p.world_id = $1 AND p.treaty_id = t.id) AS parties
FROM treaty_clauses c JOIN treaties t ON t.world_id = c.world_id AND t.id = c.treaty_id
WHERE c.world_id = $1 AND c.due_at <= $2 AND c.ended_at IS NULL AND c.done_at IS NULL AND t.state = 'in_force'
ORDER BY c.id LIMIT $3
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


def _broken(clause: ClauseBase) -> tuple[str, Breach]:
    """The breach of a clause that is due and was not done."""
    kind = "unpaid" if isinstance(clause, Pay) else "kept_back"
    breach = clause.broken_by(Act("unpaid" if isinstance(clause, Pay) else "kept_back", *clause.ways()[0]))
    assert breach is not None
    return kind, breach


async def execute(tx: Transaction, timers: list[Timer]) -> None:
    """Execute all clauses that are due: sums are paid; what was not handed over is a breach."""
    rows = await tx.fetch(DUE, tx.world_id, tx.now, MOST_AT_ONCE)
    if not rows:
        return
    await factions.load(tx, {party for row in rows for party in row["parties"]})
    asked = [(row, CLAUSE.validate_json(row["terms"])) for row in rows]
    paying = [(row, c) for row, c in asked if isinstance(c, Pay)]
    made = await factions.pay_all(tx, [payment(c, r["id"], r["name"], r["due_at"]) for r, c in paying])
    found: list[Found] = []
    kept: dict[UUID, int] = {}
    trusting: list[Kept] = []
    for (row, clause), result in zip(paying, made, strict=True):
        if isinstance(result, Refused):
            kind, breach = _broken(clause)
            reference = f"treaty:{row['id']}:{row['due_at']}"
            found.append(Found(row["treaty_id"], row["id"], breach, kind, None, reference))
        elif row["kept_at"] is None or tx.now - row["kept_at"] >= KEPT_EVERY:
            kept[row["id"]] = tx.now
            trusting.append(Kept(clause.to_id, clause.from_id, row["name"], row["secret"]))
    for row, due in asked:
        if isinstance(due, HandOver):
            kind, breach = _broken(due)
            found.append(Found(row["treaty_id"], row["id"], breach, kind, None))
    # From when it was due, not from now: what was missed while nobody ran the world is paid one after the other.
    nexts = [
        next_due(tx, r["due_at"], c.every_days) if isinstance(c, Pay) and c.every_days else None
        for r, c in asked
    ]
    await tx.execute(
        DONE, tx.world_id, [r["id"] for r, _ in asked], [r["due_at"] for r, _ in asked], nexts,
        [kept.get(r["id"], r["kept_at"]) for r, _ in asked],
    )  # fmt: skip
    await set_timers(tx, {at for at in nexts if at is not None})
    if len(rows) == MOST_AT_ONCE:
        await tx.schedule(PAYMENTS, tx.now)
    await settle(tx, found, kept=trusting)


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
    found: list[Found] = []
    for row in rows:
        state = states[row["clause_id"]]
        if row["id"] in paid:
            await mend(tx, treaties[row["treaty_id"]], state, row["id"])
            continue
        breach = Breach(
            row["faction_id"], frozenset(state.clause.serves()) - {row["faction_id"]}, row["text"]
        )
        found.append(Found(
            row["treaty_id"], state.id, breach, row["kind"], row["event_id"], row["reference"], violation_id=row["id"]
        ))  # fmt: skip
    await settle(tx, found)


async def start(tx: Transaction, timers: list[Timer]) -> None:
    """Treaties that were signed before begin. One whose sums cannot all be paid now does not, and none is paid."""
    ids = sorted(set(_ids(timers, "treaty_id")))
    seen = await load(tx, ids, lock=False)
    await factions.load(tx, {party for treaty in seen.values() for party in treaty.parties})
    for treaty_id in ids:
        # Who leaves holds no party: read again, and what is paid by it is what is saved.
        waiting = await get(tx, treaty_id, lock=False)
        if waiting.state != "signed":
            continue
        covered = True
        try:
            async with tx.savepoint():
                await pay_at_once(tx, waiting)
        except Refused:
            covered = False
        book = await relations_book(tx, combinations(waiting.members, 2))
        treaty = await get(tx, treaty_id)
        if not covered:
            await close(tx, treaty, "terminated", "a sum that was due at its start was not covered")
        elif treaty.state == "signed":
            await begin(tx, treaty, book)
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
            await close(tx, treaty, "expired", "its time is over", TreatyExpired, book=book)
            for holder, about in permutations(treaty.members, 2):
                if (treaty.id, about) not in breakers:
                    words = f"kept {treaty.name} to its end"
                    book.trust(holder, about, FULFILLED, words, secret=treaty.secret)
        await save(tx, treaty)
    await write_relations(tx, book)


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
    TimerKind(GRACE_ENDS, grace_ends),
)  # fmt: skip
