"""Factions and members as they are found: what every other file of this system begins with.

Memberships are locked before factions, and both in the order of their ids; characters and regions come before them.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final
from uuid import UUID

import orjson

from fablewright.core.transaction import Request, Transaction
from fablewright.systems.characters.service import is_game_master
from fablewright.systems.factions import rules
from fablewright.systems.factions.rules import Faction, FactionTraits, Member

FACTION: Final = (
    "f.id, f.name, f.kind, f.description, f.color, f.leader_id, f.ideology::text AS ideology, "
    "f.traits::text AS traits, f.currency, f.roles::text AS roles, f.ranks, f.capital_id, f.self_run, "
    "f.reputation, f.reputation_at, f.strength, f.founded_at, f.dissolved_at"
)
"""The columns of `faction_of`."""
MEMBER: Final = "m.id, m.faction_id, m.character_id, m.rank, m.role, m.joined_at"
"""The columns of a `Member`, in the order of its fields."""

PEEK: Final = (
    f"SELECT {FACTION} FROM factions f WHERE f.world_id = $1 AND f.id = ANY($2::uuid[]) ORDER BY f.id"  # noqa: S608
)
LOAD: Final = f"{PEEK} FOR NO KEY UPDATE"
ALL: Final = (
    f"SELECT {FACTION} FROM factions f WHERE f.world_id = $1 AND f.dissolved_at IS NULL ORDER BY f.id"  # noqa: S608
)
_OPEN: Final = f"SELECT {MEMBER} FROM faction_members m WHERE m.world_id = $1 AND m.left_at IS NULL"  # noqa: S608
MEMBERSHIPS: Final = f"{_OPEN} AND m.character_id = ANY($2::uuid[]) ORDER BY m.id"
MEMBERS_OF: Final = f"{_OPEN} AND m.faction_id = ANY($2::uuid[]) ORDER BY m.id"
LOCKED: Final = " FOR NO KEY UPDATE"
GOING: Final = f"""
{_OPEN} AND m.id IN (
    SELECT o.id FROM faction_members o
    WHERE o.world_id = $1 AND o.left_at IS NULL AND o.character_id = ANY($2::uuid[])
    UNION SELECT o.id FROM factions f
    JOIN faction_members o ON o.world_id = f.world_id AND o.faction_id = f.id AND o.left_at IS NULL
    WHERE f.world_id = $1 AND f.leader_id = ANY($2::uuid[]))
ORDER BY m.id{LOCKED}
"""  # noqa: S608
# The membership is shared with others who decide on it, and kept from ending until the commit; a dissolved faction
# has none.
MAY: Final = f"""
SELECT {FACTION}, m.id AS membership_id, m.faction_id, m.character_id, m.rank, m.role, m.joined_at
FROM factions f LEFT JOIN LATERAL (
    SELECT {MEMBER} FROM faction_members m
    WHERE m.world_id = f.world_id AND m.faction_id = f.id AND m.character_id = $3 AND m.left_at IS NULL
    FOR SHARE
) m ON true
WHERE f.world_id = $1 AND f.id = $2
"""  # noqa: S608  fixed texts only


def faction_of(row: Any) -> Faction:
    """A faction from a row of `FACTION`."""
    roles = orjson.loads(row["roles"])
    return Faction(
        row["id"], row["name"], row["kind"], row["description"], row["color"], row["leader_id"],
        orjson.loads(row["ideology"]), FactionTraits(**orjson.loads(row["traits"])), row["currency"],
        {role: tuple(acts) for role, acts in roles.items()}, tuple(row["ranks"]), row["capital_id"],
        row["self_run"], row["reputation"], row["reputation_at"], row["strength"], row["founded_at"],
        row["dissolved_at"],
    )  # fmt: skip


# -- factions ------------------------------------------------------------------------------------------------


async def load(tx: Transaction, ids: Iterable[UUID], *, lock: bool = True) -> dict[UUID, Faction]:
    """Those of the factions that exist, dissolved ones too; with `lock` until the commit, in the order of their ids.

    What a rule decides on is locked; without, it is only to choose by. Roles, ranks and names hardly change:
    who asks whether somebody may do something needs no lock, but `may`.
    """
    rows = await tx.fetch(LOAD if lock else PEEK, tx.world_id, sorted(set(ids)))
    return {row["id"]: faction_of(row) for row in rows}


async def require(tx: Transaction, ids: Iterable[UUID], *, lock: bool = True) -> dict[UUID, Faction]:
    """These factions, none of them dissolved. Refuses `faction_not_found`, `faction_dissolved`."""
    wanted = sorted(set(ids))
    found = await load(tx, wanted, lock=lock)
    return {faction_id: rules.check_stands(found.get(faction_id), faction_id) for faction_id in wanted}


async def load_all(tx: Transaction) -> list[Faction]:
    """All factions that were not dissolved, by id, not locked."""
    return [faction_of(row) for row in await tx.fetch(ALL, tx.world_id)]


# -- members -------------------------------------------------------------------------------------------------


async def memberships(
    tx: Transaction, character_ids: Iterable[UUID], *, lock: bool = False
) -> dict[UUID, Member]:
    """By character, to what it belongs; those that belong to nothing are missing. Lock them before factions."""
    wanted = sorted(set(character_ids))
    rows = await tx.fetch(MEMBERSHIPS + (LOCKED if lock else ""), tx.world_id, wanted) if wanted else []
    return {row["character_id"]: Member(*row) for row in rows}


async def going(tx: Transaction, character_ids: Iterable[UUID]) -> dict[UUID, Member]:
    """The memberships of characters that are to go, by character, locked; lock factions after.

    Where one of them leads, all members of its faction are locked with it: one of those will follow.
    """
    wanted = set(character_ids)
    rows = await tx.fetch(GOING, tx.world_id, sorted(wanted))
    return {row["character_id"]: Member(*row) for row in rows if row["character_id"] in wanted}


async def members(
    tx: Transaction, faction_ids: Iterable[UUID], *, lock: bool = False
) -> dict[UUID, list[Member]]:
    """By faction, who belongs to it, by id of the membership; a faction without members has an empty list."""
    wanted = sorted(set(faction_ids))
    found: dict[UUID, list[Member]] = {faction_id: [] for faction_id in wanted}
    for row in await tx.fetch(MEMBERS_OF + (LOCKED if lock else ""), tx.world_id, wanted):
        found[row["faction_id"]].append(Member(*row))
    return found


async def allegiance(tx: Transaction, character_ids: Iterable[UUID]) -> dict[UUID, set[UUID]]:
    """By character, the ids of what it belongs to. Who belongs to nothing is missing."""
    found = await memberships(tx, character_ids)
    return {character_id: {member.faction_id} for character_id, member in found.items()}


async def principals(fetch: Callable[..., Awaitable[Any]], world_id: UUID, user_id: UUID) -> set[UUID]:
    """The factions for which a user may read events: those to which a character belongs that it controls."""
    rows = await fetch(
        "SELECT DISTINCT m.faction_id FROM characters c JOIN faction_members m "
        "ON m.world_id = c.world_id AND m.character_id = c.id AND m.left_at IS NULL "
        "WHERE c.world_id = $1 AND c.user_id = $2",
        world_id, user_id,
    )  # fmt: skip
    return {row["faction_id"] for row in rows}


async def may(
    tx: Transaction, faction_id: UUID, character_id: UUID | None, act: str, *, request: Request | None = None
) -> Faction:
    """The faction, if this character may do this in its name; its membership cannot end before the commit.

    Without a character only game masters and the server itself may (`request`: who asks, in a batch).
    Refuses `faction_not_found`, `faction_dissolved`, `not_a_member`, `role_may_not`, `name_who_acts`.
    """
    row = await tx.fetchrow(MAY, tx.world_id, faction_id, character_id)
    faction = rules.check_stands(None if row is None else faction_of(row), faction_id)
    if character_id is None:
        check_masterly(request or tx.request, act)
    else:
        rules.check_may(faction, _member_of(row), character_id, act)
    return faction


async def may_each(
    tx: Transaction, asked: Sequence[tuple[UUID, UUID | None, str]]
) -> dict[tuple[UUID, UUID | None, str], Faction]:
    """`may` for several (faction, character, act), in the order of the factions."""
    return {key: await may(tx, *key) for key in sorted(set(asked), key=lambda a: (a[0], str(a[1]), a[2]))}


def check_masterly(request: Request, act: str) -> None:
    """Whether this may be asked without naming a character. Refuses `name_who_acts`."""
    if not is_game_master(request):
        raise rules.NAME_WHO_ACTS(act=act)


def _member_of(row: Any) -> Member | None:
    if row["membership_id"] is None:
        return None
    return Member(
        row["membership_id"],
        row["faction_id"],
        row["character_id"],
        row["rank"],
        row["role"],
        row["joined_at"],
    )
