"""Worlds with depth for the flows: places to walk between, personalities, ties, things known; made by commands."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from benchmarks.stage import Stage
from fablewright.app import open_runtime
from fablewright.core.actors import Actor
from fablewright.core.messages import Command
from fablewright.gateway.runtime import Runtime
from fablewright.settings import Settings
from fablewright.systems.characters.commands import CreateCharacter, Personality
from fablewright.systems.memory.commands import PlantMemory
from fablewright.systems.regions.commands import (
    DefinePlaces,
    PathValue,
    PlaceCharacters,
    Placement,
    PlaceValue,
)
from fablewright.systems.relationships.commands import SetTies, TieValue

KINDS = ("home", "work", "tavern", "market", "temple", "square", "hall", "wild", "road")
T = TypeVar("T")
CHUNK = 200
DEEDS = (
    "sold the same cow twice", "sings to the bees", "owes the miller for three winters", "cannot read and hides it",
    "left bread at the widow's door", "was seen at the ford after dark", "keeps a letter unopened",
)  # fmt: skip


@asynccontextmanager
async def beside(stage: Stage) -> AsyncIterator[tuple[Runtime, Actor]]:
    """A process of ours on the stage's database, to give commands without HTTP; and the stage's owner."""
    user_id = UUID(stage.call("GET", "/api/v1/account")["id"])
    settings = Settings(
        _env_file=None, data_dir=Path("unused"), signing_key="a signing key that is only for benchmarks"
    )
    async with open_runtime(settings, stage.database, work=False) as runtime:
        yield runtime, Actor(f"user:{user_id}", user_id)


async def populate(runtime: Runtime, owner: Actor, world_id: UUID, many: int, *, ties: int) -> list[UUID]:
    """`many` npc characters at places of their own, each with `ties` ties and one thing it knows of somebody."""
    chance = random.Random(3)
    ids = [UUID(int=(1 << 100) + n) for n in range(many)]
    places = [UUID(int=(1 << 101) + n) for n in range(max(9, many // 12))]
    commands: list[Command] = []
    for start in range(0, len(places), CHUNK):
        commands.append(
            DefinePlaces(
                places=[
                    PlaceValue(id=place, name=f"Place {start + n}", kind=KINDS[(start + n) % len(KINDS)])
                    for n, place in enumerate(places[start : start + CHUNK])
                ],
                paths=[],
            )
        )
    ways = [PathValue(a_id=places[n - 1], b_id=places[n], minutes=2) for n in range(1, len(places))]
    ways += [PathValue(a_id=places[n - 9], b_id=places[n], minutes=6) for n in range(9, len(places), 3)]
    commands += [
        DefinePlaces(places=[], paths=ways[start : start + CHUNK]) for start in range(0, len(ways), CHUNK)
    ]
    commands += [
        CreateCharacter(
            id=character, name=f"{chance.choice('ABCDEFGHIKLMNOPRSTW')}el {n}",
            personality=Personality(
                openness=chance.random(), conscientiousness=chance.random(), extraversion=chance.random(),
                agreeableness=chance.random(), neuroticism=chance.random(),
            ),
        )
        for n, character in enumerate(ids)
    ]  # fmt: skip
    for chunk in chunks(commands, CHUNK):
        await runtime.engine.execute(chunk, owner, world_id)
    homes = [places[n] for n in range(0, len(places), len(KINDS))]
    works = [places[n] for n in range(1, len(places), len(KINDS))]
    placed = [
        Placement(character_id=c, place_id=home, home_id=home, work_id=chance.choice(works))
        for c in ids
        for home in (chance.choice(homes),)
    ]
    values = []
    for n, character in enumerate(ids):
        near = {ids[(n + step) % many] for step in range(1, 3 * ties)}
        for other in chance.sample(sorted(near), ties):
            values.append(
                TieValue(
                    source_id=character, target_id=other, strength=chance.uniform(-0.6, 0.9), trust=chance.random(),
                    familiarity=chance.random(),
                )
            )  # fmt: skip
    told: list[Command] = [
        PlantMemory(
            character_id=c, text=f"Someone {chance.choice(DEEDS)}.", about_ids=[chance.choice(ids)],
            importance=chance.random(), valence=chance.uniform(-1, 1), is_secret=chance.random() < 0.3,
        )
        for c in ids
    ]  # fmt: skip
    rest: list[Command] = [
        *(PlaceCharacters(placements=p) for p in chunks(placed, CHUNK)),
        *(SetTies(ties=t) for t in chunks(values, CHUNK)),
        *told,
    ]
    for some in chunks(rest, CHUNK):
        await runtime.engine.execute(some, owner, world_id)
    return ids


def chunks(items: list[T], size: int) -> list[list[T]]:
    """The items in lists of at most `size`."""
    return [items[start : start + size] for start in range(0, len(items), size)]
