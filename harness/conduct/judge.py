"""From a stored history to a verdict and an exit code. Pure: reads the run's folder, touches nothing else.

What the run recorded as expected decides; everything else is reported. What was not shown is listed, because
a pass says nothing about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

from harness.checks import evaluate
from harness.checks.finding import Finding, Verdict
from harness.checks.routes import refuse_unknown
from harness.history.events import Outcome
from harness.history.sources import find, is_remote
from harness.history.store import History


class ExitCode(IntEnum):
    """What a command or a run ends with."""

    PASS = 0
    FAIL = 1
    INVALID = 2
    INCONCLUSIVE = 3
    BASELINE_UNMET = 4
    INJECTION_FAILED = 5
    HEAL_FAILED = 6
    HARNESS_FAILED = 70
    INTERRUPTED = 130


STRONGEST_FIRST = (
    ExitCode.INTERRUPTED,  # the runs that were to follow did not happen
    ExitCode.HARNESS_FAILED,
    ExitCode.HEAL_FAILED,
    ExitCode.FAIL,
    ExitCode.INJECTION_FAILED,
    ExitCode.BASELINE_UNMET,
    ExitCode.INVALID,
    ExitCode.INCONCLUSIVE,
    ExitCode.PASS,
)

_BY_OUTCOME = {
    Outcome.HARNESS_FAILED: ExitCode.HARNESS_FAILED,
    Outcome.HEAL_FAILED: ExitCode.HEAL_FAILED,
    Outcome.INTERRUPTED: ExitCode.INTERRUPTED,
    Outcome.SYSTEM_EXITED: ExitCode.FAIL,
    Outcome.BASELINE_UNMET: ExitCode.BASELINE_UNMET,
}

# To open runs costs least together; to ask about one costs more, the more there are beside it.
_RUNS_AT_ONCE = 40

CUT_OFF = "the recording ends without its last event: the harness was killed, or is still at work"


@dataclass(frozen=True)
class Judgement:
    """One run, judged."""

    run: str
    run_dir: Path
    scenario: str
    summary: str
    seed: int
    outcome: Outcome
    detail: str
    findings: list[Finding]
    exit_code: ExitCode
    warnings: list[str] = field(default_factory=list)
    not_proven: list[str] = field(default_factory=list)


def strongest(codes: Iterable[ExitCode]) -> ExitCode:
    """The code of several runs together; no runs at all prove nothing."""
    found = set(codes)
    return next((code for code in STRONGEST_FIRST if code in found), ExitCode.INCONCLUSIVE)


def judge(path: Path, expect: list[dict[str, Any]] | None = None) -> Judgement:
    """Judge a run's folder, or a history file. `expect` replaces the expectations that the run recorded.

    Raises HistoryError where there is no readable history, NoSuchRoute where `expect` names a route that the
    run does not have.
    """
    with judging(path, expect) as (judgement, _):
        return judgement


@contextmanager
def judging(path: Path, expect: list[dict[str, Any]] | None = None) -> Iterator[tuple[Judgement, History]]:
    """`judge`, and the history that it was judged by, for reports to read while it is open."""
    with History.open(path) as history:
        run = history.runs()[0]
        yield judge_run(history, run, path if path.is_dir() else path.parent, expect), history


def judging_all(
    where: Path | str, expect: list[dict[str, Any]] | None = None
) -> Iterator[tuple[Judgement, History]]:
    """Judge every run of a history that may hold many, each beside that history, open until the next one.

    Raises HistoryError, NoSuchRoute.
    """
    if is_remote(where):
        yield from _judging([str(where)], {}, expect)
        return
    folders: dict[Path, list[str | Path]] = {}
    for source in find(where):
        place = Path(source.place)
        # A run's folder by itself, so that what lies beside the events is found.
        folders[place.parent] = [source.folder] if source.folder else [*folders.get(place.parent, []), place]
    together = list(folders)
    for first in range(0, len(together), _RUNS_AT_ONCE):
        some = together[first : first + _RUNS_AT_ONCE]
        places = [place for folder in some for place in folders[folder]]
        yield from _judging(places, {folder.name: folder for folder in some}, expect)


def _judging(
    places: list[str | Path], folders: dict[str, Path], expect: list[dict[str, Any]] | None
) -> Iterator[tuple[Judgement, History]]:
    home = next(iter(folders.values()), Path())
    with History.open(places) as history:
        for run in history.runs():
            yield judge_run(history, run, folders.get(run, home), expect), history


def judge_run(
    history: History, run: str, run_dir: Path, expect: list[dict[str, Any]] | None = None
) -> Judgement:
    started = history.run_started(run)
    refuse_unknown(run, started, expect or [])
    outcome, detail = _ending(history, run)
    # Before the storm there is nothing to judge, and what is there would only mislead.
    findings = evaluate(history, run, expect) if _reached_the_storm(history, run) else []
    return Judgement(
        run=run,
        run_dir=run_dir,
        scenario=started.scenario,
        summary=str(started.resolved.get("summary", "")),
        seed=started.seed,
        outcome=outcome,
        detail=detail,
        findings=findings,
        exit_code=exit_code(outcome, findings),
        warnings=_warnings(history, run),
        not_proven=_not_proven(findings),
    )


def _reached_the_storm(history: History, run: str) -> bool:
    query = "select count(*) from events where run = ? and kind = 'phase.entered' and phase = 'storm'"
    row = history.con.execute(query, [run]).fetchone()
    return row is not None and row[0] > 0


def _ending(history: History, run: str) -> tuple[Outcome, str]:
    row = history.con.execute(
        "select outcome, detail->>'$' from events where run = ? and kind = 'run.finished'", [run]
    ).fetchone()
    if row is None:
        return Outcome.HARNESS_FAILED, CUT_OFF
    return Outcome(row[0]), "" if row[1] is None else str(row[1])


def exit_code(outcome: Outcome, findings: list[Finding]) -> ExitCode:
    """How the run ended and what the deciding findings say, the strongest of both."""
    if outcome in _BY_OUTCOME:
        return _BY_OUTCOME[outcome]
    deciding = [finding.verdict for finding in findings if finding.decides]
    if Verdict.FAIL in deciding:
        return ExitCode.FAIL
    if outcome is Outcome.INJECTION_FAILED:
        return ExitCode.INJECTION_FAILED
    if not deciding or Verdict.INCONCLUSIVE in deciding:
        return ExitCode.INCONCLUSIVE
    return ExitCode.PASS


def _warnings(history: History, run: str) -> list[str]:
    rows = history.con.execute(
        "select warning, subject, detail->>'$' from events "
        "where run = ? and kind = 'harness.warning' order by seq",
        [run],
    ).fetchall()
    return [f"{warning} ({subject}): {detail}" for warning, subject, detail in rows]


def _not_proven(findings: list[Finding]) -> list[str]:
    """In words: what was looked for without an answer, and what nobody asked about."""
    open_ = [
        f"{finding.check}: {finding.reason or finding.summary}"
        for finding in findings
        if finding.verdict is Verdict.INCONCLUSIVE
    ]
    unasked = [finding.check for finding in findings if not finding.decides]
    if unasked:
        open_.append(f"not expected by the scenario, so without a say in the verdict: {', '.join(unasked)}")
    return open_
