"""What a provider took for somebody who is no mail address: whose clock counts, in what order."""

from __future__ import annotations

import msgspec

from harness.checks.finding import Verdict
from harness.history import events as ev
from tests.checks.histories import PROVIDERS, Run, check, ns, span


def test_of_two_hand_offs_the_clock_of_the_first_counts_though_it_was_recorded_later() -> None:
    """The second came by a clock that is right to ± 10 s, after the message had expired."""
    run = Run()
    run.events.append(
        ev.ClockCalibrated(t_ns=1, source=PROVIDERS["backup"], when="end", offset_ns=0, error_ns=span(10))
    )
    message = run.message(5, expires=12)
    first = run.receipt(message, 11.9, "primary", recipient="+12025550123", carriers=["nonce"])
    run.receipt(message, 14, "backup", recipient="+12025550123", carriers=["nonce"])
    run.events[run.events.index(first)] = msgspec.structs.replace(first, t_ns=ns(15))
    finding = check(run, "delivered", "all")
    assert finding.verdict is Verdict.PASS
    assert (finding.numbers["by_fallback"], finding.numbers["arrived"], finding.numbers["stale"]) == (1, 0, 0)
