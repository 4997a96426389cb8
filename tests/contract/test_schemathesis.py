"""Schemathesis against the whole document: nothing breaks, and every answer is one that is documented.

The seed is fixed, so that a failure comes again. Each operation gets a world of its own, as some end theirs.
"""

import asyncio
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from fablewright.gateway.openapi import operations
from tests.api.prepared import Prepared, prepare
from tests.support import Server

CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance,
    response_headers_conformance,
]  # fmt: skip
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
SHARES = 4
"""Into so many tests the operations are dealt out: each ends soon, also on a slow machine."""


def cases(operation: Any, mode: GenerationMode, ids: dict[str, str]) -> st.SearchStrategy[Any]:
    """Cases of an operation: half of them, where it can be, with the ids of what there is."""
    wild = operation.as_strategy(mode)
    fixed = {p.name: ids[p.name] for p in operation.path_parameters if p.name in ids}
    return st.one_of(operation.as_strategy(mode, path_parameters=fixed), wild) if fixed else wild


def octets(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")


class Sender:
    """Sends cases from a thread to the application in the event loop."""

    def __init__(self, server: Server, headers: dict[str, str]):
        self.server = server
        self.headers = headers
        self.loop = asyncio.get_running_loop()

    def send(self, case: Any) -> httpx.Response:
        kwargs = case.as_transport_kwargs(base_url="http://test", headers=self.headers)
        known = ("method", "url", "headers", "params", "data", "json", "files", "cookies")
        made = requests.Request(**{k: v for k, v in kwargs.items() if k in known}).prepare()
        assert made.method is not None and made.url is not None
        headers = [(octets(name), octets(value)) for name, value in made.headers.items()]
        body: Any = made.body
        asked = self.server.client.request(made.method, made.url, headers=headers, content=body, timeout=30)
        return asyncio.run_coroutine_threadsafe(asked, self.loop).result()


def explore(operation: Any, ids: dict[str, str], sender: Sender, many: int) -> tuple[list[str], set[int]]:
    """Send many cases; what is wrong with their answers, and which statuses these had."""
    wrong: dict[str, str] = {}
    statuses: set[int] = set()
    bounded = settings(
        max_examples=many, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip

    def run(case: Any) -> None:
        case.headers.pop("Authorization", None)
        if mode is GenerationMode.POSITIVE and isinstance(case.body, dict):
            case.body |= {name: ids[name] for name in ("initiator_id", "target_id") if name in case.body}
        response = sender.send(case)
        statuses.add(response.status_code)
        try:
            case.validate_response(response, checks=CHECKS)
        except FailureGroup as group:
            for failure in group.exceptions:
                wrong.setdefault(f"{type(failure).__name__} {response.status_code}", str(group)[:3000])

    for mode in MODES:
        try:
            bounded(given(cases(operation, mode, ids))(run))()
        except Unsatisfiable:  # an operation that takes nothing cannot be called wrongly
            assert mode is GenerationMode.NEGATIVE
    return [f"{operation.label}: {kind}\n{text}" for kind, text in wrong.items()], statuses


@pytest.fixture
async def schema(server: Server) -> Any:
    document = (await server.client.get("/openapi.json")).json()
    return schemathesis.openapi.from_dict(document)


async def run_share(
    server: Server, schema: Any, share: int, many: int, *, signed_in: bool
) -> dict[str, set[int]]:
    """Explore a share of the operations, what deletes last; the statuses each answered with.

    Fails if an answer was not as documented.
    """
    wrong: list[str] = []
    answered = {}
    everything = [found.ok() for found in schema.get_all_operations()]
    ordered = sorted(everything, key=lambda found: found.method == "delete")
    for number, operation in enumerate(ordered[share::SHARES]):
        if number % 10 == 0:  # some sign out, leave the world, or keep it busy
            world = await prepare(server)
        sender = Sender(server, world.owner.headers if signed_in else {})
        failures, answered[operation.label] = await asyncio.to_thread(
            explore, operation, world.ids, sender, many
        )
        wrong += failures
    assert not wrong, f"{len(wrong)} kinds of failures:\n\n" + "\n\n".join(wrong)
    return answered


@pytest.mark.uncounted
@pytest.mark.parametrize("share", range(SHARES))
async def test_every_answer_is_documented(server: Server, schema: Any, share: int) -> None:
    answered = await run_share(server, schema, share, 4, signed_in=True)
    reached = {label for label, statuses in answered.items() if any(s < 300 for s in statuses)}
    assert len(reached) > len(answered) / 3, sorted(answered.keys() - reached)


# What refuses its example, and how: these need a secret, or something that is not always there.
NOT_BY_EXAMPLE = {
    "get_journey": "not_travelling", "cancel_travel": "not_travelling", "add_faction_member": "already_a_member",
    "reach_objective": "objective_not_open",
    "refresh": "token_invalid", "change_password": "password_wrong", "erase_account": "password_wrong",
    "stop_advance": "not_advancing", "replay_dead_letter": "dead_letter_not_found",
    "drop_dead_letter": "dead_letter_not_found", "leave_world": "last_owner", "get_weather": "no_weather",
    "open_account": "account_exists", "lift_ban": "not_banned",
    "lift_ban_everywhere": "not_banned", "reverse_award": "not_an_award",
    "answer_call": "no_call",
    "reveal_treaty": "treaty_not_open",
    "accept_quest": "quest_already_taken", "decline_quest": "quest_not_offered",
}  # fmt: skip


@pytest.mark.uncounted
async def test_every_example_works(server: Server) -> None:
    """Each operation with its example as body and the ids of what there is; what deletes comes last.

    What is refused in a world that the others have changed gets a new one, in which the next are tried, too.
    """
    document = (await server.client.get("/openapi.json")).json()
    answered = {}
    world, new = await prepare(server), True
    for path, method, operation in sorted(operations(document), key=lambda found: found[1] == "delete"):
        name = operation["operationId"]
        answered[name] = await by_example(server, world, path, method, operation)
        if answered[name] and not new:
            world = await prepare(server)
            answered[name] = await by_example(server, world, path, method, operation)
        new = False
    assert {name: code for name, code in answered.items() if code} == NOT_BY_EXAMPLE


async def by_example(
    server: Server, world: Prepared, path: str, method: str, operation: dict[str, Any]
) -> str:  # fmt: skip
    """The code with which an operation refuses its example; nothing if it works."""
    body, url = world.body(path, operation), world.url(path, operation)
    answer = await server.client.request(method, url, json=body, headers=world.owner.headers)
    if not answer.is_success:
        return str(answer.json()["code"])
    assert str(answer.status_code) in operation["responses"]
    return ""


@pytest.mark.uncounted
@pytest.mark.parametrize("share", range(SHARES))
async def test_every_answer_to_strangers_is_documented(server: Server, schema: Any, share: int) -> None:
    answered = await run_share(server, schema, share, 1, signed_in=False)
    public = {label for label, statuses in answered.items() if any(s < 300 for s in statuses)}
    assert public <= {
        "POST /api/v1/auth/register", "POST /api/v1/auth/login", "GET /health/live", "GET /health/ready",
        "GET /metrics", "GET /openapi.json", "GET /docs",
    }  # fmt: skip
