"""How far a run can be trusted: what was exact and by how much, what was not put to the test, and what this
testbed cannot show.

A run's facts and its findings flow in, remarks flow out; each report shows them in its own way, and
findings.json has them for programs. A remark with `lowers` takes something away from the verdict; the others
say what it stands on. Nothing here changes a verdict: what a check needs, it looks at itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from harness.checks import CHECKS
from harness.checks.finding import Finding, Verdict
from harness.conduct.driver import LATE_MAX_NS, LATE_P99_NS
from harness.report.facts import RunFacts
from harness.report.words import count, span_ns

Numbers = dict[str, float | int | str | None]


class Topic(StrEnum):
    """In the order in which people read them."""

    CLOCKS = "clocks"
    DRIVER = "driver"
    SIGNALS = "signals"
    FAULTS = "faults"
    RECORD = "record"
    WARNINGS = "warnings"
    WITNESS = "witness"
    UNDECIDED = "not decided"
    UNASKED = "not asked"
    TESTBED = "testbed"


@dataclass(frozen=True)
class Remark:
    topic: Topic
    text: str  # one plain sentence or two
    lowers: bool = False
    numbers: Numbers = field(default_factory=dict)  # units in the names


def confidence_of(facts: RunFacts, findings: Sequence[Finding]) -> list[Remark]:
    """The sheet of a run. Works for one that ended early, too: then less is known, and it says so."""
    return [
        *_clocks(facts),
        *_driver(facts),
        *_signals(facts),
        *_faults(facts),
        *_record(facts),
        *_warnings(facts),
        *_witness(facts),
        *_undecided(findings),
        *_unasked(facts, findings),
        *_testbed(facts),
    ]


def in_short(remarks: Sequence[Remark]) -> list[str]:
    """What fits under a verdict: how exact it was, and whatever takes something away from it.

    Warnings, what is not decided and what nobody asked have places of their own in every report.
    """
    exact = [each.text for each in remarks if each.topic in _EXACTNESS and not each.lowers]
    lowering = [each.text for each in remarks if each.lowers and each.topic not in TOLD_ELSEWHERE]
    return [*(["; ".join(text.rstrip(".") for text in exact)] if exact else []), *lowering]


TOLD_ELSEWHERE = (Topic.WARNINGS, Topic.UNDECIDED, Topic.UNASKED)
_EXACTNESS = (Topic.CLOCKS, Topic.DRIVER, Topic.SIGNALS)


def _clocks(facts: RunFacts) -> Iterator[Remark]:
    """Each source's clock against the harness's own, calibrated at both ends of the run."""
    if facts.clocks:
        told = ", ".join(f"{each.source} ±{span_ns(each.error_ns)}" for each in facts.clocks)
        numbers: Numbers = {f"{each.source}_error_ns": each.error_ns for each in facts.clocks}
        yield Remark(Topic.CLOCKS, f"clocks are right to {told}", numbers=numbers)
    known = {each.source for each in facts.clocks}
    rows = facts.history.con.execute(
        "select distinct source from receipts where run = ? and source is not null order by source",
        [facts.run],
    ).fetchall()
    if unknown := [source for (source,) in rows if source not in known]:
        text = f"the clock of {', '.join(unknown)} was never compared with the harness's own"
        yield Remark(Topic.CLOCKS, text, lowers=True)


def _driver(facts: RunFacts) -> Iterator[Remark]:
    """How late first offers were: so far the workload was what the scenario says."""
    row = facts.history.con.execute(
        """
        select count(*), quantile_disc(lag_ns, 0.5), quantile_disc(lag_ns, 0.99), max(lag_ns) from (
            select greatest(0, first_offer_ns - scheduled_ns) as lag_ns from messages where run = ?
        )
        """,
        [facts.run],
    ).fetchone()
    if row is None or not row[0]:
        yield Remark(Topic.DRIVER, "no message was offered", lowers=True)
        return
    offered, p50, p99, worst = map(int, row)
    late = p99 > LATE_P99_NS or worst > LATE_MAX_NS
    text = (
        f"{count(offered, 'message was', 'messages were')} offered {_fine(p50)} late in the middle, "
        f"{_fine(p99)} at p99, {_fine(worst)} at worst"
    )
    numbers: Numbers = {"lag_p50_ns": p50, "lag_p99_ns": p99, "lag_ns_max": worst}
    yield Remark(Topic.DRIVER, text, lowers=late, numbers=numbers)


def _signals(facts: RunFacts) -> Iterator[Remark]:
    """How often each was really read: an edge lies somewhere between two readings."""
    rows = facts.history.con.execute(
        """
        select signal, route, count(*), count(*) filter (error is not null),
               quantile_disc(t_ns - previous_read_ns, 0.5), max(t_ns - previous_read_ns)
        from readings where run = ? group by signal, route order by signal, route
        """,
        [facts.run],
    ).fetchall()
    for signal, route, reads, errors, p50, worst in rows:
        name = f"{signal} of {route}" if route else str(signal)
        numbers: Numbers = {
            "reads": reads,
            "errors": errors,
            "interval_p50_ns": p50,
            "interval_ns_max": worst,
        }
        how = (
            f"{name} was read every {_fine(p50)}, {_fine(worst)} at most"
            if p50 is not None
            else f"{name} was told, not polled"
        )
        yield Remark(Topic.SIGNALS, how, numbers=numbers)
        if errors:
            text = f"{name} made no sense in {errors:,} of {count(reads, 'reading')}"
            yield Remark(Topic.SIGNALS, text, lowers=True)
    if not any(row[0] == "detected" for row in rows) and facts.faults:
        text = "the system says nothing of detecting a fault; detection is inferred from the first switch"
        yield Remark(Topic.SIGNALS, text, lowers=True)


def _fine(ns: int) -> str:
    """In whole milliseconds where these tell more than tenths of a second."""
    return f"{ns / 1e6:.0f} ms" if 9.95e7 <= ns < 1e9 else span_ns(ns)


def _faults(facts: RunFacts) -> Iterator[Remark]:
    for fault in facts.faults:
        if fault.failed:
            yield Remark(Topic.FAULTS, f"{fault.name} ({fault.id}) failed: {fault.failed}", lowers=True)
        elif not fault.acted:
            text = f"{fault.name} ({fault.id}) was never seen to act by the harness's own canary"
            yield Remark(Topic.FAULTS, text, lowers=True)
    rows = facts.history.con.execute(
        "select fault, type, target, exposed from exposures where run = ? order by fault", [facts.run]
    ).fetchall()
    for fault_id, type_, target, exposed in rows:
        if not exposed:
            text = f"nothing shows that the system met {type_} on {target} ({fault_id})"
            yield Remark(Topic.FAULTS, text, lowers=True)
    acted, met = sum(fault.acted for fault in facts.faults), sum(bool(row[-1]) for row in rows)
    if not facts.faults:
        yield Remark(Topic.FAULTS, "no fault was put in place")
        return
    text = (
        f"{acted} of {count(len(facts.faults), 'fault')} acted on the harness's own canary; the system met "
        f"{met} of {len(rows)} that mail or its events depend on"
    )
    numbers: Numbers = {"faults": len(facts.faults), "acted": acted, "asked": len(rows), "met": met}
    yield Remark(Topic.FAULTS, text, numbers=numbers)


def _record(facts: RunFacts) -> Iterator[Remark]:
    con = facts.history.con
    for source, missing in con.execute(
        "select source, missing from gaps where run = ? order by source", [facts.run]
    ).fetchall():
        text = f"{count(int(missing), 'record is', 'records are')} missing from {source}"
        yield Remark(Topic.RECORD, text, lowers=True, numbers={"missing": int(missing)})
    read_back = con.execute(
        "select distinct route from receipts where run = ? and observed_after order by route", [facts.run]
    ).fetchall()
    if read_back:
        routes = ", ".join(str(route) for (route,) in read_back)
        text = f"receipts of {routes} were read back after the fact; their times are not exact"
        yield Remark(Topic.RECORD, text, lowers=True)
    ended = con.execute("select outcome is not null from runs where run = ?", [facts.run]).fetchone()
    if ended is None or not ended[0]:
        yield Remark(Topic.RECORD, "the recording has no end", lowers=True)
    row = con.execute("select count(*) from receipts where run = ?", [facts.run]).fetchone()
    receipts = int(row[0]) if row else 0
    yield Remark(Topic.RECORD, f"{count(facts.events, 'event')}, {count(receipts, 'receipt')} among them")


def _warnings(facts: RunFacts) -> Iterator[Remark]:
    rows = facts.history.con.execute(
        "select warning, coalesce(subject, ''), coalesce(detail ->> '$', '') from events "
        "where run = ? and kind = 'harness.warning' order by seq",
        [facts.run],
    ).fetchall()
    for warning, subject, detail in rows:
        if warning != "late-driver":  # which the driver's own line tells
            yield Remark(Topic.WARNINGS, f"{warning} ({subject}): {detail}", lowers=True)


def _witness(facts: RunFacts) -> Iterator[Remark]:
    if facts.witness:
        whole = all(each.held == each.taken for each in facts.witnessed)
        yield Remark(Topic.WITNESS, facts.witness, lowers=not whole)
    else:
        yield Remark(Topic.WITNESS, "nobody independent looked at what the providers say that they took")


def _undecided(findings: Sequence[Finding]) -> Iterator[Remark]:
    for finding in findings:
        if finding.decides and finding.verdict is Verdict.INCONCLUSIVE:
            yield Remark(
                Topic.UNDECIDED, f"{finding.check}: {finding.reason or finding.summary}", lowers=True
            )


def _unasked(facts: RunFacts, findings: Sequence[Finding]) -> Iterator[Remark]:
    """A verdict says nothing of what nobody expected."""
    if not facts.began:
        return
    expected = {finding.check for finding in findings if finding.decides}
    reported = [finding.check for finding in findings if not finding.decides]
    never = [name for name in CHECKS if name not in expected and name not in reported]
    if reported:
        yield Remark(Topic.UNASKED, f"reported, and without a say in the verdict: {', '.join(reported)}")
    if never:
        yield Remark(Topic.UNASKED, f"nobody asked: {', '.join(never)}")


_PLACES = {
    "local": "Everything ran as processes of one machine: nothing keeps a system from sending past the "
    "proxies, and a host name that is compiled into it does not lead here.",
    "containers": "Everything ran in containers of one machine: they share its kernel, disk and clock, so "
    "no part was slow, lost packets or had a wrong time by itself.",
    "simulated": "Everything ran on a virtual clock and network: what the operating system, real sockets "
    "and real delays do to a system was not there.",
}
_PROXIES = {
    "embedded": "The proxies were the harness's own, which speak Toxiproxy's protocol; both act on "
    "connections, not on packets: nothing was lost, reordered or doubled on the wire.",
    "toxiproxy": "Toxiproxy acts on connections, not on packets: nothing was lost, reordered or doubled on "
    "the wire.",
}


def _testbed(facts: RunFacts) -> Iterator[Remark]:
    """What no run in this place can show, whatever its verdict."""
    for known, name in ((_PLACES, facts.testbed), (_PROXIES, facts.proxy)):
        if name in known:
            yield Remark(Topic.TESTBED, known[name])
    fakes = sorted(
        {str(each["fake"]) for each in facts.resolved.get("providers", {}).values() if "fake" in each}
    )
    if made := [fake for fake in fakes if fake != "mailpit"]:
        text = (
            f"The providers were fakes ({', '.join(made)}): they answer as documented, and deliver to "
            "nobody. What a real one does beyond that, and what becomes of mail after it, was not there."
        )
        yield Remark(Topic.TESTBED, text)
