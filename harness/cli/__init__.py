"""The command line: `harness COMMAND`. One file per command; `main` is the entry point.

Nothing heavy is imported here: `harness --help` must answer at once, so a command's module is imported when
it is called, and imports what it needs inside its function (lazy.py). Errors become exit codes in exits.py.
"""

from __future__ import annotations

from harness.cli.app import main

__all__ = ["main"]
