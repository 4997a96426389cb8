"""What is read of factions, their members and their power."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final, Literal
from uuid import UUID

import orjson
from pydantic import Field

from fablewright.core.messages import View
from fablewright.systems.characters.views import CLOCK, world_now
from fablewright.systems.factions.commands import TraitsValue
from fablewright.systems.factions.roster import FACTION, faction_of
from fablewright.systems.factions.rules import Faction, Holding, Member, Power, power
from fablewright.systems.regions.rules import stability


class FactionView(View):
    """A faction as it is now."""

    id: UUID
    name: str
    kind: str
    description: str
    color: str
    leader_id: UUID | None
    ideology: dict[str, float] = Field(
        description="Stands on axes of the world's own choosing, each -1 to 1."
    )
    traits: TraitsValue
    currency: str
    roles: dict[str, list[str]] = Field(description="What each diplomatic role may do.")
    ranks: list[str] = Field(description="Highest first.")
    capital_id: UUID | None
    self_run: bool = Field(description="Whether it acts by itself.")
    reputation: float = Field(description="-100 to 100, at the time of this answer.")
    strength: float = Field(description="Its troops.")
    founded_at: int
    dissolved_at: int | None


class FactionDetail(FactionView):
    """A faction, what it holds, and how many belong to it."""

    members: int
    region_ids: list[UUID]
    treasury: int | None = Field(
        description="What it can spend of its currency; null for those who do not stand for it."
    )
    accounts: dict[str, int] | None = Field(
        description="What it can spend of each currency; null for those who do not stand for it."
    )


class MemberView(View):
    """Who belongs to a faction, or did until `left_at`."""

    id: UUID = Field(description="Of the membership.")
    faction_id: UUID
    character_id: UUID
    rank: str
    role: str | None
    may: list[str] = Field(description="What it may do in the faction's name.")
    joined_at: int
    left_at: int | None


class TreasuryView(View):
    """What went into a treasury or out of it, and what that left."""

    transfer_id: UUID
    currency: str
    amount: int
    balance_after: int
    replayed: bool = Field(description="Whether it was done already, under the same reference.")


class PartView(View):
    """Something that adds `amount` to a power."""

    kind: Literal["military", "economic"]
    what: Literal["troops", "levy", "yield", "treasury"]
    amount: float
    reason: str
    region_id: UUID | None


class PowerView(View):
    """How powerful a faction is. Each number is the sum of its parts.

    `complete` says whether the treasury is among them: only those who stand for the faction are shown it.
    """

    faction_id: UUID
    military: float
    economic: float
    complete: bool
    parts: list[PartView]


def faction_view(faction: Faction, now: int) -> FactionView:
    """A faction as it is answered at world time `now`."""
    return FactionView.model_construct(**faction_fields(faction, now))


def faction_fields(faction: Faction, now: int) -> dict[str, Any]:
    """The fields of a `FactionView`."""
    return {
        "id": faction.id, "name": faction.name, "kind": faction.kind, "description": faction.description,
        "color": faction.color, "leader_id": faction.leader_id, "ideology": dict(faction.ideology),
        "traits": TraitsValue.model_construct(**asdict(faction.traits)), "currency": faction.currency,
        "roles": {role: list(acts) for role, acts in faction.roles.items()}, "ranks": list(faction.ranks),
        "capital_id": faction.capital_id, "self_run": faction.self_run, "reputation": faction.reputation_now(now),
        "strength": faction.strength, "founded_at": faction.founded_at, "dissolved_at": faction.dissolved_at,
    }  # fmt: skip


def member_view(member: Member, faction: Faction, left_at: int | None = None) -> MemberView:
    """A member as it is answered; who has left may do nothing."""
    acts = () if left_at is not None or member.role is None else faction.roles.get(member.role, ())
    return MemberView.model_construct(
        id=member.id, faction_id=member.faction_id, character_id=member.character_id, rank=member.rank,
        role=member.role, may=list(acts), joined_at=member.joined_at, left_at=left_at,
    )  # fmt: skip


def power_view(found: Power, with_treasury: bool) -> PowerView:
    """A power as it is answered."""
    shown = found if with_treasury else found.without_treasury()
    return PowerView.model_construct(
        faction_id=shown.faction_id, military=shown.military, economic=shown.economic, complete=with_treasury,
        parts=[PartView.model_construct(**asdict(part)) for part in shown.parts],
    )  # fmt: skip


# -- reading -------------------------------------------------------------------------------------------------

OWNED: Final = """
SELECT f.id, f.strength, coalesce(a.balance - a.held, 0) AS treasury
FROM factions f
LEFT JOIN ledger_accounts a ON a.world_id = f.world_id AND a.owner_id = f.id AND a.currency = f.currency
WHERE f.world_id = $1 AND f.id = ANY($2::uuid[]) ORDER BY f.id
"""
HELD: Final = """
SELECT r.controller_id, r.id, r.name, r.population, r.stability, r.stability_at, r.stability_rest,
       (SELECT coalesce(sum(v::float8), 0) FROM jsonb_each_text(r.resources) AS e (k, v)) AS goods
FROM regions r
WHERE r.world_id = $1 AND r.controller_id = ANY($2::uuid[]) AND r.removed_at IS NULL ORDER BY r.id
"""
PAGE: Final = f"""
SELECT {FACTION} FROM factions f
WHERE f.world_id = $1 AND ($2 OR f.dissolved_at IS NULL) AND ($3::text IS NULL OR f.kind = $3)
  AND ($4::text IS NULL OR (f.name, f.id) > ($4, $5::uuid))
ORDER BY f.name, f.id LIMIT $6
"""  # noqa: S608  fixed texts only
ONE: Final = f"""
SELECT {FACTION},
       (SELECT count(*) FROM faction_members m
        WHERE m.world_id = f.world_id AND m.faction_id = f.id AND m.left_at IS NULL) AS members,
       (SELECT coalesce(array_agg(r.id ORDER BY r.id), '{{}}') FROM regions r
        WHERE r.world_id = f.world_id AND r.controller_id = f.id AND r.removed_at IS NULL) AS region_ids,
       (SELECT coalesce(jsonb_object_agg(a.currency, a.balance - a.held), '{{}}')::text FROM ledger_accounts a
        WHERE a.world_id = f.world_id AND a.owner_id = f.id) AS accounts
FROM factions f WHERE f.world_id = $1 AND f.id = $2
"""  # noqa: S608  fixed texts only
MEMBERS: Final = """
SELECT m.id, m.faction_id, m.character_id, m.rank, m.role, m.joined_at, m.left_at
FROM faction_members m
WHERE m.world_id = $1 AND m.faction_id = $2 AND ($3 OR m.left_at IS NULL) AND ($4::uuid IS NULL OR m.id > $4)
ORDER BY m.id LIMIT $5
"""
HISTORY: Final = """
SELECT m.id, m.faction_id, m.character_id, m.rank, m.role, m.joined_at, m.left_at
FROM faction_members m WHERE m.world_id = $1 AND m.character_id = $2 ORDER BY m.joined_at DESC, m.id DESC LIMIT 100
"""


async def powers(connection: Any, world_id: UUID, ids: Sequence[UUID], now: int) -> dict[UUID, Power]:
    """How powerful these factions are at world time `now` (ms), with the parts; unknown ones are missing.

    `connection` is a raw one, or a transaction; nothing is locked.
    """
    wanted = sorted(set(ids))
    held: dict[UUID, list[Holding]] = {}
    for row in await connection.fetch(HELD, world_id, wanted):
        calm = stability(row["stability"], row["stability_at"], now, row["stability_rest"])
        holding = Holding(row["id"], row["name"], row["goods"], row["population"], calm)
        held.setdefault(row["controller_id"], []).append(holding)
    return {
        row["id"]: power(row["id"], row["strength"], held.get(row["id"], []), row["treasury"])
        for row in await connection.fetch(OWNED, world_id, wanted)
    }


async def treasuries(connection: Any, world_id: UUID, ids: Sequence[UUID]) -> dict[UUID, int]:
    """What these factions can spend of their own currency; unknown ones are missing."""
    rows = await connection.fetch(OWNED, world_id, sorted(set(ids)))
    return {row["id"]: row["treasury"] for row in rows}


async def now_of(connection: Any, world_id: UUID) -> int:
    """World time (ms)."""
    return world_now(await connection.fetchrow(CLOCK, world_id))


async def list_page(
    connection: Any, world_id: UUID, *, kind: str | None, dissolved: bool, after: tuple[str, UUID] | None,
    limit: int,
) -> list[FactionView]:  # fmt: skip
    """Up to `limit` factions by (name, id) after a position; with `dissolved` those that are no more, too."""
    rows = await connection.fetch(PAGE, world_id, dissolved, kind, *(after or (None, None)), limit)
    now = await now_of(connection, world_id)
    return [faction_view(faction_of(row), now) for row in rows]


async def one(
    connection: Any, world_id: UUID, faction_id: UUID, *, with_treasury: bool
) -> FactionDetail | None:
    """A faction; None if it is unknown."""
    row = await connection.fetchrow(ONE, world_id, faction_id)
    if row is None:
        return None
    accounts = orjson.loads(row["accounts"])
    return FactionDetail.model_construct(
        **faction_fields(faction_of(row), await now_of(connection, world_id)), members=row["members"],
        region_ids=row["region_ids"], treasury=accounts.get(row["currency"], 0) if with_treasury else None,
        accounts=accounts if with_treasury else None,
    )  # fmt: skip


async def faction(connection: Any, world_id: UUID, faction_id: UUID) -> Faction | None:
    """A faction as the rules have it; None if it is unknown."""
    row = await connection.fetchrow(
        f"SELECT {FACTION} FROM factions f WHERE f.world_id = $1 AND f.id = $2",  # noqa: S608
        world_id, faction_id,
    )  # fmt: skip
    return None if row is None else faction_of(row)


async def members(
    connection: Any, world_id: UUID, found: Faction, *, past: bool, after: UUID | None, limit: int
) -> list[MemberView]:
    """Up to `limit` members by id of the membership, after one; with `past` those who left, too."""
    rows = await connection.fetch(MEMBERS, world_id, found.id, past, after, limit)
    return [member_view(Member(*list(row)[:6]), found, row["left_at"]) for row in rows]


async def history(connection: Any, world_id: UUID, character_id: UUID) -> list[MemberView]:
    """To what a character belongs and belonged, newest first."""
    rows = await connection.fetch(HISTORY, world_id, character_id)
    factions = {
        row["id"]: faction_of(row)
        for row in await connection.fetch(
            f"SELECT {FACTION} FROM factions f WHERE f.world_id = $1 AND f.id = ANY($2::uuid[])",  # noqa: S608
            world_id, sorted({row["faction_id"] for row in rows}),
        )
    }  # fmt: skip
    return [member_view(Member(*list(row)[:6]), factions[row["faction_id"]], row["left_at"]) for row in rows]
