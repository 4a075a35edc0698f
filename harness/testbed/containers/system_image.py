"""The image of a system that is a container: there, pulled, or built from a context beside the scenario.

In: the scenario. Out: a reference that the engine knows; or NotAvailable with the engine's own last words,
before anything is started. A context is always built again: the engine's cache makes that quick, and what is
tested is what lies there now. A compose file's images are compose's affair: here it is only looked for.
"""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from harness.scenario.models import Scenario
from harness.scenario.system import Container
from harness.testbed.containers import build_log, names
from harness.testbed.containers.engine import Engine
from harness.testbed.containers.images import Progress
from harness.testbed.discover import NotAvailable, find_tool

REPOSITORY = "mail-failover-harness/system"
_COMPOSE_WITHIN_S = 10.0


def reference_of(scenario: Scenario, container: Container) -> str:
    """What the image is called; one that is built here has a name for each context, file and arguments."""
    if container.image is not None:
        return container.image
    context = _context(scenario, container)
    what = "\0".join(
        [str(context), container.dockerfile or "", *sorted(map("=".join, container.args.items()))]
    )
    return f"{REPOSITORY}:{hashlib.sha256(what.encode()).hexdigest()[:12]}"


def ensure_system_image(engine: Engine, scenario: Scenario, progress: Progress) -> str:
    """The system's image, on the engine. Raises NotAvailable in one sentence."""
    container = scenario.system.container
    assert container is not None, "the system is no container"
    reference = reference_of(scenario, container)
    if container.build is not None:
        _build(engine, scenario, container, reference, progress)
    elif not _is_there(engine, reference):
        progress(f"pulling {reference}")
        _pull(engine, reference)
    return reference


def check_compose(engine: Engine) -> None:
    """Whether the compose plugin can be asked. Raises NotAvailable in one sentence."""
    client = find_tool("docker")
    advice = "install Docker's command line with its compose plugin, or run the system as a `container`"
    if client is None:
        raise NotAvailable("the system is a compose file, and Docker's command line is not on PATH", advice)
    done = subprocess.run(
        [str(client), "--host", engine.host, "compose", "version", "--short"],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=_COMPOSE_WITHIN_S,
        check=False,
    )
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[0]
        raise NotAvailable(f"the system is a compose file, and there is no compose plugin: {said}", advice)


def _context(scenario: Scenario, container: Container) -> Path:
    return (scenario.path.resolve().parent / (container.build or ".")).resolve()


def _is_there(engine: Engine, reference: str) -> bool:
    from docker.errors import ImageNotFound

    try:
        engine.client.images.get(reference)
    except ImageNotFound:
        return False
    return True


def _pull(engine: Engine, reference: str) -> None:
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        engine.client.images.pull(reference)
    except (DockerException, RequestException) as error:
        raise NotAvailable(
            f"the system's image {reference} is not on the Docker engine and cannot be pulled: {error}",
            "build or load it first, or let the scenario build it: `container: {build: FOLDER}`",
        ) from error


def _build(
    engine: Engine, scenario: Scenario, container: Container, reference: str, progress: Progress
) -> None:
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    context = _context(scenario, container)
    file = container.dockerfile or "Dockerfile"
    if not (context / file).is_file():
        raise NotAvailable(
            f"the system's image cannot be built: there is no {context / file}",
            "see `build` and `dockerfile` of `system.container`; both are relative to the scenario's folder",
        )
    progress(f"building the system's image from {context}")
    try:
        answers = engine.client.api.build(
            path=str(context),
            dockerfile=file,
            tag=reference,
            buildargs=dict(container.args),
            labels={f"{names.PREFIX}image": "system"},
            rm=True,
            forcerm=True,
            decode=True,
        )
        said = build_log.follow(answers, progress)
    except (DockerException, RequestException, OSError, TypeError) as error:
        raise _not_built(str(error)) from error
    if said is not None:
        raise _not_built(said)


def _not_built(said: str) -> NotAvailable:
    return NotAvailable(
        f"the system's image could not be built; the engine's last lines:\n  {said}",
        "try `docker build` by hand, with the same arguments",
    )
