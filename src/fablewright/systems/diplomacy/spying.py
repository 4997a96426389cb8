"""Spies look for secret treaties. Who finds one brings it to light; who is caught is an incident.

Apart from `treaties`, which knows nothing of incidents. Rumours, the other way on which secrets come out, are heard in
`renown`.
"""

from typing import Any, Final
from uuid import UUID

from fablewright.core.actors import system_actor
from fablewright.core.clock import DAY
from fablewright.core.system import Handler
from fablewright.core.transaction import Transaction
from fablewright.systems.characters import service as characters
from fablewright.systems.diplomacy import incidents
from fablewright.systems.diplomacy.incidents import Happening
from fablewright.systems.diplomacy.treaty_commands import (
    SPIES_ON_ITSELF,
    SPY_STILL_OUT,
    RevealTreaty,
    SpyOnFaction,
)
from fablewright.systems.diplomacy.treaty_events import SpyReturned
from fablewright.systems.factions import service as factions

SKILLS: Final = ("espionage", "stealth", "deception")
"""Of these skills (0..100) of the spy the best counts."""
UNSKILLED: Final = 20.0
NEEDED: Final = 50.0
"""Half of a roll of 1..100 and half of the skill must come to so much to find something."""
CAUGHT_BELOW: Final = 30.0
SEVERITY: Final = 0.4
AGAIN_AFTER: Final = 10 * DAY
"""World ms between two attempts of one faction on another."""

LAST: Final = """
SELECT at FROM events
WHERE world_id = $1 AND type = 'diplomacy.spied' AND about @> $2::uuid[] AND data ->> 'faction_id' = $3
ORDER BY seq DESC LIMIT 1
"""
HIDDEN: Final = """
SELECT t.id FROM treaties t
JOIN treaty_parties p ON p.world_id = $1 AND p.treaty_id = t.id AND p.faction_id = $2 AND p.withdrawn_at IS NULL
WHERE t.world_id = $1 AND t.secret AND t.state = 'in_force' AND NOT EXISTS (
    SELECT 1 FROM treaty_parties o WHERE o.world_id = $1 AND o.treaty_id = t.id AND o.faction_id = $3)
ORDER BY t.agreed_at, t.id LIMIT 1
"""


async def spy(tx: Transaction, command: SpyOnFaction) -> dict[str, Any]:
    """Look for what a faction has agreed on in secret: skill and dice decide what comes of it."""
    me, target = command.faction_id, command.target_id
    if me == target:
        raise SPIES_ON_ITSELF(faction_id=str(me))
    faction = await factions.may(tx, me, command.character_id, "spy")
    await factions.require(tx, [me, target])
    last = await tx.fetchval(LAST, tx.world_id, [me, target], str(me))
    if last is not None and last + AGAIN_AFTER > tx.now:
        raise SPY_STILL_OUT(from_ms=last + AGAIN_AFTER)
    skill = await _skill(tx, command.character_id or faction.leader_id)
    roll = tx.dice.whole(1, 100)
    score = 0.5 * roll + 0.5 * skill
    found = await tx.fetchval(HIDDEN, tx.world_id, target, me) if score >= NEEDED else None
    told = tx.emit(
        SpyReturned(
            faction_id=me, target_id=target, by_id=command.character_id, roll=roll, skill=skill, score=score,
            needed=NEEDED, treaty_id=found, caught=score < CAUGHT_BELOW,
        )
    )  # fmt: skip
    if found is not None:
        reveal = RevealTreaty(treaty_id=found, how=f"a spy of {faction.name} found it out"[:500])
        await tx.perform([reveal], actor=system_actor("diplomacy"), causes=[told])
    if score < CAUGHT_BELOW:
        caught = Happening(
            "spying", target, me, SEVERITY, description="A spy was caught.", by_id=command.character_id
        )
        await incidents.occur(tx, caught, cause=told)
    return {"treaty_id": None if found is None else str(found), "caught": score < CAUGHT_BELOW}


async def _skill(tx: Transaction, character_id: UUID | None) -> float:
    if character_id is None:
        return UNSKILLED
    spies = await characters.peek(tx, [character_id])
    skills = spies[character_id].skills if character_id in spies else {}
    return max(float(skills.get(name, UNSKILLED)) for name in SKILLS)


HANDLERS = (Handler(SpyOnFaction, one=spy),)
"""Who looks for secrets."""
