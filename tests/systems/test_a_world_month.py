"""The demo world lives for a month: what was planted in one mind travels only from mouth to mouth.

Every line that the characters spoke is looked through, and every mention has a chain of tellers back to whoever knew
it at first.
"""

from typing import Any
from uuid import UUID

import orjson
import pytest

from fablewright.core.clock import DAY
from fablewright.core.dice import derived_uuid
from fablewright.packs.demo import demo_commands
from fablewright.systems.director.commands import ConfigureDirector
from fablewright.systems.memory.commands import PlantMemory
from fablewright.systems.worlds.commands import AdvanceWorld, CreateWorld, SetClock
from tests.support import Server, until

pytestmark = pytest.mark.uncounted

SECRETS = ("moonstone", "astrolabe", "candelabra", "sarcophagus")
RUMOURS = ("heronry", "observatory")
BEATS_PER_MINUTE = 1 / 60
BESIDE = ("ledger.", "points.", "achievements.", "leaderboards.", "factions.", "markets.", "diplomacy.", "quests.",
          "regions.set_control")  # fmt: skip
"""What is earned, and what powers do, does not change what is told, but a month of it takes its time."""
VILLAGERS = """
SELECT c.id, c.name FROM characters c JOIN whereabouts w ON w.world_id = c.world_id AND w.id = c.id
JOIN places p ON p.world_id = c.world_id AND p.id = w.home_id
WHERE c.world_id = $1 AND p.kind = 'home' ORDER BY c.name
"""
"""Those who meet each other."""


async def test_a_planted_secret_has_a_chain_of_tellers(server: Server) -> None:
    owner = await server.person()
    storyteller = owner.storyteller
    world_id = derived_uuid("a world month")
    founding = [
        c.model_copy(update={"seed": 7}) if isinstance(c, CreateWorld) else c
        for c in demo_commands(world_id)
        if not c.message_type.startswith(BESIDE)
    ]
    await server.runtime.engine.execute([*founding, SetClock(paused=True)], storyteller, key="founding")
    people = await server.fetch(VILLAGERS, world_id)
    planted = {}
    """What each of them alone knows of the one after: the fact and who knows it, by its word."""
    for n, word in enumerate(SECRETS + RUMOURS):
        knower, subject = people[n], people[n + 1]
        secret = word in SECRETS
        text = f"hides a {word} under the hearth" if secret else f"was seen at the {word} at dawn"
        plant = PlantMemory(
            character_id=knower["id"], text=f"{subject['name']} {text}.", about_ids=[subject["id"]], importance=1.0,
            valence=-0.6, is_secret=secret,
        )  # fmt: skip
        memory = await server.do(plant, storyteller, world_id, key=word)
        planted[word] = (memory.fact_id, knower["id"])
    await server.do(
        ConfigureDirector(
            enabled=True, beats_per_minute=BEATS_PER_MINUTE, acts_per_beat=5, council_days=None
        ),
        storyteller,
        world_id,
        key="director",
    )
    await server.do(AdvanceWorld(by_ms=30 * DAY), storyteller, world_id, key="advance")

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
    told = {word: follow(events, word, fact, knower) for word, (fact, knower) in planted.items()}
    assert any(told[word] for word in SECRETS), told
    assert any(told[word] for word in RUMOURS), told
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
