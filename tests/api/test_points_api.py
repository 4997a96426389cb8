"""Points over HTTP: the plain routes, what is read, and who sees what."""

from typing import Any

import pytest

from tests.api.helpers import is_problem
from tests.support import Person, Server


class Caller:
    """One person's calls to the routes of one world."""

    def __init__(self, server: Server, person: Person, world: str):
        self.server, self.person, self.world = server, person, world

    async def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        return await self.server.client.request(
            method, self.world + path, json=body, headers={**self.person.headers, **headers}
        )


@pytest.fixture
async def master(server: Server, owner: Person, world: str) -> Caller:
    return Caller(server, owner, world)


@pytest.fixture
async def ada(master: Caller) -> str:
    made = await master("POST", "/characters", {"name": "Ada"})
    return f"/characters/{made.json()['result']['id']}"


async def test_an_award_and_what_is_read_of_it(master: Caller, ada: str) -> None:
    answer = await master("POST", f"{ada}/points/award", {"amount": 150, "reason": "The ring"})
    assert answer.status_code == 200
    result = answer.json()["result"]
    assert (result["amount"], result["balance"], result["earned"], result["level"]) == (150, 150, 150, 2)
    assert answer.json()["seq"] > 0 and result["replayed"] is False
    seen = (await master("GET", f"{ada}/points")).json()
    assert (seen["earned"], seen["level"], seen["level_at"], seen["next_level_at"]) == (150, 2, 100, 283)
    assert (seen["streak"], seen["title"], seen["titles"]) == (1, None, [])
    assert seen["balances"] == [{"currency": "points", "balance": 150, "held": 0, "available": 150}]


async def test_a_key_awards_once(master: Caller, ada: str) -> None:
    body = {"amount": 5, "reason": "x"}
    first = await master("POST", f"{ada}/points/award", body, **{"Idempotency-Key": "k"})
    again = await master("POST", f"{ada}/points/award", body, **{"Idempotency-Key": "k"})
    assert again.content == first.content and again.headers["Idempotency-Replayed"] == "true"
    other = await master("POST", f"{ada}/points/award", {**body, "amount": 6}, **{"Idempotency-Key": "k"})
    is_problem(other, 409, "idempotency_key_reused")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, ""),
        ({"amount": 0, "reason": "x"}, "amount"),
        ({"amount": 1, "reason": "x", "by": 1}, "by"),
        ([], ""),
    ],
)
async def test_bodies_that_do_not_fit(master: Caller, ada: str, body: Any, field: str) -> None:
    answer = await master("POST", f"{ada}/points/award", body)
    is_problem(answer, 422, "validation_failed")
    assert answer.json()["errors"][0]["field"] == field


async def test_plain_routes_refuse_by_name(master: Caller, ada: str) -> None:
    good = {"amount": 1, "reason": "x"}
    nobody = "/characters/01890a5d-ac96-774b-bcce-b302099a8057/points/award"
    is_problem(await master("POST", nobody, good), 404, "character_not_found")
    is_problem(await master("POST", "/characters/nobody/points/award", good), 404, "character_not_found")
    is_problem(await master("POST", f"{ada}/points/award", {"action": "gone"}), 404, "award_rule_not_found")
    is_problem(await master("POST", "/points/awards", []), 422, "validation_failed")
    many = [{"character_id": ada.rsplit("/", 1)[1], **good}] * 501
    is_problem(await master("POST", "/points/awards", many), 422, "validation_failed")
    for path in (f"{ada}/points/award", "/points/awards"):
        answer = await master.server.client.post(
            master.world + path, content=b"{not json", headers=master.person.headers
        )
        is_problem(answer, 422, "malformed_json")
        is_problem(await master.server.client.post(master.world + path, json=good), 401, "not_signed_in")
        answer = await master("GET", path)
        is_problem(answer, 405, "method_not_allowed")
        assert answer.headers["allow"] == "POST"


async def test_a_list_over_http(master: Caller, ada: str) -> None:
    item = {"character_id": ada.rsplit("/", 1)[1], "amount": 2, "reason": "x"}
    answer = await master("POST", "/points/awards", [item] * 3)
    assert [a["balance"] for a in answer.json()["result"]["awards"]] == [2, 4, 6]
    lost = {**item, "character_id": "01890a5d-ac96-774b-bcce-b302099a8057"}
    refused = await master("POST", "/points/awards", [item, lost])
    is_problem(refused, 404, "character_not_found")
    assert refused.json()["index"] == 1
    assert (await master("GET", f"{ada}/points")).json()["earned"] == 6


async def test_rules_bonuses_and_settings(master: Caller, ada: str) -> None:
    for key in ("b_rule", "a_rule"):
        made = await master("PUT", f"/award-rules/{key}", {"amount": 10, "limits": {"most_per_day": 1}})
        assert made.status_code == 200 and made.json()["result"]["key"] == key
    first = (await master("GET", "/award-rules?limit=1")).json()
    rest = (await master("GET", f"/award-rules?cursor={first['next_cursor']}")).json()
    assert [r["key"] for r in first["items"] + rest["items"]] == ["a_rule", "b_rule"]
    assert (await master("GET", "/award-rules/a_rule")).json()["rule"]["amount"] == 10
    started = await master("POST", "/points/bonuses", {"name": "Fair", "multiplier": 3, "until_ms": 10**9})
    assert started.status_code == 201
    awarded = (await master("POST", f"{ada}/points/award", {"action": "a_rule"})).json()["result"]
    assert (awarded["amount"], awarded["parts"]) == (30, [{"what": "bonus: Fair", "factor": 3.0}])
    limited = await master("POST", f"{ada}/points/award", {"action": "a_rule"})
    is_problem(limited, 429, "award_limited")
    assert limited.json()["guard"] == "most_per_day" and limited.json()["retry_at"] > 0
    bonus_id = started.json()["result"]["id"]
    assert (await master("DELETE", f"/points/bonuses/{bonus_id}")).status_code == 200
    assert (await master("DELETE", "/award-rules/a_rule")).status_code == 200
    is_problem(await master("GET", "/award-rules/a_rule"), 404, "award_rule_not_found")
    levels = {"kind": "linear", "base": 7, "max_level": 9}
    body = {
        "levels": levels,
        "titles": [{"level": 2, "title": "Warden"}],
        "guards": {"burst": {"most": 9, "ms": 9}},
    }
    assert (await master("PUT", "/points/settings", body)).status_code == 200
    kept = (await master("PUT", "/points/settings", {})).json()["result"]
    assert kept["levels"] == levels and kept["guards"]["burst"]["most"] == 9
    assert (await master("GET", f"{ada}/points")).json()["title"] == "Warden"


async def test_players_see_levels_but_not_the_balances_of_others(
    server: Server, master: Caller, ada: str
) -> None:
    world_id = master.world.rsplit("/", 1)[1]
    person = await server.member(world_id, master.person, "player")  # type: ignore[arg-type]
    player = Caller(server, person, master.world)
    await master("POST", f"{ada}/points/award", {"amount": 150, "reason": "x"})
    seen = (await player("GET", f"{ada}/points")).json()
    assert (seen["level"], seen["balances"]) == (2, None)
    await master("PATCH", ada, {"user_id": str(person.id)})
    assert (await player("GET", f"{ada}/points")).json()["balances"][0]["balance"] == 150
    assert (await player("GET", "/points/settings")).json()["guards"] is None
    spent = await player("POST", f"{ada}/points/spend", {"amount": 50, "reason": "A lantern"})
    assert spent.json()["result"]["balance"] == 100
    is_problem(await player("POST", f"{ada}/points/award", {"amount": 1, "reason": "x"}), 403, "role_too_low")
    is_problem(await player("GET", "/points/verdicts"), 403, "role_too_low")
    is_problem(
        await player("POST", f"{ada}/points/spend", {"amount": 101, "reason": "x"}), 409, "insufficient_funds"
    )
