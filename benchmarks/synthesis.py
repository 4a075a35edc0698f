"""A made-up run of any size, for benchmarks: three outages of the primary, a router that switches and waits.

It writes the same lines a journal would. Nothing is random: the n-th message always looks the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import msgspec

from harness.history.events import (
    AnyEvent,
    ClockCalibrated,
    FaultActed,
    FaultActive,
    FaultInjecting,
    FaultRemoved,
    FaultRemoving,
    MessageSubmitted,
    MessageSubmitting,
    Outcome,
    Phase,
    PhaseEntered,
    Receipt,
    ReceiptResult,
    RunFinished,
    RunStarted,
    Signal,
    Submitted,
)

MS = 1_000_000
S = 1_000_000_000
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


def token(n: int) -> str:
    """The n-th token: 16 characters, spread like a hash so that sorting them is honest work."""
    mixed = (n * 0x9E3779B97F4A7C15 + 0x1234567) & (1 << 80) - 1
    return "".join(_ALPHABET[(mixed >> 5 * i) & 31] for i in range(16))


def write(path: Path, events: int, run: str = "bench") -> int:
    """Write about `events` events to `path`; return how many. Three events a message, plus the rest."""
    encode = msgspec.json.Encoder().encode
    lines = sorted(_events(events // 3 - 2000), key=lambda event: event.t_ns)
    with path.open("wb") as file:
        for seq, event in enumerate(lines, 1):
            file.write(b'{"run":"%b","seq":%d,%b\n' % (run.encode(), seq, encode(event)[1:]))
    return len(lines)


def write_apart(path: Path, events: int) -> int:
    """The same in a process of its own, so that making it up does not count as memory of the caller's."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        return pool.submit(write, path, events).result()


def _events(messages: int) -> Iterator[AnyEvent]:
    every = 600 * S // messages
    end = 700 * S
    yield RunStarted(
        t_ns=0,
        wall_start="2026-01-01T00:00:00Z",
        scenario="bench",
        resolved={"system": {"longest_retry": "2s"}},
        seed=1,
        testbed="simulated",
        proxy="embedded",
    )
    for source in ("m365", "sendgrid"):
        yield ClockCalibrated(t_ns=1, source=source, when="start", offset_ns=0, error_ns=200_000)
    yield PhaseEntered(t_ns=2, phase=Phase.BASELINE)
    yield PhaseEntered(t_ns=10 * S, phase=Phase.STORM)
    faults = [(100 * S, 130 * S), (250 * S, 280 * S), (400 * S, 430 * S)]
    for number, (on, off) in enumerate(faults):
        common: dict[str, Any] = {
            "fault": f"f{number}",
            "incident": f"i{number}",
            "type": "outage",
            "target": "primary",
            "scheduled_ns": on,
        }
        yield FaultInjecting(t_ns=on, **common)
        yield FaultActive(t_ns=on + 5 * MS, **common)
        yield FaultActed(t_ns=on + 20 * MS, **common)
        yield FaultRemoving(t_ns=off, **common)
        yield FaultRemoved(t_ns=off + 5 * MS, **common)
    for tick in range(0, 7000):
        t = tick * 100 * MS
        down = any(on + 2 * S <= t < off + 3 * S for on, off in faults)
        yield Signal(
            t_ns=t, signal="detected", value=down, route="primary", previous_read_ns=max(0, t - 100 * MS)
        )
    numbers = {"m365": 0, "sendgrid": 0}
    for n in range(messages):
        at = n * every
        name = token(n)
        recipient = f"c.{name}@customer.example"
        transactional = n % 4 != 0
        yield MessageSubmitting(
            t_ns=at,
            token=name,
            recipient=recipient,
            stream="receipts" if transactional else "newsletter",
            class_="transactional" if transactional else "marketing",
            scheduled_ns=at,
            within_ns=S if transactional else None,
            baseline=at < 10 * S,
        )
        yield MessageSubmitted(
            t_ns=at + MS, token=name, recipient=recipient, result=Submitted.ACCEPTED, code=202
        )
        broken = next(((on, off) for on, off in faults if on - 50 * MS <= at < off), None)
        took = at + 50 * MS
        source, route = "m365", "primary"
        if broken and transactional:
            source, route = "sendgrid", "backup"
            took = max(took, broken[0] + 2100 * MS)
        elif broken:
            took = broken[1] + 3 * S + (at - broken[0])
        numbers[source] += 1
        yield Receipt(
            t_ns=took,
            source=source,
            n=numbers[source],
            provider=source,
            route=route,
            endpoint="smtp" if route == "primary" else "api",
            result=ReceiptResult.ACCEPTED,
            attempt=f"{source}-{numbers[source]}",
            token=name,
            recipient=recipient,
            code=250,
            text="2.0.0 OK",
            begin_ns=took - 10 * MS,
            end_ns=took,
            connection=f"c{n % 4}",
            account=route,
            carriers=["recipient", "header", "nonce"],
            body_sha256="0" * 64,
            body_offset=n * 1000,
            body_bytes=1000,
        )
    yield RunFinished(t_ns=end, outcome=Outcome.COMPLETED)
