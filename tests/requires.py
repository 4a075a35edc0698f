"""What a test needs from the machine: real programs, found on PATH or among the project's own tools.

A test that needs one asks here. Where the program is absent the test is skipped, and says why; with
HARNESS_REQUIRE_REAL=1 in the environment its absence is a failure, so that a gate cannot turn green by
having nothing to test with.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from rich.console import Console

from harness.testbed.containers import images
from harness.testbed.containers.engine import Engine, connect
from harness.testbed.containers.prepare import ensure_provider, find_images
from harness.testbed.discover import NotAvailable

NO_ENGINE = "unix:///nowhere.invalid/docker.sock"
"""A DOCKER_HOST for what is not about containers: it means the same whether Docker happens to run or not."""

TOOLS = Path(__file__).resolve().parent.parent / ".tools"


def find_tool(name: str) -> Path | None:
    """The program `name`, from PATH first, else from the project's `.tools`; None if it is in neither."""
    found = shutil.which(name) or shutil.which(name, path=str(TOOLS))
    return Path(found) if found else None


def require_tool(name: str) -> Path:
    """The program `name`; skips the test if it is absent, or fails it where real programs are required."""
    found = find_tool(name)
    if found is not None:
        return found
    _go_without(f"{name} is neither on PATH nor in {TOOLS}")


def require_postfix() -> None:
    """An installed Postfix, and root: its master will not start without. Skips or fails as above."""
    if os.geteuid() != 0:
        _go_without("Postfix's master must be started by root")
    if shutil.which("postfix", path=f"{os.environ['PATH']}:/usr/sbin") is None:
        _go_without("postfix is not installed")


def require_docker() -> Iterator[Engine]:
    """A Docker engine with a run's images on it: `docker = pytest.fixture(require_docker)`.

    Skips the test where there is none, or fails it where real programs are required.
    """
    try:
        engine = connect()
    except NotAvailable as error:
        _go_without(f"{error} ({error.do})")
    with contextlib.closing(engine):
        missing = [images.pinned(kind) for kind in images.PINNED if not find_images(engine, [kind])[kind]]
        if missing:
            _go_without(f"not on the Docker engine: {', '.join(missing)} (`make images` builds them)")
        ensure_provider(engine, Console(quiet=True))  # once a machine: a lock makes the others wait
        yield engine


def _go_without(reason: str) -> NoReturn:
    if os.environ.get("HARNESS_REQUIRE_REAL") == "1":
        pytest.fail(f"{reason}, and HARNESS_REQUIRE_REAL=1 forbids to go without", pytrace=False)
    pytest.skip(reason)
