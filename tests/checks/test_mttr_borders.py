"""By which messages a recovery is told, how sure a value is, and who is named first."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from harness.checks import parse_params
from harness.checks.finding import Finding, Verdict
from tests.checks.histories import Message, Run, check


def judged(run: Run, params: Any = "5s") -> Finding:
    return check(run, "mttr", params)


def late(run: Run, at: float, arrives: float, count: int = 2, **more: Any) -> list[Message]:
    """Transactional messages, due within 1 s, that arrive when they do."""
    messages = [run.message(at, **more) for _ in range(count)]
    for message in messages:
        run.copy(message, arrives, "backup")
    return messages


class TestTheValue:
    def test_is_told_with_the_target_and_half_the_widest_interval(self) -> None:
        run = Run(clock_error=0.25)
        run.fault(10, 20, takes=0.5)
        late(run, 10, 13)
        run.fault(40, 50)
        late(run, 40, 44)
        finding = judged(run)
        assert finding.verdict is Verdict.PASS
        assert finding.numbers == {
            "mttr_s_max": 4.25,
            "mttr_s_mean": 3.375,  # (2.25 to 3.25) and (3.75 to 4.25)
            "target_s": 5,
            "incidents": 2,
            "with_impact": 2,
            "overdue": 4,
            "overdue_for_ever": 0,
            "worst_late_s": 4,
        }
        assert finding.error.startswith("± 0.500 s")
        assert (finding.counted, finding.offenders) == (2, [])
        assert finding.summary == "mail flowed in time again 4.0 s after the fault at worst"

    def test_has_a_mean_over_those_that_ended(self) -> None:
        run = Run()
        run.fault(10, 20)
        late(run, 10, 13)
        run.fault(40, 50)
        run.message(41)
        run.message(41)
        finding = judged(run)
        assert (finding.numbers["mttr_s_max"], finding.numbers["mttr_s_mean"]) == ("infinite", 3)
        assert (finding.numbers["overdue"], finding.numbers["overdue_for_ever"]) == (4, 2)
        assert finding.numbers["worst_late_s"] == 3
        assert finding.summary == "mail never flowed in time again, the target is 5.0 s"

    @pytest.mark.parametrize("params", ["5s", {}])
    def test_is_missing_where_no_recovery_was_needed(self, params: Any) -> None:
        run = Run()
        run.fault(10, 20, "latency", attributes={"latency": 50})
        run.traffic(0, 30, 0.5)
        finding = judged(run, params)
        numbers = finding.numbers
        assert finding.error.startswith("± 0.000 s")
        assert (numbers["mttr_s_max"], numbers["mttr_s_mean"]) == (None, None)
        assert (numbers["with_impact"], numbers["worst_late_s"]) == (0, None)
        assert numbers["target_s"] == (5 if params else None)

    @pytest.mark.parametrize(("target", "verdict"), [("19s", "inconclusive"), ("18999ms", "fail")])
    def test_where_the_record_is_cut_it_is_at_least_what_was_surely_seen(
        self, target: str, verdict: str
    ) -> None:
        """From the end of its coming on, to the end of the record, less the clock error."""
        run = Run(finished=False, clock_error=0.5)
        run.fault(10, 20, takes=0.5)
        run.message(10)
        run.message(10)
        run.copy(run.message(29), 30)
        finding = judged(run, target)
        assert finding.verdict == verdict
        assert finding.numbers["mttr_s_max"] == "infinite"

    def test_that_ended_as_the_fault_came_on_may_be_nothing_at_all(self) -> None:
        run = Run()
        run.fault(10, 20, takes=0.5)
        late(run, 9, 10.2)
        finding = judged(run, "0s")
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.numbers["mttr_s_max"] == 0.2

    def test_of_what_the_driver_alone_made_late_may_be_nothing_at_all(self) -> None:
        run = Run()
        run.fault(10, 20)
        for _ in range(2):
            run.copy(run.message(13, offered=16), 16.1, "backup")
        finding = judged(run, "0s")
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.error.startswith("± 3.050 s")

    @pytest.mark.parametrize(("measure", "verdict"), [("restored", "pass"), ("drained", "fail")])
    def test_until_drained_counts_even_one(self, measure: str, verdict: str) -> None:
        run = Run()
        run.fault(10, 20)
        late(run, 10, 17, 1)
        finding = judged(run, {"target": "5s", "measure": measure})
        assert finding.verdict == verdict
        assert finding.numbers["with_impact"] == (verdict == "fail")

    def test_until_drained_of_what_never_arrived_is_for_ever(self) -> None:
        run = Run()
        run.fault(10, 20)
        late(run, 10, 13)
        run.message(12)
        assert judged(run).numbers["mttr_s_max"] == 3
        finding = judged(run, {"target": "5s", "measure": "drained"})
        assert (finding.verdict, finding.numbers["mttr_s_max"]) == (Verdict.FAIL, "infinite")


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
        assert finding.verdict is (Verdict.PASS if there else Verdict.INCONCLUSIVE)
        assert finding.reason == ("" if there else "no transactional message had a time to keep")

    def test_not_those_of_the_baseline_nor_of_another_class(self) -> None:
        run = Run()
        run.fault(10, 20, "latency", attributes={"latency": 50})
        run.copy(run.message(15, within=60, baseline=True), 16)
        run.copy(run.message(15, "marketing", within=60), 16)
        assert judged(run).reason == "no transactional message had a time to keep"

    @pytest.mark.parametrize("impact", [False, True])
    def test_of_each_incident_by_its_own(self, impact: bool) -> None:
        """Without mail nobody knows whether it had to recover, however well it did from another one."""
        run = Run()
        run.fault(10, 20, "latency", attributes={"latency": 50})
        late(run, 10, 13 if impact else 10.5)
        run.receipt(run.message(15, "marketing"), 16)
        for on in (40, 60):
            run.fault(on, on + 10)
            run.receipt(run.message(on + 5, "marketing"), on + 6, result="aborted")
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.reason == (
            "no transactional message had a time to keep during incident f2 and incident f3"
        )
        assert finding.summary == (
            "mail flowed in time again 3.0 s after the fault"
            if impact
            else "it cannot be told whether recovery was needed in every incident"
        )
        assert (finding.counted, finding.numbers["with_impact"]) == (3, int(impact))

    def test_but_one_that_missed_the_target_is_a_fail_beside_it(self) -> None:
        run = Run()
        run.fault(10, 20)
        late(run, 10, 18)
        run.fault(40, 50)
        assert judged(run).verdict is Verdict.FAIL

    @pytest.mark.parametrize(
        ("no_at", "told", "there"),
        [
            (8, [("suppressed", 59)], False),  # from the start
            (15, [("suppressed", 59)], False),
            (15.001, [("suppressed", 59)], True),
            (8, [("pending", 16), ("suppressed", 17)], True),
        ],
    )
    def test_one_that_was_suppressed_from_the_start_was_not_there_to_be_late(
        self, no_at: float, told: list[tuple[str, float]], there: bool
    ) -> None:
        self.suppressed(no_at, 15, told, there)

    @pytest.mark.parametrize(("says_at", "there"), [(9.999, False), (10, True)])
    def test_nor_one_that_was_suppressed_before_the_fault(self, says_at: float, there: bool) -> None:
        self.suppressed(8, 8.5, [("pending", 9), ("suppressed", says_at)], there)

    def suppressed(self, no_at: float, at: float, told: list[tuple[str, float]], there: bool) -> None:
        run = Run()
        run.fault(10, 20, "latency", attributes={"latency": 50})
        run.receipt(run.message(15, "marketing"), 16)
        other = run.message(5, "marketing", recipient="gone@customer.example")
        run.receipt(other, no_at, result="refused", code=550, text="5.1.1 no such user")
        message = run.message(at, within=60, recipient="gone@customer.example")
        for state, says_at in told:
            run.says(message, state, says_at)
        for check_ in ("mttr", "mttm"):
            finding = check(run, check_, "5s")
            assert finding.verdict is (Verdict.PASS if there else Verdict.INCONCLUSIVE), check_

    def test_nor_those_without_a_time_to_keep(self) -> None:
        run = Run()
        run.fault(10, 20, "latency", attributes={"latency": 50})
        message = run.message(15)
        run.events[-2] = msgspec.structs.replace(run.events[-2], within_ns=None)
        run.copy(message, 15.1)
        assert judged(run).reason == "no transactional message had a time to keep"

    @pytest.mark.parametrize(
        ("class_", "baseline", "verdict"),
        [
            ("marketing", False, Verdict.PASS),
            ("transactional", True, Verdict.PASS),
            ("transactional", False, Verdict.INCONCLUSIVE),
        ],
    )
    def test_only_their_copies_need_exact_times(self, class_: str, baseline: bool, verdict: Verdict) -> None:
        run = Run()
        run.fault(10, 20)
        late(run, 10, 13)
        run.copy(run.message(30, class_, within=1, baseline=baseline), 30.1, "backup", observed="after")
        assert judged(run).verdict is verdict

    def test_what_never_came_is_certain_without_them(self) -> None:
        run = Run()
        run.fault(10, 20)
        run.message(10)
        run.message(10)
        run.copy(run.message(30), 30.1, "backup", observed="after")
        assert judged(run).verdict is Verdict.FAIL

    def test_times_that_were_read_back_prove_no_lateness(self) -> None:
        run = Run()
        run.fault(10, 20)
        late(run, 10, 18)
        run.copy(run.message(30), 30.1, "backup", observed="after")
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.reason == "copies were read back from the provider, without exact times"

    @pytest.mark.parametrize("min_overdue", [0, -1])
    def test_an_impact_needs_one_at_least(self, min_overdue: int) -> None:
        with pytest.raises(ValueError, match="min_overdue"):
            parse_params("mttr", {"target": "5s", "min_overdue": min_overdue})

    def test_without_a_target_it_is_measured_only(self) -> None:
        run = Run()
        run.fault(10, 20)
        late(run, 10, 18)
        finding = judged(run, {})
        assert (finding.verdict, finding.reason) == (Verdict.INCONCLUSIVE, "no target was set")
        assert (finding.numbers["mttr_s_max"], finding.offenders) == (8, [])


class TestOffenders:
    def test_are_the_incidents_by_how_long_it_took_then_by_when_they_began(self) -> None:
        run = Run()
        for on, arrives in ((10, 12), (20, 23), (40, 42), (60, 60.5)):
            run.fault(on, on + 3)
            late(run, on, arrives)
        run.fault(80, 83)
        run.message(80)
        run.message(80)
        finding = judged(run, "1s")
        assert [(each.subject, each.why) for each in finding.offenders[:4]] == [
            ("incident f5", "never restored after outage on primary"),
            ("incident f2", "restored 3.0 s after outage on primary"),
            ("incident f1", "restored 2.0 s after outage on primary"),
            ("incident f3", "restored 2.0 s after outage on primary"),
        ]

    def test_then_the_messages_that_waited_longest_then_by_when_they_were_due_and_by_token(self) -> None:
        run = Run()
        run.fault(10, 20)
        names = [f"t{letter * 15}" for letter in "jihgfedcba"]
        for number, token in enumerate(names[:6]):
            run.copy(run.message(12, token=token), 18 - number % 2)
        run.copy(run.message(11.5, token=names[6]), 17.5, "backup")
        run.message(13, token=names[7])
        run.message(13, token=names[8])
        run.message(12.5, token=names[9])
        finding = judged(run)
        incident, *messages = finding.offenders
        assert incident.subject == "incident f1"
        by_wait = [9, 8, 7, 6, 4, 2, 0, 5, 3]  # the tenth offender is the last one told
        assert [each.token for each in messages] == [names[index] for index in by_wait]
        assert [each.why for each in messages[2:5:2]] == [
            "never arrived",
            "arrived 6.0 s after it was due to be sent",
        ]
        assert {each.cause for each in messages} == {"overdue"}
        assert messages[0].recipient == f"c.{names[9]}@customer.example"

    def test_exactly_at_the_target_is_none(self) -> None:
        run = Run()
        run.fault(10, 20)
        late(run, 10, 15)
        assert judged(run).offenders == []
