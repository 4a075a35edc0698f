"""The checks: pure questions to a history, each in a file of its own, each with its own parameters.

`CHECKS` names them all; a check's module is only imported when it is used. `parse_params` reads what stands
under `expect:` in a scenario; `evaluate` judges a run. Checks see the history and nothing else.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from pydantic import BaseModel

    from harness.checks.finding import Finding
    from harness.history.store import History


@dataclass(frozen=True)
class Check:
    """One check, by name. Its module holds the model `Params` and `evaluate(history, run, params)`."""

    name: str
    module: str
    summary: str  # what it proves, in one line
    by_default: bool  # reported also when nobody expects it: its default parameters make sense

    @property
    def params(self) -> type[BaseModel]:
        return cast("type[BaseModel]", importlib.import_module(self.module).Params)

    @property
    def evaluate(self) -> Callable[[History, str, Any], Finding]:
        return cast("Callable[[History, str, Any], Finding]", importlib.import_module(self.module).evaluate)


CHECKS: dict[str, Check] = {
    check.name: check
    for check in (
        Check("exposure", "harness.checks.exposure", "the system under test met every fault", True),
        Check("duplicates", "harness.checks.duplicates", "nobody got a message twice", True),
        Check("delivered", "harness.checks.delivered", "no accepted message was lost", True),
        Check(
            "unexpected", "harness.checks.unexpected", "nothing arrived that was not sent, or changed", True
        ),
        Check(
            "suppression", "harness.checks.suppression", "who said a final no was not written to again", False
        ),
        Check("throttle", "harness.checks.throttle", "attempts stayed under each route's limit", False),
        Check("waves", "harness.checks.waves", "the backlog was released in portions", False),
        Check("flapping", "harness.checks.flapping", "mail did not go to and fro between routes", False),
        Check(
            "reconciliation",
            "harness.checks.reconciliation",
            "what the system says agrees with the record",
            False,
        ),
        Check("analytics", "harness.checks.analytics", "every event of a provider reached the system", False),
        Check("cost", "harness.checks.cost", "no message took more attempts than allowed", False),
        Check("priority", "harness.checks.priority", "in a replay, mail that matters more went first", False),
        Check("pause", "harness.checks.pause", "nothing was tried of what was paused", False),
        Check("approval", "harness.checks.approval", "what waited left only after an approval", False),
        Check(
            "false-alarm",
            "harness.checks.false_alarm",
            "nothing was detected where nothing was broken",
            False,
        ),
        Check("quiescence", "harness.checks.quiescence", "nothing moves any more at the end", False),
        Check("fallback", "harness.checks.fallback", "what mail could not carry went out otherwise", False),
        Check(
            "authentication",
            "harness.checks.authentication",
            "each copy passed DKIM, SPF and DMARC, and routes shared no key",
            False,
        ),
        Check("mttd", "harness.checks.mttd", "time from the fault to its detection", True),
        Check("mttm", "harness.checks.mttm", "time from the fault to the switch to another route", False),
        Check("mttr", "harness.checks.mttr", "time from the fault to the end of its impact", True),
    )
}


def parse_params(name: str, raw: object) -> BaseModel:
    """Parameters as written under `expect:`, short-hand too. Raises KeyError, pydantic.ValidationError."""
    return CHECKS[name].params.model_validate(raw)


def evaluate(history: History, run: str, expectations: list[dict[str, Any]] | None = None) -> list[Finding]:
    """Judge one run: what is expected decides; the other checks are reported with default parameters.

    `expectations` is a list of `{"check": name, "params": as written}`; None takes those the run recorded.
    """
    from harness.checks.evaluation import evaluate as run_checks

    return run_checks(history, run, expectations)
