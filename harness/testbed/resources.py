"""The on-disk ledger of what a run has made: processes and faults.

A line is written before a thing is made, another when it is there, a third when it is gone. Whoever heals
(the run itself, the watchdog, `harness heal`) needs nothing but this file. It is append-only JSONL; a torn
last line, as a kill leaves it, is passed over.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import msgspec
import psutil

LEDGER_NAME = "resources.jsonl"
MARKER = "HARNESS_RUN_MARKER"
"""Every process of a run carries this variable, and its children inherit it: so a process whose pid was
never written down is found all the same."""


class What(StrEnum):
    RUN = "run"
    PROCESS = "process"
    FAULT = "fault"


class Op(StrEnum):
    MAKING = "making"
    MADE = "made"
    GONE = "gone"


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    op: Op
    what: What
    name: str
    pid: int | None = None
    started_at: float | None = None  # the process's start, seconds since the epoch: tells a reused pid
    marker: str | None = None
    detail: dict[str, str] = {}


class ResourceLedger:
    """Writer's side. One per run, opened before the first thing is made."""

    def __init__(self, run_dir: Path, marker: str) -> None:
        self.path = run_dir / LEDGER_NAME
        self.marker = marker
        self._fd = os.open(self.path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o644)
        self.write(
            Line(
                op=Op.MADE,
                what=What.RUN,
                name=run_dir.name,
                pid=os.getpid(),
                started_at=psutil.Process().create_time(),
                marker=marker,
            )
        )

    def write(self, line: Line) -> None:
        """Raises OSError when it cannot be written; what was to be made must not be made then."""
        data = msgspec.json.encode(line) + b"\n"
        try:
            while data:  # a short write: usually the disk is full and the next one says so
                data = data[os.write(self._fd, data) :]
        except OSError as error:
            raise OSError(f"cannot write to the ledger {self.path}: {error.strerror}") from error

    def making(self, what: What, name: str, detail: dict[str, str] | None = None) -> None:
        self.write(Line(op=Op.MAKING, what=what, name=name, detail=detail or {}))

    def made(self, what: What, name: str, *, pid: int | None = None, started_at: float | None = None) -> None:
        self.write(Line(op=Op.MADE, what=what, name=name, pid=pid, started_at=started_at))

    def gone(self, what: What, name: str) -> None:
        """Never raises: what is gone and still listed is looked for by whoever heals, and not found."""
        with contextlib.suppress(OSError):
            self.write(Line(op=Op.GONE, what=what, name=name))

    def close(self) -> None:
        os.close(self._fd)


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What a ledger says is still there."""

    marker: str | None
    owner_pid: int | None
    owner_started_at: float | None
    processes: dict[str, list[tuple[int, float]]]  # name -> (pid, started_at); empty list: pid unknown
    faults: list[str]

    @property
    def is_clean(self) -> bool:
        return not self.processes and not self.faults


def read_lines(run_dir: Path) -> Iterator[Line]:
    path = run_dir / LEDGER_NAME
    if not path.exists():
        return
    for raw in path.read_bytes().splitlines():
        try:
            yield msgspec.json.decode(raw, type=Line)
        except msgspec.DecodeError:
            continue  # the torn last line of a killed writer


def standing(run_dir: Path) -> Standing:
    """Replay the ledger: what was made, or may have been, and is not yet gone."""
    marker: str | None = None
    owner: Line | None = None
    processes: dict[str, list[tuple[int, float]]] = {}
    faults: dict[str, None] = {}
    for line in read_lines(run_dir):
        match line.what, line.op:
            case What.RUN, _:
                marker, owner = line.marker, line
            case What.PROCESS, Op.MAKING:
                processes.setdefault(line.name, [])
            case What.PROCESS, Op.MADE:
                if line.pid is not None:
                    processes.setdefault(line.name, []).append((line.pid, line.started_at or 0.0))
            case What.PROCESS, Op.GONE:
                processes.pop(line.name, None)
            case What.FAULT, Op.GONE:
                faults.pop(line.name, None)
            case What.FAULT, _:
                faults[line.name] = None
    return Standing(
        marker=marker,
        owner_pid=owner.pid if owner else None,
        owner_started_at=owner.started_at if owner else None,
        processes=processes,
        faults=list(faults),
    )
