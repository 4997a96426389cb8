"""Counters and gauges of this process, for `/metrics`."""

import os
from typing import Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from fablewright.core.transaction import Transaction

REQUESTS: Final = Counter("fablewright_requests_total", "HTTP requests.", ["method", "route", "status"])
SECONDS: Final = Histogram(
    "fablewright_request_seconds", "Time to answer an HTTP request.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)  # fmt: skip
COMMITS: Final = Counter("fablewright_commits_total", "Transactions that added events.")
EVENTS: Final = Counter("fablewright_events_total", "Events added to logs.")
SOCKETS: Final = Gauge("fablewright_websockets", "Open WebSockets.", multiprocess_mode="livesum")
FRAMES: Final = Counter("fablewright_frames_total", "Frames sent over WebSockets.")


def count_commit(tx: Transaction) -> None:
    """Count a commit that added events to a world's log; for `Engine.after_commit`."""
    if tx.events and tx.in_world:
        COMMITS.inc()
        EVENTS.inc(len(tx.events))


def render() -> tuple[bytes, str]:
    """The metrics of this process, or of all workers together, and their content type."""
    registry: CollectorRegistry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry), CONTENT_TYPE_LATEST
