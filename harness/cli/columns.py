"""Lists for people: names in a column, what they mean beside it, in lines no wider than the terminal."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Iterator

import click

NARROWEST, WIDEST = 60, 120


def width() -> int:
    """Of the lines to print; 80 where nobody says how wide the terminal is."""
    return max(NARROWEST, min(WIDEST, shutil.get_terminal_size().columns))


def paragraph(text: str, indent: str = "", hanging: str | None = None) -> str:
    """Wrapped; names with hyphens stay whole."""
    return textwrap.fill(
        text,
        width(),
        initial_indent=indent,
        subsequent_indent=indent if hanging is None else hanging,
        break_on_hyphens=False,
        break_long_words=False,
    )


def headline(name: str, summary: str) -> str:
    """The name stands out."""
    return click.style(name, bold=True) + paragraph(f"{name}  {summary}", hanging="    ")[len(name) :]


def table(rows: Iterable[tuple[str, str]], indent: str = "    ", *, cut: bool = False) -> Iterator[str]:
    """The names as wide as the longest; what does not fit beside them goes on below, or is `cut`."""
    listed = list(rows)
    left = max((len(name) for name, _ in listed), default=0)
    for name, text in listed:
        first = f"{indent}{name:{left}} "
        if cut:
            room = width() - len(first)
            yield first + (text if len(text) <= room else f"{text[: room - 1]}…")
        else:
            yield paragraph(text, first, " " * len(first))
