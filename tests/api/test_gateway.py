"""The front door for HTTP: problems, limits, headers, bodies, keys, pages, bugs."""

import gzip
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import orjson
import pytest

from fablewright.gateway import limits
from tests.api.helpers import characters, is_problem, node
from tests.support import Person, Server, until

JSON = {"Content-Type": "application/json"}


# -- wrong requests ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [b'{"name":', b"", b"name=x", b'{"name":"\xff"}', b'{"name":1' + b"0" * 5_000 + b"}", b"[" * 100_000],
)
@pytest.mark.parametrize(("method", "path"), [("PATCH", ""), ("POST", "/commands")])
async def test_what_is_no_json(
    server: Server, owner: Person, world: str, method: str, path: str, content: bytes
) -> None:
    answer = await server.client.request(
        method, world + path, content=content, headers={**owner.headers, **JSON}
    )
    if content == b"" and path == "":
        is_problem(answer, 422, "validation_failed")  # a body that is missing is a field that is missing
    else:
        is_problem(answer, 422, "malformed_json")
    assert "name" not in answer.text.replace("body.name", "")


async def test_validation_lists_every_field_and_repeats_nothing(server: Server, owner: Person) -> None:
    body = {"name": ["5entinel"], "seed": "5entinel", "rate": "5entinel", "calendar": {"months": "5entinel"}}
    answer = await server.client.post("/api/v1/worlds", json=body, headers=owner.headers)
    problem = is_problem(answer, 422, "validation_failed")
    assert [e["field"] for e in problem["errors"]] == [
        "body.name", "body.seed", "body.rate", "body.calendar.months"
    ]  # fmt: skip
    assert all(e.keys() == {"field", "message", "type"} for e in problem["errors"])
    assert problem["detail"].startswith("body.name: ") and problem["detail"].endswith("(and 3 more)")
    assert "5entinel" not in answer.text


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b'{"settings":{"a":"\\u0000"}}', "text_not_storable"), (b'{"name":"a\\u0000b"}', "text_not_storable"),
        (b'{"settings":{"a":"\\ud800"}}', "validation_failed"), (b'{"settings":{"\\udfff":1}}', "validation_failed"),
        (b'{"name":"\\ud800"}', "validation_failed"), (b'{"settings":{"a":NaN}}', "validation_failed"),
        (b'{"settings":{"a":-Infinity}}', "validation_failed"), (b'{"settings":{"a":1e999}}', "validation_failed"),
        (b'{"settings":{"a":18446744073709551616}}', "validation_failed"),
        (b'{"settings":' + b'{"a":' * 64 + b"1" + b"}" * 65, "validation_failed"),
        (b'{"settings":' + b'{"a":' * 400 + b"1" + b"}" * 401, "validation_failed"),
        (b'{"description":' + b"9" * 300 + b"}", "validation_failed"),
    ],
)  # fmt: skip
async def test_what_cannot_be_stored_is_refused_by_name(
    server: Server, owner: Person, world: str, content: bytes, code: str
) -> None:
    answer = await server.client.patch(world, content=content, headers={**owner.headers, **JSON})
    is_problem(answer, 422, code)
    door = b'{"type":"worlds.update_world","payload":' + content + b"}"
    answer = await server.client.post(world + "/commands", content=door, headers={**owner.headers, **JSON})
    # The door's parser knows no NaN and no halves of pairs, and reads huge numbers as fractions.
    assert answer.status_code in (200, 422), answer.text
    if answer.status_code == 422:
        assert answer.json()["code"] in (code, "malformed_json")
    assert (await server.client.get(world, headers=owner.headers)).status_code == 200
    assert (await server.client.get(world + "/events", headers=owner.headers)).status_code == 200


@pytest.mark.parametrize(
    "path", ["/characters?q=%00", "/characters?prefix=a%00b", "/events?types=a%00", "?x=%00"]
)
async def test_a_nul_in_a_query_breaks_nothing(server: Server, owner: Person, world: str, path: str) -> None:
    answer = await server.client.get(world + path, headers=owner.headers)
    assert answer.status_code in (200, 422), answer.text


async def test_of_a_field_that_comes_twice_the_last_counts(server: Server, owner: Person, world: str) -> None:
    for path, content in (
        ("", b'{"name":"first","name":"second"}'),
        ("/commands", b'{"type":"x","type":"worlds.update_world","payload":{"name":"a","name":"second"}}'),
    ):
        method = "POST" if path else "PATCH"
        answer = await server.client.request(
            method, world + path, content=content, headers={**owner.headers, **JSON}
        )
        assert answer.status_code == 200, answer.text
        assert (await server.client.get(world, headers=owner.headers)).json()["name"] == "second"


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None]
)
async def test_a_body_must_say_that_it_is_json(
    server: Server, owner: Person, world: str, content_type: str | None
) -> None:
    headers = {**owner.headers, **({"Content-Type": content_type} if content_type else {})}
    answer = await server.client.patch(world, content=b'{"name":"x"}', headers=headers)
    is_problem(answer, 422, "validation_failed")


@pytest.mark.parametrize(
    "bad", ["nonsense", "123", "00000000-0000-0000-0000-00000000000g", "%00", "%F0%9F%90%89"]
)
async def test_ids_that_are_none(server: Server, owner: Person, world: str, bad: str) -> None:
    for path, code in (
        (f"/api/v1/worlds/{bad}", None),
        (f"/api/v1/worlds/{bad}/characters/{uuid4()}", "world_not_found"),
        (f"{world}/characters/{bad}", "character_not_found"),
        (f"{world}/advances/{bad}", None),
    ):
        answer = await server.client.get(path, headers=owner.headers)
        is_problem(answer, 404 if code else 422, code or "validation_failed")


@pytest.mark.parametrize(
    "path", ["/", "/nope", "/api/v1/nope", "/api/v1/worlds/", "/api/v1", "//", "/docs/", "/ws/worlds/x"]
)
async def test_nothing_is_there(server: Server, path: str) -> None:
    problem = is_problem(await server.client.get(path), 404, "route_not_found")
    assert "/docs" in problem["title"]


async def test_wrong_methods_are_told_the_right_ones(server: Server, owner: Person, world: str) -> None:
    for method, path, right in (
        ("PUT", world, "DELETE, GET, HEAD, PATCH"), ("GET", world + "/commands", "POST"),
        ("POST", f"{world}/characters/{uuid4()}", "DELETE, GET, HEAD, PATCH"), ("POST", "/metrics", "GET, HEAD"),
        ("OPTIONS", "/api/v1/worlds", "GET, HEAD, POST"),
    ):  # fmt: skip
        answer = await server.client.request(method, path, headers=owner.headers)
        is_problem(answer, 405, "method_not_allowed")
        assert answer.headers["allow"] == right


async def test_unheard_of_methods_do_not_fill_the_metrics(server: Server) -> None:
    answer = await server.client.request("BREW", "/health/live")
    is_problem(answer, 405, "method_not_allowed")
    text = (await server.client.get("/metrics")).text
    assert 'method="OTHER"' in text and "BREW" not in text


async def test_head_is_get_without_the_body(server: Server, owner: Person, world: str) -> None:
    (made,) = await characters(server, owner, world, 1)
    for path in (world, f"{world}/characters/{made}", "/health/live", "/openapi.json"):
        got = await server.client.get(path, headers=owner.headers)
        head = await server.client.head(path, headers=owner.headers)
        assert (head.status_code, head.content) == (200, b"")
        for header in ("content-type", "content-length", "etag", "content-encoding"):
            assert head.headers.get(header) == got.headers.get(header)
    is_problem_head = await server.client.head(f"/api/v1/worlds/{uuid4()}", headers=owner.headers)
    assert (is_problem_head.status_code, is_problem_head.content) == (404, b"")


# -- headers -------------------------------------------------------------------------------------------------


async def test_security_headers_stand_on_every_answer(server: Server, owner: Person, world: str) -> None:
    (made,) = await characters(server, owner, world, 1)
    wanted = {
        "x-content-type-options": "nosniff", "referrer-policy": "no-referrer", "x-frame-options": "DENY",
        "cache-control": "no-store, private",
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    }  # fmt: skip
    for path in (world, f"{world}/characters/{made}", "/nope", "/health/live", "/metrics", "/api/v1/account"):
        answer = await server.client.get(path, headers=owner.headers)
        for name, value in wanted.items():
            assert answer.headers.get_list(name) == [value], (path, name)
        assert "strict-transport-security" not in answer.headers
        assert "server" not in answer.headers
    async with node(server, environment="production") as client:
        assert (await client.get("/health/live")).headers["strict-transport-security"] == "max-age=63072000"


async def test_an_answer_that_has_not_changed_is_not_sent_again(
    server: Server, owner: Person, world: str
) -> None:
    (made,) = await characters(server, owner, world, 1)
    for path in (world, f"{world}/characters/{made}"):
        first = await server.client.get(path, headers=owner.headers)
        etag = first.headers["etag"]
        for wanted in (etag, f'"other", {etag}'):
            again = await server.client.get(path, headers={**owner.headers, "If-None-Match": wanted})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
            assert "content-length" not in again.headers
        other = await server.client.get(path, headers={**owner.headers, "If-None-Match": '"other"'})
        assert (other.status_code, other.json()) == (200, first.json())
    await server.client.patch(world, json={"name": "new"}, headers=owner.headers)
    changed = await server.client.get(world, headers={**owner.headers, "If-None-Match": etag})
    assert changed.status_code == 200
    written = await server.client.patch(world, json={"name": "new"}, headers=owner.headers)
    refused = await server.client.get("/api/v1/account")
    assert "etag" not in written.headers and "etag" not in refused.headers


async def test_large_answers_are_compressed_for_who_understands(
    server: Server, owner: Person, world: str
) -> None:
    await server.client.patch(world, json={"settings": {"text": "x" * 5_000}}, headers=owner.headers)
    plain = await server.client.get(world, headers={**owner.headers, "Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers and len(plain.content) > 5_000
    refusing = await server.client.get(world, headers={**owner.headers, "Accept-Encoding": "gzip;q=0"})
    assert "content-encoding" not in refusing.headers
    asking = {**owner.headers, "Accept-Encoding": "br, gzip"}
    async with server.client.stream("GET", world, headers=asking) as answer:
        raw = b"".join([part async for part in answer.aiter_raw()])
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["vary"] == "Accept-Encoding"
    assert int(answer.headers["content-length"]) == len(raw) < 1_000
    assert gzip.decompress(raw) == plain.content
    assert answer.headers["etag"] == plain.headers["etag"]
    small = await server.client.get("/health/live", headers=asking)
    assert "content-encoding" not in small.headers


async def test_cors_only_for_the_origins_that_are_named(server: Server) -> None:
    origin, preflight = {"Origin": "https://game.example"}, {"Access-Control-Request-Method": "POST"}
    answer = await server.client.get("/health/live", headers=origin)
    assert "access-control-allow-origin" not in answer.headers
    is_problem(
        await server.client.options("/api/v1/worlds", headers={**origin, **preflight}),
        405,
        "method_not_allowed",
    )
    async with node(server, cors_origins=["https://game.example"]) as client:
        answer = await client.get("/health/live", headers=origin)
        assert answer.headers["access-control-allow-origin"] == "https://game.example"
        assert "Idempotency-Replayed" in answer.headers["access-control-expose-headers"]
        asked = await client.options(
            "/api/v1/worlds",
            headers={
                **origin,
                **preflight,
                "Access-Control-Request-Headers": "authorization, idempotency-key",
            },
        )
        assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (
            200,
            "https://game.example",
        )
        assert "idempotency-key" in asked.headers["access-control-allow-headers"]
        stranger = await client.get("/health/live", headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in stranger.headers
        is_problem(await client.get("/nope", headers=origin), 404, "route_not_found")


async def test_a_correlation_id_goes_through(server: Server, owner: Person, world: str) -> None:
    wanted = str(uuid4())
    answer = await server.client.patch(
        world, json={"name": "x"}, headers={**owner.headers, "X-Correlation-Id": wanted}
    )
    assert answer.headers["x-correlation-id"] == wanted
    events = (await server.client.get(world + "/events", headers=owner.headers)).json()["events"]
    assert events[-1]["correlation_id"] == wanted
    for invalid in ("nonsense", wanted + "0", "{" + wanted + "}", wanted.replace("-", ""), ""):
        answer = await server.client.get(world, headers={**owner.headers, "X-Correlation-Id": invalid})
        assert answer.headers["x-correlation-id"] != invalid
        UUID(answer.headers["x-correlation-id"])


# -- bodies --------------------------------------------------------------------------------------------------


async def parts(size: int, count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * size


@pytest.mark.parametrize(("method", "path"), [("PATCH", ""), ("POST", "/commands")])
async def test_bodies_over_the_limit(
    server: Server, owner: Person, world: str, method: str, path: str
) -> None:
    headers = {**owner.headers, **JSON}
    async with node(server, max_body_bytes=2_048) as client:
        announced = await client.request(method, world + path, content=b"x" * 2_049, headers=headers)
        problem = is_problem(announced, 413, "body_too_large")
        assert problem["max_bytes"] == 2_048
        chunked = await client.request(method, world + path, content=parts(1_000, 3), headers=headers)
        is_problem(chunked, 413, "body_too_large")
        within = await client.request(method, world + path, content=b"x" * 2_048, headers=headers)
        is_problem(within, 422, "malformed_json")
        for length in ("-1", "9" * 5_000, "1e3"):
            lying = await client.request(method, world + path, headers={**headers, "Content-Length": length})
            is_problem(lying, 413, "body_too_large")


# -- limits --------------------------------------------------------------------------------------------------


@pytest.fixture
def no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """No time passes for rates, however slow the machine is: nothing is allowed again meanwhile."""
    monkeypatch.setattr(limits, "monotonic", lambda: 0.0)


async def allowed(client: httpx.AsyncClient, path: str, most: int, **options: Any) -> int:
    """How many requests pass before one is refused for its rate."""
    for count in range(most):
        answer = await client.get(path, **options)
        if answer.status_code == 429:
            problem = is_problem(answer, 429, "rate_limited")
            assert int(answer.headers["retry-after"]) == problem["retry_after_seconds"] >= 1
            return count
    return most


@pytest.mark.usefixtures("no_time")
async def test_each_actor_has_a_rate(server: Server, owner: Person) -> None:
    other = await server.person()
    async with node(server, rate_limit_per_minute=30) as client:
        assert await allowed(client, "/api/v1/account", 20, headers=owner.headers) == 5
        assert await allowed(client, "/api/v1/account", 3, headers=other.headers) == 3
        assert await allowed(client, "/health/live", 10) == 10  # addresses have a limit of their own


@pytest.mark.usefixtures("no_time")
async def test_each_address_has_a_rate_for_strangers_and_bad_tokens(server: Server, owner: Person) -> None:
    async with node(server, address_limit_per_minute=30) as client:
        bad = {"Authorization": "Bearer nonsense"}
        for _ in range(3):
            is_problem(await client.get("/api/v1/account", headers=bad), 401, "token_invalid")
        assert await allowed(client, "/health/live", 20) == 2
        is_problem(await client.get("/api/v1/account", headers=bad), 429, "rate_limited")
        assert await allowed(client, "/api/v1/account", 20, headers=owner.headers) == 20


@pytest.mark.usefixtures("no_time")
async def test_a_valid_token_does_not_lift_the_limit_on_signing_in(server: Server, owner: Person) -> None:
    async with node(server, address_limit_per_minute=30) as client:
        body = {"login": "nobody-at-all", "password": "some password"}
        codes = [
            (await client.post("/api/v1/auth/login", json=body, headers=owner.headers)).json()["code"]
            for _ in range(6)
        ]
        assert codes == ["credentials_wrong"] * 5 + ["rate_limited"]
        answer = await client.post("/api/v1/auth/logout", headers=owner.headers)
        is_problem(answer, 429, "rate_limited")
        assert (await client.get("/api/v1/account", headers=owner.headers)).status_code == 200


@pytest.mark.usefixtures("no_time")
async def test_forwarded_addresses_are_believed_of_trusted_proxies(server: Server) -> None:
    async with node(
        server, address_limit_per_minute=12, trusted_proxies=["10.0.0.1"], address="10.0.0.1"
    ) as client:
        for one in ("1.1.1.1", "2.2.2.2"):
            assert (
                await allowed(client, "/health/live", 9, headers={"X-Forwarded-For": f"6.6.6.6, {one}"}) == 2
            )
    async with node(
        server, address_limit_per_minute=12, trusted_proxies=["10.0.0.9"], address="10.0.0.1"
    ) as client:
        passed = [
            (await client.get("/health/live", headers={"X-Forwarded-For": f"1.1.1.{n}"})).status_code
            for n in range(4)
        ]
        assert passed == [200, 200, 429, 429]


# -- idempotency, pages --------------------------------------------------------------------------------------


async def test_a_key_runs_a_route_once(server: Server, owner: Person, world: str) -> None:
    headers = {**owner.headers, "Idempotency-Key": "once"}
    first = await server.client.patch(world, json={"name": "a"}, headers=headers)
    again = await server.client.patch(world, json={"name": "a"}, headers=headers)
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json()
    assert ("idempotency-replayed" in first.headers, again.headers["idempotency-replayed"]) == (False, "true")
    is_problem(
        await server.client.patch(world, json={"name": "b"}, headers=headers), 409, "idempotency_key_reused"
    )
    for key in ("", "x" * 201, "é".encode("latin-1"), "a\tb"):
        made = {**owner.headers, "Idempotency-Key": key}
        answer = await server.client.patch(world, json={"name": "b"}, headers=made)  # type: ignore[arg-type]
        is_problem(answer, 422, "idempotency_key_invalid")
    assert (await server.client.get(world, headers=owner.headers)).json()["name"] == "a"


async def walk(server: Server, who: Person, path: str, limit: int) -> list[dict[str, Any]]:
    """Every item of a list, page by page."""
    items: list[dict[str, Any]] = []
    query: dict[str, Any] = {"limit": limit}
    while True:
        answer = await server.client.get(path, params=query, headers=who.headers)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert len(page["items"]) == limit or page["next_cursor"] is None
        items += page["items"]
        if page["next_cursor"] is None:
            return items
        query["cursor"] = page["next_cursor"]


async def test_every_list_can_be_walked(server: Server, owner: Person, world: str) -> None:
    made = await characters(server, owner, world, 9)
    for target in made[1:]:
        tie = {"strength": 0.5}
        await server.client.put(f"{world}/relationships/{made[0]}/{target}", json=tie, headers=owner.headers)
    for _ in range(4):
        await server.member(UUID(world.rsplit("/", 1)[-1]), owner, "player")
        await server.world(owner)
    for path, key, many in (
        (world + "/characters", "id", 9), (world + "/relationships", "target_id", 8),
        (f"{world}/characters/{made[0]}/relationships", "target_id", 8), (world + "/members", "user_id", 5),
        ("/api/v1/worlds", "id", 5),
    ):  # fmt: skip
        for limit in (1, 2, many, 100):
            found = [item[key] for item in await walk(server, owner, path, limit)]
            assert len(found) == len(set(found)) == many, (path, limit)


async def test_advances_and_dead_letters_can_be_walked(server: Server, owner: Person, world: str) -> None:
    started = []
    for _ in range(3):
        answer = await server.client.post(world + "/advance", json={"by_ms": 1}, headers=owner.headers)
        assert answer.status_code == 202, answer.text
        started.append(answer.json()["result"]["id"])

        async def arrived() -> bool:
            found = await server.client.get(f"{world}/advances/{started[-1]}", headers=owner.headers)
            return bool(found.json()["state"] == "done")

        await until(arrived)
    assert [a["id"] for a in await walk(server, owner, world + "/advances", 1)] == started[::-1]
    assert await walk(server, owner, world + "/dead-letters", 1) == []


@pytest.mark.parametrize(
    "cursor",
    ["x", "é", "bnVsbA", "e30", "W10", "W251bGxd", "WzFd", "WyJ4Il0", "WyJ4IiwieSJd", "W251bGwsbnVsbF0"],
)
@pytest.mark.parametrize(
    "path", ["/characters", "/relationships", "/members", "/advances", "/dead-letters", "/../../worlds"]
)
async def test_cursors_that_no_server_made(
    server: Server, owner: Person, world: str, path: str, cursor: str
) -> None:
    path = "/api/v1/worlds" if path.startswith("/..") else world + path
    answer = await server.client.get(path, params={"cursor": cursor}, headers=owner.headers)
    is_problem(answer, 422, "cursor_invalid")


@pytest.mark.parametrize("path", ["/characters", "/relationships", "/members", "/advances", "/events"])
async def test_pages_are_bounded(server: Server, owner: Person, world: str, path: str) -> None:
    most = server.runtime.settings.max_page
    assert (await server.client.get(f"{world}{path}?limit={most}", headers=owner.headers)).status_code == 200
    answer = await server.client.get(f"{world}{path}?limit={most + 1}", headers=owner.headers)
    assert is_problem(answer, 422, "page_too_large")
    for limit in ("0", "-1", "x", "9" * 5_000):
        answer = await server.client.get(f"{world}{path}?limit={limit}", headers=owner.headers)
        is_problem(answer, 422, "validation_failed")


def test_orjson_agrees_with_what_is_said_here() -> None:
    """Of a key that comes twice the last counts, and halves of pairs are refused: the door relies on it."""
    assert orjson.loads(b'{"a":1,"a":2}') == {"a": 2}
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(b'"\\ud800"')
