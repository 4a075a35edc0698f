"""An operator's actions on the timeline: each at its time, journalled as of when it began."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import msgspec
import pytest

from harness.conduct.errors import ActionNotDone
from harness.conduct.operator_schedule import OperatorSchedule
from harness.history.events import AnyEvent, HarnessWarning, Operator, Outcome
from harness.history.journal import Journal
from harness.scenario.timeline import Operator as Step
from harness.testbed.system.operator import ActionFailed

MS = 1_000_000


@pytest.fixture
def journal(tmp_path: Path):
    started_ns = time.monotonic_ns()
    journal = Journal(tmp_path / "h.jsonl", "r", lambda: time.monotonic_ns() - started_ns)
    yield journal
    journal.close()


def recorded(journal: Journal) -> list[AnyEvent]:
    return [msgspec.json.decode(line, type=AnyEvent) for line in journal.path.read_bytes().splitlines()]


async def test_each_is_done_at_its_time_and_a_slow_one_holds_up_no_other(journal: Journal):
    async def act(name: str) -> str:
        await asyncio.sleep(0.3 if name == "pause" else 0)
        return f"{name} is done"

    steps = [Step(at_ns=50 * MS, action="pause"), Step(at_ns=100 * MS, action="approve")]
    origin_ns = journal.now_ns()
    await OperatorSchedule(steps, act, journal).run(origin_ns)
    approve, pause = recorded(journal)
    assert isinstance(approve, Operator) and isinstance(pause, Operator)
    assert (approve.action, approve.by, approve.detail) == ("approve", "scenario", "approve is done")
    for event, at_ms in ((pause, 50), (approve, 100)):
        assert 0 <= event.t_ns - origin_ns - at_ms * MS < 100 * MS, "as of its beginning, not its answer"


async def test_whose_mail_it_is_about_is_told(journal: Journal):
    async def act(name: str) -> str:
        return "done"

    await OperatorSchedule([Step(at_ns=0, action="pause", class_="marketing")], act, journal).run(0)
    (event,) = recorded(journal)
    assert isinstance(event, Operator) and event.class_ == "marketing"


async def test_one_that_fails_ends_the_storm_and_is_no_event(journal: Journal):
    async def act(name: str) -> str:
        raise ActionFailed("POST /approve: 404")

    steps = [Step(at_ns=10 * MS, action="approve"), Step(at_ns=3600_000 * MS, action="resume")]
    with pytest.raises(ActionNotDone, match=r"`approve` at 0.01 s was not done: POST /approve: 404") as ended:
        await OperatorSchedule(steps, act, journal).run(journal.now_ns())
    assert ended.value.outcome is Outcome.INJECTION_FAILED
    (warning,) = recorded(journal)
    assert isinstance(warning, HarnessWarning) and warning.warning == "action-not-done"
