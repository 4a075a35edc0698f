"""A scenario's data as it was written, before its types are known: where references are looked up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from harness.scenario.document import Document, Path, lookup
from harness.scenario.errors import Problem, nearest, shown


def names(document: Document, key: str) -> tuple[str, ...]:
    """The keys of a mapping at the top."""
    return names_at(document, (key,))


def names_at(document: Document, path: Path) -> tuple[str, ...]:
    found = lookup(document.data, path)
    return tuple(found) if isinstance(found, dict) else ()


def entries(document: Document, key: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The mappings of a list at the top, each with its number."""
    found = lookup(document.data, (key,))
    for index, entry in enumerate(found if isinstance(found, list) else []):
        if isinstance(entry, dict):
            yield index, entry


def classes(document: Document) -> tuple[str, ...]:
    """The classes of the streams."""
    found = [stream.get("class") for _, stream in entries(document, "workload")]
    return tuple(dict.fromkeys(each for each in found if isinstance(each, str)))


def unknown(
    document: Document, path: Path, what: str, name: str, valid: Iterable[str], *, at_key: bool = False
) -> Problem:
    """A name that is not among the valid ones."""
    choices = tuple(valid)
    message = f"there is no {what} {shown(name)}"
    return document.problem(path, message, at_key=at_key, meant=nearest(name, choices), choices=choices)


def empty_values(document: Document, may_be: Callable[[Path], bool] = lambda path: False) -> list[Problem]:
    """`within:` with nothing behind it is a slip; taken as left out, an expectation would vanish unseen."""
    advice = "Give it a value, or leave the key out."
    return [
        document.problem(path, "is empty", at_key=True, advice=advice)
        for path in document.places
        if path and not may_be(path) and _is_empty(document, path)
    ]


def _is_empty(document: Document, path: Path) -> bool:
    parent = lookup(document.data, path[:-1])
    there = path[-1] in parent if isinstance(parent, dict) else isinstance(parent, list)
    return there and lookup(document.data, path) is None
