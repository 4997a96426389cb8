"""What is read of negotiations, and how a faction sees those it negotiates with."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast
from uuid import UUID

import orjson
from pydantic import BaseModel

from fablewright.core.transaction import Transaction
from fablewright.systems.characters import service as characters
from fablewright.systems.characters.service import CharacterState
from fablewright.systems.diplomacy import evaluator, service, war_views
from fablewright.systems.diplomacy.clauses import AnyClause, HandOver, KeepOut
from fablewright.systems.diplomacy.evaluator import Counterpart, Evaluation, FactionView, Leader, Temper
from fablewright.systems.diplomacy.nego_events import PartOfUtility
from fablewright.systems.diplomacy.relations import Book
from fablewright.systems.factions import service as factions
from fablewright.systems.factions.service import Faction, Member, Power

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


WARS: Final = """
SELECT w.id, w.battle_score FROM wars w WHERE w.world_id = $1 AND w.ended_at IS NULL AND w.id IN (
    SELECT p.war_id FROM war_parties p
    WHERE p.world_id = $1 AND p.faction_id = ANY($2::uuid[]) AND p.state = 'fighting'
)
ORDER BY w.id
"""
HOLDERS: Final = "SELECT id, controller_id FROM regions WHERE world_id = $1 AND id = ANY($2::uuid[])"


@dataclass(slots=True)
class War:
    """A war in which factions at the table fight each other: how it stands for each, and what was taken."""

    scores: dict[UUID, float]
    """By party that fights, how the war stands for it (-100..100)."""
    sides: dict[UUID, str]
    weariness: dict[UUID, float]
    taken: list[tuple[UUID, UUID, UUID]]
    """Who took which region from whom."""


@dataclass(slots=True)
class Scene:
    """All that factions judge offers by, as it was read at once for any number of tables."""

    factions: dict[UUID, Faction]
    book: Book
    powers: dict[UUID, Power]
    treasuries: dict[UUID, int]
    leaders: dict[UUID, CharacterState]
    lost: dict[UUID, set[UUID]]
    wars: list[War]
    members: dict[UUID, Member]
    holders: dict[UUID, UUID | None]

    def views(self, ids: Sequence[UUID], leans: Mapping[UUID, float]) -> dict[UUID, FactionView]:
        """How each of the factions at a table sees the others. `leans` is what the talks have brought."""
        known = {i: self.factions[i] for i in sorted(set(ids)) if i in self.factions}
        return {me: self._view(faction, list(known), leans.get(me, 0.0)) for me, faction in known.items()}

    def _view(self, faction: Faction, ids: Sequence[UUID], lean: float) -> FactionView:
        me, treasury = faction.id, self.treasuries.get(faction.id, 0)
        others = [i for i in ids if i != me]
        fights = [w for w in self.wars if any(self._against(w, me, i) for i in others)]
        return FactionView(
            id=me, others={i: self._counterpart(faction, self.factions[i]) for i in others},
            temper=_temper(faction), leader=_leader(self.leaders.get(faction.leader_id or me)),
            leader_id=faction.leader_id, treasury=treasury, wealth=_wealth(treasury, self.powers.get(me)),
            currency=faction.currency, needs=_needs(faction, others, self.book, self.powers, treasury),
            people={i: 0.9 if m.role else 0.5 for i, m in self.members.items() if m.faction_id == me},
            lands={region: 0.9 for region, holder in self.holders.items() if holder == me},
            weariness=max((w.weariness.get(me, 0.0) for w in fights), default=0.0), lean=lean,
            lost=frozenset(self.lost.get(me, ())),
        )  # fmt: skip

    @staticmethod
    def _against(war: War, me: UUID, other: UUID) -> bool:
        return me in war.sides and other in war.sides and war.sides[me] != war.sides[other]

    def _counterpart(self, faction: Faction, other: Faction) -> Counterpart:
        me, book = faction.id, self.book
        owed = sum(p.amount for p in book.parts(me, other.id) if p.key.startswith(FAVOUR)) - sum(
            p.amount for p in book.parts(other.id, me) if p.key.startswith(FAVOUR)
        )
        fights = [w for w in self.wars if self._against(w, me, other.id)]
        return Counterpart(
            id=other.id, name=other.name, opinion=book.opinion(me, other.id), trust=book.trusted(me, other.id),
            tension=book.tension(me, other.id), power=_share(self.powers, other.id, me),
            owed=max(-1.0, min(1.0, owed / OWED_AT_MOST)),
            means=self.treasuries.get(other.id, 0) if other.currency == faction.currency else 0,
            war=max((w.scores[me] for w in fights), key=abs, default=0.0),
            taken=tuple(r for w in fights for by, r, of in w.taken if (by, of) == (me, other.id)),
            given=tuple(r for w in fights for by, r, of in w.taken if (by, of) == (other.id, me)),
        )  # fmt: skip


async def scene(
    tx: Transaction, tables: Iterable[Collection[UUID]], offer: Sequence[AnyClause] = ()
) -> Scene:
    """What the factions at these tables judge by, not locked: as many statements for one table as for a hundred."""
    pairs = {(a, b) for table in tables for a in table for b in table if a < b}
    ids = sorted({i for pair in pairs for i in pair})
    found = await factions.load(tx, ids, lock=False)
    book = await service.peek(tx, tx.world_id, tx.now, (p for p in pairs if found.keys() >= set(p)))
    leaders = {f.leader_id for f in found.values() if f.leader_id is not None}
    subjects = {c.character_id for c in offer if isinstance(c, HandOver)}
    regions = {c.region_id for c in offer if isinstance(c, KeepOut)}
    lost: dict[UUID, set[UUID]] = {}
    for row in await tx.fetch(LOST, tx.world_id, ids, tx.now - evaluator.FORGETS_AFTER_MS):
        lost.setdefault(row["from_id"], set()).add(row["mark"])
    at_war = sorted({i for pair in book.pairs if book.status(*pair) == "war" for i in pair})
    return Scene(
        found, book, await factions.powers(tx, tx.world_id, ids, tx.now), await factions.balances(tx, ids),
        await characters.peek(tx, leaders) if leaders else {}, lost, await _wars(tx, at_war) if at_war else [],
        await factions.memberships(tx, subjects) if subjects else {},
        {r["id"]: r["controller_id"] for r in await tx.fetch(HOLDERS, tx.world_id, sorted(regions))}
        if regions else {},
    )  # fmt: skip


async def _wars(tx: Transaction, ids: Sequence[UUID]) -> list[War]:
    """The wars that go on in which some of these factions fight."""
    rows = await tx.fetch(WARS, tx.world_id, ids)
    wanted = [row["id"] for row in rows]
    parties = await tx.fetch(war_views.PARTIES, tx.world_id, wanted) if wanted else []
    occupations = await tx.fetch(war_views.OCCUPATIONS, tx.world_id, wanted) if wanted else []
    found = []
    for row in rows:
        own = [p for p in parties if p["war_id"] == row["id"]]
        standing = [o for o in occupations if o["war_id"] == row["id"] and o["until_at"] is None]
        score = war_views.score_of(row, own, standing, tx.now).value
        fight = {p["faction_id"]: p for p in own if p["state"] == "fighting"}
        found.append(
            War(
                {i: score if p["side"] == "attacker" else -score for i, p in fight.items()},
                {i: p["side"] for i, p in fight.items()},
                {i: war_views.exhaustion_of(p, tx.now) for i, p in fight.items()},
                [(o["occupier_id"], o["region_id"], o["holder_id"]) for o in standing],
            )
        )
    return found


async def perspectives(
    tx: Transaction, ids: Sequence[UUID], leans: Mapping[UUID, float], offer: Sequence[AnyClause] = ()
) -> dict[UUID, FactionView]:
    """How each of these factions sees the others, not locked. `leans` is what talks have brought, by faction."""
    return (await scene(tx, [ids], offer)).views(ids, leans)


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


def _share(powers: Mapping[UUID, Power], of: UUID, beside: UUID) -> float:
    a, b = (powers[i].military + 0.2 * powers[i].economic if i in powers else 0.0 for i in (of, beside))
    return a / (a + b) if a + b > 0 else 0.5


def _needs(
    faction: Faction, others: Sequence[UUID], book: Book, powers: Mapping[UUID, Power], treasury: int
) -> dict[str, float]:
    """What a faction is short of, each 0..1, as far as those at the table show it."""
    me = faction.id
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
