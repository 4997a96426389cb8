"""Treaties in memory: loaded with locks, changed by commands and timers, stored with what they watch."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar
from uuid import UUID

from fablewright.core.clock import DAY
from fablewright.core.transaction import Transaction
from fablewright.systems.diplomacy.clauses import CLAUSE, ClauseBase
from fablewright.systems.diplomacy.treaty_commands import NOT_A_PARTY, TREATY_NOT_FOUND, TREATY_NOT_OPEN
from fablewright.systems.diplomacy.treaty_events import TreatyEvent

OPEN: Final = ("draft", "signed_partly")
LIVE: Final = ("in_force", "suspended")

TREATY: Final = (
    "t.id, t.name, t.kind, t.text, t.state, t.secret, t.starts_at, t.duration_ms, t.ends_at, t.renews, t.notice_ms, "
    "t.grace_ms, t.on_breach, t.proposer_id, t.by_id, t.at, t.agreed_at, t.closed_at, t.reason, t.draft"
)
LOAD: Final = (
    f"SELECT {TREATY} FROM treaties t WHERE t.world_id = $1 AND t.id = ANY($2::uuid[]) ORDER BY t.id"  # noqa: S608
)
# Read after the treaty is locked: what stands in a row that was waited for is then seen as it became.
PARTS: Final = """
SELECT t.id,
       array(SELECT row(p.faction_id, p.signed_by, p.signed_at, p.agrees, p.leaves_at, p.withdrawn_at)
             FROM treaty_parties p WHERE p.world_id = $1 AND p.treaty_id = t.id ORDER BY p.faction_id) AS parties,
       array(SELECT row(c.id, c.number, c.terms::text, c.due_at, c.done_at, c.kept_at, c.ended_at)
             FROM treaty_clauses c WHERE c.world_id = $1 AND c.treaty_id = t.id ORDER BY c.number) AS clauses
FROM unnest($2::uuid[]) AS t (id)
"""
SAVE: Final = """
WITH treaty AS (
    UPDATE treaties SET state = $3, secret = $4, starts_at = $5, ends_at = $6, agreed_at = $7, closed_at = $8,
        reason = $9
    WHERE world_id = $1 AND id = $2
)
UPDATE treaty_parties p SET signed_by = v.signed_by, signed_at = v.signed_at, agrees = v.agrees,
    leaves_at = v.leaves_at, withdrawn_at = v.withdrawn_at
FROM unnest($10::uuid[], $11::uuid[], $12::bigint[], $13::text[], $14::bigint[], $15::bigint[])
    AS v (faction_id, signed_by, signed_at, agrees, leaves_at, withdrawn_at)
WHERE p.world_id = $1 AND p.treaty_id = $2 AND p.faction_id = v.faction_id
"""
SAVE_CLAUSES: Final = """
UPDATE treaty_clauses c SET due_at = v.due_at, done_at = v.done_at, kept_at = v.kept_at, ended_at = v.ended_at
FROM unnest($2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
    AS v (id, due_at, done_at, kept_at, ended_at)
WHERE c.world_id = $1 AND c.id = v.id
"""
WATCH: Final = """
INSERT INTO treaty_watches (world_id, key, clause_id)
SELECT $1, v.* FROM unnest($2::text[], $3::uuid[]) AS v ON CONFLICT DO NOTHING
"""
UNWATCH: Final = "DELETE FROM treaty_watches WHERE world_id = $1 AND clause_id = ANY($2::uuid[])"
OBLIGATIONS: Final = """
SELECT DISTINCT c.treaty_id, c.id, c.number, c.terms::text AS terms, t.name, t.secret
FROM treaty_parties p JOIN treaties t ON t.world_id = p.world_id AND t.id = p.treaty_id AND t.state = 'in_force'
JOIN treaty_clauses c ON c.world_id = p.world_id AND c.treaty_id = p.treaty_id AND c.ended_at IS NULL
WHERE p.world_id = $1 AND p.faction_id = ANY($2::uuid[]) AND p.withdrawn_at IS NULL AND c.type = ANY($3::text[])
ORDER BY c.treaty_id, c.number
"""


# -- treaties in memory --------------------------------------------------------------------------------------


@dataclass(slots=True)
class PartyState:
    """A party of a treaty."""

    faction_id: UUID
    signed_by: UUID | None = None
    signed_at: int | None = None
    agrees: str | None = None
    leaves_at: int | None = None
    withdrawn_at: int | None = None


@dataclass(slots=True)
class ClauseState:
    """A clause of a treaty, with what became of it."""

    id: UUID
    number: int
    clause: ClauseBase
    due_at: int | None = None
    done_at: int | None = None
    kept_at: int | None = None
    ended_at: int | None = None
    stored: tuple[int | None, ...] = (None, None, None, None)
    """Its times as they are stored."""

    @property
    def times(self) -> tuple[int | None, ...]:
        return self.due_at, self.done_at, self.kept_at, self.ended_at

    @property
    def binding(self) -> bool:
        return self.ended_at is None and self.done_at is None


@dataclass(slots=True)
class TreatyState:
    """A treaty with its parties and clauses, as a command finds and changes it."""

    id: UUID
    name: str
    kind: str
    text: str
    state: str
    secret: bool
    starts_at: int | None
    duration_ms: int | None
    ends_at: int | None
    renews: bool
    notice_ms: int
    grace_ms: int
    on_breach: str
    proposer_id: UUID | None
    by_id: UUID | None
    at: int
    agreed_at: int | None = None
    closed_at: int | None = None
    reason: str = ""
    draft: int = 1
    """Which draft it is: the first, or one that was changed since."""
    parties: dict[UUID, PartyState] = field(default_factory=dict)
    clauses: list[ClauseState] = field(default_factory=list)
    found_in: str = "draft"
    """The state in which it was stored last."""

    @property
    def members(self) -> list[UUID]:
        """Those who have not left."""
        return [p.faction_id for p in self.parties.values() if p.withdrawn_at is None]

    def missing(self) -> list[UUID]:
        """Those who have not signed."""
        return [p.faction_id for p in self.parties.values() if p.signed_at is None]

    def party(self, faction_id: UUID) -> PartyState:
        """A party that has not left. Refuses `not_a_party`; to strangers a secret treaty is not there."""
        found = self.parties.get(faction_id)
        if found is None and self.secret:
            raise TREATY_NOT_FOUND(treaty_id=str(self.id))
        if found is None or found.withdrawn_at is not None:
            raise NOT_A_PARTY(faction_id=str(faction_id), treaty_id=str(self.id))
        return found

    def require(self, *states: str) -> None:
        """Refuses `treaty_not_open` if it is in none of these states."""
        if self.state not in states:
            raise TREATY_NOT_OPEN(f"The treaty is {self.state}.", state=self.state, needs=list(states))

    def told(self) -> dict[str, Any]:
        """The fields that all events of treaties have."""
        return {
            "treaty_id": self.id, "name": self.name, "kind": self.kind, "party_ids": self.members,
            "secret": self.secret, "state": self.state,
        }  # fmt: skip

    def terms(self) -> list[dict[str, Any]]:
        """The clauses as they are told."""
        return [c.clause.model_dump(mode="json") for c in self.clauses]

    def drafted(self) -> dict[str, Any]:
        """All that a draft says, as it is told."""
        return {
            "clauses": self.terms(), "text": self.text, "draft": self.draft, "starts_at": self.starts_at,
            "duration_days": None if self.duration_ms is None else self.duration_ms / DAY, "renews": self.renews,
            "notice_days": self.notice_ms / DAY, "grace_days": self.grace_ms / DAY, "on_breach": self.on_breach,
        }  # fmt: skip


E = TypeVar("E", bound=TreatyEvent)


def tell(
    tx: Transaction, event: type[E], treaty: TreatyState, by_id: UUID | None = None, **fields: Any
) -> Any:
    """Emit an event about a treaty; returns its record."""
    return tx.emit(event(**treaty.told(), by_id=by_id, **fields))


async def load(tx: Transaction, ids: Iterable[UUID], *, lock: bool = True) -> dict[UUID, TreatyState]:
    """Those of the treaties that exist, locked until the commit in the order of their ids."""
    wanted = sorted(set(ids))
    if not wanted:
        return {}
    rows = await tx.fetch(LOAD + (" FOR NO KEY UPDATE" if lock else ""), tx.world_id, wanted)
    found = {row["id"]: TreatyState(*row) for row in rows}
    for row in await tx.fetch(PARTS, tx.world_id, list(found)) if found else ():
        treaty = found[row["id"]]
        treaty.found_in = treaty.state
        treaty.parties = {party[0]: PartyState(*party) for party in row["parties"]}
        treaty.clauses = [
            ClauseState(
                id_, number, CLAUSE.validate_json(terms), due, done, kept, ended, (due, done, kept, ended)
            )
            for id_, number, terms, due, done, kept, ended in row["clauses"]
        ]
    return found


async def get(tx: Transaction, treaty_id: UUID, *, lock: bool = True) -> TreatyState:
    """A treaty. Refuses `treaty_not_found`."""
    found = (await load(tx, [treaty_id], lock=lock)).get(treaty_id)
    if found is None:
        raise TREATY_NOT_FOUND(treaty_id=str(treaty_id))
    return found


async def save(tx: Transaction, t: TreatyState) -> None:
    """Store what changed in a treaty, its parties and clauses, and watch what is to be watched."""
    ps = list(t.parties.values())
    await tx.execute(
        SAVE, tx.world_id, t.id, t.state, t.secret, t.starts_at, t.ends_at, t.agreed_at, t.closed_at, t.reason,
        [p.faction_id for p in ps], [p.signed_by for p in ps], [p.signed_at for p in ps], [p.agrees for p in ps],
        [p.leaves_at for p in ps], [p.withdrawn_at for p in ps],
    )  # fmt: skip
    if t.state not in OPEN:
        await save_clauses(tx, t.clauses)
    if t.found_in == "in_force":
        dead = [c.id for c in t.clauses if t.state != "in_force" or not c.binding]
        if dead:
            await tx.execute(UNWATCH, tx.world_id, dead)
    elif t.state == "in_force":
        keys = [(key, c.id) for c in t.clauses if c.binding for key in c.clause.watches()]
        if keys:
            await tx.execute(WATCH, tx.world_id, [k for k, _ in keys], [c for _, c in keys])
    t.found_in = t.state


async def save_clauses(tx: Transaction, states: Sequence[ClauseState]) -> None:
    """Store when clauses are due, were fulfilled, were kept, and ended, of those for which that has changed.

    Sums are paid, and their next date set, without a lock on the treaty: so what nobody changed is not written back.
    """
    changed = [c for c in states if c.times != c.stored]
    if changed:
        await tx.execute(
            SAVE_CLAUSES, tx.world_id, [c.id for c in changed], [c.due_at for c in changed],
            [c.done_at for c in changed], [c.kept_at for c in changed], [c.ended_at for c in changed],
        )  # fmt: skip
    for clause in changed:
        clause.stored = clause.times


@dataclass(frozen=True, slots=True)
class Obligation:
    """A clause in force, and the treaty it stands in."""

    treaty_id: UUID
    clause_id: UUID
    number: int
    clause: ClauseBase
    treaty_name: str
    secret: bool


async def obligations(
    reader: Any, world_id: UUID, faction_ids: Iterable[UUID], types: Iterable[str]
) -> list[Obligation]:
    """The clauses of these types in the treaties in force of these factions, whomever they bind; not locked.

    `reader` is a transaction or a connection.
    """
    rows = await reader.fetch(OBLIGATIONS, world_id, sorted(set(faction_ids)), sorted(set(types)))
    return [
        Obligation(
            r["treaty_id"], r["id"], r["number"], CLAUSE.validate_json(r["terms"]), r["name"], r["secret"]
        )
        for r in rows
    ]


def answer(treaty: TreatyState) -> dict[str, Any]:
    """What commands about a treaty return."""
    missing = [str(f) for f in treaty.missing()]
    return {"id": str(treaty.id), "state": treaty.state, "missing": missing, "draft": treaty.draft}
