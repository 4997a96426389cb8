"""A small client of a running server's HTTP interface, for `watch`."""

import json
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import Request, urlopen

from fablewright.cli.failures import Failure

TIMEOUT_SECONDS = 15.0


class Client:
    """Calls `url`, signed in with a token once there is one. Blocking. Raises `Failure`."""

    def __init__(self, url: str, token: str | None = None):
        if urlsplit(url).scheme not in ("http", "https"):
            raise Failure(f"{url!r} is no address of a server; it begins with http:// or https://.")
        self.url = url.rstrip("/")
        self.token = token
        self._refresh_token: str | None = None

    def call(self, path: str, body: dict[str, Any] | None = None, **query: Any) -> Any:
        """The JSON that a route answers with; it is a POST if there is a body."""
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        address = f"{self.url}/api/v1{path}" + (f"?{urlencode(query)}" if query else "")
        data = None if body is None else json.dumps(body).encode()
        try:
            # The scheme was checked above.
            with urlopen(Request(address, data, headers), timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
                return json.load(answer)
        except HTTPError as error:
            raise Failure(f"{self.url} refuses: {_detail(error)}") from error
        except (URLError, TimeoutError, ConnectionError) as error:
            raise Failure(f"There is no server at {self.url} ({getattr(error, 'reason', error)}).") from error

    def log_in(self, login: str, password: str) -> None:
        """Sign in with a password."""
        self.token = None
        self._take(self.call("/auth/login", {"login": login, "password": password}))

    def renew(self) -> bool:
        """Exchange the refresh token for new tokens; False if there is none."""
        if self._refresh_token is None:
            return False
        self.token = None
        self._take(self.call("/auth/refresh", {"refresh_token": self._refresh_token}))
        return True

    def _take(self, tokens: dict[str, Any]) -> None:
        self.token, self._refresh_token = tokens["access_token"], tokens["refresh_token"]

    def everything(self, path: str) -> list[dict[str, Any]]:
        """The items of all pages of a list."""
        found: list[dict[str, Any]] = []
        cursor: dict[str, Any] = {}
        while True:
            page = self.call(path, limit=200, **cursor)
            found += page["items"]
            if page["next_cursor"] is None:
                return found
            cursor = {"cursor": page["next_cursor"]}


def _detail(error: HTTPError) -> str:
    try:
        problem = json.load(error)
        return f"{problem['detail']} [{problem['code']}]"
    except (ValueError, KeyError, TypeError):
        return f"HTTP {error.code} {error.reason}"
