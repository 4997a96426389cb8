"""Treaties over HTTP: from draft to force by players, what others do not see, and two who sign at once."""

import asyncio
import uuid
from typing import Any
from uuid import UUID

from fablewright.core.clock import DAY
from fablewright.systems.characters.commands import CreateCharacter
from fablewright.systems.factions.commands import AddMember, FoundFaction, GrantTreasury
from fablewright.systems.worlds.commands import SetClock
from tests.api.helpers import is_problem
from tests.support import Person, Server

NAMES = ("Ash", "Elm", "Oak")


class Congress:
    """A world with three factions, each with a ruler whom a player plays."""

    def __init__(self, server: Server):
        self.server = server
        self.factions: dict[str, UUID] = {}
        self.rulers: dict[str, UUID] = {}
        self.players: dict[str, Person] = {}

    async def open(self) -> "Congress":
        self.owner = await self.server.person()
        self.world_id = await self.server.world(self.owner)
        await self.do(SetClock(paused=True))
        for name in NAMES:
            player = await self.server.member(self.world_id, self.owner, "player")
            ruler = CreateCharacter(name=f"{name}'s ruler", kind="player", user_id=player.id)
            self.rulers[name] = (await self.do(ruler)).id
            realm = FoundFaction(name=name, leader_id=self.rulers[name], treasury=100)
            self.factions[name] = (await self.do(realm)).id
            self.players[name] = player
        self.url = f"/api/v1/worlds/{self.world_id}/treaties"
        return self

    async def do(self, command: Any) -> Any:
        return await self.server.do(command, self.owner.actor, self.world_id)

    async def ask(self, who: str | Person, method: str, path: str, **more: Any) -> Any:
        person = self.players[who] if isinstance(who, str) else who
        return await self.server.client.request(method, self.url + path, headers=person.headers, **more)

    async def call(self, who: str | Person, method: str, path: str, **more: Any) -> Any:
        answer = await self.ask(who, method, path, **more)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def acts(self, by: str, /, **more: Any) -> dict[str, Any]:
        return {"faction_id": str(self.factions[by]), "character_id": str(self.rulers[by]), **more}

    def tribute(self, by: str = "Ash", /, **more: Any) -> dict[str, Any]:
        ash, elm = (str(self.factions[n]) for n in ("Ash", "Elm"))
        clause = {"type": "pay", "from_id": ash, "to_id": elm, "amount": 30, "every_days": 30}
        return self.acts(
            by,
            **{"name": "Ash Tribute", "kind": "tribute", "parties": [ash, elm], "clauses": [clause], **more},
        )

    async def proposed(self, **more: Any) -> str:
        done = await self.call("Ash", "POST", "", json=self.tribute(**more))
        return str(done["result"]["id"])

    async def signed(self, **more: Any) -> str:
        treaty = await self.proposed(**more)
        for name in ("Ash", "Elm"):
            await self.call(name, "POST", f"/{treaty}/sign", json=self.acts(name))
        return treaty


async def test_players_bring_a_treaty_into_force(server: Server) -> None:
    congress = await Congress(server).open()
    treaty = await congress.proposed(duration_days=360, grace_days=5)
    first = await congress.call("Ash", "POST", f"/{treaty}/sign", json=congress.acts("Ash"))
    assert first["result"] == {
        "id": treaty, "state": "signed_partly", "missing": [str(congress.factions["Elm"])], "draft": 1,
    }  # fmt: skip
    second = await congress.call("Elm", "POST", f"/{treaty}/sign", json=congress.acts("Elm"))
    assert second["result"]["state"] == "in_force"
    found = await congress.call("Oak", "GET", f"/{treaty}")
    assert found["ends_at"] - found["starts_at"] == 360 * DAY
    assert (found["duration_days"], found["notice_days"], found["grace_days"]) == (360, 30, 5)
    assert [(p["name"], p["signed_by"]) for p in found["parties"]] == [
        (n, str(congress.rulers[n])) for n in ("Ash", "Elm")
    ]
    (clause,) = found["clauses"]
    assert clause["text"] == "Ash pays 30 points to Elm every 30 days."
    assert 29 * DAY < clause["due_at"] - found["starts_at"] <= 30 * DAY
    story = await congress.call("Oak", "GET", f"/{treaty}/timeline")
    assert [item["type"].removeprefix("diplomacy.treaty_") for item in story["items"]] == [
        "in_force", "signed", "signed", "drafted",
    ]  # fmt: skip
    rest = await congress.call(
        "Oak", "GET", f"/{treaty}/timeline", params={"limit": 1, "before": story["items"][1]["seq"]}
    )
    assert [item["data"]["faction_id"] for item in rest["items"]] == [str(congress.factions["Ash"])]


async def test_every_act_has_a_route(server: Server) -> None:
    congress = await Congress(server).open()
    both = ("Ash", "Elm")
    treaty = await congress.signed(duration_days=10)
    for act, more, after in (
        ("renew", {}, "in_force"), ("suspend", {}, "suspended"), ("suspend", {"resume": True}, "in_force"),
        ("terminate", {}, "terminated"),
    ):  # fmt: skip
        for name in both:
            done = await congress.call(name, "POST", f"/{treaty}/{act}", json=congress.acts(name, **more))
        assert done["result"]["state"] == after
    found = await congress.call("Ash", "GET", f"/{treaty}")
    assert (found["reason"], found["ends_at"] - found["starts_at"]) == ("by agreement", 20 * DAY)
    again = await congress.signed(notice_days=0)
    accusation = congress.acts("Elm", accused_id=str(congress.factions["Ash"]), clause=1)
    done = await congress.call("Elm", "POST", f"/{again}/accuse", json=accusation)
    assert done["result"] == {"founded": False}
    (violation,) = (await congress.call("Oak", "GET", f"/{again}"))["violations"]
    assert (violation["state"], violation["clause"], violation["accuser_id"]) == (
        "unfounded", 1, str(congress.factions["Elm"]),
    )  # fmt: skip
    done = await congress.call("Elm", "POST", f"/{again}/withdraw", json=congress.acts("Elm"))
    assert done["result"]["state"] == "withdrawn"
    draft = await congress.proposed()
    terms = {**congress.tribute("Elm"), "name": "Better", "clauses": []}
    await congress.call("Elm", "PUT", f"/{draft}", json=terms)
    assert (await congress.call("Oak", "GET", f"/{draft}"))["name"] == "Better"
    done = await congress.call("Elm", "POST", f"/{draft}/reject", json=congress.acts("Elm", reason="no"))
    assert done["result"]["state"] == "rejected"


async def test_treaties_are_listed_by_party_pair_state_and_kind(server: Server) -> None:
    congress = await Congress(server).open()
    past = {k: v for k, v in congress.tribute().items() if k not in ("faction_id", "character_id")}
    past |= {"starts_at": -900 * DAY, "closed_at": -800 * DAY, "name": "Old"}
    await congress.call(congress.owner, "POST", "/import", json=past)
    await congress.signed(name="New")
    ash, oak = str(congress.factions["Ash"]), str(congress.factions["Oak"])
    await congress.call(
        "Oak", "POST", "", json=congress.acts("Oak", name="With Oak", kind="trade", parties=[ash, oak])
    )
    for params, names in (
        ({}, ["New", "Old", "With Oak"]), ({"faction": oak}, ["With Oak"]), ({"kind": "tribute"}, ["New", "Old"]),
        ({"faction": ash, "other": str(congress.factions["Elm"])}, ["New", "Old"]), ({"state": "draft"}, ["With Oak"]),
        ({"open": True}, ["New", "With Oak"]), ({"open": False}, ["Old"]),
        ({"faction": str(uuid.uuid4())}, []),
    ):  # fmt: skip
        listed = await congress.call("Oak", "GET", "", params=params)
        assert sorted(t["name"] for t in listed["items"]) == names, params
    seen: list[str] = []
    cursor = None
    while True:
        page = await congress.call(
            "Oak", "GET", "", params={"limit": 1, **({"cursor": cursor} if cursor else {})}
        )
        seen += [t["name"] for t in page["items"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert sorted(seen) == ["New", "Old", "With Oak"]


async def test_a_secret_treaty_is_not_there_for_others(server: Server) -> None:
    congress = await Congress(server).open()
    treaty = await congress.signed(secret=True)
    for who, count in (("Ash", 1), ("Elm", 1), (congress.owner, 1), ("Oak", 0)):
        assert len((await congress.call(who, "GET", ""))["items"]) == count
        story = await congress.ask(who, "GET", f"/{treaty}/timeline")
        assert story.status_code == (200 if count else 404)
    is_problem(await congress.ask("Oak", "GET", f"/{treaty}"), 404, "treaty_not_found")
    for act, more in (
        ("sign", {}), ("reject", {}), ("withdraw", {}), ("suspend", {}), ("terminate", {}), ("renew", {}),
        ("accuse", {"accused_id": str(congress.factions["Ash"]), "clause": 1}),
    ):  # fmt: skip
        answer = await congress.ask("Oak", "POST", f"/{treaty}/{act}", json=congress.acts("Oak", **more))
        is_problem(answer, 404, "treaty_not_found")
    draft = {**congress.tribute("Oak"), "parties": [str(f) for f in congress.factions.values()]}
    is_problem(await congress.ask("Oak", "PUT", f"/{treaty}", json=draft), 404, "treaty_not_found")
    await congress.call(congress.owner, "POST", f"/{treaty}/reveal", json={"how": "a drunken clerk"})
    assert (await congress.call("Oak", "GET", f"/{treaty}"))["clauses"][0]["type"] == "pay"
    told = (await congress.call("Oak", "GET", f"/{treaty}/timeline"))["items"]
    assert [item["type"] for item in told] == ["diplomacy.treaty_revealed"]


async def test_two_players_sign_at_once(server: Server) -> None:
    """Whoever is second brings it into force, once; the sum that is due then is paid once."""
    congress = await Congress(server).open()
    ash, elm = (str(congress.factions[n]) for n in ("Ash", "Elm"))
    clause = {"type": "pay", "from_id": ash, "to_id": elm, "amount": 5}
    treaties = [await congress.proposed(name=f"T{n}", clauses=[clause]) for n in range(6)]
    signing = [
        congress.ask(name, "POST", f"/{treaty}/sign", json=congress.acts(name))
        for treaty in treaties for name in ("Ash", "Elm", "Ash")
    ]  # fmt: skip
    answers = await asyncio.gather(*signing)
    for n, treaty in enumerate(treaties):
        three = answers[3 * n : 3 * n + 3]
        assert sorted(a.status_code for a in three) == [200, 200, 409]
        assert [a.json()["code"] for a in three if a.status_code == 409] == ["already_signed"]
        states = {a.json()["result"]["state"] for a in three if a.status_code == 200}
        assert states == {"signed_partly", "in_force"}
        assert (await congress.call("Oak", "GET", f"/{treaty}"))["state"] == "in_force"
    rows = await server.fetch(
        "SELECT count(*) AS n FROM events WHERE world_id = $1 AND type = 'diplomacy.treaty_in_force'",
        congress.world_id,
    )
    assert rows[0]["n"] == 6
    rows = await server.fetch(
        "SELECT balance FROM ledger_accounts WHERE world_id = $1 AND owner_id = $2",
        congress.world_id, congress.factions["Elm"],
    )  # fmt: skip
    assert rows[0]["balance"] == 100 + 6 * 5
    assert [f for f in await server.findings() if str(congress.world_id) in f] == []


async def test_refusals_have_names(server: Server) -> None:
    congress = await Congress(server).open()
    clerk = (await congress.do(CreateCharacter(name="Clerk", user_id=congress.players["Ash"].id))).id
    await congress.do(AddMember(faction_id=congress.factions["Ash"], member_id=clerk))
    treaty = await congress.proposed()
    dear = await congress.proposed(
        clauses=[
            {"type": "pay", "from_id": str(congress.factions["Ash"]), "to_id": str(congress.factions["Elm"]),
             "amount": 101}
        ]
    )  # fmt: skip
    await congress.call("Ash", "POST", f"/{dear}/sign", json=congress.acts("Ash"))
    ash, elm = (str(congress.factions[n]) for n in ("Ash", "Elm"))
    sing = [{"type": "sing"}]
    observer = await server.member(congress.world_id, congress.owner, "observer")
    cases: list[tuple[str | Person, str, Any, int, str]] = [
        ("Ash", "", congress.tribute(parties=[ash, ash]), 422, "treaty_with_oneself"),
        ("Ash", "", congress.tribute(parties=[ash]), 422, "treaty_with_oneself"),
        ("Ash", "", congress.tribute(clauses=sing), 422, "clause_unknown"),
        ("Ash", "", congress.tribute(clauses=congress.tribute()["clauses"] * 2), 409, "clauses_contradict"),
        ("Ash", "", congress.tribute(starts_at=-DAY), 422, "dates_wrong"),
        ("Ash", "", congress.tribute(character_id=str(clerk)), 403, "role_may_not"),
        ("Ash", "", congress.tribute(character_id=None), 422, "name_who_acts"),
        ("Oak", "", congress.tribute(), 403, "not_your_character"),
        ("Oak", f"/{treaty}/sign", congress.acts("Oak"), 409, "not_a_party"),
        ("Oak", f"/{treaty}/sign", {**congress.acts("Oak"), "faction_id": ash}, 409, "not_a_member"),
        ("Elm", f"/{dear}/sign", congress.acts("Elm"), 409, "amount_not_covered"),
        ("Ash", f"/{dear}/sign", congress.acts("Ash"), 409, "already_signed"),
        ("Ash", f"/{treaty}/renew", congress.acts("Ash"), 409, "treaty_not_open"),
        ("Ash", f"/{uuid.uuid4()}/sign", congress.acts("Ash"), 404, "treaty_not_found"),
        ("Ash", "/import", {"name": "x", "parties": [ash, elm]}, 403, "role_too_low"),
        ("Ash", f"/{treaty}/reveal", {}, 403, "role_too_low"),
        (congress.owner, f"/{treaty}/reveal", {}, 409, "treaty_not_open"),
        (observer, "", congress.tribute(), 403, "role_too_low"),
        (await server.person(), f"/{treaty}/sign", congress.acts("Ash"), 404, "world_not_found"),
    ]
    for who, path, body, status, code in cases:
        is_problem(await congress.ask(who, "POST", path, json=body), status, code)
    await congress.do(GrantTreasury(faction_id=congress.factions["Ash"], amount=1, reason="taxes"))
    done = await congress.call("Elm", "POST", f"/{dear}/sign", json=congress.acts("Elm"))
    assert done["result"]["state"] == "in_force"
