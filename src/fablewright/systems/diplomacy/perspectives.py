"""How a faction sees those it negotiates with: what it judges their offers by, and how that is read.

Nobody knows what is in the treasury of another one, neither by its power nor by what it could pay: of others a faction
sees what all can see, and what it takes to be in their purse is a round number.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast
from uuid import UUID

from fablewright.core.transaction import Transaction
from fablewright.systems.characters import service as characters
from fablewright.systems.characters.service import CharacterState
from fablewright.systems.diplomacy import evaluator, service, war_views
from fablewright.systems.diplomacy.clauses import AnyClause, HandOver, KeepOut, NoTrade
from fablewright.systems.diplomacy.evaluator import Counterpart, FactionView, Leader, Temper
from fablewright.systems.diplomacy.relations import Book
from fablewright.systems.diplomacy.stakes import need_of_money, roughly, wealth
from fablewright.systems.factions import service as factions
from fablewright.systems.factions.rules import TRADE_DAYS
from fablewright.systems.factions.service import Faction, Member, Power

FAVOUR: Final = "favour"
"""Opinions whose key begins so are debts: who holds one owes something to whom it is about."""
OWED_AT_MOST: Final = 50.0
"""Points of such opinions from which one owes as much as can be owed."""


PURSES: Final = """
SELECT owner_id, currency, balance - held AS spendable FROM ledger_accounts
WHERE world_id = $1 AND owner_id = ANY($2::uuid[]) AND currency = ANY($3::text[])
"""


# -- what is judged by -------------------------------------------------------------------------------------------


def share(powers: Mapping[UUID, Power], of: UUID, beside: UUID) -> float:
    """The share of one of two in the power of both, 0..1, as all can see it: arms, and a fifth of the goods."""
    seen = [powers[i].without_treasury() if i in powers else None for i in (of, beside)]
    a, b = (p.military + 0.2 * p.economic if p else 0.0 for p in seen)
    return a / (a + b) if a + b > 0 else 0.5


def needs(
    faction: Faction, others: Sequence[UUID], book: Book, powers: Mapping[UUID, Power], treasury: int
) -> dict[str, float]:
    """What a faction is short of, each 0..1, as far as those at the table show it."""
    me = faction.id
    at_war = any(book.status(me, other) == "war" for other in others)
    threat = max((book.tension(me, o) / 100 * share(powers, o, me) * 2 for o in others), default=0.0)
    income = powers[me].economic if me in powers else 0.0
    return {
        "money": need_of_money(treasury, income),
        "security": min(1.0, threat + 0.5 * at_war),
        "peace": 0.4 + 0.6 * max(share(powers, o, me) for o in others) if at_war and others else 0.2,
        "trade": faction.traits.mercantile * 0.6,
        "knowledge": 0.2,
        "aid": 0.8 if at_war else 0.2,
    }


def _temper(faction: Faction) -> Temper:
    t = faction.traits
    return Temper(t.aggressive, t.honourable, t.mercantile, t.isolationist)


def _leader(leader: CharacterState | None) -> Leader:
    if leader is None:
        return Leader()
    t = leader.traits
    return Leader(t.openness, t.conscientiousness, t.extraversion, t.agreeableness, t.neuroticism)


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
GOODS: Final = "SELECT key FROM goods WHERE world_id = $1 AND key = ANY($2::text[])"
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
    purses: dict[tuple[UUID, str], int]
    """What each can spend, by faction and currency."""
    leaders: dict[UUID, CharacterState]
    lost: dict[UUID, set[UUID]]
    wars: list[War]
    members: dict[UUID, Member]
    holders: dict[UUID, UUID | None]
    goods: frozenset[str]
    """Those that are traded, of those that are spoken of."""

    def views(self, ids: Sequence[UUID], leans: Mapping[UUID, float]) -> dict[UUID, FactionView]:
        """How each of the factions at a table sees the others. `leans` is what the talks have brought."""
        known = {i: self.factions[i] for i in sorted(set(ids)) if i in self.factions}
        return {me: self._view(faction, list(known), leans.get(me, 0.0)) for me, faction in known.items()}

    def _view(self, faction: Faction, ids: Sequence[UUID], lean: float) -> FactionView:
        me = faction.id
        treasury = self.purses.get((me, faction.currency), 0)
        month = self.powers[me].economic if me in self.powers else 0.0
        others = [i for i in ids if i != me]
        fights = [w for w in self.wars if any(self._against(w, me, i) for i in others)]
        return FactionView(
            id=me, others={i: self._counterpart(faction, self.factions[i]) for i in others},
            temper=_temper(faction), leader=_leader(self.leaders.get(faction.leader_id or me)),
            leader_id=faction.leader_id, treasury=treasury, wealth=wealth(treasury, month),
            currency=faction.currency, needs=needs(faction, others, self.book, self.powers, treasury),
            people={(m.faction_id, i): 0.9 if m.role else 0.15 for i, m in self.members.items()},
            lands=self._lands(me, ids, fights), goods=self.goods,
            weariness=max((w.weariness.get(me, 0.0) for w in fights), default=0.0), lean=lean,
            lost=frozenset(self.lost.get(me, ())),
        )  # fmt: skip

    def _lands(self, me: UUID, ids: Sequence[UUID], fights: Sequence["War"]) -> dict[UUID, float]:
        """What regions are worth to a faction: its own and those fought for most, then those of the others here."""
        found = {r: 0.9 if holder == me else 0.5 for r, holder in self.holders.items() if holder in ids}
        return found | {region: 0.9 for w in fights for by, region, of in w.taken if me in (by, of)}

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
            tension=book.tension(me, other.id), power=share(self.powers, other.id, me),
            owed=max(-1.0, min(1.0, owed / OWED_AT_MOST)),
            means=roughly(self.purses.get((other.id, faction.currency), 0)),
            income=self._income(other.id) if other.currency == faction.currency else 0.0,
            war=max((w.scores[me] for w in fights), key=abs, default=0.0),
            taken=tuple(r for w in fights for by, r, of in w.taken if (by, of) == (me, other.id)),
            given=tuple(r for w in fights for by, r, of in w.taken if (by, of) == (other.id, me)),
        )  # fmt: skip

    def _income(self, of: UUID) -> float:
        """What the lands of a faction yield in a day, as all can see."""
        return self.powers[of].without_treasury().economic / TRADE_DAYS if of in self.powers else 0.0


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
    goods = {c.good for c in offer if isinstance(c, NoTrade) and c.good is not None}
    lost: dict[UUID, set[UUID]] = {}
    for row in await tx.fetch(LOST, tx.world_id, ids, tx.now - evaluator.FORGETS_AFTER_MS):
        lost.setdefault(row["from_id"], set()).add(row["mark"])
    currencies = sorted({f.currency for f in found.values()})
    purses = {(r["owner_id"], r["currency"]): r["spendable"]
              for r in await tx.fetch(PURSES, tx.world_id, ids, currencies)}  # fmt: skip
    at_war = sorted({i for pair in book.pairs if book.status(*pair) == "war" for i in pair})
    return Scene(
        found, book, await factions.powers(tx, tx.world_id, ids, tx.now), purses,
        await characters.peek(tx, leaders) if leaders else {}, lost, await _wars(tx, at_war) if at_war else [],
        await factions.memberships(tx, subjects) if subjects else {},
        {r["id"]: r["controller_id"] for r in await tx.fetch(HOLDERS, tx.world_id, sorted(regions))}
        if regions else {},
        frozenset(r["key"] for r in await tx.fetch(GOODS, tx.world_id, sorted(goods)))
        if goods else frozenset(),
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
