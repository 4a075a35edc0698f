"""The pipelines in docs/ci: right for their services' schemas, and every command in them works.

A repository is made as README.md there asks for it, with the starter scenario, shortened. Each job's lines
are run in it as the service would run them, word for word; only the lines that install are left out, since
the harness is installed here.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.requires import require_docker, require_tool

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "ci"
PULL_REQUEST, QUARTERLY = "github-actions-pull-request.yml", "github-actions-quarterly.yml"
GITLAB = "gitlab-ci.yml"
GITHUB = (PULL_REQUEST, QUARTERLY)
STARTER = ROOT / "harness" / "cli" / "starter"
INSTALLS = re.compile(r"^(?:pip install |python3 -m venv ).*$", re.MULTILINE)

docker = pytest.fixture(require_docker)
Change = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Step:
    """Some lines that run in a shell of their own."""

    name: str
    lines: str
    after_failure: bool


def load(name: str) -> dict[str, Any]:
    return dict(YAML(typ="safe").load(FOLDER / name))


def github_job(name: str) -> dict[str, Any]:
    (job,) = load(name)["jobs"].values()
    return dict(job)


def github_steps(name: str) -> list[Step]:
    return [
        Step(step["name"], step["run"], after_failure="if" in step)
        for step in github_job(name)["steps"]
        if "run" in step
    ]


def gitlab_steps(job: str) -> list[Step]:
    said = load(GITLAB)[job]
    lines = [*said.get("before_script", []), *said["script"]]
    after = said.get("after_script", [])
    steps = [Step("script", "\n".join(lines), after_failure=False)]
    return steps + ([Step("after_script", "\n".join(after), after_failure=True)] if after else [])


def carry_out(steps: list[Step], repository: Path) -> dict[str, int]:
    """As a runner does: step by step, after a failure only those that want it. Name -> exit code."""
    env = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "GITHUB_STEP_SUMMARY": str(repository / "summary.md"),
    }
    codes: dict[str, int] = {}
    for step in steps:
        if any(codes.values()) and not step.after_failure:
            continue
        lines = INSTALLS.sub("", step.lines)
        done = subprocess.run(
            ["bash", "-e", "-c", lines],
            cwd=repository,
            env=env,
            capture_output=True,
            text=True,
            check=False,
            timeout=150,
        )
        print(f"$ {lines}\n{done.stdout}{done.stderr}")
        codes[step.name] = done.returncode
    return codes


def shortened(scenario: dict[str, Any]) -> None:
    scenario["baseline"] = {"for": "1s"}
    scenario["workload"][0]["for"] = "5s"
    scenario["faults"][0].update({"at": "1s", "for": "2s"})


def without_a_backup(scenario: dict[str, Any]) -> None:
    scenario["system"]["env"]["BACKUP_URL"] = "{{ routes.primary.url }}"
    scenario["expect"]["mttr"] = "1s"


def without_mail_in_the_fault(scenario: dict[str, Any]) -> None:
    scenario["workload"][0]["for"] = "500ms"


def make_repository(folder: Path, *changes: Change) -> Path:
    """One in which failover/ and failover/gate/ hold the starter, with these changes."""
    yaml = YAML()
    scenario = yaml.load(STARTER / "scenario.yaml")
    for change in (shortened, *changes):
        change(scenario)
    for place in (folder / "failover", folder / "failover" / "gate"):
        place.mkdir(parents=True)
        yaml.dump(scenario, place / "starter.yaml")
        (place / "mailer.py").write_text((STARTER / "mailer.py").read_text())
    (folder / ".venv-failover").symlink_to(sys.prefix)
    return folder


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        *((name, "vendor.github-workflows") for name in GITHUB),
        *((name, "custom.github-workflows-require-timeout") for name in GITHUB),
        (GITLAB, "vendor.gitlab-ci"),
    ],
)
def test_a_pipeline_is_right_for_its_service_s_schema(name: str, schema: str) -> None:
    transform = ["--data-transform", "gitlab-ci"] if name == GITLAB else []
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *transform]
    done = subprocess.run([*command, str(FOLDER / name)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", GITHUB)
def test_a_workflow_may_only_read_runs_once_and_pins_its_actions(name: str) -> None:
    workflow, job = load(name), github_job(name)
    assert workflow["permissions"] == {"contents": "read"}
    assert "permissions" not in job
    assert workflow["concurrency"]["group"]
    actions = [step["uses"] for step in job["steps"] if "uses" in step]
    assert len(actions) == 3
    for action in actions:
        assert re.fullmatch(r"actions/[a-z-]+@v\d+", action)


@pytest.mark.parametrize("name", GITHUB)
def test_nothing_from_outside_is_written_into_a_command(name: str) -> None:
    for step in github_steps(name):
        assert "${{" not in step.lines


@pytest.mark.parametrize("name", GITHUB)
def test_pip_s_cache_follows_the_place_to_which_a_workflow_is_copied(name: str) -> None:
    (setup,) = (step["with"] for step in github_job(name)["steps"] if "setup-python" in step.get("uses", ""))
    place = setup["cache-dependency-path"]
    assert setup["cache"] == "pip"
    assert f"to {place}" in (FOLDER / name).read_text().replace("\n# ", " ")


def test_the_quarterly_workflow_comes_four_times_a_year_or_by_hand() -> None:
    triggers = load(QUARTERLY)["on"]
    assert set(triggers) == {"schedule", "workflow_dispatch"}
    minute, hour, day, months, weekday = triggers["schedule"][0]["cron"].split()
    assert months == "1,4,7,10"
    assert weekday == "*"
    assert all(each.isdigit() for each in (minute, hour, day))


@pytest.mark.parametrize("name", [*GITHUB, GITLAB])
def test_what_a_run_leaves_is_kept(name: str) -> None:
    if name == GITLAB:
        artifacts = load(name)[".failover"]["artifacts"]
        assert artifacts["paths"] == ["reports/"]
        assert artifacts["when"] == "always"
        return
    (upload,) = (step for step in github_job(name)["steps"] if "upload" in step.get("uses", ""))
    assert upload["with"]["path"] == "reports/"
    assert "!cancelled()" in upload["if"]


def test_the_page_names_every_pipeline() -> None:
    page = (FOLDER / "README.md").read_text()
    for file in FOLDER.glob("*.yml"):
        assert f"({file.name})" in page


@pytest.mark.e2e
def test_the_gate_lets_a_right_system_pass(tmp_path: Path) -> None:
    require_tool("jq")
    repository = make_repository(tmp_path)
    assert set(carry_out(github_steps(PULL_REQUEST), repository).values()) == {0}
    assert "- **pass** starter: 0 of 25 messages" in (repository / "summary.md").read_text()
    assert (repository / "reports" / "junit.xml").is_file()
    assert list((repository / "reports" / "runs").glob("*/report.html"))


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("change", "code", "verdict"),
    [(without_a_backup, 1, "fail"), (without_mail_in_the_fault, 3, "inconclusive")],
)
def test_the_gate_stops_what_is_broken_and_what_proves_nothing(
    tmp_path: Path, change: Change, code: int, verdict: str
) -> None:
    require_tool("jq")
    repository = make_repository(tmp_path, change)
    codes = carry_out(github_steps(PULL_REQUEST), repository)
    assert codes["Run them"] == code
    assert codes["Sum up"] == 0
    assert f"- **{verdict}** starter" in (repository / "summary.md").read_text()


@pytest.mark.e2e
def test_gitlab_s_gate_lets_a_right_system_pass(tmp_path: Path) -> None:
    repository = make_repository(tmp_path)
    assert carry_out(gitlab_steps("failover-gate"), repository) == {"script": 0}
    assert (repository / "reports" / "junit.xml").is_file()


@pytest.mark.e2e
def test_the_quarterly_workflow_runs_in_containers(tmp_path: Path, docker: object) -> None:
    require_tool("jq")
    repository = make_repository(tmp_path)
    assert set(carry_out(github_steps(QUARTERLY), repository).values()) == {0}
    assert "- **pass** starter" in (repository / "summary.md").read_text()
    (history,) = (repository / "reports" / "runs").glob("*/history.jsonl")
    assert '"testbed":"containers"' in history.read_text().splitlines()[0]


@pytest.mark.e2e
def test_gitlab_s_quarterly_job_runs_in_containers(tmp_path: Path, docker: object) -> None:
    repository = make_repository(tmp_path)
    assert carry_out(gitlab_steps("failover-quarterly"), repository) == {"script": 0, "after_script": 0}
    assert (repository / "reports" / "junit.xml").is_file()
