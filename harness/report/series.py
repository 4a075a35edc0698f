"""The numbers behind the charts: who took how much when, and how many messages were overdue or waiting.

A run's facts and its findings flow in, charts flow out, at most a few hundred numbers each, gathered by
DuckDB. Copies, messages and overdue spans are those of the history's views. The baseline is charted where
its messages are seen, at negative times.
"""

from __future__ import annotations

from harness.checks.finding import Finding
from harness.report.axis import Axis
from harness.report.charts import Chart, Series, levels, stacked
from harness.report.facts import RunFacts
from harness.report.words import NS_PER_S, clock, seconds

MAX_ROUTES = 5
_NOT_TAKEN = "receipts where result not in ('accepted', 'ack-lost') and canary is null and"


def charts_of(facts: RunFacts, findings: list[Finding], axis: Axis) -> list[Chart]:
    """The charts that have something to say, in the order of the story."""
    if not facts.began:
        return []
    routes = _routes(facts)
    colours = {route: f"r{index % MAX_ROUTES}" for index, route in enumerate(routes)}
    found = [_arrived(facts, axis, routes, colours), _turned_away(facts, axis, routes, colours)]
    found += [_overdue(facts, axis), _waiting(facts, axis), _waves(facts, axis, findings)]
    return [chart for chart in found if chart is not None]


def _routes(facts: RunFacts) -> list[str]:
    """Routes in the order of the scenario file, then any others that receipts name."""
    declared = [str(name) for name in _mapping(facts.resolved.get("routes"))]
    seen = [
        str(route)
        for (route,) in facts.history.con.execute(
            "select route from receipts where run = ? and canary is null "
            "group by route order by min(begin_ns), route",
            [facts.run],
        ).fetchall()
    ]
    return declared + [route for route in seen if route not in declared]


def _arrived(facts: RunFacts, axis: Axis, routes: list[str], colours: dict[str, str]) -> Chart:
    per_s = axis.rate_bin_ns / NS_PER_S
    counts = _binned(facts, axis, "copies where")
    series = [
        Series(route, colours[route], [value / per_s for value in counts.get(route, _zeros(axis))])
        for route in routes
    ]
    return stacked("arrived", "Taken by providers", "messages a second, by route", "/s", axis, series)


def _turned_away(facts: RunFacts, axis: Axis, routes: list[str], colours: dict[str, str]) -> Chart | None:
    per_s = axis.rate_bin_ns / NS_PER_S
    counts = _binned(facts, axis, _NOT_TAKEN)
    series = [
        Series(route, colours[route], [value / per_s for value in counts[route]])
        for route in routes
        if route in counts
    ]
    if not series:
        return None
    return stacked("away", "Turned away", "attempts a second: refused, deferred, cut off", "/s", axis, series)


def _overdue(facts: RunFacts, axis: Axis) -> Chart:
    rows = facts.history.con.execute(
        "select '', from_ns, until_ns from overdue where run = ?", [facts.run]
    ).fetchall()
    values = _heights(facts, axis, rows).get("", _level_zeros(axis))
    series = [Series("overdue", "cbad", values)]
    chart = levels("overdue", "Overdue", "transactional messages past their time", "", axis, series)
    impacts = facts.history.con.execute(
        "select from_ns, until_ns from impacts(?) where run = ? order by from_ns",
        [facts.min_overdue, facts.run],
    ).fetchall()
    for from_ns, until_ns in impacts:
        begin = int(from_ns) - facts.t0_ns
        end = facts.to_ns if until_ns is None else int(until_ns) - facts.t0_ns
        left = axis.percent(begin)
        name = f"impact, {clock(begin)} to {clock(end) if until_ns is not None else 'the end'}"
        chart.marks.append((left, axis.percent(end) - left, name))
    return chart


def _waiting(facts: RunFacts, axis: Axis) -> Chart:
    rows = facts.history.con.execute(
        "select class, accepted_ns, copy_ns from fates "
        "where run = ? and accepted_ns is not null and not baseline and not bounced",
        [facts.run],
    ).fetchall()
    heights = _heights(facts, axis, rows)
    names = sorted(heights, key=lambda name: (name != "transactional", name))
    colours = ["r2", "cquiet", "r3", "r4", "r1"]
    series = [Series(name, colours[index % 5], heights[name]) for index, name in enumerate(names)]
    if not series:
        series = [Series("waiting", "cquiet", _level_zeros(axis))]
    return levels("waiting", "Backlog", "taken by the system, not yet by a provider", "", axis, series)


# First copies of what was waiting at a release, until the next release, as the check of waves counts them.
_RELEASED = """
select min(c.end_ns)
from releases r join fates f on f.run = r.run
join copies c on c.run = f.run and c.token = f.token and c.rkey = f.rkey
    and c.end_ns >= r.t_ns and (r.next_ns is null or c.end_ns < r.next_ns)
where r.run = $run and not f.baseline and f.result = 'accepted' and ($class is null or f.class = $class)
  and f.scheduled_ns <= r.t_ns - 1_000_000_000 and (f.copy_ns is null or f.copy_ns >= r.t_ns)
group by f.token, f.rkey
"""


def _waves(facts: RunFacts, axis: Axis, findings: list[Finding]) -> Chart | None:
    """How many of the backlog left within one window, beside how many may; None where nobody asked."""
    finding = next((finding for finding in findings if finding.check == "waves"), None)
    window_s = finding.numbers.get("window_s") if finding else None
    allowed = finding.numbers.get("allowed") if finding else None
    if finding is None or not isinstance(window_s, (int, float)) or not isinstance(allowed, int):
        return None
    of_class = finding.params.get("class")
    rows = facts.history.con.execute(_RELEASED, {"run": facts.run, "class": of_class}).fetchall()
    window_ns = round(window_s * NS_PER_S)
    heights = _heights(facts, axis, [("", int(at), int(at) + window_ns) for (at,) in rows])
    name = str(of_class or "all classes")
    series = [Series(name, "r0", heights.get("", _level_zeros(axis)))]
    note = f"of the backlog, left within {seconds(window_s)}"
    return levels("waves", "Waves", note, "", axis, series, (f"allowed {allowed:,}", allowed))


def _binned(facts: RunFacts, axis: Axis, which: str) -> dict[str, list[float]]:
    """Receipts per route and rate bin. `which` is a view and a condition of ours, never text from outside."""
    rows = facts.history.con.execute(
        f"""
        select route, (end_ns - $t0 - $begin) // $bin as slot, count(*) from {which} run = $run
        group by all
        """,
        {"run": facts.run, "t0": facts.t0_ns, "begin": axis.from_ns, "bin": axis.rate_bin_ns},
    ).fetchall()
    found: dict[str, list[float]] = {}
    for route, slot, count in rows:
        values = found.setdefault(str(route), _zeros(axis))
        values[min(max(int(slot), 0), len(values) - 1)] += count
    return found


def _heights(facts: RunFacts, axis: Axis, spans: list[tuple[str, int, int | None]]) -> dict[str, list[float]]:
    """How many spans of each group are open: the most within each bin, so that a short peak shows."""
    edges: dict[str, list[tuple[int, int]]] = {}
    for group, up, down in spans:
        at = edges.setdefault(str(group), [])
        if down is None or down > up:
            at.append((int(up) - facts.t0_ns, 1))
            if down is not None:
                at.append((int(down) - facts.t0_ns, -1))
    found = {}
    for group, at in edges.items():
        at.sort()
        values, height, position = _level_zeros(axis), 0, 0
        for index in range(len(values)):
            end = axis.from_ns + (index + 1) * axis.level_bin_ns
            most = height
            while position < len(at) and at[position][0] < end:
                height += at[position][1]
                most = max(most, height)
                position += 1
            values[index] = float(most)
        found[group] = values
    return found


def _zeros(axis: Axis) -> list[float]:
    return [0.0] * axis.bins(axis.rate_bin_ns)


def _level_zeros(axis: Axis) -> list[float]:
    return [0.0] * axis.bins(axis.level_bin_ns)


def _mapping(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}
