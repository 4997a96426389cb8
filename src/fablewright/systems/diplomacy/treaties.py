"""What the commands about treaties do: draft, sign, bring into force, change, end.

Locks, in this order: memberships and factions, accounts, relations, treaties. Who signs last pays what is due at once
and moves relations, so it locks these before the treaty; and whoever signs locks the parties, so that each knows
whether it is the last.
"""

from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations
from math import fsum
from typing import Any, Final
from uuid import UUID

from fablewright.core.clock import DAY
from fablewright.core.refusal import Refused
from fablewright.core.system import Handler
from fablewright.core.transaction import Transaction
from fablewright.systems.diplomacy import clauses as rules
from fablewright.systems.diplomacy.clauses import ClauseBase, Custom, HandOver, Pay
from fablewright.systems.diplomacy.relations import Book
from fablewright.systems.diplomacy.service import relations_book
from fablewright.systems.diplomacy.service import write as write_relations
from fablewright.systems.diplomacy.treaty_commands import (
    ALREADY_SIGNED,
    AMOUNT_NOT_COVERED,
    CLAUSE_NAMES_NOBODY,
    DATES_WRONG,
    DRAFT_CHANGED,
    MOST_DRAFTS,
    NOT_A_PARTY,
    PARTY_DISSOLVED,
    TOO_MANY_DRAFTS,
    TREATY_EXISTS,
    ChangeDraft,
    ProposeTreaty,
    RejectTreaty,
    SignTreaty,
    TreatyFields,
)
from fablewright.systems.diplomacy.treaty_events import (
    TreatyDrafted,
    TreatyInForce,
    TreatyRejected,
    TreatySigned,
    TreatySuspended,
)
from fablewright.systems.diplomacy.treaty_states import (
    OPEN,
    ClauseState,
    PartyState,
    TreatyState,
    answer,
    get,
    save,
    tell,
)
from fablewright.systems.factions import service as factions
from fablewright.systems.factions.rules import FACTION_NOT_FOUND
from fablewright.systems.factions.service import Payment

PAYMENTS: Final = "diplomacy.treaty_dues"
"""Timers of this kind execute all clauses that are due; one per time.

Of what is due at one time they come before `treaty_ends` and `treaty_party_leaves`, since kinds fire in the order of
their names: so what falls due on the last day of a treaty is paid.
"""
STARTS: Final = "diplomacy.treaty_starts"
ENDS: Final = "diplomacy.treaty_ends"
LEAVES: Final = "diplomacy.treaty_party_leaves"
LAPSES: Final = "diplomacy.treaty_draft_lapses"
DRAFT_DAYS: Final = 365
"""World days after which a draft lapses that not all have signed."""

PAID: Final = "diplomacy.treaty"
"""The kind of transfers that clauses make."""
WORTH: Final = {"alliance": 20.0, "defence_pact": 15.0, "peace": 10.0, "trade": 10.0}
"""What a treaty adds to the opinions of its parties; 5 for the others."""
DEEDS: Final = ("peace", "ceasefire", "alliance")
"""Kinds that do something by themselves, whatever their clauses."""
MOST_WORTH: Final = 40.0
"""What all treaties of two together add to the opinion of one of them at most."""

INSERT: Final = """
WITH treaty AS (
    INSERT INTO treaties (world_id, id, name, kind, text, state, secret, starts_at, duration_ms, renews, notice_ms,
                          grace_ms, on_breach, proposer_id, by_id, at)
    VALUES ($1, $2, $3, $4, $5, 'draft', $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
    ON CONFLICT (world_id, id) DO NOTHING RETURNING id
), parties AS (
    INSERT INTO treaty_parties (world_id, treaty_id, faction_id)
    SELECT $1, treaty.id, f FROM treaty, unnest($16::uuid[]) AS f ORDER BY f
), clauses AS (
    INSERT INTO treaty_clauses (world_id, treaty_id, id, number, type, terms)
    SELECT $1, treaty.id, v.* FROM treaty, unnest($17::uuid[], $18::int[], $19::text[], $20::jsonb[]) AS v
)
SELECT count(*) FROM treaty
"""
INSERT_PARTIES: Final = """
INSERT INTO treaty_parties (world_id, treaty_id, faction_id) SELECT $1, $2, f FROM unnest($3::uuid[]) AS f ORDER BY f
"""
INSERT_CLAUSES: Final = """
INSERT INTO treaty_clauses (world_id, treaty_id, id, number, type, terms)
SELECT $1, $2, v.* FROM unnest($3::uuid[], $4::int[], $5::text[], $6::jsonb[]) AS v
"""
REWRITE: Final = """
UPDATE treaties SET name = $3, kind = $4, text = $5, state = 'draft', secret = $6, starts_at = $7, duration_ms = $8,
    renews = $9, notice_ms = $10, grace_ms = $11, on_breach = $12, draft = $13
WHERE world_id = $1 AND id = $2
"""
TIMER_THERE: Final = "SELECT 1 FROM timers WHERE world_id = $1 AND kind = $2 AND due_at = $3 LIMIT 1"
WAITING: Final = """
SELECT count(*) FROM treaties
WHERE world_id = $1 AND state IN ('draft', 'signed_partly') AND proposer_id = $2 AND by_id IS NOT NULL
"""
NAMED: Final = """
SELECT id FROM regions WHERE world_id = $1 AND id = ANY($2::uuid[]) AND removed_at IS NULL
UNION ALL SELECT id FROM characters WHERE world_id = $1 AND id = ANY($3::uuid[])
UNION ALL SELECT id FROM factions WHERE world_id = $1 AND id = ANY($4::uuid[]) AND dissolved_at IS NULL
"""


# -- drafting ------------------------------------------------------------------------------------------------


async def check_terms(tx: Transaction, asked: TreatyFields, *, over: bool = False) -> None:
    """Whether these can be the terms of a treaty. One that is `over` may have parties that are no more.

    Refuses `faction_not_found`, `party_dissolved`, `clause_names_no_party`, `clauses_contradict`.
    """
    found = await factions.load(tx, asked.parties, lock=False)
    for faction_id in asked.parties:
        if faction_id not in found:
            raise FACTION_NOT_FOUND(faction_id=str(faction_id))
        if found[faction_id].dissolved_at is not None and not over:
            raise PARTY_DISSOLVED(faction_id=str(faction_id))
    rules.check(asked.clauses, asked.parties)


async def _check_new(tx: Transaction, asked: TreatyFields) -> None:
    """Whether these can be the terms of a treaty that is agreed on now; one of the past may name who is no more.

    Refuses what `check_terms` does, and `clause_names_nobody`, `dates_wrong`.
    """
    await check_terms(tx, asked)
    await check_named(tx, asked.clauses)
    if asked.starts_at is not None and asked.starts_at < tx.now:
        raise DATES_WRONG(f"It is {tx.now} in the world.", now=tx.now)


async def check_named(tx: Transaction, clauses: Iterable[ClauseBase]) -> None:
    """Whether the regions, characters and other factions are there that clauses name. Refuses `clause_names_nobody`."""
    named: dict[str, set[UUID]] = {
        "region_id": set(),
        "character_id": set(),
        "with_id": set(),
        "against_id": set(),
    }
    for clause in clauses:
        for name, ids in named.items():
            if (id_ := getattr(clause, name, None)) is not None:
                ids.add(id_)
    regions, characters, *others = named.values()
    wanted = regions | characters | set().union(*others)
    if not wanted:
        return
    asked = [sorted(regions), sorted(characters), sorted(set().union(*others))]
    found = {row["id"] for row in await tx.fetch(NAMED, tx.world_id, *asked)}
    if missing := wanted - found:
        raise CLAUSE_NAMES_NOBODY(ids=sorted(map(str, missing)))


async def draft(
    tx: Transaction,
    asked: TreatyFields,
    proposer_id: UUID | None,
    by_id: UUID | None,
    treaty_id: UUID | None = None,
    duration_ms: int | None = None,
) -> TreatyState:
    """Store a draft that was checked, and tell of it. Refuses `treaty_exists`."""
    if asked.duration_days is not None:
        duration_ms = asked.duration_days * DAY
    treaty = TreatyState(
        treaty_id or tx.new_id(), asked.name, asked.kind, asked.text, "draft", asked.secret, asked.starts_at,
        duration_ms, None, asked.renews,
        asked.notice_days * DAY, asked.grace_days * DAY, asked.on_breach, proposer_id, by_id, tx.now,
    )  # fmt: skip
    treaty.parties = {f: PartyState(f) for f in sorted(asked.parties)}
    made = await tx.fetchval(
        INSERT, tx.world_id, treaty.id, treaty.name, treaty.kind, treaty.text, treaty.secret, treaty.starts_at,
        treaty.duration_ms, treaty.renews, treaty.notice_ms, treaty.grace_ms, treaty.on_breach, proposer_id, by_id,
        tx.now, list(treaty.parties), *_clauses(tx, treaty, asked),
    )  # fmt: skip
    if not made:
        raise TREATY_EXISTS(treaty_id=str(treaty.id))
    tell(tx, TreatyDrafted, treaty, by_id, faction_id=proposer_id, **treaty.drafted())
    return treaty


def _clauses(tx: Transaction, treaty: TreatyState, asked: TreatyFields) -> tuple[list[Any], ...]:
    """Give a treaty the clauses asked for; their columns, to be stored."""
    treaty.clauses = [ClauseState(tx.new_id(), n, c) for n, c in enumerate(asked.clauses, 1)]
    return (
        [c.id for c in treaty.clauses], [c.number for c in treaty.clauses],
        [c.clause.type for c in treaty.clauses], [c.clause.model_dump_json() for c in treaty.clauses],
    )  # fmt: skip


async def propose(tx: Transaction, command: ProposeTreaty) -> dict[str, Any]:
    """Draft a treaty for others to sign."""
    if command.faction_id not in command.parties:
        raise NOT_A_PARTY(faction_id=str(command.faction_id))
    await factions.may(tx, command.faction_id, command.character_id, "propose_treaty")
    # What nobody has proposed as a member (a game master, talks that came to an agreement) is not counted.
    if (
        command.character_id is not None
        and await tx.fetchval(WAITING, tx.world_id, command.faction_id) >= MOST_DRAFTS
    ):
        raise TOO_MANY_DRAFTS(most=MOST_DRAFTS)
    await _check_new(tx, command)
    treaty = await draft(tx, command, command.faction_id, command.character_id, command.id)
    await _let_lapse(tx, treaty)
    return answer(treaty)


async def _let_lapse(tx: Transaction, treaty: TreatyState) -> None:
    """Let a draft lapse if not all sign it in time; those of one day lapse together."""
    await tx.schedule(
        LAPSES, next_due(tx, tx.now, DRAFT_DAYS), {"treaty_id": str(treaty.id), "draft": treaty.draft}
    )


async def change_draft(tx: Transaction, command: ChangeDraft) -> dict[str, Any]:
    """Say anew what a draft says. Signatures given so far are void. Who changes it stays a party."""
    if command.faction_id not in command.parties:
        raise NOT_A_PARTY(faction_id=str(command.faction_id))
    await factions.may(tx, command.faction_id, command.character_id, "propose_treaty")
    treaty = await get(tx, command.treaty_id)
    treaty.party(command.faction_id)
    treaty.require(*OPEN)
    await _check_new(tx, command)
    for table in ("treaty_clauses", "treaty_parties"):
        await tx.execute(
            f"DELETE FROM {table} WHERE world_id = $1 AND treaty_id = $2",  # noqa: S608  fixed names only
            tx.world_id, treaty.id,
        )  # fmt: skip
    duration = None if command.duration_days is None else command.duration_days * DAY
    treaty = replace(
        treaty, draft=treaty.draft + 1, name=command.name, kind=command.kind, text=command.text,
        secret=command.secret, state="draft", parties={f: PartyState(f) for f in sorted(command.parties)},
        starts_at=command.starts_at, duration_ms=duration, renews=command.renews,
        notice_ms=command.notice_days * DAY, grace_ms=command.grace_days * DAY, on_breach=command.on_breach,
    )  # fmt: skip
    await tx.execute(
        REWRITE, tx.world_id, treaty.id, treaty.name, treaty.kind, treaty.text, treaty.secret, treaty.starts_at,
        treaty.duration_ms, treaty.renews, treaty.notice_ms, treaty.grace_ms, treaty.on_breach, treaty.draft,
    )  # fmt: skip
    await tx.execute(INSERT_PARTIES, tx.world_id, treaty.id, list(treaty.parties))
    await tx.execute(INSERT_CLAUSES, tx.world_id, treaty.id, *_clauses(tx, treaty, command))
    tell(
        tx, TreatyDrafted, treaty, command.character_id, faction_id=command.faction_id, changed=True,
        **treaty.drafted(),
    )  # fmt: skip
    await _let_lapse(tx, treaty)
    return answer(treaty)


# -- signing -------------------------------------------------------------------------------------------------


async def sign(tx: Transaction, command: SignTreaty) -> dict[str, Any]:
    """Sign for a party; with the last signature the treaty comes into force."""
    await factions.may(tx, command.faction_id, command.character_id, "sign_treaty")
    seen = await get(tx, command.treaty_id, lock=False)
    seen.party(command.faction_id)
    await factions.load(tx, seen.parties)
    # Read again: who signed in the meantime held the parties, too.
    seen = await get(tx, command.treaty_id, lock=False)
    book: Book | None = None
    if seen.state in OPEN and set(seen.missing()) <= {command.faction_id}:
        book = await _prepare(tx, seen)
    treaty = await get(tx, command.treaty_id)
    party = treaty.party(command.faction_id)
    if party.signed_at is not None:
        raise ALREADY_SIGNED(faction_id=str(command.faction_id), state=treaty.state)
    treaty.require(*OPEN)
    if {seen.draft, command.draft or treaty.draft} != {treaty.draft}:
        raise DRAFT_CHANGED(draft=treaty.draft)
    party.signed_at, party.signed_by = tx.now, command.character_id
    missing = treaty.missing()
    treaty.state = "signed_partly" if missing else "signed"
    tell(tx, TreatySigned, treaty, command.character_id, faction_id=command.faction_id, missing=missing)
    if not missing:
        await _agreed(tx, treaty, book or await _prepare(tx, treaty))
    await save(tx, treaty)
    return answer(treaty)


async def _prepare(tx: Transaction, treaty: TreatyState) -> Book:
    """Lock what a treaty moves when it comes into force, and pay what is due at once.

    Refuses `party_dissolved`, `amount_not_covered`.
    """
    found = await factions.load(tx, treaty.members, lock=True)
    for faction_id in treaty.members:
        if faction_id not in found or found[faction_id].dissolved_at is not None:
            raise PARTY_DISSOLVED(faction_id=str(faction_id))
    if treaty.starts_at is None or treaty.starts_at <= tx.now:
        await pay_at_once(tx, treaty)
    return await relations_book(tx, combinations(treaty.members, 2))


def _once(treaty: TreatyState) -> list[tuple[ClauseState, Pay]]:
    """The clauses that still ask for a sum once, at the start."""
    return [
        (c, c.clause) for c in treaty.clauses
        if c.binding and isinstance(c.clause, Pay) and c.clause.every_days is None
    ]  # fmt: skip


async def pay_at_once(tx: Transaction, treaty: TreatyState) -> None:
    """Pay the sums that are due once. Refuses `amount_not_covered`, without saying what a treasury holds."""
    payments = [payment(clause, state.id, treaty.name, 0) for state, clause in _once(treaty)]
    for asked, made in zip(payments, await factions.pay_all(tx, payments) if payments else [], strict=True):
        if isinstance(made, Refused):
            raise AMOUNT_NOT_COVERED(
                f"{asked.amount} {asked.currency} cannot be paid.", code=made.code, from_id=str(asked.from_id),
                amount=asked.amount, currency=asked.currency,
            )  # fmt: skip


def payment(clause: Pay, clause_id: UUID, name: str, due_at: int) -> Payment:
    """The payment that a clause asks for at a time; its reference lets it be made once."""
    return Payment(
        clause.from_id,
        clause.to_id,
        clause.amount,
        PAID,
        name,
        f"treaty:{clause_id}:{due_at}",
        clause.currency,
    )


async def _agreed(tx: Transaction, treaty: TreatyState, book: Book) -> None:
    """All have signed: it begins, now or when it is to."""
    treaty.agreed_at = tx.now
    if treaty.starts_at is not None and treaty.starts_at > tx.now:
        await tx.schedule(STARTS, treaty.starts_at, {"treaty_id": str(treaty.id)})
    else:
        await begin(tx, treaty, book)


async def begin(tx: Transaction, treaty: TreatyState, book: Book) -> None:
    """Let a treaty, whose sums were paid, bind from now on; the caller saves it. It writes the book of relations.

    One that was signed after it was to start begins now, and runs for its whole duration.
    """
    treaty.starts_at = tx.now
    for state, _ in _once(treaty):
        state.done_at = tx.now
    await bind(tx, treaty)
    for a, b in combinations(treaty.members, 2):
        for holder, about in ((a, b), (b, a)):
            if (worth := _worth(treaty, book, holder, about)) > 0:
                words = f"signed {treaty.name}"
                book.opine(holder, about, f"treaty:{treaty.id}", worth, words, secret=treaty.secret)
        move(book, treaty, a, b)
    await write_relations(tx, book)


def _worth(treaty: TreatyState, book: Book, holder: UUID, about: UUID) -> float:
    """How much better a party thinks of another for a treaty: not for words alone, and of many not for all.

    What is public is not reckoned with what is secret: it would tell of that.
    """
    if treaty.kind not in DEEDS and all(isinstance(c.clause, Custom) for c in treaty.clauses):
        return 0.0
    others = fsum(
        part.amount for part in book.parts(holder, about)
        if part.key.startswith("treaty:") and (treaty.secret or not part.secret)
    )  # fmt: skip
    return min(WORTH.get(treaty.kind, 5.0), MOST_WORTH - others)


async def bind(tx: Transaction, treaty: TreatyState, *, imported: bool = False) -> None:
    """Bring a treaty that has a start into force: what is due, its end, and who is told."""
    assert treaty.starts_at is not None
    treaty.state = "in_force"
    if treaty.duration_ms is not None and treaty.ends_at is None:
        treaty.ends_at = treaty.starts_at + treaty.duration_ms
    if treaty.ends_at is not None:
        await tx.schedule(ENDS, max(treaty.ends_at, tx.now), {"treaty_id": str(treaty.id)})
    tell(
        tx, TreatyInForce, treaty, starts_at=treaty.starts_at, ends_at=treaty.ends_at, clauses=treaty.terms(),
        imported=imported,
    )  # fmt: skip
    await set_due(tx, treaty)


def move(book: Book, treaty: TreatyState, a: UUID, b: UUID) -> None:
    """Let two parties be to each other what the treaty says, if that is one step away.

    That a war is over all see, even if on what terms is a secret.
    """
    status = book.status(a, b)
    if treaty.kind in ("peace", "ceasefire") and status == "war":
        book.move(a, b, "truce", "they have made peace" if treaty.secret else treaty.name)
    elif treaty.kind == "alliance" and not treaty.secret and book.may_move(a, b, "allied") is None:
        book.move(a, b, "allied", treaty.name)


async def set_due(tx: Transaction, treaty: TreatyState) -> None:
    """Say when its clauses are due, and set the timers. Regular sums are paid at midnight, all together."""
    for state in treaty.clauses:
        if not state.binding:
            continue
        if isinstance(state.clause, Pay) and state.clause.every_days is not None:
            state.due_at = next_due(tx, tx.now, state.clause.every_days)
        elif isinstance(state.clause, HandOver):
            state.due_at = tx.now + state.clause.within_days * DAY
    await set_timers(tx, {c.due_at for c in treaty.clauses if c.due_at is not None})


def next_due(tx: Transaction, since: int, every_days: int) -> int:
    """The midnight so many days after the last one up to `since` (world ms)."""
    calendar = tx.world.calendar
    return calendar.day_start(calendar.day_number(since) + every_days)


async def set_timers(tx: Transaction, times: Iterable[int]) -> None:
    """One timer for each of these times, if there is none yet; for those that have passed, one for now."""
    for due_at in sorted({max(due_at, tx.now) for due_at in times}):
        if await tx.fetchval(TIMER_THERE, tx.world_id, PAYMENTS, due_at) is None:
            await tx.schedule(PAYMENTS, due_at)


async def conclude(
    tx: Transaction, asked: TreatyFields, *, proposer_id: UUID | None = None, by_id: UUID | None = None
) -> TreatyState:
    """Make a treaty that all have agreed to already (in a negotiation, by an ultimatum), and bring it into force.

    Refuses what proposing and signing do, but does not ask whether anybody may sign: the caller has.
    """
    await _check_new(tx, asked)
    treaty = await draft(tx, asked, proposer_id, by_id)
    for party in treaty.parties.values():
        party.signed_at = tx.now
    treaty.state = "signed"
    await _agreed(tx, treaty, await _prepare(tx, treaty))
    await save(tx, treaty)
    return treaty


def pause(tx: Transaction, treaty: TreatyState, reason: str, by_id: UUID | None = None) -> None:
    """Let a treaty rest; the caller saves it."""
    treaty.state = "suspended"
    for clause in treaty.clauses:
        clause.due_at = None
    tell(tx, TreatySuspended, treaty, by_id, reason=reason)


async def reject(tx: Transaction, command: RejectTreaty) -> dict[str, Any]:
    """Refuse to sign, or take back a draft: it is closed."""
    await factions.may(tx, command.faction_id, command.character_id, "sign_treaty")
    treaty = await get(tx, command.treaty_id)
    treaty.party(command.faction_id)
    treaty.require(*OPEN)
    treaty.state, treaty.closed_at, treaty.reason = "rejected", tx.now, command.reason
    tell(
        tx, TreatyRejected, treaty, command.character_id, faction_id=command.faction_id, reason=command.reason
    )
    await save(tx, treaty)
    return answer(treaty)


HANDLERS = (
    Handler(ProposeTreaty, one=propose),
    Handler(ChangeDraft, one=change_draft),
    Handler(SignTreaty, one=sign),
    Handler(RejectTreaty, one=reject),
)
"""Who drafts and signs."""
