"""Structured logs: every line carries world, actor and correlation id."""

import logging
import sys
from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any, Final

import structlog

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


def configure(settings: Settings) -> None:
    """Set up logging for this process: JSON lines in production, readable ones otherwise, on standard error."""
    production = settings.environment == "production"
    structlog.configure(
        processors=[
            add_request,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.dict_tracebacks
            if production
            else structlog.processors.ExceptionPrettyPrinter(),
            structlog.processors.JSONRenderer()
            if production
            else structlog.dev.ConsoleRenderer(colors=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[settings.log_level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
