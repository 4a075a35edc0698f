"""Histories and judgements as a run would leave them, made up by a small model of a mail router.

The model has a primary route that refuses every login for a while, a detection after some seconds, a
backup, newsletters held until failback and then released in waves. It is as detailed as the reports need,
and deterministic.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.checks.finding import Finding, Offender, Verdict
from harness.conduct.judge import ExitCode, Judgement
from harness.history import events as ev
from harness.history.journal import write_events

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


def finding(check: str, verdict: Verdict, summary: str, **more: Any) -> Finding:
    return Finding(check=check, verdict=verdict, summary=summary, **{"decides": True, "counted": 325, **more})


def passing_findings() -> list[Finding]:
    """What the checks say of a correct router; the numbers are those of the model."""
    ok = Verdict.PASS
    return [
        finding(
            "duplicates",
            ok,
            "0 of 325 messages arrived twice",
            numbers={"messages": 325, "duplicated": 0, "copies": 325},
            formula="copies per (token, recipient) ≤ 1 over all providers",
        ),
        finding(
            "delivered",
            ok,
            "all 325 accepted messages arrived",
            numbers={"accepted": 325, "lost": 0, "held": 0, "undelivered": 0},
            formula="accepted ⇒ copy, bounce, suppression, expiry or valid hold at quiescence",
        ),
        finding(
            "throttle",
            ok,
            "attempts stayed under the limits of primary and backup",
            numbers={"primary_excess": -14.2, "backup_excess": -41.0},
            formula="(j−i+1) − rate·(tj−ti) ≤ burst + rate·spread",
            params={"primary": {"rate": "20/s", "burst": 20}, "backup": {"rate": "50/s", "burst": 50}},
            counted=386,
        ),
        finding(
            "waves",
            ok,
            "at most 10 of 100 held newsletters left in any 2 s",
            numbers={"releases": 2, "backlog": 100, "largest_wave": 10, "allowed": 10, "window_s": 1.8},
            formula="copies in [t, t + every − max(5 %, 100 ms + spread)) ≤ ⌈share · B⌉, for every release",
            params={"class": "marketing", "share": "10%", "every": "2s"},
            counted=100,
        ),
        finding(
            "mttd",
            ok,
            "detected in 2.1 s",
            numbers={"mttd_s_max": 2.1, "target_s": 5.0, "incidents": 1},
            formula="MTTD = detected − fault on",
            error="± 0.055 s (polled every 0.100 s; clock error 0.2 ms)",
            counted=1,
        ),
        finding(
            "mttr",
            ok,
            "mail flowed again 2.2 s after the fault",
            numbers={"mttr_s_max": 2.2, "target_s": 15.0, "incidents": 1},
            formula="MTTR = restored − fault on",
            error="± 0.005 s",
            counted=1,
        ),
        finding(
            "exposure",
            ok,
            "the system met every fault",
            numbers={"faults": 2, "exposed": 2},
            decides=False,
            counted=2,
        ),
        finding(
            "unexpected",
            ok,
            "nothing arrived that was not sent, and nothing was changed",
            numbers={"unexpected": 0, "changed": 0},
            decides=False,
        ),
    ]


def replaced(findings: list[Finding], *others: Finding) -> list[Finding]:
    by_name = {other.check: other for other in others}
    return [by_name.get(each.check, each) for each in findings]


@dataclass(frozen=True)
class Sample:
    judgement: Judgement
    events: list[Any]
    tokens: list[str]


def _sample(
    parent: Path,
    router: Router,
    findings: list[Finding],
    code: ExitCode,
    *,
    outcome: ev.Outcome = ev.Outcome.COMPLETED,
    detail: str = "",
    keep: Callable[[Any], bool] = lambda event: True,
    name: str = "",
    summary: str = "Microsoft 365 refuses every login for 25 s; receipts must move to SendGrid.",
    not_proven: list[str] | None = None,
    warnings: list[str] | None = None,
) -> Sample:
    run = f"20261124T135000Z-{name or 'sample'}"
    run_dir = parent / run
    run_dir.mkdir(parents=True)
    events, tokens = history(router)
    events = [event for event in events if keep(event)]
    write_events(run_dir / "history.jsonl", run, events)
    judgement = Judgement(
        run=run,
        run_dir=run_dir,
        scenario=router.scenario,
        summary=summary,
        seed=7,
        outcome=outcome,
        detail=detail,
        findings=findings,
        exit_code=code,
        warnings=warnings or [],
        not_proven=not_proven or [],
    )
    return Sample(judgement, events, tokens)


NOT_PROVEN = [
    "That the backup would carry the load of a whole day: 199 messages went through it.",
    "Anything about Microsoft 365 itself: the provider here is a fake of it, dated 2025-06.",
]


def passing(parent: Path) -> Sample:
    return _sample(
        parent, Router(), passing_findings(), ExitCode.PASS, name="m365-auth-outage", not_proven=NOT_PROVEN
    )


def failing(parent: Path) -> Sample:
    """Six messages whose acknowledgement was lost were sent again; detection took 8 s."""
    router = Router(
        detect_after=8_100 * MS,
        blind_resend=6,
        lost=0,
        warnings=[
            ev.HarnessWarning(
                t_ns=T0 + 14 * S, warning="late-driver", detail="31 ms behind", subject="receipts"
            )
        ],
    )
    _, tokens = history(router)
    hit = tokens[50:56]
    findings = replaced(
        passing_findings(),
        finding(
            "duplicates",
            Verdict.FAIL,
            "6 of 325 messages arrived twice",
            numbers={"messages": 325, "duplicated": 6, "copies": 331, "cross_route_after_lost_ack": 6},
            formula="copies per (token, recipient) ≤ 1 over all providers",
            offenders=[
                Offender(
                    token=who,
                    recipient=f"c.{who}@customer.example",
                    why="2 copies: primary, then backup 8.0 s later",
                    cause="cross-route after a lost acknowledgement",
                )
                for who in hit
            ],
        ),
        finding(
            "mttd",
            Verdict.FAIL,
            "detected in 8.1 s, the target is 5.0 s",
            numbers={"mttd_s_max": 8.1, "target_s": 5.0, "incidents": 1},
            formula="MTTD = detected − fault on",
            error="± 0.055 s (polled every 0.100 s; clock error 0.2 ms)",
            counted=1,
            offenders=[Offender(subject="incident f1", why="detected 8.1 s after auth-failure on primary")],
        ),
        finding(
            "throttle",
            Verdict.INCONCLUSIVE,
            "the journal of sendgrid has a gap",
            numbers={"gaps": 1},
            reason="receipt 118 of sendgrid is missing, so the rate cannot be known",
        ),
    )
    return _sample(
        parent,
        router,
        findings,
        ExitCode.FAIL,
        name="m365-auth-outage-failing",
        not_proven=NOT_PROVEN,
        warnings=["late-driver: receipts were offered up to 31 ms late"],
    )


def inconclusive(parent: Path) -> Sample:
    """The workload was over before the fault began."""
    unknown = Verdict.INCONCLUSIVE
    router = Router(receipts=25, newsletter_at=1 * S)
    reason = "no message was in the system while primary was broken"
    findings = replaced(
        passing_findings(),
        finding(
            "mttd",
            unknown,
            "whether the fault would be detected was not put to the test",
            reason=reason,
            counted=0,
        ),
        finding("mttr", unknown, "recovery was not put to the test", reason=reason, counted=0),
        finding(
            "exposure",
            unknown,
            "nothing met auth-failure on primary",
            numbers={"faults": 2, "exposed": 0},
            decides=False,
            reason=reason,
            offenders=[
                Offender(subject="auth-failure on primary", why="0 attempts between +10.0 s and +35.0 s")
            ],
        ),
    )
    return _sample(
        parent,
        router,
        findings,
        ExitCode.INCONCLUSIVE,
        name="m365-auth-outage-quiet",
        not_proven=[
            "That anybody would notice the outage: " + reason + ".",
            *NOT_PROVEN,
        ],
    )


def baseline_unmet(parent: Path) -> Sample:
    """The system never became healthy: no message, no phase after set-up, nothing judged."""
    return _sample(
        parent,
        Router(),
        [],
        ExitCode.BASELINE_UNMET,
        outcome=ev.Outcome.BASELINE_UNMET,
        detail="the system exited with code 1 before it answered GET /status",
        keep=lambda event: event.t_ns < 500 * MS,
        name="m365-auth-outage-unmet",
    )


HOSTILE = "<script>alert(1)</script>\"'&]]>\x1b[31m\x00\ufffe<img src=http://evil.test/x onerror=alert(1)>"


def hostile(parent: Path) -> Sample:
    """Names and texts that try to break out of every format."""
    router = Router(scenario=HOSTILE, routes=(HOSTILE, "b" * 200), blind_resend=2)
    who = history(router)[1][50]
    bad = finding(
        "duplicates",
        Verdict.FAIL,
        HOSTILE,
        numbers={HOSTILE: HOSTILE, "ratio": float("inf")},
        formula=HOSTILE,
        error=HOSTILE,
        reason=HOSTILE,
        params={HOSTILE: HOSTILE},
        traceback=HOSTILE,
        offenders=[
            Offender(token=who, recipient=HOSTILE, why=HOSTILE, cause=HOSTILE),
            Offender(subject=HOSTILE, why="x" * 300),
        ],
    )
    return _sample(
        parent,
        router,
        [bad, finding("unexpected", Verdict.PASS, HOSTILE, decides=False, formula=HOSTILE)],
        ExitCode.FAIL,
        name="hostile",
        summary=HOSTILE,
        detail=HOSTILE,
        not_proven=[HOSTILE],
        warnings=[HOSTILE],
    )


def big(parent: Path, receipts: int = 12_000) -> Sample:
    """A long run: about 100,000 events in an hour and a half."""
    router = Router(
        receipts=receipts,
        newsletters=receipts,
        rate_per_s=10,
        fault_at=60 * S,
        fault_for=600 * S,
        detect_after=40 * S,
        wave_share=1,
    )
    return _sample(parent, router, passing_findings(), ExitCode.PASS, name="big")
