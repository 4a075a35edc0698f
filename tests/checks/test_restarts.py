"""After which ends of the system what it had not sent may be gone with it."""

from __future__ import annotations

import pytest

from tests.checks.histories import Run, check


def cause(*changes: tuple[str, float]) -> str | None:
    """Of the loss of a message that was accepted at 5 s and never attempted."""
    run = Run()
    run.message(5)
    for change, at in changes:
        run.process(change, at)
    return check(run, "delivered", "all").offenders[0].cause


AFTER_A_RESTART = "never attempted, accepted before a restart"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ([("stopped", 12), ("started", 14)], AFTER_A_RESTART),
        ([("stopped", 12), ("started", 12)], AFTER_A_RESTART),
        ([("killed", 12)], AFTER_A_RESTART),
        ([("exited", 12)], AFTER_A_RESTART),
        ([("killed", 5.001)], AFTER_A_RESTART),
        ([("killed", 5)], "never attempted"),
        ([("killed", 4)], "never attempted"),
        ([("stopped", 3), ("started", 4)], "never attempted"),
        ([("started", -9), ("stopped", 95)], "never attempted"),  # the end of the run
        ([("stopped", 12), ("stopped", 13)], "never attempted"),
        ([("paused", 12), ("resumed", 13)], "never attempted"),
        ([("paused", 12), ("started", 13)], "never attempted"),
    ],
)
def test_a_sudden_end_is_one_and_a_stop_is_one_once_it_was_started_again(
    changes: list[tuple[str, float]], told: str
) -> None:
    assert cause(*changes) == told
