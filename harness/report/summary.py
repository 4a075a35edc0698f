"""The last thing that a run prints: the verdict in plain words, then each finding, then how the worst came
about.

A judgement flows in, lines flow to a rich console. They fit 80 columns, hold without colour (each verdict
has a sign and a word) and when piped, and no text from a system under test reaches the terminal with its
control characters.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from harness.checks.finding import Finding, Offender, Verdict
from harness.report.confidence import Remark, confidence_of, in_short
from harness.report.facts import RunFacts, read_facts
from harness.report.headline import headline_of
from harness.report.story import Story, stories_of
from harness.report.words import (
    VERDICT_TONES,
    Tone,
    clock,
    measure,
    ordered,
    outcome_words,
    printable,
    shown_path,
    span_ns,
)

if TYPE_CHECKING:
    from harness.conduct.judge import Judgement
    from harness.history.store import History

STYLES = {Tone.GOOD: "green", Tone.BAD: "red", Tone.UNSURE: "yellow", Tone.BROKEN: "magenta"}
_SIGNS = {Tone.GOOD: ("✓", "+"), Tone.BAD: ("✗", "x"), Tone.UNSURE: ("?", "?"), Tone.BROKEN: ("!", "!")}
_MAX_OFFENDERS = 3
_CHECK_WIDTH = 12
_LONGEST_BESIDE = 20  # a longer name has a line of its own, and leaves the others their room


def print_summary(
    judgement: Judgement,
    *,
    console: Console | None = None,
    verbose: bool = False,
    history: History | None = None,
) -> None:
    """Print the summary of one judged run; `verbose`: with all offenders, and the story of each.

    Raises HistoryError when its history cannot be read.
    """
    console = console or Console()
    if console.is_terminal:
        _print(console, judgement, verbose, history)
        return
    # Tables fill their lines with blanks, which nobody wants in a log or a diff.
    with console.capture() as captured:
        _print(console, judgement, verbose, history)
    console.file.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def _print(console: Console, judgement: Judgement, verbose: bool, history: History | None) -> None:
    with read_facts(judgement, history) as facts:
        _verdict(console, judgement, facts)
        _findings(console, judgement, facts, verbose)
        remarks = confidence_of(facts, judgement.findings)
    _list(console, "Not proven", judgement.not_proven, "yellow")
    _list(console, "Warnings", judgement.warnings, "yellow")
    _confidence(console, remarks, verbose)
    _where(console, judgement)


def _verdict(console: Console, judgement: Judgement, facts: RunFacts) -> None:
    words = outcome_words(judgement)
    headline = headline_of(judgement, facts)
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(
        Text(f" {words.word} ", style=f"bold reverse {STYLES[words.tone]}"),
        Text(printable(headline.sentence), style="bold"),
    )
    if judgement.detail:
        grid.add_row("", Text(printable(judgement.detail), style=STYLES[words.tone]))
    where = f" on {facts.testbed} with {facts.proxy} proxies" if facts.testbed else ""
    about = f"{judgement.scenario}, seed {judgement.seed}, {span_ns(facts.duration_ns)}{where}"
    grid.add_row("", Text(printable(about), style="dim"))
    if facts.witness:
        grid.add_row("", Text(printable(facts.witness), style="dim"))
    console.print()
    console.print(grid)


def _findings(console: Console, judgement: Judgement, facts: RunFacts, verbose: bool) -> None:
    """Each finding; after one that failed, the story of its worst offender, or of all; each once."""
    decided = True
    told: set[str] = set()
    widths = [len(finding.check) for finding in judgement.findings]
    width = max([_CHECK_WIDTH, *(each for each in widths if each <= _LONGEST_BESIDE)])
    for finding in ordered(judgement.findings):
        if decided and not finding.decides:
            decided = False
            console.print()
            console.print(Text("Reported only; the scenario does not expect these", style="dim"))
        if finding.decides:
            console.print()
        _finding(console, finding, width, len(finding.offenders) if verbose else _MAX_OFFENDERS)
        if finding.verdict is Verdict.FAIL and finding.decides:
            stories = stories_of(facts, finding.offenders if verbose else finding.offenders[:1])
            for key in [key for key in stories if key not in told]:
                told.add(key)
                _story(console, stories[key])


def _finding(console: Console, finding: Finding, width: int, most: int) -> None:
    tone = VERDICT_TONES[finding.verdict]
    plain = not (console.encoding or "").lower().startswith("utf")
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=1)
    grid.add_column(width=width, no_wrap=True)
    grid.add_column(overflow="fold")
    sign = Text(_SIGNS[tone][plain], style=f"bold {STYLES[tone]}")
    name = Text(printable(finding.check), style="bold")
    if len(finding.check) > width:
        console.print(Text(" ").join([sign, name]))
        grid.add_row("", "", _said(finding, tone))
    else:
        grid.add_row(sign, name, _said(finding, tone))
    # What passed and decides nothing needs no proof here; the HTML report has it.
    if finding.decides or finding.verdict is not Verdict.PASS:
        for label, text in _proof(finding):
            line = Text(f"{label}  ", style="dim")
            line.append(printable(text), style="" if label == "numbers" else "dim")
            grid.add_row("", "", line)
        for offender in finding.offenders[:most]:
            grid.add_row("", "", _offender(offender))
        if len(finding.offenders) > most:
            grid.add_row("", "", Text(f"and {len(finding.offenders) - most} more like these", style="dim"))
        if finding.traceback:
            grid.add_row("", "", Text(printable(finding.traceback.strip()), style="dim"))
    console.print(grid)


def _said(finding: Finding, tone: Tone) -> Text:
    said = Text(printable(finding.summary))
    if finding.verdict is not Verdict.PASS:
        said = Text.assemble((f"{finding.verdict}: ", f"bold {STYLES[tone]}"), said)
    return said


def _proof(finding: Finding) -> list[tuple[str, str]]:
    # What is nought in a check that passed says little in a terminal; the other reports have it all.
    shown = {
        name: value
        for name, value in finding.numbers.items()
        if finding.verdict is not Verdict.PASS or value not in (0, None)
    }
    numbers = [" ".join(measure(name, value)) for name, value in shown.items()]
    lines = [("reason", finding.reason), ("numbers", ", ".join(numbers))]
    lines += [("rule", finding.formula), ("error", finding.error)]
    return [(label, text) for label, text in lines if text]


def _offender(offender: Offender) -> Text:
    line = Text("- ", style="dim")
    line.append(printable(offender.recipient or offender.token or offender.subject or "?"), style="bold")
    line.append(f": {printable(offender.why)}")
    if offender.cause:
        line.append(f", {printable(offender.cause)}", style="red")
    return line


def _story(console: Console, story: Story) -> None:
    console.print()
    console.print(Text.assemble(("  How it came about: ", "bold"), printable(story.title)))
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(justify="right", no_wrap=True, style="dim")
    grid.add_column(no_wrap=True, max_width=24, overflow="ellipsis")
    grid.add_column(overflow="fold")
    for line in story.lines:
        actor = f"{line.actor} via {line.route}" if line.route else line.actor
        text = Text(printable(line.text), style=STYLES[line.tone] if line.tone else "")
        if line.faults:
            text.append(f"  during {', '.join(printable(name) for name in line.faults)}", style="red")
        grid.add_row(clock(line.at_ns), Text(printable(actor)), text)
    console.print(Padding(grid, (0, 0, 0, 2)))


def _list(console: Console, title: str, texts: list[str], style: str) -> None:
    if not texts:
        return
    console.print()
    console.print(Text(title, style=f"bold {style}"))
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=1)
    grid.add_column(overflow="fold")
    for text in texts:
        grid.add_row("-", Text(printable(text)))
    console.print(Padding(grid, (0, 0, 0, 1)))


def _confidence(console: Console, remarks: list[Remark], verbose: bool) -> None:
    """How exact it was, and what takes something away; `verbose`: the whole sheet, topic by topic."""
    if not verbose:
        _list(console, "Confidence", in_short(remarks), "cyan")
        return
    console.print()
    console.print(Text("Confidence", style="bold cyan"))
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(overflow="fold")
    said = None
    for each in remarks:
        text = Text(printable(each.text), style="yellow" if each.lowers else "")
        grid.add_row(str(each.topic) if each.topic != said else "", text)
        said = each.topic
    console.print(Padding(grid, (0, 0, 0, 1)))


def _where(console: Console, judgement: Judgement) -> None:
    """Paths on lines of their own and never folded, so that they can be clicked and copied."""
    console.print()
    run = shown_path(judgement.run_dir)
    for label, text in (
        ("report", _there(judgement.run_dir / "report.html")),
        ("findings", _there(judgement.run_dir / "findings.json")),
        ("check again", f"harness check {run}"),
    ):
        if text:
            line = Text.assemble((f"{label:<{_CHECK_WIDTH}} ", "dim"), text)
            console.print(line, soft_wrap=True)


def _there(path: Path) -> str:
    return shown_path(path) if path.exists() else ""
