"""`--set path=value`: one change to a scenario, as if it stood in the file.

A path addresses streams, providers and routes by name and other lists by index: `workload.receipts.for=5s`,
`faults.0.at=1s`, `system.env.DEFECTS=blind-resend`. The value is YAML; `null` takes a key away
(`expect.mttr=null`). What is wrong is reported with the text of the `--set`, not with a place in the file.
"""

from __future__ import annotations

import re
from typing import Any

from harness.scenario.document import Document, Path, Place, read_value
from harness.scenario.errors import Problem, ScenarioError, join_path, nearest, shown

_NAMED_LISTS = {"workload": "stream"}
_FORM = "Write `--set path=value`, for example `--set workload.receipts.for=5s`."


def apply(document: Document, override: str) -> Problem | None:
    """Change the document in place; a problem if the path leads nowhere or the value is not YAML."""
    path_text, equals, value_text = override.partition("=")
    if not equals or not path_text.strip():
        return _problem(
            document, override, "there is no `path=`" if equals else "there is no `=`", advice=_FORM
        )
    try:
        value: Any = read_value(value_text) if value_text.strip() else ""
    except ScenarioError as error:
        reason = error.problems[0].message
        return _problem(document, override, f"the value {shown(value_text)} is not YAML: {reason}")
    steps = [step for step in re.split(r"\.|\[(\d+)\]\.?", path_text.strip()) if step]
    return _assign(document, override, steps, value)


def _assign(document: Document, override: str, steps: list[str], value: Any) -> Problem | None:
    target: Any = document.data
    path: Path = ()
    for number, step in enumerate(steps):
        last = number == len(steps) - 1
        if isinstance(target, list):
            index = _index(target, path, step)
            if index is None:
                return _no_such_entry(document, override, target, path, step)
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
                _mark(document, path, override)
            target = target[step]
        else:
            inside = join_path(path)
            message = f"`{inside}` is {shown(target)}, which has no `{step}` in it"
            return _problem(
                document, override, message, advice=f"Set the whole of it: `--set '{inside}={{…}}'`."
            )
    _mark(document, path, override)
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


def _no_such_entry(document: Document, override: str, entries: list[Any], path: Path, step: str) -> Problem:
    where = join_path(path)
    name_key = _NAMED_LISTS.get(where)
    names = tuple(
        str(e[name_key]) for e in entries if isinstance(e, dict) and isinstance(e.get(name_key), str)
    )
    if name_key is not None:
        message = f"there is no {name_key} {shown(step)} in `{where}`"
        return _problem(document, override, message, meant=nearest(step, names), choices=names)
    count = len(entries)
    message = f"`{where}` has no entry {shown(step)}; it has {count}" + (
        f", 0 to {count - 1}" if count else ""
    )
    return _problem(document, override, message, advice="Entries of a list are counted from 0.")


def _mark(document: Document, path: Path, override: str) -> None:
    """Remember that what stands at a path came from the command line."""
    for known in [known for known in document.places if known[: len(path)] == path]:
        del document.places[known]
    document.places[path] = Place(0, 0, override=override)


def _problem(document: Document, override: str, message: str, **more: Any) -> Problem:
    return Problem(file=document.file, message=message, override=override, **more)
