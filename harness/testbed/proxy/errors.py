"""What can go wrong with a proxy.

ProxyError
├── ProxyServerError    its server cannot be found or does not start
├── ProxyUnreachable    nothing answers at its API, or the answer broke off
├── ProxyTimeout        the API did not answer in time; the request may still take effect
├── ProxyRefused        the API said no; nothing has changed
└── ProxyNotAsAsked     the API said yes, and what it shows is something else
"""

from __future__ import annotations


class ProxyError(Exception):
    """Any failure of a proxy, its server or its API."""


class ProxyServerError(ProxyError):
    """The server's program is absent, cannot run, or did not get ready in time."""


class ProxyUnreachable(ProxyError):
    """No connection to the API, or one that ended before the answer."""


class ProxyTimeout(ProxyError):
    """No answer in time. Toxiproxy's known deadlocks look like this."""


class ProxyRefused(ProxyError):
    """An answer with an error: `status` is the HTTP status, `reason` the API's own text."""

    def __init__(self, request: str, status: int, reason: str) -> None:
        super().__init__(f"{request} was refused with {status}: {reason}")
        self.status = status
        self.reason = reason

    @property
    def is_port_in_use(self) -> bool:
        """Whether the proxy could not listen because its port is taken."""
        return self.status == 500 and "address already in use" in self.reason


class ProxyNotAsAsked(ProxyError):
    """The state read back differs from the state asked for; the message says where."""
