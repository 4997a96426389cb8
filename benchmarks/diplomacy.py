"""Treaties: proposed and signed over HTTP, and what an event costs that clauses in force are compared with."""

import statistics
import time
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson

from benchmarks.http import load, request
from benchmarks.population import chunks
from benchmarks.stage import Row, Stage
from fablewright.app import BUILT_IN, open_runtime
from fablewright.core.actors import Actor
from fablewright.core.messages import Command
from fablewright.core.transaction import EventRecord, Transaction
from fablewright.settings import Settings
from fablewright.systems import diplomacy
from fablewright.systems.diplomacy.treaty_commands import ImportTreaty
from fablewright.systems.factions.commands import FoundFaction
from fablewright.systems.regions.commands import BanMovement, DefineRegions, RegionValue, SetControl

MANY = 100
FACTIONS = [UUID(int=(1 << 90) + n) for n in range(MANY)]
REGIONS = [UUID(int=(1 << 91) + n) for n in range(MANY)]
TREATIES = 5_000
FEW = 50
EVENTS, WARM = 300, 30
SECONDS = 8.0
MOST_MS = 15.0


# -- propose, sign, sign -------------------------------------------------------------------------------------


async def signing(stage: Stage) -> list[Row]:
    """One caller proposes a treaty of three clauses and signs it for both of two factions, again and again."""
    world_id = stage.world("signing", paused=True)
    rulers = stage.characters(world_id, 20)
    pairs = _realms(stage, world_id, rulers)
    await load(stage.address, 1, 1.0, _requests(stage, world_id, pairs, 0))
    got = await load(stage.address, 1, SECONDS, _requests(stage, world_id, pairs, 1))
    connection = await stage.connect()
    done = await connection.fetchval(
        "SELECT count(*) FROM treaties WHERE world_id = $1 AND state = 'in_force'", world_id
    )
    await connection.close()
    assert not got.errors and done >= len(got.latencies) // 3, (got.errors, done)
    medians = [statistics.median(got.latencies[n::3]) * 1000 for n in range(3)]
    words = ", ".join(
        f"{what} {ms:.1f} ms" for what, ms in zip(("propose", "sign", "sign"), medians, strict=True)
    )
    return [
        Row("propose, sign, sign (a treaty of 3 clauses in force) over HTTP, one caller", f"median {words}",
            f"each < {MOST_MS:.0f} ms", met=max(medians) < MOST_MS),
    ]  # fmt: skip


def _realms(stage: Stage, world_id: UUID, rulers: list[UUID]) -> list[tuple[dict[str, str], dict[str, str]]]:
    """Pairs of factions, each as who acts for it."""
    commands = [
        {"type": "factions.found_faction",
         "payload": {"name": f"F {n}", "leader_id": str(ruler), "treasury": 1_000_000}}
        for n, ruler in enumerate(rulers)
    ]  # fmt: skip
    answer = stage.call("POST", f"/api/v1/worlds/{world_id}/commands", commands)
    acting = [
        {"faction_id": result["id"], "character_id": str(ruler)}
        for result, ruler in zip(answer["results"], rulers, strict=True)
    ]
    return list(zip(acting[::2], acting[1::2], strict=True))


def _requests(
    stage: Stage, world_id: UUID, pairs: list[tuple[dict[str, str], dict[str, str]]], part: int
) -> Any:
    """Requests in the order propose, sign, sign; each treaty has an id of its own."""
    ids = (UUID(int=(part << 64) + n) for n in count(1))
    waiting: list[bytes] = []
    url = f"/api/v1/worlds/{world_id}/treaties"

    def make(number: int) -> bytes:
        if not waiting:
            treaty, (one, two) = next(ids), pairs[number % len(pairs)]
            a, b = one["faction_id"], two["faction_id"]
            clauses = [
                {"type": "pay", "from_id": a, "to_id": b, "amount": 1, "every_days": 30},
                {"type": "no_attack", "a_id": a, "b_id": b}, {"type": "open_borders", "faction_id": a, "to_id": b},
            ]  # fmt: skip
            terms = {
                "id": str(treaty),
                "name": f"T {treaty.int}",
                "parties": [a, b],
                "clauses": clauses,
                **one,
            }
            waiting.append(request("POST", url, stage.token, orjson.dumps(terms)))
            waiting.extend(
                request("POST", f"{url}/{treaty}/sign", stage.token, orjson.dumps(who)) for who in (one, two)
            )
        return waiting.pop(0)

    return make


# -- an event and the clauses that listen --------------------------------------------------------------------


async def watching(stage: Stage) -> list[Row]:
    """The check of one event inside its transaction, by turns in a world with few treaties and one with thousands."""
    times: list[float] = []
    [reaction] = [r for r in diplomacy.system.guarding if r.name == "diplomacy.watch_treaties"]

    async def timed(tx: Transaction, records: list[EventRecord]) -> None:
        start = time.perf_counter()
        await reaction.react(tx, records)
        times.append((time.perf_counter() - start) * 1000)

    guarding = tuple(replace(r, react=timed) if r is reaction else r for r in diplomacy.system.guarding)
    systems = [replace(s, guarding=guarding) if s is diplomacy.system else s for s in BUILT_IN]
    user_id = UUID(stage.call("GET", "/api/v1/account")["id"])
    settings = Settings(
        _env_file=None, data_dir=Path("unused"), signing_key="a signing key that is only for benchmarks"
    )
    worlds = {stage.world("few", paused=True): FEW, stage.world("many", paused=True): TREATIES}
    async with open_runtime(settings, stage.database, systems, work=False) as runtime:
        owner = Actor(f"user:{user_id}", user_id)
        for world_id, treaties in worlds.items():
            await runtime.engine.execute(_lands(), owner, world_id)
            for some in chunks([_treaty(n) for n in range(treaties)], 100):
                await runtime.engine.execute(some, owner, world_id)
        times.clear()
        for n in range(2 * (EVENTS + WARM)):
            # Nobody has promised these open borders, so that no treaty listens.
            banned = BanMovement(region_id=REGIONS[n // 2 % MANY], subject_id=FACTIONS[(n // 2 + 50) % MANY])
            await runtime.engine.execute(banned, owner, list(worlds)[n % 2])
    assert len(times) == 2 * (EVENTS + WARM)
    few, many = (statistics.median(times[2 * WARM + part :: 2]) for part in range(2))
    return [
        Row(f"event → clause watch inside its transaction, {TREATIES:,} treaties in force that do not listen",
            f"median {many:.2f} ms", f"≤ 1.3 × that with {FEW}", f"{few:.2f} ms with {FEW}", f"{many / few:.2f}",
            many <= 1.3 * few),
    ]  # fmt: skip


def _lands() -> list[Command]:
    """A hundred factions, each with a region."""
    return [
        *(FoundFaction(id=f, name=f"F {n}") for n, f in enumerate(FACTIONS)),
        DefineRegions(regions=[RegionValue(id=r, name=f"R {n}") for n, r in enumerate(REGIONS)]),
        *(SetControl(region_id=r, controller_id=f) for r, f in zip(REGIONS, FACTIONS, strict=True)),
    ]


def _treaty(number: int) -> Command:
    """Open borders, no trade and no attack between two factions, at most 49 apart in the list."""
    a = FACTIONS[number % MANY]
    b = FACTIONS[(number + 1 + number // MANY % 49) % MANY]
    return ImportTreaty(
        name=f"T {number}",
        parties=[a, b],
        clauses=[
            {"type": "open_borders", "faction_id": a, "to_id": b},
            {"type": "no_trade", "faction_id": a, "with_id": b, "good": "salt"},
            {"type": "no_attack", "a_id": a, "b_id": b},
        ],
    )
