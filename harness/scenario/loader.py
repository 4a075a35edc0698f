"""A scenario file, with its overrides, to a checked `Scenario`; or everything that is wrong with it, at once.

Bytes → text → document → variant, overrides → sequences → models, references, templates → feasibility.
Each step reports all it finds; a later one runs only where the earlier ones left something to judge.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from harness.scenario import override, variants
from harness.scenario.document import MOST_BYTES, Document, read_document
from harness.scenario.errors import Problem, ScenarioError, nearest, without_repeats
from harness.scenario.explain import explain
from harness.scenario.feasible import infeasible
from harness.scenario.files import file_problems
from harness.scenario.models import Scenario
from harness.scenario.own import own_problems
from harness.scenario.references import reference_problems
from harness.scenario.sequences.expand import expand
from harness.scenario.templates import SUBMIT_BODY, template_problems
from harness.scenario.written import empty_values


def load(path: str | Path, overrides: Sequence[str] = (), *, variant: str | None = None) -> Scenario:
    """Read and check a scenario file. Raises ScenarioError with everything that is wrong."""
    file = Path(path)
    return load_text(_read(file), file, overrides, variant=variant)


def variants_of(path: str | Path) -> tuple[str, ...]:
    """The names of a file's variants, in order; empty where it is one scenario. Raises ScenarioError."""
    file = Path(path)
    return variants.names_in(read_document(_read(file), str(file)))


def load_text(
    text: str, path: str | Path, overrides: Sequence[str] = (), *, variant: str | None = None
) -> Scenario:
    """Check a scenario given as text; `path` is where it is, or would be. Raises ScenarioError."""
    document = read_document(text, str(path))
    problems = variants.choose(document, variant)
    problems += [p for each in overrides if (p := override.apply(document, each)) is not None]
    if problems:
        raise ScenarioError(problems)
    problems += empty_values(document, _may_be_empty)
    problems += expand(document)
    scenario = _validate(document, problems)
    problems += reference_problems(document)
    problems += template_problems(document)
    if scenario is not None and not problems:
        problems += file_problems(scenario, document)
        problems += own_problems(scenario.expect.own or {}, document)
        problems += infeasible(scenario, document)
    if scenario is None or problems:
        raise ScenarioError(without_repeats(problems))
    scenario._path = Path(path)
    scenario._source_text = text
    scenario._overrides = tuple(overrides)
    return scenario


def _validate(document: Document, problems: list[Problem]) -> Scenario | None:
    try:
        return Scenario.model_validate(document.data)
    except ValidationError as error:
        problems += explain(document, error, Scenario)
        return None


def _may_be_empty(path: tuple[str | int, ...]) -> bool:
    """Inside a JSON body an empty value is null."""
    return path[:3] == SUBMIT_BODY or (path[:2] == ("system", "operator") and path[3:4] == ("body",))


def _read(file: Path) -> str:
    """The file's text. Raises ScenarioError for whatever is not a readable UTF-8 text file of sane size."""
    name = str(file)
    try:
        if file.is_dir():
            inside = ", ".join(sorted(each.name for each in file.glob("*.yaml"))[:8])
            advice = f"It holds {inside}." if inside else ""
            raise ScenarioError([Problem(file=name, message="this is a folder", advice=advice)])
        with file.open("rb") as opened:
            content = opened.read(MOST_BYTES + 1)
    except FileNotFoundError as error:
        raise ScenarioError([_missing(file)]) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ScenarioError([Problem(file=name, message=f"cannot be read: {reason}")]) from error
    if len(content) > MOST_BYTES:
        message = f"is larger than {MOST_BYTES // 1024} KiB, which no scenario needs"
        raise ScenarioError([Problem(file=name, message=message)])
    return _decode(content, name)


def _decode(content: bytes, name: str) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line, column = before.count(b"\n") + 1, error.start - (before.rfind(b"\n") + 1) + 1
        message = f"is not UTF-8: byte 0x{content[error.start]:02x}"
        advice = "Save the file as UTF-8."
        problem = Problem(file=name, line=line, column=column, message=message, advice=advice)
        raise ScenarioError([problem]) from error
    return text.replace("\r\n", "\n")


def _missing(file: Path) -> Problem:
    folder = file.parent
    there = sorted(each.name for each in folder.glob("*.y*ml")) if folder.is_dir() else []
    meant = nearest(file.name, there)
    return Problem(
        file=str(file),
        message="there is no such file",
        meant=str(folder / meant) if meant else "",
        advice="" if meant else "`harness init DIR` writes a scenario to begin with.",
    )
