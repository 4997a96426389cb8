"""What is read of ultimatums, coalitions, and of what war has made of factions: queries and response models."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import orjson
from pydantic import Field

from fablewright.core.messages import View
from fablewright.systems.diplomacy import battle
from fablewright.systems.diplomacy.relations import Book, opinion_of
from fablewright.systems.diplomacy.service import peek as peek_relations

ULTIMATUM: Final = (
    "id, issuer_id, target_id, demands::text AS demands, consequence::text AS consequence, text, state, duration_days, "
    "incident_id, treaty_id, deadline, acts_at, outcome, outcome_id, by_id, answered_by_id, at, closed_at"
)
COALITION: Final = "id, target_id, by_id, at, dissolved_at"

MEMBERS: Final = """
SELECT coalition_id, faction_id, fear, at, left_at FROM coalition_members
WHERE world_id = $1 AND coalition_id = ANY($2::uuid[]) ORDER BY coalition_id, at, faction_id
"""
FRIGHTENING: Final = """
SELECT faction_id, aggression, aggression_at FROM warlike
WHERE world_id = $1 AND aggression > 0 AND ($2::uuid[] IS NULL OR faction_id = ANY($2::uuid[])) ORDER BY faction_id
"""
STANDING: Final = "SELECT id FROM factions WHERE world_id = $1 AND dissolved_at IS NULL ORDER BY id"
NEIGHBOURS: Final = """
SELECT DISTINCT a.controller_id AS a_id, b.controller_id AS b_id
FROM borders x
JOIN regions a ON a.world_id = $1 AND a.id = x.low_id AND a.controller_id IS NOT NULL AND a.removed_at IS NULL
JOIN regions b ON b.world_id = $1 AND b.id = x.high_id AND b.controller_id IS NOT NULL AND b.removed_at IS NULL
WHERE x.world_id = $1 AND a.controller_id <> b.controller_id
"""
WARLIKE: Final = """
SELECT exhaustion, exhaustion_at, aggression, aggression_at, wars FROM warlike WHERE world_id = $1 AND faction_id = $2
"""


# -- ultimatums ------------------------------------------------------------------------------------------------


class UltimatumView(View):
    """Demands of one faction to another, with a deadline and a consequence that comes by itself."""

    id: UUID
    issuer_id: UUID
    target_id: UUID
    demands: list[dict[str, Any]] = Field(description="As clauses.")
    consequence: dict[str, Any]
    text: str
    state: str = Field(description="`issued`, `accepted`, `rejected`, `expired` or `withdrawn`.")
    duration_days: int | None
    incident_id: UUID | None
    treaty_id: UUID | None = Field(description="What the demands became when they were accepted.")
    deadline: int = Field(description="World time in ms.")
    acts_at: int | None = Field(description="When the consequence comes, if it is still to come.")
    outcome: str | None = Field(description="Why the consequence could not come, if so.")
    outcome_id: UUID | None = Field(description="The war, sanction or incident that came of it.")
    by_id: UUID | None
    answered_by_id: UUID | None
    at: int
    closed_at: int | None


def ultimatum_view(row: Any) -> UltimatumView:
    """An ultimatum from a row of `ULTIMATUM`."""
    fields = dict(row)
    for name in ("demands", "consequence"):
        fields[name] = orjson.loads(fields[name])
    return UltimatumView.model_construct(**fields)


async def ultimatum(connection: Any, world_id: UUID, ultimatum_id: UUID) -> UltimatumView | None:
    """One ultimatum; None if it is unknown."""
    row = await connection.fetchrow(
        f"SELECT {ULTIMATUM} FROM ultimatums WHERE world_id = $1 AND id = $2",  # noqa: S608
        world_id, ultimatum_id,
    )  # fmt: skip
    return None if row is None else ultimatum_view(row)


async def list_ultimatums(
    connection: Any, world_id: UUID, *, faction_id: UUID | None, state: str | None, after: UUID | None, limit: int
) -> list[UltimatumView]:  # fmt: skip
    """Up to `limit` ultimatums, newest first, before one; of or to a faction, and in one state."""
    rows = await connection.fetch(
        f"SELECT {ULTIMATUM} FROM ultimatums WHERE world_id = $1 "  # noqa: S608
        "AND ($2::uuid IS NULL OR issuer_id = $2 OR target_id = $2) AND ($3::text IS NULL OR state = $3) "
        "AND ($4::uuid IS NULL OR id < $4) ORDER BY id DESC LIMIT $5",
        world_id, faction_id, state, after, limit,
    )  # fmt: skip
    return [ultimatum_view(row) for row in rows]


# -- coalitions ------------------------------------------------------------------------------------------------


class CoalitionMemberView(View):
    """A faction that belongs, or belonged, to a coalition."""

    faction_id: UUID
    fear: float = Field(description="How much it feared the target when it joined, 0 to 100.")
    at: int
    left_at: int | None


class CoalitionView(View):
    """Factions that stand together against one whose aggression frightens them."""

    id: UUID
    target_id: UUID
    members: list[CoalitionMemberView]
    by_id: UUID | None
    at: int
    dissolved_at: int | None


async def _coalitions(connection: Any, world_id: UUID, rows: Sequence[Any]) -> list[CoalitionView]:
    members: dict[UUID, list[CoalitionMemberView]] = {row["id"]: [] for row in rows}
    for row in await connection.fetch(MEMBERS, world_id, list(members)):
        fields = {name: row[name] for name in CoalitionMemberView.model_fields}
        members[row["coalition_id"]].append(CoalitionMemberView.model_construct(**fields))
    return [CoalitionView.model_construct(**dict(row), members=members[row["id"]]) for row in rows]


async def coalition(connection: Any, world_id: UUID, coalition_id: UUID) -> CoalitionView | None:
    """One coalition; None if it is unknown."""
    rows = await connection.fetch(
        f"SELECT {COALITION} FROM coalitions WHERE world_id = $1 AND id = $2",  # noqa: S608
        world_id, coalition_id,
    )  # fmt: skip
    return (await _coalitions(connection, world_id, rows))[0] if rows else None


async def list_coalitions(
    connection: Any, world_id: UUID, *, faction_id: UUID | None, over: bool | None, after: UUID | None, limit: int
) -> list[CoalitionView]:  # fmt: skip
    """Up to `limit` coalitions, newest first, before one; of or against a faction, and only those over (or not)."""
    rows = await connection.fetch(
        f"SELECT {COALITION} FROM coalitions c WHERE world_id = $1 "  # noqa: S608
        "AND ($2::uuid IS NULL OR target_id = $2 OR EXISTS (SELECT 1 FROM coalition_members m WHERE m.world_id = $1 "
        "AND m.coalition_id = c.id AND m.faction_id = $2)) AND ($3::bool IS NULL OR (dissolved_at IS NOT NULL) = $3) "
        "AND ($4::uuid IS NULL OR id < $4) ORDER BY id DESC LIMIT $5",
        world_id, faction_id, over, after, limit,
    )  # fmt: skip
    return await _coalitions(connection, world_id, rows)


# -- fear ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fear:
    """How much a faction fears another (0..100), and what that comes from."""

    faction_id: UUID
    target_id: UUID
    fear: float
    near: bool
    aggression: float
    opinion: float
    tension: float


async def fears(
    reader: Any, world_id: UUID, now: int, *, of: Iterable[UUID] | None = None, floor: float = 1.0
) -> list[Fear]:
    """Who fears whom at `now`, the most first: those `of` (None: all) whose deeds still frighten, feared by `floor` on.

    A constant number of statements, however many factions there are. `reader` is a transaction or a connection.
    """
    wanted = None if of is None else sorted(set(of))
    dread = {
        row["faction_id"]: battle.aggression_now(row["aggression"], row["aggression_at"], now)
        for row in await reader.fetch(FRIGHTENING, world_id, wanted)
    }
    dread = {faction_id: value for faction_id, value in dread.items() if value >= floor / 3}
    if not dread:
        return []
    factions = [row["id"] for row in await reader.fetch(STANDING, world_id)]
    near = {
        pair for row in await reader.fetch(NEIGHBOURS, world_id) for pair in (tuple(row), tuple(row)[::-1])
    }
    pairs = [(holder, target) for target in sorted(dread) for holder in factions if holder != target]
    book = await peek_relations(reader, world_id, now, pairs)
    found = []
    for holder, target in pairs:
        opinion, tension = _open_opinion(book, holder, target), book.tension(holder, target)
        close = (holder, target) in near
        value = battle.fear(dread[target], near=close, opinion=opinion, tension=tension)
        if value >= floor:
            found.append(Fear(holder, target, value, close, dread[target], opinion, tension))
    return sorted(found, key=lambda f: (-f.fear, f.target_id, f.faction_id))


def _open_opinion(book: Book, holder: UUID, about: UUID) -> float:
    """What all know of what one thinks of another: fear is told to all, and would give secret reasons away."""
    return opinion_of((m for m in book.feelings[holder, about].modifiers.values() if not m.secret), book.now)


class FearView(View):
    """How much a faction fears another, and what that comes from."""

    faction_id: UUID
    fear: float = Field(description="0 to 100; from 25 on it is reason enough for a coalition.")
    near: bool = Field(description="Whether regions of the two border on each other.")
    opinion: float = Field(description="What it thinks of it, but for what is secret.")
    tension: float


class WarlikeView(View):
    """What war has made of a faction."""

    faction_id: UUID
    wars: int = Field(description="In how many it is now.")
    exhaustion: float = Field(description="War exhaustion, 0 to 100.")
    aggression: float = Field(description="How much its deeds frighten its neighbours.")
    feared_by: list[FearView]


async def warlike(connection: Any, world_id: UUID, faction_id: UUID, now: int) -> WarlikeView:
    """What war has made of a faction, and who fears it, the most first."""
    row = await connection.fetchrow(WARLIKE, world_id, faction_id)
    tired, dread = 0.0, 0.0
    if row is not None:
        tired = battle.exhaustion_now(row["exhaustion"], row["exhaustion_at"], now, at_war=row["wars"] > 0)
        dread = battle.aggression_now(row["aggression"], row["aggression_at"], now)
    return WarlikeView.model_construct(
        faction_id=faction_id, wars=row["wars"] if row else 0, exhaustion=tired, aggression=dread,
        feared_by=[
            FearView.model_construct(**{name: getattr(fear, name) for name in FearView.model_fields})
            for fear in await fears(connection, world_id, now, of=[faction_id])
        ],
    )  # fmt: skip
