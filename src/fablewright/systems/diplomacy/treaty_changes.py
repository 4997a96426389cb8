"""What changes treaties that all have signed: agreements to end, suspend or renew them, and parties that leave."""

from typing import Any
from uuid import UUID

from fablewright.core.system import Handler
from fablewright.core.transaction import Transaction
from fablewright.systems.diplomacy.treaties import ENDS, LEAVES, STARTS, set_due
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
    TreatySuspended,
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


async def close(
    tx: Transaction, treaty: TreatyState, state: str, reason: str, event: type[TreatyEvent] = TreatyTerminated
) -> None:
    """End a treaty that stood; the caller saves it."""
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
    """A party agrees to a change; whether all do now."""
    await factions.may(tx, command.faction_id, command.character_id, "sign_treaty")
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


def pause(tx: Transaction, treaty: TreatyState, reason: str, by_id: UUID | None = None) -> None:
    """Let a treaty rest; the caller saves it."""
    treaty.state = "suspended"
    for clause in treaty.clauses:
        clause.due_at = None
    tell(tx, TreatySuspended, treaty, by_id, reason=reason)


async def terminate(tx: Transaction, command: TerminateTreaty) -> dict[str, Any]:
    """Agree to end a treaty."""
    treaty, all_agree = await _agree(tx, command, "terminate", "signed", *LIVE)
    if all_agree:
        await close(tx, treaty, "terminated", "by agreement")
    await save(tx, treaty)
    return answer(treaty)


async def renew(tx: Transaction, command: RenewTreaty) -> dict[str, Any]:
    """Agree to let a treaty run for its duration once more."""
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
            await leave(tx, treaty, party)
    await save(tx, treaty)
    return answer(treaty)


async def leave(tx: Transaction, treaty: TreatyState, party: PartyState) -> None:
    """A party is out of a treaty, with the clauses that name it; the caller saves it."""
    party.withdrawn_at = tx.now
    tell(tx, PartyWithdrawn, treaty, faction_id=party.faction_id)
    if len(treaty.members) < 2:
        await close(tx, treaty, "withdrawn", "too few parties are left")
        return
    for clause in treaty.clauses:
        if party.faction_id in clause.clause.factions() and clause.ended_at is None:
            clause.ended_at, clause.due_at = tx.now, None


async def reveal(tx: Transaction, command: RevealTreaty) -> dict[str, Any]:
    """Let all know of a secret treaty."""
    treaty = await get(tx, command.treaty_id)
    if not treaty.secret:
        raise TREATY_NOT_OPEN("The treaty is no secret.", state=treaty.state)
    treaty.secret = False
    tell(tx, TreatyRevealed, treaty, clauses=treaty.terms(), how=command.how)
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
