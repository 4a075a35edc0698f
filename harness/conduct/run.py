"""One run from a scenario to a stored history: the folder, the journal, the watchdog, the end whatever
happens.

`run` always tears down and always leaves a readable history; what ended the run is in its last event, and
what it means is for `judge` to say. Only a testbed that cannot be set up, or a folder that cannot be made,
raises.
"""

from __future__ import annotations

import asyncio
import contextlib
import platform
import signal
import sys
import time
import traceback
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Self

from harness import __version__
from harness.conduct.errors import RunEnded
from harness.conduct.phases import Conductor
from harness.history.errors import JournalError
from harness.history.events import HarnessWarning, Outcome, Phase, RunFinished, RunStarted
from harness.history.journal import Journal
from harness.history.store import to_parquet
from harness.scenario.models import Scenario
from harness.scenario.plan import timeline_json
from harness.scenario.timeline import Timeline
from harness.testbed.base import Testbed, TestbedError
from harness.testbed.credentials import fingerprints
from harness.testbed.discover import Choice, choose
from harness.testbed.heal import heal
from harness.testbed.local.testbed import LocalTestbed
from harness.testbed.mail.departure import write_outbound
from harness.testbed.resources import ResourceLedger
from harness.testbed.watchdog import Watchdog

Observer = Callable[[Journal, Timeline, Path], Awaitable[None]]
OBSERVER_END_S = 5.0
TEARDOWN_S = 30.0


@dataclass(frozen=True)
class RunRequest:
    """What to run and where. `on` and `proxy`: auto, or a name; `out` is the parent of run folders."""

    scenario: Scenario
    timeline: Timeline
    on: str = "auto"
    proxy: str = "auto"
    out: Path = Path("reports/runs")
    keep: bool = False  # the inbox stays when the run is over


@dataclass(frozen=True)
class _Ending:
    outcome: Outcome
    detail: str = ""


async def run(request: RunRequest, *, observers: Sequence[Observer] = ()) -> Path:
    """Conduct the scenario; returns the run's folder. SIGINT and SIGTERM heal first, then end the run.

    Raises TestbedError where the choice of parts fails, and nothing is started then; OSError where the run's
    folder cannot be made or its history not be brought to an end, and nothing is left running then.
    """
    choice = choose(request.on, request.proxy)
    with _Interruption() as interruption:
        return await _run(request, choice, observers, interruption)


class _Interruption:
    """SIGINT and SIGTERM while a run is at work: the first ends it, the others change nothing.

    The tear-down that follows is bounded and not to be cut short.
    """

    def __init__(self) -> None:
        self.by: signal.Signals | None = None
        self._work: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._interrupt, number)
        return self

    def __exit__(self, *_: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().remove_signal_handler(number)

    def _interrupt(self, number: signal.Signals) -> None:
        if self.by is None:
            self.by = number
            if self._work is not None:
                self._work.cancel()

    def ends(self, work: asyncio.Task[None]) -> None:
        """`work` is what an interruption ends, one that came before included."""
        self._work = work
        if self.by is not None:
            work.cancel()

    @property
    def ending(self) -> _Ending | None:
        return _Ending(Outcome.INTERRUPTED, f"by {self.by.name}") if self.by is not None else None


async def _run(
    request: RunRequest, choice: Choice, observers: Sequence[Observer], interruption: _Interruption
) -> Path:
    run_dir = make_run_dir(request.out, request.scenario.scenario)
    testbed = _testbed(request, choice, run_dir)
    (run_dir / "scenario.yaml").write_text(request.scenario.source_text, encoding="utf-8")
    (run_dir / "timeline.json").write_bytes(timeline_json(request.timeline))
    start_ns = time.monotonic_ns()
    wall_start = datetime.now(UTC)
    with _as_os_error():
        journal = Journal(run_dir / "history.jsonl", run_dir.name, lambda: time.monotonic_ns() - start_ns)
    ledger = ResourceLedger(run_dir, marker=uuid.uuid4().hex)
    watchdog = Watchdog(run_dir)
    with _as_os_error():
        journal.append(_run_started(request, testbed, wall_start))
    reporting = [
        asyncio.create_task(_observe(observer, journal, request.timeline, run_dir)) for observer in observers
    ]
    conductor = Conductor(request.scenario, request.timeline, testbed, journal, ledger)
    ending = await _conduct(conductor, interruption)
    ending = await _tear_down(conductor, ending)
    if ending.outcome is Outcome.COMPLETED:
        ending = interruption.ending or ending
    unfinished: JournalError | None = None
    try:
        await asyncio.to_thread(_keep_mail, request, run_dir, journal)
        journal.append(RunFinished(t_ns=journal.now_ns(), outcome=ending.outcome, detail=ending.detail))
    except JournalError as error:
        unfinished = error
    journal.close()
    ledger.close()
    if ending.outcome is not Outcome.HEAL_FAILED:
        watchdog.dismiss()
    if reporting:
        _, late = await asyncio.wait(reporting, timeout=OBSERVER_END_S)
        for task in late:
            task.cancel()
    if unfinished is not None:
        raise OSError(f"{unfinished}; everything was stopped") from unfinished
    await asyncio.to_thread(_store, run_dir)
    return run_dir


def _testbed(request: RunRequest, choice: Choice, run_dir: Path) -> Testbed:
    """Raises TestbedError where the parts that were chosen are not there any more."""
    seed = request.timeline.seed
    if choice.testbed == "local":
        return LocalTestbed(request.scenario, run_dir, choice.proxy, seed, keep=request.keep)
    from harness.testbed.containers.testbed import ContainersTestbed

    return ContainersTestbed.on_this_machine(request.scenario, run_dir, seed, keep=request.keep)


@contextlib.contextmanager
def _as_os_error() -> Iterator[None]:
    """A journal that cannot be begun is a folder that cannot be made."""
    try:
        yield
    except JournalError as error:
        raise OSError(str(error)) from error


def make_run_dir(out: Path, scenario: str) -> Path:
    """A new folder `<start>-<scenario>`; a second run in the same second gets a number."""
    out.mkdir(parents=True, exist_ok=True)
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{scenario}"
    for number in range(1, 1000):
        run_dir = out / (name if number == 1 else f"{name}-{number}")
        try:
            run_dir.mkdir()
        except FileExistsError:
            continue
        return run_dir.resolve()
    raise FileExistsError(f"{out} has a thousand runs named {name}")


def _run_started(request: RunRequest, testbed: Testbed, wall_start: datetime) -> RunStarted:
    scenario = request.scenario
    packages = ("aiosmtpd", "duckdb", "starlette", "toxiproxy-python", "uvicorn")
    return RunStarted(
        t_ns=0,
        wall_start=wall_start.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        scenario=scenario.scenario,
        resolved=scenario.resolved(),
        seed=request.timeline.seed,
        testbed=testbed.name,
        proxy=testbed.proxy,
        limits={name: dict(provider.limits) for name, provider in scenario.providers.items()},
        routes_without_mail=[name for name in scenario.routes if name not in scenario.mail_routes],
        credentials=fingerprints(scenario, request.timeline.seed),
        expect=[
            {"check": name, "params": params.model_dump(mode="json", by_alias=True, exclude_none=True)}
            for name, params in scenario.expectations()
        ],
        binaries=testbed.binaries(),
        versions={
            "harness": __version__,
            "python": platform.python_version(),
            "platform": platform.platform(),
            **{package: version(package) for package in packages},
        },
    )


async def _observe(observer: Observer, journal: Journal, timeline: Timeline, run_dir: Path) -> None:
    """A reporter that breaks must not break the run; what it said goes to standard error."""
    try:
        await observer(journal, timeline, run_dir)
    except Exception:  # noqa: BLE001  the boundary between the run and whoever watches it
        print("a reporter broke; the run goes on:", file=sys.stderr)
        traceback.print_exc()


async def _conduct(conductor: Conductor, interruption: _Interruption) -> _Ending:
    """The phases, until their end or whatever comes first."""
    work = asyncio.create_task(conductor.through_phases(), name="the run")
    interruption.ends(work)
    try:
        await work
        return _Ending(Outcome.COMPLETED)
    except asyncio.CancelledError:
        if interruption.ending is None:
            raise
        return interruption.ending
    except RunEnded as ended:
        # A step that was cut short may fail in its own way; it was cut short all the same.
        return interruption.ending or _Ending(ended.outcome, str(ended))
    except (TestbedError, JournalError, OSError) as error:
        return _Ending(Outcome.HARNESS_FAILED, str(error))
    except Exception as error:  # noqa: BLE001  our own defect: the run still heals, and says what it was
        text = traceback.format_exc()
        with contextlib.suppress(OSError):
            (conductor.journal.path.parent / "harness-error.txt").write_text(text, encoding="utf-8")
        return _Ending(Outcome.HARNESS_FAILED, f"{type(error).__name__}: {error} (see harness-error.txt)")


async def _tear_down(conductor: Conductor, ending: _Ending) -> _Ending:
    """Remove faults, stop everything, and check against the ledger that nothing is left."""
    try:
        ending = await asyncio.wait_for(_orderly(conductor, ending), TEARDOWN_S)
    except TimeoutError:
        # What did not end is killed below; its last receipts may be missing, so nothing of this is a pass.
        ending = _Ending(
            Outcome.HARNESS_FAILED, f"the tear-down took longer than {TEARDOWN_S:g} s{_after(ending)}"
        )
    except Exception as error:  # noqa: BLE001  our own defect: what is left is killed below all the same
        ending = _Ending(Outcome.HARNESS_FAILED, f"tear-down: {type(error).__name__}: {error}")
    report = await asyncio.to_thread(heal, conductor.journal.path.parent)
    if not report.ok:
        return _Ending(Outcome.HEAL_FAILED, "; ".join(report.left))
    if ending.outcome is Outcome.HEAL_FAILED:
        # A fault would not go, and went with the process that held it: nothing is left to clean.
        return _Ending(Outcome.HARNESS_FAILED, f"{ending.detail}; it was ended by force, nothing is left")
    return ending


def _after(ending: _Ending) -> str:
    """What had ended the run before, where that was not its own end."""
    return "" if ending.outcome is Outcome.COMPLETED else f"; before that: {ending.detail}"


async def _orderly(conductor: Conductor, ending: _Ending) -> _Ending:
    journal_works = True
    try:
        if ending.outcome not in (Outcome.COMPLETED, Outcome.HEAL_FAILED) and conductor.faults is not None:
            await conductor.heal()
    except RunEnded as error:
        # The fault dies with the process that holds it; whether that went well is checked afterwards.
        ending = _Ending(ending.outcome, f"{ending.detail}; {error}")
    except (JournalError, OSError):
        journal_works = False
    if journal_works:
        with contextlib.suppress(JournalError):
            conductor.enter(Phase.TEARDOWN)
    await conductor.end_background()
    testbed = conductor.testbed
    for step in (testbed.stop_system, testbed.finish, testbed.stop):
        try:
            await step()
        except Exception as error:  # noqa: BLE001  every step is tried; the ledger tells what is left
            if ending.outcome is Outcome.COMPLETED:
                ending = _Ending(Outcome.HARNESS_FAILED, f"{step.__name__}: {type(error).__name__}: {error}")
    if conductor.faults is not None:
        conductor.faults.forget()
    return ending


def _keep_mail(request: RunRequest, run_dir: Path, journal: Journal) -> None:
    """The mail as it left the providers, for the check `authentication`. Raises JournalError."""
    try:
        left = write_outbound(run_dir, request.scenario, request.timeline.seed)
        lost = f"{left.unmade} messages could not be made: {left.reason}" if left.unmade else ""
    except Exception as error:  # noqa: BLE001  what is not there is not a pass: the check says so
        lost = f"{type(error).__name__}: {error}"
    if lost:
        journal.append(HarnessWarning(t_ns=journal.now_ns(), warning="mail-not-kept", detail=lost))


def _store(run_dir: Path) -> None:
    """Parquet beside the journal; where that fails the journal alone is the history."""
    try:
        to_parquet(run_dir)
    except Exception as error:  # noqa: BLE001  a convenience: every reader falls back to the journal
        print(f"{run_dir / 'history.parquet'} could not be written: {error}", file=sys.stderr)
