"""The Docker engine of this machine: found, asked for its version, connected to; or why that cannot be.

In: DOCKER_HOST, Docker's context, testcontainers' own settings. Out: an `Engine`, or `EngineMissing` with one
sentence and what to do. docker and testcontainers are imported when they are needed, for the base install
has them not. Every call blocks: from a loop, call through `asyncio.to_thread`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from harness.testbed.discover import NotAvailable, find_tool

MINIMUM_API = (1, 41)
"""Docker 20.10 and Podman 4: the oldest that the tests have met."""

PROBE_TIMEOUT_S = 2.0
TIMEOUT_S = 60.0

LOOPBACK = "127.0.0.1"
_LOOPBACK = {"localhost", LOOPBACK, "::1"}
_DEFAULT_HOST = "unix:///var/run/docker.sock"


class EngineMissing(NotAvailable):
    """There is no Docker engine to use here: one sentence says why, `do` what to do about it."""


@dataclass(frozen=True)
class Engine:
    """A Docker engine that answers."""

    client: Any  # docker.DockerClient; docker has no types
    host: str
    version: str
    api_version: str

    def close(self) -> None:
        self.client.close()


def connect(timeout_s: float = TIMEOUT_S, *, host: str | None = None) -> Engine:
    """The engine, asked for its version within two seconds. Raises EngineMissing. The caller closes it.

    `host` is where a run has had its objects; without it, the engine that a run would take.
    """
    try:
        import docker
        from docker.errors import DockerException
        from requests.exceptions import RequestException
    except ImportError as error:
        raise EngineMissing(
            "Docker cannot be used: the extra `containers` is not installed",
            "pip install 'mail-failover-harness[containers]'",
        ) from error
    host = host or docker_host()
    _refuse_other_machines(host)
    environ = os.environ | {"DOCKER_HOST": host}
    try:
        _knock(host)
        # A version is named so that making the client asks nothing; the question follows, unversioned.
        asked = docker.from_env(version=_dotted(MINIMUM_API), timeout=PROBE_TIMEOUT_S, environment=environ)
        with contextlib.closing(asked):
            facts = asked.api.version(api_version=False)
        version, api_version = _checked(facts, host)
        client = docker.from_env(version=api_version, timeout=timeout_s, environment=environ)
    except (DockerException, RequestException, OSError, ValueError) as error:
        raise _missing(error, host) from error
    return Engine(client=client, host=host, version=version, api_version=api_version)


def docker_host() -> str:
    """Where the engine is, as testcontainers would look for it: its properties, DOCKER_HOST, the context."""
    from testcontainers.core.docker_client import get_docker_host

    return get_docker_host() or _DEFAULT_HOST


def settle_testcontainers(engine: Engine, *, ryuk: bool = True) -> bool:
    """Make testcontainers neither wait, print, nor ask a registry; whether Ryuk will clean up after us.

    Ryuk removes what a killed process has left. It is taken only where its image is already on the engine:
    otherwise testcontainers would stop to pull it. The harness's own reaper works with and without.
    """
    from docker.errors import ImageNotFound
    from testcontainers.core.config import ConnectionMode
    from testcontainers.core.config import testcontainers_config as config

    from harness.testbed.containers.ryuk import start_ryuk

    # Containers name their images as the harness resolved them, and the harness is who pulls.
    config.hub_image_name_prefix = ""
    # A private attribute, since the setter warns: with a value here each new client logs in to a registry.
    config._docker_auth_config = None
    # Ryuk, too, is reached where everything is; in a container testcontainers would look for a gateway.
    config.connection_mode_override = ConnectionMode.docker_host
    config.tc_host_override = LOOPBACK
    logging.getLogger("testcontainers").setLevel(logging.ERROR)
    logging.getLogger("docker").setLevel(logging.ERROR)
    if ryuk and not config.ryuk_disabled:
        try:
            engine.client.images.get(config.ryuk_image)
        except ImageNotFound:
            ryuk = False
    config.ryuk_disabled = config.ryuk_disabled or not ryuk or not start_ryuk()
    return not config.ryuk_disabled


def _refuse_other_machines(host: str) -> None:
    """A run reaches its containers at ports of 127.0.0.1, and nothing else is ever addressed."""
    address = urllib.parse.urlsplit(host)
    if address.scheme in ("unix", "npipe", "http+unix", "fd") or (address.hostname or "") in _LOOPBACK:
        return
    raise EngineMissing(
        f"the Docker engine at {host} is on another machine, and a run reaches its containers on 127.0.0.1 "
        "only",
        "run the harness where the engine is, or point DOCKER_HOST at an engine of this machine",
    )


def _knock(host: str) -> None:
    """Raises OSError where nobody serves a Unix socket: docker-py would leave its own end open then."""
    if host.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as knocking:
            knocking.settimeout(PROBE_TIMEOUT_S)
            knocking.connect(host.removeprefix("unix://"))


def _checked(facts: dict[str, Any], host: str) -> tuple[str, str]:
    """The engine's version and that of its API, where both are such as a run needs."""
    try:
        api_version = str(facts["ApiVersion"])
        numbers = tuple(int(part) for part in api_version.split("."))
    except (KeyError, TypeError, ValueError) as error:
        raise EngineMissing(
            f"what answers at {host} is not a Docker engine: it names no API version", "check DOCKER_HOST"
        ) from error
    version = str(facts.get("Version", "unknown"))
    if numbers < MINIMUM_API:
        raise EngineMissing(
            f"the Docker engine at {host} is too old: it speaks API {api_version}, and a run needs "
            f"{_dotted(MINIMUM_API)}",
            "update it to Docker 20.10 or newer",
        )
    if str(facts.get("Os", "linux")) != "linux":
        raise EngineMissing(
            f"the Docker engine at {host} runs {facts['Os']} containers, and a run needs Linux ones",
            "switch it to Linux containers",
        )
    return version, api_version


def _missing(error: Exception, host: str) -> EngineMissing:
    """Why the engine did not answer, in one sentence: docker-py wraps the reason three times."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, PermissionError):
            return EngineMissing(
                f"this user may not use the Docker engine at {host}: permission denied",
                "add yourself to the group `docker` (`sudo usermod -aG docker $USER`) and log in again, or "
                "use a rootless engine",
            )
        if isinstance(cause, FileNotFoundError):
            if find_tool("docker") or find_tool("dockerd"):
                return EngineMissing(
                    f"the Docker engine is not running: there is no {host}",
                    "start it: `systemctl start docker`",
                )
            return EngineMissing(
                f"Docker is not installed: there is no {host}", "install Docker, or say `--on local`"
            )
        if isinstance(cause, ConnectionRefusedError):
            return EngineMissing(
                f"the Docker engine is not running: {host} refuses connections",
                "start it: `systemctl start docker`",
            )
    if any("timeout" in type(cause).__name__.lower() for cause in causes):
        return EngineMissing(
            f"the Docker engine at {host} did not answer within {PROBE_TIMEOUT_S:g} s",
            "see whether `docker version` hangs too, and restart the engine",
        )
    said = getattr(error, "explanation", None) or str(error)
    if isinstance(said, bytes):
        said = said.decode(errors="replace")
    if getattr(error, "response", None) is not None:
        return EngineMissing(
            f"the Docker engine at {host} answers with an error: {said.strip()}",
            "see what `docker version` says; updating the engine or the Python package docker may help",
        )
    return EngineMissing(f"what answers at {host} is not a Docker engine: {said}", "check DOCKER_HOST")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and each that it was raised from or carries among its arguments."""
    seen: list[BaseException] = []
    todo: list[BaseException | None] = [error]
    while todo:
        one = todo.pop()
        if one is None or any(one is other for other in seen):
            continue
        seen.append(one)
        yield one
        todo += [one.__cause__, one.__context__]
        todo += [each for each in one.args if isinstance(each, BaseException)]


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(number) for number in version)
