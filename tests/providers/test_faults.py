"""Who a fault hits: the same attempts, in the same order, hit the same way every time."""

from __future__ import annotations

from typing import Any

import pytest

from harness.providers.errors import FaultRefused
from harness.providers.faults import FaultTable, Placed, Subject
from harness.providers.wire import ProviderFault
from tests.providers.running import token


def place(fault: ProviderFault) -> Placed[str]:
    if fault.named == "unheard-of":
        raise FaultRefused("no such answer")
    return Placed(stage="mail", answer=fault.named or "default")


def table(*faults: ProviderFault, seed: int = 7) -> FaultTable[str]:
    made = FaultTable(place, ["primary", "backup"], seed)
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
