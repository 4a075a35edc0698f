"""Containers, networks and volumes that carry a run's labels and are nothing else: for tests of finding and
removing them.
"""

from __future__ import annotations

import os
import uuid
from typing import Any, Self

import psutil

from harness.testbed.containers import names
from harness.testbed.containers.engine import Engine
from harness.testbed.containers.images import PINNED, Kind
from harness.testbed.containers.reaper import Reaped, look, reap

IMAGE = PINNED[Kind.TOXIPROXY]  # small, and it stays until it is ended


def output(docker: Engine, image: str, *command: str) -> str:
    """What it writes. docker-py's `run` follows the log, and may miss a last line that has no line end."""
    container = docker.client.containers.create(image, [*command], network_mode="none")
    try:
        container.start()
        code = container.wait()["StatusCode"]
        written = container.logs(stderr=code != 0).decode()
    finally:
        container.remove(force=True)
    assert code == 0, written
    return str(written)


class Labelled:
    """What one run has on an engine, made by hand."""

    def __init__(self, engine: Engine, marker: str | None = None, **owner: Any) -> None:
        """`owner`: what the labels say of the run's maker, where that is not this process."""
        self.engine = engine
        self._api = engine.client.api
        self.marker = marker or uuid.uuid4().hex
        of = {"owner": names.owner(), "pid": os.getpid(), "started_s": psutil.Process().create_time()}
        self._of: dict[str, Any] = {**of, **owner}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.reap().ok

    def _labels(self, keep: bool = False, part: str = "part") -> dict[str, str]:
        run = names.RunNames(marker=self.marker, run_name="a-run", keep=keep, **self._of)
        return run.labels(part)

    def container(
        self,
        *,
        network: str | None = None,
        volume: str | None = None,
        state: str = "running",
        keep: bool = False,
        part: str = "part",
        command: list[str] | None = None,
    ) -> str:
        config = self._api.create_host_config(
            network_mode=network or "none", binds={volume: "/data"} if volume else None
        )
        labels = self._labels(keep, part)
        made = self._api.create_container(IMAGE, command, labels=labels, host_config=config)["Id"]
        if state != "created":
            self.start(made)
        if state == "paused":
            self._api.pause(made)
        if state == "exited":
            self.kill(made)
        return str(made)

    def start(self, container: str) -> None:
        self._api.start(container)

    def kill(self, container: str) -> None:
        self._api.kill(container)
        self._api.wait(container)

    def name_of(self, container: str) -> str:
        return str(self._api.inspect_container(container)["Name"]).strip("/")

    def network(self) -> str:
        name = f"mfh-test-{uuid.uuid4().hex[:12]}"
        self._api.create_network(name, driver="bridge", internal=True, labels=self._labels())
        return name

    def volume(self) -> str:
        name = f"mfh-test-{uuid.uuid4().hex[:12]}"
        self._api.create_volume(name, labels=self._labels())
        return name

    def there(self) -> list[str]:
        return [thing.name for thing in look(self._api, names.of_run(self.marker))]

    def reap(self, **how: Any) -> Reaped:
        return reap(self.engine, self.marker, again="harness heal", **how)
