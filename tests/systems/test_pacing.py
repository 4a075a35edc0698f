"""Token bucket, wave window and breaker on a clock of the test's own: what they promise, for any history."""

from __future__ import annotations

from collections import deque
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mailrouter.breaker import Breaker, Change, RouteState
from mailrouter.fate import Outcome, Result
from mailrouter.lane import Lane, RouteName
from mailrouter.pacing import TokenBucket, WaveWindow
from mailrouter.route import Route

DELAYS = st.lists(st.floats(0, 3), min_size=1, max_size=60)


@given(st.floats(0.5, 100), st.integers(2, 12), st.integers(0, 4), st.lists(st.floats(0, 1), min_size=2))
def test_no_stretch_of_time_sees_more_attempts_than_rate_and_burst_allow(
    rate: float, burst: int, in_flight: int, pauses: list[float]
) -> None:
    bucket, now, seen = TokenBucket(rate, burst, in_flight), 0.0, []
    for pause in pauses:
        now += pause
        now += bucket.delay(now)
        assert bucket.delay(now) < 1e-6
        bucket.take(now)
        seen.append(now)
    for first in range(len(seen)):
        for last in range(first, len(seen)):
            allowed = max(1, burst - in_flight) + rate * (seen[last] - seen[first])
            assert last - first + 1 <= allowed + 1e-3


def test_bulk_mail_leaves_tokens_for_the_others() -> None:
    bucket = TokenBucket(10, 4)
    bucket.take(0)
    bucket.take(0)
    assert bucket.delay(0) == 0
    assert bucket.delay(0, reserve=2) > 0


def test_retry_after_blocks_until_it_is_over() -> None:
    bucket = TokenBucket(10, 4)
    bucket.block(until=7.0)
    assert bucket.delay(5.0) == 2.0
    assert bucket.delay(7.0) == 0


@given(st.integers(1, 5), st.floats(0.1, 3), DELAYS, st.integers(1, 4))
def test_no_window_holds_more_hand_offs_than_a_wave_however_long_sends_take(
    size: int, every: float, durations: list[float], senders: int
) -> None:
    window, now, handed_over = WaveWindow(every, size), 0.0, []
    waiting, running = deque(durations), []  # running: (end, duration)
    while waiting or running:
        if waiting and len(running) < senders and window.delay(now) <= 0:
            window.start()
            duration = waiting.popleft()
            running.append(now + duration)
            handed_over.append(now + duration / 2)  # anywhere between start and end
            continue
        ends = [*running, *([now + window.delay(now)] if waiting and len(running) < senders else [])]
        now = max(min(ends), now)
        for end in [end for end in running if end <= now]:
            running.remove(end)
            window.end(now)
    handed_over.sort()
    for index in range(len(handed_over) - size):
        assert handed_over[index + size] - handed_over[index] >= every - 1e-6


def breaker() -> Breaker:
    return Breaker(detect_after_s=2.0, failback_after_s=3.0)


def test_a_breaker_opens_after_continuous_failure_and_not_before() -> None:
    it = breaker()
    assert it.failed(began=10.0, now=10.1) is None
    assert it.failed(began=11.0, now=11.9) is None
    assert it.failed(began=11.9, now=12.0) is Change.OPENED
    assert it.state is RouteState.DOWN


def test_one_success_ends_the_streak() -> None:
    it = breaker()
    it.failed(began=10.0, now=10.1)
    assert it.succeeded(began=11.0, now=11.1) is Change.CLEARED
    assert it.failed(began=11.5, now=12.5) is None
    assert it.state is RouteState.UP


def test_a_success_older_than_the_trouble_proves_nothing() -> None:
    it = breaker()
    it.failed(began=10.0, now=10.1)
    assert it.succeeded(began=9.9, now=10.2) is None
    assert it.suspect


def test_one_slow_attempt_alone_does_not_open_it() -> None:
    it = breaker()
    assert it.failed(began=10.0, now=15.0) is None
    assert it.failed(began=15.0, now=15.1) is Change.OPENED


def test_it_closes_after_continuous_success_and_a_relapse_starts_the_count_again() -> None:
    it = breaker()
    it.failed(10.0, 10.0)
    it.failed(12.0, 12.0)
    assert it.succeeded(20.0, 20.1) is None
    assert it.succeeded(22.0, 22.1) is None
    assert it.failed(22.5, 22.6) is None  # a false recovery
    assert it.succeeded(23.0, 23.1) is None
    assert it.succeeded(25.0, 25.1) is None
    assert it.succeeded(26.0, 26.1) is Change.CLOSED


def down_and_up(it: Breaker, at: float) -> float:
    """Opens at `at` and then takes everything; returns how long it was open."""
    it.failed(at - 2.0, at - 2.0)
    assert it.failed(at, at) is Change.OPENED
    now = at
    while it.state is RouteState.DOWN:
        now += 0.1
        it.succeeded(now, now)
    return now - at


def test_a_route_that_relapses_has_to_be_good_for_twice_as_long_each_time() -> None:
    it, now, waits = breaker(), 100.0, []
    for _ in range(4):
        waits.append(down_and_up(it, now))
        now += waits[-1] + 5.0
    first, second, third, fourth = waits
    assert 3.0 <= first < 3.5
    assert 1.8 * first < second < third / 1.8 < fourth / 3.5


def test_after_a_long_time_of_health_a_relapse_is_a_new_outage() -> None:
    it = breaker()
    first = down_and_up(it, 100.0)
    again = down_and_up(it, 500.0)
    assert again == pytest.approx(first, abs=0.2)


def test_what_was_known_of_relapses_outlives_a_restart() -> None:
    before, after = breaker(), breaker()
    closed = 100.0 + down_and_up(before, 100.0)
    after.recall(RouteState.UP, before.relapses, closed, now=closed + 1.0)
    assert down_and_up(after, closed + 5.0) > 1.8 * 3.0


def test_a_provider_that_says_that_it_will_be_out_for_long_is_believed_at_once() -> None:
    it = breaker()
    assert it.failed(began=10.0, now=10.1, for_s=1.0) is None
    assert breaker().failed(began=10.0, now=10.1, for_s=60.0) is Change.OPENED


def lane() -> Lane:
    class Nothing:
        repeats_for_s = 0.0

    return Lane(RouteName.PRIMARY, cast(Route, Nothing()), breaker(), TokenBucket(40, 10))


def test_a_route_that_says_too_fast_gets_less_each_time_until_it_takes_something() -> None:
    it, now, waits = lane(), 10.0, []
    for _ in range(6):
        waits.append(it.slow_down(Result(Outcome.BUSY, 432), now, longest_s=2.0))
        assert it.slow_down(Result(Outcome.BUSY, 432), now, longest_s=2.0) is None  # one that was under way
        now = it.bucket.blocked_until
    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0]
    it.slow_down(Result(Outcome.ACCEPTED, 250), now, longest_s=2.0)
    assert it.slow_down(Result(Outcome.BUSY, 432), now + 1, longest_s=2.0) == 0.1


def test_retry_after_is_kept_to_the_letter() -> None:
    it = lane()
    assert it.slow_down(Result(Outcome.BUSY, 429, retry_after_s=7.0), 10.0, longest_s=2.0) == 7.0
    assert it.bucket.delay(12.0) == 5.0


def test_who_is_told_for_long_that_we_are_too_fast_sends_what_cannot_wait_by_the_other_route() -> None:
    it = lane()
    it.slow_down(Result(Outcome.BUSY, 432), 10.0, longest_s=2.0)
    assert not it.cannot_wait(11.0, longest_s=2.0)
    assert it.cannot_wait(12.5, longest_s=2.0)
    it.slow_down(Result(Outcome.ACCEPTED, 250), 13.0, longest_s=2.0)
    assert not it.cannot_wait(13.0, longest_s=2.0)
