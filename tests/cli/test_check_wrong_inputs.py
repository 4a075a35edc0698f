"""What is no run is refused with code 2, and with what it is instead, where, and what to do."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from harness.history.events import RunStarted
from harness.history.journal import write_events
from tests.checks.histories import Run
from tests.cli.conftest import Harness
from tests.scenario.writing import VALID

INPUTS: dict[str, tuple[bytes, str]] = {
    "empty.jsonl": (b"", "the history holds no events at all"),
    "prose.jsonl": (b"hello world\nand more\n", "Malformed JSON"),
    "cut.jsonl": (b'{"run": "r", "se\n{"run": "r"}\n', "Malformed JSON"),
    "list.jsonl": (b"[1, 2]\n", "Expected OBJECT"),
    "other.jsonl": (b'{"city": "Bern"}\n', "holds something else than a run's events: they have no run"),
    "noise.jsonl": (bytes(range(256)) * 400, "noise.jsonl"),
    "prose.parquet": (b"hello world, this is a letter\n", "is no Parquet file"),
    "empty.parquet": (b"", "is no Parquet file"),
    "cut.parquet": (b"PAR1" + b"\0" * 50, "is no Parquet file"),
}


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("in_a_folder", [False, True])
def test_a_file_that_is_no_history(harness: Harness, tmp_path: Path, name: str, in_a_folder: bool) -> None:
    content, complaint = INPUTS[name]
    path = tmp_path / (f"history.{name.partition('.')[2]}" if in_a_folder else name)
    path.write_bytes(content)
    ended = harness("check", tmp_path if in_a_folder else path)
    assert ended.code == 2, ended.err
    assert complaint.replace(name, path.name) in ended.err
    assert "do:" in ended.err and str(tmp_path) in ended.err
    assert "harness-history-" not in ended.err  # a copy of ours that nobody can look at


def test_parquet_of_something_else(harness: Harness, tmp_path: Path) -> None:
    path = tmp_path / "cities.parquet"
    duckdb.sql(f"copy (select 'Bern' as city) to '{path}'")
    ended = harness("check", path)
    assert (ended.code, "they have no run and no kind and no t_ns" in ended.err) == (2, True), ended.err


@pytest.mark.parametrize("command", ["check", "query"])
def test_a_run_of_a_later_version(harness: Harness, tmp_path: Path, command: str) -> None:
    events = Run().events
    started = {name: getattr(events[0], name) for name in events[0].__struct_fields__}
    events[0] = RunStarted(**started | {"format": 2})
    write_events(tmp_path / "history.jsonl", "later", events)
    ended = harness(command, tmp_path)
    assert ended.code == 2
    assert "run later has format 2, this version reads up to 1" in ended.err
    assert "`harness --version` tells which this is" in ended.err


@pytest.mark.parametrize(
    ("expect", "complaint"),
    [
        ("mttr", "say CHECK=VALUE"),
        ("mtrr=3s", "there is no check 'mtrr'"),
        ("mttr=soon", "mttr=soon"),
        ("mttr=[", "not YAML"),
        ("mttr=", "mttr="),
        ("=3s", "there is no check ''"),
        ("duplicates={at_most: 200%}", "duplicates="),
        ("duplicates={at_mots: 1%}", "at_mots"),
        ("own.late=1", "Write `{sql: FILE}` or `{python: FILE:FUNCTION}`"),
    ],
)
def test_an_expectation_that_cannot_be_meant(
    harness: Harness, tmp_path: Path, expect: str, complaint: str
) -> None:
    write_events(tmp_path / "history.jsonl", "run", Run().events)
    ended = harness("check", tmp_path, "--expect", expect)
    assert ended.code == 2, (ended.out, ended.err)
    assert complaint in ended.err


ROUTES = ["primary", "backup", "page"]


@pytest.mark.parametrize(
    ("expect", "where", "route", "meant"),
    [
        ("fallback={after: 1s, within: 2s, route: bakcup}", "fallback.route", "bakcup", "backup"),
        ("throttle={backup: {rate: 9/s}, primry: {rate: 9/s}}", "throttle.primry", "primry", "primary"),
    ],
)
def test_a_route_that_the_run_does_not_have(
    harness: Harness, tmp_path: Path, expect: str, where: str, route: str, meant: str
) -> None:
    write_events(tmp_path / "history.jsonl", "monday", Run("monday", routes=ROUTES).events)
    ended = harness("check", tmp_path, "--expect", "duplicates=none", "--expect", expect)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.splitlines() == [
        f"error: expect.{where}: run monday has no route `{route}`",
        f"  where: {tmp_path}",
        f"  meant: {meant}",
        "  do:    valid here: primary, backup, page",
    ]


def test_a_route_that_only_the_run_before_had(harness: Harness, tmp_path: Path) -> None:
    for name, routes in (("first", ROUTES), ("second", ["primary", "sms"])):
        (tmp_path / name).mkdir()
        write_events(tmp_path / name / "history.jsonl", name, Run(name, routes=routes).events)
    ended = harness("check", tmp_path, "--expect", "throttle={backup: {rate: 9/s}}", "--json")
    assert (ended.code, ended.out) == (2, "")
    assert "expect.throttle.backup: run second has no route `backup`" in ended.err
    assert "valid here: primary, sms" in ended.err


def test_a_route_that_the_run_does_not_have_in_what_another_scenario_expects(
    harness: Harness, tmp_path: Path
) -> None:
    scenario = tmp_path / "drill.yaml"
    scenario.write_text(VALID)
    history = tmp_path / "history.jsonl"
    write_events(history, "monday", Run("monday", routes=["primary", "sms"]).events)
    ended = harness("check", history, "--expect-from", scenario)
    assert ended.code == 2
    assert "expect.throttle.backup: run monday has no route `backup`" in ended.err


@pytest.mark.parametrize("route", ["backup", "sms"])
def test_any_route_will_do_where_the_run_does_not_say_which_it_had(
    harness: Harness, tmp_path: Path, route: str
) -> None:
    write_events(tmp_path / "history.jsonl", "run", Run().events)
    ended = harness("check", tmp_path, "--expect", f"throttle={{{route}: {{rate: 9/s}}}}")
    assert ended.code == 3, ended.err


def test_what_a_run_recorded_decides_whatever_its_routes(harness: Harness, tmp_path: Path) -> None:
    recorded = [{"check": "throttle", "params": {"sms": {"rate": "9/s"}}}]
    run = Run(routes=ROUTES, expect=recorded)
    write_events(tmp_path / "history.jsonl", "run", run.events)
    assert harness("check", tmp_path).code == 3


FALLBACK = "do:    Write `fallback={after: 30s, within: 10s, route: sms}`."


@pytest.mark.parametrize(
    ("expect", "told"),
    [
        (
            "fallback=5s",
            ["fallback: expected a mapping of after, within, route, class; got `5s`", FALLBACK],
        ),
        (
            "fallback={after: 1s, within: 2s, class_: digest}",
            [
                "fallback.class_: unknown key `class_`",
                "meant: class",
                "do:    valid here: after, within, route, class",
            ],
        ),
        (
            "cost=few",
            [
                "cost: expected a whole number or a mapping of attempts_per_message, on_average; got `few`",
                "do:    Write `cost=3`, or `{attempts_per_message: 3, on_average: 1.2}`.",
            ],
        ),
        (
            "waves={share: 10%}",
            [
                "waves.every: is missing",
                "Write `waves={class: marketing, share: 10%, every: 2s}`; all classes if none is named.",
            ],
        ),
        (
            "waves={share: 10, evry: 2s}",
            [
                "waves.share: a share needs a number and the unit %, for example `10%`; got `10`; "
                "waves.evry: unknown key `evry`",
                "meant: 10%, every",
                "do:    valid here: share, every, class",
            ],
        ),
        (
            "duplicates={atmost: 1%}",
            ["duplicates.atmost: unknown key `atmost`", "meant: at_most", "do:    valid here: at_most, only"],
        ),
        (
            "duplicates={at_most: 1%, at_most: 2%}",
            ["the key `at_most` is there twice", "do:    Remove one of them"],
        ),
        (
            "duplicates={only: lost}",
            ["duplicates.only: `lost` is not valid here\n", "meant: lost-ack\n", "valid here: lost-ack,"],
        ),
        ("mttd=", ["mttd: is empty", "do:    Write `mttd=5s`."]),
        ("waves={share: 10%, every: }", ["waves.every: is empty", "do:    Give it a value"]),
        (
            "throttle={primary: {burst: 2}}",
            [
                "throttle.primary.rate: is missing",
                "Write `throttle={primary: {rate: 20/s, burst: 20}}`",
            ],
        ),
        (
            "mttd=5",
            ["mttd: a duration needs a number and a unit", "meant: 5s", "do:    `harness checks mttd` says"],
        ),
        (
            "own.late={sq: late.sql}",
            ["own.late.sq: unknown key `sq`", "meant: sql", "valid here: sql, python, params, needs"],
        ),
        (
            "own.late={sql: late.sql}",
            ["own.late.sql: there is no file late.sql", "docs/own-checks.md"],
        ),
    ],
)
def test_what_is_wrong_with_an_expectation_is_said_with_its_key_what_was_meant_and_what_to_do(
    harness: Harness, tmp_path: Path, expect: str, told: list[str]
) -> None:
    write_events(tmp_path / "history.jsonl", "run", Run().events)
    ended = harness("check", tmp_path, "--expect", expect)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"error: --expect {expect}: ")
    assert [each for each in told if each not in ended.err] == [], ended.err
