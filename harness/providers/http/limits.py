"""A rate limit as a token bucket on the provider's own clock.

Asked once for each request; a refused request takes nothing from the bucket.
"""

from __future__ import annotations


class TokenBucket:
    """Holds at most `burst` tokens, gains `rate_per_s` of them a second, and starts full."""

    def __init__(self, rate_per_s: float, burst: int, now_s: float) -> None:
        self.rate_per_s = rate_per_s
        self.burst = burst
        self._tokens = float(burst)
        self._at_s = now_s

    def take(self, now_s: float) -> bool:
        """Take one token if there is one."""
        self._refill(now_s)
        # A bucket that gains one token in exactly 1/rate seconds must not miss it by a rounding error.
        if self._tokens < 1 - 1e-9:
            return False
        self._tokens = max(0.0, self._tokens - 1)
        return True

    def remaining(self, now_s: float) -> int:
        self._refill(now_s)
        return int(self._tokens + 1e-9)

    def wait_s(self, now_s: float) -> float:
        """Seconds until the next token."""
        self._refill(now_s)
        return max(0.0, (1 - self._tokens) / self.rate_per_s)

    def _refill(self, now_s: float) -> None:
        elapsed_s = max(0.0, now_s - self._at_s)
        self._tokens = min(float(self.burst), self._tokens + elapsed_s * self.rate_per_s)
        self._at_s = now_s
