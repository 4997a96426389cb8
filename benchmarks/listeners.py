"""A thousand WebSockets in a process of their own: `python -m benchmarks.listeners CONFIG`.

The client must cost little, since it shares the machine. All sockets of one filter receive the same bytes, so
a frame is parsed once and then recognised; each socket still checks for itself that `seq` goes on without gap
or repeat. Prints `ready`, listens until a `stop` line on standard input, then prints what it saw as JSON.
"""

import asyncio
import base64
import json
import os
import struct
import sys
import time
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import orjson
import uvloop

Parsed = tuple[int, int, int, list[float]]


class Tally:
    """What all sockets saw."""

    def __init__(self) -> None:
        self.frames: dict[bytes, Parsed | None] = {}
        self.arrivals: list[tuple[float, Parsed]] = []
        self.live = 0
        self.faults: list[str] = []

    def parse(self, payload: bytes) -> Parsed | None:
        """First and last `seq`, number of events, and when each was recorded; None for other messages."""
        if payload in self.frames:
            return self.frames[payload]
        message = orjson.loads(payload)
        parsed: Parsed | None = None
        if message["type"] == "events":
            events = message["events"]
            stamps = [datetime.fromisoformat(e["recorded_at"]).timestamp() for e in events]
            parsed = (events[0]["seq"], events[-1]["seq"], len(events), stamps)
        elif message["type"] == "live":
            self.live += 1
            return None
        elif message["type"] == "refused":
            self.faults.append(str(message))
        if len(self.frames) > 256:
            self.frames.clear()
        self.frames[payload] = parsed
        return parsed


class Ear(asyncio.Protocol):
    """One socket."""

    def __init__(self, tally: Tally, handshake: bytes):
        self.tally = tally
        self.handshake = handshake
        self.buffer = b""
        self.open = False
        self.last: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.transport.write(self.handshake)

    def data_received(self, data: bytes) -> None:
        now = time.time()
        buffer = self.buffer + data if self.buffer else data
        at = 0
        if not self.open:
            at = buffer.find(b"\r\n\r\n") + 4
            if at < 4:
                self.buffer = buffer
                return
            assert buffer.startswith(b"HTTP/1.1 101"), buffer[:200]
            self.open = True
            self.transport.write(masked(b'{"type":"subscribe"}', 1))
        while len(buffer) - at >= 2:
            length, head = buffer[at + 1] & 127, 2
            if length == 126:
                if len(buffer) - at < 4:
                    break
                length, head = struct.unpack_from("!H", buffer, at + 2)[0], 4
            elif length == 127:
                if len(buffer) - at < 10:
                    break
                length, head = struct.unpack_from("!Q", buffer, at + 2)[0], 10
            if len(buffer) - at < head + length:
                break
            opcode = buffer[at] & 15
            payload = buffer[at + head : at + head + length]
            at += head + length
            if opcode == 9:
                self.transport.write(masked(payload, 10))
            elif opcode == 1:
                self.frame(payload, now)
        self.buffer = buffer[at:]

    def frame(self, payload: bytes, now: float) -> None:
        parsed = self.tally.parse(payload)
        if parsed is None:
            return
        first, last, count, _ = parsed
        if (self.last is not None and first != self.last + 1) or last - first + 1 != count:
            self.tally.faults.append(f"after {self.last} came {first}..{last} ({count})")
        self.last = last
        self.tally.arrivals.append((now, parsed))

    def connection_lost(self, exc: Exception | None) -> None:
        self.tally.faults.append(f"closed: {exc}")


def masked(payload: bytes, opcode: int) -> bytes:
    """A client's frame, masked with zeros (which leaves the payload as it is)."""
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + b"\0\0\0\0" + payload


async def main() -> None:
    config = json.loads(sys.argv[1])
    parts = urlsplit(config["address"])
    tally = Tally()
    loop = asyncio.get_running_loop()
    ears: list[Ear] = []
    for _ in range(config["sockets"]):
        key = base64.b64encode(os.urandom(16)).decode()
        handshake = (
            f"GET /ws/worlds/{config['world']} HTTP/1.1\r\nhost: bench\r\nupgrade: websocket\r\n"
            f"connection: Upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: {key}\r\n"
            f"authorization: Bearer {config['token']}\r\n\r\n"
        ).encode()
        ear = Ear(tally, handshake)
        await loop.create_connection(lambda ear=ear: ear, parts.hostname, parts.port)  # type: ignore[misc]
        ears.append(ear)
    while tally.live < len(ears):
        await asyncio.sleep(0.02)
    print("ready", flush=True)
    cpu, started = time.process_time(), time.perf_counter()
    await loop.run_in_executor(None, sys.stdin.readline)
    share = (time.process_time() - cpu) / (time.perf_counter() - started)
    faults = list(tally.faults)
    print(json.dumps(summary(tally, ears, share, faults)), flush=True)
    os._exit(0)


def summary(tally: Tally, ears: list[Ear], share: float, faults: list[str]) -> dict[str, Any]:
    delays = sorted((now - stamp) * 1000 for now, parsed in tally.arrivals for stamp in parsed[3])
    return {
        "events": len(delays), "frames": len(tally.arrivals), "faults": len(faults), "examples": faults[:3],
        "last": sorted({ear.last for ear in ears if ear.last is not None}), "client_cpu": share,
        "median_ms": delays[len(delays) // 2], "p99_ms": delays[int(len(delays) * 0.99)], "max_ms": delays[-1],
    }  # fmt: skip


if __name__ == "__main__":
    uvloop.run(main())
