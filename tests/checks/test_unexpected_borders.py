"""Which copies are of messages that somebody submitted, whose bodies are judged, and what is named first."""

from __future__ import annotations

from msgspec.structs import replace

from harness.checks.finding import Finding, Verdict
from tests.checks.histories import Message, Run, check, ns

WITHOUT_NONCE = ["recipient", "header"]


def judged(run: Run) -> Finding:
    return check(run, "unexpected", "none")


def stray(run: Run, at: float, letter: str, **more: object) -> str:
    """A copy that nobody submitted; gives its token."""
    token = letter * 16
    run.receipt(None, at, token=token, recipient=f"{letter}@customer.example", **more)  # type: ignore[arg-type]
    return token


def changed(run: Run, at: float, *, baseline: bool = False) -> Message:
    message = run.message(at, baseline=baseline)
    run.copy(message, at, carriers=WITHOUT_NONCE)
    return message


class TestWhatIsNamed:
    def test_is_what_was_taken_first_and_ten_at_most(self) -> None:
        run = Run()
        last = stray(run, 30, "z")
        tokens = [
            changed(run, 1).token,
            *(stray(run, 2 + n, letter) for n, letter in enumerate("bcdefghijk")),
        ]
        finding = judged(run)
        assert finding.verdict is Verdict.FAIL
        assert last not in tokens
        assert [each.token for each in finding.offenders] == tokens[:10]
        assert finding.offenders[1].recipient == "b@customer.example"
        assert [each.cause for each in finding.offenders] == ["changed", *["unexpected"] * 9]
        assert [each.why for each in finding.offenders[:2]] == [
            "m365 took it by primary with its body changed: the nonce is missing",
            "m365 took it by primary, and nobody submitted it",
        ]
        assert finding.numbers == {"handoffs": 12, "unexpected": 11, "changed": 1}
        assert finding.counted == 12
        assert finding.summary == "11 copies were never submitted, 1 body changed"

    def test_is_in_the_order_in_which_it_was_taken_and_not_recorded(self) -> None:
        run = Run()
        tokens = [stray(run, 5, "z"), stray(run, 6, "b")]
        run.events[-2] = replace(run.events[-2], t_ns=ns(9))
        assert [each.token for each in judged(run).offenders] == tokens

    def test_of_what_was_taken_at_one_time_is_the_first_in_the_journal(self) -> None:
        run = Run()
        tokens = [stray(run, 5, letter) for letter in "zyxwvutsr"]
        assert [each.token for each in judged(run).offenders] == tokens


class TestACopyThatNobodySubmitted:
    def test_is_unexpected_and_nothing_is_said_of_its_body(self) -> None:
        run = Run()
        stray(run, 5, "z", carriers=WITHOUT_NONCE)
        assert judged(run).numbers == {"handoffs": 1, "unexpected": 1, "changed": 0}

    def test_is_unexpected_where_there_was_no_baseline_too(self) -> None:
        run = Run(baseline=0)
        stray(run, 5, "z")
        assert judged(run).verdict is Verdict.FAIL

    def test_is_unexpected_though_bodies_are_not_judged(self) -> None:
        run = Run(baseline=0)
        changed(run, -5, baseline=True)
        changed(run, 4)
        stray(run, 5, "z")
        finding = judged(run)
        assert finding.numbers == {"handoffs": 2, "unexpected": 1, "changed": 0}
        assert finding.summary == "1 copy was never submitted, 0 bodies changed"


class TestBodiesAreJudged:
    def test_where_there_was_no_baseline(self) -> None:
        run = Run(baseline=0)
        changed(run, 5)
        assert judged(run).verdict is Verdict.FAIL

    def test_where_one_of_the_baseline_kept_its_nonce(self) -> None:
        run = Run(baseline=1)
        for at in (-5, -4):
            changed(run, at, baseline=True)
        changed(run, 5)
        finding = judged(run)
        assert (finding.verdict, finding.numbers["changed"]) == (Verdict.FAIL, 1)

    def test_where_nothing_was_seen_of_the_bodies_of_the_baseline(self) -> None:
        run = Run(baseline=0)
        run.copy(run.message(-5, baseline=True), -5, carriers=[])
        changed(run, 5)
        assert judged(run).verdict is Verdict.FAIL

    def test_of_the_storm_alone(self) -> None:
        run = Run(baseline=1)
        changed(run, -5, baseline=True)
        run.copy(run.message(5), 5.1)
        finding = judged(run)
        assert finding.verdict is Verdict.PASS
        assert finding.numbers == {"handoffs": 1, "unexpected": 0, "changed": 0}
        assert finding.summary == "nothing arrived that was not sent, and nothing was changed"

    def test_by_the_baseline_whatever_some_of_the_storm_kept(self) -> None:
        run = Run(baseline=0)
        changed(run, -5, baseline=True)
        run.copy(run.message(4), 4.1)
        changed(run, 5)
        finding = judged(run)
        assert (finding.verdict, finding.numbers["changed"]) == (Verdict.PASS, 0)
        assert finding.summary.endswith("; bodies are rewritten even in the baseline and were not judged")
