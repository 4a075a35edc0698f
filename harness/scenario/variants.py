"""Variants of a scenario: one file, several runs that differ in a few values.

    variants:
      refused: {faults.0.fault: outage}
      busy:    {faults.0.fault: refuse, faults.0.code: 451}

Each key is a path as in `--set`, and its value stands there in that variant; `null` takes a key away.
Whatever is wrong with it is reported where it stands under `variants`. A variant's scenario is called after
both.
"""

from __future__ import annotations

from harness.scenario import override
from harness.scenario.document import Document, Place, lookup
from harness.scenario.errors import Problem, nearest, shown

KEY = "variants"


def names_in(document: Document) -> tuple[str, ...]:
    """The names of a document's variants, in order; none where it has none, or none that can be read."""
    variants = lookup(document.data, (KEY,))
    return tuple(str(name) for name in variants) if isinstance(variants, dict) else ()


def choose(document: Document, name: str | None) -> list[Problem]:
    """Make the document that of one variant, in place."""
    names = names_in(document)
    if name is None:
        if not names:
            return []
        advice = f"Say which: {', '.join(names)}."
        return [document.problem((KEY,), "this file has variants", at_key=True, advice=advice)]
    if name not in names:
        message = f"there is no variant {shown(name)}" + ("" if names else "; this file has none")
        return [Problem(file=document.file, message=message, meant=nearest(name, names), choices=names)]
    changes = lookup(document.data, (KEY, name))
    if not isinstance(changes, dict):
        advice = "Write for example `{faults.0.fault: outage}`, or `{}` for the file as it is."
        return [document.problem((KEY, name), "is no mapping of paths to values", advice=advice)]
    problems = [
        problem
        for path, value in changes.items()
        if (problem := override.assign(document, _Change(document, name, str(path)), str(path), value))
    ]
    if isinstance(called := document.data.get("scenario"), str):
        document.data["scenario"] = f"{called}-{name}"
    del document.data[KEY]
    return problems


class _Change:
    """One change of a variant, as what brought a value."""

    def __init__(self, document: Document, variant: str, path: str) -> None:
        self._document = document
        self._at = (KEY, variant, path)

    @property
    def places(self) -> dict[tuple[str | int, ...], Place]:
        known = self._document.places
        return {path[len(self._at) :]: place for path, place in known.items() if path[:3] == self._at}

    def problem(
        self, message: str, *, meant: str = "", choices: tuple[str, ...] = (), advice: str = ""
    ) -> Problem:
        return self._document.problem(
            self._at, message, at_key=True, meant=meant, choices=choices, advice=advice
        )

    def set_to(self, path: str) -> str:
        return f"Set the whole of it: `{path}: {{…}}`."
