"""The OpenAPI document: valid, complete, and true to the routes and commands that there are."""

import re
import uuid
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from fastapi import APIRouter
from starlette.routing import Route

from fablewright.app import API
from fablewright.core.refusal import Refusal
from fablewright.gateway import commands as generic_door
from fablewright.gateway import docs, events
from fablewright.gateway.api import example
from fablewright.gateway.front import PROBE_PATHS
from fablewright.gateway.openapi import operations
from fablewright.integration import dashboard, documents, health
from fablewright.systems.accounts.rules import TOKEN_EXPIRED, TOKEN_INVALID
from fablewright.systems.accounts.tokens import Signer
from fablewright.systems.characters.commands import CreateCharacter
from tests.support import Server

EVERYWHERE = {
    "rate_limited": "429", "token_invalid": "401", "token_expired": "401", "body_too_large": "413",
    "malformed_json": "422", "validation_failed": "422", "overloaded": "503", "database_unavailable": "503",
}  # fmt: skip
PROBLEM = "application/problem+json"


@pytest.fixture
async def document(server: Server) -> dict[str, Any]:
    answer = await server.client.get("/openapi.json")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    found: dict[str, Any] = answer.json()
    return found


def refused(document: dict[str, Any], operation: dict[str, Any]) -> dict[str, str]:
    """The codes an operation may be refused with, and the status of each."""
    found = {}
    for status, response in operation["responses"].items():
        for code, shown in response.get("content", {}).get(PROBLEM, {}).get("examples", {}).items():
            value = resolved(document, shown)["value"]
            assert value["code"] == code
            assert str(value["status"]) == status
            found[code] = status
    return found


def resolved(document: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    for name in value.get("$ref", "#").split("/")[1:]:
        document = document[name]
    return document if "$ref" in value else value


def parameters(document: dict[str, Any], operation: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = [resolved(document, p) for p in operation["parameters"]]
    return {p["name"]: p for p in found}


async def test_it_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    schemathesis.openapi.from_dict(document).validate()


async def test_an_invalid_document_would_be_noticed(document: dict[str, Any]) -> None:
    """The validation above really looks: a parameter without a name is wrong."""
    document["paths"]["/health/live"]["get"]["parameters"].append({"in": "query"})
    with pytest.raises(Exception, match=r"valid under|required"):
        schemathesis.openapi.from_dict(document).validate()


async def test_every_route_is_in_it(server: Server, document: dict[str, Any]) -> None:
    wanted = set()
    found: list[Any] = [router for system in server.runtime.systems for router in system.routers]
    found += [generic_door.route, events.router, dashboard.router]
    for prefix, item in [(API, i) for i in found] + [("", health.router), ("", documents.router)]:
        routes: list[Any] = list(item.routes) if isinstance(item, APIRouter) else [item]
        for route in routes:
            assert isinstance(route, Route) or hasattr(route, "methods"), route
            wanted |= {(prefix + route.path, method.lower()) for method in route.methods - {"HEAD"}}
    assert {(path, method) for path, method, _ in operations(document)} == wanted


async def test_operations_are_named_once_and_told(document: dict[str, Any]) -> None:
    names = []
    for path, method, operation in operations(document):
        names.append(operation["operationId"])
        assert re.fullmatch(r"[a-z][a-z0-9_]*", operation["operationId"])
        assert operation["summary"] and operation["description"] and operation["tags"], (method, path)
        for parameter in parameters(document, operation).values():
            assert parameter["description"], (method, path, parameter)
    assert len(names) == len(set(names))


async def test_every_body_has_an_example_that_fits(document: dict[str, Any]) -> None:
    bodies = 0
    for path, method, operation in operations(document):
        for media in operation.get("requestBody", {}).get("content", {}).values():
            bodies += 1
            assert media["examples"], (method, path)
            for shown in media["examples"].values():
                assert is_valid(document, media["schema"], shown["value"]), (method, path, shown)
    assert bodies > 15


def is_valid(document: dict[str, Any], schema: dict[str, Any], value: Any) -> bool:
    whole = {**schema, "components": document["components"]}
    return jsonschema_rs.validator_for(whole).is_valid(value)


async def test_every_operation_lists_what_every_door_refuses(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        listed = refused(document, operation)
        missing = EVERYWHERE.items() - listed.items()
        assert not {m for m in missing if m[1] != "401" or path not in PROBE_PATHS}, (method, path, missing)
        assert "500" not in operation["responses"]
        if path.startswith(API) and operation.get("security") != []:
            assert listed["not_signed_in"] == "401"
        if "{world_id}" in path:
            assert listed["world_not_found"] == "404"
            assert listed["role_too_low"] == "403"
        if method == "get":
            assert not {"idempotency_key_reused", "contended", "not_your_character"} & listed.keys()


async def test_every_refusal_of_a_command_is_listed(server: Server, document: dict[str, Any]) -> None:
    door = refused(document, document["paths"][API + "/worlds/{world_id}/commands"]["post"])
    for command in server.runtime.engine.commands:
        if command.allowed.role is not None:
            assert {r.code for r in command.refusals} <= door.keys(), command
    route = refused(document, document["paths"][API + "/worlds/{world_id}/characters"]["post"])
    assert {r.code for r in CreateCharacter.refusals} <= route.keys()


async def test_what_stands_in_it_is_what_is_sent(server: Server, document: dict[str, Any]) -> None:
    for token, refusal in (("nonsense", TOKEN_INVALID), (expired(server), TOKEN_EXPIRED)):
        assert isinstance(refusal, Refusal)
        answer = await server.client.get(API + "/account", headers={"Authorization": f"Bearer {token}"})
        shown = resolved(document, document["paths"][API + "/account"]["get"]["responses"]["401"])
        value = resolved(document, shown["content"][PROBLEM]["examples"][refusal.code])["value"]
        assert value == example(refusal)
        assert answer.status_code == 401
        assert answer.json() == value


async def test_probes_do_not_ask_who_it_is(server: Server, document: dict[str, Any]) -> None:
    for path in ("/health/live", "/health/ready", "/metrics"):
        assert "401" not in document["paths"][path]["get"]["responses"]
        answer = await server.client.get(path, headers={"Authorization": "Bearer nonsense"})
        assert answer.status_code in (200, 503)


def expired(server: Server) -> str:
    key = server.runtime.settings.signing_key
    assert key is not None
    return Signer(key.get_secret_value().encode(), -10).sign(uuid.uuid4(), uuid.uuid4())


async def test_headers_are_documented(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        names = parameters(document, operation)
        assert "X-Correlation-Id" in names
        responses = operation["responses"]
        assert "Retry-After" in responses["429"]["headers"]
        assert "Retry-After" in responses["503"]["headers"]
        if method == "get":
            assert "If-None-Match" in names and "ETag" in responses["200"]["headers"], path
            assert "304" in responses
            assert "Idempotency-Key" not in names
        else:
            takes = "idempotency_key_reused" in refused(document, operation)
            assert ("Idempotency-Key" in names) == takes, (method, path)
            success = next(r for s, r in responses.items() if s.startswith("2"))
            assert ("Idempotency-Replayed" in success["headers"]) == takes
    secret = {"register", "log_in", "refresh", "change_password", "erase_account", "create_api_key"}
    without = {
        o["operationId"]
        for _, m, o in operations(document)
        if m != "get" and "Idempotency-Key" not in parameters(document, o)
    }
    assert without == secret


async def test_the_page_needs_nothing_from_outside(server: Server, document: dict[str, Any]) -> None:
    answer = await server.client.get("/docs")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers.get_list("content-security-policy") == [
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    ]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"<script|<link|<img|<iframe|\bon\w+=|src=|https?://", answer.text)
    for path, _, operation in operations(document):
        assert f"<code>{path}</code>" in answer.text
        assert operation["summary"] in answer.text


def test_the_page_escapes_everything() -> None:
    evil = "<script>alert('&\"')</script>"
    document = {
        "info": {"title": evil, "version": evil, "description": evil}, "components": {"parameters": {}},
        "paths": {f"/{evil}": {"post": {
            "tags": [evil], "summary": evil, "description": evil,
            "parameters": [{"name": evil, "in": evil, "description": evil}],
            "requestBody": {"content": {evil: {"examples": {evil: {"value": {evil: evil}}}}}},
            "responses": {evil: {"description": evil}},
        }}},
    }  # fmt: skip
    page = docs.render(document).decode()
    assert page.count("&lt;script&gt;") > 10
    assert "<script" not in page and "alert('" not in page
