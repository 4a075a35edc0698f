"""A small language for histories, so that a test reads as the story of a run.

Times are seconds from the end of a 10 s baseline. A `Run` collects events; `opened` writes any number of
runs to one file and opens it. Everything a check could doubt is in order by default: the baseline was
healthy, clocks are exact, the run finished, and was quiet for long enough.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.checks import CHECKS, parse_params
from harness.checks.finding import Finding
from harness.history import events as ev
from harness.history.journal import write_events
from harness.history.store import History

T0 = 10.0
PROVIDERS = {"primary": "m365", "backup": "sendgrid"}
PAGE = "page"  # the route, and the provider, of the system's own status page


def ns(seconds: float) -> int:
    """Of the run's clock, for a time from the end of the baseline."""
    return round((seconds + T0) * 1e9)


def span(seconds: float) -> int:
    return round(seconds * 1e9)


@dataclass(frozen=True)
class Message:
    token: str
    recipient: str
    at: float


class Run:
    def __init__(
        self,
        name: str = "run",
        *,
        baseline: int = 20,
        ends: float = 100,
        finished: bool = True,
        outcome: ev.Outcome = ev.Outcome.COMPLETED,
        longest_retry: str | None = "2s",
        clock_error: float = 0,
        expect: list[dict[str, Any]] | None = None,
        without_mail: list[str] | None = None,
        credentials: dict[str, str] | None = None,
        routes: list[str] | None = None,
    ) -> None:
        self.name = name
        self._numbers = dict.fromkeys(PROVIDERS.values(), 0)
        self._messages = 0
        self._faults = 0
        system: dict[str, Any] = {"canaries": ["probe@canary.example"]}
        if longest_retry is not None:
            system["longest_retry"] = longest_retry
        self.events: list[Any] = [
            ev.RunStarted(
                t_ns=0,
                wall_start="2026-11-24T12:00:00Z",
                scenario="made-up",
                resolved={"system": system} | ({"routes": {each: {} for each in routes}} if routes else {}),
                seed=1,
                testbed="simulated",
                proxy="embedded",
                expect=expect or [],
                routes_without_mail=without_mail or [],
                credentials=credentials or {},
            ),
            ev.PhaseEntered(t_ns=0, phase=ev.Phase.BASELINE),
            ev.PhaseEntered(t_ns=ns(0), phase=ev.Phase.STORM),
        ]
        for source in PROVIDERS.values():
            self.events.append(
                ev.ClockCalibrated(
                    t_ns=0, source=source, when="start", offset_ns=0, error_ns=span(clock_error)
                )
            )
        if finished:
            self.events.append(ev.RunFinished(t_ns=ns(ends), outcome=outcome))
        for number in range(baseline):
            at = -T0 + number * T0 / baseline
            self.copy(self.message(at, within=1, baseline=True), at + 0.1)

    def message(
        self,
        at: float,
        class_: str = "transactional",
        *,
        within: float | None = None,
        expires: float | None = None,
        result: str | None = "accepted",
        baseline: bool = False,
        token: str | None = None,
        recipient: str | None = None,
        offered: float | None = None,
    ) -> Message:
        """Offered once, at its time or at `offered`. `result` None: the SUT never answered."""
        self._messages += 1
        name = token or f"{self._messages:0>16}".translate(str.maketrans("0189", "abcd"))
        message = Message(name, recipient or f"c.{name}@customer.example", at)
        if within is None and class_ == "transactional":
            within = 1.0
        self.events.append(
            ev.MessageSubmitting(
                t_ns=ns(at if offered is None else offered),
                token=message.token,
                recipient=message.recipient,
                stream="receipts" if class_ == "transactional" else "newsletter",
                class_=class_,
                scheduled_ns=ns(at),
                within_ns=None if within is None else span(within),
                expires_ns=None if expires is None else ns(expires),
                baseline=baseline,
            )
        )
        if result is not None:
            self.answer(message, at if offered is None else offered, result)
        return message

    def offer_again(self, message: Message, at: float, offer: int, result: str) -> None:
        self.events.append(
            ev.MessageSubmitting(
                t_ns=ns(at),
                token=message.token,
                recipient=message.recipient,
                stream="receipts",
                class_="transactional",
                scheduled_ns=ns(message.at),
                within_ns=span(1),
                offer=offer,
            )
        )
        self.answer(message, at, result, offer)

    def answer(self, message: Message, at: float, result: str, offer: int = 1) -> None:
        self.events.append(
            ev.MessageSubmitted(
                t_ns=ns(at),
                token=message.token,
                recipient=message.recipient,
                offer=offer,
                result=ev.Submitted(result),
            )
        )

    def receipt(
        self,
        message: Message | None,
        at: float,
        via: str = "primary",
        result: str = "accepted",
        *,
        took: float = 0.01,
        **more: Any,
    ) -> ev.Receipt:
        source = PROVIDERS[via]
        self._numbers[source] += 1
        n = self._numbers[source]
        fields: dict[str, Any] = {
            "token": None if message is None else message.token,
            "recipient": None if message is None else message.recipient,
            "attempt": f"{source}-{n}",
            "connection": f"{source}-c{n}",
            "endpoint": "smtp",
            "carriers": ["recipient", "header", "nonce"],
        }
        receipt = ev.Receipt(
            t_ns=ns(at),
            source=source,
            n=n,
            provider=source,
            route=via,
            result=ev.ReceiptResult(result),
            begin_ns=ns(at - took),
            end_ns=ns(at),
            **(fields | more),
        )
        self.events.append(receipt)
        return receipt

    def calls(
        self,
        endpoint: str,
        at: float,
        code: int | None = 200,
        *,
        via: str = "primary",
        took: float = 0.01,
        fault: str | None = None,
        canary: str | None = None,
    ) -> None:
        """A request at an endpoint beside the one that mail goes through."""
        source = PROVIDERS[via]
        self._numbers[source] += 1
        self.events.append(
            ev.EndpointCalled(
                t_ns=ns(at),
                source=source,
                n=self._numbers[source],
                provider=source,
                route=via,
                endpoint=endpoint,
                request=f"POST /{endpoint}",
                code=code,
                begin_ns=ns(at - took),
                end_ns=ns(at),
                fault=fault,
                canary=canary,
            )
        )

    def announces(self, at: float, told: bool | None = True, *, via: str = PAGE, **more: Any) -> None:
        """The system told its customers on its status page, or (`told` false) called it over."""
        number = self._numbers[PAGE] = self._numbers.get(PAGE, 0) + 1
        self.events.append(
            ev.EndpointCalled(
                t_ns=ns(at),
                source=PAGE,
                n=number,
                provider=PAGE,
                route=via,
                endpoint="manage",
                request="POST /v1/pages/p/incidents",
                code=201,
                begin_ns=ns(at - 0.01),
                end_ns=ns(at),
                announced=told,
                **more,
            )
        )

    def copy(self, message: Message, at: float, via: str = "primary", **more: Any) -> ev.Receipt:
        return self.receipt(message, at, via, "accepted", **more)

    def traffic(
        self,
        since: float,
        until: float,
        every: float,
        *,
        via: str = "primary",
        after: float = 0.1,
        class_: str = "transactional",
    ) -> list[Message]:
        """Messages every so often, each copied so much later."""
        count = round((until - since) / every)
        messages = [self.message(since + i * every, class_) for i in range(count)]
        for message in messages:
            self.copy(message, message.at + after, via)
        return messages

    def fault(
        self,
        on: float,
        off: float | None,
        type_: str = "outage",
        target: str = "primary",
        *,
        takes: float = 0.0,
        incident: str | None = None,
        attributes: dict[str, Any] | None = None,
    ) -> str:
        """`takes`: from injecting to active, and from removing to removed."""
        self._faults += 1
        name = f"f{self._faults}"
        fields: dict[str, Any] = {
            "fault": name,
            "incident": incident or name,
            "type": type_,
            "target": target,
            "scheduled_ns": ns(on),
            "attributes": attributes or {},
        }
        self.events += [
            ev.FaultInjecting(t_ns=ns(on), **fields),
            ev.FaultActive(t_ns=ns(on + takes), **fields),
            ev.FaultActed(t_ns=ns(on + takes), **fields),
        ]
        if off is not None:
            self.events += [
                ev.FaultRemoving(t_ns=ns(off), **fields),
                ev.FaultRemoved(t_ns=ns(off + takes), **fields),
            ]
        return name

    def kill(self, at: float, back: float) -> None:
        self.fault(at, None, "kill", "system")
        self.process("killed", at)
        self.process("started", back)

    def restart(self, at: float, back: float, *, complies: bool = True) -> None:
        self.fault(at, None, "restart", "system")
        self.process("stopped" if complies else "killed", at)
        self.process("started", back)

    def process(self, change: str, at: float) -> None:
        self.events.append(ev.SystemProcess(t_ns=ns(at), change=change))

    def reads(
        self,
        signal: str,
        value: Any,
        at: float,
        route: str | None = "primary",
        *,
        before: float | None = None,
        error: str | None = None,
    ) -> None:
        """A reading; `before` is when the one before it was taken."""
        self.events.append(
            ev.Signal(
                t_ns=ns(at),
                signal=signal,
                value=value,
                route=route,
                previous_read_ns=None if before is None else ns(before),
                error=error,
            )
        )

    def says_paused(self, at: float, until: float | None = None, *, poll: float = 0.1) -> None:
        """The signal `paused` turns on, and off again at `until`."""
        self.reads("paused", False, at - poll, None)
        self.reads("paused", True, at, None, before=at - poll)
        if until is not None:
            self.reads("paused", False, until, None, before=until - poll)

    def detects(
        self, at: float, route: str = "primary", *, poll: float = 0.1, until: float | None = None
    ) -> None:
        """A false reading, then a true one a poll later; false again at `until`."""
        self.reads("detected", False, at - poll, route)
        self.reads("detected", True, at, route, before=at - poll)
        if until is not None:
            self.reads("detected", False, until, route, before=until - poll)

    def says(self, message: Message, state: str, at: float, events: list[str] | None = None) -> None:
        self.events.append(ev.SystemState(t_ns=ns(at), token=message.token, state=state, events_known=events))

    def operator(self, action: str, at: float, class_: str | None = None) -> None:
        self.events.append(ev.Operator(t_ns=ns(at), action=action, by="scenario", class_=class_))

    def provider_says(
        self,
        event: str,
        message: Message,
        at: float,
        via: str = "primary",
        *,
        webhook: str = "none",
        delay: float | None = None,
        canary: str | None = None,
    ) -> None:
        """`at` is when the event got through or was given up, `delay` how long after it happened."""
        source = PROVIDERS[via]
        self._numbers[source] += 1
        self.events.append(
            ev.ProviderEvent(
                t_ns=ns(at),
                source=source,
                n=self._numbers[source],
                provider=source,
                event=event,
                route=via,
                token=message.token,
                recipient=message.recipient,
                canary=canary,
                webhook=webhook,
                delay_ns=None if delay is None else span(delay),
            )
        )

    def closes(self, connection: str, at: float, via: str = "primary") -> None:
        source = PROVIDERS[via]
        self._numbers[source] += 1
        self.events.append(
            ev.ConnectionsClosed(
                t_ns=ns(at),
                source=source,
                n=self._numbers[source],
                provider=source,
                route=via,
                endpoint="smtp",
                connections=[connection],
            )
        )

    def loses_record(self, via: str = "primary") -> None:
        """A number of the provider's record that never reached the history."""
        self._numbers[PROVIDERS[via]] += 1


@contextmanager
def opened(*runs: Run) -> Iterator[History]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.jsonl"
        for run in runs:
            write_events(path, run.name, sorted(run.events, key=lambda event: int(event.t_ns)))
        with History.open(path) as history:
            yield history


def check(run: Run, name: str, params: Any) -> Finding:
    """What one check says of one run."""
    with opened(run) as history:
        return CHECKS[name].evaluate(history, run.name, parse_params(name, params))
