"""Serving: the listening sockets, and uvicorn around the application, in this process."""

import asyncio
import gc
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from fablewright.cli import loggers
from fablewright.cli.failures import Failure
from fablewright.cli.signals import ENDING
from fablewright.settings import Settings

GRACE_SECONDS = 5
"""How long requests under way may take to finish when the server is asked to end."""
BACKLOG = 2048
BALANCED = sys.platform == "linux"
"""Whether the kernel spreads connections over sockets that share an address."""


def listen(host: str, port: int, many: int = 1) -> list[socket.socket]:
    """One listening socket per worker, all on one address; port 0 takes a free one.

    Where the kernel does not spread connections, the workers share one socket. Raises `Failure`.
    """
    first = _bound(host, port, shared=False)
    if many == 1 or not BALANCED:
        return [first] * many
    # The address is ours to take: a socket that would share it was refused to everybody else until here.
    port = first.getsockname()[1]
    first.close()
    return [_bound(host, port, shared=True) for _ in range(many)]


def _bound(host: str, port: int, *, shared: bool) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        with closing_on_error(socket.socket(family, kind, protocol)) as bound:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shared:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            bound.bind(address)
            bound.listen(BACKLOG)
            bound.setblocking(False)
            return bound
    except OSError as error:
        raise Failure(
            f"Cannot listen on {host} port {port}: {error.strerror or error}."
            " Choose another one with --port or FABLEWRIGHT_PORT; 0 takes a free one."
        ) from error


@contextmanager
def closing_on_error(opened: socket.socket) -> Iterator[socket.socket]:
    """Hand over a socket, and close it if that fails."""
    try:
        yield opened
    except BaseException:
        opened.close()
        raise


def address_of(bound: socket.socket) -> str:
    """The address to type into a browser on this machine."""
    host, port = bound.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104  compared, not bound
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Server(uvicorn.Server):
    """Uvicorn that says when it takes connections, and lets us unwind when it is asked to end."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]):
        super().__init__(config)
        self._on_started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the application, then take connections."""
        await super().startup(sockets)
        # What is there now stays until the end: the collector need not look through it again and again.
        gc.collect()
        gc.freeze()
        self._on_started()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take the signals, without raising them again at the end as uvicorn does."""
        import signal

        before = {number: signal.signal(number, self.handle_exit) for number in ENDING}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


Beside = Callable[[Any, str], Awaitable[None]]
"""What runs beside the server, given application and address; it is cancelled when the server ends."""


def serve_here(
    settings: Settings,
    url: str,
    bound: socket.socket,
    *,
    started: Callable[[], None],
    beside: Beside | None = None,
) -> None:
    """Serve in this process until a signal asks us to end. Raises `Failure` if it cannot start."""
    from fablewright.app import create_app
    from fablewright.gateway.wire import HttpProtocol
    from fablewright.systems.accounts.tokens import signing_key

    loggers.configure(settings)
    signing_key(
        settings
    )  # a bad one is said here in one line, rather than by a traceback out of the lifespan
    app = create_app(settings, url)
    config = uvicorn.Config(
        app, loop="uvloop", http=HttpProtocol, ws="websockets-sansio", lifespan="on", log_config=None,
        access_log=False, server_header=False, proxy_headers=False, backlog=BACKLOG,
        ws_per_message_deflate=False, ws_max_size=settings.max_body_bytes,
        ws_ping_interval=settings.socket_ping_seconds, ws_ping_timeout=settings.socket_idle_seconds,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )  # fmt: skip
    companions: list[asyncio.Task[None]] = []

    def on_started() -> None:
        started()
        if beside is not None:
            companions.append(asyncio.ensure_future(beside(app, address_of(bound))))

    server = _Server(config, on_started)

    async def whole() -> None:
        try:
            await server.serve(sockets=[bound])
        finally:
            for task in companions:
                task.cancel()
            await asyncio.gather(*companions, return_exceptions=True)

    try:
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(whole())
    except SystemExit as exit_:
        if exit_.code:
            raise Failure("The server could not start; the lines above say why.") from exit_
