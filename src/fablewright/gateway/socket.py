"""The WebSocket `/ws/worlds/{world}`: authenticate, subscribe, receive events, give commands.

The client speaks first. Messages are JSON objects with a `type`:

| client                                                   | server                                              |
|----------------------------------------------------------|-----------------------------------------------------|
| `auth {token}` (or the `Authorization` header)           | `authenticated {user_id, role, valid_until}`        |
| `subscribe {after?, types?, about?}`                     | `subscribed {after}`, then `events`, once `live`    |
| `command {id, command: {type, payload}}`                 | `result {id, result, seq}` or `refused {id, problem}`|
| `ping {…}`                                               | `pong`                                              |

`events {events, up_to}` frames come in order, with no gap and no repeat: first the history after `after`,
then `live {up_to}`, then what happens. To reconnect, subscribe with the last `up_to`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import orjson
import structlog
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.types import Receive, Scope, Send

from fablewright.core import log
from fablewright.core.actors import ANONYMOUS, Actor, Role
from fablewright.core.clock import wall_seconds
from fablewright.core.permissions import SIGN_IN_FIRST, WORLD_NOT_FOUND
from fablewright.core.refusal import (
    CONFLICT,
    TOO_LARGE,
    TOO_MANY,
    UNAUTHENTICATED,
    Refusal,
    RefusalKind,
    Refused,
)
from fablewright.gateway import metrics
from fablewright.gateway.api import MEMBER_ROLE
from fablewright.gateway.commands import MALFORMED, parse_command, path_uuid, validation_refused
from fablewright.gateway.events import AFTER_IN_THE_FUTURE, check_patterns, reader_filter
from fablewright.gateway.limits import RateLimiter
from fablewright.gateway.live import PAGE, Feed, Frame, Hub, events_frames
from fablewright.gateway.problems import problem_of
from fablewright.gateway.runtime import Runtime

MAX_UNSENT_BYTES: Final = 262_144
"""A socket with more than this unsent is slow: it leaves the feed and follows the log at its own pace."""

FIRST_PAGE: Final = 50
"""How many events of the history are read first; what follows depends on their size."""

PAGE_BYTES: Final = 262_144

TOO_MANY_SOCKETS = Refusal(
    "too_many_sockets", TOO_MANY, "This account has too many open WebSockets. Close one first."
)
SOCKET_IDLE = Refusal(
    "socket_idle", UNAUTHENTICATED, "Nothing was asked for in time. Send `auth` and `subscribe`."
)
TOKEN_ENDED = Refusal(
    "token_expired", UNAUTHENTICATED, "The token has expired. Send `auth` with a new one in time."
)
MESSAGE_TOO_LARGE = Refusal("body_too_large", TOO_LARGE, "The message is too large. Send less at once.")

SOCKET_BUG = Refusal(
    "internal_error", CONFLICT, "Something went wrong on our side. Reconnect with the last `up_to`."
)
ENDING: Final = (WORLD_NOT_FOUND, TOO_MANY_SOCKETS)
"""Refusals that end the conversation, besides those of credentials."""

CLOSE_CODES: Final = {401: 4401, 403: 4403, 404: 4404, 413: 1009, 429: 4429, 503: 1013}
logger = structlog.get_logger(__name__)


class ClientMessage(BaseModel):
    """What a client may say; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AuthMessage(ClientMessage):
    """Who the client is; again before its token ends, to go on."""

    type: Literal["auth"]
    token: str = Field(max_length=4_000, repr=False)


class SubscribeMessage(ClientMessage):
    """Which events the client wants, and from where on."""

    type: Literal["subscribe"]
    after: int | None = Field(None, ge=0, lt=2**62)
    types: list[str] = Field([], max_length=50)
    about: list[UUID] = Field([], max_length=50)


class CommandMessage(ClientMessage):
    """A command, to run once per `id`."""

    type: Literal["command"]
    id: str = Field(min_length=1, max_length=200)
    command: dict[str, Any]


class PingMessage(BaseModel):
    """Answered with `pong`."""

    type: Literal["ping"]


INBOUND: Final[TypeAdapter[Any]] = TypeAdapter(
    Annotated[AuthMessage | SubscribeMessage | CommandMessage | PingMessage, Field(discriminator="type")]
)


class Closed(Exception):
    """The client has gone."""


class Socket:
    """One WebSocket: a conversation, and at most one subscription."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, runtime: Runtime, hub: Hub,
        actors: RateLimiter, addresses: RateLimiter,
    ):  # fmt: skip
        self.wanted = log.Filter()
        self.user_id = UUID(int=0)
        self._scope, self._receive, self._send = scope, receive, send
        self._runtime, self._hub = runtime, hub
        self._actors, self._addresses = actors, addresses
        self._actor: Actor = ANONYMOUS
        self._credentials = ""
        self._rights_version = -1
        self._asked = SubscribeMessage(type="subscribe")
        self._feed: Feed | None = None
        self._position = 0
        self._page = FIRST_PAGE
        self._announced = False
        self._follower: asyncio.Task[None] | None = None
        self._expiry: asyncio.TimerHandle | None = None
        self._transport = direct_transport(send)
        self._ended: asyncio.Future[Refused] = asyncio.get_running_loop().create_future()

    # -- the conversation ------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve the socket until either side ends it."""
        message = await self._receive()
        if message["type"] != "websocket.connect":
            return
        await self._send({"type": "websocket.accept"})
        metrics.SOCKETS.inc()
        self._hub.clients.add(self)
        try:
            await self._converse()
        except Closed:
            pass
        except Refused as refused:
            await self._unsubscribe()  # no frame may follow the close
            await self._close(refused)
        except Exception as error:  # noqa: BLE001  the last resort, as for HTTP: said so, with an id to find it
            await self._unsubscribe()
            await self._close(self._bug(error))
        finally:
            metrics.SOCKETS.dec()
            self._hub.clients.discard(self)
            await self._unsubscribe()
            if self._expiry is not None:
                self._expiry.cancel()
            self._count(-1)

    async def _converse(self) -> None:
        world_id = path_uuid(self._scope["path"].rsplit("/", 1)[-1], WORLD_NOT_FOUND)
        authorization = dict(self._scope["headers"]).get(b"authorization", b"").decode("latin-1")
        if authorization:
            await self._authenticate(world_id, authorization.partition(" ")[2].strip())
        idle = self._runtime.settings.socket_idle_seconds
        while self._actor is ANONYMOUS:
            message = parse(await self._hear(idle))
            if not isinstance(message, AuthMessage):
                raise SIGN_IN_FIRST("The first message must be `auth`.")
            await self._authenticate(world_id, message.token)
        async with self._hub.feed(world_id) as feed:
            while True:
                # Whoever is subscribed may be silent: the server's pings tell whether it is still there.
                text = await self._hear(None if self._feed else idle)
                try:
                    await self._handle(parse(text), world_id, feed)
                except Refused as refused:
                    if refused.refusal in ENDING or refused.refusal.kind is RefusalKind.UNAUTHENTICATED:
                        raise
                    await self._say({"type": "refused", "id": id_of(text), "problem": problem_of(refused)})

    async def _hear(self, patience: float | None) -> str | bytes:
        """The client's next message. Refuses `socket_idle`, `body_too_large`."""
        receiving = asyncio.ensure_future(self._receive())
        try:
            done, _ = await asyncio.wait(
                (receiving, self._ended), timeout=patience, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            if not receiving.done():
                receiving.cancel()
        if self._ended in done:
            raise self._ended.result()
        if not done:
            raise SOCKET_IDLE()
        message = receiving.result()
        if message["type"] == "websocket.disconnect":
            raise Closed
        text: str | bytes = message.get("text") or message.get("bytes") or b""
        if len(text) > self._runtime.settings.max_body_bytes:
            raise MESSAGE_TOO_LARGE()
        return text

    async def _handle(self, message: Any, world_id: UUID, feed: Feed) -> None:
        self._actors.take(self._actor.name)
        if isinstance(message, PingMessage):
            await self._say({"type": "pong"})
            return
        if isinstance(message, AuthMessage):
            await self._authenticate(world_id, message.token)
            return
        if isinstance(message, SubscribeMessage):
            await self._subscribe(message, world_id, feed)
        else:
            await self._command(message, world_id)

    async def _authenticate(self, world_id: UUID, token: str) -> None:
        try:
            actor = await self._runtime.authenticate(token)
        except Refused:
            self._addresses.take(self._scope["state"]["address"])  # guessing has its price, as over HTTP
            raise
        if self._actor is not ANONYMOUS and actor.user_id != self._actor.user_id:
            raise SIGN_IN_FIRST("A socket belongs to one account. Open another socket for another account.")
        role = await self._role(world_id, actor)
        first, self._actor, self._credentials = self._actor is ANONYMOUS, actor, token
        self._rights_version = -1
        self._scope["state"]["actor"] = actor
        self.user_id = actor.user_id or self.user_id
        if first:
            self._count(+1)
        self._watch_expiry()
        await self._say(
            {
                "type": "authenticated",
                "user_id": self.user_id,
                "role": role.label,
                "valid_until": actor.valid_until,
            }
        )

    async def _role(self, world_id: UUID, actor: Actor) -> Role:
        if actor.only_world not in (None, world_id):
            raise WORLD_NOT_FOUND()
        async with self._runtime.database.reading() as connection:
            role = await connection.fetchval(MEMBER_ROLE, world_id, actor.user_id)
        if role is None:
            raise WORLD_NOT_FOUND()
        return min(Role(role), actor.most)

    def _watch_expiry(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        if self._actor.valid_until is not None:
            left = max(0.0, self._actor.valid_until - wall_seconds())
            self._expiry = asyncio.get_running_loop().call_later(left, self._end, TOKEN_ENDED())

    async def still_welcome(self) -> None:
        """See `live.Client`."""
        if self._actor is ANONYMOUS:
            return
        credentials = self._credentials
        try:
            await self._runtime.authenticate(credentials)
        except Refused as refused:
            # Newer credentials may have been shown while the older ones were looked up.
            if refused.refusal.kind is not RefusalKind.UNAVAILABLE and credentials == self._credentials:
                self._end(refused)

    def _bug(self, error: BaseException) -> Refused:
        """Log a bug under an id; the refusal that tells it."""
        error_id = str(self._scope["state"]["correlation_id"])
        logger.error("bug", path=self._scope["path"], error_id=error_id, exc_info=error)
        return SOCKET_BUG(f"This is a bug. The server's log has it under {error_id}.", error_id=error_id)

    def _end(self, refused: Refused) -> None:
        """Let the conversation end with a refusal."""
        if not self._ended.done():
            self._ended.set_result(refused)

    def _count(self, change: int) -> None:
        """Keep count of the account's open sockets. Refuses `too_many_sockets`."""
        if self._actor is ANONYMOUS:
            return
        counts = self._hub.sockets_of
        counts[self.user_id] = counts.get(self.user_id, 0) + change
        if counts[self.user_id] <= 0:
            del counts[self.user_id]
        elif change > 0 and counts[self.user_id] > self._runtime.settings.sockets_per_user:
            raise TOO_MANY_SOCKETS(sockets_per_user=self._runtime.settings.sockets_per_user)

    async def _command(self, message: CommandMessage, world_id: UUID) -> None:
        """Run a command once per id and say what came of it."""
        try:
            self._actor = await self._runtime.authenticate(self._credentials)
            command = parse_command(self._runtime.engine, message.command)
            answer = await self._runtime.engine.execute(command, self._actor, world_id, key=message.id)
        except Refused as refused:
            if refused.refusal.kind is RefusalKind.UNAUTHENTICATED:
                raise
            await self._say({"type": "refused", "id": message.id, "problem": problem_of(refused)})
            return
        head = orjson.dumps({"type": "result", "id": message.id, "replayed": answer.replayed})
        await self._text(head[:-1] + b"," + answer.body[1:])

    # -- the subscription ------------------------------------------------------------------------------------

    async def _subscribe(self, message: SubscribeMessage, world_id: UUID, feed: Feed) -> None:
        check_patterns(message.types)
        await self._unsubscribe()
        async with self._runtime.database.reading() as connection:
            head = await log.head_of(connection, world_id)
        if message.after is not None and message.after > head:
            raise AFTER_IN_THE_FUTURE(f"The log is at {head}.", head=head)
        self._asked = message
        self._position = head if message.after is None else message.after
        self._announced = False
        self._rights_version = -1
        await self._say({"type": "subscribed", "after": self._position})
        self._feed = feed
        self._follow()

    async def _unsubscribe(self) -> None:
        if self._feed is not None:
            self._feed.leave(self)
            self._feed = None
        if self._follower is not None:
            follower, self._follower = self._follower, None
            follower.cancel()
            await asyncio.gather(follower, return_exceptions=True)

    def _follow(self) -> None:
        self._follower = asyncio.create_task(self._follow_log())
        self._follower.add_done_callback(self._followed)

    def _followed(self, task: asyncio.Task[None]) -> None:
        """A follower that failed ends the conversation; nothing is lost silently."""
        if task.cancelled() or task.exception() is None:
            return
        error = task.exception()
        if isinstance(error, Refused):
            self._end(error)
        elif error is not None and not isinstance(error, Closed):
            self._end(self._bug(error))

    async def _follow_log(self) -> None:
        """Send what the log holds, at the socket's own pace, until it has caught up with the feed; then join."""
        feed = self._feed
        assert feed is not None
        while True:
            if self._rights_version != feed.rights_version:
                await self._resolve_rights(feed)
                continue
            if self._position < feed.position:
                await self._send_page(feed)
                continue
            if self._position > feed.position:  # the feed has not read yet what this reader has seen
                await feed.moved.wait()
                continue
            if not self._announced:
                self._announced = True
                await self._say({"type": "live", "up_to": self._position})
                continue
            if self._transport is not None:
                feed.join(self)  # nothing was awaited since the positions were compared
                return
            await feed.moved.wait()

    async def _resolve_rights(self, feed: Feed) -> None:
        """What this reader may see now. Refuses `world_not_found` if it is no member any more."""
        self._rights_version = feed.rights_version  # as of before the look, so that no change is missed
        role = await self._role(feed.world_id, self._actor)
        async with self._runtime.database.reading() as connection:
            self.wanted = await reader_filter(
                connection, self._runtime, feed.world_id, self.user_id, role,
                check_patterns(self._asked.types), tuple(self._asked.about),
            )  # fmt: skip

    async def _send_page(self, feed: Feed) -> None:
        until = feed.position  # the rights were asked for as of here
        async with self._runtime.database.reading() as connection:
            part = await log.read(
                connection, feed.world_id, self._position, self._page, self.wanted, until=until
            )
        self._position = part.up_to
        if part.rows:
            with_command = self.wanted.principals is None
            encoded = ((row["seq"], log.encode(row, with_command=with_command)) for row in part.rows)
            frames = events_frames(encoded, part.up_to)
            self._page = next_page(self._page, sum(len(frame.text) for frame in frames))
            for frame in frames:
                await self._text(frame.text)

    def offer(self, frame: Frame) -> bool:
        """See `live.Listener`. The frame's bytes go straight to the transport: the same bytes for all."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        if transport.get_write_buffer_size() + len(frame.wire) > MAX_UNSENT_BYTES:
            return False
        transport.write(frame.wire)
        self._position = frame.up_to
        return True

    def dropped(self, reason: str) -> None:
        """See `live.Listener`."""
        if reason == "gone":
            self._end(WORLD_NOT_FOUND())
        elif self._feed is not None and not (self._transport is not None and self._transport.is_closing()):
            # Frames without events for this reader are not sent; it has seen all up to where the feed was.
            self._position = max(
                self._position, self._feed.position if reason == "rights" else self._position
            )
            self._follow()

    # -- sending ---------------------------------------------------------------------------------------------

    async def _say(self, message: dict[str, Any]) -> None:
        await self._text(orjson.dumps(message, default=str))

    async def _text(self, text: bytes) -> None:
        try:
            await self._send({"type": "websocket.send", "text": text.decode()})
        except OSError as error:
            raise Closed from error

    async def _close(self, refused: Refused) -> None:
        problem = problem_of(refused)
        with suppress(Closed, RuntimeError):
            await self._say({"type": "refused", "id": None, "problem": problem})
            code = 1011 if refused.refusal is SOCKET_BUG else CLOSE_CODES.get(problem["status"], 4400)
            await self._send({"type": "websocket.close", "code": code, "reason": refused.code})


def next_page(page: int, size: int) -> int:
    """How many events to read next, so that large ones are read a few at a time: about `PAGE_BYTES` of them."""
    return max(FIRST_PAGE // 5, min(PAGE, int(page * PAGE_BYTES / max(1, size))))


def parse(text: str | bytes) -> Any:
    """A client's message. Refuses `malformed_json`, `validation_failed`."""
    try:
        return INBOUND.validate_python(orjson.loads(text))
    except orjson.JSONDecodeError as error:
        raise MALFORMED("Every message is a JSON object with a `type`.") from error
    except ValidationError as error:
        raise validation_refused(
            error.errors(include_url=False, include_context=False, include_input=False)
        ) from error


def id_of(text: str | bytes) -> str | None:
    """The id that a refused message carried, if it did, so that its sender recognises the refusal."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    found = value.get("id") if isinstance(value, dict) else None
    return found if isinstance(found, str) else None


def direct_transport(send: Callable[..., Awaitable[None]]) -> Any:
    """The transport behind uvicorn's `send`, if frames may be written to it as they are (no compression).

    Under another server it is None; the socket then follows the log by itself, which is right but dearer.
    """
    protocol = getattr(send, "__self__", None)
    connection = getattr(protocol, "conn", None)
    if connection is None or getattr(connection, "extensions", True):
        return None
    return getattr(protocol, "transport", None)
