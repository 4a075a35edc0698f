"""A small model of a mail router, and the history that a run of it would leave.

It has a primary route that refuses every login for a while, a detection after some seconds, a
backup, newsletters held until failback and then released in waves. It is as detailed as the reports need,
and deterministic.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from harness.history import events as ev

S = 1_000_000_000
MS = 1_000_000
SETUP = 1_200 * MS
BASELINE = 10 * S
T0 = SETUP + BASELINE
LETTERS = "abcdefghijklmnopqrstuvwxyz234567"


@dataclass
class Router:
    """What the system under test of a sample does."""

    receipts: int = 225
    newsletters: int = 100
    newsletter_at: int = 12 * S
    fault_at: int = 10 * S
    fault_for: int = 25 * S
    detect_after: int = 2_100 * MS
    blind_resend: int = 0  # how many messages whose acknowledgement was lost are sent again
    lost: int = 0
    scenario: str = "m365-auth-outage"
    routes: tuple[str, str] = ("primary", "backup")
    wave_share: int = 10
    rate_per_s: int = 5
    finished: bool = True
    warnings: list[ev.HarnessWarning] = field(default_factory=list)


class _Numbered:
    """Numbers a provider's records from 1, as its ledger does."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def next(self, source: str) -> int:
        self._last[source] = self._last.get(source, 0) + 1
        return self._last[source]


def history(router: Router) -> tuple[list[Any], list[str]]:
    """The events of one run in order of time, and the tokens of the messages outside the baseline."""
    rng = random.Random(7)
    made: list[tuple[int, Any]] = []
    numbered = _Numbered()
    primary, backup = router.routes
    provider_of = {primary: "m365", backup: "sendgrid"}
    fault_from, fault_to = T0 + router.fault_at, T0 + router.fault_at + router.fault_for
    detected = fault_from + router.detect_after
    storm_ns = max(router.receipts * S // router.rate_per_s, router.fault_at + router.fault_for)
    drain_from = T0 + storm_ns

    def token() -> str:
        return "".join(rng.choice(LETTERS) for _ in range(16))

    def put(event: Any) -> None:
        made.append((event.t_ns, event))

    def receipt(who: str, route: str, at: int, result: ev.ReceiptResult, **more: Any) -> None:
        provider = provider_of[route]
        code = {"accepted": 250, "ack-lost": 250, "refused": 535, "deferred": 451}.get(str(result))
        text = {"refused": "5.7.139 Authentication unsuccessful", "accepted": "2.0.0 OK"}.get(str(result), "")
        put(
            ev.Receipt(
                t_ns=at,
                source=provider,
                n=numbered.next(provider),
                provider=provider,
                route=route,
                endpoint="smtp" if route == primary else "api",
                result=result,
                attempt=f"{provider}-{len(made)}",
                token=who if result is not ev.ReceiptResult.REFUSED else None,
                recipient=f"c.{who}@customer.example" if result is not ev.ReceiptResult.REFUSED else None,
                code=code,
                text=text,
                begin_ns=at - 12 * MS,
                end_ns=at,
                carriers=["recipient", "header", "nonce"] if result is not ev.ReceiptResult.REFUSED else [],
                **more,
            )
        )

    def submit(who: str, stream: str, at: int, within: int | None, baseline: bool = False) -> None:
        recipient = f"c.{who}@customer.example"
        klass = "marketing" if stream == "newsletter" else "transactional"
        lag = rng.randrange(1 * MS, 4 * MS)
        put(
            ev.MessageSubmitting(
                t_ns=at + lag,
                token=who,
                recipient=recipient,
                stream=stream,
                class_=klass,
                scheduled_ns=at,
                within_ns=within,
                baseline=baseline,
            )
        )
        put(
            ev.MessageSubmitted(
                t_ns=at + lag + 5 * MS,
                token=who,
                recipient=recipient,
                result=ev.Submitted.ACCEPTED,
                code=202,
            )
        )

    resolved = {"scenario": router.scenario, "seed": 7}
    put(
        ev.RunStarted(
            t_ns=0,
            wall_start="2026-11-24T13:50:00Z",
            scenario=router.scenario,
            resolved=resolved,
            seed=7,
            testbed="local",
            proxy="toxiproxy",
            limits={"m365": {"messages_per_minute": 1200}, "sendgrid": {"rate": "50/s", "burst": 50}},
            expect=[{"check": "duplicates", "params": "none"}],
            binaries={
                f"{primary}.smtp": {"path": "/usr/local/bin/toxiproxy-server", "version": "2.12.0"},
                f"{backup}.api": {"path": "/usr/local/bin/toxiproxy-server", "version": "2.12.0"},
            },
            versions={"harness": "0.1.0", "python": "3.11.2", "duckdb": "2.0.1"},
        )
    )
    put(ev.PhaseEntered(t_ns=1 * MS, phase=ev.Phase.SETUP))
    for source, error in (("m365", 180_000), ("sendgrid", 95_000)):
        put(ev.ClockCalibrated(t_ns=900 * MS, source=source, when="start", offset_ns=31_000, error_ns=error))
    put(ev.PhaseEntered(t_ns=SETUP, phase=ev.Phase.BASELINE))
    for index in range(BASELINE * router.rate_per_s // S):
        who, at = token(), SETUP + index * S // router.rate_per_s
        submit(who, "receipts", at, 1 * S, baseline=True)
        receipt(who, primary, at + 30 * MS, ev.ReceiptResult.ACCEPTED)
    put(ev.PhaseEntered(t_ns=T0, phase=ev.Phase.STORM))

    tokens: list[str] = []
    resent, lost = router.blind_resend, router.lost
    for index in range(router.receipts):
        who, at = token(), T0 + index * S // router.rate_per_s
        tokens.append(who)
        submit(who, "receipts", at, 1 * S)
        if not fault_from <= at < fault_to:
            receipt(who, primary, at + rng.randrange(20, 60) * MS, ev.ReceiptResult.ACCEPTED)
        elif at < detected:
            receipt(who, primary, at + 40 * MS, ev.ReceiptResult.REFUSED)
            if resent:
                resent -= 1
                receipt(who, primary, at + 90 * MS, ev.ReceiptResult.ACK_LOST)
            if lost:
                lost -= 1
                continue
            receipt(who, backup, detected + (len(tokens) % 10) * 90 * MS, ev.ReceiptResult.ACCEPTED)
        else:
            receipt(who, backup, at + rng.randrange(30, 500) * MS, ev.ReceiptResult.ACCEPTED)

    failed_back = fault_to + 3 * S
    for index in range(router.newsletters):
        who = token()
        tokens.append(who)
        submit(who, "newsletter", T0 + router.newsletter_at + index * 2 * MS, None)
        per_wave = max(1, router.newsletters * router.wave_share // 100)
        wave, place = divmod(index, per_wave)
        at = failed_back + wave * 2 * S + place * 25 * MS + 40 * MS
        receipt(who, primary, at, ev.ReceiptResult.ACCEPTED)

    if router.fault_for:
        common: dict[str, Any] = {
            "fault": "f1",
            "incident": "f1",
            "type": "auth-failure",
            "target": primary,
            "scheduled_ns": fault_from,
        }
        put(ev.FaultInjecting(t_ns=fault_from, **common))
        put(ev.FaultActive(t_ns=fault_from + 9 * MS, **common, detail={"upstream": "rejecting"}))
        put(ev.FaultActed(t_ns=fault_from + 60 * MS, **common, detail={"code": 535}))
        put(ev.FaultRemoving(t_ns=fault_to, **common))
        put(ev.FaultRemoved(t_ns=fault_to + 8 * MS, **common))
        latency: dict[str, Any] = {
            "fault": "f2",
            "incident": "f1",
            "type": "latency",
            "target": backup,
            "scheduled_ns": T0 + 20 * S,
            "attributes": {"latency": 400, "jitter": 100},
        }
        put(ev.FaultInjecting(t_ns=T0 + 20 * S, **latency))
        put(ev.FaultActive(t_ns=T0 + 20 * S + 5 * MS, **latency))
        put(ev.FaultActed(t_ns=T0 + 20 * S + 500 * MS, **latency))
        put(ev.FaultRemoving(t_ns=T0 + 25 * S, **latency))
        put(ev.FaultRemoved(t_ns=T0 + 25 * S + 6 * MS, **latency))

    def signal(at: int, name: str, value: Any, route: str | None = None) -> None:
        put(
            ev.Signal(
                t_ns=at,
                signal=name,
                value=value,
                route=route,
                how="http /status",
                previous_read_ns=at - 100 * MS,
            )
        )

    signal(SETUP, "detected", False, primary)
    if router.fault_for:
        signal(detected, "detected", True, primary)
        signal(failed_back, "detected", False, primary)
    put(ev.PhaseEntered(t_ns=drain_from, phase=ev.Phase.HEAL))
    put(ev.PhaseEntered(t_ns=drain_from + 80 * MS, phase=ev.Phase.DRAIN))
    for warning in router.warnings:
        put(warning)
    ended = max(t for t, _ in made) + 4 * S
    put(ev.PhaseEntered(t_ns=ended, phase=ev.Phase.TEARDOWN))
    if router.finished:
        put(ev.RunFinished(t_ns=ended + 300 * MS, outcome=ev.Outcome.COMPLETED))
    made.sort(key=lambda pair: pair[0])
    return [event for _, event in made], tokens
