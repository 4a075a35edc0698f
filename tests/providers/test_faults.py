"""Who a fault hits: the same attempts, in the same order, hit the same way every time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness.providers.errors import FaultRefused
from harness.providers.faults import Announced, FaultTable, Placed, Subject
from harness.providers.wire import ProviderFault
from tests.providers.running import token


def place(fault: ProviderFault) -> Placed[str]:
    if fault.named == "unheard-of":
        raise FaultRefused("no such answer")
    return Placed(stage="mail", answer=fault.named or "default")


def table(
    *faults: ProviderFault, seed: int = 7, wall_s: Callable[[], float] = lambda: 0.0
) -> FaultTable[str]:
    made = FaultTable(place, ["primary", "backup"], seed, wall_s)
    for fault in faults:
        made.put(fault)
    return made


def fault(**attributes: Any) -> ProviderFault:
    return ProviderFault(**{"id": "f1", "type": "refuse", **attributes})


def hit(faults: FaultTable[str], count: int, **attempt: Any) -> list[int]:
    """Which of `count` attempts are hit, counted from 1."""
    subjects = [Subject(**{"route": "primary", "key": token(n), **attempt}) for n in range(1, count + 1)]
    return [n for n, subject in enumerate(subjects, 1) if faults.decide("mail", subject)]


def test_without_a_selection_every_attempt_at_the_stage_is_hit() -> None:
    faults = table(fault())
    assert hit(faults, 3) == [1, 2, 3]
    assert faults.decide("rcpt", Subject(route="primary", key="x")) is None


def test_every_third_and_at_most_two() -> None:
    faults = table(fault(every=3, count=2))
    assert hit(faults, 12) == [3, 6]
    (status,) = faults.list()
    assert (status.matched, status.acted) == (12, 2)


def test_a_share_goes_by_the_token_and_so_hits_a_retry_again() -> None:
    first, again = hit(table(fault(share=0.3)), 400), hit(table(fault(share=0.3)), 400)
    assert first == again
    assert 80 <= len(first) <= 160
    assert first != hit(table(fault(share=0.3), seed=8), 400)


def test_route_and_class_narrow_it_down() -> None:
    faults = table(fault(route="backup", class_="marketing"))
    assert hit(faults, 2) == []
    assert hit(faults, 2, route="backup", class_="transactional") == []
    assert hit(faults, 2, route="backup", class_="marketing") == [1, 2]
    assert faults.list()[0].matched == 2


def test_the_harness_canary_is_always_hit_and_never_counted() -> None:
    faults = table(fault(every=5, count=1, class_="marketing", share=0.01))
    assert hit(faults, 4, canary=True) == [1, 2, 3, 4]
    (status,) = faults.list()
    assert (status.matched, status.acted) == (0, 0)
    assert faults.decide("mail", Subject(route="elsewhere", key="x", canary=True)) is not None


def test_the_canary_of_another_route_is_left_alone() -> None:
    assert hit(table(fault(route="backup")), 2, canary=True) == []


def test_the_fault_that_was_put_first_wins_and_the_next_one_gets_what_it_leaves() -> None:
    faults = table(fault(id="first", every=2, named="first"), fault(id="second", named="second"))
    answers = [
        decision.answer
        for n in range(4)
        if (decision := faults.decide("mail", Subject(route="primary", key=token(n)))) is not None
    ]
    assert answers == ["second", "first", "second", "first"]


def test_the_same_fault_put_again_keeps_its_counts_and_a_changed_one_starts_anew() -> None:
    faults = table(fault(count=3))
    hit(faults, 2)
    assert faults.put(fault(count=3)).acted == 2
    assert faults.put(fault(count=4)).acted == 0


def test_a_fault_that_is_taken_away_reports_its_last_counts() -> None:
    faults = table(fault())
    hit(faults, 2)
    gone = faults.delete("f1")
    assert gone is not None and gone.acted == 2
    assert faults.delete("f1") is None
    assert hit(faults, 2) == []


@pytest.mark.parametrize(
    ("attributes", "complaint"),
    [
        ({"share": 0.0}, "share"),
        ({"share": 1.5}, "share"),
        ({"every": 0}, "every"),
        ({"count": 0}, "count"),
        ({"route": "tertiary"}, "routes: backup, primary"),
        ({"named": "unheard-of"}, "no such answer"),
    ],
)
def test_what_means_nothing_is_refused(attributes: dict[str, Any], complaint: str) -> None:
    faults = table()
    with pytest.raises(FaultRefused, match=complaint):
        faults.put(fault(**attributes))
    assert faults.list() == []


class TestIncidents:
    """A fault of type `status` is what a status page tells, from when it was put until it is taken away."""

    @staticmethod
    def at(*times: float) -> Callable[[], float]:
        return iter(times).__next__

    def test_an_incident_is_told_of_and_then_resolved(self) -> None:
        faults = table(wall_s=self.at(100.0, 160.0))
        faults.put(fault(type="status", named="major", text="Delays"))
        begun = Announced(id="f1", status="major", title="Delays", since_s=100.0, updated_s=100.0)
        assert faults.announced("primary", "") == (begun,)
        faults.delete("f1")
        (resolved,) = faults.announced("primary", "")
        assert (resolved.since_s, resolved.until_s) == (100.0, 160.0)

    def test_news_of_an_incident_do_not_begin_it_again_and_a_relapse_is_another(self) -> None:
        faults = table(wall_s=self.at(100.0, 120.0, 160.0, 200.0))
        faults.put(fault(type="status", named="minor"))
        faults.put(fault(type="status", named="major"))
        (told,) = faults.announced("primary", "")
        assert (told.status, told.since_s, told.updated_s) == ("major", 100.0, 120.0)
        faults.delete("f1")
        faults.put(fault(type="status", named="minor"))
        over, told = faults.announced("primary", "")
        assert (over.since_s, over.until_s) == (100.0, 160.0)
        assert (told.since_s, told.until_s) == (200.0, None)

    def test_it_is_told_where_it_was_put_and_touches_no_attempt(self) -> None:
        faults = table(fault(type="status", named="mail", route="backup"), fault(id="f2"))
        assert faults.announced("primary", "") == ()
        assert len(faults.announced("backup", "")) == 1
        assert faults.announced("backup", "token") == ()
        canary = Subject(route="backup", key="x", canary=True)
        decision = faults.decide("mail", canary)
        assert decision is not None and decision.fault.id == "f2"
