"""The on-disk ledger of what a run has made: processes, faults, and objects on a Docker engine.

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
    DOCKER = (
        "docker"  # everything on one engine that carries the run's marker as a label; `detail` says which
    )


class OnEngine(msgspec.Struct, frozen=True):
    """The `detail` of a DOCKER line: where its containers, networks and volumes are, and what they carry."""

    docker_host: str
    marker: str


class KeptProcess(msgspec.Struct, frozen=True):
    """A process that stays when its run is over, because somebody asked for it."""

    name: str
    pids: list[tuple[int, float]]  # (pid, started_at)


class Op(StrEnum):
    MAKING = "making"
    MADE = "made"
    GONE = "gone"
    KEPT = "kept"  # the run is over and this stays, because somebody asked for it


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

    def making_on_engine(self, docker_host: str) -> OnEngine:
        """Before the first object on the engine; all of them must carry the marker."""
        there = OnEngine(docker_host=docker_host, marker=self.marker)
        self.making(What.DOCKER, docker_host, msgspec.structs.asdict(there))
        return there

    def kept(self, what: What, name: str, url: str = "") -> None:
        """It stays when the run is over; people find it at `url`."""
        self.write(Line(op=Op.KEPT, what=what, name=name, detail={"url": url} if url else {}))

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
    engines: list[OnEngine] = []
    kept: list[OnEngine] = []
    used: list[OnEngine] = []  # every engine that the run ever had something on
    kept_processes: list[KeptProcess] = []
    kept_at: dict[str, str] = {}  # name -> URL, of what is kept for people to look into

    @property
    def keeps_something(self) -> bool:
        return bool(self.kept or self.kept_processes)

    @property
    def is_clean(self) -> bool:
        """Nothing is there that nobody wants: what was asked to stay does not count."""
        return not self.processes and not self.faults and not self.engines


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
    engines: dict[str, OnEngine] = {}
    kept: dict[str, OnEngine] = {}
    used: dict[str, OnEngine] = {}
    kept_processes: dict[str, KeptProcess] = {}
    kept_at: dict[str, str] = {}
    for line in read_lines(run_dir):
        if line.op is Op.GONE:
            kept_at.pop(line.name, None)
        elif line.op is Op.KEPT and "url" in line.detail:
            kept_at[line.name] = line.detail["url"]
        match line.what, line.op:
            case What.RUN, _:
                marker, owner = line.marker, line
            case What.PROCESS, Op.MAKING:
                processes.setdefault(line.name, [])
            case What.PROCESS, Op.MADE:
                if line.pid is not None:
                    processes.setdefault(line.name, []).append((line.pid, line.started_at or 0.0))
            case What.PROCESS, Op.KEPT:
                if line.name in processes:
                    kept_processes[line.name] = KeptProcess(line.name, processes.pop(line.name))
            case What.PROCESS, Op.GONE:
                processes.pop(line.name, None)
                kept_processes.pop(line.name, None)
            case What.FAULT, Op.GONE:
                faults.pop(line.name, None)
            case What.FAULT, _:
                faults[line.name] = None
            case What.DOCKER, Op.MAKING:
                engines[line.name] = used[line.name] = msgspec.convert(line.detail, OnEngine)
            case What.DOCKER, Op.KEPT:
                if line.name in engines:
                    kept[line.name] = engines.pop(line.name)
            case What.DOCKER, Op.GONE:
                engines.pop(line.name, None)
                kept.pop(line.name, None)
    return Standing(
        marker=marker,
        owner_pid=owner.pid if owner else None,
        owner_started_at=owner.started_at if owner else None,
        processes=processes,
        faults=list(faults),
        engines=list(engines.values()),
        kept=list(kept.values()),
        used=list(used.values()),
        kept_processes=list(kept_processes.values()),
        kept_at=kept_at,
    )


def is_alive(process: psutil.Process) -> bool:
    """A zombie is not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def same_process(pid: int, started_at: float | None) -> psutil.Process | None:
    """The living process of this pid, unless the pid has been given to somebody else since."""
    try:
        process = psutil.Process(pid)
        reused = started_at is not None and abs(process.create_time() - started_at) > 1.0
    except psutil.NoSuchProcess:
        return None
    return process if not reused and is_alive(process) else None
