"""A click group that knows its commands' names and summaries, and imports a command only to run it.

In: a table of commands. Out: help without importing one of them, and a suggestion for a mistyped name.
"""

from __future__ import annotations

import difflib
import importlib
from typing import NamedTuple

import click


class LazyCommand(NamedTuple):
    """Where a command lives (a module with a `command`), and its line in the list of commands."""

    module: str
    summary: str


class LazyGroup(click.Group):
    """Commands in the order of the table, grouped under its headings."""

    def __init__(self, *args: object, sections: dict[str, dict[str, LazyCommand]], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.sections = sections
        self.table = {name: entry for section in sections.values() for name, entry in section.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.table:
            return None
        command = importlib.import_module(self.table[cmd_name].module).command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in self.table and not name.startswith("-"):
            near = difflib.get_close_matches(name, self.table, n=1)
            meant = f" Did you mean '{near[0]}'?" if near else " `harness --help` lists them."
            raise click.UsageError(f"There is no command '{name}'.{meant}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(len(name) for name in self.table)
        for heading, section in self.sections.items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(width), entry.summary) for name, entry in section.items()])
