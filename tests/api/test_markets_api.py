"""Markets over HTTP: prices with their parts, routes, restrictions, deals, packs, and who may look."""

from math import prod
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from fablewright.packs.reader import import_pack, read_pack
from fablewright.packs.writer import export_world
from tests.api.helpers import characters, is_problem
from tests.support import Person, Server

NORTH, SOUTH = (str(UUID(int=n)) for n in (1, 2))


class Markets:
    """The markets of a world, as somebody comes to them."""

    def __init__(self, server: Server, world: str, owner: Person):
        self.server, self.world, self.owner = server, world, owner

    async def ask(
        self, method: str, path: str, body: Any = None, who: Person | None = None, **query: Any
    ) -> Any:
        return await self.server.client.request(
            method, f"{self.world}/{path}", json=body, params=query or None,
            headers=(who or self.owner).headers,
        )  # fmt: skip

    async def get(self, path: str, who: Person | None = None, **query: Any) -> Any:
        answer = await self.ask("GET", path, who=who, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def do(self, method: str, path: str, body: Any, status: int, who: Person | None = None) -> Any:
        answer = await self.ask(method, path, body, who)
        assert answer.status_code == status, answer.text
        return answer.json()["result"]


@pytest.fixture
async def markets(server: Server, owner: Person, world: str) -> Markets:
    """A world with two regions and two goods."""
    made = Markets(server, world, owner)
    regions = [
        {"id": NORTH, "name": "North", "resources": {"grain": 100}, "population": 20_000},
        {"id": SOUTH, "name": "South", "population": 50_000},
    ]
    await made.do("PUT", "regions", {"regions": regions}, 200)
    goods = [
        {"key": "grain", "name": "Grain", "base_price": 10},
        {"key": "iron", "name": "Iron", "base_price": 40},
    ]
    defined = await made.do("PUT", "markets/goods", {"goods": goods}, 200)
    assert [good["key"] for good in defined["goods"]] == ["grain", "iron"]
    return made


async def test_prices_are_listed_with_their_parts(markets: Markets) -> None:
    listed = (await markets.get("markets"))["items"]
    assert [(m["name"], set(m["prices"])) for m in listed] == [
        ("North", {"grain", "iron"}),
        ("South", {"grain", "iron"}),
    ]
    market = await markets.get(f"markets/regions/{SOUTH}")
    for good, shown in zip(market["goods"], sorted(listed[1]["prices"].items()), strict=True):
        assert prod(part["factor"] for part in good["parts"]) == good["price"]
        assert (good["good"], good["price"]) == (shown[0], pytest.approx(shown[1]))
    page = await markets.get("markets", limit=1)
    following = await markets.get("markets", limit=1, cursor=page["next_cursor"])
    assert [m["name"] for m in following["items"]] == ["South"] and following["next_cursor"] is None
    is_problem(await markets.ask("GET", f"markets/regions/{UUID(int=9)}"), 404, "region_not_found")
    is_problem(await markets.ask("GET", "markets", cursor="x"), 422, "cursor_invalid")


async def test_a_market_is_set(markets: Markets) -> None:
    path = f"markets/regions/{NORTH}/goods/grain"
    said = await markets.do("PUT", path, {"supply": 5}, 200)
    assert (said["supply"], said["demand"]) == (5, 20)
    shown = (await markets.get(f"markets/regions/{NORTH}"))["goods"][0]
    assert shown["price"] == pytest.approx(said["price"])
    for body in ({"supply": 0}, {"supply": -1}, {"supply": "much"}, {"price": 5}):
        is_problem(await markets.ask("PUT", path, body), 422, "validation_failed")
    is_problem(
        await markets.ask("PUT", f"markets/regions/{NORTH}/goods/Salt", {"supply": 1}),
        422,
        "validation_failed",
    )


async def test_routes_are_opened_listed_and_closed(markets: Markets) -> None:
    body = {"from_region": NORTH, "to_region": SOUTH, "good": "grain", "per_day": 20}
    made = await markets.do("POST", "markets/routes", body, 201)
    assert made["moved"] == 20
    (listed,) = (await markets.get("markets/routes", region_id=SOUTH, good="grain"))["items"]
    assert listed["id"] == made["id"] and listed["income"] > 0 and listed["closed_at"] is None
    assert (await markets.get("markets/routes", good="iron"))["items"] == []
    assert (await markets.get("markets/routes", owner_id=NORTH))["items"] == []
    await markets.do("POST", f"markets/routes/{made['id']}/close", {"reason": "Snow."}, 200)
    assert (await markets.get("markets/routes"))["items"] == []
    (closed,) = (await markets.get("markets/routes", closed=True))["items"]
    assert (closed["closed_reason"], closed["income"], closed["moved"]) == ("Snow.", 0, 0)
    assert (await markets.get(f"markets/routes/{made['id']}")) == closed
    is_problem(await markets.ask("GET", f"markets/routes/{UUID(int=9)}"), 404, "route_not_found")


async def test_restrictions_are_imposed_listed_and_lifted(markets: Markets) -> None:
    body = {"kind": "embargo", "from_id": NORTH, "to_id": SOUTH, "both_ways": True, "reason": "Spite."}
    ids = (await markets.do("POST", "markets/restrictions", body, 201))["ids"]
    shown = (await markets.get("markets/restrictions", subject_id=SOUTH))["items"]
    assert sorted(r["id"] for r in shown) == sorted(ids)
    assert {r["source"] for r in shown} == {"game_master"}
    await markets.do("DELETE", f"markets/restrictions/{ids[0]}", None, 200)
    assert len((await markets.get("markets/restrictions"))["items"]) == 1
    assert len((await markets.get("markets/restrictions", over=True))["items"]) == 2
    assert (await markets.get("markets/restrictions", source="sanction:1"))["items"] == []
    late = {"kind": "tariff", "until_at": 2**60}
    is_problem(await markets.ask("POST", "markets/restrictions", late), 422, "validation_failed")


async def test_a_player_deals_and_only_who_stands_for_the_owner_sees_the_stock(markets: Markets) -> None:
    world_id = UUID(markets.world.rsplit("/", 1)[1])
    player, other = [await markets.server.member(world_id, markets.owner, "player") for _ in range(2)]
    (who,) = await characters(markets.server, markets.owner, markets.world, 1)
    await markets.do("PATCH", f"characters/{who}", {"user_id": str(player.id)}, 200)
    sum_ = {"debit": "mint", "credit": who, "currency": "points", "amount": 500, "open_accounts": True}
    await markets.do("POST", "ledger/transfers", sum_, 201)
    deal = {"character_id": who, "region_id": NORTH, "good": "grain", "units": 10}
    bought = await markets.do("POST", "markets/buy", deal, 200, player)
    assert (bought["stock"], bought["currency"]) == (10, "points")
    is_problem(await markets.ask("POST", "markets/buy", deal, other), 403, "not_your_character")
    assert await markets.get(f"markets/stocks/{who}", player) == {"items": [{"good": "grain", "units": 10}]}
    is_problem(await markets.ask("GET", f"markets/stocks/{who}", who=other), 403, "account_is_private")
    sold = await markets.do("POST", "markets/sell", {**deal, "units": 4}, 200, player)
    assert (sold["stock"], (await markets.get(f"markets/stocks/{who}"))["items"][0]["units"]) == (6, 6)
    chosen = {**deal, "units": 4, "currency": "gold"}
    is_problem(await markets.ask("POST", "markets/sell", chosen, player), 422, "validation_failed")
    nobody = {"region_id": NORTH, "good": "grain", "units": 1}
    is_problem(await markets.ask("POST", "markets/buy", nobody, player), 422, "validation_failed")


async def test_markets_stand_in_packs(markets: Markets, server: Server, tmp_path: Path) -> None:
    route = {"from_region": NORTH, "to_region": SOUTH, "good": "grain", "per_day": 20, "share": 0.25}
    await markets.do("POST", "markets/routes", route, 201)
    tariff = {"kind": "tariff", "to_id": SOUTH, "good": "grain", "rate": 0.2, "reason": "Bridges."}
    await markets.do("POST", "markets/restrictions", tariff, 201)
    await markets.do("PUT", f"markets/regions/{NORTH}/goods/iron", {"supply": 7}, 200)
    world_id = UUID(markets.world.rsplit("/", 1)[1])
    await export_world(server.runtime, world_id, tmp_path / "pack")
    text = (tmp_path / "pack" / "markets.yaml").read_text()
    assert "grain" in text and "Bridges." in text
    pack = read_pack(tmp_path / "pack", server.runtime.systems)
    again = await import_pack(server.runtime, markets.owner.actor, pack)
    other = Markets(server, f"/api/v1/worlds/{again.world_id}", markets.owner)
    assert await other.get(f"markets/regions/{SOUTH}") == await markets.get(f"markets/regions/{SOUTH}")
    shown = [(await each.get("markets/routes"))["items"] for each in (markets, other)]
    for (listed,) in shown:
        del listed["id"]
    assert shown[0] == shown[1]
