"""Quests against the real database: counted from acceptance, ended once, rewarded once, whatever happens at once."""

import asyncio
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
import pytest

from fablewright.core.actors import Actor, system_actor
from fablewright.core.clock import DAY
from fablewright.core.engine import Engine, Scope
from fablewright.core.refusal import Refused
from fablewright.core.timers import FireTimers
from fablewright.core.transaction import Request, Transaction
from fablewright.integration.doctor import examine
from fablewright.systems.characters.commands import CreateCharacter, DeleteCharacter
from fablewright.systems.custom_events.commands import RecordEvent, RegisterEventType
from fablewright.systems.diplomacy.commands import SetRelation
from fablewright.systems.factions.commands import DissolveFaction, FoundFaction, MemberValue
from fablewright.systems.points.commands import Award, ConfigurePoints
from fablewright.systems.points.guards import Burst, WorldGuards
from fablewright.systems.quests import views
from fablewright.systems.quests.commands import (
    AbandonQuest,
    AcceptQuest,
    ChooseObjective,
    DeclineQuest,
    DefineQuest,
    EndQuest,
    GenerateQuest,
    OfferQuest,
    ReachObjective,
    RemoveQuest,
)
from fablewright.systems.quests.rules import QuestDefinition
from fablewright.systems.quests.views import TakingView
from tests.support import until
from tests.systems.conftest import Bench, OpenBench

ADA, BEN, CYN = (UUID(int=n) for n in range(101, 104))
GUILD, CROWN = (UUID(int=n) for n in (201, 202))
WON: dict[str, Any] = {"kind": "count", "on": ["game.won"]}


def objective(key: str = "a", **fields: Any) -> dict[str, Any]:
    return {"key": key, "name": key.title(), **fields}


def quest(*objectives: dict[str, Any], **fields: Any) -> QuestDefinition:
    return QuestDefinition.model_validate(
        {"name": "Quest", "objectives": list(objectives) or [objective(measure=WON, goal=2)], **fields}
    )


@dataclass
class Board:
    """A world with three characters and events of the type `game.won`."""

    bench: Bench
    owner: Actor
    world_id: UUID

    @classmethod
    async def open(cls, bench: Bench) -> "Board":
        owner = await bench.person()
        board = cls(bench, owner, await bench.world(owner))
        await board.do(RegisterEventType(type="game.won", data_schema={}))
        for who, name in ((ADA, "Ada"), (BEN, "Ben"), (CYN, "Cyn")):
            await board.do(CreateCharacter(id=who, name=name))
        return board

    async def do(self, command: Any, actor: Actor | None = None) -> Any:
        return await self.bench.do(command, actor or self.owner, self.world_id)

    async def refused(self, code: str, command: Any, actor: Actor | None = None) -> dict[str, Any]:
        with pytest.raises(Refused) as error:
            await self.do(command, actor)
        assert error.value.code == code
        return error.value.facts

    async def define(self, key: str, definition: QuestDefinition) -> None:
        await self.do(DefineQuest(key=key, definition=definition))

    async def accept(self, key: str, who: UUID = ADA, **fields: Any) -> Any:
        return await self.do(AcceptQuest(key=key, character_id=who, **fields))

    async def win(self, who: UUID = ADA, times: int = 1, **data: Any) -> None:
        await self.do([RecordEvent(type="game.won", subject_id=who, data=data) for _ in range(times)])

    async def told(self, kind: str = "finished") -> list[dict[str, Any]]:
        rows = await self.bench.log(self.world_id, f"quests.{kind}")
        return [orjson.loads(row["data"]) for row in rows]

    async def taking(self, key: str, who: UUID = ADA) -> TakingView:
        async with self.bench.runtime.database.reading() as connection:
            found = await views.takings(
                connection, self.world_id, [who], state=None, secret=True, after=None, limit=100
            )
        # Ids of one moment are in no order: the one that is on is the last.
        return sorted((one for one in found if one.key == key), key=lambda one: one.state == "accepted")[-1]

    async def current(self, key: str, who: UUID = ADA) -> list[tuple[str, str, float]]:
        return [(o.key, o.state, o.current) for o in (await self.taking(key, who)).objectives]

    async def now(self) -> int:
        rows = await self.bench.fetch(
            "SELECT anchor_world_ms AS now FROM worlds WHERE id = $1", self.world_id
        )
        return int(rows[0]["now"])

    async def pass_days(self, days: float) -> None:
        """Let time pass, and fire what is due."""
        await self.bench.superuser(
            "UPDATE worlds SET anchor_world_ms = anchor_world_ms + $2 WHERE id = $1 RETURNING 1",
            self.world_id, round(days * DAY),
        )  # fmt: skip
        await fire(self.bench.engine, self.world_id, await self.now())

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


async def fire(engine: Engine, world_id: UUID, until: int) -> None:
    """Fire the deadlines that are due, although the world's clock stands."""
    from fablewright.core.timers import fire as fire_timers
    from fablewright.core.timers import take_due

    async with engine.database.reading() as connection:
        rows = await connection.fetch(
            "SELECT DISTINCT due_at, kind FROM timers WHERE world_id = $1 AND kind LIKE 'quests.%' AND due_at <= $2 "
            "ORDER BY due_at, kind",
            world_id, until,
        )  # fmt: skip
    for row in rows:
        command = FireTimers(kind=row["kind"], due_at=row["due_at"])
        request = Request(command, system_actor("timer"), UUID(int=row["due_at"]), UUID(int=1))

        async def work(tx: Transaction, command: FireTimers = command) -> None:
            await fire_timers(tx, command, await take_due(tx, command.kind, command.due_at))

        await engine.transact(Scope(world_id), request, work)


@pytest.fixture
async def board(bench: Bench) -> Board:
    return await Board.open(bench)


async def test_a_quest_from_definition_to_reward(board: Board) -> None:
    outcomes = {"done": {"name": "Victory", "points": 30, "title": "the Victor"}}
    await board.define("winner", quest(outcomes=outcomes))
    await board.win()
    accepted = await board.accept("winner")
    assert (accepted["open"], accepted["due_at"]) == (["a"], None)
    assert await board.current("winner") == [("a", "open", 0)]
    await board.win(BEN, 5)
    await board.win()
    assert await board.current("winner") == [("a", "open", 1)]
    await board.win()
    [reached], [finished] = await board.told("objective_reached"), await board.told()
    assert (reached["objective"], reached["objective_name"], reached["taker_id"]) == ("a", "A", str(ADA))
    assert (finished["outcome"], finished["outcome_name"], finished["points"]) == ("done", "Victory", 30)
    assert (finished["title"], finished["reward_refused"]) == ("the Victor", None)
    assert await board.balance() == 30
    rows = await board.bench.fetch(
        "SELECT title, source FROM character_titles WHERE world_id = $1", board.world_id
    )
    assert [tuple(row) for row in rows] == [("the Victor", "quest:winner")]
    taking = await board.taking("winner")
    assert (taking.state, taking.outcome, taking.objectives[0].percent) == ("finished", "done", 100)
    [told] = await board.bench.log(board.world_id, "quests.finished")
    assert taking.event_id == told["id"]
    [*_, won] = await board.bench.log(board.world_id, "game.won")
    assert told["causation_id"] == won["id"]
    await board.win(times=3)
    assert len(await board.told()) == 1
    assert await board.sound()


async def test_a_batch_that_reaches_more_than_the_goal_ends_once(board: Board) -> None:
    await board.define("winner", quest(outcomes={"done": {"points": 5}}))
    await board.accept("winner")
    await board.accept("winner", BEN)
    await board.do([RecordEvent(type="game.won", subject_id=who, data={}) for who in (ADA, BEN) * 4])
    assert sorted(e["taker_id"] for e in await board.told()) == [str(ADA), str(BEN)]
    assert (await board.balance(), await board.balance(BEN)) == (5, 5)
    assert await board.sound()


async def test_two_nodes_that_reach_the_goal_at_once_end_it_once(
    board: Board, open_bench: OpenBench, counter_url: str
) -> None:
    people = [UUID(int=n) for n in range(500, 508)]
    await board.do([CreateCharacter(id=who, name=f"P{who.int}") for who in people])
    await board.define("winner", quest(outcomes={"done": {"points": 7}}))
    for who in people:
        await board.accept("winner", who)
    async with open_bench(counter_url) as other:
        nodes = [board.bench, other]
        await asyncio.gather(*(
            nodes[n % 2].do([RecordEvent(type="game.won", subject_id=who, data={})], board.owner, board.world_id)
            for who in people for n in range(4)
        ))  # fmt: skip
    assert sorted(e["taker_id"] for e in await board.told()) == sorted(map(str, people))
    assert [await board.balance(who) for who in people] == [7] * len(people)
    assert await board.sound()


async def test_two_endings_at_once_are_one(board: Board, open_bench: OpenBench, counter_url: str) -> None:
    await board.define("winner", quest(objective(), outcomes={"done": {"points": 7}}))
    await board.accept("winner")
    async with open_bench(counter_url) as other:
        commands = [EndQuest(key="winner", taker_id=ADA), AbandonQuest(key="winner", character_id=ADA)]
        answers = await asyncio.gather(
            *(node.do(command, board.owner, board.world_id) for node in (board.bench, other) for command in commands),
            return_exceptions=True,
        )  # fmt: skip
    assert [a.code for a in answers if isinstance(a, Refused)] == ["quest_not_taken"] * 3
    assert len(await board.told()) + len(await board.told("abandoned")) == 1
    assert await board.balance() == 7 * len(await board.told())


async def test_the_last_place_is_taken_once(board: Board, open_bench: OpenBench, counter_url: str) -> None:
    await board.define("race", quest(most_takers=1))
    async with open_bench(counter_url) as other:
        answers = await asyncio.gather(
            *(
                node.do(AcceptQuest(key="race", character_id=who), board.owner, board.world_id)
                for node, who in ((board.bench, ADA), (other, BEN), (board.bench, CYN), (other, ADA))
            ),
            return_exceptions=True,
        )
    codes = sorted(a.code for a in answers if isinstance(a, Refused))
    assert len(codes) == 3
    assert set(codes) <= {"quest_full", "quest_already_taken"}
    assert len(await board.told("accepted")) == 1
    assert await board.sound()


async def test_choices_end_in_different_outcomes(board: Board) -> None:
    definition = quest(
        objective("win", measure=WON, opens=["tell", "hush"]), objective("tell", choice=True, closes=["hush"]),
        objective("hush", choice=True, closes=["tell"], outcome="hushed"),
        outcomes={"done": {"points": 10}, "hushed": {"points": 20}},
    )  # fmt: skip
    await board.define("fork", definition)
    for who in (ADA, BEN):
        await board.accept("fork", who)
    choose = {"key": "fork", "character_id": ADA}
    facts = await board.refused("objective_not_open", ChooseObjective(**choose, objective="tell"))
    assert facts["open"] == ["win"]
    await board.win()
    await board.win(BEN)
    await board.refused("objective_not_found", ChooseObjective(**choose, objective="x"))
    assert await board.do(ChooseObjective(**choose, objective="tell")) == {"open": [], "outcome": "done"}
    await board.refused("quest_not_taken", ChooseObjective(**choose, objective="hush"))
    await board.do(ChooseObjective(key="fork", character_id=BEN, objective="hush"))
    assert [(e["taker_id"], e["outcome"]) for e in await board.told()] == [
        (str(ADA), "done"), (str(BEN), "hushed"),
    ]  # fmt: skip
    assert await board.current("fork", BEN) == [
        ("win", "reached", 1), ("tell", "closed", 0), ("hush", "reached", 1),
    ]  # fmt: skip
    assert (await board.balance(), await board.balance(BEN)) == (10, 20)
    assert await board.sound()


async def test_what_is_told_by_game_masters(board: Board) -> None:
    await board.define("told", quest(objective("a", opens=["b"]), objective("b", outcome="failed")))
    await board.accept("told")
    await board.refused(
        "objective_not_a_choice", ChooseObjective(key="told", character_id=ADA, objective="a")
    )
    reach = ReachObjective(key="told", taker_id=ADA, objective="a")
    assert await board.do(reach) == {"open": ["b"], "outcome": None}
    await board.refused("objective_not_open", reach)
    assert await board.do(ReachObjective(key="told", taker_id=ADA, objective="b")) == {
        "open": [], "outcome": "failed",
    }  # fmt: skip
    [failed] = await board.told("failed")
    assert failed["outcome"] == "failed"
    await board.refused("quest_already_finished", AcceptQuest(key="told", character_id=ADA))
    await board.refused("outcome_not_found", EndQuest(key="told", taker_id=BEN, outcome="glory"))
    await board.refused("quest_not_taken", EndQuest(key="told", taker_id=BEN))
    assert await board.sound()


async def test_deadlines_expire_in_world_time(board: Board) -> None:
    outcomes = {"expired": {"name": "Too late", "success": False}}
    await board.define("soon", quest(days=2, outcomes=outcomes))
    await board.define("offer", quest(by_offer=True, until=await board.now() + DAY))
    await board.do(OfferQuest(key="offer", taker_ids=[ADA]))
    due = (await board.accept("soon"))["due_at"]
    assert due == await board.now() + 2 * DAY
    await board.pass_days(1)
    assert [(e["key"], e["outcome"]) for e in await board.told("expired")] == [("offer", "expired")]
    await board.refused("quest_over", AcceptQuest(key="offer", character_id=ADA))
    await board.refused("quest_over", OfferQuest(key="offer", taker_ids=[BEN]))
    await board.pass_days(1)
    [_, expired] = await board.told("expired")
    assert (expired["key"], expired["outcome_name"], expired["reason"]) == (
        "soon",
        "Too late",
        "The time was over.",
    )
    await board.win(times=3)
    assert await board.told() == []
    assert (await board.taking("soon")).state == "expired"
    facts = await board.refused(
        "quest_deadline_past", DefineQuest(key="x", definition=quest(until=await board.now()))
    )
    assert facts["now"] == await board.now()
    assert await board.sound()


@pytest.mark.parametrize("days", [1, 5])
async def test_a_deadline_that_moves_moves_for_those_on_it(board: Board, days: int) -> None:
    """Earlier and later, for offers too."""
    ends = await board.now() + days * DAY
    await board.define("soon", quest(until=await board.now() + 3 * DAY))
    await board.accept("soon")
    await board.do(OfferQuest(key="soon", taker_ids=[BEN]))
    await board.define("soon", quest(until=ends))
    assert [(await board.taking("soon", who)).due_at for who in (ADA, BEN)] == [ends, ends]
    await board.pass_days(days - 1)
    assert await board.told("expired") == []
    assert await board.sound()
    await board.pass_days(1)
    assert len(await board.told("expired")) == 2
    assert await board.sound()


async def test_who_finishes_in_time_is_left_alone(board: Board) -> None:
    await board.define("soon", quest(days=2))
    await board.accept("soon")
    await board.win(times=2)
    await board.pass_days(3)
    assert await board.told("expired") == []
    assert (await board.taking("soon")).state == "finished"
    assert await board.sound()


async def test_offers_are_accepted_or_declined(board: Board) -> None:
    await board.define("asked", quest(by_offer=True))
    await board.refused("quest_not_offered", AcceptQuest(key="asked", character_id=ADA))
    await board.refused("quest_not_offered", DeclineQuest(key="asked", character_id=ADA))
    assert await board.do(OfferQuest(key="asked", taker_ids=[ADA, BEN])) == {"offered": 2}
    facts = await board.refused("quest_already_offered", OfferQuest(key="asked", taker_ids=[CYN, BEN]))
    assert facts["taker_id"] == str(BEN)
    await board.do(DeclineQuest(key="asked", character_id=BEN))
    await board.refused("quest_not_offered", AcceptQuest(key="asked", character_id=BEN))
    await board.accept("asked")
    await board.refused("quest_already_taken", OfferQuest(key="asked", taker_ids=[ADA]))
    await board.refused("quest_already_taken", AcceptQuest(key="asked", character_id=ADA))
    await board.do(OfferQuest(key="asked", taker_ids=[BEN]))
    await board.accept("asked", BEN)
    assert [len(await board.told(k)) for k in ("offered", "declined", "accepted")] == [3, 1, 2]
    assert await board.sound()


async def test_quests_that_require_others(board: Board) -> None:
    await board.define("first", quest(objective(), outcomes={"good": {}, "bad": {}}))
    await board.define("second", quest(requires=[{"quest": "first", "outcome": "good"}]))
    await board.define("third", quest(requires=[{"quest": "second"}]))
    facts = await board.refused("quest_locked", AcceptQuest(key="second", character_id=ADA))
    assert facts["missing"] == ["first"]
    for who, outcome in ((ADA, "good"), (BEN, "bad")):
        await board.accept("first", who)
        await board.do(EndQuest(key="first", taker_id=who, outcome=outcome))
    await board.accept("second")
    await board.refused("quest_locked", AcceptQuest(key="second", character_id=BEN))
    circle = quest(requires=[{"quest": "third"}])
    facts = await board.refused("quest_cycle", DefineQuest(key="first", definition=circle))
    assert facts["path"] == ["first", "third", "second", "first"]
    facts = await board.refused(
        "quest_cycle", DefineQuest(key="x", definition=quest(requires=[{"quest": "x"}]))
    )
    assert facts["path"] == ["x", "x"]
    await board.refused("quest_unknown", DefineQuest(key="x", definition=quest(requires=[{"quest": "y"}])))


async def test_who_may_take_what(board: Board) -> None:
    await board.define("for_ada", quest(only_for=[ADA]))
    await board.define("for_factions", quest(takers="faction"))
    await board.refused("quest_not_for_them", AcceptQuest(key="for_ada", character_id=BEN))
    await board.refused("quest_not_for_them", OfferQuest(key="for_ada", taker_ids=[BEN]))
    await board.accept("for_ada")
    await board.refused("wrong_taker", AcceptQuest(key="for_factions", character_id=ADA))
    await board.refused("wrong_taker", OfferQuest(key="for_factions", taker_ids=[ADA]))
    await board.refused("taker_not_found", OfferQuest(key="for_factions", taker_ids=[UUID(int=5)]))
    await board.refused("taker_not_found", AcceptQuest(key="for_ada", character_id=UUID(int=5)))
    await board.refused("quest_not_found", AcceptQuest(key="nothing", character_id=ADA))
    player = await board.bench.member(board.world_id, board.owner, "player")
    await board.refused("not_your_character", AcceptQuest(key="for_ada", character_id=ADA), player)
    await board.refused("role_too_low", DefineQuest(key="x", definition=quest()), player)
    await board.refused("role_too_low", EndQuest(key="for_ada", taker_id=ADA), player)


async def test_abandoned_quests_can_be_taken_again_and_begin_anew(board: Board) -> None:
    await board.define("winner", quest())
    await board.accept("winner")
    await board.win()
    await board.do(AbandonQuest(key="winner", character_id=ADA))
    await board.win()
    await board.accept("winner")
    assert await board.current("winner") == [("a", "open", 0)]
    await board.win(times=2)
    assert [len(await board.told(k)) for k in ("abandoned", "finished")] == [1, 1]
    await board.refused("quest_already_finished", AcceptQuest(key="winner", character_id=ADA))
    await board.define("winner", quest(repeatable=True))
    await board.accept("winner")
    await board.win(times=2)
    assert len(await board.told()) == 2
    assert await board.sound()


async def test_what_somebody_is_on_changes_in_its_texts_only(board: Board) -> None:
    await board.define("winner", quest())
    await board.accept("winner")
    facts = await board.refused(
        "quest_in_use", DefineQuest(key="winner", definition=quest(objective(measure=WON, goal=9)))
    )
    assert facts["takers"] == [str(ADA)]
    await board.define("winner", quest(name="Better", outcomes={}, description="More"))
    await board.do(RemoveQuest(key="winner"))
    [failed] = await board.told("failed")
    assert (failed["name"], failed["reason"]) == ("Better", "The quest was taken away.")
    await board.win(times=3)
    assert await board.told() == []
    await board.refused("quest_not_found", RemoveQuest(key="winner"))
    await board.define("winner", quest(objective(measure=WON, goal=1)))  # another one under the same key
    await board.accept("winner")
    await board.win()
    assert len(await board.told()) == 1
    assert await board.sound()


async def test_best_and_different_values_count_from_acceptance(board: Board) -> None:
    await board.define("best", quest(objective(measure={**WON, "kind": "best", "field": "data.n"}, goal=5)))
    await board.define(
        "many", quest(objective(measure={**WON, "kind": "distinct", "field": "data.m"}, goal=2))
    )
    await board.win(n=9, m="x")
    for key in ("best", "many"):
        await board.accept(key)
    await board.win(n=3, m="x")
    await board.win(n=1, m="x")
    assert await board.current("best") == [("a", "open", 3)]
    assert await board.current("many") == [("a", "open", 1)]
    await board.win(n=5, m="y")
    assert sorted(e["key"] for e in await board.told()) == ["best", "many"]
    assert await board.sound()


async def test_what_anyone_does_counts_for_all(board: Board) -> None:
    await board.define("all", quest(objective(measure=WON, goal=3, anyone=True)))
    await board.accept("all")
    await board.accept("all", BEN)
    await board.win(CYN, 2)
    await board.win(BEN)
    assert sorted(e["taker_id"] for e in await board.told()) == [str(ADA), str(BEN)]
    assert await board.sound()


async def test_refused_rewards_do_not_stop_the_ending(board: Board) -> None:
    await board.define("winner", quest(outcomes={"done": {"points": 5, "currency": "shells"}}))
    await board.accept("winner")
    await board.win(times=2)
    [finished] = await board.told()
    assert (finished["points"], finished["reward_refused"]) == (0, "currency_not_found")
    assert await board.sound()


async def test_the_deleted_are_on_no_quest(board: Board) -> None:
    await board.define(
        "winner", quest(days=3, outcomes={"abandoned": {"success": False, "title": "the Quitter"}})
    )
    await board.accept("winner")
    await board.do(DeleteCharacter(character_id=ADA))
    [abandoned] = await board.told("abandoned")
    assert (abandoned["reason"], abandoned["title"]) == ("The character is no more.", None)
    assert await board.sound()


async def test_the_dissolved_are_on_no_quest(board: Board) -> None:
    await board.do(FoundFaction(id=GUILD, name="Guild", leader_id=ADA))
    done = {"done": {"points": 5}, "abandoned": {"success": False, "points": 7}}
    await board.define("quest", quest(objective(measure=WON, anyone=True), takers="faction", outcomes=done))
    await board.accept("quest")
    await board.do(DissolveFaction(faction_id=GUILD))
    [abandoned] = await board.told("abandoned")
    assert (abandoned["taker_id"], abandoned["reason"]) == (str(GUILD), "The faction is no more.")
    await board.win()
    assert (await board.told(), await board.balance(GUILD)) == ([], 0)
    assert await board.sound()


async def test_a_failing_reward_becomes_a_dead_letter_and_can_be_replayed(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fablewright.systems.quests import endings
    from fablewright.systems.worlds.commands import ReplayDeadLetter

    await board.define("winner", quest(objective(measure=WON), outcomes={"done": {"points": 5}}))
    await board.accept("winner")

    async def breaks(*_: Any) -> None:
        raise RuntimeError("no pay today")

    with monkeypatch.context() as patch:
        patch.setattr(endings, "_pay", breaks)
        await board.win()
    assert (await board.told(), await board.current("winner")) == ([], [("a", "open", 0)])
    [letter] = await board.bench.letters(board.world_id)
    assert letter["handler"] == "quests.count"
    await board.do(ReplayDeadLetter(dead_letter_id=letter["id"]))
    assert (len(await board.told()), await board.balance()) == (1, 5)
    assert await board.sound()


async def test_quests_made_by_hand_from_templates(board: Board) -> None:
    facts = {"from_id": ADA, "with_id": BEN}
    made = await board.do(GenerateQuest(template="parley", facts=facts))
    [defined] = await board.told("defined")
    assert (defined["key"], defined["template"], defined["name"]) == (
        made["key"], "parley", "A parley between Ada and Ben",
    )  # fmt: skip
    missing = await board.refused(
        "quest_facts_missing", GenerateQuest(template="parley", facts={"from_id": ADA})
    )
    assert missing["missing"] == ["with_id"]
    await board.refused(
        "quest_facts_missing", GenerateQuest(template="parley", facts={**facts, "from_id": "x"})
    )
    await board.refused("quest_template_not_found", GenerateQuest(template="nothing"))


async def test_what_was_made_of_a_template_is_taken_away_in_time(board: Board) -> None:
    facts = {"from_id": ADA, "with_id": BEN}
    kept, gone = [(await board.do(GenerateQuest(template="parley", facts=facts)))["key"] for _ in range(2)]
    async with board.bench.runtime.database.reading() as connection:
        row = await views.one(connection, board.world_id, kept, all_of_them=True, own=[])
    assert row is not None and row[1].until == await board.now() + 60 * DAY
    fields = {name: getattr(row[1], name) for name in QuestDefinition.model_fields}
    longer = QuestDefinition.model_construct(**fields | {"until": await board.now() + 90 * DAY})
    await board.do(DefineQuest(key=kept, definition=QuestDefinition.model_validate(longer.model_dump())))
    await board.pass_days(50)
    await board.accept(gone)
    assert await board.told("removed") == []
    await board.pass_days(10)
    assert [(e["key"], e["outcome"]) for e in await board.told("expired")] == [(gone, "expired")]
    assert [e["key"] for e in await board.told("removed")] == [gone]
    await board.refused("quest_not_found", AcceptQuest(key=gone, character_id=BEN))
    assert await board.sound()
    await board.pass_days(30)
    assert [e["key"] for e in await board.told("removed")] == [gone, kept]
    assert await board.sound()


async def test_only_what_somebody_is_on_is_listened_to(
    board: Board, open_bench: OpenBench, counter_url: str
) -> None:
    """Also by a node that has read the catalogue while nobody was on a quest."""

    async def listened() -> int:
        async with board.bench.runtime.database.reading() as connection:
            return len(await connection.fetch(views.CATALOG, board.world_id))

    for key in ("early", "late"):
        await board.define(key, quest(objective(measure=WON)))
    await board.accept("early")
    await board.win()
    assert (len(await board.told()), await listened()) == (1, 0)
    await board.accept("late", BEN)
    async with open_bench(counter_url) as other:
        win = RecordEvent(type="game.won", subject_id=CYN, data={})
        await other.do(win, board.owner, board.world_id)
        assert await listened() == 1
        await board.accept("early", CYN)
        await other.do(win, board.owner, board.world_id)
    assert [(e["key"], e["taker_id"]) for e in await board.told()] == [
        ("early", str(ADA)),
        ("early", str(CYN)),
    ]
    assert await board.sound()


async def test_who_comes_while_the_last_one_leaves_is_listened_to(board: Board) -> None:
    """Between the two, a node may read that nobody is on the quest."""
    await board.define("winner", quest(objective(measure=WON)))
    await board.accept("winner")
    async with board.bench.runtime.database.reading() as leaving, leaving.transaction():
        await leaving.execute(
            "UPDATE quest_takings SET state = 'abandoned', ended_at = 0 WHERE world_id = $1", board.world_id
        )
        coming = asyncio.create_task(board.accept("winner", BEN))
        await until(lambda: blocked(board, leaving))
    versions = "SELECT definitions FROM world_heads WHERE world_id = $1"
    [before] = await board.bench.fetch(versions, board.world_id)
    await coming
    [after] = await board.bench.fetch(versions, board.world_id)
    assert after["definitions"] > before["definitions"]


async def blocked(board: Board, holder: Any) -> bool:
    """Whether somebody waits for this connection."""
    sql = "SELECT count(*) AS n FROM pg_locks WHERE NOT granted AND $1 = ANY(pg_blocking_pids(pid))"
    return bool((await board.bench.fetch(sql, holder.get_server_pid()))[0]["n"])


@pytest.mark.parametrize("rows", ["relations", "ledger_accounts"])
@pytest.mark.parametrize("how", ["choose", "count", "expire"])
async def test_what_an_ending_changes_is_locked_before_who_is_on_it(
    board: Board, rows: str, how: str
) -> None:
    """Who holds a relation and waits for a quest, as settling an incident does, would else never end."""
    for faction, leader in ((GUILD, ADA), (CROWN, BEN)):
        await board.do(FoundFaction(id=faction, name=f"F{faction.int}", leader_id=leader))
    await board.do(Award(character_id=ADA, amount=1, reason="An account to hold."))
    await board.do(SetRelation(a_id=GUILD, b_id=CROWN, tension=5))
    brings = {"points": 5, "tension": [{"a": str(GUILD), "b": str(CROWN), "amount": 7}]}
    late = {**brings, "success": False}
    fork = quest(
        objective("a", choice=True, outcome="done"), objective("b", measure=WON, outcome="done"), days=1,
        outcomes={"done": brings, "expired": late},
    )  # fmt: skip
    await board.define("fork", fork)
    await board.accept("fork")
    acts: dict[str, Any] = {
        "choose": lambda: board.do(ChooseObjective(key="fork", character_id=ADA, objective="a")),
        "count": board.win, "expire": lambda: board.pass_days(1),
    }  # fmt: skip
    async with board.bench.runtime.database.reading() as other, other.transaction():
        await other.execute(f"SELECT 1 FROM {rows} WHERE world_id = $1 FOR NO KEY UPDATE", board.world_id)
        ending = asyncio.create_task(acts[how]())
        await until(lambda: blocked(board, other))
        await other.execute(
            "SELECT 1 FROM quest_takings WHERE world_id = $1 FOR NO KEY UPDATE NOWAIT", board.world_id
        )
    await ending
    assert (await board.taking("fork")).state in ("finished", "expired")
    assert await board.sound()


async def test_rewards_of_what_was_generated_are_checked_against_abuse(board: Board) -> None:
    await board.do(ConfigurePoints(guards=WorldGuards(burst=Burst(most=1, ms=DAY, outcome="refuse"))))
    facts = {"from_id": ADA, "with_id": BEN}
    keys = [(await board.do(GenerateQuest(template="parley", facts=facts)))["key"] for _ in range(2)]
    await board.define("winner", quest(objective(), outcomes={"done": {"points": 5}}))
    for key in (*keys, "winner"):
        await board.accept(key)
        await board.do(EndQuest(key=key, taker_id=ADA))
    assert [(e["points"], e["reward_refused"]) for e in await board.told()] == [
        (30, None), (0, "award_limited"), (5, None),
    ]  # fmt: skip
    assert await board.balance() == 35
    assert await board.sound()


async def test_a_title_does_not_name_the_secret_quest_that_it_comes_from(board: Board) -> None:
    await board.define("whispers", quest(objective(), secret=True, outcomes={"done": {"title": "the Quiet"}}))
    taking = (await board.accept("whispers"))["taking_id"]
    await board.do(EndQuest(key="whispers", taker_id=ADA))
    [granted] = await board.bench.log(board.world_id, "points.title_granted")
    assert orjson.loads(granted["data"])["source"] == f"quest:{taking}"
    assert "whispers" not in granted["data"]


async def test_only_who_may_negotiate_decides_on_the_quest_of_a_faction(board: Board) -> None:
    squire = [MemberValue(character_id=BEN)]
    await board.do(FoundFaction(id=GUILD, name="Guild", leader_id=ADA, members=squire))
    await board.define("quest", quest(objective(choice=True), takers="faction"))
    fields: dict[str, Any] = {"key": "quest", "faction_id": GUILD}

    async def squire_may_not(*commands: Any) -> None:
        for command in commands:
            facts = await board.refused("role_may_not", command)
            assert facts["act"] == "negotiate"

    own = {"key": "quest", "character_id": BEN}
    await squire_may_not(AcceptQuest(**own), AcceptQuest(**fields, character_id=BEN))
    await board.do(OfferQuest(key="quest", taker_ids=[GUILD]))
    await squire_may_not(DeclineQuest(**own))
    await board.refused("not_a_member", DeclineQuest(**fields, character_id=CYN))
    await board.do(DeclineQuest(**fields, character_id=ADA))
    await board.accept("quest")
    await squire_may_not(AbandonQuest(**own), ChooseObjective(**own, objective="a"))
    await board.define("own", quest())
    await board.refused("wrong_taker", AcceptQuest(key="own", character_id=BEN, faction_id=CYN))
    await board.do(ChooseObjective(**fields, character_id=ADA, objective="a"))
    assert [e["taker_id"] for e in await board.told()] == [str(GUILD)]
    assert await board.sound()
