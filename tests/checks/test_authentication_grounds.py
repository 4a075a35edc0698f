"""Where nobody can tell whether mail proves its sender."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from harness.checks import evaluate
from harness.checks.finding import Verdict
from harness.history.store import History, to_parquet
from tests.checks.histories import Run, check
from tests.checks.kept import (
    Kept,
    a_run,
    judge,
    judged,
)


class TestInconclusive:
    def test_events_without_their_folder(self) -> None:
        run = Run()
        run.traffic(0, 2, 1)
        finding = check(run, "authentication", "all")
        assert finding.verdict is Verdict.INCONCLUSIVE and "open the run's folder" in finding.reason

    def test_parquet_alone(self, tmp_path: Path) -> None:
        run = a_run()
        run.write(tmp_path)
        parquet = to_parquet(tmp_path)
        with History.open(parquet) as history:
            (finding, *_) = evaluate(history, "run", [{"check": "authentication", "params": "all"}])
        assert finding.verdict is Verdict.INCONCLUSIVE and "open the run's folder" in finding.reason
        with History.open(tmp_path) as history:
            (finding, *_) = evaluate(history, "run", [{"check": "authentication", "params": "all"}])
        assert finding.verdict is Verdict.PASS

    @pytest.mark.parametrize("missing", ["dns.zone", "outbound/index.jsonl", "outbound/kept.pack"])
    def test_a_folder_without_a_part_of_it(self, missing: str, tmp_path: Path) -> None:
        a_run().write(tmp_path)
        (tmp_path / missing).unlink()
        with History.open(tmp_path) as history:
            finding = judge(history)
        assert finding.verdict is Verdict.INCONCLUSIVE and Path(missing).name in finding.reason

    def test_a_zone_that_is_none(self, tmp_path: Path) -> None:
        a_run().write(tmp_path)
        (tmp_path / "dns.zone").write_text("this is no zone")
        with History.open(tmp_path) as history:
            assert "not a zone file" in judge(history).reason

    def test_a_copy_whose_message_was_not_kept(self) -> None:
        run = a_run()
        run.mail("backup", 2, kept=False)
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.reason.startswith("1 copy on backup cannot be judged")

    def test_where_no_message_was_kept_at_all_that_is_why_nothing_is_proved(self) -> None:
        run = Kept()
        for at, route in enumerate(("primary", "primary", "backup")):
            run.mail(route, at, kept=False)
        finding = judged(run)
        assert (finding.verdict, finding.counted, finding.numbers["not_kept"]) == (Verdict.INCONCLUSIVE, 0, 3)
        assert finding.reason == (
            "3 copies on backup and primary cannot be judged, since their messages were not kept"
        )

    def test_neither_mail_of_the_baseline_nor_what_is_no_mail_is_asked_about(self) -> None:
        run = a_run()
        run.copy(run.message(-5, baseline=True), -4.9)
        run.copy(run.message(5, recipient="+447700900123"), 5.1, "backup")
        finding = judged(run)
        assert (finding.verdict, finding.counted, finding.numbers["not_kept"]) == (Verdict.PASS, 1, 0)

    def test_a_bad_copy_stands_beside_one_that_was_not_kept(self) -> None:
        run = a_run(sign=lambda message: message)
        run.mail("backup", 2, kept=False)
        assert judged(run).verdict is Verdict.FAIL

    def test_no_copies(self) -> None:
        assert judged(Kept()).reason == "there are no copies of mail"

    def test_no_copy_of_a_class_that_one_must_be_able_to_unsubscribe_from(self) -> None:
        finding = judged(a_run(), {"one_click": ["marketing", "digest"]})
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.reason == "there is no copy of marketing and digest mail"

    def test_a_fault_that_the_system_never_met(self) -> None:
        run = a_run()
        run.fault(5, 10)
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE and "never met incident f1" in finding.reason

    def test_a_bad_copy_stands_without_exposure(self) -> None:
        run = a_run(sign=lambda message: message)
        run.fault(5, 10)
        assert judged(run).verdict is Verdict.FAIL

    def test_records_are_missing(self) -> None:
        run = a_run()
        run.loses_record()
        run.mail(at=2)
        assert judged(run).verdict is Verdict.INCONCLUSIVE

    def test_libraries_are_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for module in ("harness.checks.mail.verify", "harness.checks.mail.zone", "dkim"):
            monkeypatch.delitem(sys.modules, module, raising=False)
        monkeypatch.setitem(sys.modules, "spf", None)
        finding = judged(a_run(sign=lambda message: message))
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert "(spf); say `pip install 'mail-failover-harness[auth]'`" in finding.reason
