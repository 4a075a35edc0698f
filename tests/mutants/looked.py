"""What a test looks at of a finding: a finding that remembers which of its parts were read.

`watched` gives one in the place of the true one; `seen` takes the same parts of another finding, so that the
two can be compared. What no test ever read may differ: no test would have noticed.
"""

from __future__ import annotations

from typing import Any

from harness.checks.finding import Finding, Offender

Looked = dict[str, Any]
"""Part ("verdict", "numbers.lost", "offenders.why") to what it was."""

_logs: dict[int, tuple[object, set[str], str]] = {}  # holds what is watched, so that no id is given twice
_FIELDS = frozenset(Finding.__struct_fields__)
_OF_OFFENDERS = frozenset(Offender.__struct_fields__)


def _note(one: object, name: str) -> None:
    found = _logs.get(id(one))
    if found is not None:
        found[1].add(found[2] + name)


class _Numbers(dict[str, Any]):
    def __getitem__(self, key: str) -> Any:
        _note(self, key)
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        _note(self, key)
        return super().get(key, default)

    def __contains__(self, key: object) -> bool:
        _note(self, str(key))
        return super().__contains__(key)

    def __eq__(self, other: object) -> bool:
        for key in self:
            _note(self, key)
        return super().__eq__(other)

    __hash__ = None  # type: ignore[assignment]

    def items(self) -> Any:
        for key in self:
            _note(self, key)
        return super().items()


class _Offender(Offender, frozen=True, kw_only=True):
    def __getattribute__(self, name: str) -> Any:
        if name in _OF_OFFENDERS:
            _note(self, name)
        return super().__getattribute__(name)


class _Finding(Finding, frozen=True, kw_only=True):
    def __getattribute__(self, name: str) -> Any:
        if name in _FIELDS and name != "numbers":
            _note(self, name)
        return super().__getattribute__(name)


def watched(finding: Finding, log: set[str]) -> Finding:
    """`log` gathers the parts that are read."""
    parts = {name: getattr(finding, name) for name in _FIELDS}
    parts["numbers"] = _Numbers(finding.numbers)
    parts["offenders"] = [
        _Offender(**{name: getattr(each, name) for name in _OF_OFFENDERS}) for each in finding.offenders
    ]
    whole = _Finding(**parts)
    _logs[id(whole)] = (whole, log, "")
    _logs[id(parts["numbers"])] = (parts["numbers"], log, "numbers.")
    for each in parts["offenders"]:
        _logs[id(each)] = (each, log, "offenders.")
    return whole


def seen(finding: Finding, parts: set[str]) -> Looked:
    return {part: _part(finding, part) for part in sorted(parts)}


def _part(finding: Finding, part: str) -> Any:
    if part == "offenders":
        return len(finding.offenders)
    if part.startswith("offenders."):
        return [getattr(each, part.removeprefix("offenders.")) for each in finding.offenders]
    if part.startswith("numbers."):
        key = part.removeprefix("numbers.")
        return finding.numbers.get(key, "no such number")
    value = getattr(finding, part)
    return str(value) if part == "verdict" else value
