"""Heal a run: remove every fault, process and container that may still be there by its ledger, and prove it.

Every fault lives in a proxy, a provider or the system, and each of these is a process or a container of the
run: when the last of them is gone, so is the last fault. Used by the watchdog, by `harness heal`, and by the
run itself as the last resort after an orderly tear-down.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import psutil

from harness.testbed.resources import (
    LEDGER_NAME,
    MARKER,
    Line,
    OnEngine,
    Op,
    Standing,
    What,
    is_alive,
    same_process,
    standing,
)

if TYPE_CHECKING:
    from harness.testbed.containers.leftovers import Leftover
    from harness.testbed.containers.reaper import Reaped

KILL_WAIT_S = 3.0


@dataclass(frozen=True)
class HealReport:
    """What was found and what became of it, in words.

    `left` is what could not be removed, `kept` what stays because somebody asked for it.
    """

    run_dir: Path
    killed: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.left


def _recorded(recorded: Iterable[list[tuple[int, float]]]) -> Iterable[psutil.Process]:
    for pids in recorded:
        for pid, started_at in pids:
            if (process := same_process(pid, started_at)) is not None:
                yield process
                with contextlib.suppress(psutil.NoSuchProcess):
                    yield from process.children(recursive=True)


def _marked(marker: str) -> Iterable[psutil.Process]:
    me = os.getpid()
    for process in psutil.process_iter():
        if process.pid == me:
            continue
        try:
            if process.environ().get(MARKER) == marker:
                yield process
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue


def processes_of(state: Standing, *, kept: bool = True) -> dict[int, psutil.Process]:
    """Those that live, by pid; without `kept` those that were asked to stay are left out."""
    found = {
        p.pid: p for p in _recorded([*state.processes.values(), *(k.pids for k in state.kept_processes)])
    }
    if state.marker:
        found.update({p.pid: p for p in _marked(state.marker)})
    found.pop(os.getpid(), None)
    for pid, _ in (pid for each in state.kept_processes for pid in each.pids if not kept):
        found.pop(pid, None)
    return {pid: p for pid, p in found.items() if is_alive(p)}


def heal(run_dir: Path, *, kept: bool = False, engines_again: bool = False) -> HealReport:
    """Remove what is left of the run and mark it gone in its ledger. Safe to call at any time, and again.

    `kept`: what was asked to stay goes as well. `engines_again`: ask engines that held nothing the last time,
    too. Raises FileNotFoundError where the folder holds no ledger.
    """
    if not (run_dir / LEDGER_NAME).exists():
        raise FileNotFoundError(f"{run_dir} has no {LEDGER_NAME}: it is not the folder of a run")
    state = standing(run_dir)
    report = HealReport(run_dir=run_dir, faults=list(state.faults))
    gone = _end_processes(state, report, kept=kept)
    # After the processes: one of them may be about to make a container.
    engines = state.used if engines_again else state.engines
    gone += _clear_engines([*engines, *(state.kept if kept else ())], report)
    if not kept:
        report.kept.extend(f"what --keep left on {there.docker_host}" for there in state.kept)
        report.kept.extend(each.name for each in state.kept_processes)
    # A fault lives in what has just been removed.
    if report.ok:
        gone += [Line(op=Op.GONE, what=What.FAULT, name=name) for name in state.faults]
    # Where the disk is full nothing can be written down; the next heal finds nothing and writes it then.
    with contextlib.suppress(OSError):
        _write_down(run_dir, gone)
    return report


def _end_processes(state: Standing, report: HealReport, *, kept: bool) -> list[Line]:
    """The lines of those that are gone; what was kept stays, unless it is to go as well."""
    names = [*state.processes, *(each.name for each in state.kept_processes if kept)]
    # Twice: a process may be born between the look and the kill.
    for _ in range(2):
        found = processes_of(state, kept=kept)
        for process in found.values():
            with contextlib.suppress(psutil.NoSuchProcess):
                report.killed.append(f"{process.pid} {process.name()}")
                process.send_signal(signal.SIGKILL)
        psutil.wait_procs(list(found.values()), timeout=KILL_WAIT_S)
    remaining = processes_of(state, kept=kept)
    report.left.extend(f"process {p.pid} ({p.name()}) is still running" for p in remaining.values())
    return [] if remaining else [Line(op=Op.GONE, what=What.PROCESS, name=name) for name in names]


def _clear_engines(engines: list[OnEngine], report: HealReport) -> list[Line]:
    """The lines of those that hold nothing of the run any more."""
    gone = []
    for there in engines:
        removed, left = _clear(there, report.run_dir)
        report.removed.extend(removed)
        report.left.extend(left)
        if not left:
            gone.append(Line(op=Op.GONE, what=What.DOCKER, name=there.docker_host))
    return gone


def _clear(there: OnEngine, run_dir: Path) -> tuple[list[str], list[str]]:
    """What was removed and what was left on one engine."""
    again = f"harness heal {shlex.quote(str(run_dir))}"
    try:
        from harness.testbed.containers.reaper import reap_at
    except ModuleNotFoundError as error:
        install = "pip install 'mail-failover-harness[containers]'"
        why = f"Python's {error.name} package is not here, so the Docker engine cannot be asked"
        return [], [f"{why} what of the run is still on it: {install}, then {again}"]
    found = reap_at(there.docker_host, there.marker, again=again)
    return found.removed, found.left


def _write_down(run_dir: Path, lines: list[Line]) -> None:
    if not lines:
        return
    with (run_dir / LEDGER_NAME).open("ab") as ledger:
        # A newline first: the file may end in the torn line of a killed writer.
        ledger.write(b"\n" + b"".join(msgspec.json.encode(line) + b"\n" for line in lines))


def owner_is_alive(run_dir: Path) -> bool:
    """Is the harness process that made this run still at work on it?"""
    state = standing(run_dir)
    if state.owner_pid is None or state.owner_pid == os.getpid():
        return False
    return same_process(state.owner_pid, state.owner_started_at) is not None


def find_unhealed(out_dir: Path) -> list[Path]:
    """The run folders under `out_dir` whose ledger is not clean, oldest first; running ones are left out."""
    return [
        run_dir
        for run_dir in runs_under(out_dir)
        if not standing(run_dir).is_clean and not owner_is_alive(run_dir)
    ]


def find_kept(out_dir: Path) -> list[Path]:
    """The run folders under `out_dir` of which something was kept."""
    return [run_dir for run_dir in runs_under(out_dir) if standing(run_dir).keeps_something]


def runs_under(out_dir: Path) -> list[Path]:
    return sorted(path.parent for path in out_dir.glob(f"*/{LEDGER_NAME}"))


def left_on_engine() -> list[Leftover]:
    """What dead runs of this user have left on the Docker engine, be their folders gone; of each one it says
    whether somebody asked for it. Raises EngineMissing where there is no engine to ask.
    """
    from harness.testbed.containers.engine import connect

    with contextlib.closing(connect()) as engine:
        from harness.testbed.containers.leftovers import leftovers

        return [each for each in leftovers(engine) if each.is_ours_to_remove]


def heal_engine() -> dict[Leftover, Reaped]:
    """Remove all of that. Raises EngineMissing."""
    from harness.testbed.containers.engine import connect

    with contextlib.closing(connect()) as engine:
        from harness.testbed.containers.leftovers import leftovers
        from harness.testbed.containers.reaper import reap

        return {
            each: reap(engine, each.marker, again="harness heal --all")
            for each in leftovers(engine)
            if each.is_ours_to_remove
        }
