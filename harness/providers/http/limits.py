"""What one account may do: requests a second, messages a day, requests at a time; on the provider's own
clock.

Asked once for each request. A refused request takes nothing, except where a provider counts those as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

DAY_S = 86_400.0


class RateLimit(msgspec.Struct, frozen=True, kw_only=True):
    """A token bucket: `burst` at once, and `rate_per_s` more each second."""

    name: str = "rate"
    rate_per_s: float
    burst: int
    counts_messages: bool = False  # or else requests


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """So many in each fixed span of time."""

    name: str
    count: int
    per_s: float
    counts_messages: bool = False
    counts_bytes: bool = False
    counts_refused: bool = False  # whether calls that were refused use it up as well


class Concurrency(msgspec.Struct, frozen=True, kw_only=True):
    """So many requests in progress at a time."""

    name: str
    count: int


Limit = RateLimit | Window | Concurrency


class Exhausted(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    limit: int
    remaining: int
    wait_s: float


class TokenBucket:
    """Holds at most `burst` tokens, gains `rate_per_s` of them a second, and starts full."""

    def __init__(self, rate_per_s: float, burst: int, now_s: float) -> None:
        self.rate_per_s = rate_per_s
        self.burst = burst
        self._tokens = float(burst)
        self._at_s = now_s

    def take(self, now_s: float, count: int = 1) -> bool:
        """Take `count` tokens if they are there. More than the bucket holds are taken from a full one."""
        self._refill(now_s)
        # A bucket that gains one token in exactly 1/rate seconds must not miss it by a rounding error.
        if self._tokens < min(count, self.burst) - 1e-9:
            return False
        self._tokens = max(0.0, self._tokens - count)
        return True

    def give_back(self, count: int) -> None:
        self._tokens = min(float(self.burst), self._tokens + count)

    def remaining(self, now_s: float) -> int:
        self._refill(now_s)
        return int(self._tokens + 1e-9)

    def wait_s(self, now_s: float, count: int = 1) -> float:
        """Seconds until `count` tokens are there."""
        self._refill(now_s)
        return max(0.0, (min(count, self.burst) - self._tokens) / self.rate_per_s)

    def _refill(self, now_s: float) -> None:
        elapsed_s = max(0.0, now_s - self._at_s)
        self._tokens = min(float(self.burst), self._tokens + elapsed_s * self.rate_per_s)
        self._at_s = now_s


class AccountUse:
    """What one account uses of its limits at the moment."""

    def __init__(self, limits: Sequence[Limit], now_s: float) -> None:
        self._limits = limits
        self._buckets = {
            limit.name: TokenBucket(limit.rate_per_s, limit.burst, now_s)
            for limit in limits
            if isinstance(limit, RateLimit)
        }
        self._windows: dict[str, tuple[int, int]] = {}  # which span, and how much of it is used
        self._in_progress = 0

    def begin(self) -> None:
        self._in_progress += 1

    def end(self) -> None:
        self._in_progress -= 1

    def take(self, messages: int, now_s: float, size_bytes: int = 0) -> Exhausted | None:
        """Count a request with so many messages; or take nothing, and say what it does not fit into."""
        taken: list[tuple[TokenBucket, int]] = []
        used: dict[str, tuple[int, int]] = {}
        refusal: Exhausted | None = None
        for limit in self._limits:
            cost = _cost(limit, messages, size_bytes)
            match limit:
                case RateLimit():
                    bucket = self._buckets[limit.name]
                    if bucket.take(now_s, cost):
                        taken.append((bucket, cost))
                        continue
                    left, wait_s = bucket.remaining(now_s), bucket.wait_s(now_s, cost)
                    refusal = Exhausted(name=limit.name, limit=limit.burst, remaining=left, wait_s=wait_s)
                case Window():
                    span = math.floor(now_s / limit.per_s)
                    before = self._spent(limit, span)
                    fits = before + cost <= limit.count
                    if fits or limit.counts_refused:
                        used[limit.name] = (span, before + cost)
                    if fits:
                        continue
                    left, wait_s = max(0, limit.count - before), (span + 1) * limit.per_s - now_s
                    refusal = Exhausted(name=limit.name, limit=limit.count, remaining=left, wait_s=wait_s)
                case Concurrency():
                    if self._in_progress <= limit.count:
                        continue
                    refusal = Exhausted(name=limit.name, limit=limit.count, remaining=0, wait_s=1.0)
            break
        if refusal is None:
            self._windows |= used
            return None
        for bucket, cost in taken:
            bucket.give_back(cost)
        counted = {each.name for each in self._limits if isinstance(each, Window) and each.counts_refused}
        self._windows |= {name: value for name, value in used.items() if name in counted}
        return refusal

    def _spent(self, window: Window, span: int) -> int:
        which, spent = self._windows.get(window.name, (span, 0))
        return spent if which == span else 0


def _cost(limit: Limit, messages: int, size_bytes: int) -> int:
    if isinstance(limit, Window) and limit.counts_bytes:
        return size_bytes
    return messages if not isinstance(limit, Concurrency) and limit.counts_messages else 1
