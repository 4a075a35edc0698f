"""The tables of the documents on faults, providers, clients and checks: from the catalogue, the presets, what
was measured of client libraries (client_tables.py), and the checks themselves (check_tables.py).

A table stands between two marks, `<!-- table: NAME -->` and `<!-- end of NAME -->`. Called as a program it
writes them anew into the files that it is given; a test says when somebody has to.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from harness.checks.units import format_duration
from harness.cli import check_tables, client_tables
from harness.providers import presets
from harness.providers.preset import Preset
from harness.scenario.catalogue import WHERE, Attribute, Entry, catalogue, selection
from harness.scenario.faults import ActsIn
from harness.scenario.playable import kinds_played
from harness.scenario.sequences import library

_BLOCK = re.compile(r"<!-- table: (?P<name>[\w-]+) -->\n.*?<!-- end of (?P=name) -->", re.DOTALL)


def rewritten(text: str) -> str:
    """A document with its tables as they should be. Raises KeyError for a mark of no table."""

    def block(match: re.Match[str]) -> str:
        name = match["name"]
        return f"<!-- table: {name} -->\n{BLOCKS[name]()}\n<!-- end of {name} -->"

    return _BLOCK.sub(block, text)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _faults(acts_in: ActsIn) -> Callable[[], str]:
    def made() -> str:
        entries = [entry for entry in catalogue() if entry.where == WHERE[acts_in]]
        head = ("`fault:`", "what happens", "attributes")
        rows = [(f"`{each.kind}`", each.summary, _attributes(each)) for each in entries]
        if acts_in is not ActsIn.PROVIDER:
            return _table(head, rows)
        players = [(*row, _players(entry)) for row, entry in zip(rows, entries, strict=True)]
        return _table((*head, "who can play it"), players)

    return made


def _attributes(entry: Entry) -> str:
    lasting = [] if entry.lasts or entry.where != WHERE[ActsIn.SYSTEM] else ["no `for`"]
    return "; ".join([*map(_attribute, entry.attributes), *lasting])


def _attribute(attribute: Attribute) -> str:
    name = f"**`{attribute.name}`**" if attribute.required else f"`{attribute.name}`"
    default = f" (`{attribute.default}`)" if attribute.default else ""
    return f"{name} {attribute.takes}{default}"


def _players(entry: Entry) -> str:
    everybody = [name for name in presets.names() if kinds_played(name)]
    missing = [name for name in everybody if name not in entry.played_by]
    if not missing:
        return "every fake"
    if len(missing) <= 2:
        return f"every fake but {', '.join(f'`{name}`' for name in missing)}"
    return ", ".join(f"`{name}`" for name in entry.played_by)


def _stages() -> str:
    """Where each kind can be put: one row for all presets of an engine that agree."""
    rows = []
    for entry in catalogue():
        by_stages: dict[tuple[str, ...], list[str]] = {}
        for preset, found in entry.stages.items():
            by_stages.setdefault(found, []).append(preset)
        for found, names in by_stages.items():
            stages = ", ".join(f"`{stage}`" for stage in found)
            rows.append((f"`{entry.kind}`", stages, ", ".join(f"`{name}`" for name in names)))
    return _table(("fault", "`stage:`", "presets"), rows)


def _selection() -> str:
    rows = [(f"`{each.name}`", each.takes, each.meaning) for each in selection()]
    return _table(("attribute", "takes", "hits"), rows)


def _sequences() -> str:
    rows = []
    for sequence in map(library.load, library.names()):
        fakes = ", ".join(f"`{fake}`" for fake in sequence.fakes)
        lasts = format_duration(sequence.length_ns(told=False))
        status = "yes" if sequence.told is not None else ""
        rows.append((f"`{sequence.sequence}`", sequence.summary, lasts, fakes, status))
    return _table(("`sequence:`", "what happens", "lasts", "presets", "`status:`"), rows)


def _providers() -> str:
    rows = []
    for preset in presets.all_presets():
        beside = ", ".join(f"`{each}`" for each in preset.endpoints)
        rows.append(
            (
                f"[`{preset.name}`](#{preset.name})",
                preset.summary,
                f"`{preset.scheme}`",
                beside,
                "yes" if preset.events is not None else "",
                preset.dated.isoformat(),
            )
        )
    return _table(("`fake:`", "looks like", "URL", "endpoints beside it", "events", "as of"), rows)


def _answers() -> str:
    """For each preset its limits, its named answers, and the faults it plays."""
    return "\n\n".join(_about(preset) for preset in presets.all_presets())


def _about(preset: Preset) -> str:
    limits = [
        f"`{name}` {'none' if value is None else value}"
        for name, value in preset.limits().model_dump(mode="json").items()
    ]
    played = [f"`{kind}`" for kind in kinds_played(preset.name)]
    parts = [
        f"### {preset.name}",
        f"Limits: {', '.join(limits) or 'none'}.",
        f"Faults: {', '.join(played) or 'those of the network alone'}.",
    ]
    if preset.answers:
        rows = [(f"`{name}`", f"`{_one_line(looks)}`") for name, looks in preset.answers.items()]
        parts.append(_table(("`named:`", "what it looks like"), rows))
    return "\n\n".join(parts)


def _one_line(looks: str) -> str:
    return " ".join(looks.replace("`", "'").split())


FAULT_BLOCKS: Mapping[str, Callable[[], str]] = {
    "transport": _faults(ActsIn.PROXY),
    "in-provider": _faults(ActsIn.PROVIDER),
    "stages": _stages,
    "selection": _selection,
    "system": _faults(ActsIn.SYSTEM),
    "sequences": _sequences,
}
PROVIDER_BLOCKS: Mapping[str, Callable[[], str]] = {"providers": _providers, "answers": _answers}
CLIENT_BLOCKS: Mapping[str, Callable[[], str]] = {
    "clients": lambda: client_tables.habits(_table),
    "client-outcomes": lambda: client_tables.outcomes(_table),
    "client-particulars": lambda: client_tables.particulars(_table),
}
CHECK_BLOCKS: Mapping[str, Callable[[], str]] = {
    "checks": lambda: check_tables.overview(_table),
    "checks-in-full": lambda: check_tables.in_full(_table),
}
BLOCKS = {**FAULT_BLOCKS, **PROVIDER_BLOCKS, **CLIENT_BLOCKS, **CHECK_BLOCKS}


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        path.write_text(rewritten(path.read_text(encoding="utf-8")), encoding="utf-8")
