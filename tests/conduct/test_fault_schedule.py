"""A fault counts only when it was read back and met by a canary; every step is in history and ledger."""

from __future__ import annotations

import time

import msgspec
import pytest

from harness.conduct import fault_schedule
from harness.conduct.errors import InjectionFailed, RemovalFailed
from harness.conduct.fault_schedule import FaultSchedule
from harness.history.events import AnyEvent, FaultFailed
from harness.history.journal import Journal
from harness.scenario.timeline import Fault
from harness.testbed.faults import InjectionError
from harness.testbed.resources import ResourceLedger, standing

MS = 1_000_000


class Scripted:
    """An injector that does as it is told; `acts_after` canaries miss before one meets the fault."""

    def __init__(self, *, fails_at: str = "", acts_after: int = 0) -> None:
        self.fails_at = fails_at
        self.acts_after = acts_after
        self.calls: list[str] = []

    def _step(self, name: str) -> dict[str, object]:
        self.calls.append(name)
        if name == self.fails_at:
            raise InjectionError(f"{name} went wrong")
        return {"step": name}

    async def inject(self):
        return self._step("inject")

    async def confirm(self):
        return self._step("confirm")

    async def act(self):
        if self.calls.count("act") < self.acts_after:
            self.calls.append("act")
            raise InjectionError("not yet")
        return self._step("act")

    async def remove(self):
        return self._step("remove")


@pytest.fixture
def parts(tmp_path):
    started_ns = time.monotonic_ns()
    journal = Journal(tmp_path / "h.jsonl", "r", lambda: time.monotonic_ns() - started_ns)
    ledger = ResourceLedger(tmp_path, "m")
    yield journal, ledger
    journal.close()
    ledger.close()


def fault(
    id_: str = "f1",
    at_ms: int = 0,
    until_ms: int | None = 50,
    type_: str = "latency",
    target: str = "primary",
) -> Fault:
    return Fault(
        id=id_,
        incident="i1",
        type=type_,
        target=target,
        at_ns=at_ms * MS,
        until_ns=None if until_ms is None else until_ms * MS,
    )


def kinds(journal: Journal) -> list[str]:
    events = [msgspec.json.decode(line, type=AnyEvent) for line in journal.path.read_bytes().splitlines()]
    return [type(event).__name__ for event in events]


async def test_the_life_of_a_fault_is_journalled_before_and_after_each_step(parts, tmp_path):
    journal, ledger = parts
    schedule = FaultSchedule([fault(at_ms=20)], lambda _: Scripted(), journal, ledger)
    origin_ns = journal.now_ns()
    await schedule.run(origin_ns)
    assert kinds(journal) == ["FaultInjecting", "FaultActive", "FaultActed", "FaultRemoving", "FaultRemoved"]
    events = [msgspec.json.decode(line, type=AnyEvent) for line in journal.path.read_bytes().splitlines()]
    assert events[0].t_ns >= origin_ns + 20 * MS
    assert events[3].t_ns >= origin_ns + 50 * MS
    assert standing(tmp_path).is_clean


@pytest.mark.parametrize("stage", ["inject", "confirm"])
async def test_a_fault_that_is_not_in_place_ends_the_storm(parts, stage):
    journal, ledger = parts
    schedule = FaultSchedule([fault()], lambda _: Scripted(fails_at=stage), journal, ledger)
    with pytest.raises(InjectionFailed, match=f"f1 .latency on primary., {stage}"):
        await schedule.run(journal.now_ns())
    last = msgspec.json.decode(journal.path.read_bytes().splitlines()[-1], type=AnyEvent)
    assert isinstance(last, FaultFailed) and last.stage == stage


async def test_canaries_are_sent_until_one_meets_the_fault(parts, monkeypatch):
    monkeypatch.setattr(fault_schedule, "PROVE_EVERY_S", 0.001)
    journal, ledger = parts
    injector = Scripted(acts_after=3)
    await FaultSchedule([fault()], lambda _: injector, journal, ledger).run(journal.now_ns())
    assert injector.calls.count("act") == 4
    assert "FaultActed" in kinds(journal)


async def test_a_fault_that_never_acts_fails_even_if_it_was_read_back(parts, monkeypatch):
    monkeypatch.setattr(fault_schedule, "PROVE_EVERY_S", 0.001)
    journal, ledger = parts
    schedule = FaultSchedule([fault()], lambda _: Scripted(acts_after=10**6), journal, ledger)
    with pytest.raises(InjectionFailed, match="act: not yet"):
        await schedule.run(journal.now_ns())


async def test_heal_removes_what_an_interrupted_storm_left(parts, tmp_path):
    journal, ledger = parts
    injector = Scripted()
    schedule = FaultSchedule([fault(until_ms=None)], lambda _: injector, journal, ledger)
    await schedule.run(journal.now_ns())
    assert standing(tmp_path).faults == ["f1"]
    await schedule.remove_all()
    assert injector.calls[-1] == "remove"
    assert standing(tmp_path).is_clean


async def test_heal_tries_every_fault_and_then_says_which_one_stays(parts, tmp_path):
    journal, ledger = parts
    injectors = {"f1": Scripted(), "f2": Scripted(fails_at="remove"), "f3": Scripted()}
    faults = [fault(id_, until_ms=None) for id_ in injectors]
    schedule = FaultSchedule(faults, lambda f: injectors[f.id], journal, ledger)
    await schedule.run(journal.now_ns())
    with pytest.raises(RemovalFailed, match="f2"):
        await schedule.remove_all()
    assert standing(tmp_path).faults == ["f2"]


@pytest.mark.parametrize(
    ("mask_type", "mask_target", "target"),
    [("outage", "primary", "primary"), ("kill", "system", "primary.events")],
)
async def test_a_masked_fault_is_proved_once_the_mask_is_gone(
    parts, monkeypatch, mask_type, mask_target, target
):
    monkeypatch.setattr(fault_schedule, "PROVE_EVERY_S", 0.001)
    monkeypatch.setattr(fault_schedule, "PROVE_WITHIN_S", 0.05)
    journal, ledger = parts
    mask, latency = Scripted(), Scripted()

    async def act():
        if "remove" not in mask.calls:
            raise InjectionError("the way is blocked")
        return {"step": "act"}

    latency.act = act
    schedule = FaultSchedule(
        [fault("f1", 0, 200, mask_type, mask_target), fault("f2", 10, 400, "latency", target)],
        lambda f: mask if f.id == "f1" else latency,
        journal,
        ledger,
    )
    await schedule.run(journal.now_ns())
    assert kinds(journal).count("FaultActed") == 2
