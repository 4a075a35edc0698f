"""The sheet that says how far a run can be trusted: each remark from a history made to earn it."""

from __future__ import annotations

import pytest

from harness.checks import CHECKS
from harness.checks.finding import Finding, Verdict
from harness.history import events as ev
from harness.report.confidence import Remark, Topic, confidence_of, in_short
from harness.report.facts import facts_of
from harness.report.findings_json import as_document
from tests.checks.histories import Run, ns, opened
from tests.report.samples import Sample


def remarks_of(run: Run, *findings: Finding) -> list[Remark]:
    with opened(run) as history:
        return confidence_of(facts_of(history, run.name), findings)


def about(topic: Topic, run: Run, *findings: Finding) -> list[tuple[str, bool]]:
    return [(each.text, each.lowers) for each in remarks_of(run, *findings) if each.topic is topic]


def expected(check: str, verdict: Verdict = Verdict.PASS, reason: str = "", decides: bool = True) -> Finding:
    return Finding(check=check, verdict=verdict, summary="as it is", reason=reason, decides=decides)


def test_the_clock_of_each_source_with_its_error() -> None:
    run = Run(clock_error=0.004)
    (remark,) = [each for each in remarks_of(run) if each.topic is Topic.CLOCKS]
    assert (remark.text, remark.lowers) == ("clocks are right to m365 ±4.0 ms, sendgrid ±4.0 ms", False)
    assert remark.numbers == {"m365_error_ns": 4_000_000, "sendgrid_error_ns": 4_000_000}


def test_a_clock_that_nobody_compared_lowers_it() -> None:
    run = Run()
    run.events = [e for e in run.events if not (isinstance(e, ev.ClockCalibrated) and e.source == "m365")]
    assert about(Topic.CLOCKS, run)[-1] == (
        "the clock of m365 was never compared with the harness's own",
        True,
    )


def lagging(worst: float) -> Run:
    """A hundred messages without a baseline, the last of them late by so much."""
    run = Run(baseline=0)
    for number in range(100):
        message = run.message(number / 10)
        submitting = run.events[-2]
        assert isinstance(submitting, ev.MessageSubmitting)
        late = worst if number == 99 else 0.002
        run.events[-2] = ev.MessageSubmitting(
            **{name: getattr(submitting, name) for name in submitting.__struct_fields__}
            | {"t_ns": ns(message.at + late)}
        )
    return run


def test_the_driver_s_lag_in_the_middle_at_p99_and_at_worst() -> None:
    (remark,) = [each for each in remarks_of(lagging(0.2)) if each.topic is Topic.DRIVER]
    assert (
        remark.text == "100 messages were offered 2.0 ms late in the middle, 2.0 ms at p99, 200 ms at worst"
    )
    assert remark.numbers == {
        "lag_p50_ns": 2_000_000,
        "lag_p99_ns": 2_000_000,
        "lag_ns_max": 200_000_000,
    }
    assert not remark.lowers


def test_a_driver_that_was_late_lowers_it() -> None:
    assert [lowers for _, lowers in about(Topic.DRIVER, lagging(0.3))] == [True]


def test_without_messages_the_driver_has_shown_nothing() -> None:
    assert about(Topic.DRIVER, Run(baseline=0)) == [("no message was offered", True)]


def test_how_often_each_signal_was_really_read() -> None:
    run = Run()
    for number, at in enumerate((1.0, 1.1, 1.2, 1.7)):
        before = (1.0, 1.0, 1.1, 1.2)[number]
        run.reads("detected", False, at, before=before if number else None)
    assert about(Topic.SIGNALS, run) == [("detected of primary was read every 100 ms, 500 ms at most", False)]


def test_what_is_told_is_not_polled_and_answers_without_sense_lower_it() -> None:
    run = Run()
    run.reads("detected", True, 1)
    run.reads("queue_depth", None, 1, None, error="502")
    run.reads("queue_depth", 3, 2, None)
    told = about(Topic.SIGNALS, run)
    assert ("detected of primary was told, not polled", False) in told
    assert ("queue_depth made no sense in 1 of 2 readings", True) in told


def test_a_system_without_a_detection_signal_is_named() -> None:
    run = Run()
    run.fault(5, 8)
    assert (
        "detection is inferred" in about(Topic.SIGNALS, run)[-1][0],
        about(Topic.SIGNALS, run)[-1][1],
    ) == (
        True,
        True,
    )


def test_faults_that_acted_and_were_met() -> None:
    run = Run()
    run.fault(5, 15)
    run.receipt(run.message(5.5, result="refused"), 5.6, "primary", "deferred")
    assert about(Topic.FAULTS, run) == [
        (
            "1 of 1 fault acted on the harness's own canary; the system met 1 of 1 that mail or its "
            "events depend on",
            False,
        )
    ]


def test_a_fault_that_never_acted_and_one_that_nobody_met_lower_it() -> None:
    run = Run()
    run.fault(5, 15)
    run.events = [each for each in run.events if not isinstance(each, ev.FaultActed)]
    assert about(Topic.FAULTS, run)[:2] == [
        ("outage on primary (f1) was never seen to act by the harness's own canary", True),
        ("nothing shows that the system met outage on primary (f1)", True),
    ]


def test_a_fault_that_failed_says_why() -> None:
    run = Run()
    run.events.append(
        ev.FaultFailed(
            t_ns=ns(5),
            fault="f9",
            incident="f9",
            type="outage",
            target="primary",
            scheduled_ns=ns(5),
            stage="confirm",
            error="not there",
        )
    )
    assert about(Topic.FAULTS, run)[0] == ("outage on primary (f9) failed: confirm: not there", True)


def test_gaps_times_that_were_read_back_and_a_recording_without_an_end_lower_it() -> None:
    run = Run(finished=False)
    run.loses_record()
    run.copy(run.message(1), 1.1, observed="after")
    lowering = [text for text, lowers in about(Topic.RECORD, run) if lowers]
    assert lowering == [
        "1 record is missing from m365",
        "receipts of primary were read back after the fact; their times are not exact",
        "the recording has no end",
    ]


def test_warnings_are_told_and_the_driver_s_own_only_once() -> None:
    run = Run()
    run.events += [
        ev.HarnessWarning(t_ns=ns(1), warning="late-driver", subject="driver", detail="late"),
        ev.HarnessWarning(t_ns=ns(2), warning="proxy-restarted", subject="primary", detail="it hung"),
    ]
    assert about(Topic.WARNINGS, run) == [("proxy-restarted (primary): it hung", True)]


@pytest.mark.parametrize(("held", "lowers"), [(7, False), (6, True)])
def test_the_witness(held: int, lowers: bool) -> None:
    run = Run()
    run.events.append(
        ev.WitnessCompared(t_ns=ns(9), witness="mailpit", provider="m365", taken=7, held=held, surplus=0)
    )
    assert about(Topic.WITNESS, run) == [(f"Mailpit holds {held} of 7 messages that m365 took", lowers)]


def test_where_nobody_looked_that_is_said() -> None:
    assert about(Topic.WITNESS, Run()) == [
        ("nobody independent looked at what the providers say that they took", False)
    ]


def test_what_is_not_decided_says_why() -> None:
    run = Run()
    found = about(Topic.UNDECIDED, run, expected("mttd", Verdict.INCONCLUSIVE, "it was never met"))
    assert found == [("mttd: it was never met", True)]
    assert about(Topic.UNDECIDED, run, expected("mttr", Verdict.INCONCLUSIVE, decides=False)) == []


def test_what_nobody_asked_is_every_check_that_is_left() -> None:
    found = about(Topic.UNASKED, Run(), expected("duplicates"), expected("exposure", decides=False))
    assert found[0] == ("reported, and without a say in the verdict: exposure", False)
    named = set(found[1][0].removeprefix("nobody asked: ").split(", "))
    assert named == set(CHECKS) - {"duplicates", "exposure"}


@pytest.mark.parametrize(
    ("testbed", "proxy", "said"),
    [
        ("local", "embedded", ["sending past the proxies", "the harness's own"]),
        ("containers", "toxiproxy", ["share its kernel", "not on packets"]),
        ("simulated", "embedded", ["virtual clock", "the harness's own"]),
    ],
)
def test_what_each_testbed_cannot_show(testbed: str, proxy: str, said: list[str]) -> None:
    run = Run()
    started = run.events[0]
    fields = {name: getattr(started, name) for name in started.__struct_fields__}
    providers = {"a": {"fake": "sendgrid"}, "b": {"fake": "mailpit"}}
    run.events[0] = ev.RunStarted(
        **fields | {"testbed": testbed, "proxy": proxy, "resolved": {"providers": providers}}
    )
    found = [text for text, _ in about(Topic.TESTBED, run)]
    assert all(part in text for part, text in zip(said, found, strict=False))
    assert "fakes (sendgrid)" in found[2]


def test_a_run_that_ended_before_the_storm_has_a_sheet_too() -> None:
    run = Run(baseline=0)
    run.events = [run.events[0], *[each for each in run.events if isinstance(each, ev.RunFinished)]]
    assert about(Topic.UNASKED, run) == []
    assert ("no fault was put in place", False) in about(Topic.FAULTS, run)


def test_in_short_it_is_how_exact_it_was_and_what_takes_something_away() -> None:
    run = Run(clock_error=0.001)
    run.loses_record()
    run.copy(run.message(1), 1.1)
    first, *rest = in_short(remarks_of(run, expected("mttd", Verdict.INCONCLUSIVE, "never met")))
    assert first.startswith("clocks are right to m365 ±1.0 ms, sendgrid ±1.0 ms; 21 messages were offered")
    assert rest == ["1 record is missing from m365"]


def test_every_remark_is_in_findings_json(sample_of: dict[str, Sample]) -> None:
    document = as_document(sample_of["failing"].judgement)
    topics = [each["topic"] for each in document["confidence"]]
    assert topics == sorted(topics, key=[str(topic) for topic in Topic].index)
    assert {"clocks", "driver", "faults", "record", "witness", "not asked"} <= set(topics)
    assert all(set(each) == {"topic", "text", "lowers", "numbers"} for each in document["confidence"])
