"""By which messages a switch or an impact is told, how sure a value is, and who is named first."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from harness.checks.finding import Finding, Verdict
from tests.checks.histories import Run, check
from tests.checks.mitigations import outage


def judged(run: Run, params: Any = "8s") -> Finding:
    return check(run, "mttm", params)


class TestTheValue:
    def test_is_told_with_the_target_and_half_the_widest_interval(self) -> None:
        run = Run(clock_error=0.25)
        run.fault(10, 20, takes=0.5)
        for _ in range(3):
            run.copy(run.message(10), 13, "backup")
        outage(45, run=run, on=40, off=50)
        finding = judged(run)
        assert finding.verdict is Verdict.PASS
        assert finding.numbers == {
            "mttm_s_max": 5.25,
            "mttm_s_mean": 3.875,  # (2.25 to 3.25) and (4.75 to 5.25)
            "target_s": 8,
            "incidents": 2,
            "not_needed": 0,
            "unmitigated": 0,
        }
        assert finding.error.startswith("± 0.500 s")
        assert (finding.counted, finding.offenders) == (2, [])
        assert finding.summary == "mail took another route 5.0 s after the fault at worst"

    def test_has_a_mean_over_those_that_were_mitigated(self) -> None:
        run = outage(15)
        outage(None, run=run, on=40, off=50)
        finding = judged(run)
        assert finding.verdict is Verdict.FAIL
        assert (finding.numbers["mttm_s_max"], finding.numbers["mttm_s_mean"]) == ("infinite", 5)
        assert finding.numbers["unmitigated"] == 1

    @pytest.mark.parametrize("target", ["5s", None])
    def test_is_missing_where_no_mitigation_was_needed(self, target: str | None) -> None:
        run = Run()
        run.fault(10, 20, "latency", attributes={"latency": 50})
        run.traffic(0, 30, 0.5)
        finding = judged(run, {} if target is None else target)
        assert (finding.numbers["mttm_s_mean"], finding.numbers["unmitigated"]) == (None, 0)
        assert finding.numbers["target_s"] == (None if target is None else 5)
        assert (finding.counted, finding.offenders) == (1, [])
        assert finding.error.startswith("± 0.000 s")

    @pytest.mark.parametrize(("target", "verdict"), [("19.5s", "inconclusive"), ("19499ms", "fail")])
    def test_where_the_record_is_cut_it_is_at_least_what_was_seen(self, target: str, verdict: str) -> None:
        run = Run(finished=False)
        run.fault(10, 20, takes=0.5)
        for number in range(3):
            run.copy(run.message(12), 25 + number)
        run.copy(run.message(29), 30)
        finding = judged(run, target)
        assert finding.verdict == verdict
        assert finding.reason == (
            "" if verdict == "fail" else "the record ends before any switch away from incident f1"
        )


class TestByWhichMessages:
    @pytest.mark.parametrize(
        ("at", "arrives", "there"),
        [(8, 9.999, False), (8, 10, True), (20, 20.1, True), (20.001, 20.1, False), (5, None, True)],
    )
    def test_those_that_were_there_from_its_beginning_to_its_end(
        self, at: float, arrives: float | None, there: bool
    ) -> None:
        run = Run()
        run.fault(10, 20, "latency", attributes={"latency": 50})
        run.receipt(run.message(15, "marketing"), 16)
        message = run.message(at, within=60)
        if arrives is not None:
            run.copy(message, arrives)
        finding = judged(run)
        missing = "no transactional message was there to be sent during an incident"
        assert finding.verdict is (Verdict.PASS if there else Verdict.INCONCLUSIVE)
        assert finding.reason == ("" if there else missing)

    @pytest.mark.parametrize("what", ["another class", "no time to keep", "the baseline's"])
    def test_not_others(self, what: str) -> None:
        run = Run()
        run.fault(10, 20, "latency", attributes={"latency": 50})
        class_ = "marketing" if what == "another class" else "transactional"
        message = run.message(15, class_, within=1, baseline=what == "the baseline's")
        if what == "no time to keep":
            run.events[-2] = msgspec.structs.replace(run.events[-2], within_ns=None)
        run.copy(message, 15.1)
        run.receipt(run.message(15, "marketing"), 16)
        assert judged(run).reason == "no transactional message was there to be sent during an incident"

    @pytest.mark.parametrize(
        ("class_", "baseline", "verdict"),
        [
            ("marketing", False, Verdict.PASS),
            ("transactional", True, Verdict.PASS),
            ("transactional", False, Verdict.INCONCLUSIVE),
        ],
    )
    def test_only_their_copies_need_exact_times(self, class_: str, baseline: bool, verdict: Verdict) -> None:
        run = outage(15)
        run.copy(run.message(30, class_, within=1, baseline=baseline), 30.1, "backup", observed="after")
        finding = judged(run)
        assert finding.verdict is verdict
        if verdict is Verdict.INCONCLUSIVE:
            assert finding.reason == "copies were read back from the provider, without exact times"

    def test_where_nothing_ever_arrived_every_route_is_a_usual_one(self) -> None:
        run = Run(baseline=0)
        run.fault(10, 20)
        for _ in range(3):
            run.message(12)
        finding = judged(run)
        assert (finding.verdict, finding.numbers["unmitigated"]) == (Verdict.FAIL, 1)

    def test_one_usual_route_among_those_that_broke_is_enough(self) -> None:
        run = Run()
        run.fault(10, 20, incident="i")
        run.fault(10, 20, target="backup", incident="i")
        for _ in range(3):
            run.copy(run.message(12), 21)
        assert judged(run).verdict is Verdict.FAIL

    def test_an_impact_of_one_is_none(self) -> None:
        run = Run()
        run.fault(10, 20)
        run.copy(run.message(12), 21)
        finding = judged(run)
        assert (finding.verdict, finding.numbers["not_needed"]) == (Verdict.PASS, 1)


class TestCannotBeTold:
    def test_an_impact_that_others_began_and_the_driver_drew_out(self) -> None:
        """From 16 s on what is overdue is the first incident's; as it was offered it is the second's."""
        run = Run()
        run.fault(10, 20)
        for _ in range(2):
            run.copy(run.message(15, offered=29), 35)
        run.fault(28, 40, target="primary")
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        for incident in ("f1", "f2"):
            assert f"what was overdue in incident {incident} had been offered late" in finding.reason
        assert (finding.numbers["not_needed"], finding.numbers["mttm_s_max"]) == (0, None)
        assert finding.summary == "it cannot be told whether mail had to take another route, and did"

    def test_a_switch_from_a_route_that_mail_does_not_take_where_nothing_was_overdue_is_none(self) -> None:
        run = Run(baseline=5)
        run.fault(10, 50, target="backup")
        run.traffic(12, 60, 0.5)
        finding = judged(run)
        assert (finding.verdict, finding.numbers["mttm_s_max"]) == (Verdict.PASS, None)

    def test_all_that_there_was_is_named_where_there_are_several(self) -> None:
        run = Run()
        run.fault(10, 20, target="backup", incident="i")
        run.fault(10, 20, target="third", incident="i")
        for _ in range(3):
            run.copy(run.message(12), 21)
        assert judged(run).reason.endswith(
            "mail did not usually take backup or third, so leaving incident i cannot be told"
        )


class TestOffenders:
    def test_are_named_by_how_long_it_took_then_by_when_they_began(self) -> None:
        run = outage(12, off=12)
        for on, switches_at in ((20, 23), (30, None), (50, 52)):
            outage(switches_at, run=run, on=on, off=on + 3)
        assert [(each.subject, each.why) for each in judged(run, "1s").offenders] == [
            ("incident f3", "never switched away from outage on primary, though messages were overdue"),
            ("incident f2", "switched 3.0 s after outage on primary"),
            ("incident f1", "switched 2.0 s after outage on primary"),
            ("incident f4", "switched 2.0 s after outage on primary"),
        ]

    def test_exactly_at_the_target_is_none(self) -> None:
        run = outage(18)
        outage(49, run=run, on=40, off=50)
        assert [each.subject for each in judged(run).offenders] == ["incident f2"]

    def test_without_a_target_there_are_none(self) -> None:
        assert judged(outage(None), {}).offenders == []
