"""HTTP routes of worlds, the generic door for commands, the log and the dashboard."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from starlette.datastructures import URL

from fablewright.systems.characters.commands import CreateCharacter
from fablewright.systems.worlds.commands import UpdateWorld
from fablewright.systems.worlds.views import AdvanceView, MemberView, WorldView
from tests.api.helpers import characters, is_problem
from tests.support import Person, Server, until

RENAME = "worlds.update_world"


def uuid_of(world: str) -> UUID:
    return UUID(URL(world).path.rsplit("/", 1)[-1])


async def ask(server: Server, who: Person | None, method: str, path: str, body: Any = None) -> httpx.Response:
    return await server.client.request(method, path, json=body, headers=who.headers if who else {})


async def head(server: Server, who: Person, world: str) -> int:
    answer = await ask(server, who, "GET", world)
    return int(answer.json()["seq"])


# -- worlds --------------------------------------------------------------------------------------------------


async def test_a_world_from_its_making_to_its_end(server: Server, owner: Person) -> None:
    body = {
        "name": "Vale",
        "seed": 12345,
        "paused": True,
        "settings": {"snow": [1, None, "ü"]},
        "description": "d",
    }
    made = await ask(server, owner, "POST", "/api/v1/worlds", body)
    assert (made.status_code, made.json()["seq"], made.json()["result"]["name"]) == (201, 1, "Vale")
    path = f"/api/v1/worlds/{made.json()['result']['id']}"
    seen = (await ask(server, owner, "GET", path)).json()
    WorldView.model_validate(seen)
    assert (seen["role"], seen["seq"], seen["now"], seen["paused"], seen["settings"], seen["owner_id"]) == (
        "owner", 1, 0, True, body["settings"], str(owner.id),
    )  # fmt: skip
    changed = await ask(server, owner, "PATCH", path, {"name": "Ash", "settings": {}})
    assert changed.json()["result"]["changed"] == ["name", "settings"]
    clock = await ask(server, owner, "PUT", path + "/clock", {"rate": 60.0, "paused": False})
    assert (clock.json()["result"]["rate"], clock.json()["result"]["paused"]) == (60.0, False)
    assert "12345" not in (await ask(server, owner, "GET", path)).text
    events = (await ask(server, owner, "GET", path + "/events")).text
    assert "12345" not in events
    gone = await ask(server, owner, "DELETE", path)
    assert (gone.status_code, gone.json()) == (200, {"result": None, "seq": None})
    for method, what in (
        ("GET", ""),
        ("PATCH", ""),
        ("GET", "/events"),
        ("GET", "/dashboard"),
        ("DELETE", ""),
    ):
        is_problem(
            await ask(server, owner, method, path + what, {} if method == "PATCH" else None),
            404,
            "world_not_found",
        )


async def test_members_come_and_go(server: Server, owner: Person, world: str) -> None:
    guest = await server.person()
    member = f"{world}/members/{guest.id}"
    is_problem(await ask(server, guest, "GET", world), 404, "world_not_found")
    is_problem(
        await ask(server, owner, "PUT", f"{world}/members/{uuid4()}", {"role": "player"}),
        404,
        "user_not_found",
    )
    is_problem(await ask(server, owner, "PUT", member, {"role": "king"}), 422, "validation_failed")
    is_problem(await ask(server, owner, "PUT", member, {"role": "player", "x": 1}), 422, "validation_failed")
    is_problem(await ask(server, owner, "DELETE", member), 404, "member_not_found")
    made = await ask(server, owner, "PUT", member, {"role": "player"})
    assert made.json()["result"] == {"user_id": str(guest.id), "role": "player"}
    assert (await ask(server, guest, "GET", world)).json()["role"] == "player"
    listed = (await ask(server, guest, "GET", world + "/members")).json()["items"]
    assert {(MemberView.model_validate(m).user_id, m["role"]) for m in listed} == {
        (owner.id, "owner"), (guest.id, "player"),
    }  # fmt: skip
    is_problem(await ask(server, guest, "PUT", member, {"role": "owner"}), 403, "role_too_low")
    is_problem(await ask(server, owner, "POST", world + "/leave"), 409, "last_owner")
    assert (await ask(server, guest, "POST", world + "/leave")).status_code == 200
    is_problem(await ask(server, guest, "GET", world), 404, "world_not_found")
    await ask(server, owner, "PUT", member, {"role": "observer"})
    assert (await ask(server, owner, "DELETE", member)).status_code == 200
    is_problem(await ask(server, guest, "GET", world), 404, "world_not_found")


async def test_an_advance_is_a_job(server: Server, owner: Person, world: str) -> None:
    for body in ({}, {"by_ms": 1, "to_ms": 2}, {"by_ms": 0}, {"by_ms": 1.5}, {"to_ms": 2**52}):
        is_problem(await ask(server, owner, "POST", world + "/advance", body), 422, "validation_failed")
    is_problem(await ask(server, owner, "POST", world + "/advance", {"to_ms": 0}), 422, "advance_backwards")
    is_problem(await ask(server, owner, "POST", world + "/advance", {"by_ms": 2**51}), 422, "advance_too_far")
    is_problem(await ask(server, owner, "DELETE", world + "/advance"), 409, "not_advancing")
    is_problem(await ask(server, owner, "GET", f"{world}/advances/{uuid4()}"), 404, "advance_not_found")
    started = await ask(server, owner, "POST", world + "/advance", {"by_ms": 3_600_000})
    assert started.status_code == 202
    job = f"{world}/advances/{started.json()['result']['id']}"

    async def done() -> Any:
        view = AdvanceView.model_validate((await ask(server, owner, "GET", job)).json())
        assert 0 <= view.progress <= 1
        return view.state == "done" and view

    view = await until(done)
    assert (view.progress, view.now_ms) == (1.0, 3_600_000)
    assert (await ask(server, owner, "GET", world)).json()["now"] == 3_600_000


# -- the generic door ----------------------------------------------------------------------------------------


async def test_one_command_answers_as_its_route_would(server: Server, owner: Person, world: str) -> None:
    answer = await ask(server, owner, "POST", world + "/commands", {"type": RENAME, "payload": {"name": "a"}})
    assert answer.status_code == 200
    assert answer.json() == {"result": {"id": str(uuid_of(world)), "changed": ["name"]}, "seq": 2}
    answer = await ask(server, owner, "POST", world + "/commands", {"type": RENAME})
    assert answer.json()["result"]["changed"] == []


async def test_a_list_commits_as_a_whole_or_not_at_all(server: Server, owner: Person, world: str) -> None:
    good = {"type": "characters.create_character", "payload": {"name": "A"}}
    answer = await ask(
        server, owner, "POST", world + "/commands", [good, good, {"type": RENAME, "payload": {"name": "b"}}]
    )
    assert [set(result) >= {"id", "name"} for result in answer.json()["results"][:2]] == [True, True]
    seq = await head(server, owner, world)
    assert answer.json()["seq"] == seq == 4
    missing = {"type": "characters.delete_character", "payload": {"character_id": str(uuid4())}}
    for commands, code, index in (
        ([good, missing, good], "character_not_found", 1), ([good, good, {"type": "no.such"}], "command_unknown", 2),
        ([{"type": RENAME, "payload": {"name": ""}}, good], "validation_failed", 0), ([good, 7], "malformed_json", 1),
    ):  # fmt: skip
        answer = await ask(server, owner, "POST", world + "/commands", commands)
        assert answer.json()["code"] == code
        assert answer.json()["index"] == index
    assert await head(server, owner, world) == seq
    assert len((await ask(server, owner, "GET", world + "/characters")).json()["items"]) == 2


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"type": "no.such"}, "command_unknown"), ({"type": "accounts.log_out"}, "command_unknown"),
        ({"type": "worlds.create_world", "payload": {"name": "x"}}, "command_unknown"),
        ({"type": RENAME, "payload": {}, "extra": 1}, "malformed_json"),
        ({"type": RENAME, "payload": {"extra": 1}}, "validation_failed"), ({"type": [RENAME]}, "malformed_json"),
        ({"type": RENAME, "payload": []}, "validation_failed"), ("text", "malformed_json"), (None, "malformed_json"),
    ],
)  # fmt: skip
async def test_wrong_commands(server: Server, owner: Person, world: str, body: Any, code: str) -> None:
    if body is None:
        headers = {**owner.headers, "Content-Type": "application/json"}
        answer = await server.client.post(world + "/commands", content=b"null", headers=headers)
    else:
        answer = await ask(server, owner, "POST", world + "/commands", body)
    is_problem(answer, 422, code)


async def test_lists_are_bounded_and_may_be_empty_for_members(
    server: Server, owner: Person, world: str
) -> None:
    most = server.runtime.settings.max_commands
    rename = {"type": RENAME, "payload": {}}
    assert (await ask(server, owner, "POST", world + "/commands", [rename] * most)).status_code == 200
    problem = is_problem(
        await ask(server, owner, "POST", world + "/commands", [rename] * (most + 1)), 422, "too_many_commands"
    )
    assert problem["max_commands"] == most
    is_problem(await ask(server, owner, "POST", world + "/commands", []), 422, "malformed_json")
    is_problem(await ask(server, None, "POST", world + "/commands", []), 401, "not_signed_in")


async def test_a_list_runs_once_per_key(server: Server, owner: Person, world: str) -> None:
    body = [{"type": "characters.create_character", "payload": {"name": n}} for n in "AB"]
    headers = {**owner.headers, "Idempotency-Key": "list"}
    first, again = [
        await server.client.post(world + "/commands", json=body, headers=headers) for _ in range(2)
    ]
    assert first.json() == again.json()
    assert again.headers["idempotency-replayed"] == "true"
    other = await server.client.post(world + "/commands", json=body[:1], headers=headers)
    is_problem(other, 409, "idempotency_key_reused")
    assert len((await ask(server, owner, "GET", world + "/characters")).json()["items"]) == 2


# -- the log -------------------------------------------------------------------------------------------------


async def events(server: Server, who: Person, world: str, **query: Any) -> Any:
    answer = await server.client.get(world + "/events", params=query, headers=who.headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_the_log_in_parts_is_the_log(server: Server, owner: Person, world: str) -> None:
    await characters(server, owner, world, 7)
    whole = await events(server, owner, world)
    assert [e["seq"] for e in whole["events"]] == list(range(1, 9))
    assert (whole["up_to"], whole["head"]) == (8, 8)
    for limit in (1, 3, 8, 9):
        found, after = [], 0
        while after < whole["head"]:
            part = await events(server, owner, world, after=after, limit=limit)
            assert len(part["events"]) <= limit and part["up_to"] > after
            found += part["events"]
            after = part["up_to"]
        assert found == whole["events"]
    assert await events(server, owner, world, after=8) == {"events": [], "up_to": 8, "head": 8}
    answer = await ask(server, owner, "GET", world + "/events?after=9")
    assert is_problem(answer, 422, "after_in_the_future")["head"] == 8
    for wrong in ("after=-1", "after=x", f"after={2**62}", "about=x", "limit=0"):
        is_problem(await ask(server, owner, "GET", f"{world}/events?{wrong}"), 422, "validation_failed")


async def test_the_log_by_type_and_subject(server: Server, owner: Person, world: str) -> None:
    a, b = await characters(server, owner, world, 2)
    await ask(server, owner, "PATCH", f"{world}/characters/{b}", {"status": "away"})
    await ask(server, owner, "PATCH", world, {"name": "x"})
    whole = (await events(server, owner, world))["events"]

    async def seqs(**query: Any) -> list[int]:
        part = await events(server, owner, world, **query)
        assert part["up_to"] == part["head"] == len(whole)  # complete, though nothing of the rest is sent
        return [e["seq"] for e in part["events"]]

    assert await seqs(types="characters.*") == [
        e["seq"] for e in whole if e["type"].startswith("characters.")
    ]
    assert await seqs(types=["worlds.world_updated", "characters.character_created"]) == [2, 3, 5]
    assert await seqs(types="*") == [e["seq"] for e in whole]
    assert await seqs(types="nothing.*") == []
    assert await seqs(about=b) == [3, 4]
    assert await seqs(about=[a, b]) == [2, 3, 4]
    assert await seqs(about=b, types="characters.character_created") == [3]
    assert await seqs(about=str(uuid4())) == []
    for wrong in ("characters*", "Characters.*", "*.*", "", "a.b.c", "%", "characters.crea*"):
        answer = await server.client.get(world + "/events", params={"types": wrong}, headers=owner.headers)
        is_problem(answer, 422, "pattern_invalid")
    many = await server.client.get(world + "/events", params={"types": ["*"] * 51}, headers=owner.headers)
    is_problem(many, 422, "validation_failed")


async def test_players_see_no_commands_and_only_what_is_theirs(
    server: Server, owner: Person, world: str
) -> None:
    player = await server.member(uuid_of(world), owner, "player")
    await ask(server, owner, "PATCH", world, {"name": "x"})
    mine, theirs = [(await events(server, who, world)) for who in (owner, player)]
    assert any("command" in e for e in mine["events"])
    assert not any("command" in e for e in theirs["events"])
    assert theirs["up_to"] == mine["up_to"] == mine["head"]
    assert [e["seq"] for e in theirs["events"]] == [e["seq"] for e in mine["events"]]  # all are for members


async def test_a_rare_filter_says_how_far_it_looked(
    server: Server, owner: Person, world: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One request looks through some windows of the log; the next goes on where it stopped, and misses nothing."""
    await characters(server, owner, world, 30)
    await ask(server, owner, "PATCH", world, {"name": "x"})
    monkeypatch.setattr("fablewright.core.log.WINDOW", 2)
    found, after, requests = [], 0, 0
    while after < 32:
        part = await events(server, owner, world, after=after, types="worlds.world_updated")
        found += part["events"]
        assert after < part["up_to"] <= after + 20
        after = part["up_to"]
        requests += 1
    assert [e["seq"] for e in found] == [32]
    assert requests == 2


# -- the dashboard -------------------------------------------------------------------------------------------


async def test_the_dashboard_shows_numbers_and_what_is_new(server: Server, owner: Person, world: str) -> None:
    a, b, c = await characters(server, owner, world, 3)
    body = {"initiator_id": a, "target_id": b, "type": "chat", "content": "Hello"}
    for _ in range(2):
        assert (await ask(server, owner, "POST", world + "/interactions", body)).status_code == 201
    await ask(server, owner, "DELETE", f"{world}/characters/{c}")
    observer = await server.member(uuid_of(world), owner, "observer")
    shown = (await ask(server, owner, "GET", world + "/dashboard")).json()
    assert {k: shown[k] for k in ("characters", "relationships", "interactions", "members", "open_dead_letters")} == {
        "characters": 2, "relationships": 2, "interactions": 2, "members": 2, "open_dead_letters": 0,
    }  # fmt: skip
    WorldView.model_validate(shown["world"])
    assert shown["recent"][-1]["seq"] == shown["world"]["seq"]
    assert shown["recent"] == (await events(server, owner, world))["events"][-20:]
    theirs = (await ask(server, observer, "GET", world + "/dashboard")).json()
    assert theirs["world"]["role"] == "observer"
    assert not any("command" in event for event in theirs["recent"])


async def test_the_dashboard_is_of_one_moment(server: Server, owner: Person, world: str) -> None:
    """While characters are made one by one, the numbers, the head and the newest events always agree."""
    stop = asyncio.Event()

    async def make() -> None:
        while not stop.is_set():
            await server.do(CreateCharacter(name="A"), owner.actor, uuid_of(world))

    making = asyncio.create_task(make())
    try:
        seen = set()
        for _ in range(40):
            shown = (await ask(server, owner, "GET", world + "/dashboard")).json()
            seq = shown["world"]["seq"]
            assert shown["characters"] == seq - 1
            assert shown["recent"][-1]["seq"] == seq
            seen.add(seq)
    finally:
        stop.set()
        await making
    assert len(seen) > 3


async def test_the_dashboard_of_a_quiet_world(server: Server, owner: Person, world: str) -> None:
    await server.do(UpdateWorld(name="x" * 200), owner.actor, uuid_of(world))
    shown = (await ask(server, owner, "GET", world + "/dashboard")).json()
    assert (shown["characters"], shown["interactions"], len(shown["recent"])) == (0, 0, 2)
