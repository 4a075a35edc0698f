"""Scenarios as tests: `pytest scenarios/` runs every scenario file, and `run_scenario` runs one from Python.

A scenario passes as a test only when its verdict is pass: an inconclusive run fails, for it proves nothing.
This module is imported by every pytest session on a machine that has the harness, so it imports nothing heavy
until a scenario runs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from harness.conduct.judge import Judgement
    from harness.scenario.models import Scenario

_NAMES_A_SCENARIO = re.compile(rb"^scenario[ \t]*:", re.MULTILINE)
_DESCRIBES_ONE = re.compile(rb"^(providers|routes|workload)[ \t]*:", re.MULTILINE)
_HAS_VARIANTS = re.compile(rb"^variants[ \t]*:", re.MULTILINE)
_RUNS = pytest.StashKey[list["Judgement"]]()


class RunScenario(Protocol):
    """What the `run_scenario` fixture gives."""

    def __call__(
        self,
        path: str | Path,
        *,
        on: str | None = None,
        proxy: str | None = None,
        seed: int | None = None,
        variant: str | None = None,
        **overrides: object,
    ) -> Judgement:
        """Run a scenario and judge it; the verdict is for the caller to assert.

        `path` is relative to the test's folder, or else to pytest's root. `variant` names one of a file that
        has several. `overrides` change values as `--set` does:
        `run_scenario("a.yaml", **{"faults.0.for": "5s"})`. Raises ScenarioNotRun when nothing could be
        started.
        """
        ...


class ScenarioNotRun(Exception):
    """The scenario or its options cannot be used; the message says why."""


class _Failed(Exception):
    def __init__(self, judgement: Judgement) -> None:
        super().__init__(judgement.scenario)
        self.judgement = judgement


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("harness", "mail failover scenarios")
    _add(group, "on", "where the pieces of a scenario run: auto, local")
    _add(group, "proxy", "auto, toxiproxy or embedded")
    _add(group, "seed", "instead of each scenario's own seed")
    group.addoption(
        "--harness-out",
        dest="harness_out",
        metavar="DIR",
        help="the folder that holds the run folders (default: reports/runs)",
    )


def _add(group: pytest.OptionGroup, name: str, text: str) -> None:
    """`--NAME`, and `--harness-NAME` besides, which stays where another plugin has taken the short one."""
    long = f"--harness-{name}"
    try:
        group.addoption(f"--{name}", long, dest=f"harness_{name}", metavar=name.upper(), help=text)
    except (ValueError, argparse.ArgumentError):
        group.addoption(long, dest=f"harness_{name}", metavar=name.upper(), help=text)


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_RUNS] = []


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if file_path.suffix not in (".yaml", ".yml") or not _is_scenario(file_path):
        return None
    return ScenarioFile.from_parent(parent, path=file_path)


def _is_scenario(path: Path) -> bool:
    """Does it look like one? A mistake in it is for its test to tell, not a reason to pass it by."""
    try:
        content = path.read_bytes()
    except OSError:
        return False
    return bool(_NAMES_A_SCENARIO.search(content) and _DESCRIBES_ONE.search(content))


class ScenarioFile(pytest.File):
    """A scenario file; it holds one test, of the file's own name, or one for each of its variants."""

    def collect(self) -> Iterator[ScenarioItem]:
        for variant in _variants_of(self.path) or (None,):
            name = self.path.stem if variant is None else f"{self.path.stem}[{variant}]"
            yield ScenarioItem.from_parent(self, name=name, variant=variant)


def _variants_of(path: Path) -> tuple[str, ...]:
    """None where the file cannot be read: its one test tells what is wrong."""
    if not _HAS_VARIANTS.search(path.read_bytes()):
        return ()
    from harness.scenario.errors import ScenarioError
    from harness.scenario.loader import variants_of

    try:
        return variants_of(path)
    except ScenarioError:
        return ()


class ScenarioItem(pytest.Item):
    """One scenario as a test."""

    def __init__(self, *, variant: str | None, **of_an_item: Any) -> None:
        super().__init__(**of_an_item)
        self._variant = variant

    def runtest(self) -> None:
        judgement = _run(self, self.path, _Options.of(self.config), variant=self._variant)
        if int(judgement.exit_code) != 0:
            raise _Failed(judgement)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None) -> str:
        """The summary of the run, or what is wrong with the scenario; a traceback only for our own faults."""
        if isinstance(excinfo.value, _Failed):
            from harness.report.short import summary_text

            return summary_text(excinfo.value.judgement)
        if isinstance(excinfo.value, ScenarioNotRun):
            return str(excinfo.value)
        return str(super().repr_failure(excinfo))

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None, f"scenario {self.name}"


@pytest.fixture
def run_scenario(request: pytest.FixtureRequest) -> RunScenario:
    """Run a scenario from a test in Python; see RunScenario for its arguments."""

    def run(
        path: str | Path,
        *,
        on: str | None = None,
        proxy: str | None = None,
        seed: int | None = None,
        variant: str | None = None,
        **overrides: object,
    ) -> Judgement:
        options = _Options.of(request.config)
        chosen = _Options(
            on=on or options.on,
            proxy=proxy or options.proxy,
            seed=options.seed if seed is None else seed,
            out=options.out,
        )
        sets = [f"{key}={_as_text(value)}" for key, value in overrides.items()]
        beside_test = request.path.parent / path
        file = beside_test if beside_test.exists() else request.config.rootpath / path
        return _run(request.node, file, chosen, sets, variant)

    return run


def _as_text(value: object) -> str:
    # JSON is YAML, which is how the value of a --set is read.
    return value if isinstance(value, str) else json.dumps(value)


@dataclass(frozen=True)
class _Options:
    on: str
    proxy: str
    seed: int | None
    out: Path

    @classmethod
    def of(cls, config: pytest.Config) -> _Options:
        seed = config.getoption("harness_seed")
        if seed is not None and not str(seed).isdigit():
            raise pytest.UsageError(f"--seed {seed}: say a whole number, 0 or more")
        return cls(
            on=config.getoption("harness_on") or "auto",
            proxy=config.getoption("harness_proxy") or "auto",
            seed=None if seed is None else int(seed),
            out=Path(config.getoption("harness_out") or config.rootpath / "reports" / "runs"),
        )


def _run(
    node: pytest.Item,
    path: Path,
    options: _Options,
    sets: Sequence[str] = (),
    variant: str | None = None,
) -> Judgement:
    """Run one scenario, judge it, write its reports, and tell the test's report where they are."""
    from harness.conduct.judge import ExitCode, judging
    from harness.conduct.run import RunRequest, run
    from harness.report.findings_json import write_findings
    from harness.report.html import write_html
    from harness.scenario.errors import ScenarioError
    from harness.scenario.loader import load
    from harness.scenario.plan import plan
    from harness.testbed.base import TestbedError
    from harness.testbed.discover import NotAvailable, choose_for
    from harness.testbed.preflight import check_ahead

    _refuse_inside_a_loop()
    try:
        scenario = load(path, sets, variant=variant)
        choice = choose_for(scenario, options.on, options.proxy)
        check_ahead(scenario, choice.testbed)
        if choice.testbed == "containers":
            _ensure_images(scenario)
        request = RunRequest(
            scenario=scenario,
            timeline=plan(scenario, options.seed),
            on=choice.testbed,
            proxy=choice.proxy,
            out=options.out,
        )
        run_dir = asyncio.run(run(request))
    except (ScenarioError, TestbedError) as error:
        raise ScenarioNotRun(str(error)) from error
    except NotAvailable as error:
        raise ScenarioNotRun(f"{error}\n{error.do}") from error
    with judging(run_dir) as (judgement, history):
        write_findings(judgement, history)
        report = write_html(judgement, history)
    node.add_report_section("call", "run", f"run folder: {run_dir}\nreport:     {report}")
    node.user_properties.append(("run_dir", str(run_dir)))
    node.config.stash[_RUNS].append(judgement)
    if judgement.exit_code is ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    return judgement


def _ensure_images(scenario: Scenario) -> None:
    from rich.console import Console

    from harness.testbed.containers.prepare import ensure_images

    ensure_images(Console(stderr=True), [scenario])


def _refuse_inside_a_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise ScenarioNotRun(
        "run_scenario has an event loop of its own: call it from a plain test, not an async one"
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    runs = config.stash[_RUNS]
    if not runs:
        return
    from harness.report.short import verdict_line

    terminalreporter.section("scenario runs")
    for judgement in runs:
        terminalreporter.write_line(verdict_line(judgement))
        terminalreporter.write_line(f"  {judgement.run_dir / 'report.html'}")
