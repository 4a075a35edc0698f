"""Ports for proxies: outside the range from which the system takes the ports of outgoing connections.

A proxy that is disabled for a while leaves its port unused. Were it in that range, any outgoing connection
could occupy it, so that the proxy could not come back, or even connect to itself, so that an outage would not
look like one.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from pathlib import Path

_RANGE_FILE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_DEFAULT_RANGE = (32768, 60999)
_LOWEST = 20000
_TRIES = 64


def candidate_ports(name: str) -> Iterator[int]:
    """Ports to try for the proxy `name`, in an order that depends on it and on this process."""
    low, high = _outgoing_range()
    usable = range(_LOWEST, low) if low > _LOWEST + _TRIES else range(high + 1, 65536)
    if len(usable) < _TRIES:
        yield 0  # the system takes everything for itself; so be it
        return
    # A stride keeps the endpoints of one run, and several runs at once, out of each other's way.
    start = zlib.crc32(f"{os.getpid()} {name}".encode())
    for attempt in range(_TRIES):
        yield usable[(start + attempt * 127) % len(usable)]


def _outgoing_range() -> tuple[int, int]:
    try:
        low, high = _RANGE_FILE.read_text().split()
    except OSError:  # not Linux
        return _DEFAULT_RANGE
    return int(low), int(high)
