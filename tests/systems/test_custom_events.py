"""Events of outside programs against the real database: recorded, heard, refused."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import orjson
import pytest

from fablewright.app import open_runtime
from fablewright.core import log
from fablewright.core.conditions import FieldTest
from fablewright.core.messages import Command
from fablewright.core.refusal import Refused
from fablewright.core.system import Reaction, System
from fablewright.core.transaction import EventRecord, Transaction
from fablewright.systems.achievements.commands import DefineAchievement
from fablewright.systems.achievements.rules import AchievementDefinition, Tier
from fablewright.systems.characters.commands import CreateCharacter
from fablewright.systems.custom_events import rules
from fablewright.systems.custom_events.commands import RecordEvent, RegisterEventType, RemoveEventType
from fablewright.systems.custom_events.events import CustomEvent
from fablewright.systems.leaderboards.commands import DefineBoard, OfEvents
from fablewright.systems.points.commands import AwardRuleSpec, DefineAwardRule
from fablewright.systems.progress.rules import MeasureSpec
from fablewright.systems.worlds.commands import DeleteWorld
from tests.support import Person, Server

SUBJECT = UUID(int=7)
SCHEMA = {"type": "object", "properties": {"score": {"type": "integer"}}, "required": ["score"]}


class Place:
    """A world that has registered `game.scored`."""

    def __init__(self, server: Server):
        self.server = server

    async def open(self) -> "Place":
        self.owner = await self.server.person()
        self.world_id = await self.server.world(self.owner)
        await self.do(RegisterEventType(type="game.scored", data_schema=SCHEMA))
        return self

    async def do(self, command: Command | list[Command], who: Person | None = None, **options: Any) -> Any:
        actor = (who or self.owner).actor
        return (await self.server.runtime.engine.execute(command, actor, self.world_id, **options)).result

    async def refused(self, code: str, command: Command | list[Command]) -> Refused:
        with pytest.raises(Refused) as error:
            await self.do(command)
        assert error.value.code == code
        return error.value

    async def logged(self, pattern: str = "game.%") -> list[Any]:
        rows = await self.server.fetch(
            "SELECT id, type, about, audience, data::text AS data, command::text AS command FROM events "
            "WHERE world_id = $1 AND type LIKE $2 ORDER BY seq", self.world_id, pattern,
        )  # fmt: skip
        return [{**dict(row), "data": orjson.loads(row["data"])} for row in rows]


@pytest.fixture
async def place(server: Server) -> Place:
    return await Place(server).open()


def scored(score: Any = 3, **fields: Any) -> RecordEvent:
    return RecordEvent(type="game.scored", data={"score": score}, **fields)


async def test_an_event_gets_into_the_log_under_its_own_type(place: Place) -> None:
    told = await place.do(scored(12, subject_id=SUBJECT))
    (row,) = await place.logged()
    assert (row["id"], row["type"], row["about"], row["audience"]) == (
        told.event_id,
        "game.scored",
        [SUBJECT],
        None,
    )
    assert (row["data"]["data"], row["data"]["subject_id"]) == ({"score": 12}, str(SUBJECT))
    assert orjson.loads(row["command"])["type"] == "custom_events.record_event"
    rows = await place.server.fetch(
        f"SELECT {log.COLUMNS} FROM events WHERE world_id = $1 AND type = 'game.scored'",
        place.world_id,
    )
    read = log.decode(rows[0], place.server.runtime.engine.events)
    assert read is not None and isinstance(read.event, CustomEvent) and read.event.data == {"score": 12}
    assert read.event.type_name == read.type == "game.scored"


async def test_what_does_not_fit_is_refused_and_not_logged(place: Place) -> None:
    refused = await place.refused("event_invalid", scored("many"))
    assert refused.facts["errors"] == [{"path": "data.score", "message": '"many" is not of type "integer"'}]
    refused = await place.refused("event_type_unknown", RecordEvent(type="game.lost"))
    assert refused.facts["type"] == "game.lost"
    assert await place.logged() == []


async def test_neighbours_of_a_refused_one_are_recorded(place: Place) -> None:
    answers = await asyncio.gather(
        *(place.do(scored(n if n % 3 else "x")) for n in range(30)), return_exceptions=True
    )
    refused = [n for n, answer in enumerate(answers) if isinstance(answer, Refused)]
    assert refused == [n for n in range(30) if n % 3 == 0]
    assert sorted(row["data"]["data"]["score"] for row in await place.logged()) == [
        n for n in range(30) if n % 3
    ]


async def test_a_list_is_whole_or_not_at_all_and_sees_its_own_types(place: Place) -> None:
    won = RegisterEventType(type="user.won", data_schema={"required": ["prize"]}, audience="subject")
    gold = RecordEvent(type="user.won", subject_id=SUBJECT, data={"prize": "gold"})
    await place.refused("event_invalid", [won, gold, RecordEvent(type="user.won")])
    assert await place.logged("user.%") == []
    await place.do([won, gold])
    (row,) = await place.logged("user.%")
    assert row["audience"] == [SUBJECT]


async def test_a_changed_type_counts_at_once(place: Place) -> None:
    await place.do(scored(1))
    await place.do(RegisterEventType(type="game.scored", data_schema={}, audience="game_masters"))
    await place.do(scored("many"))
    assert [row["audience"] for row in await place.logged()] == [None, []]
    await place.do(RemoveEventType(type="game.scored"))
    await place.refused("event_type_unknown", scored(1))
    await place.refused("event_type_not_found", RemoveEventType(type="game.scored"))
    assert len(await place.logged()) == 2
    assert [row["type"] for row in await place.logged("custom_events.%")] == [
        "custom_events.type_registered", "custom_events.type_registered", "custom_events.type_removed",
    ]  # fmt: skip


async def test_a_bad_schema_changes_nothing(place: Place) -> None:
    bad = RegisterEventType(type="game.scored", data_schema={"properties": {"score": {"type": "whole"}}})
    refused = await place.refused("schema_invalid", bad)
    assert refused.facts["path"] == "data_schema.properties.score.type"
    await place.do(scored(1))


async def test_a_world_has_so_many_types(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fablewright.systems.custom_events.service.MOST_TYPES", 2)
    await place.do(RegisterEventType(type="game.b", data_schema={}))
    await place.refused("too_many_event_types", RegisterEventType(type="game.c", data_schema={}))
    await place.do(RegisterEventType(type="game.b", data_schema=SCHEMA))
    assert rules.MOST_TYPES > 2


async def test_worlds_know_only_their_own_types(place: Place) -> None:
    other = await Place(place.server).open()
    await other.do(RegisterEventType(type="game.other", data_schema={}))
    await place.refused("event_type_unknown", RecordEvent(type="game.other"))
    await other.do(DeleteWorld())
    assert not await place.server.fetch(
        "SELECT 1 FROM custom_event_types WHERE world_id = $1", other.world_id
    )


async def test_the_same_key_records_it_once(place: Place) -> None:
    for _ in range(2):
        await place.do(scored(5), key="once")
    assert len(await place.logged()) == 1


@asynccontextmanager
async def listening(server: Server, on: str) -> AsyncIterator[tuple[Any, list[str]]]:
    """A second node, on which one more system listens."""
    heard: list[str] = []

    async def react(tx: Transaction, records: list[EventRecord]) -> None:
        heard.extend(record.type for record in records)

    ears = System(name="ears", following=(Reaction("ears.hear", (on,), react),))
    systems = [*server.runtime.systems, ears]
    async with open_runtime(server.runtime.settings, server.url, systems, work=False) as runtime:
        yield runtime, heard


@pytest.mark.parametrize(
    ("on", "hears"), [("game.*", True), ("game.scored", True), ("*", True), ("user.*", False)]
)
async def test_reactions_hear_it_like_any_other_event(place: Place, on: str, hears: bool) -> None:
    async with listening(place.server, on) as (runtime, heard):
        await runtime.engine.execute(scored(1), place.owner.actor, place.world_id)
    assert heard == (["game.scored"] if hears else [])


async def test_it_is_worth_points_an_achievement_and_a_rank(place: Place) -> None:
    """Onboarding is finished: welcome points. A chapter is finished: as many as its score says."""
    ilse, bert = [(await place.do(CreateCharacter(name=name))).id for name in ("Ilse", "Bert")]
    signed_up = RegisterEventType(type="user.onboarding_finished", data_schema={})
    welcome = AwardRuleSpec(on="user.onboarding_finished", amount=100, reason="Welcome")
    by_score = AwardRuleSpec(
        on="game.*", where=[FieldTest(field="data.score", op="at_least", value=10)], amount_field="data.score",
        reason="Scored {data.score}",
    )  # fmt: skip
    twice = AchievementDefinition(
        name="Twice", criteria=MeasureSpec(kind="count", on=["game.scored"]), tiers=[Tier(goal=2)]
    )
    best = OfEvents(kind="best", on="game.scored", field="data.score")
    await place.do([
        signed_up, DefineAwardRule(key="welcome", rule=welcome), DefineAwardRule(key="scored", rule=by_score),
        DefineAchievement(key="twice", definition=twice), DefineBoard(key="best", name="Best", metric=best),
    ])  # fmt: skip
    await place.do(RecordEvent(type="user.onboarding_finished", subject_id=ilse))
    for score, who in ((9, ilse), (40, ilse), (12, bert), (30, None), (30, SUBJECT)):
        await place.do(scored(score, subject_id=who))
    awards = [(row["about"][0], row["data"]["reason"], row["data"]["amount"])
              for row in await place.logged("points.awarded")]  # fmt: skip
    assert awards == [(ilse, "Welcome", 100), (ilse, "Scored 40", 40), (bert, "Scored 12", 12)]
    assert [row["about"] for row in await place.logged("achievements.unlocked")] == [[ilse]]
    ranks = await place.server.fetch(
        "SELECT subject_id FROM board_entries WHERE world_id = $1 ORDER BY standing DESC", place.world_id
    )
    assert [row["subject_id"] for row in ranks] == [ilse, bert]
    assert await place.server.fetch("SELECT 1 FROM dead_letters WHERE world_id = $1", place.world_id) == []


async def test_the_doctor_finds_nothing(place: Place) -> None:
    assert [f for f in await place.server.findings() if str(place.world_id) in f] == []
