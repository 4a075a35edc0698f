"""Throttle: the attempts on each route stayed under a token bucket, and `Retry-After` was kept.

Over all attempts i ≤ j on a route, by the provider's own begin times: (j−i+1) − rate·(tj−ti) ≤ burst +
rate·spread, where spread is the most by which injected latency can crowd attempts together (latency +
jitter). Refused attempts count, an attempt with many recipients counts once, the system's own canaries
count, the harness's do not; the baseline's attempts fill the bucket like any others but are not what the
verdict rests on. After a refusal with `Retry-After` no attempt on that route may begin before it is over,
but for those already under way: begun within the injected delay + 100 ms of the refusal.

It proves the rate at the provider's door, exactly: one clock per provider, so clock error cancels. It
cannot see attempts that never arrived. Inconclusive: a route without attempts after the baseline, one whose
receipts were read back afterwards, records missing, or a fault that was never met.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, RootModel

from harness.checks.finding import MAX_OFFENDERS, Finding, Offender
from harness.checks.grounds import conclude, grounds, seconds
from harness.checks.units import Rate
from harness.history.store import History

# Attempts, not fractions of them, are what matters: this absorbs rounding and nothing else.
TOLERANCE = 1e-6
GRACE_NS = 100_000_000


class Bucket(BaseModel):
    """A token bucket: `{rate: 20/s, burst: 20}`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    rate: Annotated[Rate, Field(gt=0)]
    """Attempts that flow in again."""
    burst: Annotated[int, Field(strict=True, ge=1)] = 1
    """Attempts at once, from a full bucket."""


class Params(RootModel[dict[str, Bucket]]):
    """Route to bucket: `throttle: {primary: {rate: 20/s, burst: 20}}`."""

    model_config = ConfigDict(frozen=True)


# One row per run: the fullest the bucket ever was, and when. `run` null asks for all runs at once.
PEAKS = """
with mine as (
    select run, attempt, seq, baseline, observed_after, begin_ns,
           row_number() over told as i, (begin_ns - first_value(begin_ns) over told) / 1e9 as t
    from attempts where route = $route and ($run is null or run = $run)
    window told as (partition by run order by begin_ns, seq)
), filled as (
    select *, i - $rate * t + 1
              + max($rate * t - i) over (partition by run order by i rows unbounded preceding) as level
    from mine
)
select run, count(*) filter (not baseline) as attempts, max(level) as peak,
       arg_max(begin_ns, level) as peak_ns
from filled group by run
"""

# One row per attempt that came too early after a refusal.
EARLY = """
with mine as (
    select a.run, a.attempt, a.seq, a.begin_ns, a.end_ns, a.refused, a.retry_after_ns,
           coalesce(d.delay_ns, 0) as delay_ns
    from attempts a left join route_delays d using (run, route)
    where a.route = $route and ($run is null or a.run = $run)
), refusals as (
    select run, end_ns + delay_ns + $grace as from_ns,
           max(end_ns + retry_after_ns) over (partition by run order by end_ns, seq
                                              rows unbounded preceding) as until_ns
    from mine where refused and retry_after_ns is not null
    qualify row_number() over (partition by run, end_ns order by seq desc) = 1
)
select m.run, m.attempt, m.begin_ns, r.until_ns
from mine m asof join refusals r on r.run = m.run and m.begin_ns > r.from_ns
where m.begin_ns < r.until_ns
order by m.run, m.begin_ns, m.seq
"""


def evaluate(history: History, run: str, params: Params) -> Finding:
    ground = grounds(history, run)
    numbers: dict[str, float | int | str | None] = {}
    offenders: list[Offender] = []
    broken: list[str] = []
    doubts = [ground.exposure_reason(), ground.gap_reason()]
    counted = 0
    for route, bucket in params.root.items():
        told = _Route(history, run, route, bucket)
        counted += told.attempts
        numbers |= told.numbers()
        if route in ground.read_back_routes:
            doubts.append(f"receipts of {route} were read back, without exact times")
        elif told.offenders():
            broken.append(route)
            offenders += told.offenders()
        elif not told.attempts:
            doubts.append(f"no attempt was made on {route} after the baseline")
    verdict, reason = conclude(
        failed=bool(broken),
        counted=counted,
        nothing=f"no attempt was made on {', '.join(params.root)} after the baseline",
        doubts=doubts,
    )
    names = ", ".join(params.root)
    summary = (
        f"attempts exceeded the limit of {', '.join(broken)}"
        if broken
        else f"{counted:,} attempts stayed under the limits of {names}"
        if counted
        else f"there were no attempts on {names}"
    )
    return Finding(
        check="throttle",
        verdict=verdict,
        summary=summary,
        numbers=numbers,
        formula="(j−i+1) − rate·(tj−ti) ≤ burst + rate·spread, over all attempts i ≤ j of a route",
        error="none from clocks: one provider times a route; spread allows for injected latency",
        counted=counted,
        offenders=offenders[:MAX_OFFENDERS],
        reason=reason,
    )


class _Route:
    """One route's bucket, filled from the history."""

    def __init__(self, history: History, run: str, route: str, bucket: Bucket) -> None:
        self.route, self.bucket = route, bucket
        con = history.con
        delay = con.execute(
            "select delay_ns from route_delays where run = ? and route = ?", [run, route]
        ).fetchone()
        self.spread_ns = int(delay[0]) if delay else 0
        self.allowed = bucket.burst + bucket.rate * self.spread_ns / 1e9
        peak = con.execute(PEAKS, {"run": run, "route": route, "rate": bucket.rate}).fetchone()
        self.attempts = int(peak[1]) if peak else 0
        self.peak: float | None = peak[2] if peak else None
        self.peak_ns: int = peak[3] if peak else 0
        self.early: list[tuple[Any, ...]] = con.execute(
            EARLY, {"run": run, "route": route, "grace": GRACE_NS}
        ).fetchall()

    def numbers(self) -> dict[str, float | int | str | None]:
        peak = None if self.peak is None else round(float(self.peak), 6)
        return {
            f"{self.route}_attempts": self.attempts,
            f"{self.route}_peak": peak,
            f"{self.route}_allowed": round(self.allowed, 6),
            f"{self.route}_excess": None if peak is None else round(peak - self.allowed, 6),
            f"{self.route}_spread_s": seconds(self.spread_ns),
            f"{self.route}_too_early": len(self.early),
        }

    def offenders(self) -> list[Offender]:
        found = []
        if self.peak is not None and self.peak > self.allowed + TOLERANCE:
            found.append(
                Offender(
                    subject=f"route {self.route}",
                    why=f"{self.peak:.1f} attempts beyond the rate at {seconds(self.peak_ns):.3f} s, "
                    f"{self.allowed:.1f} allowed",
                    cause="over the rate",
                )
            )
        if self.early:
            _, attempt, begin_ns, until_ns = self.early[0]
            found.append(
                Offender(
                    subject=f"route {self.route}",
                    why=f"{len(self.early)} attempts before Retry-After was over, first {attempt}, "
                    f"{(until_ns - begin_ns) / 1e9:.3f} s early",
                    cause="before Retry-After",
                )
            )
        return found
