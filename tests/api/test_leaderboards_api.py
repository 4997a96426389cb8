"""Leaderboards over HTTP: definitions, submissions, ranks, who may, and copies of worlds."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from fablewright.packs.reader import import_pack, read_pack
from fablewright.packs.writer import export_world
from tests.api.helpers import characters, is_problem
from tests.support import Person, Server

FORD = {"name": "Ford", "metric": {"kind": "submitted"}, "order": "ascending"}


class Boards:
    """The leaderboards of a world, as somebody comes to them."""

    def __init__(self, server: Server, world: str, owner: Person):
        self.server, self.world, self.owner = server, world, owner

    async def ask(
        self, method: str, path: str, body: Any = None, who: Person | None = None, query: Any = None,
        headers: dict[str, str] | None = None,
    ) -> Any:  # fmt: skip
        return await self.server.client.request(
            method, f"{self.world}/leaderboards{path}", json=body, params=query,
            headers={**(who or self.owner).headers, **(headers or {})},
        )  # fmt: skip

    async def get(self, path: str, **query: Any) -> Any:
        answer = await self.ask("GET", path, query=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def do(self, method: str, path: str, body: Any = None) -> Any:
        answer = await self.ask(method, path, body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def submit(self, who: str, score: float, key: str = "ford") -> Any:
        return await self.do("POST", f"/{key}/scores", {"subject_id": who, "score": score})


@pytest.fixture
async def boards(server: Server, owner: Person, world: str) -> Boards:
    """A world with a board."""
    made = Boards(server, world, owner)
    await made.do("PUT", "/ford", FORD)
    return made


async def test_boards_are_defined_listed_and_removed(boards: Boards) -> None:
    made = await boards.do(
        "PUT", "/alms", {"name": "Alms", "metric": {"kind": "points_earned"}, "window": "week"}
    )
    assert made["result"]["key"] == "alms"
    first = await boards.get("", limit=1)
    assert [b["key"] for b in first["items"]] == ["alms"]
    (second,) = (await boards.get("", cursor=first["next_cursor"]))["items"]
    assert (second["key"], second["order"], second["current"]["total"]) == ("ford", "ascending", 0)
    await boards.do("DELETE", "/alms")
    is_problem(await boards.ask("GET", "/alms"), 404, "board_not_found")
    is_problem(await boards.ask("DELETE", "/alms"), 404, "board_not_found")


async def test_scores_come_in_and_ranks_come_out(boards: Boards) -> None:
    people = await characters(boards.server, boards.owner, boards.world, 5)
    for who, score in zip(people, (50, 40.5, 60, 40.5, 70), strict=True):
        done = await boards.submit(who, score)
    assert done["result"] == {
        "key": "ford",
        "subject_id": people[4],
        "score": 70,
        "improved": True,
        "number": 0,
    }
    top = await boards.get("/ford", limit=3)
    assert [(e["rank"], e["subject_id"], e["score"]) for e in top["entries"]] == [
        (1, people[1], 40.5), (2, people[3], 40.5), (3, people[0], 50)
    ]  # fmt: skip
    assert (top["total"], top["seq"], top["name"]) == (5, done["seq"], "Ford")
    mine = await boards.get(f"/ford/rank/{people[2]}")
    assert (mine["rank"], mine["total"], mine["seq"]) == (4, 5, done["seq"])
    near = await boards.get(f"/ford/around/{people[2]}", span=1)
    assert [e["rank"] for e in near["entries"]] == [3, 4, 5]
    is_problem(await boards.ask("GET", f"/ford/rank/{uuid4()}"), 404, "no_entry")
    is_problem(await boards.ask("GET", f"/ford/around/{uuid4()}"), 404, "no_entry")


async def test_an_unchanged_board_is_the_same_answer_and_a_changed_one_is_not(boards: Boards) -> None:
    people = await characters(boards.server, boards.owner, boards.world, 20)
    for who in people:
        await boards.submit(who, 10)
    first = await boards.ask("GET", "/ford", headers={"Accept-Encoding": "gzip"})
    plain = await boards.ask("GET", "/ford", headers={"Accept-Encoding": "identity"})
    assert first.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert first.json() == plain.json()
    again = await boards.ask(
        "GET", "/ford", headers={"Accept-Encoding": "gzip", "If-None-Match": first.headers["etag"]}
    )
    assert again.status_code == 304
    # Something else happens in the world: the entries stay, the position of the log moves on.
    (other,) = await characters(boards.server, boards.owner, boards.world, 1)
    later = await boards.get("/ford")
    assert later["entries"] == first.json()["entries"]
    assert later["seq"] == first.json()["seq"] + 1
    await boards.submit(other, 9)
    assert (await boards.get("/ford"))["entries"][0]["subject_id"] == other
    await boards.do("PUT", "/ford", {**FORD, "name": "The Ford"})
    assert (await boards.get("/ford"))["name"] == "The Ford"


async def test_many_ask_at_once_and_each_is_told_what_it_may_know(boards: Boards) -> None:
    """They share look-ups, not rights: members get the board, strangers no hint of the world."""
    (who,) = await characters(boards.server, boards.owner, boards.world, 1)
    await boards.submit(who, 9)
    stranger = await boards.server.person()
    people = [boards.owner, stranger] * 10
    answers = await asyncio.gather(*(boards.ask("GET", "/ford", who=p) for p in people))
    for person, answer in zip(people, answers, strict=True):
        if person is stranger:
            is_problem(answer, 404, "world_not_found")
        else:
            assert [e["score"] for e in answer.json()["entries"]] == [9]


async def test_who_asks_after_a_score_was_acknowledged_sees_it(boards: Boards) -> None:
    (who,) = await characters(boards.server, boards.owner, boards.world, 1)

    async def play(score: int) -> None:
        seq = (await boards.submit(who, 100 - score))["seq"]
        seen = await boards.get("/ford")
        assert seen["seq"] >= seq
        assert seen["entries"][0]["score"] <= 100 - score

    await asyncio.gather(*(play(score) for score in range(25)))


async def test_a_submission_runs_once_per_key(boards: Boards) -> None:
    await boards.do("PUT", "/sum", {"name": "Sum", "metric": {"kind": "submitted", "mode": "add"}})
    (who,) = await characters(boards.server, boards.owner, boards.world, 1)
    body = {"subject_id": who, "score": 5}
    for replayed in (None, "true"):
        answer = await boards.ask("POST", "/sum/scores", body, headers={"Idempotency-Key": "one"})
        assert answer.status_code == 200
        assert answer.headers.get("idempotency-replayed") == replayed
        assert answer.json()["result"]["score"] == 5


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"score": 1}, 422, "validation_failed"), ({"subject_id": "x", "score": 1}, 422, "validation_failed"),
        ({"subject_id": str(UUID(int=1)), "score": "NaN"}, 422, "validation_failed"),
        ({"subject_id": str(UUID(int=1)), "score": 1e300}, 422, "validation_failed"),
        ({"subject_id": str(UUID(int=1)), "score": 1, "more": 2}, 422, "validation_failed"),
        ({"subject_id": str(UUID(int=1)), "score": 1}, 404, "character_not_found"),
    ],
)  # fmt: skip
async def test_a_bad_submission_is_told_what_is_wrong(
    boards: Boards, body: Any, status: int, code: str
) -> None:
    problem = is_problem(await boards.ask("POST", "/ford/scores", body), status, code)
    if code == "validation_failed":
        assert problem["errors"][0]["field"].startswith("body.")


async def test_bad_questions_are_told_what_is_wrong(boards: Boards) -> None:
    for query in ({"limit": 0}, {"limit": "x"}, {"number": "x"}, {"number": 2**60}):
        problem = is_problem(await boards.ask("GET", "/ford", query=query), 422, "validation_failed")
        assert problem["errors"][0]["field"].startswith("query.")
    is_problem(await boards.ask("GET", "/ford", query={"limit": 100_000}), 422, "page_too_large")
    is_problem(await boards.ask("GET", "/ford", query={"number": 3}), 404, "window_not_found")
    for key in ("none", "%00", "Not-a-key"):
        is_problem(await boards.ask("GET", f"/{key}"), 404, "board_not_found")
        is_problem(await boards.ask("GET", f"/{key}/windows"), 404, "board_not_found")
    is_problem(await boards.ask("PUT", "/Not-a-key", FORD), 422, "validation_failed")
    answer = await boards.server.client.post(
        f"{boards.world}/leaderboards/ford/scores", content=b"{", headers=boards.owner.headers
    )
    is_problem(answer, 422, "malformed_json")


async def test_players_look_and_game_masters_change(boards: Boards) -> None:
    world_id = UUID(boards.world.rsplit("/", 1)[1])
    player = await boards.server.member(world_id, boards.owner, "player")
    (who,) = await characters(boards.server, boards.owner, boards.world, 1)
    await boards.submit(who, 3)
    for path in (
        "",
        "/ford",
        f"/ford/rank/{who}",
        f"/ford/around/{who}",
        f"/ford/ties/{who}",
        "/ford/windows",
    ):
        assert (await boards.ask("GET", path, who=player)).status_code == 200
    score, removal = {"subject_id": who, "score": 1}, {"subject_id": who, "reason": "So."}
    for method, path, body in (
        ("PUT", "/ford", FORD), ("DELETE", "/ford", None), ("POST", "/ford/scores", score),
        ("POST", "/ford/removals", removal), ("POST", "/removals", removal), ("GET", "/ford/removals", None),
        ("DELETE", f"/ford/bans/{who}", None), ("DELETE", f"/bans/{who}", None),
    ):  # fmt: skip
        is_problem(await boards.ask(method, path, body, who=player), 403, "role_too_low")


async def test_a_removal_is_told_to_who_controls_the_character(boards: Boards) -> None:
    one, two = await characters(boards.server, boards.owner, boards.world, 2)
    for who in (one, two):
        await boards.submit(who, 3)
    done = await boards.do("POST", "/removals", {"subject_id": one, "reason": "Flew.", "ban": True})
    assert done["result"]["entries"] == [
        {"key": "ford", "number": 0, "rank": 1, "score": 3, "at": done["result"]["entries"][0]["at"]}
    ]
    player = await boards.server.member(UUID(boards.world.rsplit("/", 1)[1]), boards.owner, "player")
    query = {"types": "leaderboards.entries_removed"}
    url = f"{boards.world}/events"
    seen = await boards.server.client.get(url, params=query, headers=player.headers)
    assert seen.json()["events"] == []
    seen = await boards.server.client.get(url, params=query, headers=boards.owner.headers)
    assert [e["data"]["reason"] for e in seen.json()["events"]] == ["Flew."]
    assert (await boards.do("DELETE", f"/bans/{one}"))["result"] == {"keys": ["ford"]}


async def test_a_copied_world_has_the_same_boards(boards: Boards, tmp_path: Path) -> None:
    people = await characters(boards.server, boards.owner, boards.world, 4)
    season = {
        "length_ms": 86_400_000,
        "rewards": [{"from_rank": 1, "to_rank": 2, "amount": 5, "title": "Hare"}],
    }
    await boards.do("PUT", "/season", {**FORD, "name": "Season", "window": "season", "season": season})
    for who, score in zip(people, (5, 3, 5, 4), strict=True):
        await boards.submit(who, score)
        await boards.submit(who, score, "season")
    await boards.do("POST", "/ford/removals", {"subject_id": people[3], "reason": "Flew.", "ban": True})
    everywhere = {"subject_id": people[2], "reason": "Swam.", "ban": True}
    await boards.do("POST", "/removals", everywhere)
    await boards.do("DELETE", f"/season/bans/{people[2]}")
    runtime, actor = boards.server.runtime, boards.owner.actor
    await export_world(runtime, UUID(boards.world.rsplit("/", 1)[1]), tmp_path / "one")
    made = await import_pack(runtime, actor, read_pack(tmp_path / "one", runtime.systems))
    copy = Boards(boards.server, boards.world.rsplit("/", 1)[0] + f"/{made.world_id}", boards.owner)
    for key in ("ford", "season"):
        ours, theirs = await boards.get(f"/{key}"), await copy.get(f"/{key}")
        assert [(e["name"], e["score"]) for e in ours["entries"]] == [
            (e["name"], e["score"]) for e in theirs["entries"]
        ]
        assert {**ours, "entries": 0, "seq": 0} == {**theirs, "entries": 0, "seq": 0}
    await export_world(runtime, made.world_id, tmp_path / "two")
    for key, banned in (("ford", people[2:]), ("season", []), ("later", people[2:3])):
        if key == "later":
            await copy.do("PUT", "/later", FORD)
        removals = (await copy.get(f"/{key}/removals"))["items"]
        assert {r["reason"] for r in removals if r["banned"]} == {
            "Swam." if who == people[2] else "Flew." for who in banned
        }
    first, second = ((tmp_path / name / "leaderboards.yaml").read_bytes() for name in ("one", "two"))
    assert first == second
    found = await boards.server.findings()
    assert [f for f in found if str(made.world_id) in f and "leaderboards" in f] == []
