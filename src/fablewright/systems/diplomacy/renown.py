"""Who knows what a faction did, and what it makes of that; apart from `service`, since it reads what characters say.

A deed (a broken treaty, an ally that does not come) is a fact. Who has part in it or was there knows it; the victims'
envoys tell their friends; all others hear of it only if some character tells one of theirs. So there is a chain of
tellers behind each judgement. Locks, in this order: characters, their minds, relations, treaties.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

import orjson

from fablewright.core import log
from fablewright.core.actors import system_actor
from fablewright.core.clock import DAY
from fablewright.core.messages import Catalogue, Event
from fablewright.core.system import Reaction, TimerKind
from fablewright.core.transaction import EventRecord, Timer, Transaction
from fablewright.systems.characters import service as characters
from fablewright.systems.dialogue.events import Interacted
from fablewright.systems.diplomacy.events import DeedFactor, DeedHeard, Knowing
from fablewright.systems.diplomacy.relations import Book, Pair
from fablewright.systems.diplomacy.rules import (
    ENVOYS,
    GRAVITY,
    SURER,
    DeedKind,
    Judge,
    Judgement,
    judged_by_all,
)
from fablewright.systems.diplomacy.service import peek, relations_book, write
from fablewright.systems.diplomacy.treaty_commands import RevealTreaty
from fablewright.systems.diplomacy.treaty_events import TreatyInForce, TreatyRevealed, TreatyViolated
from fablewright.systems.diplomacy.war_events import CallAnswered
from fablewright.systems.factions import service as factions
from fablewright.systems.memory import service as memory
from fablewright.systems.memory.commands import PlantMemory
from fablewright.systems.memory.events import MemoryPlanted
from fablewright.systems.regions import service as regions

WORD_SPREADS: Final = "diplomacy.word_spreads"
"""Timers of this kind let those learn of a deed who need no rumour; their data names it."""
WORD_TAKES: Final = DAY
"""So long (world ms) after a deed that happens."""
MOST_AT_ONCE: Final = 50
"""So many deeds of the same moment are heard of in one transaction; the others in the next."""
MOST_WITNESSES: Final = 10
"""So many characters who were there remember a deed."""
MOST_CARRIERS: Final = 12
"""So many of those who lead or speak for the factions concerned do."""
MOST_TOLD: Final = 12
"""So many friends of the victims are told by envoys, those who think most of the victims first."""

NOTED: Final[Catalogue[Event]] = Catalogue((TreatyViolated, CallAnswered, TreatyInForce))
"""What deeds come from."""

ADD: Final = """
INSERT INTO deeds (world_id, id, kind, doer_id, victim_ids, party_ids, witness_ids, gravity, words, reference_id,
                   region_id, secret, event_id, at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
"""
DEED: Final = (
    "d.id, d.kind, d.doer_id, d.victim_ids, d.party_ids, d.witness_ids, d.gravity, d.words, d.reference_id, "
    "d.region_id, d.secret, d.event_id, d.at"
)
"""The columns of a `Deed`, in the order of its fields."""
LOAD: Final = f"SELECT {DEED} FROM deeds d WHERE d.world_id = $1 AND d.id = ANY($2::uuid[]) ORDER BY d.id"  # noqa: S608
EXIST: Final = "SELECT id FROM deeds WHERE world_id = $1 AND id = ANY($2::uuid[])"
KNOWN: Final = """
SELECT k.deed_id, k.faction_id, k.certainty, k.opinion
FROM unnest($2::uuid[], $3::uuid[]) AS p (deed_id, faction_id)
JOIN deeds_known k ON k.world_id = $1 AND k.deed_id = p.deed_id AND k.faction_id = p.faction_id
"""
KNOW: Final = """
INSERT INTO deeds_known (world_id, id, deed_id, faction_id, how, certainty, character_id, tellers, opinion, event_id,
                         at)
SELECT $1, v.id, v.deed_id, v.faction_id, v.how, v.certainty, v.character_id, v.tellers::uuid[], v.opinion,
       v.event_id, $2
FROM unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::float8[], $8::uuid[], $9::text[], $10::float8[],
            $11::uuid[])
    AS v (id, deed_id, faction_id, how, certainty, character_id, tellers, opinion, event_id)
ORDER BY v.deed_id, v.faction_id
ON CONFLICT (world_id, deed_id, faction_id) DO UPDATE SET
    how = excluded.how, certainty = excluded.certainty, character_id = excluded.character_id,
    tellers = excluded.tellers, opinion = excluded.opinion, event_id = excluded.event_id, at = excluded.at
"""
FRIENDS: Final = """
SELECT v.id AS victim_id, CASE WHEN r.low_id = v.id THEN r.high_id ELSE r.low_id END AS friend_id
FROM unnest($2::uuid[]) AS v (id)
JOIN relations r ON r.world_id = $1 AND (r.low_id = v.id OR r.high_id = v.id)
WHERE r.status IN ('cordial', 'friendly', 'allied')
"""
SPEAKERS: Final = """
SELECT m.faction_id, m.character_id FROM faction_members m
JOIN factions f ON f.world_id = m.world_id AND f.id = m.faction_id
WHERE m.world_id = $1 AND m.faction_id = ANY($2::uuid[]) AND m.left_at IS NULL
  AND (m.role IS NOT NULL OR f.leader_id = m.character_id)
ORDER BY m.faction_id, f.leader_id IS DISTINCT FROM m.character_id, m.character_id
"""
THERE: Final = """
SELECT w.id FROM places p JOIN whereabouts w ON w.world_id = p.world_id AND w.place_id = p.id AND w.to_id IS NULL
WHERE p.world_id = $1 AND p.region_id = $2 ORDER BY w.id LIMIT $3
"""
OPENED: Final = """
UPDATE deeds SET secret = false WHERE world_id = $1 AND reference_id = ANY($2::uuid[]) AND secret RETURNING id
"""
EVENTS_OF: Final = f"SELECT {log.COLUMNS} FROM events WHERE world_id = $1 AND id = ANY($2::uuid[])"  # noqa: S608


@dataclass(frozen=True, slots=True)
class Done:
    """A deed as it is stored; see `tables.Deed`."""

    id: UUID
    kind: DeedKind
    doer_id: UUID
    victim_ids: list[UUID]
    party_ids: list[UUID]
    witness_ids: list[UUID]
    gravity: float
    words: str
    reference_id: UUID
    region_id: UUID | None
    secret: bool
    event_id: UUID
    at: int


@dataclass(frozen=True, slots=True)
class Hearing:
    """That a faction learns of a deed; fields as in `events.DeedHeard`."""

    deed: Done
    faction_id: UUID
    how: Knowing
    certainty: float
    character_id: UUID | None = None
    tellers: tuple[UUID, ...] = ()
    cause: EventRecord | None = None


# -- deeds ---------------------------------------------------------------------------------------------------


async def deeds_of(tx: Transaction, records: list[EventRecord]) -> list[EventRecord]:
    """Those of the events that tell of a deed."""
    return [r for r in records if (
        (isinstance(r.event, TreatyViolated) and r.event.confirmed)
        or (isinstance(r.event, CallAnswered) and _deserts(r.event))
        or (isinstance(r.event, TreatyInForce) and r.event.secret)
    )]  # fmt: skip


def _deserts(answer: CallAnswered) -> bool:
    """Whether who does not come breaks a promise: it gave one, and nothing keeps it away."""
    return not answer.come and answer.bound and not answer.excused and answer.caller_id is not None


async def note(tx: Transaction, records: list[EventRecord]) -> None:
    """Keep what happened as deeds; a day later those learn of them who need no rumour."""
    deeds: list[Done] = []
    for record in records:
        event = record.event
        if isinstance(event, TreatyViolated):
            region_id = await _where(tx, event.event_id)
            deeds.append(await _done(
                tx, record, "breach", event.faction_id, event.victim_ids, event.party_ids, f"broke {event.name}",
                event.treaty_id, secret=event.secret, region_id=region_id,
            ))  # fmt: skip
        elif isinstance(event, CallAnswered) and event.caller_id is not None:
            deeds.append(await _done(
                tx, record, "desertion", event.faction_id, [event.caller_id], [event.against_id],
                "did not come when called to arms", event.war_id,
            ))  # fmt: skip
        elif isinstance(event, TreatyInForce):
            deeds.append(await _done(
                tx, record, "pact", min(event.party_ids), [], event.party_ids, f"has a secret treaty, {event.name}",
                event.treaty_id, secret=True,
            ))  # fmt: skip
    for d in deeds:
        await tx.execute(
            ADD, tx.world_id, d.id, d.kind, d.doer_id, d.victim_ids, d.party_ids, d.witness_ids, d.gravity, d.words,
            d.reference_id, d.region_id, d.secret, d.event_id, d.at,
        )  # fmt: skip
        await tx.schedule(WORD_SPREADS, tx.now + WORD_TAKES, {"deed_id": str(d.id)})


async def _done(
    tx: Transaction, record: EventRecord, kind: DeedKind, doer_id: UUID, victims: Sequence[UUID],
    parties: Iterable[UUID], words: str, reference_id: UUID, *, secret: bool = False, region_id: UUID | None = None,
) -> Done:  # fmt: skip
    witnesses: list[UUID] = []
    if region_id is not None and not secret:
        witnesses = [row["id"] for row in await tx.fetch(THERE, tx.world_id, region_id, MOST_WITNESSES)]
    return Done(
        tx.new_id(), kind, doer_id, list(victims), sorted(set(parties)), witnesses, GRAVITY[kind], words[:200],
        reference_id, region_id, secret, record.id, tx.now,
    )  # fmt: skip


async def _where(tx: Transaction, event_id: UUID | None) -> UUID | None:
    """The region in which the event that is the evidence happened, if it says so."""
    if event_id is None:
        return None
    data = next((r.data for r in tx.events if r.id == event_id), None)
    if data is None:
        data = await tx.fetchval(
            "SELECT data::text FROM events WHERE world_id = $1 AND id = $2", tx.world_id, event_id
        )
    found = None if data is None else orjson.loads(data).get("region_id")
    return None if found is None else UUID(found)


async def _load(tx: Transaction, ids: Iterable[UUID]) -> dict[UUID, Done]:
    return {row["id"]: Done(*row) for row in await tx.fetch(LOAD, tx.world_id, sorted(set(ids)))}


async def reveal(tx: Transaction, records: list[EventRecord]) -> None:
    """What belongs to a treaty that came to light is a secret no more, and is told to friends."""
    treaties = sorted({r.event.treaty_id for r in records if isinstance(r.event, TreatyRevealed)})
    for row in await tx.fetch(OPENED, tx.world_id, treaties):
        await tx.schedule(WORD_SPREADS, tx.now + WORD_TAKES, {"deed_id": str(row["id"])})


# -- who needs no rumour -------------------------------------------------------------------------------------


async def spread(tx: Transaction, timers: list[Timer]) -> None:
    """Those who had part in deeds, or saw them, remember and judge them, and the victims' envoys tell their friends."""
    for timer in timers[MOST_AT_ONCE:]:
        await tx.schedule(WORD_SPREADS, tx.now, timer.data)
    deeds = await _load(tx, {UUID(timer.data["deed_id"]) for timer in timers[:MOST_AT_ONCE]})
    if not deeds:
        return
    concerned = {f for d in deeds.values() for f in (d.doer_id, *d.victim_ids, *d.party_ids)}
    speakers: dict[UUID, list[UUID]] = defaultdict(list)
    for row in await tx.fetch(SPEAKERS, tx.world_id, sorted(concerned)):
        speakers[row["faction_id"]].append(row["character_id"])
    saw = {who for d in deeds.values() for who in d.witness_ids}
    living = await characters.load(tx, {*saw, *(who for found in speakers.values() for who in found)})
    known = await factions.load(tx, concerned, lock=False)
    events = await _events(tx, [d.event_id for d in deeds.values()])
    names = {faction_id: faction.name for faction_id, faction in known.items()}
    await _remember(tx, deeds.values(), speakers, living, names, events)
    belongs = await factions.memberships(tx, saw & living.keys())
    lands = await regions.regions(tx, {d.region_id for d in deeds.values() if d.region_id is not None})
    holders = {region_id: land.controller_id for region_id, land in lands.items()}
    hearings: list[Hearing] = []
    for deed in deeds.values():
        cause = events.get(deed.event_id)
        hearings += [Hearing(deed, party, "party", 1.0, cause=cause) for party in deed.party_ids]
        hearings += [
            Hearing(deed, belongs[who].faction_id, "saw", 1.0, who, cause=cause)
            for who in deed.witness_ids if who in belongs
        ]  # fmt: skip
        holder = holders.get(deed.region_id) if deed.region_id else None
        if holder is not None and not deed.secret:
            hearings.append(Hearing(deed, holder, "saw", 1.0, cause=cause))
    await judge(tx, [*hearings, *await _told(tx, deeds.values(), speakers, events)])


async def _told(
    tx: Transaction, deeds: Iterable[Done], speakers: Mapping[UUID, Sequence[UUID]], events: Mapping[UUID, EventRecord],
) -> list[Hearing]:  # fmt: skip
    """What envoys tell the friends of the victims, of deeds that are no secret."""
    open_ = [d for d in deeds if not d.secret and d.gravity > 0]
    rows = await tx.fetch(FRIENDS, tx.world_id, sorted({v for d in open_ for v in d.victim_ids}))
    book = await peek(tx, tx.world_id, tx.now, [(row["victim_id"], row["friend_id"]) for row in rows])
    friends: dict[UUID, list[UUID]] = defaultdict(list)
    for row in sorted(rows, key=lambda r: (-book.opinion(r["friend_id"], r["victim_id"]), r["friend_id"])):
        friends[row["victim_id"]].append(row["friend_id"])
    return [
        Hearing(
            deed, friend, "told", ENVOYS, tellers=tuple(speakers.get(victim, ())[:1]),
            cause=events.get(deed.event_id),
        )
        for deed in open_ for victim in deed.victim_ids for friend in friends[victim][:MOST_TOLD]
    ]  # fmt: skip


async def _remember(
    tx: Transaction, deeds: Iterable[Done], speakers: Mapping[UUID, Sequence[UUID]], living: Collection[UUID],
    names: Mapping[UUID, str], events: Mapping[UUID, EventRecord],
) -> None:  # fmt: skip
    """Let those who were there, and who speak for the factions concerned, remember deeds, so that they tell."""
    commands: list[PlantMemory] = []
    causes: list[EventRecord | None] = []
    for deed in deeds:
        sides = (deed.doer_id, *deed.victim_ids, *(p for p in deed.party_ids if deed.secret))
        told_by = [who for side in dict.fromkeys(sides) for who in speakers.get(side, ())][:MOST_CARRIERS]
        # A memory is told if it is about somebody else: the first who speaks for the doer.
        subject = next((who for who in speakers.get(deed.doer_id, ()) if who in living), None)
        if subject is None:
            continue
        text = f"{names.get(deed.doer_id, 'A faction')} {deed.words}."
        for who in dict.fromkeys((*deed.witness_ids, *told_by)):
            if who in living:
                commands.append(PlantMemory(
                    character_id=who, fact_id=deed.id, kind="saw" if who in deed.witness_ids else "knows", text=text,
                    about_ids=[subject], at=deed.at, importance=min(0.9, 0.5 + deed.gravity / 100),
                    valence=-deed.gravity / 100, is_secret=deed.secret,
                ))  # fmt: skip
                causes.append(events.get(deed.event_id))
    if commands:
        await tx.perform(commands, actor=system_actor("diplomacy"), causes=causes)


async def _events(tx: Transaction, ids: Sequence[UUID]) -> dict[UUID, EventRecord]:
    """Events of the log that deeds come from, to put down to them what follows now."""
    rows = await tx.fetch(EVENTS_OF, tx.world_id, sorted(set(ids)))
    return {row["id"]: record for row in rows if (record := log.decode(row, NOTED)) is not None}


# -- rumours -------------------------------------------------------------------------------------------------


def _facts(record: EventRecord) -> list[tuple[UUID, UUID, UUID]]:
    """What was told in an event: (fact, character that has it now, its memory)."""
    event = record.event
    if isinstance(event, Interacted):
        return [(m.fact_id, m.character_id, m.id) for m in event.memories if m.kind == "told"]
    if isinstance(event, MemoryPlanted):
        return [(event.fact_id, event.character_id, event.memory_id)]
    return []


async def concerns(tx: Transaction, records: list[EventRecord]) -> list[EventRecord]:
    """Those of the events in which somebody is told of a deed."""
    told = {fact: record for record in records for fact, _, _ in _facts(record)}
    if not told:
        return []
    found = {row["id"] for row in await tx.fetch(EXIST, tx.world_id, sorted(told))}
    return [record for record in records if any(fact in found for fact, _, _ in _facts(record))]


async def hear(tx: Transaction, records: list[EventRecord]) -> None:
    """What a character is told of a deed its faction knows, as surely as the character; secrets come out so."""
    facts = [(fact, who, held, record) for record in records for fact, who, held in _facts(record)]
    deeds = await _load(tx, {fact for fact, _, _, _ in facts})
    memories = await memory.load(tx, [held for fact, _, held, _ in facts if fact in deeds])
    belongs = await factions.memberships(tx, {who for fact, who, _, _ in facts if fact in deeds})
    hearings: list[Hearing] = []
    out: dict[UUID, tuple[UUID, EventRecord]] = {}
    for fact, who, held, record in facts:
        if fact not in deeds or held not in memories or who not in belongs:
            continue
        deed, state, faction_id = deeds[fact], memories[held], belongs[who].faction_id
        if deed.secret and faction_id not in deed.party_ids:
            out.setdefault(deed.reference_id, (who, record))
            deed = replace(deed, secret=False)
        how: Knowing = "heard" if state.tellers else "saw"
        hearings.append(Hearing(deed, faction_id, how, state.certainty, who, state.tellers, record))
    await judge(tx, hearings)
    heard = await characters.peek(tx, [who for who, _ in out.values()]) if out else {}
    for treaty_id, (who, record) in sorted(out.items()):
        how_ = f"{heard[who].name} heard of it" if who in heard else "somebody heard of it"
        await tx.perform(
            [RevealTreaty(treaty_id=treaty_id, how=how_[:200])],
            actor=system_actor("diplomacy"),
            causes=[record],
        )


# -- judging -------------------------------------------------------------------------------------------------


async def judge(tx: Transaction, hearings: Sequence[Hearing]) -> None:
    """Let factions make of deeds what they do, as far as they are surer of them now than before.

    Neither who did it nor its victims are asked: between them the deed itself has changed what it changes.
    """
    best: dict[tuple[UUID, UUID], Hearing] = {}
    for h in hearings:
        key = h.deed.id, h.faction_id
        if h.faction_id not in (h.deed.doer_id, *h.deed.victim_ids):
            best[key] = h if key not in best or h.certainty > best[key].certainty else best[key]
    if not best:
        return
    rows = await tx.fetch(KNOWN, tx.world_id, [deed for deed, _ in best], [who for _, who in best])
    before = {(row["deed_id"], row["faction_id"]): (row["certainty"], row["opinion"]) for row in rows}
    found = await factions.load(
        tx, {who for _, who in best} | {h.deed.doer_id for h in best.values()}, lock=False
    )
    fresh = [
        h for key, h in sorted(best.items())
        if h.certainty >= before.get(key, (0.0, 0.0))[0] + SURER and found[h.faction_id].dissolved_at is None
        and found[h.deed.doer_id].dissolved_at is None
    ]  # fmt: skip
    near = await peek(tx, tx.world_id, tx.now, [(h.faction_id, v) for h in fresh for v in h.deed.victim_ids])
    book = await relations_book(tx, [(h.faction_id, h.deed.doer_id) for h in fresh])
    causes: dict[Pair, EventRecord] = {}
    told: list[tuple[Hearing, float, UUID]] = []
    for h in fresh:
        sure, cost = before.get((h.deed.id, h.faction_id), (0.0, 0.0))
        made = _judgement(h, near, h.certainty - sure, found[h.faction_id].traits.honourable)
        record = tx.emit(_heard(h, made), cause=h.cause)
        causes[h.faction_id, h.deed.doer_id] = record
        _feel(book, h, made, record)
        told.append((h, cost + made.opinion, record.id))
    await write(tx, book, causes=causes)
    await _write(tx, told)


def _judgement(h: Hearing, near: Book, certainty: float, honourable: float) -> Judgement:
    """What a faction makes of a deed for this much more certainty."""
    judges = [
        Judge(near.opinion(h.faction_id, v), near.status(h.faction_id, v), certainty, honourable)
        for v in h.deed.victim_ids
    ]
    return judged_by_all(judges, h.deed.gravity) if judges else Judgement(0.0, 0.0, 0.0, ())


def _heard(h: Hearing, made: Judgement) -> DeedHeard:
    return DeedHeard(
        deed_id=h.deed.id, faction_id=h.faction_id, doer_id=h.deed.doer_id, victim_ids=h.deed.victim_ids,
        words=h.deed.words, how=h.how, certainty=h.certainty, character_id=h.character_id, tellers=list(h.tellers),
        opinion=made.opinion, parts=[DeedFactor(what=what, factor=factor) for what, factor in made.parts],
        secret=h.deed.secret,
    )  # fmt: skip


def _feel(book: Book, h: Hearing, made: Judgement, record: EventRecord) -> None:
    """Put a judgement into the book."""
    judge_id, doer = h.faction_id, h.deed.doer_id
    words, secret = h.deed.words, h.deed.secret
    if made.opinion:
        book.opine(judge_id, doer, f"deed:{h.deed.id}", made.opinion, words, event=record.id, secret=secret)
    if made.trust:
        book.trust(judge_id, doer, made.trust, words, secret=secret)
    if made.tension:
        book.tense(judge_id, doer, made.tension, words, secret=secret)


async def _write(tx: Transaction, told: Sequence[tuple[Hearing, float, UUID]]) -> None:
    if not told:
        return
    await tx.execute(
        KNOW, tx.world_id, tx.now, [tx.new_id() for _ in told], [h.deed.id for h, _, _ in told],
        [h.faction_id for h, _, _ in told], [h.how for h, _, _ in told], [h.certainty for h, _, _ in told],
        [h.character_id for h, _, _ in told], [f"{{{','.join(map(str, h.tellers))}}}" for h, _, _ in told],
        [opinion for _, opinion, _ in told], [event_id for _, _, event_id in told],
    )  # fmt: skip


EVENTS = (DeedHeard,)
FOLLOWING = (
    Reaction("diplomacy.note_deeds", (TreatyViolated, CallAnswered, TreatyInForce), note, choose=deeds_of),
    Reaction("diplomacy.deeds_come_out", (TreatyRevealed,), reveal),
    Reaction("diplomacy.hear_of_deeds", (Interacted, MemoryPlanted), hear, choose=concerns),
)
TIMERS = (TimerKind(WORD_SPREADS, spread),)
