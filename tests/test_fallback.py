"""What mail cannot carry in time goes out by SMS or is told on a status page; what is too late is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ran import run_harness

UNHURRIED = {"expect.fallback.within": "6s"}
"""A machine under load submits late and sends late; what is asked is whether they go out at all."""


@pytest.mark.e2e
def test_receipts_that_cannot_wait_go_out_by_sms_and_every_account_agrees(tmp_path: Path) -> None:
    run = run_harness("fallback-sms", UNHURRIED, tmp_path)
    assert run.exit_code == 0, run.said
    fallback, delivered = run.finding("fallback")["numbers"], run.finding("delivered")["numbers"]
    assert fallback["due"] == fallback["in_time"] > 0 == fallback["also_by_mail"]
    assert delivered["by_fallback"] >= fallback["due"] and delivered["arrived"] > 0
    assert run.finding("reconciliation")["numbers"]["unsaid"] == 0
    assert run.finding("analytics")["numbers"]["events"] >= fallback["due"]


@pytest.mark.e2e
def test_a_note_in_the_application_is_a_fallback_too(tmp_path: Path) -> None:
    by_note = UNHURRIED | {
        "providers.texts.fake": "in-app",
        "system.env.FALLBACK_URL": '"{{ routes.sms.url }}"',
        "system.env.EVENTS_KEY_FALLBACK": "null",
        "system.events": "null",
        "expect.analytics": "null",
    }
    run = run_harness("fallback-sms", by_note, tmp_path)
    assert run.exit_code == 0, run.said
    assert run.finding("fallback")["numbers"]["in_time"] > 0
    assert run.finding("delivered")["numbers"]["by_fallback"] > 0


@pytest.mark.e2e
def test_a_fallback_that_comes_too_late_is_a_fail_of_that_check_alone(tmp_path: Path) -> None:
    run = run_harness("fallback-sms", {"system.env.FALLBACK_AFTER": "60s"}, tmp_path)
    assert (run.exit_code, run.failed) == (1, {"fallback"}), run.said
    assert run.finding("fallback")["numbers"]["missing"] > 0


@pytest.mark.e2e
def test_a_status_page_tells_everybody_in_time(tmp_path: Path) -> None:
    run = run_harness("fallback-page", UNHURRIED, tmp_path)
    assert run.exit_code == 0, run.said
    fallback = run.finding("fallback")["numbers"]
    assert fallback["due"] == fallback["in_time"] > 0


@pytest.mark.e2e
def test_a_page_that_tells_nothing_is_a_fail_of_that_check_alone(tmp_path: Path) -> None:
    run = run_harness("fallback-page", {"system.env.ANNOUNCE_AFTER": "60s"}, tmp_path)
    assert (run.exit_code, run.failed) == (1, {"fallback"}), run.said
    assert run.finding("fallback")["numbers"]["missing"] > 0
