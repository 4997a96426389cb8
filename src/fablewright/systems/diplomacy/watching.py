"""Finds breaches of treaties in what happens, and says what follows from them.

Events are read as acts (`clauses.Act`); an act is compared with the clauses in force that listen to its key, which one
look into an index finds. So a commit costs the same whatever treaties there are that do not listen to it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import orjson

from fablewright.core.clock import DAY
from fablewright.core.system import Handler, Reaction
from fablewright.core.transaction import EventRecord, Transaction
from fablewright.systems.diplomacy import clauses as rules
from fablewright.systems.diplomacy.clauses import Act, Breach
from fablewright.systems.diplomacy.relations import Book
from fablewright.systems.diplomacy.service import relations_book
from fablewright.systems.diplomacy.service import write as write_relations
from fablewright.systems.diplomacy.treaties import pause
from fablewright.systems.diplomacy.treaty_changes import bonds, close, leave
from fablewright.systems.diplomacy.treaty_commands import CLAUSE_NOT_FOUND, AccuseOfBreach
from fablewright.systems.diplomacy.treaty_events import (
    BreachAlleged,
    ClauseFulfilled,
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
from fablewright.systems.factions import service as factions

GRACE_ENDS: Final = "diplomacy.treaty_grace_ends"
"""Timers of this kind confirm what was not mended."""
MENDABLE: Final = frozenset(("unpaid", "kept_back"))
"""Kinds of breaches that can be made good within the grace."""
ONCE_IN: Final = 30 * DAY
"""The same breach of a clause counts once in so long (world ms)."""

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
"""
EVIDENCE: Final = "SELECT type, data::text AS data FROM events WHERE world_id = $1 AND id = $2"
HOLDERS: Final = "SELECT id, controller_id FROM regions WHERE world_id = $1 AND id = ANY($2::uuid[])"
PARTY_OF: Final = """
SELECT p.treaty_id FROM treaty_parties p JOIN treaties t ON t.world_id = p.world_id AND t.id = p.treaty_id
WHERE p.world_id = $1 AND p.faction_id = ANY($2::uuid[]) AND p.withdrawn_at IS NULL AND t.closed_at IS NULL
ORDER BY p.treaty_id
"""


# -- reading events as acts ----------------------------------------------------------------------------------

Data = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Known:
    """To which factions characters belong, and who holds regions."""

    belongs: Mapping[UUID, set[UUID]]
    holder: Mapping[UUID, UUID | None]


def _uuid(data: Data, name: str) -> UUID | None:
    value = data.get(name)
    return UUID(value) if isinstance(value, str) else value


def _came(data: Data, known: Known) -> list[Act]:
    who, where = _uuid(data, "character_id"), _uuid(data, "region_id")
    if who is None or where is None:
        return []
    return [Act("came", who, where), *(Act("entered", f, where) for f in sorted(known.belongs.get(who, ())))]


def _joined(data: Data, known: Known) -> list[Act]:
    who, faction = _uuid(data, "character_id"), _uuid(data, "faction_id")
    return [] if who is None or faction is None else [Act("joined", who, faction)]


def _declared(data: Data, known: Known) -> list[Act]:
    attacker, defender = _uuid(data, "attacker_id"), _uuid(data, "defender_id")
    return [] if attacker is None or defender is None else [Act("attacked", attacker, defender)]


def _occupied(data: Data, known: Known) -> list[Act]:
    faction, region = _uuid(data, "faction_id"), _uuid(data, "region_id")
    return [] if faction is None or region is None else [Act("entered", faction, region)]


def _called(data: Data, known: Known) -> list[Act]:
    faction, caller, enemy = (_uuid(data, name) for name in ("faction_id", "caller_id", "against_id"))
    side = data.get("side")
    if data.get("come"):  # who joins an attack attacks
        return [Act("attacked", faction, enemy)] if faction and enemy and side == "attacker" else []
    if faction is None or caller is None or data.get("excused"):
        return []
    return [Act("call_refused", faction, caller, against=enemy, side=side)]


def _routed(data: Data, known: Known) -> list[Act]:
    ends = [
        known.holder.get(r) for r in (_uuid(data, "from_region"), _uuid(data, "to_region")) if r is not None
    ]
    sides = {f for f in (_uuid(data, "owner_id"), *ends) if f is not None}
    return [
        Act("traded", a, b, good=data.get("good")) for a in sorted(sides) for b in sorted(sides) if a != b
    ]


def _dealt(data: Data, known: Known) -> list[Act]:
    owner, region = _uuid(data, "owner_id"), _uuid(data, "region_id")
    holder = None if region is None else known.holder.get(region)
    if owner is None or holder is None or owner == holder:
        return []
    return [Act("traded", a, b, good=data.get("good")) for a, b in ((owner, holder), (holder, owner))]


def _banned(data: Data, known: Known) -> list[Act]:
    region, subject = _uuid(data, "region_id"), _uuid(data, "subject_id")
    holder = None if region is None else known.holder.get(region)
    return [] if holder is None or subject is None else [Act("barred", holder, subject)]


def _sanctioned(data: Data, known: Known) -> list[Act]:
    faction, target = _uuid(data, "faction_id"), _uuid(data, "target_id")
    if data.get("kind") != "travel_ban" or faction is None or target is None:
        return []
    return [Act("barred", faction, target)]


READERS: Final[dict[str, Callable[[Data, Known], list[Act]]]] = {
    "travel.crossed_border": _came, "travel.arrived": _came, "factions.member_joined": _joined,
    "diplomacy.war_declared": _declared, "diplomacy.region_occupied": _occupied,
    "diplomacy.call_answered": _called, "markets.route_opened": _routed, "markets.bought": _dealt,
    "markets.sold": _dealt, "regions.movement_banned": _banned, "diplomacy.sanction_imposed": _sanctioned,
}  # fmt: skip
"""How events of each type are read; all others are of no concern."""


async def acts_of(tx: Transaction, seen: Sequence[tuple[str, Data]]) -> list[list[Act]]:
    """What was done in each of these events (type, data)."""
    came = {_uuid(d, "character_id") for kind, d in seen if READERS[kind] is _came} - {None}
    held = {
        _uuid(d, name) for kind, d in seen if READERS[kind] in (_routed, _dealt, _banned)
        for name in ("region_id", "from_region", "to_region")
    } - {None}  # fmt: skip
    belongs = await factions.allegiance(tx, came) if came else {}  # type: ignore[arg-type]
    rows = await tx.fetch(HOLDERS, tx.world_id, sorted(held)) if held else []
    known = Known(belongs, {row["id"]: row["controller_id"] for row in rows})
    return [READERS[kind](data, known) for kind, data in seen]


# -- finding breaches ----------------------------------------------------------------------------------------


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
    """Compare what happened with the clauses that listen to it."""
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
    for row in rows:
        state = next(c for c in treaties[row["treaty_id"]].clauses if c.id == row["clause_id"])
        for act, record in by_key[row["key"]]:
            if state.clause.fulfilled_by(act):
                await fulfil(tx, row["treaty_id"], state.id)
            elif (breach := state.clause.broken_by(act)) is not None:
                found.append(Found(row["treaty_id"], state.id, breach, act.kind, record.id))
    await breaches(tx, found)


async def breaches(tx: Transaction, found: Sequence[Found]) -> None:
    """Keep breaches, tell of them and let follow what follows.

    Each counts once in a while; what can be mended has its grace first. Locks factions, relations and treaties.
    """
    seen = await load(tx, {f.treaty_id for f in found}, lock=False)
    pairs = {
        (f.breach.faction_id, victim) for f in found
        for victim in rules.victims(f.breach, seen[f.treaty_id].members)
    }  # fmt: skip
    if not pairs:
        return
    for treaty in seen.values():
        if treaty.on_breach == "break":
            pairs.update(bonds(treaty))
    await factions.load(tx, {side for pair in pairs for side in pair})
    book = await relations_book(tx, pairs)
    treaties = await load(tx, seen)
    since = tx.now - ONCE_IN
    rows = await tx.fetch(RECENT, tx.world_id, sorted({f.clause_id for f in found}), since)
    known = {(row["clause_id"], row["faction_id"], row["kind"]) for row in rows}
    for one in found:
        treaty = treaties[one.treaty_id]
        key = one.clause_id, one.breach.faction_id, one.kind
        if treaty.state == "in_force" and (one.violation_id is not None or key not in known):
            known.add(key)
            await _violate(tx, treaty, one, book)
    await write_relations(tx, book)
    for treaty in treaties.values():
        await save(tx, treaty)


async def _violate(tx: Transaction, treaty: TreatyState, one: Found, book: Book) -> None:
    clause = next(c for c in treaty.clauses if c.id == one.clause_id)
    waits = one.kind in MENDABLE and treaty.grace_ms > 0 and one.violation_id is None
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
    if treaty.on_breach == "suspend":
        pause(tx, treaty, "it was broken")
    elif treaty.on_breach == "break":
        await close(tx, treaty, "broken", "it was broken", book=book)


# -- fulfilment ----------------------------------------------------------------------------------------------


async def fulfil(tx: Transaction, treaty_id: UUID, clause_id: UUID) -> None:
    """What a clause asked for was done for good: it is told, trusted, and a breach in grace is mended."""
    seen = await get(tx, treaty_id, lock=False)
    clause = next(c for c in seen.clauses if c.id == clause_id)
    pairs = [(b, s) for b in clause.clause.binds() for s in clause.clause.serves() if b != s]
    book = await relations_book(tx, pairs)
    treaty = await get(tx, treaty_id)
    clause = next(c for c in treaty.clauses if c.id == clause_id)
    if not clause.binding or treaty.state not in LIVE:
        return
    clause.done_at, clause.due_at = tx.now, None
    tell(tx, ClauseFulfilled, treaty, clause_id=clause.id, clause=clause.number)
    await mend(tx, treaty, clause)
    for binds, serves in pairs:
        book.trust(serves, binds, FULFILLED, f"kept {treaty.name}", secret=treaty.secret)
    await write_relations(tx, book)
    await save(tx, treaty)


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
    """Accuse a party of a breach: the log says whether it is founded."""
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
        await breaches(tx, [found])
        return {"founded": True}
    await factions.judge(
        tx, command.faction_id, UNFOUNDED, f"accused others over {treaty.name} without evidence"
    )
    book = await relations_book(tx, [(command.faction_id, command.accused_id)])
    words = f"accused us over {treaty.name} without evidence"
    book.opine(command.accused_id, command.faction_id, f"accused:{treaty.id}", -10.0, words, cap=30.0)
    await write_relations(tx, book)
    await tx.execute(
        ADD, tx.world_id, fields["violation_id"], treaty.id, clause.id, command.accused_id, "accused", fields["text"],
        "unfounded", command.event_id, None, command.faction_id, command.character_id, None, tx.now, tx.now,
    )  # fmt: skip
    return {"founded": False}


async def _evidence(
    tx: Transaction, command: AccuseOfBreach, treaty: TreatyState, clause: ClauseState
) -> Found | None:
    """The breach that the named event shows, if it does, and happened since the treaty began."""
    row = await tx.fetchrow(EVIDENCE, tx.world_id, command.event_id) if command.event_id else None
    if row is None or row["type"] not in READERS:
        return None
    for act in (await acts_of(tx, [(row["type"], orjson.loads(row["data"]))]))[0]:
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
