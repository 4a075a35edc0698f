"""A Docker engine of the test's own, to be stopped and restarted while the machine's engine serves others.

It lives in a network namespace of its own, so its bridges, its packet filter and its 127.0.0.1 are its own
too; who wants to use it runs in that namespace (`enter`). Needs root, dockerd, unshare and nsenter. Its
images are copied from the machine's engine.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import pytest

from tests.requires import require_tool
from tests.waiting import wait_until

UP_S = 30.0
NAMESPACE = "mfh-test"  # where the machine's own containerd is used, its containers are told apart by this


class OwnEngine:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._dockerd: subprocess.Popen[bytes] | None = None
        # It holds the namespace while dockerd is being restarted.
        self._holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec sleep infinity"],
            stdout=subprocess.PIPE,
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == b"up\n"

    @property
    def host(self) -> str:
        return f"unix://{self._folder}/sock"

    @property
    def enter(self) -> list[str]:
        """What comes before a command that is to run where this engine's ports are."""
        return ["nsenter", f"--net=/proc/{self._holder.pid}/ns/net"]

    @property
    def is_running(self) -> bool:
        return self._dockerd is not None

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self._dockerd = subprocess.Popen(
                [
                    *self.enter,
                    "dockerd",
                    *("--host", self.host),
                    *("--data-root", str(self._folder / "data")),
                    *("--exec-root", str(self._folder / "exec")),
                    *("--pidfile", str(self._folder / "pid")),
                    *("--containerd-namespace", NAMESPACE),
                    *("--containerd-plugins-namespace", f"{NAMESPACE}-plugins"),
                ],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self._answers, UP_S)

    def _answers(self) -> bool:
        assert self._dockerd is not None
        assert self._dockerd.poll() is None, (self._folder / "log").read_text("utf-8", "replace")[-2000:]
        return self.docker("version").returncode == 0

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self._dockerd is not None:
            self._dockerd.send_signal(number)
            self._dockerd.wait(UP_S)
            self._dockerd = None

    def docker(self, *arguments: str, stdin: int | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["docker", "--host", self.host, *arguments],
            stdin=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def copy_images(self, references: Sequence[str]) -> None:
        with subprocess.Popen(["docker", "save", *references], stdout=subprocess.PIPE) as saved:
            assert saved.stdout is not None
            loaded = self.docker("load", stdin=saved.stdout.fileno())
        assert loaded.returncode == 0 and saved.returncode == 0, loaded.stderr

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        # A dockerd that was killed has left containers, which the next one ends.
        if not self.is_running:
            self.start()
        self.docker("container", "prune", "--force")
        self.stop()
        self._holder.kill()
        self._holder.wait()
        assert self._holder.stdout is not None
        self._holder.stdout.close()


@contextmanager
def own_engine(images: Sequence[str]) -> Iterator[OwnEngine]:
    """Skips the test where this machine does not allow it."""
    if os.geteuid() != 0:
        pytest.skip("an engine of the test's own needs root")
    for program in ("dockerd", "docker", "unshare", "nsenter", "ip"):
        require_tool(program)
    # A short path: that of a socket has a limit.
    folder = Path(tempfile.mkdtemp(prefix="mfh-engine-"))
    try:
        with OwnEngine(folder) as engine:
            engine.copy_images(images)
            yield engine
    finally:
        _unmount_under(folder)
        shutil.rmtree(folder)


def _unmount_under(folder: Path) -> None:
    """What a dockerd that was killed has left mounted; the deepest first."""
    points = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for point in sorted(points, reverse=True):
        if point.startswith(f"{folder}/"):
            subprocess.run(["umount", point], check=True)
