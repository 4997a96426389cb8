"""HTTP routes of quests: definitions, acts of players and game masters, and who may see what of secret ones."""

from typing import Any
from uuid import UUID

import pytest

from fablewright.packs.reader import import_pack, read_pack
from fablewright.packs.writer import export_world
from fablewright.systems.characters.commands import CreateCharacter
from fablewright.systems.custom_events.commands import RecordEvent, RegisterEventType
from fablewright.systems.factions.commands import FoundFaction, MemberValue
from tests.support import Person, Server

WON: dict[str, Any] = {"kind": "count", "on": ["game.won"]}
WINNER: dict[str, Any] = {
    "name": "Winner",
    "objectives": [{"key": "win", "name": "Win twice", "measure": WON, "goal": 2}],
    "outcomes": {"done": {"points": 5, "title": "the Winner"}},
}
FORK: dict[str, Any] = {
    "name": "Fork",
    "objectives": [
        {"key": "tell", "name": "Tell", "choice": True, "closes": ["hush"]},
        {"key": "hush", "name": "Hush", "choice": True, "closes": ["tell"], "outcome": "hushed"},
    ],
    "outcomes": {"hushed": {"points": 3}},
}


class Board:
    """A world with an owner, two players with a character each, and an observer."""

    def __init__(self, server: Server):
        self.server = server

    async def open(self) -> "Board":
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

    async def win(self, times: int = 1, who: UUID | None = None) -> None:
        for _ in range(times):
            await self.do(RecordEvent(type="game.won", subject_id=who or self.ada, data={}))

    async def call(self, method: str, path: str, who: Person, body: Any = None) -> Any:
        url = f"/api/v1/worlds/{self.world_id}{path}"
        return await self.server.client.request(method, url, headers=who.headers, json=body)

    async def ok(
        self, method: str, path: str, who: Person | None = None, body: Any = None, *, status: int = 200
    ) -> Any:
        answer = await self.call(method, path, who or self.owner, body)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def refused(
        self, status: int, code: str, method: str, path: str, who: Person | None = None, body: Any = None
    ) -> Any:
        answer = await self.call(method, path, who or self.owner, body)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
        return answer.json()

    async def items(self, path: str, who: Person | None = None) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = (await self.ok("GET", path, who))["items"]
        return items

    async def keys(self, path: str, who: Person) -> list[str]:
        return [item["key"] for item in await self.items(path, who)]

    async def faction(self, name: str, *members: UUID) -> str:
        """Found a faction; the first of its members leads it."""
        leader, *others = members or (None,)
        followers = [MemberValue(character_id=member) for member in others]
        made = await self.do(FoundFaction(name=name, leader_id=leader, members=followers))
        return str(made.id)


@pytest.fixture
async def board(server: Server) -> Board:
    return await Board(server).open()


async def test_the_life_of_a_quest(board: Board) -> None:
    made = (await board.ok("PUT", "/quests/winner", body=WINNER))["result"]
    assert made["key"] == "winner"
    found = await board.ok("GET", "/quests/winner", board.observer)
    assert (found["name"], found["template"], found["objectives"][0]["goal"]) == ("Winner", None, 2)
    act = {"character_id": str(board.ada)}
    accepted = (await board.ok("POST", "/quests/winner/accept", board.player, act))["result"]
    assert accepted["open"] == ["win"]
    await board.win()
    [taking] = await board.items(f"/characters/{board.ada}/quests", board.observer)
    [objective] = taking["objectives"]
    assert (taking["key"], taking["state"]) == ("winner", "accepted")
    assert (objective["current"], objective["goal"], objective["percent"]) == (1, 2, 50)
    await board.win()
    [taking] = await board.items(f"/characters/{board.ada}/quests?state=finished")
    assert (taking["id"], taking["outcome"]) == (accepted["taking_id"], "done")
    assert await board.items(f"/characters/{board.ada}/quests?state=accepted") == []
    assert await board.items("/quests/winner/takers", board.observer) == [taking]
    [told] = (await board.ok("GET", "/events?types=quests.finished", board.observer))["events"]
    assert (told["data"]["points"], told["data"]["title"]) == (5, "the Winner")
    await board.ok("DELETE", "/quests/winner")
    await board.refused(404, "quest_not_found", "GET", "/quests/winner")
    [kept] = await board.items(f"/characters/{board.ada}/quests")
    assert kept["state"] == "finished"


async def test_players_act_as_their_characters_only(board: Board) -> None:
    await board.ok("PUT", "/quests/fork", body=FORK)
    act = {"character_id": str(board.ada)}
    for verb in ("accept", "abandon", "decline"):
        await board.refused(403, "not_your_character", "POST", f"/quests/fork/{verb}", board.rival, act)
    choice = {**act, "objective": "hush"}
    await board.refused(403, "not_your_character", "POST", "/quests/fork/choose", board.rival, choice)
    await board.refused(409, "quest_not_taken", "POST", "/quests/fork/choose", board.player, choice)
    await board.ok("POST", "/quests/fork/offer", body={"taker_ids": [str(board.ada)]})
    await board.ok("POST", "/quests/fork/decline", board.player, act)
    await board.ok("POST", "/quests/fork/accept", board.player, act)
    await board.ok("POST", "/quests/fork/abandon", board.player, act)
    await board.ok("POST", "/quests/fork/accept", board.player, act)
    step = (await board.ok("POST", "/quests/fork/choose", board.player, choice))["result"]
    assert step == {"open": [], "outcome": "hushed"}
    states = {t["state"] for t in await board.items(f"/characters/{board.ada}/quests")}
    assert states == {"declined", "abandoned", "finished"}
    for method, path, body in (
        ("PUT", "/quests/x", FORK), ("DELETE", "/quests/fork", None),
        ("POST", "/quests/fork/offer", {"taker_ids": [str(board.ben)]}),
        ("POST", "/quests/fork/end", {"taker_id": str(board.ada)}),
        ("POST", "/quests/fork/reach", {"taker_id": str(board.ada), "objective": "tell"}),
        ("POST", "/quests", {"template": "parley"}), ("GET", "/quest-templates", None),
    ):  # fmt: skip
        await board.refused(403, "role_too_low", method, path, board.player, body)


async def test_game_masters_reach_and_end(board: Board) -> None:
    await board.ok("PUT", "/quests/fork", body=FORK)
    for who in (board.ada, board.ben):
        await board.ok("POST", "/quests/fork/accept", body={"character_id": str(who)})
    reach = {"taker_id": str(board.ada), "objective": "tell"}
    step = (await board.ok("POST", "/quests/fork/reach", body=reach))["result"]
    assert step["outcome"] == "done"
    await board.ok("POST", "/quests/fork/end", body={"taker_id": str(board.ben), "outcome": "failed"})
    takers = await board.items("/quests/fork/takers")
    assert {t["taker_id"]: t["state"] for t in takers} == {
        str(board.ada): "finished",
        str(board.ben): "failed",
    }


async def test_pages(board: Board) -> None:
    for n in range(3):
        await board.ok("PUT", f"/quests/q{n}", body=FORK)
        await board.ok("POST", f"/quests/q{n}/accept", body={"character_id": str(board.ada)})
    for path in ("/quests", f"/characters/{board.ada}/quests"):
        one = await board.ok("GET", f"{path}?limit=2")
        two = await board.ok("GET", f"{path}?limit=2&cursor={one['next_cursor']}")
        assert sorted(i["key"] for i in one["items"] + two["items"]) == ["q0", "q1", "q2"]
        assert two["next_cursor"] is None
        await board.refused(422, "cursor_invalid", "GET", f"{path}?cursor=WzEsMl0")
    await board.refused(404, "taker_not_found", "GET", f"/characters/{UUID(int=5)}/quests")


async def test_secret_quests_are_seen_by_those_concerned(board: Board) -> None:
    await board.ok("PUT", "/quests/secret", body={**FORK, "secret": True, "only_for": [str(board.ada)]})
    await board.ok("PUT", "/quests/open", body=FORK)
    for who, keys in (
        (board.player, ["open", "secret"]),
        (board.rival, ["open"]),
        (board.observer, ["open"]),
    ):
        assert await board.keys("/quests", who) == keys
    await board.ok("POST", "/quests/secret/accept", board.player, {"character_id": str(board.ada)})
    await board.refused(404, "quest_not_found", "GET", "/quests/secret", board.rival)
    await board.refused(404, "quest_not_found", "GET", "/quests/secret/takers", board.rival)
    assert (await board.ok("GET", "/quests/secret", board.player))["secret"] is True
    for who, many in ((board.owner, 1), (board.player, 1), (board.rival, 0), (board.observer, 0)):
        assert len(await board.items(f"/characters/{board.ada}/quests", who)) == many
        seen = (await board.ok("GET", "/events?types=quests.accepted", who))["events"]
        assert len(seen) == many


async def test_a_secret_quest_is_not_for_who_guesses_its_key(board: Board) -> None:
    """Whatever it asks for, it is as if it were not there; for whom it is there, it is."""
    for key, fields in (
        ("cellar", {"giver_id": str(board.ada)}), ("named", {"only_for": [str(board.ada)]}),
        ("offered", {"by_offer": True}),
    ):  # fmt: skip
        await board.ok("PUT", f"/quests/{key}", body={**FORK, "secret": True, **fields})
    for key in ("cellar", "named", "offered", "nothing"):
        for act, more in (("accept", {}), ("decline", {}), ("abandon", {}), ("choose", {"objective": "a"})):
            body = {"character_id": str(board.ben), **more}
            await board.refused(404, "quest_not_found", "POST", f"/quests/{key}/{act}", board.rival, body)
    await board.ok("POST", "/quests/offered/offer", body={"taker_ids": [str(board.ben)]})
    await board.ok("POST", "/quests/offered/accept", board.rival, {"character_id": str(board.ben)})
    for key in ("cellar", "named"):
        await board.ok("POST", f"/quests/{key}/accept", board.player, {"character_id": str(board.ada)})


async def test_a_faction_goes_on_a_quest_together(board: Board) -> None:
    guild = await board.faction("Guild", board.ada, board.ben)
    await board.faction("Crown")
    body = {
        **WINNER, "takers": "faction",
        "objectives": [{"key": "win", "name": "Win thrice", "measure": WON, "goal": 3}],
    }  # fmt: skip
    await board.ok("PUT", "/quests/together", body=body)
    await board.ok("POST", "/quests/together/accept", board.player, {"character_id": str(board.ada)})
    await board.win(2)
    [taking] = await board.items(f"/characters/{board.ben}/quests", board.rival)
    assert (taking["taker_id"], taking["by_id"], taking["objectives"][0]["current"]) == (
        guild,
        str(board.ada),
        2,
    )
    await board.win(1, board.ben)
    [told] = (await board.ok("GET", "/events?types=quests.finished"))["events"]
    assert (told["data"]["taker_id"], told["data"]["points"]) == (guild, 5)
    rows = await board.server.fetch(
        "SELECT balance FROM ledger_accounts WHERE world_id = $1 AND owner_id = $2",
        board.world_id,
        UUID(guild),
    )
    assert [row["balance"] for row in rows] == [5]


async def test_outsiders_cannot_act_for_a_faction(board: Board) -> None:
    guild = await board.faction("Guild", board.ada)
    await board.ok("PUT", "/quests/together", body={**WINNER, "takers": "faction"})
    await board.ok("PUT", "/quests/guild", body={**FORK, "only_for": [guild]})
    act = {"character_id": str(board.ben), "faction_id": guild}
    await board.refused(409, "not_a_member", "POST", "/quests/together/accept", board.rival, act)
    await board.refused(
        403,
        "quest_not_for_them",
        "POST",
        "/quests/guild/accept",
        board.rival,
        {"character_id": str(board.ben)},
    )
    await board.ok("POST", "/quests/guild/accept", board.player, {"character_id": str(board.ada)})


async def test_how_a_quest_ends_changes_minds(board: Board) -> None:
    guild = await board.faction("Guild", board.ada)
    crown = await board.faction("Crown")
    outcomes = {
        "hushed": {
            "opinions": [{"holder": "giver", "about": "taker", "amount": 12}],
            "trust": [{"holder": crown, "about": guild, "amount": 0.1}],
            "tension": [{"a": "giver", "b": "taker", "amount": 7}],
        }
    }
    await board.ok("PUT", "/quests/fork", body={**FORK, "giver_id": crown, "outcomes": outcomes})
    await board.ok("POST", "/quests/fork/accept", body={"character_id": str(board.ada)})
    choice = {"character_id": str(board.ada), "objective": "hush"}
    await board.ok("POST", "/quests/fork/choose", board.player, choice)
    [finished] = (await board.ok("GET", "/events?types=quests.finished"))["events"]
    [opinion] = finished["data"]["opinions"]
    assert (opinion["holder"], opinion["about"], opinion["amount"]) == (crown, guild, 12)
    [changed] = (await board.ok("GET", "/events?types=diplomacy.relationship_changed"))["events"]
    data = changed["data"]
    assert (data["holder_id"], data["opinion"], data["changes"][0]["reason"]) == (
        crown, 12, "quest: Fork (hushed)",
    )  # fmt: skip
    assert data["trust"] > data["trust_before"]
    assert data["changes"][0]["event_id"] == finished["id"]
    [tension] = (await board.ok("GET", "/events?types=diplomacy.tension_changed"))["events"]
    assert tension["data"]["tension"] == 7


async def test_a_quest_from_a_template(board: Board) -> None:
    guild, crown = await board.faction("Guild", board.ada), await board.faction("Crown")
    templates = {t["key"]: t for t in await board.ok("GET", "/quest-templates")}
    assert templates["parley"]["needs"] == ["from_id", "with_id"]
    assert templates["settle_the_border"]["on"] == ["diplomacy.incident_occurred"]
    body = {"template": "parley", "facts": {"from_id": guild, "with_id": crown}}
    made = (await board.ok("POST", "/quests", body=body, status=201))["result"]
    found = await board.ok("GET", f"/quests/{made['key']}")
    assert (found["name"], found["template"]) == ("A parley between Guild and Crown", "parley")
    problem = await board.refused(
        422, "quest_facts_missing", "POST", "/quests", body={"template": "parley", "facts": {}}
    )
    assert problem["missing"] == ["from_id", "with_id"]


async def test_quests_go_through_packs(board: Board, tmp_path: Any) -> None:
    crown = await board.faction("Crown")
    body = {
        **FORK, "giver_id": crown, "only_for": [str(board.ada), crown], "requires": [{"quest": "winner"}],
        "outcomes": {
            "hushed": {
                "opinions": [{"holder": crown, "about": "taker", "amount": 5}],
                "talks": [{"holder": "taker", "about": crown, "amount": 3}],
            }
        },
    }  # fmt: skip
    await board.ok("PUT", "/quests/winner", body={**WINNER, "days": 3})
    await board.ok("PUT", "/quests/a_fork", body=body)
    await board.ok("PUT", "/quests/gone", body=FORK)
    await board.ok("DELETE", "/quests/gone")
    runtime = board.server.runtime
    await export_world(runtime, board.world_id, tmp_path / "out")
    text = (tmp_path / "out" / "quests.yaml").read_text()
    assert crown not in text
    pack = read_pack(tmp_path / "out", runtime.systems)
    made = await import_pack(runtime, board.owner.actor, pack, seed=3)
    copy = Board(board.server)
    copy.owner, copy.world_id = board.owner, made.world_id
    fork, winner = await copy.items("/quests")
    assert winner == {**await board.ok("GET", "/quests/winner"), "at": winner["at"]}
    [faction] = (await copy.ok("GET", "/factions"))["items"]
    assert (fork["giver_id"], fork["only_for"][1]) == (faction["id"], faction["id"])
    assert fork["outcomes"]["hushed"]["opinions"][0]["holder"] == faction["id"]
    assert fork["outcomes"]["hushed"]["talks"] == [{"holder": "taker", "about": faction["id"], "amount": 3}]
    assert fork["objectives"] == (await board.ok("GET", "/quests/a_fork"))["objectives"]
