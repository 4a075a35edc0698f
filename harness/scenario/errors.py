"""What is wrong with a scenario: every problem with its place, what was meant, and what to do.

Exception
└── ScenarioError   the scenario cannot be used (exit 2); holds all problems that were found at once

A problem points into the scenario file (line and column, with the source line and a caret), or, where the
value came from the command line, at the text of a `--set`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_EXCERPT_WIDTH = 96


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong. Lines and columns count from 1; 0 where there is no place in the file."""

    file: str
    line: int = 0
    column: int = 0
    length: int = 1  # how many characters the caret underlines
    path: str = ""  # such as faults[1].latency
    message: str
    meant: str = ""  # the nearest valid spelling
    choices: tuple[str, ...] = ()
    advice: str = ""
    source_line: str = ""
    override: str = ""  # the text of the --set that brought the value

    def render(self) -> str:
        """The problem as plain text of a few lines."""
        if self.override:
            place = f"--set {printable(self.override)}"
        elif self.line:
            place = f"{self.file}:{self.line}:{self.column}"
        else:
            place = self.file
        lines = [f"{place}: {self.path}: {self.message}" if self.path else f"{place}: {self.message}"]
        if self.source_line.strip() and not self.override:
            lines += _excerpt(self.source_line, self.line, self.column, self.length)
        if self.meant:
            lines.append(f"    did you mean `{self.meant}`?")
        if self.choices:
            lines.append(f"    valid here: {', '.join(self.choices)}")
        if self.advice:
            lines.append(f"    {self.advice}")
        return "\n".join(lines)


class ScenarioError(Exception):
    """The scenario cannot be used. `problems` holds all that is wrong with it, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda p: (p.line == 0, p.line, p.column, p.path)))
        super().__init__(self.render())

    def render(self) -> str:
        """All problems as plain text, with a last line that counts them."""
        count = len(self.problems)
        last = f"{count} problem{'' if count == 1 else 's'}; nothing was started."
        return "\n\n".join([problem.render() for problem in self.problems] + [last])


def without_repeats(problems: Iterable[Problem]) -> list[Problem]:
    """One problem for one path: the first that was found says it best."""
    first: dict[tuple[str, str], Problem] = {}
    for problem in problems:
        first.setdefault((problem.path, problem.override), problem)
    return list(first.values())


def nearest(word: object, valid: Iterable[object]) -> str:
    """The valid word that was probably meant, or an empty text."""
    if not isinstance(word, str) or len(word) > 200:
        return ""
    by_folded = {_folded(str(each)): str(each) for each in valid}
    if (folded := _folded(word)) in by_folded:
        return by_folded[folded]
    close = difflib.get_close_matches(folded, by_folded, n=1, cutoff=0.6)
    if close:
        return by_folded[close[0]]
    starts = [full for short, full in by_folded.items() if len(folded) >= 3 and short.startswith(folded)]
    return starts[0] if len(starts) == 1 else ""


def printable(text: str) -> str:
    """Text with control characters escaped, so that a file cannot play with the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def shown(value: object) -> str:
    """A value as it reads in a message: short, on one line, in back-quotes."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    text = ("true" if value else "false") if isinstance(value, bool) else str(value)
    text = printable(text)
    return f"`{text if len(text) <= 60 else text[:57] + '…'}`"


def join_path(path: Sequence[str | int]) -> str:
    """`("faults", 1, "latency")` as `faults[1].latency`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{printable(step)}" if text else printable(step)
    return text


def _folded(word: str) -> str:
    return word.strip().lower().replace("_", "-").replace(" ", "-")


def _excerpt(source_line: str, line: int, column: int, length: int) -> list[str]:
    """The source line and a caret under what is wrong, cut to fit a terminal."""
    text = printable(source_line.rstrip().replace("\t", " "))
    start = 0
    if len(text) > _EXCERPT_WIDTH and column > _EXCERPT_WIDTH - 24:
        start = min(column - 1 - _EXCERPT_WIDTH // 2, len(text) - _EXCERPT_WIDTH)
        start = max(start, 0)
    piece = text[start : start + _EXCERPT_WIDTH]
    if start:
        piece = "…" + piece[1:]
    if start + _EXCERPT_WIDTH < len(text):
        piece = piece[:-1] + "…"
    at = column - 1 - start
    carets = max(1, min(length, len(piece) - at)) if at < len(piece) else 1
    gutter = f"{line:>5} | "
    return [gutter + piece, " " * 5 + " | " + " " * at + "^" * carets]
