"""What is read of negotiations, and how a faction sees those it negotiates with."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast
from uuid import UUID

import orjson
from pydantic import BaseModel

from fablewright.core.transaction import Transaction
from fablewright.systems.characters import service as characters
from fablewright.systems.characters.service import CharacterState
from fablewright.systems.diplomacy import evaluator, service
from fablewright.systems.diplomacy.clauses import AnyClause, HandOver
from fablewright.systems.diplomacy.evaluator import Counterpart, Evaluation, FactionView, Leader, Temper
from fablewright.systems.diplomacy.nego_events import PartOfUtility
from fablewright.systems.diplomacy.relations import Book
from fablewright.systems.factions import service as factions
from fablewright.systems.factions.service import Faction, Power

FAVOUR: Final = "favour"
"""Opinions whose key begins so are debts: who holds one owes something to whom it is about."""
OWED_AT_MOST: Final = 50.0
"""Points of such opinions from which one owes as much as can be owed."""


# -- how a faction sees the table --------------------------------------------------------------------------------


@dataclass(slots=True)
class Reader:
    """What reads as a transaction does, of a connection."""

    world_id: UUID
    now: int
    connection: Any

    async def fetch(self, sql: str, *args: Any) -> list[Any]:
        """Rows."""
        return list(await self.connection.fetch(sql, *args))

    @property
    def as_tx(self) -> Transaction:
        """For what only reads, but is written for transactions."""
        return cast(Transaction, self)


LOST: Final = """
SELECT from_id, mark FROM negotiation_offers
WHERE world_id = $1 AND from_id = ANY($2::uuid[]) AND ended_at > $3
  AND state IN ('refused', 'countered', 'lapsed')
"""


async def perspectives(
    tx: Transaction, ids: Sequence[UUID], leans: Mapping[UUID, float], offer: Sequence[AnyClause] = ()
) -> dict[UUID, FactionView]:
    """How each of these factions sees the others, not locked. `leans` is what talks have brought, by faction."""
    found = await factions.load(tx, ids, lock=False)
    pairs = [(a, b) for a in found for b in found if a < b]
    book = await service.peek(tx, tx.world_id, tx.now, pairs)
    powers = await factions.powers(tx, tx.world_id, list(found), tx.now)
    treasuries = await factions.balances(tx, list(found))
    leaders = await characters.peek(tx, {f.leader_id for f in found.values() if f.leader_id is not None})
    subjects = {c.character_id for c in offer if isinstance(c, HandOver)}
    members = await factions.memberships(tx, subjects) if subjects else {}
    lost: dict[UUID, set[UUID]] = {}
    since = tx.now - evaluator.FORGETS_AFTER_MS
    for row in await tx.fetch(LOST, tx.world_id, list(found), since):
        lost.setdefault(row["from_id"], set()).add(row["mark"])
    return {
        faction_id: FactionView(
            id=faction_id,
            others={
                other.id: _counterpart(faction_id, other, book, powers, treasuries)
                for other in found.values() if other.id != faction_id
            },
            temper=_temper(faction), leader=_leader(leaders.get(faction.leader_id or faction_id)),
            leader_id=faction.leader_id, treasury=treasuries.get(faction_id, 0),
            wealth=_wealth(treasuries.get(faction_id, 0), powers.get(faction_id)), currency=faction.currency,
            needs=_needs(faction, list(found), book, powers, treasuries.get(faction_id, 0)),
            people={who: 0.9 if m.role else 0.5 for who, m in members.items() if m.faction_id == faction_id},
            lean=leans.get(faction_id, 0.0), lost=frozenset(lost.get(faction_id, ())),
        )
        for faction_id, faction in found.items()
    }  # fmt: skip


def _temper(faction: Faction) -> Temper:
    t = faction.traits
    return Temper(t.aggressive, t.honourable, t.mercantile, t.isolationist)


def _leader(leader: CharacterState | None) -> Leader:
    if leader is None:
        return Leader()
    t = leader.traits
    return Leader(t.openness, t.conscientiousness, t.extraversion, t.agreeableness, t.neuroticism)


def _wealth(treasury: int, power: Power | None) -> float:
    """What 100 points are worth in money: what it has, and ten times what it gets in a month."""
    return max(100.0, treasury + 10.0 * (power.economic if power else 0.0))


def _counterpart(
    me: UUID, other: Faction, book: Book, powers: Mapping[UUID, Power], treasuries: Mapping[UUID, int]
) -> Counterpart:
    owed = sum(p.amount for p in book.parts(me, other.id) if p.key.startswith(FAVOUR)) - sum(
        p.amount for p in book.parts(other.id, me) if p.key.startswith(FAVOUR)
    )
    return Counterpart(
        id=other.id, name=other.name, opinion=book.opinion(me, other.id), trust=book.trusted(me, other.id),
        tension=book.tension(me, other.id), power=_share(powers, other.id, me),
        owed=max(-1.0, min(1.0, owed / OWED_AT_MOST)), means=treasuries.get(other.id, 0),
    )  # fmt: skip


def _share(powers: Mapping[UUID, Power], of: UUID, beside: UUID) -> float:
    a, b = (powers[i].military + 0.2 * powers[i].economic if i in powers else 0.0 for i in (of, beside))
    return a / (a + b) if a + b > 0 else 0.5


def _needs(
    faction: Faction, all_ids: Sequence[UUID], book: Book, powers: Mapping[UUID, Power], treasury: int
) -> dict[str, float]:
    """What a faction is short of, each 0..1, as far as those at the table show it."""
    me, others = faction.id, [i for i in all_ids if i != faction.id]
    at_war = any(book.status(me, other) == "war" for other in others)
    threat = max((book.tension(me, o) / 100 * _share(powers, o, me) * 2 for o in others), default=0.0)
    income = powers[me].economic if me in powers else 0.0
    return {
        "money": 1.0 / (1.0 + treasury / max(50.0, income)),
        "security": min(1.0, threat + 0.5 * at_war),
        "peace": 0.4 + 0.6 * max(_share(powers, o, me) for o in others) if at_war and others else 0.2,
        "trade": faction.traits.mercantile * 0.6,
        "knowledge": 0.2,
        "aid": 0.8 if at_war else 0.2,
    }


# -- what is shown -----------------------------------------------------------------------------------------------


class OfferView(BaseModel):
    """An offer: its clauses, who made it, who has agreed, and how it ended."""

    id: UUID
    number: int
    faction_id: UUID
    by_id: UUID | None
    at: int
    clauses: list[dict[str, Any]]
    days: int | None
    state: str
    accepted_by: list[UUID]
    ended_at: int | None
    ended_by_id: UUID | None


class PartyView(BaseModel):
    """A faction at the table."""

    faction_id: UUID
    name: str
    self_run: bool


class NegotiationView(BaseModel):
    """Talks between factions. Those who are not at the table see no offers."""

    id: UUID
    kind: str
    topic: str
    secret: bool
    state: str
    opened_at: int
    opened_by_id: UUID | None
    deadline_at: int
    about_id: UUID | None
    ended_at: int | None
    ended_by_id: UUID | None
    ended_reason: str
    treaty_id: UUID | None
    parties: list[PartyView]
    offers: list[OfferView] = []


class EvaluationView(BaseModel):
    """What a faction makes of the offer that stands, and why. With `counter`, what it would answer."""

    faction_id: UUID
    number: int
    utility: float
    verdict: str
    reasons: list[str]
    parts: list[PartOfUtility]
    counter: list[dict[str, Any]]


class Made(BaseModel):
    """What a command about a negotiation came to: its state, the offer that stands, the treaty, if any."""

    id: UUID
    state: str
    offer: int | None = None
    verdict: str | None = None
    lean: float | None = None
    treaty_id: UUID | None = None


def clauses_json(offer: Sequence[AnyClause]) -> list[dict[str, Any]]:
    """Clauses as they are stored and told."""
    return [clause.model_dump(mode="json") for clause in offer]


def parts_told(found: Evaluation) -> list[PartOfUtility]:
    """The parts of an evaluation as they are told."""
    return [PartOfUtility(what=p.what, amount=p.amount, reason=p.reason) for p in found.parts]


def evaluation_view(faction_id: UUID, number: int, found: Evaluation) -> EvaluationView:
    """An evaluation as it is shown."""
    return EvaluationView(
        faction_id=faction_id, number=number, utility=found.utility, verdict=found.verdict,
        reasons=list(found.reasons), parts=parts_told(found), counter=clauses_json(found.counter),
    )  # fmt: skip


SESSION: Final = (
    "n.id, n.kind, n.topic, n.secret, n.state, n.opened_at, n.opened_by_id, n.deadline_at, n.about_id, n.ended_at, "
    "n.ended_by_id, n.ended_reason, n.treaty_id"
)
# $3 are the factions that the reader stands for; null for one who sees all.
LIST: Final = f"""
SELECT {SESSION}, p.parties FROM negotiations n CROSS JOIN LATERAL (
    SELECT array_agg(p.faction_id ORDER BY p.faction_id) AS ids,
           jsonb_agg(jsonb_build_object('faction_id', f.id, 'name', f.name, 'self_run', f.self_run)
                     ORDER BY f.id)::text AS parties
    FROM negotiation_parties p JOIN factions f ON f.world_id = p.world_id AND f.id = p.faction_id
    WHERE p.world_id = n.world_id AND p.negotiation_id = n.id
) p
WHERE n.world_id = $1 AND ($2::uuid IS NULL OR n.id = $2)
  AND ($3::uuid[] IS NULL OR NOT n.secret OR p.ids && $3)
  AND ($4::text IS NULL OR n.state = $4) AND ($5::uuid IS NULL OR $5 = ANY (p.ids))
  AND ($6::uuid IS NULL OR n.id < $6)
ORDER BY n.id DESC LIMIT $7
"""  # noqa: S608  fixed texts only
OFFERS: Final = """
SELECT id, number, from_id AS faction_id, by_id, at, clauses::text AS clauses, days, state,
       ARRAY(SELECT jsonb_object_keys(accepted)::uuid) AS accepted_by, ended_at, ended_by_id
FROM negotiation_offers WHERE world_id = $1 AND negotiation_id = $2 ORDER BY number
"""


async def listed(
    connection: Any, world_id: UUID, stands_for: Collection[UUID] | None, *, state: str | None = None,
    faction_id: UUID | None = None, before: UUID | None = None, limit: int = 50,
) -> list[NegotiationView]:  # fmt: skip
    """Negotiations, the newest first, without offers; `stands_for` None sees the secret ones of all."""
    own = None if stands_for is None else list(stands_for)
    rows = await connection.fetch(LIST, world_id, None, own, state, faction_id, before, limit)
    return [_view(row) for row in rows]


async def negotiation(
    connection: Any, world_id: UUID, negotiation_id: UUID, stands_for: Collection[UUID] | None
) -> NegotiationView | None:
    """One negotiation, with its offers for those at the table; None if there is none that the reader may see."""
    own = None if stands_for is None else list(stands_for)
    row = await connection.fetchrow(LIST, world_id, negotiation_id, own, None, None, None, 1)
    if row is None:
        return None
    found = _view(row)
    if stands_for is None or {p.faction_id for p in found.parties} & set(stands_for):
        found.offers = [_offer(offer) for offer in await connection.fetch(OFFERS, world_id, negotiation_id)]
    return found


def _view(row: Any) -> NegotiationView:
    return NegotiationView(**{**dict(row), "parties": orjson.loads(row["parties"])})


def _offer(row: Any) -> OfferView:
    return OfferView(**{**dict(row), "clauses": orjson.loads(row["clauses"])})


async def leans(connection: Any, world_id: UUID, negotiation_id: UUID) -> dict[UUID, float]:
    """What the talks have brought, by faction at the table."""
    rows = await connection.fetch(
        "SELECT faction_id, lean FROM negotiation_parties WHERE world_id = $1 AND negotiation_id = $2",
        world_id, negotiation_id,
    )  # fmt: skip
    return {row["faction_id"]: row["lean"] for row in rows}
