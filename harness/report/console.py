"""A console that a run does not depend on: when its reader goes away (`| head`) it falls silent, and no more.

Rich's own ends the process there and then, with exit code 1: in the middle of a run that would leave the run
without its end, and claim that an expectation was broken.
"""

from __future__ import annotations

import os
import sys

from rich.console import Console


class PatientConsole(Console):
    """Prints until nobody reads; then the run goes on and ends with its own exit code."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        # What is still buffered must go somewhere when the process ends.
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, (sys.stderr if self.stderr else sys.stdout).fileno())
        os.close(devnull)
