"""The time that dkimpy goes by: that of the message at hand, not of today.

It reads the clock when it makes a signature and when it judges one; a run that is signed or judged again,
years later, must come out the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dkim


class _Clock:
    """Stands in for the module `time` of dkimpy, which asks nothing of it but this."""

    def __init__(self, now_s: float) -> None:
        self._now_s = now_s

    def time(self) -> float:
        return self._now_s


@contextmanager
def as_of(wall_s: float) -> Iterator[None]:
    """`wall_s`: seconds since 1970."""
    usual = dkim.time
    dkim.time = _Clock(wall_s)
    try:
        yield
    finally:
        dkim.time = usual
