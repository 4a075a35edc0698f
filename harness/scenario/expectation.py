"""One expectation without a scenario around it, as `--expect CHECK=VALUE` has it.

The value is read as what would stand at its place under `expect:`, so what is wrong with it is told in the
words in which it is told of a scenario.
"""

from __future__ import annotations

from pydantic import BaseModel, ValidationError

from harness.checks import CHECKS
from harness.checks.own import PREFIX
from harness.checks.params import as_written
from harness.scenario.document import Path, lookup, read_part
from harness.scenario.errors import ScenarioError, without_repeats
from harness.scenario.explain import explain
from harness.scenario.own import OwnCheck, own_problems
from harness.scenario.written import empty_values

_OWN = "Write `{sql: FILE}` or `{python: FILE:FUNCTION}`."


def read_expectation(name: str, text: str) -> BaseModel:
    """The parameters of a check; the file of one of your own is looked for from the current folder on.

    Raises KeyError where there is no such check, ScenarioError with what is wrong.
    """
    own = name.startswith(PREFIX)
    path: Path = ("expect", "own", name.removeprefix(PREFIX)) if own else ("expect", name)
    model: type[BaseModel] = OwnCheck if own else CHECKS[name].params
    advice = _OWN if own else f"Write {as_written(model)}"
    document = read_part(text, "--expect", path)
    written = lookup(document.data, path)
    if written is None:
        raise ScenarioError([document.problem(path, "is empty", advice=advice)])
    if own and not isinstance(written, dict):
        raise ScenarioError([document.problem(path, "a check of your own is a file", advice=advice)])
    if problems := empty_values(document):
        raise ScenarioError(problems)
    try:
        params = model.model_validate(written)
    except ValidationError as error:
        raise ScenarioError(without_repeats(explain(document, error, model, path))) from error
    if not isinstance(params, OwnCheck):
        return params
    if problems := list(own_problems({str(path[-1]): params}, document)):
        raise ScenarioError(problems)
    return params.recorded()
