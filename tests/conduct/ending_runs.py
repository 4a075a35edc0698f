"""Short runs of `harness run` as processes of their own, to be disturbed and then looked at from outside.

What is left of a run is found without the harness's help: every process of a run carries its marker.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from harness.conduct.judge import Judgement, judge
from harness.testbed.resources import MARKER, standing
from tests.waiting import wait_until

SCENARIO = Path(__file__).parent / "systems" / "endings.yaml"
HARNESS = [sys.executable, "-c", "from harness.cli import main; main()"]
DEADLINE_S = 90.0


@dataclass(frozen=True)
class Ended:
    """A run that is over: its code and what it printed."""

    folder: Path | None
    code: int
    said: str

    @property
    def dir(self) -> Path:
        assert self.folder is not None, self.said
        return self.folder

    def events(self, kind: str) -> list[dict[str, object]]:
        lines = (self.dir / "history.jsonl").read_text("utf-8", "replace").splitlines()
        found = []
        for line in lines:
            try:
                event = json.loads(line)
            except ValueError:
                continue  # the torn last line of a killed writer
            if event["kind"] == kind:
                found.append(event)
        return found

    def detail(self) -> str:
        """Why it ended, as it is recorded: without a console's line breaks."""
        (last,) = self.events("run.finished")
        return " ".join(str(last.get("detail", "")).split())

    def judgement(self) -> Judgement:
        return judge(self.dir)

    def left_over(self) -> list[psutil.Process]:
        return left_over(self.dir)


class Running:
    """`harness run` at work, in an --out of its own."""

    def __init__(
        self,
        out: Path,
        *arguments: str,
        mode: str = "",
        scenario: Path = SCENARIO,
        on: str = "local",
        proxy: str = "embedded",
        unread: bool = False,
        within: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        """`unread`: its output is a pipe whose reader goes away after the first line (`| head -1`).

        `within`: a program, with its arguments, that becomes the harness; `env`: beside what is there.
        """
        self.out = out
        where = ["--on", on, "--proxy", proxy, "--out", str(out)]
        argv = [*within, *HARNESS, "run", str(scenario), *where]
        self._log = out.with_name(out.name + ".txt")
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*argv, *(["--set", f"system.env.MODE={mode}"] if scenario == SCENARIO else []), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if unread else log,
                stderr=log,
                env={**os.environ, **(env or {})},
            )
        if self.process.stdout is not None:
            self.process.stdout.readline()
            self.process.stdout.close()

    @property
    def folder(self) -> Path | None:
        return next(iter(sorted(self.out.iterdir())), None) if self.out.is_dir() else None

    def history(self) -> str:
        path = self.folder / "history.jsonl" if self.folder else None
        return path.read_text("utf-8", "replace") if path and path.exists() else ""

    def until(self, said: str) -> None:
        """Until its history holds this text."""
        wait_until(lambda: said in self.history() or self.process.poll() is not None, DEADLINE_S)
        assert said in self.history(), self._log.read_text("utf-8", "replace")

    def until_phase(self, phase: str) -> None:
        self.until(f'"phase":"{phase}"')

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def part(self, words: str) -> psutil.Process:
        """The run's process with these words in its command line."""
        assert self.folder is not None
        (found,) = [p for p in left_over(self.folder) if words in " ".join(p.cmdline())]
        return found

    def end(self) -> Ended:
        code = self.process.wait(DEADLINE_S)
        return Ended(self.folder, code, self._log.read_text("utf-8", "replace"))


def left_over(folder: Path) -> list[psutil.Process]:
    """Every process of the run that is still there, zombies not counted."""
    marker = standing(folder).marker
    if marker is None:
        return []  # killed before it wrote its first line, so before it made anything
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARKER) == marker and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found
