"""Follows what a system's containers write: `python -m harness.testbed.containers.system_log …`.

Arguments: the engine's address, the log, since when (seconds since the epoch), and for each container its id
and what to put before its lines, `id=web | `. A process of its own, so that a flood slows nothing down, and
bounded as the log of a process is. It ends when the last container has, with the last words in the log.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import docker
from docker.errors import DockerException
from requests.exceptions import RequestException

from harness.testbed.logpump import pump


def follow(docker_host: str, log_path: Path, since_s: float, members: dict[str, str]) -> None:
    read_fd, write_fd = os.pipe()
    followers = [
        threading.Thread(target=_follow, args=(docker_host, container, before, since_s, write_fd))
        for container, before in members.items()
    ]
    for each in followers:
        each.start()
    threading.Thread(target=_close_after, args=(followers, write_fd)).start()
    pump(read_fd, log_path)
    os.close(read_fd)


def _follow(docker_host: str, container: str, before: str, since_s: float, write_fd: int) -> None:
    client = docker.DockerClient(base_url=docker_host, timeout=None)
    # It ends with the container, or with the engine; whichever it was, others tell.
    with contextlib.closing(client), contextlib.suppress(DockerException, RequestException, OSError):
        rest = b""
        for chunk in _written(client, container, since_s):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                os.write(write_fd, before.encode() + line + b"\n")
        if rest:
            os.write(write_fd, before.encode() + rest + b"\n")


def _written(client: docker.DockerClient, container: str, since_s: float) -> Iterator[bytes]:
    """What it writes as it does, and then what the engine kept but did not send: who follows can miss a last
    line without a line end (Docker 20.10: in one of ten containers that ended at once)."""
    seen = 0
    for chunk in client.api.logs(container, stream=True, follow=True, since=since_s):
        seen += len(chunk)
        yield chunk
    for chunk in client.api.logs(container, stream=True, follow=False, since=since_s, until=time.time()):
        yield chunk[seen:]
        seen = max(0, seen - len(chunk))


def _close_after(followers: list[threading.Thread], write_fd: int) -> None:
    for each in followers:
        each.join()
    os.close(write_fd)


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    host, log, since, *rest = sys.argv[1:]
    follow(host, Path(log), float(since), dict(each.split("=", 1) for each in rest))
