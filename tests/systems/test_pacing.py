"""Token bucket, wave window and breaker on a clock of the test's own: what they promise, for any history."""

from __future__ import annotations

from collections import deque

from hypothesis import given
from hypothesis import strategies as st
from mailrouter.breaker import Breaker, Change, RouteState
from mailrouter.pacing import TokenBucket, WaveWindow

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
