"""A harness command that runs until it is interrupted, as a process."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.ran import ROOT

PROGRAM = "from harness.cli import main; main()"


class Foreground:
    """`until` reads the output up to a line that says something; `interrupt` is Ctrl-C."""

    def __init__(self, *arguments: str, program: str = PROGRAM) -> None:
        command = [sys.executable, "-u", "-c", program, *arguments]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def until(self, said: str) -> str:
        assert self.process.stdout is not None
        seen = ""
        for line in self.process.stdout:
            seen += line
            if said in line:
                return seen
        raise AssertionError(f"ended without saying {said!r}:\n{seen}")

    def interrupt(self) -> int:
        assert self.process.stdout is not None
        self.process.send_signal(signal.SIGINT)
        self.process.stdout.read()
        return self.process.wait(timeout=20)


@contextmanager
def foreground(*arguments: str, program: str = PROGRAM) -> Iterator[Foreground]:
    running = Foreground(*arguments, program=program)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait()
        assert running.process.stdout is not None
        running.process.stdout.close()


def port_after(label: str, text: str) -> int:
    """The port of the banner's line that begins with `label`."""
    found = re.search(rf"{label}\s+127\.0\.0\.1:(\d+)", text)
    assert found is not None, text
    return int(found[1])
