"""Reads events as acts, in the form in which clauses look at what happens: who did what to whom.

Apart from `watching`, which compares acts with clauses. What happens now is read with those who belong to factions, and
hold regions, now; what is brought forward as evidence later, with those who did then. An act has one doer: whoever
trades with others has done so, not they.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from fablewright.core.transaction import Transaction
from fablewright.systems.diplomacy.clauses import Act
from fablewright.systems.factions import service as factions
from fablewright.systems.regions import service as regions

HOLDERS: Final = "SELECT id, controller_id FROM regions WHERE world_id = $1 AND id = ANY($2::uuid[])"
BELONGED: Final = """
SELECT character_id, faction_id FROM faction_members
WHERE world_id = $1 AND character_id = ANY($2::uuid[]) AND joined_at <= $3 AND (left_at IS NULL OR left_at > $3)
"""
# Whoever the next change took a region from held it.
TAKEN: Final = """
SELECT DISTINCT ON (data ->> 'region_id') data ->> 'region_id' AS id, data ->> 'previous' AS holder FROM events
WHERE world_id = $1 AND seq > $2 AND about && $3::uuid[] AND type = 'regions.control_changed'
ORDER BY data ->> 'region_id', seq
"""


Data = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Known:
    """To which factions characters belong, who holds regions, and in which region places lie."""

    belongs: Mapping[UUID, set[UUID]]
    holder: Mapping[UUID, UUID | None]
    lies: Mapping[UUID, UUID]


def _uuid(data: Data, name: str) -> UUID | None:
    value = data.get(name)
    return UUID(value) if isinstance(value, str) else value


def _came(data: Data, known: Known) -> list[Act]:
    who, where = _uuid(data, "character_id"), _reached(data, known.lies)
    if who is None or where is None:
        return []
    return [Act("came", who, where), *(Act("entered", f, where) for f in sorted(known.belongs.get(who, ())))]


def _reached(data: Data, lies: Mapping[UUID, UUID]) -> UUID | None:
    """The region into which somebody came on a journey, or on foot from a place in another one."""
    if (region := _uuid(data, "region_id")) is not None:
        return region
    ends = [None if place is None else lies.get(place) for place in _ends(data)]
    return ends[0] if ends[0] != ends[1] else None


def _ends(data: Data) -> tuple[UUID | None, UUID | None]:
    """Where a walk ended, and where it began."""
    return _uuid(data, "place_id"), _uuid(data, "from_id")


def _put(data: Data, known: Known) -> list[Act]:
    """A game master's hand brings characters somewhere; their factions have sent nobody."""
    acts: list[Act] = []
    for placed in data["placements"]:
        who, place = _uuid(placed, "character_id"), _uuid(placed, "place_id")
        region = known.lies.get(place) if place is not None and placed.get("to_id") is None else None
        if who is not None and region is not None:
            acts.append(Act("came", who, region))
    return acts


def _joined(data: Data, known: Known) -> list[Act]:
    who, faction = _uuid(data, "character_id"), _uuid(data, "faction_id")
    return [] if who is None or faction is None else [Act("joined", who, faction)]


def _declared(data: Data, known: Known) -> list[Act]:
    attacker, defender = _uuid(data, "attacker_id"), _uuid(data, "defender_id")
    return [] if attacker is None or defender is None else [Act("attacked", attacker, defender)]


def _occupied(data: Data, known: Known) -> list[Act]:
    faction, region = _uuid(data, "faction_id"), _uuid(data, "region_id")
    return [] if faction is None or region is None else [Act("entered", faction, region)]


def _called(data: Data, known: Known) -> list[Act]:
    faction, caller, enemy = (_uuid(data, name) for name in ("faction_id", "caller_id", "against_id"))
    side = data.get("side")
    if data.get("come"):  # who joins an attack attacks
        return [Act("attacked", faction, enemy)] if faction and enemy and side == "attacker" else []
    if faction is None or caller is None or data.get("excused"):
        return []
    return [Act("call_refused", faction, caller, against=enemy, side=side)]


def _routed(data: Data, known: Known) -> list[Act]:
    ends = (_uuid(data, "from_region"), _uuid(data, "to_region"))
    return _traded(data, {known.holder.get(r) for r in ends if r is not None})


def _traded(data: Data, holders: set[UUID | None]) -> list[Act]:
    """That the owner of a route, or who deals, trades with those in whose regions it does."""
    owner = _uuid(data, "owner_id")
    if owner is None:
        return []
    others = sorted(h for h in holders if h is not None and h != owner)
    return [Act("traded", owner, other, good=data.get("good")) for other in others]


def _dealt(data: Data, known: Known) -> list[Act]:
    region = _uuid(data, "region_id")
    return [] if region is None else _traded(data, {known.holder.get(region)})


def _banned(data: Data, known: Known) -> list[Act]:
    region, subject = _uuid(data, "region_id"), _uuid(data, "subject_id")
    holder = None if region is None else known.holder.get(region)
    return [] if holder is None or subject is None else [Act("barred", holder, subject)]


def _sanctioned(data: Data, known: Known) -> list[Act]:
    faction, target = _uuid(data, "faction_id"), _uuid(data, "target_id")
    if data.get("kind") != "travel_ban" or faction is None or target is None:
        return []
    return [Act("barred", faction, target)]


READERS: Final[dict[str, Callable[[Data, Known], list[Act]]]] = {
    "travel.crossed_border": _came, "travel.arrived": _came, "regions.arrived": _came,
    "regions.characters_placed": _put, "factions.member_joined": _joined,
    "diplomacy.war_declared": _declared, "diplomacy.region_occupied": _occupied,
    "diplomacy.call_answered": _called, "markets.route_opened": _routed, "markets.bought": _dealt,
    "markets.sold": _dealt, "regions.movement_banned": _banned, "diplomacy.sanction_imposed": _sanctioned,
    "diplomacy.sanction_joined": _sanctioned,
}  # fmt: skip
"""How events of each type are read; all others are of no concern."""


async def _lies(tx: Transaction, seen: Sequence[tuple[str, Data]]) -> dict[UUID, UUID]:
    """In which regions the places lie that these events (type, data) name."""
    named: set[UUID | None] = set()
    for kind, data in seen:
        if kind == "regions.arrived":
            named.update(_ends(data))
        elif kind == "regions.characters_placed":
            named.update(_uuid(placed, "place_id") for placed in data["placements"])
    places = {place for place in named if place is not None}
    return await regions.regions_of_places(tx, places) if places else {}


def _asked(seen: Sequence[tuple[str, Data]], lies: Mapping[UUID, UUID]) -> tuple[set[UUID], set[UUID]]:
    """Whose factions, and the holders of which regions, must be known to read these events (type, data)."""
    came = {
        who for kind, d in seen
        if READERS[kind] is _came and (who := _uuid(d, "character_id")) is not None and _reached(d, lies) is not None
    }  # fmt: skip
    held = {
        region for kind, d in seen if READERS[kind] in (_routed, _dealt, _banned)
        for name in ("region_id", "from_region", "to_region") if (region := _uuid(d, name)) is not None
    }  # fmt: skip
    return came, held


async def acts_of(tx: Transaction, seen: Sequence[tuple[str, Data]]) -> list[list[Act]]:
    """What was done in each of these events (type, data), which happen now."""
    lies = await _lies(tx, seen)
    came, held = _asked(seen, lies)
    belongs = await factions.allegiance(tx, came) if came else {}
    rows = await tx.fetch(HOLDERS, tx.world_id, sorted(held)) if held else []
    known = Known(belongs, {row["id"]: row["controller_id"] for row in rows}, lies)
    return [READERS[kind](data, known) for kind, data in seen]


async def acts_then(tx: Transaction, kind: str, data: Data, seq: int, at: int) -> list[Act]:
    """What was done in an event of the log, by those who belonged to factions, and held regions, then."""
    lies = await _lies(tx, [(kind, data)])  # places seldom change their region
    came, held = _asked([(kind, data)], lies)
    belongs: dict[UUID, set[UUID]] = {}
    for row in await tx.fetch(BELONGED, tx.world_id, sorted(came), at) if came else ():
        belongs.setdefault(row["character_id"], set()).add(row["faction_id"])
    holder: dict[UUID, UUID | None] = {}
    if held:
        rows = await tx.fetch(HOLDERS, tx.world_id, sorted(held))
        holder = {row["id"]: row["controller_id"] for row in rows}
        for row in await tx.fetch(TAKEN, tx.world_id, seq, sorted(held)):
            holder[UUID(row["id"])] = None if row["holder"] is None else UUID(row["holder"])
    return READERS[kind](data, Known(belongs, holder, lies))
