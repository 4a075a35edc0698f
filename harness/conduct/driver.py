"""The open-loop driver: offers each message at its scheduled time, whatever the SUT does meanwhile.

A slow or dead SUT does not slow the workload down; lateness counts from the scheduled time. What the SUT
refuses, or answers unclearly, is offered again for 10 s with the same token and key, as a caller would. How
long a message is still good for is told as of its first offer. The driver's own lag, actual minus scheduled
time of a first offer, is measured and reported.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import msgspec

from harness.history.events import HarnessWarning, MessageSubmitted, MessageSubmitting, Submitted
from harness.history.journal import Journal
from harness.scenario.timeline import Message
from harness.testbed.system.life import SystemUnderTest

OFFER_AGAIN_FOR_NS = 10_000_000_000
OFFER_AGAIN_EVERY_S = 0.5
LATE_P99_NS = 100_000_000
LATE_MAX_NS = 250_000_000


class Driver:
    def __init__(
        self,
        system: SystemUnderTest,
        journal: Journal,
        on_failure: Callable[[BaseException], None] | None = None,
    ) -> None:
        """`on_failure` hears what broke an offer on our side; what the SUT does is in the history."""
        self._system = system
        self._journal = journal
        self._on_failure = on_failure
        self._offers: set[asyncio.Task[None]] = set()
        self._lags_ns: list[int] = []

    async def send(self, messages: Iterable[Message], origin_ns: int) -> None:
        """Offer each message at origin_ns + its time; returns when the last one has been offered once.

        `messages` in order of time; `origin_ns` is the timeline's zero on the run's clock.
        """
        for message in messages:
            due_ns = origin_ns + message.at_ns
            while (wait_ns := due_ns - self._journal.now_ns()) > 0:
                await asyncio.sleep(wait_ns / 1e9)
            offer = asyncio.create_task(self._offer(message, origin_ns))
            self._offers.add(offer)
            offer.add_done_callback(self._offer_ended)

    async def finish(self) -> None:
        """Wait for the offers still open, and report the driver's lag."""
        while self._offers:
            await asyncio.wait(self._offers)
        self._report_lag()

    def _offer_ended(self, offer: asyncio.Task[None]) -> None:
        self._offers.discard(offer)
        if not offer.cancelled() and (error := offer.exception()) is not None and self._on_failure:
            self._on_failure(error)

    def cancel(self) -> None:
        for offer in self._offers:
            offer.cancel()

    async def _offer(self, message: Message, origin_ns: int) -> None:
        scheduled_ns = origin_ns + message.at_ns
        expires_ns = origin_ns + message.expires_ns if message.expires_ns is not None else None
        offered, number = message, 0
        while True:
            number += 1
            now_ns = self._journal.now_ns()
            if number == 1:
                self._lags_ns.append(now_ns - scheduled_ns)
                # What expires does so at its own time, however late it is offered: the rest counts from here.
                # Offered again it says the same, since it has the same Idempotency-Key.
                offered = msgspec.structs.replace(message, at_ns=now_ns - origin_ns)
            self._journal.append(
                MessageSubmitting(
                    t_ns=now_ns,
                    token=message.token,
                    recipient=message.recipient,
                    stream=message.stream,
                    class_=message.class_,
                    scheduled_ns=scheduled_ns,
                    offer=number,
                    within_ns=message.within_ns,
                    expires_ns=expires_ns,
                    baseline=message.baseline,
                )
            )
            answer = await self._system.submit(offered)
            now_ns = self._journal.now_ns()
            self._journal.append(
                MessageSubmitted(
                    t_ns=now_ns,
                    token=message.token,
                    recipient=message.recipient,
                    offer=number,
                    result=answer.result,
                    code=answer.code,
                    text=answer.text,
                )
            )
            if answer.result is Submitted.ACCEPTED or now_ns - scheduled_ns > OFFER_AGAIN_FOR_NS:
                return
            await asyncio.sleep(OFFER_AGAIN_EVERY_S)

    def _report_lag(self) -> None:
        if not self._lags_ns:
            return
        lags = sorted(self._lags_ns)
        p99_ns, worst_ns = lags[min(len(lags) - 1, len(lags) * 99 // 100)], lags[-1]
        if p99_ns > LATE_P99_NS or worst_ns > LATE_MAX_NS:
            self._journal.append(
                HarnessWarning(
                    t_ns=self._journal.now_ns(),
                    warning="late-driver",
                    subject="driver",
                    detail=f"first offers were late by {p99_ns / 1e6:.0f} ms (p99), "
                    f"{worst_ns / 1e6:.0f} ms at worst",
                )
            )
