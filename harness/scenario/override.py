"""`--set path=value`: one change to a scenario, as if it stood in the file.

A path addresses streams, providers and routes by name and other lists by index: `workload.receipts.for=5s`,
`faults.0.at=1s`, `system.env.DEFECTS=blind-resend`. The value is YAML; `null` takes a key away
(`expect.mttr=null`). What is wrong is reported with the text of the `--set`, not with a place in the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from harness.scenario.document import Document, Path, Place, read_value
from harness.scenario.errors import Problem, ScenarioError, join_path, nearest, shown

_NAMED_LISTS = {"workload": "stream"}
_FORM = "Write `--set path=value`, for example `--set workload.receipts.for=5s`."


class Origin(Protocol):
    """What brings a value to a path: a `--set`, or a variant of the file."""

    @property
    def places(self) -> Mapping[Path, Place]:
        """Where the value and what is in it stand, by paths that begin at the value."""
        ...

    def problem(
        self, message: str, *, meant: str = "", choices: tuple[str, ...] = (), advice: str = ""
    ) -> Problem: ...

    def set_to(self, path: str) -> str:
        """What to do where a path leads into a value that has nothing in it."""
        ...


@dataclass(frozen=True)
class _Set:
    file: str
    text: str

    @property
    def places(self) -> Mapping[Path, Place]:
        return {(): Place(0, 0, override=self.text)}

    def problem(
        self, message: str, *, meant: str = "", choices: tuple[str, ...] = (), advice: str = ""
    ) -> Problem:
        return Problem(
            file=self.file, message=message, meant=meant, choices=choices, advice=advice, override=self.text
        )

    def set_to(self, path: str) -> str:
        return f"Set the whole of it: `--set '{path}={{…}}'`."


def apply(document: Document, override: str) -> Problem | None:
    """Change the document in place; a problem if the path leads nowhere or the value is not YAML."""
    origin = _Set(document.file, override)
    path_text, equals, value_text = override.partition("=")
    if not equals or not path_text.strip():
        return origin.problem("there is no `path=`" if equals else "there is no `=`", advice=_FORM)
    try:
        value: Any = read_value(value_text) if value_text.strip() else ""
    except ScenarioError as error:
        reason = error.problems[0].message
        return origin.problem(f"the value {shown(value_text)} is not YAML: {reason}")
    return assign(document, origin, path_text, value)


def assign(document: Document, origin: Origin, path_text: str, value: Any) -> Problem | None:
    """Put a value at a path, in place; a problem if the path leads nowhere."""
    steps = [step for step in re.split(r"\.|\[(\d+)\]\.?", path_text.strip()) if step]
    target: Any = document.data
    path: Path = ()
    for number, step in enumerate(steps):
        last = number == len(steps) - 1
        if isinstance(target, list):
            index = _index(target, path, step)
            if index is None:
                return _no_such_entry(origin, target, path, step)
            path = (*path, index)
            if last:
                target[index] = value
            target = target[index]
        elif isinstance(target, dict):
            path = (*path, step)
            if last and value is None:
                target.pop(step, None)
                return None
            if last:
                target[step] = value
            elif target.get(step) is None:
                target[step] = {}
                _mark(document, path, origin)
            target = target[step]
        else:
            inside = join_path(path)
            message = f"`{inside}` is {shown(target)}, which has no `{step}` in it"
            return origin.problem(message, advice=origin.set_to(inside))
    _mark(document, path, origin)
    return None


def _index(entries: list[Any], path: Path, step: str) -> int | None:
    """Which entry of a list a step means: by its name where entries have one, or by number from 0."""
    name_key = _NAMED_LISTS.get(str(path[0])) if len(path) == 1 else None
    if name_key is not None:
        for index, entry in enumerate(entries):
            if isinstance(entry, dict) and entry.get(name_key) == step:
                return index
    if re.fullmatch(r"\d{1,6}", step) and int(step) < len(entries):
        return int(step)
    return None


def _no_such_entry(origin: Origin, entries: list[Any], path: Path, step: str) -> Problem:
    where = join_path(path)
    name_key = _NAMED_LISTS.get(where)
    names = tuple(
        str(e[name_key]) for e in entries if isinstance(e, dict) and isinstance(e.get(name_key), str)
    )
    if name_key is not None:
        message = f"there is no {name_key} {shown(step)} in `{where}`"
        return origin.problem(message, meant=nearest(step, names), choices=names)
    count = len(entries)
    message = f"`{where}` has no entry {shown(step)}; it has {count}" + (
        f", 0 to {count - 1}" if count else ""
    )
    return origin.problem(message, advice="Entries of a list are counted from 0.")


def _mark(document: Document, path: Path, origin: Origin) -> None:
    """Remember what brought that which stands at a path."""
    brought = origin.places
    for known in [known for known in document.places if known[: len(path)] == path]:
        del document.places[known]
    document.places |= {(*path, *rest): place for rest, place in brought.items()}
