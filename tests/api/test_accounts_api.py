"""The HTTP routes of accounts: what they answer, refuse, and document."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from fablewright.gateway.runtime import Runtime
from fablewright.systems import accounts
from fablewright.systems.accounts.router import router
from tests.support import Server

PASSWORD = "ten green bottles"
API = "/api/v1"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


class Someone:
    """A registered user at the end of an HTTP client."""

    def __init__(self, client: httpx.AsyncClient):
        self.client = client
        self.login = f"user.{uuid4().hex}"
        self.tokens: dict[str, Any] = {}

    async def ask(self, method: str, path: str, body: Any = None, token: str | None = None) -> httpx.Response:
        """A request with the access token, unless another one is given (none if empty)."""
        used = self.tokens.get("access_token") if token is None else token
        headers = bearer(used) if used else {}
        return await self.client.request(method, API + path, json=body, headers=headers)

    async def register(self) -> httpx.Response:
        body = {"login": self.login, "password": PASSWORD, "display_name": "Mira of the Vale"}
        return await self.ask("POST", "/auth/register", body, token="")

    async def log_in(self, password: str = PASSWORD) -> httpx.Response:
        answer = await self.ask("POST", "/auth/login", {"login": self.login, "password": password}, token="")
        if answer.status_code == 200:
            self.tokens = answer.json()
        return answer


@pytest.fixture
def runtime(server: Server) -> Runtime:
    return server.runtime


@pytest.fixture
def client(server: Server) -> httpx.AsyncClient:
    return server.client


@pytest.fixture
async def someone(client: httpx.AsyncClient) -> Someone:
    made = Someone(client)
    assert (await made.register()).status_code == 201
    assert (await made.log_in()).status_code == 200
    return made


def is_refusal(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_from_registration_to_the_own_profile(client: httpx.AsyncClient) -> None:
    someone = Someone(client)
    made = await someone.register()
    assert made.status_code == 201
    assert set(made.json()) == {"id", "login", "display_name", "administrator", "created_at"}
    opened = (await someone.log_in()).json()
    assert opened["token_type"] == "Bearer"
    assert opened["expires_in_seconds"] > 0
    assert opened["user_id"] == made.json()["id"]
    own = await someone.ask("GET", "/account")
    assert (own.status_code, own.json()) == (200, made.json())


async def test_a_login_can_be_taken_once(someone: Someone) -> None:
    is_refusal(await someone.register(), 409, "login_taken")


@pytest.mark.parametrize(
    "change",
    [{"login": "no"}, {"login": "a b c"}, {"display_name": ""}, {"display_name": "\0"}, {"extra": 1}],
)
async def test_registrations_that_make_no_sense(client: httpx.AsyncClient, change: dict[str, Any]) -> None:
    body = {"login": f"user.{uuid4().hex}", "password": PASSWORD, "display_name": "Mira"} | change
    assert (await client.post(API + "/auth/register", json=body)).status_code == 422


async def test_a_refused_password_is_not_repeated(client: httpx.AsyncClient) -> None:
    body = {"login": f"user.{uuid4().hex}", "password": "hunter2", "display_name": "Mira"}
    answer = await client.post(API + "/auth/register", json=body)
    is_refusal(answer, 422, "password_unsuitable")
    assert "hunter2" not in answer.text


async def test_wrong_passwords_lock_the_account_and_say_for_how_long(
    someone: Someone, runtime: Runtime
) -> None:
    attempts, seconds = runtime.settings.login_attempts, runtime.settings.lockout_seconds
    for _ in range(attempts - 1):
        answer = await someone.log_in("not my password")
        is_refusal(answer, 401, "credentials_wrong")
        assert answer.headers["www-authenticate"] == "Bearer"
    is_refusal(await someone.log_in("not my password"), 429, "account_locked")
    locked = await someone.log_in()
    is_refusal(locked, 429, "account_locked")
    assert seconds - 10 <= int(locked.headers["retry-after"]) <= seconds
    assert locked.json()["retry_after_seconds"] == int(locked.headers["retry-after"])


async def test_an_unknown_login_gets_the_answer_of_a_wrong_password(someone: Someone) -> None:
    known = await someone.log_in("not my password")
    someone.login = f"nobody.{uuid4().hex}"
    unknown = await someone.log_in("not my password")
    is_refusal(unknown, 401, "credentials_wrong")
    volatile = {"instance", "correlation_id", "request_id"}
    assert {k: v for k, v in unknown.json().items() if k not in volatile} == {
        k: v for k, v in known.json().items() if k not in volatile
    }


async def test_refreshing_rotates_and_reuse_ends_the_session(someone: Someone) -> None:
    old = someone.tokens["refresh_token"]
    fresh = await someone.ask("POST", "/auth/refresh", {"refresh_token": old}, token="")
    assert fresh.status_code == 200
    someone.tokens = fresh.json()
    assert (await someone.ask("GET", "/account")).status_code == 200
    again = await someone.ask("POST", "/auth/refresh", {"refresh_token": old}, token="")
    is_refusal(again, 401, "token_reused")
    is_refusal(await someone.ask("GET", "/account"), 401, "token_invalid")
    after = {"refresh_token": someone.tokens["refresh_token"]}
    is_refusal(await someone.ask("POST", "/auth/refresh", after, token=""), 401, "token_invalid")


@pytest.mark.parametrize("body", [None, {}, {"everywhere": True}])
async def test_a_log_out_is_heard_at_once(someone: Someone, body: Any) -> None:
    assert (await someone.ask("GET", "/account")).status_code == 200
    answer = await someone.ask("POST", "/auth/logout", body)
    assert (answer.status_code, answer.content) == (204, b"")
    is_refusal(await someone.ask("GET", "/account"), 401, "token_invalid")


async def test_a_new_password_keeps_this_session_and_ends_the_others(someone: Someone) -> None:
    first = someone.tokens["access_token"]
    await someone.log_in()
    change = {"old_password": "wrong wrong wrong", "new_password": "eleven grey wolves"}
    is_refusal(await someone.ask("POST", "/account/password", change), 403, "password_wrong")
    change["old_password"] = PASSWORD
    assert (await someone.ask("POST", "/account/password", change)).status_code == 204
    assert (await someone.ask("GET", "/account")).status_code == 200
    is_refusal(await someone.ask("GET", "/account", token=first), 401, "token_invalid")
    assert (await someone.log_in("eleven grey wolves")).status_code == 200


async def test_an_account_is_erased_with_its_password(someone: Someone) -> None:
    is_refusal(
        await someone.ask("DELETE", "/account", {"password": "wrong wrong wrong"}), 403, "password_wrong"
    )
    assert (await someone.ask("DELETE", "/account", {"password": PASSWORD})).status_code == 204
    is_refusal(await someone.ask("GET", "/account"), 401, "token_invalid")
    is_refusal(await someone.log_in(), 401, "credentials_wrong")


async def test_every_system_is_asked_to_let_go_before_an_account_is_erased(
    someone: Someone, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_go = []

    async def hook(of: Runtime, user_id: Any) -> None:
        assert of is runtime
        let_go.append(str(user_id))

    monkeypatch.setitem(accounts.system.extra, "before_erase", hook)
    assert (await someone.ask("DELETE", "/account", {"password": PASSWORD})).status_code == 204
    assert let_go == [someone.tokens["user_id"]]


async def test_an_api_key_from_its_making_to_its_end(someone: Someone) -> None:
    made = await someone.ask("POST", "/account/api-keys", {"name": "bot", "scopes": ["read"]})
    assert made.status_code == 201
    key = made.json().pop("key")
    listed = (await someone.ask("GET", "/account/api-keys")).json()["items"]
    assert listed == [{k: v for k, v in made.json().items() if k != "key"}]
    assert (await someone.ask("GET", "/account", token=key)).json()["login"] == someone.login

    path = f"/account/api-keys/{made.json()['id']}"
    assert (await someone.ask("DELETE", path)).status_code == 204
    is_refusal(await someone.ask("GET", "/account", token=key), 401, "token_invalid")
    is_refusal(await someone.ask("DELETE", path), 404, "key_not_found")
    assert (await someone.ask("GET", "/account/api-keys")).json() == {"items": []}


async def test_an_api_key_does_not_manage_the_account(someone: Someone) -> None:
    body = {"name": "bot", "scopes": ["manage"]}
    key = (await someone.ask("POST", "/account/api-keys", body)).json()["key"]
    for method, path, sent in (
        ("POST", "/account/api-keys", body),
        ("GET", "/account/api-keys", None),
        ("DELETE", f"/account/api-keys/{uuid4()}", None),
        ("POST", "/account/password", {"old_password": PASSWORD, "new_password": "eleven grey wolves"}),
        ("DELETE", "/account", {"password": PASSWORD}),
        ("POST", "/auth/logout", {"everywhere": True}),
    ):
        is_refusal(await someone.ask(method, path, sent, token=key), 403, "key_not_allowed")


async def test_an_api_key_needs_a_world_of_its_account(someone: Someone) -> None:
    body = {"name": "bot", "scopes": ["read"], "world_id": str(uuid4())}
    is_refusal(await someone.ask("POST", "/account/api-keys", body), 404, "key_world_not_found")


async def test_strangers_are_asked_to_sign_in(client: httpx.AsyncClient) -> None:
    stranger = Someone(client)
    for method, path, body in (
        ("GET", "/account", None),
        ("DELETE", "/account", {"password": PASSWORD}),
        ("POST", "/account/password", {"old_password": PASSWORD, "new_password": "eleven grey wolves"}),
        ("POST", "/account/api-keys", {"name": "bot", "scopes": ["read"]}),
        ("GET", "/account/api-keys", None),
        ("DELETE", f"/account/api-keys/{uuid4()}", None),
        ("POST", "/auth/logout", None),
    ):
        is_refusal(await stranger.ask(method, path, body), 401, "not_signed_in")


@pytest.mark.parametrize("password", [PASSWORD, "not my password"])
async def test_secrets_and_idempotency_keys_do_not_go_together(
    someone: Someone, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key is refused at once: else a wrong password would not be counted, and worlds would be left."""

    async def hook(*_: Any) -> None:
        raise AssertionError("asked to let go of an account that stays")

    monkeypatch.setitem(accounts.system.extra, "before_erase", hook)
    headers = bearer(someone.tokens["access_token"]) | {"Idempotency-Key": "once"}
    for method, path, body in (
        ("POST", "/auth/register", {"login": "somebody", "password": password, "display_name": "Mira"}),
        ("POST", "/auth/login", {"login": someone.login, "password": password}),
        ("POST", "/auth/refresh", {"refresh_token": someone.tokens["refresh_token"]}),
        ("POST", "/account/password", {"old_password": password, "new_password": "eleven grey wolves"}),
        ("POST", "/account/api-keys", {"name": "bot", "scopes": ["read"]}),
        ("DELETE", "/account", {"password": password}),
    ):
        answer = await someone.client.request(method, API + path, json=body, headers=headers)
        is_refusal(answer, 422, "idempotency_not_supported")
    refreshed = await someone.ask("POST", "/auth/refresh", {"refresh_token": someone.tokens["refresh_token"]})
    assert refreshed.status_code == 200


async def test_a_revocation_can_be_sent_again_under_its_key(someone: Someone) -> None:
    key = (await someone.ask("POST", "/account/api-keys", {"name": "bot", "scopes": ["read"]})).json()["id"]
    headers = bearer(someone.tokens["access_token"]) | {"Idempotency-Key": uuid4().hex}
    for _ in range(2):
        answer = await someone.client.delete(f"{API}/account/api-keys/{key}", headers=headers)
        assert answer.status_code == 204


async def test_a_body_that_makes_no_sense_is_not_repeated(client: httpx.AsyncClient) -> None:
    body = {"login": "somebody", "password": ["hunter2hunter2"], "display_name": "Mira"}
    answer = await client.post(API + "/auth/register", json=body)
    assert answer.status_code == 422
    assert "hunter2" not in answer.text


def test_every_route_is_described_and_documents_its_refusals() -> None:
    for route in router.routes:
        assert getattr(route, "description", ""), route
        assert getattr(route, "responses", {}), route
