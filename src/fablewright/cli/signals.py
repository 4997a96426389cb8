"""Ending in order: what asks us to end becomes an ordinary unwinding of the stack."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def end_in_order() -> None:
    """From now on SIGTERM and SIGHUP raise `KeyboardInterrupt`, as SIGINT does."""
    for number in ENDING:
        signal.signal(number, _interrupt)


def end_undisturbed() -> None:
    """The work is done and the process ends: from now on it is not asked to end again."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)


def is_interrupt(error: BaseException | None) -> bool:
    """Whether this is a request to end, be it that code on the way made another exception of it, as C code does."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt) or "KeyboardInterrupt" in str(error):
            return True
        error = error.__cause__
    return False


def _interrupt(_number: int, _frame: Any) -> None:
    raise KeyboardInterrupt


@contextmanager
def undisturbed() -> Iterator[None]:
    """While something is being stopped in order, a second Ctrl-C must not interrupt it."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
