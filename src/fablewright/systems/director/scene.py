"""What a beat reads in order to choose: who is where, awake or asleep, whom each knows and what each lacks.

Apart from `service.py` since it is most of a beat. Everything is read unlocked, with a fixed number of bounded
statements however many act: the acts themselves lock and check what they touch.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from heapq import heappop, heappush
from typing import Any, Final
from uuid import UUID

import orjson

from fablewright.core.clock import SECOND, elapsed
from fablewright.core.transaction import Transaction
from fablewright.systems.characters import service as characters
from fablewright.systems.characters.service import CharacterState
from fablewright.systems.dialogue import service as dialogue
from fablewright.systems.dialogue.rules import ESTRANGED_BELOW
from fablewright.systems.director import rules
from fablewright.systems.director.arcs import ArcState
from fablewright.systems.director.options import LIVELY, Known, Plot, Spot, Tale
from fablewright.systems.director.rules import Needs, Npc, Wish
from fablewright.systems.memory import service as memory
from fablewright.systems.regions import service as regions
from fablewright.systems.regions.service import NOWHERE, PathState, PlaceState, Where
from fablewright.systems.relationships import service as relationships
from fablewright.systems.relationships.rules import (
    FAMILIARITY_HALF_LIFE_MS,
    STRENGTH_HALF_LIFE_MS,
    TRUST_HALF_LIFE_MS,
    drifted,
)
from fablewright.systems.relationships.service import Acquaintance

LEAST_NPCS: Final = 128
MOST_NPCS: Final = 2_000
"""Characters among whom one beat chooses: three for each that acts, within these bounds. In larger worlds the dice
choose a stretch of them each time."""
MOST_ABED: Final = 500
"""Sleepers that one beat considers, and others that it sends to bed because the hour is late."""
MOST_KNOWN: Final = 12
"""Acquaintances that an actor considers in one beat, wherever they are."""
MOST_PARTNERS: Final = 8
"""Characters that an actor considers to turn to."""
MOST_PRESENT: Final = 40
"""Characters read of those at one place."""
MOST_STRANGERS: Final = 4
"""Of these, how many an actor considers besides those it knows."""
TALES: Final = 3
CHANCE_OF_TALES: Final = 0.5
"""How often an actor that is in company thinks of what it could tell."""
WALK_FOR_LEISURE: Final = 40.0
"""Minutes; nobody walks farther for company."""
MOST_SPOTS: Final = 5

NEEDS: Final = (
    "SELECT id, company, esteem, at FROM needs WHERE world_id = $1 AND id = ANY($2::uuid[]) ORDER BY id"
)
# Leaner than `relationships.service.peek`: neither reasons nor labels are needed to choose.
TIES: Final = """
SELECT p.n, t.strength, t.trust, t.familiarity, t.resting_strength, t.resting_trust, t.felt_at, t.last_interaction_at,
       t.habits::text AS habits, coalesce(b.strength < $4, false) AS estranged
FROM unnest($2::uuid[], $3::uuid[]) WITH ORDINALITY AS p (source_id, target_id, n)
LEFT JOIN ties t ON t.world_id = $1 AND t.source_id = p.source_id AND t.target_id = p.target_id
LEFT JOIN ties b ON b.world_id = $1 AND b.source_id = p.target_id AND b.target_id = p.source_id
ORDER BY p.n
"""
NEARLY_ESTRANGED: Final = ESTRANGED_BELOW + 0.05
ARC: Final = (
    "id, kind, stage, first_id, second_id, others, tension, turns, started_at, changed_at, resolved_at, outcome, "
    "data::text AS data"
)
PLOTS: Final = f"""
SELECT {ARC} FROM arcs WHERE world_id = $1 AND resolved_at IS NULL
     AND (first_id = ANY($2::uuid[]) OR second_id = ANY($2::uuid[]) OR others && $2::uuid[])
ORDER BY id
"""  # noqa: S608


def arc_of(row: Any) -> ArcState:
    """An arc from a row with the columns of `ARC`."""
    data = orjson.loads(row["data"])
    return ArcState(
        row["id"], row["kind"], row["first_id"], row["second_id"], row["tension"], row["started_at"],
        row["changed_at"], row["stage"], tuple(row["others"]), tuple(row["turns"]),
        {UUID(who): UUID(foe) for who, foe in data.get("sides", {}).items()}, data.get("turned_down", 0),
        row["resolved_at"], row["outcome"],
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Geography:
    """The places of a world, and how far they are from each other."""

    places: Mapping[UUID, PlaceState] = field(default_factory=dict)
    ways: Mapping[UUID, Sequence[tuple[UUID, float]]] = field(default_factory=dict)
    _near: dict[UUID, dict[UUID, float]] = field(default_factory=dict)

    def near(self, start: UUID) -> Mapping[UUID, float]:
        """Minutes to every place that can be reached from one, nearest first (Dijkstra 1959)."""
        found = self._near.get(start)
        if found is None:
            found, waiting = {}, [(0.0, start)]
            while waiting:
                minutes, here = heappop(waiting)
                if here in found:
                    continue
                found[here] = minutes
                for there, more in self.ways.get(here, ()):
                    if there not in found:
                        heappush(waiting, (minutes + more, there))
            self._near[start] = found
        return found


@lru_cache(maxsize=16)
def geography(places: tuple[PlaceState, ...], paths: tuple[PathState, ...]) -> Geography:
    """The geography of these places and ways; kept, since they seldom change."""
    ways: dict[UUID, list[tuple[UUID, float]]] = defaultdict(list)
    for path in paths:
        ways[path.low_id].append((path.high_id, path.minutes))
        ways[path.high_id].append((path.low_id, path.minutes))
    return Geography({place.id: place for place in places}, ways)


@dataclass(slots=True)
class People:
    """The npcs of a beat: those awake, those in bed, and where all of them are."""

    awake: dict[UUID, Npc]
    asleep: dict[UUID, Npc]
    walking: int
    """How many more are awake, but on the way."""
    more_asleep: bool
    """Whether there may be more sleepers than were read."""


@dataclass(slots=True)
class Company:
    """What surrounds those who act."""

    partners: dict[UUID, list[Known]]
    plots: dict[UUID, tuple[Plot, ...]]
    tales: dict[UUID, tuple[Tale, ...]]
    spots: dict[UUID, list[Spot]]
    geography: Geography
    names: dict[UUID, str]


async def people(tx: Transaction, acts: int, hour: float) -> People:
    """The npcs among whom a beat chooses. Sleepers are read when they may wake, or when nobody is awake."""
    most = min(MOST_NPCS, max(LEAST_NPCS, 3 * acts))
    active = await characters.self_acting(tx, most)
    asleep: list[CharacterState] = []
    if hour >= rules.EARLIEST_RISING or not active:
        asleep = await characters.self_acting(tx, MOST_ABED, ("asleep",))
    ids = [c.id for c in active]
    where = await regions.peek(tx, ids)
    lacks = {
        row["id"]: Needs(row["company"], row["esteem"], row["at"])
        for row in await tx.fetch(NEEDS, tx.world_id, ids)
    }
    standing = [c for c in active if not where.get(c.id, NOWHERE).travelling]
    return People(
        {c.id: _npc(c, where.get(c.id, NOWHERE), lacks.get(c.id), tx.now) for c in standing},
        {c.id: _npc(c, NOWHERE, None, tx.now) for c in asleep},
        len(active) - len(standing), len(asleep) == MOST_ABED,
    )  # fmt: skip


def _npc(c: CharacterState, where: Where, lacks: Needs | None, now: int) -> Npc:
    emotion = c.emotion_now(now)
    return Npc(
        c.id, c.name, c.traits, c.energy_now(now), emotion.pleasure, emotion.arousal, emotion.dominance,
        lacks.now(now, c.traits) if lacks else rules.first_needs(now),
        tuple(Wish(g.kind, g.about_id) for g in c.goals), where.place_id, where.home_id, where.work_id,
        lacks.at if lacks else None,
    )  # fmt: skip


async def company(
    tx: Transaction, actors: Sequence[Npc], late: Sequence[Npc], others: Mapping[UUID, Npc]
) -> Company:
    """Whom, what and where each actor considers, and how those who are `late` get home. `others` are the awake
    npcs of this beat, all of these among them."""
    known = await _acquaintances(tx, actors, others)
    where = await regions.peek(tx, {a.id for found in known.values() for a in found})
    crowd = await _crowds(tx, actors, others)
    wanted: dict[UUID, list[UUID]] = {}
    for actor in actors:
        at = ((a.id, where.get(a.id, NOWHERE)) for a in known[actor.id])
        met = [i for i, w in at if w.place_id == actor.place_id and not w.travelling]
        wanted[actor.id] = _some(tx, actor, met, crowd[actor.place_id])
    names = {n.id: n.name for n in others.values()}
    names |= {a.id: a.name for found in known.values() for a in found}
    names |= await _names_of_awake(tx, {i for ids in wanted.values() for i in ids} - names.keys())
    partners = await _partners(tx, actors, wanted, names)
    map_ = await _geography(tx, [*actors, *late])
    plots = await _plots(tx, actors)
    spots = {n.id: _spots(n, known.get(n.id, ()), where, map_, plots.get(n.id, ())) for n in (*actors, *late)}
    tales = await _tales(tx, {a.id: partners[a.id] for a in actors})
    return Company(partners, plots, tales, spots, map_, names)


async def _acquaintances(
    tx: Transaction, actors: Sequence[Npc], others: Mapping[UUID, Npc]
) -> dict[UUID, list[Acquaintance]]:
    ids = list(others)
    starts = [(actor.id, tx.dice.choice(ids)) for actor in actors]
    return await relationships.acquaintances(tx, starts, MOST_KNOWN)


async def _crowds(
    tx: Transaction, actors: Sequence[Npc], others: Mapping[UUID, Npc]
) -> dict[UUID | None, list[UUID]]:
    """Some of those at each place where somebody acts, others each time where there are many; who is at no place is
    with all others that are at none."""
    here = {actor.place_id for actor in actors}
    crowd: dict[UUID | None, list[UUID]] = {place: [] for place in here}
    spots = sorted(p for p in here if p is not None)
    start = tx.dice.choice(list(others))
    found = await regions.present(tx, spots, MOST_PRESENT, start) if spots else {}
    for place, ids in found.items():
        crowd[place] = ids
    for npc in others.values():
        if npc.place_id in crowd:
            crowd[npc.place_id].append(npc.id)
    return {place: list(dict.fromkeys(ids)) for place, ids in crowd.items()}


def _some(tx: Transaction, actor: Npc, met: list[UUID], crowd: Sequence[UUID]) -> list[UUID]:
    """Whom an actor considers: those it knows that are here, and by chance some others, each once."""
    chosen = dict.fromkeys(met[: MOST_PARTNERS - 2])
    most = max(MOST_STRANGERS, MOST_PARTNERS - len(chosen))
    for _ in range(most if len(crowd) > 1 else 0):
        chosen[tx.dice.choice(crowd)] = None
    chosen.pop(actor.id, None)
    return list(chosen)[:MOST_PARTNERS]


async def _names_of_awake(tx: Transaction, ids: set[UUID]) -> dict[UUID, str]:
    """The names of those of the characters that are awake and there."""
    if not ids:
        return {}
    return {i: c.name for i, c in (await characters.peek(tx, ids)).items() if c.status == "active"}


async def _partners(
    tx: Transaction, actors: Sequence[Npc], wanted: Mapping[UUID, Sequence[UUID]], names: Mapping[UUID, str]
) -> dict[UUID, list[Known]]:
    """How each actor stands to those it considers, and what it may not do with them."""
    pairs = [(actor.id, other) for actor in actors for other in wanted[actor.id] if other in names]
    rows = await tx.fetch(TIES, tx.world_id, [p[0] for p in pairs], [p[1] for p in pairs], NEARLY_ESTRANGED)
    types = await dialogue.types(tx)
    cooldowns = {name: d.cooldown_seconds * SECOND for name, d in types.items() if d.cooldown_seconds}
    shut = frozenset(name for name, d in types.items() if not d.when_estranged)
    costly = {
        a.id: frozenset(name for name, d in types.items() if d.energy > a.energy)
        if a.energy < 1.0
        else frozenset()
        for a in actors
    }
    partners: dict[UUID, list[Known]] = {actor.id: [] for actor in actors}
    for row in rows:
        who, other = pairs[row["n"] - 1]
        barred = costly[who] | shut if row["estranged"] else costly[who]
        partners[who].append(_known(row, other, names[other], barred, cooldowns, tx.now))
    return partners


def _known(
    row: Any, other: UUID, name: str, barred: frozenset[str], cooldowns: Mapping[str, int], now: int
) -> Known:
    """Somebody as an actor knows it now, from a row of `TIES`."""
    if row["strength"] is None:
        return Known(other, name, barred=barred)
    at = row["felt_at"]
    done_at = {kind: habit[0] for kind, habit in orjson.loads(row["habits"]).items()}
    soon = [kind for kind, when in done_at.items() if elapsed(when, now) < cooldowns.get(kind, 0)]
    return Known(
        other, name,
        drifted(row["strength"], row["resting_strength"], at, now, STRENGTH_HALF_LIFE_MS),
        drifted(row["trust"], row["resting_trust"], at, now, TRUST_HALF_LIFE_MS),
        drifted(row["familiarity"], 0.0, at, now, FAMILIARITY_HALF_LIFE_MS),
        row["last_interaction_at"], done_at, barred.union(soon) if soon else barred,
    )  # fmt: skip


async def _plots(tx: Transaction, actors: Sequence[Npc]) -> dict[UUID, tuple[Plot, ...]]:
    """The open arcs of each actor, as they bear on it."""
    found: dict[UUID, list[Plot]] = {actor.id: [] for actor in actors}
    for row in await tx.fetch(PLOTS, tx.world_id, list(found)):
        for who, plot in bearing(row, tx.now):
            if who in found:
                found[who].append(plot)
    return {who: tuple(plots) for who, plots in found.items()}


def bearing(row: Any, now: int) -> list[tuple[UUID, Plot]]:
    """How an open arc bears on everybody in it: against or with whom it goes for each."""
    arc = arc_of(row)
    tension, age = arc.tension_now(now), elapsed(arc.started_at, now)
    sides: dict[UUID, set[UUID]] = {arc.first_id: {arc.second_id}, arc.second_id: {arc.first_id}}
    for who, foe in arc.sides.items():
        sides[who] = {foe}
        sides[foe].add(who)
    return [
        (who, Plot(arc.id, arc.kind, frozenset(foes), tension, age, who == arc.first_id, who in arc.pair))
        for who, foes in sides.items()
        if arc.kind != "courtship" or who == arc.first_id
    ]


async def _tales(tx: Transaction, partners: Mapping[UUID, Sequence[Known]]) -> dict[UUID, tuple[Tale, ...]]:
    """What those actors that think of it could tell those about whom they think."""
    telling = [who for who, met in partners.items() if met and tx.dice.chance(CHANCE_OF_TALES)]
    if not telling:
        return {}
    found = await memory.tellable(tx, telling, TALES)
    asked = {(p.id, m.fact_id) for who, tales in found.items() for m in tales for p in partners[who]}
    known = await memory.known(tx, asked)
    return {
        who: tuple(
            Tale(
                m.id, m.subject_id, m.about, m.tellers, m.importance, m.secret,
                frozenset(p.id for p in partners[who] if (p.id, m.fact_id) in known),
            )
            for m in tales
        )
        for who, tales in found.items()
    }  # fmt: skip


async def _geography(tx: Transaction, actors: Sequence[Npc]) -> Geography:
    if all(actor.place_id is None for actor in actors):
        return Geography()
    places = await regions.places(tx)
    return geography(tuple(places.values()), tuple(await regions.paths(tx)))


def _spots(
    actor: Npc,
    known: Sequence[Acquaintance],
    where: Mapping[UUID, Where],
    map_: Geography,
    plots: Sequence[Plot],
) -> list[Spot]:
    """Where an actor could go: the place where it is (first), home, work, places of leisure near by, and where
    those are whom its goals and arcs are about."""
    if actor.place_id is None or actor.place_id not in map_.places:
        return []
    near = map_.near(actor.place_id)
    after = {w.about_id for w in actor.goals if w.kind in ("befriend", "win_heart", "reconcile", "help")}
    after |= {i for p in plots if p.main and p.kind in ("courtship", "friendship") for i in p.others}
    friends: dict[UUID, int] = defaultdict(int)
    sought: set[UUID] = set()
    for someone in known:
        at = where.get(someone.id, NOWHERE)
        if at.place_id is not None and not at.travelling:
            friends[at.place_id] += someone.strength > 0.1
            if someone.id in after:
                sought.add(at.place_id)
    lively = [
        p for p, minutes in near.items()
        if minutes <= WALK_FOR_LEISURE and (map_.places[p].kind in LIVELY or map_.places[p].kind == "temple")
    ][:MOST_SPOTS]  # fmt: skip
    ids = dict.fromkeys([actor.place_id, actor.home_id, actor.work_id, *lively, *sorted(sought)])
    return [
        Spot(i, map_.places[i].kind, near[i], friends.get(i, 0), i in sought and i != actor.place_id)
        for i in ids if i is not None and i in near and i in map_.places
    ]  # fmt: skip
