"""Treaties of peace end wars: what follows from one in force, whoever signed it and however it came about.

Apart from `wars` and `treaties`, of which neither knows the other. A treaty of kind `peace` or `ceasefire` ends the
open wars whose two leaders are parties of it; an ally that signs one with the leader of its enemies leaves the war.

A `ceasefire` leaves to each what it has taken. After a `peace` the regions go back to who held them before, but for
those that it leaves to who took them: a clause keeps their former holder out.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from fablewright.core.system import Reaction
from fablewright.core.transaction import EventRecord, Transaction
from fablewright.systems.diplomacy import battle, campaigns, wars
from fablewright.systems.diplomacy.service import relations_book, write
from fablewright.systems.diplomacy.treaty_events import TreatyInForce
from fablewright.systems.diplomacy.war_events import WarPartyLeft

KINDS_OF_PEACE: Final = ("peace", "ceasefire")

BETWEEN: Final = """
SELECT w.id, w.attacker_id, w.defender_id FROM wars w
WHERE w.world_id = $1 AND w.ended_at IS NULL AND w.id IN (
    SELECT a.war_id FROM war_parties a
    JOIN war_parties b ON b.world_id = $1 AND b.war_id = a.war_id AND b.side <> a.side
    WHERE a.world_id = $1 AND a.state = 'fighting' AND a.faction_id = ANY($2::uuid[])
      AND b.state = 'fighting' AND b.faction_id = ANY($2::uuid[])
)
ORDER BY w.id
"""
LEAVE: Final = """
UPDATE war_parties SET state = 'out', left_at = $4
WHERE world_id = $1 AND war_id = $2 AND faction_id = ANY($3::uuid[])
"""
FREE: Final = """
UPDATE occupations SET until_at = $4 WHERE world_id = $1 AND war_id = $2 AND region_id = ANY($3::uuid[])
  AND until_at IS NULL
"""


async def make_peace(tx: Transaction, records: list[EventRecord]) -> None:
    """End the wars that treaties now in force make an end of."""
    for record in records:
        event = record.event
        if isinstance(event, TreatyInForce) and event.kind in KINDS_OF_PEACE and not event.imported:
            for war in await tx.fetch(BETWEEN, tx.world_id, event.party_ids):
                await _end(tx, war, event, record)


async def _end(tx: Transaction, war: Any, event: TreatyInForce, record: EventRecord) -> None:
    fighting, standing = await wars.halt(tx, war["id"])
    kept = [o["region_id"] for o in standing if event.kind == "ceasefire" or _ceded(o, event.clauses)]
    leaders = {war["attacker_id"], war["defender_id"]}
    if leaders <= set(event.party_ids):
        by = event.party_ids[0] if event.party_ids[0] in leaders else war["attacker_id"]
        await wars.end(
            tx, war["id"], keep=kept, treaty_id=_treaty(event), signed=event.party_ids, faction_id=by, cause=record
        )  # fmt: skip
    else:
        await _leave(tx, war, event, record, fighting, standing, set(kept))


def _treaty(event: TreatyInForce) -> UUID | None:
    """The treaty as all may know of it: that a war is over all see, but not by what secret treaty."""
    return None if event.secret else event.treaty_id


def _words(event: TreatyInForce) -> str:
    return "they have made peace" if event.secret else event.name


def _ceded(occupation: Any, clauses: Sequence[Mapping[str, Any]]) -> bool:
    """Whether clauses leave an occupied region to its occupier: its former holder is to keep out of it."""
    return any(
        clause["type"] == "keep_out" and UUID(str(clause["region_id"])) == occupation["region_id"]
        and UUID(str(clause["faction_id"])) == occupation["holder_id"]
        and str(clause.get("for_id") or occupation["occupier_id"]) == str(occupation["occupier_id"])
        for clause in clauses
    )  # fmt: skip


async def _leave(
    tx: Transaction, war: Any, event: TreatyInForce, record: EventRecord, fighting: Mapping[UUID, str],
    standing: Sequence[Any], kept: set[UUID],
) -> None:  # fmt: skip
    """Let those who do not lead, but have made peace with the leader of their enemies, leave the war."""
    signed = {side for side in wars.SIDES if war[f"{side}_id"] in event.party_ids}
    gone = sorted(i for i in event.party_ids if i in fighting and wars.SIDES[fighting[i]] in signed)
    if not gone:
        return  # neither leads: there is a truce between the two, and the war goes on
    ended = [o for o in standing if {o["occupier_id"], o["holder_id"]} & set(gone)]
    pairs = [(i, e) for i in gone for e in fighting if fighting[e] != fighting[i]]
    book = await relations_book(tx, pairs)
    await campaigns.locked(tx, war["id"])
    for i, enemy in pairs:
        if book.status(i, enemy) == "war" and not await tx.fetchval(
            wars.COMMON_WARS, tx.world_id, i, enemy, war["id"]
        ):
            book.move(i, enemy, "truce", _words(event), truce_days=battle.truce_days(0.0))
    await write(tx, book)
    await tx.execute(LEAVE, tx.world_id, war["id"], gone, tx.now)
    await tx.execute(FREE, tx.world_id, war["id"], [o["region_id"] for o in ended], tx.now)
    for i in gone:
        left = WarPartyLeft(
            war_id=war["id"], faction_id=i, by_id=None, side=fighting[i], reason=_words(event),
            treaty_id=_treaty(event),
        )  # fmt: skip
        tx.emit(left, cause=record)
        await campaigns.weary(tx, i, wars=-1)
    for occupier, took in sorted(Counter(o["occupier_id"] for o in ended if o["region_id"] in kept).items()):
        await campaigns.weary(tx, occupier, aggression=battle.AGGRESSION_OF_REGION * took)
    await wars.unblock(tx, war["id"], pairs, record)
    await wars.give_back(tx, [o for o in ended if o["region_id"] not in kept], record)


GUARDING = (Reaction("diplomacy.make_peace", (TreatyInForce,), make_peace),)
"""That peace ends war belongs to the truth: a treaty that cannot is refused."""
