"""What is read of treaties. Of secret ones only those who are parties now, and game masters, know."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final
from uuid import UUID

import orjson
from pydantic import Field

from fablewright.core.clock import DAY
from fablewright.core.messages import View
from fablewright.systems.diplomacy.clauses import CLAUSE


class TreatyPartyView(View):
    """A faction that is to sign a treaty, or has."""

    faction_id: UUID
    name: str
    signed_at: int | None = Field(description="World time in ms; null while it has not.")
    signed_by: UUID | None = Field(description="The character who signed; null for a game master.")
    agrees: str | None = Field(description="To which change it agrees, while others do not yet.")
    leaves_at: int | None = Field(description="When its notice is over (world ms), if it withdraws.")
    withdrawn_at: int | None


class ClauseView(View):
    """A clause: its terms, the same as a sentence, and how far it is done."""

    id: UUID
    number: int
    type: str
    terms: dict[str, Any]
    text: str
    due_at: int | None = Field(description="When it is executed next (world ms).")
    done_at: int | None = Field(description="When it was fulfilled once and for all.")
    ended_at: int | None = Field(description="Since when it does not bind any more.")


class ViolationView(View):
    """A breach of a clause, or an accusation without evidence."""

    id: UUID
    clause_id: UUID
    clause: int
    faction_id: UUID
    kind: str
    text: str
    state: str
    event_id: UUID | None = Field(description="The event that shows it.")
    accuser_id: UUID | None
    by_id: UUID | None
    grace_until: int | None = Field(description="Until when it can be mended (world ms).")
    at: int
    closed_at: int | None


class TreatyView(View):
    """A treaty. `violations` stand in the answer for one treaty, not in lists."""

    id: UUID
    name: str
    kind: str
    text: str
    state: str
    secret: bool
    starts_at: int | None = Field(description="World time in ms; null: when all have signed.")
    ends_at: int | None = Field(description="World time in ms; null: for good, or not begun.")
    duration_days: float | None
    renews: bool
    notice_days: float
    grace_days: float
    on_breach: str
    proposer_id: UUID | None
    by_id: UUID | None = Field(description="The character who proposed it; null for a game master.")
    at: int = Field(description="When it was drafted (world ms).")
    draft: int = Field(description="The number of the draft: 1, and one more with each change.")
    agreed_at: int | None
    closed_at: int | None
    reason: str = Field(description="Why it ended.")
    parties: list[TreatyPartyView]
    clauses: list[ClauseView]
    violations: list[ViolationView] = []


class TreatyMade(View):
    """What a command about a treaty came to: its state, and who has not signed."""

    id: UUID
    state: str
    missing: list[UUID]
    draft: int = Field(1, description="The number of the draft; name it to sign what you have read.")


class AccusationMade(View):
    """Whether the log shows what a faction was accused of."""

    founded: bool


class SpyMade(View):
    """What spies found, and whether they were caught."""

    treaty_id: UUID | None = Field(description="The secret treaty that is known to all now.")
    caught: bool


# $3: the factions that the reader stands for, null for one who sees all. $8: drafted at, $9: id of the last one seen.
LIST: Final = f"""
SELECT t.id, t.name, t.kind, t.text, t.state, t.secret, t.starts_at, t.ends_at,
       t.duration_ms::float8 / {DAY} AS duration_days, t.renews, t.notice_ms::float8 / {DAY} AS notice_days,
       t.grace_ms::float8 / {DAY} AS grace_days, t.on_breach, t.proposer_id, t.by_id, t.at, t.agreed_at,
       t.closed_at, t.reason, t.draft
FROM treaties t
WHERE t.world_id = $1 AND ($2::uuid IS NULL OR t.id = $2)
  AND (NOT t.secret OR $3::uuid[] IS NULL OR EXISTS (
        SELECT 1 FROM treaty_parties p
        WHERE p.world_id = $1 AND p.treaty_id = t.id AND p.withdrawn_at IS NULL AND p.faction_id = ANY($3)))
  AND ($4::uuid[] IS NULL OR (
        SELECT count(*) FROM treaty_parties p
        WHERE p.world_id = $1 AND p.treaty_id = t.id AND p.faction_id = ANY($4)) = cardinality($4))
  AND ($5::text IS NULL OR t.state = $5) AND ($6::text IS NULL OR t.kind = $6)
  AND ($7::bool IS NULL OR (t.closed_at IS NULL) = $7)
  AND ($8::bigint IS NULL OR (t.at, t.id) < ($8, $9::uuid))
ORDER BY t.at DESC, t.id DESC LIMIT $10
"""  # noqa: S608  fixed texts only
PARTIES: Final = """
SELECT p.treaty_id, p.faction_id, f.name, p.signed_at, p.signed_by, p.agrees, p.leaves_at, p.withdrawn_at
FROM treaty_parties p JOIN factions f ON f.world_id = p.world_id AND f.id = p.faction_id
WHERE p.world_id = $1 AND p.treaty_id = ANY($2::uuid[]) ORDER BY p.treaty_id, f.name, f.id
"""
CLAUSES: Final = """
SELECT treaty_id, id, number, type, terms::text AS terms, due_at, done_at, ended_at FROM treaty_clauses
WHERE world_id = $1 AND treaty_id = ANY($2::uuid[]) ORDER BY treaty_id, number
"""
VIOLATIONS: Final = """
SELECT v.id, v.clause_id, c.number AS clause, v.faction_id, v.kind, v.text, v.state, v.event_id, v.accuser_id,
       v.by_id, v.grace_until, v.at, v.closed_at
FROM treaty_violations v JOIN treaty_clauses c ON c.world_id = v.world_id AND c.id = v.clause_id
WHERE v.world_id = $1 AND v.treaty_id = $2 ORDER BY v.at DESC, v.id DESC LIMIT 200
"""
NAMES: Final = """
SELECT id, name FROM factions WHERE world_id = $1 AND id = ANY($2::uuid[])
UNION ALL SELECT id, name FROM regions WHERE world_id = $1 AND id = ANY($2::uuid[])
UNION ALL SELECT id, name FROM characters WHERE world_id = $1 AND id = ANY($2::uuid[])
"""


async def listed(
    connection: Any, world_id: UUID, own: Collection[UUID] | None, *, between: Sequence[UUID] = (),
    state: str | None = None, kind: str | None = None, open_: bool | None = None,
    after: tuple[int, UUID] | None = None, limit: int = 50,
) -> list[TreatyView]:  # fmt: skip
    """Treaties, the newest first; only those to which all factions of `between` are parties.

    `own` are the factions that the reader stands for; None sees everything.
    """
    at, last = after or (None, None)
    rows = await connection.fetch(
        LIST, world_id, None, None if own is None else sorted(own), sorted(set(between)) or None, state, kind,
        open_, at, last, limit,
    )  # fmt: skip
    return await _whole(connection, world_id, rows)


async def treaty(
    connection: Any, world_id: UUID, treaty_id: UUID, own: Collection[UUID] | None
) -> TreatyView | None:
    """One treaty with its violations; None if there is none that the reader may know of."""
    rows = await connection.fetch(
        LIST, world_id, treaty_id, None if own is None else sorted(own), None, None, None, None, None, None, 1
    )
    if not rows:
        return None
    (found,) = await _whole(connection, world_id, rows)
    broken = await connection.fetch(VIOLATIONS, world_id, treaty_id)
    found.violations = [ViolationView(**dict(row)) for row in broken]
    return found


async def _whole(connection: Any, world_id: UUID, rows: Sequence[Any]) -> list[TreatyView]:
    """Treaties with their parties and clauses, in three statements however many they are."""
    if not rows:
        return []
    ids = [row["id"] for row in rows]
    parties: dict[UUID, list[TreatyPartyView]] = {}
    for row in await connection.fetch(PARTIES, world_id, ids):
        values = dict(row)
        parties.setdefault(values.pop("treaty_id"), []).append(TreatyPartyView(**values))
    found = await connection.fetch(CLAUSES, world_id, ids)
    names = await names_of(connection, world_id, (orjson.loads(row["terms"]) for row in found))
    clauses: dict[UUID, list[ClauseView]] = {}
    for row in found:
        values = dict(row)
        clause = CLAUSE.validate_json(values.pop("terms"))
        view = ClauseView(
            **{k: v for k, v in values.items() if k != "treaty_id"}, terms=clause.model_dump(mode="json"),
            text=clause.says(lambda id_: names.get(id_, str(id_))),
        )  # fmt: skip
        clauses.setdefault(row["treaty_id"], []).append(view)
    return [
        TreatyView(**dict(row), parties=parties.get(row["id"], []), clauses=clauses.get(row["id"], []))
        for row in rows
    ]


async def names_of(connection: Any, world_id: UUID, terms: Iterable[dict[str, Any]]) -> dict[UUID, str]:
    """The names of the factions, regions and characters that clauses name."""
    ids = {UUID(v) for t in terms for k, v in t.items() if k.endswith("_id") and isinstance(v, str)}
    if not ids:
        return {}
    return {row["id"]: row["name"] for row in await connection.fetch(NAMES, world_id, sorted(ids))}
