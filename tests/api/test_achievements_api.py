"""HTTP routes of achievements: definitions, standings, and who may see what of hidden ones."""

from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest

from fablewright.packs.reader import import_pack, read_pack
from fablewright.packs.writer import export_world
from fablewright.systems.characters.commands import CreateCharacter
from fablewright.systems.custom_events.commands import RecordEvent, RegisterEventType
from tests.support import Person, Server, until

WON: dict[str, Any] = {"kind": "count", "on": ["game.won"]}
TALKER = {
    "name": "Winner",
    "criteria": WON,
    "tiers": [
        {"goal": 2, "name": "Bronze", "points": 5},
        {"goal": 5, "name": "Silver", "title": "the Winner"},
    ],
}
SECRET = {"name": "Secret", "criteria": WON, "tiers": [{"goal": 3}], "hidden": True}


class Hall:
    """A world with an owner, two players with a character each, and an observer."""

    def __init__(self, server: Server):
        self.server = server

    async def open(self) -> "Hall":
        self.owner = await self.server.person()
        self.world_id = await self.server.world(self.owner)
        self.player, self.rival = [
            await self.server.member(self.world_id, self.owner, "player") for _ in range(2)
        ]
        self.observer = await self.server.member(self.world_id, self.owner, "observer")
        await self.do(RegisterEventType(type="game.won", data_schema={}))
        self.ada, self.ben = [
            (await self.do(CreateCharacter(name=name, kind="player", user_id=who.id))).id
            for name, who in (("Ada", self.player), ("Ben", self.rival))
        ]
        return self

    async def do(self, command: Any) -> Any:
        return await self.server.do(command, self.owner.actor, self.world_id)

    async def win(self, times: int = 1, who: UUID | None = None, **data: Any) -> None:
        for _ in range(times):
            await self.do(RecordEvent(type="game.won", subject_id=who or self.ada, data=data))

    async def call(self, method: str, path: str, who: Person, body: Any = None) -> Any:
        url = f"/api/v1/worlds/{self.world_id}{path}"
        return await self.server.client.request(method, url, headers=who.headers, json=body)

    async def ok(self, method: str, path: str, who: Person | None = None, body: Any = None) -> Any:
        answer = await self.call(method, path, who or self.owner, body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def refused(
        self, status: int, code: str, method: str, path: str, who: Person | None = None, body: Any = None
    ) -> Any:
        answer = await self.call(method, path, who or self.owner, body)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
        return answer.json()

    async def keys(self, path: str, who: Person) -> list[str]:
        return [item["key"] for item in (await self.ok("GET", path, who))["items"]]


@pytest.fixture
async def hall(server: Server) -> Hall:
    return await Hall(server).open()


async def test_the_life_of_an_achievement(hall: Hall) -> None:
    made = (await hall.ok("PUT", "/achievements/winner", body=TALKER))["result"]
    assert made["key"] == "winner" and made["measure_id"]
    found = await hall.ok("GET", "/achievements/winner", hall.observer)
    assert found["key"] == "winner"
    assert found["criteria"] == {**WON, "where": [], "field": None, "subject": None, "grace_days": 0}
    assert [tier["name"] for tier in found["tiers"]] == ["Bronze", "Silver"]
    await hall.win(3)
    [standing] = (await hall.ok("GET", f"/characters/{hall.ada}/achievements", hall.observer))["items"]
    assert (standing["current"], standing["goal"], standing["percent"]) == (3, 5, 60)
    assert (standing["tier"], standing["tier_name"], standing["steps"]) == (2, "Silver", 1)
    [unlock] = standing["unlocked"]
    assert (unlock["tier"], unlock["name"], unlock["repetition"]) == (1, "Bronze", 1)
    await hall.ok("DELETE", "/achievements/winner")
    await hall.refused(404, "achievement_not_found", "GET", "/achievements/winner")
    await hall.refused(404, "achievement_not_found", "DELETE", "/achievements/winner")
    assert (await hall.ok("GET", f"/characters/{hall.ada}/achievements"))["items"] == []


async def test_pages(hall: Hall) -> None:
    for n in range(5):
        await hall.ok("PUT", f"/achievements/a{n}", body={"name": "x", "criteria": {"kind": "manual"}})
    for path in ("/achievements", f"/characters/{hall.ada}/achievements"):
        first = await hall.ok("GET", f"{path}?limit=3", hall.player)
        assert [item["key"] for item in first["items"]] == ["a0", "a1", "a2"]
        rest = await hall.ok("GET", f"{path}?limit=3&cursor={first['next_cursor']}", hall.player)
        assert [item["key"] for item in rest["items"]] == ["a3", "a4"]
        assert rest["next_cursor"] is None
        await hall.refused(422, "cursor_invalid", "GET", f"{path}?cursor=WzFd", hall.player)


async def test_hidden_ones_are_seen_by_who_has_them(hall: Hall) -> None:
    await hall.ok("PUT", "/achievements/secret", body=SECRET)
    await hall.ok("PUT", "/achievements/winner", body=TALKER)
    standings = f"/characters/{hall.ada}/achievements"
    await hall.win(2)
    for who in (hall.player, hall.rival, hall.observer):
        assert await hall.keys("/achievements", who) == ["winner"]
        assert await hall.keys(standings, who) == ["winner"]
        await hall.refused(404, "achievement_not_found", "GET", "/achievements/secret", who)
        seen = (await hall.ok("GET", "/events?types=achievements.*", who))["events"]
        assert "secret" not in str(seen)
    assert await hall.keys(standings, hall.owner) == ["secret", "winner"]
    await hall.win()
    for who in (hall.rival, hall.observer):
        assert await hall.keys("/achievements", who) == ["winner"]
        assert await hall.keys(standings, who) == ["winner"]
        seen = (await hall.ok("GET", "/events?types=achievements.*", who))["events"]
        assert "secret" not in str(seen)
    assert await hall.keys("/achievements", hall.player) == ["secret", "winner"]
    assert await hall.keys(standings, hall.player) == ["secret", "winner"]
    assert (await hall.ok("GET", "/achievements/secret", hall.player))["hidden"] is True
    seen = (await hall.ok("GET", "/events?types=achievements.unlocked", hall.player))["events"]
    assert [event["data"]["key"] for event in seen] == ["winner", "secret"]


async def test_what_others_name_is_hidden_too(hall: Hall) -> None:
    bodies: dict[str, Any] = {
        "secret": SECRET, "winner": TALKER,
        "after": {**TALKER, "requires": ["secret", "winner"]},
        "both": {"name": "Both", "criteria": {"kind": "all_of", "keys": ["secret", "winner"]}},
    }  # fmt: skip
    for key, body in bodies.items():
        await hall.ok("PUT", f"/achievements/{key}", body=body)

    async def named(who: Any) -> list[Any]:
        after, both = [await hall.ok("GET", f"/achievements/{key}", who) for key in ("after", "both")]
        listed = {a["key"]: a for a in (await hall.ok("GET", "/achievements", who))["items"]}
        assert (listed["after"], listed["both"]) == (after, both)
        return [after["requires"], both["criteria"]["keys"]]

    standings = f"/characters/{hall.ada}/achievements"
    assert await named(hall.owner) == [["secret", "winner"]] * 2
    for who in (hall.player, hall.rival, hall.observer):
        assert await named(who) == [["winner"]] * 2
        assert "secret" not in str(await hall.ok("GET", standings, who))
        assert "secret" not in str(await hall.ok("GET", "/events", who))
    await hall.win(3)
    assert await named(hall.player) == [["secret", "winner"]] * 2
    assert await named(hall.rival) == [["winner"]] * 2


async def test_how_far_one_is_is_told_to_who_it_concerns(hall: Hall) -> None:
    await hall.ok("PUT", "/achievements/winner", body=TALKER)
    await hall.win()
    path = "/events?types=achievements.progressed"
    [told] = (await hall.ok("GET", path, hall.player))["events"]
    assert told["data"]["achievements"] == [
        {"key": "winner", "tier": 1, "current": 1, "goal": 2, "percent": 50}
    ]
    assert (await hall.ok("GET", path, hall.rival))["events"] == []


async def test_a_backfill_can_be_watched(hall: Hall) -> None:
    await hall.win(2)
    await hall.ok("PUT", "/achievements/winner?backfill=true", body=TALKER)

    async def done() -> Any:
        found = await hall.ok("GET", "/achievements/winner/backfill")
        assert found["state"] in ("catching_up", "settling", "live")
        assert 0 <= found["up_to"] <= found["head"]
        return found if found["state"] == "live" else None

    assert (await until(done))["percent"] == 100
    [standing] = (await hall.ok("GET", f"/characters/{hall.ada}/achievements"))["items"]
    assert (standing["current"], standing["steps"]) == (2, 1)
    await hall.refused(403, "role_too_low", "GET", "/achievements/winner/backfill", hall.player)
    await hall.refused(404, "achievement_not_found", "GET", "/achievements/other/backfill")


async def test_granting(hall: Hall) -> None:
    await hall.ok("PUT", "/achievements/hero", body={"name": "Hero", "criteria": {"kind": "manual"}})
    path = f"/characters/{hall.ben}/achievements/hero/grant"
    await hall.refused(403, "role_too_low", "POST", path, hall.player, {})
    assert (await hall.ok("POST", path, body={}))["result"] == {"unlocked": [{"tier": 1, "repetition": 1}]}
    await hall.refused(409, "already_unlocked", "POST", path, body={})
    nobody = f"/characters/{UUID(int=5)}/achievements"
    await hall.refused(404, "character_not_found", "POST", f"{nobody}/hero/grant", body={})
    await hall.refused(404, "character_not_found", "GET", nobody)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({**TALKER, "tiers": [{"goal": 2}, {"goal": 1}]}, "higher goal"),
        ({**TALKER, "criteria": {"kind": "sum", "on": ["game.won"]}}, "field"),
        ({**TALKER, "criteria": {"kind": "count", "on": ["*"]}}, "criteria"),
        ({**TALKER, "repeatable": "perhaps"}, "repeatable"),
        ({"name": "x"}, "criteria"),
    ],
)
async def test_what_makes_no_sense_is_refused_with_its_place(hall: Hall, body: Any, says: str) -> None:
    problem = await hall.refused(422, "validation_failed", "PUT", "/achievements/winner", body=body)
    assert says in str(problem)


async def test_a_circle_is_refused_with_its_path(hall: Hall) -> None:
    await hall.ok("PUT", "/achievements/a", body=TALKER)
    await hall.ok("PUT", "/achievements/b", body={"name": "b", "criteria": {"kind": "all_of", "keys": ["a"]}})
    problem = await hall.refused(
        409, "achievement_cycle", "PUT", "/achievements/a", body={**TALKER, "requires": ["b"]}
    )
    assert problem["path"] == ["a", "b", "a"]


async def test_a_lived_hall_is_the_same_after_export_and_import(hall: Hall, tmp_path: Path) -> None:
    definitions: dict[str, Any] = {
        "winner": TALKER, "secret": SECRET,
        "again": {"name": "Again", "criteria": {**WON, "where": [{"field": "data.n", "value": 1}]},
                  "tiers": [{"goal": 1}], "repeatable": True},
        "many": {"name": "Many", "criteria": {"kind": "distinct", "on": ["game.won"], "field": "data.n"},
                 "tiers": [{"goal": 3}]},
        "daily": {"name": "Daily", "criteria": {"kind": "streak", "on": ["game.won"]}, "tiers": [{"goal": 9}]},
        "hero": {"name": "Hero", "criteria": {"kind": "manual"}},
        "all": {"name": "All", "criteria": {"kind": "all_of", "keys": ["winner", "hero"]}, "requires": ["again"]},
    }  # fmt: skip
    for key, body in definitions.items():
        await hall.ok("PUT", f"/achievements/{key}", body=body)
    await hall.win(2, n=1)
    await hall.win(1, n="two")
    await hall.win(1, who=hall.ben)
    before = await shown(hall.server, hall.owner, hall.world_id)
    await export_world(hall.server.runtime, hall.world_id, tmp_path / "out")
    pack = read_pack(tmp_path / "out", hall.server.runtime.systems)
    made = await import_pack(hall.server.runtime, hall.owner.actor, pack, seed=3)
    assert await shown(hall.server, hall.owner, made.world_id) == before
    copy = Hall(hall.server)
    copy.owner, copy.world_id, copy.ada, copy.ben = hall.owner, made.world_id, hall.ada, hall.ben

    async def settled() -> bool:
        sql = "SELECT 1 FROM measures WHERE world_id = $1 AND state <> 'live'"
        return not await hall.server.fetch(sql, made.world_id)

    await until(settled)
    for one in (hall, copy):
        await one.ok("POST", f"/characters/{hall.ada}/achievements/hero/grant", body={})
        await one.win(2, n=3)
    assert await shown(hall.server, hall.owner, made.world_id) == await shown(
        hall.server, hall.owner, hall.world_id
    )
    sql = "SELECT data::text AS data FROM events WHERE world_id = $1 AND type = 'achievements.unlocked' ORDER BY seq"
    told = [orjson.loads(row["data"])["key"] for row in await hall.server.fetch(sql, made.world_id)]
    assert sorted(told) == ["all", "hero", "many", "winner"]


async def shown(server: Server, owner: Person, world_id: UUID) -> Any:
    """Definitions and everybody's standings, without what differs between worlds."""
    hall = Hall(server)
    hall.owner, hall.world_id = owner, world_id
    found: dict[str, Any] = {"": (await hall.ok("GET", "/achievements"))["items"]}
    for character in (await hall.ok("GET", "/characters"))["items"]:
        items = (await hall.ok("GET", f"/characters/{character['id']}/achievements"))["items"]
        for item in items:
            item["unlocked"] = [(u["tier"], u["repetition"]) for u in item["unlocked"]]
        found[character["id"]] = items
    return found
