"""Which checks run, who decides, what a crash looks like, and that short-hand and schema agree."""

from __future__ import annotations

from typing import Any

import duckdb
import jsonschema
import pytest
from pydantic import ValidationError

from harness.checks import CHECKS, evaluate, parse_params
from harness.checks import duplicates as duplicates_module
from harness.checks.evaluation import shown_params
from harness.checks.finding import Finding, Verdict
from harness.history.events import HarnessWarning
from tests.checks.histories import Run, opened

EVERY_KIND = [("duplicates", "none"), ("mttd", "5s"), ("mttr", "5s"), ("exposure", "required")]


def ordinary() -> Run:
    run = Run(
        expect=[{"check": "duplicates", "params": "none"}, {"check": "mttr", "params": {"target": "5s"}}]
    )
    run.fault(10, 20)
    run.detects(12)
    run.traffic(0, 10, 0.5)
    run.traffic(10, 12, 0.5, via="backup", after=2.2)
    run.traffic(12, 20, 0.5, via="backup")
    return run


def test_what_the_run_expected_decides_and_the_rest_is_reported() -> None:
    with opened(ordinary()) as history:
        findings = evaluate(history, "run")
    assert [(f.check, f.decides) for f in findings] == [
        ("duplicates", True),
        ("mttr", True),
        ("exposure", False),
        ("delivered", False),
        ("unexpected", False),
        ("mttd", False),
    ]
    assert {f.check: f.verdict for f in findings} == {
        "duplicates": Verdict.PASS,
        "mttr": Verdict.PASS,
        "exposure": Verdict.PASS,
        "delivered": Verdict.PASS,
        "unexpected": Verdict.PASS,
        "mttd": Verdict.INCONCLUSIVE,  # nobody set a target
    }


@pytest.mark.parametrize(
    ("warning", "said"),
    [
        ("witness-disagrees", "the record of m365 is in doubt (Mailpit holds 19 of the 20 messages)"),
        ("witness-unreadable", "the witness of the record could not be asked (Mailpit holds 19 of"),
    ],
)
def test_where_a_witness_disputes_the_record_no_pass_stands(warning: str, said: str) -> None:
    run = ordinary()
    run.events.append(
        HarnessWarning(t_ns=1, warning=warning, subject="m365", detail="Mailpit holds 19 of the 20 messages")
    )
    expected = [{"check": name, "params": params} for name, params in EVERY_KIND]
    with opened(run) as history:
        findings = [f for f in evaluate(history, "run", expected) if f.decides]
    assert {f.verdict for f in findings} == {Verdict.INCONCLUSIVE}
    assert all(said in f.reason for f in findings)
    with opened(ordinary()) as history:
        assert {f.verdict for f in evaluate(history, "run", expected) if f.decides} == {Verdict.PASS}


def test_and_a_contradiction_stands_all_the_same() -> None:
    run = ordinary()
    run.events.append(HarnessWarning(t_ns=1, warning="witness-disagrees", subject="m365", detail="none"))
    twice = run.message(5)
    run.copy(twice, 5.1)
    run.copy(twice, 5.2, "backup")
    with opened(run) as history:
        verdicts = {f.check: f.verdict for f in evaluate(history, "run")}
    assert verdicts["duplicates"] is Verdict.FAIL
    assert verdicts["mttr"] is Verdict.INCONCLUSIVE


def test_other_expectations_replace_the_recorded_ones() -> None:
    with opened(ordinary()) as history:
        findings = evaluate(history, "run", [{"check": "mttd", "params": "1s"}])
    assert [(f.check, f.verdict) for f in findings if f.decides] == [("mttd", Verdict.FAIL)]
    assert findings[0].params == {"target": "1s"}


def test_a_check_that_crashes_is_inconclusive_with_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*_: object) -> None:
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr(duplicates_module, "evaluate", explode)
    with opened(ordinary()) as history:
        finding = evaluate(history, "run")[0]
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.decides
    assert "ZeroDivisionError: on purpose" in finding.reason
    assert "explode" in (finding.traceback or "")


def test_a_check_this_version_does_not_have_is_inconclusive() -> None:
    with opened(ordinary()) as history:
        finding = evaluate(history, "run", [{"check": "clairvoyance", "params": "all"}])[0]
    assert (finding.verdict, finding.decides) == (Verdict.INCONCLUSIVE, True)
    assert "there is no check named clairvoyance" in finding.reason


def test_an_expectation_without_parameters_has_those_by_default() -> None:
    with opened(ordinary()) as history:
        findings = evaluate(history, "run", [{"check": "duplicates"}, {"check": "mttd", "params": None}])
    assert [(f.check, f.verdict, f.decides) for f in findings[:2]] == [
        ("duplicates", Verdict.PASS, True),
        ("mttd", Verdict.INCONCLUSIVE, True),
    ]
    assert "target" not in findings[1].params and findings[1].traceback is None


def test_what_could_not_be_asked_has_looked_at_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates_module, "evaluate", lambda *_: 1 / 0)
    own = {"sql": "x.sql", "text": "select 1 as why"}
    expected = [{"check": "clairvoyance"}, {"check": "duplicates"}, {"check": "own.x", "params": own}]
    with opened(ordinary()) as history:
        unknown, crashed, unusable = evaluate(history, "run", expected)[:3]
    assert [each.counted for each in (unknown, crashed, unusable)] == [0, 0, 0]
    assert not Finding(check="x", verdict=Verdict.PASS, summary="").decides
    assert unusable.reason == (
        "nothing in it says which run it is about. Every view has a column `run`: add `where run = $run`."
    )


def test_whoever_interrupts_a_check_interrupts_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise duckdb.InterruptException("INTERRUPT Error: Interrupted!")

    monkeypatch.setattr(duplicates_module, "evaluate", interrupted)
    with opened(ordinary()) as history, pytest.raises(KeyboardInterrupt):
        evaluate(history, "run")


def test_no_more_than_ten_offenders_are_named() -> None:
    run = ordinary()
    for message in run.traffic(5, 17, 1):
        run.copy(message, message.at + 0.2, "backup")
    with opened(run) as history:
        finding = evaluate(history, "run")[0]
    assert (finding.check, finding.verdict, len(finding.offenders)) == ("duplicates", Verdict.FAIL, 10)


def test_every_check_survives_a_run_in_which_nothing_happened() -> None:
    with opened(Run(baseline=0)) as history:
        expected = [
            {"check": "throttle", "params": {"primary": {"rate": "1/s"}}},
            {"check": "waves", "params": {"share": "10%", "every": "2s"}},
            {"check": "suppression", "params": "kept"},
            {"check": "flapping", "params": "none"},
            {"check": "reconciliation", "params": "agrees"},
            {"check": "analytics", "params": "all"},
            {"check": "cost", "params": 3},
            {"check": "priority", "params": "transactional"},
            {"check": "pause", "params": "marketing"},
            {"check": "approval", "params": "marketing"},
            {"check": "false-alarm", "params": "none"},
            {"check": "quiescence", "params": "reached"},
            {"check": "mttm", "params": "5s"},
            {"check": "fallback", "params": {"after": "30s", "within": "10s"}},
            {"check": "authentication", "params": "all"},
        ]
        findings = evaluate(history, "run", expected)
    assert len(findings) == len(CHECKS)
    assert {f.verdict for f in findings} == {Verdict.INCONCLUSIVE}
    assert all(f.reason and f.traceback is None for f in findings)


AS_WRITTEN: list[tuple[str, Any]] = [
    ("duplicates", "none"),
    ("duplicates", {"at_most": "1%", "only": "lost-ack"}),
    ("duplicates", {"at_most": "1%", "only": ["lost-ack", "restart"]}),
    ("delivered", "all"),
    ("delivered", {"at_least": "99.9%", "held_at_most": "2%"}),
    ("unexpected", "none"),
    ("authentication", "all"),
    ("authentication", {"dmarc": "any", "arc": True, "one_click": "marketing"}),
    ("authentication", {"one_click": ["marketing", "digest"]}),
    ("exposure", "required"),
    ("throttle", {"primary": {"rate": "600/min", "burst": 20}, "backup": {"rate": "50/s"}}),
    ("waves", {"class": "marketing", "share": "10%", "every": "2s"}),
    ("suppression", "kept"),
    ("suppression", {"grace": "2s"}),
    ("flapping", "none"),
    ("flapping", {"at_most": 4}),
    ("reconciliation", "agrees"),
    ("analytics", "all"),
    ("analytics", {"at_most_lost": 2, "events": ["delivered", "bounced"]}),
    ("cost", 3),
    ("cost", {"attempts_per_message": 2, "on_average": 1.25}),
    ("priority", "transactional"),
    ("priority", {"first": "transactional", "then": "digest", "grace": "1s"}),
    ("priority", {"ratio": 0.5}),
    ("pause", "marketing"),
    ("pause", {"class": "marketing", "from": "detection", "grace": "2s"}),
    ("approval", "marketing"),
    ("approval", {"class": "marketing", "at_most": 5}),
    ("false-alarm", "none"),
    ("false-alarm", {"at_most": 1, "grace": "10s"}),
    ("quiescence", "reached"),
    ("mttm", "8s"),
    ("fallback", {"after": "30s", "within": "10s", "route": "sms", "class": "transactional"}),
    ("mttd", "5s"),
    ("mttr", "15s"),
    ("mttr", {"target": "15s", "min_overdue": 3, "measure": "drained"}),
]

WRONG: list[tuple[str, Any]] = [
    ("duplicates", "nine"),
    ("duplicates", {"at_most": 1}),
    ("duplicates", {"at_moist": "1%"}),
    ("duplicates", {"only": "bad luck"}),
    ("delivered", "most"),
    ("throttle", {"primary": {"rate": "20"}}),
    ("throttle", {"primary": {"rate": "0/s"}}),
    ("throttle", {"primary": {"rate": "1/s", "burst": 0}}),
    ("waves", {"share": "0%", "every": "2s"}),
    ("waves", {"share": "10%"}),
    ("suppression", "all"),
    ("flapping", {"at_most": -1}),
    ("flapping", {"at_most": "2"}),
    ("reconciliation", "mostly"),
    ("analytics", "some"),
    ("analytics", {"at_most_lost": "2"}),
    ("analytics", {"at_most_lost": -1}),
    ("analytics", {"events": ["opened"]}),
    ("cost", 0),
    ("cost", True),
    ("cost", "3"),
    ("cost", {"attempts_per_message": 2.5}),
    ("cost", {"attempts_per_message": 2, "on_average": 0.5}),
    ("fallback", "sms"),
    ("fallback", {"after": "30s"}),
    ("fallback", {"after": "30s", "within": "0s"}),
    ("mttd", "fast"),
    ("mttd", 5),
    ("mttr", {"target": "5s", "measure": "hoped"}),
]


@pytest.mark.parametrize(("name", "written"), AS_WRITTEN)
def test_parameters_read_back_what_they_show(name: str, written: Any) -> None:
    params = parse_params(name, written)
    assert parse_params(name, shown_params(params)) == params


@pytest.mark.parametrize(("name", "written"), AS_WRITTEN)
def test_the_schema_accepts_what_the_model_does(name: str, written: Any) -> None:
    jsonschema.validate(written, CHECKS[name].params.model_json_schema())


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("quiescence", [{"const": "reached"}]), ("fallback", []), ("pause", ["string"]), ("mttr", ["string"]),
        ("cost", ["integer"]),
    ],
)  # fmt: skip
def test_the_schema_knows_each_short_form_and_no_other(name: str, short: list[Any]) -> None:
    schema = CHECKS[name].params.model_json_schema()
    forms = schema.get("anyOf", [schema])
    assert [each.get("type", each) for each in forms] == [*short, "object"]


@pytest.mark.parametrize(("name", "written"), WRONG)
def test_wrong_parameters_are_refused(name: str, written: Any) -> None:
    with pytest.raises(ValidationError):
        parse_params(name, written)


COST = "a whole number or a mapping of attempts_per_message, on_average"


@pytest.mark.parametrize(
    ("name", "written", "complaint"),
    [
        ("duplicates", "nine", "expected `none` or a mapping of at_most, only; got `nine`"),
        ("duplicates", None, "expected `none` or a mapping of at_most, only; got nothing"),
        ("duplicates", 0, "expected `none` or a mapping of at_most, only; got `0`"),
        ("quiescence", "soon", "expected `reached`; got `soon`"),
        ("cost", "few", f"expected {COST}; got `few`"),
        ("cost", True, f"expected {COST}; got `true`"),
        ("fallback", "5s", "expected a mapping of after, within, route, class; got `5s`"),
        ("waves", "5s", "expected a mapping of share, every, class; got `5s`"),
        ("pause", ["digest"], "expected one plain value or a mapping of class, from, grace; got a list"),
        ("mttd", None, "expected one plain value or a mapping of target; got nothing"),
        ("mttd", 5, "a duration needs a number and a unit"),
    ],
)
def test_what_no_short_hand_stands_for_is_told_what_could_be_written(
    name: str, written: Any, complaint: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        parse_params(name, written)
    (error,) = refused.value.errors()
    assert complaint in error["msg"]
