"""What the commands about factions do. Higher systems reach factions through this module.

Locks, in this order: characters, regions, memberships, factions, accounts of the ledger.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from fablewright.core.transaction import Transaction
from fablewright.systems.factions import rules
from fablewright.systems.factions.events import ReputationChanged, StrengthChanged
from fablewright.systems.factions.roster import (
    allegiance,
    load,
    load_all,
    may,
    may_each,
    members,
    memberships,
    principals,
    require,
)
from fablewright.systems.factions.rules import ACTS, Faction, FactionTraits, Member, Power, PowerPart
from fablewright.systems.factions.treasury import Payment, balances, pay, pay_all
from fablewright.systems.factions.views import powers

__all__ = [
    "ACTS", "Faction", "FactionTraits", "Member", "Payment", "Power", "PowerPart", "allegiance", "balances", "judge",
    "judge_all", "load", "load_all", "may", "may_each", "members", "memberships", "pay", "pay_all", "powers",
    "principals", "require", "strengthen",
]  # fmt: skip

WRITE_REPUTATIONS: Final = """
UPDATE factions f SET reputation = v.reputation, reputation_at = v.at
FROM unnest($2::uuid[], $3::float8[], $4::bigint[]) AS v (id, reputation, at)
WHERE f.world_id = $1 AND f.id = v.id
"""
WRITE_STRENGTHS: Final = """
UPDATE factions f SET strength = v.strength FROM unnest($2::uuid[], $3::float8[]) AS v (id, strength)
WHERE f.world_id = $1 AND f.id = v.id
"""


# -- for higher systems --------------------------------------------------------------------------------------


async def judge(tx: Transaction, faction_id: UUID, delta: float, reason: str) -> float:
    """Let the world think better (or worse) of a faction; its reputation (-100..100) afterwards.

    Of one that is unknown or was dissolved nobody thinks anything. It locks the faction.
    """
    return (await judge_all(tx, {faction_id: (delta, reason)})).get(faction_id, 0.0)


async def judge_all(tx: Transaction, judgements: Mapping[UUID, tuple[float, str]]) -> dict[UUID, float]:
    """`judge` for many at once: by faction, by how much and why. Returns the reputations afterwards."""
    found = await load(tx, judgements)
    changed: dict[UUID, Faction] = {}
    for faction_id, faction in found.items():
        delta, reason = judgements[faction_id]
        if faction.dissolved_at is not None or not delta:
            continue
        before, after = faction.reputation_now(tx.now), rules.judged(faction, delta, tx.now)
        changed[faction_id] = after
        tx.emit(
            ReputationChanged(
                faction_id=faction_id, reputation=after.reputation, previous=before,
                delta=after.reputation - before, reason=reason,
            )
        )  # fmt: skip
    if changed:
        await tx.execute(
            WRITE_REPUTATIONS, tx.world_id, list(changed), [f.reputation for f in changed.values()],
            [f.reputation_at for f in changed.values()],
        )  # fmt: skip
    return {
        faction_id: (changed.get(faction_id) or f).reputation_now(tx.now) for faction_id, f in found.items()
    }


async def strengthen(tx: Transaction, strengths: Mapping[UUID, float], reason: str) -> None:
    """Say how many troops (>= 0) factions have from now on, such as after a battle. It locks them."""
    found = await load(tx, strengths)
    changed = {
        i: replace(f, strength=max(0.0, strengths[i])) for i, f in found.items()
        if f.dissolved_at is None and f.strength != max(0.0, strengths[i])
    }  # fmt: skip
    if not changed:
        return
    await tx.execute(WRITE_STRENGTHS, tx.world_id, list(changed), [f.strength for f in changed.values()])
    for faction_id, faction in changed.items():
        _tell_strength(tx, found[faction_id], faction.strength, reason)


def _tell_strength(tx: Transaction, before: Faction, strength: float, reason: str) -> None:
    fields: dict[str, Any] = {"strength": strength, "previous": before.strength, "reason": reason}
    tx.emit(StrengthChanged(faction_id=before.id, **fields))
