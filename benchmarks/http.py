"""A lean HTTP/1.1 client: it must cost little, since it shares the machine with the server."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit


class Connection(asyncio.Protocol):
    """One kept-alive connection that sends one request at a time and only looks at status and length."""

    def __init__(
        self, next_request: Callable[[], bytes | None], latencies: list[float], done: asyncio.Future[None]
    ):
        self._next = next_request
        self._latencies = latencies
        self._done = done
        self._buffer = b""
        self._sent_at = 0.0
        self.errors = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._send()

    def _send(self) -> None:
        request = self._next()
        if request is None:
            if not self._done.done():
                self._done.set_result(None)
            self._transport.close()
            return
        self._sent_at = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            self._buffer = buffer
            return
        at = buffer.find(b"content-length: ", 0, end)
        length = int(buffer[at + 16 : buffer.find(b"\r\n", at)])
        if len(buffer) < end + 4 + length:
            self._buffer = buffer
            return
        self._buffer = b""
        self._latencies.append(time.perf_counter() - self._sent_at)
        if buffer[9:10] != b"2":
            self.errors += 1
            if self.errors == 1:
                print("unexpected answer:", buffer[:600])
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(exc or ConnectionError("closed by the server"))


@dataclass
class Load:
    """What a run measured: operations per second, and latencies in seconds."""

    rate: float
    latencies: list[float]
    errors: int

    def quantile(self, q: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


async def load(address: str, connections: int, seconds: float, make: Callable[[int], bytes]) -> Load:
    """Keep `connections` busy for `seconds` with the requests that `make(number)` gives."""
    parts = urlsplit(address)
    latencies: list[float] = []
    number = 0
    stop_at = time.perf_counter() + seconds

    def next_request() -> bytes | None:
        nonlocal number
        if time.perf_counter() >= stop_at:
            return None
        number += 1
        return make(number)

    loop = asyncio.get_running_loop()
    futures, protocols = [], []
    start = time.perf_counter()
    for _ in range(connections):
        done: asyncio.Future[None] = loop.create_future()
        protocol = Connection(next_request, latencies, done)
        await loop.create_connection(
            lambda protocol=protocol: protocol,  # type: ignore[misc]
            str(parts.hostname),
            int(parts.port or 80),
        )
        futures.append(done)
        protocols.append(protocol)
    await asyncio.gather(*futures)
    elapsed = time.perf_counter() - start
    return Load(len(latencies) / elapsed, latencies, sum(p.errors for p in protocols))


def request(method: str, path: str, token: str, body: bytes = b"") -> bytes:
    """The bytes of a request."""
    head = f"{method} {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\n"
    if body:
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body
