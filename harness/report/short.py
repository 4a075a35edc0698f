"""A run's summary for places that are no terminal: as one line, and as text.

A judgement flows in, text flows out: for `--quiet`, for a test runner's report.
"""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

from rich.console import Console

from harness.report.facts import read_facts
from harness.report.headline import headline_of
from harness.report.summary import print_summary
from harness.report.words import outcome_words, printable

if TYPE_CHECKING:
    from harness.conduct.judge import Judgement
    from harness.history.store import History

TEXT_WIDTH = 100


def verdict_line(judgement: Judgement, history: History | None = None) -> str:
    """`PASS  m365-auth-outage: 0 of 325 messages arrived twice; …`, and what ended the run early."""
    with read_facts(judgement, history) as facts:
        sentence = headline_of(judgement, facts).sentence
    line = f"{outcome_words(judgement).word}  {printable(judgement.scenario)}: {printable(sentence)}"
    # What ended a run early is said at the place where somebody will look first.
    return f"{line}\n  {judgement.detail.strip()}" if judgement.detail else line


def summary_text(judgement: Judgement) -> str:
    """What print_summary prints, without colours and with lines of at most TEXT_WIDTH."""
    text = StringIO()
    print_summary(judgement, console=Console(file=text, width=TEXT_WIDTH, color_system=None))
    return text.getvalue().strip("\n")
