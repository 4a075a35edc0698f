"""What a made-up run consists of beside its messages: its start and end, clocks, phases, and the outages."""

from __future__ import annotations

from typing import Any

from harness.history import events as ev
from harness.history.synthesis.plan import BASELINE_NS, MS, Course, S


def events(course: Course) -> list[ev.AnyEvent]:
    """In order of time."""
    found: list[ev.AnyEvent] = [
        ev.RunStarted(
            t_ns=0,
            wall_start="2026-01-01T00:00:00Z",
            scenario="synth",
            resolved={"summary": "A made-up run with planted violations.", "system": {"longest_retry": "2s"}},
            seed=course.seed,
            testbed="simulated",
            proxy="embedded",
            expect=course.expectations(),
        )
    ]
    for source in ("m365", "sendgrid"):
        found += [
            ev.ClockCalibrated(t_ns=t_ns, source=source, when=when, offset_ns=0, error_ns=200_000)
            for when, t_ns in (("start", 1), ("end", course.ends_ns))
        ]
    found += [
        ev.PhaseEntered(t_ns=2, phase=ev.Phase.BASELINE),
        ev.PhaseEntered(t_ns=BASELINE_NS, phase=ev.Phase.STORM),
        ev.PhaseEntered(t_ns=course.span_ns, phase=ev.Phase.HEAL),
        ev.PhaseEntered(t_ns=course.span_ns + 1, phase=ev.Phase.DRAIN),
        ev.PhaseEntered(t_ns=course.ends_ns, phase=ev.Phase.TEARDOWN),
    ]
    for number, (on, off) in enumerate(course.outages, 1):
        common: dict[str, Any] = {
            "fault": f"outage-{number}",
            "incident": f"outage-{number}",
            "type": "outage",
            "target": "primary",
            "scheduled_ns": on,
        }
        found += [
            ev.FaultInjecting(t_ns=on, **common),
            ev.FaultActive(t_ns=on + 5 * MS, **common),
            ev.FaultActed(t_ns=on + 20 * MS, **common),
            ev.FaultRemoving(t_ns=off, **common),
            ev.FaultRemoved(t_ns=off + 5 * MS, **common),
        ]
    found.append(ev.RunFinished(t_ns=course.ends_ns + S, outcome=ev.Outcome.COMPLETED))
    return sorted(found, key=lambda event: event.t_ns)
