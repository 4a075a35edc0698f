"""No stream of transactional mail is served worse than another, as by a queue that favours one."""

from __future__ import annotations

from collections import defaultdict
from statistics import quantiles
from typing import Any

from harness.checks.own import Looked, Offender
from harness.checks.units import parse_duration
from harness.history.store import History

FEWEST = 20
"""So many messages make a 95th percentile that is one of them, and no guess."""


def served_alike(history: History, run: str, params: dict[str, Any]) -> Looked:
    """A stream offends if 95 % of it waited longer than 95 % of the quickest, by more than `apart`."""
    rows = history.con.execute(
        "select stream, copy_ns - greatest(scheduled_ns, first_offer_ns) from fates "
        "where run = ? and class = 'transactional' and not baseline and copy_ns is not null",
        [run],
    ).fetchall()
    waits_ns: dict[str, list[int]] = defaultdict(list)
    for stream, waited_ns in rows:
        waits_ns[stream].append(waited_ns)
    thin = sorted(stream for stream, waits in waits_ns.items() if len(waits) < FEWEST)
    p95_s = {s: quantiles(waits, n=20)[-1] / 1e9 for s, waits in waits_ns.items() if s not in thin}
    quickest_s, apart_s = min(p95_s.values(), default=0.0), parse_duration(params["apart"]) / 1e9
    slow = sorted((s for s in p95_s if p95_s[s] - quickest_s > apart_s), key=lambda s: -p95_s[s])
    return Looked(
        counted=len(p95_s),
        offenders=[
            Offender(
                subject=f"stream {stream}",
                why=f"95 % of it waited up to {p95_s[stream]:.1f} s, and up to {quickest_s:.1f} s elsewhere",
            )
            for stream in slow
        ],
        doubts=[f"fewer than {FEWEST} messages of {', '.join(thin)} arrived"] if thin else [],
        numbers={"p95_s_min": quickest_s, "p95_s_max": max(p95_s.values(), default=None)},
    )
