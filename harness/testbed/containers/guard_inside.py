"""Runs beside a system's container, in its network and nowhere else; see guard.py. Standard library alone.

It takes default routes away, so that whoever calls the outside is told at once that there is none, which the
kernel counts. On SIGTERM it prints that count, and ends. Once the container has lost one of its networks,
which is when it has ended, what its last connections still send counts for nothing.
"""

from __future__ import annotations

import fcntl
import signal
import socket
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path

PROC_NET = Path("/proc/net")
SIOCDELRT = 0x890C
EVERY_S = 0.2
RTENTRY = "L16s16s16sHhLPhPLLH"


def routes() -> Iterator[tuple[str, int, int, bool]]:
    """(interface, gateway, flags, whether it is a default route) as the kernel writes them."""
    for line in (PROC_NET / "route").read_text().splitlines()[1:]:
        interface, destination, gateway, flags, _, _, _, mask, *_ = line.split()
        anywhere = int(destination, 16) == 0 and int(mask, 16) == 0
        yield interface, int(gateway, 16), int(flags, 16), anywhere


def close_the_way_out() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for _, gateway, flags, is_default in list(routes()):
            if not is_default:
                continue
            anywhere, by = _address(0), _address(gateway)
            route = struct.pack(RTENTRY, 0, anywhere, by, anywhere, flags, 0, 0, 0, 0, 0, 0, 0, 0)
            fcntl.ioctl(any_socket, SIOCDELRT, route)


def _address(number: int) -> bytes:
    return struct.pack("=HHI8x", socket.AF_INET, 0, number)


def without_a_route() -> int:
    """How often this network's users have called an address to which nothing leads."""
    names, numbers = [
        line.split() for line in (PROC_NET / "snmp").read_text().splitlines() if line.startswith("Ip:")
    ]
    return int(numbers[names.index("OutNoRoutes")])


class Count:
    """The kernel's count, as long as the container had all its networks."""

    def __init__(self) -> None:
        self.value = 0
        self._most: frozenset[str] = frozenset()

    def look(self) -> None:
        # The count first: a network that goes away in between is missed then, and nothing is counted.
        value = without_a_route()
        networks = frozenset(interface for interface, _, _, is_default in routes() if not is_default)
        if networks and len(networks) >= len(self._most):
            self.value, self._most = value, networks


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    count = Count()
    try:
        while True:
            close_the_way_out()
            count.look()
            time.sleep(EVERY_S)
    finally:
        count.look()
        print(f"without-a-route {count.value}", flush=True)


if __name__ == "__main__":
    main()
