"""A seeded simulation: several actors give random commands to several worlds over two nodes, while connections
die, clocks are set, worlds are fast-forwarded and keys are used again.

It keeps a model of its own: which keys were acknowledged with which answer, and which were refused. At the end
the database must agree with the model, and with those who read the log while it grew.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from fablewright.core import log
from fablewright.core.actors import Actor
from fablewright.core.dice import derived_uuid
from fablewright.core.messages import Command
from fablewright.core.refusal import Refused
from fablewright.gateway.runtime import Runtime
from fablewright.integration.doctor import examine
from fablewright.systems.characters.commands import CreateCharacter, DeleteCharacter, UpdateCharacter
from fablewright.systems.dialogue.commands import Interact
from fablewright.systems.director.commands import ConfigureDirector
from fablewright.systems.relationships.commands import SetTie
from fablewright.systems.worlds.commands import (
    AdvanceWorld,
    CreateWorld,
    RemoveMember,
    SetClock,
    SetMember,
    StopAdvance,
    UpdateWorld,
)
from tests.support import until

WORLDS = 3
TASKS = 10
NOT_NOW = {"contended", "overloaded", "database_unavailable", "queue_full"}
TRIES = 500
KILL = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name LIKE 'fablewright%' AND pid <> pg_backend_pid() AND random() < 0.3
"""
ADD_USER = "INSERT INTO users (id, login, display_name, password_hash) VALUES ($1, $2, 'Somebody', 'x')"


@dataclass(eq=False)
class World:
    """A world, its owner, and the characters that were made in it (perhaps gone by now)."""

    id: UUID
    characters: list[UUID] = field(default_factory=list)
    seen: list[UUID] = field(default_factory=list)
    """Ids of events in the order in which a reader saw them."""


@dataclass(eq=False)
class Keyed:
    """A command, or a list, that was given under a key."""

    actor: Actor
    world: World
    commands: tuple[Command, ...]
    is_list: bool
    key: str

    def ids(self) -> list[UUID]:
        """The ids that the engine gives its commands."""
        base = derived_uuid(self.actor.name, self.key)
        return [derived_uuid(base, n) for n in range(len(self.commands))] if self.is_list else [base]


@dataclass
class Simulation:
    """One run, from a seed. Which command meets which fault depends on the machine; what must hold does not."""

    nodes: Sequence[Runtime]
    url: str
    seed: int
    worlds: list[World] = field(default_factory=list)
    actors: list[Actor] = field(default_factory=list)
    acknowledged: dict[Keyed, tuple[bytes, int | None]] = field(default_factory=dict)
    refused: dict[Keyed, str] = field(default_factory=dict)
    replays: int = 0
    killed: int = 0
    retried: Counter[str] = field(default_factory=Counter)

    async def run(self, steps: int) -> None:
        """Set up, give `steps` commands under faults, wait until all is quiet, and compare."""
        await self._found()
        stop = asyncio.Event()
        faults_and_readers = [self._kill(stop), *(self._read(world, stop) for world in self.worlds)]
        background = [asyncio.create_task(work) for work in faults_and_readers]
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(TASKS):
                    group.create_task(
                        self._act(random.Random(f"{self.seed} {number}"), number, steps // TASKS)
                    )
        finally:
            stop.set()
            await asyncio.gather(*background)
        await self._quiet()
        await self._compare()

    # -- before and after ------------------------------------------------------------------------------------

    async def _found(self) -> None:
        for number in range(5):
            user_id = derived_uuid("soak", self.seed, number)
            await self._sql(ADD_USER, user_id, f"soak-{self.seed}-{number}")
            self.actors.append(Actor(f"user:{user_id}", user_id))
        roles = ("owner", "game_master", "player", "observer", None)
        for number in range(WORLDS):
            command = CreateWorld(name=f"World {number}", seed=self.seed, rate=1_000.0)
            answer = await self.nodes[0].engine.execute(command, self.actors[0])
            world = World(UUID(str(answer.result["id"])))
            for actor, role in zip(self.actors[1:], roles[1:], strict=True):
                if role is not None and actor.user_id is not None:
                    await self.nodes[0].engine.execute(
                        SetMember(user_id=actor.user_id, role=role), self.actors[0], world.id
                    )
            self.worlds.append(world)

    async def _quiet(self) -> None:
        """Stop time in all worlds, and let the readers see the rest."""
        for world in self.worlds:

            async def arrived(world: World = world) -> bool:
                rows = await self._sql("SELECT advance_id IS NULL FROM worlds WHERE id = $1", world.id)
                return bool(rows[0][0])

            await until(arrived, 120)
            await self.nodes[0].engine.execute(SetClock(paused=True), self.actors[0], world.id)
            while await self._read_on(world):
                continue

    async def _sql(self, sql: str, *arguments: Any) -> list[Any]:
        connection = await asyncpg.connect(self.url.replace("+asyncpg", ""))
        try:
            return list(await connection.fetch(sql, *arguments))
        finally:
            await connection.close()

    # -- faults and readers ----------------------------------------------------------------------------------

    async def _kill(self, stop: asyncio.Event) -> None:
        """End some connections of the server now and then."""
        chance = random.Random(f"{self.seed} kill")
        while not stop.is_set():
            self.killed += len(await self._sql(KILL))
            try:
                async with asyncio.timeout(chance.uniform(0.1, 1.0)):
                    await stop.wait()
            except TimeoutError:
                continue

    async def _read(self, world: World, stop: asyncio.Event) -> None:
        """Follow a world's log by its positions, as every listener does."""
        while not stop.is_set():
            try:
                await self._read_on(world)
            except Refused as refused:
                assert refused.code in NOT_NOW
            await asyncio.sleep(0)

    async def _read_on(self, world: World) -> bool:
        """Read the next events, if there are more; they must follow those that were read before."""
        node = self.nodes[len(world.seen) % len(self.nodes)]
        async with node.database.reading() as connection:
            part = await log.read(connection, world.id, len(world.seen), 500, log.Filter())
        assert [row["seq"] for row in part.rows] == list(range(len(world.seen) + 1, part.up_to + 1))
        world.seen += [row["id"] for row in part.rows]
        return part.up_to < part.head

    # -- commands --------------------------------------------------------------------------------------------

    async def _act(self, chance: random.Random, number: int, steps: int) -> None:
        """One client: commands one after the other, old keys among them."""
        for step in range(steps):
            if self.acknowledged and chance.random() < 0.05:
                await self._again(chance)
                continue
            actor = chance.choices(self.actors, [4, 3, 3, 1, 1])[0]
            world = chance.choice(self.worlds)
            is_list = chance.random() < 0.1
            commands = tuple(
                self._command(chance, world) for _ in range(chance.randint(1, 4) if is_list else 1)
            )
            keyed = Keyed(actor, world, commands, is_list, f"{self.seed}-{number}-{step}")
            twice = 2 if chance.random() < 0.05 else 1
            outcomes = await asyncio.gather(*(self._give(chance, keyed) for _ in range(twice)))
            answers = [o for o in outcomes if isinstance(o, tuple)]
            if answers:  # two at once: one may be refused first and the other run, but never two answers
                assert all(answer == answers[0] for answer in answers), keyed
                self.acknowledged[keyed] = answers[0]
                self._note(keyed, answers[0][0])
            else:
                self.refused[keyed] = str(outcomes[0])

    async def _give(self, chance: random.Random, keyed: Keyed) -> tuple[bytes, int | None] | str:
        """Give it, again and again with the same key until the outcome is known; answer or refusal's code."""
        commands: Any = keyed.commands if keyed.is_list else keyed.commands[0]
        for _ in range(TRIES):
            engine = chance.choice(self.nodes).engine
            try:
                answer = await engine.execute(commands, keyed.actor, keyed.world.id, key=keyed.key)
            except Refused as refused:
                if refused.code not in NOT_NOW:
                    return refused.code
                self.retried[refused.code] += 1
                await asyncio.sleep(0.02)
            else:
                return answer.body, answer.seq
        raise AssertionError(f"no outcome after {TRIES} tries: {keyed}")

    async def _again(self, chance: random.Random) -> None:
        """A key that has run: the same command is answered as before, another one refused."""
        keyed = chance.choice(list(self.acknowledged))
        outcome = await self._give(chance, keyed)
        assert outcome == self.acknowledged[keyed], keyed
        other = Keyed(keyed.actor, keyed.world, (UpdateWorld(name="Something else"),), False, keyed.key)
        assert await self._give(chance, other) == "idempotency_key_reused", keyed
        self.replays += 1

    def _note(self, keyed: Keyed, body: bytes) -> None:
        """Remember the characters that were made."""
        answer = orjson.loads(body)
        results = answer["results"] if keyed.is_list else [answer["result"]]
        for command, result in zip(keyed.commands, results, strict=True):
            if isinstance(command, CreateCharacter):
                keyed.world.characters.append(UUID(result["id"]))

    def _command(self, chance: random.Random, world: World) -> Command:
        """A random command; many are refused, for one reason or another."""
        nobody = UUID(int=chance.getrandbits(128))
        one, other = (
            chance.choice(world.characters) if world.characters and chance.random() < 0.95 else nobody
            for _ in "ab"
        )
        user_id = self.actors[chance.randint(2, 4)].user_id
        assert user_id is not None
        kind: Any = chance.choice(["greeting", "chat", "collaboration", "conflict"])
        role: Any = chance.choice(["observer", "player", "player", "game_master"])
        makers: list[tuple[float, Any]] = [
            (20, lambda: CreateCharacter(name=f"C{chance.randint(0, 9999)}", kind=chance.choice(["npc", "player"]))),
            (40, lambda: Interact(initiator_id=one, target_id=other, type=kind, content="Well met.")),
            (8, lambda: UpdateCharacter(character_id=one, energy=chance.random())),
            (4, lambda: UpdateCharacter(character_id=one, user_id=user_id)),
            (3, lambda: DeleteCharacter(character_id=one)),
            (8, lambda: SetTie(source_id=one, target_id=other, strength=chance.uniform(-1, 1))),
            (4, lambda: ConfigureDirector(enabled=chance.random() < 0.7, beats_per_minute=0.5, acts_per_beat=2)),
            (6, lambda: SetClock(rate=chance.choice([0.5, 100.0, 5_000.0]), paused=chance.random() < 0.2)),
            (2, lambda: AdvanceWorld(by_ms=chance.randint(1, 1_200_000))),
            (2, lambda: AdvanceWorld(to_ms=chance.randint(-1_000, 1_000))),
            (1, StopAdvance),
            (5, lambda: UpdateWorld(name=f"Name {chance.randint(0, 99)}")),
            (4, lambda: SetMember(user_id=user_id, role=role)),
            (2, lambda: RemoveMember(user_id=user_id)),
        ]  # fmt: skip
        made: Command = chance.choices([m for _, m in makers], [weight for weight, _ in makers])[0]()
        return made

    # -- comparison ------------------------------------------------------------------------------------------

    async def _compare(self) -> None:
        """The model against the log, the readers against the log, and the doctor."""
        for world in self.worlds:
            rows = await self._sql(
                "SELECT seq, id, type, actor, at, command::text AS command FROM events "
                "WHERE world_id = $1 ORDER BY seq",
                world.id,
            )
            assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
            late = [(row["seq"], row["type"], row["actor"], row["at"]) for row in rows[len(world.seen) :]]
            assert not late, f"something happened although time stood still: {late[:5]}"
            assert world.seen == [row["id"] for row in rows], "what was read once has changed"
            self._compare_world(world, rows)
        dead = await self._sql(
            "SELECT handler, error FROM dead_letters WHERE world_id = ANY($1)",
            [world.id for world in self.worlds],
        )
        assert not dead, dead
        assert [
            f for f in await examine(self.nodes[0]) if f.world_id in {None, *(w.id for w in self.worlds)}
        ] == []

    def _compare_world(self, world: World, rows: Sequence[Any]) -> None:
        commands = [(orjson.loads(row["command"]), row) for row in rows if row["command"]]
        ran = Counter(UUID(c["id"]) for c, _ in commands if c["actor"].startswith("user:"))
        founding = {c["type"] for c, row in commands if row["seq"] < 6}
        assert "worlds.create_world" in founding
        mine = set()
        for keyed, (_, seq) in self.acknowledged.items():
            if keyed.world is world:
                mine.update(keyed.ids())
                assert all(ran[command_id] <= 1 for command_id in keyed.ids()), keyed
                assert any(ran[command_id] for command_id in keyed.ids()) == (seq is not None), keyed
                assert seq is None or seq <= len(rows)
        for keyed in self.refused:
            if keyed.world is world:
                assert not any(ran[command_id] for command_id in keyed.ids()), keyed
        # Nobody else's commands are in it, but those with which the simulation began and ended.
        others = [
            c["type"] for c, _ in commands if c["actor"].startswith("user:") and UUID(c["id"]) not in mine
        ]
        assert sorted(others) == sorted(
            ["worlds.create_world", *["worlds.set_member"] * 3, "worlds.set_clock"]
        )
