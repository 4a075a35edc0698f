"""Scenario files as tests: what is collected, what passes, what a failure says."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.checks.finding import Finding, Verdict
from harness.conduct import judge as judges
from harness.conduct import run as conducting
from harness.conduct.judge import ExitCode, Judgement
from harness.history.events import Outcome
from harness.report import findings_json, html, short
from harness.scenario.loader import load
from tests.requires import NO_ENGINE

STARTER = Path(__file__).resolve().parent.parent / "harness" / "cli" / "starter"

Ending = Callable[[ExitCode], list[str]]


@pytest.fixture(autouse=True)
def alone(pytester: pytest.Pytester) -> None:
    """Without the other plugins of this machine, which have their own warnings and take their own time."""
    others = ("asyncio", "anyio", "hypothesispytest", "timeout")
    without = " ".join(f"-p no:{name}" for name in others)
    # Whether Docker happens to run here is not what these tests are about.
    pytester.makeini(f"[pytest]\naddopts = {without} --harness-on local\n")


@pytest.fixture
def starter(pytester: pytest.Pytester) -> pytest.Pytester:
    """A folder with the starter scenario, shortened, and its system."""
    text = (STARTER / "scenario.yaml").read_text()
    text = text.replace("baseline: {for: 3s}", "baseline: {for: 2s}").replace("for: 12s", "for: 5s")
    text = text.replace("at: 3s, for: 5s", "at: 1s, for: 2s")
    load(
        pytester.makefile(".yaml", short=text)
    )  # what follows is about the plugin, not about a typing mistake
    pytester.makepyfile(mailer=(STARTER / "mailer.py").read_text())
    return pytester


@pytest.fixture
def ending(monkeypatch: pytest.MonkeyPatch, starter: pytest.Pytester) -> Ending:
    """Runs that are not run but end as told; the list fills with what was asked for."""

    def end(code: ExitCode) -> list[str]:
        asked: list[str] = []

        async def run(request: object, *, observers: object = ()) -> Path:
            asked.append(repr(request))
            folder = starter.path / "reports" / "runs" / "20260101T000000Z-starter"
            folder.mkdir(parents=True, exist_ok=True)
            return folder

        @contextmanager
        def judging(run_dir: Path, expect: object = None) -> Iterator[tuple[Judgement, None]]:
            verdict = Verdict.PASS if code is ExitCode.PASS else Verdict.INCONCLUSIVE
            finding = Finding(check="mttd", verdict=verdict, summary="nobody met the fault", decides=True)
            judgement = Judgement(
                run=run_dir.name,
                run_dir=run_dir,
                scenario="starter",
                summary="",
                seed=1,
                outcome=Outcome.COMPLETED,
                detail="",
                findings=[finding],
                exit_code=code,
            )
            yield judgement, None

        monkeypatch.setattr(conducting, "run", run)
        monkeypatch.setattr(judges, "judging", judging)
        monkeypatch.setattr(html, "write_html", lambda judgement, _: judgement.run_dir / "report.html")
        monkeypatch.setattr(findings_json, "write_findings", lambda judgement, _: None)
        monkeypatch.setattr(short, "summary_text", lambda judgement: "the summary of the run")
        monkeypatch.setattr(short, "verdict_line", lambda judgement: "starter: the verdict")
        return asked

    return end


def test_scenario_files_are_collected_and_other_yaml_is_not(starter: pytest.Pytester) -> None:
    starter.makefile(".yml", compose="services: {}\n")
    starter.makefile(".yaml", other="scenario: of another kind altogether\n")
    result = starter.runpytest("--collect-only", "-q")
    result.stdout.fnmatch_lines(["short.yaml::short", "1 test collected*"])


def test_each_variant_is_a_test(pytester: pytest.Pytester) -> None:
    text = "scenario: x\nproviders: {}\nvariants:\n  one: {}\n  two: {seed: 2}\n"
    pytester.makefile(".yaml", several=text)
    result = pytester.runpytest("--collect-only", "-q")
    result.stdout.fnmatch_lines(["several.yaml::several[[]one]", "several.yaml::several[[]two]"])
    result = pytester.runpytest("several.yaml::several[two]")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*nothing was started*"])


def test_a_scenario_with_a_mistake_is_collected_and_fails_with_what_is_wrong(
    pytester: pytest.Pytester,
) -> None:
    pytester.makefile(".yaml", wrong="scenario: wrong\nproviders: {}\nsistem: {}\n")
    result = pytester.runpytest("wrong.yaml")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*wrong.yaml:*sistem*", "*did you mean `system`*", "*nothing was started*"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_pass_is_a_pass_and_tells_where_the_report_is(starter: pytest.Pytester, ending: Ending) -> None:
    ending(ExitCode.PASS)
    result = starter.runpytest("short.yaml")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*scenario runs*", "starter: the verdict", "*report.html"])


@pytest.mark.parametrize(
    "code",
    [code for code in ExitCode if code not in (ExitCode.PASS, ExitCode.INTERRUPTED)],
)
def test_anything_but_a_pass_fails_inconclusive_among_it(
    starter: pytest.Pytester, ending: Ending, code: ExitCode
) -> None:
    ending(code)
    result = starter.runpytest("short.yaml")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["the summary of the run", "run folder: *20260101T000000Z-starter"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_an_interrupted_run_ends_the_session(starter: pytest.Pytester, ending: Ending) -> None:
    ending(ExitCode.INTERRUPTED)
    result = starter.runpytest("short.yaml", no_reraise_ctrlc=True)
    assert result.ret == pytest.ExitCode.INTERRUPTED


def test_the_options_pass_through(starter: pytest.Pytester, ending: Ending) -> None:
    asked = ending(ExitCode.PASS)
    starter.runpytest(
        "short.yaml", "--on", "local", "--proxy", "embedded", "--seed", "41", "--harness-out", "here"
    )
    (request,) = asked
    assert "on='local'" in request
    assert "proxy='embedded'" in request
    assert "seed=41" in request
    assert "PosixPath('here')" in request


def test_options_that_cannot_be_met_fail_with_what_to_do(
    starter: pytest.Pytester, ending: Ending, monkeypatch: pytest.MonkeyPatch
) -> None:
    ending(ExitCode.PASS)
    monkeypatch.setenv("DOCKER_HOST", NO_ENGINE)
    result = starter.runpytest("short.yaml", "--on", "containers")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"*there is no {NO_ENGINE}", "start it*"])


def test_a_seed_that_is_no_number_is_a_usage_error(starter: pytest.Pytester, ending: Ending) -> None:
    ending(ExitCode.PASS)
    result = starter.runpytest("short.yaml", "--seed", "seven")
    assert result.ret != 0
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_plugin_that_has_taken_an_option_leaves_the_long_name(
    starter: pytest.Pytester, ending: Ending
) -> None:
    asked = ending(ExitCode.PASS)
    starter.makepyfile(
        taken="def pytest_addoption(parser):\n    parser.addoption('--seed', dest='theirs', default='none')\n"
    )
    starter.syspathinsert()
    result = starter.runpytest("-p", "taken", "short.yaml", "--harness-seed", "5")
    result.assert_outcomes(passed=1)
    assert "seed=5" in asked[0]


def test_the_fixture_gives_the_judgement_and_takes_overrides(
    starter: pytest.Pytester, ending: Ending
) -> None:
    asked = ending(ExitCode.INCONCLUSIVE)
    starter.makepyfile(
        test_it="""
        def test_it(run_scenario):
            changes = {"workload.receipts.for": "7s", "faults.0.at": "2s"}
            judgement = run_scenario("short.yaml", seed=9, **changes)
            assert judgement.exit_code == 3
        """
    )
    starter.runpytest("test_it.py").assert_outcomes(passed=1)
    assert "seed=9" in asked[0]
    assert "storm_ns=7000000000" in asked[0]


def test_the_fixture_says_so_when_it_is_called_from_an_async_test(
    starter: pytest.Pytester, ending: Ending
) -> None:
    ending(ExitCode.PASS)
    starter.makepyfile(
        test_it="""
        import asyncio

        def test_it(run_scenario):
            async def inside():
                run_scenario("short.yaml")
            asyncio.run(inside())
        """
    )
    result = starter.runpytest("test_it.py")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*call it from a plain test, not an async one*"])


@pytest.mark.e2e
def test_a_scenario_really_runs_and_passes(starter: pytest.Pytester) -> None:
    result = starter.runpytest_subprocess("short.yaml", "--proxy", "embedded", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=1)
    (folder,) = (starter.path / "reports" / "runs").iterdir()
    assert (folder / "report.html").is_file()
    assert (folder / "findings.json").is_file()


def test_mailpit_s_client_brings_no_pytest_plugin_of_its_own() -> None:
    """Its fixtures delete every message at their end; they must be asked for by hand."""
    names = {entry.dist.name for entry in importlib.metadata.entry_points(group="pytest11") if entry.dist}
    assert "mailpit-api-client" not in names
