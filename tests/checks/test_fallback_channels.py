"""What a provider took for somebody who is no mail address: of two hand-offs the first to end is the one that
counts, whichever of them the record tells first.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from harness.checks.finding import Verdict
from harness.history import events as ev
from tests.checks.histories import PROVIDERS, Run, check, ns, span

SMS: dict[str, Any] = {"recipient": "+12025550123", "carriers": ["nonce"]}


def recorded_later(run: Run, receipt: ev.Receipt, at: float) -> None:
    """As one whose answer was held back: it is written down when it is given."""
    run.events[run.events.index(receipt)] = msgspec.structs.replace(receipt, t_ns=ns(at))


def test_the_clock_of_the_first_counts() -> None:
    """The second came by a clock that is right to ± 10 s, after the message had expired."""
    run = Run()
    run.events.append(
        ev.ClockCalibrated(t_ns=1, source=PROVIDERS["backup"], when="end", offset_ns=0, error_ns=span(10))
    )
    message = run.message(5, expires=12)
    first = run.receipt(message, 11.9, "primary", **SMS)
    run.receipt(message, 14, "backup", **SMS)
    recorded_later(run, first, 15)
    finding = check(run, "delivered", "all")
    assert finding.verdict is Verdict.PASS
    assert (finding.numbers["by_fallback"], finding.numbers["arrived"], finding.numbers["stale"]) == (1, 0, 0)


def test_it_went_by_the_route_of_the_first() -> None:
    run = Run()
    run.fault(10, 20)
    message = run.message(11, "marketing")
    first = run.receipt(message, 13, "primary", **SMS)
    run.receipt(message, 14, "backup", **SMS)
    recorded_later(run, first, 15)
    finding = check(run, "approval", "marketing")
    assert finding.verdict is Verdict.FAIL
    assert [(offender.token, offender.why) for offender in finding.offenders] == [
        (message.token, "left by primary after incident f1, which nobody ever approved")
    ]


def test_what_becomes_of_an_sms_does_not_show_that_mail_met_a_fault() -> None:
    run = Run()
    run.fault(10, 20, "bounce", "primary")
    message = run.message(12)
    run.copy(message, 12.1)
    run.provider_says("bounced", replace(message, recipient=SMS["recipient"]), 12.5)
    assert check(run, "exposure", "required").verdict is Verdict.INCONCLUSIVE
    run.provider_says("bounced", message, 13)
    assert check(run, "exposure", "required").verdict is Verdict.PASS
