"""Throttle: the attempts on each route stayed under a token bucket, and `Retry-After` was kept.

Over all attempts i ≤ j on a route, by the provider's own begin times: (j−i+1) − rate·(tj−ti) ≤ burst +
rate·spread, where spread is the most by which injected latency can crowd attempts together (latency +
jitter). Refused attempts count, an attempt with many recipients counts once, the system's own canaries
count, the harness's do not; the baseline's attempts count like any others, but alone they prove nothing.
After a refusal with `Retry-After` no attempt on that route may begin before it is over,
but for those already under way: begun within the injected delay + 100 ms of the refusal.

It proves the rate at the provider's door, exactly: one clock per provider, so clock error cancels. It
cannot see attempts that never arrived. Inconclusive: a route without attempts after the baseline, one whose
receipts were read back afterwards, records missing, or a fault that was never met.
"""

from __future__ import annotations

from fractions import Fraction
from operator import attrgetter
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, RootModel

from harness.checks.finding import MAX_OFFENDERS, Finding, Offender
from harness.checks.grounds import conclude, count_of, grounds, seconds
from harness.checks.units import NS_PER_S, Rate
from harness.history.store import History

GRACE_NS = 100_000_000
# Attempts looked at in one step: few enough to stay in the processor's own memory, for speed.
_AT_ONCE = 4_000


class Bucket(BaseModel):
    """A token bucket: `{rate: 20/s, burst: 20}`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    rate: Annotated[Rate, Field(gt=0)]
    """Attempts that flow in again."""
    burst: Annotated[int, Field(strict=True, ge=1)] = 1
    """Attempts at once, from a full bucket."""


class Params(RootModel[dict[str, Bucket]]):
    """`throttle: {primary: {rate: 20/s, burst: 20}}`, a bucket for each route."""

    model_config = ConfigDict(frozen=True)


class Peak(NamedTuple):
    """The fullest that a bucket ever was, in whole numbers: `filled / per_attempt` attempts."""

    filled: int
    per_attempt: int
    at_ns: int

    @property
    def attempts(self) -> float:
        return self.filled / self.per_attempt

    def over(self, burst: int, rate: float, spread_ns: int) -> bool:
        """More than `burst` attempts beyond what flows in, and what `spread_ns` crowds together."""
        a_second, _ = _whole(rate)
        return self.filled > burst * self.per_attempt + a_second * spread_ns


def peaks(history: History, route: str, rate: float, run: str | None = None) -> dict[str, Peak]:
    """The peak of each run that has attempts on the route; `run` None asks for all runs."""
    runs = history.runs() if run is None else [run]
    found = ((each, _peak(_begins(history, each, route), rate)) for each in runs)
    return {each: peak for each, peak in found if peak is not None}


def _begins(history: History, run: str, route: str) -> NDArray[np.int64]:
    columns = history.con.execute(
        "select begin_ns from attempts where run = ? and route = ?", [run, route]
    ).fetchnumpy()
    begins: NDArray[np.int64] = np.ma.getdata(columns["begin_ns"])
    begins.sort()
    return begins


def _peak(begins: NDArray[np.int64], rate: float) -> Peak | None:
    """The most by which attempts ran ahead of the rate: max over i ≤ j of (j−i+1) − rate·(tj−ti).

    The i-th attempt is as far ahead as `i · per_attempt − a_second · ti`; the level is that less the least
    before it, so one running minimum finds all. SQL has it as a window function, at several times the cost.
    All of it is whole numbers: at the limit is not over it.
    """
    if not len(begins):
        return None
    a_second, per_attempt = _whole(rate)
    span = int(begins[-1] - begins[0])
    fits = max(len(begins) * per_attempt, a_second * span) < 2**62
    least: int | None = None
    found: list[Peak] = []
    for lowest in range(0, len(begins), _AT_ONCE):
        some = begins[lowest : lowest + _AT_ONCE]
        since = (some - begins[0]).astype(np.int64 if fits else object)
        number = np.arange(lowest, lowest + len(some)).astype(since.dtype)
        ahead = number * per_attempt - since * a_second
        lows = np.minimum.accumulate(ahead)
        if least is not None:
            lows = np.minimum(lows, least)
        levels = ahead - lows
        top = int(levels.argmax())
        found.append(Peak(int(levels[top]) + per_attempt, per_attempt, int(some[top])))
        least = int(lows[-1])
    return max(found, key=attrgetter("filled"))


def _whole(rate: float) -> tuple[int, int]:
    """The rate as whole numbers: so many units flow in each ns, and an attempt takes so many of them."""
    exact = Fraction(rate).limit_denominator(10_000_000)
    return exact.numerator, exact.denominator * NS_PER_S


# One row per attempt that came too early after a refusal.
EARLY = """
with mine as (
    select a.run, a.attempt, a.seq, a.begin_ns, a.end_ns, a.refused, a.retry_after_ns,
           coalesce(d.delay_ns, 0) as delay_ns
    from attempts a left join route_delays d using (run, route)
    where a.route = $route and ($run is null or a.run = $run)
), refusals as (
    select run, end_ns + delay_ns + $grace as from_ns,
           max(end_ns + retry_after_ns) over (partition by run order by end_ns) as until_ns
    from mine where refused and retry_after_ns is not null
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
        else f"{count_of(counted, 'attempt')} stayed under the limits of {names}"
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
        self.spread_ns: int
        ((self.spread_ns,),) = con.execute(
            "select coalesce(max(delay_ns), 0) from route_delays where run = ? and route = ?", [run, route]
        ).fetchall()
        self.allowed = bucket.burst + bucket.rate * self.spread_ns / NS_PER_S
        self.attempts: int
        ((self.attempts,),) = con.execute(
            "select count(*) from attempts where run = ? and route = ? and not baseline", [run, route]
        ).fetchall()
        self.peak = peaks(history, route, bucket.rate, run).get(run)
        ((told_to_wait,),) = con.execute(
            "select exists (from receipts where run = ? and route = ? and retry_after_ns is not null)",
            [run, route],
        ).fetchall()
        self.early: list[tuple[Any, ...]] = (
            con.execute(EARLY, {"run": run, "route": route, "grace": GRACE_NS}).fetchall()
            if told_to_wait
            else []
        )

    def numbers(self) -> dict[str, float | int | str | None]:
        peak = None if self.peak is None else round(self.peak.attempts, 6)
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
        if self.peak is not None and self.peak.over(self.bucket.burst, self.bucket.rate, self.spread_ns):
            found.append(
                Offender(
                    subject=f"route {self.route}",
                    why=f"{self.peak.attempts:.1f} attempts beyond the rate "
                    f"at {seconds(self.peak.at_ns):.3f} s, {self.allowed:.1f} allowed",
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
