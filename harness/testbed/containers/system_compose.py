"""A system under test that is a compose file: read, closed (compose_file.py), and brought up for the run.

testcontainers' DockerCompose speaks to the compose plugin; which containers came of it, the engine says, by
the run's labels. By these everything of it goes at the end, too.
"""

from __future__ import annotations

import json
import logging
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testcontainers.compose import DockerCompose

from harness.scenario.hosts import certificate_names
from harness.scenario.models import Scenario
from harness.testbed.containers.compose_file import (
    Closing,
    ComposeRefused,
    closed,
    in_order,
    may_end,
    part_of,
)
from harness.testbed.containers.engine import Engine
from harness.testbed.containers.ground import Ground, Net, Started
from harness.testbed.containers.images import Progress
from harness.testbed.containers.names import RunNames
from harness.testbed.containers.system_host import ContainedHost, Member, Surface
from harness.testbed.containers.system_image import check_compose
from harness.testbed.discover import NotAvailable
from harness.testbed.resources import ResourceLedger
from harness.testbed.system.host import HostError

FOLDER = "system-compose"
_LAST_LINES = 12


@dataclass(frozen=True)
class ComposePlan:
    """The file and its service, with the variables of the run filled in."""

    file: Path
    service: str
    given: Mapping[str, str]
    env: Mapping[str, str]
    ca: str
    taken: frozenset[str] = frozenset()
    """Names that lead to the proxies."""


class _Compose(DockerCompose):
    """On the run's own engine, which need not be the one that the command line would take."""

    docker_host = ""

    @property
    def compose_command_property(self) -> list[str]:
        binary, *rest = super().compose_command_property
        return [binary, "--host", self.docker_host, *rest]


class ComposeHost(ContainedHost):
    def __init__(
        self, plan: ComposePlan, ground: Ground, surface: Surface, run_dir: Path, ledger: ResourceLedger
    ) -> None:
        super().__init__(ground, surface, run_dir, ledger)
        self.plan = plan
        self._folder = run_dir / FOLDER
        self._read: Mapping[str, Any] | None = None

    def _parts(self) -> Sequence[str]:
        return tuple(part_of(service) for service in in_order(self._file()))

    def _file(self) -> Mapping[str, Any]:
        assert self._read is not None, "the compose file has not been read"
        return self._read

    async def start(self) -> None:
        if self._read is None:
            self._read = await self._call(self._read_file)
        await super().start()

    async def _make(self) -> Sequence[Member]:
        await self._call(self._bring_up)
        members = await self._ground.call(self.plan.file.name, self._members)
        if missing := set(in_order(self._file())) - {service for service, _ in members}:
            raise HostError(f"{self.plan.file}: nothing was started for {', '.join(sorted(missing))}")
        return [member for _, member in members]

    async def _call(self, function: Any) -> Any:
        """In a thread. Raises HostError in compose's own words."""
        try:
            return await self._ground.call(self.plan.file.name, function)
        except ComposeRefused as error:
            raise HostError(f"{self.plan.file}: {error}") from error
        except subprocess.CalledProcessError as error:
            raise HostError(f"{self.plan.file}: compose failed:\n  {_said(error)}") from error

    def _read_file(self) -> dict[str, Any]:
        self._folder.mkdir(exist_ok=True)
        variables = {**self.plan.given, **self.plan.env}
        return read_file(self._ground.engine.host, self.plan.file, variables, self._folder)

    def _bring_up(self) -> None:
        ground, plan = self._ground, self.plan
        closing = Closing(
            names=ground.run,
            service=plan.service,
            front=ground.network_name(Net.FRONT),
            routes=ground.network_name(Net.ROUTES),
            given=plan.given,
            env=plan.env,
            ca=plan.ca,
            taken=plan.taken,
        )
        write_closed(ground.engine.host, self._folder, self._file(), closing).start()

    def _members(self) -> list[tuple[str, Member]]:
        """(service, container), those that others depend on first."""
        order, done = in_order(self._file()), may_end(self._file())
        found = []
        for service in order:
            target = service == self.plan.service
            of = {"label": [f"{name}={value}" for name, value in self._labels(service).items()]}
            for each in self._ground.engine.client.api.containers(all=True, filters=of):
                started = Started(each["Id"], each["Names"][0].lstrip("/"), {})
                member = Member(
                    started,
                    part_of(service),
                    takes_mail=target,
                    before=f"{service} | ",
                    may_end=service in done,
                )
                found.append((service, member))
        return found

    def _labels(self, service: str) -> Mapping[str, str]:
        return self._ground.run.labels(part_of(service))


def read_file(docker_host: str, file: Path, variables: Mapping[str, str], scratch: Path) -> dict[str, Any]:
    """As compose reads it, with these variables where it names any. Raises CalledProcessError."""
    logging.getLogger("testcontainers").setLevel(logging.CRITICAL)  # what fails is told once, by us
    written = scratch / "variables.env"
    lines = [f"{name}={_quoted(value)}\n" for name, value in variables.items()]
    written.write_text("".join(lines), encoding="utf-8")
    written.chmod(0o600)
    beside = file.parent / ".env"
    compose = _Compose(
        context=file.parent,
        compose_file_name=file.name,
        env_file=[str(each) for each in (beside, written) if each.exists()],
    )
    compose.docker_host = docker_host
    asked = [*compose.compose_command_property, "config", "--format", "json"]
    told = subprocess.run(asked, cwd=file.parent, capture_output=True, check=True)
    read: dict[str, Any] = json.loads(told.stdout)
    return read


def write_closed(docker_host: str, folder: Path, read: Mapping[str, Any], closing: Closing) -> DockerCompose:
    """The file of the run, in this folder, and who speaks to compose of it. Raises ComposeRefused."""
    file = folder / "compose.json"
    file.write_text(json.dumps(closed(read, closing), indent=2), encoding="utf-8")
    file.chmod(0o600)  # the routes' passwords are in it
    # Services that have done their work by then are no failure, so nothing is waited for.
    compose = _Compose(context=folder, compose_file_name=file.name, wait=False)
    compose.docker_host = docker_host
    return compose


def ensure_compose_images(engine: Engine, scenario: Scenario, progress: Progress) -> None:
    """The file read, found fit to be closed, and what it builds built; before anything is started.

    Its variables are not known yet, so they stand for themselves. Raises NotAvailable in one sentence.
    """
    compose = scenario.system.compose
    assert compose is not None, "the system is no compose file"
    check_compose(engine)
    file = scenario.path.resolve().parent / compose.file
    advice = "see `docker compose config` and `docker compose build` on the file by hand"
    if not file.is_file():
        raise NotAvailable(f"there is no compose file {file}", "see `system.compose.file`")
    closing = Closing(
        names=RunNames.of_this_process("0" * 32, scenario.scenario),
        service=compose.service,
        front="front",
        routes="routes",
        given={},
        env={},
        ca="",
        taken=frozenset(certificate_names(scenario)),
    )
    with tempfile.TemporaryDirectory() as scratch:
        try:
            read = read_file(engine.host, file, {name: name for name in scenario.system.env}, Path(scratch))
            spoken = write_closed(engine.host, Path(scratch), read, closing)
            if any("build" in service for service in read["services"].values()):
                progress(f"building what {file.name} builds")
                command = [*spoken.compose_command_property, "build", "--quiet"]
                subprocess.run(command, cwd=scratch, capture_output=True, check=True)
        except ComposeRefused as error:
            raise NotAvailable(
                f"{file}: {error}", "see docs/containers.md for what a run makes of it"
            ) from error
        except subprocess.CalledProcessError as error:
            raise NotAvailable(f"{file}: compose failed:\n  {_said(error)}", advice) from error


def _quoted(value: str) -> str:
    """For compose's file of variables: as it is, whatever is in it."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _said(error: subprocess.CalledProcessError) -> str:
    text = (error.stderr or error.stdout or b"").decode("utf-8", "replace")
    return "\n  ".join([line for line in text.splitlines() if line.strip()][-_LAST_LINES:])
