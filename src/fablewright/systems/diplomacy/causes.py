"""Whether a cause for war is what it says to be, and how just the war seems; beside `wars`, which asks it.

What each cause is worth in numbers is decided by `battle`.
"""

from typing import Any, Final
from uuid import UUID

from fablewright.core.clock import DAY
from fablewright.core.transaction import Transaction
from fablewright.systems.diplomacy import battle, ladder, war_views
from fablewright.systems.diplomacy.service import peek as peek_relations
from fablewright.systems.diplomacy.treaty_states import obligations
from fablewright.systems.factions.rules import Faction

FOUNDED: Final = {
    "ultimatum_rejected": "SELECT u.id, coalesce(i.evidence, 0) AS evidence, coalesce(i.severity, 0.5) AS severity "
    "FROM ultimatums u LEFT JOIN incidents i ON i.world_id = $1 AND i.id = u.incident_id "
    "WHERE u.world_id = $1 AND u.issuer_id = $2 AND u.target_id = $3 AND ($4::uuid IS NULL OR u.id = $4) "
    "AND u.state IN ('rejected', 'expired') AND u.outcome_id IS NULL AND u.closed_at >= $5 ORDER BY u.id DESC LIMIT 1",
    "coalition": "SELECT c.id FROM coalitions c JOIN coalition_members m ON m.world_id = $1 AND m.coalition_id = c.id "
    "AND m.faction_id = $2 AND m.left_at IS NULL WHERE c.world_id = $1 AND c.target_id = $3 "
    "AND c.dissolved_at IS NULL AND ($4::uuid IS NULL OR c.id = $4)",
    "reconquest": "SELECT r.id FROM occupations o JOIN regions r ON r.world_id = $1 AND r.id = o.region_id "
    "AND r.controller_id = $3 WHERE o.world_id = $1 AND o.holder_id = $2 AND ($4::uuid IS NULL OR r.id = $4) "
    "ORDER BY o.id DESC LIMIT 1",
    "defence": "SELECT w.id FROM wars w JOIN war_parties d ON d.world_id = $1 AND d.war_id = w.id "
    "AND d.faction_id = $3 AND d.side = 'attacker' AND d.state = 'fighting' "
    "JOIN war_parties p ON p.world_id = $1 AND p.war_id = w.id AND p.side = 'defender' "
    "AND p.state = 'fighting' JOIN relations r ON r.world_id = $1 "
    "AND r.low_id = least(p.faction_id, $2) AND r.high_id = greatest(p.faction_id, $2) AND r.status = 'allied' "
    "WHERE w.world_id = $1 AND w.ended_at IS NULL AND ($4::uuid IS NULL OR w.id = $4) ORDER BY w.id DESC LIMIT 1",
    "broken_treaty": "SELECT v.treaty_id AS id FROM treaty_violations v JOIN treaty_parties p ON p.world_id = $1 "
    "AND p.treaty_id = v.treaty_id AND p.faction_id = $2 "
    "JOIN treaties t ON t.world_id = $1 AND t.id = v.treaty_id AND NOT t.secret "
    "WHERE v.world_id = $1 AND v.faction_id = $3 AND ($4::uuid IS NULL OR v.treaty_id = $4) "
    "AND v.state = 'confirmed' AND v.at >= $5 ORDER BY v.id DESC LIMIT 1",
}  # fmt: skip
"""By cause, what gives it to $2 against $3: the one named as $4, or any ($5: since when it counts).

All see the cause of a war: what only the parties of a secret treaty know of is none.
"""
GROWS_OLD: Final = ("ultimatum_rejected", "broken_treaty")
"""Causes that are reason for war for a while only."""
FRESH_FOR: Final = 720 * DAY
"""For so long (world ms)."""

COALITIONS: Final = """
SELECT DISTINCT m.faction_id FROM coalitions c
JOIN coalition_members mine ON mine.world_id = $1 AND mine.coalition_id = c.id AND mine.faction_id = $2
    AND mine.left_at IS NULL
JOIN coalition_members m ON m.world_id = $1 AND m.coalition_id = c.id AND m.faction_id <> $2 AND m.left_at IS NULL
WHERE c.world_id = $1 AND c.target_id = $3 AND c.dissolved_at IS NULL ORDER BY m.faction_id
"""


async def legitimacy(
    tx: Transaction, attacker: Faction, defender: Faction, cause: str, cause_id: UUID | None
) -> tuple[battle.Legitimacy, UUID | None]:
    """How just it seems, and what the cause is, if it is what it says to be. Refuses `cause_unfounded`."""
    known = await peek_relations(tx, tx.world_id, tx.now, [(attacker.id, defender.id)])
    facts: dict[str, Any] = {
        "tension": known.tension(attacker.id, defender.id),
        "strength_ratio": (1 + attacker.strength) / (1 + defender.strength),
    }
    pair = {"attacker_id": str(attacker.id), "defender_id": str(defender.id), "cause": cause}
    found: Any = True
    if cause == "incident":
        found = await tx.fetchrow(
            f"SELECT {war_views.INCIDENT} FROM incidents "  # noqa: S608
            "WHERE world_id = $1 AND id = $2 AND injured_id = $3 AND accused_id = $4",
            tx.world_id, cause_id, attacker.id, defender.id,
        )  # fmt: skip
        if found is not None and not ladder.casus_belli(war_views.incident_of(found)):
            raise battle.CAUSE_UNFOUNDED(
                "Only an open incident from the rung of sanctions on is a reason for war.", **pair,
                rung=ladder.LADDER[found["rung"]], state=found["state"],
            )  # fmt: skip
        if found is not None:
            facts |= {
                "evidence": found["evidence"], "severity": found["severity"], "tried": found["tried"],
                "rung": found["rung"] / ladder.TOP,
            }  # fmt: skip
    elif cause in FOUNDED:
        since = (tx.now - FRESH_FOR,) if cause in GROWS_OLD else ()
        found = await tx.fetchrow(FOUNDED[cause], tx.world_id, attacker.id, defender.id, cause_id, *since)
        if found is not None and cause == "ultimatum_rejected":
            facts |= {"tried": 1, "evidence": found["evidence"], "severity": found["severity"]}
    elif cause == "ideology":
        found = any(abs(x - defender.ideology.get(axis, x)) >= 1 for axis, x in attacker.ideology.items())
    if not found:
        raise battle.CAUSE_UNFOUNDED(**pair)
    return battle.legitimacy(cause, **facts), None if found is True else found["id"]


async def bound_to_come(
    tx: Transaction, attacker_id: UUID, defender_id: UUID, cause: str
) -> dict[tuple[UUID, UUID], bool]:
    """Who is bound to come in a war of these two for this cause, by clauses in force or a common coalition.

    By (caller, called), whether all know of it: what only secret treaties promise, the two know alone.
    The defender calls whoever promised to defend or support it and its coalition against the attacker; the attacker
    whoever promised to support it in such a war, and, in a war for it, its coalition against the defender.
    """
    found: dict[tuple[UUID, UUID], bool] = {}
    for owed in await obligations(tx, tx.world_id, [attacker_id, defender_id], ("defend", "support_in_war")):
        clause: Any = owed.clause
        if owed.clause.type == "defend":
            caller, called, against = clause.protected_id, clause.protector_id, attacker_id
            if caller != defender_id:
                continue
        else:
            caller, called, against = clause.ally_id, clause.faction_id, clause.against_id
            enemy = {attacker_id: defender_id, defender_id: attacker_id}.get(caller)
            if enemy is None or against not in (None, enemy):
                continue
        if called not in (attacker_id, defender_id):
            found[caller, called] = found.get((caller, called), False) or not owed.secret
    common = [(defender_id, attacker_id)]
    if cause == "coalition":
        common.append((attacker_id, defender_id))
    for caller, enemy in common:
        for row in await tx.fetch(COALITIONS, tx.world_id, caller, enemy):
            found[caller, row["faction_id"]] = True
    return dict(sorted(found.items(), key=lambda item: (item[0][0] != defender_id, item[0])))


async def promised(
    tx: Transaction, war: Any, faction_id: UUID, caller_id: UUID, against_id: UUID
) -> bool | None:
    """Whether all know that a faction promised to come to a war when this party of it calls; None if it did not.

    Of all who fight there only the defender was attacked: an ally came of its own will, whichever side it is on.
    """
    if caller_id == war["defender_id"]:
        sides, cause = (against_id, caller_id), war["cause"]
    else:
        sides, cause = (caller_id, against_id), war["cause"] if caller_id == war["attacker_id"] else ""
    return (await bound_to_come(tx, *sides, cause)).get((caller_id, faction_id))
