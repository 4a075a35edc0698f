"""What this machine offers, and which testbed and proxy a run would take.

Asks the Docker engine; looks for each tool in $HARNESS_TOOLS, then in `.tools` of the working folder (where
`make tools` puts the versions that this project is tested with), then on PATH. `choose` is what `--on auto
--proxy auto` mean; `discover` is what `harness doctor` shows.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.scenario.models import Scenario

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
    """One thing that was looked for. `where` is None when it is not here; `note` says what that means."""

    name: str
    where: str | None
    """A path; an engine's address; an image's reference."""
    version: str
    note: str

    @property
    def here(self) -> bool:
        return self.where is not None


@dataclass(frozen=True)
class Choice:
    """What a run would take, and why, in a sentence that people read before the run starts."""

    testbed: str
    proxy: str
    why: str
    inbox: bool = True

    @property
    def about_inbox(self) -> str:
        if self.inbox:
            return "inbox: Mailpit gets a copy of what SMTP fakes take, and bears witness to their records"
        return "no inbox: mailpit is not here, so the providers' records stand alone"


def find_tool(name: str, environ: Mapping[str, str] | None = None) -> Path | None:
    """The program `name`, or None: $HARNESS_TOOLS, then ./.tools, then PATH, as `environ` has them."""
    environ = os.environ if environ is None else environ
    places = [environ.get("HARNESS_TOOLS"), str(Path.cwd() / ".tools"), environ.get("PATH", os.defpath)]
    found = shutil.which(name, path=os.pathsep.join(place for place in places if place))
    return Path(found).absolute() if found else None


def choose_for(scenario: Scenario, on: str = "auto", proxy: str = "auto") -> Choice:
    """The testbed and proxy for one scenario, which may need containers or Mailpit."""
    least = scenario.least_testbed
    if least and on == "local":
        raise NotAvailable(
            "`--on local` was asked for, and this scenario needs containers",
            "leave out `--on local`; what needs them is `requires: containers`, a route's `as:`, or a system "
            "in a container",
        )
    fakes = {provider.fake for provider in scenario.providers.values()}
    return choose(least or on, proxy, mailpit="mailpit" in fakes)


def choose(on: str = "auto", proxy: str = "auto", *, mailpit: bool = False) -> Choice:
    """The testbed and proxy for a run, which may need Mailpit; raises NotAvailable where one is missing."""
    for option, name, valid in (("--on", on, TESTBEDS), ("--proxy", proxy, PROXIES)):
        if name not in valid:
            raise NotAvailable(f"there is no `{option} {name}`", f"say one of: {', '.join(valid)}")
    if on == "containers":
        return _in_containers(proxy)
    if on == "auto" and proxy != "embedded":
        try:
            return _in_containers(proxy, with_images=True)
        except NotAvailable as error:
            choice = _locally(proxy, mailpit)
            return replace(choice, why=f"{choice.why}; not in containers: {error} ({error.do})")
    return _locally(proxy, mailpit)


def _in_containers(proxy: str, *, with_images: bool = False) -> Choice:
    """Where an engine answers and, with `with_images`, nothing has to be built or pulled first."""
    # Not at the top: they import from here, and docker is imported only where it is asked for.
    from harness.testbed.containers.engine import connect
    from harness.testbed.containers.prepare import run_images

    if proxy == "embedded":
        raise NotAvailable(
            "there is no embedded proxy in containers: each endpoint there has Toxiproxy's own image",
            "leave out `--proxy embedded`, or say `--on local`",
        )
    with contextlib.closing(connect()) as engine:
        if with_images:
            run_images(engine)
        return Choice(
            "containers", "toxiproxy", f"the Docker engine {engine.version} answers at {engine.host}"
        )


def _locally(proxy: str, mailpit: bool) -> Choice:
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
    inbox = find_tool("mailpit") is not None
    if proxy == "embedded":
        return Choice("local", "embedded", "the embedded proxy was asked for", inbox)
    if toxiproxy is not None:
        return Choice("local", "toxiproxy", f"toxiproxy-server is at {toxiproxy}", inbox)
    why = "toxiproxy-server is not here, and this one speaks its protocol"
    return Choice("local", "embedded", why, inbox)


def discover() -> list[Found]:
    """Everything that a run or its tests could use, whether it is here or not."""
    return [
        Found("python", sys.executable, platform.python_version(), "runs the harness and the fakes"),
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
    return Found("toxiproxy", str(path), version, "the proxy of `--proxy auto` and `--proxy toxiproxy`")


def _mailpit() -> Found:
    path = find_tool("mailpit")
    if path is None:
        return Found(
            "mailpit",
            None,
            "",
            "local runs have no inbox, and providers with `fake: mailpit` cannot run; `make tools` builds it",
        )
    # Without this flag Mailpit asks the network for its newest release.
    version = _first_line([str(path), "version", "--no-release-check"]).split(" compiled ")[0]
    use = "the inbox of local runs, which bears witness; providers with `fake: mailpit`"
    return Found("mailpit", str(path), version.removeprefix(f"{path} "), use)


def _package(name: str, module: str, extra: str, use: str) -> Found:
    """A Python package that not every run needs."""
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return Found(name, None, "", f"pip install 'mail-failover-harness[{extra}]'; {use}")
    return Found(name, str(distribution.locate_file(module)), distribution.version, use)


def _docker() -> list[Found]:
    """The engine, or why there is none; and each image of a run, where there is an engine to ask."""
    from harness.testbed.containers.engine import connect
    from harness.testbed.containers.images import Kind
    from harness.testbed.containers.prepare import find_images, missing

    try:
        engine = connect()
    except NotAvailable as error:
        return [Found("docker engine", None, "", f"no `--on containers`: {error} ({error.do})")]
    with contextlib.closing(engine):
        found = [
            Found(
                "docker engine",
                engine.host,
                f"{engine.version}, API {engine.api_version}",
                "`--on containers`",
            )
        ]
        for kind, image in find_images(engine, Kind).items():
            if image is None:
                lack = missing(kind)
                found.append(Found(f"image {kind}", None, "", f"{kind.purpose}; {lack} ({lack.do})"))
            else:
                found.append(Found(f"image {kind}", image.reference, image.id[7:19], kind.purpose))
    return found


def _go() -> Found:
    path = find_tool("go")
    if path is None:
        return Found("go", None, "", "only `make tools` needs it")
    version = _first_line([str(path), "version"]).removeprefix("go version ")
    return Found("go", str(path), version, "only `make tools` needs it")


def _first_line(command: list[str]) -> str:
    """What a program says of itself, or how it failed to, in one line."""
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
        return f"does not run: {error}"
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    return lines[0] if lines else ""
