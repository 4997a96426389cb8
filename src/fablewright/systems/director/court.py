"""What statecraft sees of a world: read at once for all its factions, in a number of statements that does not grow.

Beside `views`, since it reads what other systems store in order to decide, not to show. Nothing is locked: the acts
that follow lock and check what they touch.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol, cast
from uuid import UUID

from fablewright.core.clock import DAY
from fablewright.core.transaction import Transaction
from fablewright.systems.characters import service as characters
from fablewright.systems.characters.rules import Traits
from fablewright.systems.diplomacy import battle, evaluator, ladder, perspectives, war_views
from fablewright.systems.diplomacy.clauses import CLAUSE, AnyClause
from fablewright.systems.diplomacy.relations import trust_now
from fablewright.systems.diplomacy.rules import TENSION_HALF_LIFE_DAYS
from fablewright.systems.director.realms import (
    Bond,
    Conflict,
    Demand,
    Embargo,
    Grievance,
    Land,
    League,
    Pact,
    Realm,
    Stage,
    Talk,
)
from fablewright.systems.factions import service as factions
from fablewright.systems.factions.service import ACTS, Faction

REMEMBERED: Final = 360 * DAY
"""So long a rejected ultimatum or a confirmed breach is a reason for more (world ms)."""
TALKS_REMEMBERED: Final = 180 * DAY
"""So long talks that came to nothing keep a faction from trying again (world ms)."""


class Reader(Protocol):
    """What reads: a transaction, or a connection with a world and a time."""

    @property
    def world_id(self) -> UUID:
        """Which world."""
        ...

    @property
    def now(self) -> int:
        """World time in ms."""
        ...

    async def fetch(self, sql: str, *args: Any) -> list[Any]:
        """Rows."""
        ...


@dataclass(slots=True)
class Connected:
    """What reads as a transaction does, of a connection."""

    world_id: UUID
    now: int
    connection: Any

    async def fetch(self, sql: str, *args: Any) -> list[Any]:
        """Rows."""
        return list(await self.connection.fetch(sql, *args))


ROLES: Final = """
SELECT m.faction_id, m.character_id, m.role FROM faction_members m
JOIN factions f ON f.world_id = m.world_id AND f.id = m.faction_id AND f.self_run AND f.dissolved_at IS NULL
WHERE m.world_id = $1 AND m.left_at IS NULL AND m.role IS NOT NULL ORDER BY m.faction_id, m.joined_at, m.character_id
"""
WARLIKE: Final = """
SELECT faction_id, exhaustion, exhaustion_at, aggression, aggression_at, wars FROM warlike WHERE world_id = $1
"""
LANDS: Final = """
SELECT id, name, controller_id, terrain, population, stability FROM regions
WHERE world_id = $1 AND removed_at IS NULL ORDER BY id
"""
BORDERS: Final = "SELECT low_id, high_id FROM borders WHERE world_id = $1"
RELATIONS: Final = """
SELECT low_id, high_id, status, truce_until,
       tension * power(2.0, -least(60.0, greatest(0, $2 - tension_at) / $3::float8)) AS tension
FROM relations WHERE world_id = $1 ORDER BY low_id, high_id
"""
# Modifiers lose half of their size each `half_life_days`, as `relations.left` has it; without one they stay.
OPINIONS: Final = """
SELECT holder_id, about_id, greatest(-100.0, least(100.0, sum(v))) AS opinion,
       greatest(-100.0, least(100.0, coalesce(sum(v) FILTER (WHERE NOT secret), 0.0))) AS shown,
       coalesce(sum(v) FILTER (WHERE key = 'gift'), 0.0) AS gifted,
       min(v) FILTER (WHERE NOT secret) AS worst,
       (array_agg(reason ORDER BY v, id) FILTER (WHERE NOT secret))[1] AS reason,
       (array_agg(event_id ORDER BY v, id) FILTER (WHERE NOT secret))[1] AS event_id
FROM (
    SELECT id, holder_id, about_id, key, reason, event_id, secret, amount * CASE
        WHEN half_life_days IS NULL THEN 1.0
        ELSE power(2.0, -least(60.0, greatest(0, $2 - at) / (half_life_days * $3))) END AS v
    FROM opinions WHERE world_id = $1 AND ended_at IS NULL
) o GROUP BY holder_id, about_id
"""
TRUSTS: Final = "SELECT holder_id, about_id, trust, at FROM trusts WHERE world_id = $1"
# What a war was fought for is over with it.
INCIDENTS: Final = f"""
SELECT {war_views.INCIDENT} FROM incidents i WHERE i.world_id = $1 AND i.closed_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM wars w WHERE w.world_id = $1 AND w.cause_id = i.id)
ORDER BY i.id
"""  # noqa: S608  fixed texts only
WARS: Final = f"SELECT {war_views.WAR} FROM wars WHERE world_id = $1 AND ended_at IS NULL ORDER BY id"  # noqa: S608
TREATIES: Final = """
SELECT t.id, t.name, t.kind, t.secret, t.draft, t.duration_ms, t.state IN ('draft', 'signed_partly') AS open,
       array_agg(p.faction_id) AS parties,
       coalesce(array_agg(p.faction_id) FILTER (WHERE p.signed_at IS NULL), '{}') AS missing,
       coalesce(array_agg(p.faction_id) FILTER (WHERE p.leaves_at IS NOT NULL), '{}') AS leaving
FROM treaties t
JOIN treaty_parties p ON p.world_id = t.world_id AND p.treaty_id = t.id AND p.withdrawn_at IS NULL
WHERE t.world_id = $1 AND t.state IN ('draft', 'signed_partly', 'signed', 'in_force')
GROUP BY t.world_id, t.id ORDER BY t.id
"""
CLAUSES: Final = """
SELECT c.treaty_id, c.type, c.terms ->> 'from_id' AS payer, (c.terms ->> 'amount')::float8 AS amount,
       (c.terms ->> 'every_days')::float8 AS every_days, c.terms ->> 'protector_id' AS protector,
       c.terms ->> 'protected_id' AS protected
FROM treaty_clauses c JOIN treaties t ON t.world_id = c.world_id AND t.id = c.treaty_id
    AND t.state IN ('signed', 'in_force')
WHERE c.world_id = $1 AND c.ended_at IS NULL AND c.type IN ('pay', 'defend')
"""
TERMS: Final = """
SELECT treaty_id, terms::text AS terms FROM treaty_clauses
WHERE world_id = $1 AND treaty_id = ANY($2::uuid[]) AND ended_at IS NULL ORDER BY treaty_id, number
"""
TALKS: Final = """
SELECT n.kind, n.secret, n.state = 'open' AS open, array_agg(p.faction_id) AS parties FROM negotiations n
JOIN negotiation_parties p ON p.world_id = n.world_id AND p.negotiation_id = n.id
WHERE n.world_id = $1 AND (n.state = 'open' OR (n.treaty_id IS NULL AND n.ended_at > $2))
GROUP BY n.world_id, n.id ORDER BY n.id
"""
SANCTIONS: Final = """
SELECT s.id, s.kind, s.target_id, s.incident_id, array_agg(m.faction_id) AS members FROM sanctions s
JOIN sanction_members m ON m.world_id = s.world_id AND m.sanction_id = s.id AND m.left_at IS NULL
WHERE s.world_id = $1 AND s.lifted_at IS NULL GROUP BY s.world_id, s.id ORDER BY s.id
"""
DEMANDS: Final = """
SELECT u.id, u.issuer_id, u.target_id, u.consequence ->> 'kind' AS threat, u.state <> 'issued' AS turned_down,
       coalesce(i.evidence, 0) AS evidence, coalesce(i.severity, 0.5) AS severity,
       coalesce((SELECT sum((d ->> 'amount')::float8) FROM jsonb_array_elements(u.demands) AS d
                 WHERE d ->> 'type' = 'pay' AND d ->> 'from_id' = u.target_id::text), 0) AS sum
FROM ultimatums u LEFT JOIN incidents i ON i.world_id = $1 AND i.id = u.incident_id
WHERE u.world_id = $1 AND (u.state = 'issued' OR (u.state IN ('rejected', 'expired') AND u.closed_at > $2
  AND u.outcome_id IS NULL AND NOT EXISTS (SELECT 1 FROM wars w WHERE w.world_id = $1 AND w.attacker_id = u.issuer_id
                  AND w.defender_id = u.target_id AND w.at >= u.closed_at)))
ORDER BY u.id
"""
LEAGUES: Final = """
SELECT c.id, c.target_id, array_agg(m.faction_id) AS members FROM coalitions c
JOIN coalition_members m ON m.world_id = c.world_id AND m.coalition_id = c.id AND m.left_at IS NULL
WHERE c.world_id = $1 AND c.dissolved_at IS NULL GROUP BY c.world_id, c.id ORDER BY c.id
"""
# Breaches of secret treaties are no reason for war: who named one would publish the treaty.
BROKEN: Final = """
SELECT DISTINCT p.faction_id AS victim, v.faction_id AS breaker FROM treaty_violations v
JOIN treaties t ON t.world_id = v.world_id AND t.id = v.treaty_id AND NOT t.secret
JOIN treaty_parties p ON p.world_id = v.world_id AND p.treaty_id = v.treaty_id AND p.faction_id <> v.faction_id
WHERE v.world_id = $1 AND v.state = 'confirmed' AND v.at > $2
  AND NOT EXISTS (SELECT 1 FROM wars w WHERE w.world_id = $1 AND w.attacker_id = p.faction_id
                  AND w.defender_id = v.faction_id AND w.at >= v.at)
"""
LOST: Final = """
SELECT DISTINCT o.holder_id, r.controller_id FROM occupations o
JOIN regions r ON r.world_id = o.world_id AND r.id = o.region_id AND r.removed_at IS NULL
WHERE o.world_id = $1 AND o.until_at IS NOT NULL AND r.controller_id <> o.holder_id
"""


async def stage(reader: Reader) -> Stage:
    """All that statecraft looks at, as it is now."""
    world_id, now = reader.world_id, reader.now
    tx = cast(Transaction, reader)  # what is called with it only fetches
    standing = await factions.load_all(tx)
    return Stage(
        now=now, realms=await _realms(tx, standing), bonds=await _bonds(reader), lands=await _lands(reader),
        grievances=[_grievance(row) for row in await reader.fetch(INCIDENTS, world_id)],
        wars=await _wars(reader), pacts=await _pacts(reader),
        talks=[
            Talk(r["kind"], frozenset(r["parties"]), r["open"], r["secret"])
            for r in await reader.fetch(TALKS, world_id, now - TALKS_REMEMBERED)
        ],
        sanctions=[
            Embargo(r["id"], r["kind"], r["target_id"], frozenset(r["members"]), r["incident_id"])
            for r in await reader.fetch(SANCTIONS, world_id)
        ],
        demands=[
            Demand(
                r["id"], r["issuer_id"], r["target_id"], r["threat"] or "", int(r["sum"]), r["turned_down"],
                r["evidence"], r["severity"],
            )
            for r in await reader.fetch(DEMANDS, world_id, now - REMEMBERED)
        ],
        leagues=[
            League(r["id"], r["target_id"], frozenset(r["members"])) for r in await reader.fetch(LEAGUES, world_id)
        ],
        broken=frozenset(
            (r["victim"], r["breaker"]) for r in await reader.fetch(BROKEN, world_id, now - REMEMBERED)
        ),
        lost=frozenset((r["holder_id"], r["controller_id"]) for r in await reader.fetch(LOST, world_id)),
    )  # fmt: skip


async def _realms(tx: Transaction, standing: Iterable[Faction]) -> dict[UUID, Realm]:
    found = {faction.id: faction for faction in standing}
    leaders = await characters.peek(tx, {f.leader_id for f in found.values() if f.leader_id is not None})
    powers = await factions.powers(tx, tx.world_id, list(found), tx.now)
    treasuries = await factions.balances(tx, list(found))
    able = await _able(tx, found)
    warlike = {row["faction_id"]: row for row in await tx.fetch(WARLIKE, tx.world_id)}
    realms = {}
    for faction_id, f in found.items():
        row, power = warlike.get(faction_id), powers.get(faction_id)
        leader = leaders.get(f.leader_id) if f.leader_id else None
        realms[faction_id] = Realm(
            faction_id, f.name, f.self_run, f.traits, leader.traits if leader else Traits(), f.leader_id, f.ideology,
            power.military if power else 0.0, power.without_treasury().economic if power else 0.0, f.strength,
            treasuries.get(faction_id, 0), f.currency, f.reputation_now(tx.now),
            war_views.exhaustion_of(row, tx.now) if row else 0.0,
            battle.aggression_now(row["aggression"], row["aggression_at"], tx.now) if row else 0.0,
            row["wars"] if row else 0, able.get(faction_id, {}),
        )  # fmt: skip
    return realms


async def _able(tx: Transaction, found: Mapping[UUID, Faction]) -> dict[UUID, dict[str, UUID]]:
    """By faction and act, who does it: of those whose role may, who may do the least besides (the specialist)."""
    able: dict[UUID, dict[str, tuple[int, UUID]]] = {}
    for row in await tx.fetch(ROLES, tx.world_id):
        faction = found.get(row["faction_id"])
        if faction is None:
            continue
        acts = [act for act in ACTS if faction.may(row["role"], act)]
        mine = able.setdefault(faction.id, {})
        for act in acts:
            if act not in mine or len(acts) < mine[act][0]:
                mine[act] = (len(acts), row["character_id"])
    return {i: {act: who for act, (_, who) in mine.items()} for i, mine in able.items()}


async def _bonds(reader: Reader) -> dict[tuple[UUID, UUID], Bond]:
    world_id, now = reader.world_id, reader.now
    opinions = {
        (r["holder_id"], r["about_id"]): r for r in await reader.fetch(OPINIONS, world_id, now, float(DAY))
    }
    trusts = {
        (r["holder_id"], r["about_id"]): trust_now(r["trust"], r["at"], now)
        for r in await reader.fetch(TRUSTS, world_id)
    }
    bonds: dict[tuple[UUID, UUID], Bond] = {}
    for row in await reader.fetch(RELATIONS, world_id, now, TENSION_HALF_LIFE_DAYS * DAY):
        truce = row["truce_until"] is not None and now < row["truce_until"]
        for me, other in ((row["low_id"], row["high_id"]), (row["high_id"], row["low_id"])):
            mine, theirs = opinions.get((me, other)), opinions.get((other, me))
            ill = mine if mine is not None and (mine["worst"] or 0.0) < -2.0 else None
            real, shown = _opinions(mine, theirs, "opinion"), _opinions(mine, theirs, "shown")
            bonds[me, other] = Bond(
                *real, trusts.get((me, other), 0.5), row["tension"], row["status"], truce,
                ill["reason"] if ill else "", ill["event_id"] if ill else None, theirs["gifted"] if theirs else 0.0,
                None if shown == real else shown,
            )  # fmt: skip
    return bonds


def _opinions(mine: Any, theirs: Any, column: str) -> tuple[float, float]:
    return mine[column] if mine else 0.0, theirs[column] if theirs else 0.0


async def _lands(reader: Reader) -> dict[UUID, Land]:
    near: dict[UUID, set[UUID]] = {}
    for row in await reader.fetch(BORDERS, reader.world_id):
        near.setdefault(row["low_id"], set()).add(row["high_id"])
        near.setdefault(row["high_id"], set()).add(row["low_id"])
    return {
        r["id"]: Land(
            r["id"], r["name"], r["controller_id"], r["terrain"], r["population"], r["stability"],
            frozenset(near.get(r["id"], ())),
        )
        for r in await reader.fetch(LANDS, reader.world_id)
    }  # fmt: skip


def _grievance(row: Any) -> Grievance:
    seen = war_views.incident_of(row)
    return Grievance(
        row["id"], row["kind"], row["injured_id"], row["accused_id"], row["severity"], row["evidence"], row["state"],
        row["rung"], row["answer"], row["answer_by"], row["at"],
        ladder.reparation_due(row["kind"], row["severity"], row["rung"]), tuple(ladder.legal_answers(seen)),
    )  # fmt: skip


async def _wars(reader: Reader) -> list[Conflict]:
    rows = await reader.fetch(WARS, reader.world_id)
    ids = [row["id"] for row in rows]
    parties: dict[UUID, list[Any]] = {}
    taken: dict[UUID, list[Any]] = {}
    for party in await reader.fetch(war_views.PARTIES, reader.world_id, ids):
        parties.setdefault(party["war_id"], []).append(party)
    for occupied in await reader.fetch(war_views.OCCUPATIONS, reader.world_id, ids):
        taken.setdefault(occupied["war_id"], []).append(occupied)
    return [_war(row, parties.get(row["id"], []), taken.get(row["id"], []), reader.now) for row in rows]


def _war(row: Any, parties: list[Any], taken: list[Any], now: int) -> Conflict:
    return Conflict(
        row["id"], row["name"], row["attacker_id"], row["defender_id"],
        war_views.score_of(row, parties, taken, now).value, row["at"], row["legitimacy"],
        {p["faction_id"]: p["side"] for p in parties if p["state"] == "fighting"},
        {p["faction_id"]: p["called_by_id"] for p in parties if p["state"] == "called" and p["called_by_id"]},
        frozenset(p["faction_id"] for p in parties),
        {o["region_id"]: o["occupier_id"] for o in taken if o["until_at"] is None},
    )  # fmt: skip


async def _pacts(reader: Reader) -> list[Pact]:
    dues: dict[UUID, dict[UUID, float]] = {}
    defends: dict[UUID, set[tuple[UUID, UUID]]] = {}
    for c in await reader.fetch(CLAUSES, reader.world_id):
        if c["type"] == "defend":
            defends.setdefault(c["treaty_id"], set()).add((UUID(c["protector"]), UUID(c["protected"])))
        elif c["every_days"]:
            owed = dues.setdefault(c["treaty_id"], {})
            payer = UUID(c["payer"])
            owed[payer] = owed.get(payer, 0.0) + c["amount"] * 30.0 / c["every_days"]
    return [
        Pact(
            r["id"], r["name"], r["kind"], frozenset(r["parties"]), dues.get(r["id"], {}),
            frozenset(defends.get(r["id"], ())), frozenset(r["leaving"]), frozenset(r["missing"]), r["open"],
            r["secret"], r["draft"], None if r["duration_ms"] is None else max(1, r["duration_ms"] // DAY),
        )
        for r in await reader.fetch(TREATIES, reader.world_id)
    ]  # fmt: skip


async def read_drafts(tx: Transaction, stage: Stage) -> Stage:
    """The same with what drafts are worth to who runs itself and has not signed, as its evaluator judges."""
    drafts = {p.id: p for p in stage.pacts if p.open and any(_by_itself(stage, i) for i in p.missing)}
    if not drafts:
        return stage
    offers: dict[UUID, list[AnyClause]] = {i: [] for i in drafts}
    for row in await tx.fetch(TERMS, tx.world_id, sorted(drafts)):
        offers[row["treaty_id"]].append(CLAUSE.validate_json(row["terms"]))
    clauses = [clause for offer in offers.values() for clause in offer]
    seen = await perspectives.scene(tx, [p.parties for p in drafts.values()], clauses)
    for pact in drafts.values():
        views, offer = seen.views(sorted(pact.parties), {}), offers[pact.id]
        terms = {
            i: evaluator.terms(views[i], offer, pact.days) for i in pact.missing
            if _by_itself(stage, i) and evaluator.acceptable(views[i], offer, pact.days)
        }  # fmt: skip
        drafts[pact.id] = replace(pact, terms=terms)
    return replace(stage, pacts=[drafts.get(p.id, p) for p in stage.pacts])


def _by_itself(stage: Stage, faction_id: UUID) -> bool:
    return faction_id in stage.realms and stage.realms[faction_id].self_run
