"""What diplomatic acts do to the people who do them: their ties, and what the world says of them.

A following reaction notes the acts, and a timer lets them tell on the people at the next full hour of the world, all
acts of that hour in one commit: so nobody who signs waits for ties to be written, and characters are locked first, as
they must be. Who acts is the character that did it, or else the leader of its faction. Locks: characters, ties,
reputations.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any, Final
from uuid import UUID

import orjson

from fablewright.core import log
from fablewright.core.clock import HOUR
from fablewright.core.messages import Catalogue, Event
from fablewright.core.system import Reaction, TimerKind
from fablewright.core.transaction import EventRecord, Timer, Transaction
from fablewright.systems.characters import service as characters
from fablewright.systems.diplomacy import bearing
from fablewright.systems.diplomacy.bearing import Deed, Said
from fablewright.systems.diplomacy.nego_events import NegotiationEnded
from fablewright.systems.diplomacy.person_events import EVENTS as EVENTS  # noqa: PLC0414  brought by this part
from fablewright.systems.diplomacy.person_events import PersonsMoved, TieMoved
from fablewright.systems.diplomacy.treaty_events import (
    BreachAlleged,
    TreatyInForce,
    TreatyViolated,
    ViolationMended,
)
from fablewright.systems.diplomacy.war_events import (
    BattleFought,
    CallAnswered,
    CoalitionFormed,
    CoalitionJoined,
    IncidentAnswered,
    IncidentOccurred,
    IncidentResolved,
    PeaceMade,
    SanctionImposed,
    UltimatumIssued,
    UltimatumWithdrawn,
    WarDeclared,
)
from fablewright.systems.relationships import service as ties
from fablewright.systems.relationships.rules import STRANGERS, Reason, TieState, moved_by

TELL: Final = "diplomacy.acts_tell"
"""Timers of this kind let acts tell on people; their data names the events."""
FORCED: Final = ("tribute", "vassalage")
"""Kinds of treaties that nobody likes another for."""
HIDDEN_WORDS: Final = "what they had to do with each other"
"""What a tie says of an act that only those know who had part in it."""

LEADERS: Final = """
SELECT id, leader_id FROM factions WHERE world_id = $1 AND id = ANY($2::uuid[]) AND leader_id IS NOT NULL
"""
SIGNERS: Final = """
SELECT treaty_id, faction_id, signed_by FROM treaty_parties
WHERE world_id = $1 AND treaty_id = ANY($2::uuid[]) AND signed_by IS NOT NULL
"""
EVENTS_OF: Final = f"SELECT {log.COLUMNS} FROM events WHERE world_id = $1 AND id = ANY($2::uuid[])"  # noqa: S608
PEEK: Final = (
    "SELECT id, said::text AS said FROM reputations WHERE world_id = $1 AND id = ANY($2::uuid[]) ORDER BY id"
)
LOAD: Final = f"{PEEK} FOR NO KEY UPDATE"
WRITE: Final = """
INSERT INTO reputations (world_id, id, said) SELECT $1, v.id, v.said::jsonb
FROM unnest($2::uuid[], $3::text[]) AS v (id, said) ORDER BY v.id
ON CONFLICT (world_id, id) DO UPDATE SET said = excluded.said
"""


# -- whose act it was ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cast:
    """Who leads factions, and who signed treaties for which party."""

    leaders: Mapping[UUID, UUID]
    signers: Mapping[UUID, Mapping[UUID, UUID]]

    def who(self, faction_id: UUID | None, by_id: UUID | None = None) -> UUID | None:
        """Who acts for a faction: the one named, or its leader."""
        return by_id or (None if faction_id is None else self.leaders.get(faction_id))


@dataclass(frozen=True, slots=True)
class _Act:
    """An act before it is known who stands for the factions: `doer` and `others` are factions."""

    kind: str
    doer: UUID | None
    others: tuple[UUID | None, ...]
    words: str
    by_id: UUID | None = None
    weight: float = 1.0


Read = Callable[[Any], list[_Act]]


def _answered(e: IncidentAnswered) -> list[_Act]:
    kinds = {
        "apology": ("apologised", "apologised"), "reparation": ("paid", "made reparation"),
        "denial": ("denied", "denied what was plain"), "retaliation": ("struck_back", "struck back"),
    }  # fmt: skip
    if e.answer not in kinds:
        return []
    kind, words = kinds[e.answer]
    return [_Act(kind, e.accused_id, (e.injured_id,), words, e.by_id)]


def _occurred(e: IncidentOccurred) -> list[_Act]:
    # Who leads the accused answers for it, not who reported it.
    weight = 2 * e.severity * e.evidence
    return [_Act("wronged", e.accused_id, (e.injured_id,), f"is blamed for {_words(e.kind)}", weight=weight)]


def _resolved(e: IncidentResolved) -> list[_Act]:
    if e.state != "settled":
        return []
    return [_Act("forgave", e.injured_id, (e.accused_id,), f"let {_words(e.kind)} rest", e.by_id)]


def _called(e: CallAnswered) -> list[_Act]:
    if e.come:
        return [_Act("came_to_help", e.faction_id, (e.caller_id,), "came when called to arms", e.by_id)]
    if e.excused or not e.bound:
        return []
    return [_Act("stayed_away", e.faction_id, (e.caller_id,), "did not come when called to arms", e.by_id)]


def _fought(e: BattleFought) -> list[_Act]:
    if e.winner_id is None:
        return []
    loser = e.enemy_id if e.winner_id == e.faction_id else e.faction_id
    by_id = e.by_id if e.winner_id == e.faction_id else None
    return [_Act("won", e.winner_id, (loser,), "won a battle", by_id)]


def _declared(e: WarDeclared) -> list[_Act]:
    weight = max(0.2, 1.4 - e.legitimacy)
    return [_Act("attacked", e.attacker_id, (e.defender_id,), f"began {e.name}", e.by_id, weight)]


def _ended(e: NegotiationEnded) -> list[_Act]:
    if e.state != "walked_out":
        return []
    others = tuple(i for i in e.party_ids if i != e.faction_id)
    return [_Act("left_the_table", e.faction_id, others, "walked out of talks", e.by_id)]


def _words(kind: str) -> str:
    return f"the {kind.replace('_', ' ')}"


READ: Final[Mapping[type[Event], Read]] = {
    TreatyViolated: lambda e: (
        [_Act("broke_word", e.faction_id, tuple(e.victim_ids), f"broke {e.name}")] if e.confirmed else []
    ),
    ViolationMended: lambda e: [
        _Act("made_good", e.faction_id, tuple(i for i in e.party_ids if i != e.faction_id), f"made good on {e.name}")
    ],
    BreachAlleged: lambda e: (
        [] if e.founded
        else [_Act("accused_falsely", e.accuser_id, (e.faction_id,), "accused without evidence", e.by_id)]
    ),
    IncidentOccurred: _occurred, IncidentAnswered: _answered, IncidentResolved: _resolved,
    UltimatumIssued: lambda e: [_Act("threatened", e.issuer_id, (e.target_id,), "sent an ultimatum", e.by_id)],
    UltimatumWithdrawn: lambda e: [
        _Act("backed_down", e.issuer_id, (e.target_id,), "backed down from an ultimatum", e.by_id)
    ],
    SanctionImposed: lambda e: [
        _Act("sanctioned", e.faction_id, (e.target_id,), f"imposed {_words(e.kind)}", e.by_id)
    ],
    WarDeclared: _declared, CallAnswered: _called, BattleFought: _fought, NegotiationEnded: _ended,
    PeaceMade: lambda e: [
        _Act("made_peace", a, (b,), "made peace") for a, b in permutations((e.attacker_id, e.defender_id), 2)
    ],
    CoalitionFormed: lambda e: [_Act("stood_against", e.faction_id, (e.target_id,), "formed a coalition", e.by_id)],
    CoalitionJoined: lambda e: [_Act("stood_against", e.faction_id, (e.target_id,), "joined a coalition", e.by_id)],
}  # fmt: skip
"""What events tell of whom; treaties in force are read by their signers."""
NOTED: Final[Catalogue[Event]] = Catalogue((TreatyInForce, *READ))


def deeds_of(record: EventRecord, cast: Cast) -> list[Deed]:
    """What characters did to each other, as an event tells it."""
    event, event_id = record.event, UUID(int=record.id.int)  # the driver's own kind of id cannot become JSON
    secret = bool(getattr(event, "secret", False))
    if isinstance(event, TreatyInForce):
        if event.kind in FORCED:
            return []
        signed = cast.signers.get(event.treaty_id, {})
        people = [who for i in event.party_ids if (who := cast.who(i, signed.get(i))) is not None]
        return [
            Deed("signed", one, tuple(p for p in people if p != one), f"signed {event.name}", event_id, 1.0, secret)
            for one in dict.fromkeys(people) if len(set(people)) > 1
        ]  # fmt: skip
    found: list[Deed] = []
    for act in READ[type(event)](event):
        doer = cast.who(act.doer, act.by_id)
        others = {who for i in act.others if (who := cast.who(i)) is not None and who != doer}
        if doer is not None and others:
            found.append(
                Deed(act.kind, doer, tuple(sorted(others)), act.words[:200], event_id, act.weight, secret)
            )
    return found


async def _cast(tx: Transaction, records: Sequence[EventRecord]) -> Cast:
    about = {i for record in records for i in record.about}
    leaders = {row["id"]: row["leader_id"] for row in await tx.fetch(LEADERS, tx.world_id, sorted(about))}
    treaties = sorted({r.event.treaty_id for r in records if isinstance(r.event, TreatyInForce)})
    signers: dict[UUID, dict[UUID, UUID]] = defaultdict(dict)
    for row in await tx.fetch(SIGNERS, tx.world_id, treaties) if treaties else ():
        signers[row["treaty_id"]][row["faction_id"]] = row["signed_by"]
    return Cast(leaders, signers)


# -- noting and telling --------------------------------------------------------------------------------------


async def led(tx: Transaction, records: list[EventRecord]) -> list[EventRecord]:
    """Those of the events that are no history brought in, and whose factions have people who lead them."""
    records = [r for r in records if not getattr(r.event, "imported", False)]
    rows = await tx.fetch(LEADERS, tx.world_id, sorted({i for r in records for i in r.about}))
    leading = {row["id"] for row in rows}
    return [r for r in records if len(leading.intersection(r.about)) > 1]


async def note(tx: Transaction, records: list[EventRecord]) -> None:
    """Let these acts tell on the people at the next full hour."""
    due_at = (tx.now // HOUR + 1) * HOUR
    await tx.schedule(TELL, due_at, {"event_ids": [str(record.id) for record in records]})


async def tell(tx: Transaction, timers: list[Timer]) -> None:
    """Let all acts of an hour change ties and reputations, in the order in which they happened."""
    ids = sorted({UUID(i) for timer in timers for i in timer.data["event_ids"]})
    rows = await tx.fetch(EVENTS_OF, tx.world_id, ids)
    records = [r for row in sorted(rows, key=lambda r: r["seq"]) if (r := log.decode(row, NOTED)) is not None]
    cast = await _cast(tx, records)
    deeds = [(record, deed) for record in records for deed in deeds_of(record, cast)]
    living = await characters.load(tx, {i for _, deed in deeds for i in (deed.doer, *deed.others)})
    deeds = [
        (record, replace(deed, others=others)) for record, deed in deeds
        if deed.doer in living and (others := tuple(i for i in deed.others if i in living))
    ]  # fmt: skip
    felt = await ties.load(tx, [(other, deed.doer) for _, deed in deeds for other in deed.others])
    said = await reputations(tx, [deed.doer for _, deed in deeds])
    for record, deed in deeds:
        moved = [_feel(felt, deed, other, tx.now) for other in deed.others]
        before, after = _say(said, deed, tx.now)
        secret_of = list(getattr(record.event, "party_ids", ())) if deed.secret else []
        tx.emit(
            PersonsMoved(
                character_id=deed.doer, kind=deed.kind, words=deed.words, ties=moved, secret_of=secret_of,
                reputation_before=before, reputation=after,
            ),
            cause=record,
        )  # fmt: skip
    await ties.write(tx, {(o, deed.doer): felt[o, deed.doer] for _, deed in deeds for o in deed.others})
    changed = {deed.doer for _, deed in deeds} & said.keys()
    if changed:
        await tx.execute(WRITE, tx.world_id, sorted(changed), [_json(said[i]) for i in sorted(changed)])


def _feel(felt: dict[ties.Pair, TieState], deed: Deed, other: UUID, now: int) -> TieMoved:
    """Let one of the others feel otherwise about who did it."""
    pair, does = (other, deed.doer), bearing.scaled(deed)
    before = felt.get(pair, replace(STRANGERS, felt_at=now)).now(now)
    # Ties and their reasons are shown to all: of what is secret they say nothing.
    reason = Reason(now, HIDDEN_WORDS) if deed.secret else Reason(now, deed.words, event_id=deed.event_id)
    after = moved_by(
        before, now, strength=does.strength, trust=does.trust, familiarity=does.familiarity, reason=reason
    )
    felt[pair] = after
    return TieMoved(
        source_id=other, target_id=deed.doer, strength=after.strength, trust=after.trust,
        by_strength=after.strength - before.strength, by_trust=after.trust - before.trust,
    )  # fmt: skip


def _say(said: dict[UUID, tuple[Said, ...]], deed: Deed, now: int) -> tuple[float | None, float | None]:
    """Let the world say something of who did it; the reputation before and after, or nothing."""
    amount = bearing.scaled(deed).reputation
    if abs(amount) < bearing.LEAST:
        return None, None
    had = said.get(deed.doer, ())
    said[deed.doer] = bearing.with_said(had, Said(now, amount, deed.words, deed.event_id))
    return bearing.reputation(had, now), bearing.reputation(said[deed.doer], now)


async def reputations(tx: Transaction, ids: Iterable[UUID]) -> dict[UUID, tuple[Said, ...]]:
    """What is said of those characters of whom something is, locked; see `bearing.reputation`."""
    wanted = sorted(set(ids))
    rows = await tx.fetch(LOAD, tx.world_id, wanted) if wanted else []
    return {row["id"]: said_of(row["said"]) for row in rows}


async def reputation(tx: Transaction, character_id: UUID) -> float:
    """What the world thinks of a character now (-100..100), not locked."""
    row = await tx.fetchrow(PEEK, tx.world_id, [character_id])
    return 0.0 if row is None else bearing.reputation(said_of(row["said"]), tx.now)


def said_of(text: str) -> tuple[Said, ...]:
    """What is said, from its JSON."""
    return tuple(
        Said(s["at"], s["amount"], s["why"], UUID(s["event_id"]) if s["event_id"] else None)
        for s in orjson.loads(text)
    )


def _json(said: Sequence[Said]) -> str:
    return orjson.dumps(
        [{"at": s.at, "amount": s.amount, "why": s.why, "event_id": s.event_id} for s in said]
    ).decode()


FOLLOWING = (Reaction("diplomacy.note_acts", (TreatyInForce, *READ), note, led),)
TIMERS = (TimerKind(TELL, tell),)
