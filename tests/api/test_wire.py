"""How answers reach the socket: head and body in one write, and nothing is ever kept back for good."""

import asyncio
from typing import Any

import pytest
import uvicorn

from fablewright.gateway.wire import CONTINUE, HttpProtocol, Together

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nhost: a\r\n"


class Written:
    """A transport that notes what is written."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


def together() -> tuple[Together, Written]:
    written = Written()
    transport: Any = written
    return Together(transport), written


def test_head_and_body_are_one_write_for_each_answer() -> None:
    transport, written = together()
    for _ in range(2):
        transport.write(HEAD)
        transport.write(b"ok")
        transport.end()
    assert written.writes == [HEAD + b"ok"] * 2


def test_what_streams_is_written_as_it_comes() -> None:
    transport, written = together()
    for part in (HEAD, b"a", b"HTTP/1.1 b"):
        transport.write(part)
    assert written.writes == [HEAD + b"a", b"HTTP/1.1 b"]


def test_an_answer_without_a_body_is_written_at_its_end() -> None:
    transport, written = together()
    transport.write(HEAD)
    transport.end()
    transport.end()
    assert written.writes == [HEAD]


def test_a_client_that_waits_to_go_on_hears_at_once() -> None:
    transport, written = together()
    transport.write(CONTINUE + b"Continue\r\n\r\n")
    transport.write(HEAD)
    transport.write(b"ok")
    assert written.writes == [CONTINUE + b"Continue\r\n\r\n", HEAD + b"ok"]


def test_what_is_kept_is_written_before_the_end_of_the_connection() -> None:
    transport, written = together()
    transport.write(HEAD)
    transport.close()
    assert written.writes == [HEAD]
    assert transport.is_closing()


async def _application(_scope: Any, receive: Any, send: Any) -> None:
    message = await receive()
    body = b"%d" % len(message["body"])
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.mark.parametrize(
    ("asked", "last"),
    [
        (b"HEAD / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", b"\r\n\r\n"),
        (GET + b"\r\n" + GET + b"connection: close\r\n\r\n", b"\r\n\r\n0"),
        (
            b"POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\nabc",
            b"\r\n\r\n3",
        ),
        (b"NONSENSE\r\n\r\n", b"Invalid HTTP request received."),
    ],
)
async def test_the_server_answers_as_ever(asked: bytes, last: bytes) -> None:
    config = uvicorn.Config(_application, http=HttpProtocol, lifespan="off", log_config=None)
    config.load()
    state = uvicorn.server.ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: HttpProtocol(config, state, {}), "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(asked)
        answer = b""
        while part := await reader.read(1_000):
            answer += part
        writer.close()
    assert answer.count(b"HTTP/1.1 200") == (0 if b"NONSENSE" in asked else asked.count(b"host"))
    assert answer.endswith(last)
