"""Campaigns in a person's hands: the right system passes, and each way of not heeding him is caught.

Every run is a real one of scenarios/operator-approval.yaml, `harness run` in a process of its own; up to
four go on at once, since they mostly wait. What is wrong in a run is set from outside: an operator whose
word never gets there, a system that asks nobody, a signal that has nothing to do with a fault; and one is a
planted bug.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from tests.ran import Ran, run_harness

AT_ONCE = 4
BY_HAND, BY_ITSELF = "paused-by-hand", "paused-by-itself"


@dataclass(frozen=True)
class Case:
    variant: str
    settings: dict[str, str] = field(default_factory=dict)
    caught_by: str = ""


CASES = {
    "right, paused by hand": Case(BY_HAND),
    "right, paused by itself": Case(BY_ITSELF),
    "the pause gets nowhere": Case(BY_HAND, {"system.operator.pause": '{command: ["true"]}'}, "pause"),
    "goes on during an outage": Case(
        BY_ITSELF, {"system.env.MARKETING": "send", "system.env.APPROVAL": "none"}, "pause"
    ),
    "asks nobody": Case(BY_HAND, {"system.env.APPROVAL": "none"}, "approval"),
    "an alarm that is none": Case(
        BY_HAND, {"system.signals.detected.when": "marketing.paused"}, "false-alarm"
    ),
    "marketing first": Case(BY_HAND, {"system.env.DEFECTS": "marketing-first"}, "priority"),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Ran]]]:
    """Every case, under way."""

    def conduct(case: Case) -> Ran:
        out = tmp_path_factory.mktemp("runs")
        return run_harness("operator-approval", case.settings, out, variant=case.variant)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {name: pool.submit(conduct, case) for name, case in CASES.items()}


@pytest.mark.e2e
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.caught_by])
def test_the_right_system_passes_every_check(runs, name):
    ran = runs[name].result()
    assert ran.exit_code == 0, ran.said
    assert {f["verdict"] for f in ran.run["findings"] if f["decides"]} == {"pass"}
    assert ran.finding("pause")["numbers"]["in_play"] == 20
    assert ran.finding("approval")["numbers"]["waited"] == 20
    assert ran.finding("priority")["numbers"]["judged"] > 0


@pytest.mark.e2e
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.caught_by])
def test_who_does_not_heed_the_operator_is_caught(runs, name):
    ran = runs[name].result()
    assert ran.exit_code == 1, ran.said
    assert CASES[name].caught_by in ran.failed, ran.said


@pytest.mark.e2e
def test_the_operators_words_are_in_the_history_with_whose_mail_they_are_about(runs):
    events = [e for e in runs["right, paused by hand"].result().events() if e["kind"] == "operator"]
    assert [(e["action"], e["class"], e["by"]) for e in events] == [
        ("pause", "marketing", "scenario"),
        ("resume", "marketing", "scenario"),
        ("approve", "marketing", "scenario"),
    ]
