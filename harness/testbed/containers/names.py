"""Names and labels of what a run makes on a Docker engine: by them it is found again and removed.

Every container, network and volume carries the labels; `harness.run` is the marker that the run's ledger
holds as well. The owner is a user on a machine, so that no two users' runs on one engine meet.
"""

from __future__ import annotations

import hashlib
import os
import socket
from dataclasses import dataclass
from pathlib import Path

import psutil

PREFIX = "org.mail-failover-harness."
RUN = PREFIX + "run"
NAME = PREFIX + "name"
PART = PREFIX + "part"
OWNER = PREFIX + "owner"
PID = PREFIX + "pid"
STARTED = PREFIX + "started"
KEEP = PREFIX + "keep"

_MARKER_CHARACTERS = 12
_MACHINE_ID = Path("/etc/machine-id")
_PID_NAMESPACE = Path("/proc/self/ns/pid")


def owner() -> str:
    """This user on this machine, where the pids are its own.

    Harnesses that run in containers and share an engine may share a machine id and even a host's name, but
    not their pids: what is nobody's pid here may well be at work there.
    """
    try:
        machine = _MACHINE_ID.read_text()
    except OSError:  # not Linux, or a container
        machine = ""
    try:
        pids = _PID_NAMESPACE.stat().st_ino
    except OSError:  # not Linux
        pids = 0
    host = hashlib.sha256(f"{machine}\n{socket.gethostname()}\n{pids}".encode()).hexdigest()[:12]
    return f"{os.getuid()}@{host}"


@dataclass(frozen=True)
class RunNames:
    """What one run calls its objects, and what it writes on them."""

    marker: str
    run_name: str
    owner: str
    pid: int
    started_s: float
    """The harness's own start, seconds since the epoch: tells a reused pid."""
    keep: bool = False

    @classmethod
    def of_this_process(cls, marker: str, run_name: str, *, keep: bool = False) -> RunNames:
        return cls(
            marker=marker,
            run_name=run_name,
            owner=owner(),
            pid=os.getpid(),
            started_s=psutil.Process().create_time(),
            keep=keep,
        )

    def object_name(self, part: str) -> str:
        """A name that is free on the engine: of a container, network or volume."""
        return f"mfh-{self.marker[:_MARKER_CHARACTERS]}-{part}"

    def labels(self, part: str) -> dict[str, str]:
        return {
            RUN: self.marker,
            NAME: self.run_name,
            PART: part,
            OWNER: self.owner,
            PID: str(self.pid),
            STARTED: repr(self.started_s),
            KEEP: "true" if self.keep else "false",
        }


def of_run(marker: str) -> str:
    """The engine's filter (`filters={"label": …}`) for all that one run has made."""
    return f"{RUN}={marker}"
