"""Finds breaches of treaties in what happens, and says what follows from them.

Events are read as acts (`clauses.Act`); an act is compared with the clauses in force that listen to its key, which one
look into an index finds. So a commit costs the same whatever treaties there are that do not listen to it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import orjson

from fablewright.core.clock import DAY
from fablewright.core.system import Handler, Reaction
from fablewright.core.transaction import EventRecord, Transaction
from fablewright.systems.diplomacy import clauses as rules
from fablewright.systems.diplomacy.clauses import MISSED, Act, Breach
from fablewright.systems.diplomacy.relations import Book, Pair
from fablewright.systems.diplomacy.rules import SAME_FACTION
from fablewright.systems.diplomacy.service import relations_book
from fablewright.systems.diplomacy.service import write as write_relations
from fablewright.systems.diplomacy.treaties import pause
from fablewright.systems.diplomacy.treaty_acts import READERS, acts_of, acts_then
from fablewright.systems.diplomacy.treaty_changes import bonds, close, leave
from fablewright.systems.diplomacy.treaty_commands import BREACH_KNOWN, CLAUSE_NOT_FOUND, AccuseOfBreach
from fablewright.systems.diplomacy.treaty_events import (
    BreachAlleged,
    ClauseFulfilled,
    TreatyInForce,
    TreatyResumed,
    TreatyViolated,
    ViolationMended,
)
from fablewright.systems.diplomacy.treaty_states import (
    LIVE,
    OPEN,
    ClauseState,
    TreatyState,
    get,
    load,
    save,
    tell,
)
from fablewright.systems.diplomacy.war_events import SanctionImported, SanctionImposed, SanctionJoined
from fablewright.systems.factions import service as factions
from fablewright.systems.regions.events import MovementBanned

GRACE_ENDS: Final = "diplomacy.treaty_grace_ends"
"""Timers of this kind confirm what was not mended."""
ONCE_IN: Final = 30 * DAY
"""The same breach of a clause counts once in so long (world ms)."""
OF_SANCTION: Final = frozenset(
    event.message_type for event in (SanctionImposed, SanctionJoined, SanctionImported)
)
"""The bans that these bring are not judged: that they sanction somebody is. What is closed later is closed anew."""

OPINION: Final = -25.0
TRUST: Final = -0.3
TENSION: Final = 10.0
REPUTATION: Final = -5.0
"""What a confirmed breach does: the first three between breaker and victims, the last if the treaty is public."""
FULFILLED: Final = 0.05
"""How much trust a promise kept for good is worth."""
UNFOUNDED: Final = -3.0
"""What an accusation without evidence costs the accuser's reputation."""

LISTENING: Final = """
SELECT w.key, w.clause_id, c.treaty_id FROM treaty_watches w
JOIN treaty_clauses c ON c.world_id = w.world_id AND c.id = w.clause_id
WHERE w.world_id = $1 AND w.key = ANY($2::text[]) ORDER BY c.treaty_id, c.number
"""
RECENT: Final = """
SELECT clause_id, faction_id, kind FROM treaty_violations
WHERE world_id = $1 AND clause_id = ANY($2::uuid[])
  AND (state = 'in_grace' OR (state = 'confirmed' AND at > $3))
"""
ADD: Final = """
INSERT INTO treaty_violations (world_id, id, treaty_id, clause_id, faction_id, kind, text, state, event_id, reference,
                               accuser_id, by_id, grace_until, at, closed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
"""
MEND: Final = """
UPDATE treaty_violations SET state = $3, closed_at = $4 WHERE world_id = $1 AND id = ANY($2::uuid[])
"""
IN_GRACE: Final = """
SELECT id, faction_id, text FROM treaty_violations
WHERE world_id = $1 AND clause_id = $2 AND ($3::uuid IS NULL OR id = $3) AND state = 'in_grace' ORDER BY id
FOR NO KEY UPDATE
"""
# Of the bans that a sanction brings, it is the evidence itself.
EVIDENCE: Final = """
SELECT type, seq, at, data::text AS data FROM events e WHERE world_id = $1 AND id = $2
  AND NOT (type = 'regions.movement_banned' AND EXISTS (
      SELECT 1 FROM events c WHERE c.world_id = $1 AND c.id = e.causation_id AND c.type = ANY($3::text[])))
"""
PROVEN: Final = """
SELECT 1 FROM treaty_violations
WHERE world_id = $1 AND clause_id = $2 AND faction_id = $3 AND event_id = $4 AND state <> 'unfounded' LIMIT 1
"""
# What last became of a treaty before a position of the log.
BECAME: Final = """
SELECT type FROM events
WHERE world_id = $1 AND seq < $2 AND about @> ARRAY[$3::uuid] AND data ->> 'treaty_id' = $3::text
  AND type IN ('diplomacy.treaty_in_force', 'diplomacy.treaty_suspended', 'diplomacy.treaty_resumed')
ORDER BY seq DESC LIMIT 1
"""
PARTY_OF: Final = """
SELECT p.treaty_id FROM treaty_parties p JOIN treaties t ON t.world_id = p.world_id AND t.id = p.treaty_id
WHERE p.world_id = $1 AND p.faction_id = ANY($2::uuid[]) AND p.withdrawn_at IS NULL AND t.closed_at IS NULL
ORDER BY p.treaty_id
"""


# -- finding breaches ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Kept:
    """That `about_id` has kept what it promised `holder_id` in the treaty of this name."""

    holder_id: UUID
    about_id: UUID
    name: str
    secret: bool


@dataclass(frozen=True, slots=True)
class Found:
    """That an act breaks a clause of a treaty, or was alleged to."""

    treaty_id: UUID
    clause_id: UUID
    breach: Breach
    kind: str
    event_id: UUID | None
    reference: str | None = None
    violation_id: UUID | None = None
    """The one that was in grace until now."""
    accuser_id: UUID | None = None
    by_id: UUID | None = None


async def watch(tx: Transaction, records: list[EventRecord]) -> None:
    """Compare what happened with the clauses that listen to it, and that bound when it did.

    What was done before a treaty came into force in the same commit, as when a world is brought in, neither breaks nor
    keeps it.
    """
    records = _without_bans(tx, records)
    acts = await acts_of(tx, [(r.type, orjson.loads(r.data)) for r in records])
    by_key: dict[str, list[tuple[Act, EventRecord]]] = {}
    for record, done in zip(records, acts, strict=True):
        for act in done:
            by_key.setdefault(act.key, []).append((act, record))
    rows = await tx.fetch(LISTENING, tx.world_id, sorted(by_key)) if by_key else []
    if not rows:
        return
    treaties = await load(tx, {row["treaty_id"] for row in rows}, lock=False)
    found: list[Found] = []
    fulfilled: dict[UUID, UUID] = {}
    order, since = {record.id: n for n, record in enumerate(tx.events)}, _in_force(tx)
    for row in rows:
        state = next(c for c in treaties[row["treaty_id"]].clauses if c.id == row["clause_id"])
        for act, record in by_key[row["key"]]:
            if order[record.id] < since.get(row["treaty_id"], -1):
                continue
            if state.clause.fulfilled_by(act):
                fulfilled[state.id] = row["treaty_id"]
            elif (breach := state.clause.broken_by(act)) is not None:
                found.append(Found(row["treaty_id"], state.id, breach, act.kind, record.id))
    await settle(tx, found, fulfilled=fulfilled)


def _without_bans(tx: Transaction, records: list[EventRecord]) -> list[EventRecord]:
    """What happened, without the bans for which sanctions themselves stand."""
    if not any(record.type == MovementBanned.message_type for record in records):
        return records
    told = {record.id for record in tx.events if record.type in OF_SANCTION}
    return [r for r in records if r.type != MovementBanned.message_type or r.causation_id not in told]


def _in_force(tx: Transaction) -> dict[UUID, int]:
    """After how many events of this commit treaties came into force by it, or went on."""
    told = ((n, record.event) for n, record in enumerate(tx.events))
    return {event.treaty_id: n for n, event in told if isinstance(event, (TreatyInForce, TreatyResumed))}


async def settle(
    tx: Transaction, found: Sequence[Found], *, fulfilled: Mapping[UUID, UUID] | None = None,
    so_already: Mapping[UUID, UUID] | None = None, kept: Sequence[Kept] = (),
) -> None:  # fmt: skip
    """Let follow what follows from breaches, from clauses fulfilled for good (clause: treaty), and from kept promises.

    What was `so_already` (clause: treaty), without anybody having done it while the clause bound, is fulfilled as well,
    but earns no trust. A breach counts once in a while; what can be mended has its grace first. Locks factions,
    relations and treaties, all at once: call it once in a commit, last.
    """
    done, rest = fulfilled or {}, so_already or {}
    seen = await load(tx, {f.treaty_id for f in found} | {*done.values(), *rest.values()}, lock=False)
    pairs: set[Pair] = {(one.holder_id, one.about_id) for one in kept}
    for f in found:
        pairs.update((f.breach.faction_id, v) for v in rules.victims(f.breach, seen[f.treaty_id].members))
        if seen[f.treaty_id].on_breach == "break":
            pairs.update(bonds(seen[f.treaty_id]))
    for treaty in seen.values():
        pairs.update(pair for c in treaty.clauses if c.id in done for pair in _owed(c))
    if not pairs and not rest:
        return
    if found:
        await factions.load(tx, {side for pair in pairs for side in pair})
    book = await relations_book(tx, pairs)
    for one in kept:
        book.trust(one.holder_id, one.about_id, FULFILLED, f"kept {one.name}", secret=one.secret)
    treaties = await load(tx, seen)
    for clause_id, treaty_id in sorted({*done.items(), *rest.items()}):
        await _fulfil(tx, treaties[treaty_id], clause_id, book if clause_id in done else None)
    await _violate_all(tx, treaties, found, book)
    await write_relations(tx, book)
    for treaty in treaties.values():
        await save(tx, treaty)


async def _violate_all(
    tx: Transaction, treaties: Mapping[UUID, TreatyState], found: Sequence[Found], book: Book
) -> None:
    """Those of the breaches that count. One whose grace is over does, whatever became of the treaty meanwhile."""
    if not found:
        return
    rows = await tx.fetch(RECENT, tx.world_id, sorted({f.clause_id for f in found}), tx.now - ONCE_IN)
    known = {(row["clause_id"], row["faction_id"], row["kind"]) for row in rows}
    for one in found:
        treaty = treaties[one.treaty_id]
        key = one.clause_id, one.breach.faction_id, one.kind
        if one.violation_id is not None or (treaty.state == "in_force" and key not in known):
            known.add(key)
            await _violate(tx, treaty, one, book)


async def _violate(tx: Transaction, treaty: TreatyState, one: Found, book: Book) -> None:
    clause = next(c for c in treaty.clauses if c.id == one.clause_id)
    waits = one.kind in MISSED and treaty.grace_ms > 0 and one.violation_id is None
    until = tx.now + treaty.grace_ms if waits else None
    violation_id = one.violation_id or tx.new_id()
    state = "in_grace" if waits else "confirmed"
    if one.violation_id is not None:
        await tx.execute(MEND, tx.world_id, [violation_id], state, tx.now)
    else:
        await tx.execute(
            ADD, tx.world_id, violation_id, treaty.id, clause.id, one.breach.faction_id, one.kind, one.breach.text,
            state, one.event_id, one.reference, one.accuser_id, one.by_id, until, tx.now, None if waits else tx.now,
        )  # fmt: skip
    if until is not None:
        await tx.schedule(GRACE_ENDS, until, {"violation_id": str(violation_id)})
    victims = rules.victims(one.breach, treaty.members)
    told = tell(
        tx, TreatyViolated, treaty, one.by_id, violation_id=violation_id, clause_id=clause.id, clause=clause.number,
        faction_id=one.breach.faction_id, text=one.breach.text, event_id=one.event_id, victim_ids=victims,
        confirmed=not waits, grace_until=until,
    )  # fmt: skip
    if not waits:
        await _resent(tx, treaty, one.breach.faction_id, victims, book, told.id)


async def _resent(
    tx: Transaction, treaty: TreatyState, breaker: UUID, victims: Sequence[UUID], book: Book, event_id: UUID
) -> None:
    """What a confirmed breach does between the two sides, to the breaker's name, and to the treaty."""
    words = f"broke {treaty.name}"
    for victim in victims:
        book.opine(
            victim,
            breaker,
            f"breach:{treaty.id}",
            OPINION,
            words,
            event=event_id,
            cap=75.0,
            secret=treaty.secret,
        )
        book.trust(victim, breaker, TRUST, words, secret=treaty.secret)
        book.tense(victim, breaker, TENSION, words, secret=treaty.secret)
    if not treaty.secret:
        await factions.judge(tx, breaker, REPUTATION, words)
    if treaty.on_breach == "suspend" and treaty.state == "in_force":
        pause(tx, treaty, "it was broken")
    elif treaty.on_breach == "break" and treaty.state in LIVE:
        await close(tx, treaty, "broken", "it was broken", book=book)


# -- fulfilment ----------------------------------------------------------------------------------------------


def _owed(clause: ClauseState) -> list[Pair]:
    """Who owes something to whom by a clause."""
    return [(b, s) for b in clause.clause.binds() for s in clause.clause.serves() if b != s]


async def _fulfil(tx: Transaction, treaty: TreatyState, clause_id: UUID, book: Book | None) -> None:
    """What a clause asked for was done for good: it is told, trusted (in the book), and a breach in grace is mended."""
    clause = next(c for c in treaty.clauses if c.id == clause_id)
    if not clause.binding or treaty.state not in LIVE:
        return
    clause.done_at, clause.due_at = tx.now, None
    tell(tx, ClauseFulfilled, treaty, clause_id=clause.id, clause=clause.number)
    await mend(tx, treaty, clause)
    if book is None:
        return
    for binds, serves in _owed(clause):
        book.trust(serves, binds, FULFILLED, f"kept {treaty.name}", secret=treaty.secret)


async def mend(
    tx: Transaction, treaty: TreatyState, clause: ClauseState, violation_id: UUID | None = None
) -> None:
    """Close the breaches of a clause that are in grace, or one of them."""
    rows = await tx.fetch(IN_GRACE, tx.world_id, clause.id, violation_id)
    for row in rows:
        await tx.cancel_timers(GRACE_ENDS, violation_id=str(row["id"]))
        tell(
            tx, ViolationMended, treaty, violation_id=row["id"], clause_id=clause.id, clause=clause.number,
            faction_id=row["faction_id"], text=row["text"],
        )  # fmt: skip
    if rows:
        await tx.execute(MEND, tx.world_id, [row["id"] for row in rows], "mended", tx.now)


# -- accusations ---------------------------------------------------------------------------------------------


async def accuse(tx: Transaction, command: AccuseOfBreach) -> dict[str, Any]:
    """Accuse a party of a breach: the log says whether it is founded.

    Only an accusation over a treaty that all know of costs the accuser's name with all.
    """
    if command.accused_id == command.faction_id:
        raise SAME_FACTION(faction_id=str(command.faction_id))
    await factions.may(tx, command.faction_id, command.character_id, "accuse")
    treaty = await get(tx, command.treaty_id, lock=False)
    treaty.party(command.faction_id)
    treaty.party(command.accused_id)
    treaty.require("in_force")
    clause = next((c for c in treaty.clauses if c.number == command.clause), None)
    if clause is None:
        raise CLAUSE_NOT_FOUND(clause=command.clause, clauses=len(treaty.clauses))
    found = await _evidence(tx, command, treaty, clause)
    fields: dict[str, Any] = {
        "violation_id": tx.new_id(), "clause_id": clause.id, "clause": clause.number,
        "faction_id": command.accused_id, "accuser_id": command.faction_id, "founded": found is not None,
        "text": "no event shows it" if found is None else found.breach.text,
    }  # fmt: skip
    tell(tx, BreachAlleged, treaty, command.character_id, **fields)
    if found is not None:
        await settle(tx, [found])
        return {"founded": True}
    if not treaty.secret:
        await factions.judge(
            tx, command.faction_id, UNFOUNDED, f"accused others over {treaty.name} without evidence"
        )
    book = await relations_book(tx, [(command.faction_id, command.accused_id)])
    words = f"accused us over {treaty.name} without evidence"
    book.opine(
        command.accused_id,
        command.faction_id,
        f"accused:{treaty.id}",
        -10.0,
        words,
        cap=30.0,
        secret=treaty.secret,
    )
    await write_relations(tx, book)
    await tx.execute(
        ADD, tx.world_id, fields["violation_id"], treaty.id, clause.id, command.accused_id, "accused", fields["text"],
        "unfounded", command.event_id, None, command.faction_id, command.character_id, None, tx.now, tx.now,
    )  # fmt: skip
    return {"founded": False}


async def _evidence(
    tx: Transaction, command: AccuseOfBreach, treaty: TreatyState, clause: ClauseState
) -> Found | None:
    """The breach that the named event shows, if it does, and if the treaty bound when it happened.

    Refuses `breach_known`.
    """
    row = None
    if command.event_id is not None:
        row = await tx.fetchrow(EVIDENCE, tx.world_id, command.event_id, sorted(OF_SANCTION))
    if row is None or row["type"] not in READERS or not clause.binding:
        return None
    became = await tx.fetchval(BECAME, tx.world_id, row["seq"], treaty.id)
    if became not in ("diplomacy.treaty_in_force", "diplomacy.treaty_resumed"):
        return None
    if await tx.fetchval(PROVEN, tx.world_id, clause.id, command.accused_id, command.event_id) is not None:
        raise BREACH_KNOWN(event_id=str(command.event_id))
    for act in await acts_then(tx, row["type"], orjson.loads(row["data"]), row["seq"], row["at"]):
        breach = clause.clause.broken_by(act)
        if breach is not None and breach.faction_id == command.accused_id:
            return Found(
                treaty.id, clause.id, breach, act.kind, command.event_id, accuser_id=command.faction_id,
                by_id=command.character_id,
            )  # fmt: skip
    return None


# -- dissolved factions --------------------------------------------------------------------------------------


async def dissolved(tx: Transaction, records: list[EventRecord]) -> None:
    """A faction that is no more leaves its treaties; drafts with it are closed."""
    gone = {UUID(orjson.loads(r.data)["faction_id"]) for r in records}
    rows = await tx.fetch(PARTY_OF, tx.world_id, sorted(gone))
    for treaty in (await load(tx, {row["treaty_id"] for row in rows})).values():
        if treaty.state in (*OPEN, "signed"):
            await close(tx, treaty, "terminated", "a party was dissolved")
        else:
            for party in [
                p for p in treaty.parties.values() if p.faction_id in gone and p.withdrawn_at is None
            ]:
                await leave(tx, treaty, party)
        await save(tx, treaty)


HANDLERS = (Handler(AccuseOfBreach, one=accuse),)
GUARDING = (
    Reaction("diplomacy.watch_treaties", tuple(READERS), watch),
    Reaction("diplomacy.leave_treaties", ("factions.dissolved",), dissolved),
)
"""Breaches belong to the truth: they are found in the transaction in which they happen."""
