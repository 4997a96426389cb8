"""Loads everybody who takes part in a batch of interactions, and stores how it ended.

A handful of statements, however many interactions. Rows are locked in this order: whereabouts, characters, ties. What
belongs to characters alone (what they have heard, talk about, remember) is read after these are locked, and needs no
lock of its own.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final
from uuid import UUID

import orjson

from fablewright.core.dice import Dice, derived_uuid
from fablewright.core.transaction import Request, Transaction
from fablewright.systems.characters import service as characters
from fablewright.systems.dialogue.commands import Interact
from fablewright.systems.dialogue.effects import TypeDefinition
from fablewright.systems.dialogue.exchange import doer_of
from fablewright.systems.dialogue.sentiment import sentiment
from fablewright.systems.dialogue.stage import Content, Pair, Scene, Talk, pair_of, tellable
from fablewright.systems.memory import service as memory
from fablewright.systems.memory.rules import MemoryState
from fablewright.systems.regions import service as regions
from fablewright.systems.regions.rules import PlaceState, Where
from fablewright.systems.relationships import service as relationships

MOST_AROUND: Final = 16
"""Characters at a place among whom bystanders are chosen."""
MOST_BYSTANDERS: Final = 2
"""Characters that hear one interaction."""

NAMES: Final = "SELECT id, name FROM characters WHERE world_id = $1 AND id = ANY($2::uuid[])"
AWAKE: Final = "SELECT id FROM characters WHERE world_id = $1 AND id = ANY($2::uuid[]) AND status = 'active'"
HEARD: Final = "SELECT id, heard FROM listeners WHERE world_id = $1 AND id = ANY($2::uuid[])"
TALKS: Final = """
SELECT t.low_id, t.high_id, t.topic, t.turns, t.last_at, t.state::text AS state
FROM unnest($2::uuid[], $3::uuid[]) AS p (low_id, high_id)
JOIN conversations t ON t.world_id = $1 AND t.low_id = p.low_id AND t.high_id = p.high_id
"""
WRITE_HEARD: Final = """
INSERT INTO listeners (world_id, id, heard)
SELECT $1, id, array(SELECT jsonb_array_elements_text(heard)::bigint)
FROM unnest($2::uuid[], $3::jsonb[]) AS v (id, heard)
ON CONFLICT (world_id, id) DO UPDATE SET heard = excluded.heard
"""
WRITE_TALKS: Final = """
INSERT INTO conversations (world_id, id, low_id, high_id, topic, turns, last_at, state)
SELECT $1, v.* FROM unnest(
    $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::int[], $7::bigint[], $8::jsonb[])
    AS v (id, low_id, high_id, topic, turns, last_at, state)
ON CONFLICT (world_id, low_id, high_id) DO UPDATE SET
    topic = excluded.topic, turns = excluded.turns, last_at = excluded.last_at, state = excluded.state
"""


async def load(tx: Transaction, requests: Sequence[Request], content: Content) -> Scene:
    """Everybody in these interactions, and what they feel, remember and have heard."""
    commands: list[Interact] = [request.command for request in requests]  # type: ignore[misc]
    ids = sorted({i for c in commands for i in (c.initiator_id, c.target_id)})
    where = await regions.load(tx, ids)
    around = await _around(tx, requests, commands, content, where)
    near = {w for listening in around.values() for w in listening}
    people = await characters.load(tx, [*ids, *near])
    pairs = [(c.initiator_id, c.target_id) for c in commands]
    memories = await memory.scene(tx, [*pairs, *((b, a) for a, b in pairs)])
    talks = await _talks(tx, pairs)
    chosen = await _chosen(tx, requests, content, memories, talks)
    ties = await relationships.load(tx, _wanted_ties(requests, commands, around, chosen))
    names = await _names(tx, memories, chosen) | {c.id: c.name for c in people.values()}
    return Scene(
        world_id=tx.world_id, now=tx.now, calendar=tx.world.calendar, content=content, sentiment=sentiment,
        people=people, where=where, places=await _places(tx, where), ties=ties, memories=memories, chosen=chosen,
        bystanders={
            request: [w for w in listening if w in people and people[w].status == "active"]
            for request, listening in around.items()
        },
        heard=await _heard(tx, ids), talks=talks, names=names,
    )  # fmt: skip


def groups(requests: Sequence[Request], content: Content) -> Iterator[list[Request]]:
    """The requests in their order, in groups that one scene can hold.

    Who is to tell something and does not say what stands alone: what it will tell depends on all that went before.
    """
    together: list[Request] = []
    for request in requests:
        command: Interact = request.command  # type: ignore[assignment]
        definition = content.types.get(command.type)
        if (
            definition is not None
            and definition.tells
            and command.content is None
            and command.memory_id is None
        ):
            if together:
                yield together
            yield [request]
            together = []
        else:
            together.append(request)
    if together:
        yield together


async def _places(tx: Transaction, where: dict[UUID, Where]) -> dict[UUID, PlaceState]:
    ids = {w.place_id for w in where.values() if w.place_id is not None}
    return await regions.places(tx, sorted(ids)) if ids else {}


async def _around(
    tx: Transaction, requests: Sequence[Request], commands: Sequence[Interact], content: Content,
    where: dict[UUID, Where],
) -> dict[UUID, list[UUID]]:  # fmt: skip
    """Who is near enough to hear each of the interactions that are heard, chosen by each one's own dice."""
    loud = {
        request.id: place
        for request, command in zip(requests, commands, strict=True)
        if (w := where.get(command.initiator_id)) is not None and (place := w.place_id) is not None
        and (d := content.types.get(command.type)) is not None and d.overheard > 0
    }  # fmt: skip
    if not loud:
        return {}
    there = await regions.present(tx, sorted(set(loud.values())), MOST_AROUND)
    awake = await _awake(tx, {w for near in there.values() for w in near})
    chosen: dict[UUID, list[UUID]] = {}
    for request, command in zip(requests, commands, strict=True):
        if request.id in loud:
            two = command.initiator_id, command.target_id
            near = [w for w in there.get(loud[request.id], ()) if w in awake and w not in two]
            dice = Dice(tx.world.seed, request.id, "bystanders")
            dice.shuffle(near)
            loudness = content.types[command.type].overheard
            chosen[request.id] = [w for w in near[:MOST_BYSTANDERS] if dice.chance(min(1.0, 2 * loudness))]
    return chosen


async def _awake(tx: Transaction, ids: set[UUID]) -> set[UUID]:
    rows = await tx.fetch(AWAKE, tx.world_id, list(ids)) if ids else []
    return {row["id"] for row in rows}


async def _talks(tx: Transaction, pairs: Sequence[Pair]) -> dict[Pair, Talk]:
    wanted = sorted({pair_of(*pair) for pair in pairs})
    rows = await tx.fetch(TALKS, tx.world_id, [low for low, _ in wanted], [high for _, high in wanted])
    talks: dict[Pair, Talk] = {}
    for row in rows:
        state = orjson.loads(row["state"])
        asker = state.get("pending_by")
        talks[row["low_id"], row["high_id"]] = Talk(
            row["topic"], row["turns"], row["last_at"], state.get("pending"), UUID(asker) if asker else None,
            tuple(UUID(fact) for fact in state.get("told", ())),
        )  # fmt: skip
    return talks


async def _heard(tx: Transaction, ids: Sequence[UUID]) -> dict[UUID, list[int]]:
    return {row["id"]: list(row["heard"]) for row in await tx.fetch(HEARD, tx.world_id, ids)}


async def _chosen(
    tx: Transaction, requests: Sequence[Request], content: Content, memories: dict[Pair, list[MemoryState]],
    talks: dict[Pair, Talk],
) -> dict[UUID, MemoryState]:  # fmt: skip
    """What each interaction that names a memory, or tells one, passes on, if there is such a thing."""
    named = {r.command.memory_id for r in requests if r.command.memory_id is not None}  # type: ignore[attr-defined]
    found = await memory.load(tx, sorted(named)) if named else {}
    chosen: dict[UUID, MemoryState] = {}
    for request in requests:
        command: Interact = request.command  # type: ignore[assignment]
        pair = command.initiator_id, command.target_id
        definition: TypeDefinition | None = content.types.get(command.type)
        best: MemoryState | None = None
        if command.memory_id is not None:
            best = found.get(command.memory_id)
            if best is not None and best.character_id != command.initiator_id:
                best = None
        elif definition is not None and definition.tells and command.content is None:
            told = talks.get(pair_of(*pair), Talk()).told
            best = tellable(command.type, memories.get(pair, ()), pair, told, tx.now)
        if best is not None:
            chosen[request.id] = best
    return chosen


def _wanted_ties(
    requests: Sequence[Request], commands: Sequence[Interact], around: dict[UUID, list[UUID]],
    chosen: dict[UUID, MemoryState],
) -> Iterable[Pair]:  # fmt: skip
    for request, command in zip(requests, commands, strict=True):
        a, b = command.initiator_id, command.target_id
        yield a, b
        yield b, a
        for witness in around.get(request.id, ()):
            yield witness, a
            yield witness, b
        told = chosen.get(request.id)
        of = {told.subject_id, doer_of(told)} - {None} if told is not None else set()
        yield from ((who, other) for other in of for who in (a, b) if other is not None and who != other)


async def _names(
    tx: Transaction, memories: dict[Pair, list[MemoryState]], chosen: dict[UUID, MemoryState]
) -> dict[UUID, str]:
    """Names of all who come up in these memories, deleted ones too."""
    wanted: set[UUID] = set()
    for m in (*(m for known in memories.values() for m in known), *chosen.values()):
        wanted.update(m.about, m.tellers)
        if m.claim:
            wanted.update(UUID(str(m.claim[side])) for side in ("who", "whom"))
    rows = await tx.fetch(NAMES, tx.world_id, list(wanted)) if wanted else []
    return {row["id"]: row["name"] for row in rows}


async def write(tx: Transaction, scene: Scene) -> None:
    """Store how the scene ended, with one statement for each kind of row."""
    people = [scene.people[i] for i in sorted(scene.changed_people)]
    await characters.write_states(tx, [(c.id, c.energy, c.energy_at, c.emotion) for c in people])
    await relationships.write(tx, {pair: scene.ties[pair] for pair in sorted(scene.changed_ties)})
    heard = sorted(scene.changed_heard)
    if heard:
        await tx.execute(
            WRITE_HEARD, tx.world_id, heard, [orjson.dumps(scene.heard[i]).decode() for i in heard]
        )
    pairs = sorted(scene.changed_talks)
    if pairs:
        talks = [scene.talks[pair] for pair in pairs]
        await tx.execute(
            WRITE_TALKS, tx.world_id, [derived_uuid("talk", tx.world_id, *pair) for pair in pairs],
            [low for low, _ in pairs], [high for _, high in pairs], [t.topic for t in talks],
            [t.turns for t in talks], [t.last_at for t in talks], [_state(t) for t in talks],
        )  # fmt: skip


def _state(talk: Talk) -> str:
    state: dict[str, Any] = {"told": [str(fact) for fact in talk.told]}
    if talk.pending is not None:
        state |= {"pending": talk.pending, "pending_by": str(talk.pending_by)}
    return orjson.dumps(state).decode()
