"""One log: what libraries say through the standard library goes the way of our own lines."""

import logging

import structlog

from fablewright.gateway import logs
from fablewright.settings import Settings


class _Forward(logging.Handler):
    """Hands lines of the standard library's logging to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        structlog.get_logger(record.name).log(
            record.levelno, "library_said", library=record.name, text=record.getMessage(), exc_info=error
        )


def configure(settings: Settings) -> None:
    """Set up logging for this process. Libraries are heard from warnings on, uvicorn only with errors."""
    logs.configure(settings)
    logging.basicConfig(handlers=[_Forward()], level=logging.WARNING, force=True)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.ERROR)
