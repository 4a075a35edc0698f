"""Heal a run: remove every fault and process that its ledger says may still be there, and prove it.

In the local testbed every fault lives in a proxy, a provider or the system, and each of these is a process of
the run: when the last process is gone, so is the last fault. Used by the watchdog, by `harness heal`, and by
the run itself as the last resort after an orderly tear-down.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import psutil

from harness.testbed.resources import LEDGER_NAME, MARKER, Line, Op, Standing, What, standing

KILL_WAIT_S = 3.0


@dataclass(frozen=True)
class HealReport:
    """What was found and what became of it. `left` is what could not be removed, in words."""

    run_dir: Path
    killed: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.left


def _recorded(state: Standing) -> Iterable[psutil.Process]:
    for pids in state.processes.values():
        for pid, started_at in pids:
            try:
                process = psutil.Process(pid)
                if abs(process.create_time() - started_at) > 1.0:
                    continue  # the pid has been given to somebody else since
                yield process
                yield from process.children(recursive=True)
            except psutil.NoSuchProcess:
                continue


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


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def processes_of(state: Standing) -> dict[int, psutil.Process]:
    found = {p.pid: p for p in _recorded(state)}
    if state.marker:
        found.update({p.pid: p for p in _marked(state.marker)})
    found.pop(os.getpid(), None)
    return {pid: p for pid, p in found.items() if _alive(p)}


def heal(run_dir: Path) -> HealReport:
    """Kill what is left of the run and mark it gone in its ledger. Safe to call at any time, and again.

    Raises FileNotFoundError where the folder holds no ledger.
    """
    if not (run_dir / LEDGER_NAME).exists():
        raise FileNotFoundError(f"{run_dir} has no {LEDGER_NAME}: it is not the folder of a run")
    state = standing(run_dir)
    report = HealReport(run_dir=run_dir, faults=list(state.faults))
    # Twice: a process may be born between the look and the kill.
    for _ in range(2):
        found = processes_of(state)
        for process in found.values():
            with contextlib.suppress(psutil.NoSuchProcess):
                report.killed.append(f"{process.pid} {process.name()}")
                process.send_signal(signal.SIGKILL)
        psutil.wait_procs(list(found.values()), timeout=KILL_WAIT_S)
    remaining = processes_of(state)
    report.left.extend(f"process {p.pid} ({p.name()}) is still running" for p in remaining.values())
    if not remaining:
        # Where the disk is full nothing can be written down; the next heal finds nothing and writes it then.
        with contextlib.suppress(OSError):
            _mark_gone(run_dir, state)
    return report


def _mark_gone(run_dir: Path, state: Standing) -> None:
    lines = [Line(op=Op.GONE, what=What.PROCESS, name=name) for name in state.processes]
    lines += [Line(op=Op.GONE, what=What.FAULT, name=name) for name in state.faults]
    with (run_dir / LEDGER_NAME).open("ab") as ledger:
        # A newline first: the file may end in the torn line of a killed writer.
        ledger.write(b"\n" + b"".join(msgspec.json.encode(line) + b"\n" for line in lines))


def owner_is_alive(run_dir: Path) -> bool:
    """Is the harness process that made this run still at work on it?"""
    state = standing(run_dir)
    if state.owner_pid is None or state.owner_pid == os.getpid():
        return False
    try:
        owner = psutil.Process(state.owner_pid)
        reused = abs(owner.create_time() - (state.owner_started_at or owner.create_time())) > 1.0
    except psutil.NoSuchProcess:
        return False
    return not reused and _alive(owner)


def find_unhealed(out_dir: Path) -> list[Path]:
    """The run folders under `out_dir` whose ledger is not clean, oldest first; running ones are left out."""
    if not out_dir.is_dir():
        return []
    ledgers = sorted(out_dir.glob(f"*/{LEDGER_NAME}"))
    return [
        ledger.parent
        for ledger in ledgers
        if not standing(ledger.parent).is_clean and not owner_is_alive(ledger.parent)
    ]
