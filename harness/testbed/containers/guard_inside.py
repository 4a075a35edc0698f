"""Runs beside a system's container, in its network and nowhere else; see guard.py. Standard library alone.

It takes default routes away, so that whoever calls the outside is told at once that there is none, which the
kernel counts. On SIGTERM it prints that count, and ends. Once the container has lost its network, which is
when it has ended, what its last connections still send counts for nothing.
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

SIOCDELRT = 0x890C
EVERY_S = 0.2
RTENTRY = "L16s16s16sHhLPhPLLH"


def default_routes() -> Iterator[tuple[int, int]]:
    """(gateway, flags) as the kernel writes them."""
    for line in Path("/proc/net/route").read_text().splitlines()[1:]:
        _, destination, gateway, flags, _, _, _, mask, *_ = line.split()
        if int(destination, 16) == 0 and int(mask, 16) == 0:
            yield int(gateway, 16), int(flags, 16)


def close_the_way_out() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for gateway, flags in list(default_routes()):
            anywhere, by = _address(0), _address(gateway)
            route = struct.pack(RTENTRY, 0, anywhere, by, anywhere, flags, 0, 0, 0, 0, 0, 0, 0, 0)
            fcntl.ioctl(any_socket, SIOCDELRT, route)


def _address(number: int) -> bytes:
    return struct.pack("=HHI8x", socket.AF_INET, 0, number)


def without_a_route() -> int:
    """How often this network's users have called an address to which nothing leads."""
    names, numbers = [
        line.split() for line in Path("/proc/net/snmp").read_text().splitlines() if line.startswith("Ip:")
    ]
    return int(numbers[names.index("OutNoRoutes")])


def has_a_network() -> bool:
    return len(Path("/proc/net/route").read_text().splitlines()) > 1


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    count = 0
    try:
        while True:
            close_the_way_out()
            count = without_a_route() if has_a_network() else count
            time.sleep(EVERY_S)
    finally:
        print(f"without-a-route {without_a_route() if has_a_network() else count}", flush=True)


if __name__ == "__main__":
    main()
