"""`harness run`: load and plan every scenario, run them one after another, judge each by its history.

All scenarios are checked before the first one starts. What is printed follows the run (report/live.py) and
its judgement (report/summary.py); with --json both go to standard error, one document to standard output.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli import options
from harness.cli.exits import INTERNAL, CommandError
from harness.cli.scenarios import Planned, load_and_plan

if TYPE_CHECKING:
    from rich.console import Console

    from harness.conduct.judge import Judgement
    from harness.scenario.models import Scenario
    from harness.testbed.discover import Choice

EPILOG = """\b
Examples:
  harness run scenarios/m365-auth-outage.yaml
  harness run scenarios/ack-loss.yaml --set system.env.DEFECTS=blind-resend
  harness run scenarios/*.yaml --junit reports/junit.xml -q
  harness run scenarios/m365-auth-outage.yaml --proxy embedded --repeat 5
  harness run scenarios/m365-auth-outage.yaml --keep
  harness run scenarios/m365-auth-outage.yaml --json | jq '.runs[0].verdict'

\b
Exit codes, the strongest of several runs:
  0 pass   1 fail   2 invalid command line or scenario   3 inconclusive
  4 baseline unmet   5 injection failed   6 heal failed   70 harness failed
  130 interrupted (and healed)
"""


@click.command(epilog=EPILOG)
@options.scenarios
@options.on
@options.proxy
@options.seed
@click.option("--repeat", type=click.IntRange(1, 1000), default=1, metavar="N", help="Run each one N times.")
@options.sets
@options.variants
@options.out
@click.option(
    "--junit",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Also write JUnit XML, one file for all runs.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="One JSON document on standard output, the rest on error."
)
@click.option("--keep", is_flag=True, help="Leave the inbox up when the run is over, to look at the mail.")
@click.option("-q", "--quiet", is_flag=True, help="Only the verdict of each run.")
def command(
    scenarios: tuple[Path, ...],
    on: str,
    proxy: str,
    seed: int | None,
    repeat: int,
    sets: tuple[str, ...],
    variants: tuple[str, ...],
    out: Path,
    junit: Path | None,
    as_json: bool,
    keep: bool,
    quiet: bool,
) -> int:
    """Run scenarios and judge them.

    Starts the providers, the proxies and the system under test; drives the workload; injects the faults;
    heals; waits until all is quiet; and judges what happened by the providers' own receipts. Each run leaves
    a folder under --out with its history and its report. Ctrl-C heals first.
    """
    from harness.cli.repeats import repeats_of, say_repeats
    from harness.conduct.judge import strongest
    from harness.report.console import PatientConsole
    from harness.report.findings_json import as_document, as_list, encode
    from harness.report.junit import write_junit

    planned = load_and_plan(scenarios, sets, seed, variants)
    choices = [_choose(each, on, proxy) for each in planned]
    if keep:
        _check_keeping(planned, choices, repeat)
    _check_writable(out)
    if junit is not None:
        _check_writable(junit.parent)
    in_containers = [
        each.scenario for each, choice in zip(planned, choices, strict=True) if choice.testbed == "containers"
    ]
    if in_containers:
        _ensure_images(in_containers)
    console = PatientConsole(stderr=as_json)
    planned_on = list(zip(planned, choices, strict=True))
    runs = _Runs(planned=planned_on, repeat=repeat, out=out, quiet=quiet, keep=keep, console=console)
    judgements = _run_all(runs)
    if junit is not None:
        console.print(
            f"JUnit: {write_junit(judgements, junit)}", soft_wrap=True, highlight=False, markup=False
        )
    repeats = repeats_of(judgements)
    say_repeats(repeats, console)
    if as_json:
        document = as_list([as_document(judgement) for judgement in judgements])
        document["repeats"] = [vars(each) for each in repeats]
        click.echo(encode(document), nl=False)
    return int(strongest(judgement.exit_code for judgement in judgements))


@dataclass(frozen=True)
class _Runs:
    planned: Sequence[tuple[Planned, Choice]]
    repeat: int
    out: Path
    quiet: bool
    keep: bool
    console: Console


def _run_all(runs: _Runs) -> list[Judgement]:
    """Every scenario, `repeat` times each. An interrupted run is the last one."""
    from harness.conduct.judge import ExitCode
    from harness.testbed.provider.config import wants_an_inbox

    todo = [(*each, number) for each in runs.planned for number in range(1, runs.repeat + 1)]
    said: Choice | None = None
    judgements: list[Judgement] = []
    for position, (each, choice, number) in enumerate(todo, start=1):
        if choice != said and not runs.quiet:
            said = choice
            _say(runs.console, f"{choice.testbed} testbed, {choice.proxy} proxy: {choice.why}")
            if wants_an_inbox(each.scenario):
                _say(runs.console, choice.about_inbox)
        if len(todo) > 1 and not runs.quiet:
            again = f", {number} of {runs.repeat}" if runs.repeat > 1 else ""
            runs.console.rule(
                f"{each.scenario.scenario}{again} (run {position} of {len(todo)})", align="left"
            )
        judgement = _run_one(each, choice, runs)
        judgements.append(judgement)
        if judgement.exit_code is ExitCode.INTERRUPTED:
            break
    return judgements


def _run_one(planned: Planned, choice: Choice, runs: _Runs) -> Judgement:
    from harness.conduct.judge import judging
    from harness.conduct.run import Observer, RunRequest, run
    from harness.history.errors import HistoryError
    from harness.history.journal import Journal
    from harness.report.findings_json import write_findings
    from harness.report.html import write_html
    from harness.report.live import show_live
    from harness.report.short import verdict_line
    from harness.report.summary import print_summary
    from harness.scenario.timeline import Timeline
    from harness.testbed.base import TestbedError

    async def watch(journal: Journal, timeline: Timeline, _: Path) -> None:
        await show_live(journal, timeline, console=runs.console)

    request = RunRequest(
        scenario=planned.scenario,
        timeline=planned.timeline,
        on=choice.testbed,
        proxy=choice.proxy,
        out=runs.out,
        keep=runs.keep,
    )
    observers: list[Observer] = [] if runs.quiet else [watch]
    try:
        run_dir = asyncio.run(run(request, observers=observers))
    except TestbedError as error:
        raise CommandError(str(error), do="`harness doctor` shows what is here") from error
    except OSError as error:
        raise CommandError(
            f"the run could not be recorded: {error}",
            do="make room, or name another --out; `harness heal` removes what was left",
            exit_code=INTERNAL,
        ) from error
    try:
        with judging(run_dir) as (judgement, history):
            try:
                write_findings(judgement, history)
                write_html(judgement, history)
            finally:
                # Should a report fail to be written, the person has the verdict all the same.
                if runs.quiet:
                    line = verdict_line(judgement, history)
                    runs.console.print(line, soft_wrap=True, highlight=False, markup=False)
                else:
                    print_summary(judgement, console=runs.console, history=history)
                if runs.keep:
                    _tell_of_inbox(run_dir, runs.console)
            return judgement
    except HistoryError as error:
        raise CommandError(
            f"the history cannot be read: {error}", where=str(run_dir), exit_code=INTERNAL
        ) from error


def _tell_of_inbox(run_dir: Path, console: Console) -> None:
    from harness.report.words import shown_path
    from harness.testbed.resources import standing

    kept = standing(run_dir).kept_at
    for url in kept.values():
        _say(console, f"inbox: {url}, kept until you say: harness heal {shown_path(run_dir)}")
    if not kept:
        _say(console, "no inbox was kept: there was none, or the run did not end in good order")


def _say(console: Console, line: str) -> None:
    console.print(line, soft_wrap=True, highlight=False, markup=False)


def _check_keeping(planned: Sequence[Planned], choices: Sequence[Choice], repeat: int) -> None:
    from harness.testbed.provider.config import wants_an_inbox

    if len(planned) * repeat > 1:
        raise CommandError(
            f"--keep leaves up the inbox of one run, and this would be {len(planned) * repeat} runs; "
            "nothing was started",
            do="name one scenario, and leave out --repeat",
        )
    (one,), (choice,) = planned, choices
    if not wants_an_inbox(one.scenario):
        what = "no provider of this scenario takes mail by SMTP, so there is no inbox to keep"
        raise CommandError(f"{what}; nothing was started", where=str(one.path), do="leave out --keep")
    if not choice.inbox:
        raise CommandError(
            "there is no inbox to keep: mailpit is not here; nothing was started",
            do="`make tools` builds it where Go is; or leave out --keep",
        )


def _choose(planned: Planned, on: str, proxy: str) -> Choice:
    from harness.testbed.discover import NotAvailable, choose_for
    from harness.testbed.preflight import check_ahead

    try:
        choice = choose_for(planned.scenario, on, proxy)
        check_ahead(planned.scenario, choice.testbed)
    except NotAvailable as error:
        what = f"{error}; nothing was started"
        raise CommandError(what, where=str(planned.path), do=error.do) from error
    return choice


def _ensure_images(scenarios: Sequence[Scenario]) -> None:
    """Pulled and built now, with progress, and not in the middle of a run."""
    from rich.console import Console

    from harness.testbed.containers.prepare import ensure_images
    from harness.testbed.discover import NotAvailable

    try:
        ensure_images(Console(stderr=True), scenarios)
    except NotAvailable as error:
        raise CommandError(f"{error}; nothing was started", do=error.do) from error


def _check_writable(folder: Path) -> None:
    """Found out now, not after a minute of running."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(
            f"cannot make the folder {folder}: {error.strerror or error}; nothing was started",
            do="name another one",
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise CommandError(f"cannot write to {folder}; nothing was started", do="name another folder")
