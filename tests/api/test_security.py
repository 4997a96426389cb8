"""Who may do what at every door. Routes and commands are listed by the code itself, so a new one is covered.

A new command of worlds needs a line in `PAYLOADS`, a new public route one in `PUBLIC`; until then tests fail.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx
import jwt
import orjson
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from fablewright.core.actors import Role
from fablewright.core.messages import Command
from fablewright.gateway.openapi import operations
from fablewright.systems.accounts.commands import CreateApiKey
from tests.api.helpers import is_problem
from tests.api.prepared import Prepared, prepare
from tests.support import Person, Server

PUBLIC = {
    "register", "log_in", "refresh", "health_live", "health_ready", "prometheus_metrics", "openapi_json",
    "docs_page",
}  # fmt: skip
"""What needs no signing in."""

PRIVATE = {
    "evaluate_offer": "offers_are_private",
    "get_memory": "memories_are_private", "recall_memories": "memories_are_private",
    **dict.fromkeys(
        ("list_accounts", "get_balance", "read_statement", "get_transfer", "list_holds", "get_hold", "list_stock"),
        "account_is_private",
    ),
}  # fmt: skip
"""What only game masters and those concerned may read, and how others are refused."""
OBSERVERS_MAY_NOT_READ = {
    "list_dead_letters", "check_integrity", "get_backfill", "list_removals", "list_verdicts", "get_verdict",
    "list_quest_templates", *PRIVATE,
}  # fmt: skip
NOTHING_TO_READ = {(404, "no_weather"), (404, "not_travelling"), (404, "deed_not_found")}
"""What is not always there."""
OBSERVERS_MAY_CHANGE = {"leave_world"}
OBSERVERS_MAY_COMMAND = {"worlds.leave_world"}

CHARACTER = {"character_id": "character_id"}
FACTION = {"faction_id": "faction_id"}
PARTY = {"faction_id": "faction_id", "character_id": "character_id"}
TREATY = {"name": "x", "parties": [str(UUID(int=1)), str(UUID(int=2))]}
TALKS = {"negotiation_id": "negotiation_id"}
SUM = {"debit": "mint", "credit": "sink", "currency": "points", "amount": 1}
PAYLOADS: dict[str, dict[str, Any]] = {
    "worlds.update_world": {"name": "x"}, "worlds.delete_world": {}, "worlds.set_clock": {"paused": True},
    "worlds.advance_world": {"by_ms": 1}, "worlds.stop_advance": {}, "worlds.leave_world": {},
    "worlds.set_member": {"user_id": "user_id", "role": "observer"}, "worlds.remove_member": {"user_id": "user_id"},
    "worlds.replay_dead_letter": {"dead_letter_id": str(UUID(int=1))},
    "worlds.drop_dead_letter": {"dead_letter_id": str(UUID(int=1))},
    "characters.create_character": {"name": "x", "kind": "player"},
    "characters.update_character": {**CHARACTER, "status": "away"}, "characters.delete_character": CHARACTER,
    "characters.set_status": {**CHARACTER, "status": "asleep"},
    "regions.define_places": {"places": [{"name": "x"}]}, "regions.remove_place": {"place_id": "place_id"},
    "regions.place_characters": {"placements": [{"character_id": str(UUID(int=1))}]},
    "regions.walk": {**CHARACTER, "place_id": "place_id"},
    "regions.define_regions": {"regions": [{"name": "x"}]}, "regions.remove_region": {"region_id": "region_id"},
    "regions.set_control": {"region_id": "region_id", "controller_id": None},
    "markets.define_goods": {"goods": [{"key": "salt", "name": "Salt", "base_price": 1}]},
    "markets.set_market": {"region_id": "region_id", "good": "grain", "supply": 50},
    "markets.set_stock": {"owner_id": "character_id", "good": "grain", "units": 3},
    "markets.open_route": {
        **CHARACTER, **FACTION, "from_region": "from_region", "to_region": "to_region", "good": "grain", "per_day": 1},
    "markets.close_route": {**CHARACTER, "route_id": "route_id"}, "markets.impose_restriction": {"kind": "embargo"},
    "markets.lift_restriction": {"restriction_id": "restriction_id"},
    "markets.buy": {**CHARACTER, "region_id": "region_id", "good": "grain", "units": 1},
    "markets.sell": {**CHARACTER, "region_id": "region_id", "good": "grain", "units": 1},
    "regions.ban_movement": {"region_id": "region_id"}, "regions.lift_ban": {"ban_id": "ban_id"},
    "travel.travel": {**CHARACTER, "to_region_id": "to_region_id"}, "travel.cancel_travel": CHARACTER,
    "relationships.set_tie": {"source_id": "source_id", "target_id": "target_id", "strength": 0.1},
    "relationships.set_ties": {"ties": [
        {"source_id": str(UUID(int=1)), "target_id": str(UUID(int=2)), "strength": 0.1}]},
    "dialogue.interact": {
        "initiator_id": "initiator_id", "target_id": "target_id", "type": "chat", "content": "Hm"},
    "memory.plant_memory": {**CHARACTER, "text": "x"}, "memory.forget_memory": {"memory_id": "memory_id"},
    "memory.restore_memories": CHARACTER,
    "dialogue.define_interaction_type": {"name": "duel", "definition": {"like": "conflict"}},
    "dialogue.remove_interaction_type": {"name": "duel"},
    "dialogue.set_grammar": {"name": "example", "content": {}}, "dialogue.remove_grammar": {"name": "example"},
    "custom_events.register_event_type": {"type": "game.won", "data_schema": {}},
    "custom_events.remove_event_type": {"type": "game.quest_finished"},
    "custom_events.record_event": {"type": "game.quest_finished", "data": {"quest": "x", "score": 1}},
    "diplomacy.set_relation": {"a_id": "faction_id", "b_id": "other_faction_id", "tension": 1},
    "diplomacy.set_relations": {"relations": [
        {"a_id": str(UUID(int=1)), "b_id": str(UUID(int=2)), "tension": 1}]},
    "diplomacy.add_opinion": {
        "holder_id": "faction_id", "about_id": "other_faction_id", "key": "x", "amount": 1, "reason": "x"},
    "diplomacy.drop_opinion": {
        "holder_id": "faction_id", "about_id": "other_faction_id", "key": "shared_enemy"},
    "diplomacy.propose_treaty": {**TREATY, **PARTY},
    "diplomacy.spy_on_faction": {**PARTY, "target_id": "other_faction_id"},
    "diplomacy.change_draft": {"treaty_id": "treaty_id", **TREATY, **PARTY}, "diplomacy.import_treaty": TREATY,
    "diplomacy.reveal_treaty": {"treaty_id": "treaty_id"},
    "diplomacy.open_negotiation": {**PARTY, "with_ids": [str(UUID(int=1))], "kind": "trade"},
    "diplomacy.make_offer": {**PARTY, **TALKS, "clauses": [{"type": "custom", "text": "x"}]},
    "diplomacy.answer_offer": {**PARTY, **TALKS, "number": 1, "accept": True},
    "diplomacy.persuade": {**PARTY, **TALKS, "other_faction_id": "other_faction_id", "approach": "charm"},
    "diplomacy.deliberate": {**PARTY, **TALKS}, "diplomacy.walk_out": {**PARTY, **TALKS},
    "diplomacy.report_incident": {
        **CHARACTER, "kind": "insult", "injured_id": "faction_id", "accused_id": "accused_id", "severity": 0.1},
    "diplomacy.answer_incident": {**CHARACTER, "incident_id": "incident_id", "answer": "apology"},
    **{f"diplomacy.{act}_incident": {**CHARACTER, "incident_id": "incident_id"} for act in ("settle", "escalate")},
    "diplomacy.declare_war": {**CHARACTER, "attacker_id": "attacker_id", "defender_id": "defender_id"},
    "diplomacy.import_incident": {
        "kind": "insult", "injured_id": "faction_id", "accused_id": "accused_id", "severity": 0.1},
    "diplomacy.import_sanction": {
        "target_id": "other_faction_id", "kind": "embargo", "reason": "x",
        "members": [{"faction_id": str(UUID(int=1))}]},
    "diplomacy.import_coalition": {"target_id": "other_faction_id", "members": [{"faction_id": str(UUID(int=1))}]},
    "diplomacy.import_war": {"attacker_id": "attacker_id", "defender_id": "defender_id"},
    "diplomacy.set_warlike": {**FACTION, "exhaustion": 1},
    "diplomacy.call_to_arms": {**PARTY, "war_id": "war_id", "ally_id": "ally_id"},
    "diplomacy.answer_call": {**PARTY, "war_id": "war_id", "come": True},
    "diplomacy.fight_battle": {**PARTY, "war_id": "war_id", "enemy_id": "enemy_id"},
    "diplomacy.make_peace": {**PARTY, "war_id": "war_id"},
    "diplomacy.impose_sanction": {
        **PARTY, "target_id": "other_faction_id", "kind": "embargo", "reason": "x"},
    **{f"diplomacy.{act}_sanction": {**PARTY, "sanction_id": "sanction_id"} for act in ("join", "leave")},
    "diplomacy.issue_ultimatum": {
        **PARTY, "target_id": "other_faction_id", "demands": [{"type": "custom", "text": "x"}],
        "consequence": {"kind": "incident"}},
    "diplomacy.answer_ultimatum": {**CHARACTER, "ultimatum_id": "ultimatum_id", "accept": False},
    "diplomacy.withdraw_ultimatum": {**CHARACTER, "ultimatum_id": "ultimatum_id"},
    "diplomacy.form_coalition": {**PARTY, "target_id": "other_faction_id"},
    **{f"diplomacy.{act}_coalition": {**PARTY, "coalition_id": "coalition_id"} for act in ("join", "leave")},
    "diplomacy.accuse_of_breach": {
        "treaty_id": "treaty_id", **PARTY, "accused_id": "other_faction_id", "clause": 1},
    **{f"diplomacy.{act}": {"treaty_id": "treaty_id", **PARTY} for act in (
        "sign_treaty", "reject_treaty", "withdraw_from_treaty", "suspend_treaty", "terminate_treaty",
        "renew_treaty")},
    "factions.found_faction": {"name": "x"}, "factions.change_faction": {**FACTION, "self_run": True},
    "factions.dissolve_faction": {**FACTION, **CHARACTER}, "factions.leave": CHARACTER,
    "factions.add_member": {**FACTION, **CHARACTER, "member_id": "member_id"},
    "factions.remove_member": {**FACTION, **CHARACTER, "member_id": "member_id"},
    "factions.set_rank": {**FACTION, **CHARACTER, "member_id": "member_id", "rank": "officer"},
    "factions.set_leader": {**FACTION, **CHARACTER, "member_id": "member_id"},
    "factions.grant_treasury": {**FACTION, "amount": 1},
    "factions.spend_treasury": {**FACTION, **CHARACTER, "amount": 1},
    "factions.set_strength": {**FACTION, "strength": 5},
    "factions.muster": {**FACTION, **CHARACTER, "troops": 5},
    "ledger.define_currency": {"code": "gold", "name": "x"},
    "ledger.open_account": {"owner_id": "target_id", "currency": "points"},
    "ledger.limit_account": {"owner_id": "owner_id", "currency": "points", "max_balance": 99},
    "ledger.transfer": SUM, "ledger.transfer_linked": {"transfers": [SUM]}, "ledger.hold": SUM,
    "ledger.post_hold": {"hold_id": "hold_id"}, "ledger.release_hold": {"hold_id": "hold_id"},
    "ledger.reverse_transfer": {"transfer_id": "transfer_id", "reason": "x"},
    "points.review_verdict": {"verdict_id": "verdict_id", "decision": "forgive"},
    "points.define_award_rule": {"key": "race_won", "rule": {"amount": 5}},
    "points.remove_award_rule": {"key": "quest_completed"}, "points.end_bonus": {"bonus_id": "bonus_id"},
    "points.start_bonus": {"name": "x", "multiplier": 2, "until_ms": 10**14}, "points.configure_points": {},
    "points.award": {**CHARACTER, "amount": 1, "reason": "x"},
    "points.award_many": {"awards": [{"character_id": str(UUID(int=1)), "amount": 1, "reason": "x"}]},
    "points.spend": {**CHARACTER, "amount": 1, "reason": "x"},
    "points.give": {"from_id": "from_id", "to_id": "to_id", "amount": 1},
    "points.reverse_award": {"transfer_id": "award_id", "reason": "x"},
    "points.adjust": {**CHARACTER, "amount": 1, "reason": "x"},
    "points.grant_title": {**CHARACTER, "title": "x"},
    "points.revoke_title": {**CHARACTER, "title": "Keeper of the Ferry"},
    "points.restore_standings": {"standings": [{"character_id": str(UUID(int=1))}]},
    "leaderboards.define_board": {"key": "swim", "name": "x", "metric": {"kind": "submitted"}},
    "leaderboards.remove_board": {"key": "ford"}, "leaderboards.lift_ban": {"subject_id": "subject_id"},
    "leaderboards.submit_score": {"key": "ford", "subject_id": "subject_id", "score": 1},
    "leaderboards.remove_entries": {"subject_id": "subject_id", "reason": "x"},
    "leaderboards.restore_entries": {"key": "ford", "number": 1, "starts_at": 0, "ends_at": 9},
    "achievements.define_achievement": {
        "key": "hero", "definition": {"name": "x", "criteria": {"kind": "manual"}}},
    "achievements.remove_achievement": {"key": "hero_of_the_day"},
    "achievements.grant_achievement": {**CHARACTER, "key": "hero_of_the_day"},
    "achievements.restore_standings": {"standings": [
        {"character_id": str(UUID(int=1)), "key": "hero_of_the_day"}]},
    "quests.define_quest": {
        "key": "errand", "definition": {"name": "x", "objectives": [{"key": "a", "name": "x"}]}},
    "quests.remove_quest": {"key": "lost_ferry"},
    "quests.generate_quest": {"template": "parley", "facts": {"from_id": "x", "with_id": "x"}},
    "quests.offer_quest": {"key": "lost_ferry", "taker_ids": [str(UUID(int=1))]},
    "quests.accept_quest": {**CHARACTER, "key": "lost_ferry"},
    "quests.decline_quest": {**CHARACTER, "key": "lost_ferry"},
    "quests.abandon_quest": {**CHARACTER, "key": "lost_ferry"},
    "quests.choose_objective": {**CHARACTER, "key": "lost_ferry", "objective": "tell"},
    "quests.reach_objective": {"key": "lost_ferry", "taker_id": "taker_id", "objective": "hush"},
    "quests.end_quest": {"key": "lost_ferry", "taker_id": "taker_id"},
    "director.configure_director": {"enabled": True}, "weather.set_sky": {"sky": "rain"},
}  # fmt: skip
"""A payload for each command of worlds; values that name an id of `Prepared` stand for that."""


@dataclass
class Cast:
    """A prepared world and everyone who may come to its doors, each by the token they send."""

    server: Server
    world: Prepared
    tokens: dict[str, str]
    people: dict[str, Person]

    async def ask(self, who: str, method: str, path: str, body: Any = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.tokens[who]}"} if who in self.tokens else {}
        return await self.server.client.request(method, path, json=body, headers=headers)

    async def command(self, who: str, kind: str) -> httpx.Response:
        path = f"/api/v1/worlds/{self.world.world_id}/commands"
        return await self.ask(who, "POST", path, self.message(kind))

    def message(self, kind: str) -> dict[str, Any]:
        payload = {
            name: self.world.ids.get(value, value) if isinstance(value, str) else value
            for name, value in PAYLOADS[kind].items()
        }
        return {"type": kind, "payload": payload}

    def listed(self) -> list[type[Command]]:
        """The commands that the generic door takes."""
        return [c for c in self.server.runtime.engine.commands if c.allowed.role is not None]


@pytest.fixture
async def cast(server: Server) -> Cast:
    world = await prepare(server)
    owner, world_id = world.owner, world.world_id
    people = {
        "owner": owner, "stranger": await server.person(),
        "player": await server.member(world_id, owner, "player"),
        "observer": await server.member(world_id, owner, "observer"),
    }  # fmt: skip
    elsewhere = await server.world(owner)
    tokens = {name: person.token for name, person in people.items()}
    tokens["reading key"] = await key(server, owner, scopes=["read"])
    tokens["key of another world"] = await key(server, owner, scopes=["manage"], world_id=elsewhere)
    return Cast(server, world, tokens, people)


async def key(server: Server, owner: Person, **fields: Any) -> str:
    made = await server.do(CreateApiKey(name="bot", **fields), owner.actor)
    return str(made.key)


@pytest.fixture
async def document(server: Server) -> dict[str, Any]:
    found: dict[str, Any] = (await server.client.get("/openapi.json")).json()
    return found


@dataclass
class Asked:
    """A route, and what it answered."""

    name: str
    method: str
    path: str
    answer: httpx.Response

    @property
    def outcome(self) -> tuple[int, str]:
        code = self.answer.json().get("code", "") if self.answer.content[:1] == b"{" else ""
        return self.answer.status_code, code


async def every_route(
    cast: Cast, document: dict[str, Any], who: str, within: str = ""
) -> AsyncIterator[Asked]:
    """Ask every route whose path holds `within` for what its example asks for, the same world throughout."""
    for path, method, operation in operations(document):
        if within not in path or (who == "observer" and operation["operationId"] in OBSERVERS_MAY_CHANGE):
            continue
        body = cast.world.body(path, operation)
        answer = await cast.ask(who, method.upper(), cast.world.url(path, operation), body)
        asked = Asked(operation["operationId"], method, path, answer)
        if not answer.is_success:
            listed = operation["responses"][str(answer.status_code)]["content"]["application/problem+json"]
            assert asked.outcome[1] in listed["examples"], asked  # it is documented
        yield asked


# -- routes --------------------------------------------------------------------------------------------------


async def test_the_public_routes_are_these(document: dict[str, Any]) -> None:
    assert {o["operationId"] for _, _, o in operations(document) if o.get("security") == []} == PUBLIC


@pytest.mark.parametrize("who", ["owner", "reading key", "key of another world", "stranger"])
async def test_whatever_is_refused_is_documented(cast: Cast, document: dict[str, Any], who: str) -> None:
    """Outside of worlds; `every_route` looks at each answer. Signing out comes last, as it ends the token."""
    document["paths"] = dict(sorted(document["paths"].items(), key=lambda p: "logout" in p[0]))
    outcomes = [asked.outcome async for asked in every_route(cast, document, who)]
    assert len(outcomes) > 40
    assert all(status < 500 for status, _ in outcomes)


async def test_nobody_gets_past_a_route_without_a_token(cast: Cast, document: dict[str, Any]) -> None:
    count = 0
    async for asked in every_route(cast, document, "nobody"):
        count += 1
        if asked.name in PUBLIC:
            assert asked.outcome[1] != "not_signed_in", asked.name
        else:
            assert asked.outcome == (401, "not_signed_in"), asked.name
            assert asked.answer.headers["www-authenticate"] == "Bearer"
    assert count > 40


@pytest.mark.parametrize("who", ["stranger", "key of another world"])
async def test_to_strangers_a_world_is_not_there(cast: Cast, document: dict[str, Any], who: str) -> None:
    async for asked in every_route(cast, document, who, "{world_id}"):
        assert asked.outcome == (404, "world_not_found"), asked.name


@pytest.mark.parametrize("who", ["observer", "reading key"])
async def test_observers_only_look(cast: Cast, document: dict[str, Any], who: str) -> None:
    async for asked in every_route(cast, document, who, "{world_id}"):
        if asked.method == "get" and asked.name not in OBSERVERS_MAY_NOT_READ:
            nothing_yet = ((404, "no_weather"), (404, "not_travelling"))
            assert asked.outcome[0] == 200 or asked.outcome in nothing_yet, asked
        else:
            assert asked.outcome == (403, PRIVATE.get(asked.name, "role_too_low")), asked


async def test_a_world_of_others_is_not_told_from_one_that_is_not(cast: Cast) -> None:
    there = await cast.ask("stranger", "GET", f"/api/v1/worlds/{cast.world.world_id}")
    nowhere = await cast.ask("stranger", "GET", f"/api/v1/worlds/{uuid4()}")
    assert {**there.json(), "world_id": ""} == {**nowhere.json(), "world_id": ""}
    assert {k for k in there.headers if k != "x-correlation-id"} == {
        k for k in nowhere.headers if k != "x-correlation-id"
    }


async def test_a_key_bound_to_a_world_knows_no_other(cast: Cast) -> None:
    listed = (await cast.ask("key of another world", "GET", "/api/v1/worlds")).json()["items"]
    assert len(listed) == 1 and listed[0]["id"] != str(cast.world.world_id)
    made = await cast.ask("key of another world", "POST", "/api/v1/worlds", {"name": "x"})
    is_problem(made, 404, "world_not_found")
    made = await cast.ask("reading key", "POST", "/api/v1/worlds", {"name": "x"})
    is_problem(made, 403, "role_too_low")


# -- commands ------------------------------------------------------------------------------------------------


async def test_there_is_a_payload_for_each_command(cast: Cast) -> None:
    assert {c.message_type for c in cast.listed()} == PAYLOADS.keys()
    for kind in cast.listed():
        kind.model_validate(cast.message(kind.message_type)["payload"])


async def test_the_generic_door_checks_like_every_other(cast: Cast) -> None:
    for command in cast.listed():
        kind = command.message_type
        needed = command.allowed.role
        assert needed is not None
        for who, status, code in (
            ("nobody", 401, "not_signed_in"), ("stranger", 404, "world_not_found"),
            ("key of another world", 404, "world_not_found"),
        ):  # fmt: skip
            is_problem(await cast.command(who, kind), status, code)
        is_problem(await cast.command("reading key", kind), 403, "role_too_low")
        if kind not in OBSERVERS_MAY_COMMAND:
            assert needed > Role.OBSERVER
            is_problem(await cast.command("observer", kind), 403, "role_too_low")
        if needed > Role.PLAYER:
            is_problem(await cast.command("player", kind), 403, "role_too_low")


async def test_players_act_only_as_their_own_characters(cast: Cast) -> None:
    acting = [c for c in cast.listed() if c.allowed.acts_as]
    assert {"dialogue.interact", "characters.update_character"} <= {c.message_type for c in acting}
    for command in acting:
        is_problem(await cast.command("player", command.message_type), 403, "not_your_character")
        listed = [cast.message("characters.create_character"), cast.message(command.message_type)]
        path = f"/api/v1/worlds/{cast.world.world_id}/commands"
        problem = is_problem(await cast.ask("player", "POST", path, listed), 403, "not_your_character")
        assert problem["index"] == 1
    own = await cast.command("player", "characters.create_character")
    assert own.json()["result"]["user_id"] == str(cast.people["player"].id)


async def test_commands_of_accounts_have_no_other_door(cast: Cast) -> None:
    outside = [c for c in cast.server.runtime.engine.commands if c.allowed.role is None]
    assert len(outside) > 5
    for command in outside:
        path = f"/api/v1/worlds/{cast.world.world_id}/commands"
        answer = await cast.ask("owner", "POST", path, {"type": command.message_type, "payload": {}})
        is_problem(answer, 422, "command_unknown")


# -- tokens --------------------------------------------------------------------------------------------------


def forged(cast: Cast) -> dict[str, str]:
    good = cast.tokens["owner"]
    claims = jwt.decode(good, options={"verify_signature": False})
    head, body, _ = good.split(".")
    secret = cast.server.runtime.settings.signing_key
    assert secret is not None
    real = secret.get_secret_value()
    return {
        "nothing": "", "no token": "x", "no algorithm": jwt.encode(claims, None, "none"),
        "another key": jwt.encode(claims, "another key that is long enough for it", "HS256"),
        "another algorithm": jwt.encode(claims, real * 2, "HS512"),
        "no signature": f"{head}.{body}.", "cut signature": good[:-5], "two parts": f"{head}.{body}",
        "another user": jwt.encode({**claims, "sub": str(uuid4())}, real, "HS256"),
        "another session": jwt.encode({**claims, "sid": str(uuid4())}, real, "HS256"),
        "no session": jwt.encode({k: v for k, v in claims.items() if k != "sid"}, real, "HS256"),
        "no end": jwt.encode({k: v for k, v in claims.items() if k != "exp"}, real, "HS256"),
        "refresh token": cast.people["owner"].refresh_token, "cut key": cast.tokens["reading key"][:-1],
        "nul": "fw_\x00", "not ascii": "fw_\xe9", "long": "x" * 20_000,
        "system": jwt.encode({**claims, "sub": "system:timer"}, real, "HS256"),
    }  # fmt: skip


async def test_forged_tokens_are_refused(cast: Cast) -> None:
    for name, token in forged(cast).items():
        headers = [(b"authorization", b"Bearer " + token.encode("latin-1"))]
        answer = await cast.server.client.get("/api/v1/account", headers=headers)
        assert is_problem(answer, 401, "token_invalid"), name
        assert not token or len(token) < 3 or token not in answer.text
    for value in ("Basic b3duZXI6b3duZXI=", cast.tokens["owner"], "Bearer", "bearer:" + cast.tokens["owner"]):
        answer = await cast.server.client.get("/api/v1/account", headers={"Authorization": value})
        is_problem(answer, 401, "token_invalid")
    again = {"Authorization": f"bearer  {cast.tokens['owner']}"}
    assert (await cast.server.client.get("/api/v1/account", headers=again)).status_code == 200


async def test_no_token_is_taken_from_a_query_or_cookie(cast: Cast) -> None:
    token = cast.tokens["owner"]
    for options in (
        {"params": {"token": token, "access_token": token}},
        {"headers": {"Cookie": f"token={token}"}},
    ):
        answer = await cast.server.client.get("/api/v1/account", **options)  # type: ignore[arg-type]
        is_problem(answer, 401, "not_signed_in")


# -- WebSocket -----------------------------------------------------------------------------------------------


class Line:
    """A socket, as a test speaks over it."""

    def __init__(self, socket: Any):
        self.socket = socket

    async def say(self, **message: Any) -> None:
        await self.socket.send(orjson.dumps(message).decode())

    async def hear(self) -> Any:
        return orjson.loads(await self.socket.recv())

    async def ended(self) -> tuple[str | None, int]:
        """The last refusal, and the code with which the socket was closed."""
        code = None
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                code = (await self.hear()).get("problem", {}).get("code", code)
        assert closed.value.rcvd is not None
        return code, closed.value.rcvd.code


@pytest.fixture
def address(cast: Cast, live_url: str) -> str:
    return f"{live_url.replace('http', 'ws')}/ws/worlds/{cast.world.world_id}"


async def test_sockets_check_every_command_too(cast: Cast, address: str) -> None:
    for who in ("observer", "reading key", "player"):
        async with connect(address, compression=None) as socket:
            line = Line(socket)
            await line.say(type="auth", token=cast.tokens[who])
            assert (await line.hear())["type"] == "authenticated"
            for command in cast.listed():
                kind = command.message_type
                needed = command.allowed.role
                assert needed is not None
                if who == "player" and needed <= Role.PLAYER and not command.allowed.acts_as:
                    continue
                if kind in OBSERVERS_MAY_COMMAND and who != "reading key":
                    continue
                await line.say(
                    type="command", id=f"{who}-{kind}".replace(" ", "-"), command=cast.message(kind)
                )
                answer = await line.hear()
                code = "role_too_low" if who != "player" or needed > Role.PLAYER else "not_your_character"
                assert (answer["type"], answer["problem"]["code"]) == ("refused", code), (who, kind)


@pytest.mark.parametrize("who", ["stranger", "key of another world"])
async def test_sockets_show_strangers_nothing(cast: Cast, address: str, who: str) -> None:
    async with connect(address, compression=None) as socket:
        line = Line(socket)
        await line.say(type="auth", token=cast.tokens[who])
        assert await line.ended() == ("world_not_found", 4404)


async def test_sockets_do_nothing_for_nobody(cast: Cast, address: str) -> None:
    for message in (
        {"type": "subscribe"}, {"type": "command", "id": "x", "command": cast.message("worlds.update_world")},
    ):  # fmt: skip
        async with connect(f"{address}?token={cast.tokens['owner']}", compression=None) as socket:
            line = Line(socket)
            await line.say(**message)
            assert await line.ended() == ("not_signed_in", 4401)


async def test_sockets_refuse_forged_tokens(cast: Cast, address: str) -> None:
    for name, token in forged(cast).items():
        async with connect(address, compression=None) as socket:
            line = Line(socket)
            await line.say(type="auth", token=token)
            code, closed = await line.ended()
            assert (code in ("token_invalid", "validation_failed"), closed in (4401, 4400)) == (True, True), (
                name
            )
