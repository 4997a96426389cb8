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


_COUNTERS: Final[dict[tuple[str, str, int], Counter]] = {}
"""The counter of each kind of request: to look it up by its labels costs more than to count."""


def count_request(method: str, route: str, status: int, seconds: float) -> None:
    """Count a request that was answered. All three name few things: a method, a route's pattern, a status."""
    counter = _COUNTERS.get((method, route, status))
    if counter is None:
        counter = _COUNTERS[method, route, status] = REQUESTS.labels(method, route, status)
    counter.inc()
    SECONDS.observe(seconds)


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
