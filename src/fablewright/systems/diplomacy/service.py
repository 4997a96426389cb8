"""Relations between factions: loaded with locks as a `Book`, changed by its rules, written with their events.

The other files of this system and higher systems change relations through `relations_book` and `write`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from fablewright.core.clock import DAY
from fablewright.core.dice import derived_uuid
from fablewright.core.transaction import EventRecord, Request, Timer, Transaction
from fablewright.systems.diplomacy import views
from fablewright.systems.diplomacy.commands import (
    AddOpinion,
    DropOpinion,
    OpinionFields,
    RelationFields,
    SetRelation,
    SetRelations,
)
from fablewright.systems.diplomacy.events import (
    OpinionChange,
    RelationshipChanged,
    StatusChanged,
    TensionChanged,
    TensionReason,
)
from fablewright.systems.diplomacy.relations import (
    Between,
    Book,
    Feeling,
    Modifier,
    Pair,
    Relation,
    ordered,
)
from fablewright.systems.diplomacy.rules import (
    OPINION_NOT_FOUND,
    RELATION_FACTION_NOT_FOUND,
    TRUCE_DAYS,
    TRUCE_UNTIL_WRONG,
)

__all__ = ["Book", "end_truces", "peek", "relations_book", "relations_of", "write"]

TRUCE_ENDS: Final = "diplomacy.truce_ends"
"""Timers of this kind let a truce become what the feelings make of it."""

# Lets a pair that has no row have one, so that there is something to lock.
BEGIN: Final = """
INSERT INTO relations (world_id, id, low_id, high_id, tension_at, status_since)
SELECT $1, v.id, v.low_id, v.high_id, $5, $5
FROM unnest($2::uuid[], $3::uuid[], $4::uuid[]) AS v (id, low_id, high_id)
WHERE EXISTS (SELECT 1 FROM factions WHERE world_id = $1 AND id = v.low_id)
  AND EXISTS (SELECT 1 FROM factions WHERE world_id = $1 AND id = v.high_id)
ORDER BY v.low_id, v.high_id
ON CONFLICT (world_id, low_id, high_id) DO NOTHING
"""
PEEK: Final = """
SELECT r.low_id, r.high_id, r.tension, r.tension_at, r.status, r.status_since, r.truce_until
FROM unnest($2::uuid[], $3::uuid[]) AS p (low_id, high_id)
JOIN relations r ON r.world_id = $1 AND r.low_id = p.low_id AND r.high_id = p.high_id
ORDER BY r.low_id, r.high_id
"""
LOAD: Final = f"{PEEK} FOR NO KEY UPDATE OF r"
# With OFFSET each pair is looked up by itself; without, a world whose opinions are new to the planner is read whole.
MODIFIERS: Final = """
SELECT o.id, o.holder_id, o.about_id, o.key, o.reason, o.amount, o.event_id, o.at, o.half_life_days,
       o.capped, o.secret
FROM unnest($2::uuid[], $3::uuid[]) AS p (holder_id, about_id)
CROSS JOIN LATERAL (
    SELECT * FROM opinions
    WHERE world_id = $1 AND holder_id = p.holder_id AND about_id = p.about_id AND ended_at IS NULL OFFSET 0
) o
ORDER BY o.holder_id, o.about_id, o.key
"""
TRUSTS: Final = """
SELECT t.holder_id, t.about_id, t.trust, t.shown, t.at
FROM unnest($2::uuid[], $3::uuid[]) AS p (holder_id, about_id)
JOIN trusts t ON t.world_id = $1 AND t.holder_id = p.holder_id AND t.about_id = p.about_id
"""
OF_ONE: Final = """
SELECT low_id, high_id, tension, tension_at, status, status_since, truce_until FROM relations
WHERE world_id = $1 AND (low_id = $2 OR high_id = $2) ORDER BY low_id, high_id
"""
WRITE_RELATIONS: Final = """
UPDATE relations r SET tension = v.tension, tension_at = v.tension_at, status = v.status,
    status_since = v.status_since, truce_until = v.truce_until
FROM unnest($2::uuid[], $3::uuid[], $4::float8[], $5::bigint[], $6::text[], $7::bigint[], $8::bigint[])
    AS v (low_id, high_id, tension, tension_at, status, status_since, truce_until)
WHERE r.world_id = $1 AND r.low_id = v.low_id AND r.high_id = v.high_id
"""
WRITE_MODIFIERS: Final = """
INSERT INTO opinions (world_id, id, holder_id, about_id, key, reason, amount, event_id, at, half_life_days,
                      capped, secret)
SELECT $1, v.*
FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::float8[], $8::uuid[], $9::bigint[],
            $10::float8[], $11::float8[], $12::bool[]) AS v
ON CONFLICT (world_id, id) DO UPDATE SET
    reason = excluded.reason, amount = excluded.amount, event_id = excluded.event_id, at = excluded.at,
    half_life_days = excluded.half_life_days, capped = excluded.capped, secret = excluded.secret
"""
END_MODIFIERS: Final = """
UPDATE opinions o SET ended_at = $5
FROM unnest($2::uuid[], $3::uuid[], $4::text[]) AS v (holder_id, about_id, key)
WHERE o.world_id = $1 AND o.holder_id = v.holder_id AND o.about_id = v.about_id AND o.key = v.key
  AND o.ended_at IS NULL
"""
WRITE_TRUSTS: Final = """
INSERT INTO trusts (world_id, id, holder_id, about_id, trust, shown, at)
SELECT $1, v.* FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::float8[], $6::float8[], $7::bigint[]) AS v
ON CONFLICT (world_id, holder_id, about_id) DO UPDATE SET
    trust = excluded.trust, shown = excluded.shown, at = excluded.at
"""


# -- for the other files of this system ----------------------------------------------------------------------


async def relations_book(tx: Transaction, pairs: Iterable[Pair]) -> Book:
    """The relations of these pairs of factions (in any order), locked until the commit in the order of their ids.

    Lock the factions first, if you need these. A pair that has no relation yet gets one. Open one book for all
    pairs of a command: a second one would not see what the first has not written. Refuses `same_faction`,
    `faction_not_found`.
    """
    wanted = sorted({ordered(a, b) for a, b in pairs})
    if not wanted:
        return Book(tx.now, {}, {}, {})
    lows, highs = [low for low, _ in wanted], [high for _, high in wanted]
    ids = [derived_uuid("relation", tx.world_id, *pair) for pair in wanted]
    await tx.execute(BEGIN, tx.world_id, ids, lows, highs, tx.now)
    rows = await tx.fetch(LOAD, tx.world_id, lows, highs)
    if len(rows) < len(wanted):
        found = {(row["low_id"], row["high_id"]) for row in rows}
        missing = next(pair for pair in wanted if pair not in found)
        raise RELATION_FACTION_NOT_FOUND(faction_ids=[str(faction_id) for faction_id in missing])
    return await _book(tx, tx.now, tx.world_id, {_pair(row): _relation(row) for row in rows})


async def peek(reader: Any, world_id: UUID, now: int, pairs: Iterable[Pair]) -> Book:
    """The same, not locked and not to be written: for what may be a little out of date.

    `reader` is a transaction or a connection. Pairs without a relation are neutral and at ease.
    """
    wanted = sorted({ordered(a, b) for a, b in pairs})
    rows = await reader.fetch(PEEK, world_id, [low for low, _ in wanted], [high for _, high in wanted])
    found = {pair: Relation(tension_at=now, status_since=now) for pair in wanted}
    return await _book(reader, now, world_id, found | {_pair(row): _relation(row) for row in rows})


async def relations_of(reader: Any, world_id: UUID, now: int, faction_id: UUID) -> Book:
    """All relations that a faction has with others, not locked and not to be written."""
    rows = await reader.fetch(OF_ONE, world_id, faction_id)
    return await _book(reader, now, world_id, {_pair(row): _relation(row) for row in rows})


async def _book(reader: Any, now: int, world_id: UUID, relations: dict[Pair, Relation]) -> Book:
    """A book of these relations, with the opinions and trusts of both directions."""
    both = sorted(pair for low, high in relations for pair in ((low, high), (high, low)))
    holders, abouts = [holder for holder, _ in both], [about for _, about in both]
    modifiers: dict[Pair, list[Modifier]] = {}
    for row in await reader.fetch(MODIFIERS, world_id, holders, abouts):
        modifiers.setdefault((row["holder_id"], row["about_id"]), []).append(modifier_of(row))
    trusts = {
        (row["holder_id"], row["about_id"]): (row["trust"], row["shown"], row["at"])
        for row in await reader.fetch(TRUSTS, world_id, holders, abouts)
    }
    return Book(now, relations, modifiers, trusts)


async def write(
    tx: Transaction, book: Book, *, by: Request | None = None, causes: Mapping[Pair, EventRecord] | None = None
) -> list[EventRecord]:  # fmt: skip
    """Store what has changed in a book and tell of it; the events, in order. Statuses first follow the feelings.

    A book that has not changed writes and tells nothing. Write it once, as the last thing done with it. `causes`
    names for pairs (in any order) the event that brought the change about, if it is not the one being reacted to.
    What is secret is told in events of its own, to the two factions alone.
    """
    book.settle()
    why = {ordered(*pair): cause for pair, cause in (causes or {}).items()}
    told: list[EventRecord] = []
    await _write_relations(tx, book)
    events: dict[tuple[Pair, bool], UUID] = {}
    for pair, feeling in book.feelings.items():
        for secret in sorted({change.secret for change in feeling.changes}):
            event = _relationship_changed(book, pair, feeling, secret)
            record = tx.emit(event, by=by, cause=why.get(ordered(*pair)))
            events[pair, secret] = record.id
            told.append(record)
    for pair, between in book.between.items():
        for secret in sorted({secret for _, _, secret in between.reasons}):
            told.append(tx.emit(_tension_changed(book, pair, between, secret), by=by, cause=why.get(pair)))
        if between.relation.status != between.before.status:
            told.append(tx.emit(_status_changed(pair, between), by=by, cause=why.get(pair)))
    await _write_modifiers(tx, book, events)
    await _write_trusts(tx, book)
    return told


# -- writing -------------------------------------------------------------------------------------------------


async def _write_relations(tx: Transaction, book: Book) -> None:
    changed = [(pair, b) for pair, b in book.between.items() if b.relation != b.before]
    if not changed:
        return
    states = [between.relation for _, between in changed]
    await tx.execute(
        WRITE_RELATIONS, tx.world_id, [low for (low, _), _ in changed], [high for (_, high), _ in changed],
        [s.tension for s in states], [s.tension_at for s in states], [s.status for s in states],
        [s.status_since for s in states], [s.truce_until for s in states],
    )  # fmt: skip
    for (low, high), between in changed:
        until = between.relation.truce_until if between.relation.status == "truce" else None
        before = between.before.truce_until if between.before.status == "truce" else None
        if until == before:
            continue
        pair = {"low_id": str(low), "high_id": str(high)}
        if before is not None:
            await tx.cancel_timers(TRUCE_ENDS, **pair)
        if until is not None:
            await tx.schedule(TRUCE_ENDS, max(until, tx.now), pair)


async def _write_modifiers(tx: Transaction, book: Book, events: dict[tuple[Pair, bool], UUID]) -> None:
    changed = [
        (pair, feeling.modifiers[key]) for pair, feeling in book.feelings.items()
        for key in sorted(feeling.changed_keys & feeling.modifiers.keys())
    ]  # fmt: skip
    ended = [
        (pair, key) for pair, feeling in book.feelings.items()
        for key in sorted(feeling.stored_keys - feeling.modifiers.keys())
    ]  # fmt: skip
    if ended:
        await tx.execute(
            END_MODIFIERS, tx.world_id, [holder for (holder, _), _ in ended],
            [about for (_, about), _ in ended], [key for _, key in ended], tx.now,
        )  # fmt: skip
    if not changed:
        return
    states = [modifier for _, modifier in changed]
    await tx.execute(
        WRITE_MODIFIERS, tx.world_id, [m.id or tx.new_id() for m in states],
        [holder for (holder, _), _ in changed], [about for (_, about), _ in changed],
        [m.key for m in states], [m.reason for m in states], [m.amount for m in states],
        [m.event_id or events[pair, m.secret] for pair, m in changed], [m.at for m in states],
        [m.half_life_days for m in states], [m.cap for m in states], [m.secret for m in states],
    )  # fmt: skip


async def _write_trusts(tx: Transaction, book: Book) -> None:
    changed = [(pair, f) for pair, f in book.feelings.items() if f.trust_changed]
    if not changed:
        return
    await tx.execute(
        WRITE_TRUSTS, tx.world_id, [derived_uuid("trust", tx.world_id, *pair) for pair, _ in changed],
        [holder for (holder, _), _ in changed], [about for (_, about), _ in changed],
        [f.trust for _, f in changed], [f.shown for _, f in changed], [f.trust_at for _, f in changed],
    )  # fmt: skip


def _relationship_changed(book: Book, pair: Pair, feeling: Feeling, secret: bool) -> RelationshipChanged:
    """What all are told, with what all see of it; or what the two alone are, with what it is."""
    now = book.known(*pair)
    before = feeling.before or now
    return RelationshipChanged(
        holder_id=pair[0], about_id=pair[1],
        opinion_before=before.opinion if secret else before.opinion_shown,
        opinion=now.opinion if secret else now.opinion_shown,
        trust_before=before.trust if secret else before.trust_shown, trust=now.trust if secret else now.trust_shown,
        changes=[
            OpinionChange(key=c.key, amount=c.amount, reason=c.reason, event_id=c.event_id)
            for c in feeling.changes if c.secret == secret
        ],
        secret=secret,
    )  # fmt: skip


def _tension_changed(book: Book, pair: Pair, between: Between, secret: bool) -> TensionChanged:
    """Tension is felt by all, whatever it comes from; of secret reasons the two alone are told."""
    return TensionChanged(
        low_id=pair[0], high_id=pair[1], before=between.before.tension_now(book.now),
        tension=between.relation.tension_now(book.now),
        reasons=[TensionReason(reason=r, amount=amount) for r, amount, hidden in between.reasons if hidden == secret],
        secret=secret,
    )  # fmt: skip


def _status_changed(pair: Pair, between: Between) -> StatusChanged:
    return StatusChanged(
        low_id=pair[0], high_id=pair[1], before=between.before.status, status=between.relation.status,
        reason=between.status_reason, truce_until=between.relation.truce_until,
    )  # fmt: skip


# -- rows ----------------------------------------------------------------------------------------------------


def _pair(row: Any) -> Pair:
    return row["low_id"], row["high_id"]


def _relation(row: Any) -> Relation:
    return Relation(row["tension"], row["tension_at"], row["status"], row["status_since"], row["truce_until"])


def modifier_of(row: Any) -> Modifier:
    """A modifier of an opinion from a row of `opinions`."""
    return Modifier(
        row["id"], row["key"], row["reason"], row["amount"], row["at"], row["half_life_days"],
        row["event_id"], row["capped"], row["secret"],
    )  # fmt: skip


# -- timers --------------------------------------------------------------------------------------------------


async def end_truces(tx: Transaction, timers: Sequence[Timer]) -> None:
    """Truces that run out together become what the feelings between the two factions make of them."""
    pairs = [(UUID(timer.data["low_id"]), UUID(timer.data["high_id"])) for timer in timers]
    book = await relations_book(tx, pairs)
    for pair in sorted(set(pairs)):
        relation = book.relation(*pair)
        if relation.status == "truce" and not relation.truce_holds(tx.now):
            book.end_truce(*pair)
    await write(tx, book)


# -- commands ------------------------------------------------------------------------------------------------


async def set_relation(tx: Transaction, command: SetRelation) -> views.RelationView:
    """Say what stands between two factions."""
    book = await relations_book(tx, [(command.a_id, command.b_id)])
    _set(book, command.a_id, command.b_id, command)
    await write(tx, book)
    return views.relation_view(book, command.a_id, command.b_id, sees=views.EVERYTHING)


async def set_relations(tx: Transaction, command: SetRelations) -> dict[str, int]:
    """Say what stands between many factions, all or nothing."""
    book = await relations_book(tx, [(value.a_id, value.b_id) for value in command.relations])
    for value in command.relations:
        _set(book, value.a_id, value.b_id, value)
        for opinion in value.opinions:
            _opine(book, value.a_id, value.b_id, opinion, keeping=True)
        for opinion in value.opinions_back:
            _opine(book, value.b_id, value.a_id, opinion, keeping=True)
    await write(tx, book)
    return {"relations": len(command.relations)}


async def add_opinion(tx: Transaction, command: AddOpinion) -> views.RelationView:
    """Give a faction a reason to think well or badly of another."""
    book = await relations_book(tx, [(command.holder_id, command.about_id)])
    _opine(book, command.holder_id, command.about_id, command)
    await write(tx, book)
    return views.relation_view(book, command.holder_id, command.about_id, sees=views.EVERYTHING)


async def drop_opinion(tx: Transaction, command: DropOpinion) -> views.RelationView:
    """Take a reason out of what a faction thinks of another."""
    book = await relations_book(tx, [(command.holder_id, command.about_id)])
    if not book.forget(command.holder_id, command.about_id, command.key, command.reason):
        raise OPINION_NOT_FOUND(key=command.key)
    await write(tx, book)
    return views.relation_view(book, command.holder_id, command.about_id, sees=views.EVERYTHING)


def _set(book: Book, a: UUID, b: UUID, wanted: RelationFields) -> None:
    """Put into a book what is wished for between two factions. Refuses `truce_until_wrong`."""
    if wanted.tension is not None:
        book.tense(a, b, wanted.tension - book.tension(a, b), wanted.reason)
    if wanted.trust is not None:
        book.set_trust(a, b, wanted.trust, wanted.reason)
    if wanted.trust_back is not None:
        book.set_trust(b, a, wanted.trust_back, wanted.reason)
    if wanted.status is None and wanted.truce_until is None:
        return
    relation = book.relation(a, b)
    status, until = wanted.status or relation.status, wanted.truce_until
    if until is not None and (until <= book.now or status == "war"):
        raise TRUCE_UNTIL_WRONG(now=book.now, status=status)
    if until is None:
        until = relation.truce_until
        if status == "truce" and not relation.truce_holds(book.now):
            until = book.now + round(TRUCE_DAYS * DAY)
    book.put(a, b, status, wanted.reason, until)


def _opine(book: Book, holder: UUID, about: UUID, opinion: OpinionFields, *, keeping: bool = False) -> None:
    book.opine(
        holder, about, opinion.key, opinion.amount, opinion.reason, opinion.half_life_days,
        cap=opinion.cap, secret=opinion.secret, keeping=keeping,
    )  # fmt: skip
