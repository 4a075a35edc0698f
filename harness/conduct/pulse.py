"""What is known of the run while it goes on: copies, receipts, submissions, counted from the journal's
stream.

The gate of the baseline and the wait for quiescence look here. Verdicts never do: they come from the history.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from harness.history.events import (
    AnyEvent,
    ClockCalibrated,
    MessageSubmitted,
    MessageSubmitting,
    Receipt,
    ReceiptResult,
    Submitted,
)
from harness.history.journal import Journal

HANDED_OFF = (ReceiptResult.ACCEPTED, ReceiptResult.ACK_LOST)


@dataclass
class Pulse:
    submitted: set[str] = field(default_factory=set)
    accepted: set[str] = field(default_factory=set)
    handed_off: dict[str, int] = field(default_factory=dict)  # token -> run time of its first hand-off
    last_activity_ns: int = 0  # the last receipt or submission, canaries left out
    clock_error_ns: int = 0  # the widest of any source so far
    last_refusal: str = ""  # what the SUT or a provider said last when it refused

    async def follow(self, journal: Journal) -> None:
        async for _, event in journal.subscribe():
            self.note(event)

    def note(self, event: AnyEvent) -> None:
        match event:
            case MessageSubmitting():
                self.submitted.add(event.token)
                self.last_activity_ns = max(self.last_activity_ns, event.t_ns)
            case MessageSubmitted():
                if event.result is Submitted.ACCEPTED:
                    self.accepted.add(event.token)
                else:
                    self.last_refusal = f"the system answered {event.code or ''} {event.text}".strip()
            case ClockCalibrated():
                self.clock_error_ns = max(self.clock_error_ns, event.error_ns)
            case Receipt() if event.canary is None:
                self.last_activity_ns = max(self.last_activity_ns, event.end_ns)
                if event.result in HANDED_OFF and event.token is not None and event.notice is None:
                    self.handed_off.setdefault(event.token, event.end_ns)
                elif event.result not in HANDED_OFF:
                    self.last_refusal = f"{event.provider} answered {event.code or ''} {event.text}".strip()
            case _:
                pass


async def until(condition: Callable[[], bool], deadline_s: float, poll_s: float = 0.02) -> bool:
    """Wait for a condition with a deadline on the loop's clock; False when it passed."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + deadline_s
    while not condition():
        if loop.time() >= deadline:
            return False
        await asyncio.sleep(poll_s)
    return True
