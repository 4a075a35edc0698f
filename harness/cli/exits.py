"""How a command ends: errors become one message on standard error and an exit code, never a traceback.

    click.ClickException
    ├── click.UsageError     a wrong option or argument (exit 2)
    └── CommandError         anything else a person can put right (exit 2 unless said otherwise)

What nobody foresaw is exit 70: one line that says what, and a file with the traceback. HARNESS_DEBUG=1 prints
the traceback as well.
"""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

INTERRUPTED = 130
BROKEN_PIPE = 141
INTERNAL = 70
INVALID = 2


class CommandError(click.ClickException):
    """What is wrong, where, what was probably meant, and what to do about it."""

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        meant: str | None = None,
        do: str | None = None,
        exit_code: int = INVALID,
    ) -> None:
        super().__init__(what)
        # An int on click's own class, which types it as belonging to the class.
        self.exit_code: int = exit_code  # type: ignore[misc]
        self.rows = [("where", where), ("meant", meant), ("do", do)]

    def show(self, file: Any = None) -> None:
        lines = [f"error: {self.message}"]
        lines += [f"  {label + ':':7}{text}" for label, text in self.rows if text]
        click.echo("\n".join(lines), file=file or sys.stderr)


def run_to_exit_code(command: Callable[[], object]) -> int:
    """Run `command` and turn however it ends into an exit code, having told the person why."""
    try:
        result = command()
        sys.stdout.flush()
    except (KeyboardInterrupt, click.exceptions.Abort):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except BrokenPipeError:
        # The reader went away (`harness query … | head`). Python would complain again at shutdown.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except Exception as error:  # noqa: BLE001  the boundary: what nobody foresaw is reported and kept
        if _is_interruption(error):
            click.echo("interrupted", err=True)
            return INTERRUPTED
        _report_crash(error)
        return INTERNAL
    return int(result) if isinstance(result, int) else 0


def _is_interruption(error: Exception) -> bool:
    """Asked only here: DuckDB takes a while to load, and most commands do without."""
    from harness.history.interruption import is_interruption

    return is_interruption(error)


def _report_crash(error: Exception) -> None:
    details = "".join(traceback.format_exception(error))
    frame = traceback.extract_tb(error.__traceback__)[-1]
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="harness-crash-", suffix=".txt", delete=False, encoding="utf-8"
        ) as file:
            file.write(f"command: {' '.join(sys.argv)}\npython: {sys.version}\n\n{details}")
        kept = f"the whole traceback is in {file.name}"
    except OSError as unwritable:
        kept = f"the traceback could not be written to a file ({unwritable}); HARNESS_DEBUG=1 prints it"
    click.echo(
        f"internal error: {type(error).__name__}: {error}\n"
        f"  where: {Path(frame.filename).name}:{frame.lineno} in {frame.name}; {kept}\n"
        f"  do:    this is a fault of the harness; please report it with that file. "
        f"`harness heal` cleans up if a run was under way.",
        err=True,
    )
    if os.environ.get("HARNESS_DEBUG"):
        click.echo(details, err=True)
