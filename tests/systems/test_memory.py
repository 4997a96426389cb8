"""What characters remember, against the real database."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from fablewright.app import BUILT_IN, open_runtime
from fablewright.core.actors import Actor, Role, at_least
from fablewright.core.clock import DAY, HOUR
from fablewright.core.dice import derived_uuid
from fablewright.core.messages import Command
from fablewright.core.refusal import INVALID, Refusal, Refused
from fablewright.core.system import Handler, System
from fablewright.core.transaction import Transaction
from fablewright.gateway.runtime import Runtime
from fablewright.integration.doctor import examine
from fablewright.systems.characters import service as people
from fablewright.systems.characters.commands import CreateCharacter, DeleteCharacter
from fablewright.systems.memory import reflections, rules, service
from fablewright.systems.memory.commands import Claim, ForgetMemory, PlantMemory
from fablewright.systems.memory.recall import FULL_TEXT, SEARCH, Candidate, recall
from fablewright.systems.memory.rules import MemoryKind, MemoryState, NewMemory
from fablewright.systems.worlds.commands import CreateWorld
from tests.conftest import make_settings
from tests.systems.conftest import as_superuser

Work = Callable[[Transaction], Awaitable[Any]]
SPOILED = Refusal("spoiled", INVALID, "The test wants nothing of this to be kept.")
WORK: dict[str, Work] = {}
DONE: dict[str, Any] = {}


class Run(Command):
    """Run the work of a test in a transaction."""

    message_type = "memory_probe.run"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (SPOILED,)

    key: str


async def run(tx: Transaction, command: Run) -> None:
    DONE[command.key] = await WORK[command.key](tx)


PROBE = System(name="memory_probe", handlers=(Handler(Run, one=run),))


class Mill:
    """A world with some characters, and a way into its transactions."""

    def __init__(self, runtime: Runtime, owner: Actor, world_id: UUID, ids: Sequence[UUID]):
        self.runtime, self.owner, self.world_id, self.ids = runtime, owner, world_id, ids

    async def do(self, command: Command | list[Command]) -> Any:
        return (await self.runtime.engine.execute(command, self.owner, self.world_id)).result

    async def within(self, work: Work) -> Any:
        """The result of `work(tx)`, committed."""
        key = str(uuid4())
        WORK[key] = work
        await self.do(Run(key=key))
        return DONE[key]

    async def remember(self, news: Iterable[NewMemory]) -> list[MemoryState]:
        async def work(tx: Transaction) -> list[MemoryState]:
            return await service.remember(tx, list(news), {})

        found: list[MemoryState] = await self.within(work)
        return found

    async def fetch(self, sql: str, *args: Any) -> list[Any]:
        async with self.runtime.database.reading() as connection:
            return list(await connection.fetch(sql, *args))

    async def recall(
        self, who: UUID, query: str | None = None, about: UUID | None = None, now: int = 0, limit: int = 20
    ) -> list[str]:
        async with self.runtime.database.reading() as connection:
            found = await recall(connection, self.world_id, who, query, about, now, limit)
        assert [one.score.total for one in found] == sorted((one.score.total for one in found), reverse=True)
        return [one.memory.text for one in found]

    async def mind(self, who: UUID) -> tuple[Any, ...]:
        rows = await self.fetch(
            "SELECT memories, unreflected, reflected_at FROM minds WHERE world_id = $1 AND id = $2",
            self.world_id, who,
        )  # fmt: skip
        return tuple(rows[0]) if rows else (0, 0.0, None)

    async def texts(self, who: UUID) -> list[str]:
        rows = await self.fetch(
            "SELECT text FROM memories WHERE world_id = $1 AND character_id = $2 ORDER BY text",
            self.world_id, who,
        )  # fmt: skip
        return [row["text"] for row in rows]

    async def findings(self) -> list[str]:
        """What the checks find wrong in this world."""
        return [f"{f.check}: {f.text}" for f in await examine(self.runtime) if f.world_id == self.world_id]


@pytest.fixture(scope="module")
async def runtime(folder: Path, database_url: str) -> AsyncIterator[Runtime]:
    async with open_runtime(
        make_settings(folder / "data"), database_url, (*BUILT_IN, PROBE), work=False
    ) as opened:
        yield opened


async def made(runtime: Runtime, database_url: str, many: int = 4, **fields: Any) -> Mill:
    """A world of its own, whose clock stands at 0."""
    owner = Actor(f"user:{(user_id := uuid4())}", user_id)
    await as_superuser(
        database_url,
        "INSERT INTO users (id, login, display_name, password_hash) VALUES ($1, $2, 'Somebody', 'x')",
        user_id, f"m-{user_id.hex[:16]}",
    )  # fmt: skip
    command = CreateWorld(**{"name": "Mill", "seed": 7, "paused": True, **fields})
    world_id = UUID(str((await runtime.engine.execute(command, owner)).result["id"]))
    mill = Mill(runtime, owner, world_id, [])
    mill.ids = [c.id for c in await mill.do([CreateCharacter(name=f"C{n}") for n in range(many)])]
    return mill


@pytest.fixture
async def mill(runtime: Runtime, database_url: str) -> Mill:
    return await made(runtime, database_url)


def saw(
    owner: UUID, text: str = "Somebody was at the mill.", *, about: UUID | None = None, fact: object = None,
    kind: MemoryKind = "saw", **fields: Any,
) -> NewMemory:  # fmt: skip
    values: dict[str, Any] = {
        "at": 0, "importance": 0.3, "certainty": 1.0, "valence": 0.0, "place_id": None, "subject_id": about,
        "about": () if about is None else (about,), **fields,
    }  # fmt: skip
    return NewMemory(owner, derived_uuid("fact", fact or uuid4()), kind, text, **values)


# -- remembering ---------------------------------------------------------------------------------------------


async def test_what_is_remembered_is_found_as_it_was(mill: Mill) -> None:
    a, b, c, _ = mill.ids
    new = saw(
        a, "I quarrelled with Ben.", about=b, kind="did", at=-5, importance=0.7, certainty=0.9, valence=-0.4,
        secret=True, claim={"deed": "conflict", "who": str(a), "degree": 2, "topic": "flour"}, truth="No.",
        evidence=(c,),
    )  # fmt: skip
    heard = saw(a, about=b, kind="told", tellers=(c, b), certainty=0.4)
    states = await mill.remember([new, heard])
    assert states == [rules.remembered(new), rules.remembered(heard)]

    async def work(tx: Transaction) -> Any:
        return await service.load(tx, [s.id for s in states] + [uuid4()])

    assert await mill.within(work) == {s.id: s for s in states}
    assert await mill.mind(a) == (2, pytest.approx(0.7 * 0.9 + 0.3 * 0.4), None)


async def test_a_fact_that_comes_again_is_merged(mill: Mill) -> None:
    a, b, c, d = mill.ids
    await mill.remember([saw(a, "first", fact="x", kind="told", tellers=(b,), certainty=0.5)])
    (again,) = await mill.remember([saw(a, "second", fact="x", kind="told", tellers=(c,), certainty=0.4)])
    assert again.certainty == pytest.approx(0.7)
    assert (again.text, again.heard_from) == ("first", (b, c))
    (seen,) = await mill.remember([saw(a, "seen", fact="x", importance=0.9)])
    assert (seen.text, seen.tellers, seen.certainty) == ("seen", (), 1.0)
    assert await mill.texts(a) == ["seen"] and (await mill.mind(a))[0] == 1
    both = [saw(d, "p", fact="y", kind="told", tellers=(t,), certainty=0.5) for t in (b, c)]
    (merged,) = await mill.remember(both)
    assert merged.certainty == pytest.approx(0.75)
    known = {a: "x", b: "x", d: "y"}

    async def work(tx: Transaction) -> Any:
        return await service.known(tx, [(who, derived_uuid("fact", fact)) for who, fact in known.items()])

    assert {who for who, _ in await mill.within(work)} == {a, d}


async def test_nothing_is_kept_of_what_is_rolled_back(mill: Mill) -> None:
    a = mill.ids[0]
    await mill.remember([saw(a, "kept", fact="x", kind="told", tellers=(mill.ids[1],), certainty=0.5)])

    async def work(tx: Transaction) -> None:
        await service.remember(tx, [saw(a, "lost", fact="x"), saw(a, "lost too")], {})
        raise SPOILED()

    before = await mill.mind(a)
    with pytest.raises(Refused, match="spoiled"):
        await mill.within(work)
    assert (await mill.texts(a), await mill.mind(a)) == (["kept"], before)


async def test_two_at_once_neither_block_nor_miscount(mill: Mill) -> None:
    """The same people and facts in opposite orders, in minds that are not there yet and in full ones."""
    ids = list(mill.ids)

    async def work(tx: Transaction, order: Sequence[UUID], n: int) -> None:
        news = [saw(i, f"{n}", fact=f"shared {n % 3}", importance=0.2) for i in order]
        news += [saw(i, f"own {n}", importance=0.2) for i in order]
        await service.remember(tx, news, {})

    def one(n: int) -> Work:
        return lambda tx: work(tx, ids if n % 2 else ids[::-1], n)

    await asyncio.gather(*(mill.within(one(n)) for n in range(12)))
    for i in ids:
        assert await mill.mind(i) == (15, pytest.approx(15 * 0.2), None)
    assert await mill.findings() == []


async def test_memory_never_exceeds_its_capacity(runtime: Runtime, database_url: str) -> None:
    mill = await made(runtime, database_url, settings={"memory_capacity": 40})
    a, b = mill.ids[:2]
    for n in range(5):
        await mill.remember(
            [saw(a, f"trifle {n} {k}", importance=0.05) for k in range(15)]
            + [saw(a, f"weighty {n}", importance=0.9), saw(b, "one")]
        )
        assert (await mill.mind(a))[0] == len(await mill.texts(a)) <= 40
    assert {f"weighty {n}" for n in range(5)} <= set(await mill.texts(a))
    assert len(await mill.texts(b)) == 5
    await mill.remember([saw(b, f"flood {k}") for k in range(100)])
    assert len(await mill.texts(b)) == 36
    assert await mill.findings() == []


# -- scenes and stories --------------------------------------------------------------------------------------


async def test_a_scene_holds_what_matters_between_two(mill: Mill) -> None:
    a, b, c, d = mill.ids
    await mill.remember(
        [saw(a, f"b {n:02}", about=b, at=n, importance=0.2) for n in range(30)]
        + [saw(a, "b weighty", about=b, at=3, importance=0.9), saw(a, "c weighty", about=c, at=-9, importance=1)]
        + [saw(a, f"c {n:02}", about=c, at=100 + n, importance=0.1) for n in range(9)]
        + [saw(b, "b's own", about=a)]
    )  # fmt: skip

    async def work(tx: Transaction) -> Any:
        return await service.scene(tx, [(a, b), (b, a), (a, d), (c, d), (a, b)])

    found = await mill.within(work)
    assert set(found) == {(a, b), (b, a), (a, d), (c, d)}
    texts = {pair: [m.text for m in memories] for pair, memories in found.items()}
    latest = {f"b {n:02}" for n in range(26, 30)}
    general = {"c weighty", "b weighty"} | {f"c {n:02}" for n in range(5, 9)}
    assert latest | general <= set(texts[a, b])
    assert general <= set(texts[a, d]) and not latest <= set(texts[a, d])
    assert texts[a, b][0] == "b weighty"
    assert all(len(set(t)) == len(t) <= 24 for t in texts.values())
    assert texts[b, a] == ["b's own"] and texts[c, d] == []


async def test_what_can_be_told_is_about_others(mill: Mill) -> None:
    a, b, c, _ = mill.ids
    await mill.remember(
        [
            saw(a, "gossip", about=b, importance=0.5), saw(a, "older", about=c, at=-DAY, importance=0.4),
            saw(a, "of myself", about=a, importance=1.0), saw(a, "of nobody", importance=1.0),
            saw(a, "opinion", about=b, kind="reflection", evidence=(b,), importance=1.0),
            saw(a, "secret", about=b, secret=True, importance=0.8),
        ]
    )  # fmt: skip

    async def work(tx: Transaction) -> Any:
        return [await service.tellable(tx, [a, b], 3), await service.tellable(tx, [a], 1)]

    several, one = await mill.within(work)
    assert [m.text for m in several[a]] == ["gossip", "older", "secret"] and several[b] == []
    assert [m.text for m in one[a]][-1] == "secret" and len(one[a]) <= 2


# -- recall --------------------------------------------------------------------------------------------------


async def test_recall_ranks_by_recency_importance_and_words(mill: Mill) -> None:
    a, b, c, _ = mill.ids
    await mill.remember(
        [
            saw(a, "The mill burned.", about=b, at=0, importance=0.5),
            saw(a, "The mill was sold.", about=c, at=-30 * DAY, importance=0.5),
            saw(a, "The mills burn, they say: burning mills.", at=-HOUR, importance=0.1),
            saw(a, "Ida sang.", about=b, at=0, importance=0.9),
            saw(b, "Somebody else's mill burned.", importance=1.0),
        ]
    )
    assert await mill.recall(a) == [
        "Ida sang.", "The mill burned.", "The mills burn, they say: burning mills.", "The mill was sold.",
    ]  # fmt: skip
    assert (await mill.recall(a, "mill"))[0] == "The mill burned."
    assert set(await mill.recall(a, "burning mills")) == {
        "The mill burned.", "The mill was sold.", "The mills burn, they say: burning mills.",
    }  # fmt: skip
    assert await mill.recall(a, "sold or sang", limit=1) == ["Ida sang."]
    assert await mill.recall(a, "dragon") == []
    assert await mill.recall(a, "the") == await mill.recall(a)
    assert await mill.recall(a, about=c) == ["The mill was sold."]
    assert await mill.recall(a, "mill", about=b) == ["The mill burned."]
    assert await mill.recall(a, "' & | !:* \\") == await mill.recall(a)
    assert await mill.recall(mill.ids[3]) == []


async def test_recall_takes_relevance_from_elsewhere(mill: Mill) -> None:
    a = mill.ids[0]
    (far, near) = await mill.remember([saw(a, "far", importance=1.0), saw(a, "near", importance=0.1)])

    class Vectors:
        async def candidates(self, *_: Any) -> list[Candidate]:
            return [Candidate(far.id, 0, 1.0, 0.1), Candidate(near.id, 0, 0.1, 1.0)]

    async with mill.runtime.database.reading() as connection:
        found = await recall(connection, mill.world_id, a, "?", None, 0, 5, Vectors())
        assert [one.memory.text for one in found] == ["near", "far"]
        assert await FULL_TEXT.candidates(connection, mill.world_id, a, "the", None) is None


async def test_recall_asks_the_index_for_one_owner_only(mill: Mill) -> None:
    a, b, *_ = mill.ids
    await mill.remember([saw(i, f"mill {n}") for i in (a, b) for n in range(50)])
    async with mill.runtime.database.reading() as connection, connection.transaction():
        await connection.execute("SET LOCAL enable_seqscan = off")
        plan = await connection.fetch(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {SEARCH}", "mill", f"'owner:{mill.world_id}{a}'", None
        )
    scans = json.dumps(plan[0][0])
    assert "ix_memories_search" in scans and '"Actual Rows": 100' not in scans


# -- commands ------------------------------------------------------------------------------------------------


async def test_planted_knowledge_is_told_without_its_truth(mill: Mill) -> None:
    a, b, c, _ = mill.ids
    claim = Claim(deed="conflict", who=b, whom=c, degree=3, was=2, quality=-0.6)
    planted = await mill.do(
        PlantMemory(
            character_id=a, text="Ben beat Ida.", about_ids=[b, c], truth="Ben insulted Ida.", claim=claim,
            kind="told", tellers=[c, b], certainty=0.5, is_secret=True,
        )
    )  # fmt: skip
    (event,) = await mill.fetch(
        "SELECT id, data::text, audience, about, command::text FROM events "
        "WHERE world_id = $1 AND type = 'memory.planted'",
        mill.world_id,
    )  # fmt: skip
    data = json.loads(event["data"])
    assert (data["memory_id"], event["audience"], event["about"]) == (str(planted.id), [a], [a])
    assert "truth" not in data and "was" not in data["claim"]
    assert json.loads(event["command"])["payload"]["truth"] == "Ben insulted Ida."
    (state,) = (await mill.within(lambda tx: service.load(tx, [planted.id]))).values()
    assert (state.event_id, state.truth, state.secret) == (event["id"], "Ben insulted Ida.", True)
    assert state.claim["was"] == 2 and state.subject_id == b and state.heard_from == (c, b)
    assert await mill.findings() == []


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"character_id": uuid4()}, "character_not_found"), ({"about_ids": [uuid4()]}, "character_not_found"),
        ({"place_id": uuid4()}, "place_not_found"), ({"kind": "told"}, "tellers_invalid"),
        ({"tellers": [1]}, "tellers_invalid"), ({"kind": "told", "tellers": [0]}, "tellers_invalid"),
        ({"kind": "told", "tellers": [1, 1]}, "tellers_invalid"), ({"at": 1}, "memory_in_the_future"),
    ],
)  # fmt: skip
async def test_what_cannot_be_planted(mill: Mill, fields: dict[str, Any], code: str) -> None:
    if "tellers" in fields:
        fields = {**fields, "tellers": [mill.ids[n] for n in fields["tellers"]]}
    results = await asyncio.gather(
        *(
            mill.do(PlantMemory(**{"character_id": mill.ids[0], "text": "x", **more}))
            for more in ({}, fields, {})
        ),
        return_exceptions=True,
    )
    assert isinstance(results[1], Refused) and results[1].code == code
    assert len(await mill.texts(mill.ids[0])) == 2


async def test_forgetting_on_command(mill: Mill) -> None:
    a, b, *_ = mill.ids
    one = await mill.do(PlantMemory(character_id=a, text="x", fact_id=derived_uuid("x")))
    await mill.do(PlantMemory(character_id=b, text="x", fact_id=derived_uuid("x")))
    results = await asyncio.gather(
        *(mill.do(ForgetMemory(memory_id=one.id)) for _ in range(3)), return_exceptions=True
    )
    refused = [r.code for r in results if isinstance(r, Refused)]
    assert refused == ["memory_not_found"] * 2
    assert (await mill.texts(a), await mill.texts(b), (await mill.mind(a))[0]) == ([], ["x"], 0)
    assert await mill.findings() == []


async def test_a_deleted_characters_memories_go_with_it(mill: Mill) -> None:
    a, b, c, _ = mill.ids
    await mill.remember(
        [saw(a, "mine"), saw(b, "of a", about=a, kind="told", tellers=(a,), certainty=0.5), saw(c, "c")]
    )
    await mill.do(DeleteCharacter(character_id=a))
    assert [await mill.texts(i) for i in (a, b, c)] == [[], ["of a"], ["c"]]
    assert await mill.findings() == []


# -- reflections ---------------------------------------------------------------------------------------------


def quarrels(a: UUID, b: UUID, n: int, **fields: Any) -> list[NewMemory]:
    claim = {"deed": "conflict", "who": str(b), "whom": str(a), "degree": 2, "quality": -0.5}
    return [
        saw(a, f"quarrel {k}", about=b, claim=claim, valence=-0.4, importance=0.5, **fields) for k in range(n)
    ]


async def reflected(mill: Mill) -> list[dict[str, Any]]:
    rows = await mill.fetch(
        "SELECT data::text, causation_id, audience FROM events "
        "WHERE world_id = $1 AND type = 'memory.reflected' ORDER BY seq", mill.world_id,
    )  # fmt: skip
    return [{**json.loads(r["data"]), "cause": r["causation_id"], "audience": r["audience"]} for r in rows]


async def test_after_enough_a_character_draws_a_conclusion(mill: Mill) -> None:
    a, b, c, _ = mill.ids
    assert len(await mill.remember(quarrels(a, b, 7))) == 7
    planted = await mill.do(PlantMemory(character_id=c, text="nothing to do with it"))
    states = await mill.remember(quarrels(a, b, 1, event_id=planted.event_id))
    (conclusion,) = states[1:]
    assert (conclusion.kind, conclusion.subject_id, conclusion.valence) == ("reflection", b, -0.7)
    since = {"since": "since this morning", "since_": "Since this morning"}
    assert conclusion.text in {s.format(other="C1", **since) for s in service.sayings()["quarrel"]}
    (event,) = await reflected(mill)
    assert (event["memory_id"], event["conclusion"], event["text"]) == (
        str(conclusion.id),
        "quarrel",
        conclusion.text,
    )
    assert event["audience"] == [a] and [UUID(i) for i in event["evidence"]] == list(conclusion.evidence)
    remembered = await mill.within(lambda tx: service.load(tx, conclusion.evidence))
    assert len(remembered) == len(conclusion.evidence) > 2
    assert await mill.mind(a) == (9, 0.0, 0)
    assert await mill.findings() == []


async def test_a_reflection_is_put_down_to_the_event_that_set_it_off(mill: Mill) -> None:
    a, b, c, _ = mill.ids

    async def work(tx: Transaction) -> None:
        await people.load(tx, [a, b])
        first = await tx.perform([PlantMemory(character_id=c, text="what happened")])
        await service.remember(tx, [replace(m, event_id=first[0].event_id) for m in quarrels(a, b, 8)], {})
        DONE["event"] = first[0].event_id

    await mill.within(work)
    (event,) = await reflected(mill)
    assert event["cause"] == DONE["event"]


async def test_a_new_conclusion_takes_the_place_of_the_old_and_the_same_is_not_drawn_twice(
    mill: Mill,
) -> None:
    a, b, *_ = mill.ids
    await mill.remember(quarrels(a, b, 8))
    await mill.remember(quarrels(a, b, 8))
    assert [e["conclusion"] for e in await reflected(mill)] == ["quarrel"]
    claim = {"deed": "threaten", "who": str(b), "whom": str(a), "degree": 3, "quality": -0.9}
    await mill.remember(
        [saw(a, "threat", about=b, claim=claim, valence=-0.9, importance=1.0) for _ in range(5)]
    )
    assert [e["conclusion"] for e in await reflected(mill)] == ["quarrel", "threatens"]
    rows = await mill.fetch(
        "SELECT fact_id FROM memories WHERE world_id = $1 AND kind = 'reflection'", mill.world_id
    )
    assert [row["fact_id"] for row in rows] == [reflections.fact_of(a, "threatens", b)]
    assert (await mill.mind(a))[0] == 22
    assert await mill.findings() == []


async def test_reflections_do_not_depend_on_who_shares_the_transaction(
    runtime: Runtime, database_url: str
) -> None:
    said = []
    for together in (True, False):
        mill = await made(runtime, database_url)
        a, b, c, d = mill.ids
        ids = [str(i) for i in mill.ids]
        groups = [quarrels(a, b, 8), quarrels(c, d, 8)]
        for news in [[*groups[0], *groups[1]]] if together else groups:
            await mill.remember(news)
        said.append(sorted((ids.index(e["character_id"]), e["conclusion"]) for e in await reflected(mill)))
    assert said[0] == said[1] == [(0, "quarrel"), (2, "quarrel")]


# -- the doctor ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("check", "damage"),
    [
        ("counted", "UPDATE minds SET memories = memories + 1 WHERE world_id = $1"),
        ("counted", "DELETE FROM minds WHERE world_id = $1"),
        ("told_by_others", "UPDATE memories SET tellers = ARRAY[character_id], kind = 'told' WHERE world_id = $1"),
        ("told_by_others", "UPDATE memories SET tellers = tellers || tellers WHERE world_id = $1"),
        ("heard_from_its_tellers", "UPDATE memories SET heard_from = '{}' WHERE world_id = $1"),
        ("hearsay_is_less_than_sure", "UPDATE memories SET certainty = 1.2 - certainty WHERE world_id = $1"),
        ("event_in_the_log", "UPDATE memories SET event_id = gen_random_uuid() WHERE world_id = $1"),
        ("reflections_have_evidence", "UPDATE memories SET evidence = ARRAY[id] WHERE world_id = $1"),
        ("of_the_living", "UPDATE characters SET deleted_at = 0 WHERE world_id = $1"),
    ],
)  # fmt: skip
async def test_the_doctor_finds_damage(runtime: Runtime, database_url: str, check: str, damage: str) -> None:
    mill = await made(runtime, database_url, 2)
    a, b = mill.ids
    await mill.remember([saw(a, fact="x"), saw(b, fact="x", kind="told", tellers=(a,), certainty=0.5)])
    assert await mill.findings() == []
    await as_superuser(database_url, damage, mill.world_id)
    assert any(f"memory.{check}:" in f for f in await mill.findings())
    for table in ("memories", "minds"):  # leave nothing broken to others' doctors
        await as_superuser(database_url, f"DELETE FROM {table} WHERE world_id = $1", mill.world_id)
