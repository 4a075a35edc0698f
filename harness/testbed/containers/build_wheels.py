"""The wheels of the provider image: for the base image's own Python, fetched by pip, kept in a cache.

In: pins, and what the base image says of itself. Out: one file per pin. What is in the cache is not fetched
again, so a second build needs no network. pip's own settings hold: PIP_INDEX_URL, PIP_FIND_LINKS, pip.conf.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.testbed.containers.build_context import normal
from harness.testbed.containers.engine import Engine
from harness.testbed.discover import NotAvailable

_ASK = """
import importlib.util, json, platform, sys
has_pip = importlib.util.find_spec("pip") is not None
print(json.dumps([sys.version_info[:2], platform.machine(), *platform.libc_ver(), has_pip]))
"""
_ANSWER_S = 30
_LAST_LINES = 4


@dataclass(frozen=True)
class Target:
    """The Python of a base image, as wheels are named for it."""

    python: str
    """As `3.12`."""
    platforms: tuple[str, ...]
    """What it can load, the newest first: manylinux_2_36_x86_64, …"""
    has_pip: bool

    @property
    def key(self) -> str:
        return f"cp{self.python.replace('.', '')}-{self.platforms[0]}"


def target_of(engine: Engine, base: str) -> Target:
    """Asks the base image's own Python what it is. Raises NotAvailable where it has none that will do."""
    from docker.errors import APIError
    from requests.exceptions import RequestException

    try:
        (major, minor), machine, libc, version, has_pip = json.loads(_output_of(engine, base))
    except (APIError, RequestException, ValueError) as error:
        raise NotAvailable(
            f"the base image {base} cannot say which Python it has: {_last_lines(str(error))}",
            "name an image with python3 in HARNESS_IMAGE_PYTHON",
        ) from error
    if (major, minor) < (3, 11):
        raise NotAvailable(
            f"the base image {base} has Python {major}.{minor}, and the fakes need 3.11 or newer",
            "name another one in HARNESS_IMAGE_PYTHON",
        )
    return Target(python=f"{major}.{minor}", platforms=_platforms(machine, libc, version), has_pip=has_pip)


def _output_of(engine: Engine, base: str) -> bytes:
    # Not docker-py's `run`: where the start fails, that leaves the container that it has made.
    asked = engine.client.containers.create(base, ["python3", "-c", _ASK], entrypoint=[], network_mode="none")
    try:
        asked.start()
        asked.wait(timeout=_ANSWER_S)
        return bytes(asked.logs(stdout=True, stderr=False))
    finally:
        asked.remove(force=True)


def _platforms(machine: str, libc: str, version: str) -> tuple[str, ...]:
    """The tags of wheels that a C library can load: all that were made for it or an older one."""
    if libc != "glibc":  # Alpine's says nothing of itself; wheels for musl are made for 1.1 and 1.2
        return tuple(f"musllinux_1_{minor}_{machine}" for minor in (2, 1))
    newest = int(version.split(".")[1])
    old_names = tuple(f"{name}_{machine}" for name in ("manylinux2014", "manylinux2010", "manylinux1"))
    return (*(f"manylinux_2_{minor}_{machine}" for minor in range(newest, 4, -1)), *old_names)


def cache_folder() -> Path:
    """The user's cache: wheels, and the lock that keeps two builds of one image apart."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mail-failover-harness"


def wheels(pins: Sequence[str], target: Target) -> list[Path]:
    """A wheel for each pin, from the cache or through pip. Raises NotAvailable in pip's own words.

    A base without pip, as Debian's Python is, gets a wheel of that besides, whichever is newest for it.
    """
    folder = cache_folder() / "wheels" / target.key
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [*pins] if target.has_pip else [*pins, "pip"]
    missing = [pin for pin in wanted if _in(folder, pin) is None]
    if missing:
        # Fetched aside and moved when whole: a broken download must not look like a wheel.
        with tempfile.TemporaryDirectory(dir=folder, prefix=".fetching-") as fetched:
            _fetch(missing, target, Path(fetched))
            for wheel in Path(fetched).iterdir():
                wheel.replace(folder / wheel.name)
    found = [_in(folder, pin) for pin in wanted]
    return [wheel for wheel in found if wheel is not None]


def _fetch(pins: Sequence[str], target: Target, folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += [
        "--no-deps",
        "--only-binary=:all:",
        "--dest",
        str(folder),
        "--retries",
        "1",
        "--timeout",
        "15",
    ]
    command += ["--implementation", "cp", "--python-version", target.python]
    command += [word for platform in target.platforms for word in ("--platform", platform)]
    done = subprocess.run(
        [*command, *pins], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    if "No module named pip" in done.stderr:
        raise NotAvailable(
            "the wheels of the provider image cannot be fetched: pip is not installed beside the harness",
            f"{sys.executable} -m ensurepip",
        )
    if done.returncode != 0:
        raise NotAvailable(
            f"the wheels of the provider image cannot be fetched for Python {target.python}: "
            f"{_last_lines(done.stderr)}",
            "build it once where a package index can be reached (PIP_INDEX_URL and PIP_FIND_LINKS hold), "
            "or name a ready image in HARNESS_IMAGE_PROVIDER",
        )


def _in(folder: Path, pin: str) -> Path | None:
    """The wheel of a pin in a folder; without a version, any."""
    name, _, version = pin.partition("==")
    for wheel in sorted(folder.glob("*.whl")):
        its_name, its_version = wheel.name.split("-")[:2]
        if normal(its_name) == name and version in ("", its_version):
            return wheel
    return None


def _last_lines(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " / ".join(lines[-_LAST_LINES:]) or "it said nothing"
