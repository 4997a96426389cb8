"""Regions, bans and journeys over HTTP, and in packs."""

from typing import Any
from uuid import UUID

import pytest

from fablewright.core.clock import MINUTE
from tests.api.helpers import characters, is_problem
from tests.support import Person, Server

NOBODY = str(UUID(int=9))


class Map:
    """Two regions with a place each, a third without, and two characters in the first."""

    def __init__(self, server: Server, owner: Person, world: str):
        self.server, self.owner, self.world = server, owner, world

    async def call(self, method: str, path: str, who: Person | None = None, **options: Any) -> Any:
        headers = (who or self.owner).headers
        return await self.server.client.request(method, self.world + path, headers=headers, **options)

    async def ok(self, method: str, path: str, who: Person | None = None, **options: Any) -> Any:
        answer = await self.call(method, path, who, **options)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        return body.get("result") if "head" in body or "result" in body else body

    async def draw(self) -> "Map":
        self.ada, self.ben = await characters(self.server, self.owner, self.world, 2)
        places = await self.ok("PUT", "/places", json={"places": [{"name": "Mill"}, {"name": "Inn"}]})
        self.mill, self.inn = (place["id"] for place in places["places"])
        regions = [
            {"name": "Vale", "terrain": "hills", "resources": {"iron": 2}, "population": 9},
            {"name": "Fens", "stability": 0.25}, {"name": "Moor"},
        ]  # fmt: skip
        made = await self.ok("PUT", "/regions", json={"regions": regions})
        self.vale, self.fens, self.moor = (region["id"] for region in made["regions"])
        answer = await self.ok("PUT", "/regions", json={
            "borders": [
                {"a_id": self.vale, "b_id": self.fens, "minutes": 60},
                {"a_id": self.moor, "b_id": self.fens, "minutes": 30},
            ],
            "places": [
                {"place_id": self.mill, "region_id": self.vale}, {"place_id": self.inn, "region_id": self.fens},
            ],
        })  # fmt: skip
        assert answer == {"regions": [], "borders": 2, "places": 2}
        placements = [{"character_id": who, "place_id": self.mill} for who in (self.ada, self.ben)]
        await self.ok("PUT", "/whereabouts", json={"placements": placements})
        return self


@pytest.fixture
async def land(server: Server, owner: Person, world: str) -> Map:
    return await Map(server, owner, world).draw()


async def test_reading_regions(land: Map) -> None:
    observer = await land.server.member(UUID(land.world.rsplit("/", 1)[1]), land.owner, "observer")
    first = await land.ok("GET", "/regions?limit=2", observer)
    assert [r["name"] for r in first["items"]] == ["Fens", "Moor"]
    rest = await land.ok("GET", f"/regions?limit=2&cursor={first['next_cursor']}", observer)
    assert rest["items"] == [{
        "id": land.vale, "name": "Vale", "terrain": "hills", "description": "", "resources": {"iron": 2.0},
        "population": 9, "stability": 0.7, "stability_rest": 0.7, "controller_id": None, "tags": [],
    }]  # fmt: skip
    detail = await land.ok("GET", f"/regions/{land.fens}", observer)
    assert (detail["stability"], [n["name"] for n in detail["neighbours"]]) == (0.25, ["Moor", "Vale"])
    assert (detail["places"], detail["bans"]) == ([{"id": land.inn, "name": "Inn", "kind": "square"}], [])
    way = await land.ok("GET", f"/regions/{land.vale}/routes?to={land.moor}", observer)
    assert way == {"region_ids": [land.vale, land.fens, land.moor], "minutes": 90.0}
    assert (await land.ok("GET", f"/places/{land.inn}"))["region_id"] == land.fens
    is_problem(await land.call("GET", f"/regions/{land.vale}/routes?to={NOBODY}"), 409, "no_route")
    is_problem(await land.call("GET", f"/regions/{NOBODY}"), 404, "region_not_found")
    is_problem(await land.call("GET", "/regions?cursor=WzFd"), 422, "cursor_invalid")
    stranger = await land.server.person()
    for path in ("/regions", f"/regions/{land.vale}", "/movement-bans", "/journeys"):
        is_problem(await land.call("GET", path, stranger), 404, "world_not_found")
    is_problem(
        await land.call("PUT", "/regions", observer, json={"regions": [{"name": "x"}]}), 403, "role_too_low"
    )


async def test_removing_regions(land: Map) -> None:
    assert await land.ok("DELETE", f"/regions/{land.fens}") is None
    is_problem(await land.call("GET", f"/regions/{land.fens}"), 404, "region_not_found")
    is_problem(await land.call("DELETE", f"/regions/{land.fens}"), 404, "region_not_found")
    assert (await land.ok("GET", f"/places/{land.inn}"))["region_id"] is None
    is_problem(
        await land.call("PUT", f"/regions/{land.fens}/control", json={"controller_id": None}),
        404,
        "region_not_found",
    )


async def test_bans(land: Map) -> None:
    ban = await land.ok("POST", "/movement-bans", json={"region_id": land.fens, "reason": "Plague"})
    [shown] = (await land.ok("GET", f"/regions/{land.fens}"))["bans"]
    assert (shown["id"], shown["source"], shown["until_at"]) == (ban["id"], "game_master", None)
    assert (await land.ok("GET", f"/movement-bans?region_id={land.vale}"))["items"] == []
    problem = is_problem(
        await land.call("POST", f"/characters/{land.ada}/journey", json={"to_region_id": land.fens}),
        409,
        "barred",
    )
    assert (problem["region_id"], problem["source"]) == (land.fens, "game_master")
    assert await land.ok("DELETE", f"/movement-bans/{ban['id']}") is None
    assert (await land.ok("GET", "/movement-bans"))["items"] == []
    assert (await land.ok("GET", "/movement-bans?over=true"))["items"][0]["lifted_at"] == 0
    is_problem(await land.call("DELETE", f"/movement-bans/{ban['id']}"), 404, "ban_not_found")
    is_problem(
        await land.call("POST", "/movement-bans", json={"region_id": land.fens, "until_at": 0}),
        422,
        "ban_ends_too_early",
    )


async def test_journeys(land: Map) -> None:
    path = f"/characters/{land.ada}/journey"
    is_problem(await land.call("GET", path), 404, "not_travelling")
    is_problem(await land.call("DELETE", path), 404, "not_travelling")
    view = await land.ok("POST", path, json={"to_region_id": land.fens})
    assert (view["here_id"], view["to_place_id"], view["next_border_at"], view["arrives_at"]) == (
        land.vale, land.inn, 30 * MINUTE, 60 * MINUTE,
    )  # fmt: skip
    assert await land.ok("GET", path) == view
    assert (await land.ok("GET", "/journeys"))["items"] == [view]
    is_problem(await land.call("POST", path, json={"to_region_id": land.moor}), 409, "already_walking")
    answer = await land.ok("DELETE", path)
    assert answer == {"character_id": land.ada, "place_id": land.mill, "region_id": land.vale}
    assert (await land.ok("GET", "/journeys"))["items"] == []
