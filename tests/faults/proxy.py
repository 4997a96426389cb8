"""A proxy between a server and its PostgreSQL that understands enough of the protocol to cut where it hurts most.

It knows which connections are in the middle of a transaction, and sees a COMMIT on its way there and its answer
on the way back. Either can be lost, as in a network that fails at that moment.
"""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum

from sqlalchemy import make_url

SSL_REQUEST = 80877103
COMMIT = b"COMMIT;\0"
CHUNK = 65_536


class Loss(Enum):
    """What is lost of a commit, with the connection."""

    NOTHING = "nothing"
    ASKING = "asking"
    """The COMMIT does not reach PostgreSQL: nothing was done."""
    ANSWER = "answer"
    """PostgreSQL commits, but its answer does not come back: all was done, and nobody knows."""


class Messages:
    """Cuts a stream of one direction into messages: a letter, a length, a body."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        """The messages that are complete now, each with its letter and as a whole."""
        self._buffer += data
        found = []
        at = 0
        while len(self._buffer) - at >= 5:
            size = 1 + struct.unpack_from("!I", self._buffer, at + 1)[0]
            if len(self._buffer) - at < size:
                break
            found.append((self._buffer[at : at + 1], self._buffer[at : at + size]))
            at += size
        self._buffer = self._buffer[at:]
        return found


@dataclass(eq=False)
class Link:
    """One connection through the proxy: towards PostgreSQL, and back to who opened it."""

    near_reader: asyncio.StreamReader
    near: asyncio.StreamWriter
    far_reader: asyncio.StreamReader
    far: asyncio.StreamWriter
    state: bytes = b"I"
    """As PostgreSQL last said: I idle, T in a transaction, E in a failed one."""
    answer_lost: bool = False

    def cut(self) -> None:
        """Break it, in both directions, with no farewell."""
        self.near.transport.abort()
        self.far.transport.abort()


@dataclass
class Proxy:
    """See `proxied`."""

    socket_path: str
    url: str = ""
    losing: Loss = Loss.NOTHING
    """What is lost of the commits from now on."""
    lost: int = 0
    """How many commits were cut so far."""
    links: set[Link] = field(default_factory=set)
    _open: asyncio.Event = field(default_factory=asyncio.Event)
    _carrying: dict[asyncio.StreamWriter, asyncio.Task[None]] = field(default_factory=dict)
    _closed: bool = False

    def partition(self) -> None:
        """Let nothing through, in either direction, and nobody know: connections stay, and say nothing."""
        self._open.clear()

    def heal(self) -> None:
        """Let all through again, first what was held back."""
        self._open.set()

    def cut(self, state: bytes = b"T") -> int:
        """Break the connections that are in the middle of a transaction; how many they were."""
        chosen = [link for link in self.links if link.state == state]
        for link in chosen:
            link.cut()
        return len(chosen)

    def cut_all(self) -> None:
        """Break every connection."""
        for link in list(self.links):
            link.cut()

    async def accept(self, near_reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        """Carry one connection until an end of it closes."""
        task = asyncio.current_task()
        assert task is not None
        self._carrying[near] = task
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                if self._closed:
                    return
                hello = await self._hello(near_reader, near)
                far_reader, far = await asyncio.open_unix_connection(self.socket_path)
                far.write(hello)
                await self._carry(Link(near_reader, near, far_reader, far))
        finally:
            near.transport.abort()
            del self._carrying[near]

    async def _hello(self, near_reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> bytes:
        """The first message, after a question for TLS was answered with no."""
        while True:
            await self._open.wait()
            head = await near_reader.readexactly(8)
            size, code = struct.unpack("!II", head)
            if code != SSL_REQUEST:
                return head + await near_reader.readexactly(size - 8)
            near.write(b"N")

    async def _carry(self, link: Link) -> None:
        self.links.add(link)
        ways = [asyncio.create_task(self._there(link)), asyncio.create_task(self._back(link))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.links.discard(link)
            link.cut()
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _there(self, link: Link) -> None:
        messages = Messages()
        while data := await link.near_reader.read(CHUNK):
            await self._open.wait()
            for letter, message in messages.feed(data):
                if letter == b"Q" and message.endswith(COMMIT) and self.losing is not Loss.NOTHING:
                    self.lost += 1
                    if self.losing is Loss.ASKING:
                        return
                    link.answer_lost = True
                if not link.far.is_closing():
                    link.far.write(message)
            await link.far.drain()

    async def _back(self, link: Link) -> None:
        messages = Messages()
        while data := await link.far_reader.read(CHUNK):
            await self._open.wait()
            for letter, message in messages.feed(data):
                if letter == b"Z":
                    link.state = message[-1:]
                    if link.answer_lost and link.state == b"I":
                        return
                if not link.answer_lost and not link.near.is_closing():
                    link.near.write(message)
            await link.near.drain()

    async def close(self) -> None:
        """Break what is left, and wait for its end."""
        self._closed = True
        self.heal()
        self.cut_all()
        tasks = list(self._carrying.values())
        for near in list(self._carrying):
            near.transport.abort()
        await asyncio.gather(*tasks)


@asynccontextmanager
async def proxied(url: str) -> AsyncIterator[Proxy]:
    """A proxy before the PostgreSQL of this URL (which is reached by its socket); `proxy.url` leads through it."""
    parsed = make_url(url)
    proxy = Proxy(f"{parsed.query['host']}/.s.PGSQL.{parsed.port or 5432}")
    proxy.heal()
    listening = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    through = parsed.difference_update_query(["host", "port"]).set(host="127.0.0.1", port=port)
    proxy.url = through.render_as_string(hide_password=False)
    try:
        yield proxy
    finally:
        listening.close()
        await proxy.close()
