"""Factions over HTTP: founding, members and what they may, treasuries, power, packs, and who may look."""

from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from fablewright.core.refusal import Refused
from fablewright.packs.reader import import_pack, read_pack
from fablewright.packs.writer import export_world
from tests.api.helpers import characters, is_problem
from tests.support import Person, Server

ASH, FORD = (str(UUID(int=n)) for n in (501, 502))
VALE, FENS = (str(UUID(int=n)) for n in (301, 302))


class Factions:
    """The factions of a world, as somebody comes to them. House Ash: Ada leads, Ben is its ambassador, Cyn a member."""

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

    async def do(
        self, method: str, path: str, body: Any, status: int = 200, who: Person | None = None
    ) -> Any:
        answer = await self.ask(method, path, body, who)
        assert answer.status_code == status, answer.text
        return answer.json()["result"]

    async def player(self, *ids: str) -> Person:
        """A player who controls these characters."""
        person = await self.server.member(self.world_id, self.owner, "player")
        for character_id in ids:
            await self.do("PATCH", f"characters/{character_id}", {"user_id": str(person.id)})
        return person

    @property
    def world_id(self) -> UUID:
        return UUID(self.world.rsplit("/", 1)[1])


@pytest.fixture
async def factions(server: Server, owner: Person, world: str) -> Factions:
    """A world with four characters, two regions and two factions."""
    made = Factions(server, world, owner)
    made.ada, made.ben, made.cyn, made.eve = await characters(server, owner, world, 4)  # type: ignore[attr-defined]
    regions = [
        {
            "id": VALE, "name": "Vale", "resources": {"iron": 4}, "population": 5000, "stability": 0.5,
            "stability_rest": 0.5,
        },
        {"id": FENS, "name": "Fens"},
    ]  # fmt: skip
    await made.do("PUT", "regions", {"regions": regions})
    body = {
        "id": ASH, "name": "House Ash", "leader_id": made.ada, "ranks": ["lord", "knight", "squire"],  # type: ignore[attr-defined]
        "members": [{"character_id": made.ben, "rank": "knight", "role": "ambassador"}, {"character_id": made.cyn}],  # type: ignore[attr-defined]
        "treasury": 500, "strength": 200, "capital_id": VALE, "ideology": {"crown": 0.8},
    }  # fmt: skip
    await made.do("POST", "factions", body, 201)
    await made.do("POST", "factions", {"id": FORD, "name": "The Ford Guild", "kind": "guild"}, 201)
    await made.do("PUT", f"regions/{VALE}/control", {"controller_id": ASH})
    return made


async def test_factions_are_listed_and_read(factions: Factions) -> None:
    listed = (await factions.get("factions"))["items"]
    assert [f["name"] for f in listed] == ["House Ash", "The Ford Guild"]
    assert [f["name"] for f in (await factions.get("factions", kind="guild"))["items"]] == ["The Ford Guild"]
    first = await factions.get("factions", limit=1)
    second = await factions.get("factions", limit=1, cursor=first["next_cursor"])
    assert (second["items"][0]["id"], second["next_cursor"]) == (FORD, None)
    whole = await factions.get(f"factions/{ASH}")
    assert (whole["members"], whole["region_ids"], whole["treasury"]) == (3, [VALE], 500)
    assert whole["roles"]["general"] == ["declare_war", "fight", "muster"]
    is_problem(await factions.ask("GET", f"factions/{uuid4()}"), 404, "faction_not_found")
    is_problem(await factions.ask("GET", "factions", cursor="x"), 422, "cursor_invalid")


async def test_a_faction_is_changed_and_dissolved(factions: Factions) -> None:
    changed = await factions.do("PATCH", f"factions/{ASH}", {"self_run": True, "capital_id": None})
    assert (changed["self_run"], changed["capital_id"], changed["name"]) == (True, None, "House Ash")
    is_problem(
        await factions.ask("PATCH", f"factions/{ASH}", {"name": "The Ford Guild"}), 409, "faction_name_taken"
    )
    mistakes: list[Any] = [
        {"color": "red"}, {"ideology": {"crown": 2}}, {"ranks": []}, {"roles": {"cook": ["cook"]}},
    ]  # fmt: skip
    for wrong in mistakes:
        is_problem(await factions.ask("PATCH", f"factions/{ASH}", wrong), 422, "validation_failed")
    await factions.do("POST", f"factions/{ASH}/dissolve", {"heir_id": FORD, "reason": "Beaten."})
    assert [f["id"] for f in (await factions.get("factions"))["items"]] == [FORD]
    assert len((await factions.get("factions", dissolved=True))["items"]) == 2
    gone, heir = [await factions.get(f"factions/{i}") for i in (ASH, FORD)]
    assert (gone["dissolved_at"], gone["members"], gone["treasury"]) == (0, 0, 0)
    assert (heir["region_ids"], heir["treasury"]) == ([VALE], 500)
    is_problem(await factions.ask("PATCH", f"factions/{ASH}", {"kind": "x"}), 409, "faction_dissolved")


async def test_members_join_rise_and_leave(factions: Factions) -> None:
    f: Any = factions
    leader = await factions.player(f.ada)
    joined = await factions.do(
        "POST", f"factions/{ASH}/members", {"member_id": f.eve, "character_id": f.ada}, 201, leader
    )
    assert (joined["rank"], joined["role"], joined["may"]) == ("squire", None, [])
    rank = {"rank": "knight", "role": "spymaster", "character_id": f.ada}
    risen = await factions.do("PATCH", f"factions/{ASH}/members/{f.eve}", rank, 200, leader)
    assert risen["may"] == ["accuse", "spy"]
    again = {"member_id": f.eve, "character_id": f.ada}
    is_problem(await factions.ask("POST", f"factions/{ASH}/members", again, leader), 409, "already_a_member")
    for wrong, code in (({"rank": "king"}, "rank_unknown"), ({"role": "cook"}, "role_unknown")):
        answer = await factions.ask("PATCH", f"factions/{ASH}/members/{f.eve}", wrong)
        assert is_problem(answer, 422, code)[code.replace("_unknown", "s")]
    page = await factions.get(f"factions/{ASH}/members", limit=3)
    rest = await factions.get(f"factions/{ASH}/members", limit=3, cursor=page["next_cursor"])
    assert {m["character_id"] for m in page["items"] + rest["items"]} == {f.ada, f.ben, f.cyn, f.eve}
    away = {"reason": "Caught.", "character_id": f.ada}
    await factions.do("POST", f"factions/{ASH}/members/{f.eve}/remove", away, 200, leader)
    await factions.do("POST", f"characters/{f.cyn}/factions/leave", {"reason": "Tired."})
    assert len((await factions.get(f"factions/{ASH}/members"))["items"]) == 2
    past = (await factions.get(f"factions/{ASH}/members", past=True))["items"]
    assert sum(m["left_at"] is not None for m in past) == 2
    (history,) = (await factions.get(f"characters/{f.eve}/factions"))["items"]
    assert (history["faction_id"], history["may"], history["left_at"]) == (ASH, [], 0)
    is_problem(await factions.ask("POST", f"characters/{f.cyn}/factions/leave", {}), 409, "not_a_member")
    is_problem(await factions.ask("GET", f"factions/{uuid4()}/members"), 404, "faction_not_found")


async def test_the_leader_hands_over(factions: Factions) -> None:
    f: Any = factions
    leader, other = await factions.player(f.ada), await factions.player(f.ben)
    body = {"member_id": f.ben, "character_id": f.ben}
    is_problem(await factions.ask("PUT", f"factions/{ASH}/leader", body, other), 403, "only_the_leader")
    await factions.do("PUT", f"factions/{ASH}/leader", {**body, "character_id": f.ada}, 200, leader)
    members = (await factions.get(f"factions/{ASH}/members"))["items"]
    assert {m["character_id"]: m["role"] for m in members} == {f.ada: None, f.ben: "ruler", f.cyn: None}
    is_problem(
        await factions.ask("POST", f"factions/{ASH}/dissolve", {"character_id": f.ada}, leader), 403, "only_the_leader"
    )  # fmt: skip


async def test_treasuries_are_for_those_who_stand_for_them(factions: Factions) -> None:
    f: Any = factions
    leader, envoy, outsider = [await factions.player(*ids) for ids in ((f.ada,), (f.ben,), ())]
    granted = await factions.do(
        "POST", f"factions/{ASH}/treasury/grant", {"amount": 100, "reference": "tithe"}
    )
    assert (granted["balance_after"], granted["replayed"]) == (600, False)
    again = await factions.do("POST", f"factions/{ASH}/treasury/grant", {"amount": 100, "reference": "tithe"})
    assert (again["balance_after"], again["replayed"]) == (600, True)
    spend = {"amount": 50, "to_id": FORD, "character_id": f.ada, "reason": "Bread."}
    assert (await factions.do("POST", f"factions/{ASH}/treasury/spend", spend, 200, leader))[
        "balance_after"
    ] == 550
    path = f"factions/{ASH}/treasury/spend"
    refused = is_problem(
        await factions.ask("POST", path, {**spend, "character_id": f.ben}, envoy), 403, "role_may_not"
    )
    assert (refused["role"], refused["act"], refused["roles"]) == ("ambassador", "spend_treasury", ["ruler"])
    is_problem(await factions.ask("POST", path, {**spend, "amount": 9999}, leader), 409, "insufficient_funds")
    is_problem(
        await factions.ask("POST", path, {**spend, "to_id": str(uuid4())}, leader), 404, "payee_not_found"
    )
    for who, shown in ((leader, 550), (envoy, 550), (outsider, None)):
        assert (await factions.get(f"factions/{ASH}", who))["treasury"] == shown
        power = await factions.get(f"factions/{ASH}/power", who)
        assert power["complete"] == (shown is not None)
        assert ("treasury" in {part["what"] for part in power["parts"]}) == (shown is not None)
        for kind in ("military", "economic"):
            parts = sum(part["amount"] for part in power["parts"] if part["kind"] == kind)
            assert power[kind] == pytest.approx(parts)
    is_problem(await factions.ask("GET", f"factions/{uuid4()}/power"), 404, "faction_not_found")
    events = (await factions.get("events", outsider, types="factions.*", limit=200))["events"]
    assert events and "factions.treasury_moved" not in {e["type"] for e in events}
    seen = (await factions.get("events", envoy, types="factions.treasury_moved"))["events"]
    assert [e["data"]["amount"] for e in seen] == [500, 100, 50]


async def test_strength_is_the_game_masters_word(factions: Factions) -> None:
    said = await factions.do("PUT", f"factions/{ASH}/strength", {"strength": 900, "reason": "Levies."})
    assert said["strength"] == 900
    for wrong in ({"strength": -1}, {"strength": "many"}, {}):
        is_problem(await factions.ask("PUT", f"factions/{ASH}/strength", wrong), 422, "validation_failed")
    player = await factions.player()
    is_problem(
        await factions.ask("PUT", f"factions/{ASH}/strength", {"strength": 1}, player), 403, "role_too_low"
    )


async def test_who_may_musters_and_pays(factions: Factions) -> None:
    f: Any = factions
    leader, envoy = [await factions.player(who) for who in (f.ada, f.ben)]
    body, path = {"troops": 60, "reason": "Thin ranks."}, f"factions/{ASH}/muster"
    before = await factions.get(f"factions/{ASH}")
    await factions.do("POST", path, {**body, "character_id": f.ada}, 200, leader)
    after = await factions.get(f"factions/{ASH}")
    assert (after["strength"] - before["strength"], before["treasury"] - after["treasury"]) == (60, 60)
    is_problem(await factions.ask("POST", path, {**body, "character_id": f.ben}, envoy), 403, "role_may_not")
    is_problem(await factions.ask("POST", path, body, leader), 422, "name_who_acts")
    for wrong in (0, -5, 0.5, "many"):
        is_problem(await factions.ask("POST", path, {"troops": wrong}), 422, "validation_failed")


# -- packs ---------------------------------------------------------------------------------------------------


async def test_factions_stand_in_packs(factions: Factions, server: Server, tmp_path: Path) -> None:
    f: Any = factions
    await factions.do(
        "PATCH", f"factions/{FORD}", {"roles": {"broker": ["trade", "negotiate"]}, "self_run": True}
    )
    await factions.do("POST", f"factions/{FORD}/members", {"member_id": f.eve, "role": "broker"}, 201)
    await factions.do("PUT", "ledger/currencies/gold", {"name": "Gold"})
    await factions.do("POST", f"factions/{ASH}/treasury/grant", {"amount": 70, "currency": "gold"})
    await export_world(server.runtime, factions.world_id, tmp_path / "pack")
    text = (tmp_path / "pack" / "factions.yaml").read_text()
    assert "House Ash" in text and "broker" in text
    again = await import_pack(
        server.runtime, factions.owner.actor, read_pack(tmp_path / "pack", server.runtime.systems)
    )
    other = Factions(server, f"/api/v1/worlds/{again.world_id}", factions.owner)
    shown = []
    for each in (factions, other):
        known = (await each.get("factions"))["items"]
        whole = [await each.get(f"factions/{x['id']}") for x in known]
        members = [
            sorted(
                (m["rank"], m["role"] or "") for m in (await each.get(f"factions/{x['id']}/members"))["items"]
            )
            for x in known
        ]
        for faction in whole:
            del faction["id"], faction["leader_id"], faction["capital_id"], faction["region_ids"]
        shown.append((whole, members))
    assert shown[0] == shown[1]
    assert [w["treasury"] for w in shown[1][0]] == [500, 0]
    assert [w["accounts"].get("gold") for w in shown[1][0]] == [70, None]


WRONG = {
    "leader: nobody": ("leader: nobody", "leader"),
    "a rank it has not": ("ranks: [lord]\n    members: {ada: {rank: king}}", "rank"),
    "a role it has not": ("members: {ada: {role: cook}}", "role"),
    "a ruler who does not lead": ("members: {ada: {role: ruler}}", "role"),
    "a member of two": ("members: {ada: {}}\n  birch:\n    name: Birch\n    members: {ada: {}}", "ada"),
    "a region held twice": ("holds: [vale]\n  birch:\n    name: Birch\n    holds: [vale]", "holds"),
    "debts": ("treasury: -1", "treasury"),
}


@pytest.mark.parametrize("case", WRONG)
def test_mistakes_in_packs_are_named(server: Server, tmp_path: Path, case: str) -> None:
    text, where = WRONG[case]
    (tmp_path / "world.yaml").write_text("name: Here\n")
    (tmp_path / "characters.yaml").write_text("characters:\n  ada:\n    name: Ada\n")
    (tmp_path / "regions.yaml").write_text("regions:\n  vale:\n    name: Vale\n")
    (tmp_path / "factions.yaml").write_text(f"factions:\n  ash:\n    name: Ash\n    {text}\n")
    with pytest.raises(Refused, match="pack_invalid") as refused:
        read_pack(tmp_path, server.runtime.systems)
    assert "factions.yaml" in str(refused.value) and where in str(refused.value)
