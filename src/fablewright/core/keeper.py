"""Keeps the embedded PostgreSQL alive for as long as the server that owns it runs.

A PostgreSQL of one's own has a service manager that starts it again after a crash, an out-of-memory kill or a
disk that was full for a while. The embedded one has only us. While it is away, commands are refused with
`database_unavailable`, and the connection pools find it again by themselves.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fablewright.core.clock import monotonic
from fablewright.core.embedded import EmbeddedError, EmbeddedPostgres

LOOK_SECONDS = 0.1
"""How often we look whether it lives; costs one system call."""
FIRST_WAIT_SECONDS = 0.5
MOST_WAIT_SECONDS = 10.0
"""Waits after a start that failed double from the first to the last of these."""


@contextmanager
def kept_alive(postgres: EmbeddedPostgres, say: Callable[[str], None]) -> Iterator[None]:
    """Start PostgreSQL again whenever it dies while the block runs; `say` hears what the operator should know.

    Leaving the block waits for a start that is under way.
    """
    ending = threading.Event()
    keeper = threading.Thread(target=_keep, args=(postgres, say, ending), name="postgres-keeper", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        ending.set()
        keeper.join()


def _keep(postgres: EmbeddedPostgres, say: Callable[[str], None], ending: threading.Event) -> None:
    wait = LOOK_SECONDS
    while not ending.wait(wait):
        began = monotonic()
        try:
            revived = postgres.revive()
        except EmbeddedError as error:
            wait = min(MOST_WAIT_SECONDS, max(FIRST_WAIT_SECONDS, 2 * wait))
            say(f"PostgreSQL has died and cannot be started now; trying again in {wait:g} s. {error}")
            continue
        wait = LOOK_SECONDS
        if revived:
            say(f"PostgreSQL had died by itself and was started again in {monotonic() - began:.1f} s.")
