"""Runs the checks over one run: those expected decide, the rest are reported.

Expectations flow in as written, findings flow out, the deciding ones first, in the order of the scenario. A
check that crashes is inconclusive and shows its traceback: a defect of ours must never look like a verdict
on the system.
"""

from __future__ import annotations

import traceback
from typing import Any

import msgspec
from pydantic import BaseModel

from harness.checks import CHECKS, Check
from harness.checks.finding import Finding, Verdict
from harness.checks.grounds import doubted
from harness.checks.own import PREFIX, NotUsable, judged
from harness.checks.own.params import Params as Own
from harness.history.interruption import is_interruption
from harness.history.store import History


def evaluate(history: History, run: str, expectations: list[dict[str, Any]] | None = None) -> list[Finding]:
    """`expectations`: `[{"check": name, "params": as written}]`; None takes what the run recorded."""
    if expectations is None:
        expectations = history.run_started(run).expect
    doubt = doubted(history, run)
    findings = [
        _unless(doubt, _one(history, run, str(each["check"]), each.get("params"), True))
        for each in expectations
    ]
    expected = {finding.check for finding in findings}
    findings += [
        _unless(doubt, _one(history, run, check.name, {}, False))
        for check in CHECKS.values()
        if check.by_default and check.name not in expected
    ]
    return findings


def _unless(doubt: str, finding: Finding) -> Finding:
    """A pass stands on the record; where a witness disputes it, nothing is proved. A contradiction stands."""
    if not doubt or finding.verdict is not Verdict.PASS:
        return finding
    return msgspec.structs.replace(finding, verdict=Verdict.INCONCLUSIVE, reason=doubt)


def _one(history: History, run: str, name: str, raw: object, decides: bool) -> Finding:
    check: Check | None = CHECKS.get(name)
    if check is None and not name.startswith(PREFIX):
        return Finding(
            check=name,
            verdict=Verdict.INCONCLUSIVE,
            summary=f"this version has no check named {name}",
            reason=f"there is no check named {name}; there are {', '.join(CHECKS)}",
            decides=decides,
        )
    shown: dict[str, Any] = {}
    try:
        if check is not None:
            params = check.params.model_validate({} if raw is None else raw)
            shown = shown_params(params)
            finding = check.evaluate(history, run, params)
        else:
            asked = Own.model_validate(raw)
            shown = asked.shown
            finding = judged.evaluate(history, run, name, asked)
    except NotUsable as error:
        # What is wrong with the user's own file is said in words; a traceback would be of our own code.
        return Finding(
            check=name,
            verdict=Verdict.INCONCLUSIVE,
            summary=f"{name} cannot be judged by what its file says",
            reason=" ".join(each for each in (_sentence(error.what), error.do) if each),
            params=shown,
            decides=decides,
        )
    except Exception as error:
        if is_interruption(error):
            raise KeyboardInterrupt from error
        return Finding(
            check=name,
            verdict=Verdict.INCONCLUSIVE,
            summary=f"the check {name} crashed",
            reason=f"the check itself failed: {type(error).__name__}: {error}",
            params=shown,
            decides=decides,
            traceback=traceback.format_exc(),
        )
    return msgspec.structs.replace(finding, decides=decides, params=shown)


def _sentence(text: str) -> str:
    return text if text.endswith(".") else text + "."


def shown_params(params: BaseModel) -> dict[str, Any]:
    """As a scenario would write them out in full; `parse_params` reads them back."""
    return params.model_dump(mode="json", by_alias=True, exclude_none=True)
