"""The certificates that a provider shows: the right one, and in a fault of type `certificate` a flawed twin.

Each new handshake asks; connections that are open go on. A client that leaves at the handshake because it
looks at what it is shown is what such a fault is to provoke; one that does not look notices nothing.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.providers.errors import FaultRefused
from harness.providers.faults import Decision, Placed, check_attributes
from harness.providers.tls import Flaw, flawed_contexts, server_context
from harness.providers.wire import ProviderFault

STAGE = "tls"


@dataclass(frozen=True, kw_only=True)
class Certificates:
    right: ssl.SSLContext
    flawed: Mapping[Flaw, ssl.SSLContext]

    @classmethod
    def load(cls, cert_path: str | None, key_path: str | None) -> Certificates | None:
        """None where no files are given; raises ConfigError."""
        right = server_context(cert_path, key_path)
        return None if right is None else cls(right=right, flawed=flawed_contexts(cert_path))

    def shown(self, decision: Decision[Any] | None) -> ssl.SSLContext:
        """A certificate of the user's own has no twins, and is shown as it is."""
        if decision is None:
            return self.right
        return self.flawed.get(flaw_of(decision.fault), self.right)

    def choosing(self, decide: Callable[[], Decision[Any] | None]) -> ssl.SSLContext:
        """A context for a whole listener, which decides anew for each handshake."""

        def choose(handshake: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
            if (decision := decide()) is not None:
                handshake.context = self.shown(decision)

        self.right.sni_callback = choose
        return self.right


def place(fault: ProviderFault) -> Placed[Any]:
    """For any engine; raises FaultRefused that says what is valid."""
    check_attributes(fault, {"named"})
    if fault.named not in list(Flaw):
        raise FaultRefused(f"certificate needs `named`, one of: {', '.join(Flaw)}")
    if (fault.class_, fault.recipient, fault.tenant) != (None, None, None):
        raise FaultRefused(
            "at the handshake no message is known, and nobody's name: no class, recipient, tenant"
        )
    return Placed(stage=STAGE)


def flaw_of(fault: ProviderFault) -> Flaw:
    return Flaw(fault.named or "")
