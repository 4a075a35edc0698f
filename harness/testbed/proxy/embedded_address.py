"""Addresses as Toxiproxy writes them (`host:port`, `[::1]:port`, `:port`), with the errors it reports."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from dataclasses import dataclass

BACKLOG = 1024


class AddressError(ValueError):
    """An address that cannot be read or resolved; the text is what Toxiproxy would say."""


@dataclass(frozen=True, slots=True)
class Address:
    """A host (empty: all of this machine's addresses) and a TCP port (0: any free one)."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read `text`; an empty one means any port on all addresses. Raises AddressError."""
        if not text:
            return cls("", 0)
        host, port = _split(text)
        if not port:
            return cls(host, 0)
        if not (port.isascii() and port.isdigit()):
            raise AddressError(f"lookup tcp/{port}: unknown port")
        if int(port) > 65535:
            raise AddressError(f"address {port}: invalid port")
        return cls(host, int(port))

    async def resolved(self) -> Address:
        """The same with a name replaced by its first IPv4 address, else its first. Raises AddressError."""
        if not self.host or _is_ip(self.host):
            return self
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise AddressError(f"lookup {self.host}: no such host") from error
        found.sort(key=lambda entry: entry[0] != socket.AF_INET)
        return Address(str(found[0][4][0]), self.port)


def _split(text: str) -> tuple[str, str]:
    if text.startswith("[") and ":" in text:
        host, bracket, rest = text[1:].partition("]")
        if not bracket:
            raise AddressError(f"address {text}: missing ']' in address")
        if not rest.startswith(":"):
            raise AddressError(f"address {text}: missing port in address")
        if ":" in rest[1:]:
            raise AddressError(f"address {text}: too many colons in address")
        return host, rest[1:]
    host, colon, port = text.rpartition(":")
    if not colon:
        raise AddressError(f"address {text}: missing port in address")
    if ":" in host:
        raise AddressError(f"address {text}: too many colons in address")
    return host, port


def bound_socket(address: Address) -> socket.socket:
    """A listening socket; without a host it takes IPv6 and IPv4. Raises OSError.

    The protocol is named: asyncio turns off Nagle's delay only for sockets whose protocol it knows, and the
    connections that are accepted inherit what the listening socket knows.
    """
    both = not address.host and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both or ":" in address.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if both else 1)
        sock.bind((address.host, address.port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
