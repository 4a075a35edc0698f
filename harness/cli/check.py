"""`harness check RUN…`: judge stored runs again, by what they recorded or by other expectations.

Reads histories and writes nothing into them: the same run gives the same findings for ever.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli import options
from harness.cli.exits import CommandError
from harness.cli.stored import find_history, find_run

if TYPE_CHECKING:
    from harness.conduct.judge import Judgement
    from harness.history.store import History
    from harness.scenario.errors import Problem

EPILOG = """\b
Examples:
  harness check last
  harness check reports/runs/20260301T101500Z-m365-auth-outage --json | jq '.runs[0].findings'
  harness check last -v
  harness check last --expect mttr=3s --expect duplicates=none
  harness check last --expect 'own.late={sql: late.sql}'
  harness check reports/runs/* --expect-from scenarios/m365-auth-outage.yaml -q
  harness check 'reports/runs/2026*/history.parquet' -q

\b
Exit codes as of `harness run`, the strongest of several; 2 when there is no such run.
"""


@click.command(epilog=EPILOG)
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option(
    "--expect",
    "expects",
    multiple=True,
    metavar="CHECK=VALUE",
    help="Instead of what the run expected, e.g. mttr=3s. May be repeated.",
)
@click.option(
    "--expect-from",
    type=click.Path(path_type=Path),
    metavar="SCENARIO",
    help="Instead of what the run expected: what this scenario expects.",
)
@click.option(
    "--junit", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write JUnit XML."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of text.")
@click.option("-v", "--verbose", is_flag=True, help="All offenders and their stories; how far to trust it.")
@click.option("-q", "--quiet", is_flag=True, help="Only the verdict of each run.")
@options.out
def command(
    runs: tuple[str, ...],
    expects: tuple[str, ...],
    expect_from: Path | None,
    junit: Path | None,
    as_json: bool,
    verbose: bool,
    quiet: bool,
    out: Path,
) -> int:
    """Judge stored runs again.

    RUN is a run's folder, a history.jsonl or history.parquet, a run's name under --out, or `last`; or many
    runs, opened at once: a folder of them, a pattern in quotes, or s3://BUCKET/PREFIX. The run's own
    expectations decide, unless --expect or --expect-from gives others.
    """
    if verbose and quiet:
        raise click.UsageError("Say --verbose or --quiet, not both.")
    expected = _expectations(expects, expect_from)

    from rich.console import Console

    from harness.conduct.judge import strongest
    from harness.report.findings_json import as_document, as_list, encode
    from harness.report.junit import write_junit
    from harness.report.short import verdict_line
    from harness.report.summary import print_summary

    console = Console(stderr=as_json)
    judgements, documents = [], []
    for run in runs:
        for judgement, history in judging_every(run, out, expected):
            judgements.append(judgement)
            if as_json:
                documents.append(as_document(judgement, history))
            elif quiet:
                line = verdict_line(judgement, history)
                console.print(line, soft_wrap=True, highlight=False, markup=False)
            else:
                print_summary(judgement, console=console, verbose=verbose, history=history)
    if junit is not None:
        try:
            write_junit(judgements, junit)
        except OSError as error:
            raise CommandError(f"cannot write {junit}: {error}", do="name another file") from error
    if as_json:
        click.echo(encode(as_list(documents)), nl=False)
    return int(strongest(judgement.exit_code for judgement in judgements))


def judging_every(
    text: str, out: Path, expected: list[dict[str, Any]] | None
) -> Iterator[tuple[Judgement, History]]:
    """Judge all the runs that `text` names; CommandError where one cannot be read, or has no such route."""
    from harness.checks.routes import NoSuchRoute
    from harness.conduct.judge import judging_all
    from harness.history.errors import HistoryError
    from harness.scenario.errors import nearest

    where = find_history(text, out)
    try:
        yield from judging_all(where, expected)
    except HistoryError as error:
        raise CommandError(f"the history cannot be read: {error}", where=str(where), do=error.do) from error
    except NoSuchRoute as error:
        raise CommandError(
            str(error),
            where=str(where),
            meant=nearest(error.route, error.routes) or None,
            do=f"valid here: {', '.join(error.routes)}",
        ) from error


@contextmanager
def judging_stored(text: str, out: Path) -> Iterator[tuple[Judgement, History]]:
    """Judge the run that `text` names; CommandError where there is no history that can be read."""
    from harness.conduct.judge import judging
    from harness.history.errors import HistoryError

    path = find_run(text, out)
    try:
        with judging(path) as judged:
            yield judged
    except HistoryError as error:
        raise CommandError(f"the history cannot be read: {error}", where=str(path), do=error.do) from error


def _expectations(expects: tuple[str, ...], scenario: Path | None) -> list[dict[str, Any]] | None:
    """What to judge by, as a run records it; None: what the run itself recorded."""
    if expects and scenario:
        raise click.UsageError("Say --expect or --expect-from, not both.")
    if scenario is not None:
        from harness.cli.scenarios import load_and_plan

        (planned,) = load_and_plan([scenario], (), None)
        found = planned.scenario.expectations()
        return [
            {"check": name, "params": params.model_dump(mode="json", by_alias=True, exclude_none=True)}
            for name, params in found
        ]
    return [_expectation(text) for text in expects] or None


def _expectation(text: str) -> dict[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"--expect {text}: say CHECK=VALUE, for example mttr=3s.")

    from harness.checks import CHECKS
    from harness.checks.own import PREFIX
    from harness.scenario.errors import ScenarioError, nearest
    from harness.scenario.expectation import read_expectation

    try:
        params = read_expectation(name, value)
    except KeyError:
        raise CommandError(
            f"--expect {text}: there is no check '{name}'",
            meant=nearest(name, CHECKS) or None,
            do=f"valid here: {', '.join(CHECKS)}, and {PREFIX}NAME for a check of your own",
        ) from None
    except ScenarioError as error:
        raise _refused(text, name, error.problems) from None
    return {"check": name, "params": params.model_dump(mode="json", by_alias=True, exclude_none=True)}


def _refused(text: str, name: str, problems: Sequence[Problem]) -> CommandError:
    """All that is wrong with one `--expect`, in the words of a scenario's problems."""
    from harness.checks.own import PREFIX

    said, meant, do = [], [], []
    for each in problems:
        where = each.path.removeprefix("expect.")
        said.append(f"{where}: {each.message}" if where else f"not YAML: {each.message}")
        meant.append(each.meant)
        do.append(f"valid here: {', '.join(each.choices)}" if each.choices else each.advice)
    return CommandError(
        f"--expect {text}: {'; '.join(said)}",
        meant=", ".join(dict.fromkeys(filter(None, meant))) or None,
        do="; ".join(dict.fromkeys(filter(None, do))).replace(f"`{name}: ", f"`{name}=")
        or ("docs/own-checks.md says" if name.startswith(PREFIX) else f"`harness checks {name}` says")
        + " what it takes",
    )
