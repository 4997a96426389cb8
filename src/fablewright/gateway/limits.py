"""Rate limits: a token bucket per actor or address. Per process for now: N processes allow N times as much."""

from collections import OrderedDict
from math import ceil
from typing import Final

from fablewright.core.clock import monotonic
from fablewright.core.refusal import TOO_MANY, Refusal

RATE_LIMITED = Refusal("rate_limited", TOO_MANY, "Too many requests. Wait as long as Retry-After says.")
MOST_BUCKETS: Final = 50_000


class RateLimiter:
    """Allows `per_minute` requests per name and minute, and as many at once as ten seconds would allow."""

    def __init__(self, per_minute: int):
        self._rate = per_minute / 60
        self._burst = max(1.0, per_minute / 6)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> None:
        """Count one request. Refuses `rate_limited` with `retry_after_seconds`."""
        if not self._rate:
            return
        now = monotonic()
        tokens, at = self._buckets.get(name, (self._burst, now))
        tokens = min(self._burst, tokens + (now - at) * self._rate)
        if tokens < 1:
            self._keep(name, tokens, now)
            raise RATE_LIMITED(retry_after_seconds=max(1, ceil((1 - tokens) / self._rate)))
        self._keep(name, tokens - 1, now)

    def _keep(self, name: str, tokens: float, now: float) -> None:
        """Keep a bucket. When there is no more room, the one that was used longest ago goes."""
        self._buckets[name] = (tokens, now)
        self._buckets.move_to_end(name)
        if len(self._buckets) > MOST_BUCKETS:
            self._buckets.popitem(last=False)
