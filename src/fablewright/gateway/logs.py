"""Structured logs: every line carries world, actor and correlation id.

Tracebacks never show the values of variables: these may be passwords and tokens, and finding them all takes
seconds in which nothing else is served.
"""

import logging
import sys
from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any, Final, TextIO

import structlog
from structlog.tracebacks import ExceptionDictTransformer

from fablewright.settings import Settings

REQUEST: Final[ContextVar[MutableMapping[str, Any] | None]] = ContextVar("request", default=None)
"""The `state` of the request or socket that is being served."""


def add_request(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add who and where, unless the line says so itself."""
    state = REQUEST.get() or {}
    event.setdefault("world", state.get("world"))
    event.setdefault("actor", getattr(state.get("actor"), "name", "system"))
    event.setdefault("correlation_id", str(state["correlation_id"]) if "correlation_id" in state else None)
    return event


def processors(*, production: bool) -> list[Any]:
    """What each line goes through: JSON in production, text for people otherwise."""
    first = [
        add_request,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if production:
        exceptions = structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False))
        return [*first, exceptions, structlog.processors.JSONRenderer(default=str)]
    plain = structlog.dev.ConsoleRenderer(
        colors=False, exception_formatter=structlog.dev.plain_traceback, sort_keys=False
    )
    return [*first, plain]


class PatientFile:
    """A file for log lines whose disk may be full, or whose reader may be gone: nothing fails because of that.

    Lines that could not be written are counted, and the count is told when writing works again.
    """

    def __init__(self, file: TextIO):
        self._file = file
        self._lost = 0

    def write(self, text: str) -> None:
        """Write a line if it can be written."""
        try:
            if self._lost:
                self._file.write(f"{self._lost} log lines could not be written.\n")
                self._file.flush()
                self._lost = 0
            self._file.write(text)
            self._file.flush()
        except (OSError, ValueError):  # the latter if it is closed
            self._lost += 1

    def flush(self) -> None:
        """Each line is flushed when it is written."""


def configure(settings: Settings) -> None:
    """Set up logging for this process: JSON lines in production, readable ones otherwise, on standard error."""
    structlog.configure(
        processors=processors(production=settings.environment == "production"),
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[settings.log_level.upper()]
        ),
        logger_factory=structlog.WriteLoggerFactory(PatientFile(sys.stderr)),  # type: ignore[arg-type]
        cache_logger_on_first_use=False,
    )
