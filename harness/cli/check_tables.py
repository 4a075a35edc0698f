"""The tables of docs/checks.md: one row for each check, and each in full, from the checks themselves."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from harness.scenario.check_catalogue import CheckEntry, Parameter, check_catalogue

Table = Callable[[tuple[str, ...], Sequence[tuple[str, ...]]], str]


def overview(table: Table) -> str:
    rows = [
        (f"[`{entry.name}`](#{entry.name})", entry.summary, "" if entry.by_default else "only where expected")
        for entry in check_catalogue()
    ]
    return table(("`expect:`", "a pass says", "reported"), rows)


def in_full(table: Table) -> str:
    return "\n\n".join(_about(entry, table) for entry in check_catalogue())


def _about(entry: CheckEntry, table: Table) -> str:
    parts = [f"### {entry.name}", f"Written: {entry.written}", _flowing(entry.about)]
    if entry.parameters:
        if entry.for_each:
            parts.append(f"For each {entry.for_each}:")
        rows = [(f"`{each.name}`", each.takes, _default(each), each.meaning) for each in entry.parameters]
        parts.append(table(("parameter", "takes", "by default", "meaning"), rows))
    return "\n\n".join(parts)


def _flowing(about: str) -> str:
    """Each paragraph and each item of a list on one line, so that a renderer breaks them where it must."""
    paragraphs = [re.sub(r"\n(?!- )\s*", " ", each) for each in about.split("\n\n")]
    return "\n\n".join(paragraphs)


def _default(parameter: Parameter) -> str:
    return "needed" if parameter.required else f"`{parameter.default}`" if parameter.default else ""
