"""What configuring the director does, and what happens in a beat."""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Final
from uuid import UUID

import orjson

from fablewright.core.transaction import Transaction
from fablewright.systems.characters import service as characters
from fablewright.systems.dialogue import service as dialogue
from fablewright.systems.director import rules
from fablewright.systems.director.commands import ConfigureDirector
from fablewright.systems.director.events import Configured
from fablewright.systems.director.rules import Act, Known, Npc
from fablewright.systems.director.views import DirectorView
from fablewright.systems.relationships import service as relationships

BEAT: Final = "director.beat"
"""The kind of timer that makes a beat."""
MOST_NPCS: Final = 2_000
"""Characters among whom one beat chooses; in larger worlds the dice choose a stretch of them each time."""
MOST_KNOWN: Final = 12
"""Acquaintances that an actor considers in one beat."""
MOST_STRANGERS: Final = 2
"""Other characters that an actor considers in one beat."""

CONFIGURE: Final = """
INSERT INTO directors AS d (world_id, enabled, beats_per_minute, acts_per_beat) VALUES ($1, $2, $3, $4)
ON CONFLICT (world_id) DO UPDATE
SET enabled = $2, beats_per_minute = $3, acts_per_beat = $4, version = d.version + 1
RETURNING version
"""


@cache
def openings() -> Mapping[str, Sequence[str]]:
    """The lines of `data/openings.json`, by interaction type; `{name}` stands for who is spoken to."""
    lines: Mapping[str, Sequence[str]] = orjson.loads(
        resources.files(__package__).joinpath("data/openings.json").read_bytes()
    )
    return lines


async def configure(tx: Transaction, command: ConfigureDirector) -> DirectorView:
    """Store the configuration and let the first beat fall due one interval from now, or none at all.

    Timers are locked before the director, as when a beat fires. A beat that is scheduled between the two
    statements has an old version and will do nothing.
    """
    await tx.cancel_timers(BEAT)
    version = await tx.fetchval(
        CONFIGURE, tx.world_id, command.enabled, command.beats_per_minute, command.acts_per_beat
    )
    if command.enabled:
        due_at = tx.now + rules.interval_ms(command.beats_per_minute)
        await tx.schedule(BEAT, due_at, {"version": version})
    values = command.model_dump()
    tx.emit(Configured(**values))
    return DirectorView(**values)


async def beat(tx: Transaction, version: int, due_at: int) -> None:
    """Let some characters act, and schedule the next beat.

    What it reads to choose is not locked: the interactions themselves lock and check what they touch, and one
    that has become impossible is left out.
    """
    row = await tx.fetchrow(
        "SELECT enabled, beats_per_minute, acts_per_beat, version FROM directors WHERE world_id = $1 "
        "FOR NO KEY UPDATE",
        tx.world_id,
    )
    if row is None or not row["enabled"] or row["version"] != version:
        return
    acts = await _choose(tx, row["acts_per_beat"])
    await tx.perform([dialogue.interaction(a.initiator_id, a.target_id, a.type, a.content) for a in acts])
    await tx.schedule(BEAT, rules.next_beat(due_at, tx.now, row["beats_per_minute"]), {"version": version})


async def _choose(tx: Transaction, most: int) -> list[Act]:
    """Who acts with whom, and what they do, in the order in which they do it."""
    npcs = [_npc(c, tx.now) for c in await characters.self_acting(tx, MOST_NPCS)]
    actors = rules.choose_actors(npcs, most, tx.dice)
    if not actors:
        return []
    starts = [(actor.id, tx.dice.choice(npcs).id) for actor in actors]
    known = await relationships.acquaintances(tx, starts, MOST_KNOWN)
    places = {npc.id: place for place, npc in enumerate(npcs)}
    acts = [
        rules.choose_act(
            actor,
            _known(known[actor.id]),
            _strangers(tx, npcs, places[actor.id]),
            tx.now,
            dice=tx.dice,
            openings=openings(),
        )
        for actor in actors
    ]
    return [act for act in acts if act is not None]


def _npc(c: characters.CharacterState, now: int) -> Npc:
    t = c.traits
    return Npc(
        c.id, c.name, c.energy_now(now), t.openness, t.conscientiousness, t.extraversion, t.agreeableness,
        t.neuroticism,
    )  # fmt: skip


def _known(acquaintances: Sequence[relationships.Acquaintance]) -> list[Known]:
    return [Known(a.id, a.name, a.strength, a.trust, a.last_interaction_at) for a in acquaintances]


def _strangers(tx: Transaction, npcs: Sequence[Npc], own: int) -> list[Known]:
    """Some others than number `own`, by chance, each once; none only if there is nobody else.

    One that is known all the same is met as a stranger for once.
    """
    chosen: dict[UUID, Npc] = {}
    for _ in range(MOST_STRANGERS if len(npcs) > 1 else 0):
        place = tx.dice.whole(0, len(npcs) - 2)
        npc = npcs[place + (place >= own)]
        chosen[npc.id] = npc
    nobody = relationships.TieState()
    return [Known(npc.id, npc.name, nobody.strength, nobody.trust, None) for npc in chosen.values()]
