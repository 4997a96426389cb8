"""Achievements against the real database: unlocked once, rewarded once, whatever happens at once."""

import asyncio
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from fablewright.core.actors import Actor, system_actor
from fablewright.core.clock import DAY, Calendar
from fablewright.core.engine import Engine, Scope
from fablewright.core.refusal import Refused
from fablewright.core.timers import FireTimers
from fablewright.core.transaction import Request, Transaction
from fablewright.integration.doctor import examine
from fablewright.systems.achievements import service, views
from fablewright.systems.achievements.commands import (
    DefineAchievement,
    GrantAchievement,
    RemoveAchievement,
    RestoreStandings,
    StandingValue,
    UnlockValue,
)
from fablewright.systems.achievements.rules import AchievementDefinition, Rung
from fablewright.systems.achievements.views import Sight, StandingView
from fablewright.systems.characters.commands import CreateCharacter, DeleteCharacter
from fablewright.systems.custom_events.commands import RecordEvent, RegisterEventType
from fablewright.systems.points.commands import Award
from fablewright.systems.progress import backfill
from fablewright.systems.progress.backfill import Backfill
from fablewright.systems.worlds.commands import ReplayDeadLetter
from tests.systems.conftest import Bench, OpenBench

ADA, BEN, CYN = (UUID(int=n) for n in range(101, 104))
WON = {"kind": "count", "on": ["game.won"]}


def achievement(criteria: dict[str, Any] = WON, *goals: float, **fields: Any) -> AchievementDefinition:
    tiers = [{"goal": goal} for goal in goals]
    return AchievementDefinition.model_validate(
        {"name": "Name", "criteria": criteria, **({"tiers": tiers} if tiers else {}), **fields}
    )


def made_of(kind: str, *keys: str) -> dict[str, Any]:
    return {"kind": kind, "keys": list(keys)}


@dataclass
class Hall:
    """A world with three characters and events of the type `game.won`."""

    bench: Bench
    owner: Actor
    world_id: UUID

    @classmethod
    async def open(cls, bench: Bench) -> "Hall":
        owner = await bench.person()
        hall = cls(bench, owner, await bench.world(owner))
        await hall.do(RegisterEventType(type="game.won", data_schema={}))
        for who, name in ((ADA, "Ada"), (BEN, "Ben"), (CYN, "Cyn")):
            await hall.do(CreateCharacter(id=who, name=name))
        return hall

    async def do(self, command: Any, actor: Actor | None = None) -> Any:
        return await self.bench.do(command, actor or self.owner, self.world_id)

    async def refused(self, code: str, command: Any, actor: Actor | None = None) -> dict[str, Any]:
        with pytest.raises(Refused) as error:
            await self.do(command, actor)
        assert error.value.code == code
        return error.value.facts

    async def define(self, key: str, definition: AchievementDefinition, *, past: bool = False) -> None:
        await self.do(DefineAchievement(key=key, definition=definition, backfill=past))

    async def win(self, who: UUID = ADA, times: int = 1, **data: Any) -> None:
        await self.do([RecordEvent(type="game.won", subject_id=who, data=data) for _ in range(times)])

    async def settle(self) -> None:
        worker = Backfill(self.bench.engine)
        while await worker.step(self.world_id):
            pass

    async def told(self, kind: str = "unlocked") -> list[dict[str, Any]]:
        rows = await self.bench.log(self.world_id, f"achievements.{kind}")
        return [orjson.loads(row["data"]) for row in rows]

    async def unlocked(self, who: UUID = ADA) -> list[tuple[str, int, int]]:
        return [
            (e["key"], e["tier"], e["repetition"]) for e in await self.told()
            if e["character_id"] == str(who)
        ]  # fmt: skip

    async def standing(self, key: str, who: UUID = ADA, see: Sight = "all") -> StandingView | None:
        async with self.bench.runtime.database.reading() as connection:
            found = await views.standings(
                connection, self.world_id, who, await self.today(), see=see, after=None, limit=100
            )
        return next((one for one in found if one.key == key), None)

    async def now(self) -> int:
        rows = await self.bench.fetch(
            "SELECT anchor_world_ms AS now FROM worlds WHERE id = $1", self.world_id
        )
        return int(rows[0]["now"])

    async def today(self) -> int:
        return Calendar().day_number(await self.now())

    async def pass_days(self, days: int) -> None:
        await self.bench.superuser(
            "UPDATE worlds SET anchor_world_ms = anchor_world_ms + $2 WHERE id = $1 RETURNING 1",
            self.world_id, days * DAY,
        )  # fmt: skip

    async def balance(self, who: UUID = ADA, currency: str = "points") -> int:
        rows = await self.bench.fetch(
            "SELECT balance FROM ledger_accounts WHERE world_id = $1 AND owner_id = $2 AND currency = $3",
            self.world_id, who, currency,
        )  # fmt: skip
        return int(rows[0]["balance"]) if rows else 0

    async def sound(self) -> bool:
        """Nothing failed, and the checks find nothing."""
        letters = await self.bench.letters(self.world_id)
        assert [letter["error"] for letter in letters] == []
        found = [f for f in await examine(self.bench.runtime) if f.world_id == self.world_id]
        assert [f"{f.check}: {f.text}" for f in found] == []
        return True


@pytest.fixture
async def hall(bench: Bench) -> Hall:
    return await Hall.open(bench)


async def test_tiers_unlock_one_after_another_with_their_rewards(hall: Hall) -> None:
    tiers = [
        {"goal": 2, "name": "Bronze", "points": 5},
        {"goal": 4, "name": "Silver", "points": 10, "title": "the Winner"},
    ]
    await hall.define("winner", achievement(tiers=tiers))
    await hall.win()
    assert await hall.told() == []
    await hall.win()
    [bronze] = await hall.told()
    assert bronze == {
        "character_id": str(ADA), "key": "winner", "name": "Name", "tier": 1, "tier_name": "Bronze",
        "repetition": 1, "points": 5, "currency": "points", "title": None, "hidden": False, "reward_refused": None,
    }  # fmt: skip
    assert await hall.balance() == 5
    await hall.win(times=5)
    assert await hall.unlocked() == [("winner", 1, 1), ("winner", 2, 1)]
    assert await hall.balance() == 15
    rows = await hall.bench.fetch(
        "SELECT title, source FROM character_titles WHERE world_id = $1", hall.world_id
    )
    assert [tuple(row) for row in rows] == [("the Winner", "achievement:winner")]
    standing = await hall.standing("winner")
    assert standing and (standing.tier, standing.percent, standing.steps) == (2, 100, 2)
    events = await hall.bench.log(hall.world_id, "achievements.unlocked")
    assert [u.event_id for u in standing.unlocked] == [e["id"] for e in events]
    won = await hall.bench.log(hall.world_id, "game.won")
    assert [e["causation_id"] for e in events] == [won[1]["id"], won[6]["id"]]
    assert await hall.unlocked(BEN) == []
    assert await hall.sound()


async def test_a_leap_over_tiers_unlocks_them_all(hall: Hall) -> None:
    await hall.define("winner", achievement(WON, 1, 3, 10))
    await hall.win(times=5)
    assert await hall.unlocked() == [("winner", 1, 1), ("winner", 2, 1)]


async def test_every_kind_of_criteria(hall: Hall) -> None:
    kinds: dict[str, dict[str, Any]] = {
        "sum": {"kind": "sum", "on": ["game.won"], "field": "data.n"},
        "best": {"kind": "best", "on": ["game.won"], "field": "data.n"},
        "different": {"kind": "distinct", "on": ["game.won"], "field": "data.what"},
        "rare": {**WON, "where": [{"field": "data.n", "op": "above", "value": 3}]},
    }
    for (key, criteria), goal in zip(kinds.items(), (6, 4, 2, 2), strict=True):
        await hall.define(key, achievement(criteria, goal))
    await hall.define("daily", achievement({"kind": "streak", "on": ["game.won"]}, 3))
    for n, what in ((2, "a"), (4, "a"), (1, "b"), (5, "b")):
        await hall.win(n=n, what=what)
    assert [key for key, _, _ in await hall.unlocked()] == ["best", "sum", "different", "rare"]
    for _ in range(2):
        await hall.pass_days(1)
        await hall.win()
    assert ("daily", 1, 1) in await hall.unlocked()
    standing = await hall.standing("daily")
    assert standing and standing.current == 3
    await hall.pass_days(2)
    standing = await hall.standing("daily")
    assert standing and (standing.current, standing.steps) == (0, 1)
    assert await hall.sound()


async def test_progress_is_told_at_whole_percents_once_per_commit(hall: Hall) -> None:
    await hall.define("slow", achievement(WON, 300))
    await hall.define("quick", achievement(WON, 4, 8))
    await hall.define("secret", achievement(WON, 10, hidden=True))
    await hall.win()
    await hall.win(times=2)
    await hall.win()
    told = await hall.told("progressed")
    lines = [
        [(a["key"], a["tier"], a["current"], a["goal"], a["percent"]) for a in t["achievements"]]
        for t in told
    ]
    assert lines == [
        [("quick", 1, 1, 4, 25)],
        [("quick", 1, 3, 4, 75), ("slow", 1, 3, 300, 1)],
        [("quick", 2, 4, 8, 50)],
    ]
    rows = await hall.bench.log(hall.world_id, "achievements.progressed")
    assert {tuple(row["audience"]) for row in rows} == {(ADA,)}


async def test_progress_of_a_cascade_is_told_once(hall: Hall) -> None:
    """The reward of one achievement counts for another, in the same commit."""
    await hall.define("first", achievement(WON, tiers=[{"goal": 1, "points": 7}]))
    await hall.define("rich", achievement({"kind": "sum", "on": ["points.awarded"], "field": "amount"}, 100))
    await hall.win()
    [told] = await hall.told("progressed")
    assert [(a["key"], a["percent"]) for a in told["achievements"]] == [("first", 100), ("rich", 7)]
    assert await hall.sound()


async def test_points_awarded_count(hall: Hall) -> None:
    await hall.define("rich", achievement({"kind": "sum", "on": ["points.awarded"], "field": "amount"}, 10))
    await hall.do(Award(character_id=ADA, amount=4, reason="x"))
    assert await hall.unlocked() == []
    await hall.do(Award(character_id=ADA, amount=6, reason="x"))
    assert await hall.unlocked() == [("rich", 1, 1)]
    assert await hall.sound()


async def test_repeatable_ones_unlock_again_and_again(hall: Hall) -> None:
    tiers = [{"goal": 2, "points": 1}, {"goal": 3, "points": 10}]
    await hall.define("again", achievement(tiers=tiers, repeatable=True))
    await hall.win(times=4)
    await hall.win(times=4)
    assert await hall.unlocked() == [
        ("again", 1, 1), ("again", 2, 1), ("again", 1, 2), ("again", 2, 2), ("again", 1, 3),
    ]  # fmt: skip
    assert await hall.balance() == 23
    standing = await hall.standing("again")
    assert standing and (standing.current, standing.goal, standing.tier, standing.steps) == (2, 3, 2, 5)
    assert await hall.sound()


async def test_a_great_leap_of_a_repeatable_one_is_made_up_for_step_by_step(hall: Hall) -> None:
    criteria = {"kind": "sum", "on": ["game.won"], "field": "data.n"}
    await hall.define("again", achievement(criteria, 1, repeatable=True))
    await hall.win(n=150)
    assert len(await hall.unlocked()) == 100
    await hall.win(n=1)
    assert await hall.unlocked() == [("again", 1, n) for n in range(1, 152)]


async def test_two_at_once_at_the_last_step_unlock_once(
    hall: Hall, open_bench: OpenBench, counter_url: str
) -> None:
    tiers = [{"goal": 10, "points": 5}]
    await hall.define("winner", achievement(tiers=tiers))
    await hall.define("twin", achievement({**WON, "on": ["game.*"]}, 10))
    await hall.win(times=8)
    async with open_bench(counter_url) as other:
        nodes = [hall, Hall(other, hall.owner, hall.world_id)]
        await asyncio.gather(*(nodes[n % 2].win() for n in range(12)))
    assert sorted(await hall.unlocked()) == [("twin", 1, 1), ("winner", 1, 1)]
    assert await hall.balance() == 5
    assert await hall.sound()


async def test_two_requirements_met_at_once_do_not_miss_each_other(
    hall: Hall, open_bench: OpenBench, counter_url: str
) -> None:
    """Each of two commits unlocks one requirement; one of them unlocks what waits for both."""
    await hall.do(RegisterEventType(type="game.lost", data_schema={}))
    for key, kind in (("a", "game.won"), ("b", "game.lost")):
        await hall.define(key, achievement({"kind": "count", "on": [kind]}, 1))
    await hall.define("c", achievement({"kind": "count", "on": ["game.begun"]}, 1, requires=["a", "b"]))
    await hall.define("both", achievement(made_of("all_of", "a", "b")))
    await hall.do(RegisterEventType(type="game.begun", data_schema={}))
    await hall.settle()
    people = [UUID(int=n) for n in range(500, 520)]
    await hall.do([CreateCharacter(id=who, name=f"P{who.int}") for who in people])
    await hall.do([RecordEvent(type="game.begun", subject_id=who) for who in people])
    async with open_bench(counter_url) as other:
        nodes = [hall.bench, other]
        await asyncio.gather(*(
            nodes[n].do([RecordEvent(type=kind, subject_id=who)], hall.owner, hall.world_id)
            for who in people for n, kind in enumerate(("game.won", "game.lost"))
        ))  # fmt: skip
    for who in people:
        assert sorted(key for key, _, _ in await hall.unlocked(who)) == ["a", "b", "both", "c"]
    assert await hall.sound()


async def test_what_was_reached_before_its_requirements_unlocks_with_them(hall: Hall) -> None:
    await hall.define("second", achievement({"kind": "manual"}))
    await hall.define("first", achievement({"kind": "manual"}))
    await hall.define("winner", achievement(WON, 2, 5, requires=["first", "second"]))
    await hall.define("after", achievement(WON, 1, requires=["winner"]))
    await hall.win(times=3)
    assert await hall.unlocked() == []
    standing = await hall.standing("winner")
    assert standing and (standing.missing, standing.current, standing.goal) == (["first", "second"], 3, 5)
    await hall.do(GrantAchievement(character_id=ADA, key="first"))
    assert [key for key, _, _ in await hall.unlocked()] == ["first"]
    await hall.do(GrantAchievement(character_id=ADA, key="second"))
    assert await hall.unlocked() == [("first", 1, 1), ("second", 1, 1), ("winner", 1, 1), ("after", 1, 1)]
    assert await hall.sound()


async def test_all_or_any_of_others(hall: Hall) -> None:
    for n in (1, 2, 3):
        await hall.define(f"win_{n}", achievement(WON, n))
    await hall.define("some", achievement(made_of("any_of", "win_2", "win_3")))
    await hall.define("all", achievement(made_of("all_of", "win_1", "win_2", "win_3"), tiers=[{"points": 3}]))
    await hall.define("over_all", achievement(made_of("all_of", "all", "some")))
    await hall.settle()
    await hall.win()
    standing = await hall.standing("all")
    assert standing and (standing.current, standing.goal, standing.percent) == (1, 3, 33)
    await hall.win()
    assert [key for key, _, _ in await hall.unlocked()] == ["win_1", "win_2", "some"]
    await hall.win()
    assert [key for key, _, _ in await hall.unlocked()][3:] == ["win_3", "all", "over_all"]
    assert await hall.balance() == 3
    assert await hall.sound()


async def test_what_is_made_of_others_looks_at_what_there_is(hall: Hall) -> None:
    await hall.define("one", achievement(WON, 1))
    await hall.define("two", achievement({"kind": "manual"}))
    await hall.win()
    await hall.do(GrantAchievement(character_id=ADA, key="two"))
    await hall.do(GrantAchievement(character_id=BEN, key="two"))
    await hall.define("all", achievement(made_of("all_of", "one", "two")))
    await hall.settle()
    assert ("all", 1, 1) in await hall.unlocked()
    assert ("all", 1, 1) not in await hall.unlocked(BEN)
    assert await hall.sound()


async def test_the_past_can_count(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill, "CHUNK", 3)
    await hall.win(times=7)
    await hall.win(BEN, times=2)
    await hall.define(
        "late", achievement(tiers=[{"goal": 2, "points": 1}, {"goal": 6, "points": 2}]), past=True
    )
    assert await hall.unlocked() == []
    await hall.settle()
    assert await hall.unlocked() == [("late", 1, 1), ("late", 2, 1)]
    assert await hall.unlocked(BEN) == [("late", 1, 1)]
    assert (await hall.balance(), await hall.balance(BEN)) == (3, 1)
    assert await hall.told("progressed") == []
    await hall.define("from_now", achievement({**WON, "where": []}, 9))
    await hall.settle()
    standing = await hall.standing("from_now")
    assert standing and standing.current == 7  # they count the same
    await hall.define("anew", achievement({"kind": "count", "on": ["game.*"]}, 9))
    standing = await hall.standing("anew")
    assert standing and standing.current == 0
    assert await hall.sound()


async def test_a_killed_backfill_unlocks_everything_once(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill, "CHUNK", 3)
    await hall.win(times=10)
    await hall.define("late", achievement(WON, 2, 5, 9), past=True)
    first = Backfill(hall.bench.engine)
    await first.step(hall.world_id)
    assert await hall.unlocked() == [("late", 1, 1)]
    original, many = service.moved, 0

    async def dies(tx: Any, steps: Any) -> None:
        nonlocal many
        await original(tx, steps)
        many += 1
        raise ConnectionError("killed")

    from fablewright.systems import achievements

    with monkeypatch.context() as patch:
        patch.setitem(achievements.system.extra, "progress", dies)
        with pytest.raises(Exception, match=r"killed|database"):
            await first.step(hall.world_id)
    assert many
    assert await hall.unlocked() == [("late", 1, 1)]
    await hall.settle()
    assert await hall.unlocked() == [("late", 1, 1), ("late", 2, 1), ("late", 3, 1)]
    assert await hall.sound()


async def test_a_lower_goal_unlocks_what_is_reached(hall: Hall) -> None:
    await hall.define("winner", achievement(WON, 5))
    await hall.win(times=3)
    await hall.define("winner", achievement(WON, 3, 10))
    await hall.settle()
    assert await hall.unlocked() == [("winner", 1, 1)]
    await hall.define("winner", achievement(WON, 8, 9))  # what is unlocked stays so
    await hall.settle()
    standing = await hall.standing("winner")
    assert standing and (standing.steps, standing.goal) == (1, 8)


async def test_other_criteria_begin_anew(hall: Hall) -> None:
    await hall.define("winner", achievement(WON, 5))
    await hall.win(times=3)
    await hall.define("winner", achievement({**WON, "where": [{"field": "data.n", "value": 1}]}, 5))
    await hall.win()
    await hall.win(n=1)
    standing = await hall.standing("winner")
    assert standing and standing.current == 1
    rows = await hall.bench.fetch("SELECT 1 FROM measures WHERE world_id = $1", hall.world_id)
    assert len(rows) == 1
    assert await hall.sound()


async def test_granting_by_hand(hall: Hall) -> None:
    await hall.define(
        "hero", achievement({"kind": "manual"}, tiers=[{"name": "A"}, {"name": "B"}, {"points": 2}])
    )
    await hall.define("often", achievement({"kind": "manual"}, tiers=[{"points": 1}], repeatable=True))
    await hall.define("counted", achievement(WON, 1))
    await hall.define("later", achievement({"kind": "manual"}, requires=["counted"]))
    assert await hall.do(GrantAchievement(character_id=ADA, key="hero")) == {
        "unlocked": [{"tier": 1, "repetition": 1}]
    }
    await hall.do(GrantAchievement(character_id=ADA, key="hero", tier=3))
    assert await hall.unlocked() == [("hero", 1, 1), ("hero", 2, 1), ("hero", 3, 1)]
    for _ in range(3):
        await hall.do(GrantAchievement(character_id=ADA, key="often"))
    assert await hall.balance() == 5
    for code, fields in (
        ("already_unlocked", {"key": "hero"}), ("already_unlocked", {"key": "hero", "tier": 2}),
        ("tier_not_found", {"key": "hero", "tier": 4}), ("achievement_not_manual", {"key": "counted"}),
        ("achievement_not_found", {"key": "nothing"}), ("achievement_locked", {"key": "later"}),
        ("character_not_found", {"key": "hero", "character_id": UUID(int=9)}),
    ):  # fmt: skip
        await hall.refused(code, GrantAchievement(**{"character_id": ADA, **fields}))
    player = await hall.bench.member(hall.world_id, hall.owner, "player")
    await hall.refused("role_too_low", GrantAchievement(character_id=ADA, key="hero"), player)
    assert await hall.sound()


async def test_two_grants_at_once_are_one(hall: Hall, open_bench: OpenBench, counter_url: str) -> None:
    await hall.define("hero", achievement({"kind": "manual"}, tiers=[{"points": 2}]))
    async with open_bench(counter_url) as other:
        command = GrantAchievement(character_id=ADA, key="hero")
        answers = await asyncio.gather(
            *(node.do(command, hall.owner, hall.world_id) for node in (hall.bench, other) * 3),
            return_exceptions=True,
        )
    refused = [a.code for a in answers if isinstance(a, Refused)]
    assert refused == ["already_unlocked"] * 5
    assert await hall.balance() == 2


async def test_definitions_that_do_not_fit_are_refused(hall: Hall) -> None:
    await hall.define("a", achievement(WON, 1))
    await hall.define("b", achievement(made_of("all_of", "a")))
    await hall.define("c", achievement(WON, 2, requires=["b"]))
    facts = await hall.refused(
        "achievement_cycle", DefineAchievement(key="a", definition=achievement(WON, 1, requires=["c"]))
    )
    assert facts["path"] == ["a", "c", "b", "a"]
    facts = await hall.refused(
        "achievement_cycle", DefineAchievement(key="d", definition=achievement(made_of("any_of", "a", "d")))
    )
    assert facts["path"] == ["d", "d"]
    facts = await hall.refused(
        "achievement_unknown", DefineAchievement(key="d", definition=achievement(WON, 1, requires=["a", "x"]))
    )
    assert facts["keys"] == ["x"]
    assert (await hall.refused("achievement_in_use", RemoveAchievement(key="a")))["keys"] == ["b"]
    await hall.refused("achievement_not_found", RemoveAchievement(key="x"))
    feeds = achievement(
        {"kind": "sum", "on": ["points.*"], "field": "amount"},
        tiers=[{"goal": 9, "points": 9}],
        repeatable=True,
    )
    await hall.refused("achievement_feeds_itself", DefineAchievement(key="d", definition=feeds))
    below = "b"
    for n in range(3):
        await hall.define(f"e{n}", achievement(made_of("all_of", below)))
        below = f"e{n}"
    deep = achievement(made_of("all_of", below))
    await hall.refused("achievement_too_deep", DefineAchievement(key="f", definition=deep))
    await hall.define("f", achievement(WON, 9, requires=[below]))  # that is no layer
    await hall.settle()
    await hall.win()
    assert [key for key, _, _ in await hall.unlocked()] == ["a", "b", "e0", "e1", "e2"]
    assert await hall.sound()


async def test_removed_ones_leave_nothing(hall: Hall) -> None:
    await hall.define("one", achievement(WON, 1))
    await hall.define("two", achievement(WON, 2))
    await hall.win()
    await hall.do(RemoveAchievement(key="one"))
    await hall.win()
    assert await hall.unlocked() == [("one", 1, 1), ("two", 1, 1)]
    assert await hall.standing("one") is None
    await hall.do(RemoveAchievement(key="two"))
    for table in ("achievements", "achievement_unlocks", "measures", "measure_values", "measure_uses"):
        assert await hall.bench.fetch(f"SELECT 1 FROM {table} WHERE world_id = $1", hall.world_id) == []
    assert [e["key"] for e in await hall.told("removed")] == ["one", "two"]
    assert await hall.sound()


async def test_a_failure_never_costs_the_award(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    await hall.define("rich", achievement({"kind": "count", "on": ["points.awarded"]}, 1))
    original = service._unlock

    async def fails(*_args: Any) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr(service, "_unlock", fails)
    await hall.do(Award(character_id=ADA, amount=4, reason="x"))
    assert await hall.balance() == 4
    assert await hall.unlocked() == []
    [letter] = await hall.bench.letters(hall.world_id)
    assert letter["handler"] == "progress.count"
    monkeypatch.setattr(service, "_unlock", original)
    await hall.do(ReplayDeadLetter(dead_letter_id=letter["id"]))
    assert await hall.unlocked() == [("rich", 1, 1)]
    assert await hall.sound()


async def test_a_reward_that_is_refused_does_not_undo_the_unlock(hall: Hall) -> None:
    definition = achievement(tiers=[{"goal": 1, "points": 5}], currency="gold")
    await hall.define("winner", definition)
    await hall.win()
    [told] = await hall.told()
    assert (told["points"], told["reward_refused"]) == (0, "currency_not_found")
    assert await hall.sound()


async def test_only_living_characters_earn(hall: Hall) -> None:
    await hall.define("winner", achievement(WON, 1))
    await hall.win(UUID(int=77))  # somebody unknown
    await hall.do(DeleteCharacter(character_id=BEN))
    await hall.win(BEN)
    assert await hall.told() == await hall.told("progressed") == []
    assert await hall.sound()


async def test_who_is_deleted_is_forgotten(hall: Hall) -> None:
    await hall.define("winner", achievement(WON, 1))
    await hall.win()
    await hall.win(BEN)
    await hall.do(DeleteCharacter(character_id=ADA))
    rows = await hall.bench.fetch("SELECT subject_id FROM measure_values WHERE world_id = $1", hall.world_id)
    assert [row["subject_id"] for row in rows] == [BEN]
    assert await hall.sound()


async def test_hidden_ones_stay_hidden(hall: Hall) -> None:
    await hall.define("secret", achievement(WON, 2, hidden=True))
    await hall.win()
    assert await hall.standing("secret", see="unlocked") is None
    assert await hall.told("progressed") == []
    await hall.win()
    assert await hall.standing("secret", see="none") is None
    assert await hall.standing("secret", see="unlocked") is not None
    assert await hall.standing("secret", BEN, see="unlocked") is None
    audiences = {
        row["type"]: row["audience"] for row in await hall.bench.log(hall.world_id, "achievements.%")
    }
    assert audiences == {"achievements.defined": [], "achievements.unlocked": [ADA]}


async def test_standings_of_another_world_are_restored_without_rewards(hall: Hall) -> None:
    await hall.define("winner", achievement(tiers=[{"goal": 2, "points": 5}, {"goal": 50, "points": 9}]))
    await hall.define("hero", achievement({"kind": "manual"}))
    await hall.define("both", achievement(made_of("all_of", "winner", "hero"), tiers=[{"points": 7}]))
    standings = [
        StandingValue(character_id=ADA, key="winner", value=49, unlocked=[UnlockValue(at=7)]),
        StandingValue(character_id=ADA, key="both", value=1, items=['"winner"']),
    ]
    await hall.do(RestoreStandings(standings=standings))
    await hall.settle()
    assert await hall.told() == []
    await hall.win()
    assert await hall.unlocked() == [("winner", 2, 1)]
    await hall.do(GrantAchievement(character_id=ADA, key="hero"))
    assert await hall.unlocked() == [("winner", 2, 1), ("hero", 1, 1), ("both", 1, 1)]
    assert await hall.balance() == 16
    for code, fields in (
        ("achievement_not_found", {"key": "x"}), ("character_not_found", {"character_id": UUID(int=9)}),
        ("tier_not_found", {"unlocked": [UnlockValue(tier=3)]}),
    ):  # fmt: skip
        bad = StandingValue(**{"character_id": ADA, "key": "winner", **fields})
        await hall.refused(code, RestoreStandings(standings=[bad]))
    assert await hall.sound()


async def test_what_somebody_no_more_has_does_not_count_for_others(hall: Hall) -> None:
    """A removed achievement that comes again is another one, whatever the log tells of the first."""
    await hall.define("one", achievement({"kind": "manual"}, tiers=[{"points": 5}]))
    await hall.define("two", achievement({"kind": "manual"}))
    for key in ("one", "two"):
        await hall.do(GrantAchievement(character_id=ADA, key=key))
    await hall.do(RemoveAchievement(key="one"))
    await hall.define("one", achievement({"kind": "manual"}, tiers=[{"points": 5}]))
    await hall.define("all", achievement(made_of("all_of", "one", "two")))
    await hall.settle()
    assert ("all", 1, 1) not in await hall.unlocked()
    await hall.do(GrantAchievement(character_id=ADA, key="one"))
    assert ("all", 1, 1) in await hall.unlocked()
    assert [e["points"] for e in await hall.told() if e["key"] == "one"] == [5, 5]
    assert await hall.balance() == 10
    assert await hall.sound()


async def test_restored_ones_count_for_what_is_made_of_them(hall: Hall) -> None:
    for key in ("one", "two"):
        await hall.define(key, achievement({"kind": "manual"}))
    await hall.define("before", achievement(made_of("all_of", "one", "two")))
    await hall.do(RestoreStandings(standings=[
        StandingValue(character_id=who, key="one", unlocked=[UnlockValue()]) for who in (ADA, BEN)
    ]))  # fmt: skip
    await hall.define("after", achievement(made_of("any_of", "one")))
    await hall.settle()
    assert await hall.unlocked() == [("after", 1, 1)]
    await hall.do(GrantAchievement(character_id=ADA, key="two"))
    assert ("before", 1, 1) in await hall.unlocked()
    assert ("before", 1, 1) not in await hall.unlocked(BEN)
    assert await hall.sound()


async def test_what_is_unlocked_while_others_are_made_of_it_counts(hall: Hall) -> None:
    """A commit that does not know of the definition unlocks before it: it is found, or runs again."""
    await hall.define("one", achievement(WON, 1))
    people = [UUID(int=n) for n in range(500, 510)]
    await hall.do([CreateCharacter(id=who, name=f"P{who.int}") for who in people])
    await asyncio.gather(
        *(hall.win(who) for who in people[:5]), hall.define("all", achievement(made_of("all_of", "one"))),
        *(hall.win(who) for who in people[5:]),
    )  # fmt: skip
    await hall.settle()
    for who in people:
        assert ("all", 1, 1) in await hall.unlocked(who)
    assert await hall.sound()


async def test_repetitions_go_on_when_something_else_is_counted(hall: Hall) -> None:
    tiers = [{"goal": 1, "points": 1}]
    other = {**WON, "where": [{"field": "data.n", "value": 1}]}
    await hall.define("again", achievement(tiers=tiers, repeatable=True))
    await hall.win(times=3)
    await hall.define("again", achievement(other, tiers=tiers, repeatable=True))
    await hall.settle()
    await hall.win(n=1)
    await hall.win(BEN, n=1)
    assert await hall.unlocked() == [("again", 1, n) for n in (1, 2, 3, 4)]
    assert await hall.unlocked(BEN) == [("again", 1, 1)]
    await hall.define("again", achievement(tiers=tiers, repeatable=True))
    await hall.win(times=2)
    assert (await hall.unlocked())[-2:] == [("again", 1, 5), ("again", 1, 6)]
    assert await hall.balance() == 6
    await hall.define("again", achievement({"kind": "manual"}, tiers=[{"points": 1}], repeatable=True))
    await hall.do(GrantAchievement(character_id=ADA, key="again"))
    assert (await hall.unlocked())[6:] == [("again", 1, 7)]
    assert await hall.sound()


async def test_repetitions_from_before_are_restored_as_such(hall: Hall) -> None:
    await hall.define("again", achievement(WON, 1, repeatable=True))
    unlocks = [UnlockValue(repetition=n, earlier=n < 4) for n in range(1, 5)]
    standing = StandingValue(character_id=ADA, key="again", value=1, unlocked=unlocks)
    await hall.do(RestoreStandings(standings=[standing]))
    await hall.settle()
    await hall.win()
    assert await hall.unlocked() == [("again", 1, 5)]


async def test_rewards_do_not_name_what_is_hidden(hall: Hall) -> None:
    tiers = [{"goal": 1, "points": 5, "title": "the Sly"}]
    await hall.define("open_one", achievement(tiers=tiers, name="Open Name"))
    await hall.define("tell_tale", achievement(WON, 9, requires=["open_one"]))
    await hall.define("dark_one", achievement(tiers=tiers, name="Dark Name", hidden=True))
    await hall.define("dusk", achievement(WON, 9, requires=["dark_one"]))
    await hall.win()
    assert await hall.balance() == 10
    rows = [row for row in await hall.bench.log(hall.world_id) if row["audience"] is None]
    text = b" ".join(row["data"].encode() for row in rows).decode()
    assert "Open Name" in text
    assert "Dark Name" not in text
    assert "dark_one" not in text
    titles = await hall.bench.fetch("SELECT source FROM character_titles WHERE world_id = $1", hall.world_id)
    assert "achievement:dark_one" not in {row["source"] for row in titles}


async def test_standings_do_not_name_what_is_hidden(hall: Hall) -> None:
    await hall.define("dark_one", achievement({"kind": "manual"}, hidden=True))
    await hall.define("dusk", achievement(WON, 9, requires=["dark_one"]))
    for see, missing in (("all", ["dark_one"]), ("unlocked", []), ("none", [])):
        standing = await hall.standing("dusk", see=see)  # type: ignore[arg-type]
        assert standing and standing.missing == missing


async def test_rounding_hides_no_goal(hall: Hall) -> None:
    await hall.define("heap", achievement({"kind": "sum", "on": ["game.won"], "field": "data.n"}, 1))
    await hall.win(n=0.9999999999999999)
    assert await hall.unlocked() == []
    await hall.win(n=1)
    assert await hall.unlocked() == [("heap", 1, 1)]


async def test_who_settles_knows_all_that_use_what_settles(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A definition that comes between the beginning of a chunk and its first statement is not passed over."""
    await hall.define("one", achievement(WON, 1))
    await hall.win()
    await hall.define("two", achievement(WON, 99))  # of which nothing will be told
    await hall.win(BEN)  # keeps the definitions as they are now
    original, waiting = Engine.transact, [True]

    async def transact(self: Any, scope: Any, request: Any, work: Any) -> Any:
        async def late(tx: Any) -> Any:
            if waiting:
                waiting.clear()
                await hall.define("three", achievement(WON, 1))
            return await work(tx)

        return await original(self, scope, request, late)

    monkeypatch.setattr(Engine, "transact", transact)
    await hall.settle()
    assert sorted(await hall.unlocked()) == [("one", 1, 1), ("three", 1, 1)]


async def test_progress_that_is_undone_is_not_told(hall: Hall) -> None:
    await hall.define("a", achievement(WON, 1))

    def told(key: str) -> dict[UUID, dict[str, str]]:
        return {ADA: {key: Rung.of(key, 1, 4.0).start + "1.0" + Rung.of(key, 1, 4.0).middle + "25}"}}

    async def work(tx: Transaction) -> None:
        service._tell(tx, told("a"), {})
        with pytest.raises(RuntimeError):
            async with tx.savepoint():
                service._tell(tx, told("b"), {})
                raise RuntimeError("undone")
        service._tell(tx, told("c"), {})
        assert [line.key for line in tx.events[0].event.achievements] == ["a", "c"]  # type: ignore[attr-defined]

    request = Request(FireTimers(kind="test", due_at=0), system_actor("test"), uuid4(), uuid4())
    await hall.bench.engine.transact(Scope(hall.world_id), request, work)
    [event] = await hall.told("progressed")
    assert [line["key"] for line in event["achievements"]] == ["a", "c"]


async def test_definitions_are_parsed_once(hall: Hall) -> None:
    await hall.define("one", achievement(WON, 1))
    async with hall.bench.runtime.database.reading() as connection:
        first, again = [await views.load_catalog(connection, hall.world_id) for _ in range(2)]
    assert first.by_key["one"].definition is again.by_key["one"].definition
