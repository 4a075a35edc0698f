"""`harness run` and what is done with a stored run, against a real short one: the starter's."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.conftest import Harness
from tests.requires import NO_ENGINE

STARTER = Path(__file__).resolve().parents[2] / "harness" / "cli" / "starter" / "scenario.yaml"
SHORT = ["baseline.for=2s", "workload.receipts.for=5s", "faults.0.at=1s", "faults.0.for=2s"]


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-c", "from harness.cli import main; main()", *map(str, arguments)]


def short_run(out: Path, *arguments: object) -> list[str]:
    sets = [word for each in SHORT for word in ("--set", each)]
    return command("run", STARTER, "--on", "local", "--proxy", "embedded", "--out", out, *sets, *arguments)


@dataclass(frozen=True)
class Stored:
    """One run that was really made, and what the command printed meanwhile."""

    out: Path
    junit: Path
    document: dict[str, object]
    code: int
    err: str

    @property
    def folder(self) -> Path:
        (folder,) = self.out.iterdir()
        return folder


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    out = tmp_path_factory.mktemp("out") / "runs"
    junit = out.parent / "junit" / "all.xml"
    done = subprocess.run(
        short_run(out, "--json", "--junit", junit), capture_output=True, text=True, check=False, timeout=90
    )
    assert done.stdout, done.stderr
    return Stored(out, junit, json.loads(done.stdout), done.returncode, done.stderr)


@pytest.mark.e2e
class TestARun:
    def test_it_passes_and_prints_one_document_the_rest_on_standard_error(self, stored: Stored) -> None:
        assert stored.code == 0, stored.err
        assert stored.document["exit_code"] == 0
        (run,) = stored.document["runs"]  # type: ignore[misc]
        assert run["verdict"] == "pass"
        assert {f["check"]: f["verdict"] for f in run["findings"] if f["decides"]} == {
            "duplicates": "pass",
            "delivered": "pass",
            "mttd": "pass",
            "mttr": "pass",
        }

    def test_progress_and_summary_say_what_went_on(self, stored: Stored) -> None:
        for said in ("local testbed, embedded proxy", "PASS", "report.html", "harness check"):
            assert said in stored.err

    def test_its_folder_is_complete(self, stored: Stored) -> None:
        names = {path.name for path in stored.folder.iterdir()}
        assert {"scenario.yaml", "timeline.json", "history.jsonl", "findings.json", "report.html"} <= names

    def test_junit_is_written_where_it_was_asked_for(self, stored: Stored) -> None:
        assert "<testsuites" in stored.junit.read_text()

    def test_it_can_be_judged_again_with_the_same_findings(self, stored: Stored, harness: Harness) -> None:
        ended = harness("check", "last", "--out", stored.out, "--json")
        assert ended.code == 0
        (again,) = json.loads(ended.out)["runs"]
        (first,) = stored.document["runs"]  # type: ignore[misc]
        assert again["findings"] == first["findings"]

    def test_either_file_of_the_history_is_enough(
        self, stored: Stored, harness: Harness, tmp_path: Path
    ) -> None:
        for name in ("history.jsonl", "history.parquet"):
            alone = tmp_path / name
            alone.write_bytes((stored.folder / name).read_bytes())
            assert harness("check", alone, "-q").code == 0

    def test_it_can_be_judged_by_other_expectations(self, stored: Stored, harness: Harness) -> None:
        pace = "throttle={primary: {rate: 1/s, burst: 1}}"
        ended = harness("check", stored.folder, "--expect", pace, "--expect", "duplicates=none")
        assert ended.code == 1
        assert "throttle" in ended.out

    def test_by_those_of_another_scenario(self, stored: Stored, harness: Harness) -> None:
        assert harness("check", stored.folder, "--expect-from", STARTER, "-q").code == 0

    def test_an_unknown_check_is_exit_2_with_what_was_meant(self, stored: Stored, harness: Harness) -> None:
        ended = harness("check", stored.folder, "--expect", "duplicate=none")
        assert ended.code == 2
        assert "meant: duplicates" in ended.err

    def test_a_value_that_a_check_cannot_take_is_exit_2(self, stored: Stored, harness: Harness) -> None:
        ended = harness("check", stored.folder, "--expect", "mttd=soon")
        assert ended.code == 2
        assert "--expect mttd=soon" in ended.err

    def test_several_runs_end_with_the_strongest_code(self, stored: Stored, harness: Harness) -> None:
        ended = harness("check", stored.folder, stored.folder, "--json")
        assert ended.code == 0
        assert len(json.loads(ended.out)["runs"]) == 2

    def test_its_history_answers_sql_as_table_csv_and_json(self, stored: Stored, harness: Harness) -> None:
        sql = "select kind, count(*) as n from events where kind = 'run.started' group by kind"
        table = harness("query", stored.folder, sql)
        assert table.code == 0
        assert "run.started" in table.out
        assert "1 row" in table.out
        as_csv = harness("query", stored.folder, sql, "--csv")
        assert list(csv.reader(as_csv.out.splitlines())) == [["kind", "n"], ["run.started", "1"]]
        as_json = harness("query", stored.folder, sql, "--json")
        assert json.loads(as_json.out) == [{"kind": "run.started", "n": 1}]

    def test_without_sql_it_lists_what_can_be_asked(self, stored: Stored, harness: Harness) -> None:
        ended = harness("query", stored.folder)
        assert ended.code == 0
        assert any(line.startswith("events ") for line in ended.out.splitlines())

    def test_wrong_sql_is_exit_2_in_the_database_s_words(self, stored: Stored, harness: Harness) -> None:
        ended = harness("query", stored.folder, "select * from evnts")
        assert ended.code == 2
        assert "evnts" in ended.err
        assert "Traceback" not in ended.err

    def test_its_reports_can_be_written_again(self, stored: Stored, harness: Harness, tmp_path: Path) -> None:
        for name in ("report.html", "findings.json"):
            (stored.folder / name).unlink()
        ended = harness("report", stored.folder, "--junit", tmp_path / "again.xml")
        assert ended.code == 0
        assert (stored.folder / "report.html").is_file()
        assert (stored.folder / "findings.json").is_file()
        assert (tmp_path / "again.xml").is_file()

    def test_nothing_of_it_is_left_behind(self, stored: Stored, harness: Harness) -> None:
        ended = harness("heal", "--out", stored.out)
        assert ended.code == 0
        assert "nothing to heal" in ended.out


@pytest.mark.e2e
def test_repeats_are_summed_up(tmp_path: Path) -> None:
    done = subprocess.run(
        [*short_run(tmp_path, "--repeat", "2", "--json", "-q"), "--set", "system.process=[/bin/false]"],
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert done.returncode == 4, done.stderr
    document = json.loads(done.stdout)
    assert [run["exit_code"] for run in document["runs"]] == [4, 4]
    (repeats,) = document["repeats"]
    assert (repeats["runs"], repeats["outcomes"], repeats["mttd_s_mean"]) == (2, {"baseline-unmet": 2}, None)


@pytest.mark.e2e
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_heals_and_is_130(tmp_path: Path, number: signal.Signals, harness: Harness) -> None:
    process = subprocess.Popen(
        short_run(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        deadline = time.monotonic() + 30
        while not any("message.submitting" in p.read_text() for p in tmp_path.glob("*/history.jsonl")):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(number)
        said, _ = process.communicate(timeout=45)
    finally:
        process.kill()
    assert process.returncode == 130, said
    assert "INTERRUPTED" in said
    assert harness("heal", "--out", tmp_path).out.startswith("nothing to heal")


WRONG = {
    "unknown key": ("providers:", "provders:", "providers"),
    "wrong unit": ("rate: 5/s", "rate: 5", "rate"),
    "unknown route": ("on: primary", "on: primry", "primary"),
    "unknown fault": ("fault: refuse", "fault: refuze", "refuse"),
}


@pytest.mark.parametrize(("before", "after", "meant"), WRONG.values(), ids=WRONG)
def test_a_wrong_scenario_is_exit_2_and_nothing_is_started(
    harness: Harness, tmp_path: Path, before: str, after: str, meant: str
) -> None:
    text = STARTER.read_text()
    assert before in text
    scenario = tmp_path / "wrong.yaml"
    scenario.write_text(text.replace(before, after))
    ended = harness("run", scenario, "--out", tmp_path / "runs")
    assert ended.code == 2
    assert "wrong.yaml:" in ended.err
    assert meant in ended.err
    assert "nothing was started" in ended.err
    assert not (tmp_path / "runs").exists()


def test_one_wrong_scenario_among_several_keeps_all_from_starting(harness: Harness, tmp_path: Path) -> None:
    ended = harness(
        "run", STARTER, tmp_path / "missing.yaml", tmp_path / "gone.yaml", "--out", tmp_path / "runs"
    )
    assert ended.code == 2
    assert "missing.yaml" in ended.err
    assert "gone.yaml" in ended.err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("asked", [("--on", "containers"), ("--set", "requires=containers")])
def test_containers_without_an_engine_are_exit_2(
    harness: Harness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: tuple[str, ...]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", NO_ENGINE)
    ended = harness("run", STARTER, *asked, "--out", tmp_path / "runs")
    assert ended.code == 2
    assert f"there is no {NO_ENGINE}; nothing was started" in ended.err
    assert "do:" in ended.err
    assert not (tmp_path / "runs").exists()


def test_a_scenario_that_needs_containers_is_not_run_on_less(harness: Harness, tmp_path: Path) -> None:
    ended = harness(
        "run", STARTER, "--set", "requires=containers", "--on", "local", "--out", tmp_path / "runs"
    )
    assert ended.code == 2
    assert "this scenario needs containers" in ended.err
    assert not (tmp_path / "runs").exists()


def test_a_folder_that_cannot_be_made_is_found_out_before_the_run(harness: Harness, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for arguments in (("--out", tmp_path / "file" / "runs"), ("--junit", tmp_path / "file" / "junit.xml")):
        ended = harness("run", STARTER, "--on", "local", "--out", tmp_path / "runs", *arguments)
        assert ended.code == 2
        assert "nothing was started" in ended.err


def test_a_run_that_does_not_exist_is_exit_2(harness: Harness, tmp_path: Path) -> None:
    for name in ("check", "query", "report"):
        ended = harness(name, "yesterday", "--out", tmp_path)
        assert ended.code == 2
        assert "there is no run 'yesterday'" in ended.err


def test_a_history_that_is_none_is_exit_2(harness: Harness, tmp_path: Path) -> None:
    (tmp_path / "history.jsonl").write_text("this is no history\n")
    for name in ("check", "query"):
        ended = harness(name, tmp_path, *(["select 1"] if name == "query" else []))
        assert ended.code == 2
        assert "cannot be read" in ended.err


def test_the_plan_is_the_same_to_the_byte(harness: Harness) -> None:
    first = harness("plan", STARTER, "--json", "--seed", "5")
    assert first.code == 0
    assert first.out == harness("plan", STARTER, "--json", "--seed", "5").out
    assert first.out != harness("plan", STARTER, "--json", "--seed", "6").out


def test_the_plan_shows_streams_faults_and_lanes(harness: Harness) -> None:
    ended = harness("plan", STARTER)
    assert ended.code == 0
    for said in (
        "stream receipts",
        "60 messages, transactional",
        "fault refuse",
        "on primary: code 451",
        "├storm",
    ):
        assert said in ended.out
    assert "stream receipts" not in harness("plan", STARTER, "--lanes").out
    assert harness("plan", STARTER, "--all").out.count("message receipts") >= 60


def test_the_schema_is_json(harness: Harness, tmp_path: Path) -> None:
    printed = harness("schema")
    assert printed.code == 0
    assert "properties" in json.loads(printed.out)
    written = harness("schema", "--out", tmp_path / "schema.json")
    assert written.code == 0
    assert (tmp_path / "schema.json").read_text() == printed.out


def test_healing_what_is_no_run_is_exit_2(harness: Harness, tmp_path: Path) -> None:
    ended = harness("heal", tmp_path)
    assert ended.code == 2
    assert "is not the folder of a run" in ended.err


def test_the_process_s_exit_code_is_the_command_s() -> None:
    assert subprocess.run(command("nonsense"), capture_output=True, check=False).returncode == 2
