"""The live feed: one reader of each world's log per process, and whoever listens to it.

A feed reads new events once for all its listeners, encodes each event once, and each frame once for all who
share a filter. Listeners join when they have read the log up to where the feed is. One that reads too slowly,
or whose rights may have changed, leaves the feed and follows the log by itself (`gateway.socket`), so that
nobody's backlog is held in memory.
"""

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol
from uuid import UUID

import structlog

from fablewright.core import log
from fablewright.core.clock import monotonic
from fablewright.core.messages import matches
from fablewright.core.refusal import Refused
from fablewright.gateway import metrics
from fablewright.gateway.runtime import Runtime

PAGE: Final = 500
"""Most events read at once."""

FRAME_BYTES: Final = 131_072
"""Size at which a frame is full; a single larger event has one to itself."""

BUSY_RINGS_PER_SECOND: Final = 40
"""A world whose log moves more often than this has its events gathered into frames."""

logger = structlog.get_logger(__name__)


class Listener(Protocol):
    """Someone who listens to a feed."""

    wanted: log.Filter
    user_id: UUID

    def offer(self, frame: "Frame") -> bool:
        """Take a frame now, without waiting; False if the listener cannot, and must follow the log by itself."""
        ...

    def dropped(self, reason: str) -> None:
        """Told that it no longer belongs to the feed: `slow`, `rights` or `gone`."""
        ...


class Frame:
    """A message for many sockets: its text, and its bytes as an unmasked WebSocket text frame (RFC 6455, 5.2)."""

    __slots__ = ("text", "up_to", "wire")

    def __init__(self, text: bytes, up_to: int):
        self.text = text
        self.up_to = up_to
        length = len(text)
        if length < 126:
            head = struct.pack("!BB", 0x81, length)
        elif length < 65_536:
            head = struct.pack("!BBH", 0x81, 126, length)
        else:
            head = struct.pack("!BBQ", 0x81, 127, length)
        self.wire = head + text


def events_frames(encoded: Iterable[tuple[int, bytes]], up_to: int) -> list[Frame]:
    """Frames of (seq, event), each complete up to its own `up_to` and the last up to the given one."""
    parts: list[list[tuple[int, bytes]]] = [[]]
    size = 0
    for item in encoded:
        if parts[-1] and size + len(item[1]) > FRAME_BYTES:
            parts.append([])
            size = 0
        parts[-1].append(item)
        size += len(item[1])
    ends = [part[-1][0] for part in parts[:-1]] + [up_to]
    return [
        Frame(b'{"type":"events","events":[%s],"up_to":%d}' % (b",".join(e for _, e in part), end), end)
        for part, end in zip(parts, ends, strict=True)
        if part
    ]


def admits(wanted: log.Filter, row: Any) -> bool:
    """Whether an event fits a filter: the same decision as `Filter.where` makes in SQL."""
    if (
        wanted.principals is not None
        and row["audience"] is not None
        and wanted.principals.isdisjoint(row["audience"])
    ):
        return False
    if wanted.types and not any(matches(pattern, row["type"]) for pattern in wanted.types):
        return False
    return not wanted.about or not set(wanted.about).isdisjoint(row["about"])


class Feed:
    """What is new in one world, for its listeners in this process."""

    def __init__(self, runtime: Runtime, world_id: UUID, position: int, rights_change_on: tuple[str, ...]):
        self.world_id = world_id
        self.position = position
        self.moved = asyncio.Event()
        """Set when the feed has handed out more; then replaced by a new one."""
        self.rights_version = 0
        """Changes whenever somebody's rights may have; who is not in the feed must then ask again."""
        self._runtime = runtime
        self._rights_change_on = rights_change_on
        self._groups: dict[log.Filter, dict[Listener, None]] = {}
        self._wake = asyncio.Event()
        self._rings = 0.0
        self._rung_at = monotonic()
        self._last_frame = 0.0
        self._interval = runtime.settings.frame_interval_ms / 1000
        self.task = asyncio.create_task(self._run(), name=f"feed-{world_id}")

    def ring(self) -> None:
        """The world has moved."""
        now = monotonic()
        # An exponential average over about a second tells a busy world from a quiet one.
        self._rings = self._rings * max(0.0, 1 - (now - self._rung_at)) + 1
        self._rung_at = now
        self._wake.set()

    def join(self, listener: Listener) -> None:
        """Add a listener that has everything up to `position`."""
        self._groups.setdefault(listener.wanted, {})[listener] = None

    def leave(self, listener: Listener) -> None:
        group = self._groups.get(listener.wanted)
        if group is not None and listener in group:
            del group[listener]
            if not group:
                del self._groups[listener.wanted]

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            if self._rings > BUSY_RINGS_PER_SECOND:
                await asyncio.sleep(max(0.0, self._last_frame + self._interval - monotonic()))
            self._wake.clear()
            try:
                await self._pass_on()
            except Exception as error:
                if isinstance(error, Refused):
                    logger.warning("feed_waiting", world=str(self.world_id), error=str(error))
                else:  # a bug; but a feed that ended would leave its listeners waiting for ever
                    logger.error("feed_failed", world=str(self.world_id), exc_info=error)
                await asyncio.sleep(self._runtime.settings.poll_seconds)
                self._wake.set()

    async def _pass_on(self) -> None:
        """Read what is new and hand it out, page by page."""
        while True:
            async with self._runtime.database.reading() as connection:
                part = await log.read(connection, self.world_id, self.position, PAGE, log.Filter())
                gone = part.head == 0 and self.position > 0 and not await _exists(connection, self.world_id)
            if gone:
                self._drop(lambda _listener: True, "gone")
                return
            if part.rows:
                for rows in self._by_rights(part.rows):
                    self._hand_out(rows, rows[-1]["seq"])
                self._last_frame = monotonic()
            self.position = part.up_to
            if part.up_to >= part.head:
                return

    def _by_rights(self, rows: list[Any]) -> list[list[Any]]:
        """The rows, cut after each that may change someone's rights: what follows it is seen with the new ones."""
        parts: list[list[Any]] = [[]]
        for row in rows:
            parts[-1].append(row)
            if any(matches(pattern, row["type"]) for pattern in self._rights_change_on):
                parts.append([])
        return [part for part in parts if part]

    def _hand_out(self, rows: list[Any], up_to: int) -> None:
        """Give every group its frame. There is no await here: who joins meanwhile joins after."""
        plain: dict[int, bytes] = {}
        full: dict[int, bytes] = {}
        for wanted, group in list(self._groups.items()):
            sees_all = wanted.principals is None
            encoded = full if sees_all else plain
            chosen = []
            for row in rows:
                if admits(wanted, row):
                    seq = row["seq"]
                    if seq not in encoded:
                        encoded[seq] = log.encode(row, with_command=sees_all)
                    chosen.append((seq, encoded[seq]))
            for frame in events_frames(chosen, up_to):
                self._offer(group, frame)
        self.position = up_to
        self.moved.set()
        self.moved = asyncio.Event()
        self._rights_may_change(rows[-1])

    def _offer(self, group: Iterable[Listener], frame: Frame) -> None:
        listeners = tuple(group)
        for listener in listeners:
            if not listener.offer(frame):
                self.leave(listener)
                listener.dropped("slow")
        metrics.FRAMES.inc(len(listeners))

    def _rights_may_change(self, row: Any) -> None:
        """Send those whose rights this event may change back to asking what they may see."""
        if not any(matches(pattern, row["type"]) for pattern in self._rights_change_on):
            return
        self.rights_version += 1
        if row["type"].startswith("worlds."):  # membership and roles: of those whom it is about
            self._drop(lambda listener: listener.user_id in row["about"], "rights")
        else:  # what someone stands for: of all who do not see everything anyway
            self._drop(lambda listener: listener.wanted.principals is not None, "rights")

    def _drop(self, concerned: Callable[[Listener], bool], reason: str) -> None:
        for group in list(self._groups.values()):
            for listener in tuple(group):
                if concerned(listener):
                    self.leave(listener)
                    listener.dropped(reason)


async def _exists(connection: Any, world_id: UUID) -> bool:
    return bool(await connection.fetchval("SELECT true FROM worlds WHERE id = $1", world_id))


class Client(Protocol):
    """An open socket, as the hub sees it."""

    async def still_welcome(self) -> None:
        """Check the socket's credentials again; a socket whose credentials are refused ends itself."""
        ...


@dataclass(slots=True)
class Opening:
    """A feed that is open or being opened, and how many use it."""

    feed: asyncio.Task[Feed]
    users: int = 0


class Hub:
    """The feeds of one process, and its sockets. A feed lives as long as someone listens."""

    def __init__(self, runtime: Runtime):
        self._runtime = runtime
        self._feeds: dict[UUID, Opening] = {}
        self._rights = tuple(p for s in runtime.systems for p in s.principals_change_on)
        self._stop = runtime.engine.doorbell.add(self._heard)
        self.clients: set[Client] = set()
        self.sockets_of: dict[UUID, int] = {}
        """Open sockets per user."""
        self._sweeper = asyncio.create_task(self._sweep(), name="socket sweeper")

    def _heard(self, world_id: UUID, _seq: int) -> None:
        opening = self._feeds.get(world_id)
        if opening is not None and opening.feed.done() and opening.feed.exception() is None:
            opening.feed.result().ring()

    @asynccontextmanager
    async def feed(self, world_id: UUID) -> AsyncIterator[Feed]:
        """The feed of a world, for as long as the block lasts."""
        opening = self._feeds.get(world_id)
        if opening is None:
            opening = self._feeds[world_id] = Opening(asyncio.create_task(self._open(world_id)))
        opening.users += 1
        try:
            yield await asyncio.shield(opening.feed)
        finally:
            opening.users -= 1
            if opening.users == 0:
                if self._feeds.get(world_id) is opening:
                    del self._feeds[world_id]
                _close(opening)

    async def _open(self, world_id: UUID) -> Feed:
        async with self._runtime.database.reading() as connection:
            position = await log.head_of(connection, world_id)
        feed = Feed(self._runtime, world_id, position, self._rights)
        feed.ring()  # for what came while it opened
        return feed

    async def _sweep(self) -> None:
        """Let every socket check its credentials now and then: those that were logged out or revoked end."""
        while True:
            await asyncio.sleep(max(0.5, self._runtime.settings.session_cache_seconds))
            for client in tuple(self.clients):
                try:
                    await client.still_welcome()
                except Exception as error:
                    logger.error("sweep_failed", exc_info=error)
                await asyncio.sleep(0)  # those that are remembered take no time each, but many do

    async def close(self) -> None:
        """Close every feed."""
        self._stop()
        self._sweeper.cancel()
        for opening in self._feeds.values():
            _close(opening)
        await asyncio.gather(self._sweeper, return_exceptions=True)


def _close(opening: Opening) -> None:
    if not opening.feed.done():
        opening.feed.cancel()
    elif not opening.feed.cancelled() and opening.feed.exception() is None:
        opening.feed.result().task.cancel()


@asynccontextmanager
async def open_hub(runtime: Runtime) -> AsyncIterator[Hub]:
    """The hub of a process, closed at the end."""
    hub = Hub(runtime)
    try:
        yield hub
    finally:
        await hub.close()
