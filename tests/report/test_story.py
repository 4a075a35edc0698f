"""A message's story as a report tells it."""

from __future__ import annotations

from harness.report.facts import facts_of
from harness.report.story import story_of
from harness.report.words import Tone
from tests.checks.histories import Run, opened


def test_a_notice_to_the_sender_is_no_copy_of_the_message() -> None:
    run = Run()
    message = run.message(5)
    run.receipt(message, 5.1, "primary", "refused", code=554)
    run.receipt(message, 5.2, "primary", recipient="no-reply@shop.example", notice="failed", code=250)
    run.copy(message, 5.3, "backup", code=202)
    with opened(run) as history:
        *_, notice, copy = story_of(facts_of(history, "run"), message.token).lines
    assert notice.text == "takes a notice, failed, to no-reply@shop.example (250)"
    assert notice.tone is Tone.BAD
    assert copy.text == "takes the first copy (202)"
