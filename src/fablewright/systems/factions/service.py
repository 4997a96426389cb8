"""What the commands about factions do. Higher systems reach factions through this module.

Locks, in this order: characters, regions, memberships, factions, accounts of the ledger.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Final
from uuid import UUID

import orjson

from fablewright.core.transaction import Transaction
from fablewright.systems.characters import service as characters
from fablewright.systems.factions import members as membership
from fablewright.systems.factions import roster, rules
from fablewright.systems.factions.commands import (
    MOST_FACTIONS,
    ChangeFaction,
    DissolveFaction,
    FoundFaction,
    Muster,
    SetStrength,
)
from fablewright.systems.factions.events import (
    Changed,
    Dissolved,
    Founded,
    MemberTold,
    ReputationChanged,
    StrengthChanged,
    TraitsTold,
)
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
from fablewright.systems.factions.rules import ACTS, RULER, Faction, FactionTraits, Member, Power, PowerPart
from fablewright.systems.factions.treasury import Payment, balances, bequeath, pay, pay_all
from fablewright.systems.factions.views import FactionView, faction_view, powers
from fablewright.systems.ledger import service as ledger
from fablewright.systems.ledger.rules import CURRENCY_NOT_FOUND
from fablewright.systems.regions import service as regions

__all__ = [
    "ACTS", "Faction", "FactionTraits", "Member", "Payment", "Power", "PowerPart", "allegiance", "balances", "bequeath",
    "judge", "judge_all", "load", "load_all", "may", "may_each", "members", "memberships", "pay", "pay_all", "powers",
    "principals", "require", "strengthen",
]  # fmt: skip

INSERT: Final = """
INSERT INTO factions (world_id, id, name, kind, description, color, leader_id, ideology, traits, currency, roles, ranks,
    capital_id, self_run, reputation, reputation_at, strength, founded_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
"""
UPDATE: Final = """
UPDATE factions SET name = $3, kind = $4, description = $5, color = $6, ideology = $7, traits = $8, currency = $9,
    roles = $10, ranks = $11, capital_id = $12, self_run = $13
WHERE world_id = $1 AND id = $2
"""
SEATED: Final = "SELECT id FROM factions WHERE world_id = $1 AND capital_id = ANY($2::uuid[])"
DISSOLVE: Final = "UPDATE factions SET dissolved_at = $3, leader_id = NULL WHERE world_id = $1 AND id = $2"
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
    await _write_strengths(tx, [(found[i], f) for i, f in changed.items()], reason)


async def _write_strengths(
    tx: Transaction, changed: Sequence[tuple[Faction, Faction]], reason: str, by_id: UUID | None = None
) -> None:
    """Store how many troops factions (before, after) have, and tell of it."""
    if not changed:
        return
    after = [f for _, f in changed]
    await tx.execute(WRITE_STRENGTHS, tx.world_id, [f.id for f in after], [f.strength for f in after])
    for before, now in changed:
        tx.emit(
            StrengthChanged(
                faction_id=now.id, strength=now.strength, previous=before.strength, reason=reason, by_id=by_id
            )
        )


# -- commands ------------------------------------------------------------------------------------------------


async def found_faction(tx: Transaction, command: FoundFaction) -> FactionView:
    """Bring a faction into the world, with its members and its treasury."""
    asked = _members_asked(command)
    living = await characters.load(tx, asked)
    faction = Faction(
        command.id or tx.new_id(), command.name, command.kind, command.description, command.color,
        command.leader_id, command.ideology, FactionTraits(**command.traits.model_dump()), command.currency,
        rules.complete_roles(command.roles), tuple(command.ranks), command.capital_id, command.self_run,
        command.reputation, tx.now, command.strength,
        tx.now if command.founded_at is None else min(tx.now, command.founded_at),
    )  # fmt: skip
    await _check_new(tx, faction)
    membership.check_can_join(living, await memberships(tx, asked), list(asked))
    new = [_new_member(tx, faction, i, rank, role) for i, (rank, role) in asked.items()]
    await _insert(tx, faction)
    await membership.join(tx, faction.id, new)
    tx.emit(
        Founded(
            **_portrait(faction), leader_id=faction.leader_id, reputation=faction.reputation,
            strength=faction.strength, founded_at=faction.founded_at,
            members=[MemberTold(character_id=m.character_id, rank=m.rank, role=m.role) for m in new],
        )
    )  # fmt: skip
    if command.treasury:
        reason = "What it was founded with."
        await pay(
            tx, ledger.MINT, faction.id, command.treasury, kind="factions.founding", reason=reason,
            currency=faction.currency,
        )  # fmt: skip
    return faction_view(faction, tx.now)


async def change_faction(tx: Transaction, command: ChangeFaction) -> FactionView:
    """Change what a faction is; what stays the same is told to nobody."""
    belonging = (await members(tx, [command.faction_id], lock=True))[command.faction_id]
    before = (await require(tx, [command.faction_id]))[command.faction_id]
    after = _changed(before, command)
    if after == before:
        return faction_view(before, tx.now)
    rules.check_vocabulary(after, belonging)
    if after.name != before.name:
        await _check_name(tx, after)
    await _check_references(
        tx, after.capital_id if after.capital_id != before.capital_id else None,
        after.currency if after.currency != before.currency else None,
    )  # fmt: skip
    await tx.execute(UPDATE, tx.world_id, after.id, *_values(after))
    changed = [f for f in CHANGEABLE if getattr(after, f) != getattr(before, f)]
    tx.emit(Changed(**_portrait(after), changed=changed))
    return faction_view(after, tx.now)


async def lose_capitals(tx: Transaction, region_ids: Iterable[UUID]) -> None:
    """Factions whose capital is no more have none. The regions are locked already, and come before factions."""
    gone = set(region_ids)
    rows = await tx.fetch(SEATED, tx.world_id, sorted(gone))
    found = (await load(tx, [row["id"] for row in rows])).values() if rows else ()
    for before in [f for f in found if f.capital_id in gone and f.dissolved_at is None]:
        after = replace(before, capital_id=None)
        await tx.execute(UPDATE, tx.world_id, after.id, *_values(after))
        tx.emit(Changed(**_portrait(after), changed=["capital_id"]))


async def dissolve_faction(tx: Transaction, command: DissolveFaction) -> None:
    """End a faction: regions and treasury go to the heir, its members are free."""
    faction_id, heir_id = command.faction_id, command.heir_id
    if command.character_id is None:
        roster.check_masterly(tx.request, "dissolve")
    if heir_id == faction_id:
        raise rules.HEIR_IS_ITSELF(faction_id=str(faction_id))
    held = await tx.fetch(HELD, tx.world_id, faction_id)
    for row in held:
        await regions.set_control(tx, row["id"], heir_id, reason="Who held it was dissolved.")
    gone = (await members(tx, [faction_id], lock=True))[faction_id]
    found = await require(tx, [faction_id, *([heir_id] if heir_id else [])])
    faction = found[faction_id]
    if command.character_id is not None:
        own = next((m for m in gone if m.character_id == command.character_id), None)
        rules.check_belongs(faction, own, command.character_id)
        rules.check_leader(faction, command.character_id)
    await tx.execute(DISSOLVE, tx.world_id, faction_id, tx.now)
    reason, by_id = command.reason, command.character_id
    tx.emit(Dissolved(faction_id=faction_id, name=faction.name, reason=reason, heir_id=heir_id, by_id=by_id))
    await membership.end(tx, gone, "dissolved", reason=reason)
    await bequeath(tx, faction, heir_id, by_id)


async def set_strength(tx: Transaction, command: SetStrength) -> FactionView:
    """Say how many troops a faction has."""
    before = (await require(tx, [command.faction_id]))[command.faction_id]
    await strengthen(tx, {before.id: command.strength}, command.reason)
    return faction_view(replace(before, strength=command.strength), tx.now)


async def muster(tx: Transaction, command: Muster) -> FactionView:
    """Raise troops, beside those that the faction has by now, and pay for them."""
    await may(tx, command.faction_id, command.character_id, "muster")
    before = (await require(tx, [command.faction_id]))[command.faction_id]
    after = rules.mustered(before, command.troops)
    await pay(
        tx, before.id, ledger.SINK, command.troops * rules.TROOP_COST, kind="factions.muster",
        reason=command.reason, currency=before.currency, by_id=command.character_id,
    )  # fmt: skip
    await _write_strengths(tx, [(before, after)], command.reason, command.character_id)
    return faction_view(after, tx.now)


# -- helpers -------------------------------------------------------------------------------------------------

CHANGEABLE: Final = (
    "name", "kind", "description", "color", "ideology", "traits", "currency", "roles", "ranks", "capital_id",
    "self_run",
)  # fmt: skip
"""What `ChangeFaction` may change, in the order of `_values`."""
HELD: Final = (
    "SELECT id FROM regions WHERE world_id = $1 AND controller_id = $2 AND removed_at IS NULL ORDER BY id"
)


def _members_asked(command: FoundFaction) -> dict[UUID, tuple[str | None, str | None]]:
    """By character, the rank and the role that it shall have; the leader is the ruler."""
    asked = {m.character_id: (m.rank, m.role) for m in command.members}
    if command.leader_id is not None:
        rank, role = asked.get(command.leader_id, (None, None))
        if role not in (None, RULER):
            raise rules.ROLE_IS_THE_LEADERS()
        asked[command.leader_id] = (rank or command.ranks[0], RULER)
    return asked


def _new_member(
    tx: Transaction, faction: Faction, character_id: UUID, rank: str | None, role: str | None
) -> Member:
    rank = rank or faction.ranks[-1]
    rules.check_rank(faction, rank)
    if character_id != faction.leader_id:
        rules.check_role(faction, role)
    return Member(tx.new_id(), faction.id, character_id, rank, role, tx.now)


async def _check_new(tx: Transaction, faction: Faction) -> None:
    """Whether there may be this faction. Refuses `faction_exists`, `too_many_factions` and what it refers to."""
    if await load(tx, [faction.id], lock=False):
        raise rules.FACTION_EXISTS(faction_id=str(faction.id))
    many = await tx.fetchval(
        "SELECT count(*) FROM factions WHERE world_id = $1 AND dissolved_at IS NULL", tx.world_id
    )
    if many >= MOST_FACTIONS:
        raise rules.TOO_MANY_FACTIONS(most=MOST_FACTIONS)
    await _check_name(tx, faction)
    await _check_references(tx, faction.capital_id, faction.currency)


async def _check_name(tx: Transaction, faction: Faction) -> None:
    other = await tx.fetchval(
        "SELECT id FROM factions WHERE world_id = $1 AND name = $2 AND dissolved_at IS NULL AND id <> $3",
        tx.world_id, faction.name, faction.id,
    )  # fmt: skip
    if other is not None:
        raise rules.FACTION_NAME_TAKEN(name=faction.name, faction_id=str(other))


async def _check_references(tx: Transaction, capital: UUID | None, currency: str | None) -> None:
    """Whether a new capital and a new currency exist. Refuses `region_not_found`, `currency_not_found`."""
    if capital is not None and capital not in await regions.regions(tx, [capital]):
        raise rules.REGION_NOT_FOUND(region_id=str(capital))
    if currency is not None and currency not in await ledger.currencies(tx):
        raise CURRENCY_NOT_FOUND(currency=currency)


def _changed(faction: Faction, command: ChangeFaction) -> Faction:
    """A faction as it shall be; what is not said stays."""
    plain = ("name", "kind", "description", "color", "ideology", "currency", "capital_id", "self_run")
    new: dict[str, Any] = {f: getattr(command, f) for f in plain if getattr(command, f) is not None}
    if command.remove_capital:
        new["capital_id"] = None
    if command.traits is not None:
        new["traits"] = FactionTraits(**command.traits.model_dump())
    if command.roles is not None:
        new["roles"] = rules.complete_roles(command.roles)
    if command.ranks is not None:
        new["ranks"] = tuple(command.ranks)
    return replace(faction, **new)


def _values(f: Faction) -> Sequence[Any]:
    """Its values in the order of `CHANGEABLE`."""
    return (
        f.name, f.kind, f.description, f.color, _json(dict(f.ideology)), _json(asdict(f.traits)), f.currency,
        _json({role: list(acts) for role, acts in f.roles.items()}), list(f.ranks), f.capital_id, f.self_run,
    )  # fmt: skip


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


async def _insert(tx: Transaction, f: Faction) -> None:
    name, kind, description, color, *rest = _values(f)
    await tx.execute(
        INSERT, tx.world_id, f.id, name, kind, description, color, f.leader_id, *rest, f.reputation,
        f.reputation_at, f.strength, f.founded_at,
    )  # fmt: skip


def _portrait(f: Faction) -> dict[str, Any]:
    """The fields that events about a faction share."""
    return {
        "faction_id": f.id, "name": f.name, "kind": f.kind, "description": f.description, "color": f.color,
        "ideology": dict(f.ideology), "traits": TraitsTold(**asdict(f.traits)), "currency": f.currency,
        "roles": {role: list(acts) for role, acts in f.roles.items()}, "ranks": list(f.ranks),
        "capital_id": f.capital_id, "self_run": f.self_run,
    }  # fmt: skip
