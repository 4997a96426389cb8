"""Seeded random years of diplomacy: factions do whatever factions may, time passes, and invariants must hold.

One world lives some years. Each season some random commands are given in the name of random factions about what there
is (open incidents, drafts, wars, talks, sanctions), then the world is advanced. Commands may be refused, but only as
they declare. After each year `Years.faults` says what is wrong; the same things are checks of `fablewright doctor`.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import orjson

from fablewright.core.actors import Actor
from fablewright.core.clock import DAY
from fablewright.core.dice import derived_uuid
from fablewright.core.messages import Command
from fablewright.core.refusal import Refused
from fablewright.gateway.runtime import Runtime
from fablewright.systems.characters.commands import CreateCharacter
from fablewright.systems.diplomacy import matrix, service, views
from fablewright.systems.diplomacy.rules import MOVES
from fablewright.systems.director.commands import ConfigureDirector
from fablewright.systems.factions.commands import (
    FoundFaction,
    MemberValue,
    TraitsValue,
)
from fablewright.systems.ledger.checks import ZERO, of_world
from fablewright.systems.markets.commands import DefineGoods, GoodValue
from fablewright.systems.regions.commands import (
    BorderValue,
    DefineRegions,
    RegionValue,
    SetControl,
)
from fablewright.systems.worlds.advance import AdvanceWorker
from fablewright.systems.worlds.commands import AdvanceWorld, CreateWorld
from tests.soak.deeds import STATE, Deeds

FACTIONS: Final = 5
REGIONS: Final = 7
COUNCILS: Final = 5
"""In each so many-th world two of the factions also act by themselves."""
MARKETS: Final = 5
"""Each so many-th world has markets, from its fifth year on: their days take their time."""
SEASONS: Final = 8
SEASON_DAYS: Final = 45
ACTS: Final = (1, 5)
"""Commands that are given in a season, at least and at most, beside what comes of them at once."""
TERRAINS: Final = ("plains", "hills", "forest", "mountains", "river", "city")
FAULTS: Final = {
    "a war inside a truce": """
        SELECT w.id FROM wars w LEFT JOIN relations r
          ON r.world_id = $1 AND r.low_id = least(w.attacker_id, w.defender_id)
             AND r.high_id = greatest(w.attacker_id, w.defender_id)
        WHERE w.world_id = $1 AND w.ended_at IS NULL AND r.status IS DISTINCT FROM 'war'""",
    "a war that nobody fights": """
        SELECT r.id FROM relations r WHERE r.world_id = $1 AND r.status = 'war' AND NOT EXISTS (
            SELECT FROM wars w JOIN war_parties a ON a.world_id = $1 AND a.war_id = w.id AND a.state = 'fighting'
            JOIN war_parties d ON d.world_id = $1 AND d.war_id = w.id AND d.state = 'fighting' AND d.side <> a.side
            WHERE w.world_id = $1 AND w.ended_at IS NULL AND a.faction_id = r.low_id AND d.faction_id = r.high_id)""",
    "a treaty in force that is not signed": """
        SELECT t.id FROM treaties t JOIN treaty_parties p ON p.world_id = $1 AND p.treaty_id = t.id
        WHERE t.world_id = $1 AND t.state IN ('signed', 'in_force', 'suspended') AND p.signed_at IS NULL""",
    "a treaty of a dissolved faction": """
        SELECT t.id FROM treaties t JOIN treaty_parties p ON p.world_id = $1 AND p.treaty_id = t.id
        JOIN factions f ON f.world_id = $1 AND f.id = p.faction_id AND f.dissolved_at IS NOT NULL
        WHERE t.world_id = $1 AND t.closed_at IS NULL AND p.withdrawn_at IS NULL""",
    "a war of a dissolved faction": """
        SELECT p.war_id FROM war_parties p JOIN wars w ON w.world_id = $1 AND w.id = p.war_id AND w.ended_at IS NULL
        JOIN factions f ON f.world_id = $1 AND f.id = p.faction_id AND f.dissolved_at IS NOT NULL
        WHERE p.world_id = $1 AND p.state IN ('fighting', 'called')""",
    "money from nowhere": of_world(ZERO),
    "a dead letter": "SELECT handler || ': ' || error FROM dead_letters WHERE world_id = $1",
}  # fmt: skip
TOLD: Final = """
SELECT e.seq, e.at, e.data::text AS data, EXISTS (
    SELECT FROM events c WHERE c.world_id = $1 AND c.causation_id = e.causation_id
      AND c.command ->> 'type' = 'diplomacy.set_relation') AS decreed
FROM events e WHERE e.world_id = $1 AND e.type = 'diplomacy.status_changed' ORDER BY e.seq
"""


@dataclass
class Years:
    """The diplomacy of one world, from a seed."""

    runtime: Runtime
    actor: Actor
    seed: int
    worker: AdvanceWorker
    undeclared: set[str] = field(default_factory=set)
    """Refusals that a command gave although its class does not name them."""
    number: int = 0
    years: int = 0

    def __post_init__(self) -> None:
        self.chance = random.Random(f"diplomacy {self.seed}")
        self.world_id = derived_uuid("diplomatic years", self.seed, self.actor.name)
        self.deeds = Deeds(self.chance)

    # -- the world -------------------------------------------------------------------------------------------

    async def found(self) -> None:
        """A small world with all that factions can quarrel about."""
        chance = self.chance
        people = [UUID(int=100 + n) for n in range(2 * FACTIONS)]
        factions = [UUID(int=1_000 + n) for n in range(FACTIONS)]
        lands = [UUID(int=2_000 + n) for n in range(REGIONS)]
        await self._execute(CreateWorld(id=self.world_id, name="Years", seed=self.seed, paused=True), None)
        regions = [
            RegionValue(
                id=land, name=f"Land {n}", terrain=chance.choice(TERRAINS), resources={"salt": 20.0, "iron": 5.0}
            )
            for n, land in enumerate(lands)
        ]  # fmt: skip
        borders = [
            BorderValue(a_id=a, b_id=b, minutes=600)
            for a, b in zip(lands, lands[1:] + lands[:1], strict=True)
        ]
        founding: list[Command] = [
            FoundFaction(
                id=faction, name=f"House {n}", leader_id=people[2 * n], treasury=chance.randint(0, 3_000),
                members=[MemberValue(character_id=people[2 * n + 1], role="ambassador")],
                strength=float(chance.randint(0, 2_000)), self_run=n % 2 == 1, ideology={"crown": n % 3 - 1.0},
                traits=TraitsValue(
                    aggressive=chance.random(), honourable=chance.random(), mercantile=chance.random(),
                    isolationist=chance.random(),
                ),
            )
            for n, faction in enumerate(factions)
        ]  # fmt: skip
        await self._execute([
            # Nobody controls them and they do not act by themselves: the factions are what this is about.
            *(CreateCharacter(id=who, name=f"Person {n}", kind="player") for n, who in enumerate(people)),
            DefineRegions(regions=regions, borders=borders), *founding,
            *(SetControl(region_id=land, controller_id=factions[n % FACTIONS]) for n, land in enumerate(lands)),
            *([ConfigureDirector(enabled=True, council_days=30)] if self.seed % COUNCILS == 1 else []),
        ])  # fmt: skip

    async def year(self) -> list[str]:
        """One year; what is wrong after it."""
        self.years += 1
        if self.seed % MARKETS == 0 and self.years == MARKETS:
            await self._execute(DefineGoods(goods=[GoodValue(key="salt", name="Salt", base_price=10)]))
        for _ in range(SEASONS):
            await self._look()
            for _ in range(self.chance.randint(*ACTS)):
                command = self.deeds.command()
                while command is not None and await self._give(command):
                    command = self.deeds.sequel(command)
            job = (await self._execute(AdvanceWorld(by_ms=SEASON_DAYS * DAY))).result["id"]
            await self.worker.advance(self.world_id, UUID(str(job)))
        return await self.faults()

    async def _execute(self, command: Any, world: Any = ...) -> Any:
        self.number += 1
        key = f"diplomacy-{self.seed}-{self.number}"
        world_id = self.world_id if world is ... else None
        return await self.runtime.engine.execute(command, self.actor, world_id, key=key)

    async def _look(self) -> None:
        async with self.runtime.database.reading() as connection:
            self.deeds.see(await connection.fetchval(STATE, self.world_id))

    async def _give(self, command: Command) -> bool:
        """Give a command; whether it was done."""
        self.deeds.given[command.message_type] += 1
        try:
            await self._execute(command)
        except Refused as refused:
            if refused.code not in {refusal.code for refusal in type(command).refusals}:
                self.undeclared.add(f"{command.message_type} {refused.code}")
            self.deeds.refused[f"{command.message_type} {refused.code}"] += 1
            return False
        await self._look()
        return True

    # -- what must hold --------------------------------------------------------------------------------------

    async def faults(self) -> list[str]:
        """What is wrong in this world, in words."""
        found: list[str] = []
        async with self.runtime.database.reading(snapshot=True) as connection:
            for what, sql in FAULTS.items():
                found += [f"{what}: {row[0]}" for row in await connection.fetch(sql, self.world_id)]
            found += _illegal(await connection.fetch(TOLD, self.world_id))
            found += await self._opinions(connection)
        return [f"seed {self.seed}: {fault}" for fault in found]

    async def _opinions(self, connection: Any) -> list[str]:
        """Each opinion, as the matrix shows it, is the sum of its parts, and within its range."""
        now = await views.now_of(connection, self.world_id)
        shown_all = orjson.loads(
            await matrix.matrix(self.runtime.database, connection, self.world_id, now, views.EVERYTHING)
        )
        found = []
        pairs = [(UUID(entry["low_id"]), UUID(entry["high_id"])) for entry in shown_all["relations"]]
        book = await service.peek(connection, self.world_id, now, pairs)
        for entry, (low, high) in zip(shown_all["relations"], pairs, strict=True):
            view = views.relation_view(book, low, high, sees=views.EVERYTHING)
            for shown, feeling in zip((entry["opinion"], entry["opinion_back"]), view.feelings, strict=True):
                parts = sum(part.amount for part in feeling.parts)
                if (
                    abs(parts - feeling.opinion) > 1e-6
                    or abs(shown - parts) > 0.005 + 1e-6  # the matrix tells hundredths
                    or abs(parts) > 100 + 1e-6
                ):
                    found.append(f"an opinion of {shown} with parts of {parts}: {low} and {high}")
            if not (0 <= entry["tension"] <= 100 and 0 <= entry["trust"] <= 1):
                found.append(
                    f"a tension of {entry['tension']}, a trust of {entry['trust']}: {low} and {high}"
                )
        return found


def _illegal(rows: Sequence[Any]) -> list[str]:
    """Steps that follow on nothing, and those that are illegal or break a truce although nobody decreed them."""
    found = []
    stood: dict[tuple[str, str], tuple[str, int | None]] = {}
    for row in rows:
        data = orjson.loads(row["data"])
        pair = data["low_id"], data["high_id"]
        before, until = stood.get(pair, ("neutral", None))
        if data["before"] != before:
            found.append(f"a step from {data['before']}, but they were {before}: {pair}")
        if data["status"] not in MOVES[data["before"]] and not row["decreed"]:
            found.append(f"a step from {data['before']} to {data['status']}: {pair}")
        if data["status"] == "war" and until is not None and row["at"] < until and not row["decreed"]:
            found.append(f"war before the truce was over: {pair}")
        stood[pair] = data["status"], data["truce_until"]
    return found
