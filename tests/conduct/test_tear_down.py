"""However a run ended, its tear-down is bounded, and what it could not do is never called a pass."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from harness.conduct import run as run_module
from harness.conduct.run import _Ending, _tear_down
from harness.history.events import Outcome
from harness.testbed.resources import ResourceLedger


@pytest.fixture
def conductor(tmp_path) -> Any:
    """As much of a conductor as the tear-down touches; every step is done at once."""
    ledger = ResourceLedger(tmp_path, "tear-down-test")

    async def done() -> None:
        return None

    yield SimpleNamespace(
        faults=None,
        journal=SimpleNamespace(path=tmp_path / "history.jsonl"),
        enter=lambda phase: 0,
        end_background=done,
        testbed=SimpleNamespace(stop_system=done, finish=done, stop=done),
    )
    ledger.close()


async def test_an_orderly_end_stays_what_it_was(conductor):
    assert await _tear_down(conductor, _Ending(Outcome.COMPLETED)) == _Ending(Outcome.COMPLETED)


async def test_one_that_takes_too_long_is_no_completed_run(conductor, monkeypatch):
    monkeypatch.setattr(run_module, "TEARDOWN_S", 0.05)

    async def hangs() -> None:
        await asyncio.Event().wait()

    conductor.testbed.finish = hangs
    ending = await _tear_down(conductor, _Ending(Outcome.COMPLETED))
    assert ending.outcome is Outcome.HARNESS_FAILED
    assert "took longer than 0.05 s" in ending.detail


async def test_what_had_ended_the_run_before_is_still_told(conductor, monkeypatch):
    monkeypatch.setattr(run_module, "TEARDOWN_S", 0.05)

    async def hangs() -> None:
        await asyncio.Event().wait()

    conductor.testbed.stop = hangs
    ending = await _tear_down(conductor, _Ending(Outcome.SYSTEM_EXITED, "the system exited with code 3"))
    assert "before that: the system exited with code 3" in ending.detail


async def test_receipts_that_could_not_be_fetched_make_a_completed_run_a_failed_one(conductor):
    async def finish() -> None:
        raise ConnectionError("the provider is gone")

    conductor.testbed.finish = finish
    ending = await _tear_down(conductor, _Ending(Outcome.COMPLETED))
    assert ending == _Ending(Outcome.HARNESS_FAILED, "finish: ConnectionError: the provider is gone")


async def test_a_fault_that_would_not_go_but_went_with_its_process_left_nothing_behind(conductor):
    ending = await _tear_down(conductor, _Ending(Outcome.HEAL_FAILED, "fault f1 (latency on primary)"))
    assert ending.outcome is Outcome.HARNESS_FAILED
    assert ending.detail == "fault f1 (latency on primary); it was ended by force, nothing is left"
