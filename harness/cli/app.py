"""The table of commands, and `main`: the process's way in and out."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

import click

from harness import __version__
from harness.cli.exits import run_to_exit_code
from harness.cli.lazy import LazyCommand, LazyGroup

SECTIONS = {
    "Run": {
        "run": LazyCommand("harness.cli.run", "Run scenarios and judge them."),
        "plan": LazyCommand("harness.cli.plan", "Show what a scenario will do, and when, without doing it."),
        "validate": LazyCommand("harness.cli.validate", "Check scenario files; nothing is started."),
        "init": LazyCommand("harness.cli.init", "Write a starter scenario and a tiny system that passes it."),
    },
    "Look at a run": {
        "check": LazyCommand("harness.cli.check", "Judge stored runs again."),
        "query": LazyCommand("harness.cli.query", "Ask a run's history in SQL."),
        "report": LazyCommand("harness.cli.report", "Write a run's reports again."),
    },
    "This machine": {
        "doctor": LazyCommand("harness.cli.doctor", "Say what is here, what would be used, and why."),
        "images": LazyCommand(
            "harness.cli.images", "Make the images of `--on containers` ready, and list them."
        ),
        "heal": LazyCommand("harness.cli.heal", "Remove what a run that died has left behind."),
    },
    "Pieces by themselves": {
        "provider": LazyCommand("harness.cli.provider", "Start one fake provider in the foreground."),
        "providers": LazyCommand("harness.cli.providers", "List the providers that can be faked."),
        "checks": LazyCommand("harness.cli.checks", "List the checks that a run is judged by."),
        "faults": LazyCommand("harness.cli.faults", "List the faults there are, and outages known by name."),
        "synth": LazyCommand("harness.cli.synth", "Make up a history with planted violations."),
        "proxy": LazyCommand("harness.cli.proxy", "Start the embedded Toxiproxy-compatible server."),
        "schema": LazyCommand("harness.cli.schema", "Print the scenario format's JSON Schema."),
    },
}

EPILOG = """\b
Examples:
  harness init demo && cd demo && harness run scenario.yaml
  harness run scenarios/m365-auth-outage.yaml
  harness plan scenarios/m365-auth-outage.yaml --lanes
  harness query last "select route, count(*) from copies group by route"

\b
Exit codes:
  0 pass   1 fail   2 invalid command line or scenario   3 inconclusive
  4 baseline unmet   5 injection failed   6 heal failed   70 harness failed
  130 interrupted (and healed)
"""


@click.command(
    cls=LazyGroup,
    sections=SECTIONS,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="harness", message="%(prog)s %(version)s")
def app() -> None:
    """Break the primary mail route on purpose; judge the failover by the providers' own receipts."""


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process with its exit code."""
    arguments = None if args is None else list(args)
    # Told to end, as by a job's time limit, a command cleans up as after Ctrl-C.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = run_to_exit_code(lambda: app.main(arguments, prog_name="harness", standalone_mode=False))
    finally:
        signal.signal(signal.SIGTERM, before)
    sys.exit(code)
