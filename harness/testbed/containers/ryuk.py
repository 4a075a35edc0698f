"""Ryuk, testcontainers' reaper: started with a run where its image is here, and known to have heard of us.

testcontainers sends Ryuk its label once, to a port that Docker's forwarder opens before Ryuk listens; what is
sent too early is lost, and nobody is told. So the label is sent again until Ryuk acknowledges it.
"""

from __future__ import annotations

import contextlib
import socket
import time

ACKNOWLEDGED = b"ACK\n"
TRIES = 25
PAUSE_S = 0.2
ANSWER_S = 2.0


def start_ryuk() -> bool:
    """Whether Ryuk is at work for this process; one that cannot be had is removed again."""
    from docker.errors import DockerException
    from testcontainers.core.container import Reaper

    if Reaper._instance is not None:
        return True  # a run before this one has seen to it
    try:
        Reaper.get_instance()
        if Reaper._socket is not None and _is_heard(Reaper._socket):
            return True
        for _ in range(TRIES):
            time.sleep(PAUSE_S)
            again = _introduce_again()
            if again is not None:
                Reaper._socket = again  # as long as it is open, this process lives
                return True
    except (DockerException, OSError):
        pass  # the harness's own reaper does without
    with contextlib.suppress(DockerException):
        Reaper.delete_instance()
    return False


def _introduce_again() -> socket.socket | None:
    from testcontainers.core.container import Reaper
    from testcontainers.core.labels import LABEL_SESSION_ID, SESSION_ID

    assert Reaper._container is not None
    port = Reaper._container.get_exposed_port(8080)
    with contextlib.suppress(OSError):
        connection = socket.create_connection(("127.0.0.1", int(port)), timeout=ANSWER_S)
        connection.sendall(f"label={LABEL_SESSION_ID}={SESSION_ID}\r\n".encode())
        if _is_heard(connection):
            return connection
        connection.close()
    return None


def _is_heard(connection: socket.socket) -> bool:
    connection.settimeout(ANSWER_S)
    try:
        return connection.recv(len(ACKNOWLEDGED)) == ACKNOWLEDGED
    except OSError:
        return False
