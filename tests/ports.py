"""Ports that nothing listens on, for who binds them a moment later, or for addresses where nobody is.

Outside the range of outgoing connections: in it, any connection of any other process could take one between
the choice and the use.
"""

from __future__ import annotations

from itertools import count

from harness.testbed.system.here import free_port as _free_port

_asked = count()


def free_port() -> int:
    """Never the same twice in a row; processes that run tests side by side begin at different places."""
    return _free_port(f"test {next(_asked)}")
