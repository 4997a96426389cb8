"""What changes treaties that all have signed: agreements to end, suspend or renew them, and parties that leave."""

from collections.abc import Iterable
from itertools import combinations, permutations
from typing import Any, Final
from uuid import UUID

from fablewright.core.system import Handler
from fablewright.core.transaction import Transaction
from fablewright.systems.diplomacy.relations import Book
from fablewright.systems.diplomacy.rules import drifts_to, warmth
from fablewright.systems.diplomacy.service import relations_book
from fablewright.systems.diplomacy.service import write as write_relations
from fablewright.systems.diplomacy.treaties import ENDS, LEAVES, STARTS, move, pause, set_due
from fablewright.systems.diplomacy.treaty_commands import (
    TREATY_NOT_OPEN,
    RenewTreaty,
    RevealTreaty,
    SuspendTreaty,
    TerminateTreaty,
    WithdrawFromTreaty,
)
from fablewright.systems.diplomacy.treaty_events import (
    PartyWithdrawn,
    TreatyAgreed,
    TreatyEvent,
    TreatyRenewed,
    TreatyResumed,
    TreatyRevealed,
    TreatyTerminated,
    WithdrawalAnnounced,
)
from fablewright.systems.diplomacy.treaty_states import (
    LIVE,
    PartyState,
    TreatyState,
    answer,
    get,
    save,
    tell,
)
from fablewright.systems.factions import service as factions

# Pairs that another alliance binds.
STILL_ALLIED: Final = """
SELECT p.low_id, p.high_id FROM unnest($3::uuid[], $4::uuid[]) AS p (low_id, high_id)
WHERE EXISTS (
    SELECT 1 FROM treaties t
    JOIN treaty_parties a ON a.world_id = $1 AND a.treaty_id = t.id AND a.faction_id = p.low_id
    JOIN treaty_parties b ON b.world_id = $1 AND b.treaty_id = t.id AND b.faction_id = p.high_id
    WHERE t.world_id = $1 AND t.id <> $2 AND t.kind = 'alliance' AND t.state = 'in_force' AND NOT t.secret
      AND a.withdrawn_at IS NULL AND b.withdrawn_at IS NULL)
"""


def bonds(treaty: TreatyState, leaving: UUID | None = None) -> list[tuple[UUID, UUID]]:
    """Whom a treaty makes allies: all its parties, or one that leaves and the others. Lower ids first."""
    if treaty.kind != "alliance" or treaty.secret or treaty.state not in LIVE:
        return []
    return [pair for pair in combinations(sorted(treaty.members), 2) if leaving is None or leaving in pair]


async def book_of(tx: Transaction, treaties: Iterable[TreatyState]) -> Book:
    """The relations that may change when these treaties end; open it before the treaties are locked."""
    return await relations_book(tx, {pair for treaty in treaties for pair in bonds(treaty)})


async def _part(
    tx: Transaction, treaty: TreatyState, pairs: list[tuple[UUID, UUID]], book: Book, reason: str
) -> None:
    """Those who are allies by no other treaty become what they feel; the caller writes the book."""
    pairs = [pair for pair in pairs if pair in book.between and book.status(*pair) == "allied"]
    if not pairs:
        return
    lows, highs = [low for low, _ in pairs], [high for _, high in pairs]
    still = {tuple(row) for row in await tx.fetch(STILL_ALLIED, tx.world_id, treaty.id, lows, highs)}
    for a, b in pairs:
        if (a, b) not in still:
            warm = warmth(book.opinion(a, b), book.opinion(b, a), book.tension(a, b))
            book.move(a, b, drifts_to("neutral", warm), f"{treaty.name}: {reason}")


async def close(
    tx: Transaction, treaty: TreatyState, state: str, reason: str, event: type[TreatyEvent] = TreatyTerminated,
    *, book: Book | None = None,
) -> None:  # fmt: skip
    """End a treaty that stood; the caller saves it, and writes the book of `book_of` if there is one."""
    if book is not None:
        await _part(tx, treaty, bonds(treaty), book, reason)
    treaty.state, treaty.closed_at, treaty.reason = state, tx.now, reason
    for clause in treaty.clauses:
        if clause.ended_at is None:
            clause.ended_at, clause.due_at = tx.now, None
    for kind in (STARTS, ENDS, LEAVES):
        await tx.cancel_timers(kind, treaty_id=str(treaty.id))
    if event is TreatyTerminated:
        tell(tx, TreatyTerminated, treaty, reason=reason)
    else:
        tell(tx, event, treaty)


async def _agree(
    tx: Transaction, command: SuspendTreaty | TerminateTreaty | RenewTreaty, change: str, *states: str
) -> tuple[TreatyState, bool]:
    """A party agrees to a change; whether all do now. The caller has asked who may sign."""
    treaty = await get(tx, command.treaty_id)
    party = treaty.party(command.faction_id)
    treaty.require(*states)
    party.agrees = change
    members = [treaty.parties[f] for f in treaty.members]
    missing = [p.faction_id for p in members if p.agrees != change]
    tell(
        tx, TreatyAgreed, treaty, command.character_id, faction_id=command.faction_id, change=change,
        missing=missing,
    )  # fmt: skip
    if not missing:
        for p in members:
            p.agrees = None
    return treaty, not missing


async def suspend(tx: Transaction, command: SuspendTreaty) -> dict[str, Any]:
    """Agree to let a treaty rest, or go on."""
    await factions.may(tx, command.faction_id, command.character_id, "sign_treaty")
    change, state = ("resume", "suspended") if command.resume else ("suspend", "in_force")
    treaty, all_agree = await _agree(tx, command, change, state)
    if all_agree and command.resume:
        treaty.state = "in_force"
        tell(tx, TreatyResumed, treaty, command.character_id)
        await set_due(tx, treaty)
    elif all_agree:
        pause(tx, treaty, "by agreement", command.character_id)
    await save(tx, treaty)
    return answer(treaty)


async def terminate(tx: Transaction, command: TerminateTreaty) -> dict[str, Any]:
    """Agree to end a treaty."""
    await factions.may(tx, command.faction_id, command.character_id, "sign_treaty")
    book = await book_of(tx, [await get(tx, command.treaty_id, lock=False)])
    treaty, all_agree = await _agree(tx, command, "terminate", "signed", *LIVE)
    if all_agree:
        await close(tx, treaty, "terminated", "by agreement", book=book)
    await write_relations(tx, book)
    await save(tx, treaty)
    return answer(treaty)


async def renew(tx: Transaction, command: RenewTreaty) -> dict[str, Any]:
    """Agree to let a treaty run for its duration once more."""
    await factions.may(tx, command.faction_id, command.character_id, "sign_treaty")
    treaty, all_agree = await _agree(tx, command, "renew", *LIVE)
    if all_agree:
        await prolong(tx, treaty)
    await save(tx, treaty)
    return answer(treaty)


async def prolong(tx: Transaction, treaty: TreatyState) -> None:
    """Let a treaty run for its duration once more; the caller saves it. One without end stays so."""
    if treaty.duration_ms is not None and treaty.ends_at is not None:
        treaty.ends_at += treaty.duration_ms
        await tx.cancel_timers(ENDS, treaty_id=str(treaty.id))
        await tx.schedule(ENDS, max(treaty.ends_at, tx.now), {"treaty_id": str(treaty.id)})
    tell(tx, TreatyRenewed, treaty, ends_at=treaty.ends_at)


async def withdraw(tx: Transaction, command: WithdrawFromTreaty) -> dict[str, Any]:
    """Leave a treaty when its notice is over."""
    await factions.may(tx, command.faction_id, command.character_id, "sign_treaty")
    book = await book_of(tx, [await get(tx, command.treaty_id, lock=False)])
    treaty = await get(tx, command.treaty_id)
    party = treaty.party(command.faction_id)
    treaty.require("signed", *LIVE)
    if party.leaves_at is None:
        party.leaves_at = tx.now + treaty.notice_ms
        tell(
            tx, WithdrawalAnnounced, treaty, command.character_id, faction_id=party.faction_id,
            leaves_at=party.leaves_at,
        )  # fmt: skip
        if treaty.notice_ms:
            data = {"treaty_id": str(treaty.id), "faction_id": str(party.faction_id)}
            await tx.schedule(LEAVES, party.leaves_at, data)
        else:
            await leave(tx, treaty, party, book)
    await write_relations(tx, book)
    await save(tx, treaty)
    return answer(treaty)


async def leave(tx: Transaction, treaty: TreatyState, party: PartyState, book: Book | None = None) -> None:
    """A party is out of a treaty, with the clauses that name it; the caller saves it, and writes the book."""
    if book is not None:
        await _part(tx, treaty, bonds(treaty, party.faction_id), book, "one has left it")
    tell(tx, PartyWithdrawn, treaty, faction_id=party.faction_id)  # the last that it hears of a secret treaty
    party.withdrawn_at = tx.now
    if len(treaty.members) < 2:
        await close(tx, treaty, "withdrawn", "too few parties are left")
        return
    for clause in treaty.clauses:
        if party.faction_id in clause.clause.factions() and clause.ended_at is None:
            clause.ended_at, clause.due_at = tx.now, None


async def reveal(tx: Transaction, command: RevealTreaty) -> dict[str, Any]:
    """Let all know of a secret treaty, of what its parties think for it, and of the allies that it has made."""
    seen = await get(tx, command.treaty_id, lock=False)
    book = await relations_book(tx, combinations(seen.parties, 2))
    treaty = await get(tx, command.treaty_id)
    if not treaty.secret:
        raise TREATY_NOT_OPEN("The treaty is no secret.", state=treaty.state)
    treaty.secret = False
    told = tell(tx, TreatyRevealed, treaty, clauses=treaty.terms(), how=command.how)
    for holder, about in permutations(treaty.parties, 2):
        for key in ("treaty", "breach", "accused"):
            book.reveal(holder, about, f"{key}:{treaty.id}")
    for a, b in combinations(treaty.members, 2) if treaty.state == "in_force" else ():
        move(book, treaty, a, b)
    await write_relations(tx, book, causes=dict.fromkeys(book.pairs, told))
    await save(tx, treaty)
    return answer(treaty)


HANDLERS = (
    Handler(WithdrawFromTreaty, one=withdraw),
    Handler(SuspendTreaty, one=suspend),
    Handler(TerminateTreaty, one=terminate),
    Handler(RenewTreaty, one=renew),
    Handler(RevealTreaty, one=reveal),
)
"""Who changes treaties."""
