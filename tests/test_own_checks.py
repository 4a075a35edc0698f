"""Checks of the user's own, from a scenario to a verdict and back: in real runs, and years later."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.ran import HARNESS, ROOT, Ran, run_harness

OWN = ("own.late-mail", "own.streams-alike")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Ran]]]:
    with ThreadPoolExecutor(2) as pool:
        yield {
            defect: pool.submit(
                run_harness,
                "own-checks",
                {"system.env.DEFECTS": defect},
                tmp_path_factory.mktemp("runs"),
            )
            for defect in ("", "slow-detect")
        }


def checked(run_dir: str, *options: str, cwd: Path = ROOT) -> tuple[int, dict[str, dict[str, Any]]]:
    done = subprocess.run(
        [HARNESS, "check", run_dir, "--json", *options], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.stdout, done.stderr
    return done.returncode, {each["check"]: each for each in json.loads(done.stdout)["runs"][0]["findings"]}


@pytest.mark.e2e
def test_a_right_system_passes_both(runs: dict[str, Future[Ran]]) -> None:
    ran = runs[""].result()
    assert ran.exit_code == 0, ran.said
    assert [ran.finding(name)["verdict"] for name in OWN] == ["pass", "pass"]
    # What a fault met in flight is held, for good reason, and not asked about.
    assert ran.finding("own.late-mail")["counted"] + ran.finding("delivered")["numbers"]["held"] == 9 * 9
    assert ran.finding("own.streams-alike")["counted"] == 2


@pytest.mark.e2e
def test_a_promise_that_is_broken_fails_with_the_latest_first(runs: dict[str, Future[Ran]]) -> None:
    ran = runs["slow-detect"].result()
    assert ran.exit_code == 1, ran.said
    assert ran.failed == {"own.late-mail"}
    offenders = ran.finding("own.late-mail")["offenders"]
    waits = [float(each["why"].split()[0]) for each in offenders]
    assert waits == sorted(waits, reverse=True)
    assert all(each["token"] and each["cause"].startswith("late by") for each in offenders)


@pytest.mark.e2e
def test_a_stored_run_is_judged_by_the_text_of_then(runs: dict[str, Future[Ran]], tmp_path: Path) -> None:
    """Somewhere else, where none of the files are; from either form of the history alone."""
    stored = Path(runs["slow-detect"].result().run["run_dir"])
    for name in ("history.jsonl", "history.parquet"):
        shutil.copy(stored / name, tmp_path)
        code, findings = checked(str(tmp_path / name), cwd=tmp_path)
        assert code == 1
        assert [findings[each]["verdict"] for each in OWN] == ["fail", "pass"]


@pytest.mark.e2e
def test_a_stored_run_can_be_asked_something_new(runs: dict[str, Future[Ran]], tmp_path: Path) -> None:
    run_dir = runs[""].result().run["run_dir"]
    late = ROOT / "scenarios" / "checks" / "late-mail.sql"
    shutil.copy(late, tmp_path)
    strict = ("--expect", "own.strict={sql: late-mail.sql, params: {promise: 1ms}}")
    code, findings = checked(run_dir, *strict, cwd=tmp_path)
    assert (code, findings["own.strict"]["verdict"]) == (1, "fail")
    code, findings = checked(run_dir, "--expect-from", str(ROOT / "scenarios" / "own-checks.yaml"))
    assert (code, {findings[each]["verdict"] for each in OWN}) == (0, {"pass"})


@pytest.mark.parametrize(
    ("expectation", "said"),
    [
        ("own.late={sql: lat.sql}", "there is no file"),
        ("own.late={sql: late-mail.sql}", "it asks for `$promise`"),
        ("own.late={python: late-mail.sql}", "names no function"),
        ("own.late={params: {}}", "either `sql` or `python`"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_2(expectation: str, said: str) -> None:
    done = subprocess.run(
        [HARNESS, "check", "last", "--expect", expectation],
        cwd=ROOT / "scenarios" / "checks",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
