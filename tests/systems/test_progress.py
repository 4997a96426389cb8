"""Measures against the real database: live, from the log, and both at once."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID, uuid4

import orjson
import pytest

from fablewright.core.actors import Actor, system_actor
from fablewright.core.clock import DAY
from fablewright.core.engine import Scope
from fablewright.core.timers import FireTimers
from fablewright.core.transaction import Bounds, Request, Transaction
from fablewright.integration.doctor import examine
from fablewright.systems.custom_events.commands import RecordEvent, RegisterEventType
from fablewright.systems.custom_events.events import CustomEvent
from fablewright.systems.progress import backfill, service
from fablewright.systems.progress.backfill import Backfill
from fablewright.systems.progress.rules import MeasureSpec, current
from fablewright.systems.progress.service import Moved, Restored, Value
from fablewright.systems.worlds.commands import DeleteWorld, ReplayDeadLetter
from tests import counter
from tests.counter import CALLS
from tests.systems.conftest import Bench, OpenBench

T = TypeVar("T")
ADA, BEN, CYN = (UUID(int=n) for n in range(101, 104))
USER = UUID(int=900)


@dataclass
class Heard:
    """What a system was told, and a way to let it fail."""

    moved: list[Moved] = field(default_factory=list)
    fail: Callable[[list[Moved]], bool] = lambda _moved: False

    async def __call__(self, tx: Transaction, moved: list[Moved]) -> None:
        CALLS["heard"] += 1
        if self.fail(moved):
            raise RuntimeError("a bug in who listens")
        self.moved += moved

    def take(self, *, of: UUID | None = None) -> list[tuple[UUID, float, float]]:
        found = [(m.subject_id, m.before, m.after) for m in self.moved if of in (None, m.measure_id)]
        self.moved.clear()
        return sorted(found)


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Heard]:
    """The counter system listens to progress."""
    listener = Heard()
    monkeypatch.setitem(counter.system.extra, service.LISTENER, listener)
    yield listener


@dataclass
class Game:
    """A world to which a game server sends events."""

    bench: Bench
    owner: Actor
    world_id: UUID

    @classmethod
    async def open(cls, bench: Bench) -> "Game":
        owner = await bench.person()
        game = cls(bench, owner, await bench.world(owner))
        for name in ("game.won", "game.lost"):
            await bench.do(RegisterEventType(type=name, data_schema={}), owner, game.world_id)
        return game

    def event(self, who: UUID | None = ADA, type_: str = "game.won", **data: Any) -> RecordEvent:
        return RecordEvent(type=type_, subject_id=who, data=data)

    async def tell(self, who: UUID | None = ADA, type_: str = "game.won", **data: Any) -> None:
        await self.bench.do(self.event(who, type_, **data), self.owner, self.world_id)

    async def act(self, work: Callable[[Transaction], Awaitable[T]], at: int | None = None) -> T:
        request = Request(FireTimers(kind="test", due_at=0), system_actor("test"), uuid4(), uuid4())
        result, _ = await self.bench.engine.transact(Scope(self.world_id, at), request, work)
        return result

    async def use(self, spec: MeasureSpec, *, past: bool = False, user: UUID = USER) -> UUID:
        return await self.act(lambda tx: service.use(tx, "counter", user, spec, backfill=past))

    async def stop(self, user: UUID = USER) -> None:
        await self.act(lambda tx: service.stop_using(tx, "counter", user))

    async def value(self, measure: UUID, who: UUID = ADA) -> Value | None:
        async with self.bench.runtime.database.reading() as connection:
            return (await service.values(connection, self.world_id, who, [measure])).get(measure)

    async def values(self, *measures: UUID, who: UUID = ADA) -> list[float]:
        return [found.value if (found := await self.value(m, who)) else 0.0 for m in measures]

    async def state(self, measure: UUID) -> str:
        sql = "SELECT state FROM measures WHERE world_id = $1 AND id = $2"
        rows = await self.bench.fetch(sql, self.world_id, measure)
        return str(rows[0]["state"]) if rows else "gone"

    async def catch_up(self, worker: Backfill | None = None) -> int:
        """Let the world's measures catch up; returns in how many chunks."""
        worker, steps = worker or Backfill(self.bench.engine), 0
        while await worker.step(self.world_id):
            steps += 1
        return steps

    async def days(self, count: int, **data: Any) -> None:
        """One event on each of the next days."""
        for _ in range(count):
            await self.pass_days(1)
            await self.tell(**data)

    async def pass_days(self, count: int) -> None:
        await self.bench.superuser(
            "UPDATE worlds SET anchor_world_ms = anchor_world_ms + $2 WHERE id = $1 RETURNING 1",
            self.world_id, count * DAY,
        )  # fmt: skip

    async def findings(self) -> list[str]:
        found = await examine(self.bench.runtime)
        return [f.text for f in found if f.world_id == self.world_id and f.check.startswith("progress:")]


@pytest.fixture
async def game(bench: Bench) -> Game:
    return await Game.open(bench)


def spec(kind: str = "count", on: tuple[str, ...] = ("game.won",), **fields: Any) -> MeasureSpec:
    return MeasureSpec.model_validate({"kind": kind, "on": list(on), **fields})


async def test_every_kind_is_counted_as_it_happens(game: Game, heard: Heard) -> None:
    specs = [
        spec(), spec("sum", field="data.n"), spec("best", field="data.n"), spec("distinct", field="data.what"),
        spec("streak"), spec(on=("game.*",), where=[{"field": "data.n", "op": "at_least", "value": 3}]),
    ]  # fmt: skip
    ids = [await game.use(s) for s in specs]
    await game.tell(n=2, what="a")
    await game.tell(n=5, what="b")
    await game.tell(n=3, what="a")
    await game.tell(type_="game.lost", n=9, what="c")
    await game.tell(BEN, n=-4)
    await game.tell(None, n=1)
    assert await game.values(*ids) == [3, 10, 5, 2, 1, 3]
    assert await game.values(*ids, who=BEN) == [1, -4, -4, 0, 1, 0]
    assert heard.take(of=ids[0]) == [(ADA, 0, 1), (ADA, 1, 2), (ADA, 2, 3), (BEN, 0, 1)]
    assert await game.findings() == []


async def test_a_best_of_nothing_is_a_best(game: Game) -> None:
    best = await game.use(spec("best", field="data.n"))
    for n, expected in ((-3, -3), (0, 0), (-1, 0), (2, 2)):
        await game.tell(n=n)
        assert await game.values(best) == [expected]
    await game.tell(BEN, n=0)
    await game.tell(BEN, n=-4)
    assert await game.values(best, who=BEN) == [0]


async def test_who_listens_is_told_what_moved_and_by_which_event(game: Game, heard: Heard) -> None:
    best = await game.use(spec("best", field="data.n"))
    await game.tell(n=2)
    await game.tell(n=1)
    await game.tell(n=7)
    events = await game.bench.log(game.world_id, "game.won")
    assert [(m.subject_id, m.measure_id, m.before, m.after) for m in heard.moved] == [
        (ADA, best, 0, 2), (ADA, best, 2, 7),
    ]  # fmt: skip
    assert [m.cause.id for m in heard.moved if m.cause] == [events[0]["id"], events[2]["id"]]


async def test_what_comes_together_is_told_together(game: Game, heard: Heard) -> None:
    one, two = await game.use(spec()), await game.use(spec("sum", field="data.n"))
    events = [game.event(who, n=n) for n in range(1, 5) for who in (ADA, BEN)]
    CALLS.clear()
    await game.bench.do(events, game.owner, game.world_id)
    assert CALLS["heard"] == 1
    assert sorted((m.subject_id, m.measure_id, m.before, m.after) for m in heard.moved) == sorted(
        (who, m, 0, n) for who in (ADA, BEN) for m, n in ((one, 4), (two, 10))
    )
    with_causes = {m.subject_id: m.cause for m in heard.moved}
    log = {row["id"]: orjson.loads(row["data"]) for row in await game.bench.log(game.world_id, "game.won")}
    for who, cause in with_causes.items():
        assert cause is not None
        assert (log[cause.id]["subject_id"], log[cause.id]["data"]["n"]) == (str(who), 4)


async def test_a_streak_of_days_with_grace(game: Game) -> None:
    plain, kind = await game.use(spec("streak")), await game.use(spec("streak", grace_days=1))
    await game.days(3)
    await game.tell()
    assert await game.values(plain, kind) == [3, 3]
    await game.pass_days(1)
    await game.days(1)
    assert await game.values(plain, kind) == [1, 4]
    await game.pass_days(2)
    found = await game.value(kind)
    assert found and found.day is not None
    assert current(spec("streak", grace_days=1), found.value, found.day, found.day + 2) == 4
    await game.days(1)
    assert await game.values(plain, kind) == [1, 1]


async def test_equal_measures_are_one(game: Game, heard: Heard) -> None:
    one = await game.use(spec(on=("game.won", "game.lost")), user=UUID(int=1))
    await game.tell()
    assert await game.use(spec(on=("game.lost", "game.won")), user=UUID(int=2)) == one
    rows = await game.bench.fetch("SELECT id FROM measures WHERE world_id = $1", game.world_id)
    assert [row["id"] for row in rows] == [one]
    heard.take()
    await game.catch_up()
    assert heard.take() == [(ADA, 0, 1)]  # the second one is told how far everybody has come
    await game.tell()
    assert heard.take() == [(ADA, 1, 2)]
    await game.stop(UUID(int=1))
    await game.tell()
    assert await game.values(one) == [3]
    await game.stop(UUID(int=2))
    assert await game.state(one) == "gone"
    assert await game.findings() == []


async def test_what_nobody_uses_is_forgotten(game: Game) -> None:
    made = spec("distinct", field="data.what")
    one = await game.use(made)
    await game.tell(what="a")
    await game.stop()
    assert await game.values(one) == [0]
    assert await game.use(made) == one
    await game.tell(what="a")
    assert await game.values(one) == [1]
    assert await game.findings() == []


async def test_a_world_without_measures_pays_nothing(game: Game, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_args: Any) -> None:
        raise AssertionError("counted")

    monkeypatch.setattr(service, "record", fail)
    await game.use(spec(on=("game.lost",)))
    await game.tell()
    assert await game.bench.letters(game.world_id) == []


async def test_its_failure_never_costs_what_was_done(game: Game, heard: Heard) -> None:
    one = await game.use(spec())
    heard.fail = lambda _moved: True
    await game.bench.do([game.event(ADA), game.event(BEN)], game.owner, game.world_id)
    assert len(await game.bench.log(game.world_id, "game.won")) == 2
    assert await game.values(one) == [0]
    [letter] = await game.bench.letters(game.world_id)
    assert letter["handler"] == "progress.count"
    heard.fail = lambda _moved: False
    await game.bench.do(ReplayDeadLetter(dead_letter_id=letter["id"]), game.owner, game.world_id)
    assert await game.values(one) == [1]
    assert await game.values(one, who=BEN) == [1]
    assert heard.take() == [(ADA, 0, 1), (BEN, 0, 1)]


async def test_many_at_once_lose_nothing(bench: Bench, open_bench: OpenBench, counter_url: str) -> None:
    """Two nodes, all kinds, the same subjects."""
    game = await Game.open(bench)
    ids = [
        await game.use(s)
        for s in (spec(), spec("sum", field="data.n"), spec("best", field="data.n"), spec("streak"),
                  spec("distinct", field="data.n"))
    ]  # fmt: skip
    async with open_bench(counter_url) as other:
        nodes = [game, Game(other, game.owner, game.world_id)]
        await asyncio.gather(*(nodes[n % 2].tell((ADA, BEN)[n % 3 == 0], n=n) for n in range(60)))
    for who, own in ((BEN, [n for n in range(60) if n % 3 == 0]), (ADA, [n for n in range(60) if n % 3])):
        expected = [len(own), sum(own), max(own), 1, len(own)]
        assert await game.values(*ids, who=who) == expected
    assert await game.bench.letters(game.world_id) == []
    assert await game.findings() == []


# -- the past ------------------------------------------------------------------------------------------------


async def test_the_past_is_counted_from_the_log(
    game: Game, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "CHUNK", 4)
    await game.days(5, n=2, what="a")
    await game.pass_days(3)
    await game.days(2, n=7, what="b")
    await game.tell(BEN, n=1, what="b")
    specs = [
        spec(), spec("sum", field="data.n"), spec("best", field="data.n"), spec("distinct", field="data.what"),
        spec("streak"), spec(on=("game.*",), where=[{"field": "data.n", "op": "at_least", "value": 3}]),
    ]  # fmt: skip
    ids = [await game.use(s, past=True) for s in specs]
    assert await game.values(*ids) == [0] * 6
    assert {await game.state(i) for i in ids} == {"catching_up"}
    assert await game.catch_up() > 2
    assert await game.values(*ids) == [7, 24, 7, 2, 2, 2]
    assert await game.values(*ids, who=BEN) == [1, 1, 1, 1, 1, 0]
    assert {await game.state(i) for i in ids} == {"live"}
    streaks = [m for m in heard.moved if m.measure_id == ids[4] and m.subject_id == ADA]
    assert max(m.after for m in streaks) == 5  # the one that ended was told, too
    assert (ADA, ids[0], 0, 7) in [m[:4] for m in heard.moved]
    await game.tell(n=1, what="c")
    assert await game.values(*ids) == [8, 25, 7, 3, 2, 2]
    [told] = await game.bench.log(game.world_id, "progress.caught_up")
    assert sorted(orjson.loads(told["data"])["measure_ids"]) == sorted(map(str, ids))
    assert told["audience"] == []
    assert await game.findings() == []


async def test_what_happens_while_it_catches_up_counts_once(
    game: Game, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "CHUNK", 5)
    for _ in range(20):
        await game.tell()
    one = await game.use(spec(), past=True)
    worker = Backfill(game.bench.engine)
    told = 20

    async def players() -> None:
        nonlocal told
        while told < 200 and await game.state(one) == "catching_up":  # they could outpace it for ever
            await asyncio.gather(*(game.tell() for _ in range(3)))
            told += 3

    playing = [asyncio.create_task(players()) for _ in range(2)]
    while await worker.step(game.world_id):
        await asyncio.sleep(0)
    await asyncio.gather(*playing)
    assert await game.values(one) == [told] == [len(await game.bench.log(game.world_id, "game.won"))]
    assert await game.bench.letters(game.world_id) == []


async def test_a_commit_that_began_before_it_went_live_is_counted(game: Game) -> None:
    """It is decided while the measure still catches up, and commits after the last chunk."""
    one = await game.use(spec(), past=True)
    began, go = asyncio.Event(), asyncio.Event()
    runs = 0

    async def slow(tx: Transaction) -> None:
        nonlocal runs
        runs += 1
        await service.LIVE.of(tx)
        if runs == 1:
            began.set()
            await go.wait()
        tx.emit(CustomEvent(type="game.won", subject_id=ADA, data={}))

    task = asyncio.create_task(game.act(slow))
    await began.wait()
    await game.catch_up()
    go.set()
    await task
    assert runs == 2
    assert await game.values(one) == [1]


async def test_a_killed_backfill_goes_on_where_it_was(
    game: Game, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chunk that fails in its middle leaves nothing; another process goes on from the chunk before."""
    monkeypatch.setattr(backfill, "CHUNK", 3)
    for n in range(8):
        await game.tell(n=n)
    one = await game.use(spec("sum", field="data.n"), past=True)
    first, second = Backfill(game.bench.engine), Backfill(game.bench.engine)
    await first.step(game.world_id)
    assert await game.values(one) == [3]
    heard.fail = lambda _moved: True
    with pytest.raises(RuntimeError):
        await first.step(game.world_id)
    assert await game.values(one) == [3]
    heard.fail = lambda _moved: False
    await game.catch_up(second)
    assert await game.values(one) == [28]
    assert await game.state(one) == "live"


async def test_two_nodes_catch_up_together(
    game: Game, open_bench: OpenBench, counter_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "CHUNK", 2)
    for n in range(15):
        await game.tell((ADA, BEN)[n % 2], n=n)
    ids = [await game.use(s, past=True) for s in (spec(), spec("sum", field="data.n"), spec("streak"))]
    async with open_bench(counter_url) as other:
        workers = [Backfill(game.bench.engine), Backfill(other.engine)]
        while {await game.state(i) for i in ids} != {"live"}:
            await asyncio.gather(*(worker.step(game.world_id) for worker in workers))
    assert await game.values(*ids) == [8, 56, 1]
    assert await game.findings() == []


async def test_settling_goes_on_where_it_was(
    game: Game, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "CHUNK", 2)
    people = [UUID(int=n) for n in range(1, 6)]
    await game.use(spec(), user=UUID(int=1))
    for who in people:
        await game.tell(who)
    one = await game.use(spec(), user=UUID(int=2))
    heard.take()
    worker = Backfill(game.bench.engine)
    await worker.step(game.world_id)
    assert heard.take() == [(who, 0, 1) for who in people[:2]]
    await game.tell(people[0])
    assert heard.take() == [(people[0], 1, 2)]  # it counts while it settles
    heard.fail = lambda _moved: True
    with pytest.raises(RuntimeError):
        await worker.step(game.world_id)
    heard.fail = lambda _moved: False
    await game.catch_up(Backfill(game.bench.engine))
    assert heard.take() == [(who, 0, 1) for who in people[2:]]
    assert await game.state(one) == "live"


async def test_what_was_counted_only_from_some_day_on_is_counted_anew(game: Game, heard: Heard) -> None:
    await game.tell()
    one = await game.use(spec(), user=UUID(int=1))
    await game.tell()
    assert await game.values(one) == [1]
    assert await game.use(spec(), user=UUID(int=2), past=True) == one
    await game.catch_up()
    assert await game.values(one) == [2]
    heard.take()
    await game.use(spec(), user=UUID(int=3), past=True)  # it is whole now
    assert await game.state(one) == "settling"
    await game.catch_up()
    assert heard.take() == [(ADA, 0, 2)]


async def test_the_worker_works_by_itself_also_in_an_advancing_world(
    fresh_url: str, open_bench: OpenBench
) -> None:
    async with open_bench(fresh_url) as still:
        paused, advancing = await Game.open(still), await Game.open(still)
        ids = []
        for game in (paused, advancing):
            await game.tell()
            ids.append(await game.use(spec(), past=True))
        await still.superuser(
            "UPDATE worlds SET advance_id = $2, advance_to = 0 WHERE id = $1 RETURNING 1",
            advancing.world_id, uuid4(),
        )  # fmt: skip
        for game, one in zip((paused, advancing), ids, strict=True):
            await game.catch_up()
            assert (await game.state(one), await game.values(one)) == ("live", [1])
        again = await paused.use(spec(on=("game.*",)), past=True)
        async with open_bench(fresh_url, work=True), asyncio.timeout(15):
            while await paused.state(again) != "live":
                await asyncio.sleep(0.01)
        assert await paused.values(again) == [1]


async def test_a_failing_world_does_not_stop_the_others(
    fresh_url: str, open_bench: OpenBench, heard: Heard
) -> None:
    async with open_bench(fresh_url) as still:
        bad, good = await Game.open(still), await Game.open(still)
        await bad.tell(BEN)
        await good.tell(ADA)
        heard.fail = lambda moved: moved[0].subject_id == BEN
        ids = await bad.use(spec(), past=True), await good.use(spec(), past=True)
        async with open_bench(fresh_url, work=True):
            async with asyncio.timeout(15):
                while await good.state(ids[1]) != "live":
                    await asyncio.sleep(0.01)
            assert await bad.state(ids[0]) == "catching_up"
            heard.fail = lambda _moved: False
            async with asyncio.timeout(15):
                while await bad.state(ids[0]) != "live":
                    await asyncio.sleep(0.01)


async def failed_and(game: Game, heard: Heard) -> UUID:
    """An event that one measure failed to count; its dead letter."""
    await game.use(spec(), user=UUID(int=1))
    heard.fail = lambda _moved: True
    await game.tell()
    heard.fail = lambda _moved: False
    [letter] = await game.bench.letters(game.world_id)
    return UUID(str(letter["id"]))


async def test_a_replayed_event_that_the_past_has_brought_counts_once(game: Game, heard: Heard) -> None:
    letter = await failed_and(game, heard)
    one = await game.use(spec(), user=UUID(int=2), past=True)
    await game.catch_up()
    assert await game.values(one) == [1]
    await game.bench.do(ReplayDeadLetter(dead_letter_id=letter), game.owner, game.world_id)
    assert await game.values(one) == [1]


async def test_a_replayed_event_does_not_count_for_what_is_measured_only_since(
    game: Game, heard: Heard
) -> None:
    letter = await failed_and(game, heard)
    old = await game.use(spec(), user=UUID(int=3))
    later = await game.use(spec(on=("game.*",)), user=UUID(int=4))
    await game.bench.do(ReplayDeadLetter(dead_letter_id=letter), game.owner, game.world_id)
    assert await game.values(old, later) == [1, 0]
    await game.tell()
    assert await game.values(old, later) == [2, 1]


async def test_a_chunk_with_too_much_to_tell_is_made_smaller(
    game: Game, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [UUID(int=n) for n in range(1, 8)]
    for who in people:
        await game.tell(who)

    async def wordy(tx: Transaction, moved: list[Moved]) -> None:
        heard.moved += moved
        for m in moved:
            for _ in range(3):
                tx.emit(CustomEvent(type="game.lost", subject_id=m.subject_id, data={}))

    monkeypatch.setitem(counter.system.extra, service.LISTENER, wordy)
    monkeypatch.setattr(game.bench.engine, "_bounds", Bounds(max_events=7))
    one = await game.use(spec(), past=True)
    await game.catch_up()
    assert (await game.state(one), await game.values(one)) == ("live", [0])
    assert await game.values(one, who=people[6]) == [1]
    assert {m.subject_id for m in heard.moved} == set(people)


async def test_a_stuck_measure_does_not_stop_the_others(game: Game, heard: Heard) -> None:
    await game.tell()
    ids = [await game.use(s, past=True) for s in (spec(), spec("streak"), spec(on=("game.*",)))]
    for stuck in ids:
        heard.fail = lambda moved, stuck=stuck: any(m.measure_id == stuck for m in moved)  # type: ignore[misc]
    worker = Backfill(game.bench.engine)
    for _ in range(20):
        await worker._turn()
    assert {i: await game.state(i) for i in ids} == {
        i: "catching_up" if i == ids[-1] else "live" for i in ids
    }
    heard.fail = lambda _moved: False
    await game.catch_up()
    assert await game.values(*ids) == [1, 1, 1]
    assert {await game.state(i) for i in ids} == {"live"}


# -- what others do with it ----------------------------------------------------------------------------------


async def test_subjects_can_be_forgotten_and_restored(game: Game, heard: Heard) -> None:
    one, two = await game.use(spec()), await game.use(spec("distinct", field="data.what"), user=UUID(int=2))
    await game.tell(what="a")
    await game.tell(BEN, what="a")
    await game.act(lambda tx: service.forget(tx, [ADA]))
    assert await game.values(one, two) == [0, 0]
    assert await game.values(one, two, who=BEN) == [1, 1]
    heard.take()
    entries = [Restored(ADA, one, 40), Restored(ADA, two, 2, items=('"a"', '"b"'))]
    await game.act(lambda tx: service.restore(tx, entries))
    assert await game.values(one, two) == [40, 2]
    await game.catch_up()
    assert (ADA, 0, 40) in heard.take(of=one)
    await game.tell(what="b")
    await game.tell(what="c")
    assert await game.values(one, two) == [42, 3]
    await game.use(spec(), user=UUID(int=3), past=True)
    await game.catch_up()
    assert await game.values(one) == [42]  # what a pack brought is whole
    assert await game.findings() == []


async def test_a_restored_streak_without_its_day_goes_on(game: Game) -> None:
    one = await game.use(spec("streak"))
    await game.act(lambda tx: service.restore(tx, [Restored(ADA, one, 9)]))
    await game.tell()
    assert await game.values(one) == [1]
    await game.days(1)
    assert await game.values(one) == [2]


async def test_a_deleted_world_takes_its_measures_along(game: Game) -> None:
    await game.use(spec("distinct", field="data.what"))
    await game.tell(what="a")
    await game.bench.do(DeleteWorld(), game.owner, game.world_id)
    for table in ("measures", "measure_uses", "measure_values", "measure_items"):
        assert await game.bench.fetch(f"SELECT 1 FROM {table} WHERE world_id = $1", game.world_id) == []


async def test_the_checks_find_what_is_wrong(game: Game) -> None:
    one = await game.use(spec("distinct", field="data.what"))
    await game.tell(what="a")
    await game.bench.superuser(
        "UPDATE measure_values SET value = 7 WHERE world_id = $1 RETURNING 1", game.world_id
    )
    await game.bench.superuser(
        "INSERT INTO measure_values (world_id, subject_id, measure_id, value) VALUES ($1, $2, $2, 1) RETURNING 1",
        game.world_id, BEN,
    )  # fmt: skip
    await game.bench.superuser("DELETE FROM measure_uses WHERE world_id = $1 RETURNING 1", game.world_id)
    texts = await game.findings()
    assert len(texts) == 3
    assert f"nobody uses measure {one}" in texts
