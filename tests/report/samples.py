"""Judgements as runs would leave them, each beside the history that it is of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.checks.finding import Finding, Offender, Verdict
from harness.conduct.judge import ExitCode, Judgement
from harness.history import events as ev
from harness.history.journal import write_events
from tests.report.router import MS, T0, Router, S, history


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
