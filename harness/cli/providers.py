"""`harness providers`: what can be faked, how each is addressed, and what limits it keeps by itself."""

from __future__ import annotations

import json

import click

EPILOG = """\b
Examples:
  harness providers
  harness providers --json | jq -r '.[].name'
"""


@click.command(epilog=EPILOG)
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of text.")
def command(as_json: bool) -> None:
    """List the providers that can be faked.

    A preset is one provider's looks and rules: greeting, answers, limits, and the date on which it was last
    compared with the real one. The fault `refuse` can give any of its named answers, which are listed here
    cut to the line; --json has them whole.
    """
    from harness.cli.columns import headline, paragraph, table
    from harness.providers.presets import all_presets
    from harness.scenario.playable import kinds_played

    presets = all_presets()
    if as_json:
        document = [
            {
                "name": preset.name,
                "summary": preset.summary,
                "dated": preset.dated.isoformat(),
                "engine": preset.engine,
                "scheme": preset.scheme,
                "endpoints": list(preset.endpoints),
                "events": preset.events is not None,
                "faults": list(kinds_played(preset.name)),
                "limits": preset.limits().model_dump(mode="json"),
                "answers": dict(preset.answers),
            }
            for preset in presets
        ]
        click.echo(json.dumps(document, indent=2))
        return
    for preset in presets:
        click.echo(headline(preset.name, preset.summary))
        limits = preset.limits().model_dump(mode="json")
        told = ", ".join(f"{name} {'none' if value is None else value}" for name, value in limits.items())
        looks = f"{preset.engine}, {preset.scheme}://…; as of {preset.dated}; limits: {told or 'none'}"
        click.echo(paragraph(looks, "  "))
        beside = [f"an endpoint `{each}` beside it" for each in preset.endpoints]
        beside += ["events by webhook"] if preset.events is not None else []
        if beside:
            click.echo(f"  {', '.join(beside)}")
        for line in table(preset.answers.items(), cut=True):
            click.echo(line)
        click.echo()
