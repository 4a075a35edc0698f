"""What this machine offers, and which testbed and proxy a run would take.

Looks for each tool in $HARNESS_TOOLS, then in `.tools` of the working folder (where `make tools` puts the
versions that this project is tested with), then on PATH. `choose` is what `--on auto --proxy auto` mean;
`discover` is what `harness doctor` shows.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

TESTBEDS = ("auto", "local", "containers")
PROXIES = ("auto", "toxiproxy", "embedded")

_PROBE_TIMEOUT_S = 5.0


class NotAvailable(Exception):
    """What was asked for cannot be had here; `do` says what to do about it."""

    def __init__(self, what: str, do: str) -> None:
        super().__init__(what)
        self.what = what
        self.do = do


@dataclass(frozen=True)
class Found:
    """One thing that was looked for. `path` is None when it is not here; `note` says what that means."""

    name: str
    path: Path | None
    version: str
    note: str

    @property
    def here(self) -> bool:
        return self.path is not None


@dataclass(frozen=True)
class Choice:
    """What a run would take, and why, in a sentence that people read before the run starts."""

    testbed: str
    proxy: str
    why: str


def find_tool(name: str, environ: Mapping[str, str] | None = None) -> Path | None:
    """The program `name`, or None: $HARNESS_TOOLS, then ./.tools, then PATH, as `environ` has them."""
    environ = os.environ if environ is None else environ
    places = [environ.get("HARNESS_TOOLS"), str(Path.cwd() / ".tools"), environ.get("PATH", os.defpath)]
    found = shutil.which(name, path=os.pathsep.join(place for place in places if place))
    return Path(found).absolute() if found else None


def choose(on: str = "auto", proxy: str = "auto", *, mailpit: bool = False) -> Choice:
    """The testbed and proxy for a run, which may need Mailpit; raises NotAvailable where one is missing."""
    for option, name, valid in (("--on", on, TESTBEDS), ("--proxy", proxy, PROXIES)):
        if name not in valid:
            raise NotAvailable(f"there is no `{option} {name}`", f"say one of: {', '.join(valid)}")
    if on == "containers":
        raise NotAvailable(
            "this version has no containers testbed: it runs scenarios on the local one only",
            "leave out `--on containers` (and `requires: containers`), or say `--on local`",
        )
    toxiproxy = find_tool("toxiproxy-server")
    if proxy == "toxiproxy" and toxiproxy is None:
        raise NotAvailable(
            "toxiproxy-server is not here: not in $HARNESS_TOOLS, not in ./.tools, not on PATH",
            "`make tools` builds it where Go is; `--proxy embedded` needs nothing",
        )
    if mailpit and find_tool("mailpit") is None:
        raise NotAvailable(
            "a provider of this scenario is Mailpit, and mailpit is not here: not in $HARNESS_TOOLS, not in "
            "./.tools, not on PATH",
            "`make tools` builds it where Go is; or name another fake",
        )
    if proxy == "embedded":
        return Choice("local", "embedded", "the embedded proxy was asked for")
    if toxiproxy is not None:
        return Choice("local", "toxiproxy", f"toxiproxy-server is at {toxiproxy}")
    return Choice("local", "embedded", "toxiproxy-server is not here, and this one speaks its protocol")


def discover() -> list[Found]:
    """Everything that a run or its tests could use, whether it is here or not."""
    return [
        Found("python", Path(sys.executable), platform.python_version(), "runs the harness and the fakes"),
        _toxiproxy(),
        _mailpit(),
        _package("mailpit-api-client", "mailpit", "mailpit", "reads Mailpit"),
        _package("sqlalchemy", "sqlalchemy", "sql", "reads a system's database (`sql` signals and states)"),
        *_docker(),
        _go(),
    ]


def _toxiproxy() -> Found:
    path = find_tool("toxiproxy-server")
    if path is None:
        return Found("toxiproxy", None, "", "the embedded proxy is used instead; `make tools` builds it")
    version = _first_line([str(path), "-version"]).removeprefix("toxiproxy-server version ")
    return Found("toxiproxy", path, version, "the proxy of `--proxy auto` and `--proxy toxiproxy`")


def _mailpit() -> Found:
    path = find_tool("mailpit")
    if path is None:
        return Found(
            "mailpit", None, "", "scenarios with a mailpit provider cannot run; `make tools` builds it"
        )
    # Without this flag Mailpit asks the network for its newest release.
    version = _first_line([str(path), "version", "--no-release-check"]).split(" compiled ")[0]
    return Found("mailpit", path, version.removeprefix(f"{path} "), "for providers with `fake: mailpit`")


def _package(name: str, module: str, extra: str, use: str) -> Found:
    """A Python package that not every run needs."""
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return Found(name, None, "", f"pip install 'mail-failover-harness[{extra}]'; {use}")
    return Found(name, Path(str(distribution.locate_file(module))), distribution.version, use)


def _docker() -> list[Found]:
    note = "not used: this version has no containers testbed"
    client = find_tool("docker")
    if client is None:
        return [Found("docker client", None, "", note), Found("docker engine", None, "", note)]
    version = _first_line([str(client), "version", "--format", "{{.Client.Version}}"])
    engine = _first_line([str(client), "version", "--format", "{{.Server.Version}}"], errors=False)
    return [
        Found("docker client", client, version, note),
        Found("docker engine", client if engine else None, engine, note if engine else f"no answer; {note}"),
    ]


def _go() -> Found:
    path = find_tool("go")
    if path is None:
        return Found("go", None, "", "only `make tools` needs it")
    version = _first_line([str(path), "version"]).removeprefix("go version ")
    return Found("go", path, version, "only `make tools` needs it")


def _first_line(command: list[str], *, errors: bool = True) -> str:
    """What a program says of itself, in one line; with `errors`, also how it failed to."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_PROBE_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"does not run: {error}" if errors else ""
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    # `docker version` prints the client's part even when the engine does not answer, and then fails.
    return lines[0] if lines and (errors or done.returncode == 0) else ""
