"""The front door for HTTP: who calls, how much they may, and what every answer carries.

One plain ASGI application around the other, since a chain of small middlewares would cost more than the work
they do: address, rate limits, the token's actor, body size, correlation id, security headers, ETag, gzip,
metrics, and the last resort for bugs. Hot routes are served right here, past the framework's own chain.
"""

import gzip
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import orjson
import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fablewright.core.actors import ANONYMOUS, Actor
from fablewright.core.clock import monotonic
from fablewright.core.dice import random_uuid, text_of
from fablewright.core.refusal import TOO_LARGE, Refusal, Refused
from fablewright.gateway import metrics
from fablewright.gateway.limits import RateLimiter
from fablewright.gateway.logs import REQUEST
from fablewright.gateway.problems import PROBLEM, problem_response
from fablewright.gateway.runtime import Runtime
from fablewright.gateway.socket import Socket
from fablewright.settings import Settings

BODY_TOO_LARGE = Refusal("body_too_large", TOO_LARGE, "The request body is too large. Send less at once.")
SOCKET_PATH: Final = re.compile(r"^/ws/worlds/[^/]+$")
AUTH_PREFIX: Final = "/api/v1/auth/"
"""What is asked for here counts against the address, whoever asks."""
SIGN_IN_PATHS: Final = frozenset(AUTH_PREFIX + name for name in ("login", "register", "refresh"))
"""Here one says who one is; an expired token that a client still sends along must not stop it."""
PROBE_PATHS: Final = frozenset(("/health/live", "/health/ready", "/metrics"))
"""These answer without a database; looking up who asks would need one."""
MOST_ADDRESS: Final = 64
CLIENT_GONE: Final = 499
"""For metrics: the client went away before its request was whole."""
GZIP_FROM: Final = 1_024
NO_GZIP: Final = re.compile(rb"gzip\s*;\s*q=0(\.0*)?\s*(,|$)")
WORLD_IN_PATH: Final = re.compile(r"/worlds/([0-9a-fA-F-]{36})")
METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
CORRELATION_ID: Final = re.compile(r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")

SECURITY_HEADERS: Final = "security_headers"
"""A route may put other headers than the usual ones here, in the request's state."""

log = structlog.get_logger(__name__)


def security_headers(
    settings: Settings, policy: bytes = b"default-src 'none'; frame-ancestors 'none'"
) -> list[tuple[bytes, bytes]]:
    """The security headers of an answer, with a content security policy."""
    headers = [
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        (b"x-frame-options", b"DENY"),
        (b"cache-control", b"no-store, private"),
        (b"content-security-policy", policy),
    ]
    if settings.environment == "production":
        headers.append((b"strict-transport-security", b"max-age=63072000"))
    return headers


class Front:
    """The ASGI application around the framework's. `hot` are plain routes that it serves itself."""

    def __init__(
        self, app: ASGIApp, settings: Settings, runtime: Callable[[], Runtime], hot: Sequence[Route] = ()
    ):
        self._app = app
        self._runtime = runtime
        self._hot = tuple(hot)
        self._settings = settings
        self._actors = RateLimiter(settings.rate_limit_per_minute)
        self._addresses = RateLimiter(settings.address_limit_per_minute)
        self._security = security_headers(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        wanted = headers.get(b"x-correlation-id", b"").decode("latin-1")
        correlation = UUID(wanted) if CORRELATION_ID.match(wanted) else random_uuid()
        state = {
            "correlation_id": correlation, "address": self._address(scope, headers), "actor": ANONYMOUS,
            "world": match[1] if (match := WORLD_IN_PATH.search(scope["path"])) else None,
        }  # fmt: skip
        scope["state"] = {**scope.get("state", {}), **state}
        REQUEST.set(scope["state"])
        if scope["type"] == "websocket":
            await self._converse(scope, receive, send)
        else:
            await self._serve(
                scope, receive, Answering(scope, send, headers, self._security, correlation), headers
            )

    async def _converse(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A WebSocket. It gets the server's own `send`, to write frames that are shared by many."""
        if not SOCKET_PATH.match(scope["path"]):
            await receive()
            await send({"type": "websocket.close", "code": 4404, "reason": "route_not_found"})
            return
        runtime, hub = self._runtime(), scope["app"].state.hub
        await Socket(scope, receive, send, runtime, hub, self._actors, self._addresses).run()

    async def _serve(
        self, scope: Scope, receive: Receive, answering: "Answering", headers: Mapping[bytes, bytes]
    ) -> None:
        started = monotonic()
        method = scope["method"]
        if method == "HEAD":  # as GET, without the body; the server's own scope stays as it is
            scope = {**scope, "method": "GET"}
        try:
            scope["state"]["actor"] = await self._admit(scope, headers)
            if method != "GET":
                receive = self._limited(receive, headers)
            hot = self._hot_route(scope)
            if hot is None:
                await self._app(scope, receive, answering.send)
            else:
                response = await hot.endpoint(Request(scope, receive))
                await response(scope, receive, answering.send)
        except Refused as refused:
            await self._refuse(refused, scope, receive, answering)
        except ClientDisconnect:
            answering.status = CLIENT_GONE
        except Exception as error:
            error_id = str(scope["state"]["correlation_id"])
            log.error("bug", path=scope["path"], method=method, error_id=error_id, exc_info=error)
            if answering.started:
                raise
            await _internal_error(error_id)(scope, receive, answering.send)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            known = method if method in METHODS else "OTHER"
            metrics.count_request(known, route, answering.status, monotonic() - started)
            if answering.status >= 500 or self._settings.log_level == "debug":
                log.info("request", method=method, path=scope["path"], status=answering.status)

    def _hot_route(self, scope: Scope) -> Route | None:
        for route in self._hot:
            match = route.path_regex.match(scope["path"])
            if match and scope["method"] in (route.methods or ()):
                scope["route"] = route
                scope["path_params"] = match.groupdict()
                return route
        return None

    async def _refuse(self, refused: Refused, scope: Scope, receive: Receive, answering: "Answering") -> None:
        if answering.started:
            raise refused
        await problem_response(refused)(scope, receive, answering.send)

    async def _admit(self, scope: Scope, headers: Mapping[bytes, bytes]) -> Actor:
        """The actor behind the request, within its rate. A bad token counts against the address."""
        address, path = scope["state"]["address"], scope["path"]
        authorization = headers.get(b"authorization")
        if authorization is None or path in SIGN_IN_PATHS or path in PROBE_PATHS:
            self._addresses.take(address)
            return ANONYMOUS
        if path.startswith(AUTH_PREFIX):
            self._addresses.take(address)
        scheme, _, credentials = authorization.decode("latin-1").partition(" ")
        try:
            actor = await self._runtime().authenticate(
                credentials.strip() if scheme.lower() == "bearer" else ""
            )
        except Refused:
            self._addresses.take(address)
            raise
        self._actors.take(actor.name)
        return actor

    def _address(self, scope: Scope, headers: Mapping[bytes, bytes]) -> str:
        """Who is at the other end: the last address of X-Forwarded-For that is no trusted proxy itself."""
        client = scope.get("client")
        address = str(client[0]) if client else "local"
        forwarded = headers.get(b"x-forwarded-for")
        if forwarded and address in self._settings.trusted_proxies:
            for part in reversed(forwarded.decode("latin-1").split(",")):
                address = part.strip()[:MOST_ADDRESS] or address
                if address not in self._settings.trusted_proxies:
                    break
        return address

    def _limited(self, receive: Receive, headers: Mapping[bytes, bytes]) -> Receive:
        """Refuse a body over the limit, whether or not its length was announced."""
        most = self._settings.max_body_bytes
        length = headers.get(b"content-length")
        if length is not None:
            if len(length) > 12 or not length.isdigit() or int(length) > most:
                raise BODY_TOO_LARGE(f"A body may have {most} bytes at most.", max_bytes=most)
            return receive
        seen = 0

        async def counting() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > most:
                raise BODY_TOO_LARGE(f"A body may have {most} bytes at most.", max_bytes=most)
            return message

        return counting


class Answering:
    """The sending side of one answer: adds headers, ETag and gzip. Streams pass through as they come."""

    def __init__(
        self, scope: Scope, send: Send, headers: Mapping[bytes, bytes], extra: list[tuple[bytes, bytes]],
        correlation: UUID,
    ):  # fmt: skip
        self._send = send
        self._get = scope["method"] in ("GET", "HEAD")
        self._bodiless = scope["method"] == "HEAD"
        self._state = scope["state"]
        self._headers = headers
        self._extra = extra
        self._correlation = (b"x-correlation-id", text_of(correlation).encode())
        self._held: Message | None = None
        self.started = False
        """Whether something was sent already; until then, another answer can take its place."""
        self.status = 500

    async def send(self, message: Message) -> None:
        """As ASGI has it. The start is held back until the body is there."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            extra = self._state.get(SECURITY_HEADERS, self._extra)
            message["headers"] = [*message["headers"], *extra, self._correlation]
            self._held = message
            return
        if message["type"] == "http.response.body":
            if self._held is not None:
                start, self._held = self._held, None
                if not message.get("more_body"):
                    message = self._whole(start, message)
                self.started = True
                await self._send(start)
            if self._bodiless:
                message = {**message, "body": b""}
        await self._send(message)

    def _whole(self, start: Message, message: Message) -> Message:
        """ETag and gzip, for a body that is there as a whole."""
        body = message.get("body", b"")
        if not self._get and len(body) < GZIP_FROM:
            return message
        headers = MutableHeaders(raw=start["headers"])
        if self._get and start["status"] == 200 and body:
            etag = f'W/"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
            headers["etag"] = etag
            if etag.encode() in self._headers.get(b"if-none-match", b""):
                self.status = start["status"] = 304
                del headers["content-length"]
                return {**message, "body": b""}
        if len(body) >= GZIP_FROM and self._may_gzip() and "content-encoding" not in headers:
            body = gzip.compress(body, compresslevel=3, mtime=0)
            headers["content-encoding"] = "gzip"
            headers["content-length"] = str(len(body))
            headers.append("vary", "Accept-Encoding")
            return {**message, "body": body}
        return message

    def _may_gzip(self) -> bool:
        accepted = self._headers.get(b"accept-encoding", b"")
        return b"gzip" in accepted and not NO_GZIP.search(accepted)


def _internal_error(error_id: str) -> Any:
    from starlette.responses import Response

    problem = {
        "type": "urn:fablewright:refusal:internal_error", "title": "Something went wrong on our side.",
        "status": 500, "code": "internal_error", "error_id": error_id,
        "detail": f"This is a bug. The server's log has it under {error_id}.",
    }  # fmt: skip
    return Response(orjson.dumps(problem), 500, media_type=PROBLEM)
