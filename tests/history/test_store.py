"""Opening what is there: folders, files, several; cut, damaged, newer; and what a killed harness left."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from harness.history.errors import HistoryDamaged, HistoryNotFound, HistoryTooNew
from harness.history.events import RunStarted
from harness.history.journal import write_events
from harness.history.store import History, to_parquet
from tests.checks.histories import Run, ns


def a_run(folder: Path, run: Run | None = None) -> Path:
    """A run's folder with a history in it."""
    run = run or ordinary()
    folder.mkdir(parents=True, exist_ok=True)
    write_events(folder / "history.jsonl", run.name, sorted(run.events, key=lambda event: int(event.t_ns)))
    return folder


def ordinary(name: str = "run", **more: Any) -> Run:
    run = Run(name, **more)
    run.fault(10, 20)
    run.detects(12)
    run.traffic(0, 10, 0.5)
    return run


def count(history: History, what: str = "events") -> int:
    row = history.con.execute(f"select count(*) from {what}").fetchone()
    assert row is not None
    return int(row[0])


class TestWhere:
    def test_a_folder_a_file_and_parquet_hold_the_same(self, tmp_path: Path) -> None:
        folder = a_run(tmp_path / "run")
        found = []
        with History.open(folder) as history:
            found.append(history.con.execute("select * from events order by seq").fetchall())
        parquet = to_parquet(folder)
        for place in (folder / "history.jsonl", parquet, folder):
            with History.open(place) as history:
                found.append(history.con.execute("select * from events order by seq").fetchall())
        assert found[0]
        assert all(each == found[0] for each in found)

    def test_several_runs_at_once(self, tmp_path: Path) -> None:
        folders = [a_run(tmp_path / name, ordinary(name)) for name in ("one", "two")]
        to_parquet(folders[1])
        with History.open(folders) as history:
            assert history.runs() == ["one", "two"]
            assert {run for (run,) in history.con.execute("select distinct run from copies").fetchall()} == {
                "one",
                "two",
            }

    def test_parquet_that_is_older_than_the_lines_is_not_used(self, tmp_path: Path) -> None:
        folder = a_run(tmp_path / "run")
        parquet = to_parquet(folder)
        before = parquet.stat().st_mtime_ns
        lines = folder / "history.jsonl"
        with lines.open("a") as file:
            file.write('{"run":"run","seq":999,"kind":"harness.warning","t_ns":1,"warning":"new"}\n')
        os.utime(lines, ns=(before + 1, before + 1))
        with History.open(folder) as history:
            assert count(history, "events where kind = 'harness.warning'") == 1

    @pytest.mark.parametrize("place", ["nowhere", "empty"])
    def test_no_history_says_where_it_looked(self, tmp_path: Path, place: str) -> None:
        (tmp_path / "empty").mkdir()
        with pytest.raises(HistoryNotFound, match=f"there is no history at .*{place}"):
            History.open(tmp_path / place)

    def test_an_empty_file_has_no_runs(self, tmp_path: Path) -> None:
        (tmp_path / "history.jsonl").touch()
        with History.open(tmp_path) as history, pytest.raises(HistoryNotFound, match="no events at all"):
            history.runs()


def test_a_long_query_prints_nothing(tmp_path: Path) -> None:
    """What commands print is for programs, too."""
    with History.open(a_run(tmp_path / "run")) as history:
        row = history.con.execute("select current_setting('enable_progress_bar')").fetchone()
    assert row == (False,)


class TestLines:
    def test_a_cut_last_line_is_dropped(self, tmp_path: Path) -> None:
        folder = a_run(tmp_path / "run")
        whole = (folder / "history.jsonl").read_bytes()
        with History.open(folder) as history:
            events = count(history)
        (folder / "history.jsonl").write_bytes(whole + b'{"run":"run","seq":77,"kind":"rec')
        with History.open(folder) as history:
            assert count(history) == events
        assert (folder / "history.jsonl").read_bytes().endswith(b'"rec')  # reading changes nothing

    @pytest.mark.parametrize("cut", [1, 2, 30, 100])
    def test_wherever_it_is_cut_the_rest_is_read(self, tmp_path: Path, cut: int) -> None:
        folder = a_run(tmp_path / "run")
        whole = (folder / "history.jsonl").read_bytes()
        (folder / "history.jsonl").write_bytes(whole[:-cut])
        with History.open(folder) as history:
            left = whole[:-cut].count(b"\n")
            assert count(history) in (left, left + 1)

    def test_a_last_line_that_only_lacks_its_end_is_kept(self, tmp_path: Path) -> None:
        folder = a_run(tmp_path / "run")
        whole = (folder / "history.jsonl").read_bytes()
        (folder / "history.jsonl").write_bytes(whole.rstrip(b"\n"))
        with History.open(folder) as history:
            assert count(history) == whole.count(b"\n")

    def test_a_damaged_line_in_the_middle_is_an_error(self, tmp_path: Path) -> None:
        folder = a_run(tmp_path / "run")
        lines = (folder / "history.jsonl").read_bytes().split(b"\n")
        lines[5] = lines[5][:-20]
        (folder / "history.jsonl").write_bytes(b"\n".join(lines))
        with pytest.raises(HistoryDamaged, match=r"history\.jsonl"):
            History.open(folder)

    def test_unknown_fields_and_kinds_survive_into_parquet(self, tmp_path: Path) -> None:
        folder = a_run(tmp_path / "run")
        with (folder / "history.jsonl").open("a") as file:
            event: dict[str, Any] = {"run": "run", "seq": 999, "kind": "weather", "t_ns": 5}
            event['odd "name"'] = {"wind": [1, "NW"]}
            file.write(json.dumps(event) + "\n")
        to_parquet(folder)
        (folder / "history.jsonl").unlink()
        with History.open(folder) as history:
            row = history.con.execute('select "odd ""name""" from events where kind = \'weather\'').fetchone()
        assert row is not None
        assert json.loads(row[0]) == {"wind": [1, "NW"]}

    def test_a_later_format_is_refused_clearly(self, tmp_path: Path) -> None:
        run = Run()
        started = run.events[0]
        run.events[0] = RunStarted(
            **{name: getattr(started, name) for name in started.__struct_fields__} | {"format": 99}
        )
        with pytest.raises(HistoryTooNew, match="run run has format 99, this version reads up to 1"):
            History.open(a_run(tmp_path / "run", run))


def test_the_first_event_comes_back_as_it_was(tmp_path: Path) -> None:
    run = ordinary(expect=[{"check": "duplicates", "params": "none"}])
    with History.open(a_run(tmp_path / "run", run)) as history:
        assert history.run_started("run") == run.events[0]


class TestKilledHarness:
    """run.finished is missing; the providers' own journals hold receipts the harness never took over."""

    def folder(self, tmp_path: Path, *, calibrated: bool = True, finished: bool = False) -> Path:
        run = Run(baseline=0, finished=finished)
        message = run.message(5)
        first = run.copy(message, 5.1)
        if not calibrated:
            run.events = [event for event in run.events if type(event).__name__ != "ClockCalibrated"]
        else:
            for index, event in enumerate(run.events):
                if type(event).__name__ == "ClockCalibrated" and event.source == "m365":
                    fields = {name: getattr(event, name) for name in event.__struct_fields__}
                    run.events[index] = type(event)(**fields | {"offset_ns": -7_000})
        folder = a_run(tmp_path / "run", run)
        (folder / "providers").mkdir()
        record = {
            "kind": "receipt",
            "source": "m365",
            "provider": "m365",
            "route": "primary",
            "endpoint": "smtp",
            "result": "accepted",
            "token": message.token,
            "recipient": message.recipient,
            "carriers": ["recipient", "header", "nonce"],
            "colour": "blue",
        }
        lines = [
            record | {"n": 1, "attempt": first.attempt, "t_ns": 1, "begin_ns": 1, "end_ns": 1},
            record
            | {"n": 2, "attempt": "m365-2", "t_ns": ns(6) + 7000, "begin_ns": ns(6), "end_ns": ns(6) + 7000},
        ]
        text = "".join(json.dumps(line) + "\n" for line in lines) + '{"kind":"receipt","n":3,"sou'
        (folder / "providers" / "m365.jsonl").write_text(text)
        (folder / "providers" / "sendgrid.jsonl").touch()
        return folder

    def test_unmerged_receipts_are_added_on_the_run_s_clock(self, tmp_path: Path) -> None:
        with History.open(self.folder(tmp_path)) as history:
            rows = history.con.execute("select attempt, end_ns, run from copies order by end_ns").fetchall()
            assert rows == [("m365-1", ns(5.1), "run"), ("m365-2", ns(6), "run")]
            seqs = history.con.execute("select count(distinct seq) = count(*) from events").fetchone()
            assert seqs == (True,)
            assert count(history, "events where colour is not null") == 1

    def test_they_are_written_to_parquet_too(self, tmp_path: Path) -> None:
        folder = self.folder(tmp_path)
        to_parquet(folder)
        with History.open(folder / "history.parquet") as history:
            assert count(history, "copies") == 2

    def test_without_a_calibration_they_keep_their_times_with_a_warning(self, tmp_path: Path) -> None:
        with History.open(self.folder(tmp_path, calibrated=False)) as history:
            assert history.con.execute("select max(end_ns) from copies").fetchone() == (ns(6) + 7000,)
            warnings = history.con.execute(
                "select warning, subject from events where kind = 'harness.warning'"
            ).fetchall()
        assert warnings == [("clock-error", "m365")]

    def test_a_finished_run_is_taken_as_it_is(self, tmp_path: Path) -> None:
        with History.open(self.folder(tmp_path, finished=True)) as history:
            assert count(history, "copies") == 1
