"""`harness faults`: what can be broken, how it is written, and who can play it; and the sequences."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from harness.cli.exits import CommandError

if TYPE_CHECKING:
    from harness.scenario.catalogue import Attribute, Entry
    from harness.scenario.sequences.library import Sequence

EPILOG = """\b
Examples:
  harness faults
  harness faults ack-loss
  harness faults m365-2026-01-22
  harness faults --json | jq -r '.faults[].kind'
"""


@click.command(epilog=EPILOG)
@click.argument("name", metavar="[KIND]", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of text.")
@click.option("--markdown", is_flag=True, help="The tables of the documents.")
def command(name: str | None, as_json: bool, markdown: bool) -> None:
    """List the faults there are, and outages known by name.

    Each with what it does, its attributes, an entry of `faults:` to copy, and the presets that can play it.
    With KIND, the name of a fault or of a sequence, that one in full.
    """
    from harness.scenario.catalogue import catalogue
    from harness.scenario.sequences import library

    if as_json and markdown:
        raise click.UsageError("Say one of --json and --markdown.")
    if markdown:
        from harness.cli.markdown import FAULT_BLOCKS

        for make in FAULT_BLOCKS.values():
            click.echo(make())
        return
    entries = [each for each in catalogue() if name in (None, each.kind)]
    sequences = [library.load(each) for each in library.names() if name in (None, each)]
    if not entries and not sequences:
        raise _unknown(str(name))
    if as_json:
        click.echo(json.dumps(_document(entries, sequences), indent=2, ensure_ascii=False))
        return
    where = ""
    for entry in entries:
        if name is None and entry.where != where:
            where = entry.where
            click.secho(f"{where[:1].upper()}{where[1:]}\n", underline=True)
        _tell(entry, whole=name is not None)
    if name is None:
        click.secho("Sequences: outages that people know by name\n", underline=True)
    for sequence in sequences:
        _tell_sequence(sequence, whole=name is not None)


def _unknown(name: str) -> CommandError:
    from harness.scenario.errors import nearest
    from harness.scenario.faults import KINDS
    from harness.scenario.sequences import library

    known = (*KINDS, *library.names())
    meant = nearest(name, known)
    return CommandError(
        f"there is no fault and no sequence {name!r}",
        do=f"did you mean `harness faults {meant}`?" if meant else "`harness faults` lists them",
    )


def _tell(entry: Entry, *, whole: bool) -> None:
    from harness.cli.columns import headline, paragraph, table
    from harness.scenario.catalogue import selection

    click.echo(headline(entry.kind, entry.summary))
    for line in table(map(_row, entry.attributes)):
        click.echo(line)
    if entry.selects and whole:
        click.echo("    and whom it hits:")
        for line in table(map(_row, selection())):
            click.echo(line)
    elif entry.selects:
        hits = ", ".join(each.name for each in selection())
        click.echo(paragraph(f"and whom it hits: {hits}", "    "))
    for example in entry.examples if whole else entry.examples[:1]:
        click.echo(f"    - {example}")
    if entry.played_by:
        click.echo(paragraph(f"presets: {', '.join(entry.played_by)}", "    "))
    if whole:
        by_stages: dict[tuple[str, ...], list[str]] = {}
        for preset, stages in entry.stages.items():
            by_stages.setdefault(stages, []).append(preset)
        for stages, played_by in by_stages.items():
            click.echo(paragraph(f"stages {', '.join(stages)}: {', '.join(played_by)}", "    "))
    click.echo()


def _row(attribute: Attribute) -> tuple[str, str]:
    default = (
        "needed" if attribute.required else f"by default {attribute.default}" if attribute.default else ""
    )
    told = "; ".join(each for each in (attribute.takes.replace("`", ""), default) if each)
    return attribute.name, f"{told}. {attribute.meaning}"


def _tell_sequence(sequence: Sequence, *, whole: bool) -> None:
    from harness.checks.units import format_duration
    from harness.cli.columns import headline, paragraph, width

    lasts = format_duration(sequence.length_ns(told=False))
    click.echo(headline(sequence.sequence, sequence.summary))
    status = ", status: page" if sequence.told is not None else ""
    click.echo(f"    - {{at: 5s, on: primary, sequence: {sequence.sequence}, speed: 100{status}}}")
    played_by = ", ".join(sequence.fakes) or "none that is here"
    click.echo(paragraph(f"lasts {lasts}; presets: {played_by}", "    "))
    if whole:
        click.echo()
        click.echo(click.wrap_text(sequence.about, width(), "    ", "    ", preserve_paragraphs=True))
        click.echo()
        for step in _steps(sequence):
            click.echo(f"    {step}")
        click.echo()
        for source in sequence.sources:
            click.echo(paragraph(f"source: {source}", "    "))
    click.echo()


def _steps(sequence: Sequence) -> list[str]:
    """Each step as it is written, under the presets that it is for."""
    from harness.scenario.sequences.library import written

    document = written(sequence.sequence)
    lines = []
    for version in [*document["versions"], *([document["told"]] if "told" in document else [])]:
        presets = version["presets"]
        lines.append(f"{presets if isinstance(presets, str) else ', '.join(presets)}:")
        for step in version["steps"]:
            lines.append("  - {" + ", ".join(f"{key}: {value}" for key, value in step.items()) + "}")
    return lines


def _document(entries: list[Entry], sequences: list[Sequence]) -> dict[str, Any]:
    from dataclasses import asdict

    from harness.scenario.catalogue import selection

    return {
        "faults": [asdict(entry) for entry in entries],
        "selection": [asdict(attribute) for attribute in selection()],
        "sequences": [
            sequence.model_dump(mode="json", by_alias=True, exclude_none=True) | {"fakes": sequence.fakes}
            for sequence in sequences
        ],
    }
