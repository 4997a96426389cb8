"""The ledger over HTTP: accounts, transfers, holds, statements, and who may look."""

from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from fablewright.packs.reader import import_pack, read_pack
from fablewright.packs.writer import export_world
from fablewright.systems.ledger.book import MINT
from tests.api.helpers import characters, is_problem
from tests.support import Person, Server


class Ledger:
    """The ledger of a world, as somebody comes to it."""

    def __init__(self, server: Server, world: str, owner: Person):
        self.server, self.world, self.owner = server, world, owner

    async def ask(
        self, method: str, path: str, body: Any = None, who: Person | None = None, **query: Any
    ) -> Any:
        return await self.server.client.request(
            method,
            f"{self.world}/ledger{path}",
            json=body,
            params=query or None,
            headers=(who or self.owner).headers,
        )

    async def get(self, path: str, who: Person | None = None, **query: Any) -> Any:
        answer = await self.ask("GET", path, who=who, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def do(self, method: str, path: str, body: Any, status: int) -> Any:
        answer = await self.ask(method, path, body)
        assert answer.status_code == status, answer.text
        return answer.json()["result"]

    async def transfer(self, debit: str, credit: str, amount: int, **fields: Any) -> Any:
        body = {"debit": debit, "credit": credit, "currency": "gold", "amount": amount, **fields}
        return await self.do("POST", "/transfers", body, 201)


@pytest.fixture
async def ledger(server: Server, owner: Person, world: str) -> Ledger:
    """The ledger of a world that counts gold."""
    made = Ledger(server, world, owner)
    await made.do("PUT", "/currencies/gold", {"name": "Gold", "max_balance": 1000}, 200)
    return made


async def member(ledger: Ledger, role: str = "player") -> Person:
    return await ledger.server.member(UUID(ledger.world.rsplit("/", 1)[1]), ledger.owner, role)


async def test_currencies_are_defined_and_listed(ledger: Ledger) -> None:
    points = {"code": "points", "name": "Points", "description": "", "max_balance": None}
    gold = {"code": "gold", "name": "Gold", "description": "", "max_balance": 1000}
    assert await ledger.get("/currencies") == {"items": [gold, points]}
    await ledger.do("PUT", "/currencies/points", {"name": "Glory", "description": "Fame."}, 200)
    listed = (await ledger.get("/currencies", who=await member(ledger, "observer")))["items"]
    assert [c["name"] for c in listed] == ["Gold", "Glory"]
    for code in ("Gold", "1gold", "g" * 31):
        is_problem(await ledger.ask("PUT", f"/currencies/{code}", {"name": "x"}), 422, "validation_failed")
    for body in ({"name": ""}, {"name": "x", "max_balance": 0}, {"name": "x", "max_balance": 1.5}):
        is_problem(await ledger.ask("PUT", "/currencies/gold", body), 422, "validation_failed")


async def test_accounts_show_what_is_available(ledger: Ledger) -> None:
    a = str(uuid4())
    opened = await ledger.do("POST", "/accounts", {"owner_id": a, "currency": "gold", "max_balance": 90}, 201)
    assert opened == {
        "owner_id": a, "currency": "gold", "balance": 0, "held": 0, "available": 0, "max_balance": 90,
    }  # fmt: skip
    await ledger.transfer("mint", a, 80)
    body = {"debit": a, "credit": "sink", "currency": "gold", "amount": 30}
    await ledger.do("POST", "/holds", body, 201)
    account = await ledger.get(f"/accounts/{a}/gold")
    assert (account["balance"], account["held"], account["available"]) == (80, 30, 50)
    assert (await ledger.get(f"/accounts/{a}"))["items"] == [account]
    assert (await ledger.do("PUT", f"/accounts/{a}/gold/limit", {"max_balance": None}, 200))[
        "max_balance"
    ] is None
    is_problem(await ledger.ask("GET", f"/accounts/{a}/points"), 404, "account_not_found")
    assert await ledger.get(f"/accounts/{uuid4()}") == {"items": []}
    problem = is_problem(
        await ledger.ask("POST", "/transfers", {**body, "amount": 51}), 409, "insufficient_funds"
    )
    assert (problem["available"], problem["needed"]) == (50, 51)


async def test_transfers_that_make_no_sense_are_refused(ledger: Ledger) -> None:
    for wrong in (
        {"amount": 0}, {"amount": -1}, {"amount": 2**53 + 1}, {"amount": 1.5}, {"amount": "x"}, {"debit": "bank"},
        {"currency": "Gold"}, {"kind": "A gift"}, {"reason": "x" * 301}, {"reference": ""}, {"reason": "\x00"},
    ):  # fmt: skip
        body = {"debit": "mint", "credit": str(uuid4()), "currency": "gold", "amount": 1, **wrong}
        problem = is_problem(await ledger.ask("POST", "/transfers", body), 422, "validation_failed")
        assert [error["field"] for error in problem["errors"]] == [f"body.{name}" for name in wrong]


async def test_a_statement_is_read_in_pages(ledger: Ledger) -> None:
    a, b = str(uuid4()), str(uuid4())
    made = [await ledger.transfer("mint", a, 100, kind="grant", reason="Welcome.", open_accounts=True)]
    made += [await ledger.transfer(a, b, n, reference=f"r-{n}", open_accounts=True) for n in (1, 2, 3)]
    back = await ledger.do("POST", f"/transfers/{made[3]['id']}/reverse", {"reason": "By mistake."}, 201)
    lines: list[Any] = []
    cursor: dict[str, Any] = {}
    while True:
        page = await ledger.get(f"/accounts/{a}/gold/statement", limit=2, **cursor)
        assert len(page["items"]) <= 2
        lines += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert [line["amount"] for line in lines] == [3, -3, -2, -1, 100]
    assert [line["balance_after"] for line in lines] == [97, 94, 97, 99, 100]
    assert [line["other"] for line in lines] == [b, b, b, b, "mint"]
    assert [line["transfer_id"] for line in lines] == [back["id"], *(m["id"] for m in reversed(made))]
    assert (lines[0]["reverses"], lines[0]["reason"], lines[1]["reference"]) == (
        made[3]["id"],
        "By mistake.",
        "r-3",
    )
    of_b = (await ledger.get(f"/accounts/{b}/gold/statement"))["items"]
    assert [line["amount"] for line in of_b] == [-3, 3, 2, 1]
    of_mint = (await ledger.get("/accounts/mint/gold/statement"))["items"]
    assert [(line["amount"], line["other"], line["balance_after"]) for line in of_mint] == [(-100, a, None)]
    assert of_mint == (await ledger.get(f"/accounts/{MINT}/gold/statement"))["items"]
    for wrong in ("x", "W10", "WyJ4Il0", "Wy0xXQ"):
        answer = await ledger.ask("GET", f"/accounts/{a}/gold/statement", cursor=wrong)
        is_problem(answer, 422, "cursor_invalid")


async def test_a_transfer_says_what_became_of_it(ledger: Ledger) -> None:
    a = str(uuid4())
    made = await ledger.transfer("mint", a, 10, open_accounts=True, reference="r")
    again = await ledger.transfer("mint", a, 10, open_accounts=True, reference="r")
    assert (again, made["replayed"]) == ({**made, "replayed": True}, False)
    assert (made["debit"], made["credit"], made["credit_after"]) == ("mint", a, 10)
    back = await ledger.do("POST", f"/transfers/{made['id']}/reverse", {"reason": "x"}, 201)
    found = await ledger.get(f"/transfers/{made['id']}")
    assert found == {**made, "reversed_by": back["id"]}
    problem = is_problem(
        await ledger.ask("POST", f"/transfers/{made['id']}/reverse", {"reason": "x"}), 409, "already_reversed"
    )
    assert problem["reversed_by"] == back["id"]
    is_problem(await ledger.ask("GET", f"/transfers/{uuid4()}"), 404, "transfer_not_found")
    is_problem(
        await ledger.ask("POST", f"/transfers/{made['id']}/reverse", {"reason": ""}), 422, "validation_failed"
    )


async def test_linked_transfers(ledger: Ledger) -> None:
    a, b = str(uuid4()), str(uuid4())
    parts = [
        {"debit": "mint", "credit": a, "currency": "gold", "amount": 9},
        {"debit": a, "credit": b, "currency": "gold", "amount": 4},
    ]
    made = await ledger.do("POST", "/transfers/linked", {"transfers": parts, "open_accounts": True}, 201)
    assert [t["credit_after"] for t in made["transfers"]] == [9, 4]
    for transfers in ([], parts * 51):
        is_problem(
            await ledger.ask("POST", "/transfers/linked", {"transfers": transfers}), 422, "validation_failed"
        )


async def test_holds_are_listed_posted_and_released(ledger: Ledger) -> None:
    a, b = str(uuid4()), str(uuid4())
    await ledger.transfer("mint", a, 100, open_accounts=True)
    body = {
        "debit": a,
        "credit": "sink",
        "currency": "gold",
        "amount": 10,
        "kind": "bid",
        "reason": "The vase.",
    }
    made = [await ledger.do("POST", "/holds", body, 201) for _ in range(3)]
    await ledger.do("POST", "/accounts", {"owner_id": b, "currency": "gold"}, 201)
    of_b = await ledger.do("POST", "/holds", {**body, "debit": "mint", "credit": b}, 201)
    posted = await ledger.do("POST", f"/holds/{made[0]['id']}/post", {"amount": 4}, 200)
    assert (posted["hold"]["state"], posted["hold"]["posted"], posted["transfer"]["amount"]) == (
        "posted",
        4,
        4,
    )
    released = await ledger.do("POST", f"/holds/{made[1]['id']}/release", {"reason": "Outbid."}, 200)
    assert released["state"] == "released"
    assert await ledger.get(f"/holds/{made[1]['id']}") == released

    async def listed(**query: Any) -> list[str]:
        return [hold["id"] for hold in (await ledger.get("/holds", **query))["items"]]

    everything = sorted((hold["id"] for hold in [*made, of_b]), reverse=True)
    assert await listed() == everything
    assert await listed(owner_id=a) == sorted((hold["id"] for hold in made), reverse=True)
    assert await listed(owner_id=b) == await listed(owner_id=b, state="open", currency="gold") == [of_b["id"]]
    assert await listed(state="posted") == [made[0]["id"]]
    assert await listed(currency="points") == []
    page = await ledger.get("/holds", limit=3)
    rest = await ledger.get("/holds", cursor=page["next_cursor"])
    assert [hold["id"] for hold in page["items"] + rest["items"]] == everything
    is_problem(await ledger.ask("POST", f"/holds/{made[0]['id']}/post", {}), 409, "hold_not_open")
    is_problem(
        await ledger.ask("POST", f"/holds/{made[2]['id']}/post", {"amount": 11}), 422, "amount_too_large"
    )
    is_problem(await ledger.ask("GET", f"/holds/{uuid4()}"), 404, "hold_not_found")
    is_problem(await ledger.ask("POST", "/holds", {**body, "expires_at": 0}), 422, "expires_in_the_past")


async def test_accounts_are_shown_to_who_controls_the_owner(ledger: Ledger, owner: Person) -> None:
    player, other = await member(ledger), await member(ledger)
    answer = await ledger.server.client.post(
        f"{ledger.world}/characters", json={"name": "Mine", "kind": "player"}, headers=player.headers
    )
    mine = answer.json()["result"]["id"]
    [npc] = await characters(ledger.server, owner, ledger.world, 1)
    made = await ledger.transfer("mint", mine, 10, open_accounts=True)
    given = await ledger.transfer(mine, npc, 3, open_accounts=True)
    minted = await ledger.transfer("mint", npc, 1)
    held = await ledger.do(
        "POST", "/holds", {"debit": mine, "credit": npc, "currency": "gold", "amount": 1}, 201
    )
    for path in (
        f"/accounts/{mine}", f"/accounts/{mine}/gold", f"/accounts/{mine}/gold/statement",
        f"/transfers/{made['id']}", f"/transfers/{given['id']}", f"/holds/{held['id']}", f"/holds?owner_id={mine}",
    ):  # fmt: skip
        assert (await ledger.ask("GET", path, who=player)).status_code == 200, path
        is_problem(await ledger.ask("GET", path, who=other), 403, "account_is_private")
    for path in (
        f"/accounts/{npc}", f"/accounts/{npc}/gold/statement", "/accounts/mint", f"/transfers/{minted['id']}",
        "/holds", f"/holds?owner_id={npc}", f"/transfers/{uuid4()}", f"/holds/{uuid4()}",
    ):  # fmt: skip
        is_problem(await ledger.ask("GET", path, who=player), 403, "account_is_private")
    is_problem(await ledger.ask("GET", "/integrity", who=player), 403, "role_too_low")
    events = await ledger.server.client.get(
        f"{ledger.world}/events", params={"types": "ledger.*"}, headers=player.headers
    )
    told = events.json()["events"]
    assert [e["type"].split(".")[1] for e in told] == [
        "currency_defined",
        "transferred",
        "transferred",
        "held",
    ]
    assert "_after" not in events.text


async def test_one_does_not_learn_what_the_other_side_has(ledger: Ledger, owner: Person) -> None:
    players = [await member(ledger), await member(ledger)]
    ours = []
    for player in players:
        answer = await ledger.server.client.post(
            f"{ledger.world}/characters", json={"name": "Mine", "kind": "player"}, headers=player.headers
        )
        ours.append(answer.json()["result"]["id"])
    await ledger.transfer("mint", ours[0], 10, open_accounts=True)
    given = await ledger.transfer(ours[0], ours[1], 3, open_accounts=True)
    afters = [
        (found["debit_after"], found["credit_after"])
        for found in [await ledger.get(f"/transfers/{given['id']}", who=who) for who in (owner, *players)]
    ]
    assert afters == [(7, 3), (7, None), (None, 3)]


async def test_what_waits_at_the_mint_is_shown_to_game_masters(ledger: Ledger, owner: Person) -> None:
    player = await member(ledger)
    answer = await ledger.server.client.post(
        f"{ledger.world}/characters", json={"name": "Mine", "kind": "player"}, headers=player.headers
    )
    mine = answer.json()["result"]["id"]
    await ledger.transfer("mint", mine, 10, open_accounts=True)
    body = {"credit": mine, "currency": "gold", "amount": 1}
    waits = [await ledger.do("POST", "/holds", {**body, "debit": "mint"}, 201) for _ in range(3)]
    own = [
        await ledger.do("POST", "/holds", {**body, "debit": mine, "credit": "sink"}, 201) for _ in range(2)
    ]
    for hold in waits:
        is_problem(await ledger.ask("GET", f"/holds/{hold['id']}", who=player), 403, "account_is_private")
        assert (await ledger.get(f"/holds/{hold['id']}"))["id"] == hold["id"]
    ids = [hold["id"] for hold in await pages(ledger, player, owner_id=mine)]
    assert sorted(ids) == sorted(hold["id"] for hold in own)
    assert len(await pages(ledger, owner, owner_id=mine)) == 5

    posted = (await ledger.do("POST", f"/holds/{waits[0]['id']}/post", {}, 200))["transfer"]
    spent = (await ledger.do("POST", f"/holds/{own[0]['id']}/post", {}, 200))["transfer"]
    for who, hold_id in ((owner, waits[0]["id"]), (player, None)):
        assert (await ledger.get(f"/transfers/{posted['id']}", who=who))["hold_id"] == hold_id
        assert (await ledger.get(f"/transfers/{spent['id']}", who=who))["hold_id"] == own[0]["id"]
        lines = (await ledger.get(f"/accounts/{mine}/gold/statement", who=who))["items"]
        assert [line["hold_id"] for line in lines] == [own[0]["id"], hold_id, None]


async def pages(ledger: Ledger, who: Person, **query: Any) -> list[Any]:
    """All holds that somebody is shown, page by page."""
    found: list[Any] = []
    while True:
        page = await ledger.get("/holds", who=who, limit=1, **query)
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        query["cursor"] = page["next_cursor"]


async def test_the_integrity_report(ledger: Ledger) -> None:
    a = str(uuid4())
    await ledger.transfer("mint", a, 10, open_accounts=True)
    await ledger.transfer(a, "sink", 4)
    assert await ledger.get("/integrity") == {
        "ok": True, "faults": [],
        "currencies": [{
            "currency": "gold", "accounts": 6, "held": 0, "mint": -10, "sink": 4, "sum": 0, "owners": 1, "transfers": 2,
        }],
    }  # fmt: skip


PACK = {
    "world.yaml": "name: Rich\npaused: true\n",
    "currencies.yaml": "currencies:\n  gold: {name: Gold, max_balance: 50}\n  gems: {name: Gems}\n",
    "characters.yaml": "characters:\n"
    "  orla: {name: Orla, balances: {gold: 12, points: 3}, balance_limits: {gems: 9, gold: 40}}\n"
    "  bram: {name: Bram, balances: {gems: 7}}\n  cyn: {name: Cyn}\n",
}


async def test_balances_come_and_go_with_packs(server: Server, owner: Person, tmp_path: Path) -> None:
    folder = tmp_path / "rich"
    folder.mkdir()
    for name, text in PACK.items():
        (folder / name).write_text(text)
    made = await import_pack(server.runtime, owner.actor, read_pack(folder, server.runtime.systems))
    ledger = Ledger(server, f"/api/v1/worlds/{made.world_id}", owner)
    listed = (await server.client.get(f"{ledger.world}/characters", headers=owner.headers)).json()["items"]
    bram, _, orla = (c["id"] for c in listed)
    has = {
        a["currency"]: (a["balance"], a["max_balance"])
        for a in (await ledger.get(f"/accounts/{orla}"))["items"]
    }
    assert has == {"gems": (0, 9), "gold": (12, 40), "points": (3, None)}
    [line] = (await ledger.get(f"/accounts/{bram}/gems/statement"))["items"]
    assert (line["other"], line["kind"], line["amount"]) == ("mint", "opening", 7)
    await ledger.transfer(bram, "sink", 2, currency="gems")
    await export_world(server.runtime, made.world_id, tmp_path / "out")
    text = (tmp_path / "out" / "characters.yaml").read_text()
    assert "balances:\n      gems: 5\n" in text
    assert "balance_limits:\n      gems: 9\n      gold: 40\n" in text
    again = await import_pack(
        server.runtime, owner.actor, read_pack(tmp_path / "out", server.runtime.systems)
    )
    await export_world(server.runtime, again.world_id, tmp_path / "two")
    for name in ("currencies.yaml", "characters.yaml"):
        assert (tmp_path / "two" / name).read_text() == (tmp_path / "out" / name).read_text()


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("currencies.yaml", "currencies: {Gold: {name: Gold}}\n", "a currency's key is its code"),
        ("characters.yaml", "characters: {a: {name: A, balances: {silver: 1}}}\n", "no such currency"),
        ("characters.yaml", "characters: {a: {name: A, balances: {gold: 5}, balance_limits: {gold: 4}}}\n", "4 at"),
    ],
)  # fmt: skip
async def test_mistakes_in_packs_are_named(
    server: Server, tmp_path: Path, file: str, text: str, said: str
) -> None:
    folder = tmp_path / "wrong"
    folder.mkdir()
    for name, content in {**PACK, "characters.yaml": "characters: {}\n", file: text}.items():
        (folder / name).write_text(content)
    with pytest.raises(Exception, match="pack") as error:
        read_pack(folder, server.runtime.systems)
    assert said in str(error.value) + str(getattr(error.value, "facts", ""))
