"""How answers reach the socket: head and body of one in a single write.

The server writes the head of an answer and its body one after the other, and each write is a system call, a packet,
and something for the client to wake up for. For small answers that is a good part of what they cost.
"""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

CONTINUE: Final = b"HTTP/1.1 100 "
"""Begins what is said before an answer; the client waits for it."""


class Together:
    """A transport that keeps the head of each answer until what follows it is written, too."""

    __slots__ = ("_fresh", "_head", "_write", "is_closing", "transport")

    def __init__(self, transport: asyncio.Transport):
        self.transport = transport
        self.is_closing = transport.is_closing
        self._write = transport.write
        self._head: bytes | None = None
        self._fresh = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)

    def write(self, data: bytes) -> None:
        """Write, or keep what begins an answer."""
        if self._head is not None:
            data, self._head = self._head + data, None
        elif self._fresh and not data.startswith(CONTINUE):
            self._head, self._fresh = data, False
            return
        self._write(data)

    def end(self) -> None:
        """The answer is whole: write what was kept of one that has no body. The next write begins another."""
        if self._head is not None:
            self._write(self._head)
            self._head = None
        self._fresh = True

    def close(self) -> None:
        """Close when all is written."""
        self.end()
        self.transport.close()


class HttpProtocol(HttpToolsProtocol):
    """The server's HTTP, on a transport that keeps answers together."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        super().connection_made(transport)
        self._together = Together(transport)
        self.transport = self._together  # type: ignore[assignment]

    def on_response_complete(self) -> None:
        """An answer was given."""
        self._together.end()
        super().on_response_complete()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection itself to the WebSocket: frames are whole."""
        self.transport = self._together.transport
        super().handle_websocket_upgrade()
