"""The demo world lives for a month: what was planted in one mind travels only from mouth to mouth.

Every line that the characters spoke is looked through, and every mention has a chain of tellers back to whoever knew
it at first.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import orjson

from fablewright.core.clock import DAY
from fablewright.core.messages import Command
from fablewright.packs.demo import demo_commands
from fablewright.systems.director.commands import ConfigureDirector
from fablewright.systems.memory.commands import PlantMemory
from fablewright.systems.worlds.commands import AdvanceWorld, SetClock
from tests.support import Server, until

SECRET = "moonstone"
RUMOUR = "heronry"
BEATS_PER_MINUTE = 1 / 60


async def test_a_planted_secret_has_a_chain_of_tellers(server: Server) -> None:
    owner = await server.person()
    world_id = uuid4()
    commands: Sequence[Command] = [*demo_commands(world_id), SetClock(paused=True)]
    await server.runtime.engine.execute(commands, owner.actor)
    people = await server.fetch("SELECT id, name FROM characters WHERE world_id = $1 ORDER BY name", world_id)
    origin, subject, other = (row["id"] for row in people[:3])
    secret = await server.do(
        PlantMemory(
            character_id=origin, text=f"{people[1]['name']} hides a {SECRET} under the hearth.",
            about_ids=[subject], importance=1.0, valence=-0.6, is_secret=True,
        ),
        owner.actor, world_id,
    )  # fmt: skip
    rumour = await server.do(
        PlantMemory(
            character_id=origin, text=f"{people[2]['name']} was seen at the {RUMOUR} at dawn.",
            about_ids=[other], importance=1.0, valence=-0.4,
        ),
        owner.actor, world_id,
    )  # fmt: skip
    await server.do(
        ConfigureDirector(enabled=True, beats_per_minute=BEATS_PER_MINUTE, acts_per_beat=5),
        owner.actor,
        world_id,
    )
    await server.do(AdvanceWorld(by_ms=30 * DAY), owner.actor, world_id)

    async def standing() -> bool:
        found = await server.fetch("SELECT advance_id IS NULL FROM worlds WHERE id = $1", world_id)
        return bool(found[0][0])

    await until(standing, 300)
    events = [
        orjson.loads(row["data"])
        for row in await server.fetch(
            "SELECT data::text AS data FROM events WHERE world_id = $1 AND type = 'dialogue.interacted' ORDER BY seq",
            world_id,
        )
    ]
    assert len(events) > 1_000
    for word, planted in ((SECRET, secret), (RUMOUR, rumour)):
        told = follow(events, word, planted.fact_id, origin)
        assert told, f"nobody ever spoke of the {word}"
    assert [line for line in await server.findings() if str(world_id) in line] == []
    dead = await server.fetch("SELECT error FROM dead_letters WHERE world_id = $1", world_id)
    assert dead == []


def follow(events: list[dict[str, Any]], word: str, fact: UUID, origin: UUID) -> int:
    """Check every line that holds `word`, and every memory of the fact; how often it was told."""
    knows: dict[str, list[list[str]]] = {str(origin): [[]]}
    """Who knows it, and the chains by which it has heard it."""
    told = 0
    for event in events:
        chains: dict[str, list[str]] = {}
        for part, speaker in (("content", event["initiator_id"]), ("answer", event["target_id"])):
            mentioned = [m for m in event["mentions"] if m["fact_id"] == str(fact) and m["part"] == part]
            if word in (event[part] or ""):
                assert mentioned, (part, event[part])
            for mention in mentioned:
                assert mention["speaker_id"] == speaker
                assert mention["tellers"] in knows.get(speaker, []), event[part]
                chains[speaker] = mention["tellers"]
        for made in event["memories"]:
            if made["fact_id"] != str(fact):
                assert word not in made["text"], made["text"]
                continue
            listener = made["character_id"]
            (teller,) = {event["initiator_id"], event["target_id"]} - {listener}
            assert made["kind"] == "told"
            assert listener not in (*chains[teller], teller)
            told += 1
            knows.setdefault(listener, []).append([*chains[teller], teller])
    return told
